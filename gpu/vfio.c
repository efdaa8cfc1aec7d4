// SPDX-License-Identifier: MIT
/*
 * DOC: The vfio-user server
 *
 * One thread, the message thread, reads commands in order and answers each
 * before it reads the next. It never asks the client for anything and never
 * waits for somebody who does: a guest CPU may stand still behind the command
 * in hand, with the client's locks held, so a request of ours would not be
 * answered. Registers and doorbells are therefore only latched here; what takes
 * long is done by the units' own threads. The waits that remain are for agents
 * to reach their next boundary (DMA_UNMAP, bus master off, reset), which takes
 * microseconds.
 *
 * Every handler checks the length of what came before it looks at it, takes
 * what it needs of the descriptors, and returns 0 or -errno; the reply, or the
 * silence that NO_REPLY asks for, is made in one place, and all descriptors
 * that nobody took are closed in one place.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dma.h"
#include "irq.h"
#include "pci.h"
#include "regs.h"
#include "reset.h"
#include "vfio.h"
#include "vfio_caps.h"
#include "vfio_xfer.h"
#include "vram.h"

/* Only MSI-X has vectors; the device errors and requests of vfio are not for us. */
#define NUM_IRQS	(VFIO_PCI_MSIX_IRQ_INDEX + 1)

struct vfio {
	struct stream stream;
	struct xfers xfers;
	bool negotiated;
	struct message msg;	/* the one in hand */
	uint8_t *reply;		/* VU_MAX_BODY bytes */
	size_t reply_len;
	int reply_fd;		/* -1: none; not ours to close */
	struct vu_header reply_header;
};

/* ---- Windows for dma.c ---------------------------------------------------- */

static int vfio_xfer(struct gpu *gpu, bool write, uint64_t bus, void *buf, size_t len)
{
	return xfers_copy(&gpu->vfio->xfers, write, bus, buf, len);
}

static void vfio_gate(struct gpu *gpu, bool open)
{
	xfers_gate(&gpu->vfio->xfers, open);
}

static const struct dma_messages vfio_messages = { .xfer = vfio_xfer, .gate = vfio_gate };

/* ---- Commands -------------------------------------------------------------- */

static int vfio_version(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vfio_caps caps = {0};
	struct vu_version version;
	char *text = (char *)v->reply + sizeof(version);
	uint64_t max_data = VU_MAX_DATA;
	int n, start;

	if (v->negotiated || v->msg.len < sizeof(version))
		return -EINVAL;
	memcpy(&version, v->msg.body, sizeof(version));
	if (version.major != VU_MAJOR)
		return -ENOTSUP;
	if (v->msg.len > sizeof(version)) {
		size_t len = v->msg.len - sizeof(version);
		const char *json = (char *)v->msg.body + sizeof(version);

		if (json[len - 1] != '\0' || vfio_caps_parse(&caps, json, len - 1))
			return -EINVAL;
	}
	if (caps.has_max_data && caps.max_data < max_data)
		max_data = caps.max_data;

	version.minor = VU_MINOR;
	memcpy(v->reply, &version, sizeof(version));
	/* Only what the client has named may be in the reply. */
	n = sprintf(text, "{\"capabilities\":{");
	start = n;
	if (caps.has_max_data)
		n += sprintf(text + n, "\"max_data_xfer_size\":%u,", VU_MAX_DATA);
	if (caps.has_max_fds)
		n += sprintf(text + n, "\"max_msg_fds\":%u,", VU_MAX_FDS);
	if (caps.has_pgsizes)
		n += sprintf(text + n, "\"pgsizes\":%llu,", ~0xfffull);
	if (caps.write_multiple)
		n += sprintf(text + n, "\"write_multiple\":true,");
	n -= n > start;	/* the last comma */
	n += sprintf(text + n, "}}");
	v->reply_len = sizeof(version) + n + 1;
	v->negotiated = true;
	xfers_connect(&v->xfers, &v->stream, max_data);
	return 0;
}

static int vfio_dma_map(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vu_dma_map map;
	bool read, write;
	uint64_t offset;

	if (v->msg.len != sizeof(map))
		return -EINVAL;
	memcpy(&map, v->msg.body, sizeof(map));
	if (map.argsz < sizeof(map) || v->msg.fds > 1 || !map.flags ||
	    map.flags & ~(VU_DMA_MAP_READ | VU_DMA_MAP_WRITE))
		return -EINVAL;
	read = map.flags & VU_DMA_MAP_READ;
	write = map.flags & VU_DMA_MAP_WRITE;
	if (v->msg.fds)
		return dma_map(gpu, map.addr, map.size, read, write, v->msg.fd[0], map.offset);
	if (pci_own_vram(gpu, map.addr, map.size, &offset))
		return dma_map_host(gpu, map.addr, map.size, read, write, gpu->vram + offset);
	return dma_map_host(gpu, map.addr, map.size, read, write, NULL);
}

static int vfio_dma_unmap(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vu_dma_unmap unmap;
	int ret = 0;

	if (v->msg.len != sizeof(unmap))
		return -EINVAL;
	memcpy(&unmap, v->msg.body, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap) || unmap.flags & ~VU_DMA_UNMAP_ALL)
		return -EINVAL;
	if (unmap.flags & VU_DMA_UNMAP_ALL)
		dma_unmap_all(gpu);
	else
		ret = dma_unmap(gpu, unmap.addr, unmap.size);
	memcpy(v->reply, &unmap, sizeof(unmap));
	v->reply_len = sizeof(unmap);
	return ret;
}

static int vfio_get_info(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct { uint32_t argsz, flags, num_regions, num_irqs; } info;

	if (v->msg.len != sizeof(info))
		return -EINVAL;
	memcpy(&info, v->msg.body, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = NUM_IRQS;
	memcpy(v->reply, &info, sizeof(info));
	v->reply_len = sizeof(info);
	return 0;
}

static uint64_t vfio_region_size(struct gpu *gpu, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		return GSVM_REGS_SIZE;
	case VFIO_PCI_BAR2_REGION_INDEX:
		return gpu->cfg.vram_size;
	case VFIO_PCI_BAR4_REGION_INDEX:
		return DOORBELL_BAR_SIZE;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return PCI_CONFIG_SIZE;
	default:
		return 0;
	}
}

static int vfio_get_region_info(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vfio_region_info info;

	if (v->msg.len != sizeof(info))
		return -EINVAL;
	memcpy(&info, v->msg.body, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = 0;
	info.cap_offset = 0;
	info.size = vfio_region_size(gpu, info.index);
	info.offset = 0;
	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (info.index == GSVM_BAR_VRAM) {
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
		v->reply_fd = gpu->vram_fd;
	}
	memcpy(v->reply, &info, sizeof(info));
	v->reply_len = sizeof(info);
	return 0;
}

static int vfio_get_irq_info(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vfio_irq_info info;

	if (v->msg.len != sizeof(info))
		return -EINVAL;
	memcpy(&info, v->msg.body, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= NUM_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = 0;
	info.count = 0;
	if (info.index == VFIO_PCI_MSIX_IRQ_INDEX) {
		info.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE;
		info.count = GSVM_NUM_VECTORS;
	}
	memcpy(v->reply, &info, sizeof(info));
	v->reply_len = sizeof(info);
	return 0;
}

/* One descriptor per vector, or none at all to take them away. */
static int vfio_set_eventfds(struct gpu *gpu, const struct vfio_irq_set *set)
{
	struct message *m = &gpu->vfio->msg;
	int ret = 0;

	if (m->fds && m->fds != set->count)
		return -EINVAL;
	for (uint32_t i = 0; i < set->count && !ret; i++) {
		int fd = -1;

		if (m->fds) {
			fd = m->fd[i];
			m->fd[i] = -1;
		}
		ret = irq_set_eventfd(gpu, set->start + i, fd);
	}
	return ret;
}

static void vfio_irq_act(struct gpu *gpu, uint32_t action, unsigned int vector)
{
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		irq_raise(gpu, vector);
	else
		irq_set_mask(gpu, vector, action == VFIO_IRQ_SET_ACTION_MASK);
}

static int vfio_set_irqs(struct gpu *gpu)
{
	struct message *m = &gpu->vfio->msg;
	struct vfio_irq_set set;
	uint32_t action, data, max;

	if (m->len < sizeof(set))
		return -EINVAL;
	memcpy(&set, m->body, sizeof(set));
	if (set.argsz < sizeof(set) || set.index >= NUM_IRQS ||
	    set.flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return -EINVAL;
	action = set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	data = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	max = set.index == VFIO_PCI_MSIX_IRQ_INDEX ? GSVM_NUM_VECTORS : 0;
	if (__builtin_popcount(action) != 1 || __builtin_popcount(data) != 1 ||
	    set.start > max || set.count > max - set.start ||
	    m->len != sizeof(set) + (data == VFIO_IRQ_SET_DATA_BOOL ? set.count : 0))
		return -EINVAL;

	if (data == VFIO_IRQ_SET_DATA_EVENTFD)
		return action == VFIO_IRQ_SET_ACTION_TRIGGER && set.count ?
			vfio_set_eventfds(gpu, &set) : -EINVAL;
	if (!set.count) {
		/* "All of it off" is TRIGGER with no data and no vector. */
		if (data != VFIO_IRQ_SET_DATA_NONE || action != VFIO_IRQ_SET_ACTION_TRIGGER ||
		    set.start)
			return -EINVAL;
		for (unsigned int i = 0; i < max; i++)
			irq_set_eventfd(gpu, i, -1);
		return 0;
	}
	for (uint32_t i = 0; i < set.count; i++)
		if (data == VFIO_IRQ_SET_DATA_NONE || m->body[sizeof(set) + i])
			vfio_irq_act(gpu, action, set.start + i);
	return 0;
}

/* Bounds are checked. What a BAR says while memory space is off: nothing. */
static void vfio_read_region(struct gpu *gpu, const struct vu_region *r, void *buf)
{
	if (r->region == VFIO_PCI_CONFIG_REGION_INDEX)
		pci_config_read(gpu, r->offset, buf, r->count);
	else if (!pci_memory_enabled(gpu))
		memset(buf, 0xff, r->count);
	else if (r->region == GSVM_BAR_REGS)
		regs_read(gpu, r->offset, buf, r->count);
	else if (r->region == GSVM_BAR_VRAM)
		vram_read(gpu, r->offset, buf, r->count);
	else
		memset(buf, 0, r->count);	/* doorbells */
}

static void vfio_write_region(struct gpu *gpu, const struct vu_region *r, const void *buf)
{
	if (r->region == VFIO_PCI_CONFIG_REGION_INDEX)
		pci_config_write(gpu, r->offset, buf, r->count);
	else if (!pci_memory_enabled(gpu))
		return;
	else if (r->region == GSVM_BAR_REGS)
		regs_write(gpu, r->offset, buf, r->count);
	else if (r->region == GSVM_BAR_VRAM)
		vram_write(gpu, r->offset, buf, r->count);
	else
		regs_doorbell(gpu, r->offset, buf, r->count);
}

static int vfio_check_region(struct gpu *gpu, const struct vu_region *r)
{
	uint64_t size = vfio_region_size(gpu, r->region);

	if (!size || !r->count || r->count > VU_MAX_DATA || r->offset >= size ||
	    r->count > size - r->offset)
		return -EINVAL;
	return 0;
}

static int vfio_region_read(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vu_region r;
	int ret;

	if (v->msg.len != sizeof(r))
		return -EINVAL;
	memcpy(&r, v->msg.body, sizeof(r));
	ret = vfio_check_region(gpu, &r);
	if (ret)
		return ret;
	memcpy(v->reply, &r, sizeof(r));
	vfio_read_region(gpu, &r, v->reply + sizeof(r));
	v->reply_len = sizeof(r) + r.count;
	return 0;
}

static int vfio_region_write(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	struct vu_region r;
	int ret;

	if (v->msg.len < sizeof(r))
		return -EINVAL;
	memcpy(&r, v->msg.body, sizeof(r));
	ret = vfio_check_region(gpu, &r);
	if (ret)
		return ret;
	if (v->msg.len != sizeof(r) + r.count)
		return -EINVAL;
	vfio_write_region(gpu, &r, v->msg.body + sizeof(r));
	memcpy(v->reply, &r, sizeof(r));
	v->reply_len = sizeof(r);
	return 0;
}

/* Several small writes in one message; all are looked at before any is done. */
static int vfio_region_write_multi(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	const struct vu_write_multi *multi = (const void *)v->msg.body;
	uint64_t count;

	if (v->msg.len < sizeof(count))
		return -EINVAL;
	memcpy(&count, v->msg.body, sizeof(count));
	if (count > (v->msg.len - sizeof(count)) / sizeof(multi->write[0]) ||
	    v->msg.len != sizeof(count) + count * sizeof(multi->write[0]))
		return -EINVAL;
	for (int pass = 0; pass < 2; pass++) {
		for (uint64_t i = 0; i < count; i++) {
			struct vu_region r = {
				multi->write[i].offset, multi->write[i].region,
				multi->write[i].count,
			};

			if (pass)
				vfio_write_region(gpu, &r, multi->write[i].data);
			else if (r.count > sizeof(multi->write[i].data) ||
				 vfio_check_region(gpu, &r))
				return -EINVAL;
		}
	}
	memcpy(v->reply, &count, sizeof(count));
	v->reply_len = sizeof(count);
	return 0;
}

static int vfio_reset(struct gpu *gpu)
{
	if (gpu->vfio->msg.len)
		return -EINVAL;
	reset_function(gpu);
	return 0;
}

static int vfio_command(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;

	if (v->msg.too_many)
		return -EINVAL;
	if (!v->negotiated && v->msg.header.command != VU_VERSION)
		return -EINVAL;
	switch (v->msg.header.command) {
	case VU_VERSION:
		return vfio_version(gpu);
	case VU_DMA_MAP:
		return vfio_dma_map(gpu);
	case VU_DMA_UNMAP:
		return vfio_dma_unmap(gpu);
	case VU_GET_INFO:
		return vfio_get_info(gpu);
	case VU_GET_REGION_INFO:
		return vfio_get_region_info(gpu);
	case VU_GET_IRQ_INFO:
		return vfio_get_irq_info(gpu);
	case VU_SET_IRQS:
		return vfio_set_irqs(gpu);
	case VU_REGION_READ:
		return vfio_region_read(gpu);
	case VU_REGION_WRITE:
		return vfio_region_write(gpu);
	case VU_REGION_WRITE_MULTI:
		return vfio_region_write_multi(gpu);
	case VU_RESET:
		return vfio_reset(gpu);
	default:
		return -ENOTSUP;
	}
}

/* ---- Messages --------------------------------------------------------------- */

static int vfio_message(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	uint32_t type = v->msg.header.flags & VU_TYPE;
	int ret;

	if (type == VU_TYPE_REPLY) {
		xfers_reply(&v->xfers, &v->msg);
		return 0;
	}
	v->reply_len = 0;
	v->reply_fd = -1;
	ret = type == VU_TYPE_COMMAND ? vfio_command(gpu) : -EINVAL;
	if (v->msg.header.flags & VU_NO_REPLY)
		return 0;
	v->reply_header = (struct vu_header) {
		.id = v->msg.header.id,
		.command = v->msg.header.command,
		.flags = VU_TYPE_REPLY | (ret ? VU_ERROR : 0),
		.error = -ret,
	};
	if (ret)
		return stream_send(&v->stream, &v->reply_header, NULL, 0, NULL, 0, -1);
	return stream_send(&v->stream, &v->reply_header, v->reply, v->reply_len, NULL, 0,
			   v->reply_fd);
}

static int vfio_loop(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;
	bool mid;
	int ret;

	do {
		ret = stream_receive(&v->stream, &v->msg);
		mid = ret < 0;
		if (ret > 0) {
			ret = vfio_message(gpu);
			ret = ret ? ret : 1;
		}
		message_close(&v->msg);
	} while (ret > 0);

	/* Gone while we answered: gone all the same. */
	if (!mid && (ret == -EPIPE || ret == -ECONNRESET))
		ret = 0;
	return ret;
}

int vfio_serve(struct gpu *gpu, int sock, int stop)
{
	struct vfio *v = gpu->vfio;
	int ret;

	pthread_mutex_lock(&v->stream.send_lock);
	v->stream.sock = sock;
	v->stream.stop = stop;
	pthread_mutex_unlock(&v->stream.send_lock);
	v->negotiated = false;
	dma_unblock(gpu, DMA_OFF_CLIENT);
	ret = vfio_loop(gpu);

	xfers_connect(&v->xfers, NULL, 0);
	stream_close(&v->stream);
	dma_block(gpu, DMA_OFF_CLIENT);
	dma_unmap_all(gpu);
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++) {
		irq_set_eventfd(gpu, i, -1);
		irq_set_mask(gpu, i, false);
	}
	return ret;
}

int vfio_init(struct gpu *gpu)
{
	struct vfio *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->msg.body = malloc(VU_MAX_BODY);
	v->reply = malloc(VU_MAX_BODY);
	if (!v->msg.body || !v->reply) {
		free(v->msg.body);
		free(v->reply);
		free(v);
		return -ENOMEM;
	}
	v->stream.sock = -1;
	v->stream.stop = -1;
	pthread_mutex_init(&v->stream.send_lock, NULL);
	xfers_init(&v->xfers);
	gpu->vfio = v;
	dma_block(gpu, DMA_OFF_CLIENT);
	dma_set_messages(gpu, &vfio_messages);
	return 0;
}

void vfio_exit(struct gpu *gpu)
{
	struct vfio *v = gpu->vfio;

	dma_set_messages(gpu, NULL);
	xfers_exit(&v->xfers);
	pthread_mutex_destroy(&v->stream.send_lock);
	free(v->msg.body);
	free(v->reply);
	free(v);
	gpu->vfio = NULL;
}
