/* SPDX-License-Identifier: MIT */
/* User-mode queues: packets, dispatches, fairness, ends. */
#ifndef GPU_QUEUE_H
#define GPU_QUEUE_H

#include "gpu.h"

/* GSVM_REG_MAX_GROUP, _GROUP_MEM, _PRIVATE_MEM; cfg.max_harts is at least MAX_GROUP. */
#define QUEUE_MAX_GROUP		1024
#define QUEUE_GROUP_MEM		65536
#define QUEUE_PRIVATE_MEM	65536

int queue_init(struct gpu *gpu);	/* also starts the cores (core.h); -errno */
void queue_exit(struct gpu *gpu);
void queue_reset(struct gpu *gpu);	/* all queues gone; returns when no access is under way */

/*
 * Command thread, outside agent_enter(): they wait for cores, and a core may
 * be waiting for a DMA unmap that stops the caller's agent. stop returns when
 * the queue can make no access any more. -EINVAL: GSVM_ERR_COMMAND. Stopping
 * or cancelling a queue that is not running does nothing.
 */
int queue_start(struct gpu *gpu, uint32_t queue);
int queue_stop(struct gpu *gpu, uint32_t queue);
int queue_cancel(struct gpu *gpu, uint32_t queue, uint32_t reason);

/* BAR4 write; message thread, never blocks. */
void queue_doorbell(struct gpu *gpu, uint32_t asid, uint32_t slot, uint64_t value);

#endif
