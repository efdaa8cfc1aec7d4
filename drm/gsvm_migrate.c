// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Migration
 *
 * The two occasions on which pages change their place without anybody asking for
 * it: a fault of the device, after which they may be in VRAM, and an access of
 * the CPU to a page in VRAM, after which they are not. gsvm_policy.c says when,
 * gsvm_stream.c how much comes back, gsvm_move.c moves them.
 *
 * *The device's fault* (gsvm_migrate_fault()) looks at the block first
 * (gsvm_look.c). If nothing is worth moving, nothing is touched, and no VRAM taken
 * from anybody. Otherwise all that can go goes, holes around a write included, and
 * what another GPU has in its VRAM first (gsvm_move_across.c). Whatever comes of it,
 * gsvm_populate() then maps what it finds. What the device wants and is still in
 * another GPU's VRAM, because the block shall not go to VRAM now or those pages
 * cannot, comes to system memory: the device has no other way to it. Faults in one
 * block move one after the other, by
 * &gsvm_block.move_lock: else each would take the other's pages out of his hands,
 * and map them where they are.
 *
 * *The CPU's fault* (gsvm_migrate_to_ram()) comes with the page locked and the
 * mmap lock held. What it answers:
 *
 * ===========================  ==================================================
 * the page came back           0
 * it stays for now, because    0; the access is made again
 * it is being split
 * no memory for it             VM_FAULT_OOM; the access is made again
 * VRAM cannot be read any      VM_FAULT_HWPOISON: SIGBUS with BUS_MCEERR_AR,
 * more                         the page is lost (gsvm_lost.c)
 * mapping of a kind that       VM_FAULT_SIGBUS; it has no pages in VRAM, so
 * nothing migrates in          something is broken
 * ===========================  ==================================================
 *
 * Nothing else leads to SIGBUS, want of memory least of all. A page in a dead
 * GPU's VRAM near by does not, either: only what holds for the page itself counts.
 *
 * Locks: &gsvm_block.move_lock, then mmap_lock (read). A CPU's access has the
 * mmap lock already and takes no lock of the driver's that is held over a copy.
 */

#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/sched.h>

#include <kunit/visibility.h>

#include <drm/gsvm_drm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_look.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_move.h"
#include "gsvm_policy.h"
#include "gsvm_populate.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"

/* Untouched memory that a write makes around it. */
#define GSVM_POLICY_FILL	SZ_64K

static const char gsvm_migrate_mark[] = "gsvm: to VRAM";

/**
 * gsvm_migrate_in_mark() - how a notifier knows a move to VRAM
 *
 * Return: what &mmu_notifier_range.owner is then.
 */
const void *gsvm_migrate_in_mark(void)
{
	return gsvm_migrate_mark;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_migrate_in_mark);

/**
 * gsvm_migrate_movable() - can pages of a mapping go to VRAM at all
 * @vma: mapping, its mmap_lock held
 *
 * Return: whether it makes sense to try.
 */
bool gsvm_migrate_movable(struct vm_area_struct *vma)
{
	return vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma) &&
	       !(vma->vm_flags & (VM_SPECIAL | VM_LOCKED | VM_SHARED));
}

/* ---- for the device's faults ---------------------------------------------------- */

/**
 * struct gsvm_wish - what the device wants of a block
 * @read: pages that it wants to read
 * @write: pages that it wants to write
 */
struct gsvm_wish {
	DECLARE_BITMAP(read, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(write, GSVM_BLOCK_PAGES);
};

/**
 * struct gsvm_plan - what a fault moves of one mapping in a block
 * @start: first byte that goes to VRAM, if anything does
 * @end: byte behind the last; @start if nothing does
 * @across_start: first byte of what is in the VRAM of other GPUs, likewise
 * @across_end: byte behind the last, likewise
 * @movable: pages in the block that are in system memory and could go
 */
struct gsvm_plan {
	unsigned long start;
	unsigned long end;
	unsigned long across_start;
	unsigned long across_end;
	unsigned int movable;
};

/* Is there a page that the device wants to write and that does not exist yet? */
static bool gsvm_migrate_empty(const struct gsvm_look *look, const struct gsvm_wish *wish)
{
	unsigned int i;

	for_each_set_bit(i, wish->write, GSVM_BLOCK_PAGES)
		if (gsvm_look_empty(look, i))
			return true;
	return false;
}

/* What untouched memory a fault makes: around what the device wants to write. */
static void gsvm_migrate_fill(struct gsvm_move *move, struct gsvm_block *block,
			      struct vm_area_struct *vma, const struct gsvm_wish *wish)
{
	unsigned int first = find_first_bit(wish->write, GSVM_BLOCK_PAGES);
	unsigned int last = find_last_bit(wish->write, GSVM_BLOCK_PAGES);

	move->fill_start = 0;
	move->fill_end = 0;
	move->fill_huge = false;
	if (first >= GSVM_BLOCK_PAGES || !(vma->vm_flags & VM_WRITE))
		return;
	if (vma->vm_flags & VM_HUGEPAGE) {
		move->fill_start = block->start;
		move->fill_end = block->start + GSVM_BLOCK_SIZE;
		move->fill_huge = true;
		return;
	}
	move->fill_start = round_down(block->start + ((unsigned long)first << PAGE_SHIFT),
				      GSVM_POLICY_FILL);
	move->fill_end = round_up(block->start + ((last + 1ul) << PAGE_SHIFT), GSVM_POLICY_FILL);
	/* A block that is made as a whole is offered in one piece, unless the process objects. */
	move->fill_huge = move->fill_end - move->fill_start == GSVM_BLOCK_SIZE;
}

static unsigned int gsvm_migrate_first(const struct gsvm_wish *wish)
{
	return min(find_first_bit(wish->read, GSVM_BLOCK_PAGES),
		   find_first_bit(wish->write, GSVM_BLOCK_PAGES));
}

/* The mapping of the first page that is asked for, if its pages can move; mmap_lock held. */
static struct vm_area_struct *gsvm_migrate_vma(struct gsvm_vm *vm, struct gsvm_block *block,
					       const struct gsvm_wish *wish)
{
	unsigned int first = gsvm_migrate_first(wish);
	struct vm_area_struct *vma;

	if (first >= GSVM_BLOCK_PAGES)
		return NULL;
	vma = vma_lookup(vm->mm, block->start + ((unsigned long)first << PAGE_SHIFT));
	return vma && gsvm_migrate_movable(vma) ? vma : NULL;
}

/* Where in a block is what other GPUs have; a 2 MiB page as a whole. */
static void gsvm_migrate_foreign(const struct gsvm_block *block,
				 const struct gsvm_look_found *found, unsigned long *start,
				 unsigned long *end)
{
	*start = block->start;
	*end = block->start + (found->foreign_huge ? GSVM_BLOCK_SIZE : 0);
	if (found->foreign && !found->foreign_huge) {
		*start = block->start + ((unsigned long)found->foreign_first << PAGE_SHIFT);
		*end = block->start + ((found->foreign_last + 1ul) << PAGE_SHIFT);
	}
}

/* See what there is to move, before VRAM is reserved for it. */
static bool gsvm_migrate_plan(struct gsvm_move *move, struct gsvm_vm *vm,
			      struct gsvm_block *block, const struct gsvm_wish *wish,
			      struct gsvm_plan *plan)
{
	struct gsvm_look_found found;
	struct vm_area_struct *vma;
	unsigned long start, end;

	*plan = (struct gsvm_plan) {};
	mmap_read_lock(vm->mm);
	vma = gsvm_migrate_vma(vm, block, wish);
	if (!vma)
		goto out;
	start = max(vma->vm_start, block->start);
	end = min(vma->vm_end, block->start + GSVM_BLOCK_SIZE);
	gsvm_migrate_fill(move, block, vma, wish);
	if (gsvm_look_at(&move->look, block, move->vram, start, end, &found))
		goto out;
	if (found.sampled)
		gsvm_look_end_sampling(&move->look, block, vma);
	/* In an empty block, what is made can be made by itself. */
	if (!found.movable && !move->fill_huge) {
		start = max(start, move->fill_start);
		end = min(end, move->fill_end);
	}
	plan->movable = found.movable;
	if (start < end && (found.movable || gsvm_migrate_empty(&move->look, wish))) {
		plan->start = start;
		plan->end = end;
	}
	gsvm_migrate_foreign(block, &found, &plan->across_start, &plan->across_end);
out:
	mmap_read_unlock(vm->mm);
	return plan->start < plan->end || plan->across_start < plan->across_end;
}

static void gsvm_migrate_do(struct gsvm_move *move, struct gsvm_block *block,
			    const struct gsvm_wish *wish, const struct gsvm_plan *plan)
{
	struct mm_struct *mm = move->vm->mm;
	struct vm_area_struct *vma;
	unsigned long start, end;
	unsigned int moved = 0;

	mmap_read_lock(mm);
	vma = gsvm_migrate_vma(move->vm, block, wish);
	if (vma) {
		bitmap_copy(move->stay[0], move->look.shared, GSVM_BLOCK_PAGES);
		start = max(plan->across_start, vma->vm_start);
		end = min(plan->across_end, vma->vm_end);
		if (start < end)
			moved = gsvm_move_across(move, vma, start, end);
		start = max(plan->start, vma->vm_start);
		end = min(plan->end, vma->vm_end);
		if (start < end)
			moved += gsvm_move_in(move, vma, start, end);
	}
	mmap_read_unlock(mm);
	/* There was something, and it would not go. */
	if (!moved)
		gsvm_policy_moved_in(block, 0);
}

/* What is asked for of the first mapping only; the rest stays in @wish. False: of none. */
static bool gsvm_migrate_next(struct gsvm_vm *vm, const struct gsvm_block *block,
			      struct gsvm_wish *wish, struct gsvm_wish *part)
{
	struct vm_area_struct *vma;
	unsigned int first, end;

	first = gsvm_migrate_first(wish);
	if (first >= GSVM_BLOCK_PAGES)
		return false;
	end = first + 1;
	mmap_read_lock(vm->mm);
	vma = vma_lookup(vm->mm, block->start + ((unsigned long)first << PAGE_SHIFT));
	if (vma)
		end = min_t(unsigned long, GSVM_BLOCK_PAGES,
			    (vma->vm_end - block->start) >> PAGE_SHIFT);
	mmap_read_unlock(vm->mm);
	*part = *wish;
	bitmap_clear(part->read, end, GSVM_BLOCK_PAGES - end);
	bitmap_clear(part->write, end, GSVM_BLOCK_PAGES - end);
	bitmap_clear(wish->read, 0, end);
	bitmap_clear(wish->write, 0, end);
	return true;
}

/* One mapping after the other: a move is of one. */
static void gsvm_migrate_in(struct gsvm_move *move, struct gsvm_vm *vm, struct gsvm_block *block,
			    const struct gsvm_wish *wish)
{
	struct gsvm_wish rest = *wish, part;
	struct gsvm_plan plan;

	while (gsvm_migrate_next(vm, block, &rest, &part)) {
		if (!gsvm_migrate_plan(move, vm, block, &part, &plan))
			continue;
		if (gsvm_policy_watches(vm, block, plan.movable))
			return;
		if (gsvm_move_reserve(move, vm, block->start, block->start + GSVM_BLOCK_SIZE))
			return;
		gsvm_migrate_do(move, block, &part, &plan);
		gsvm_move_release(move);
	}
}

/* From the first to behind the last page that the device wants of a mapping in the block. */
static void gsvm_migrate_span(const struct gsvm_wish *wish, const struct gsvm_block *block,
			      const struct vm_area_struct *vma, unsigned long *start,
			      unsigned long *end)
{
	DECLARE_BITMAP(wanted, GSVM_BLOCK_PAGES);

	bitmap_or(wanted, wish->read, wish->write, GSVM_BLOCK_PAGES);
	*start = block->start + (find_first_bit(wanted, GSVM_BLOCK_PAGES) << PAGE_SHIFT);
	*end = block->start + ((find_last_bit(wanted, GSVM_BLOCK_PAGES) + 1) << PAGE_SHIFT);
	*end = min(*end, vma->vm_end);
}

/* Bring what is in the VRAM of other GPUs to where both can reach it. */
static void gsvm_migrate_fetch(struct gsvm_move *move, struct gsvm_vm *vm,
			       struct gsvm_block *block, const struct gsvm_wish *wish)
{
	struct gsvm_look_found found;
	struct vm_area_struct *vma;
	unsigned long start, end;
	unsigned int moved;

	move->keep = move->vram;
	mmap_read_lock(vm->mm);
	vma = gsvm_migrate_vma(vm, block, wish);
	if (!vma)
		goto out;
	gsvm_migrate_span(wish, block, vma, &start, &end);
	if (gsvm_look_at(&move->look, block, move->vram, start, end, &found) || !found.foreign)
		goto out;
	gsvm_migrate_foreign(block, &found, &start, &end);
	gsvm_move_out(move, vma, start, end, &moved);
out:
	mmap_read_unlock(vm->mm);
}

/**
 * gsvm_migrate_fault() - move what a fault of the device asks for, if it shall be
 * @vm: address space; the caller holds its process's mm_users
 * @block: block, with a reference
 * @req: what is wanted
 *
 * Whatever comes of it, gsvm_populate() maps what is then where.
 *
 * Context: process, sleeps; no lock held.
 */
void gsvm_migrate_fault(struct gsvm_vm *vm, struct gsvm_block *block, struct gsvm_request *req)
{
	bool fetch = vm->gdev->vram && gsvm_vram_gpus() > 1;
	bool in = gsvm_policy_wants_vram(vm, block);
	struct gsvm_move *move;
	struct gsvm_wish wish;

	if (!fetch && !in)
		return;
	mutex_lock(&block->move_lock);
	/* Those who had the lock before may have done it all. */
	if (gsvm_populate_stale(block, req))
		goto out;
	bitmap_copy(wish.read, req->read, GSVM_BLOCK_PAGES);
	bitmap_copy(wish.write, req->write, GSVM_BLOCK_PAGES);
	move = gsvm_move_get(vm->gdev->vram);
	if (!move)
		goto out;
	move->access = true;
	if (in && gsvm_policy_memcg_enter(vm, GSVM_BLOCK_PAGES)) {
		gsvm_migrate_in(move, vm, block, &wish);
		gsvm_policy_memcg_exit(vm, GSVM_BLOCK_PAGES);
	}
	if (fetch)
		gsvm_migrate_fetch(move, vm, block, &wish);
	gsvm_move_put(move);
out:
	mutex_unlock(&block->move_lock);
}

/* ---- for the CPU's faults --------------------------------------------------------- */

/* What a CPU's access brings back. */
static void gsvm_migrate_window(struct vm_fault *vmf, struct gsvm_vram *vram, unsigned long *start,
				unsigned long *end)
{
	unsigned long addr = vmf->address & PAGE_MASK;
	unsigned int pages;

	if (!vmf->pte) {
		*start = round_down(addr, GSVM_BLOCK_SIZE);
		*end = *start + GSVM_BLOCK_SIZE;
		return;
	}
	pages = 1;
	if (!(current->flags & PF_KTHREAD))
		pages = gsvm_stream_window(&vram->stream, current->pid, addr);
	*start = addr;
	*end = addr + ((unsigned long)pages << PAGE_SHIFT);
	*end = min(*end, round_down(addr, GSVM_BLOCK_SIZE) + GSVM_BLOCK_SIZE);
	*end = min(*end, vmf->vma->vm_end);
}

/**
 * gsvm_migrate_to_ram() - a CPU wants a page that is in VRAM
 * @vmf: fault; the page is locked and referenced, mmap_lock held for reading
 *
 * Return: 0, also when the access has to be tried again; VM_FAULT_OOM;
 * VM_FAULT_HWPOISON when the GPU is dead and the page lost; VM_FAULT_SIGBUS in a
 * mapping that cannot be.
 */
vm_fault_t gsvm_migrate_to_ram(struct vm_fault *vmf)
{
	struct gsvm_vram *vram = gsvm_vram_of_page(vmf->page);
	unsigned long start, end;
	struct gsvm_move *move;
	unsigned int moved;
	int ret;

	gsvm_migrate_window(vmf, vram, &start, &end);
	move = gsvm_move_get(vram);
	if (!move)
		return VM_FAULT_OOM;
	ret = gsvm_move_out_access(move, vmf, start, end, &moved);
	if (moved && !(current->flags & PF_KTHREAD))
		gsvm_stream_fetched(&vram->stream, current->pid, end,
				    (end - start) >> PAGE_SHIFT);
	trace_gsvm_migrate_out(vram->gdev, start, end, moved, ret);
	gsvm_move_put(move);
	switch (ret) {
	case 0:
		return 0;
	case -ENOMEM:
		return VM_FAULT_OOM;
	case -EIO:
		return VM_FAULT_HWPOISON;
	default:
		return VM_FAULT_SIGBUS;
	}
}
