// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Holding a block
 *
 * A block that went to and fro between the CPU and VRAM, that did not fit, or that is
 * watched, is held in system memory for a while (gsvm_policy.c), where the device maps
 * it and faults no more. Nothing would ever ask for it to be moved again. So when
 * the time is over, its entries are taken from the device, having been asked what of
 * them it has used: if it still uses the block, the fault that follows may move it.
 *
 * Locks: &gsvm_hold.lock is a leaf; the work takes block locks without it.
 */

#include <linux/jiffies.h>
#include <linux/minmax.h>

#include "gsvm_block.h"
#include "gsvm_hold.h"
#include "gsvm_mirror.h"
#include "gsvm_vm.h"

/* Between two looks at the list: blocks whose time is over soon go together. */
#define GSVM_HOLD_STEP	msecs_to_jiffies(20)

static void gsvm_hold_arm_locked(struct gsvm_hold *hold, unsigned long delay)
{
	lockdep_assert_held(&hold->lock);

	hold->due = jiffies + delay;
	mod_delayed_work(gsvm_wq, &hold->work, delay);
}

/* The time of a block, which is not on the list any more, is over. */
static void gsvm_hold_release(struct gsvm_block *block)
{
	unsigned int used = 0;

	mutex_lock(&block->lock);
	if (block->slot) {
		used = gsvm_block_used(block);
		gsvm_block_zap(block, 0, GSVM_BLOCK_PAGES - 1, true);
	}
	mutex_unlock(&block->lock);
	gsvm_block_settle(block);
	gsvm_policy_watched(block->mirror->vm, block, used);
	gsvm_block_put(block);
}

/*
 * Once around the list: those that have to stay go to its end. What is added meanwhile
 * comes behind them.
 */
static void gsvm_hold_work(struct work_struct *work)
{
	struct gsvm_hold *hold = container_of(work, struct gsvm_hold, work.work);
	unsigned long next = MAX_JIFFY_OFFSET;
	struct gsvm_block *block;
	unsigned int left;

	spin_lock(&hold->lock);
	for (left = hold->nr; left && hold->nr; left--) {
		unsigned long now = jiffies, until;

		block = list_first_entry(&hold->list, struct gsvm_block, hold_link);
		until = READ_ONCE(block->policy.hold_until);
		if (time_before(now, until)) {
			list_move_tail(&block->hold_link, &hold->list);
			next = min(next, until - now);
			continue;
		}
		list_del_init(&block->hold_link);
		hold->nr--;
		spin_unlock(&hold->lock);
		gsvm_hold_release(block);
		spin_lock(&hold->lock);
	}
	if (hold->nr)
		gsvm_hold_arm_locked(hold, clamp(next, GSVM_HOLD_STEP, MAX_JIFFY_OFFSET));
	spin_unlock(&hold->lock);
}

/**
 * gsvm_hold_init() - hold nothing yet
 * @hold: holds of a mirror
 */
void gsvm_hold_init(struct gsvm_hold *hold)
{
	spin_lock_init(&hold->lock);
	INIT_LIST_HEAD(&hold->list);
	INIT_DELAYED_WORK(&hold->work, gsvm_hold_work);
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
		/* Never later than it was: others wait for it. */
		if (!hold->nr++ || time_before(jiffies + delay, hold->due))
			gsvm_hold_arm_locked(hold, delay);
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
	hold->nr = 0;
	list_splice_init(&hold->list, &blocks);
	spin_unlock(&hold->lock);
	cancel_delayed_work_sync(&hold->work);
	list_for_each_entry_safe(block, next, &blocks, hold_link) {
		list_del_init(&block->hold_link);
		gsvm_block_put(block);
	}
}
