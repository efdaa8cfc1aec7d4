/* SPDX-License-Identifier: MIT */
/* Dispatches: work-groups and their harts. */
#ifndef GPU_DISPATCH_H
#define GPU_DISPATCH_H

#include "packet.h"

/* One work-item in flight. */
struct slot {
	struct list link;	/* group's ready, barrier, spare or woken; none: runs or parked */
	struct list all;	/* group.slots, or queue_unit.dead_slots */
	struct queue *q;
	struct group *group;
	bool parked;		/* @wait is fault.c's */
	struct fault_wait wait;
	struct hart hart;
};

struct group {
	struct packet *pkt;
	struct list all;		/* dispatch.groups */
	struct list link;		/* queue.groups or dispatch.spare */
	bool running;			/* a core has it; by queue_unit.lock, as is: */
	struct list woken;		/* slots back from fault.c */

	/* By the core that runs it. */
	struct hart_group hg;
	unsigned int size;		/* work-items */
	unsigned int started, ended, waiting;
	uint32_t next[3];		/* local id of the next to start */
	struct list ready;		/* slots that can go on */
	struct list barrier;		/* @waiting slots */
	struct list spare;
	struct list slots;		/* all */
	bool over;			/* ended, and nothing placed on it */
	bool expired;			/* its last turn used up the quantum */
};

/* With queue_unit.lock held. */
struct group *group_place(struct queue *q, struct work *w);	/* next of the grid, or NULL */
struct group *group_take(struct list *link);
void group_put(struct group *g);

/* By a core inside agent_enter(). */
void group_run(struct core *core, struct work *w);

/* Free a dispatch's groups; slots that fault.c may still wake go to @slots. */
void dispatch_drop(struct packet *pkt, struct list *slots);

#endif
