/* SPDX-License-Identifier: MIT */
/* The device header, for GPU programs that run on CPU threads: see mock.c. */
#ifndef GSVM_DEVICE_H
#define GSVM_DEVICE_H

#include <stdint.h>

#define GSVM_KERNEL(name, preload) void name

extern _Thread_local uint64_t mock_global_id;

static inline uint64_t gsvm_global_id(unsigned int dimension)
{
	return dimension ? 0 : mock_global_id;
}

#endif
