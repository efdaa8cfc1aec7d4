// SPDX-License-Identifier: MIT
/*
 * The CPU changes mappings between jobs; the next job sees the change and
 * nothing of what was there before. gsvm_mirror_race.c does it during jobs.
 */
#include <stdio.h>
#include <sys/uio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	16
#define SIZE	(PAGES * PAGE)

static void expect_dead(struct queue *q, void *addr, uint32_t access, uint32_t reason)
{
	uint64_t how = access == DRM_GSVM_ACCESS_WRITE ? TOUCH_WRITE : TOUCH_READ;

	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(addr), how, 0), reason, access, addr, 0);
}

static void mprotect_read(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(mprotect(p, SIZE, PROT_READ));
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	gpu_set(q, p, PAGE, PAGES, 2, 1);
	cpu_check(p, PAGE, PAGES, 2, 1, "after writing was allowed again");
	gsvm_sys(mprotect(p + PAGE, PAGE, PROT_READ));
	gpu_write(q, p, 40);
	expect_dead(q, p + PAGE, DRM_GSVM_ACCESS_WRITE, DRM_GSVM_REASON_PERMISSION);
	gsvm_assert_eq(*(uint64_t *)(p + PAGE), 3, "page after the refused write");
	queue_close(q);
}

static void mprotect_none(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(mprotect(p, SIZE, PROT_NONE));
	gsvm_sys(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	gpu_check(q, p + 3 * PAGE, PAGE, PAGES - 3, 4, 1);
	expect_dead(q, p + 2 * PAGE, DRM_GSVM_ACCESS_READ, DRM_GSVM_REASON_PERMISSION);
	queue_close(q);
}

/* The same addresses, new memory, many times over. */
static void munmap_reuse(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE), *again;
	int i;

	for (i = 0; i < 30; i++) {
		gpu_check(q, p, PAGE, PAGES, 0, 0);
		gpu_set(q, p, PAGE, PAGES, 1 + i, 1);
		cpu_check(p, PAGE, PAGES, 1 + i, 1, "before munmap");
		munmap(p, SIZE);
		again = mmap(p, SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		gsvm_assert(again == p, "mmap: %s\n", strerror(errno));
	}
	munmap(p, SIZE);
	expect_dead(q, p, DRM_GSVM_ACCESS_READ, DRM_GSVM_REASON_NOT_MAPPED);
	queue_close(q);
}

static void munmap_middle(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	int hole, end;

	/* From 512 KiB to 1.5 MiB, as pages and as a huge page. */
	for (hole = 128, end = 384; hole < 192; hole += 32, end -= 32) {
		gpu_set(q, p, PAGE, 512, 1, 1);
		gsvm_sys(munmap(p + hole * PAGE, (end - hole) * PAGE));
		gpu_check(q, p, PAGE, hole, 1, 1);
		gpu_check(q, p + end * PAGE, PAGE, 512 - end, 1 + end, 1);
		gsvm_assert(mmap(p + hole * PAGE, (end - hole) * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
			    "mmap\n");
		gpu_check(q, p + hole * PAGE, PAGE, end - hole, 0, 0);
		gpu_run(q, "add", 512, U(p), PAGE, 1, 1);
		cpu_check(p, PAGE, hole, 2, 1, "before the hole");
		cpu_check(p + hole * PAGE, PAGE, end - hole, 1, 0, "new memory");
		cpu_check(p + end * PAGE, PAGE, 512 - end, 2 + end, 1, "behind the hole");
	}
	gsvm_sys(munmap(p + 200 * PAGE, PAGE));
	expect_dead(q, p + 200 * PAGE, DRM_GSVM_ACCESS_WRITE, DRM_GSVM_REASON_NOT_MAPPED);
	queue_close(q);
}

/*
 * One piece of memory, whose pages do not have the same rights. Sometimes the
 * three parts of it are asked for in one breath, and looked at together.
 */
static void mprotect_middle(void)
{
	const size_t third = 255 * PAGE;
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE), *middle = p + third;
	int round;

	gpu_set(q, p, PAGE, 512, 1, 1);
	for (round = 0; round < 32; round++) {
		struct queue *bad = queue_open_vm(q->fd, q->vm);

		gsvm_sys(mprotect(p, HUGE, PROT_NONE));
		gsvm_sys(mprotect(p, HUGE, PROT_READ | PROT_WRITE));
		gsvm_sys(mprotect(middle, PAGE, PROT_READ));
		gpu_check(q, p, third, 3, 1, 255);
		expect_dead(bad, middle, DRM_GSVM_ACCESS_WRITE, DRM_GSVM_REASON_PERMISSION);
		queue_close(bad);
	}
	cpu_check(p, PAGE, 512, 1, 1, "after writes that may not be");
	queue_close(q);
}

static void map_fixed(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	int fd = make_memfd(SIZE), i;

	for (i = 0; i < 20; i++) {
		uint64_t *content = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		cpu_set(content, PAGE, PAGES, 100 * i, 1);
		gpu_set(q, p, PAGE, PAGES, 7, 1);
		gsvm_assert(mmap(p, SIZE, PROT_READ | PROT_WRITE,
				 (i & 1 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
				 0) != MAP_FAILED, "mmap\n");
		gpu_check(q, p, PAGE, PAGES, 100 * i, 1);
		gsvm_assert(mmap(p, SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
			    "mmap\n");
		gpu_check(q, p, PAGE, PAGES, 0, 0);
		cpu_check(content, PAGE, PAGES, 100 * i, 1, "file that was replaced");
		munmap(content, SIZE);
	}
	close(fd);
	queue_close(q);
}

static void mremap_move(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE), *to;
	int i;

	for (i = 0; i < 20; i++) {
		gpu_set(q, p, PAGE, PAGES, i, 1);
		to = reserve(SIZE);
		/* Nobody touches the pages between the two jobs. */
		gsvm_assert(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
			    "mremap: %s\n", strerror(errno));
		gpu_check(q, to, PAGE, PAGES, i, 1);
		gpu_run(q, "add", PAGES, U(to), PAGE, 1, 1);
		cpu_check(to, PAGE, PAGES, i + 1, 1, "moved");
		if (i == 19)
			expect_dead(q, p, DRM_GSVM_ACCESS_READ, DRM_GSVM_REASON_NOT_MAPPED);
		p = to;
	}
	queue_close(q);
}

static void mremap_move_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(2 * HUGE), *to;
	int i;

	for (i = 0; i < 6; i++) {
		gpu_set(q, p, PAGE, 1024, i, 1);
		to = reserve(3 * HUGE);
		/* Aligned: page tables move whole. Not aligned: pages are split. */
		if (i & 1)
			to += 5 * PAGE;
		gsvm_assert(mremap(p, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
			    to, "mremap: %s\n", strerror(errno));
		gpu_check(q, to, PAGE, 1024, i, 1);
		p = to;
	}
	cpu_check(p, PAGE, 1024, 5, 1, "moved");
	queue_close(q);
}

static void mremap_dontunmap(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE), *to;

	gpu_set(q, p, PAGE, PAGES, 3, 1);
	to = mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	gsvm_assert(to != MAP_FAILED && to != p, "mremap: %s\n", strerror(errno));
	gpu_check(q, to, PAGE, PAGES, 3, 1);
	/* The old place is there, empty, and no second name of the pages. */
	gpu_check(q, p, PAGE, PAGES, 0, 0);
	gpu_set(q, p, PAGE, PAGES, 50, 1);
	gpu_check(q, to, PAGE, PAGES, 3, 1);
	munmap(p, SIZE);
	gpu_check(q, to, PAGE, PAGES, 3, 1);
	cpu_check(to, PAGE, PAGES, 3, 1, "moved");
	queue_close(q);
}

static void mremap_resize(void)
{
	struct queue *q = queue_open();
	/* So low that nobody's mapping comes to lie in the room that it grows into. */
	char *p = (char *)0x10000000;

	gsvm_assert(mmap(p, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p,
		    "mmap: %s\n", strerror(errno));
	gsvm_sys(madvise(p, SIZE, MADV_NOHUGEPAGE));
	gpu_set(q, p, PAGE, PAGES, 1, 1);
	gsvm_assert(mremap(p, SIZE, 2 * SIZE, 0) == p, "mremap: %s\n", strerror(errno));
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	gpu_check(q, p + SIZE, PAGE, PAGES, 0, 0);
	gpu_set(q, p, PAGE, 2 * PAGES, 2, 1);
	gsvm_assert(mremap(p, 2 * SIZE, SIZE / 2, 0) == p, "mremap: %s\n", strerror(errno));
	gpu_check(q, p, PAGE, PAGES / 2, 2, 1);
	expect_dead(q, p + SIZE / 2, DRM_GSVM_ACCESS_WRITE, DRM_GSVM_REASON_NOT_MAPPED);
	cpu_check(p, PAGE, PAGES / 2, 2, 1, "shrunk");
	gsvm_sys(munmap(p, SIZE / 2));
	queue_close(q);
}

/* Old size zero makes a second mapping of the same shared pages. */
static void mremap_alias(void)
{
	struct queue *q = queue_open();
	char *p = map_shared(SIZE), *to;

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	to = mremap(p, 0, SIZE, MREMAP_MAYMOVE);
	gsvm_assert(to != MAP_FAILED, "mremap: %s\n", strerror(errno));
	gpu_run(q, "add", PAGES, U(to), PAGE, 1, 1);
	gpu_check(q, p, PAGE, PAGES, 2, 1);
	munmap(p, SIZE);
	gpu_check(q, to, PAGE, PAGES, 2, 1);
	queue_close(q);
}

static void dontneed(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	int i;

	for (i = 0; i < 20; i++) {
		gpu_set(q, p, PAGE, PAGES, 5 + i, 1);
		gsvm_sys(madvise(p + 4 * PAGE, 8 * PAGE, MADV_DONTNEED));
		gpu_check(q, p, PAGE, 4, 5 + i, 1);
		gpu_check(q, p + 4 * PAGE, PAGE, 8, 0, 0);
		gpu_check(q, p + 12 * PAGE, PAGE, 4, 17 + i, 1);
	}
	queue_close(q);
}

/* MADV_REMOVE punches the memory behind a shared mapping. */
static void remove_shared(void)
{
	struct queue *q = queue_open();
	char *p = map_shared(SIZE);

	gpu_set(q, p, PAGE, PAGES, 5, 1);
	gsvm_sys(madvise(p + 4 * PAGE, 8 * PAGE, MADV_REMOVE));
	gpu_check(q, p + 4 * PAGE, PAGE, 8, 0, 0);
	gpu_check(q, p, PAGE, 4, 5, 1);
	gpu_set(q, p, PAGE, PAGES, 9, 1);
	cpu_check(p, PAGE, PAGES, 9, 1, "written after MADV_REMOVE");
	queue_close(q);
}

static void process_vm(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE), *buf = malloc(SIZE);
	struct iovec local = { buf, SIZE }, remote = { p, SIZE };
	struct child *c;

	gpu_set(q, p, 8, SIZE / 8, 1, 1);
	c = gsvm_fork();
	if (!c->pid) {
		gsvm_hear(c);
		gsvm_assert(process_vm_readv(getppid(), &local, 1, &remote, 1, 0) == (ssize_t)SIZE,
			    "process_vm_readv: %s\n", strerror(errno));
		cpu_check(buf, 8, SIZE / 8, 30, 1, "read by another process");
		cpu_set(buf, 8, SIZE / 8, 60, 2);
		gsvm_assert(process_vm_writev(getppid(), &local, 1, &remote, 1, 0) ==
			    (ssize_t)SIZE, "process_vm_writev: %s\n", strerror(errno));
		gsvm_exit();
	}
	gpu_set(q, p, 8, SIZE / 8, 30, 1);
	gsvm_tell(c);
	gsvm_join(c);
	gpu_check(q, p, 8, SIZE / 8, 60, 2);
	free(buf);
	queue_close(q);
}

static void mlocked(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);

	gsvm_sys(mlock(p, SIZE));
	gpu_check(q, p, PAGE, PAGES, 0, 0);
	gpu_set(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(munlock(p, SIZE));
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	gsvm_sys(mlock2(p, SIZE, MLOCK_ONFAULT));
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	cpu_check(p, PAGE, PAGES, 3, 1, "locked memory");
	queue_close(q);
}

static void brk_heap(void)
{
	struct queue *q = queue_open();
	char *start;

	/* The first job loads the program, for which malloc may move the break. */
	gpu_read(q, &q);
	start = sbrk(SIZE);
	gsvm_assert(start != (void *)-1, "sbrk\n");
	start = (char *)((U(start) + PAGE - 1) & ~(PAGE - 1));
	gpu_set(q, start, PAGE, PAGES - 1, 5, 1);
	cpu_check(start, PAGE, PAGES - 1, 5, 1, "brk memory");
	/* Give the last pages back and take them again: they are new. */
	gsvm_assert(sbrk(-4 * (long)PAGE) != (void *)-1, "sbrk\n");
	gsvm_assert(sbrk(4 * PAGE) != (void *)-1, "sbrk\n");
	gpu_check(q, start + (PAGES - 4) * PAGE, PAGE, 3, 0, 0);
	queue_close(q);
}

/* Protection keys are the CPU's threads' own: the GPU is none of them. */
static void protection_key(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(4 * PAGE);
	int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

	gsvm_require(key >= 0, "no protection keys: %s\n", strerror(errno));
	gsvm_sys(pkey_mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE, key));
	gpu_set(q, p, PAGE, 4, 3, 1);
	gpu_check(q, p, PAGE, 4, 3, 1);
	gsvm_sys(pkey_set(key, 0));
	cpu_check(p, PAGE, 4, 3, 1, "memory with a key that has been given back");
	gsvm_sys(pkey_mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE, 0));
	gsvm_sys(pkey_free(key));
	queue_close(q);
}

/* One call takes more pieces than fit in one batch of invalidations. */
static void scattered(void)
{
	enum { BLOCKS = 80 };
	char *p = mmap(NULL, BLOCKS * HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct queue *q = queue_open();
	int i;

	gsvm_assert(p != MAP_FAILED, "mmap\n");
	gsvm_sys(madvise(p, BLOCKS * HUGE, MADV_NOHUGEPAGE));
	for (i = 0; i < 3; i++) {
		gpu_set(q, p, 2 * HUGE, BLOCKS / 2, 1, 1);
		gsvm_sys(madvise(p, BLOCKS * HUGE, MADV_DONTNEED));
		gpu_check(q, p, 2 * HUGE, BLOCKS / 2, 0, 0);
	}
	munmap(p, BLOCKS * HUGE);
	queue_close(q);
}

/* What the driver keeps for a piece of memory goes with the memory. */
static void metadata_goes(void)
{
	enum { BLOCKS = 200 };
	struct queue *q = queue_open();
	struct drm_gsvm_vm_query before, full, after;
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	int round;
	char *p;

	gpu_read(q, &(uint64_t){ 1 });
	igt_gsvm_vm_query(q->fd, q->vm, &before, 0);
	for (round = 0; round < 3; round++) {
		p = mmap(NULL, BLOCKS * HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		gsvm_assert(p != MAP_FAILED, "mmap\n");
		gsvm_sys(madvise(p, BLOCKS * HUGE, MADV_NOHUGEPAGE));
		gpu_set(q, p, HUGE, BLOCKS, 1, 1);
		igt_gsvm_vm_query(q->fd, q->vm, &full, 0);
		gsvm_assert(full.metadata_bytes >= before.metadata_bytes + BLOCKS * PAGE,
			    "%llu bytes for %u blocks\n", (unsigned long long)full.metadata_bytes,
			    BLOCKS);
		gsvm_sys(munmap(p, BLOCKS * HUGE));
	}
	/* It is collected a moment later. */
	do {
		gsvm_assert(gsvm_deadline(0) < end,
			    "%llu bytes are still kept for memory that is gone; before: %llu\n",
			    (unsigned long long)after.metadata_bytes,
			    (unsigned long long)before.metadata_bytes);
		gsvm_pace();
		igt_gsvm_vm_query(q->fd, q->vm, &after, 0);
	} while (after.metadata_bytes > before.metadata_bytes + BLOCKS * PAGE / 4);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "mprotect-read", mprotect_read, "PROT_READ and back; a write ends the queue" },
	{ "mprotect-none", mprotect_none, "PROT_NONE and back; a read ends the queue" },
	{ "mprotect-middle", mprotect_middle, "PROT_READ for one page of a huge one" },
	{ "munmap-reuse", munmap_reuse, "new memory at old addresses is empty" },
	{ "munmap-middle", munmap_middle, "holes in huge pages, filled again" },
	{ "map-fixed", map_fixed, "mappings replaced by others" },
	{ "mremap-move", mremap_move, "content moves along, the old place is gone" },
	{ "mremap-move-huge", mremap_move_huge, "huge pages move, aligned or not" },
	{ "mremap-dontunmap", mremap_dontunmap, "the old place stays, empty" },
	{ "mremap-resize", mremap_resize, "grown and shrunk in place" },
	{ "mremap-alias", mremap_alias, "a second mapping of shared pages" },
	{ "dontneed", dontneed, "MADV_DONTNEED gives zeros there and only there" },
	{ "remove-shared", remove_shared, "MADV_REMOVE under a shared mapping" },
	{ "process-vm", process_vm, "process_vm_readv and _writev against GPU memory" },
	{ "mlock", mlocked, "locked memory" },
	{ "brk", brk_heap, "the heap's end goes back and forth" },
	{ "protection-key", protection_key, "memory that the CPU's threads may not touch" },
	{ "scattered", scattered, "one call, many blocks with gaps between them" },
	{ "metadata-goes", metadata_goes, "nothing is kept for memory that is unmapped" },
};

GSVM_MAIN(tests)
