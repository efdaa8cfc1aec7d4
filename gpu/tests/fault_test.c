// SPDX-License-Identifier: MIT
/* Parked accesses: merging, the ring and its interrupt, resume, drop. */
#include <sched.h>
#include <time.h>

/* The unit itself: the test sets its ring's indices, to see them pass 2^32. */
#include "fault.c"

#include "fake.h"
#include "tap.h"

#define READ	GSVM_ACCESS_READ
#define WRITE	GSVM_ACCESS_WRITE
#define EXEC	GSVM_ACCESS_EXEC
#define ATOMIC	GSVM_ACCESS_ATOMIC

#define PAGE(n)	(0x10000000ull + (n) * 0x1000ull)
#define RING	16u

struct unit {
	struct fault_wait wait;
	unsigned int woken;
};

static struct fake *f;
static struct gpu *gpu;
static struct unit u[64];

static void wake(struct fault_wait *w)
{
	((struct unit *)w)->woken++;
}

static void begin_cores(unsigned int cores)
{
	f = fake_create(cores);
	gpu = &f->gpu;
	memset(u, 0, sizeof(u));
	tap_need(!fault_init(gpu), "fault_init");
}

static void begin(void)
{
	begin_cores(0);
}

static void end(void)
{
	fault_exit(gpu);
	fake_destroy(f);
}

static void park(struct unit *unit, uint32_t asid, uint32_t queue, uint64_t addr, uint32_t access)
{
	unit->wait.wake = wake;
	unit->wait.rec = (struct gsvm_fault){
		.addr = addr, .asid = asid, .queue = queue, .access = access,
		.reason = GSVM_FAULT_NOT_PRESENT, .unit = GSVM_UNIT_PACKET, .core = 1,
		.work_item = 77, .pc = 0x1234, .rsvd = 99,
	};
	fault_park(gpu, &unit->wait);
}

static uint64_t stat(unsigned int which)
{
	return atomic_load(&gpu->stat[which]);
}

static uint32_t tail(void)
{
	return __atomic_load_n(&f->status->fault_tail, __ATOMIC_ACQUIRE);
}

static struct gsvm_fault *record(uint32_t index)
{
	return &f->fault[index % RING];
}

static unsigned int irqs(void)
{
	return atomic_load(&f->irq[GSVM_VEC_FAULT]);
}

static void resume_page(uint32_t asid, uint64_t page)
{
	fault_resume(gpu, asid, page, page + 0x1000);
}

/* ---- One fault ---- */

static void test_one(void)
{
	uint64_t before, after;

	begin();
	before = gpu_time_ns(gpu);
	park(&u[0], 5, 9, PAGE(1) + 0x123, ATOMIC);
	after = gpu_time_ns(gpu);
	tap_eq(tail(), 1, "a fault: one record");
	tap_ok(record(0)->addr == PAGE(1) + 0x123 && record(0)->asid == 5 &&
	       record(0)->queue == 9 && record(0)->access == ATOMIC &&
	       record(0)->reason == GSVM_FAULT_NOT_PRESENT && record(0)->core == 1 &&
	       record(0)->unit == GSVM_UNIT_PACKET && record(0)->work_item == 77 &&
	       record(0)->pc == 0x1234 && record(0)->rsvd == 0, "... says all");
	tap_ok(record(0)->time >= before && record(0)->time <= after, "... and when");
	tap_eq(irqs(), 1, "one interrupt");
	tap_ok(stat(GSVM_STAT_FAULTS) == 1 && stat(GSVM_STAT_FAULTS_MERGED) == 0 &&
	       stat(GSVM_STAT_FAULT_FULL) == 0 && stat(GSVM_STAT_FAULT_NS) == 0, "statistics");
	fault_ack(gpu, 1);
	tap_ok(!u[0].woken, "an acknowledgement wakes nobody");
	resume_page(6, PAGE(1));
	resume_page(5, PAGE(0));
	resume_page(5, PAGE(2));
	tap_ok(!u[0].woken, "resumes of other pages and ASIDs do not");
	while (gpu_time_ns(gpu) == after)
		;
	resume_page(5, PAGE(1));
	tap_eq(u[0].woken, 1, "its own resume does");
	tap_ok(stat(GSVM_STAT_FAULT_NS) > 0 && stat(GSVM_STAT_FAULT_NS) < 10000000000ull,
	       "the time from record to resume is counted");
	resume_page(5, PAGE(1));
	tap_eq(u[0].woken, 1, "a second resume finds nobody");
	park(&u[0], 5, 9, PAGE(1), READ);
	tap_ok(tail() == 2 && irqs() == 2, "a fault after the resume is a new one");
	end();
}

/* ---- Merging ---- */

static void test_merge(void)
{
	static const struct {
		uint32_t first, second;
		bool merged;
	} cases[] = {
		{ READ, READ, true },	 { READ, WRITE, false },   { READ, EXEC, false },
		{ READ, ATOMIC, false }, { WRITE, READ, true },	   { WRITE, WRITE, true },
		{ WRITE, EXEC, false },	 { WRITE, ATOMIC, false }, { EXEC, READ, false },
		{ EXEC, WRITE, false },	 { EXEC, EXEC, true },	   { EXEC, ATOMIC, false },
		{ ATOMIC, READ, true },	 { ATOMIC, WRITE, true },  { ATOMIC, EXEC, false },
		{ ATOMIC, ATOMIC, true },
	};
	static const char *const name[] = { "read", "write", "exec", "atomic" };

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		park(&u[0], 5, 1, PAGE(1), cases[i].first);
		fault_ack(gpu, 1);
		park(&u[1], 5, 2, PAGE(1) + 0xff8, cases[i].second);
		tap_ok(tail() == (cases[i].merged ? 1 : 2) &&
		       stat(GSVM_STAT_FAULTS_MERGED) == cases[i].merged,
		       "%s after %s: %s", name[cases[i].second], name[cases[i].first],
		       cases[i].merged ? "merged" : "a record of its own");
		resume_page(5, PAGE(1));
		tap_ok(u[0].woken == 1 && u[1].woken == 1, "... both wake");
		end();
	}
	begin();
	park(&u[0], 5, 1, PAGE(1), READ);
	park(&u[1], 6, 1, PAGE(1), READ);
	park(&u[2], 5, 1, PAGE(2), READ);
	tap_eq(tail(), 3, "no merging across ASIDs or pages");
	end();

	/* Another ASID's page in the same hash bucket. */
	uint32_t asid = 6;

	begin();
	while (bucket_of(gpu->fault, asid, PAGE(1)) != bucket_of(gpu->fault, 5, PAGE(1)))
		asid++;
	park(&u[0], 5, 1, PAGE(1), READ);
	park(&u[1], asid, 1, PAGE(1), READ);
	tap_eq(tail(), 2, "... also where they meet in the hash");
	resume_page(5, PAGE(1));
	tap_ok(u[0].woken && !u[1].woken, "... nor is the other one woken");
	end();
}

/* ---- Ring and interrupt ---- */

static void test_interrupt(void)
{
	begin();
	park(&u[0], 1, 1, PAGE(0), READ);
	park(&u[1], 1, 1, PAGE(1), READ);
	tap_eq(irqs(), 1, "no second interrupt while the ring is not empty");
	fault_ack(gpu, 1);
	tap_eq(irqs(), 2, "an acknowledgement that leaves records raises again");
	fault_ack(gpu, 2);
	tap_eq(irqs(), 2, "one that leaves none does not");
	park(&u[2], 1, 1, PAGE(2), READ);
	tap_eq(irqs(), 3, "empty again: the next record raises");
	resume_page(1, PAGE(2));
	park(&u[3], 1, 1, PAGE(3), READ);
	tap_eq(irqs(), 3, "a resume does not empty the ring");

	fault_ack(gpu, 5);
	tap_ok(f->errors == 1 && f->error[0].err == GSVM_ERR_FAULT_ACK && f->error[0].info == 5 &&
	       !f->error[0].fatal, "acknowledging beyond the producer is an error");
	fault_ack(gpu, 1);
	tap_ok(f->errors == 2 && f->error[1].info == 1, "... and so is going back");
	fault_ack(gpu, 0x80000000u);
	tap_ok(f->errors == 3, "... and nonsense");
	tap_eq(irqs(), 3, "none of them did anything");
	fault_ack(gpu, 2);
	tap_ok(f->errors == 3 && irqs() == 4,
	       "the same index again is none, and repeats the interrupt");
	end();
}

static void test_full(void)
{
	bool order = true;

	begin();
	for (unsigned int i = 0; i < RING + 5; i++)
		park(&u[i], 1, 1, PAGE(i), READ);
	tap_eq(tail(), RING, "a full ring takes no more");
	tap_eq(stat(GSVM_STAT_FAULT_FULL), 5, "those held back are counted");
	park(&u[RING + 5], 1, 1, PAGE(RING + 1), READ);
	tap_ok(stat(GSVM_STAT_FAULTS_MERGED) == 1 && stat(GSVM_STAT_FAULT_FULL) == 5,
	       "faults merge with one held back");
	fault_ack(gpu, 2);
	tap_ok(tail() == RING + 2 && record(RING)->addr == PAGE(RING) &&
	       record(RING + 1)->addr == PAGE(RING + 1), "room for two: the first two of them");
	tap_eq(irqs(), 2, "one interrupt for it");
	fault_ack(gpu, RING + 2);
	for (unsigned int i = 2; i < 5; i++)
		order &= record(RING + i)->addr == PAGE(RING + i);
	tap_ok(tail() == RING + 5 && order, "all gone: the rest, in order");
	tap_eq(irqs(), 3, "... with an interrupt");
	tap_eq(stat(GSVM_STAT_FAULTS), RING + 5, "every record is counted once");
	end();

	/* Resume of what was never reported. */
	begin();
	for (unsigned int i = 0; i < RING + 3; i++)
		park(&u[i], 1, 1, PAGE(i), READ);
	resume_page(1, PAGE(RING + 1));
	tap_eq(u[RING + 1].woken, 1, "a resume wakes a wait that was held back");
	fault_ack(gpu, RING);
	tap_ok(tail() == RING + 2 && record(RING)->addr == PAGE(RING) &&
	       record(RING + 1)->addr == PAGE(RING + 2), "... which is not reported any more");
	park(&u[RING + 1], 1, 1, PAGE(RING + 1), READ);
	tap_eq(tail(), RING + 3, "... until it faults again");
	end();

	/* Waits behind a full ring keep their place before newer ones. */
	begin();
	for (unsigned int i = 0; i < RING + 1; i++)
		park(&u[i], 1, 1, PAGE(i), READ);
	gpu->enabled = false;
	fault_ack(gpu, RING);
	tap_eq(tail(), RING, "a disabled device writes nothing");
	gpu->enabled = true;
	park(&u[40], 1, 1, PAGE(40), READ);
	tap_ok(tail() == RING + 2 && record(RING)->addr == PAGE(RING) &&
	       record(RING + 1)->addr == PAGE(40), "older waits are reported first");
	end();
}

/* The ring's indices pass 2^32. */
static void test_wrap(void)
{
	bool good = true;
	unsigned int raised;
	uint32_t index;

	begin();
	gpu->reg.fault_log2 = 16;
	f->gpu.reg.fault_base = fake_alloc(f, false, sizeof(struct gsvm_fault) << 16);
	struct gsvm_fault *ring = fake_host(f, false, f->gpu.reg.fault_base);

	gpu->fault->tail = 0xfffffff0u;
	gpu->fault->acked = 0xfffffff0u;
	for (unsigned int i = 0; i < 64; i++) {
		raised = irqs();
		index = tail();
		park(&u[i], 1, 1, PAGE(i), READ);
		if (!i)
			index = 0xfffffff0u;
		good &= tail() == index + 1 && irqs() == raised + 1;
		good &= ring[index & 0xffff].addr == PAGE(i);
		fault_ack(gpu, index + 1);
	}
	tap_ok(good && tail() == 48, "indices pass 2^32");
	tap_eq(atomic_load(&f->errors), 0, "... without an error");
	end();
}

static void test_unreachable(void)
{
	begin();
	gpu->reg.fault_base = 0x7000;
	park(&u[0], 1, 1, PAGE(0), READ);
	tap_ok(f->errors == 1 && f->error[0].fatal && f->error[0].err == GSVM_ERR_BUS &&
	       f->error[0].info == 0x7000, "fault ring out of reach: fatal");
	end();
	begin();
	gpu->reg.status_base = 0x9000;
	park(&u[0], 1, 1, PAGE(0), READ);
	tap_ok(f->errors == 1 && f->error[0].fatal && f->error[0].info == 0x9000,
	       "status page out of reach: fatal");
	tap_eq(fault_drop_queue(gpu, 1, NULL), true, "... the wait is still known");
	end();
}

/* ---- Resume ranges ---- */

static void test_ranges(void)
{
	static const struct {
		const char *name;
		uint64_t start, end;
		unsigned int first, last;	/* of 32 pages: woken, inclusive */
	} cases[] = {
		{ "one page", PAGE(4), PAGE(5), 4, 4 },
		{ "four pages", PAGE(4), PAGE(8), 4, 7 },
		{ "from before", PAGE(0) - 0x10000, PAGE(3), 0, 2 },
		{ "beyond the end", PAGE(30), PAGE(600), 30, 31 },
		{ "16 MiB", PAGE(8), PAGE(8) + (16 << 20), 8, 31 },
		{ "everything", 0, 1ull << 48, 0, 31 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool good = true;

		begin();
		for (unsigned int k = 0; k < 32; k++)
			park(&u[k], 1, k, PAGE(k) + 0xfff, READ);
		park(&u[32], 2, 1, PAGE(5), READ);
		fault_resume(gpu, 1, cases[i].start, cases[i].end);
		for (unsigned int k = 0; k < 32; k++)
			good &= u[k].woken == (k >= cases[i].first && k <= cases[i].last);
		tap_ok(good && !u[32].woken, "resume: %s", cases[i].name);
		end();
	}
	begin();
	park(&u[0], 1, 7, 1ull << 48, READ);
	park(&u[1], 1, 7, ~0ull, READ);
	fault_resume(gpu, 1, 0, 1ull << 48);
	tap_ok(!u[0].woken && !u[1].woken, "an address beyond 2^48 is in no range");
	tap_ok(fault_drop_queue(gpu, 7, NULL), "... and goes with its queue");
	end();
}

static void wake_and_park(struct fault_wait *w)
{
	struct unit *unit = (struct unit *)w;

	if (unit->woken++ < 3)
		fault_park(gpu, w);
}

static void test_repark(void)
{
	begin();
	for (unsigned int i = 0; i < 8; i++) {
		park(&u[i], 1, 1, PAGE(0), READ);
		u[i].wait.wake = wake_and_park;
	}
	for (unsigned int i = 0; i < 4; i++)
		resume_page(1, PAGE(0));
	bool good = true;
	for (unsigned int i = 0; i < 8; i++)
		good &= u[i].woken == 4;
	tap_ok(good, "a wake may park again at once, and each resume wakes each wait once");
	tap_eq(tail(), 4, "... and each time there is one record for all");
	tap_ok(!fault_drop_queue(gpu, 1, NULL), "nobody is left");
	end();
}

/* ---- Choose and drop ---- */

static void test_choose(void)
{
	struct gsvm_fault first;
	uint64_t time;

	begin();
	park(&u[0], 1, 3, PAGE(1), READ);
	park(&u[1], 1, 3, PAGE(2) + 8, WRITE);
	park(&u[2], 1, 3, PAGE(3), READ);
	park(&u[3], 1, 3, PAGE(2) + 16, READ);
	time = record(1)->time;
	tap_ok(!fault_choose(gpu, 4, PAGE(2) + 8, time) &&
	       !fault_choose(gpu, 3, PAGE(2), time) &&
	       !fault_choose(gpu, 3, PAGE(2) + 8, time - 1),
	       "choose: another queue, address or time is not parked");
	tap_ok(!fault_choose(gpu, 3, PAGE(2) + 16, u[3].wait.rec.time),
	       "... nor is what has no record of its own");
	tap_ok(fault_choose(gpu, 3, PAGE(2) + 8, time), "... what a record reported is");
	tap_ok(fault_drop_queue(gpu, 3, &first) && first.addr == PAGE(2) + 8 &&
	       first.time == time, "... and is what the drop tells of");
	park(&u[0], 1, 3, PAGE(1), READ);
	time = record(3)->time;
	resume_page(1, PAGE(1));
	tap_ok(!fault_choose(gpu, 3, PAGE(1), time), "... not any more after a resume");
	end();
}

static void test_drop(void)
{
	struct gsvm_fault first;

	begin();
	tap_ok(!fault_drop_queue(gpu, 3, &first), "a queue without waits");
	park(&u[0], 1, 3, PAGE(2), WRITE);
	park(&u[1], 1, 4, PAGE(2), READ);
	park(&u[2], 1, 3, PAGE(1), READ);
	park(&u[3], 1, 5, PAGE(2), WRITE);
	park(&u[4], 1, 3, PAGE(2), READ);
	tap_eq(tail(), 2, "three queues, two records");
	tap_ok(fault_drop_queue(gpu, 3, &first), "drop a queue with waits");
	tap_ok(first.addr == PAGE(2) && first.access == WRITE && first.queue == 3,
	       "... tells the oldest");
	tap_eq(atomic_load(&f->pokes), 1, "what rode on its records has to be reported");
	fault_report(gpu);
	tap_ok(tail() == 4 && record(2)->queue == 4 && record(3)->queue == 5,
	       "... and is, for other queues only");
	resume_page(1, PAGE(1));
	resume_page(1, PAGE(2));
	tap_ok(!u[0].woken && !u[2].woken && !u[4].woken, "dropped waits are not woken");
	tap_ok(u[1].woken == 1 && u[3].woken == 1, "the others are");
	tap_ok(!fault_drop_queue(gpu, 3, &first) && !fault_drop_queue(gpu, 4, &first) &&
	       !fault_drop_queue(gpu, 5, &first), "nothing is left");
	end();

	/* A dropped rider leaves the record alone; a held record goes with its queue. */
	begin();
	park(&u[0], 1, 3, PAGE(0), READ);
	park(&u[1], 1, 4, PAGE(0), READ);
	fault_drop_queue(gpu, 4, &first);
	tap_ok(first.queue == 4 && !f->pokes, "drop of a merged wait");
	for (unsigned int i = 1; i < RING; i++)
		park(&u[i], 1, 3, PAGE(i), READ);
	park(&u[40], 1, 6, PAGE(40), READ);
	park(&u[41], 1, 7, PAGE(40), READ);
	tap_eq(tail(), RING, "ring full, one held back, one on it");
	fault_drop_queue(gpu, 6, &first);
	fault_ack(gpu, RING);
	tap_ok(tail() == RING + 1 && record(RING)->queue == 7,
	       "the one that is left is reported in its stead");
	end();

	/* Orphans of one drop merge again among themselves. */
	begin();
	park(&u[0], 1, 3, PAGE(0), ATOMIC);
	for (unsigned int i = 1; i < 32; i++)
		park(&u[i], 1, 10 + i, PAGE(0), WRITE);
	fault_drop_queue(gpu, 3, NULL);
	fault_report(gpu);
	tap_eq(tail(), 2, "31 orphans: one record");
	tap_eq(stat(GSVM_STAT_FAULTS_MERGED), 31, "they are not counted twice");
	resume_page(1, PAGE(0));
	bool good = !u[0].woken;
	for (unsigned int i = 1; i < 32; i++)
		good &= u[i].woken == 1;
	tap_ok(good, "one resume wakes them all");
	end();
}

/* ---- By block ---- */

#define NEXT(n)	(PAGE(512) + (n) * 0x1000ull)	/* in the block behind PAGE(0)'s */
#define FAR(n)	((1ull << 40) + (n) * 0x1000ull)	/* so far that no list of blocks is gone through */

static void begin_by_block(void)
{
	begin();
	gpu->reg.fault_control = GSVM_FAULT_BY_BLOCK;
}

/* What the command thread does for RESUME and FAULT_REPORT. */
static bool resume(uint64_t start, uint64_t end)
{
	bool due = fault_resume(gpu, 1, start, end);

	if (due)
		fault_report(gpu);
	return due;
}

static bool report(uint64_t start, uint64_t end)
{
	bool due = fault_undefer(gpu, 1, start, end);

	if (due)
		fault_report(gpu);
	return due;
}

static bool all_woken(unsigned int first, unsigned int end, unsigned int times)
{
	for (unsigned int i = first; i < end; i++)
		if (u[i].woken != times)
			return false;
	return true;
}

static void test_block_resume(void)
{
	/* One record for a block that is mapped as a whole. */
	begin_by_block();
	for (unsigned int i = 0; i < 32; i++)
		park(&u[i], 1, i % 3, PAGE(16 * i), i & 1 ? READ : WRITE);
	tap_ok(tail() == 1 && record(0)->addr == PAGE(0) && irqs() == 1,
	       "32 pages of a block: one record");
	tap_eq(stat(GSVM_STAT_FAULTS_DEFERRED), 31, "the others are deferred");
	tap_ok(!stat(GSVM_STAT_FAULT_FULL) && !stat(GSVM_STAT_FAULTS_MERGED), "... and counted once");
	park(&u[32], 1, 1, NEXT(0), READ);
	park(&u[33], 2, 1, PAGE(1), READ);
	tap_eq(tail(), 3, "another block and another ASID: a record each");
	tap_ok(!resume(PAGE(0), PAGE(512)) && all_woken(0, 32, 1) && tail() == 3,
	       "a resume of the block wakes all, and nothing is left to report");
	tap_ok(all_woken(32, 34, 0), "... and nobody else");
	park(&u[0], 1, 1, PAGE(5), READ);
	tap_eq(tail(), 4, "the next one has a record again");
	end();

	/* A part of it, with the head: the rest is reported. */
	begin_by_block();
	for (unsigned int i = 0; i < 8; i++)
		park(&u[i], 1, 1, PAGE(i), READ);
	tap_ok(resume(PAGE(0), PAGE(4)) && all_woken(0, 4, 1) && all_woken(4, 8, 0),
	       "a resume of a part wakes that part");
	tap_ok(tail() == 5 && record(1)->addr == PAGE(4) && record(4)->addr == PAGE(7),
	       "... the rest is reported, in order");
	tap_ok(!resume(PAGE(4), PAGE(8)) && all_woken(4, 8, 1), "... and has its answer");
	end();

	/* A part of it, without the head: that waits on, and so does who waits for it. */
	begin_by_block();
	for (unsigned int i = 0; i < 8; i++)
		park(&u[i], 1, 1, PAGE(i), READ);
	park(&u[8], 1, 2, PAGE(3), READ);
	tap_eq(stat(GSVM_STAT_FAULTS_MERGED), 1, "a deferred one can be merged with");
	tap_ok(!resume(PAGE(2), PAGE(5)) && all_woken(2, 5, 1) && u[8].woken == 1 && tail() == 1,
	       "a resume of deferred pages wakes them, and who rides on them");
	tap_ok(!u[0].woken && !u[1].woken && !u[7].woken, "... and leaves the others where they are");
	tap_ok(resume(PAGE(0), PAGE(1)) && tail() == 5 && record(1)->addr == PAGE(1),
	       "they are reported after the head's resume");
	end();
}

static void test_block_report(void)
{
	begin_by_block();
	for (unsigned int i = 0; i < 4; i++)
		park(&u[i], 1, 1, PAGE(i), READ);
	park(&u[4], 1, 1, NEXT(0), READ);
	park(&u[5], 1, 1, NEXT(1), READ);
	tap_ok(!report(PAGE(1024), PAGE(4096)) && tail() == 2, "a report of other blocks: nothing");
	tap_ok(!fault_undefer(gpu, 2, 0, PAGE(512)), "... nor of another ASID");
	tap_ok(report(PAGE(7), PAGE(8)) && tail() == 5 && !u[0].woken,
	       "a report of any part of the block: all of it is reported, nobody woken");
	tap_ok(!report(PAGE(0), PAGE(512)) && tail() == 5, "... and once only");
	park(&u[6], 1, 1, PAGE(6), READ);
	park(&u[7], 1, 1, PAGE(7), READ);
	tap_ok(tail() == 6 && record(5)->addr == PAGE(6), "who comes now does not wait for the old head");
	tap_ok(!resume(PAGE(0), PAGE(4)) && all_woken(0, 4, 1) && tail() == 6,
	       "the old head's resume lets those go that were reported");
	tap_ok(report(0, 1ull << 48) && tail() == 8, "a report of everything: both blocks");
	tap_ok(!resume(0, 1ull << 48) && all_woken(0, 8, 1), "all have their answer");
	end();

	/* A long range counts as a short one does: by the blocks that it touches. */
	begin_by_block();
	park(&u[0], 1, 1, FAR(5), READ);
	park(&u[1], 1, 1, FAR(6), READ);
	park(&u[2], 1, 1, FAR(517), READ);
	park(&u[3], 1, 1, FAR(518), READ);
	tap_ok(report(0, FAR(1)) && tail() == 3 && record(2)->addr == FAR(6),
	       "a report that ends in a block, before its head");
	tap_ok(report(FAR(1023), 1ull << 48) && tail() == 4, "one that begins behind a head");
	end();

	/* With a full ring they are held, and come in order when there is room. */
	begin_by_block();
	for (unsigned int i = 0; i < RING - 1; i++)
		park(&u[i], 1, 1, PAGE(512 * i), READ);
	for (unsigned int i = 32; i < 36; i++)
		park(&u[i], 1, 1, PAGE(1 + i), READ);
	tap_ok(report(PAGE(0), PAGE(512)) && tail() == RING, "room for one of four");
	park(&u[36], 1, 1, PAGE(2), READ);
	tap_ok(tail() == RING && stat(GSVM_STAT_FAULT_FULL) == 1, "a head without room is held");
	park(&u[37], 1, 1, PAGE(3), READ);
	fault_ack(gpu, RING);
	tap_ok(tail() == RING + 4 && record(RING)->addr == PAGE(34) &&
	       record(RING + 3)->addr == PAGE(2), "the others and the head when there is");
	tap_ok(!resume(PAGE(0), PAGE(512)) && all_woken(32, 38, 1), "one resume wakes them all");
	end();
}

static void test_block_drop(void)
{
	struct gsvm_fault first;

	begin_by_block();
	park(&u[0], 1, 3, PAGE(0), READ);
	park(&u[1], 1, 4, PAGE(1), READ);
	park(&u[2], 1, 3, PAGE(2), READ);
	park(&u[3], 1, 4, PAGE(2), READ);
	tap_ok(fault_drop_queue(gpu, 3, &first) && first.addr == PAGE(0) && f->pokes == 1,
	       "the head's queue is dropped");
	fault_report(gpu);
	tap_ok(tail() == 3 && record(1)->addr == PAGE(1), "who waited for it is reported");
	tap_ok(record(2)->addr == PAGE(2) && record(2)->queue == 4,
	       "... and who was merged with one that did");
	tap_ok(!resume(PAGE(0), PAGE(512)) && u[1].woken == 1 && u[3].woken == 1 &&
	       !u[0].woken && !u[2].woken, "the dropped ones are not woken");

	/* A deferred one that goes leaves the head alone. */
	park(&u[0], 1, 5, PAGE(0), READ);
	park(&u[1], 1, 6, PAGE(1), READ);
	tap_ok(fault_drop_queue(gpu, 6, &first) && first.addr == PAGE(1), "drop of a deferred one");
	tap_ok(!resume(PAGE(0), PAGE(1)) && u[0].woken == 1 && u[1].woken == 1, "the head goes on");
	tap_ok(!fault_drop_queue(gpu, 5, NULL) && !fault_drop_queue(gpu, 6, NULL), "nothing is left");
	end();

	begin_by_block();
	park(&u[0], 1, 1, PAGE(0), READ);
	park(&u[1], 1, 1, PAGE(1), READ);
	fault_reset(gpu);
	park(&u[2], 1, 1, PAGE(2), READ);
	tap_ok(tail() == 1 && record(0)->addr == PAGE(2), "a reset forgets heads");
	tap_ok(!resume(0, 1ull << 48) && u[2].woken == 1 && !u[0].woken && !u[1].woken,
	       "... and who waited for them");
	end();
}

static void test_reset(void)
{
	begin();
	for (unsigned int i = 0; i < RING + 4; i++)
		park(&u[i], 1, 1, PAGE(i / 2), i & 1 ? WRITE : READ);
	fault_reset(gpu);
	tap_ok(!fault_drop_queue(gpu, 1, NULL), "a reset forgets all waits");
	fault_resume(gpu, 1, 0, 1ull << 48);
	tap_ok(!u[0].woken, "... wakes nobody");
	park(&u[0], 1, 1, PAGE(9), READ);
	tap_ok(tail() == 1 && record(0)->addr == PAGE(9), "... and starts the ring at 0");
	end();
}

/* ---- Very many waits ---- */

#define MANY	100000u

static uint64_t cpu_ns(void)
{
	struct timespec now;

	tap_need(!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), "clock");
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void test_many(void)
{
	static struct unit many[MANY];
	uint64_t start, ns, woken = 0;

	begin();
	start = cpu_ns();
	for (unsigned int i = 0; i < MANY; i++)
		park(&many[i], 1, i % 100, PAGE(i % 20000), i & 1 ? WRITE : READ);
	tap_eq(tail(), RING, "100000 waits on 20000 pages");
	for (unsigned int q = 0; q < 50; q++)
		fault_drop_queue(gpu, q, NULL);
	for (uint64_t at = 0; at < 20000; at += 512)
		fault_resume(gpu, 1, PAGE(at), PAGE(at + 512));
	ns = cpu_ns() - start;
	for (unsigned int i = 0; i < MANY; i++)
		woken += many[i].woken;
	tap_eq(woken, MANY / 2, "half of the queues dropped, the others resumed by block");
	tap_note("%llu ns per wait", (unsigned long long)(ns / MANY));
	/*
	 * Two orders of magnitude above what it takes, of this thread's own time,
	 * which other work does not count in; a scan per wait is far beyond.
	 */
	tap_ok(ns < 4000000000ull, "... in bounded time");
	for (unsigned int i = 0; i < MANY; i++)
		park(&many[i], 1, 1, PAGE(7), READ);
	tap_eq(stat(GSVM_STAT_FAULTS_MERGED) >= MANY - 1, true, "100000 waits on one page");
	resume_page(1, PAGE(7));
	woken = 0;
	for (unsigned int i = 0; i < MANY; i++)
		woken += many[i].woken;
	tap_eq(woken, MANY / 2 + MANY, "one resume wakes them all");
	end();
}

/* ---- Everything at once ---- */

/*
 * Cores park and wait to be woken; a driver sleeps until the interrupt count
 * moves, reads the ring, acknowledges, drops a queue now and then, resumes. If
 * a wake-up of either side is ever lost, no interrupt comes any more.
 */
#define CORES	4
#define ROUNDS	20000u
#define SLOTS	8

struct slot {
	struct fault_wait wait;
	_Atomic int out;	/* 1: parked */
};

struct worker {
	unsigned int id;
	struct slot slot[SLOTS];
	pthread_t thread;
};

static atomic_uint running;
static unsigned int drops;

static void slot_wake(struct fault_wait *w)
{
	struct slot *s = (struct slot *)w;

	if (atomic_exchange(&s->out, 0) != 1)
		tap_ok(false, "a wait was woken that was not parked");
}

static void *worker(void *arg)
{
	struct worker *k = arg;
	uint64_t seed = k->id;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct slot *s = &k->slot[i % SLOTS];

		while (atomic_load(&s->out))
			sched_yield();
		s->wait.wake = slot_wake;
		s->wait.rec = (struct gsvm_fault){
			.addr = PAGE(tap_random(&seed) % 40), .asid = 1, .queue = k->id,
			.access = tap_random(&seed) % 4,
		};
		agent_enter(&gpu->core[k->id]->agent);
		atomic_store(&s->out, 1);
		fault_park(gpu, &s->wait);
		agent_leave(&gpu->core[k->id]->agent);
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		while (atomic_load(&k->slot[i].out))
			sched_yield();
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* End a queue, as the command thread does, and let its core go on anew. */
static void drop_queue(struct worker *k, unsigned int queue)
{
	agent_stop(&gpu->core[queue]->agent);
	fault_drop_queue(gpu, queue, NULL);
	for (unsigned int i = 0; i < SLOTS; i++)
		drops += atomic_exchange(&k[queue].slot[i].out, 0);
	agent_continue(&gpu->core[queue]->agent);
	fault_report(gpu);
}

/* The driver's turn after an interrupt; as the command thread. */
static void serve(struct worker *k, uint32_t *head, bool drop)
{
	uint32_t end = tail(), n = 0;
	uint64_t page[RING];
	unsigned int queue = 0;

	while (*head != end) {
		queue = record(*head)->queue;
		page[n++] = record((*head)++)->addr & ~0xfffull;
	}
	fault_ack(gpu, *head);
	/* Before the answer: the queue of a record has something to lose. */
	if (drop && n)
		drop_queue(k, queue);
	for (; n; n--)
		if (fault_resume(gpu, 1, page[n - 1], page[n - 1] + PAGE(1) - PAGE(0)))
			fault_report(gpu);
}

static void test_storm(uint32_t control)
{
	static struct worker k[CORES];
	unsigned int seen = 0, turn = 0;
	uint32_t head = 0;
	uint64_t end_ns;
	bool lost = false;

	begin_cores(CORES);
	gpu->reg.fault_control = control;
	drops = 0;
	memset(k, 0, sizeof(k));
	atomic_store(&running, CORES);
	for (unsigned int i = 0; i < CORES; i++) {
		k[i].id = i;
		tap_need(!pthread_create(&k[i].thread, NULL, worker, &k[i]), "thread");
	}
	end_ns = gpu_time_ns(gpu) + 60000000000ull;
	while (atomic_load(&running)) {
		if (irqs() == seen) {
			lost = gpu_time_ns(gpu) > end_ns;
			tap_need(!lost, "a wake-up was lost");
			sched_yield();
			continue;
		}
		seen = irqs();
		end_ns = gpu_time_ns(gpu) + 60000000000ull;
		serve(k, &head, turn++ % 64 == 0);
	}
	for (unsigned int i = 0; i < CORES; i++)
		pthread_join(k[i].thread, NULL);
	tap_note("%u records, %llu deferred, %llu merged, %llu held back, %u dropped, %u interrupts",
		 head, (unsigned long long)stat(GSVM_STAT_FAULTS_DEFERRED),
		 (unsigned long long)stat(GSVM_STAT_FAULTS_MERGED),
		 (unsigned long long)stat(GSVM_STAT_FAULT_FULL), drops, irqs());
	tap_ok(!lost, "four cores and a driver that sleeps: no wake-up is lost");
	tap_ok((control || stat(GSVM_STAT_FAULT_FULL)) && stat(GSVM_STAT_FAULTS_MERGED),
	       "with a full ring and merged faults on the way");
	tap_ok(drops, "... and dropped queues");
	tap_ok(!control == !stat(GSVM_STAT_FAULTS_DEFERRED), "... and some deferred, if at all");
	tap_eq(atomic_load(&f->errors), 0, "no error");
	end();
}

int main(void)
{
	test_one();
	test_merge();
	test_interrupt();
	test_full();
	test_wrap();
	test_unreachable();
	test_ranges();
	test_repark();
	test_choose();
	test_drop();
	test_block_resume();
	test_block_report();
	test_block_drop();
	test_reset();
	test_many();
	test_storm(0);
	test_storm(GSVM_FAULT_BY_BLOCK);
	return tap_done();
}
