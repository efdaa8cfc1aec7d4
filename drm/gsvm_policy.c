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
 * *Two GPUs.* A fault takes a block's pages from the VRAM of another GPU as it takes
 * them from system memory. For the other GPU's block this is what a CPU's access is: it
 * came back.
 *
 * *To and fro.* A block that came back to the CPU GSVM_POLICY_RETURNS times in a
 * row, each time less than GSVM_POLICY_SOON after it had gone to VRAM, is held
 * in system memory, where all can reach it, for GSVM_POLICY_HOLD; twice as long
 * each time that it happens again. Both go by the module parameter bounce_ms, for
 * machines on which a move takes longer. Nobody waits for anything meanwhile. When
 * the time is over, gsvm_hold.c takes it from the device, so that there is a
 * fault again, which may move it.
 *
 * *Too much at once.* A block that is wanted back after less chunks have been evicted
 * since than VRAM has would have stayed in VRAM of twice the size: what is in use
 * does not fit. When that happens to a block GSVM_POLICY_RETURNS times in a row, it
 * is held in the same way, and others have its room. What passes through once is not
 * concerned.
 *
 * *Here and there.* Where VRAM is short, each fault moves 2 MiB in and 2 MiB out. If the
 * device then uses a page or two of them, the bus carries hundreds of times what
 * remote accesses would have. Whether it does so cannot be seen in a block that is
 * mapped by one entry, nor by its faults. So some blocks are *watched*: while a move
 * would have to evict, one in GSVM_POLICY_WATCH blocks whose pages exist is held
 * instead, and mapped by small entries, in which the device notes what it uses. When
 * its time is over, the block was *worth moving* if GSVM_POLICY_USED pages had been
 * used, GSVM_POLICY_USED_MOST if the hold had been doubled. It was not if less were,
 * though more than GSVM_POLICY_WATCH other services say that the device went on
 * meanwhile. Else there is no verdict.
 *
 * When GSVM_POLICY_SPARSE of the last GSVM_POLICY_VERDICTS verdicts on blocks of an
 * address space were that it was not worth it, its accesses are *scattered*: while a
 * move would have to evict, every block is held and watched. One that turns out to be
 * worth it is moved by the next fault, so a part that is used much gets its room. When
 * enough of them do, blocks move as before. A program that reads through its
 * memory uses all of each block; of those that are watched it is spared the copies.
 *
 * *What did not move.* When an attempt moved nothing, the next one is not made
 * before GSVM_POLICY_STUCK has passed, twice as long each time.
 */

#include <linux/bitops.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>

#include <kunit/visibility.h>

#include <drm/gsvm_drm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_evict.h"
#include "gsvm_mirror.h"
#include "gsvm_policy.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

static unsigned int gsvm_policy_bounce_ms = 50;
module_param_named(bounce_ms, gsvm_policy_bounce_ms, uint, 0644);
MODULE_PARM_DESC(bounce_ms,
		 "Milliseconds in VRAM after which memory that comes back does not bounce (default 50); what does stays out for twice as long");

#define GSVM_POLICY_SOON	msecs_to_jiffies(READ_ONCE(gsvm_policy_bounce_ms))
#define GSVM_POLICY_RETURNS	3
#define GSVM_POLICY_HOLD	(2 * GSVM_POLICY_SOON)
#define GSVM_POLICY_STUCK	msecs_to_jiffies(20)
#define GSVM_POLICY_DOUBLINGS	5

/* Of blocks that would move for the price of an eviction, one in so many is watched. */
#define GSVM_POLICY_WATCH	8

/* So many verdicts are remembered, and so many bad ones make accesses scattered ones. */
#define GSVM_POLICY_VERDICTS	4
#define GSVM_POLICY_SPARSE	3

/*
 * So many pages used within GSVM_POLICY_HOLD are worth moving a block: it moves twice as
 * many twice. For longer holds it is more, but not all: some are passed over by chance.
 */
#define GSVM_POLICY_USED	(GSVM_BLOCK_PAGES / 2u)
#define GSVM_POLICY_USED_MOST	(GSVM_BLOCK_PAGES / 8u * 7u)

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

/* Would a block get its VRAM by an eviction, now or soon? */
static bool gsvm_policy_must_evict(struct gsvm_vram *vram, struct gsvm_block *block)
{
	struct gsvm_vram_chunk *chunk = READ_ONCE(block->chunk);

	if (chunk && READ_ONCE(chunk->owner) == block && !READ_ONCE(chunk->evicting))
		return false;
	return gsvm_vram_low(vram, GSVM_EVICT_AHEAD);
}

static bool gsvm_policy_scattered(const struct gsvm_vm_policy *past)
{
	return hweight8(READ_ONCE(past->sparse) & GENMASK(GSVM_POLICY_VERDICTS - 1, 0)) >=
	       GSVM_POLICY_SPARSE;
}

/**
 * gsvm_policy_watches() - shall a block that could move be watched instead
 * @vm: address space
 * @block: block for which gsvm_policy_wants_vram()
 * @movable: how many of its pages are there and could move
 *
 * Return: true if it stays; it is held then.
 */
bool gsvm_policy_watches(struct gsvm_vm *vm, struct gsvm_block *block, unsigned int movable)
{
	struct gsvm_block_policy *policy = &block->policy;

	if (!gsvm_policy_must_evict(vm->gdev->vram, block))
		return false;
	if (policy->worth) {
		policy->worth = false;
		return false;
	}
	/* What does not exist yet costs a fault for each page, if it does not move. */
	if (!gsvm_policy_scattered(&vm->policy) &&
	    (movable < GSVM_BLOCK_PAGES / 2 ||
	     (u32)atomic_inc_return(&vm->policy.turn) % GSVM_POLICY_WATCH))
		return false;
	policy->services = atomic64_read(&vm->stats.fault_services);
	WRITE_ONCE(policy->watched, true);
	gsvm_policy_hold(vm, block);
	atomic64_inc(&vm->stats.bounces);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_watches);

/**
 * gsvm_policy_watched() - the hold of a block is over
 * @vm: address space
 * @block: block
 * @used: if it was mapped by small entries, pages that the device has used
 */
void gsvm_policy_watched(struct gsvm_vm *vm, struct gsvm_block *block, unsigned int used)
{
	struct gsvm_block_policy *policy = &block->policy;
	unsigned int enough = policy->level > 1 ? GSVM_POLICY_USED_MOST : GSVM_POLICY_USED;
	u64 services = atomic64_read(&vm->stats.fault_services) - policy->services;
	u8 sparse = READ_ONCE(vm->policy.sparse) << 1;

	if (!policy->watched)
		return;
	WRITE_ONCE(policy->watched, false);
	if (used >= enough) {
		policy->worth = true;
		policy->level = 0;
		WRITE_ONCE(vm->policy.sparse, sparse);
	} else if (services > GSVM_POLICY_WATCH) {
		WRITE_ONCE(vm->policy.sparse, sparse | 1);
	}
	trace_gsvm_watched(vm->gdev, vm->asid, block->start, used, services, policy->worth);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_policy_watched);

/**
 * gsvm_policy_moved_in() - an attempt to move a block to VRAM has ended
 * @block: block
 * @pages: pages that moved
 */
void gsvm_policy_moved_in(struct gsvm_block *block, unsigned int pages)
{
	struct gsvm_block_policy *policy = &block->policy;

	if (pages) {
		/* By a prefetch, perhaps: what is in VRAM is mapped as well as it can be. */
		WRITE_ONCE(policy->watched, false);
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
