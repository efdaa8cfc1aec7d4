// SPDX-License-Identifier: MIT
/* The trace: what a queue's life looks like in it, and that nothing is lost unseen. */
#include <errno.h>
#include <unistd.h>

#include "queue_fake.h"

enum { MARK };

#define COST	10

static enum hart_stop run_mark(struct core *core, struct hart *h, unsigned int budget,
			       struct hart_stop_info *stop)
{
	_Atomic uint32_t *count = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);

	(void)budget;
	if (!count)
		return HART_FAULT;
	atomic_fetch_add(count, 1);
	h->insns += COST;
	return HART_DONE;
}

static script_fn *script[] = { [MARK] = run_mark };

static uint64_t kernel[8];

static struct user_queue started(uint32_t id, uint32_t log2)
{
	struct user_queue u = user_queue(id, id, 0, log2);

	tap_need(!user_start(&u), "queue %u starts", id);
	return u;
}

static uint32_t word(uint64_t va)
{
	return atomic_load((_Atomic uint32_t *)host(va));
}

/* A fresh queue does a job: the device is well. */
static void works(uint32_t id, const char *name)
{
	struct user_queue u = started(id, 3);
	uint64_t sig = user_signal(1), arg = fake_alloc(4, 4096);
	struct gsvm_pkt_kernel p;

	p = pkt_kernel(kernel[MARK], 64, 1000, arg, sig);
	user_push(&u, &p);
	tap_ok(wait_until(signal_value(sig) == 0) && word(arg) == 1000, "%s", name);
	user_stop(&u);
}

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
	works(50, "a queue, traced");
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
