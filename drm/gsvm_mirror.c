// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Mirror
 *
 * A mirror is a table of blocks. A block appears with the first fault in its
 * 2 MiB and carries one MMU interval notifier, so that a change of the
 * process's memory touches the blocks it concerns and no others, and a fault
 * collides with changes of its own block only. No object stands for a mapping
 * or a range of the process: there is nothing to split or to merge when the
 * process maps and unmaps.
 *
 * Invalidation has two passes:
 *
 * 1. *start*, for each block in turn: take the block's lock, note the
 *    notifier's sequence, take the entries (or only the right to write), mark
 *    pages dirty, add the range to the open TLB batch.
 * 2. *finish*, for each block in turn: the first one sends the batch, which
 *    covers all blocks, and waits; the others find it done. DMA mappings are
 *    undone.
 *
 * An invalidation that finds nothing to take still waits for
 * &gsvm_block.flush: an earlier one, in another thread, may have taken the
 * entries and not have finished, and our caller must not go on while the
 * device can still use them.
 *
 * The event decides how much goes:
 *
 * - MMU_NOTIFY_UNMAP, _CLEAR, _MIGRATE, _EXCLUSIVE, _PROTECTION_VMA: the
 *   pages. A change of protection can take away reading, too.
 * - MMU_NOTIFY_PROTECTION_PAGE, _SOFT_DIRTY: the right to write. The pages
 *   stay what they are, and the device may go on reading them. fork() and
 *   write-back come this way.
 * - MMU_NOTIFY_RELEASE: the pages. The process is gone, the next fault will
 *   find that out.
 * - MMU_NOTIFY_MIGRATE for our own move to VRAM: the pages in system memory. What
 *   is in VRAM does not move then.
 *
 * Before all that, an unmapping waits while a 2 MiB page leaves VRAM in the block
 * (gsvm_guard.c).
 *
 * Sleeping: where the caller may not (the OOM reaper), an invalidation that
 * would have to wait for the device returns false, and the caller goes on
 * elsewhere.
 *
 * Blocks go away when an unmap has left them empty: the collector takes them
 * out of the table, removes the notifier, then takes the way to the table from
 * the slot, flushes, and frees. It cannot be done by the invalidation itself,
 * because notifiers cannot be removed from their own callbacks.
 *
 * The end of a mirror has two steps, because a fault service may sit in
 * handle_mm_fault() for as long as the process likes (userfaultfd):
 * gsvm_mirror_teardown() takes everything from the device, now, and marks the
 * mirror dead, so that a service that comes back maps nothing.
 * gsvm_mirror_destroy() removes the notifiers when the last reference to the
 * address space has gone.
 *
 * Locks, outer to inner: mmap_lock (or a reverse map's lock) -> block->lock ->
 * tlb->lock -> command ring. &gsvm_pt.lock is taken with no block's lock held.
 */

#include <linux/mm.h>
#include <linux/dma-mapping.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include <drm/drm_drv.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_guard.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"
#include "gsvm_vram_chunk.h"

/* Unmapped blocks are collected after this time, many at once. */
#define GSVM_GC_DELAY	msecs_to_jiffies(100)

/* The part of a notifier's range that lies in a block, as page indices. */
static void gsvm_block_clamp(const struct gsvm_block *block,
			     const struct mmu_notifier_range *range,
			     unsigned int *first, unsigned int *last)
{
	unsigned long start = max(range->start, block->start);
	unsigned long end = min(range->end, block->start + GSVM_BLOCK_SIZE);

	*first = (start - block->start) >> PAGE_SHIFT;
	*last = (end - 1 - block->start) >> PAGE_SHIFT;
}

static bool gsvm_event_keeps_pages(enum mmu_notifier_event event)
{
	return event == MMU_NOTIFY_PROTECTION_PAGE || event == MMU_NOTIFY_SOFT_DIRTY;
}

/* An entry that goes leaves its soft-dirty bit to the one that replaces it. */
static bool gsvm_event_keeps_notes(enum mmu_notifier_event event)
{
	return event == MMU_NOTIFY_MIGRATE || event == MMU_NOTIFY_PROTECTION_VMA ||
	       event == MMU_NOTIFY_PROTECTION_PAGE || event == MMU_NOTIFY_EXCLUSIVE;
}

/* Our own move to VRAM: only what is in system memory is concerned. */
static bool gsvm_event_keeps_vram(const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_MIGRATE && range->owner == gsvm_migrate_in_mark();
}

/**
 * gsvm_block_unmapped() - the process has nothing here, or less than before
 * @block: locked
 *
 * If the device has nothing mapped here either, the block can go.
 */
void gsvm_block_unmapped(struct gsvm_block *block)
{
	struct gsvm_mirror *mirror = block->mirror;

	lockdep_assert_held(&block->lock);

	block->unmapped = true;
	if (block->nr_mapped)
		return;
	spin_lock(&mirror->gc_lock);
	if (!mirror->dead && list_empty(&block->gc_link)) {
		kref_get(&block->ref);
		list_add_tail(&block->gc_link, &mirror->gc_list);
		queue_delayed_work(gsvm_wq, &mirror->gc_work, GSVM_GC_DELAY);
	}
	spin_unlock(&mirror->gc_lock);
}

/**
 * gsvm_block_release_if_empty() - a service is through with a block
 * @block: not locked
 *
 * A block in which nothing could be mapped is not kept.
 */
void gsvm_block_release_if_empty(struct gsvm_block *block)
{
	mutex_lock(&block->lock);
	if (!block->nr_mapped)
		gsvm_block_unmapped(block);
	mutex_unlock(&block->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_release_if_empty);

/* Does an invalidation have something to wait for the device for? */
static bool gsvm_block_must_wait(const struct gsvm_block *block)
{
	return block->nr_mapped || block->nr_zombies || block->flush;
}

/* First pass. */
static void gsvm_block_invalidate_locked(struct gsvm_block *block,
					 const struct mmu_notifier_range *range,
					 unsigned long seq)
{
	struct gsvm_vm_stats *stats = &block->mirror->vm->stats;
	unsigned int first, last, nr;

	lockdep_assert_held(&block->lock);

	mmu_interval_set_seq(&block->notifier, seq);
	if (!block->slot)
		return;

	gsvm_block_clamp(block, range, &first, &last);
	if (!gsvm_event_keeps_notes(range->event))
		bitmap_clear(block->noted, first, last + 1 - first);
	if (gsvm_event_keeps_pages(range->event)) {
		nr = gsvm_block_write_protect(block, first, last);
	} else {
		nr = gsvm_block_zap(block, first, last, gsvm_event_keeps_vram(range));
		atomic64_add(nr, &stats->pages_invalidated);
	}
	if (nr)
		atomic64_inc(&stats->invalidations);
	if (range->event == MMU_NOTIFY_UNMAP || range->event == MMU_NOTIFY_RELEASE)
		gsvm_block_unmapped(block);
	trace_gsvm_invalidate(block->mirror->vm->gdev, block->mirror->vm->asid,
			      max(range->start, block->start),
			      min(range->end, block->start + GSVM_BLOCK_SIZE), range->event, nr);
}

static bool gsvm_mirror_invalidate_start(struct mmu_interval_notifier *notifier,
					 const struct mmu_notifier_range *range,
					 unsigned long seq,
					 struct mmu_interval_notifier_finish **finish)
{
	struct gsvm_block *block = container_of(notifier, struct gsvm_block, notifier);
	bool wait;

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&block->lock);
	else if (!mutex_trylock(&block->lock))
		return false;

	if (!gsvm_guard_wait(block, range)) {
		mutex_unlock(&block->lock);
		return false;
	}
	if (!mmu_notifier_range_blockable(range) && gsvm_block_must_wait(block)) {
		mutex_unlock(&block->lock);
		return false;
	}
	gsvm_block_invalidate_locked(block, range, seq);
	wait = block->flush;
	mutex_unlock(&block->lock);
	if (!wait)
		return true;

	*finish = kmalloc_obj(**finish, GFP_NOWAIT | __GFP_NOWARN);
	/* No memory for a second pass: do it now. */
	if (!*finish)
		gsvm_block_settle(block);
	return true;
}

static void gsvm_mirror_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	gsvm_block_settle(container_of(finish->notifier, struct gsvm_block, notifier));
	kfree(finish);
}

static const struct mmu_interval_notifier_ops gsvm_mirror_notifier_ops = {
	.invalidate_start = gsvm_mirror_invalidate_start,
	.invalidate_finish = gsvm_mirror_invalidate_finish,
};

/**
 * gsvm_block_settle() - wait for all flushes of a block, undo DMA mappings
 * @block: not locked
 *
 * When it returns, no page that was taken from the device before the call can
 * be reached by it.
 *
 * A flush that somebody adds while we wait makes us wait again. Each round
 * means that another invalidation has made its way; the number is bounded by
 * the invalidations that are under way, because no page comes back while any
 * is.
 */
void gsvm_block_settle(struct gsvm_block *block)
{
	mutex_lock(&block->lock);
	while (block->flush) {
		u64 ticket = block->flush;

		mutex_unlock(&block->lock);
		gsvm_tlb_wait(gsvm_mirror_tlb(block->mirror), ticket);
		mutex_lock(&block->lock);
		if (block->flush == ticket) {
			gsvm_block_bury(block);
			block->flush = 0;
		}
	}
	mutex_unlock(&block->lock);
}

static void gsvm_block_release(struct kref *ref)
{
	struct gsvm_block *block = container_of(ref, struct gsvm_block, ref);

	gsvm_vram_disown(block->chunk, block);
	mutex_destroy(&block->move_lock);
	mutex_destroy(&block->lock);
	atomic64_sub(sizeof(*block), &block->mirror->vm->stats.metadata_bytes);
	kfree(block);
}

/**
 * gsvm_block_put() - give a reference back
 * @block: block from gsvm_mirror_block_get()
 */
void gsvm_block_put(struct gsvm_block *block)
{
	kref_put(&block->ref, gsvm_block_release);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_put);

/* Let lockdep know before the first reclaim does. */
static void gsvm_block_prime_lockdep(struct gsvm_block *block)
{
	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&block->lock);
	might_lock(&gsvm_mirror_tlb(block->mirror)->lock);
	fs_reclaim_release(GFP_KERNEL);
}

static struct gsvm_block *gsvm_block_create(struct gsvm_mirror *mirror, unsigned long start)
{
	struct gsvm_block *block = kzalloc_obj(*block);
	int ret;

	if (!block)
		return ERR_PTR(-ENOMEM);
	block->mirror = mirror;
	block->start = start;
	kref_init(&block->ref);
	mutex_init(&block->lock);
	mutex_init(&block->move_lock);
	INIT_LIST_HEAD(&block->gc_link);
	INIT_LIST_HEAD(&block->hold_link);

	ret = gsvm_pt_slot(&mirror->pt, start, &block->slot);
	if (!ret)
		ret = mmu_interval_notifier_insert(&block->notifier, mirror->vm->mm, start,
						   GSVM_BLOCK_SIZE, &gsvm_mirror_notifier_ops);
	if (ret) {
		mutex_destroy(&block->lock);
		kfree(block);
		return ERR_PTR(ret);
	}
	gsvm_block_prime_lockdep(block);
	atomic64_add(sizeof(*block), &mirror->vm->stats.metadata_bytes);
	return block;
}

/* The block at @index with a reference, or NULL. */
static struct gsvm_block *gsvm_mirror_block_find(struct gsvm_mirror *mirror, unsigned long index)
{
	struct gsvm_block *block;

	xa_lock(&mirror->blocks);
	block = xa_load(&mirror->blocks, index);
	if (block)
		kref_get(&block->ref);
	xa_unlock(&mirror->blocks);
	return block;
}

/**
 * gsvm_mirror_block_lookup() - find the block around an address
 * @mirror: mirror
 * @addr: address
 *
 * Return: the block with a reference for gsvm_block_put(), or NULL.
 */
struct gsvm_block *gsvm_mirror_block_lookup(struct gsvm_mirror *mirror, u64 addr)
{
	return gsvm_mirror_block_find(mirror, addr >> GSVM_BLOCK_SHIFT);
}

/**
 * gsvm_mirror_block_next() - go through all blocks
 * @mirror: mirror
 * @addr: in, where to begin; out, behind the block
 *
 * Return: the first block at or behind *@addr with a reference for
 * gsvm_block_put(), or NULL.
 */
struct gsvm_block *gsvm_mirror_block_next(struct gsvm_mirror *mirror, u64 *addr)
{
	unsigned long index = *addr >> GSVM_BLOCK_SHIFT;
	struct gsvm_block *block;

	xa_lock(&mirror->blocks);
	block = xa_find(&mirror->blocks, &index, ULONG_MAX, XA_PRESENT);
	if (block)
		kref_get(&block->ref);
	xa_unlock(&mirror->blocks);
	*addr = (u64)(index + 1) << GSVM_BLOCK_SHIFT;
	return block;
}

/**
 * gsvm_mirror_age() - tell VRAM what of it the device has used
 * @mirror: mirror
 */
void gsvm_mirror_age(struct gsvm_mirror *mirror)
{
	struct gsvm_block *block;
	u64 addr = 0;

	while ((block = gsvm_mirror_block_next(mirror, &addr))) {
		mutex_lock(&block->lock);
		if (block->slot)
			gsvm_block_age(block);
		mutex_unlock(&block->lock);
		gsvm_block_put(block);
		cond_resched();
	}
}

/* Put a new block into the table; 0, -EBUSY if there is one, -ENODEV, -ENOMEM. */
static int gsvm_mirror_block_add(struct gsvm_mirror *mirror, unsigned long index,
				 struct gsvm_block *block)
{
	int ret;

	xa_lock(&mirror->blocks);
	if (mirror->dead)
		ret = -ENODEV;
	else
		ret = __xa_insert(&mirror->blocks, index, block, GFP_KERNEL);
	/* __xa_insert() may have dropped the lock to allocate. */
	if (!ret && mirror->dead) {
		__xa_erase(&mirror->blocks, index);
		ret = -ENODEV;
	}
	if (!ret)
		kref_get(&block->ref);
	xa_unlock(&mirror->blocks);
	return ret;
}

/**
 * gsvm_mirror_block_get() - find or make the block around an address
 * @mirror: mirror; the caller holds its process's mm_users
 * @addr: address in user space
 *
 * Context: process, may sleep and enter reclaim; no mmap_lock, no block lock.
 * Return: the block with a reference for gsvm_block_put(), or an error:
 * -ENOMEM; -ENODEV when the mirror is dead; -EAGAIN when the block came and
 * went meanwhile.
 */
struct gsvm_block *gsvm_mirror_block_get(struct gsvm_mirror *mirror, u64 addr)
{
	unsigned long index = addr >> GSVM_BLOCK_SHIFT;
	struct gsvm_block *block, *other;
	int idx, ret;

	block = gsvm_mirror_block_find(mirror, index);
	if (block)
		return block;
	/* Page tables are DMA memory: not any more when the device has gone. */
	if (!drm_dev_enter(&mirror->vm->gdev->drm, &idx))
		return ERR_PTR(-ENODEV);
	block = gsvm_block_create(mirror, index << GSVM_BLOCK_SHIFT);
	drm_dev_exit(idx);
	if (IS_ERR(block))
		return block;
	ret = gsvm_mirror_block_add(mirror, index, block);
	if (!ret)
		return block;

	/* Somebody was faster, or the mirror died. */
	mmu_interval_notifier_remove(&block->notifier);
	gsvm_block_put(block);
	if (ret != -EBUSY)
		return ERR_PTR(ret);
	other = gsvm_mirror_block_find(mirror, index);
	return other ? other : ERR_PTR(-EAGAIN);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_mirror_block_get);

/*
 * Take an empty, unmapped block out of the table, unless somebody uses it: the
 * table's and the collector's references are the only ones then, and no new
 * one can come while we hold xa_lock. A service that uses it offers it again
 * when it is through.
 */
static bool gsvm_mirror_unlink_idle(struct gsvm_mirror *mirror, struct gsvm_block *block)
{
	bool idle;

	mutex_lock(&block->lock);
	if (block->nr_mapped)
		block->unmapped = false;
	xa_lock(&mirror->blocks);
	idle = !mirror->dead && block->unmapped && kref_read(&block->ref) == 2;
	if (idle)
		__xa_erase(&mirror->blocks, block->start >> GSVM_BLOCK_SHIFT);
	xa_unlock(&mirror->blocks);
	mutex_unlock(&block->lock);
	return idle;
}

/*
 * Free the table of a block that is out of the mirror's table. A new block for
 * the same address may be in use of the slot already, so only our own way to
 * our own table is taken from it.
 */
static void gsvm_block_detach_table(struct gsvm_block *block)
{
	struct gsvm_tlb *tlb = gsvm_mirror_tlb(block->mirror);
	struct gsvm_block_table *table;

	mutex_lock(&block->lock);
	table = block->table;
	block->table = NULL;
	if (table && block->slot) {
		u64 way = gsvm_pte_make_table(table->pt.dma);
		u64 ticket;

		/* The way may be cached even if it is not in the slot any more. */
		try_cmpxchg(block->slot, &way, 0ull);
		ticket = gsvm_tlb_add(tlb, block->start, block->start + GSVM_BLOCK_SIZE);
		gsvm_tlb_wait(tlb, ticket);
	}
	mutex_unlock(&block->lock);
	gsvm_block_table_free(block->mirror, table);
}

static void gsvm_mirror_collect(struct work_struct *work)
{
	struct gsvm_mirror *mirror = container_of(work, struct gsvm_mirror, gc_work.work);
	struct gsvm_block *block;

	for (;;) {
		spin_lock(&mirror->gc_lock);
		block = list_first_entry_or_null(&mirror->gc_list, struct gsvm_block, gc_link);
		if (block)
			list_del_init(&block->gc_link);
		spin_unlock(&mirror->gc_lock);
		if (!block)
			break;
		if (gsvm_mirror_unlink_idle(mirror, block)) {
			mmu_interval_notifier_remove(&block->notifier);
			gsvm_block_detach_table(block);
			gsvm_block_put(block);
		}
		gsvm_block_put(block);
	}
}

/**
 * gsvm_mirror_create() - make an empty mirror
 * @vm: address space, not yet known to the device
 *
 * Return: the mirror or an error: -ENOMEM.
 */
struct gsvm_mirror *gsvm_mirror_create(struct gsvm_vm *vm)
{
	struct gsvm_mirror *mirror = kzalloc_obj(*mirror);
	int ret;

	if (!mirror)
		return ERR_PTR(-ENOMEM);
	ret = gsvm_pt_init(&mirror->pt, vm->gdev->drm.dev);
	if (ret) {
		kfree(mirror);
		return ERR_PTR(ret);
	}
	mirror->vm = vm;
	mirror->need_unmap = dma_need_unmap(vm->gdev->drm.dev);
	gsvm_tlb_init(&mirror->tlb, vm);
	xa_init(&mirror->blocks);
	spin_lock_init(&mirror->gc_lock);
	INIT_LIST_HEAD(&mirror->gc_list);
	INIT_DELAYED_WORK(&mirror->gc_work, gsvm_mirror_collect);
	gsvm_hold_init(&mirror->hold);
	return mirror;
}

/* Take everything from the device at once; it is cut off already. */
static void gsvm_block_teardown(struct gsvm_block *block)
{
	mutex_lock(&block->lock);
	gsvm_block_zap(block, 0, GSVM_BLOCK_PAGES - 1, false);
	gsvm_block_bury(block);
	gsvm_block_table_free(block->mirror, block->table);
	block->table = NULL;
	block->slot = NULL;
	block->flush = 0;
	mutex_unlock(&block->lock);
}

/**
 * gsvm_mirror_teardown() - take the process's memory from the device for good
 * @mirror: mirror; the device makes no access in this address space any more,
 *	and has no translation of it: queues stopped, context invalid, flushed
 *
 * Afterwards nothing of the mirror needs the device. Fault services that are
 * still under way will map nothing.
 *
 * Context: process, sleeps.
 */
void gsvm_mirror_teardown(struct gsvm_mirror *mirror)
{
	struct gsvm_block *block;
	unsigned long index;

	xa_lock(&mirror->blocks);
	spin_lock(&mirror->gc_lock);
	mirror->dead = true;
	spin_unlock(&mirror->gc_lock);
	xa_unlock(&mirror->blocks);
	cancel_delayed_work_sync(&mirror->gc_work);
	gsvm_hold_close(&mirror->hold);

	xa_for_each(&mirror->blocks, index, block)
		gsvm_block_teardown(block);
	gsvm_pt_fini(&mirror->pt);
}

/**
 * gsvm_mirror_destroy() - free a mirror
 * @mirror: mirror after gsvm_mirror_teardown(), without any user
 *
 * Context: process, sleeps; not in a notifier, no mmap_lock.
 */
void gsvm_mirror_destroy(struct gsvm_mirror *mirror)
{
	struct gsvm_block *block, *next;
	unsigned long index;

	list_for_each_entry_safe(block, next, &mirror->gc_list, gc_link) {
		list_del_init(&block->gc_link);
		gsvm_block_put(block);
	}
	xa_for_each(&mirror->blocks, index, block) {
		mmu_interval_notifier_remove(&block->notifier);
		xa_erase(&mirror->blocks, index);
		gsvm_block_put(block);
	}
	xa_destroy(&mirror->blocks);
	gsvm_tlb_fini(&mirror->tlb);
	kfree(mirror);
}
