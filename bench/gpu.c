/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"
#include "touch.h"

void gpu_open(struct bench *b, const char *path)
{
	int ret;

	b->path = path;
	ret = gsvm_device_open(NULL, &b->device);
	if (ret)
		die("no GPU", ret);
	ret = gsvm_vm_create(b->device, &b->vm);
	/* What mirroring costs comes first; bench_migrate() lets memory move. */
	if (!ret)
		ret = gsvm_vm_set_migration(b->vm, GSVM_MIGRATE_NEVER);
	if (!ret)
		ret = gsvm_queue_create(b->vm, NULL, &b->queue);
	if (ret)
		die("no queue", ret);
	ret = gsvm_program_load(path, &b->program);
	if (!ret)
		ret = gsvm_program_kernel(b->program, "touch", &b->touch);
	if (!ret)
		ret = gsvm_program_kernel(b->program, "scatter", &b->scatter);
	if (ret)
		die(path, ret);
}

void gpu_close(struct bench *b)
{
	gsvm_queue_destroy(b->queue);
	gsvm_vm_destroy(b->vm);
	gsvm_program_destroy(b->program);
	gsvm_device_close(b->device);
}

static struct gsvm_vm_stats stats(struct bench *b)
{
	struct gsvm_vm_stats s = { .size = sizeof(s) };
	int ret = gsvm_vm_query(b->vm, &s);

	if (ret)
		die("gsvm_vm_query", ret);
	return s;
}

uint64_t gpu_metadata(struct bench *b)
{
	return stats(b).metadata_bytes;
}

static void fail(struct bench *b, const char *what, int ret)
{
	struct gsvm_error e = { .size = sizeof(e) };
	char text[256];

	if (!gsvm_queue_error(b->queue, &e) && !gsvm_error_describe(&e, text, sizeof(text)))
		fprintf(stderr, "gsvm-bench: %s\n", text);
	die(what, ret);
}

/* Run a kernel; its code and signal are mapped by whoever ran it before. */
static struct job run(struct bench *b, const struct gsvm_kernel *kernel, const void *args,
		      uint32_t items)
{
	struct gsvm_grid grid = { .items = { items, 0, 0 } };
	struct gsvm_vm_stats before = stats(b), after;
	struct gsvm_signal *signal;
	uint64_t start, end;
	int ret;

	ret = gsvm_signal_create(1, &signal);
	if (ret)
		die("signal", ret);
	ret = gsvm_queue_dispatch(b->queue, kernel, &grid, args, signal, 0);
	if (!ret)
		ret = gsvm_signal_wait(signal, b->queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER);
	if (ret)
		fail(b, "job", ret);
	after = stats(b);
	gsvm_signal_times(signal, &start, &end);
	gsvm_signal_destroy(signal);
	return (struct job){
		.us = (end - start) / 1e3,
		.driver_us = (after.fault_ns - before.fault_ns) / 1e3,
		.faults = after.faults - before.faults,
		.services = after.fault_services - before.fault_services,
		.mapped = after.pages_mapped - before.pages_mapped,
		.huge = after.huge_mapped - before.huge_mapped,
		.left = after.bounces - before.bounces,
	};
}

/* Touch items * count words. Code, arguments and signal are mapped before. */
struct job gpu_touch(struct bench *b, void *base, uint64_t stride, uint64_t count,
		     uint32_t items, bool write)
{
	static struct touch args;
	static uint64_t word;

	args = (struct touch){ (uintptr_t)&word, 0, 1, write };
	run(b, b->touch, &args, 1);
	args = (struct touch){ (uintptr_t)base, stride, count, write };
	return run(b, b->touch, &args, items);
}

struct job gpu_scatter(struct bench *b, void *base, uint64_t pages, uint64_t count,
		       uint32_t items)
{
	static uint64_t page[1024] __attribute__((aligned(8192)));
	static struct scatter args;

	args = (struct scatter){ (uintptr_t)page, 1, 1 };
	run(b, b->scatter, &args, 1);
	args = (struct scatter){ (uintptr_t)base, pages, count };
	return run(b, b->scatter, &args, items);
}
