/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_LOOK_H
#define GSVM_LOOK_H

#include <linux/bitmap.h>
#include <linux/types.h>

#include "gsvm_pt.h"

struct gsvm_block;
struct gsvm_vram;
struct vm_area_struct;

/**
 * struct gsvm_look - where the pages of a block are, or were a moment ago
 * @pfn: as hmm_range_fault() leaves it; 0 for what was not looked at
 * @shared: pages that other processes map, too
 */
struct gsvm_look {
	unsigned long pfn[GSVM_BLOCK_PAGES];
	DECLARE_BITMAP(shared, GSVM_BLOCK_PAGES);
};

/**
 * struct gsvm_look_found - what a look has found in a range
 * @movable: pages in system memory that could go to VRAM
 * @sampled: those of them that NUMA balancing samples
 * @foreign: pages in the VRAM of other GPUs
 * @foreign_first: first of those, in the block
 * @foreign_last: last of those
 * @foreign_huge: they are of a 2 MiB page
 */
struct gsvm_look_found {
	unsigned int movable;
	unsigned int sampled;
	unsigned int foreign;
	unsigned int foreign_first;
	unsigned int foreign_last;
	bool foreign_huge;
};

int gsvm_look_at(struct gsvm_look *look, struct gsvm_block *block, const struct gsvm_vram *vram,
		 unsigned long start, unsigned long end, struct gsvm_look_found *found);
void gsvm_look_end_sampling(const struct gsvm_look *look, const struct gsvm_block *block,
			    struct vm_area_struct *vma);
bool gsvm_look_empty(const struct gsvm_look *look, unsigned int i);

#if IS_ENABLED(CONFIG_KUNIT)
void gsvm_look_count(struct gsvm_look *look, const struct gsvm_vram *vram,
		     unsigned int first, unsigned int last, struct gsvm_look_found *found);
#endif

#endif
