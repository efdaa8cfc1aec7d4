/* SPDX-License-Identifier: MIT */
/*
 * libdrm_gsvm: run GPU programs on the memory of this process.
 *
 * A GPU follows the very pointers that the CPU uses: what malloc() returned, a
 * mapped file, a variable on the stack. Nothing is copied or registered.
 *
 *	gsvm_device_open() -> gsvm_vm_create() -> gsvm_queue_create()
 *	gsvm_program_load() -> gsvm_program_kernel()
 *	gsvm_queue_dispatch() ... gsvm_queue_finish()
 *
 * Conventions
 *
 * - Functions that can fail return 0 or a negative errno, and leave what they
 *   would have returned through a pointer untouched when they fail.
 * - Flags and fields that a version of the library does not know give -EINVAL
 *   (flags) or -E2BIG (fields beyond the structure it knows); zero is always
 *   "the default".
 * - The library keeps no global state, prints nothing and never aborts.
 * - Threads: different objects are independent. Calls on the same object may
 *   come from several threads at once, except that creating must be complete
 *   before, and destroying must begin after, all other calls on the object.
 * - fork: VMs and queues belong to the memory of the process that made them.
 *   In a child, calls on them give -EPERM, apart from destroying, which there
 *   releases the child's copy of the bookkeeping and leaves the parent's
 *   objects alone. Devices and programs stay usable in the child.
 */
#ifndef GSVM_H
#define GSVM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct gsvm_device - an open GPU */
struct gsvm_device;
/** struct gsvm_vm - a GPU address space that mirrors this process */
struct gsvm_vm;
/** struct gsvm_queue - a ring of work that the GPU takes from memory */
struct gsvm_queue;
/** struct gsvm_program - a loaded GPU program */
struct gsvm_program;
/** struct gsvm_kernel - an entry point of a program; lives as long as it */
struct gsvm_kernel;
/** struct gsvm_signal - a counter in memory that CPU and GPU both reach */
struct gsvm_signal;

/* ---- Devices -------------------------------------------------------------- */

/**
 * struct gsvm_device_info - what a GPU can do
 * @size: set by the caller: sizeof(struct gsvm_device_info)
 * @vram_size: the GPU's own memory, in bytes
 * @hw_version: major << 16 | minor
 * @va_bits: bits of a virtual address
 * @num_cores: compute cores
 * @max_work_items: work-items in flight
 * @max_group: work-items per work-group
 * @group_memory: bytes of memory shared by a work-group
 * @private_memory: bytes of private memory (stack) per work-item
 * @max_queues: queues per VM
 * @gpu_id: this GPU in what gsvm_vm_residency() writes
 * @reserved: zero
 */
struct gsvm_device_info {
	size_t size;
	uint64_t vram_size;
	uint32_t hw_version;
	uint32_t va_bits;
	uint32_t num_cores;
	uint32_t max_work_items;
	uint32_t max_group;
	uint32_t group_memory;
	uint32_t private_memory;
	uint32_t max_queues;
	uint32_t gpu_id;
	uint32_t reserved;
};

/**
 * struct gsvm_vram_stats - how the GPU's own memory is used, by all processes
 * @size: set by the caller: sizeof(struct gsvm_vram_stats)
 * @total: bytes that there are
 * @free: bytes that nobody uses now
 * @pages_evicted: 4 KiB pages ever moved out for want of VRAM
 */
struct gsvm_vram_stats {
	size_t size;
	uint64_t total;
	uint64_t free;
	uint64_t pages_evicted;
};

int gsvm_device_count(void);
int gsvm_device_path(unsigned int index, char *path, size_t size);
int gsvm_device_open(const char *path, struct gsvm_device **device);
int gsvm_device_open_fd(int fd, struct gsvm_device **device);
int gsvm_device_close(struct gsvm_device *device);
int gsvm_device_fd(const struct gsvm_device *device);
int gsvm_device_query(struct gsvm_device *device, struct gsvm_device_info *info);
int gsvm_device_time(struct gsvm_device *device, uint64_t *time_ns);
int gsvm_device_vram(struct gsvm_device *device, struct gsvm_vram_stats *stats);

/* ---- Address spaces ------------------------------------------------------- */

/**
 * struct gsvm_vm_stats - counters of a VM since it was made
 * @size: set by the caller: sizeof(struct gsvm_vm_stats)
 * @faults: GPU page faults reported
 * @faults_failed: those that ended a queue
 * @fault_services: services of a block of memory; many faults can share one
 * @fault_retries: services repeated because the memory changed meanwhile
 * @fault_ns: time spent in services, summed, in nanoseconds
 * @pages_mapped: 4 KiB pages that entered the GPU's page table
 * @pages_now: 4 KiB pages in it now
 * @huge_mapped: 2 MiB entries made
 * @invalidations: CPU changes that met mirrored pages
 * @pages_invalidated: 4 KiB pages that left the page table by them
 * @pages_dirtied: 4 KiB pages that the GPU had written when they left
 * @metadata_bytes: kernel memory that mirroring takes now
 * @bytes_migrated: bytes copied between memories
 * @pages_to_vram: 4 KiB pages that moved to VRAM
 * @pages_to_system: those that came back because the CPU or a prefetch wanted them
 * @bounces: times that a block was left where it was because it went to and fro, or
 *	because VRAM is short and little of it was used
 */
struct gsvm_vm_stats {
	size_t size;
	uint64_t faults;
	uint64_t faults_failed;
	uint64_t fault_services;
	uint64_t fault_retries;
	uint64_t fault_ns;
	uint64_t pages_mapped;
	uint64_t pages_now;
	uint64_t huge_mapped;
	uint64_t invalidations;
	uint64_t pages_invalidated;
	uint64_t pages_dirtied;
	uint64_t metadata_bytes;
	uint64_t bytes_migrated;
	uint64_t pages_to_vram;
	uint64_t pages_to_system;
	uint64_t bounces;
};

int gsvm_vm_create(struct gsvm_device *device, struct gsvm_vm **vm);
int gsvm_vm_destroy(struct gsvm_vm *vm);
int gsvm_vm_query(struct gsvm_vm *vm, struct gsvm_vm_stats *stats);
uint32_t gsvm_vm_handle(const struct gsvm_vm *vm);

/* ---- Where memory is ------------------------------------------------------ */

/**
 * enum gsvm_migration - when a fault of the GPU moves memory to its VRAM
 * @GSVM_MIGRATE_NEVER: not at all; the GPU reaches it where it is
 * @GSVM_MIGRATE_FIRST: at the first fault in a block of 2 MiB; the default
 * @GSVM_MIGRATE_SECOND: at the second
 */
enum gsvm_migration {
	GSVM_MIGRATE_NEVER = 0,
	GSVM_MIGRATE_FIRST = 1,
	GSVM_MIGRATE_SECOND = 2,
};

/**
 * enum gsvm_region - a kind of memory
 * @GSVM_REGION_SYSTEM: the machine's
 * @GSVM_REGION_VRAM: the own memory of the VM's GPU
 */
enum gsvm_region {
	GSVM_REGION_SYSTEM = 0,
	GSVM_REGION_VRAM = 1,
};

/* What gsvm_vm_residency() writes for each page of 4 KiB. */
/** GSVM_PAGE_WHERE - mask of the place, one of the next four */
#define GSVM_PAGE_WHERE		0xffu
/** GSVM_PAGE_ABSENT - no page: never touched, swapped out or not mapped */
#define GSVM_PAGE_ABSENT	0u
/** GSVM_PAGE_SYSTEM - in system memory */
#define GSVM_PAGE_SYSTEM	1u
/** GSVM_PAGE_VRAM - in the VRAM of the GPU that GSVM_PAGE_GPU() says */
#define GSVM_PAGE_VRAM		2u
/** GSVM_PAGE_MOVING - its block is on the way */
#define GSVM_PAGE_MOVING	3u
/** GSVM_PAGE_WRITE - the process may write to it without a fault */
#define GSVM_PAGE_WRITE		(1u << 8)
/** GSVM_PAGE_HUGE - part of a page of 2 MiB */
#define GSVM_PAGE_HUGE		(1u << 9)
/** GSVM_PAGE_GPU - gpu_id of the GPU in whose VRAM a page is */
#define GSVM_PAGE_GPU(word)	((uint32_t)(word) >> 16)

/* Where residency words go: one per page that the bytes touch. */
/** GSVM_PAGES - pages of 4 KiB that bytes from start on lie in */
#define GSVM_PAGES(start, bytes)						\
	((size_t)((((uintptr_t)(start) & 4095) + (uintptr_t)(bytes) + 4095) / 4096))

int gsvm_vm_set_migration(struct gsvm_vm *vm, enum gsvm_migration when);
int gsvm_vm_prefetch(struct gsvm_vm *vm, const void *start, size_t bytes, enum gsvm_region region,
		     struct gsvm_signal *signal, uint64_t *moved);
int gsvm_vm_residency(struct gsvm_vm *vm, const void *start, size_t bytes, uint32_t *pages);

/* ---- Programs ------------------------------------------------------------- */

/** GSVM_MAX_ARGS - arguments that a struct gsvm_args holds */
#define GSVM_MAX_ARGS 32

/**
 * struct gsvm_kernel_info - properties of a kernel
 * @size: set by the caller: sizeof(struct gsvm_kernel_info)
 * @num_args: 64-bit words that the GPU loads into registers from where the
 *	dispatch's argument points to; 0: the kernel gets the pointer itself
 * @private_memory: bytes of private memory (stack) it asks for per work-item
 * @group_memory: bytes of work-group memory it declares
 * @dynamic_memory: bytes of work-group memory that a dispatch can add
 */
struct gsvm_kernel_info {
	size_t size;
	uint32_t num_args;
	uint32_t private_memory;
	uint32_t group_memory;
	uint32_t dynamic_memory;
};

int gsvm_program_load(const char *path, struct gsvm_program **program);
int gsvm_program_load_memory(const void *image, size_t size, struct gsvm_program **program);
void gsvm_program_destroy(struct gsvm_program *program);
int gsvm_program_kernel(const struct gsvm_program *program, const char *name,
			const struct gsvm_kernel **kernel);
const char *gsvm_program_kernel_name(const struct gsvm_program *program, unsigned int index);
int gsvm_program_symbol(const struct gsvm_program *program, const char *name, void **address,
			size_t *size);
int gsvm_program_find(const struct gsvm_program *program, uint64_t address, const char **name,
		      uint64_t *offset);
int gsvm_kernel_query(const struct gsvm_kernel *kernel, struct gsvm_kernel_info *info);

/**
 * struct gsvm_args - arguments of an OpenCL C kernel
 * @word: one per argument, in the kernel's order
 * @count: words in use
 * @reserved: zero
 *
 * Start from all zero bytes, append with gsvm_args_*(), pass @word to
 * gsvm_queue_dispatch(). It has to stay in place until the dispatch completes.
 */
struct gsvm_args {
	uint64_t word[GSVM_MAX_ARGS];
	uint32_t count;
	uint32_t reserved;
};

int gsvm_args_pointer(struct gsvm_args *args, const void *value);
int gsvm_args_int(struct gsvm_args *args, int32_t value);
int gsvm_args_uint(struct gsvm_args *args, uint32_t value);
int gsvm_args_long(struct gsvm_args *args, int64_t value);
int gsvm_args_float(struct gsvm_args *args, float value);
int gsvm_args_double(struct gsvm_args *args, double value);

/* ---- Signals -------------------------------------------------------------- */

/** GSVM_SIGNAL_SIZE - size and alignment of a signal, in bytes */
#define GSVM_SIGNAL_SIZE 64

/** GSVM_WAIT_FOREVER - a timeout that never ends */
#define GSVM_WAIT_FOREVER ((int64_t)-1)

/**
 * enum gsvm_condition - what to wait for: the signal's value is ... value
 * @GSVM_EQUAL: equal to
 * @GSVM_NOT_EQUAL: different from
 * @GSVM_LESS: less than
 * @GSVM_GREATER_EQUAL: greater than or equal to
 */
enum gsvm_condition {
	GSVM_EQUAL = 0,
	GSVM_NOT_EQUAL = 1,
	GSVM_LESS = 2,
	GSVM_GREATER_EQUAL = 3,
};

int gsvm_signal_create(int64_t value, struct gsvm_signal **signal);
void gsvm_signal_destroy(struct gsvm_signal *signal);
int gsvm_signal_init(void *memory, int64_t value, struct gsvm_signal **signal);
int64_t gsvm_signal_value(const struct gsvm_signal *signal);
void gsvm_signal_set(struct gsvm_signal *signal, int64_t value);
void gsvm_signal_times(const struct gsvm_signal *signal, uint64_t *start_ns, uint64_t *end_ns);
int gsvm_signal_wait(struct gsvm_signal *signal, struct gsvm_queue *queue,
		     enum gsvm_condition condition, int64_t value, int64_t timeout_ns);
int gsvm_vm_wait(struct gsvm_vm *vm, struct gsvm_signal *signal, enum gsvm_condition condition,
		 int64_t value, int64_t timeout_ns);

/* ---- Queues --------------------------------------------------------------- */

/**
 * struct gsvm_queue_options - how to make a queue
 * @size: set by the caller: sizeof(struct gsvm_queue_options)
 * @ring_packets: room for so many packets, 0: a default. It is rounded up to a
 *	power of two; at least 16, at most 65536
 * @hart_limit: instructions that a work-item may execute before the queue ends
 *	with GSVM_ERROR_LIMIT, in units of 2^20; 0: any number
 */
struct gsvm_queue_options {
	size_t size;
	uint32_t ring_packets;
	uint32_t hart_limit;
};

/**
 * struct gsvm_grid - how many work-items to run, and in which groups
 * @items: work-items per dimension; 0 from the second on: dimension not used
 * @group: work-items per work-group; all 0: the library chooses, a single 0: 1
 * @private_memory: bytes per work-item, if more than the kernel asks for
 * @group_memory: bytes per work-group, added to those that the kernel declares
 */
struct gsvm_grid {
	uint32_t items[3];
	uint32_t group[3];
	uint32_t private_memory;
	uint32_t group_memory;
};

/* Flags of gsvm_queue_dispatch(), _copy(), _fill() and _barrier(). */
/** GSVM_SUBMIT_MORE - more follows at once: do not ring the doorbell yet */
#define GSVM_SUBMIT_MORE	(1u << 0)
/** GSVM_SUBMIT_NONBLOCK - -EAGAIN instead of waiting when the ring is full */
#define GSVM_SUBMIT_NONBLOCK	(1u << 1)
/** GSVM_SUBMIT_BARRIER - start when all earlier work of the queue is complete */
#define GSVM_SUBMIT_BARRIER	(1u << 2)
/** GSVM_SUBMIT_ANY - gsvm_queue_barrier() only: any signal instead of all */
#define GSVM_SUBMIT_ANY		(1u << 3)

/** GSVM_MAX_DEPENDENCIES - signals that one gsvm_queue_barrier() can take */
#define GSVM_MAX_DEPENDENCIES	5

int gsvm_queue_create(struct gsvm_vm *vm, const struct gsvm_queue_options *options,
		      struct gsvm_queue **queue);
int gsvm_queue_destroy(struct gsvm_queue *queue);
uint32_t gsvm_queue_handle(const struct gsvm_queue *queue);
int gsvm_queue_dispatch(struct gsvm_queue *queue, const struct gsvm_kernel *kernel,
			const struct gsvm_grid *grid, const void *arg,
			struct gsvm_signal *signal, uint32_t flags);
int gsvm_queue_copy(struct gsvm_queue *queue, void *dst, const void *src, uint64_t bytes,
		    struct gsvm_signal *signal, uint32_t flags);
int gsvm_queue_fill(struct gsvm_queue *queue, void *dst, uint64_t value, uint64_t bytes,
		    struct gsvm_signal *signal, uint32_t flags);
int gsvm_queue_barrier(struct gsvm_queue *queue, struct gsvm_signal *const *deps,
		       unsigned int count, struct gsvm_signal *signal, uint32_t flags);
int gsvm_queue_flush(struct gsvm_queue *queue);
int gsvm_queue_finish(struct gsvm_queue *queue, int64_t timeout_ns);

/* ---- Errors --------------------------------------------------------------- */

/**
 * enum gsvm_error_code - why a queue died
 * @GSVM_ERROR_NONE: it did not
 * @GSVM_ERROR_FAULT: access to memory that it cannot have
 * @GSVM_ERROR_PACKET: malformed packet
 * @GSVM_ERROR_KERNEL: malformed kernel descriptor
 * @GSVM_ERROR_ILLEGAL: illegal instruction
 * @GSVM_ERROR_MISALIGNED: misaligned atomic, instruction or signal
 * @GSVM_ERROR_TRAP: ecall or ebreak
 * @GSVM_ERROR_LIMIT: a work-item ran longer than the queue's hart_limit
 * @GSVM_ERROR_APERTURE: outside of private or work-group memory
 * @GSVM_ERROR_DEVICE: the GPU failed or was reset
 */
enum gsvm_error_code {
	GSVM_ERROR_NONE = 0,
	GSVM_ERROR_FAULT = 1,
	GSVM_ERROR_PACKET = 2,
	GSVM_ERROR_KERNEL = 3,
	GSVM_ERROR_ILLEGAL = 4,
	GSVM_ERROR_MISALIGNED = 5,
	GSVM_ERROR_TRAP = 6,
	GSVM_ERROR_LIMIT = 7,
	GSVM_ERROR_APERTURE = 8,
	GSVM_ERROR_DEVICE = 9,
};

/**
 * enum gsvm_error_reason - why the access of a GSVM_ERROR_FAULT is impossible
 * @GSVM_REASON_NONE: no fault
 * @GSVM_REASON_NOT_MAPPED: nothing is mapped there
 * @GSVM_REASON_PERMISSION: the mapping does not allow it
 * @GSVM_REASON_BUS: past the end of a mapped file, or an I/O error
 * @GSVM_REASON_POISON: broken memory
 * @GSVM_REASON_NO_MEMORY: no memory could be had for the page
 * @GSVM_REASON_GONE: the process's memory is gone
 * @GSVM_REASON_UNSUPPORTED: memory that a GPU cannot reach
 * @GSVM_REASON_HARDWARE: the GPU could not use its own page table or bus
 * @GSVM_REASON_BUSY: the process did not stop changing the memory there
 */
enum gsvm_error_reason {
	GSVM_REASON_NONE = 0,
	GSVM_REASON_NOT_MAPPED = 1,
	GSVM_REASON_PERMISSION = 2,
	GSVM_REASON_BUS = 3,
	GSVM_REASON_POISON = 4,
	GSVM_REASON_NO_MEMORY = 5,
	GSVM_REASON_GONE = 6,
	GSVM_REASON_UNSUPPORTED = 7,
	GSVM_REASON_HARDWARE = 8,
	GSVM_REASON_BUSY = 9,
};

/**
 * enum gsvm_error_access - what was tried
 * @GSVM_ERROR_READ: a load
 * @GSVM_ERROR_WRITE: a store
 * @GSVM_ERROR_EXEC: an instruction fetch
 * @GSVM_ERROR_ATOMIC: an atomic operation
 */
enum gsvm_error_access {
	GSVM_ERROR_READ = 0,
	GSVM_ERROR_WRITE = 1,
	GSVM_ERROR_EXEC = 2,
	GSVM_ERROR_ATOMIC = 3,
};

/**
 * struct gsvm_error - the record of a queue's death
 * @size: set by the caller: sizeof(struct gsvm_error)
 * @code: enum gsvm_error_code
 * @reason: enum gsvm_error_reason
 * @access: enum gsvm_error_access
 * @reserved: zero
 * @address: of the access, the packet or the descriptor; the instruction word
 *	for GSVM_ERROR_ILLEGAL and GSVM_ERROR_TRAP
 * @pc: address of the instruction; 0: not by an instruction
 * @packet: index of the packet in the queue, the library's own ones included
 * @work_item: linear global id
 * @time_ns: time of gsvm_device_time()
 */
struct gsvm_error {
	size_t size;
	uint32_t code;
	uint32_t reason;
	uint32_t access;
	uint32_t reserved;
	uint64_t address;
	uint64_t pc;
	uint64_t packet;
	uint64_t work_item;
	uint64_t time_ns;
};

int gsvm_queue_error(struct gsvm_queue *queue, struct gsvm_error *error);
int gsvm_error_describe(const struct gsvm_error *error, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* GSVM_H */
