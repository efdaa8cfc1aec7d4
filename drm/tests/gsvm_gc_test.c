// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Blocks and mirrors at their end, tested
 *
 * When a block is offered to the collector, when the collector takes it, and in
 * which order what belongs to it goes; and what the end of a mirror leaves.
 */

#include <linux/mmu_notifier.h>
#include <linux/slab.h>

#include <kunit/test.h>

#include "gsvm_test.h"
#include "gsvm_test_mirror.h"

/* ---- Blocks that are not needed any more -------------------------------------- */

static void gsvm_gc_collect_now(struct gsvm_test_mirror *m)
{
	struct work_struct *work = &m->t->vm->mirror->gc_work.work;

	work->func(work);
}

static struct gsvm_block *gsvm_gc_in_table(struct gsvm_test_mirror *m)
{
	return xa_load(&m->t->vm->mirror->blocks, GSVM_TEST_ADDR >> GSVM_BLOCK_SHIFT);
}

struct gsvm_gc_offer_case {
	const char *name;
	bool mapped;		/* a page outside of the range stays mapped */
	unsigned int times;
	enum mmu_notifier_event event;
	bool listed;
};

static const struct gsvm_gc_offer_case gsvm_gc_offer_cases[] = {
	{ "empty", false, 1, MMU_NOTIFY_UNMAP, true },
	{ "empty-twice", false, 2, MMU_NOTIFY_UNMAP, true },
	{ "release", false, 1, MMU_NOTIFY_RELEASE, true },
	{ "not-empty", true, 1, MMU_NOTIFY_UNMAP, false },
	{ "not-unmapped", false, 1, MMU_NOTIFY_CLEAR, false },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_gc_offer, gsvm_gc_offer_cases, name);

static void gsvm_gc_test_offer(struct kunit *test)
{
	const struct gsvm_gc_offer_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	unsigned int i, ref = kref_read(&m->block->ref);

	gsvm_test_map(m, 3, 5);
	if (c->mapped)
		gsvm_test_map(m, 100, 100);
	for (i = 0; i < c->times; i++) {
		gsvm_test_inval_pages(m, c->event, BLOCK, 0, 99);
		gsvm_test_finish(m);
	}
	KUNIT_EXPECT_EQ(test, c->listed, !list_empty(&m->block->gc_link));
	KUNIT_EXPECT_EQ(test, ref + c->listed, kref_read(&m->block->ref));
}

/* A service that mapped nothing offers the block as well. */
static void gsvm_gc_test_offer_service(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);

	gsvm_test_map(m, 3, 3);
	gsvm_block_release_if_empty(m->block);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->block->gc_link));
	gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, BLOCK, 3, 3);
	gsvm_test_finish(m);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->block->gc_link));
	gsvm_block_release_if_empty(m->block);
	KUNIT_EXPECT_FALSE(test, list_empty(&m->block->gc_link));
}

struct gsvm_gc_case {
	const char *name;
	bool used;		/* a service has a reference */
	bool mapped;		/* mapped again meanwhile */
	bool reused;		/* the slot has another block's table in it */
	bool no_table;
	bool gone;
};

static const struct gsvm_gc_case gsvm_gc_cases[] = {
	{ "idle", .gone = true },
	{ "idle-no-table", .no_table = true, .gone = true },
	{ "idle-slot-reused", .reused = true, .gone = true },
	{ "used", .used = true },
	{ "mapped-again", .mapped = true },
	{ "used-and-mapped", .used = true, .mapped = true },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_gc, gsvm_gc_cases, name);

#define GSVM_TEST_OTHER_WAY	0x5001ull

/**
 * struct gsvm_gc_seen - what is there while the collector waits
 * @slot: the slot
 * @bytes: memory that the address space takes
 * @value: out, the slot's content
 * @bytes_then: out
 */
struct gsvm_gc_seen {
	u64 *slot;
	atomic64_t *bytes;
	u64 value;
	s64 bytes_then;
};

static void gsvm_gc_in_wait(struct gsvm_test *t)
{
	struct gsvm_gc_seen *seen = t->data;

	seen->value = *seen->slot;
	seen->bytes_then = atomic64_read(seen->bytes);
}

/* First the way to the table goes, then the TLB is flushed, then the table goes. */
static void gsvm_gc_test_collect(struct kunit *test)
{
	const struct gsvm_gc_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_vm_stats *stats = &m->t->vm->stats;
	struct gsvm_gc_seen seen = {
		.slot = m->block->slot,
		.bytes = &stats->metadata_bytes,
		.value = U64_MAX,
	};
	struct gsvm_test *t = m->t;
	s64 table_bytes = sizeof(struct gsvm_block_table) + PAGE_SIZE;

	gsvm_test_map(m, 3, 5);
	gsvm_test_inval_pages(m, MMU_NOTIFY_UNMAP, BLOCK, 0, GSVM_LAST);
	gsvm_test_finish(m);
	if (c->mapped)
		gsvm_test_map(m, 7, 7);
	if (c->no_table) {
		gsvm_block_table_free(m->block->mirror, m->block->table);
		m->block->table = NULL;
		*seen.slot = 0;
	}
	if (c->reused)
		*seen.slot = GSVM_TEST_OTHER_WAY;
	gsvm_test_log_clear(t);
	if (!c->used)
		gsvm_test_block_release(t, m->block);
	KUNIT_EXPECT_PTR_EQ(test, m->block, gsvm_gc_in_table(m));

	t->data = &seen;
	t->on_wait = gsvm_gc_in_wait;
	gsvm_gc_collect_now(m);
	t->on_wait = NULL;
	KUNIT_EXPECT_TRUE(test, list_empty(&t->vm->mirror->gc_list));
	if (!c->gone) {
		KUNIT_ASSERT_PTR_EQ(test, m->block, gsvm_gc_in_table(m));
		KUNIT_EXPECT_EQ(test, !c->mapped, m->block->unmapped);
		KUNIT_EXPECT_EQ(test, 0, t->nr_log);
		return;
	}
	KUNIT_EXPECT_NULL(test, gsvm_gc_in_table(m));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&stats->metadata_bytes));
	KUNIT_EXPECT_EQ(test, c->no_table ? 0 : 2, t->nr_log);
	if (!c->no_table) {
		KUNIT_EXPECT_EQ(test, GSVM_CMD_INVAL_RANGE | GSVM_CMD_IRQ, t->log[0].cmd.op);
		KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR, t->log[0].cmd.start);
		KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE, t->log[0].cmd.end);
		KUNIT_EXPECT_EQ(test, c->reused ? GSVM_TEST_OTHER_WAY : 0, seen.value);
		KUNIT_EXPECT_LE(test, table_bytes, seen.bytes_then);
	}
	*seen.slot = 0;
}

/* And who calls the collector: the workqueue. Without a table it needs no device. */
static void gsvm_gc_test_work(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_mirror *mirror = m->t->vm->mirror;

	gsvm_block_table_free(mirror, m->block->table);
	m->block->table = NULL;
	gsvm_test_block_release(m->t, m->block);
	enable_delayed_work(&mirror->gc_work);
	gsvm_test_inval_pages(m, MMU_NOTIFY_UNMAP, BLOCK, 0, GSVM_LAST);
	flush_delayed_work(&mirror->gc_work);
	KUNIT_EXPECT_NULL(test, gsvm_gc_in_table(m));
}

static void gsvm_gc_test_block_get(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_block *same, *next;
	unsigned int ref = kref_read(&m->block->ref);

	same = gsvm_test_block(m->t, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE - 1);
	KUNIT_EXPECT_PTR_EQ(test, m->block, same);
	KUNIT_EXPECT_EQ(test, ref + 1, kref_read(&m->block->ref));
	next = gsvm_test_block(m->t, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE);
	KUNIT_EXPECT_PTR_NE(test, m->block, next);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR, m->block->start);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_ADDR + GSVM_BLOCK_SIZE, next->start);
	KUNIT_EXPECT_EQ(test, 1, next->slot - m->block->slot);
}

/* ---- The end ------------------------------------------------------------------- */

struct gsvm_gc_teardown_case {
	const char *name;
	enum gsvm_test_busy busy;
};

static const struct gsvm_gc_teardown_case gsvm_gc_teardown_cases[] = {
	{ "nothing", GSVM_BUSY_NOTHING },
	{ "pages", GSVM_BUSY_PAGES },
	{ "huge", GSVM_BUSY_HUGE },
	{ "zombie", GSVM_BUSY_ZOMBIE },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_gc_teardown, gsvm_gc_teardown_cases, name);

static void gsvm_gc_expect_torn_down(struct gsvm_test_mirror *m)
{
	struct kunit *test = m->t->test;
	struct gsvm_block *block = m->block;

	KUNIT_EXPECT_NULL(test, block->slot);
	KUNIT_EXPECT_NULL(test, block->table);
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_EMPTY, block->state);
	KUNIT_EXPECT_EQ(test, 0, block->nr_mapped | block->nr_zombies);
	KUNIT_EXPECT_EQ(test, 0, block->flush);
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&m->t->vm->stats.pages_now));
	KUNIT_EXPECT_TRUE(test, xa_empty(&m->t->mappings));
	KUNIT_EXPECT_EQ(test, 0, m->t->bad_unmaps);
	KUNIT_EXPECT_NULL(test, m->t->vm->mirror->pt.root);
	KUNIT_EXPECT_EQ(test, 0, m->t->vm->mirror->pt.bytes);
}

/* Everything is taken from the device, and it stays that way. */
static void gsvm_gc_test_teardown(struct kunit *test)
{
	const struct gsvm_gc_teardown_case *c = test->param_value;
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);
	struct gsvm_mirror *mirror = m->t->vm->mirror;
	struct gsvm_block *again;

	if (c->busy != GSVM_BUSY_ZOMBIE)
		gsvm_test_iommu_init(m->t);
	gsvm_test_make_busy(m, c->busy);
	if (c->busy == GSVM_BUSY_PAGES)
		m->block->table->pt.entry[4] |= GSVM_PTE_D;

	gsvm_vm_shutdown(m->t->vm);
	/* The context goes before the memory does; no flush is needed after it. */
	KUNIT_ASSERT_EQ(test, 2, m->t->nr_log);
	KUNIT_EXPECT_EQ(test, GSVM_CMD_INVAL_ASID | GSVM_CMD_IRQ, m->t->log[0].cmd.op);
	KUNIT_EXPECT_EQ(test, 0, m->t->gdev->ctx[m->t->vm->asid].root);
	gsvm_gc_expect_torn_down(m);
	KUNIT_EXPECT_EQ(test, c->busy == GSVM_BUSY_PAGES, gsvm_test_pfn_dirty(m->pfn + 4));

	/* Changes of the process's memory have nothing to do. */
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, MMU_NOTIFY_UNMAP, BLOCK, 0, GSVM_LAST));
	KUNIT_EXPECT_NULL(test, m->finish);
	KUNIT_EXPECT_EQ(test, m->seq, m->block->notifier.invalidate_seq);
	KUNIT_EXPECT_TRUE(test, gsvm_test_inval_pages(m, MMU_NOTIFY_CLEAR, 0, 0, GSVM_LAST));
	KUNIT_EXPECT_NULL(test, m->finish);

	/* The block stays for its notifier; none comes, and it is not collected. */
	again = gsvm_mirror_block_get(mirror, GSVM_TEST_ADDR);
	KUNIT_EXPECT_PTR_EQ(test, m->block, again);
	gsvm_block_put(again);
	KUNIT_EXPECT_EQ(test, -ENODEV,
			PTR_ERR_OR_ZERO(gsvm_mirror_block_get(mirror, GSVM_TEST_ADDR / 2)));
	gsvm_block_release_if_empty(m->block);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->block->gc_link));
	KUNIT_EXPECT_EQ(test, 2, m->t->nr_log);
	/* And a second end is none. */
	gsvm_vm_shutdown(m->t->vm);
	KUNIT_EXPECT_EQ(test, 2, m->t->nr_log);
}

/* The collector comes late, and leaves the block to the end of the mirror. */
static void gsvm_gc_test_after_teardown(struct kunit *test)
{
	struct gsvm_test_mirror *m = gsvm_test_mirror(test);

	gsvm_block_release_if_empty(m->block);
	gsvm_test_block_release(m->t, m->block);
	gsvm_vm_shutdown(m->t->vm);
	KUNIT_EXPECT_FALSE(test, list_empty(&m->t->vm->mirror->gc_list));
	gsvm_gc_collect_now(m);
	KUNIT_EXPECT_PTR_EQ(test, m->block, gsvm_gc_in_table(m));
}

static struct kunit_case gsvm_gc_tests[] = {
	KUNIT_CASE_PARAM(gsvm_gc_test_offer, gsvm_gc_offer_gen_params),
	KUNIT_CASE(gsvm_gc_test_offer_service),
	KUNIT_CASE_PARAM(gsvm_gc_test_collect, gsvm_gc_gen_params),
	KUNIT_CASE(gsvm_gc_test_work),
	KUNIT_CASE(gsvm_gc_test_block_get),
	KUNIT_CASE_PARAM(gsvm_gc_test_teardown, gsvm_gc_teardown_gen_params),
	KUNIT_CASE(gsvm_gc_test_after_teardown),
	{}
};

static struct kunit_suite gsvm_gc_suite = {
	.name = "gsvm_gc",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_gc_tests,
};

kunit_test_suite(gsvm_gc_suite);
