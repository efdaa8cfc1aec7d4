// SPDX-License-Identifier: MIT
/* The library on a GPU: work that goes wrong, and what is said about it. */
#include <sys/mman.h>

#include "vm.h"

/* Another queue must not notice. */
static void others_go_on(struct gpu *gpu)
{
	struct gsvm_queue *queue = NULL;
	uint64_t word = 0;

	is(gsvm_queue_create(gpu->vm, NULL, &queue), 0, "another queue of the VM");
	is(gsvm_queue_fill(queue, &word, 42, 8, NULL, 0), 0, "takes work");
	is(gsvm_queue_finish(queue, LONG), 0, "finishes it");
	is(word, 42, "rightly");
	is(gsvm_queue_destroy(queue), 0, "and goes");
}

static struct gsvm_error die(struct gpu *gpu, const char *kernel, const void *arg)
{
	struct gsvm_error error = { .size = sizeof(error) };
	struct gsvm_grid grid = { .items = { 64 } };
	char text[256];

	is(dispatch(gpu, kernel, &grid, arg, NULL), 0, kernel);
	is(gsvm_queue_finish(gpu->queue, LONG), -EIO, "the queue dies");
	is(gsvm_queue_error(gpu->queue, &error), 0, "its record");
	gsvm_error_describe(&error, text, sizeof(text));
	printf("# %s\n", text);
	is(gsvm_queue_finish(gpu->queue, LONG), -EIO, "and stays dead");
	return error;
}

static bool pc_is_in(struct gpu *gpu, const struct gsvm_error *error, const char *function)
{
	const char *name = "";
	uint64_t offset = 0;

	return !gsvm_program_find(gpu->program, error->pc, &name, &offset) &&
	       !strcmp(name, function);
}

static void test_fault(int protection, uint32_t reason, const char *words)
{
	struct gsvm_error error;
	struct gpu gpu;
	char *page, text[256];

	page = mmap(NULL, 8192, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!gpu_open(&gpu, NULL))
		return;
	/* Nothing else is mapped from here to the death, so nothing can come there. */
	if (protection == PROT_NONE)
		munmap(page, 8192);
	error = die(&gpu, "wild", page + 4096 + 8);
	ok(error.code == GSVM_ERROR_FAULT && error.reason == reason &&
	   error.access == GSVM_ERROR_WRITE, "code, reason, access");
	ok(error.address == (uintptr_t)page + 4096 + 8, "address: 0x%llx",
	   (unsigned long long)error.address);
	is(error.work_item, 17, "work-item");
	is(error.packet, 0, "packet");
	ok(pc_is_in(&gpu, &error, "wild"), "pc is in the kernel");
	ok(error.time_ns, "time");
	gsvm_error_describe(&error, text, sizeof(text));
	ok(strstr(text, "write to") && strstr(text, "work-item 17") && strstr(text, words), "text");
	others_go_on(&gpu);
	if (protection != PROT_NONE) {
		ok(!page[4096 + 8], "nothing was written");
		munmap(page, 8192);
	}
	gpu_close(&gpu);
}

static void test_instruction(const char *kernel, uint32_t code)
{
	struct gsvm_error error;
	struct gpu gpu;

	if (!gpu_open(&gpu, NULL))
		return;
	error = die(&gpu, kernel, NULL);
	is(error.code, code, "code");
	ok(pc_is_in(&gpu, &error, kernel), "pc is in the kernel");
	others_go_on(&gpu);
	gpu_close(&gpu);
}

static void test_limit(void)
{
	struct gsvm_queue_options options = { .size = sizeof(options), .hart_limit = 1 };
	struct gsvm_error error;
	struct gpu gpu;

	if (!gpu_open(&gpu, &options))
		return;
	error = die(&gpu, "forever", NULL);
	is(error.code, GSVM_ERROR_LIMIT, "code");
	ok(pc_is_in(&gpu, &error, "forever"), "pc is in the kernel");
	gpu_close(&gpu);
}

/* Running work does not keep a queue from being destroyed, nor a timeout. */
static void test_drop(void)
{
	struct gsvm_grid grid = { .items = { 100 } };
	struct spin spin = { 0 };
	struct gpu gpu;
	uint64_t before;

	if (!gpu_open(&gpu, NULL))
		return;
	is(dispatch(&gpu, "spin", &grid, &spin, NULL), 0, "endless work");
	is(gsvm_queue_finish(gpu.queue, SECOND / 10), -ETIME, "finish: time is over");
	ok(__atomic_load_n(&spin.started, __ATOMIC_ACQUIRE) > 0, "it runs");
	__atomic_store_n(&spin.stop, 1, __ATOMIC_RELEASE);
	is(gsvm_queue_finish(gpu.queue, LONG), 0, "the CPU ends it");
	is(spin.started, 100, "all of it");
	spin.stop = 0;
	is(dispatch(&gpu, "spin", &grid, &spin, NULL), 0, "once more");
	while (__atomic_load_n(&spin.started, __ATOMIC_ACQUIRE) == 100)
		gsvm_queue_finish(gpu.queue, SECOND / 100);
	is(gsvm_queue_destroy(gpu.queue), 0, "destroy the queue under it");
	gpu.queue = NULL;
	before = __atomic_load_n(&spin.started, __ATOMIC_ACQUIRE);
	others_go_on(&gpu);
	is(__atomic_load_n(&spin.started, __ATOMIC_ACQUIRE), before, "it does not go on");
	gpu_close(&gpu);
}

int main(void)
{
	test_fault(PROT_NONE, GSVM_REASON_NOT_MAPPED, "nothing is mapped there");
	test_fault(PROT_READ, GSVM_REASON_PERMISSION, "the mapping does not allow it");
	test_instruction("illegal", GSVM_ERROR_ILLEGAL);
	test_instruction("trap", GSVM_ERROR_TRAP);
	test_limit();
	test_drop();
	return tap_done();
}
