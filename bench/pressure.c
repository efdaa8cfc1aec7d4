/* SPDX-License-Identifier: MIT */
/* Kernels on less and on more memory than there is VRAM. */
#include <stdio.h>

#include "bench.h"

static uint64_t evicted(struct bench *b)
{
	struct gsvm_vram_stats s = { .size = sizeof(s) };
	int ret = gsvm_device_vram(b->device, &s);

	if (ret)
		die("gsvm_device_vram", ret);
	return s.pages_evicted;
}

/*
 * The ideal of a pass in order: all of it comes in once, what does not fit goes
 * out once, at the speed of the GPU's copy, and the GPU's own work besides.
 */
static void sequential(struct bench *b, size_t size, size_t vram, double work_us)
{
	size_t over = size > vram ? size - vram : 0;
	double ideal = size / HUGE * b->copy_in + over / HUGE * b->copy_out +
		       size / PAGE * work_us;
	struct job job = {0};
	double us[ROUNDS];
	uint64_t before = 0;
	char name[64];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint8_t *p = memory_get(size, true, true);

		before = evicted(b);
		job = gpu_touch(b, p, PAGE, 1, size / PAGE, true);
		us[i] = job.us / (size / PAGE);
		memory_put(p, size);
	}
	snprintf(name, sizeof(name), "in order, %zu %% of VRAM", 100 * size / vram);
	row(name, median(us, ROUNDS), ideal / (size / PAGE), "ideal",
	    "in the last round %llu faults, %llu pages evicted, %llu times left where it was",
	    (unsigned long long)job.faults, (unsigned long long)(evicted(b) - before),
	    (unsigned long long)job.left);
}

/* What a touch costs with everything in place, in us. */
static double touch_us(struct bench *b, size_t size)
{
	uint8_t *p = memory_get(size, true, true);
	double us[ROUNDS];

	gpu_touch(b, p, PAGE, 1, size / PAGE, true);
	for (unsigned int i = 0; i < ROUNDS; i++)
		us[i] = gpu_touch(b, p, PAGE, 1, size / PAGE, true).us / (size / PAGE);
	memory_put(p, size);
	return median(us, ROUNDS);
}

/* One job of random touches. The ideal moves the one page that is missing in, and one out. */
static void scatter(struct bench *b, const char *name, void *p, size_t size, size_t vram,
		    uint32_t items, uint64_t count, double work_us)
{
	double miss = size > vram ? 1 - (double)vram / size : 0;
	double ideal = work_us + miss * (b->copy_in + b->copy_out) / (HUGE / PAGE);
	uint64_t before = evicted(b);
	struct job job = gpu_scatter(b, p, size / PAGE, count, items);

	row(name, job.us / (items * count), ideal, "ideal",
	    "%llu faults, %llu pages evicted, %llu times left where it was",
	    (unsigned long long)job.faults, (unsigned long long)(evicted(b) - before),
	    (unsigned long long)job.left);
}

/* Random touches after a pass over everything in order: the first ones, and many more. */
static void random_order(struct bench *b, size_t size, size_t vram, double work_us)
{
	uint8_t *p = memory_get(size, true, true);
	char name[64];

	gpu_touch(b, p, PAGE, 1, size / PAGE, true);
	snprintf(name, sizeof(name), "at random, %zu %% of VRAM, 2048 touches", 100 * size / vram);
	scatter(b, name, p, size, vram, 64, 32, work_us);
	scatter(b, "    131072 more", p, size, vram, 64, 2048, work_us);
	memory_put(p, size);
}

void bench_pressure(struct bench *b)
{
	static const unsigned int percent[] = { 50, 90, 120, 200, 800 };
	struct gsvm_vram_stats s = { .size = sizeof(s) };
	double work_us;
	int ret = gsvm_device_vram(b->device, &s);

	if (ret)
		die("gsvm_device_vram", ret);
	bench_limits(b);
	section("Kernels on a share of VRAM, us per touched page, against the transfer-limited ideal");
	work_us = touch_us(b, s.total / 4);
	row("in VRAM already", work_us, 0, NULL, NULL);
	for (unsigned int i = 0; i < 2 * sizeof(percent) / sizeof(percent[0]); i++) {
		size_t size = s.total / 100 * percent[i / 2] / HUGE * HUGE;

		/* What leaves VRAM has to go somewhere. */
		if (size > memory_available() / 4 * 3) {
			printf("  %u %% of VRAM: left out, the machine has too little memory\n",
			       percent[i / 2]);
			continue;
		}
		if (i % 2)
			random_order(b, size, s.total, work_us);
		else
			sequential(b, size, s.total, work_us);
	}
}
