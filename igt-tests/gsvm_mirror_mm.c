// SPDX-License-Identifier: MIT
/*
 * The kernel's own reasons to touch page tables: soft-dirty tracking, NUMA,
 * KSM, collapsing and splitting huge pages, compaction, page ageing.
 */
#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	32
#define SIZE	(PAGES * PAGE)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static bool soft_dirty(const char *p)
{
	return pagemap(p) & PM_SOFT_DIRTY;
}

static void clear_soft_dirty(void)
{
	gsvm_assert(write_text("/proc/self/clear_refs", "4"), "cannot write clear_refs\n");
}

static void soft_dirty_pages(void)
{
	struct queue *q;
	char *p = map_anon(SIZE);
	int i, round;

	cpu_set(p, PAGE, PAGES, 1, 1);
	clear_soft_dirty();
	gsvm_require(!soft_dirty(p), "the kernel has no soft-dirty tracking\n");
	*(volatile char *)p = 1;
	gsvm_require(soft_dirty(p), "the kernel has no soft-dirty tracking\n");
	q = queue_open();
	for (round = 0; round < 4; round++) {
		gpu_set(q, p, PAGE, PAGES, round, 1);
		clear_soft_dirty();
		for (i = 0; i < PAGES; i++)
			gsvm_assert(!soft_dirty(p + i * PAGE), "page %d is dirty after the clear\n",
				    i);
		/* Reads are no writes; a write must not get by. */
		gpu_check(q, p, PAGE, PAGES, round, 1);
		for (i = 0; i < PAGES; i++)
			gsvm_assert(!soft_dirty(p + i * PAGE), "a GPU read made page %d dirty\n",
				    i);
		gpu_set(q, p + PAGE, 2 * PAGE, PAGES / 2, 100, 1);
		for (i = 0; i < PAGES; i++)
			gsvm_assert(soft_dirty(p + i * PAGE) == (i & 1),
				    "page %d: soft-dirty %d after a GPU write to odd pages\n", i,
				    soft_dirty(p + i * PAGE));
	}
	queue_close(q);
}

/* Every increment made after the clear shows, while the job goes on. */
static void soft_dirty_during_job(void)
{
	char *p = map_anon(SIZE);
	struct counter c;
	int round, i;

	cpu_set(p, PAGE, PAGES, 0, 0);
	clear_soft_dirty();
	gsvm_require(!soft_dirty(p), "the kernel has no soft-dirty tracking\n");
	counter_start(&c, "pump", p, PAGE, PAGES);
	for (round = 0; round < 20; round++) {
		i = round * 5 % PAGES;
		clear_soft_dirty();
		counter_await(&c, i);
		gsvm_assert(soft_dirty(p + i * PAGE),
			    "page %d was written after the clear and is not soft-dirty\n", i);
	}
	counter_end(&c);
}

static bool two_nodes(void)
{
	return access("/sys/devices/system/node/node1", F_OK) == 0;
}

static long move_to(char *p, int node, int *status)
{
	void *pages[PAGES];
	int nodes[PAGES], i;

	for (i = 0; i < PAGES; i++) {
		pages[i] = p + i * PAGE;
		nodes[i] = node;
	}
	return syscall(SYS_move_pages, 0, (long)PAGES, pages, nodes, status, 2 /* MOVE_ALL */);
}

static void numa_move(void)
{
	struct queue *q;
	char *p = map_anon(SIZE);
	int status[PAGES], round, i;

	gsvm_require(two_nodes(), "the machine has one NUMA node\n");
	q = queue_open_system();
	for (round = 0; round < 8; round++) {
		gpu_set(q, p, PAGE, PAGES, round, 1);
		gsvm_sys(move_to(p, round & 1, status));
		for (i = 0; i < PAGES; i++)
			gsvm_assert_eq(status[i], round & 1, "node of a moved page");
		gpu_check(q, p, PAGE, PAGES, round, 1);
	}
	cpu_check(p, PAGE, PAGES, 7, 1, "moved pages");
	queue_close(q);
}

static void numa_move_during_job(void)
{
	char *p = map_anon(SIZE);
	int status[PAGES], round;
	struct counter c;

	gsvm_require(two_nodes(), "the machine has one NUMA node\n");
	counter_start_system(&c, "pump", p, PAGE, PAGES);
	for (round = 0; round < 30; round++)
		gsvm_sys(move_to(p, round & 1, status));
	counter_end(&c);
}

/* What automatic NUMA balancing does to page tables, made here by mbind(). */
static void numa_hint(void)
{
	unsigned long mask = 1;
	struct queue *q;
	char *p = map_anon(SIZE);
	int round;

	gsvm_require(two_nodes(), "the machine has one NUMA node\n");
	q = queue_open_system();
	for (round = 0; round < 8; round++) {
		gpu_set(q, p, PAGE, PAGES, round, 1);
		mask = 1ul << (round & 1);
		gsvm_sys(syscall(SYS_mbind, p, SIZE, MPOL_BIND, &mask, 8ul,
				 MPOL_MF_MOVE | MPOL_MF_STRICT));
		gpu_check(q, p, PAGE, PAGES, round, 1);
		/* MPOL_MF_LAZY is gone; a policy change alone must not matter. */
		gsvm_sys(syscall(SYS_mbind, p, SIZE, MPOL_DEFAULT, NULL, 0ul, 0));
		gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
		cpu_check(p, PAGE, PAGES, round + 1, 1, "after mbind");
	}
	queue_close(q);
}

static void ksm(void)
{
	char *a = map_anon(SIZE), *b = map_anon(SIZE);
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct queue *q;
	bool merged;
	int i;

	gsvm_require(write_text("/sys/kernel/mm/ksm/run", "1"), "the kernel has no KSM\n");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "0");
	/* Pages that did not merge at once are looked at again all the same. */
	write_text("/sys/kernel/mm/ksm/smart_scan", "0");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "5000");
	q = queue_open_system();
	for (i = 0; i < (int)(PAGES * PAGE / 8); i++)
		((uint64_t *)a)[i] = ((uint64_t *)b)[i] = i / 512;
	gpu_run(q, "add", PAGES, U(a), PAGE, 1, 77);
	gpu_run(q, "add", PAGES, U(b), PAGE, 1, 77);
	gsvm_sys(madvise(a, SIZE, MADV_MERGEABLE));
	gsvm_sys(madvise(b, SIZE, MADV_MERGEABLE));
	do {
		for (merged = true, i = 0; i < PAGES && merged; i++)
			merged = page_has_flag(a + i * PAGE, KPF_KSM) &&
				 page_pfn(a + i * PAGE) == page_pfn(b + i * PAGE);
		gsvm_pace();	/* ksmd tells nobody what it has merged */
	} while (!merged && gsvm_deadline(0) < end);
	gsvm_assert(merged,
		    "page %d was not merged: pagemap %#llx and %#llx, %ld scans, %ld pages shared, %ld volatile\n",
		    i - 1, (unsigned long long)pagemap(a + (i - 1) * PAGE),
		    (unsigned long long)pagemap(b + (i - 1) * PAGE),
		    read_number("/sys/kernel/mm/ksm/full_scans"),
		    read_number("/sys/kernel/mm/ksm/pages_shared"),
		    read_number("/sys/kernel/mm/ksm/pages_volatile"));
	/* Reads keep it merged, a write takes its own page apart. */
	gpu_check(q, a, PAGE, PAGES, 77, 1);
	gpu_check(q, b, PAGE, PAGES, 77, 1);
	for (i = 0; i < PAGES; i++)
		gsvm_assert(page_pfn(a + i * PAGE) == page_pfn(b + i * PAGE),
			    "a GPU read took merged page %d apart\n", i);
	write_text("/sys/kernel/mm/ksm/run", "0");
	gpu_set(q, a, PAGE, PAGES, 5000, 1);
	cpu_check(a, PAGE, PAGES, 5000, 1, "written pages");
	cpu_check(b, PAGE, PAGES, 77, 1, "their twins");
	gpu_check(q, b, PAGE, PAGES, 77, 1);
	queue_close(q);
}

static void collapse(void)
{
	char *p = map_huge_aligned(HUGE);
	struct queue *q = queue_open();
	int round;

	gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
	gpu_set(q, p, PAGE, 512, 1, 1);
	gsvm_assert(!page_has_flag(p, KPF_THP), "a huge page in spite of MADV_NOHUGEPAGE\n");
	gsvm_sys(madvise(p, HUGE, MADV_HUGEPAGE));
	for (round = 1; round <= 5; round++) {
		gsvm_require(!madvise(p, HUGE, MADV_COLLAPSE), "MADV_COLLAPSE: %s\n",
			     strerror(errno));
		gsvm_assert(page_has_flag(p, KPF_THP), "no huge page after MADV_COLLAPSE\n");
		gpu_check(q, p, PAGE, 512, round, 1);
		gpu_run(q, "add", 512, U(p), PAGE, 1, 1);
		/* Apart again. */
		gsvm_sys(madvise(p + 7 * PAGE, PAGE, MADV_DONTNEED));
		gpu_set(q, p + 7 * PAGE, PAGE, 1, round + 8, 0);
		cpu_check(p, PAGE, 512, round + 1, 1, "collapsed page");
	}
	queue_close(q);
}

static void collapse_during_job(void)
{
	char *p = map_huge_aligned(HUGE);
	struct counter c;
	int round, done = 0;

	cpu_set(p, PAGE, 512, 0, 0);
	/* Words in the first quarter, the splitting happens in the last. */
	counter_start(&c, "pump", p, 2 * PAGE, CTL_ITEMS);
	for (round = 0; round < 15; round++) {
		gsvm_sys(mprotect(p + 400 * PAGE, PAGE, PROT_READ));
		gsvm_sys(mprotect(p + 400 * PAGE, PAGE, PROT_READ | PROT_WRITE));
		gsvm_sys(madvise(p + 500 * PAGE, PAGE, MADV_DONTNEED));
		done += !madvise(p, HUGE, MADV_COLLAPSE);
	}
	counter_end(&c);
	gsvm_assert(done, "MADV_COLLAPSE never worked: %s\n", strerror(errno));
}

static void compaction_during_job(void)
{
	char *p = map_anon(CTL_ITEMS * PAGE);
	struct counter c;
	int round;

	counter_start_system(&c, "pump", p, PAGE, CTL_ITEMS);
	for (round = 0; round < 3; round++)
		gsvm_assert(write_text("/proc/sys/vm/compact_memory", "1"), "no compaction\n");
	counter_end(&c);
}

/* Referenced bits are cleared, pages are called cold: nothing may get lost. */
static void ageing(void)
{
	char *p = map_anon(SIZE);
	struct queue *q = queue_open_system();
	int round;

	for (round = 0; round < 10; round++) {
		gpu_set(q, p, PAGE, PAGES, round, 3);
		gsvm_assert(write_text("/proc/self/clear_refs", "1"), "clear_refs\n");
		gsvm_sys(madvise(p, SIZE, MADV_COLD));
		gpu_check(q, p, PAGE, PAGES, round, 3);
		gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
		cpu_check(p, PAGE, PAGES, round + 1, 3, "aged pages");
	}
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "soft-dirty", soft_dirty_pages, "GPU writes make pages soft-dirty, reads do not" },
	{ "soft-dirty-during-job", soft_dirty_during_job, "likewise under a writer" },
	{ "numa-move", numa_move, "move_pages between jobs" },
	{ "numa-move-during-job", numa_move_during_job, "move_pages under a writer" },
	{ "numa-hint", numa_hint, "mbind with and without moving" },
	{ "ksm", ksm, "merged pages: reads share, writes take apart" },
	{ "collapse", collapse, "MADV_COLLAPSE and splitting between jobs" },
	{ "collapse-during-job", collapse_during_job, "likewise under a writer" },
	{ "compaction-during-job", compaction_during_job, "compaction under a writer" },
	{ "ageing", ageing, "clear_refs and MADV_COLD" },
};

GSVM_MAIN(tests)
