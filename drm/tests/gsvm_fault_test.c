// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Fault service, tested
 *
 * From the ring to slices, and from what was found to answers. The test is the
 * device: it writes records and the index. What happens to the process's memory
 * in between is not looked at here.
 */

#include <linux/mempool.h>
#include <linux/sizes.h>

#include <kunit/static_stub.h>
#include <kunit/test.h>

#include "gsvm_fault.h"
#include "gsvm_populate.h"
#include "gsvm_test.h"

#define GSVM_TEST_RESERVE	2
#define GSVM_TEST_SLICES	(2 * GSVM_FAULT_BATCH)

/**
 * struct gsvm_fault_seen - a slice that was started
 * @asid: address space
 * @addr: of its first record
 * @first: index of its first record in the batch
 * @nr: records
 * @patient: for the workqueue of those who wait
 */
struct gsvm_fault_seen {
	u32 asid;
	u64 addr;
	unsigned int first;
	unsigned int nr;
	bool patient;
};

/**
 * struct gsvm_fault_test - a fault ring
 * @t: fixture
 * @unit: the ring
 * @seen: slices that were started
 * @nr: how many
 * @unsorted: records that were not behind their neighbours
 * @batch: for tests of one slice
 * @slice: for tests of one slice
 * @req: for tests of one slice
 */
struct gsvm_fault_test {
	struct gsvm_test *t;
	struct gsvm_fault_unit unit;
	struct gsvm_fault_seen seen[GSVM_TEST_SLICES];
	unsigned int nr;
	unsigned int unsorted;
	struct gsvm_fault_batch batch;
	struct gsvm_fault_slice slice;
	struct gsvm_request req;
};

static void gsvm_fault_test_start(struct gsvm_fault_batch *batch, struct gsvm_vm *vm,
				  unsigned int first, unsigned int nr, bool patient)
{
	struct gsvm_test *t = kunit_get_current_test()->priv;
	struct gsvm_fault_test *f = t->data;
	unsigned int i;

	if (f->nr < GSVM_TEST_SLICES)
		f->seen[f->nr++] = (struct gsvm_fault_seen) {
			vm->asid, batch->rec[first].addr, first, nr, patient };
	for (i = first; i < first + nr; i++) {
		f->unsorted += i > first && batch->rec[i].addr < batch->rec[i - 1].addr;
		f->unsorted += batch->rec[i].asid != vm->asid;
	}
	/* The slice's. */
	gsvm_vm_put(vm);
}

static void gsvm_fault_test_fini(void *data)
{
	mempool_exit(data);
}

static struct gsvm_fault_test *gsvm_fault_test_ring(struct kunit *test, unsigned int log2, u32 head)
{
	struct gsvm_fault_test *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct gsvm_test *t = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = t;
	t->data = f;
	f->unit.log2 = log2;
	f->unit.head = head;
	f->unit.ring = kunit_kcalloc(test, 1 << log2, sizeof(*f->unit.ring), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->unit.ring);
	KUNIT_ASSERT_EQ(test, 0, mempool_init_kmalloc_pool(&f->unit.batches, GSVM_TEST_RESERVE,
							   sizeof(struct gsvm_fault_batch)));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, gsvm_fault_test_fini,
							   &f->unit.batches));
	t->gdev->fault = &f->unit;
	t->gdev->status->fault_tail = head;
	kunit_activate_static_stub(test, gsvm_fault_start, gsvm_fault_test_start);
	return f;
}

static struct gsvm_fault *gsvm_fault_test_rec(struct gsvm_fault_test *f, u32 index)
{
	return &f->unit.ring[index & ((1 << f->unit.log2) - 1)];
}

/* ---- The ring's indices ----------------------------------------------------- */

struct gsvm_fault_ring_case {
	const char *name;
	unsigned int log2;
	u32 head;
	u32 tail;
	unsigned int want;	/* records taken */
	bool wedged;
};

static const struct gsvm_fault_ring_case gsvm_fault_ring_cases[] = {
	{ "empty", 4, 0, 0, 0 },
	{ "one", 4, 0, 1, 1 },
	{ "full", 4, 0, 16, 16 },
	{ "beyond-full", 4, 0, 17, 0, true },
	{ "back", 4, 5, 4, 0, true },
	{ "far", 4, 0, 0x80000000, 0, true },
	{ "ring-wraps", 4, 14, 20, 6 },
	{ "ring-wraps-full", 4, 14, 30, 16 },
	{ "index-to-max", 4, 0xfffffff0, 0xffffffff, 15 },
	{ "index-to-zero", 4, 0xfffffff0, 0, 16 },
	{ "index-wraps", 4, 0xfffffff8, 5, 13 },
	{ "index-wraps-full", 4, 0xfffffff8, 8, 16 },
	{ "index-wraps-beyond-full", 4, 0xfffffff8, 9, 0, true },
	{ "empty-at-max", 4, 0xffffffff, 0xffffffff, 0 },
	{ "a-batch", 8, 0, 64, 64 },
	{ "a-batch-and-one", 8, 0, 65, 65 },
	{ "many-batches", 8, 0xffffff80, 0x80, 256 },
	{ "many-batches-beyond", 8, 0xffffff80, 0x81, 0, true },
	{ "largest-ring", 16, 0, 0x10000, 0x10000 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_fault_ring, gsvm_fault_ring_cases, name);

/* All are taken, batch by batch, and given back to the device at once. */
static void gsvm_fault_test_indices(struct kunit *test)
{
	const struct gsvm_fault_ring_case *c = test->param_value;
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, c->log2, c->head);
	struct gsvm_test *t = f->t;
	unsigned int i, records = 0, batches = DIV_ROUND_UP(c->want, GSVM_FAULT_BATCH);

	/* All in one block, marked by their place in the ring. */
	for (i = 0; i < 1u << c->log2; i++) {
		f->unit.ring[i].asid = t->vm->asid;
		f->unit.ring[i].addr = SZ_2M;
	}
	if (c->want)
		gsvm_fault_test_rec(f, c->head)->addr = SZ_2M + 1;
	t->gdev->status->fault_tail = c->tail;
	gsvm_fault_irq(t->gdev);

	KUNIT_EXPECT_EQ(test, c->wedged, !!t->wedged);
	if (c->wedged)
		KUNIT_EXPECT_STREQ(test, "fault ring index out of range", t->wedged);
	KUNIT_EXPECT_EQ(test, c->head + c->want, f->unit.head);
	for (i = 0; i < f->nr; i++)
		records += f->seen[i].nr;
	if (batches <= GSVM_TEST_SLICES) {
		KUNIT_EXPECT_EQ(test, batches, f->nr);
		KUNIT_EXPECT_EQ(test, c->want, records);
	}
	KUNIT_EXPECT_EQ(test, c->want ? 1 : 0, t->nr_log);
	if (c->want) {
		KUNIT_EXPECT_EQ(test, 4, t->log[0].cmd.op);
		KUNIT_EXPECT_EQ(test, c->head + c->want, (u32)t->log[0].cmd.arg);
	}
	KUNIT_EXPECT_EQ(test, GSVM_TEST_RESERVE, f->unit.batches.curr_nr);

	/* What was taken is not taken again. */
	gsvm_test_log_clear(t);
	f->nr = 0;
	if (!c->wedged)
		gsvm_fault_irq(t->gdev);
	KUNIT_EXPECT_EQ(test, 0, f->nr | t->nr_log);
}

/* A dead device is not listened to. */
static void gsvm_fault_test_wedged(struct kunit *test)
{
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);

	f->t->gdev->status->fault_tail = 3;
	set_bit(GSVM_DEVICE_WEDGED, &f->t->gdev->state);
	gsvm_fault_irq(f->t->gdev);
	KUNIT_EXPECT_EQ(test, 0, f->nr | f->t->nr_log | f->unit.head);
}

/* The record at the index, not its neighbour. */
static void gsvm_fault_test_order(struct kunit *test)
{
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0xfffffffd);
	unsigned int i;

	for (i = 0; i < 16; i++)
		f->unit.ring[i].asid = 1000;
	/* Indices ...fd, fe, ff, 0, 1: slots 13, 14, 15, 0, 1. */
	for (i = 0; i < 5; i++) {
		gsvm_fault_test_rec(f, 0xfffffffd + i)->asid = f->t->vm->asid;
		gsvm_fault_test_rec(f, 0xfffffffd + i)->addr = (u64)SZ_2M * (5 - i);
	}
	f->t->gdev->status->fault_tail = 2;
	gsvm_fault_irq(f->t->gdev);
	KUNIT_ASSERT_EQ(test, 5, f->nr);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, (u64)SZ_2M * (i + 1), f->seen[i].addr);
}

/* ---- Slices ------------------------------------------------------------------ */

#define GSVM_MIB(n)	((u64)(n) * SZ_1M)

/* Which VM, where. VM 2 is one that nobody has. */
struct gsvm_fault_record {
	unsigned int vm;
	u64 addr;
};

struct gsvm_fault_slice_want {
	unsigned int vm;
	u64 addr;
	unsigned int nr;
};

struct gsvm_fault_slices_case {
	const char *name;
	unsigned int nr;
	struct gsvm_fault_record rec[8];
	unsigned int want_nr;
	struct gsvm_fault_slice_want want[8];
};

static const struct gsvm_fault_slices_case gsvm_fault_slices_cases[] = {
	{ "one", 1, { { 0, 0x1234 } }, 1, { { 0, 0x1234, 1 } } },
	{ "same-address", 3, { { 0, 0x1000 }, { 0, 0x1000 }, { 0, 0x1000 } },
	  1, { { 0, 0x1000, 3 } } },
	{ "same-block", 3, { { 0, 0x5000 }, { 0, 0x1fffff }, { 0, 0 } }, 1, { { 0, 0, 3 } } },
	{ "block-edge", 2, { { 0, 0x1fffff }, { 0, 0x200000 } },
	  2, { { 0, 0x1fffff, 1 }, { 0, 0x200000, 1 } } },
	{ "two-vms", 4, { { 1, 0x1000 }, { 0, 0x1000 }, { 1, 0x1000 }, { 0, 0x2000 } },
	  2, { { 0, 0x1000, 2 }, { 1, 0x1000, 2 } } },
	{ "interleaved", 6,
	  { { 0, GSVM_MIB(2) }, { 0, GSVM_MIB(8) }, { 0, GSVM_MIB(3) }, { 0, GSVM_MIB(9) },
	    { 1, GSVM_MIB(2) }, { 0, GSVM_MIB(2) } },
	  3, { { 0, GSVM_MIB(2), 3 }, { 0, GSVM_MIB(8), 2 }, { 1, GSVM_MIB(2), 1 } } },
	{ "nobody", 1, { { 2, 0x1000 } }, 0 },
	{ "nobody-among-others", 4, { { 2, 0x1000 }, { 0, 0x1000 }, { 2, 0x1000 }, { 1, 0x1000 } },
	  2, { { 0, 0x1000, 1 }, { 1, 0x1000, 1 } } },
	{ "top-of-address-space", 2, { { 0, GSVM_MIB(1 << 28) - 1 }, { 0, 0 } },
	  2, { { 0, 0, 1 }, { 0, GSVM_MIB(1 << 28) - 1, 1 } } },
	{ "beyond-48-bits", 2, { { 0, 1ull << 48 }, { 0, U64_MAX } },
	  2, { { 0, 1ull << 48, 1 }, { 0, U64_MAX, 1 } } },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_fault_slices, gsvm_fault_slices_cases, name);

static void gsvm_fault_test_slices(struct kunit *test)
{
	const struct gsvm_fault_slices_case *c = test->param_value;
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);
	struct gsvm_vm *vm[] = { f->t->vm, gsvm_test_vm_create(f->t) };
	unsigned int ref = kref_read(&vm[0]->ref), i;

	for (i = 0; i < c->nr; i++) {
		f->unit.ring[i].asid = c->rec[i].vm < 2 ? vm[c->rec[i].vm]->asid : 7;
		f->unit.ring[i].addr = c->rec[i].addr;
	}
	f->t->gdev->status->fault_tail = c->nr;
	gsvm_fault_irq(f->t->gdev);
	KUNIT_ASSERT_EQ(test, c->want_nr, f->nr);
	for (i = 0; i < c->want_nr; i++) {
		KUNIT_EXPECT_EQ(test, vm[c->want[i].vm]->asid, f->seen[i].asid);
		KUNIT_EXPECT_EQ(test, c->want[i].addr, f->seen[i].addr);
		KUNIT_EXPECT_EQ(test, c->want[i].nr, f->seen[i].nr);
		KUNIT_EXPECT_FALSE(test, f->seen[i].patient);
	}
	KUNIT_EXPECT_EQ(test, 0, f->unsorted);
	/* Each slice had its own reference. */
	KUNIT_EXPECT_EQ(test, ref, kref_read(&vm[0]->ref));
}

/* A batch of one block, and one of 64. */
static void gsvm_fault_test_whole_batch(struct kunit *test)
{
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 8, 0);
	unsigned int i;

	for (i = 0; i < 128; i++) {
		f->unit.ring[i].asid = f->t->vm->asid;
		/* Backwards. */
		f->unit.ring[i].addr = i < 64 ? SZ_2M - 0x1000 * (i + 1) :
						(u64)SZ_2M * (1000 - i);
	}
	f->t->gdev->status->fault_tail = 128;
	gsvm_fault_irq(f->t->gdev);
	KUNIT_ASSERT_EQ(test, 1 + 64, f->nr);
	KUNIT_EXPECT_EQ(test, 64, f->seen[0].nr);
	KUNIT_EXPECT_EQ(test, SZ_2M - 0x1000 * 64, f->seen[0].addr);
	for (i = 1; i < 65; i++) {
		KUNIT_EXPECT_EQ(test, 1, f->seen[i].nr);
		KUNIT_EXPECT_EQ(test, i - 1, f->seen[i].first);
		KUNIT_EXPECT_EQ(test, (u64)SZ_2M * (1000 - 128 + i), f->seen[i].addr);
	}
	KUNIT_EXPECT_EQ(test, 0, f->unsorted);
}

/* ---- What is wanted, what is answered ------------------------------------------ */

/* A slice with one record, on page 5 of the block at 4 MiB. */
static void gsvm_fault_test_slice(struct gsvm_fault_test *f)
{
	memset(&f->req, 0, sizeof(f->req));
	f->slice.batch = &f->batch;
	f->slice.vm = f->t->vm;
	f->slice.first = 0;
	f->slice.nr = 1;
	f->batch.gdev = f->t->gdev;
	f->batch.rec[0].asid = f->t->vm->asid;
	f->batch.rec[0].addr = GSVM_MIB(4) + 0x5123;
}

enum gsvm_fault_found {
	GSVM_FOUND_MAPPED,
	GSVM_FOUND_DENIED_WRITE,
	GSVM_FOUND_DENIED_EXEC,
	GSVM_FOUND_BUS,		/* no page, whatever the access */
};

struct gsvm_fault_verdict_case {
	const char *name;
	u32 access;
	u32 reason;
	u64 addr;
	enum gsvm_fault_found found;
	u32 want;
	bool served;		/* somebody has to look at the process */
};

#define ADDR	(GSVM_MIB(4) + 0x5123)
#define LAST	(U64_MAX - 1)	/* the last byte of user space */
#define BEHIND	U64_MAX		/* and the one behind it */
#define READ_	GSVM_ACCESS_READ
#define WRITE_	GSVM_ACCESS_WRITE
#define EXEC_	GSVM_ACCESS_EXEC
#define ATOMIC_	GSVM_ACCESS_ATOMIC
#define NONE	DRM_GSVM_REASON_NONE
#define PERM	DRM_GSVM_REASON_PERMISSION

static const struct gsvm_fault_verdict_case gsvm_fault_verdict_cases[] = {
	{ "read", READ_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_MAPPED, NONE, true },
	{ "write", WRITE_, GSVM_FAULT_PERMISSION, ADDR, GSVM_FOUND_MAPPED, NONE, true },
	{ "exec", EXEC_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_MAPPED, NONE, true },
	{ "atomic", ATOMIC_, GSVM_FAULT_PERMISSION, ADDR, GSVM_FOUND_MAPPED, NONE, true },
	{ "read-of-read-only", READ_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_DENIED_WRITE, NONE,
	  true },
	{ "write-of-read-only", WRITE_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_DENIED_WRITE, PERM,
	  true },
	{ "atomic-on-read-only", ATOMIC_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_DENIED_WRITE,
	  PERM, true },
	{ "exec-of-read-only", EXEC_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_DENIED_WRITE, NONE,
	  true },
	{ "exec-of-data", EXEC_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_DENIED_EXEC, PERM, true },
	{ "write-of-data", WRITE_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_DENIED_EXEC, NONE,
	  true },
	{ "no-page", READ_, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_BUS, DRM_GSVM_REASON_BUS,
	  true },
	{ "access-unknown", 4, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_HARDWARE },
	{ "access-nonsense", U32_MAX, GSVM_FAULT_NOT_PRESENT, ADDR, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_HARDWARE },
	{ "malformed-entry", READ_, GSVM_FAULT_RESERVED, ADDR, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_HARDWARE },
	{ "no-context", READ_, GSVM_FAULT_CONTEXT, ADDR, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_HARDWARE },
	{ "bus", READ_, GSVM_FAULT_BUS, ADDR, GSVM_FOUND_MAPPED, DRM_GSVM_REASON_HARDWARE },
	{ "reason-unknown", READ_, 6, ADDR, GSVM_FOUND_MAPPED, DRM_GSVM_REASON_HARDWARE },
	{ "reason-nonsense", READ_, U32_MAX, ADDR, GSVM_FOUND_MAPPED, DRM_GSVM_REASON_HARDWARE },
	{ "last-of-user-space", READ_, GSVM_FAULT_NOT_PRESENT, LAST,
	  GSVM_FOUND_MAPPED, NONE, true },
	{ "behind-user-space", READ_, GSVM_FAULT_NOT_PRESENT, BEHIND, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_NOT_MAPPED },
	{ "behind-user-space-write", WRITE_, GSVM_FAULT_PERMISSION, 1ull << 47, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_NOT_MAPPED },
	{ "beyond-48-bits", READ_, GSVM_FAULT_ADDRESS, 1ull << 48, GSVM_FOUND_MAPPED,
	  DRM_GSVM_REASON_NOT_MAPPED },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_fault_verdict, gsvm_fault_verdict_cases, name);

static void gsvm_fault_test_verdict(struct kunit *test)
{
	const struct gsvm_fault_verdict_case *c = test->param_value;
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);
	u64 addr = c->addr == LAST ? TASK_SIZE_MAX - 1 :
		   c->addr == BEHIND ? TASK_SIZE_MAX : c->addr;
	unsigned int page = (addr >> PAGE_SHIFT) % GSVM_BLOCK_PAGES;
	struct gsvm_request *req = &f->req;
	bool writes = c->access == GSVM_ACCESS_WRITE || c->access == GSVM_ACCESS_ATOMIC;

	gsvm_fault_test_slice(f);
	f->batch.rec[0].access = c->access;
	f->batch.rec[0].reason = c->reason;
	f->batch.rec[0].addr = addr;

	KUNIT_EXPECT_EQ(test, c->served, gsvm_fault_request(&f->slice, req));
	KUNIT_EXPECT_EQ(test, c->served && c->access == GSVM_ACCESS_READ,
			test_bit(page, req->read));
	KUNIT_EXPECT_EQ(test, c->served && writes, test_bit(page, req->write));
	KUNIT_EXPECT_EQ(test, c->served && c->access == GSVM_ACCESS_EXEC,
			test_bit(page, req->exec));
	KUNIT_EXPECT_EQ(test, c->served, bitmap_weight(req->read, GSVM_BLOCK_PAGES) +
			bitmap_weight(req->write, GSVM_BLOCK_PAGES) +
			bitmap_weight(req->exec, GSVM_BLOCK_PAGES));

	if (c->found == GSVM_FOUND_DENIED_WRITE)
		__set_bit(page, req->denied_write);
	if (c->found == GSVM_FOUND_DENIED_EXEC)
		__set_bit(page, req->denied_exec);
	if (c->found == GSVM_FOUND_BUS)
		req->reason[page] = DRM_GSVM_REASON_BUS;
	KUNIT_EXPECT_EQ(test, c->want, gsvm_fault_verdict(&f->batch.rec[0], req));
}

/* One hopeless record does not keep the others from being served. */
static void gsvm_fault_test_request_mixed(struct kunit *test)
{
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);

	gsvm_fault_test_slice(f);
	f->slice.first = 1;
	f->slice.nr = 4;
	f->batch.rec[0].access = GSVM_ACCESS_EXEC;	/* not of this slice */
	f->batch.rec[1].addr = GSVM_MIB(4);
	f->batch.rec[1].reason = GSVM_FAULT_BUS;
	f->batch.rec[2].addr = GSVM_MIB(4);
	f->batch.rec[2].access = GSVM_ACCESS_WRITE;
	f->batch.rec[3].addr = GSVM_MIB(4) + 0xfff;
	f->batch.rec[4].addr = GSVM_MIB(6) - 1;
	f->batch.rec[5].addr = GSVM_MIB(4) + 0x7000;	/* nor this */
	KUNIT_EXPECT_TRUE(test, gsvm_fault_request(&f->slice, &f->req));
	KUNIT_EXPECT_EQ(test, 1, bitmap_weight(f->req.write, GSVM_BLOCK_PAGES));
	KUNIT_EXPECT_TRUE(test, test_bit(0, f->req.write));
	KUNIT_EXPECT_EQ(test, 2, bitmap_weight(f->req.read, GSVM_BLOCK_PAGES));
	KUNIT_EXPECT_TRUE(test, test_bit(0, f->req.read));
	KUNIT_EXPECT_TRUE(test, test_bit(511, f->req.read));
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(f->req.exec, GSVM_BLOCK_PAGES));
}

struct gsvm_fault_piece {
	unsigned int first;
	unsigned int end;
};

struct gsvm_fault_resume_case {
	const char *name;
	unsigned int nr;
	struct gsvm_fault_piece mapped[4];
};

static const struct gsvm_fault_resume_case gsvm_fault_resume_cases[] = {
	{ "nothing", 0 },
	{ "first", 1, { { 0, 1 } } },
	{ "last", 1, { { 511, 512 } } },
	{ "all", 1, { { 0, 512 } } },
	{ "pieces", 3, { { 0, 2 }, { 5, 6 }, { 500, 512 } } },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_fault_resume, gsvm_fault_resume_cases, name);

static void gsvm_fault_test_resume(struct kunit *test)
{
	const struct gsvm_fault_resume_case *c = test->param_value;
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);
	struct gsvm_test *t = f->t;
	unsigned int i;

	gsvm_fault_test_slice(f);
	for (i = 0; i < c->nr; i++)
		bitmap_set(f->req.resume, c->mapped[i].first,
			   c->mapped[i].end - c->mapped[i].first);
	gsvm_fault_resume(&f->slice, &f->req);
	KUNIT_ASSERT_EQ(test, c->nr, t->nr_log);
	for (i = 0; i < c->nr; i++) {
		KUNIT_EXPECT_EQ(test, 5, t->log[i].cmd.op);
		KUNIT_EXPECT_EQ(test, t->vm->asid, t->log[i].cmd.id);
		KUNIT_EXPECT_EQ(test, GSVM_MIB(4) + c->mapped[i].first * 0x1000,
				t->log[i].cmd.start);
		KUNIT_EXPECT_EQ(test, GSVM_MIB(4) + c->mapped[i].end * 0x1000, t->log[i].cmd.end);
	}
}

/*
 * A device that keeps faults of the block back is told to report them, behind the
 * resumes and unless those let go on all of the block; with nothing to resume, too.
 */
static void gsvm_fault_test_report(struct kunit *test)
{
	const struct gsvm_fault_resume_case *c = test->param_value;
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);
	struct gsvm_test *t = f->t;
	bool all = c->nr && c->mapped[0].end - c->mapped[0].first == GSVM_BLOCK_PAGES;
	unsigned int i;

	f->unit.by_block = true;
	gsvm_fault_test_slice(f);
	for (i = 0; i < c->nr; i++)
		bitmap_set(f->req.resume, c->mapped[i].first,
			   c->mapped[i].end - c->mapped[i].first);
	gsvm_fault_resume(&f->slice, &f->req);
	KUNIT_ASSERT_EQ(test, c->nr + !all, t->nr_log);
	for (i = 0; i < c->nr; i++)
		KUNIT_EXPECT_EQ(test, 5, t->log[i].cmd.op);
	if (all)
		return;
	KUNIT_EXPECT_EQ(test, 9, t->log[i].cmd.op);
	KUNIT_EXPECT_EQ(test, t->vm->asid, t->log[i].cmd.id);
	KUNIT_EXPECT_EQ(test, GSVM_MIB(4), t->log[i].cmd.start);
	KUNIT_EXPECT_EQ(test, GSVM_MIB(6), t->log[i].cmd.end);
	KUNIT_EXPECT_EQ(test, 0, t->log[i].cmd.arg);
}

/* More pieces than commands: every mapped page is in some command all the same. */
static void gsvm_fault_test_resume_many(struct kunit *test)
{
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);
	struct gsvm_test *t = f->t;
	unsigned int pieces, resumes, i;

	for (pieces = GSVM_FAULT_RESUMES - 1; pieces <= GSVM_FAULT_RESUMES + 2; pieces++) {
		gsvm_fault_test_slice(f);
		gsvm_test_log_clear(t);
		for (i = 0; i < pieces; i++)
			__set_bit(i * 20, f->req.resume);
		gsvm_fault_resume(&f->slice, &f->req);
		resumes = min(pieces, GSVM_FAULT_RESUMES);
		KUNIT_ASSERT_EQ(test, resumes + f->unit.by_block, t->nr_log);
		for (i = 0; i < resumes; i++)
			KUNIT_EXPECT_EQ(test, GSVM_MIB(4) + i * 20 * 0x1000, t->log[i].cmd.start);
		KUNIT_EXPECT_EQ(test, GSVM_MIB(4) + ((pieces - 1) * 20 + 1) * 0x1000,
				t->log[resumes - 1].cmd.end);
		/* The next with one command more. */
		f->unit.by_block = !f->unit.by_block;
	}
}

/* Pages of a slice, and which of them have to be waited for. */
struct gsvm_fault_later_case {
	const char *name;
	unsigned int nr;
	unsigned int page[6];	/* sorted, as in a slice */
	unsigned int nr_later;
	unsigned int later[3];
	unsigned int want_nr;
	struct { unsigned int first; unsigned int nr; } want[3];
};

static const struct gsvm_fault_later_case gsvm_fault_later_cases[] = {
	{ "none", 2, { 3, 4 }, 0, {}, 0 },
	{ "only", 1, { 3 }, 1, { 3 }, 1, { { 0, 1 } } },
	{ "one-of-three", 3, { 3, 4, 5 }, 1, { 4 }, 1, { { 1, 1 } } },
	{ "duplicates", 5, { 3, 4, 4, 4, 5 }, 1, { 4 }, 1, { { 1, 3 } } },
	{ "last", 4, { 3, 4, 511, 511 }, 1, { 511 }, 1, { { 2, 2 } } },
	{ "neighbours-apart", 4, { 3, 3, 4, 4 }, 2, { 3, 4 }, 2, { { 0, 2 }, { 2, 2 } } },
	{ "all", 3, { 0, 1, 2 }, 3, { 0, 1, 2 }, 3, { { 0, 1 }, { 1, 1 }, { 2, 1 } } },
	{ "not-of-this-slice", 2, { 3, 4 }, 1, { 9 }, 0 },
};

KUNIT_ARRAY_PARAM_DESC(gsvm_fault_later, gsvm_fault_later_cases, name);

static void gsvm_fault_test_put_aside(struct kunit *test)
{
	const struct gsvm_fault_later_case *c = test->param_value;
	struct gsvm_fault_test *f = gsvm_fault_test_ring(test, 4, 0);
	unsigned int ref = kref_read(&f->t->vm->ref), i;

	gsvm_fault_test_slice(f);
	/* Not at the batch's beginning. */
	f->slice.first = 10;
	f->slice.nr = c->nr;
	for (i = 0; i < c->nr; i++) {
		f->batch.rec[10 + i].asid = f->t->vm->asid;
		f->batch.rec[10 + i].addr = GSVM_MIB(4) + c->page[i] * 0x1000 + i;
	}
	for (i = 0; i < c->nr_later; i++)
		__set_bit(c->later[i], f->req.later);
	gsvm_fault_put_aside(&f->slice, &f->req);
	KUNIT_ASSERT_EQ(test, c->want_nr, f->nr);
	for (i = 0; i < c->want_nr; i++) {
		KUNIT_EXPECT_EQ(test, 10 + c->want[i].first, f->seen[i].first);
		KUNIT_EXPECT_EQ(test, c->want[i].nr, f->seen[i].nr);
		KUNIT_EXPECT_TRUE(test, f->seen[i].patient);
	}
	KUNIT_EXPECT_EQ(test, ref, kref_read(&f->t->vm->ref));
}

static struct kunit_case gsvm_fault_tests[] = {
	KUNIT_CASE_PARAM(gsvm_fault_test_indices, gsvm_fault_ring_gen_params),
	KUNIT_CASE(gsvm_fault_test_wedged),
	KUNIT_CASE(gsvm_fault_test_order),
	KUNIT_CASE_PARAM(gsvm_fault_test_slices, gsvm_fault_slices_gen_params),
	KUNIT_CASE(gsvm_fault_test_whole_batch),
	KUNIT_CASE_PARAM(gsvm_fault_test_verdict, gsvm_fault_verdict_gen_params),
	KUNIT_CASE(gsvm_fault_test_request_mixed),
	KUNIT_CASE_PARAM(gsvm_fault_test_resume, gsvm_fault_resume_gen_params),
	KUNIT_CASE_PARAM(gsvm_fault_test_report, gsvm_fault_resume_gen_params),
	KUNIT_CASE(gsvm_fault_test_resume_many),
	KUNIT_CASE_PARAM(gsvm_fault_test_put_aside, gsvm_fault_later_gen_params),
	{}
};

static struct kunit_suite gsvm_fault_suite = {
	.name = "gsvm_fault",
	.init = gsvm_test_vm_init,
	.test_cases = gsvm_fault_tests,
};

kunit_test_suite(gsvm_fault_suite);
