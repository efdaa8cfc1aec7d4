/* SPDX-License-Identifier: MIT */
/* A GPU, a VM, a queue and the test programs, as most tests want them. */
#ifndef VM_H
#define VM_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gsvm.h>

#include "../tap.h"
#include "kernels.h"

#define SECOND 1000000000ll
#define LONG (60 * SECOND)	/* a test that waits so long has failed */

struct gpu {
	struct gsvm_device *device;
	struct gsvm_vm *vm;
	struct gsvm_queue *queue;
	struct gsvm_program *program;
};

__attribute__((unused))
static bool gpu_open(struct gpu *gpu, const struct gsvm_queue_options *options)
{
	char path[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	int ret;

	memset(gpu, 0, sizeof(*gpu));
	if (n < 0)
		abort();
	path[n] = 0;
	strcpy(strrchr(path, '/'), "/kernels.gpu");
	ret = gsvm_device_open(NULL, &gpu->device);
	if (!ret)
		ret = gsvm_vm_create(gpu->device, &gpu->vm);
	if (!ret)
		ret = gsvm_queue_create(gpu->vm, options, &gpu->queue);
	if (!ret)
		ret = gsvm_program_load(path, &gpu->program);
	return is(ret, 0, "GPU, VM, queue and program");
}

__attribute__((unused))
static void gpu_close(struct gpu *gpu)
{
	is(gsvm_queue_destroy(gpu->queue), 0, "destroy the queue");
	gsvm_program_destroy(gpu->program);
	is(gsvm_vm_destroy(gpu->vm), 0, "destroy the VM");
	is(gsvm_device_close(gpu->device), 0, "close the GPU");
}

__attribute__((unused))
static int dispatch(struct gpu *gpu, const char *name, const struct gsvm_grid *grid,
		    const void *arg, struct gsvm_signal *signal)
{
	const struct gsvm_kernel *kernel;
	int ret = gsvm_program_kernel(gpu->program, name, &kernel);

	return ret ? ret : gsvm_queue_dispatch(gpu->queue, kernel, grid, arg, signal, 0);
}

#endif
