// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Address spaces
 *
 * A &gsvm_vm ties together a process's memory, a hardware address space (ASID)
 * and the queues that run in it. This file knows when it begins and ends; the
 * mirror (gsvm_mirror.c) knows what is in it.
 *
 * It ends in two steps:
 *
 * - *shutdown*, when the handle is destroyed, the file is closed or the device
 *   goes, whichever is first: queues stopped, the context entry invalid and
 *   flushed, every page taken back, the ASID given back. From here on the
 *   device cannot reach the process through it.
 * - *free*, when the last reference has gone. A fault service may hold one for
 *   long (userfaultfd), so nobody waits for it: closing a file must not depend
 *   on what the process does in its handlers. It runs on the workqueue,
 *   because the last reference can be dropped inside an MMU notifier, and
 *   removing a notifier in there would wait for itself.
 *
 * The process's death needs no code here: when its memory goes, the notifiers
 * take all pages, the next access of each queue faults, and the fault service
 * finds nobody there and ends the queue.
 */

#include <linux/bitmap.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include <drm/drm_drv.h>
#include <drm/gsvm_drm.h>

#include "gsvm_cmd.h"
#include "gsvm_device.h"
#include "gsvm_mirror.h"
#include "gsvm_queue.h"
#include "gsvm_vm.h"

/*
 * Fault services, block collection, ends of address spaces. One for the
 * module, because an address space may outlive its device. Nothing on it waits
 * for a process; fault services that have to are on the other one, which a
 * process can fill with waiters without stopping anybody's ordinary faults.
 */
struct workqueue_struct *gsvm_wq;
EXPORT_SYMBOL_IF_KUNIT(gsvm_wq);
struct workqueue_struct *gsvm_patient_wq;

/* Who splits pages (gsvm_split.c), which services on both of the others wait for. */
struct workqueue_struct *gsvm_split_wq;

/**
 * gsvm_vm_module_init() - once, when the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_vm_module_init(void)
{
	gsvm_wq = alloc_workqueue("gsvm", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!gsvm_wq)
		return -ENOMEM;
	gsvm_patient_wq = alloc_workqueue("gsvm-patient", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!gsvm_patient_wq)
		goto destroy_wq;
	gsvm_split_wq = alloc_workqueue("gsvm-split", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!gsvm_split_wq)
		goto destroy_patient_wq;
	return 0;

destroy_patient_wq:
	destroy_workqueue(gsvm_patient_wq);
destroy_wq:
	destroy_workqueue(gsvm_wq);
	return -ENOMEM;
}

/**
 * gsvm_vm_module_exit() - once, when the module goes
 *
 * Waits for what is still on the workqueues.
 */
void gsvm_vm_module_exit(void)
{
	/* Services queue patient ones, and all queue the end of their address space. */
	flush_workqueue(gsvm_wq);
	destroy_workqueue(gsvm_patient_wq);
	/* There are no devices any more, and no orders: what is left of one drops its process. */
	destroy_workqueue(gsvm_split_wq);
	destroy_workqueue(gsvm_wq);
}

static unsigned int gsvm_vm_migrate = DRM_GSVM_MIGRATE_FIRST;
module_param_named(migrate, gsvm_vm_migrate, uint, 0644);
MODULE_PARM_DESC(migrate,
		 "When a GPU's fault moves memory to VRAM, for new VMs: 0 never, 1 at the first (default), 2 at the second");

/* Write the context entry and wait until the device has seen it. */
static int gsvm_vm_set_root(struct gsvm_vm *vm, u64 root)
{
	struct gsvm_device *gdev = vm->gdev;
	struct gsvm_cmd cmd = { .op = GSVM_CMD_INVAL_ASID | GSVM_CMD_IRQ, .id = vm->asid };

	WRITE_ONCE(gdev->ctx[vm->asid].root, root);
	return gsvm_cmd_wait(gdev, gsvm_cmd_submit(gdev, &cmd, 1));
}

static void gsvm_vm_free(struct gsvm_vm *vm)
{
	struct gsvm_device *gdev = vm->gdev;

	if (vm->mirror)
		gsvm_mirror_destroy(vm->mirror);
	mmdrop(vm->mm);
	bitmap_free(vm->doorbells);
	mutex_destroy(&vm->shutdown_lock);
	mutex_destroy(&vm->queue_lock);
	kfree_rcu(vm, rcu);
	drm_dev_put(&gdev->drm);
}

static void gsvm_vm_free_work(struct work_struct *work)
{
	gsvm_vm_free(container_of(work, struct gsvm_vm, free_work));
}

static void gsvm_vm_release(struct kref *ref)
{
	struct gsvm_vm *vm = container_of(ref, struct gsvm_vm, ref);

	queue_work(gsvm_wq, &vm->free_work);
}

static struct gsvm_vm *gsvm_vm_alloc(struct gsvm_device *gdev)
{
	struct gsvm_vm *vm = kzalloc_obj(*vm);

	if (!vm)
		return NULL;
	vm->doorbells = bitmap_zalloc(GSVM_DOORBELLS_PER_PAGE, GFP_KERNEL);
	if (!vm->doorbells) {
		kfree(vm);
		return NULL;
	}
	kref_init(&vm->ref);
	vm->gdev = gdev;
	drm_dev_get(&gdev->drm);
	vm->mm = current->mm;
	vm->migrate = min_t(u32, READ_ONCE(gsvm_vm_migrate), DRM_GSVM_MIGRATE_SECOND);
	mmgrab(vm->mm);
	mutex_init(&vm->queue_lock);
	mutex_init(&vm->shutdown_lock);
	INIT_LIST_HEAD(&vm->queues);
	init_waitqueue_head(&vm->event_wq);
	INIT_WORK(&vm->free_work, gsvm_vm_free_work);
	return vm;
}

/**
 * gsvm_vm_create() - make an address space that mirrors the caller's memory
 * @gdev: device, entered
 *
 * Context: process, with its own memory.
 * Return: the address space with one reference, to be shut down and put; or an
 * error: -ENOMEM; -ENOSPC without a free ASID; -EIO when the device is dead.
 */
struct gsvm_vm *gsvm_vm_create(struct gsvm_device *gdev)
{
	struct gsvm_vm *vm = gsvm_vm_alloc(gdev);
	int ret;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->mirror = gsvm_mirror_create(vm);
	if (IS_ERR(vm->mirror)) {
		ret = PTR_ERR(vm->mirror);
		vm->mirror = NULL;
		goto err_free;
	}
	/* Reserved, but nobody finds it before it is complete. */
	ret = xa_alloc(&gdev->vms, &vm->asid, XA_ZERO_ENTRY,
		       XA_LIMIT(0, gdev->limits.num_asids - 1), GFP_KERNEL);
	if (ret) {
		ret = ret == -EBUSY ? -ENOSPC : ret;
		goto err_mirror;
	}
	ret = gsvm_vm_set_root(vm, GSVM_CTX_VALID | gsvm_pt_root(&vm->mirror->pt));
	if (ret)
		goto err_asid;
	xa_store(&gdev->vms, vm->asid, vm, GFP_KERNEL);
	xa_lock(&gdev->vms);
	hash_add_rcu(gdev->mms, &vm->mm_link, (unsigned long)vm->mm);
	xa_unlock(&gdev->vms);
	return vm;

err_asid:
	WRITE_ONCE(gdev->ctx[vm->asid].root, 0);
	xa_erase(&gdev->vms, vm->asid);
err_mirror:
	gsvm_mirror_teardown(vm->mirror);
err_free:
	gsvm_vm_free(vm);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_vm_create);

/**
 * gsvm_vm_shutdown() - take the process from the device
 * @vm: address space; a second call waits for the first and does nothing
 *
 * Context: process, sleeps; not in a notifier. The device may be gone already.
 */
void gsvm_vm_shutdown(struct gsvm_vm *vm)
{
	mutex_lock(&vm->shutdown_lock);
	if (!vm->down) {
		mutex_lock(&vm->queue_lock);
		vm->dead = true;
		mutex_unlock(&vm->queue_lock);
		gsvm_queue_kill_vm(vm, DRM_GSVM_ERROR_DEVICE);
		/* An error means that the device is cut off from all memory. */
		gsvm_vm_set_root(vm, 0);
		gsvm_mirror_teardown(vm->mirror);
		xa_lock(&vm->gdev->vms);
		__xa_erase(&vm->gdev->vms, vm->asid);
		hash_del_rcu(&vm->mm_link);
		xa_unlock(&vm->gdev->vms);
		vm->down = true;
		gsvm_vm_event(vm);
	}
	mutex_unlock(&vm->shutdown_lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_vm_shutdown);

/**
 * gsvm_vm_get() - take another reference
 * @vm: address space that the caller has one of
 *
 * Return: @vm.
 */
struct gsvm_vm *gsvm_vm_get(struct gsvm_vm *vm)
{
	kref_get(&vm->ref);
	return vm;
}

/**
 * gsvm_vm_get_unless_zero() - take a reference if there is still one
 * @vm: address space that cannot be freed at this moment
 *
 * Return: @vm or NULL.
 */
struct gsvm_vm *gsvm_vm_get_unless_zero(struct gsvm_vm *vm)
{
	return kref_get_unless_zero(&vm->ref) ? vm : NULL;
}

/**
 * gsvm_vm_lookup_asid() - the live address space that has an ASID
 * @gdev: device
 * @asid: as the device says, not trusted
 *
 * Return: the address space with a reference, or NULL.
 */
struct gsvm_vm *gsvm_vm_lookup_asid(struct gsvm_device *gdev, u32 asid)
{
	struct gsvm_vm *vm;

	xa_lock(&gdev->vms);
	vm = xa_load(&gdev->vms, asid);
	if (vm)
		vm = gsvm_vm_get_unless_zero(vm);
	xa_unlock(&gdev->vms);
	return vm;
}

/**
 * gsvm_vm_lookup_mm() - the live address space that mirrors a process
 * @gdev: device
 * @mm: process; compared only
 *
 * Return: the address space with a reference, the first one if there are
 * several; or NULL. A CPU's access to a page in VRAM asks: no lock is taken.
 */
struct gsvm_vm *gsvm_vm_lookup_mm(struct gsvm_device *gdev, const struct mm_struct *mm)
{
	struct gsvm_vm *vm, *found = NULL;

	rcu_read_lock();
	hash_for_each_possible_rcu(gdev->mms, vm, mm_link, (unsigned long)mm) {
		if (vm->mm != mm)
			continue;
		found = gsvm_vm_get_unless_zero(vm);
		if (found)
			break;
	}
	rcu_read_unlock();
	return found;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_vm_lookup_mm);

/**
 * gsvm_vm_age_all() - tell VRAM what of it the device has used
 * @gdev: device
 */
void gsvm_vm_age_all(struct gsvm_device *gdev)
{
	u32 asid;

	for (asid = 0; asid < gdev->limits.num_asids; asid++) {
		struct gsvm_vm *vm = gsvm_vm_lookup_asid(gdev, asid);

		if (!vm)
			continue;
		gsvm_mirror_age(vm->mirror);
		gsvm_vm_put(vm);
	}
}

/**
 * gsvm_vm_put() - give a reference back
 * @vm: address space
 *
 * Context: any that can queue work; also in MMU notifiers.
 */
void gsvm_vm_put(struct gsvm_vm *vm)
{
	kref_put(&vm->ref, gsvm_vm_release);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_vm_put);

/**
 * gsvm_vm_event() - something a waiter may wait for has happened
 * @vm: address space
 */
void gsvm_vm_event(struct gsvm_vm *vm)
{
	atomic64_inc(&vm->event_seq);
	wake_up_all(&vm->event_wq);
}
