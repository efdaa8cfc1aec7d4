// SPDX-License-Identifier: MIT
/*
 * The vfio-user protocol, message by message: good, bad, cut short, garbage.
 * Speaks over a bare socket; the device is used only to see effects.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <dirent.h>

#include "gpu.h"
#include "tap.h"
#include "vfio.h"
#include "vfio_proto.h"

#define VRAM	(64ull << 20)

/* The GPU is made once; each connection gets a server thread of its own. */
struct link {
	struct gpu *gpu;
	int sock;
	int server_sock;
	int ret;
	pthread_t thread;
};

static uint8_t answer[VU_MAX_BODY];
static size_t answer_len;
static int answer_fd = -1;

static void *serve(void *arg)
{
	struct link *l = arg;

	l->ret = vfio_serve(l->gpu, l->server_sock, -1);
	return NULL;
}

static void link_open(struct link *l)
{
	int pair[2];

	tap_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	l->sock = pair[0];
	l->server_sock = pair[1];
	tap_need(!pthread_create(&l->thread, NULL, serve, l), "thread");
}

static int link_close(struct link *l)
{
	close(l->sock);
	pthread_join(l->thread, NULL);
	return l->ret;
}

static void send_raw(struct link *l, const void *data, size_t len, const int *fds, unsigned int n)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = {0};
	struct iovec iov = { (void *)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	ssize_t done;

	if (n) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	done = sendmsg(l->sock, &mh, MSG_NOSIGNAL);
	while (done > 0 && (size_t)done < len) {
		ssize_t more = send(l->sock, (const char *)data + done, len - done, MSG_NOSIGNAL);

		if (more <= 0)
			break;
		done += more;
	}
}

static void send_message(struct link *l, uint16_t command, uint32_t flags, const void *body,
			 size_t len, const int *fds, unsigned int n)
{
	static uint8_t buf[sizeof(struct vu_header) + VU_MAX_BODY];
	struct vu_header h = { 7, command, sizeof(h) + len, flags, 0 };

	memcpy(buf, &h, sizeof(h));
	if (len)
		memcpy(buf + sizeof(h), body, len);
	send_raw(l, buf, sizeof(h) + len, fds, n);
}

/* The next @len bytes; false: closed. Ends the test when nothing comes. */
static bool receive(struct link *l, void *buf, size_t len)
{
	while (len) {
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = { buf, len };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = sizeof(control) };
		struct pollfd pfd = { .fd = l->sock, .events = POLLIN };
		struct cmsghdr *c;
		ssize_t n;

		tap_need(poll(&pfd, 1, 20000) == 1, "the server answers");
		n = recvmsg(l->sock, &mh, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&mh);
		if (c)
			memcpy(&answer_fd, CMSG_DATA(c), sizeof(int));
		buf = (char *)buf + n;
		len -= n;
	}
	return true;
}

/* A reply to @command: 0 or its error, negative; its body in answer. */
static int receive_reply(struct link *l, uint16_t command)
{
	struct vu_header h;

	if (answer_fd >= 0)
		close(answer_fd);
	answer_fd = -1;
	answer_len = 0;
	if (!receive(l, &h, sizeof(h)))
		return -EPIPE;
	tap_need(h.id == 7 && h.command == command && h.size >= sizeof(h) &&
		 h.size - sizeof(h) <= sizeof(answer) && (h.flags & VU_TYPE) == VU_TYPE_REPLY,
		 "a reply to command %u", command);
	answer_len = h.size - sizeof(h);
	if (!receive(l, answer, answer_len))
		return -EPIPE;
	if (!(h.flags & VU_ERROR))
		return 0;
	tap_need(!answer_len && h.error > 0 && h.error < 4096, "an error reply is only a header");
	return -(int)h.error;
}

static int call_fds(struct link *l, uint16_t command, const void *body, size_t len,
		    const int *fds, unsigned int n)
{
	send_message(l, command, 0, body, len, fds, n);
	return receive_reply(l, command);
}

static int call(struct link *l, uint16_t command, const void *body, size_t len)
{
	return call_fds(l, command, body, len, NULL, 0);
}

static int say_version(struct link *l, uint16_t major, uint16_t minor, const char *json, size_t len)
{
	uint8_t body[512];
	struct vu_version v = { major, minor };

	memcpy(body, &v, sizeof(v));
	if (len)
		memcpy(body + sizeof(v), json, len);
	return call(l, VU_VERSION, body, sizeof(v) + len);
}

static void link_ready(struct link *l)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true}}";

	link_open(l);
	tap_need(!say_version(l, 0, 0, json, sizeof(json)), "version");
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	tap_need(dir, "/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* ---- Version ------------------------------------------------------------------- */

static void test_version(struct link *l)
{
	struct vfio_device_info info = { .argsz = 16 };
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"twin_socket\":"
		"{\"supported\":true},\"max_data_xfer_size\":4096}}";
	const char *text = (const char *)answer + 4;
	uint16_t minor;

	link_open(l);
	tap_eq(call(l, VU_GET_INFO, &info, 16), (uint64_t)-EINVAL, "nothing before VERSION");
	tap_eq(call(l, VU_VERSION, &info, 3), (uint64_t)-EINVAL, "short VERSION");
	tap_eq(call(l, VU_VERSION, NULL, 0), (uint64_t)-EINVAL, "empty VERSION");
	tap_eq(say_version(l, 1, 0, NULL, 0), (uint64_t)-ENOTSUP, "another major version");
	tap_eq(say_version(l, 0, 0, json, sizeof(json) - 1), (uint64_t)-EINVAL, "text without NUL");
	tap_eq(say_version(l, 0, 0, "{", 2), (uint64_t)-EINVAL, "text that is no JSON");
	tap_eq(say_version(l, 0, 0, "", 1), (uint64_t)-EINVAL, "empty text");
	tap_eq(say_version(l, 0, 9, json, sizeof(json)), 0, "VERSION");
	memcpy(&minor, answer + 2, 2);
	tap_eq(minor, 0, "the minor version is not above ours");
	tap_ok(answer[answer_len - 1] == '\0' && strstr(text, "max_msg_fds") &&
	       strstr(text, "max_data_xfer_size"), "capabilities that the client named");
	tap_ok(!strstr(text, "twin_socket") && !strstr(text, "write_multiple"), "and no others");
	tap_eq(say_version(l, 0, 0, json, sizeof(json)), (uint64_t)-EINVAL, "VERSION twice");
	tap_eq(call(l, VU_GET_INFO, &info, 16), 0, "then commands work");
	tap_eq(link_close(l), 0, "the end");
	link_open(l);
	tap_eq(say_version(l, 0, 0, NULL, 0), 0, "VERSION without text");
	tap_ok(!strcmp(text, "{\"capabilities\":{}}"), "is answered with no capabilities");
	link_close(l);
}

/* ---- Information ---------------------------------------------------------------- */

static void test_info(struct link *l)
{
	struct vfio_device_info info = { .argsz = 16 };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	static const uint64_t sizes[VFIO_PCI_NUM_REGIONS] = {
		[0] = 0x20000, [2] = VRAM, [4] = 4 << 20, [7] = 4096,
	};

	tap_eq(call(l, VU_GET_INFO, &info, 16), 0, "GET_INFO");
	memcpy(&info, answer, 16);
	tap_ok(answer_len == 16 && info.num_regions == VFIO_PCI_NUM_REGIONS && info.num_irqs == 3 &&
	       info.flags == (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET), "and what it says");
	info.argsz = 15;
	tap_eq(call(l, VU_GET_INFO, &info, 16), (uint64_t)-EINVAL, "GET_INFO, argsz too small");
	for (uint32_t i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		region = (struct vfio_region_info){ .argsz = sizeof(region), .index = i };
		int ret = call(l, VU_GET_REGION_INFO, &region, sizeof(region));
		uint32_t flags = sizes[i] ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE
					  : 0;

		memcpy(&region, answer, sizeof(region));
		if (i == 2)
			flags |= VFIO_REGION_INFO_FLAG_MMAP;
		tap_ok(!ret && region.size == sizes[i] && region.flags == flags &&
		       (answer_fd >= 0) == (i == 2), "region %u", i);
		if (i == 2) {
			tap_ok(ftruncate(answer_fd, 0) && ftruncate(answer_fd, 2 * VRAM),
			       "VRAM cannot be resized by the client");
			void *p = mmap(NULL, VRAM, PROT_READ | PROT_WRITE, MAP_SHARED, answer_fd, 0);

			tap_ok(p != MAP_FAILED, "but mapped");
			munmap(p, VRAM);
		}
	}
	region.argsz = sizeof(region);
	region.index = VFIO_PCI_NUM_REGIONS;
	tap_eq(call(l, VU_GET_REGION_INFO, &region, sizeof(region)), (uint64_t)-EINVAL, "region 9");
	region.index = ~0u;
	tap_eq(call(l, VU_GET_REGION_INFO, &region, sizeof(region)), (uint64_t)-EINVAL, "region -1");
	region.index = 0;
	region.argsz = sizeof(region) - 1;
	tap_eq(call(l, VU_GET_REGION_INFO, &region, sizeof(region)), (uint64_t)-EINVAL,
	       "region, argsz too small");
	for (uint32_t i = 0; i < 3; i++) {
		irq = (struct vfio_irq_info){ .argsz = sizeof(irq), .index = i };
		tap_eq(call(l, VU_GET_IRQ_INFO, &irq, sizeof(irq)), 0, "GET_IRQ_INFO");
		memcpy(&irq, answer, sizeof(irq));
		tap_eq(irq.count, i == 2 ? GSVM_NUM_VECTORS : 0, "only MSI-X has vectors");
	}
	irq.index = 3;
	tap_eq(call(l, VU_GET_IRQ_INFO, &irq, sizeof(irq)), (uint64_t)-EINVAL, "irq type 3");
}

/* Fixed-size commands: one byte less, one more, nothing. */
static void test_lengths(struct link *l)
{
	static const struct { uint16_t command; size_t len; const char *name; } fixed[] = {
		{ VU_DMA_MAP, 32, "DMA_MAP" }, { VU_DMA_UNMAP, 24, "DMA_UNMAP" },
		{ VU_GET_INFO, 16, "GET_INFO" }, { VU_GET_REGION_INFO, 32, "GET_REGION_INFO" },
		{ VU_GET_IRQ_INFO, 16, "GET_IRQ_INFO" }, { VU_SET_IRQS, 20, "SET_IRQS" },
		{ VU_REGION_READ, 16, "REGION_READ" }, { VU_REGION_WRITE, 16, "REGION_WRITE" },
		{ VU_REGION_WRITE_MULTI, 8, "REGION_WRITE_MULTI" }, { VU_RESET, 0, "RESET" },
	};
	uint8_t body[64];

	for (unsigned int i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		memset(body, 0xff, sizeof(body));
		if (fixed[i].len) {
			tap_ok(call(l, fixed[i].command, body, fixed[i].len - 1) == -EINVAL,
			       "%s, a byte short", fixed[i].name);
			tap_ok(call(l, fixed[i].command, body, 0) == -EINVAL, "%s, empty",
			       fixed[i].name);
		}
		tap_ok(call(l, fixed[i].command, body, fixed[i].len + 1) == -EINVAL,
		       "%s, a byte long", fixed[i].name);
	}
	static const uint16_t unknown[] = { 0, 6, 11, 12, 14, 16, 17, 18, 19, 100, 0xffff };
	for (unsigned int i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		tap_ok(call(l, unknown[i], body, 16) == -ENOTSUP, "command %u is refused",
		       unknown[i]);
}

/* ---- Regions --------------------------------------------------------------------- */

static int region_read(struct link *l, uint32_t region, uint64_t offset, uint32_t count)
{
	struct vu_region r = { offset, region, count };

	return call(l, VU_REGION_READ, &r, sizeof(r));
}

static int region_write(struct link *l, uint32_t region, uint64_t offset, uint32_t count,
			const void *data, size_t len)
{
	static uint8_t body[sizeof(struct vu_region) + VU_MAX_DATA];
	struct vu_region r = { offset, region, count };

	memcpy(body, &r, sizeof(r));
	memcpy(body + sizeof(r), data, len);
	return call(l, VU_REGION_WRITE, body, sizeof(r) + len);
}

static void memory_on(struct link *l)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	tap_need(!region_write(l, 7, PCI_COMMAND, 2, &command, 2), "command register");
}

static void test_regions(struct link *l)
{
	static const struct { uint32_t region; uint64_t offset; uint32_t count; } bad[] = {
		{ 0, 0x20000, 4 }, { 0, 0x1fffe, 4 }, { 0, ~0ull, 4 }, { 0, 0, 0 },
		{ 0, 0, 0x20001 }, { 1, 0, 4 }, { 2, VRAM, 1 }, { 2, VRAM - 4, 8 },
		{ 2, 0, VU_MAX_DATA + 1 }, { 2, 0, ~0u }, { 3, 0, 1 }, { 4, 4 << 20, 8 },
		{ 5, 0, 1 }, { 6, 0, 1 }, { 7, 4096, 1 }, { 7, 4095, 2 }, { 8, 0, 1 },
		{ 9, 0, 4 }, { ~0u, 0, 4 }, { 7, 1ull << 63, 4 },
	};
	static uint8_t data[VU_MAX_DATA];
	uint64_t random = 5, word;

	memory_on(l);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tap_ok(region_read(l, bad[i].region, bad[i].offset, bad[i].count) == -EINVAL,
		       "bad read %u", i);
		tap_ok(region_write(l, bad[i].region, bad[i].offset, bad[i].count, data,
				    bad[i].count < 8 ? bad[i].count : 8) == -EINVAL,
		       "bad write %u", i);
	}
	tap_eq(region_write(l, 2, 0, 8, data, 7), (uint64_t)-EINVAL, "less data than count");
	tap_eq(region_write(l, 2, 0, 7, data, 8), (uint64_t)-EINVAL, "more data than count");

	for (size_t i = 0; i < sizeof(data); i += 8) {
		word = tap_random(&random);
		memcpy(data + i, &word, 8);
	}
	tap_eq(region_write(l, 2, VRAM - VU_MAX_DATA, VU_MAX_DATA, data, VU_MAX_DATA), 0,
	       "1 MiB into VRAM");
	tap_eq(region_read(l, 2, VRAM - VU_MAX_DATA, VU_MAX_DATA), 0, "and out");
	tap_ok(answer_len == 16 + VU_MAX_DATA && !memcmp(answer + 16, data, VU_MAX_DATA),
	       "the same data");
	tap_ok(!memcmp(l->gpu->vram + VRAM - VU_MAX_DATA, data, VU_MAX_DATA), "that VRAM holds");
	unsigned int wrong = 0;
	for (uint32_t len = 1; len <= 40; len++)
		for (uint32_t at = 0; at < 9; at++) {
			wrong += region_write(l, 2, 4096 + at, len, data + len, len) != 0;
			wrong += region_read(l, 2, 4096 + at, len) != 0;
			wrong += memcmp(answer + 16, data + len, len) != 0;
		}
	tap_eq(wrong, 0, "VRAM by messages of 1 to 40 bytes at any alignment");
	tap_eq(region_read(l, 7, 0, 4096), 0, "all of configuration space at once");
	tap_eq(region_read(l, 4, 8, 8), 0, "doorbells can be read");
	memcpy(&word, answer + 16, 8);
	tap_eq(word, 0, "and give 0");
}

static void test_write_multi(struct link *l)
{
	struct { uint64_t count; struct { struct vu_region r; uint64_t data; } w[4]; } m = {
		.count = 3,
		.w = { { { 0x100, 0, 8 }, 0x1000 }, { { 64, 2, 3 }, 0xccbbaa },
		       { { 0x108, 0, 4 }, 0x3000 } },
	};
	uint64_t base;

	l->gpu->vram[67] = 0;
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 3 * 24), 0, "three writes in one message");
	memcpy(&base, answer, 8);
	tap_ok(answer_len == 8 && base == 3, "its reply");
	tap_ok(l->gpu->vram[64] == 0xaa && l->gpu->vram[66] == 0xcc && l->gpu->vram[67] == 0,
	       "3 bytes in VRAM");
	region_read(l, 0, 0x100, 8);
	memcpy(&base, answer + 16, 8);
	tap_eq(base, 0x1000, "8 bytes in a register");
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 2 * 24), (uint64_t)-EINVAL, "count too large");
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 4 * 24), (uint64_t)-EINVAL, "count too small");
	m.count = 1ull << 61;
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 3 * 24), (uint64_t)-EINVAL, "count absurd");
	m.count = 3;
	m.w[0].data = 0x9000;
	m.w[2].r.count = 9;
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 3 * 24), (uint64_t)-EINVAL, "a bad third one");
	region_read(l, 0, 0x100, 8);
	memcpy(&base, answer + 16, 8);
	tap_eq(base, 0x1000, "and none is done");
	m.count = 0;
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8), 0, "no writes at all");
}

/* ---- Interrupts -------------------------------------------------------------------- */

static int set_irqs(struct link *l, uint32_t index, uint32_t flags, uint32_t start, uint32_t count,
		    const void *data, size_t len, const int *fds, unsigned int n)
{
	uint8_t body[256];
	struct vfio_irq_set set = { 20, flags, index, start, count };

	memcpy(body, &set, 20);
	if (len)
		memcpy(body + 20, data, len);
	return call_fds(l, VU_SET_IRQS, body, 20 + len, fds, n);
}

#define EVENTFD_TRIGGER	(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE_TRIGGER	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BOOL_TRIGGER	(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER)

static uint64_t take(int fd)
{
	uint64_t n;

	return read(fd, &n, 8) == 8 ? n : 0;
}

static void test_irqs(struct link *l)
{
	static const struct { uint32_t index, flags, start, count; size_t len; } bad[] = {
		{ 2, 0, 0, 1, 0 }, { 2, VFIO_IRQ_SET_DATA_NONE, 0, 1, 0 },
		{ 2, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, 0 },
		{ 2, VFIO_IRQ_SET_DATA_BOOL | NONE_TRIGGER, 0, 1, 1 },
		{ 2, VFIO_IRQ_SET_ACTION_MASK | NONE_TRIGGER, 0, 1, 0 },
		{ 2, 1u << 6 | NONE_TRIGGER, 0, 1, 0 }, { 2, NONE_TRIGGER, 0, 9, 0 },
		{ 2, NONE_TRIGGER, 8, 1, 0 }, { 2, NONE_TRIGGER, 9, 0, 0 },
		{ 2, NONE_TRIGGER, ~0u, 2, 0 }, { 2, NONE_TRIGGER, 1, ~0u, 0 },
		{ 2, NONE_TRIGGER, 1, 0, 0 }, { 0, NONE_TRIGGER, 0, 1, 0 },
		{ 1, EVENTFD_TRIGGER, 0, 1, 0 }, { 3, NONE_TRIGGER, 0, 0, 0 },
		{ ~0u, NONE_TRIGGER, 0, 0, 0 }, { 2, BOOL_TRIGGER, 0, 2, 1 },
		{ 2, BOOL_TRIGGER, 0, 2, 3 }, { 2, NONE_TRIGGER, 0, 1, 4 },
		{ 2, EVENTFD_TRIGGER, 0, 0, 0 }, { 2, BOOL_TRIGGER, 0, 0, 0 },
		{ 2, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, 0, 1, 0 },
		{ 2, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 0, 0 },
	};
	uint8_t flags[8] = { 0, 1, 0, 0, 1 };
	int fd[20], file = memfd_create("no eventfd", MFD_CLOEXEC);
	uint16_t enable = PCI_MSIX_FLAGS_ENABLE;

	for (unsigned int i = 0; i < 20; i++)
		tap_need((fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0, "eventfd");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_ok(set_irqs(l, bad[i].index, bad[i].flags, bad[i].start, bad[i].count, flags,
				bad[i].len, NULL, 0) == -EINVAL, "bad SET_IRQS %u", i);
	region_write(l, 7, 0x52, 2, &enable, 2);
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 0, 8, NULL, 0, fd, 8), 0, "eight eventfds");
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 0, 8, NULL, 0, fd, 7), (uint64_t)-EINVAL, "too few");
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 0, 7, NULL, 0, fd, 8), (uint64_t)-EINVAL, "too many");
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 0, 8, NULL, 0, fd, 20), (uint64_t)-EINVAL,
	       "more than fit");
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 3, 1, NULL, 0, &file, 1), (uint64_t)-EINVAL,
	       "a file is no eventfd");
	tap_eq(set_irqs(l, 2, BOOL_TRIGGER, 0, 8, flags, 8, NULL, 0), 0, "trigger by booleans");
	uint64_t seen = 0;
	for (unsigned int i = 0; i < 8; i++)
		seen |= (take(fd[i]) != 0) << i;
	tap_eq(seen, 0x12, "those that were true");
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 4, 1, NULL, 0, NULL, 0), 0, "take one away");
	tap_eq(set_irqs(l, 2, NONE_TRIGGER, 3, 3, NULL, 0, NULL, 0), 0, "trigger three");
	tap_ok(take(fd[3]) == 1 && !take(fd[4]) && take(fd[5]) == 1, "two arrive");
	tap_eq(set_irqs(l, 0, NONE_TRIGGER, 0, 0, NULL, 0, NULL, 0), 0, "INTx off: nothing to do");
	tap_eq(set_irqs(l, 2, NONE_TRIGGER, 0, 0, NULL, 0, NULL, 0), 0, "all off");
	set_irqs(l, 2, NONE_TRIGGER, 0, 8, NULL, 0, NULL, 0);
	seen = 0;
	for (unsigned int i = 0; i < 8; i++)
		seen += take(fd[i]);
	tap_eq(seen, 0, "nobody is told any more");
	/* A blocking eventfd that is full must not block the GPU. */
	int full = eventfd(0, EFD_CLOEXEC);
	uint64_t most = ~0ull - 1;
	tap_need(write(full, &most, 8) == 8, "fill");
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 0, 1, NULL, 0, &full, 1), 0, "a full eventfd");
	tap_eq(set_irqs(l, 2, NONE_TRIGGER, 0, 1, NULL, 0, NULL, 0), 0, "is not waited for");
	for (unsigned int i = 0; i < 20; i++)
		close(fd[i]);
	close(file);
	close(full);
}

/* ---- Windows ------------------------------------------------------------------------- */

static void test_dma(struct link *l)
{
	struct vu_dma_map map = { sizeof(map), 3, 0, 0x10000, 0x4000 };
	struct vu_dma_unmap unmap = { sizeof(unmap), 0, 0x10000, 0x4000 };
	int fd = memfd_create("guest", MFD_CLOEXEC), two[2] = { fd, fd };

	tap_need(fd >= 0 && !ftruncate(fd, 0x10000), "memfd");
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), two, 2), (uint64_t)-EINVAL, "two files");
	map.flags = 0;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EINVAL, "no right");
	map.flags = 7;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EINVAL, "bad flag");
	map.flags = 3;
	map.argsz = 31;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EINVAL, "argsz");
	map.argsz = 32;
	map.size = 0;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EINVAL, "empty");
	map.size = 0x20000;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EINVAL, "too long");
	map.size = 0x4000;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), 0, "DMA_MAP");
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EEXIST, "twice");
	unmap.size = 0x2000;
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), (uint64_t)-EINVAL, "half of it");
	unmap.size = 0x4000;
	unmap.flags = 1;
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), (uint64_t)-EINVAL, "dirty bitmap");
	unmap.flags = 0;
	unmap.argsz = 8;
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), (uint64_t)-EINVAL, "argsz");
	unmap.argsz = 24;
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), 0, "DMA_UNMAP");
	tap_ok(answer_len == sizeof(unmap) && !memcmp(answer, &unmap, sizeof(unmap)), "its reply");
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), 0, "nothing there: fine");
	unmap.addr = 0;
	unmap.size = 1ull << 63;
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), 0, "half of all addresses");
	map.addr = 0;
	map.size = 1ull << 63;
	tap_eq(call(l, VU_DMA_MAP, &map, sizeof(map)), 0, "a huge window without a file");
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), (uint64_t)-EEXIST, "in the way");
	unmap = (struct vu_dma_unmap){ sizeof(unmap), VU_DMA_UNMAP_ALL, 0, 0 };
	tap_eq(call(l, VU_DMA_UNMAP, &unmap, sizeof(unmap)), 0, "unmap all");
	map.size = 0x1000;
	tap_eq(call_fds(l, VU_DMA_MAP, &map, sizeof(map), &fd, 1), 0, "room again");
	close(fd);
}

/* ---- Message forms ---------------------------------------------------------------------- */

/* NO_REPLY is never answered: the next reply belongs to the command after them. */
static void test_no_reply(struct link *l)
{
	struct vfio_device_info info = { .argsz = 16 };
	struct vu_region r = { 0, 0, 4 }, bad = { ~0ull, 0, 4 };
	uint8_t body[64] = {0};

	for (uint16_t command = 0; command < 20; command++) {
		send_message(l, command, VU_NO_REPLY, body, 0, NULL, 0);
		send_message(l, command, VU_NO_REPLY, body, 16, NULL, 0);
		send_message(l, command, VU_NO_REPLY, body, 32, NULL, 0);
	}
	send_message(l, VU_REGION_READ, VU_NO_REPLY, &r, sizeof(r), NULL, 0);
	send_message(l, VU_REGION_READ, VU_NO_REPLY, &bad, sizeof(bad), NULL, 0);
	send_message(l, VU_GET_INFO, VU_NO_REPLY, &info, 16, NULL, 0);
	send_message(l, VU_GET_INFO, VU_NO_REPLY | 5, &info, 16, NULL, 0);
	/* Replies that nobody asked for, of any length. */
	for (size_t len = 0; len <= sizeof(body); len += 8)
		send_message(l, VU_DMA_READ, VU_TYPE_REPLY, body, len, NULL, 0);
	tap_eq(call(l, VU_GET_INFO, &info, 16), 0, "the only reply is the one that is due");
	send_message(l, VU_GET_INFO, 5, &info, 16, NULL, 0);
	tap_eq(receive_reply(l, VU_GET_INFO), (uint64_t)-EINVAL, "an unknown message type");
}

static void test_descriptors(struct link *l)
{
	struct vfio_device_info info = { .argsz = 16 };
	struct vu_dma_map map = { sizeof(map), 3, 0, 0x50000, 0x1000 };
	int fds[40];
	uint8_t message[32] = {0};
	struct vu_header h = { 7, VU_GET_INFO, 32, 0, 0 };
	unsigned int before;

	for (unsigned int i = 0; i < 40; i++)
		tap_need((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0, "eventfd");
	/* Without what earlier tests have left with the server on purpose. */
	link_close(l);
	link_ready(l);
	before = count_fds();
	for (unsigned int n = 1; n <= 40; n++) {
		int ret = call_fds(l, VU_GET_INFO, &info, 16, fds, n);

		if (n == 1 || n == VU_MAX_FDS || n == VU_MAX_FDS + 1 || n == 40)
			tap_ok(ret == (n <= VU_MAX_FDS ? 0 : -EINVAL),
			       "%u descriptors where none belong", n);
		call_fds(l, VU_DMA_MAP, &map, sizeof(map), fds, n);
		call_fds(l, VU_SET_IRQS, &map, 20, fds, n);
		call_fds(l, 99, NULL, 0, fds, n);
		send_message(l, VU_GET_INFO, VU_NO_REPLY, &info, 16, fds, n);
		send_message(l, VU_DMA_READ, VU_TYPE_REPLY, &info, 16, fds, n);
		/* With the second half of a message. */
		memcpy(message, &h, sizeof(h));
		memcpy(message + 16, &info, 16);
		send_raw(l, message, 20, fds, n > 20 ? 20 : n);
		send_raw(l, message + 20, 12, fds, n > 20 ? 20 : n);
		receive_reply(l, VU_GET_INFO);
	}
	tap_eq(call(l, VU_GET_INFO, &info, 16), 0, "the server lives");
	tap_eq(count_fds(), before, "no descriptor is left behind");
	/* And those inside a message that never ends. */
	send_raw(l, message, 20, fds, 5);
	tap_eq(link_close(l), (uint64_t)-EPROTO, "a client that goes inside a message");
	link_ready(l);
	tap_eq(count_fds(), before, "leaves no descriptor either");
	for (unsigned int i = 0; i < 40; i++)
		close(fds[i]);
}

static void test_stream(struct link *l)
{
	struct vfio_device_info info = { .argsz = 16 };
	struct { struct vu_header h; struct vfio_device_info i; } m[3];
	static const uint32_t sizes[] = { 0, 1, 15, 16 + VU_MAX_BODY + 1, 0x7fffffff, ~0u };

	for (int i = 0; i < 3; i++) {
		m[i].h = (struct vu_header){ 7, VU_GET_INFO, 32, 0, 0 };
		m[i].i = info;
	}
	tap_eq(sizeof(m[0].h) + 16, 32, "the message under test");
	uint8_t bytes[96];
	for (int i = 0; i < 3; i++) {
		memcpy(bytes + 32 * i, &m[i].h, 16);
		memcpy(bytes + 32 * i + 16, &info, 16);
	}
	send_raw(l, bytes, 96, NULL, 0);
	tap_ok(!receive_reply(l, VU_GET_INFO) && !receive_reply(l, VU_GET_INFO) &&
	       !receive_reply(l, VU_GET_INFO), "three messages in one write");
	for (int i = 0; i < 32; i++)
		send_raw(l, bytes + i, 1, NULL, 0);
	tap_eq(receive_reply(l, VU_GET_INFO), 0, "one message in 32 writes");
	tap_eq(link_close(l), 0, "a clean end");
	for (unsigned int cut = 1; cut < 32; cut += 5) {
		link_ready(l);
		send_raw(l, bytes, cut, NULL, 0);
		tap_ok(link_close(l) == -EPROTO, "the client goes after %u bytes", cut);
	}
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vu_header h = { 7, VU_GET_INFO, sizes[i], 0, 0 };

		link_ready(l);
		send_raw(l, &h, sizeof(h), NULL, 0);
		tap_ok(receive_reply(l, VU_GET_INFO) == -EPIPE, "size %u ends the connection",
		       sizes[i]);
		tap_ok(link_close(l) == -EPROTO, "size %u is a broken stream", sizes[i]);
	}
	link_ready(l);
	tap_eq(call(l, VU_GET_INFO, &info, 16), 0, "the next client is served");
}

/* ---- Fuzz ---------------------------------------------------------------------------------- */

static void drain(struct link *l)
{
	static uint8_t sink[1 << 16];
	char control[CMSG_SPACE(sizeof(int))];

	for (;;) {
		struct iovec iov = { sink, sizeof(sink) };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = sizeof(control) };
		struct cmsghdr *c;
		int fd;

		if (recvmsg(l->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return;
		c = CMSG_FIRSTHDR(&mh);
		if (c) {
			memcpy(&fd, CMSG_DATA(c), sizeof(int));
			close(fd);
		}
	}
}

/* A message that is right but for a few bytes, in all its fields. */
static size_t fuzz_message(uint64_t *random, uint8_t *buf)
{
	static const uint8_t lengths[20] = {
		[1] = 60, [2] = 32, [3] = 24, [4] = 16, [5] = 32, [6] = 16, [7] = 16, [8] = 28,
		[9] = 16, [10] = 24, [11] = 16, [12] = 24, [15] = 80,
	};
	uint64_t kind = tap_random(random);
	struct vu_header h = { 7, kind % 20, 0, 0, 0 };
	size_t len = lengths[h.command], changes = tap_random(random) % 4;

	for (size_t i = 0; i < len; i++)
		buf[16 + i] = tap_random(random) % 8 ? 0 : tap_random(random);
	if (len >= 4)
		buf[16] = 32;	/* argsz, mostly */
	h.size = 16 + len;
	h.flags = tap_random(random) % 8 ? 0 : tap_random(random) & 0x3f;
	memcpy(buf, &h, sizeof(h));
	/* Not the size: that ends the connection and is tested elsewhere; now and then anyway. */
	while (changes--) {
		size_t at = tap_random(random) % (16 + len);

		if (at >= 4 && at < 8 && tap_random(random) % 64)
			continue;
		buf[at] = tap_random(random);
	}
	return 16 + len;
}

static void test_fuzz(struct link *l)
{
	unsigned int before, ends = 0;
	uint64_t random = 0x6773766d;
	int file = memfd_create("fuzz", MFD_CLOEXEC), event = eventfd(0, EFD_CLOEXEC);
	uint8_t buf[256];

	tap_need(file >= 0 && event >= 0 && !ftruncate(file, 1 << 20), "descriptors");
	before = count_fds();
	for (int i = 0; i < 20000; i++) {
		size_t len = fuzz_message(&random, buf);
		int fds[3] = { file, event, file };
		struct pollfd pfd = { .fd = l->sock };

		send_raw(l, buf, len, fds, tap_random(&random) % 16 ? 0 : tap_random(&random) % 4);
		drain(l);
		if (i % 64 == 63 || (poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP)) {
			if (pfd.revents || i % 512 == 511) {
				link_close(l);
				link_ready(l);
				ends++;
			}
		}
	}
	link_close(l);
	link_ready(l);
	tap_ok(ends > 10, "the server went on through %u connections of nonsense", ends);
	tap_eq(count_fds(), before, "without a descriptor left over");
	close(file);
	close(event);
	memory_on(l);
	tap_eq(region_read(l, 0, 0, 4), 0, "the device answers");
	uint32_t id;
	memcpy(&id, answer + 16, 4);
	tap_eq(id, GSVM_ID_MAGIC, "and is itself");
}

int main(void)
{
	struct gpu_config cfg = { .vram_size = VRAM, .num_cores = 2 };
	struct link l = {0};

	tap_need(!gpu_create(&cfg, &l.gpu), "gpu_create");
	test_version(&l);
	link_ready(&l);
	test_info(&l);
	test_lengths(&l);
	test_regions(&l);
	test_write_multi(&l);
	test_irqs(&l);
	test_dma(&l);
	test_no_reply(&l);
	test_descriptors(&l);
	test_stream(&l);
	test_fuzz(&l);
	tap_eq(link_close(&l), 0, "the last client ends well");
	if (answer_fd >= 0)
		close(answer_fd);
	gpu_destroy(l.gpu);
	return tap_done();
}
