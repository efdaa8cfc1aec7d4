// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Populating a block
 *
 * Makes the pages that the device needs present in the process, reads where
 * the block's pages are, and maps them.
 *
 * Only the pages that are needed are required. They are brought in one by one
 * by handle_mm_fault(), as the process's own access would: with the access
 * that the device wanted and nothing more, so that a read leaves the zero page
 * and pages shared by fork() shared, and with the process's handlers
 * (userfaultfd) in their role. hmm_range_fault() is not asked to do it,
 * because it faults in all of a hole when any page of it is wanted.
 *
 * Some pages take long: I/O, a page lock, a userfaultfd handler that answers
 * when it likes. They do not hold up the others of the block. At first nobody
 * waits (FAULT_FLAG_RETRY_NOWAIT), and such pages are put aside; the caller
 * asks for each of them again, by itself, with patience.
 *
 * A page in this GPU's VRAM counts as there; whether pages go to VRAM was decided
 * before (gsvm_migrate.c). A page in another GPU's VRAM does not: the fault
 * brings it back to where both can reach it.
 *
 * Everything else in the block that belongs to the same mappings and that the
 * CPU has already is read along by hmm_range_fault() and mapped, with the
 * rights that the CPU's entry has at this moment. Nothing is brought in for
 * it. A page is mapped writable only if the CPU's entry is; whoever makes that
 * entry read-only tells the notifier.
 *
 * *Soft-dirty tracking.* When a process's soft-dirty bits are cleared, entries
 * become read-only, so that the first write faults and sets the bit again. Entries
 * of pages in VRAM do not: they stay writable, in VRAM and when they come back. So
 * in a mapping whose bits were ever cleared (it lacks VM_SOFTDIRTY), the CPU's
 * entry does not say that the device may write. What says so is
 * &gsvm_block.noted: a fault for a write, as the CPU has it, has set the entry's bit
 * since. Until then a page is mapped read-only, also when it is read along. To be
 * noted, it has to be in system memory, where a fault sets the bit: one
 * in VRAM comes back first. A page counts as noted if nothing was invalidated from
 * the look that found it present and writable to the end of that fault; a note is
 * forgotten when the entry may go without leaving its bit to another one, and a
 * block begins with none.
 *
 * All happens against the notifier's sequence: begin, look, then, under the
 * block's lock, check that nothing was invalidated, and map. When something
 * was, it starts over, at most GSVM_POPULATE_TRIES times. Then the service ends
 * without an answer, and gsvm_fault.c has it repeated later. The process alone
 * can keep this going, by changing the very block all the time, and only it
 * pays for it.
 */

#include <linux/hmm.h>
#include <linux/ktime.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include <drm/drm_drv.h>
#include <drm/gsvm_drm.h>

#include "gsvm_device.h"
#include "gsvm_mirror.h"
#include "gsvm_populate.h"
#include "gsvm_range.h"
#include "gsvm_split.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"
#include "gsvm_vram_page.h"

#define GSVM_POPULATE_TRIES	16

/* Looks at one mapping before the page that was brought in counts as lost again. */
#define GSVM_POPULATE_ROUNDS	3

/**
 * struct gsvm_populate - one service at work
 * @vm: address space
 * @block: block
 * @req: what is wanted
 * @need: pages that are wanted in some way and not given up
 * @pages: what was found
 * @seq: notifier sequence that @pages was read at
 * @fault_flags: FAULT_FLAG_TRIED once a fault had to let go of mmap_lock
 * @huge: first page frame of a 2 MiB page in VRAM that a fault met, which has come back
 *	or is to be split; 0: none
 * @oom: a fault ended for want of memory
 * @tracked: the soft-dirty bits of the mapping at work were cleared once
 */
struct gsvm_populate {
	struct gsvm_vm *vm;
	struct gsvm_block *block;
	struct gsvm_request *req;
	DECLARE_BITMAP(need, GSVM_BLOCK_PAGES);
	struct gsvm_block_pages pages;
	unsigned long seq;
	unsigned int fault_flags;
	unsigned long huge;
	bool oom;
	bool tracked;
};

static unsigned long gsvm_page_addr(const struct gsvm_populate *p, unsigned int i)
{
	return p->block->start + ((unsigned long)i << PAGE_SHIFT);
}

static unsigned int gsvm_page_index(const struct gsvm_populate *p, unsigned long addr)
{
	return (addr - p->block->start) >> PAGE_SHIFT;
}

/* Page @i cannot be had, whatever the access. */
static void gsvm_page_give_up(struct gsvm_populate *p, unsigned int i, u8 reason)
{
	p->req->reason[i] = reason;
	__clear_bit(i, p->need);
}

/* Take from page @i's request what its mapping does not allow the process. */
static void gsvm_vma_check(struct gsvm_populate *p, const struct vm_area_struct *vma,
			   unsigned int i)
{
	struct gsvm_request *req = p->req;

	if (!(vma->vm_flags & VM_READ)) {
		gsvm_page_give_up(p, i, DRM_GSVM_REASON_PERMISSION);
		return;
	}
	if (vma->vm_flags & (VM_IO | VM_PFNMAP)) {
		gsvm_page_give_up(p, i, DRM_GSVM_REASON_UNSUPPORTED);
		return;
	}
	if (!(vma->vm_flags & VM_WRITE) && __test_and_clear_bit(i, req->write))
		__set_bit(i, req->denied_write);
	if (!(vma->vm_flags & VM_EXEC) && __test_and_clear_bit(i, req->exec))
		__set_bit(i, req->denied_exec);
	if (!test_bit(i, req->read) && !test_bit(i, req->write) && !test_bit(i, req->exec))
		__clear_bit(i, p->need);
}

static bool gsvm_page_in_vram(const struct gsvm_populate *p, unsigned int i)
{
	return gsvm_vram_has(p->vm->gdev->vram, p->pages.pfn[i] & ~HMM_PFN_FLAGS);
}

/* Was there, and in no system memory. */
static bool gsvm_page_device(const struct gsvm_populate *p, unsigned int i)
{
	return p->pages.pfn[i] & HMM_PFN_VALID &&
	       !pfn_to_online_page(p->pages.pfn[i] & ~HMM_PFN_FLAGS);
}

/*
 * Not in the VRAM of another GPU, whose struct pages can go: see DOC: Looking
 * before moving. If that cannot be told any more, the answer may be wrong, and
 * the page is brought in once more.
 */
static bool gsvm_page_reachable(const struct gsvm_populate *p, unsigned int i)
{
	unsigned long frame = p->pages.pfn[i] & ~HMM_PFN_FLAGS;
	bool reachable;

	if (gsvm_page_in_vram(p, i) || pfn_to_online_page(frame))
		return true;
	rcu_read_lock();
	reachable = !mmu_interval_check_retry(&p->block->notifier, p->seq) &&
		    !gsvm_vram_owns(pfn_to_page(frame));
	rcu_read_unlock();
	return reachable;
}

/* Would the process's soft-dirty bits not tell of a write: see DOC: Populating a block. */
static bool gsvm_page_unnoted(const struct gsvm_populate *p, unsigned int i)
{
	return p->tracked && !test_bit(i, p->block->noted);
}

static bool gsvm_page_satisfied(const struct gsvm_populate *p, unsigned int i)
{
	unsigned long want = HMM_PFN_VALID;

	if (test_bit(i, p->req->write))
		want |= HMM_PFN_WRITE;
	return (p->pages.pfn[i] & want) == want && gsvm_page_reachable(p, i) &&
	       !(test_bit(i, p->req->write) && gsvm_page_unnoted(p, i));
}

/*
 * A fault for a write to page @i has just ended well. If the page was there and
 * writable all the time, that set its entry's soft-dirty bit, and nothing else.
 */
static void gsvm_page_note(struct gsvm_populate *p, unsigned int i)
{
	const unsigned long want = HMM_PFN_VALID | HMM_PFN_WRITE;
	struct gsvm_block *block = p->block;

	if ((p->pages.pfn[i] & want) != want || gsvm_page_device(p, i))
		return;
	mutex_lock(&block->lock);
	if (!mmu_interval_read_retry(&block->notifier, p->seq)) {
		if (hmm_pfn_to_map_order(p->pages.pfn[i]) >= PMD_ORDER)
			bitmap_fill(block->noted, GSVM_BLOCK_PAGES);
		else
			__set_bit(i, block->noted);
	}
	mutex_unlock(&block->lock);
}

/* What is read along and not noted can be read. */
static void gsvm_populate_protect(struct gsvm_populate *p, unsigned int first, unsigned int end)
{
	unsigned int i;

	for (i = first; i < end; i++)
		if (gsvm_page_unnoted(p, i))
			p->pages.pfn[i] &= ~HMM_PFN_WRITE;
}

/*
 * Bring in one page as the process's own access would. 0: done, put aside, or
 * given up with a reason; -EAGAIN: mmap_lock was let go and is not held; -ENOMEM.
 */
static int gsvm_fault_in(struct gsvm_populate *p, struct vm_area_struct *vma, unsigned int i)
{
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE |
			     p->fault_flags;
	vm_fault_t ret;

	if (test_bit(i, p->req->write))
		flags |= FAULT_FLAG_WRITE;
	if (!p->req->patient)
		flags |= FAULT_FLAG_RETRY_NOWAIT;
	ret = handle_mm_fault(vma, gsvm_page_addr(p, i), flags, NULL);
	if (p->tracked && flags & FAULT_FLAG_WRITE &&
	    !(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED | VM_FAULT_ERROR)))
		gsvm_page_note(p, i);
	if (ret & VM_FAULT_COMPLETED)
		return -EAGAIN;
	if (ret & VM_FAULT_RETRY && !p->req->patient) {
		/* Without waiting, mmap_lock stays held. */
		__set_bit(i, p->req->later);
		__clear_bit(i, p->need);
		return 0;
	}
	if (ret & VM_FAULT_RETRY) {
		p->fault_flags = FAULT_FLAG_TRIED;
		return -EAGAIN;
	}
	if (ret & VM_FAULT_OOM)
		return -ENOMEM;
	if (ret & (VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE))
		gsvm_page_give_up(p, i, DRM_GSVM_REASON_POISON);
	else if (ret & VM_FAULT_SIGBUS)
		gsvm_page_give_up(p, i, DRM_GSVM_REASON_BUS);
	else if (ret & VM_FAULT_ERROR)
		gsvm_page_give_up(p, i, DRM_GSVM_REASON_PERMISSION);
	return 0;
}

static int gsvm_snapshot(struct gsvm_populate *p, unsigned long start, unsigned long end)
{
	struct hmm_range range = {
		.notifier = &p->block->notifier,
		.notifier_seq = p->seq,
		.start = start,
		.end = end,
		.hmm_pfns = &p->pages.pfn[gsvm_page_index(p, start)],
		.dev_private_owner = (void *)gsvm_vram_owner(),
	};

	return gsvm_range_fault(&range);
}

/*
 * A page that was not there at the look may have been on its way to VRAM, and may
 * have arrived by now. Then a fault would do nothing but bring it back. Look at it
 * again, just before: is there nothing left to do for it?
 */
static bool gsvm_page_arrived(struct gsvm_populate *p, unsigned int i)
{
	unsigned long addr = gsvm_page_addr(p, i), pfn = 0;
	struct hmm_range range = {
		.notifier = &p->block->notifier,
		.start = addr,
		.end = addr + PAGE_SIZE,
		.hmm_pfns = &pfn,
		.dev_private_owner = (void *)gsvm_vram_owner(),
	};

	if (p->pages.pfn[i] || !p->vm->gdev->vram)
		return false;
	range.notifier_seq = mmu_interval_read_begin(range.notifier);
	if (gsvm_range_fault(&range))
		return false;
	/* Younger than the rest: if that matters, the sequence says so in the end. */
	p->pages.pfn[i] = pfn;
	return gsvm_page_satisfied(p, i);
}

/*
 * Was it mapped by one entry for 2 MiB, and in no system memory? Then a fault on any of its
 * pages concerns all of them: it comes back as a whole or is to be split (gsvm_split.c).
 */
static bool gsvm_page_huge_device(const struct gsvm_populate *p, unsigned int i)
{
	return gsvm_page_device(p, i) && hmm_pfn_to_map_order(p->pages.pfn[i]) >= PMD_ORDER;
}

/*
 * Bring in every needed page of pages [first, end) that is not there. Sets
 * *@missing if there was one. -EBUSY: something happened to a 2 MiB page, look again;
 * on -EAGAIN, mmap_lock is not held.
 */
static int gsvm_fault_in_missing(struct gsvm_populate *p, struct vm_area_struct *vma,
				 unsigned int first, unsigned int end, bool *missing)
{
	unsigned int i;
	int ret;

	*missing = false;
	i = first;
	for_each_set_bit_from(i, p->need, end) {
		if (gsvm_page_satisfied(p, i))
			continue;
		if (p->pages.pfn[i] & HMM_PFN_ERROR) {
			/* There is something, but no page the device could use. */
			gsvm_page_give_up(p, i, DRM_GSVM_REASON_UNSUPPORTED);
			continue;
		}
		if (gsvm_page_arrived(p, i))
			continue;
		*missing = true;
		ret = gsvm_fault_in(p, vma, i);
		if (ret)
			return ret;
		if (test_bit(i, p->need) && gsvm_page_huge_device(p, i)) {
			p->huge = (p->pages.pfn[i] & ~HMM_PFN_FLAGS) - i;
			return -EBUSY;
		}
	}
	return 0;
}

/*
 * One mapping's part of the block, which holds a needed page. 0: all needed
 * pages are in p->pages or given up; -EBUSY: invalidated or lost again; -EAGAIN
 * like -EBUSY, and mmap_lock is not held; -ENOMEM.
 */
static int gsvm_populate_vma(struct gsvm_populate *p, struct vm_area_struct *vma)
{
	unsigned long start = max(vma->vm_start, p->block->start);
	unsigned long end = min(vma->vm_end, p->block->start + GSVM_BLOCK_SIZE);
	unsigned int first = gsvm_page_index(p, start), last = gsvm_page_index(p, end - 1);
	unsigned int round;
	bool missing;
	int ret;

	p->tracked = pgtable_supports_soft_dirty() && !(vma->vm_flags & VM_SOFTDIRTY);
	for (round = 0; round < GSVM_POPULATE_ROUNDS; round++) {
		ret = gsvm_snapshot(p, start, end);
		if (ret)
			return ret == -ENOMEM ? ret : -EBUSY;
		ret = gsvm_fault_in_missing(p, vma, first, last + 1, &missing);
		if (ret)
			return ret;
		if (!missing) {
			gsvm_populate_protect(p, first, last + 1);
			if (vma->vm_flags & VM_EXEC)
				bitmap_set(p->pages.exec, first, last + 1 - first);
			return 0;
		}
	}
	return -EBUSY;
}

/* Check the needed pages of one mapping; where does it end in the block? */
static unsigned int gsvm_populate_check_vma(struct gsvm_populate *p,
					    const struct vm_area_struct *vma, unsigned int i)
{
	unsigned int end = min(vma->vm_end - p->block->start, GSVM_BLOCK_SIZE) >> PAGE_SHIFT;

	for_each_set_bit_from(i, p->need, end)
		gsvm_vma_check(p, vma, i);
	return end;
}

/* Fill p->pages. Errors as for gsvm_populate_vma(), mmap_lock not held. */
static int gsvm_populate_look(struct gsvm_populate *p)
{
	struct mm_struct *mm = p->vm->mm;
	unsigned int i = 0, end;
	int ret = 0;

	memset(&p->pages, 0, sizeof(p->pages));
	p->huge = 0;
	p->seq = mmu_interval_read_begin(&p->block->notifier);

	mmap_read_lock(mm);
	while ((i = find_next_bit(p->need, GSVM_BLOCK_PAGES, i)) < GSVM_BLOCK_PAGES) {
		struct vm_area_struct *vma = vma_lookup(mm, gsvm_page_addr(p, i));

		if (!vma) {
			gsvm_page_give_up(p, i, DRM_GSVM_REASON_NOT_MAPPED);
			continue;
		}
		end = gsvm_populate_check_vma(p, vma, i);
		if (find_next_bit(p->need, end, i) < end) {
			ret = gsvm_populate_vma(p, vma);
			if (ret == -EAGAIN)
				return ret;
			if (ret)
				break;
		}
		i = end;
	}
	mmap_read_unlock(mm);
	return ret;
}

/* What is mapped, and who can go on; block locked. */
static void gsvm_populate_result(struct gsvm_block *block, struct gsvm_request *req)
{
	DECLARE_BITMAP(wanted, GSVM_BLOCK_PAGES);

	gsvm_block_mapped(block, GSVM_PTE_R, req->mapped);
	gsvm_block_mapped(block, GSVM_PTE_W, req->resume);
	bitmap_or(wanted, req->read, req->exec, GSVM_BLOCK_PAGES);
	bitmap_and(wanted, wanted, req->mapped, GSVM_BLOCK_PAGES);
	bitmap_or(req->resume, req->resume, wanted, GSVM_BLOCK_PAGES);
}

/*
 * Give up what was found and is out of the device's reach. What is not, and is
 * not mapped either, lacks an IOMMU mapping for want of memory: -ENOMEM.
 */
static int gsvm_populate_verify(struct gsvm_populate *p)
{
	unsigned int i;
	int ret = 0;

	gsvm_populate_result(p->block, p->req);
	for_each_set_bit(i, p->need, GSVM_BLOCK_PAGES) {
		if (test_bit(i, p->req->mapped))
			continue;
		if (gsvm_block_can_reach(p->block, p->pages.pfn[i]))
			ret = -ENOMEM;
		else
			gsvm_page_give_up(p, i, DRM_GSVM_REASON_UNSUPPORTED);
	}
	return ret;
}

/* Map p->pages, inside drm_dev_enter(). 0; -EBUSY: invalidated meanwhile; -ENOMEM; -ENODEV. */
static int gsvm_populate_commit(struct gsvm_populate *p)
{
	struct gsvm_block *block = p->block;
	struct gsvm_block_table *table = NULL;
	int ret;

	if (!READ_ONCE(block->table) && !gsvm_block_can_be_huge(block, &p->pages)) {
		table = gsvm_block_table_alloc(block->mirror);
		if (!table)
			return -ENOMEM;
	}

	mutex_lock(&block->lock);
	if (gsvm_mirror_is_dead(block->mirror) || !block->slot) {
		ret = -ENODEV;
	} else if (mmu_interval_read_retry(&block->notifier, p->seq)) {
		ret = -EBUSY;
	} else if (block->nr_zombies) {
		/* Zapped by another service, which settles it outside of any invalidation. */
		ret = -EAGAIN;
	} else {
		if (!block->table)
			swap(block->table, table);
		ret = gsvm_block_map(block, &p->pages);
		if (!ret || ret == -EFAULT)
			ret = gsvm_populate_verify(p);
	}
	trace_gsvm_map(p->vm->gdev, p->vm->asid, block->start, block->nr_mapped,
		       block->state == GSVM_BLOCK_HUGE);
	mutex_unlock(&block->lock);
	gsvm_block_table_free(block->mirror, table);

	if (ret == -EAGAIN) {
		/* What was mapped had gone stale: it is zapped, now flush it. */
		gsvm_block_settle(block);
		ret = -EBUSY;
	}
	return ret;
}

/* A 2 MiB leaf was possible and could not be made: have a table next time. */
static int gsvm_populate_add_table(struct gsvm_block *block)
{
	struct gsvm_block_table *table = gsvm_block_table_alloc(block->mirror);

	if (!table)
		return -ENOMEM;
	mutex_lock(&block->lock);
	if (!block->table && block->slot)
		swap(block->table, table);
	mutex_unlock(&block->lock);
	gsvm_block_table_free(block->mirror, table);
	return 0;
}

static int gsvm_populate_once(struct gsvm_populate *p)
{
	int idx, ret;

	ret = gsvm_populate_look(p);
	if (ret) {
		p->oom |= ret == -ENOMEM;
		return ret;
	}

	/* DMA mappings and tables are made from here on: the device has to be there. */
	if (!drm_dev_enter(&p->vm->gdev->drm, &idx))
		return -ENODEV;
	ret = gsvm_populate_commit(p);
	if (ret == -ENOMEM && !READ_ONCE(p->block->table))
		gsvm_populate_add_table(p->block);
	drm_dev_exit(idx);
	return ret;
}

/**
 * gsvm_populate_note() - a service is through, and lets go on who can
 * @block: block
 * @req: with &gsvm_request.resume; called before the device hears of it
 */
void gsvm_populate_note(struct gsvm_block *block, const struct gsvm_request *req)
{
	mutex_lock(&block->lock);
	bitmap_copy(block->served, req->resume, GSVM_BLOCK_PAGES);
	block->served_at = ktime_get_ns();
	mutex_unlock(&block->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_populate_note);

/**
 * gsvm_populate_stale() - has what is wanted been resumed since it was wanted
 * @block: block
 * @req: what is wanted, and since when
 *
 * An access that began before a service resumed its page is not parked any more
 * on account of its old record. If it could not be made even then, there is a
 * younger one.
 *
 * Return: whether that holds for all pages; nobody waits for any of them then.
 */
bool gsvm_populate_stale(struct gsvm_block *block, const struct gsvm_request *req)
{
	bool stale;

	mutex_lock(&block->lock);
	stale = req->since < block->served_at &&
		bitmap_subset(req->read, block->served, GSVM_BLOCK_PAGES) &&
		bitmap_subset(req->write, block->served, GSVM_BLOCK_PAGES) &&
		bitmap_subset(req->exec, block->served, GSVM_BLOCK_PAGES);
	mutex_unlock(&block->lock);
	return stale;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_populate_stale);

/**
 * gsvm_populate_served() - has somebody else mapped what is wanted
 * @block: block
 * @req: what is needed; if it is all mapped, it is filled in what is, and who can go on
 *
 * Records of one access come twice when it went on between two looks at it, and
 * those of a block that is being served come too late.
 *
 * Return: whether there is nothing to do but to answer.
 */
bool gsvm_populate_served(struct gsvm_block *block, struct gsvm_request *req)
{
	bool served;

	mutex_lock(&block->lock);
	served = block->slot && gsvm_block_allows(block, req->read, GSVM_PTE_R) &&
		 gsvm_block_allows(block, req->write, GSVM_PTE_W) &&
		 gsvm_block_allows(block, req->exec, GSVM_PTE_X);
	if (served)
		gsvm_populate_result(block, req);
	mutex_unlock(&block->lock);
	return served;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_populate_served);

/**
 * gsvm_populate() - map the pages of a block that the device needs
 * @vm: address space; the caller holds a reference to its process's mm_users
 * @block: block, with a reference
 * @req: what is needed; the reasons are filled in
 *
 * Context: process, sleeps, also for as long as the process's own userfaultfd
 * handler likes; no locks held.
 * Return: 0 when every needed page is mapped or has a reason; -EAGAIN when the
 * block changed too often; -ENOMEM without memory for the bookkeeping; -ENODEV
 * when the mirror is dead.
 */
int gsvm_populate(struct gsvm_vm *vm, struct gsvm_block *block, struct gsvm_request *req)
{
	struct gsvm_populate *p;
	unsigned int try, i;
	int ret = -ENOMEM;

	p = kzalloc_obj(*p);
	if (!p)
		return -ENOMEM;
	p->vm = vm;
	p->block = block;
	p->req = req;
	bitmap_or(p->need, req->read, req->write, GSVM_BLOCK_PAGES);
	bitmap_or(p->need, p->need, req->exec, GSVM_BLOCK_PAGES);

	for (try = 0; try < GSVM_POPULATE_TRIES; try++) {
		ret = gsvm_populate_once(p);
		if (!ret || ret == -ENODEV)
			break;
		atomic64_inc(&vm->stats.fault_retries);
		/* Orders for another GPU's VRAM are not there: such a page is repeated only. */
		if (p->huge && vm->gdev->vram)
			gsvm_split_wait(vm->gdev->vram, p->huge);
		cond_resched();
	}
	if (ret == -ENOMEM && p->oom) {
		/* Memory is short, for this process at least, and stays so. */
		for_each_set_bit(i, p->need, GSVM_BLOCK_PAGES)
			gsvm_page_give_up(p, i, DRM_GSVM_REASON_NO_MEMORY);
		ret = 0;
	}
	kfree(p);
	return ret == -EBUSY ? -EAGAIN : ret;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_populate);
