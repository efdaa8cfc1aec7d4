// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: TLB invalidation
 *
 * An invalidation costs a register write and a wait, so they are gathered: the
 * first pass of a notifier adds its range to the address space's open batch
 * and gets the batch's number, a *ticket*; the second pass has the batch sent,
 * if nobody did yet, and waits. A munmap() of a GiB is 512 notifiers, one or
 * two commands, one register write.
 *
 * Commands complete in order, so one sequence number tells of all batches sent.
 *
 * Several GPUs that mirror one process all have open batches when the first of
 * them reaches its second pass. It sends the batches of all before it waits,
 * so that they flush at the same time. &gsvm_tlb_open lists them.
 *
 * Ranges that do not fit in a batch widen the last one. That drops a few TLB
 * entries too many and is never wrong.
 *
 * Locks: &gsvm_tlb.lock, then &gsvm_tlb_open_lock or the command ring's. Both
 * are taken in MMU notifiers, reclaim included.
 */

#include <linux/minmax.h>
#include <linux/spinlock.h>

#include <kunit/visibility.h>

#include "gsvm_cmd.h"
#include "gsvm_device.h"
#include "gsvm_mirror.h"
#include "gsvm_tlb.h"
#include "gsvm_vm.h"

/* Address spaces of one process that are served before the own wait. */
#define GSVM_TLB_PEERS	16

/* Address spaces, of all GPUs, whose open batch is not empty. */
static LIST_HEAD(gsvm_tlb_open);
static DEFINE_SPINLOCK(gsvm_tlb_open_lock);

/**
 * gsvm_tlb_init() - start with an empty batch
 * @tlb: invalidations of @vm
 * @vm: address space
 */
void gsvm_tlb_init(struct gsvm_tlb *tlb, struct gsvm_vm *vm)
{
	tlb->vm = vm;
	mutex_init(&tlb->lock);
	tlb->nr = 0;
	tlb->open = 1;
	tlb->sent = 0;
	tlb->seq = 0;
	INIT_LIST_HEAD(&tlb->link);
}

/**
 * gsvm_tlb_fini() - no invalidation comes any more
 * @tlb: invalidations
 */
void gsvm_tlb_fini(struct gsvm_tlb *tlb)
{
	spin_lock(&gsvm_tlb_open_lock);
	list_del_init(&tlb->link);
	spin_unlock(&gsvm_tlb_open_lock);
	mutex_destroy(&tlb->lock);
}

/**
 * gsvm_tlb_merge() - add a range to an array of ranges
 * @range: array of GSVM_TLB_RANGES
 * @nr: ranges in use
 * @start: first byte
 * @end: byte behind the last
 *
 * Joins the last range when they touch, which they do when a large range is
 * walked block by block, or when the array is full.
 *
 * Return: ranges in use now.
 */
unsigned int gsvm_tlb_merge(struct gsvm_tlb_range *range, unsigned int nr, u64 start, u64 end)
{
	struct gsvm_tlb_range *last = nr ? &range[nr - 1] : NULL;

	if (last && (nr == GSVM_TLB_RANGES || (start <= last->end && end >= last->start))) {
		last->start = min(last->start, start);
		last->end = max(last->end, end);
		return nr;
	}
	range[nr].start = start;
	range[nr].end = end;
	return nr + 1;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_tlb_merge);

/**
 * gsvm_tlb_add() - put a range into the open batch
 * @tlb: invalidations
 * @start: first byte, a multiple of 4 KiB
 * @end: byte behind the last, a multiple of 4 KiB
 *
 * The page-table entries have been changed before.
 *
 * Return: the ticket for gsvm_tlb_wait().
 */
u64 gsvm_tlb_add(struct gsvm_tlb *tlb, u64 start, u64 end)
{
	u64 ticket;

	mutex_lock(&tlb->lock);
	if (!tlb->nr) {
		spin_lock(&gsvm_tlb_open_lock);
		list_add_tail(&tlb->link, &gsvm_tlb_open);
		spin_unlock(&gsvm_tlb_open_lock);
	}
	tlb->nr = gsvm_tlb_merge(tlb->range, tlb->nr, start, end);
	ticket = tlb->open;
	mutex_unlock(&tlb->lock);
	return ticket;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_tlb_add);

/**
 * gsvm_tlb_send() - have a batch sent to the device
 * @tlb: invalidations
 * @ticket: from gsvm_tlb_add()
 *
 * Commands that are submitted afterwards take effect after the batch.
 */
void gsvm_tlb_send(struct gsvm_tlb *tlb, u64 ticket)
{
	struct gsvm_cmd cmd[GSVM_TLB_RANGES] = {};
	unsigned int i;

	mutex_lock(&tlb->lock);
	if (tlb->sent < ticket && tlb->nr) {
		for (i = 0; i < tlb->nr; i++) {
			cmd[i].op = GSVM_CMD_INVAL_RANGE;
			cmd[i].id = tlb->vm->asid;
			cmd[i].start = tlb->range[i].start;
			cmd[i].end = tlb->range[i].end;
		}
		cmd[tlb->nr - 1].op |= GSVM_CMD_IRQ;
		tlb->seq = gsvm_cmd_submit(tlb->vm->gdev, cmd, tlb->nr);
		tlb->sent = tlb->open++;
		tlb->nr = 0;
		spin_lock(&gsvm_tlb_open_lock);
		list_del_init(&tlb->link);
		spin_unlock(&gsvm_tlb_open_lock);
	}
	mutex_unlock(&tlb->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_tlb_send);

/* An address space that mirrors @mm and has an open batch, with a reference. */
static struct gsvm_vm *gsvm_tlb_next_open(struct mm_struct *mm)
{
	struct gsvm_vm *vm = NULL;
	struct gsvm_tlb *tlb;

	spin_lock(&gsvm_tlb_open_lock);
	list_for_each_entry(tlb, &gsvm_tlb_open, link) {
		if (tlb->vm->mm != mm)
			continue;
		vm = gsvm_vm_get_unless_zero(tlb->vm);
		if (vm)
			break;
	}
	spin_unlock(&gsvm_tlb_open_lock);
	return vm;
}

/* Send what every GPU that mirrors this process has gathered. */
static void gsvm_tlb_send_all(struct mm_struct *mm)
{
	unsigned int i;

	/*
	 * The bound keeps others, who add to their batches all the while, from
	 * holding us here. Who is left out sends for himself.
	 */
	for (i = 0; i < GSVM_TLB_PEERS; i++) {
		struct gsvm_vm *vm = gsvm_tlb_next_open(mm);

		if (!vm)
			break;
		gsvm_tlb_send(gsvm_mirror_tlb(vm->mirror), U64_MAX);
		gsvm_vm_put(vm);
	}
}

/**
 * gsvm_tlb_wait() - wait until a batch has completed
 * @tlb: invalidations
 * @ticket: from gsvm_tlb_add()
 *
 * When it returns, no access through a translation of the batch's ranges that
 * was made invalid before gsvm_tlb_add() can happen: they have completed, or
 * the device is wedged and cut off from memory.
 *
 * Context: sleeps; bounded by the command timeout.
 */
void gsvm_tlb_wait(struct gsvm_tlb *tlb, u64 ticket)
{
	bool sent;
	u64 seq;

	mutex_lock(&tlb->lock);
	sent = tlb->sent >= ticket;
	mutex_unlock(&tlb->lock);

	if (!sent) {
		gsvm_tlb_send_all(tlb->vm->mm);
		gsvm_tlb_send(tlb, ticket);
	}

	mutex_lock(&tlb->lock);
	seq = tlb->seq;
	mutex_unlock(&tlb->lock);
	/* An error means that the device is wedged: then it reaches nothing. */
	gsvm_cmd_wait(tlb->vm->gdev, seq);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_tlb_wait);
