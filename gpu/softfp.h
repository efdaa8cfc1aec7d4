/* SPDX-License-Identifier: MIT */
/*
 * IEEE 754 arithmetic as RISC-V defines it: five rounding modes, tininess
 * detected after rounding, one canonical NaN, exact flags.
 *
 * In integers, because a C compiler does not keep floating-point code in order
 * with changes of the rounding mode and reads of the flags, and because no host
 * rounds to nearest with ties away. Values are bit patterns.
 */
#ifndef GPU_SOFTFP_H
#define GPU_SOFTFP_H

#include <stdbool.h>
#include <stdint.h>

/* Rounding modes and flags as in fcsr. */
enum {
	FP_RNE = 0, FP_RTZ = 1, FP_RDN = 2, FP_RUP = 3, FP_RMM = 4,
};

enum {
	FP_NX = 1, FP_UF = 2, FP_OF = 4, FP_DZ = 8, FP_NV = 16,
};

/* A format by its precision (with the hidden bit) and exponent bias. */
struct fp_format {
	unsigned int prec;
	int bias;
};

extern const struct fp_format fp_f32, fp_f64;

static inline uint64_t fp_sign_bit(const struct fp_format *f)
{
	return f->prec == 24 ? 1ull << 31 : 1ull << 63;
}

/* Positive infinity; anything above it without the sign is a NaN. */
static inline uint64_t fp_inf(const struct fp_format *f)
{
	return (2ull * f->bias + 1) << (f->prec - 1);
}

static inline uint64_t fp_nan(const struct fp_format *f)
{
	return fp_inf(f) | 1ull << (f->prec - 2);
}

static inline bool fp_is_nan(const struct fp_format *f, uint64_t a)
{
	return (a & ~fp_sign_bit(f)) > fp_inf(f);
}

static inline bool fp_is_snan(const struct fp_format *f, uint64_t a)
{
	return fp_is_nan(f, a) && !(a >> (f->prec - 2) & 1);
}

/* Each adds what it raises to *flags. @rm is one of FP_RNE..FP_RMM. */
uint64_t fp_add(const struct fp_format *f, uint64_t a, uint64_t b, unsigned int rm,
		unsigned int *flags);
uint64_t fp_mul(const struct fp_format *f, uint64_t a, uint64_t b, unsigned int rm,
		unsigned int *flags);
uint64_t fp_div(const struct fp_format *f, uint64_t a, uint64_t b, unsigned int rm,
		unsigned int *flags);
uint64_t fp_sqrt(const struct fp_format *f, uint64_t a, unsigned int rm, unsigned int *flags);
/* a * b + c, rounded once. */
uint64_t fp_fma(const struct fp_format *f, uint64_t a, uint64_t b, uint64_t c, unsigned int rm,
		unsigned int *flags);

uint64_t fp_convert(const struct fp_format *to, const struct fp_format *from, uint64_t a,
		    unsigned int rm, unsigned int *flags);
/* Integers of @bits (32 or 64), saturating; 32-bit results are sign-extended. */
uint64_t fp_to_int(const struct fp_format *f, uint64_t a, unsigned int bits, bool is_signed,
		   unsigned int rm, unsigned int *flags);
uint64_t fp_from_int(const struct fp_format *f, uint64_t mag, bool sign, unsigned int rm,
		     unsigned int *flags);

#endif
