/* SPDX-License-Identifier: MIT */
/* Signals: completion, and packets that wait for them. */
#ifndef GPU_QUEUE_SIGNAL_H
#define GPU_QUEUE_SIGNAL_H

#include "queue_sched.h"

struct packet;

#define SIGNAL_DEPS	5

struct signal_wait {
	struct list link;	/* queue_unit.waiter[] */
	uint64_t va;
	uint32_t asid;
	struct queue *q;
};

/* What a barrier packet waits for. */
struct signal_set {
	struct signal_wait wait[SIGNAL_DEPS];
	bool listed;
	uint32_t seen;		/* bit n: dep n was there as 0 */
};

void signal_init(struct queue_unit *u);

/* With queue_unit.lock held: have the packet processor of @q woken. */
void signal_watch(struct signal_set *s, struct queue *q, const __u64 dep[SIGNAL_DEPS]);
void signal_unwatch(struct signal_set *s, struct queue *q);

/*
 * Complete a packet: times, decrement, interrupt. False and *fault when the
 * access must park; then nothing has happened. By a core inside agent_enter().
 */
bool signal_complete(struct core *core, struct packet *pkt, uint64_t va,
		     struct mmu_fault *fault);

/* Is the value 0? Like signal_complete(); *zero is set on success. */
bool signal_poll(struct core *core, struct queue *q, uint64_t va, bool *zero,
		 struct mmu_fault *fault);

#endif
