// SPDX-License-Identifier: MIT
/*
 * DOC: The pool of harts
 *
 * cfg.max_harts bounds the work-items in flight. A group takes all its harts
 * from the pool before the first one starts, because a barrier needs them all,
 * and gives them back when the last has ended; a parked hart cannot be taken
 * away from its queue. What keeps one queue from holding everything:
 *
 * - A reserve, a quarter of the pool and one largest group (but not more than
 *   half of the pool), is only for queues that hold nothing ("first" groups).
 *   They are served in the order they came, and while one waits, nobody gets
 *   more.
 * - A queue that holds harts gets more only up to SHARE times what would still
 *   be free, so the more greedy queues there are, the less each one holds, and
 *   the first one never takes all.
 *
 * Guarantee: a queue without harts gets a group as soon as the groups in
 * flight leave room for it, and groups leave room when harts end: by their
 * program, by a resumed or cancelled fault, by hart_limit, or by a stop of
 * their queue. What queues took beyond their first group leaves the reserve
 * free, so only first groups that never end can stand in its way for good, and
 * they must then fill the reserve up to where its own group does not fit.
 * Packets that need no harts (barriers, copies, fills) are never held up here.
 *
 * All under queue_unit.lock.
 */
#include "queue_sched.h"

#define SHARE	2	/* times the free part of the pool */
#define TRIES	8	/* waiters looked at per release: bounded time under the lock */

void pool_init(struct pool *p, unsigned int harts)
{
	p->size = harts;
	p->used = 0;
	p->reserve = harts / 4 + QUEUE_MAX_GROUP;
	if (p->reserve > harts / 2)
		p->reserve = harts / 2;
	list_init(&p->first);
	list_init(&p->more);
}

static bool pool_fits(struct pool *p, struct queue *q, unsigned int n)
{
	uint64_t shared = p->size - p->reserve;

	if (!q->held)
		return p->used + n <= p->size;
	return p->used + n <= shared && q->held + n <= SHARE * (shared - p->used);
}

static void pool_take(struct pool *p, struct queue *q, unsigned int n)
{
	p->used += n;
	q->held += n;
}

static void pool_grant(struct pool *p, struct queue *q)
{
	list_del(&q->wait);
	pool_take(p, q, q->want);
	q->pool = POOL_GRANTED;
	sched_update(q);
}

/* Harts came back, or a waiter went: who can go on? */
static void pool_serve(struct pool *p)
{
	struct queue *q;
	unsigned int i;

	while (!list_empty(&p->first)) {
		q = list_of(p->first.next, struct queue, wait);
		if (!pool_fits(p, q, q->want))
			return;
		pool_grant(p, q);
	}
	for (i = 0; i < TRIES && !list_empty(&p->more); i++) {
		q = list_of(p->more.next, struct queue, wait);
		if (pool_fits(p, q, q->want)) {
			pool_grant(p, q);
		} else {
			list_del(&q->wait);
			list_add_tail(&p->more, &q->wait);
		}
	}
}

bool pool_admit(struct queue *q, unsigned int n)
{
	struct pool *p = &q->unit->pool;

	if (q->pool == POOL_GRANTED) {
		q->pool = POOL_NONE;
		return true;
	}
	if (q->pool != POOL_NONE)
		return false;
	if (list_empty(&p->first) && pool_fits(p, q, n)) {
		pool_take(p, q, n);
		return true;
	}
	q->want = n;
	q->pool = q->held ? POOL_MORE : POOL_FIRST;
	list_add_tail(q->held ? &p->more : &p->first, &q->wait);
	return false;
}

bool pool_keep(struct queue *q)
{
	struct pool *p = &q->unit->pool;

	return list_empty(&p->first) && (list_empty(&p->more) || pool_fits(p, q, 0));
}

void pool_release(struct queue *q, unsigned int n)
{
	struct pool *p = &q->unit->pool;

	p->used -= n;
	q->held -= n;
	if (q->pool == POOL_MORE && !q->held) {
		list_del(&q->wait);
		list_add_tail(&p->first, &q->wait);
		q->pool = POOL_FIRST;
	} else if (q->pool == POOL_MORE && list_empty(&p->first) && pool_fits(p, q, q->want)) {
		/* Its own harts came back: the one release it can count on. */
		pool_grant(p, q);
	}
	pool_serve(p);
}

void pool_cancel(struct queue *q)
{
	enum pool_state was = q->pool;

	q->pool = POOL_NONE;
	if (was == POOL_GRANTED) {
		pool_release(q, q->want);
	} else if (was != POOL_NONE) {
		list_del(&q->wait);
		pool_serve(&q->unit->pool);
	}
}
