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
 * GSVM_POLICY_FILL aligned around it, or the whole block if the process
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
 * goes to VRAM, so that its limit meets memory that can be reclaimed. What is on its
 * way counts as if it were there (&gsvm_vm.entering): many faults at once must not
 * all find the same room.
 *
 * *To and fro.* A block that came back to the CPU GSVM_POLICY_RETURNS times in a
 * row, each time less than GSVM_POLICY_SOON after it had gone to VRAM, is held
 * in system memory, where both can reach it, for GSVM_POLICY_HOLD; twice as long
 * each time that it happens again. Nobody waits for anything meanwhile. When
 * the time is over, gsvm_hold.c takes it from the device, so that there is a
 * fault again, which may move it.
 *
 * *Too much at once.* A block that is wanted back after less chunks have been evicted
 * since than VRAM has would have stayed in VRAM of twice the size: what is in use
 * does not fit. When that happens to a block GSVM_POLICY_RETURNS times in a row, it
 * is held in the same way, and others have its room; else each fault would move
 * 2 MiB out and 2 MiB in, for one access perhaps. What passes through once is not
 * concerned.
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
static bool gsvm_policy_memcg_full(struct mem_cgroup *memcg, unsigned long more)
{
	unsigned long limit = min(READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));

	return page_counter_read(&memcg->memory) + more > limit - limit / GSVM_POLICY_MEMCG;
}

/* Would a process be close to a memory cgroup's limit if it had so many pages more? */
static bool gsvm_policy_memcg_tight(struct mm_struct *mm, unsigned long more)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm), *at;
	bool tight = false;

	for (at = memcg; at && !tight; at = parent_mem_cgroup(at))
		tight = gsvm_policy_memcg_full(at, more);
	mem_cgroup_put(memcg);
	return tight;
}
#else
static bool gsvm_policy_memcg_tight(struct mm_struct *mm, unsigned long more)
{
	return false;
}
#endif

/**
 * gsvm_policy_memcg_enter() - before pages go to VRAM
 * @vm: address space
 * @pages: how many, at most
 *
 * Return: whether the process's memory cgroups leave room for them and for all
 * others that are under way, some of which may not be charged yet;
 * gsvm_policy_memcg_exit() must follow then.
 */
bool gsvm_policy_memcg_enter(struct gsvm_vm *vm, unsigned int pages)
{
	if (!gsvm_policy_memcg_tight(vm->mm, atomic_add_return(pages, &vm->entering)))
		return true;
	gsvm_policy_memcg_exit(vm, pages);
	return false;
}

/**
 * gsvm_policy_memcg_exit() - pages are in VRAM, or did not get there
 * @vm: address space
 * @pages: as told to gsvm_policy_memcg_enter()
 */
void gsvm_policy_memcg_exit(struct gsvm_vm *vm, unsigned int pages)
{
	atomic_sub(pages, &vm->entering);
}

/* Leave a block in system memory for some time, longer each time in a row. */
static void gsvm_policy_hold(struct gsvm_vm *vm, struct gsvm_block *block)
{
	struct gsvm_block_policy *policy = &block->policy;
	unsigned long delay = GSVM_POLICY_HOLD << min_t(u8, policy->level, GSVM_POLICY_DOUBLINGS);

	policy->comebacks = 0;
	policy->refaults = 0;
	policy->level = min(policy->level + 1, U8_MAX);
	policy->hold_until = jiffies + delay;
	policy->held = true;
	gsvm_hold_add(&vm->mirror->hold, block, delay);
}

/*
 * A block that was evicted is wanted. Is that so soon that VRAM would have to be
 * larger, and for the last of several times in a row?
 */
static bool gsvm_policy_thrashes(struct gsvm_vram *vram, struct gsvm_block_policy *policy)
{
	u64 distance = atomic64_read(&vram->turns) - policy->evicted_at;

	policy->evicted_at = 0;
	if (distance < vram->nr_chunks)
		return ++policy->refaults >= GSVM_POLICY_RETURNS;
	policy->refaults = 0;
	policy->level = 0;
	return false;
}

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
	if (policy->evicted_at && gsvm_policy_thrashes(vm->gdev->vram, policy)) {
		gsvm_policy_hold(vm, block);
		atomic64_inc(&vm->stats.bounces);
		return false;
	}
	return !policy->stuck || !time_before(jiffies, policy->retry_at);
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
		policy->away = true;
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
 * gsvm_policy_evicted() - a block has lost its chunk
 * @block: block
 * @turn: the chunks that have ever been evicted, this one included
 */
void gsvm_policy_evicted(struct gsvm_block *block, u64 turn)
{
	block->policy.evicted_at = turn;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_evicted);

/**
 * gsvm_policy_came_back() - a CPU has fetched pages of a block
 * @vm: address space
 * @block: block
 */
void gsvm_policy_came_back(struct gsvm_vm *vm, struct gsvm_block *block)
{
	struct gsvm_block_policy *policy = &block->policy;

	/* A walk through the block comes here many times. */
	if (!policy->away)
		return;
	policy->away = false;
	if (time_after(jiffies, policy->moved_in + GSVM_POLICY_SOON)) {
		policy->comebacks = 0;
		policy->level = 0;
		return;
	}
	if (++policy->comebacks >= GSVM_POLICY_RETURNS)
		gsvm_policy_hold(vm, block);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_came_back);
