// SPDX-License-Identifier: MIT
/*
 * F and D extensions: decoding, NaN boxing, and the operations that are no
 * arithmetic. Arithmetic is in softfp.c.
 *
 * A single in a 64-bit register must be boxed (upper half all ones); anything
 * else reads as the canonical NaN, except for stores, fmv.x.w and fmv.w.x,
 * which move bits.
 *
 * Fast path: when the inexact flag is already set and the mode is nearest-even,
 * a host operation on normal operands with a normal result gives the same bits,
 * and the only flag it could raise is raised. Everything else is computed in
 * integers. The host is in its default mode; nothing here changes it.
 */
#include <string.h>

#include "rv.h"
#include "softfp.h"

/* OP-FP by bits 31:27. */
#define FP_ADD		0x00
#define FP_SUB		0x01
#define FP_MUL		0x02
#define FP_DIV		0x03
#define FP_SGNJ		0x04
#define FP_MINMAX	0x05
#define FP_CVT_F_F	0x08
#define FP_SQRT		0x0b
#define FP_CMP		0x14
#define FP_CVT_INT_F	0x18
#define FP_CVT_F_INT	0x1a
#define FP_MV_X_CLASS	0x1c
#define FP_MV_F_X	0x1e

static const struct fp_format *fp_fmt(uint32_t insn)
{
	switch (insn >> 25 & 3) {
	case 0:
		return &fp_f32;
	case 1:
		return &fp_f64;
	default:
		return NULL;
	}
}

static uint64_t fp_get(const struct hart *h, const struct fp_format *f, unsigned int reg)
{
	uint64_t v = h->f[reg];

	if (f == &fp_f64)
		return v;
	return v >> 32 == 0xffffffff ? (uint32_t)v : fp_nan(&fp_f32);
}

static void fp_set(struct hart *h, const struct fp_format *f, unsigned int reg, uint64_t v)
{
	h->f[reg] = f == &fp_f64 ? v : v | ~0ull << 32;
}

/* Rounding mode of an instruction; false: reserved, also as found in frm. */
static bool fp_rm(const struct hart *h, uint32_t insn, unsigned int *rm)
{
	*rm = rv_funct3(insn);
	if (*rm == 7)
		*rm = h->fcsr >> 5 & 7;
	return *rm <= FP_RMM;
}

static bool host_can(const struct hart *h, unsigned int rm)
{
	return rm == FP_RNE && h->fcsr & FP_NX;
}

static bool normal64(uint64_t a)
{
	return (a >> 52 & 0x7ff) - 1 < 0x7fe;
}

static bool normal32(uint64_t a)
{
	return (a >> 23 & 0xff) - 1 < 0xfe;
}

static bool host_f64(unsigned int op, uint64_t a, uint64_t b, uint64_t *val)
{
	double x, y;

	if (!normal64(a) || !normal64(b))
		return false;
	memcpy(&x, &a, 8);
	memcpy(&y, &b, 8);
	switch (op) {
	case FP_ADD:
		x += y;
		break;
	case FP_SUB:
		x -= y;
		break;
	case FP_MUL:
		x *= y;
		break;
	default:
		x /= y;
		break;
	}
	memcpy(val, &x, 8);
	return normal64(*val);
}

static bool host_f32(unsigned int op, uint64_t a, uint64_t b, uint64_t *val)
{
	uint32_t a32 = a, b32 = b;
	float x, y;

	if (!normal32(a) || !normal32(b))
		return false;
	memcpy(&x, &a32, 4);
	memcpy(&y, &b32, 4);
	switch (op) {
	case FP_ADD:
		x += y;
		break;
	case FP_SUB:
		x -= y;
		break;
	case FP_MUL:
		x *= y;
		break;
	default:
		x /= y;
		break;
	}
	memcpy(&a32, &x, 4);
	*val = a32;
	return normal32(a32);
}

static void fp_arith(struct hart *h, const struct fp_format *f, uint32_t insn, unsigned int rm)
{
	uint64_t a = fp_get(h, f, rv_rs1(insn));
	uint64_t b = fp_get(h, f, rv_rs2(insn));
	unsigned int op = insn >> 27, flags = 0;
	uint64_t v;

	if (!host_can(h, rm) || !(f == &fp_f64 ? host_f64(op, a, b, &v) : host_f32(op, a, b, &v))) {
		switch (op) {
		case FP_ADD:
			v = fp_add(f, a, b, rm, &flags);
			break;
		case FP_SUB:
			v = fp_add(f, a, b ^ fp_sign_bit(f), rm, &flags);
			break;
		case FP_MUL:
			v = fp_mul(f, a, b, rm, &flags);
			break;
		default:
			v = fp_div(f, a, b, rm, &flags);
			break;
		}
	}
	fp_set(h, f, rv_rd(insn), v);
	h->fcsr |= flags;
}

static bool fp_sgnj(struct hart *h, const struct fp_format *f, uint32_t insn)
{
	uint64_t sign = fp_sign_bit(f);
	uint64_t a = fp_get(h, f, rv_rs1(insn));
	uint64_t b = fp_get(h, f, rv_rs2(insn));

	switch (rv_funct3(insn)) {
	case 0:
		break;
	case 1:
		b = ~b;
		break;
	case 2:
		b ^= a;
		break;
	default:
		return false;
	}
	fp_set(h, f, rv_rd(insn), (a & ~sign) | (b & sign));
	return true;
}

/* A number that orders as the value does, -0 just below +0; not for NaNs. */
static int64_t fp_key(const struct fp_format *f, uint64_t a)
{
	uint64_t sign = fp_sign_bit(f);

	return a & sign ? ~(int64_t)(a & ~sign) : (int64_t)a;
}

static bool fp_minmax(struct hart *h, const struct fp_format *f, uint32_t insn)
{
	uint64_t a = fp_get(h, f, rv_rs1(insn));
	uint64_t b = fp_get(h, f, rv_rs2(insn));
	bool max = rv_funct3(insn) & 1;
	uint64_t v;

	if (rv_funct3(insn) > 1)
		return false;
	if (fp_is_snan(f, a) || fp_is_snan(f, b))
		h->fcsr |= FP_NV;
	if (fp_is_nan(f, a))
		v = fp_is_nan(f, b) ? fp_nan(f) : b;
	else if (fp_is_nan(f, b))
		v = a;
	else
		v = (fp_key(f, a) < fp_key(f, b)) != max ? a : b;
	fp_set(h, f, rv_rd(insn), v);
	return true;
}

static bool fp_cmp(struct hart *h, const struct fp_format *f, uint32_t insn)
{
	uint64_t a = fp_get(h, f, rv_rs1(insn));
	uint64_t b = fp_get(h, f, rv_rs2(insn));
	unsigned int funct3 = rv_funct3(insn);
	int64_t ka = fp_key(f, a), kb = fp_key(f, b);
	bool v = false;

	if (funct3 > 2)
		return false;
	if (fp_is_nan(f, a) || fp_is_nan(f, b)) {
		/* Only feq is quiet. */
		if (funct3 != 2 || fp_is_snan(f, a) || fp_is_snan(f, b))
			h->fcsr |= FP_NV;
	} else if (!((a | b) & ~fp_sign_bit(f))) {
		v = funct3 != 1;	/* zeros are equal */
	} else if (funct3 == 2) {
		v = ka == kb;
	} else {
		v = funct3 == 1 ? ka < kb : ka <= kb;
	}
	rv_set_x(h, rv_rd(insn), v);
	return true;
}

static unsigned int fp_class(const struct fp_format *f, uint64_t a)
{
	bool sign = a & fp_sign_bit(f);
	uint64_t mag = a & ~fp_sign_bit(f);

	if (mag > fp_inf(f))
		return fp_is_snan(f, a) ? 8 : 9;
	if (mag == fp_inf(f))
		return sign ? 0 : 7;
	if (!mag)
		return sign ? 3 : 4;
	if (mag >> (f->prec - 1))
		return sign ? 1 : 6;
	return sign ? 2 : 5;
}

static bool fp_mv_x_class(struct hart *h, const struct fp_format *f, uint32_t insn)
{
	uint64_t v = h->f[rv_rs1(insn)];

	if (rv_rs2(insn) || rv_funct3(insn) > 1)
		return false;
	if (rv_funct3(insn))
		v = 1u << fp_class(f, fp_get(h, f, rv_rs1(insn)));
	else if (f == &fp_f32)
		v = rv_sext32(v);
	rv_set_x(h, rv_rd(insn), v);
	return true;
}

static bool fp_mv_f_x(struct hart *h, const struct fp_format *f, uint32_t insn)
{
	uint64_t v = h->x[rv_rs1(insn)];

	if (rv_rs2(insn) || rv_funct3(insn))
		return false;
	fp_set(h, f, rv_rd(insn), f == &fp_f32 ? (uint32_t)v : v);
	return true;
}

/* rs2 of an integer conversion: bit 0 unsigned, bit 1 64 bits. */
static void fp_cvt_int_f(struct hart *h, const struct fp_format *f, uint32_t insn,
			 unsigned int rm)
{
	unsigned int type = rv_rs2(insn), flags = 0;

	rv_set_x(h, rv_rd(insn), fp_to_int(f, fp_get(h, f, rv_rs1(insn)), type & 2 ? 64 : 32,
					   !(type & 1), rm, &flags));
	h->fcsr |= flags;
}

static void fp_cvt_f_int(struct hart *h, const struct fp_format *f, uint32_t insn,
			 unsigned int rm)
{
	unsigned int type = rv_rs2(insn), flags = 0;
	uint64_t v = h->x[rv_rs1(insn)];
	bool sign;

	if (!(type & 2))
		v = type & 1 ? (uint32_t)v : rv_sext32(v);
	sign = !(type & 1) && (int64_t)v < 0;
	fp_set(h, f, rv_rd(insn), fp_from_int(f, sign ? -v : v, sign, rm, &flags));
	h->fcsr |= flags;
}

static void fp_cvt_f_f(struct hart *h, const struct fp_format *to, uint32_t insn,
		       unsigned int rm)
{
	const struct fp_format *from = rv_rs2(insn) ? &fp_f64 : &fp_f32;
	unsigned int flags = 0;

	fp_set(h, to, rv_rd(insn),
	       fp_convert(to, from, fp_get(h, from, rv_rs1(insn)), rm, &flags));
	h->fcsr |= flags;
}

/* Operations with a rounding mode. */
static bool fp_rounded(struct hart *h, const struct fp_format *f, uint32_t insn)
{
	unsigned int rm, flags = 0;

	if (!fp_rm(h, insn, &rm))
		return false;
	switch (insn >> 27) {
	case FP_ADD:
	case FP_SUB:
	case FP_MUL:
	case FP_DIV:
		fp_arith(h, f, insn, rm);
		return true;
	case FP_SQRT:
		if (rv_rs2(insn))
			return false;
		fp_set(h, f, rv_rd(insn), fp_sqrt(f, fp_get(h, f, rv_rs1(insn)), rm, &flags));
		h->fcsr |= flags;
		return true;
	case FP_CVT_F_F:
		if (rv_rs2(insn) != (f == &fp_f32))
			return false;
		fp_cvt_f_f(h, f, insn, rm);
		return true;
	case FP_CVT_INT_F:
		if (rv_rs2(insn) > 3)
			return false;
		fp_cvt_int_f(h, f, insn, rm);
		return true;
	case FP_CVT_F_INT:
		if (rv_rs2(insn) > 3)
			return false;
		fp_cvt_f_int(h, f, insn, rm);
		return true;
	default:
		return false;
	}
}

bool rv_fp_op(struct rv_run *r, uint32_t insn)
{
	const struct fp_format *f = fp_fmt(insn);
	struct hart *h = r->h;
	bool ok;

	if (!f)
		return rv_illegal(r, insn);
	switch (insn >> 27) {
	case FP_SGNJ:
		ok = fp_sgnj(h, f, insn);
		break;
	case FP_MINMAX:
		ok = fp_minmax(h, f, insn);
		break;
	case FP_CMP:
		ok = fp_cmp(h, f, insn);
		break;
	case FP_MV_X_CLASS:
		ok = fp_mv_x_class(h, f, insn);
		break;
	case FP_MV_F_X:
		ok = fp_mv_f_x(h, f, insn);
		break;
	default:
		ok = fp_rounded(h, f, insn);
		break;
	}
	return ok || rv_illegal(r, insn);
}

/* madd a*b+c, msub a*b-c, nmsub -(a*b)+c, nmadd -(a*b)-c. */
bool rv_fp_fma(struct rv_run *r, uint32_t insn)
{
	const struct fp_format *f = fp_fmt(insn);
	unsigned int op = insn >> 2 & 0x1f;
	struct hart *h = r->h;
	unsigned int rm, flags = 0;
	uint64_t a, c;

	if (!f || !fp_rm(h, insn, &rm))
		return rv_illegal(r, insn);
	a = fp_get(h, f, rv_rs1(insn));
	c = fp_get(h, f, rv_rs3(insn));
	if (op == RV_NMSUB || op == RV_NMADD)
		a ^= fp_sign_bit(f);
	if (op == RV_MSUB || op == RV_NMADD)
		c ^= fp_sign_bit(f);
	fp_set(h, f, rv_rd(insn), fp_fma(f, a, fp_get(h, f, rv_rs2(insn)), c, rm, &flags));
	h->fcsr |= flags;
	return true;
}
