/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The gsvm GPU's hardware interface: PCI identity, registers, in-memory
 * structures, packets. docs/hardware.rst explains what stands here; where the
 * two disagree, the document is right and this file has a bug.
 *
 * Everything in memory is little-endian and naturally aligned. "Bus address"
 * is an address as the device puts it on PCIe (an IOVA behind an IOMMU);
 * "VA" is an address in a queue's address space. Rings use free-running 32-bit
 * indices, modulo 2^32; the slot is index & (entries - 1). Ranges are
 * half-open, [start, end).
 *
 * Reserved fields and bits: software writes zero. The device reports non-zero
 * reserved bits of a structure it reads as that structure's error, and ignores
 * them in registers (reads return zero).
 */
#ifndef GSVM_HW_H
#define GSVM_HW_H

#include <linux/types.h>

/* ---- PCI ---------------------------------------------------------------- */

/*
 * 'gs', 'vm' in ASCII. PCI-SIG hands out vendor ids in ascending blocks and
 * none near 0x6773 is assigned (checked against Debian's pci.ids).
 */
#define GSVM_PCI_VENDOR_ID		0x6773
#define GSVM_PCI_DEVICE_ID		0x766d
#define GSVM_PCI_REVISION		0x01
#define GSVM_PCI_CLASS			0x120000	/* processing accelerator */

#define GSVM_BAR_REGS			0	/* 32-bit, 128 KiB: registers, MSI-X */
#define GSVM_BAR_VRAM			2	/* 64-bit, prefetchable: VRAM, whole */
#define GSVM_BAR_DOORBELL		4	/* 64-bit: one 4 KiB page per ASID */

#define GSVM_REGS_SIZE			0x20000
#define GSVM_MSIX_TABLE_OFFSET		0x10000	/* in BAR0 */
#define GSVM_MSIX_PBA_OFFSET		0x11000	/* in BAR0 */

/* MSI-X vectors. */
#define GSVM_VEC_FAULT			0	/* fault ring not empty */
#define GSVM_VEC_CMD			1	/* command with GSVM_CMD_IRQ done */
#define GSVM_VEC_EVENT			2	/* bit set in gsvm_status.event */
#define GSVM_VEC_ERROR			3	/* bit set in gsvm_status.qerror, or GSVM_REG_ERROR */
#define GSVM_VEC_COPY(n)		(4 + (n))	/* descriptor with GSVM_COPY_IRQ done */
#define GSVM_MAX_COPY_ENGINES		4
#define GSVM_NUM_VECTORS		(4 + GSVM_MAX_COPY_ENGINES)

/* ---- BAR0 registers ------------------------------------------------------ */

/*
 * Access with naturally aligned 4- or 8-byte reads and writes; others are
 * dropped (reads return all-ones). 64-bit registers may be written as one
 * 8-byte or two 4-byte accesses.
 */
#define GSVM_REG_ID			0x000	/* ro32: GSVM_ID_MAGIC */
#define GSVM_ID_MAGIC			0x4d565347u	/* "GSVM" */
#define GSVM_REG_VERSION		0x004	/* ro32: major << 16 | minor */
#define GSVM_HW_VERSION			0x00010001u
#define GSVM_REG_VRAM_SIZE		0x010	/* ro64: bytes */
#define GSVM_REG_NUM_ASIDS		0x018	/* ro32: 256..1024; ASID 0 is a normal one */
#define GSVM_REG_NUM_QUEUES		0x01c	/* ro32: 1024..4096 */
#define GSVM_REG_NUM_CORES		0x020	/* ro32: compute cores, each with its TLB */
#define GSVM_REG_MAX_HARTS		0x024	/* ro32: work-items in flight, whole device */
#define GSVM_REG_NUM_COPY		0x028	/* ro32: copy engines, 1..GSVM_MAX_COPY_ENGINES */
#define GSVM_REG_GROUP_MEM		0x02c	/* ro32: bytes of group memory per work-group */
#define GSVM_REG_PRIVATE_MEM		0x030	/* ro32: bytes of private memory per work-item */
#define GSVM_REG_MAX_GROUP		0x034	/* ro32: work-items per work-group */
#define GSVM_REG_VA_BITS		0x038	/* ro32: 48 */

#define GSVM_REG_CONTROL		0x040	/* rw32 */
#define GSVM_CONTROL_ENABLE		(1u << 0)	/* device may use the structures below */
#define GSVM_CONTROL_RESET		(1u << 1)	/* write 1: full reset; reads 0 */
#define GSVM_REG_STATUS			0x044	/* ro32 */
#define GSVM_STATUS_ENABLED		(1u << 0)	/* follows ENABLE; 0 = no DMA is under way */
#define GSVM_STATUS_RESETTING		(1u << 1)
#define GSVM_STATUS_FATAL		(1u << 2)	/* only a reset helps */
#define GSVM_REG_ERROR			0x048	/* rw32: GSVM_ERR_*, first since cleared; write 0 clears */
#define GSVM_REG_ERROR_INFO		0x050	/* ro64: index or address, by GSVM_REG_ERROR */
#define GSVM_REG_TIME			0x058	/* ro64: nanoseconds since reset */

/*
 * Base registers. Bits 51:12 are the address, bit 0 says that it is a VRAM
 * offset instead of a bus address. They may be written while STATUS.ENABLED is
 * clear; writes while it is set are dropped and raise GSVM_ERR_REGISTER.
 */
#define GSVM_BASE_VRAM			(1ull << 0)
#define GSVM_BASE_ADDR			0x000ffffffffff000ull
#define GSVM_REG_CTX_BASE		0x100	/* rw64: struct gsvm_ctx[NUM_ASIDS] */
#define GSVM_REG_QUEUE_BASE		0x108	/* rw64: struct gsvm_queue_desc[NUM_QUEUES] */
#define GSVM_REG_STATUS_BASE		0x110	/* rw64: struct gsvm_status; bus address only */
#define GSVM_REG_CMD_BASE		0x118	/* rw64: struct gsvm_cmd ring */
#define GSVM_REG_CMD_LOG2		0x120	/* rw32: log2 of entries, 4..16 */
#define GSVM_REG_CMD_TAIL		0x124	/* wo32: producer index; the command doorbell */
#define GSVM_REG_FAULT_BASE		0x128	/* rw64: struct gsvm_fault ring; bus address only */
#define GSVM_REG_FAULT_LOG2		0x130	/* rw32: log2 of entries, 4..16 */
#define GSVM_REG_FAULT_CONTROL		0x134	/* rw32, like a base register; since 1.1 */
#define GSVM_FAULT_BY_BLOCK		(1u << 0)	/* one record per 2 MiB at first */

#define GSVM_REG_COPY_BASE(n)		(0x200 + (n) * 0x20)	/* rw64: struct gsvm_copy ring */
#define GSVM_REG_COPY_LOG2(n)		(0x208 + (n) * 0x20)	/* rw32: log2 of entries, 4..16 */
#define GSVM_REG_COPY_TAIL(n)		(0x20c + (n) * 0x20)	/* wo32: producer index */

/* Statistics: ro64 counters since reset, GSVM_REG_STAT + 8 * GSVM_STAT_*. */
#define GSVM_REG_STAT			0x800
#define GSVM_STAT_INSNS			0	/* instructions retired */
#define GSVM_STAT_PACKETS		1	/* packets completed */
#define GSVM_STAT_WORK_ITEMS		2	/* work-items completed */
#define GSVM_STAT_TLB_MISSES		3	/* page-table walks */
#define GSVM_STAT_FAULTS		4	/* fault records written */
#define GSVM_STAT_FAULTS_MERGED		5	/* faults that found a record under way */
#define GSVM_STAT_FAULT_NS		6	/* sum over records: record to resume */
#define GSVM_STAT_FAULT_FULL		7	/* faults held back by a full ring */
#define GSVM_STAT_INVALS		8	/* invalidation commands */
#define GSVM_STAT_INVAL_NS		9	/* sum: command read to completion */
#define GSVM_STAT_STALE_USES		10	/* checking mode: legal uses of a stale TLB entry */
#define GSVM_STAT_VIOLATIONS		11	/* checking mode: uses after completion; must be 0 */
#define GSVM_STAT_COPY_BYTES		12	/* bytes moved by the copy engines */
#define GSVM_STAT_BAD_DOORBELLS		13	/* doorbell writes that no queue owns */
#define GSVM_STAT_FAULTS_DEFERRED	14	/* faults held back for a record of their block */
#define GSVM_NUM_STATS			15

/* GSVM_REG_ERROR: device-wide errors. ERROR_INFO in brackets. */
#define GSVM_ERR_NONE			0
#define GSVM_ERR_REGISTER		1	/* bad register write [offset] */
#define GSVM_ERR_BUS			2	/* ring, table or status page not reachable [bus address]: FATAL */
#define GSVM_ERR_COMMAND		3	/* bad command, skipped [index] */
#define GSVM_ERR_COPY			4	/* bad copy descriptor, skipped [engine << 32 | index] */
#define GSVM_ERR_FAULT_ACK		5	/* FAULT_ACK beyond the producer, ignored [index] */

/* ---- BAR4 doorbells ------------------------------------------------------- */

/*
 * Page n belongs to ASID n. An 8-byte write of the queue's new write index
 * (packets ever published, 64-bit) at slot * 8 rings the queue that was
 * started with that ASID and slot. A value not above the last is ignored;
 * other access sizes and slots nobody owns are dropped and counted.
 */
#define GSVM_DOORBELL_PAGE		0x1000
#define GSVM_DOORBELLS_PER_PAGE		512

/* ---- Status page ---------------------------------------------------------- */

/**
 * struct gsvm_status - written by the device, one 4 KiB page of system memory
 * @cmd_head: commands completed; all effects of commands below it are visible
 * @fault_tail: fault records written
 * @copy: per copy engine: descriptors completed; how many of them failed
 * @event: one bit per ASID, set when a signal with interrupt request changed;
 *	software takes bits with an atomic exchange
 * @qerror: one bit per queue, set when the queue has gone to
 *	GSVM_QUEUE_ERROR; taken like @event
 */
struct gsvm_status {
	__u32 cmd_head;
	/* private: */
	__u32 rsvd0[15];
	/* public: */
	__u32 fault_tail;
	/* private: */
	__u32 rsvd1[15];
	/* public: */
	struct {
		__u32 done;
		__u32 errors;
		__u32 rsvd[14];
	} copy[GSVM_MAX_COPY_ENGINES];
	/* private: */
	__u8 rsvd2[0x400 - 0x180];
	/* public: */
	__u64 event[16];
	/* private: */
	__u8 rsvd3[0x800 - 0x480];
	/* public: */
	__u64 qerror[64];
	/* private: */
	__u8 rsvd4[0x1000 - 0xa00];
};

#define GSVM_MAX_ASIDS			1024
#define GSVM_MAX_QUEUES			4096

/* ---- Address spaces ------------------------------------------------------- */

/**
 * struct gsvm_ctx - context table entry, one address space
 * @root: GSVM_CTX_VALID, GSVM_CTX_VRAM, address of the 4 KiB root table
 * @rsvd: zero
 *
 * A change takes effect when a GSVM_CMD_INVAL_ASID sent after it completes.
 */
struct gsvm_ctx {
	__u64 root;
	__u64 rsvd;
};

#define GSVM_CTX_VALID			(1ull << 0)
#define GSVM_CTX_VRAM			(1ull << 1)
#define GSVM_CTX_ADDR			0x000ffffffffff000ull

/*
 * Page table: 4 levels, 512 entries of 8 bytes each. Level 3 is the root
 * (VA bits 47:39), level 0 holds 4 KiB leaves (VA bits 20:12). A leaf at
 * level 1 maps 2 MiB. When V is clear the device ignores all other bits.
 */
#define GSVM_PTE_V			(1ull << 0)	/* valid */
#define GSVM_PTE_R			(1ull << 1)	/* leaf: loads */
#define GSVM_PTE_W			(1ull << 2)	/* leaf: stores */
#define GSVM_PTE_X			(1ull << 3)	/* leaf: instruction fetch */
#define GSVM_PTE_AT			(1ull << 4)	/* leaf: atomics (needs R and W too) */
#define GSVM_PTE_A			(1ull << 5)	/* leaf: accessed, set by the device */
#define GSVM_PTE_D			(1ull << 6)	/* leaf: dirty, set by the device before the first write */
#define GSVM_PTE_LEAF			(1ull << 7)	/* level 1: 2 MiB leaf; level 0: must be set; else must be 0 */
#define GSVM_PTE_CONT			(1ull << 8)	/* level 0: one of 16 aligned entries that map 64 KiB */
#define GSVM_PTE_KIND			(3ull << 9)	/* memory the address is in */
#define GSVM_PTE_KIND_BUS		(0ull << 9)	/* bus address */
#define GSVM_PTE_KIND_VRAM		(1ull << 9)	/* offset in VRAM */
#define GSVM_PTE_ADDR			0x000ffffffffff000ull	/* 2 MiB leaf: 51:21, 20:12 zero */
#define GSVM_PTE_SW			(0x7full << 52)	/* ignored by the device */
#define GSVM_PTE_SW_SHIFT		52
/* Bits 11, 59..63, KIND 2 and 3: reserved. */

#define GSVM_PT_SHIFT(level)		(12 + 9 * (level))
#define GSVM_PT_ENTRIES			512
#define GSVM_PT_LEVELS			4
#define GSVM_VA_BITS			48

/* ---- Commands ------------------------------------------------------------- */

/**
 * struct gsvm_cmd - command ring entry
 * @op: GSVM_CMD_* in bits 7:0, GSVM_CMD_IRQ; other bits zero
 * @id: ASID or queue, by operation
 * @start: first byte of a VA range, a multiple of 4 KiB; QUEUE_CANCEL: &gsvm_fault.addr
 * @end: end of the VA range, a multiple of 4 KiB, above @start, at most 2^48;
 *	QUEUE_CANCEL: &gsvm_fault.time
 * @arg: by operation
 *
 * Commands take effect and complete in order; unused fields are zero.
 */
struct gsvm_cmd {
	__u32 op;
	__u32 id;
	__u64 start;
	__u64 end;
	__u64 arg;
};

#define GSVM_CMD_OP			0xffu
#define GSVM_CMD_IRQ			(1u << 31)	/* raise GSVM_VEC_CMD when complete */
#define GSVM_CMD_NOP			0
#define GSVM_CMD_INVAL_RANGE		1	/* id = ASID, range */
#define GSVM_CMD_INVAL_ASID		2	/* id = ASID */
#define GSVM_CMD_INVAL_ALL		3
#define GSVM_CMD_FAULT_ACK		4	/* arg = fault records consumed (index) */
#define GSVM_CMD_RESUME			5	/* id = ASID, range: parked accesses retry */
#define GSVM_CMD_QUEUE_START		6	/* id = queue: read its descriptor and run it */
#define GSVM_CMD_QUEUE_STOP		7	/* id = queue: drop all its work; complete = no access any more */
/*
 * id = queue, arg = reason (32 bits), start and end = addr and time of a fault
 * record of this queue: if that very access is still parked, end the queue with
 * GSVM_QERR_FAULT; else no effect.
 */
#define GSVM_CMD_QUEUE_CANCEL		8
#define GSVM_CMD_FAULT_REPORT		9	/* id = ASID, range: report what is held back for a block */

/* ---- Faults --------------------------------------------------------------- */

/**
 * struct gsvm_fault - fault ring entry, written by the device
 * @addr: VA of the first byte that could not be accessed
 * @asid: address space
 * @queue: queue on whose behalf
 * @access: GSVM_ACCESS_*
 * @reason: GSVM_FAULT_*, what the page-table walk met
 * @unit: GSVM_UNIT_*
 * @core: compute core, 0 for the packet processor
 * @work_item: linear global id of the work-item, 0 for the packet processor
 * @pc: VA of the instruction, 0 for the packet processor
 * @time: GSVM_REG_TIME when the access was parked
 * @rsvd: zero
 */
struct gsvm_fault {
	__u64 addr;
	__u32 asid;
	__u32 queue;
	__u32 access;
	__u32 reason;
	__u32 unit;
	__u32 core;
	__u64 work_item;
	__u64 pc;
	__u64 time;
	__u64 rsvd;
};

#define GSVM_ACCESS_READ		0
#define GSVM_ACCESS_WRITE		1
#define GSVM_ACCESS_EXEC		2
#define GSVM_ACCESS_ATOMIC		3

#define GSVM_FAULT_NOT_PRESENT		0	/* an entry with V clear */
#define GSVM_FAULT_PERMISSION		1	/* leaf without the needed right */
#define GSVM_FAULT_RESERVED		2	/* malformed entry */
#define GSVM_FAULT_ADDRESS		3	/* VA not below 2^48 */
#define GSVM_FAULT_CONTEXT		4	/* context entry not valid */
#define GSVM_FAULT_BUS			5	/* bus address or VRAM offset not reachable */

#define GSVM_UNIT_HART			0
#define GSVM_UNIT_PACKET		1

/* ---- Queues --------------------------------------------------------------- */

/**
 * struct gsvm_queue_desc - queue table entry
 * @flags: zero
 * @asid: address space of every access of this queue
 * @ring: VA of the packet ring, a multiple of 64
 * @ring_log2: log2 of the ring's packets, 1..16
 * @doorbell: slot in the ASID's doorbell page, below GSVM_DOORBELLS_PER_PAGE;
 *	two started queues of one ASID must not share one
 * @read_index: VA of the 64-bit read index (packets consumed), a multiple of 8;
 *	the device starts from the value found there
 * @hart_limit: instructions a work-item may retire, in units of 2^20; 0: any
 * @rsvd0: zero
 * @state: written by the device: GSVM_QUEUE_*
 * @error: GSVM_QERR_*, valid in GSVM_QUEUE_ERROR like all that follow
 * @reason: argument of GSVM_CMD_QUEUE_CANCEL for GSVM_QERR_FAULT, else 0; all
 *	that follows then tells of the access that was cancelled
 * @access: GSVM_ACCESS_* where @addr is meaningful
 * @addr: VA of the offending access, or of the packet, or the instruction word
 * @pc: VA of the instruction, or 0
 * @packet: index of the packet
 * @work_item: linear global id, or 0
 * @time: GSVM_REG_TIME
 * @rsvd1: zero
 *
 * The upper half belongs to software and is read on GSVM_CMD_QUEUE_START; the
 * lower half belongs to the device from there on.
 */
struct gsvm_queue_desc {
	__u32 flags;
	__u32 asid;
	__u64 ring;
	__u32 ring_log2;
	__u32 doorbell;
	__u64 read_index;
	__u32 hart_limit;
	__u32 rsvd0[7];
	__u32 state;
	__u32 error;
	__u32 reason;
	__u32 access;
	__u64 addr;
	__u64 pc;
	__u64 packet;
	__u64 work_item;
	__u64 time;
	__u64 rsvd1;
};

#define GSVM_QUEUE_STOPPED		0
#define GSVM_QUEUE_RUNNING		1
#define GSVM_QUEUE_ERROR		2

#define GSVM_QERR_NONE			0
#define GSVM_QERR_DESC			1	/* malformed queue descriptor */
#define GSVM_QERR_PACKET		2	/* unknown or malformed packet [addr = its VA] */
#define GSVM_QERR_KERNEL		3	/* malformed kernel descriptor [addr = its VA] */
#define GSVM_QERR_INSN			4	/* illegal instruction [addr = the word] */
#define GSVM_QERR_MISALIGNED		5	/* misaligned atomic, instruction or signal [addr] */
#define GSVM_QERR_TRAP			6	/* ecall or ebreak [addr = the word] */
#define GSVM_QERR_LIMIT			7	/* hart_limit exceeded */
#define GSVM_QERR_FAULT			8	/* cancelled by software [addr, access: a parked access] */
#define GSVM_QERR_APERTURE		9	/* outside the private or group memory [addr] */

/* ---- Packets (AQL) -------------------------------------------------------- */

/* Packet header, 16 bits, as in the HSA Platform System Architecture. */
#define GSVM_PKT_TYPE			0xffu
#define GSVM_PKT_VENDOR			0
#define GSVM_PKT_INVALID		1
#define GSVM_PKT_KERNEL			2
#define GSVM_PKT_BARRIER_AND		3
#define GSVM_PKT_BARRIER_OR		5
#define GSVM_PKT_BARRIER		(1u << 8)	/* start only when all earlier packets are complete */
#define GSVM_PKT_ACQUIRE_SHIFT		9	/* 2 bits: fence scope, 0 none, 1 agent, 2 system */
#define GSVM_PKT_RELEASE_SHIFT		11	/* 2 bits */
/* Bits 15:13: reserved. */

#define GSVM_PACKET_SIZE		64

/**
 * struct gsvm_pkt_kernel - kernel dispatch packet
 * @header: GSVM_PKT_KERNEL and flags; written last, with release semantics
 * @setup: number of dimensions, 1..3, in bits 1:0
 * @group_x: work-items per work-group, 1..; product at most MAX_GROUP
 * @group_y: likewise
 * @group_z: likewise
 * @rsvd0: zero
 * @grid_x: work-items, 1..; need not be a multiple of the group's size
 * @grid_y: likewise; unused dimensions are 1
 * @grid_z: likewise
 * @private_size: bytes of private memory per work-item; the larger of this and
 *	the kernel's own is used
 * @group_size: bytes of group memory, added to the kernel's own (static) ones
 * @kernel: VA of struct gsvm_kernel, a multiple of 64
 * @kernarg: VA handed to the work-items in a0
 * @rsvd1: zero
 * @signal: VA of struct gsvm_signal, or 0
 */
struct gsvm_pkt_kernel {
	__u16 header;
	__u16 setup;
	__u16 group_x;
	__u16 group_y;
	__u16 group_z;
	__u16 rsvd0;
	__u32 grid_x;
	__u32 grid_y;
	__u32 grid_z;
	__u32 private_size;
	__u32 group_size;
	__u64 kernel;
	__u64 kernarg;
	__u64 rsvd1;
	__u64 signal;
};

/**
 * struct gsvm_pkt_barrier - barrier-and, barrier-or packet
 * @header: GSVM_PKT_BARRIER_AND or GSVM_PKT_BARRIER_OR and flags
 * @rsvd0: zero
 * @rsvd1: zero
 * @dep: VAs of signals; the packet completes when all (and: zero entries do
 *	not count) or any (or: at least one entry must be there) value is 0
 * @rsvd2: zero
 * @signal: VA of struct gsvm_signal, or 0
 */
struct gsvm_pkt_barrier {
	__u16 header;
	__u16 rsvd0;
	__u32 rsvd1;
	__u64 dep[5];
	__u64 rsvd2;
	__u64 signal;
};

/**
 * struct gsvm_pkt_vendor - copy and fill packet
 * @header: GSVM_PKT_VENDOR and flags
 * @op: GSVM_VOP_*
 * @rsvd0: zero
 * @src: copy: VA of the source; fill: the value, repeated
 * @dst: VA of the destination; fill: a multiple of 8
 * @len: bytes, 1..2^40; fill: a multiple of 8
 * @rsvd1: zero
 * @signal: VA of struct gsvm_signal, or 0
 *
 * Overlapping copies have an undefined result inside the destination.
 */
struct gsvm_pkt_vendor {
	__u16 header;
	__u16 op;
	__u32 rsvd0;
	__u64 src;
	__u64 dst;
	__u64 len;
	__u64 rsvd1[3];
	__u64 signal;
};

#define GSVM_VOP_COPY			1
#define GSVM_VOP_FILL			2

/**
 * struct gsvm_signal - in the process's memory, 64-byte aligned
 * @value: decremented atomically (release) when the packet completes
 * @irq: not 0: after the decrement, set the ASID's bit in gsvm_status.event
 *	and raise GSVM_VEC_EVENT. Read after @value was written, both ordered
 * @rsvd0: zero
 * @start: GSVM_REG_TIME when the packet was started; written before @value
 * @end: GSVM_REG_TIME when it completed; written before @value
 * @rsvd1: zero
 */
struct gsvm_signal {
	__s64 value;
	__u32 irq;
	__u32 rsvd0;
	__u64 start;
	__u64 end;
	__u64 rsvd1[4];
};

/* ---- Kernels -------------------------------------------------------------- */

/**
 * struct gsvm_kernel - kernel descriptor, in the program's image
 * @magic: GSVM_KERNEL_MAGIC
 * @flags: GSVM_KERNEL_PRELOAD count in bits 3:0, other bits zero
 * @entry: first instruction, as an offset (signed) from this descriptor
 * @group_base: start of the group memory window, as an offset (signed) from
 *	this descriptor; the VA must be a multiple of 4 KiB. Inside the window
 *	accesses go to the work-group's own memory, not to the page table
 * @private_size: bytes of private memory (stack) per work-item, multiple of 16
 * @group_size: bytes of group memory with a fixed place in the window
 * @rsvd: zero
 */
struct gsvm_kernel {
	__u32 magic;
	__u32 flags;
	__s64 entry;
	__s64 group_base;
	__u32 private_size;
	__u32 group_size;
	__u64 rsvd[4];
};

#define GSVM_KERNEL_MAGIC		0x4b565347u	/* "GSVK" */
/*
 * Preload n (1..8): a0..a(n-1) start with the n 64-bit words at kernarg;
 * 0: a0 starts with kernarg itself.
 */
#define GSVM_KERNEL_PRELOAD		0xfu

/*
 * A work-item starts at the entry with sp = end of its private memory,
 * ra = GSVM_RETURN_PC, a registers as above and all others 0. It ends when it
 * jumps to GSVM_RETURN_PC or executes GSVM_INSN_EXIT.
 */
#define GSVM_RETURN_PC			0x0000fffffffff000ull

/*
 * Private memory: each work-item finds its own in
 * [GSVM_PRIVATE_BASE, + private size), not executable.
 * The aperture [GSVM_PRIVATE_BASE, 2^48) never reaches the page table.
 */
#define GSVM_PRIVATE_BASE		0x0000ff0000000000ull

/* Instructions of the custom-0 space (all operand fields zero). */
#define GSVM_INSN_EXIT			0x0000000bu	/* .insn r CUSTOM_0, 0, 0, x0, x0, x0 */
#define GSVM_INSN_BARRIER		0x0000400bu	/* .insn r CUSTOM_0, 4, 0, x0, x0, x0 */

/* Read-only user CSRs. */
#define GSVM_CSR_GLOBAL_ID(d)		(0xcc0 + (d))	/* d = 0 x, 1 y, 2 z */
#define GSVM_CSR_LOCAL_ID(d)		(0xcc3 + (d))
#define GSVM_CSR_GROUP_ID(d)		(0xcc6 + (d))
#define GSVM_CSR_GRID_SIZE(d)		(0xcc9 + (d))	/* work-items */
#define GSVM_CSR_GROUP_SIZE(d)		(0xccc + (d))	/* this group's, smaller at the grid's edge */
#define GSVM_CSR_DIMS			0xccf
#define GSVM_CSR_GLOBAL_LINEAR		0xcd0	/* (z * grid_y + y) * grid_x + x */
#define GSVM_CSR_GROUP_DYN		0xcd1	/* VA of the dynamic part of group memory */
#define GSVM_CSR_GROUP_DYN_SIZE		0xcd2	/* bytes of it */
#define GSVM_CSR_CORE			0xcd3
#define GSVM_CSR_PACKET			0xcd4	/* index of the packet in its queue */
#define GSVM_CSR_LOCAL_SIZE(d)		(0xcd5 + (d))	/* as in the packet, also at the edge */

/* ---- Copy engines --------------------------------------------------------- */

/**
 * struct gsvm_copy - copy ring entry
 * @op: GSVM_COPY_* operation in bits 7:0 and flags; other bits zero
 * @len: bytes, 1..2^31; fill: a multiple of 8
 * @src: copy: bus address or VRAM offset; fill: the value, repeated
 * @dst: bus address or VRAM offset; fill: a multiple of 8
 * @rsvd: zero
 *
 * An engine may work on several descriptors at once; gsvm_status.copy[].done
 * counts in order.
 */
struct gsvm_copy {
	__u32 op;
	__u32 len;
	__u64 src;
	__u64 dst;
	__u64 rsvd;
};

#define GSVM_COPY_OP			0xffu
#define GSVM_COPY_COPY			1
#define GSVM_COPY_FILL			2
#define GSVM_COPY_SRC_VRAM		(1u << 8)
#define GSVM_COPY_DST_VRAM		(1u << 9)
#define GSVM_COPY_IRQ			(1u << 31)

#endif /* GSVM_HW_H */
