// SPDX-License-Identifier: MIT
/*
 * DOC: Compute cores
 *
 * A core is a thread that takes work from the scheduler and does it inside
 * agent_enter(), so that whoever changes a translation can wait for it. It
 * never enters another agent while inside, and calls nothing that waits.
 */
#include "core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dispatch.h"
#include "dma.h"

#define NAP_US	1000	/* when the host has no memory */

static void core_work(struct core *core, struct work *w)
{
	agent_enter(&core->agent);
	mmu_enter(core->gpu, &core->tlb);
	switch (w->kind) {
	case WORK_FRONT:
		packet_front(core, w);
		break;
	case WORK_COMPLETE:
		packet_complete(core, w);
		break;
	case WORK_GROUP:
		group_run(core, w);
		break;
	case WORK_NAP:
		break;
	}
	agent_leave(&core->agent);
}

static void *core_main(void *arg)
{
	struct core *core = arg;
	struct queue_unit *u = core->gpu->queue;
	struct work w;

	while (sched_wait(u, &w)) {
		core_work(core, &w);
		sched_put(u, &w);
		if (w.starved)
			usleep(NAP_US);
	}
	return NULL;
}

static void core_free(struct core *core)
{
	dma_remove_agent(core->gpu, &core->agent);
	agent_destroy(&core->agent);
	free(core);
}

static int core_new(struct gpu *gpu, unsigned int id)
{
	struct core *core = calloc(1, sizeof(*core));
	char name[16];
	int ret;

	if (!core)
		return -ENOMEM;
	core->gpu = gpu;
	core->id = id;
	agent_init(&core->agent);
	dma_add_agent(gpu, &core->agent);
	gpu->core[id] = core;
	ret = pthread_create(&core->thread, NULL, core_main, core);
	if (ret) {
		gpu->core[id] = NULL;
		core_free(core);
		return -ret;
	}
	snprintf(name, sizeof(name), "core-%u", id);
	pthread_setname_np(core->thread, name);
	return 0;
}

int core_start(struct gpu *gpu)
{
	unsigned int i;
	int ret;

	for (i = 0; i < gpu->cfg.num_cores; i++) {
		ret = core_new(gpu, i);
		if (ret) {
			core_stop(gpu);
			return ret;
		}
	}
	return 0;
}

void core_stop(struct gpu *gpu)
{
	struct queue_unit *u = gpu->queue;
	unsigned int i;

	pthread_mutex_lock(&u->lock);
	u->exit = true;
	pthread_cond_broadcast(&u->work);
	pthread_mutex_unlock(&u->lock);
	for (i = 0; i < GPU_MAX_CORES; i++) {
		if (!gpu->core[i])
			continue;
		pthread_join(gpu->core[i]->thread, NULL);
		core_free(gpu->core[i]);
		gpu->core[i] = NULL;
	}
}
