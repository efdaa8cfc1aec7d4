// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Command ring, tested
 *
 * The ring itself, from indices of the test's choice, above all around those
 * where 32 bits wrap. The test is the device: it looks into the slots and at the
 * tail register, and writes the completion index.
 */

#include <linux/delay.h>
#include <linux/jiffies.h>

#include <kunit/static_stub.h>
#include <kunit/test.h>

#include "gsvm_cmd.h"
#include "gsvm_test.h"

#define GSVM_4G		BIT_ULL(32)
#define GSVM_TEST_NOP	(0x5a00u)	/* the slot has not been written */

/**
 * struct gsvm_cmd_test - a ring
 * @gdev: the GPU
 * @q: its ring
 * @cmds: commands to submit
 * @seq: what a thread got
 * @ret: what a thread got
 */
struct gsvm_cmd_test {
	struct gsvm_device *gdev;
	struct gsvm_cmdq *q;
	struct gsvm_cmd cmds[GSVM_CMD_BATCH];
	u64 seq;
	int ret;
};

/* A ring with commands [@head, @tail) under way. */
static struct gsvm_cmd_test *gsvm_cmd_test_ring(struct kunit *test, u64 head, u64 tail)
{
	struct gsvm_cmd_test *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct gsvm_test *t = test->priv;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->gdev = t->gdev;
	c->q = kunit_kzalloc(test, sizeof(*c->q), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c->q);
	c->q->ring = kunit_kcalloc(test, GSVM_CMD_ENTRIES, sizeof(*c->q->ring), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c->q->ring);
	for (i = 0; i < GSVM_CMD_ENTRIES; i++)
		c->q->ring[i].op = GSVM_TEST_NOP;
	for (i = 0; i < GSVM_CMD_BATCH; i++) {
		c->cmds[i].op = GSVM_CMD_RESUME;
		c->cmds[i].id = 1000 + i;
		c->cmds[i].start = i * 0x1000;
	}
	spin_lock_init(&c->q->lock);
	init_waitqueue_head(&c->q->wq);
	c->q->head = head;
	c->q->tail = tail;
	c->q->head_changed = jiffies;
	c->gdev->status->cmd_head = head;
	c->gdev->cmdq = c->q;
	gsvm_hw_write32(c->gdev, GSVM_REG_CMD_TAIL, tail);
	return c;
}

static int gsvm_cmd_test_init(struct kunit *test)
{
	gsvm_test_init(test);
	/* The real ones are what is tested. */
	kunit_deactivate_static_stub(test, gsvm_cmd_submit);
	kunit_deactivate_static_stub(test, gsvm_cmd_wait);
	return 0;
}

static u32 gsvm_cmd_test_tail(struct gsvm_cmd_test *c)
{
	return *(u32 __force *)(c->gdev->regs + GSVM_REG_CMD_TAIL);
}

/* ---- Submission ----------------------------------------------------------- */

struct gsvm_cmd_submit_case {
	const char *name;
	u64 tail;
	unsigned int n;
	unsigned int slot;	/* of the first */
	int irq;		/* which gets an interrupt because of its place, or -1 */
	u32 reg;		/* the tail register */
};

static const struct gsvm_cmd_submit_case gsvm_cmd_submit_cases[] = {
	{ "first", 0, 1, 0, 0, 1 },
	{ "second", 1, 1, 1, -1, 2 },
	{ "a-batch", 5, 64, 5, -1, 69 },
	{ "quarter", 1000, 64, 1000, 24, 1064 },
	{ "last-slot", 4095, 1, 4095, -1, 4096 },
	{ "ring-wraps", 4090, 10, 4090, 6, 4100 },
	{ "ring-wrapped", 4096, 1, 0, 0, 4097 },
	{ "index-before-wrap", GSVM_4G - 3, 2, 4093, -1, 0xffffffff },
	{ "index-to-zero", GSVM_4G - 3, 3, 4093, -1, 0 },
	{ "index-wraps", GSVM_4G - 3, 64, 4093, 3, 61 },
	{ "index-wrapped", GSVM_4G, 1, 0, 0, 1 },
	{ "index-wraps-again", 5 * GSVM_4G - 1, 2, 4095, 1, 1 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_cmd_submit, gsvm_cmd_submit_cases, name);

static void gsvm_cmd_test_submit(struct kunit *test)
{
	const struct gsvm_cmd_submit_case *s = test->param_value;
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, s->tail, s->tail);
	unsigned int i, used = 0;

	KUNIT_EXPECT_EQ(test, s->tail + s->n, gsvm_cmd_submit(c->gdev, c->cmds, s->n));
	KUNIT_EXPECT_EQ(test, s->reg, gsvm_cmd_test_tail(c));
	for (i = 0; i < s->n; i++) {
		const struct gsvm_cmd *cmd = &c->q->ring[(s->slot + i) % 4096];

		KUNIT_EXPECT_EQ(test, 5u | ((int)i == s->irq ? 1u << 31 : 0), cmd->op);
		KUNIT_EXPECT_EQ(test, 1000 + i, cmd->id);
		KUNIT_EXPECT_EQ(test, i * 0x1000, cmd->start);
	}
	for (i = 0; i < 4096; i++)
		used += c->q->ring[i].op != GSVM_TEST_NOP;
	KUNIT_EXPECT_EQ(test, s->n, used);
}

/* ---- Completion ----------------------------------------------------------- */

struct gsvm_cmd_done_case {
	const char *name;
	u64 head;
	u64 tail;
	u32 device;		/* the index it says */
	u64 ask;
	bool done;
	u64 want_head;
	bool wedged;
};

static const struct gsvm_cmd_done_case gsvm_cmd_done_cases[] = {
	{ "nothing-yet", 10, 20, 10, 11, false, 10 },
	{ "past", 10, 20, 10, 10, true, 10 },
	{ "long-past", 10, 20, 10, 0, true, 10 },
	{ "one", 10, 20, 11, 11, true, 11 },
	{ "one-not-the-next", 10, 20, 11, 12, false, 11 },
	{ "all", 10, 20, 20, 20, true, 20 },
	{ "beyond-what-was-submitted", 10, 20, 20, 21, false, 20 },
	{ "empty", 20, 20, 20, 20, true, 20 },
	{ "whole-ring", 4096, 8192, 8192, 8192, true, 8192 },
	{ "too-far", 10, 20, 21, 11, false, 10, true },
	{ "too-far-empty", 20, 20, 21, 21, false, 20, true },
	{ "back", 10, 20, 9, 11, false, 10, true },
	{ "far-back", 10, 20, 0x8000000a, 11, false, 10, true },
	{ "before-wrap", GSVM_4G - 2, GSVM_4G + 2, 0xffffffff, GSVM_4G - 1, true, GSVM_4G - 1 },
	{ "before-wrap-not-the-next", GSVM_4G - 2, GSVM_4G + 2, 0xffffffff, GSVM_4G, false,
	  GSVM_4G - 1 },
	{ "long-past-wrap", GSVM_4G + 1, GSVM_4G + 2, 1, GSVM_4G - 1, true, GSVM_4G + 1 },
	{ "a-whole-turn-ahead", 10, 20, 15, GSVM_4G + 12, false, 15 },
	{ "at-wrap", GSVM_4G - 2, GSVM_4G + 2, 0, GSVM_4G, true, GSVM_4G },
	{ "at-wrap-not-the-next", GSVM_4G - 2, GSVM_4G + 2, 0, GSVM_4G + 1, false, GSVM_4G },
	{ "behind-wrap", GSVM_4G - 2, GSVM_4G + 2, 2, GSVM_4G + 2, true, GSVM_4G + 2 },
	{ "wrap-too-far", GSVM_4G - 2, GSVM_4G + 2, 3, GSVM_4G - 1, false, GSVM_4G - 2, true },
	{ "wrap-back", GSVM_4G + 1, GSVM_4G + 2, 0xffffffff, GSVM_4G + 2, false, GSVM_4G + 1,
	  true },
	{ "never", 10, 20, 20, U64_MAX, false, 20 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_cmd_done, gsvm_cmd_done_cases, name);

static void gsvm_cmd_test_done(struct kunit *test)
{
	const struct gsvm_cmd_done_case *s = test->param_value;
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, s->head, s->tail);
	struct gsvm_test *t = test->priv;

	c->gdev->status->cmd_head = s->device;
	KUNIT_EXPECT_EQ(test, s->done, gsvm_cmd_done(c->gdev, s->ask));
	KUNIT_EXPECT_EQ(test, s->want_head, c->q->head);
	KUNIT_EXPECT_EQ(test, s->tail, c->q->tail);
	KUNIT_EXPECT_EQ(test, s->wedged, !!t->wedged);
	if (s->wedged) {
		KUNIT_EXPECT_STREQ(test, "command completion index is out of range", t->wedged);
		/* Everything is over now. */
		KUNIT_EXPECT_TRUE(test, gsvm_cmd_done(c->gdev, s->ask));
	}
}

static void gsvm_cmd_test_wait_done(struct kunit *test)
{
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, GSVM_4G - 2, GSVM_4G - 2);
	u64 seq = gsvm_cmd_submit(c->gdev, c->cmds, 4);

	c->gdev->status->cmd_head = 2;
	KUNIT_EXPECT_EQ(test, 0, gsvm_cmd_wait(c->gdev, seq));
	KUNIT_EXPECT_EQ(test, seq, c->q->head);
}

/* ---- The end -------------------------------------------------------------- */

enum gsvm_cmd_end { GSVM_END_CLOSED, GSVM_END_STOPPED, GSVM_END_WEDGED };

struct gsvm_cmd_end_case {
	const char *name;
	enum gsvm_cmd_end end;
	bool done;		/* do outstanding numbers count as done */
	int ret;		/* of a wait for one that is complete */
};

static const struct gsvm_cmd_end_case gsvm_cmd_end_cases[] = {
	{ "closed", GSVM_END_CLOSED, false, 0 },
	{ "stopped", GSVM_END_STOPPED, true, -EIO },
	{ "wedged", GSVM_END_WEDGED, true, -EIO },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_cmd_end, gsvm_cmd_end_cases, name);

static void gsvm_cmd_test_end(struct kunit *test)
{
	const struct gsvm_cmd_end_case *s = test->param_value;
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 10, 20);

	c->gdev->status->cmd_head = 12;
	if (s->end == GSVM_END_WEDGED)
		gsvm_device_wedge(c->gdev, "test");
	else
		gsvm_cmd_close(c->gdev);
	if (s->end == GSVM_END_STOPPED)
		gsvm_cmd_stop(c->gdev);

	KUNIT_EXPECT_EQ(test, U64_MAX, gsvm_cmd_submit(c->gdev, c->cmds, 3));
	KUNIT_EXPECT_EQ(test, 20, gsvm_cmd_test_tail(c));
	KUNIT_EXPECT_EQ(test, 20, c->q->tail);
	KUNIT_EXPECT_EQ(test, GSVM_TEST_NOP, c->q->ring[20].op);
	KUNIT_EXPECT_EQ(test, s->done, gsvm_cmd_done(c->gdev, 20));
	KUNIT_EXPECT_EQ(test, s->done, gsvm_cmd_done(c->gdev, U64_MAX));
	KUNIT_EXPECT_EQ(test, s->ret, gsvm_cmd_wait(c->gdev, 12));
}

/* A stopped ring's memory is gone: nobody may look. KASAN would see it. */
static void gsvm_cmd_test_stopped_memory(struct kunit *test)
{
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 10, 20);
	struct gsvm_status *status = c->gdev->status;
	void __iomem *regs = c->gdev->regs;

	gsvm_cmd_close(c->gdev);
	gsvm_cmd_stop(c->gdev);
	c->gdev->status = NULL;
	c->gdev->regs = NULL;
	KUNIT_EXPECT_TRUE(test, gsvm_cmd_done(c->gdev, 20));
	KUNIT_EXPECT_EQ(test, -EIO, gsvm_cmd_wait(c->gdev, 20));
	KUNIT_EXPECT_EQ(test, U64_MAX, gsvm_cmd_submit(c->gdev, c->cmds, 1));
	c->gdev->status = status;
	c->gdev->regs = regs;
}

/* ---- Waiting for a device that is silent or gone ---------------------------- */

struct gsvm_cmd_dead_case {
	const char *name;
	u32 id;			/* what its registers answer */
	long silent;		/* since when it completed nothing, in seconds */
	const char *why;
};

static const struct gsvm_cmd_dead_case gsvm_cmd_dead_cases[] = {
	{ "gone", U32_MAX, 0, "registers do not answer" },
	{ "silent", GSVM_ID_MAGIC, 3600, "no command completed in time" },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_cmd_dead, gsvm_cmd_dead_cases, name);

static void gsvm_cmd_test_dead(struct kunit *test)
{
	const struct gsvm_cmd_dead_case *s = test->param_value;
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 10, 20);
	struct gsvm_test *t = test->priv;

	gsvm_hw_write32(c->gdev, GSVM_REG_ID, s->id);
	c->q->head_changed = jiffies - s->silent * HZ;
	KUNIT_EXPECT_EQ(test, -EIO, gsvm_cmd_wait(c->gdev, 20));
	KUNIT_EXPECT_STREQ(test, s->why, t->wedged);
}

/* An idle device is not silent: its time starts with the first command. */
static void gsvm_cmd_test_idle(struct kunit *test)
{
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 10, 10);

	c->q->head_changed = jiffies - 3600 * HZ;
	gsvm_cmd_submit(c->gdev, c->cmds, 1);
	KUNIT_EXPECT_TRUE(test, time_after(c->q->head_changed + 1800 * HZ, jiffies));
	/* And it starts again with each completion, but not with each command. */
	c->q->head_changed = jiffies - 3600 * HZ;
	gsvm_cmd_submit(c->gdev, c->cmds, 1);
	KUNIT_EXPECT_FALSE(test, time_after(c->q->head_changed + 1800 * HZ, jiffies));
	c->gdev->status->cmd_head = 11;
	KUNIT_EXPECT_TRUE(test, gsvm_cmd_done(c->gdev, 11));
	KUNIT_EXPECT_TRUE(test, time_after(c->q->head_changed + 1800 * HZ, jiffies));
}

/* ---- A full ring ------------------------------------------------------------ */

static void gsvm_cmd_test_submitter(struct gsvm_test_thread *thread)
{
	struct gsvm_cmd_test *c = thread->data;

	c->seq = gsvm_cmd_submit(c->gdev, c->cmds, 8);
}

static void gsvm_cmd_test_waiter(struct gsvm_test_thread *thread)
{
	struct gsvm_cmd_test *c = thread->data;

	c->ret = gsvm_cmd_wait(c->gdev, c->seq);
}

/*
 * Look until the thread sleeps in the ring's queue; a minute at most. An
 * interrupt takes it out of there before gsvm_cmd_irq() returns.
 */
static bool gsvm_cmd_test_asleep(struct gsvm_cmd_test *c, struct gsvm_test_thread *thread)
{
	unsigned long end = jiffies + 60 * HZ;

	while (!wq_has_sleeper(&c->q->wq)) {
		if (completion_done(&thread->done) || time_after(jiffies, end))
			return false;
		usleep_range(50, 200);
	}
	return true;
}

struct gsvm_cmd_full_case {
	const char *name;
	u64 head;
	unsigned int have;	/* commands under way */
	bool sleeps;
};

static const struct gsvm_cmd_full_case gsvm_cmd_full_cases[] = {
	{ "just-room", 100, 4096 - 8, false },
	{ "one-too-many", 100, 4096 - 7, true },
	{ "full", 100, 4096, true },
	{ "just-room-wrap", GSVM_4G - 2000, 4096 - 8, false },
	{ "one-too-many-wrap", GSVM_4G - 2000, 4096 - 7, true },
	{ "full-wrap", GSVM_4G - 4096, 4096, true },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_cmd_full, gsvm_cmd_full_cases, name);

static void gsvm_cmd_test_full(struct kunit *test)
{
	const struct gsvm_cmd_full_case *s = test->param_value;
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, s->head, s->head + s->have);
	struct gsvm_test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);
	unsigned int need = s->have + 8 - 4096;

	KUNIT_ASSERT_NOT_NULL(test, thread);
	gsvm_test_start(test->priv, thread, gsvm_cmd_test_submitter, c);
	if (s->sleeps) {
		KUNIT_EXPECT_TRUE(test, gsvm_cmd_test_asleep(c, thread));
		KUNIT_EXPECT_EQ(test, (u32)(s->head + s->have), gsvm_cmd_test_tail(c));
		/* One less than needed: it sleeps again. */
		WRITE_ONCE(c->gdev->status->cmd_head, s->head + need - 1);
		gsvm_cmd_irq(c->gdev);
		KUNIT_EXPECT_TRUE(test, gsvm_cmd_test_asleep(c, thread));
		KUNIT_EXPECT_EQ(test, (u32)(s->head + s->have), gsvm_cmd_test_tail(c));
		WRITE_ONCE(c->gdev->status->cmd_head, s->head + need);
		gsvm_cmd_irq(c->gdev);
	}
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->done));
	KUNIT_EXPECT_EQ(test, s->head + s->have + 8, c->seq);
	KUNIT_EXPECT_EQ(test, (u32)c->seq, gsvm_cmd_test_tail(c));
	KUNIT_EXPECT_EQ(test, s->sleeps, c->q->full != 0);
	KUNIT_EXPECT_LE(test, c->q->tail - c->q->head, 4096);
}

/* Who waits for room when the ring closes for good gives up. */
static void gsvm_cmd_test_full_stop(struct kunit *test)
{
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 100, 100 + 4096);
	struct gsvm_test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	gsvm_test_start(test->priv, thread, gsvm_cmd_test_submitter, c);
	KUNIT_EXPECT_TRUE(test, gsvm_cmd_test_asleep(c, thread));
	gsvm_cmd_close(c->gdev);
	gsvm_cmd_stop(c->gdev);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->done));
	KUNIT_EXPECT_EQ(test, U64_MAX, c->seq);
	KUNIT_EXPECT_EQ(test, 100 + 4096, c->q->tail);
}

static void gsvm_cmd_test_wait_stop(struct kunit *test)
{
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 100, 110);
	struct gsvm_test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	c->seq = 110;
	gsvm_test_start(test->priv, thread, gsvm_cmd_test_waiter, c);
	KUNIT_EXPECT_TRUE(test, gsvm_cmd_test_asleep(c, thread));
	gsvm_cmd_close(c->gdev);
	gsvm_cmd_stop(c->gdev);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->done));
	KUNIT_EXPECT_EQ(test, -EIO, c->ret);
}

/* Completed without an interrupt: who sleeps looks again by himself. */
static void gsvm_cmd_test_lost_irq(struct kunit *test)
{
	struct gsvm_cmd_test *c = gsvm_cmd_test_ring(test, 100, 110);
	struct gsvm_test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	c->seq = 110;
	gsvm_test_start(test->priv, thread, gsvm_cmd_test_waiter, c);
	KUNIT_EXPECT_TRUE(test, gsvm_cmd_test_asleep(c, thread));
	WRITE_ONCE(c->gdev->status->cmd_head, 110);
	KUNIT_EXPECT_TRUE(test, gsvm_test_reached(&thread->done));
	KUNIT_EXPECT_EQ(test, 0, c->ret);
}

static struct kunit_case gsvm_cmd_tests[] = {
	KUNIT_CASE_PARAM(gsvm_cmd_test_submit, gsvm_cmd_submit_gen_params),
	KUNIT_CASE_PARAM(gsvm_cmd_test_done, gsvm_cmd_done_gen_params),
	KUNIT_CASE(gsvm_cmd_test_wait_done),
	KUNIT_CASE_PARAM(gsvm_cmd_test_end, gsvm_cmd_end_gen_params),
	KUNIT_CASE(gsvm_cmd_test_stopped_memory),
	KUNIT_CASE_PARAM(gsvm_cmd_test_dead, gsvm_cmd_dead_gen_params),
	KUNIT_CASE(gsvm_cmd_test_idle),
	KUNIT_CASE_PARAM(gsvm_cmd_test_full, gsvm_cmd_full_gen_params),
	KUNIT_CASE(gsvm_cmd_test_full_stop),
	KUNIT_CASE(gsvm_cmd_test_wait_stop),
	KUNIT_CASE(gsvm_cmd_test_lost_irq),
	{}
};

static struct kunit_suite gsvm_cmd_suite = {
	.name = "gsvm_cmd",
	.init = gsvm_cmd_test_init,
	.test_cases = gsvm_cmd_tests,
};

kunit_test_suite(gsvm_cmd_suite);
