/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_DRV_H
#define GSVM_DRV_H

/* History: see DRM_GSVM_NAME in the uapi header. */
#define GSVM_DRV_MAJOR	1
#define GSVM_DRV_MINOR	0

#endif
