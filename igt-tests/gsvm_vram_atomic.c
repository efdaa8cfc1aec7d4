// SPDX-License-Identifier: MIT
/*
 * Atomics of CPU and GPU on the same counters, wherever these are and while
 * they move: every increment counts once.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define THREADS	4u
#define ITEMS	32u
#define TIMES	500u

struct adder {
	char *p;
	size_t words, stride;
	uint64_t *stop, done;
	struct thread thread;
};

static void add_loop(void *arg)
{
	struct adder *a = arg;
	size_t i;

	while (!gsvm_peek(a->stop)) {
		for (i = 0; i < a->words; i++)
			__atomic_fetch_add((uint64_t *)(a->p + i * a->stride), 1, __ATOMIC_RELAXED);
		gsvm_poke(&a->done, a->done + 1);
	}
}

/* CPU threads and work-items add to the same words until the job is done. */
static void count(struct queue *q, char *p, size_t words, size_t stride,
		  void (*meanwhile)(struct queue *q, char *p, unsigned int round))
{
	struct adder adder[THREADS];
	struct gsvm_signal *job[4];
	uint64_t stop = 0, sum = 0;
	unsigned int i, round;
	size_t n;

	for (n = 0; n < words; n++)
		gsvm_poke((void *)(p + n * stride), 0);
	for (i = 0; i < THREADS; i++) {
		adder[i] = (struct adder){ .p = p, .words = words, .stride = stride,
					   .stop = &stop };
		gsvm_thread(&adder[i].thread, add_loop, &adder[i]);
	}
	/* The job may be short: all take part from its beginning. */
	for (i = 0; i < THREADS; i++)
		gsvm_await(&adder[i].done, 1, "an adding thread");
	for (i = 0; i < 4; i++)
		job[i] = words == 1 ? gpu_launch(q, "add", ITEMS, U(p), 0, TIMES, 1) :
				      gpu_launch(q, "add", words, U(p), stride, TIMES, 1);
	for (round = 0; meanwhile && round < 30 && !gpu_done(job[3]); round++)
		meanwhile(q, p, round);
	for (i = 0; i < 4; i++)
		gpu_wait(q, job[i]);
	gsvm_poke(&stop, 1);
	for (i = 0; i < THREADS; i++) {
		gsvm_thread_join(&adder[i].thread);
		sum += adder[i].done;
	}
	sum += 4 * TIMES * (words == 1 ? ITEMS : 1);
	for (n = 0; n < words; n++)
		gsvm_assert_eq(gsvm_peek((void *)(p + n * stride)), sum,
			       "increments of CPU and GPU together");
}

static void in_system_memory(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	count(q, p, 1, 0, NULL);
	expect_system(q, p, PAGE, "with MIGRATE_NEVER");
	count(q, p, 64, PAGE, NULL);
	expect_system(q, p, 64 * PAGE, "with MIGRATE_NEVER");
	queue_close(q);
}

/* The GPU alone, in VRAM; the CPU looks at the end. */
static void in_vram_alone(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 0);
	size_t n;

	gpu_set(q, p, PAGE, 64, 0, 0);
	gpu_run(q, "add", 64, U(p), PAGE, 1000, 1);
	for (n = 0; n < 20; n++)
		gpu_run(q, "add", 64, U(p), 0, 100, 1);
	expect_vram(q, p, HUGE, "used by the GPU alone");
	gsvm_assert_eq(*(uint64_t *)p, 1000 + 20 * 64 * 100, "the common counter");
	cpu_check(p + PAGE, PAGE, 63, 1000, 0, "the counters");
	queue_close(q);
}

/* Both sides pull. */
static void to_and_fro(void)
{
	struct queue *q = queue_open();

	count(q, map_block(HUGE), 1, 0, NULL);
	count(q, map_block(HUGE), 64, PAGE, NULL);
	queue_close(q);
}

static void huge_page(void)
{
	struct queue *q = queue_open();

	count(q, map_huge_aligned(HUGE), 64, 8 * PAGE, NULL);
	queue_close(q);
}

static void move(struct queue *q, char *p, unsigned int round)
{
	prefetch(q, p, HUGE, round % 2 ? DRM_GSVM_REGION_SYSTEM : DRM_GSVM_REGION_VRAM);
}

/* Somebody else moves the counters besides. */
static void while_moved(void)
{
	struct queue *q = queue_open();

	count(q, map_block(HUGE), 64, PAGE, move);
	count(q, map_huge_aligned(HUGE), 64, PAGE, move);
	queue_close(q);
}

static void move_never(struct queue *q, char *p, unsigned int round)
{
	set_policy(q, round % 3 ? DRM_GSVM_MIGRATE_NEVER : DRM_GSVM_MIGRATE_FIRST);
	move(q, p, round);
}

static void while_policy_changes(void)
{
	struct queue *q = queue_open();

	count(q, map_block(HUGE), 64, PAGE, move_never);
	queue_close(q);
}

static void forked(struct queue *q, char *p, unsigned int round)
{
	struct child *c = gsvm_fork();

	(void)q;
	(void)p;
	if (!c->pid)
		gsvm_exit();
	gsvm_join(c);
	if (round % 4 == 0)
		move(q, p, 0);
}

static void while_forked(void)
{
	struct queue *q = queue_open();

	count(q, map_block(HUGE), 64, PAGE, forked);
	queue_close(q);
}

/* Memory that cannot move: shared between processes, each with threads and GPU. */
static void two_processes(void)
{
	char *p = map_shared(HUGE);
	struct child *c = gsvm_fork();
	struct queue *q = queue_open();
	int i;

	for (i = 0; i < 8; i++)
		gpu_run(q, "add", 64, U(p), PAGE, TIMES, 1);
	queue_close(q);
	if (!c->pid)
		gsvm_exit();
	gsvm_join(c);
	cpu_check(p, PAGE, 64, 16 * TIMES, 0, "counters of two processes' GPUs");
}

/* Random pages of a region under pressure: nothing is lost on the way out and in. */
static void scattered(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) * 3 / 2, pages = size / PAGE, i, w;
	uint64_t evicted = vram_evicted(q), sum = 0;
	char *p;

	gsvm_require(size <= 200 * MIB, "this is for a GPU with little VRAM\n");
	p = map_block(size);
	gpu_pattern(q, p, size, 0, 512);
	for (i = 0; i < 4; i++)
		gpu_run(q, "scatter", 64, U(p), pages, 100, i * 7919);
	for (i = 0; i < pages; i++)
		for (w = 1; w <= 64; w++)
			sum += *(uint64_t *)(p + i * PAGE + w * 8);
	gsvm_assert_eq(sum, 4 * 64 * 100, "increments all over a region larger than VRAM");
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "system", in_system_memory, "counters in system memory" },
	{ "vram", in_vram_alone, "counters in VRAM, the GPU alone" },
	{ "to-and-fro", to_and_fro, "counters that both sides want" },
	{ "huge-page", huge_page, "likewise in a huge page" },
	{ "while-moved", while_moved, "counters that are moved meanwhile" },
	{ "while-policy-changes", while_policy_changes, "likewise, with changing policy" },
	{ "while-forked", while_forked, "fork meanwhile" },
	{ "two-processes", two_processes, "shared memory of two processes" },
	{ "scattered", scattered, "counters all over more memory than VRAM" },
};

GSVM_MAIN(tests)
