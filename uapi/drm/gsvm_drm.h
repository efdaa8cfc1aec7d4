/* SPDX-License-Identifier: MIT */
/*
 * The contract between gsvm.ko and user space.
 *
 * Rules that hold for every ioctl of this file:
 *
 * - Unknown flags, and padding or reserved fields that are not zero, give
 *   -EINVAL. Structures grow at their end only; zero means "as before".
 * - Handles (VMs, queues) belong to the file that made them, are never 0, and
 *   end with the file. An unknown one gives -ENOENT.
 * - A VM mirrors the memory of the process that created it. A call that names
 *   a VM or a queue from a process with other memory gives -EPERM; only
 *   destroying is allowed from anywhere.
 * - The device gone (unplugged, driver unbound) gives -ENODEV; the device dead
 *   (needs a reset it did not get) gives -EIO.
 * - An interrupted call gives -EINTR or is restarted with its arguments
 *   unchanged.
 */
#ifndef GSVM_DRM_H
#define GSVM_DRM_H

#include <drm/drm.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Driver name as DRM_IOCTL_VERSION returns it, and its version history. */
#define DRM_GSVM_NAME "gsvm"
/*
 * 1.0: VMs that mirror the process, user-mode queues, faults, WAIT.
 * 1.1: memory moves to VRAM and back: PREFETCH, RESIDENCY, VM_SET.
 */

/**
 * enum drm_gsvm_ioctl_id - ioctl numbers, append only
 * @DRM_GSVM_DEVICE_QUERY: read a property of the device
 * @DRM_GSVM_VM_CREATE: make an address space that mirrors the caller's memory
 * @DRM_GSVM_VM_DESTROY: destroy one, with all its queues
 * @DRM_GSVM_VM_QUERY: read its statistics
 * @DRM_GSVM_QUEUE_CREATE: make a user-mode queue
 * @DRM_GSVM_QUEUE_DESTROY: destroy one; its work is dropped
 * @DRM_GSVM_QUEUE_QUERY: read its state and error record
 * @DRM_GSVM_WAIT: sleep until a signal has a value
 * @DRM_GSVM_PREFETCH: move memory to VRAM or to system memory
 * @DRM_GSVM_RESIDENCY: ask where memory is
 * @DRM_GSVM_VM_SET: change a property of a VM
 */
enum drm_gsvm_ioctl_id {
	DRM_GSVM_DEVICE_QUERY = 0,
	DRM_GSVM_VM_CREATE = 1,
	DRM_GSVM_VM_DESTROY = 2,
	DRM_GSVM_VM_QUERY = 3,
	DRM_GSVM_QUEUE_CREATE = 4,
	DRM_GSVM_QUEUE_DESTROY = 5,
	DRM_GSVM_QUEUE_QUERY = 6,
	DRM_GSVM_WAIT = 7,
	DRM_GSVM_PREFETCH = 8,
	DRM_GSVM_RESIDENCY = 9,
	DRM_GSVM_VM_SET = 10,
};

/* Values of &drm_gsvm_device_query.param; append only. */
#define DRM_GSVM_PARAM_HW_VERSION	0	/* major << 16 | minor */
#define DRM_GSVM_PARAM_VRAM_SIZE	1	/* bytes */
#define DRM_GSVM_PARAM_VA_BITS		2	/* bits of a GPU virtual address */
#define DRM_GSVM_PARAM_NUM_CORES	3	/* compute cores */
#define DRM_GSVM_PARAM_MAX_HARTS	4	/* work-items in flight, whole device */
#define DRM_GSVM_PARAM_MAX_GROUP	5	/* work-items per work-group */
#define DRM_GSVM_PARAM_GROUP_MEM	6	/* bytes of group memory per work-group */
#define DRM_GSVM_PARAM_PRIVATE_MEM	7	/* bytes of private memory per work-item */
#define DRM_GSVM_PARAM_MAX_QUEUES	8	/* queues per VM */
#define DRM_GSVM_PARAM_QUEUE_FORMATS	9	/* bit mask, 1 << DRM_GSVM_QUEUE_FORMAT_* */
#define DRM_GSVM_PARAM_TIMESTAMP	10	/* device clock now, in nanoseconds */
#define DRM_GSVM_PARAM_VRAM_FREE	11	/* bytes of VRAM that nobody uses now */
#define DRM_GSVM_PARAM_VRAM_EVICTED	12	/* 4 KiB pages ever evicted for want of VRAM */
#define DRM_GSVM_PARAM_GPU_ID		13	/* this GPU in DRM_GSVM_RESIDENCY_GPU */

/**
 * struct drm_gsvm_device_query - DRM_IOCTL_GSVM_DEVICE_QUERY
 *
 * Errors: -EINVAL for a parameter that does not exist.
 */
struct drm_gsvm_device_query {
	/** @param: in, DRM_GSVM_PARAM_* */
	__u32 param;
	/** @pad: in, zero */
	__u32 pad;
	/** @value: out */
	__u64 value;
};

/**
 * struct drm_gsvm_vm_create - DRM_IOCTL_GSVM_VM_CREATE
 *
 * The new address space mirrors all memory of the calling process, as it is
 * and as it changes, with the CPU's permissions.
 *
 * Errors: -ENOSPC when the device has no address space left, -ENOMEM.
 */
struct drm_gsvm_vm_create {
	/** @flags: in, zero */
	__u32 flags;
	/** @vm_id: out, handle of the VM */
	__u32 vm_id;
};

/**
 * struct drm_gsvm_vm_destroy - DRM_IOCTL_GSVM_VM_DESTROY
 *
 * Running work is dropped; when the call returns, the device reaches no memory
 * of the process through this VM any more.
 */
struct drm_gsvm_vm_destroy {
	/** @vm_id: in */
	__u32 vm_id;
	/** @pad: in, zero */
	__u32 pad;
};

/**
 * struct drm_gsvm_vm_query - DRM_IOCTL_GSVM_VM_QUERY
 *
 * Counters since the VM was made, unless said otherwise. They are read one by
 * one, so they need not be of one instant.
 */
struct drm_gsvm_vm_query {
	/** @vm_id: in */
	__u32 vm_id;
	/** @flags: in, zero */
	__u32 flags;
	/** @faults: out, fault records that the device reported */
	__u64 faults;
	/** @faults_failed: out, those that ended a queue */
	__u64 faults_failed;
	/** @fault_services: out, block services (many faults can share one) */
	__u64 fault_services;
	/** @fault_retries: out, services repeated because the memory changed */
	__u64 fault_retries;
	/** @fault_ns: out, nanoseconds from the beginning of services to their answer, summed */
	__u64 fault_ns;
	/** @pages_mapped: out, 4 KiB pages that entered the mirror */
	__u64 pages_mapped;
	/** @pages_now: out, 4 KiB pages in the mirror now */
	__u64 pages_now;
	/** @huge_mapped: out, 2 MiB entries made (their pages count above too) */
	__u64 huge_mapped;
	/** @invalidations: out, invalidation callbacks that met mirrored pages */
	__u64 invalidations;
	/** @pages_invalidated: out, 4 KiB pages that left the mirror by them */
	__u64 pages_invalidated;
	/** @pages_dirtied: out, 4 KiB pages written by the device when they left */
	__u64 pages_dirtied;
	/** @metadata_bytes: out, kernel memory the mirror takes now, in bytes */
	__u64 metadata_bytes;
	/** @bytes_migrated: out, bytes copied between memories */
	__u64 bytes_migrated;
	/** @pages_to_vram: out, 4 KiB pages that moved to VRAM */
	__u64 pages_to_vram;
	/** @pages_to_system: out, those that came back because the CPU or a prefetch wanted them */
	__u64 pages_to_system;
	/**
	 * @bounces: out, times that a block was left where it was because it went to and
	 * fro, or because VRAM is short and little of it was used
	 */
	__u64 bounces;
};

/* Values of &drm_gsvm_vm_set.param; append only. */
#define DRM_GSVM_VM_PARAM_MIGRATE	0	/* DRM_GSVM_MIGRATE_* */

/* When a fault of the GPU moves memory to VRAM. A prefetch always does. */
#define DRM_GSVM_MIGRATE_NEVER		0	/* memory stays, the GPU maps it */
#define DRM_GSVM_MIGRATE_FIRST		1	/* at the first fault in a 2 MiB block; the default */
#define DRM_GSVM_MIGRATE_SECOND		2	/* at the second */

/**
 * struct drm_gsvm_vm_set - DRM_IOCTL_GSVM_VM_SET
 *
 * Holds for faults from now on.
 *
 * Errors: -EINVAL for a parameter or a value that does not exist.
 */
struct drm_gsvm_vm_set {
	/** @vm_id: in */
	__u32 vm_id;
	/** @param: in, DRM_GSVM_VM_PARAM_* */
	__u32 param;
	/** @value: in */
	__u64 value;
};

/* Values of &drm_gsvm_prefetch.region */
#define DRM_GSVM_REGION_SYSTEM		0
#define DRM_GSVM_REGION_VRAM		1	/* of the GPU of the file */

/* &drm_gsvm_prefetch.flags */
#define DRM_GSVM_PREFETCH_ASYNC		(1 << 0)

/**
 * struct drm_gsvm_prefetch - DRM_IOCTL_GSVM_PREFETCH
 *
 * Moves the pages of a range, as many as can be moved: pages that are shared,
 * pinned, locked, of a file or of a huge page file system stay where they are,
 * addresses with nothing mapped are passed over, and memory that was never
 * touched is made in VRAM at once. The data is never at risk, and the process
 * may use it all the while.
 *
 * With DRM_GSVM_PREFETCH_ASYNC the call returns at once; when all is done, the
 * value of the signal is decremented, as a packet's completion does it, and
 * DRM_IOCTL_GSVM_WAIT on it returns. The work ends early, and the signal is
 * still decremented, when the VM is destroyed. Without it, the call returns
 * when all is done, or with -EINTR when a signal of the process interrupts it:
 * what has moved until then has moved.
 *
 * Errors: -EINVAL for a bad flag, region or alignment, an empty or impossible
 * range, or a signal without DRM_GSVM_PREFETCH_ASYNC; -EFAULT for a signal
 * that cannot be written; -ENOENT when the VM is destroyed meanwhile; -ENOMEM;
 * -EIO; -EINTR. That there is no VRAM is none: nothing moves.
 */
struct drm_gsvm_prefetch {
	/** @vm_id: in */
	__u32 vm_id;
	/** @flags: in, DRM_GSVM_PREFETCH_* */
	__u32 flags;
	/** @start: in, first byte, a multiple of 4096 */
	__u64 start;
	/** @length: in, bytes, a multiple of 4096, not 0 */
	__u64 length;
	/** @region: in, DRM_GSVM_REGION_* */
	__u32 region;
	/** @pad: in, zero */
	__u32 pad;
	/** @signal: in, address of a struct gsvm_signal, a multiple of 64; 0: none */
	__u64 signal;
	/** @moved: out, 4 KiB pages that this call moved; 0 with DRM_GSVM_PREFETCH_ASYNC */
	__u64 moved;
};

/* One 32-bit word of &drm_gsvm_residency.pages. */
#define DRM_GSVM_RESIDENCY_WHERE	0xff		/* mask of the next four */
#define DRM_GSVM_RESIDENCY_ABSENT	0		/* no page: untouched, swapped, unmapped */
#define DRM_GSVM_RESIDENCY_SYSTEM	1
#define DRM_GSVM_RESIDENCY_VRAM		2		/* see DRM_GSVM_RESIDENCY_GPU */
#define DRM_GSVM_RESIDENCY_MOVING	3		/* no page, while a move is under way that may have it */
#define DRM_GSVM_RESIDENCY_WRITE	(1 << 8)	/* the process may write without a fault */
#define DRM_GSVM_RESIDENCY_HUGE		(1 << 9)	/* part of a 2 MiB page of the process */
#define DRM_GSVM_RESIDENCY_GPU_SHIFT	16		/* DRM_GSVM_PARAM_GPU_ID of the VRAM's GPU */

/**
 * struct drm_gsvm_residency - DRM_IOCTL_GSVM_RESIDENCY
 *
 * A look without any effect: nothing is brought in or moved. The words of one
 * 2 MiB block are of one instant.
 *
 * Errors: -EINVAL for a bad flag or alignment, an empty or impossible range,
 * or one of more than 1 GiB; -EFAULT for @pages; -EAGAIN when the memory
 * changed all the time; -ENOMEM; -EINTR.
 */
struct drm_gsvm_residency {
	/** @vm_id: in */
	__u32 vm_id;
	/** @flags: in, zero */
	__u32 flags;
	/** @start: in, first byte, a multiple of 4096 */
	__u64 start;
	/** @length: in, bytes, a multiple of 4096, not 0 */
	__u64 length;
	/** @pages: in, address of one 32-bit word per 4 KiB page, written */
	__u64 pages;
};

/* A ring of 64-byte AQL packets; hw/gsvm_hw.h has the packets. */
#define DRM_GSVM_QUEUE_FORMAT_AQL64	0

/**
 * struct drm_gsvm_queue_create - DRM_IOCTL_GSVM_QUEUE_CREATE
 *
 * The ring and the read index lie in the process's memory and stay the
 * caller's. To submit, write packets, then write the new write index (the
 * number of packets ever published, 64-bit) to the doorbell; no system call is
 * needed. To reach the doorbell, mmap() 4096 bytes of the file at
 * @doorbell_mmap, PROT_WRITE, MAP_SHARED; the page is the same for all queues
 * of one VM, and the doorbell is at @doorbell_offset in it.
 *
 * Errors: -EINVAL for a bad flag, format, size or alignment, or an address
 * that user space cannot have; -ENOSPC when the VM or the device has no queue
 * left; -ENOMEM; -EIO when the device did not take the queue.
 */
struct drm_gsvm_queue_create {
	/** @vm_id: in */
	__u32 vm_id;
	/** @flags: in, zero */
	__u32 flags;
	/** @format: in, DRM_GSVM_QUEUE_FORMAT_* */
	__u32 format;
	/** @ring_packets: in, size of the ring in packets, a power of two, 2..65536 */
	__u32 ring_packets;
	/** @ring: in, address of the ring, a multiple of 64 */
	__u64 ring;
	/**
	 * @read_index: in, address of the 64-bit read index, a multiple of 8.
	 * The device counts consumed packets there, from the value it finds.
	 */
	__u64 read_index;
	/**
	 * @hart_limit: in, instructions that one work-item may execute before
	 * the queue ends with DRM_GSVM_ERROR_LIMIT, in units of 2^20; 0: any
	 */
	__u32 hart_limit;
	/** @queue_id: out, handle of the queue */
	__u32 queue_id;
	/** @doorbell_mmap: out, offset for mmap() */
	__u64 doorbell_mmap;
	/** @doorbell_offset: out, offset of the doorbell in the mapped page */
	__u32 doorbell_offset;
	/** @pad: in, zero */
	__u32 pad;
};

/**
 * struct drm_gsvm_queue_destroy - DRM_IOCTL_GSVM_QUEUE_DESTROY
 *
 * Work that has not completed is dropped, its signals stay as they are. When
 * the call returns, the device makes no access for this queue any more.
 */
struct drm_gsvm_queue_destroy {
	/** @queue_id: in */
	__u32 queue_id;
	/** @pad: in, zero */
	__u32 pad;
};

/* Values of &drm_gsvm_queue_query.state */
#define DRM_GSVM_QUEUE_RUNNING		0
#define DRM_GSVM_QUEUE_DEAD		1	/* ended by an error; only destroying is left */

/* Values of &drm_gsvm_queue_query.error; append only. */
#define DRM_GSVM_ERROR_NONE		0
#define DRM_GSVM_ERROR_FAULT		1	/* access to memory that cannot be served, see @reason */
#define DRM_GSVM_ERROR_PACKET		2	/* malformed packet; @addr: its address */
#define DRM_GSVM_ERROR_KERNEL		3	/* malformed kernel descriptor; @addr: its address */
#define DRM_GSVM_ERROR_ILLEGAL		4	/* illegal instruction; @addr: the word */
#define DRM_GSVM_ERROR_MISALIGNED	5	/* misaligned atomic, instruction or signal; @addr */
#define DRM_GSVM_ERROR_TRAP		6	/* ecall or ebreak; @addr: the word */
#define DRM_GSVM_ERROR_LIMIT		7	/* a work-item exceeded hart_limit */
#define DRM_GSVM_ERROR_APERTURE		8	/* outside private or group memory; @addr */
#define DRM_GSVM_ERROR_DEVICE		9	/* the device failed or was reset */

/* Values of &drm_gsvm_queue_query.reason for DRM_GSVM_ERROR_FAULT; append only. */
#define DRM_GSVM_REASON_NONE		0
#define DRM_GSVM_REASON_NOT_MAPPED	1	/* nothing is mapped there (SIGSEGV, MAPERR) */
#define DRM_GSVM_REASON_PERMISSION	2	/* the mapping does not allow it (SIGSEGV, ACCERR) */
#define DRM_GSVM_REASON_BUS		3	/* past the end of a file, I/O error (SIGBUS) */
#define DRM_GSVM_REASON_POISON		4	/* hardware-poisoned page (SIGBUS, MCEERR) */
#define DRM_GSVM_REASON_NO_MEMORY	5	/* no memory could be had for the page */
#define DRM_GSVM_REASON_GONE		6	/* the process's memory is gone (exit, exec) */
#define DRM_GSVM_REASON_UNSUPPORTED	7	/* device or other memory that cannot be mirrored */
#define DRM_GSVM_REASON_HARDWARE	8	/* the device could not use its own page table or bus */
#define DRM_GSVM_REASON_BUSY		9	/* the process did not stop changing the memory there */

/* Values of &drm_gsvm_queue_query.access */
#define DRM_GSVM_ACCESS_READ		0
#define DRM_GSVM_ACCESS_WRITE		1
#define DRM_GSVM_ACCESS_EXEC		2
#define DRM_GSVM_ACCESS_ATOMIC		3

/**
 * struct drm_gsvm_queue_query - DRM_IOCTL_GSVM_QUEUE_QUERY
 *
 * The record of a dead queue stays readable until the queue is destroyed.
 */
struct drm_gsvm_queue_query {
	/** @queue_id: in */
	__u32 queue_id;
	/** @flags: in, zero */
	__u32 flags;
	/** @state: out, DRM_GSVM_QUEUE_* */
	__u32 state;
	/** @error: out, DRM_GSVM_ERROR_* */
	__u32 error;
	/** @reason: out, DRM_GSVM_REASON_* */
	__u32 reason;
	/** @access: out, DRM_GSVM_ACCESS_* where @addr is an access */
	__u32 access;
	/** @addr: out, by @error */
	__u64 addr;
	/** @pc: out, address of the instruction; 0: not by an instruction */
	__u64 pc;
	/** @packet: out, index of the packet in the queue */
	__u64 packet;
	/** @work_item: out, linear global id of the work-item */
	__u64 work_item;
	/** @time_ns: out, device clock, in nanoseconds */
	__u64 time_ns;
};

/* Values of &drm_gsvm_wait.op: wait until the signal's value is ... value. */
#define DRM_GSVM_WAIT_EQ		0
#define DRM_GSVM_WAIT_NE		1
#define DRM_GSVM_WAIT_LT		2	/* signed */
#define DRM_GSVM_WAIT_GE		3	/* signed */

/**
 * struct drm_gsvm_wait - DRM_IOCTL_GSVM_WAIT
 *
 * Sleeps until the 64-bit value of a signal (struct gsvm_signal of
 * hw/gsvm_hw.h) in the caller's memory satisfies the condition. The driver
 * sets the signal's interrupt request, so nothing has to be prepared. Changes
 * that the CPU makes do not wake a sleeper; only the device's do.
 *
 * Errors: -ETIME when the time is over; -EIO when @queue_id is dead and the
 * condition is not met; -ENODEV when the device goes; -ENOENT when the VM is
 * destroyed meanwhile; -EFAULT for an address that cannot be read and written;
 * -EINVAL for a bad flag, operation or alignment, or a queue of another VM;
 * -EINTR.
 */
struct drm_gsvm_wait {
	/** @vm_id: in, the VM whose queues change the signal */
	__u32 vm_id;
	/** @flags: in, zero */
	__u32 flags;
	/** @addr: in, address of the signal, a multiple of 64 */
	__u64 addr;
	/** @value: in, to compare with */
	__s64 value;
	/**
	 * @timeout_ns: in, absolute time of CLOCK_MONOTONIC, in nanoseconds; a
	 * time that has passed (0 too) polls; S64_MAX waits without end
	 */
	__s64 timeout_ns;
	/** @op: in, DRM_GSVM_WAIT_* */
	__u32 op;
	/** @queue_id: in, queue whose death ends the wait; 0: none */
	__u32 queue_id;
	/** @observed: out, the value last read, on success and -ETIME */
	__s64 observed;
};

#define DRM_IOCTL_GSVM(__access, __id, __type) \
	DRM_IO ## __access(DRM_COMMAND_BASE + DRM_GSVM_ ## __id, \
			   struct drm_gsvm_ ## __type)

#define DRM_IOCTL_GSVM_DEVICE_QUERY	DRM_IOCTL_GSVM(WR, DEVICE_QUERY, device_query)
#define DRM_IOCTL_GSVM_VM_CREATE	DRM_IOCTL_GSVM(WR, VM_CREATE, vm_create)
#define DRM_IOCTL_GSVM_VM_DESTROY	DRM_IOCTL_GSVM(W, VM_DESTROY, vm_destroy)
#define DRM_IOCTL_GSVM_VM_QUERY		DRM_IOCTL_GSVM(WR, VM_QUERY, vm_query)
#define DRM_IOCTL_GSVM_QUEUE_CREATE	DRM_IOCTL_GSVM(WR, QUEUE_CREATE, queue_create)
#define DRM_IOCTL_GSVM_QUEUE_DESTROY	DRM_IOCTL_GSVM(W, QUEUE_DESTROY, queue_destroy)
#define DRM_IOCTL_GSVM_QUEUE_QUERY	DRM_IOCTL_GSVM(WR, QUEUE_QUERY, queue_query)
#define DRM_IOCTL_GSVM_WAIT		DRM_IOCTL_GSVM(WR, WAIT, wait)
#define DRM_IOCTL_GSVM_PREFETCH		DRM_IOCTL_GSVM(WR, PREFETCH, prefetch)
#define DRM_IOCTL_GSVM_RESIDENCY	DRM_IOCTL_GSVM(W, RESIDENCY, residency)
#define DRM_IOCTL_GSVM_VM_SET		DRM_IOCTL_GSVM(W, VM_SET, vm_set)

#if defined(__cplusplus)
}
#endif

#endif /* GSVM_DRM_H */
