// SPDX-License-Identifier: MIT
/*
 * The GPU program of the tests, kernels/tests.c, which lies beside the test
 * program. libdrm_gsvm puts it into this process's memory; its own header is
 * included in this file alone, as its opaque types have names of the
 * hardware's.
 */
#include <gsvm.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gsvm_program.h"

static struct gsvm_program *program;

int program_kernel(const char *name, uint64_t *descriptor)
{
	const struct gsvm_kernel *kernel;
	char path[PATH_MAX];
	char *slash;
	ssize_t n;
	int ret;

	if (!program) {
		n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		if (n < 0)
			return -1;
		path[n] = 0;
		slash = strrchr(path, '/');
		snprintf(slash + 1, path + sizeof(path) - slash - 1, "%s", "tests.gpu");
		ret = gsvm_program_load(path, &program);
		if (ret)
			return ret;
	}
	ret = gsvm_program_kernel(program, name, &kernel);
	if (!ret)
		*descriptor = (uintptr_t)kernel;
	return ret;
}
