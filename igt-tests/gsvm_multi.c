// SPDX-License-Identifier: MIT
/*
 * Several VMs, queues, processes and threads at the same memory and at the
 * same time.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	64
#define VMS	8
#define QUEUES	64

/* Eight VMs of one process mirror one memory. */
static void vms_one_memory(void)
{
	struct queue *q[VMS];
	struct gsvm_signal *job[VMS];
	char *p = map_anon(PAGES * PAGE);
	int i;

	for (i = 0; i < VMS; i++)
		q[i] = queue_open();
	for (i = 0; i < VMS; i++)
		job[i] = gpu_launch(q[i], "add", PAGES, U(p), PAGE, 50, 1);
	for (i = 0; i < VMS; i++)
		gpu_wait(q[i], job[i]);
	cpu_check(p, PAGE, PAGES, VMS * 50, 0, "words that all VMs counted in");
	/* One change reaches all of them. */
	gsvm_sys(madvise(p, PAGES * PAGE, MADV_DONTNEED));
	for (i = 0; i < VMS; i++)
		gpu_check(q[i], p, PAGE, PAGES, 0, 0);
	gsvm_sys(mprotect(p, PAGE, PROT_READ));
	for (i = 0; i < VMS; i++)
		gpu_expect_fault(q[i], gpu_launch(q[i], "touch", 1, U(p), TOUCH_WRITE, 0),
				 DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE, p, 0);
	for (i = 0; i < VMS; i++)
		queue_close(q[i]);
}

/* Two VMs of one file. */
static void vms_one_file(void)
{
	int fd = gpu_open(0);
	struct queue *a = queue_open_vm(fd, igt_gsvm_vm_create(fd, 0));
	struct queue *b = queue_open_vm(fd, igt_gsvm_vm_create(fd, 0));
	uint64_t *word = map_anon(PAGE);
	int i;

	for (i = 0; i < 50; i++) {
		gpu_run(a, "add", 1, U(word), 0, 1, 1);
		gpu_run(b, "add", 1, U(word), 0, 1, 1);
	}
	gsvm_assert_eq(*word, 100, "word that both VMs counted in");
	igt_gsvm_vm_destroy(fd, a->vm, 0);
	gpu_run(b, "add", 1, U(word), 0, 1, 1);
	gsvm_assert_eq(*word, 101, "word after the first VM's end");
	close(fd);
}

static void queues_one_vm(void)
{
	struct queue *first = queue_open(), *q[QUEUES];
	struct gsvm_signal *job[QUEUES];
	char *p = map_anon(QUEUES * PAGE);
	uint64_t *sum = map_anon(PAGE);
	int i, round;

	for (i = 0; i < QUEUES; i++)
		q[i] = queue_open_vm(first->fd, first->vm);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < QUEUES; i++) {
			gpu_launch(q[i], "add", 16, U(p + i * PAGE), 0, 10, 1);
			job[i] = gpu_launch(q[i], "add", 1, U(sum), 0, 1, i);
		}
		for (i = 0; i < QUEUES; i++)
			gpu_wait(q[i], job[i]);
	}
	/* Without a barrier, the earlier job of a queue may end later. */
	for (i = 0; i < QUEUES; i++)
		for (round = 0; round < 5; round++)
			gpu_wait(q[i], &q[i]->share->signal[2 * round]);
	cpu_check(p, PAGE, QUEUES, 800, 0, "each queue's own page");
	gsvm_assert_eq(*sum, 5 * QUEUES * (QUEUES - 1) / 2, "sum over all queues");
	for (i = 0; i < QUEUES; i++)
		queue_close(q[i]);
	queue_close(first);
}

/* Sixteen queues share the device with one that is never done. */
static void fairness(void)
{
	struct queue *q[16], *hog = queue_open();
	uint64_t *word = map_anon(PAGE);
	int i, round;

	gpu_launch(hog, "forever", 4096, 0);
	for (i = 0; i < 16; i++)
		q[i] = queue_open_vm(hog->fd, hog->vm);
	for (round = 0; round < 5; round++)
		for (i = 0; i < 16; i++)
			gpu_run(q[i], "add", 1, U(word), 0, 1, 1);
	gsvm_assert_eq(*word, 80, "jobs beside an endless one");
	for (i = 0; i < 16; i++)
		queue_close(q[i]);
	queue_close(hog);
}

static void processes(void)
{
	struct child *c[8];
	char *shared = map_shared(PAGE);
	struct queue *q;
	int i, round;

	for (i = 0; i < 8; i++) {
		c[i] = gsvm_fork();
		if (!c[i]->pid) {
			char *own = map_anon(PAGES * PAGE);

			gsvm_hear(c[i]);
			q = queue_open();
			for (round = 0; round < 10; round++) {
				gpu_run(q, "add", PAGES, U(own), PAGE, 1, i + 1);
				gpu_run(q, "add", 1, U(shared), 0, 5, 1);
				/* The same addresses in eight memories. */
				cpu_check(own, PAGE, PAGES, (round + 1) * (i + 1), 0,
					  "the process's own memory");
			}
			gsvm_exit();
		}
	}
	for (i = 0; i < 8; i++)
		gsvm_tell(c[i]);
	for (i = 0; i < 8; i++)
		gsvm_join(c[i]);
	gsvm_assert_eq(*(uint64_t *)shared, 8 * 10 * 5, "word shared by eight processes");
}

/**
 * struct worker - a thread with a queue of its own
 */
struct worker {
	struct queue *q;
	char *memory;
	int number;
	struct thread thread;
};

static void worker_loop(void *arg)
{
	struct worker *w = arg;
	int round;

	/* Pages dealt out one by one: neighbours belong to other threads. */
	for (round = 1; round <= 15; round++) {
		gpu_run(w->q, "add", PAGES, U(w->memory + w->number * PAGE), 8 * PAGE, 1,
			w->number + 1);
		cpu_check(w->memory + w->number * PAGE, 8 * PAGE, PAGES,
			  round * (w->number + 1), 0, "the thread's pages");
		if (round % 5 == 0)
			gsvm_sys(mprotect(w->memory + w->number * PAGE, PAGE, PROT_READ));
		if (round % 5 == 0)
			gsvm_sys(mprotect(w->memory + w->number * PAGE, PAGE,
					  PROT_READ | PROT_WRITE));
	}
}

static void threads(bool one_vm)
{
	struct worker w[8];
	char *p = map_huge_aligned(8 * PAGES * PAGE);
	int i;

	for (i = 0; i < 8; i++) {
		w[i].q = one_vm && i ? queue_open_vm(w[0].q->fd, w[0].q->vm) : queue_open();
		w[i].memory = p;
		w[i].number = i;
	}
	gpu_kernel("add");	/* loads the program before there are threads */
	for (i = 0; i < 8; i++)
		gsvm_thread(&w[i].thread, worker_loop, &w[i]);
	for (i = 0; i < 8; i++)
		gsvm_thread_join(&w[i].thread);
	for (i = 7; i >= 0; i--)
		queue_close(w[i].q);
}

static void threads_one_vm(void)
{
	threads(true);
}

static void threads_own_vm(void)
{
	threads(false);
}

/* Many threads at one page at once, through one VM and through several. */
static void page_loop(void *arg)
{
	struct worker *w = arg;
	int round;

	for (round = 0; round < 20; round++)
		gpu_run(w->q, "add", 8, U(w->memory), 0, 10, 1);
}

static void threads_same_page(void)
{
	struct worker w[6];
	char *p = map_anon(PAGE);
	int i, round;

	gpu_kernel("add");
	for (i = 0; i < 6; i++) {
		w[i].q = i % 3 ? queue_open_vm(w[i - 1].q->fd, w[i - 1].q->vm) : queue_open();
		w[i].memory = p;
	}
	for (i = 0; i < 6; i++)
		gsvm_thread(&w[i].thread, page_loop, &w[i]);
	for (round = 0; round < 200; round++) {
		/* Takes the page away from all of them, and changes nothing. */
		gsvm_sys(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
		__atomic_fetch_add((uint64_t *)p, 1, __ATOMIC_RELAXED);
		gsvm_sys(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	}
	for (i = 0; i < 6; i++)
		gsvm_thread_join(&w[i].thread);
	gsvm_assert_eq(*(uint64_t *)p, 6 * 20 * 80 + 200, "increments by all threads");
	for (i = 5; i >= 0; i--)
		queue_close(w[i].q);
}

static const struct gsvm_subtest tests[] = {
	{ "vms-one-memory", vms_one_memory, "eight VMs mirror one memory" },
	{ "vms-one-file", vms_one_file, "two VMs of one file" },
	{ "queues-one-vm", queues_one_vm, "64 queues of one VM" },
	{ "fairness", fairness, "an endless job leaves room for others" },
	{ "processes", processes, "eight processes" },
	{ "threads-one-vm", threads_one_vm, "eight threads, one VM, pages dealt out" },
	{ "threads-own-vm", threads_own_vm, "eight threads, a VM each, pages dealt out" },
	{ "threads-same-page", threads_same_page, "six threads at one page that is taken away" },
};

GSVM_MAIN(tests)
