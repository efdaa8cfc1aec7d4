/* SPDX-License-Identifier: MIT */
/* The units that all else is compared with: the CPU's own first touches. */
#include "bench.h"

static double first_touch(bool huge, unsigned int n)
{
	size_t step = huge ? HUGE : PAGE;
	volatile uint8_t *p = memory_get(n * step, huge, false);
	double start = now_us(), us;

	for (unsigned int i = 0; i < n; i++)
		p[i * step] = 1;
	us = (now_us() - start) / n;
	memory_put((void *)p, n * step);
	return us;
}

void bench_cpu(struct bench *b)
{
	double small[ROUNDS], huge[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		small[i] = first_touch(false, 1024);
		huge[i] = first_touch(true, 16);
	}
	b->cpu_fault = median(small, ROUNDS);
	b->cpu_huge = median(huge, ROUNDS);
	section("CPU, for comparison");
	row("minor fault, 4 KiB", b->cpu_fault, 0, NULL, NULL);
	row("first touch of 2 MiB (THP)", b->cpu_huge, b->cpu_fault, "CPU fault", NULL);
}
