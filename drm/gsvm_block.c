// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Blocks
 *
 * The state of one block, 2 MiB of address space, and of every page in it: how
 * entries, page frames, DMA mappings and the dirty state of pages go together.
 * When to map and when to take away is not decided here (gsvm_populate.c,
 * gsvm_mirror.c).
 *
 * A block maps any mix of present and absent pages through its level 0 table,
 * or all of it with one 2 MiB leaf. The memory that a table takes (8 KiB) is
 * allocated before the block's lock is taken.
 *
 * A page in the mirror goes through these states:
 *
 * - *absent*: entry 0.
 * - *mapped*: entry valid; the DMA mapping belongs to the entry. No reference
 *   on the page is held: the CPU's page table holds it, and does not let go
 *   before the notifier's callbacks have returned. A page in VRAM is mapped by
 *   its offset and has no DMA mapping. Both kinds may be mixed in a block.
 * - *zombie*: entry not valid, address still in it. The TLB may still hold the
 *   translation, and an IOMMU must still translate. Only where DMA mappings
 *   have to be undone; elsewhere a page goes straight to absent.
 *
 * mapped becomes zombie by an invalidation's first pass, zombie becomes absent
 * when the flush is complete, in the second pass. Nothing becomes mapped while
 * any invalidation of the block is between its passes, because the notifier's
 * sequence forbids it. A service that zaps what has gone stale is no invalidation
 * and moves no sequence; therefore nothing becomes mapped while a block has
 * zombies at all. So a zombie never meets a new mapping.
 *
 * A page the device wrote (D) is marked dirty under the block's lock, in the
 * first pass. Under the lock, because another invalidation of the page, say by
 * reclaim, finds the entry gone and has nothing to do but take the lock and
 * wait for the flush: what it does next depends on the page's dirty state,
 * which has to be there by then.
 */

#include <linux/dma-mapping.h>
#include <linux/hmm.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_mirror.h"
#include "gsvm_vm.h"
#include "gsvm_vram_chunk.h"
#include "gsvm_vram_page.h"

static struct device *gsvm_block_dev(const struct gsvm_block *block)
{
	return block->mirror->vm->gdev->drm.dev;
}

/**
 * gsvm_block_table_alloc() - allocate what a block needs to map single pages
 * @mirror: mirror of the block
 *
 * Context: process, may sleep and enter reclaim; no block lock held.
 * Return: the table or NULL.
 */
struct gsvm_block_table *gsvm_block_table_alloc(struct gsvm_mirror *mirror)
{
	struct gsvm_block_table *table = kzalloc_obj(*table);

	if (!table)
		return NULL;
	if (gsvm_pt_table_init(mirror->vm->gdev->drm.dev, &table->pt)) {
		kfree(table);
		return NULL;
	}
	atomic64_add(sizeof(*table) + SZ_4K, &mirror->vm->stats.metadata_bytes);
	return table;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_table_alloc);

/**
 * gsvm_block_table_free() - free a block's table
 * @mirror: mirror of the block
 * @table: table that the device has no way to any more, or NULL
 */
void gsvm_block_table_free(struct gsvm_mirror *mirror, struct gsvm_block_table *table)
{
	if (!table)
		return;
	gsvm_pt_table_fini(mirror->vm->gdev->drm.dev, &table->pt);
	kfree(table);
	atomic64_sub(sizeof(*table) + SZ_4K, &mirror->vm->stats.metadata_bytes);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_table_free);

static u64 gsvm_block_rights(unsigned long hmm_pfn, bool exec)
{
	u64 rights = GSVM_PTE_R;

	if (hmm_pfn & HMM_PFN_WRITE)
		rights |= GSVM_PTE_W | GSVM_PTE_AT;
	if (exec)
		rights |= GSVM_PTE_X;
	return rights;
}

static unsigned long gsvm_block_frame(unsigned long hmm_pfn)
{
	return hmm_pfn & ~HMM_PFN_FLAGS;
}

/* @nr frames from @pfn on were written by the device; one folio or many. */
static void gsvm_block_mark_dirty(struct gsvm_block *block, unsigned long pfn, unsigned int nr)
{
	unsigned long end = pfn + nr;
	unsigned int noreclaim;

	/*
	 * A file system may allocate here. It must not reclaim for that: we
	 * hold the lock that reclaim's own invalidations take.
	 */
	noreclaim = memalloc_noreclaim_save();
	while (pfn < end) {
		struct folio *folio = pfn_folio(pfn);

		folio_mark_dirty(folio);
		pfn = folio_pfn(folio) + folio_nr_pages(folio);
	}
	memalloc_noreclaim_restore(noreclaim);
	atomic64_add(nr, &block->mirror->vm->stats.pages_dirtied);
}

/* In the VRAM of the block's own GPU. */
static bool gsvm_block_is_vram_page(const struct gsvm_block *block, const struct page *page)
{
	return gsvm_vram_owns(page) && gsvm_vram_of_page(page) == block->mirror->vm->gdev->vram;
}

/* Another device's memory is not reached the way RAM is. */
static bool gsvm_block_is_ram_page(const struct page *page)
{
	return !is_pci_p2pdma_page(page) && !is_device_private_page(page);
}

/**
 * gsvm_block_can_reach() - is a page of a kind that the device can reach
 * @block: block, for its GPU
 * @hmm_pfn: page as hmm_range_fault() left it
 *
 * Return: true if gsvm_block_map() can map it, given memory for the IOMMU's
 * tables.
 */
bool gsvm_block_can_reach(const struct gsvm_block *block, unsigned long hmm_pfn)
{
	const struct page *page;

	if (!(hmm_pfn & HMM_PFN_VALID))
		return false;
	page = hmm_pfn_to_page(hmm_pfn);
	return gsvm_block_is_ram_page(page) || gsvm_block_is_vram_page(block, page);
}

/*
 * The GPU and the CPU share the memory, with nothing in between: an error instead
 * of a bounce buffer. And a page may be mapped any number of times, as the zero
 * page is.
 */
#define GSVM_BLOCK_DMA_ATTRS	(DMA_ATTR_REQUIRE_COHERENT | DMA_ATTR_SKIP_CPU_SYNC)

/* DMA address of @size bytes of RAM from frame @pfn on, or DMA_MAPPING_ERROR. */
VISIBLE_IF_KUNIT dma_addr_t gsvm_block_dma_map(struct gsvm_block *block, unsigned long pfn,
					       size_t size)
{
	struct device *dev = gsvm_block_dev(block);
	struct page *page = pfn_to_page(pfn);
	dma_addr_t dma;

	KUNIT_STATIC_STUB_REDIRECT(gsvm_block_dma_map, block, pfn, size);

	if (!gsvm_block_is_ram_page(page))
		return DMA_MAPPING_ERROR;
	dma = dma_map_page_attrs(dev, page, 0, size, DMA_BIDIRECTIONAL, GSVM_BLOCK_DMA_ATTRS);
	if (dma_mapping_error(dev, dma))
		return DMA_MAPPING_ERROR;
	/* Unaligned does not fit an entry. */
	if (!IS_ALIGNED(dma, size) ||
	    (dma + size - 1) & ~(GSVM_PTE_ADDR | (SZ_4K - 1))) {
		dma_unmap_page_attrs(dev, dma, size, DMA_BIDIRECTIONAL, GSVM_BLOCK_DMA_ATTRS);
		return DMA_MAPPING_ERROR;
	}
	return dma;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_dma_map);

/*
 * Where the device finds @size bytes from frame @pfn on: address and, in *@kind,
 * GSVM_PTE_KIND_*; or DMA_MAPPING_ERROR.
 */
static dma_addr_t gsvm_block_target(struct gsvm_block *block, unsigned long pfn, size_t size,
				    u64 *kind)
{
	struct gsvm_vram *vram = block->mirror->vm->gdev->vram;

	if (gsvm_block_is_vram_page(block, pfn_to_page(pfn))) {
		*kind = GSVM_PTE_KIND_VRAM;
		gsvm_vram_touch(vram, pfn);
		return gsvm_vram_offset(vram, pfn);
	}
	*kind = GSVM_PTE_KIND_BUS;
	return gsvm_block_dma_map(block, pfn, size);
}

VISIBLE_IF_KUNIT void gsvm_block_dma_unmap(struct gsvm_block *block, u64 pte, size_t size)
{
	KUNIT_STATIC_STUB_REDIRECT(gsvm_block_dma_unmap, block, pte, size);

	dma_unmap_page_attrs(gsvm_block_dev(block), pte & GSVM_PTE_ADDR, size, DMA_BIDIRECTIONAL,
			     GSVM_BLOCK_DMA_ATTRS);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_dma_unmap);

static void gsvm_block_count(struct gsvm_block *block, int pages)
{
	struct gsvm_vm_stats *stats = &block->mirror->vm->stats;

	block->nr_mapped += pages;
	atomic64_add(pages, &stats->pages_now);
	if (pages > 0)
		atomic64_add(pages, &stats->pages_mapped);
}

static void gsvm_block_invalidate_tlb(struct gsvm_block *block, unsigned int first,
				      unsigned int last)
{
	block->flush = gsvm_tlb_add(gsvm_mirror_tlb(block->mirror),
				    block->start + ((u64)first << PAGE_SHIFT),
				    block->start + ((u64)(last + 1) << PAGE_SHIFT));
}

/**
 * gsvm_block_can_be_huge() - can one 2 MiB leaf map what was found
 * @block: block; locked or not, the answer concerns @pages only
 * @pages: what was found
 *
 * Return: true if all pages are there, in one aligned piece, with equal rights, and
 * nobody wants to know which of them the device uses.
 */
bool gsvm_block_can_be_huge(struct gsvm_block *block, const struct gsvm_block_pages *pages)
{
	const unsigned long flags = HMM_PFN_VALID | HMM_PFN_WRITE;
	unsigned long frame = gsvm_block_frame(pages->pfn[0]);
	unsigned long want = pages->pfn[0] & flags;
	unsigned int i;

	if (READ_ONCE(block->policy.watched))
		return false;
	if (!(want & HMM_PFN_VALID) || !IS_ALIGNED(frame, GSVM_BLOCK_PAGES))
		return false;
	if (!bitmap_empty(pages->exec, GSVM_BLOCK_PAGES) &&
	    !bitmap_full(pages->exec, GSVM_BLOCK_PAGES))
		return false;
	for (i = 1; i < GSVM_BLOCK_PAGES; i++)
		if (gsvm_block_frame(pages->pfn[i]) != frame + i ||
		    (pages->pfn[i] & flags) != want)
			return false;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_can_be_huge);

/*
 * Map the block with one leaf; it is empty, or is mapped so already and gets
 * more rights. Returns false if single pages have to do.
 */
static bool gsvm_block_map_huge(struct gsvm_block *block, const struct gsvm_block_pages *pages)
{
	unsigned long frame = gsvm_block_frame(pages->pfn[0]);
	u64 rights = gsvm_block_rights(pages->pfn[0], test_bit(0, pages->exec));
	dma_addr_t addr;
	u64 kind;

	if (block->state == GSVM_BLOCK_HUGE) {
		if (block->huge_pfn != frame)
			return false;
		gsvm_pte_upgrade(block->slot, rights);
		return true;
	}
	if (block->state != GSVM_BLOCK_EMPTY)
		return false;
	addr = gsvm_block_target(block, frame, GSVM_BLOCK_SIZE, &kind);
	if (addr == DMA_MAPPING_ERROR)
		return false;

	/*
	 * The device may have cached the way to an empty table that was here.
	 * Sent now, the invalidation takes effect before the resume.
	 */
	if (gsvm_pte_valid(gsvm_pte_read(block->slot))) {
		gsvm_block_invalidate_tlb(block, 0, GSVM_BLOCK_PAGES - 1);
		gsvm_tlb_send(gsvm_mirror_tlb(block->mirror), block->flush);
	}
	/* Pairs with the walk. */
	smp_store_release(block->slot, gsvm_pte_make_huge(addr, rights | kind));
	block->state = GSVM_BLOCK_HUGE;
	block->huge_pfn = frame;
	gsvm_block_count(block, GSVM_BLOCK_PAGES);
	atomic64_inc(&block->mirror->vm->stats.huge_mapped);
	return true;
}

/*
 * Map or upgrade page @i. Returns 1 if the entry changed, 0 if it was as wanted,
 * -EFAULT if the device cannot reach the page, -EAGAIN if another page is there.
 */
static int gsvm_block_map_page(struct gsvm_block *block, unsigned int i, unsigned long hmm_pfn,
			       bool exec)
{
	u64 *entry = block->table->pt.entry;
	unsigned long frame = gsvm_block_frame(hmm_pfn);
	u64 rights = gsvm_block_rights(hmm_pfn, exec);
	u64 old = gsvm_pte_read(&entry[i]);
	dma_addr_t addr;
	u64 kind;

	if (gsvm_pte_valid(old)) {
		/* A changed frame without an invalidation: the caller starts over. */
		if (block->table->pfn[i] != frame)
			return -EAGAIN;
		if ((old & rights) == rights)
			return 0;
		gsvm_pte_cont_break(entry, i);
		gsvm_pte_upgrade(&entry[i], rights);
		return 1;
	}

	addr = gsvm_block_target(block, frame, PAGE_SIZE, &kind);
	if (addr == DMA_MAPPING_ERROR)
		return -EFAULT;
	block->table->pfn[i] = frame;
	smp_store_release(&entry[i], gsvm_pte_make(addr, rights | kind)); /* pairs with the walk */
	gsvm_block_count(block, 1);
	return 1;
}

static int gsvm_block_map_table(struct gsvm_block *block, const struct gsvm_block_pages *pages)
{
	u64 way = gsvm_pte_make_table(block->table->pt.dma);
	unsigned long changed = 0;	/* one bit per 64 KiB */
	unsigned int i;
	int ret = 0;

	for (i = 0; i < GSVM_BLOCK_PAGES; i++) {
		int err;

		if (!(pages->pfn[i] & HMM_PFN_VALID))
			continue;
		err = gsvm_block_map_page(block, i, pages->pfn[i], test_bit(i, pages->exec));
		if (err == -EAGAIN)
			return err;
		/* A page that the device cannot reach does not hold up the others. */
		if (err < 0)
			ret = err;
		else if (err)
			__set_bit(i / GSVM_CONT_PAGES, &changed);
	}
	/* Sixteen entries in one would note an access to one of the sixteen only. */
	if (READ_ONCE(block->policy.watched))
		changed = 0;
	for_each_set_bit(i, &changed, GSVM_BLOCK_PAGES / GSVM_CONT_PAGES)
		gsvm_pte_cont_make(block->table->pt.entry, i * GSVM_CONT_PAGES);

	if (block->nr_mapped) {
		block->state = GSVM_BLOCK_PAGES_MAPPED;
		if (gsvm_pte_read(block->slot) != way)
			smp_store_release(block->slot, way); /* pairs with the walk */
	}
	return ret;
}

/**
 * gsvm_block_map() - map what a service found
 * @block: locked, not torn down, nothing invalidated since @pages was read
 * @pages: what was found; pages that are mapped already get missing rights
 *
 * The caller provides &gsvm_block.table unless gsvm_block_can_be_huge().
 *
 * Return: 0; -EFAULT if the device cannot reach some page; -EAGAIN if what is
 * mapped contradicts @pages, everything is unmapped then and the caller reads
 * anew; -ENOMEM if a table is needed and is not there.
 */
int gsvm_block_map(struct gsvm_block *block, const struct gsvm_block_pages *pages)
{
	int ret;

	lockdep_assert_held(&block->lock);

	if (gsvm_block_can_be_huge(block, pages) && gsvm_block_map_huge(block, pages))
		return 0;
	if (!block->table)
		return -ENOMEM;
	ret = block->state == GSVM_BLOCK_HUGE ? -EAGAIN : gsvm_block_map_table(block, pages);
	if (ret == -EAGAIN)
		gsvm_block_zap(block, 0, GSVM_BLOCK_PAGES - 1, false);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_map);

/**
 * gsvm_block_mapped() - which pages are mapped with a certain right
 * @block: locked, not torn down
 * @right: one of GSVM_PTE_R, _W, _X; what is mapped has the first one
 * @mapped: out, GSVM_BLOCK_PAGES bits
 */
void gsvm_block_mapped(struct gsvm_block *block, u64 right, unsigned long *mapped)
{
	unsigned int i;
	u64 pte;

	lockdep_assert_held(&block->lock);

	bitmap_zero(mapped, GSVM_BLOCK_PAGES);
	if (block->state == GSVM_BLOCK_HUGE && gsvm_pte_read(block->slot) & right)
		bitmap_fill(mapped, GSVM_BLOCK_PAGES);
	if (block->state != GSVM_BLOCK_PAGES_MAPPED)
		return;
	for (i = 0; i < GSVM_BLOCK_PAGES; i++) {
		pte = gsvm_pte_read(&block->table->pt.entry[i]);
		if (gsvm_pte_valid(pte) && pte & right)
			__set_bit(i, mapped);
	}
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_mapped);

/**
 * gsvm_block_allows() - are pages mapped with a certain right
 * @block: locked, not torn down
 * @pages: which ones, GSVM_BLOCK_PAGES bits
 * @right: one of GSVM_PTE_R, _W, _X
 *
 * Return: whether all of them are.
 */
bool gsvm_block_allows(struct gsvm_block *block, const unsigned long *pages, u64 right)
{
	unsigned int i;

	lockdep_assert_held(&block->lock);

	if (bitmap_empty(pages, GSVM_BLOCK_PAGES))
		return true;
	if (block->state == GSVM_BLOCK_HUGE)
		return gsvm_pte_read(block->slot) & right;
	if (block->state != GSVM_BLOCK_PAGES_MAPPED)
		return false;
	for_each_set_bit(i, pages, GSVM_BLOCK_PAGES) {
		u64 pte = gsvm_pte_read(&block->table->pt.entry[i]);

		if (!gsvm_pte_valid(pte) || !(pte & right))
			return false;
	}
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_allows);

/* Nothing has to be undone for a page in VRAM. */
static bool gsvm_block_zombie(const struct gsvm_block *block, u64 pte)
{
	return gsvm_mirror_need_unmap(block->mirror) && !gsvm_pte_in_vram(pte);
}

static unsigned int gsvm_block_zap_huge(struct gsvm_block *block)
{
	bool zombie = gsvm_block_zombie(block, gsvm_pte_read(block->slot));

	if (gsvm_pte_zap(block->slot, zombie))
		gsvm_block_mark_dirty(block, block->huge_pfn, GSVM_BLOCK_PAGES);
	block->nr_zombies += zombie;
	block->state = GSVM_BLOCK_EMPTY;
	gsvm_block_invalidate_tlb(block, 0, GSVM_BLOCK_PAGES - 1);
	gsvm_block_count(block, -GSVM_BLOCK_PAGES);
	return GSVM_BLOCK_PAGES;
}

/**
 * gsvm_block_zap() - take pages from the device
 * @block: locked, not torn down
 * @first: first page, 0..511
 * @last: last page, inclusive
 * @keep_vram: only pages in system memory
 *
 * A 2 MiB leaf goes as a whole, also for a part of it: what is left comes back
 * with the next fault. The caller waits for &gsvm_block.flush afterwards, and
 * then calls gsvm_block_bury().
 *
 * Return: pages that were mapped and are not any more.
 */
unsigned int gsvm_block_zap(struct gsvm_block *block, unsigned int first, unsigned int last,
			    bool keep_vram)
{
	unsigned int lowest = GSVM_BLOCK_PAGES, highest = 0, nr = 0, i;
	u64 *entry;

	lockdep_assert_held(&block->lock);

	if (block->state == GSVM_BLOCK_EMPTY)
		return 0;
	if (block->state == GSVM_BLOCK_HUGE) {
		if (keep_vram && gsvm_pte_in_vram(gsvm_pte_read(block->slot)))
			return 0;
		return gsvm_block_zap_huge(block);
	}

	entry = block->table->pt.entry;
	for (i = first; i <= last; i++) {
		u64 pte = gsvm_pte_read(&entry[i]);
		bool zombie = gsvm_block_zombie(block, pte);

		if (!gsvm_pte_valid(pte) || (keep_vram && gsvm_pte_in_vram(pte)))
			continue;
		gsvm_pte_cont_break(entry, i);
		if (gsvm_pte_zap(&entry[i], zombie))
			gsvm_block_mark_dirty(block, block->table->pfn[i], 1);
		block->nr_zombies += zombie;
		lowest = min(lowest, i);
		highest = i;
		nr++;
	}
	if (!nr)
		return 0;
	gsvm_block_count(block, -(int)nr);
	if (!block->nr_mapped)
		block->state = GSVM_BLOCK_EMPTY;
	gsvm_block_invalidate_tlb(block, lowest, highest);
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_zap);

/**
 * gsvm_block_write_protect() - take the right to write from pages
 * @block: locked, not torn down
 * @first: first page, 0..511
 * @last: last page, inclusive
 *
 * The caller waits for &gsvm_block.flush afterwards.
 *
 * Return: pages in the range that are mapped.
 */
unsigned int gsvm_block_write_protect(struct gsvm_block *block, unsigned int first,
				      unsigned int last)
{
	unsigned int lowest = GSVM_BLOCK_PAGES, highest = 0, nr = 0, i;
	u64 *entry;

	lockdep_assert_held(&block->lock);

	if (block->state == GSVM_BLOCK_EMPTY)
		return 0;
	if (block->state == GSVM_BLOCK_HUGE) {
		if (gsvm_pte_read(block->slot) & GSVM_PTE_W) {
			if (gsvm_pte_write_protect(block->slot))
				gsvm_block_mark_dirty(block, block->huge_pfn, GSVM_BLOCK_PAGES);
			gsvm_block_invalidate_tlb(block, 0, GSVM_BLOCK_PAGES - 1);
		}
		return GSVM_BLOCK_PAGES;
	}

	entry = block->table->pt.entry;
	for (i = first; i <= last; i++) {
		u64 pte = gsvm_pte_read(&entry[i]);

		if (!gsvm_pte_valid(pte))
			continue;
		nr++;
		if (!(pte & GSVM_PTE_W))
			continue;
		gsvm_pte_cont_break(entry, i);
		if (gsvm_pte_write_protect(&entry[i]))
			gsvm_block_mark_dirty(block, block->table->pfn[i], 1);
		lowest = min(lowest, i);
		highest = i;
	}
	if (lowest < GSVM_BLOCK_PAGES)
		gsvm_block_invalidate_tlb(block, lowest, highest);
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_write_protect);

/**
 * gsvm_block_bury() - undo the DMA mappings of all zombies
 * @block: locked, not torn down; &gsvm_block.flush has completed, or the device
 *	is cut off
 */
void gsvm_block_bury(struct gsvm_block *block)
{
	u64 slot = gsvm_pte_read(block->slot);
	unsigned int i;

	lockdep_assert_held(&block->lock);

	if (!block->nr_zombies)
		return;
	if (slot & GSVM_PTE_SW_ZOMBIE) {
		gsvm_block_dma_unmap(block, slot, GSVM_BLOCK_SIZE);
		WRITE_ONCE(*block->slot, 0);
		block->nr_zombies--;
	}
	for (i = 0; block->nr_zombies && i < GSVM_BLOCK_PAGES; i++) {
		u64 *pte = &block->table->pt.entry[i];

		if (!(gsvm_pte_read(pte) & GSVM_PTE_SW_ZOMBIE))
			continue;
		gsvm_block_dma_unmap(block, gsvm_pte_read(pte), PAGE_SIZE);
		WRITE_ONCE(*pte, 0);
		block->nr_zombies--;
	}
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_bury);

/**
 * gsvm_block_age() - tell VRAM what of it the device has used
 * @block: locked, not torn down
 *
 * Clears the accessed bits that it finds. A translation that is cached sets
 * them no more, so a page in steady use is seen again when its translation has
 * been replaced; this is enough to tell it from one that is not used at all.
 */
void gsvm_block_age(struct gsvm_block *block)
{
	struct gsvm_vram *vram = block->mirror->vm->gdev->vram;
	unsigned int i;

	lockdep_assert_held(&block->lock);

	if (block->state == GSVM_BLOCK_HUGE) {
		if (gsvm_pte_in_vram(gsvm_pte_read(block->slot)) && gsvm_pte_age(block->slot))
			gsvm_vram_touch(vram, block->huge_pfn);
		return;
	}
	if (block->state != GSVM_BLOCK_PAGES_MAPPED)
		return;
	for (i = 0; i < GSVM_BLOCK_PAGES; i++) {
		u64 *pte = &block->table->pt.entry[i];

		if (gsvm_pte_in_vram(gsvm_pte_read(pte)) && gsvm_pte_age(pte))
			gsvm_vram_touch(vram, block->table->pfn[i]);
	}
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_age);

/**
 * gsvm_block_used() - how much has the device used
 * @block: locked, not torn down
 *
 * Return: pages that are mapped by small entries and have been used since.
 */
unsigned int gsvm_block_used(struct gsvm_block *block)
{
	unsigned int i, used = 0;

	lockdep_assert_held(&block->lock);

	if (block->state != GSVM_BLOCK_PAGES_MAPPED)
		return 0;
	for (i = 0; i < GSVM_BLOCK_PAGES; i++) {
		u64 pte = gsvm_pte_read(&block->table->pt.entry[i]);

		used += gsvm_pte_valid(pte) && pte & GSVM_PTE_A;
	}
	return used;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_block_used);
