// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Looking before moving
 *
 * A move costs VRAM, which may have to be taken from somebody, and takes the
 * block's entries from the device. So before one is made, the process's page
 * table is read: is there anything that it could move? The answer may be old
 * when it is used. It decides about work, never about data.
 *
 * A page that NUMA balancing samples has an entry that nobody can use (PROT_NONE)
 * until somebody faults on it. hmm_range_fault() says so by leaving out
 * HMM_PFN_VALID, but it tells the frame, and the kernel moves such a page like any
 * other; so here it counts. But the kernel moves it as read-only, since that is
 * what its entry is, and a page in VRAM that is read-only has to come back for the
 * first write. Therefore gsvm_look_end_sampling() faults on such pages before they
 * move, as the process would. A kernel that did not tell the frame would only make
 * us take the page for a hole.
 *
 * No reference on the pages is held. That does not matter for system memory,
 * whose struct pages stay. The struct pages of VRAM go when its driver is
 * unbound. They are looked at inside RCU, and only if the notifier's sequence
 * says that the page was still mapped then; gsvm_vram_fini() waits for a grace
 * period after the last page has gone, before the struct pages do.
 *
 * Locks: mmap_lock (read).
 */

#include <linux/hmm.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include <kunit/visibility.h>

#include "gsvm_block.h"
#include "gsvm_look.h"
#include "gsvm_range.h"
#include "gsvm_vram_page.h"

/* Looks at a block that changes meanwhile. After that, whatever it is moves or does not. */
#define GSVM_LOOK_TRIES	3

/* Page frame of an entry, whether or not the process could use it now; 0: none. */
static unsigned long gsvm_look_frame(unsigned long hmm_pfn)
{
	return hmm_pfn & HMM_PFN_ERROR ? 0 : hmm_pfn & ~HMM_PFN_FLAGS;
}

static bool gsvm_look_sampled(unsigned long hmm_pfn)
{
	return gsvm_look_frame(hmm_pfn) && !(hmm_pfn & HMM_PFN_VALID);
}

/* KSM pages, zero pages, shared and pinned ones stay where they are. */
static bool gsvm_look_movable(struct page *page)
{
	struct folio *folio = page_folio(page);

	return !is_zone_device_page(page) && folio_test_anon(folio) && !folio_test_ksm(folio) &&
	       !folio_maybe_mapped_shared(folio) && !folio_maybe_dma_pinned(folio);
}

/* In system memory or in the VRAM of another GPU. */
static bool gsvm_look_shared(struct page *page)
{
	return (!is_zone_device_page(page) || gsvm_vram_owns(page)) &&
	       folio_maybe_mapped_shared(page_folio(page));
}

/* Pages @i to behind @end, of which all are alike. */
static void gsvm_look_count_some(struct gsvm_look *look, const struct gsvm_vram *vram,
				 unsigned int i, unsigned int end, struct gsvm_look_found *found)
{
	unsigned long frame = gsvm_look_frame(look->pfn[i]);
	struct page *page;

	if (!frame || gsvm_vram_has(vram, frame))
		return;
	page = pfn_to_page(frame);
	if (gsvm_look_shared(page))
		bitmap_set(look->shared, i, end - i);
	if (gsvm_look_movable(page)) {
		found->movable += end - i;
		found->sampled += gsvm_look_sampled(look->pfn[i]) ? end - i : 0;
	} else if (gsvm_vram_owns(page)) {
		if (!found->foreign)
			found->foreign_first = i;
		found->foreign += end - i;
		found->foreign_last = end - 1;
		found->foreign_huge |= end - i > 1;
	}
}

/* Inside RCU, if what was found still holds. */
VISIBLE_IF_KUNIT void gsvm_look_count(struct gsvm_look *look, const struct gsvm_vram *vram,
				      unsigned int first, unsigned int last,
				      struct gsvm_look_found *found)
{
	unsigned int i, end;

	*found = (struct gsvm_look_found) {};
	bitmap_zero(look->shared, GSVM_BLOCK_PAGES);
	for (i = first; i <= last; i = end) {
		bool huge = hmm_pfn_to_map_order(look->pfn[i]) >= PMD_ORDER;

		end = huge ? last + 1 : i + 1;
		gsvm_look_count_some(look, vram, i, end, found);
	}
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_look_count);

/**
 * gsvm_look_at() - see where the pages of a block are
 * @look: out
 * @block: block
 * @vram: VRAM that pages may go to
 * @start: first byte, in the block and in one mapping
 * @end: byte behind the last, likewise
 * @found: out; when the block changes all the time, everything is movable
 *
 * Context: process, mmap_lock held; sleeps.
 * Return: 0; -EBUSY, -EFAULT or -EINVAL when the kernel does not tell.
 */
int gsvm_look_at(struct gsvm_look *look, struct gsvm_block *block, const struct gsvm_vram *vram,
		 unsigned long start, unsigned long end, struct gsvm_look_found *found)
{
	unsigned int first = (start - block->start) >> PAGE_SHIFT;
	unsigned int last = (end - 1 - block->start) >> PAGE_SHIFT, try;
	struct hmm_range range = {
		.notifier = &block->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = &look->pfn[first],
		.dev_private_owner = (void *)gsvm_vram_owner(),
	};
	int ret;

	for (try = 0; try < GSVM_LOOK_TRIES; try++) {
		memset(look->pfn, 0, sizeof(look->pfn));
		range.notifier_seq = mmu_interval_read_begin(range.notifier);
		ret = gsvm_range_fault(&range);
		if (ret && ret != -EBUSY)
			return ret;
		rcu_read_lock();
		if (!ret && !mmu_interval_check_retry(range.notifier, range.notifier_seq)) {
			gsvm_look_count(look, vram, first, last, found);
			rcu_read_unlock();
			return 0;
		}
		rcu_read_unlock();
	}
	*found = (struct gsvm_look_found) { .movable = last + 1 - first };
	bitmap_zero(look->shared, GSVM_BLOCK_PAGES);
	return 0;
}

/**
 * gsvm_look_end_sampling() - let the process use what NUMA balancing samples
 * @look: after gsvm_look_at()
 * @block: the block
 * @vma: the mapping, anonymous and private
 *
 * Nobody waits for anything: what cannot be had at once stays as it is.
 *
 * Context: process, mmap_lock held, and still held afterwards: only a fault on a
 * shared mapping of a file lets go of it without waiting.
 */
void gsvm_look_end_sampling(const struct gsvm_look *look, const struct gsvm_block *block,
			    struct vm_area_struct *vma)
{
	unsigned int i;

	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		if (gsvm_look_sampled(look->pfn[i]))
			handle_mm_fault(vma, block->start + ((unsigned long)i << PAGE_SHIFT),
					FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY |
					FAULT_FLAG_RETRY_NOWAIT, NULL);
}

/**
 * gsvm_look_empty() - had a page no content of its own
 * @look: after gsvm_look_at(), in an anonymous mapping
 * @i: page of the block
 *
 * Return: whether there was nothing, or a zero page, small or huge.
 */
bool gsvm_look_empty(const struct gsvm_look *look, unsigned int i)
{
	unsigned long frame = gsvm_look_frame(look->pfn[i]);
	struct page *page;

	if (!frame)
		return !(look->pfn[i] & HMM_PFN_ERROR);
	/* Not so for VRAM: it need not have struct pages any more. */
	page = pfn_to_online_page(frame);
	return page && !folio_test_anon(page_folio(page));
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_look_empty);
