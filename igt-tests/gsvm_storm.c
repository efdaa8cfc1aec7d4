// SPDX-License-Identifier: MIT
/*
 * A fault ring that is far too small (module parameter fault_ring_log2=4): what
 * does not fit stays parked, is reported when there is room, and nothing is
 * lost. Run on a machine of its own, see tools/check.
 */
#include <glob.h>
#include <stdio.h>
#include <sys/mman.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define RING_LOG2	"/sys/module/gsvm/parameters/fault_ring_log2"

static unsigned int ring_log2(void)
{
	unsigned int log2 = ~0u;
	FILE *f = fopen(RING_LOG2, "re");

	gsvm_assert(f && fscanf(f, "%u", &log2) == 1, "%s cannot be read\n", RING_LOG2);
	fclose(f);
	return log2;
}

/* Faults that a full ring held back, since the device was reset. */
static unsigned long long held_back(void)
{
	unsigned long long n = 0;
	bool found = false;
	char line[128];
	glob_t files;
	FILE *f;

	gsvm_assert(!glob("/sys/kernel/debug/dri/*/stats", 0, NULL, &files),
		    "no statistics in debugfs\n");
	f = fopen(files.gl_pathv[0], "re");
	while (f && fgets(line, sizeof(line), f))
		found |= sscanf(line, "fault_full: %llu", &n) == 1;
	if (f)
		fclose(f);
	globfree(&files);
	gsvm_assert(found, "no fault_full in the statistics\n");
	return n;
}

static void overflow(void)
{
	unsigned long long before = held_back();
	struct queue *q = queue_open();
	uint32_t n = 4096;
	char *p, *blocks;

	gsvm_require(ring_log2() <= 6, "the fault ring is too large: load gsvm with fault_ring_log2=4\n");
	/* Each in a block of its own, or the device reports but one of them at first. */
	blocks = mmap(NULL, n * HUGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	gsvm_assert(blocks != MAP_FAILED, "mmap\n");
	gsvm_sys(madvise(blocks, n * HUGE, MADV_NOHUGEPAGE));
	gpu_run(q, "add", n, U(blocks), HUGE, 1, 3);
	cpu_check(blocks, HUGE, n, 3, 0, "page of a fault storm");
	gsvm_assert(held_back() > before, "the ring never was full\n");
	/* And then the rest of a block comes at once. */
	p = map_anon(n * PAGE);
	gpu_run(q, "add", n, U(p), PAGE, 1, 3);
	cpu_check(p, PAGE, n, 3, 0, "neighbouring page of a fault storm");
	munmap(blocks, n * HUGE);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "overflow", overflow, "4,096 faults at once through a ring of 16" },
};

GSVM_MAIN(tests)
