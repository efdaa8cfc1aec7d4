// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Ioctls
 *
 * Each function here checks every field of its arguments, calls the unit that
 * does the work, and fills the results in; nothing else. The DRM core has
 * copied the arguments, padded with zeroes or cut to the size this driver
 * knows, and copies them back.
 *
 * All but WAIT, which sleeps for as long as its caller likes, run inside
 * drm_dev_enter(), so unplug waits for them.
 */

#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/gsvm_drm.h>

#include "gsvm_device.h"
#include "gsvm_doorbell.h"
#include "gsvm_file.h"
#include "gsvm_hw.h"
#include "gsvm_ioctl.h"
#include "gsvm_prefetch.h"
#include "gsvm_queue.h"
#include "gsvm_residency.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_chunk.h"
#include "gsvm_wait.h"

#define GSVM_MAX_RING_PACKETS	65536

/* A structure that grows by accident breaks every program that exists. */
static_assert(sizeof(struct drm_gsvm_device_query) == 16);
static_assert(sizeof(struct drm_gsvm_vm_create) == 8);
static_assert(sizeof(struct drm_gsvm_vm_destroy) == 8);
static_assert(sizeof(struct drm_gsvm_vm_query) == 136);
static_assert(sizeof(struct drm_gsvm_queue_create) == 56);
static_assert(sizeof(struct drm_gsvm_queue_destroy) == 8);
static_assert(sizeof(struct drm_gsvm_queue_query) == 64);
static_assert(sizeof(struct drm_gsvm_wait) == 48);
static_assert(sizeof(struct drm_gsvm_prefetch) == 48);
static_assert(sizeof(struct drm_gsvm_residency) == 32);
static_assert(sizeof(struct drm_gsvm_vm_set) == 16);

static int gsvm_ioctl_timestamp(struct gsvm_device *gdev, u64 *value)
{
	if (gsvm_device_is_wedged(gdev))
		return -EIO;

	*value = gsvm_hw_read64(gdev, GSVM_REG_TIME);
	return *value == U64_MAX ? -EIO : 0;
}

static int gsvm_ioctl_param(struct gsvm_device *gdev, u32 param, u64 *value)
{
	const struct gsvm_limits *limits = &gdev->limits;

	switch (param) {
	case DRM_GSVM_PARAM_HW_VERSION:
		*value = limits->hw_version;
		return 0;
	case DRM_GSVM_PARAM_VRAM_SIZE:
		*value = limits->vram_size;
		return 0;
	case DRM_GSVM_PARAM_VA_BITS:
		*value = limits->va_bits;
		return 0;
	case DRM_GSVM_PARAM_NUM_CORES:
		*value = limits->num_cores;
		return 0;
	case DRM_GSVM_PARAM_MAX_HARTS:
		*value = limits->max_harts;
		return 0;
	case DRM_GSVM_PARAM_MAX_GROUP:
		*value = limits->max_group;
		return 0;
	case DRM_GSVM_PARAM_GROUP_MEM:
		*value = limits->group_mem;
		return 0;
	case DRM_GSVM_PARAM_PRIVATE_MEM:
		*value = limits->private_mem;
		return 0;
	case DRM_GSVM_PARAM_MAX_QUEUES:
		*value = min_t(u32, limits->num_queues, GSVM_DOORBELLS_PER_PAGE);
		return 0;
	case DRM_GSVM_PARAM_QUEUE_FORMATS:
		*value = BIT_ULL(DRM_GSVM_QUEUE_FORMAT_AQL64);
		return 0;
	case DRM_GSVM_PARAM_TIMESTAMP:
		return gsvm_ioctl_timestamp(gdev, value);
	case DRM_GSVM_PARAM_VRAM_FREE:
		*value = gdev->vram ? gsvm_vram_free_bytes(gdev->vram) : 0;
		return 0;
	case DRM_GSVM_PARAM_VRAM_EVICTED:
		*value = gdev->vram ? atomic64_read(&gdev->vram->evicted) : 0;
		return 0;
	case DRM_GSVM_PARAM_GPU_ID:
		*value = gdev->drm.render->index;
		return 0;
	default:
		return -EINVAL;
	}
}

/**
 * gsvm_ioctl_device_query - DRM_IOCTL_GSVM_DEVICE_QUERY
 * @drm: the GPU
 * @data: &struct drm_gsvm_device_query
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENODEV, or -EIO for a clock that is dead.
 */
int gsvm_ioctl_device_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_device_query *args = data;
	int idx, ret;

	if (args->pad)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	ret = gsvm_ioctl_param(to_gsvm_device(drm), args->param, &args->value);
	drm_dev_exit(idx);
	return ret;
}

/**
 * gsvm_ioctl_vm_create - DRM_IOCTL_GSVM_VM_CREATE
 * @drm: the GPU
 * @data: &struct drm_gsvm_vm_create
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENODEV, -EIO, -ENOSPC, -ENOMEM.
 */
int gsvm_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_vm_create *args = data;
	int idx, ret;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	if (gsvm_device_is_wedged(to_gsvm_device(drm)))
		ret = -EIO;
	else
		ret = gsvm_file_vm_create(file->driver_priv, &args->vm_id);
	drm_dev_exit(idx);
	return ret;
}

/**
 * gsvm_ioctl_vm_destroy - DRM_IOCTL_GSVM_VM_DESTROY
 * @drm: the GPU
 * @data: &struct drm_gsvm_vm_destroy
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENOENT, -ENODEV.
 */
int gsvm_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_vm_destroy *args = data;
	int idx, ret;

	if (args->pad)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	ret = gsvm_file_vm_destroy(file->driver_priv, args->vm_id);
	drm_dev_exit(idx);
	return ret;
}

static void gsvm_ioctl_fill_stats(struct drm_gsvm_vm_query *args, struct gsvm_vm_stats *stats)
{
	args->faults = atomic64_read(&stats->faults);
	args->faults_failed = atomic64_read(&stats->faults_failed);
	args->fault_services = atomic64_read(&stats->fault_services);
	args->fault_retries = atomic64_read(&stats->fault_retries);
	args->fault_ns = atomic64_read(&stats->fault_ns);
	args->pages_mapped = atomic64_read(&stats->pages_mapped);
	args->pages_now = atomic64_read(&stats->pages_now);
	args->huge_mapped = atomic64_read(&stats->huge_mapped);
	args->invalidations = atomic64_read(&stats->invalidations);
	args->pages_invalidated = atomic64_read(&stats->pages_invalidated);
	args->pages_dirtied = atomic64_read(&stats->pages_dirtied);
	args->metadata_bytes = atomic64_read(&stats->metadata_bytes);
	args->bytes_migrated = atomic64_read(&stats->bytes_migrated);
	args->pages_to_vram = atomic64_read(&stats->pages_to_vram);
	args->pages_to_system = atomic64_read(&stats->pages_to_system);
	args->bounces = atomic64_read(&stats->bounces);
}

/**
 * gsvm_ioctl_vm_query - DRM_IOCTL_GSVM_VM_QUERY
 * @drm: the GPU
 * @data: &struct drm_gsvm_vm_query
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENOENT, -EPERM, -ENODEV.
 */
int gsvm_ioctl_vm_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_vm_query *args = data;
	struct gsvm_vm *vm;
	int idx;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	vm = gsvm_file_vm(file->driver_priv, args->vm_id);
	if (!IS_ERR(vm)) {
		gsvm_ioctl_fill_stats(args, &vm->stats);
		gsvm_vm_put(vm);
	}
	drm_dev_exit(idx);
	return PTR_ERR_OR_ZERO(vm);
}

/* Is [addr, addr + size) memory that a process and the device can both have? */
static bool gsvm_ioctl_addr_ok(u64 addr, u64 size)
{
	const u64 end = min_t(u64, TASK_SIZE, GSVM_PRIVATE_BASE);

	return addr && size <= end && addr <= end - size;
}

static int gsvm_ioctl_queue_config(const struct drm_gsvm_queue_create *args,
				   struct gsvm_queue_config *config)
{
	if (args->flags || args->pad || args->format != DRM_GSVM_QUEUE_FORMAT_AQL64)
		return -EINVAL;
	if (args->ring_packets < 2 || args->ring_packets > GSVM_MAX_RING_PACKETS ||
	    !is_power_of_2(args->ring_packets))
		return -EINVAL;
	if (!IS_ALIGNED(args->ring, GSVM_PACKET_SIZE) ||
	    !gsvm_ioctl_addr_ok(args->ring, (u64)args->ring_packets * GSVM_PACKET_SIZE))
		return -EINVAL;
	if (!IS_ALIGNED(args->read_index, sizeof(u64)) ||
	    !gsvm_ioctl_addr_ok(args->read_index, sizeof(u64)))
		return -EINVAL;

	config->ring = args->ring;
	config->ring_log2 = ilog2(args->ring_packets);
	config->read_index = args->read_index;
	config->hart_limit = args->hart_limit;
	return 0;
}

/**
 * gsvm_ioctl_queue_create - DRM_IOCTL_GSVM_QUEUE_CREATE
 * @drm: the GPU
 * @data: &struct drm_gsvm_queue_create
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENOENT, -EPERM, -ENOSPC, -ENOMEM, -EIO, -ENODEV.
 */
int gsvm_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_queue_create *args = data;
	struct gsvm_queue_config config;
	u32 queue_id, slot;
	int idx, ret;

	ret = gsvm_ioctl_queue_config(args, &config);
	if (ret)
		return ret;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	ret = gsvm_file_queue_create(file->driver_priv, args->vm_id, &config, &queue_id, &slot);
	drm_dev_exit(idx);
	if (ret)
		return ret;

	args->queue_id = queue_id;
	args->doorbell_mmap = gsvm_doorbell_offset(args->vm_id);
	args->doorbell_offset = slot * sizeof(u64);
	return 0;
}

/**
 * gsvm_ioctl_queue_destroy - DRM_IOCTL_GSVM_QUEUE_DESTROY
 * @drm: the GPU
 * @data: &struct drm_gsvm_queue_destroy
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENOENT, -ENODEV.
 */
int gsvm_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_queue_destroy *args = data;
	int idx, ret;

	if (args->pad)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	ret = gsvm_file_queue_destroy(file->driver_priv, args->queue_id);
	drm_dev_exit(idx);
	return ret;
}

/**
 * gsvm_ioctl_queue_query - DRM_IOCTL_GSVM_QUEUE_QUERY
 * @drm: the GPU
 * @data: &struct drm_gsvm_queue_query
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENOENT, -EPERM, -ENODEV.
 */
int gsvm_ioctl_queue_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_queue_query *args = data;
	struct gsvm_queue *queue;
	int idx;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	queue = gsvm_file_queue(file->driver_priv, args->queue_id);
	if (!IS_ERR(queue)) {
		gsvm_queue_read_record(queue, args);
		gsvm_queue_put(queue);
	}
	drm_dev_exit(idx);
	return PTR_ERR_OR_ZERO(queue);
}

static int gsvm_ioctl_wait_vm(struct gsvm_file *gfile, struct gsvm_vm *vm,
			      struct drm_gsvm_wait *args)
{
	struct gsvm_queue *queue = NULL;
	int ret;

	if (args->queue_id) {
		queue = gsvm_file_queue(gfile, args->queue_id);
		if (IS_ERR(queue))
			return PTR_ERR(queue);
	}

	/* The queue of another VM would die without waking this one's sleepers. */
	if (queue && gsvm_queue_vm(queue) != vm)
		ret = -EINVAL;
	else
		ret = gsvm_wait(vm, queue, args);

	if (queue)
		gsvm_queue_put(queue);
	return ret;
}

/**
 * gsvm_ioctl_wait - DRM_IOCTL_GSVM_WAIT
 * @drm: the GPU
 * @data: &struct drm_gsvm_wait
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOENT, -EPERM, -ETIME, -EIO, -ENODEV,
 * -ERESTARTSYS.
 */
int gsvm_ioctl_wait(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_wait *args = data;
	struct gsvm_vm *vm;
	int ret;

	if (args->flags || args->op > DRM_GSVM_WAIT_GE ||
	    !IS_ALIGNED(args->addr, sizeof(struct gsvm_signal)))
		return -EINVAL;

	vm = gsvm_file_vm(file->driver_priv, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);

	ret = gsvm_ioctl_wait_vm(file->driver_priv, vm, args);
	gsvm_vm_put(vm);
	return ret;
}

/* Whole pages of memory that a process and the device can both have. */
static bool gsvm_ioctl_range_ok(u64 start, u64 length)
{
	return length && IS_ALIGNED(start | length, PAGE_SIZE) && gsvm_ioctl_addr_ok(start, length);
}

/**
 * gsvm_ioctl_prefetch - DRM_IOCTL_GSVM_PREFETCH
 * @drm: the GPU
 * @data: &struct drm_gsvm_prefetch
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOENT, -EPERM, -ENOMEM, -EIO, -ENODEV, -EINTR.
 */
int gsvm_ioctl_prefetch(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_prefetch *args = data;
	struct gsvm_vm *vm;
	int idx, ret;

	if (args->flags & ~DRM_GSVM_PREFETCH_ASYNC || args->pad ||
	    args->region > DRM_GSVM_REGION_VRAM || !gsvm_ioctl_range_ok(args->start, args->length))
		return -EINVAL;
	if (args->signal && (!(args->flags & DRM_GSVM_PREFETCH_ASYNC) ||
			     !IS_ALIGNED(args->signal, sizeof(struct gsvm_signal)) ||
			     !gsvm_ioctl_addr_ok(args->signal, sizeof(struct gsvm_signal))))
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	vm = gsvm_file_vm(file->driver_priv, args->vm_id);
	if (IS_ERR(vm)) {
		ret = PTR_ERR(vm);
	} else {
		ret = gsvm_prefetch(vm, args);
		gsvm_vm_put(vm);
	}
	drm_dev_exit(idx);
	return ret;
}

/**
 * gsvm_ioctl_residency - DRM_IOCTL_GSVM_RESIDENCY
 * @drm: the GPU
 * @data: &struct drm_gsvm_residency
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOENT, -EPERM, -ENOMEM, -EAGAIN, -ENODEV, -EINTR.
 */
int gsvm_ioctl_residency(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_residency *args = data;
	struct gsvm_vm *vm;
	int idx, ret;

	if (args->flags || !gsvm_ioctl_range_ok(args->start, args->length) ||
	    args->length > SZ_1G || !IS_ALIGNED(args->pages, sizeof(u32)))
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	vm = gsvm_file_vm(file->driver_priv, args->vm_id);
	if (IS_ERR(vm)) {
		ret = PTR_ERR(vm);
	} else {
		ret = gsvm_residency(vm, args->start, args->length, u64_to_user_ptr(args->pages));
		gsvm_vm_put(vm);
	}
	drm_dev_exit(idx);
	return ret;
}

/**
 * gsvm_ioctl_vm_set - DRM_IOCTL_GSVM_VM_SET
 * @drm: the GPU
 * @data: &struct drm_gsvm_vm_set
 * @file: the caller's file
 *
 * Return: 0, -EINVAL, -ENOENT, -EPERM, -ENODEV.
 */
int gsvm_ioctl_vm_set(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gsvm_vm_set *args = data;
	struct gsvm_vm *vm;
	int idx;

	if (args->param != DRM_GSVM_VM_PARAM_MIGRATE || args->value > DRM_GSVM_MIGRATE_SECOND)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;

	vm = gsvm_file_vm(file->driver_priv, args->vm_id);
	if (!IS_ERR(vm)) {
		WRITE_ONCE(vm->migrate, args->value);
		gsvm_vm_put(vm);
	}
	drm_dev_exit(idx);
	return PTR_ERR_OR_ZERO(vm);
}
