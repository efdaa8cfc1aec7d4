// SPDX-License-Identifier: MIT
/* The ring: full, wrapped, batches with one doorbell, many threads. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>

#include "bed.h"
#include "tap.h"

#define THREADS		8
#define PACKETS		2000	/* per thread */

/* How many packets the caller gets into a ring that nobody empties. */
static unsigned int fill_ring(struct bed *bed, uint64_t *word)
{
	unsigned int n = 0;

	while (!gsvm_queue_fill(bed->queue, word, n + 1, 8, NULL, GSVM_SUBMIT_NONBLOCK))
		n++;
	return n;
}

static void test_full(uint32_t packets)
{
	struct drm_gsvm_queue_query record = { .error = DRM_GSVM_ERROR_DEVICE };
	struct bed bed;
	uint64_t word = 0, consumed;
	unsigned int n;

	bed_make(&bed, packets);
	fake_pause(bed.fake, true);
	n = fill_ring(&bed, &word);
	ok(n >= packets - 5 && n <= packets - 3, "ring of %u: %u packets and the markers",
	   packets, n);
	is(gsvm_queue_fill(bed.queue, &word, 0, 8, NULL, GSVM_SUBMIT_NONBLOCK), -EAGAIN,
	   "full: does not wait when told");
	is(gsvm_queue_finish(bed.queue, 2000000), -ETIME, "full: no longer than told");
	is(word, 0, "full: nothing ran");
	fake_pause(bed.fake, false);
	is(gsvm_queue_fill(bed.queue, &word, 1000, 8, NULL, 0), 0, "room again");
	is(gsvm_queue_finish(bed.queue, GSVM_WAIT_FOREVER), 0, "finish");
	is(word, 1000, "all ran, in order");
	consumed = fake_consumed(bed.fake, bed.id);
	ok(consumed >= n + 2 && !fake_errors(bed.fake), "every packet once");

	fake_pause(bed.fake, true);
	fill_ring(&bed, &word);
	fake_kill(bed.fake, bed.id, &record);
	is(gsvm_queue_fill(bed.queue, &word, 0, 8, NULL, GSVM_SUBMIT_NONBLOCK), -EIO,
	   "full and dead: not -EAGAIN for ever");
	ok(bed_clear(&bed), "nothing left behind");
}

/* Death while somebody sleeps for room. */
static void *sleeper(void *arg)
{
	struct bed *bed = arg;
	uint64_t word = 0;

	return (void *)(intptr_t)gsvm_queue_fill(bed->queue, &word, 0, 8, NULL, 0);
}

static void test_full_death(void)
{
	struct drm_gsvm_queue_query record = { .error = DRM_GSVM_ERROR_LIMIT };
	struct bed bed;
	pthread_t thread;
	uint64_t word;
	void *ret = NULL;

	bed_make(&bed, 16);
	fake_pause(bed.fake, true);
	fill_ring(&bed, &word);
	pthread_create(&thread, NULL, sleeper, &bed);
	while (!fake_calls(bed.fake, DRM_IOCTL_GSVM_WAIT))
		sched_yield();
	fake_kill(bed.fake, bed.id, &record);
	pthread_join(thread, &ret);
	is((intptr_t)ret, -EIO, "death ends the wait for room");
	is(gsvm_queue_fill(bed.queue, &word, 0, 8, NULL, 0), -EIO, "and is remembered");
	ok(bed_clear(&bed), "nothing left behind");
}

/* Many more packets than the ring has, with the read index late or not. */
static void test_wrap(bool lag)
{
	struct gsvm_signal *signal = NULL;
	struct bed bed;
	uint64_t word = 0;
	int i, failed = 0;

	bed_make(&bed, 16);
	fake_lag(bed.fake, lag);
	gsvm_signal_create(5000, &signal);
	for (i = 0; i < 5000; i++)
		failed += gsvm_queue_fill(bed.queue, &word, (uint64_t)i, 8, signal,
					  i % 7 ? GSVM_SUBMIT_MORE : 0) != 0;
	is(failed, 0, lag ? "5000 packets, late read index" : "5000 packets");
	is(gsvm_queue_flush(bed.queue), 0, "flush");
	is(gsvm_signal_wait(signal, bed.queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER), 0,
	   "all complete");
	is(word, 4999, "in order");
	ok(bed_clear(&bed), "nothing left behind, no rule broken");
	gsvm_signal_destroy(signal);
}

/* A batch rings once. */
static void test_batch(void)
{
	struct bed bed;
	uint64_t word = 0;
	int i;

	bed_make(&bed, 1024);
	for (i = 0; i < 100; i++)
		gsvm_queue_fill(bed.queue, &word, (uint64_t)i + 1, 8, NULL, GSVM_SUBMIT_MORE);
	is(*bed.queue->doorbell, 0, "batch: not a ring before its end");
	is(gsvm_queue_flush(bed.queue), 0, "flush");
	is(*bed.queue->doorbell, 100, "flush: one ring for all");
	is(gsvm_queue_finish(bed.queue, GSVM_WAIT_FOREVER), 0, "finish");
	is(word, 100, "all ran");
	ok(fake_doorbells(bed.fake, bed.id) <= 2, "the device heard no more than two rings");
	/* A batch larger than the ring must ring before it waits. */
	for (i = 0; i < 3000; i++)
		gsvm_queue_fill(bed.queue, &word, (uint64_t)i, 8, NULL, GSVM_SUBMIT_MORE);
	is(gsvm_queue_finish(bed.queue, GSVM_WAIT_FOREVER), 0, "a batch larger than the ring");
	is(word, 2999, "all ran");
	ok(bed_clear(&bed), "nothing left behind");
}

/* The producer knows by the read index alone that a slot is free again. */
static void test_paced(void)
{
	struct bed bed;
	uint64_t word = 0;
	int i, failed = 0;

	bed_make(&bed, 16);
	for (i = 0; i < 200; i++) {
		failed += gsvm_queue_fill(bed.queue, &word, (uint64_t)i, 8, NULL, 0) != 0;
		while (__atomic_load_n(&bed.queue->shared->read_index, __ATOMIC_RELAXED) !=
		       bed.queue->write)
			sched_yield();
	}
	is(failed, 0, "paced: 200 packets");
	is(fake_calls(bed.fake, DRM_IOCTL_GSVM_WAIT), 0, "paced: not a system call");
	is(gsvm_queue_finish(bed.queue, GSVM_WAIT_FOREVER), 0, "finish");
	ok(bed_clear(&bed), "nothing left behind, no rule broken");
}

/* What was rung is not rung again. */
static void test_flush(void)
{
	struct bed bed;
	uint64_t word = 0;

	bed_make(&bed, 16);
	fake_pause(bed.fake, true);
	gsvm_queue_fill(bed.queue, &word, 1, 8, NULL, 0);
	/* Until the GPU has seen it, and waits in its pause instead of looking again. */
	while (!fake_doorbells(bed.fake, bed.id))
		sched_yield();
	*bed.queue->doorbell = 0;
	is(gsvm_queue_flush(bed.queue), 0, "flush with nothing new");
	is(*bed.queue->doorbell, 0, "does not ring");
	*bed.queue->doorbell = 1;
	fake_pause(bed.fake, false);
	is(gsvm_queue_finish(bed.queue, GSVM_WAIT_FOREVER), 0, "finish");
	ok(bed_clear(&bed), "nothing left behind");
}

struct producer {
	struct bed *bed;
	struct gsvm_signal *signal;
	uint64_t *words;
	unsigned int number;
	int failed;
};

static void *produce(void *arg)
{
	struct producer *p = arg;
	uint64_t i;
	int ret;

	for (i = 0; i < PACKETS; i++) {
		do {
			ret = gsvm_queue_fill(p->bed->queue, &p->words[i], p->number * PACKETS + i,
					      8, p->signal,
					      i % 3 ? GSVM_SUBMIT_MORE :
					      p->number & 1 ? GSVM_SUBMIT_NONBLOCK : 0);
		} while (ret == -EAGAIN);
		p->failed += ret != 0;
		if (i % 500 == 499)
			p->failed += gsvm_queue_finish(p->bed->queue, GSVM_WAIT_FOREVER) != 0;
	}
	p->failed += gsvm_queue_flush(p->bed->queue) != 0;
	p->failed += gsvm_signal_wait(p->signal, p->bed->queue, GSVM_EQUAL, 0,
				      GSVM_WAIT_FOREVER) != 0;
	return NULL;
}

static void test_threads(void)
{
	struct producer p[THREADS];
	pthread_t thread[THREADS];
	struct bed bed;
	unsigned int i, j, wrong = 0, failed = 0;

	bed_make(&bed, 64);
	for (i = 0; i < THREADS; i++) {
		p[i] = (struct producer){ .bed = &bed, .number = i,
					  .words = calloc(PACKETS, sizeof(uint64_t)) };
		gsvm_signal_create(PACKETS, &p[i].signal);
		pthread_create(&thread[i], NULL, produce, &p[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		failed += (unsigned int)p[i].failed;
		for (j = 0; j < PACKETS; j++)
			wrong += p[i].words[j] != i * PACKETS + j;
		free(p[i].words);
		gsvm_signal_destroy(p[i].signal);
	}
	is(failed, 0, "8 threads: every call succeeded");
	is(wrong, 0, "8 threads: every packet ran, none twice, none mixed up");
	ok(bed_clear(&bed), "nothing left behind, no rule broken");
}

int main(void)
{
	test_full(16);
	test_full(256);
	test_full_death();
	test_wrap(false);
	test_wrap(true);
	test_batch();
	test_paced();
	test_flush();
	test_threads();
	return tap_done();
}
