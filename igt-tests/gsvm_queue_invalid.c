// SPDX-License-Identifier: MIT
/*
 * Queues and waits with every bad argument, one at a time: all others are
 * good, and each subtest shows that with the argument put right the call works.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

#define CALL(fd, NAME, args, err) \
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_##NAME, args, err, #NAME)

/* ---- QUEUE_CREATE ------------------------------------------------------------------ */

static struct drm_gsvm_queue_create good_queue(int fd)
{
	struct queue_memory *m = map_shared(sizeof(*m));

	return (struct drm_gsvm_queue_create){
		.vm_id = igt_gsvm_vm_create(fd, 0),
		.ring_packets = RING_PACKETS,
		.ring = U(m->ring),
		.read_index = U(&m->read_index),
	};
}

/* Where addresses end that a process and the GPU can both have. */
static uint64_t user_end(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool la57 = false;
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		la57 |= strstr(line, " la57 ") != NULL;
	if (f)
		fclose(f);
	return la57 ? GSVM_PRIVATE_BASE : (1ull << 47) - PAGE;
}

#define BAD_QUEUE(name, change, err)						\
	static void name(void)							\
	{									\
		int fd = gpu_open(0);						\
		struct drm_gsvm_queue_create good = good_queue(fd), args = good;	\
										\
		change;								\
		CALL(fd, QUEUE_CREATE, &args, err);				\
		gsvm_assert_eq(args.queue_id, 0, "handle after a refused call");	\
		CALL(fd, QUEUE_CREATE, &good, 0);				\
		close(fd);							\
	}

BAD_QUEUE(queue_flags, args.flags = 1, EINVAL)
BAD_QUEUE(queue_flags_high, args.flags = 1u << 31, EINVAL)
BAD_QUEUE(queue_format, args.format = 1, EINVAL)
BAD_QUEUE(queue_pad, args.pad = 1, EINVAL)
BAD_QUEUE(queue_vm_zero, args.vm_id = 0, ENOENT)
BAD_QUEUE(queue_vm_unknown, args.vm_id += 1, ENOENT)
BAD_QUEUE(queue_packets_zero, args.ring_packets = 0, EINVAL)
BAD_QUEUE(queue_packets_one, args.ring_packets = 1, EINVAL)
BAD_QUEUE(queue_packets_odd, args.ring_packets = 48, EINVAL)
BAD_QUEUE(queue_packets_many, args.ring_packets = 131072, EINVAL)
BAD_QUEUE(queue_packets_huge, args.ring_packets = 1u << 31, EINVAL)
BAD_QUEUE(queue_ring_null, args.ring = 0, EINVAL)
BAD_QUEUE(queue_ring_unaligned, args.ring += 32, EINVAL)
BAD_QUEUE(queue_ring_kernel, args.ring = 0xffff888000000000ull, EINVAL)
BAD_QUEUE(queue_ring_end, args.ring = 0x00007fffffffff80ull, EINVAL)
BAD_QUEUE(queue_ring_overflow, args.ring = 0xffffffffffffffc0ull, EINVAL)
BAD_QUEUE(queue_ring_tail, args.ring = user_end() - (RING_PACKETS - 1) * GSVM_PACKET_SIZE, EINVAL)
BAD_QUEUE(queue_index_null, args.read_index = 0, EINVAL)
BAD_QUEUE(queue_index_unaligned, args.read_index += 4, EINVAL)
BAD_QUEUE(queue_index_kernel, args.read_index = 0xffff888000000000ull, EINVAL)
BAD_QUEUE(queue_index_overflow, args.read_index = 0xfffffffffffffff8ull, EINVAL)
BAD_QUEUE(queue_index_end, args.read_index = user_end(), EINVAL)

/* The largest of all that is allowed; nothing has to be mapped there yet. */
static void queue_limits(void)
{
	int fd = gpu_open(0);
	struct drm_gsvm_queue_create args = good_queue(fd);

	args.ring_packets = 65536;
	args.ring = user_end() - 65536ull * GSVM_PACKET_SIZE;
	args.read_index = user_end() - 8;
	CALL(fd, QUEUE_CREATE, &args, 0);
	close(fd);
}

#define HOGS	16
#define STARTS	2

/* Keeps a processor busy until it is killed, or its parent dies. */
static struct child *make_hog(void)
{
	struct child *c = gsvm_fork();

	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	return c;
}

static void start_unmapped(void)
{
	const struct sched_param none = {};
	int i, fd = gpu_open(0);
	struct drm_gsvm_queue_create args = good_queue(fd);
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct drm_gsvm_queue_query r = {};

	args.ring = user_end() - RING_PACKETS * GSVM_PACKET_SIZE;
	args.read_index = user_end() - 8;
	gsvm_sys(sched_setscheduler(0, SCHED_IDLE, &none));
	for (i = 0; i < STARTS; i++) {
		args.queue_id = 0;
		CALL(fd, QUEUE_CREATE, &args, 0);
		while (r.state != DRM_GSVM_QUEUE_DEAD) {
			igt_gsvm_queue_query(fd, args.queue_id, &r, 0);
			gsvm_assert(gsvm_deadline(0) < end, "the queue lives on\n");
			gsvm_pace();
		}
		gsvm_assert_eq(r.error, DRM_GSVM_ERROR_FAULT, "error");
		gsvm_assert_eq(r.reason, DRM_GSVM_REASON_NOT_MAPPED, "reason");
		igt_gsvm_queue_destroy(fd, args.queue_id, 0);
		r.state = 0;
	}
	close(fd);
}

/*
 * A queue whose indices are nowhere is started, and dies of that. Who starts it
 * gets a processor only when nobody else wants one, and so learns of the start
 * when the queue is dead.
 */
static void queue_dies_at_once(void)
{
	unsigned int i, n = sysconf(_SC_NPROCESSORS_ONLN);
	struct child *hogs[HOGS], *c;

	if (n > HOGS)
		n = HOGS;
	c = gsvm_fork();
	if (!c->pid) {
		start_unmapped();
		gsvm_exit();
	}
	for (i = 0; i < n; i++)
		hogs[i] = make_hog();
	gsvm_join(c);
	for (i = 0; i < n; i++)
		gsvm_kill(hogs[i]);
}

/* ---- QUEUE_DESTROY, QUEUE_QUERY ------------------------------------------------------ */

static void queue_destroy_pad(void)
{
	struct queue *q = queue_open();
	struct drm_gsvm_queue_destroy args = { .queue_id = q->id, .pad = 1 };

	CALL(q->fd, QUEUE_DESTROY, &args, EINVAL);
	gsvm_assert_eq(gpu_read(q, &(uint64_t){ 4 }), 4, "queue that was not destroyed");
	queue_close(q);
}

static void queue_destroy_unknown(void)
{
	struct queue *q = queue_open();

	igt_gsvm_queue_destroy(q->fd, 0, ENOENT);
	igt_gsvm_queue_destroy(q->fd, q->id + 1, ENOENT);
	igt_gsvm_queue_destroy(q->fd, ~0u, ENOENT);
	gsvm_assert_eq(gpu_read(q, &(uint64_t){ 4 }), 4, "queue that was not destroyed");
	queue_close(q);
}

static void queue_other_file(void)
{
	struct queue *q = queue_open();
	struct drm_gsvm_queue_query r;
	int other = gpu_open(0);

	igt_gsvm_queue_destroy(other, q->id, ENOENT);
	igt_gsvm_queue_query(other, q->id, &r, ENOENT);
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	close(other);
	queue_close(q);
}

static void queue_query_flags(void)
{
	struct queue *q = queue_open();
	struct drm_gsvm_queue_query args = { .queue_id = q->id, .flags = 2 };

	CALL(q->fd, QUEUE_QUERY, &args, EINVAL);
	args.flags = 0;
	CALL(q->fd, QUEUE_QUERY, &args, 0);
	gsvm_assert(args.state == DRM_GSVM_QUEUE_RUNNING && !args.error && !args.reason &&
		    !args.addr && !args.pc, "the record of a healthy queue is not empty\n");
	queue_close(q);
}

static void queue_query_unknown(void)
{
	struct drm_gsvm_queue_query r;
	struct queue *q = queue_open();

	igt_gsvm_queue_query(q->fd, 0, &r, ENOENT);
	igt_gsvm_queue_query(q->fd, q->id + 1, &r, ENOENT);
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	queue_close(q);
}

/* ---- WAIT ----------------------------------------------------------------------------- */

static struct drm_gsvm_wait good_wait(struct queue *q)
{
	struct gsvm_signal *s = map_shared(PAGE);

	return (struct drm_gsvm_wait){
		.vm_id = q->vm, .addr = U(s), .op = DRM_GSVM_WAIT_EQ, .queue_id = q->id,
	};
}

#define BAD_WAIT(name, change, err)						\
	static void name(void)							\
	{									\
		struct queue *q = queue_open();					\
		struct drm_gsvm_wait good = good_wait(q), args = good;		\
										\
		change;								\
		CALL(q->fd, WAIT, &args, err);					\
		CALL(q->fd, WAIT, &good, 0);					\
		queue_close(q);							\
	}

BAD_WAIT(wait_flags, args.flags = 1, EINVAL)
BAD_WAIT(wait_op, args.op = DRM_GSVM_WAIT_GE + 1, EINVAL)
BAD_WAIT(wait_unaligned, args.addr += 8, EINVAL)
BAD_WAIT(wait_vm_unknown, args.vm_id += 1, ENOENT)
BAD_WAIT(wait_vm_zero, args.vm_id = 0, ENOENT)
BAD_WAIT(wait_queue_unknown, args.queue_id += 1, ENOENT)
BAD_WAIT(wait_null, args.addr = 0, EFAULT)
BAD_WAIT(wait_kernel_address, args.addr = 0xffff888000000000ull, EFAULT)
BAD_WAIT(wait_not_mapped, munmap((void *)(uintptr_t)(args.addr = U(map_shared(PAGE))), PAGE),
	 EFAULT)
BAD_WAIT(wait_queue_of_other_vm,
	 args.queue_id = queue_open_vm(q->fd, igt_gsvm_vm_create(q->fd, 0))->id, EINVAL)

static void wait_read_only(void)
{
	struct queue *q = queue_open();
	struct drm_gsvm_wait args = good_wait(q);

	gsvm_sys(mprotect((void *)(uintptr_t)args.addr, PAGE, PROT_READ));
	args.op = DRM_GSVM_WAIT_NE;
	CALL(q->fd, WAIT, &args, EFAULT);
	gsvm_sys(mprotect((void *)(uintptr_t)args.addr, PAGE, PROT_READ | PROT_WRITE));
	CALL(q->fd, WAIT, &args, ETIME);
	queue_close(q);
}

/* ---- doorbells, other processes --------------------------------------------------- */

static void mmap_offset(void)
{
	struct queue *q = queue_open();
	void *p;

	p = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, q->fd, 1ull << 44);
	gsvm_assert(p == MAP_FAILED && errno == EINVAL, "mmap of a wild offset: %p, %s\n", p,
		    strerror(errno));
	queue_close(q);
}

static uint64_t doorbell_offset(struct queue *q)
{
	struct drm_gsvm_queue_create args = good_queue(q->fd);

	args.vm_id = q->vm;
	CALL(q->fd, QUEUE_CREATE, &args, 0);
	return args.doorbell_mmap;
}

static void mmap_size(void)
{
	struct queue *q = queue_open();
	void *p = mmap(NULL, 2 * PAGE, PROT_WRITE, MAP_SHARED, q->fd, doorbell_offset(q));

	gsvm_assert(p == MAP_FAILED && errno == EINVAL, "mmap of two pages: %p, %s\n", p,
		    strerror(errno));
	queue_close(q);
}

static void mmap_private(void)
{
	struct queue *q = queue_open();
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, q->fd, doorbell_offset(q));

	gsvm_assert(p == MAP_FAILED && errno == EINVAL, "private mmap: %p, %s\n", p,
		    strerror(errno));
	queue_close(q);
}

static void mmap_exec(void)
{
	struct queue *q = queue_open();
	void *p = mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_SHARED, q->fd, doorbell_offset(q));

	gsvm_assert(p == MAP_FAILED && errno == EINVAL, "mmap with PROT_EXEC: %p, %s\n", p,
		    strerror(errno));
	gsvm_assert(mprotect(q->doorbell_page, PAGE, PROT_WRITE | PROT_EXEC) == -1 &&
		    errno == EACCES, "mprotect with PROT_EXEC: %s\n", strerror(errno));
	queue_close(q);
}

/* A handle of another file, or of none: the doorbells belong to a VM. */
static void mmap_unknown(void)
{
	struct queue *q = queue_open();
	uint64_t offset = doorbell_offset(q);
	void *p = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, q->fd, offset + 1000 * PAGE);

	gsvm_assert(p == MAP_FAILED && errno == ENOENT, "mmap for an unknown VM: %p, %s\n", p,
		    strerror(errno));
	p = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, q->fd, offset + (1ull << 44));
	gsvm_assert(p == MAP_FAILED && errno == EINVAL, "mmap beyond all handles: %p, %s\n", p,
		    strerror(errno));
	queue_close(q);
}

/* Another process's memory has no business in this VM. */
static void other_process(void)
{
	struct queue *q = queue_open();
	struct drm_gsvm_queue_create create = good_queue(q->fd);
	struct drm_gsvm_wait wait = good_wait(q);
	uint64_t doorbells = doorbell_offset(q);
	struct child *c;

	create.vm_id = q->vm;
	c = gsvm_fork();
	if (!c->pid) {
		struct drm_gsvm_queue_query r;
		struct drm_gsvm_vm_query s;
		void *p;

		igt_gsvm_vm_query(q->fd, q->vm, &s, EPERM);
		igt_gsvm_queue_query(q->fd, q->id, &r, EPERM);
		CALL(q->fd, QUEUE_CREATE, &create, EPERM);
		CALL(q->fd, WAIT, &wait, EPERM);
		p = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, q->fd, doorbells);
		gsvm_assert(p == MAP_FAILED && errno == EPERM,
			    "mmap of another process's doorbells: %p, %s\n", p, strerror(errno));
		/* Its own VM on the same file is all right, and so is destroying. */
		igt_gsvm_vm_create(q->fd, 0);
		igt_gsvm_queue_destroy(q->fd, q->id, 0);
		gsvm_exit();
	}
	gsvm_join(c);
	igt_gsvm_queue_destroy(q->fd, q->id, ENOENT);
	gsvm_assert_eq(gpu_read(queue_open_vm(q->fd, q->vm), &(uint64_t){ 9 }), 9,
		       "VM after another process's calls");
}

#define T(name, function, text)	{ name, function, text }

static const struct gsvm_subtest tests[] = {
	T("queue-flags", queue_flags, "QUEUE_CREATE: lowest flag"),
	T("queue-flags-high", queue_flags_high, "QUEUE_CREATE: highest flag"),
	T("queue-format", queue_format, "QUEUE_CREATE: unknown format"),
	T("queue-pad", queue_pad, "QUEUE_CREATE: padding"),
	T("queue-vm-zero", queue_vm_zero, "QUEUE_CREATE: VM 0"),
	T("queue-vm-unknown", queue_vm_unknown, "QUEUE_CREATE: unknown VM"),
	T("queue-packets-zero", queue_packets_zero, "QUEUE_CREATE: no packets"),
	T("queue-packets-one", queue_packets_one, "QUEUE_CREATE: one packet"),
	T("queue-packets-odd", queue_packets_odd, "QUEUE_CREATE: not a power of two"),
	T("queue-packets-many", queue_packets_many, "QUEUE_CREATE: too many packets"),
	T("queue-packets-huge", queue_packets_huge, "QUEUE_CREATE: 2^31 packets"),
	T("queue-ring-null", queue_ring_null, "QUEUE_CREATE: ring at 0"),
	T("queue-ring-unaligned", queue_ring_unaligned, "QUEUE_CREATE: ring not aligned"),
	T("queue-ring-kernel", queue_ring_kernel, "QUEUE_CREATE: ring in kernel addresses"),
	T("queue-ring-end", queue_ring_end, "QUEUE_CREATE: ring that ends too high"),
	T("queue-ring-overflow", queue_ring_overflow, "QUEUE_CREATE: ring past 2^64"),
	T("queue-ring-tail", queue_ring_tail, "QUEUE_CREATE: ring whose last packet is too high"),
	T("queue-index-null", queue_index_null, "QUEUE_CREATE: read index at 0"),
	T("queue-index-unaligned", queue_index_unaligned, "QUEUE_CREATE: index not aligned"),
	T("queue-index-kernel", queue_index_kernel, "QUEUE_CREATE: index in kernel addresses"),
	T("queue-index-overflow", queue_index_overflow, "QUEUE_CREATE: index at the very end"),
	T("queue-index-end", queue_index_end, "QUEUE_CREATE: index right behind the end"),
	T("queue-limits", queue_limits, "QUEUE_CREATE: the largest ring, as high as possible"),
	T("queue-dies-at-once", queue_dies_at_once, "QUEUE_CREATE: dead before the call is back"),
	T("queue-destroy-pad", queue_destroy_pad, "QUEUE_DESTROY: padding"),
	T("queue-destroy-unknown", queue_destroy_unknown, "QUEUE_DESTROY: unknown handles"),
	T("queue-other-file", queue_other_file, "queue handles belong to their file"),
	T("queue-query-flags", queue_query_flags, "QUEUE_QUERY: flags"),
	T("queue-query-unknown", queue_query_unknown, "QUEUE_QUERY: unknown handles"),
	T("wait-flags", wait_flags, "WAIT: flags"),
	T("wait-op", wait_op, "WAIT: unknown condition"),
	T("wait-unaligned", wait_unaligned, "WAIT: signal not aligned"),
	T("wait-vm-unknown", wait_vm_unknown, "WAIT: unknown VM"),
	T("wait-vm-zero", wait_vm_zero, "WAIT: VM 0"),
	T("wait-queue-unknown", wait_queue_unknown, "WAIT: unknown queue"),
	T("wait-queue-of-other-vm", wait_queue_of_other_vm, "WAIT: another VM's queue"),
	T("wait-null", wait_null, "WAIT: signal at 0"),
	T("wait-kernel-address", wait_kernel_address, "WAIT: signal in kernel addresses"),
	T("wait-not-mapped", wait_not_mapped, "WAIT: signal where nothing is mapped"),
	T("wait-read-only", wait_read_only, "WAIT: signal that cannot be written"),
	T("mmap-offset", mmap_offset, "mmap at an offset nobody handed out"),
	T("mmap-size", mmap_size, "mmap of more than the doorbell page"),
	T("mmap-private", mmap_private, "private mmap of the doorbells"),
	T("mmap-exec", mmap_exec, "executable mmap of the doorbells"),
	T("mmap-unknown", mmap_unknown, "doorbells of a VM that does not exist"),
	T("other-process", other_process, "VM and queue from a child: EPERM"),
};

GSVM_MAIN(tests)
