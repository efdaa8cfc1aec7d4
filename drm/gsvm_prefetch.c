// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Prefetch
 *
 * Moves a range to VRAM or back because the process said so, in windows of
 * GSVM_MOVE_BLOCKS blocks. On the way to VRAM two windows are under way at once:
 * while the engine copies one, the kernel collects the pages of the next. Both
 * lie within one hold of the mmap lock, which is let go between two pairs, so
 * that whoever changes the address space waits for a few milliseconds at most.
 *
 * Some pages do not move at the first attempt though they could: they sit in a
 * processor's batch of pages on their way to the LRU lists, or somebody has just
 * locked them. The kernel empties the batches when it meets such a page, so the
 * next attempt finds most of them. After a pass, blocks of which not everything
 * was collected are looked at (gsvm_look.c), and if there is anything left that
 * could move, the windows get another pass, GSVM_PREFETCH_PASSES in all. Who has a
 * page locked may have to wait for a processor to let go of it, so time passes
 * before the later ones, 30 ms in all, without a lock. Pages that are pinned or shared
 * do not count, so a range of those costs a look.
 *
 * Each pass begins with a look, too. It tells which pages are shared and stay, and
 * which ones NUMA balancing samples. Pages in the VRAM of another GPU are moved at once
 * (gsvm_move_across.c); those that cannot be are brought to system memory, and taken
 * from there like all others. On the way back, pages come from the VRAM of all GPUs,
 * whichever of them is asked.
 *
 * In between is also where it can be stopped: by a signal, if somebody waits
 * for it, or by the end of the VM, if nobody does. What has moved has moved.
 *
 * *Whose thread.* To unmap a small page, the kernel flushes its translation at once
 * on every processor that runs a thread of the process: an interrupt and its answer
 * for each page, which outweighs everything else by far. A processor that is idle
 * or runs a kernel thread is left alone. So when a process has several threads, a
 * worker moves pages to VRAM while the caller sleeps; threads that prefetch at the
 * same time do not interrupt each other then. Threads that compute are interrupted
 * all the same. What comes back was not mapped, and the caller fetches it himself,
 * or half of it.
 *
 * *The way back.* A 2 MiB page is guarded, copied, waited for and mapped before the
 * next one is guarded: while the engine copies, nobody prepares, and the other way
 * round. Two guards in one hand would be two locks of one kind, in an order that nothing
 * defines. So there are two hands: a range of some size is halved, a worker brings the
 * one half back and the caller the other, as two threads of the process would. Each
 * ends when it is through or told to; the caller waits for the worker, holding nothing,
 * and a signal for the caller ends both. A caller whose memory shall be on certain nodes
 * brings it all himself.
 */

#include <linux/completion.h>
#include <linux/cpuset.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include <drm/gsvm_drm.h>

#include "gsvm_block.h"
#include "gsvm_device.h"
#include "gsvm_look.h"
#include "gsvm_migrate.h"
#include "gsvm_mirror.h"
#include "gsvm_move.h"
#include "gsvm_policy.h"
#include "gsvm_prefetch.h"
#include "gsvm_prefetch_job.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

#define GSVM_PREFETCH_PAGES	(GSVM_MOVE_BLOCKS * GSVM_BLOCK_PAGES)
#define GSVM_PREFETCH_BYTES	((unsigned long)GSVM_MOVE_BLOCKS * GSVM_BLOCK_SIZE)
#define GSVM_PREFETCH_WINDOWS	2
#define GSVM_PREFETCH_PASSES	6

/* A smaller range is not worth a worker on the way back. */
#define GSVM_PREFETCH_HALVED	(4ul * GSVM_BLOCK_SIZE)

/**
 * struct gsvm_prefetch - a range on its way
 * @vm: address space
 * @start: first byte
 * @end: byte behind the last
 * @to_vram: direction
 * @interruptible: a signal for the current thread, which is the process's, ends it
 * @cancelled: so does this; set by who waits for a worker
 * @moved: pages that have moved
 * @move: windows; on the way back the first one only
 * @busy: the window that is being copied, or NULL
 * @left: something that could have moved has not, in this pass
 */
struct gsvm_prefetch {
	struct gsvm_vm *vm;
	unsigned long start;
	unsigned long end;
	bool to_vram;
	bool interruptible;
	bool cancelled;
	u64 moved;
	struct gsvm_move *move[GSVM_PREFETCH_WINDOWS];
	struct gsvm_move *busy;
	bool left;
};

/**
 * struct gsvm_prefetch_errand - a prefetch that a worker makes for a caller
 * @work: does it
 * @prefetch: what to do
 * @ret: how it ended, once @done
 * @done: completed at the end
 *
 * On the caller's stack, who does not go before gsvm_prefetch_join() has returned.
 */
struct gsvm_prefetch_errand {
	struct work_struct work;
	struct gsvm_prefetch *prefetch;
	int ret;
	struct completion done;
};

static unsigned long gsvm_prefetch_window_end(const struct gsvm_prefetch *p, unsigned long addr)
{
	return min(p->end, round_down(addr, GSVM_BLOCK_SIZE) + GSVM_PREFETCH_BYTES);
}

static void gsvm_prefetch_exit(struct gsvm_prefetch *p, unsigned long start, unsigned long end)
{
	gsvm_policy_memcg_exit(p->vm, (end - start) >> PAGE_SHIFT);
}

/*
 * Where does a window from @addr on end: as far as the process's memory cgroups
 * have room, a window or a block of it. gsvm_prefetch_exit() must follow if that is
 * anywhere.
 */
static unsigned long gsvm_prefetch_enter(struct gsvm_prefetch *p, unsigned long addr)
{
	unsigned long end = gsvm_prefetch_window_end(p, addr);

	if (gsvm_policy_memcg_enter(p->vm, (end - addr) >> PAGE_SHIFT))
		return end;
	end = min(end, round_down(addr, GSVM_BLOCK_SIZE) + GSVM_BLOCK_SIZE);
	return gsvm_policy_memcg_enter(p->vm, (end - addr) >> PAGE_SHIFT) ? end : addr;
}

/* Why to stop; 0: go on. */
static int gsvm_prefetch_stop(const struct gsvm_prefetch *p)
{
	if (p->interruptible && signal_pending(current))
		return -EINTR;
	if (READ_ONCE(p->cancelled))
		return -EINTR;
	if (READ_ONCE(p->vm->dead))
		return -ENOENT;
	/* What is in a dead GPU's VRAM may still be read, and is better off elsewhere. */
	if (p->to_vram && gsvm_device_is_wedged(p->vm->gdev))
		return -EIO;
	return 0;
}

static void gsvm_prefetch_end_busy(struct gsvm_prefetch *p)
{
	if (p->busy)
		p->moved += gsvm_move_in_end(p->busy);
	p->busy = NULL;
}

/*
 * Take what of a block is in the VRAM of other GPUs. Returns whether any of it is in
 * system memory now, from where it could move.
 */
static bool gsvm_prefetch_fetch(struct gsvm_prefetch *p, struct gsvm_move *move,
				struct gsvm_block *block, struct vm_area_struct *vma,
				const struct gsvm_look_found *found)
{
	unsigned long first = block->start + ((unsigned long)found->foreign_first << PAGE_SHIFT);
	unsigned long end = block->start + ((found->foreign_last + 1ul) << PAGE_SHIFT);
	unsigned int moved = gsvm_move_across(move, vma, first, end);

	p->moved += moved;
	if (moved >= found->foreign)
		return false;
	move->keep = move->vram;
	gsvm_move_out(move, vma, first, end, &moved);
	return true;
}

/* Look at one mapping's part of a window. Returns whether anything in it could move. */
static bool gsvm_prefetch_look(struct gsvm_prefetch *p, struct gsvm_move *move,
			       struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct gsvm_look_found found;
	unsigned long addr, next;
	bool movable = false;

	for (addr = start; addr < end; addr = next) {
		unsigned int b = (addr - move->base) >> GSVM_BLOCK_SHIFT;
		struct gsvm_block *block = move->block[b];

		next = min(end, block->start + GSVM_BLOCK_SIZE);
		/* Without VRAM, it is no use. */
		if ((!move->chunk[b] && !move->mixed) ||
		    gsvm_look_at(&move->look, block, move->vram, addr, next, &found))
			continue;
		bitmap_copy(move->stay[b], move->look.shared, GSVM_BLOCK_PAGES);
		if (found.sampled)
			gsvm_look_end_sampling(&move->look, block, vma);
		movable |= found.movable;
		if (found.foreign)
			movable |= gsvm_prefetch_fetch(p, move, block, vma, &found);
	}
	return movable;
}

/* Begin one mapping's part of a window; the window before it is completed meanwhile. */
static void gsvm_prefetch_begin(struct gsvm_prefetch *p, struct gsvm_move *move,
				struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if (p->busy == move)
		gsvm_prefetch_end_busy(p);
	gsvm_prefetch_look(p, move, vma, start, end);
	move->fill_start = vma->vm_flags & VM_WRITE ? p->start : 0;
	move->fill_end = vma->vm_flags & VM_WRITE ? p->end : 0;
	move->fill_huge = true;
	if (gsvm_move_in_begin(move, vma, start, end))
		return;
	gsvm_prefetch_end_busy(p);
	p->busy = move;
}

/* See what the pass has left behind. */
static void gsvm_prefetch_check(struct gsvm_prefetch *p, struct gsvm_move *move,
				struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if (move->missed)
		p->left |= gsvm_prefetch_look(p, move, vma, start, end);
}

/* Do something to all mappings in a window whose VRAM is reserved; mmap_lock held. */
static void gsvm_prefetch_window(struct gsvm_prefetch *p, struct gsvm_move *move,
				 unsigned long start, unsigned long end,
				 void (*fn)(struct gsvm_prefetch *p, struct gsvm_move *move,
					    struct vm_area_struct *vma, unsigned long start,
					    unsigned long end))
{
	struct vm_area_struct *vma;
	unsigned long addr = start;

	while (addr < end && (vma = find_vma(p->vm->mm, addr)) && vma->vm_start < end) {
		addr = max(addr, vma->vm_start);
		if (gsvm_migrate_movable(vma))
			fn(p, move, vma, addr, min(end, vma->vm_end));
		addr = vma->vm_end;
	}
}

/* One pass over @n windows. Returns whether another one may move more. */
static bool gsvm_prefetch_pass(struct gsvm_prefetch *p, const unsigned long *bound, unsigned int n)
{
	unsigned int i;

	p->left = false;
	mmap_read_lock(p->vm->mm);
	for (i = 0; i < n; i++) {
		p->move[i]->missed = 0;
		gsvm_prefetch_window(p, p->move[i], bound[i], bound[i + 1], gsvm_prefetch_begin);
	}
	gsvm_prefetch_end_busy(p);
	for (i = 0; i < n; i++)
		gsvm_prefetch_window(p, p->move[i], bound[i], bound[i + 1], gsvm_prefetch_check);
	mmap_read_unlock(p->vm->mm);
	return p->left;
}

static void gsvm_prefetch_passes(struct gsvm_prefetch *p, const unsigned long *bound,
				 unsigned int n)
{
	unsigned int pass;

	for (pass = 1; gsvm_prefetch_pass(p, bound, n); pass++) {
		if (pass == GSVM_PREFETCH_PASSES || gsvm_prefetch_stop(p))
			break;
		if (pass > 1)
			fsleep(USEC_PER_MSEC << (pass - 1));
	}
}

/* Move up to two windows from *@addr on to VRAM, and *@addr behind them. */
static int gsvm_prefetch_in(struct gsvm_prefetch *p, unsigned long *addr)
{
	unsigned long bound[GSVM_PREFETCH_WINDOWS + 1] = { *addr };
	unsigned int n, i;
	int ret = 0;

	for (n = 0; n < GSVM_PREFETCH_WINDOWS && bound[n] < p->end; n++) {
		bound[n + 1] = gsvm_prefetch_enter(p, bound[n]);
		if (bound[n + 1] == bound[n])
			break;
		ret = gsvm_move_reserve(p->move[n], p->vm, bound[n], bound[n + 1]);
		if (ret) {
			gsvm_prefetch_exit(p, bound[n], bound[n + 1]);
			break;
		}
	}
	if (n)
		gsvm_prefetch_passes(p, bound, n);
	for (i = 0; i < n; i++) {
		gsvm_move_release(p->move[i]);
		gsvm_prefetch_exit(p, bound[i], bound[i + 1]);
	}
	/* Without any room, the rest stays. */
	*addr = n || ret ? bound[n] : p->end;
	/* The block came and went: whoever took it has made progress, and we try again. */
	return ret == -EAGAIN ? 0 : ret;
}

/* Bring one window from *@addr on back to system memory. */
static int gsvm_prefetch_out(struct gsvm_prefetch *p, unsigned long *addr)
{
	unsigned long end = gsvm_prefetch_window_end(p, *addr), at = *addr;
	struct vm_area_struct *vma;
	unsigned int moved;
	int ret = 0;

	mmap_read_lock(p->vm->mm);
	while (!ret && at < end && (vma = find_vma(p->vm->mm, at)) && vma->vm_start < end) {
		at = max(at, vma->vm_start);
		if (vma_is_anonymous(vma)) {
			ret = gsvm_move_out(p->move[0], vma, at, min(end, vma->vm_end), &moved);
			p->moved += moved;
		}
		at = vma->vm_end;
	}
	mmap_read_unlock(p->vm->mm);
	*addr = end;
	return ret;
}

static int gsvm_prefetch_alloc(struct gsvm_prefetch *p)
{
	unsigned int i, n = p->to_vram ? GSVM_PREFETCH_WINDOWS : 1;
	unsigned long pages = (p->end - p->start) >> PAGE_SHIFT;

	for (i = 0; i < n; i++) {
		p->move[i] = gsvm_move_alloc(p->vm->gdev->vram,
					     min(pages, (unsigned long)GSVM_PREFETCH_PAGES));
		if (!p->move[i])
			return -ENOMEM;
	}
	return 0;
}

/* Move the range window by window. -EINTR, -ENOENT, -EIO, -ENODEV, -ENOMEM: ended early. */
static int gsvm_prefetch_go(struct gsvm_prefetch *p)
{
	unsigned long addr = p->start;
	unsigned int i;
	int ret;

	ret = gsvm_prefetch_alloc(p);
	while (!ret && addr < p->end) {
		ret = gsvm_prefetch_stop(p);
		if (ret)
			break;
		if (!mmget_not_zero(p->vm->mm)) {
			ret = -ENOENT;
			break;
		}
		if (p->to_vram)
			ret = gsvm_prefetch_in(p, &addr);
		else
			ret = gsvm_prefetch_out(p, &addr);
		mmput(p->vm->mm);
		cond_resched();
	}
	for (i = 0; i < GSVM_PREFETCH_WINDOWS; i++)
		gsvm_move_free(p->move[i]);
	return ret;
}

static void gsvm_prefetch_errand_work(struct work_struct *work)
{
	struct gsvm_prefetch_errand *errand =
		container_of(work, struct gsvm_prefetch_errand, work);

	errand->ret = gsvm_prefetch_go(errand->prefetch);
	/* Who is interrupted waits twice. */
	complete_all(&errand->done);
}

/* Have a worker make the prefetch @p, which no signal ends. gsvm_prefetch_join() follows. */
static void gsvm_prefetch_send(struct gsvm_prefetch_errand *errand, struct gsvm_prefetch *p)
{
	errand->prefetch = p;
	p->interruptible = false;
	init_completion(&errand->done);
	INIT_WORK_ONSTACK(&errand->work, gsvm_prefetch_errand_work);
	/* Not among the patient: a thread that they wait for may be the one that waits here. */
	queue_work(gsvm_wq, &errand->work);
}

/* Wait for the worker: to its end, or until the caller gets a signal that ends it. */
static int gsvm_prefetch_join(struct gsvm_prefetch_errand *errand, bool interruptible)
{
	if (interruptible && wait_for_completion_interruptible(&errand->done))
		WRITE_ONCE(errand->prefetch->cancelled, true);
	wait_for_completion(&errand->done);
	destroy_work_on_stack(&errand->work);
	return errand->ret;
}

/* A worker takes the upper half of the range. */
static int gsvm_prefetch_halves(struct gsvm_prefetch *p)
{
	struct gsvm_prefetch upper = { .vm = p->vm, .end = p->end, .to_vram = p->to_vram };
	struct gsvm_prefetch_errand errand;
	int ret, err;

	upper.start = round_down(p->start + (p->end - p->start) / 2, GSVM_BLOCK_SIZE);
	p->end = upper.start;
	gsvm_prefetch_send(&errand, &upper);
	ret = gsvm_prefetch_go(p);
	if (ret)
		WRITE_ONCE(upper.cancelled, true);
	err = gsvm_prefetch_join(&errand, p->interruptible);
	p->moved += upper.moved;
	return ret ? ret : err;
}

/* Has the process, which is the caller's, other threads whose processors need flushing? */
static bool gsvm_prefetch_is_threaded(const struct gsvm_prefetch *p)
{
	return p->interruptible && current->mm == p->vm->mm && !thread_group_empty(current);
}

/*
 * May a worker take system memory for the current thread? It does so from any node. A
 * policy of the mapping's it finds, one of the thread's, or a cpuset, it does not.
 */
static bool gsvm_prefetch_is_free(void)
{
#ifdef CONFIG_NUMA
	if (current->mempolicy)
		return false;
#endif
	return nodes_subset(node_states[N_MEMORY], cpuset_current_mems_allowed);
}

/* Move the range, with a worker's help where that is of use. Errors as above. */
static int gsvm_prefetch_run(struct gsvm_prefetch *p)
{
	struct gsvm_prefetch_errand errand;

	/* Without VRAM nothing goes there, and nothing is in it. */
	if (p->to_vram ? !p->vm->gdev->vram : !gsvm_vram_gpus())
		return 0;
	if (!p->to_vram && p->end - p->start >= GSVM_PREFETCH_HALVED && gsvm_prefetch_is_free())
		return gsvm_prefetch_halves(p);
	if (!p->to_vram || !gsvm_prefetch_is_threaded(p))
		return gsvm_prefetch_go(p);
	gsvm_prefetch_send(&errand, p);
	return gsvm_prefetch_join(&errand, true);
}

/**
 * gsvm_prefetch_range() - move a range by a thread that is not the process's
 * @vm: VM
 * @start: first byte
 * @end: byte behind the last
 * @to_vram: direction
 *
 * Best effort: what did not move is found where it was. Ends early at the end of the VM
 * or of its process.
 *
 * Context: process, sleeps.
 */
void gsvm_prefetch_range(struct gsvm_vm *vm, unsigned long start, unsigned long end, bool to_vram)
{
	struct gsvm_prefetch p = { .vm = vm, .start = start, .end = end, .to_vram = to_vram };

	gsvm_prefetch_run(&p);
}

/**
 * gsvm_prefetch() - DRM_IOCTL_GSVM_PREFETCH
 * @vm: VM, mirror of the caller's memory
 * @args: validated; &drm_gsvm_prefetch.moved is written
 *
 * Context: process, sleeps; inside drm_dev_enter().
 * Return: as the ioctl says.
 */
int gsvm_prefetch(struct gsvm_vm *vm, struct drm_gsvm_prefetch *args)
{
	struct gsvm_prefetch p = {
		.vm = vm,
		.start = args->start,
		.end = args->start + args->length,
		.to_vram = args->region == DRM_GSVM_REGION_VRAM,
		.interruptible = true,
	};
	int ret;

	args->moved = 0;
	if (args->flags & DRM_GSVM_PREFETCH_ASYNC)
		return gsvm_prefetch_job_start(vm, args);
	ret = gsvm_prefetch_run(&p);
	args->moved = p.moved;
	return ret;
}

static void gsvm_prefetch_vm_out(struct gsvm_vm *vm)
{
	struct gsvm_block *block;
	u64 addr = 0;

	while ((block = gsvm_mirror_block_next(vm->mirror, &addr))) {
		u64 start = block->start;

		gsvm_block_put(block);
		gsvm_prefetch_range(vm, start, start + GSVM_BLOCK_SIZE, false);
	}
}

/**
 * gsvm_prefetch_all_out() - bring back what the address spaces have in VRAM
 * @gdev: GPU
 *
 * For what eviction by physical address cannot split.
 */
void gsvm_prefetch_all_out(struct gsvm_device *gdev)
{
	u32 asid;

	for (asid = 0; asid < gdev->limits.num_asids; asid++) {
		struct gsvm_vm *vm = gsvm_vm_lookup_asid(gdev, asid);

		if (!vm)
			continue;
		gsvm_prefetch_vm_out(vm);
		gsvm_vm_put(vm);
	}
}
