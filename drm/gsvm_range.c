// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Reading a process's page table
 *
 * All looks at a process's page table are made by hmm_range_fault(), and go through
 * here, because its answer needs a correction. If a range begins in the middle of a 2 MiB
 * page that is in VRAM, the kernel (hmm_vma_handle_absent_pmd() in mm/hmm.c of 7.2 and 7.3)
 * names the frames from the page's beginning on, not from where the range begins. So a
 * range of one page, wherever in the 2 MiB it is, gets the frame of the first one:
 * whoever maps that has one page's data written to another. For 2 MiB pages in
 * system memory it does it right.
 *
 * An entry for 2 MiB says so (hmm_pfn_to_map_order()), and its frames are aligned as
 * its addresses are. So the place in it follows from the address, and the lower bits of
 * the frame are set accordingly, whether the kernel had them right or not.
 *
 * Locks: those of hmm_range_fault().
 */

#include <linux/hmm.h>
#include <linux/mm.h>

#include <kunit/visibility.h>

#include "gsvm_range.h"

/**
 * gsvm_range_correct() - have every frame be that of its address
 * @range: range that was read
 */
VISIBLE_IF_KUNIT void gsvm_range_correct(const struct hmm_range *range)
{
	unsigned long i, pages = (range->end - range->start) >> PAGE_SHIFT;

	for (i = 0; i < pages; i++) {
		unsigned long *pfn = &range->hmm_pfns[i];
		unsigned long place = ((range->start >> PAGE_SHIFT) + i) % HPAGE_PMD_NR;

		if (hmm_pfn_to_map_order(*pfn) >= PMD_ORDER)
			*pfn = (*pfn & ~(HPAGE_PMD_NR - 1ul)) | place;
	}
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_range_correct);

/**
 * gsvm_range_fault() - read where a process's pages are
 * @range: as for hmm_range_fault()
 *
 * Context: as for hmm_range_fault(): mmap_lock held, sleeps.
 * Return: as from hmm_range_fault().
 */
int gsvm_range_fault(struct hmm_range *range)
{
	int ret = hmm_range_fault(range);

	if (!ret)
		gsvm_range_correct(range);
	return ret;
}
