// SPDX-License-Identifier: MIT
/*
 * DOC: The GPU
 *
 * Puts the units together, in the order in which they need each other, and
 * takes them apart in reverse. Threads of the units start in their init and
 * sleep until the device is enabled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd.h"
#include "copy.h"
#include "dma.h"
#include "fault.h"
#include "gpu.h"
#include "irq.h"
#include "pci.h"
#include "queue.h"
#include "regs.h"
#include "reset.h"
#include "trace.h"
#include "vfio.h"
#include "vram.h"

#define DEFAULT_VRAM	(256ull << 20)
#define DEFAULT_HARTS	8192
#define DEFAULT_CORES	4	/* at most */
#define DEFAULT_COPY	2

static void trace_exit(struct gpu *gpu)
{
	if (gpu->trace)
		trace_close(gpu);
}

static int trace_init(struct gpu *gpu)
{
	return gpu->cfg.trace_path ? trace_open(gpu) : 0;
}

static const struct unit {
	const char *name;
	int (*init)(struct gpu *gpu);
	void (*exit)(struct gpu *gpu);
} units[] = {
	{ "trace", trace_init, trace_exit },
	{ "VRAM", vram_init, vram_exit },
	{ "DMA", dma_init, dma_exit },
	{ "interrupts", irq_init, irq_exit },
	{ "configuration space", pci_init, pci_exit },
	{ "registers", regs_init, regs_exit },
	{ "transport", vfio_init, vfio_exit },
	{ "faults", fault_init, fault_exit },
	{ "queues", queue_init, queue_exit },
	{ "copy engines", copy_init, copy_exit },
	{ "commands", cmd_init, cmd_exit },
	{ "reset", reset_init, reset_exit },
};

#define NUM_UNITS	(sizeof(units) / sizeof(units[0]))

static void gpu_defaults(struct gpu_config *cfg)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!cfg->vram_size)
		cfg->vram_size = DEFAULT_VRAM;
	if (!cfg->num_cores)
		cfg->num_cores = cpus < 1 ? 1 : cpus > DEFAULT_CORES ? DEFAULT_CORES : cpus;
	if (!cfg->max_harts)
		cfg->max_harts = DEFAULT_HARTS;
	if (!cfg->num_copy)
		cfg->num_copy = DEFAULT_COPY;
}

static int gpu_check(const struct gpu_config *cfg)
{
	if (cfg->vram_size < GPU_MIN_VRAM || cfg->vram_size > GPU_MAX_VRAM ||
	    cfg->vram_size & (cfg->vram_size - 1)) {
		fprintf(stderr, "gsvm-gpu: VRAM must be a power of two, %llu MiB to %llu GiB\n",
			GPU_MIN_VRAM >> 20, GPU_MAX_VRAM >> 30);
		return -EINVAL;
	}
	if (cfg->num_cores > GPU_MAX_CORES) {
		fprintf(stderr, "gsvm-gpu: at most %u cores\n", GPU_MAX_CORES);
		return -EINVAL;
	}
	if (cfg->max_harts < QUEUE_MAX_GROUP || cfg->max_harts > GPU_MAX_HARTS) {
		fprintf(stderr, "gsvm-gpu: harts must be %u to %u\n", QUEUE_MAX_GROUP,
			GPU_MAX_HARTS);
		return -EINVAL;
	}
	if (cfg->num_copy > GSVM_MAX_COPY_ENGINES) {
		fprintf(stderr, "gsvm-gpu: at most %u copy engines\n", GSVM_MAX_COPY_ENGINES);
		return -EINVAL;
	}
	return 0;
}

static void gpu_exit_units(struct gpu *gpu, unsigned int n)
{
	while (n-- > 0)
		units[n].exit(gpu);
}

int gpu_create(const struct gpu_config *cfg, struct gpu **out)
{
	struct gpu *gpu = calloc(1, sizeof(*gpu));
	int ret;

	if (!gpu)
		return -ENOMEM;
	gpu->cfg = *cfg;
	gpu_defaults(&gpu->cfg);
	ret = gpu_check(&gpu->cfg);
	for (unsigned int i = 0; !ret && i < NUM_UNITS; i++) {
		ret = units[i].init(gpu);
		if (ret) {
			fprintf(stderr, "gsvm-gpu: cannot set up %s (error %d)\n",
				units[i].name, -ret);
			gpu_exit_units(gpu, i);
		}
	}
	if (ret) {
		free(gpu);
		return ret;
	}
	*out = gpu;
	return 0;
}

void gpu_destroy(struct gpu *gpu)
{
	gpu_exit_units(gpu, NUM_UNITS);
	free(gpu);
}
