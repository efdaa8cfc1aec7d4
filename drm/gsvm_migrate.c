// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Migration
 *
 * Moves pages between system memory and VRAM; gsvm_vram.c has the states that
 * a page goes through, gsvm_policy.c says when, this file does it.
 *
 * *In* has two halves, so that a caller can have the engine copy one window
 * while he prepares the next: gsvm_move_in_begin() has the kernel collect, lock
 * and unmap the pages, takes VRAM for them, and starts the copies;
 * gsvm_move_in_end() waits, and has the kernel put the VRAM pages in their
 * place. VRAM and the blocks are reserved before the mmap lock is taken, because
 * that may have to evict.
 *
 * Each page is for itself. One that cannot be moved, or for which there is no
 * VRAM, gets no destination, and the kernel puts it back where it was. The
 * copies are complete before migrate_vma_pages(), so a copy that failed leaves
 * everything as it was, too.
 *
 * *Out* is done in one go, because somebody waits for it: a CPU
 * (gsvm_migrate_to_ram()) or a prefetch. A 2 MiB page for which there is no
 * system memory in one piece comes back in small ones.
 *
 * Our own notifiers are called by the kernel at the beginning of both, and take
 * the pages from the GPU. They know moves in by the mark, and keep what is in
 * VRAM mapped: it does not move.
 *
 * Locks: mmap_lock (read) from before begin to after end; the pages' own locks,
 * taken by the kernel. Of the driver's only &gsvm_block.move_lock, outside of
 * these: faults in one block would else take each other's pages and VRAM.
 */

#include <linux/highmem.h>
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include <drm/gsvm_drm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_evict.h"
#include "gsvm_lost.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_policy.h"
#include "gsvm_populate.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_xfer.h"

/* Fewer pages of a block than this do not get a chunk for themselves. */
#define GSVM_MIGRATE_SPARSE	32

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
 * gsvm_move_alloc() - make a move
 * @vram: VRAM
 * @pages: most pages that it will have, at most GSVM_MOVE_BLOCKS blocks' worth
 *
 * Return: the move, or NULL.
 */
struct gsvm_move *gsvm_move_alloc(struct gsvm_vram *vram, unsigned int pages)
{
	struct gsvm_move *move = kvzalloc_flex(*move, pfn, 2 * pages);

	if (!move)
		return NULL;
	move->max_pages = 2 * pages;
	move->vram = vram;
	move->args.src = move->pfn;
	move->args.dst = move->pfn + pages;
	move->xfer = gsvm_xfer_alloc(vram, pages, GFP_KERNEL);
	if (!move->xfer) {
		kvfree(move);
		return NULL;
	}
	return move;
}

/**
 * gsvm_move_free() - free a move
 * @move: move that is not under way and has nothing reserved, or NULL
 */
void gsvm_move_free(struct gsvm_move *move)
{
	if (!move)
		return;
	gsvm_xfer_free(move->xfer);
	kvfree(move);
}

/**
 * gsvm_move_release() - end the reservations of a move
 * @move: move
 */
void gsvm_move_release(struct gsvm_move *move)
{
	while (move->nr_blocks) {
		struct gsvm_block *block = move->block[--move->nr_blocks];

		gsvm_vram_release(move->chunk[move->nr_blocks]);
		atomic_dec(&block->moving);
		gsvm_block_put(block);
	}
	gsvm_vram_release(move->mixed);
	move->mixed = NULL;
}

static void gsvm_move_reserve_block(struct gsvm_move *move, struct gsvm_block *block)
{
	struct gsvm_vram_chunk *chunk;

	atomic_inc(&block->moving);
	chunk = gsvm_evict_reserve(move->vram, block, READ_ONCE(block->chunk));
	/* Now, so that others who move pages of the block use the same. */
	if (chunk)
		WRITE_ONCE(block->chunk, chunk);
	move->block[move->nr_blocks] = block;
	move->chunk[move->nr_blocks++] = chunk;
}

/**
 * gsvm_move_reserve() - get VRAM for a move
 * @move: move with nothing reserved
 * @vm: address space; the caller holds its process's mm_users
 * @start: first byte
 * @end: byte behind the last; at most GSVM_MOVE_BLOCKS blocks are touched
 *
 * Evicts if it has to. Without VRAM for some block, that block will stay.
 *
 * Context: process, sleeps, allocates; no lock held.
 * Return: 0; -ENOMEM; -ENODEV when the mirror is dead.
 */
int gsvm_move_reserve(struct gsvm_move *move, struct gsvm_vm *vm, unsigned long start,
		      unsigned long end)
{
	unsigned long addr;

	move->vm = vm;
	move->base = round_down(start, GSVM_BLOCK_SIZE);
	for (addr = move->base; addr < end; addr += GSVM_BLOCK_SIZE) {
		struct gsvm_block *block = gsvm_mirror_block_get(vm->mirror, addr);

		if (IS_ERR(block)) {
			gsvm_move_release(move);
			return PTR_ERR(block);
		}
		gsvm_move_reserve_block(move, block);
	}
	move->mixed = gsvm_vram_reserve_mixed(move->vram);
	return 0;
}

/* ---- to VRAM ------------------------------------------------------------------- */

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

static unsigned int gsvm_move_block_of(const struct gsvm_move *move, unsigned int i)
{
	return (move->args.start + ((unsigned long)i << PAGE_SHIFT) - move->base) >>
	       GSVM_BLOCK_SHIFT;
}

static unsigned int gsvm_move_page_of(const struct gsvm_move *move, unsigned int i)
{
	return ((move->args.start >> PAGE_SHIFT) + i) % GSVM_BLOCK_PAGES;
}

/* KSM compares the pages that it knows: the CPU has to reach them. */
static bool gsvm_move_in_suitable(const struct folio *folio)
{
	return folio_test_anon(folio) && !folio_test_ksm(folio) && !folio_test_hwpoison(folio);
}

/* Is page @i, which is collected, to be moved; sets *@nr to how many pages it stands for. */
static bool gsvm_move_in_wanted(const struct gsvm_move *move, unsigned int i, unsigned int *nr)
{
	unsigned long addr = move->args.start + ((unsigned long)i << PAGE_SHIFT);
	struct page *page = migrate_pfn_to_page(move->args.src[i]);
	bool huge = move->args.src[i] & MIGRATE_PFN_COMPOUND;

	*nr = huge ? GSVM_BLOCK_PAGES : 1;
	if (!(move->args.src[i] & MIGRATE_PFN_MIGRATE))
		return false;
	if (page)
		return gsvm_move_in_suitable(page_folio(page));
	/* A hole is filled as a whole or not at all. */
	return addr >= move->fill_start && addr + *nr * PAGE_SIZE <= move->fill_end &&
	       (!huge || move->fill_huge);
}

/*
 * A whole chunk for a 2 MiB page. The one that the block has may be in use, by
 * pages that others still have of it (fork); then another one becomes the
 * block's. Nothing is evicted for it here: pages are locked.
 */
static struct folio *gsvm_move_in_take_huge(struct gsvm_move *move, unsigned int b)
{
	struct folio *folio = NULL;

	if (move->chunk[b])
		folio = gsvm_vram_take(move->chunk[b], 0, HPAGE_PMD_ORDER);
	if (folio)
		return folio;
	gsvm_vram_release(move->chunk[b]);
	move->chunk[b] = gsvm_vram_reserve(move->vram, move->block[b], NULL);
	if (!move->chunk[b])
		return NULL;
	WRITE_ONCE(move->block[b]->chunk, move->chunk[b]);
	return gsvm_vram_take(move->chunk[b], 0, HPAGE_PMD_ORDER);
}

/* A page anywhere; another chunk when this one is full. */
static struct folio *gsvm_move_in_take_mixed(struct gsvm_move *move)
{
	struct folio *folio = NULL;

	if (move->mixed)
		folio = gsvm_vram_take_any(move->mixed);
	if (folio)
		return folio;
	gsvm_vram_release(move->mixed);
	move->mixed = gsvm_vram_reserve_mixed(move->vram);
	return move->mixed ? gsvm_vram_take_any(move->mixed) : NULL;
}

/* VRAM for page @i of the move; @own: the block's own chunk may be used. */
static struct folio *gsvm_move_in_take(struct gsvm_move *move, unsigned int i, bool huge, bool own)
{
	unsigned int b = gsvm_move_block_of(move, i);
	struct folio *folio = NULL;

	if (huge)
		return gsvm_move_in_take_huge(move, b);
	if (own && move->chunk[b])
		folio = gsvm_vram_take(move->chunk[b], gsvm_move_page_of(move, i), 0);
	return folio ? folio : gsvm_move_in_take_mixed(move);
}

/* Does a block get its chunk, or do single pages do? */
static bool gsvm_move_in_own(struct gsvm_move *move, unsigned int first, unsigned int end)
{
	struct gsvm_vram_chunk *chunk = move->chunk[gsvm_move_block_of(move, first)];
	unsigned int i, nr, want = 0;

	if (!chunk || READ_ONCE(chunk->nr_used))
		return chunk;
	for (i = first; i < end; i += nr)
		if (gsvm_move_in_wanted(move, i, &nr))
			want += nr;
	return want >= GSVM_MIGRATE_SPARSE;
}

static void gsvm_move_in_page(struct gsvm_move *move, unsigned int i, unsigned int nr, bool own)
{
	struct page *page = migrate_pfn_to_page(move->args.src[i]);
	struct folio *to = gsvm_move_in_take(move, i, nr > 1, own);

	if (!to)
		return;
	move->args.dst[i] = migrate_pfn(folio_pfn(to));
	if (nr > 1)
		move->args.dst[i] |= MIGRATE_PFN_COMPOUND;
	gsvm_xfer_add(move->xfer, page ? page_folio(page) : NULL,
		      gsvm_vram_offset(move->vram, folio_pfn(to)), nr << PAGE_SHIFT);
}

/* Pages [@first, @end) of the move, which are of one block. */
static void gsvm_move_in_block(struct gsvm_move *move, unsigned int first, unsigned int end)
{
	bool own = gsvm_move_in_own(move, first, end);
	unsigned int i, nr;

	for (i = first; i < end; i += nr)
		if (gsvm_move_in_wanted(move, i, &nr))
			gsvm_move_in_page(move, i, nr, own);
}

/**
 * gsvm_move_in_begin() - take pages from the process and begin to copy
 * @move: move with its reservations; where holes are filled is set
 * @vma: mapping that is gsvm_migrate_movable(); mmap_lock held to the end
 * @start: first byte, in what is reserved and in the mapping
 * @end: byte behind the last
 *
 * Return: 0, gsvm_move_in_end() must follow; or an errno, nothing happened.
 */
int gsvm_move_in_begin(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
		       unsigned long end)
{
	struct migrate_vma *args = &move->args;
	unsigned int i, next;
	int ret;

	args->vma = vma;
	args->start = start;
	args->end = end;
	args->fault_page = NULL;
	args->pgmap_owner = (void *)gsvm_migrate_in_mark();
	args->flags = MIGRATE_VMA_SELECT_SYSTEM;
	/* A hole is then offered in one piece, too. */
	if (!(vma->vm_flags & VM_NOHUGEPAGE))
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;
	ret = migrate_vma_setup(args);
	if (ret)
		return ret;

	gsvm_xfer_start(move->xfer, true);
	for (i = 0; i < args->npages; i = next) {
		next = i + GSVM_BLOCK_PAGES - gsvm_move_page_of(move, i);
		next = min_t(unsigned int, next, args->npages);
		gsvm_move_in_block(move, i, next);
	}
	gsvm_xfer_go(move->xfer);
	return 0;
}

/* The content did not make it: let the kernel put everything back. */
static void gsvm_move_give_up(struct gsvm_move *move)
{
	unsigned int i;

	for (i = 0; i < move->args.npages; i++) {
		struct page *page = migrate_pfn_to_page(move->args.dst[i]);

		if (!page)
			continue;
		folio_unlock(page_folio(page));
		folio_put(page_folio(page));
		move->args.dst[i] = 0;
	}
}

/* Count the pages that moved, per block if @per_block is given. */
static unsigned int gsvm_move_count(struct gsvm_move *move, unsigned int *per_block)
{
	struct migrate_vma *args = &move->args;
	unsigned int i, moved = 0;

	for (i = 0; i < args->npages; i++) {
		struct page *page = migrate_pfn_to_page(args->dst[i]);
		unsigned int nr;

		if (!page || !(args->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		nr = folio_nr_pages(page_folio(page));
		moved += nr;
		if (per_block)
			per_block[gsvm_move_block_of(move, i)] += nr;
	}
	return moved;
}

/**
 * gsvm_move_in_end() - wait for the copies and put the pages in place
 * @move: move after gsvm_move_in_begin()
 *
 * Return: pages that are in VRAM now and were not before.
 */
unsigned int gsvm_move_in_end(struct gsvm_move *move)
{
	unsigned int per_block[GSVM_MOVE_BLOCKS] = {}, moved, b;

	if (gsvm_xfer_wait(move->xfer))
		gsvm_move_give_up(move);
	migrate_vma_pages(&move->args);
	moved = gsvm_move_count(move, per_block);
	migrate_vma_finalize(&move->args);

	for (b = 0; b < move->nr_blocks; b++)
		gsvm_policy_moved_in(move->block[b], per_block[b]);
	atomic64_add(moved, &move->vm->stats.pages_to_vram);
	atomic64_add(move->xfer->bytes, &move->vm->stats.bytes_migrated);
	trace_gsvm_migrate_in(move->vm->gdev, move->vm->asid, move->args.start, move->args.end,
			      moved);
	return moved;
}

/* ---- for the device's faults ---------------------------------------------------- */

/**
 * struct gsvm_look - what is in a block, before anything is done to it
 * @pfn: as hmm_range_fault() leaves it
 */
struct gsvm_look {
	unsigned long pfn[GSVM_BLOCK_PAGES];
};

/*
 * Is there anything worth moving among pages [@first, @end) of the block at
 * @start? A look only: it may have changed when we come to it.
 */
static bool gsvm_migrate_worth(struct gsvm_look *look, struct gsvm_block *block,
			       unsigned long start, unsigned long end)
{
	unsigned int i, first = (start - block->start) >> PAGE_SHIFT;
	unsigned int last = (end - 1 - block->start) >> PAGE_SHIFT;
	struct hmm_range range = {
		.notifier = &block->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = &look->pfn[first],
		.dev_private_owner = (void *)gsvm_vram_owner(),
	};

	range.notifier_seq = mmu_interval_read_begin(range.notifier);
	if (hmm_range_fault(&range))
		return false;
	for (i = first; i <= last; i++) {
		struct page *page;

		if (!(look->pfn[i] & HMM_PFN_VALID))
			continue;
		page = hmm_pfn_to_page(look->pfn[i]);
		if (is_zone_device_page(page) || is_zero_pfn(page_to_pfn(page)) ||
		    !folio_test_anon(page_folio(page)) ||
		    folio_maybe_mapped_shared(page_folio(page)))
			continue;
		return true;
	}
	return false;
}

/*
 * Is nothing there yet where the device wants to write first? In a mapping that
 * is anonymous, a page that is not is the zero page, or the huge one.
 */
static bool gsvm_migrate_empty(const struct gsvm_look *look, const struct gsvm_request *req)
{
	unsigned int first = find_first_bit(req->write, GSVM_BLOCK_PAGES);
	struct page *page;

	if (first >= GSVM_BLOCK_PAGES)
		return false;
	if (!(look->pfn[first] & HMM_PFN_VALID))
		return true;
	page = hmm_pfn_to_page(look->pfn[first]);
	return !is_zone_device_page(page) && !folio_test_anon(page_folio(page));
}

/* What untouched memory a fault makes: around what the device wants to write. */
static void gsvm_migrate_fill(struct gsvm_move *move, struct gsvm_block *block,
			      struct vm_area_struct *vma, const struct gsvm_request *req)
{
	unsigned int first = find_first_bit(req->write, GSVM_BLOCK_PAGES);
	unsigned int last = find_last_bit(req->write, GSVM_BLOCK_PAGES);

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
}

/* The mapping that the fault is about, if its pages can move; mmap_lock held. */
static struct vm_area_struct *gsvm_migrate_vma(struct gsvm_vm *vm, struct gsvm_block *block,
					       const struct gsvm_request *req)
{
	unsigned int first = min(find_first_bit(req->read, GSVM_BLOCK_PAGES),
				 find_first_bit(req->write, GSVM_BLOCK_PAGES));
	struct vm_area_struct *vma;

	if (first >= GSVM_BLOCK_PAGES)
		return NULL;
	vma = vma_lookup(vm->mm, block->start + ((unsigned long)first << PAGE_SHIFT));
	return vma && gsvm_migrate_movable(vma) ? vma : NULL;
}

/* See what there is to move, before VRAM is reserved for it. */
static bool gsvm_migrate_plan(struct gsvm_move *move, struct gsvm_look *look, struct gsvm_vm *vm,
			      struct gsvm_block *block, const struct gsvm_request *req)
{
	struct vm_area_struct *vma;
	bool wanted = false;

	mmap_read_lock(vm->mm);
	vma = gsvm_migrate_vma(vm, block, req);
	if (vma) {
		unsigned long start = max(vma->vm_start, block->start);
		unsigned long end = min(vma->vm_end, block->start + GSVM_BLOCK_SIZE);

		gsvm_migrate_fill(move, block, vma, req);
		wanted = gsvm_migrate_worth(look, block, start, end);
		/* In an empty block, what is made can be made by itself. */
		if (!wanted && !move->fill_huge) {
			start = max(start, move->fill_start);
			end = min(end, move->fill_end);
		}
		wanted |= gsvm_migrate_empty(look, req);
		move->args.start = start;
		move->args.end = end;
	}
	mmap_read_unlock(vm->mm);
	return wanted && move->args.start < move->args.end;
}

static void gsvm_migrate_do(struct gsvm_move *move, struct gsvm_block *block,
			    const struct gsvm_request *req)
{
	struct mm_struct *mm = move->vm->mm;
	struct vm_area_struct *vma;
	unsigned long start, end;

	mmap_read_lock(mm);
	vma = gsvm_migrate_vma(move->vm, block, req);
	if (vma) {
		start = max(move->args.start, vma->vm_start);
		end = min(move->args.end, vma->vm_end);
		if (start < end && !gsvm_move_in_begin(move, vma, start, end))
			gsvm_move_in_end(move);
	}
	mmap_read_unlock(mm);
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
	struct gsvm_look *look = NULL;
	struct gsvm_move *move;

	if (!gsvm_policy_wants_vram(vm, block))
		return;
	move = gsvm_move_alloc(vm->gdev->vram, GSVM_BLOCK_PAGES);
	if (move)
		look = kzalloc_obj(*look);
	mutex_lock(&block->move_lock);
	if (look && gsvm_migrate_plan(move, look, vm, block, req) &&
	    !gsvm_move_reserve(move, vm, block->start, block->start + GSVM_BLOCK_SIZE)) {
		gsvm_migrate_do(move, block, req);
		gsvm_move_release(move);
	}
	mutex_unlock(&block->move_lock);
	kfree(look);
	gsvm_move_free(move);
}

/* ---- to system memory ------------------------------------------------------------- */

/*
 * A system page for each small page of [@i, @i + GSVM_BLOCK_PAGES), which is one
 * 2 MiB page. Without memory for all of them the rest stays, in small pages.
 */
static void gsvm_move_out_pieces(struct gsvm_move *move, unsigned int i, u64 offset)
{
	struct migrate_vma *args = &move->args;
	unsigned int n;

	for (n = 0; n < GSVM_BLOCK_PAGES; n++) {
		unsigned long addr = args->start + ((unsigned long)(i + n) << PAGE_SHIFT);
		struct folio *to = vma_alloc_folio(GFP_HIGHUSER_MOVABLE, 0, args->vma, addr);

		if (!to)
			break;
		folio_lock(to);
		args->dst[i + n] = migrate_pfn(folio_pfn(to));
		gsvm_xfer_add(move->xfer, to, offset + ((u64)n << PAGE_SHIFT), PAGE_SIZE);
	}
}

/* Find a place for page @i. Without memory there is none. */
static void gsvm_move_out_page(struct gsvm_move *move, unsigned int i, struct page *page)
{
	struct migrate_vma *args = &move->args;
	struct folio *from = page_folio(page), *to;
	u64 offset = gsvm_vram_offset(move->vram, page_to_pfn(page));
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

/* Find places for all pages. -ENOMEM if there is none for the one that is needed. */
static int gsvm_move_out_alloc(struct gsvm_move *move)
{
	struct migrate_vma *args = &move->args;
	unsigned int i;
	int ret = 0;

	gsvm_xfer_start(move->xfer, false);
	for (i = 0; i < args->npages; i++) {
		struct page *page = migrate_pfn_to_page(args->src[i]);

		/* Another GPU's is that GPU's affair. */
		if (!page || !(args->src[i] & MIGRATE_PFN_MIGRATE) ||
		    gsvm_vram_of_page(page) != move->vram)
			continue;
		gsvm_move_out_page(move, i, page);
		if (page == args->fault_page && !args->dst[i])
			ret = -ENOMEM;
	}
	return ret;
}

/**
 * gsvm_move_out() - bring pages of a mapping back to system memory
 * @move: move with room for them
 * @vma: mapping, mmap_lock held
 * @start: first byte
 * @end: byte behind the last
 * @fault_page: page that the CPU needs, locked and referenced; or NULL
 * @moved: out, pages that came back
 *
 * Return: 0; -EINVAL for a mapping of an impossible kind; -ENOMEM; -EIO when
 * VRAM cannot be read any more. On an error nothing was moved.
 */
int gsvm_move_out(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
		  unsigned long end, struct page *fault_page, unsigned int *moved)
{
	struct migrate_vma *args = &move->args;
	int ret, err;

	*moved = 0;
	args->vma = vma;
	args->start = start;
	args->end = end;
	args->fault_page = fault_page;
	args->pgmap_owner = (void *)gsvm_vram_owner();
	args->flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND;
	ret = migrate_vma_setup(args);
	if (ret)
		return ret;

	ret = gsvm_move_out_alloc(move);
	if (!ret)
		gsvm_xfer_go(move->xfer);
	err = gsvm_xfer_wait(move->xfer);
	if (!ret && err) {
		gsvm_lost_report(move->vram);
		ret = err;
	}
	if (ret)
		gsvm_move_give_up(move);
	migrate_vma_pages(args);
	*moved = gsvm_move_count(move, NULL);
	migrate_vma_finalize(args);
	return ret;
}

/* Tell the block, if the process has one, that the CPU wanted its pages. */
static void gsvm_migrate_note_return(struct gsvm_vram *vram, struct mm_struct *mm,
				     unsigned long addr, unsigned int moved, u64 bytes)
{
	struct gsvm_vm *vm = gsvm_vm_lookup_mm(vram->gdev, mm);
	struct gsvm_block *block;

	if (!vm)
		return;
	atomic64_add(moved, &vm->stats.pages_to_system);
	atomic64_add(bytes, &vm->stats.bytes_migrated);
	block = gsvm_mirror_block_lookup(vm->mirror, addr);
	if (block) {
		gsvm_policy_came_back(vm, block);
		gsvm_block_put(block);
	}
	gsvm_vm_put(vm);
}

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
 * VM_FAULT_HWPOISON when the GPU is dead and the page lost.
 */
vm_fault_t gsvm_migrate_to_ram(struct vm_fault *vmf)
{
	struct gsvm_vram *vram = gsvm_vram_of_page(vmf->page);
	unsigned long start, end;
	struct gsvm_move *move;
	unsigned int moved;
	int ret;

	gsvm_migrate_window(vmf, vram, &start, &end);
	move = gsvm_move_alloc(vram, (end - start) >> PAGE_SHIFT);
	if (!move)
		return VM_FAULT_OOM;
	ret = gsvm_move_out(move, vmf->vma, start, end, vmf->page, &moved);
	if (!ret) {
		gsvm_stream_fetched(&vram->stream, current->pid, end,
				    (end - start) >> PAGE_SHIFT);
		gsvm_migrate_note_return(vram, vmf->vma->vm_mm, start, moved, move->xfer->bytes);
	}
	trace_gsvm_migrate_out(vram->gdev, start, end, moved, ret);
	gsvm_move_free(move);
	if (ret == -ENOMEM)
		return VM_FAULT_OOM;
	return ret ? VM_FAULT_HWPOISON : 0;
}
