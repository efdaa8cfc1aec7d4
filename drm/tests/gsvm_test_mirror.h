/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_TEST_MIRROR_H
#define GSVM_TEST_MIRROR_H

#include <linux/mmu_notifier.h>

#include "gsvm_block.h"

struct gsvm_test;
struct kunit;

#define BLOCK	MMU_NOTIFIER_RANGE_BLOCKABLE

/**
 * struct gsvm_test_mirror - one block, and one invalidation of it
 * @t: fixture
 * @block: the block
 * @pfn: memory for it
 * @pages: what is mapped
 * @range: what changes
 * @seq: the notifier's sequence
 * @finish: what the first pass left for the second
 * @ret: what the first pass said
 */
struct gsvm_test_mirror {
	struct gsvm_test *t;
	struct gsvm_block *block;
	unsigned long pfn;
	struct gsvm_block_pages pages;
	struct mmu_notifier_range range;
	unsigned long seq;
	struct mmu_interval_notifier_finish *finish;
	bool ret;
};

/**
 * enum gsvm_test_busy - states of a block
 * @GSVM_BUSY_NOTHING: nothing mapped
 * @GSVM_BUSY_PAGES: pages 3 to 5 mapped
 * @GSVM_BUSY_ELSEWHERE: the same, and the test is about others
 * @GSVM_BUSY_HUGE: mapped by one leaf
 * @GSVM_BUSY_FLUSH: pages zapped, the flush is not finished
 * @GSVM_BUSY_ZOMBIE: the same, with DMA mappings to undo
 */
enum gsvm_test_busy {
	GSVM_BUSY_NOTHING,
	GSVM_BUSY_PAGES,
	GSVM_BUSY_ELSEWHERE,
	GSVM_BUSY_HUGE,
	GSVM_BUSY_FLUSH,
	GSVM_BUSY_ZOMBIE,
};

struct gsvm_test_mirror *gsvm_test_mirror(struct kunit *test);
void gsvm_test_map(struct gsvm_test_mirror *m, unsigned int first, unsigned int last);
bool gsvm_test_inval(struct gsvm_test_mirror *m, enum mmu_notifier_event event,
		     unsigned int flags, u64 start, u64 end);
bool gsvm_test_inval_pages(struct gsvm_test_mirror *m, enum mmu_notifier_event event,
			   unsigned int flags, unsigned int first, unsigned int last);
void gsvm_test_finish(struct gsvm_test_mirror *m);
void gsvm_test_make_busy(struct gsvm_test_mirror *m, enum gsvm_test_busy busy);

#endif
