/* SPDX-License-Identifier: MIT */
/* AQL packets: the packet processor and a packet's way to its signal. */
#ifndef GPU_PACKET_H
#define GPU_PACKET_H

#include "fault.h"
#include "hart.h"
#include "queue_sched.h"
#include "queue_signal.h"

/* Kernel packets of one queue that are launched and not complete. */
#define PACKET_OVERLAP	16

enum packet_step {
	PACKET_INDEX,		/* read the queue's read index (first packet only) */
	PACKET_FETCH,
	PACKET_ORDER,		/* barrier bit, too many launched */
	PACKET_CONSUME,		/* header in the ring becomes INVALID */
	PACKET_PUBLISH,		/* read index moves on */
	PACKET_DEPS,		/* barrier packets */
	PACKET_COPY,
	PACKET_FILL,
	PACKET_KERNEL,		/* read the kernel descriptor */
	PACKET_PRELOAD,
	PACKET_LAUNCH,		/* hand over to groups */
	PACKET_RUNNING,		/* dispatch.c has it */
	PACKET_SIGNAL,
	PACKET_STEPS
};

/* A kernel packet's grid. By queue_unit.lock once launched. */
struct dispatch {
	struct hart_group proto;	/* what all groups share */
	uint64_t entry;
	uint64_t preload[8];
	unsigned int npreload;
	unsigned int harts;		/* per full group */
	uint32_t ngroups[3], next[3];
	unsigned int live;		/* groups in flight */
	struct list groups;		/* all that exist */
	struct list spare;		/* ended, memory for the next */
};

struct packet {
	struct queue *q;
	enum packet_step step;
	bool launched;			/* lives in q->packets, not in q->front */
	bool parked;			/* @wait is fault.c's */
	uint64_t index;
	uint64_t start;			/* device time */
	struct fault_wait wait;
	struct list all;		/* q->packets, or queue_unit.dead_packets */
	struct list launch;		/* q->launch */
	struct list completing;		/* q->completing */
	union {
		uint16_t header;
		uint8_t raw[GSVM_PACKET_SIZE];
		struct gsvm_pkt_kernel kernel;
		struct gsvm_pkt_barrier barrier;
		struct gsvm_pkt_vendor vendor;
	} p;
	uint64_t done;			/* copy, fill: bytes */
	struct signal_set deps;		/* barriers */
	struct dispatch d;		/* kernels */
};

static inline struct packet *packet_of_completing(struct list *l)
{
	return list_of(l, struct packet, completing);
}

/* VA of the packet in the ring. */
static inline uint64_t packet_va(const struct queue *q, uint64_t index)
{
	return q->ring + (index & q->mask) * GSVM_PACKET_SIZE;
}

/* By a core inside agent_enter(): a turn of the packet processor. */
void packet_front(struct core *core, struct work *w);
/* Likewise: the signal of a launched packet. */
void packet_complete(struct core *core, struct work *w);

/* Free with all groups. Slots that fault.c may still wake go to @slots. */
void packet_free(struct packet *pkt, struct list *slots);
/* All of an ended queue; packets that fault.c may still wake go to @packets. */
void packet_drop_all(struct queue *q, struct list *slots, struct list *packets);

/* packet_check.c: 0 or the error; *addr is what the error's addr shall be. */
uint32_t packet_check(const struct queue *q, struct packet *pkt, uint64_t *addr);
uint32_t kernel_check(struct packet *pkt, const struct gsvm_kernel *k, uint64_t *addr);

#endif
