// SPDX-License-Identifier: MIT
/*
 * DOC: Copy engines
 *
 * One thread and agent per engine, each with its ring. An engine sleeps until
 * its tail is ahead of what it has done, then carries the descriptors out one
 * after the other, in chunks, between which it gives way to whoever wants to
 * stop it. All effects of a descriptor come before status.copy[].done counts
 * it (release), and failures are counted before that, too.
 *
 * States of an engine: idle (done == tail), busy, and stopping: copy_reset()
 * or copy_exit() set .stop, the thread drops what it does at the next chunk,
 * and answers by clearing .busy. Stopped, it makes no access: whoever asked
 * waits for that.
 *
 * .lock protects tail, done, busy and exit; it is a leaf, also inside
 * agent_enter(), and held for a few instructions. The thread looks at .stop
 * without it.
 *
 * Host pointers are good for one bus window only. A chunk is tried whole, then
 * cut to the page (windows end at pages), then by way of a buffer and a message
 * to the client, which has to be done outside agent_enter().
 */
#include "copy.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma.h"
#include "trace.h"

#define CHUNK		(128u << 10)	/* 10 to 30 us */
#define BOUNCE		4096u
#define MAX_LEN		(1u << 31)

struct engine {
	struct gpu *gpu;
	unsigned int id;
	struct agent agent;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t quiet;
	uint32_t tail, done;
	uint32_t errors;	/* the thread's */
	bool busy, exit;
	_Atomic bool stop;
	uint8_t bounce[BOUNCE];
};

struct copy_unit {
	struct engine engine[GSVM_MAX_COPY_ENGINES];
};

/* One side of a copy: bus or VRAM. */
struct place {
	bool vram;
	uint64_t addr;
};

/* What became of a chunk. */
enum chunk_result { CHUNK_DONE, CHUNK_MESSAGE, CHUNK_BAD };

/* ---- Chunks ---- */

static size_t page_rest(uint64_t addr, size_t len)
{
	size_t rest = 4096 - (addr & 4095);

	return len < rest ? len : rest;
}

static bool place_good(struct gpu *gpu, const struct place *p, uint64_t len)
{
	if (!p->vram)
		return p->addr + len >= p->addr;
	return p->addr <= gpu->cfg.vram_size && len <= gpu->cfg.vram_size - p->addr;
}

static void *place_ptr(struct gpu *gpu, const struct place *p, size_t *len, bool write)
{
	void *ptr = gpu_ptr(gpu, p->vram, p->addr, *len, write);

	if (ptr || p->vram)
		return ptr;
	*len = page_rest(p->addr, *len);
	return gpu_ptr(gpu, false, p->addr, *len, write);
}

static void fill(uint8_t *to, uint64_t value, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 8)
		memcpy(to + i, &value, 8);
}

/* Inside agent_enter(). *len shrinks to what was, or has to be, done. */
static enum chunk_result chunk_direct(struct engine *e, const struct gsvm_copy *c,
				      const struct place *src, const struct place *dst,
				      size_t *len)
{
	void *to = place_ptr(e->gpu, dst, len, true), *from = NULL;

	if ((c->op & GSVM_COPY_OP) == GSVM_COPY_COPY)
		from = place_ptr(e->gpu, src, len, false);
	else if (to)
		fill(to, c->src, *len);
	if (to && from)
		memmove(to, from, *len);
	if (to && (from || (c->op & GSVM_COPY_OP) == GSVM_COPY_FILL))
		return CHUNK_DONE;
	/* One of them has no mapping: in pieces that fit the buffer. */
	*len = page_rest(dst->addr, *len);
	if ((c->op & GSVM_COPY_OP) == GSVM_COPY_COPY)
		*len = page_rest(src->addr, *len);
	return CHUNK_MESSAGE;
}

static int place_move(struct engine *e, const struct place *p, size_t len, bool write)
{
	void *ptr;
	int ret = 0;

	if (!p->vram)
		return write ? dma_write(e->gpu, p->addr, e->bounce, len) :
			       dma_read(e->gpu, p->addr, e->bounce, len);
	agent_enter(&e->agent);
	ptr = gpu_ptr(e->gpu, true, p->addr, len, write);
	if (!ptr)
		ret = -EFAULT;
	else if (write)
		memcpy(ptr, e->bounce, len);
	else
		memcpy(e->bounce, ptr, len);
	agent_leave(&e->agent);
	return ret;
}

/* Outside agent_enter(). */
static enum chunk_result chunk_message(struct engine *e, const struct gsvm_copy *c,
				       const struct place *src, const struct place *dst, size_t len)
{
	if ((c->op & GSVM_COPY_OP) == GSVM_COPY_FILL)
		fill(e->bounce, c->src, len);
	else if (place_move(e, src, len, false))
		return CHUNK_BAD;
	return place_move(e, dst, len, true) ? CHUNK_BAD : CHUNK_DONE;
}

/* ---- Descriptors ---- */

static bool desc_good(struct gpu *gpu, const struct gsvm_copy *c, const struct place *src,
		      const struct place *dst)
{
	uint32_t flags = GSVM_COPY_OP | GSVM_COPY_DST_VRAM | GSVM_COPY_IRQ;
	uint32_t op = c->op & GSVM_COPY_OP;

	if (op == GSVM_COPY_COPY)
		flags |= GSVM_COPY_SRC_VRAM;
	if (c->op & ~flags || c->rsvd || !c->len || c->len > MAX_LEN)
		return false;
	if (!place_good(gpu, dst, c->len))
		return false;
	if (op == GSVM_COPY_FILL)
		return c->dst % 8 == 0 && c->len % 8 == 0;
	return op == GSVM_COPY_COPY && place_good(gpu, src, c->len);
}

/* Entered and left inside agent_enter(). False: not (wholly) possible. */
static bool carry_out(struct engine *e, const struct gsvm_copy *c)
{
	struct place src = { c->op & GSVM_COPY_SRC_VRAM, c->src };
	struct place dst = { c->op & GSVM_COPY_DST_VRAM, c->dst };
	bool copy = (c->op & GSVM_COPY_OP) == GSVM_COPY_COPY;
	enum chunk_result res;
	size_t left, n;

	if (!desc_good(e->gpu, c, &src, &dst))
		return false;
	for (left = c->len; left && !e->stop; left -= n) {
		n = left < CHUNK ? left : CHUNK;
		res = chunk_direct(e, c, &src, &dst, &n);
		if (res == CHUNK_MESSAGE || agent_kicked(&e->agent)) {
			agent_leave(&e->agent);
			if (res == CHUNK_MESSAGE)
				res = chunk_message(e, c, &src, &dst, n);
			agent_enter(&e->agent);
		}
		if (res == CHUNK_BAD)
			return false;
		dst.addr += n;
		if (copy)
			src.addr += n;
		gpu_stat_add(e->gpu, GSVM_STAT_COPY_BYTES, n);
	}
	return true;
}

static bool publish(struct engine *e, uint32_t done)
{
	uint64_t bus = e->gpu->reg.status_base & GSVM_BASE_ADDR;
	_Atomic uint32_t *at;

	bus += offsetof(struct gsvm_status, copy) +
	       e->id * sizeof(((struct gsvm_status *)0)->copy[0]);
	at = gpu_ptr(e->gpu, false, bus, 8, true);
	if (!at) {
		gpu_fatal(e->gpu, GSVM_ERR_BUS, bus);
		return false;
	}
	/* Before the driver can see it and ring for the place in the ring. */
	pthread_mutex_lock(&e->lock);
	e->done = done;
	pthread_mutex_unlock(&e->lock);
	atomic_store_explicit(at + 1, e->errors, memory_order_relaxed);
	atomic_store_explicit(at, done, memory_order_release);
	return true;
}

/* The descriptor at @index; false when the engine cannot go on before a reset. */
static bool one(struct engine *e, uint32_t index)
{
	uint64_t base = e->gpu->reg.copy_base[e->id], addr;
	uint32_t mask = (1u << e->gpu->reg.copy_log2[e->id]) - 1;
	struct gsvm_copy c, *from;
	bool good;

	addr = (base & GSVM_BASE_ADDR) + (uint64_t)(index & mask) * sizeof(c);
	from = gpu_ptr(e->gpu, base & GSVM_BASE_VRAM, addr, sizeof(c), false);
	if (!from) {
		gpu_fatal(e->gpu, GSVM_ERR_BUS, addr);
		return false;
	}
	memcpy(&c, from, sizeof(c));
	trace(e->gpu, "copy", TRACE_NONE, TRACE_NONE, (uint64_t)e->id << 32 | index, c.len);
	good = carry_out(e, &c);
	/* Memory taken away by a stop of the device is nobody's error. */
	if (e->stop || (!good && !atomic_load(&e->gpu->enabled)))
		return false;
	if (!good) {
		e->errors++;
		gpu_error(e->gpu, GSVM_ERR_COPY, (uint64_t)e->id << 32 | index);
	}
	if (!publish(e, index + 1))
		return false;
	if (c.op & GSVM_COPY_IRQ)
		irq_raise(e->gpu, GSVM_VEC_COPY(e->id));
	return true;
}

/* ---- The thread ---- */

static void run(struct engine *e, uint32_t done, uint32_t tail)
{
	bool good = true;

	agent_enter(&e->agent);
	while (good && done != tail && !e->stop) {
		good = one(e, done++);
		if (agent_kicked(&e->agent)) {
			agent_leave(&e->agent);
			agent_enter(&e->agent);
		}
	}
	agent_leave(&e->agent);
	if (good || e->stop)
		return;
	/* Asleep until the reset that FATAL asks for. */
	pthread_mutex_lock(&e->lock);
	e->tail = e->done;
	pthread_mutex_unlock(&e->lock);
}

static void *engine_main(void *arg)
{
	struct engine *e = arg;
	uint32_t done, tail;

	pthread_mutex_lock(&e->lock);
	while (!e->exit) {
		if (e->stop || e->tail == e->done) {
			e->busy = false;
			pthread_cond_broadcast(&e->quiet);
			pthread_cond_wait(&e->work, &e->lock);
			continue;
		}
		e->busy = true;
		done = e->done;
		tail = e->tail;
		pthread_mutex_unlock(&e->lock);
		run(e, done, tail);
		pthread_mutex_lock(&e->lock);
	}
	e->busy = false;
	pthread_cond_broadcast(&e->quiet);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

void copy_doorbell(struct gpu *gpu, unsigned int engine, uint32_t tail)
{
	struct engine *e;
	bool bad;

	if (engine >= gpu->cfg.num_copy)
		return;
	e = &gpu->copy->engine[engine];
	pthread_mutex_lock(&e->lock);
	/* Within the ring, and not behind the last one. */
	bad = tail - e->done > 1u << gpu->reg.copy_log2[engine] ||
	      tail - e->done < e->tail - e->done;
	if (!bad) {
		e->tail = tail;
		pthread_cond_signal(&e->work);
	}
	pthread_mutex_unlock(&e->lock);
	if (bad)
		gpu_error(gpu, GSVM_ERR_REGISTER, GSVM_REG_COPY_TAIL(engine));
}

void copy_reset(struct gpu *gpu)
{
	struct engine *e;
	unsigned int i;

	for (i = 0; i < gpu->cfg.num_copy; i++) {
		e = &gpu->copy->engine[i];
		pthread_mutex_lock(&e->lock);
		e->stop = true;
		while (e->busy)
			pthread_cond_wait(&e->quiet, &e->lock);
		e->tail = 0;
		e->done = 0;
		e->errors = 0;
		e->stop = false;
		pthread_mutex_unlock(&e->lock);
	}
}

static int engine_init(struct gpu *gpu, unsigned int id)
{
	struct engine *e = &gpu->copy->engine[id];
	char name[16];
	int ret;

	e->gpu = gpu;
	e->id = id;
	agent_init(&e->agent);
	dma_add_agent(gpu, &e->agent);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, NULL);
	pthread_cond_init(&e->quiet, NULL);
	ret = pthread_create(&e->thread, NULL, engine_main, e);
	if (ret)
		return -ret;
	e->started = true;
	snprintf(name, sizeof(name), "copy-%u", id);
	pthread_setname_np(e->thread, name);
	return 0;
}

static void engine_exit(struct engine *e)
{
	if (!e->gpu)
		return;
	if (e->started) {
		pthread_mutex_lock(&e->lock);
		e->stop = true;
		e->exit = true;
		pthread_cond_signal(&e->work);
		pthread_mutex_unlock(&e->lock);
		pthread_join(e->thread, NULL);
	}
	dma_remove_agent(e->gpu, &e->agent);
	agent_destroy(&e->agent);
	pthread_cond_destroy(&e->work);
	pthread_cond_destroy(&e->quiet);
	pthread_mutex_destroy(&e->lock);
}

int copy_init(struct gpu *gpu)
{
	unsigned int i;
	int ret;

	if (!gpu->cfg.num_copy || gpu->cfg.num_copy > GSVM_MAX_COPY_ENGINES)
		return -EINVAL;
	gpu->copy = calloc(1, sizeof(*gpu->copy));
	if (!gpu->copy)
		return -ENOMEM;
	for (i = 0; i < gpu->cfg.num_copy; i++) {
		ret = engine_init(gpu, i);
		if (ret) {
			copy_exit(gpu);
			return ret;
		}
	}
	return 0;
}

void copy_exit(struct gpu *gpu)
{
	unsigned int i;

	if (!gpu->copy)
		return;
	for (i = 0; i < GSVM_MAX_COPY_ENGINES; i++)
		engine_exit(&gpu->copy->engine[i]);
	free(gpu->copy);
	gpu->copy = NULL;
}
