/* SPDX-License-Identifier: MIT */
/* Starting, stopping and resetting the device. */
#ifndef GPU_RESET_H
#define GPU_RESET_H

#include "gpu.h"

enum reset_state {
	RESET_OFF,		/* not enabled; base registers can be written */
	RESET_ON,		/* enabled */
	RESET_STOPPING,		/* ENABLE cleared or FATAL, units are being stopped */
	RESET_RESETTING,	/* full reset under way */
};

int reset_init(struct gpu *gpu);
void reset_exit(struct gpu *gpu);

enum reset_state reset_state(struct gpu *gpu);	/* any thread */

/* Message thread. */
bool reset_enable(struct gpu *gpu);	/* false: not RESET_OFF, or FATAL */
void reset_disable(struct gpu *gpu);	/* begin to stop; STATUS tells when it is done */
/*
 * Full reset (CONTROL.RESET); the same with configuration space (FLR, reset of
 * the bus). On return no access to system memory is under way and none will
 * begin; STATUS.RESETTING tells when the rest is done.
 */
void reset_device(struct gpu *gpu);
void reset_function(struct gpu *gpu);

/* Stop all units; any thread, also inside agent_enter(). */
void reset_fatal(struct gpu *gpu);

/*
 * Doorbells: run @ring with the device enabled and no unit being stopped
 * meanwhile, or not at all (false). Message thread; @ring must not block.
 */
bool reset_ring(struct gpu *gpu, void (*ring)(struct gpu *gpu, void *arg), void *arg);

void reset_wait(struct gpu *gpu);	/* until the state is OFF or ON */

#endif
