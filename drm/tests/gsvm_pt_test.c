// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Page table, tested
 *
 * Entries are written out in numbers, as docs/hardware.rst has them, and not in
 * the terms of the code under test. V 1, R 2, W 4, X 8, AT 10, A 20, D 40, LEAF
 * 80, CONT 100, the address from bit 12 on, and bit 52 for a zombie.
 */

#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/sizes.h>

#include <kunit/device.h>
#include <kunit/test.h>

#include "gsvm_pt.h"
#include "gsvm_test.h"

#define GSVM_TEST_A	0x020ull
#define GSVM_TEST_D	0x040ull
#define GSVM_TEST_CONT	0x100ull
#define GSVM_TEST_Z	BIT_ULL(52)

/* ---- Single entries ------------------------------------------------------- */

struct gsvm_pte_make_case {
	const char *name;
	u64 (*make)(dma_addr_t addr, u64 rights);
	u64 addr;
	u64 rights;
	u64 want;
};

static u64 gsvm_test_make_table(dma_addr_t addr, u64 rights)
{
	return gsvm_pte_make_table(addr);
}

static const struct gsvm_pte_make_case gsvm_pte_make_cases[] = {
	{ "page-none", gsvm_pte_make, 0x12345000, 0x00, 0x12345081 },
	{ "page-r", gsvm_pte_make, 0x12345000, 0x02, 0x12345083 },
	{ "page-rw", gsvm_pte_make, 0x12345000, 0x16, 0x12345097 },
	{ "page-rx", gsvm_pte_make, 0x12345000, 0x0a, 0x1234508b },
	{ "page-all", gsvm_pte_make, 0x12345000, 0x1e, 0x1234509f },
	{ "page-at-zero", gsvm_pte_make, 0, 0x02, 0x83 },
	{ "page-last", gsvm_pte_make, 0xffffffffff000, 0x1e, 0xffffffffff09f },
	{ "page-offset-goes", gsvm_pte_make, 0x1fff, 0x02, 0x1083 },
	{ "page-beyond-goes", gsvm_pte_make, 0xfff0000000001000, 0x02, 0x1083 },
	{ "huge-r", gsvm_pte_make_huge, 0x40000000, 0x02, 0x40000083 },
	{ "huge-all", gsvm_pte_make_huge, 0x200000, 0x1e, 0x20009f },
	{ "huge-offset-goes", gsvm_pte_make_huge, 0x3ff000, 0x02, 0x200083 },
	{ "huge-last", gsvm_pte_make_huge, 0xfffffffe00000, 0x1e, 0xfffffffe0009f },
	{ "table", gsvm_test_make_table, 0x5000, 0, 0x5001 },
	{ "table-last", gsvm_test_make_table, 0xffffffffff000, 0, 0xffffffffff001 },
	{ "table-offset-goes", gsvm_test_make_table, 0x5ff8, 0, 0x5001 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pte_make, gsvm_pte_make_cases, name);

static void gsvm_pte_test_make(struct kunit *test)
{
	const struct gsvm_pte_make_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, c->want, c->make(c->addr, c->rights));
}

struct gsvm_pte_change_case {
	const char *name;
	u64 before;
	u64 arg;
	u64 after;
	bool dirty;		/* or, for ages, accessed */
};

static const struct gsvm_pte_change_case gsvm_pte_zap_cases[] = {
	{ "nothing", 0, false, 0 },
	{ "clean", 0x12345083, false, 0 },
	{ "accessed", 0x123450b7, false, 0 },
	{ "dirty", 0x123450f7, false, 0, true },
	{ "huge-clean", 0x40000097, false, 0 },
	{ "huge-dirty", 0x400000d7, false, 0, true },
	{ "zombie-clean", 0x12345083, true, GSVM_TEST_Z | 0x12345080 },
	{ "zombie-dirty", 0x123450ff, true, GSVM_TEST_Z | 0x12345080, true },
	{ "zombie-huge", 0x400000f7, true, GSVM_TEST_Z | 0x40000080, true },
	{ "zombie-at-zero", 0x97, true, GSVM_TEST_Z | 0x80 },
	{ "zombie-last", 0xffffffffff0b7, true, GSVM_TEST_Z | 0xffffffffff080 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pte_zap, gsvm_pte_zap_cases, name);

static void gsvm_pte_test_zap(struct kunit *test)
{
	const struct gsvm_pte_change_case *c = test->param_value;
	u64 pte = c->before;

	KUNIT_EXPECT_EQ(test, c->dirty, gsvm_pte_zap(&pte, c->arg));
	KUNIT_EXPECT_EQ(test, c->after, pte);
	KUNIT_EXPECT_FALSE(test, gsvm_pte_valid(pte));
}

static const struct gsvm_pte_change_case gsvm_pte_write_protect_cases[] = {
	{ "read-only", 0x12345083, 0, 0x12345083 },
	{ "read-only-accessed", 0x123450a3, 0, 0x123450a3 },
	{ "clean", 0x12345097, 0, 0x12345083 },
	{ "no-atomics", 0x12345087, 0, 0x12345083 },
	{ "dirty", 0x123450d7, 0, 0x12345083, true },
	{ "dirty-accessed", 0x123450f7, 0, 0x123450a3, true },
	{ "exec-stays", 0x123450ff, 0, 0x123450ab, true },
	{ "dirty-read-only", 0x123450c3, 0, 0x12345083, true },
	{ "huge", 0x400000f7, 0, 0x400000a3, true },
	{ "last", 0xffffffffff0df, 0, 0xffffffffff08b, true },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pte_write_protect, gsvm_pte_write_protect_cases, name);

static void gsvm_pte_test_write_protect(struct kunit *test)
{
	const struct gsvm_pte_change_case *c = test->param_value;
	u64 pte = c->before;

	KUNIT_EXPECT_EQ(test, c->dirty, gsvm_pte_write_protect(&pte));
	KUNIT_EXPECT_EQ(test, c->after, pte);
	/* What was said to be dirty is not said again. */
	KUNIT_EXPECT_FALSE(test, gsvm_pte_write_protect(&pte));
	KUNIT_EXPECT_EQ(test, c->after, pte);
}

static const struct gsvm_pte_change_case gsvm_pte_upgrade_cases[] = {
	{ "write", 0x12345083, 0x14, 0x12345097 },
	{ "nothing", 0x12345083, 0, 0x12345083 },
	{ "again", 0x12345097, 0x16, 0x12345097 },
	{ "exec", 0x12345083, 0x08, 0x1234508b },
	{ "keeps-accessed-dirty", 0x123450e3, 0x14, 0x123450f7 },
	{ "never-takes", 0x1234509f, 0x02, 0x1234509f },
	{ "huge", 0x40000083, 0x14, 0x40000097 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pte_upgrade, gsvm_pte_upgrade_cases, name);

static void gsvm_pte_test_upgrade(struct kunit *test)
{
	const struct gsvm_pte_change_case *c = test->param_value;
	u64 pte = c->before;

	gsvm_pte_upgrade(&pte, c->arg);
	KUNIT_EXPECT_EQ(test, c->after, pte);
}

static const struct gsvm_pte_change_case gsvm_pte_age_cases[] = {
	{ "accessed", 0x123450a3, 0, 0x12345083, true },
	{ "not-accessed", 0x123450c7, 0, 0x123450c7 },
	{ "keeps-dirty", 0x123450f7, 0, 0x123450d7, true },
	{ "huge", 0x400000b7, 0, 0x40000097, true },
	{ "not-valid", 0x12345020, 0, 0x12345020 },
	{ "nothing", 0, 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pte_age, gsvm_pte_age_cases, name);

static void gsvm_pte_test_age(struct kunit *test)
{
	const struct gsvm_pte_change_case *c = test->param_value;
	u64 pte = c->before;

	KUNIT_EXPECT_EQ(test, c->dirty, gsvm_pte_age(&pte));
	KUNIT_EXPECT_EQ(test, c->after, pte);
	KUNIT_EXPECT_FALSE(test, gsvm_pte_age(&pte));
}

/* ---- 64 KiB groups -------------------------------------------------------- */

static u64 *gsvm_test_new_table(struct kunit *test)
{
	u64 *table = kunit_kcalloc(test, GSVM_BLOCK_PAGES, sizeof(*table), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, table);
	return table;
}

/* A table whose three groups around @first could each be one. */
static void gsvm_test_groups(u64 *table, unsigned int first, u64 bits)
{
	unsigned int begin = first ? first - GSVM_CONT_PAGES : 0, i;
	unsigned int end = min(first + 2 * GSVM_CONT_PAGES, GSVM_BLOCK_PAGES);

	memset(table, 0, GSVM_BLOCK_PAGES * sizeof(*table));
	for (i = begin; i < end; i++)
		table[i] = 0x12340000ull + i * 0x1000 + bits;
}

/* The first entry that differs is what one wants to see. */
static void gsvm_test_same_table(struct kunit *test, const u64 *want, const u64 *table)
{
	unsigned int i;

	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		KUNIT_ASSERT_EQ_MSG(test, want[i], table[i], "entry %u", i);
}

/* What one entry of sixteen is instead, and whether they are a group all the same. */
struct gsvm_cont_case {
	const char *name;
	u64 flip;
	u64 add;
	bool group;
};

static const struct gsvm_cont_case gsvm_cont_make_cases[] = {
	{ "same", 0, 0, true },
	{ "accessed", GSVM_TEST_A, 0, true },
	{ "dirty", GSVM_TEST_D, 0, true },
	{ "accessed-dirty", GSVM_TEST_A | GSVM_TEST_D, 0, true },
	{ "group-already", GSVM_TEST_CONT, 0, true },
	{ "not-valid", 1 },
	{ "no-read", 2 },
	{ "no-write", 4 },
	{ "exec", 8 },
	{ "no-atomics", 0x10 },
	{ "zombie", 1 | GSVM_TEST_Z },
	{ "vram", 0x200 },
	{ "next-page", 0, 0x1000 },
	{ "far-page", 0, 0x10000 },
	{ "page-before", 0, -0x1000ull },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_cont_make, gsvm_cont_make_cases, name);

static const unsigned int gsvm_test_group[] = { 0, 16, 256, 496 };

/* Group, deviating entry, entry that is asked for: all of them. */
static void gsvm_pte_test_cont_make(struct kunit *test)
{
	const struct gsvm_cont_case *c = test->param_value;
	u64 *table = gsvm_test_new_table(test), *want = gsvm_test_new_table(test);
	unsigned int g, odd, i;

	for (g = 0; g < ARRAY_SIZE(gsvm_test_group); g++) {
		const unsigned int first = gsvm_test_group[g];

		for (odd = 0; odd < GSVM_CONT_PAGES; odd++) {
			gsvm_test_groups(table, first, 0x97);
			table[first + odd] = (table[first + odd] ^ c->flip) + c->add;
			memcpy(want, table, GSVM_BLOCK_PAGES * sizeof(*table));
			for (i = first; c->group && i < first + GSVM_CONT_PAGES; i++)
				want[i] |= GSVM_TEST_CONT;

			KUNIT_ASSERT_EQ_MSG(test, c->group,
					    gsvm_pte_cont_make(table, first + odd),
					    "group %u, entry %u", first, odd);
			gsvm_test_same_table(test, want, table);
		}
	}
}

/* Sixteen neighbours in memory, but not from a multiple of 64 KiB. */
static void gsvm_pte_test_cont_alignment(struct kunit *test)
{
	u64 *table = gsvm_test_new_table(test);
	unsigned int shift, i;

	for (shift = 0; shift < GSVM_CONT_PAGES; shift++) {
		gsvm_test_groups(table, 16, 0x97);
		for (i = 0; i < GSVM_BLOCK_PAGES; i++)
			if (table[i])
				table[i] += shift * 0x1000;
		KUNIT_EXPECT_EQ_MSG(test, !shift, gsvm_pte_cont_make(table, 16), "shift %u", shift);
	}
}

/*
 * The device says D in entry @odd, and somebody changes entry @asked: afterwards
 * every entry of the group has D, and none CONT.
 */
static void gsvm_pte_expect_break(struct kunit *test, u64 *table, u64 *want, unsigned int first,
				  unsigned int odd, unsigned int asked)
{
	bool wrote = odd < GSVM_CONT_PAGES;
	unsigned int i;

	gsvm_test_groups(table, first, 0x197);
	gsvm_test_groups(want, first, 0x197);
	for (i = first; i < first + GSVM_CONT_PAGES; i++)
		want[i] = (want[i] & ~GSVM_TEST_CONT) | (wrote ? GSVM_TEST_D : 0);
	if (wrote) {
		table[first + odd] |= GSVM_TEST_A | GSVM_TEST_D;
		want[first + odd] |= GSVM_TEST_A;
	}
	KUNIT_ASSERT_TRUE_MSG(test, gsvm_pte_cont_break(table, first + asked),
			      "group %u, D in %u, asked for %u", first, odd, asked);
	gsvm_test_same_table(test, want, table);
	KUNIT_ASSERT_FALSE(test, gsvm_pte_cont_break(table, first + asked));
}

static void gsvm_pte_test_cont_break(struct kunit *test)
{
	u64 *table = gsvm_test_new_table(test), *want = gsvm_test_new_table(test);
	unsigned int g, odd, asked;

	/* The last round of @odd: nobody wrote. */
	for (g = 0; g < ARRAY_SIZE(gsvm_test_group); g++)
		for (odd = 0; odd <= GSVM_CONT_PAGES; odd++)
			for (asked = 0; asked < GSVM_CONT_PAGES; asked += 5)
				gsvm_pte_expect_break(test, table, want, gsvm_test_group[g],
						      odd, asked);
}

static void gsvm_pte_test_cont_break_none(struct kunit *test)
{
	u64 *table = gsvm_test_new_table(test), *want = gsvm_test_new_table(test);
	unsigned int i;

	gsvm_test_groups(table, 16, 0xd7);
	gsvm_test_groups(want, 16, 0xd7);
	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		KUNIT_ASSERT_FALSE(test, gsvm_pte_cont_break(table, i));
	gsvm_test_same_table(test, want, table);
}

/* ---- The device at work meanwhile ----------------------------------------- */

#define GSVM_TEST_RACES	4000

/**
 * struct gsvm_pt_race - an entry that two change
 * @pte: the entry; its address field holds the round
 * @wrote: per round: the device has set D, and so may have written
 * @steps: looks of the device, so that the other side knows it saw the last change
 * @stop: enough
 */
struct gsvm_pt_race {
	u64 pte;
	unsigned long *wrote;
	unsigned long steps;
	bool stop;
};

/* As the device does: D by compare-exchange, and never in an entry that is not valid. */
static void gsvm_pt_test_device(struct gsvm_test_thread *thread)
{
	struct gsvm_pt_race *race = thread->data;

	complete(&thread->at);
	while (!READ_ONCE(race->stop)) {
		u64 old = READ_ONCE(race->pte);

		if ((old & (GSVM_PTE_V | GSVM_PTE_W | GSVM_PTE_D)) == (GSVM_PTE_V | GSVM_PTE_W) &&
		    try_cmpxchg(&race->pte, &old, old | GSVM_PTE_A | GSVM_PTE_D))
			set_bit((old & GSVM_PTE_ADDR) >> PAGE_SHIFT, race->wrote);
		/* Pairs with the acquire in gsvm_pt_test_settle(). */
		smp_store_release(&race->steps, race->steps + 1);
		cond_resched();
	}
}

/* Wait until the device has looked at the entry as it is now. */
static void gsvm_pt_test_settle(struct gsvm_pt_race *race)
{
	/* Pairs with the release in gsvm_pt_test_device(): what it wrote is there. */
	unsigned long begin = smp_load_acquire(&race->steps);

	/* And so does this one. */
	while (smp_load_acquire(&race->steps) - begin < 2)
		cond_resched();
}

enum gsvm_pt_race_how { GSVM_RACE_ZAP, GSVM_RACE_ZOMBIE, GSVM_RACE_PROTECT, GSVM_RACE_UPGRADE };

struct gsvm_pt_race_case {
	const char *name;
	enum gsvm_pt_race_how how;
};

static const struct gsvm_pt_race_case gsvm_pt_race_cases[] = {
	{ "zap", GSVM_RACE_ZAP },
	{ "zombie", GSVM_RACE_ZOMBIE },
	{ "write-protect", GSVM_RACE_PROTECT },
	{ "upgrade", GSVM_RACE_UPGRADE },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pt_race, gsvm_pt_race_cases, name);

static bool gsvm_pt_race_once(struct gsvm_pt_race *race, enum gsvm_pt_race_how how)
{
	switch (how) {
	case GSVM_RACE_ZAP:
		return gsvm_pte_zap(&race->pte, false);
	case GSVM_RACE_ZOMBIE:
		return gsvm_pte_zap(&race->pte, true);
	case GSVM_RACE_PROTECT:
		return gsvm_pte_write_protect(&race->pte);
	case GSVM_RACE_UPGRADE:
		/* What the upgrade loses, the zap does not find. */
		gsvm_pte_upgrade(&race->pte, GSVM_PTE_X);
		return gsvm_pte_zap(&race->pte, false);
	}
	return false;
}

/* What the device wrote, the driver hears of; what it says was written, was. */
static void gsvm_pt_test_race(struct kunit *test)
{
	const struct gsvm_pt_race_case *c = test->param_value;
	struct gsvm_test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);
	struct gsvm_pt_race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	unsigned int round, spin, lost = 0, made_up = 0;

	KUNIT_ASSERT_TRUE(test, thread && race);
	race->wrote = kunit_kcalloc(test, BITS_TO_LONGS(GSVM_TEST_RACES), sizeof(long), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race->wrote);
	gsvm_test_start(test->priv, thread, gsvm_pt_test_device, race);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->at));

	for (round = 0; round < GSVM_TEST_RACES; round++) {
		bool dirty, wrote;

		WRITE_ONCE(race->pte, gsvm_pte_make((u64)round << PAGE_SHIFT,
						    GSVM_PTE_R | GSVM_PTE_W));
		/* Now and then the device is first for sure. */
		if (round % 16 == 0)
			gsvm_pt_test_settle(race);
		for (spin = 0; spin < round % 64; spin++)
			cpu_relax();
		dirty = gsvm_pt_race_once(race, c->how);
		gsvm_pt_test_settle(race);
		wrote = test_bit(round, race->wrote);
		lost += wrote && !dirty;
		made_up += dirty && !wrote;
	}
	WRITE_ONCE(race->stop, true);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->done));
	KUNIT_EXPECT_EQ(test, 0, lost);
	KUNIT_EXPECT_EQ(test, 0, made_up);
	KUNIT_EXPECT_FALSE(test, bitmap_empty(race->wrote, GSVM_TEST_RACES));
}

/* ---- The tree ------------------------------------------------------------- */

struct gsvm_pt_fixture {
	struct gsvm_test *t;
	struct gsvm_pt pt;
};

/* As the device walks: the entry of @level that covers @va, or NULL. */
static u64 *gsvm_pt_walk(struct gsvm_pt_fixture *f, u64 va, unsigned int level)
{
	u64 *table = gsvm_test_table(f->t, gsvm_pt_root(&f->pt));
	unsigned int l;

	for (l = 3; l > level; l--) {
		u64 pte = READ_ONCE(table[va >> (12 + 9 * l) & 511]);

		if ((pte & 0xfff) != 1)
			return NULL;
		table = gsvm_test_table(f->t, pte & 0xffffffffff000);
	}
	return &table[va >> (12 + 9 * level) & 511];
}

static void gsvm_pt_test_tree_fini(void *data)
{
	gsvm_pt_fini(data);
}

static struct gsvm_pt_fixture *gsvm_pt_test_tree(struct kunit *test)
{
	struct gsvm_pt_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = test->priv;
	KUNIT_ASSERT_EQ(test, 0, gsvm_pt_init(&f->pt, f->t->gdev->drm.dev));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, gsvm_pt_test_tree_fini, &f->pt));
	return f;
}

/* Two addresses, in a fresh page table, and how many directories they share. */
struct gsvm_pt_slot_case {
	const char *name;
	u64 a;
	u64 b;
	unsigned int dirs;	/* directories for both, without the root */
	long apart;		/* slots from a to b; 0: the same */
};

#define GSVM_ELSEWHERE	LONG_MAX

static const struct gsvm_pt_slot_case gsvm_pt_slot_cases[] = {
	{ "same", 0, 0, 2, 0 },
	{ "block-first-last-byte", 0x200000, 0x3fffff, 2, 0 },
	{ "neighbour", 0x1fffff, 0x200000, 2, 1 },
	{ "gib-first-last", 0x40000000, 0x7fe00000, 2, 511 },
	{ "gib-edge", 0x3fffffff, 0x40000000, 3, GSVM_ELSEWHERE },
	{ "512-gib-edge", 0x7fffffffff, 0x8000000000, 4, GSVM_ELSEWHERE },
	{ "2-47-edge", 0x7fffffffffff, 0x800000000000, 4, GSVM_ELSEWHERE },
	{ "first-last", 0, 0xffffffffffff, 4, GSVM_ELSEWHERE },
	{ "last-two", 0xffffffc00000, 0xffffffffffff, 2, 1 },
	{ "same-index-other-gib", 0x600000, 0x40600000, 3, GSVM_ELSEWHERE },
	{ "same-index-other-512-gib", 0x600000, 0x8000600000, 4, GSVM_ELSEWHERE },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_pt_slot, gsvm_pt_slot_cases, name);

static void gsvm_pt_test_slot(struct kunit *test)
{
	const struct gsvm_pt_slot_case *c = test->param_value;
	struct gsvm_pt_fixture *f = gsvm_pt_test_tree(test);
	u64 *a, *b, *again;
	size_t bytes;

	KUNIT_EXPECT_NULL(test, gsvm_pt_walk(f, c->a, 1));
	KUNIT_ASSERT_EQ(test, 0, gsvm_pt_slot(&f->pt, c->a, &a));
	KUNIT_EXPECT_PTR_EQ(test, a, gsvm_pt_walk(f, c->a, 1));
	KUNIT_ASSERT_EQ(test, 0, gsvm_pt_slot(&f->pt, c->b, &b));
	KUNIT_EXPECT_PTR_EQ(test, b, gsvm_pt_walk(f, c->b, 1));
	KUNIT_EXPECT_EQ(test, 0, *a | *b);

	if (c->apart != GSVM_ELSEWHERE)
		KUNIT_EXPECT_EQ(test, c->apart, b - a);
	else
		KUNIT_EXPECT_NE(test, round_down((uintptr_t)a, SZ_4K),
				round_down((uintptr_t)b, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1 + c->dirs, f->pt.bytes / SZ_4K -
			/* Directories of levels 3 and 2 have a page of pointers each. */
			(c->dirs == 2 || c->dirs == 3 ? 2 : 3));

	bytes = f->pt.bytes;
	KUNIT_EXPECT_EQ(test, 0, gsvm_pt_slot(&f->pt, c->a, &again));
	KUNIT_EXPECT_PTR_EQ(test, a, again);
	KUNIT_EXPECT_EQ(test, bytes, f->pt.bytes);
}

static void gsvm_pt_test_fini(struct kunit *test)
{
	struct gsvm_pt_fixture *f = gsvm_pt_test_tree(test);
	u64 *slot, va;

	for (va = 0; va < 1ull << 48; va += 1ull << 45)
		KUNIT_EXPECT_EQ(test, 0, gsvm_pt_slot(&f->pt, va, &slot));
	gsvm_pt_fini(&f->pt);
	KUNIT_EXPECT_EQ(test, 0, f->pt.bytes);
	KUNIT_EXPECT_EQ(test, -ENODEV, gsvm_pt_slot(&f->pt, 0, &slot));
	gsvm_pt_fini(&f->pt);
	KUNIT_EXPECT_EQ(test, 0, f->pt.bytes);
}

static void gsvm_pt_test_table(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_pt_table table = {};
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, gsvm_pt_table_init(t->gdev->drm.dev, &table));
	KUNIT_EXPECT_PTR_EQ(test, table.entry, gsvm_test_table(t, table.dma));
	KUNIT_EXPECT_EQ(test, 0, table.dma & 0xfff);
	for (i = 0; i < GSVM_PT_ENTRIES; i++)
		KUNIT_EXPECT_EQ(test, 0, table.entry[i]);
	gsvm_pt_table_fini(t->gdev->drm.dev, &table);
	KUNIT_EXPECT_NULL(test, table.entry);
	gsvm_pt_table_fini(t->gdev->drm.dev, &table);
}

static struct kunit_case gsvm_pte_tests[] = {
	KUNIT_CASE_PARAM(gsvm_pte_test_make, gsvm_pte_make_gen_params),
	KUNIT_CASE_PARAM(gsvm_pte_test_zap, gsvm_pte_zap_gen_params),
	KUNIT_CASE_PARAM(gsvm_pte_test_write_protect, gsvm_pte_write_protect_gen_params),
	KUNIT_CASE_PARAM(gsvm_pte_test_upgrade, gsvm_pte_upgrade_gen_params),
	KUNIT_CASE_PARAM(gsvm_pte_test_age, gsvm_pte_age_gen_params),
	KUNIT_CASE_PARAM(gsvm_pte_test_cont_make, gsvm_cont_make_gen_params),
	KUNIT_CASE(gsvm_pte_test_cont_alignment),
	KUNIT_CASE(gsvm_pte_test_cont_break),
	KUNIT_CASE(gsvm_pte_test_cont_break_none),
	{}
};

/* Needs no device. */
static struct kunit_suite gsvm_pte_suite = {
	.name = "gsvm_pte",
	.test_cases = gsvm_pte_tests,
};

static struct kunit_case gsvm_pt_tests[] = {
	KUNIT_CASE_PARAM(gsvm_pt_test_race, gsvm_pt_race_gen_params),
	KUNIT_CASE_PARAM(gsvm_pt_test_slot, gsvm_pt_slot_gen_params),
	KUNIT_CASE(gsvm_pt_test_fini),
	KUNIT_CASE(gsvm_pt_test_table),
	{}
};

static struct kunit_suite gsvm_pt_suite = {
	.name = "gsvm_pt",
	.init = gsvm_test_init,
	.test_cases = gsvm_pt_tests,
};

kunit_test_suites(&gsvm_pte_suite, &gsvm_pt_suite);
