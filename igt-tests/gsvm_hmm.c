// SPDX-License-Identifier: MIT
/*
 * The cases of the kernel's own tests of HMM (tools/testing/selftests/mm/
 * hmm-tests.c), by name and intent, on a GPU: what its device does by ioctl, a
 * GPU program does here, and what its snapshots tell, RESIDENCY tells.
 *
 * Where that device differs: it has a fault per ioctl, so counts of faults are
 * not compared; its EXCLUSIVE is an atomic here; its RELEASE is the end of the
 * VM; its FAIL_ALLOC, an allocation that fails, cannot be asked of a driver
 * from outside, so those cases take huge pages apart by other means.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/io_uring.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	(1ul << 20)
#define PAGES	(SIZE / PAGE)
#define TIMES	10

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static void open_close(void)
{
	unsigned int n = gpu_count(), i;
	int fd;

	for (i = 0; i < n; i++) {
		fd = gpu_open(i);
		close(fd);
	}
	gsvm_assert(n, "there is no GPU\n");
}

/* Populated but for one page, which was only read, and one that nobody touched. */
static void anon_read(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);

	cpu_fill(p + 2 * PAGE, SIZE - 2 * PAGE, 1, WHOLE);
	gsvm_assert_eq(*(volatile uint64_t *)p, 0, "untouched memory");
	gpu_check(q, p, 8, 2 * PAGE / 8, 0, 0);
	gpu_verify(q, p + 2 * PAGE, SIZE - 2 * PAGE, 1, WHOLE, "filled by the CPU");
	queue_close(q);
}

static void anon_read_prot(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);

	cpu_fill(p, SIZE, 1, WHOLE);
	gsvm_sys(mprotect(p, SIZE, PROT_NONE));
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p), TOUCH_READ, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_READ, p, 0);
	queue_close(q);
	q = queue_open();
	gsvm_sys(mprotect(p, SIZE, PROT_READ));
	gpu_verify(q, p, SIZE, 1, WHOLE, "readable again");
	cpu_verify(p, SIZE, 1, WHOLE, "readable again");
	queue_close(q);
}

static void anon_write(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);

	gpu_pattern(q, p, SIZE, 1, WHOLE);
	cpu_verify(p, SIZE, 1, WHOLE, "written by the GPU");
	queue_close(q);
}

static void anon_write_prot(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);

	gsvm_sys(mprotect(p, SIZE, PROT_READ));
	/* A read first, so that something read-only is mapped. */
	gpu_check(q, p, PAGE, PAGES, 0, 0);
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p), TOUCH_WRITE, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE, p, 0);
	queue_close(q);
	cpu_check(p, PAGE, PAGES, 0, 0, "after a write that was refused");
	q = queue_open();
	gsvm_sys(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	gpu_pattern(q, p, SIZE, 1, WHOLE);
	cpu_verify(p, SIZE, 1, WHOLE, "written when it was allowed");
	queue_close(q);
}

/* The child's GPU writes; private or shared decides what the parent sees. */
static void write_child(bool shared)
{
	char *p = shared ? map_shared(SIZE) : map_block(SIZE);
	struct child *c;

	cpu_fill(p, SIZE, 1, WHOLE);
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *q = queue_open();

		cpu_verify(p, SIZE, 1, WHOLE, "the child's memory");
		gpu_pattern(q, p, SIZE, 2, WHOLE);
		cpu_verify(p, SIZE, 2, WHOLE, "written by the child's GPU");
		gsvm_exit();
	}
	gsvm_join(c);
	cpu_verify(p, SIZE, shared ? 2 : 1, WHOLE, "the parent's memory");
}

static void anon_write_child(void)
{
	write_child(false);
}

static void anon_write_child_shared(void)
{
	write_child(true);
}

static void anon_write_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	gpu_pattern(q, p, HUGE, 1, WHOLE);
	expect_huge_vram(q, p, HUGE, "written by the GPU");
	cpu_verify(p, HUGE, 1, WHOLE, "written by the GPU");
	queue_close(q);
}

static char *map_hugetlb(size_t size)
{
	char *p;

	gsvm_require(write_text("/proc/sys/vm/nr_hugepages", "4"), "no hugetlb pages\n");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	gsvm_require(p != MAP_FAILED, "no hugetlb page: %s\n", strerror(errno));
	return p;
}

static void unmap_hugetlb(char *p, size_t size)
{
	gsvm_sys(munmap(p, size));
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

static void anon_write_hugetlbfs(void)
{
	struct queue *q = queue_open();
	char *p = map_hugetlb(HUGE);

	gpu_pattern(q, p, HUGE, 1, WHOLE);
	cpu_verify(p, HUGE, 1, WHOLE, "written by the GPU");
	unmap_hugetlb(p, HUGE);
	queue_close(q);
}

static int make_file(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", disk_dir(), name);
	fd = gsvm_sys(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	gsvm_sys(ftruncate(fd, SIZE));
	return fd;
}

static char *map_file(int fd, int flags)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	return p;
}

static void file_read(void)
{
	struct queue *q = queue_open();
	char *from = map_shared(SIZE);
	int fd = make_file("read");

	cpu_fill(from, SIZE, 1, WHOLE);
	gsvm_assert_eq(pwrite(fd, from, SIZE, 0), SIZE, "bytes written");
	gpu_verify(q, map_file(fd, MAP_SHARED), SIZE, 1, WHOLE, "a file");
	close(fd);
	queue_close(q);
}

static void file_write(void)
{
	struct queue *q = queue_open();
	char *to = map_shared(SIZE), *p;
	int fd = make_file("write");

	p = map_file(fd, MAP_SHARED);
	gpu_pattern(q, p, SIZE, 1, WHOLE);
	cpu_verify(p, SIZE, 1, WHOLE, "written by the GPU");
	gsvm_assert_eq(pread(fd, to, SIZE, 0), SIZE, "bytes read");
	cpu_verify(to, SIZE, 1, WHOLE, "the file");
	close(fd);
	queue_close(q);
}

static void migrate(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);

	gpu_verify(q, p, SIZE, 1, WHOLE, "migrated");
	expect_vram(q, p, SIZE, "read by the GPU");
	queue_close(q);
}

/* A private mapping of a file, every page copied by a write of the CPU. */
static void migrate_file_private(void)
{
	struct queue *q = queue_open();
	int fd = make_file("private");
	char *p = map_file(fd, MAP_PRIVATE);

	cpu_fill(p, SIZE, 1, WHOLE);
	prefetch(q, p, SIZE, DRM_GSVM_REGION_VRAM);
	gpu_verify(q, p, SIZE, 1, WHOLE, "a private copy of a file");
	gpu_pattern(q, p, SIZE, 2, WHOLE);
	cpu_verify(p, SIZE, 2, WHOLE, "a private copy of a file");
	close(fd);
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

static void anon_read_multiple(void)
{
	struct queue *q = queue_open();
	int i;

	for (i = 0; i < TIMES; i++) {
		char *p = map_block(SIZE);

		cpu_fill(p, SIZE, i, WHOLE);
		gpu_verify(q, p, SIZE, i, WHOLE, "new memory");
		gsvm_sys(munmap(p, SIZE));
	}
	queue_close(q);
}

static void unmap_loop(void *arg)
{
	/* Half of it, as there: what is left keeps its content. */
	gsvm_sys(munmap(arg, SIZE / 2));
}

/* The GPU reads what is unmapped at the same time: it ends well or by a fault. */
static void anon_teardown(void)
{
	int i;

	for (i = 0; i < TIMES; i++) {
		struct { uint64_t bad, where, value; } *out = map_shared(PAGE);
		struct queue *q = queue_open();
		char *p = map_block(SIZE);
		struct gsvm_signal *job;
		struct drm_gsvm_wait wait = {
			.vm_id = q->vm, .op = DRM_GSVM_WAIT_EQ,
			.timeout_ns = gsvm_deadline(60000), .queue_id = q->id,
		};
		struct drm_gsvm_queue_query r;
		struct thread thread;
		int ret;

		cpu_fill(p, SIZE, i, WHOLE);
		gsvm_thread(&thread, unmap_loop, p);
		job = gpu_launch(q, "pattern_verify", PAGES, U(p), pattern_word(i, 0) - 1, WHOLE,
				 U(out));
		wait.addr = U(job);
		ret = gsvm_ioctl(q->fd, DRM_IOCTL_GSVM_WAIT, &wait);
		gsvm_thread_join(&thread);
		gsvm_assert(!ret || ret == EIO, "WAIT: %s\n", strerror(ret));
		gsvm_assert(!out->bad, "%llu wrong words, one at %#llx: %#llx\n",
			    (unsigned long long)out->bad, (unsigned long long)out->where,
			    (unsigned long long)out->value);
		if (ret) {
			igt_gsvm_queue_query(q->fd, q->id, &r, 0);
			gsvm_assert(r.error == DRM_GSVM_ERROR_FAULT &&
				    r.reason == DRM_GSVM_REASON_NOT_MAPPED &&
				    r.addr >= U(p) && r.addr < U(p) + SIZE / 2,
				    "error %u, reason %u, address %#llx\n", r.error, r.reason,
				    (unsigned long long)r.addr);
		}
		cpu_verify_part(p + SIZE / 2, SIZE / 2, SIZE / 2, i, WHOLE, "the other half");
		queue_close(q);
	}
}

/* A mapping with page frames but no pages: the doorbell's. */
static void mixedmap(void)
{
	struct queue *q = queue_open();

	gsvm_assert(!in_vram(q, q->doorbell_page), "the doorbell page is in VRAM\n");
	prefetch(q, q->doorbell_page, PAGE, DRM_GSVM_REGION_VRAM);
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(q->doorbell_page), TOUCH_WRITE, 0),
			 (uint32_t)ANY, DRM_GSVM_ACCESS_WRITE, q->doorbell_page, 0);
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

static void compound(void)
{
	struct queue *q = queue_open();
	char *p = map_hugetlb(HUGE);
	struct place at;

	cpu_fill(p, HUGE, 1, WHOLE);
	at = place_of(q, p, HUGE);
	gsvm_assert(at.system == HUGE / PAGE && at.huge == HUGE / PAGE && at.write == HUGE / PAGE,
		    "%zu system, %zu huge, %zu writable\n", at.system, at.huge, at.write);
	gsvm_sys(mprotect(p, HUGE, PROT_READ));
	at = place_of(q, p, HUGE);
	gsvm_assert(at.system == HUGE / PAGE && at.huge == HUGE / PAGE && !at.write,
		    "read-only: %zu system, %zu huge, %zu writable\n", at.system, at.huge, at.write);
	gpu_verify(q, p, HUGE, 1, WHOLE, "hugetlb memory");
	unmap_hugetlb(p, HUGE);
	queue_close(q);
}

/* Read-only memory, read by two, then migrated to one. */
static void double_map_by(struct queue *a, struct queue *b)
{
	char *p = map_block(SIZE);

	cpu_fill(p, SIZE, 1, WHOLE);
	gsvm_sys(mprotect(p, SIZE, PROT_READ));
	gpu_verify(a, p, SIZE, 1, WHOLE, "the first one's view");
	gpu_verify(b, p, SIZE, 1, WHOLE, "the second one's view");
	to_vram(b, p, SIZE);
	gpu_verify(a, p, SIZE, 1, WHOLE, "the first one's view of the second one's VRAM");
	gpu_verify(b, p, SIZE, 1, WHOLE, "the second one's view");
	cpu_verify(p, SIZE, 1, WHOLE, "the CPU's view");
}

static void double_map(void)
{
	struct queue *a = queue_open(), *b = queue_open();

	double_map_by(a, b);
	queue_close(b);
	queue_close(a);
}

static void double_map_other(void)
{
	struct queue *a, *b;

	gsvm_require(gpu_count() >= 2, "needs two GPUs, there are %u\n", gpu_count());
	a = queue_open_gpu(0);
	b = queue_open_gpu(1);
	double_map_by(a, b);
	queue_close(b);
	queue_close(a);
}

/* Atomic access, taken away by the CPU, and taken again. */
static void exclusive(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	int i;

	cpu_set(p, PAGE, PAGES, 0, 1);
	for (i = 0; i < 4; i++) {
		gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
		cpu_check(p, PAGE, PAGES, 2 * i + 1, 1, "after the GPU's atomics");
		cpu_set(p, PAGE, PAGES, 2 * i + 2, 1);
	}
	queue_close(q);
}

static void exclusive_mprotect(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);

	cpu_set(p, PAGE, PAGES, 0, 1);
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	gsvm_sys(mprotect(p, SIZE, PROT_READ));
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p), TOUCH_ATOMIC, 0),
			 DRM_GSVM_REASON_PERMISSION, (uint32_t)ANY, p, 0);
	cpu_check(p, PAGE, PAGES, 1, 1, "after an atomic that was refused");
	queue_close(q);
}

static void exclusive_cow(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	struct child *c;
	int i;

	cpu_set(p, PAGE, PAGES, 0, 1);
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	c = gsvm_fork();
	for (i = 0; i < (int)PAGES; i++)
		++*(volatile uint64_t *)(p + i * PAGE);
	cpu_check(p, PAGE, PAGES, 2, 1, "each side's own increments");
	if (!c->pid)
		gsvm_exit();
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	gsvm_join(c);
	cpu_check(p, PAGE, PAGES, 3, 1, "and the GPU's");
	queue_close(q);
}

/* References short and long, taken to pages in VRAM: they come back for it. */
static void hmm_gup_test(void)
{
	struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	struct io_uring_params params = { 0 };
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1), *buf = map_shared(PAGE);
	struct iovec local = { buf, PAGE }, remote = { p, PAGE }, pipe_io = { p + PAGE, PAGE };
	struct iovec fixed = { p + 2 * PAGE, 2 * PAGE };
	int ends[2];
	long ring;

	gsvm_assert_eq(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), PAGE, "bytes");
	gsvm_sys(pipe(ends));
	gsvm_assert_eq(vmsplice(ends[1], &pipe_io, 1, 0), PAGE, "bytes");
	setrlimit(RLIMIT_MEMLOCK, &any);
	ring = syscall(SYS_io_uring_setup, 2, &params);
	gsvm_require(ring >= 0, "no io_uring: %s\n", strerror(errno));
	gsvm_sys(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &fixed, 1));
	expect_system(q, p, 4 * PAGE, "referenced pages");
	gpu_verify(q, p, SIZE, 1, WHOLE, "pages with references");
	cpu_verify(p, SIZE, 1, WHOLE, "pages with references");
	close(ring);
	close(ends[0]);
	close(ends[1]);
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
	{ "open-close", open_close, "every GPU opens" },
	{ "anon-read", anon_read, "pages, a zero page, a hole" },
	{ "anon-read-prot", anon_read_prot, "PROT_NONE is refused, then not" },
	{ "anon-write", anon_write, "untouched memory" },
	{ "anon-write-prot", anon_write_prot, "read-only is refused, then not" },
	{ "anon-write-child", anon_write_child, "copy-on-write by a child's GPU" },
	{ "anon-write-child-shared", anon_write_child_shared, "shared memory, a child's GPU" },
	{ "anon-write-huge", anon_write_huge, "untouched huge memory" },
	{ "anon-write-hugetlbfs", anon_write_hugetlbfs, "hugetlb" },
	{ "file-read", file_read, "a file" },
	{ "file-write", file_write, "a file, and what it holds then" },
	{ "migrate", migrate, "to VRAM" },
	{ "migrate-file-private", migrate_file_private, "private copies of a file's pages" },
	{ "migrate-fault", migrate_fault, "half back by faults, all again" },
	{ "migrate-release", migrate_release, "the VM ends with pages in VRAM" },
	{ "migrate-shared", migrate_shared, "shared pages do not move" },
	{ "migrate-mixed", migrate_mixed, "PROT_NONE, a gap, zero, read-only, writable" },
	{ "migrate-mixed-other", migrate_mixed_other, "likewise between two GPUs" },
	{ "migrate-multiple", migrate_multiple, "again and again" },
	{ "anon-read-multiple", anon_read_multiple, "again and again, by faults" },
	{ "anon-teardown", anon_teardown, "munmap under a job" },
	{ "mixedmap", mixedmap, "a mapping without pages" },
	{ "snapshot", snapshot, "a look at all kinds of pages" },
	{ "compound", compound, "hugetlb is one piece" },
	{ "double-map", double_map, "two VMs, read-only memory" },
	{ "double-map-other", double_map_other, "likewise two GPUs" },
	{ "exclusive", exclusive, "atomics by turns" },
	{ "exclusive-mprotect", exclusive_mprotect, "atomics on read-only memory" },
	{ "exclusive-cow", exclusive_cow, "atomics and fork" },
	{ "hmm-gup-test", hmm_gup_test, "references to pages in VRAM" },
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
