// SPDX-License-Identifier: MIT
/* The GPU's part of graph: one step of a breadth-first search. */
#include <gsvm_device.h>

#include "graph.h"

/* Each work-item looks at the neighbours of one vertex of the frontier. */
GSVM_KERNEL(step, 0)(struct search *search)
{
	struct vertex *vertex = search->frontier[gsvm_global_id(0)], *neighbour;
	int64_t unreached;
	uint64_t place;
	uint32_t i;

	for (i = 0; i < vertex->degree; i++) {
		neighbour = vertex->edge[i];
		unreached = -1;
		/* Many may come here at once; one of them reaches it. */
		if (!__atomic_compare_exchange_n(&neighbour->distance, &unreached,
						 search->level + 1, 0, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED))
			continue;
		place = __atomic_fetch_add(search->next_count, 1, __ATOMIC_RELAXED);
		search->next[place] = neighbour;
	}
}
