/* SPDX-License-Identifier: MIT */
/*
 * The GPU as a whole: what every unit can reach. Units keep their state
 * private in their .c file behind the pointers here.
 */
#ifndef GPU_H
#define GPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gsvm_hw.h"

struct agent;		/* agent.h: a thread that touches guest memory */
struct cmd_unit;	/* cmd.h: command ring */
struct copy_unit;	/* copy.h: copy engines */
struct core;		/* core.h: compute core, a worker thread with its TLB */
struct dma;		/* dma.h: bus windows */
struct fault_unit;	/* fault.h: parked accesses and the fault ring */
struct irq;		/* irq.h: MSI-X */
struct pci;		/* pci.h: configuration space */
struct queue_unit;	/* queue.h: user-mode queues */
struct regs;		/* regs.h: BAR0 and BAR4 */
struct reset;		/* reset.h: enable, disable, reset */
struct trace;		/* trace.h */
struct vfio;		/* vfio.h: the vfio-user server */

#define GPU_MAX_CORES	16

/* Limits; those of queues stand in queue.h. */
#define GPU_NUM_ASIDS	GSVM_MAX_ASIDS
#define GPU_NUM_QUEUES	GSVM_MAX_QUEUES
#define GPU_MAX_HARTS	(64u << 10)	/* most that --harts accepts */
#define GPU_MIN_VRAM	(64ull << 20)
#define GPU_MAX_VRAM	(64ull << 30)

struct gpu_config {
	uint64_t vram_size;	/* bytes, a power of two, 64 MiB.. */
	unsigned int num_cores;
	unsigned int max_harts;
	unsigned int num_copy;	/* copy engines, 1..GSVM_MAX_COPY_ENGINES */
	bool check;		/* checking mode: prove every TLB hit */
	const char *trace_path;	/* NULL: no trace */
};

struct gpu {
	struct gpu_config cfg;
	uint8_t *vram;			/* cfg.vram_size bytes, BAR2's memory */
	int vram_fd;			/* the same as a file, for the client to map */

	/*
	 * Register values that units read; written by regs.c on the message
	 * thread while the unit is disabled, constant while enabled.
	 */
	struct {
		uint64_t ctx_base, queue_base, status_base;
		uint64_t cmd_base, fault_base, copy_base[GSVM_MAX_COPY_ENGINES];
		uint32_t cmd_log2, fault_log2, fault_control, copy_log2[GSVM_MAX_COPY_ENGINES];
	} reg;
	_Atomic bool enabled;		/* units may work; false as soon as they must stop */

	struct dma *dma;
	struct cmd_unit *cmd;
	struct copy_unit *copy;
	struct fault_unit *fault;
	struct irq *irq;
	struct pci *pci;
	struct queue_unit *queue;
	struct regs *regs;
	struct reset *reset;
	struct trace *trace;
	struct vfio *vfio;
	struct core *core[GPU_MAX_CORES];

	_Atomic uint64_t stat[GSVM_NUM_STATS];		/* since reset: the registers */
	uint64_t stat_before[GSVM_NUM_STATS];		/* sum of what resets have cleared */
};

/*
 * gpu.c: the whole GPU, powered and reset, without a client. Zero fields of
 * @cfg get their defaults. -EINVAL (with a line on standard error) for a
 * configuration out of bounds, -errno for what could not be had.
 */
int gpu_create(const struct gpu_config *cfg, struct gpu **gpu);
void gpu_destroy(struct gpu *gpu);

/* regs.c */
uint64_t gpu_time_ns(const struct gpu *gpu);	/* GSVM_REG_TIME; any thread */
/* Latches GSVM_REG_ERROR (first one wins), raises GSVM_VEC_ERROR; any thread. */
void gpu_error(struct gpu *gpu, uint32_t err, uint64_t info);
/* The same, and FATAL: the device stops working until reset; any thread. */
void gpu_fatal(struct gpu *gpu, uint32_t err, uint64_t info);

/* irq.c: MSI-X message; any thread, never blocks. */
void irq_raise(struct gpu *gpu, unsigned int vector);

static inline void gpu_stat_add(struct gpu *gpu, unsigned int stat, uint64_t n)
{
	atomic_fetch_add_explicit(&gpu->stat[stat], n, memory_order_relaxed);
}

#endif
