/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM gsvm

#if !defined(GSVM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define GSVM_TRACE_H

#include <linux/mmu_notifier.h>
#include <linux/tracepoint.h>

#include "gsvm_device.h"
#include "gsvm_queue.h"

/*
 * Every event starts with the device's name (two GPUs can mirror one process)
 * and names address spaces by ASID and queues by hardware queue, never by a
 * kernel address. VAs are user addresses; ranges are half-open.
 */

/**
 * gsvm_fault_begin - service of the faults in one 2 MiB block begins
 * @gdev: the GPU
 * @asid: address space
 * @start: first VA of the block
 * @nfaults: fault records that the service answers
 */
TRACE_EVENT(gsvm_fault_begin,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, unsigned int nfaults),
	TP_ARGS(gdev, asid, start, nfaults),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u32, asid)
		__field(u32, nfaults)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->asid = asid;
		__entry->nfaults = nfaults;
	),
	TP_printk("%s asid=%u start=0x%llx nfaults=%u", __get_str(dev),
		  __entry->asid, __entry->start, __entry->nfaults)
);

/**
 * gsvm_fault_end - service of the faults in one 2 MiB block has ended
 * @gdev: the GPU
 * @asid: address space
 * @start: first VA of the block
 * @pages: 4 KiB pages that the service put into the mirror
 * @ret: 0 or the errno that ended it
 */
TRACE_EVENT(gsvm_fault_end,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, unsigned long pages, int ret),
	TP_ARGS(gdev, asid, start, pages, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u64, pages)
		__field(u32, asid)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->pages = pages;
		__entry->asid = asid;
		__entry->ret = ret;
	),
	TP_printk("%s asid=%u start=0x%llx pages=%llu ret=%d", __get_str(dev),
		  __entry->asid, __entry->start, __entry->pages, __entry->ret)
);

/**
 * gsvm_invalidate - an MMU notifier invalidation met mirrored pages
 * @gdev: the GPU
 * @asid: address space
 * @start: first VA
 * @end: end of the range
 * @event: enum mmu_notifier_event
 * @pages: 4 KiB pages that leave the mirror or lose a permission
 */
TRACE_EVENT(gsvm_invalidate,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, u64 end, unsigned int event,
		 unsigned long pages),
	TP_ARGS(gdev, asid, start, end, event, pages),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u64, end)
		__field(u64, pages)
		__field(u32, asid)
		__field(u32, event)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->end = end;
		__entry->pages = pages;
		__entry->asid = asid;
		__entry->event = event;
	),
	TP_printk("%s asid=%u start=0x%llx end=0x%llx event=%s pages=%llu", __get_str(dev),
		  __entry->asid, __entry->start, __entry->end,
		  __print_symbolic(__entry->event,
				   { MMU_NOTIFY_UNMAP, "unmap" },
				   { MMU_NOTIFY_CLEAR, "clear" },
				   { MMU_NOTIFY_PROTECTION_VMA, "protection-vma" },
				   { MMU_NOTIFY_PROTECTION_PAGE, "protection-page" },
				   { MMU_NOTIFY_SOFT_DIRTY, "soft-dirty" },
				   { MMU_NOTIFY_RELEASE, "release" },
				   { MMU_NOTIFY_MIGRATE, "migrate" },
				   { MMU_NOTIFY_EXCLUSIVE, "exclusive" }),
		  __entry->pages)
);

/**
 * gsvm_map - pages entered the mirror
 * @gdev: the GPU
 * @asid: address space
 * @start: first VA
 * @pages: 4 KiB pages
 * @huge: as one 2 MiB entry
 */
TRACE_EVENT(gsvm_map,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, unsigned long pages, bool huge),
	TP_ARGS(gdev, asid, start, pages, huge),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u64, pages)
		__field(u32, asid)
		__field(bool, huge)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->pages = pages;
		__entry->asid = asid;
		__entry->huge = huge;
	),
	TP_printk("%s asid=%u start=0x%llx pages=%llu huge=%u", __get_str(dev),
		  __entry->asid, __entry->start, __entry->pages, __entry->huge)
);

/**
 * gsvm_cmd_submit - commands entered the command ring
 * @gdev: the GPU
 * @op: operation of the last of them, GSVM_CMD_*
 * @id: its ASID or queue
 * @n: how many
 * @seq: completion number of the last
 */
TRACE_EVENT(gsvm_cmd_submit,
	TP_PROTO(struct gsvm_device *gdev, u32 op, u32 id, unsigned int n, u64 seq),
	TP_ARGS(gdev, op, id, n, seq),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, seq)
		__field(u32, op)
		__field(u32, id)
		__field(u32, n)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->seq = seq;
		__entry->op = op;
		__entry->id = id;
		__entry->n = n;
	),
	TP_printk("%s n=%u last=%s id=%u irq=%u seq=%llu", __get_str(dev), __entry->n,
		  __print_symbolic(__entry->op & GSVM_CMD_OP,
				   { GSVM_CMD_NOP, "nop" },
				   { GSVM_CMD_INVAL_RANGE, "inval-range" },
				   { GSVM_CMD_INVAL_ASID, "inval-asid" },
				   { GSVM_CMD_INVAL_ALL, "inval-all" },
				   { GSVM_CMD_FAULT_ACK, "fault-ack" },
				   { GSVM_CMD_RESUME, "resume" },
				   { GSVM_CMD_QUEUE_START, "queue-start" },
				   { GSVM_CMD_QUEUE_STOP, "queue-stop" },
				   { GSVM_CMD_QUEUE_CANCEL, "queue-cancel" }),
		  __entry->id, !!(__entry->op & GSVM_CMD_IRQ), __entry->seq)
);

/**
 * gsvm_cmd_wait - somebody waited for a command
 * @gdev: the GPU
 * @seq: completion number waited for
 * @ns: how long, in nanoseconds
 * @ret: 0 or -EIO
 */
TRACE_EVENT(gsvm_cmd_wait,
	TP_PROTO(struct gsvm_device *gdev, u64 seq, u64 ns, int ret),
	TP_ARGS(gdev, seq, ns, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, seq)
		__field(u64, ns)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->seq = seq;
		__entry->ns = ns;
		__entry->ret = ret;
	),
	TP_printk("%s seq=%llu ns=%llu ret=%d", __get_str(dev), __entry->seq,
		  __entry->ns, __entry->ret)
);

/**
 * gsvm_copy_submit - copies entered the ring of a copy engine
 * @gdev: the GPU
 * @engine: copy engine
 * @n: descriptors
 * @bytes: that they move
 * @seq: completion number of the last
 */
TRACE_EVENT(gsvm_copy_submit,
	TP_PROTO(struct gsvm_device *gdev, unsigned int engine, unsigned int n, u64 bytes,
		 u64 seq),
	TP_ARGS(gdev, engine, n, bytes, seq),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, bytes)
		__field(u64, seq)
		__field(u32, engine)
		__field(u32, n)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->bytes = bytes;
		__entry->seq = seq;
		__entry->engine = engine;
		__entry->n = n;
	),
	TP_printk("%s engine=%u n=%u bytes=%llu seq=%llu", __get_str(dev), __entry->engine,
		  __entry->n, __entry->bytes, __entry->seq)
);

/**
 * gsvm_copy_wait - somebody waited for copies
 * @gdev: the GPU
 * @engine: copy engine
 * @seq: completion number waited for
 * @ns: how long, in nanoseconds
 * @ret: 0 or -EIO
 */
TRACE_EVENT(gsvm_copy_wait,
	TP_PROTO(struct gsvm_device *gdev, unsigned int engine, u64 seq, u64 ns, int ret),
	TP_ARGS(gdev, engine, seq, ns, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, seq)
		__field(u64, ns)
		__field(u32, engine)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->seq = seq;
		__entry->ns = ns;
		__entry->engine = engine;
		__entry->ret = ret;
	),
	TP_printk("%s engine=%u seq=%llu ns=%llu ret=%d", __get_str(dev), __entry->engine,
		  __entry->seq, __entry->ns, __entry->ret)
);

DECLARE_EVENT_CLASS(gsvm_migrate_to_vram,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, u64 end, unsigned int pages),
	TP_ARGS(gdev, asid, start, end, pages),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u64, end)
		__field(u32, asid)
		__field(u32, pages)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->end = end;
		__entry->asid = asid;
		__entry->pages = pages;
	),
	TP_printk("%s asid=%u start=%#llx end=%#llx pages=%u", __get_str(dev), __entry->asid,
		  __entry->start, __entry->end, __entry->pages)
);

/**
 * gsvm_migrate_in - pages of a window have moved to VRAM
 * @gdev: the GPU
 * @asid: address space that asked
 * @start: first byte of the window
 * @end: byte behind the last
 * @pages: 4 KiB pages that moved
 */
DEFINE_EVENT(gsvm_migrate_to_vram, gsvm_migrate_in,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, u64 end, unsigned int pages),
	TP_ARGS(gdev, asid, start, end, pages)
);

/**
 * gsvm_migrate_across - pages of a window have come from the VRAM of other GPUs
 * @gdev: the GPU
 * @asid: address space that asked
 * @start: first byte of the window
 * @end: byte behind the last
 * @pages: 4 KiB pages that moved
 */
DEFINE_EVENT(gsvm_migrate_to_vram, gsvm_migrate_across,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, u64 end, unsigned int pages),
	TP_ARGS(gdev, asid, start, end, pages)
);

/**
 * gsvm_watched - a block was held to see what the device uses of it
 * @gdev: the GPU
 * @asid: address space
 * @start: first address of the block
 * @used: 4 KiB pages that were used
 * @services: fault services of the address space meanwhile
 * @worth: the next fault moves it
 */
TRACE_EVENT(gsvm_watched,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u64 start, unsigned int used, u64 services,
		 bool worth),
	TP_ARGS(gdev, asid, start, used, services, worth),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u64, services)
		__field(u32, asid)
		__field(u32, used)
		__field(bool, worth)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->services = services;
		__entry->asid = asid;
		__entry->used = used;
		__entry->worth = worth;
	),
	TP_printk("%s asid=%u start=%#llx used=%u services=%llu worth=%d", __get_str(dev),
		  __entry->asid, __entry->start, __entry->used, __entry->services, __entry->worth)
);

/**
 * gsvm_migrate_out - pages of a window have come back for a CPU
 * @gdev: the GPU
 * @start: first byte of the window
 * @end: byte behind the last
 * @pages: 4 KiB pages that moved
 * @ret: 0 or an errno
 */
TRACE_EVENT(gsvm_migrate_out,
	TP_PROTO(struct gsvm_device *gdev, u64 start, u64 end, unsigned int pages, int ret),
	TP_ARGS(gdev, start, end, pages, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, start)
		__field(u64, end)
		__field(u32, pages)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->end = end;
		__entry->pages = pages;
		__entry->ret = ret;
	),
	TP_printk("%s start=%#llx end=%#llx pages=%u ret=%d", __get_str(dev), __entry->start,
		  __entry->end, __entry->pages, __entry->ret)
);

/**
 * gsvm_evict - a chunk of VRAM was taken from its owners
 * @gdev: the GPU
 * @chunk: number of the chunk
 * @pages: 4 KiB pages that have gone
 * @left: pages that are still in it
 */
TRACE_EVENT(gsvm_evict,
	TP_PROTO(struct gsvm_device *gdev, unsigned int chunk, unsigned int pages,
		 unsigned int left),
	TP_ARGS(gdev, chunk, pages, left),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u32, chunk)
		__field(u32, pages)
		__field(u32, left)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->chunk = chunk;
		__entry->pages = pages;
		__entry->left = left;
	),
	TP_printk("%s chunk=%u pages=%u left=%u", __get_str(dev), __entry->chunk, __entry->pages,
		  __entry->left)
);

DECLARE_EVENT_CLASS(gsvm_queue,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u32 hwq),
	TP_ARGS(gdev, asid, hwq),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u32, asid)
		__field(u32, hwq)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->asid = asid;
		__entry->hwq = hwq;
	),
	TP_printk("%s asid=%u hwq=%u", __get_str(dev), __entry->asid, __entry->hwq)
);

/**
 * gsvm_queue_create - a queue runs
 * @gdev: the GPU
 * @asid: its address space
 * @hwq: hardware queue
 */
DEFINE_EVENT(gsvm_queue, gsvm_queue_create,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u32 hwq),
	TP_ARGS(gdev, asid, hwq)
);

/**
 * gsvm_queue_destroy - a queue was stopped for good
 * @gdev: the GPU
 * @asid: its address space
 * @hwq: hardware queue
 */
DEFINE_EVENT(gsvm_queue, gsvm_queue_destroy,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u32 hwq),
	TP_ARGS(gdev, asid, hwq)
);

/**
 * gsvm_queue_error - a queue died
 * @gdev: the GPU
 * @asid: its address space
 * @hwq: hardware queue
 * @err: its record
 */
TRACE_EVENT(gsvm_queue_error,
	TP_PROTO(struct gsvm_device *gdev, u32 asid, u32 hwq, const struct gsvm_queue_error *err),
	TP_ARGS(gdev, asid, hwq, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(gdev->drm.dev))
		__field(u64, addr)
		__field(u64, pc)
		__field(u64, packet)
		__field(u64, work_item)
		__field(u32, asid)
		__field(u32, hwq)
		__field(u32, error)
		__field(u32, reason)
		__field(u32, access)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->addr = err->addr;
		__entry->pc = err->pc;
		__entry->packet = err->packet;
		__entry->work_item = err->work_item;
		__entry->asid = asid;
		__entry->hwq = hwq;
		__entry->error = err->error;
		__entry->reason = err->reason;
		__entry->access = err->access;
	),
	TP_printk("%s asid=%u hwq=%u error=%u reason=%u access=%u addr=0x%llx pc=0x%llx packet=%llu work_item=%llu",
		  __get_str(dev), __entry->asid, __entry->hwq, __entry->error,
		  __entry->reason, __entry->access, __entry->addr, __entry->pc,
		  __entry->packet, __entry->work_item)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE gsvm_trace
#include <trace/define_trace.h>
