// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Copy engines
 *
 * The device moves data between system memory and VRAM, by bus address and
 * VRAM offset. Each engine has a ring of descriptors and completes them in
 * order; engines do not know of each other. This file knows rings and
 * completion; what is copied, and that it stays mapped meanwhile, is the
 * business of the caller.
 *
 * A caller picks an engine, submits any number of batches to it, and waits for
 * them with one &struct gsvm_copy_fence. Descriptors of one fence may be
 * carried out in any order: a copy that reads what another wrote needs a wait
 * in between.
 *
 * Migration waits here with the mmap lock and folios locked, possibly in a CPU
 * fault, possibly because memory is short. So submission and waiting allocate
 * nothing, need nobody else's help, and are bounded: an engine that has work
 * and completes no descriptor for copy_timeout_ms is dead, and the device with
 * it. It is the progress of the ring that counts, however much is in it; this
 * is why a descriptor moves no more than GSVM_COPY_MAX_LEN.
 *
 * However a wait ends, the device makes no access any more to the memory that
 * the descriptors speak of: they are complete, or the device was cut off
 * memory (wedged) or disabled (unplugged). What was complete by then counts as
 * copied, as its data is there.
 *
 * The device counts failed descriptors but does not say which. A fence notes
 * the count before its first descriptor, and fails when it finds another one
 * in the end, though it might have been a neighbour's. Descriptors come from
 * this driver alone, and one that fails is a bug or broken hardware: rare
 * enough to be answered by caution.
 *
 * States of an engine, changing under &gsvm_copy_engine.lock:
 *
 * - *live*.
 * - *closing*, while the driver takes the device off memory: submission fails,
 *   waiters wait for the next state.
 * - *stopped*, when the device makes no access to memory any more: what is not
 *   complete never will be. The same holds for a wedged device in any state.
 *
 * Ring, status page and registers are touched under the lock and before the
 * engine is stopped only, so they may go once gsvm_copy_stop() has returned.
 *
 * Completion numbers are 64 bits wide, of which the device knows the lower 32,
 * and its index is believed only between the last one seen and the last
 * descriptor submitted. Sleepers are woken by interrupts, which the last
 * descriptor of each batch and one in every quarter of the ring ask for; as
 * interrupts can get lost, they look for themselves every GSVM_COPY_RECHECK.
 */

#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "gsvm_copy.h"
#include "gsvm_device.h"
#include "gsvm_hw.h"
#include "gsvm_trace.h"

#define GSVM_COPY_LOG2		11
#define GSVM_COPY_ENTRIES	BIT(GSVM_COPY_LOG2)
#define GSVM_COPY_IRQ_STRIDE	(GSVM_COPY_ENTRIES / 4)

#define GSVM_COPY_SPIN_NS	(2 * NSEC_PER_USEC)
#define GSVM_COPY_RECHECK	msecs_to_jiffies(100)

static unsigned int gsvm_copy_timeout_ms = 30000;
module_param_named(copy_timeout_ms, gsvm_copy_timeout_ms, uint, 0644);
MODULE_PARM_DESC(copy_timeout_ms,
		 "Milliseconds without any completed copy after which the device is wedged (default 30000)");

/**
 * struct gsvm_copy_engine - one copy engine and its ring
 * @gdev: the GPU
 * @id: engine, constant
 * @lock: protects all that follows, but for @wq, and the order of writes to
 *	the tail register
 * @ring: GSVM_COPY_ENTRIES slots, shared with the device
 * @ring_dma: its bus address
 * @slot_end: by slot: @bytes when its descriptor had been submitted. Not read
 *	back from @ring, where the device could change it
 * @tail: descriptors ever submitted
 * @head: descriptors known to be complete, at most @tail
 * @errors: how many of those failed, modulo 2^32, as the device says
 * @bytes: bytes ever submitted
 * @bytes_done: bytes of the first @head descriptors
 * @head_changed: when @head last moved, or the ring was last empty, in jiffies
 * @closing: no new descriptors
 * @stopped: no access to @ring, status page and registers any more
 * @full: submissions that met a full ring
 * @waits: calls of gsvm_copy_wait()
 * @wait_ns: time spent in them
 * @wq: waiters for completion and for room
 */
struct gsvm_copy_engine {
	struct gsvm_device *gdev;
	unsigned int id;
	spinlock_t lock;	/* everything below but @wq */
	struct gsvm_copy *ring;
	dma_addr_t ring_dma;
	u64 *slot_end;
	u64 tail;
	u64 head;
	u32 errors;
	u64 bytes;
	u64 bytes_done;
	unsigned long head_changed;
	bool closing;
	bool stopped;
	u64 full;
	u64 waits;
	u64 wait_ns;
	wait_queue_head_t wq;
};

/**
 * struct gsvm_copy_unit - the copy engines of a GPU
 * @turn: engine that is looked at first by the next pick
 * @engine: &gsvm_limits.num_copy of them exist
 */
struct gsvm_copy_unit {
	atomic_t turn;
	struct gsvm_copy_engine engine[GSVM_MAX_COPY_ENGINES];
};

static unsigned int gsvm_copy_slot(u64 index)
{
	return lower_32_bits(index) % GSVM_COPY_ENTRIES;
}

static int gsvm_copy_engine_init(struct gsvm_device *gdev, struct gsvm_copy_engine *e,
				 unsigned int id)
{
	e->gdev = gdev;
	e->id = id;
	spin_lock_init(&e->lock);
	init_waitqueue_head(&e->wq);
	e->head_changed = jiffies;

	e->slot_end = drmm_kcalloc(&gdev->drm, GSVM_COPY_ENTRIES, sizeof(*e->slot_end),
				   GFP_KERNEL);
	if (!e->slot_end)
		return -ENOMEM;

	e->ring = dmam_alloc_coherent(&gdev->pdev->dev, GSVM_COPY_ENTRIES * sizeof(*e->ring),
				      &e->ring_dma, GFP_KERNEL);
	if (!e->ring)
		return -ENOMEM;

	gsvm_hw_write64(gdev, GSVM_REG_COPY_BASE(id), e->ring_dma);
	gsvm_hw_write32(gdev, GSVM_REG_COPY_LOG2(id), GSVM_COPY_LOG2);
	return 0;
}

/**
 * gsvm_copy_init - set the copy rings up
 * @gdev: the GPU, reset and not yet enabled
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_copy_init(struct gsvm_device *gdev)
{
	struct gsvm_copy_unit *unit;
	unsigned int id;
	int ret;

	BUILD_BUG_ON(sizeof(struct gsvm_copy) != 32);
	/* A waiter for room has an interrupt before the end of the ring. */
	BUILD_BUG_ON(GSVM_COPY_ENTRIES - GSVM_COPY_BATCH < GSVM_COPY_IRQ_STRIDE);

	unit = drmm_kzalloc(&gdev->drm, sizeof(*unit), GFP_KERNEL);
	if (!unit)
		return -ENOMEM;

	for (id = 0; id < gdev->limits.num_copy; id++) {
		ret = gsvm_copy_engine_init(gdev, &unit->engine[id], id);
		if (ret)
			return ret;
	}

	gdev->copy = unit;
	return 0;
}

/*
 * Take over what the engine has completed. Returns false when it claims to
 * have completed what it was never given, or takes back what it completed.
 */
static bool gsvm_copy_update_locked(struct gsvm_copy_engine *e)
{
	u32 delta;

	lockdep_assert_held(&e->lock);

	delta = READ_ONCE(e->gdev->status->copy[e->id].done) - lower_32_bits(e->head);
	if (!delta)
		return true;
	if (delta > e->tail - e->head)
		return false;

	/* Count of failures and copied data are read after the completion. */
	dma_rmb();
	e->errors = READ_ONCE(e->gdev->status->copy[e->id].errors);
	e->head += delta;
	e->bytes_done = e->slot_end[gsvm_copy_slot(e->head - 1)];
	e->head_changed = jiffies;
	return true;
}

/* Is descriptor @seq complete, or are there to be no completions any more? */
static bool gsvm_copy_poll(struct gsvm_copy_engine *e, u64 seq)
{
	bool done, sane;

	if (gsvm_device_is_wedged(e->gdev))
		return true;

	spin_lock(&e->lock);
	sane = e->stopped || gsvm_copy_update_locked(e);
	done = e->stopped || e->head >= seq;
	spin_unlock(&e->lock);

	if (!sane)
		gsvm_device_wedge(e->gdev, "copy completion index is out of range");

	return done;
}

/*
 * An engine that has work and completes none of it for the whole time-out is
 * dead; a device that was pulled is not worth the wait.
 */
static void gsvm_copy_check_alive(struct gsvm_copy_engine *e)
{
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(gsvm_copy_timeout_ms));
	bool gone = false, silent = false;

	spin_lock(&e->lock);
	if (!e->stopped) {
		gsvm_copy_update_locked(e);
		gone = gsvm_hw_gone(e->gdev);
		silent = e->head != e->tail && time_after(jiffies, e->head_changed + timeout);
	}
	spin_unlock(&e->lock);

	if (gone)
		gsvm_device_wedge(e->gdev, "registers do not answer");
	else if (silent)
		gsvm_device_wedge(e->gdev, "no copy completed in time");
}

/* Sleep until descriptor @seq is complete or the device is given up. */
static void gsvm_copy_sleep(struct gsvm_copy_engine *e, u64 seq)
{
	while (!wait_event_timeout(e->wq, gsvm_copy_poll(e, seq), GSVM_COPY_RECHECK))
		gsvm_copy_check_alive(e);
}

/**
 * gsvm_copy_engine_pick - find the engine that will be free first
 * @gdev: the GPU
 *
 * By the bytes that are under way; equals take turns, so that those who come
 * at the same time part.
 *
 * Context: process context with any lock held that is not a spinlock of this
 * driver; does not sleep.
 *
 * Return: the engine, for &gsvm_copy_fence.engine.
 */
unsigned int gsvm_copy_engine_pick(struct gsvm_device *gdev)
{
	unsigned int num = gdev->limits.num_copy, best = 0, i;
	unsigned int first = (unsigned int)atomic_inc_return(&gdev->copy->turn);
	u64 least = U64_MAX;

	for (i = 0; i < num; i++) {
		struct gsvm_copy_engine *e = &gdev->copy->engine[(first + i) % num];
		u64 under_way;

		spin_lock(&e->lock);
		/* An index that lies is found, and acted on, by who waits for it. */
		if (!e->stopped)
			gsvm_copy_update_locked(e);
		under_way = e->bytes - e->bytes_done;
		spin_unlock(&e->lock);

		if (under_way < least) {
			least = under_way;
			best = e->id;
		}
	}

	return best;
}

/* Room for @n more descriptors, or none ever. Called with the lock, may drop it. */
static int gsvm_copy_make_room_locked(struct gsvm_copy_engine *e, unsigned int n)
{
	lockdep_assert_held(&e->lock);

	while (!e->closing && !gsvm_device_is_wedged(e->gdev) &&
	       e->tail + n - e->head > GSVM_COPY_ENTRIES) {
		u64 seq = e->tail + n - GSVM_COPY_ENTRIES;

		e->full++;
		spin_unlock(&e->lock);
		gsvm_copy_sleep(e, seq);
		spin_lock(&e->lock);
	}

	if (e->closing)
		return -ENODEV;

	return gsvm_device_is_wedged(e->gdev) ? -EIO : 0;
}

/* Fill slots and ring the doorbell; there is room. */
static void gsvm_copy_push_locked(struct gsvm_copy_engine *e, const struct gsvm_copy *desc,
				  unsigned int n)
{
	unsigned int i;

	lockdep_assert_held(&e->lock);

	/* An idle engine had nothing to complete: its time starts now. */
	if (e->head == e->tail)
		e->head_changed = jiffies;

	for (i = 0; i < n; i++) {
		unsigned int slot = gsvm_copy_slot(e->tail);

		e->ring[slot] = desc[i];
		if (i == n - 1 || e->tail % GSVM_COPY_IRQ_STRIDE == 0)
			e->ring[slot].op |= GSVM_COPY_IRQ;
		e->bytes += desc[i].len;
		e->slot_end[slot] = e->bytes;
		e->tail++;
	}

	/* The slots, and the data that is to be copied, before the tail. */
	wmb();
	gsvm_hw_write32(e->gdev, GSVM_REG_COPY_TAIL(e->id), lower_32_bits(e->tail));
}

static bool gsvm_copy_args_good(struct gsvm_device *gdev, const struct gsvm_copy_fence *fence,
				const struct gsvm_copy *desc, unsigned int n)
{
	unsigned int i;

	if (fence->engine >= gdev->limits.num_copy || !n || n > GSVM_COPY_BATCH)
		return false;

	for (i = 0; i < n; i++)
		if (desc[i].len > GSVM_COPY_MAX_LEN)
			return false;

	return true;
}

/**
 * gsvm_copy_submit - hand copies to an engine
 * @gdev: the GPU
 * @fence: what they are waited for with. &gsvm_copy_fence.engine was picked and
 *	&gsvm_copy_fence.seq was 0 before the first batch; further batches go
 *	with the same fence to the same engine
 * @desc: the descriptors, without GSVM_COPY_IRQ. None moves more than
 *	GSVM_COPY_MAX_LEN bytes: larger pieces would be indistinguishable from
 *	a dead engine on a slow machine
 * @n: how many, 1..GSVM_COPY_BATCH
 *
 * They enter the ring one after the other, with no other in between, and cost
 * one register write. What the caller wrote to their memory is visible to the
 * device.
 *
 * When the call fails the device has got none of @desc. Batches that were
 * submitted before have to be waited for all the same, before their memory is
 * unmapped.
 *
 * Context: process context with any lock held that is not a spinlock nor taken
 * by MMU notifiers: the mmap lock, folio locks. Allocates nothing, takes no
 * sleeping lock. Sleeps while the ring is full, uninterruptible and bounded.
 *
 * Return: 0; -EIO when the device is wedged; -ENODEV when it is being
 * unplugged; -EINVAL, with a warning, for a caller's bug.
 */
int gsvm_copy_submit(struct gsvm_device *gdev, struct gsvm_copy_fence *fence,
		     const struct gsvm_copy *desc, unsigned int n)
{
	struct gsvm_copy_engine *e;
	u64 bytes;
	int ret;

	might_sleep();
	if (drm_WARN_ON(&gdev->drm, !gsvm_copy_args_good(gdev, fence, desc, n)))
		return -EINVAL;

	e = &gdev->copy->engine[fence->engine];

	spin_lock(&e->lock);
	ret = gsvm_copy_make_room_locked(e, n);
	if (ret) {
		spin_unlock(&e->lock);
		return ret;
	}

	if (!fence->seq) {
		/* Failures so far are not this fence's. A lying index: see pick. */
		gsvm_copy_update_locked(e);
		fence->errors = e->errors;
	}

	bytes = e->bytes;
	gsvm_copy_push_locked(e, desc, n);
	bytes = e->bytes - bytes;
	fence->seq = e->tail;
	spin_unlock(&e->lock);

	trace_gsvm_copy_submit(gdev, fence->engine, n, bytes, fence->seq);
	return 0;
}

/* The answer to a small copy comes within microseconds; a sleep would cost more. */
static bool gsvm_copy_spin(struct gsvm_copy_engine *e, u64 seq)
{
	u64 end = ktime_get_ns() + GSVM_COPY_SPIN_NS;

	do {
		if (gsvm_copy_poll(e, seq))
			return true;
		cpu_relax();
	} while (ktime_get_ns() < end);

	return false;
}

/* After the wait: is everything there? A device that was given up says no more. */
static int gsvm_copy_result(struct gsvm_copy_engine *e, const struct gsvm_copy_fence *fence,
			    u64 ns)
{
	int ret;

	spin_lock(&e->lock);
	/* What it completed before it was cut off is complete, or refused as a lie. */
	if (!e->stopped)
		gsvm_copy_update_locked(e);
	ret = e->head >= fence->seq && e->errors == fence->errors ? 0 : -EIO;
	e->waits++;
	e->wait_ns += ns;
	spin_unlock(&e->lock);

	return ret;
}

/**
 * gsvm_copy_wait - wait until copies are complete
 * @gdev: the GPU
 * @fence: of the copies; nothing to wait for when none was submitted with it
 *
 * Not interruptible, because memory that the device writes cannot be given
 * back, and bounded, because an engine that completes nothing for
 * copy_timeout_ms wedges the device. A long queue is no reason for that.
 *
 * After any return the device neither reads nor writes the memory of these
 * copies any more, and the caller may unmap it.
 *
 * Context: process context with any lock held that is not a spinlock nor taken
 * by MMU notifiers: the mmap lock, folio locks. Allocates nothing, takes no
 * sleeping lock.
 *
 * Return: 0 when all are complete and none failed, the data being visible to
 * the CPU where it went to system memory. -EIO when the device was wedged or
 * unplugged before that, or when a copy failed on this engine between the
 * first submission and now, possibly not one of these; the destinations'
 * content is undefined then.
 */
int gsvm_copy_wait(struct gsvm_device *gdev, const struct gsvm_copy_fence *fence)
{
	struct gsvm_copy_engine *e;
	u64 begin, ns;
	int ret;

	might_sleep();
	if (!fence->seq)
		return 0;
	if (drm_WARN_ON(&gdev->drm, fence->engine >= gdev->limits.num_copy))
		return -EIO;

	e = &gdev->copy->engine[fence->engine];
	begin = ktime_get_ns();
	if (!gsvm_copy_spin(e, fence->seq))
		gsvm_copy_sleep(e, fence->seq);

	ns = ktime_get_ns() - begin;
	ret = gsvm_copy_result(e, fence, ns);
	trace_gsvm_copy_wait(gdev, fence->engine, fence->seq, ns, ret);
	return ret;
}

/**
 * gsvm_copy_engine - find an engine's structure
 * @gdev: the GPU
 * @id: engine, below &gsvm_limits.num_copy
 *
 * Return: it, for gsvm_copy_irq().
 */
struct gsvm_copy_engine *gsvm_copy_engine(struct gsvm_device *gdev, unsigned int id)
{
	return &gdev->copy->engine[id];
}

/**
 * gsvm_copy_irq - GSVM_VEC_COPY of an engine
 * @engine: which
 *
 * Context: hard interrupt.
 */
void gsvm_copy_irq(struct gsvm_copy_engine *engine)
{
	wake_up_all(&engine->wq);
}

/**
 * gsvm_copy_wake - let all sleepers look again
 * @gdev: the GPU, possibly before gsvm_copy_init()
 *
 * Context: any.
 */
void gsvm_copy_wake(struct gsvm_device *gdev)
{
	unsigned int id;

	if (!gdev->copy)
		return;

	for (id = 0; id < gdev->limits.num_copy; id++)
		wake_up_all(&gdev->copy->engine[id].wq);
}

/**
 * gsvm_copy_close - take no copies any more
 * @gdev: the GPU, about to be taken off memory
 *
 * Context: process context.
 */
void gsvm_copy_close(struct gsvm_device *gdev)
{
	unsigned int id;

	for (id = 0; id < gdev->limits.num_copy; id++) {
		struct gsvm_copy_engine *e = &gdev->copy->engine[id];

		spin_lock(&e->lock);
		e->closing = true;
		spin_unlock(&e->lock);
	}
}

/**
 * gsvm_copy_stop - close the rings for good
 * @gdev: the GPU after gsvm_copy_close(), making no access to memory any more
 *
 * When the call returns nobody touches the rings, the status page or, through
 * copies, the registers; all waiters are on their way.
 *
 * Context: process context.
 */
void gsvm_copy_stop(struct gsvm_device *gdev)
{
	unsigned int id;

	for (id = 0; id < gdev->limits.num_copy; id++) {
		struct gsvm_copy_engine *e = &gdev->copy->engine[id];

		spin_lock(&e->lock);
		/* The last word of the device: what is complete was not in vain. */
		gsvm_copy_update_locked(e);
		e->stopped = true;
		spin_unlock(&e->lock);
	}

	gsvm_copy_wake(gdev);
}

/**
 * gsvm_copy_show - print the engines' state
 * @gdev: the GPU
 * @m: debugfs file
 */
void gsvm_copy_show(struct gsvm_device *gdev, struct seq_file *m)
{
	unsigned int id;

	for (id = 0; id < gdev->limits.num_copy; id++) {
		struct gsvm_copy_engine *e = &gdev->copy->engine[id];

		spin_lock(&e->lock);
		if (!e->stopped)
			gsvm_copy_update_locked(e);
		seq_printf(m, "copy%u: submitted %llu completed %llu failed %u bytes %llu bytes_done %llu full %llu waits %llu wait_ns %llu\n",
			   id, e->tail, e->head, e->errors, e->bytes, e->bytes_done,
			   e->full, e->waits, e->wait_ns);
		spin_unlock(&e->lock);
	}
	seq_printf(m, "copy: entries %lu timeout_ms %u\n", GSVM_COPY_ENTRIES,
		   READ_ONCE(gsvm_copy_timeout_ms));
}
