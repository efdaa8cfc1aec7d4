// SPDX-License-Identifier: MIT
/*
 * The cases of the kernel's own tests of HMM, hmm-tests.c, that are about
 * migration; see gsvm_hmm.c. What its snapshots tell, RESIDENCY tells here.
 *
 * Where its device differs: its RELEASE is the end of the VM here; FAIL_ALLOC, an
 * allocation that fails, cannot be asked of a driver from outside, so those cases
 * take huge pages apart by other means.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"

#define SIZE	(1ul << 20)
#define PAGES	(SIZE / PAGE)
#define TIMES	10

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static void migrate(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);

	gpu_verify(q, p, SIZE, 1, WHOLE, "migrated");
	expect_vram(q, p, SIZE, "read by the GPU");
	queue_close(q);
}

/* Half comes back by CPU faults; the mixture goes again. */
static void migrate_fault(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);

	cpu_verify(p, SIZE / 2, 1, WHOLE, "back by faults");
	to_vram(q, p, SIZE);
	gpu_verify(q, p, SIZE, 1, WHOLE, "migrated again");
	queue_close(q);
}

/* The device gives up its memory while pages are in it. */
static void migrate_release(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);

	gpu_verify(q, p, SIZE, 1, WHOLE, "migrated");
	queue_close(q);
	cpu_verify(p, SIZE / 2, 1, WHOLE, "back after the VM is gone");
	cpu_fill(p + SIZE / 2, SIZE / 2, 2, WHOLE);
	cpu_verify(p + SIZE / 2, SIZE / 2, 2, WHOLE, "written after the VM is gone");
}

static void migrate_shared(void)
{
	struct queue *q = queue_open();
	char *p = map_shared(SIZE);

	gsvm_assert_eq(prefetch(q, p, SIZE, DRM_GSVM_REGION_VRAM), 0, "shared pages moved");
	expect_system(q, p, SIZE, "shared memory");
	queue_close(q);
}

/* PROT_NONE, a gap, a zero page, a read-only page, two writable ones. */
static char *six_pages(uint32_t seed)
{
	char *p = map_block(HUGE);

	gsvm_sys(munmap(p + PAGE, PAGE));
	gsvm_assert_eq(*(volatile uint64_t *)(p + 2 * PAGE), 0, "untouched memory");
	gsvm_sys(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	cpu_fill(p + 3 * PAGE, 4 * PAGE, seed, WHOLE);
	gsvm_sys(mprotect(p + 3 * PAGE, PAGE, PROT_READ));
	gsvm_sys(mprotect(p, PAGE, PROT_NONE));
	return p;
}

static void check_six(char *p, struct queue *q, uint32_t seed)
{
	gpu_verify(q, p + 3 * PAGE, 4 * PAGE, seed, WHOLE, "pages of all kinds");
	gpu_check(q, p + 2 * PAGE, 8, PAGE / 8, 0, 0);
	cpu_check(p + 2 * PAGE, 8, PAGE / 8, 0, 0, "the zero page");
	cpu_verify(p + 3 * PAGE, 4 * PAGE, seed, WHOLE, "pages of all kinds");
}

static void migrate_mixed(void)
{
	struct queue *q = queue_open();
	char *p = six_pages(1);

	prefetch(q, p, 6 * PAGE, DRM_GSVM_REGION_VRAM);
	expect_absent(q, p, 2 * PAGE, "PROT_NONE and a gap");
	expect_vram(q, p + 3 * PAGE, 3 * PAGE, "read-only and writable pages");
	check_six(p, q, 1);
	queue_close(q);
}

/* With two GPUs, a page in one's VRAM can be asked for by the other. */
static void migrate_mixed_other(void)
{
	struct queue *q[2];
	char *p;

	gsvm_require(gpu_count() >= 2, "needs two GPUs, there are %u\n", gpu_count());
	q[0] = queue_open_gpu(0);
	q[1] = queue_open_gpu(1);
	p = six_pages(1);
	prefetch(q[1], p, 6 * PAGE, DRM_GSVM_REGION_VRAM);
	expect_vram(q[1], p + 3 * PAGE, 3 * PAGE, "in the second GPU's VRAM");
	gsvm_assert_eq(place_of(q[0], p + 3 * PAGE, 3 * PAGE).other, 3, "pages elsewhere");
	check_six(p, q[0], 1);
	check_six(p, q[1], 1);
	queue_close(q[1]);
	queue_close(q[0]);
}

static void migrate_multiple(void)
{
	struct queue *q = queue_open();
	int i;

	for (i = 0; i < TIMES; i++) {
		char *p = map_in_vram(q, SIZE, i);

		gpu_verify(q, p, SIZE, i, WHOLE, "migrated");
		cpu_verify(p, SIZE, i, WHOLE, "back");
		gsvm_sys(munmap(p, SIZE));
	}
	queue_close(q);
}

static void snapshot(void)
{
	struct queue *q = queue_open();
	char *p = six_pages(1);

	to_vram(q, p + 5 * PAGE, PAGE);
	expect_absent(q, p, 2 * PAGE, "PROT_NONE and a gap");
	gsvm_assert(!in_vram(q, p + 2 * PAGE) && !(place_word(q, p + 2 * PAGE) &
						   DRM_GSVM_RESIDENCY_WRITE), "the zero page\n");
	gsvm_assert_eq(place_word(q, p + 3 * PAGE), DRM_GSVM_RESIDENCY_SYSTEM, "read-only page");
	gsvm_assert_eq(place_word(q, p + 4 * PAGE),
		       DRM_GSVM_RESIDENCY_SYSTEM | DRM_GSVM_RESIDENCY_WRITE, "writable page");
	expect_vram(q, p + 5 * PAGE, PAGE, "the migrated page");
	/* The look has changed nothing. */
	expect_vram(q, p + 5 * PAGE, PAGE, "the migrated page, again");
	check_six(p, q, 1);
	queue_close(q);
}

/* The parent writes to pages in VRAM that a child shares, which is then killed. */
static void hmm_cow_in_device(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);
	struct child *c = gsvm_fork();
	struct place at;

	if (!c->pid) {
		gsvm_hear(c);
		gsvm_exit();
	}
	cpu_fill(p, SIZE, 2, WHOLE);
	gsvm_kill(c);
	at = place_of(q, p, SIZE);
	gsvm_assert(at.system == PAGES && at.write == PAGES, "%zu system, %zu writable\n",
		    at.system, at.write);
	gpu_verify(q, p, SIZE, 2, WHOLE, "written");
	queue_close(q);
}

/* Nobody has touched the huge memory. */
static void migrate_anon_huge_empty(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	expect_huge_vram(q, p, HUGE, "made in VRAM");
	gpu_check(q, p, 8, HUGE / 8, 0, 0);
	queue_close(q);
}

static void migrate_anon_huge_zero(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	gsvm_assert_eq(*(volatile uint64_t *)p, 0, "untouched memory");
	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	gpu_check(q, p, 8, HUGE / 8, 0, 0);
	cpu_check(p, 8, HUGE / 8, 0, 0, "back");
	queue_close(q);
}

static void migrate_anon_huge_free(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = map_thp_in_vram(q, HUGE, 1);

	gpu_verify(q, p, HUGE, 1, WHOLE, "migrated");
	gsvm_sys(madvise(p, HUGE, MADV_FREE));
	gsvm_sys(munmap(p, HUGE));
	expect_vram_free(q, unused, "after MADV_FREE and munmap");
	queue_close(q);
}

static void migrate_anon_huge_fault(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	int tries;
	size_t i;

	gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
	cpu_fill(p, HUGE, 1, WHOLE);
	gsvm_sys(madvise(p, HUGE, MADV_HUGEPAGE));
	for (tries = 0; madvise(p, HUGE, MADV_COLLAPSE); tries++)
		gsvm_assert(tries < 100, "MADV_COLLAPSE: %s\n", strerror(errno));
	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	expect_huge_vram(q, p, HUGE, "migrated");
	gpu_verify(q, p, HUGE, 1, WHOLE, "migrated");
	for (i = 0; i < HUGE; i += PAGE)
		gsvm_assert(!(pagemap(p + i) & PM_PRESENT) && (pagemap(p + i) & PM_SWAP),
			    "pagemap of page %zu: %#llx\n", i / PAGE,
			    (unsigned long long)pagemap(p + i));
	cpu_verify(p, HUGE, 1, WHOLE, "back");
	queue_close(q);
}

static void migrate_partial_unmap_fault(void)
{
	static const size_t from[] = { 0, HUGE / 4, HUGE / 2 };
	struct queue *q = queue_open();
	unsigned int i;

	for (i = 0; i < 6; i++) {
		size_t gap = from[i / 2], behind = gap + HUGE / 2;
		char *p = i % 2 ? map_thp_in_vram(q, HUGE, i) : map_in_vram(q, HUGE, i);

		gsvm_sys(munmap(p + gap, HUGE / 2));
		if (gap)
			cpu_verify(p, gap, i, WHOLE, "before the gap");
		if (behind < HUGE)
			cpu_verify_part(p + behind, behind, HUGE - behind, i, WHOLE, "behind it");
		gsvm_sys(munmap(p, HUGE));
	}
	queue_close(q);
}

/* 24 ways to move a mapping: before or after, unmapping or not, small or huge. */
static void migrate_remap_fault(void)
{
	static const size_t offset[] = { 0, HUGE / 4, HUGE / 2 };
	struct queue *q = queue_open();
	unsigned int i;

	for (i = 0; i < 24; i++) {
		bool before = i & 1, keep = i & 2, huge = i & 4;
		int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
		char *p = huge ? map_thp(q, HUGE, i) : map_block(HUGE);
		char *area = reserve(2 * HUGE), *to = area + offset[i / 8];

		cpu_fill(p, HUGE, i, WHOLE);
		if (!before)
			to_vram(q, p, HUGE);
		gsvm_assert(mremap(p, HUGE, HUGE, flags, to) == to, "mremap: %s\n",
			    strerror(errno));
		if (before)
			to_vram(q, to, HUGE);
		cpu_verify(to, HUGE, i, WHOLE, "at its new place");
		if (keep)
			gsvm_sys(munmap(p, HUGE));
		gsvm_sys(munmap(area, 2 * HUGE));
	}
	queue_close(q);
}

/* The huge page cannot go as one: here because a part of it is held. */
static void migrate_anon_huge_err(void)
{
	struct queue *q = queue_open();
	char *p = map_thp(q, HUGE, 1);
	struct iovec iov = { p + 8 * PAGE, PAGE };
	int ends[2];

	gsvm_sys(pipe(ends));
	gsvm_assert_eq(vmsplice(ends[1], &iov, 1, 0), PAGE, "bytes");
	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	gpu_verify(q, p, HUGE, 1, WHOLE, "as much as could go");
	gsvm_assert_eq(gsvm_peek((void *)(p + 4 * PAGE)), pattern_word(1, 4 * PAGE), "a word");
	close(ends[0]);
	close(ends[1]);
	/* And back not as one: a part is unmapped. */
	to_vram(q, p, HUGE);
	gsvm_sys(munmap(p + 8 * PAGE, PAGE));
	prefetch(q, p, HUGE, DRM_GSVM_REGION_SYSTEM);
	cpu_verify(p, 8 * PAGE, 1, WHOLE, "before the gap");
	cpu_verify_part(p + 9 * PAGE, 9 * PAGE, HUGE - 9 * PAGE, 1, WHOLE, "behind the gap");
	queue_close(q);
}

/* Zero memory that cannot be made as one huge page: the mapping does not want it. */
static void migrate_anon_huge_zero_err(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	int touched;

	for (touched = 0; touched < 2; touched++) {
		if (touched)
			gsvm_assert_eq(*(volatile uint64_t *)p, 0, "untouched memory");
		gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
		prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
		gpu_check(q, p, 8, HUGE / 8, 0, 0);
		gsvm_assert_eq(gsvm_peek((void *)(p + 4 * PAGE)), 0, "a word");
		cpu_check(p, 8, HUGE / 8, 0, 0, "back");
		gsvm_sys(munmap(p, HUGE));
		p = map_huge_aligned(HUGE);
	}
	queue_close(q);
}

/* The benchmark's data path, in both directions and sizes; times are bench/'s. */
static void benchmark_thp_migration(void)
{
	struct queue *q = queue_open();
	size_t size = 8 * MIB;
	int huge, i;

	for (huge = 0; huge < 2; huge++) {
		char *p = huge ? map_thp(q, size, 0) : map_block(size);

		cpu_fill(p, size, 1, SPARSE);
		for (i = 0; i < 5; i++) {
			gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_VRAM), size / PAGE,
				       "pages moved");
			expect_vram(q, p, size, "migrated");
			gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_SYSTEM), size / PAGE,
				       "pages moved back");
			expect_system(q, p, size, "migrated back");
		}
		cpu_verify(p, size, 1, SPARSE, "after ten moves");
		gsvm_sys(munmap(p, size));
	}
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "migrate", migrate, "to VRAM" },
	{ "migrate-fault", migrate_fault, "half back by faults, all again" },
	{ "migrate-release", migrate_release, "the VM ends with pages in VRAM" },
	{ "migrate-shared", migrate_shared, "shared pages do not move" },
	{ "migrate-mixed", migrate_mixed, "PROT_NONE, a gap, zero, read-only, writable" },
	{ "migrate-mixed-other", migrate_mixed_other, "likewise between two GPUs" },
	{ "migrate-multiple", migrate_multiple, "again and again" },
	{ "snapshot", snapshot, "a look at all kinds of pages" },
	{ "hmm-cow-in-device", hmm_cow_in_device, "a child is killed that shares VRAM" },
	{ "migrate-anon-huge-empty", migrate_anon_huge_empty, "untouched huge memory" },
	{ "migrate-anon-huge-zero", migrate_anon_huge_zero, "the huge zero page" },
	{ "migrate-anon-huge-free", migrate_anon_huge_free, "MADV_FREE in VRAM" },
	{ "migrate-anon-huge-fault", migrate_anon_huge_fault, "a collapsed page, to VRAM and back" },
	{ "migrate-partial-unmap-fault", migrate_partial_unmap_fault, "parts are unmapped in VRAM" },
	{ "migrate-remap-fault", migrate_remap_fault, "24 ways of mremap" },
	{ "migrate-anon-huge-err", migrate_anon_huge_err, "huge pages that cannot go as one" },
	{ "migrate-anon-huge-zero-err", migrate_anon_huge_zero_err, "zero memory that cannot go as one" },
	{ "benchmark-thp-migration", benchmark_thp_migration, "ten moves, every page counted" },
};

GSVM_MAIN(tests)
