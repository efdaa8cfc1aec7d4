// SPDX-License-Identifier: MIT
/*
 * The GPU dies with memory in its VRAM. What can still be read is saved, the
 * machine lives on, and a new GPU in its place starts afresh.
 *
 * "declared" has the driver declare the death, through debugfs; it needs no
 * help. "killed" asks the host to kill the GPU, which gsvm-vm --gpu-may-die
 * does. "lost" takes the BARs away besides, as when a card has gone from its slot:
 * what was in VRAM is lost, and nobody may go on without knowing. The kernel logs
 * all this, which is not to be held against it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/klog.h>
#include <sys/wait.h>

#include "gsvm_device.h"
#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	(4 * MIB)

/* Memory of this process and of a child, small and huge, and a job under way. */
struct scene {
	struct queue *q;
	struct ctl *ctl;
	char *small, *huge, *words;
	struct gsvm_signal *job;
	struct child *child;
};

static struct scene prepare(void)
{
	struct scene s = { .ctl = map_shared(PAGE) };

	s.child = gsvm_fork();
	s.q = queue_open();
	s.small = map_in_vram(s.q, SIZE, 1);
	s.huge = map_thp_in_vram(s.q, SIZE, 2);
	if (!s.child->pid) {
		gsvm_tell(s.child);
		gsvm_hear(s.child);
		cpu_verify(s.small, SIZE, 1, WHOLE, "another process's memory");
		cpu_verify(s.huge, SIZE, 2, WHOLE, "another process's huge pages");
		gsvm_exit();
	}
	gsvm_hear(s.child);
	s.words = map_block(HUGE);
	s.job = gpu_launch(s.q, "sweep", CTL_ITEMS, U(s.ctl), U(s.words), CTL_ITEMS, CTL_ITEMS, 0);
	gsvm_await(&s.ctl->rounds[0], 10, "the job's rounds");
	return s;
}

/* Nothing is lost, and whoever waits is told. */
static void aftermath(struct scene *s)
{
	struct drm_gsvm_wait wait = {
		.vm_id = s->q->vm, .addr = U(s->job), .op = DRM_GSVM_WAIT_EQ,
		.timeout_ns = gsvm_deadline(gsvm_patience_ms()), .queue_id = s->q->id,
	};
	struct drm_gsvm_prefetch pre = {
		.vm_id = s->q->vm, .start = U(s->small), .length = SIZE,
		.region = DRM_GSVM_REGION_VRAM,
	};
	int ret = gsvm_ioctl(s->q->fd, DRM_IOCTL_GSVM_WAIT, &wait);
	size_t i;

	gsvm_assert(ret == EIO || ret == ENODEV, "the waiter got %s\n", strerror(ret));
	ret = gsvm_ioctl(s->q->fd, DRM_IOCTL_GSVM_PREFETCH, &pre);
	gsvm_assert(ret == EIO || ret == ENODEV, "PREFETCH gave %s\n", strerror(ret));
	cpu_verify(s->small, SIZE, 1, WHOLE, "small pages of a dead GPU");
	cpu_verify(s->huge, SIZE, 2, WHOLE, "huge pages of a dead GPU");
	for (i = 0; i < CTL_ITEMS; i++) {
		uint64_t word = gsvm_peek((void *)(s->words + i * PAGE));
		uint64_t rounds = gsvm_peek(&s->ctl->rounds[i]);

		gsvm_assert(word == rounds || word == rounds + 1, "word %zu: %llu of %llu rounds\n",
			    i, (unsigned long long)word, (unsigned long long)rounds);
	}
	gsvm_tell(s->child);
	gsvm_join(s->child);
	/* Memory is memory: written, shared, freed. */
	cpu_fill(s->small, SIZE, 3, WHOLE);
	cpu_verify(s->small, SIZE, 3, WHOLE, "written afterwards");
	gsvm_sys(munmap(s->huge, SIZE));
}

static void declared(void)
{
	struct scene s = prepare();
	struct device d = device_of(s.q->fd);
	struct queue *fresh;

	igt_emit_ignore_dmesg_regex("device is wedged: debugfs");
	device_wedge(&d);
	aftermath(&s);
	/* Bound anew, it is a GPU again. */
	device_unbind(&d);
	cpu_verify(s.small, SIZE, 3, WHOLE, "after unbind");
	device_bind(&d);
	fresh = queue_open();
	gpu_verify(fresh, s.small, SIZE, 3, WHOLE, "by the new GPU");
	to_vram(fresh, s.small, SIZE);
	cpu_verify(s.small, SIZE, 3, WHOLE, "back from the new GPU");
	queue_close(fresh);
}

/* The host kills the GPU, as a GPU dies that is pulled out. */
static void killed(void)
{
	struct device d;
	struct scene s;

	device_kill_needed();
	igt_emit_ignore_dmesg_regex("device is wedged: ");
	s = prepare();
	d = device_of(s.q->fd);
	device_kill_first();
	aftermath(&s);
	device_unbind(&d);
	cpu_verify(s.small, SIZE, 3, WHOLE, "after unbind");
}

/* ---- VRAM that does not read any more --------------------------------------- */

#define FEW		(64 * PAGE)

static sigjmp_buf on_sigbus;
static siginfo_t sigbus;

static void caught(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	sigbus = *info;
	siglongjmp(on_sigbus, 1);
}

/* An access ends in SIGBUS, as to memory that is broken. */
static void expect_lost(char *p, bool write, const char *what)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO }, old;
	volatile bool survived = false;

	gsvm_sys(sigaction(SIGBUS, &action, &old));
	if (!sigsetjmp(on_sigbus, 1)) {
		if (write)
			*(volatile char *)p = 1;
		else
			(void)*(volatile char *)p;
		survived = true;
	}
	gsvm_sys(sigaction(SIGBUS, &old, NULL));
	gsvm_assert(!survived, "%s: %p can be %s\n", what, (void *)p, write ? "written" : "read");
	gsvm_assert(sigbus.si_code == BUS_MCEERR_AR && U(sigbus.si_addr) / PAGE == U(p) / PAGE,
		    "%s: SIGBUS at %p has code %d and address %p\n", what, (void *)p,
		    sigbus.si_code, sigbus.si_addr);
}

static void expect_all_lost(char *small, char *huge, const char *what)
{
	size_t at;

	for (at = 0; at < FEW; at += 7 * PAGE)
		expect_lost(small + at, at & PAGE, what);
	for (at = 0; at < HUGE; at += 73 * PAGE)
		expect_lost(huge + at, at & PAGE, what);
}

/* How many pages the kernel's log says are lost, in how many lines, since @mark. */
static long reported(const char *mark, unsigned int *lines)
{
	const int size = 4 << 20;
	char *text = calloc(1, size), *at;
	long pages = 0;

	gsvm_assert(text && klogctl(3, text, size - 1) > 0, "the kernel's log: %s\n",
		    strerror(errno));
	at = strstr(text, mark);
	gsvm_assert(at, "the kernel's log has lost the mark\n");
	for (*lines = 0; (at = strstr(at, "VRAM cannot be read any more: ")); at++, ++*lines)
		pages += atol(at + strlen("VRAM cannot be read any more: "));
	free(text);
	return pages;
}

static void lost(void)
{
	struct child *c = gsvm_fork();
	struct queue *q = queue_open(), *fresh;
	struct device d = device_of(q->fd);
	char *small = map_in_vram(q, FEW, 1), *huge = map_thp_in_vram(q, HUGE, 2);
	char *untouched = map_block(HUGE), mark[64];
	unsigned int lines;
	long pages;
	int status;

	if (!c->pid) {
		signal(SIGBUS, SIG_DFL);
		gsvm_tell(c);
		gsvm_hear(c);
		cpu_verify(small, FEW, 1, WHOLE, "another process's memory");
		gsvm_exit();
	}
	gsvm_hear(c);
	igt_emit_ignore_dmesg_regex("device is wedged: debugfs|VRAM cannot be read|"
				    "Memory failure: |MCE: Killing|gsvm-test: ");
	cpu_fill(untouched, HUGE, 3, WHOLE);
	snprintf(mark, sizeof(mark), "gsvm-test: lost, %d", getpid());
	gsvm_assert(write_text("/dev/kmsg", mark), "/dev/kmsg: %s\n", strerror(errno));
	device_wedge(&d);
	device_bars_off(&d);
	expect_all_lost(small, huge, "VRAM that does not read");
	cpu_verify(untouched, HUGE, 3, WHOLE, "system memory");
	gsvm_tell(c);
	status = gsvm_reap(c);
	gsvm_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
		    "another process ended with status %#x, not by SIGBUS\n", status);
	device_unbind(&d);
	expect_all_lost(small, huge, "after unbind");
	cpu_verify(untouched, HUGE, 3, WHOLE, "system memory");
	pages = reported(mark, &lines);
	gsvm_assert(lines == 1 && pages >= (long)((FEW + HUGE) / PAGE),
		    "%u lines in the log tell of %ld lost pages\n", lines, pages);
	/* The places are broken, the addresses are not. */
	gsvm_sys(munmap(small, FEW));
	gsvm_sys(munmap(huge, HUGE));
	device_bind(&d);
	fresh = queue_open();
	small = map_in_vram(fresh, FEW, 4);
	gpu_verify(fresh, small, FEW, 4, WHOLE, "in the new GPU's VRAM");
	gpu_verify(fresh, untouched, HUGE, 3, WHOLE, "by the new GPU");
	queue_close(fresh);
}

static const struct gsvm_subtest tests[] = {
	{ "declared", declared, "the driver is told that the GPU is dead" },
	{ "lost", lost, "VRAM does not read any more" },
	{ "killed", killed, "the GPU is killed" },
};

GSVM_MAIN(tests)
