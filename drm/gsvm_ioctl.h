/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_IOCTL_H
#define GSVM_IOCTL_H

struct drm_device;
struct drm_file;

int gsvm_ioctl_device_query(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_vm_query(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_queue_query(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_wait(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_prefetch(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_residency(struct drm_device *drm, void *data, struct drm_file *file);
int gsvm_ioctl_vm_set(struct drm_device *drm, void *data, struct drm_file *file);

#endif
