/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_MIRROR_H
#define GSVM_MIRROR_H

#include <linux/kref.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "gsvm_block.h"
#include "gsvm_hold.h"
#include "gsvm_pt.h"
#include "gsvm_tlb.h"

struct gsvm_vm;

/**
 * struct gsvm_mirror - a process's memory as the device sees it
 * @vm: address space; holds the only pointer to the mirror, and outlives it
 * @pt: upper levels of the page table
 * @tlb: invalidations under way
 * @blocks: &gsvm_block by start >> GSVM_BLOCK_SHIFT; xa_lock protects the
 *	entries and @dead going true
 * @dead: no block is added and nothing is mapped any more; set once, under
 *	xa_lock and @gc_lock, before every block is locked and torn down
 * @need_unmap: DMA mappings have to be undone
 * @gc_lock: protects @gc_list; taken under block locks
 * @gc_list: blocks that lost their last page to an unmap
 * @gc_work: collects them
 * @hold: blocks that are held in system memory, gsvm_hold.c
 */
struct gsvm_mirror {
	struct gsvm_vm *vm;
	struct gsvm_pt pt;
	struct gsvm_tlb tlb;
	struct xarray blocks;
	bool dead;
	bool need_unmap;
	spinlock_t gc_lock;	/* gc_list */
	struct list_head gc_list;
	struct delayed_work gc_work;
	struct gsvm_hold hold;
};

struct gsvm_mirror *gsvm_mirror_create(struct gsvm_vm *vm);
void gsvm_mirror_teardown(struct gsvm_mirror *mirror);
void gsvm_mirror_destroy(struct gsvm_mirror *mirror);
struct gsvm_block *gsvm_mirror_block_get(struct gsvm_mirror *mirror, u64 addr);
struct gsvm_block *gsvm_mirror_block_lookup(struct gsvm_mirror *mirror, u64 addr);
struct gsvm_block *gsvm_mirror_block_next(struct gsvm_mirror *mirror, u64 *addr);
void gsvm_mirror_age(struct gsvm_mirror *mirror);
void gsvm_block_put(struct gsvm_block *block);
void gsvm_block_settle(struct gsvm_block *block);
void gsvm_block_unmapped(struct gsvm_block *block);
void gsvm_block_release_if_empty(struct gsvm_block *block);

static inline struct gsvm_tlb *gsvm_mirror_tlb(struct gsvm_mirror *mirror)
{
	return &mirror->tlb;
}

static inline bool gsvm_mirror_need_unmap(const struct gsvm_mirror *mirror)
{
	return mirror->need_unmap;
}

static inline bool gsvm_mirror_is_dead(const struct gsvm_mirror *mirror)
{
	return READ_ONCE(mirror->dead);
}

#endif
