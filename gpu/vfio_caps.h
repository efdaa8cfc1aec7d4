/* SPDX-License-Identifier: MIT */
/* The capabilities in a VERSION message: a small, strict JSON reader. */
#ifndef GPU_VFIO_CAPS_H
#define GPU_VFIO_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the client says of itself; @has_*: it knows of the capability. */
struct vfio_caps {
	bool has_max_fds, has_max_data, has_pgsizes, has_max_maps;
	uint64_t max_fds, max_data;
	bool write_multiple;
};

/* @text has @len bytes. Unknown members are skipped. -EINVAL: not JSON, or wrong types. */
int vfio_caps_parse(struct vfio_caps *caps, const char *text, size_t len);

#endif
