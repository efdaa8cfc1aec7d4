// SPDX-License-Identifier: MIT
/*
 * More memory in use than there is VRAM: the least recently used goes, all of
 * it stays right, everybody gets on, and who is gone or asleep holds nothing.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

static void little_vram(struct queue *q)
{
	gsvm_require(vram_size(q) <= 128 * MIB, "this is for a GPU with little VRAM\n");
}

/*
 * Passes of writing and checking, in jobs that go up to twice around VRAM; @share: in
 * 16ths of VRAM.
 */
static void working_set(unsigned int share, unsigned int passes, bool huge)
{
	struct queue *q = queue_open();
	uint64_t evicted = vram_evicted(q), unused = vram_free(q);
	size_t size = (vram_size(q) / 16 * share) & ~(HUGE - 1), at;
	size_t job = size < 2 * vram_size(q) ? size : 2 * vram_size(q);
	uint32_t pass;
	char *p;

	little_vram(q);
	p = huge ? map_huge_aligned(size) : map_block(size);
	for (pass = 1; pass <= passes; pass++) {
		for (at = 0; at < size; at += job)
			gpu_pattern(q, p + at, job, 8 * pass + at / job, SPARSE);
		for (at = 0; at < size; at += job)
			gpu_verify(q, p + at, job, 8 * pass + at / job, SPARSE, "the working set");
	}
	/* Not all of the rest need ever have been in VRAM. */
	if (share > 16)
		gsvm_assert(vram_evicted(q) - evicted >= (size - vram_size(q)) / PAGE / 4,
			    "%llu pages were evicted\n",
			    (unsigned long long)(vram_evicted(q) - evicted));
	else
		gsvm_assert_eq(vram_evicted(q), evicted, "pages evicted though all would fit");
	for (at = 0; at < size; at += job)
		cpu_verify(p + at, job, 8 * (pass - 1) + at / job, SPARSE, "the working set");
	gsvm_sys(munmap(p, size));
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

static void half(void)
{
	working_set(8, 4, false);
}

static void one_and_a_half(void)
{
	working_set(24, 3, false);
}

static void one_and_a_half_huge(void)
{
	working_set(24, 3, true);
}

static void twice(void)
{
	working_set(32, 2, false);
}

static void eightfold(void)
{
	working_set(128, 1, false);
}

static void eightfold_huge(void)
{
	working_set(128, 1, true);
}

/* CPU and GPU take turns on more than fits. */
static void both_sides(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) / 4 * 5, half_size = size / 2 & ~(HUGE - 1), at;
	uint64_t evicted = vram_evicted(q);
	struct gsvm_signal *job;
	uint32_t round;
	char *p;

	little_vram(q);
	p = map_block(2 * half_size);
	cpu_fill(p, 2 * half_size, 0, SPARSE);
	for (round = 0; round < 3; round++) {
		/* The GPU has one half, the CPU the other; then they change places. */
		char *gpu = p + (round % 2) * half_size, *cpu = p + (~round % 2) * half_size;

		job = gpu_launch(q, "pattern_fill", half_size / PAGE, U(gpu),
				 (uint64_t)(10 + round) << 36, SPARSE);
		for (at = 0; at < half_size; at += HUGE)
			cpu_fill(cpu + at, HUGE, 20 + round, SPARSE);
		gpu_wait(q, job);
		gpu_verify(q, gpu, half_size, 10 + round, SPARSE, "the GPU's half");
		for (at = 0; at < half_size; at += HUGE)
			gpu_verify(q, cpu + at, HUGE, 20 + round, SPARSE, "the CPU's half");
	}
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	queue_close(q);
}

/* What the GPU uses all the time stays; what it used once goes. */
static void least_recently_used(void)
{
	struct queue *q = queue_open();
	uint64_t evicted = vram_evicted(q);
	size_t hot_size = 8 * MIB, size = vram_size(q) * 2, at;
	char *hot, *p;
	struct place place;

	little_vram(q);
	hot = map_block(hot_size);
	p = map_block(size);
	/*
	 * Prefetched, each block has a chunk of VRAM to itself. The few pages that a fault
	 * may make share one with those of other blocks, and stay for as long as any is hot.
	 */
	to_vram(q, hot, hot_size);
	gpu_pattern(q, hot, hot_size, 1, SPARSE);
	for (at = 0; at < size; at += 4 * MIB) {
		prefetch(q, p + at, 4 * MIB, DRM_GSVM_REGION_VRAM);
		gpu_pattern(q, p + at, 4 * MIB, 2, 512);
		gpu_verify(q, hot, hot_size, 1, 512, "the hot memory");
	}
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	place = place_of(q, hot, hot_size);
	gsvm_assert(place.vram >= hot_size / PAGE / 2,
		    "of the hot memory, only %zu of %zu pages are in VRAM\n", place.vram,
		    hot_size / PAGE);
	place = place_of(q, p, 8 * MIB);
	gsvm_assert(!place.vram, "%zu pages that were used first and once are in VRAM\n",
		    place.vram);
	queue_close(q);
}

/* Processes with a working set each; together 1.5 times what there is. */
static void processes(unsigned int n, unsigned int passes)
{
	struct queue *q = queue_open();
	uint64_t evicted = vram_evicted(q), unused = vram_free(q);
	size_t size = (vram_size(q) * 3 / 2 / n) & ~(HUGE - 1);
	struct child *c[8];
	unsigned int i;

	little_vram(q);
	for (i = 0; i < n; i++) {
		c[i] = gsvm_fork();
		if (!c[i]->pid) {
			struct queue *own = queue_open();
			char *p = map_block(size);
			uint32_t pass;

			for (pass = 1; pass <= passes; pass++) {
				gpu_pattern(own, p, size, 100 * i + pass, SPARSE);
				gpu_verify(own, p, size, 100 * i + pass, SPARSE, "a process's set");
			}
			cpu_verify(p, size, 100 * i + pass - 1, SPARSE, "a process's set");
			gsvm_exit();
		}
	}
	for (i = 0; i < n; i++)
		gsvm_join(c[i]);
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	expect_vram_free(q, unused, "when all processes are gone");
	queue_close(q);
}

static void two_processes(void)
{
	processes(2, 3);
}

static void four_processes(void)
{
	processes(4, 2);
}

/* While one does eight rounds, another with the same to do has done two at least. */
static void fair(void)
{
	struct queue *q = queue_open();
	size_t size = (vram_size(q) * 3 / 4) & ~(HUGE - 1);
	uint64_t *rounds = map_shared(PAGE), *stop = rounds + 64;
	struct child *c[2];
	unsigned int i;

	little_vram(q);
	for (i = 0; i < 2; i++) {
		c[i] = gsvm_fork();
		if (!c[i]->pid) {
			struct queue *own = queue_open();
			char *p = map_block(size);

			while (!gsvm_peek(stop)) {
				gpu_run(own, "add", size / PAGE, U(p), PAGE, 1, 1);
				gsvm_poke(&rounds[8 * i], rounds[8 * i] + 1);
			}
			cpu_check(p, PAGE, size / PAGE, rounds[8 * i], 0, "a process's counters");
			gsvm_exit();
		}
	}
	for (i = 0; i < 2; i++)
		gsvm_await(&rounds[8 * i], 1, "a process's first round");
	while (gsvm_peek(&rounds[0]) < 8 && gsvm_peek(&rounds[8]) < 8)
		gsvm_pace();
	gsvm_poke(stop, 1);
	for (i = 0; i < 2; i++)
		gsvm_join(c[i]);
	gsvm_assert(rounds[0] >= 2 && rounds[8] >= 2, "%llu rounds of one, %llu of the other\n",
		    (unsigned long long)rounds[0], (unsigned long long)rounds[8]);
	queue_close(q);
}

/* A process that fills VRAM and then does nothing more. */
static struct child *occupant(size_t size)
{
	struct child *c = gsvm_fork();

	if (!c->pid) {
		struct queue *own = queue_open();
		char *p = map_block(size);

		gpu_pattern(own, p, size, 7, SPARSE);
		to_vram(own, p, size);
		gsvm_tell(c);
		gsvm_hear(c);
		gpu_verify(own, p, size, 7, SPARSE, "the occupant's memory, later");
		cpu_verify(p, size, 7, SPARSE, "the occupant's memory, later");
		gsvm_exit();
	}
	gsvm_hear(c);
	return c;
}

/* Stopped, it holds nothing that others need; and lost nothing. */
static void stopped(void)
{
	struct queue *q = queue_open();
	uint64_t evicted = vram_evicted(q);
	size_t size = (vram_size(q) / 4 * 3) & ~(HUGE - 1);
	struct child *c;
	int status;
	char *p;

	little_vram(q);
	c = occupant(size);
	gsvm_sys(kill(c->pid, SIGSTOP));
	gsvm_sys(waitpid(c->pid, &status, WUNTRACED));
	gsvm_assert(WIFSTOPPED(status), "the child did not stop\n");
	p = map_block(size);
	gpu_pattern(q, p, size, 1, SPARSE);
	to_vram(q, p, size);
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	gpu_verify(q, p, size, 1, SPARSE, "memory beside a stopped process's");
	gsvm_sys(kill(c->pid, SIGCONT));
	gsvm_tell(c);
	gsvm_join(c);
	cpu_verify(p, size, 1, SPARSE, "memory beside a stopped process's");
	queue_close(q);
}

static void killed(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	size_t size = (vram_size(q) / 4 * 3) & ~(HUGE - 1);
	int round;

	for (round = 0; round < 4; round++) {
		struct child *c = occupant(size);

		gsvm_assert(vram_free(q) + size <= unused, "the occupant has no VRAM\n");
		gsvm_kill(c);
		expect_vram_free(q, unused, "after the occupant's death");
	}
	queue_close(q);
}

/* Killed in the midst of moving and evicting, later each time. */
static void killed_under_pressure(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	size_t size = vram_size(q) / 4 * 5;
	int round, i;

	little_vram(q);
	for (round = 0; round < 4; round++) {
		uint64_t enough = vram_evicted(q) + (1 + 3 * round) * HUGE / PAGE;
		int64_t end = gsvm_deadline(gsvm_patience_ms());
		struct child *c[2];

		for (i = 0; i < 2; i++) {
			c[i] = gsvm_fork();
			if (!c[i]->pid) {
				struct queue *own = queue_open();
				char *p = map_block(size);

				for (;;)
					gpu_run(own, "add", size / PAGE, U(p), PAGE, 1, 1);
			}
		}
		while (vram_evicted(q) < enough) {
			gsvm_assert(gsvm_deadline(0) < end, "nothing is evicted\n");
			gsvm_pace();
		}
		for (i = 0; i < 2; i++)
			gsvm_kill(c[i]);
	}
	expect_vram_free(q, unused, "after the death of all");
	queue_close(q);
}

/* System memory is short as well: what leaves VRAM has to go on to swap. */
static void memory_short_too(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) / 2 * 3, at, hog_size;
	long available = -1;
	char line[128], *p, *hog;
	FILE *f = fopen("/proc/meminfo", "re");

	little_vram(q);
	gsvm_require(swap_available(), "no swap is active\n");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %ld", &available);
	if (f)
		fclose(f);
	gsvm_assert(available > 0, "no MemAvailable\n");
	gsvm_require(available < 4 << 20, "this is for a machine with little memory\n");
	p = map_block(size);
	gpu_pattern(q, p, size, 1, SPARSE);
	/* All but 100 MiB, kept by touching it over and over again. */
	hog_size = (available / 1024 - 100) * MIB;
	hog = map_block(hog_size);
	for (at = 0; at < hog_size; at += PAGE)
		hog[at] = 1;
	gpu_verify(q, p, size, 1, SPARSE, "with memory short");
	gpu_pattern(q, p, size, 2, SPARSE);
	for (at = 0; at < hog_size; at += 64 * PAGE)
		hog[at] = 2;
	gpu_verify(q, p, size, 2, SPARSE, "with memory short");
	gsvm_sys(munmap(hog, hog_size));
	cpu_verify(p, size, 2, SPARSE, "with memory short");
	queue_close(q);
}

/* Before it is needed, room is made: a quiet moment restores some free VRAM. */
static void background(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) / 4 * 5;
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	uint64_t evicted = vram_evicted(q);
	char *p;

	little_vram(q);
	p = map_block(size);
	gpu_pattern(q, p, size, 1, 512);
	while (vram_free(q) < 2 * HUGE) {
		gsvm_assert(gsvm_deadline(0) < end, "only %llu KiB are free\n",
			    (unsigned long long)vram_free(q) >> 10);
		gsvm_pace();
	}
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	gpu_verify(q, p, size, 1, 512, "afterwards");
	queue_close(q);
}

/*
 * A word here and a word there: it is not worth 2 MiB in and 2 MiB out each time. And
 * when they are read one after the other, they come to VRAM again.
 */
static void scattered(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) * 8, dense = vram_size(q) / 4, at;
	struct drm_gsvm_vm_query start, now;
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	uint64_t evicted, touches, sum = 0;
	struct place place = {};
	uint32_t pass = 2;
	char *p;

	little_vram(q);
	p = map_huge_aligned(size);
	/* All of it is there, and VRAM is full. */
	for (at = 0; at < size; at += PAGE)
		gsvm_poke((void *)(p + at), 0);
	gpu_run(q, "add", size / PAGE, U(p), PAGE, 1, 0);

	start = vm_counters(q);
	evicted = vram_evicted(q);
	for (touches = 0; touches < 10240; touches += 64 * 16)
		gpu_run(q, "scatter", 64, U(p), size / PAGE, 16, touches);
	now = vm_counters(q);
	evicted = vram_evicted(q) - evicted;
	/* Seven of eight touches miss VRAM, and would cost an eviction each. */
	gsvm_assert(evicted / (HUGE / PAGE) <= touches / 20,
		    "%llu pages evicted for %llu touches\n", (unsigned long long)evicted,
		    (unsigned long long)touches);
	gsvm_assert(now.bounces - start.bounces >= size / HUGE / 4,
		    "a block stayed where it was %llu times only\n",
		    (unsigned long long)(now.bounces - start.bounces));
	for (at = 0; at < size; at += 8)
		sum += at % PAGE ? *(volatile uint64_t *)(p + at) : 0;
	gsvm_assert_eq(sum, touches, "all that was added");

	/* Much used, a part of it is the GPU's again some time. */
	do {
		gsvm_assert(gsvm_deadline(0) < end, "only %zu of %zu pages are in VRAM again\n",
			    place.vram, dense / PAGE);
		gpu_pattern(q, p, dense, pass, SPARSE);
		gpu_verify(q, p, dense, pass++, SPARSE, "the part that is much used");
		place = place_of(q, p, dense);
	} while (place.vram < dense / PAGE / 4 * 3);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "half", half, "a working set of half of VRAM: nothing is evicted" },
	{ "one-and-a-half", one_and_a_half, "1.5 times VRAM" },
	{ "one-and-a-half-huge", one_and_a_half_huge, "likewise with huge pages" },
	{ "twice", twice, "twice VRAM" },
	{ "eightfold", eightfold, "eight times VRAM" },
	{ "eightfold-huge", eightfold_huge, "likewise with huge pages" },
	{ "both-sides", both_sides, "CPU and GPU change places" },
	{ "least-recently-used", least_recently_used, "what is used stays" },
	{ "two-processes", two_processes, "two processes" },
	{ "four-processes", four_processes, "four processes" },
	{ "fair", fair, "neither of two processes starves" },
	{ "stopped", stopped, "a stopped process holds nothing" },
	{ "killed", killed, "nor does one that was killed" },
	{ "killed-under-pressure", killed_under_pressure, "kill -9 amid evictions" },
	{ "memory-short-too", memory_short_too, "with system memory short as well" },
	{ "scattered", scattered, "a word here, a word there: blocks stay where they are" },
	{ "background", background, "room is made before it is needed" },
};

GSVM_MAIN(tests)
