// SPDX-License-Identifier: MIT
/*
 * DOC: Queues
 *
 * Lives of queues: start, stop, cancel, error, reset. What runs in between is
 * in queue_sched.c, packet.c and dispatch.c.
 *
 *	IDLE, DEAD --start--> RUNNING		command thread
 *	IDLE, DEAD --start, bad descriptor--> DEAD
 *	RUNNING --error--> ENDING --> DEAD	by cores
 *	RUNNING --cancel-> ENDING --> DEAD	command thread
 *	RUNNING --stop---> ENDING --> IDLE	command thread, or reset
 *	DEAD    --stop---> IDLE
 *
 * Whoever moves a queue to ENDING under queue_unit.lock decides how it ends;
 * everyone later finds it ENDING, waits until it has left that state, and
 * then does what is left to do. In ENDING no core takes the queue. It is torn
 * down when the last core that works on it has put it back (users == 0): by
 * that core after an error, by the one that waits for it otherwise. Until then
 * cores see queue.ending between instructions' slices, packet steps and chunks,
 * so that takes at most a quantum.
 *
 * Tearing down, in order: fault.c gives up all waits; packets, groups and
 * harts are freed; the pool is told; the error is published (fields, then
 * state with release, then the qerror bit, then the interrupt); the state
 * changes. So nothing of the queue reaches memory once its end can be seen.
 *
 * One thing can outlive its queue: a fault_resume() on the command thread that
 * has taken waits off before a core tore the queue down, and is still to wake
 * them. wake() takes the lock and finds the queue not RUNNING, but the wait
 * itself has to be there. Slots and packets that were parked at an end by a
 * core are therefore kept until queue_reap(), on the command thread (or in a
 * reset, which has stopped it): there no such resume can be under way.
 *
 * Lock order: an agent's lock, then queue_unit.lock. queue_unit.agent is
 * entered by threads that are inside no other agent and hold no lock.
 */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "dma.h"
#include "trace.h"

_Static_assert(sizeof(struct gsvm_queue_desc) == 128, "hardware layout");

/* ---- The queue table and the status page ---- */

static struct gsvm_queue_desc *queue_desc(struct queue *q)
{
	struct gpu *gpu = q->unit->gpu;
	uint64_t base = gpu->reg.queue_base;
	uint64_t addr = (base & GSVM_BASE_ADDR) + q->id * sizeof(struct gsvm_queue_desc);
	struct gsvm_queue_desc *d;

	d = gpu_ptr(gpu, base & GSVM_BASE_VRAM, addr, sizeof(*d), true);
	if (!d)
		gpu_fatal(gpu, GSVM_ERR_BUS, addr);
	return d;
}

static void desc_state(struct gsvm_queue_desc *d, uint32_t state)
{
	atomic_store_explicit((_Atomic uint32_t *)&d->state, state, memory_order_release);
}

static void publish_state(struct queue *q, uint32_t state)
{
	struct gsvm_queue_desc *d;

	agent_enter(&q->unit->agent);
	d = queue_desc(q);
	if (d)
		desc_state(d, state);
	agent_leave(&q->unit->agent);
}

static void publish_error(struct queue *q)
{
	struct gpu *gpu = q->unit->gpu;
	const struct queue_error *err = &q->err;
	struct gsvm_queue_desc *d;
	_Atomic uint64_t *bits;
	uint64_t bus = gpu->reg.status_base & GSVM_BASE_ADDR;

	bus += offsetof(struct gsvm_status, qerror) + q->id / 64 * 8;
	agent_enter(&q->unit->agent);
	d = queue_desc(q);
	if (d) {
		d->error = err->error;
		d->reason = err->reason;
		d->access = err->access;
		d->addr = err->addr;
		d->pc = err->pc;
		d->packet = err->packet;
		d->work_item = err->work_item;
		d->time = err->time ? err->time : gpu_time_ns(gpu);
		d->rsvd1 = 0;
		desc_state(d, GSVM_QUEUE_ERROR);
	}
	bits = gpu_ptr(gpu, false, bus, sizeof(*bits), true);
	if (bits)
		atomic_fetch_or(bits, 1ull << q->id % 64);
	agent_leave(&q->unit->agent);
	if (bits)
		irq_raise(gpu, GSVM_VEC_ERROR);
	else
		gpu_fatal(gpu, GSVM_ERR_BUS, bus);
	trace(gpu, "queue-error", q->asid, q->id, err->error, err->addr);
}

/* ---- Ends ---- */

/* With the lock held: RUNNING to ENDING. */
static void queue_end_begin(struct queue *q, const struct queue_error *err, bool by_core)
{
	q->state = QUEUE_ENDING;
	atomic_store_explicit(&q->ending, true, memory_order_relaxed);
	q->by_core = by_core;
	q->err = *err;
	q->unit->bell[q->asid][q->slot] = 0;
	sched_unlist(q);
	sched_timer_clear(q);
	pool_cancel(q);
}

/* The oldest packet that is under way, or the next one. */
static uint64_t oldest_packet(struct queue *q)
{
	struct list *l = list_first(&q->packets);

	if (l)
		return list_of(l, struct packet, all)->index;
	return q->front ? q->front->index : q->next;
}

/* Which packet does the fault belong to that the queue is cancelled for? */
static uint64_t fault_packet(struct queue *q, const struct gsvm_fault *first)
{
	const struct fault_wait *w;
	struct list *p, *g, *s;
	struct packet *pkt;

	list_each(p, &q->packets) {
		pkt = list_of(p, struct packet, all);
		w = &pkt->wait;
		if (pkt->parked && first->unit == GSVM_UNIT_PACKET && w->rec.addr == first->addr)
			return pkt->index;
		list_each(g, &pkt->d.groups) {
			list_each(s, &list_of(g, struct group, all)->slots) {
				w = &list_of(s, struct slot, all)->wait;
				if (first->unit == GSVM_UNIT_HART &&
				    list_of(s, struct slot, all)->parked &&
				    w->rec.work_item == first->work_item &&
				    w->rec.addr == first->addr && w->rec.pc == first->pc)
					return pkt->index;
			}
		}
	}
	return q->front ? q->front->index : oldest_packet(q);
}

/* ENDING, users == 0: nobody else looks at the queue. No lock, no agent. */
static void queue_teardown(struct queue *q, enum queue_state state, bool publish)
{
	struct queue_unit *u = q->unit;
	struct list slots, packets;
	struct gsvm_fault first;

	list_init(&slots);
	list_init(&packets);
	if (fault_drop_queue(u->gpu, q->id, &first) && q->err.error == GSVM_QERR_FAULT) {
		q->err.addr = first.addr;
		q->err.access = first.access;
		q->err.pc = first.pc;
		q->err.work_item = first.work_item;
		q->err.time = first.time;
		q->err.packet = fault_packet(q, &first);
	} else if (q->err.error == GSVM_QERR_FAULT) {
		q->err.packet = oldest_packet(q);
	}
	pthread_mutex_lock(&u->lock);
	if (q->front)
		signal_unwatch(&q->front->deps, q);
	pool_release(q, q->held);
	pthread_mutex_unlock(&u->lock);
	packet_drop_all(q, &slots, &packets);
	if (publish && q->err.error)
		publish_error(q);
	else if (publish)
		publish_state(q, GSVM_QUEUE_STOPPED);
	pthread_mutex_lock(&u->lock);
	list_splice(&u->dead_slots, &slots);
	list_splice(&u->dead_packets, &packets);
	q->state = state;
	pthread_cond_broadcast(&u->quiet);
	pthread_mutex_unlock(&u->lock);
}

void queue_finish(struct queue *q)
{
	queue_teardown(q, QUEUE_DEAD, true);
}

void queue_fail(struct queue *q, const struct queue_error *err)
{
	pthread_mutex_lock(&q->unit->lock);
	if (q->state == QUEUE_RUNNING)
		queue_end_begin(q, err, true);
	pthread_mutex_unlock(&q->unit->lock);
}

/* Command thread or reset: no wake can be under way. */
static void queue_reap(struct queue_unit *u)
{
	struct list slots, packets, *l;

	list_init(&slots);
	list_init(&packets);
	pthread_mutex_lock(&u->lock);
	list_splice(&slots, &u->dead_slots);
	list_splice(&packets, &u->dead_packets);
	pthread_mutex_unlock(&u->lock);
	while ((l = list_pop(&slots)))
		free(list_of(l, struct slot, all));
	while ((l = list_pop(&packets)))
		free(list_of(l, struct packet, all));
}

/*
 * End @q if it runs; returns when it has ended, by this or by what came first.
 * With @err NULL it is stopped, and goes to IDLE in any case.
 */
static void queue_end(struct queue *q, const struct queue_error *err, bool publish)
{
	static const struct queue_error none;
	struct queue_unit *u = q->unit;

	pthread_mutex_lock(&u->lock);
	while (q->state == QUEUE_ENDING)
		pthread_cond_wait(&u->quiet, &u->lock);
	if (q->state == QUEUE_RUNNING) {
		queue_end_begin(q, err ? err : &none, false);
		while (q->users)
			pthread_cond_wait(&u->quiet, &u->lock);
		pthread_mutex_unlock(&u->lock);
		queue_teardown(q, err ? QUEUE_DEAD : QUEUE_IDLE, publish);
	} else {
		if (!err)
			q->state = QUEUE_IDLE;
		pthread_mutex_unlock(&u->lock);
	}
	queue_reap(u);
}

/* ---- Commands ---- */

static bool desc_good(const struct gsvm_queue_desc *d)
{
	unsigned int i;

	for (i = 0; i < sizeof(d->rsvd0) / sizeof(d->rsvd0[0]); i++)
		if (d->rsvd0[i])
			return false;
	return !d->flags && d->asid < GSVM_MAX_ASIDS && d->ring % GSVM_PACKET_SIZE == 0 &&
	       d->ring_log2 >= 1 && d->ring_log2 <= 16 &&
	       d->doorbell < GSVM_DOORBELLS_PER_PAGE && d->read_index % 8 == 0;
}

/* The descriptor's upper half to @d; false: not reachable, which is fatal. */
static bool desc_read(struct queue *q, struct gsvm_queue_desc *d)
{
	struct gsvm_queue_desc *from;

	agent_enter(&q->unit->agent);
	from = queue_desc(q);
	if (from)
		memcpy(d, from, offsetof(struct gsvm_queue_desc, state));
	agent_leave(&q->unit->agent);
	return from;
}

/* IDLE or DEAD: only the command thread touches it. */
static void queue_set(struct queue *q, const struct gsvm_queue_desc *d)
{
	q->asid = d->asid;
	q->slot = d->doorbell;
	q->ring = d->ring;
	q->mask = (1ull << d->ring_log2) - 1;
	q->read_index = d->read_index;
	q->insn_limit = (uint64_t)d->hart_limit << 20;
	atomic_store(&q->ending, false);
	atomic_store(&q->doorbell, 0);
	memset(&q->err, 0, sizeof(q->err));
	q->front_state = FRONT_READY;
	q->front_again = false;
	q->front_turn = false;
	q->fresh_turn = false;
	q->backoff = 0;
	q->next = 0;
	q->indexed = false;
	q->front = NULL;
	list_init(&q->packets);
	list_init(&q->launch);
	list_init(&q->completing);
	list_init(&q->groups);
}

static bool queue_startable(struct queue *q)
{
	struct queue_unit *u = q->unit;
	bool good;

	pthread_mutex_lock(&u->lock);
	while (q->state == QUEUE_ENDING)
		pthread_cond_wait(&u->quiet, &u->lock);
	good = q->state != QUEUE_RUNNING;
	pthread_mutex_unlock(&u->lock);
	return good;
}

int queue_start(struct gpu *gpu, uint32_t id)
{
	struct queue_unit *u = gpu->queue;
	struct gsvm_queue_desc d;
	struct queue *q;
	bool good;

	if (id >= GSVM_MAX_QUEUES || !queue_startable(&u->queue[id]))
		return -EINVAL;
	q = &u->queue[id];
	queue_reap(u);
	if (!desc_read(q, &d))
		return 0;
	trace(gpu, "queue-start", d.asid, id, d.ring, d.doorbell);
	pthread_mutex_lock(&u->lock);
	good = desc_good(&d) && !u->bell[d.asid][d.doorbell];
	if (good) {
		queue_set(q, &d);
	} else {
		q->err = (struct queue_error){ .error = GSVM_QERR_DESC };
		q->state = QUEUE_DEAD;
	}
	pthread_mutex_unlock(&u->lock);
	if (!good) {
		publish_error(q);
		return 0;
	}
	publish_state(q, GSVM_QUEUE_RUNNING);
	pthread_mutex_lock(&u->lock);
	q->state = QUEUE_RUNNING;
	u->bell[q->asid][q->slot] = id + 1;
	sched_update(q);
	pthread_mutex_unlock(&u->lock);
	return 0;
}

int queue_stop(struct gpu *gpu, uint32_t id)
{
	if (id >= GSVM_MAX_QUEUES)
		return -EINVAL;
	queue_end(&gpu->queue->queue[id], NULL, true);
	trace(gpu, "queue-stop", TRACE_NONE, id, 0, 0);
	return 0;
}

int queue_cancel(struct gpu *gpu, uint32_t id, uint32_t reason)
{
	struct queue_error err = { .error = GSVM_QERR_FAULT, .reason = reason };

	if (id >= GSVM_MAX_QUEUES)
		return -EINVAL;
	queue_end(&gpu->queue->queue[id], &err, true);
	return 0;
}

/*
 * The value is latched, and only ever grows. Whatever its value, a doorbell has
 * a packet processor that met an INVALID header look again: with several
 * producers the one that publishes the earlier packet may ring last.
 */
void queue_doorbell(struct gpu *gpu, uint32_t asid, uint32_t slot, uint64_t value)
{
	struct queue_unit *u = gpu->queue;
	struct queue *q = NULL;

	if (asid < GSVM_MAX_ASIDS && slot < GSVM_DOORBELLS_PER_PAGE) {
		pthread_mutex_lock(&u->lock);
		if (u->bell[asid][slot]) {
			q = &u->queue[u->bell[asid][slot] - 1];
			if (value > atomic_load_explicit(&q->doorbell, memory_order_relaxed))
				atomic_store_explicit(&q->doorbell, value, memory_order_release);
			sched_front_wake(q, FRONT_SLEEP);
		}
		pthread_mutex_unlock(&u->lock);
	}
	if (!q)
		gpu_stat_add(gpu, GSVM_STAT_BAD_DOORBELLS, 1);
	trace(gpu, "doorbell", asid, q ? q->id : TRACE_NONE, slot, value);
}

/* ---- The unit ---- */

void queue_reset(struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < GSVM_MAX_QUEUES; i++)
		queue_end(&gpu->queue->queue[i], NULL, false);
}

int queue_init(struct gpu *gpu)
{
	struct queue_unit *u;
	unsigned int i;
	int ret;

	if (gpu->cfg.max_harts < QUEUE_MAX_GROUP || !gpu->cfg.num_cores ||
	    gpu->cfg.num_cores > GPU_MAX_CORES)
		return -EINVAL;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->gpu = gpu;
	agent_init(&u->agent);
	dma_add_agent(gpu, &u->agent);
	sched_init(u);
	signal_init(u);
	pool_init(&u->pool, gpu->cfg.max_harts);
	for (i = 0; i < GSVM_MAX_QUEUES; i++) {
		u->queue[i].unit = u;
		u->queue[i].id = i;
		list_init(&u->queue[i].run);
		list_init(&u->queue[i].wait);
		list_init(&u->queue[i].packets);
		list_init(&u->queue[i].launch);
		list_init(&u->queue[i].completing);
		list_init(&u->queue[i].groups);
	}
	gpu->queue = u;
	ret = core_start(gpu);
	if (ret)
		queue_exit(gpu);
	return ret;
}

/* Threads that call this unit, but for the cores, are gone. */
void queue_exit(struct gpu *gpu)
{
	struct queue_unit *u = gpu->queue;

	if (!u)
		return;
	queue_reset(gpu);
	core_stop(gpu);
	pthread_cond_destroy(&u->work);
	pthread_cond_destroy(&u->quiet);
	pthread_mutex_destroy(&u->lock);
	dma_remove_agent(gpu, &u->agent);
	agent_destroy(&u->agent);
	free(u);
	gpu->queue = NULL;
}
