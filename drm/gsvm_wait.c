// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Waiting for a signal
 *
 * A signal is a value and an interrupt request in the process's own memory.
 * No wake-up is lost, because the two sides do the opposite::
 *
 *	device:    decrement the value;     then read the request
 *	software:  set the request;         then read the value
 *
 * with a full barrier between the two steps on each side. Whichever comes
 * first, either software sees the new value, or the device sees the request,
 * sets the VM's bit in the status page, and interrupts. The interrupt thread
 * turns that into a count, &gsvm_vm.event_seq, and a wake-up. A waiter takes
 * the count before it reads the value, and sleeps only while the count has not
 * moved: an event between the reading and the sleeping ends the sleep before
 * it begins.
 *
 * The death of a queue, of the VM or of the device counts as an event as well.
 * Each of them is looked at before the value is, so that the value read last
 * is the final one: a job that completed before the end came is a success.
 *
 * Reading the value can take any time, as any access to the process's memory: the
 * page may be in swap, or a userfaultfd handler may have to bring it. So the time
 * that was left before may have run out after it.
 *
 * A sleeper looks for itself every GSVM_WAIT_RECHECK, so that an interrupt
 * that got lost costs time only, and looks whether the device is still there.
 */

#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include <drm/drm_drv.h>
#include <drm/gsvm_drm.h>

#include "gsvm_device.h"
#include "gsvm_queue.h"
#include "gsvm_vm.h"
#include "gsvm_wait.h"

#define GSVM_WAIT_RECHECK	(NSEC_PER_SEC)

static bool gsvm_wait_met(const struct drm_gsvm_wait *args, s64 value)
{
	switch (args->op) {
	case DRM_GSVM_WAIT_EQ:
		return value == args->value;
	case DRM_GSVM_WAIT_NE:
		return value != args->value;
	case DRM_GSVM_WAIT_LT:
		return value < args->value;
	default:
		return value >= args->value;
	}
}

/* What is to be returned if the value turns out not to be the wanted one; 0: sleep. */
static int gsvm_wait_end(struct gsvm_vm *vm, struct gsvm_queue *queue, s64 timeout_ns)
{
	if (drm_dev_is_unplugged(&vm->gdev->drm))
		return -ENODEV;
	if (gsvm_device_is_wedged(vm->gdev))
		return -EIO;
	if (queue && gsvm_queue_is_dead(queue))
		return -EIO;
	if (READ_ONCE(vm->dead))
		return -ENOENT;
	if (ktime_get_ns() >= (u64)max(timeout_ns, 0ll))
		return -ETIME;

	return 0;
}

static int gsvm_wait_sleep(struct gsvm_vm *vm, s64 seq, s64 timeout_ns)
{
	s64 left = timeout_ns - (s64)ktime_get_ns();
	int ret;

	/* Time goes on while the value is read; less than none would mean for ever. */
	left = clamp_t(s64, left, 0, GSVM_WAIT_RECHECK);
	ret = wait_event_interruptible_hrtimeout(vm->event_wq,
						 atomic64_read(&vm->event_seq) != seq, left);
	if (ret != -ETIME)
		return ret;

	gsvm_device_check(vm->gdev);
	return 0;
}

/**
 * gsvm_wait - sleep until a signal has a value
 * @vm: the VM whose queues change it, mirror of the caller's memory
 * @queue: whose death ends the wait, or NULL
 * @args: validated; &drm_gsvm_wait.observed is written
 *
 * Context: process context, outside of drm_dev_enter(): unplug must not wait
 * for sleepers.
 *
 * Return: 0, -ETIME, -EIO, -ENODEV, -EFAULT as DRM_IOCTL_GSVM_WAIT says,
 * -ENOENT when the VM is destroyed meanwhile, -ERESTARTSYS.
 */
int gsvm_wait(struct gsvm_vm *vm, struct gsvm_queue *queue, struct drm_gsvm_wait *args)
{
	struct gsvm_signal __user *sig = u64_to_user_ptr(args->addr);
	s64 value, seq;
	int end, ret;

	if (put_user(1, &sig->irq))
		return -EFAULT;

	for (;;) {
		/* Before the value, see above; pairs with the increment, which wakes. */
		seq = atomic64_read_acquire(&vm->event_seq);
		end = gsvm_wait_end(vm, queue, args->timeout_ns);

		/* The request before the value; pairs with the device's decrement and read. */
		smp_mb();
		if (get_user(value, &sig->value))
			return -EFAULT;

		if (gsvm_wait_met(args, value) || end == -ETIME)
			args->observed = value;
		if (gsvm_wait_met(args, value))
			return 0;
		if (end)
			return end;

		ret = gsvm_wait_sleep(vm, seq, args->timeout_ns);
		if (ret)
			return ret;
	}
}
