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

void munmap_order(void *addr, size_t size, char *order, size_t room)
{
	static const char *const events[] = { "gsvm/gsvm_cmd_submit", "gsvm/gsvm_cmd_wait", NULL };
	char line[512], who[32];
	size_t n = 0;
	FILE *f;

	trace_start(events);
	trace_clear();
	gsvm_sys(munmap(addr, size));
	f = trace_open();
	snprintf(who, sizeof(who), "-%d ", getpid());
	while (n < room - 1 && fgets(line, sizeof(line), f)) {
		if (!strstr(line, who))
			continue;
		if (strstr(line, "gsvm_cmd_submit") && strstr(line, "inval-range"))
			order[n++] = 's';
		else if (strstr(line, "gsvm_cmd_wait"))
			order[n++] = 'w';
	}
	order[n] = 0;
	fclose(f);
	trace_stop();
}
