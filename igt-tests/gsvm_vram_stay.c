// SPDX-License-Identifier: MIT
/*
 * Pages that cannot move stay where they are, the GPU uses them there, and
 * their neighbours move all the same. When what held them is gone, they can.
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

#define HELD		100u		/* the first page that is held */
#define N_HELD		8u

/*
 * Only the held pages stay, by fault and by prefetch; both sides read and write
 * all of the block meanwhile.
 */
static void only_held_stay(struct queue *q, char *p, const char *what)
{
	char *held = p + HELD * PAGE;
	size_t size = N_HELD * PAGE, behind = HUGE - HELD * PAGE - size;

	/* One fault at a time; a mapping of its own, as mlock() makes them, takes one more. */
	gpu_read(q, p + 7 * PAGE);
	gpu_read(q, held + size + 7 * PAGE);
	expect_system(q, held, size, what);
	expect_vram(q, p, HELD * PAGE, "pages before them, after a fault");
	expect_vram(q, held + size, behind, "pages behind them, after a fault");
	gpu_verify(q, p, HUGE, 1, WHOLE, what);
	prefetch(q, p, HUGE, DRM_GSVM_REGION_SYSTEM);
	expect_system(q, p, HUGE, "all of the block, back");
	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	to_vram(q, p, HELD * PAGE);
	to_vram(q, held + size, behind);
	expect_system(q, held, size, what);
	gpu_pattern(q, p, HUGE, 2, WHOLE);
	expect_system(q, held, size, what);
	cpu_verify(p, HUGE, 2, WHOLE, what);
	cpu_fill(p, HUGE, 3, WHOLE);
	gpu_verify(q, p, HUGE, 3, WHOLE, what);
}

static void now_they_move(struct queue *q, char *p, const char *what)
{
	to_vram(q, p, HUGE);
	gpu_verify(q, p, HUGE, 3, WHOLE, what);
	cpu_verify(p, HUGE, 3, WHOLE, what);
}

/* Pages in a pipe are referenced by it. */
static void in_pipe(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE), *got = map_shared(N_HELD * PAGE);
	struct iovec iov = { p + HELD * PAGE, N_HELD * PAGE };
	size_t at = 0;
	int ends[2];

	gsvm_sys(pipe(ends));
	gsvm_sys(fcntl(ends[1], F_SETPIPE_SZ, 64 * PAGE));
	cpu_fill(p, HUGE, 1, WHOLE);
	gsvm_assert_eq(vmsplice(ends[1], &iov, 1, 0), N_HELD * PAGE, "bytes in the pipe");
	only_held_stay(q, p, "pages in a pipe");
	/* The pipe has the pages themselves: what was written last is what comes out. */
	while (at < N_HELD * PAGE)
		at += gsvm_sys(read(ends[0], got + at, N_HELD * PAGE - at));
	cpu_verify_part(got, HELD * PAGE, N_HELD * PAGE, 3, WHOLE, "what came out of the pipe");
	now_they_move(q, p, "out of the pipe");
	close(ends[0]);
	close(ends[1]);
	queue_close(q);
}

static int ring_with_buffer(void *p, size_t size)
{
	struct rlimit no_limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct io_uring_params params = { 0 };
	struct iovec iov = { p, size };
	long ring;

	setrlimit(RLIMIT_MEMLOCK, &no_limit);
	ring = syscall(SYS_io_uring_setup, 2, &params);
	gsvm_require(ring >= 0, "no io_uring: %s\n", strerror(errno));
	gsvm_sys(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1));
	return ring;
}

/* Closing is not enough: it is taken apart some time later. */
static void ring_end(int ring)
{
	gsvm_sys(syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	close(ring);
}

/* Pinned for long, as for a device. */
static void pinned(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	int ring;

	cpu_fill(p, HUGE, 1, WHOLE);
	ring = ring_with_buffer(p + HELD * PAGE, N_HELD * PAGE);
	only_held_stay(q, p, "pinned pages");
	ring_end(ring);
	now_they_move(q, p, "no longer pinned");
	queue_close(q);
}

/* Pinning brings pages back from VRAM first. */
static void pin_in_vram(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1), *h = map_thp_in_vram(q, HUGE, 1);
	int ring;

	ring = ring_with_buffer(p + HELD * PAGE, N_HELD * PAGE);
	expect_system(q, p + HELD * PAGE, N_HELD * PAGE, "pinned pages");
	only_held_stay(q, p, "pages that were pinned in VRAM");
	ring_end(ring);
	now_they_move(q, p, "no longer pinned");
	ring = ring_with_buffer(h + HELD * PAGE, N_HELD * PAGE);
	expect_system(q, h + HELD * PAGE, N_HELD * PAGE, "pinned part of a huge page");
	gpu_verify(q, h, HUGE, 1, WHOLE, "huge page, partly pinned");
	cpu_verify(h, HUGE, 1, WHOLE, "huge page, partly pinned");
	ring_end(ring);
	queue_close(q);
}

/* One pinned page keeps all of a huge page, or gets it split: never lost. */
static void pinned_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_thp(q, HUGE, 1);
	int ring = ring_with_buffer(p + HELD * PAGE, PAGE);

	gpu_verify(q, p, HUGE, 1, WHOLE, "huge page with a pinned part");
	expect_system(q, p + HELD * PAGE, PAGE, "the pinned part");
	gpu_pattern(q, p, HUGE, 2, WHOLE);
	expect_system(q, p + HELD * PAGE, PAGE, "the pinned part");
	cpu_verify(p, HUGE, 2, WHOLE, "huge page with a pinned part");
	ring_end(ring);
	to_vram(q, p, HUGE);
	gpu_verify(q, p, HUGE, 2, WHOLE, "no longer pinned");
	queue_close(q);
}

static void locked(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);

	cpu_fill(p, HUGE, 1, WHOLE);
	gsvm_sys(mlock(p + HELD * PAGE, N_HELD * PAGE));
	/* A mapping of its own now: the GPU's faults go to each of the three. */
	only_held_stay(q, p, "locked pages");
	gsvm_sys(munlock(p + HELD * PAGE, N_HELD * PAGE));
	now_they_move(q, p, "no longer locked");
	queue_close(q);
}

/* Locking memory brings it into memory. */
static void lock_in_vram(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1);

	gsvm_sys(mlock(p, HUGE));
	expect_system(q, p, HUGE, "after mlock");
	gpu_verify(q, p, HUGE, 1, WHOLE, "locked");
	expect_system(q, p, HUGE, "locked, used by the GPU");
	gpu_pattern(q, p, HUGE, 2, WHOLE);
	expect_system(q, p, HUGE, "locked, written by the GPU");
	cpu_verify(p, HUGE, 2, WHOLE, "locked");
	gsvm_sys(munlock(p, HUGE));
	queue_close(q);
}

/* The child maps them too. */
static void shared_by_fork(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	struct child *c;

	cpu_fill(p, HUGE, 1, WHOLE);
	c = gsvm_fork();
	if (!c->pid) {
		/* A copy of its own of all but the held ones. */
		cpu_fill(p, HELD * PAGE, 9, WHOLE);
		cpu_fill(p + (HELD + N_HELD) * PAGE, HUGE - (HELD + N_HELD) * PAGE, 9, WHOLE);
		gsvm_tell(c);
		gsvm_hear(c);
		cpu_verify_part(p + HELD * PAGE, HELD * PAGE, N_HELD * PAGE, 1, WHOLE,
				"the child's view of shared pages");
		gsvm_exit();
	}
	gsvm_hear(c);
	gpu_read(q, p);
	expect_system(q, p + HELD * PAGE, N_HELD * PAGE, "pages shared with a child");
	expect_vram(q, p, HELD * PAGE, "pages before them");
	gpu_verify(q, p, HUGE, 1, WHOLE, "partly shared with a child");
	gpu_pattern(q, p, HUGE, 2, WHOLE);
	cpu_verify(p, HUGE, 2, WHOLE, "copied by a GPU write");
	gsvm_tell(c);
	gsvm_join(c);
	cpu_fill(p, HUGE, 3, WHOLE);
	now_they_move(q, p, "the child is gone");
	queue_close(q);
}

static void stays(char *p, size_t size, const char *what)
{
	struct queue *q = queue_open();

	cpu_fill(p, size, 1, WHOLE);
	gpu_verify(q, p, size, 1, WHOLE, what);
	expect_system(q, p, size, what);
	gpu_pattern(q, p, size, 2, WHOLE);
	gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_VRAM), 0, "pages moved");
	expect_system(q, p, size, what);
	cpu_verify(p, size, 2, WHOLE, what);
	queue_close(q);
}

static void shared_anonymous(void)
{
	stays(map_shared(HUGE), HUGE, "shared anonymous memory");
}

static void shared_file(void)
{
	char path[128], *p;
	int fd;

	snprintf(path, sizeof(path), "%s/shared", disk_dir());
	fd = gsvm_sys(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	gsvm_sys(ftruncate(fd, HUGE));
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	stays(p, HUGE, "a shared file");
	gsvm_sys(msync(p, HUGE, MS_SYNC));
	cpu_verify(p, HUGE, 2, WHOLE, "a shared file, synchronised");
	munmap(p, HUGE);
	close(fd);
}

static void memory_file(void)
{
	int fd = make_memfd(HUGE);
	char *p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	stays(p, HUGE, "a memfd");
	munmap(p, HUGE);
	close(fd);
}

/* The page cache's pages of a private mapping stay; data of either kind is right. */
static void private_file(void)
{
	char path[128], *p, *from = map_shared(HUGE);
	struct queue *q = queue_open();
	int fd, round;

	snprintf(path, sizeof(path), "%s/private", disk_dir());
	fd = gsvm_sys(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	cpu_fill(from, HUGE, 1, WHOLE);
	gsvm_assert_eq(write(fd, from, HUGE), HUGE, "bytes written");
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	gpu_verify(q, p, HUGE, 1, WHOLE, "a private file");
	expect_system(q, p, HUGE, "pages of the page cache");
	for (round = 2; round < 5; round++) {
		gpu_pattern(q, p, HUGE / 2, round, WHOLE);
		prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
		/* The first write took all of a huge entry away, if it was one. */
		gpu_verify_part(q, p + HUGE / 2, HUGE / 2, HUGE / 2, 1, WHOLE, "of the file");
		expect_system(q, p + HUGE / 2, HUGE / 2, "pages of the page cache");
		gpu_verify(q, p, HUGE / 2, round, WHOLE, "pages of one's own");
		cpu_verify(p, HUGE / 2, round, WHOLE, "pages of one's own");
		cpu_verify_part(p + HUGE / 2, HUGE / 2, HUGE / 2, 1, WHOLE, "of the file");
	}
	gsvm_assert_eq(pread(fd, from, HUGE, 0), HUGE, "bytes read");
	cpu_verify(from, HUGE, 1, WHOLE, "the file itself");
	munmap(p, HUGE);
	close(fd);
	queue_close(q);
}

static void huge_file(void)
{
	char *p;

	write_text("/proc/sys/vm/nr_hugepages", "4");
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	gsvm_require(p != MAP_FAILED, "no hugetlb page: %s\n", strerror(errno));
	stays(p, HUGE, "hugetlb memory");
	munmap(p, HUGE);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

static const struct gsvm_subtest tests[] = {
	{ "in-pipe", in_pipe, "pages that vmsplice put into a pipe" },
	{ "pinned", pinned, "pages of a registered io_uring buffer" },
	{ "pin-in-vram", pin_in_vram, "pinning brings pages back from VRAM" },
	{ "pinned-huge", pinned_huge, "a huge page with one pinned part" },
	{ "locked", locked, "mlock" },
	{ "lock-in-vram", lock_in_vram, "mlock brings pages back from VRAM" },
	{ "shared-by-fork", shared_by_fork, "pages that a child maps too" },
	{ "shared-anonymous", shared_anonymous, "MAP_SHARED | MAP_ANONYMOUS" },
	{ "shared-file", shared_file, "a file on a disk" },
	{ "memory-file", memory_file, "memfd" },
	{ "private-file", private_file, "MAP_PRIVATE of a file" },
	{ "hugetlb", huge_file, "hugetlb" },
};

GSVM_MAIN(tests)
