/* SPDX-License-Identifier: MIT */
/* Compute core: a worker thread (an agent) with its own TLB. */
#ifndef GPU_CORE_H
#define GPU_CORE_H

#include <pthread.h>

#include "agent.h"
#include "mmu.h"

struct core {
	struct agent agent;
	struct gpu *gpu;
	unsigned int id;
	pthread_t thread;
	struct tlb tlb;
};

/*
 * cmd.c invalidates a core's TLB between agent_stop() and agent_continue();
 * the cores are gpu->core[0 .. cfg.num_cores - 1], constant after queue_init().
 */

/* By queue.c: threads up, -errno and none left on failure; threads down. */
int core_start(struct gpu *gpu);
void core_stop(struct gpu *gpu);

#endif
