/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_PT_H
#define GSVM_PT_H

#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "gsvm_hw.h"

struct device;
struct gsvm_pt_dir;

/* A block is what one level-1 entry maps: 2 MiB, 512 pages. */
#define GSVM_BLOCK_SHIFT	21
#define GSVM_BLOCK_SIZE		SZ_2M
#define GSVM_BLOCK_PAGES	512

/* 16 pages, the unit of GSVM_PTE_CONT. */
#define GSVM_CONT_PAGES		16

/*
 * The software bit of an entry that is no longer valid but whose DMA mapping
 * is still there: it goes when no TLB can hold the translation any more.
 */
#define GSVM_PTE_SW_ZOMBIE	BIT_ULL(GSVM_PTE_SW_SHIFT)

/* All rights a leaf can carry. */
#define GSVM_PTE_RIGHTS		(GSVM_PTE_R | GSVM_PTE_W | GSVM_PTE_X | GSVM_PTE_AT)

/**
 * struct gsvm_pt_table - one 4 KiB table in the device's reach
 * @entry: the entries, in coherent memory; the device sets A and D in them, so
 *	they change only by atomic operations once the device may see them
 * @dma: the table's bus address
 */
struct gsvm_pt_table {
	u64 *entry;
	dma_addr_t dma;
};

/**
 * struct gsvm_pt - the upper levels of one address space's page table
 * @dev: device to allocate for
 * @lock: protects the tree of directories; sleeping, allocates, never taken
 *	by an invalidation
 * @root: level 3 directory; NULL after gsvm_pt_fini()
 * @bytes: memory taken, in bytes
 */
struct gsvm_pt {
	struct device *dev;
	struct mutex lock;	/* the tree of directories */
	struct gsvm_pt_dir *root;
	size_t bytes;
};

int gsvm_pt_table_init(struct device *dev, struct gsvm_pt_table *table);
void gsvm_pt_table_fini(struct device *dev, struct gsvm_pt_table *table);

int gsvm_pt_init(struct gsvm_pt *pt, struct device *dev);
void gsvm_pt_fini(struct gsvm_pt *pt);
dma_addr_t gsvm_pt_root(const struct gsvm_pt *pt);
int gsvm_pt_slot(struct gsvm_pt *pt, u64 va, u64 **slot);

u64 gsvm_pte_make(dma_addr_t addr, u64 rights);
u64 gsvm_pte_make_huge(dma_addr_t addr, u64 rights);
u64 gsvm_pte_make_table(dma_addr_t addr);
bool gsvm_pte_zap(u64 *pte, bool zombie);
bool gsvm_pte_write_protect(u64 *pte);
void gsvm_pte_upgrade(u64 *pte, u64 rights);
bool gsvm_pte_age(u64 *pte);
bool gsvm_pte_cont_break(u64 *table, unsigned int index);
bool gsvm_pte_cont_make(u64 *table, unsigned int index);

static inline u64 gsvm_pte_read(const u64 *pte)
{
	return READ_ONCE(*pte);
}

static inline bool gsvm_pte_valid(u64 pte)
{
	return pte & GSVM_PTE_V;
}

/* A valid leaf whose page is in VRAM. */
static inline bool gsvm_pte_in_vram(u64 pte)
{
	return (pte & (GSVM_PTE_V | GSVM_PTE_KIND)) == (GSVM_PTE_V | GSVM_PTE_KIND_VRAM);
}

#endif
