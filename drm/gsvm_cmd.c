// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Command ring
 *
 * Everybody who needs the device to do something (invalidate, resume, start
 * or stop a queue) puts commands here and gets a completion number: commands
 * complete in order, so "number s is done" says that everything up to s is.
 * Numbers count all commands ever submitted in 64 bits; the device knows the
 * lower 32.
 *
 * Waiting is the crucial part, because MMU notifiers do it, with locks held
 * and possibly in reclaim. It therefore allocates nothing and needs nobody
 * else's help, and it is bounded: a device that completes nothing for
 * cmd_timeout_ms is wedged, which cuts it off memory, and a device that
 * completes something makes progress through a finite ring. Either way the
 * device does not use what was invalidated when gsvm_cmd_wait() returns.
 *
 * A sleeper is woken by an interrupt, which the device raises only for
 * commands with GSVM_CMD_IRQ: whoever will wait for a number sets it in that
 * command. Waiters for room in the ring rely on one such command in every
 * quarter of the ring, which gsvm_cmd_submit() sees to. As interrupts can get
 * lost, sleepers look for themselves every GSVM_CMD_RECHECK; it costs little
 * and turns a lost interrupt into a delay.
 *
 * States of the ring, changing under &gsvm_cmdq.lock:
 *
 * - *live*.
 * - *closing*, while the driver takes the device off memory: no new command
 *   reaches the device, and who submits one waits for the next state.
 * - *stopped*, when the device makes no access to memory any more: all numbers
 *   count as done, with gsvm_cmd_wait() returning -EIO. The same holds for the
 *   ring of a wedged device in any state.
 *
 * The ring, the status page and the registers are touched under the lock and
 * before it is stopped only, so they may go once gsvm_cmd_stop() has returned.
 *
 * The device's completion index is not believed blindly: it has to lie between
 * the last one seen and the last command submitted.
 */

#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "gsvm_cmd.h"
#include "gsvm_device.h"
#include "gsvm_hw.h"
#include "gsvm_trace.h"

#define GSVM_CMD_SPIN_NS	(2 * NSEC_PER_USEC)
#define GSVM_CMD_RECHECK	msecs_to_jiffies(100)

static unsigned int gsvm_cmd_timeout_ms = 10000;
module_param_named(cmd_timeout_ms, gsvm_cmd_timeout_ms, uint, 0644);
MODULE_PARM_DESC(cmd_timeout_ms,
		 "Milliseconds without any completed command after which the device is wedged (default 10000)");

/**
 * gsvm_cmd_init - set the command ring up
 * @gdev: the GPU, reset and not yet enabled
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_cmd_init(struct gsvm_device *gdev)
{
	struct gsvm_cmdq *q;

	BUILD_BUG_ON(sizeof(struct gsvm_cmd) != 32);
	BUILD_BUG_ON(GSVM_CMD_ENTRIES / 2 < GSVM_CMD_BATCH);

	q = drmm_kzalloc(&gdev->drm, sizeof(*q), GFP_KERNEL);
	if (!q)
		return -ENOMEM;

	q->ring = dmam_alloc_coherent(&gdev->pdev->dev, GSVM_CMD_ENTRIES * sizeof(*q->ring),
				      &q->ring_dma, GFP_KERNEL);
	if (!q->ring)
		return -ENOMEM;

	spin_lock_init(&q->lock);
	init_waitqueue_head(&q->wq);
	q->head_changed = jiffies;
	gdev->cmdq = q;

	gsvm_hw_write64(gdev, GSVM_REG_CMD_BASE, q->ring_dma);
	gsvm_hw_write32(gdev, GSVM_REG_CMD_LOG2, GSVM_CMD_LOG2);
	return 0;
}

/*
 * Take over what the device has completed. Returns false when the device
 * claims to have completed what it was never given, or takes back what it
 * completed.
 */
static bool gsvm_cmd_update_locked(struct gsvm_device *gdev)
{
	struct gsvm_cmdq *q = gdev->cmdq;
	u32 delta;

	lockdep_assert_held(&q->lock);

	delta = READ_ONCE(gdev->status->cmd_head) - lower_32_bits(q->head);
	if (!delta)
		return true;
	if (delta > q->tail - q->head)
		return false;

	/* The effects of a completed command are read after its completion. */
	dma_rmb();
	q->head += delta;
	q->head_changed = jiffies;
	return true;
}

/* Is command @seq complete, or are there to be no completions any more? */
static bool gsvm_cmd_poll(struct gsvm_device *gdev, u64 seq)
{
	struct gsvm_cmdq *q = gdev->cmdq;
	bool done, sane;

	if (gsvm_device_is_wedged(gdev))
		return true;

	spin_lock(&q->lock);
	sane = q->stopped || gsvm_cmd_update_locked(gdev);
	done = q->stopped || q->head >= seq;
	spin_unlock(&q->lock);

	if (!sane)
		gsvm_device_wedge(gdev, "command completion index is out of range");

	return done;
}

/*
 * A device that has work and completes none of it for the whole time-out is
 * dead; one that was pulled is not worth the wait.
 */
static void gsvm_cmd_check_alive(struct gsvm_device *gdev)
{
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(gsvm_cmd_timeout_ms));
	struct gsvm_cmdq *q = gdev->cmdq;
	bool gone, silent;

	spin_lock(&q->lock);
	gone = !q->stopped && gsvm_hw_gone(gdev);
	silent = !q->stopped && q->head != q->tail &&
		 time_after(jiffies, q->head_changed + timeout);
	spin_unlock(&q->lock);

	if (gone)
		gsvm_device_wedge(gdev, "registers do not answer");
	else if (silent)
		gsvm_device_wedge(gdev, "no command completed in time");
}

/* Sleep until command @seq is complete or the device is given up. */
static void gsvm_cmd_sleep(struct gsvm_device *gdev, u64 seq)
{
	struct gsvm_cmdq *q = gdev->cmdq;

	while (!wait_event_timeout(q->wq, gsvm_cmd_poll(gdev, seq), GSVM_CMD_RECHECK))
		gsvm_cmd_check_alive(gdev);
}

/* Room for @n more commands, or no commands any more. Called with the lock, may drop it. */
static void gsvm_cmd_make_room_locked(struct gsvm_device *gdev, unsigned int n)
{
	struct gsvm_cmdq *q = gdev->cmdq;

	lockdep_assert_held(&q->lock);

	while (!q->closing && !gsvm_device_is_wedged(gdev) &&
	       q->tail + n - q->head > GSVM_CMD_ENTRIES) {
		u64 seq = q->tail + n - GSVM_CMD_ENTRIES;

		q->full++;
		spin_unlock(&q->lock);
		gsvm_cmd_sleep(gdev, seq);
		spin_lock(&q->lock);
	}
}

/**
 * gsvm_cmd_submit - hand commands to the device
 * @gdev: the GPU
 * @cmds: the commands; GSVM_CMD_IRQ is set in those that somebody will wait for
 * @n: how many, 1..GSVM_CMD_BATCH
 *
 * They enter the ring one after the other, with no other command in between,
 * and cost one register write. Everything the caller wrote to memory is
 * visible to the device before them.
 *
 * Context: process context with any lock held that is not a spinlock; from
 * MMU notifiers and reclaim too. Sleeps while the ring is full.
 *
 * Return: the completion number of the last one, for gsvm_cmd_wait(). When the
 * device is wedged or goes, a number that is complete when it has made its
 * last access to memory.
 */
u64 gsvm_cmd_submit(struct gsvm_device *gdev, const struct gsvm_cmd *cmds, unsigned int n)
{
	struct gsvm_cmdq *q = gdev->cmdq;
	unsigned int i;
	u64 seq;

	KUNIT_STATIC_STUB_REDIRECT(gsvm_cmd_submit, gdev, cmds, n);

	might_sleep();
	if (drm_WARN_ON(&gdev->drm, !n || n > GSVM_CMD_BATCH))
		return 0;

	spin_lock(&q->lock);
	gsvm_cmd_make_room_locked(gdev, n);
	if (q->closing || gsvm_device_is_wedged(gdev)) {
		spin_unlock(&q->lock);
		return GSVM_CMD_NEVER;
	}

	/* An idle device had nothing to complete: its time starts now. */
	if (q->head == q->tail)
		q->head_changed = jiffies;

	for (i = 0; i < n; i++) {
		struct gsvm_cmd *slot = &q->ring[lower_32_bits(q->tail) % GSVM_CMD_ENTRIES];

		*slot = cmds[i];
		if (q->tail % GSVM_CMD_IRQ_STRIDE == 0)
			slot->op |= GSVM_CMD_IRQ;
		q->tail++;
	}
	seq = q->tail;

	/* The slots, and what the commands speak of, before the tail. */
	wmb();
	gsvm_hw_write32(gdev, GSVM_REG_CMD_TAIL, lower_32_bits(seq));
	spin_unlock(&q->lock);

	trace_gsvm_cmd_submit(gdev, cmds[n - 1].op, cmds[n - 1].id, n, seq);
	return seq;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_cmd_submit);

/**
 * gsvm_cmd_done - ask whether a command is complete
 * @gdev: the GPU
 * @seq: its completion number
 *
 * Context: process context, does not sleep.
 *
 * Return: true when it is complete, or never will be because the device is
 * wedged or unplugged; it makes no access to memory then.
 */
bool gsvm_cmd_done(struct gsvm_device *gdev, u64 seq)
{
	return gsvm_cmd_poll(gdev, seq);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_cmd_done);

static int gsvm_cmd_result(struct gsvm_device *gdev, u64 seq)
{
	struct gsvm_cmdq *q = gdev->cmdq;
	int ret;

	spin_lock(&q->lock);
	ret = q->head >= seq && !q->stopped && !gsvm_device_is_wedged(gdev) ? 0 : -EIO;
	spin_unlock(&q->lock);

	return ret;
}

/* The common answer comes within microseconds; a sleep would cost more. */
static bool gsvm_cmd_spin(struct gsvm_device *gdev, u64 seq)
{
	u64 end = ktime_get_ns() + GSVM_CMD_SPIN_NS;

	do {
		if (gsvm_cmd_poll(gdev, seq))
			return true;
		cpu_relax();
	} while (ktime_get_ns() < end);

	return false;
}

/**
 * gsvm_cmd_wait - wait until a command is complete
 * @gdev: the GPU
 * @seq: its completion number; it was submitted with GSVM_CMD_IRQ
 *
 * Not interruptible, because an invalidation cannot be left half done, and
 * bounded, because a device that completes nothing for cmd_timeout_ms is
 * wedged.
 *
 * Context: process context with any lock held that is not a spinlock; from
 * MMU notifiers and reclaim too. Allocates nothing, takes no sleeping lock.
 *
 * Return: 0, or -EIO when the device is wedged or unplugged. In both cases the
 * device does nothing any more that the command was to end.
 */
int gsvm_cmd_wait(struct gsvm_device *gdev, u64 seq)
{
	u64 begin = ktime_get_ns();
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(gsvm_cmd_wait, gdev, seq);

	might_sleep();

	if (!gsvm_cmd_spin(gdev, seq))
		gsvm_cmd_sleep(gdev, seq);

	ret = gsvm_cmd_result(gdev, seq);
	trace_gsvm_cmd_wait(gdev, seq, ktime_get_ns() - begin, ret);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_cmd_wait);

/**
 * gsvm_cmd_irq - GSVM_VEC_CMD
 * @gdev: the GPU
 *
 * Context: hard interrupt.
 */
void gsvm_cmd_irq(struct gsvm_device *gdev)
{
	wake_up_all(&gdev->cmdq->wq);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_cmd_irq);

/**
 * gsvm_cmd_wake - let all sleepers look again
 * @gdev: the GPU, possibly before gsvm_cmd_init()
 *
 * Context: any.
 */
void gsvm_cmd_wake(struct gsvm_device *gdev)
{
	if (gdev->cmdq)
		wake_up_all(&gdev->cmdq->wq);
}

/**
 * gsvm_cmd_close - take no commands any more
 * @gdev: the GPU, about to be taken off memory
 *
 * Context: process context.
 */
void gsvm_cmd_close(struct gsvm_device *gdev)
{
	struct gsvm_cmdq *q = gdev->cmdq;

	spin_lock(&q->lock);
	q->closing = true;
	spin_unlock(&q->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_cmd_close);

/**
 * gsvm_cmd_stop - close the ring for good
 * @gdev: the GPU after gsvm_cmd_close(), making no access to memory any more
 *
 * When the call returns nobody touches the ring, the status page or, through
 * commands, the registers; all waiters are on their way.
 *
 * Context: process context.
 */
void gsvm_cmd_stop(struct gsvm_device *gdev)
{
	struct gsvm_cmdq *q = gdev->cmdq;

	spin_lock(&q->lock);
	q->stopped = true;
	spin_unlock(&q->lock);

	wake_up_all(&q->wq);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_cmd_stop);

/**
 * gsvm_cmd_show - print the ring's state
 * @gdev: the GPU
 * @m: debugfs file
 */
void gsvm_cmd_show(struct gsvm_device *gdev, struct seq_file *m)
{
	struct gsvm_cmdq *q = gdev->cmdq;

	spin_lock(&q->lock);
	if (!q->stopped)
		gsvm_cmd_update_locked(gdev);
	seq_printf(m, "cmd: submitted %llu completed %llu entries %lu full %llu\n",
		   q->tail, q->head, GSVM_CMD_ENTRIES, q->full);
	spin_unlock(&q->lock);
	seq_printf(m, "cmd: timeout_ms %u\n", READ_ONCE(gsvm_cmd_timeout_ms));
}
