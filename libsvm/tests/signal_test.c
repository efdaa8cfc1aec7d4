// SPDX-License-Identifier: MIT
/* Signals: values, times, waiting, what ends a wait. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "bed.h"
#include "tap.h"

static void test_memory(void)
{
	_Alignas(64) unsigned char memory[128];
	struct gsvm_signal *signal = NULL;
	uint64_t start = 1, end = 1;

	memset(memory, 0xff, sizeof(memory));
	is(gsvm_signal_init(memory, -5, &signal), 0, "init");
	ok((void *)signal == memory && gsvm_signal_value(signal) == -5, "it is the memory itself");
	ok(!signal->irq && memory[64] == 0xff, "the rest of it is zero, and no more");
	gsvm_signal_times(signal, &start, &end);
	ok(!start && !end, "times: not used yet");
	gsvm_signal_times(signal, NULL, NULL);
	gsvm_signal_set(signal, 1ll << 40);
	is(gsvm_signal_value(signal), 1ll << 40, "set");
	is(gsvm_signal_init(memory + 32, 0, &signal), -EINVAL, "init: not aligned");
	is(gsvm_signal_init(NULL, 0, &signal), -EINVAL, "init: no memory");
	is(gsvm_signal_init(memory, 0, NULL), -EINVAL, "init: nowhere to put it");
	is(gsvm_signal_create(3, &signal), 0, "create");
	ok(!((uintptr_t)signal % GSVM_SIGNAL_SIZE) && gsvm_signal_value(signal) == 3,
	   "create: aligned, with its value");
	gsvm_signal_destroy(signal);
	gsvm_signal_destroy(NULL);
	is(gsvm_signal_create(3, NULL), -EINVAL, "create: nowhere to put it");
}

/* Every condition, met and not met, by the fast path and by the ioctl's arguments. */
static void test_conditions(struct bed *bed)
{
	static const struct {
		enum gsvm_condition condition;
		int64_t value;
		bool met;
	} table[] = {
		{ GSVM_EQUAL, -3, true }, { GSVM_EQUAL, 3, false },
		{ GSVM_NOT_EQUAL, 3, true }, { GSVM_NOT_EQUAL, -3, false },
		{ GSVM_LESS, 0, true }, { GSVM_LESS, -3, false }, { GSVM_LESS, INT64_MIN, false },
		{ GSVM_GREATER_EQUAL, -3, true }, { GSVM_GREATER_EQUAL, -2, false },
	};
	struct gsvm_signal *signal = NULL;
	struct drm_gsvm_wait last;
	unsigned int i, before;
	int ret;

	gsvm_signal_create(-3, &signal);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		before = fake_calls(bed->fake, DRM_IOCTL_GSVM_WAIT);
		ret = gsvm_signal_wait(signal, bed->queue, table[i].condition, table[i].value, 0);
		ok(ret == (table[i].met ? 0 : -ETIME), "condition %u: -3 and %lld",
		   table[i].condition, (long long)table[i].value);
		before = fake_calls(bed->fake, DRM_IOCTL_GSVM_WAIT) - before;
		last = fake_last_wait(bed->fake);
		ok(table[i].met ? !before :
		   before == 1 && last.op == table[i].condition && last.value == table[i].value &&
		   last.addr == (uintptr_t)signal && last.vm_id == gsvm_vm_handle(bed->vm) &&
		   last.queue_id == bed->id, "condition %u: a system call when needed only",
		   table[i].condition);
	}
	is(gsvm_signal_wait(signal, bed->queue, 4, 0, 0), -EINVAL, "unknown condition");
	is(gsvm_signal_wait(NULL, bed->queue, GSVM_EQUAL, 0, 0), -EINVAL, "no signal");
	is(gsvm_signal_wait(signal, NULL, GSVM_EQUAL, 0, 0), -EINVAL, "no queue");
	is(gsvm_signal_wait((void *)((char *)signal + 8), bed->queue, GSVM_EQUAL, 0, 0), -EINVAL,
	   "signal not aligned");
	gsvm_signal_destroy(signal);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void test_timeouts(struct bed *bed)
{
	struct gsvm_signal *signal = NULL;
	int64_t before, deadline;

	gsvm_signal_create(1, &signal);
	before = now_ns();
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, 5000000), -ETIME, "5 ms, in vain");
	deadline = fake_last_wait(bed->fake).timeout_ns;
	ok(now_ns() - before >= 5000000, "not earlier");
	ok(deadline >= before + 5000000 && deadline <= now_ns(), "an absolute time for the driver");
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, 0), -ETIME, "0 polls");
	is(fake_last_wait(bed->fake).timeout_ns, 0, "and tells the driver so");
	is(gsvm_deadline(INT64_MAX), INT64_MAX, "a very long time does not overflow");
	is(gsvm_deadline(GSVM_WAIT_FOREVER), INT64_MAX, "for ever");
	gsvm_signal_destroy(signal);
}

/* The GPU counts down while somebody sleeps. */
static void test_wake(struct bed *bed)
{
	struct gsvm_signal *signal = NULL;
	uint64_t start = 0, end = 0, word = 0;
	int i;

	gsvm_signal_create(3, &signal);
	fake_pause(bed->fake, true);
	for (i = 0; i < 3; i++)
		gsvm_queue_fill(bed->queue, &word, (uint64_t)i + 1, 8, signal, 0);
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, 1000000), -ETIME, "not yet");
	fake_pause(bed->fake, false);
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER), 0, "woken");
	is(word, 3, "after the last packet");
	gsvm_signal_times(signal, &start, &end);
	ok(start == 1000 && end == 2000, "times of the packet");
	gsvm_signal_destroy(signal);
}

static void test_death(struct bed *bed)
{
	struct drm_gsvm_queue_query record = { .error = DRM_GSVM_ERROR_FAULT };
	struct gsvm_signal *signal = NULL;

	gsvm_signal_create(1, &signal);
	fake_kill(bed->fake, bed->id, &record);
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER), -EIO,
	   "the queue is dead: nothing to wait for");
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 1, GSVM_WAIT_FOREVER), 0,
	   "unless it was there already");
	fake_fail(bed->fake, DRM_IOCTL_GSVM_WAIT, -ENODEV, 1);
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER), -ENODEV,
	   "the device is gone");
	gsvm_signal_destroy(signal);
}

int main(void)
{
	struct bed bed;

	test_memory();
	bed_make(&bed, 64);
	test_conditions(&bed);
	test_timeouts(&bed);
	test_wake(&bed);
	test_death(&bed);
	ok(bed_clear(&bed), "nothing left behind");
	return tap_done();
}
