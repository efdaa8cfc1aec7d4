// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: TLB invalidation, tested
 *
 * How ranges join in a batch, and in which order batches are sent and waited
 * for. The command layer is a log.
 */

#include <linux/sizes.h>

#include <kunit/test.h>

#include "gsvm_test.h"
#include "gsvm_tlb.h"

/* ---- Ranges --------------------------------------------------------------- */

/* Pages, half open. */
struct gsvm_tlb_pages {
	unsigned int start;
	unsigned int end;
};

struct gsvm_tlb_merge_case {
	const char *name;
	unsigned int nr;
	/* { 10, 11 }, { 20, 21 } and so on, and then this one. */
	struct gsvm_tlb_pages last;
	struct gsvm_tlb_pages add;
	unsigned int want_nr;
	struct gsvm_tlb_pages want_last;
};

static const struct gsvm_tlb_merge_case gsvm_tlb_merge_cases[] = {
	{ "first", 0, {}, { 5, 6 }, 1, { 5, 6 } },
	{ "same", 1, { 5, 9 }, { 5, 9 }, 1, { 5, 9 } },
	{ "touch-behind", 1, { 5, 9 }, { 9, 12 }, 1, { 5, 12 } },
	{ "touch-before", 1, { 5, 9 }, { 3, 5 }, 1, { 3, 9 } },
	{ "overlap-behind", 1, { 5, 9 }, { 7, 12 }, 1, { 5, 12 } },
	{ "overlap-before", 1, { 5, 9 }, { 1, 6 }, 1, { 1, 9 } },
	{ "inside", 1, { 5, 9 }, { 6, 8 }, 1, { 5, 9 } },
	{ "around", 1, { 5, 9 }, { 1, 20 }, 1, { 1, 20 } },
	{ "gap-behind", 1, { 5, 9 }, { 10, 12 }, 2, { 10, 12 } },
	{ "gap-before", 1, { 5, 9 }, { 1, 4 }, 2, { 1, 4 } },
	{ "touch-last-of-two", 2, { 20, 21 }, { 21, 22 }, 2, { 20, 22 } },
	{ "touch-other-of-two", 2, { 20, 21 }, { 11, 12 }, 3, { 11, 12 } },
	{ "the-last-place", 7, { 70, 71 }, { 80, 81 }, 8, { 80, 81 } },
	{ "full-behind", 8, { 80, 81 }, { 90, 91 }, 8, { 80, 91 } },
	{ "full-before", 8, { 80, 81 }, { 1, 2 }, 8, { 1, 81 } },
	{ "full-inside", 8, { 80, 90 }, { 85, 86 }, 8, { 80, 90 } },
	{ "full-touch", 8, { 80, 81 }, { 81, 82 }, 8, { 80, 82 } },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_tlb_merge, gsvm_tlb_merge_cases, name);

static void gsvm_tlb_test_merge(struct kunit *test)
{
	const struct gsvm_tlb_merge_case *c = test->param_value;
	/* One more, which nobody may touch. */
	struct gsvm_tlb_range range[GSVM_TLB_RANGES + 1] = {};
	unsigned int i;

	for (i = 0; i < c->nr; i++) {
		range[i].start = (i + 1) * 10 * SZ_4K;
		range[i].end = range[i].start + SZ_4K;
	}
	if (c->nr) {
		range[c->nr - 1].start = (u64)c->last.start * SZ_4K;
		range[c->nr - 1].end = (u64)c->last.end * SZ_4K;
	}
	KUNIT_ASSERT_EQ(test, c->want_nr, gsvm_tlb_merge(range, c->nr, (u64)c->add.start * SZ_4K,
							 (u64)c->add.end * SZ_4K));
	/* The ones before the last are as they were. */
	for (i = 0; i + 1 < c->want_nr; i++) {
		KUNIT_EXPECT_EQ(test, (i + 1 == c->nr ? c->last.start : (i + 1) * 10) * SZ_4K,
				range[i].start);
		KUNIT_EXPECT_EQ(test, (i + 1 == c->nr ? c->last.end : (i + 1) * 10 + 1) * SZ_4K,
				range[i].end);
	}
	KUNIT_EXPECT_EQ(test, (u64)c->want_last.start * SZ_4K, range[i].start);
	KUNIT_EXPECT_EQ(test, (u64)c->want_last.end * SZ_4K, range[i].end);
	KUNIT_EXPECT_EQ(test, 0, range[GSVM_TLB_RANGES].start | range[GSVM_TLB_RANGES].end);
}

/* The last page of the address space does not wrap. */
static void gsvm_tlb_test_merge_edge(struct kunit *test)
{
	struct gsvm_tlb_range range[GSVM_TLB_RANGES] = {};
	unsigned int nr;

	nr = gsvm_tlb_merge(range, 0, 0, SZ_4K);
	nr = gsvm_tlb_merge(range, nr, (1ull << 48) - SZ_4K, 1ull << 48);
	KUNIT_EXPECT_EQ(test, 2, nr);
	nr = gsvm_tlb_merge(range, nr, (1ull << 48) - SZ_2M, (1ull << 48) - SZ_4K);
	KUNIT_EXPECT_EQ(test, 2, nr);
	KUNIT_EXPECT_EQ(test, (1ull << 48) - SZ_2M, range[1].start);
	KUNIT_EXPECT_EQ(test, 1ull << 48, range[1].end);
}

/* ---- Batches -------------------------------------------------------------- */

/* Is event @i of the log the invalidation of pages [@start, @end) in @vm? */
static void gsvm_tlb_expect_inval(struct gsvm_test *t, unsigned int i, struct gsvm_vm *vm,
				  u64 start, u64 end, bool irq)
{
	const struct gsvm_test_event *e = &t->log[i];

	KUNIT_ASSERT_LT(t->test, i, t->nr_log);
	KUNIT_EXPECT_FALSE(t->test, e->wait);
	KUNIT_EXPECT_EQ(t->test, 1u | (irq ? 1u << 31 : 0), e->cmd.op);
	KUNIT_EXPECT_EQ(t->test, vm->asid, e->cmd.id);
	KUNIT_EXPECT_EQ(t->test, start * SZ_4K, e->cmd.start);
	KUNIT_EXPECT_EQ(t->test, end * SZ_4K, e->cmd.end);
	KUNIT_EXPECT_EQ(t->test, 0, e->cmd.arg);
}

static void gsvm_tlb_expect_wait(struct gsvm_test *t, unsigned int i, u64 seq)
{
	KUNIT_ASSERT_LT(t->test, i, t->nr_log);
	KUNIT_EXPECT_TRUE(t->test, t->log[i].wait);
	KUNIT_EXPECT_EQ(t->test, seq, t->log[i].seq);
}

static u64 gsvm_tlb_test_add(struct gsvm_vm *vm, u64 start, u64 end)
{
	return gsvm_tlb_add(&vm->mirror->tlb, start * SZ_4K, end * SZ_4K);
}

/* One batch, many ranges, one submission; only the last command interrupts. */
static void gsvm_tlb_test_batch(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_tlb *tlb = &t->vm->mirror->tlb;
	u64 ticket;

	ticket = gsvm_tlb_test_add(t->vm, 10, 12);
	KUNIT_EXPECT_EQ(test, ticket, gsvm_tlb_test_add(t->vm, 20, 21));
	KUNIT_EXPECT_EQ(test, ticket, gsvm_tlb_test_add(t->vm, 21, 22));
	KUNIT_EXPECT_EQ(test, ticket, gsvm_tlb_test_add(t->vm, 5, 6));
	KUNIT_EXPECT_EQ(test, 0, t->nr_log);
	gsvm_tlb_send(tlb, ticket);
	KUNIT_ASSERT_EQ(test, 3, t->nr_log);
	gsvm_tlb_expect_inval(t, 0, t->vm, 10, 12, false);
	gsvm_tlb_expect_inval(t, 1, t->vm, 20, 22, false);
	gsvm_tlb_expect_inval(t, 2, t->vm, 5, 6, true);
}

static void gsvm_tlb_test_full_batch(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	u64 ticket = 0;
	unsigned int i;

	for (i = 0; i < 20; i++)
		ticket = gsvm_tlb_test_add(t->vm, 10 * i, 10 * i + 1);
	gsvm_tlb_wait(&t->vm->mirror->tlb, ticket);
	KUNIT_ASSERT_EQ(test, 9, t->nr_log);
	for (i = 0; i < 7; i++)
		gsvm_tlb_expect_inval(t, i, t->vm, 10 * i, 10 * i + 1, false);
	gsvm_tlb_expect_inval(t, 7, t->vm, 70, 191, true);
	gsvm_tlb_expect_wait(t, 8, t->seq);
}

/* A batch is sent once, by whoever comes first. */
static void gsvm_tlb_test_send_once(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_tlb *tlb = &t->vm->mirror->tlb;
	u64 first, second;

	first = gsvm_tlb_test_add(t->vm, 1, 2);
	gsvm_tlb_send(tlb, first);
	KUNIT_EXPECT_EQ(test, 1, t->nr_log);
	gsvm_tlb_send(tlb, first);
	KUNIT_EXPECT_EQ(test, 1, t->nr_log);

	second = gsvm_tlb_test_add(t->vm, 3, 4);
	KUNIT_EXPECT_EQ(test, first + 1, second);
	/* The first one is out; it does not take the second along. */
	gsvm_tlb_send(tlb, first);
	KUNIT_EXPECT_EQ(test, 1, t->nr_log);
	gsvm_tlb_send(tlb, second);
	KUNIT_EXPECT_EQ(test, 2, t->nr_log);
	gsvm_tlb_expect_inval(t, 1, t->vm, 3, 4, true);
}

/* Nothing is open: nothing is sent, not even for a number yet to come. */
static void gsvm_tlb_test_send_empty(struct kunit *test)
{
	struct gsvm_test *t = test->priv;

	gsvm_tlb_send(&t->vm->mirror->tlb, U64_MAX);
	KUNIT_EXPECT_EQ(test, 0, t->nr_log);
	KUNIT_EXPECT_EQ(test, 1, gsvm_tlb_test_add(t->vm, 1, 2));
}

static void gsvm_tlb_test_wait(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_tlb *tlb = &t->vm->mirror->tlb;
	u64 first, second, seq;

	first = gsvm_tlb_test_add(t->vm, 1, 2);
	gsvm_tlb_wait(tlb, first);
	KUNIT_ASSERT_EQ(test, 2, t->nr_log);
	gsvm_tlb_expect_inval(t, 0, t->vm, 1, 2, true);
	gsvm_tlb_expect_wait(t, 1, t->log[0].seq);
	seq = t->log[0].seq;

	/* Sent already, and there is a new batch: wait, send nothing. */
	second = gsvm_tlb_test_add(t->vm, 3, 4);
	gsvm_tlb_wait(tlb, first);
	KUNIT_ASSERT_EQ(test, 3, t->nr_log);
	gsvm_tlb_expect_wait(t, 2, seq);

	gsvm_tlb_wait(tlb, second);
	KUNIT_ASSERT_EQ(test, 5, t->nr_log);
	gsvm_tlb_expect_wait(t, 4, seq + 1);

	/* Late, but the later batch's completion covers it. */
	gsvm_tlb_wait(tlb, first);
	gsvm_tlb_expect_wait(t, 5, seq + 1);
}

/* ---- Several address spaces ------------------------------------------------ */

/* All who mirror this process flush at the same time: sent, sent, waited for. */
static void gsvm_tlb_test_peers(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_vm *second = gsvm_test_vm_create(t);
	struct gsvm_vm *third = gsvm_test_vm_create(t);
	u64 ticket[3];

	gsvm_test_log_clear(t);
	ticket[0] = gsvm_tlb_test_add(t->vm, 1, 2);
	ticket[1] = gsvm_tlb_test_add(second, 3, 4);
	ticket[2] = gsvm_tlb_test_add(third, 5, 6);

	gsvm_tlb_wait(&second->mirror->tlb, ticket[1]);
	KUNIT_ASSERT_EQ(test, 4, t->nr_log);
	gsvm_tlb_expect_inval(t, 0, t->vm, 1, 2, true);
	gsvm_tlb_expect_inval(t, 1, second, 3, 4, true);
	gsvm_tlb_expect_inval(t, 2, third, 5, 6, true);
	gsvm_tlb_expect_wait(t, 3, t->log[1].seq);

	/* The others have only to wait, each for its own. */
	gsvm_tlb_wait(&third->mirror->tlb, ticket[2]);
	gsvm_tlb_expect_wait(t, 4, t->log[2].seq);
	gsvm_tlb_wait(&t->vm->mirror->tlb, ticket[0]);
	gsvm_tlb_expect_wait(t, 5, t->log[0].seq);
	KUNIT_EXPECT_EQ(test, 6, t->nr_log);
}

/* Another process's batches wait for that process. */
static void gsvm_tlb_test_strangers(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_vm *stranger = gsvm_test_vm_create(t);
	struct mm_struct *mm = stranger->mm;
	u64 ticket, theirs;

	gsvm_test_log_clear(t);
	/* It is only compared. */
	stranger->mm = (struct mm_struct *)&theirs;
	theirs = gsvm_tlb_test_add(stranger, 3, 4);
	ticket = gsvm_tlb_test_add(t->vm, 1, 2);
	gsvm_tlb_wait(&t->vm->mirror->tlb, ticket);
	KUNIT_EXPECT_EQ(test, 2, t->nr_log);
	gsvm_tlb_expect_inval(t, 0, t->vm, 1, 2, true);
	gsvm_tlb_wait(&stranger->mirror->tlb, theirs);
	KUNIT_EXPECT_EQ(test, 4, t->nr_log);
	gsvm_tlb_expect_inval(t, 2, stranger, 3, 4, true);
	stranger->mm = mm;
}

/* One that is being freed is passed over, and the one behind it is not. */
static void gsvm_tlb_test_dying_peer(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_vm *dying = gsvm_test_vm_create(t);
	struct gsvm_vm *third = gsvm_test_vm_create(t);
	u64 ticket;

	gsvm_test_log_clear(t);
	gsvm_tlb_test_add(dying, 3, 4);
	gsvm_tlb_test_add(third, 5, 6);
	ticket = gsvm_tlb_test_add(t->vm, 1, 2);
	refcount_set(&dying->ref.refcount, 0);
	gsvm_tlb_wait(&t->vm->mirror->tlb, ticket);
	refcount_set(&dying->ref.refcount, 1);
	KUNIT_ASSERT_EQ(test, 3, t->nr_log);
	gsvm_tlb_expect_inval(t, 0, third, 5, 6, true);
	gsvm_tlb_expect_inval(t, 1, t->vm, 1, 2, true);
	gsvm_tlb_expect_wait(t, 2, t->log[1].seq);
	/* @dying ends with its batch open; the next test walks the list. */
}

/* Somebody adds while the others wait: no wait is for what came after. */
static void gsvm_tlb_test_add_in_wait(struct gsvm_test *t)
{
	t->on_wait = NULL;
	gsvm_tlb_test_add(t->vm, 7, 8);
}

static void gsvm_tlb_test_late(struct kunit *test)
{
	struct gsvm_test *t = test->priv;
	struct gsvm_tlb *tlb = &t->vm->mirror->tlb;
	u64 ticket = gsvm_tlb_test_add(t->vm, 1, 2);

	t->on_wait = gsvm_tlb_test_add_in_wait;
	gsvm_tlb_wait(tlb, ticket);
	KUNIT_EXPECT_EQ(test, 2, t->nr_log);
	KUNIT_EXPECT_EQ(test, 1, tlb->nr);
	gsvm_tlb_wait(tlb, ticket + 1);
	gsvm_tlb_expect_inval(t, 2, t->vm, 7, 8, true);
	gsvm_tlb_expect_wait(t, 3, t->log[2].seq);
}

static struct kunit_case gsvm_tlb_merge_tests[] = {
	KUNIT_CASE_PARAM(gsvm_tlb_test_merge, gsvm_tlb_merge_gen_params),
	KUNIT_CASE(gsvm_tlb_test_merge_edge),
	{}
};

/* Needs no device. */
static struct kunit_suite gsvm_tlb_merge_suite = {
	.name = "gsvm_tlb_merge",
	.test_cases = gsvm_tlb_merge_tests,
};

static struct kunit_case gsvm_tlb_tests[] = {
	KUNIT_CASE(gsvm_tlb_test_batch),
	KUNIT_CASE(gsvm_tlb_test_full_batch),
	KUNIT_CASE(gsvm_tlb_test_send_once),
	KUNIT_CASE(gsvm_tlb_test_send_empty),
	KUNIT_CASE(gsvm_tlb_test_wait),
	KUNIT_CASE(gsvm_tlb_test_peers),
	KUNIT_CASE(gsvm_tlb_test_strangers),
	KUNIT_CASE(gsvm_tlb_test_dying_peer),
	KUNIT_CASE(gsvm_tlb_test_late),
	{}
};

static struct kunit_suite gsvm_tlb_suite = {
	.name = "gsvm_tlb",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_tlb_tests,
};

kunit_test_suites(&gsvm_tlb_merge_suite, &gsvm_tlb_suite);
