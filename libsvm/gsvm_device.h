/* SPDX-License-Identifier: MIT */
/*
 * GPU programs: what a work-item knows and can do beyond its language.
 *
 * For C (riscv64-unknown-elf-gcc, clang) and OpenCL C (clang), compiled by
 * gsvm-cc. Memory is that of the process which started the work, with the same
 * pointers; the language's own loads, stores and atomics are all it takes.
 *
 * A kernel in C:
 *
 *	#include <gsvm_device.h>
 *
 *	GSVM_KERNEL(scale, 0)(struct args *args)
 *	{
 *		args->data[gsvm_global_id(0)] *= args->factor;
 *	}
 *
 * The program gets `args' as the kernarg pointer of its dispatch. A kernel has
 * external linkage, a name of its own, and returns nothing.
 *
 * In OpenCL C every kernel function is one; its arguments are 64-bit words at
 * the kernarg pointer, in order: integers extended to 64 bits, a float in the
 * low half, pointers. OpenCL's own built-in functions are there too; see
 * device/opencl.cl for which.
 */
#ifndef GSVM_DEVICE_H
#define GSVM_DEVICE_H

#ifdef __OPENCL_C_VERSION__
typedef uchar uint8_t;
typedef ushort uint16_t;
typedef uint uint32_t;
typedef ulong uint64_t;
typedef char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#define GSVM_INLINE	static inline __attribute__((always_inline, unused))

/* Default private memory (stack) of a work-item, in bytes. */
#define GSVM_PRIVATE_SIZE	8192

/* ---- Kernels -------------------------------------------------------------- */

/*
 * GSVM_KERNEL(name [, preload [, private_size]])(arguments) { ... }
 *
 * preload 0 (default): one argument, the kernarg pointer. preload n, 1..8: n
 * arguments, integers or pointers, the 64-bit words that kernarg points to.
 * private_size: bytes of stack, a literal, a multiple of 16.
 */
#define GSVM_KERNEL(...)						\
	GSVM_KERNEL_N(__VA_ARGS__, 3, 2, 1, 0)(__VA_ARGS__)
#define GSVM_KERNEL_N(name, preload, size, n, ...)	GSVM_KERNEL_ ## n
#define GSVM_KERNEL_1(name)		GSVM_KERNEL_3(name, 0, GSVM_PRIVATE_SIZE)
#define GSVM_KERNEL_2(name, preload)	GSVM_KERNEL_3(name, preload, GSVM_PRIVATE_SIZE)
#define GSVM_KERNEL_3(name, preload, private_size)			\
	GSVM_DESCRIPTOR(name, preload, private_size)			\
	__attribute__((used)) void name

/* struct gsvm_kernel of gsvm_hw.h; the linker script has the group symbols. */
#define GSVM_DESCRIPTOR(name, preload, private_size)			\
	__asm__(".pushsection .gsvm.kernels, \"a\", @progbits\n"	\
		"	.balign	64\n"					\
		"	.globl	__gsvm_kernel_" #name "\n"		\
		"	.type	__gsvm_kernel_" #name ", @object\n"	\
		"	.size	__gsvm_kernel_" #name ", 64\n"		\
		"__gsvm_kernel_" #name ":\n"				\
		"	.word	0x4b565347, " #preload "\n"		\
		"	.dword	" #name " - __gsvm_kernel_" #name "\n"	\
		"	.dword	__gsvm_group_base - __gsvm_kernel_" #name "\n" \
		"	.word	" GSVM_STRING(private_size) ", __gsvm_group_size\n" \
		"	.zero	32\n"					\
		".popsection\n");
#define GSVM_STRING(x)	GSVM_STRING_(x)
#define GSVM_STRING_(x)	#x

/*
 * A global variable in group memory: one copy per work-group, without initial
 * value, shared by its work-items. OpenCL C says `local' instead.
 */
#define GSVM_GROUP	__attribute__((section(".gsvm.group")))

/* ---- Place in the grid ---------------------------------------------------- */

/* A constant of the work-item, so not volatile: the compiler may read it once. */
#define GSVM_CSR(number) __extension__ ({				\
	unsigned long csr_;						\
	__asm__("csrr %0, %1" : "=r"(csr_) : "i"(number));		\
	csr_;								\
})
/* A counter. */
#define GSVM_COUNTER(number) __extension__ ({				\
	unsigned long csr_;						\
	__asm__ volatile("csrr %0, %1" : "=r"(csr_) : "i"(number));	\
	csr_;								\
})
/* One of three consecutive registers, or @other beyond the third dimension. */
#define GSVM_CSR_DIM(number, d, other)					\
	((d) == 0 ? GSVM_CSR(number) : (d) == 1 ? GSVM_CSR((number) + 1) : \
	 (d) == 2 ? GSVM_CSR((number) + 2) : (other))

/* Dimension @d, 0..2: place in the grid, in the group, and the group's place. */
GSVM_INLINE uint64_t gsvm_global_id(unsigned int d)
{
	return GSVM_CSR_DIM(0xcc0, d, 0);
}

GSVM_INLINE uint64_t gsvm_local_id(unsigned int d)
{
	return GSVM_CSR_DIM(0xcc3, d, 0);
}

GSVM_INLINE uint64_t gsvm_group_id(unsigned int d)
{
	return GSVM_CSR_DIM(0xcc6, d, 0);
}

/* Work-items in the grid. */
GSVM_INLINE uint64_t gsvm_global_size(unsigned int d)
{
	return GSVM_CSR_DIM(0xcc9, d, 1);
}

/* Work-items in this group; fewer at the edge of the grid. */
GSVM_INLINE uint64_t gsvm_group_size(unsigned int d)
{
	return GSVM_CSR_DIM(0xccc, d, 1);
}

/* Work-items per group as dispatched. */
GSVM_INLINE uint64_t gsvm_local_size(unsigned int d)
{
	return GSVM_CSR_DIM(0xcd5, d, 1);
}

GSVM_INLINE uint64_t gsvm_num_groups(unsigned int d)
{
	return (gsvm_global_size(d) + gsvm_local_size(d) - 1) / gsvm_local_size(d);
}

/* Dimensions of the dispatch, 1..3. */
GSVM_INLINE unsigned int gsvm_dims(void)
{
	return GSVM_CSR(0xccf);
}

/* (z * size_y + y) * size_x + x, in the grid and in the group. */
GSVM_INLINE uint64_t gsvm_global_linear(void)
{
	return GSVM_CSR(0xcd0);
}

GSVM_INLINE uint64_t gsvm_local_linear(void)
{
	return (gsvm_local_id(2) * gsvm_group_size(1) + gsvm_local_id(1)) * gsvm_group_size(0) +
	       gsvm_local_id(0);
}

/* Group memory that the dispatch asked for, besides the program's own. */
GSVM_INLINE void *gsvm_group_dyn(void)
{
	return (void *)GSVM_CSR(0xcd1);
}

GSVM_INLINE uint64_t gsvm_group_dyn_size(void)
{
	return GSVM_CSR(0xcd2);
}

/* Compute core that runs the work-item, and index of its packet in the queue. */
GSVM_INLINE unsigned int gsvm_core(void)
{
	return GSVM_CSR(0xcd3);
}

GSVM_INLINE uint64_t gsvm_packet(void)
{
	return GSVM_CSR(0xcd4);
}

/* Nanoseconds since the device's reset; instructions this work-item retired. */
GSVM_INLINE uint64_t gsvm_time(void)
{
	return GSVM_COUNTER(0xc01);
}

GSVM_INLINE uint64_t gsvm_instructions(void)
{
	return GSVM_COUNTER(0xc02);
}

/* ---- Control -------------------------------------------------------------- */

/*
 * Wait until all work-items of the group have come here or ended. What they
 * wrote before is visible after, in all memory.
 */
GSVM_INLINE void gsvm_barrier(void)
{
	__asm__ volatile("fence rw, rw\n\t"
			 ".insn r CUSTOM_0, 4, 0, x0, x0, x0\n\t"
			 "fence rw, rw" : : : "memory");
}

/* End this work-item. */
__attribute__((noreturn)) GSVM_INLINE void gsvm_exit(void)
{
	__asm__ volatile(".insn r CUSTOM_0, 0, 0, x0, x0, x0" : : : "memory");
	__builtin_unreachable();
}

/* ---- Atomics -------------------------------------------------------------- */

/*
 * On aligned 4- and 8-byte integers and pointers, against all work-items, the
 * CPU and other devices. @order is a GSVM_* below. C programs may as well use
 * __atomic_* or <stdatomic.h>, OpenCL C its own functions.
 */
#define GSVM_RELAXED	__ATOMIC_RELAXED
#define GSVM_ACQUIRE	__ATOMIC_ACQUIRE
#define GSVM_RELEASE	__ATOMIC_RELEASE
#define GSVM_ACQ_REL	__ATOMIC_ACQ_REL
#define GSVM_SEQ_CST	__ATOMIC_SEQ_CST

#define gsvm_load(p, order)		__atomic_load_n(p, order)
#define gsvm_store(p, v, order)		__atomic_store_n(p, v, order)
/* These return the value before. */
#define gsvm_exchange(p, v, order)	__atomic_exchange_n(p, v, order)
#define gsvm_fetch_add(p, v, order)	__atomic_fetch_add(p, v, order)
#define gsvm_fetch_sub(p, v, order)	__atomic_fetch_sub(p, v, order)
#define gsvm_fetch_and(p, v, order)	__atomic_fetch_and(p, v, order)
#define gsvm_fetch_or(p, v, order)	__atomic_fetch_or(p, v, order)
#define gsvm_fetch_xor(p, v, order)	__atomic_fetch_xor(p, v, order)
/* True if *p was *expected and is @v now; else *expected is what *p was. */
#define gsvm_compare_exchange(p, expected, v, order)			\
	__atomic_compare_exchange_n(p, expected, v, 0, order,		\
		(order) == __ATOMIC_ACQ_REL ? __ATOMIC_ACQUIRE :	\
		(order) == __ATOMIC_RELEASE ? __ATOMIC_RELAXED : (order))
#define gsvm_fence(order)		__atomic_thread_fence(order)

/* Minimum and maximum, signed (s) and unsigned (u); always sequentially consistent. */
#define GSVM_MINMAX(name, type, insn)					\
GSVM_INLINE type name(volatile type *p, type v)				\
{									\
	type old;							\
									\
	__asm__ volatile(insn ".aqrl %0, %2, %1"			\
			 : "=r"(old), "+A"(*p) : "r"(v) : "memory");	\
	return old;							\
}
GSVM_MINMAX(gsvm_fetch_min_s32, int32_t, "amomin.w")
GSVM_MINMAX(gsvm_fetch_max_s32, int32_t, "amomax.w")
GSVM_MINMAX(gsvm_fetch_min_u32, uint32_t, "amominu.w")
GSVM_MINMAX(gsvm_fetch_max_u32, uint32_t, "amomaxu.w")
GSVM_MINMAX(gsvm_fetch_min_s64, int64_t, "amomin.d")
GSVM_MINMAX(gsvm_fetch_max_s64, int64_t, "amomax.d")
GSVM_MINMAX(gsvm_fetch_min_u64, uint64_t, "amominu.d")
GSVM_MINMAX(gsvm_fetch_max_u64, uint64_t, "amomaxu.d")

#endif
