/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_PEER_H
#define GSVM_PEER_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct gsvm_device;
struct gsvm_vram;
struct seq_file;

/**
 * struct gsvm_peers - what a GPU knows of the others' VRAM
 * @id: what others know this GPU's VRAM by; no two ever have the same
 * @lock: one pair is tried at a time: the place in VRAM that it takes is one
 * @known: by &gsvm_peers.id of the other: does a copy from there arrive
 * @direct: pages that were copied from other GPUs' VRAM directly
 * @bounced: pages that were copied by way of system memory
 */
struct gsvm_peers {
	unsigned long id;
	struct mutex lock;	/* the trial */
	struct xarray known;
	atomic64_t direct;
	atomic64_t bounced;
};

void gsvm_peer_init(struct gsvm_peers *peers);
void gsvm_peer_fini(struct gsvm_peers *peers);
bool gsvm_peer_usable(struct gsvm_vram *vram, struct gsvm_vram *from);
dma_addr_t gsvm_peer_map(struct gsvm_vram *vram, struct gsvm_vram *from, u64 offset, size_t size);
void gsvm_peer_unmap(struct gsvm_vram *vram, dma_addr_t addr, size_t size);
void gsvm_peer_show(struct gsvm_device *gdev, struct seq_file *m);

#endif
