// SPDX-License-Identifier: MIT
/*
 * graph: a breadth-first search on the GPU, through all kinds of memory.
 *
 * The vertices are malloc'ed one by one, except two: the start is a global
 * variable, and its neighbour a variable on the stack. All point to each other.
 * The GPU does not know, nor need to, what kind of memory a pointer leads to.
 */
#include <inttypes.h>

#include "example.h"
#include "graph.h"

#define VERTICES	20000
#define DEGREE		6

static struct vertex start;			/* a global variable of this program */
static struct vertex *start_edge[DEGREE];
static uint64_t next_count;			/* the GPU counts here */

static uint64_t random_number(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void *allocate(size_t number, size_t size)
{
	void *memory = calloc(number, size);

	if (!memory)
		check(-ENOMEM, "memory");
	return memory;
}

/* Edges at random; only the stack's vertex leads away from the start. */
static void connect(struct vertex **all, struct vertex *bridge)
{
	uint32_t i, j;

	for (i = 0; i < VERTICES; i++) {
		all[i]->distance = -1;
		all[i]->degree = DEGREE;
		for (j = 0; j < DEGREE; j++)
			all[i]->edge[j] = all[i] == &start ?
					  bridge : all[random_number() % VERTICES];
	}
	start.distance = 0;
}

/* The GPU's search: one dispatch per distance. Returns the largest. */
static int64_t search_gpu(struct gpu *gpu)
{
	struct search search = {		/* on the stack, and the GPU reads it there */
		.frontier = allocate(VERTICES, sizeof(struct vertex *)),
		.next = allocate(VERTICES, sizeof(struct vertex *)),
		.next_count = &next_count,
	};
	struct vertex **swap;
	uint64_t count = 1;

	search.frontier[0] = &start;
	for (; count; search.level++) {
		next_count = 0;
		run(gpu, "step", (uint32_t)count, &search);
		count = next_count;
		if (count)
			printf("%12" PRIu64 "  vertices at distance %" PRId64 "\n", count,
			       search.level + 1);
		swap = search.frontier;
		search.frontier = search.next;
		search.next = swap;
	}
	free(search.frontier);
	free(search.next);
	return search.level - 1;
}

static bool same_distances(struct vertex **all, const int64_t *expected)
{
	uint32_t i;

	for (i = 0; i < VERTICES; i++) {
		if (all[i]->distance != expected[i]) {
			fprintf(stderr, "vertex %u: distance %" PRId64 ", expected %" PRId64 "\n", i,
				all[i]->distance, expected[i]);
			return false;
		}
	}
	return true;
}

/* The CPU's search, with a queue, into an array of its own. */
static int64_t *search_cpu(struct vertex **all)
{
	struct vertex **queue = allocate(VERTICES, sizeof(*queue)), *vertex;
	int64_t *distance = allocate(VERTICES, sizeof(*distance));
	uint32_t head = 0, tail = 0, i;

	queue[tail++] = &start;
	while (head < tail) {
		vertex = queue[head++];
		for (i = 0; i < vertex->degree; i++) {
			if (vertex->edge[i]->distance >= 0)
				continue;
			vertex->edge[i]->distance = vertex->distance + 1;
			queue[tail++] = vertex->edge[i];
		}
	}
	/* Take the result, and leave the graph to the GPU as if nobody had been here. */
	for (i = 0; i < VERTICES; i++) {
		distance[i] = all[i]->distance;
		all[i]->distance = all[i] == &start ? 0 : -1;
	}
	free(queue);
	return distance;
}

int main(void)
{
	struct vertex *bridge_edge[DEGREE];	/* pointers on the stack */
	struct vertex bridge = { .edge = bridge_edge };
	struct vertex **all = allocate(VERTICES, sizeof(*all));
	int64_t *expected, farthest;
	struct gpu gpu;
	uint32_t i;
	bool same;

	start.edge = start_edge;
	all[0] = &start;
	all[1] = &bridge;
	for (i = 2; i < VERTICES; i++) {
		all[i] = allocate(1, sizeof(**all));
		all[i]->edge = allocate(DEGREE, sizeof(*all[i]->edge));
	}
	connect(all, &bridge);
	expected = search_cpu(all);

	printf("The GPU searches a graph: %d malloc'ed vertices, one on the stack, one global.\n\n",
	       VERTICES - 2);
	open_gpu(&gpu, "graph.gpu");
	farthest = search_gpu(&gpu);
	same = same_distances(all, expected);
	printf("\nFarthest vertex: %" PRId64 " steps. The CPU %s.\n", farthest,
	       same ? "found the same distances" : "DISAGREES");
	close_gpu(&gpu);

	for (i = 2; i < VERTICES; i++) {
		free(all[i]->edge);
		free(all[i]);
	}
	free(all);
	free(expected);
	return same ? 0 : 1;
}
