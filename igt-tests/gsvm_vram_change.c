// SPDX-License-Identifier: MIT
/*
 * The address space changes around pages that are in VRAM: mremap in all its
 * forms, munmap of parts, mprotect, madvise.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* How a mapping is moved, and what happens around it. */
#define HUGE_PAGES	(1u << 0)
#define DONTUNMAP	(1u << 1)
#define READ_ONLY	(1u << 2)
#define CPU_LOOKS	(1u << 3)	/* between the jobs; else nobody touches it */
#define UNEVEN		(1u << 4)	/* to an address that is not 2 MiB aligned */

static void mremap_form(unsigned int form)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	bool huge = form & HUGE_PAGES;
	char *p = huge ? map_thp_in_vram(q, HUGE, 1) : map_in_vram(q, HUGE, 1);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (form & DONTUNMAP ? MREMAP_DONTUNMAP : 0);
	int round;

	for (round = 1; round < 5; round++) {
		char *area = reserve(2 * HUGE), *to = area + (form & UNEVEN ? 3 * PAGE : 0), *at;

		if (form & CPU_LOOKS)
			cpu_verify(p, HUGE, round, SPARSE, "before mremap");
		if (form & READ_ONLY)
			gsvm_sys(mprotect(p, HUGE, PROT_READ));
		at = mremap(p, HUGE, HUGE, flags, to);
		gsvm_assert(at == to, "mremap: %s\n", strerror(errno));
		if (form & READ_ONLY)
			gsvm_sys(mprotect(to, HUGE, PROT_READ | PROT_WRITE));
		if (!(form & CPU_LOOKS))
			expect_vram(q, to, HUGE, "moved with its mapping");
		gpu_verify(q, to, HUGE, round, WHOLE, "after mremap");
		if (form & DONTUNMAP) {
			/* What it left behind is empty, and not the same memory. */
			gsvm_sys(mprotect(p, HUGE, PROT_READ | PROT_WRITE));
			gpu_check(q, p, PAGE, HUGE / PAGE, 0, 0);
			gpu_set(q, p, PAGE, HUGE / PAGE, 77, 0);
			gpu_verify(q, to, HUGE, round, WHOLE, "after writes to the old place");
			gsvm_sys(munmap(p, HUGE));
		}
		gpu_pattern(q, to, HUGE, round + 1, WHOLE);
		/*
		 * What was read-only is made writable by the kernel's fault at the
		 * first write, and that is one which brings the page to system memory.
		 */
		if (form & READ_ONLY)
			to_vram(q, to, HUGE);
		p = to;
	}
	gpu_verify(q, p, HUGE, round, WHOLE, "at the last place");
	cpu_verify(p, HUGE, round, WHOLE, "at the last place");
	gsvm_sys(munmap(p, HUGE));
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

#define MREMAP(name, form)			\
	static void name(void)			\
	{					\
		mremap_form(form);		\
	}

MREMAP(mremap_plain, 0)
MREMAP(mremap_looked, CPU_LOOKS)
MREMAP(mremap_uneven, UNEVEN)
MREMAP(mremap_dontunmap, DONTUNMAP)
MREMAP(mremap_dontunmap_looked, DONTUNMAP | CPU_LOOKS)
MREMAP(mremap_read_only, READ_ONLY)
MREMAP(mremap_read_only_dontunmap, READ_ONLY | DONTUNMAP)
MREMAP(mremap_huge, HUGE_PAGES)
MREMAP(mremap_huge_looked, HUGE_PAGES | CPU_LOOKS)
MREMAP(mremap_huge_uneven, HUGE_PAGES | UNEVEN)
MREMAP(mremap_huge_dontunmap, HUGE_PAGES | DONTUNMAP)
MREMAP(mremap_huge_read_only, HUGE_PAGES | READ_ONLY)

/* The GPU must not reach the old place any more. */
static void mremap_old_place(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1), *to = reserve(HUGE);

	gpu_verify(q, p, HUGE, 1, SPARSE, "before mremap");
	gsvm_sys(mremap(p, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p) + 8 * PAGE, TOUCH_READ, 0),
			 DRM_GSVM_REASON_NOT_MAPPED, DRM_GSVM_ACCESS_READ, p + 8 * PAGE, 0);
	cpu_verify(to, HUGE, 1, WHOLE, "at its new place");
	queue_close(q);
}

static void mremap_resize(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = map_in_vram(q, 2 * HUGE, 1), *to;

	gsvm_assert(mremap(p, 2 * HUGE, HUGE / 2, 0) == p, "mremap: %s\n", strerror(errno));
	expect_vram_free(q, unused - HUGE / 2 - HUGE, "after shrinking");
	to = mremap(p, HUGE / 2, 4 * HUGE, MREMAP_MAYMOVE);
	gsvm_assert(to != MAP_FAILED, "mremap: %s\n", strerror(errno));
	gpu_verify(q, to, HUGE / 2, 1, WHOLE, "what was kept");
	gpu_check(q, to + HUGE / 2, PAGE, (4 * HUGE - HUGE / 2) / PAGE, 0, 0);
	cpu_verify(to, HUGE / 2, 1, WHOLE, "what was kept");
	gsvm_sys(munmap(to, 4 * HUGE));
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

/*
 * A part goes: from the beginning, the middle, the end; with pages small or
 * huge; and the CPU may look at the rest before the GPU, or not.
 */
static void part_gone(bool huge, size_t from, size_t size, bool replace, bool cpu_looks)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = huge ? map_thp_in_vram(q, HUGE, 1) : map_in_vram(q, HUGE, 1), *new;
	size_t behind = HUGE - from - size;

	if (replace) {
		new = mmap(p + from, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		gsvm_assert(new == p + from, "mmap: %s\n", strerror(errno));
	} else {
		gsvm_sys(munmap(p + from, size));
		expect_absent(q, p + from, size, "the part that was unmapped");
	}
	if (cpu_looks) {
		if (from)
			cpu_verify(p, from, 1, WHOLE, "before the gap");
		if (behind)
			cpu_verify_part(p + from + size, from + size, behind, 1, WHOLE,
					"behind the gap");
	}
	if (from)
		gpu_verify(q, p, from, 1, WHOLE, "before the gap");
	if (behind)
		gpu_verify_part(q, p + from + size, from + size, behind, 1, WHOLE,
				"behind the gap");
	if (replace) {
		gpu_check(q, p + from, 64, size / 64, 0, 0);
		gpu_pattern(q, p + from, size, 2, WHOLE);
		cpu_verify(p + from, size, 2, WHOLE, "the new memory");
	}
	if (from)
		cpu_verify(p, from, 1, WHOLE, "before the gap");
	if (behind)
		cpu_verify_part(p + from + size, from + size, behind, 1, WHOLE,
				"behind the gap");
	gsvm_sys(munmap(p, HUGE));
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

static void all_parts(bool huge, bool replace, bool cpu_looks)
{
	part_gone(huge, 0, HUGE / 2, replace, cpu_looks);
	part_gone(huge, HUGE / 4, HUGE / 2, replace, cpu_looks);
	part_gone(huge, HUGE / 2, HUGE / 2, replace, cpu_looks);
	part_gone(huge, 0, PAGE, replace, cpu_looks);
	part_gone(huge, 255 * PAGE, PAGE, replace, cpu_looks);
}

#define PARTS(name, huge, replace, cpu_looks)		\
	static void name(void)				\
	{						\
		all_parts(huge, replace, cpu_looks);	\
	}

PARTS(munmap_part, false, false, false)
PARTS(munmap_part_looked, false, false, true)
PARTS(munmap_part_huge, true, false, false)
PARTS(munmap_part_huge_looked, true, false, true)
PARTS(replace_part, false, true, false)
PARTS(replace_part_looked, false, true, true)
PARTS(replace_part_huge, true, true, false)
PARTS(replace_part_huge_looked, true, true, true)

/* Freed and mapped again at the same address, again and again. */
static void address_reuse(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = map_block(HUGE), what[32];
	int round;

	for (round = 1; round <= 20; round++) {
		snprintf(what, sizeof(what), "new memory, round %d", round);
		if (round % 2) {
			cpu_fill(p, HUGE, round, SPARSE);
			gpu_read(q, p + round * PAGE);
			expect_vram(q, p, HUGE, what);
		} else {
			gpu_write(q, p + round * PAGE, 1);
			expect_vram(q, p + round * PAGE, PAGE, what);
			gpu_pattern(q, p, HUGE, round, SPARSE);
		}
		gpu_verify(q, p, HUGE, round, SPARSE, what);
		gsvm_sys(munmap(p, HUGE));
		gsvm_assert(mmap(p, HUGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p,
			    "mmap: %s\n", strerror(errno));
		gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
		if (round % 3 == 0)
			gpu_check(q, p, PAGE, HUGE / PAGE, 0, 0);
	}
	gsvm_sys(munmap(p, HUGE));
	expect_vram_free(q, unused, "after all of it");
	queue_close(q);
}

static void mprotect_read(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1), *h = map_thp_in_vram(q, HUGE, 2);

	gpu_verify(q, p, HUGE, 1, SPARSE, "before mprotect");
	gsvm_sys(mprotect(p, HUGE, PROT_READ));
	gsvm_sys(mprotect(h + HUGE / 2, HUGE / 2, PROT_READ));
	expect_vram(q, p, HUGE, "read-only memory");
	gpu_verify(q, p, HUGE, 1, WHOLE, "read-only memory");
	gpu_verify(q, h, HUGE, 2, WHOLE, "half read-only memory");
	gpu_pattern(q, h, HUGE / 2, 3, WHOLE);
	gsvm_sys(mprotect(p, HUGE, PROT_READ | PROT_WRITE));
	gpu_pattern(q, p, HUGE, 4, WHOLE);
	cpu_verify(p, HUGE, 4, WHOLE, "writable again");
	cpu_verify(h, HUGE / 2, 3, WHOLE, "the writable half");
	cpu_verify_part(h + HUGE / 2, HUGE / 2, HUGE / 2, 2, WHOLE, "the read-only half");
	gsvm_sys(mprotect(p, HUGE, PROT_READ));
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p) + 5 * PAGE, TOUCH_WRITE, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE, p + 5 * PAGE, 0);
	cpu_verify(p, HUGE, 4, WHOLE, "after a write that was refused");
	queue_close(q);
}

static void mprotect_none(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1);

	gsvm_sys(mprotect(p, HUGE, PROT_NONE));
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p) + 5 * PAGE, TOUCH_READ, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_READ, p + 5 * PAGE, 0);
	queue_close(q);
	q = queue_open();
	gsvm_sys(mprotect(p, HUGE, PROT_READ | PROT_WRITE));
	gpu_verify(q, p, HUGE, 1, WHOLE, "accessible again");
	cpu_verify(p, HUGE, 1, WHOLE, "accessible again");
	queue_close(q);
}

static void dontneed(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = map_in_vram(q, HUGE, 1), *h = map_thp_in_vram(q, HUGE, 2);

	gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
	expect_absent(q, p, HUGE, "after MADV_DONTNEED");
	gsvm_sys(madvise(h + 8 * PAGE, 16 * PAGE, MADV_DONTNEED));
	expect_absent(q, h + 8 * PAGE, 16 * PAGE, "after MADV_DONTNEED of a part");
	gpu_check(q, p, 64, HUGE / 64, 0, 0);
	gpu_check(q, h + 8 * PAGE, 64, 16 * PAGE / 64, 0, 0);
	gpu_verify(q, h, 8 * PAGE, 2, WHOLE, "before the part");
	cpu_verify_part(h + 24 * PAGE, 24 * PAGE, HUGE - 24 * PAGE, 2, WHOLE, "behind the part");
	gsvm_sys(madvise(h, HUGE, MADV_DONTNEED));
	gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
	expect_vram_free(q, unused, "after MADV_DONTNEED of everything");
	queue_close(q);
}

/* MADV_FREE allows zeroes until the next write, never anything else. */
static void madv_free(bool huge)
{
	struct queue *q = queue_open();
	char *p = huge ? map_thp_in_vram(q, HUGE, 1) : map_in_vram(q, HUGE, 1);
	size_t page;

	gsvm_sys(madvise(p, HUGE, MADV_FREE));
	for (page = 0; page < HUGE / PAGE; page += 2)
		gpu_pattern(q, p + page * PAGE, PAGE, 100 + page, SPARSE);
	gsvm_sys(madvise(p, HUGE, MADV_PAGEOUT));
	for (page = 0; page < HUGE / PAGE; page++) {
		uint64_t value = gsvm_peek((void *)(p + page * PAGE));

		if (page % 2 == 0)
			cpu_verify(p + page * PAGE, PAGE, 100 + page, SPARSE,
				   "written after MADV_FREE");
		else
			gsvm_assert(!value || value == pattern_word(1, page * PAGE),
				    "page %zu is %#llx after MADV_FREE\n", page,
				    (unsigned long long)value);
	}
	queue_close(q);
}

static void madv_free_small(void)
{
	madv_free(false);
}

static void madv_free_huge(void)
{
	madv_free(true);
}

/* The kernel makes a huge page of small ones that are in VRAM, or refuses. */
static void collapse(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	int round, tries;

	/* Small pages to begin with. */
	gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
	cpu_fill(p, HUGE, 0, WHOLE);
	gsvm_sys(madvise(p, HUGE, MADV_HUGEPAGE));
	for (round = 0; round < 4; round++) {
		to_vram(q, p, HUGE);
		if (madvise(p, HUGE, MADV_COLLAPSE))
			gsvm_assert(errno == EINVAL || errno == EAGAIN || errno == EBUSY ||
				    errno == ENOMEM, "MADV_COLLAPSE: %s\n", strerror(errno));
		gpu_verify(q, p, HUGE, round, WHOLE, "after MADV_COLLAPSE in VRAM");
		cpu_verify(p, HUGE, round, WHOLE, "after MADV_COLLAPSE in VRAM");
		/* In memory it can be done, at the latest when nobody holds a page; the GPU follows. */
		for (tries = 0; madvise(p, HUGE, MADV_COLLAPSE); tries++)
			gsvm_assert(tries < 100, "MADV_COLLAPSE: %s\n", strerror(errno));
		gpu_pattern(q, p, HUGE, round + 1, WHOLE);
	}
	cpu_verify(p, HUGE, round, WHOLE, "at the end");
	queue_close(q);
}

static void pageout_vram(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1), *h = map_thp_in_vram(q, HUGE, 2);

	/* Pages in VRAM are none of the memory's that reclaim wants. */
	gsvm_sys(madvise(p, HUGE, MADV_PAGEOUT));
	gsvm_sys(madvise(h, HUGE, MADV_COLD));
	gsvm_sys(madvise(h, HUGE, MADV_PAGEOUT));
	gpu_verify(q, p, HUGE, 1, WHOLE, "after MADV_PAGEOUT");
	gpu_verify(q, h, HUGE, 2, WHOLE, "after MADV_PAGEOUT");
	cpu_verify(p, HUGE, 1, WHOLE, "after MADV_PAGEOUT");
	cpu_verify(h, HUGE, 2, WHOLE, "after MADV_PAGEOUT");
	queue_close(q);
}

/* A huge page in VRAM is taken apart in every way there is. */
static void split(void)
{
	struct queue *q = queue_open();
	char *h = map_thp_in_vram(q, 4 * HUGE, 1);
	size_t i;

	gsvm_sys(mprotect(h + 7 * PAGE, PAGE, PROT_READ));
	gsvm_sys(madvise(h + HUGE + 7 * PAGE, PAGE, MADV_DONTNEED));
	gsvm_sys(munmap(h + 2 * HUGE + 7 * PAGE, PAGE));
	gsvm_assert_eq(gsvm_peek((void *)(h + 3 * HUGE + 7 * PAGE)),
		       pattern_word(1, 3 * HUGE + 7 * PAGE), "a word that the CPU read");
	for (i = 0; i < 4; i++) {
		size_t at = i * HUGE, behind = at + 8 * PAGE;

		gpu_verify_part(q, h + at, at, 7 * PAGE, 1, WHOLE, "before the split");
		gpu_verify_part(q, h + behind, behind, HUGE - 8 * PAGE, 1, WHOLE, "behind it");
		cpu_verify_part(h + at, at, 7 * PAGE, 1, WHOLE, "before the split");
		cpu_verify_part(h + behind, behind, HUGE - 8 * PAGE, 1, WHOLE, "behind it");
	}
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "mremap", mremap_plain, "nobody touches it on the way" },
	{ "mremap-looked", mremap_looked, "the CPU looks before" },
	{ "mremap-uneven", mremap_uneven, "blocks do not fit the blocks of before" },
	{ "mremap-dontunmap", mremap_dontunmap, "the old place stays, empty" },
	{ "mremap-dontunmap-looked", mremap_dontunmap_looked, "likewise, the CPU looks" },
	{ "mremap-read-only", mremap_read_only, "read-only on the way" },
	{ "mremap-read-only-dontunmap", mremap_read_only_dontunmap, "both" },
	{ "mremap-huge", mremap_huge, "a huge page" },
	{ "mremap-huge-looked", mremap_huge_looked, "a huge page, the CPU looks" },
	{ "mremap-huge-uneven", mremap_huge_uneven, "a huge page must be taken apart" },
	{ "mremap-huge-dontunmap", mremap_huge_dontunmap, "a huge page, the old place stays" },
	{ "mremap-huge-read-only", mremap_huge_read_only, "a huge page, read-only" },
	{ "mremap-old-place", mremap_old_place, "the GPU does not reach the old place" },
	{ "mremap-resize", mremap_resize, "shrunk, then grown" },
	{ "munmap-part", munmap_part, "parts are unmapped" },
	{ "munmap-part-looked", munmap_part_looked, "likewise, the CPU looks" },
	{ "munmap-part-huge", munmap_part_huge, "parts of a huge page" },
	{ "munmap-part-huge-looked", munmap_part_huge_looked, "likewise, the CPU looks" },
	{ "replace-part", replace_part, "parts are replaced" },
	{ "replace-part-looked", replace_part_looked, "likewise, the CPU looks" },
	{ "replace-part-huge", replace_part_huge, "parts of a huge page" },
	{ "replace-part-huge-looked", replace_part_huge_looked, "likewise, the CPU looks" },
	{ "address-reuse", address_reuse, "new memory at the same address" },
	{ "mprotect-read", mprotect_read, "read-only in VRAM, and back" },
	{ "mprotect-none", mprotect_none, "PROT_NONE in VRAM, and back" },
	{ "dontneed", dontneed, "MADV_DONTNEED" },
	{ "madv-free", madv_free_small, "MADV_FREE" },
	{ "madv-free-huge", madv_free_huge, "MADV_FREE of a huge page" },
	{ "collapse", collapse, "MADV_COLLAPSE" },
	{ "pageout", pageout_vram, "MADV_PAGEOUT and MADV_COLD" },
	{ "split", split, "a huge page is split in four ways" },
};

GSVM_MAIN(tests)
