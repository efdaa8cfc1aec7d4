// SPDX-License-Identifier: MIT
/*
 * OpenCL C's built-in functions for GPU programs, as far as they are cheap:
 * work-items, barriers and fences, atomics, conversions, integer functions and
 * those of the common and math functions that need no series. gsvm-cc links
 * this, as bitcode, into each OpenCL program, so that it is inlined. What is
 * not here is reported by the linker as undefined.
 *
 * Compiled without OpenCL's own headers (-cl-no-stdinc), which declare what is
 * defined here; names and types must mangle as theirs do. All address spaces
 * are one; a generic pointer is a pointer.
 */
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
typedef uint cl_mem_fence_flags;

#define VECTORS(type)								\
	typedef type type ## 2 __attribute__((ext_vector_type(2)));		\
	typedef type type ## 3 __attribute__((ext_vector_type(3)));		\
	typedef type type ## 4 __attribute__((ext_vector_type(4)));		\
	typedef type type ## 8 __attribute__((ext_vector_type(8)));		\
	typedef type type ## 16 __attribute__((ext_vector_type(16)));
VECTORS(char) VECTORS(uchar) VECTORS(short) VECTORS(ushort) VECTORS(int) VECTORS(uint)
VECTORS(long) VECTORS(ulong) VECTORS(float) VECTORS(double)

typedef enum memory_order {
	memory_order_relaxed = __ATOMIC_RELAXED,
	memory_order_acquire = __ATOMIC_ACQUIRE,
	memory_order_release = __ATOMIC_RELEASE,
	memory_order_acq_rel = __ATOMIC_ACQ_REL,
	memory_order_seq_cst = __ATOMIC_SEQ_CST,
} memory_order;

typedef enum memory_scope {
	memory_scope_work_item,
	memory_scope_work_group,
	memory_scope_device,
	memory_scope_all_svm_devices,
} memory_scope;

#define OVER	__attribute__((overloadable))

/* ---- Work-items ----------------------------------------------------------- */

#define CSR(number) ({								\
	ulong csr_;								\
	__asm__("csrr %0, %1" : "=r"(csr_) : "i"(number));			\
	csr_;									\
})
#define CSR_DIM(number, d, other)						\
	((d) == 0 ? CSR(number) : (d) == 1 ? CSR((number) + 1) :		\
	 (d) == 2 ? CSR((number) + 2) : (other))

OVER uint get_work_dim(void)
{
	return CSR(0xccf);
}

OVER size_t get_global_id(uint d)
{
	return CSR_DIM(0xcc0, d, 0);
}

OVER size_t get_local_id(uint d)
{
	return CSR_DIM(0xcc3, d, 0);
}

OVER size_t get_group_id(uint d)
{
	return CSR_DIM(0xcc6, d, 0);
}

OVER size_t get_global_size(uint d)
{
	return CSR_DIM(0xcc9, d, 1);
}

/* Of this group; OpenCL 2.0 allows smaller ones at the edge of the grid. */
OVER size_t get_local_size(uint d)
{
	return CSR_DIM(0xccc, d, 1);
}

OVER size_t get_enqueued_local_size(uint d)
{
	return CSR_DIM(0xcd5, d, 1);
}

OVER size_t get_num_groups(uint d)
{
	size_t local_size = CSR_DIM(0xcd5, d, 1);

	return (get_global_size(d) + local_size - 1) / local_size;
}

OVER size_t get_global_offset(uint d)
{
	(void)d;
	return 0;
}

OVER size_t get_global_linear_id(void)
{
	return CSR(0xcd0);
}

OVER size_t get_local_linear_id(void)
{
	return (get_local_id(2) * get_local_size(1) + get_local_id(1)) * get_local_size(0) +
	       get_local_id(0);
}

/* ---- Barriers and fences -------------------------------------------------- */

/* All memory is ordered, whatever the flags and the scope. */
OVER __attribute__((convergent)) void work_group_barrier(cl_mem_fence_flags flags,
							  memory_scope scope)
{
	(void)flags, (void)scope;
	__asm__ volatile("fence rw, rw\n\t"
			 ".insn r CUSTOM_0, 4, 0, x0, x0, x0\n\t"
			 "fence rw, rw" : : : "memory");
}

OVER __attribute__((convergent)) void work_group_barrier(cl_mem_fence_flags flags)
{
	work_group_barrier(flags, memory_scope_work_group);
}

OVER __attribute__((convergent)) void barrier(cl_mem_fence_flags flags)
{
	work_group_barrier(flags, memory_scope_work_group);
}

OVER void mem_fence(cl_mem_fence_flags flags)
{
	(void)flags;
	__asm__ volatile("fence rw, rw" : : : "memory");
}

OVER void read_mem_fence(cl_mem_fence_flags flags)
{
	(void)flags;
	__asm__ volatile("fence r, rw" : : : "memory");
}

OVER void write_mem_fence(cl_mem_fence_flags flags)
{
	(void)flags;
	__asm__ volatile("fence rw, w" : : : "memory");
}

OVER void atomic_work_item_fence(cl_mem_fence_flags flags, memory_order order, memory_scope scope)
{
	(void)flags, (void)scope;
	if (order != memory_order_relaxed)
		__asm__ volatile("fence rw, rw" : : : "memory");
}

/* ---- Atomics of OpenCL 1.x: relaxed --------------------------------------- */

#define MIN_MAX(op, space, type, insn)						\
OVER type op(volatile space type *p, type v)					\
{										\
	type old;								\
										\
	__asm__ volatile(insn " %0, %2, %1" : "=r"(old), "+A"(*p) : "r"(v) : "memory"); \
	return old;								\
}

#define ATOMIC_1(prefix, space, type)						\
OVER type prefix ## _add(volatile space type *p, type v)			\
{										\
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);			\
}										\
OVER type prefix ## _sub(volatile space type *p, type v)			\
{										\
	return __atomic_fetch_sub(p, v, __ATOMIC_RELAXED);			\
}										\
OVER type prefix ## _inc(volatile space type *p)				\
{										\
	return __atomic_fetch_add(p, (type)1, __ATOMIC_RELAXED);		\
}										\
OVER type prefix ## _dec(volatile space type *p)				\
{										\
	return __atomic_fetch_sub(p, (type)1, __ATOMIC_RELAXED);		\
}										\
OVER type prefix ## _and(volatile space type *p, type v)			\
{										\
	return __atomic_fetch_and(p, v, __ATOMIC_RELAXED);			\
}										\
OVER type prefix ## _or(volatile space type *p, type v)				\
{										\
	return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);			\
}										\
OVER type prefix ## _xor(volatile space type *p, type v)			\
{										\
	return __atomic_fetch_xor(p, v, __ATOMIC_RELAXED);			\
}										\
OVER type prefix ## _xchg(volatile space type *p, type v)			\
{										\
	return __atomic_exchange_n(p, v, __ATOMIC_RELAXED);			\
}										\
OVER type prefix ## _cmpxchg(volatile space type *p, type expected, type v)	\
{										\
	__atomic_compare_exchange_n(p, &expected, v, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED); \
	return expected;							\
}

#define ATOMICS_1(space)							\
ATOMIC_1(atomic, space, int)							\
MIN_MAX(atomic_min, space, int, "amomin.w") MIN_MAX(atomic_max, space, int, "amomax.w") \
ATOMIC_1(atomic, space, uint)							\
MIN_MAX(atomic_min, space, uint, "amominu.w") MIN_MAX(atomic_max, space, uint, "amomaxu.w") \
ATOMIC_1(atom, space, int)							\
MIN_MAX(atom_min, space, int, "amomin.w") MIN_MAX(atom_max, space, int, "amomax.w") \
ATOMIC_1(atom, space, uint)							\
MIN_MAX(atom_min, space, uint, "amominu.w") MIN_MAX(atom_max, space, uint, "amomaxu.w") \
ATOMIC_1(atom, space, long)							\
MIN_MAX(atom_min, space, long, "amomin.d") MIN_MAX(atom_max, space, long, "amomax.d") \
ATOMIC_1(atom, space, ulong)							\
MIN_MAX(atom_min, space, ulong, "amominu.d") MIN_MAX(atom_max, space, ulong, "amomaxu.d") \
OVER float atomic_xchg(volatile space float *p, float v)			\
{										\
	return __builtin_astype(atomic_xchg((volatile space int *)p,		\
					    __builtin_astype(v, int)), float);	\
}

ATOMICS_1(__global)
ATOMICS_1(__local)

/* ---- Atomics of OpenCL 2.0 ------------------------------------------------ */

/*
 * Each in three forms: sequentially consistent, with an order, with a scope.
 * An order is nearly always a constant, and then one branch of these is left.
 * Where they tell fewer orders apart than there are, a stronger one is taken.
 */
#define FETCH(name, builtin, type)						\
OVER type name ## _explicit(volatile __generic atomic_ ## type *p, type v,	\
			    memory_order order, memory_scope scope)		\
{										\
	(void)scope;								\
	switch (order) {							\
	case memory_order_relaxed:						\
		return builtin((volatile __generic type *)p, v, __ATOMIC_RELAXED); \
	case memory_order_acquire:						\
		return builtin((volatile __generic type *)p, v, __ATOMIC_ACQUIRE); \
	case memory_order_release:						\
		return builtin((volatile __generic type *)p, v, __ATOMIC_RELEASE); \
	case memory_order_acq_rel:						\
		return builtin((volatile __generic type *)p, v, __ATOMIC_ACQ_REL); \
	default:								\
		return builtin((volatile __generic type *)p, v, __ATOMIC_SEQ_CST); \
	}									\
}										\
OVER type name ## _explicit(volatile __generic atomic_ ## type *p, type v,	\
			    memory_order order)					\
{										\
	return name ## _explicit(p, v, order, memory_scope_device);		\
}										\
OVER type name(volatile __generic atomic_ ## type *p, type v)			\
{										\
	return name ## _explicit(p, v, memory_order_seq_cst, memory_scope_device); \
}

#define LOAD_STORE(type)							\
OVER type atomic_load_explicit(volatile __generic atomic_ ## type *p, memory_order order, \
			       memory_scope scope)				\
{										\
	(void)scope;								\
	if (order == memory_order_relaxed)					\
		return __opencl_atomic_load(p, __ATOMIC_RELAXED, memory_scope_device); \
	if (order == memory_order_acquire)					\
		return __opencl_atomic_load(p, __ATOMIC_ACQUIRE, memory_scope_device); \
	return __opencl_atomic_load(p, __ATOMIC_SEQ_CST, memory_scope_device);	\
}										\
OVER type atomic_load_explicit(volatile __generic atomic_ ## type *p, memory_order order) \
{										\
	return atomic_load_explicit(p, order, memory_scope_device);		\
}										\
OVER type atomic_load(volatile __generic atomic_ ## type *p)			\
{										\
	return atomic_load_explicit(p, memory_order_seq_cst, memory_scope_device); \
}										\
OVER void atomic_store_explicit(volatile __generic atomic_ ## type *p, type v,	\
				memory_order order, memory_scope scope)		\
{										\
	(void)scope;								\
	if (order == memory_order_relaxed)					\
		__opencl_atomic_store(p, v, __ATOMIC_RELAXED, memory_scope_device); \
	else if (order == memory_order_release)					\
		__opencl_atomic_store(p, v, __ATOMIC_RELEASE, memory_scope_device); \
	else									\
		__opencl_atomic_store(p, v, __ATOMIC_SEQ_CST, memory_scope_device); \
}										\
OVER void atomic_store_explicit(volatile __generic atomic_ ## type *p, type v,	\
				memory_order order)				\
{										\
	atomic_store_explicit(p, v, order, memory_scope_device);		\
}										\
OVER void atomic_store(volatile __generic atomic_ ## type *p, type v)		\
{										\
	atomic_store_explicit(p, v, memory_order_seq_cst, memory_scope_device);	\
}										\
OVER void atomic_init(volatile __generic atomic_ ## type *p, type v)		\
{										\
	__opencl_atomic_store(p, v, __ATOMIC_RELAXED, memory_scope_device);	\
}										\
OVER type atomic_exchange_explicit(volatile __generic atomic_ ## type *p, type v, \
				   memory_order order, memory_scope scope)	\
{										\
	(void)scope;								\
	if (order == memory_order_relaxed)					\
		return __opencl_atomic_exchange(p, v, __ATOMIC_RELAXED, memory_scope_device); \
	return __opencl_atomic_exchange(p, v, __ATOMIC_SEQ_CST, memory_scope_device); \
}										\
OVER type atomic_exchange_explicit(volatile __generic atomic_ ## type *p, type v, \
				   memory_order order)				\
{										\
	return atomic_exchange_explicit(p, v, order, memory_scope_device);	\
}										\
OVER type atomic_exchange(volatile __generic atomic_ ## type *p, type v)	\
{										\
	return atomic_exchange_explicit(p, v, memory_order_seq_cst, memory_scope_device); \
}

/* @space is where the expected value is kept; a failure orders no more than success. */
#define COMPARE(type, kind, space)						\
OVER bool atomic_compare_exchange_ ## kind ## _explicit(			\
	volatile __generic atomic_ ## type *p, space type *expected, type v,	\
	memory_order success, memory_order failure, memory_scope scope)		\
{										\
	type old = *expected;							\
	bool done;								\
										\
	(void)failure, (void)scope;						\
	if (success == memory_order_relaxed)					\
		done = __opencl_atomic_compare_exchange_strong(p, &old, v,	\
			__ATOMIC_RELAXED, __ATOMIC_RELAXED, memory_scope_device); \
	else									\
		done = __opencl_atomic_compare_exchange_strong(p, &old, v,	\
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST, memory_scope_device); \
	if (!done)								\
		*expected = old;						\
	return done;								\
}										\
OVER bool atomic_compare_exchange_ ## kind ## _explicit(			\
	volatile __generic atomic_ ## type *p, space type *expected, type v,	\
	memory_order success, memory_order failure)				\
{										\
	return atomic_compare_exchange_ ## kind ## _explicit(p, expected, v, success, \
		failure, memory_scope_device);					\
}										\
OVER bool atomic_compare_exchange_ ## kind(					\
	volatile __generic atomic_ ## type *p, space type *expected, type v)	\
{										\
	return atomic_compare_exchange_ ## kind ## _explicit(p, expected, v,	\
		memory_order_seq_cst, memory_order_seq_cst, memory_scope_device); \
}

#define ATOMIC_2(type)								\
LOAD_STORE(type)								\
COMPARE(type, strong, __generic) COMPARE(type, weak, __generic)			\
FETCH(atomic_fetch_add, __atomic_fetch_add, type)				\
FETCH(atomic_fetch_sub, __atomic_fetch_sub, type)				\
FETCH(atomic_fetch_and, __atomic_fetch_and, type)				\
FETCH(atomic_fetch_or, __atomic_fetch_or, type)				\
FETCH(atomic_fetch_xor, __atomic_fetch_xor, type)				\
FETCH(atomic_fetch_min, __atomic_fetch_min, type)				\
FETCH(atomic_fetch_max, __atomic_fetch_max, type)

ATOMIC_2(int)
ATOMIC_2(uint)
ATOMIC_2(long)
ATOMIC_2(ulong)
LOAD_STORE(float)
LOAD_STORE(double)

OVER bool atomic_flag_test_and_set_explicit(volatile __generic atomic_flag *p, memory_order order,
					    memory_scope scope)
{
	(void)order, (void)scope;
	return __opencl_atomic_exchange((volatile __generic atomic_int *)p, 1, __ATOMIC_SEQ_CST,
					memory_scope_device);
}

OVER bool atomic_flag_test_and_set_explicit(volatile __generic atomic_flag *p, memory_order order)
{
	return atomic_flag_test_and_set_explicit(p, order, memory_scope_device);
}

OVER bool atomic_flag_test_and_set(volatile __generic atomic_flag *p)
{
	return atomic_flag_test_and_set_explicit(p, memory_order_seq_cst, memory_scope_device);
}

OVER void atomic_flag_clear_explicit(volatile __generic atomic_flag *p, memory_order order,
				     memory_scope scope)
{
	(void)order, (void)scope;
	__opencl_atomic_store((volatile __generic atomic_int *)p, 0, __ATOMIC_SEQ_CST,
			      memory_scope_device);
}

OVER void atomic_flag_clear_explicit(volatile __generic atomic_flag *p, memory_order order)
{
	atomic_flag_clear_explicit(p, order, memory_scope_device);
}

OVER void atomic_flag_clear(volatile __generic atomic_flag *p)
{
	atomic_flag_clear_explicit(p, memory_order_seq_cst, memory_scope_device);
}

/* ---- Numbers -------------------------------------------------------------- */

/* @F once per vector size; sizes come with their scalar type. */
#define SIZES(F, type)								\
	F(type, type) F(type ## 2, type) F(type ## 3, type) F(type ## 4, type)	\
	F(type ## 8, type) F(type ## 16, type)
#define VECTOR_SIZES(F, type)							\
	F(type ## 2, type) F(type ## 3, type) F(type ## 4, type)		\
	F(type ## 8, type) F(type ## 16, type)
#define INTEGERS(F)								\
	SIZES(F, char) SIZES(F, uchar) SIZES(F, short) SIZES(F, ushort)		\
	SIZES(F, int) SIZES(F, uint) SIZES(F, long) SIZES(F, ulong)
#define FLOATS(F)	SIZES(F, float) SIZES(F, double)

#define INTEGER(T, S)								\
OVER T min(T a, T b) { return __builtin_elementwise_min(a, b); }		\
OVER T max(T a, T b) { return __builtin_elementwise_max(a, b); }		\
OVER T clamp(T v, T lo, T hi) { return min(max(v, lo), hi); }			\
OVER T hadd(T a, T b) { return (a >> (T)1) + (b >> (T)1) + (a & b & (T)1); }	\
OVER T rhadd(T a, T b) { return (a >> (T)1) + (b >> (T)1) + ((a | b) & (T)1); }
INTEGERS(INTEGER)

#define SATURATE(T, S)								\
OVER T add_sat(T a, T b) { return __builtin_elementwise_add_sat(a, b); }	\
OVER T sub_sat(T a, T b) { return __builtin_elementwise_sub_sat(a, b); }
SIZES(SATURATE, int) SIZES(SATURATE, uint) SIZES(SATURATE, long) SIZES(SATURATE, ulong)
VECTOR_SIZES(SATURATE, char) VECTOR_SIZES(SATURATE, uchar)
VECTOR_SIZES(SATURATE, short) VECTOR_SIZES(SATURATE, ushort)
/* Narrow scalars would be promoted before they saturate. */
#define SATURATE_NARROW(type, lo, hi)						\
OVER type add_sat(type a, type b) { return clamp((int)a + (int)b, lo, hi); }	\
OVER type sub_sat(type a, type b) { return clamp((int)a - (int)b, lo, hi); }
SATURATE_NARROW(char, -0x80, 0x7f) SATURATE_NARROW(uchar, 0, 0xff)
SATURATE_NARROW(short, -0x8000, 0x7fff) SATURATE_NARROW(ushort, 0, 0xffff)

#define INTEGER_SCALAR(T, S)							\
OVER T min(T a, S b) { return min(a, (T)b); }					\
OVER T max(T a, S b) { return max(a, (T)b); }					\
OVER T clamp(T v, S lo, S hi) { return clamp(v, (T)lo, (T)hi); }
#define VECTOR_INTEGERS(F)							\
	VECTOR_SIZES(F, char) VECTOR_SIZES(F, uchar) VECTOR_SIZES(F, short)	\
	VECTOR_SIZES(F, ushort) VECTOR_SIZES(F, int) VECTOR_SIZES(F, uint)	\
	VECTOR_SIZES(F, long) VECTOR_SIZES(F, ulong)
VECTOR_INTEGERS(INTEGER_SCALAR)

/* abs and abs_diff have unsigned results; clz of 0 is the width. */
#define ABS(type, utype)							\
OVER utype abs(type v) { return v < 0 ? -(utype)v : (utype)v; }			\
OVER utype abs_diff(type a, type b) { return a > b ? (utype)a - (utype)b : (utype)b - (utype)a; }
ABS(char, uchar) ABS(short, ushort) ABS(int, uint) ABS(long, ulong)
#define UABS(type)								\
OVER type abs(type v) { return v; }						\
OVER type abs_diff(type a, type b) { return a > b ? a - b : b - a; }
UABS(uchar) UABS(ushort) UABS(uint) UABS(ulong)

#define COUNT(type, utype, bits)						\
OVER type clz(type v)								\
{										\
	return (utype)v ? __builtin_clzl((ulong)(utype)v) - (64 - bits) : bits;	\
}										\
OVER type popcount(type v) { return __builtin_popcountl((ulong)(utype)v); }	\
OVER type ctz(type v) { return (utype)v ? __builtin_ctzl((ulong)(utype)v) : bits; } \
OVER type rotate(type v, type n)						\
{										\
	utype left = (utype)n & (bits - 1);					\
										\
	return (utype)((utype)v << left | (utype)v >> ((bits - left) & (bits - 1))); \
}
COUNT(char, uchar, 8) COUNT(uchar, uchar, 8) COUNT(short, ushort, 16) COUNT(ushort, ushort, 16)
COUNT(int, uint, 32) COUNT(uint, uint, 32) COUNT(long, ulong, 64) COUNT(ulong, ulong, 64)

#define MUL_HI(type, wide, bits)						\
OVER type mul_hi(type a, type b) { return (wide)a * (wide)b >> bits; }		\
OVER type mad_hi(type a, type b, type c) { return mul_hi(a, b) + c; }
MUL_HI(char, int, 8) MUL_HI(uchar, uint, 8) MUL_HI(short, int, 16) MUL_HI(ushort, uint, 16)
MUL_HI(int, long, 32) MUL_HI(uint, ulong, 32)
MUL_HI(long, __int128, 64) MUL_HI(ulong, unsigned __int128, 64)

OVER int mul24(int a, int b) { return a * b; }
OVER uint mul24(uint a, uint b) { return a * b; }
OVER int mad24(int a, int b, int c) { return a * b + c; }
OVER uint mad24(uint a, uint b, uint c) { return a * b + c; }

#define FLOAT(T, S)								\
OVER T fmin(T a, T b) { return __builtin_elementwise_min(a, b); }		\
OVER T fmax(T a, T b) { return __builtin_elementwise_max(a, b); }		\
OVER T min(T a, T b) { return __builtin_elementwise_min(a, b); }		\
OVER T max(T a, T b) { return __builtin_elementwise_max(a, b); }		\
OVER T clamp(T v, T lo, T hi) { return fmin(fmax(v, lo), hi); }			\
OVER T fabs(T v) { return __builtin_elementwise_abs(v); }			\
OVER T sqrt(T v) { return __builtin_elementwise_sqrt(v); }			\
OVER T native_sqrt(T v) { return __builtin_elementwise_sqrt(v); }		\
OVER T rsqrt(T v) { return (T)1 / __builtin_elementwise_sqrt(v); }		\
OVER T native_rsqrt(T v) { return rsqrt(v); }					\
OVER T native_recip(T v) { return (T)1 / v; }					\
OVER T native_divide(T a, T b) { return a / b; }				\
OVER T fma(T a, T b, T c) { return __builtin_elementwise_fma(a, b, c); }	\
OVER T mad(T a, T b, T c) { return __builtin_elementwise_fma(a, b, c); }	\
OVER T floor(T v) { return __builtin_elementwise_floor(v); }			\
OVER T ceil(T v) { return __builtin_elementwise_ceil(v); }			\
OVER T trunc(T v) { return __builtin_elementwise_trunc(v); }			\
OVER T rint(T v) { return __builtin_elementwise_rint(v); }			\
OVER T round(T v) { return __builtin_elementwise_round(v); }			\
OVER T copysign(T a, T b) { return __builtin_elementwise_copysign(a, b); }	\
OVER T mix(T a, T b, T t) { return fma(b - a, t, a); }				\
OVER T degrees(T v) { return v * (T)57.295779513082320877; }			\
OVER T radians(T v) { return v * (T)0.017453292519943295769; }
FLOATS(FLOAT)

#define FLOAT_SCALAR(T, S)							\
OVER T fmin(T a, S b) { return fmin(a, (T)b); }					\
OVER T fmax(T a, S b) { return fmax(a, (T)b); }					\
OVER T min(T a, S b) { return min(a, (T)b); }					\
OVER T max(T a, S b) { return max(a, (T)b); }					\
OVER T clamp(T v, S lo, S hi) { return clamp(v, (T)lo, (T)hi); }		\
OVER T mix(T a, T b, S t) { return mix(a, b, (T)t); }
VECTOR_SIZES(FLOAT_SCALAR, float)
VECTOR_SIZES(FLOAT_SCALAR, double)

#define FLOAT_TEST(T, R)							\
OVER int isnan(T v) { return v != v; }						\
OVER int isinf(T v) { return fabs(v) == (T)__builtin_inff(); }			\
OVER int isfinite(T v) { return fabs(v) < (T)__builtin_inff(); }		\
OVER int isequal(T a, T b) { return a == b; }					\
OVER int isnotequal(T a, T b) { return a != b; }				\
OVER int isgreater(T a, T b) { return a > b; }					\
OVER int isgreaterequal(T a, T b) { return a >= b; }				\
OVER int isless(T a, T b) { return a < b; }					\
OVER int islessequal(T a, T b) { return a <= b; }				\
OVER int signbit(T v) { return __builtin_astype(v, R) < 0; }			\
OVER T sign(T v) { return v != v ? 0 : v > 0 ? 1 : v < 0 ? -1 : v; }		\
OVER T step(T edge, T v) { return v < edge ? 0 : 1; }				\
OVER T smoothstep(T a, T b, T v)						\
{										\
	T t = clamp((v - a) / (b - a), (T)0, (T)1);				\
										\
	return t * t * (3 - 2 * t);						\
}										\
OVER T fdim(T a, T b) { return a > b ? a - b : a != a || b != b ? a + b : 0; }	\
OVER T dot(T a, T b) { return a * b; }						\
OVER T length(T v) { return fabs(v); }						\
OVER T distance(T a, T b) { return fabs(a - b); }
FLOAT_TEST(float, int)
FLOAT_TEST(double, long)

/* Geometry, without care for overflow in between. */
#define GEOMETRY(S)								\
OVER S dot(S ## 2 a, S ## 2 b) { return a.x * b.x + a.y * b.y; }		\
OVER S dot(S ## 3 a, S ## 3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }	\
OVER S dot(S ## 4 a, S ## 4 b) { return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; } \
OVER S ## 3 cross(S ## 3 a, S ## 3 b)						\
{										\
	return a.yzx * b.zxy - a.zxy * b.yzx;					\
}										\
LENGTH(S ## 2, S) LENGTH(S ## 3, S) LENGTH(S ## 4, S)
#define LENGTH(T, S)								\
OVER S length(T v) { return sqrt(dot(v, v)); }					\
OVER S distance(T a, T b) { return length(a - b); }				\
OVER T normalize(T v) { return v / length(v); }
GEOMETRY(float)
GEOMETRY(double)

/* select(a, b, c): b where c says so; by its sign bit in vectors. */
#define SELECT(T, S, C)								\
OVER T select(T a, T b, C c) { return c ? b : a; }
#define SELECTS(S, I, U)							\
SELECT(S, S, I) SELECT(S, S, U)							\
SELECT(S ## 2, S, I ## 2) SELECT(S ## 3, S, I ## 3) SELECT(S ## 4, S, I ## 4)	\
SELECT(S ## 8, S, I ## 8) SELECT(S ## 16, S, I ## 16)
SELECTS(char, char, uchar) SELECTS(uchar, char, uchar)
SELECTS(short, short, ushort) SELECTS(ushort, short, ushort)
SELECTS(int, int, uint) SELECTS(uint, int, uint) SELECTS(float, int, uint)
SELECTS(long, long, ulong) SELECTS(ulong, long, ulong) SELECTS(double, long, ulong)

/* ---- Conversions ---------------------------------------------------------- */

#define CONVERT(to, from)							\
OVER to convert_ ## to(from v) { return (to)v; }				\
CONVERT_N(to, from, 2) CONVERT_N(to, from, 3) CONVERT_N(to, from, 4)		\
CONVERT_N(to, from, 8) CONVERT_N(to, from, 16)
#define CONVERT_N(to, from, n)							\
OVER to ## n convert_ ## to ## n(from ## n v) { return __builtin_convertvector(v, to ## n); }
#define CONVERT_FROM(to)							\
	CONVERT(to, char) CONVERT(to, uchar) CONVERT(to, short) CONVERT(to, ushort) \
	CONVERT(to, int) CONVERT(to, uint) CONVERT(to, long) CONVERT(to, ulong)	\
	CONVERT(to, float) CONVERT(to, double)
CONVERT_FROM(char) CONVERT_FROM(uchar) CONVERT_FROM(short) CONVERT_FROM(ushort)
CONVERT_FROM(int) CONVERT_FROM(uint) CONVERT_FROM(long) CONVERT_FROM(ulong)
CONVERT_FROM(float) CONVERT_FROM(double)

/* Saturating: to integers, scalars. A NaN becomes 0. */
#define SAT_INT(to, from, lo, hi)						\
OVER to convert_ ## to ## _sat(from v)						\
{										\
	__int128 w = v;								\
										\
	return w < (__int128)(lo) ? (to)(lo) : w > (__int128)(hi) ? (to)(hi) : (to)w; \
}
#define SAT_FLOAT(to, from, lo, hi)						\
OVER to convert_ ## to ## _sat(from v)						\
{										\
	return v != v ? (to)0 : v <= (from)(lo) ? (to)(lo) : v >= (from)(hi) ? (to)(hi) : (to)v; \
}
#define SAT(to, lo, hi)								\
	SAT_INT(to, char, lo, hi) SAT_INT(to, uchar, lo, hi) SAT_INT(to, short, lo, hi) \
	SAT_INT(to, ushort, lo, hi) SAT_INT(to, int, lo, hi) SAT_INT(to, uint, lo, hi) \
	SAT_INT(to, long, lo, hi) SAT_INT(to, ulong, lo, hi)			\
	SAT_FLOAT(to, float, lo, hi) SAT_FLOAT(to, double, lo, hi)
SAT(char, -0x80, 0x7f) SAT(uchar, 0, 0xff) SAT(short, -0x8000, 0x7fff) SAT(ushort, 0, 0xffff)
SAT(int, -0x7fffffff - 1, 0x7fffffff) SAT(uint, 0, 0xffffffffu)
SAT(long, -0x7fffffffffffffffl - 1, 0x7fffffffffffffffl) SAT(ulong, 0, 0xfffffffffffffffful)
