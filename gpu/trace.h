/* SPDX-License-Identifier: MIT */
/* Trace on request (--trace FILE): what happened when, per queue and ASID. */
#ifndef GPU_TRACE_H
#define GPU_TRACE_H

#include "gpu.h"

#define TRACE_NONE	0xffffffffu	/* no queue or ASID */

int trace_open(struct gpu *gpu);	/* cfg.trace_path; -errno */
void trace_close(struct gpu *gpu);
void trace_write(struct gpu *gpu, const char *event, uint32_t asid, uint32_t queue,
		 uint64_t a, uint64_t b);

/* Free when off. @event is a string literal: "fault", "resume", "inval", ... */
static inline void trace(struct gpu *gpu, const char *event, uint32_t asid, uint32_t queue,
			 uint64_t a, uint64_t b)
{
	if (__builtin_expect(gpu->trace != NULL, 0))
		trace_write(gpu, event, asid, queue, a, b);
}

#endif
