/* SPDX-License-Identifier: MIT */
/*
 * The tests' own tools: ioctl wrappers that take the expected errno, one GPU
 * with a VM and a queue, and assertions that work in children and threads too.
 */
#ifndef GSVM_IGT_H
#define GSVM_IGT_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/gsvm_drm.h>
#include "gsvm_hw.h"
#include "igt.h"

/**
 * struct gsvm_subtest - one line of a test's table
 * @name: hyphenated
 * @run: leaves by returning (passed), gsvm_assert() or gsvm_require()
 * @describe: what must hold
 */
struct gsvm_subtest {
	const char *name;
	void (*run)(void);
	const char *describe;
};

/* Run a table; what a subtest left open (GPUs, children) is ended after it. */
int gsvm_run_subtests(int argc, char **argv, const struct gsvm_subtest *tests, size_t n);

#define GSVM_MAIN(tests)							\
	int main(int argc, char **argv)						\
	{									\
		return gsvm_run_subtests(argc, argv, tests,			\
					 sizeof(tests) / sizeof((tests)[0]));	\
	}

/*
 * In the main thread of the test: fails the subtest. In a child of
 * gsvm_fork(): the child ends and its gsvm_join() fails with the message. In a
 * thread of gsvm_thread(): likewise.
 */
void gsvm_fail(const char *file, int line, const char *func, const char *expr,
	       const char *fmt, ...) __attribute__((noreturn, format(printf, 5, 6)));

#define gsvm_assert(cond, ...)							\
	do {									\
		if (!(cond))							\
			gsvm_fail(__FILE__, __LINE__, __func__, #cond, __VA_ARGS__); \
	} while (0)

#define gsvm_assert_eq(a, b, what)						\
	do {									\
		uint64_t gsvm_a = (uint64_t)(a), gsvm_b = (uint64_t)(b);	\
		gsvm_assert(gsvm_a == gsvm_b, "%s: %#llx, expected %#llx\n", what, \
			    (unsigned long long)gsvm_a, (unsigned long long)gsvm_b); \
	} while (0)

#define gsvm_skip(...)								\
	__igt_skip_check(__FILE__, __LINE__, __func__, "available", __VA_ARGS__)

#define gsvm_require(cond, ...)							\
	do {									\
		if (!(cond))							\
			__igt_skip_check(__FILE__, __LINE__, __func__, #cond, __VA_ARGS__); \
	} while (0)

/* A system call or the like that returns -1 and sets errno. */
#define gsvm_sys(call)								\
	({									\
		long gsvm_ret = (long)(call);					\
		gsvm_assert(gsvm_ret != -1, "%s: %s\n", #call, strerror(errno)); \
		gsvm_ret;							\
	})

/* ---- the ioctls; err is the errno that must come, 0: success ---------------- */

int gsvm_ioctl(int fd, unsigned long request, void *arg);	/* 0 or an errno */
void gsvm_ioctl_check(int fd, unsigned long request, void *arg, int err, const char *name);

uint64_t igt_gsvm_query(int fd, uint32_t param, int err);
uint32_t igt_gsvm_vm_create(int fd, int err);
void igt_gsvm_vm_destroy(int fd, uint32_t vm, int err);
void igt_gsvm_vm_query(int fd, uint32_t vm, struct drm_gsvm_vm_query *out, int err);
void igt_gsvm_queue_create(int fd, struct drm_gsvm_queue_create *args, int err);
void igt_gsvm_queue_destroy(int fd, uint32_t queue, int err);
void igt_gsvm_queue_query(int fd, uint32_t queue, struct drm_gsvm_queue_query *out, int err);
void igt_gsvm_wait(int fd, struct drm_gsvm_wait *args, int err);

/* How long a job, or anything else that is waited for, may take: 2 minutes, or more. */
unsigned int gsvm_patience_ms(void);
int64_t gsvm_deadline(unsigned int ms);		/* CLOCK_MONOTONIC, absolute */

/* ---- one GPU ------------------------------------------------------------------ */

#define RING_PACKETS	64
#define MAX_ARGS	8

/**
 * struct queue - a queue with its file, VM and program
 * @fd: render node
 * @vm: handle
 * @id: handle
 * @share: what lies in memory: MAP_SHARED, so a fork of the test copies nothing
 * @doorbell: in the mapped doorbell page
 * @next: packets published
 * @own_vm: closing the queue destroys the VM too; @own_fd likewise
 */
struct queue {
	int fd;
	uint32_t vm;
	uint32_t id;
	struct queue_memory *share;
	volatile uint64_t *doorbell;
	void *doorbell_page;
	uint64_t next;
	bool own_vm, own_fd;
	struct queue *list;
};

/**
 * struct queue_memory - ring and what its packets refer to
 */
struct queue_memory {
	uint8_t ring[RING_PACKETS][GSVM_PACKET_SIZE] __attribute__((aligned(4096)));
	struct gsvm_signal signal[RING_PACKETS];
	uint64_t arg[RING_PACKETS][MAX_ARGS];
	uint64_t read_index;
};

unsigned int gpu_count(void);
int gpu_open(unsigned int index);			/* render node of GPU index */
struct queue *queue_open(void);			/* first GPU, own file, own VM */
struct queue *queue_open_gpu(unsigned int index);
/*
 * What the GPU touches goes to VRAM. A test of what the kernel does with pages of
 * system memory (swap, nodes, merging) has them stay there. GSVM_TEST_MIGRATE=never
 * in the environment does so for all tests.
 */
struct queue *queue_open_system(void);
struct queue *queue_open_vm(int fd, uint32_t vm);	/* one more queue of a VM */
struct queue *queue_open_limit(int fd, uint32_t vm, uint32_t hart_limit);
void queue_close(struct queue *q);
void gpu_close_all(void);
/* Before a subtest: GPUs that an earlier one has left dead or unbound. */
void gpu_revive_all(void);

/* Address of a kernel descriptor of kernels/tests.c in this process. */
uint64_t gpu_kernel(const char *name);

#define U(x)	((uint64_t)(uintptr_t)(x))

/*
 * Publish a dispatch of @items work-items in groups of @group; the signal goes
 * from 1 to 0 when all are complete.
 */
struct gsvm_signal *gpu_launch_grid(struct queue *q, const char *kernel, uint32_t items,
				    uint16_t group, const uint64_t *args, size_t n);
struct gsvm_signal *gpu_copy(struct queue *q, void *dst, const void *src, uint64_t len);
struct gsvm_signal *gpu_fill(struct queue *q, void *dst, uint64_t value, uint64_t len);
/* Publish any packet, as it is. */
void gpu_publish(struct queue *q, const void *packet);
/* Likewise with the slot's own signal; @signal_at: where in it that goes. */
struct gsvm_signal *gpu_submit(struct queue *q, void *packet, size_t signal_at);

#define gpu_launch(q, kernel, items, ...)					\
	gpu_launch_grid(q, kernel, items, 64, (const uint64_t[]){ __VA_ARGS__ },	\
			sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
#define gpu_run(q, kernel, items, ...)						\
	gpu_wait(q, gpu_launch(q, kernel, items, __VA_ARGS__))

/* Wait for success; anything else fails with the queue's record. */
void gpu_wait(struct queue *q, struct gsvm_signal *signal);

/* Wait until the queue has died and compare its record; ~0 means "any". */
struct gpu_error {
	uint32_t error, reason, access;
	uint64_t addr, work_item;
};
#define ANY		(~0ull)
void gpu_expect(struct queue *q, struct gsvm_signal *signal, struct gpu_error want);
#define gpu_expect_fault(q, signal, reason_, access_, addr_, item_)		\
	gpu_expect(q, signal, (struct gpu_error){ DRM_GSVM_ERROR_FAULT, reason_,	\
						  access_, U(addr_), item_ })
bool gpu_done(struct gsvm_signal *signal);

/**
 * struct counter - a job whose work-items count, each in a word of its own
 * @ctl: what they count beside it, and how they are told to stop
 * @base: the first word; the others follow at @stride
 * @items: at most CTL_ITEMS
 *
 * Between counter_start() and counter_end() the test may do to the memory what
 * a process does not notice: no increment gets lost.
 */
struct counter {
	struct queue *q;
	struct ctl *ctl;
	struct gsvm_signal *job;
	char *base;
	size_t stride;
	uint32_t items;
};

/* By plain loads and stores; "count" instead of "pump": atomically. All have begun. */
void counter_start(struct counter *c, const char *kernel, char *base, size_t stride,
		   uint32_t items);
/* Likewise in memory that stays in system memory. */
void counter_start_system(struct counter *c, const char *kernel, char *base, size_t stride,
			  uint32_t items);
void counter_await(struct counter *c, uint32_t item);	/* it has made two more rounds */
void counter_end(struct counter *c);			/* and every count is right */

/*
 * Short forms: the GPU reads or writes one word, or one word each @stride.
 */
uint64_t gpu_read(struct queue *q, const void *addr);
void gpu_write(struct queue *q, void *addr, uint64_t value);
void gpu_check(struct queue *q, const void *addr, size_t stride, uint32_t n, uint64_t first,
	       uint64_t step);
void gpu_set(struct queue *q, void *addr, size_t stride, uint32_t n, uint64_t first,
	     uint64_t step);
void cpu_check(const void *addr, size_t stride, size_t n, uint64_t first, uint64_t step,
	       const char *what);
void cpu_set(void *addr, size_t stride, size_t n, uint64_t first, uint64_t step);

#endif
