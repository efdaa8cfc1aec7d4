// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Fault service
 *
 * From the device's fault ring to its answer:
 *
 * 1. *Drain*, in the interrupt's thread: copy records out of the ring, at most
 *    GSVM_FAULT_BATCH at once, and give the ring's room back (FAULT_ACK), so
 *    that the device can report on whatever happens to the rest.
 * 2. *Sort* by address space and block. Neighbours with one block form a
 *    *slice*.
 * 3. *Serve* each slice on the workqueue, all slices in parallel: one block,
 *    one look at the process, one change of the page table, however many
 *    records it answers. Two slices for one block may meet; the second one
 *    finds the pages mapped.
 *    A page that has to be waited for (I/O, userfaultfd) is put aside and gets
 *    a slice and a worker of its own, on a workqueue for those who wait, so that
 *    it delays nobody else.
 * 4. *Answer*: resume what is parked on pages of the block that are mapped
 *    now, whether they were asked for or came along. Those that came along and
 *    can only be read are left out: who is parked there may want to write, and
 *    that may have been put aside. He would be back with a new record at once,
 *    each time that another page of the block is served. A fault that cannot be
 *    served ends its queue.
 *
 * A record can be stale when it is served: the resume for another record of
 * the page has let its access go on, it has completed, and the process has
 * unmapped the page since. The verdict "nothing is mapped there" is true then,
 * and does not concern the access. Therefore a cancellation names the record,
 * and the device carries it out only if that very access is still parked: if
 * it is, it began before the verdict and could not be made at the verdict's
 * time, which is when a CPU would have got SIGSEGV.
 *
 * A stale record must not bring anything about, either: long after the access, it
 * would move memory back to where the process has just taken it from. A service
 * notes which pages of its block it resumes, and when. Records from before that for
 * these pages only are stale.
 *
 * A service can end without an answer: no memory for its own bookkeeping, or
 * the process changed the block each time it looked. What it could map goes on,
 * and for the rest it is repeated, the device knows nothing of it: on the
 * workqueue of those who wait, after a back-off that doubles from
 * GSVM_FAULT_BACK_OFF_MIN to _MAX milliseconds. Other changes of the process have
 * been made each time, so it is the process that goes on. After
 * GSVM_FAULT_REPLAYS times, some 16 s, the queue is ended with
 * DRM_GSVM_REASON_NO_MEMORY or _BUSY: an error is better than a machine that
 * runs in circles.
 *
 * *By block.* A device of version 1.1 reports the first fault of a block only, and
 * keeps the others back until that has been resumed, or cancelled, or the driver says
 * that it is through with the block (FAULT_REPORT). The first service often maps all of
 * the block, or moves it to VRAM, and then 511 records have not been written, read,
 * sorted and found to be stale. Who was not let go by it is reported at its end, all
 * at once. So each service that let go on less than the block ends with
 * FAULT_REPORT: also, and above all, one that puts a page aside, for the others must
 * not wait for what that waits for. One that ends without a resume needs none: a
 * stale record's access has been resumed by another one, a cancelled one's queue is at
 * its end, and one that is repeated has still to find its answer.
 *
 * Nothing is lost: a record leaves the ring only into a batch, and the pool of
 * batches always has one that comes back. A service that waits for the process
 * (userfaultfd, I/O, memory) holds one batch and one worker, no lock.
 *
 * The device is not trusted. Records are copied before they are looked at; an
 * ASID nobody has, an address outside of user space, a reason that does not
 * fit are answered by ending the queue, or, if that is not the ASID's, by
 * nothing at all. A ring index that cannot be is the end of the device.
 *
 * A fault service holds a reference to the address space, and for its time the
 * process's mm_users. It does not keep the process from dying: a killed
 * process's memory goes when the service is through.
 */

#include <linux/dma-mapping.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/gsvm_drm.h>

#include "gsvm_cmd.h"
#include "gsvm_device.h"
#include "gsvm_fault.h"
#include "gsvm_hw.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_populate.h"
#include "gsvm_queue.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"

/* The first version of the hardware that has FAULT_CONTROL. */
#define GSVM_HW_BY_BLOCK	0x10001u

/* Batches that exist even when memory does not. */
#define GSVM_FAULT_RESERVE	4

/* Repeats of a service that found no answer, and milliseconds before each. */
#define GSVM_FAULT_REPLAYS	256
#define GSVM_FAULT_BACK_OFF_MIN	1
#define GSVM_FAULT_BACK_OFF_MAX	64

static unsigned int gsvm_fault_ring_log2 = 12;
module_param_named(fault_ring_log2, gsvm_fault_ring_log2, uint, 0444);
MODULE_PARM_DESC(fault_ring_log2, "log2 of the fault ring's entries, 4 to 16 (default 12)");

static bool gsvm_fault_by_block = true;
module_param_named(fault_by_block, gsvm_fault_by_block, bool, 0444);
MODULE_PARM_DESC(fault_by_block, "have the device report one fault per 2 MiB first (default Y)");

static void gsvm_fault_batch_release(struct kref *ref)
{
	struct gsvm_fault_batch *batch = container_of(ref, struct gsvm_fault_batch, ref);
	struct gsvm_device *gdev = batch->gdev;

	mempool_free(batch, &gdev->fault->batches);
	drm_dev_put(&gdev->drm);
}

static u64 gsvm_fault_block(const struct gsvm_fault *rec)
{
	return rec->addr >> GSVM_BLOCK_SHIFT;
}

static int gsvm_fault_cmp(const void *a, const void *b)
{
	const struct gsvm_fault *x = a, *y = b;

	if (x->asid != y->asid)
		return x->asid < y->asid ? -1 : 1;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return 0;
}

/* What the walk met, as a reason to end the queue; NONE if it can be served. */
static u32 gsvm_fault_hopeless(const struct gsvm_fault *rec)
{
	if (rec->access > GSVM_ACCESS_ATOMIC)
		return DRM_GSVM_REASON_HARDWARE;
	switch (rec->reason) {
	case GSVM_FAULT_NOT_PRESENT:
	case GSVM_FAULT_PERMISSION:
		return rec->addr < TASK_SIZE_MAX ? DRM_GSVM_REASON_NONE :
						   DRM_GSVM_REASON_NOT_MAPPED;
	case GSVM_FAULT_ADDRESS:
		return DRM_GSVM_REASON_NOT_MAPPED;
	default:
		return DRM_GSVM_REASON_HARDWARE;
	}
}

static void gsvm_fault_fail_all(struct gsvm_fault_slice *slice, u32 reason)
{
	unsigned int i;

	for (i = 0; i < slice->nr; i++)
		gsvm_queue_cancel(slice->vm, &slice->batch->rec[slice->first + i], reason);
}

static unsigned int gsvm_fault_page(const struct gsvm_fault *rec)
{
	return (rec->addr >> PAGE_SHIFT) & (GSVM_BLOCK_PAGES - 1);
}

static bool gsvm_fault_writes(const struct gsvm_fault *rec)
{
	return rec->access == GSVM_ACCESS_WRITE || rec->access == GSVM_ACCESS_ATOMIC;
}

/* Gather what the slice's records want. Returns whether anything can be served. */
VISIBLE_IF_KUNIT bool gsvm_fault_request(struct gsvm_fault_slice *slice,
					 struct gsvm_request *req)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < slice->nr; i++) {
		const struct gsvm_fault *rec = &slice->batch->rec[slice->first + i];
		unsigned int page = gsvm_fault_page(rec);

		if (gsvm_fault_hopeless(rec))
			continue;
		any = true;
		if (gsvm_fault_writes(rec))
			__set_bit(page, req->write);
		else if (rec->access == GSVM_ACCESS_EXEC)
			__set_bit(page, req->exec);
		else
			__set_bit(page, req->read);
	}
	return any;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_fault_request);

/* Why a record's access cannot be served; NONE if it can. */
VISIBLE_IF_KUNIT u32 gsvm_fault_verdict(const struct gsvm_fault *rec,
					const struct gsvm_request *req)
{
	unsigned int page = gsvm_fault_page(rec);
	u32 reason = gsvm_fault_hopeless(rec);

	if (reason)
		return reason;
	if (gsvm_fault_writes(rec) && test_bit(page, req->denied_write))
		return DRM_GSVM_REASON_PERMISSION;
	if (rec->access == GSVM_ACCESS_EXEC && test_bit(page, req->denied_exec))
		return DRM_GSVM_REASON_PERMISSION;
	return req->reason[page];
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_fault_verdict);

static void gsvm_fault_answer(struct gsvm_fault_slice *slice, const struct gsvm_request *req)
{
	unsigned int i;

	for (i = 0; i < slice->nr; i++) {
		const struct gsvm_fault *rec = &slice->batch->rec[slice->first + i];
		u32 reason = gsvm_fault_verdict(rec, req);

		if (reason)
			gsvm_queue_cancel(slice->vm, rec, reason);
	}
}

/*
 * Count the time up to the answer. What comes after it overlaps with what the
 * device does next.
 */
static void gsvm_fault_account(struct gsvm_fault_slice *slice)
{
	atomic64_add(ktime_get_ns() - slice->begin, &slice->vm->stats.fault_ns);
}

/*
 * Let go on what can: accesses to pages of &gsvm_request.resume. Whoever is parked
 * elsewhere in the block has a record of his own, or is to have one now, and would only
 * fault again.
 */
VISIBLE_IF_KUNIT void gsvm_fault_resume(struct gsvm_fault_slice *slice,
					const struct gsvm_request *req)
{
	u64 start = round_down(slice->batch->rec[slice->first].addr, GSVM_BLOCK_SIZE);
	struct gsvm_cmd cmd[GSVM_FAULT_RESUMES + 1] = {};
	struct gsvm_device *gdev = slice->vm->gdev;
	unsigned int first, end, n = 0;

	for_each_set_bitrange(first, end, req->resume, GSVM_BLOCK_PAGES) {
		/* Too many pieces: the last one takes in the gaps, too. */
		if (n == GSVM_FAULT_RESUMES) {
			cmd[n - 1].end = start + ((u64)end << PAGE_SHIFT);
			continue;
		}
		cmd[n].op = GSVM_CMD_RESUME;
		cmd[n].id = slice->vm->asid;
		cmd[n].start = start + ((u64)first << PAGE_SHIFT);
		cmd[n].end = start + ((u64)end << PAGE_SHIFT);
		n++;
	}
	if (gdev->fault->by_block && !bitmap_full(req->resume, GSVM_BLOCK_PAGES)) {
		cmd[n].op = GSVM_CMD_FAULT_REPORT;
		cmd[n].id = slice->vm->asid;
		cmd[n].start = start;
		cmd[n].end = start + GSVM_BLOCK_SIZE;
		n++;
	}
	gsvm_fault_account(slice);
	if (n)
		gsvm_cmd_submit(gdev, cmd, n);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_fault_resume);

static void gsvm_fault_serve(struct work_struct *work);

/* Start a slice of @vm, whose reference it takes over. */
VISIBLE_IF_KUNIT void gsvm_fault_start(struct gsvm_fault_batch *batch, struct gsvm_vm *vm,
				       unsigned int first, unsigned int nr, bool patient)
{
	struct gsvm_fault_slice *slice;

	KUNIT_STATIC_STUB_REDIRECT(gsvm_fault_start, batch, vm, first, nr, patient);

	slice = &batch->slice[atomic_inc_return(&batch->nr_slices) - 1];
	slice->batch = batch;
	slice->vm = vm;
	slice->first = first;
	slice->nr = nr;
	slice->patient = patient;
	slice->replays = 0;
	INIT_WORK(&slice->work, gsvm_fault_serve);
	kref_get(&batch->ref);
	queue_work(patient ? gsvm_patient_wq : gsvm_wq, &slice->work);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_fault_start);

/* A slice of its own for each page that has to be waited for. */
VISIBLE_IF_KUNIT void gsvm_fault_put_aside(struct gsvm_fault_slice *slice,
					   const struct gsvm_request *req)
{
	const struct gsvm_fault *rec = &slice->batch->rec[slice->first];
	unsigned int first, end;

	for (first = 0; first < slice->nr; first = end) {
		unsigned int page = gsvm_fault_page(&rec[first]);

		for (end = first + 1; end < slice->nr; end++)
			if (gsvm_fault_page(&rec[end]) != page)
				break;
		if (test_bit(page, req->later))
			gsvm_fault_start(slice->batch, gsvm_vm_get(slice->vm),
					 slice->first + first, end - first, true);
	}
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_fault_put_aside);

/*
 * No answer was found: try again later, or give up. Returns whether the slice
 * was handed on, and is not the caller's any more.
 */
static bool gsvm_fault_replay(struct gsvm_fault_slice *slice, int err)
{
	/* The address space is at its end, and with it the queue. */
	if (err == -ENODEV)
		return false;
	if (slice->replays++ == GSVM_FAULT_REPLAYS) {
		gsvm_fault_fail_all(slice, err == -ENOMEM ? DRM_GSVM_REASON_NO_MEMORY :
							    DRM_GSVM_REASON_BUSY);
		return false;
	}
	queue_work(gsvm_patient_wq, &slice->work);
	return true;
}

/* Let time pass before a repeat, unless the address space ends meanwhile. */
static void gsvm_fault_back_off(struct gsvm_fault_slice *slice)
{
	unsigned int doublings = min(slice->replays - 1, ilog2(GSVM_FAULT_BACK_OFF_MAX));
	unsigned int ms = min(GSVM_FAULT_BACK_OFF_MIN << doublings, GSVM_FAULT_BACK_OFF_MAX);

	wait_event_timeout(slice->vm->event_wq, gsvm_mirror_is_dead(slice->vm->mirror),
			   msecs_to_jiffies(ms));
}

/*
 * Have the pages mapped, and answer. While others had their turn, before or while
 * pages are moved, the records may have become stale: then nothing is mapped for
 * them, and above all nothing moved.
 */
static int gsvm_fault_serve_request(struct gsvm_fault_slice *slice, struct gsvm_block *block,
				    struct gsvm_request *req)
{
	bool stale = gsvm_populate_stale(block, req);
	int ret = 0;

	if (!stale && !gsvm_populate_served(block, req)) {
		gsvm_migrate_fault(slice->vm, block, req);
		stale = gsvm_populate_stale(block, req);
		if (!stale)
			ret = gsvm_populate(slice->vm, block, req);
	}
	if (!ret)
		gsvm_fault_answer(slice, req);
	if (stale) {
		gsvm_fault_account(slice);
		return 0;
	}
	/* On an error, too: what could be mapped does not wait, or end, with the rest. */
	gsvm_populate_note(block, req);
	gsvm_fault_resume(slice, req);
	if (!ret)
		gsvm_fault_put_aside(slice, req);
	return ret;
}

static int gsvm_fault_serve_block(struct gsvm_fault_slice *slice)
{
	struct gsvm_request *req;
	struct gsvm_block *block;
	int ret;

	req = kzalloc_obj(*req);
	if (!req)
		return -ENOMEM;
	req->patient = slice->patient;
	req->since = slice->batch->drained;
	if (!gsvm_fault_request(slice, req)) {
		gsvm_fault_answer(slice, req);
		gsvm_fault_account(slice);
		ret = 0;
		goto out;
	}
	block = gsvm_mirror_block_get(slice->vm->mirror, slice->batch->rec[slice->first].addr);
	if (IS_ERR(block)) {
		ret = PTR_ERR(block);
		goto out;
	}
	ret = gsvm_fault_serve_request(slice, block, req);
	gsvm_block_release_if_empty(block);
	gsvm_block_put(block);
out:
	kfree(req);
	return ret;
}

/* One attempt to serve a slice. 0, or an error for gsvm_fault_replay(). */
static int gsvm_fault_serve_once(struct gsvm_fault_slice *slice)
{
	struct gsvm_vm *vm = slice->vm;
	int ret = 0;

	slice->begin = ktime_get_ns();
	atomic64_inc(&vm->stats.fault_services);
	if (mmget_not_zero(vm->mm)) {
		ret = gsvm_fault_serve_block(slice);
		mmput(vm->mm);
	} else {
		gsvm_fault_fail_all(slice, DRM_GSVM_REASON_GONE);
		gsvm_fault_account(slice);
	}
	return ret;
}

static void gsvm_fault_serve(struct work_struct *work)
{
	struct gsvm_fault_slice *slice = container_of(work, struct gsvm_fault_slice, work);
	const struct gsvm_fault *rec = &slice->batch->rec[slice->first];
	struct gsvm_vm *vm = slice->vm;
	int ret;

	if (slice->replays)
		gsvm_fault_back_off(slice);
	else if (!slice->patient)
		/* What was put aside has been counted with the slice it came in. */
		atomic64_add(slice->nr, &vm->stats.faults);

	trace_gsvm_fault_begin(vm->gdev, vm->asid, rec->addr, slice->nr);
	ret = gsvm_fault_serve_once(slice);
	trace_gsvm_fault_end(vm->gdev, vm->asid, rec->addr, slice->nr, ret);
	if (ret && gsvm_fault_replay(slice, ret))
		return;

	gsvm_vm_put(vm);
	kref_put(&slice->batch->ref, gsvm_fault_batch_release);
}

static void gsvm_fault_dispatch(struct gsvm_fault_batch *batch, unsigned int n)
{
	unsigned int first, end;

	sort(batch->rec, n, sizeof(batch->rec[0]), gsvm_fault_cmp, NULL);
	for (first = 0; first < n; first = end) {
		struct gsvm_fault *rec = &batch->rec[first];
		struct gsvm_vm *vm;

		for (end = first + 1; end < n; end++)
			if (batch->rec[end].asid != rec->asid ||
			    gsvm_fault_block(&batch->rec[end]) != gsvm_fault_block(rec))
				break;
		vm = gsvm_vm_lookup_asid(batch->gdev, rec->asid);
		/* None: its queues are stopped or never were, and nobody waits. */
		if (vm)
			gsvm_fault_start(batch, vm, first, end - first, false);
	}
}

/* Take up to one batch out of the ring. Returns records taken. */
static unsigned int gsvm_fault_drain(struct gsvm_device *gdev)
{
	struct gsvm_fault_unit *fault = gdev->fault;
	u32 mask = (1u << fault->log2) - 1;
	u32 n = READ_ONCE(gdev->status->fault_tail) - fault->head;
	struct gsvm_fault_batch *batch;
	u32 i;

	if (!n)
		return 0;
	if (n > mask + 1) {
		gsvm_device_wedge(gdev, "fault ring index out of range");
		return 0;
	}
	dma_rmb();	/* records after the index, pairs with the device's release */

	n = min_t(u32, n, GSVM_FAULT_BATCH);
	batch = mempool_alloc(&fault->batches, GFP_KERNEL);
	kref_init(&batch->ref);
	batch->gdev = gdev;
	batch->drained = ktime_get_ns();
	atomic_set(&batch->nr_slices, 0);
	drm_dev_get(&gdev->drm);
	for (i = 0; i < n; i++)
		batch->rec[i] = fault->ring[(fault->head + i) & mask];
	fault->head += n;
	gsvm_fault_dispatch(batch, n);
	kref_put(&batch->ref, gsvm_fault_batch_release);
	return n;
}

/**
 * gsvm_fault_irq() - the device has faults to report
 * @gdev: device
 *
 * The device interrupts when the ring stops being empty and when an
 * FAULT_ACK leaves records behind, so a look after the last
 * FAULT_ACK is not needed.
 *
 * Context: thread of the fault interrupt.
 */
void gsvm_fault_irq(struct gsvm_device *gdev)
{
	struct gsvm_cmd ack = { .op = GSVM_CMD_FAULT_ACK };
	u32 before = gdev->fault->head;

	while (!gsvm_device_is_wedged(gdev) && gsvm_fault_drain(gdev))
		;
	if (gdev->fault->head == before)
		return;
	ack.arg = gdev->fault->head;
	gsvm_cmd_submit(gdev, &ack, 1);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_fault_irq);

static void gsvm_fault_fini(struct drm_device *drm, void *data)
{
	struct gsvm_fault_unit *fault = data;

	mempool_exit(&fault->batches);
}

/**
 * gsvm_fault_init() - set up the fault ring
 * @gdev: device, not enabled yet
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_fault_init(struct gsvm_device *gdev)
{
	struct gsvm_fault_unit *fault;
	int ret;

	fault = drmm_kzalloc(&gdev->drm, sizeof(*fault), GFP_KERNEL);
	if (!fault)
		return -ENOMEM;
	fault->by_block = gsvm_fault_by_block && gdev->limits.hw_version >= GSVM_HW_BY_BLOCK;
	fault->log2 = clamp(gsvm_fault_ring_log2, 4u, 16u);
	fault->ring = dmam_alloc_coherent(gdev->drm.dev, sizeof(*fault->ring) << fault->log2,
					  &fault->ring_dma, GFP_KERNEL);
	if (!fault->ring)
		return -ENOMEM;
	ret = mempool_init_kmalloc_pool(&fault->batches, GSVM_FAULT_RESERVE,
					sizeof(struct gsvm_fault_batch));
	if (ret)
		return ret;
	ret = drmm_add_action_or_reset(&gdev->drm, gsvm_fault_fini, fault);
	if (ret)
		return ret;

	gdev->fault = fault;
	gsvm_hw_write64(gdev, GSVM_REG_FAULT_BASE, fault->ring_dma);
	gsvm_hw_write32(gdev, GSVM_REG_FAULT_LOG2, fault->log2);
	if (fault->by_block)
		gsvm_hw_write32(gdev, GSVM_REG_FAULT_CONTROL, GSVM_FAULT_BY_BLOCK);
	return 0;
}
