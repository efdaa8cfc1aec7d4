/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_RESIDENCY_H
#define GSVM_RESIDENCY_H

#include <linux/types.h>

struct gsvm_vm;

int gsvm_residency(struct gsvm_vm *vm, u64 start, u64 length, u32 __user *pages);

#endif
