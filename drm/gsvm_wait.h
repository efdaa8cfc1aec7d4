/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_WAIT_H
#define GSVM_WAIT_H

struct drm_gsvm_wait;
struct gsvm_queue;
struct gsvm_vm;

int gsvm_wait(struct gsvm_vm *vm, struct gsvm_queue *queue, struct drm_gsvm_wait *args);

#endif
