// SPDX-License-Identifier: MIT
/*
 * User-mode queues: order, barriers, wrap-around, doorbells, waits.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "gsvm_waiter.h"
#include "shared.h"

static void wrap_around(void)
{
	struct queue *q = queue_open();
	uint64_t *word = map_shared(PAGE);
	int i;

	for (i = 1; i <= 20 * RING_PACKETS; i++)
		gpu_launch(q, "add", 1, U(word), 0, 1, 1);
	for (i = 0; i < RING_PACKETS; i++)
		gpu_wait(q, &q->share->signal[i]);
	gsvm_assert_eq(*word, 20 * RING_PACKETS, "jobs that ran");
	gsvm_assert_eq(gsvm_peek(&q->share->read_index), 20 * RING_PACKETS, "read index");
	queue_close(q);
}

/* A ring of two packets, a read index that does not start at zero. */
static void smallest_ring(void)
{
	uint64_t *index = map_shared(PAGE), *word = index + 1;
	struct drm_gsvm_queue_create args = {
		.ring_packets = 2,
		.ring = U(map_shared(PAGE)),
		.read_index = U(index),
	};
	struct queue *q = queue_open(), small = *q;
	struct gsvm_pkt_vendor *ring = (void *)(uintptr_t)args.ring;
	struct gsvm_signal *signal = map_shared(PAGE);
	int i;

	*index = 0xfffffffffffffff0ull;
	args.vm_id = q->vm;
	igt_gsvm_queue_create(q->fd, &args, 0);
	small.id = args.queue_id;
	small.doorbell = (volatile uint64_t *)((char *)q->doorbell_page + args.doorbell_offset);
	for (i = 0; i < 15; i++) {
		uint64_t at = *index;
		struct gsvm_pkt_vendor packet = {
			.op = GSVM_VOP_FILL, .src = 100 + i, .dst = U(word), .len = 8,
			.signal = U(signal),
		};

		signal->value = 1;
		memcpy((char *)&ring[at % 2] + 2, (char *)&packet + 2, sizeof(packet) - 2);
		__atomic_store_n(&ring[at % 2].header, GSVM_PKT_VENDOR, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*small.doorbell = at + 1;
		gpu_wait(&small, signal);
		gsvm_assert_eq(*word, 100 + i, "filled word");
		gsvm_await(index, at + 1, "read index");
	}
	igt_gsvm_queue_destroy(q->fd, small.id, 0);
	queue_close(q);
}

/* One doorbell write for many packets. */
static void one_doorbell(void)
{
	struct queue *q = queue_open();
	volatile uint64_t *doorbell = q->doorbell;
	uint64_t *word = map_shared(PAGE), dummy;
	struct gsvm_signal *last = NULL;
	int i;

	q->doorbell = &dummy;
	for (i = 0; i < RING_PACKETS; i++)
		last = gpu_launch(q, "add", 1, U(word), 0, 1, 1);
	gsvm_assert_eq(gsvm_peek(&q->share->read_index), 0, "read index before the doorbell");
	q->doorbell = doorbell;
	*q->doorbell = q->next;
	gpu_wait(q, last);
	for (i = 0; i < RING_PACKETS; i++)
		gpu_wait(q, &q->share->signal[i]);
	gsvm_assert_eq(*word, RING_PACKETS, "jobs that ran");
	/* Values not above the last one are nothing new. */
	*q->doorbell = 3;
	*q->doorbell = q->next;
	gpu_run(q, "add", 1, U(word), 0, 1, 1);
	gsvm_assert_eq(*word, RING_PACKETS + 1, "jobs after stale doorbells");
	queue_close(q);
}

static struct gsvm_signal *barrier(struct queue *q, uint16_t type, struct gsvm_signal *a,
				   struct gsvm_signal *b)
{
	struct gsvm_pkt_barrier packet = {
		.header = type, .dep = { U(a), 0, U(b) },
	};

	return gpu_submit(q, &packet, offsetof(struct gsvm_pkt_barrier, signal));
}

/* The barrier bit: every packet sees all that earlier ones did. */
static void barrier_bit(void)
{
	struct queue *q = queue_open();
	uint64_t *words = map_shared(PAGE);
	struct gsvm_signal *job;
	int i;

	for (i = 0; i < 30; i++) {
		struct gsvm_pkt_vendor packet = {
			.header = GSVM_PKT_VENDOR | GSVM_PKT_BARRIER,
			.op = GSVM_VOP_COPY, .src = U(&words[i]), .dst = U(&words[i + 1]),
			.len = 8,
		};

		if (!i)
			gpu_launch(q, "add", 64, U(words), 0, 100, 1);
		job = gpu_submit(q, &packet, offsetof(struct gsvm_pkt_vendor, signal));
	}
	gpu_wait(q, job);
	for (i = 0; i <= 30; i++)
		gsvm_assert_eq(words[i], 6400, "word copied step by step");
	queue_close(q);
}

static void barrier_and(void)
{
	struct queue *q = queue_open(), *waiter = queue_open_vm(q->fd, q->vm);
	struct ctl *ctl = map_shared(PAGE), *ctl2 = map_shared(PAGE);
	uint64_t *out = map_shared(PAGE);
	struct gsvm_signal *first, *second, *both, *after;

	first = gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
	second = gpu_launch(q, "hold", 1, U(ctl2), U(out + 8), 8);
	both = barrier(waiter, GSVM_PKT_BARRIER_AND, first, second);
	after = gpu_launch(waiter, "add", 1, U(out + 16), 0, 1, 1);
	(void)after;
	gsvm_await(&ctl->rounds[0], 1, "first job's start");
	gsvm_await(&ctl2->rounds[0], 1, "second job's start, beside the first");
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, first);
	gsvm_assert(!gpu_done(both), "barrier-and passed with one of two signals\n");
	gsvm_poke(&ctl2->stop, 1);
	gpu_wait(waiter, both);
	gsvm_assert(gpu_done(second), "barrier-and passed before its second signal\n");
	gsvm_assert_eq(out[0], 1, "first job's word");
	gsvm_assert_eq(out[8], 1, "second job's word");
	queue_close(waiter);
	queue_close(q);
}

static void barrier_or(void)
{
	struct queue *q = queue_open(), *waiter = queue_open_vm(q->fd, q->vm);
	struct ctl *ctl = map_shared(PAGE), *ctl2 = map_shared(PAGE);
	uint64_t *out = map_shared(PAGE);
	struct gsvm_signal *first, *second, *any;

	first = gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
	second = gpu_launch(q, "hold", 1, U(ctl2), U(out + 8), 8);
	any = barrier(waiter, GSVM_PKT_BARRIER_OR, first, second);
	gsvm_await(&ctl2->rounds[0], 1, "second job's start");
	gsvm_assert(!gpu_done(any), "barrier-or passed with no signal\n");
	gsvm_poke(&ctl2->stop, 1);
	gpu_wait(waiter, any);
	gsvm_assert(gpu_done(second) && !gpu_done(first), "barrier-or passed by the wrong signal\n");
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, first);
	queue_close(waiter);
	queue_close(q);
}

static struct drm_gsvm_wait wait_args(struct queue *q, struct gsvm_signal *s, uint32_t op,
				      int64_t value, int64_t timeout)
{
	return (struct drm_gsvm_wait){
		.vm_id = q->vm, .addr = U(s), .op = op, .value = value, .timeout_ns = timeout,
		.queue_id = q->id,
	};
}

static void wait_conditions(void)
{
	static const struct { uint32_t op; int64_t value; bool met; } cases[] = {
		{ DRM_GSVM_WAIT_EQ, 5, true }, { DRM_GSVM_WAIT_EQ, 4, false },
		{ DRM_GSVM_WAIT_EQ, 6, false }, { DRM_GSVM_WAIT_NE, 6, true },
		{ DRM_GSVM_WAIT_NE, 4, true }, { DRM_GSVM_WAIT_NE, 5, false },
		{ DRM_GSVM_WAIT_LT, 6, true }, { DRM_GSVM_WAIT_LT, 5, false },
		{ DRM_GSVM_WAIT_LT, -1, false }, { DRM_GSVM_WAIT_GE, 5, true },
		{ DRM_GSVM_WAIT_GE, 6, false }, { DRM_GSVM_WAIT_GE, -1, true },
	};
	struct queue *q = queue_open();
	struct gsvm_signal *s = map_shared(PAGE);
	size_t i;

	s->value = 5;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct drm_gsvm_wait args = wait_args(q, s, cases[i].op, cases[i].value, 0);

		igt_gsvm_wait(q->fd, &args, cases[i].met ? 0 : ETIME);
		gsvm_assert_eq(args.observed, 5, "observed value");
		/* A time to come is as good when the condition is met. */
		args = wait_args(q, s, cases[i].op, cases[i].value,
				 cases[i].met ? INT64_MAX : gsvm_deadline(2));
		igt_gsvm_wait(q->fd, &args, cases[i].met ? 0 : ETIME);
		gsvm_assert_eq(args.observed, 5, "observed value, without a time-out");
		/* Before the clock began is over, too. */
		args = wait_args(q, s, cases[i].op, cases[i].value, INT64_MIN);
		igt_gsvm_wait(q->fd, &args, cases[i].met ? 0 : ETIME);
	}
	queue_close(q);
}

static void wait_timeout(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	uint64_t *out = map_shared(PAGE);
	struct gsvm_signal *job = gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
	static const unsigned int ms[] = { 50, 10, 3, 1 };
	struct drm_gsvm_wait args;
	unsigned int i;
	int64_t end;

	for (i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		end = gsvm_deadline(ms[i]);
		args = wait_args(q, job, DRM_GSVM_WAIT_EQ, 0, end);
		igt_gsvm_wait(q->fd, &args, ETIME);
		gsvm_assert(gsvm_deadline(0) >= end, "WAIT of %u ms came back early\n", ms[i]);
		gsvm_assert_eq(args.observed, 1, "observed value");
	}
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	gsvm_assert_eq(*out, 1, "word of the held job");
	queue_close(q);
}

/**
 * struct sleeper - a thread that waits for @value
 */
struct sleeper {
	struct queue *q;
	struct gsvm_signal *s;
	int64_t value;
	struct thread thread;
};

static void sleeper_loop(void *arg)
{
	struct sleeper *w = arg;
	struct drm_gsvm_wait args = wait_args(w->q, w->s, DRM_GSVM_WAIT_LT, w->value + 1,
					      gsvm_deadline(gsvm_patience_ms()));

	igt_gsvm_wait(w->q->fd, &args, 0);
	gsvm_assert(args.observed <= w->value, "woken at %lld, waited for %lld\n",
		    (long long)args.observed, (long long)w->value);
}

/* Six sleepers for six values of one signal, which six jobs count down. */
static void wait_threads(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	uint64_t *out = map_shared(PAGE);
	struct gsvm_signal *s = map_shared(PAGE);
	struct sleeper w[6];
	int i;

	s->value = 6;
	gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
	for (i = 0; i < 6; i++) {
		struct gsvm_pkt_barrier packet = {
			.header = GSVM_PKT_BARRIER_AND | GSVM_PKT_BARRIER, .signal = U(s),
		};

		gpu_publish(q, &packet);
		w[i] = (struct sleeper){ .q = q, .s = s, .value = i };
		gsvm_thread(&w[i].thread, sleeper_loop, &w[i]);
	}
	gsvm_poke(&ctl->stop, 1);
	for (i = 0; i < 6; i++)
		gsvm_thread_join(&w[i].thread);
	gsvm_assert_eq(s->value, 0, "signal that six packets counted down");
	queue_close(q);
}

/*
 * WAIT is woken; it does not only look every second, as it does for the case
 * that an interrupt is lost. One wait may be slow on a busy machine, not most.
 */
static void wait_woken(void)
{
	struct queue *q = queue_open();
	uint64_t *out = map_shared(PAGE);
	unsigned int i, slow = 0;

	for (i = 0; i < 20; i++) {
		struct ctl *ctl = map_shared(PAGE);
		struct gsvm_signal *job = gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
		struct sleeper w = { .q = q, .s = job, .value = 0 };
		int64_t start;

		gsvm_await(&ctl->rounds[0], 1, "the job's start");
		gsvm_thread(&w.thread, sleeper_loop, &w);
		/* Set by WAIT before it sleeps. */
		while (!__atomic_load_n(&job->irq, __ATOMIC_ACQUIRE))
			gsvm_pace();
		start = gsvm_deadline(0);
		gsvm_poke(&ctl->stop, 1);
		gsvm_thread_join(&w.thread);
		slow += gsvm_deadline(0) - start > 400000000;
		munmap(ctl, PAGE);
	}
	gsvm_assert(slow < 10, "%u of 20 waits took most of a second\n", slow);
	queue_close(q);
}

/* Its queue, its VM or both are destroyed while a thread sleeps. */
static void wait_orphaned(void)
{
	static const struct { bool vm, with_queue; int ret; } cases[] = {
		{ false, true, EIO }, { true, true, EIO }, { true, false, ENOENT },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct queue *q = queue_open();
		struct gsvm_signal *s = map_shared(PAGE);
		struct waiter w = {
			.q = q, .signal = s, .queue_id = cases[i].with_queue ? q->id : 0,
		};

		s->value = 1;
		waiter_start(&w);
		while (!__atomic_load_n(&s->irq, __ATOMIC_ACQUIRE))
			gsvm_pace();
		if (cases[i].vm)
			igt_gsvm_vm_destroy(q->fd, q->vm, 0);
		else
			igt_gsvm_queue_destroy(q->fd, q->id, 0);
		waiter_end(&w);
		gsvm_assert(w.ret == cases[i].ret, "case %u: WAIT gave %s\n", i,
			    strerror(w.ret));
		gpu_close_all();
	}
}

/* Ten thousand queues, one after the other; each one works. */
static void create_destroy(void)
{
	struct queue *q = queue_open();
	struct queue_memory *m = map_shared(sizeof(*m));
	struct drm_gsvm_queue_create args = {
		.ring_packets = RING_PACKETS, .ring = U(m->ring), .read_index = U(&m->read_index),
		.vm_id = q->vm,
	};
	int i;

	for (i = 0; i < 10000; i++) {
		igt_gsvm_queue_create(q->fd, &args, 0);
		igt_gsvm_queue_destroy(q->fd, args.queue_id, 0);
		args.queue_id = 0;
		args.doorbell_mmap = 0;
		args.doorbell_offset = 0;
	}
	gsvm_assert_eq(m->read_index, 0, "read index of queues without work");
	gsvm_assert_eq(gpu_read(q, &(uint64_t){ 3 }), 3, "a queue that was there all the time");
	queue_close(q);
}

/* As many as the VM offers, all at once, then one more. */
static void too_many(void)
{
	struct queue *q = queue_open();
	struct queue_memory *m = map_shared(sizeof(*m));
	struct drm_gsvm_queue_create args = {
		.ring_packets = RING_PACKETS, .ring = U(m->ring), .read_index = U(&m->read_index),
		.vm_id = q->vm,
	};
	uint64_t n = igt_gsvm_query(q->fd, DRM_GSVM_PARAM_MAX_QUEUES, 0);
	uint32_t *id = calloc(n, sizeof(*id));
	uint64_t i;

	gsvm_assert(n >= 64 && n <= GSVM_DOORBELLS_PER_PAGE, "%llu queues per VM\n",
		    (unsigned long long)n);
	for (i = 1; i < n; i++) {
		struct drm_gsvm_queue_create one = args;

		igt_gsvm_queue_create(q->fd, &one, 0);
		id[i] = one.queue_id;
	}
	igt_gsvm_queue_create(q->fd, &args, ENOSPC);
	gsvm_assert_eq(gpu_read(q, &(uint64_t){ 3 }), 3, "first queue beside all others");
	igt_gsvm_queue_destroy(q->fd, id[n / 2], 0);
	igt_gsvm_queue_create(q->fd, &args, 0);
	free(id);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "wrap-around", wrap_around, "1,280 packets through a ring of 64" },
	{ "smallest-ring", smallest_ring, "two packets, and a read index near its overflow" },
	{ "one-doorbell", one_doorbell, "64 packets published at once" },
	{ "barrier-bit", barrier_bit, "packets that wait for all earlier ones" },
	{ "barrier-and", barrier_and, "a packet that waits for two other jobs" },
	{ "barrier-or", barrier_or, "a packet that waits for one of two jobs" },
	{ "wait-conditions", wait_conditions, "EQ, NE, LT, GE, met or not" },
	{ "wait-timeout", wait_timeout, "ETIME not before the time" },
	{ "wait-threads", wait_threads, "six sleepers on one signal" },
	{ "wait-woken", wait_woken, "sleepers are woken by the signal, not by a clock" },
	{ "wait-orphaned", wait_orphaned, "the queue or the VM goes while somebody waits" },
	{ "create-destroy", create_destroy, "10,000 queues one after the other" },
	{ "too-many", too_many, "ENOSPC behind the last queue, and room again" },
};

GSVM_MAIN(tests)
