// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Lost pages
 *
 * A GPU can die and take with it what processes had in its VRAM. As long as
 * VRAM reads through the BAR, nothing is lost: pages are saved one by one, by
 * the CPU's accesses and by the evacuation. When it does not, each page of it is
 * lost, and whoever needs one must be told, instead of going on with something
 * that was never written there:
 *
 * - An access of the CPU gets SIGBUS (BUS_MCEERR_AR). The page stays in VRAM.
 * - The evacuation has to give every page a place. It gets a page of system
 *   memory that is reported as broken at once, so that the kernel takes it from
 *   the process's page tables and answers the next access with SIGBUS. Who reads
 *   in between finds no zeroes, which could be taken for data, but what a bus
 *   reads on which nobody answers. Zeroes would be wrong for another reason: a
 *   2 MiB page is split when it is reported, and where the kernel finds a small
 *   page full of zeroes then, it maps the zero page. That one is not broken.
 *
 * One line in the log tells how many pages there are.
 */

#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/string.h>

#include <drm/drm_print.h>

#include "gsvm_device.h"
#include "gsvm_lost.h"
#include "gsvm_vram.h"
#include "gsvm_vram_chunk.h"

/* Each byte of a lost page's place. */
#define GSVM_LOST_FILL	0xff

/**
 * gsvm_lost_report() - VRAM does not read any more
 * @vram: VRAM
 *
 * Says so, once.
 */
void gsvm_lost_report(struct gsvm_vram *vram)
{
	s64 pages = vram->nr_pages - (gsvm_vram_free_bytes(vram) >> PAGE_SHIFT);

	if (pages > 0 && !atomic64_cmpxchg(&vram->lost, 0, pages))
		drm_err(&vram->gdev->drm, "VRAM cannot be read any more: %lld pages are lost\n",
			pages);
}

/**
 * gsvm_lost_fill() - overwrite the places of pages that were lost
 * @vram: VRAM
 * @dst: their places; each gets one more reference
 * @n: entries
 *
 * They must not show what was in that memory before.
 */
void gsvm_lost_fill(struct gsvm_vram *vram, const unsigned long *dst, unsigned int n)
{
	unsigned int i;

	gsvm_lost_report(vram);
	for (i = 0; i < n; i++) {
		struct page *page = migrate_pfn_to_page(dst[i]);

		if (!page)
			continue;
		memset(folio_address(page_folio(page)), GSVM_LOST_FILL,
		       folio_size(page_folio(page)));
		folio_get(page_folio(page));
	}
}

/**
 * gsvm_lost_poison() - report the places of lost pages as broken
 * @src: the pages, after migrate_device_finalize()
 * @dst: places after gsvm_lost_fill(), in the processes' page tables by now
 * @n: entries
 */
void gsvm_lost_poison(const unsigned long *src, const unsigned long *dst, unsigned int n)
{
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		struct page *page = migrate_pfn_to_page(dst[i]);
		struct folio *folio;
		unsigned int nr;

		if (!page)
			continue;
		folio = page_folio(page);
		/* Nobody got that one: its page did not go. */
		if (!(src[i] & MIGRATE_PFN_MIGRATE)) {
			folio_put(folio);
			continue;
		}
		nr = folio_nr_pages(folio);
		/*
		 * Broken one by one: the first one splits what is large, which nobody
		 * else may hold then. It takes the reference over.
		 */
		for (j = 0; j < nr; j++)
			memory_failure(page_to_pfn(page) + j, j ? 0 : MF_COUNT_INCREASED);
	}
}
