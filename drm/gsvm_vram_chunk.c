// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Chunks of VRAM
 *
 * VRAM is handed out in *chunks* of 2 MiB. A chunk belongs to one block and
 * holds each of its pages at the block's own offset, so that pages which came
 * one by one can be mapped by large entries in the end; or it is mixed, for
 * blocks of which only a few pages are wanted. The chunk is what eviction works
 * on, by physical address, without knowing whose it is.
 *
 * Chunks come from the buddy allocator. That allocates memory and sleeps, and
 * pages are freed under page table locks: so a chunk that was used is kept on a
 * list of free ones and goes back to the buddy only at the end.
 *
 * Which chunk eviction takes is decided here, how it is emptied in gsvm_evict.c:
 * the least recently used first, and a chunk that the device has used since the
 * last look has a second chance.
 *
 * Locks: &gsvm_vram.lock, a leaf, over every change of a chunk;
 * &gsvm_vram.buddy_lock over the buddy's, never both.
 */

#include <linux/mm.h>
#include <linux/slab.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_mirror.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_chunk.h"

/* The driver begins to evict when less than one chunk in so many is free. */
#define GSVM_VRAM_LOW		16

static struct gsvm_vram_chunk *gsvm_vram_chunk(struct gsvm_vram *vram, unsigned long pfn)
{
	return &vram->chunk[(pfn - vram->first_pfn) / GSVM_CHUNK_PAGES];
}

static unsigned long gsvm_chunk_pfn(const struct gsvm_vram_chunk *chunk)
{
	struct gsvm_vram *vram = chunk->vram;

	return vram->first_pfn + (chunk - vram->chunk) * GSVM_CHUNK_PAGES;
}

/* Give an unused chunk back, put a mixed one where its room can be found. */
static void gsvm_chunk_settle_locked(struct gsvm_vram_chunk *chunk)
{
	struct gsvm_vram *vram = chunk->vram;

	lockdep_assert_held(&vram->lock);

	if (chunk->pins || chunk->use == GSVM_CHUNK_FREE)
		return;
	if (!chunk->nr_used) {
		chunk->use = GSVM_CHUNK_FREE;
		chunk->owner = NULL;
		chunk->referenced = false;
		list_del_init(&chunk->partial);
		list_move(&chunk->link, &vram->free);
		vram->nr_free++;
	} else if (chunk->use == GSVM_CHUNK_MIXED && chunk->nr_used < GSVM_CHUNK_PAGES &&
		   list_empty(&chunk->partial)) {
		list_add_tail(&chunk->partial, &vram->partial);
	}
}

/**
 * gsvm_vram_low() - should somebody free chunks
 * @vram: VRAM
 * @want: chunks that are wanted beyond the reserve
 *
 * Return: whether the free ones are too few.
 */
bool gsvm_vram_low(struct gsvm_vram *vram, unsigned int want)
{
	return READ_ONCE(vram->nr_free) < vram->nr_chunks / GSVM_VRAM_LOW + want;
}

/* A free chunk, out of any list, or NULL; the lock may be dropped and taken again. */
static struct gsvm_vram_chunk *gsvm_vram_pop_locked(struct gsvm_vram *vram, unsigned long *flags)
{
	struct gsvm_vram_chunk *chunk;
	LIST_HEAD(blocks);
	int ret;

	lockdep_assert_held(&vram->lock);

	if (!vram->nr_free)
		return NULL;
	vram->nr_free--;
	chunk = list_first_entry_or_null(&vram->free, struct gsvm_vram_chunk, link);
	if (chunk)
		return chunk;

	/* So there is one that was never used. It is ours: it has been counted. */
	spin_unlock_irqrestore(&vram->lock, *flags);
	mutex_lock(&vram->buddy_lock);
	ret = gpu_buddy_alloc_blocks(&vram->buddy, 0, vram->buddy.size, GSVM_BLOCK_SIZE,
				     GSVM_BLOCK_SIZE, &blocks, 0);
	mutex_unlock(&vram->buddy_lock);
	spin_lock_irqsave(&vram->lock, *flags);
	if (ret) {
		vram->nr_free++;
		return NULL;
	}
	chunk = &vram->chunk[gpu_buddy_block_offset(list_first_entry(&blocks,
								     struct gpu_buddy_block,
								     link)) / GSVM_BLOCK_SIZE];
	chunk->buddy = list_first_entry(&blocks, struct gpu_buddy_block, link);
	list_del_init(&chunk->buddy->link);
	return chunk;
}

static void gsvm_vram_wake_evictor(struct gsvm_vram *vram)
{
	if (gsvm_vram_low(vram, 0) && !READ_ONCE(vram->closing))
		queue_work(system_dfl_wq, &vram->evict_work);
}

/**
 * gsvm_vram_reserve() - get the chunk for a block
 * @vram: VRAM
 * @owner: the block
 * @hint: chunk that it had last, or NULL
 *
 * Evicts nothing; gsvm_evict_reserve() does.
 *
 * Return: the chunk, to be given back by gsvm_vram_release(); NULL if none is
 * free.
 */
struct gsvm_vram_chunk *gsvm_vram_reserve(struct gsvm_vram *vram, struct gsvm_block *owner,
					  struct gsvm_vram_chunk *hint)
{
	struct gsvm_vram_chunk *chunk = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	if (vram->closing)
		goto out;
	if (hint && hint->owner == owner && hint->use == GSVM_CHUNK_OWNED) {
		/* An evicted block's pages do not hurry back into the chunk that is emptied. */
		chunk = hint->evicting ? NULL : hint;
	} else {
		chunk = gsvm_vram_pop_locked(vram, &flags);
		if (chunk) {
			chunk->use = GSVM_CHUNK_OWNED;
			chunk->owner = owner;
			chunk->asid = owner->mirror->vm->asid;
			chunk->start = owner->start;
		}
	}
	if (chunk) {
		chunk->pins++;
		chunk->referenced = true;
		list_move_tail(&chunk->link, &vram->lru);
	}
out:
	spin_unlock_irqrestore(&vram->lock, flags);
	gsvm_vram_wake_evictor(vram);
	return chunk;
}

/**
 * gsvm_vram_reserve_mixed() - get a chunk for single pages
 * @vram: VRAM
 *
 * Return: a chunk with room for one page at least, unless others take it first;
 * to be given back by gsvm_vram_release(); NULL if there is none.
 */
struct gsvm_vram_chunk *gsvm_vram_reserve_mixed(struct gsvm_vram *vram)
{
	struct gsvm_vram_chunk *chunk = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	if (vram->closing)
		goto out;
	chunk = list_first_entry_or_null(&vram->partial, struct gsvm_vram_chunk, partial);
	if (!chunk) {
		chunk = gsvm_vram_pop_locked(vram, &flags);
		if (chunk) {
			chunk->use = GSVM_CHUNK_MIXED;
			list_add_tail(&chunk->partial, &vram->partial);
		}
	}
	if (chunk) {
		chunk->pins++;
		chunk->referenced = true;
		list_move_tail(&chunk->link, &vram->lru);
	}
out:
	spin_unlock_irqrestore(&vram->lock, flags);
	gsvm_vram_wake_evictor(vram);
	return chunk;
}

/**
 * gsvm_vram_release() - end a reservation
 * @chunk: reserved chunk or NULL; pages taken from it stay
 */
void gsvm_vram_release(struct gsvm_vram_chunk *chunk)
{
	unsigned long flags;

	if (!chunk)
		return;
	spin_lock_irqsave(&chunk->vram->lock, flags);
	chunk->pins--;
	gsvm_chunk_settle_locked(chunk);
	spin_unlock_irqrestore(&chunk->vram->lock, flags);
}

/**
 * gsvm_vram_disown() - a block goes away
 * @chunk: chunk that it had last, or NULL
 * @owner: the block
 *
 * Another block may come to lie at its place in memory, and is not its heir.
 */
void gsvm_vram_disown(struct gsvm_vram_chunk *chunk, const struct gsvm_block *owner)
{
	unsigned long flags;

	if (!chunk)
		return;
	spin_lock_irqsave(&chunk->vram->lock, flags);
	if (chunk->owner == owner)
		chunk->owner = NULL;
	spin_unlock_irqrestore(&chunk->vram->lock, flags);
}

/* Pages @first.. of @chunk have been marked as used: make a folio of them. */
static struct folio *gsvm_vram_folio(struct gsvm_vram_chunk *chunk, unsigned int first,
				     unsigned int order)
{
	struct page *page = pfn_to_page(gsvm_chunk_pfn(chunk) + first);

	/* Not yet page_folio(): it may still say that it was part of a large one. */
	zone_device_folio_init((struct folio *)page, &chunk->vram->pgmap, order);
	return page_folio(page);
}

/**
 * gsvm_vram_take() - take certain pages of a chunk
 * @chunk: reserved for a block
 * @first: first page, a multiple of 1 << @order
 * @order: 0 or the order of a whole chunk
 *
 * Return: the folio, locked, with one reference, its content undefined; NULL if
 * the pages are in use or on their way out.
 */
struct folio *gsvm_vram_take(struct gsvm_vram_chunk *chunk, unsigned int first, unsigned int order)
{
	unsigned int nr = 1u << order;
	unsigned long flags;
	bool free;

	spin_lock_irqsave(&chunk->vram->lock, flags);
	free = !chunk->evicting &&
	       find_next_bit(chunk->used, first + nr, first) >= first + nr;
	if (free) {
		bitmap_set(chunk->used, first, nr);
		chunk->nr_used += nr;
	}
	spin_unlock_irqrestore(&chunk->vram->lock, flags);
	return free ? gsvm_vram_folio(chunk, first, order) : NULL;
}

/**
 * gsvm_vram_take_any() - take any page of a mixed chunk
 * @chunk: from gsvm_vram_reserve_mixed()
 *
 * Return: as for gsvm_vram_take().
 */
struct folio *gsvm_vram_take_any(struct gsvm_vram_chunk *chunk)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&chunk->vram->lock, flags);
	i = find_first_zero_bit(chunk->used, GSVM_CHUNK_PAGES);
	if (chunk->evicting)
		i = GSVM_CHUNK_PAGES;
	if (i < GSVM_CHUNK_PAGES) {
		__set_bit(i, chunk->used);
		if (++chunk->nr_used == GSVM_CHUNK_PAGES)
			list_del_init(&chunk->partial);
	}
	spin_unlock_irqrestore(&chunk->vram->lock, flags);
	return i < GSVM_CHUNK_PAGES ? gsvm_vram_folio(chunk, i, 0) : NULL;
}

/**
 * gsvm_vram_give_back() - pages are free again
 * @vram: VRAM
 * @pfn: frame of the first
 * @nr: how many, all of one chunk
 *
 * Context: any: pages are freed under page table locks.
 */
void gsvm_vram_give_back(struct gsvm_vram *vram, unsigned long pfn, unsigned long nr)
{
	struct gsvm_vram_chunk *chunk = gsvm_vram_chunk(vram, pfn);
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	bitmap_clear(chunk->used, pfn % GSVM_CHUNK_PAGES, nr);
	chunk->nr_used -= nr;
	gsvm_chunk_settle_locked(chunk);
	spin_unlock_irqrestore(&vram->lock, flags);
}

/**
 * gsvm_vram_touch() - the device uses a page
 * @vram: VRAM
 * @pfn: frame of one of its pages
 */
void gsvm_vram_touch(struct gsvm_vram *vram, unsigned long pfn)
{
	WRITE_ONCE(gsvm_vram_chunk(vram, pfn)->referenced, true);
}

/**
 * gsvm_vram_victim() - choose the chunk to evict
 * @vram: VRAM
 *
 * The least recently used, with a second chance for what the device has used
 * since the last look.
 *
 * Return: the chunk, pinned and marked, to be given back by
 * gsvm_vram_victim_done(); NULL if there is none.
 */
struct gsvm_vram_chunk *gsvm_vram_victim(struct gsvm_vram *vram)
{
	struct gsvm_vram_chunk *chunk, *next, *victim = NULL;
	unsigned long flags;
	unsigned int round;
	LIST_HEAD(spared);

	spin_lock_irqsave(&vram->lock, flags);
	for (round = 0; round < 2 && !victim; round++) {
		list_for_each_entry_safe(chunk, next, &vram->lru, link) {
			if (chunk->pins || chunk->evicting || chunk->nr_used == chunk->nr_kept)
				continue;
			if (chunk->referenced) {
				chunk->referenced = false;
				list_move_tail(&chunk->link, &spared);
				continue;
			}
			victim = chunk;
			break;
		}
		list_splice_tail_init(&spared, &vram->lru);
	}
	if (victim) {
		list_del_init(&victim->partial);
		victim->evicting = true;
		victim->pins++;
	}
	spin_unlock_irqrestore(&vram->lock, flags);
	return victim;
}

/**
 * gsvm_vram_victim_done() - the eviction of a chunk has ended
 * @chunk: chunk; what could not be moved is still in it
 */
void gsvm_vram_victim_done(struct gsvm_vram_chunk *chunk)
{
	unsigned long flags;

	spin_lock_irqsave(&chunk->vram->lock, flags);
	chunk->evicting = false;
	chunk->pins--;
	if (!list_empty(&chunk->link))
		list_move_tail(&chunk->link, &chunk->vram->lru);
	gsvm_chunk_settle_locked(chunk);
	spin_unlock_irqrestore(&chunk->vram->lock, flags);
}

/**
 * gsvm_vram_used_pfns() - list the pages of a chunk
 * @chunk: chunk from gsvm_vram_victim(): none is added, some may go
 * @pfn: out, GSVM_CHUNK_PAGES entries: their frames, ascending
 *
 * Return: how many.
 */
unsigned int gsvm_vram_used_pfns(struct gsvm_vram_chunk *chunk, unsigned long *pfn)
{
	struct gsvm_vram *vram = chunk->vram;
	unsigned long base = gsvm_chunk_pfn(chunk), flags;
	unsigned int i, n = 0;

	spin_lock_irqsave(&vram->lock, flags);
	for_each_set_bit(i, chunk->used, GSVM_CHUNK_PAGES)
		if (base + i < vram->first_pfn + vram->nr_pages - GSVM_VRAM_KEPT)
			pfn[n++] = base + i;
	spin_unlock_irqrestore(&vram->lock, flags);
	return n;
}

/**
 * gsvm_vram_is_whole() - is a chunk one 2 MiB page
 * @chunk: chunk from gsvm_vram_victim(): it can be split at any time, but nothing
 *	becomes whole in it
 *
 * Return: whether it was at the time of the call.
 */
bool gsvm_vram_is_whole(struct gsvm_vram_chunk *chunk)
{
	struct gsvm_vram *vram = chunk->vram;
	unsigned long flags;
	bool whole;

	spin_lock_irqsave(&vram->lock, flags);
	whole = chunk->use == GSVM_CHUNK_OWNED && bitmap_full(chunk->used, GSVM_CHUNK_PAGES) &&
		folio_test_large(page_folio(pfn_to_page(gsvm_chunk_pfn(chunk))));
	spin_unlock_irqrestore(&vram->lock, flags);
	return whole;
}

/**
 * gsvm_vram_free_bytes() - how much VRAM is free
 * @vram: VRAM
 *
 * Return: bytes, single pages in used chunks included.
 */
u64 gsvm_vram_free_bytes(struct gsvm_vram *vram)
{
	u64 used = 0;
	unsigned int i;

	for (i = 0; i < vram->nr_chunks; i++)
		used += READ_ONCE(vram->chunk[i].nr_used);
	return (vram->nr_pages - used) << PAGE_SHIFT;
}

static void gsvm_vram_release_memory(void *data)
{
	struct gsvm_vram *vram = data;
	unsigned int i;

	for (i = 0; i < vram->nr_chunks; i++)
		if (vram->chunk[i].buddy)
			gpu_buddy_free_block(&vram->buddy, vram->chunk[i].buddy);
	gpu_buddy_fini(&vram->buddy);
	mutex_destroy(&vram->buddy_lock);
}

/**
 * gsvm_vram_chunks_init() - divide VRAM into chunks
 * @vram: VRAM, its size known; undone with the device's resources
 *
 * The last chunk is never the buddy's: the driver's own pages are in it.
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_vram_chunks_init(struct gsvm_vram *vram)
{
	struct gsvm_vram_chunk *last = &vram->chunk[vram->nr_chunks - 1];
	unsigned int i;
	int ret;

	spin_lock_init(&vram->lock);
	INIT_LIST_HEAD(&vram->free);
	INIT_LIST_HEAD(&vram->lru);
	INIT_LIST_HEAD(&vram->partial);
	for (i = 0; i < vram->nr_chunks; i++) {
		vram->chunk[i].vram = vram;
		INIT_LIST_HEAD(&vram->chunk[i].link);
		INIT_LIST_HEAD(&vram->chunk[i].partial);
	}
	bitmap_set(last->used, GSVM_CHUNK_PAGES - GSVM_VRAM_KEPT, GSVM_VRAM_KEPT);
	last->nr_used = GSVM_VRAM_KEPT;
	last->nr_kept = GSVM_VRAM_KEPT;
	last->use = GSVM_CHUNK_MIXED;
	list_add_tail(&last->link, &vram->lru);
	list_add_tail(&last->partial, &vram->partial);
	vram->nr_free = vram->nr_chunks - 1;

	mutex_init(&vram->buddy_lock);
	ret = gpu_buddy_init(&vram->buddy, (u64)vram->nr_free * GSVM_BLOCK_SIZE, GSVM_BLOCK_SIZE);
	if (ret)
		return ret;
	return devm_add_action_or_reset(&vram->gdev->pdev->dev, gsvm_vram_release_memory, vram);
}
