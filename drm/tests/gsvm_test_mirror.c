// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Invalidations by hand
 *
 * One block and one invalidation of it, in the two passes in which the core
 * makes it.
 */

#include <linux/mmu_notifier.h>

#include <kunit/test.h>

#include "gsvm_test.h"
#include "gsvm_test_mirror.h"

/**
 * gsvm_test_mirror() - a block with a table, and memory for it
 * @test: test with an address space
 *
 * Return: the block, nothing mapped.
 */
struct gsvm_test_mirror *gsvm_test_mirror(struct kunit *test)
{
	struct gsvm_test_mirror *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->t = test->priv;
	m->pfn = gsvm_test_pages(m->t, false);
	m->block = gsvm_test_block(m->t, GSVM_TEST_ADDR);
	m->seq = 100;
	return m;
}

/**
 * gsvm_test_map() - map pages, writable
 * @m: block
 * @first: first page
 * @last: last page, inclusive
 */
void gsvm_test_map(struct gsvm_test_mirror *m, unsigned int first, unsigned int last)
{
	gsvm_test_fill(&m->pages, m->pfn, first, last, 0);
	mutex_lock(&m->block->lock);
	KUNIT_EXPECT_EQ(m->t->test, 0, gsvm_block_map(m->block, &m->pages));
	mutex_unlock(&m->block->lock);
}

/**
 * gsvm_test_inval() - first pass, as the core calls it
 * @m: block
 * @event: what happens
 * @flags: MMU_NOTIFIER_RANGE_BLOCKABLE or 0
 * @start: first byte
 * @end: byte behind the last
 *
 * Return: what the notifier says; &gsvm_test_mirror.finish is for the second pass.
 */
bool gsvm_test_inval(struct gsvm_test_mirror *m, enum mmu_notifier_event event,
		     unsigned int flags, u64 start, u64 end)
{
	mmu_notifier_range_init(&m->range, event, flags, m->t->vm->mm, start, end);
	m->finish = NULL;
	m->seq += 2;
	m->ret = m->block->notifier.ops->invalidate_start(&m->block->notifier, &m->range, m->seq,
							  &m->finish);
	if (m->ret && m->finish)
		m->finish->notifier = &m->block->notifier;
	return m->ret;
}

/**
 * gsvm_test_inval_pages() - gsvm_test_inval() of pages of the block
 * @m: block
 * @event: what happens
 * @flags: MMU_NOTIFIER_RANGE_BLOCKABLE or 0
 * @first: first page
 * @last: last page, inclusive
 *
 * Return: what the notifier says.
 */
bool gsvm_test_inval_pages(struct gsvm_test_mirror *m, enum mmu_notifier_event event,
			   unsigned int flags, unsigned int first, unsigned int last)
{
	return gsvm_test_inval(m, event, flags, GSVM_TEST_ADDR + first * PAGE_SIZE,
				 GSVM_TEST_ADDR + (last + 1) * PAGE_SIZE);
}

/**
 * gsvm_test_finish() - second pass, if the first one wants it
 * @m: block
 */
void gsvm_test_finish(struct gsvm_test_mirror *m)
{
	if (m->finish)
		m->block->notifier.ops->invalidate_finish(m->finish);
	m->finish = NULL;
}

/**
 * gsvm_test_make_busy() - bring a block into a state
 * @m: block, nothing mapped
 * @busy: the state
 */
void gsvm_test_make_busy(struct gsvm_test_mirror *m, enum gsvm_test_busy busy)
{
	if (busy == GSVM_BUSY_ZOMBIE)
		gsvm_test_iommu_init(m->t);
	if (busy == GSVM_BUSY_HUGE)
		gsvm_test_map(m, 0, GSVM_LAST);
	else if (busy != GSVM_BUSY_NOTHING)
		gsvm_test_map(m, 3, 5);
	if (busy == GSVM_BUSY_FLUSH || busy == GSVM_BUSY_ZOMBIE) {
		mutex_lock(&m->block->lock);
		gsvm_block_zap(m->block, 0, GSVM_LAST, false);
		mutex_unlock(&m->block->lock);
	}
}

