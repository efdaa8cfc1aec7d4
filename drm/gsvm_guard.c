// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Guarding a 2 MiB page on its way out
 *
 * While pages move, the process's page table has migration entries for them. The
 * process may unmap those, and the kernel (mm/huge_memory.c of 7.2 and 7.3) makes a
 * mistake if such an entry is one for 2 MiB and stands for a page in VRAM: it goes by
 * the page (folio_is_device_private()), not by the entry, takes it for one that is
 * mapped there, and drops a mapping and a reference that it does not have. The page
 * is freed while it is copied. What follows is a system page without a memory
 * cgroup, on which whoever puts it on an LRU list spins for ever, or worse. Small
 * entries are not concerned, and neither is a move in.
 *
 * So a 2 MiB page leaves VRAM in one piece only while nobody can unmap it. Else it
 * is split first, in its place, which the kernel does by small entries. Nobody can
 * if all of this holds until the move is over:
 *
 * - One page table has it, and only once: nobody unmaps it elsewhere. (After fork(),
 *   parent and child have it, and the child has no notifiers of ours. On a kernel that
 *   checks itself, a page that was shared once does not count either: DOC: Splitting.)
 * - The mmap lock is held: fork(), mremap() and collapsing wait.
 * - The block is *guarded*: whoever is about to unmap something in it, with or without
 *   the mmap lock (munmap() lets go of the write lock early; MADV_DONTNEED and the
 *   OOM reaper never have it), calls the notifiers first, and they wait for the
 *   end of the guard. Where they may not sleep, they refuse, and the OOM reaper
 *   goes on elsewhere.
 *
 * On its way to another GPU's VRAM (gsvm_move_across.c) a page is in the same danger
 * and guarded in the same way, by a block of whichever GPU moves it.
 *
 * The race between the two is decided as for any other user of the notifiers: the guard
 * reads the notifier's sequence, then marks the block under its lock, then looks at
 * the sequence again. An unmapping that came before is seen then, one that comes
 * after sees the mark under the same lock.
 *
 * Who waits in a notifier may hold the mmap lock for reading, locks of a reverse map,
 * and the lock of the 2 MiB page itself, if it takes the page by its frame: eviction
 * does (gsvm_evict_pages()), and so may anybody who unmaps through the reverse map. So
 * who guards waits for none of these. It has the mmap lock before. The page's lock is
 * let go of while it waits for unmappings that had begun before, and only tried when
 * the block is marked: if somebody has it, the guard is dropped, and only then is the
 * lock waited for. The reverse map is needed of the 2 MiB page alone, and with its lock.
 *
 * The guard's own calls of the notifiers (by the migration) pass, and so does every
 * migration of ours: it unmaps nothing.
 *
 * Locks: the mark by &gsvm_block.lock.
 */

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_guard.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_range.h"
#include "gsvm_split.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"

/* A block that is unmapped, or a page that is locked, again and again: it is split. */
#define GSVM_GUARD_TRIES	4

/* Whoever waits for the end of a guard. Seldom anybody: one queue will do. */
static DECLARE_WAIT_QUEUE_HEAD(gsvm_guard_wq);

/* Mark the block, if it is not being unmapped. */
static bool gsvm_guard_mark(struct gsvm_guard *guard)
{
	struct gsvm_block *block = guard->block;
	unsigned int try;

	for (try = 0; try < GSVM_GUARD_TRIES; try++) {
		guard->seq = mmu_interval_read_begin(&block->notifier);
		mutex_lock(&block->lock);
		/* Another's: both would move the same page. */
		if (block->guard) {
			mutex_unlock(&block->lock);
			return false;
		}
		block->guard = current;
		mutex_unlock(&block->lock);
		if (!mmu_interval_read_retry(&block->notifier, guard->seq))
			return true;
		mutex_lock(&block->lock);
		block->guard = NULL;
		mutex_unlock(&block->lock);
		wake_up_all(&gsvm_guard_wq);
	}
	return false;
}

/* Find the block around @addr and mark it; the page is not looked at. */
static bool gsvm_guard_begin(struct gsvm_guard *guard, struct gsvm_vram *vram,
			     struct mm_struct *mm, unsigned long addr)
{
	*guard = (struct gsvm_guard) {};
	guard->vm = gsvm_vm_lookup_mm(vram->gdev, mm);
	if (!guard->vm)
		return false;
	guard->block = gsvm_mirror_block_lookup(guard->vm->mirror, addr);
	if (guard->block && gsvm_guard_mark(guard))
		return true;
	if (guard->block)
		gsvm_block_put(guard->block);
	gsvm_vm_put(guard->vm);
	*guard = (struct gsvm_guard) {};
	return false;
}

/* Mapped once, and as a whole; and nothing that the kernel must not put back as such. */
static bool gsvm_guard_is_alone(struct folio *folio)
{
	return folio_test_large(folio) && folio_entire_mapcount(folio) == 1 &&
	       folio_mapcount(folio) == 1 &&
	       (!GSVM_SPLIT_NOT_EXCLUSIVE || PageAnonExclusive(folio_page(folio, 0)));
}

/*
 * Is there a 2 MiB page of VRAM that nobody else has? It cannot go while the block is
 * guarded, so its struct page can be looked at without a reference. The sequence is
 * that of the guard's beginning: to wait for another one would be to wait for those
 * who wait for us.
 */
static bool gsvm_guard_finds_page(const struct gsvm_guard *guard)
{
	unsigned long pfn = 0;
	struct hmm_range range = {
		.notifier = &guard->block->notifier,
		.notifier_seq = guard->seq,
		.start = guard->block->start,
		.end = guard->block->start + PAGE_SIZE,
		.hmm_pfns = &pfn,
		.dev_private_owner = (void *)gsvm_vram_owner(),
	};
	struct page *page;

	if (gsvm_range_fault(&range) || !(pfn & HMM_PFN_VALID) ||
	    hmm_pfn_to_map_order(pfn) < PMD_ORDER)
		return false;
	page = hmm_pfn_to_page(pfn);
	return gsvm_vram_owns(page) && gsvm_guard_is_alone(page_folio(page));
}

/**
 * gsvm_guard_take() - keep a 2 MiB page of VRAM from being unmapped
 * @guard: out, for gsvm_guard_drop(), also when it fails
 * @vram: VRAM whose GPU's address spaces are searched
 * @mm: process, its mmap lock held until the guard is dropped
 * @addr: address in the page
 *
 * Context: process, sleeps; no lock of the driver's, none of a page.
 * Return: whether there is such a page, in @mm alone, and it is guarded. If not, what
 * is there may leave VRAM in small pieces only.
 */
bool gsvm_guard_take(struct gsvm_guard *guard, struct gsvm_vram *vram, struct mm_struct *mm,
		     unsigned long addr)
{
	mmap_assert_locked(mm);

	if (!gsvm_guard_begin(guard, vram, mm, addr))
		return false;
	if (gsvm_guard_finds_page(guard))
		return true;
	gsvm_guard_drop(guard);
	return false;
}

/**
 * gsvm_guard_take_folio() - the same for a CPU's access
 * @guard: out, for gsvm_guard_drop(), also when it fails
 * @vram: VRAM that the page is in
 * @mm: process, its mmap lock held until the guard is dropped
 * @addr: address in the page
 * @folio: the page, locked and referenced, found in the process's page table; it is
 *	unlocked meanwhile, and locked on return
 *
 * Context: process, sleeps; no lock of the driver's.
 * Return: as for gsvm_guard_take().
 */
bool gsvm_guard_take_folio(struct gsvm_guard *guard, struct gsvm_vram *vram, struct mm_struct *mm,
			   unsigned long addr, struct folio *folio)
{
	unsigned int try;

	mmap_assert_locked(mm);

	for (try = 0; try < GSVM_GUARD_TRIES; try++) {
		/* Who unmaps in this block may want it before he is through. */
		folio_unlock(folio);
		if (!gsvm_guard_begin(guard, vram, mm, addr)) {
			folio_lock(folio);
			return false;
		}
		if (folio_trylock(folio)) {
			if (gsvm_guard_is_alone(folio))
				return true;
			gsvm_guard_drop(guard);
			return false;
		}
		/* Who has it now may wait for the end of the guard. */
		gsvm_guard_drop(guard);
		folio_lock(folio);
	}
	return false;
}

/**
 * gsvm_guard_drop() - let the process unmap again
 * @guard: guard, taken or not
 */
void gsvm_guard_drop(struct gsvm_guard *guard)
{
	if (!guard->block)
		return;
	mutex_lock(&guard->block->lock);
	guard->block->guard = NULL;
	mutex_unlock(&guard->block->lock);
	wake_up_all(&gsvm_guard_wq);
	gsvm_block_put(guard->block);
	gsvm_vm_put(guard->vm);
	*guard = (struct gsvm_guard) {};
}

static bool gsvm_guard_concerns(const struct gsvm_block *block,
				const struct mmu_notifier_range *range)
{
	if (!block->guard || block->guard == current)
		return false;
	switch (range->event) {
	case MMU_NOTIFY_UNMAP:
	case MMU_NOTIFY_CLEAR:
	case MMU_NOTIFY_RELEASE:
		return true;
	default:
		return false;
	}
}

/**
 * gsvm_guard_wait() - an unmapping waits for the end of a guard
 * @block: locked; unlocked meanwhile
 * @range: what the notifier was told
 *
 * Return: false if it may not wait and would have to.
 */
bool gsvm_guard_wait(struct gsvm_block *block, const struct mmu_notifier_range *range)
{
	lockdep_assert_held(&block->lock);

	while (gsvm_guard_concerns(block, range)) {
		if (!mmu_notifier_range_blockable(range))
			return false;
		mutex_unlock(&block->lock);
		wait_event(gsvm_guard_wq, !READ_ONCE(block->guard));
		mutex_lock(&block->lock);
	}
	return true;
}
