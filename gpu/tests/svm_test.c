// SPDX-License-Identifier: MIT
/*
 * The whole GPU under a driver in miniature. Processes' memory, with code,
 * rings and signals, is in pages that a thread keeps moving: clear the entry,
 * invalidate, copy, poison what was left behind. Another thread serves the
 * faults. Queues of the same processes count with atomics, and every count has
 * to be exact in the end; others fail, stray, are stopped and started again all
 * the time. Nobody may touch a page that was left behind, and a cancel for a
 * fault that was answered already may end nobody.
 */
#include <poll.h>
#include <sched.h>
#include <time.h>

#include "client.h"
#include "queue.h"
#include "rv_enc.h"
#include "tap.h"

#define SPACES		3		/* address spaces; ASIDs 5, 6, 7 */
#define COUNTERS	2		/* queues of each that count */
#define BADS		2		/* queues of each that do not end well */
#define QUEUES		(COUNTERS + BADS)
#define JOBS		6		/* of each counting queue */
#define DATA_PAGES	64		/* of each counting queue */
#define ITEMS		2048		/* of a job: 4 per word of a page */
#define VA		0x7f0000000000ull
#define RING_LOG2	4
#define CMD_LOG2	8
#define FAULT_LOG2	5
#define POISON		0xdeadbeefcafef00dull
#define REASON		0x7777

/* Pages of an address space, by number. */
#define PAGE_CODE	0
#define PAGE_DESC	1		/* kernel descriptors: counting, illegal, endless */
#define PAGE_QUEUE(q)	(2 + (q) * 3)	/* ring, read index, signal */
#define PAGE_DATA(q)	(2 + QUEUES * 3 + (q) * DATA_PAGES)
#define PAGES		PAGE_DATA(COUNTERS)

struct space {
	pthread_mutex_t lock;		/* of all but what is constant */
	uint32_t asid;
	_Atomic uint64_t *pte;		/* of VA and on */
	uint64_t backing[PAGES];	/* bus addresses */
	uint64_t read_faults, write_faults, stray_faults;
};

struct user {
	struct space *space;
	uint32_t id, slot, number;	/* number: in its space */
	uint64_t write;
	bool up;
};

static struct world {
	struct client *c;
	struct gsvm_status *status;
	struct gsvm_queue_desc *desc;
	struct gsvm_ctx *ctx;
	struct gsvm_cmd *cmd;
	struct gsvm_fault *fault;
	pthread_mutex_t cmd_lock;
	uint32_t cmd_tail;
	struct space space[SPACES];
	uint64_t spare[256];		/* poisoned pages, oldest first */
	unsigned int spare_at;
	uint64_t moves, touched, deaths, strange;
	_Atomic bool stop;
} w;

/* ---- Commands ---- */

static uint32_t post(uint32_t op, uint32_t id, uint64_t start, uint64_t end, uint64_t arg)
{
	uint32_t tail;

	pthread_mutex_lock(&w.cmd_lock);
	while (w.cmd_tail - atomic_load((_Atomic uint32_t *)&w.status->cmd_head) >= 1u << CMD_LOG2)
		sched_yield();
	w.cmd[w.cmd_tail++ & ((1u << CMD_LOG2) - 1)] = (struct gsvm_cmd){
		.op = op, .id = id, .start = start, .end = end, .arg = arg,
	};
	tail = w.cmd_tail;
	client_write32(w.c, GSVM_REG_CMD_TAIL, tail);
	pthread_mutex_unlock(&w.cmd_lock);
	return tail;
}

static void run(uint32_t op, uint32_t id, uint64_t start, uint64_t end, uint64_t arg)
{
	uint32_t tail = post(op, id, start, end, arg);
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	while ((int32_t)(atomic_load((_Atomic uint32_t *)&w.status->cmd_head) - tail) < 0) {
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
		tap_need(now.tv_sec - from.tv_sec < 60, "command %u completes", op);
	}
}

/* ---- Memory: all with space.lock held ---- */

static uint64_t page_va(unsigned int page)
{
	return VA + page * 4096ull;
}

static void *cpu(struct space *s, uint64_t va)
{
	return (uint8_t *)client_ptr(w.c, s->backing[(va - VA) >> 12]) + (va & 4095);
}

static void map(struct space *s, unsigned int page, bool write)
{
	uint64_t pte = s->backing[page] | GSVM_PTE_KIND_BUS | GSVM_PTE_LEAF | GSVM_PTE_V |
		       GSVM_PTE_R | GSVM_PTE_X;

	if (write)
		pte |= GSVM_PTE_W | GSVM_PTE_AT;
	atomic_store(&s->pte[page], pte);
}

static void move(struct space *s, unsigned int page)
{
	uint64_t old = s->backing[page], *to, new = w.spare[w.spare_at];
	unsigned int i;

	atomic_store(&s->pte[page], 0);
	run(GSVM_CMD_INVAL_RANGE, s->asid, page_va(page), page_va(page + 1), 0);
	to = client_ptr(w.c, new);
	for (i = 0; i < 512; i++)
		w.touched += to[i] != POISON;
	memcpy(to, client_ptr(w.c, old), 4096);
	s->backing[page] = new;
	w.spare[w.spare_at++] = old;
	w.spare_at %= sizeof(w.spare) / sizeof(w.spare[0]);
	to = client_ptr(w.c, old);
	for (i = 0; i < 512; i++)
		to[i] = POISON;
	w.moves++;
}

static void *mover_main(void *arg)
{
	uint64_t seed = 11, r;
	struct space *s;

	(void)arg;
	while (!w.stop) {
		r = tap_random(&seed);
		s = &w.space[r % SPACES];
		pthread_mutex_lock(&s->lock);
		/* Rings, signals and code more often than data. */
		if (r >> 32 & 1)
			move(s, (r >> 40) % PAGE_DATA(0));
		else
			move(s, (r >> 40) % PAGES);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

/* ---- Faults ---- */

static void serve(const struct gsvm_fault *f)
{
	struct space *s = &w.space[f->asid - 5];
	unsigned int page = (f->addr - VA) >> 12;
	bool write = f->access == GSVM_ACCESS_WRITE || f->access == GSVM_ACCESS_ATOMIC;

	tap_need(f->asid >= 5 && f->asid < 5 + SPACES && f->addr >= VA,
		 "fault at %llx of ASID %u is one of ours", (unsigned long long)f->addr, f->asid);
	if (page >= PAGES) {
		s->stray_faults++;
		post(GSVM_CMD_QUEUE_CANCEL, f->queue, f->addr, f->time, REASON);
		return;
	}
	pthread_mutex_lock(&s->lock);
	if (write || !(s->pte[page] & GSVM_PTE_W))
		map(s, page, write);
	s->write_faults += write;
	s->read_faults += !write;
	pthread_mutex_unlock(&s->lock);
	post(GSVM_CMD_RESUME, f->asid, page_va(page), page_va(page + 1), 0);
	/* Too late, and so without effect. */
	if (f->addr % 3 == 0)
		post(GSVM_CMD_QUEUE_CANCEL, f->queue, f->addr, f->time, 1);
}

static void *fault_main(void *arg)
{
	struct pollfd p = { .fd = w.c->irq[GSVM_VEC_FAULT], .events = POLLIN };
	uint32_t head = 0, tail;

	(void)arg;
	while (!w.stop) {
		/* The time limit is for w.stop only: without an interrupt nothing is read. */
		if (poll(&p, 1, 50) != 1)
			continue;
		client_take_irqs(w.c, GSVM_VEC_FAULT);
		tail = atomic_load((_Atomic uint32_t *)&w.status->fault_tail);
		for (; head != tail; head++)
			serve(&w.fault[head & ((1u << FAULT_LOG2) - 1)]);
		post(GSVM_CMD_FAULT_ACK, 0, 0, 0, head);
	}
	return NULL;
}

/* ---- Programs ---- */

static void write_code(uint32_t *code)
{
	const uint32_t illegal[] = { 0 }, endless[] = { ENC_JAL(0, 0) };
	/* Item n adds 1 to word n % 512 of all 64 pages at a0, beginning with page n / 512. */
	const uint32_t count[] = {
		ENC_CSRRS(5, GSVM_CSR_GLOBAL_LINEAR, 0),
		ENC_SLLI(6, 5, 3),
		ENC_LUI(7, DATA_PAGES << 12),
		ENC_ADDI(7, 7, -1),
		ENC_ADDI(28, 0, DATA_PAGES),
		ENC_ADDI(29, 0, 1),
		ENC_LUI(31, 4096),
		enc_r(0x33, 7, 0, 30, 6, 7),		/* and */
		ENC_ADD(30, 30, 10),
		ENC_AMOADD(3, 0, 30, 29),
		ENC_ADD(6, 6, 31),
		ENC_ADDI(28, 28, -1),
		ENC_BNE(28, 0, -20),
		GSVM_INSN_EXIT,
	};

	memcpy(code, count, sizeof(count));
	memcpy(code + 64, illegal, sizeof(illegal));
	memcpy(code + 128, endless, sizeof(endless));
}

enum { COUNT, ILLEGAL, ENDLESS };

static void make_space(struct space *s, uint32_t asid)
{
	uint64_t table[4], *entry, offset;
	struct gsvm_kernel *k;
	int i;

	pthread_mutex_init(&s->lock, NULL);
	s->asid = asid;
	for (i = 0; i < 4; i++)
		table[i] = client_alloc(w.c, 4096);
	for (i = 3; i > 0; i--) {
		entry = client_ptr(w.c, table[i]);
		entry[VA >> GSVM_PT_SHIFT(i) & 511] = table[i - 1] | GSVM_PTE_KIND_BUS | GSVM_PTE_V;
	}
	s->pte = (_Atomic uint64_t *)client_ptr(w.c, table[0]);
	w.ctx[asid].root = table[3] | GSVM_CTX_VALID;
	for (i = 0; i < PAGES; i++)
		s->backing[i] = client_alloc(w.c, 4096);
	write_code(cpu(s, page_va(PAGE_CODE)));
	for (i = 0; i < 3; i++) {
		offset = i * 64;
		k = cpu(s, page_va(PAGE_DESC) + offset);
		k->magic = GSVM_KERNEL_MAGIC;
		k->entry = (int64_t)(page_va(PAGE_CODE) + i * 256 - page_va(PAGE_DESC) - offset);
		k->private_size = 64;
	}
}

/* ---- Queues ---- */

static void user_start(struct user *u)
{
	struct space *s = u->space;
	uint64_t page = PAGE_QUEUE(u->number);
	unsigned int i;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < 1u << RING_LOG2; i++)
		*(uint16_t *)cpu(s, page_va(page) + 64 * i) = GSVM_PKT_INVALID;
	u->write = *(uint64_t *)cpu(s, page_va(page + 1));
	*(int64_t *)cpu(s, page_va(page + 2)) = 0;
	pthread_mutex_unlock(&s->lock);
	w.desc[u->id] = (struct gsvm_queue_desc){
		.asid = s->asid, .ring = page_va(page), .ring_log2 = RING_LOG2,
		.doorbell = u->slot, .read_index = page_va(page + 1),
	};
	run(GSVM_CMD_QUEUE_START, u->id, 0, 0, 0);
	u->up = true;
}

static bool user_room(struct user *u)
{
	struct space *s = u->space;
	uint64_t read;

	pthread_mutex_lock(&s->lock);
	read = atomic_load((_Atomic uint64_t *)cpu(s, page_va(PAGE_QUEUE(u->number) + 1)));
	pthread_mutex_unlock(&s->lock);
	return u->write - read < 1u << RING_LOG2;
}

static void user_push(struct user *u, unsigned int kernel, uint64_t arg, uint32_t items)
{
	struct space *s = u->space;
	uint64_t page = PAGE_QUEUE(u->number);
	struct gsvm_pkt_kernel p = {
		.header = GSVM_PKT_KERNEL, .setup = 1, .group_x = 64, .group_y = 1, .group_z = 1,
		.grid_x = items, .grid_y = 1, .grid_z = 1,
		.kernel = page_va(PAGE_DESC) + kernel * 64, .kernarg = arg,
		.signal = page_va(page + 2),
	};
	uint8_t *to;

	pthread_mutex_lock(&s->lock);
	/* The device decrements below zero what nobody has counted up. */
	to = cpu(s, page_va(page) + (u->write & ((1u << RING_LOG2) - 1)) * 64);
	memcpy(to + 2, (uint8_t *)&p + 2, 62);
	atomic_store_explicit((_Atomic uint16_t *)to, p.header, memory_order_release);
	pthread_mutex_unlock(&s->lock);
	client_doorbell(w.c, s->asid, u->slot, ++u->write);
}

static int64_t user_signal(struct user *u)
{
	struct space *s = u->space;
	int64_t value;

	pthread_mutex_lock(&s->lock);
	value = atomic_load((_Atomic int64_t *)cpu(s, page_va(PAGE_QUEUE(u->number) + 2)));
	pthread_mutex_unlock(&s->lock);
	return value;
}

/* An error can only be one that user_abuse() asked for. */
static bool error_good(const struct user *u)
{
	const struct gsvm_queue_desc *d = &w.desc[u->id];

	if (d->error == GSVM_QERR_INSN)
		return d->pc == page_va(PAGE_CODE) + 256 && !d->addr && !d->reason;
	return d->error == GSVM_QERR_FAULT && d->reason == REASON && d->addr >= page_va(PAGES) &&
	       d->addr < page_va(PAGES + DATA_PAGES) && d->access == GSVM_ACCESS_ATOMIC &&
	       d->pc > page_va(PAGE_CODE) && d->pc < page_va(PAGE_CODE) + 64;
}

/* One more thing to one that does not have to end well. */
static void user_abuse(struct user *u, uint64_t r)
{
	uint32_t state = atomic_load((_Atomic uint32_t *)&w.desc[u->id].state);

	if (!u->up) {
		user_start(u);
	} else if (state == GSVM_QUEUE_ERROR || r % 16 == 0) {
		run(GSVM_CMD_QUEUE_STOP, u->id, 0, 0, 0);
		u->up = false;
		if (w.desc[u->id].state != GSVM_QUEUE_ERROR)
			return;
		w.deaths++;
		w.strange += !error_good(u);
	} else if (user_room(u)) {
		if (r % 16 == 1)
			user_push(u, ILLEGAL, 0, 64);
		else if (r % 16 == 2)
			user_push(u, COUNT, page_va(PAGES), 64);
		else if (r % 16 < 5)
			user_push(u, ENDLESS, 0, 256);
	}
}

static void play(struct user *user, unsigned int n)
{
	unsigned int i, jobs[SPACES * QUEUES] = { 0 }, left = SPACES * COUNTERS;
	struct timespec from, now;
	uint64_t seed = 5;
	struct user *u;

	clock_gettime(CLOCK_MONOTONIC, &from);
	while (left) {
		left = 0;
		for (i = 0; i < n; i++) {
			u = &user[i];
			if (u->number >= COUNTERS) {
				user_abuse(u, tap_random(&seed));
				continue;
			}
			if (jobs[i] < JOBS && user_room(u)) {
				user_push(u, COUNT, page_va(PAGE_DATA(u->number)), ITEMS);
				jobs[i]++;
			}
			left += user_signal(u) != -JOBS;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		tap_need(now.tv_sec - from.tv_sec < 120, "all jobs complete");
	}
}

static bool counts_good(struct user *u)
{
	struct space *s = u->space;
	uint64_t i, *word;
	bool good = true;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < DATA_PAGES * 512; i++) {
		word = cpu(s, page_va(PAGE_DATA(u->number)) + 8 * i);
		good = good && *word == JOBS * ITEMS / 512;
		*word = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return good;
}

/* ---- The world ---- */

static void set_up(void)
{
	struct gpu_config cfg = {
		.vram_size = 64 << 20, .num_cores = 2, .num_copy = 1,
		.max_harts = 2 * QUEUE_MAX_GROUP, .check = true,
	};
	unsigned int i, k;
	uint64_t bus, *word;

	w.c = client_start(&cfg);
	pthread_mutex_init(&w.cmd_lock, NULL);
	bus = client_alloc(w.c, GSVM_MAX_ASIDS * sizeof(*w.ctx));
	w.ctx = client_ptr(w.c, bus);
	client_write64(w.c, GSVM_REG_CTX_BASE, bus);
	bus = client_alloc(w.c, GSVM_MAX_QUEUES * sizeof(*w.desc));
	w.desc = client_ptr(w.c, bus);
	client_write64(w.c, GSVM_REG_QUEUE_BASE, bus);
	bus = client_alloc(w.c, 4096);
	w.status = client_ptr(w.c, bus);
	client_write64(w.c, GSVM_REG_STATUS_BASE, bus);
	bus = client_alloc(w.c, sizeof(*w.cmd) << CMD_LOG2);
	w.cmd = client_ptr(w.c, bus);
	client_write64(w.c, GSVM_REG_CMD_BASE, bus);
	client_write32(w.c, GSVM_REG_CMD_LOG2, CMD_LOG2);
	bus = client_alloc(w.c, sizeof(*w.fault) << FAULT_LOG2);
	w.fault = client_ptr(w.c, bus);
	client_write64(w.c, GSVM_REG_FAULT_BASE, bus);
	client_write32(w.c, GSVM_REG_FAULT_LOG2, FAULT_LOG2);
	for (i = 0; i < SPACES; i++)
		make_space(&w.space[i], 5 + i);
	for (i = 0; i < sizeof(w.spare) / sizeof(w.spare[0]); i++) {
		w.spare[i] = client_alloc(w.c, 4096);
		word = client_ptr(w.c, w.spare[i]);
		for (k = 0; k < 512; k++)
			word[k] = POISON;
	}
	client_enable(w.c);
}

static uint64_t counter(unsigned int n)
{
	return client_read64(w.c, GSVM_REG_STAT + 8 * n);
}

int main(void)
{
	struct user user[SPACES * QUEUES];
	pthread_t mover, faults;
	unsigned int i, n = 0, good = 0;
	uint64_t reads = 0, writes = 0, strays = 0;

	set_up();
	tap_need(!pthread_create(&mover, NULL, mover_main, NULL), "thread");
	tap_need(!pthread_create(&faults, NULL, fault_main, NULL), "thread");
	for (i = 0; i < SPACES * QUEUES; i++) {
		user[i] = (struct user){ .space = &w.space[i % SPACES], .id = i * 100,
					 .slot = i, .number = i / SPACES };
		user_start(&user[n++]);
	}
	play(user, n);
	for (i = 0; i < n; i++)
		run(GSVM_CMD_QUEUE_STOP, user[i].id, 0, 0, 0);
	w.stop = true;
	pthread_join(mover, NULL);
	pthread_join(faults, NULL);
	for (i = 0; i < SPACES * COUNTERS; i++)
		good += counts_good(&user[i]);
	tap_eq(good, SPACES * COUNTERS, "every atomic addition came out exactly once");
	tap_eq(w.touched, 0, "no page was touched after it had been left behind");
	tap_eq(counter(GSVM_STAT_VIOLATIONS), 0, "the checking mode agrees");
	tap_eq(w.strange, 0, "queues ended only for reasons of their own");
	for (i = 0; i < SPACES; i++) {
		reads += w.space[i].read_faults;
		writes += w.space[i].write_faults;
		strays += w.space[i].stray_faults;
	}
	tap_note("%llu moves, %llu read, %llu write, %llu stray faults, %llu errors",
		 (unsigned long long)w.moves, (unsigned long long)reads,
		 (unsigned long long)writes, (unsigned long long)strays,
		 (unsigned long long)w.deaths);
	tap_ok(w.moves > 50 && reads > 20 && writes > 50 && strays && w.deaths,
	       "pages moved, accesses faulted, queues ended");
	tap_eq(client_read32(w.c, GSVM_REG_ERROR), 0, "no device error");
	tap_eq(client_read32(w.c, GSVM_REG_STATUS), GSVM_STATUS_ENABLED, "the device is well");
	tap_eq(client_stop(w.c), 0, "and ends");
	return tap_done();
}
