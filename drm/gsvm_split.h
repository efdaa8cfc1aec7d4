/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_SPLIT_H
#define GSVM_SPLIT_H

#include <linux/kconfig.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* Does the kernel stop at a 2 MiB page in VRAM for being soft-dirty: see DOC: Splitting. */
#define GSVM_SPLIT_NOT_EXCLUSIVE \
	(IS_ENABLED(CONFIG_DEBUG_VM) && IS_ENABLED(CONFIG_MEM_SOFT_DIRTY))

struct gsvm_vram;
struct mm_struct;
struct page;

/**
 * struct gsvm_split - 2 MiB pages of one VRAM that no access can bring back
 * @lock: protects what follows; a leaf
 * @orders: those that a worker is to split
 */
struct gsvm_split {
	spinlock_t lock;	/* orders */
	struct list_head orders;
};

void gsvm_split_init(struct gsvm_split *split);
int gsvm_split_later(struct gsvm_vram *vram, struct mm_struct *mm, unsigned long start,
		     struct page *page);
void gsvm_split_wait(struct gsvm_vram *vram, unsigned long pfn);
bool gsvm_split_is_ordered(struct gsvm_vram *vram, const struct page *page);
void gsvm_split_flush(struct gsvm_split *split);

#endif
