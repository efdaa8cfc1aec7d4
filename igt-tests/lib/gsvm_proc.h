/* SPDX-License-Identifier: MIT */
/*
 * Children, threads, polling, and what /proc tells about a page.
 */
#ifndef GSVM_PROC_H
#define GSVM_PROC_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define PAGE	4096ul
#define HUGE	(2ul << 20)

/* ---- children ----------------------------------------------------------------- */

/**
 * struct child - a forked process
 * @pid: 0 in the child itself
 *
 * Both sides talk through two pipes, so a wait ends when the other side dies.
 */
struct child {
	pid_t pid;
	int to_child[2], to_parent[2];
	char *message;
	struct child *list;
};

struct child *gsvm_fork(void);
void gsvm_tell(struct child *c);		/* let the other side go on */
void gsvm_hear(struct child *c);		/* wait until it tells */
void gsvm_exit(void) __attribute__((noreturn));	/* the child is content */
void gsvm_join(struct child *c);		/* it must have been */
int gsvm_reap(struct child *c);		/* however it ended: its status */
void gsvm_kill(struct child *c);		/* SIGKILL, and reap it */
void gsvm_child_gone(void);			/* one that has had all memory, and is gone */
void gsvm_children_end(void);
bool gsvm_child_fail(const char *message);	/* false: not in a child */

/* ---- threads ------------------------------------------------------------------ */

struct thread {
	pthread_t id;
	void (*run)(void *arg);
	void *arg;
	char message[512];
};

void gsvm_thread(struct thread *t, void (*run)(void *), void *arg);
void gsvm_thread_join(struct thread *t);
void gsvm_threads_join(struct thread *t, unsigned int n);	/* all, then fails */
bool gsvm_thread_fail(const char *message);	/* false: not in such a thread */

/* ---- polling ------------------------------------------------------------------ */

/*
 * Wait until *word, which the GPU or another thread changes, is at least
 * @value. Fails with @what after gsvm_patience_ms().
 */
void gsvm_await(const uint64_t *word, uint64_t value, const char *what);
/*
 * Between two looks at what no event announces (memory that the GPU writes,
 * counters of the kernel): leaves the processor, of which there are few, to
 * those who are waited for. Nothing depends on how long it takes.
 */
void gsvm_pace(void);
uint64_t gsvm_peek(const uint64_t *word);		/* acquire */
void gsvm_poke(uint64_t *word, uint64_t value);	/* release */

/* ---- tracepoints -------------------------------------------------------------- */

void trace_start(const char *const *events);	/* "group/event", NULL; skips without */
void trace_clear(void);
FILE *trace_open(void);				/* text, from trace_clear() on */
void trace_stop(void);
/*
 * munmap(), and in which order this thread sent invalidations to GPUs (s) and waited
 * for them (w).
 */
void munmap_order(void *addr, size_t size, char *order, size_t room);

/* ---- memory ------------------------------------------------------------------- */

void *map_anon(size_t size);			/* private, 4 KiB pages */
void *map_shared(size_t size);			/* shared anonymous, populated */
void *map_huge_aligned(size_t size);		/* private, 2 MiB aligned, THP wanted */
void *reserve(size_t size);			/* PROT_NONE, 2 MiB aligned */
int make_memfd(size_t size);

#define PM_PRESENT	(1ull << 63)
#define PM_SWAP		(1ull << 62)
#define PM_FILE		(1ull << 61)
#define PM_EXCLUSIVE	(1ull << 56)
#define PM_SOFT_DIRTY	(1ull << 55)
#define PM_PFN		((1ull << 55) - 1)
#define PM_SWAP_TYPE	0x1full

#define KPF_HUGE	17
#define KPF_KSM		21
#define KPF_THP		22
#define KPF_ZERO_PAGE	24

uint64_t pagemap(const void *addr);
uint64_t page_pfn(const void *addr);		/* 0: not present */
bool page_has_flag(const void *addr, int kpf);
/**
 * struct mapping - a mapping of this process
 * @start: first byte
 * @end: byte behind the last
 */
struct mapping {
	unsigned long start, end;
};

struct mapping mapping_at(const void *addr);
long smaps_kb(const void *addr, const char *field);	/* of the VMA at addr */
bool is_zero_page(const void *addr);
bool is_swapped(const void *addr);

bool swap_available(void);
bool write_text(const char *path, const char *text);
long read_number(const char *path);		/* -1: not there */
long read_key(const char *path, const char *key);	/* of "key number" lines, likewise */
bool pageout(void *addr, size_t size);		/* until nothing of it is present */

/*
 * A directory on a file system with a disk under it (ext4), for tests of what
 * a file holds; skips when there can be none.
 */
const char *disk_dir(void);
void disk_drop_caches(void);

#endif
