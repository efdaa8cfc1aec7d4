// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Pages in VRAM, tested
 *
 * What is decided about VRAM without any: which entries an invalidation leaves to
 * the device, whether a block shall move, how much a CPU's access brings back.
 * Pages of the test's own stand in for those in VRAM.
 */

#include <linux/jiffies.h>
#include <linux/mm.h>

#include <kunit/test.h>

#include <drm/gsvm_drm.h>

#include "gsvm_migrate.h"
#include "gsvm_populate.h"
#include "gsvm_stream.h"
#include "gsvm_test.h"
#include "gsvm_test_mirror.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"

/* ---- Blocks with pages in both kinds of memory --------------------------------- */

/* Make it look as if page @i were in VRAM, which has nothing to undo. */
static void gsvm_vram_test_move(struct gsvm_test_mirror *m, unsigned int i, bool iommu)
{
	m->block->table->pt.entry[i] |= GSVM_PTE_KIND_VRAM;
	if (iommu)
		xa_erase(&m->t->mappings, m->pfn + i);
}

static bool gsvm_vram_test_inval(struct gsvm_test_mirror *m, const void *owner)
{
	mmu_notifier_range_init_owner(&m->range, MMU_NOTIFY_MIGRATE, BLOCK, m->t->vm->mm,
				      GSVM_TEST_ADDR, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE,
				      (void *)owner);
	m->finish = NULL;
	m->seq += 2;
	m->ret = m->block->notifier.ops->invalidate_start(&m->block->notifier, &m->range, m->seq,
							  &m->finish);
	if (m->ret && m->finish)
		m->finish->notifier = &m->block->notifier;
	return m->ret;
}

struct gsvm_vram_keep_case {
	const char *name;
	bool in;		/* our own move to VRAM; else one back from there */
	bool iommu;
	unsigned int left;	/* of pages 3..5, of which 4 is in VRAM */
};

static const struct gsvm_vram_keep_case gsvm_vram_keep_cases[] = {
	{ "in", true, false, 1 },
	{ "in-iommu", true, true, 1 },
	{ "out", false, false, 0 },
	{ "out-iommu", false, true, 0 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_vram_keep, gsvm_vram_keep_cases, name);

static void gsvm_vram_test_keep(struct kunit *test)
{
	const struct gsvm_vram_keep_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	u64 *entry = m->block->table->pt.entry;

	if (c->iommu)
		gsvm_test_iommu_init(m->t);
	gsvm_test_map(m, 3, 5);
	gsvm_vram_test_move(m, 4, c->iommu);
	KUNIT_EXPECT_TRUE(test, gsvm_vram_test_inval(m, c->in ? gsvm_migrate_in_mark() :
								gsvm_vram_owner()));
	/* Whoever maps has to look again in any case. */
	KUNIT_EXPECT_EQ(test, m->seq, m->block->notifier.invalidate_seq);
	KUNIT_EXPECT_EQ(test, c->left, m->block->nr_mapped);
	KUNIT_EXPECT_EQ(test, c->left, entry[4] & GSVM_PTE_V);
	KUNIT_EXPECT_EQ(test, 0, (entry[3] | entry[5]) & GSVM_PTE_V);
	/* A page in VRAM is never a zombie. */
	KUNIT_EXPECT_EQ(test, c->iommu ? 2 : 0, m->block->nr_zombies);
	gsvm_test_finish(m);
	KUNIT_EXPECT_EQ(test, 0, m->block->nr_zombies);
	KUNIT_EXPECT_EQ(test, 0, m->t->bad_unmaps);
	KUNIT_EXPECT_EQ(test, c->left, m->block->nr_mapped);
}

static void gsvm_vram_test_keep_huge(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);

	gsvm_test_map(m, 0, GSVM_LAST);
	KUNIT_ASSERT_EQ(test, GSVM_BLOCK_HUGE, m->block->state);
	*m->block->slot |= GSVM_PTE_KIND_VRAM;
	KUNIT_EXPECT_TRUE(test, gsvm_vram_test_inval(m, gsvm_migrate_in_mark()));
	KUNIT_EXPECT_NULL(test, m->finish);
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_HUGE, m->block->state);
	KUNIT_EXPECT_TRUE(test, gsvm_vram_test_inval(m, gsvm_vram_owner()));
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_EMPTY, m->block->state);
	gsvm_test_finish(m);
}

static void gsvm_vram_test_allows(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	DECLARE_BITMAP(pages, GSVM_BLOCK_PAGES) = {};
	struct gsvm_block *block = m->block;

	mutex_lock(&block->lock);
	KUNIT_EXPECT_TRUE(test, gsvm_block_allows(block, pages, GSVM_PTE_R));
	__set_bit(3, pages);
	KUNIT_EXPECT_FALSE(test, gsvm_block_allows(block, pages, GSVM_PTE_R));
	gsvm_test_fill(&m->pages, m->pfn, 3, 4, RO);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(block, &m->pages));
	KUNIT_EXPECT_TRUE(test, gsvm_block_allows(block, pages, GSVM_PTE_R));
	KUNIT_EXPECT_FALSE(test, gsvm_block_allows(block, pages, GSVM_PTE_W));
	__set_bit(5, pages);
	KUNIT_EXPECT_FALSE(test, gsvm_block_allows(block, pages, GSVM_PTE_R));
	gsvm_block_zap(block, 0, GSVM_LAST, false);
	gsvm_test_fill(&m->pages, m->pfn, 0, GSVM_LAST, 0);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(block, &m->pages));
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_HUGE, block->state);
	KUNIT_EXPECT_TRUE(test, gsvm_block_allows(block, pages, GSVM_PTE_W));
	KUNIT_EXPECT_FALSE(test, gsvm_block_allows(block, pages, GSVM_PTE_X));
	mutex_unlock(&block->lock);
}

static struct kunit_case gsvm_vram_block_tests[] = {
	KUNIT_CASE_PARAM(gsvm_vram_test_keep, gsvm_vram_keep_gen_params),
	KUNIT_CASE(gsvm_vram_test_keep_huge),
	KUNIT_CASE(gsvm_vram_test_allows),
	{}
};

static struct kunit_suite gsvm_vram_block_suite = {
	.name = "gsvm_vram_block",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_vram_block_tests,
};

/* ---- Shall a block move ---------------------------------------------------------- */

static struct gsvm_test_mirror *gsvm_policy_init(struct kunit *test, u32 when)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_vram *vram = kunit_kzalloc(test, sizeof(*vram), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vram);
	/* That it is there is all that is asked. */
	m->t->gdev->vram = vram;
	m->t->vm->migrate = when;
	return m;
}

static bool gsvm_policy_wants(struct gsvm_test_mirror *m)
{
	return gsvm_policy_wants_vram(m->t->vm, m->block);
}

static void gsvm_policy_test_when(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_policy_init(test, DRM_GSVM_MIGRATE_NEVER);

	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
	m->t->vm->migrate = DRM_GSVM_MIGRATE_SECOND;
	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	m->t->vm->migrate = DRM_GSVM_MIGRATE_FIRST;
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	m->t->gdev->vram = NULL;
	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
}

/* What did not move is left alone for a while, longer each time, and not for ever. */
static void gsvm_policy_test_stuck(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_policy_init(test, DRM_GSVM_MIGRATE_FIRST);
	struct gsvm_block_policy *policy = &m->block->policy;
	unsigned long least = 0, most = 0;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		unsigned long before = jiffies, last = least;

		gsvm_policy_moved_in(m->block, 0);
		/* Time may pass between two looks at the clock. */
		least = policy->retry_at - jiffies;
		most = policy->retry_at - before;
		if ((long)least < 0)
			least = 0;
		KUNIT_EXPECT_LE(test, last, most);
		KUNIT_EXPECT_LE(test, least, HZ);
	}
	KUNIT_EXPECT_GT(test, most, HZ / 2);
	policy->retry_at = jiffies + HZ;
	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
	policy->retry_at = jiffies - 1;
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	/* Where somebody else moves pages of the block, nothing moved is no sign. */
	policy->stuck = 0;
	atomic_set(&m->block->moving, 2);
	gsvm_policy_moved_in(m->block, 0);
	atomic_set(&m->block->moving, 0);
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	gsvm_policy_moved_in(m->block, 0);
	policy->retry_at = jiffies + HZ;
	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
	gsvm_policy_moved_in(m->block, 7);
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
}

/* A block that comes back at once, again and again, is held; others are not. */
static void gsvm_policy_test_bounce(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_policy_init(test, DRM_GSVM_MIGRATE_FIRST);
	struct gsvm_block_policy *policy = &m->block->policy;
	unsigned int i;

	/* The end of the time is not waited for. */
	disable_delayed_work(&m->t->vm->mirror->hold.work);
	for (i = 0; i < 10; i++) {
		gsvm_policy_moved_in(m->block, 512);
		policy->moved_in = jiffies - HZ;
		gsvm_policy_came_back(m->t->vm, m->block);
	}
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	for (i = 0; i < 2; i++) {
		gsvm_policy_moved_in(m->block, 512);
		gsvm_policy_came_back(m->t->vm, m->block);
		KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	}
	/* It has not gone back in between. */
	for (i = 0; i < 5; i++)
		gsvm_policy_came_back(m->t->vm, m->block);
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	gsvm_policy_moved_in(m->block, 512);
	/* In case this machine took its time. */
	policy->moved_in = jiffies + HZ;
	policy->comebacks = 2;
	gsvm_policy_came_back(m->t->vm, m->block);
	KUNIT_EXPECT_TRUE(test, policy->held);
	KUNIT_EXPECT_FALSE(test, list_empty(&m->block->hold_link));
	policy->hold_until = jiffies + HZ;
	KUNIT_EXPECT_FALSE(test, gsvm_policy_wants(m));
	KUNIT_EXPECT_EQ(test, 1, atomic64_read(&m->t->vm->stats.bounces));
	policy->hold_until = jiffies - 1;
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	KUNIT_EXPECT_FALSE(test, policy->held);
}

/* A fault on a block that lost its chunk @turns chunks ago. */
static bool gsvm_policy_refault(struct gsvm_test_mirror *m, u64 turns)
{
	struct gsvm_vram *vram = m->t->gdev->vram;

	gsvm_policy_evicted(m->block, atomic64_inc_return(&vram->turns));
	atomic64_add(turns, &vram->turns);
	return gsvm_policy_wants(m);
}

/* What does not fit in VRAM is held; what passes through it is not. */
static void gsvm_policy_test_thrash(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_policy_init(test, DRM_GSVM_MIGRATE_FIRST);
	struct gsvm_block_policy *policy = &m->block->policy;
	unsigned int i;

	disable_delayed_work(&m->t->vm->mirror->hold.work);
	m->t->gdev->vram->nr_chunks = 8;
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_TRUE(test, gsvm_policy_refault(m, 8));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_refault(m, 7));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_refault(m, 7));
	/* One from afar makes it a new beginning. */
	KUNIT_EXPECT_TRUE(test, gsvm_policy_refault(m, 8));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_refault(m, 0));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_refault(m, 7));
	/* Faults that follow on one eviction count once. */
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
	KUNIT_EXPECT_FALSE(test, gsvm_policy_refault(m, 0));
	KUNIT_EXPECT_TRUE(test, policy->held);
	KUNIT_EXPECT_FALSE(test, list_empty(&m->block->hold_link));
	policy->hold_until = jiffies - 1;
	KUNIT_EXPECT_TRUE(test, gsvm_policy_wants(m));
}

/* What was seen of a watched block, @services services later. */
static void gsvm_policy_verdict(struct gsvm_test_mirror *m, unsigned int used, u64 services)
{
	struct gsvm_block_policy *policy = &m->block->policy;

	policy->watched = true;
	policy->level = 1;
	policy->services = atomic64_read(&m->t->vm->stats.fault_services);
	atomic64_add(services, &m->t->vm->stats.fault_services);
	gsvm_policy_watched(m->t->vm, m->block, used);
	KUNIT_EXPECT_FALSE(m->t->test, policy->watched);
}

static bool gsvm_policy_stays(struct gsvm_test_mirror *m, unsigned int movable)
{
	return gsvm_policy_watches(m->t->vm, m->block, movable);
}

/* Where VRAM is short and little of each block is used, blocks stay; else they do not. */
static void gsvm_policy_test_watch(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_policy_init(test, DRM_GSVM_MIGRATE_FIRST);
	struct gsvm_vram *vram = m->t->gdev->vram;
	unsigned int i, stayed = 0;

	disable_delayed_work(&m->t->vm->mirror->hold.work);
	for (i = 0; i < 32; i++)
		stayed += gsvm_policy_stays(m, 512);
	KUNIT_EXPECT_EQ(test, 4, stayed);
	for (i = 0; i < 32; i++)
		KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 255));

	/* Without anything else having happened, little use tells nothing. */
	for (i = 0; i < 4; i++)
		gsvm_policy_verdict(m, 0, 8);
	KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 1));
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 1));
		gsvm_policy_verdict(m, 255, 9);
	}
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, gsvm_policy_stays(m, 1));
	KUNIT_EXPECT_FALSE(test, list_empty(&m->block->hold_link));
	/* Without need nothing is watched. */
	vram->nr_free = 100;
	KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 1));
	vram->nr_free = 0;

	/* One that is used has its turn; two of four, and all of them have. */
	gsvm_policy_verdict(m, 256, 0);
	KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 1));
	KUNIT_EXPECT_TRUE(test, gsvm_policy_stays(m, 1));
	gsvm_policy_verdict(m, 512, 100);
	KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 1));
	KUNIT_EXPECT_FALSE(test, gsvm_policy_stays(m, 1));
}

/* ---- Is anybody still waiting ----------------------------------------------------- */

static void gsvm_stale_test(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_request *req = kunit_kzalloc(test, sizeof(*req), GFP_KERNEL);
	struct gsvm_request *served = kunit_kzalloc(test, sizeof(*served), GFP_KERNEL);

	KUNIT_ASSERT_TRUE(test, req && served);
	__set_bit(3, req->read);
	req->since = ktime_get_ns();
	/* Nobody has been there yet. */
	KUNIT_EXPECT_FALSE(test, gsvm_populate_stale(m->block, req));
	bitmap_set(served->resume, 3, 2);
	while (ktime_get_ns() == req->since)
		cpu_relax();
	gsvm_populate_note(m->block, served);
	KUNIT_EXPECT_TRUE(test, gsvm_populate_stale(m->block, req));
	__set_bit(4, req->write);
	KUNIT_EXPECT_TRUE(test, gsvm_populate_stale(m->block, req));
	/* One that was not resumed may have somebody parked on it. */
	__set_bit(5, req->exec);
	KUNIT_EXPECT_FALSE(test, gsvm_populate_stale(m->block, req));
	__clear_bit(5, req->exec);
	req->since = ktime_get_ns();
	KUNIT_EXPECT_FALSE(test, gsvm_populate_stale(m->block, req));
}

/* Who can go on: all of what is writable, of the rest only what was asked for. */
static void gsvm_resume_test(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_request *req = kunit_kzalloc(test, sizeof(*req), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, req);
	gsvm_test_map(m, 3, 6);
	mutex_lock(&m->block->lock);
	gsvm_block_write_protect(m->block, 4, 6);
	mutex_unlock(&m->block->lock);
	__set_bit(4, req->read);
	KUNIT_EXPECT_TRUE(test, gsvm_populate_served(m->block, req));
	KUNIT_EXPECT_EQ(test, 4, bitmap_weight(req->mapped, GSVM_BLOCK_PAGES));
	KUNIT_EXPECT_EQ(test, 2, bitmap_weight(req->resume, GSVM_BLOCK_PAGES));
	KUNIT_EXPECT_TRUE(test, test_bit(3, req->resume) && test_bit(4, req->resume));
	/* A write to what can be read is not served yet. */
	__set_bit(5, req->write);
	KUNIT_EXPECT_FALSE(test, gsvm_populate_served(m->block, req));
}

static struct kunit_case gsvm_policy_tests[] = {
	KUNIT_CASE(gsvm_policy_test_when),
	KUNIT_CASE(gsvm_policy_test_stuck),
	KUNIT_CASE(gsvm_policy_test_bounce),
	KUNIT_CASE(gsvm_policy_test_thrash),
	KUNIT_CASE(gsvm_policy_test_watch),
	KUNIT_CASE(gsvm_stale_test),
	KUNIT_CASE(gsvm_resume_test),
	{}
};

static struct kunit_suite gsvm_policy_suite = {
	.name = "gsvm_policy",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_policy_tests,
};

/* ---- How much comes back ----------------------------------------------------------- */

static void gsvm_stream_test_grow(struct kunit *test)
{
	static const unsigned int want[] = { 1, 4, 16, 64, 256, 512, 512 };
	struct gsvm_stream_table *table = kunit_kzalloc(test, sizeof(*table), GFP_KERNEL);
	unsigned long addr = GSVM_TEST_ADDR;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, table);
	gsvm_stream_init(table);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		KUNIT_EXPECT_EQ(test, want[i], gsvm_stream_window(table, 1, addr));
		addr += want[i] * PAGE_SIZE;
		gsvm_stream_fetched(table, 1, addr, want[i]);
	}
	/* Neither another thread nor another place is the same stream. */
	KUNIT_EXPECT_EQ(test, 1, gsvm_stream_window(table, 2, addr));
	KUNIT_EXPECT_EQ(test, 1, gsvm_stream_window(table, 1, addr + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, gsvm_stream_window(table, 1, addr - PAGE_SIZE));
	/* To have looked changes nothing. */
	KUNIT_EXPECT_EQ(test, 512, gsvm_stream_window(table, 1, addr));
	/* A fetch that was cut short goes on from what it was. */
	gsvm_stream_fetched(table, 1, addr + 3 * PAGE_SIZE, 3);
	KUNIT_EXPECT_EQ(test, 12, gsvm_stream_window(table, 1, addr + 3 * PAGE_SIZE));
	gsvm_stream_fetched(table, 1, addr, 0);
	KUNIT_EXPECT_EQ(test, 4, gsvm_stream_window(table, 1, addr));
}

static struct kunit_case gsvm_stream_tests[] = {
	KUNIT_CASE(gsvm_stream_test_grow),
	{}
};

/* Needs no device. */
static struct kunit_suite gsvm_stream_suite = {
	.name = "gsvm_stream",
	.test_cases = gsvm_stream_tests,
};

kunit_test_suites(&gsvm_vram_block_suite, &gsvm_policy_suite, &gsvm_stream_suite);
