// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Migration policy
 *
 * Where memory should be is decided here and nowhere else.
 *
 * *When to VRAM.* A fault of the GPU in a block moves it, by the VM's policy: at
 * the first fault (DRM_GSVM_MIGRATE_FIRST, the default), at the second, or
 * never. DRM_IOCTL_GSVM_PREFETCH moves whatever it is asked to.
 *
 * *How much.* A fault moves the pages of its block that are there, in system
 * memory, private and anonymous: what the process has written near by is what
 * the GPU will want. Memory that was never touched is made only for a write,
 * GSVM_POLICY_FILL_PAGES aligned around it, or the whole block if the process
 * asked for huge pages there (MADV_HUGEPAGE). A read leaves the zero page.
 *
 * *What stays.* Pages that others map, too; that are pinned or locked by
 * mlock(); of files, shared memory, huge page file systems. The GPU reaches them
 * where they are.
 *
 * *How much back.* What a CPU's access needs, see gsvm_stream.c; a 2 MiB page as
 * a whole.
 *
 * *Memory cgroups.* A page in VRAM stays charged to its cgroup, and reclaim cannot
 * take it. Where less than a quarter of what a cgroup may have is left, nothing
 * goes to VRAM, so that its limit meets memory that can be reclaimed.
 *
 * *To and fro.* A block that came back to the CPU GSVM_POLICY_RETURNS times in a
 * row, each time less than GSVM_POLICY_SOON after it had gone to VRAM, is held
 * in system memory, where both can reach it, for GSVM_POLICY_HOLD; twice as long
 * each time that it happens again. Nobody waits for anything meanwhile. When
 * the time is over, gsvm_hold.c takes it from the device, so that there is a
 * fault again, which may move it.
 *
 * *What did not move.* When an attempt moved nothing, the next one is not made
 * before GSVM_POLICY_STUCK has passed, twice as long each time.
 */

#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>

#include <kunit/visibility.h>

#include <drm/gsvm_drm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_mirror.h"
#include "gsvm_policy.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

#define GSVM_POLICY_SOON	msecs_to_jiffies(50)
#define GSVM_POLICY_RETURNS	3
#define GSVM_POLICY_HOLD	msecs_to_jiffies(100)
#define GSVM_POLICY_STUCK	msecs_to_jiffies(20)
#define GSVM_POLICY_DOUBLINGS	5

/* One part in so many of a memory cgroup's limit is kept for memory that can be reclaimed. */
#define GSVM_POLICY_MEMCG	4

#ifdef CONFIG_MEMCG
static bool gsvm_policy_memcg_full(struct mem_cgroup *memcg)
{
	unsigned long limit = min(READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));

	return page_counter_read(&memcg->memory) > limit - limit / GSVM_POLICY_MEMCG;
}

/**
 * gsvm_policy_memcg_tight() - is a process close to a memory cgroup's limit
 * @mm: process
 *
 * Return: whether it has better keep its memory where it can be reclaimed.
 */
bool gsvm_policy_memcg_tight(struct mm_struct *mm)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm), *at;
	bool tight = false;

	for (at = memcg; at && !tight; at = parent_mem_cgroup(at))
		tight = gsvm_policy_memcg_full(at);
	mem_cgroup_put(memcg);
	return tight;
}
#else
bool gsvm_policy_memcg_tight(struct mm_struct *mm)
{
	return false;
}
#endif

/**
 * gsvm_policy_wants_vram() - shall a fault move its block to VRAM
 * @vm: address space
 * @block: block
 *
 * Return: whether it shall be tried.
 */
bool gsvm_policy_wants_vram(struct gsvm_vm *vm, struct gsvm_block *block)
{
	struct gsvm_block_policy *policy = &block->policy;
	u32 when = READ_ONCE(vm->migrate);

	if (!vm->gdev->vram || when == DRM_GSVM_MIGRATE_NEVER || gsvm_device_is_wedged(vm->gdev))
		return false;
	if (when == DRM_GSVM_MIGRATE_SECOND && !policy->faults) {
		policy->faults = 1;
		return false;
	}
	if (policy->held && time_before(jiffies, policy->hold_until)) {
		atomic64_inc(&vm->stats.bounces);
		return false;
	}
	policy->held = false;
	if (policy->stuck && time_before(jiffies, policy->retry_at))
		return false;
	return !gsvm_policy_memcg_tight(vm->mm);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_wants_vram);

/**
 * gsvm_policy_moved_in() - an attempt to move a block to VRAM has ended
 * @block: block
 * @pages: pages that moved
 */
void gsvm_policy_moved_in(struct gsvm_block *block, unsigned int pages)
{
	struct gsvm_block_policy *policy = &block->policy;

	if (pages) {
		policy->stuck = 0;
		policy->moved_in = jiffies;
		return;
	}
	/* Somebody else has them in his hands. */
	if (atomic_read(&block->moving) > 1)
		return;
	policy->retry_at = jiffies + (GSVM_POLICY_STUCK << min_t(u8, policy->stuck,
								 GSVM_POLICY_DOUBLINGS));
	policy->stuck = min(policy->stuck + 1, U8_MAX);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_moved_in);

/**
 * gsvm_policy_came_back() - a CPU has fetched pages of a block
 * @vm: address space
 * @block: block
 */
void gsvm_policy_came_back(struct gsvm_vm *vm, struct gsvm_block *block)
{
	struct gsvm_block_policy *policy = &block->policy;
	unsigned long delay;

	if (time_after(jiffies, policy->moved_in + GSVM_POLICY_SOON)) {
		policy->comebacks = 0;
		policy->level = 0;
		return;
	}
	if (++policy->comebacks < GSVM_POLICY_RETURNS)
		return;
	delay = GSVM_POLICY_HOLD << min_t(u8, policy->level, GSVM_POLICY_DOUBLINGS);
	policy->comebacks = 0;
	policy->level = min(policy->level + 1, U8_MAX);
	policy->hold_until = jiffies + delay;
	policy->held = true;
	gsvm_hold_add(&vm->mirror->hold, block, delay);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_came_back);
