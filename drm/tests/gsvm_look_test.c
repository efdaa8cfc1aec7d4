// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Looking before moving, tested
 *
 * What counts as movable, and as nothing, in what hmm_range_fault() has left;
 * pages of the test's own stand in for a process's. And which address space is
 * told of a page that comes back.
 */

#include <linux/hmm.h>
#include <linux/mm.h>

#include <kunit/test.h>

#include "gsvm_look.h"
#include "gsvm_test.h"
#include "gsvm_vram.h"

#define GSVM_LOOK_TEST_PAGE	7

/**
 * struct gsvm_look_test - a look, with one page that is there
 * @look: the look
 * @page: page at GSVM_LOOK_TEST_PAGE
 * @vram: VRAM that pages may go to; only its frames count
 */
struct gsvm_look_test {
	struct gsvm_look look;
	struct page *page;
	struct gsvm_vram vram;
};

struct gsvm_look_case {
	const char *name;
	unsigned long flags;	/* of the entry */
	unsigned long mapping;	/* FOLIO_MAPPING_* */
	int refs;		/* more than it has */
	bool zero;		/* the zero page instead */
	bool vram;		/* the frame is VRAM's */
	bool movable;
	bool empty;
};

static const struct gsvm_look_case gsvm_look_cases[] = {
	{ "mapped", HMM_PFN_VALID | HMM_PFN_WRITE, FOLIO_MAPPING_ANON, .movable = true },
	{ "read-only", HMM_PFN_VALID, FOLIO_MAPPING_ANON, .movable = true },
	{ "sampled", 0, FOLIO_MAPPING_ANON, .movable = true },
	{ "ksm", HMM_PFN_VALID, FOLIO_MAPPING_KSM },
	{ "pinned", HMM_PFN_VALID, FOLIO_MAPPING_ANON, .refs = GUP_PIN_COUNTING_BIAS },
	{ "not-anonymous", HMM_PFN_VALID, .empty = true },
	{ "zero", HMM_PFN_VALID, .zero = true, .empty = true },
	{ "error", HMM_PFN_ERROR, FOLIO_MAPPING_ANON },
	{ "vram", HMM_PFN_VALID, FOLIO_MAPPING_ANON, .vram = true },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_look, gsvm_look_cases, name);

static void gsvm_look_test_free(void *data)
{
	struct gsvm_look_test *t = data;

	t->page->mapping = NULL;
	__free_page(t->page);
}

static struct gsvm_look_test *gsvm_look_test_make(struct kunit *test)
{
	struct gsvm_look_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, gsvm_look_test_free, t));
	return t;
}

static void gsvm_look_test_page(struct kunit *test)
{
	const struct gsvm_look_case *c = test->param_value;
	struct gsvm_look_test *t = gsvm_look_test_make(test);
	struct page *page = c->zero ? ZERO_PAGE(0) : t->page;
	struct gsvm_look_found found;

	t->page->mapping = (void *)c->mapping;
	t->look.pfn[GSVM_LOOK_TEST_PAGE] = page_to_pfn(page) | c->flags;
	if (c->vram) {
		t->vram.first_pfn = page_to_pfn(page);
		t->vram.nr_pages = 1;
	}
	page_ref_add(t->page, c->refs);
	gsvm_look_count(&t->look, &t->vram, 0, GSVM_LAST, &found);
	page_ref_sub(t->page, c->refs);
	KUNIT_EXPECT_EQ(test, c->movable, found.movable);
	KUNIT_EXPECT_EQ(test, c->movable && !c->flags, found.sampled);
	KUNIT_EXPECT_EQ(test, 0, found.foreign);
	if (!c->vram)
		KUNIT_EXPECT_EQ(test, c->empty, gsvm_look_empty(&t->look, GSVM_LOOK_TEST_PAGE));
}

/* Only what is asked about counts; holes do not. */
static void gsvm_look_test_range(struct kunit *test)
{
	struct gsvm_look_test *t = gsvm_look_test_make(test);
	struct gsvm_look_found found;
	unsigned int i;

	t->page->mapping = (void *)FOLIO_MAPPING_ANON;
	for (i = 10; i < 20; i++)
		t->look.pfn[i] = page_to_pfn(t->page) | HMM_PFN_VALID;
	gsvm_look_count(&t->look, NULL, 0, GSVM_LAST, &found);
	KUNIT_EXPECT_EQ(test, 10, found.movable);
	gsvm_look_count(&t->look, NULL, 19, GSVM_LAST, &found);
	KUNIT_EXPECT_EQ(test, 1, found.movable);
	gsvm_look_count(&t->look, NULL, 0, 10, &found);
	KUNIT_EXPECT_EQ(test, 1, found.movable);
	gsvm_look_count(&t->look, NULL, 20, GSVM_LAST, &found);
	KUNIT_EXPECT_EQ(test, 0, found.movable);
	KUNIT_EXPECT_TRUE(test, gsvm_look_empty(&t->look, 9));
	KUNIT_EXPECT_FALSE(test, gsvm_look_empty(&t->look, 10));
}

static struct kunit_case gsvm_look_tests[] = {
	KUNIT_CASE_PARAM(gsvm_look_test_page, gsvm_look_gen_params),
	KUNIT_CASE(gsvm_look_test_range),
	{}
};

/* Needs no device. */
static struct kunit_suite gsvm_look_suite = {
	.name = "gsvm_look",
	.test_cases = gsvm_look_tests,
};

/* ---- Whose page it was ---------------------------------------------------------- */

static void gsvm_lookup_test_mm(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_vm *second, *vm;

	vm = gsvm_vm_lookup_mm(t->gdev, t->vm->mm);
	KUNIT_ASSERT_PTR_EQ(test, t->vm, vm);
	KUNIT_EXPECT_EQ(test, 2, kref_read(&vm->ref));
	gsvm_vm_put(vm);
	/* The address only is compared. */
	KUNIT_EXPECT_NULL(test, gsvm_vm_lookup_mm(t->gdev, (void *)test));

	second = gsvm_test_vm_create(t);
	gsvm_vm_shutdown(t->vm);
	vm = gsvm_vm_lookup_mm(t->gdev, second->mm);
	KUNIT_ASSERT_PTR_EQ(test, second, vm);
	gsvm_vm_put(vm);
	gsvm_vm_shutdown(second);
	KUNIT_EXPECT_NULL(test, gsvm_vm_lookup_mm(t->gdev, second->mm));
}

static struct kunit_case gsvm_lookup_tests[] = {
	KUNIT_CASE(gsvm_lookup_test_mm),
	{}
};

static struct kunit_suite gsvm_lookup_suite = {
	.name = "gsvm_lookup",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_lookup_tests,
};

kunit_test_suites(&gsvm_look_suite, &gsvm_lookup_suite);
