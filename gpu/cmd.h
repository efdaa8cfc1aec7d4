/* SPDX-License-Identifier: MIT */
/* Command ring: invalidations, resumes, queue control, in order, on one thread. */
#ifndef GPU_CMD_H
#define GPU_CMD_H

#include "gpu.h"

int cmd_init(struct gpu *gpu);
void cmd_exit(struct gpu *gpu);
void cmd_doorbell(struct gpu *gpu, uint32_t tail);	/* message thread; never blocks */
void cmd_reset(struct gpu *gpu);	/* stop at once, index back to 0; returns when idle */

#endif
