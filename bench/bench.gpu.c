/* SPDX-License-Identifier: MIT */
/* What the benchmarks have the GPU do: touch one word every so many bytes. */
#include <gsvm_device.h>

#include "touch.h"

GSVM_KERNEL(touch, 0)(const struct touch *t)
{
	uint64_t first = gsvm_global_id(0) * t->count;
	volatile uint64_t *p;

	for (uint64_t i = first; i < first + t->count; i++) {
		p = (volatile uint64_t *)(t->base + i * t->stride);
		if (t->write)
			*p = i + 1;
		else
			(void)*p;
	}
}
