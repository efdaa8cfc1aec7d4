// SPDX-License-Identifier: MIT
/*
 * DOC: queues
 *
 * Life and death of a user-mode queue: the memory it shares with the device,
 * its handle, its error record. What goes into the ring is submit.c's.
 *
 * The ring and the read index are anonymous memory of this process, which the
 * device reaches through the VM as any other. A child does not inherit them:
 * fork() would write-protect them and so slow the parent down, for nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "private.h"

#define DEFAULT_PACKETS	1024
#define MIN_PACKETS	16	/* four markers of submit.c, and packets between them */
#define MAX_PACKETS	65536

/* The ring starts at a page of its own. */
#define SHARED_SIZE	GSVM_PAGE

_Static_assert(sizeof(struct gsvm_queue_shared) <= SHARED_SIZE, "shared part too large");
_Static_assert(sizeof(struct gsvm_packet) == GSVM_PACKET_SIZE, "packets are 64 bytes");

static int read_options(const struct gsvm_queue_options *given, struct gsvm_queue_options *options)
{
	uint32_t packets = MIN_PACKETS;
	int ret;

	*options = (struct gsvm_queue_options){ 0 };
	if (given) {
		ret = gsvm_copy_in(options, sizeof(*options), given, given->size);
		if (ret)
			return ret;
	}
	if (!options->ring_packets)
		options->ring_packets = DEFAULT_PACKETS;
	if (options->ring_packets > MAX_PACKETS)
		return -EINVAL;
	while (packets < options->ring_packets)
		packets *= 2;
	options->ring_packets = packets;
	return 0;
}

static int map_shared(struct gsvm_queue *queue)
{
	char *memory;
	uint32_t i;

	queue->mapped = SHARED_SIZE + (size_t)queue->packets * GSVM_PACKET_SIZE;
	memory = mmap(NULL, queue->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	if (madvise(memory, queue->mapped, MADV_DONTFORK)) {
		int err = errno;

		munmap(memory, queue->mapped);
		return -err;
	}
	queue->shared = (void *)memory;
	queue->ring = (void *)(memory + SHARED_SIZE);
	for (i = 0; i < queue->packets; i++)
		queue->ring[i].word[0] = GSVM_PKT_INVALID;
	return 0;
}

static void destroy_handle(const struct gsvm_queue *queue, int *ret)
{
	struct drm_gsvm_queue_destroy arg = { .queue_id = queue->id };

	*ret = gsvm_device_ioctl(queue->vm->device, DRM_IOCTL_GSVM_QUEUE_DESTROY, &arg);
}

static int create_handle(struct gsvm_queue *queue, uint32_t hart_limit)
{
	struct gsvm_vm *vm = queue->vm;
	struct drm_gsvm_queue_create arg = {
		.vm_id = vm->id,
		.format = DRM_GSVM_QUEUE_FORMAT_AQL64,
		.ring_packets = queue->packets,
		.ring = (uintptr_t)queue->ring,
		.read_index = (uintptr_t)&queue->shared->read_index,
		.hart_limit = hart_limit,
	};
	void *page;
	int ret, ignored;

	ret = gsvm_device_ioctl(vm->device, DRM_IOCTL_GSVM_QUEUE_CREATE, &arg);
	if (ret)
		return ret;
	queue->id = arg.queue_id;
	if (arg.doorbell_offset % 8 || arg.doorbell_offset > GSVM_PAGE - 8)
		ret = -EPROTO;	/* not a doorbell; writing there would be worse */
	else
		ret = gsvm_vm_doorbell(vm, arg.doorbell_mmap, &page);
	if (ret) {
		destroy_handle(queue, &ignored);
		return ret;
	}
	queue->doorbell = (volatile uint64_t *)((char *)page + arg.doorbell_offset);
	return 0;
}

gsvm_public int gsvm_queue_create(struct gsvm_vm *vm, const struct gsvm_queue_options *given,
				  struct gsvm_queue **out)
{
	struct gsvm_queue_options options;
	struct gsvm_queue *queue;
	int ret;

	if (!vm || !out)
		return -EINVAL;
	if (!gsvm_vm_owned(vm))
		return -EPERM;
	ret = read_options(given, &options);
	if (ret)
		return ret;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->vm = vm;
	queue->packets = options.ring_packets;
	ret = -pthread_mutex_init(&queue->lock, NULL);
	if (ret)
		goto err_free;
	ret = map_shared(queue);
	if (ret)
		goto err_lock;
	ret = create_handle(queue, options.hart_limit);
	if (ret)
		goto err_map;
	atomic_fetch_add(&vm->queues, 1);
	*out = queue;
	return 0;

err_map:
	munmap(queue->shared, queue->mapped);
err_lock:
	pthread_mutex_destroy(&queue->lock);
err_free:
	free(queue);
	return ret;
}

gsvm_public int gsvm_queue_destroy(struct gsvm_queue *queue)
{
	int ret = 0;

	if (!queue)
		return 0;
	if (gsvm_vm_owned(queue->vm)) {
		destroy_handle(queue, &ret);
		/*
		 * Only a destroyed queue's memory can be given back. -ENODEV
		 * means that the device is gone, and its accesses with it. Any
		 * other error leaves everything as it is.
		 */
		if (ret && ret != -ENODEV)
			return ret;
		munmap(queue->shared, queue->mapped);
	}
	atomic_fetch_sub(&queue->vm->queues, 1);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
	return 0;
}

gsvm_public uint32_t gsvm_queue_handle(const struct gsvm_queue *queue)
{
	return queue->id;
}

static int query(struct gsvm_queue *queue, struct drm_gsvm_queue_query *arg)
{
	*arg = (struct drm_gsvm_queue_query){ .queue_id = queue->id };
	return gsvm_device_ioctl(queue->vm->device, DRM_IOCTL_GSVM_QUEUE_QUERY, arg);
}

int gsvm_queue_check(struct gsvm_queue *queue)
{
	struct drm_gsvm_queue_query arg;
	int ret = query(queue, &arg);

	if (ret)
		return ret;
	return arg.state == DRM_GSVM_QUEUE_RUNNING ? 0 : -EIO;
}

gsvm_public int gsvm_queue_error(struct gsvm_queue *queue, struct gsvm_error *error)
{
	struct drm_gsvm_queue_query arg;
	struct gsvm_error known = { .size = sizeof(known) };
	int ret;

	if (!queue || !error)
		return -EINVAL;
	if (!gsvm_vm_owned(queue->vm))
		return -EPERM;
	ret = query(queue, &arg);
	if (ret)
		return ret;
	if (arg.state != DRM_GSVM_QUEUE_RUNNING) {
		known.code = arg.error;
		known.reason = arg.reason;
		known.access = arg.access;
		known.address = arg.addr;
		known.pc = arg.pc;
		known.packet = arg.packet;
		known.work_item = arg.work_item;
		known.time_ns = arg.time_ns;
	}
	return gsvm_copy_out(error, error->size, &known, sizeof(known));
}
