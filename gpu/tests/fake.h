/* SPDX-License-Identifier: MIT */
/*
 * A GPU without transport, for tests of single units: one bus window, a little
 * VRAM, interrupts and errors that are counted, queue commands that are noted.
 * All functions of other units here are weak: the real unit wins if linked.
 */
#ifndef GPU_TESTS_FAKE_H
#define GPU_TESTS_FAKE_H

#include "core.h"
#include "gpu.h"

#define FAKE_BUS	0x140000000ull	/* first bus address of the window */
#define FAKE_SIZE	(16ull << 20)
#define FAKE_VRAM	(8ull << 20)

struct fake_error {
	uint32_t err;
	uint64_t info;
	bool fatal;
};

enum fake_queue_op { FAKE_QUEUE_START, FAKE_QUEUE_STOP, FAKE_QUEUE_CANCEL };

struct fake_queue_call {
	enum fake_queue_op op;
	uint32_t queue, reason;
	uint32_t head_seen;		/* gsvm_status.cmd_head when it was called */
};

struct fake {
	struct gpu gpu;
	struct gsvm_status *status;	/* in bus memory, like the rings */
	struct gsvm_ctx *ctx;
	struct gsvm_cmd *cmd;
	struct gsvm_fault *fault;

	uint8_t *bus;			/* memory behind the window */
	uint64_t bus_used, vram_used;

	/* Window control; by the test, with all agents quiet. */
	_Atomic bool window, read_only;
	/* The window is one of 4 KiB windows: nobody gets more than a page at once. */
	_Atomic bool pages;
	_Atomic uint64_t generation;

	_Atomic unsigned int irq[GSVM_NUM_VECTORS];
	_Atomic unsigned int errors;	/* so many in error[] */
	struct fake_error error[64];
	_Atomic unsigned int calls;	/* so many in call[] */
	struct fake_queue_call call[64];
	void (*ptr_hook)(struct fake *f);	/* before gpu_ptr() gives a writable pointer */
	void (*queue_hook)(struct gpu *gpu, uint32_t queue);	/* by the command thread */
	int queue_ret;			/* what queue commands return */
	_Atomic unsigned int pokes;	/* cmd_poke() where cmd.c is not linked */
};

/* A GPU with empty tables and rings, enabled, not checking; no unit is started. */
struct fake *fake_create(unsigned int cores);
void fake_destroy(struct fake *f);

/* Zeroed memory, a multiple of 4 KiB, never freed; bus address or VRAM offset. */
uint64_t fake_alloc(struct fake *f, bool vram, size_t size);
void *fake_host(struct fake *f, bool vram, uint64_t addr);

/*
 * The page-table entry for @va at @level; tables above it are made in VRAM or
 * bus memory as @vram says, the context entry too.
 */
uint64_t *fake_pte(struct fake *f, uint32_t asid, uint64_t va, unsigned int level, bool vram);

/* Give the others the processor between two looks at something they do. */
void fake_nap(void);
/* Wait until *@word is @value; false after ten seconds. */
bool fake_wait(const uint32_t *word, uint32_t value);

#endif
