// SPDX-License-Identifier: MIT
/*
 * IEEE 754 arithmetic in integers.
 *
 * A finite non-zero value is unpacked to sig * 2^(exp - 63) with bit 63 of sig
 * set. Results are formed as a 128-bit integer times a power of two. Bits that
 * fall off its end are or-ed into the last one ("jam"): rounding only needs to
 * know whether they were zero, and every intermediate keeps enough bits above
 * the jammed one that no rounding position can reach it.
 */
#include "softfp.h"

typedef unsigned __int128 u128;

const struct fp_format fp_f32 = { .prec = 24, .bias = 127 };
const struct fp_format fp_f64 = { .prec = 53, .bias = 1023 };

enum fp_kind { FP_ZERO, FP_FINITE, FP_INF, FP_NAN };

struct fp {
	enum fp_kind kind;
	bool sign;
	int exp;
	uint64_t sig;
};

static struct fp fp_unpack(const struct fp_format *f, uint64_t a)
{
	uint64_t frac = a & ((1ull << (f->prec - 1)) - 1);
	int exp = (a & ~fp_sign_bit(f)) >> (f->prec - 1);
	struct fp u = { .sign = a & fp_sign_bit(f) };
	int lead;

	if (exp == 2 * f->bias + 1) {
		u.kind = frac ? FP_NAN : FP_INF;
	} else if (exp) {
		u.kind = FP_FINITE;
		u.exp = exp - f->bias;
		u.sig = (1ull << 63) | frac << (64 - f->prec);
	} else if (frac) {
		lead = __builtin_clzll(frac);
		u.kind = FP_FINITE;
		u.exp = 1 - f->bias - (int)(f->prec - 1) + 63 - lead;
		u.sig = frac << lead;
	}
	return u;
}

static uint64_t fp_signed(const struct fp_format *f, bool sign, uint64_t mag)
{
	return sign ? mag | fp_sign_bit(f) : mag;
}

static uint64_t fp_invalid(const struct fp_format *f, unsigned int *flags)
{
	*flags |= FP_NV;
	return fp_nan(f);
}

/* Result of an operation with a NaN operand. */
static uint64_t fp_propagate(const struct fp_format *f, uint64_t a, uint64_t b,
			     unsigned int *flags)
{
	if (fp_is_snan(f, a) || fp_is_snan(f, b))
		*flags |= FP_NV;
	return fp_nan(f);
}

/* Does a value with these bits below the last kept one go up in magnitude? */
static bool fp_round_up(unsigned int rm, bool sign, bool odd, uint64_t rest, uint64_t half)
{
	switch (rm) {
	case FP_RNE:
		return rest > half || (rest == half && odd);
	case FP_RTZ:
		return false;
	case FP_RDN:
		return sign && rest;
	case FP_RUP:
		return !sign && rest;
	default:
		return rest >= half;
	}
}

/* @sig without its last @drop bits, rounded; may carry to one bit more. */
static uint64_t fp_round_sig(uint64_t sig, unsigned int drop, bool sign, unsigned int rm)
{
	uint64_t rest = sig & ((1ull << drop) - 1);
	uint64_t frac = sig >> drop;

	return frac + fp_round_up(rm, sign, frac & 1, rest, 1ull << (drop - 1));
}

static uint64_t jam64(uint64_t v, unsigned int shift)
{
	if (shift > 63)
		return v != 0;
	return v >> shift | ((v & ((1ull << shift) - 1)) != 0);
}

static u128 jam128(u128 v, unsigned int shift)
{
	if (shift > 127)
		return v != 0;
	return v >> shift | ((v & (((u128)1 << shift) - 1)) != 0);
}

static uint64_t fp_overflow(const struct fp_format *f, bool sign, unsigned int rm,
			    unsigned int *flags)
{
	bool to_inf = rm == FP_RNE || rm == FP_RMM || rm == (sign ? FP_RDN : FP_RUP);

	*flags |= FP_OF | FP_NX;
	return fp_signed(f, sign, to_inf ? fp_inf(f) : fp_inf(f) - 1);
}

/* Round sig * 2^(exp - 63), bit 63 of @sig set. */
static uint64_t fp_pack(const struct fp_format *f, bool sign, int exp, uint64_t sig,
			unsigned int rm, unsigned int *flags)
{
	unsigned int drop = 64 - f->prec;
	int emin = 1 - f->bias;
	bool tiny = false;
	uint64_t frac;

	if (exp < emin) {
		/* Not tiny if rounding with unbounded exponent reaches 2^emin. */
		tiny = exp < emin - 1 || !(fp_round_sig(sig, drop, sign, rm) >> f->prec);
		sig = jam64(sig, emin - exp);
		exp = emin;
	}
	frac = fp_round_sig(sig, drop, sign, rm);
	if (frac >> f->prec) {
		frac >>= 1;
		exp++;
	}
	if (exp > f->bias)
		return fp_overflow(f, sign, rm, flags);
	if (sig & ((1ull << drop) - 1))
		*flags |= tiny ? FP_NX | FP_UF : FP_NX;
	/* The hidden bit, where there is one, makes the exponent field exp + bias. */
	return fp_signed(f, sign, ((uint64_t)(exp - emin) << (f->prec - 1)) + frac);
}

/* Round v * 2^exp, @v not 0. */
static uint64_t fp_finish(const struct fp_format *f, bool sign, int exp, u128 v,
			  unsigned int rm, unsigned int *flags)
{
	uint64_t hi = v >> 64;
	int lead = hi ? __builtin_clzll(hi) : 64 + __builtin_clzll((uint64_t)v);

	v <<= lead;
	return fp_pack(f, sign, exp + 127 - lead, (uint64_t)(v >> 64) | ((uint64_t)v != 0),
		       rm, flags);
}

/* A signed magnitude v * 2^exp. */
struct fp_wide {
	bool sign;
	int exp;
	u128 v;
};

/*
 * a + b, both not 0 with their highest bit at 124 or 125 and zeros in the low
 * 20 bits. Operands whose exponents differ by 2 at most so lose nothing when
 * aligned; with a greater difference, at most 2 leading bits can cancel.
 */
static uint64_t fp_sum(const struct fp_format *f, struct fp_wide a, struct fp_wide b,
		       unsigned int rm, unsigned int *flags)
{
	if (a.exp < b.exp) {
		a.v = jam128(a.v, b.exp - a.exp);
		a.exp = b.exp;
	} else {
		b.v = jam128(b.v, a.exp - b.exp);
	}
	if (a.sign == b.sign)
		return fp_finish(f, a.sign, a.exp, a.v + b.v, rm, flags);
	if (a.v == b.v)
		return fp_signed(f, rm == FP_RDN, 0);
	if (a.v > b.v)
		return fp_finish(f, a.sign, a.exp, a.v - b.v, rm, flags);
	return fp_finish(f, b.sign, a.exp, b.v - a.v, rm, flags);
}

static struct fp_wide fp_widen(struct fp u)
{
	return (struct fp_wide){ u.sign, u.exp - 63 - 62, (u128)u.sig << 62 };
}

/* Sum of two zeros. */
static uint64_t fp_zero_sum(const struct fp_format *f, bool a, bool b, unsigned int rm)
{
	return fp_signed(f, a == b ? a : rm == FP_RDN, 0);
}

uint64_t fp_add(const struct fp_format *f, uint64_t a, uint64_t b, unsigned int rm,
		unsigned int *flags)
{
	struct fp ua = fp_unpack(f, a), ub = fp_unpack(f, b);

	if (ua.kind == FP_NAN || ub.kind == FP_NAN)
		return fp_propagate(f, a, b, flags);
	if (ua.kind == FP_INF && ub.kind == FP_INF && ua.sign != ub.sign)
		return fp_invalid(f, flags);
	if (ua.kind == FP_INF)
		return a;
	if (ub.kind == FP_INF)
		return b;
	if (ua.kind == FP_ZERO && ub.kind == FP_ZERO)
		return fp_zero_sum(f, ua.sign, ub.sign, rm);
	if (ua.kind == FP_ZERO)
		return b;
	if (ub.kind == FP_ZERO)
		return a;
	return fp_sum(f, fp_widen(ua), fp_widen(ub), rm, flags);
}

uint64_t fp_mul(const struct fp_format *f, uint64_t a, uint64_t b, unsigned int rm,
		unsigned int *flags)
{
	struct fp ua = fp_unpack(f, a), ub = fp_unpack(f, b);
	bool sign = ua.sign != ub.sign;

	if (ua.kind == FP_NAN || ub.kind == FP_NAN)
		return fp_propagate(f, a, b, flags);
	if (ua.kind == FP_INF || ub.kind == FP_INF) {
		if (ua.kind == FP_ZERO || ub.kind == FP_ZERO)
			return fp_invalid(f, flags);
		return fp_signed(f, sign, fp_inf(f));
	}
	if (ua.kind == FP_ZERO || ub.kind == FP_ZERO)
		return fp_signed(f, sign, 0);
	return fp_finish(f, sign, ua.exp + ub.exp - 126, (u128)ua.sig * ub.sig, rm, flags);
}

uint64_t fp_fma(const struct fp_format *f, uint64_t a, uint64_t b, uint64_t c, unsigned int rm,
		unsigned int *flags)
{
	struct fp ua = fp_unpack(f, a), ub = fp_unpack(f, b), uc = fp_unpack(f, c);
	struct fp_wide p = { .sign = ua.sign != ub.sign };

	/* Zero times infinity is invalid even when a quiet NaN is added. */
	if ((ua.kind == FP_INF && ub.kind == FP_ZERO) || (ua.kind == FP_ZERO && ub.kind == FP_INF))
		return fp_invalid(f, flags);
	if (ua.kind == FP_NAN || ub.kind == FP_NAN || uc.kind == FP_NAN) {
		fp_propagate(f, a, b, flags);
		return fp_propagate(f, c, c, flags);
	}
	if (ua.kind == FP_INF || ub.kind == FP_INF) {
		if (uc.kind == FP_INF && uc.sign != p.sign)
			return fp_invalid(f, flags);
		return fp_signed(f, p.sign, fp_inf(f));
	}
	if (uc.kind == FP_INF)
		return c;
	if (ua.kind == FP_ZERO || ub.kind == FP_ZERO)
		return uc.kind == FP_ZERO ? fp_zero_sum(f, p.sign, uc.sign, rm) : c;

	/* At most 106 of the product's bits are used: the shift is exact. */
	p.v = (u128)ua.sig * ub.sig >> 2;
	p.exp = ua.exp + ub.exp - 126 + 2;
	if (uc.kind == FP_ZERO)
		return fp_finish(f, p.sign, p.exp, p.v, rm, flags);
	return fp_sum(f, p, fp_widen(uc), rm, flags);
}

uint64_t fp_div(const struct fp_format *f, uint64_t a, uint64_t b, unsigned int rm,
		unsigned int *flags)
{
	struct fp ua = fp_unpack(f, a), ub = fp_unpack(f, b);
	bool sign = ua.sign != ub.sign;
	u128 num, quot;

	if (ua.kind == FP_NAN || ub.kind == FP_NAN)
		return fp_propagate(f, a, b, flags);
	if ((ua.kind == FP_INF && ub.kind == FP_INF) || (ua.kind == FP_ZERO && ub.kind == FP_ZERO))
		return fp_invalid(f, flags);
	if (ua.kind == FP_INF)
		return fp_signed(f, sign, fp_inf(f));
	if (ub.kind == FP_INF || ua.kind == FP_ZERO)
		return fp_signed(f, sign, 0);
	if (ub.kind == FP_ZERO) {
		*flags |= FP_DZ;
		return fp_signed(f, sign, fp_inf(f));
	}
	num = (u128)ua.sig << 63;
	quot = num / ub.sig;
	if (quot * ub.sig != num)
		quot |= 1;
	return fp_finish(f, sign, ua.exp - ub.exp - 63, quot, rm, flags);
}

/* Integer square root, bit by bit; *exact says that nothing was left. */
static uint64_t isqrt128(u128 v, bool *exact)
{
	u128 root = 0, bit = (u128)1 << 126;

	for (; bit; bit >>= 2) {
		if (v >= root + bit) {
			v -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	*exact = !v;
	return root;
}

uint64_t fp_sqrt(const struct fp_format *f, uint64_t a, unsigned int rm, unsigned int *flags)
{
	struct fp ua = fp_unpack(f, a);
	int odd = (ua.exp - 63) & 1;
	uint64_t root;
	bool exact;

	if (ua.kind == FP_NAN)
		return fp_propagate(f, a, a, flags);
	if (ua.kind == FP_ZERO)
		return a;
	if (ua.sign)
		return fp_invalid(f, flags);
	if (ua.kind == FP_INF)
		return a;
	root = isqrt128((u128)ua.sig << (62 + odd), &exact);
	return fp_finish(f, false, (ua.exp - 63 - odd - 62) / 2, root | !exact, rm, flags);
}

uint64_t fp_convert(const struct fp_format *to, const struct fp_format *from, uint64_t a,
		    unsigned int rm, unsigned int *flags)
{
	struct fp u = fp_unpack(from, a);

	switch (u.kind) {
	case FP_NAN:
		fp_propagate(from, a, a, flags);
		return fp_nan(to);
	case FP_INF:
		return fp_signed(to, u.sign, fp_inf(to));
	case FP_ZERO:
		return fp_signed(to, u.sign, 0);
	default:
		return fp_pack(to, u.sign, u.exp, u.sig, rm, flags);
	}
}

static uint64_t int_saturated(unsigned int bits, bool is_signed, bool sign)
{
	if (!is_signed)
		return sign ? 0 : ~0ull;	/* 2^32 - 1 is sign-extended */
	if (bits == 32)
		return sign ? (uint64_t)INT32_MIN : INT32_MAX;
	return sign ? (uint64_t)INT64_MIN : INT64_MAX;
}

/* Largest magnitude that an integer type holds. */
static uint64_t int_limit(unsigned int bits, bool is_signed, bool sign)
{
	if (is_signed)
		return (1ull << (bits - 1)) - !sign;
	return sign ? 0 : ~0ull >> (64 - bits);
}

uint64_t fp_to_int(const struct fp_format *f, uint64_t a, unsigned int bits, bool is_signed,
		   unsigned int rm, unsigned int *flags)
{
	struct fp u = fp_unpack(f, a);
	uint64_t mag = 0, rest;		/* integer part, fraction of 2^64 */
	bool overflow;

	if (u.kind == FP_ZERO)
		return 0;
	if (u.kind == FP_NAN)
		u.sign = false;
	overflow = u.kind != FP_FINITE || u.exp > 63;
	if (!overflow) {
		if (u.exp < 0) {
			rest = jam64(u.sig, -1 - u.exp);
		} else {
			mag = u.sig >> (63 - u.exp);
			rest = u.exp < 63 ? u.sig << (u.exp + 1) : 0;
		}
		if (fp_round_up(rm, u.sign, mag & 1, rest, 1ull << 63))
			overflow = !++mag;
		if (mag > int_limit(bits, is_signed, u.sign))
			overflow = true;
	}
	if (overflow) {
		*flags |= FP_NV;
		return int_saturated(bits, is_signed, u.sign);
	}
	if (rest)
		*flags |= FP_NX;
	if (u.sign)
		mag = -mag;
	return bits == 32 ? (uint64_t)(int64_t)(int32_t)mag : mag;
}

uint64_t fp_from_int(const struct fp_format *f, uint64_t mag, bool sign, unsigned int rm,
		     unsigned int *flags)
{
	int lead;

	if (!mag)
		return 0;
	lead = __builtin_clzll(mag);
	return fp_pack(f, sign, 63 - lead, mag << lead, rm, flags);
}
