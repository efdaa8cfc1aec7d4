/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_VRAM_H
#define GSVM_VRAM_H

#include <linux/bitmap.h>
#include <linux/gpu_buddy.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "gsvm_move.h"
#include "gsvm_pt.h"
#include "gsvm_split.h"
#include "gsvm_stream.h"

struct gsvm_block;
struct gsvm_device;
struct seq_file;

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

/**
 * struct gsvm_vram - the memory of one GPU as device-private pages
 * @gdev: GPU
 * @pgmap: its struct pages
 * @first_pfn: page frame of VRAM offset 0
 * @nr_pages: pages of VRAM
 * @bar: VRAM for the CPU, through the BAR, write-combined
 * @cookie: what was written to the kept page; tells whether the BAR still reads
 * @lost: pages whose content could not be saved from a dead device
 * @buddy_lock: protects @buddy; sleeping, allocates
 * @buddy: hands out chunks that were never used
 * @lock: protects what follows, and the chunks; taken when pages are freed,
 *	under page table locks: a leaf, interrupts off
 * @free: free chunks that have been used before
 * @nr_free: free chunks, those of the buddy too
 * @lru: used chunks, least recently used first
 * @partial: mixed chunks with room
 * @closing: no chunk is reserved any more
 * @evict_work: frees chunks before they are needed
 * @evicted: pages ever evicted
 * @turns: chunks ever evicted
 * @nr_evicting: chunks that are being evicted
 * @stream: what CPU threads fetch back, gsvm_stream.c
 * @moves: moves that can be used again, gsvm_move.c
 * @split: splits 2 MiB pages that an access cannot bring back, gsvm_split.c
 * @nr_chunks: number of chunks
 * @chunk: the chunks
 */
struct gsvm_vram {
	struct gsvm_device *gdev;
	struct dev_pagemap pgmap;
	unsigned long first_pfn;
	unsigned long nr_pages;
	void *bar;
	u64 cookie[8];
	atomic64_t lost;
	struct mutex buddy_lock;	/* buddy */
	struct gpu_buddy buddy;
	spinlock_t lock;		/* everything below */
	struct list_head free;
	unsigned int nr_free;
	struct list_head lru;
	struct list_head partial;
	bool closing;
	struct work_struct evict_work;
	atomic64_t evicted;
	atomic64_t turns;
	atomic_t nr_evicting;
	struct gsvm_stream_table stream;
	struct gsvm_move_cache moves;
	struct gsvm_split split;
	unsigned int nr_chunks;
	struct gsvm_vram_chunk chunk[] __counted_by(nr_chunks);
};

int gsvm_vram_init(struct gsvm_device *gdev);
void gsvm_vram_fini(struct gsvm_device *gdev);
void gsvm_vram_show(struct gsvm_device *gdev, struct seq_file *m);
u64 gsvm_vram_free_bytes(struct gsvm_vram *vram);
bool gsvm_vram_readable(struct gsvm_vram *vram);

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
void gsvm_vram_touch(struct gsvm_vram *vram, unsigned long pfn);

struct gsvm_vram *gsvm_vram_of_page(const struct page *page);
unsigned int gsvm_vram_gpus(void);
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
