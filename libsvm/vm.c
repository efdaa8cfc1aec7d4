// SPDX-License-Identifier: MIT
/*
 * DOC: address spaces
 *
 * A VM mirrors the memory of the process that makes it, whole. The library
 * holds the handle, the mapping of the doorbell page, and the mark that tells
 * a fork()ed child that this VM is not its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "private.h"

static int owner_init(struct gsvm_vm *vm)
{
	uint32_t *owner = mmap(NULL, GSVM_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (owner == MAP_FAILED)
		return -errno;
	if (madvise(owner, GSVM_PAGE, MADV_WIPEONFORK)) {
		err = errno;
		munmap(owner, GSVM_PAGE);
		return -err;
	}
	*owner = 1;
	vm->owner = owner;
	return 0;
}

gsvm_public int gsvm_vm_create(struct gsvm_device *device, struct gsvm_vm **out)
{
	struct drm_gsvm_vm_create arg = { 0 };
	struct gsvm_vm *vm;
	int ret;

	if (!device || !out)
		return -EINVAL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	ret = owner_init(vm);
	if (ret)
		goto err_free;
	ret = -pthread_mutex_init(&vm->lock, NULL);
	if (ret)
		goto err_owner;
	ret = gsvm_device_ioctl(device, DRM_IOCTL_GSVM_VM_CREATE, &arg);
	if (ret)
		goto err_lock;
	vm->device = device;
	vm->id = arg.vm_id;
	atomic_init(&vm->queues, 0);
	atomic_fetch_add(&device->vms, 1);
	*out = vm;
	return 0;

err_lock:
	pthread_mutex_destroy(&vm->lock);
err_owner:
	munmap(vm->owner, GSVM_PAGE);
err_free:
	free(vm);
	return ret;
}

gsvm_public int gsvm_vm_destroy(struct gsvm_vm *vm)
{
	int ret;

	if (!vm)
		return 0;
	if (atomic_load(&vm->queues))
		return -EBUSY;
	/* In a child the handle is the parent's, and the doorbell was not inherited. */
	if (gsvm_vm_owned(vm)) {
		struct drm_gsvm_vm_destroy arg = { .vm_id = vm->id };

		ret = gsvm_device_ioctl(vm->device, DRM_IOCTL_GSVM_VM_DESTROY, &arg);
		/* A device that is gone took the VM with it. */
		if (ret && ret != -ENODEV)
			return ret;
		if (vm->doorbell)
			vm->device->sys.unmap(vm->device->sys.ctx, vm->doorbell);
	}
	atomic_fetch_sub(&vm->device->vms, 1);
	munmap(vm->owner, GSVM_PAGE);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
	return 0;
}

/* The doorbell page, mapped when the first queue says where it is. */
int gsvm_vm_doorbell(struct gsvm_vm *vm, uint64_t offset, void **page)
{
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	if (!vm->doorbell) {
		vm->doorbell = vm->device->sys.map(vm->device->sys.ctx, vm->device->fd, offset);
		if (!vm->doorbell)
			ret = -errno;
		else
			/*
			 * A child must not ring its parent's queues. Drivers
			 * mark the mapping too, then this fails: no matter.
			 */
			(void)madvise(vm->doorbell, GSVM_PAGE, MADV_DONTFORK);
	}
	*page = vm->doorbell;
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

gsvm_public uint32_t gsvm_vm_handle(const struct gsvm_vm *vm)
{
	return vm->id;
}

gsvm_public int gsvm_vm_query(struct gsvm_vm *vm, struct gsvm_vm_stats *stats)
{
	struct drm_gsvm_vm_query arg = { 0 };
	struct gsvm_vm_stats known;
	int ret;

	if (!vm || !stats)
		return -EINVAL;
	if (!gsvm_vm_owned(vm))
		return -EPERM;
	arg.vm_id = vm->id;
	ret = gsvm_device_ioctl(vm->device, DRM_IOCTL_GSVM_VM_QUERY, &arg);
	if (ret)
		return ret;
	known = (struct gsvm_vm_stats){
		.size = sizeof(known),
		.faults = arg.faults,
		.faults_failed = arg.faults_failed,
		.fault_services = arg.fault_services,
		.fault_retries = arg.fault_retries,
		.fault_ns = arg.fault_ns,
		.pages_mapped = arg.pages_mapped,
		.pages_now = arg.pages_now,
		.huge_mapped = arg.huge_mapped,
		.invalidations = arg.invalidations,
		.pages_invalidated = arg.pages_invalidated,
		.pages_dirtied = arg.pages_dirtied,
		.metadata_bytes = arg.metadata_bytes,
		.bytes_migrated = arg.bytes_migrated,
		.pages_to_vram = arg.pages_to_vram,
		.pages_to_system = arg.pages_to_system,
		.bounces = arg.bounces,
	};
	return gsvm_copy_out(stats, stats->size, &known, sizeof(known));
}
