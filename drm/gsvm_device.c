// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Device life
 *
 * gsvm_device_init() reads as the table of contents of a GPU. Whatever the
 * device or the CPU reaches through the device (DMA memory, BARs, interrupts)
 * is devm-managed and gone when the driver is unbound; what an open file can
 * still reach (the structures of this driver) is drmm-managed and lives until
 * the last file is closed.
 *
 * A device ends in one of two ways, and both are ordinary events:
 *
 * - *Unplug*: the driver is unbound or the function was pulled. drm_dev_unplug()
 *   turns new users away and waits for those inside drm_dev_enter(); then
 *   gsvm_device_unplug() stops DMA, releases all waiters, ends all queues and
 *   shuts all VMs down, so that no DMA mapping is left.
 * - *Wedged*: the device lies, does not answer, or reports a fatal error.
 *   gsvm_device_wedge() clears bus mastering, which is complete when the
 *   configuration write is, and only then lets waiters go. So whoever waits
 *   for the device, an MMU notifier above all, may believe that the device
 *   reaches no memory, whatever the wait returned. A work item then ends the
 *   queues, because that takes locks that the one who wedges may hold.
 *
 * Both may meet: wedging is a race for GSVM_DEVICE_WEDGING that one thread
 * wins, and unplug disables the work item before it goes on.
 */

/**
 * DOC: Locking
 *
 * One order, outermost first:
 *
 * 1. &gsvm_file.lock (mutex): one file's handles are made and removed one at a
 *    time. Never taken with the mmap lock held, as making a VM takes that.
 * 2. mmap lock of the mirrored process.
 * 3. &gsvm_device.doorbell_lock (rwsem): a doorbell page fault in progress
 *    against the revocation of its page. Page tables may be allocated under
 *    it, so nothing that reclaim can reach takes it.
 * 4. &gsvm_vm.queue_lock (mutex): the queues of a VM, across their start and
 *    stop on the device. No memory is allocated and no user memory touched
 *    under it.
 * 5. Locks of the process's pages (folio locks), while pages move.
 * 6. The mirror's locks, gsvm_mirror.c. An MMU notifier takes them, from
 *    reclaim too: no GFP_KERNEL, no reservation lock below this line.
 * 7. &gsvm_queue_table.lock (spinlock): error records.
 * 8. &gsvm_cmdq.lock, &gsvm_copy_engine.lock (spinlocks): slots and indices of
 *    one ring each; &gsvm_vram.lock (spinlock, interrupts off): chunks of VRAM,
 *    also under the kernel's page table locks; &gsvm_move_cache.lock (spinlock):
 *    moves that nobody uses. None of them is taken under another.
 *
 * &gsvm_peers.lock (mutex) comes between 5 and 6: two GPUs are tried out with pages
 * locked, by a copy, and memory is allocated under it.
 *
 * &gsvm_vram.buddy_lock (mutex) is taken with none of the driver's locks held,
 * and allocates.
 *
 * The xa_locks of &gsvm_device.vms, &gsvm_queue_table.queues and of the file's
 * handle tables are held for a look-up and a reference only; nothing is taken
 * under them. Waiting for a command (gsvm_cmd_wait()) is allowed under all
 * locks but the spinlocks: it ends without the help of any of them. So does
 * waiting for a copy (gsvm_copy_submit(), gsvm_copy_wait()), and it is allowed
 * under the mmap lock and with folios locked. But a copy takes its time, and an
 * MMU notifier has none: never under a lock of the mirror.
 */

#include <linux/dma-mapping.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "gsvm_cmd.h"
#include "gsvm_copy.h"
#include "gsvm_device.h"
#include "gsvm_fault.h"
#include "gsvm_hw.h"
#include "gsvm_queue.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

#define GSVM_DEVICE_CHECK	HZ

static void gsvm_device_vms_fini(struct drm_device *drm, void *data)
{
	struct gsvm_device *gdev = to_gsvm_device(drm);

	drm_WARN_ON(drm, !xa_empty(&gdev->vms));
	xa_destroy(&gdev->vms);
}

/*
 * What a wedged device owes its users, in process context and with no lock
 * held: queues that end, waiters that see it, a word to user space.
 */
static void gsvm_device_wedge_work(struct work_struct *work)
{
	struct gsvm_device *gdev = container_of(work, struct gsvm_device, wedge_work);
	int idx;

	gsvm_queue_kill_all(gdev);

	/* Unplugged meanwhile, or not there yet: nobody to tell. */
	if (!drm_dev_enter(&gdev->drm, &idx))
		return;
	if (gdev->drm.registered)
		drm_dev_wedged_event(&gdev->drm, DRM_WEDGE_RECOVERY_REBIND, NULL);
	drm_dev_exit(idx);
}

/* For a probe that fails; otherwise gsvm_device_unplug() was first. */
static void gsvm_device_wedge_fini(void *data)
{
	struct gsvm_device *gdev = data;

	disable_work_sync(&gdev->wedge_work);
}

static int gsvm_device_state_init(struct gsvm_device *gdev)
{
	int ret;

	init_rwsem(&gdev->doorbell_lock);
	gdev->checked = jiffies;
	INIT_WORK(&gdev->wedge_work, gsvm_device_wedge_work);
	xa_init_flags(&gdev->vms, XA_FLAGS_ALLOC);

	ret = drmm_add_action_or_reset(&gdev->drm, gsvm_device_vms_fini, NULL);
	if (ret)
		return ret;

	return devm_add_action_or_reset(&gdev->pdev->dev, gsvm_device_wedge_fini, gdev);
}

static int gsvm_device_tables_init(struct gsvm_device *gdev)
{
	struct device *dev = &gdev->pdev->dev;

	BUILD_BUG_ON(sizeof(struct gsvm_status) != SZ_4K);
	BUILD_BUG_ON(sizeof(struct gsvm_ctx) != 16);

	gdev->status = dmam_alloc_coherent(dev, sizeof(*gdev->status), &gdev->status_dma,
					   GFP_KERNEL);
	if (!gdev->status)
		return -ENOMEM;

	gdev->ctx = dmam_alloc_coherent(dev, array_size(gdev->limits.num_asids,
							sizeof(*gdev->ctx)),
					&gdev->ctx_dma, GFP_KERNEL);
	if (!gdev->ctx)
		return -ENOMEM;

	gsvm_hw_write64(gdev, GSVM_REG_STATUS_BASE, gdev->status_dma);
	gsvm_hw_write64(gdev, GSVM_REG_CTX_BASE, gdev->ctx_dma);
	return 0;
}

/*
 * One command there and back and one copy on each engine, before any user
 * depends on them: the device reads and writes this machine's memory, not some
 * other, and VRAM keeps what it was given.
 */
static int gsvm_device_self_test(struct gsvm_device *gdev)
{
	const struct gsvm_cmd cmd = { .op = GSVM_CMD_INVAL_ALL | GSVM_CMD_IRQ };
	int ret;

	ret = gsvm_cmd_wait(gdev, gsvm_cmd_submit(gdev, &cmd, 1));
	if (ret)
		return dev_err_probe(&gdev->pdev->dev, ret, "device does not execute commands\n");

	return gsvm_copy_self_test(gdev);
}

/**
 * gsvm_device_init - bring a GPU up, all but its registration
 * @gdev: the GPU, fresh from devm_drm_dev_alloc(), &gsvm_device.pdev set
 *
 * Return: 0 or a negative errno, said in the log; what was set up is undone by
 * devm and drmm.
 */
int gsvm_device_init(struct gsvm_device *gdev)
{
	int ret;

	ret = gsvm_device_state_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_device_tables_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_cmd_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_copy_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_queue_table_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_fault_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_enable(gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_irq_init(gdev);
	if (ret)
		return ret;

	ret = gsvm_device_self_test(gdev);
	if (ret)
		return ret;

	return gsvm_vram_init(gdev);
}

static void gsvm_device_shutdown_vms(struct gsvm_device *gdev)
{
	u32 asid;

	for (asid = 0; asid < gdev->limits.num_asids; asid++) {
		struct gsvm_vm *vm = gsvm_vm_lookup_asid(gdev, asid);

		if (!vm)
			continue;
		gsvm_vm_shutdown(vm);
		gsvm_vm_put(vm);
	}
}

/**
 * gsvm_device_unplug - stop the device and everybody who uses it
 * @gdev: the GPU, after drm_dev_unplug()
 *
 * When the call returns the device makes no access to memory, no DMA mapping
 * of a VM is left, and nobody touches registers or DMA memory any more. May be
 * called for a wedged device.
 *
 * Context: process context, sleeps.
 */
void gsvm_device_unplug(struct gsvm_device *gdev)
{
	gsvm_cmd_close(gdev);
	gsvm_copy_close(gdev);
	gsvm_hw_disable(gdev);
	gsvm_cmd_stop(gdev);
	gsvm_copy_stop(gdev);
	gsvm_hw_irq_fini(gdev);
	disable_work_sync(&gdev->wedge_work);
	gsvm_queue_table_unplug(gdev);
	gsvm_device_shutdown_vms(gdev);
}

/**
 * gsvm_device_wedge - give up on the device
 * @gdev: the GPU
 * @why: for the log, a string constant
 *
 * When the call that comes first returns, the device makes no access to
 * memory any more; one that comes second may return earlier, and
 * gsvm_device_is_wedged() tells.
 *
 * Context: any context that may hold mutexes and be inside an MMU notifier or
 * reclaim; takes no lock of this driver, allocates nothing. Not from hard
 * interrupts.
 */
void gsvm_device_wedge(struct gsvm_device *gdev, const char *why)
{
	KUNIT_STATIC_STUB_REDIRECT(gsvm_device_wedge, gdev, why);

	if (test_and_set_bit(GSVM_DEVICE_WEDGING, &gdev->state))
		return;

	WRITE_ONCE(gdev->wedge_reason, why);
	pci_clear_master(gdev->pdev);

	/* Pairs with gsvm_device_is_wedged(): DMA ends before anybody relies on it. */
	smp_mb__before_atomic();
	set_bit(GSVM_DEVICE_WEDGED, &gdev->state);

	drm_err(&gdev->drm, "device is wedged: %s\n", why);
	gsvm_cmd_wake(gdev);
	gsvm_copy_wake(gdev);
	queue_work(system_dfl_wq, &gdev->wedge_work);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_device_wedge);

/**
 * gsvm_device_check - see whether the device is still there
 * @gdev: the GPU
 *
 * For those who sleep long and would not notice. Costs a register read once in
 * GSVM_DEVICE_CHECK, however many they are.
 *
 * Context: process context outside of interrupts.
 */
void gsvm_device_check(struct gsvm_device *gdev)
{
	unsigned long last = READ_ONCE(gdev->checked);
	bool gone;
	int idx;

	if (time_before(jiffies, last + GSVM_DEVICE_CHECK) ||
	    cmpxchg(&gdev->checked, last, jiffies) != last)
		return;
	if (!drm_dev_enter(&gdev->drm, &idx))
		return;

	gone = gsvm_hw_gone(gdev);
	drm_dev_exit(idx);
	if (gone)
		gsvm_device_wedge(gdev, "registers do not answer");
}
