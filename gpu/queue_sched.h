/* SPDX-License-Identifier: MIT */
/* Which queue runs on which core; harts in flight. Shared by the queue files. */
#ifndef GPU_QUEUE_SCHED_H
#define GPU_QUEUE_SCHED_H

#include <pthread.h>
#include <time.h>

#include "core.h"
#include "list.h"
#include "queue.h"

struct group;
struct packet;

/* Instructions (or what takes as long) that a core spends on one queue at a time. */
#define SCHED_QUANTUM	50000

enum queue_state {
	QUEUE_IDLE,	/* not started, or stopped */
	QUEUE_RUNNING,
	QUEUE_ENDING,	/* no core takes it any more; being torn down */
	QUEUE_DEAD,	/* ended by an error, which is published */
};

enum front_state {
	FRONT_READY,	/* a core may run it */
	FRONT_BUSY,	/* a core runs it */
	FRONT_SLEEP,	/* nothing below the doorbell, or an INVALID header */
	FRONT_ORDER,	/* waits for earlier packets to complete */
	FRONT_DEPS,	/* waits for signals, by notice and by timer */
	FRONT_PARKED,	/* fault.c has it */
};

enum pool_state {
	POOL_NONE,
	POOL_FIRST,	/* waits; the queue has no harts */
	POOL_MORE,	/* waits; the queue has some */
	POOL_GRANTED,	/* @want harts are its own */
};

struct queue_error {
	uint32_t error;		/* GSVM_QERR_*; 0: stopped, nothing to publish */
	uint32_t reason;
	uint32_t access;
	uint64_t addr, pc, packet, work_item;
	uint64_t time;		/* 0: now */
};

struct queue {
	struct queue_unit *unit;
	uint32_t id;

	/* Constant while started. */
	uint32_t asid, slot;
	uint64_t ring, mask, read_index, insn_limit;

	/* By queue_unit.lock, but for reads of @ending and @doorbell. */
	enum queue_state state;
	_Atomic bool ending;
	bool by_core;			/* ENDING: the last core out tears down */
	unsigned int users;		/* cores at work on it */
	struct queue_error err;

	struct list run;		/* sched_asid.queues */
	bool listed;
	bool front_turn;		/* packet processor before groups */
	bool fresh_turn;		/* a new group before those in flight */

	enum front_state front_state;
	bool front_again;		/* something happened while BUSY */
	_Atomic uint64_t doorbell;
	struct list packets;		/* launched, oldest first */
	unsigned int npackets;
	struct list launch;		/* launched, with groups to place */
	struct list completing;		/* all groups done, signal to be changed */
	struct list groups;		/* runnable */

	enum pool_state pool;
	unsigned int held, want;	/* harts */
	struct list wait;		/* pool.first, pool.more */

	uint64_t deadline;		/* monotonic ns; in the timer heap if heap_at */
	unsigned int heap_at;		/* index + 1 */
	uint64_t backoff;		/* ns */

	/* By the core that runs the packet processor. */
	struct packet *front;
	uint64_t next;			/* index of the next packet */
	bool indexed;			/* @next was read from the read index */
};

struct sched_asid {
	struct list run;		/* queue_unit.asids while @queues is not empty */
	struct list queues;
};

struct pool {
	unsigned int size, used;
	unsigned int reserve;		/* for queues that have no hart */
	struct list first, more;
};

#define SIGNAL_BUCKETS	1024

struct queue_unit {
	struct gpu *gpu;
	struct agent agent;		/* descriptors, by any thread outside other agents */

	pthread_mutex_t lock;		/* all below; leaf but for irq.c's, held for O(1) work */
	pthread_cond_t work;		/* a queue was listed, or exit */
	pthread_cond_t quiet;		/* a queue lost its last core, or left ENDING */
	bool exit;
	unsigned int sleepers;		/* cores in wait for @work */
	struct list asids;
	struct sched_asid asid[GSVM_MAX_ASIDS];
	struct queue queue[GSVM_MAX_QUEUES];
	struct queue *heap[GSVM_MAX_QUEUES];
	unsigned int heap_len;
	struct pool pool;
	struct list waiter[SIGNAL_BUCKETS];	/* struct signal_wait */
	_Atomic unsigned int waiters;
	struct list dead_slots, dead_packets;	/* see queue_reap() */
	/* Who owns a doorbell: queue + 1, or 0. */
	uint16_t bell[GSVM_MAX_ASIDS][GSVM_DOORBELLS_PER_PAGE];
};

enum work_kind { WORK_NAP, WORK_FRONT, WORK_COMPLETE, WORK_GROUP };

/* What a core does between sched_wait() and sched_put(). */
struct work {
	enum work_kind kind;
	struct queue *q;
	struct packet *pkt;		/* WORK_COMPLETE */
	struct group *group;		/* WORK_GROUP */
	uint64_t insns;			/* statistics to add */
	bool starved;			/* host memory ran out: pause before the next work */
};

static inline bool queue_ending(struct queue *q)
{
	return atomic_load_explicit(&q->ending, memory_order_relaxed);
}

static inline uint64_t sched_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void sched_init(struct queue_unit *u);

/* By a core. wait: false when the threads shall end. */
bool sched_wait(struct queue_unit *u, struct work *w);
void sched_put(struct queue_unit *u, struct work *w);

/* All of these with the lock held. */
void sched_update(struct queue *q);		/* list it if it has work */
void sched_unlist(struct queue *q);
void sched_timer_set(struct queue *q, uint64_t deadline);
void sched_timer_clear(struct queue *q);
void sched_front_wake(struct queue *q, enum front_state from);
/* End of a turn of the packet processor: @state, or READY if something came in. */
void sched_front_rest(struct queue *q, enum front_state state);

/* pool.c, with the lock held. */
void pool_init(struct pool *p, unsigned int harts);
bool pool_admit(struct queue *q, unsigned int n);	/* false: will be woken */
bool pool_keep(struct queue *q);	/* may an ended group's harts go to the next one? */
void pool_release(struct queue *q, unsigned int n);
void pool_cancel(struct queue *q);	/* forget a wait or give back a grant */

/* queue.c. By a core at work on @q, without the lock: end it with an error. */
void queue_fail(struct queue *q, const struct queue_error *err);
/* By the last core out of a queue that is ENDING by_core; no lock, no agent. */
void queue_finish(struct queue *q);

#endif
