// SPDX-License-Identifier: MIT
/*
 * fork with pages in VRAM: they are shared then, and each side keeps its own
 * memory, whoever writes first, by CPU or by GPU, and whoever is gone by then.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	HUGE

/* Of each process, beside its GPU. */
#define WRITERS	3

enum who { NOBODY, CPU, GPU };

static void write_as(enum who who, struct queue *q, char *p, uint32_t seed)
{
	if (who == CPU)
		cpu_fill(p, SIZE, seed, SPARSE);
	else if (who == GPU)
		gpu_pattern(q, p, SIZE, seed, SPARSE);
}

/*
 * Seeds: 1 before fork, 2 the parent's, 3 the child's. The first writer is done
 * before the second one begins; both look at everything afterwards.
 */
static void sides(bool huge, bool child_first, enum who parent, enum who child)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = huge ? map_thp_in_vram(q, SIZE, 1) : map_in_vram(q, SIZE, 1);
	struct child *c = gsvm_fork();

	if (!c->pid) {
		struct queue *own = queue_open();

		if (!child_first)
			gsvm_hear(c);
		cpu_verify_part(p, 0, PAGE, 1, SPARSE, "the child's first page");
		write_as(child, own, p, 3);
		gsvm_tell(c);
		if (child_first)
			gsvm_hear(c);
		gpu_verify(own, p, SIZE, child ? 3 : 1, SPARSE, "the child's memory");
		cpu_verify(p, SIZE, child ? 3 : 1, SPARSE, "the child's memory");
		gsvm_exit();
	}
	if (child_first)
		gsvm_hear(c);
	write_as(parent, q, p, 2);
	gsvm_tell(c);
	if (!child_first)
		gsvm_hear(c);
	gpu_verify(q, p, SIZE, parent ? 2 : 1, SPARSE, "the parent's memory");
	cpu_verify(p, SIZE, parent ? 2 : 1, SPARSE, "the parent's memory");
	gsvm_join(c);
	/* Alone again, everything can move. */
	gpu_pattern(q, p, SIZE, 4, SPARSE);
	to_vram(q, p, SIZE);
	cpu_verify(p, SIZE, 4, SPARSE, "the parent alone");
	gsvm_sys(munmap(p, SIZE));
	expect_vram_free(q, unused, "when nobody has the pages any more");
	queue_close(q);
}

#define SIDES(name, huge, child_first, parent, child)			\
	static void name(void)						\
	{								\
		sides(huge, child_first, parent, child);		\
	}

SIDES(readers, false, false, NOBODY, NOBODY)
SIDES(parent_cpu, false, false, CPU, NOBODY)
SIDES(parent_gpu, false, false, GPU, NOBODY)
SIDES(child_cpu, false, true, NOBODY, CPU)
SIDES(child_gpu, false, true, NOBODY, GPU)
SIDES(cpu_then_cpu, false, false, CPU, CPU)
SIDES(gpu_then_gpu, false, false, GPU, GPU)
SIDES(gpu_after_child_cpu, false, true, GPU, CPU)
SIDES(cpu_after_child_gpu, false, true, CPU, GPU)
SIDES(huge_readers, true, false, NOBODY, NOBODY)
SIDES(huge_parent_cpu, true, false, CPU, NOBODY)
SIDES(huge_parent_gpu, true, false, GPU, NOBODY)
SIDES(huge_child_cpu, true, true, NOBODY, CPU)
SIDES(huge_gpu_then_gpu, true, false, GPU, GPU)

struct writer {
	struct thread thread;
	char *p;
	uint32_t seed;
};

static void writer_run(void *arg)
{
	struct writer *w = arg;

	cpu_fill(w->p, SIZE, w->seed, SPARSE);
}

/* The GPU and several CPUs of one process write the same. */
static void write_together(struct queue *q, char *p, uint32_t seed, const char *what)
{
	struct writer w[WRITERS];
	unsigned int i;

	for (i = 0; i < WRITERS; i++) {
		w[i].p = p;
		w[i].seed = seed;
		gsvm_thread(&w[i].thread, writer_run, &w[i]);
	}
	gpu_pattern(q, p, SIZE, seed, SPARSE);
	for (i = 0; i < WRITERS; i++)
		gsvm_thread_join(&w[i].thread);
	gpu_verify(q, p, SIZE, seed, SPARSE, what);
	cpu_verify(p, SIZE, seed, SPARSE, what);
}

/*
 * Everybody wants the same 2 MiB page at the same moment, on both sides of a fork.
 * It cannot leave VRAM as it is, and is in somebody's hands all the time. That each of
 * its pages is copied once may repeat as many services, and no more.
 */
static void huge_all_write(void)
{
	enum { ROUNDS = 4 };
	struct queue *q = queue_open();
	struct drm_gsvm_vm_query stats;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		char *p = map_thp_in_vram(q, SIZE, 1);
		struct child *c = gsvm_fork();

		if (!c->pid) {
			struct queue *own = queue_open();

			gsvm_tell(c);
			gsvm_hear(c);
			write_together(own, p, 3, "the child's memory");
			gsvm_exit();
		}
		gsvm_hear(c);
		gsvm_tell(c);
		write_together(q, p, 2, "the parent's memory");
		gsvm_join(c);
		gsvm_sys(munmap(p, SIZE));
	}
	igt_gsvm_vm_query(q->fd, q->vm, &stats, 0);
	gsvm_assert(stats.fault_retries <= ROUNDS * SIZE / PAGE,
		    "%llu repeats in %llu services\n", (unsigned long long)stats.fault_retries,
		    (unsigned long long)stats.fault_services);
	queue_close(q);
}

/* The child is gone before anybody touches anything. */
static void child_gone(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = map_in_vram(q, SIZE, 1);
	struct child *c = gsvm_fork();

	if (!c->pid)
		gsvm_exit();
	gsvm_join(c);
	gpu_verify(q, p, SIZE, 1, WHOLE, "the child is gone");
	gpu_pattern(q, p, SIZE, 2, WHOLE);
	cpu_verify(p, SIZE, 2, WHOLE, "the child is gone");
	gsvm_sys(munmap(p, SIZE));
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

/* The parent, whose VM moved the pages, is gone; the child reads and writes. */
static void orphan(bool huge, bool by_gpu)
{
	struct queue *q = queue_open();
	uint64_t *done = map_shared(PAGE), unused = vram_free(q);
	struct child *parent = gsvm_fork();

	if (!parent->pid) {
		struct queue *own = queue_open();
		char *p = huge ? map_thp_in_vram(own, SIZE, 1) : map_in_vram(own, SIZE, 1);
		struct child *c = gsvm_fork();

		if (!c->pid) {
			/* The pipe's end tells that the parent has died. */
			while (read(c->to_child[0], &(char){ 0 }, 1) > 0)
				;
			if (by_gpu) {
				struct queue *new = queue_open();

				gpu_verify(new, p, SIZE, 1, WHOLE, "an orphan's memory");
				gpu_pattern(new, p, SIZE, 2, WHOLE);
			} else {
				cpu_verify(p, SIZE, 1, WHOLE, "an orphan's memory");
				cpu_fill(p, SIZE, 2, WHOLE);
			}
			cpu_verify(p, SIZE, 2, WHOLE, "an orphan's memory, written");
			gsvm_poke(done, 1);
			gsvm_exit();
		}
		/* By _exit: VM and queue end with the process. */
		gsvm_exit();
	}
	gsvm_join(parent);
	gsvm_await(done, 1, "the orphan's work");
	expect_vram_free(q, unused, "when all are gone");
	queue_close(q);
}

static void parent_gone_cpu(void)
{
	orphan(false, false);
}

static void parent_gone_gpu(void)
{
	orphan(false, true);
}

static void parent_gone_huge(void)
{
	orphan(true, false);
}

/* A family of six, all with the same pages. */
static void grandchildren(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	char *p = map_in_vram(q, SIZE, 1);
	struct child *c[5];
	unsigned int i;

	for (i = 0; i < 5; i++) {
		c[i] = gsvm_fork();
		if (c[i]->pid)
			continue;
		gsvm_hear(c[i]);
		cpu_verify(p, SIZE, 1, SPARSE, "shared by six");
		cpu_fill(p, SIZE / 2, 10 + i, SPARSE);
		gsvm_tell(c[i]);
		gsvm_hear(c[i]);
		cpu_verify(p, SIZE / 2, 10 + i, SPARSE, "a child's own half");
		cpu_verify_part(p + SIZE / 2, SIZE / 2, SIZE / 2, 1, SPARSE, "the other half");
		gsvm_exit();
	}
	for (i = 0; i < 5; i++)
		gsvm_tell(c[i]);
	gpu_verify(q, p, SIZE, 1, SPARSE, "the parent's memory");
	for (i = 0; i < 5; i++)
		gsvm_hear(c[i]);
	gpu_pattern(q, p, SIZE, 2, SPARSE);
	for (i = 0; i < 5; i++) {
		gsvm_tell(c[i]);
		gsvm_join(c[i]);
	}
	cpu_verify(p, SIZE, 2, SPARSE, "the parent's memory");
	gsvm_sys(munmap(p, SIZE));
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

/* Parent and child read the same pages at the same moment. */
static void read_together(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	int round;

	cpu_fill(p, SIZE, 0, SPARSE);
	for (round = 0; round < 12; round++) {
		struct child *c;

		to_vram(q, p, SIZE);
		c = gsvm_fork();
		if (!c->pid) {
			gsvm_hear(c);
			cpu_verify(p, SIZE, round, SPARSE, "the child's memory");
			gsvm_exit();
		}
		gsvm_tell(c);
		cpu_verify(p, SIZE, round, SPARSE, "the parent's memory");
		gsvm_join(c);
		gpu_pattern(q, p, SIZE, round + 1, SPARSE);
	}
	queue_close(q);
}

/* fork() again and again while the GPU counts in VRAM. */
static void fork_during_job(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	char *p = map_in_vram(q, SIZE, 0);
	size_t pages = SIZE / PAGE, n;
	struct gsvm_signal *job;
	int round;

	gpu_set(q, p, PAGE, pages, 0, 0);
	job = gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(p), pages, CTL_ITEMS, 0);
	for (round = 0; round < 8; round++) {
		struct child *c = gsvm_fork();

		if (!c->pid) {
			uint64_t first = gsvm_peek((void *)p), rounds = gsvm_peek(&ctl->rounds[0]);

			gsvm_await(&ctl->rounds[0], rounds + 2, "progress during fork");
			gsvm_assert_eq(gsvm_peek((void *)p), first, "the snapshot, later");
			for (n = 0; n < pages; n += CTL_ITEMS)
				gsvm_assert(first - gsvm_peek((void *)(p + n * PAGE)) <= 1,
					    "page %zu has %llu, page 0 has %llu\n", n,
					    (unsigned long long)gsvm_peek((void *)(p + n * PAGE)),
					    (unsigned long long)first);
			gsvm_exit();
		}
		gsvm_join(c);
	}
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	for (n = 0; n < pages; n++)
		gsvm_assert_eq(*(uint64_t *)(p + n * PAGE), ctl->rounds[n % CTL_ITEMS],
			       "increments found and made");
	queue_close(q);
}

static void advice(void)
{
	struct queue *q = queue_open();
	char *wipe = map_in_vram(q, SIZE, 1), *keep = map_in_vram(q, SIZE, 2);
	struct child *c;

	gsvm_sys(madvise(wipe, SIZE, MADV_WIPEONFORK));
	gsvm_sys(madvise(keep, SIZE, MADV_DONTFORK));
	c = gsvm_fork();
	if (!c->pid) {
		cpu_check(wipe, PAGE, SIZE / PAGE, 0, 0, "MADV_WIPEONFORK memory in the child");
		gsvm_exit();
	}
	expect_vram(q, keep, SIZE, "MADV_DONTFORK memory in the parent");
	gsvm_join(c);
	gpu_verify(q, wipe, SIZE, 1, SPARSE, "MADV_WIPEONFORK memory in the parent");
	gpu_verify(q, keep, SIZE, 2, SPARSE, "MADV_DONTFORK memory in the parent");
	cpu_verify(wipe, SIZE, 1, SPARSE, "MADV_WIPEONFORK memory in the parent");
	cpu_verify(keep, SIZE, 2, SPARSE, "MADV_DONTFORK memory in the parent");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "readers", readers, "nobody writes" },
	{ "parent-cpu", parent_cpu, "the parent's CPU writes" },
	{ "parent-gpu", parent_gpu, "the parent's GPU writes" },
	{ "child-cpu", child_cpu, "the child's CPU writes" },
	{ "child-gpu", child_gpu, "the child's GPU writes" },
	{ "cpu-then-cpu", cpu_then_cpu, "both CPUs write" },
	{ "gpu-then-gpu", gpu_then_gpu, "both GPUs write" },
	{ "gpu-after-child-cpu", gpu_after_child_cpu, "the parent's GPU after the child's CPU" },
	{ "cpu-after-child-gpu", cpu_after_child_gpu, "the parent's CPU after the child's GPU" },
	{ "huge-readers", huge_readers, "a huge page, nobody writes" },
	{ "huge-parent-cpu", huge_parent_cpu, "a huge page, the parent's CPU writes" },
	{ "huge-parent-gpu", huge_parent_gpu, "a huge page, the parent's GPU writes" },
	{ "huge-child-cpu", huge_child_cpu, "a huge page, the child's CPU writes" },
	{ "huge-gpu-then-gpu", huge_gpu_then_gpu, "a huge page, both GPUs write" },
	{ "huge-all-write", huge_all_write, "a huge page, GPUs and CPUs of both write at once" },
	{ "child-gone", child_gone, "the child ends at once" },
	{ "parent-gone-cpu", parent_gone_cpu, "the parent ends, the child's CPU goes on" },
	{ "parent-gone-gpu", parent_gone_gpu, "the parent ends, the child's GPU goes on" },
	{ "parent-gone-huge", parent_gone_huge, "likewise with a huge page" },
	{ "grandchildren", grandchildren, "six processes share the pages" },
	{ "read-together", read_together, "parent and child read at the same moment" },
	{ "during-job", fork_during_job, "children have snapshots of memory that is written" },
	{ "advice", advice, "MADV_WIPEONFORK and MADV_DONTFORK" },
};

GSVM_MAIN(tests)
