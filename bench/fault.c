/* SPDX-License-Identifier: MIT */
/* One GPU fault after the other, by one work-item: what each costs, and where. */
#include "bench.h"

struct kind {
	const char *name;
	bool huge;		/* transparent huge pages */
	bool populate;		/* the CPU has been there */
	size_t stride;
	unsigned int count;
};

static const struct kind kinds[] = {
	{ "4 KiB, nobody was there", false, false, PAGE, 256 },
	{ "4 KiB, the CPU was there (maps 512)", false, true, HUGE, 16 },
	{ "2 MiB, nobody was there", true, false, HUGE, 16 },
	{ "2 MiB, the CPU was there", true, true, HUGE, 16 },
};

static void one(struct bench *b, const struct kind *k)
{
	double total[ROUNDS], driver[ROUNDS], t, d;
	size_t size = k->stride * k->count;
	struct job job = {0};
	bool huge = k->huge;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		void *p = memory_get(size, huge, k->populate);

		job = gpu_touch(b, p, k->stride, k->count, 1, true);
		memory_put(p, size);
		if (!job.faults)
			die("a benchmark job without faults", 0);
		total[i] = job.us / job.faults;
		driver[i] = job.driver_us / job.faults;
	}
	t = median(total, ROUNDS);
	d = median(driver, ROUNDS);
	row(k->name, t, huge ? b->cpu_huge : b->cpu_fault, huge ? "CPU 2 MiB" : "CPU fault",
	    "%.1f pages, %.1f huge per fault", (double)job.mapped / job.faults,
	    (double)job.huge / job.faults);
	row("    in the driver's service", d, huge ? b->cpu_huge : b->cpu_fault,
	    huge ? "CPU 2 MiB" : "CPU fault", NULL);
	row("    transport: record, interrupt, resume", t - d,
	    huge ? b->cpu_huge : b->cpu_fault, huge ? "CPU 2 MiB" : "CPU fault", NULL);
}

void bench_fault(struct bench *b)
{
	section("GPU write fault, one at a time");
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		one(b, &kinds[i]);
}
