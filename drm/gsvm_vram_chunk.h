/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_VRAM_CHUNK_H
#define GSVM_VRAM_CHUNK_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/types.h>

#include "gsvm_pt.h"

struct folio;
struct gpu_buddy_block;
struct gsvm_block;
struct gsvm_vram;

/* Chunks are as large as blocks: a block's pages can lie in one as they lie in it. */
#define GSVM_CHUNK_PAGES	GSVM_BLOCK_PAGES

/**
 * enum gsvm_chunk_use - what a chunk of VRAM is used for
 * @GSVM_CHUNK_FREE: nothing; on &gsvm_vram.free or still in the buddy's hands
 * @GSVM_CHUNK_OWNED: pages of one block, each at the place that it has in its block
 * @GSVM_CHUNK_MIXED: single pages of anybody
 */
enum gsvm_chunk_use {
	GSVM_CHUNK_FREE = 0,
	GSVM_CHUNK_OWNED,
	GSVM_CHUNK_MIXED,
};

/**
 * struct gsvm_vram_chunk - 2 MiB of VRAM, the unit of reservation and eviction
 * @vram: VRAM
 * @buddy: what the buddy allocator gave; NULL until the first use
 * @link: on &gsvm_vram.free or &gsvm_vram.lru
 * @partial: on &gsvm_vram.partial, if mixed and not full
 * @use: what for
 * @owner: block that it was reserved for; compared, never followed
 * @asid: address space of that block
 * @start: where in it the block is
 * @used: pages that exist, have been handed out or are kept back
 * @nr_used: how many
 * @nr_kept: of those, pages that the driver keeps for itself and never gives back
 * @pins: reservations and evictions under way; keeps the chunk from being freed
 * @evicting: no page is handed out
 * @referenced: the device has used it since eviction last came by
 */
struct gsvm_vram_chunk {
	struct gsvm_vram *vram;
	struct gpu_buddy_block *buddy;
	struct list_head link;
	struct list_head partial;
	enum gsvm_chunk_use use;
	const struct gsvm_block *owner;
	u32 asid;
	unsigned long start;
	DECLARE_BITMAP(used, GSVM_CHUNK_PAGES);
	unsigned int nr_used;
	unsigned int nr_kept;
	unsigned int pins;
	bool evicting;
	bool referenced;
};

int gsvm_vram_chunks_init(struct gsvm_vram *vram);
struct gsvm_vram_chunk *gsvm_vram_reserve(struct gsvm_vram *vram, struct gsvm_block *owner,
					  struct gsvm_vram_chunk *hint);
struct gsvm_vram_chunk *gsvm_vram_reserve_mixed(struct gsvm_vram *vram);
void gsvm_vram_release(struct gsvm_vram_chunk *chunk);
void gsvm_vram_disown(struct gsvm_vram_chunk *chunk, const struct gsvm_block *owner);
bool gsvm_vram_low(struct gsvm_vram *vram, unsigned int want);
struct folio *gsvm_vram_take(struct gsvm_vram_chunk *chunk, unsigned int first, unsigned int order);
struct folio *gsvm_vram_take_any(struct gsvm_vram_chunk *chunk);
struct gsvm_vram_chunk *gsvm_vram_victim(struct gsvm_vram *vram);
void gsvm_vram_victim_done(struct gsvm_vram_chunk *chunk);
bool gsvm_vram_is_whole(struct gsvm_vram_chunk *chunk);
unsigned int gsvm_vram_used_pfns(struct gsvm_vram_chunk *chunk, unsigned long *pfn);
void gsvm_vram_give_back(struct gsvm_vram *vram, unsigned long pfn, unsigned long nr);
void gsvm_vram_touch(struct gsvm_vram *vram, unsigned long pfn);
u64 gsvm_vram_free_bytes(struct gsvm_vram *vram);

#endif
