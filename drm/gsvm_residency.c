// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Residency
 *
 * Tells where the pages of a range are, by a look at the process's page table
 * that changes nothing. The mirror has no part in it: pages that the GPU never
 * touched are somewhere, too. A notifier of its own makes sure that what is
 * told of one block was true at one instant. Of a page that NUMA balancing samples
 * the kernel tells only the frame (gsvm_look.c): it is in system memory, and nobody
 * may use it without a fault.
 *
 * Locks: mmap_lock (read) while looking. &gsvm_residency.lock is taken by the
 * notifier's callback, and orders it against the look's end.
 */

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/gsvm_drm.h>

#include "gsvm_device.h"
#include "gsvm_pt.h"
#include "gsvm_range.h"
#include "gsvm_residency.h"
#include "gsvm_transit.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"

/* Looks at one block that something changed under; it changes all the time then. */
#define GSVM_RESIDENCY_TRIES	64

/**
 * struct gsvm_residency - a look
 * @notifier: tells of changes
 * @lock: orders &mmu_interval_set_seq and &mmu_interval_read_retry
 * @pfn: what hmm_range_fault() found
 * @word: what user space gets
 */
struct gsvm_residency {
	struct mmu_interval_notifier notifier;
	spinlock_t lock;	/* the notifier's sequence */
	unsigned long pfn[GSVM_BLOCK_PAGES];
	u32 word[GSVM_BLOCK_PAGES];
};

static bool gsvm_residency_invalidate(struct mmu_interval_notifier *notifier,
				      const struct mmu_notifier_range *range, unsigned long seq)
{
	struct gsvm_residency *look = container_of(notifier, struct gsvm_residency, notifier);

	spin_lock(&look->lock);
	mmu_interval_set_seq(notifier, seq);
	spin_unlock(&look->lock);
	return true;
}

static const struct mmu_interval_notifier_ops gsvm_residency_ops = {
	.invalidate = gsvm_residency_invalidate,
};

static u32 gsvm_residency_gpu(const struct page *page)
{
	u32 id = gsvm_vram_of_page(page)->gdev->drm.render->index;

	return id << DRM_GSVM_RESIDENCY_GPU_SHIFT;
}

static u32 gsvm_residency_word(unsigned long pfn, bool moving)
{
	struct page *page;
	u32 word;

	/* A 2 MiB page on its way shows as an error. */
	if (pfn & HMM_PFN_ERROR || !(pfn & ~HMM_PFN_FLAGS))
		return moving ? DRM_GSVM_RESIDENCY_MOVING : DRM_GSVM_RESIDENCY_ABSENT;
	if (!(pfn & HMM_PFN_VALID))
		return DRM_GSVM_RESIDENCY_SYSTEM;
	page = hmm_pfn_to_page(pfn);
	if (gsvm_vram_owns(page))
		word = DRM_GSVM_RESIDENCY_VRAM | gsvm_residency_gpu(page);
	else
		word = DRM_GSVM_RESIDENCY_SYSTEM;
	if (pfn & HMM_PFN_WRITE)
		word |= DRM_GSVM_RESIDENCY_WRITE;
	if (hmm_pfn_to_map_order(pfn) + PAGE_SHIFT >= GSVM_BLOCK_SHIFT)
		word |= DRM_GSVM_RESIDENCY_HUGE;
	return word;
}

/* One look at [@start, @end), of one block. -EBUSY: it changed meanwhile. */
static int gsvm_residency_once(struct gsvm_residency *look, struct gsvm_vm *vm,
			       unsigned long start, unsigned long end)
{
	struct hmm_range range = {
		.notifier = &look->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = look->pfn,
		.dev_private_owner = (void *)gsvm_vram_owner(),
	};
	unsigned int i;
	bool moving;
	int ret;

	memset(look->pfn, 0, sizeof(look->pfn));
	range.notifier_seq = mmu_interval_read_begin(&look->notifier);
	/* In between: see DOC: Pages in transit. */
	moving = gsvm_transit_may_have(vm->mm, start);
	mmap_read_lock(vm->mm);
	ret = gsvm_range_fault(&range);
	mmap_read_unlock(vm->mm);
	if (ret)
		return ret;
	/* The struct pages of VRAM are there for as long as this holds, see gsvm_look.c. */
	rcu_read_lock();
	if (!mmu_interval_check_retry(&look->notifier, range.notifier_seq))
		for (i = 0; i < (end - start) >> PAGE_SHIFT; i++)
			look->word[i] = gsvm_residency_word(look->pfn[i], moving);
	rcu_read_unlock();
	spin_lock(&look->lock);
	if (mmu_interval_read_retry(&look->notifier, range.notifier_seq))
		ret = -EBUSY;
	spin_unlock(&look->lock);
	return ret;
}

static int gsvm_residency_block(struct gsvm_residency *look, struct gsvm_vm *vm,
				unsigned long start, unsigned long end, u32 __user *pages)
{
	unsigned int try;
	int ret = -EBUSY;

	for (try = 0; try < GSVM_RESIDENCY_TRIES && ret == -EBUSY; try++) {
		if (signal_pending(current))
			return -EINTR;
		ret = gsvm_residency_once(look, vm, start, end);
	}
	if (ret)
		return ret == -EBUSY ? -EAGAIN : ret;
	if (copy_to_user(pages, look->word, ((end - start) >> PAGE_SHIFT) * sizeof(u32)))
		return -EFAULT;
	return 0;
}

/**
 * gsvm_residency() - DRM_IOCTL_GSVM_RESIDENCY
 * @vm: VM, mirror of the caller's memory
 * @start: first byte
 * @length: bytes
 * @pages: out, one word per page
 *
 * Context: process, sleeps.
 * Return: as the ioctl says.
 */
int gsvm_residency(struct gsvm_vm *vm, u64 start, u64 length, u32 __user *pages)
{
	struct gsvm_residency *look = kvzalloc_obj(*look, GFP_KERNEL | __GFP_NOWARN);
	u64 addr, end = start + length, next;
	int ret;

	if (!look)
		return -ENOMEM;
	spin_lock_init(&look->lock);
	ret = mmu_interval_notifier_insert(&look->notifier, vm->mm, start, length,
					   &gsvm_residency_ops);
	if (ret) {
		kvfree(look);
		return ret;
	}
	for (addr = start; addr < end && !ret; addr = next) {
		next = min(end, round_down(addr, GSVM_BLOCK_SIZE) + GSVM_BLOCK_SIZE);
		ret = gsvm_residency_block(look, vm, addr, next,
					   pages + ((addr - start) >> PAGE_SHIFT));
	}
	mmu_interval_notifier_remove(&look->notifier);
	kvfree(look);
	return ret;
}
