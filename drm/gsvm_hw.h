/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Register access. The contract with the hardware, in ../hw, has the same
 * name; whoever includes this header gets both.
 */
#ifndef GSVM_DRM_HW_H
#define GSVM_DRM_HW_H

#include "../hw/gsvm_hw.h"

#ifdef __BIG_ENDIAN
#error "The device's memory structures are little-endian, and so must be the CPU."
#endif

struct gsvm_device;

int gsvm_hw_init(struct gsvm_device *gdev);
int gsvm_hw_irq_init(struct gsvm_device *gdev);
void gsvm_hw_irq_fini(struct gsvm_device *gdev);
int gsvm_hw_enable(struct gsvm_device *gdev);
void gsvm_hw_disable(struct gsvm_device *gdev);
bool gsvm_hw_gone(struct gsvm_device *gdev);
u32 gsvm_hw_read32(struct gsvm_device *gdev, u32 reg);
u64 gsvm_hw_read64(struct gsvm_device *gdev, u32 reg);
void gsvm_hw_write32(struct gsvm_device *gdev, u32 reg, u32 value);
void gsvm_hw_write64(struct gsvm_device *gdev, u32 reg, u64 value);

#endif
