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
