// SPDX-License-Identifier: MIT
/*
 * Two GPUs and the CPUs share the memory of one process.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	64

static void open_two(struct queue *q[2])
{
	gsvm_require(gpu_count() >= 2, "needs two GPUs, there are %u\n", gpu_count());
	q[0] = queue_open_gpu(0);
	q[1] = queue_open_gpu(1);
}

static void close_two(struct queue *q[2])
{
	queue_close(q[1]);
	queue_close(q[0]);
}

/* Both count in the same words at the same time, atomically. */
static void count_same_words(void)
{
	char *p = map_anon(PAGES * PAGE);
	struct gsvm_signal *job[2];
	struct queue *q[2];
	int i;

	open_two(q);
	for (i = 0; i < 2; i++)
		job[i] = gpu_launch(q[i], "add", PAGES, U(p), PAGE, 1000, 1);
	for (i = 0; i < 2; i++)
		gpu_wait(q[i], job[i]);
	cpu_check(p, PAGE, PAGES, 2000, 0, "words that both GPUs counted in");
	close_two(q);
}

/* Different words of the same pages, with plain stores. */
static void store_same_pages(void)
{
	char *p = map_anon(PAGES * PAGE);
	struct gsvm_signal *job[2];
	struct queue *q[2];
	int i, round;

	open_two(q);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 2; i++)
			job[i] = gpu_launch(q[i], "store", PAGES * PAGE / 16, U(p + 8 * i), 16,
					    round + 1000 * i, 1);
		for (i = 0; i < 2; i++)
			gpu_wait(q[i], job[i]);
		for (i = 0; i < 2; i++)
			cpu_check(p + 8 * i, 16, PAGES * PAGE / 16, round + 1000 * i, 1,
				  "words of one GPU");
		/* And each sees the other's. */
		gpu_check(q[0], p + 8, 16, PAGES * PAGE / 16, round + 1000, 1);
		gpu_check(q[1], p, 16, PAGES * PAGE / 16, round, 1);
	}
	close_two(q);
}

/* The data goes from GPU to GPU without the CPU. */
static void relay(void)
{
	char *p = map_anon(PAGES * PAGE), *to = map_anon(PAGES * PAGE);
	struct queue *q[2];
	int round;

	open_two(q);
	for (round = 0; round < 20; round++) {
		gpu_run(q[0], "add", PAGES, U(p), PAGE, 1, 1);
		gpu_wait(q[1], gpu_copy(q[1], to, p, PAGES * PAGE));
		gpu_wait(q[0], gpu_copy(q[0], p, to, PAGES * PAGE));
	}
	cpu_check(p, PAGE, PAGES, 20, 0, "relayed words");
	close_two(q);
}

/* One GPU waits for the other's signal. */
static void cross_barrier(void)
{
	struct gsvm_pkt_barrier packet = { .header = GSVM_PKT_BARRIER_AND };
	uint64_t *out = map_anon(PAGE);
	struct ctl *ctl = map_shared(PAGE);
	struct gsvm_signal *job, *wait;
	struct queue *q[2];

	open_two(q);
	job = gpu_launch(q[0], "hold", 1, U(ctl), U(out), 8);
	gsvm_await(&ctl->rounds[0], 1, "the first GPU's job");
	packet.dep[0] = U(job);
	wait = gpu_submit(q[1], &packet, offsetof(struct gsvm_pkt_barrier, signal));
	gpu_read(queue_open_vm(q[1]->fd, q[1]->vm), out);
	gsvm_assert(!gpu_done(wait), "the barrier passed before its signal\n");
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q[1], wait);
	gsvm_assert(gpu_done(job), "the barrier passed before its signal\n");
	gsvm_assert_eq(gpu_read(q[1], out), 1, "what the first GPU wrote before its signal");
	gpu_close_all();
}

/* One change of the CPU takes the page from both. */
static void invalidate_both(void)
{
	char *p = map_huge_aligned(HUGE);
	struct queue *q[2];
	int i, round;

	open_two(q);
	for (round = 0; round < 8; round++) {
		gpu_set(q[round & 1], p, PAGE, 512, round, 1);
		gpu_check(q[~round & 1], p, PAGE, 512, round, 1);
		gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
		for (i = 0; i < 2; i++)
			gpu_check(q[i], p, PAGE, 512, 0, 0);
	}
	gsvm_sys(munmap(p, HUGE));
	for (i = 0; i < 2; i++)
		gpu_expect_fault(q[i], gpu_launch(q[i], "touch", 1, U(p), TOUCH_WRITE, 0),
				 DRM_GSVM_REASON_NOT_MAPPED, DRM_GSVM_ACCESS_WRITE, p, 0);
	close_two(q);
}

/* Generations under two readers, as in gsvm_mirror_race.c. */
static void race_both(void)
{
	char *p = map_anon(PAGES * PAGE);
	struct gsvm_signal *job[2];
	struct ctl *ctl[2];
	struct queue *q[2];
	uint64_t g;
	int i;

	open_two(q);
	cpu_set(p, PAGE, PAGES, 1, 0);
	for (i = 0; i < 2; i++) {
		ctl[i] = map_shared(PAGE);
		ctl[i]->floor = ctl[i]->ceiling = ctl[i]->zero_ok = 1;
		job[i] = gpu_launch(q[i], "watch", 8, U(ctl[i]), U(p), PAGE, PAGES, 8);
	}
	for (g = 2; g < 26; g++) {
		gsvm_sys(madvise(p, PAGES * PAGE, MADV_DONTNEED));
		for (i = 0; i < 2; i++) {
			gsvm_poke(&ctl[i]->floor, g);
			gsvm_poke(&ctl[i]->ceiling, g);
		}
		cpu_set(p, PAGE, PAGES, g, 0);
		if (g % 5)
			continue;
		for (i = 0; i < 2; i++)
			gsvm_await(&ctl[i]->rounds[g % 8], gsvm_peek(&ctl[i]->rounds[g % 8]) + 2,
				   "a watching work-item");
	}
	for (i = 0; i < 2; i++) {
		gsvm_poke(&ctl[i]->stop, 1);
		gpu_wait(q[i], job[i]);
		gsvm_assert(!ctl[i]->bad, "GPU %d saw generation %llu at %#llx, floor %llu\n", i,
			    (unsigned long long)ctl[i]->bad_value,
			    (unsigned long long)ctl[i]->bad_addr,
			    (unsigned long long)ctl[i]->bad_floor);
	}
	close_two(q);
}

/*
 * Both flush at the same time: each has been told before the first one is
 * waited for.
 */
static void flush_together(void)
{
	char *p = map_anon(PAGES * PAGE), order[16];
	struct queue *q[2];
	int i;

	open_two(q);
	/* In system memory, where both can have them mapped at once. */
	for (i = 0; i < 2; i++) {
		set_policy(q[i], DRM_GSVM_MIGRATE_NEVER);
		gpu_set(q[i], p, PAGE, PAGES, 1, 1);
	}
	munmap_order(p, PAGES * PAGE, order, sizeof(order));
	gsvm_assert(!strncmp(order, "ssw", 3),
		    "munmap sent (s) and waited (w) in this order: %s\n", order);
	close_two(q);
}

/* An error on one is none on the other. */
static void independent(void)
{
	char *p = reserve(HUGE);
	struct queue *q[2];

	open_two(q);
	gpu_expect_fault(q[0], gpu_launch(q[0], "touch", 1, U(p), TOUCH_READ, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_READ, p, 0);
	gsvm_assert_eq(gpu_read(q[1], &(uint64_t){ 12 }), 12, "the other GPU");
	close_two(q);
}

static const struct gsvm_subtest tests[] = {
	{ "count-same-words", count_same_words, "both add to the same words" },
	{ "store-same-pages", store_same_pages, "both store to the same pages" },
	{ "relay", relay, "data goes from one to the other and back" },
	{ "cross-barrier", cross_barrier, "one waits for the other's signal" },
	{ "invalidate-both", invalidate_both, "a change reaches both" },
	{ "race-both", race_both, "generations under two readers" },
	{ "flush-together", flush_together, "both flush at the same time" },
	{ "independent", independent, "an error on one leaves the other alone" },
};

GSVM_MAIN(tests)
