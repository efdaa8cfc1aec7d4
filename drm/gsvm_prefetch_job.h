/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_PREFETCH_JOB_H
#define GSVM_PREFETCH_JOB_H

struct drm_gsvm_prefetch;
struct gsvm_vm;

int gsvm_prefetch_job_start(struct gsvm_vm *vm, const struct drm_gsvm_prefetch *args);

#endif
