// SPDX-License-Identifier: MIT
/*
 * Copy-on-write after fork: each side keeps its own memory, whoever writes
 * first, by CPU or by GPU, and whoever is gone by then.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	32

/* The GPU has PAGES pages for writing, values from 1 on, when fork comes. */
static struct child *written_then_forked(struct queue **q, char **p)
{
	*q = queue_open();
	*p = map_anon(PAGES * PAGE);
	gpu_set(*q, *p, PAGE, PAGES, 1, 1);
	return gsvm_fork();
}

/* Parent's GPU writes, the child (alive) keeps the old values. */
static void cow_parent_gpu_writes(void)
{
	struct queue *q;
	struct child *c;
	char *p;

	c = written_then_forked(&q, &p);
	if (!c->pid) {
		gsvm_hear(c);
		cpu_check(p, PAGE, PAGES, 1, 1, "child after the parent's GPU wrote");
		cpu_set(p, PAGE, PAGES, 500, 1);
		gsvm_tell(c);
		gsvm_hear(c);
		cpu_check(p, PAGE, PAGES, 500, 1, "child's own");
		gsvm_exit();
	}
	gpu_set(q, p, PAGE, PAGES, 100, 1);
	cpu_check(p, PAGE, PAGES, 100, 1, "parent after its GPU wrote");
	gsvm_tell(c);
	gsvm_hear(c);
	gpu_check(q, p, PAGE, PAGES, 100, 1);
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	gsvm_tell(c);
	gsvm_join(c);
	gpu_check(q, p, PAGE, PAGES, 101, 1);
	queue_close(q);
}

/* Parent's CPU writes after fork: its GPU must follow to the new page. */
static void cow_parent_cpu_writes(void)
{
	struct queue *q;
	struct child *c;
	char *p;

	c = written_then_forked(&q, &p);
	if (!c->pid) {
		gsvm_hear(c);
		cpu_check(p, PAGE, PAGES, 1, 1, "child");
		gsvm_exit();
	}
	cpu_set(p, PAGE, PAGES, 200, 1);
	gpu_check(q, p, PAGE, PAGES, 200, 1);
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1);
	cpu_check(p, PAGE, PAGES, 201, 1, "parent");
	gsvm_tell(c);
	gsvm_join(c);
	queue_close(q);
}

/* The child's CPU writes: nothing of it reaches the parent's GPU. */
static void cow_child_cpu_writes(void)
{
	struct queue *q;
	struct child *c;
	char *p;

	c = written_then_forked(&q, &p);
	if (!c->pid) {
		cpu_set(p, PAGE, PAGES, 300, 1);
		gsvm_tell(c);
		gsvm_hear(c);
		cpu_check(p, PAGE, PAGES, 300, 1, "child");
		gsvm_exit();
	}
	gsvm_hear(c);
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 10);
	cpu_check(p, PAGE, PAGES, 11, 1, "parent");
	gsvm_tell(c);
	gsvm_join(c);
	queue_close(q);
}

/* The child has a GPU of its own on its copy. */
static void cow_child_gpu_writes(void)
{
	struct queue *q;
	struct child *c;
	char *p;

	c = written_then_forked(&q, &p);
	if (!c->pid) {
		struct queue *own = queue_open();

		gpu_check(own, p, PAGE, PAGES, 1, 1);
		gpu_set(own, p, PAGE, PAGES, 400, 1);
		cpu_check(p, PAGE, PAGES, 400, 1, "child");
		gsvm_tell(c);
		gsvm_hear(c);
		gpu_check(own, p, PAGE, PAGES, 400, 1);
		gsvm_exit();
	}
	gsvm_hear(c);
	cpu_check(p, PAGE, PAGES, 1, 1, "parent after the child's GPU wrote");
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	gpu_set(q, p, PAGE, PAGES, 50, 1);
	gsvm_tell(c);
	gsvm_join(c);
	cpu_check(p, PAGE, PAGES, 50, 1, "parent");
	queue_close(q);
}

static void cow_child_gone(void)
{
	struct queue *q;
	struct child *c;
	char *p;

	c = written_then_forked(&q, &p);
	if (!c->pid) {
		cpu_check(p, PAGE, PAGES, 1, 1, "child");
		gsvm_exit();
	}
	gsvm_join(c);
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	gpu_set(q, p, PAGE, PAGES, 60, 1);
	cpu_check(p, PAGE, PAGES, 60, 1, "parent alone again");
	queue_close(q);
}

static void cow_parent_gone(void)
{
	char *p = map_anon(PAGES * PAGE);
	uint64_t *done = map_shared(PAGE);
	struct child *parent = gsvm_fork();

	if (!parent->pid) {
		struct queue *q = queue_open();
		struct child *c;

		gpu_set(q, p, PAGE, PAGES, 1, 1);
		c = gsvm_fork();
		if (!c->pid) {
			struct queue *own;

			/* The pipe's end tells that the parent has died. */
			while (read(c->to_child[0], &(char){ 0 }, 1) > 0)
				;
			own = queue_open();
			gpu_check(own, p, PAGE, PAGES, 1, 1);
			gpu_set(own, p, PAGE, PAGES, 70, 1);
			cpu_check(p, PAGE, PAGES, 70, 1, "orphan");
			gpu_check(own, p, PAGE, PAGES, 70, 1);
			gsvm_poke(done, 1);
			gsvm_exit();
		}
		gsvm_exit();
	}
	gsvm_join(parent);
	gsvm_await(done, 1, "the orphan's work");
}

/* Reads by the GPU take nothing apart that is shared. */
static void read_keeps_shared(void)
{
	struct queue *q = queue_open();
	uint64_t *pfn = map_shared(PAGE);
	char *p = map_anon(PAGES * PAGE);
	struct child *c;
	int i;

	cpu_set(p, PAGE, PAGES, 1, 1);
	c = gsvm_fork();
	if (!c->pid) {
		for (i = 0; i < PAGES; i++)
			pfn[i] = page_pfn(p + i * PAGE);
		gsvm_tell(c);
		gsvm_hear(c);
		gsvm_exit();
	}
	gsvm_hear(c);
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	for (i = 0; i < PAGES; i++) {
		gsvm_assert(pfn[i], "child's page %d is not present\n", i);
		gsvm_assert_eq(page_pfn(p + i * PAGE), pfn[i],
			       "frame after the GPU read (parent against child)");
	}
	/* A write takes the written page only. */
	gpu_write(q, p + 3 * PAGE, 9);
	for (i = 0; i < PAGES; i++)
		gsvm_assert((page_pfn(p + i * PAGE) == pfn[i]) == (i != 3),
			    "page %d: frame %#llx, child's %#llx, after a write to page 3\n", i,
			    (unsigned long long)page_pfn(p + i * PAGE),
			    (unsigned long long)pfn[i]);
	gsvm_tell(c);
	gsvm_join(c);
	queue_close(q);
}

/* A shared mapping stays one memory for both GPUs. */
static void shared_stays_shared(void)
{
	struct queue *q = queue_open();
	char *p = map_shared(PAGES * PAGE);
	struct child *c;

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *own = queue_open();

		gpu_run(own, "add", PAGES, U(p), PAGE, 100, 1);
		gsvm_exit();
	}
	gpu_run(q, "add", PAGES, U(p), PAGE, 100, 1);
	gsvm_join(c);
	cpu_check(p, PAGE, PAGES, 201, 1, "shared by two processes' GPUs");
	gpu_check(q, p, PAGE, PAGES, 201, 1);
	queue_close(q);
}

static void dontfork_wipeonfork(void)
{
	char *p = map_anon(2 * PAGE), *gone;
	struct queue *q = queue_open();
	struct child *c;

	/* So low that no mapping of the child's comes to lie there. */
	gone = mmap((void *)0x10000000, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	gsvm_assert(gone != MAP_FAILED, "mmap: %s\n", strerror(errno));
	gsvm_sys(madvise(p, PAGE, MADV_WIPEONFORK));
	gsvm_sys(madvise(gone, PAGE, MADV_DONTFORK));
	gpu_set(q, p, PAGE, 2, 5, 1);
	gpu_write(q, gone, 5);
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *own = queue_open();

		gsvm_assert_eq(gpu_read(own, p), 0, "MADV_WIPEONFORK page in the child");
		gsvm_assert_eq(gpu_read(own, p + PAGE), 6, "ordinary page in the child");
		gpu_expect_fault(own, gpu_launch(own, "touch", 1, U(gone), TOUCH_READ, 0),
				 DRM_GSVM_REASON_NOT_MAPPED, DRM_GSVM_ACCESS_READ, gone, 0);
		gsvm_exit();
	}
	gsvm_join(c);
	gpu_check(q, p, PAGE, 2, 5, 1);
	gsvm_assert_eq(gpu_read(q, gone), 5, "MADV_DONTFORK page in the parent");
	queue_close(q);
}

/* fork() again and again while the GPU counts: each child has a snapshot. */
static void fork_during_job(void)
{
	char *p = map_anon(CTL_ITEMS * PAGE);
	struct counter job;
	int round, i;

	counter_start(&job, "count", p, PAGE, CTL_ITEMS);
	for (round = 0; round < 10; round++) {
		struct child *c = gsvm_fork();

		if (!c->pid) {
			uint64_t before[CTL_ITEMS], rounds = gsvm_peek(&job.ctl->rounds[0]);

			for (i = 0; i < CTL_ITEMS; i++)
				before[i] = gsvm_peek((void *)(p + i * PAGE));
			/* The parent's GPU has gone on since. */
			gsvm_await(&job.ctl->rounds[0], rounds + 100, "progress during fork");
			for (i = 0; i < CTL_ITEMS; i++)
				gsvm_assert_eq(gsvm_peek((void *)(p + i * PAGE)), before[i],
					       "child's snapshot, later");
			gsvm_exit();
		}
		gsvm_join(c);
	}
	counter_end(&job);
}

/* Huge pages are shared and split by fork like small ones. */
static void cow_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	struct child *c;

	gpu_set(q, p, PAGE, 512, 1, 1);
	c = gsvm_fork();
	if (!c->pid) {
		gsvm_hear(c);
		cpu_check(p, PAGE, 512, 1, 1, "child's huge page");
		gsvm_exit();
	}
	gpu_set(q, p, 2 * PAGE, 256, 9000, 1);
	gsvm_tell(c);
	gsvm_join(c);
	gpu_check(q, p, 2 * PAGE, 256, 9000, 1);
	gpu_check(q, p + PAGE, 2 * PAGE, 256, 2, 2);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "cow-parent-gpu-writes", cow_parent_gpu_writes, "the child keeps the old values" },
	{ "cow-parent-cpu-writes", cow_parent_cpu_writes, "the GPU follows to the new page" },
	{ "cow-child-cpu-writes", cow_child_cpu_writes, "the parent's GPU sees nothing of it" },
	{ "cow-child-gpu-writes", cow_child_gpu_writes, "a GPU on each side of fork" },
	{ "cow-child-gone", cow_child_gone, "writes after the child has ended" },
	{ "cow-parent-gone", cow_parent_gone, "the child's GPU after the parent has ended" },
	{ "cow-huge", cow_huge, "copy-on-write of huge pages" },
	{ "read-keeps-shared", read_keeps_shared, "GPU reads leave shared pages shared" },
	{ "shared-stays-shared", shared_stays_shared, "MAP_SHARED across fork, two GPUs" },
	{ "dontfork-wipeonfork", dontfork_wipeonfork, "MADV_DONTFORK and MADV_WIPEONFORK" },
	{ "fork-during-job", fork_during_job, "children of a busy GPU have stable snapshots" },
};

GSVM_MAIN(tests)
