// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Moves between GPUs
 *
 * Moves pages from the VRAM of other GPUs to this one's: one migrate_vma call, with
 * pages of one device-private memory as sources and of another one as destinations.
 * To the process nothing comes back to system memory in between, even where the
 * content has to go that way: by the peer's BAR if gsvm_peer.c says that it can be
 * read, else by way of system memory that belongs to nobody, one engine writing it
 * and the other one reading it.
 *
 * Pages that others map, too, stay where they are, as they do in system memory, and
 * so does everything for which there is no VRAM, no memory in between, or whose
 * content did not arrive. The caller brings to system memory what it must have all
 * the same (gsvm_move_out()), which knows what to do with VRAM that does not read.
 * No page is lost by the death of either GPU in the middle: until migrate_vma_pages()
 * the source is what the process has, and after that the copy has been judged.
 *
 * A 2 MiB page goes as a whole if it can be guarded (gsvm_guard.c): while it is on its
 * way, its entries stand for a page in VRAM. The guard is taken in the address space
 * of the GPU that the page goes to, whose notifiers are called by every unmapping just
 * as those of the GPU that has it. If it cannot be guarded, the kernel splits it.
 *
 * What keeps either GPU from going meanwhile, unbound or unplugged: the one that has
 * the pages, that they are locked, so that its evacuation finds them again in the next
 * round, here or there; the one that they go to, the reservation, whose end its
 * evacuation waits for. Eviction of the pages, for want of VRAM, takes their locks as
 * well, or passes them over.
 *
 * Two GPUs that take the same pages from each other in turn make progress by turns:
 * who has moved them maps them, and if they have gone before that, its service brings
 * them in once more, like a CPU's access, to system memory (gsvm_populate.c). Each
 * time counts as a return to the block of the GPU that lost them, and gsvm_policy.c
 * leaves a block in system memory that returns too often.
 *
 * Locks: as for all moves, and the guard.
 */

#include <linux/mm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_guard.h"
#include "gsvm_mirror.h"
#include "gsvm_move.h"
#include "gsvm_peer.h"
#include "gsvm_policy.h"
#include "gsvm_trace.h"
#include "gsvm_transit.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"
#include "gsvm_xfer.h"

/* Whose VRAM is page @i in, if it was collected and shall cross; else NULL. */
static struct gsvm_vram *gsvm_across_from(const struct gsvm_move *move, unsigned int i)
{
	struct page *page = migrate_pfn_to_page(move->args.src[i]);
	struct gsvm_vram *from;

	if (!page || !(move->args.src[i] & MIGRATE_PFN_MIGRATE) ||
	    test_bit(gsvm_move_page_of(move, i), move->stay[gsvm_move_block_of(move, i)]))
		return NULL;
	from = gsvm_vram_of_page(page);
	return from != move->vram ? from : NULL;
}

/* The next one, in the order of their addresses, that pages shall come from. */
static struct gsvm_vram *gsvm_across_next(const struct gsvm_move *move,
					  const struct gsvm_vram *after)
{
	struct gsvm_vram *from, *next = NULL;
	unsigned int i;

	for (i = 0; i < move->args.npages; i++) {
		from = gsvm_across_from(move, i);
		if (from > after && (!next || from < next))
			next = from;
	}
	return next;
}

static u64 gsvm_across_offset(struct gsvm_vram *vram, unsigned long mpfn)
{
	return gsvm_vram_offset(vram, page_to_pfn(migrate_pfn_to_page(mpfn)));
}

/* Pages of one block, [@first, @end): how many 4 KiB pages want to come. */
static unsigned int gsvm_across_want(const struct gsvm_move *move, unsigned int first,
				     unsigned int end)
{
	unsigned int i, want = 0;

	for (i = first; i < end; i++)
		if (gsvm_across_from(move, i))
			want += folio_nr_pages(page_folio(migrate_pfn_to_page(move->args.src[i])));
	return want;
}

/* VRAM for all that shall come, as far as there is any. */
static void gsvm_across_take(struct gsvm_move *move)
{
	struct migrate_vma *args = &move->args;
	unsigned int i, next, end = 0;
	bool own = false;

	for (i = 0; i < args->npages; i = next) {
		struct folio *from, *to;

		next = i + 1;
		if (i >= end) {
			end = min_t(unsigned long, args->npages,
				    i + GSVM_BLOCK_PAGES - gsvm_move_page_of(move, i));
			own = gsvm_move_own(move, gsvm_move_block_of(move, i),
					    gsvm_across_want(move, i, end));
		}
		if (!gsvm_across_from(move, i))
			continue;
		from = page_folio(migrate_pfn_to_page(args->src[i]));
		next = i + folio_nr_pages(from);
		to = gsvm_move_take(move, i, folio_test_large(from), own);
		if (!to)
			continue;
		args->dst[i] = migrate_pfn(folio_pfn(to));
		if (folio_test_large(to))
			args->dst[i] |= MIGRATE_PFN_COMPOUND;
	}
}

/* The content of what is in @from did not make it. Called before anything has moved. */
static void gsvm_across_leave(struct gsvm_move *move, const struct gsvm_vram *from)
{
	unsigned int i;

	for (i = 0; i < move->args.npages; i++)
		if (gsvm_across_from(move, i) == from)
			gsvm_move_drop(move, i);
}

static int gsvm_across_copy_direct(struct gsvm_move *move, struct gsvm_vram *from)
{
	struct migrate_vma *args = &move->args;
	struct folio *to;
	unsigned int i;

	gsvm_xfer_start_peer(move->xfer, move->vram, from);
	for (i = 0; i < args->npages; i++) {
		if (!args->dst[i] || gsvm_across_from(move, i) != from)
			continue;
		to = page_folio(migrate_pfn_to_page(args->dst[i]));
		gsvm_xfer_add_peer(move->xfer, gsvm_across_offset(from, args->src[i]),
				   gsvm_across_offset(move->vram, args->dst[i]), folio_size(to));
	}
	gsvm_xfer_go(move->xfer);
	return gsvm_xfer_wait(move->xfer);
}

/* A page in between for each; what there is no memory for stays. */
static void gsvm_across_bounce(struct gsvm_move *move, struct gsvm_vram *from)
{
	struct migrate_vma *args = &move->args;
	struct folio *bounce, *to;
	unsigned int i;

	gsvm_xfer_start(move->bounce, from, false);
	gsvm_xfer_start(move->xfer, move->vram, true);
	for (i = 0; i < args->npages; i++) {
		if (!args->dst[i] || gsvm_across_from(move, i) != from)
			continue;
		to = page_folio(migrate_pfn_to_page(args->dst[i]));
		bounce = folio_alloc(folio_test_large(to) ? GFP_TRANSHUGE | __GFP_NORETRY :
				     GFP_HIGHUSER_MOVABLE, folio_order(to));
		if (!bounce) {
			gsvm_move_drop(move, i);
			continue;
		}
		gsvm_xfer_add(move->bounce, bounce, gsvm_across_offset(from, args->src[i]),
			      folio_size(to));
		gsvm_xfer_add(move->xfer, bounce, gsvm_across_offset(move->vram, args->dst[i]),
			      folio_size(to));
	}
}

static int gsvm_across_copy_bounce(struct gsvm_move *move, struct gsvm_vram *from)
{
	unsigned int i;
	int ret;

	gsvm_across_bounce(move, from);
	gsvm_xfer_go(move->bounce);
	ret = gsvm_xfer_wait(move->bounce);
	if (!ret) {
		gsvm_xfer_go(move->xfer);
		ret = gsvm_xfer_wait(move->xfer);
	}
	for (i = 0; i < move->bounce->nr_pieces; i++)
		folio_put(move->bounce->piece[i].sys);
	return ret;
}

/* Copy all that is in @from and has got a place. What did not arrive has none then. */
static void gsvm_across_copy(struct gsvm_move *move, struct gsvm_vram *from)
{
	struct gsvm_peers *peers = &move->vram->peers;
	bool direct = gsvm_peer_usable(move->vram, from);
	int ret;

	if (direct)
		ret = gsvm_across_copy_direct(move, from);
	else
		ret = gsvm_across_copy_bounce(move, from);
	if (ret)
		gsvm_across_leave(move, from);
	else
		atomic64_add(move->xfer->bytes >> PAGE_SHIFT,
			     direct ? &peers->direct : &peers->bounced);
}

/* Tell the block of the GPU that lost pages, for whoever wants to access them now. */
static void gsvm_across_returned(struct gsvm_move *move, struct gsvm_vram *from)
{
	struct gsvm_vm *vm = gsvm_vm_lookup_mm(from->gdev, move->args.vma->vm_mm);
	struct gsvm_block *block;

	if (!vm)
		return;
	block = gsvm_mirror_block_lookup(vm->mirror, move->args.start);
	if (block) {
		gsvm_policy_came_back(vm, block);
		gsvm_block_put(block);
	}
	gsvm_vm_put(vm);
}

/* Count what has moved from @from; the pages are still locked. */
static unsigned int gsvm_across_count(struct gsvm_move *move, struct gsvm_vram *from,
				      unsigned int *per_block)
{
	struct migrate_vma *args = &move->args;
	unsigned int i, nr, moved = 0;

	for (i = 0; i < args->npages; i++) {
		if (!args->dst[i] || gsvm_across_from(move, i) != from)
			continue;
		nr = folio_nr_pages(page_folio(migrate_pfn_to_page(args->dst[i])));
		per_block[gsvm_move_block_of(move, i)] += nr;
		moved += nr;
	}
	if (moved && move->access)
		gsvm_across_returned(move, from);
	return moved;
}

static unsigned int gsvm_across_account(struct gsvm_move *move)
{
	unsigned int per_block[GSVM_MOVE_BLOCKS] = {}, moved = 0, b;
	struct gsvm_vram *from = NULL;

	while ((from = gsvm_across_next(move, from)))
		moved += gsvm_across_count(move, from, per_block);
	for (b = 0; b < move->nr_blocks; b++)
		if (per_block[b])
			gsvm_policy_moved_in(move->block[b], per_block[b]);
	atomic64_add(moved, &move->vm->stats.pages_to_vram);
	atomic64_add((u64)moved << PAGE_SHIFT, &move->vm->stats.bytes_migrated);
	return moved;
}

/* One migrate_vma call. Returns the pages that are in this GPU's VRAM now. */
static unsigned int gsvm_across_once(struct gsvm_move *move, struct vm_area_struct *vma,
				     unsigned long start, unsigned long end, bool whole)
{
	struct migrate_vma *args = &move->args;
	struct gsvm_vram *from = NULL;
	unsigned int moved = 0;

	if (start >= end)
		return 0;
	args->vma = vma;
	args->start = start;
	args->end = end;
	args->fault_page = NULL;
	args->pgmap_owner = (void *)gsvm_vram_owner();
	args->flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE;
	if (whole)
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;
	gsvm_transit_begin(vma->vm_mm, start, end);
	if (migrate_vma_setup(args))
		goto out;
	gsvm_across_take(move);
	while ((from = gsvm_across_next(move, from)))
		gsvm_across_copy(move, from);
	migrate_vma_pages(args);
	moved = gsvm_across_account(move);
	migrate_vma_finalize(args);
	trace_gsvm_migrate_across(move->vm->gdev, move->vm->asid, start, end, moved);
out:
	gsvm_transit_end(vma->vm_mm, start, end);
	return moved;
}

/**
 * gsvm_move_across() - fetch pages from the VRAM of other GPUs
 * @move: move with its reservations; &gsvm_move.stay and &gsvm_move.access are set
 * @vma: mapping that is gsvm_migrate_movable(), mmap_lock held
 * @start: first byte, in what is reserved and in the mapping
 * @end: byte behind the last
 *
 * Context: process, sleeps, allocates.
 * Return: pages that are in this GPU's VRAM now and were not before.
 */
unsigned int gsvm_move_across(struct gsvm_move *move, struct vm_area_struct *vma,
			      unsigned long start, unsigned long end)
{
	unsigned long at, next, small = start;
	struct gsvm_guard guard;
	unsigned int moved = 0;

	if (!move->bounce)
		move->bounce = gsvm_xfer_alloc(move->max_pages, GFP_KERNEL);
	if (!move->bounce)
		return 0;
	for (at = start; at < end; at = next) {
		next = min(end, round_down(at, GSVM_BLOCK_SIZE) + GSVM_BLOCK_SIZE);
		if (next - at < GSVM_BLOCK_SIZE ||
		    !gsvm_guard_take(&guard, move->vram, vma->vm_mm, at))
			continue;
		moved += gsvm_across_once(move, vma, at, next, true);
		gsvm_guard_drop(&guard);
		moved += gsvm_across_once(move, vma, small, at, false);
		small = next;
	}
	return moved + gsvm_across_once(move, vma, small, end, false);
}
