/* SPDX-License-Identifier: MIT */
/*
 * Parked accesses: who waits for which page, the fault ring that tells the
 * driver, and the resume that lets them go on.
 */
#ifndef GPU_FAULT_H
#define GPU_FAULT_H

#include "gpu.h"
#include "list.h"

/* One waiting unit; embedded in the hart or the queue's packet processor. */
struct fault_wait {
	/* fault.c's, from fault_park() to wake or drop. */
	struct list page;	/* leader: its hash bucket; merged: the leader's list */
	struct list queue;	/* waits of one queue, oldest first */
	struct list report;	/* leader: held back, for room in the ring or for a head */
	struct list merged;	/* leader: the waits that ride on its record */
	struct list block;	/* head: its hash bucket */
	struct list deferred;	/* head: the leaders that are held back for it */
	bool leader;			/* has a record of its own, or will have */
	bool reported;			/* leader: the record is in the ring */

	struct gsvm_fault rec;		/* filled by the caller, but for time and rsvd */
	/*
	 * Makes the unit runnable again. Called without locks of fault.c from
	 * the command thread, outside agent_enter(); must not block for long
	 * and may park again at once.
	 */
	void (*wake)(struct fault_wait *w);
};

int fault_init(struct gpu *gpu);
void fault_exit(struct gpu *gpu);
void fault_reset(struct gpu *gpu);	/* forget all; everything else is stopped */

/*
 * Park @w: report it, or merge it with a record that is under way for the same
 * ASID, 4 KiB page and an access that includes this one, or hold it back for a
 * head of its block. By an agent inside agent_enter(). From here on @w can be woken
 * at any time.
 */
void fault_park(struct gpu *gpu, struct fault_wait *w);

/*
 * GSVM_CMD_RESUME; command thread, outside agent_enter(). Returns whether
 * fault_report() has something to do.
 */
bool fault_resume(struct gpu *gpu, uint32_t asid, uint64_t start, uint64_t end);
/* GSVM_CMD_FAULT_REPORT; any thread. fault_report() is to follow if it returns true. */
bool fault_undefer(struct gpu *gpu, uint32_t asid, uint64_t start, uint64_t end);
/* GSVM_CMD_FAULT_ACK; command thread, inside agent_enter(). */
void fault_ack(struct gpu *gpu, uint32_t index);
/* Write the records that wait for the ring; by an agent inside agent_enter(). */
void fault_report(struct gpu *gpu);

/*
 * Take all waits of @queue off without waking them; a copy of the chosen, or
 * else the oldest, record goes to *first if there was one (returns true). Afterwards fault.c
 * holds no pointer into the queue, with one exception: a fault_resume() that is
 * under way on the command thread may have taken waits off already and still
 * be about to wake them. Merged waits of other queues that depended on a
 * dropped record are reported anew. Any thread.
 */
bool fault_drop_queue(struct gpu *gpu, uint32_t queue, struct gsvm_fault *first);

/*
 * Is the access that a record of @queue with @addr and @time reported parked
 * still, without a resume since? Then it becomes the one that
 * fault_drop_queue() gives. GSVM_CMD_QUEUE_CANCEL; command thread.
 */
bool fault_choose(struct gpu *gpu, uint32_t queue, uint64_t addr, uint64_t time);

#endif
