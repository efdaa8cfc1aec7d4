/* SPDX-License-Identifier: MIT */
/* VRAM: a sealed memory file, mapped here and by the client. */
#ifndef GPU_VRAM_H
#define GPU_VRAM_H

#include "gpu.h"

int vram_init(struct gpu *gpu);		/* -errno; all pages are there afterwards */
void vram_exit(struct gpu *gpu);

/* BAR2 by message; the caller has checked the bounds. */
void vram_read(struct gpu *gpu, uint64_t offset, void *buf, size_t len);
void vram_write(struct gpu *gpu, uint64_t offset, const void *buf, size_t len);

void vram_scrub(struct gpu *gpu);	/* zero all of it */

#endif
