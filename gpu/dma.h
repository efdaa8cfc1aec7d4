/* SPDX-License-Identifier: MIT */
/*
 * Bus windows: how the device reaches system memory. The transport adds and
 * removes windows (VFIO_USER_DMA_MAP/UNMAP); everybody else looks them up.
 */
#ifndef GPU_DMA_H
#define GPU_DMA_H

#include "agent.h"
#include "gpu.h"

int dma_init(struct gpu *gpu);
void dma_exit(struct gpu *gpu);

/*
 * The transport's side, message thread. @addr + @size may be 2^64. dma_map()
 * maps file @fd, which stays the caller's; dma_map_host() has the memory
 * already, or none (@host NULL: reachable by message only). -EEXIST: overlaps
 * a window. -EINVAL: empty, range wraps or leaves the file. -EACCES: the file
 * cannot be mapped so. dma_unmap() removes all windows inside the range, also
 * none; -EINVAL if it would have to split one, and nothing is removed then.
 * Whoever used them has stopped when it returns.
 */
int dma_map_host(struct gpu *gpu, uint64_t addr, uint64_t size, bool read, bool write, void *host);
int dma_map(struct gpu *gpu, uint64_t addr, uint64_t size, bool read, bool write, int fd,
	    uint64_t offset);
int dma_unmap(struct gpu *gpu, uint64_t addr, uint64_t size);
void dma_unmap_all(struct gpu *gpu);

/*
 * Reasons why no access to system memory may happen. While any stands,
 * dma_ptr() returns NULL and messages fail. dma_block() returns when no access
 * is under way; outside agent_enter(), any thread.
 */
#define DMA_OFF_MASTER	(1u << 0)	/* bus master clear, or D3hot */
#define DMA_OFF_RESET	(1u << 1)	/* reset under way */
#define DMA_OFF_STOP	(1u << 2)	/* units are being stopped */
#define DMA_OFF_CLIENT	(1u << 3)	/* no client */
void dma_block(struct gpu *gpu, unsigned int reason);
void dma_unblock(struct gpu *gpu, unsigned int reason);

/*
 * Who carries messages to the client. @xfer: 0 or -errno, may sleep; @gate: let
 * transfers happen, or fail those under way and all later ones; never sleeps.
 */
struct dma_messages {
	int (*xfer)(struct gpu *gpu, bool write, uint64_t bus, void *buf, size_t len);
	void (*gate)(struct gpu *gpu, bool open);
};
void dma_set_messages(struct gpu *gpu, const struct dma_messages *messages);

/*
 * Is what we write to our mapping of bus address @bus (8 bytes that belong to
 * the device) what the client sees there? False only if it is certainly not.
 * Rules of dma_read().
 */
bool dma_shared(struct gpu *gpu, uint64_t bus);

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
