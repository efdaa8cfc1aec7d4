/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_FAULT_H
#define GSVM_FAULT_H

struct gsvm_device;

int gsvm_fault_init(struct gsvm_device *gdev);
void gsvm_fault_irq(struct gsvm_device *gdev);

#endif
