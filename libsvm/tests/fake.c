// SPDX-License-Identifier: MIT
/*
 * DOC: the tests' device
 *
 * One mutex protects everything but the memory that library and GPU share,
 * which is accessed with the same atomics as by a real GPU, so that a thread
 * sanitizer sees a missing barrier. The condition variable is broadcast
 * whenever a signal, a queue or a setting changes.
 *
 * A GPU thread looks at its doorbell every 20 us, since a store cannot wake
 * anybody; that is this device's clock, no test depends on it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

struct fake_queue {
	struct fake *fake;
	uint32_t id;		/* 0: free */
	uint32_t vm;
	struct drm_gsvm_queue_create args;
	struct drm_gsvm_queue_query record;
	pthread_t thread;
	bool stop;
	volatile uint64_t *doorbell;
	unsigned int doorbells;
	uint64_t consumed;
	struct gsvm_packet *log;
};

struct fake {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fake_queue queue[FAKE_QUEUES];
	uint32_t next_id;
	uint32_t vms, devices, maps;
	char *doorbells;		/* the page */
	unsigned long fail_request;
	int fail_err, fail_count, fail_map;
	bool pause, lag, no_format;
	uint32_t doorbell_offset;
	unsigned int calls[16];
	unsigned int errors;
	struct drm_gsvm_wait last_wait;
	struct drm_gsvm_prefetch last_prefetch;
	struct drm_gsvm_vm_set last_set;
	uint64_t held[FAKE_HELD];	/* signals of prefetches that wait for the pause's end */
	unsigned int n_held;
	bool old;
	unsigned int once;		/* calls that were not to be restarted */
};

static void broken(struct fake *fake, const char *what)
{
	fprintf(stderr, "# fake device: %s\n", what);
	fake->errors++;
}

/* ---- The GPU -------------------------------------------------------------- */

static int64_t signal_value(uint64_t address)
{
	return __atomic_load_n(&((struct gsvm_signal *)(uintptr_t)address)->value,
			       __ATOMIC_ACQUIRE);
}

/* With the lock held. */
static void complete(struct fake *fake, uint64_t address)
{
	struct gsvm_signal *signal = (void *)(uintptr_t)address;

	if (!signal)
		return;
	__atomic_store_n(&signal->start, 1000, __ATOMIC_RELAXED);
	__atomic_store_n(&signal->end, 2000, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&signal->value, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&fake->changed);
}

static void run_vendor(const struct gsvm_pkt_vendor *p)
{
	uint64_t *word = (void *)(uintptr_t)p->dst;
	uint64_t i;

	if (p->op == GSVM_VOP_COPY)
		memcpy((void *)(uintptr_t)p->dst, (void *)(uintptr_t)p->src, p->len);
	else
		for (i = 0; i < p->len / 8; i++)
			word[i] = p->src;
}

static bool barrier_open(const struct gsvm_pkt_barrier *p, bool any)
{
	unsigned int i, waiting = 0, open = 0;

	for (i = 0; i < 5; i++) {
		if (!p->dep[i])
			continue;
		if (signal_value(p->dep[i]))
			waiting++;
		else
			open++;
	}
	return any ? open > 0 : !waiting;
}

/* Called with the lock held; false: the queue ended while it waited. */
static bool run_packet(struct fake_queue *q, const struct gsvm_packet *packet)
{
	struct gsvm_pkt_barrier barrier;
	struct gsvm_pkt_vendor vendor;
	struct gsvm_pkt_kernel kernel;
	bool any;

	memcpy(&barrier, packet, sizeof(barrier));
	memcpy(&vendor, packet, sizeof(vendor));
	memcpy(&kernel, packet, sizeof(kernel));
	switch (barrier.header & GSVM_PKT_TYPE) {
	case GSVM_PKT_VENDOR:
		run_vendor(&vendor);
		break;
	case GSVM_PKT_KERNEL:
		/* Every kernel adds its work-items to the word at its argument. */
		if (kernel.kernarg)
			*(uint64_t *)(uintptr_t)kernel.kernarg +=
				(uint64_t)kernel.grid_x * kernel.grid_y * kernel.grid_z;
		break;
	case GSVM_PKT_BARRIER_AND:
	case GSVM_PKT_BARRIER_OR:
		any = (barrier.header & GSVM_PKT_TYPE) == GSVM_PKT_BARRIER_OR;
		while (!barrier_open(&barrier, any) && !q->stop && !q->record.state) {
			struct timespec end;

			/* The CPU may open it, without telling. */
			clock_gettime(CLOCK_MONOTONIC, &end);
			end.tv_nsec += 100000;
			end.tv_sec += end.tv_nsec / 1000000000;
			end.tv_nsec %= 1000000000;
			pthread_cond_timedwait(&q->fake->changed, &q->fake->lock, &end);
		}
		if (q->stop || q->record.state)
			return false;
		break;
	default:
		broken(q->fake, "the doorbell covers a packet that is not valid");
	}
	complete(q->fake, barrier.signal);
	return true;
}

static void publish_read_index(struct fake_queue *q)
{
	__atomic_store_n((uint64_t *)(uintptr_t)q->args.read_index, q->consumed, __ATOMIC_RELEASE);
}

/* With the lock held. */
static void take_packets(struct fake_queue *q, uint64_t end)
{
	struct gsvm_packet *ring = (void *)(uintptr_t)q->args.ring;
	struct gsvm_packet packet, *slot;

	while (q->consumed < end && !q->stop && !q->record.state) {
		if (q->fake->pause) {
			pthread_cond_wait(&q->fake->changed, &q->fake->lock);
			continue;
		}
		slot = &ring[q->consumed & (q->args.ring_packets - 1)];
		packet.word[0] = __atomic_load_n(&slot->word[0], __ATOMIC_ACQUIRE);
		memcpy(&packet.word[1], &slot->word[1], sizeof(packet) - 4);
		if (q->consumed < FAKE_LOG)
			q->log[q->consumed] = packet;
		if (!run_packet(q, &packet))
			return;
		/* A consumed slot is marked; the read index gives it back. */
		__atomic_store_n(&slot->word[0], GSVM_PKT_INVALID, __ATOMIC_RELAXED);
		q->consumed++;
		if (!q->fake->lag)
			publish_read_index(q);
	}
}

static void *gpu_thread(void *arg)
{
	const struct timespec tick = { .tv_nsec = 20000 };
	struct fake_queue *q = arg;
	struct fake *fake = q->fake;
	uint64_t rung = 0, now;

	pthread_mutex_lock(&fake->lock);
	while (!q->stop) {
		now = __atomic_load_n(q->doorbell, __ATOMIC_ACQUIRE);
		if (now < rung)
			broken(fake, "a doorbell value went back");
		if (now > rung)
			q->doorbells++;
		if (now - q->consumed > q->args.ring_packets)
			broken(fake, "more packets than the ring has");
		rung = now;
		take_packets(q, now);
		publish_read_index(q);
		pthread_mutex_unlock(&fake->lock);
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&fake->lock);
	}
	pthread_mutex_unlock(&fake->lock);
	return NULL;
}

/* ---- The driver ----------------------------------------------------------- */

static struct fake_queue *find_queue(struct fake *fake, uint32_t id)
{
	int i;

	for (i = 0; i < FAKE_QUEUES; i++) {
		if (id && fake->queue[i].id == id)
			return &fake->queue[i];
	}
	return NULL;
}

static int device_query(struct fake *fake, struct drm_gsvm_device_query *arg)
{
	static const uint64_t value[] = {
		[DRM_GSVM_PARAM_HW_VERSION] = 0x10000,
		[DRM_GSVM_PARAM_VRAM_SIZE] = 1ull << 33,
		[DRM_GSVM_PARAM_VA_BITS] = 48,
		[DRM_GSVM_PARAM_NUM_CORES] = 2,
		[DRM_GSVM_PARAM_MAX_HARTS] = 1024,
		[DRM_GSVM_PARAM_MAX_GROUP] = 256,
		[DRM_GSVM_PARAM_GROUP_MEM] = 65536,
		[DRM_GSVM_PARAM_PRIVATE_MEM] = 16384,
		[DRM_GSVM_PARAM_MAX_QUEUES] = FAKE_QUEUES,
		[DRM_GSVM_PARAM_QUEUE_FORMATS] = 1,
		[DRM_GSVM_PARAM_TIMESTAMP] = 123456789,
		[DRM_GSVM_PARAM_VRAM_FREE] = 1ull << 32,
		[DRM_GSVM_PARAM_VRAM_EVICTED] = 777,
		[DRM_GSVM_PARAM_GPU_ID] = 3,
	};

	if (arg->param >= ARRAY_SIZE(value) || arg->pad ||
	    (fake->old && arg->param > DRM_GSVM_PARAM_TIMESTAMP))
		return -EINVAL;
	arg->value = value[arg->param];
	if (arg->param == DRM_GSVM_PARAM_QUEUE_FORMATS && fake->no_format)
		arg->value = 2;
	return 0;
}

static int vm_query(struct drm_gsvm_vm_query *arg)
{
	__u64 *counter = &arg->faults;
	unsigned int i;

	if (arg->flags || !arg->vm_id)
		return -EINVAL;
	for (i = 0; i < 16; i++)
		counter[i] = 100 + i;
	return 0;
}

static int queue_create(struct fake *fake, struct drm_gsvm_queue_create *arg)
{
	struct fake_queue *q;
	uint32_t n = arg->ring_packets;

	for (q = fake->queue; q < fake->queue + FAKE_QUEUES && q->id; q++)
		;
	if (q == fake->queue + FAKE_QUEUES)
		return -ENOSPC;
	if (arg->flags || arg->pad || arg->format || n < 2 || n > 65536 || (n & (n - 1)) ||
	    arg->ring % 64 || arg->read_index % 8)
		return -EINVAL;
	memset(q, 0, sizeof(*q));
	q->fake = fake;
	q->id = ++fake->next_id;
	q->vm = arg->vm_id;
	arg->queue_id = q->id;
	arg->doorbell_mmap = 0x123000;
	arg->doorbell_offset = (uint32_t)(q - fake->queue) * 8 + 64;
	if (fake->doorbell_offset)
		arg->doorbell_offset = fake->doorbell_offset;
	q->args = *arg;
	q->doorbell = (volatile uint64_t *)(fake->doorbells + (q - fake->queue) * 8 + 64);
	*q->doorbell = 0;
	q->log = calloc(FAKE_LOG, sizeof(*q->log));
	if (!q->log || pthread_create(&q->thread, NULL, gpu_thread, q))
		abort();
	return 0;
}

/* Drops the lock while the GPU lets go of the queue. */
static int queue_destroy(struct fake *fake, uint32_t id)
{
	struct fake_queue *q = find_queue(fake, id);

	if (!q)
		return -ENOENT;
	q->stop = true;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
	pthread_join(q->thread, NULL);
	pthread_mutex_lock(&fake->lock);
	free(q->log);
	q->log = NULL;
	q->id = 0;
	return 0;
}

static int queue_query(struct fake *fake, struct drm_gsvm_queue_query *arg)
{
	struct fake_queue *q = find_queue(fake, arg->queue_id);
	uint32_t id = arg->queue_id;

	if (!q)
		return -ENOENT;
	if (arg->flags)
		return -EINVAL;
	*arg = q->record;
	arg->queue_id = id;
	arg->flags = 0;
	return 0;
}

static bool condition_met(const struct drm_gsvm_wait *arg)
{
	switch (arg->op) {
	case DRM_GSVM_WAIT_EQ:
		return arg->observed == arg->value;
	case DRM_GSVM_WAIT_NE:
		return arg->observed != arg->value;
	case DRM_GSVM_WAIT_LT:
		return arg->observed < arg->value;
	default:
		return arg->observed >= arg->value;
	}
}

static int fake_wait(struct fake *fake, struct drm_gsvm_wait *arg)
{
	struct timespec end = { .tv_sec = arg->timeout_ns / 1000000000,
				.tv_nsec = arg->timeout_ns % 1000000000 };
	struct fake_queue *q = find_queue(fake, arg->queue_id);
	int late = 0;

	fake->last_wait = *arg;
	if (arg->flags || arg->addr % 64 || arg->op > DRM_GSVM_WAIT_GE)
		return -EINVAL;
	if (!q && arg->queue_id)
		return -ENOENT;
	for (;;) {
		arg->observed = signal_value(arg->addr);
		if (condition_met(arg))
			return 0;
		if (q && q->record.state)
			return -EIO;
		if (late)
			return -ETIME;
		if (arg->timeout_ns == INT64_MAX)
			pthread_cond_wait(&fake->changed, &fake->lock);
		else
			late = pthread_cond_timedwait(&fake->changed, &fake->lock, &end);
	}
}

/* Everything "moves"; with the GPU paused, the asynchronous rest comes later. */
static int prefetch(struct fake *fake, struct drm_gsvm_prefetch *arg)
{
	bool async = arg->flags & DRM_GSVM_PREFETCH_ASYNC;

	fake->last_prefetch = *arg;
	if ((arg->flags & ~DRM_GSVM_PREFETCH_ASYNC) || arg->pad || arg->start % GSVM_PAGE ||
	    !arg->length || arg->length % GSVM_PAGE || arg->region > DRM_GSVM_REGION_VRAM ||
	    arg->signal % 64 || (arg->signal && !async))
		return -EINVAL;
	arg->moved = async ? 0 : arg->length / GSVM_PAGE;
	if (!async)
		return 0;
	if (!fake->pause)
		complete(fake, arg->signal);
	else if (fake->n_held < FAKE_HELD)
		fake->held[fake->n_held++] = arg->signal;
	else
		abort();
	return 0;
}

static void release_held(struct fake *fake)
{
	while (fake->n_held)
		complete(fake, fake->held[--fake->n_held]);
}

/* Each page's word is its number. */
static int residency(struct drm_gsvm_residency *arg)
{
	uint32_t *word = (uint32_t *)(uintptr_t)arg->pages;
	uint64_t i;

	if (arg->flags || arg->start % GSVM_PAGE || !arg->length || arg->length % GSVM_PAGE ||
	    arg->length > 1ull << 30)
		return -EINVAL;
	for (i = 0; i < arg->length / GSVM_PAGE; i++)
		word[i] = (uint32_t)(arg->start / GSVM_PAGE + i);
	return 0;
}

static int vm_set(struct fake *fake, struct drm_gsvm_vm_set *arg)
{
	fake->last_set = *arg;
	return arg->param || arg->value > DRM_GSVM_MIGRATE_SECOND ? -EINVAL : 0;
}

static int dispatch_ioctl(struct fake *fake, unsigned long request, void *arg)
{
	switch (request) {
	case DRM_IOCTL_GSVM_DEVICE_QUERY:
		return device_query(fake, arg);
	case DRM_IOCTL_GSVM_VM_CREATE:
		((struct drm_gsvm_vm_create *)arg)->vm_id = ++fake->next_id;
		fake->vms++;
		return 0;
	case DRM_IOCTL_GSVM_VM_DESTROY:
		fake->vms--;
		return 0;
	case DRM_IOCTL_GSVM_VM_QUERY:
		return vm_query(arg);
	case DRM_IOCTL_GSVM_QUEUE_CREATE:
		return queue_create(fake, arg);
	case DRM_IOCTL_GSVM_QUEUE_DESTROY:
		return queue_destroy(fake, ((struct drm_gsvm_queue_destroy *)arg)->queue_id);
	case DRM_IOCTL_GSVM_QUEUE_QUERY:
		return queue_query(fake, arg);
	case DRM_IOCTL_GSVM_WAIT:
		return fake_wait(fake, arg);
	case DRM_IOCTL_GSVM_PREFETCH:
		return prefetch(fake, arg);
	case DRM_IOCTL_GSVM_RESIDENCY:
		return residency(arg);
	case DRM_IOCTL_GSVM_VM_SET:
		return vm_set(fake, arg);
	default:
		return -ENOTTY;
	}
}

static unsigned int call_number(unsigned long request)
{
	return (request & 0xff) - DRM_COMMAND_BASE;
}

static int fake_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct fake *fake = ctx;
	int ret;

	(void)fd;
	pthread_mutex_lock(&fake->lock);
	fake->calls[call_number(request) % ARRAY_SIZE(fake->calls)]++;
	if (fake->fail_count && fake->fail_request == request) {
		fake->fail_count--;
		ret = fake->fail_err;
		/* What a device that goes had, goes with it. */
		if (ret == -ENODEV && (request == DRM_IOCTL_GSVM_VM_DESTROY ||
				       request == DRM_IOCTL_GSVM_QUEUE_DESTROY))
			dispatch_ioctl(fake, request, arg);
	} else {
		ret = dispatch_ioctl(fake, request, arg);
	}
	pthread_mutex_unlock(&fake->lock);
	return ret;
}

static int fake_ioctl_once(void *ctx, int fd, unsigned long request, void *arg)
{
	struct fake *fake = ctx;

	pthread_mutex_lock(&fake->lock);
	fake->once++;
	pthread_mutex_unlock(&fake->lock);
	return fake_ioctl(ctx, fd, request, arg);
}

static void *fake_map(void *ctx, int fd, uint64_t offset)
{
	struct fake *fake = ctx;
	void *page = fake->doorbells;

	(void)fd;
	pthread_mutex_lock(&fake->lock);
	if (offset != 0x123000)
		broken(fake, "wrong offset for the doorbell page");
	if (fake->fail_map) {
		errno = fake->fail_map;
		page = NULL;
	} else {
		fake->maps++;
	}
	pthread_mutex_unlock(&fake->lock);
	return page;
}

static void fake_unmap(void *ctx, void *page)
{
	struct fake *fake = ctx;

	pthread_mutex_lock(&fake->lock);
	if (page != fake->doorbells)
		broken(fake, "something else unmapped than the doorbell page");
	fake->maps--;
	pthread_mutex_unlock(&fake->lock);
}

/* ---- The tests' side ------------------------------------------------------- */

struct fake *fake_create(void)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	pthread_condattr_t attr;

	if (!fake)
		abort();
	pthread_mutex_init(&fake->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fake->changed, &attr);
	fake->doorbells = mmap(NULL, GSVM_PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake->doorbells == MAP_FAILED)
		abort();
	return fake;
}

bool fake_destroy(struct fake *fake)
{
	bool clean = !fake->vms && !fake->maps && !fake->errors;
	int i;

	for (i = 0; i < FAKE_QUEUES; i++)
		clean = clean && !fake->queue[i].id;
	if (!clean)
		return false;
	munmap(fake->doorbells, GSVM_PAGE);
	free(fake);
	return true;
}

pid_t fake_fork(struct fake *fake)
{
	pid_t pid;

	/* A queue's thread that had the lock would have it in the child for ever. */
	pthread_mutex_lock(&fake->lock);
	pid = fork();
	pthread_mutex_unlock(&fake->lock);
	return pid;
}

struct gsvm_device *fake_open(struct fake *fake)
{
	const struct gsvm_sys sys = {
		.ioctl = fake_ioctl,
		.ioctl_once = fake_ioctl_once,
		.map = fake_map,
		.unmap = fake_unmap,
		.ctx = fake,
	};
	struct gsvm_device *device = NULL;

	return gsvm_device_init(&sys, -1, &device) ? NULL : device;
}

void fake_fail(struct fake *fake, unsigned long request, int err, int count)
{
	pthread_mutex_lock(&fake->lock);
	fake->fail_request = request;
	fake->fail_err = err;
	fake->fail_count = count;
	pthread_mutex_unlock(&fake->lock);
}

#define SETTER(name, type, field)				\
	void name(struct fake *fake, type value)		\
	{							\
		pthread_mutex_lock(&fake->lock);		\
		fake->field = value;				\
		pthread_cond_broadcast(&fake->changed);		\
		pthread_mutex_unlock(&fake->lock);		\
	}

SETTER(fake_fail_map, int, fail_map)
SETTER(fake_lag, bool, lag)
SETTER(fake_doorbell_offset, uint32_t, doorbell_offset)

void fake_pause(struct fake *fake, bool pause)
{
	pthread_mutex_lock(&fake->lock);
	fake->pause = pause;
	if (!pause)
		release_held(fake);
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

SETTER(fake_old, bool, old)

void fake_no_format(struct fake *fake)
{
	fake->no_format = true;
}

void fake_kill(struct fake *fake, uint32_t queue, const struct drm_gsvm_queue_query *record)
{
	struct fake_queue *q;

	pthread_mutex_lock(&fake->lock);
	q = find_queue(fake, queue);
	if (!q)
		abort();
	q->record = *record;
	q->record.state = DRM_GSVM_QUEUE_DEAD;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

unsigned int fake_calls(struct fake *fake, unsigned long request)
{
	unsigned int calls;

	pthread_mutex_lock(&fake->lock);
	calls = fake->calls[call_number(request)];
	pthread_mutex_unlock(&fake->lock);
	return calls;
}

unsigned int fake_doorbells(struct fake *fake, uint32_t queue)
{
	unsigned int doorbells;

	pthread_mutex_lock(&fake->lock);
	doorbells = find_queue(fake, queue)->doorbells;
	pthread_mutex_unlock(&fake->lock);
	return doorbells;
}

uint64_t fake_consumed(struct fake *fake, uint32_t queue)
{
	uint64_t consumed;

	pthread_mutex_lock(&fake->lock);
	consumed = find_queue(fake, queue)->consumed;
	pthread_mutex_unlock(&fake->lock);
	return consumed;
}

bool fake_packet(struct fake *fake, uint32_t queue, uint64_t index, struct gsvm_packet *packet)
{
	struct fake_queue *q;
	bool there;

	pthread_mutex_lock(&fake->lock);
	q = find_queue(fake, queue);
	there = index < q->consumed && index < FAKE_LOG;
	if (there)
		*packet = q->log[index];
	pthread_mutex_unlock(&fake->lock);
	return there;
}

struct drm_gsvm_queue_create fake_create_args(struct fake *fake, uint32_t queue)
{
	struct drm_gsvm_queue_create args;

	pthread_mutex_lock(&fake->lock);
	args = find_queue(fake, queue)->args;
	pthread_mutex_unlock(&fake->lock);
	return args;
}

struct drm_gsvm_wait fake_last_wait(struct fake *fake)
{
	struct drm_gsvm_wait wait;

	pthread_mutex_lock(&fake->lock);
	wait = fake->last_wait;
	pthread_mutex_unlock(&fake->lock);
	return wait;
}

struct drm_gsvm_prefetch fake_last_prefetch(struct fake *fake)
{
	struct drm_gsvm_prefetch prefetch;

	pthread_mutex_lock(&fake->lock);
	prefetch = fake->last_prefetch;
	pthread_mutex_unlock(&fake->lock);
	return prefetch;
}

struct drm_gsvm_vm_set fake_last_set(struct fake *fake)
{
	struct drm_gsvm_vm_set set;

	pthread_mutex_lock(&fake->lock);
	set = fake->last_set;
	pthread_mutex_unlock(&fake->lock);
	return set;
}

unsigned int fake_once(struct fake *fake)
{
	unsigned int once;

	pthread_mutex_lock(&fake->lock);
	once = fake->once;
	pthread_mutex_unlock(&fake->lock);
	return once;
}

unsigned int fake_errors(struct fake *fake)
{
	unsigned int errors;

	pthread_mutex_lock(&fake->lock);
	errors = fake->errors;
	pthread_mutex_unlock(&fake->lock);
	return errors;
}
