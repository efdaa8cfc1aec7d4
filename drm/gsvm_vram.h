/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_VRAM_H
#define GSVM_VRAM_H

#include <linux/gpu_buddy.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "gsvm_move.h"
#include "gsvm_peer.h"
#include "gsvm_split.h"
#include "gsvm_stream.h"
#include "gsvm_vram_chunk.h"

struct gsvm_device;
struct seq_file;

/* Pages at the end of VRAM that the driver keeps. */
#define GSVM_VRAM_KEPT		2

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
 * @stream: what CPU threads fetch back, gsvm_stream.c
 * @moves: moves that can be used again, gsvm_move.c
 * @split: splits 2 MiB pages that an access cannot bring back, gsvm_split.c
 * @peers: what is known of the other GPUs' VRAM, gsvm_peer.c
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
	struct gsvm_stream_table stream;
	struct gsvm_move_cache moves;
	struct gsvm_split split;
	struct gsvm_peers peers;
	unsigned int nr_chunks;
	struct gsvm_vram_chunk chunk[] __counted_by(nr_chunks);
};

int gsvm_vram_init(struct gsvm_device *gdev);
void gsvm_vram_fini(struct gsvm_device *gdev);
void gsvm_vram_show(struct gsvm_device *gdev, struct seq_file *m);
bool gsvm_vram_readable(struct gsvm_vram *vram);
unsigned int gsvm_vram_gpus(void);

/* Offset of what tells whether VRAM reads. */
static inline u64 gsvm_vram_cookie_offset(const struct gsvm_vram *vram)
{
	return (u64)(vram->nr_pages - GSVM_VRAM_KEPT) << PAGE_SHIFT;
}

#endif
