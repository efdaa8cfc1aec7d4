// SPDX-License-Identifier: MIT
/*
 * DOC: The packet processor
 *
 * One per queue, run by one core at a time, a step at a time (enum
 * packet_step). A step makes at most one access with an effect, and makes it
 * last: when its translation is missing, the step has done nothing, the packet
 * parks, and the same step runs again after the resume. So nothing happens
 * twice. Copies and fills remember how far they are instead.
 *
 *	INDEX -> FETCH -> ORDER -> CONSUME -> PUBLISH
 *	PUBLISH -> DEPS -> SIGNAL			barrier-and, barrier-or
 *	PUBLISH -> COPY or FILL -> SIGNAL		vendor
 *	PUBLISH -> KERNEL -> PRELOAD -> LAUNCH		kernel
 *	LAUNCH -> RUNNING -> SIGNAL			beside the packets after it
 *
 * A malformed packet is found by FETCH and stays in the ring; a malformed
 * kernel descriptor is found after its packet was consumed.
 *
 * Barriers, copies and fills hold up the packets behind them; kernels do not,
 * up to PACKET_OVERLAP. All memory effects of a packet come before its signal:
 * they were made by this core, or by cores that have since passed
 * queue_unit.lock, and the decrement is sequentially consistent. Host memory
 * is coherent, so the fence scopes of the header need no more work.
 */
#include "packet.h"

#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "trace.h"

#define STEP_COST	200		/* of a packet step, in instructions */
#define BYTES_PER_INSN	32		/* copied in the time of an instruction */
#define POLL_MIN	20000		/* ns between looks at signals */
#define POLL_MAX	2000000
#define POLL_SHARE	5000		/* ns more per queue that polls */

enum step_result {
	STEP_NEXT,	/* go on with pkt->step */
	STEP_FAULT,	/* turn.fault: park */
	STEP_SLEEP,	/* until the doorbell */
	STEP_ORDER,	/* until a packet completes */
	STEP_DEPS,	/* until a signal changes */
	STEP_YIELD,	/* has more to do */
	STEP_GONE,	/* the packet is no longer the front's */
	STEP_FAILED,	/* queue_fail() was called */
};

struct turn {
	struct core *core;
	struct queue *q;
	struct packet *pkt;
	int budget;
	struct mmu_fault fault;
};

static void *at(struct turn *t, uint64_t va, unsigned int access)
{
	return mmu_ptr(t->core->gpu, &t->core->tlb, t->q->asid, va, access, &t->fault);
}

static enum step_result fail(struct turn *t, uint32_t error, uint64_t addr)
{
	struct queue_error err = { .error = error, .addr = addr, .packet = t->pkt->index };

	queue_fail(t->q, &err);
	return STEP_FAILED;
}

/* ---- From the ring to the launch ---- */

static enum step_result step_index(struct turn *t)
{
	_Atomic uint64_t *index = at(t, t->q->read_index, GSVM_ACCESS_READ);

	if (!index)
		return STEP_FAULT;
	t->q->next = atomic_load_explicit(index, memory_order_acquire);
	t->q->indexed = true;
	t->pkt->step = PACKET_FETCH;
	return STEP_NEXT;
}

static enum step_result step_fetch(struct turn *t)
{
	struct packet *pkt = t->pkt;
	struct queue *q = t->q;
	uint16_t header;
	uint64_t addr;
	uint32_t error;
	uint8_t *slot;

	pkt->index = q->next;
	if (pkt->index >= atomic_load_explicit(&q->doorbell, memory_order_acquire))
		return STEP_SLEEP;
	slot = at(t, packet_va(q, pkt->index), GSVM_ACCESS_READ);
	if (!slot)
		return STEP_FAULT;
	/* Pairs with the producer's release; everything else is read behind it. */
	header = atomic_load_explicit((_Atomic uint16_t *)slot, memory_order_acquire);
	if ((header & GSVM_PKT_TYPE) == GSVM_PKT_INVALID)
		return STEP_SLEEP;
	memcpy(pkt->p.raw + 2, slot + 2, GSVM_PACKET_SIZE - 2);
	pkt->p.header = header;
	error = packet_check(q, pkt, &addr);
	if (error)
		return fail(t, error, addr);
	pkt->step = PACKET_ORDER;
	return STEP_NEXT;
}

static enum step_result step_order(struct turn *t)
{
	struct packet *pkt = t->pkt;
	struct queue *q = t->q;
	unsigned int others;

	pthread_mutex_lock(&q->unit->lock);
	others = q->npackets;
	pthread_mutex_unlock(&q->unit->lock);
	if (pkt->p.header & GSVM_PKT_BARRIER && others)
		return STEP_ORDER;
	if ((pkt->p.header & GSVM_PKT_TYPE) == GSVM_PKT_KERNEL && others >= PACKET_OVERLAP)
		return STEP_ORDER;
	pkt->start = gpu_time_ns(t->core->gpu);
	pkt->step = PACKET_CONSUME;
	trace(t->core->gpu, "packet-start", q->asid, q->id, pkt->index, pkt->p.header);
	return STEP_NEXT;
}

static enum step_result step_consume(struct turn *t)
{
	_Atomic uint16_t *header = at(t, packet_va(t->q, t->pkt->index), GSVM_ACCESS_WRITE);

	if (!header)
		return STEP_FAULT;
	atomic_store_explicit(header, GSVM_PKT_INVALID, memory_order_release);
	t->pkt->step = PACKET_PUBLISH;
	return STEP_NEXT;
}

static enum packet_step step_of_type(const struct packet *pkt)
{
	switch (pkt->p.header & GSVM_PKT_TYPE) {
	case GSVM_PKT_KERNEL:
		return PACKET_KERNEL;
	case GSVM_PKT_VENDOR:
		return pkt->p.vendor.op == GSVM_VOP_COPY ? PACKET_COPY : PACKET_FILL;
	default:
		return PACKET_DEPS;
	}
}

static enum step_result step_publish(struct turn *t)
{
	_Atomic uint64_t *index = at(t, t->q->read_index, GSVM_ACCESS_WRITE);

	if (!index)
		return STEP_FAULT;
	t->q->next = t->pkt->index + 1;
	atomic_store_explicit(index, t->q->next, memory_order_release);
	t->pkt->step = step_of_type(t->pkt);
	return STEP_NEXT;
}

/* ---- Barriers ---- */

static bool deps_met(const struct packet *pkt)
{
	unsigned int i, need = 0;

	for (i = 0; i < SIGNAL_DEPS; i++)
		if (pkt->p.barrier.dep[i])
			need |= 1u << i;
	if ((pkt->p.header & GSVM_PKT_TYPE) == GSVM_PKT_BARRIER_OR)
		return pkt->deps.seen;
	return pkt->deps.seen == need;
}

static enum step_result step_deps(struct turn *t)
{
	struct packet *pkt = t->pkt;
	struct queue *q = t->q;
	bool zero, met = deps_met(pkt);
	unsigned int i;

	pthread_mutex_lock(&q->unit->lock);
	signal_watch(&pkt->deps, q, pkt->p.barrier.dep);
	pthread_mutex_unlock(&q->unit->lock);
	for (i = 0; i < SIGNAL_DEPS && !met; i++) {
		if (!pkt->p.barrier.dep[i] || pkt->deps.seen & 1u << i)
			continue;
		if (!signal_poll(t->core, q, pkt->p.barrier.dep[i], &zero, &t->fault))
			return STEP_FAULT;
		if (zero)
			pkt->deps.seen |= 1u << i;
		met = deps_met(pkt);
	}
	if (!met)
		return STEP_DEPS;
	pthread_mutex_lock(&q->unit->lock);
	signal_unwatch(&pkt->deps, q);
	pthread_mutex_unlock(&q->unit->lock);
	q->backoff = 0;
	pkt->step = PACKET_SIGNAL;
	return STEP_NEXT;
}

/* ---- Copy and fill ---- */

static uint64_t page_rest(uint64_t va, uint64_t len)
{
	uint64_t rest = 0x1000 - (va & 0xfff);

	return len < rest ? len : rest;
}

static enum step_result step_copy(struct turn *t)
{
	struct gsvm_pkt_vendor *v = &t->pkt->p.vendor;
	uint64_t n, src = v->src + t->pkt->done, dst = v->dst + t->pkt->done;
	uint8_t *from, *to;

	n = page_rest(dst, page_rest(src, v->len - t->pkt->done));
	from = at(t, src, GSVM_ACCESS_READ);
	if (!from)
		return STEP_FAULT;
	to = at(t, dst, GSVM_ACCESS_WRITE);
	if (!to)
		return STEP_FAULT;
	memmove(to, from, n);
	t->budget -= n / BYTES_PER_INSN;
	t->pkt->done += n;
	if (t->pkt->done == v->len)
		t->pkt->step = PACKET_SIGNAL;
	return STEP_NEXT;
}

static enum step_result step_fill(struct turn *t)
{
	struct gsvm_pkt_vendor *v = &t->pkt->p.vendor;
	uint64_t n = page_rest(v->dst + t->pkt->done, v->len - t->pkt->done), i;
	uint64_t *to = at(t, v->dst + t->pkt->done, GSVM_ACCESS_WRITE);

	if (!to)
		return STEP_FAULT;
	for (i = 0; i < n / 8; i++)
		to[i] = v->src;
	t->budget -= n / BYTES_PER_INSN;
	t->pkt->done += n;
	if (t->pkt->done == v->len)
		t->pkt->step = PACKET_SIGNAL;
	return STEP_NEXT;
}

/* ---- Kernels ---- */

static enum step_result step_kernel(struct turn *t)
{
	struct packet *pkt = t->pkt;
	struct gsvm_kernel k;
	uint64_t addr;
	uint32_t error;
	void *desc;

	desc = at(t, pkt->p.kernel.kernel, GSVM_ACCESS_READ);
	if (!desc)
		return STEP_FAULT;
	memcpy(&k, desc, sizeof(k));
	error = kernel_check(pkt, &k, &addr);
	if (error)
		return fail(t, error, addr);
	pkt->step = pkt->d.npreload ? PACKET_PRELOAD : PACKET_LAUNCH;
	return STEP_NEXT;
}

static enum step_result step_preload(struct turn *t)
{
	struct dispatch *d = &t->pkt->d;
	uint64_t n, done, len = d->npreload * 8ull, va = t->pkt->p.kernel.kernarg;
	uint8_t *from;

	for (done = 0; done < len; done += n) {
		n = page_rest(va + done, len - done);
		from = at(t, va + done, GSVM_ACCESS_READ);
		if (!from)
			return STEP_FAULT;
		memcpy((uint8_t *)d->preload + done, from, n);
	}
	t->pkt->step = PACKET_LAUNCH;
	return STEP_NEXT;
}

static enum step_result step_launch(struct turn *t)
{
	struct packet *pkt = t->pkt;
	struct queue *q = t->q;

	pkt->step = PACKET_RUNNING;
	pthread_mutex_lock(&q->unit->lock);
	pkt->launched = true;
	q->front = NULL;
	list_add_tail(&q->packets, &pkt->all);
	list_add_tail(&q->launch, &pkt->launch);
	q->npackets++;
	sched_update(q);
	pthread_mutex_unlock(&q->unit->lock);
	return STEP_GONE;
}

static enum step_result step_signal(struct turn *t)
{
	/* The signal is at the same place in all packets. */
	if (!signal_complete(t->core, t->pkt, t->pkt->p.vendor.signal, &t->fault))
		return STEP_FAULT;
	t->q->front = NULL;
	packet_free(t->pkt, NULL);
	return STEP_GONE;
}

static enum step_result (*const step[PACKET_STEPS])(struct turn *t) = {
	[PACKET_INDEX] = step_index,
	[PACKET_FETCH] = step_fetch,
	[PACKET_ORDER] = step_order,
	[PACKET_CONSUME] = step_consume,
	[PACKET_PUBLISH] = step_publish,
	[PACKET_DEPS] = step_deps,
	[PACKET_COPY] = step_copy,
	[PACKET_FILL] = step_fill,
	[PACKET_KERNEL] = step_kernel,
	[PACKET_PRELOAD] = step_preload,
	[PACKET_LAUNCH] = step_launch,
	[PACKET_SIGNAL] = step_signal,
};

/* ---- Turns ---- */

static void packet_wake(struct fault_wait *wait)
{
	struct packet *pkt = list_of(wait, struct packet, wait);
	struct queue *q = pkt->q;

	pthread_mutex_lock(&q->unit->lock);
	if (q->state == QUEUE_RUNNING) {
		pkt->parked = false;
		if (pkt->launched) {
			list_add_tail(&q->completing, &pkt->completing);
			sched_update(q);
		} else {
			sched_front_wake(q, FRONT_PARKED);
		}
	}
	pthread_mutex_unlock(&q->unit->lock);
}

/* Afterwards the packet may run on another core at once. */
static void packet_park(struct gpu *gpu, struct packet *pkt, const struct mmu_fault *fault)
{
	struct queue *q = pkt->q;

	memset(&pkt->wait.rec, 0, sizeof(pkt->wait.rec));
	pkt->wait.rec.addr = fault->addr;
	pkt->wait.rec.asid = q->asid;
	pkt->wait.rec.queue = q->id;
	pkt->wait.rec.access = fault->access;
	pkt->wait.rec.reason = fault->reason;
	pkt->wait.rec.unit = GSVM_UNIT_PACKET;
	pkt->wait.wake = packet_wake;
	pthread_mutex_lock(&q->unit->lock);
	pkt->parked = true;
	if (!pkt->launched)
		q->front_state = FRONT_PARKED;
	pthread_mutex_unlock(&q->unit->lock);
	fault_park(gpu, &pkt->wait);
}

/* Look again later: soon at first, and the rarer the more queues do the same. */
static uint64_t poll_time(struct queue *q)
{
	uint64_t most = POLL_MAX + (uint64_t)POLL_SHARE * q->unit->heap_len;

	q->backoff = q->backoff ? q->backoff * 2 : POLL_MIN;
	if (q->backoff > most)
		q->backoff = most;
	return sched_now() + q->backoff;
}

static void front_rest(struct queue *q, enum front_state state)
{
	pthread_mutex_lock(&q->unit->lock);
	if (state == FRONT_DEPS && !q->front_again && !queue_ending(q))
		sched_timer_set(q, poll_time(q));
	sched_front_rest(q, state);
	pthread_mutex_unlock(&q->unit->lock);
}

static struct packet *packet_new(struct queue *q)
{
	struct packet *pkt = calloc(1, sizeof(*pkt));

	if (!pkt)
		return NULL;
	pkt->q = q;
	pkt->step = q->indexed ? PACKET_FETCH : PACKET_INDEX;
	list_init(&pkt->all);
	list_init(&pkt->launch);
	list_init(&pkt->completing);
	list_init(&pkt->d.groups);
	list_init(&pkt->d.spare);
	return pkt;
}

void packet_front(struct core *core, struct work *w)
{
	struct turn t = { .core = core, .q = w->q, .budget = SCHED_QUANTUM };
	enum step_result res = STEP_YIELD;

	while (t.budget > 0 && !agent_kicked(&core->agent) && !queue_ending(t.q)) {
		if (!t.q->front)
			t.q->front = packet_new(t.q);
		t.pkt = t.q->front;
		if (!t.pkt) {
			w->starved = true;
			break;
		}
		res = step[t.pkt->step](&t);
		t.budget -= STEP_COST;
		if (res != STEP_NEXT && res != STEP_GONE)
			break;
	}
	switch (res) {
	case STEP_FAULT:
		packet_park(core->gpu, t.pkt, &t.fault);
		break;
	case STEP_SLEEP:
		front_rest(t.q, FRONT_SLEEP);
		break;
	case STEP_ORDER:
		front_rest(t.q, FRONT_ORDER);
		break;
	case STEP_DEPS:
		front_rest(t.q, FRONT_DEPS);
		break;
	default:
		front_rest(t.q, FRONT_READY);
	}
}

void packet_complete(struct core *core, struct work *w)
{
	struct packet *pkt = w->pkt;
	struct queue *q = w->q;
	struct mmu_fault fault;

	if (queue_ending(q))
		return;
	if (!signal_complete(core, pkt, pkt->p.kernel.signal, &fault)) {
		packet_park(core->gpu, pkt, &fault);
		return;
	}
	pthread_mutex_lock(&q->unit->lock);
	list_del(&pkt->all);
	q->npackets--;
	sched_front_wake(q, FRONT_ORDER);
	pthread_mutex_unlock(&q->unit->lock);
	packet_free(pkt, NULL);
}

/* ---- Ends ---- */

void packet_free(struct packet *pkt, struct list *slots)
{
	dispatch_drop(pkt, slots);
	free(pkt);
}

static void packet_drop(struct packet *pkt, struct list *slots, struct list *packets)
{
	if (pkt->parked) {
		dispatch_drop(pkt, slots);
		list_add_tail(packets, &pkt->all);
	} else {
		packet_free(pkt, slots);
	}
}

void packet_drop_all(struct queue *q, struct list *slots, struct list *packets)
{
	struct list *l;

	while ((l = list_pop(&q->packets)))
		packet_drop(list_of(l, struct packet, all), slots, packets);
	if (q->front)
		packet_drop(q->front, slots, packets);
	q->front = NULL;
	list_init(&q->launch);
	list_init(&q->completing);
	list_init(&q->groups);
	q->npackets = 0;
}
