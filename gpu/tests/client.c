// SPDX-License-Identifier: MIT
/*
 * DOC: The test client
 *
 * Its own reading of the protocol: nothing of the server's code is used but
 * the layout of messages. A reader thread takes what the server sends: replies
 * wake the caller, requests for DMA are answered from guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "tap.h"
#include "vfio.h"

#define MSIX_CONTROL	0x52	/* of this device */

struct client_reply {
	uint16_t id;
	bool done;
	int ret;
	void *body;
	size_t len;
	int fd;
};

static void bail(const char *what)
{
	printf("Bail out! client: %s\n", what);
	fflush(stdout);
	_exit(1);
}

#define must(cond)	do { if (!(cond)) bail(#cond); } while (0)

/* ---- The wire --------------------------------------------------------------- */

/* @fd: the first descriptor that came along, or -1. False: closed. */
static bool wire_read(int sock, void *buf, size_t len, int *fd)
{
	char control[CMSG_SPACE(8 * sizeof(int))];

	while (len) {
		struct iovec iov = { buf, len };
		struct msghdr mh = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&mh);
		if (c && c->cmsg_type == SCM_RIGHTS) {
			must(*fd < 0 && c->cmsg_len == CMSG_LEN(sizeof(int)));
			memcpy(fd, CMSG_DATA(c), sizeof(int));
		}
		buf = (char *)buf + n;
		len -= n;
	}
	return true;
}

static void wire_write(int sock, const struct vu_header *header, const void *body, size_t len,
		       const int *fds, unsigned int num_fds)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = {0};
	struct iovec iov[2] = { { (void *)header, sizeof(*header) }, { (void *)body, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t left = sizeof(*header) + len;
	ssize_t n;

	if (num_fds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		must(num_fds <= 64);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, num_fds * sizeof(int));
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	/* A server that has gone shows when the reply is awaited. */
	if (n < 0)
		return;
	for (left -= n; left; left -= n) {
		n = send(sock, (const char *)body + (len - left), left, MSG_NOSIGNAL);
		if (n < 0)
			return;
	}
}

static uint8_t *client_range(struct client *c, uint64_t bus, uint64_t len)
{
	if (bus < CLIENT_BUS || bus - CLIENT_BUS > CLIENT_MEM ||
	    len > CLIENT_MEM - (bus - CLIENT_BUS))
		return NULL;
	return c->mem + (bus - CLIENT_BUS);
}

/* The server wants to read or write guest memory. */
static void client_serve(struct client *c, const struct vu_header *h, uint8_t *body, size_t len)
{
	struct vu_header reply = { .id = h->id, .command = h->command, .flags = VU_TYPE_REPLY };
	static __thread uint8_t out[VU_MAX_BODY];
	size_t out_len = sizeof(struct vu_dma);
	struct vu_dma dma;
	uint8_t *mem;
	bool refuse, ignore;

	must(len >= sizeof(dma));
	memcpy(&dma, body, sizeof(dma));
	must(dma.count <= VU_MAX_DATA);
	must(len == sizeof(dma) + (h->command == VU_DMA_WRITE ? dma.count : 0));
	pthread_mutex_lock(&c->lock);
	c->dma_requests++;
	refuse = c->refuse_dma;
	ignore = c->ignore_dma;
	pthread_mutex_unlock(&c->lock);
	if (ignore)
		return;
	mem = client_range(c, dma.addr, dma.count);
	memcpy(out, &dma, sizeof(dma));
	if (refuse || !mem) {
		reply.flags |= VU_ERROR;
		reply.error = EFAULT;
		out_len = 0;
	} else if (h->command == VU_DMA_READ) {
		memcpy(out + out_len, mem, dma.count);
		out_len += dma.count;
	} else {
		memcpy(mem, body + sizeof(dma), dma.count);
	}
	reply.size = sizeof(reply) + out_len;
	wire_write(c->sock, &reply, out, out_len, NULL, 0);
}

static void client_take_reply(struct client *c, const struct vu_header *h, const uint8_t *body,
			      size_t len, int fd)
{
	struct client_reply *r;

	pthread_mutex_lock(&c->lock);
	r = c->waiting;
	if (!r || r->id != h->id || r->done)
		bail("a reply that nobody waits for");
	r->done = true;
	r->ret = h->flags & VU_ERROR ? -(int)h->error : 0;
	if (r->body)
		memcpy(r->body, body, len);
	r->len = len;
	r->fd = fd;
	pthread_cond_signal(&c->replied);
	pthread_mutex_unlock(&c->lock);
}

static void *client_reader(void *arg)
{
	struct client *c = arg;
	uint8_t *body = malloc(VU_MAX_BODY);
	struct vu_header h;
	int fd = -1;

	must(body);
	while (wire_read(c->sock, &h, sizeof(h), &fd)) {
		size_t len = h.size - sizeof(h);

		must(h.size >= sizeof(h) && len <= VU_MAX_BODY);
		if (!wire_read(c->sock, body, len, &fd))
			break;
		if ((h.flags & VU_TYPE) == VU_TYPE_REPLY)
			client_take_reply(c, &h, body, len, fd);
		else
			client_serve(c, &h, body, len);
		fd = -1;
	}
	free(body);
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_cond_broadcast(&c->replied);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

void client_send(struct client *c, uint16_t command, uint32_t flags, const void *body,
		 size_t len, const int *fds, unsigned int num_fds)
{
	struct vu_header h = {
		.id = 0xffff, .command = command, .flags = flags, .size = sizeof(h) + len,
	};

	wire_write(c->sock, &h, body, len, fds, num_fds);
}

static void deadline(struct timespec *ts, clockid_t clock)
{
	clock_gettime(clock, ts);
	ts->tv_sec += CLIENT_TIMEOUT_MS / 1000;
}

int client_call(struct client *c, uint16_t command, const void *body, size_t len,
		const int *fds, unsigned int num_fds, void *reply, size_t *reply_len,
		int *reply_fd)
{
	struct client_reply r = { .body = reply, .fd = -1 };
	struct vu_header h = { .command = command, .size = sizeof(h) + len };
	struct timespec until;

	pthread_mutex_lock(&c->call_lock);
	pthread_mutex_lock(&c->lock);
	h.id = r.id = c->next_id++ & 0x7fff;
	c->waiting = &r;
	pthread_mutex_unlock(&c->lock);
	wire_write(c->sock, &h, body, len, fds, num_fds);

	deadline(&until, CLOCK_REALTIME);
	pthread_mutex_lock(&c->lock);
	while (!r.done && !c->closed)
		if (pthread_cond_timedwait(&c->replied, &c->lock, &until) == ETIMEDOUT)
			bail("no reply");
	c->waiting = NULL;
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_unlock(&c->call_lock);
	if (!r.done)
		return -EPIPE;
	if (reply_len)
		*reply_len = r.len;
	if (reply_fd)
		*reply_fd = r.fd;
	else if (r.fd >= 0)
		close(r.fd);
	return r.ret;
}

/* ---- Regions ----------------------------------------------------------------- */

static void region_read(struct client *c, uint32_t region, uint64_t offset, void *buf,
			uint32_t len)
{
	struct vu_region r = { offset, region, len };
	uint8_t reply[sizeof(r) + PCI_CFG_SPACE_EXP_SIZE];
	size_t got;

	must(len <= PCI_CFG_SPACE_EXP_SIZE);
	must(!client_call(c, VU_REGION_READ, &r, sizeof(r), NULL, 0, reply, &got, NULL));
	must(got == sizeof(r) + len && !memcmp(reply, &r, sizeof(r)));
	memcpy(buf, reply + sizeof(r), len);
}

static void region_write(struct client *c, uint32_t region, uint64_t offset, const void *buf,
			 uint32_t len)
{
	struct vu_region r = { offset, region, len };
	uint8_t body[sizeof(r) + 8];

	must(len <= 8);
	memcpy(body, &r, sizeof(r));
	memcpy(body + sizeof(r), buf, len);
	must(!client_call(c, VU_REGION_WRITE, body, sizeof(r) + len, NULL, 0, NULL, NULL, NULL));
}

uint32_t client_read32(struct client *c, uint64_t reg)
{
	uint32_t v;

	region_read(c, GSVM_BAR_REGS, reg, &v, sizeof(v));
	return v;
}

uint64_t client_read64(struct client *c, uint64_t reg)
{
	uint64_t v;

	region_read(c, GSVM_BAR_REGS, reg, &v, sizeof(v));
	return v;
}

void client_write32(struct client *c, uint64_t reg, uint32_t value)
{
	region_write(c, GSVM_BAR_REGS, reg, &value, sizeof(value));
}

void client_write64(struct client *c, uint64_t reg, uint64_t value)
{
	region_write(c, GSVM_BAR_REGS, reg, &value, sizeof(value));
}

void client_doorbell(struct client *c, uint32_t asid, uint32_t slot, uint64_t value)
{
	region_write(c, GSVM_BAR_DOORBELL, (uint64_t)asid * GSVM_DOORBELL_PAGE + slot * 8, &value,
		     sizeof(value));
}

void client_config_read(struct client *c, uint32_t offset, void *buf, uint32_t len)
{
	region_read(c, VFIO_PCI_CONFIG_REGION_INDEX, offset, buf, len);
}

void client_config_write(struct client *c, uint32_t offset, uint32_t value, uint32_t len)
{
	region_write(c, VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, len);
}

/* Poll STATUS until its @mask bits are @want. */
void client_wait_status(struct client *c, uint32_t mask, uint32_t want)
{
	struct timespec now, until;

	deadline(&until, CLOCK_MONOTONIC);
	while ((client_read32(c, GSVM_REG_STATUS) & mask) != want) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		must(now.tv_sec < until.tv_sec);
		sched_yield();
	}
}

void client_enable(struct client *c)
{
	client_write32(c, GSVM_REG_CONTROL, GSVM_CONTROL_ENABLE);
	client_wait_status(c, GSVM_STATUS_ENABLED, GSVM_STATUS_ENABLED);
}

void client_disable(struct client *c)
{
	client_write32(c, GSVM_REG_CONTROL, 0);
	client_wait_status(c, GSVM_STATUS_ENABLED, 0);
}

void client_reset(struct client *c)
{
	client_write32(c, GSVM_REG_CONTROL, GSVM_CONTROL_RESET);
	client_wait_idle(c);
}

void client_wait_idle(struct client *c)
{
	client_wait_status(c, GSVM_STATUS_RESETTING, 0);
}

/* ---- Memory and interrupts ---------------------------------------------------- */

uint64_t client_alloc(struct client *c, uint64_t size)
{
	uint64_t align = 4096, at;

	if (size > align && !(size & (size - 1)))
		align = size;
	pthread_mutex_lock(&c->lock);
	at = (c->next_alloc + align - 1) & ~(align - 1);
	must(at + size <= CLIENT_MEM);
	c->next_alloc = at + ((size + 4095) & ~4095ull);
	pthread_mutex_unlock(&c->lock);
	return CLIENT_BUS + at;
}

void *client_ptr(struct client *c, uint64_t bus)
{
	void *p = client_range(c, bus, 1);

	must(p);
	return p;
}

uint64_t client_take_irqs(struct client *c, unsigned int vector)
{
	uint64_t count;

	return read(c->irq[vector], &count, sizeof(count)) == sizeof(count) ? count : 0;
}

bool client_wait_irq(struct client *c, unsigned int vector)
{
	struct pollfd pfd = { .fd = c->irq[vector], .events = POLLIN };

	return poll(&pfd, 1, CLIENT_TIMEOUT_MS) == 1 && client_take_irqs(c, vector);
}

static bool client_wait_value(const void *p, uint64_t want, bool quad)
{
	struct timespec now, until, pause = { .tv_nsec = 20000 };

	deadline(&until, CLOCK_MONOTONIC);
	for (;;) {
		uint64_t v = quad ? __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE)
				  : __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);

		if (v == want)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= until.tv_sec)
			return false;
		nanosleep(&pause, NULL);
	}
}

bool client_wait_u32(const void *p, uint32_t want)
{
	return client_wait_value(p, want, false);
}

bool client_wait_u64(const void *p, uint64_t want)
{
	return client_wait_value(p, want, true);
}

int client_map(struct client *c, uint64_t bus, uint64_t size, uint32_t flags, int fd,
	       uint64_t offset)
{
	struct vu_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .offset = offset, .addr = bus, .size = size,
	};

	return client_call(c, VU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0, NULL, NULL, NULL);
}

int client_unmap(struct client *c, uint64_t bus, uint64_t size)
{
	struct vu_dma_unmap unmap = { .argsz = sizeof(unmap), .addr = bus, .size = size };

	return client_call(c, VU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0, NULL, NULL, NULL);
}

/* ---- Start and end -------------------------------------------------------------- */

static void *client_server(void *arg)
{
	struct client *c = arg;

	/* The socket is vfio_serve()'s from here on. */
	c->gpu_ret = vfio_serve(c->gpu, c->gpu_ret, -1);
	return NULL;
}

static struct client *client_new(int sock)
{
	struct client *c = calloc(1, sizeof(*c));

	must(c);
	c->sock = sock;
	pthread_mutex_init(&c->call_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->replied, NULL);
	c->mem_fd = memfd_create("guest", MFD_CLOEXEC);
	must(c->mem_fd >= 0 && !ftruncate(c->mem_fd, CLIENT_MEM));
	c->mem = mmap(NULL, CLIENT_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, c->mem_fd, 0);
	must(c->mem != MAP_FAILED);
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++)
		must((c->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0);
	return c;
}

struct client *client_connect(const struct gpu_config *cfg)
{
	struct gpu_config defaults = { .vram_size = 64 << 20, .num_cores = 2 };
	struct client *c;
	int pair[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	c = client_new(pair[0]);
	must(!gpu_create(cfg ? cfg : &defaults, &c->gpu));
	c->gpu_ret = pair[1];
	must(!pthread_create(&c->server, NULL, client_server, c));
	must(!pthread_create(&c->reader, NULL, client_reader, c));
	return c;
}

void client_setup(struct client *c)
{
	static const char caps[] = "{\"capabilities\":{\"max_msg_fds\":8,\"pgsizes\":4096,"
		"\"max_data_xfer_size\":1048576,\"write_multiple\":true}}";
	struct vfio_region_info info = { .argsz = sizeof(info), .index = GSVM_BAR_VRAM };
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .index = VFIO_PCI_MSIX_IRQ_INDEX,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.count = GSVM_NUM_VECTORS,
	};
	uint8_t body[4 + sizeof(caps)] = {0}, reply[4096];
	int fd;

	memcpy(body + 4, caps, sizeof(caps));
	must(!client_call(c, VU_VERSION, body, sizeof(body), NULL, 0, reply, NULL, NULL));
	must(!client_map(c, CLIENT_BUS, CLIENT_MEM, VU_DMA_MAP_READ | VU_DMA_MAP_WRITE,
			 c->mem_fd, 0));
	must(!client_call(c, VU_GET_REGION_INFO, &info, sizeof(info), NULL, 0, reply, NULL, &fd));
	memcpy(&info, reply, sizeof(info));
	must(fd >= 0 && (info.flags & VFIO_REGION_INFO_FLAG_MMAP));
	c->vram_size = info.size;
	c->vram = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, info.offset);
	must(c->vram != MAP_FAILED);
	close(fd);
	must(!client_call(c, VU_SET_IRQS, &set, sizeof(set), c->irq, GSVM_NUM_VECTORS, NULL, NULL,
			  NULL));
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
	client_wait_idle(c);
}

struct client *client_start(const struct gpu_config *cfg)
{
	struct client *c = client_connect(cfg);

	client_setup(c);
	return c;
}

/* Connect when the name is there; the process dies: so do we. */
static int client_dial(const char *path, int pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timespec pause = { .tv_nsec = 1000000 };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(sock >= 0 && strlen(path) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path);
	for (int ms = 0; ms < CLIENT_TIMEOUT_MS; ms++) {
		if (!connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
			return sock;
		must(waitpid(pid, NULL, WNOHANG) == 0);
		nanosleep(&pause, NULL);
	}
	bail("gsvm-gpu does not listen");
	return -1;
}

struct client *client_spawn(const char *const *args)
{
	const char *binary = getenv("GSVM_GPU");
	const char *argv[32] = { binary, "--socket" };
	char dir[] = "/tmp/gsvm-test-XXXXXX", path[64];
	struct client *c;
	unsigned int n = 3;
	int pid;

	must(binary && mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/gpu", dir);
	argv[2] = path;
	for (; args && *args && n < 30; args++)
		argv[n++] = *args;
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		execv(binary, (char *const *)argv);
		_exit(127);
	}
	c = client_new(client_dial(path, pid));
	c->pid = pid;
	strcpy(c->dir, dir);
	must(!pthread_create(&c->reader, NULL, client_reader, c));
	return c;
}

int client_stop(struct client *c)
{
	int ret;

	shutdown(c->sock, SHUT_RDWR);
	if (c->gpu) {
		pthread_join(c->server, NULL);
		ret = c->gpu_ret;
		gpu_destroy(c->gpu);
	} else {
		int status;

		must(waitpid(c->pid, &status, 0) == c->pid);
		rmdir(c->dir);
		ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	pthread_join(c->reader, NULL);
	close(c->sock);
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++)
		close(c->irq[i]);
	munmap(c->mem, CLIENT_MEM);
	close(c->mem_fd);
	if (c->vram)
		munmap(c->vram, c->vram_size);
	pthread_cond_destroy(&c->replied);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->call_lock);
	free(c);
	return ret;
}
