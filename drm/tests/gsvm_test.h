/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_TEST_H
#define GSVM_TEST_H

#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_hw.h"
#include "gsvm_mirror.h"
#include "gsvm_vm.h"

struct kunit;
struct task_struct;

/* Where blocks of tests are, and the index of their last page. */
#define GSVM_TEST_ADDR	0x7f0000200000ull
#define GSVM_LAST	(GSVM_BLOCK_PAGES - 1)

/* How gsvm_test_fill() offers pages. */
#define RO	BIT(0)		/* the CPU's entry is read-only */
#define EXEC	BIT(1)
#define SHIFTED	BIT(2)		/* the next frame each: contiguous, not aligned */
#define HOLE	BIT(3)		/* page 300 is not there */

#define GSVM_TEST_LOG	128
#define GSVM_TEST_ASIDS	8

/**
 * struct gsvm_test_event - something the driver wanted of the device
 * @wait: a wait; else a command
 * @cmd: the command
 * @seq: completion number of the command, or the one that was waited for
 */
struct gsvm_test_event {
	bool wait;
	struct gsvm_cmd cmd;
	u64 seq;
};

/**
 * struct gsvm_test - a GPU without hardware, in &kunit.priv
 * @test: the test
 * @gdev: the GPU; its registers and its status page are ordinary memory
 * @vm: address space of gsvm_test_vm_init(), mirror of the test's memory
 * @lock: protects what follows
 * @log: what was asked of the device, in order
 * @nr_log: events in @log
 * @seq: commands submitted
 * @wedged: why the driver gave the device up, or NULL
 * @on_wait: called in each wait for the device, which then counts as over
 * @data: for @on_wait
 * @mappings: DMA mappings alive, of gsvm_test_iommu_init()
 * @bad_unmaps: DMA mappings undone that there were not
 * @bad_pfn: page frame that cannot be mapped, or 0
 */
struct gsvm_test {
	struct kunit *test;
	struct gsvm_device *gdev;
	struct gsvm_vm *vm;
	struct mutex lock;	/* all that follows */
	struct gsvm_test_event log[GSVM_TEST_LOG];
	unsigned int nr_log;
	u64 seq;
	const char *wedged;
	void (*on_wait)(struct gsvm_test *t);
	void *data;
	struct xarray mappings;
	unsigned int bad_unmaps;
	unsigned long bad_pfn;
};

/**
 * struct gsvm_test_thread - a second actor, which obeys the stubs of the test
 * @test: the test
 * @fn: what it does
 * @data: for @fn
 * @at: completed by @fn when it is where the test wants it
 * @go_on: completed by the test
 * @done: @fn has returned
 * @task: the thread
 */
struct gsvm_test_thread {
	struct kunit *test;
	void (*fn)(struct gsvm_test_thread *thread);
	void *data;
	struct completion at;
	struct completion go_on;
	struct completion done;
	struct task_struct *task;
};

int gsvm_test_init(struct kunit *test);
int gsvm_test_vm_init(struct kunit *test);
void gsvm_test_iommu_init(struct gsvm_test *t);
struct gsvm_vm *gsvm_test_vm_create(struct gsvm_test *t);
struct gsvm_block *gsvm_test_block(struct gsvm_test *t, u64 addr);
void gsvm_test_block_release(struct gsvm_test *t, struct gsvm_block *block);
unsigned long gsvm_test_pages(struct gsvm_test *t, bool folio);
void gsvm_test_fill(struct gsvm_block_pages *pages, unsigned long pfn, int first, int last,
		    unsigned int how);
void gsvm_test_device_writes(struct gsvm_block *block, int first, int last);
bool gsvm_test_pfn_dirty(unsigned long pfn);
void gsvm_test_pfn_clean(unsigned long pfn);
void gsvm_test_log_clear(struct gsvm_test *t);
unsigned int gsvm_test_count(struct gsvm_test *t, bool wait);
void gsvm_test_start(struct gsvm_test *t, struct gsvm_test_thread *thread,
		     void (*fn)(struct gsvm_test_thread *thread), void *data);
bool gsvm_test_reached(struct completion *done);
u64 *gsvm_test_table(struct gsvm_test *t, u64 dma);

#endif
