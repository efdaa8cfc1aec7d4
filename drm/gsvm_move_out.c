// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Moves to system memory
 *
 * A move out is done in one go, because somebody waits for it: a CPU, a prefetch or
 * whoever needs the VRAM. Pages may be in the VRAM of several GPUs; each GPU's engines
 * copy what is in its own. What one of them cannot read stays where it is and
 * does not keep the others from coming.
 *
 * A 2 MiB page comes in one piece if it can be guarded (gsvm_guard.c), block by block.
 * If not, the kernel splits it while it collects it, for want of
 * MIGRATE_VMA_SELECT_COMPOUND, and its small pages come. A CPU's access cannot have
 * that done, because the kernel does not split a page on which a fault holds a
 * reference: it leaves it to a worker (gsvm_split.c), and is repeated.
 *
 * A 2 MiB page for which there is no system memory in one piece comes back in
 * small ones. To a CPU's access this does not apply, for the same reason
 * (folio_split_unmapped()). What the kernel does then is to split the page's mapping
 * and to put it back. So such an access is given one small page to have that done, and
 * repeated: it meets a small entry now, with which the kernel splits the page first.
 * There is no way, either, to bring back less than a 2 MiB page that is mapped as
 * such: the copy is made at the engines' speed, the split would not be undone
 * (nothing joins VRAM pages again), and the device would lose its large entry.
 *
 * Locks: as for all moves, and the guard. The worker of gsvm_split.c has the mmap lock for
 * writing until the pages are collected (&gsvm_move.exclusive).
 */

#include <linux/mm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_guard.h"
#include "gsvm_lost.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_move.h"
#include "gsvm_policy.h"
#include "gsvm_split.h"
#include "gsvm_trace.h"
#include "gsvm_transit.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"
#include "gsvm_xfer.h"

/*
 * A system page for each small page of [@i, @i + GSVM_BLOCK_PAGES), which is one
 * 2 MiB page. Without memory for all of them the rest stays, in small pages. For
 * a CPU's access one is enough: see DOC: Moves.
 */
static void gsvm_move_out_pieces(struct gsvm_move *move, unsigned int i, u64 offset)
{
	struct migrate_vma *args = &move->args;
	unsigned int n, nr = args->fault_page ? 1 : GSVM_BLOCK_PAGES;

	for (n = 0; n < nr; n++) {
		unsigned long addr = args->start + ((unsigned long)(i + n) << PAGE_SHIFT);
		struct folio *to = vma_alloc_folio(GFP_HIGHUSER_MOVABLE, 0, args->vma, addr);

		if (!to)
			break;
		folio_lock(to);
		args->dst[i + n] = migrate_pfn(folio_pfn(to));
		gsvm_xfer_add(move->xfer, to, offset + ((u64)n << PAGE_SHIFT), PAGE_SIZE);
	}
}

/* Find a place for page @i, which is in @vram. Without memory there is none. */
static void gsvm_move_out_page(struct gsvm_move *move, unsigned int i, struct gsvm_vram *vram)
{
	struct migrate_vma *args = &move->args;
	struct page *page = migrate_pfn_to_page(args->src[i]);
	struct folio *from = page_folio(page), *to;
	u64 offset = gsvm_vram_offset(vram, page_to_pfn(page));
	gfp_t gfp = GFP_HIGHUSER_MOVABLE;

	if (folio_test_large(from))
		gfp = GFP_TRANSHUGE | __GFP_NORETRY;
	to = vma_alloc_folio(gfp, folio_order(from), args->vma,
			     args->start + ((unsigned long)i << PAGE_SHIFT));
	if (!to) {
		if (folio_test_large(from))
			gsvm_move_out_pieces(move, i, offset);
		return;
	}
	folio_lock(to);
	args->dst[i] = migrate_pfn(folio_pfn(to));
	if (folio_test_large(to))
		args->dst[i] |= MIGRATE_PFN_COMPOUND;
	gsvm_xfer_add(move->xfer, to, offset, folio_size(to));
}

/* Whose VRAM is page @i in, if it was collected and shall come; else NULL. */
static struct gsvm_vram *gsvm_move_out_vram(const struct gsvm_move *move, unsigned int i)
{
	struct page *page = migrate_pfn_to_page(move->args.src[i]);
	struct gsvm_vram *vram;

	if (!page || !(move->args.src[i] & MIGRATE_PFN_MIGRATE))
		return NULL;
	vram = gsvm_vram_of_page(page);
	return vram != move->keep ? vram : NULL;
}

/* The next one, in the order of their addresses, that pages are in. */
static struct gsvm_vram *gsvm_move_out_next(const struct gsvm_move *move,
					    const struct gsvm_vram *after)
{
	struct gsvm_vram *vram, *next = NULL;
	unsigned int i;

	for (i = 0; i < move->args.npages; i++) {
		vram = gsvm_move_out_vram(move, i);
		if (vram > after && (!next || vram < next))
			next = vram;
	}
	return next;
}

/* The content of what is in @vram did not make it. Called before anything has moved. */
static void gsvm_move_out_leave(struct gsvm_move *move, const struct gsvm_vram *vram)
{
	struct migrate_vma *args = &move->args;
	unsigned int i, n, nr;

	for (i = 0; i < args->npages; i += nr) {
		nr = 1;
		if (gsvm_move_out_vram(move, i) != vram)
			continue;
		/* A 2 MiB page may have got small ones. */
		nr = folio_nr_pages(page_folio(migrate_pfn_to_page(args->src[i])));
		for (n = i; n < i + nr; n++)
			gsvm_move_drop(move, n);
	}
}

/*
 * Copy all pages that are in @vram, which they keep from going away: they are
 * locked. 0; -ENOMEM if there is no place for the one that the CPU needs; -EIO
 * if @vram cannot be read. On an error, none of @vram's pages moves.
 */
static int gsvm_move_out_copy(struct gsvm_move *move, struct gsvm_vram *vram)
{
	struct migrate_vma *args = &move->args;
	int ret = 0, err;
	unsigned int i;

	gsvm_xfer_start(move->xfer, vram, false);
	for (i = 0; i < args->npages; i++) {
		if (gsvm_move_out_vram(move, i) != vram)
			continue;
		gsvm_move_out_page(move, i, vram);
		if (migrate_pfn_to_page(args->src[i]) == args->fault_page && !args->dst[i])
			ret = -ENOMEM;
	}
	if (!ret)
		gsvm_xfer_go(move->xfer);
	err = gsvm_xfer_wait(move->xfer);
	if (!ret && err) {
		gsvm_lost_report(vram);
		ret = err;
	}
	if (ret)
		gsvm_move_out_leave(move, vram);
	return ret;
}

/* How many pages that were in @vram have got a place. */
static unsigned int gsvm_move_out_count(const struct gsvm_move *move, const struct gsvm_vram *vram)
{
	unsigned int i, moved = 0;

	for (i = 0; i < move->args.npages; i++)
		if (move->args.dst[i] && gsvm_move_out_vram(move, i) == vram)
			moved += folio_nr_pages(page_folio(migrate_pfn_to_page(move->args.dst[i])));
	return moved;
}

/* Tell the address space that @vram's GPU has for the process, and its block. */
static void gsvm_move_out_account(struct gsvm_move *move, struct gsvm_vram *vram,
				  unsigned int moved)
{
	struct gsvm_vm *vm = gsvm_vm_lookup_mm(vram->gdev, move->args.vma->vm_mm);
	struct gsvm_block *block;

	if (!vm)
		return;
	atomic64_add(moved, &vm->stats.pages_to_system);
	atomic64_add((u64)moved << PAGE_SHIFT, &vm->stats.bytes_migrated);
	block = move->access ? gsvm_mirror_block_lookup(vm->mirror, move->args.start) : NULL;
	if (block) {
		gsvm_policy_came_back(vm, block);
		gsvm_block_put(block);
	}
	gsvm_vm_put(vm);
}

/**
 * gsvm_move_downgrade() - let others have the mmap lock again, for reading
 * @move: move; nothing happens if it is not &gsvm_move.exclusive
 * @mm: process
 */
void gsvm_move_downgrade(struct gsvm_move *move, struct mm_struct *mm)
{
	if (move->exclusive)
		mmap_write_downgrade(mm);
	move->exclusive = false;
}

/*
 * One migrate_vma call. 0; -EINVAL for a mapping of an impossible kind, nothing was
 * moved. With @fault_page, -ENOMEM or -EIO if it was not moved, for want of memory
 * or because its VRAM cannot be read; without, -EIO if that holds for any page.
 */
static int gsvm_move_out_once(struct gsvm_move *move, struct vm_area_struct *vma,
			      unsigned long start, unsigned long end, struct page *fault_page,
			      unsigned int *moved)
{
	struct gsvm_vram *needed = fault_page ? gsvm_vram_of_page(fault_page) : NULL;
	struct migrate_vma *args = &move->args;
	struct gsvm_vram *vram = NULL;
	unsigned int nr;
	int ret, err;

	args->vma = vma;
	args->start = start;
	args->end = end;
	args->fault_page = fault_page;
	args->pgmap_owner = (void *)gsvm_vram_owner();
	args->flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE;
	if (move->whole)
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;
	gsvm_transit_begin(vma->vm_mm, start, end);
	ret = migrate_vma_setup(args);
	gsvm_move_downgrade(move, vma->vm_mm);
	if (ret)
		goto out;

	while ((vram = gsvm_move_out_next(move, vram))) {
		err = gsvm_move_out_copy(move, vram);
		if (err && (!needed || needed == vram))
			ret = err;
	}
	migrate_vma_pages(args);
	/* While the pages are locked: they keep their VRAM from going. */
	while ((vram = gsvm_move_out_next(move, vram))) {
		nr = gsvm_move_out_count(move, vram);
		gsvm_move_out_account(move, vram, nr);
		*moved += nr;
	}
	migrate_vma_finalize(args);
out:
	gsvm_transit_end(vma->vm_mm, start, end);
	return ret;
}

/* What is between two blocks that leave in one piece each; nothing, perhaps. */
static int gsvm_move_out_small(struct gsvm_move *move, struct vm_area_struct *vma,
			       unsigned long start, unsigned long end, unsigned int *moved)
{
	move->whole = false;
	return start < end ? gsvm_move_out_once(move, vma, start, end, NULL, moved) : 0;
}

/**
 * gsvm_move_out() - bring pages of a mapping back to system memory
 * @move: move with room for them; &gsvm_move.keep and &gsvm_move.access are set
 * @vma: mapping, mmap_lock held
 * @start: first byte
 * @end: byte behind the last
 * @moved: out, pages that came back
 *
 * Return: 0; -EINVAL for a mapping of an impossible kind; -EIO if pages were not moved
 * because their VRAM cannot be read.
 */
int gsvm_move_out(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
		  unsigned long end, unsigned int *moved)
{
	unsigned long at, next, small = start;
	struct gsvm_guard guard;
	int ret = 0, err;

	*moved = 0;
	for (at = start; at < end; at = next) {
		next = min(end, round_down(at, GSVM_BLOCK_SIZE) + GSVM_BLOCK_SIZE);
		if (next - at < GSVM_BLOCK_SIZE ||
		    !gsvm_guard_take(&guard, move->vram, vma->vm_mm, at))
			continue;
		move->whole = true;
		err = gsvm_move_out_once(move, vma, at, next, NULL, moved);
		gsvm_guard_drop(&guard);
		if (!err)
			err = gsvm_move_out_small(move, vma, small, at, moved);
		ret = err ? err : ret;
		small = next;
	}
	err = gsvm_move_out_small(move, vma, small, end, moved);
	return err ? err : ret;
}

/**
 * gsvm_move_out_access() - bring back what a CPU's access needs, and more
 * @move: move with room for the range
 * @vmf: the access; its page is locked and referenced, mmap_lock held for reading
 * @start: first byte
 * @end: byte behind the last; with a 2 MiB page, the range is that
 * @moved: out, pages that came back
 *
 * Return: 0, also when the access has to be repeated; -EINVAL as for gsvm_move_out();
 * -ENOMEM or -EIO if the page was not moved, for want of memory or because its VRAM
 * cannot be read.
 */
int gsvm_move_out_access(struct gsvm_move *move, struct vm_fault *vmf, unsigned long start,
			 unsigned long end, unsigned int *moved)
{
	struct gsvm_guard guard = {};
	int ret;

	*moved = 0;
	move->access = true;
	move->whole = !vmf->pte;
	if (move->whole && gsvm_split_is_ordered(move->vram, vmf->page))
		return 0;
	if (move->whole && !gsvm_guard_take_folio(&guard, move->vram, vmf->vma->vm_mm, start,
						  page_folio(vmf->page)))
		return gsvm_split_later(move->vram, vmf->vma->vm_mm, start, vmf->page);
	ret = gsvm_move_out_once(move, vmf->vma, start, end, vmf->page, moved);
	gsvm_guard_drop(&guard);
	return ret;
}
