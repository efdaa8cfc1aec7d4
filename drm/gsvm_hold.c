// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Holding a block
 *
 * A block that went to and fro between the CPU and VRAM is held in system
 * memory for a while (gsvm_policy.c), where the device maps it and faults no
 * more. Nothing would ever ask for it to be moved again. So when the time is
 * over, its entries are taken from the device: if it still uses the block, the
 * fault that follows may move it.
 *
 * Locks: &gsvm_hold.lock is a leaf; the work takes block locks without it.
 */

#include <linux/jiffies.h>

#include "gsvm_block.h"
#include "gsvm_hold.h"
#include "gsvm_mirror.h"
#include "gsvm_vm.h"

/* The first block whose time is over, off the list; else when to look again, in jiffies. */
static struct gsvm_block *gsvm_hold_next(struct gsvm_hold *hold, unsigned long *delay)
{
	struct gsvm_block *block, *found = NULL;

	*delay = MAX_JIFFY_OFFSET;
	spin_lock(&hold->lock);
	list_for_each_entry(block, &hold->list, hold_link) {
		if (time_after_eq(jiffies, block->policy.hold_until)) {
			found = block;
			break;
		}
		*delay = min(*delay, block->policy.hold_until - jiffies);
	}
	if (found)
		list_del_init(&found->hold_link);
	else if (!list_empty(&hold->list) && !hold->closed)
		queue_delayed_work(gsvm_wq, &hold->work, *delay);
	spin_unlock(&hold->lock);
	return found;
}

static void gsvm_hold_release(struct work_struct *work)
{
	struct gsvm_hold *hold = container_of(work, struct gsvm_hold, work.work);
	struct gsvm_block *block;
	unsigned long delay;

	while ((block = gsvm_hold_next(hold, &delay))) {
		mutex_lock(&block->lock);
		if (block->slot)
			gsvm_block_zap(block, 0, GSVM_BLOCK_PAGES - 1, true);
		mutex_unlock(&block->lock);
		gsvm_block_settle(block);
		gsvm_block_put(block);
	}
}

/**
 * gsvm_hold_init() - hold nothing yet
 * @hold: holds of a mirror
 */
void gsvm_hold_init(struct gsvm_hold *hold)
{
	spin_lock_init(&hold->lock);
	INIT_LIST_HEAD(&hold->list);
	INIT_DELAYED_WORK(&hold->work, gsvm_hold_release);
}

/**
 * gsvm_hold_add() - let a block go when its time is over
 * @hold: holds of the block's mirror
 * @block: block, its &gsvm_block_policy.hold_until set
 * @delay: how long that is from now, in jiffies
 */
void gsvm_hold_add(struct gsvm_hold *hold, struct gsvm_block *block, unsigned long delay)
{
	spin_lock(&hold->lock);
	if (!hold->closed && list_empty(&block->hold_link)) {
		kref_get(&block->ref);
		list_add_tail(&block->hold_link, &hold->list);
		mod_delayed_work(gsvm_wq, &hold->work, delay);
	}
	spin_unlock(&hold->lock);
}

/**
 * gsvm_hold_close() - let go of all blocks, for good
 * @hold: holds of a mirror at its end
 *
 * Context: process, sleeps.
 */
void gsvm_hold_close(struct gsvm_hold *hold)
{
	struct gsvm_block *block, *next;
	LIST_HEAD(blocks);

	spin_lock(&hold->lock);
	hold->closed = true;
	list_splice_init(&hold->list, &blocks);
	spin_unlock(&hold->lock);
	cancel_delayed_work_sync(&hold->work);
	list_for_each_entry_safe(block, next, &blocks, hold_link) {
		list_del_init(&block->hold_link);
		gsvm_block_put(block);
	}
}
