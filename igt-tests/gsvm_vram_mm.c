// SPDX-License-Identifier: MIT
/*
 * The memory manager's other business with memory that is in VRAM: swap, KSM,
 * NUMA, cgroups, userfaultfd. Soft-dirty tracking is in gsvm_vram_soft_dirty.c.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	(64 * PAGE)

static void need_swap(void)
{
	gsvm_require(swap_available(), "no swap is active\n");
}

static void out(char *p, size_t size)
{
	size_t at;

	gsvm_assert(pageout(p, size), "pages at %p do not leave memory by MADV_PAGEOUT\n",
		    (void *)p);
	for (at = 0; at < size; at += PAGE)
		gsvm_assert(is_swapped(p + at), "page %zu is not in swap, but elsewhere: %#llx\n",
			    at / PAGE, (unsigned long long)pagemap(p + at));
}

/* From swap straight to VRAM, and the other way round. */
static void swap_and_vram(void)
{
	struct queue *q;
	char *p = map_block(SIZE);
	int round;

	need_swap();
	q = queue_open();
	cpu_fill(p, SIZE, 0, WHOLE);
	for (round = 0; round < 5; round++) {
		out(p, SIZE);
		expect_absent(q, p, SIZE, "in swap");
		gpu_verify(q, p, SIZE, round, WHOLE, "from swap");
		to_vram(q, p, SIZE);
		gpu_pattern(q, p, SIZE, round + 1, WHOLE);
		if (round % 2)
			cpu_verify(p, SIZE, round + 1, WHOLE, "from VRAM");
		else
			to_system(q, p, SIZE);
	}
	out(p, SIZE);
	cpu_verify(p, SIZE, round, WHOLE, "at last");
	queue_close(q);
}

/*
 * A page whose copy in swap is good counts as clean. It goes to VRAM, is
 * written there, comes back: now it is not.
 */
static void dirty_in_vram(void)
{
	struct queue *q;
	char *p = map_block(SIZE);
	int round;

	need_swap();
	q = queue_open();
	cpu_fill(p, SIZE, 0, WHOLE);
	for (round = 0; round < 5; round++) {
		out(p, SIZE);
		cpu_verify(p, SIZE, round, SPARSE, "read from swap");
		to_vram(q, p, SIZE);
		gpu_pattern(q, p, SIZE, round + 1, WHOLE);
		to_system(q, p, SIZE);
	}
	out(p, SIZE);
	cpu_verify(p, SIZE, round, WHOLE, "written in VRAM only, then swapped");
	queue_close(q);
}

/* Written before it went to VRAM, only read there. */
static void dirty_before_vram(void)
{
	struct queue *q;
	char *p = map_block(SIZE);
	int round;

	need_swap();
	q = queue_open();
	for (round = 0; round < 5; round++) {
		cpu_fill(p, SIZE, round, WHOLE);
		to_vram(q, p, SIZE);
		gpu_verify(q, p, SIZE, round, WHOLE, "in VRAM");
		to_system(q, p, SIZE);
		out(p, SIZE);
		cpu_verify(p, SIZE, round, WHOLE, "written before VRAM, then swapped");
	}
	queue_close(q);
}

static void ksm(void)
{
	char *a = map_block(SIZE), *b = map_block(SIZE);
	size_t pages = SIZE / PAGE, i;
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct queue *q;
	bool merged;

	gsvm_require(write_text("/sys/kernel/mm/ksm/run", "1"), "the kernel has no KSM\n");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "0");
	write_text("/sys/kernel/mm/ksm/smart_scan", "0");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "5000");
	q = queue_open();
	cpu_fill(a, SIZE, 1, WHOLE);
	cpu_fill(b, SIZE, 1, WHOLE);
	to_vram(q, a, SIZE);
	/* One half is in VRAM: KSM has to leave it alone. */
	gsvm_sys(madvise(a, SIZE, MADV_MERGEABLE));
	gsvm_sys(madvise(b, SIZE, MADV_MERGEABLE));
	gpu_verify(q, a, SIZE, 1, WHOLE, "mergeable, in VRAM");
	cpu_verify(a, SIZE, 1, SPARSE, "mergeable, back");
	do {
		for (merged = true, i = 0; i < pages && merged; i++)
			merged = page_has_flag(a + i * PAGE, KPF_KSM) &&
				 page_pfn(a + i * PAGE) == page_pfn(b + i * PAGE);
		gsvm_pace();
	} while (!merged && gsvm_deadline(0) < end);
	write_text("/sys/kernel/mm/ksm/run", "0");
	gsvm_assert(merged, "the pages were not merged\n");
	/* Merged pages are shared: they stay, a write takes them apart. */
	gpu_verify(q, a, SIZE, 1, WHOLE, "merged");
	expect_system(q, a, SIZE, "merged pages");
	gsvm_assert_eq(prefetch(q, a, SIZE, DRM_GSVM_REGION_VRAM), 0, "merged pages moved");
	gpu_pattern(q, a, SIZE, 2, WHOLE);
	cpu_verify(b, SIZE, 1, WHOLE, "the other one");
	cpu_verify(a, SIZE, 2, WHOLE, "the written one");
	gsvm_sys(madvise(a, SIZE, MADV_UNMERGEABLE));
	gsvm_sys(madvise(b, SIZE, MADV_UNMERGEABLE));
	to_vram(q, a, SIZE);
	to_vram(q, b, SIZE);
	gpu_verify(q, b, SIZE, 1, WHOLE, "the other one, alone");
	queue_close(q);
}

static void numa(void)
{
	struct queue *q;
	char *p;
	size_t pages = SIZE / PAGE, i;
	void *page[SIZE / PAGE];
	int node[SIZE / PAGE], status[SIZE / PAGE], round;

	gsvm_require(access("/sys/devices/system/node/node1", F_OK) == 0,
		     "the machine has one NUMA node\n");
	q = queue_open();
	p = map_block(SIZE);
	cpu_fill(p, SIZE, 0, WHOLE);
	for (round = 0; round < 6; round++) {
		unsigned long from = 1ul << (round & 1), to = 1ul << (~round & 1);

		to_vram(q, p, SIZE);
		for (i = 0; i < pages; i++) {
			page[i] = p + i * PAGE;
			node[i] = round & 1;
		}
		/* VRAM is no node: nothing to move, nothing to break. */
		syscall(SYS_move_pages, 0, pages, page, node, status, 2 /* MOVE_ALL */);
		syscall(SYS_migrate_pages, 0, 8ul, &from, &to);
		gpu_verify(q, p, SIZE, round, WHOLE, "in VRAM, after move_pages");
		cpu_verify(p, SIZE, round, WHOLE, "back");
		gsvm_sys(syscall(SYS_move_pages, 0, pages, page, node, status, 2));
		for (i = 0; i < pages; i++)
			gsvm_assert_eq(status[i], round & 1, "node of a moved page");
		gpu_pattern(q, p, SIZE, round + 1, WHOLE);
	}
	queue_close(q);
}

/* What comes back is where the thread that fetches it wants its memory, all of it. */
static void numa_policy(void)
{
	size_t size = 6 * HUGE, pages = size / PAGE, i;
	int *status, round;
	struct queue *q;
	void **page;
	char *p;

	gsvm_require(access("/sys/devices/system/node/node1", F_OK) == 0,
		     "the machine has one NUMA node\n");
	q = queue_open();
	p = map_block(size);
	page = calloc(pages, sizeof(*page));
	status = calloc(pages, sizeof(*status));
	gsvm_assert(page && status, "no memory\n");
	cpu_fill(p, size, 1, SPARSE);
	for (i = 0; i < pages; i++)
		page[i] = p + i * PAGE;
	for (round = 0; round < 4; round++) {
		unsigned long mask = 1ul << (round & 1);

		to_vram(q, p, size);
		gsvm_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8ul));
		gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_SYSTEM), pages, "pages moved");
		gsvm_sys(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0ul));
		gsvm_sys(syscall(SYS_move_pages, 0, pages, page, NULL, status, 0));
		for (i = 0; i < pages; i++)
			gsvm_assert_eq(status[i], round & 1, "node of a page that came back");
	}
	cpu_verify(p, size, 1, SPARSE, "at the end");
	free(page);
	free(status);
	queue_close(q);
}

#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define SCAN		"/sys/kernel/debug/sched/numa_balancing/"

/* Pages lose their access bits for samples all the time, wherever they are. */
static void numa_balancing(void)
{
	size_t size = 8 * MIB;
	struct queue *q;
	long before;
	uint32_t round;
	char *p;

	gsvm_require(access("/sys/devices/system/node/node1", F_OK) == 0,
		     "the machine has one NUMA node\n");
	q = queue_open();
	p = map_block(size);
	before = read_number(BALANCING);
	gsvm_require(write_text(BALANCING, "1"), "the kernel has no NUMA balancing\n");
	write_text(SCAN "scan_delay_ms", "1");
	write_text(SCAN "scan_period_min_ms", "5");
	write_text(SCAN "scan_period_max_ms", "5");
	for (round = 1; round < 16; round++) {
		cpu_fill(p, size, round, SPARSE);
		if (round % 2)
			prefetch(q, p, size, DRM_GSVM_REGION_VRAM);
		gpu_verify(q, p, size, round, SPARSE, "under NUMA balancing");
		gpu_pattern(q, p, size, 100 + round, SPARSE);
		cpu_verify(p, size, 100 + round, SPARSE, "under NUMA balancing");
	}
	if (!before)
		write_text(BALANCING, "0");
	queue_close(q);
}

#define CGROUP	"/sys/fs/cgroup/gsvm-vram-test"

static void cgroup_make(const char *max)
{
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	gsvm_require(!mkdir(CGROUP, 0755) || errno == EEXIST, "no cgroup can be made\n");
	if (!write_text(CGROUP "/memory.max", max)) {
		rmdir(CGROUP);
		gsvm_skip("there is no memory controller\n");
	}
}

static void cgroup_join(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", getpid());
	gsvm_assert(write_text(CGROUP "/cgroup.procs", text), "cannot join the cgroup\n");
}

static long charged(void)
{
	return read_number(CGROUP "/memory.current");
}

/* Memory is charged to its owner wherever it is. */
static void cgroup_charges(void)
{
	struct child *c;

	cgroup_make("max");
	c = gsvm_fork();
	if (!c->pid) {
		const long size = 16 * MIB, slack = 3 * MIB;
		struct queue *q;
		long before, now;
		char *p;

		cgroup_join();
		q = queue_open();
		gpu_read(q, &q);
		before = charged();
		p = map_block(size);
		cpu_fill(p, size, 1, SPARSE);
		now = charged() - before;
		gsvm_assert(now >= size - slack && now <= size + slack,
			    "%ld KiB are charged for memory\n", now >> 10);
		to_vram(q, p, size);
		now = charged() - before;
		gsvm_assert(now >= size - slack && now <= size + slack,
			    "%ld KiB are charged for it in VRAM\n", now >> 10);
		cpu_verify(p, size, 1, SPARSE, "back");
		now = charged() - before;
		gsvm_assert(now >= size - slack && now <= size + slack,
			    "%ld KiB are charged for it back in memory\n", now >> 10);
		gsvm_sys(munmap(p, size));
		now = charged() - before;
		gsvm_assert(now <= slack, "%ld KiB are charged after munmap\n", now >> 10);
		p = map_block(size);
		gpu_pattern(q, p, size, 2, SPARSE);
		now = charged() - before;
		gsvm_assert(now >= size - slack && now <= size + slack,
			    "%ld KiB are charged for memory made in VRAM\n", now >> 10);
		to_vram(q, p, size);
		gsvm_sys(munmap(p, size));
		now = charged() - before;
		gsvm_assert(now <= slack, "%ld KiB are charged after munmap\n", now >> 10);
		queue_close(q);
		gsvm_exit();
	}
	gsvm_join(c);
	gsvm_sys(rmdir(CGROUP));
}

/* A process whose GPU works on more than it may have: slowly, but rightly. */
static void cgroup_limit(void)
{
	const size_t size = 16 * MIB;
	struct child *c;

	need_swap();
	cgroup_make("12582912");
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *q;
		uint32_t pass;
		char *p;

		cgroup_join();
		q = queue_open();
		p = map_block(size);
		/* Each pass has to bring back from swap what the one before has written. */
		for (pass = 1; pass <= 2; pass++)
			gpu_pattern(q, p, size, pass, SPARSE);
		cpu_verify(p, size, 2, SPARSE, "above memory.max");
		gsvm_exit();
	}
	gsvm_join(c);
	gsvm_assert(read_number(CGROUP "/memory.peak") <= 12582912,
		    "memory.peak is %ld\n", read_number(CGROUP "/memory.peak"));
	gsvm_sys(rmdir(CGROUP));
}

/**
 * struct handler - a userfaultfd and the thread that reads it
 */
struct handler {
	struct thread thread;
	int fd, stop[2];
	char *base;
	uint32_t seed;
	uint64_t missing, protected;
};

static void answer(struct handler *h, const struct uffd_msg *msg)
{
	char *page = (char *)(uintptr_t)(msg->arg.pagefault.address & ~(PAGE - 1));
	size_t at = page - h->base, word;

	gsvm_assert(msg->event == UFFD_EVENT_PAGEFAULT && at < SIZE, "event %#x at %p\n",
		    msg->event, page);
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		struct uffdio_writeprotect wp = { .range = { U(page), PAGE } };

		__atomic_fetch_add(&h->protected, 1, __ATOMIC_RELEASE);
		gsvm_sys(ioctl(h->fd, UFFDIO_WRITEPROTECT, &wp));
	} else {
		uint64_t *content = aligned_alloc(PAGE, PAGE);
		struct uffdio_copy copy = { .dst = U(page), .src = U(content), .len = PAGE };

		for (word = 0; word < PAGE / 8; word++)
			content[word] = pattern_word(h->seed, at + word * 8);
		__atomic_fetch_add(&h->missing, 1, __ATOMIC_RELEASE);
		gsvm_assert(!ioctl(h->fd, UFFDIO_COPY, &copy) || errno == EEXIST,
			    "UFFDIO_COPY: %s\n", strerror(errno));
		free(content);
	}
}

static void handler_loop(void *arg)
{
	struct handler *h = arg;
	struct pollfd p[2] = {
		{ .fd = h->fd, .events = POLLIN }, { .fd = h->stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	while (poll(p, 2, -1) > 0 && !p[1].revents)
		if (read(h->fd, &msg, sizeof(msg)) == sizeof(msg))
			answer(h, &msg);
}

static void handler_start(struct handler *h, char *base, uint64_t mode, uint32_t seed)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = mode == UFFDIO_REGISTER_MODE_WP ?
					      UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0 };
	struct uffdio_register reg = { .range = { U(base), SIZE }, .mode = mode };

	*h = (struct handler){ .base = base, .seed = seed };
	h->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	gsvm_require(h->fd >= 0, "no userfaultfd: %s\n", strerror(errno));
	gsvm_require(!ioctl(h->fd, UFFDIO_API, &api), "userfaultfd: %s\n", strerror(errno));
	gsvm_sys(ioctl(h->fd, UFFDIO_REGISTER, &reg));
	gsvm_sys(pipe(h->stop));
	gsvm_thread(&h->thread, handler_loop, h);
}

static void handler_end(struct handler *h)
{
	gsvm_assert(write(h->stop[1], "!", 1) == 1, "write: %s\n", strerror(errno));
	gsvm_thread_join(&h->thread);
	close(h->fd);
	close(h->stop[0]);
	close(h->stop[1]);
}

/* Holes are the handler's to fill, by GPU fault and by prefetch likewise. */
static void uffd_missing(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	struct handler h;

	handler_start(&h, p, UFFDIO_REGISTER_MODE_MISSING, 5);
	prefetch(q, p, SIZE, DRM_GSVM_REGION_VRAM);
	gsvm_assert(!place_of(q, p, SIZE).vram || gsvm_peek(&h.missing),
		    "a prefetch filled what is the handler's\n");
	gpu_verify(q, p, SIZE, 5, WHOLE, "what the handler gave");
	gsvm_assert(gsvm_peek(&h.missing) >= SIZE / PAGE, "the handler was asked for %llu pages\n",
		    (unsigned long long)h.missing);
	to_vram(q, p, SIZE);
	gpu_pattern(q, p, SIZE, 6, WHOLE);
	cpu_verify(p, SIZE, 6, WHOLE, "back from VRAM");
	/* Dropped in VRAM, it is missing again. */
	to_vram(q, p, SIZE);
	gsvm_poke(&h.missing, 0);
	gsvm_sys(madvise(p, SIZE, MADV_DONTNEED));
	gpu_run(q, "add", SIZE / PAGE, U(p), PAGE, 1, 0);
	gpu_verify(q, p, SIZE, 5, WHOLE, "what the handler gave again");
	gsvm_assert(gsvm_peek(&h.missing) >= SIZE / PAGE, "the handler was asked for %llu pages\n",
		    (unsigned long long)h.missing);
	handler_end(&h);
	queue_close(q);
}

/* Write protection goes with the page, to VRAM and back. */
static void uffd_protect(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	struct uffdio_writeprotect wp = {
		.range = { U(p), SIZE }, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	size_t pages = SIZE / PAGE;
	struct handler h;
	int round;

	cpu_fill(p, SIZE, 0, WHOLE);
	handler_start(&h, p, UFFDIO_REGISTER_MODE_WP, 0);
	for (round = 0; round < 6; round++) {
		bool gpu_writes = round & 1, protect_in_vram = round & 2;

		if (protect_in_vram)
			to_vram(q, p, SIZE);
		gsvm_sys(ioctl(h.fd, UFFDIO_WRITEPROTECT, &wp));
		gsvm_poke(&h.protected, 0);
		gpu_verify(q, p, SIZE, round, WHOLE, "protected");
		prefetch(q, p, SIZE, DRM_GSVM_REGION_VRAM);
		gpu_verify(q, p, SIZE, round, WHOLE, "protected, in VRAM");
		/* Of the writes before, a record or two may have been served late. */
		gsvm_assert(gsvm_peek(&h.protected) == 0 || round,
			    "%llu write faults without a write\n",
			    (unsigned long long)gsvm_peek(&h.protected));
		if (gpu_writes)
			gpu_pattern(q, p, SIZE, round + 1, WHOLE);
		else
			cpu_fill(p, SIZE, round + 1, WHOLE);
		gsvm_assert(gsvm_peek(&h.protected) >= pages,
			    "round %d: of %zu protected pages, %llu were asked for\n", round, pages,
			    (unsigned long long)h.protected);
		gpu_verify(q, p, SIZE, round + 1, WHOLE, "written");
	}
	handler_end(&h);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "swap", swap_and_vram, "between swap and VRAM" },
	{ "dirty-in-vram", dirty_in_vram, "clean pages, written in VRAM, then swapped" },
	{ "dirty-before-vram", dirty_before_vram, "dirty pages, moved, then swapped" },
	{ "ksm", ksm, "KSM" },
	{ "numa", numa, "move_pages and migrate_pages" },
	{ "numa-policy", numa_policy, "brought back to the node that the caller wants" },
	{ "numa-balancing", numa_balancing, "samples of NUMA balancing" },
	{ "cgroup-charges", cgroup_charges, "charges follow the pages" },
	{ "cgroup-limit", cgroup_limit, "more in use than memory.max allows" },
	{ "uffd-missing", uffd_missing, "userfaultfd, missing pages" },
	{ "uffd-protect", uffd_protect, "userfaultfd, write protection" },
};

GSVM_MAIN(tests)
