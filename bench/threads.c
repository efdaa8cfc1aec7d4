/* SPDX-License-Identifier: MIT */
/* Threads of one process that move parts of its memory at the same time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SIZE	(32 * MIB)
#define BLOCKS	(SIZE / HUGE)
#define THREADS	8

/**
 * struct share - one thread's part of the memory
 */
struct share {
	struct bench *b;
	uint8_t *p;
	size_t size;
	bool huge;
	int fd;			/* the peer */
	uint8_t *mirror;	/* likewise */
	void (*work)(struct share *s);
	pthread_t thread;
	pthread_barrier_t *start;
};

static void work_prefetch(struct share *s)
{
	prefetch(s->b, s->p, s->size, GSVM_REGION_VRAM);
}

static void work_prefetch_back(struct share *s)
{
	prefetch(s->b, s->p, s->size, GSVM_REGION_SYSTEM);
}

static void work_touch(struct share *s)
{
	for (size_t i = 0; i < s->size; i += PAGE)
		*(volatile uint8_t *)(s->p + i) = 1;
}

static void work_peer(struct share *s)
{
	hmm_move(s->fd, true, s->p, s->mirror, s->size / PAGE, s->huge);
}

/**
 * struct question - what the threads do
 */
struct question {
	const char *name;
	void (*work)(struct share *s);
	bool from_vram;
	bool peer;
	unsigned int most;
};

static const struct question questions[] = {
	{ "prefetch", work_prefetch, false, false, 4 },
	{ "prefetch back", work_prefetch_back, true, false, 4 },
	{ "test_hmm to device", work_peer, false, true, 4 },
	{ "CPU touch", work_touch, true, false, THREADS },
};

/* How often processors have had others flush their TLBs; the row of /proc/interrupts. */
static uint64_t shootdowns(void)
{
	FILE *f = fopen("/proc/interrupts", "re");
	uint64_t sum = 0;
	char line[4096], *at, *end;

	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "TLB:");
		if (!at)
			continue;
		for (at += 4;; at = end) {
			unsigned long long n = strtoull(at, &end, 10);

			if (end == at)
				break;
			sum += n;
		}
	}
	if (f)
		fclose(f);
	return sum;
}

static void *share_loop(void *arg)
{
	struct share *s = arg;

	pthread_barrier_wait(s->start);
	s->work(s);
	return NULL;
}

/* All threads together: us per 2 MiB. */
static double together(struct bench *b, const struct question *q, unsigned int n, bool huge, int fd)
{
	uint8_t *p = memory_get(SIZE, huge, true), *mirror = NULL;
	pthread_barrier_t start;
	struct share s[THREADS];
	double begin, us;

	fill(p, SIZE);
	if (q->from_vram)
		prefetch(b, p, SIZE, GSVM_REGION_VRAM);
	if (q->peer)
		mirror = memory_get(SIZE, true, true);
	pthread_barrier_init(&start, NULL, n + 1);
	for (unsigned int i = 0; i < n; i++) {
		s[i] = (struct share){ b, p + i * (SIZE / n), SIZE / n, huge, fd,
				       mirror + i * (SIZE / n), q->work, 0, &start };
		if (pthread_create(&s[i].thread, NULL, share_loop, &s[i]))
			die("pthread_create", 0);
	}
	pthread_barrier_wait(&start);
	begin = now_us();
	for (unsigned int i = 0; i < n; i++)
		pthread_join(s[i].thread, NULL);
	us = (now_us() - begin) / BLOCKS;
	pthread_barrier_destroy(&start);
	memory_put(p, SIZE);
	if (mirror)
		memory_put(mirror, SIZE);
	return us;
}

static void by_threads(struct bench *b, const struct question *q, bool huge, int fd)
{
	double one = 0;

	for (unsigned int n = 1; n <= q->most; n *= 2) {
		uint64_t flushed = shootdowns();
		double us[ROUNDS], m;
		char name[64];

		for (unsigned int i = 0; i < ROUNDS; i++)
			us[i] = together(b, q, n, huge, fd);
		m = median(us, ROUNDS);
		one = one ? one : m;
		snprintf(name, sizeof(name), "%s, %s pages, %u thread%s", q->name,
			 huge ? "2 MiB" : "4 KiB", n, n > 1 ? "s" : "");
		row(name, m, one, "one thread", "%.2f GB/s, %.2f TLB shootdowns per page",
		    HUGE / m / 1e3,
		    (double)(shootdowns() - flushed) / ROUNDS / (SIZE / (huge ? HUGE : PAGE)));
	}
}

void bench_threads(struct bench *b)
{
	int fd = hmm_open();

	bench_limits(b);
	section("Threads at once, per 2 MiB");
	for (unsigned int i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		for (int huge = 0; huge <= 1; huge++)
			if (!questions[i].peer || fd >= 0)
				by_threads(b, &questions[i], huge, fd);
	if (fd >= 0)
		close(fd);
}
