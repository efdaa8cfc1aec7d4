// SPDX-License-Identifier: MIT
/*
 * Every ioctl with every bad argument, one at a time: all others are good, and
 * each subtest shows that with the argument put right the call works. Here
 * devices and VMs; queues and waits are in gsvm_queue_invalid.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define CALL(fd, NAME, args, err) \
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_##NAME, args, err, #NAME)

/* ---- DEVICE_QUERY --------------------------------------------------------------- */

static void query_param(void)
{
	int fd = gpu_open(0);
	struct drm_gsvm_device_query args = {
		.param = DRM_GSVM_PARAM_GPU_ID + 1, .value = 77,
	};

	CALL(fd, DEVICE_QUERY, &args, EINVAL);
	gsvm_assert_eq(args.value, 77, "value after a refused query");
	args.param = DRM_GSVM_PARAM_GPU_ID;
	CALL(fd, DEVICE_QUERY, &args, 0);
	args.param = ~0u;
	CALL(fd, DEVICE_QUERY, &args, EINVAL);
	close(fd);
}

static void query_pad(void)
{
	int fd = gpu_open(0);
	struct drm_gsvm_device_query args = { .param = DRM_GSVM_PARAM_VA_BITS, .pad = 1 };

	CALL(fd, DEVICE_QUERY, &args, EINVAL);
	args.pad = 0;
	CALL(fd, DEVICE_QUERY, &args, 0);
	gsvm_assert_eq(args.value, 48, "bits of an address");
	close(fd);
}

/* What every parameter must be at least. */
static void query_values(void)
{
	static const struct { uint32_t param; uint64_t min, max; } params[] = {
		{ DRM_GSVM_PARAM_HW_VERSION, 0x10000, 0x1ffff },
		{ DRM_GSVM_PARAM_VRAM_SIZE, 1 << 20, 1ull << 40 },
		{ DRM_GSVM_PARAM_VA_BITS, 48, 48 },
		{ DRM_GSVM_PARAM_NUM_CORES, 1, 1024 },
		{ DRM_GSVM_PARAM_MAX_HARTS, 64, 1 << 24 },
		{ DRM_GSVM_PARAM_MAX_GROUP, 64, 65535 },
		{ DRM_GSVM_PARAM_GROUP_MEM, 1024, 1 << 24 },
		{ DRM_GSVM_PARAM_PRIVATE_MEM, 1024, 1 << 30 },
		{ DRM_GSVM_PARAM_MAX_QUEUES, 64, 4096 },
		{ DRM_GSVM_PARAM_QUEUE_FORMATS, 1, 1 },
		{ DRM_GSVM_PARAM_VRAM_FREE, 1 << 12, 1ull << 40 },
		{ DRM_GSVM_PARAM_GPU_ID, 0, 0xffff },
	};
	int fd = gpu_open(0);
	uint64_t value, now;
	size_t i;

	for (i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		value = igt_gsvm_query(fd, params[i].param, 0);
		gsvm_assert(value >= params[i].min && value <= params[i].max,
			    "parameter %u is %llu\n", params[i].param, (unsigned long long)value);
	}
	now = igt_gsvm_query(fd, DRM_GSVM_PARAM_TIMESTAMP, 0);
	gsvm_assert(igt_gsvm_query(fd, DRM_GSVM_PARAM_TIMESTAMP, 0) > now,
		    "the device's clock stands still\n");
	close(fd);
}

/* ---- VM_* ------------------------------------------------------------------------ */

static void vm_create_flags(void)
{
	int fd = gpu_open(0), bit;

	for (bit = 0; bit < 32; bit++) {
		struct drm_gsvm_vm_create args = { .flags = 1u << bit };

		CALL(fd, VM_CREATE, &args, EINVAL);
		gsvm_assert_eq(args.vm_id, 0, "handle after a refused call");
	}
	igt_gsvm_vm_create(fd, 0);
	close(fd);
}

static void vm_destroy_pad(void)
{
	int fd = gpu_open(0);
	struct drm_gsvm_vm_destroy args = { .vm_id = igt_gsvm_vm_create(fd, 0), .pad = 1 };

	CALL(fd, VM_DESTROY, &args, EINVAL);
	args.pad = 0;
	CALL(fd, VM_DESTROY, &args, 0);
	close(fd);
}

static void vm_destroy_unknown(void)
{
	int fd = gpu_open(0);
	uint32_t vm = igt_gsvm_vm_create(fd, 0);

	igt_gsvm_vm_destroy(fd, 0, ENOENT);
	igt_gsvm_vm_destroy(fd, vm + 1, ENOENT);
	igt_gsvm_vm_destroy(fd, ~0u, ENOENT);
	igt_gsvm_vm_destroy(fd, vm, 0);
	igt_gsvm_vm_destroy(fd, vm, ENOENT);
	close(fd);
}

/* Handles belong to the file. */
static void vm_other_file(void)
{
	int fd = gpu_open(0), other = gpu_open(0);
	struct drm_gsvm_vm_query stats;
	uint32_t vm = igt_gsvm_vm_create(fd, 0);

	igt_gsvm_vm_query(other, vm, &stats, ENOENT);
	igt_gsvm_vm_destroy(other, vm, ENOENT);
	igt_gsvm_vm_query(fd, vm, &stats, 0);
	close(other);
	close(fd);
}

static void vm_query_flags(void)
{
	int fd = gpu_open(0);
	struct drm_gsvm_vm_query args = { .vm_id = igt_gsvm_vm_create(fd, 0), .flags = 1 };

	CALL(fd, VM_QUERY, &args, EINVAL);
	args.flags = 1u << 31;
	CALL(fd, VM_QUERY, &args, EINVAL);
	args.flags = 0;
	CALL(fd, VM_QUERY, &args, 0);
	close(fd);
}

static void vm_query_unknown(void)
{
	struct drm_gsvm_vm_query stats;
	int fd = gpu_open(0);
	uint32_t vm = igt_gsvm_vm_create(fd, 0);

	igt_gsvm_vm_query(fd, 0, &stats, ENOENT);
	igt_gsvm_vm_query(fd, vm + 100, &stats, ENOENT);
	igt_gsvm_vm_query(fd, vm, &stats, 0);
	close(fd);
}

/* As many as the device offers, then ENOSPC, then room again. */
static void vm_too_many(void)
{
	uint32_t vm[GSVM_MAX_ASIDS + 1];
	struct drm_gsvm_vm_create args = { 0 };
	int fd = gpu_open(0), n, ret = 0;

	for (n = 0; n <= GSVM_MAX_ASIDS; n++) {
		ret = gsvm_ioctl(fd, DRM_IOCTL_GSVM_VM_CREATE, &args);
		if (ret)
			break;
		vm[n] = args.vm_id;
	}
	gsvm_assert(ret == ENOSPC && n >= 250, "VM %d gave %s\n", n, strerror(ret));
	igt_gsvm_vm_destroy(fd, vm[n / 2], 0);
	igt_gsvm_vm_create(fd, 0);
	close(fd);
	fd = gpu_open(0);
	igt_gsvm_vm_create(fd, 0);
	close(fd);
}

/* ---- the rest --------------------------------------------------------------------------- */

static void unknown_ioctl(void)
{
	int fd = gpu_open(0);
	uint64_t args[32] = { 0 };

	gsvm_ioctl_check(fd, DRM_IOWR(DRM_COMMAND_BASE + DRM_GSVM_VM_SET + 1, args), args, EINVAL,
			 "the ioctl after the last");
	close(fd);
}

/* A newer program's larger structure: zeros beyond ours are fine. */
static void larger_argument(void)
{
	struct { struct drm_gsvm_vm_create args; uint64_t more; } large = { .more = 0 };
	int fd = gpu_open(0);

	gsvm_ioctl_check(fd, DRM_IOWR(DRM_COMMAND_BASE + DRM_GSVM_VM_CREATE, large), &large, 0,
			 "VM_CREATE with a larger structure");
	gsvm_assert(large.args.vm_id, "no handle\n");
	igt_gsvm_vm_destroy(fd, large.args.vm_id, 0);
	close(fd);
}

static void bad_pointer(void)
{
	int fd = gpu_open(0);
	char *p = map_anon(PAGE);

	munmap(p, PAGE);
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_VM_CREATE, p, EFAULT, "VM_CREATE");
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_WAIT, p, EFAULT, "WAIT");
	igt_gsvm_vm_create(fd, 0);
	close(fd);
}

#define T(name, function, text)	{ name, function, text }

static const struct gsvm_subtest tests[] = {
	T("query-param", query_param, "DEVICE_QUERY: a parameter that does not exist"),
	T("query-pad", query_pad, "DEVICE_QUERY: padding"),
	T("query-values", query_values, "DEVICE_QUERY: sane values"),
	T("vm-create-flags", vm_create_flags, "VM_CREATE: every flag"),
	T("vm-destroy-pad", vm_destroy_pad, "VM_DESTROY: padding"),
	T("vm-destroy-unknown", vm_destroy_unknown, "VM_DESTROY: handles nobody has"),
	T("vm-other-file", vm_other_file, "VM handles belong to their file"),
	T("vm-query-flags", vm_query_flags, "VM_QUERY: flags"),
	T("vm-query-unknown", vm_query_unknown, "VM_QUERY: handles nobody has"),
	T("vm-too-many", vm_too_many, "VM_CREATE: ENOSPC behind the last, then room again"),
	T("unknown-ioctl", unknown_ioctl, "an ioctl that does not exist"),
	T("larger-argument", larger_argument, "a structure with more fields, all zero"),
	T("bad-pointer", bad_pointer, "arguments where nothing is mapped"),
};

GSVM_MAIN(tests)
