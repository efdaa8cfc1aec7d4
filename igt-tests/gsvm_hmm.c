// SPDX-License-Identifier: MIT
/*
 * The cases of the kernel's own tests of HMM (tools/testing/selftests/mm/
 * hmm-tests.c), by name and intent, on a GPU: what its device does by ioctl, a
 * GPU program does here. Those about migration are in gsvm_hmm_migrate.c.
 *
 * Where that device differs: it has a fault per ioctl, so counts of faults are
 * not compared; its EXCLUSIVE is an atomic here.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	(1ul << 20)
#define PAGES	(SIZE / PAGE)
#define TIMES	10

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
			.timeout_ns = gsvm_deadline(gsvm_patience_ms()), .queue_id = q->id,
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
	{ "migrate-file-private", migrate_file_private, "private copies of a file's pages" },
	{ "anon-read-multiple", anon_read_multiple, "again and again, by faults" },
	{ "anon-teardown", anon_teardown, "munmap under a job" },
	{ "mixedmap", mixedmap, "a mapping without pages" },
	{ "compound", compound, "hugetlb is one piece" },
	{ "double-map", double_map, "two VMs, read-only memory" },
	{ "double-map-other", double_map_other, "likewise two GPUs" },
	{ "exclusive", exclusive, "atomics by turns" },
	{ "exclusive-mprotect", exclusive_mprotect, "atomics on read-only memory" },
	{ "exclusive-cow", exclusive_cow, "atomics and fork" },
	{ "hmm-gup-test", hmm_gup_test, "references to pages in VRAM" },
};

GSVM_MAIN(tests)
