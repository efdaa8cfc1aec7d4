/* SPDX-License-Identifier: MIT */
/* User-mode queues: packets, dispatches, fairness, ends. */
#ifndef GPU_QUEUE_H
#define GPU_QUEUE_H

#include "gpu.h"

int queue_init(struct gpu *gpu);	/* also starts the cores (core.h) */
void queue_exit(struct gpu *gpu);
void queue_reset(struct gpu *gpu);	/* all queues gone; returns when no access is under way */

/* Command thread. stop returns when the queue can make no access any more. */
int queue_start(struct gpu *gpu, uint32_t queue);	/* -EINVAL: GSVM_ERR_COMMAND */
int queue_stop(struct gpu *gpu, uint32_t queue);
int queue_cancel(struct gpu *gpu, uint32_t queue, uint32_t reason);

/* BAR4 write; message thread, never blocks. */
void queue_doorbell(struct gpu *gpu, uint32_t asid, uint32_t slot, uint64_t value);

#endif
