/* SPDX-License-Identifier: MIT */
/*
 * Integer computation of RV64IM. @funct3 is a constant wherever these are
 * inlined; false means that the encoding is not assigned.
 */
#ifndef GPU_RV_INT_H
#define GPU_RV_INT_H

#include "rv.h"

/* Division by zero and overflow have defined results and do not trap. */
static inline uint64_t rv_div64(uint64_t a, uint64_t b)
{
	if (!b)
		return ~0ull;
	if (b == ~0ull)
		return -a;
	return (int64_t)a / (int64_t)b;
}

static inline uint64_t rv_rem64(uint64_t a, uint64_t b)
{
	if (!b)
		return a;
	if (b == ~0ull)
		return 0;
	return (int64_t)a % (int64_t)b;
}

static inline uint64_t rv_muldiv64(unsigned int funct3, uint64_t a, uint64_t b)
{
	switch (funct3) {
	case 0:
		return a * b;
	case 1:
		return (unsigned __int128)((__int128)(int64_t)a * (int64_t)b) >> 64;
	case 2:		/* signed by unsigned */
		return ((unsigned __int128)a * b >> 64) - ((int64_t)a < 0 ? b : 0);
	case 3:
		return (unsigned __int128)a * b >> 64;
	case 4:
		return rv_div64(a, b);
	case 5:
		return b ? a / b : ~0ull;
	case 6:
		return rv_rem64(a, b);
	default:
		return b ? a % b : a;
	}
}

static inline bool rv_op(uint32_t insn, unsigned int funct3, uint64_t a, uint64_t b,
			 uint64_t *val)
{
	unsigned int funct7 = rv_funct7(insn);

	if (funct7 == 1) {
		*val = rv_muldiv64(funct3, a, b);
		return true;
	}
	if (funct7 == 0x20 && funct3 == 0) {
		*val = a - b;
		return true;
	}
	if (funct7 == 0x20 && funct3 == 5) {
		*val = (int64_t)a >> (b & 63);
		return true;
	}
	if (unlikely(funct7))
		return false;
	switch (funct3) {
	case 0:
		*val = a + b;
		break;
	case 1:
		*val = a << (b & 63);
		break;
	case 2:
		*val = (int64_t)a < (int64_t)b;
		break;
	case 3:
		*val = a < b;
		break;
	case 4:
		*val = a ^ b;
		break;
	case 5:
		*val = a >> (b & 63);
		break;
	case 6:
		*val = a | b;
		break;
	default:
		*val = a & b;
		break;
	}
	return true;
}

static inline bool rv_muldiv32(unsigned int funct3, uint32_t a, uint32_t b, uint64_t *val)
{
	switch (funct3) {
	case 0:
		*val = rv_sext32(a * b);
		return true;
	case 4:		/* 64 bits hold INT32_MIN / -1 */
		*val = rv_sext32(b ? (int64_t)(int32_t)a / (int32_t)b : -1);
		return true;
	case 5:
		*val = rv_sext32(b ? a / b : ~0u);
		return true;
	case 6:
		*val = rv_sext32(b ? (int64_t)(int32_t)a % (int32_t)b : (int32_t)a);
		return true;
	case 7:
		*val = rv_sext32(b ? a % b : a);
		return true;
	default:
		return false;
	}
}

static inline bool rv_op_32(uint32_t insn, uint32_t a, uint32_t b, uint64_t *val)
{
	switch (rv_funct7(insn) << 3 | rv_funct3(insn)) {
	case 0x000:
		*val = rv_sext32(a + b);
		return true;
	case 0x100:
		*val = rv_sext32(a - b);
		return true;
	case 0x001:
		*val = rv_sext32(a << (b & 31));
		return true;
	case 0x005:
		*val = rv_sext32(a >> (b & 31));
		return true;
	case 0x105:
		*val = (int32_t)a >> (b & 31);
		return true;
	default:
		return rv_funct7(insn) == 1 && rv_muldiv32(rv_funct3(insn), a, b, val);
	}
}

/* Shifts by an immediate: bits 31:26 (25 for words) select the kind. */
static inline bool rv_slli(uint32_t insn, uint64_t a, uint64_t *val)
{
	*val = a << (insn >> 20 & 63);
	return !(insn >> 26);
}

static inline bool rv_srxi(uint32_t insn, uint64_t a, uint64_t *val)
{
	unsigned int n = insn >> 20 & 63;

	*val = insn >> 30 & 1 ? (uint64_t)((int64_t)a >> n) : a >> n;
	return !(insn >> 26 & ~0x10u);
}

static inline bool rv_op_imm_32(uint32_t insn, uint32_t a, uint64_t *val)
{
	unsigned int n = rv_rs2(insn);

	switch (rv_funct3(insn)) {
	case 0:
		*val = rv_sext32(a + rv_imm_i(insn));
		return true;
	case 1:
		*val = rv_sext32(a << n);
		return rv_funct7(insn) == 0;
	case 5:
		if (rv_funct7(insn) == 0x20)
			*val = (int32_t)a >> n;
		else
			*val = rv_sext32(a >> n);
		return !(rv_funct7(insn) & ~0x20u);
	default:
		return false;
	}
}

#endif
