/* SPDX-License-Identifier: MIT */
/* What the tests and their GPU programs share in memory. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

struct add {
	uint64_t *target;
	uint64_t amount;
};

struct place {
	uint32_t *visits;	/* one per work-item, by linear id */
	uint64_t width, height;
	uint64_t wrong;		/* work-items that found themselves elsewhere */
};

struct sums {
	const uint64_t *values;
	uint64_t *sum;		/* one per work-group */
};

struct spin {
	uint64_t stop;		/* the CPU ends it */
	uint64_t started;
};

struct list {
	struct list *next;
	uint64_t value;
};

struct walk {
	struct list *head;
	uint64_t count, sum;
};

#endif
