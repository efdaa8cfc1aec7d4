// SPDX-License-Identifier: MIT
/*
 * DOC: Bus windows
 *
 * The client tells which ranges of bus addresses lead to memory, most of them
 * as an offset in a file that we can map. A guest behind a virtual IOMMU has a
 * window per page, a hundred thousand of them is nothing special, and firmware
 * changes low memory often: so each file is mapped once, whole, for as long as
 * any window needs it, and a window is a pointer into that mapping.
 *
 * Windows live in a skip list by address. There is one writer at a time (lock)
 * and readers that take no lock: agents inside agent_enter().
 *
 * - Adding a window publishes a finished node, level by level from below, with
 *   release stores; a reader sees it or does not.
 * - Removing stops all agents first. None of them then holds a node or a
 *   pointer, so nodes are unlinked and freed at once. The generation changes
 *   while they are stopped, which makes it stable inside agent_enter().
 * - Blocking (bus master off, reset) closes the gate for messages, sets the
 *   reason, which makes dma_ptr() return NULL, and then stops all agents once:
 *   whoever had a pointer has dropped it, and caches of pointers find a new
 *   generation.
 *
 * dma_read() and dma_write() come from threads that are outside. They copy as
 * an agent of our own, or leave it and send a message; blocking fails messages
 * before it stops agents, so nobody waits for a reply meanwhile.
 *
 * Lock order: lock, then agents in the order of registration, then whatever an
 * agent takes. An agent's thread therefore never takes lock while inside.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dma.h"

#define LEVELS		18	/* good for 4^18 windows */
#define MAX_AGENTS	64

/* One mapped file. */
struct backing {
	struct backing *next;
	dev_t dev;
	ino_t ino;
	uint8_t *base;
	uint64_t size;
	bool write;
	uint64_t windows;	/* that point into it */
};

struct window {
	uint64_t start, last;	/* inclusive: a window may end at 2^64 */
	uint8_t *host;		/* NULL: by message only */
	struct backing *backing;
	bool read, write;
	_Atomic(struct window *) next[];	/* one per level */
};

struct dma {
	pthread_mutex_t lock;		/* writers of everything here */
	struct window *head;		/* sentinel with all levels, not a window */
	struct backing *backing;
	uint64_t count;
	uint64_t random;
	_Atomic unsigned int off;	/* DMA_OFF_* */
	_Atomic uint64_t generation;
	struct agent self;		/* of dma_read() and dma_write() */
	struct agent *agent[MAX_AGENTS];
	unsigned int agents;
	const struct dma_messages *messages;
};

static struct window *window_alloc(unsigned int levels)
{
	return calloc(1, sizeof(struct window) + levels * sizeof(_Atomic(struct window *)));
}

int dma_init(struct gpu *gpu)
{
	struct dma *dma = calloc(1, sizeof(*dma));

	if (!dma)
		return -ENOMEM;
	dma->head = window_alloc(LEVELS);
	if (!dma->head) {
		free(dma);
		return -ENOMEM;
	}
	pthread_mutex_init(&dma->lock, NULL);
	agent_init(&dma->self);
	dma->agent[dma->agents++] = &dma->self;
	dma->random = 0x2545f4914f6cdd1dull;
	atomic_init(&dma->generation, 1);
	gpu->dma = dma;
	return 0;
}

void dma_exit(struct gpu *gpu)
{
	dma_unmap_all(gpu);
	agent_destroy(&gpu->dma->self);
	pthread_mutex_destroy(&gpu->dma->lock);
	free(gpu->dma->head);
	free(gpu->dma);
	gpu->dma = NULL;
}

void dma_set_messages(struct gpu *gpu, const struct dma_messages *messages)
{
	pthread_mutex_lock(&gpu->dma->lock);
	gpu->dma->messages = messages;
	if (messages)
		messages->gate(gpu, !atomic_load(&gpu->dma->off));
	pthread_mutex_unlock(&gpu->dma->lock);
}

/* ---- Agents --------------------------------------------------------------- */

void dma_add_agent(struct gpu *gpu, struct agent *a)
{
	struct dma *dma = gpu->dma;

	pthread_mutex_lock(&dma->lock);
	if (dma->agents == MAX_AGENTS) {
		fprintf(stderr, "gsvm-gpu: more than %d agents\n", MAX_AGENTS);
		abort();
	}
	dma->agent[dma->agents++] = a;
	pthread_mutex_unlock(&dma->lock);
}

void dma_remove_agent(struct gpu *gpu, struct agent *a)
{
	struct dma *dma = gpu->dma;

	pthread_mutex_lock(&dma->lock);
	for (unsigned int i = 0; i < dma->agents; i++) {
		if (dma->agent[i] != a)
			continue;
		dma->agents--;
		memmove(&dma->agent[i], &dma->agent[i + 1],
			(dma->agents - i) * sizeof(dma->agent[0]));
		break;
	}
	pthread_mutex_unlock(&dma->lock);
}

static void dma_stop_agents_locked(struct dma *dma)
{
	for (unsigned int i = 0; i < dma->agents; i++)
		agent_stop(dma->agent[i]);
}

static void dma_continue_agents_locked(struct dma *dma)
{
	for (unsigned int i = dma->agents; i-- > 0; )
		agent_continue(dma->agent[i]);
}

void dma_block(struct gpu *gpu, unsigned int reason)
{
	struct dma *dma = gpu->dma;

	pthread_mutex_lock(&dma->lock);
	if (!atomic_fetch_or(&dma->off, reason)) {
		if (dma->messages)
			dma->messages->gate(gpu, false);
		dma_stop_agents_locked(dma);
		atomic_fetch_add(&dma->generation, 1);
		dma_continue_agents_locked(dma);
	}
	pthread_mutex_unlock(&dma->lock);
}

void dma_unblock(struct gpu *gpu, unsigned int reason)
{
	struct dma *dma = gpu->dma;

	pthread_mutex_lock(&dma->lock);
	if (atomic_load(&dma->off)) {
		unsigned int off = atomic_fetch_and(&dma->off, ~reason) & ~reason;

		if (!off && dma->messages)
			dma->messages->gate(gpu, true);
	}
	pthread_mutex_unlock(&dma->lock);
}

/* ---- Files ---------------------------------------------------------------- */

/* The mapping of @fd that has at least @end bytes, with one more user. */
static int backing_get(struct dma *dma, int fd, uint64_t end, bool write, struct backing **out)
{
	struct backing *b;
	struct stat st;
	void *base;

	if (fstat(fd, &st))
		return -errno;
	/* Beyond the file's end there is only SIGBUS. */
	if (st.st_size < 0 || end > (uint64_t)st.st_size)
		return -EINVAL;
	for (b = dma->backing; b; b = b->next)
		if (b->dev == st.st_dev && b->ino == st.st_ino && b->size >= end &&
		    (b->write || !write))
			goto found;

	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	b->size = st.st_size;
	b->write = true;
	base = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED && !write) {
		b->write = false;
		base = mmap(NULL, b->size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	}
	if (base == MAP_FAILED) {
		int ret = -errno;

		free(b);
		return ret;
	}
	b->base = base;
	b->next = dma->backing;
	dma->backing = b;
found:
	b->windows++;
	*out = b;
	return 0;
}

static void backing_put(struct dma *dma, struct backing *b)
{
	struct backing **p;

	if (!b || --b->windows)
		return;
	for (p = &dma->backing; *p != b; p = &(*p)->next)
		;
	*p = b->next;
	munmap(b->base, b->size);
	free(b);
}

/* ---- Windows -------------------------------------------------------------- */

static struct window *window_next(const struct window *w, unsigned int level)
{
	return atomic_load_explicit(&w->next[level], memory_order_acquire);
}

/* The last window that starts at or below @addr, or the sentinel. */
static struct window *window_before(struct dma *dma, uint64_t addr)
{
	struct window *w = dma->head, *next;

	for (unsigned int level = LEVELS; level-- > 0; )
		while ((next = window_next(w, level)) && next->start <= addr)
			w = next;
	return w;
}

static struct window *window_find(struct dma *dma, uint64_t addr)
{
	struct window *w = window_before(dma, addr);

	return w != dma->head && addr <= w->last ? w : NULL;
}

/* Geometric with 1/4: levels 1, 2, ... */
static unsigned int window_levels(struct dma *dma)
{
	unsigned int levels = 1;
	uint64_t bits;

	dma->random ^= dma->random << 13;
	dma->random ^= dma->random >> 7;
	dma->random ^= dma->random << 17;
	for (bits = dma->random >> 11; levels < LEVELS && !(bits & 3); bits >>= 2)
		levels++;
	return levels;
}

static void window_insert_locked(struct dma *dma, struct window *new, unsigned int levels)
{
	struct window *before[LEVELS], *w = dma->head, *next;

	for (unsigned int level = LEVELS; level-- > 0; ) {
		while ((next = window_next(w, level)) && next->start < new->start)
			w = next;
		before[level] = w;
	}
	for (unsigned int level = 0; level < levels; level++) {
		atomic_store_explicit(&new->next[level], window_next(before[level], level),
				      memory_order_relaxed);
		/* Pairs with the acquire in window_next(): the node is whole. */
		atomic_store_explicit(&before[level]->next[level], new, memory_order_release);
	}
	dma->count++;
}

static int dma_add(struct gpu *gpu, uint64_t addr, uint64_t size, bool read, bool write,
		   void *host, int fd, uint64_t offset)
{
	struct dma *dma = gpu->dma;
	uint64_t last = addr + size - 1;
	struct window *w, *old;
	unsigned int levels;
	int ret = 0;

	if (!size || last < addr || offset + size < offset)
		return -EINVAL;
	pthread_mutex_lock(&dma->lock);
	old = window_before(dma, last);
	if (old != dma->head && old->last >= addr) {
		ret = -EEXIST;
		goto out;
	}
	levels = window_levels(dma);
	w = window_alloc(levels);
	if (!w) {
		ret = -ENOMEM;
		goto out;
	}
	*w = (struct window) {
		.start = addr, .last = last, .host = host, .read = read, .write = write,
	};
	if (fd >= 0) {
		ret = backing_get(dma, fd, offset + size, write, &w->backing);
		if (ret) {
			free(w);
			goto out;
		}
		w->host = w->backing->base + offset;
	}
	window_insert_locked(dma, w, levels);
out:
	pthread_mutex_unlock(&dma->lock);
	return ret;
}

int dma_map_host(struct gpu *gpu, uint64_t addr, uint64_t size, bool read, bool write, void *host)
{
	return dma_add(gpu, addr, size, read, write, host, -1, 0);
}

int dma_map(struct gpu *gpu, uint64_t addr, uint64_t size, bool read, bool write, int fd,
	    uint64_t offset)
{
	return dma_add(gpu, addr, size, read, write, NULL, fd, offset);
}

/* Unlink and free the windows that start in [@addr, @last]; agents are stopped. */
static void window_remove_locked(struct dma *dma, uint64_t addr, uint64_t last)
{
	struct window *w = dma->head, *gone, *next, *keep[LEVELS];

	for (unsigned int level = LEVELS; level-- > 0; ) {
		while ((next = window_next(w, level)) && next->start < addr)
			w = next;
		keep[level] = w;
	}
	gone = window_next(keep[0], 0);
	for (unsigned int level = 0; level < LEVELS; level++) {
		next = window_next(keep[level], level);
		while (next && next->start <= last)
			next = window_next(next, level);
		atomic_store_explicit(&keep[level]->next[level], next, memory_order_release);
	}
	for (; gone && gone->start <= last; gone = next) {
		next = window_next(gone, 0);
		backing_put(dma, gone->backing);
		free(gone);
		dma->count--;
	}
}

int dma_unmap(struct gpu *gpu, uint64_t addr, uint64_t size)
{
	struct dma *dma = gpu->dma;
	uint64_t last = addr + size - 1;
	struct window *first, *end;
	int ret = 0;

	if (!size || last < addr)
		return -EINVAL;
	pthread_mutex_lock(&dma->lock);
	end = window_before(dma, last);
	if (end == dma->head || end->last < addr)
		goto out;	/* nothing there: fine */
	first = window_find(dma, addr);
	if (end->last > last || (first && first->start < addr)) {
		ret = -EINVAL;
		goto out;
	}
	dma_stop_agents_locked(dma);
	window_remove_locked(dma, addr, last);
	atomic_fetch_add(&dma->generation, 1);
	dma_continue_agents_locked(dma);
out:
	pthread_mutex_unlock(&dma->lock);
	return ret;
}

void dma_unmap_all(struct gpu *gpu)
{
	struct dma *dma = gpu->dma;

	pthread_mutex_lock(&dma->lock);
	if (dma->count) {
		dma_stop_agents_locked(dma);
		window_remove_locked(dma, 0, UINT64_MAX);
		atomic_fetch_add(&dma->generation, 1);
		dma_continue_agents_locked(dma);
	}
	pthread_mutex_unlock(&dma->lock);
}

/* ---- Access --------------------------------------------------------------- */

void *dma_ptr(struct gpu *gpu, uint64_t bus, size_t len, bool write)
{
	struct dma *dma = gpu->dma;
	struct window *w;

	/* Ordered by the stop in dma_block(): no need for more here. */
	if (atomic_load_explicit(&dma->off, memory_order_relaxed))
		return NULL;
	w = window_find(dma, bus);
	if (!w || !w->host || !(write ? w->write : w->read) || !len || len - 1 > w->last - bus)
		return NULL;
	return w->host + (bus - w->start);
}

uint64_t dma_generation(struct gpu *gpu)
{
	return atomic_load_explicit(&gpu->dma->generation, memory_order_relaxed);
}

void *gpu_ptr(struct gpu *gpu, bool vram, uint64_t addr, size_t len, bool write)
{
	if (!vram)
		return dma_ptr(gpu, addr, len, write);
	if (addr >= gpu->cfg.vram_size || len > gpu->cfg.vram_size - addr)
		return NULL;
	return gpu->vram + addr;
}

/*
 * Copy what lies in the window of @bus, at most @len bytes. The bytes done, or
 * 0 with *@message bytes that need a message (0: not reachable at all).
 */
static size_t dma_copy_mapped(struct gpu *gpu, uint64_t bus, void *buf, size_t len, bool write,
			      size_t *message)
{
	struct dma *dma = gpu->dma;
	struct window *w;
	size_t done = 0;

	*message = 0;
	agent_enter(&dma->self);
	w = atomic_load(&dma->off) ? NULL : window_find(dma, bus);
	if (w && (write ? w->write : w->read)) {
		if (len - 1 > w->last - bus)
			len = w->last - bus + 1;
		if (w->host) {
			uint8_t *host = w->host + (bus - w->start);

			memcpy(write ? (void *)host : buf, write ? buf : (void *)host, len);
			done = len;
		} else {
			*message = len;
		}
	}
	agent_leave(&dma->self);
	return done;
}

static int dma_copy(struct gpu *gpu, uint64_t bus, void *buf, size_t len, bool write)
{
	const struct dma_messages *messages = gpu->dma->messages;
	uint8_t *at = buf;

	while (len) {
		size_t message, done = dma_copy_mapped(gpu, bus, at, len, write, &message);

		if (message && messages && !messages->xfer(gpu, write, bus, at, message))
			done = message;
		if (!done)
			return -EFAULT;
		bus += done;
		at += done;
		len -= done;
	}
	return 0;
}

int dma_read(struct gpu *gpu, uint64_t bus, void *buf, size_t len)
{
	return dma_copy(gpu, bus, buf, len, false);
}

int dma_write(struct gpu *gpu, uint64_t bus, const void *buf, size_t len)
{
	return dma_copy(gpu, bus, (void *)buf, len, true);
}

bool dma_shared(struct gpu *gpu, uint64_t bus)
{
	const uint64_t zero = 0, mark = 0x6773766d73656c66ull;	/* "flesmvsg" */
	uint64_t seen = 0;
	bool good = true;
	int ret;

	if (!gpu->dma->messages || dma_write(gpu, bus, &mark, sizeof(mark)))
		return true;
	ret = gpu->dma->messages->xfer(gpu, false, bus, &seen, sizeof(seen));
	/* A zero is what the client's memory held; anything else is no proof. */
	if (!ret && seen != mark)
		good = seen != 0;
	dma_write(gpu, bus, &zero, sizeof(zero));
	return good;
}
