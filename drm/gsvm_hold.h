/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_HOLD_H
#define GSVM_HOLD_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct gsvm_block;

/**
 * struct gsvm_hold - blocks of one mirror that are held in system memory
 * @lock: protects all that follows, and &gsvm_block.hold_link; a leaf
 * @list: the blocks, each with a reference
 * @nr: how many
 * @due: when @work comes next, in jiffies, if there are any
 * @work: lets go of those whose time is over
 * @closed: no block is added any more
 */
struct gsvm_hold {
	spinlock_t lock;	/* all below */
	struct list_head list;
	unsigned int nr;
	unsigned long due;
	struct delayed_work work;
	bool closed;
};

void gsvm_hold_init(struct gsvm_hold *hold);
void gsvm_hold_add(struct gsvm_hold *hold, struct gsvm_block *block, unsigned long delay);
void gsvm_hold_close(struct gsvm_hold *hold);

#endif
