// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Page table
 *
 * What the entries of the device's page table mean and how they may change
 * while the device reads them. This file knows nothing of processes, pages or
 * locks above it; the KUnit suite drives it without a device.
 *
 * Directories (levels 3 and 2, and the level 1 tables they point to) only ever
 * grow and are freed with the address space: 4 KiB per GiB of address space in
 * use, for which no invalidation ever has to think about them. The level 1
 * entry of a block, its *slot*, and the level 0 table behind it belong to the
 * block (gsvm_block.c).
 *
 * The device sets A and D in leaves by compare-exchange, at any time while the
 * entry is valid, and never in an entry that is not. So an exchange that makes
 * an entry invalid returns the final word on D: a write through a TLB entry
 * that did not have D yet has to set D in the table first, and fails to.
 *
 * Sixteen aligned level 0 entries may carry CONT and then map 64 KiB together.
 * The device may keep A and D of the group in any one of them, and a write
 * through a cached 64 KiB translation sets no further D. Before a member
 * changes, the group is broken: CONT goes from all sixteen and a D found in
 * any goes to all. A TLB entry of the group lives on until an invalidation
 * touches it, which the change of the member brings.
 */

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include "gsvm_pt.h"

/**
 * struct gsvm_pt_dir - a table of level 3 or 2, or the level 1 table below
 * @table: what the device sees
 * @child: directories behind the entries; NULL in a level 1 table
 */
struct gsvm_pt_dir {
	struct gsvm_pt_table table;
	struct gsvm_pt_dir **child;
};

static_assert(GSVM_PT_ENTRIES * sizeof(u64) == SZ_4K);
static_assert(GSVM_BLOCK_PAGES == GSVM_PT_ENTRIES);
static_assert(GSVM_PTE_SW & GSVM_PTE_SW_ZOMBIE);

/**
 * gsvm_pt_table_init() - allocate one table, all entries invalid
 * @dev: device that reads it
 * @table: filled in
 *
 * Context: process, may sleep and enter reclaim.
 * Return: 0 or -ENOMEM.
 */
int gsvm_pt_table_init(struct device *dev, struct gsvm_pt_table *table)
{
	table->entry = dma_alloc_coherent(dev, SZ_4K, &table->dma, GFP_KERNEL | __GFP_NOWARN);
	return table->entry ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pt_table_init);

/**
 * gsvm_pt_table_fini() - free a table
 * @dev: as for gsvm_pt_table_init()
 * @table: table; may be one that was never initialised
 *
 * The device must have no way to it, its walk caches included.
 */
void gsvm_pt_table_fini(struct device *dev, struct gsvm_pt_table *table)
{
	if (table->entry)
		dma_free_coherent(dev, SZ_4K, table->entry, table->dma);
	table->entry = NULL;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pt_table_fini);

static size_t gsvm_pt_dir_bytes(unsigned int level)
{
	return SZ_4K + sizeof(struct gsvm_pt_dir) +
	       (level > 1 ? GSVM_PT_ENTRIES * sizeof(struct gsvm_pt_dir *) : 0);
}

static void gsvm_pt_dir_free(struct gsvm_pt *pt, struct gsvm_pt_dir *dir, unsigned int level)
{
	unsigned int i;

	if (level > 1)
		for (i = 0; i < GSVM_PT_ENTRIES; i++)
			if (dir->child[i])
				gsvm_pt_dir_free(pt, dir->child[i], level - 1);
	gsvm_pt_table_fini(pt->dev, &dir->table);
	kvfree(dir->child);
	kfree(dir);
	pt->bytes -= gsvm_pt_dir_bytes(level);
}

static struct gsvm_pt_dir *gsvm_pt_dir_alloc(struct gsvm_pt *pt, unsigned int level)
{
	struct gsvm_pt_dir *dir = kzalloc_obj(*dir);

	if (!dir)
		return NULL;
	if (level > 1) {
		dir->child = kvcalloc(GSVM_PT_ENTRIES, sizeof(dir->child[0]), GFP_KERNEL);
		if (!dir->child)
			goto err_dir;
	}
	if (gsvm_pt_table_init(pt->dev, &dir->table))
		goto err_child;
	pt->bytes += gsvm_pt_dir_bytes(level);
	return dir;

err_child:
	kvfree(dir->child);
err_dir:
	kfree(dir);
	return NULL;
}

/**
 * gsvm_pt_init() - make an empty page table
 * @pt: page table
 * @dev: device that will walk it
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_pt_init(struct gsvm_pt *pt, struct device *dev)
{
	pt->dev = dev;
	pt->bytes = 0;
	mutex_init(&pt->lock);
	pt->root = gsvm_pt_dir_alloc(pt, GSVM_PT_LEVELS - 1);
	return pt->root ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pt_init);

/**
 * gsvm_pt_fini() - free all directories
 * @pt: page table; may be one whose gsvm_pt_init() failed
 *
 * The device must have no way to them. Slots that gsvm_pt_slot() handed out
 * are gone; level 0 tables are the blocks' to free.
 */
void gsvm_pt_fini(struct gsvm_pt *pt)
{
	mutex_lock(&pt->lock);
	if (pt->root)
		gsvm_pt_dir_free(pt, pt->root, GSVM_PT_LEVELS - 1);
	pt->root = NULL;
	mutex_unlock(&pt->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pt_fini);

/**
 * gsvm_pt_root() - bus address of the root table
 * @pt: page table
 *
 * Return: what the context table entry points to.
 */
dma_addr_t gsvm_pt_root(const struct gsvm_pt *pt)
{
	return pt->root->table.dma;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pt_root);

static unsigned int gsvm_pt_index(u64 va, unsigned int level)
{
	return (va >> GSVM_PT_SHIFT(level)) & (GSVM_PT_ENTRIES - 1);
}

/**
 * gsvm_pt_slot() - find or make the level 1 entry that covers an address
 * @pt: page table
 * @va: GPU virtual address, below 2^48
 * @slot: out; stays good until gsvm_pt_fini()
 *
 * Context: process, may sleep and enter reclaim.
 * Return: 0; -ENOMEM; -ENODEV after gsvm_pt_fini().
 */
int gsvm_pt_slot(struct gsvm_pt *pt, u64 va, u64 **slot)
{
	struct gsvm_pt_dir *dir;
	unsigned int level;
	int ret = 0;

	mutex_lock(&pt->lock);
	dir = pt->root;
	if (!dir) {
		ret = -ENODEV;
		goto out;
	}
	for (level = GSVM_PT_LEVELS - 1; level > 1; level--) {
		unsigned int i = gsvm_pt_index(va, level);

		if (!dir->child[i]) {
			struct gsvm_pt_dir *child = gsvm_pt_dir_alloc(pt, level - 1);

			if (!child) {
				ret = -ENOMEM;
				goto out;
			}
			dir->child[i] = child;
			/* The zeroed table is visible before the way to it. */
			smp_store_release(&dir->table.entry[i],
					  gsvm_pte_make_table(child->table.dma));
		}
		dir = dir->child[i];
	}
	*slot = &dir->table.entry[gsvm_pt_index(va, 1)];
out:
	mutex_unlock(&pt->lock);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pt_slot);

/**
 * gsvm_pte_make() - a 4 KiB leaf
 * @addr: bus address of the page
 * @rights: GSVM_PTE_R, _W, _X, _AT; and GSVM_PTE_KIND_VRAM if @addr is an offset
 *	in VRAM
 *
 * Return: the entry, A and D clear.
 */
u64 gsvm_pte_make(dma_addr_t addr, u64 rights)
{
	return GSVM_PTE_V | GSVM_PTE_LEAF | GSVM_PTE_KIND_BUS | rights | (addr & GSVM_PTE_ADDR);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_make);

/**
 * gsvm_pte_make_huge() - a 2 MiB leaf for level 1
 * @addr: bus address, a multiple of 2 MiB
 * @rights: as for gsvm_pte_make()
 *
 * Return: the entry, A and D clear.
 */
u64 gsvm_pte_make_huge(dma_addr_t addr, u64 rights)
{
	return gsvm_pte_make(addr & ~(dma_addr_t)(GSVM_BLOCK_SIZE - 1), rights);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_make_huge);

/**
 * gsvm_pte_make_table() - a directory entry
 * @addr: bus address of the table below
 *
 * Return: the entry.
 */
u64 gsvm_pte_make_table(dma_addr_t addr)
{
	return GSVM_PTE_V | GSVM_PTE_KIND_BUS | (addr & GSVM_PTE_ADDR);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_make_table);

/**
 * gsvm_pte_zap() - make a leaf invalid
 * @pte: entry of level 0 without CONT, or a 2 MiB leaf
 * @zombie: keep the address and mark it GSVM_PTE_SW_ZOMBIE, for the DMA unmap
 *	that follows the flush; else the entry becomes 0
 *
 * Return: whether the device has written the page (final, see DOC: Page table).
 */
bool gsvm_pte_zap(u64 *pte, bool zombie)
{
	u64 old = READ_ONCE(*pte);
	u64 new;

	do {
		new = zombie ? (old & (GSVM_PTE_ADDR | GSVM_PTE_LEAF)) | GSVM_PTE_SW_ZOMBIE : 0;
	} while (!try_cmpxchg(pte, &old, new));
	return old & GSVM_PTE_D;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_zap);

/**
 * gsvm_pte_write_protect() - take the rights to write from a leaf
 * @pte: entry of level 0 without CONT, or a 2 MiB leaf; valid
 *
 * Return: whether the device has written the page; the entry is clean after.
 */
bool gsvm_pte_write_protect(u64 *pte)
{
	u64 old = READ_ONCE(*pte);

	do {
		if (!(old & (GSVM_PTE_W | GSVM_PTE_AT | GSVM_PTE_D)))
			return false;
	} while (!try_cmpxchg(pte, &old, old & ~(GSVM_PTE_W | GSVM_PTE_AT | GSVM_PTE_D)));
	return old & GSVM_PTE_D;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_write_protect);

/**
 * gsvm_pte_upgrade() - add rights to a valid leaf
 * @pte: entry of level 0 without CONT, or a 2 MiB leaf; valid
 * @rights: rights to add
 *
 * Needs no invalidation: a TLB that misses a right walks again.
 */
void gsvm_pte_upgrade(u64 *pte, u64 rights)
{
	u64 old = READ_ONCE(*pte);

	while (!try_cmpxchg(pte, &old, old | rights))
		;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_upgrade);

/**
 * gsvm_pte_age() - take the accessed bit from a valid leaf
 * @pte: entry of level 0, or a 2 MiB leaf
 *
 * In a 64 KiB group the device may keep the bit in any member, so ask them all.
 *
 * Return: whether it was set.
 */
bool gsvm_pte_age(u64 *pte)
{
	u64 old = READ_ONCE(*pte);

	do {
		if (!(old & GSVM_PTE_A) || !gsvm_pte_valid(old))
			return false;
	} while (!try_cmpxchg(pte, &old, old & ~GSVM_PTE_A));
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_age);

/**
 * gsvm_pte_cont_break() - break the 64 KiB group around an entry, if it is one
 * @table: level 0 table
 * @index: any entry of the group
 *
 * Return: whether there was a group.
 */
bool gsvm_pte_cont_break(u64 *table, unsigned int index)
{
	unsigned int first = round_down(index, GSVM_CONT_PAGES);
	u64 dirty = 0;
	unsigned int i;

	if (!(READ_ONCE(table[index]) & GSVM_PTE_CONT))
		return false;

	for (i = first; i < first + GSVM_CONT_PAGES; i++) {
		u64 old = READ_ONCE(table[i]);

		while (!try_cmpxchg(&table[i], &old, old & ~GSVM_PTE_CONT))
			;
		dirty |= old & GSVM_PTE_D;
	}
	/*
	 * A cached 64 KiB translation with write rights got them by a D that
	 * was set before CONT went from that entry, or fails to set it now.
	 */
	if (dirty)
		for (i = first; i < first + GSVM_CONT_PAGES; i++)
			gsvm_pte_upgrade(&table[i], GSVM_PTE_D);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_cont_break);

/**
 * gsvm_pte_cont_make() - make a 64 KiB group if sixteen entries allow it
 * @table: level 0 table
 * @index: any entry of the group
 *
 * They do when all are valid, equal in rights, and one after the other in
 * memory from an address that is a multiple of 64 KiB.
 *
 * Return: whether the group is one now.
 */
bool gsvm_pte_cont_make(u64 *table, unsigned int index)
{
	const u64 hw = GSVM_PTE_A | GSVM_PTE_D | GSVM_PTE_CONT;
	unsigned int first = round_down(index, GSVM_CONT_PAGES);
	u64 base = READ_ONCE(table[first]) & ~hw;
	unsigned int i;

	if (!gsvm_pte_valid(base) || !IS_ALIGNED(base & GSVM_PTE_ADDR, SZ_64K))
		return false;
	for (i = 1; i < GSVM_CONT_PAGES; i++)
		if ((READ_ONCE(table[first + i]) & ~hw) != base + i * SZ_4K)
			return false;
	for (i = first; i < first + GSVM_CONT_PAGES; i++)
		gsvm_pte_upgrade(&table[i], GSVM_PTE_CONT);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_pte_cont_make);
