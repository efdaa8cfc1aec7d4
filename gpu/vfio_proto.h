/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user protocol on the wire, version 0.0, as QEMU documents it in
 * docs/interop/vfio-user.rst. Host byte order; packed by nature.
 */
#ifndef GPU_VFIO_PROTO_H
#define GPU_VFIO_PROTO_H

#include <stdint.h>

#define VU_MAJOR		0
#define VU_MINOR		0

enum vu_command {
	VU_VERSION		= 1,
	VU_DMA_MAP		= 2,
	VU_DMA_UNMAP		= 3,
	VU_GET_INFO		= 4,
	VU_GET_REGION_INFO	= 5,
	VU_GET_REGION_IO_FDS	= 6,
	VU_GET_IRQ_INFO		= 7,
	VU_SET_IRQS		= 8,
	VU_REGION_READ		= 9,
	VU_REGION_WRITE		= 10,
	VU_DMA_READ		= 11,	/* server to client */
	VU_DMA_WRITE		= 12,	/* server to client */
	VU_RESET		= 13,
	VU_DIRTY_PAGES		= 14,
	VU_REGION_WRITE_MULTI	= 15,
	VU_FEATURE		= 16,
	VU_MIG_DATA_READ	= 17,
	VU_MIG_DATA_WRITE	= 18,
};

#define VU_TYPE			0xfu
#define VU_TYPE_COMMAND		0u
#define VU_TYPE_REPLY		1u
#define VU_NO_REPLY		(1u << 4)
#define VU_ERROR		(1u << 5)

struct vu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size;		/* with this header */
	uint32_t flags;
	uint32_t error;		/* errno */
};

struct vu_version {
	uint16_t major;
	uint16_t minor;
	/* JSON text with its NUL follows. */
};

struct vu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t addr;
	uint64_t size;
};

#define VU_DMA_MAP_READ		(1u << 0)
#define VU_DMA_MAP_WRITE	(1u << 1)

struct vu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
};

#define VU_DMA_UNMAP_ALL	(1u << 1)

/* Region reads and writes; data follows in writes and in replies to reads. */
struct vu_region {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};

struct vu_write_multi {
	uint64_t count;
	struct {
		uint64_t offset;
		uint32_t region;
		uint32_t count;
		uint8_t data[8];
	} write[];
};

/* DMA reads and writes; data likewise. */
struct vu_dma {
	uint64_t addr;
	uint64_t count;
};

#define VU_MAX_DATA		(1u << 20)	/* bytes of data in one message, default and ours */
#define VU_MAX_BODY		(VU_MAX_DATA + 64)
#define VU_MAX_FDS		16		/* in one message to us */

#endif
