/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_VRAM_PAGE_H
#define GSVM_VRAM_PAGE_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include "gsvm_vram.h"

int gsvm_vram_pages_init(struct gsvm_vram *vram);
struct gsvm_vram *gsvm_vram_of_page(const struct page *page);
bool gsvm_vram_owns(const struct page *page);
const void *gsvm_vram_owner(void);

/* Is a frame one of this VRAM; without a look at its struct page. */
static inline bool gsvm_vram_has(const struct gsvm_vram *vram, unsigned long pfn)
{
	return vram && pfn - vram->first_pfn < vram->nr_pages;
}

/* Is a frame one of this chunk. */
static inline bool gsvm_vram_chunk_has(const struct gsvm_vram_chunk *chunk, unsigned long pfn)
{
	return gsvm_vram_has(chunk->vram, pfn) &&
	       (pfn - chunk->vram->first_pfn) / GSVM_CHUNK_PAGES ==
	       chunk - chunk->vram->chunk;
}

/* Offset of a page of this VRAM. */
static inline u64 gsvm_vram_offset(const struct gsvm_vram *vram, unsigned long pfn)
{
	return (u64)(pfn - vram->first_pfn) << PAGE_SHIFT;
}

#endif
