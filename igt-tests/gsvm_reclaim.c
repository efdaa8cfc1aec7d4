// SPDX-License-Identifier: MIT
/*
 * Memory that the GPU uses is reclaimed like any other, and what the GPU wrote
 * survives. A page is dropped without being written out when nobody says that
 * it is dirty: several of these tests put a page that the kernel takes for
 * clean under the GPU, and let it write. The VMs here leave memory where it is:
 * gsvm_vram_mm.c and gsvm_vram_change.c do the like with what is in VRAM.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	64
#define SIZE	(PAGES * PAGE)

static void need_swap(void)
{
	gsvm_require(swap_available(), "no swap is active\n");
}

static struct queue *queue_with_swap(void)
{
	need_swap();
	return queue_open_system();
}

static void out(char *p, size_t size)
{
	size_t at;

	gsvm_assert(pageout(p, size), "pages at %p do not leave memory by MADV_PAGEOUT\n",
		    (void *)p);
	for (at = 0; at < size; at += PAGE)
		gsvm_assert(is_swapped(p + at), "page %zu is neither present nor in swap\n",
			    at / PAGE);
}

static void gpu_written(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_anon(SIZE);

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	out(p, SIZE);
	cpu_check(p, PAGE, PAGES, 1, 1, "GPU-written page after swap");
	queue_close(q);
}

static void gpu_swaps_in(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_anon(SIZE);
	int i;

	cpu_set(p, PAGE, PAGES, 1, 1);
	for (i = 0; i < 5; i++) {
		out(p, SIZE);
		gpu_check(q, p, PAGE, PAGES, 1 + i, 1);
		out(p, SIZE);
		gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	}
	cpu_check(p, PAGE, PAGES, 6, 1, "swapped in and out by the GPU");
	queue_close(q);
}

/*
 * Swapped in by a read, a page is clean: its copy in swap is still good. Now
 * only the GPU writes.
 */
static void dirty_after_cpu_read(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_anon(SIZE);
	int i;

	cpu_set(p, PAGE, PAGES, 1, 1);
	for (i = 0; i < 5; i++) {
		out(p, SIZE);
		cpu_check(p, PAGE, PAGES, 1 + 10 * i, 1, "read in by the CPU");
		gpu_set(q, p, PAGE, PAGES, 11 + 10 * i, 1);
	}
	out(p, SIZE);
	cpu_check(p, PAGE, PAGES, 51, 1, "GPU write to a clean swap-cache page");
	queue_close(q);
}

static void dirty_after_gpu_read(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_anon(SIZE);
	int i;

	cpu_set(p, PAGE, PAGES, 1, 1);
	for (i = 0; i < 5; i++) {
		out(p, SIZE);
		gpu_check(q, p, PAGE, PAGES, 1 + 10 * i, 1);
		gpu_set(q, p, PAGE, PAGES, 11 + 10 * i, 1);
	}
	out(p, SIZE);
	cpu_check(p, PAGE, PAGES, 51, 1, "GPU write after GPU read");
	queue_close(q);
}

static char *map_memfd(int fd, size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	return p;
}

/* pagemap shows a shared page as swapped or absent, by its kind of mapping. */
static void out_of_memfd(char *p)
{
	gsvm_assert(pageout(p, SIZE), "memfd pages stay in memory\n");
}

/* A hole that was read is a clean page of zeros, backed by nothing. */
static void memfd_hole(void)
{
	struct queue *q = queue_with_swap();
	int fd = make_memfd(SIZE);
	char *p = map_memfd(fd, SIZE);

	cpu_check(p, PAGE, PAGES, 0, 0, "hole");
	gpu_set(q, p, PAGE, PAGES, 5, 1);
	out_of_memfd(p);
	cpu_check(p, PAGE, PAGES, 5, 1, "GPU write to a hole that was read");
	close(fd);
	queue_close(q);
}

static void memfd_gpu_read_hole(void)
{
	struct queue *q = queue_with_swap();
	int fd = make_memfd(SIZE);
	char *p = map_memfd(fd, SIZE);
	int i;

	gpu_check(q, p, PAGE, PAGES, 0, 0);
	for (i = 0; i < 4; i++) {
		gpu_set(q, p, PAGE, PAGES, 5 + i, 1);
		out_of_memfd(p);
		gpu_check(q, p, PAGE, PAGES, 5 + i, 1);
	}
	munmap(p, SIZE);
	p = map_memfd(fd, SIZE);
	cpu_check(p, PAGE, PAGES, 8, 1, "memfd mapped again");
	close(fd);
	queue_close(q);
}

/* MADV_FREE: a page that the GPU writes afterwards is no longer free. */
static void madv_free_written(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_anon(SIZE);

	/* The GPU has the pages for writing when MADV_FREE comes. */
	gpu_set(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(madvise(p, SIZE, MADV_FREE));
	gpu_set(q, p, PAGE, PAGES, 100, 1);
	gsvm_assert(pageout(p, SIZE), "pages stay in memory\n");
	cpu_check(p, PAGE, PAGES, 100, 1, "GPU write after MADV_FREE");
	gpu_check(q, p, PAGE, PAGES, 100, 1);
	queue_close(q);
}

/* And one that it only reads may go; then both sides see zeros. */
static void madv_free_read(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_anon(SIZE);
	uint64_t cpu, gpu;
	int i;

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	gsvm_sys(madvise(p, SIZE, MADV_FREE));
	gpu_read(q, p);
	pageout(p, SIZE);
	for (i = 0; i < PAGES; i++) {
		gpu = gpu_read(q, p + i * PAGE);
		cpu = gsvm_peek((void *)(p + i * PAGE));
		gsvm_assert(gpu == cpu && (!cpu || cpu == 1u + i),
			    "page %d after MADV_FREE: GPU %#llx, CPU %#llx\n", i,
			    (unsigned long long)gpu, (unsigned long long)cpu);
	}
	queue_close(q);
}

static void huge_page(void)
{
	struct queue *q = queue_with_swap();
	char *p = map_huge_aligned(HUGE);

	gpu_set(q, p, PAGE, 512, 1, 1);
	gsvm_assert(pageout(p, HUGE), "the huge page stays in memory\n");
	gpu_check(q, p, PAGE, 512, 1, 1);
	gpu_set(q, p, PAGE, 512, 2, 1);
	gsvm_assert(pageout(p, HUGE), "the pages stay in memory\n");
	cpu_check(p, PAGE, 512, 2, 1, "huge page after swap");
	queue_close(q);
}

/* Pages are taken out again and again while the GPU counts in them. */
static void during_job(void)
{
	char *p = map_anon(SIZE);
	struct counter c;
	int i;

	need_swap();
	counter_start_system(&c, "pump", p, PAGE, CTL_ITEMS);
	for (i = 0; i < 12; i++) {
		counter_await(&c, i * 7 % CTL_ITEMS);
		gsvm_sys(madvise(p, SIZE, MADV_PAGEOUT));
	}
	counter_end(&c);
}

#define CGROUP		"/sys/fs/cgroup/gsvm-test"
#define LIMIT_MB	6
#define SET_MB		8
#define STEP		256	/* pages a job */

static void add_stepwise(struct queue *q, char *p, size_t pages, uint64_t value)
{
	size_t at;

	for (at = 0; at < pages; at += STEP)
		gpu_run(q, "add", STEP, U(p) + at * PAGE, PAGE, 1, value);
}

/*
 * A process whose GPU works on more than it may have in memory. Not on all of it
 * at once: then pages would go out again before they were used, how often would
 * be left to chance, and with it how long this takes.
 */
static void cgroup_pressure(void)
{
	size_t size = SET_MB << 20, pages = size / PAGE;
	struct child *c;
	char text[32];

	need_swap();
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	gsvm_require(!mkdir(CGROUP, 0755) || errno == EEXIST, "no cgroup can be made\n");
	snprintf(text, sizeof(text), "%d", LIMIT_MB << 20);
	if (!write_text(CGROUP "/memory.max", text)) {
		rmdir(CGROUP);
		gsvm_skip("there is no memory controller\n");
	}
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *q;
		char *p;

		snprintf(text, sizeof(text), "%d", getpid());
		gsvm_assert(write_text(CGROUP "/cgroup.procs", text), "cannot join the cgroup\n");
		q = queue_open_system();
		p = map_anon(size);
		/* What the first pass wrote is in swap when the second one comes to it. */
		add_stepwise(q, p, pages, 1);
		add_stepwise(q, p, pages, 2);
		cpu_check(p, PAGE, pages, 3, 0, "after two passes over memory.max");
		gsvm_exit();
	}
	gsvm_join(c);
	/* Not memory.peak: what reclaim itself needs is charged beyond the limit. */
	gsvm_assert(read_key(CGROUP "/memory.events", "max") > 0, "memory.max was never met\n");
	gsvm_assert_eq(read_key(CGROUP "/memory.events", "oom_kill"), 0, "processes killed");
	gsvm_sys(rmdir(CGROUP));
}

static const struct gsvm_subtest tests[] = {
	{ "gpu-written", gpu_written, "pages that only the GPU wrote survive swap" },
	{ "gpu-swaps-in", gpu_swaps_in, "GPU faults bring pages back from swap" },
	{ "dirty-after-cpu-read", dirty_after_cpu_read,
	  "a GPU write to a page that the CPU's read brought back" },
	{ "dirty-after-gpu-read", dirty_after_gpu_read, "likewise brought back by the GPU" },
	{ "memfd-hole", memfd_hole, "a GPU write to a hole that was read is kept" },
	{ "memfd-gpu-read-hole", memfd_gpu_read_hole, "likewise read by the GPU" },
	{ "madv-free-written", madv_free_written, "a GPU write cancels MADV_FREE" },
	{ "madv-free-read", madv_free_read, "a GPU read does not" },
	{ "huge-page", huge_page, "huge pages" },
	{ "during-job", during_job, "reclaim under a writer" },
	{ "cgroup-pressure", cgroup_pressure, "more memory in use than memory.max allows" },
};

GSVM_MAIN(tests)
