/* SPDX-License-Identifier: MIT */
/* What the CPU and the GPU share: the very same structures, the same pointers. */
#ifndef GRAPH_H
#define GRAPH_H

#include <stdint.h>

struct vertex {
	int64_t distance;	/* steps from the start; -1: not reached yet */
	uint32_t degree;
	struct vertex **edge;	/* an array of pointers to the neighbours */
};

struct search {
	struct vertex **frontier;	/* vertices at distance level */
	struct vertex **next;		/* room for those at distance level + 1 */
	uint64_t *next_count;		/* how many there are: a variable of the CPU's */
	int64_t level;
};

#endif
