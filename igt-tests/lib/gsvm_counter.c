// SPDX-License-Identifier: MIT
/*
 * Jobs that count until they are told to stop.
 */
#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

static void start(struct counter *c, struct queue *q, const char *kernel, char *base,
		  size_t stride, uint32_t items)
{
	uint32_t i;

	gsvm_assert(items <= CTL_ITEMS, "%u work-items\n", items);
	*c = (struct counter){
		.q = q, .ctl = map_shared(PAGE), .base = base, .stride = stride,
		.items = items,
	};
	c->job = gpu_launch(c->q, kernel, items, U(c->ctl), U(base), stride);
	for (i = 0; i < items; i++)
		gsvm_await(&c->ctl->rounds[i], 1, "work-item's first round");
}

void counter_start(struct counter *c, const char *kernel, char *base, size_t stride,
		   uint32_t items)
{
	start(c, queue_open(), kernel, base, stride, items);
}

void counter_start_system(struct counter *c, const char *kernel, char *base, size_t stride,
			  uint32_t items)
{
	start(c, queue_open_system(), kernel, base, stride, items);
}

void counter_await(struct counter *c, uint32_t item)
{
	gsvm_await(&c->ctl->rounds[item], gsvm_peek(&c->ctl->rounds[item]) + 2,
		   "rounds of a counting work-item");
}

void counter_end(struct counter *c)
{
	uint32_t i;

	gsvm_poke(&c->ctl->stop, 1);
	gpu_wait(c->q, c->job);
	for (i = 0; i < c->items; i++)
		gsvm_assert_eq(*(uint64_t *)(c->base + i * c->stride), c->ctl->rounds[i],
			       "count in memory against the work-item's own");
	munmap(c->ctl, PAGE);
	queue_close(c->q);
}
