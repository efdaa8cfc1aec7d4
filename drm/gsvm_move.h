/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_MOVE_H
#define GSVM_MOVE_H

#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>

#include "gsvm_look.h"
#include "gsvm_pt.h"

struct gsvm_block;
struct gsvm_vm;
struct gsvm_vram;
struct gsvm_vram_chunk;
struct gsvm_xfer;

/* Blocks that one move may span. */
#define GSVM_MOVE_BLOCKS	8

/**
 * struct gsvm_move - pages of one mapping on their way, one migrate_vma call
 * @vm: address space that asked; NULL: a CPU's access
 * @vram: VRAM that pages go to, or that they are brought back for
 * @args: what the kernel is told; the arrays are behind this structure
 * @max_pages: room in each of the arrays
 * @xfer: the copies
 * @bounce: those that bring pages of another GPU's VRAM to memory in between; made
 *	at the first need
 * @base: start of the first block
 * @nr_blocks: blocks in use
 * @block: the blocks, with references
 * @chunk: VRAM reserved for each, or NULL
 * @mixed: VRAM for single pages, or NULL
 * @stay: pages of each that do not go to VRAM
 * @fill_start: memory that was never touched is made from here
 * @fill_end: to here
 * @fill_huge: in 2 MiB pages where a whole block is empty
 * @small: on the way to VRAM, the kernel splits 2 MiB pages when it collects them; set
 *	when one was met that has to be
 * @missed: pages, holes too, that did not go to VRAM, of all calls; whoever wants to
 *	know sets it to 0 before
 * @whole: on the way back, the range is one 2 MiB page, and guarded
 * @keep: on the way back, VRAM whose pages stay; or NULL
 * @exclusive: on the way back, mmap_lock is held for writing, to be downgraded when the
 *	pages are collected
 * @access: on the way back or across, somebody wants to access the pages now
 * @look: where pages are, for whoever makes the move
 * @link: on &gsvm_move_cache.list
 * @pfn: both arrays of &gsvm_move.args
 */
struct gsvm_move {
	struct gsvm_vm *vm;
	struct gsvm_vram *vram;
	struct migrate_vma args;
	unsigned int max_pages;
	struct gsvm_xfer *xfer;
	struct gsvm_xfer *bounce;
	unsigned long base;
	unsigned int nr_blocks;
	struct gsvm_block *block[GSVM_MOVE_BLOCKS];
	struct gsvm_vram_chunk *chunk[GSVM_MOVE_BLOCKS];
	struct gsvm_vram_chunk *mixed;
	unsigned long stay[GSVM_MOVE_BLOCKS][BITS_TO_LONGS(GSVM_BLOCK_PAGES)];
	unsigned long fill_start;
	unsigned long fill_end;
	bool fill_huge;
	bool small;
	unsigned int missed;
	bool whole;
	const struct gsvm_vram *keep;
	bool exclusive;
	bool access;
	struct gsvm_look look;
	struct list_head link;
	unsigned long pfn[];
};

/**
 * struct gsvm_move_cache - moves of a block's size that nobody uses
 * @lock: protects what follows; a leaf
 * @list: the moves
 * @nr: how many
 */
struct gsvm_move_cache {
	spinlock_t lock;	/* list, nr */
	struct list_head list;
	unsigned int nr;
};

/* Which of the blocks is page @i in? */
static inline unsigned int gsvm_move_block_of(const struct gsvm_move *move, unsigned int i)
{
	return (move->args.start + ((unsigned long)i << PAGE_SHIFT) - move->base) >>
	       GSVM_BLOCK_SHIFT;
}

/* Which page of its block is page @i? */
static inline unsigned int gsvm_move_page_of(const struct gsvm_move *move, unsigned int i)
{
	return ((move->args.start >> PAGE_SHIFT) + i) % GSVM_BLOCK_PAGES;
}

void gsvm_move_cache_init(struct gsvm_move_cache *cache);
void gsvm_move_cache_fini(struct gsvm_move_cache *cache);
struct gsvm_move *gsvm_move_get(struct gsvm_vram *vram);
void gsvm_move_put(struct gsvm_move *move);
struct gsvm_move *gsvm_move_alloc(struct gsvm_vram *vram, unsigned int pages);
void gsvm_move_free(struct gsvm_move *move);
int gsvm_move_reserve(struct gsvm_move *move, struct gsvm_vm *vm, unsigned long start,
		      unsigned long end);
void gsvm_move_release(struct gsvm_move *move);
void gsvm_move_drop(struct gsvm_move *move, unsigned int i);
struct folio *gsvm_move_take(struct gsvm_move *move, unsigned int i, bool huge, bool own);
bool gsvm_move_own(const struct gsvm_move *move, unsigned int b, unsigned int want);
unsigned int gsvm_move_across(struct gsvm_move *move, struct vm_area_struct *vma,
			      unsigned long start, unsigned long end);
int gsvm_move_in_begin(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
		       unsigned long end);
unsigned int gsvm_move_in_end(struct gsvm_move *move);
unsigned int gsvm_move_in(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
			  unsigned long end);
void gsvm_move_downgrade(struct gsvm_move *move, struct mm_struct *mm);
int gsvm_move_out(struct gsvm_move *move, struct vm_area_struct *vma, unsigned long start,
		  unsigned long end, unsigned int *moved);
int gsvm_move_out_access(struct gsvm_move *move, struct vm_fault *vmf, unsigned long start,
			 unsigned long end, unsigned int *moved);

#endif
