// SPDX-License-Identifier: MIT
/*
 * DOC: where memory is
 *
 * Moves memory of the process to a GPU's VRAM and back, asks where it is, and
 * says when faults move it. What is moved, and what is left alone, is the
 * driver's to decide: this file turns bytes into pages, and long ranges into
 * calls of a length that the driver takes.
 */
#include <errno.h>

#include "private.h"

_Static_assert((int)GSVM_MIGRATE_NEVER == DRM_GSVM_MIGRATE_NEVER &&
	       (int)GSVM_MIGRATE_FIRST == DRM_GSVM_MIGRATE_FIRST &&
	       (int)GSVM_MIGRATE_SECOND == DRM_GSVM_MIGRATE_SECOND, "policies are the driver's");
_Static_assert((int)GSVM_REGION_SYSTEM == DRM_GSVM_REGION_SYSTEM &&
	       (int)GSVM_REGION_VRAM == DRM_GSVM_REGION_VRAM, "regions are the driver's");
_Static_assert(GSVM_PAGE_WHERE == DRM_GSVM_RESIDENCY_WHERE &&
	       GSVM_PAGE_ABSENT == DRM_GSVM_RESIDENCY_ABSENT &&
	       GSVM_PAGE_SYSTEM == DRM_GSVM_RESIDENCY_SYSTEM &&
	       GSVM_PAGE_VRAM == DRM_GSVM_RESIDENCY_VRAM &&
	       GSVM_PAGE_MOVING == DRM_GSVM_RESIDENCY_MOVING &&
	       GSVM_PAGE_WRITE == DRM_GSVM_RESIDENCY_WRITE &&
	       GSVM_PAGE_HUGE == DRM_GSVM_RESIDENCY_HUGE &&
	       GSVM_PAGE_GPU(1u << DRM_GSVM_RESIDENCY_GPU_SHIFT) == 1,
	       "residency words are the driver's");

/* DRM_IOCTL_GSVM_RESIDENCY takes no more at once. */
#define RESIDENCY_MAX	(1ull << 30)

/* Whole pages around the bytes; false: there are no such bytes. */
static bool whole_pages(const void *start, size_t bytes, uint64_t *first, uint64_t *length)
{
	uint64_t begin = (uintptr_t)start, end;

	if (!bytes || __builtin_add_overflow(begin, bytes, &end) || end > -(uint64_t)GSVM_PAGE)
		return false;
	*first = begin & -(uint64_t)GSVM_PAGE;
	*length = ((end + GSVM_PAGE - 1) & -(uint64_t)GSVM_PAGE) - *first;
	return true;
}

gsvm_public int gsvm_vm_set_migration(struct gsvm_vm *vm, enum gsvm_migration when)
{
	struct drm_gsvm_vm_set arg = {
		.param = DRM_GSVM_VM_PARAM_MIGRATE,
		.value = (uint64_t)when,
	};

	if (!vm || (unsigned int)when > GSVM_MIGRATE_SECOND)
		return -EINVAL;
	if (!gsvm_vm_owned(vm))
		return -EPERM;
	arg.vm_id = vm->id;
	return gsvm_device_ioctl(vm->device, DRM_IOCTL_GSVM_VM_SET, &arg);
}

gsvm_public int gsvm_vm_prefetch(struct gsvm_vm *vm, const void *start, size_t bytes,
				 enum gsvm_region region, struct gsvm_signal *signal,
				 uint64_t *moved)
{
	struct drm_gsvm_prefetch arg = { .region = (uint32_t)region };
	uint64_t first, length;
	int ret;

	if (!vm || (unsigned int)region > GSVM_REGION_VRAM ||
	    (uintptr_t)signal % GSVM_SIGNAL_SIZE || (signal && moved) ||
	    !whole_pages(start, bytes, &first, &length))
		return -EINVAL;
	if (!gsvm_vm_owned(vm))
		return -EPERM;
	arg.vm_id = vm->id;
	arg.start = first;
	arg.length = length;
	arg.signal = (uintptr_t)signal;
	if (signal)
		arg.flags = DRM_GSVM_PREFETCH_ASYNC;
	ret = gsvm_device_ioctl_once(vm->device, DRM_IOCTL_GSVM_PREFETCH, &arg);
	if (!ret && moved)
		*moved = arg.moved;
	return ret;
}

gsvm_public int gsvm_vm_residency(struct gsvm_vm *vm, const void *start, size_t bytes,
				  uint32_t *pages)
{
	struct drm_gsvm_residency arg = { 0 };
	uint64_t first, length;
	int ret = 0;

	if (!vm || !pages || !whole_pages(start, bytes, &first, &length))
		return -EINVAL;
	if (!gsvm_vm_owned(vm))
		return -EPERM;
	while (!ret && length) {
		arg.vm_id = vm->id;
		arg.start = first;
		arg.length = length < RESIDENCY_MAX ? length : RESIDENCY_MAX;
		arg.pages = (uintptr_t)pages;
		ret = gsvm_device_ioctl_once(vm->device, DRM_IOCTL_GSVM_RESIDENCY, &arg);
		first += arg.length;
		length -= arg.length;
		pages += arg.length / GSVM_PAGE;
	}
	return ret;
}
