// SPDX-License-Identifier: MIT
/*
 * Processes end, run something else or are killed, and drivers are unbound,
 * all with work under way: the GPU lets go at once, everybody else goes on.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "gsvm_device.h"
#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "gsvm_waiter.h"
#include "shared.h"

#define ITEMS	32

/*
 * A child whose GPU counts in memory that the parent sees. The child tells
 * when the job runs; then it does @end.
 */
static struct child *busy_child(uint64_t *words, void (*end)(struct child *))
{
	struct ctl *ctl = map_shared(PAGE);
	struct child *c = gsvm_fork();

	if (!c->pid) {
		struct queue *q = queue_open();
		int i;

		gpu_launch(q, "count", ITEMS, U(ctl), U(words), 8);
		for (i = 0; i < ITEMS; i++)
			gsvm_await(&ctl->rounds[i], 2, "a counting work-item");
		gsvm_tell(c);
		gsvm_hear(c);
		end(c);
		gsvm_exit();
	}
	gsvm_hear(c);
	return c;
}

/* The dead process's GPU work writes nothing more, and a new one can start. */
static void check_quiet(const uint64_t *words)
{
	struct queue *q = queue_open();
	uint64_t value[ITEMS];
	int i, round;

	for (i = 0; i < ITEMS; i++)
		value[i] = gsvm_peek(&words[i]);
	for (round = 0; round < 20; round++)
		gsvm_assert_eq(gpu_read(q, words), value[0], "word 0, read by another GPU job");
	for (i = 0; i < ITEMS; i++)
		gsvm_assert_eq(gsvm_peek(&words[i]), value[i], "word of a process that is gone");
	queue_close(q);
}

static void end_exit(struct child *c)
{
	(void)c;
}

static void exit_running(void)
{
	uint64_t *words = map_shared(PAGE);
	struct child *c = busy_child(words, end_exit);

	gsvm_tell(c);
	gsvm_join(c);
	check_quiet(words);
}

static void kill_running(void)
{
	uint64_t *words = map_shared(PAGE);
	int i;

	for (i = 0; i < 5; i++) {
		struct child *c = busy_child(words, end_exit);

		gsvm_kill(c);
		check_quiet(words);
	}
}

static void end_exec(struct child *c)
{
	char fd[16], *argv[] = { "sh", "-c", "echo ! >&$0; read x", fd, NULL };

	/* The files of the GPU are O_CLOEXEC, this pipe end too: not for sh. */
	snprintf(fd, sizeof(fd), "%d", c->to_parent[1]);
	fcntl(c->to_parent[1], F_SETFD, 0);
	dup2(c->to_child[0], 0);
	execv("/bin/sh", argv);
}

static void exec_running(void)
{
	uint64_t *words = map_shared(PAGE);
	struct child *c = busy_child(words, end_exec);

	gsvm_tell(c);
	gsvm_hear(c);
	/* The new program runs, in the same process. */
	check_quiet(words);
	gsvm_kill(c);
}

/* The parent holds the file on which a child, now dead, made its VM. */
static void memory_gone_file_stays(void)
{
	uint64_t *words = map_shared(PAGE), *handle = map_shared(PAGE);
	struct ctl *ctl = map_shared(PAGE);
	struct drm_gsvm_queue_query r;
	int fd = gpu_open(0);
	struct child *c = gsvm_fork();

	if (!c->pid) {
		struct queue *q = queue_open_vm(fd, igt_gsvm_vm_create(fd, 0));

		handle[0] = q->vm;
		handle[1] = q->id;
		gpu_launch(q, "count", ITEMS, U(ctl), U(words), 8);
		gsvm_await(&ctl->rounds[ITEMS - 1], 2, "a counting work-item");
		gsvm_tell(c);
		gsvm_hear(c);
		gsvm_exit();
	}
	gsvm_hear(c);
	gsvm_kill(c);
	check_quiet(words);
	igt_gsvm_queue_query(fd, handle[1], &r, EPERM);
	igt_gsvm_queue_destroy(fd, handle[1], 0);
	igt_gsvm_vm_destroy(fd, handle[0], 0);
	gsvm_assert_eq(gpu_read(queue_open_vm(fd, igt_gsvm_vm_create(fd, 0)), &(uint64_t){ 6 }),
		       6, "new VM on the same file");
	close(fd);
}

/* Killed with thousands of faults under way. */
static void kill_faulting(void)
{
	uint64_t *go = map_shared(PAGE);
	size_t n = 8192;
	int i;

	for (i = 0; i < 3; i++) {
		struct child *c;

		gsvm_poke(go, 0);
		c = gsvm_fork();
		if (!c->pid) {
			char *p = map_anon(n * PAGE);
			struct queue *q = queue_open();

			gpu_launch(q, "store", n, U(p), PAGE, 1, 1);
			/* The first pages have come. */
			gsvm_await((uint64_t *)p, 1, "the first store");
			gsvm_poke(go, 1);
			gsvm_hear(c);
			gsvm_exit();
		}
		gsvm_await(go, 1, "the child's faults");
		gsvm_kill(c);
		check_quiet(go);
	}
}

/* Killed in the middle of WAIT. */
static void kill_waiting(void)
{
	uint64_t *words = map_shared(PAGE);
	struct ctl *ctl = map_shared(PAGE);
	struct child *c = gsvm_fork();

	if (!c->pid) {
		struct queue *q = queue_open();
		struct gsvm_signal *job = gpu_launch(q, "count", ITEMS, U(ctl), U(words), 8);

		gsvm_await(&ctl->rounds[0], 2, "a counting work-item");
		gsvm_tell(c);
		gpu_wait(q, job);
		gsvm_exit();
	}
	gsvm_hear(c);
	gsvm_kill(c);
	check_quiet(words);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* A signal handler runs in the middle of WAIT, which then goes on. */
static void signal_during_wait(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	uint64_t *out = map_shared(PAGE);
	struct gsvm_signal *job = gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
	struct child *c;
	int i;

	sigaction(SIGUSR1, &action, NULL);
	c = gsvm_fork();
	if (!c->pid) {
		for (i = 0; i < 50; i++) {
			kill(getppid(), SIGUSR1);
			gsvm_await(&ctl->rounds[0], 1, "the job's start");
		}
		gsvm_poke(&ctl->stop, 1);
		gsvm_exit();
	}
	gpu_wait(q, job);
	gsvm_join(c);
	gsvm_assert_eq(*out, 1, "word of the job");
	queue_close(q);
}

static void gone(struct queue *q)
{
	struct drm_gsvm_queue_create create = {
		.vm_id = q->vm, .ring_packets = RING_PACKETS, .ring = U(q->share->ring),
		.read_index = U(&q->share->read_index),
	};
	struct drm_gsvm_queue_query r;
	struct drm_gsvm_vm_query s;

	igt_gsvm_query(q->fd, DRM_GSVM_PARAM_VA_BITS, ENODEV);
	igt_gsvm_vm_create(q->fd, ENODEV);
	igt_gsvm_vm_query(q->fd, q->vm, &s, ENODEV);
	igt_gsvm_vm_destroy(q->fd, q->vm, ENODEV);
	igt_gsvm_queue_create(q->fd, &create, ENODEV);
	igt_gsvm_queue_query(q->fd, q->id, &r, ENODEV);
	igt_gsvm_queue_destroy(q->fd, q->id, ENODEV);
}

/*
 * Unbound with a job, a sleeper and a mapped doorbell; bound again, it works,
 * while the old file is still open.
 */
static void unbind_running(void)
{
	int round, i;

	for (round = 0; round < 3; round++) {
		struct queue *q = queue_open(), *fresh;
		struct ctl *ctl = map_shared(PAGE);
		uint64_t *words = map_anon(PAGE), value[ITEMS];
		struct device d = device_of(q->fd);
		struct waiter w = { .q = q, .queue_id = q->id };

		w.signal = gpu_launch(q, "count", ITEMS, U(ctl), U(words), 8);
		gsvm_await(&ctl->rounds[ITEMS - 1], 2, "a counting work-item");
		waiter_start(&w);
		device_unbind(&d);
		for (i = 0; i < ITEMS; i++)
			value[i] = gsvm_peek(&words[i]);
		waiter_end(&w);
		gsvm_assert(w.ret == ENODEV, "the sleeper got %s\n", strerror(w.ret));
		gone(q);
		/* Writes to the doorbell go nowhere, and raise no signal. */
		*q->doorbell = 1000;
		device_bind(&d);
		fresh = queue_open();
		for (i = 0; i < ITEMS; i++)
			gsvm_assert_eq(gpu_read(fresh, &words[i]), value[i],
				       "word after the device had gone");
		gone(q);
		*q->doorbell = 1001;
		queue_close(fresh);
		gpu_close_all();
	}
}

static void unbind_faulting(void)
{
	struct queue *q = queue_open();
	size_t n = 8192;
	struct device d = device_of(q->fd);
	char *p = map_anon(n * PAGE);

	gpu_launch(q, "store", n, U(p), PAGE, 1, 1);
	gsvm_await((uint64_t *)p, 1, "the first store");
	device_unbind(&d);
	gone(q);
	gsvm_sys(munmap(p, n * PAGE));
	device_bind(&d);
	gsvm_assert_eq(gpu_read(queue_open(), &(uint64_t){ 8 }), 8, "after binding again");
}

/* The device is given up under a job and two sleepers; bound again, it works. */
static void wedged(void)
{
	struct queue *q = queue_open(), *second = queue_open_vm(q->fd, q->vm);
	struct device d = device_of(q->fd);
	struct ctl *ctl = map_shared(PAGE);
	uint64_t *words = map_anon(PAGE), value[ITEMS];
	struct gsvm_signal *never = map_shared(PAGE);
	struct waiter w[3] = {
		{ .q = q, .queue_id = q->id },
		{ .q = second, .signal = never, .queue_id = second->id },
		{ .q = second, .signal = never },
	};
	struct drm_gsvm_queue_query r;
	int i;

	igt_emit_ignore_dmesg_regex("device is wedged: debugfs");
	never->value = 1;
	w[0].signal = gpu_launch(q, "count", ITEMS, U(ctl), U(words), 8);
	gsvm_await(&ctl->rounds[ITEMS - 1], 2, "a counting work-item");
	for (i = 0; i < 3; i++)
		waiter_start(&w[i]);
	device_wedge(&d);
	for (i = 0; i < ITEMS; i++)
		value[i] = gsvm_peek(&words[i]);
	for (i = 0; i < 3; i++) {
		waiter_end(&w[i]);
		gsvm_assert(w[i].ret == EIO, "sleeper %d got %s\n", i, strerror(w[i].ret));
	}
	igt_gsvm_vm_create(q->fd, EIO);
	/* Changes of memory have nobody to wait for. */
	gsvm_sys(mprotect(words, PAGE, PROT_READ));
	for (i = 0; i < ITEMS; i++)
		gsvm_assert_eq(gsvm_peek(&words[i]), value[i], "word after the device's end");
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.state == DRM_GSVM_QUEUE_DEAD && r.error == DRM_GSVM_ERROR_DEVICE,
		    "queue of a wedged device: state %u, error %u\n", r.state, r.error);
	gpu_close_all();
	device_unbind(&d);
	device_bind(&d);
	gsvm_assert_eq(gpu_read(queue_open(), &(uint64_t){ 8 }), 8, "after binding again");
}

static const struct gsvm_subtest tests[] = {
	{ "exit", exit_running, "exit with running work" },
	{ "kill", kill_running, "kill -9 with running work" },
	{ "exec", exec_running, "exec with running work" },
	{ "memory-gone-file-stays", memory_gone_file_stays,
	  "the process that made the VM is dead, another holds the file" },
	{ "kill-faulting", kill_faulting, "kill -9 with thousands of faults under way" },
	{ "kill-waiting", kill_waiting, "kill -9 in the middle of WAIT" },
	{ "signal-during-wait", signal_during_wait, "signals in the middle of WAIT" },
	{ "unbind", unbind_running, "unbind and bind with a job, a sleeper and a doorbell" },
	{ "wedged", wedged, "the device is given up under a job and sleepers" },
	{ "unbind-faulting", unbind_faulting, "unbind with thousands of faults under way" },
};

GSVM_MAIN(tests)
