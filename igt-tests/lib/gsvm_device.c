// SPDX-License-Identifier: MIT
/*
 * The PCI device of a GPU, by sysfs and debugfs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "gsvm_device.h"
#include "gsvm_proc.h"

/* Of PCI's configuration space. */
#define CONFIG_COMMAND	4
#define COMMAND_MEMORY	2

void device_path(int fd, char path[PATH_MAX])
{
	char link[64];
	struct stat st;

	gsvm_sys(fstat(fd, &st));
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/device", major(st.st_rdev),
		 minor(st.st_rdev));
	gsvm_assert(realpath(link, path), "%s: %s\n", link, strerror(errno));
}

struct device device_of(int fd)
{
	char path[PATH_MAX];
	struct device d;

	device_path(fd, path);
	snprintf(d.pci, sizeof(d.pci), "%.60s", strrchr(path, '/') + 1);
	return d;
}

static void driver_write(const struct device *d, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/gsvm/%s", file);
	gsvm_assert(write_text(path, d->pci), "%s of %s: %s\n", file, d->pci, strerror(errno));
}

void device_unbind(const struct device *d)
{
	driver_write(d, "unbind");
}

void device_bind(const struct device *d)
{
	driver_write(d, "bind");
}

void device_wedge(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/wedge", d->pci);
	gsvm_require(!access(path, W_OK), "there is no %s\n", path);
	gsvm_assert(write_text(path, "1"), "%s: %s\n", path, strerror(errno));
}

void device_bars_off(const struct device *d)
{
	char path[128];
	uint16_t command;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", d->pci);
	fd = gsvm_sys(open(path, O_RDWR | O_CLOEXEC));
	gsvm_assert(pread(fd, &command, 2, CONFIG_COMMAND) == 2, "%s: %s\n", path,
		    strerror(errno));
	command &= ~COMMAND_MEMORY;
	gsvm_assert(pwrite(fd, &command, 2, CONFIG_COMMAND) == 2, "%s: %s\n", path,
		    strerror(errno));
	close(fd);
}

#define HOST	"/run/gsvm-vm/"		/* where the host looks for requests */

void device_kill_needed(void)
{
	gsvm_require(getenv("GSVM_GPU_MAY_DIE"), "nobody is there to kill a GPU\n");
}

void device_kill_first(void)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	int fd = gsvm_sys(open(HOST "kill-gpu.request", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));

	close(fd);
	while (access(HOST "kill-gpu", F_OK)) {
		gsvm_assert(gsvm_deadline(0) < end, "the GPU was not killed\n");
		gsvm_pace();
	}
}
