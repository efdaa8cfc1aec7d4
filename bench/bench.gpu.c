/* SPDX-License-Identifier: MIT */
/* What the benchmarks have the GPU do: touch words, in order or not. */
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

GSVM_KERNEL(scatter, 0)(const struct scatter *s)
{
	uint64_t x = gsvm_global_id(0) * 0x9e3779b97f4a7c15ull + 1;
	uint64_t left = s->count;

	while (left--) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		*(volatile uint64_t *)(s->base + (x >> 33) % s->pages * 4096) = x;
	}
}
