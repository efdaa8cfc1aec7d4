/* SPDX-License-Identifier: MIT */
/*
 * Encoders of RISC-V instructions for tests: the formats of the ISA manual, no
 * knowledge of the interpreter.
 */
#ifndef GPU_TESTS_RV_ENC_H
#define GPU_TESTS_RV_ENC_H

#include <stdint.h>

static inline uint32_t enc_r(unsigned int op, unsigned int f3, unsigned int f7,
			     unsigned int rd, unsigned int rs1, unsigned int rs2)
{
	return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}

static inline uint32_t enc_i(unsigned int op, unsigned int f3, unsigned int rd,
			     unsigned int rs1, int imm)
{
	return (uint32_t)imm << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}

static inline uint32_t enc_s(unsigned int op, unsigned int f3, unsigned int rs1,
			     unsigned int rs2, int imm)
{
	return ((uint32_t)imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 |
	       ((uint32_t)imm & 0x1f) << 7 | op;
}

static inline uint32_t enc_b(unsigned int f3, unsigned int rs1, unsigned int rs2, int off)
{
	uint32_t u = off;

	return (u >> 12 & 1) << 31 | (u >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 |
	       (u >> 1 & 0xf) << 8 | (u >> 11 & 1) << 7 | 0x63;
}

static inline uint32_t enc_u(unsigned int op, unsigned int rd, uint32_t imm)
{
	return (imm & 0xfffff000) | rd << 7 | op;
}

static inline uint32_t enc_j(unsigned int rd, int off)
{
	uint32_t u = off;

	return (u >> 20 & 1) << 31 | (u >> 1 & 0x3ff) << 21 | (u >> 11 & 1) << 20 |
	       (u >> 12 & 0xff) << 12 | rd << 7 | 0x6f;
}

/* The instructions that tests name one by one. */
#define ENC_LUI(rd, imm)		enc_u(0x37, rd, imm)
#define ENC_AUIPC(rd, imm)		enc_u(0x17, rd, imm)
#define ENC_JAL(rd, off)		enc_j(rd, off)
#define ENC_JALR(rd, rs1, imm)		enc_i(0x67, 0, rd, rs1, imm)
#define ENC_BEQ(a, b, off)		enc_b(0, a, b, off)
#define ENC_BNE(a, b, off)		enc_b(1, a, b, off)
#define ENC_ADDI(rd, rs1, imm)		enc_i(0x13, 0, rd, rs1, imm)
#define ENC_ANDI(rd, rs1, imm)		enc_i(0x13, 7, rd, rs1, imm)
#define ENC_SLLI(rd, rs1, n)		enc_i(0x13, 1, rd, rs1, n)
#define ENC_ADD(rd, a, b)		enc_r(0x33, 0, 0, rd, a, b)
#define ENC_XOR(rd, a, b)		enc_r(0x33, 4, 0, rd, a, b)
#define ENC_LOAD(f3, rd, rs1, imm)	enc_i(0x03, f3, rd, rs1, imm)
#define ENC_LB(rd, rs1, imm)		ENC_LOAD(0, rd, rs1, imm)
#define ENC_LW(rd, rs1, imm)		ENC_LOAD(2, rd, rs1, imm)
#define ENC_LD(rd, rs1, imm)		ENC_LOAD(3, rd, rs1, imm)
#define ENC_STORE(f3, rs1, rs2, imm)	enc_s(0x23, f3, rs1, rs2, imm)
#define ENC_SB(rs1, rs2, imm)		ENC_STORE(0, rs1, rs2, imm)
#define ENC_SW(rs1, rs2, imm)		ENC_STORE(2, rs1, rs2, imm)
#define ENC_SD(rs1, rs2, imm)		ENC_STORE(3, rs1, rs2, imm)
#define ENC_FLW(rd, rs1, imm)		enc_i(0x07, 2, rd, rs1, imm)
#define ENC_FLD(rd, rs1, imm)		enc_i(0x07, 3, rd, rs1, imm)
#define ENC_FSW(rs1, rs2, imm)		enc_s(0x27, 2, rs1, rs2, imm)
#define ENC_FSD(rs1, rs2, imm)		enc_s(0x27, 3, rs1, rs2, imm)
#define ENC_CSRRW(rd, csr, rs1)		enc_i(0x73, 1, rd, rs1, csr)
#define ENC_CSRRS(rd, csr, rs1)		enc_i(0x73, 2, rd, rs1, csr)
#define ENC_CSRRC(rd, csr, rs1)		enc_i(0x73, 3, rd, rs1, csr)
#define ENC_CSRRWI(rd, csr, imm)	enc_i(0x73, 5, rd, imm, csr)
#define ENC_CSRRSI(rd, csr, imm)	enc_i(0x73, 6, rd, imm, csr)
#define ENC_CSRRCI(rd, csr, imm)	enc_i(0x73, 7, rd, imm, csr)
/* size: 2 words, 3 doublewords. */
#define ENC_AMO(f5, size, rd, rs1, rs2)	enc_r(0x2f, size, (f5) << 2, rd, rs1, rs2)
#define ENC_LR(size, rd, rs1)		ENC_AMO(0x02, size, rd, rs1, 0)
#define ENC_SC(size, rd, rs1, rs2)	ENC_AMO(0x03, size, rd, rs1, rs2)
#define ENC_AMOADD(size, rd, rs1, rs2)	ENC_AMO(0x00, size, rd, rs1, rs2)
/* fmt: 0 single, 1 double. */
#define ENC_FOP(f5, fmt, rm, rd, a, b)	enc_r(0x53, rm, (f5) << 2 | (fmt), rd, a, b)
#define ENC_FMADD(fmt, rm, rd, a, b, c)	enc_r(0x43, rm, (c) << 2 | (fmt), rd, a, b)
#define ENC_FENCE			0x0ff0000fu
#define ENC_FENCE_I			0x0000100fu
#define ENC_ECALL			0x00000073u
#define ENC_EBREAK			0x00100073u

#endif
