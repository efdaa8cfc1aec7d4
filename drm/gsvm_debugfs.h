/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_DEBUGFS_H
#define GSVM_DEBUGFS_H

struct gsvm_device;

#ifdef CONFIG_DEBUG_FS
void gsvm_debugfs_init(struct gsvm_device *gdev);
#else
static inline void gsvm_debugfs_init(struct gsvm_device *gdev)
{
}
#endif

#endif
