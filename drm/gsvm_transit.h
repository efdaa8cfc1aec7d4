/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_TRANSIT_H
#define GSVM_TRANSIT_H

#include <linux/types.h>

struct mm_struct;

void gsvm_transit_begin(const struct mm_struct *mm, unsigned long start, unsigned long end);
void gsvm_transit_end(const struct mm_struct *mm, unsigned long start, unsigned long end);
void gsvm_transit_begin_any(void);
void gsvm_transit_end_any(void);
bool gsvm_transit_may_have(const struct mm_struct *mm, unsigned long addr);

#endif
