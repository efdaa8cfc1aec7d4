/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_RANGE_H
#define GSVM_RANGE_H

#include <linux/kconfig.h>

struct hmm_range;

int gsvm_range_fault(struct hmm_range *range);

#if IS_ENABLED(CONFIG_KUNIT)
void gsvm_range_correct(const struct hmm_range *range);
#endif

#endif
