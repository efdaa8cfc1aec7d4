// SPDX-License-Identifier: MIT
/*
 * DOC: Dispatches
 *
 * A kernel packet's groups are placed one after the other, when the pool
 * (pool.c) has room for all harts of one. Of a group's harts only those exist
 * that have started and not ended; one that runs to its end without waiting
 * leaves its slot, still warm in the cache, to the next. The number of harts
 * in flight bounds the memory, not the size of the grid.
 *
 * A hart is
 *
 *	not started	-> running
 *	ready		-> running, in turn, after those not started
 *	running		-> ended, ready (its slice is over), at the barrier, parked
 *	at the barrier	-> ready, all together, when no hart of the group is
 *			anything but at the barrier or ended
 *	parked		-> woken, by fault.c
 *	woken		-> ready, when the group gets its next turn
 *
 * A group is runnable while it has a hart not started, ready or woken; it is
 * then on queue.groups or has a core. Only that core touches it, but for the
 * woken list. A group whose harts all wait is on no list; the first woken hart
 * lists it.
 *
 * A turn goes to a new group rather than to one in flight after a group used
 * up a quantum: harts that wait in a loop for another group of the same grid
 * see it start as long as the pool has room. Otherwise groups in flight come
 * first, which keeps few of them in memory.
 *
 * What a work-item finds in private and group memory is undefined, but is
 * never another queue's: memory goes from group to group inside one dispatch
 * only, and is zeroed before.
 */
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define HART_SLICE	8192	/* instructions before another hart of the group goes on */
#define HART_COST	40	/* of starting or switching harts, in instructions */
#define GROUP_COST	200

/* ---- Groups: under queue_unit.lock ---- */

static struct group *group_new(struct packet *pkt)
{
	struct group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->hg = pkt->d.proto;
	if (g->hg.group_len) {
		g->hg.group_mem = calloc(1, g->hg.group_len);
		if (!g->hg.group_mem) {
			free(g);
			return NULL;
		}
	}
	g->pkt = pkt;
	list_init(&g->link);
	list_init(&g->woken);
	list_init(&g->ready);
	list_init(&g->barrier);
	list_init(&g->spare);
	list_init(&g->slots);
	list_add_tail(&pkt->d.groups, &g->all);
	return g;
}

/* Give @g the next place in the grid. */
static void group_next(struct group *g)
{
	struct packet *pkt = g->pkt;
	struct dispatch *d = &pkt->d;
	struct hart_group *hg = &g->hg;
	unsigned int i;
	uint64_t left;

	g->size = 1;
	for (i = 0; i < 3; i++) {
		hg->group_id[i] = d->next[i];
		left = hg->grid_size[i] - (uint64_t)d->next[i] * hg->local_size[i];
		hg->group_size[i] = left < hg->local_size[i] ? left : hg->local_size[i];
		g->size *= hg->group_size[i];
	}
	g->started = 0;
	g->ended = 0;
	g->waiting = 0;
	memset(g->next, 0, sizeof(g->next));
	g->over = false;
	for (i = 0; i < 3; i++) {
		if (++d->next[i] < d->ngroups[i])
			return;
		d->next[i] = 0;
	}
	/* That was the last. The next packet may want another number of harts. */
	list_del(&pkt->launch);
	pool_cancel(pkt->q);
}

struct group *group_place(struct queue *q, struct work *w)
{
	struct list *l = list_first(&q->launch);
	struct packet *pkt;
	struct group *g;

	if (!l)
		return NULL;
	pkt = list_of(l, struct packet, launch);
	if (!pool_admit(q, pkt->d.harts))
		return NULL;
	l = list_pop(&pkt->d.spare);
	g = l ? list_of(l, struct group, link) : group_new(pkt);
	if (!g) {
		pool_release(q, pkt->d.harts);
		w->starved = true;
		return NULL;
	}
	pkt->d.live++;
	g->running = true;
	group_next(g);
	return g;
}

struct group *group_take(struct list *link)
{
	struct group *g = list_of(link, struct group, link);

	g->running = true;
	return g;
}

static bool group_runnable(const struct group *g)
{
	return g->started < g->size || !list_empty(&g->ready) || !list_empty(&g->woken);
}

void group_put(struct group *g)
{
	struct packet *pkt = g->pkt;
	struct queue *q = pkt->q;

	g->running = false;
	if (g->expired)
		q->fresh_turn = true;
	g->expired = false;
	if (!g->over) {
		if (group_runnable(g))
			list_add_tail(&q->groups, &g->link);
		return;
	}
	list_add_tail(&pkt->d.spare, &g->link);
	pkt->d.live--;
	pool_release(q, pkt->d.harts);
	if (!pkt->d.live && list_empty(&pkt->launch)) {
		pkt->step = PACKET_SIGNAL;
		list_add_tail(&q->completing, &pkt->completing);
	}
}

/* ---- Harts: by the core that has the group ---- */

static void slot_wake(struct fault_wait *wait)
{
	struct slot *s = list_of(wait, struct slot, wait);
	struct queue *q = s->q;
	struct group *g;

	pthread_mutex_lock(&q->unit->lock);
	/* In any other state the group may be gone (queue_reap()). */
	if (q->state == QUEUE_RUNNING) {
		g = s->group;
		s->parked = false;
		list_add_tail(&g->woken, &s->link);
		if (!g->running && list_empty(&g->link)) {
			list_add_tail(&q->groups, &g->link);
			sched_update(q);
		}
	}
	pthread_mutex_unlock(&q->unit->lock);
}

static void slot_park(struct core *core, struct slot *s, const struct mmu_fault *fault)
{
	struct gsvm_fault *rec = &s->wait.rec;
	struct queue *q = s->q;

	memset(rec, 0, sizeof(*rec));
	rec->addr = fault->addr;
	rec->asid = q->asid;
	rec->queue = q->id;
	rec->access = fault->access;
	rec->reason = fault->reason;
	rec->unit = GSVM_UNIT_HART;
	rec->core = core->id;
	rec->work_item = hart_global_linear(&s->hart);
	rec->pc = s->hart.pc;
	s->wait.wake = slot_wake;
	s->parked = true;
	fault_park(core->gpu, &s->wait);
}

static void slot_fail(struct slot *s, const struct hart_stop_info *stop)
{
	struct queue_error err = {
		.error = stop->qerr,
		.access = stop->access,
		.addr = stop->addr,
		.pc = s->hart.pc,
		.packet = s->group->pkt->index,
		.work_item = hart_global_linear(&s->hart),
	};

	queue_fail(s->q, &err);
}

static struct slot *slot_new(struct group *g)
{
	struct slot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (g->hg.private_len) {
		s->hart.private_mem = calloc(1, g->hg.private_len);
		if (!s->hart.private_mem) {
			free(s);
			return NULL;
		}
	}
	s->q = g->pkt->q;
	s->group = g;
	list_init(&s->link);
	list_add_tail(&g->slots, &s->all);
	return s;
}

static struct slot *slot_start(struct group *g)
{
	struct dispatch *d = &g->pkt->d;
	struct list *l = list_pop(&g->spare);
	struct slot *s = l ? list_of(l, struct slot, link) : slot_new(g);
	uint8_t *private_mem;
	unsigned int i;

	if (!s)
		return NULL;
	private_mem = s->hart.private_mem;
	hart_init(&s->hart, &g->hg, g->next, d->entry, g->pkt->p.kernel.kernarg, d->preload,
		  d->npreload);
	s->hart.private_mem = private_mem;
	g->started++;
	for (i = 0; i < 3; i++) {
		if (++g->next[i] < g->hg.group_size[i])
			break;
		g->next[i] = 0;
	}
	return s;
}

static struct slot *slot_next(struct group *g, struct work *w)
{
	struct slot *s;
	struct list *l;

	if (g->started < g->size) {
		s = slot_start(g);
		if (s)
			return s;
		w->starved = true;
	}
	l = list_pop(&g->ready);
	return l ? list_of(l, struct slot, link) : NULL;
}

/* The barrier opens when there is nobody left who could still come. */
static void barrier_look(struct group *g)
{
	if (!g->waiting || g->waiting + g->ended < g->size)
		return;
	g->waiting = 0;
	list_splice(&g->ready, &g->barrier);
}

static uint64_t slot_run(struct core *core, struct slot *s, unsigned int budget)
{
	struct hart_stop_info stop = { 0 };
	uint64_t before = s->hart.insns, insns;
	struct group *g = s->group;
	enum hart_stop why;

	why = hart_run(core, &s->hart, budget, &stop);
	/* A parked hart can be running elsewhere at once. */
	insns = s->hart.insns - before;
	switch (why) {
	case HART_BUDGET:
		list_add_tail(&g->ready, &s->link);
		break;
	case HART_DONE:
		list_add_tail(&g->spare, &s->link);
		g->ended++;
		barrier_look(g);
		break;
	case HART_BARRIER:
		list_add_tail(&g->barrier, &s->link);
		g->waiting++;
		barrier_look(g);
		break;
	case HART_FAULT:
		slot_park(core, s, &stop.fault);
		break;
	case HART_ERROR:
		slot_fail(s, &stop);
	}
	return insns;
}

/* All harts ended: the same memory for another group, or over. */
static bool group_renew(struct group *g)
{
	struct queue *q = g->pkt->q;

	gpu_stat_add(q->unit->gpu, GSVM_STAT_WORK_ITEMS, g->size);
	pthread_mutex_lock(&q->unit->lock);
	g->over = true;
	if (!list_empty(&g->pkt->launch) && pool_keep(q))
		group_next(g);
	pthread_mutex_unlock(&q->unit->lock);
	return !g->over;
}

void group_run(struct core *core, struct work *w)
{
	struct group *g = w->group;
	int budget = SCHED_QUANTUM;
	struct slot *s;
	uint64_t used;

	pthread_mutex_lock(&w->q->unit->lock);
	list_splice(&g->ready, &g->woken);
	pthread_mutex_unlock(&w->q->unit->lock);
	while (budget > 0 && !agent_kicked(&core->agent) && !queue_ending(w->q)) {
		s = slot_next(g, w);
		if (!s)
			break;
		used = slot_run(core, s, budget < HART_SLICE ? budget : HART_SLICE);
		w->insns += used;
		budget -= used + HART_COST;
		if (g->ended == g->size) {
			budget -= GROUP_COST;
			if (!group_renew(g))
				break;
		}
	}
	g->expired = budget <= 0;
}

/* ---- Ends ---- */

static void group_free(struct group *g, struct list *slots)
{
	struct slot *s;
	struct list *l;

	while ((l = list_pop(&g->slots))) {
		s = list_of(l, struct slot, all);
		free(s->hart.private_mem);
		if (s->parked)
			list_add_tail(slots, &s->all);
		else
			free(s);
	}
	free(g->hg.group_mem);
	free(g);
}

void dispatch_drop(struct packet *pkt, struct list *slots)
{
	struct list *l;

	while ((l = list_pop(&pkt->d.groups)))
		group_free(list_of(l, struct group, all), slots);
}
