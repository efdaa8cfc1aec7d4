/* SPDX-License-Identifier: MIT */
/*
 * Agents: threads that touch guest memory or VRAM through host pointers.
 *
 * An agent holds its own lock while it uses any pointer that came from dma.h
 * or mmu.h, and gives it up at least every few tens of microseconds: it looks
 * at agent_kicked() between instructions or between chunks of a copy. Whoever
 * must know that no access through an old translation is under way (a TLB
 * invalidation, a DMA unmap, a queue stop, a reset) stops the agent, changes
 * what it must, and lets it go on: between agent_stop() and agent_continue()
 * the agent holds no pointer and sits at a boundary. This is the model's form
 * of "all outstanding transactions have drained".
 */
#ifndef GPU_AGENT_H
#define GPU_AGENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct agent {
	pthread_mutex_t lock;	/* held by the agent while it uses pointers */
	pthread_cond_t quiet;	/* kick fell to 0 */
	atomic_int kick;	/* stoppers waiting or holding */
};

void agent_init(struct agent *a);
void agent_destroy(struct agent *a);

/* By the agent's own thread. enter waits until no stopper wants the agent. */
void agent_enter(struct agent *a);
void agent_leave(struct agent *a);
static inline bool agent_kicked(struct agent *a)
{
	return atomic_load_explicit(&a->kick, memory_order_relaxed) != 0;
}

/* By any other thread; nests between different stoppers one after the other. */
void agent_stop(struct agent *a);
void agent_continue(struct agent *a);

#endif
