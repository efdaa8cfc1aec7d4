// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Reading a process's page table, tested
 *
 * What hmm_range_fault() leaves of a 2 MiB page, by a kernel that counts frames from where
 * the range begins and by one that counts them from the page's beginning on.
 */

#include <linux/hmm.h>
#include <linux/mm.h>

#include <kunit/test.h>

#include "gsvm_range.h"

#define GSVM_RANGE_TEST_START	0x7f0000200000ul
#define GSVM_RANGE_TEST_FRAME	0x40000ul
#define GSVM_RANGE_TEST_PAGES	3

struct gsvm_range_case {
	const char *name;
	unsigned int order;	/* of the entry */
	unsigned long first;	/* page of its 2 MiB that the range begins with */
	unsigned long told;	/* offset that the kernel tells for it */
	unsigned long want;	/* offset that it has */
	unsigned long flags;
};

static const struct gsvm_range_case gsvm_range_cases[] = {
	{ "from-the-first", PMD_ORDER, 37, 0, 37, HMM_PFN_VALID | HMM_PFN_WRITE },
	{ "from-the-last", PMD_ORDER, 509, 0, 509, HMM_PFN_VALID },
	{ "as-it-should", PMD_ORDER, 37, 37, 37, HMM_PFN_VALID | HMM_PFN_WRITE },
	{ "whole", PMD_ORDER, 0, 0, 0, HMM_PFN_VALID },
	{ "of-1-gib", PUD_ORDER, 37, 512 + 37, 512 + 37, HMM_PFN_VALID },
	{ "small", 0, 37, 5, 5, HMM_PFN_VALID | HMM_PFN_WRITE },
	{ "of-64-kib", 4, 37, 5, 5, HMM_PFN_VALID },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_range, gsvm_range_cases, name);

static void gsvm_range_test_correct(struct kunit *test)
{
	const struct gsvm_range_case *c = test->param_value;
	unsigned long flags = c->flags | (unsigned long)c->order << HMM_PFN_ORDER_SHIFT;
	unsigned long pfn[GSVM_RANGE_TEST_PAGES], start;
	struct hmm_range range = { .hmm_pfns = pfn };
	unsigned int i;

	start = GSVM_RANGE_TEST_START + (c->first << PAGE_SHIFT);
	range.start = start;
	range.end = start + GSVM_RANGE_TEST_PAGES * PAGE_SIZE;
	for (i = 0; i < GSVM_RANGE_TEST_PAGES; i++)
		pfn[i] = (GSVM_RANGE_TEST_FRAME + c->told + i) | flags;
	gsvm_range_correct(&range);
	for (i = 0; i < GSVM_RANGE_TEST_PAGES; i++)
		KUNIT_EXPECT_EQ(test, (GSVM_RANGE_TEST_FRAME + c->want + i) | flags, pfn[i]);
}

/* What is not there has no place, and an error is not made a page. */
static void gsvm_range_test_absent(struct kunit *test)
{
	unsigned long pfn[] = { 0, HMM_PFN_ERROR, 0 };
	struct hmm_range range = {
		.start = GSVM_RANGE_TEST_START + 7 * PAGE_SIZE,
		.end = GSVM_RANGE_TEST_START + 10 * PAGE_SIZE,
		.hmm_pfns = pfn,
	};

	gsvm_range_correct(&range);
	KUNIT_EXPECT_EQ(test, 0, pfn[0]);
	KUNIT_EXPECT_EQ(test, HMM_PFN_ERROR, pfn[1]);
	KUNIT_EXPECT_EQ(test, 0, pfn[2]);
}

static struct kunit_case gsvm_range_tests[] = {
	KUNIT_CASE_PARAM(gsvm_range_test_correct, gsvm_range_gen_params),
	KUNIT_CASE(gsvm_range_test_absent),
	{}
};

/* Needs no device. */
static struct kunit_suite gsvm_range_suite = {
	.name = "gsvm_range",
	.test_cases = gsvm_range_tests,
};

kunit_test_suites(&gsvm_range_suite);
