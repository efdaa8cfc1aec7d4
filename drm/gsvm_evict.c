// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Eviction
 *
 * Takes the least recently used chunks of VRAM from whoever has them, by
 * physical address: the pages are found by their frame numbers, unmapped
 * through the kernel's reverse map, copied, and mapped again as system memory.
 * The owners' mmap locks, their being stopped or on their way out do not
 * matter. MMU notifiers take the pages from the GPU as for any other unmapping.
 *
 * It happens in the background as soon as few chunks are free, and directly by
 * a service that finds none, for at most GSVM_EVICT_TRIES chunks; if that does
 * not help, the memory that was to move stays where it is.
 *
 * Each page's unmapping calls the notifiers, and each call that takes something
 * from the device has it flush its TLB and waits: 512 times for a chunk. So before,
 * the entries of the block that the chunk belongs to are taken all at once, with
 * one flush; the notifiers find nothing then. This is no invalidation: a fault may
 * map a page again before the kernel has unmapped it, and its notifier takes it.
 * That the pages have left is told to the block's policy, too.
 *
 * A page that somebody has locked is passed over; it stays in the chunk, and
 * the chunk goes to the end of the queue.
 *
 * A 2 MiB page is different: it may leave in one piece only if nobody can unmap it
 * meanwhile (gsvm_guard.c), and can be split, if it may not or if there is no system
 * memory in one piece, only through an address space. So it is looked for where the
 * chunk's owner is, with the owner's mmap lock if that can be had at once. If it
 * cannot, because the owner changes its mappings just now, or is on its way out and
 * will free the page by itself, another chunk is taken instead; also when the page is
 * there and does not come, and while munmap() might be at work, which takes its mapping
 * out of sight before it takes the pages. What is known of the owner may be old:
 * mremap() has taken the page elsewhere, its VM is gone, a forked child is all that is
 * left. A page that is not found there goes by physical address as well, and *is not
 * guarded*: if its process unmaps it in this very moment, the kernel's mistake takes
 * effect. The evacuation at the driver's end goes through the address spaces of all VMs
 * in addition (gsvm_prefetch_all_out()).
 *
 * Which chunk was used is asked before the choice: the device sets accessed bits
 * in the page tables, gsvm_vm_age_all() collects them.
 *
 * Locks: none while copying, but those of the pages, and the mmap lock (never waited
 * for, and held for reading) of who owns a 2 MiB page. A thread that evicts may hold
 * nothing that reclaim or an MMU notifier needs.
 */

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <drm/drm_print.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_evict.h"
#include "gsvm_look.h"
#include "gsvm_lost.h"
#include "gsvm_mirror.h"
#include "gsvm_move.h"
#include "gsvm_policy.h"
#include "gsvm_prefetch.h"
#include "gsvm_trace.h"
#include "gsvm_transit.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_chunk.h"
#include "gsvm_vram_page.h"
#include "gsvm_xfer.h"

/* Chunks that one service evicts before it goes on without VRAM. */
#define GSVM_EVICT_TRIES	4

/* Between two looks at what the device uses, in milliseconds. */
#define GSVM_EVICT_AGE		20

/* Evacuation: how long it waits between rounds, and when it says so, in milliseconds. */
#define GSVM_EVICT_PAUSE	10
#define GSVM_EVICT_COMPLAIN	10000

/**
 * struct gsvm_eviction - one chunk on its way out
 * @src: what migrate_device_pfns() works on
 * @dst: where it goes
 * @huge: system memory for a 2 MiB page, not yet in @dst; or NULL
 * @xfer: the copies
 */
struct gsvm_eviction {
	unsigned long src[GSVM_CHUNK_PAGES];
	unsigned long dst[GSVM_CHUNK_PAGES];
	struct folio *huge;
	struct gsvm_xfer *xfer;
};

static void gsvm_eviction_free(struct gsvm_eviction *ev)
{
	if (!ev)
		return;
	gsvm_xfer_free(ev->xfer);
	kvfree(ev);
}

static struct gsvm_eviction *gsvm_eviction_alloc(void)
{
	struct gsvm_eviction *ev = kvzalloc_obj(*ev, GFP_KERNEL | __GFP_NOWARN);

	if (!ev)
		return NULL;
	ev->xfer = gsvm_xfer_alloc(GSVM_CHUNK_PAGES, GFP_KERNEL);
	if (!ev->xfer) {
		kvfree(ev);
		return NULL;
	}
	return ev;
}

/* System memory for one folio, locked. */
static struct folio *gsvm_evict_alloc(unsigned int order)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NOWARN;
	struct folio *folio;

	if (order)
		gfp |= __GFP_RETRY_MAYFAIL;
	folio = folio_alloc(gfp, order);
	if (folio)
		folio_lock(folio);
	return folio;
}

/*
 * A 2 MiB page cannot be split on this way. Without memory for it, it is not unmapped,
 * only to be put back: see also DOC: Splitting.
 */
static bool gsvm_eviction_begin(struct gsvm_eviction *ev, struct gsvm_vram_chunk *chunk)
{
	ev->huge = NULL;
	if (!gsvm_vram_is_whole(chunk))
		return true;
	ev->huge = gsvm_evict_alloc(HPAGE_PMD_ORDER);
	return ev->huge;
}

/* The page has gone by itself. */
static void gsvm_eviction_end(struct gsvm_eviction *ev)
{
	if (!ev->huge)
		return;
	folio_unlock(ev->huge);
	folio_put(ev->huge);
}

static struct folio *gsvm_eviction_place(struct gsvm_eviction *ev, unsigned int order)
{
	struct folio *huge = ev->huge;

	if (order != HPAGE_PMD_ORDER || !huge)
		return gsvm_evict_alloc(order);
	ev->huge = NULL;
	return huge;
}

/* Give each page a place to go and begin to copy. */
static void gsvm_eviction_prepare(struct gsvm_vram *vram, struct gsvm_eviction *ev, unsigned int n)
{
	unsigned int i;

	gsvm_xfer_start(ev->xfer, vram, false);
	for (i = 0; i < n; i++) {
		struct page *page = migrate_pfn_to_page(ev->src[i]);
		struct folio *from, *to;

		ev->dst[i] = 0;
		if (!page || !(ev->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		from = page_folio(page);
		to = gsvm_eviction_place(ev, folio_order(from));
		if (!to)
			continue;
		ev->dst[i] = migrate_pfn(folio_pfn(to));
		if (folio_test_large(to))
			ev->dst[i] |= MIGRATE_PFN_COMPOUND;
		gsvm_xfer_add(ev->xfer, to, gsvm_vram_offset(vram, page_to_pfn(page)),
			      folio_size(from));
	}
	gsvm_xfer_go(ev->xfer);
}

/* How many pages have gone. */
static unsigned int gsvm_eviction_count(struct gsvm_eviction *ev, unsigned int n)
{
	unsigned int i, gone = 0;

	for (i = 0; i < n; i++) {
		struct page *page = migrate_pfn_to_page(ev->dst[i]);

		if (!page || !(ev->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		gone += folio_nr_pages(page_folio(page));
	}
	return gone;
}

/*
 * The block that a chunk belongs to, and its address space, which is to be put after
 * it; with references. NULL if there is none, or not any more.
 */
static struct gsvm_block *gsvm_evict_block(struct gsvm_vram_chunk *chunk, struct gsvm_vm **vm)
{
	struct gsvm_block *block;

	if (chunk->use != GSVM_CHUNK_OWNED)
		return NULL;
	*vm = gsvm_vm_lookup_asid(chunk->vram->gdev, chunk->asid);
	if (!*vm)
		return NULL;
	block = gsvm_mirror_block_lookup((*vm)->mirror, chunk->start);
	if (block && block == READ_ONCE(chunk->owner))
		return block;
	if (block)
		gsvm_block_put(block);
	gsvm_vm_put(*vm);
	return NULL;
}

/* Take a chunk's pages from the device, if it is known by what it reaches them. */
static void gsvm_evict_detach(struct gsvm_vram_chunk *chunk)
{
	struct gsvm_vram *vram = chunk->vram;
	DECLARE_BITMAP(used, GSVM_CHUNK_PAGES);
	struct gsvm_block *block;
	unsigned int first, end;
	struct gsvm_vm *vm;
	unsigned long flags;

	block = gsvm_evict_block(chunk, &vm);
	if (!block)
		return;
	spin_lock_irqsave(&vram->lock, flags);
	bitmap_copy(used, chunk->used, GSVM_CHUNK_PAGES);
	spin_unlock_irqrestore(&vram->lock, flags);

	mutex_lock(&block->lock);
	if (block->slot)
		for_each_set_bitrange(first, end, used, GSVM_CHUNK_PAGES)
			gsvm_block_zap(block, first, end - 1, false);
	mutex_unlock(&block->lock);
	gsvm_block_settle(block);
	gsvm_policy_evicted(block, atomic64_inc_return(&vram->turns));
	gsvm_block_put(block);
	gsvm_vm_put(vm);
}

/* Bring a block's pages back; mmap_lock held. */
static unsigned int gsvm_evict_block_out(struct gsvm_vram *vram, struct gsvm_block *block,
					 struct mm_struct *mm)
{
	struct vm_area_struct *vma = vma_lookup(mm, block->start);
	struct gsvm_move *move;
	unsigned int moved;

	if (!vma || !vma_is_anonymous(vma) || vma->vm_end - block->start < GSVM_BLOCK_SIZE)
		return 0;
	move = gsvm_move_get(vram);
	if (!move)
		return 0;
	gsvm_move_out(move, vma, block->start, block->start + GSVM_BLOCK_SIZE, &moved);
	gsvm_move_put(move);
	return moved;
}

/* Is a chunk's 2 MiB page mapped, as one, where its block is; mmap_lock held. */
static bool gsvm_evict_is_there(struct gsvm_vram_chunk *chunk, struct gsvm_block *block,
				struct mm_struct *mm)
{
	struct vm_area_struct *vma = vma_lookup(mm, block->start);
	struct gsvm_vram *vram = chunk->vram;
	struct gsvm_look_found found;
	struct gsvm_move *move;
	unsigned long pfn;
	bool there;
	int ret;

	if (!vma || vma->vm_end - block->start < GSVM_BLOCK_SIZE)
		return false;
	move = gsvm_move_get(vram);
	if (!move)
		return true;
	ret = gsvm_look_at(&move->look, block, vram, block->start, block->start + PAGE_SIZE,
			   &found);
	pfn = move->look.pfn[0];
	there = ret == -EBUSY ||
		(!ret && hmm_pfn_to_map_order(pfn) >= PMD_ORDER &&
		 gsvm_vram_chunk_has(chunk, pfn & ~HMM_PFN_FLAGS));
	gsvm_move_put(move);
	return there;
}

/*
 * Could a 2 MiB page that its owner's address space would not give be on its way out of
 * that? munmap() unmaps when its mapping cannot be found any more, with the mmap lock
 * held for reading: while it could be had for writing, nobody did.
 */
static bool gsvm_evict_must_wait(struct gsvm_vram_chunk *chunk, struct gsvm_block *block,
				 struct mm_struct *mm)
{
	bool there;

	/* The lock itself: no mapping will change. */
	if (!down_write_trylock(&mm->mmap_lock))
		return true;
	downgrade_write(&mm->mmap_lock);
	there = gsvm_evict_is_there(chunk, block, mm);
	mmap_read_unlock(mm);
	/* What was unmapped by then has gone. */
	return there || !gsvm_vram_is_whole(chunk);
}

/*
 * Evict a 2 MiB page through its owner's address space, and set *@gone to the pages
 * that have. Returns false if it is not there, and is not being unmapped there either.
 */
static bool gsvm_evict_whole(struct gsvm_vram_chunk *chunk, unsigned int *gone)
{
	struct gsvm_vram *vram = chunk->vram;
	struct gsvm_block *block;
	struct gsvm_vm *vm;
	bool found = true;

	*gone = 0;
	block = gsvm_evict_block(chunk, &vm);
	if (!block)
		return false;
	if (mmget_not_zero(vm->mm)) {
		if (mmap_read_trylock(vm->mm)) {
			*gone = gsvm_evict_block_out(vram, block, vm->mm);
			mmap_read_unlock(vm->mm);
			found = *gone || gsvm_evict_must_wait(chunk, block, vm->mm);
		}
		/* Whoever exits meanwhile has left the work to us, perhaps: not now. */
		mmput_async(vm->mm);
	}
	if (*gone)
		gsvm_policy_evicted(block, atomic64_inc_return(&vram->turns));
	gsvm_block_put(block);
	gsvm_vm_put(vm);
	return found;
}

/* Take a chunk from its owners by physical address. Returns the pages that have gone. */
static unsigned int gsvm_evict_pages(struct gsvm_vram_chunk *chunk, struct gsvm_eviction *ev)
{
	struct gsvm_vram *vram = chunk->vram;
	unsigned int n, gone;
	bool lost;

	if (!gsvm_eviction_begin(ev, chunk))
		return 0;
	gsvm_evict_detach(chunk);
	memset(ev->src, 0, sizeof(ev->src));
	n = gsvm_vram_used_pfns(chunk, ev->src);
	migrate_device_pfns(ev->src, n);
	gsvm_eviction_prepare(vram, ev, n);
	lost = gsvm_xfer_wait(ev->xfer);
	if (lost)
		gsvm_lost_fill(vram, ev->dst, n);
	migrate_device_pages(ev->src, ev->dst, n);
	gone = gsvm_eviction_count(ev, n);
	migrate_device_finalize(ev->src, ev->dst, n);
	if (lost)
		gsvm_lost_poison(ev->src, ev->dst, n);
	gsvm_eviction_end(ev);
	return gone;
}

/* Take a chunk, which is a victim, from its owners. Returns the pages that have gone. */
static unsigned int gsvm_evict_chunk(struct gsvm_vram_chunk *chunk, struct gsvm_eviction *ev)
{
	struct gsvm_vram *vram = chunk->vram;
	unsigned int gone;

	gsvm_transit_begin_any();
	/* What a dead GPU has is saved, or given up, page by page. */
	if (gsvm_device_is_wedged(vram->gdev) || !gsvm_vram_is_whole(chunk) ||
	    !gsvm_evict_whole(chunk, &gone))
		gone = gsvm_evict_pages(chunk, ev);
	atomic64_add(gone, &vram->evicted);
	gsvm_transit_end_any();
	return gone;
}

/* Evict one chunk. Returns false if there is none, or none could be emptied. */
static bool gsvm_evict_one(struct gsvm_vram *vram, struct gsvm_eviction *ev)
{
	struct gsvm_vram_chunk *chunk = gsvm_vram_victim(vram);
	unsigned int gone;

	if (!chunk)
		return false;
	gone = gsvm_evict_chunk(chunk, ev);
	trace_gsvm_evict(vram->gdev, chunk - vram->chunk, gone, chunk->nr_used);
	gsvm_vram_victim_done(chunk);
	return gone;
}

/**
 * gsvm_evict_reserve() - get the chunk for a block, evicting others
 * @vram: VRAM
 * @owner: the block
 * @hint: chunk that it had last, or NULL
 *
 * Context: process, sleeps, allocates; no lock held.
 * Return: as for gsvm_vram_reserve().
 */
struct gsvm_vram_chunk *gsvm_evict_reserve(struct gsvm_vram *vram, struct gsvm_block *owner,
					   struct gsvm_vram_chunk *hint)
{
	struct gsvm_vram_chunk *chunk = gsvm_vram_reserve(vram, owner, hint);
	struct gsvm_eviction *ev;
	unsigned int try;

	if (chunk || READ_ONCE(vram->closing))
		return chunk;
	ev = gsvm_eviction_alloc();
	if (!ev)
		return NULL;
	for (try = 0; try < GSVM_EVICT_TRIES && !chunk; try++) {
		gsvm_evict_one(vram, ev);
		chunk = gsvm_vram_reserve(vram, owner, hint);
	}
	gsvm_eviction_free(ev);
	return chunk;
}

/**
 * gsvm_evict_work() - free chunks before they are needed
 * @work: &gsvm_vram.evict_work
 */
void gsvm_evict_work(struct work_struct *work)
{
	struct gsvm_vram *vram = container_of(work, struct gsvm_vram, evict_work);
	unsigned long next_age = jiffies;
	struct gsvm_eviction *ev = gsvm_eviction_alloc();

	if (!ev)
		return;
	while (gsvm_vram_low(vram, GSVM_EVICT_AHEAD) && !READ_ONCE(vram->closing)) {
		if (time_after_eq(jiffies, next_age)) {
			gsvm_vm_age_all(vram->gdev);
			next_age = jiffies + msecs_to_jiffies(GSVM_EVICT_AGE);
		}
		if (!gsvm_evict_one(vram, ev))
			break;
	}
	gsvm_eviction_free(ev);
}

/* Evict everything that can be evicted now. Returns whether nothing is left. */
static bool gsvm_evict_round(struct gsvm_vram *vram, struct gsvm_eviction *ev)
{
	unsigned int i;

	for (i = 0; i < vram->nr_chunks; i++) {
		struct gsvm_vram_chunk *chunk = &vram->chunk[i];
		unsigned long flags;
		bool busy;

		spin_lock_irqsave(&vram->lock, flags);
		busy = chunk->use != GSVM_CHUNK_FREE && !chunk->evicting;
		if (busy) {
			chunk->evicting = true;
			chunk->pins++;
		}
		spin_unlock_irqrestore(&vram->lock, flags);
		if (!busy)
			continue;
		gsvm_evict_chunk(chunk, ev);
		gsvm_vram_victim_done(chunk);
	}
	for (i = 0; i < vram->nr_chunks; i++)
		if (READ_ONCE(vram->chunk[i].pins) ||
		    READ_ONCE(vram->chunk[i].nr_used) != vram->chunk[i].nr_kept)
			return false;
	return true;
}

/**
 * gsvm_evict_all() - empty VRAM for good
 * @vram: VRAM, closing
 *
 * Context: process, sleeps; until every page has been let go.
 */
void gsvm_evict_all(struct gsvm_vram *vram)
{
	unsigned long complain = jiffies + msecs_to_jiffies(GSVM_EVICT_COMPLAIN);
	struct gsvm_eviction *ev;

	for (;;) {
		ev = gsvm_eviction_alloc();
		if (ev && gsvm_evict_round(vram, ev))
			break;
		gsvm_eviction_free(ev);
		gsvm_prefetch_all_out(vram->gdev);
		if (time_after(jiffies, complain)) {
			drm_warn(&vram->gdev->drm,
				 "still %llu bytes of VRAM in use, waiting for them\n",
				 ((u64)vram->nr_pages << PAGE_SHIFT) - gsvm_vram_free_bytes(vram));
			complain = jiffies + msecs_to_jiffies(GSVM_EVICT_COMPLAIN);
		}
		msleep(GSVM_EVICT_PAUSE);
	}
	gsvm_eviction_free(ev);
}
