// SPDX-License-Identifier: MIT
/*
 * Copy engines over a bus of odd windows: mapped ones that end where they like,
 * one without mapping, holes; against a byte-by-byte model.
 */
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "agent.h"
#include "copy.h"
#include "dma.h"
#include "tap.h"

#define VRAM_SIZE	(4u << 20)
#define BUS_SIZE	(8u << 20)
#define HOLE		(6u << 20)		/* from here on nothing is there */
#define MESSAGE		(5u << 20)		/* from here to HOLE: by message */
#define READONLY	(4u << 20)		/* 64 KiB from here */
#define STATUS		0x1000
#define RING(n)		(0x10000 + 0x10000 * (n))
#define LOG2		5
#define ENGINES		3
#define WAIT_NS		20000000000ull

static struct gpu gpu;
static uint8_t *bus, *model_bus, *model_vram;
static struct gsvm_status *status;
static uint32_t tail[ENGINES];
static _Atomic unsigned int irq[GSVM_NUM_VECTORS], errors, fatals, messages;
static _Atomic uint64_t last_err, last_info;
static _Atomic bool blocked;	/* no window works */
static struct agent *agents[8];
static unsigned int nagents;

/* ---- The world ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#define wait_until(cond) ({						\
	uint64_t end_ = now_ns() + WAIT_NS;				\
	while (!(cond) && now_ns() < end_)				\
		sched_yield();						\
	(cond);								\
})

uint64_t gpu_time_ns(const struct gpu *g)
{
	(void)g;
	return now_ns();
}

void gpu_error(struct gpu *g, uint32_t err, uint64_t info)
{
	(void)g;
	last_err = err;
	last_info = info;
	errors++;
}

void gpu_fatal(struct gpu *g, uint32_t err, uint64_t info)
{
	gpu_error(g, err, info);
	fatals++;
}

void irq_raise(struct gpu *g, unsigned int vector)
{
	(void)g;
	irq[vector]++;
}

void dma_add_agent(struct gpu *g, struct agent *a)
{
	(void)g;
	agents[nagents++] = a;
}

void dma_remove_agent(struct gpu *g, struct agent *a)
{
	(void)g;
	(void)a;
}

/* Windows of 12 KiB and 244 KiB in turn, so that ranges cross them anywhere. */
static uint64_t window_end(uint64_t addr)
{
	uint64_t base = addr & ~0x3ffffull;

	return addr - base < 0x3000 ? base + 0x3000 : base + 0x40000;
}

void *gpu_ptr(struct gpu *g, bool vram, uint64_t addr, size_t len, bool write)
{
	if (vram)
		return addr <= VRAM_SIZE && len <= VRAM_SIZE - addr ? g->vram + addr : NULL;
	if (blocked || addr >= MESSAGE || len > window_end(addr) - addr)
		return NULL;
	if (write && addr + len > READONLY && addr < READONLY + 0x10000)
		return NULL;
	return bus + addr;
}

static bool message_good(uint64_t addr, size_t len, bool write)
{
	messages++;
	if (blocked || addr >= HOLE || len > HOLE - addr)
		return false;
	return !write || addr + len <= READONLY || addr >= READONLY + 0x10000;
}

int dma_read(struct gpu *g, uint64_t addr, void *buf, size_t len)
{
	(void)g;
	if (!message_good(addr, len, false))
		return -EFAULT;
	memcpy(buf, bus + addr, len);
	return 0;
}

int dma_write(struct gpu *g, uint64_t addr, const void *buf, size_t len)
{
	(void)g;
	if (!message_good(addr, len, true))
		return -EFAULT;
	memcpy(bus + addr, buf, len);
	return 0;
}

/* ---- Submitting ---- */

static uint32_t done(unsigned int e)
{
	return atomic_load_explicit((_Atomic uint32_t *)&status->copy[e].done,
				    memory_order_acquire);
}

static void write_desc(unsigned int e, const struct gsvm_copy *c)
{
	struct gsvm_copy *ring = (void *)(bus + RING(e));

	tap_need(wait_until(tail[e] - done(e) < 1u << LOG2), "ring has room");
	ring[tail[e]++ & ((1u << LOG2) - 1)] = *c;
}

static bool flush(unsigned int e)
{
	copy_doorbell(&gpu, e, tail[e]);
	return wait_until(done(e) == tail[e]);
}

static bool submit(unsigned int e, uint32_t op, uint64_t src, uint64_t dst, uint32_t len)
{
	struct gsvm_copy c = { .op = op, .len = len, .src = src, .dst = dst };

	write_desc(e, &c);
	return flush(e);
}

static void model(uint32_t op, uint64_t src, uint64_t dst, uint32_t len)
{
	uint8_t *to = (op & GSVM_COPY_DST_VRAM ? model_vram : model_bus) + dst;
	uint32_t i;

	if ((op & GSVM_COPY_OP) == GSVM_COPY_FILL)
		for (i = 0; i < len; i++)
			to[i] = (uint8_t)(src >> (i % 8 * 8));
	else
		memcpy(to, (op & GSVM_COPY_SRC_VRAM ? model_vram : model_bus) + src, len);
}

/* All but the rings and the status page. */
static bool same(void)
{
	return !memcmp(bus + 0x100000, model_bus + 0x100000, BUS_SIZE - 0x100000) &&
	       !memcmp(gpu.vram, model_vram, VRAM_SIZE);
}

static bool both(unsigned int e, uint32_t op, uint64_t src, uint64_t dst, uint32_t len)
{
	uint32_t failed = status->copy[e].errors;

	model(op, src, dst, len);
	return submit(e, op, src, dst, len) && same() && status->copy[e].errors == failed;
}

/* ---- Tests ---- */

static void test_kinds(void)
{
	const uint32_t sv = GSVM_COPY_SRC_VRAM, dv = GSVM_COPY_DST_VRAM;
	uint64_t bytes = gpu.stat[GSVM_STAT_COPY_BYTES];

	tap_ok(both(0, GSVM_COPY_COPY | dv, 0x200000, 0x1000, 4096), "bus to VRAM, a page");
	tap_ok(both(1, GSVM_COPY_COPY | sv, 0x1000, 0x180000, 4096), "VRAM to bus");
	tap_ok(both(0, GSVM_COPY_COPY | sv | dv, 0x1003, 0x20001, 77777), "VRAM to VRAM, odd");
	tap_ok(both(2, GSVM_COPY_COPY, 0x200001, 0x300ff3, 900001), "bus to bus, across windows");
	tap_ok(both(0, GSVM_COPY_COPY | dv, 0x180000, 0x200000, 2 << 20), "2 MiB at once");
	tap_ok(both(0, GSVM_COPY_FILL | dv, 0x0102030405060708, 0x10008, 100008), "fill VRAM");
	tap_ok(both(0, GSVM_COPY_FILL, 0xfedcba9876543210, 0x23ff8, 0) == false,
	       "fill of nothing is an error");
	tap_ok(both(1, GSVM_COPY_FILL, 0xfedcba9876543210, 0x242ff8, 65544), "fill bus memory");
	tap_ok(both(0, GSVM_COPY_COPY | dv, VRAM_SIZE, VRAM_SIZE - 1, 1), "the last byte of VRAM");
	tap_eq(gpu.stat[GSVM_STAT_COPY_BYTES] - bytes,
	       4096 * 2 + 77777 + 900001 + (2 << 20) + 100008 + 65544 + 1, "bytes are counted");
	messages = 0;
	tap_ok(both(0, GSVM_COPY_COPY | dv, MESSAGE + 11, 0x5005, 20000) && messages >= 5,
	       "from a window without mapping");
	tap_ok(both(0, GSVM_COPY_COPY | sv, 0x5005, MESSAGE + 0x1234, 20000), "to one");
	tap_ok(both(0, GSVM_COPY_COPY, MESSAGE - 5000, MESSAGE + 0x20000, 10000), "half in one");
	tap_ok(both(0, GSVM_COPY_FILL, 77, MESSAGE + 8, 8192), "fill one");
}

static void bad(const char *name, struct gsvm_copy c, bool touches)
{
	uint32_t failed = status->copy[1].errors, at = tail[1];
	unsigned int irqs = irq[GSVM_VEC_COPY(1)];

	c.op |= GSVM_COPY_IRQ;
	write_desc(1, &c);
	last_err = 0;
	/* And a good one after it. */
	c = (struct gsvm_copy){ .op = GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, .len = 8, .src = at,
				.dst = 64 };
	model(c.op, c.src, c.dst, c.len);
	write_desc(1, &c);
	tap_ok(flush(1) && status->copy[1].errors == failed + 1 && last_err == GSVM_ERR_COPY &&
	       last_info == (1ull << 32 | at) && irq[GSVM_VEC_COPY(1)] == irqs + 1 &&
	       (touches || same()), "refused: %s", name);
	if (touches) {
		memcpy(model_bus, bus, BUS_SIZE);
		memcpy(model_vram, gpu.vram, VRAM_SIZE);
	}
}

/* A failure says so by what is counted and latched: it asks for no interrupt of its own. */
static void test_bad_quietly(void)
{
	struct gsvm_copy c = { .op = GSVM_COPY_COPY, .len = 64, .src = HOLE, .dst = 0x210000 };
	uint32_t failed = status->copy[1].errors;
	unsigned int irqs = irq[GSVM_VEC_COPY(1)];

	write_desc(1, &c);
	/* A good one: when it is done, what the bad one had to raise has been raised. */
	c = (struct gsvm_copy){ .op = GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, .len = 8, .dst = 64 };
	model(c.op, c.src, c.dst, c.len);
	write_desc(1, &c);
	tap_ok(flush(1) && status->copy[1].errors == failed + 1 && same() &&
	       irq[GSVM_VEC_COPY(1)] == irqs, "refused, without an interrupt that nobody asked for");
}

static void test_bad(void)
{
	const uint32_t copy = GSVM_COPY_COPY, fill = GSVM_COPY_FILL, dv = GSVM_COPY_DST_VRAM;
	struct gsvm_copy good = { .op = copy, .len = 64, .src = 0x200000, .dst = 0x210000 }, c;

#define BAD(name, field, value) do { c = good; c.field = value; bad(name, c, false); } while (0)
	BAD("op 0", op, 0);
	BAD("op 3", op, 3);
	BAD("reserved bit", op, copy | 1 << 10);
	BAD("fill from VRAM", op, fill | GSVM_COPY_SRC_VRAM);
	BAD("len 0", len, 0);
	BAD("len above 2^31", len, (1u << 31) + 1);
	BAD("rsvd", rsvd, 1);
	BAD("src in a hole", src, HOLE);
	BAD("dst in a hole", dst, HOLE + 4096);
	BAD("read-only dst", dst, READONLY);
	BAD("src wraps", src, ~0ull - 5);
	BAD("dst wraps", dst, ~0ull - 5);
	good.op = copy | dv;
	BAD("dst beyond VRAM", dst, VRAM_SIZE - 63);
	BAD("dst far beyond VRAM", dst, ~0ull - 5);
	good.op = copy | GSVM_COPY_SRC_VRAM;
	BAD("src beyond VRAM", src, VRAM_SIZE - 63);
	good.op = fill | dv;
	good.dst = 0x1000;
	BAD("fill: misaligned dst", dst, 0x1004);
	BAD("fill: misaligned len", len, 60);
	good = (struct gsvm_copy){ .op = copy | dv, .len = 65536, .src = HOLE - 4096 };
	bad("a hole half-way", good, true);
}

static void test_order(void)
{
	struct gsvm_copy c = { .op = GSVM_COPY_COPY | GSVM_COPY_SRC_VRAM | GSVM_COPY_DST_VRAM,
			       .len = 100000 };
	unsigned int i, e, irqs = irq[GSVM_VEC_COPY(2)];
	uint64_t seed = 7;

	for (i = 0; i < 300; i++) {
		/* Chains: each reads what an earlier one has written. */
		c.src = tap_random(&seed) % 20 * 100000;
		do
			c.dst = tap_random(&seed) % 20 * 100000;
		while (c.dst == c.src);
		c.op = (c.op & ~GSVM_COPY_IRQ) | (i % 3 ? 0 : GSVM_COPY_IRQ);
		model(c.op, c.src, c.dst, c.len);
		write_desc(2, &c);
		copy_doorbell(&gpu, 2, tail[2]);
	}
	tap_ok(flush(2) && same(), "300 dependent copies in order, the ring always full");
	tap_ok(wait_until(irq[GSVM_VEC_COPY(2)] == irqs + 100), "interrupts on request only");
	/* Engines side by side, each in its part. */
	for (i = 0; i < 20; i++)
		for (e = 0; e < ENGINES; e++) {
			c.op = GSVM_COPY_FILL | GSVM_COPY_DST_VRAM;
			c.src = i * 1000 + e;
			c.dst = e << 20;
			c.len = 1 << 20;
			model(c.op, c.src, c.dst, c.len);
			write_desc(e, &c);
			copy_doorbell(&gpu, e, tail[e]);
		}
	tap_ok(flush(0) && flush(1) && flush(2) && same(), "three engines at a time");
}

static void test_tail(void)
{
	struct gsvm_copy c = { .op = GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, .len = 8, .dst = 512 };
	unsigned int before = errors, i;

	last_err = 0;
	copy_doorbell(&gpu, 0, tail[0] + (1 << LOG2) + 1);
	tap_ok(errors == before + 1 && last_err == GSVM_ERR_REGISTER &&
	       last_info == GSVM_REG_COPY_TAIL(0), "a tail more than a ring ahead");
	copy_doorbell(&gpu, 0, tail[0] - 1);
	tap_eq(errors, before + 2, "a tail behind");
	copy_doorbell(&gpu, 0, tail[0]);
	copy_doorbell(&gpu, ENGINES, 5);
	tap_eq(errors, before + 2, "the same again, and no such engine, are nothing");
	agent_stop(agents[0]);
	for (i = 0; i < 3; i++) {
		model(c.op, c.src, c.dst, c.len);
		write_desc(0, &c);
	}
	copy_doorbell(&gpu, 0, tail[0]);
	copy_doorbell(&gpu, 0, tail[0] - 1);
	tap_eq(errors, before + 3, "a tail behind one that is not done yet");
	agent_continue(agents[0]);
	tap_ok(flush(0) && same(), "has no effect");
	tap_ok(both(0, GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, 1, 0, 8), "the engine is well");
}

/* A stopped engine moves nothing, and goes on where it was. */
static void test_agent(void)
{
	struct gsvm_copy c = { .op = GSVM_COPY_COPY | GSVM_COPY_SRC_VRAM | GSVM_COPY_DST_VRAM,
			       .len = 2 << 20, .dst = 2 << 20 };
	uint64_t worst = 0, t, bytes, base = gpu.stat[GSVM_STAT_COPY_BYTES];
	unsigned int i, n, bad_stops = 0, inside = 0;

	model(c.op, c.src, c.dst, c.len);
	/* Until a hundred stops have met a busy engine. */
	for (n = 0; n < 100000 && inside < 100; n++) {
		if (done(0) == tail[0]) {
			for (i = 0; i < 1 << LOG2; i++)
				write_desc(0, &c);
			copy_doorbell(&gpu, 0, tail[0]);
		}
		t = now_ns();
		agent_stop(agents[0]);
		t = now_ns() - t;
		worst = t > worst ? t : worst;
		bytes = gpu.stat[GSVM_STAT_COPY_BYTES];
		sched_yield();
		bad_stops += gpu.stat[GSVM_STAT_COPY_BYTES] != bytes;
		/* In the middle of a descriptor, even. */
		inside += (bytes - base) % c.len != 0;
		agent_continue(agents[0]);
	}
	tap_ok(flush(0) && same() && inside == 100 && !bad_stops,
	       "agent_stop() in the midst (worst %llu us)", (unsigned long long)worst / 1000);
}

static void test_reset(void)
{
	struct gsvm_copy c = { .op = GSVM_COPY_COPY | GSVM_COPY_SRC_VRAM | GSVM_COPY_DST_VRAM,
			       .len = 2 << 20, .dst = 2 << 20 };
	unsigned int i, n, early = 0;
	uint64_t bytes;

	for (n = 0; n < 20 || (!early && n < 1000); n++) {
		for (i = 0; i < 1 << LOG2; i++)
			write_desc(0, &c);
		bytes = gpu.stat[GSVM_STAT_COPY_BYTES];
		copy_doorbell(&gpu, 0, tail[0]);
		wait_until(done(0) != tail[0] - (1 << LOG2));
		copy_reset(&gpu);
		bytes = gpu.stat[GSVM_STAT_COPY_BYTES] - bytes;
		early += bytes % c.len != 0;
		/* Nothing moves any more: the memory is the test's now. */
		memset(gpu.vram, 0, VRAM_SIZE);
		memset(status, 0, sizeof(*status));
		memset(tail, 0, sizeof(tail));
	}
	tap_ok(early, "reset does not even wait for the descriptor (%u of %u cut short)", early, n);
	memcpy(model_vram, gpu.vram, VRAM_SIZE);
	tap_ok(both(0, GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, 5, 4096, 4096) && done(0) == 1,
	       "and starts again at 0");
	tap_eq(status->copy[0].errors, 0, "without errors");

	/* The device is being stopped: memory is out of reach in the midst. */
	n = errors;
	agent_stop(agents[0]);
	c = (struct gsvm_copy){ .op = GSVM_COPY_FILL, .len = 8, .dst = HOLE };
	write_desc(0, &c);
	copy_doorbell(&gpu, 0, tail[0]);
	gpu.enabled = false;
	agent_continue(agents[0]);
	copy_reset(&gpu);
	tap_eq(errors, n, "what a stop makes fail is no error");
	gpu.enabled = true;
	memset(status, 0, sizeof(*status));
	memset(tail, 0, sizeof(tail));
	tap_ok(both(0, GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, 5, 4096, 4096), "and ends with it");

	blocked = true;
	memset(&c, 0, sizeof(c));
	c.op = GSVM_COPY_FILL;
	c.len = 8;
	write_desc(0, &c);
	copy_doorbell(&gpu, 0, tail[0]);
	tap_ok(wait_until(fatals == 1) && last_err == GSVM_ERR_BUS && last_info == RING(0) + 32,
	       "a ring that is gone is fatal");
	tap_eq(errors, n + 1, "once");
	copy_reset(&gpu);
	blocked = false;
	memset(status, 0, sizeof(*status));
	memset(tail, 0, sizeof(tail));
	tap_ok(both(0, GSVM_COPY_FILL | GSVM_COPY_DST_VRAM, 6, 4096, 4096), "until the reset");
}

static void setup(void)
{
	uint64_t seed = 3, i;

	bus = aligned_alloc(4096, BUS_SIZE);
	gpu.vram = aligned_alloc(4096, VRAM_SIZE);
	model_bus = malloc(BUS_SIZE);
	model_vram = malloc(VRAM_SIZE);
	tap_need(bus && gpu.vram && model_bus && model_vram, "memory");
	for (i = 0; i < BUS_SIZE; i += 8)
		*(uint64_t *)(bus + i) = tap_random(&seed);
	for (i = 0; i < VRAM_SIZE; i += 8)
		*(uint64_t *)(gpu.vram + i) = tap_random(&seed);
	memset(bus, 0, 0x100000);
	memcpy(model_bus, bus, BUS_SIZE);
	memcpy(model_vram, gpu.vram, VRAM_SIZE);
	status = (void *)(bus + STATUS);
	gpu.enabled = true;
	gpu.cfg.vram_size = VRAM_SIZE;
	gpu.cfg.num_copy = ENGINES;
	gpu.reg.status_base = STATUS;
	for (i = 0; i < ENGINES; i++) {
		gpu.reg.copy_base[i] = RING(i);
		gpu.reg.copy_log2[i] = LOG2;
	}
	tap_need(!copy_init(&gpu), "copy_init");
}

int main(void)
{
	setup();
	test_kinds();
	test_bad();
	test_bad_quietly();
	test_order();
	test_tail();
	test_agent();
	test_reset();
	copy_exit(&gpu);
	free(bus);
	free(gpu.vram);
	free(model_bus);
	free(model_vram);
	return tap_done();
}
