/* SPDX-License-Identifier: MIT */
/*
 * A file, a VM and a queue, driven by hand, by a program that expects failures:
 * so many of them, with this errno and no other, and each time only once.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE	4096ul
#define HUGE	(2ul << 20)

/**
 * struct session - one user of the GPU
 * @fd: render node
 * @vm: handle
 * @queue: handle
 * @share: ring and what its packets refer to
 * @doorbell: in @doorbell_page
 * @next: packets published
 */
struct session {
	int fd;
	uint32_t vm;
	uint32_t queue;
	struct share *share;
	volatile uint64_t *doorbell;
	void *doorbell_page;
	uint64_t next;
};

/* What may still fail, with what. */
extern int budget;
extern int expected;

/* Tell on standard output; the second one ends the program. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Was @err, an errno, to be expected, so that the step is to be repeated? */
bool again(const char *what, int err);
#define MUST(what, call)	do { } while (again(what, call))
#define SYS(call)							\
	({								\
		long sys_ret = (long)(call);				\
		if (sys_ret == -1)					\
			fail("%s: %m", #call);				\
		sys_ret;						\
	})

int session_ioctl(int fd, unsigned long request, void *arg);	/* 0 or an errno */
int session_open_node(int *fd);
void session_open(struct session *s);
void session_close(struct session *s);

/* Each runs to its end; dst and what is around it is the caller's to check. */
void session_copy(struct session *s, void *dst, const void *src, uint64_t size);
void session_fill(struct session *s, void *dst, uint64_t value, uint64_t size);
void session_kernel(struct session *s, uint64_t kernel, uint32_t items, const uint64_t *args,
		    size_t n);
/* PREFETCH; then in the background, one at a time, which is to be waited for. */
void session_move(struct session *s, void *addr, uint64_t size, uint32_t region);
void session_move_begin(struct session *s, void *addr, uint64_t size, uint32_t region);
void session_move_end(struct session *s);
/* When faults move memory: DRM_GSVM_MIGRATE_*. */
void session_migration(struct session *s, uint64_t when);
/* WAIT for a signal that never comes; the errno, with queue and VM still there. */
int session_wait_forever(struct session *s);

#endif
