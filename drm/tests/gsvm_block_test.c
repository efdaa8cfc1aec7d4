// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Blocks, tested
 *
 * A script is a row of steps on one block, each with what has to be there after
 * it: what the step returned, the state of the block, how many pages are mapped,
 * which pages the TLB was told of, which pages were marked dirty. After every
 * step all that has to agree is compared: entries, counts, DMA mappings.
 *
 * Each script runs twice: with DMA mappings that have to be undone, where pages
 * become zombies, and without.
 */

#include <linux/bitmap.h>
#include <linux/hmm.h>
#include <linux/mm.h>

#include <kunit/static_stub.h>
#include <kunit/test.h>

#include "gsvm_block.h"
#include "gsvm_test.h"

enum gsvm_block_op {
	GSVM_OP_END,
	GSVM_OP_MAP,		/* pages first..last, as @how says */
	GSVM_OP_ZAP,
	GSVM_OP_PROTECT,
	GSVM_OP_BURY,		/* after a flush */
	GSVM_OP_WRITE,		/* the device writes pages first..last: sets A and D */
	GSVM_OP_DROP_TABLE,	/* as if nobody had made one */
	GSVM_OP_FAIL_DMA,	/* page first cannot be mapped for DMA any more */
};

/* How pages are mapped, beside the ways of gsvm_test_fill(). */
#define OTHER	BIT(8)		/* other memory: the frames have changed */

struct gsvm_block_step {
	enum gsvm_block_op op;
	int first;
	int last;
	unsigned int how;
	int ret;
	int mapped;
	int flush_first;
	int flush_last;
	int dirty_first;
	int dirty_last;
};

struct gsvm_block_script {
	const char *name;
	struct gsvm_block_step step[8];
};

/* What is mapped after a step, which says the block's state as well. */
#define EMPTY		0
#define PAGES(n)	(n)
#define HUGE		(-1)

#define FLUSH(first, last)	.flush_first = first, .flush_last = last
#define NO_FLUSH		FLUSH(0, -1)
#define DIRTY(first, last)	.dirty_first = first, .dirty_last = last
#define CLEAN			DIRTY(0, -1)

#define MAP(first, last, how, ret, after...) \
	{ GSVM_OP_MAP, first, last, how, ret, after, NO_FLUSH, CLEAN }
#define MAP_FLUSHES(first, last, how, ret, after...) \
	{ GSVM_OP_MAP, first, last, how, ret, after, FLUSH(0, GSVM_LAST), CLEAN }
#define ZAP(first, last, ret, after...) \
	{ GSVM_OP_ZAP, first, last, 0, ret, after }
#define PROTECT(first, last, ret, after...) \
	{ GSVM_OP_PROTECT, first, last, 0, ret, after }
#define BURY(after...) \
	{ GSVM_OP_BURY, 0, 0, 0, 0, after, NO_FLUSH, CLEAN }
#define DEVICE(first, last, after...) \
	{ GSVM_OP_WRITE, first, last, 0, 0, after, NO_FLUSH, CLEAN }
#define DROP_TABLE \
	{ GSVM_OP_DROP_TABLE, 0, 0, 0, 0, EMPTY, NO_FLUSH, CLEAN }
#define FAIL_DMA(page, after...) \
	{ GSVM_OP_FAIL_DMA, page, 0, 0, 0, after, NO_FLUSH, CLEAN }

static const struct gsvm_block_script gsvm_block_scripts[] = {
	{ "nothing", {
		MAP(0, -1, 0, 0, EMPTY),
		ZAP(0, GSVM_LAST, 0, EMPTY, NO_FLUSH, CLEAN),
		PROTECT(0, GSVM_LAST, 0, EMPTY, NO_FLUSH, CLEAN),
		BURY(EMPTY),
	} },
	{ "one-page", {
		MAP(7, 7, 0, 0, PAGES(1)),
		ZAP(7, 7, 1, EMPTY, FLUSH(7, 7), CLEAN),
		BURY(EMPTY),
	} },
	{ "first-and-last", {
		MAP(0, 0, 0, 0, PAGES(1)),
		MAP(GSVM_LAST, GSVM_LAST, 0, 0, PAGES(2)),
		ZAP(0, GSVM_LAST, 2, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
		BURY(EMPTY),
	} },
	{ "flush-only-what-was-mapped", {
		MAP(100, 110, 0, 0, PAGES(11)),
		ZAP(0, GSVM_LAST, 11, EMPTY, FLUSH(100, 110), CLEAN),
		BURY(EMPTY),
	} },
	{ "zap-part", {
		MAP(10, 30, 0, 0, PAGES(21)),
		ZAP(20, 25, 6, PAGES(15), FLUSH(20, 25), CLEAN),
		ZAP(20, 25, 0, PAGES(15), NO_FLUSH, CLEAN),
		ZAP(0, 20, 10, PAGES(5), FLUSH(10, 19), CLEAN),
		BURY(PAGES(5)),
		ZAP(26, 26, 1, PAGES(4), FLUSH(26, 26), CLEAN),
	} },
	{ "map-again", {
		MAP(3, 5, 0, 0, PAGES(3)),
		MAP(3, 5, 0, 0, PAGES(3)),
		MAP(4, 8, 0, 0, PAGES(6)),
	} },
	{ "come-back", {
		MAP(3, 5, 0, 0, PAGES(3)),
		ZAP(4, 4, 1, PAGES(2), FLUSH(4, 4), CLEAN),
		BURY(PAGES(2)),
		MAP(4, 4, OTHER, 0, PAGES(3)),
		ZAP(0, GSVM_LAST, 3, EMPTY, FLUSH(3, 5), CLEAN),
	} },
	{ "upgrade", {
		MAP(3, 5, RO, 0, PAGES(3)),
		MAP(4, 4, 0, 0, PAGES(3)),
		DEVICE(4, 4, PAGES(3)),
		MAP(5, 5, RO | EXEC, 0, PAGES(3)),
		ZAP(0, GSVM_LAST, 3, EMPTY, FLUSH(3, 5), DIRTY(4, 4)),
	} },
	{ "other-frame", {
		MAP(3, 5, 0, 0, PAGES(3)),
		DEVICE(3, 3, PAGES(3)),
		{ GSVM_OP_MAP, 4, 4, OTHER, -EAGAIN, EMPTY, FLUSH(3, 5), DIRTY(3, 3) },
		BURY(EMPTY),
		MAP(4, 4, OTHER, 0, PAGES(1)),
	} },
	{ "dirty-some", {
		MAP(30, 40, 0, 0, PAGES(11)),
		DEVICE(33, 35, PAGES(11)),
		ZAP(30, 34, 5, PAGES(6), FLUSH(30, 34), DIRTY(33, 34)),
		ZAP(35, 40, 6, EMPTY, FLUSH(35, 40), DIRTY(35, 35)),
	} },
	{ "dirty-read-only-never", {
		MAP(30, 40, RO, 0, PAGES(11)),
		DEVICE(30, 40, PAGES(11)),
		ZAP(30, 40, 11, EMPTY, FLUSH(30, 40), CLEAN),
	} },
	{ "protect-part", {
		MAP(30, 40, 0, 0, PAGES(11)),
		DEVICE(33, 36, PAGES(11)),
		PROTECT(32, 34, 3, PAGES(11), FLUSH(32, 34), DIRTY(33, 34)),
		PROTECT(32, 34, 3, PAGES(11), NO_FLUSH, CLEAN),
		PROTECT(30, 40, 11, PAGES(11), FLUSH(30, 40), DIRTY(35, 36)),
		ZAP(30, 40, 11, EMPTY, FLUSH(30, 40), CLEAN),
	} },
	{ "protect-mixed", {
		MAP(30, 40, RO, 0, PAGES(11)),
		MAP(34, 36, 0, 0, PAGES(11)),
		PROTECT(0, GSVM_LAST, 11, PAGES(11), FLUSH(34, 36), CLEAN),
		MAP(34, 34, 0, 0, PAGES(11)),
		DEVICE(30, 40, PAGES(11)),
		PROTECT(0, GSVM_LAST, 11, PAGES(11), FLUSH(34, 34), DIRTY(34, 34)),
	} },
	{ "protect-holes", {
		MAP(30, 30, 0, 0, PAGES(1)),
		MAP(40, 40, 0, 0, PAGES(2)),
		PROTECT(31, 39, 0, PAGES(2), NO_FLUSH, CLEAN),
		PROTECT(31, 40, 1, PAGES(2), FLUSH(40, 40), CLEAN),
	} },
	{ "group", {
		MAP(16, 31, 0, 0, PAGES(16)),
		/* D in one entry stands for sixteen pages. */
		DEVICE(20, 20, PAGES(16)),
		ZAP(17, 17, 1, PAGES(15), FLUSH(17, 17), DIRTY(17, 17)),
		ZAP(31, 31, 1, PAGES(14), FLUSH(31, 31), DIRTY(31, 31)),
		PROTECT(16, 16, 1, PAGES(14), FLUSH(16, 16), DIRTY(16, 16)),
		ZAP(0, GSVM_LAST, 14, EMPTY, FLUSH(16, 30), DIRTY(18, 30)),
	} },
	{ "group-protected-part", {
		MAP(0, 15, 0, 0, PAGES(16)),
		DEVICE(15, 15, PAGES(16)),
		PROTECT(0, 0, 1, PAGES(16), FLUSH(0, 0), DIRTY(0, 0)),
		PROTECT(1, 15, 15, PAGES(16), FLUSH(1, 15), DIRTY(1, 15)),
	} },
	{ "group-upgraded-part", {
		MAP(496, 511, RO, 0, PAGES(16)),
		MAP(500, 500, 0, 0, PAGES(16)),
		DEVICE(496, 511, PAGES(16)),
		ZAP(496, 511, 16, EMPTY, FLUSH(496, 511), DIRTY(500, 500)),
	} },
	{ "group-grows", {
		MAP(40, 45, 0, 0, PAGES(6)),
		MAP(32, 39, 0, 0, PAGES(14)),
		MAP(46, 47, 0, 0, PAGES(16)),
		DEVICE(32, 32, PAGES(16)),
		ZAP(47, 47, 1, PAGES(15), FLUSH(47, 47), DIRTY(47, 47)),
	} },
	{ "huge", {
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		ZAP(5, 5, 512, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
		ZAP(5, 5, 0, EMPTY, NO_FLUSH, CLEAN),
		BURY(EMPTY),
	} },
	{ "huge-dirty", {
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		DEVICE(0, 0, HUGE),
		ZAP(GSVM_LAST, GSVM_LAST, 512, EMPTY, FLUSH(0, GSVM_LAST), DIRTY(0, GSVM_LAST)),
	} },
	{ "huge-protected", {
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		DEVICE(0, 0, HUGE),
		PROTECT(5, 5, 512, HUGE, FLUSH(0, GSVM_LAST), DIRTY(0, GSVM_LAST)),
		PROTECT(5, 5, 512, HUGE, NO_FLUSH, CLEAN),
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		DEVICE(0, 0, HUGE),
		ZAP(0, 0, 512, EMPTY, FLUSH(0, GSVM_LAST), DIRTY(0, GSVM_LAST)),
	} },
	{ "huge-read-only", {
		MAP(0, GSVM_LAST, RO, 0, HUGE),
		DEVICE(0, 0, HUGE),
		PROTECT(0, GSVM_LAST, 512, HUGE, NO_FLUSH, CLEAN),
		ZAP(0, GSVM_LAST, 512, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
	} },
	{ "huge-without-table", {
		DROP_TABLE,
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		ZAP(0, GSVM_LAST, 512, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
		BURY(EMPTY),
	} },
	{ "huge-then-part", {
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		{ GSVM_OP_MAP, 5, 5, 0, -EAGAIN, EMPTY, FLUSH(0, GSVM_LAST), CLEAN },
		BURY(EMPTY),
		MAP(5, 5, 0, 0, PAGES(1)),
	} },
	{ "huge-other-frame", {
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		DEVICE(0, 0, HUGE),
		{ GSVM_OP_MAP, 0, GSVM_LAST, OTHER, -EAGAIN, EMPTY,
		  FLUSH(0, GSVM_LAST), DIRTY(0, GSVM_LAST) },
		BURY(EMPTY),
		MAP(0, GSVM_LAST, OTHER, 0, HUGE),
	} },
	{ "pages-then-huge", {
		/* No 2 MiB leaf over pages that are mapped: they would have to be flushed. */
		MAP(3, 5, 0, 0, PAGES(3)),
		MAP(0, GSVM_LAST, 0, 0, PAGES(512)),
		ZAP(0, GSVM_LAST, 512, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
		BURY(EMPTY),
		/* The empty table may be cached. */
		MAP_FLUSHES(0, GSVM_LAST, 0, 0, HUGE),
	} },
	{ "huge-pages-huge", {
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		ZAP(0, 0, 512, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
		BURY(EMPTY),
		MAP(0, GSVM_LAST, HOLE, 0, PAGES(511)),
		ZAP(0, GSVM_LAST, 511, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
		BURY(EMPTY),
		MAP_FLUSHES(0, GSVM_LAST, RO, 0, HUGE),
	} },
	{ "all-but-one", {
		MAP(0, GSVM_LAST, HOLE, 0, PAGES(511)),
		MAP(300, 300, 0, 0, PAGES(512)),
		ZAP(300, 300, 1, PAGES(511), FLUSH(300, 300), CLEAN),
	} },
	{ "not-aligned", {
		MAP(0, GSVM_LAST - 1, SHIFTED, 0, PAGES(511)),
		ZAP(0, GSVM_LAST, 511, EMPTY, FLUSH(0, GSVM_LAST - 1), CLEAN),
	} },
	{ "no-table", {
		DROP_TABLE,
		MAP(3, 3, 0, -ENOMEM, EMPTY),
	} },
	{ "no-table-huge", {
		DROP_TABLE,
		MAP(0, GSVM_LAST, 0, 0, HUGE),
		{ GSVM_OP_MAP, 5, 5, 0, -ENOMEM, HUGE, NO_FLUSH, CLEAN },
	} },
	{ "unreachable-page", {
		FAIL_DMA(5, EMPTY),
		MAP(3, 7, 0, -EFAULT, PAGES(4)),
		ZAP(0, GSVM_LAST, 4, EMPTY, FLUSH(3, 7), CLEAN),
		BURY(EMPTY),
	} },
	{ "unreachable-only", {
		FAIL_DMA(5, EMPTY),
		MAP(5, 5, 0, -EFAULT, EMPTY),
	} },
	{ "unreachable-in-huge", {
		FAIL_DMA(5, EMPTY),
		MAP(0, GSVM_LAST, 0, -EFAULT, PAGES(511)),
		ZAP(0, GSVM_LAST, 511, EMPTY, FLUSH(0, GSVM_LAST), CLEAN),
	} },
	{ "unreachable-in-huge-no-table", {
		DROP_TABLE,
		FAIL_DMA(5, EMPTY),
		MAP(0, GSVM_LAST, 0, -ENOMEM, EMPTY),
	} },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_block, gsvm_block_scripts, name);

/**
 * struct gsvm_block_run - a script at work
 * @t: fixture
 * @block: the block, locked
 * @pages: what is offered for mapping
 * @pfn: the block's memory
 * @other: other memory
 * @zombies: DMA mappings have to be undone
 * @want_zombies: pages that wait for it; a 2 MiB leaf is one
 * @where: for messages
 * @step: for messages
 */
struct gsvm_block_run {
	struct gsvm_test *t;
	struct gsvm_block *block;
	struct gsvm_block_pages pages;
	unsigned long pfn;
	unsigned long other;
	bool zombies;
	unsigned int want_zombies;
	const char *where;
	unsigned int step;
};

#define GSVM_RUN_EQ(run, want, is)						\
do {										\
	const struct gsvm_block_run *r_ = run;					\
										\
	KUNIT_EXPECT_EQ_MSG(r_->t->test, want, is, "%s, step %u%s", r_->where,	\
			    r_->step, r_->zombies ? ", zombies" : "");		\
} while (0)

static int gsvm_block_do(struct gsvm_block_run *run, const struct gsvm_block_step *s)
{
	struct gsvm_block *block = run->block;

	switch (s->op) {
	case GSVM_OP_MAP:
		gsvm_test_fill(&run->pages, s->how & OTHER ? run->other : run->pfn,
			       s->first, s->last, s->how);
		return gsvm_block_map(block, &run->pages);
	case GSVM_OP_ZAP:
		return gsvm_block_zap(block, s->first, s->last, false);
	case GSVM_OP_PROTECT:
		return gsvm_block_write_protect(block, s->first, s->last);
	case GSVM_OP_BURY:
		gsvm_block_bury(block);
		run->want_zombies = 0;
		return 0;
	case GSVM_OP_WRITE:
		gsvm_test_device_writes(block, s->first, s->last);
		return 0;
	case GSVM_OP_DROP_TABLE:
		gsvm_block_table_free(block->mirror, block->table);
		block->table = NULL;
		return 0;
	case GSVM_OP_FAIL_DMA:
		run->t->bad_pfn = run->pfn + s->first;
		return 0;
	case GSVM_OP_END:
		break;
	}
	return -EINVAL;
}

/* Do the counts say what the entries say? */
static void gsvm_block_check_entries(struct gsvm_block_run *run)
{
	struct gsvm_block *block = run->block;
	unsigned int valid = 0, zombies = 0, other = 0, i;
	DECLARE_BITMAP(mapped, GSVM_BLOCK_PAGES);
	u64 slot = *block->slot;

	for (i = 0; block->table && i < GSVM_BLOCK_PAGES; i++) {
		u64 pte = block->table->pt.entry[i];

		valid += !!(pte & GSVM_PTE_V);
		zombies += !!(pte & GSVM_PTE_SW_ZOMBIE);
		other += pte && !(pte & GSVM_PTE_V) == !(pte & GSVM_PTE_SW_ZOMBIE);
	}
	if (slot & GSVM_PTE_LEAF && slot & GSVM_PTE_V)
		valid += GSVM_BLOCK_PAGES;
	zombies += !!(slot & GSVM_PTE_SW_ZOMBIE);
	gsvm_block_mapped(block, GSVM_PTE_R, mapped);

	GSVM_RUN_EQ(run, block->nr_mapped, valid);
	GSVM_RUN_EQ(run, block->nr_mapped, bitmap_weight(mapped, GSVM_BLOCK_PAGES));
	GSVM_RUN_EQ(run, block->nr_mapped, atomic64_read(&run->t->vm->stats.pages_now));
	GSVM_RUN_EQ(run, block->nr_zombies, zombies);
	GSVM_RUN_EQ(run, run->want_zombies, zombies);
	GSVM_RUN_EQ(run, 0, other);
	if (block->state == GSVM_BLOCK_PAGES_MAPPED)
		GSVM_RUN_EQ(run, block->table->pt.dma | GSVM_PTE_V, slot);
	if (block->state == GSVM_BLOCK_HUGE)
		GSVM_RUN_EQ(run, GSVM_PTE_V | GSVM_PTE_LEAF, slot & (GSVM_PTE_V | GSVM_PTE_LEAF));
}

/* Each entry has the address of the page that the block thinks it has. */
static void gsvm_block_check_frames(struct gsvm_block_run *run)
{
	const u64 base = run->zombies ? 1ull << 44 : 0;
	struct gsvm_block *block = run->block;
	unsigned int wrong = 0, i;

	if (block->state == GSVM_BLOCK_HUGE)
		wrong += (*block->slot & GSVM_PTE_ADDR) != base + PFN_PHYS(block->huge_pfn);
	for (i = 0; block->state == GSVM_BLOCK_PAGES_MAPPED && i < GSVM_BLOCK_PAGES; i++) {
		u64 pte = block->table->pt.entry[i];

		if (pte & GSVM_PTE_V)
			wrong += (pte & GSVM_PTE_ADDR) != base + PFN_PHYS(block->table->pfn[i]);
	}
	GSVM_RUN_EQ(run, 0, wrong);
}

/* Every mapping belongs to an entry, valid or zombie. */
static void gsvm_block_check_dma(struct gsvm_block_run *run)
{
	unsigned long index, pages = 0;
	unsigned int entries = 0;
	void *size;

	if (!run->zombies)
		return;
	xa_for_each(&run->t->mappings, index, size) {
		pages += PHYS_PFN(xa_to_value(size));
		entries++;
	}
	GSVM_RUN_EQ(run, 0, run->t->bad_unmaps);
	GSVM_RUN_EQ(run, run->want_zombies +
		    (run->block->state == GSVM_BLOCK_HUGE ? 1 : run->block->nr_mapped), entries);
	if (run->block->state == GSVM_BLOCK_HUGE)
		GSVM_RUN_EQ(run, GSVM_BLOCK_PAGES, pages);
}

/* What the TLB was told of in this step, in the open batch or as a command. */
static void gsvm_block_check_flush(struct gsvm_block_run *run, const struct gsvm_block_step *s)
{
	struct gsvm_tlb *tlb = &run->block->mirror->tlb;
	struct gsvm_test *t = run->t;
	u64 start, end;

	if (s->flush_last < s->flush_first) {
		GSVM_RUN_EQ(run, 0, tlb->nr + t->nr_log);
		return;
	}
	/* A 2 MiB leaf in a table's place goes with a command that is sent at once. */
	GSVM_RUN_EQ(run, s->op == GSVM_OP_MAP && !s->ret, t->nr_log);
	GSVM_RUN_EQ(run, !t->nr_log, tlb->nr);
	if (t->nr_log) {
		start = t->log[0].cmd.start;
		end = t->log[0].cmd.end;
		GSVM_RUN_EQ(run, tlb->sent, run->block->flush);
	} else {
		start = tlb->range[0].start;
		end = tlb->range[0].end;
		GSVM_RUN_EQ(run, tlb->open, run->block->flush);
	}
	GSVM_RUN_EQ(run, GSVM_TEST_ADDR + s->flush_first * PAGE_SIZE, start);
	GSVM_RUN_EQ(run, GSVM_TEST_ADDR + (s->flush_last + 1) * PAGE_SIZE, end);
}

static void gsvm_block_check_dirty(struct gsvm_block_run *run, const struct gsvm_block_step *s)
{
	DECLARE_BITMAP(want, GSVM_BLOCK_PAGES) = {};
	DECLARE_BITMAP(is, GSVM_BLOCK_PAGES) = {};
	int i;

	if (s->dirty_last >= s->dirty_first)
		bitmap_set(want, s->dirty_first, s->dirty_last - s->dirty_first + 1);
	for (i = 0; i < GSVM_BLOCK_PAGES; i++) {
		if (gsvm_test_pfn_dirty(run->pfn + i))
			__set_bit(i, is);
		gsvm_test_pfn_clean(run->pfn + i);
	}
	GSVM_RUN_EQ(run, bitmap_weight(want, GSVM_BLOCK_PAGES),
		    bitmap_weight(is, GSVM_BLOCK_PAGES));
	GSVM_RUN_EQ(run, true, bitmap_equal(want, is, GSVM_BLOCK_PAGES));
}

static void gsvm_block_step(struct gsvm_block_run *run, const struct gsvm_block_step *s)
{
	bool was_huge = run->block->state == GSVM_BLOCK_HUGE;
	unsigned int had = run->block->nr_mapped;

	/* Let each step begin with an empty batch and an empty log. */
	gsvm_tlb_send(&run->block->mirror->tlb, U64_MAX);
	gsvm_test_log_clear(run->t);

	GSVM_RUN_EQ(run, s->ret, gsvm_block_do(run, s));
	if (run->zombies && (s->op == GSVM_OP_ZAP || s->ret == -EAGAIN) && had)
		run->want_zombies += was_huge ? 1 : had - run->block->nr_mapped;
	GSVM_RUN_EQ(run, s->mapped == EMPTY ? GSVM_BLOCK_EMPTY :
		    s->mapped == HUGE ? GSVM_BLOCK_HUGE : GSVM_BLOCK_PAGES_MAPPED,
		    run->block->state);
	GSVM_RUN_EQ(run, s->mapped == HUGE ? GSVM_BLOCK_PAGES : s->mapped,
		    run->block->nr_mapped);
	gsvm_block_check_entries(run);
	gsvm_block_check_frames(run);
	gsvm_block_check_dma(run);
	gsvm_block_check_flush(run, s);
	gsvm_block_check_dirty(run, s);
}

static struct gsvm_block_run *gsvm_block_run_init(struct kunit *test)
{
	struct gsvm_block_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->t = test->priv;
	run->where = "";
	run->pfn = gsvm_test_pages(run->t, false);
	run->other = gsvm_test_pages(run->t, false);
	run->block = gsvm_test_block(run->t, GSVM_TEST_ADDR);
	return run;
}

static void gsvm_block_run_script(struct gsvm_block_run *run,
				  const struct gsvm_block_script *script)
{
	struct gsvm_block *block = run->block;
	unsigned int i;

	run->where = script->name;
	run->t->bad_pfn = 0;
	run->want_zombies = 0;
	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		gsvm_test_pfn_clean(run->pfn + i);
	if (!block->table)
		block->table = gsvm_block_table_alloc(block->mirror);
	mutex_lock(&block->lock);
	for (run->step = 0; script->step[run->step].op; run->step++)
		gsvm_block_step(run, &script->step[run->step]);

	/* However it ended, nothing is left. */
	gsvm_block_zap(block, 0, GSVM_LAST, false);
	gsvm_block_bury(block);
	run->want_zombies = 0;
	gsvm_block_check_entries(run);
	gsvm_block_check_dma(run);
	*block->slot = 0;
	mutex_unlock(&block->lock);
}

static bool gsvm_block_needs_stub(const struct gsvm_block_script *script)
{
	unsigned int i;

	for (i = 0; script->step[i].op; i++)
		if (script->step[i].op == GSVM_OP_FAIL_DMA)
			return true;
	return false;
}

static void gsvm_block_test_script(struct kunit *test)
{
	struct gsvm_block_run *run = gsvm_block_run_init(test);
	const struct gsvm_block_script *script = test->param_value;

	if (!gsvm_block_needs_stub(script))
		gsvm_block_run_script(run, script);
	/* And from here on with an IOMMU. */
	gsvm_test_iommu_init(run->t);
	run->zombies = true;
	gsvm_block_run_script(run, script);
}

static struct kunit_case gsvm_block_tests[] = {
	KUNIT_CASE_PARAM(gsvm_block_test_script, gsvm_block_gen_params),
	{}
};

static struct kunit_suite gsvm_block_suite = {
	.name = "gsvm_block",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_block_tests,
};

kunit_test_suite(gsvm_block_suite);
