/* SPDX-License-Identifier: MIT */
/*
 * RISC-V RV64IMAFD hart: one work-item. Pure: all memory goes through mmu.h,
 * group memory and private memory; no locks, no threads, no knowledge of
 * queues.
 */
#ifndef GPU_HART_H
#define GPU_HART_H

#include "core.h"

/* What all harts of one work-group share. */
struct hart_group {
	uint32_t asid;
	uint32_t dims;
	uint32_t group_id[3];
	uint32_t local_size[3];		/* as in the packet */
	uint32_t group_size[3];		/* this group's, smaller at the edge */
	uint32_t grid_size[3];
	uint64_t packet;		/* index in the queue */
	uint64_t group_base;		/* VA of the group memory window */
	uint32_t group_len;		/* bytes of it, static and dynamic; 0: none */
	uint32_t group_dyn;		/* offset of the dynamic part */
	uint8_t *group_mem;		/* group_len bytes, 16-byte aligned */
	uint32_t private_len;		/* bytes per hart */
	uint64_t insn_limit;		/* per hart; 0: any */
};

struct hart {
	uint64_t x[32];
	uint64_t f[32];			/* NaN-boxed */
	uint64_t pc;
	uint32_t fcsr;
	uint32_t local_id[3];
	uint64_t insns;			/* retired */
	uint64_t lr_addr;		/* reservation; ~0: none */
	uint64_t lr_value;
	uint32_t lr_size;		/* 4 or 8 bytes */
	uint8_t *private_mem;		/* group->private_len bytes, 16-byte aligned */
	struct hart_group *group;
};

enum hart_stop {
	HART_BUDGET,	/* budget used up or agent kicked; go on later */
	HART_DONE,	/* returned or EXIT */
	HART_BARRIER,	/* at a barrier; pc is behind it */
	HART_FAULT,	/* access must park; pc unmoved, no side effect; stop->fault */
	HART_ERROR,	/* stop->qerr, stop->addr; pc at the instruction */
};

struct hart_stop_info {
	struct mmu_fault fault;
	uint32_t qerr;		/* GSVM_QERR_* */
	uint32_t access;
	uint64_t addr;
};

/* Start state of a work-item (docs/hardware.rst, "Start of a work-item"). */
void hart_init(struct hart *h, struct hart_group *g, const uint32_t local_id[3],
	       uint64_t entry, uint64_t kernarg, const uint64_t *preload, unsigned int npreload);

uint64_t hart_global_linear(const struct hart *h);

/*
 * Run at most @budget instructions. The core's agent has been entered. Looks
 * at agent_kicked() at least every 256 instructions.
 */
enum hart_stop hart_run(struct core *core, struct hart *h, unsigned int budget,
			struct hart_stop_info *stop);

#endif
