/* SPDX-License-Identifier: MIT */
/*
 * Inside of the RISC-V hart: what its parts share. Outside it is hart.h.
 *
 * Every instruction handler returns true when the instruction retired. When it
 * returns false it has changed nothing that the program can see, and why the
 * hart stops is in the run (rv_error(), or a fault from the MMU).
 */
#ifndef GPU_RV_H
#define GPU_RV_H

#include "hart.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "guest memory is little-endian and accessed in place"
#endif

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

/* One hart_run() call. Pointers into guest memory live no longer than this. */
struct rv_run {
	struct core *core;
	struct hart *h;
	struct hart_stop_info *stop;
	enum hart_stop why;
	uint64_t fetch_va;	/* page of @fetch; ~pc: none */
	const uint8_t *fetch;
	uint64_t group_base;
	uint64_t group_span;	/* group_len, rounded up to pages */
	uint64_t private_len;	/* rounded down to 16: any aligned access below it fits */
};

/* Major opcodes, bits 6:2 of an instruction. */
enum rv_opcode {
	RV_LOAD = 0x00, RV_LOAD_FP = 0x01, RV_CUSTOM_0 = 0x02, RV_MISC_MEM = 0x03,
	RV_OP_IMM = 0x04, RV_AUIPC = 0x05, RV_OP_IMM_32 = 0x06,
	RV_STORE = 0x08, RV_STORE_FP = 0x09, RV_AMO = 0x0b,
	RV_OP = 0x0c, RV_LUI = 0x0d, RV_OP_32 = 0x0e,
	RV_MADD = 0x10, RV_MSUB = 0x11, RV_NMSUB = 0x12, RV_NMADD = 0x13,
	RV_OP_FP = 0x14,
	RV_BRANCH = 0x18, RV_JALR = 0x19, RV_JAL = 0x1b, RV_SYSTEM = 0x1c,
};

static inline unsigned int rv_rd(uint32_t insn)
{
	return insn >> 7 & 31;
}

static inline unsigned int rv_rs1(uint32_t insn)
{
	return insn >> 15 & 31;
}

static inline unsigned int rv_rs2(uint32_t insn)
{
	return insn >> 20 & 31;
}

static inline unsigned int rv_rs3(uint32_t insn)
{
	return insn >> 27;
}

static inline unsigned int rv_funct3(uint32_t insn)
{
	return insn >> 12 & 7;
}

static inline unsigned int rv_funct7(uint32_t insn)
{
	return insn >> 25;
}

static inline uint64_t rv_imm_i(uint32_t insn)
{
	return (int64_t)(int32_t)insn >> 20;
}

static inline uint64_t rv_imm_s(uint32_t insn)
{
	return ((int64_t)(int32_t)(insn & 0xfe000000) >> 20) | (insn >> 7 & 0x1f);
}

static inline uint64_t rv_imm_b(uint32_t insn)
{
	return ((int64_t)(int32_t)(insn & 0x80000000) >> 19) | (insn << 4 & 0x800) |
	       (insn >> 20 & 0x7e0) | (insn >> 7 & 0x1e);
}

static inline uint64_t rv_imm_u(uint32_t insn)
{
	return (int64_t)(int32_t)(insn & 0xfffff000);
}

static inline uint64_t rv_imm_j(uint32_t insn)
{
	return ((int64_t)(int32_t)(insn & 0x80000000) >> 11) | (insn & 0xff000) |
	       (insn >> 9 & 0x800) | (insn >> 20 & 0x7fe);
}

static inline uint64_t rv_sext32(uint64_t v)
{
	return (int64_t)(int32_t)v;
}

/* x0 is written like any other register and cleared before it can be read. */
static inline void rv_set_x(struct hart *h, unsigned int rd, uint64_t v)
{
	h->x[rd] = v;
}

bool rv_error(struct rv_run *r, uint32_t qerr, uint64_t addr, uint32_t access);
static inline bool rv_illegal(struct rv_run *r, uint32_t insn)
{
	return rv_error(r, GSVM_QERR_INSN, insn, 0);
}

bool rv_amo(struct rv_run *r, uint32_t insn);		/* rv_atomic.c */
bool rv_fence(struct rv_run *r, uint32_t insn);		/* rv_atomic.c */
bool rv_system(struct rv_run *r, uint32_t insn);	/* rv_csr.c */
bool rv_fp_op(struct rv_run *r, uint32_t insn);		/* rv_float.c */
bool rv_fp_fma(struct rv_run *r, uint32_t insn);	/* rv_float.c */

#endif
