// SPDX-License-Identifier: MIT
/*
 * A GPU that a subtest has left dead or without its driver.
 *
 * Some subtests end a GPU on purpose, and begin it anew. One of them that fails in
 * between, or whose process is killed, has failed; those after it are about something
 * else. So before each subtest, such a GPU gets its driver back, as an administrator
 * would do it. Where that is of no use, the subtest says so by itself.
 */
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "gsvm_hw.h"
#include "gsvm_igt.h"
#include "gsvm_proc.h"

#define DRIVER	"/sys/bus/pci/drivers/gsvm/"

static bool has_id(const char *dir, const char *file, unsigned int id)
{
	unsigned int value = 0;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%x", &value) != 1)
		value = 0;
	fclose(f);
	return value == id;
}

static bool is_bound(const char *pci)
{
	char path[256];

	snprintf(path, sizeof(path), DRIVER "%s", pci);
	return !access(path, F_OK);
}

static bool is_dead(const char *pci)
{
	char path[256], line[128];
	bool dead = false;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/device", pci);
	f = fopen(path, "re");
	while (f && !dead && fgets(line, sizeof(line), f))
		dead = !strncmp(line, "wedged: ", strlen("wedged: "));
	if (f)
		fclose(f);
	return dead;
}

static void revive(const char *pci)
{
	bool bound = is_bound(pci), ok = true;

	if (bound && !is_dead(pci))
		return;
	if (bound)
		ok = write_text(DRIVER "unbind", pci);
	ok = ok && write_text(DRIVER "bind", pci);
	printf("GPU %s was left %s; %s\n", pci, bound ? "dead" : "without its driver",
	       ok ? "bound anew" : strerror(errno));
}

void gpu_revive_all(void)
{
	glob_t dirs;
	size_t i;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &dirs))
		return;
	for (i = 0; i < dirs.gl_pathc; i++)
		if (has_id(dirs.gl_pathv[i], "vendor", GSVM_PCI_VENDOR_ID) &&
		    has_id(dirs.gl_pathv[i], "device", GSVM_PCI_DEVICE_ID))
			revive(strrchr(dirs.gl_pathv[i], '/') + 1);
	globfree(&dirs);
}
