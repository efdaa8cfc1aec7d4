// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Mapping, tested
 *
 * What entries come of what a service found: leaves of 2 MiB, groups of 64 KiB,
 * rights; and how the pages and the counters hear of it.
 */

#include <linux/bitmap.h>
#include <linux/hmm.h>
#include <linux/mm.h>

#include <kunit/test.h>

#include "gsvm_block.h"
#include "gsvm_test.h"

/* ---- One 2 MiB leaf or single pages ---------------------------------------- */

struct gsvm_block_huge_case {
	const char *name;
	unsigned int how;		/* of all pages */
	unsigned long flip;		/* in one page's word */
	unsigned long add;
	bool flip_exec;			/* of one page */
	bool want;
};

static const struct gsvm_block_huge_case gsvm_block_huge_cases[] = {
	{ "writable", 0, .want = true },
	{ "read-only", RO, .want = true },
	{ "exec", RO | EXEC, .want = true },
	{ "writable-exec", EXEC, .want = true },
	/* What does not concern the device. */
	{ "one-of-another-order", 0, .flip = 3ul << HMM_PFN_ORDER_SHIFT, .want = true },
	{ "one-missing", 0, .flip = HMM_PFN_VALID },
	{ "one-read-only", 0, .flip = HMM_PFN_WRITE },
	{ "one-writable", RO, .flip = HMM_PFN_WRITE },
	{ "one-exec", 0, .flip_exec = true },
	{ "one-not-exec", EXEC, .flip_exec = true },
	{ "one-elsewhere", 0, .add = GSVM_BLOCK_PAGES },
	{ "one-next", 0, .add = 1 },
	{ "one-before", 0, .add = -1ul },
	{ "shifted", SHIFTED },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_block_huge, gsvm_block_huge_cases, name);

static void gsvm_block_test_can_be_huge(struct kunit *test)
{
	static const unsigned int odd[] = { 0, 1, 15, 16, 255, 256, 510, 511 };
	const struct gsvm_block_huge_case *c = test->param_value;
	struct gsvm_block_pages *pages = kunit_kzalloc(test, sizeof(*pages), GFP_KERNEL);
	struct gsvm_block *block = kunit_kzalloc(test, sizeof(*block), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, pages && block);
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		gsvm_test_fill(pages, 0x12200, 0, GSVM_LAST, c->how);
		pages->pfn[odd[i]] = (pages->pfn[odd[i]] ^ c->flip) + c->add;
		if (c->flip_exec)
			change_bit(odd[i], pages->exec);
		KUNIT_EXPECT_EQ_MSG(test, c->want, gsvm_block_can_be_huge(block, pages),
				    "page %u", odd[i]);
	}
}

/* ---- What becomes of pages ---------------------------------------------------- */

/**
 * struct gsvm_block_map_test - a block, and memory for it
 * @t: fixture
 * @block: the block
 * @pages: what is offered for mapping
 * @pfn: the memory
 */
struct gsvm_block_map_test {
	struct gsvm_test *t;
	struct gsvm_block *block;
	struct gsvm_block_pages pages;
	unsigned long pfn;
};

static struct gsvm_block_map_test *gsvm_block_map_init(struct kunit *test)
{
	struct gsvm_block_map_test *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->t = test->priv;
	run->pfn = gsvm_test_pages(run->t, false);
	run->block = gsvm_test_block(run->t, GSVM_TEST_ADDR);
	return run;
}

/* Sixteen neighbours become a group, unless they are not one. */
static void gsvm_block_test_groups(struct kunit *test)
{
	struct gsvm_block_map_test *run = gsvm_block_map_init(test);
	u64 *entry = run->block->table->pt.entry;
	unsigned int i, wrong = 0;

	gsvm_test_fill(&run->pages, run->pfn, 0, GSVM_LAST, HOLE);
	mutex_lock(&run->block->lock);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(run->block, &run->pages));
	/* Page 300 is missing: its group is none, all others are. */
	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		wrong += !(entry[i] & GSVM_PTE_CONT) !=
			 (i / GSVM_CONT_PAGES == 300 / GSVM_CONT_PAGES);
	KUNIT_EXPECT_EQ(test, 0, wrong);
	gsvm_test_fill(&run->pages, run->pfn, 300, 300, 0);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(run->block, &run->pages));
	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		wrong += !(entry[i] & GSVM_PTE_CONT);
	KUNIT_EXPECT_EQ(test, 0, wrong);
	/* And one is none any more when a member goes. */
	gsvm_block_zap(run->block, 31, 32, false);
	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		wrong += !(entry[i] & GSVM_PTE_CONT) != (i >= 16 && i < 48);
	KUNIT_EXPECT_EQ(test, 0, wrong);
	mutex_unlock(&run->block->lock);
}

/* The rights of an entry, by what the CPU's entry and the mapping allow. */
struct gsvm_block_rights_case {
	const char *name;
	unsigned int how;
	u64 want;
};

static const struct gsvm_block_rights_case gsvm_block_rights_cases[] = {
	{ "read", RO, GSVM_PTE_R },
	{ "write", 0, GSVM_PTE_R | GSVM_PTE_W | GSVM_PTE_AT },
	{ "exec", RO | EXEC, GSVM_PTE_R | GSVM_PTE_X },
	{ "all", EXEC, GSVM_PTE_R | GSVM_PTE_W | GSVM_PTE_X | GSVM_PTE_AT },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_block_rights, gsvm_block_rights_cases, name);

static void gsvm_block_test_rights(struct kunit *test)
{
	const struct gsvm_block_rights_case *c = test->param_value;
	struct gsvm_block_map_test *run = gsvm_block_map_init(test);
	struct gsvm_block *block = run->block;

	mutex_lock(&block->lock);
	gsvm_test_fill(&run->pages, run->pfn, 9, 9, c->how);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(block, &run->pages));
	KUNIT_EXPECT_EQ(test, c->want, block->table->pt.entry[9] & GSVM_PTE_RIGHTS);
	gsvm_block_zap(block, 9, 9, false);
	gsvm_test_fill(&run->pages, run->pfn, 0, GSVM_LAST, c->how);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(block, &run->pages));
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_HUGE, block->state);
	KUNIT_EXPECT_EQ(test, c->want, *block->slot & GSVM_PTE_RIGHTS);
	mutex_unlock(&block->lock);
}

/* One folio, whichever part of it was written, mapped in whatever way. */
static void gsvm_block_test_folio(struct kunit *test)
{
	struct gsvm_block_map_test *run = gsvm_block_map_init(test);
	struct gsvm_block *block = run->block;
	int page;

	run->pfn = gsvm_test_pages(run->t, true);
	mutex_lock(&block->lock);
	for (page = 0; page < GSVM_BLOCK_PAGES; page += 73) {
		gsvm_test_fill(&run->pages, run->pfn, page, page, 0);
		KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(block, &run->pages));
		gsvm_test_device_writes(run->block, page, page);
		gsvm_block_zap(block, 0, GSVM_LAST, false);
		KUNIT_EXPECT_TRUE(test, gsvm_test_pfn_dirty(run->pfn));
		gsvm_test_pfn_clean(run->pfn);
	}
	gsvm_test_fill(&run->pages, run->pfn, 0, GSVM_LAST, 0);
	KUNIT_EXPECT_EQ(test, 0, gsvm_block_map(block, &run->pages));
	KUNIT_EXPECT_EQ(test, GSVM_BLOCK_HUGE, block->state);
	gsvm_test_device_writes(run->block, 0, 0);
	gsvm_block_zap(block, 0, 0, false);
	KUNIT_EXPECT_TRUE(test, gsvm_test_pfn_dirty(run->pfn));
	mutex_unlock(&block->lock);
}

/* What the counters of the address space say. */
static void gsvm_block_test_stats(struct kunit *test)
{
	struct gsvm_block_map_test *run = gsvm_block_map_init(test);
	struct gsvm_vm_stats *stats = &run->t->vm->stats;
	s64 bytes = atomic64_read(&stats->metadata_bytes);
	struct gsvm_block_table *table;

	mutex_lock(&run->block->lock);
	gsvm_test_fill(&run->pages, run->pfn, 0, 9, 0);
	gsvm_block_map(run->block, &run->pages);
	gsvm_block_map(run->block, &run->pages);
	gsvm_test_device_writes(run->block, 3, 5);
	gsvm_block_zap(run->block, 0, 4, false);
	KUNIT_EXPECT_EQ(test, 10, atomic64_read(&stats->pages_mapped));
	KUNIT_EXPECT_EQ(test, 5, atomic64_read(&stats->pages_now));
	KUNIT_EXPECT_EQ(test, 2, atomic64_read(&stats->pages_dirtied));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&stats->huge_mapped));
	gsvm_block_zap(run->block, 0, GSVM_LAST, false);
	gsvm_test_fill(&run->pages, run->pfn, 0, GSVM_LAST, 0);
	gsvm_block_map(run->block, &run->pages);
	gsvm_test_device_writes(run->block, 0, 0);
	gsvm_block_zap(run->block, 0, 0, false);
	KUNIT_EXPECT_EQ(test, 522, atomic64_read(&stats->pages_mapped));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&stats->pages_now));
	KUNIT_EXPECT_EQ(test, 515, atomic64_read(&stats->pages_dirtied));
	KUNIT_EXPECT_EQ(test, 1, atomic64_read(&stats->huge_mapped));
	mutex_unlock(&run->block->lock);

	table = gsvm_block_table_alloc(run->block->mirror);
	KUNIT_ASSERT_NOT_NULL(test, table);
	KUNIT_EXPECT_LT(test, bytes, atomic64_read(&stats->metadata_bytes));
	gsvm_block_table_free(run->block->mirror, table);
	KUNIT_EXPECT_EQ(test, bytes, atomic64_read(&stats->metadata_bytes));
}

static struct kunit_case gsvm_block_huge_tests[] = {
	KUNIT_CASE_PARAM(gsvm_block_test_can_be_huge, gsvm_block_huge_gen_params),
	{}
};

/* Needs no device. */
static struct kunit_suite gsvm_block_huge_suite = {
	.name = "gsvm_block_huge",
	.test_cases = gsvm_block_huge_tests,
};

static struct kunit_case gsvm_block_map_tests[] = {
	KUNIT_CASE_PARAM(gsvm_block_test_rights, gsvm_block_rights_gen_params),
	KUNIT_CASE(gsvm_block_test_groups),
	KUNIT_CASE(gsvm_block_test_folio),
	KUNIT_CASE(gsvm_block_test_stats),
	{}
};

static struct kunit_suite gsvm_block_map_suite = {
	.name = "gsvm_block_map",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_block_map_tests,
};

kunit_test_suites(&gsvm_block_huge_suite, &gsvm_block_map_suite);
