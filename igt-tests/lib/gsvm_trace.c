// SPDX-License-Identifier: MIT
/*
 * Tracepoints of the kernel, in an instance of the test's own.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

#define INSTANCE	"/sys/kernel/tracing/instances/gsvm-test"

void trace_start(const char *const *events)
{
	char path[128];

	rmdir(INSTANCE);
	gsvm_require(!mkdir(INSTANCE, 0755), "no trace instance: %s\n", strerror(errno));
	for (; *events; events++) {
		snprintf(path, sizeof(path), INSTANCE "/events/%s/enable", *events);
		gsvm_require(write_text(path, "1"), "the kernel does not trace %s\n", *events);
	}
}

void trace_clear(void)
{
	FILE *f = fopen(INSTANCE "/trace", "we");

	gsvm_assert(f, "the trace cannot be cleared: %s\n", strerror(errno));
	fclose(f);
}

FILE *trace_open(void)
{
	FILE *f = fopen(INSTANCE "/trace", "re");

	gsvm_assert(f, "no trace: %s\n", strerror(errno));
	return f;
}

void trace_stop(void)
{
	gsvm_sys(rmdir(INSTANCE));
}
