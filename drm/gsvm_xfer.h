/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_XFER_H
#define GSVM_XFER_H

#include <linux/types.h>

#include "gsvm_copy.h"
#include "gsvm_hw.h"

struct folio;
struct gsvm_vram;

/**
 * struct gsvm_xfer_piece - one folio on its way, or VRAM that is filled
 * @sys: system memory; NULL: zeroes, or the peer's VRAM
 * @from: offset in the peer's VRAM
 * @offset: VRAM offset
 * @dma: bus address of @sys, or of the peer's VRAM, if mapped
 * @bytes: size
 */
struct gsvm_xfer_piece {
	struct folio *sys;
	u64 from;
	u64 offset;
	dma_addr_t dma;
	u32 bytes;
};

/**
 * struct gsvm_xfer - copies of one direction between system memory and VRAM, or to
 * VRAM from that of another GPU
 * @vram: VRAM
 * @peer: VRAM that is copied from; NULL: system memory
 * @to_vram: direction
 * @bytes: bytes added
 * @err: first error; what was added after it was not given to the engine
 * @fence: completion
 * @nr_desc: descriptors in @desc, not yet submitted
 * @desc: descriptors
 * @nr_pieces: pieces in use
 * @max_pieces: room in @piece
 * @piece: what was added
 */
struct gsvm_xfer {
	struct gsvm_vram *vram;
	struct gsvm_vram *peer;
	bool to_vram;
	u64 bytes;
	int err;
	struct gsvm_copy_fence fence;
	unsigned int nr_desc;
	struct gsvm_copy desc[GSVM_COPY_BATCH];
	unsigned int nr_pieces;
	unsigned int max_pieces;
	struct gsvm_xfer_piece piece[] __counted_by(max_pieces);
};

struct gsvm_xfer *gsvm_xfer_alloc(unsigned int pages, gfp_t gfp);
void gsvm_xfer_free(struct gsvm_xfer *xfer);
void gsvm_xfer_start(struct gsvm_xfer *xfer, struct gsvm_vram *vram, bool to_vram);
void gsvm_xfer_start_peer(struct gsvm_xfer *xfer, struct gsvm_vram *vram, struct gsvm_vram *peer);
void gsvm_xfer_add_peer(struct gsvm_xfer *xfer, u64 from, u64 offset, u32 bytes);
void gsvm_xfer_add(struct gsvm_xfer *xfer, struct folio *sys, u64 offset, u32 bytes);
void gsvm_xfer_go(struct gsvm_xfer *xfer);
int gsvm_xfer_wait(struct gsvm_xfer *xfer);

#endif
