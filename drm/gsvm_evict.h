/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_EVICT_H
#define GSVM_EVICT_H

#include <linux/types.h>

struct gsvm_block;
struct gsvm_vram;
struct gsvm_vram_chunk;
struct work_struct;

/* Chunks that the background frees beyond the mark at which it begins. */
#define GSVM_EVICT_AHEAD	2

struct gsvm_vram_chunk *gsvm_evict_reserve(struct gsvm_vram *vram, struct gsvm_block *owner,
					   struct gsvm_vram_chunk *hint);
void gsvm_evict_work(struct work_struct *work);
void gsvm_evict_all(struct gsvm_vram *vram);

#endif
