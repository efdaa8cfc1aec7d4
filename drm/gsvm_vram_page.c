// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Pages of VRAM
 *
 * VRAM is made of device-private pages: pages of a process that the CPU has no
 * way to. Each 4 KiB has a struct page; its frame number tells the VRAM offset,
 * and nothing else about it is kept: no process, no address. Those change
 * (mremap, fork) without anybody telling the page. All GPUs' pages have one
 * owner, so that a mapping may show pages of each to each; whose VRAM a page is
 * in, its pagemap tells.
 *
 * The kernel calls back when a page is free again (gsvm_vram_chunk.c has its
 * room), when the CPU touches it (gsvm_migrate.c), and when it is split.
 */

#include <linux/mm.h>

#include <kunit/visibility.h>

#include "gsvm_device.h"
#include "gsvm_migrate.h"
#include "gsvm_vram.h"
#include "gsvm_vram_chunk.h"
#include "gsvm_vram_page.h"

/* All GPUs: a mapping may show pages of each to each. */
static const char gsvm_vram_owner_mark[] = "gsvm";

/**
 * gsvm_vram_owner() - the owner of all VRAM pages of all GPUs
 *
 * Return: what &dev_pagemap.owner holds, for hmm_range_fault() and migrate_vma.
 */
const void *gsvm_vram_owner(void)
{
	return gsvm_vram_owner_mark;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_vram_owner);

/**
 * gsvm_vram_owns() - is a page in the VRAM of one of our GPUs
 * @page: any page
 *
 * Return: whether it is.
 */
bool gsvm_vram_owns(const struct page *page)
{
	return is_device_private_page(page) && page_pgmap(page)->owner == gsvm_vram_owner();
}

/**
 * gsvm_vram_of_page() - whose VRAM is a page in
 * @page: page for which gsvm_vram_owns()
 *
 * Return: the VRAM.
 */
struct gsvm_vram *gsvm_vram_of_page(const struct page *page)
{
	return container_of(page_pgmap(page), struct gsvm_vram, pgmap);
}

static void gsvm_vram_folio_free(struct folio *folio)
{
	struct gsvm_vram *vram = container_of(folio->pgmap, struct gsvm_vram, pgmap);

	gsvm_vram_give_back(vram, folio_pfn(folio), folio_nr_pages(folio));
}

static void gsvm_vram_folio_split(struct folio *head, struct folio *tail)
{
	/* A page carries nothing of ours: that is all there is to inherit. */
	if (!tail)
		return;
	tail->pgmap = head->pgmap;
	tail->page.mapping = head->page.mapping;
}

static const struct dev_pagemap_ops gsvm_vram_pagemap_ops = {
	.folio_free = gsvm_vram_folio_free,
	.migrate_to_ram = gsvm_migrate_to_ram,
	.folio_split = gsvm_vram_folio_split,
};

/**
 * gsvm_vram_pages_init() - make the struct pages
 * @vram: VRAM, its size known; undone with the device's resources
 *
 * Return: 0; -ENOMEM and what else devm_request_free_mem_region() and
 * devm_memremap_pages() return: there are none then.
 */
int gsvm_vram_pages_init(struct gsvm_vram *vram)
{
	struct pci_dev *pdev = vram->gdev->pdev;
	u64 size = (u64)vram->nr_pages << PAGE_SHIFT;
	struct resource *res;
	void *ret;

	res = devm_request_free_mem_region(&pdev->dev, &iomem_resource, size);
	if (IS_ERR(res))
		return PTR_ERR(res);
	vram->pgmap.type = MEMORY_DEVICE_PRIVATE;
	vram->pgmap.range.start = res->start;
	vram->pgmap.range.end = res->end;
	vram->pgmap.nr_range = 1;
	vram->pgmap.ops = &gsvm_vram_pagemap_ops;
	vram->pgmap.owner = (void *)gsvm_vram_owner();
	ret = devm_memremap_pages(&pdev->dev, &vram->pgmap);
	if (IS_ERR(ret))
		return PTR_ERR(ret);
	vram->first_pfn = PHYS_PFN(vram->pgmap.range.start);
	return 0;
}
