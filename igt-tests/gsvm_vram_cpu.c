// SPDX-License-Identifier: MIT
/*
 * The CPU touches memory that is in VRAM: it comes back, one page or many, for
 * one thread or for many at once, and against a GPU that wants it too.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define BLOCK_PAGES	(HUGE / PAGE)
#define THREADS		8u

static long faults_of_thread(void)
{
	struct rusage usage;

	gsvm_sys(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_minflt + usage.ru_majflt;
}

/* A single touch brings back little. */
static void one_page(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, 2 * HUGE, 1);
	struct place at;

	gsvm_assert_eq(gsvm_peek((void *)(p + 300 * PAGE)), pattern_word(1, 300 * PAGE),
		       "the word that the CPU read");
	at = place_of(q, p, 2 * HUGE);
	gsvm_assert(in_system(q, p + 300 * PAGE), "the touched page is not in memory\n");
	gsvm_assert(at.system <= 16, "one touch brought %zu pages back\n", at.system);
	gpu_verify(q, p, 2 * HUGE, 1, WHOLE, "both kinds of pages");
	queue_close(q);
}

static void one_page_write(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1);

	gsvm_poke((void *)(p + 77 * PAGE + 8), 5);
	gsvm_assert(in_system(q, p + 77 * PAGE), "the written page is not in memory\n");
	gsvm_assert_eq(gpu_read(q, p + 77 * PAGE + 8), 5, "the written word, by the GPU");
	gsvm_poke((void *)(p + 77 * PAGE + 8), pattern_word(1, 77 * PAGE + 8));
	gpu_verify(q, p, HUGE, 1, WHOLE, "all else");
	queue_close(q);
}

/* Touches all over the place bring back little more than they touch. */
static void random_touches(void)
{
	struct queue *q = queue_open();
	size_t size = 16 * MIB, pages = size / PAGE, i, n = 100;
	char *p = map_in_vram(q, size, 1);
	uint64_t x = 88172645463325252ull;
	struct place at;

	for (i = 0; i < n; i++) {
		size_t page;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		page = x % pages;
		gsvm_assert_eq(gsvm_peek((void *)(p + page * PAGE + 8)),
			       pattern_word(1, page * PAGE + 8), "a word at a random place");
	}
	at = place_of(q, p, size);
	gsvm_assert(at.system >= n / 2, "only %zu pages came back\n", at.system);
	gsvm_assert(at.system <= n * 16, "%zu random touches brought %zu of %zu pages back\n", n,
		    at.system, pages);
	gpu_verify(q, p, size, 1, SPARSE, "after random touches");
	queue_close(q);
}

/* A thread that goes through memory in order soon gets much at once. */
static void stream(void)
{
	struct queue *q = queue_open();
	size_t size = 16 * MIB, pages = size / PAGE;
	char *p = map_in_vram(q, size, 1);
	long faults = faults_of_thread();

	cpu_verify(p, size, 1, SPARSE, "a stream");
	faults = faults_of_thread() - faults;
	expect_system(q, p, size, "after a stream");
	gsvm_assert(faults <= (long)pages / 8, "%ld faults for %zu pages in order\n", faults,
		    pages);
	queue_close(q);
}

static void stream_huge(void)
{
	struct queue *q = queue_open();
	size_t size = 16 * MIB, pages = size / PAGE;
	char *p = map_thp_in_vram(q, size, 1);
	long faults = faults_of_thread();

	cpu_verify(p, size, 1, SPARSE, "a stream through huge pages");
	faults = faults_of_thread() - faults;
	expect_system(q, p, size, "after a stream");
	gsvm_assert(faults <= (long)pages / 8, "%ld faults for %zu pages in order\n", faults,
		    pages);
	queue_close(q);
}

/* Two threads, each with a stream of its own, in turn. */
struct streamer {
	char *p;
	size_t size;
	uint32_t seed;
	long faults;
	unsigned int *turn, number;
	struct thread thread;
};

static void streamer_loop(void *arg)
{
	struct streamer *s = arg;
	size_t at;

	s->faults = faults_of_thread();
	for (at = 0; at < s->size; at += 4 * PAGE) {
		while (__atomic_load_n(s->turn, __ATOMIC_ACQUIRE) % 2 != s->number)
			sched_yield();
		cpu_verify_part(s->p + at, at, 4 * PAGE, s->seed, SPARSE, "a thread's stream");
		__atomic_fetch_add(s->turn, 1, __ATOMIC_RELEASE);
	}
	s->faults = faults_of_thread() - s->faults;
}

static void two_streams(void)
{
	struct queue *q = queue_open();
	size_t size = 8 * MIB;
	unsigned int turn = 0, i;
	struct streamer s[2];

	for (i = 0; i < 2; i++)
		s[i] = (struct streamer){ .p = map_in_vram(q, size, i + 1), .size = size,
					  .seed = i + 1, .turn = &turn, .number = i };
	for (i = 0; i < 2; i++)
		gsvm_thread(&s[i].thread, streamer_loop, &s[i]);
	for (i = 0; i < 2; i++)
		gsvm_thread_join(&s[i].thread);
	for (i = 0; i < 2; i++)
		gsvm_assert(s[i].faults <= (long)(size / PAGE / 4),
			    "thread %u: %ld faults for %zu pages in order\n", i, s[i].faults,
			    size / PAGE);
	queue_close(q);
}

struct toucher {
	char *p;
	size_t size, first, step;
	uint32_t seed;
	pthread_barrier_t *start;
	struct thread thread;
};

static void toucher_loop(void *arg)
{
	struct toucher *t = arg;
	size_t at;

	pthread_barrier_wait(t->start);
	for (at = t->first; at < t->size; at += t->step) {
		uint64_t value = gsvm_peek((void *)(t->p + at));

		gsvm_assert(value == pattern_word(t->seed, at), "offset %#zx: %#llx\n", at,
			    (unsigned long long)value);
	}
}

static void touch_together(size_t size, size_t first_step, size_t step, bool huge)
{
	struct queue *q = queue_open();
	pthread_barrier_t start;
	struct toucher t[THREADS];
	unsigned int i, round;
	char *p = huge ? map_thp_in_vram(q, size, 0) : map_in_vram(q, size, 0);

	pthread_barrier_init(&start, NULL, THREADS);
	for (round = 0; round < 6; round++) {
		for (i = 0; i < THREADS; i++) {
			t[i] = (struct toucher){ .p = p, .size = size, .first = i * first_step,
						 .step = step, .seed = round, .start = &start };
			gsvm_thread(&t[i].thread, toucher_loop, &t[i]);
		}
		for (i = 0; i < THREADS; i++)
			gsvm_thread_join(&t[i].thread);
		gpu_pattern(q, p, size, round + 1, WHOLE);
		prefetch(q, p, size, DRM_GSVM_REGION_VRAM);
	}
	pthread_barrier_destroy(&start);
	queue_close(q);
}

/* All at the same page at the same time. */
static void threads_one_page(void)
{
	touch_together(64 * PAGE, 8, PAGE, false);
}

/* All in the same block, pages of their own. */
static void threads_one_block(void)
{
	touch_together(HUGE, PAGE, THREADS * PAGE, false);
}

static void threads_huge_page(void)
{
	touch_together(HUGE, PAGE, THREADS * PAGE, true);
}

static void threads_many_blocks(void)
{
	touch_together(THREADS * MIB, MIB, PAGE, false);
}

struct fighter {
	char *p;
	size_t pages;
	unsigned int word;
	uint64_t rounds, *stop, progress;
	struct thread thread;
};

static void fighter_loop(void *arg)
{
	struct fighter *c = arg;
	size_t i;

	while (!gsvm_peek(c->stop)) {
		for (i = 0; i < c->pages && !gsvm_peek(c->stop); i++)
			__atomic_fetch_add((uint64_t *)(c->p + i * PAGE) + c->word, 1,
					   __ATOMIC_RELAXED);
		/* A round that was cut short is finished: the count is exact. */
		for (; i < c->pages; i++)
			__atomic_fetch_add((uint64_t *)(c->p + i * PAGE) + c->word, 1,
					   __ATOMIC_RELAXED);
		gsvm_poke(&c->progress, ++c->rounds);
	}
}

/*
 * Eight threads pull, the GPU pushes, both count in the same pages: everybody
 * gets on, and no increment is lost.
 */
static void fight(size_t pages, bool huge, uint64_t gpu_rounds, uint64_t cpu_rounds)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	size_t size = (pages * PAGE + HUGE - 1) & ~(HUGE - 1), i, n;
	char *p = huge ? map_huge_aligned(size) : map_block(size);
	struct fighter fighter[THREADS];
	struct gsvm_signal *job;
	uint64_t stop = 0;

	memset(p, 0, size);
	job = gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(p), pages, CTL_ITEMS, 0);
	for (i = 0; i < THREADS; i++) {
		fighter[i] = (struct fighter){ .p = p, .pages = pages, .word = 1 + i,
					       .stop = &stop };
		gsvm_thread(&fighter[i].thread, fighter_loop, &fighter[i]);
	}
	gsvm_await(&ctl->rounds[0], gpu_rounds, "the GPU's rounds against eight threads");
	gsvm_await(&ctl->rounds[CTL_ITEMS - 1], gpu_rounds, "the GPU's rounds");
	for (i = 0; i < THREADS; i++)
		gsvm_await(&fighter[i].progress, cpu_rounds, "a thread's rounds against the GPU");
	gsvm_poke(&stop, 1);
	gsvm_poke(&ctl->stop, 1);
	for (i = 0; i < THREADS; i++)
		gsvm_thread_join(&fighter[i].thread);
	gpu_wait(q, job);
	for (n = 0; n < pages; n++) {
		uint64_t *word = (uint64_t *)(p + n * PAGE);

		gsvm_assert_eq(word[0], ctl->rounds[n % CTL_ITEMS], "the GPU's increments");
		for (i = 0; i < THREADS; i++)
			gsvm_assert_eq(word[1 + i], fighter[i].rounds, "a thread's increments");
	}
	queue_close(q);
}

static void fight_one_page(void)
{
	fight(1, false, 20, 20);
}

static void fight_one_block(void)
{
	fight(BLOCK_PAGES, false, 3, 2);
}

static void fight_huge_page(void)
{
	fight(BLOCK_PAGES, true, 3, 2);
}

static void fight_many_blocks(void)
{
	fight(4 * BLOCK_PAGES, false, 2, 2);
}

/*
 * A block that goes to and fro is left where it is for a while, and later
 * moves again.
 */
static void bounce(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	struct drm_gsvm_vm_query start, now;
	unsigned int rounds;
	int64_t end;

	bounce_slowly();
	cpu_fill(p, HUGE, 0, SPARSE);
	start = vm_counters(q);
	for (rounds = 0; rounds < 400; rounds++) {
		gpu_run(q, "add", 1, U(p), 0, 1, 1);
		gsvm_poke((void *)p, gsvm_peek((void *)p) + 1);
		now = vm_counters(q);
		if (now.bounces > start.bounces)
			break;
	}
	gsvm_assert(now.bounces > start.bounces, "%u rounds, and nobody called it bouncing\n",
		    rounds);
	gpu_run(q, "add", 1, U(p), 0, 1, 1);
	gsvm_assert(in_system(q, p), "the page of a bouncing block is not in system memory\n");
	gsvm_assert_eq(gsvm_peek((void *)p), pattern_word(0, 0) + 2 * (rounds + 1) + 1,
		       "the counter");
	bounce_as_usual();
	/* Left alone by the CPU, the block is the GPU's again some time. */
	end = gsvm_deadline(gsvm_patience_ms());
	while (!in_vram(q, p)) {
		gsvm_assert(gsvm_deadline(0) < end, "the block never moved again\n");
		gsvm_sys(mprotect(p, HUGE, PROT_NONE));
		gsvm_sys(mprotect(p, HUGE, PROT_READ | PROT_WRITE));
		gpu_run(q, "add", 1, U(p), 0, 1, 0);
		gsvm_pace();
	}
	gsvm_assert_eq(gpu_read(q, p), pattern_word(0, 0) + 2 * (rounds + 1) + 1, "the counter");
	queue_close(q);
}

/* No memory for a huge page: small ones do. */
static void no_huge_page(void)
{
	struct queue *q = queue_open();
	size_t size = 4 * HUGE;
	char *p = map_thp_in_vram(q, size, 1);

	/* With huge pages forbidden for the mapping, they cannot come back as such. */
	gsvm_sys(madvise(p, size, MADV_NOHUGEPAGE));
	cpu_verify(p, size, 1, WHOLE, "huge pages, back in small ones");
	gpu_verify(q, p, size, 1, WHOLE, "and again in VRAM");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "one-page", one_page, "a single read brings back little" },
	{ "one-page-write", one_page_write, "a write to one page" },
	{ "random", random_touches, "random touches bring back little" },
	{ "stream", stream, "a stream takes few faults" },
	{ "stream-huge", stream_huge, "likewise through huge pages" },
	{ "two-streams", two_streams, "two threads' streams are told apart" },
	{ "threads-one-page", threads_one_page, "eight threads touch the same page" },
	{ "threads-one-block", threads_one_block, "eight threads share a block" },
	{ "threads-huge-page", threads_huge_page, "eight threads share a huge page" },
	{ "threads-many-blocks", threads_many_blocks, "eight threads, blocks of their own" },
	{ "fight-one-page", fight_one_page, "eight threads and the GPU want one page" },
	{ "fight-one-block", fight_one_block, "likewise one block" },
	{ "fight-huge-page", fight_huge_page, "likewise one huge page" },
	{ "fight-many-blocks", fight_many_blocks, "likewise many blocks" },
	{ "bounce", bounce, "a bouncing block is left alone for a while" },
	{ "no-huge-page", no_huge_page, "huge pages that come back in small ones" },
};

GSVM_MAIN(tests)
