/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_BLOCK_H
#define GSVM_BLOCK_H

#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>

#include "gsvm_policy.h"
#include "gsvm_pt.h"

struct gsvm_mirror;
struct task_struct;
struct gsvm_vram_chunk;

/**
 * enum gsvm_block_state - what a block's slot holds
 * @GSVM_BLOCK_EMPTY: nothing, or a table without a valid entry
 * @GSVM_BLOCK_PAGES_MAPPED: the way to the level 0 table
 * @GSVM_BLOCK_HUGE: a 2 MiB leaf
 */
enum gsvm_block_state {
	GSVM_BLOCK_EMPTY = 0,
	GSVM_BLOCK_PAGES_MAPPED,
	GSVM_BLOCK_HUGE,
};

/**
 * struct gsvm_block_table - what a block needs to map single pages
 * @pt: the level 0 table
 * @pfn: page frame behind each valid entry
 */
struct gsvm_block_table {
	struct gsvm_pt_table pt;
	unsigned long pfn[GSVM_BLOCK_PAGES];
};

/**
 * struct gsvm_block - the mirror of 2 MiB of the process's memory
 * @notifier: tells of every change of that memory
 * @mirror: mirror it belongs to; outlives the block
 * @ref: the mirror's table, every service and the collector hold one
 * @start: first address
 * @lock: protects all that follows, and the entries behind @slot against all
 *	but the device. Taken by invalidations, in reclaim too: nothing under it
 *	allocates or waits for the process. It is what makes
 *	mmu_interval_read_retry() final
 * @slot: the level 1 entry; NULL once the mirror was torn down: then nothing is
 *	mapped, and nothing will be
 * @state: what is mapped
 * @table: for single pages; made at the first need, kept for the next one
 * @huge_pfn: first page frame of a 2 MiB leaf
 * @nr_mapped: 4 KiB pages mapped
 * @nr_zombies: entries that wait for their DMA unmap
 * @flush: ticket of the last TLB invalidation that took rights in this block
 * @guard: who takes a 2 MiB page out of VRAM here and keeps it from being unmapped;
 *	compared only, see gsvm_guard.c
 * @unmapped: the process has unmapped something here; an empty block can go
 * @gc_link: in the collector's list, protected by &gsvm_mirror.gc_lock
 * @noted: pages of whose writing by the device the process's soft-dirty bits tell,
 *	see gsvm_populate.c; read without @lock against the notifier's sequence
 * @served: pages whose parked accesses the last service of the block let go on
 * @served_at: when that was, by ktime_get_ns()
 * @hold_link: in the list of held blocks, protected by &gsvm_hold.lock
 * @chunk: VRAM that the block had last, a hint for gsvm_vram_reserve()
 * @move_lock: one fault moves pages of the block at a time, the others wait and
 *	find them there. Taken by fault services only, outside of mmap_lock, with no
 *	lock held; a CPU's access and eviction do without
 * @moving: moves under way
 * @policy: what gsvm_policy.c remembers
 */
struct gsvm_block {
	struct mmu_interval_notifier notifier;
	struct gsvm_mirror *mirror;
	struct kref ref;
	unsigned long start;
	struct mutex lock;	/* everything below, and the entries */
	u64 *slot;
	enum gsvm_block_state state;
	struct gsvm_block_table *table;
	unsigned long huge_pfn;
	unsigned int nr_mapped;
	unsigned int nr_zombies;
	u64 flush;
	const struct task_struct *guard;
	bool unmapped;
	struct list_head gc_link;
	DECLARE_BITMAP(noted, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(served, GSVM_BLOCK_PAGES);
	u64 served_at;
	struct list_head hold_link;
	struct gsvm_vram_chunk *chunk;
	struct mutex move_lock;	/* fault-driven moves of the block */
	atomic_t moving;
	struct gsvm_block_policy policy;
};

/**
 * struct gsvm_block_pages - what a service found out about a block's pages
 * @pfn: per page as hmm_range_fault() left it: HMM_PFN_VALID, HMM_PFN_WRITE
 *	and the frame; 0: unknown
 * @exec: pages whose mapping allows execution
 */
struct gsvm_block_pages {
	unsigned long pfn[GSVM_BLOCK_PAGES];
	DECLARE_BITMAP(exec, GSVM_BLOCK_PAGES);
};

struct gsvm_block_table *gsvm_block_table_alloc(struct gsvm_mirror *mirror);
void gsvm_block_table_free(struct gsvm_mirror *mirror, struct gsvm_block_table *table);

bool gsvm_block_can_reach(const struct gsvm_block *block, unsigned long hmm_pfn);
bool gsvm_block_can_be_huge(struct gsvm_block *block, const struct gsvm_block_pages *pages);
int gsvm_block_map(struct gsvm_block *block, const struct gsvm_block_pages *pages);
unsigned int gsvm_block_zap(struct gsvm_block *block, unsigned int first, unsigned int last,
			    bool keep_vram);
unsigned int gsvm_block_write_protect(struct gsvm_block *block, unsigned int first,
				      unsigned int last);
void gsvm_block_mapped(struct gsvm_block *block, u64 right, unsigned long *mapped);
bool gsvm_block_allows(struct gsvm_block *block, const unsigned long *pages, u64 right);
void gsvm_block_bury(struct gsvm_block *block);
void gsvm_block_age(struct gsvm_block *block);
unsigned int gsvm_block_used(struct gsvm_block *block);

#if IS_ENABLED(CONFIG_KUNIT)
dma_addr_t gsvm_block_dma_map(struct gsvm_block *block, unsigned long pfn, size_t size);
void gsvm_block_dma_unmap(struct gsvm_block *block, u64 pte, size_t size);
#endif

#endif
