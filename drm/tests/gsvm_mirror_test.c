// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Notifiers, tested
 *
 * What the mirror does when the process's memory changes. Most tests call the
 * notifier's own operations with an event of their choice, as the core does;
 * the last ones change real memory.
 */

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <kunit/test.h>

#include "gsvm_populate.h"
#include "gsvm_test.h"
#include "gsvm_test_mirror.h"

/* ---- Which event takes what ------------------------------------------------- */

enum gsvm_mirror_takes { GSVM_TAKES_WRITE, GSVM_TAKES_PAGES };

struct gsvm_mirror_event_case {
	const char *name;
	enum mmu_notifier_event event;
	enum gsvm_mirror_takes takes;
	bool unmapped;		/* the block may go, when it is empty */
	bool waits;		/* for the end of a guard */
};

static const struct gsvm_mirror_event_case gsvm_mirror_event_cases[] = {
	{ "unmap", MMU_NOTIFY_UNMAP, GSVM_TAKES_PAGES, true, true },
	{ "clear", MMU_NOTIFY_CLEAR, GSVM_TAKES_PAGES, false, true },
	{ "protection-vma", MMU_NOTIFY_PROTECTION_VMA, GSVM_TAKES_PAGES },
	{ "protection-page", MMU_NOTIFY_PROTECTION_PAGE, GSVM_TAKES_WRITE },
	{ "soft-dirty", MMU_NOTIFY_SOFT_DIRTY, GSVM_TAKES_WRITE },
	{ "release", MMU_NOTIFY_RELEASE, GSVM_TAKES_PAGES, true, true },
	{ "migrate", MMU_NOTIFY_MIGRATE, GSVM_TAKES_PAGES },
	{ "exclusive", MMU_NOTIFY_EXCLUSIVE, GSVM_TAKES_PAGES },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_mirror_event, gsvm_mirror_event_cases, name);

static void gsvm_mirror_test_event_pages(struct kunit *test)
{
	const struct gsvm_mirror_event_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	u64 *entry = m->block->table->pt.entry;
	struct gsvm_test *t = m->t;

	gsvm_test_map(m, 3, 5);
	entry[4] |= GSVM_PTE_D;
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, c->event, BLOCK, 0, GSVM_LAST));
	/* The first pass does all but wait. */
	KUNIT_EXPECT_EQ(test, m->seq, m->block->notifier.invalidate_seq);
	KUNIT_EXPECT_EQ(test, c->takes == GSVM_TAKES_PAGES ? 0 : 3, m->block->nr_mapped);
	KUNIT_EXPECT_EQ(test, 0, entry[4] & GSVM_PTE_W);
	KUNIT_EXPECT_TRUE(test, gsvm_test_pfn_dirty(m->pfn + 4));
	KUNIT_EXPECT_FALSE(test, gsvm_test_pfn_dirty(m->pfn + 3));
	KUNIT_EXPECT_EQ(test, 0, t->nr_log);
	KUNIT_ASSERT_NOT_NULL(test, m->finish);

	gsvm_test_finish(m);
	KUNIT_ASSERT_EQ(test, 2, t->nr_log);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + 3 * PAGE_SIZE, t->log[0].cmd.start);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + 6 * PAGE_SIZE, t->log[0].cmd.end);
	KUNIT_EXPECT_TRUE(test, t->log[1].wait);
	KUNIT_EXPECT_EQ(test, 0, m->block->flush);
	KUNIT_EXPECT_EQ(test, c->unmapped, !list_empty(&m->block->gc_link));
	KUNIT_EXPECT_EQ(test, c->unmapped, m->block->unmapped);
	KUNIT_EXPECT_EQ(test, 1, atomic64_read(&t->vm->stats.invalidations));
	KUNIT_EXPECT_EQ(test, c->takes == GSVM_TAKES_PAGES ? 3 : 0,
			atomic64_read(&t->vm->stats.pages_invalidated));
}

static void gsvm_mirror_test_event_huge(struct kunit *test)
{
	const struct gsvm_mirror_event_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_test *t = m->t;

	gsvm_test_map(m, 0, GSVM_LAST);
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_HUGE, m->block->state);
	*m->block->slot |= GSVM_PTE_D;
	/* One page of it is enough. */
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, c->event, BLOCK, 7, 7));
	KUNIT_EXPECT_EQ(test, c->takes == GSVM_TAKES_PAGES ? GSVM_BLOCK_EMPTY : GSVM_BLOCK_HUGE,
			m->block->state);
	KUNIT_EXPECT_EQ(test, 0, *m->block->slot & GSVM_PTE_W);
	KUNIT_EXPECT_TRUE(test, gsvm_test_pfn_dirty(m->pfn + GSVM_LAST));
	KUNIT_EXPECT_EQ(test, 0, t->nr_log);
	KUNIT_ASSERT_NOT_NULL(test, m->finish);
	gsvm_test_finish(m);
	KUNIT_ASSERT_EQ(test, 2, t->nr_log);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR, t->log[0].cmd.start);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE, t->log[0].cmd.end);
	KUNIT_EXPECT_TRUE(test, t->log[1].wait);
}

/* Nothing is mapped: nothing to do, but whoever maps right now has to look again. */
static void gsvm_mirror_test_event_empty(struct kunit *test)
{
	const struct gsvm_mirror_event_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);

	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, c->event, BLOCK, 0, GSVM_LAST));
	KUNIT_EXPECT_EQ(test, m->seq, m->block->notifier.invalidate_seq);
	KUNIT_EXPECT_NULL(test, m->finish);
	KUNIT_EXPECT_EQ(test, 0, m->t->nr_log);
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&m->t->vm->stats.invalidations));
	KUNIT_EXPECT_EQ(test, c->unmapped, !list_empty(&m->block->gc_link));
}

/* A 2 MiB page leaves VRAM: an unmapping waits, or refuses where it may not; others pass. */
static void gsvm_mirror_test_event_guarded(struct kunit *test)
{
	const struct gsvm_mirror_event_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);

	m->block->guard = &init_task;
	KUNIT_EXPECT_EQ(test, !c->waits, gsvm_test_inval_pages(m, c->event, 0, 0, GSVM_LAST));
	/* Who refuses leaves no trace: the guard must not take it for an unmapping. */
	KUNIT_EXPECT_EQ(test, !c->waits, m->seq == m->block->notifier.invalidate_seq);
	m->block->guard = current;
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, c->event, BLOCK, 0, GSVM_LAST));
	KUNIT_EXPECT_EQ(test, m->seq, m->block->notifier.invalidate_seq);
	m->block->guard = NULL;
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, c->event, 0, 0, GSVM_LAST));
}

/* ---- How much of a range lies in the block ---------------------------------- */

struct gsvm_mirror_range_case {
	const char *name;
	s64 start;		/* bytes from the block's start */
	s64 end;
	unsigned int left;	/* of pages 0..3 and 508..510: which stay, as bits */
};

static const struct gsvm_mirror_range_case gsvm_mirror_range_cases[] = {
	{ "one-page", 0x1000, 0x2000, 0x7d },
	{ "first-page", 0, 0x1000, 0x7e },
	{ "last-page", 0x1ff000, 0x200000, 0x7f },
	{ "block", 0, 0x200000, 0 },
	{ "from-before", -0x200000, 0x2000, 0x7c },
	{ "to-behind", 0x1fd000, 0x600000, 0x1f },
	{ "around", -0x40000000, 0x40000000, 0 },
	{ "all-there-is", -(s64)GSVM_TEST_ADDR, S64_MAX, 0 },
	{ "middle", 0x2000, 0x1fd000, 0x63 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_mirror_range, gsvm_mirror_range_cases, name);

static void gsvm_mirror_test_range(struct kunit *test)
{
	static const unsigned int page[] = { 0, 1, 2, 3, 508, 509, 510 };
	const struct gsvm_mirror_range_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	unsigned int i, left = 0;
	u64 end = c->end == S64_MAX ? ULONG_MAX : GSVM_TEST_ADDR + c->end;

	gsvm_test_map(m, 0, 3);
	gsvm_test_map(m, 508, 510);
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval(m, MMU_NOTIFY_CLEAR, BLOCK,
						GSVM_TEST_ADDR + c->start, end));
	for (i = 0; i < ARRAY_SIZE(page); i++)
		left |= (m->block->table->pt.entry[page[i]] & GSVM_PTE_V) << i;
	KUNIT_EXPECT_EQ(test, c->left, left);
	gsvm_test_finish(m);
}

/* ---- Two passes ------------------------------------------------------------- */

/*
 * Nothing is left to take, but the one who took it has not finished: our caller
 * must not go on before.
 */
static void gsvm_mirror_test_unfinished(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct mmu_interval_notifier_finish *first;

	gsvm_test_map(m, 3, 5);
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 3, 3));
	first = m->finish;
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 3, 3));
	KUNIT_EXPECT_NOT_NULL(test, m->finish);
	/* The second one is through first. */
	gsvm_test_finish(m);
	KUNIT_EXPECT_EQ(test, 1, gsvm_test_count(m->t, true));
	KUNIT_EXPECT_EQ(test, 1, gsvm_test_count(m->t, false));
	/* It has waited for both. */
	m->finish = first;
	gsvm_test_finish(m);
	KUNIT_EXPECT_EQ(test, 1, gsvm_test_count(m->t, true));
	KUNIT_EXPECT_EQ(test, 0, m->block->flush);
}

/* Many blocks, one batch: the first to finish sends for all. */
static void gsvm_mirror_test_two_blocks(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_block *first = m->block, *second;
	struct mmu_interval_notifier_finish *finish;
	struct gsvm_test *t = m->t;

	gsvm_test_map(m, 508, 511);
	second = gsvm_test_block(t, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE);
	m->block = second;
	gsvm_test_map(m, 0, 3);

	m->block = first;
	gsvm_test_inval(m, MMU_NOTIFY_UNMAP, BLOCK, GSVM_TEST_ADDR,
			GSVM_TEST_ADDR + 2 * GSVM_BLOCK_SIZE);
	finish = m->finish;
	m->block = second;
	gsvm_test_inval(m, MMU_NOTIFY_UNMAP, BLOCK, GSVM_TEST_ADDR,
			GSVM_TEST_ADDR + 2 * GSVM_BLOCK_SIZE);
	gsvm_test_finish(m);
	KUNIT_ASSERT_EQ(test, 2, t->nr_log);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + 508 * PAGE_SIZE, t->log[0].cmd.start);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE + 4 * PAGE_SIZE,
			t->log[0].cmd.end);
	m->block = first;
	m->finish = finish;
	gsvm_test_finish(m);
	KUNIT_EXPECT_EQ(test, 1, gsvm_test_count(t, false));
	KUNIT_EXPECT_EQ(test, 0, first->flush | second->flush);
}

/* DMA mappings live until the flush is over, and not longer. */
static void gsvm_mirror_zombies_in_wait(struct gsvm_test *t)
{
	struct gsvm_test_mirror *m = t->data;
	unsigned int mappings = 0;
	unsigned long index;
	void *size;

	xa_for_each(&t->mappings, index, size)
		mappings++;
	KUNIT_EXPECT_EQ(t->test, 3, mappings);
	KUNIT_EXPECT_EQ(t->test, 2, m->block->nr_zombies);
}

static void gsvm_mirror_test_zombies(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_test *t = m->t;

	gsvm_test_iommu_init(t);
	gsvm_test_map(m, 3, 5);
	gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 3, 4);
	t->data = m;
	t->on_wait = gsvm_mirror_zombies_in_wait;
	gsvm_test_finish(m);
	t->on_wait = NULL;
	KUNIT_EXPECT_EQ(test, 1, gsvm_test_count(t, true));
	KUNIT_EXPECT_EQ(test, 0, m->block->nr_zombies);
	KUNIT_EXPECT_NULL(test, xa_load(&t->mappings, m->pfn + 3));
	KUNIT_EXPECT_NULL(test, xa_load(&t->mappings, m->pfn + 4));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&t->mappings, m->pfn + 5));
	KUNIT_EXPECT_EQ(test, 0, t->bad_unmaps);
}

/* While one waits, another invalidation takes a page: its zombie is too fresh. */
static void gsvm_mirror_another_in_wait(struct gsvm_test *t)
{
	struct gsvm_test_mirror *m = t->data;

	if (gsvm_test_count(t, true) == 1) {
		mutex_lock(&m->block->lock);
		gsvm_block_zap(m->block, 4, 4, false);
		mutex_unlock(&m->block->lock);
	}
	/* Nothing has been buried before the second flush is over. */
	KUNIT_EXPECT_EQ(t->test, 2, m->block->nr_zombies);
}

static void gsvm_mirror_test_settle_again(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_test *t = m->t;

	gsvm_test_iommu_init(t);
	gsvm_test_map(m, 3, 5);
	gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 3, 3);
	t->data = m;
	t->on_wait = gsvm_mirror_another_in_wait;
	gsvm_test_finish(m);
	t->on_wait = NULL;
	KUNIT_EXPECT_EQ(test, 2, gsvm_test_count(t, true));
	KUNIT_EXPECT_EQ(test, 2, gsvm_test_count(t, false));
	KUNIT_EXPECT_EQ(test, 0, m->block->nr_zombies);
	KUNIT_EXPECT_EQ(test, 0, m->block->flush);
	KUNIT_EXPECT_EQ(test, 0, t->bad_unmaps);
}

/* ---- Where the caller may not sleep (the OOM reaper) ------------------------- */

struct gsvm_mirror_atomic_case {
	const char *name;
	enum gsvm_test_busy busy;
	bool held;		/* another thread has the block's lock */
	bool ret;
};

static const struct gsvm_mirror_atomic_case gsvm_mirror_atomic_cases[] = {
	{ "free-nothing", GSVM_BUSY_NOTHING, false, true },
	{ "free-pages", GSVM_BUSY_PAGES, false, false },
	{ "free-pages-elsewhere", GSVM_BUSY_ELSEWHERE, false, false },
	{ "free-huge", GSVM_BUSY_HUGE, false, false },
	{ "free-flush", GSVM_BUSY_FLUSH, false, false },
	{ "free-zombie", GSVM_BUSY_ZOMBIE, false, false },
	{ "held-nothing", GSVM_BUSY_NOTHING, true, false },
	{ "held-pages", GSVM_BUSY_PAGES, true, false },
	{ "held-huge", GSVM_BUSY_HUGE, true, false },
	{ "held-flush", GSVM_BUSY_FLUSH, true, false },
	{ "held-zombie", GSVM_BUSY_ZOMBIE, true, false },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_mirror_atomic, gsvm_mirror_atomic_cases, name);

/* Has the block's lock until it is told to go on. */
static void gsvm_mirror_holder(struct gsvm_test_thread *thread)
{
	struct gsvm_block *block = thread->data;

	mutex_lock(&block->lock);
	complete(&thread->at);
	wait_for_completion(&thread->go_on);
	mutex_unlock(&block->lock);
}

/*
 * It must not wait, neither for the lock nor for the device, and when it cannot
 * do its work, must not have begun it: the reaper goes elsewhere and nobody
 * calls the second pass.
 */
static void gsvm_mirror_test_atomic(struct kunit *test)
{
	const struct gsvm_mirror_atomic_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_test_thread *holder = kunit_kzalloc(test, sizeof(*holder), GFP_KERNEL);
	unsigned int first = c->busy == GSVM_BUSY_ELSEWHERE ? 100 : 0, mapped, zombies;
	unsigned long seq = m->block->notifier.invalidate_seq;
	u64 flush;

	KUNIT_ASSERT_NOT_NULL(test, holder);
	gsvm_test_make_busy(m, c->busy);
	mapped = m->block->nr_mapped;
	zombies = m->block->nr_zombies;
	flush = m->block->flush;
	if (c->held) {
		gsvm_test_start(m->t, holder, gsvm_mirror_holder, m->block);
		KUNIT_ASSERT_TRUE(test, gsvm_test_reached(&holder->at));
	}

	/* The core calls it like this: sleeping is a kernel report. */
	non_block_start();
	gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, 0, first, GSVM_LAST);
	non_block_end();

	KUNIT_EXPECT_EQ(test, c->ret, m->ret);
	KUNIT_EXPECT_NULL(test, m->finish);
	KUNIT_EXPECT_EQ(test, c->ret ? m->seq : seq, m->block->notifier.invalidate_seq);
	KUNIT_EXPECT_EQ(test, mapped, m->block->nr_mapped);
	KUNIT_EXPECT_EQ(test, zombies, m->block->nr_zombies);
	KUNIT_EXPECT_EQ(test, flush, m->block->flush);
	KUNIT_EXPECT_EQ(test, 0, m->t->nr_log);
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&m->t->vm->stats.invalidations));
	KUNIT_EXPECT_EQ(test, c->held, mutex_is_locked(&m->block->lock));

	if (c->held) {
		complete(&holder->go_on);
		KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&holder->done));
	}
	/* The same, by somebody who may sleep. */
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 0, GSVM_LAST));
	KUNIT_EXPECT_EQ(test, c->busy != GSVM_BUSY_NOTHING, !!m->finish);
	gsvm_test_finish(m);
	KUNIT_EXPECT_EQ(test, 0, m->block->nr_mapped | m->block->nr_zombies);
	KUNIT_EXPECT_EQ(test, 0, m->block->flush);
}

/* Who may sleep waits for the lock. */
static void gsvm_mirror_invalidator(struct gsvm_test_thread *thread)
{
	struct gsvm_test_mirror *m = thread->data;

	wait_for_completion(&thread->go_on);
	complete(&thread->at);
	gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 3, 5);
}

static void gsvm_mirror_test_blocking(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	gsvm_test_map(m, 3, 5);
	gsvm_test_start(m->t, thread, gsvm_mirror_invalidator, m);
	mutex_lock(&m->block->lock);
	complete(&thread->go_on);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->at));
	KUNIT_EXPECT_EQ(test, 3, m->block->nr_mapped);
	mutex_unlock(&m->block->lock);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->done));
	KUNIT_EXPECT_TRUE(test, m->ret);
	KUNIT_EXPECT_EQ(test, 0, m->block->nr_mapped);
	gsvm_test_finish(m);
}

/* ---- Real memory --------------------------------------------------------------- */

#define GSVM_REAL_PAGES	16

static void gsvm_mirror_test_real(struct kunit *test)
{
	struct gsvm_test_mirror *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct gsvm_request *req = kunit_kzalloc(test, sizeof(*req), GFP_KERNEL);
	struct gsvm_test *t = test->priv;
	struct gsvm_block *block;
	unsigned int page;
	struct folio *folio;
	unsigned long addr;

	KUNIT_ASSERT_TRUE(test, m && req);
	addr = kunit_vm_mmap(test, NULL, 0, GSVM_REAL_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, 0, addr);
	KUNIT_ASSERT_TRUE(test, addr < TASK_SIZE_MAX);
	block = gsvm_test_block(t, addr);
	page = (addr - block->start) >> PAGE_SHIFT;
	KUNIT_ASSERT_LE(test, page + 4, GSVM_BLOCK_PAGES);

	/* The device writes three pages, and wants one that is not there. */
	bitmap_set(req->write, page, 3);
	if (page)
		__set_bit(page - 1, req->read);
	req->patient = true;
	KUNIT_ASSERT_EQ(test, 0, gsvm_populate(t->vm, block, req));
	KUNIT_EXPECT_EQ(test, 3, block->nr_mapped);
	KUNIT_EXPECT_EQ(test, 3, bitmap_weight(req->mapped, GSVM_BLOCK_PAGES));
	KUNIT_ASSERT_EQ(test, GSVM_BLOCK_PAGES_MAPPED, block->state);
	if (page)
		KUNIT_EXPECT_EQ(test, DRM_GSVM_REASON_NOT_MAPPED, req->reason[page - 1]);
	KUNIT_EXPECT_EQ(test, 0, t->nr_log);

	/* The page it wrote goes: dirty, flushed and waited for before munmap() is back. */
	folio = pfn_folio(block->table->pfn[page + 1]);
	folio_get(folio);
	folio_clear_dirty(folio);
	block->table->pt.entry[page + 1] |= GSVM_PTE_D;
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, 2, block->nr_mapped);
	KUNIT_EXPECT_EQ(test, 0, block->table->pt.entry[page + 1]);
	KUNIT_EXPECT_EQ(test, 0, block->flush);
	KUNIT_ASSERT_EQ(test, 2, t->nr_log);
	KUNIT_EXPECT_EQ(test, addr + PAGE_SIZE, t->log[0].cmd.start);
	KUNIT_EXPECT_EQ(test, addr + 2 * PAGE_SIZE, t->log[0].cmd.end);
	KUNIT_EXPECT_TRUE(test, t->log[1].wait);
	KUNIT_EXPECT_TRUE(test, list_empty(&block->gc_link));

	/* The rest goes: the block can, too. */
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, GSVM_REAL_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, block->nr_mapped);
	KUNIT_EXPECT_FALSE(test, list_empty(&block->gc_link));
	KUNIT_EXPECT_EQ(test, 2, gsvm_test_count(t, true));
}

static struct kunit_case gsvm_mirror_tests[] = {
	KUNIT_CASE_PARAM(gsvm_mirror_test_event_pages, gsvm_mirror_event_gen_params),
	KUNIT_CASE_PARAM(gsvm_mirror_test_event_huge, gsvm_mirror_event_gen_params),
	KUNIT_CASE_PARAM(gsvm_mirror_test_event_empty, gsvm_mirror_event_gen_params),
	KUNIT_CASE_PARAM(gsvm_mirror_test_event_guarded, gsvm_mirror_event_gen_params),
	KUNIT_CASE_PARAM(gsvm_mirror_test_range, gsvm_mirror_range_gen_params),
	KUNIT_CASE(gsvm_mirror_test_unfinished),
	KUNIT_CASE(gsvm_mirror_test_two_blocks),
	KUNIT_CASE(gsvm_mirror_test_zombies),
	KUNIT_CASE(gsvm_mirror_test_settle_again),
	KUNIT_CASE_PARAM(gsvm_mirror_test_atomic, gsvm_mirror_atomic_gen_params),
	KUNIT_CASE(gsvm_mirror_test_blocking),
	KUNIT_CASE(gsvm_mirror_test_real),
	{}
};

static struct kunit_suite gsvm_mirror_suite = {
	.name = "gsvm_mirror",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_mirror_tests,
};

kunit_test_suite(gsvm_mirror_suite);
