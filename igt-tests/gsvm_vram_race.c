// SPDX-License-Identifier: MIT
/*
 * The address space changes while jobs run in it and pages move: to VRAM by
 * faults and prefetches, back by the CPU and by eviction.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	HUGE
#define PAGES	(SIZE / PAGE)

/* How often memory is replaced under its readers; they are waited for each eighth time. */
#define GENERATIONS	24

/* How often memory goes to VRAM under faults. */
#define ARRIVALS	40

/* Prefetches in both directions, as fast as they go. */
struct mover {
	struct queue *q;
	char *p;
	size_t size;
	uint64_t stop, rounds;
	struct thread thread;
};

static void mover_loop(void *arg)
{
	struct mover *m = arg;

	while (!gsvm_peek(&m->stop)) {
		prefetch(m->q, m->p, m->size, DRM_GSVM_REGION_VRAM);
		prefetch(m->q, m->p, m->size, DRM_GSVM_REGION_SYSTEM);
		gsvm_poke(&m->rounds, m->rounds + 1);
	}
}

static void mover_start(struct mover *m, struct queue *q, char *p, size_t size)
{
	*m = (struct mover){ .q = q, .p = p, .size = size };
	gsvm_thread(&m->thread, mover_loop, m);
}

static void mover_end(struct mover *m)
{
	gsvm_await(&m->rounds, 1, "the mover's first round");
	gsvm_poke(&m->stop, 1);
	gsvm_thread_join(&m->thread);
}

/* Generations: what was replaced is not seen any more. See gsvm_mirror_race.c. */
static void watch_while(char *p, void (*replace)(char *p, uint64_t g))
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	struct gsvm_signal *job;
	struct mover m;
	uint64_t g;

	cpu_set(p, PAGE, PAGES, 1, 0);
	ctl->floor = ctl->ceiling = ctl->zero_ok = 1;
	job = gpu_launch(q, "watch", 16, U(ctl), U(p), PAGE, PAGES, 16);
	mover_start(&m, q, p, SIZE);
	for (g = 2; g <= GENERATIONS; g++) {
		gsvm_poke(&ctl->ceiling, g);
		replace(p, g);
		gsvm_poke(&ctl->floor, g);
		if (g % 8 == 0)
			gsvm_await(&ctl->rounds[g % 16], gsvm_peek(&ctl->rounds[g % 16]) + 2,
				   "a watching work-item");
	}
	mover_end(&m);
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	gsvm_assert(!ctl->bad, "the GPU saw generation %llu at %#llx, floor %llu, ceiling %llu\n",
		    (unsigned long long)ctl->bad_value, (unsigned long long)ctl->bad_addr,
		    (unsigned long long)ctl->bad_floor, (unsigned long long)ctl->bad_ceiling);
	cpu_check(p, PAGE, PAGES, g - 1, 0, "the last generation");
	queue_close(q);
}

static void by_dontneed(char *p, uint64_t g)
{
	gsvm_sys(madvise(p, SIZE, MADV_DONTNEED));
	cpu_set(p, PAGE, PAGES, g, 0);
}

static void by_map_fixed(char *p, uint64_t g)
{
	gsvm_assert(mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) == p, "mmap: %s\n", strerror(errno));
	cpu_set(p, PAGE, PAGES, g, 0);
}

/* New memory, ready before it is moved into place, and in VRAM half of the time. */
static void by_mremap(char *p, uint64_t g)
{
	char *new = map_block(SIZE);

	cpu_set(new, PAGE, PAGES, g, 0);
	gsvm_assert(mremap(new, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p,
		    "mremap: %s\n", strerror(errno));
}

static void by_writes(char *p, uint64_t g)
{
	cpu_set(p, PAGE, PAGES, g, 0);
}

static void race_dontneed(void)
{
	watch_while(map_block(SIZE), by_dontneed);
}

static void race_dontneed_huge(void)
{
	watch_while(map_huge_aligned(SIZE), by_dontneed);
}

static void race_map_fixed(void)
{
	watch_while(map_block(SIZE), by_map_fixed);
}

static void race_mremap_over(void)
{
	watch_while(map_block(SIZE), by_mremap);
}

static void race_writes(void)
{
	watch_while(map_block(SIZE), by_writes);
}

static void race_writes_huge(void)
{
	watch_while(map_huge_aligned(SIZE), by_writes);
}

/* A job counts in every page while @change goes on: nothing gets lost. */
static void count_while(bool huge, void (*change)(struct queue *q, char *p, int round), int rounds)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	char *p = huge ? map_huge_aligned(SIZE) : map_block(SIZE);
	struct gsvm_signal *job;
	struct mover m;
	int round;

	memset(p, 0, SIZE);
	job = gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(p), PAGES, CTL_ITEMS, 0);
	mover_start(&m, q, p, SIZE);
	for (round = 0; round < rounds; round++)
		change(q, p, round);
	gsvm_await(&ctl->rounds[0], 2, "the job's rounds");
	mover_end(&m);
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	sweep_check(ctl, p, PAGES);
	queue_close(q);
}

/* A page that is there is somewhere, or on its way: never absent. */
static void no_change(struct queue *q, char *p, int round)
{
	struct place at = place_of(q, p, SIZE);

	gsvm_assert(!at.absent, "%zu pages are nowhere, in round %d\n", at.absent, round);
}

static void change_fork(struct queue *q, char *p, int round)
{
	struct child *c = gsvm_fork();

	(void)q;
	if (!c->pid) {
		if (round % 3 == 0)
			memset(p, 0xff, SIZE);
		gsvm_exit();
	}
	gsvm_join(c);
}

static void change_protect(struct queue *q, char *p, int round)
{
	size_t at = round * 37 % 500 * PAGE;

	(void)q;
	/* The GPU writes there: only rights that it does not need may go. */
	gsvm_sys(mprotect(p + at, 9 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	gsvm_sys(mprotect(p + at, 9 * PAGE, PROT_READ | PROT_WRITE));
}

static void change_huge(struct queue *q, char *p, int round)
{
	(void)q;
	gsvm_sys(madvise(p, SIZE, round % 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
	madvise(p, SIZE, 25 /* MADV_COLLAPSE */);
}

static void change_pageout(struct queue *q, char *p, int round)
{
	(void)q;
	(void)round;
	gsvm_sys(madvise(p, SIZE, MADV_PAGEOUT));
}

static void change_lock(struct queue *q, char *p, int round)
{
	size_t at = round * 37 % 500 * PAGE;

	(void)q;
	gsvm_sys(mlock(p + at, 5 * PAGE));
	gsvm_sys(munlock(p + at, 5 * PAGE));
}

static void change_reads(struct queue *q, char *p, int round)
{
	size_t i;

	(void)q;
	for (i = round % 7; i < PAGES; i += 7)
		*(volatile uint64_t *)(p + i * PAGE + 8);
}

static void count_plain(void)
{
	count_while(false, no_change, 50);
}

static void count_huge(void)
{
	count_while(true, no_change, 50);
}

static void count_fork(void)
{
	count_while(false, change_fork, 10);
}

static void count_fork_huge(void)
{
	count_while(true, change_fork, 10);
}

static void count_protect(void)
{
	count_while(false, change_protect, 100);
}

static void count_collapse(void)
{
	count_while(true, change_huge, 12);
}

static void count_pageout(void)
{
	gsvm_require(swap_available(), "no swap is active\n");
	count_while(false, change_pageout, 10);
}

static void count_lock(void)
{
	count_while(false, change_lock, 30);
}

static void count_reads(void)
{
	count_while(false, change_reads, 20);
}

/* Neighbours of the job's pages come and go in the same blocks. */
static void neighbours(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	char *p = map_block(3 * HUGE), *mid = p + HUGE / 2;
	size_t pages = 2 * HUGE / PAGE;
	struct gsvm_signal *job;
	struct mover m;
	int round;

	memset(mid, 0, 2 * HUGE);
	job = gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(mid), pages, CTL_ITEMS, 0);
	mover_start(&m, q, p, 3 * HUGE);
	for (round = 0; round < 30; round++) {
		char *at = round % 2 ? p : p + 5 * HUGE / 2;

		cpu_fill(at, HUGE / 2, round, SPARSE);
		cpu_verify(at, HUGE / 2, round, SPARSE, "a neighbour");
		gsvm_sys(munmap(at, HUGE / 2));
		gsvm_assert(mmap(at, HUGE / 2, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at,
			    "mmap: %s\n", strerror(errno));
	}
	mover_end(&m);
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	sweep_check(ctl, mid, pages);
	queue_close(q);
}

/*
 * 2 MiB pages arrive in VRAM while faults wait for them: a fault that finds its page on
 * the way, and there the next moment, maps that page and no other.
 */
static void arrival(void)
{
	struct queue *q = queue_open();
	size_t size = 4 * HUGE, pages = size / PAGE;
	char *p = map_huge_aligned(size);
	unsigned int round;

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	memset(p, 0, size);
	for (round = 1; round <= ARRIVALS; round++) {
		struct gsvm_signal *moved = make_signal(1), *job;

		prefetch_async(q, p, size, DRM_GSVM_REGION_VRAM, moved);
		job = gpu_launch(q, "add", pages, U(p), PAGE, 1, 1);
		gpu_wait(q, job);
		wait_done(q, moved, "the prefetch");
		/* Brings it back, too. */
		cpu_check(p, PAGE, pages, round, 0, "counters of pages that arrived");
	}
	queue_close(q);
}

/* Eviction on top: more memory than VRAM, and threads that read it back. */
static void pressure(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) / 4 * 5, pages = size / PAGE, i;
	uint64_t evicted = vram_evicted(q);
	struct gsvm_signal *job;
	unsigned int round;
	char *p;

	gsvm_require(size <= 200 * MIB, "this is for a GPU with little VRAM\n");
	p = map_block(size);
	for (round = 1; round <= 2; round++) {
		job = gpu_launch(q, "add", pages, U(p), PAGE, 1, 1);
		for (i = 0; i < pages && !gpu_done(job); i += 97)
			gsvm_assert(gsvm_peek((void *)(p + i * PAGE)) <= round,
				    "page %zu has too much\n", i);
		gpu_wait(q, job);
	}
	cpu_check(p, PAGE, pages, 2, 0, "counters after two rounds");
	gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
	queue_close(q);
}

/*
 * A 2 MiB page that is unmapped while it is on its way out of VRAM: what the kernel
 * gets wrong unless the driver keeps it from happening (drm/gsvm_guard.c). It would
 * not be seen here, but by the kernel.
 */

#define LEAVING	40		/* pages that shall have left in the meantime */

static void leave_loop(void *arg)
{
	struct mover *m = arg;

	while (!gsvm_peek(&m->stop))
		if (prefetch(m->q, m->p, m->size, DRM_GSVM_REGION_SYSTEM))
			gsvm_poke(&m->rounds, m->rounds + 1);
}

static void leaver_start(struct mover *m, struct queue *q, char *p, size_t size)
{
	*m = (struct mover){ .q = q, .p = p, .size = size };
	gsvm_thread(&m->thread, leave_loop, m);
}

static void unmap_leaving(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	struct mover m;

	leaver_start(&m, q, p, HUGE);
	while (gsvm_peek(&m.rounds) < LEAVING) {
		cpu_fill(p, HUGE, 1, SPARSE);
		prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
		gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
	}
	mover_end(&m);
	queue_close(q);
}

/* A child has the page as well, and goes while it leaves. */
static void exit_leaving(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	struct mover m;

	leaver_start(&m, q, p, HUGE);
	while (gsvm_peek(&m.rounds) < LEAVING) {
		struct child *c;

		cpu_fill(p, HUGE, 1, SPARSE);
		prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
		c = gsvm_fork();
		if (!c->pid)
			gsvm_exit();
		gsvm_join(c);
		cpu_verify(p, HUGE, 1, SPARSE, "after the child");
		gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
	}
	mover_end(&m);
	queue_close(q);
}

/* A child that has filled VRAM, and goes when it is told to. */
static struct child *make_victim(size_t size)
{
	struct child *c = gsvm_fork();
	struct queue *q;
	char *p;

	if (c->pid)
		return c;
	q = queue_open();
	p = map_huge_aligned(size);
	gpu_run(q, "add", size / PAGE, U(p), PAGE, 1, 1);
	gsvm_tell(c);
	gsvm_hear(c);
	gsvm_exit();
}

/* The children's memory is being evicted when they go. */
static void exit_evicted(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) / 2, pages = size / PAGE;
	char *p = map_huge_aligned(size);
	unsigned int round;

	gsvm_require(size <= 200 * MIB, "this is for a GPU with little VRAM\n");
	for (round = 1; round <= 4; round++) {
		struct child *c = make_victim(size / 2 * 3);
		struct gsvm_signal *job;
		uint64_t evicted;

		gsvm_hear(c);
		prefetch(q, p, size, DRM_GSVM_REGION_SYSTEM);
		evicted = vram_evicted(q);
		job = gpu_launch(q, "add", pages, U(p), PAGE, 1, 1);
		while (vram_evicted(q) == evicted && !gpu_done(job))
			gsvm_pace();
		gsvm_assert(vram_evicted(q) > evicted, "nothing was evicted\n");
		gsvm_tell(c);
		gsvm_join(c);
		gpu_wait(q, job);
		cpu_check(p, PAGE, pages, round, 0, "beside one who has gone");
	}
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "dontneed", race_dontneed, "MADV_DONTNEED under readers and moves" },
	{ "dontneed-huge", race_dontneed_huge, "likewise with huge pages" },
	{ "map-fixed", race_map_fixed, "new mappings under readers and moves" },
	{ "mremap-over", race_mremap_over, "mremap over the memory" },
	{ "writes", race_writes, "CPU writes under readers and moves" },
	{ "writes-huge", race_writes_huge, "likewise with huge pages" },
	{ "count", count_plain, "a GPU counts while its memory moves" },
	{ "count-huge", count_huge, "likewise with huge pages" },
	{ "count-fork", count_fork, "and fork" },
	{ "count-fork-huge", count_fork_huge, "and fork with huge pages" },
	{ "count-protect", count_protect, "and mprotect" },
	{ "count-collapse", count_collapse, "and MADV_COLLAPSE" },
	{ "count-pageout", count_pageout, "and MADV_PAGEOUT" },
	{ "count-lock", count_lock, "and mlock" },
	{ "count-reads", count_reads, "and CPU reads" },
	{ "neighbours", neighbours, "neighbours of the same blocks come and go" },
	{ "arrival", arrival, "2 MiB pages arrive while faults wait for them" },
	{ "pressure", pressure, "and eviction" },
	{ "unmap-leaving", unmap_leaving, "MADV_DONTNEED of a 2 MiB page on its way out" },
	{ "exit-leaving", exit_leaving, "a child that has it goes" },
	{ "exit-evicted", exit_evicted, "exit amid the eviction of 2 MiB pages" },
};

GSVM_MAIN(tests)
