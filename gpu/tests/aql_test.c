// SPDX-License-Identifier: MIT
/*
 * Packets, one by one: what each does, what a fault at any access changes
 * (nothing), signals, order. What is refused: packet_test.c.
 */
#include <sched.h>

#include "queue_fake.h"

enum { MARK, PRELOAD, WAIT, SET, GROUP, PRIVATE };

/* ---- Scripts ---- */

/* Count this work-item at kernarg + 4 * its linear id; complain about its place. */
static enum hart_stop run_mark(struct core *core, struct hart *h, unsigned int budget,
			       struct hart_stop_info *stop)
{
	struct hart_group *g = h->group;
	_Atomic uint32_t *count;
	unsigned int d;

	(void)budget;
	for (d = 0; d < 3; d++) {
		if (h->local_id[d] >= g->group_size[d] || g->group_size[d] > g->local_size[d] ||
		    global_id(h, d) >= g->grid_size[d]) {
			stop->qerr = GSVM_QERR_TRAP;
			return HART_ERROR;
		}
	}
	count = hart_at(core, h, h->x[10] + 4 * hart_global_linear(h), GSVM_ACCESS_ATOMIC, stop);
	if (!count)
		return HART_FAULT;
	atomic_fetch_add(count, 1);
	h->insns += COST;
	return HART_DONE;
}

/* Seven preloaded words to where the eighth says. */
static enum hart_stop run_preload(struct core *core, struct hart *h, unsigned int budget,
				  struct hart_stop_info *stop)
{
	uint64_t *to = hart_at(core, h, h->x[17], GSVM_ACCESS_WRITE, stop);

	(void)budget;
	if (!to)
		return HART_FAULT;
	memcpy(to, &h->x[10], 56);
	h->insns += COST;
	return HART_DONE;
}

static enum hart_stop run_wait(struct core *core, struct hart *h, unsigned int budget,
			       struct hart_stop_info *stop)
{
	_Atomic uint32_t *flag = hart_at(core, h, h->x[10], GSVM_ACCESS_READ, stop);

	if (!flag)
		return HART_FAULT;
	h->insns += budget;
	return atomic_load(flag) ? HART_DONE : HART_BUDGET;
}

static enum hart_stop run_set(struct core *core, struct hart *h, unsigned int budget,
			      struct hart_stop_info *stop)
{
	_Atomic uint32_t *flag = hart_at(core, h, h->x[10], GSVM_ACCESS_WRITE, stop);

	(void)budget;
	if (!flag)
		return HART_FAULT;
	atomic_store(flag, 1);
	h->insns += COST;
	return HART_DONE;
}

/* Neighbours exchange words through group memory, three times; x5 is the step. */
static enum hart_stop run_group(struct core *core, struct hart *h, unsigned int budget,
				struct hart_stop_info *stop)
{
	uint32_t *mem = (uint32_t *)(h->group->group_mem + h->group->group_dyn);
	uint32_t n = h->group->group_size[0], me = h->local_id[0];
	_Atomic uint32_t *count;

	h->insns += COST;
	/* 40 bytes static, 400 dynamic. */
	if (h->group->group_dyn != 48 || h->group->group_len != 448) {
		stop->qerr = GSVM_QERR_TRAP;
		return HART_ERROR;
	}
	/* Every third leaves early; who is left still meets at the barrier. */
	if (h->x[5] == 2 && me % 3 == 0)
		return HART_DONE;
	/* One comes late, while the others wait. */
	if (h->x[5] % 2 == 0 && me == 7 && ++h->x[6] % 5) {
		h->insns += budget;
		return HART_BUDGET;
	}
	if (h->x[5] % 2 == 0 && h->x[5] < 6) {
		mem[me] = me * 1000 + h->x[5];
		h->x[5]++;
		return HART_BARRIER;
	}
	if (h->x[5] < 6) {
		me = (me + 1) % n;
		if (mem[me] != me * 1000 + h->x[5] - 1 && !(h->x[5] > 2 && me % 3 == 0)) {
			stop->qerr = GSVM_QERR_TRAP;
			return HART_ERROR;
		}
		h->x[5]++;
		return HART_BARRIER;
	}
	count = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);
	if (!count)
		return HART_FAULT;
	atomic_fetch_add(count, 1);
	return HART_DONE;
}

/* Private memory is there in full length, aligned, and one's own while one waits. */
static enum hart_stop run_private(struct core *core, struct hart *h, unsigned int budget,
				  struct hart_stop_info *stop)
{
	uint32_t len = h->group->private_len, i;
	uint8_t me = (uint8_t)(hart_global_linear(h) + 1);
	_Atomic uint32_t *count;

	h->insns += budget;
	if (!h->x[5]) {
		memset(h->private_mem, me, len);
		h->x[5] = (uintptr_t)h->private_mem % 16 ? 2 : 1;
		return HART_BUDGET;
	}
	for (i = 0; i < len; i++)
		if (h->private_mem[i] != me)
			h->x[5] = 2;
	count = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);
	if (!count)
		return HART_FAULT;
	atomic_fetch_add(count, h->x[5] == 1 ? len : 0);
	return HART_DONE;
}

static script_fn *script[] = {
	[MARK] = run_mark, [PRELOAD] = run_preload, [WAIT] = run_wait, [SET] = run_set,
	[GROUP] = run_group, [PRIVATE] = run_private,
};

/* ---- Helpers ---- */

#define Q	7
#define ASID	3

static struct user_queue fresh(uint32_t log2)
{
	return alone(Q, ASID, log2);
}

static bool all_equal(uint64_t va, uint32_t value, unsigned int n)
{
	const uint32_t *p = host(va);
	unsigned int i;

	for (i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void fill_pattern(uint64_t va, uint64_t len, uint64_t seed)
{
	uint8_t *p = host(va);

	while (len--)
		*p++ = (uint8_t)tap_random(&seed);
}

/* ---- What packets do ---- */

static void test_kernel(void)
{
	struct user_queue u = fresh(4);
	uint64_t sig = user_signal(1), marks = fake_alloc(4 * 7 * 5 * 3, 4096);
	struct gsvm_pkt_kernel p = pkt_kernel(user_kernel(MARK), 4, 7, marks, sig);
	struct gsvm_signal *s = host(sig);

	p.setup = 3;
	p.group_y = 2;
	p.group_z = 2;
	p.grid_y = 5;
	p.grid_z = 3;
	user_push(&u, &p);
	tap_ok(idle_signal(sig), "kernel completes");
	tap_ok(all_equal(marks, 1, 7 * 5 * 3), "every work-item of a ragged 3D grid ran once");
	tap_eq(user_consumed(&u), 1, "read index");
	tap_eq(*(uint16_t *)host(u.ring), GSVM_PKT_INVALID, "consumed header is INVALID");
	tap_ok(s->start && s->end >= s->start && s->end <= now_ns(), "signal has the times");
	tap_eq(fake.irq[GSVM_VEC_EVENT], 0, "no interrupt without a request");
	tap_eq(user_state(&u), GSVM_QUEUE_RUNNING, "queue still runs");

	marks = fake_alloc(4 << 20, 4096);
	p = pkt_kernel(p.kernel, 64, 1 << 20, marks, sig);
	*(int64_t *)host(sig) = 1;
	user_push(&u, &p);
	tap_ok(idle_signal(sig) && all_equal(marks, 1, 1 << 20), "a million work-items");
	tap_eq(fake.gpu.stat[GSVM_STAT_WORK_ITEMS], (1 << 20) + 105, "counted");
	tap_eq(fake.gpu.stat[GSVM_STAT_INSNS], COST * ((1 << 20) + 105), "instructions too");
}

static void test_preload(void)
{
	struct user_queue u = fresh(4);
	uint64_t sig = user_signal(1), out = fake_alloc(4096, 4096);
	/* Misaligned, and across a page. */
	uint64_t args = fake_alloc(8192, 4096) + 4096 - 27, word[8], i;
	struct gsvm_pkt_kernel p = pkt_kernel(user_kernel(PRELOAD), 1, 1, args, sig);

	for (i = 0; i < 7; i++)
		word[i] = 0x0123456789abcdefull * (i + 1);
	word[7] = out;
	memcpy(host(args), word, 64);
	((struct gsvm_kernel *)host(p.kernel))->flags = 8;
	user_push(&u, &p);
	tap_ok(idle_signal(sig) && !memcmp(host(out), word, 56), "arguments are preloaded");
}

static void test_group(void)
{
	struct user_queue u = fresh(4);
	uint64_t sig = user_signal(1), count = fake_alloc(4, 4096), i, left = 0;
	struct gsvm_pkt_kernel p = pkt_kernel(user_kernel(GROUP), 100, 1050, count, sig);
	struct gsvm_kernel *k = host(p.kernel);

	k->group_size = 40;
	p.group_size = 400;
	for (i = 0; i < 1050; i++)
		left += i % 100 % 3 != 0;
	user_push(&u, &p);
	tap_ok(idle_signal(sig), "groups pass their barriers, also when harts end");
	tap_eq(*(uint32_t *)host(count), left, "with the right data in group memory");

	p = pkt_kernel(user_kernel(PRIVATE), 128, 1000, count, sig);
	((struct gsvm_kernel *)host(p.kernel))->private_size = 48;
	p.private_size = 100;
	*(int64_t *)host(sig) = 1;
	*(uint32_t *)host(count) = 0;
	user_push(&u, &p);
	tap_ok(idle_signal(sig), "private memory");
	tap_eq(*(uint32_t *)host(count), 1000 * 112, "larger of both sizes, rounded up, own");
	p.private_size = 0;
	*(int64_t *)host(sig) = 1;
	*(uint32_t *)host(count) = 0;
	user_push(&u, &p);
	tap_ok(idle_signal(sig), "the kernel's private memory");
	tap_eq(*(uint32_t *)host(count), 1000 * 48, "its size");
}

static void test_vendor(void)
{
	struct user_queue u = fresh(4);
	uint64_t sig = user_signal(1), src = fake_alloc(3 << 20, 4096);
	uint64_t dst = fake_alloc(3 << 20, 4096), len = (3 << 20) - 5000, i;
	struct gsvm_pkt_vendor p = pkt_vendor(GSVM_VOP_COPY, src + 13, dst + 4093, len, sig);
	uint64_t *w = host(dst);

	fill_pattern(src, 3 << 20, 1);
	user_push(&u, &p);
	tap_ok(idle_signal(sig) && !memcmp(host(src + 13), host(dst + 4093), len),
	       "copy, misaligned, megabytes");
	tap_ok(((uint8_t *)host(dst))[4092] == 0 && ((uint8_t *)host(dst))[4093 + len] == 0,
	       "and nothing beside it");

	p = pkt_vendor(GSVM_VOP_FILL, 0x1122334455667788ull, dst + 8, 20000, sig);
	memset(host(dst), 0, 3 << 20);
	*(int64_t *)host(sig) = 1;
	user_push(&u, &p);
	tap_ok(idle_signal(sig), "fill completes");
	for (i = 1; i <= 2500 && w[i] == p.src; i++)
		;
	tap_ok(i == 2501 && !w[0] && !w[2501], "fill, exact");
}

static void test_barriers(void)
{
	struct user_queue u = fresh(4), v;
	uint64_t sig = user_signal(3), a = user_signal(1), b = user_signal(-1), i;
	struct gsvm_pkt_barrier p = pkt_barrier(GSVM_PKT_BARRIER_AND, sig);
	struct gsvm_pkt_vendor f;

	user_push(&u, &p);
	tap_ok(wait_until(signal_value(sig) == 2), "barrier-and of nothing completes");
	p.dep[1] = a;
	p.dep[4] = b;
	user_push(&u, &p);
	tap_ok(wait_until(user_consumed(&u) == 2), "barrier-and is taken");
	atomic_store((_Atomic int64_t *)host(a), 0);
	for (i = 0; i < 1000; i++)
		sched_yield();
	tap_eq(signal_value(sig), 2, "one of two is not enough");
	atomic_store((_Atomic int64_t *)host(b), 0);
	tap_ok(wait_until(signal_value(sig) == 1), "all of them, set by the CPU, are");

	atomic_store((_Atomic int64_t *)host(a), 1);
	atomic_store((_Atomic int64_t *)host(b), 1);
	p.header = GSVM_PKT_BARRIER_OR;
	user_push(&u, &p);
	tap_ok(wait_until(user_consumed(&u) == 3), "barrier-or is taken");
	tap_eq(signal_value(sig), 1, "and waits");
	/* The other queue's completion, seen through the device's notice. */
	v = user_queue(Q + 1, ASID, 6, 4);
	user_start(&v);
	f = pkt_vendor(GSVM_VOP_FILL, 1, fake_alloc(4096, 4096), 8, b);
	user_push(&v, &f);
	tap_ok(wait_until(signal_value(sig) == 0), "one of them, set by the device, is enough");
	tap_eq(signal_value(a), 1, "the other was not needed");
	user_stop(&v);
}

static void test_order(void)
{
	struct user_queue u = fresh(6);
	uint64_t flag = fake_alloc(4, 4096), s1 = user_signal(1), s2 = user_signal(1);
	struct gsvm_pkt_kernel wait = pkt_kernel(user_kernel(WAIT), 1, 1, flag, s1);
	struct gsvm_pkt_kernel set = pkt_kernel(user_kernel(SET), 1, 1, flag, s2);
	uint64_t i;

	user_push(&u, &wait);
	user_push(&u, &set);
	tap_ok(idle_signal(s1) && idle_signal(s2), "kernels without barrier bit overlap");

	*(uint32_t *)host(flag) = 0;
	*(int64_t *)host(s1) = 40;
	for (i = 0; i < 40; i++)
		user_push(&u, &wait);
	tap_ok(wait_until(user_consumed(&u) == 18), "sixteen of them");
	for (i = 0; i < 1000; i++)
		sched_yield();
	tap_eq(user_consumed(&u), 18, "not more");
	atomic_store((_Atomic uint32_t *)host(flag), 1);
	tap_ok(idle_signal(s1), "the others follow");

	atomic_store((_Atomic uint32_t *)host(flag), 0);
	*(int64_t *)host(s1) = 1;
	*(int64_t *)host(s2) = 1;
	set.header |= GSVM_PKT_BARRIER;
	set.kernarg = fake_alloc(4, 4096);
	user_push(&u, &wait);
	user_push(&u, &set);
	tap_ok(wait_until(user_consumed(&u) == 43), "the first of two is taken");
	for (i = 0; i < 3000; i++)
		sched_yield();
	tap_ok(signal_value(s2) == 1 && !*(uint32_t *)host(set.kernarg),
	       "with it they do not");
	tap_eq(user_consumed(&u), 43, "a packet that waits is not consumed");
	atomic_store((_Atomic uint32_t *)host(flag), 1);
	tap_ok(idle_signal(s1) && idle_signal(s2), "until the first has completed");
	tap_ok(((struct gsvm_signal *)host(s2))->start >= ((struct gsvm_signal *)host(s1))->end,
	       "start of the second is after end of the first");
}

/* ---- Rings and doorbells ---- */

static void test_ring(void)
{
	struct user_queue u = fresh(1);
	uint64_t sig = user_signal(1000), dst = fake_alloc(4096, 4096), i;
	struct gsvm_pkt_vendor p = pkt_vendor(GSVM_VOP_FILL, 0, dst, 8, sig);

	for (i = 0; i < 1000; i++) {
		p.src = i;
		user_push(&u, &p);
	}
	tap_ok(idle_signal(sig), "a thousand packets through a ring of two");
	tap_eq(*(uint64_t *)host(dst), 999, "the last came last");
	tap_eq(user_consumed(&u), 1000, "read index");

	/* A ring starts where its read index says, also above 2^32. */
	user_stop(&u);
	u.write = 0xfffffffffull;
	*(uint64_t *)host(u.read_index) = u.write;
	*(int64_t *)host(sig) = 3;
	user_start(&u);
	for (i = 0; i < 3; i++)
		user_push(&u, &p);
	tap_ok(idle_signal(sig), "goes on at a large read index");
	tap_eq(user_consumed(&u), 0x1000000002ull, "which grows in 64 bits");
}

static void test_doorbell(void)
{
	struct user_queue u = fresh(3), late;
	uint64_t sig = user_signal(2), dst = fake_alloc(4096, 4096), i, bad;
	struct gsvm_pkt_vendor p = pkt_vendor(GSVM_VOP_FILL, 1, dst, 8, sig);

	user_write(&u, &p);
	for (i = 0; i < 1000; i++)
		sched_yield();
	tap_eq(signal_value(sig), 2, "nothing happens before the doorbell");
	/* Of two valid packets only the first is rung for. */
	user_write(&u, &p);
	queue_doorbell(&fake.gpu, ASID, 5, 1);
	tap_ok(wait_until(signal_value(sig) == 1), "one packet is rung for");
	for (i = 0; i < 1000; i++)
		sched_yield();
	tap_eq(user_consumed(&u), 1, "the valid one behind it has to wait");
	user_ring(&u);
	tap_ok(idle_signal(sig), "for its doorbell");

	/* Two producers; the second is ready first and rings first. */
	*(int64_t *)host(sig) = 2;
	late = u;
	u.write = 3;
	user_write(&u, &p);
	user_ring(&u);
	for (i = 0; i < 1000; i++)
		sched_yield();
	tap_eq(signal_value(sig), 2, "an INVALID header holds the queue");
	user_write(&late, &p);
	user_ring(&late);
	tap_ok(idle_signal(sig), "a late, lower doorbell lets both go");
	bad = fake.gpu.stat[GSVM_STAT_BAD_DOORBELLS];
	queue_doorbell(&fake.gpu, ASID, 9, 1);
	queue_doorbell(&fake.gpu, GSVM_MAX_ASIDS, 5, 1);
	queue_doorbell(&fake.gpu, ASID, GSVM_DOORBELLS_PER_PAGE, 1);
	tap_eq(fake.gpu.stat[GSVM_STAT_BAD_DOORBELLS] - bad, 3, "doorbells of nobody are counted");
}

/* ---- Signals ---- */

static void test_signal(void)
{
	struct user_queue u = fresh(3);
	uint64_t sig = user_signal(5), dst = fake_alloc(4096, 4096);
	struct gsvm_pkt_vendor p = pkt_vendor(GSVM_VOP_FILL, 1, dst, 8, sig);
	unsigned int before = fake.irq[GSVM_VEC_EVENT];
	_Atomic uint64_t *event = (_Atomic uint64_t *)&fake.status->event[ASID / 64];
	_Atomic uint32_t *irq = (_Atomic uint32_t *)&((struct gsvm_signal *)host(sig))->irq;

	atomic_exchange(event, 0);
	user_push(&u, &p);
	tap_ok(wait_until(signal_value(sig) == 4), "decremented");
	user_push(&u, &p);
	tap_ok(wait_until(signal_value(sig) == 3), "again");
	tap_ok(!atomic_load(event) && fake.irq[GSVM_VEC_EVENT] == before, "quietly");
	atomic_store(irq, 1);
	user_push(&u, &p);
	tap_ok(wait_until(fake.irq[GSVM_VEC_EVENT] == before + 1), "interrupt on request");
	tap_eq(signal_value(sig), 2, "comes after the value");
	tap_eq(atomic_exchange(event, 0), 1ull << ASID % 64, "and with the ASID's bit");
	p.signal = 0;
	user_push(&u, &p);
	p.signal = sig;
	user_push(&u, &p);
	tap_ok(wait_until(signal_value(sig) == 1), "packets without signal are fine");
}

/* ---- Faults at every access ---- */

/* All kinds of packets; true if everything came out exactly. */
static bool everything(void)
{
	struct user_queue u = fresh(2);
	uint64_t sig = user_signal(6), marks = fake_alloc(4 * 10, 4096);
	uint64_t dep = user_signal(0), src = fake_alloc(12288, 4096), dst = fake_alloc(12288, 4096);
	uint64_t out = fake_alloc(4096, 4096), args = fake_alloc(8192, 4096) + 4096 - 24;
	struct gsvm_pkt_kernel k = pkt_kernel(user_kernel(MARK), 4, 10, marks, sig);
	struct gsvm_pkt_kernel l = pkt_kernel(user_kernel(PRELOAD), 1, 1, args, sig);
	struct gsvm_pkt_barrier b = pkt_barrier(GSVM_PKT_BARRIER_AND, sig);
	struct gsvm_pkt_vendor c = pkt_vendor(GSVM_VOP_COPY, src + 5, dst + 9, 12000, sig);
	struct gsvm_pkt_vendor f = pkt_vendor(GSVM_VOP_FILL, 7, out + 64, 64, sig);
	uint64_t word[8] = { 1, 2, 3, 4, 5, 6, 7, out };
	bool good;

	fill_pattern(src, 12288, 5);
	memcpy(host(args), word, 64);
	((struct gsvm_kernel *)host(l.kernel))->flags = 8;
	b.dep[0] = dep;
	b.dep[3] = dep;
	user_push(&u, &k);
	user_push(&u, &l);
	user_push(&u, &b);
	b.header = GSVM_PKT_BARRIER_OR;
	user_push(&u, &c);
	user_push(&u, &b);
	f.header |= GSVM_PKT_BARRIER;
	user_push(&u, &f);
	good = idle_signal(sig);
	good = good && wait_until(user_consumed(&u) == 6);
	good = good && all_equal(marks, 1, 10) && !memcmp(host(out), word, 56);
	good = good && !memcmp(host(src + 5), host(dst + 9), 12000);
	good = good && !((uint8_t *)host(dst))[8] && !((uint8_t *)host(dst))[12009];
	good = good && *(uint64_t *)host(out + 64) == 7 && *(uint64_t *)host(out + 120) == 7;
	good = good && !*(uint64_t *)host(out + 128) && user_state(&u) == GSVM_QUEUE_RUNNING;
	user_stop(&u);
	return good && signal_value(sig) == 0;
}

static void test_faults(void)
{
	unsigned int n, bad = 0, ran = 0;

	for (n = 1; n < 500; n++) {
		fresh(2);
		atomic_store(&fake.fault_in, n);
		bad += !everything();
		if (atomic_exchange(&fake.fault_in, 0) > 0)
			break;
		ran++;
	}
	tap_ok(!bad, "a fault at each of %u accesses changes nothing (%u did)", ran, bad);
	/* 6 packets with 5 accesses at the least, 10 marks, 6 pages to copy. */
	tap_ok(ran >= 46 && n < 500, "all accesses were reached");
	atomic_store(&fake.fault_seed, 1);
	for (n = 0, bad = 0; n < 300; n++)
		bad += !everything();
	atomic_store(&fake.fault_seed, 0);
	tap_ok(!bad, "nor do many faults in random places");
}

int main(void)
{
	fake_open(2, 4096);
	test_kernel();
	test_preload();
	test_group();
	test_vendor();
	test_barriers();
	test_order();
	test_ring();
	test_doorbell();
	test_signal();
	test_faults();
	tap_eq(fake.fatals + fake.errors, 0, "no device error");
	fake_close();
	return tap_done();
}
