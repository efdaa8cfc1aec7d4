// SPDX-License-Identifier: MIT
/*
 * What a GPU fault moves to VRAM: by policy, by what was there before, and not
 * a page more than the mapping has.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define BLOCK_PAGES	(HUGE / PAGE)
#define HOLE_FILL	(64ul << 10)

/* One access by the GPU in the middle of the block takes all of it. */
static void populated(bool write)
{
	struct queue *q = queue_open();
	char *p = map_block(2 * HUGE);
	struct drm_gsvm_vm_query before, after;

	cpu_fill(p, 2 * HUGE, 1, WHOLE);
	expect_system(q, p, 2 * HUGE, "filled by the CPU");
	before = vm_counters(q);
	if (write)
		gpu_write(q, p + 300 * PAGE, pattern_word(1, 300 * PAGE));
	else
		gsvm_assert_eq(gpu_read(q, p + 300 * PAGE), pattern_word(1, 300 * PAGE),
			       "the word that the GPU read");
	after = vm_counters(q);
	expect_vram(q, p, HUGE, "the block of the fault");
	expect_system(q, p + HUGE, HUGE, "the next block");
	gsvm_assert(after.pages_to_vram - before.pages_to_vram >= BLOCK_PAGES,
		    "pages_to_vram grew by %llu\n",
		    (unsigned long long)(after.pages_to_vram - before.pages_to_vram));
	gsvm_assert(after.bytes_migrated - before.bytes_migrated >= HUGE,
		    "bytes_migrated grew by %llu\n",
		    (unsigned long long)(after.bytes_migrated - before.bytes_migrated));
	gpu_verify(q, p, 2 * HUGE, 1, WHOLE, "after the move");
	cpu_verify(p, 2 * HUGE, 1, WHOLE, "after the move");
	expect_system(q, p, 2 * HUGE, "read by the CPU");
	after = vm_counters(q);
	gsvm_assert(after.pages_to_system - before.pages_to_system >= 2 * BLOCK_PAGES,
		    "pages_to_system grew by %llu\n",
		    (unsigned long long)(after.pages_to_system - before.pages_to_system));
	queue_close(q);
}

static void populated_read(void)
{
	populated(false);
}

static void populated_write(void)
{
	populated(true);
}

/* A huge page goes in one piece, and is one in VRAM. */
static void populated_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_thp(q, 2 * HUGE, 2);
	struct drm_gsvm_vm_query before, after;

	before = vm_counters(q);
	gsvm_assert_eq(gpu_read(q, p + 77 * PAGE + 8), pattern_word(2, 77 * PAGE + 8),
		       "the word that the GPU read");
	after = vm_counters(q);
	expect_huge_vram(q, p, HUGE, "a huge page that the GPU read");
	expect_system(q, p + HUGE, HUGE, "the next huge page");
	gsvm_assert(after.huge_mapped > before.huge_mapped, "no 2 MiB entry was made\n");
	gpu_verify(q, p, 2 * HUGE, 2, WHOLE, "huge pages");
	gpu_pattern(q, p, 2 * HUGE, 3, WHOLE);
	cpu_verify(p, 2 * HUGE, 3, WHOLE, "huge pages");
	queue_close(q);
}

/* Again and again: neither data nor VRAM gets lost on the way. */
static void to_and_fro(void)
{
	struct queue *q = queue_open();
	uint64_t free_before = vram_free(q);
	char *p = map_block(HUGE), *h = map_thp(q, HUGE, 0);
	int round;

	cpu_fill(p, HUGE, 0, SPARSE);
	for (round = 0; round < 12; round++) {
		gpu_verify(q, p, HUGE, 2 * round, SPARSE, "small pages");
		gpu_verify(q, h, HUGE, 2 * round, SPARSE, "huge page");
		gpu_pattern(q, p, HUGE, 2 * round + 1, SPARSE);
		gpu_pattern(q, h, HUGE, 2 * round + 1, SPARSE);
		cpu_verify(p, HUGE, 2 * round + 1, SPARSE, "small pages");
		cpu_verify(h, HUGE, 2 * round + 1, SPARSE, "huge page");
		cpu_fill(p, HUGE, 2 * round + 2, SPARSE);
		cpu_fill(h, HUGE, 2 * round + 2, SPARSE);
	}
	gsvm_sys(munmap(p, HUGE));
	gsvm_sys(munmap(h, HUGE));
	expect_vram_free(q, free_before, "after munmap");
	queue_close(q);
}

/* A hole that is read stays a hole. */
static void hole_read(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	struct place at;

	gsvm_assert_eq(gpu_read(q, p + 40 * PAGE), 0, "a word of a hole");
	at = place_of(q, p, HUGE);
	gsvm_assert(!at.vram, "a read of a hole took %zu pages of VRAM\n", at.vram);
	gsvm_assert(!page_pfn(p + 40 * PAGE) || is_zero_page(p + 40 * PAGE),
		    "a read of a hole took a page of memory\n");
	gsvm_assert(at.absent >= BLOCK_PAGES - HOLE_FILL / PAGE,
		    "a read of one page brought %zu\n", BLOCK_PAGES - at.absent);
	/* And the write that follows is not stopped by it. */
	gpu_write(q, p + 40 * PAGE, 5);
	gsvm_assert(in_vram(q, p + 40 * PAGE), "the written page is not in VRAM\n");
	gsvm_assert_eq(gpu_read(q, p + 40 * PAGE), 5, "the written word");
	gsvm_assert_eq(gpu_read(q, p + 41 * PAGE), 0, "a word beside it");
	gsvm_assert_eq(*(uint64_t *)(p + 40 * PAGE), 5, "the written word, by the CPU");
	gsvm_assert_eq(*(uint64_t *)(p + 40 * PAGE + 8), 0, "its neighbour");
	queue_close(q);
}

/* Written, it is made in VRAM, with no system memory before. */
static void hole_write(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE), *fill = p + 5 * HOLE_FILL;
	size_t at;

	gpu_write(q, fill + 7 * PAGE, 9);
	expect_vram(q, fill, HOLE_FILL, "the 64 KiB around a written hole");
	expect_absent(q, p, 5 * HOLE_FILL, "before them");
	expect_absent(q, fill + HOLE_FILL, HUGE - 6 * HOLE_FILL, "behind them");
	for (at = 0; at < HOLE_FILL; at += PAGE)
		gsvm_assert(!(pagemap(fill + at) & PM_PRESENT), "page %zu is in memory\n",
			    at / PAGE);
	gpu_check(q, fill, 8, 7 * PAGE / 8, 0, 0);
	gpu_check(q, fill + 7 * PAGE + 8, 8, (HOLE_FILL - 7 * PAGE - 8) / 8, 0, 0);
	cpu_check(fill, 8, 7 * PAGE / 8, 0, 0, "memory before the written word");
	gsvm_assert_eq(*(uint64_t *)(fill + 7 * PAGE), 9, "the written word");
	cpu_check(fill + 7 * PAGE + 8, 8, (HOLE_FILL - 7 * PAGE - 8) / 8, 0, 0, "and behind it");
	queue_close(q);
}

/* Without any advice about huge pages, which is what malloc() gives. */
static void hole_write_plain(void)
{
	struct queue *q = queue_open();
	char *p = mmap(reserve(HUGE), HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	struct place at;

	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	gpu_write(q, p + 100 * PAGE, 13);
	at = place_of(q, p, HUGE);
	gsvm_assert(at.vram >= HOLE_FILL / PAGE && !at.system,
		    "a written hole has %zu pages in VRAM, %zu in system memory\n", at.vram,
		    at.system);
	gpu_check(q, p, 64, 100 * PAGE / 64, 0, 0);
	gsvm_assert_eq(*(uint64_t *)(p + 100 * PAGE), 13, "the written word");
	queue_close(q);
}

static void hole_write_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	gpu_write(q, p + 100 * PAGE, 11);
	expect_huge_vram(q, p, HUGE, "a huge hole that the GPU wrote to");
	gsvm_assert(!(pagemap(p) & PM_PRESENT), "the page is in memory\n");
	gpu_check(q, p, 8, 100 * PAGE / 8, 0, 0);
	gsvm_assert_eq(*(uint64_t *)(p + 100 * PAGE), 11, "the written word");
	cpu_check(p, 8, 100 * PAGE / 8, 0, 0, "memory before the written word");
	cpu_check(p + 100 * PAGE + 8, 8, (HUGE - 100 * PAGE - 8) / 8, 0, 0, "and behind it");
	queue_close(q);
}

/* A mapping that ends within the 64 KiB is filled to its end. */
static void hole_write_edge(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);

	gsvm_sys(munmap(p + 3 * PAGE, HOLE_FILL));
	gpu_write(q, p + PAGE, 1);
	gsvm_assert(in_vram(q, p + PAGE), "the written page is not in VRAM\n");
	expect_absent(q, p + 3 * PAGE, HOLE_FILL, "what is not mapped");
	gpu_write(q, p + 3 * PAGE + HOLE_FILL, 2);
	gsvm_assert(in_vram(q, p + 3 * PAGE + HOLE_FILL), "the written page is not in VRAM\n");
	gsvm_assert_eq(*(uint64_t *)(p + PAGE), 1, "a word before the gap");
	gsvm_assert_eq(*(uint64_t *)(p + 3 * PAGE + HOLE_FILL), 2, "a word behind it");
	queue_close(q);
}

/* The CPU read: the zero page is there. The GPU writes: it is replaced. */
static void zero_page(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);

	cpu_check(p, PAGE, BLOCK_PAGES, 0, 0, "untouched memory");
	gsvm_assert(is_zero_page(p + 9 * PAGE), "a page that was only read is not the zero page\n");
	gpu_check(q, p, PAGE, BLOCK_PAGES, 0, 0);
	gpu_write(q, p + 9 * PAGE, 3);
	gsvm_assert(in_vram(q, p + 9 * PAGE), "the written page is not in VRAM\n");
	gpu_pattern(q, p, HUGE, 4, SPARSE);
	expect_vram(q, p, HUGE, "written zero pages");
	cpu_verify(p, HUGE, 4, SPARSE, "written zero pages");
	queue_close(q);
}

static void zero_page_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	gsvm_assert_eq(*(volatile uint64_t *)p, 0, "untouched memory");
	gsvm_require(is_zero_page(p) && page_has_flag(p, KPF_THP),
		     "there is no huge zero page in use\n");
	gpu_check(q, p, PAGE, BLOCK_PAGES, 0, 0);
	gpu_write(q, p + 200 * PAGE, 6);
	gsvm_assert(in_vram(q, p + 200 * PAGE), "the written page is not in VRAM\n");
	gsvm_assert_eq(gpu_read(q, p + 201 * PAGE), 0, "a word beside it");
	gpu_pattern(q, p, HUGE, 7, SPARSE);
	expect_vram(q, p, HUGE, "the huge page after writes everywhere");
	cpu_verify(p, HUGE, 7, SPARSE, "the huge page");
	queue_close(q);
}

/* The huge zero page moved by prefetch reads as zeroes on both sides. */
static void zero_page_huge_prefetch(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	gsvm_assert_eq(*(volatile uint64_t *)p, 0, "untouched memory");
	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	gpu_check(q, p, 64, HUGE / 64, 0, 0);
	cpu_check(p, 64, HUGE / 64, 0, 0, "a moved zero page");
	queue_close(q);
}

static void policy_never(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE), *hole = map_block(HUGE);

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	cpu_fill(p, HUGE, 1, SPARSE);
	gpu_verify(q, p, HUGE, 1, SPARSE, "memory that stays");
	gpu_pattern(q, p, HUGE, 2, SPARSE);
	expect_system(q, p, HUGE, "with MIGRATE_NEVER");
	gpu_write(q, hole, 1);
	gsvm_assert(in_system(q, hole), "a written hole is not in system memory\n");
	gsvm_assert_eq(vm_counters(q).pages_to_vram, 0, "pages_to_vram");
	cpu_verify(p, HUGE, 2, SPARSE, "memory that stayed");
	/* A prefetch is asked for by name, and moves. */
	to_vram(q, p, HUGE);
	gpu_verify(q, p, HUGE, 2, SPARSE, "after a prefetch");
	expect_vram(q, p, HUGE, "used by the GPU");
	cpu_verify(p, HUGE, 2, SPARSE, "after a prefetch");
	queue_close(q);
}

/* Make the GPU's next access a fault, without touching the pages. */
static void unmap_from_gpu(char *p, size_t size)
{
	gsvm_sys(mprotect(p, size, PROT_NONE));
	gsvm_sys(mprotect(p, size, PROT_READ | PROT_WRITE));
}

static void policy_second(void)
{
	struct queue *q = queue_open();
	char *p = map_block(2 * HUGE);

	set_policy(q, DRM_GSVM_MIGRATE_SECOND);
	cpu_fill(p, 2 * HUGE, 1, SPARSE);
	gpu_read(q, p);
	expect_system(q, p, HUGE, "after the first fault");
	unmap_from_gpu(p, HUGE);
	gpu_read(q, p + 5 * PAGE);
	expect_vram(q, p, HUGE, "after the second fault");
	/* Each block counts for itself. */
	gpu_read(q, p + HUGE);
	expect_system(q, p + HUGE, HUGE, "the other block's first fault");
	gpu_verify(q, p, 2 * HUGE, 1, SPARSE, "both blocks");
	cpu_verify(p, 2 * HUGE, 1, SPARSE, "both blocks");
	queue_close(q);
}

/* The policy holds for faults that come after it. */
static void policy_change(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	cpu_fill(p, HUGE, 1, SPARSE);
	gpu_verify(q, p, HUGE, 1, SPARSE, "in system memory");
	set_policy(q, DRM_GSVM_MIGRATE_FIRST);
	expect_system(q, p, HUGE, "after a change of policy alone");
	unmap_from_gpu(p, HUGE);
	gpu_verify(q, p, HUGE, 1, SPARSE, "on its way");
	expect_vram(q, p, HUGE, "after a fault");
	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	expect_vram(q, p, HUGE, "after MIGRATE_NEVER alone");
	gpu_verify(q, p, HUGE, 1, SPARSE, "in VRAM");
	cpu_verify(p, HUGE, 1, SPARSE, "back");
	gpu_verify(q, p, HUGE, 1, SPARSE, "in system memory again");
	expect_system(q, p, HUGE, "with MIGRATE_NEVER");
	queue_close(q);
}

/* Policies are each VM's own. */
static void policy_per_vm(void)
{
	struct queue *q = queue_open(), *other;
	char *p = map_block(HUGE);

	other = queue_open();
	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	cpu_fill(p, HUGE, 1, SPARSE);
	gpu_verify(q, p, HUGE, 1, SPARSE, "the VM that never moves");
	expect_system(q, p, HUGE, "used by the VM that never moves");
	gpu_verify(other, p, HUGE, 1, SPARSE, "the VM that moves");
	expect_vram(other, p, HUGE, "used by the other VM");
	gpu_verify(q, p, HUGE, 1, SPARSE, "the first VM, in VRAM");
	cpu_verify(p, HUGE, 1, SPARSE, "back");
	queue_close(other);
	queue_close(q);
}

/* A fault moves its own mapping only. */
static void mapping_bounds(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	size_t half = HUGE / 2;

	cpu_fill(p, HUGE, 1, SPARSE);
	gsvm_sys(mprotect(p + half, half, PROT_READ));
	gpu_read(q, p + PAGE);
	expect_vram(q, p, half, "the mapping of the fault");
	expect_system(q, p + half, half, "the other mapping of the block");
	gpu_read(q, p + half);
	expect_vram(q, p, HUGE, "both mappings");
	gsvm_assert(!place_of(q, p + half, half).write, "read-only pages became writable\n");
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p + half), TOUCH_WRITE, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE, p + half, 0);
	cpu_verify(p, HUGE, 1, SPARSE, "both mappings");
	queue_close(q);
}

/* Everything that a block can have, side by side. */
static void mixed_block(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE), *file;
	int fd = make_memfd(64 * PAGE), i;

	/* 0: populated, 64: hole, 128: zero pages, 192: a file, 256: nothing, 320: read-only */
	cpu_fill(p, 64 * PAGE, 1, WHOLE);
	cpu_check(p + 128 * PAGE, PAGE, 64, 0, 0, "untouched memory");
	file = mmap(p + 192 * PAGE, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    fd, 0);
	gsvm_assert(file == p + 192 * PAGE, "mmap: %s\n", strerror(errno));
	close(fd);
	cpu_fill(file, 64 * PAGE, 2, WHOLE);
	gsvm_sys(munmap(p + 256 * PAGE, 64 * PAGE));
	cpu_fill(p + 320 * PAGE, 64 * PAGE, 3, WHOLE);
	gsvm_sys(mprotect(p + 320 * PAGE, 64 * PAGE, PROT_READ));
	for (i = 0; i < 3; i++) {
		gpu_verify(q, p, 64 * PAGE, 1, WHOLE, "populated");
		gpu_check(q, p + 64 * PAGE, PAGE, 128, 0, 0);
		gpu_verify(q, file, 64 * PAGE, 2, WHOLE, "file");
		gpu_verify(q, p + 320 * PAGE, 64 * PAGE, 3, WHOLE, "read-only");
		expect_vram(q, p, 64 * PAGE, "populated pages");
		expect_system(q, file, 64 * PAGE, "pages of a file");
		expect_absent(q, p + 256 * PAGE, 64 * PAGE, "what is not mapped");
		expect_vram(q, p + 320 * PAGE, 64 * PAGE, "read-only pages");
		prefetch(q, p, HUGE, DRM_GSVM_REGION_SYSTEM);
		expect_system(q, p, 64 * PAGE, "populated pages, back");
	}
	gpu_pattern(q, p + 64 * PAGE, 128 * PAGE, 4, SPARSE);
	expect_vram(q, p + 64 * PAGE, 128 * PAGE, "written holes and zero pages");
	cpu_verify(p, 64 * PAGE, 1, WHOLE, "populated");
	cpu_verify(p + 64 * PAGE, 128 * PAGE, 4, SPARSE, "written holes and zero pages");
	cpu_verify(file, 64 * PAGE, 2, WHOLE, "file");
	cpu_verify(p + 320 * PAGE, 64 * PAGE, 3, WHOLE, "read-only");
	queue_close(q);
}

/* Every other page in VRAM, every other in system memory, in the same block. */
static void alternating(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	size_t i;

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	cpu_fill(p, HUGE, 1, SPARSE);
	for (i = 0; i < BLOCK_PAGES; i += 2)
		prefetch(q, p + i * PAGE, PAGE, DRM_GSVM_REGION_VRAM);
	for (i = 0; i < BLOCK_PAGES; i++)
		gsvm_assert((i % 2 ? in_system : in_vram)(q, p + i * PAGE),
			    "page %zu is at the wrong place\n", i);
	gpu_verify(q, p, HUGE, 1, SPARSE, "both kinds");
	gpu_pattern(q, p, HUGE, 2, SPARSE);
	to_vram(q, p, HUGE);
	gpu_verify(q, p, HUGE, 2, SPARSE, "all in VRAM");
	cpu_verify(p, HUGE, 2, SPARSE, "back");
	queue_close(q);
}

/* Work-items in every block of a large region fault at the same time. */
static void storm(void)
{
	struct queue *q = queue_open();
	size_t size = 24 * MIB;
	char *p = map_block(size);

	cpu_fill(p, size, 1, SPARSE);
	gpu_verify(q, p, size, 1, SPARSE, "a storm of reads");
	expect_vram(q, p, size, "after a storm");
	gpu_pattern(q, p, size, 2, SPARSE);
	cpu_verify(p, size, 2, SPARSE, "after a storm of writes");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "populated-read", populated_read, "a GPU read moves the block that the CPU filled" },
	{ "populated-write", populated_write, "likewise a GPU write" },
	{ "populated-huge", populated_huge, "a huge page moves in one piece" },
	{ "to-and-fro", to_and_fro, "a block goes to and fro, nothing gets lost" },
	{ "hole-read", hole_read, "a hole that is read takes no memory" },
	{ "hole-write", hole_write, "a written hole is made in VRAM, 64 KiB at once" },
	{ "hole-write-plain", hole_write_plain, "likewise without any advice" },
	{ "hole-write-huge", hole_write_huge, "or 2 MiB, where huge pages are wanted" },
	{ "hole-write-edge", hole_write_edge, "but not beyond the mapping" },
	{ "zero-page", zero_page, "GPU writes to pages that the CPU only read" },
	{ "zero-page-huge", zero_page_huge, "likewise with the huge zero page" },
	{ "zero-page-huge-prefetch", zero_page_huge_prefetch, "a moved zero page is zero" },
	{ "policy-never", policy_never, "nothing moves by itself" },
	{ "policy-second", policy_second, "the second fault moves" },
	{ "policy-change", policy_change, "a new policy holds for new faults" },
	{ "policy-per-vm", policy_per_vm, "two VMs with different policies" },
	{ "mapping-bounds", mapping_bounds, "a fault moves its own mapping only" },
	{ "mixed-block", mixed_block, "all kinds of memory in one block" },
	{ "alternating", alternating, "pages in VRAM and in system memory take turns" },
	{ "storm", storm, "thousands of faults on memory that has to move" },
};

GSVM_MAIN(tests)
