/* SPDX-License-Identifier: MIT */
#ifndef GSVM_TESTS_PROGRAM_H
#define GSVM_TESTS_PROGRAM_H

#include <stdint.h>

/* Address of a kernel's descriptor; 0 or a negative errno. */
int program_kernel(const char *name, uint64_t *descriptor);

#endif
