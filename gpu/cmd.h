/* SPDX-License-Identifier: MIT */
/* Command ring: invalidations, resumes, queue control, in order, on one thread. */
#ifndef GPU_CMD_H
#define GPU_CMD_H

#include "gpu.h"

int cmd_init(struct gpu *gpu);
void cmd_exit(struct gpu *gpu);
void cmd_doorbell(struct gpu *gpu, uint32_t tail);	/* message thread; never blocks */
/*
 * Stop at once, index back to 0; returns when idle. Comes first in a reset, so
 * that no queue is started and no wait woken behind the others' backs. The
 * TLBs are emptied before the next command, whatever ran until then.
 */
void cmd_reset(struct gpu *gpu);
/* Have the command thread call fault_report(); any thread, never blocks. */
void cmd_poke(struct gpu *gpu);

#endif
