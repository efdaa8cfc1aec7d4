// SPDX-License-Identifier: MIT
/* Commands: fields, order, completion, doorbell, reset, invalidation against running cores. */
#include <semaphore.h>
#include <stdatomic.h>

static atomic_uint sleeps;	/* how often the command thread went to sleep */

static int counted_sem_wait(sem_t *sem)
{
	atomic_fetch_add(&sleeps, 1);
	return sem_wait(sem);
}

/* The unit itself: the test sets its indices, to see them pass 2^32. */
#define sem_wait counted_sem_wait
#include "cmd.c"
#undef sem_wait

#include "fake.h"
#include "tap.h"

#define VA	0x500000000ull
#define END	(1ull << 48)

static struct fake *f;
static struct gpu *gpu;
static uint32_t next;		/* commands sent */

static void begin(unsigned int cores)
{
	f = fake_create(cores);
	gpu = &f->gpu;
	next = 0;
	tap_need(!fault_init(gpu) && !cmd_init(gpu), "units start");
}

static void end(void)
{
	cmd_exit(gpu);
	fault_exit(gpu);
	fake_destroy(f);
}

static void put(uint32_t op, uint32_t id, uint64_t start, uint64_t stop, uint64_t arg)
{
	f->cmd[next++ & ((1u << gpu->reg.cmd_log2) - 1)] =
		(struct gsvm_cmd){ op, id, start, stop, arg };
}

/* Ring, and wait for completion. */
static bool run(void)
{
	cmd_doorbell(gpu, next);
	return fake_wait(&f->status->cmd_head, next);
}

static bool send(uint32_t op, uint32_t id, uint64_t start, uint64_t stop, uint64_t arg)
{
	put(op, id, start, stop, arg);
	return run();
}

/*
 * The thread has finished all it was told, errors and interrupts included: it
 * has gone to sleep once more after a pass that began after this call.
 */
static void settle(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int seen = atomic_load(&sleeps);

		sem_post(&gpu->cmd->bell);
		while (atomic_load(&sleeps) == seen)
			fake_nap();
	}
}

static unsigned int irqs(unsigned int vector)
{
	return atomic_load(&f->irq[vector]);
}

/* ---- Every field of every command ---- */

#define NOP	GSVM_CMD_NOP
#define RANGE	GSVM_CMD_INVAL_RANGE
#define IASID	GSVM_CMD_INVAL_ASID
#define IALL	GSVM_CMD_INVAL_ALL
#define ACK	GSVM_CMD_FAULT_ACK
#define RESUME	GSVM_CMD_RESUME
#define START	GSVM_CMD_QUEUE_START
#define STOP	GSVM_CMD_QUEUE_STOP
#define CANCEL	GSVM_CMD_QUEUE_CANCEL
#define REPORT	GSVM_CMD_FAULT_REPORT
#define LAST	(GSVM_MAX_ASIDS - 1)
#define LASTQ	(GSVM_MAX_QUEUES - 1)

static const struct {
	const char *name;
	struct gsvm_cmd cmd;	/* op, id, start, end, arg */
	bool good;
} fields[] = {
	{ "NOP", { NOP, 0, 0, 0, 0 }, true },
	{ "NOP, id", { NOP, 1, 0, 0, 0 }, false },
	{ "NOP, start", { NOP, 0, 0x1000, 0, 0 }, false },
	{ "NOP, end", { NOP, 0, 0, 0x1000, 0 }, false },
	{ "NOP, arg", { NOP, 0, 0, 0, 1 }, false },
	{ "NOP, op bit 8", { NOP | 1u << 8, 0, 0, 0, 0 }, false },
	{ "NOP, op bit 30", { NOP | 1u << 30, 0, 0, 0, 0 }, false },
	{ "op 10", { 10, 0, 0, 0, 0 }, false },
	{ "op 255", { 255, 0, 0, 0, 0 }, false },
	{ "range", { RANGE, LAST, 0x1000, 0x2000, 0 }, true },
	{ "range, all", { RANGE, 0, 0, END, 0 }, true },
	{ "range, ASID out of range", { RANGE, LAST + 1, 0x1000, 0x2000, 0 }, false },
	{ "range, ASID ~0", { RANGE, ~0u, 0x1000, 0x2000, 0 }, false },
	{ "range, start not aligned", { RANGE, 1, 0x1800, 0x3000, 0 }, false },
	{ "range, end not aligned", { RANGE, 1, 0x1000, 0x2001, 0 }, false },
	{ "range, empty", { RANGE, 1, 0x1000, 0x1000, 0 }, false },
	{ "range, zero", { RANGE, 1, 0, 0, 0 }, false },
	{ "range, backwards", { RANGE, 1, 0x2000, 0x1000, 0 }, false },
	{ "range, beyond 2^48", { RANGE, 1, 0x1000, END + 0x1000, 0 }, false },
	{ "range, end 2^64 - 4096", { RANGE, 1, 0x1000, -0x1000ull, 0 }, false },
	{ "range, arg", { RANGE, 1, 0x1000, 0x2000, 1 }, false },
	{ "range, op bit 9", { RANGE | 1u << 9, 1, 0x1000, 0x2000, 0 }, false },
	{ "ASID", { IASID, LAST, 0, 0, 0 }, true },
	{ "ASID out of range", { IASID, LAST + 1, 0, 0, 0 }, false },
	{ "ASID, start", { IASID, 1, 0x1000, 0, 0 }, false },
	{ "ASID, end", { IASID, 1, 0, 0x1000, 0 }, false },
	{ "ASID, range", { IASID, 1, 0x1000, 0x2000, 0 }, false },
	{ "ASID, arg", { IASID, 1, 0, 0, 1 }, false },
	{ "all", { IALL, 0, 0, 0, 0 }, true },
	{ "all, id", { IALL, 1, 0, 0, 0 }, false },
	{ "all, end", { IALL, 0, 0, 0x1000, 0 }, false },
	{ "all, arg", { IALL, 0, 0, 0, 1 }, false },
	{ "ack", { ACK, 0, 0, 0, 0 }, true },
	{ "ack, id", { ACK, 1, 0, 0, 0 }, false },
	{ "ack, start", { ACK, 0, 0x1000, 0, 0 }, false },
	{ "ack, index above 32 bits", { ACK, 0, 0, 0, 1ull << 32 }, false },
	{ "resume", { RESUME, LAST, 0, END, 0 }, true },
	{ "resume, ASID out of range", { RESUME, LAST + 1, 0, END, 0 }, false },
	{ "resume, empty", { RESUME, 1, 0x5000, 0x5000, 0 }, false },
	{ "resume, not aligned", { RESUME, 1, 0x10, 0x5000, 0 }, false },
	{ "resume, beyond 2^48", { RESUME, 1, 0, END + 0x1000, 0 }, false },
	{ "resume, arg", { RESUME, 1, 0, END, 1 }, false },
	{ "report", { REPORT, LAST, 0, END, 0 }, true },
	{ "report, ASID out of range", { REPORT, LAST + 1, 0, END, 0 }, false },
	{ "report, empty", { REPORT, 1, 0x5000, 0x5000, 0 }, false },
	{ "report, not aligned", { REPORT, 1, 0x10, 0x5000, 0 }, false },
	{ "report, beyond 2^48", { REPORT, 1, 0, END + 0x1000, 0 }, false },
	{ "report, arg", { REPORT, 1, 0, END, 1 }, false },
	{ "start", { START, LASTQ, 0, 0, 0 }, true },
	{ "start, queue out of range", { START, LASTQ + 1, 0, 0, 0 }, false },
	{ "start, start", { START, 1, 0x1000, 0, 0 }, false },
	{ "start, arg", { START, 1, 0, 0, 1 }, false },
	{ "stop", { STOP, LASTQ, 0, 0, 0 }, true },
	{ "stop, queue out of range", { STOP, LASTQ + 1, 0, 0, 0 }, false },
	{ "stop, end", { STOP, 1, 0, 0x1000, 0 }, false },
	{ "stop, arg", { STOP, 1, 0, 0, 1 }, false },
	{ "cancel", { CANCEL, LASTQ, 0, 0, 0xffffffff }, true },
	{ "cancel, any record", { CANCEL, 1, 0x1001, 12345, 1 }, true },
	{ "cancel, queue out of range", { CANCEL, LASTQ + 1, 0, 0, 1 }, false },
	{ "cancel, reason above 32 bits", { CANCEL, 1, 0, 0, 1ull << 32 }, false },
};

static void test_fields(void)
{
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct gsvm_cmd *c = &fields[i].cmd;
		/* A cancel reaches the queue only for a parked access: test_cancel(). */
		bool queue = c->op >= START && c->op <= STOP, ok;

		begin(1);
		put(NOP, 0, 0, 0, 0);
		put(c->op | GSVM_CMD_IRQ, c->id, c->start, c->end, c->arg);
		ok = run();
		settle();
		ok &= irqs(GSVM_VEC_CMD) == 1;
		if (fields[i].good)
			ok &= !f->errors && f->calls == queue &&
			      (!queue || f->call[0].queue == c->id);
		else
			ok &= !f->calls && f->errors == 1 && f->error[0].info == 1 &&
			      f->error[0].err == GSVM_ERR_COMMAND && !f->error[0].fatal;
		tap_ok(ok, "%s: %s", fields[i].name,
		       fields[i].good ? "accepted" : "skipped, told, completed");
		end();
	}
}

/* ---- Order and completion ---- */

struct parked {
	struct fault_wait wait;
	_Atomic uint32_t head_seen;
	atomic_uint woken;
};

static void parked_wake(struct fault_wait *w)
{
	struct parked *p = (struct parked *)w;

	atomic_store(&p->head_seen, __atomic_load_n(&f->status->cmd_head, __ATOMIC_ACQUIRE));
	atomic_fetch_add(&p->woken, 1);
}

static void park(struct parked *p, uint32_t queue, uint64_t addr)
{
	p->wait.wake = parked_wake;
	p->wait.rec = (struct gsvm_fault){ .asid = 1, .queue = queue, .addr = addr };
	fault_park(gpu, &p->wait);
}

static void test_order(void)
{
	struct parked p = {0}, later = {0}, wild = {0};

	begin(2);
	park(&wild, 9, VA + 0x5008);
	put(START, 7, 0, 0, 0);
	put(RANGE, 1, 0x1000, 0x2000, 0);
	put(NOP, 0, 0, 0, 0);
	put(STOP, 8, 0, 0, 0);
	put(CANCEL, 9, f->fault[0].addr, f->fault[0].time, 55);
	tap_ok(run(), "a mix of commands completes");
	tap_ok(f->calls == 3 && f->call[0].op == FAKE_QUEUE_START && f->call[0].queue == 7 &&
	       f->call[1].op == FAKE_QUEUE_STOP && f->call[1].queue == 8 &&
	       f->call[2].op == FAKE_QUEUE_CANCEL && f->call[2].queue == 9 &&
	       f->call[2].reason == 55, "queue commands arrive in order with their arguments");
	tap_ok(f->call[0].head_seen == 0 && f->call[1].head_seen == 3 && f->call[2].head_seen == 4,
	       "what came before a queue command is complete when it runs, it is not");
	settle();
	put(RESUME, 1, VA + 0x5000, VA + 0x6000, 0);
	put(ACK, 0, 0, 0, 1);
	run();
	tap_eq(irqs(GSVM_VEC_CMD), 0, "no interrupt without request");
	for (unsigned int i = 0; i < 5; i++)
		put(RANGE | GSVM_CMD_IRQ, 1, 0x1000, 0x2000, 0);
	run();
	settle();
	tap_eq(irqs(GSVM_VEC_CMD), 1, "one interrupt per batch");
	send(NOP, 0, 0, 0, 0);
	settle();
	tap_eq(irqs(GSVM_VEC_CMD), 1, "... and none with what comes after");
	tap_eq(atomic_load(&gpu->stat[GSVM_STAT_INVALS]), 6, "invalidations are counted");
	tap_ok(atomic_load(&gpu->stat[GSVM_STAT_INVAL_NS]) > 0, "... with their time");

	f->queue_ret = -22;
	send(START, 3, 0, 0, 0);
	settle();
	tap_ok(f->errors == 1 && f->error[0].err == GSVM_ERR_COMMAND &&
	       f->error[0].info == next - 1, "a queue that cannot be started is a bad command");

	park(&p, 1, VA + 0x10);
	park(&later, 1, VA + 0x2000);
	put(RESUME, 1, VA, VA + 0x1000, 0);
	put(ACK, 0, 0, 0, 2);
	tap_ok(run() && p.woken == 1 && !later.woken, "resume wakes what is in the range");
	tap_ok(p.head_seen < next, "... before it is complete");
	settle();
	tap_eq(irqs(GSVM_VEC_FAULT), 3, "the acknowledgement that leaves a record raises again");
	put(ACK, 0, 0, 0, 4);
	run();
	settle();
	tap_ok(f->errors == 2 && f->error[1].err == GSVM_ERR_FAULT_ACK, "a bad one is refused");
	end();
}

/* What a report, or a resume, makes due is in the ring when the command is complete. */
static void test_report(void)
{
	struct parked p[4] = {0};

	begin(1);
	gpu->reg.fault_control = GSVM_FAULT_BY_BLOCK;
	for (unsigned int i = 0; i < 3; i++)
		park(&p[i], 1, VA + 0x1000 * i);
	tap_eq(f->status->fault_tail, 1, "a fault of three is reported");
	send(REPORT, 1, VA, VA + 0x1000, 0);
	tap_ok(f->status->fault_tail == 3 && f->fault[1].addr == VA + 0x1000 &&
	       f->fault[2].addr == VA + 0x2000, "a report has the others reported");
	tap_ok(!p[0].woken && !p[1].woken && !p[2].woken, "... and wakes nobody");
	park(&p[3], 1, VA + 0x3000);
	send(RESUME, 1, VA, VA + 0x3000, 0);
	tap_ok(p[0].woken && p[1].woken && p[2].woken && !p[3].woken, "a resume wakes its range");
	park(&p[0], 1, VA + 0x4000);
	tap_eq(f->status->fault_tail, 4, "the next one waits for the fourth");
	send(RESUME, 1, VA + 0x3000, VA + 0x4000, 0);
	tap_ok(p[3].woken && f->status->fault_tail == 5 && f->fault[4].addr == VA + 0x4000,
	       "whose resume has it reported");
	settle();
	tap_eq(f->errors, 0, "no error");
	end();
}

/* A cancel concerns the access of one record, and only while it is parked. */
static void test_cancel(void)
{
	struct parked p = {0}, other = {0};
	uint64_t time;

	begin(1);
	park(&other, 3, VA + 0x1000);
	park(&p, 3, VA + 0x18);
	time = f->fault[1].time;
	put(CANCEL, 3, VA + 0x10, time, 1);
	put(CANCEL, 3, VA + 0x18, time + 1, 1);
	put(CANCEL, 4, VA + 0x18, time, 1);
	run();
	settle();
	tap_ok(!f->calls && !f->errors, "a cancel for another address, time or queue does nothing");
	put(RESUME, 1, VA, VA + 0x1000, 0);
	put(CANCEL, 3, VA + 0x18, time, 1);
	run();
	settle();
	tap_ok(p.woken == 1 && !f->calls, "nor does one for an access that was resumed");
	park(&p, 3, VA + 0x18);
	put(CANCEL, 3, VA + 0x18, f->fault[2].time, 6);
	run();
	settle();
	tap_ok(f->calls == 1 && f->call[0].op == FAKE_QUEUE_CANCEL && f->call[0].queue == 3 &&
	       f->call[0].reason == 6, "one for an access that is parked reaches its queue");
	end();
}

/* A queue stop that drops a record others ride on: the thread reports anew. */
static void drop_hook(struct gpu *g, uint32_t queue)
{
	fault_drop_queue(g, queue, NULL);
}

static void test_poke(void)
{
	struct parked p = {0}, rider = {0};

	begin(1);
	f->queue_hook = drop_hook;
	park(&p, 1, VA);
	park(&rider, 2, VA);
	tap_eq(f->status->fault_tail, 1, "two waits, one record");
	send(STOP, 1, 0, 0, 0);
	tap_ok(fake_wait(&f->status->fault_tail, 2) && f->fault[1].queue == 2,
	       "a stop that takes the record away has the other wait reported");
	settle();
	end();
}

/* ---- Doorbell ---- */

static void test_doorbell(void)
{
	static const struct {
		const char *name;
		uint32_t head, tail;
		bool good;
	} cases[] = {
		{ "full ring", 0, 16, true },
		{ "one too many", 0, 17, false },
		{ "far ahead", 0, 0x80000000u, false },
		{ "backwards", 5, 4, false },
		{ "far backwards", 5, 0xfffffff0u, false },
		{ "no change", 5, 5, true },
		{ "full ring across 2^32", 0xfffffff8u, 8, true },
		{ "one too many across 2^32", 0xfffffff8u, 9, false },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok;

		begin(1);
		gpu->cmd->head = cases[i].head;
		gpu->cmd->tail = cases[i].head;
		gpu->cmd->done = cases[i].head;
		f->status->cmd_head = cases[i].head;
		cmd_doorbell(gpu, cases[i].tail);
		if (cases[i].good)
			ok = fake_wait(&f->status->cmd_head, cases[i].tail) && !f->errors;
		else
			ok = f->errors == 1 && f->error[0].err == GSVM_ERR_REGISTER &&
			     f->error[0].info == GSVM_REG_CMD_TAIL &&
			     gpu->cmd->tail == cases[i].head;
		tap_ok(ok, "doorbell: %s", cases[i].name);
		settle();
		end();
	}
	begin(1);
	gpu->enabled = false;
	put(NOP, 0, 0, 0, 0);
	cmd_doorbell(gpu, next);
	settle();
	tap_ok(!f->status->cmd_head && !f->errors, "doorbell: a disabled device does nothing");
	end();
}

/* Many doorbells, rings always full, indices pass 2^32; a bad command now and then. */
static void test_stream(void)
{
	const uint32_t start = 0xffffff00u, total = 20000;
	uint32_t bad = 0, sent = 0;
	uint64_t seed = 3;
	bool good = true;

	begin(2);
	next = start;
	gpu->cmd->head = start;
	gpu->cmd->tail = start;
	gpu->cmd->done = start;
	f->status->cmd_head = start;
	while (sent < total && good) {
		uint32_t head = __atomic_load_n(&f->status->cmd_head, __ATOMIC_ACQUIRE);
		uint32_t room = 16 - (next - head);

		if (!room) {
			fake_nap();
			continue;
		}
		good &= next - head <= 16;
		for (uint32_t n = 1 + tap_random(&seed) % room; n; n--, sent++) {
			if (sent % 1000 == 999) {
				put(99, 0, 0, 0, 0);
				bad++;
			} else {
				put(sent & 1 ? RANGE : IASID, 5, sent & 1 ? VA : 0,
				    sent & 1 ? VA + 0x1000 : 0, 0);
			}
		}
		cmd_doorbell(gpu, next);
	}
	good &= fake_wait(&f->status->cmd_head, next);
	settle();
	tap_ok(good, "a stream of %u commands across 2^32", sent);
	tap_eq(atomic_load(&f->errors), bad, "... with every bad one told");
	tap_eq(atomic_load(&gpu->stat[GSVM_STAT_INVALS]), sent - bad, "... all others done");
	end();
}

/* Behind an IOMMU, a ring can be made of single pages. */
static void test_pieces(void)
{
	struct parked p[100] = {0};
	unsigned int good = 0;

	begin(1);
	atomic_store(&f->pages, true);
	gpu->reg.cmd_log2 = 8;
	gpu->reg.cmd_base = fake_alloc(f, false, sizeof(*f->cmd) << 8);
	f->cmd = fake_host(f, false, gpu->reg.cmd_base);
	gpu->reg.fault_log2 = 7;
	gpu->reg.fault_base = fake_alloc(f, false, sizeof(*f->fault) << 7);
	f->fault = fake_host(f, false, gpu->reg.fault_base);
	for (unsigned int i = 0; i < 200; i++)
		put(IASID, 5, 0, 0, 0);
	tap_ok(run() && !f->errors, "commands in a ring of single pages");
	for (unsigned int i = 0; i < 100; i++)
		park(&p[i], i, VA + 0x1000 * i);
	for (unsigned int i = 0; i < f->status->fault_tail; i++)
		good += f->fault[i].addr == VA + 0x1000 * i && f->fault[i].queue == i;
	tap_ok(good == 100 && !f->errors, "faults in a ring of single pages");
	send(RESUME, 1, VA, VA + 0x100000, 0);
	end();
}

/* ---- Fatal errors and reset ---- */

static void test_fatal(void)
{
	uint64_t status;

	begin(1);
	gpu->reg.cmd_base = 0x3000;
	put(NOP, 0, 0, 0, 0);
	cmd_doorbell(gpu, next);
	settle();
	tap_ok(f->errors == 1 && f->error[0].fatal && f->error[0].err == GSVM_ERR_BUS &&
	       f->error[0].info == 0x3000, "command ring out of reach: fatal");
	cmd_doorbell(gpu, next);
	settle();
	tap_ok(f->errors == 1 && !f->status->cmd_head, "... and nothing more is done");
	end();

	begin(1);
	status = gpu->reg.status_base;
	gpu->reg.status_base = 0x3000;
	put(NOP | GSVM_CMD_IRQ, 0, 0, 0, 0);
	cmd_doorbell(gpu, next);
	settle();
	tap_ok(f->errors == 1 && f->error[0].fatal && f->error[0].info == 0x3000,
	       "status page out of reach: fatal");
	tap_eq(irqs(GSVM_VEC_CMD), 0, "... without an interrupt");

	cmd_reset(gpu);
	gpu->reg.status_base = status;
	next = 0;
	tap_ok(send(NOP, 0, 0, 0, 0) && f->errors == 1, "after a reset it starts over at 0");
	end();
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool inside, go;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false };

static void gate_hook(struct gpu *g, uint32_t queue)
{
	(void)g;
	(void)queue;
	pthread_mutex_lock(&gate.lock);
	gate.inside = true;
	pthread_cond_broadcast(&gate.cond);
	while (!gate.go)
		pthread_cond_wait(&gate.cond, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void *reset_thread(void *arg)
{
	(void)arg;
	cmd_reset(gpu);
	return NULL;
}

static void test_reset(void)
{
	struct mmu_fault fault;
	struct tlb *tlb;
	pthread_t thread;
	uint64_t *pte;

	begin(1);
	f->queue_hook = gate_hook;
	put(STOP, 1, 0, 0, 0);
	put(STOP | GSVM_CMD_IRQ, 2, 0, 0, 0);
	cmd_doorbell(gpu, next);
	pthread_mutex_lock(&gate.lock);
	while (!gate.inside)
		pthread_cond_wait(&gate.cond, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	/* The thread is in the middle of the first command. */
	tap_need(!pthread_create(&thread, NULL, reset_thread, NULL), "thread");
	while (!atomic_load(&gpu->cmd->halt))
		fake_nap();
	pthread_mutex_lock(&gate.lock);
	gate.go = true;
	pthread_cond_broadcast(&gate.cond);
	pthread_mutex_unlock(&gate.lock);
	pthread_join(thread, NULL);
	settle();
	tap_eq(atomic_load(&f->calls), 1, "a reset stops between commands");
	tap_ok(!f->status->cmd_head && !irqs(GSVM_VEC_CMD),
	       "... publishes and raises nothing more");

	/* Entries that were there before the reset are not there after. */
	tlb = &gpu->core[0]->tlb;
	pte = fake_pte(f, 1, VA, 0, false);
	*pte = GSVM_PTE_V | GSVM_PTE_LEAF | GSVM_PTE_R | fake_alloc(f, false, 4096);
	agent_enter(&gpu->core[0]->agent);
	mmu_enter(gpu, tlb);
	mmu_ptr(gpu, tlb, 1, VA, GSVM_ACCESS_READ, &fault);
	*pte = 0;
	tap_ok(mmu_ptr(gpu, tlb, 1, VA, GSVM_ACCESS_READ, &fault), "an entry from before");
	agent_leave(&gpu->core[0]->agent);
	next = 0;
	tap_ok(send(NOP, 0, 0, 0, 0), "the first command after the reset");
	agent_enter(&gpu->core[0]->agent);
	tap_ok(!mmu_ptr(gpu, tlb, 1, VA, GSVM_ACCESS_READ, &fault),
	       "... comes after the TLBs were emptied");
	agent_leave(&gpu->core[0]->agent);
	end();
}

/* ---- Invalidations against cores that do not rest ---- */

#define CORES	2
#define PAGES	4

/*
 * Cores add to one word of each page for ever. The driver moves the pages: it
 * exchanges the entry, invalidates, and holds the old page to what it contains
 * at the completion. That is what every driver relies on.
 */
struct hammer {
	struct core *core;
	pthread_t thread;
	atomic_ullong writes, faults;
};

static atomic_bool hammer_end;

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	uint64_t seed = h->core->id;
	struct mmu_fault fault;

	while (!atomic_load(&hammer_end)) {
		agent_enter(&h->core->agent);
		mmu_enter(gpu, &h->core->tlb);
		while (!agent_kicked(&h->core->agent) && !atomic_load(&hammer_end)) {
			uint64_t va = VA + tap_random(&seed) % PAGES * 0x1000;
			uint64_t *p = mmu_ptr(gpu, &h->core->tlb, 1, va, GSVM_ACCESS_ATOMIC,
					      &fault);

			if (p)
				__atomic_fetch_add(p, 1, __ATOMIC_RELAXED);
			atomic_fetch_add_explicit(p ? &h->writes : &h->faults, 1,
						  memory_order_relaxed);
		}
		agent_leave(&h->core->agent);
	}
	return NULL;
}

static uint64_t word(uint64_t bus)
{
	return __atomic_load_n((uint64_t *)fake_host(f, false, bus), __ATOMIC_RELAXED);
}

/* Each core has made many more accesses. */
static void let_run(struct hammer *h)
{
	for (unsigned int i = 0; i < CORES; i++) {
		uint64_t seen = atomic_load(&h[i].writes) + atomic_load(&h[i].faults);

		while (atomic_load(&h[i].writes) + atomic_load(&h[i].faults) < seen + 500)
			fake_nap();
	}
}

/* Moves until @rounds are done; how often an old page was written after completion. */
static unsigned int move_pages(struct hammer *h, unsigned int rounds)
{
	const uint64_t bits = GSVM_PTE_V | GSVM_PTE_LEAF | GSVM_PTE_R | GSVM_PTE_W | GSVM_PTE_AT;
	uint64_t place[PAGES + 1], after[PAGES], *pte[PAGES];
	unsigned int late = 0;

	for (unsigned int i = 0; i <= PAGES; i++)
		place[i] = fake_alloc(f, false, 4096);
	for (unsigned int i = 0; i < PAGES; i++) {
		pte[i] = fake_pte(f, 1, VA + i * 0x1000, 0, false);
		__atomic_store_n(pte[i], bits | place[i], __ATOMIC_RELEASE);
	}
	for (unsigned int r = 0; r < rounds; r++) {
		unsigned int i = r % PAGES;
		uint64_t old = place[i];

		/* The page at place[PAGES] is free: nobody may write to it. */
		__atomic_exchange_n(pte[i], r & 4 ? 0 : bits | place[PAGES], __ATOMIC_SEQ_CST);
		if (r % 3 == 0)
			put(IASID, 1, 0, 0, 0);
		else if (r % 3 == 1)
			put(RANGE, 1, VA + i * 0x1000, VA + (i + 1) * 0x1000, 0);
		else
			put(IALL, 0, 0, 0, 0);
		tap_need(run(), "invalidation completes");
		after[i] = word(old);
		let_run(h);
		late += word(old) != after[i];
		if (r & 4)
			__atomic_store_n(pte[i], bits | place[PAGES], __ATOMIC_RELEASE);
		place[i] = place[PAGES];
		place[PAGES] = old;
	}
	return late;
}

static void test_hammer(bool check, bool lost)
{
	struct hammer h[CORES] = {0};
	uint64_t writes = 0, faults = 0, violations;
	unsigned int late;

	begin(CORES);
	gpu->cfg.check = check;
	atomic_store(&hammer_end, false);
	for (unsigned int i = 0; i < CORES; i++) {
		h[i].core = gpu->core[i];
		h[i].core->tlb.inject_lost = lost;
		tap_need(!pthread_create(&h[i].thread, NULL, hammer, &h[i]), "thread");
	}
	late = move_pages(h, lost ? 200 : 1000);
	atomic_store(&hammer_end, true);
	for (unsigned int i = 0; i < CORES; i++) {
		pthread_join(h[i].thread, NULL);
		writes += h[i].writes;
		faults += h[i].faults;
	}
	violations = atomic_load(&gpu->stat[GSVM_STAT_VIOLATIONS]);
	tap_note("%llu writes, %llu faults, %llu stale uses, %llu violations",
		 (unsigned long long)writes, (unsigned long long)faults,
		 (unsigned long long)atomic_load(&gpu->stat[GSVM_STAT_STALE_USES]),
		 (unsigned long long)violations);
	tap_ok(writes && (faults || lost), "cores wrote and met invalid entries");
	if (lost) {
		tap_ok(late, "lost invalidations: old pages are written");
		tap_ok(violations, "... and checking mode counts it");
	} else {
		tap_eq(late, 0, check ? "checked: no old page is written after completion" :
			    "no old page is written after completion");
		tap_eq(violations, 0, "no violation");
	}
	end();
}

int main(void)
{
	test_fields();
	test_order();
	test_report();
	test_cancel();
	test_poke();
	test_doorbell();
	test_stream();
	test_pieces();
	test_fatal();
	test_reset();
	test_hammer(false, false);
	test_hammer(true, false);
	test_hammer(true, true);
	return tap_done();
}
