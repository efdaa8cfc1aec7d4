/* SPDX-License-Identifier: MIT */
/* Faults per second when many work-items fault at once. */
#include <stdio.h>

#include "bench.h"

void bench_rate(struct bench *b)
{
	static const unsigned int items[] = { 1, 8, 1000 };
	const unsigned int pages = 2000;
	double one = 0;

	section("GPU faults per second, each on a page of its own, nobody was there");
	for (unsigned int n = 0; n < sizeof(items) / sizeof(items[0]); n++) {
		double rate[ROUNDS], r;
		struct job job = {0};

		for (unsigned int i = 0; i < ROUNDS; i++) {
			void *p = memory_get(pages * PAGE, false, false);

			job = gpu_touch(b, p, PAGE, pages / items[n], items[n], true);
			memory_put(p, pages * PAGE);
			rate[i] = pages / items[n] * items[n] / job.us * 1e6;
		}
		r = median(rate, ROUNDS);
		one = one ? one : r;
		printf("  %-44s %10.0f /s  %8.2f x one work-item   %.1f pages per service\n",
		       items[n] == 1 ? "1 work-item" : items[n] == 8 ? "8 work-items" :
		       "1000 work-items", r, r / one, (double)job.mapped / job.services);
	}
	printf("  %-44s %10.0f /s  %8.2f x one work-item\n", "the CPU, one thread",
	       1e6 / b->cpu_fault, 1e6 / b->cpu_fault / one);
}
