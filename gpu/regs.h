/* SPDX-License-Identifier: MIT */
/* BAR0 registers and BAR4 doorbells. */
#ifndef GPU_REGS_H
#define GPU_REGS_H

#include "gpu.h"

int regs_init(struct gpu *gpu);
void regs_exit(struct gpu *gpu);

/* Message thread; the caller has checked that the access lies in the BAR. */
void regs_read(struct gpu *gpu, uint64_t offset, void *buf, uint32_t len);
void regs_write(struct gpu *gpu, uint64_t offset, const void *buf, uint32_t len);
void regs_doorbell(struct gpu *gpu, uint64_t offset, const void *buf, uint32_t len);

void regs_reset(struct gpu *gpu);	/* defaults; reset thread, nothing else runs */
bool regs_fatal(struct gpu *gpu);	/* FATAL is set; any thread */

#endif
