/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_SPLIT_H
#define GSVM_SPLIT_H

#include <linux/kconfig.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* Does the kernel stop at a 2 MiB page in VRAM for being soft-dirty: see DOC: Splitting. */
#define GSVM_SPLIT_NOT_EXCLUSIVE \
	(IS_ENABLED(CONFIG_DEBUG_VM) && IS_ENABLED(CONFIG_MEM_SOFT_DIRTY))

struct gsvm_vram;
struct mm_struct;

/**
 * struct gsvm_split - the worker for 2 MiB pages that no access can bring back
 * @work: does it
 * @lock: protects what follows; a leaf
 * @mm: process, with a reference to its users; NULL: nothing is to be done
 * @start: where in it the page is
 */
struct gsvm_split {
	struct work_struct work;
	spinlock_t lock;	/* mm, start */
	struct mm_struct *mm;
	unsigned long start;
};

void gsvm_split_init(struct gsvm_split *split);
int gsvm_split_later(struct gsvm_vram *vram, struct mm_struct *mm, unsigned long start);

#endif
