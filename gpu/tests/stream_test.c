// SPDX-License-Identifier: MIT
/*
 * The vfio-user stream: messages that are cut, glued, not to be answered, full
 * of descriptors, of impossible sizes, or nonsense.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"
#include "tap.h"

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
		tap_ok(link_close(l) == -EMSGSIZE, "size %u is a broken stream", sizes[i]);
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
	struct { struct vu_region r; uint16_t command; } on = {
		{ PCI_COMMAND, VFIO_PCI_CONFIG_REGION_INDEX, 2 }, PCI_COMMAND_MEMORY,
	};
	struct vu_region r = { GSVM_REG_ID, GSVM_BAR_REGS, 4 };
	uint32_t id;

	tap_eq(call(l, VU_REGION_WRITE, &on, sizeof(on.r) + 2), 0, "memory space on");
	tap_eq(call(l, VU_REGION_READ, &r, sizeof(r)), 0, "the device answers");
	memcpy(&id, answer + 16, 4);
	tap_eq(id, GSVM_ID_MAGIC, "and is itself");
}

int main(void)
{
	struct gpu_config cfg = { .vram_size = 64 << 20, .num_cores = 2 };
	struct link l = {0};

	tap_need(!gpu_create(&cfg, &l.gpu), "gpu_create");
	link_ready(&l);
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
