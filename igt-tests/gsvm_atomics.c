// SPDX-License-Identifier: MIT
/*
 * Atomics: CPU and GPU on one word, counted exactly; and the order of plain
 * accesses around them.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

/**
 * struct adder - a CPU thread that adds to a word while the GPU does
 */
struct adder {
	uint64_t *word, *lock, *stop;
	uint64_t done;
	struct thread thread;
};

static void add_loop(void *arg)
{
	struct adder *a = arg;

	while (!gsvm_peek(a->stop)) {
		__atomic_fetch_add(a->word, 1, __ATOMIC_RELAXED);
		a->done++;
	}
}

static void count_one_word(void *word)
{
	struct queue *q = queue_open();
	struct adder a = { .word = word, .stop = map_shared(PAGE) };
	struct gsvm_signal *job;
	uint64_t before;

	before = *(uint64_t *)word;
	gsvm_thread(&a.thread, add_loop, &a);
	job = gpu_launch(q, "add", 64, U(word), 0, 2000, 1);
	gpu_wait(q, job);
	gsvm_poke(a.stop, 1);
	gsvm_thread_join(&a.thread);
	gsvm_assert(a.done, "the CPU did not get to add\n");
	gsvm_assert_eq(*(uint64_t *)word - before, 64 * 2000 + a.done, "sum of all increments");
	queue_close(q);
}

static void count_private(void)
{
	count_one_word(map_anon(PAGE));
}

static void count_shared(void)
{
	count_one_word(map_shared(PAGE));
}

static void count_huge(void)
{
	char *p = map_huge_aligned(HUGE);

	count_one_word(p + HUGE / 2);
}

/* Many words in one line, so that nobody's update may disturb a neighbour. */
static void neighbour_words(void)
{
	struct queue *q = queue_open();
	uint64_t *p = map_anon(PAGE);
	struct gsvm_signal *job;
	int i, n = 0;

	job = gpu_launch(q, "add", 4, U(p), 16, 5000, 1);
	do {
		/* Plain stores to the words between the GPU's. */
		for (i = 0; i < 4; i++)
			((volatile uint64_t *)p)[2 * i + 1]++;
		n++;
	} while (!gpu_done(job));
	gpu_wait(q, job);
	for (i = 0; i < 4; i++) {
		gsvm_assert_eq(p[2 * i], 5000, "word of the GPU");
		gsvm_assert_eq(p[2 * i + 1], n, "word of the CPU");
	}
	queue_close(q);
}

static void lock_loop(void *arg)
{
	struct adder *a = arg;
	uint64_t expect;

	while (!gsvm_peek(a->stop)) {
		expect = 0;
		if (!__atomic_compare_exchange_n(a->lock, &expect, 1, 0, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		*(volatile uint64_t *)a->word = *(volatile uint64_t *)a->word + 1;
		__atomic_store_n(a->lock, 0, __ATOMIC_RELEASE);
		a->done++;
	}
}

/* A spin lock in shared memory, taken by both sides, protects a plain word. */
static void spin_lock(void)
{
	struct queue *q = queue_open();
	uint64_t *p = map_anon(2 * PAGE);
	struct adder a = { .lock = p, .word = p + PAGE / 8, .stop = map_shared(PAGE) };

	gsvm_thread(&a.thread, lock_loop, &a);
	gpu_run(q, "locked_add", 8, U(a.lock), U(a.word), 200);
	gsvm_poke(a.stop, 1);
	gsvm_thread_join(&a.thread);
	gsvm_assert_eq(*a.word, 8 * 200 + a.done, "word protected by the lock");
	gsvm_assert_eq(*a.lock, 0, "the lock at the end");
	queue_close(q);
}

/* A word changes hands by a flag: what was written before is seen after. */
static void pass_the_turn(void)
{
	struct queue *q = queue_open();
	uint64_t *turn = map_anon(PAGE), *word = map_anon(PAGE);
	struct gsvm_signal *job;
	uint64_t i, steps = 500;

	job = gpu_launch(q, "pingpong", 1, U(turn), U(word), steps);
	for (i = 0; i < steps; i++) {
		gsvm_await(turn, 2 * i, "the GPU's step");
		gsvm_assert_eq(*word, 2 * i, "word at the CPU's turn");
		*word = 2 * i + 1;
		gsvm_poke(turn, 2 * i + 1);
	}
	gsvm_await(turn, 2 * steps, "the GPU's last step");
	gsvm_assert_eq(*word, 2 * steps, "word at the end");
	gpu_wait(q, job);
	queue_close(q);
}

/* The word's page is taken away again and again while both sides count. */
static void count_while_moving(void)
{
	struct queue *q = queue_open();
	uint64_t *p = map_anon(PAGE);
	struct adder a = { .word = p, .stop = map_shared(PAGE) };
	struct gsvm_signal *job;
	int i;

	gsvm_thread(&a.thread, add_loop, &a);
	job = gpu_launch(q, "add", 32, U(p), 0, 2000, 1);
	for (i = 0; !gpu_done(job) && i < 300; i++) {
		/* Write-protects the page: either side must ask for it anew. */
		struct child *c = gsvm_fork();

		if (!c->pid)
			gsvm_exit();
		gsvm_join(c);
	}
	gpu_wait(q, job);
	gsvm_poke(a.stop, 1);
	gsvm_thread_join(&a.thread);
	gsvm_assert_eq(*p, 32 * 2000 + a.done, "sum of all increments");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "count-private", count_private, "CPU and GPU add to one word of private memory" },
	{ "count-shared", count_shared, "likewise shared" },
	{ "count-huge", count_huge, "likewise in a huge page" },
	{ "neighbour-words", neighbour_words, "nobody disturbs the word beside" },
	{ "spin-lock", spin_lock, "one lock for both sides" },
	{ "pass-the-turn", pass_the_turn, "a flag orders plain accesses" },
	{ "count-while-moving", count_while_moving, "copy-on-write of the word's page meanwhile" },
};

GSVM_MAIN(tests)
