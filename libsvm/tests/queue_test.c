// SPDX-License-Identifier: MIT
/* Queues: options, packets bit by bit, checks, death, destruction. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "bed.h"
#include "tap.h"

/* A kernel descriptor as the loader would accept it. */
static _Alignas(64) struct gsvm_kernel kernel = {
	.magic = GSVM_KERNEL_MAGIC, .private_size = 1024, .group_size = 256,
};

static void test_options(void)
{
	static const struct { uint32_t asked, got; } sizes[] = {
		{ 0, 1024 }, { 1, 16 }, { 16, 16 }, { 17, 32 }, { 65536, 65536 },
	};
	struct { struct gsvm_queue_options known; uint64_t more; } newer = { 0 };
	struct gsvm_queue_options options = { .size = sizeof(options), .hart_limit = 77 };
	struct drm_gsvm_queue_create args;
	struct gsvm_queue *queue = NULL;
	struct bed bed;
	unsigned int i;

	bed_make(&bed, 16);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		options.ring_packets = sizes[i].asked;
		is(gsvm_queue_create(bed.vm, &options, &queue), 0, "create");
		args = fake_create_args(bed.fake, gsvm_queue_handle(queue));
		ok(args.ring_packets == sizes[i].got, "ring of %u: %u packets", sizes[i].asked,
		   args.ring_packets);
		ok(args.hart_limit == 77 && args.vm_id == gsvm_vm_handle(bed.vm) &&
		   args.format == DRM_GSVM_QUEUE_FORMAT_AQL64, "the driver's other arguments");
		is(gsvm_queue_destroy(queue), 0, "destroy");
	}
	queue = NULL;
	options.ring_packets = 65537;
	is(gsvm_queue_create(bed.vm, &options, &queue), -EINVAL, "ring too large");
	options.size = 0;
	is(gsvm_queue_create(bed.vm, &options, &queue), -EINVAL, "options without a size");
	newer.known.size = sizeof(newer);
	newer.more = 1;
	is(gsvm_queue_create(bed.vm, &newer.known, &queue), -E2BIG, "options of a newer library");
	is(gsvm_queue_create(NULL, NULL, &queue), -EINVAL, "no VM");
	is(gsvm_queue_create(bed.vm, NULL, NULL), -EINVAL, "nowhere to put it");
	fake_fail(bed.fake, DRM_IOCTL_GSVM_QUEUE_CREATE, -ENOSPC, 1);
	is(gsvm_queue_create(bed.vm, NULL, &queue), -ENOSPC, "the device has none left");
	fake_doorbell_offset(bed.fake, 4096);
	is(gsvm_queue_create(bed.vm, NULL, &queue), -EPROTO, "a doorbell outside of its page");
	fake_doorbell_offset(bed.fake, 12);
	is(gsvm_queue_create(bed.vm, NULL, &queue), -EPROTO, "a doorbell that is not aligned");
	fake_doorbell_offset(bed.fake, 0);
	ok(!queue, "untouched on failure");
	is(gsvm_queue_destroy(NULL), 0, "destroy nothing");
	ok(bed_clear(&bed), "nothing left behind");
}

static void test_map_failure(void)
{
	struct fake *fake = fake_create();
	struct gsvm_device *device = fake_open(fake);
	struct gsvm_queue *queue = NULL;
	struct gsvm_vm *vm = NULL;

	gsvm_vm_create(device, &vm);
	fake_fail_map(fake, EAGAIN);
	is(gsvm_queue_create(vm, NULL, &queue), -EAGAIN, "the doorbell cannot be mapped");
	fake_fail_map(fake, 0);
	is(gsvm_queue_create(vm, NULL, &queue), 0, "and now it can");
	gsvm_queue_destroy(queue);
	gsvm_vm_destroy(vm);
	gsvm_device_close(device);
	ok(fake_destroy(fake), "nothing left behind");
}

static struct gsvm_packet packet_of(struct bed *bed, uint64_t index)
{
	struct gsvm_packet packet = { { 0 } };

	ok(!gsvm_queue_finish(bed->queue, GSVM_WAIT_FOREVER) &&
	   fake_packet(bed->fake, bed->id, index, &packet), "packet %llu was consumed",
	   (unsigned long long)index);
	return packet;
}

#define SYSTEM_FENCES (2 << GSVM_PKT_ACQUIRE_SHIFT | 2 << GSVM_PKT_RELEASE_SHIFT)

static void test_dispatch(struct bed *bed)
{
	struct gsvm_grid grid = { .items = { 100, 20, 3 }, .group = { 8, 4 },
				  .private_memory = 2040, .group_memory = 100 };
	struct gsvm_signal *signal = NULL;
	struct gsvm_packet packet;
	struct gsvm_pkt_kernel got, expected = {
		.header = GSVM_PKT_KERNEL | SYSTEM_FENCES | GSVM_PKT_BARRIER, .setup = 3,
		.group_x = 8, .group_y = 4, .group_z = 1,
		.grid_x = 100, .grid_y = 20, .grid_z = 3,
		.private_size = 2048, .group_size = 100, .kernel = (uintptr_t)&kernel,
	};
	uint64_t count = 5;

	gsvm_signal_create(1, &signal);
	expected.kernarg = (uintptr_t)&count;
	expected.signal = (uintptr_t)signal;
	is(gsvm_queue_dispatch(bed->queue, &kernel, &grid, &count, signal, GSVM_SUBMIT_BARRIER), 0,
	   "dispatch");
	is(gsvm_signal_wait(signal, bed->queue, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER), 0, "complete");
	is(count, 5 + 6000, "it ran");
	packet = packet_of(bed, 0);
	memcpy(&got, &packet, sizeof(got));
	ok(!memcmp(&got, &expected, sizeof(got)), "the packet, bit by bit");
	gsvm_signal_destroy(signal);

	/* What is left to the library. */
	grid = (struct gsvm_grid){ .items = { 1000 } };
	is(gsvm_queue_dispatch(bed->queue, &kernel, &grid, NULL, NULL, 0), 0,
	   "dispatch by default");
	packet = packet_of(bed, 2);
	memcpy(&got, &packet, sizeof(got));
	ok(got.setup == 1 && got.group_x == 64 && got.group_y == 1 && got.group_z == 1 &&
	   got.grid_x == 1000 && got.grid_y == 1 && got.grid_z == 1 && !got.signal &&
	   !got.kernarg && got.header == (GSVM_PKT_KERNEL | SYSTEM_FENCES),
	   "groups, dimensions and flags");
}

static void test_dispatch_checks(struct bed *bed)
{
	static const struct gsvm_grid good = { .items = { 8 } };
	struct gsvm_kernel *k = aligned_alloc(64, 128);
	struct gsvm_grid g = good;
	uint64_t word[2];

	*k = kernel;	/* stays until the device has no packet that names it */
#define DISPATCH(k, g, arg, flags) gsvm_queue_dispatch(bed->queue, k, g, arg, NULL, flags)
	is(DISPATCH(NULL, &g, NULL, 0), -EINVAL, "no kernel");
	is(DISPATCH(k, NULL, NULL, 0), -EINVAL, "no grid");
	is(gsvm_queue_dispatch(NULL, k, &g, NULL, NULL, 0), -EINVAL, "no queue");
	is(DISPATCH(k, &g, NULL, 1u << 31), -EINVAL, "unknown flag");
	is(DISPATCH(k, &g, NULL, GSVM_SUBMIT_ANY), -EINVAL, "a barrier's flag");
	is(gsvm_queue_dispatch(bed->queue, k, &g, NULL, (void *)0x1008, 0), -EINVAL,
	   "signal not aligned");
	g.items[0] = 0;
	is(DISPATCH(k, &g, NULL, 0), -EINVAL, "no work-items");
	g = (struct gsvm_grid){ .items = { 8, 0, 8 } };
	is(DISPATCH(k, &g, NULL, 0), -EINVAL, "a hole in the dimensions");
	g = (struct gsvm_grid){ .items = { UINT32_MAX, UINT32_MAX, 2 } };
	is(DISPATCH(k, &g, NULL, 0), -EINVAL, "more work-items than numbers");
	g = (struct gsvm_grid){ .items = { 8 }, .group = { 4, 2 } };
	is(DISPATCH(k, &g, NULL, 0), -EINVAL, "a group with more dimensions than the grid");
	g = (struct gsvm_grid){ .items = { 8, 8 }, .group = { 16, 17 } };
	is(DISPATCH(k, &g, NULL, 0), -EINVAL, "group too large");
	g = (struct gsvm_grid){ .items = { 1u << 20 }, .group = { 65537 } };
	is(DISPATCH(k, &g, NULL, 0), -EINVAL, "group beyond 16 bits");
	g = good;
	g.private_memory = 16385;
	is(DISPATCH(k, &g, NULL, 0), -ENOSPC, "too much private memory");
	g = good;
	g.group_memory = 65536 - 255;
	is(DISPATCH(k, &g, NULL, 0), -ENOSPC, "too much group memory with the kernel's own");
	k->group_size = 257;
	g.group_memory = 65536 - 272 + 1;
	is(DISPATCH(k, &g, NULL, 0), -ENOSPC, "too much with what alignment takes");
	g.group_memory--;
	is(DISPATCH(k, &g, NULL, 0), 0, "just enough");
	*k = kernel;
	g.group_memory = UINT32_MAX;
	is(DISPATCH(k, &g, NULL, 0), -ENOSPC, "group memory that overflows");
	k->private_size = 32768;
	is(DISPATCH(k, &good, NULL, 0), -ENOSPC, "the kernel wants too much private memory");
	*k = kernel;
	k->magic++;
	is(DISPATCH(k, &good, NULL, 0), -EINVAL, "not a kernel");
	*k = kernel;
	k->flags = 2;
	is(DISPATCH(k, &good, NULL, 0), -EINVAL, "arguments wanted, none given");
	is(DISPATCH(k, &good, (char *)word + 4, 0), -EINVAL, "arguments not aligned");
	is(DISPATCH((void *)((char *)k + 8), &good, NULL, 0), -EINVAL, "kernel not aligned");
#undef DISPATCH
	gsvm_queue_finish(bed->queue, GSVM_WAIT_FOREVER);
	free(k);
}

static void test_copy_fill(struct bed *bed)
{
	uint64_t source[4] = { 1, 2, 3, 4 }, target[4] = { 0 };
	uint64_t index = fake_consumed(bed->fake, bed->id);
	struct gsvm_pkt_vendor got, expected = {
		.header = GSVM_PKT_VENDOR | SYSTEM_FENCES, .op = GSVM_VOP_COPY,
		.src = (uintptr_t)source, .dst = (uintptr_t)target, .len = 25,
	};
	struct gsvm_packet packet;

	is(gsvm_queue_copy(bed->queue, target, source, 25, NULL, 0), 0, "copy");
	packet = packet_of(bed, index);
	memcpy(&got, &packet, sizeof(got));
	ok(!memcmp(&got, &expected, sizeof(got)), "copy: the packet, bit by bit");
	ok(target[2] == 3 && target[3] == 4, "copy: the bytes");
	is(gsvm_queue_fill(bed->queue, target, ~0ull, 24, NULL, GSVM_SUBMIT_BARRIER), 0, "fill");
	packet = packet_of(bed, index + 2);
	memcpy(&got, &packet, sizeof(got));
	expected = (struct gsvm_pkt_vendor){
		.header = GSVM_PKT_VENDOR | SYSTEM_FENCES | GSVM_PKT_BARRIER, .op = GSVM_VOP_FILL,
		.src = ~0ull, .dst = (uintptr_t)target, .len = 24,
	};
	ok(!memcmp(&got, &expected, sizeof(got)), "fill: the packet, bit by bit");
	ok(target[2] == ~0ull && target[3] == 4, "fill: the bytes");

	is(gsvm_queue_copy(bed->queue, target, source, 0, NULL, 0), -EINVAL, "copy: nothing");
	is(gsvm_queue_copy(bed->queue, target, source, (1ull << 40) + 1, NULL, 0), -EINVAL,
	   "copy: too much");
	is(gsvm_queue_copy(NULL, target, source, 1, NULL, 0), -EINVAL, "copy: no queue");
	is(gsvm_queue_copy(bed->queue, target, source, 1, NULL, 64), -EINVAL, "copy: unknown flag");
	is(gsvm_queue_fill(bed->queue, target, 0, 12, NULL, 0), -EINVAL, "fill: odd length");
	is(gsvm_queue_fill(bed->queue, (char *)target + 4, 0, 8, NULL, 0), -EINVAL,
	   "fill: not aligned");
	is(gsvm_queue_fill(bed->queue, target, 0, 0, NULL, 0), -EINVAL, "fill: nothing");
	is(gsvm_queue_fill(NULL, target, 0, 8, NULL, 0), -EINVAL, "fill: no queue");
}

static void test_barrier(struct bed *bed)
{
	struct gsvm_signal *deps[6] = { 0 };
	uint64_t index = fake_consumed(bed->fake, bed->id), word = 0;
	struct gsvm_pkt_barrier got;
	struct gsvm_packet packet;
	int i;

	for (i = 0; i < 6; i++)
		gsvm_signal_create(1, &deps[i]);
	is(gsvm_queue_barrier(bed->queue, deps, 2, NULL, 0), 0, "and");
	is(gsvm_queue_fill(bed->queue, &word, 9, 8, NULL, GSVM_SUBMIT_BARRIER), 0,
	   "something behind it");
	is(gsvm_queue_finish(bed->queue, 2000000), -ETIME, "and: does not open by itself");
	gsvm_signal_set(deps[0], 0);
	is(gsvm_queue_finish(bed->queue, 2000000), -ETIME, "and: nor by one");
	is(word, 0, "and: what is behind waits");
	gsvm_signal_set(deps[1], 0);
	packet = packet_of(bed, index);
	memcpy(&got, &packet, sizeof(got));
	ok(word == 9, "and: opened by both");
	ok(got.header == (GSVM_PKT_BARRIER_AND | SYSTEM_FENCES) &&
	   got.dep[0] == (uintptr_t)deps[0] && got.dep[1] == (uintptr_t)deps[1] && !got.dep[2] &&
	   !got.signal, "and: the packet");

	index = fake_consumed(bed->fake, bed->id);
	is(gsvm_queue_barrier(bed->queue, deps + 1, 5, NULL, GSVM_SUBMIT_ANY), 0, "or");
	packet = packet_of(bed, index);
	memcpy(&got, &packet, sizeof(got));
	ok(got.header == (GSVM_PKT_BARRIER_OR | SYSTEM_FENCES) &&
	   got.dep[4] == (uintptr_t)deps[5], "or: the packet; one open signal is enough");

	is(gsvm_queue_barrier(bed->queue, deps, 6, NULL, 0), -EINVAL, "too many");
	is(gsvm_queue_barrier(bed->queue, NULL, 1, NULL, 0), -EINVAL, "no array");
	is(gsvm_queue_barrier(bed->queue, NULL, 0, NULL, GSVM_SUBMIT_ANY), -EINVAL, "any of none");
	is(gsvm_queue_barrier(bed->queue, NULL, 0, NULL, 0), 0, "all of none");
	is(gsvm_queue_barrier(NULL, NULL, 0, NULL, 0), -EINVAL, "no queue");
	gsvm_signal_destroy(deps[3]);
	deps[3] = NULL;
	is(gsvm_queue_barrier(bed->queue, deps, 5, NULL, 0), -EINVAL, "a hole in the array");
	gsvm_queue_finish(bed->queue, GSVM_WAIT_FOREVER);
	for (i = 0; i < 6; i++)
		gsvm_signal_destroy(deps[i]);
}

static void test_death(void)
{
	struct drm_gsvm_queue_query record = {
		.error = DRM_GSVM_ERROR_FAULT, .reason = DRM_GSVM_REASON_BUS,
		.access = DRM_GSVM_ACCESS_ATOMIC, .addr = 11, .pc = 12, .packet = 13,
		.work_item = 14, .time_ns = 15,
	};
	struct gsvm_error error = { .size = sizeof(error), .code = 99 };
	struct bed bed;
	uint64_t word = 0;

	bed_make(&bed, 16);
	is(gsvm_queue_error(bed.queue, &error), 0, "alive: error");
	ok(error.code == GSVM_ERROR_NONE && !error.address && error.size == sizeof(error),
	   "alive: no record");
	is(gsvm_queue_error(bed.queue, NULL), -EINVAL, "error: nowhere to put it");
	is(gsvm_queue_error(NULL, &error), -EINVAL, "error: no queue");
	fake_kill(bed.fake, bed.id, &record);
	is(gsvm_queue_finish(bed.queue, GSVM_WAIT_FOREVER), -EIO, "dead: finish");
	is(gsvm_queue_error(bed.queue, &error), 0, "dead: error");
	ok(error.code == GSVM_ERROR_FAULT && error.reason == GSVM_REASON_BUS &&
	   error.access == GSVM_ERROR_ATOMIC && error.address == 11 && error.pc == 12 &&
	   error.packet == 13 && error.work_item == 14 && error.time_ns == 15, "dead: the record");
	fake_fail(bed.fake, DRM_IOCTL_GSVM_QUEUE_QUERY, -ENODEV, 1);
	is(gsvm_queue_error(bed.queue, &error), -ENODEV, "error: device gone");
	/* Fill the ring: then the library must find out. */
	while (!gsvm_queue_fill(bed.queue, &word, 1, 8, NULL, 0))
		;
	is(gsvm_queue_fill(bed.queue, &word, 1, 8, NULL, 0), -EIO, "dead: submit");
	is(gsvm_queue_flush(bed.queue), -EIO, "dead: flush");
	is(gsvm_queue_flush(NULL), -EINVAL, "flush: no queue");
	is(gsvm_queue_finish(NULL, 0), -EINVAL, "finish: no queue");
	fake_fail(bed.fake, DRM_IOCTL_GSVM_QUEUE_DESTROY, -EINTR, 1);
	is(gsvm_queue_destroy(bed.queue), -EINTR, "destroy: a failure leaves the queue");
	fake_fail(bed.fake, DRM_IOCTL_GSVM_QUEUE_DESTROY, -ENODEV, 1);
	ok(bed_clear(&bed), "destroy: the device is gone, nothing left behind");
}

int main(void)
{
	struct bed bed;

	test_options();
	test_map_failure();
	bed_make(&bed, 1024);	/* large enough to come to no marker */
	test_dispatch(&bed);
	test_dispatch_checks(&bed);
	test_copy_fill(&bed);
	test_barrier(&bed);
	ok(bed_clear(&bed), "nothing left behind");
	test_death();
	return tap_done();
}
