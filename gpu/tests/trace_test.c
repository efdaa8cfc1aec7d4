// SPDX-License-Identifier: MIT
/* The trace: what a queue's life looks like in it, and that nothing is lost unseen. */
#include <errno.h>
#include <unistd.h>

#include "queue_fake.h"

enum { MARK };

static script_fn *script[] = { [MARK] = run_count };

static uint64_t kernel[8];

#define TRACE_WRITES	100000

static void *trace_main(void *arg)
{
	unsigned int i;

	for (i = 0; i < TRACE_WRITES; i++)
		trace(&fake.gpu, "test", TRACE_NONE, 1, (uintptr_t)arg, i);
	return NULL;
}

static void test_trace(void)
{
	char path[] = "/tmp/gsvm-trace-XXXXXX", line[256], event[64], asid[16], queue[16];
	unsigned long long time, last = 0, a, b, tests = 0, lost = 0, starts = 0, done = 0, bad = 0;
	uint64_t next[2] = { 0 };
	pthread_t thread;
	int fd = mkstemp(path);
	FILE *f;

	tap_need(fd >= 0, "temporary file");
	fake.gpu.cfg.trace_path = path;
	tap_need(!trace_open(&fake.gpu), "trace opens");
	works(kernel[MARK], 50, "a queue, traced");
	tap_need(!pthread_create(&thread, NULL, trace_main, NULL), "thread");
	trace_main((void *)1);
	pthread_join(thread, NULL);
	pthread_mutex_lock(&fake.cmd_lock);
	queue_reset(&fake.gpu);
	pthread_mutex_unlock(&fake.cmd_lock);
	trace_close(&fake.gpu);
	f = fdopen(fd, "r");
	tap_need(f && fgets(line, sizeof(line), f), "trace has a line");
	tap_ok(!strcmp(line, "# time event asid queue a b\n"), "which names the columns");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llu %63s %15s %15s 0x%llx 0x%llx", &time, event, asid, queue,
			   &a, &b) != 6 || time < last) {
			bad++;
			continue;
		}
		last = time;
		starts += !strcmp(event, "queue-start") && !strcmp(queue, "50") && atoi(asid) == 50;
		done += !strcmp(event, "packet-done") && !strcmp(queue, "50") && !a;
		lost += strcmp(event, "trace-lost") ? 0 : a;
		if (strcmp(event, "test"))
			continue;
		bad += strcmp(asid, "-") || a > 1 || b < next[a & 1];
		next[a & 1] = b + 1;
		tests++;
	}
	fclose(f);
	unlink(path);
	tap_eq(bad, 0, "every line is whole and in order");
	tap_ok(starts == 1 && done == 1, "the queue's life is there");
	tap_eq(tests + lost, 2 * TRACE_WRITES, "events are in it or counted as lost");
	fake.gpu.cfg.trace_path = "/nonexistent/trace";
	tap_eq(trace_open(&fake.gpu), -ENOENT, "a file that cannot be made");
}

int main(void)
{
	fake_open(2, 4096);
	kernel[MARK] = user_kernel(MARK);
	test_trace();
	fake_close();
	return tap_done();
}
