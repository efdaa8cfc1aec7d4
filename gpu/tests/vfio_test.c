// SPDX-License-Identifier: MIT
/*
 * The vfio-user protocol, command by command, good and bad. Speaks over a bare
 * socket; the device is used only to see effects.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "link.h"
#include "tap.h"

#define VRAM	(64ull << 20)

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
			void *p = mmap(NULL, VRAM, PROT_READ, MAP_SHARED, answer_fd, 0);

			tap_ok(p != MAP_FAILED, "but mapped");
			munmap(p, VRAM);
		}
	}
	region.argsz = sizeof(region);
	region.index = VFIO_PCI_NUM_REGIONS;
	tap_eq(call(l, VU_GET_REGION_INFO, &region, sizeof(region)), (uint64_t)-EINVAL, "region 9");
	region.index = ~0u;
	tap_eq(call(l, VU_GET_REGION_INFO, &region, sizeof(region)), (uint64_t)-EINVAL,
	       "region ~0");
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
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 2 * 24), (uint64_t)-EINVAL, "too few");
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 4 * 24), (uint64_t)-EINVAL, "too many");
	m.count = 1ull << 61;
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 3 * 24), (uint64_t)-EINVAL, "count absurd");
	m.count = 3;
	m.w[0].data = 0x9000;
	m.w[2].r.count = 9;
	tap_eq(call(l, VU_REGION_WRITE_MULTI, &m, 8 + 3 * 24), (uint64_t)-EINVAL, "a bad third");
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
	tap_eq(set_irqs(l, 2, EVENTFD_TRIGGER, 0, 7, NULL, 0, fd, 8), (uint64_t)-EINVAL, "surplus");
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
	tap_eq(link_close(&l), 0, "the client ends well");
	if (answer_fd >= 0)
		close(answer_fd);
	gpu_destroy(l.gpu);
	return tap_done();
}
