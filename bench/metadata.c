/* SPDX-License-Identifier: MIT */
/* Kernel memory that the mirror takes. */
#include <stdio.h>

#include "bench.h"

#define SIZE	(256 * MIB)

void bench_metadata(struct bench *b)
{
	section("Kernel memory for the mirror, per GiB mirrored");
	for (int huge = 0; huge <= 1; huge++) {
		/* A VM of its own: blocks of earlier benchmarks are freed some time. */
		struct bench fresh = *b;
		uint64_t before, bytes;
		struct job job;
		void *p;

		gpu_open(&fresh, b->path);
		before = gpu_metadata(&fresh);
		p = memory_get(SIZE, huge, true);
		job = gpu_touch(&fresh, p, HUGE, SIZE / HUGE, 1, true);
		bytes = gpu_metadata(&fresh) - before;
		printf("  %-44s %10.1f KiB  %8.4f %% of the memory   %llu of %llu pages huge\n",
		       huge ? "as 2 MiB entries" : "as 4 KiB pages",
		       bytes / 1024.0 * (1024 * MIB / SIZE), 100.0 * bytes / SIZE,
		       (unsigned long long)job.huge * (HUGE / PAGE),
		       (unsigned long long)job.mapped);
		memory_put(p, SIZE);
		gpu_close(&fresh);
	}
}
