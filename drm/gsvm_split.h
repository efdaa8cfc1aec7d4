/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_SPLIT_H
#define GSVM_SPLIT_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

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
