/* SPDX-License-Identifier: MIT */
/*
 * The PCI device of a GPU: taken from its driver and given back, given up, made
 * unreadable, killed.
 */
#ifndef GSVM_DEVICE_H
#define GSVM_DEVICE_H

#include <limits.h>

#include "gsvm_igt.h"

/* Found while it is bound, used also while it is not. */
struct device {
	char pci[64];
};

/* Where it is below /sys/devices: a component for each bridge above it. */
void device_path(int fd, char path[PATH_MAX]);
struct device device_of(int fd);

void device_unbind(const struct device *d);
void device_bind(const struct device *d);

/* The driver gives the device up; needs debugfs. Says so to the kernel's log. */
void device_wedge(const struct device *d);

/* No memory of its BARs answers any more, until it is bound again. */
void device_bars_off(const struct device *d);

/*
 * The host kills the first GPU's process, as a GPU dies that is pulled out; it does
 * not come back in this machine. It does so for gsvm-vm --gpu-may-die only: without,
 * device_kill_needed() skips.
 */
void device_kill_needed(void);
void device_kill_first(void);

#endif
