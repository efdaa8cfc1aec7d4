// SPDX-License-Identifier: MIT
/*
 * Mapped files: what the GPU writes is in the file, on the disk, and nowhere
 * else; private mappings leave the file alone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

#define PAGES	16
#define SIZE	(PAGES * PAGE)
#define WORDS	(SIZE / 8)

static char path[128];

/* A file of SIZE bytes on a real disk; word i is first + i. */
static int make_file(uint64_t first)
{
	uint64_t *content = malloc(SIZE);
	int fd;

	snprintf(path, sizeof(path), "%s/file", disk_dir());
	fd = gsvm_sys(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	cpu_set(content, 8, WORDS, first, 1);
	gsvm_assert(pwrite(fd, content, SIZE, 0) == (ssize_t)SIZE, "write: %s\n",
		    strerror(errno));
	gsvm_sys(fsync(fd));
	free(content);
	return fd;
}

static char *map_file(int fd, int prot, int flags)
{
	char *p = mmap(NULL, SIZE, prot, flags, fd, 0);

	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	return p;
}

/* What is really there: the cache dropped, then read with O_DIRECT. */
static void check_disk(size_t stride, size_t n, uint64_t first, uint64_t step,
		       const char *what)
{
	void *content = aligned_alloc(PAGE, SIZE);
	int fd;

	disk_drop_caches();
	fd = gsvm_sys(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC));
	gsvm_assert(pread(fd, content, SIZE, 0) == (ssize_t)SIZE, "O_DIRECT read: %s\n",
		    strerror(errno));
	close(fd);
	cpu_check(content, stride, n, first, step, what);
	free(content);
}

static void private_read(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p = map_file(fd, PROT_READ, MAP_PRIVATE);

	gpu_check(q, p, 8, WORDS, 1, 1);
	/* The page cache changes under the mapping: both sides see it. */
	gsvm_assert(pwrite(fd, (uint64_t[]){ 99 }, 8, 0) == 8, "pwrite\n");
	gsvm_assert_eq(gpu_read(q, p), 99, "after write(2) to the file");
	close(fd);
	munmap(p, SIZE);
	queue_close(q);
}

static void private_write(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	gpu_check(q, p, PAGE, PAGES, 1, PAGE / 8);
	gpu_set(q, p, PAGE, PAGES, 5000, 1);
	cpu_check(p, PAGE, PAGES, 5000, 1, "private copy");
	gsvm_assert_eq(((uint64_t *)p)[1], 2, "neighbour word of the private copy");
	munmap(p, SIZE);
	close(fd);
	check_disk(8, WORDS, 1, 1, "file behind a private mapping");
	queue_close(q);
}

static void shared_write(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	gpu_set(q, p, 8, WORDS, 7000, 2);
	cpu_check(p, 8, WORDS, 7000, 2, "shared mapping");
	gsvm_sys(msync(p, SIZE, MS_SYNC));
	check_disk(8, WORDS, 7000, 2, "file after msync");
	munmap(p, SIZE);
	close(fd);
	queue_close(q);
}

static void shared_write_munmap(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	/* Nobody but the GPU writes, nobody reads before the mapping goes. */
	gpu_set(q, p, 8, WORDS, 300, 5);
	munmap(p, SIZE);
	close(fd);
	check_disk(8, WORDS, 300, 5, "file after munmap");
	queue_close(q);
}

/*
 * Writeback cleans the page and takes the write permission away. A GPU that
 * kept it would write without anybody knowing.
 */
static void shared_write_after_writeback(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1), round;
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	for (round = 1; round <= 5; round++) {
		gpu_set(q, p, 8, WORDS, round * 1000, 1);
		gsvm_sys(msync(p, SIZE, MS_SYNC));
	}
	gpu_set(q, p, 8, WORDS, 9000, 1);
	munmap(p, SIZE);
	close(fd);
	check_disk(8, WORDS, 9000, 1, "file after the write that followed writeback");
	queue_close(q);
}

/* As before, with read faults first, and sync(2) instead of msync(2). */
static void shared_read_write_sync(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1), round;
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	for (round = 1; round <= 4; round++) {
		gpu_check(q, p, PAGE, PAGES, round == 1 ? 1 : (round - 1) * 50ull,
			  round == 1 ? PAGE / 8 : 1);
		gpu_set(q, p, PAGE, PAGES, round * 50, 1);
		disk_drop_caches();
	}
	munmap(p, SIZE);
	close(fd);
	check_disk(PAGE, PAGES, 200, 1, "file after sync and more writes");
	queue_close(q);
}

static void hole(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p;

	gsvm_sys(ftruncate(fd, 0));
	gsvm_sys(ftruncate(fd, SIZE));
	p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	gpu_check(q, p, PAGE, PAGES, 0, 0);
	gpu_set(q, p + PAGE, 2 * PAGE, PAGES / 2, 60, 1);
	munmap(p, SIZE);
	close(fd);
	check_disk(2 * PAGE, PAGES / 2, 0, 0, "hole that was only read");
	fd = gsvm_sys(open(path, O_RDONLY | O_CLOEXEC));
	p = map_file(fd, PROT_READ, MAP_SHARED);
	cpu_check(p + PAGE, 2 * PAGE, PAGES / 2, 60, 1, "hole that the GPU filled");
	munmap(p, SIZE);
	close(fd);
	queue_close(q);
}

static void hole_punch(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	gpu_set(q, p, PAGE, PAGES, 40, 1);
	gsvm_sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE, 4 * PAGE));
	gpu_check(q, p, PAGE, 4, 40, 1);
	gpu_check(q, p + 4 * PAGE, PAGE, 4, 0, 0);
	gpu_check(q, p + 8 * PAGE, PAGE, 8, 48, 1);
	gpu_write(q, p + 5 * PAGE, 77);
	munmap(p, SIZE);
	close(fd);
	check_disk(PAGE, 4, 40, 1, "before the punched hole");
	fd = gsvm_sys(open(path, O_RDONLY | O_CLOEXEC));
	p = map_file(fd, PROT_READ, MAP_SHARED);
	gsvm_assert_eq(*(uint64_t *)(p + 4 * PAGE), 0, "punched page");
	gsvm_assert_eq(*(uint64_t *)(p + 5 * PAGE), 77, "written after the punch");
	munmap(p, SIZE);
	close(fd);
	queue_close(q);
}

/* Two addresses, one page: neither side has a cache of its own. */
static void two_mappings(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1), i;
	char *a = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *b = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	for (i = 0; i < 10; i++) {
		gpu_set(q, a, PAGE, PAGES, 10 * i, 1);
		gpu_check(q, b, PAGE, PAGES, 10 * i, 1);
		gpu_run(q, "add", PAGES, U(b), PAGE, 1, 1);
		cpu_check(a, PAGE, PAGES, 10 * i + 1, 1, "through the other mapping");
	}
	munmap(a, SIZE);
	munmap(b, SIZE);
	close(fd);
	queue_close(q);
}

static void read_write_calls(void)
{
	struct queue *q = queue_open();
	int fd = make_file(1);
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	uint64_t word;
	int i;

	for (i = 0; i < 20; i++) {
		gpu_write(q, p + 3 * PAGE, 100 + i);
		gsvm_assert(pread(fd, &word, 8, 3 * PAGE) == 8, "pread\n");
		gsvm_assert_eq(word, 100 + i, "read(2) of what the GPU wrote");
		word = 200 + i;
		gsvm_assert(pwrite(fd, &word, 8, 3 * PAGE) == 8, "pwrite\n");
		gsvm_assert_eq(gpu_read(q, p + 3 * PAGE), 200 + i, "GPU read of write(2)");
	}
	munmap(p, SIZE);
	close(fd);
	queue_close(q);
}

static void memfd(void)
{
	struct queue *q = queue_open();
	int fd = make_memfd(SIZE);
	char *p = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	uint64_t word;

	gpu_check(q, p, PAGE, PAGES, 0, 0);
	gpu_set(q, p, 8, WORDS, 21, 3);
	gsvm_assert(pread(fd, &word, 8, SIZE - 8) == 8, "pread\n");
	gsvm_assert_eq(word, 21 + 3 * (WORDS - 1), "last word of the memfd");
	munmap(p, SIZE);
	p = map_file(fd, PROT_READ, MAP_SHARED);
	cpu_check(p, 8, WORDS, 21, 3, "memfd mapped again");
	munmap(p, SIZE);
	close(fd);
	queue_close(q);
}

static void memfd_hugetlb(void)
{
	struct queue *q;
	char *p;
	int fd;

	write_text("/proc/sys/vm/nr_hugepages", "2");
	gsvm_require(read_number("/proc/sys/vm/nr_hugepages") >= 1, "no huge pages to be had\n");
	q = queue_open();
	fd = gsvm_sys(memfd_create("gsvm-huge", MFD_CLOEXEC | MFD_HUGETLB));
	gsvm_sys(ftruncate(fd, HUGE));
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	gpu_set(q, p, PAGE, 512, 3, 1);
	munmap(p, HUGE);
	p = mmap(NULL, HUGE, PROT_READ, MAP_SHARED, fd, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	cpu_check(p, PAGE, 512, 3, 1, "hugetlb memfd mapped again");
	gpu_check(q, p, PAGE, 512, 3, 1);
	munmap(p, HUGE);
	close(fd);
	queue_close(q);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

/* A sealed memfd: the mapping is for reading, and the GPU gets no more. */
static void memfd_sealed(void)
{
	struct queue *q = queue_open();
	int fd = gsvm_sys(memfd_create("gsvm-seal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	uint64_t word = 5;
	char *p;

	gsvm_assert(write(fd, &word, 8) == 8, "write\n");
	gsvm_sys(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	gsvm_assert_eq(gpu_read(q, p), 5, "sealed memfd");
	gpu_expect_fault(q, gpu_launch(q, "store", 1, U(p), 0, 6, 0),
			 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE, p, 0);
	gsvm_assert_eq(gsvm_peek((void *)p), 5, "sealed memfd after the refused write");
	close(fd);
	munmap(p, PAGE);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "private-read", private_read, "a private mapping shows the file, and its changes" },
	{ "private-write", private_write, "GPU writes to a private mapping leave the file alone" },
	{ "shared-write", shared_write, "msync brings GPU writes to the disk" },
	{ "shared-write-munmap", shared_write_munmap, "so does the end of the mapping" },
	{ "shared-write-after-writeback", shared_write_after_writeback,
	  "a GPU write after writeback makes the page dirty again" },
	{ "shared-read-write-sync", shared_read_write_sync,
	  "likewise with read faults first, and sync" },
	{ "hole", hole, "the GPU reads and fills holes of a sparse file" },
	{ "hole-punch", hole_punch, "a punched hole reads as zeros, and can be written" },
	{ "two-mappings", two_mappings, "one file mapped twice" },
	{ "read-write-calls", read_write_calls, "read(2) and write(2) against the GPU" },
	{ "memfd", memfd, "a memfd, GPU first" },
	{ "memfd-hugetlb", memfd_hugetlb, "a memfd of huge pages" },
	{ "memfd-sealed", memfd_sealed, "a sealed memfd can be read but not written" },
};

GSVM_MAIN(tests)
