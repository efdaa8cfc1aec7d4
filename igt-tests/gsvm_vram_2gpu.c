// SPDX-License-Identifier: MIT
/*
 * Two GPUs, each with VRAM of its own, and one process's memory.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

static void open_two(struct queue *q[2])
{
	gsvm_require(gpu_count() >= 2, "needs two GPUs, there are %u\n", gpu_count());
	q[0] = queue_open_gpu(0);
	q[1] = queue_open_gpu(1);
	gsvm_assert(igt_gsvm_query(q[0]->fd, DRM_GSVM_PARAM_GPU_ID, 0) !=
		    igt_gsvm_query(q[1]->fd, DRM_GSVM_PARAM_GPU_ID, 0),
		    "both GPUs have the same id\n");
}

static void close_two(struct queue *q[2])
{
	queue_close(q[1]);
	queue_close(q[0]);
}

static char *get(struct queue *q, bool huge, size_t size, uint32_t seed)
{
	return huge ? map_thp(q, size, seed) : map_block(size);
}

/* By prefetch from one VRAM to the other, and round. */
static void prefetch_around(bool huge)
{
	struct queue *q[2];
	size_t size = 2 * HUGE;
	uint64_t unused[2];
	uint32_t round;
	int i;
	char *p;

	open_two(q);
	for (i = 0; i < 2; i++)
		unused[i] = vram_free(q[i]);
	p = get(q[0], huge, size, 0);
	cpu_fill(p, size, 0, WHOLE);
	for (round = 0; round < 6; round++) {
		struct queue *to = q[round % 2], *from = q[~round % 2];
		struct place at;

		to_vram(to, p, size);
		at = place_of(from, p, size);
		gsvm_assert(!at.vram && at.other == size / PAGE,
			    "the other GPU sees %zu pages in its VRAM, %zu in another\n", at.vram,
			    at.other);
		gpu_verify(to, p, size, round, WHOLE, "in this GPU's VRAM");
		gpu_pattern(to, p, size, round + 1, WHOLE);
	}
	to_system(q[0], p, size);
	cpu_verify(p, size, round, WHOLE, "back");
	gsvm_sys(munmap(p, size));
	for (i = 0; i < 2; i++)
		expect_vram_free(q[i], unused[i], "after munmap");
	close_two(q);
}

static void prefetch_small(void)
{
	prefetch_around(false);
}

static void prefetch_huge(void)
{
	prefetch_around(true);
}

/* By faults: each GPU works on what the other one has. */
static void ping_pong(bool huge)
{
	struct queue *q[2];
	size_t size = 2 * HUGE;
	uint32_t round;
	char *p;

	open_two(q);
	p = get(q[0], huge, size, 0);
	cpu_fill(p, size, 0, WHOLE);
	for (round = 0; round < 10; round++) {
		gpu_verify(q[round % 2], p, size, round, WHOLE, "what the other GPU wrote");
		gpu_pattern(q[round % 2], p, size, round + 1, WHOLE);
		if (round % 4 == 3)
			cpu_verify(p, size, round + 1, WHOLE, "what a GPU wrote");
	}
	cpu_verify(p, size, round, WHOLE, "at the end");
	close_two(q);
}

static void ping_pong_small(void)
{
	ping_pong(false);
}

static void ping_pong_huge(void)
{
	ping_pong(true);
}

/* Both write to the same pages at the same time, words of their own. */
static void together(void)
{
	struct ctl *ctl[2] = { map_shared(PAGE), map_shared(PAGE) };
	size_t size = 2 * HUGE, pages = size / PAGE;
	struct gsvm_signal *job[2];
	struct queue *q[2];
	char *p;
	int g;

	open_two(q);
	p = map_block(size);
	memset(p, 0, size);
	for (g = 0; g < 2; g++)
		job[g] = gpu_launch(q[g], "sweep", CTL_ITEMS, U(ctl[g]), U(p) + 8 * g, pages,
				    CTL_ITEMS, 0);
	for (g = 0; g < 2; g++)
		gsvm_await(&ctl[g]->rounds[0], 2, "a GPU's rounds against the other");
	for (g = 0; g < 2; g++)
		gsvm_poke(&ctl[g]->stop, 1);
	for (g = 0; g < 2; g++)
		gpu_wait(q[g], job[g]);
	for (g = 0; g < 2; g++)
		sweep_check(ctl[g], p + 8 * g, pages);
	close_two(q);
}

/* Atomics of both and of the CPU on the same words. */
static void count(void)
{
	struct gsvm_signal *job[2];
	struct queue *q[2];
	uint64_t done = 0;
	char *p;
	int g, round;

	open_two(q);
	p = map_block(HUGE);
	memset(p, 0, HUGE);
	for (round = 0; round < 3; round++) {
		for (g = 0; g < 2; g++)
			job[g] = gpu_launch(q[g], "add", 64, U(p), PAGE, 200, 1);
		do {
			for (g = 0; g < 64; g++)
				__atomic_fetch_add((uint64_t *)(p + g * PAGE), 1, __ATOMIC_RELAXED);
			done++;
		} while (!gpu_done(job[0]) || !gpu_done(job[1]));
		for (g = 0; g < 2; g++)
			gpu_wait(q[g], job[g]);
	}
	cpu_check(p, PAGE, 64, 3 * 2 * 200 + done, 0, "increments of three");
	close_two(q);
}

/* A block half in one VRAM, half in the other, the rest in memory. */
static void mixed(void)
{
	struct queue *q[2];
	size_t third = 160 * PAGE, i;
	char *p;

	open_two(q);
	for (i = 0; i < 2; i++)
		set_policy(q[i], DRM_GSVM_MIGRATE_NEVER);
	p = map_block(HUGE);
	cpu_fill(p, HUGE, 1, WHOLE);
	to_vram(q[0], p, third);
	to_vram(q[1], p + third, third);
	expect_system(q[0], p + 2 * third, HUGE - 2 * third, "the rest");
	for (i = 0; i < 2; i++)
		gpu_verify(q[i], p, HUGE, 1, WHOLE, "a block in three places");
	gpu_pattern(q[0], p, HUGE, 2, WHOLE);
	gpu_verify(q[1], p, HUGE, 2, WHOLE, "what the other GPU wrote");
	cpu_verify(p, HUGE, 2, WHOLE, "back");
	close_two(q);
}

/* One change reaches both, wherever the pages are. */
static void change(void)
{
	struct queue *q[2];
	uint32_t round;
	char *p;

	open_two(q);
	p = map_block(HUGE);
	for (round = 0; round < 8; round++) {
		gpu_pattern(q[round % 2], p, HUGE, round, SPARSE);
		gpu_verify(q[~round % 2], p, HUGE, round, SPARSE, "what the other GPU wrote");
		gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
		gpu_check(q[round % 2], p, PAGE, HUGE / PAGE, 0, 0);
		gpu_check(q[~round % 2], p, PAGE, HUGE / PAGE, 0, 0);
	}
	close_two(q);
}

/* Each has more than fits, and the other one's. */
static void pressure(void)
{
	struct queue *q[2];
	uint64_t evicted = 0;
	size_t size;
	uint32_t round;
	char *p[2];
	int g;

	open_two(q);
	size = vram_size(q[0]) / 4 * 5;
	gsvm_require(size <= 200 * MIB, "this is for GPUs with little VRAM\n");
	for (g = 0; g < 2; g++) {
		evicted += vram_evicted(q[g]);
		p[g] = map_block(size);
	}
	for (round = 1; round <= 2; round++)
		for (g = 0; g < 2; g++) {
			gpu_pattern(q[g], p[g], size, round, 512);
			gpu_verify(q[~g & 1], p[g], size, round, 512, "what the other GPU wrote");
		}
	for (g = 0; g < 2; g++) {
		cpu_verify(p[g], size, 2, 512, "at the end");
		evicted -= vram_evicted(q[g]);
	}
	gsvm_assert(evicted, "nothing was evicted\n");
	close_two(q);
}

static const struct gsvm_subtest tests[] = {
	{ "prefetch", prefetch_small, "from one VRAM to the other and back" },
	{ "prefetch-huge", prefetch_huge, "likewise huge pages" },
	{ "ping-pong", ping_pong_small, "each GPU works on what the other has" },
	{ "ping-pong-huge", ping_pong_huge, "likewise huge pages" },
	{ "together", together, "both write to the same pages" },
	{ "count", count, "atomics of both GPUs and the CPU" },
	{ "mixed", mixed, "a block in both VRAMs and in memory" },
	{ "change", change, "a change of the CPU's reaches both" },
	{ "pressure", pressure, "both VRAMs are full" },
};

GSVM_MAIN(tests)
