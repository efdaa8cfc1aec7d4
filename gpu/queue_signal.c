// SPDX-License-Identifier: MIT
/*
 * DOC: Signals
 *
 * A signal is 64-byte aligned, so all of it lies in one page: a single
 * translation with the atomic right covers everything that completion does.
 * After it has been obtained nothing can fail any more, and so the decrement
 * happens exactly once however often the access had to park before.
 *
 * Barrier packets wait for signals in a hash table by ASID and VA; a
 * completion on this device notifies those that wait for the very same VA.
 * Values changed by the CPU, by harts, or through another VA are found by
 * polling (packet.c). A notice is not lost: the waiter counts itself in
 * queue_unit.waiters and only then reads the value, the completion changes the
 * value and only then reads waiters; all four are sequentially consistent, so
 * one of them sees the other.
 */
#include "queue_signal.h"

#include "dma.h"
#include "packet.h"
#include "trace.h"

static struct list *bucket(struct queue_unit *u, uint32_t asid, uint64_t va)
{
	uint64_t h = (va >> 6) * 0x9e3779b97f4a7c15ull + (uint64_t)asid * 0xbf58476d1ce4e5b9ull;

	return &u->waiter[(h >> 40) % SIGNAL_BUCKETS];
}

void signal_init(struct queue_unit *u)
{
	unsigned int i;

	for (i = 0; i < SIGNAL_BUCKETS; i++)
		list_init(&u->waiter[i]);
}

void signal_watch(struct signal_set *s, struct queue *q, const __u64 dep[SIGNAL_DEPS])
{
	unsigned int i;

	if (s->listed)
		return;
	for (i = 0; i < SIGNAL_DEPS; i++) {
		s->wait[i].va = dep[i];
		s->wait[i].asid = q->asid;
		s->wait[i].q = q;
		if (dep[i])
			list_add_tail(bucket(q->unit, q->asid, dep[i]), &s->wait[i].link);
		else
			list_init(&s->wait[i].link);
	}
	s->listed = true;
	atomic_fetch_add(&q->unit->waiters, 1);
}

void signal_unwatch(struct signal_set *s, struct queue *q)
{
	unsigned int i;

	if (!s->listed)
		return;
	for (i = 0; i < SIGNAL_DEPS; i++)
		list_del(&s->wait[i].link);
	s->listed = false;
	atomic_fetch_sub(&q->unit->waiters, 1);
}

static void signal_notify(struct queue_unit *u, uint32_t asid, uint64_t va)
{
	struct list *b = bucket(u, asid, va), *l;
	struct signal_wait *w;

	if (!atomic_load(&u->waiters))
		return;
	pthread_mutex_lock(&u->lock);
	list_each(l, b) {
		w = list_of(l, struct signal_wait, link);
		if (w->va == va && w->asid == asid)
			sched_front_wake(w->q, FRONT_DEPS);
	}
	pthread_mutex_unlock(&u->lock);
}

/* Tell the driver that a signal of @asid changed. */
static void signal_irq(struct gpu *gpu, uint32_t asid)
{
	uint64_t bus = gpu->reg.status_base & GSVM_BASE_ADDR;
	_Atomic uint64_t *bits;

	bus += offsetof(struct gsvm_status, event) + asid / 64 * 8;
	bits = gpu_ptr(gpu, false, bus, sizeof(*bits), true);
	if (!bits) {
		gpu_fatal(gpu, GSVM_ERR_BUS, bus);
		return;
	}
	atomic_fetch_or(bits, 1ull << asid % 64);
	irq_raise(gpu, GSVM_VEC_EVENT);
}

bool signal_complete(struct core *core, struct packet *pkt, uint64_t va, struct mmu_fault *fault)
{
	struct queue *q = pkt->q;
	struct gpu *gpu = core->gpu;
	uint64_t end = gpu_time_ns(gpu);
	struct gsvm_signal *s;

	if (va) {
		s = mmu_ptr(gpu, &core->tlb, q->asid, va, GSVM_ACCESS_ATOMIC, fault);
		if (!s)
			return false;
		/* Packets that share a signal may complete at the same time. */
		atomic_store_explicit((_Atomic uint64_t *)&s->start, pkt->start,
				      memory_order_relaxed);
		atomic_store_explicit((_Atomic uint64_t *)&s->end, end, memory_order_relaxed);
		/* Releases all that the packet did; orders against the look at irq. */
		atomic_fetch_sub((_Atomic int64_t *)&s->value, 1);
		if (atomic_load((_Atomic uint32_t *)&s->irq))
			signal_irq(gpu, q->asid);
		signal_notify(q->unit, q->asid, va);
	}
	gpu_stat_add(gpu, GSVM_STAT_PACKETS, 1);
	trace(gpu, "packet-done", q->asid, q->id, pkt->index, end - pkt->start);
	return true;
}

bool signal_poll(struct core *core, struct queue *q, uint64_t va, bool *zero,
		 struct mmu_fault *fault)
{
	_Atomic int64_t *value = mmu_ptr(core->gpu, &core->tlb, q->asid, va, GSVM_ACCESS_READ,
					 fault);

	if (!value)
		return false;
	*zero = !atomic_load(value);
	return true;
}
