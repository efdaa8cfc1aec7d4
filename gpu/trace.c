// SPDX-License-Identifier: MIT
/*
 * DOC: The trace
 *
 * Text, one line per event, in the order in which the events took their place:
 *
 *	time event asid queue a b
 *
 *	time	GSVM_REG_TIME, nanoseconds, decimal
 *	event	a word, see below
 *	asid	decimal, or -
 *	queue	decimal, or -
 *	a, b	hexadecimal, by event
 *
 * The first line is "# time event asid queue a b". Events of this unit:
 *
 *	queue-start	ring, doorbell slot
 *	queue-stop	0, 0
 *	queue-error	GSVM_QERR_*, addr
 *	doorbell	slot, value
 *	packet-start	index, header
 *	packet-done	index, nanoseconds since its start
 *	copy		engine << 32 | index, bytes
 *	trace-lost	events lost just before this line, 0
 *
 * A writer takes a place in a ring of records under .lock and goes on: a fixed,
 * small cost, no formatting, no system call but the wake of a sleeping thread.
 * The thread formats and writes. When it cannot follow, events are dropped and
 * counted instead of holding the GPU up, and the count goes into the trace.
 */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS	65536u		/* 3 MiB */

struct record {
	uint64_t time, a, b;
	const char *event;
	uint32_t asid, queue;
	uint64_t lost;		/* before this one */
};

struct trace {
	FILE *file;
	pthread_t thread;
	pthread_mutex_t lock;	/* of all below, a leaf */
	pthread_cond_t work;
	bool sleeping, exit;
	uint64_t head, tail;	/* free-running: written to file, recorded */
	uint64_t lost;
	struct record rec[RECORDS];
};

static void print_id(FILE *f, uint32_t id)
{
	if (id == TRACE_NONE)
		fputs(" -", f);
	else
		fprintf(f, " %" PRIu32, id);
}

static void print_record(FILE *f, const struct record *r)
{
	if (r->lost)
		fprintf(f, "%" PRIu64 " trace-lost - - 0x%" PRIx64 " 0x0\n", r->time, r->lost);
	fprintf(f, "%" PRIu64 " %s", r->time, r->event);
	print_id(f, r->asid);
	print_id(f, r->queue);
	fprintf(f, " 0x%" PRIx64 " 0x%" PRIx64 "\n", r->a, r->b);
}

static void *trace_main(void *arg)
{
	struct trace *t = arg;
	uint64_t tail;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		if (t->head == t->tail) {
			if (t->exit)
				break;
			/* Idle: whoever looks at the file now sees it all. */
			pthread_mutex_unlock(&t->lock);
			fflush(t->file);
			pthread_mutex_lock(&t->lock);
			t->sleeping = true;
			while (t->head == t->tail && !t->exit)
				pthread_cond_wait(&t->work, &t->lock);
			t->sleeping = false;
			continue;
		}
		tail = t->tail;
		pthread_mutex_unlock(&t->lock);
		/* Records below tail are not written to again before head moves. */
		for (uint64_t i = t->head; i < tail; i++)
			print_record(t->file, &t->rec[i % RECORDS]);
		pthread_mutex_lock(&t->lock);
		t->head = tail;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

void trace_write(struct gpu *gpu, const char *event, uint32_t asid, uint32_t queue,
		 uint64_t a, uint64_t b)
{
	struct trace *t = gpu->trace;
	struct record r = {
		.a = a, .b = b, .event = event, .asid = asid, .queue = queue,
	};

	pthread_mutex_lock(&t->lock);
	if (t->tail - t->head == RECORDS) {
		t->lost++;
	} else {
		r.time = gpu_time_ns(gpu);
		r.lost = t->lost;
		t->lost = 0;
		t->rec[t->tail++ % RECORDS] = r;
		if (t->sleeping) {
			t->sleeping = false;
			pthread_cond_signal(&t->work);
		}
	}
	pthread_mutex_unlock(&t->lock);
}

/* Before any other thread traces. */
int trace_open(struct gpu *gpu)
{
	struct trace *t;
	int ret;

	if (!gpu->cfg.trace_path)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->file = fopen(gpu->cfg.trace_path, "we");
	if (!t->file) {
		ret = -errno;
		free(t);
		return ret;
	}
	fputs("# time event asid queue a b\n", t->file);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	ret = pthread_create(&t->thread, NULL, trace_main, t);
	if (ret) {
		fclose(t->file);
		free(t);
		return -ret;
	}
	pthread_setname_np(t->thread, "trace");
	gpu->trace = t;
	return 0;
}

/* After every other thread; what was recorded is in the file. */
void trace_close(struct gpu *gpu)
{
	struct trace *t = gpu->trace;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->exit = true;
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	if (t->lost)
		fprintf(t->file, "%" PRIu64 " trace-lost - - 0x%" PRIx64 " 0x0\n",
			gpu_time_ns(gpu), t->lost);
	fclose(t->file);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	free(t);
	gpu->trace = NULL;
}
