/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_PREFETCH_H
#define GSVM_PREFETCH_H

#include <linux/types.h>

struct drm_gsvm_prefetch;
struct gsvm_device;
struct gsvm_vm;

int gsvm_prefetch(struct gsvm_vm *vm, struct drm_gsvm_prefetch *args);
void gsvm_prefetch_range(struct gsvm_vm *vm, unsigned long start, unsigned long end, bool to_vram);
void gsvm_prefetch_all_out(struct gsvm_device *gdev);

#endif
