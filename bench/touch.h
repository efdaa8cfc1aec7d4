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

/* Touches all over the pages, in an order of each work-item's own. */
struct scatter {
	uint64_t base;		/* address */
	uint64_t pages;		/* of 4 KiB */
	uint64_t count;		/* touches per work-item */
};

#endif
