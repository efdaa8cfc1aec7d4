// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <drm/drm.h>
#include <drm/gsvm_drm.h>
#include "gsvm_hw.h"
#include "session.h"

#define RING_PACKETS	16
#define MAX_ARGS	8
#define DOORBELL	0x200000000000ul
/* A job takes milliseconds; a driver that repeats a service may take a second or two. */
#define JOB_SECONDS	30

struct share {
	uint8_t ring[RING_PACKETS][GSVM_PACKET_SIZE] __attribute__((aligned(4096)));
	uint8_t spare[RING_PACKETS][GSVM_PACKET_SIZE];
	struct gsvm_signal signal[RING_PACKETS];
	struct gsvm_signal moved;
	uint64_t spare_index;
	uint64_t arg[RING_PACKETS][MAX_ARGS];
	uint64_t read_index;
};

int budget;
int expected;

void note(const char *fmt, ...)
{
	va_list ap;

	printf("note ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	printf("fail ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

bool again(const char *what, int err)
{
	if (!err)
		return false;
	if (err != expected || !budget)
		fail("%s: %s", what, strerrorname_np(err) ?: "?");
	budget--;
	note("%s %s", what, strerrorname_np(err));
	return true;
}

int session_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret == -1 && (errno == EINTR || errno == EAGAIN));
	return ret == -1 ? errno : 0;
}

static bool is_gsvm(int fd)
{
	char name[16] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };

	return !session_ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, DRM_GSVM_NAME);
}

/* The first render node of the driver; ENODEV: none. */
int session_open_node(int *fd)
{
	char path[32];
	int i, err = ENODEV;

	for (i = 128; i < 136; i++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", i);
		*fd = open(path, O_RDWR | O_CLOEXEC);
		if (*fd < 0 && errno == ENOENT)
			continue;
		if (*fd < 0)
			return errno;
		if (is_gsvm(*fd))
			return 0;
		close(*fd);
	}
	return err;
}

/* A queue that does nothing, so that tables of queues have more than one entry. */
static void spare_create(struct session *s)
{
	struct drm_gsvm_queue_query query = {};
	struct drm_gsvm_queue_create args = {
		.vm_id = s->vm,
		.format = DRM_GSVM_QUEUE_FORMAT_AQL64,
		.ring_packets = RING_PACKETS,
		.ring = (uintptr_t)s->share->spare,
		.read_index = (uintptr_t)&s->share->spare_index,
	};
	struct drm_gsvm_queue_create copy;

	do {
		copy = args;
	} while (again("QUEUE_CREATE", session_ioctl(s->fd, DRM_IOCTL_GSVM_QUEUE_CREATE, &copy)));
	/* The handle is good for something. */
	query.queue_id = copy.queue_id;
	MUST("QUEUE_QUERY", session_ioctl(s->fd, DRM_IOCTL_GSVM_QUEUE_QUERY, &query));
	if (query.state != DRM_GSVM_QUEUE_RUNNING)
		fail("the new queue does not run");
}

static void queue_create(struct session *s)
{
	struct drm_gsvm_queue_create args = {
		.vm_id = s->vm,
		.format = DRM_GSVM_QUEUE_FORMAT_AQL64,
		.ring_packets = RING_PACKETS,
		.ring = (uintptr_t)s->share->ring,
		.read_index = (uintptr_t)&s->share->read_index,
	};
	struct drm_gsvm_queue_create copy;

	memset(s->share, 0, sizeof(*s->share));
	do {
		copy = args;
	} while (again("QUEUE_CREATE", session_ioctl(s->fd, DRM_IOCTL_GSVM_QUEUE_CREATE, &copy)));
	s->queue = copy.queue_id;
	s->next = 0;
	/* Where there is no page table yet. */
	do {
		s->doorbell_page = mmap((void *)DOORBELL, PAGE, PROT_WRITE,
					MAP_SHARED | MAP_FIXED_NOREPLACE, s->fd,
					copy.doorbell_mmap);
	} while (again("mmap", s->doorbell_page == MAP_FAILED ? errno : 0));
	s->doorbell = (volatile uint64_t *)((char *)s->doorbell_page + copy.doorbell_offset);
}

static void queue_destroy(struct session *s)
{
	struct drm_gsvm_queue_destroy args = { .queue_id = s->queue };

	MUST("QUEUE_DESTROY", session_ioctl(s->fd, DRM_IOCTL_GSVM_QUEUE_DESTROY, &args));
	munmap(s->doorbell_page, PAGE);
}

void session_open(struct session *s)
{
	struct drm_gsvm_vm_create vm = {};

	MUST("open", session_open_node(&s->fd));
	MUST("VM_CREATE", session_ioctl(s->fd, DRM_IOCTL_GSVM_VM_CREATE, &vm));
	s->vm = vm.vm_id;
	s->share = mmap(NULL, sizeof(*s->share), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	SYS(s->share);
	spare_create(s);
	queue_create(s);
}

void session_close(struct session *s)
{
	struct drm_gsvm_vm_destroy args = { .vm_id = s->vm };

	queue_destroy(s);
	MUST("VM_DESTROY", session_ioctl(s->fd, DRM_IOCTL_GSVM_VM_DESTROY, &args));
	munmap(s->share, sizeof(*s->share));
	close(s->fd);
}

/* ---- jobs --------------------------------------------------------------------- */

static struct gsvm_signal *publish(struct session *s, const void *packet)
{
	unsigned int slot = s->next % RING_PACKETS;
	uint8_t *to = s->share->ring[slot];
	uint16_t header;

	memcpy(&header, packet, sizeof(header));
	memcpy(to + sizeof(header), (const uint8_t *)packet + sizeof(header),
	       GSVM_PACKET_SIZE - sizeof(header));
	__atomic_store_n((uint16_t *)to, header, __ATOMIC_RELEASE);
	/* The packet must be visible before the doorbell is. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*s->doorbell = ++s->next;
	return &s->share->signal[slot];
}

static int wait_signal(struct session *s, struct gsvm_signal *signal, uint32_t op, int64_t value)
{
	struct drm_gsvm_wait wait = {
		.vm_id = s->vm,
		.addr = (uintptr_t)signal,
		.value = value,
		.op = op,
		.queue_id = s->queue,
	};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	wait.timeout_ns = (now.tv_sec + JOB_SECONDS) * 1000000000LL + now.tv_nsec;
	return session_ioctl(s->fd, DRM_IOCTL_GSVM_WAIT, &wait);
}

int session_wait_forever(struct session *s)
{
	return wait_signal(s, &s->share->signal[0], DRM_GSVM_WAIT_EQ, INT64_MIN);
}

/*
 * What a queue's death may say: there was no memory for a page. Whoever gets
 * this makes another queue; the VM lives on.
 */
static void check_death(struct session *s)
{
	struct drm_gsvm_queue_query q = { .queue_id = s->queue };

	MUST("QUEUE_QUERY", session_ioctl(s->fd, DRM_IOCTL_GSVM_QUEUE_QUERY, &q));
	if (q.state != DRM_GSVM_QUEUE_DEAD)
		fail("WAIT says EIO, and the queue lives");
	if (q.error != DRM_GSVM_ERROR_FAULT || q.reason != DRM_GSVM_REASON_NO_MEMORY ||
	    expected != ENOMEM || !budget)
		fail("queue ended with error %u reason %u at %#llx", q.error, q.reason,
		     (unsigned long long)q.addr);
	budget--;
	note("job NO_MEMORY");
}

/*
 * Run a packet to its end, however often it takes. It may have run in part
 * before, so it has to be one that can be repeated. The slot for the signal and
 * the arguments is that of the packet.
 */
static void run(struct session *s, void *packet, size_t signal_at, size_t args_at,
		const uint64_t *args, size_t n)
{
	for (;;) {
		unsigned int slot = s->next % RING_PACKETS;
		struct gsvm_signal *signal = &s->share->signal[slot];
		uint64_t addr = (uintptr_t)signal;
		int err;

		memset(signal, 0, sizeof(*signal));
		signal->value = 1;
		memcpy((char *)packet + signal_at, &addr, sizeof(addr));
		if (args) {
			memcpy(s->share->arg[slot], args, n * sizeof(*args));
			addr = (uintptr_t)s->share->arg[slot];
			memcpy((char *)packet + args_at, &addr, sizeof(addr));
		}
		publish(s, packet);
		do {
			err = wait_signal(s, signal, DRM_GSVM_WAIT_EQ, 0);
			if (err == ETIME)
				fail("a job is parked for %d s", JOB_SECONDS);
		} while (err != EIO && again("WAIT", err));
		if (!err) {
			if (__atomic_load_n(&signal->value, __ATOMIC_ACQUIRE))
				fail("WAIT returned 0 with a value of %lld",
				     (long long)signal->value);
			return;
		}
		check_death(s);
		queue_destroy(s);
		queue_create(s);
	}
}

#define SCOPES	(2u << GSVM_PKT_ACQUIRE_SHIFT | 2u << GSVM_PKT_RELEASE_SHIFT)

static void run_vendor(struct session *s, uint16_t op, uint64_t src, void *dst, uint64_t size)
{
	struct gsvm_pkt_vendor packet = {
		.header = GSVM_PKT_VENDOR | SCOPES,
		.op = op,
		.src = src,
		.dst = (uintptr_t)dst,
		.len = size,
	};

	run(s, &packet, offsetof(struct gsvm_pkt_vendor, signal), 0, NULL, 0);
}

void session_copy(struct session *s, void *dst, const void *src, uint64_t size)
{
	run_vendor(s, GSVM_VOP_COPY, (uintptr_t)src, dst, size);
}

void session_fill(struct session *s, void *dst, uint64_t value, uint64_t size)
{
	run_vendor(s, GSVM_VOP_FILL, value, dst, size);
}

void session_kernel(struct session *s, uint64_t kernel, uint32_t items, const uint64_t *args,
		    size_t n)
{
	struct gsvm_pkt_kernel packet = {
		.header = GSVM_PKT_KERNEL | SCOPES,
		.setup = 1,
		.group_x = items < 64 ? items : 64,
		.group_y = 1,
		.group_z = 1,
		.grid_x = items,
		.grid_y = 1,
		.grid_z = 1,
		.kernel = kernel,
	};

	run(s, &packet, offsetof(struct gsvm_pkt_kernel, signal),
	    offsetof(struct gsvm_pkt_kernel, kernarg), args, n);
}

/* ---- where memory is ---------------------------------------------------------- */

void session_migration(struct session *s, uint64_t when)
{
	struct drm_gsvm_vm_set args = {
		.vm_id = s->vm,
		.param = DRM_GSVM_VM_PARAM_MIGRATE,
		.value = when,
	};

	MUST("VM_SET", session_ioctl(s->fd, DRM_IOCTL_GSVM_VM_SET, &args));
}

static void prefetch(struct session *s, void *addr, uint64_t size, uint32_t region,
		     struct gsvm_signal *signal)
{
	struct drm_gsvm_prefetch args = {
		.vm_id = s->vm,
		.flags = signal ? DRM_GSVM_PREFETCH_ASYNC : 0,
		.start = (uintptr_t)addr,
		.length = size,
		.region = region,
		.signal = (uintptr_t)signal,
	};

	if (signal) {
		memset(signal, 0, sizeof(*signal));
		signal->value = 1;
	}
	MUST("PREFETCH", session_ioctl(s->fd, DRM_IOCTL_GSVM_PREFETCH, &args));
}

void session_move(struct session *s, void *addr, uint64_t size, uint32_t region)
{
	prefetch(s, addr, size, region, NULL);
}

void session_move_begin(struct session *s, void *addr, uint64_t size, uint32_t region)
{
	prefetch(s, addr, size, region, &s->share->moved);
}

void session_move_end(struct session *s)
{
	int err;

	/* A call that failed at its very end was begun all the same, and decrements, too. */
	do {
		err = wait_signal(s, &s->share->moved, DRM_GSVM_WAIT_LT, 1);
		if (err == ETIME)
			fail("a prefetch does not end in %d s", JOB_SECONDS);
	} while (again("WAIT", err));
}
