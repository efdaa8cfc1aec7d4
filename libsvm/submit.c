// SPDX-License-Identifier: MIT
/*
 * DOC: submitting work
 *
 * The producer side of a queue's ring. Submitting takes no system call: a
 * packet is written, body first, and the doorbell told the new write index.
 *
 * Several threads: queue->lock is held from finding room until the doorbell is
 * written, so a doorbell value never covers a packet that is not complete, and
 * never goes back.
 *
 * Waiting for room: nobody is woken when the read index moves, only when a
 * signal does. So the ring holds a marker (a barrier packet without
 * dependencies, whose signal is shared->room) in the last slot of each
 * quarter. Marker n has been passed when room is below -n; then everything
 * before it is consumed. The lock is dropped while waiting.
 *
 *	room?  --yes--> write (and the marker before it, when one is due)
 *	  |no
 *	ring what is not rung yet, wait for the first marker at or behind the
 *	read index; look again; then for the next one, and so on
 *
 * Each wait ends when the device makes progress or the queue dies.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "private.h"

#define QUARTERS 4

#define HEADER(type) ((type) | 2u << GSVM_PKT_ACQUIRE_SHIFT | 2u << GSVM_PKT_RELEASE_SHIFT)

/* gsvm_fill, gsvm_copy: the hardware's limit */
#define MAX_BYTES (1ull << 40)

/* Work-items per group when the caller leaves it to us. */
#define DEFAULT_GROUP 64

union packet {
	struct gsvm_packet raw;
	struct gsvm_pkt_kernel kernel;
	struct gsvm_pkt_barrier barrier;
	struct gsvm_pkt_vendor vendor;
};

_Static_assert(sizeof(union packet) == GSVM_PACKET_SIZE, "packets are 64 bytes");

static uint64_t marker_distance(const struct gsvm_queue *queue)
{
	return queue->packets / QUARTERS;
}

static bool marker_due(const struct gsvm_queue *queue)
{
	return queue->write % marker_distance(queue) == marker_distance(queue) - 1;
}

/* Pairs with the device's release: it has read the slots below. */
static uint64_t read_index(const struct gsvm_queue *queue)
{
	return __atomic_load_n(&queue->shared->read_index, __ATOMIC_ACQUIRE);
}

static bool has_room(const struct gsvm_queue *queue)
{
	uint64_t need = marker_due(queue) ? 2 : 1;

	return queue->write - read_index(queue) + need <= queue->packets;
}

static void put(struct gsvm_queue *queue, const union packet *packet)
{
	struct gsvm_packet *slot = &queue->ring[queue->write & (queue->packets - 1)];

	memcpy(&slot->word[1], &packet->raw.word[1], sizeof(*slot) - sizeof(slot->word[0]));
	/* The header makes the packet valid. Pairs with the device's acquire of it. */
	__atomic_store_n(&slot->word[0], packet->raw.word[0], __ATOMIC_RELEASE);
	queue->write++;
}

static void put_marker(struct gsvm_queue *queue)
{
	union packet packet = { .barrier = {
		.header = HEADER(GSVM_PKT_BARRIER_AND),
		.signal = (uintptr_t)&queue->shared->room,
	} };

	put(queue, &packet);
}

/*
 * One write of the device's memory, which costs tens of microseconds when the
 * device is a virtual one. What was put into the ring must be visible first;
 * on some processors the release of C11 orders memory, but not memory before
 * devices.
 */
static void ring_doorbell(struct gsvm_queue *queue)
{
	if (queue->rung == queue->write)
		return;
	queue->rung = queue->write;
#if defined(__aarch64__)
	__asm__ volatile("dmb oshst" : : : "memory");
#elif defined(__riscv)
	__asm__ volatile("fence w, o" : : : "memory");
#endif
	__atomic_store_n(queue->doorbell, queue->write, __ATOMIC_RELEASE);
}

/*
 * The device has passed every marker, but its read index does not say so yet:
 * that is on its way. Called without the lock.
 */
static int wait_index(struct gsvm_queue *queue, int64_t deadline)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	if (gsvm_deadline(1) > deadline)
		return -ETIME;
	nanosleep(&pause, NULL);
	return gsvm_queue_check(queue);
}

static int wait_marker(struct gsvm_queue *queue, uint64_t marker, bool written, int64_t deadline)
{
	int ret;

	pthread_mutex_unlock(&queue->lock);
	if (written)
		ret = gsvm_wait(queue->vm, queue->id, &queue->shared->room, GSVM_LESS, -(int64_t)marker,
				deadline);
	else
		ret = wait_index(queue, deadline);
	pthread_mutex_lock(&queue->lock);
	return ret;
}

/* With the lock held, which is dropped while waiting. */
static int make_room(struct gsvm_queue *queue, uint32_t flags, int64_t deadline)
{
	uint64_t marker = 0, first;
	bool written;
	int ret;

	while (!has_room(queue)) {
		ring_doorbell(queue);
		if (flags & GSVM_SUBMIT_NONBLOCK) {
			/* The caller may try for ever: a dead queue has no room. */
			ret = gsvm_queue_check(queue);
			return ret ? ret : -EAGAIN;
		}
		first = read_index(queue) / marker_distance(queue);
		if (marker < first)
			marker = first;
		written = marker < queue->write / marker_distance(queue);
		ret = wait_marker(queue, marker, written, deadline);
		if (ret)
			return ret;
		if (queue->dead)	/* another thread learned it meanwhile */
			return -EIO;
		if (written)
			marker++;
	}
	return 0;
}

/*
 * Publish one packet. @finish: it is one of gsvm_queue_finish(), number it.
 * @deadline: of waiting for room.
 */
static int submit_until(struct gsvm_queue *queue, const union packet *packet, uint32_t flags,
			uint64_t *finish, int64_t deadline)
{
	int ret;

	if (!gsvm_vm_owned(queue->vm))
		return -EPERM;
	pthread_mutex_lock(&queue->lock);
	ret = queue->dead ? -EIO : make_room(queue, flags, deadline);
	if (!ret) {
		if (marker_due(queue))
			put_marker(queue);
		put(queue, packet);
		if (finish)
			*finish = queue->finishes++;
		if (!(flags & GSVM_SUBMIT_MORE))
			ring_doorbell(queue);
	} else if (ret == -EIO) {
		queue->dead = true;
	}
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

static int submit(struct gsvm_queue *queue, const union packet *packet, uint32_t flags)
{
	return submit_until(queue, packet, flags, NULL, INT64_MAX);
}

static uint16_t header(unsigned int type, uint32_t flags)
{
	return HEADER(type) | (flags & GSVM_SUBMIT_BARRIER ? GSVM_PKT_BARRIER : 0);
}

/* What all kinds of packets have in common. */
static int check(const struct gsvm_queue *queue, const struct gsvm_signal *signal, uint32_t flags,
		 uint32_t known)
{
	if (!queue || (uintptr_t)signal % GSVM_SIGNAL_SIZE || flags & ~known)
		return -EINVAL;
	return 0;
}

#define FLAGS (GSVM_SUBMIT_MORE | GSVM_SUBMIT_NONBLOCK | GSVM_SUBMIT_BARRIER)

/* Fill in what the caller left open, reject what the device would reject. */
static int set_grid(struct gsvm_pkt_kernel *packet, const struct gsvm_grid *grid,
		    const struct gsvm_device_info *info)
{
	uint32_t items[3], group[3];
	uint64_t product = 1, all = 1;
	unsigned int i, dims = 1;
	bool choose = !grid->group[0] && !grid->group[1] && !grid->group[2];

	if (!grid->items[0] || (!grid->items[1] && grid->items[2]))
		return -EINVAL;
	for (i = 0; i < 3; i++) {
		items[i] = grid->items[i] ? grid->items[i] : 1;
		group[i] = grid->group[i] ? grid->group[i] : 1;
		if (grid->items[i])
			dims = i + 1;
		/* Work-items have 64-bit numbers. */
		if (__builtin_mul_overflow(all, (uint64_t)items[i], &all))
			return -EINVAL;
	}
	if (choose)
		group[0] = DEFAULT_GROUP < info->max_group ? DEFAULT_GROUP : info->max_group;
	for (i = 0; i < 3; i++) {
		if (group[i] > UINT16_MAX || (i >= dims && group[i] != 1))
			return -EINVAL;
		product *= group[i];
	}
	if (product > info->max_group)
		return -EINVAL;
	packet->setup = dims;
	packet->group_x = group[0];
	packet->group_y = group[1];
	packet->group_z = group[2];
	packet->grid_x = items[0];
	packet->grid_y = items[1];
	packet->grid_z = items[2];
	return 0;
}

static int set_memory(struct gsvm_pkt_kernel *packet, const struct gsvm_kernel *kernel,
		      const struct gsvm_grid *grid, const struct gsvm_device_info *info)
{
	/* The dynamic part begins at a multiple of 16. */
	uint64_t group = grid->group_memory ?
			 (((uint64_t)kernel->group_size + 15) & ~15ull) + grid->group_memory :
			 kernel->group_size;
	uint64_t private = ((uint64_t)grid->private_memory + 15) & ~15ull;

	if (group > info->group_memory || group > GSVM_GROUP_WINDOW)
		return -ENOSPC;
	if (private > info->private_memory || kernel->private_size > info->private_memory)
		return -ENOSPC;
	packet->private_size = (uint32_t)private;
	packet->group_size = grid->group_memory;
	return 0;
}

gsvm_public int gsvm_queue_dispatch(struct gsvm_queue *queue, const struct gsvm_kernel *kernel,
				    const struct gsvm_grid *grid, const void *arg,
				    struct gsvm_signal *signal, uint32_t flags)
{
	union packet packet = { .raw = { { 0 } } };
	const struct gsvm_device_info *info;
	int ret;

	ret = check(queue, signal, flags, FLAGS);
	if (!ret && !grid)
		ret = -EINVAL;
	if (!ret)
		ret = gsvm_kernel_check(kernel);
	if (ret)
		return ret;
	/* Arguments in registers are read from there, as 64-bit words. */
	if ((kernel->flags & GSVM_KERNEL_PRELOAD) && (!arg || (uintptr_t)arg % 8))
		return -EINVAL;
	info = &queue->vm->device->info;
	ret = set_grid(&packet.kernel, grid, info);
	if (!ret)
		ret = set_memory(&packet.kernel, kernel, grid, info);
	if (ret)
		return ret;
	packet.kernel.header = header(GSVM_PKT_KERNEL, flags);
	packet.kernel.kernel = (uintptr_t)kernel;
	packet.kernel.kernarg = (uintptr_t)arg;
	packet.kernel.signal = (uintptr_t)signal;
	return submit(queue, &packet, flags);
}

gsvm_public int gsvm_queue_copy(struct gsvm_queue *queue, void *dst, const void *src,
				uint64_t bytes, struct gsvm_signal *signal, uint32_t flags)
{
	union packet packet = { .vendor = {
		.header = header(GSVM_PKT_VENDOR, flags),
		.op = GSVM_VOP_COPY,
		.src = (uintptr_t)src,
		.dst = (uintptr_t)dst,
		.len = bytes,
		.signal = (uintptr_t)signal,
	} };
	int ret = check(queue, signal, flags, FLAGS);

	if (!ret && (!bytes || bytes > MAX_BYTES))
		ret = -EINVAL;
	return ret ? ret : submit(queue, &packet, flags);
}

gsvm_public int gsvm_queue_fill(struct gsvm_queue *queue, void *dst, uint64_t value,
				uint64_t bytes, struct gsvm_signal *signal, uint32_t flags)
{
	union packet packet = { .vendor = {
		.header = header(GSVM_PKT_VENDOR, flags),
		.op = GSVM_VOP_FILL,
		.src = value,
		.dst = (uintptr_t)dst,
		.len = bytes,
		.signal = (uintptr_t)signal,
	} };
	int ret = check(queue, signal, flags, FLAGS);

	if (!ret && (!bytes || bytes > MAX_BYTES || bytes % 8 || (uintptr_t)dst % 8))
		ret = -EINVAL;
	return ret ? ret : submit(queue, &packet, flags);
}

gsvm_public int gsvm_queue_barrier(struct gsvm_queue *queue, struct gsvm_signal *const *deps,
				   unsigned int count, struct gsvm_signal *signal, uint32_t flags)
{
	bool any = flags & GSVM_SUBMIT_ANY;
	union packet packet = { .barrier = {
		.header = header(any ? GSVM_PKT_BARRIER_OR : GSVM_PKT_BARRIER_AND, flags),
		.signal = (uintptr_t)signal,
	} };
	unsigned int i;
	int ret = check(queue, signal, flags, FLAGS | GSVM_SUBMIT_ANY);

	if (ret)
		return ret;
	if (count > GSVM_MAX_DEPENDENCIES || (count && !deps) || (any && !count))
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (!deps[i] || (uintptr_t)deps[i] % GSVM_SIGNAL_SIZE)
			return -EINVAL;
		packet.barrier.dep[i] = (uintptr_t)deps[i];
	}
	return submit(queue, &packet, flags);
}

gsvm_public int gsvm_queue_flush(struct gsvm_queue *queue)
{
	int ret;

	if (!queue)
		return -EINVAL;
	if (!gsvm_vm_owned(queue->vm))
		return -EPERM;
	pthread_mutex_lock(&queue->lock);
	ret = queue->dead ? -EIO : 0;
	if (!ret)
		ring_doorbell(queue);
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

/*
 * A barrier packet behind everything, which counts the idle signal down. These
 * packets complete in ring order (each is a barrier), so the n-th one, from 0,
 * is complete when the signal is below -n. The signal is the queue's own: the
 * packet may outlive a caller whose time is over.
 */
gsvm_public int gsvm_queue_finish(struct gsvm_queue *queue, int64_t timeout_ns)
{
	union packet packet = { .barrier = {
		.header = header(GSVM_PKT_BARRIER_AND, GSVM_SUBMIT_BARRIER),
	} };
	int64_t deadline = gsvm_deadline(timeout_ns);
	uint64_t number;
	int ret;

	if (!queue)
		return -EINVAL;
	packet.barrier.signal = (uintptr_t)&queue->shared->idle;
	ret = submit_until(queue, &packet, 0, &number, deadline);
	if (!ret)
		ret = gsvm_wait(queue->vm, queue->id, &queue->shared->idle, GSVM_LESS, -(int64_t)number,
				deadline);
	return ret;
}
