/* SPDX-License-Identifier: MIT */
/*
 * Bus windows: how the device reaches system memory. The transport adds and
 * removes windows (VFIO_USER_DMA_MAP/UNMAP); everybody else looks them up.
 */
#ifndef GPU_DMA_H
#define GPU_DMA_H

#include "agent.h"
#include "gpu.h"

/* Every agent registers itself, so that an unmap can stop it. */
void dma_add_agent(struct gpu *gpu, struct agent *a);
void dma_remove_agent(struct gpu *gpu, struct agent *a);

/*
 * Host pointer for bus address @bus, good for @len bytes, or NULL when the
 * range is not inside one directly mapped, (if @write) writable window.
 * Lock-free; the caller is an agent inside agent_enter(), and the pointer is
 * good until its agent_leave().
 */
void *dma_ptr(struct gpu *gpu, uint64_t bus, size_t len, bool write);

/*
 * Changes whenever a window goes away; read inside agent_enter() it is stable
 * until agent_leave(). For caches of pointers (the TLB).
 */
uint64_t dma_generation(struct gpu *gpu);

/*
 * Copy to and from any window, also those without a mapping (by message to the
 * client). 0 or -EFAULT. Never from the message thread, which has to carry the
 * reply, and never inside agent_enter(), because the client may be waiting for
 * an unmap that stops this very agent.
 */
int dma_read(struct gpu *gpu, uint64_t bus, void *buf, size_t len);
int dma_write(struct gpu *gpu, uint64_t bus, const void *buf, size_t len);

/*
 * A base register or context entry (address and its VRAM bit) as a pointer:
 * VRAM or window. NULL when it is not reachable. Rules of dma_ptr().
 */
void *gpu_ptr(struct gpu *gpu, bool vram, uint64_t addr, size_t len, bool write);

#endif
