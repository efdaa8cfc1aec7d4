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
 * There is one order at a time for each GPU. Who finds it taken is repeated all the
 * same: either it is for the same page, or the next attempt finds the place free.
 * The worker's attempt can fail, if other accesses hold the page just then. They come
 * back and order again.
 *
 * An order holds the process's memory (mm_users), which its maker has.
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
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "gsvm_device.h"
#include "gsvm_migrate.h"
#include "gsvm_move.h"
#include "gsvm_pt.h"
#include "gsvm_split.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

static void gsvm_split_do(struct gsvm_vram *vram, struct mm_struct *mm, unsigned long start)
{
	struct gsvm_move *move = gsvm_move_get(vram);
	struct vm_area_struct *vma;
	unsigned int moved;

	if (!move)
		return;
	mmap_read_lock(mm);
	vma = vma_lookup(mm, start);
	if (vma && vma_is_anonymous(vma) && vma->vm_end - start >= GSVM_BLOCK_SIZE)
		gsvm_move_out(move, vma, start, start + GSVM_BLOCK_SIZE, &moved);
	mmap_read_unlock(mm);
	gsvm_move_put(move);
}

static void gsvm_split_work(struct work_struct *work)
{
	struct gsvm_split *split = container_of(work, struct gsvm_split, work);
	struct gsvm_vram *vram = container_of(split, struct gsvm_vram, split);
	struct mm_struct *mm = split->mm;

	gsvm_split_do(vram, mm, split->start);
	spin_lock(&split->lock);
	split->mm = NULL;
	spin_unlock(&split->lock);
	/* Perhaps the last one: then it unmaps everything. */
	mmput(mm);
}

/**
 * gsvm_split_init() - nothing to do yet
 * @split: worker
 */
void gsvm_split_init(struct gsvm_split *split)
{
	INIT_WORK(&split->work, gsvm_split_work);
	spin_lock_init(&split->lock);
}

/**
 * gsvm_split_later() - have the small pages of a 2 MiB page brought back
 * @vram: VRAM it is in
 * @mm: process that has it, the caller holds its mm_users
 * @start: where
 *
 * Context: any that may not wait for the page; takes a spinlock.
 * Return: 0; the access is to be repeated.
 */
int gsvm_split_later(struct gsvm_vram *vram, struct mm_struct *mm, unsigned long start)
{
	struct gsvm_split *split = &vram->split;

	spin_lock(&split->lock);
	if (!split->mm) {
		mmget(mm);
		split->mm = mm;
		split->start = start;
		queue_work(gsvm_patient_wq, &split->work);
	}
	spin_unlock(&split->lock);
	return 0;
}
