// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Transfers
 *
 * Moves the content of pages between system memory and VRAM, or from one VRAM to
 * another: by the copy engines, whose descriptors are made long where memory is
 * contiguous, or, if there is so little that asking the device costs more than doing
 * it, by the CPU through the BAR.
 *
 * A transfer that the engine did not make is made again by the CPU when it
 * brings data back: the only copy of somebody's memory is not given up because
 * an engine failed. If VRAM does not read any more either, gsvm_xfer_wait() says
 * so. Data on its way to VRAM is still where it came from, so there a failure is
 * only reported.
 *
 * From the VRAM of another GPU (gsvm_peer.c), the engine alone copies. The other
 * GPU may die meanwhile, and what the engine reads then means nothing: such a
 * transfer counts only if the other's VRAM reads before and after it. If not, the
 * pages stay where they are, to be saved or given up as any of a dead GPU's.
 *
 * One thread owns a transfer. It may hold mmap_lock and page locks, nothing of
 * the driver's. Nothing is allocated after gsvm_xfer_alloc().
 */

#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "gsvm_device.h"
#include "gsvm_peer.h"
#include "gsvm_vram.h"
#include "gsvm_xfer.h"

/* Up to here the CPU copies: a round trip to the engine takes longer. */
#define GSVM_XFER_CPU_BYTES	SZ_16K

/* One descriptor moves no more than this. */
#define GSVM_XFER_DESC_BYTES	SZ_2M

/**
 * gsvm_xfer_alloc() - make a transfer
 * @pages: most pieces it will have
 * @gfp: how to allocate
 *
 * Return: the transfer, to be started, or NULL.
 */
struct gsvm_xfer *gsvm_xfer_alloc(unsigned int pages, gfp_t gfp)
{
	struct gsvm_xfer *xfer;

	/* Without it pages stay where they are: nothing to warn of. */
	xfer = kvzalloc_flex(*xfer, piece, pages, gfp | __GFP_NOWARN);
	if (!xfer)
		return NULL;
	xfer->max_pieces = pages;
	return xfer;
}

/**
 * gsvm_xfer_free() - free a transfer
 * @xfer: transfer that is not under way, or NULL
 */
void gsvm_xfer_free(struct gsvm_xfer *xfer)
{
	kvfree(xfer);
}

/**
 * gsvm_xfer_start() - begin anew
 * @xfer: transfer that is not under way
 * @vram: VRAM
 * @to_vram: direction
 */
void gsvm_xfer_start(struct gsvm_xfer *xfer, struct gsvm_vram *vram, bool to_vram)
{
	xfer->vram = vram;
	xfer->peer = NULL;
	xfer->to_vram = to_vram;
	xfer->bytes = 0;
	xfer->err = 0;
	xfer->fence.seq = 0;
	xfer->nr_desc = 0;
	xfer->nr_pieces = 0;
}

/**
 * gsvm_xfer_start_peer() - begin anew, from another GPU's VRAM
 * @xfer: transfer that is not under way
 * @vram: VRAM that is written
 * @peer: VRAM that is read; gsvm_peer_usable(), and pages of it are locked to the end
 */
void gsvm_xfer_start_peer(struct gsvm_xfer *xfer, struct gsvm_vram *vram, struct gsvm_vram *peer)
{
	gsvm_xfer_start(xfer, vram, true);
	xfer->peer = peer;
}

/**
 * gsvm_xfer_add_peer() - add pages of another GPU's VRAM
 * @xfer: transfer after gsvm_xfer_start_peer()
 * @from: offset there
 * @offset: offset here
 * @bytes: size, at most GSVM_XFER_DESC_BYTES
 *
 * What continues the last piece makes that longer: each is mapped by itself.
 */
void gsvm_xfer_add_peer(struct gsvm_xfer *xfer, u64 from, u64 offset, u32 bytes)
{
	struct gsvm_xfer_piece *last = xfer->nr_pieces ? &xfer->piece[xfer->nr_pieces - 1] : NULL;

	if (last && last->from + last->bytes == from && last->offset + last->bytes == offset &&
	    last->bytes + bytes <= GSVM_XFER_DESC_BYTES) {
		last->bytes += bytes;
		xfer->bytes += bytes;
		return;
	}
	gsvm_xfer_add(xfer, NULL, offset, bytes);
	xfer->piece[xfer->nr_pieces - 1].from = from;
}

/**
 * gsvm_xfer_add() - add a piece
 * @xfer: started transfer
 * @sys: system memory, whole folio; NULL to fill VRAM with zeroes
 * @offset: VRAM offset
 * @bytes: size, that of @sys
 */
void gsvm_xfer_add(struct gsvm_xfer *xfer, struct folio *sys, u64 offset, u32 bytes)
{
	struct gsvm_xfer_piece *piece = &xfer->piece[xfer->nr_pieces++];

	piece->sys = sys;
	piece->from = 0;
	piece->offset = offset;
	piece->dma = DMA_MAPPING_ERROR;
	piece->bytes = bytes;
	xfer->bytes += bytes;
}

static void gsvm_xfer_by_cpu(struct gsvm_xfer *xfer)
{
	unsigned int i;

	for (i = 0; i < xfer->nr_pieces; i++) {
		struct gsvm_xfer_piece *piece = &xfer->piece[i];
		void *bar = xfer->vram->bar + piece->offset;
		void *sys = piece->sys ? folio_address(piece->sys) : NULL;

		if (!sys)
			memset(bar, 0, piece->bytes);
		else if (xfer->to_vram)
			memcpy(bar, sys, piece->bytes);
		else
			memcpy(sys, bar, piece->bytes);
	}
	/* Write-combining buffers, before the device is told of anything. */
	wmb();
}

static void gsvm_xfer_flush(struct gsvm_xfer *xfer)
{
	int ret;

	if (!xfer->nr_desc || xfer->err)
		return;
	ret = gsvm_copy_submit(xfer->vram->gdev, &xfer->fence, xfer->desc, xfer->nr_desc);
	xfer->nr_desc = 0;
	xfer->err = ret;
}

/* Can a piece be done by making the last descriptor longer? */
static bool gsvm_xfer_extend(struct gsvm_xfer *xfer, const struct gsvm_copy *next)
{
	struct gsvm_copy *last = xfer->nr_desc ? &xfer->desc[xfer->nr_desc - 1] : NULL;
	bool fill = (next->op & GSVM_COPY_OP) == GSVM_COPY_FILL;

	if (!last || last->op != next->op || last->dst + last->len != next->dst ||
	    (!fill && last->src + last->len != next->src) ||
	    last->len + next->len > GSVM_XFER_DESC_BYTES)
		return false;
	last->len += next->len;
	return true;
}

/* Make the other end of a piece known to the device. */
static void gsvm_xfer_map(struct gsvm_xfer *xfer, struct gsvm_xfer_piece *piece)
{
	struct device *dev = xfer->vram->gdev->drm.dev;

	if (xfer->peer) {
		piece->dma = gsvm_peer_map(xfer->vram, xfer->peer, piece->from, piece->bytes);
	} else {
		piece->dma = dma_map_page(dev, folio_page(piece->sys, 0), 0, piece->bytes,
					  xfer->to_vram ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
		if (dma_mapping_error(dev, piece->dma))
			piece->dma = DMA_MAPPING_ERROR;
	}
	if (piece->dma == DMA_MAPPING_ERROR)
		xfer->err = -ENOMEM;
}

static void gsvm_xfer_describe(struct gsvm_xfer *xfer, struct gsvm_xfer_piece *piece)
{
	struct gsvm_copy desc = { .len = piece->bytes };

	if (!piece->sys && !xfer->peer) {
		desc.op = GSVM_COPY_FILL | GSVM_COPY_DST_VRAM;
		desc.dst = piece->offset;
	} else {
		gsvm_xfer_map(xfer, piece);
		if (xfer->err)
			return;
		desc.op = GSVM_COPY_COPY | (xfer->to_vram ? GSVM_COPY_DST_VRAM :
							    GSVM_COPY_SRC_VRAM);
		desc.src = xfer->to_vram ? piece->dma : piece->offset;
		desc.dst = xfer->to_vram ? piece->offset : piece->dma;
	}
	if (gsvm_xfer_extend(xfer, &desc))
		return;
	if (xfer->nr_desc == GSVM_COPY_BATCH)
		gsvm_xfer_flush(xfer);
	xfer->desc[xfer->nr_desc++] = desc;
}

/**
 * gsvm_xfer_go() - begin to copy
 * @xfer: transfer with all its pieces
 *
 * Context: process, may sleep for room in the ring.
 */
void gsvm_xfer_go(struct gsvm_xfer *xfer)
{
	unsigned int i;
	int idx;

	/* Before the CPU does it, too: what is written to a dead GPU may never be read. */
	if (gsvm_device_is_wedged(xfer->vram->gdev)) {
		xfer->err = -ENODEV;
		return;
	}
	/* Also has what the CPU wrote there arrive before the engine reads it. */
	if (xfer->peer && !gsvm_vram_readable(xfer->peer)) {
		xfer->err = -EIO;
		return;
	}
	if (xfer->bytes <= GSVM_XFER_CPU_BYTES && !xfer->peer) {
		if (xfer->to_vram)
			gsvm_xfer_by_cpu(xfer);
		else
			xfer->err = -EAGAIN;
		return;
	}
	if (!drm_dev_enter(&xfer->vram->gdev->drm, &idx)) {
		xfer->err = -ENODEV;
		return;
	}
	xfer->fence.engine = gsvm_copy_engine_pick(xfer->vram->gdev);
	for (i = 0; i < xfer->nr_pieces && !xfer->err; i++)
		gsvm_xfer_describe(xfer, &xfer->piece[i]);
	gsvm_xfer_flush(xfer);
	drm_dev_exit(idx);
}

static void gsvm_xfer_unmap(struct gsvm_xfer *xfer)
{
	struct device *dev = xfer->vram->gdev->drm.dev;
	unsigned int i;

	for (i = 0; i < xfer->nr_pieces; i++) {
		struct gsvm_xfer_piece *piece = &xfer->piece[i];

		if (piece->dma == DMA_MAPPING_ERROR)
			continue;
		if (xfer->peer)
			gsvm_peer_unmap(xfer->vram, piece->dma, piece->bytes);
		else
			dma_unmap_page(dev, piece->dma, piece->bytes,
				       xfer->to_vram ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
	}
}

/**
 * gsvm_xfer_wait() - wait until everything is where it shall be
 * @xfer: transfer after gsvm_xfer_go()
 *
 * Context: process, sleeps; bounded by the copy time-out.
 * Return: 0. To VRAM: -EIO, -ENODEV or -ENOMEM when not all was copied. From
 * VRAM: -EIO when it cannot be read any more.
 */
int gsvm_xfer_wait(struct gsvm_xfer *xfer)
{
	int ret = 0;

	/* Also what went before an error is waited for: the device writes there. */
	if (xfer->fence.seq)
		ret = gsvm_copy_wait(xfer->vram->gdev, &xfer->fence);
	if (xfer->err)
		ret = xfer->err;
	gsvm_xfer_unmap(xfer);
	if (!ret && xfer->peer && !gsvm_vram_readable(xfer->peer))
		ret = -EIO;
	if (!ret || xfer->to_vram)
		return ret;

	gsvm_xfer_by_cpu(xfer);
	/* What still reads afterwards has read all the time. */
	return gsvm_vram_readable(xfer->vram) ? 0 : -EIO;
}
