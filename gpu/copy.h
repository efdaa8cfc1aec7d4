/* SPDX-License-Identifier: MIT */
/* Copy engines: physical copies and fills for the driver. */
#ifndef GPU_COPY_H
#define GPU_COPY_H

#include "gpu.h"

int copy_init(struct gpu *gpu);
void copy_exit(struct gpu *gpu);
void copy_doorbell(struct gpu *gpu, unsigned int engine, uint32_t tail);	/* message thread */
void copy_reset(struct gpu *gpu);

#endif
