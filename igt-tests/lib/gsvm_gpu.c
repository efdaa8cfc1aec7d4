// SPDX-License-Identifier: MIT
/*
 * One GPU with a VM and a queue, driven by hand: the tests look at the
 * contract itself, so packets and doorbells are not left to libdrm_gsvm. Only
 * the GPU program is loaded with it.
 */
#include <fcntl.h>
#include <stdio.h>

#include <drm/drm.h>
#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "gsvm_program.h"

#define MAX_GPUS	8
#define MAX_KERNELS	64

static struct queue *queues;	/* all that are open */
static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_gsvm(int fd)
{
	char name[16] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };

	return !gsvm_ioctl(fd, DRM_IOCTL_VERSION, &version) &&
	       !strcmp(name, DRM_GSVM_NAME);
}

/* The render node of the GPU @index, in the order of the nodes; -1: none. */
static int open_node(unsigned int index)
{
	char path[32];
	int fd, i;

	for (i = 128; i < 192; i++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_gsvm(fd) && !index--)
			return fd;
		close(fd);
	}
	return -1;
}

unsigned int gpu_count(void)
{
	unsigned int n;
	int fd;

	for (n = 0; n < MAX_GPUS; n++) {
		fd = open_node(n);
		if (fd < 0)
			break;
		close(fd);
	}
	return n;
}

int gpu_open(unsigned int index)
{
	int fd = open_node(index);

	gsvm_require(fd >= 0, "there is no gsvm GPU %u in /dev/dri\n", index);
	return fd;
}

static void *map_doorbells(int fd, uint64_t offset)
{
	void *page = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, offset);

	gsvm_assert(page != MAP_FAILED, "mmap of the doorbells: %s\n", strerror(errno));
	return page;
}

struct queue *queue_open_limit(int fd, uint32_t vm, uint32_t hart_limit)
{
	struct drm_gsvm_queue_create args = {
		.vm_id = vm,
		.format = DRM_GSVM_QUEUE_FORMAT_AQL64,
		.ring_packets = RING_PACKETS,
		.hart_limit = hart_limit,
	};
	struct queue *q = calloc(1, sizeof(*q));

	gsvm_assert(q, "no memory\n");
	q->share = mmap(NULL, sizeof(*q->share), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	gsvm_assert(q->share != MAP_FAILED, "mmap: %s\n", strerror(errno));
	args.ring = U(q->share->ring);
	args.read_index = U(&q->share->read_index);
	igt_gsvm_queue_create(fd, &args, 0);
	q->fd = fd;
	q->vm = vm;
	q->id = args.queue_id;
	q->doorbell_page = map_doorbells(fd, args.doorbell_mmap);
	q->doorbell = (volatile uint64_t *)((char *)q->doorbell_page + args.doorbell_offset);
	pthread_mutex_lock(&queues_lock);
	q->list = queues;
	queues = q;
	pthread_mutex_unlock(&queues_lock);
	return q;
}

struct queue *queue_open_vm(int fd, uint32_t vm)
{
	return queue_open_limit(fd, vm, 0);
}

struct queue *queue_open_gpu(unsigned int index)
{
	const char *migrate = getenv("GSVM_TEST_MIGRATE");
	int fd = gpu_open(index);
	struct queue *q = queue_open_vm(fd, igt_gsvm_vm_create(fd, 0));

	q->own_vm = q->own_fd = true;
	if (migrate && *migrate) {
		gsvm_assert(!strcmp(migrate, "never"), "GSVM_TEST_MIGRATE is %s\n", migrate);
		set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	}
	return q;
}

struct queue *queue_open_system(void)
{
	struct queue *q = queue_open();

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	return q;
}

struct queue *queue_open(void)
{
	return queue_open_gpu(0);
}

static void queue_unmap(struct queue *q)
{
	munmap(q->doorbell_page, PAGE);
	munmap(q->share, sizeof(*q->share));
	if (q->own_fd)
		close(q->fd);
	free(q);
}

void queue_close(struct queue *q)
{
	struct queue **p;
	bool open;

	pthread_mutex_lock(&queues_lock);
	for (p = &queues; *p && *p != q; p = &(*p)->list)
		;
	open = *p == q;
	if (open)
		*p = q->list;
	pthread_mutex_unlock(&queues_lock);
	gsvm_assert(open, "queue_close() of a queue that is not open\n");
	igt_gsvm_queue_destroy(q->fd, q->id, 0);
	if (q->own_vm)
		igt_gsvm_vm_destroy(q->fd, q->vm, 0);
	queue_unmap(q);
}

/*
 * After a failure the state is unknown, and a queue that was opened on
 * somebody's fd may be listed before the one that owns it: files end all.
 */
void gpu_close_all(void)
{
	struct queue *q, *next;

	for (q = queues, queues = NULL; q; q = next) {
		next = q->list;
		queue_unmap(q);
	}
}

/*
 * A descriptor is looked at once: its page is the GPU's, and a look of the CPU for
 * each job would bring it back from VRAM each time.
 */
static int find_kernel(const char *name, uint64_t *descriptor)
{
	static struct { const char *name; uint64_t descriptor; } known[MAX_KERNELS];
	static unsigned int nr;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		if (!strcmp(known[i].name, name)) {
			*descriptor = known[i].descriptor;
			return 0;
		}
	}
	ret = program_kernel(name, descriptor);
	if (ret)
		return ret;
	if (*(uint32_t *)(uintptr_t)*descriptor != GSVM_KERNEL_MAGIC || nr == MAX_KERNELS)
		return -EBADMSG;
	known[nr].name = name;
	known[nr++].descriptor = *descriptor;
	return 0;
}

uint64_t gpu_kernel(const char *name)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	uint64_t descriptor = 0;
	int ret;

	pthread_mutex_lock(&lock);
	ret = find_kernel(name, &descriptor);
	pthread_mutex_unlock(&lock);
	gsvm_assert(!ret, "kernel %s of tests.gpu: %s\n", name, strerror(-ret));
	return descriptor;
}

static unsigned int next_slot(struct queue *q)
{
	/*
	 * A slot is free when its packet and the job behind it are complete. One
	 * that was published with another signal has left this one at zero, and
	 * is consumed when a later one is: the caller has waited for that.
	 */
	if (q->next >= RING_PACKETS)
		gpu_wait(q, &q->share->signal[q->next % RING_PACKETS]);
	return q->next % RING_PACKETS;
}

/* The slot must be free. */
static void put_packet(struct queue *q, const void *packet)
{
	uint8_t *to = q->share->ring[q->next % RING_PACKETS];
	uint16_t header;

	memcpy(&header, packet, sizeof(header));
	memcpy(to + sizeof(header), (const uint8_t *)packet + sizeof(header),
	       GSVM_PACKET_SIZE - sizeof(header));
	__atomic_store_n((uint16_t *)to, header, __ATOMIC_RELEASE);
	/* The packet must be visible before the doorbell is. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*q->doorbell = ++q->next;
}

void gpu_publish(struct queue *q, const void *packet)
{
	next_slot(q);
	put_packet(q, packet);
}

struct gsvm_signal *gpu_submit(struct queue *q, void *packet, size_t signal_at)
{
	struct gsvm_signal *signal = &q->share->signal[next_slot(q)];
	uint64_t addr = U(signal);

	memset(signal, 0, sizeof(*signal));
	signal->value = 1;
	memcpy((uint8_t *)packet + signal_at, &addr, sizeof(addr));
	put_packet(q, packet);
	return signal;
}

struct gsvm_signal *gpu_launch_grid(struct queue *q, const char *kernel, uint32_t items,
				    uint16_t group, const uint64_t *args, size_t n)
{
	struct gsvm_pkt_kernel packet = {
		.header = GSVM_PKT_KERNEL | 2u << GSVM_PKT_ACQUIRE_SHIFT |
			  2u << GSVM_PKT_RELEASE_SHIFT,
		.setup = 1,
		.group_x = group < items ? group : items,
		.group_y = 1,
		.group_z = 1,
		.grid_x = items,
		.grid_y = 1,
		.grid_z = 1,
		.kernel = gpu_kernel(kernel),
	};
	unsigned int slot = next_slot(q);

	gsvm_assert(n <= MAX_ARGS, "%zu arguments\n", n);
	memset(q->share->arg[slot], 0, sizeof(q->share->arg[slot]));
	memcpy(q->share->arg[slot], args, n * sizeof(*args));
	packet.kernarg = U(q->share->arg[slot]);
	return gpu_submit(q, &packet, offsetof(struct gsvm_pkt_kernel, signal));
}

static struct gsvm_signal *vendor(struct queue *q, uint16_t op, uint64_t src, void *dst,
				  uint64_t len)
{
	struct gsvm_pkt_vendor packet = {
		.header = GSVM_PKT_VENDOR | 2u << GSVM_PKT_ACQUIRE_SHIFT |
			  2u << GSVM_PKT_RELEASE_SHIFT,
		.op = op,
		.src = src,
		.dst = U(dst),
		.len = len,
	};

	return gpu_submit(q, &packet, offsetof(struct gsvm_pkt_vendor, signal));
}

struct gsvm_signal *gpu_copy(struct queue *q, void *dst, const void *src, uint64_t len)
{
	return vendor(q, GSVM_VOP_COPY, U(src), dst, len);
}

struct gsvm_signal *gpu_fill(struct queue *q, void *dst, uint64_t value, uint64_t len)
{
	return vendor(q, GSVM_VOP_FILL, value, dst, len);
}

static void describe(struct queue *q, char *text, size_t size)
{
	struct drm_gsvm_queue_query r = { .queue_id = q->id };
	int ret = gsvm_ioctl(q->fd, DRM_IOCTL_GSVM_QUEUE_QUERY, &r);

	if (ret)
		snprintf(text, size, "QUEUE_QUERY: %s", strerror(ret));
	else
		snprintf(text, size,
			 "queue %u: state %u error %u reason %u access %u addr %#llx pc %#llx packet %llu item %llu, read index %llu of %llu",
			 q->id, r.state, r.error, r.reason, r.access,
			 (unsigned long long)r.addr, (unsigned long long)r.pc,
			 (unsigned long long)r.packet, (unsigned long long)r.work_item,
			 (unsigned long long)q->share->read_index, (unsigned long long)q->next);
}

bool gpu_done(struct gsvm_signal *signal)
{
	return __atomic_load_n(&signal->value, __ATOMIC_ACQUIRE) == 0;
}

static int wait_signal(struct queue *q, struct gsvm_signal *signal)
{
	struct drm_gsvm_wait wait = {
		.vm_id = q->vm,
		.addr = U(signal),
		.value = 0,
		.op = DRM_GSVM_WAIT_EQ,
		.timeout_ns = gsvm_deadline(gsvm_patience_ms()),
		.queue_id = q->id,
	};

	return gsvm_ioctl(q->fd, DRM_IOCTL_GSVM_WAIT, &wait);
}

void gpu_wait(struct queue *q, struct gsvm_signal *signal)
{
	char text[300];
	int ret = gpu_done(signal) ? 0 : wait_signal(q, signal);

	if (ret) {
		describe(q, text, sizeof(text));
		gsvm_assert(!ret, "the job did not end well: %s; %s\n", strerror(ret), text);
	}
	gsvm_assert(gpu_done(signal), "WAIT returned 0 with signal value %lld\n",
		    (long long)signal->value);
}

void gpu_expect(struct queue *q, struct gsvm_signal *signal, struct gpu_error want)
{
	struct drm_gsvm_queue_query r;
	char text[300];
	int ret = wait_signal(q, signal);

	describe(q, text, sizeof(text));
	gsvm_assert(ret == EIO, "WAIT gave %s instead of EIO; %s\n",
		    ret ? strerror(ret) : "success", text);
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.state == DRM_GSVM_QUEUE_DEAD, "the queue is not dead; %s\n", text);
	gsvm_assert(r.error == want.error, "error is not %u; %s\n", want.error, text);
	gsvm_assert(want.reason == (uint32_t)ANY || r.reason == want.reason,
		    "reason is not %u; %s\n", want.reason, text);
	gsvm_assert(want.access == (uint32_t)ANY || r.access == want.access,
		    "access is not %u; %s\n", want.access, text);
	gsvm_assert(want.addr == ANY || r.addr == want.addr, "address is not %#llx; %s\n",
		    (unsigned long long)want.addr, text);
	gsvm_assert(want.work_item == ANY || r.work_item == want.work_item,
		    "work-item is not %llu; %s\n", (unsigned long long)want.work_item, text);
	gsvm_assert(signal->value == 1, "the job's signal became %lld; %s\n",
		    (long long)signal->value, text);
}

uint64_t gpu_read(struct queue *q, const void *addr)
{
	uint64_t *out = &q->share->arg[q->next % RING_PACKETS][MAX_ARGS - 1];

	gpu_run(q, "load", 1, U(addr), 0, U(out));
	return *out;
}

void gpu_write(struct queue *q, void *addr, uint64_t value)
{
	gpu_run(q, "store", 1, U(addr), 0, value, 0);
}

/* The GPU compares, so that one job of many work-items tells all. */
void gpu_check(struct queue *q, const void *addr, size_t stride, uint32_t n, uint64_t first,
	       uint64_t step)
{
	struct { uint64_t bad, where, value; } *out = (void *)map_shared(PAGE);

	gpu_run(q, "compare", n, U(addr), stride, first, step, U(out));
	gsvm_assert(!out->bad,
		    "GPU saw %llu of %u wrong words, one at %#llx (item %llu): %#llx, expected %#llx\n",
		    (unsigned long long)out->bad, n, (unsigned long long)out->where,
		    stride ? (unsigned long long)((out->where - U(addr)) / stride) : 0ull,
		    (unsigned long long)out->value,
		    (unsigned long long)(first + (stride ? (out->where - U(addr)) / stride : 0) *
					 step));
	munmap(out, PAGE);
}

void gpu_set(struct queue *q, void *addr, size_t stride, uint32_t n, uint64_t first,
	     uint64_t step)
{
	gpu_run(q, "store", n, U(addr), stride, first, step);
}

void cpu_check(const void *addr, size_t stride, size_t n, uint64_t first, uint64_t step,
	       const char *what)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const uint64_t *word = (const void *)((const char *)addr + i * stride);
		uint64_t value = gsvm_peek(word);

		gsvm_assert(value == first + i * step,
			    "%s: CPU saw %#llx in word %zu at %p, expected %#llx\n", what,
			    (unsigned long long)value, i, (const void *)word,
			    (unsigned long long)(first + i * step));
	}
}

void cpu_set(void *addr, size_t stride, size_t n, uint64_t first, uint64_t step)
{
	size_t i;

	for (i = 0; i < n; i++)
		gsvm_poke((void *)((char *)addr + i * stride), first + i * step);
}
