// SPDX-License-Identifier: MIT
/*
 * Queues as a whole: start and every way to end, fairness between queues and
 * harts, parked harts by the ten thousand.
 */
#include <errno.h>
#include <sched.h>

#include "queue_fake.h"
#include "queue_sched.h"

enum { MARK, ENDLESS, TOUCH, BROKEN, CORES, SPIN, PAIR, LIMIT };

/* ---- Scripts ---- */

/* Counts its turns at kernarg. */
static enum hart_stop run_endless(struct core *core, struct hart *h, unsigned int budget,
				  struct hart_stop_info *stop)
{
	_Atomic uint32_t *turns = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);

	if (!turns)
		return HART_FAULT;
	atomic_fetch_add(turns, 1);
	h->insns += budget;
	return HART_BUDGET;
}

/* Reads a page of its own, 0..63 by its id, then counts at kernarg. */
static enum hart_stop run_touch(struct core *core, struct hart *h, unsigned int budget,
				struct hart_stop_info *stop)
{
	uint64_t id = hart_global_linear(h);

	if (!hart_at(core, h, h->x[10] + 4096 + id % 64 * 4096 + id % 4096, GSVM_ACCESS_READ, stop))
		return HART_FAULT;
	return run_count(core, h, budget, stop);
}

static enum hart_stop run_broken(struct core *core, struct hart *h, unsigned int budget,
				 struct hart_stop_info *stop)
{
	if (hart_global_linear(h) != 5)
		return run_count(core, h, budget, stop);
	h->pc += 8;
	stop->qerr = GSVM_QERR_INSN;
	stop->addr = 0xdeadbeef;
	return HART_ERROR;
}

/* Waits until two cores have been here. */
static enum hart_stop run_cores(struct core *core, struct hart *h, unsigned int budget,
				struct hart_stop_info *stop)
{
	_Atomic uint32_t *seen = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);

	if (!seen)
		return HART_FAULT;
	h->insns += budget;
	atomic_fetch_or(seen, 1u << core->id);
	sched_yield();
	return atomic_load(seen) == 3 ? HART_DONE : HART_BUDGET;
}

/* The last work-item sets the flag that all others wait for. */
static enum hart_stop run_spin(struct core *core, struct hart *h, unsigned int budget,
			       struct hart_stop_info *stop)
{
	_Atomic uint32_t *flag = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);

	if (!flag)
		return HART_FAULT;
	h->insns += budget;
	if (hart_global_linear(h) == h->group->grid_size[0] - 1)
		atomic_store(flag, 1);
	return atomic_load(flag) ? HART_DONE : HART_BUDGET;
}

/* The first spins for what the second does after a fault. */
static enum hart_stop run_pair(struct core *core, struct hart *h, unsigned int budget,
			       struct hart_stop_info *stop)
{
	if (hart_global_linear(h) == 1 &&
	    !hart_at(core, h, h->x[10] + 4096, GSVM_ACCESS_WRITE, stop))
		return HART_FAULT;
	return run_spin(core, h, budget, stop);
}

static enum hart_stop run_limit(struct core *core, struct hart *h, unsigned int budget,
				struct hart_stop_info *stop)
{
	uint64_t *to = hart_at(core, h, h->x[10], GSVM_ACCESS_WRITE, stop);

	(void)budget;
	if (!to)
		return HART_FAULT;
	*to = h->group->insn_limit;
	return HART_DONE;
}

static script_fn *script[] = {
	[MARK] = run_count, [ENDLESS] = run_endless, [TOUCH] = run_touch, [BROKEN] = run_broken,
	[CORES] = run_cores, [SPIN] = run_spin, [PAIR] = run_pair, [LIMIT] = run_limit,
};

/* ---- Helpers ---- */

static uint64_t kernel[16];

static void open_fake(unsigned int harts)
{
	unsigned int i;

	fake_open(2, harts);
	for (i = 0; i < sizeof(script) / sizeof(script[0]); i++)
		kernel[i] = user_kernel(i);
}

static void push_kernel(struct user_queue *u, unsigned int n, uint32_t group, uint32_t grid,
			uint64_t arg, uint64_t signal)
{
	struct gsvm_pkt_kernel p = pkt_kernel(kernel[n], group, grid, arg, signal);

	user_push(u, &p);
}

/* ---- Starting ---- */

static void bad_start(const char *name, const struct user_queue *u)
{
	unsigned int irq = fake.irq[GSVM_VEC_ERROR];
	struct gsvm_queue_desc *d = &fake.desc[u->id];
	uint64_t bits;
	int ret;

	pthread_mutex_lock(&fake.cmd_lock);
	ret = queue_start(&fake.gpu, u->id);
	pthread_mutex_unlock(&fake.cmd_lock);
	bits = atomic_exchange((_Atomic uint64_t *)&fake.status->qerror[u->id / 64], 0);
	tap_ok(!ret && d->state == GSVM_QUEUE_ERROR && d->error == GSVM_QERR_DESC &&
	       fake.irq[GSVM_VEC_ERROR] == irq + 1 && bits == 1ull << u->id % 64,
	       "descriptor: %s", name);
	user_desc(u);
}

static void test_start(void)
{
	struct user_queue u = user_queue(100, 4, 9, 3), v;
	struct gsvm_queue_desc *d = &fake.desc[100];
	unsigned int i;

	user_desc(&u);
	d->flags = 1;
	bad_start("flags", &u);
	d->asid = GSVM_MAX_ASIDS;
	bad_start("asid", &u);
	d->ring += 32;
	bad_start("misaligned ring", &u);
	d->ring_log2 = 0;
	bad_start("ring of one packet", &u);
	d->ring_log2 = 17;
	bad_start("ring of 2^17 packets", &u);
	d->doorbell = GSVM_DOORBELLS_PER_PAGE;
	bad_start("doorbell", &u);
	d->read_index += 4;
	bad_start("misaligned read index", &u);
	for (i = 0; i < 7; i += 6) {
		d->rsvd0[i] = 1;
		bad_start("rsvd0", &u);
	}
	tap_eq(user_start(&u), 0, "a good descriptor, after errors");
	tap_eq(user_state(&u), GSVM_QUEUE_RUNNING, "state");
	tap_eq(user_start(&u), -EINVAL, "start of a running queue");
	v = u;
	v.id = 101;
	user_desc(&v);
	bad_start("doorbell of another queue", &v);
	user_stop(&u);
	tap_eq(user_state(&u), GSVM_QUEUE_STOPPED, "state after stop");
	tap_eq(user_start(&v), 0, "whose doorbell is free after its stop");
	user_stop(&v);
	tap_eq(queue_start(&fake.gpu, GSVM_MAX_QUEUES), -EINVAL, "no such queue to start");
	tap_eq(queue_stop(&fake.gpu, GSVM_MAX_QUEUES), -EINVAL, "to stop");
	tap_eq(queue_cancel(&fake.gpu, ~0u, 0), -EINVAL, "to cancel");
	tap_eq(user_stop(&u), 0, "stop of a stopped queue");
	tap_eq(user_cancel(&u, 1), 0, "cancel of a stopped queue");
	tap_eq(user_state(&u), GSVM_QUEUE_STOPPED, "changes nothing");
}

/* ---- Ends ---- */

static void test_error(void)
{
	struct user_queue u = started(1, 3), v = started(2, 3);
	uint64_t arg = fake_alloc(4, 4096), s = user_signal(1), t = user_signal(1);
	struct gsvm_queue_desc *d = &fake.desc[1];
	unsigned int irq = fake.irq[GSVM_VEC_ERROR];
	uint64_t bad = fake.gpu.stat[GSVM_STAT_BAD_DOORBELLS];

	push_kernel(&u, MARK, 1, 1, arg, 0);
	push_kernel(&u, BROKEN, 4, 16, arg, s);
	tap_ok(wait_until(fake.irq[GSVM_VEC_ERROR] == irq + 1), "a hart's error ends its queue");
	tap_eq(user_state(&u), GSVM_QUEUE_ERROR, "state");
	tap_eq(d->error, GSVM_QERR_INSN, "error");
	tap_eq(d->addr, 0xdeadbeef, "addr");
	tap_eq(d->pc, SCRIPT_VA + 16 * BROKEN + 8, "pc");
	tap_eq(d->packet, 1, "packet");
	tap_eq(d->work_item, 5, "work_item");
	tap_eq(d->reason, 0, "reason");
	tap_ok(d->time && d->time <= now_ns(), "time");
	tap_eq(atomic_exchange((_Atomic uint64_t *)&fake.status->qerror[0], 0), 2, "qerror bit");
	tap_eq(signal_value(s), 1, "the packet's signal stays");
	push_kernel(&v, MARK, 1, 1, arg, t);
	tap_ok(idle_signal(t), "other queues go on");
	user_ring(&u);
	tap_eq(fake.gpu.stat[GSVM_STAT_BAD_DOORBELLS] - bad, 1, "it has no doorbell any more");
	tap_eq(user_cancel(&u, 9), 0, "cancel of a dead queue");
	tap_eq(d->error, GSVM_QERR_INSN, "does not hide the error");
	tap_eq(user_start(&u), 0, "it can be started again");
	u.write = user_consumed(&u);
	push_kernel(&u, MARK, 1, 1, arg, s);
	tap_ok(idle_signal(s), "and works");
	user_stop(&u);
	user_stop(&v);
}

static void test_cancel(void)
{
	struct user_queue u = started(3, 3);
	uint64_t arg = fake_alloc(66 * 4096, 4096), s = user_signal(1), i, time;
	struct gsvm_queue_desc *d = &fake.desc[3];
	struct gsvm_pkt_vendor f = pkt_vendor(GSVM_VOP_FILL, 0, arg + 65 * 4096, 8, s);

	fake_hold(true);
	fake_page(arg + 4096 * (1 + 7), PAGE_ABSENT);
	push_kernel(&u, MARK, 1, 1, arg, 0);
	push_kernel(&u, TOUCH, 8, 32, arg, s);
	/* Work-item 7 only: 39 would be the next. */
	tap_ok(wait_until(fake.nparked == 1 && word(arg) == 32), "one hart parks, others go on");
	time = list_of(fake.parked.next, struct fault_wait, queue)->rec.time;
	tap_eq(user_cancel(&u, 0x1234), 0, "cancel");
	tap_eq(fake.nparked, 0, "no wait is left");
	tap_eq(user_state(&u), GSVM_QUEUE_ERROR, "state");
	tap_eq(d->error, GSVM_QERR_FAULT, "error");
	tap_eq(d->reason, 0x1234, "reason");
	tap_eq(d->addr, arg + 4096 * 8 + 7, "addr of the parked access");
	tap_eq(d->access, GSVM_ACCESS_READ, "access");
	tap_eq(d->pc, SCRIPT_VA + 16 * TOUCH, "pc");
	tap_eq(d->work_item, 7, "work_item");
	tap_eq(d->time, time, "time");
	tap_eq(d->packet, 1, "packet");
	tap_eq(signal_value(s), 1, "signal stays");

	user_start(&u);
	u.write = user_consumed(&u);
	fake_page(arg + 65 * 4096, PAGE_ABSENT);
	user_push(&u, &f);
	tap_ok(wait_until(fake.nparked == 1), "the packet processor parks");
	user_cancel(&u, 5);
	tap_eq(d->addr, arg + 65 * 4096, "cancelled there: addr");
	tap_eq(d->access, GSVM_ACCESS_WRITE, "access");
	tap_eq(d->packet, 2, "packet");
	tap_ok(!d->pc && !d->work_item, "no instruction");

	user_start(&u);
	u.write = user_consumed(&u);
	push_kernel(&u, ENDLESS, 1, 8, arg, s);
	i = word(arg);
	tap_ok(wait_until(word(arg) > i + 100), "an endless kernel runs");
	user_cancel(&u, 6);
	tap_ok(d->error == GSVM_QERR_FAULT && d->reason == 6 && !d->addr && d->packet == 3,
	       "cancelled without a fault");
	i = word(arg);
	fake_hold(false);
	tap_eq(word(arg), i, "and silent");
}

static void test_stop(void)
{
	struct user_queue u = started(4, 4);
	uint64_t arg = fake_alloc(66 * 4096, 4096), s = user_signal(3), i;
	struct gsvm_pkt_barrier b = { .header = GSVM_PKT_BARRIER_AND | GSVM_PKT_BARRIER };

	fake_hold(true);
	for (i = 0; i < 64; i++)
		fake_page(arg + 4096 * (1 + i), PAGE_ABSENT);
	b.dep[0] = s;
	push_kernel(&u, TOUCH, 64, 640, arg, s);
	push_kernel(&u, ENDLESS, 64, 64, arg, s);
	user_push(&u, &b);
	tap_ok(wait_until(fake.nparked == 640 && word(arg) > 100), "harts parked and running");
	tap_eq(user_consumed(&u), 2, "barrier bit waits");
	tap_eq(user_stop(&u), 0, "stop");
	tap_eq(fake.nparked, 0, "no wait is left");
	i = word(arg);
	fake_hold(false);
	tap_eq(user_start(&u), 0, "start again");
	user_ring(&u);
	tap_ok(wait_until(user_consumed(&u) == 3), "goes on at the read index: the barrier");
	tap_eq(word(arg), i, "what had been consumed is dropped");
	user_stop(&u);
	user_start(&u);
	push_kernel(&u, MARK, 1, 1, arg, s);
	tap_ok(wait_until(signal_value(s) == 2), "a barrier that waits can be stopped, too");
	user_stop(&u);
	tap_eq(user_state(&u), GSVM_QUEUE_STOPPED, "state");
}

static void test_reset(void)
{
	struct user_queue u[8];
	uint64_t arg = fake_alloc(66 * 4096, 4096);
	unsigned int i, good = 0;

	fake_hold(true);
	fake_page(arg + 4096, PAGE_ABSENT);
	for (i = 0; i < 8; i++) {
		u[i] = started(10 + i, 3);
		push_kernel(&u[i], i % 2 ? ENDLESS : TOUCH, 64, 128, arg, 0);
	}
	tap_ok(wait_until(fake.nparked == 8), "four queues park, four run");
	pthread_mutex_lock(&fake.cmd_lock);
	queue_reset(&fake.gpu);
	pthread_mutex_unlock(&fake.cmd_lock);
	tap_eq(fake.nparked, 0, "reset drops the waits");
	fake_hold(false);
	i = word(arg);
	works(kernel[MARK], 31, "others find the cores free");
	tap_eq(word(arg), i, "nobody of before runs");
	for (i = 0; i < 8; i++) {
		good += user_state(&u[i]) == GSVM_QUEUE_RUNNING;
		good += !user_start(&u[i]) && !user_stop(&u[i]);
	}
	tap_eq(good, 16, "memory is not written, queues can be started anew");
}

static void test_limit(void)
{
	struct user_queue u = user_queue(5, 5, 0, 3);
	uint64_t s = user_signal(1), arg = fake_alloc(8, 4096);

	user_desc(&u);
	fake.desc[5].hart_limit = 0xffffffff;
	pthread_mutex_lock(&fake.cmd_lock);
	queue_start(&fake.gpu, 5);
	pthread_mutex_unlock(&fake.cmd_lock);
	push_kernel(&u, LIMIT, 1, 1, arg, s);
	tap_ok(idle_signal(s) && *(uint64_t *)host(arg) == 0xffffffffull << 20, "hart_limit");
	user_stop(&u);
}

/* ---- Sharing ---- */

static void test_cores(void)
{
	struct user_queue u = started(6, 3);
	uint64_t s = user_signal(4), arg = fake_alloc(8192, 4096);

	push_kernel(&u, CORES, 1, 2, arg, s);
	tap_ok(wait_until(signal_value(s) == 3), "two groups of one queue use two cores");
	push_kernel(&u, SPIN, 8, 128, arg + 4, s);
	tap_ok(wait_until(signal_value(s) == 2), "a group sees another one of its grid start");
	push_kernel(&u, SPIN, 1024, 1024, arg + 8, s);
	tap_ok(wait_until(signal_value(s) == 1), "a work-item another one of its group");
	fake_page(arg + 4096, PAGE_ABSENT);
	push_kernel(&u, PAIR, 2, 2, arg + 12, s);
	tap_ok(wait_until(signal_value(s) == 0), "a resumed hart gets its turn among spinning ones");
	user_stop(&u);
}

static void test_agents(void)
{
	struct user_queue u = started(7, 3);
	uint64_t arg = fake_alloc(4096, 4096), worst = 0, t;
	unsigned int i, n;

	push_kernel(&u, ENDLESS, 64, 256, arg, 0);
	for (n = 0; n < 20; n++) {
		t = word(arg);
		tap_need(wait_until(word(arg) > t), "kernel runs");
		t = now_ns();
		for (i = 0; i < 2; i++)
			agent_stop(&fake.gpu.core[i]->agent);
		t = now_ns() - t;
		if (t > worst)
			worst = t;
		i = word(arg);
		sched_yield();
		if (word(arg) != i)
			break;
		for (i = 0; i < 2; i++)
			agent_continue(&fake.gpu.core[i]->agent);
	}
	tap_ok(n == 20, "stopped cores make no access (worst stop %llu us)",
	       (unsigned long long)worst / 1000);
	user_stop(&u);
}

static unsigned int held(const struct user_queue *u)
{
	struct queue_unit *unit = fake.gpu.queue;
	unsigned int n;

	pthread_mutex_lock(&unit->lock);
	n = unit->queue[u->id].held;
	pthread_mutex_unlock(&unit->lock);
	return n;
}

static bool saturated(const struct user_queue *u)
{
	struct queue_unit *unit = fake.gpu.queue;
	bool waits;

	pthread_mutex_lock(&unit->lock);
	waits = unit->queue[u->id].pool == POOL_MORE;
	pthread_mutex_unlock(&unit->lock);
	return waits;
}

static void test_fair(void)
{
	struct user_queue greedy[3], u;
	uint64_t spin = fake_alloc(4, 4096), arg = fake_alloc(4, 4096), s = user_signal(200);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		greedy[i] = started(20 + i, 3);
		push_kernel(&greedy[i], ENDLESS, 64, 1 << 20, spin, 0);
		/* It takes all that it can get before the next one comes. */
		tap_need(wait_until(saturated(&greedy[i])), "greedy queue %u", i);
	}
	tap_ok(wait_until(word(spin) > 1000), "three queues with a million endless harts each");
	for (i = 0; i < 3; i++)
		if (!wait_until(held(&greedy[i]) > 64))
			break;
	tap_eq(i, 3, "each has more than one group");
	u = started(24, 3);
	for (i = 0; i < 200; i++)
		push_kernel(&u, MARK, 1024, 1024, arg, s);
	tap_ok(idle_signal(s) && word(arg) == 200 * 1024, "the largest groups of another finish");
	/* Quantum by quantum: a mix of both, not the others' end. */
	for (i = 0; i < 3; i++)
		user_stop(&greedy[i]);
	user_stop(&u);
}

/* One process with many queues has no more of the cores than one with one. */
static void test_fair_spaces(void)
{
	struct user_queue many[4], u = started(60, 3);
	uint64_t spin = fake_alloc(4, 4096), arg = fake_alloc(4, 4096), s = user_signal(20);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		many[i] = user_queue(61 + i, 600, i, 3);
		user_start(&many[i]);
		push_kernel(&many[i], ENDLESS, 64, 256, spin, 0);
	}
	tap_ok(wait_until(word(spin) > 1000), "four endless queues in one address space");
	for (i = 0; i < 20; i++)
		push_kernel(&u, MARK, 64, 64, arg, s);
	tap_ok(idle_signal(s), "leave room for another one");
	for (i = 0; i < 4; i++)
		user_stop(&many[i]);
	user_stop(&u);
}

static bool heap_good(const struct queue_unit *unit)
{
	unsigned int i;

	for (i = 0; i < unit->heap_len; i++)
		if (unit->heap[i]->heap_at != i + 1 ||
		    unit->heap[i]->deadline < unit->heap[i ? (i - 1) / 2 : 0]->deadline)
			return false;
	return true;
}

/* Far in the future, so that no core looks at them. */
static void test_timers(void)
{
	struct queue_unit *unit = fake.gpu.queue;
	uint64_t seed = 1, r, base = now_ns() + 3600000000000ull;
	unsigned int i, good = 0;

	pthread_mutex_lock(&unit->lock);
	for (i = 0; i < 5000; i++) {
		r = tap_random(&seed);
		if (r >> 63)
			sched_timer_set(&unit->queue[r % 300], base + (r >> 20) % 1000);
		else
			sched_timer_clear(&unit->queue[r % 300]);
		good += heap_good(unit);
	}
	for (i = 0; i < 300; i++)
		sched_timer_clear(&unit->queue[i]);
	tap_ok(good == 5000 && !unit->heap_len, "timers stay in order");
	pthread_mutex_unlock(&unit->lock);
}

/* The largest group there can be, in the smallest pool. */
static void test_small_pool(void)
{
	struct user_queue u = started(1, 3), v = started(2, 3);
	uint64_t arg = fake_alloc(8192, 4096), s = user_signal(3), t = user_signal(1);
	unsigned int i;

	push_kernel(&u, MARK, 512, 1u << 31, arg, t);
	tap_ok(wait_until(word(arg) > 100000), "a queue with millions of short groups");
	for (i = 0; i < 3; i++)
		push_kernel(&v, MARK, QUEUE_MAX_GROUP, QUEUE_MAX_GROUP, arg + 4096, s);
	tap_ok(idle_signal(s) && word(arg + 4096) == 3 * QUEUE_MAX_GROUP,
	       "makes room for one that needs the whole pool");
	tap_eq(signal_value(t), 1, "before it has ended");
	user_stop(&u);
	user_stop(&v);
}

static unsigned int pool_used(void)
{
	struct queue_unit *unit = fake.gpu.queue;
	unsigned int used;

	pthread_mutex_lock(&unit->lock);
	used = unit->pool.used;
	pthread_mutex_unlock(&unit->lock);
	return used;
}

/* Queues that take turns in waiting for harts, with groups of all sizes. */
static void test_accounts(void)
{
	struct user_queue u[4];
	uint64_t arg = fake_alloc(4096, 4096), s = user_signal(4 * 300), seed = 9, sum = 0, r;
	unsigned int i, n;

	for (i = 0; i < 4; i++)
		u[i] = started(i, 4);
	for (n = 0; n < 300; n++)
		for (i = 0; i < 4; i++) {
			r = tap_random(&seed);
			sum += 1 + r % 2000;
			push_kernel(&u[i], MARK, 1 << (r >> 40) % 10, 1 + r % 2000, arg, s);
		}
	tap_ok(idle_signal(s) && word(arg) == sum, "groups of all sizes in a small pool");
	tap_ok(wait_until(!pool_used()), "all harts are given back, queues running");
	for (i = 0; i < 4; i++)
		user_stop(&u[i]);
	tap_eq(pool_used(), 0, "and stopped");
}

static void test_many_queues(void)
{
	static struct user_queue u[1024];
	struct user_queue greedy = started(2000, 3);
	uint64_t arg = fake_alloc(66 * 4096, 4096), s = user_signal(1024 * 3);
	unsigned int i, n;

	push_kernel(&greedy, ENDLESS, 256, 1 << 20, fake_alloc(4, 4096), 0);
	for (i = 0; i < 64; i++)
		fake_page(arg + 4096 * (1 + i), PAGE_ABSENT);
	for (i = 0; i < 1024; i++)
		u[i] = started(i, 3);
	for (n = 0; n < 3; n++)
		for (i = 0; i < 1024; i++)
			push_kernel(&u[i], TOUCH, 100, 1000, arg, s);
	tap_ok(wait_until(signal_value(s) == 0), "1024 queues of a thousand faulting harts finish");
	tap_eq(word(arg), 3 * 1024 * 1000, "all of them");
	for (i = 0; i < 1024; i++)
		user_stop(&u[i]);
	user_stop(&greedy);
}

static void test_parked(void)
{
	struct user_queue u = started(30, 3);
	uint64_t arg = fake_alloc(66 * 4096, 4096), s = user_signal(1);
	unsigned int i;

	fake_hold(true);
	for (i = 0; i < 64; i++)
		fake_page(arg + 4096 * (1 + i), PAGE_ABSENT);
	push_kernel(&u, TOUCH, 256, 100000, arg, s);
	tap_ok(wait_until(fake.nparked >= 30000), "tens of thousands of parked harts");
	works(kernel[MARK], 31, "while another queue works");
	fake_hold(false);
	tap_ok(idle_signal(s) && word(arg) == 100000, "resumed, all end");

	fake_hold(true);
	for (i = 0; i < 64; i++)
		fake_page(arg + 4096 * (1 + i), PAGE_ABSENT);
	push_kernel(&u, TOUCH, 256, 100000, arg, s);
	tap_ok(wait_until(fake.nparked >= 30000), "again");
	push_kernel(&u, BROKEN, 8, 8, arg, s);
	user_stop(&u);
	fake_hold(false);
	works(kernel[MARK], 31, "stopped, they leave the pool to others");
}

int main(void)
{
	fake.gpu.cfg.num_cores = 1;
	fake.gpu.cfg.max_harts = QUEUE_MAX_GROUP - 1;
	tap_eq(queue_init(&fake.gpu), -EINVAL, "a pool that cannot hold the largest group");
	open_fake(4096);
	test_start();
	test_error();
	test_cancel();
	test_stop();
	test_reset();
	test_limit();
	test_cores();
	test_agents();
	test_fair();
	test_fair_spaces();
	test_timers();
	test_many_queues();
	tap_eq(fake.fatals + fake.errors, 0, "no device error");
	fake_close();
	open_fake(QUEUE_MAX_GROUP);
	test_small_pool();
	test_accounts();
	fake_close();
	open_fake(65536);
	test_parked();
	fake_close();
	return tap_done();
}
