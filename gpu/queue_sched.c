// SPDX-License-Identifier: MIT
/*
 * DOC: Scheduling
 *
 * A core (core.c) takes one queue at a time, does one thing for it for at most
 * SCHED_QUANTUM instructions, and puts it back. What can be done for a queue:
 *
 *	complete	change the signal of a packet all of whose groups ended
 *	front		run the packet processor; at most one core at a time
 *	group		run the ready harts of one work-group; one core per group,
 *			so several cores serve one queue that has several groups
 *
 * A queue with something to do is listed once, at its ASID; ASIDs take turns,
 * and so do the queues of one ASID. A core that takes a queue lists it again
 * at the end if more can be done for it, and wakes another core for that.
 *
 * One mutex, queue_unit.lock, covers all state that more than one thread
 * touches: queue states, lists, timers, the pool (pool.c), who waits for which
 * signal (queue_signal.c). Every section under it does a bounded, small amount of
 * work; instructions, packets, guest memory and fault.c are used without it.
 * It is inside of every agent's lock and of nothing else, and no lock is taken
 * under it.
 *
 * No wake-up is lost, because every waiter is put to its waiting state under
 * the lock after a look at the condition, or has a flag that the event sets:
 *
 * - A packet processor that found nothing to do rests with
 *   sched_front_rest(); an event that came since its turn began has set
 *   front_again, and it is READY instead.
 * - A hart or packet is marked parked before fault_park(), and its wake()
 *   takes the lock: it finds the group either running (whose core will look
 *   at group.woken under the lock before it lets go) or not (and lists it).
 * - A core sleeps in pthread_cond_wait() on the same lock.
 *
 * Who may touch a queue: a core between sched_wait() and sched_put() (counted
 * in users), the command thread for its commands, reset. Tearing down starts
 * at users == 0 in state ENDING, when no core can take the queue any more.
 */
#include <string.h>

#include "dispatch.h"
#include "packet.h"

void sched_init(struct queue_unit *u)
{
	pthread_condattr_t attr;
	unsigned int i;

	pthread_mutex_init(&u->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&u->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&u->quiet, NULL);
	list_init(&u->asids);
	list_init(&u->dead_slots);
	list_init(&u->dead_packets);
	for (i = 0; i < GSVM_MAX_ASIDS; i++) {
		list_init(&u->asid[i].run);
		list_init(&u->asid[i].queues);
	}
}

/* ---- Lists of runnable queues ---- */

static bool group_ready(struct queue *q)
{
	if (!list_empty(&q->groups))
		return true;
	return !list_empty(&q->launch) && (q->pool == POOL_NONE || q->pool == POOL_GRANTED);
}

void sched_update(struct queue *q)
{
	struct queue_unit *u = q->unit;
	struct sched_asid *a = &u->asid[q->asid];

	if (q->listed || q->state != QUEUE_RUNNING)
		return;
	if (q->front_state != FRONT_READY && list_empty(&q->completing) && !group_ready(q))
		return;
	if (list_empty(&a->queues))
		list_add_tail(&u->asids, &a->run);
	list_add_tail(&a->queues, &q->run);
	q->listed = true;
	if (u->sleepers)
		pthread_cond_signal(&u->work);
}

void sched_unlist(struct queue *q)
{
	struct sched_asid *a = &q->unit->asid[q->asid];

	if (!q->listed)
		return;
	q->listed = false;
	list_del(&q->run);
	if (list_empty(&a->queues))
		list_del(&a->run);
}

/* ---- Timers: a heap of queues whose packet processor waits ---- */

static void heap_put(struct queue_unit *u, unsigned int i, struct queue *q)
{
	u->heap[i] = q;
	q->heap_at = i + 1;
}

static void heap_up(struct queue_unit *u, unsigned int i, struct queue *q)
{
	while (i && u->heap[(i - 1) / 2]->deadline > q->deadline) {
		heap_put(u, i, u->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(u, i, q);
}

static void heap_down(struct queue_unit *u, unsigned int i, struct queue *q)
{
	unsigned int child;

	while ((child = 2 * i + 1) < u->heap_len) {
		if (child + 1 < u->heap_len &&
		    u->heap[child + 1]->deadline < u->heap[child]->deadline)
			child++;
		if (u->heap[child]->deadline >= q->deadline)
			break;
		heap_put(u, i, u->heap[child]);
		i = child;
	}
	heap_put(u, i, q);
}

void sched_timer_set(struct queue *q, uint64_t deadline)
{
	struct queue_unit *u = q->unit;

	sched_timer_clear(q);
	q->deadline = deadline;
	heap_up(u, u->heap_len++, q);
}

void sched_timer_clear(struct queue *q)
{
	struct queue_unit *u = q->unit;
	unsigned int i = q->heap_at;
	struct queue *last;

	if (!i--)
		return;
	q->heap_at = 0;
	last = u->heap[--u->heap_len];
	if (last == q)
		return;
	if (i && u->heap[(i - 1) / 2]->deadline > last->deadline)
		heap_up(u, i, last);
	else
		heap_down(u, i, last);
}

static void timers_expire(struct queue_unit *u)
{
	uint64_t now;

	if (!u->heap_len)
		return;
	now = sched_now();
	while (u->heap_len && u->heap[0]->deadline <= now)
		sched_front_wake(u->heap[0], FRONT_DEPS);
}

/* ---- The packet processor's sleep ---- */

void sched_front_wake(struct queue *q, enum front_state from)
{
	if (q->front_state == FRONT_BUSY) {
		q->front_again = true;
	} else if (q->front_state == from) {
		q->front_state = FRONT_READY;
		sched_timer_clear(q);
		sched_update(q);
	}
}

void sched_front_rest(struct queue *q, enum front_state state)
{
	q->front_state = q->front_again ? FRONT_READY : state;
	q->front_again = false;
	sched_update(q);
}

/* ---- Taking and putting ---- */

static bool take_group(struct queue *q, struct work *w)
{
	struct list *l = NULL;

	w->kind = WORK_GROUP;
	w->group = NULL;
	if (q->fresh_turn || list_empty(&q->groups)) {
		w->group = group_place(q, w);
		q->fresh_turn = false;
	}
	if (!w->group && (l = list_pop(&q->groups)))
		w->group = group_take(l);
	return w->group;
}

/* Choose what to do for @q; false when it turns out that nothing can be done. */
static bool take(struct queue *q, struct work *w)
{
	bool front = q->front_state == FRONT_READY;
	struct list *l = list_pop(&q->completing);

	if (l) {
		w->kind = WORK_COMPLETE;
		w->pkt = packet_of_completing(l);
		return true;
	}
	if (group_ready(q) && !(front && q->front_turn)) {
		q->front_turn = true;
		if (take_group(q, w))
			return true;
	}
	if (!front)
		return false;
	q->front_turn = false;
	q->front_state = FRONT_BUSY;
	q->front_again = false;
	w->kind = WORK_FRONT;
	return true;
}

static bool sched_pick(struct queue_unit *u, struct work *w)
{
	struct sched_asid *a;
	struct queue *q;
	bool taken;

	while (!list_empty(&u->asids)) {
		a = list_of(u->asids.next, struct sched_asid, run);
		q = list_of(a->queues.next, struct queue, run);
		sched_unlist(q);
		if (!list_empty(&a->queues)) {
			list_del(&a->run);
			list_add_tail(&u->asids, &a->run);
		}
		memset(w, 0, sizeof(*w));
		w->q = q;
		taken = take(q, w);
		if (!taken && w->starved) {
			w->kind = WORK_NAP;
			taken = true;
		}
		q->users += taken;
		sched_update(q);
		if (taken)
			return true;
	}
	return false;
}

bool sched_wait(struct queue_unit *u, struct work *w)
{
	struct timespec ts;
	uint64_t t;

	pthread_mutex_lock(&u->lock);
	for (;;) {
		timers_expire(u);
		if (u->exit || sched_pick(u, w))
			break;
		u->sleepers++;
		if (u->heap_len) {
			t = u->heap[0]->deadline;
			ts.tv_sec = t / 1000000000;
			ts.tv_nsec = t % 1000000000;
			pthread_cond_timedwait(&u->work, &u->lock, &ts);
		} else {
			pthread_cond_wait(&u->work, &u->lock);
		}
		u->sleepers--;
	}
	pthread_mutex_unlock(&u->lock);
	return !u->exit;
}

void sched_put(struct queue_unit *u, struct work *w)
{
	struct queue *q = w->q;
	bool finish = false;

	if (w->insns)
		gpu_stat_add(u->gpu, GSVM_STAT_INSNS, w->insns);
	pthread_mutex_lock(&u->lock);
	if (w->group)
		group_put(w->group);
	if (!--q->users && q->state == QUEUE_ENDING) {
		finish = q->by_core;
		pthread_cond_broadcast(&u->quiet);
	}
	sched_update(q);
	pthread_mutex_unlock(&u->lock);
	if (finish)
		queue_finish(q);
}
