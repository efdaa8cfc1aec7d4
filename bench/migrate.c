/* SPDX-License-Identifier: MIT */
/* Moving memory to VRAM and back: by prefetch, by fault, by the CPU's touch. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SIZE	(32 * MIB)
#define BLOCKS	(SIZE / HUGE)

void fill(void *p, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		*(volatile uint64_t *)((uint8_t *)p + i) = i;
}

void prefetch(struct bench *b, void *p, size_t size, enum gsvm_region region)
{
	int ret = gsvm_vm_prefetch(b->vm, p, size, region, NULL, NULL);

	if (ret)
		die("gsvm_vm_prefetch", ret);
}

/* What the figures say must have happened: else they would be of nothing. */
void must_be(struct bench *b, void *p, size_t size, uint32_t where, const char *what)
{
	static uint32_t words[512];
	size_t wrong = 0, total = size / PAGE;

	for (; size; p = (uint8_t *)p + HUGE, size -= HUGE) {
		int ret = gsvm_vm_residency(b->vm, p, HUGE, words);

		if (ret)
			die("gsvm_vm_residency", ret);
		for (unsigned int i = 0; i < HUGE / PAGE; i++)
			wrong += (words[i] & GSVM_PAGE_WHERE) != where;
	}
	/* Moving is best effort; a little is no matter for a median. */
	if (wrong > total / 50)
		fprintf(stderr, "gsvm-bench: %s: %zu of %zu pages are elsewhere\n", what, wrong,
			total);
}

/* The GPU's copy, on mappings that are there: us per 2 MiB. */
static double copy_us(struct bench *b, uint8_t *to, uint8_t *from)
{
	struct gsvm_signal *signal;
	uint64_t start, end;
	double us = 0;
	int ret = gsvm_signal_create(0, &signal);

	/* The first makes the mappings. */
	for (int i = 0; !ret && i < 2; i++) {
		gsvm_signal_set(signal, 1);
		ret = gsvm_queue_copy(b->queue, to, from, SIZE, signal, 0);
		if (!ret)
			ret = gsvm_signal_wait(signal, b->queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER);
		gsvm_signal_times(signal, &start, &end);
		us = (end - start) / 1e3 / BLOCKS;
	}
	if (ret)
		die("gsvm_queue_copy", ret);
	gsvm_signal_destroy(signal);
	return us;
}

/*
 * The limit, in both directions: huge pages, so that mappings cost least. From now on
 * memory may move.
 */
void bench_limits(struct bench *b)
{
	double in[ROUNDS], out[ROUNDS];

	if (b->copy_in)
		return;
	gsvm_vm_set_migration(b->vm, GSVM_MIGRATE_NEVER);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint8_t *system = memory_get(SIZE, true, true);
		uint8_t *vram = memory_get(SIZE, true, true);

		prefetch(b, vram, SIZE, GSVM_REGION_VRAM);
		in[i] = copy_us(b, vram, system);
		must_be(b, system, SIZE, GSVM_PAGE_SYSTEM, "the limit's system memory");
		must_be(b, vram, SIZE, GSVM_PAGE_VRAM, "the limit's VRAM");
		out[i] = copy_us(b, system, vram);
		memory_put(system, SIZE);
		memory_put(vram, SIZE);
	}
	gsvm_vm_set_migration(b->vm, GSVM_MIGRATE_FIRST);
	b->copy_in = median(in, ROUNDS);
	b->copy_out = median(out, ROUNDS);
}

static double gbs(double us)
{
	return HUGE / us / 1e3;
}

static void speed(const char *what, double us, double limit)
{
	row(what, us, limit, "the GPU's copy", "%5.2f GB/s, %5.0f %% of the limit, %.2f us per page",
	    gbs(us), 100 * limit / us, us / (HUGE / PAGE));
}

static void by_prefetch(struct bench *b, bool huge)
{
	double in[ROUNDS], out[ROUNDS], start;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint8_t *p = memory_get(SIZE, huge, true);

		fill(p, SIZE);
		start = now_us();
		prefetch(b, p, SIZE, GSVM_REGION_VRAM);
		in[i] = (now_us() - start) / BLOCKS;
		must_be(b, p, SIZE, GSVM_PAGE_VRAM, "prefetched memory");
		start = now_us();
		prefetch(b, p, SIZE, GSVM_REGION_SYSTEM);
		out[i] = (now_us() - start) / BLOCKS;
		must_be(b, p, SIZE, GSVM_PAGE_SYSTEM, "memory prefetched back");
		memory_put(p, SIZE);
	}
	speed(huge ? "prefetch to VRAM, 2 MiB pages" : "prefetch to VRAM, 4 KiB pages",
	      median(in, ROUNDS), b->copy_in);
	speed(huge ? "prefetch back, 2 MiB pages" : "prefetch back, 4 KiB pages",
	      median(out, ROUNDS), b->copy_out);
}

static void by_peer(struct bench *b, int fd, bool huge)
{
	uint8_t *mirror = memory_get(SIZE, true, true);
	double in[ROUNDS], out[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint8_t *p = memory_get(SIZE, huge, true);

		in[i] = hmm_move(fd, true, p, mirror, SIZE / PAGE, huge) / BLOCKS;
		out[i] = hmm_move(fd, false, p, mirror, SIZE / PAGE, huge) / BLOCKS;
		memory_put(p, SIZE);
	}
	memory_put(mirror, SIZE);
	speed(huge ? "test_hmm to device, 2 MiB pages" : "test_hmm to device, 4 KiB pages",
	      median(in, ROUNDS), b->copy_in);
	speed(huge ? "test_hmm back, 2 MiB pages" : "test_hmm back, 4 KiB pages",
	      median(out, ROUNDS), b->copy_out);
}

static void peer(struct bench *b)
{
	int fd = hmm_open();

	if (fd < 0) {
		printf("  test_hmm: left out, it is not there\n");
		return;
	}
	by_peer(b, fd, false);
	by_peer(b, fd, true);
	close(fd);
}

/*
 * Time that the driver has waited for its copy engines; 0: cannot tell. Only the
 * directories with a device's address: those with numbers are the same again.
 */
static double copy_wait_us(void)
{
	FILE *f = popen("cat /sys/kernel/debug/dri/*:*/device 2>/dev/null", "r");
	unsigned long long ns, sum = 0;
	char line[512], *at;

	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, " wait_ns ");
		if (!strncmp(line, "copy", 4) && at && sscanf(at, " wait_ns %llu", &ns) == 1)
			sum += ns;
	}
	if (f)
		pclose(f);
	return sum / 1e3;
}

/* One fault per 2 MiB, one at a time. */
static void by_fault(struct bench *b, bool huge)
{
	double total[ROUNDS], driver[ROUNDS], wait[ROUNDS], t, d, w;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint8_t *p = memory_get(SIZE, huge, true);
		double before;
		struct job job;

		fill(p, SIZE);
		before = copy_wait_us();
		job = gpu_touch(b, p, HUGE, BLOCKS, 1, false);
		wait[i] = (copy_wait_us() - before) / BLOCKS;
		must_be(b, p, SIZE, GSVM_PAGE_VRAM, "memory that faults moved");
		memory_put(p, SIZE);
		total[i] = job.us / BLOCKS;
		driver[i] = job.driver_us / BLOCKS;
	}
	t = median(total, ROUNDS);
	d = median(driver, ROUNDS);
	w = median(wait, ROUNDS);
	row(huge ? "fault on a 2 MiB page" : "fault on a block of 4 KiB pages", t, b->copy_in,
	    "the GPU's copy", NULL);
	row("    in the driver's service", d, b->copy_in, "the GPU's copy",
	    "copying is %.0f %% of it (by the limit)%s", 100 * b->copy_in / d, "");
	if (w > 0)
		row("    waiting for the copy engine", w, b->copy_in, "the GPU's copy",
		    "%.0f %% of the service", 100 * w / d);
}

static double touch_back(struct bench *b, bool huge, size_t step)
{
	uint8_t *p = memory_get(SIZE, huge, true);
	unsigned int n = 0;
	double start, us;

	prefetch(b, p, SIZE, GSVM_REGION_VRAM);
	must_be(b, p, SIZE, GSVM_PAGE_VRAM, "prefetched memory");
	start = now_us();
	/* 7919 is prime to the number of pages: an order that looks like none. */
	for (size_t i = 0; i < SIZE / PAGE; i += step, n++)
		*(volatile uint8_t *)(p + (step == 1 ? i : i * 7919 % (SIZE / PAGE)) * PAGE) = 1;
	us = (now_us() - start) / n;
	memory_put(p, SIZE);
	return us;
}

static void by_cpu(struct bench *b)
{
	double random[ROUNDS], stream[2][ROUNDS], s;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		random[i] = touch_back(b, false, 64);
		for (int huge = 0; huge <= 1; huge++)
			stream[huge][i] = touch_back(b, huge, 1);
	}
	row("CPU touch, one page here, one there", median(random, ROUNDS), b->cpu_fault,
	    "CPU fault", NULL);
	for (int huge = 0; huge <= 1; huge++) {
		s = median(stream[huge], ROUNDS);
		row(huge ? "CPU stream, per page, 2 MiB pages" : "CPU stream, per page, 4 KiB pages",
		    s, b->cpu_fault, "CPU fault", "%.2f s per GiB, %.2f GB/s",
		    s * (1024 * MIB / PAGE) / 1e6, PAGE / s / 1e3);
	}
}

void bench_migrate(struct bench *b)
{
	section("Moving memory, per 2 MiB, of 32 MiB");
	bench_limits(b);
	row("the GPU's copy, to VRAM: the limit", b->copy_in, 0, NULL, "          %5.2f GB/s",
	    gbs(b->copy_in));
	row("the GPU's copy, from VRAM: the limit", b->copy_out, 0, NULL, "          %5.2f GB/s",
	    gbs(b->copy_out));
	by_prefetch(b, false);
	by_prefetch(b, true);
	peer(b);

	section("GPU faults that move memory, one at a time");
	by_fault(b, false);
	by_fault(b, true);

	section("The CPU's touch brings memory back");
	by_cpu(b);
}
