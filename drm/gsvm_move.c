// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Moves
 *
 * Moves pages of one mapping between system memory and VRAM, by the kernel's
 * migrate_vma calls and the copy engines. gsvm_vram.c has the states that a page
 * goes through; who wants what moved is not decided here (gsvm_migrate.c,
 * gsvm_prefetch.c).
 *
 * *In* has two halves, so that a caller can have the engine copy one window
 * while he prepares the next: gsvm_move_in_begin() has the kernel collect, lock
 * and unmap the pages, takes VRAM for them, and starts the copies;
 * gsvm_move_in_end() waits, and has the kernel put the VRAM pages in their
 * place. VRAM and the blocks are reserved before the mmap lock is taken
 * (gsvm_move_reserve()), because that may have to evict.
 *
 * Each page is for itself. One that cannot be moved, or shall not, as it was shared
 * when it was still mapped (&gsvm_move.stay), or for which there is no VRAM, gets no
 * destination, and the kernel puts it back where it was. The copies are complete
 * before migrate_vma_pages(), so a copy that failed leaves everything as it was, too.
 * A 2 MiB page that must not be in VRAM in one piece (gsvm_split.c) is put back, too; the
 * next attempt has the kernel split it.
 *
 * The way *out* is in gsvm_move_out.c, that from another GPU's VRAM in
 * gsvm_move_across.c.
 *
 * Our own notifiers are called by the kernel at the beginning of both, and take
 * the pages from the GPU. They know moves in by the mark, and keep what is in
 * VRAM mapped: it does not move.
 *
 * A move takes some 30 KiB, and each fault on either side needs one. Each GPU
 * keeps a few (&struct gsvm_move_cache), which are taken and put back under a
 * spinlock of their own. When there is none, one is allocated; nobody waits for
 * another's, who may wait for the mmap lock that the waiter holds.
 *
 * Locks: mmap_lock (read) from before begin to after end; the pages' own locks,
 * taken by the kernel. None of the driver's is held over a copy but
 * &gsvm_block.move_lock by a fault of the device in that block.
 */

#include <linux/cpumask.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_evict.h"
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
#include "gsvm_vram_chunk.h"
#include "gsvm_vram_page.h"
#include "gsvm_xfer.h"

/* Fewer pages of a block than this do not get a chunk for themselves. */
#define GSVM_MOVE_SPARSE	32

/* ---- moves themselves ---------------------------------------------------------- */

/**
 * gsvm_move_alloc() - make a move
 * @vram: VRAM
 * @pages: most pages that it will have, at most GSVM_MOVE_BLOCKS blocks' worth
 *
 * Return: the move, or NULL.
 */
struct gsvm_move *gsvm_move_alloc(struct gsvm_vram *vram, unsigned int pages)
{
	struct gsvm_move *move = kvzalloc_flex(*move, pfn, 2 * pages, GFP_KERNEL | __GFP_NOWARN);

	if (!move)
		return NULL;
	move->max_pages = pages;
	move->vram = vram;
	move->args.src = move->pfn;
	move->args.dst = move->pfn + pages;
	move->xfer = gsvm_xfer_alloc(pages, GFP_KERNEL);
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
	gsvm_xfer_free(move->bounce);
	gsvm_xfer_free(move->xfer);
	kvfree(move);
}

/**
 * gsvm_move_cache_init() - begin with no moves
 * @cache: cache
 */
void gsvm_move_cache_init(struct gsvm_move_cache *cache)
{
	spin_lock_init(&cache->lock);
	INIT_LIST_HEAD(&cache->list);
}

/**
 * gsvm_move_cache_fini() - free the moves
 * @cache: cache that nobody uses any more
 */
void gsvm_move_cache_fini(struct gsvm_move_cache *cache)
{
	struct gsvm_move *move, *next;

	list_for_each_entry_safe(move, next, &cache->list, link)
		gsvm_move_free(move);
}

/**
 * gsvm_move_get() - get a move for the pages of one block
 * @vram: VRAM
 *
 * Return: the move, for gsvm_move_put(), or NULL.
 */
struct gsvm_move *gsvm_move_get(struct gsvm_vram *vram)
{
	struct gsvm_move_cache *cache = &vram->moves;
	struct gsvm_move *move;

	spin_lock(&cache->lock);
	move = list_first_entry_or_null(&cache->list, struct gsvm_move, link);
	if (move) {
		list_del(&move->link);
		cache->nr--;
	}
	spin_unlock(&cache->lock);
	if (!move)
		return gsvm_move_alloc(vram, GSVM_BLOCK_PAGES);
	move->vm = NULL;
	move->keep = NULL;
	move->exclusive = false;
	move->access = false;
	move->whole = false;
	return move;
}

/**
 * gsvm_move_put() - give a move back
 * @move: move from gsvm_move_get() that is not under way and has nothing
 *	reserved, or NULL
 */
void gsvm_move_put(struct gsvm_move *move)
{
	struct gsvm_move_cache *cache;
	bool keep;

	if (!move)
		return;
	cache = &move->vram->moves;
	spin_lock(&cache->lock);
	keep = cache->nr < num_online_cpus();
	if (keep) {
		/* The last one used is warm. */
		list_add(&move->link, &cache->list);
		cache->nr++;
	}
	spin_unlock(&cache->lock);
	if (!keep)
		gsvm_move_free(move);
}

/* ---- VRAM for a move ------------------------------------------------------------ */

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
	bitmap_zero(move->stay[move->nr_blocks], GSVM_BLOCK_PAGES);
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
	move->small = false;
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

/* KSM compares the pages that it knows: the CPU has to reach them. */
static bool gsvm_move_in_suitable(const struct folio *folio)
{
	return folio_test_anon(folio) && !folio_test_ksm(folio) && !folio_test_hwpoison(folio);
}

/* Does page @i, which is collected, stay whatever it is? */
static bool gsvm_move_in_stays(const struct gsvm_move *move, unsigned int i)
{
	return test_bit(gsvm_move_page_of(move, i), move->stay[gsvm_move_block_of(move, i)]);
}

/* Is it a 2 MiB page that has to be split before it moves: DOC: Splitting. */
static bool gsvm_move_in_splits(const struct gsvm_move *move, unsigned int i)
{
	unsigned long src = move->args.src[i];

	return GSVM_SPLIT_NOT_EXCLUSIVE && migrate_pfn_to_page(src) &&
	       src & MIGRATE_PFN_COMPOUND && !(src & MIGRATE_PFN_WRITE) &&
	       !gsvm_move_in_stays(move, i);
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
		return gsvm_move_in_suitable(page_folio(page)) &&
		       !gsvm_move_in_splits(move, i) && !gsvm_move_in_stays(move, i);
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

/**
 * gsvm_move_take() - take VRAM for a page
 * @move: move with its reservations
 * @i: page of the move
 * @huge: a 2 MiB page, which begins its block
 * @own: a small page may lie in the block's own chunk, gsvm_move_own()
 *
 * Return: as for gsvm_vram_take(); NULL if there is none.
 */
struct folio *gsvm_move_take(struct gsvm_move *move, unsigned int i, bool huge, bool own)
{
	unsigned int b = gsvm_move_block_of(move, i);
	struct folio *folio = NULL;

	if (huge)
		return gsvm_move_in_take_huge(move, b);
	if (own && move->chunk[b])
		folio = gsvm_vram_take(move->chunk[b], gsvm_move_page_of(move, i), 0);
	return folio ? folio : gsvm_move_in_take_mixed(move);
}

/**
 * gsvm_move_own() - does a block get its chunk, or do single pages do
 * @move: move with its reservations
 * @b: block of the move
 * @want: pages of it that are going to VRAM
 *
 * Return: whether it gets its chunk.
 */
bool gsvm_move_own(const struct gsvm_move *move, unsigned int b, unsigned int want)
{
	const struct gsvm_vram_chunk *chunk = move->chunk[b];

	return chunk && (READ_ONCE(chunk->nr_used) || want >= GSVM_MOVE_SPARSE);
}

static void gsvm_move_in_page(struct gsvm_move *move, unsigned int i, unsigned int nr, bool own)
{
	struct page *page = migrate_pfn_to_page(move->args.src[i]);
	struct folio *to = gsvm_move_take(move, i, nr > 1, own);

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
	unsigned int i, nr, want = 0;
	bool own;

	for (i = first; i < end; i += nr) {
		move->small |= gsvm_move_in_splits(move, i);
		if (gsvm_move_in_wanted(move, i, &nr))
			want += nr;
	}
	own = gsvm_move_own(move, gsvm_move_block_of(move, first), want);
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
	if (!(vma->vm_flags & VM_NOHUGEPAGE) && !move->small)
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;
	gsvm_transit_begin(vma->vm_mm, start, end);
	ret = migrate_vma_setup(args);
	if (ret) {
		gsvm_transit_end(vma->vm_mm, start, end);
		return ret;
	}

	move->missed += args->npages;
	gsvm_xfer_start(move->xfer, move->vram, true);
	for (i = 0; i < args->npages; i = next) {
		next = i + GSVM_BLOCK_PAGES - gsvm_move_page_of(move, i);
		next = min_t(unsigned int, next, args->npages);
		gsvm_move_in_block(move, i, next);
	}
	gsvm_xfer_go(move->xfer);
	return 0;
}

/**
 * gsvm_move_drop() - give a destination back: the page stays where it is
 * @move: move, before migrate_vma_pages()
 * @i: page, which need not have a destination
 */
void gsvm_move_drop(struct gsvm_move *move, unsigned int i)
{
	struct page *page = migrate_pfn_to_page(move->args.dst[i]);

	if (!page)
		return;
	folio_unlock(page_folio(page));
	folio_put(page_folio(page));
	move->args.dst[i] = 0;
}

/* Count the pages that moved, all and per block. */
static unsigned int gsvm_move_in_count(struct gsvm_move *move, unsigned int *per_block)
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
	unsigned int per_block[GSVM_MOVE_BLOCKS] = {}, moved, b, i;

	/* The content did not make it: let the kernel put everything back. */
	if (gsvm_xfer_wait(move->xfer))
		for (i = 0; i < move->args.npages; i++)
			gsvm_move_drop(move, i);
	migrate_vma_pages(&move->args);
	moved = gsvm_move_in_count(move, per_block);
	migrate_vma_finalize(&move->args);
	gsvm_transit_end(move->args.vma->vm_mm, move->args.start, move->args.end);

	move->missed -= moved;
	/* Nothing is for the caller to judge: perhaps there was nothing. */
	for (b = 0; b < move->nr_blocks; b++)
		if (per_block[b])
			gsvm_policy_moved_in(move->block[b], per_block[b]);
	atomic64_add(moved, &move->vm->stats.pages_to_vram);
	atomic64_add(move->xfer->bytes, &move->vm->stats.bytes_migrated);
	trace_gsvm_migrate_in(move->vm->gdev, move->vm->asid, move->args.start, move->args.end,
			      moved);
	return moved;
}

/**
 * gsvm_move_in() - both halves, for whoever does nothing in between
 * @move: as for gsvm_move_in_begin()
 * @vma: likewise
 * @start: likewise
 * @end: likewise
 *
 * Return: pages that are in VRAM now and were not before.
 */
unsigned int gsvm_move_in(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
			  unsigned long end)
{
	unsigned int moved = 0;
	bool small;

	do {
		small = move->small;
		if (gsvm_move_in_begin(move, vma, start, end))
			break;
		moved += gsvm_move_in_end(move);
	} while (move->small != small);
	return moved;
}
