/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_LOST_H
#define GSVM_LOST_H

struct gsvm_vram;

void gsvm_lost_report(struct gsvm_vram *vram);
void gsvm_lost_fill(struct gsvm_vram *vram, const unsigned long *dst, unsigned int n);
void gsvm_lost_poison(const unsigned long *src, const unsigned long *dst, unsigned int n);

#endif
