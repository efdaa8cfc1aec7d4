/* SPDX-License-Identifier: MIT */
/*
 * What all examples need: a GPU to run on, and a clear word when something
 * goes wrong. Everything that is about shared memory is in the examples.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gsvm.h>

struct gpu {
	struct gsvm_device *device;
	struct gsvm_vm *vm;		/* the GPU's view of this process's memory */
	struct gsvm_queue *queue;	/* takes work without system calls */
	struct gsvm_program *program;
};

/* Every function of the library returns 0 or a negative errno. */
static inline void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

/* The program lies beside the executable. */
static inline void load_program(struct gpu *gpu, const char *name)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		check(-errno, "/proc/self/exe");
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	check(gsvm_program_load(path, &gpu->program), path);
}

static inline void open_gpu(struct gpu *gpu, const char *program)
{
	check(gsvm_device_open(NULL, &gpu->device), "no GPU");
	check(gsvm_vm_create(gpu->device, &gpu->vm), "VM");
	check(gsvm_queue_create(gpu->vm, NULL, &gpu->queue), "queue");
	load_program(gpu, program);
}

static inline void close_gpu(struct gpu *gpu)
{
	gsvm_program_destroy(gpu->program);
	check(gsvm_queue_destroy(gpu->queue), "queue");
	check(gsvm_vm_destroy(gpu->vm), "VM");
	check(gsvm_device_close(gpu->device), "device");
}

/* -EIO: the queue died, usually by a wild pointer. The record says which. */
static inline void explain(struct gpu *gpu)
{
	struct gsvm_error error = { .size = sizeof(error) };
	const char *function;
	uint64_t offset;
	char text[256];

	if (gsvm_queue_error(gpu->queue, &error) || !error.code)
		return;
	gsvm_error_describe(&error, text, sizeof(text));
	fprintf(stderr, "GPU: %s\n", text);
	if (!gsvm_program_find(gpu->program, error.pc, &function, &offset))
		fprintf(stderr, "GPU: in %s + 0x%llx\n", function, (unsigned long long)offset);
}

/* Run @items work-items of @kernel with one pointer, wait until all are done. */
static inline void run(struct gpu *gpu, const char *kernel, uint32_t items, void *arg)
{
	struct gsvm_grid grid = { .items = { items } };
	const struct gsvm_kernel *entry;
	int ret;

	check(gsvm_program_kernel(gpu->program, kernel, &entry), kernel);
	ret = gsvm_queue_dispatch(gpu->queue, entry, &grid, arg, NULL, 0);
	if (!ret)
		ret = gsvm_queue_finish(gpu->queue, 120 * 1000000000LL);
	if (ret == -EIO)
		explain(gpu);
	check(ret, kernel);
}

static inline double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
