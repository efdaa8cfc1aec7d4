// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Files
 *
 * An open file owns VMs and queues and knows them by handles, which start at 1
 * and end with the file at the latest.
 *
 * &gsvm_file.lock makes creation and destruction of one file's objects one
 * after the other, so that a queue cannot be made for a VM that is on its way
 * out. Look-ups do not take it: they get a reference under the table's xa_lock
 * and then use an object whose handle may be gone; the object says so itself.
 *
 * Every look-up on behalf of a user checks that the caller's memory is the one
 * the VM mirrors, because a file can be inherited or sent to another process.
 * Only destruction does without.
 */

#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>

#include "gsvm_device.h"
#include "gsvm_doorbell.h"
#include "gsvm_file.h"
#include "gsvm_queue.h"
#include "gsvm_vm.h"

/**
 * struct gsvm_file_vm - what a VM handle stands for
 * @vm: the VM, referenced
 * @doorbell: its doorbell page, referenced
 */
struct gsvm_file_vm {
	struct gsvm_vm *vm;
	struct gsvm_doorbell *doorbell;
};

/**
 * struct gsvm_file - an open file
 * @gdev: the GPU
 * @lock: held across creation and destruction of VMs and queues
 * @vms: handle to &gsvm_file_vm; changed under @lock and xa_lock
 * @queues: handle to &gsvm_queue, with a reference; changed like @vms
 */
struct gsvm_file {
	struct gsvm_device *gdev;
	struct mutex lock;	/* creation and destruction */
	struct xarray vms;
	struct xarray queues;
};

/**
 * gsvm_file_open - a file is opened
 * @drm: the GPU
 * @file: the file
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_file_open(struct drm_device *drm, struct drm_file *file)
{
	struct gsvm_file *gfile;

	gfile = kzalloc_obj(*gfile, GFP_KERNEL_ACCOUNT);
	if (!gfile)
		return -ENOMEM;

	gfile->gdev = to_gsvm_device(drm);
	mutex_init(&gfile->lock);
	xa_init_flags(&gfile->vms, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&gfile->queues, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	file->driver_priv = gfile;
	return 0;
}

/* ---- Queues -------------------------------------------------------------- */

static void gsvm_file_queue_end_locked(struct gsvm_file *gfile, u32 queue_id)
{
	struct gsvm_queue *queue;

	lockdep_assert_held(&gfile->lock);

	queue = xa_erase(&gfile->queues, queue_id);
	gsvm_queue_destroy(queue);
	gsvm_queue_put(queue);
}

/**
 * gsvm_file_queue - look a queue up for its user
 * @gfile: the file
 * @queue_id: handle
 *
 * Return: the queue with a reference, or -ENOENT, or -EPERM when the caller's
 * memory is not the one its VM mirrors.
 */
struct gsvm_queue *gsvm_file_queue(struct gsvm_file *gfile, u32 queue_id)
{
	struct gsvm_queue *queue;

	xa_lock(&gfile->queues);
	queue = xa_load(&gfile->queues, queue_id);
	if (!queue)
		queue = ERR_PTR(-ENOENT);
	else if (gsvm_queue_vm(queue)->mm != current->mm)
		queue = ERR_PTR(-EPERM);
	else
		gsvm_queue_get(queue);
	xa_unlock(&gfile->queues);

	return queue;
}

static int gsvm_file_queue_create_locked(struct gsvm_file *gfile, struct gsvm_vm *vm,
					 const struct gsvm_queue_config *config,
					 u32 *queue_id, u32 *slot)
{
	struct gsvm_queue *queue;
	int ret;

	lockdep_assert_held(&gfile->lock);

	queue = gsvm_queue_create(vm, config);
	if (IS_ERR(queue))
		return PTR_ERR(queue);

	*slot = gsvm_queue_doorbell(queue);
	ret = xa_alloc(&gfile->queues, queue_id, queue, xa_limit_32b, GFP_KERNEL);
	if (ret) {
		gsvm_queue_destroy(queue);
		gsvm_queue_put(queue);
	}

	return ret;
}

/**
 * gsvm_file_queue_create - make a queue and a handle for it
 * @gfile: the file
 * @vm_id: its VM
 * @config: validated
 * @queue_id: where the handle goes
 * @slot: where its place in the doorbell page goes
 *
 * Return: 0, -ENOENT or -EPERM like gsvm_file_vm(), or the error of
 * gsvm_queue_create().
 */
int gsvm_file_queue_create(struct gsvm_file *gfile, u32 vm_id,
			   const struct gsvm_queue_config *config, u32 *queue_id, u32 *slot)
{
	struct gsvm_vm *vm;
	int ret;

	mutex_lock(&gfile->lock);
	vm = gsvm_file_vm(gfile, vm_id);
	if (IS_ERR(vm)) {
		ret = PTR_ERR(vm);
		goto out_unlock;
	}

	ret = gsvm_file_queue_create_locked(gfile, vm, config, queue_id, slot);
	gsvm_vm_put(vm);
out_unlock:
	mutex_unlock(&gfile->lock);
	return ret;
}

/**
 * gsvm_file_queue_destroy - destroy a queue by its handle
 * @gfile: the file
 * @queue_id: handle
 *
 * Return: 0 or -ENOENT.
 */
int gsvm_file_queue_destroy(struct gsvm_file *gfile, u32 queue_id)
{
	int ret = 0;

	mutex_lock(&gfile->lock);
	if (xa_load(&gfile->queues, queue_id))
		gsvm_file_queue_end_locked(gfile, queue_id);
	else
		ret = -ENOENT;
	mutex_unlock(&gfile->lock);

	return ret;
}

/* ---- VMs ----------------------------------------------------------------- */

/**
 * gsvm_file_vm - look a VM up for its user
 * @gfile: the file
 * @vm_id: handle
 *
 * Return: the VM with a reference, or -ENOENT, or -EPERM when the caller's
 * memory is not the one it mirrors.
 */
struct gsvm_vm *gsvm_file_vm(struct gsvm_file *gfile, u32 vm_id)
{
	struct gsvm_file_vm *fvm;
	struct gsvm_vm *vm;

	xa_lock(&gfile->vms);
	fvm = xa_load(&gfile->vms, vm_id);
	if (!fvm)
		vm = ERR_PTR(-ENOENT);
	else if (fvm->vm->mm != current->mm)
		vm = ERR_PTR(-EPERM);
	else
		vm = gsvm_vm_get(fvm->vm);
	xa_unlock(&gfile->vms);

	return vm;
}

/**
 * gsvm_file_doorbell - look a VM's doorbell page up
 * @gfile: the file
 * @vm_id: handle of the VM
 *
 * Return: the doorbell with a reference, or NULL.
 */
struct gsvm_doorbell *gsvm_file_doorbell(struct gsvm_file *gfile, u32 vm_id)
{
	struct gsvm_doorbell *db = NULL;
	struct gsvm_file_vm *fvm;

	xa_lock(&gfile->vms);
	fvm = xa_load(&gfile->vms, vm_id);
	if (fvm)
		db = gsvm_doorbell_get(fvm->doorbell);
	xa_unlock(&gfile->vms);

	return db;
}

/* The order matters: nobody reaches the ASID's doorbells when it becomes free. */
static void gsvm_file_vm_end(struct gsvm_file_vm *fvm)
{
	gsvm_doorbell_revoke(fvm->doorbell);
	gsvm_vm_shutdown(fvm->vm);
	gsvm_vm_event(fvm->vm);

	gsvm_doorbell_put(fvm->doorbell);
	gsvm_vm_put(fvm->vm);
	kfree(fvm);
}

static struct gsvm_file_vm *gsvm_file_vm_make(struct gsvm_device *gdev)
{
	struct gsvm_file_vm *fvm;
	int ret;

	fvm = kzalloc_obj(*fvm, GFP_KERNEL_ACCOUNT);
	if (!fvm)
		return ERR_PTR(-ENOMEM);

	fvm->vm = gsvm_vm_create(gdev);
	if (IS_ERR(fvm->vm)) {
		ret = PTR_ERR(fvm->vm);
		goto err_free;
	}

	fvm->doorbell = gsvm_doorbell_create(fvm->vm);
	if (IS_ERR(fvm->doorbell)) {
		ret = PTR_ERR(fvm->doorbell);
		goto err_vm;
	}

	return fvm;

err_vm:
	gsvm_vm_shutdown(fvm->vm);
	gsvm_vm_put(fvm->vm);
err_free:
	kfree(fvm);
	return ERR_PTR(ret);
}

/**
 * gsvm_file_vm_create - make a VM that mirrors the caller's memory
 * @gfile: the file
 * @vm_id: where the handle goes
 *
 * Context: process context inside drm_dev_enter().
 *
 * Return: 0, -ENOMEM, or the error of gsvm_vm_create().
 */
int gsvm_file_vm_create(struct gsvm_file *gfile, u32 *vm_id)
{
	struct gsvm_file_vm *fvm;
	int ret;

	mutex_lock(&gfile->lock);
	fvm = gsvm_file_vm_make(gfile->gdev);
	if (IS_ERR(fvm)) {
		ret = PTR_ERR(fvm);
		goto out_unlock;
	}

	ret = xa_alloc(&gfile->vms, vm_id, fvm, xa_limit_32b, GFP_KERNEL);
	if (ret)
		gsvm_file_vm_end(fvm);
out_unlock:
	mutex_unlock(&gfile->lock);
	return ret;
}

/**
 * gsvm_file_vm_destroy - destroy a VM with all its queues
 * @gfile: the file
 * @vm_id: handle
 *
 * Return: 0 or -ENOENT.
 */
int gsvm_file_vm_destroy(struct gsvm_file *gfile, u32 vm_id)
{
	struct gsvm_file_vm *fvm;
	struct gsvm_queue *queue;
	unsigned long id;
	int ret = -ENOENT;

	mutex_lock(&gfile->lock);
	fvm = xa_erase(&gfile->vms, vm_id);
	if (fvm) {
		/* All in one batch; what follows finds them stopped. */
		gsvm_queue_kill_vm(fvm->vm, DRM_GSVM_ERROR_NONE);
		xa_for_each(&gfile->queues, id, queue) {
			if (gsvm_queue_vm(queue) == fvm->vm)
				gsvm_file_queue_end_locked(gfile, id);
		}
		gsvm_file_vm_end(fvm);
		ret = 0;
	}
	mutex_unlock(&gfile->lock);

	return ret;
}

/**
 * gsvm_file_close - the last user of a file has gone
 * @drm: the GPU, unplugged perhaps
 * @file: the file
 */
void gsvm_file_close(struct drm_device *drm, struct drm_file *file)
{
	struct gsvm_file *gfile = file->driver_priv;
	struct gsvm_file_vm *fvm;
	struct gsvm_queue *queue;
	unsigned long id;

	/* VMs first: their queues are stopped in batches, not one by one. */
	mutex_lock(&gfile->lock);
	xa_for_each(&gfile->vms, id, fvm) {
		xa_erase(&gfile->vms, id);
		gsvm_file_vm_end(fvm);
	}
	xa_for_each(&gfile->queues, id, queue)
		gsvm_file_queue_end_locked(gfile, id);
	mutex_unlock(&gfile->lock);

	xa_destroy(&gfile->vms);
	xa_destroy(&gfile->queues);
	mutex_destroy(&gfile->lock);
	kfree(gfile);
}

/**
 * gsvm_file_show_fdinfo - print what a file uses
 * @p: where to
 * @file: the file
 *
 * All numbers are sums over the file's VMs that exist now.
 */
void gsvm_file_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	u64 faults = 0, failed = 0, ns = 0, mapped = 0, now = 0, inval = 0, meta = 0;
	struct gsvm_file *gfile = file->driver_priv;
	unsigned int vms = 0, queues = 0;
	struct gsvm_file_vm *fvm;
	struct gsvm_queue *queue;
	unsigned long id;

	xa_lock(&gfile->vms);
	xa_for_each(&gfile->vms, id, fvm) {
		struct gsvm_vm_stats *stats = &fvm->vm->stats;

		vms++;
		faults += atomic64_read(&stats->faults);
		failed += atomic64_read(&stats->faults_failed);
		ns += atomic64_read(&stats->fault_ns);
		mapped += atomic64_read(&stats->pages_mapped);
		now += atomic64_read(&stats->pages_now);
		inval += atomic64_read(&stats->invalidations);
		meta += atomic64_read(&stats->metadata_bytes);
	}
	xa_unlock(&gfile->vms);

	xa_for_each(&gfile->queues, id, queue)
		queues++;

	drm_printf(p, "gsvm-vms:\t%u\n", vms);
	drm_printf(p, "gsvm-queues:\t%u\n", queues);
	drm_printf(p, "gsvm-faults:\t%llu\n", faults);
	drm_printf(p, "gsvm-faults-failed:\t%llu\n", failed);
	drm_printf(p, "gsvm-fault-time:\t%llu ns\n", ns);
	drm_printf(p, "gsvm-pages-mapped:\t%llu\n", mapped);
	drm_printf(p, "gsvm-mirrored:\t%llu KiB\n", now * 4);
	drm_printf(p, "gsvm-invalidations:\t%llu\n", inval);
	drm_printf(p, "gsvm-metadata:\t%llu KiB\n", meta / SZ_1K);
}
