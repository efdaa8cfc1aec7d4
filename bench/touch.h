/* SPDX-License-Identifier: MIT */
/* Arguments of the GPU program, shared by both sides. */
#ifndef BENCH_TOUCH_H
#define BENCH_TOUCH_H

#include <stdint.h>

struct touch {
	uint64_t base;		/* address */
	uint64_t stride;	/* bytes between touched words */
	uint64_t count;		/* words per work-item */
	uint64_t write;		/* store instead of load */
};

#endif
