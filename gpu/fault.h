/* SPDX-License-Identifier: MIT */
/*
 * Parked accesses: who waits for which page, the fault ring that tells the
 * driver, and the resume that lets them go on.
 */
#ifndef GPU_FAULT_H
#define GPU_FAULT_H

#include "gpu.h"

/* One waiting unit; embedded in the hart or the queue's packet processor. */
struct fault_wait {
	struct fault_wait *next, **pprev;	/* fault.c's */
	struct gsvm_fault rec;			/* filled by the caller, but for time */
	bool merged;				/* fault.c's */
	/*
	 * Makes the unit runnable again. Called without locks of fault.c from
	 * the command thread; must not block and may park again at once.
	 */
	void (*wake)(struct fault_wait *w);
};

int fault_init(struct gpu *gpu);
void fault_exit(struct gpu *gpu);
void fault_reset(struct gpu *gpu);	/* forget all; everything else is stopped */

/*
 * Park @w: report it, or merge it with a record that is under way for the same
 * ASID, 4 KiB page and an access that includes this one. From any agent.
 */
void fault_park(struct gpu *gpu, struct fault_wait *w);

/* GSVM_CMD_RESUME, GSVM_CMD_FAULT_ACK; command thread. */
void fault_resume(struct gpu *gpu, uint32_t asid, uint64_t start, uint64_t end);
void fault_ack(struct gpu *gpu, uint32_t index);

/*
 * Take all waits of @queue off without waking them; a copy of the oldest
 * record goes to *first if there was one (returns true). Afterwards fault.c
 * holds no pointer into the queue. Merged waits of other queues that depended
 * on a dropped record are reported anew.
 */
bool fault_drop_queue(struct gpu *gpu, uint32_t queue, struct gsvm_fault *first);

#endif
