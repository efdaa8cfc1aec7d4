// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Splitting
 *
 * A 2 MiB page in VRAM that several processes have (after fork()), or one whose address
 * space the driver does not know any more, must not leave in one piece
 * (gsvm_guard.c), and a CPU's access cannot have it split, because the access itself
 * holds a reference. So it leaves an order and is repeated, until a worker has
 * brought the block's pages back, small ones all of them.
 *
 * There is one order at a time for each page, whoever has it, and each has a worker of
 * its own: the mmap lock that one waits for may be held for long, by what its process
 * waits for, and that must not be felt by processes that have nothing to do with it.
 * Without memory for an order there is none, and the access is repeated all the same.
 *
 * *Who gets the page.* An access that is repeated has the page in its hands each time,
 * and while anybody has, the kernel does not split it. Accesses are repeated as fast as
 * they can: with a few of them at once, of CPUs or of fault services, the page would
 * never be free. So the worker takes the process's mmap lock for writing, which waits
 * for all accesses of the process and lets no new one begin, and downgrades it when
 * the pages are collected, before they are copied. Accesses of other processes that
 * have the page are not kept out by that, but they let go of it at once when
 * it is ordered (gsvm_split_is_ordered()), and the worker tries GSVM_SPLIT_TRIES times.
 * If that was not enough, it is ordered again. A fault service, of any process, which
 * can wait without the page in its hands, does that (gsvm_split_wait()).
 *
 * An order holds the process's memory (mm_users), which its maker has. The page it is
 * for is looked at by the worker without a reference: all orders are through before the
 * struct pages go (gsvm_split_flush()).
 *
 * *Pages that were shared once.* After fork(), a page that nobody has written since is
 * not exclusive to a process, and its entry is read-only, also when there is only one
 * process left that has it. Such a 2 MiB page is moved like any other, but not on a
 * kernel with CONFIG_DEBUG_VM, which has a mistake in a check: remove_migration_pmd()
 * (mm/huge_memory.c of 7.2) makes an entry for the page, and stops the machine if
 * pmd_write() says that it is writable and the page is not exclusive. If the page is
 * in VRAM, that is no present entry, and what pmd_write() reads of it (_PAGE_RW) is on
 * x86 the bit that says soft-dirty (_PAGE_SWP_SOFT_DIRTY), as nearly all memory is.
 * Nothing is wrong with the entry. So where that check is
 * (GSVM_SPLIT_NOT_EXCLUSIVE), no such entry is to be made:
 *
 * - On the way to VRAM, a 2 MiB page goes in one piece if its entry was writable, which
 *   implies exclusive; what else that says is cleared when the kernel has collected the
 *   page. Another one stays, and the move is made once more with the kernel splitting
 *   what it collects (&gsvm_move.small). Small entries have no such check.
 * - One that fork() has shared when it was in VRAM leaves it, for system memory or for
 *   another GPU, in small pieces, as if it could not be guarded: what fails on the way
 *   is put back. By its frame, where there is nothing to split it by, it does
 *   not set out before there is memory for it (gsvm_evict.c).
 *
 * Locks: mmap_lock, for writing until the pages are collected; &gsvm_split.lock is a leaf.
 */

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "gsvm_device.h"
#include "gsvm_migrate.h"
#include "gsvm_move.h"
#include "gsvm_pt.h"
#include "gsvm_split.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

/* Attempts for one order, if other processes have the page each time. */
#define GSVM_SPLIT_TRIES	8

/**
 * struct gsvm_split_order - one page
 * @link: in &gsvm_split.orders
 * @work: who does it
 * @vram: VRAM the page is in
 * @mm: a process that has it, with a reference to its users
 * @start: where in that
 * @pfn: first page frame
 */
struct gsvm_split_order {
	struct list_head link;
	struct work_struct work;
	struct gsvm_vram *vram;
	struct mm_struct *mm;
	unsigned long start;
	unsigned long pfn;
};

static bool gsvm_split_has(const struct gsvm_split *split, unsigned long pfn)
{
	const struct gsvm_split_order *order;

	lockdep_assert_held(&split->lock);

	list_for_each_entry(order, &split->orders, link)
		if (order->pfn == pfn)
			return true;
	return false;
}

/* One attempt. Returns whether there is nothing left to try. */
static bool gsvm_split_try(struct gsvm_move *move, struct mm_struct *mm, unsigned long start)
{
	struct vm_area_struct *vma;
	unsigned int moved = 0;
	int ret = -EINVAL;

	mmap_write_lock(mm);
	move->exclusive = true;
	vma = vma_lookup(mm, start);
	if (vma && vma_is_anonymous(vma) && vma->vm_end - start >= GSVM_BLOCK_SIZE)
		ret = gsvm_move_out(move, vma, start, start + GSVM_BLOCK_SIZE, &moved);
	gsvm_move_downgrade(move, mm);
	mmap_read_unlock(mm);
	return ret || moved;
}

static void gsvm_split_do(const struct gsvm_split_order *order)
{
	struct gsvm_move *move = gsvm_move_get(order->vram);
	unsigned int try;

	if (!move)
		return;
	for (try = 0; try < GSVM_SPLIT_TRIES; try++) {
		/* Others may have been quicker. */
		if (!folio_test_large(page_folio(pfn_to_page(order->pfn))) ||
		    gsvm_split_try(move, order->mm, order->start))
			break;
		cond_resched();
	}
	gsvm_move_put(move);
}

static void gsvm_split_work(struct work_struct *work)
{
	struct gsvm_split_order *order = container_of(work, struct gsvm_split_order, work);
	struct gsvm_split *split = &order->vram->split;

	gsvm_split_do(order);
	spin_lock(&split->lock);
	list_del(&order->link);
	wake_up_var_locked(split, &split->lock);
	spin_unlock(&split->lock);
	/* Perhaps the last one: then it unmaps everything. */
	mmput(order->mm);
	kfree(order);
}

/**
 * gsvm_split_init() - nothing to do yet
 * @split: orders
 */
void gsvm_split_init(struct gsvm_split *split)
{
	spin_lock_init(&split->lock);
	INIT_LIST_HEAD(&split->orders);
}

/**
 * gsvm_split_later() - have the small pages of a 2 MiB page brought back
 * @vram: VRAM it is in
 * @mm: process that has it, the caller holds its mm_users
 * @start: where
 * @page: its first page, which the caller has a reference to
 *
 * Context: any that may not wait for the page; takes a spinlock.
 * Return: 0; the access is to be repeated.
 */
int gsvm_split_later(struct gsvm_vram *vram, struct mm_struct *mm, unsigned long start,
		     struct page *page)
{
	struct gsvm_split_order *order = kmalloc_obj(*order, GFP_NOWAIT);
	struct gsvm_split *split = &vram->split;

	if (!order)
		return 0;
	INIT_WORK(&order->work, gsvm_split_work);
	order->vram = vram;
	order->mm = mm;
	order->start = start;
	order->pfn = page_to_pfn(page);
	spin_lock(&split->lock);
	if (!gsvm_split_has(split, order->pfn)) {
		mmget(mm);
		list_add(&order->link, &split->orders);
		queue_work(gsvm_split_wq, &order->work);
		order = NULL;
	}
	spin_unlock(&split->lock);
	kfree(order);
	return 0;
}

/**
 * gsvm_split_is_ordered() - is a 2 MiB page about to be split
 * @vram: VRAM it is in
 * @page: its first page
 *
 * Return: whether an access shall let go of it at once, and be repeated.
 */
bool gsvm_split_is_ordered(struct gsvm_vram *vram, const struct page *page)
{
	struct gsvm_split *split = &vram->split;
	bool ordered;

	spin_lock(&split->lock);
	ordered = gsvm_split_has(split, page_to_pfn(page));
	spin_unlock(&split->lock);
	return ordered;
}

/**
 * gsvm_split_wait() - let the worker have a page
 * @vram: VRAM
 * @pfn: its first page frame; of any kind, also if it is no 2 MiB page any more
 *
 * Context: process, sleeps, for as long as something in the kernel has the mmap lock of a
 * process that has the page; no lock held, neither the mmap lock nor a page's.
 */
void gsvm_split_wait(struct gsvm_vram *vram, unsigned long pfn)
{
	struct gsvm_split *split = &vram->split;

	spin_lock(&split->lock);
	wait_var_event_spinlock(split, !gsvm_split_has(split, pfn), &split->lock);
	spin_unlock(&split->lock);
}

/**
 * gsvm_split_flush() - wait until nothing is ordered
 * @split: orders
 *
 * Context: process, sleeps; when there are no pages any more that could be ordered.
 */
void gsvm_split_flush(struct gsvm_split *split)
{
	spin_lock(&split->lock);
	wait_var_event_spinlock(split, list_empty(&split->orders), &split->lock);
	spin_unlock(&split->lock);
}
