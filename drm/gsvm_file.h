/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_FILE_H
#define GSVM_FILE_H

#include <linux/types.h>

struct drm_device;
struct drm_file;
struct drm_printer;
struct gsvm_doorbell;
struct gsvm_file;
struct gsvm_queue;
struct gsvm_queue_config;
struct gsvm_vm;

int gsvm_file_open(struct drm_device *drm, struct drm_file *file);
void gsvm_file_close(struct drm_device *drm, struct drm_file *file);
void gsvm_file_show_fdinfo(struct drm_printer *p, struct drm_file *file);

int gsvm_file_vm_create(struct gsvm_file *gfile, u32 *vm_id);
int gsvm_file_vm_destroy(struct gsvm_file *gfile, u32 vm_id);
struct gsvm_vm *gsvm_file_vm(struct gsvm_file *gfile, u32 vm_id);
struct gsvm_doorbell *gsvm_file_doorbell(struct gsvm_file *gfile, u32 vm_id);

int gsvm_file_queue_create(struct gsvm_file *gfile, u32 vm_id,
			   const struct gsvm_queue_config *config, u32 *queue_id, u32 *slot);
int gsvm_file_queue_destroy(struct gsvm_file *gfile, u32 queue_id);
struct gsvm_queue *gsvm_file_queue(struct gsvm_file *gfile, u32 queue_id);

#endif
