// SPDX-License-Identifier: MIT
/*
 * Random RISC-V programs; isa_gen.h says what they look like.
 *
 * Registers: x1..x27 and all f are random; x28 counts loops, x29 is an
 * address or a temporary, x30 points into the scratch memory, x31 to the next
 * log entry. Code only jumps over or back to whole templates, so x29 always
 * holds what its template put there.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/isa_gen.h"
#include "tests/rv_enc.h"
#include "tests/tap.h"

#define R_COUNT		28
#define R_TEMP		29
#define R_SCRATCH	30
#define R_LOG		31

#define POOL_OFF	(-2048)		/* from x30; read only */
#define POOL_END	(-512)
#define SCRATCH_OFF	(-512)		/* read and written; crosses a page */
#define SCRATCH_END	2048

#define CSR_FFLAGS	1
#define CSR_FRM		2
#define CSR_FCSR	3

struct gen {
	uint64_t rng;
	unsigned int kinds;
	struct isa_program *p;
	unsigned int depth;	/* of branches and loops around here */
	bool in_loop;		/* x28 is in use */
};

static unsigned int pick(struct gen *g, unsigned int n)
{
	return tap_random(&g->rng) % n;
}

static int range(struct gen *g, int from, int to)
{
	return from + (int)pick(g, to - from);
}

static void emit(struct gen *g, uint32_t insn)
{
	tap_need(g->p->num_insns < ISA_CODE_MAX / 4, "generated program fits");
	g->p->code[g->p->num_insns++] = insn;
}

/* Destinations and sources; a few registers are hit often, so values meet. */
static unsigned int rd(struct gen *g)
{
	return pick(g, 28);
}

static unsigned int rs(struct gen *g)
{
	return pick(g, 32);
}

static unsigned int fr(struct gen *g)
{
	return pick(g, 32);
}

static void emit_li(struct gen *g, unsigned int reg, uint32_t val)
{
	emit(g, ENC_LUI(reg, val + 0x800));
	emit(g, enc_i(0x1b, 0, reg, reg, val & 0xfff));	/* addiw */
}

/* ---- integer ------------------------------------------------------------- */

static void gen_op(struct gen *g)
{
	static const uint16_t ops[] = {	/* funct7 << 3 | funct3 */
		0, 1, 2, 3, 4, 5, 6, 7, 0x100, 0x105,
	};
	static const uint16_t ops32[] = { 0, 1, 5, 0x100, 0x105 };
	unsigned int o;

	switch (pick(g, 6)) {
	case 0:
		o = ops32[pick(g, 5)];
		emit(g, enc_r(0x3b, o & 7, o >> 3, rd(g), rs(g), rs(g)));
		break;
	case 1:
	case 2:
		o = ops[pick(g, 10)];
		emit(g, enc_r(0x33, o & 7, o >> 3, rd(g), rs(g), rs(g)));
		break;
	case 3:
		o = pick(g, 8);
		if (o == 1 || o == 5)
			emit(g, enc_i(0x13, o, rd(g), rs(g),
				      pick(g, 64) | (o == 5 && pick(g, 2) ? 0x400 : 0)));
		else
			emit(g, enc_i(0x13, o, rd(g), rs(g), range(g, -2048, 2048)));
		break;
	case 4:
		if (pick(g, 3))
			emit(g, enc_i(0x1b, 0, rd(g), rs(g), range(g, -2048, 2048)));
		else if (pick(g, 2))
			emit(g, enc_i(0x1b, 1, rd(g), rs(g), pick(g, 32)));
		else
			emit(g, enc_i(0x1b, 5, rd(g), rs(g), pick(g, 32) |
				      (pick(g, 2) ? 0x400 : 0)));
		break;
	default:
		emit(g, enc_u(pick(g, 2) ? 0x37 : 0x17, rd(g), tap_random(&g->rng)));
		break;
	}
}

static void gen_mul(struct gen *g)
{
	static const uint8_t words[] = { 0, 4, 5, 6, 7 };

	if (pick(g, 3))
		emit(g, enc_r(0x33, pick(g, 8), 1, rd(g), rs(g), rs(g)));
	else
		emit(g, enc_r(0x3b, words[pick(g, 5)], 1, rd(g), rs(g), rs(g)));
}

/* x29 = an address in scratch memory, a multiple of 8 plus @skew. */
static void gen_address(struct gen *g, unsigned int skew)
{
	emit(g, ENC_ANDI(R_TEMP, rs(g), 0x3f8));
	if (skew)
		emit(g, ENC_ADDI(R_TEMP, R_TEMP, skew));
	emit(g, ENC_ADD(R_TEMP, R_TEMP, R_SCRATCH));
}

static void gen_memory(struct gen *g)
{
	unsigned int base = R_SCRATCH, size = pick(g, 4);
	int from = SCRATCH_OFF, to = SCRATCH_END - 8, off;

	if (!pick(g, 3)) {
		gen_address(g, pick(g, 2) ? pick(g, 8) : 0);
		base = R_TEMP;
		to = 1000;
	}
	off = range(g, from, to);
	if (pick(g, 3))
		off &= ~((1 << size) - 1);
	else if (pick(g, 2))
		off = range(g, -9, 3);	/* likely across the page boundary */

	if (pick(g, 2))
		emit(g, ENC_STORE(size, base, rs(g), off));
	else
		emit(g, ENC_LOAD(size < 3 && pick(g, 2) ? size + 4 : size, rd(g), base, off));
}

static void gen_template(struct gen *g);

static void gen_templates(struct gen *g, unsigned int n)
{
	g->depth++;
	while (n--)
		gen_template(g);
	g->depth--;
}

static void gen_branch(struct gen *g)
{
	static const uint8_t conds[] = { 0, 1, 4, 5, 6, 7 };
	uint32_t at = g->p->num_insns;
	unsigned int cond = conds[pick(g, 6)], a = rs(g), b = rs(g), link;

	if (g->depth > 2)
		return;
	switch (pick(g, 4)) {
	case 0:
		link = rd(g);
		emit(g, 0);
		gen_templates(g, pick(g, 4));
		g->p->code[at] = ENC_JAL(link, (g->p->num_insns - at) * 4);
		break;
	case 1:
		link = rd(g);
		emit(g, ENC_AUIPC(R_TEMP, 0));
		emit(g, 0);
		gen_templates(g, pick(g, 4));
		/* Bit 0 of the target is to be ignored. */
		g->p->code[at + 1] = ENC_JALR(link, R_TEMP, (g->p->num_insns - at) * 4 +
					      pick(g, 2));
		break;
	default:
		emit(g, 0);
		gen_templates(g, pick(g, 4));
		g->p->code[at] = enc_b(cond, a, b, (g->p->num_insns - at) * 4);
		break;
	}
}

static void gen_loop(struct gen *g)
{
	uint32_t head;

	if (g->in_loop || g->depth > 1)
		return;
	g->in_loop = true;
	emit(g, ENC_ADDI(R_COUNT, 0, range(g, 1, 8)));
	head = g->p->num_insns;
	gen_templates(g, range(g, 1, 6));
	emit(g, ENC_ADDI(R_COUNT, R_COUNT, -1));
	emit(g, ENC_BNE(R_COUNT, 0, ((int)head - (int)g->p->num_insns) * 4));
	g->in_loop = false;
}

static void gen_int(struct gen *g)
{
	switch (pick(g, 10)) {
	case 0 ... 4:
		gen_op(g);
		break;
	case 5 ... 7:
		gen_memory(g);
		break;
	case 8:
		gen_branch(g);
		break;
	default:
		gen_loop(g);
		break;
	}
}

/* ---- atomics ------------------------------------------------------------- */

static void gen_atomic(struct gen *g)
{
	static const uint8_t ops[] = { 0, 1, 4, 8, 0xc, 0x10, 0x14, 0x18, 0x1c };
	unsigned int size = 2 + pick(g, 2), aqrl = pick(g, 4) << 25;

	gen_address(g, size == 2 && pick(g, 2) ? 4 : 0);
	switch (pick(g, 8)) {
	case 0:		/* SC without reservation, or after somebody else's */
		emit(g, ENC_SC(size, rd(g), R_TEMP, rs(g)) | aqrl);
		break;
	case 1:		/* the value changes in between, perhaps */
		emit(g, ENC_LR(size, rd(g), R_TEMP) | aqrl);
		emit(g, ENC_STORE(pick(g, 4), R_TEMP, rs(g), 0));
		emit(g, ENC_SC(size, rd(g), R_TEMP, rs(g)) | aqrl);
		break;
	case 2:		/* another address */
		emit(g, ENC_LR(size, rd(g), R_TEMP) | aqrl);
		emit(g, ENC_ADDI(R_TEMP, R_TEMP, 8));
		emit(g, ENC_SC(size, rd(g), R_TEMP, rs(g)) | aqrl);
		break;
	case 3:		/* the second SC must fail */
		emit(g, ENC_LR(size, rd(g), R_TEMP));
		emit(g, ENC_SC(size, rd(g), R_TEMP, rs(g)) | aqrl);
		emit(g, ENC_SC(size, rd(g), R_TEMP, rs(g)) | aqrl);
		break;
	default:
		emit(g, ENC_AMO(ops[pick(g, 9)], size, rd(g), R_TEMP, rs(g)) | aqrl);
		break;
	}
	if (!pick(g, 8))
		emit(g, ENC_FENCE);
}

/* ---- floating point ------------------------------------------------------ */

static unsigned int gen_rm(struct gen *g)
{
	static const uint8_t rms[] = { 0, 1, 2, 3, 4, 7, 7, 7 };

	return rms[pick(g, 8)];
}

/* t = a * b rounded, then a * b - t: all of the product's lower half. */
static void gen_residue(struct gen *g, unsigned int fmt)
{
	unsigned int a = fr(g), b = fr(g), t = fr(g);

	if (t == a || t == b)
		return;
	emit(g, ENC_FOP(0x02, fmt, gen_rm(g), t, a, b));
	emit(g, enc_r(pick(g, 2) ? 0x47 : 0x4b, gen_rm(g), t << 2 | fmt, fr(g), a, b));
}

/* Products on both sides of where tininess after rounding begins. */
static void gen_tiny(struct gen *g, unsigned int fmt)
{
	unsigned int a = fr(g), b = fr(g);

	emit(g, ENC_ADDI(R_TEMP, 0, 1));
	emit(g, ENC_SLLI(R_TEMP, R_TEMP, fmt ? 52 : 23));	/* least normal number */
	emit(g, ENC_ADDI(R_TEMP, R_TEMP, range(g, -2, 5)));
	emit(g, ENC_FOP(0x1e, fmt, 0, a, R_TEMP, 0));
	emit(g, ENC_ADDI(R_TEMP, 0, fmt ? 1023 : 127));
	emit(g, ENC_SLLI(R_TEMP, R_TEMP, fmt ? 52 : 23));	/* one */
	emit(g, ENC_ADDI(R_TEMP, R_TEMP, range(g, -9, 9)));
	emit(g, ENC_FOP(0x1e, fmt, 0, b, R_TEMP, 0));
	emit(g, ENC_CSRRWI(0, CSR_FFLAGS, 0));
	emit(g, ENC_FOP(pick(g, 2) ? 0x02 : 0x03, fmt, gen_rm(g), fr(g), a, b));
}

static void gen_float(struct gen *g, unsigned int fmt)
{
	static const uint8_t fma[] = { 0x43, 0x47, 0x4b, 0x4f };
	unsigned int size = 2 + fmt;
	int off;

	switch (pick(g, 18)) {
	case 16:
		gen_residue(g, fmt);
		break;
	case 17:
		gen_tiny(g, fmt);
		break;
	case 0 ... 4:
		emit(g, ENC_FOP(pick(g, 4), fmt, gen_rm(g), fr(g), fr(g), fr(g)));
		break;
	case 5:
		emit(g, ENC_FOP(0x0b, fmt, gen_rm(g), fr(g), fr(g), 0));
		break;
	case 6 ... 7:
		emit(g, enc_r(fma[pick(g, 4)], gen_rm(g), fr(g) << 2 | fmt, fr(g), fr(g), fr(g)));
		break;
	case 8:
		emit(g, ENC_FOP(0x04, fmt, pick(g, 3), fr(g), fr(g), fr(g)));
		break;
	case 9:
		emit(g, ENC_FOP(0x05, fmt, pick(g, 2), fr(g), fr(g), fr(g)));
		break;
	case 10:
		emit(g, ENC_FOP(0x14, fmt, pick(g, 3), rd(g), fr(g), fr(g)));
		break;
	case 11:
		emit(g, ENC_FOP(0x18, fmt, gen_rm(g), rd(g), fr(g), pick(g, 4)));
		break;
	case 12:
		emit(g, ENC_FOP(0x1a, fmt, gen_rm(g), fr(g), rs(g), pick(g, 4)));
		break;
	case 13:
		if (pick(g, 2))
			emit(g, ENC_FOP(0x1c, fmt, pick(g, 2), rd(g), fr(g), 0));
		else
			emit(g, ENC_FOP(0x1e, fmt, 0, fr(g), rs(g), 0));
		break;
	case 14:
		emit(g, ENC_FOP(0x08, fmt, gen_rm(g), fr(g), fr(g), !fmt));
		break;
	default:
		off = range(g, SCRATCH_OFF, SCRATCH_END - 8);
		if (pick(g, 4))
			off &= ~7;
		if (pick(g, 2))
			emit(g, enc_s(0x27, size, R_SCRATCH, fr(g), off));
		else
			emit(g, enc_i(0x07, size, fr(g), R_SCRATCH, off));
		break;
	}
	/* Flags are sticky: look at them often, one operation at a time. */
	if (!pick(g, 2))
		emit(g, ENC_CSRRW(pick(g, 2) ? rd(g) : 0, CSR_FFLAGS, 0));
}

/* frm is kept valid: reserved modes are illegal, which ends a program. */
static void gen_csr(struct gen *g)
{
	switch (pick(g, 6)) {
	case 0 ... 1:
		emit(g, ENC_CSRRWI(rd(g), CSR_FRM, pick(g, 5)));
		break;
	case 2:
		emit(g, enc_i(0x73, 1 + pick(g, 3), rd(g), rs(g), CSR_FFLAGS));
		break;
	case 3:
		emit(g, enc_i(0x73, 5 + pick(g, 3), rd(g), pick(g, 32), CSR_FFLAGS));
		break;
	case 4:
		emit(g, ENC_ANDI(R_TEMP, rs(g), 0x7f));
		emit(g, ENC_CSRRW(rd(g), CSR_FCSR, R_TEMP));
		break;
	default:
		emit(g, ENC_CSRRS(rd(g), 1 + pick(g, 3), 0));
		break;
	}
}

static void gen_template(struct gen *g)
{
	static void (*const all[])(struct gen *g) = { gen_int, gen_mul, gen_atomic };
	unsigned int kind;

	do {
		kind = pick(g, 6);
	} while (!(g->kinds & 1u << kind));
	if (kind < 3)
		all[kind](g);
	else if (kind < 5)
		gen_float(g, kind - 3);
	else
		gen_csr(g);
}

/* ---- program ------------------------------------------------------------- */

static uint64_t random_f32(struct gen *g)
{
	static const uint32_t special[] = {
		0, 1, 0x007fffff, 0x00800000, 0x00800001, 0x3f800000, 0x3f800001, 0x3fc00000,
		0x3f000000, 0x40200000, 0x4effffff, 0x4f000000, 0x4f800000, 0x5effffff, 0x5f000000,
		0x5f800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fc12345,
		0x33800000, 0x34000000, 0x1f800000, 0x20000000,
	};
	uint32_t v = tap_random(&g->rng);

	switch (pick(g, 4)) {
	case 0 ... 1:
		v = special[pick(g, sizeof(special) / sizeof(special[0]))] | (v & 0x80000000);
		break;
	case 2:		/* near 1: sums cancel, conversions fit */
		v = (v & 0x807fffff) | (uint32_t)range(g, 100, 160) << 23;
		break;
	}
	/* One in sixteen is not boxed. */
	return pick(g, 16) ? v | 0xffffffff00000000ull : v | tap_random(&g->rng) << 33;
}

static uint64_t random_f64(struct gen *g)
{
	static const uint64_t special[] = {
		0, 1, 0x000fffffffffffff, 0x0010000000000000, 0x0010000000000001,
		0x3ff0000000000000, 0x3ff0000000000001, 0x3ff8000000000000, 0x3fe0000000000000,
		0x4004000000000000, 0x41dfffffffc00000, 0x41dfffffffe00000, 0x41e0000000000000,
		0x41efffffffe00000, 0x41effffffff00000, 0x43dfffffffffffff, 0x43e0000000000000,
		0x43efffffffffffff, 0x43f0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000,
		0x7ff0000000000001, 0x7ff8000000000000, 0x7ff8000000012345, 0x380fffffffffffff,
		0x3810000000000000, 0x36a0000000000000, 0x47efffffe0000000, 0x47efffffefffffff,
		0x47effffff0000000, 0x3ca0000000000000, 0x1ff0000000000000, 0x2000000000000000,
	};
	uint64_t v = tap_random(&g->rng);

	switch (pick(g, 4)) {
	case 0 ... 1:
		return special[pick(g, sizeof(special) / sizeof(special[0]))] | (v & 1ull << 63);
	case 2:
		return (v & 0x800fffffffffffff) | (uint64_t)range(g, 960, 1100) << 52;
	default:
		return v;
	}
}

static uint64_t random_int(struct gen *g)
{
	static const uint64_t special[] = {
		0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
		0xffffffff80000000, 0xffffffffffffffff, 0xfffffffffffffffe, 63, 64,
	};
	uint64_t v = tap_random(&g->rng);

	switch (pick(g, 3)) {
	case 0:
		return special[pick(g, sizeof(special) / sizeof(special[0]))];
	case 1:
		return (int64_t)v >> pick(g, 63);
	default:
		return v;
	}
}

static void fill_pool(struct gen *g)
{
	uint8_t *at = g->p->data + (ISA_SCRATCH - ISA_DATA_BASE) + POOL_OFF;
	int off;

	for (off = POOL_OFF; off < SCRATCH_END; off += 8, at += 8) {
		uint64_t v;

		switch (pick(g, 3)) {
		case 0:
			v = random_int(g);
			break;
		case 1:
			v = random_f32(g);
			break;
		default:
			v = random_f64(g);
			break;
		}
		memcpy(at, &v, 8);
	}
}

static void gen_reload(struct gen *g, bool all)
{
	unsigned int i;

	for (i = 1; i < 28; i++)
		if (all || !pick(g, 4))
			emit(g, ENC_LD(i, R_SCRATCH, range(g, POOL_OFF, POOL_END - 8) & ~7));
	for (i = 0; i < 32; i++)
		if (all || !pick(g, 2))
			emit(g, ENC_FLD(i, R_SCRATCH, range(g, POOL_OFF, POOL_END - 8) & ~7));
}

static void gen_log(struct gen *g)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		emit(g, ENC_SD(R_LOG, i, i * 8));
	for (i = 0; i < 32; i++)
		emit(g, ENC_FSD(R_LOG, i, 256 + i * 8));
	emit(g, ENC_CSRRS(R_TEMP, CSR_FCSR, 0));
	emit(g, ENC_SD(R_LOG, R_TEMP, 512));
	emit(g, ENC_LD(R_TEMP, R_LOG, R_TEMP * 8));
	emit(g, ENC_ADDI(R_LOG, R_LOG, ISA_LOG_ENTRY));
}

/* write(1, data, data_len); exit_group(0) */
static void gen_tail(struct gen *g)
{
	emit_li(g, 10, 1);
	emit_li(g, 11, ISA_DATA_BASE);
	emit_li(g, 12, g->p->data_len);
	emit_li(g, 17, 64);
	emit(g, ENC_ECALL);
	emit_li(g, 10, 0);
	emit_li(g, 17, 94);
	emit(g, ENC_ECALL);
}

static struct isa_program *new_program(unsigned int num_blocks, uint32_t log_len)
{
	struct isa_program *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->num_blocks = num_blocks;
	p->data_len = ISA_LOG - ISA_DATA_BASE + log_len;
	p->code = calloc(1, ISA_CODE_MAX);
	p->data = calloc(1, p->data_len);
	p->block_pc = calloc(num_blocks, sizeof(*p->block_pc));
	if (!p->code || !p->data || !p->block_pc) {
		isa_free(p);
		return NULL;
	}
	return p;
}

struct isa_program *isa_generate(uint64_t seed, unsigned int kinds, unsigned int num_blocks)
{
	struct isa_program *p = new_program(num_blocks, num_blocks * ISA_LOG_ENTRY);
	struct gen g = { .rng = seed, .kinds = kinds, .p = p };
	unsigned int i, n;

	if (!p)
		return NULL;
	fill_pool(&g);
	emit_li(&g, R_SCRATCH, ISA_SCRATCH);
	emit_li(&g, R_LOG, ISA_LOG);
	emit_li(&g, R_COUNT, 0);
	emit_li(&g, R_TEMP, 0);
	emit(&g, ENC_CSRRWI(0, CSR_FCSR, 0));
	for (i = 0; i < num_blocks; i++) {
		p->block_pc[i] = p->num_insns;
		gen_reload(&g, i == 0);
		for (n = 0; n < 24; n++)
			gen_template(&g);
		gen_log(&g);
	}
	gen_tail(&g);
	return p;
}

/* ---- encodings ------------------------------------------------------------ */

#define SIGILL_UCONTEXT_PC	176	/* struct ucontext of Linux on RISC-V */

/* Installs what stands behind it as the handler of SIGILL, and jumps over it. */
static void gen_handler(struct gen *g)
{
	struct isa_program *p = g->p;
	uint64_t act[3] = { 0, 4 };	/* handler, SA_SIGINFO, mask */
	uint32_t jump;

	emit_li(g, 10, 4);		/* SIGILL */
	emit_li(g, 11, ISA_DATA_BASE);
	emit_li(g, 12, 0);
	emit_li(g, 13, 8);
	emit_li(g, 17, 134);		/* rt_sigaction */
	emit(g, ENC_ECALL);
	jump = p->num_insns;
	emit(g, 0);
	act[0] = ISA_CODE_BASE + p->num_insns * 4;
	memcpy(p->data, act, sizeof(act));
	emit(g, ENC_LD(5, 12, SIGILL_UCONTEXT_PC));
	emit(g, ENC_ADDI(6, 5, 4));
	emit(g, ENC_SD(12, 6, SIGILL_UCONTEXT_PC));
	emit(g, ENC_LUI(7, ISA_CODE_BASE));
	emit(g, enc_r(0x33, 0, 0x20, 5, 5, 7));		/* sub */
	emit(g, enc_i(0x13, 5, 5, 5, 2));		/* srli */
	emit(g, ENC_LUI(7, ISA_LOG));
	emit(g, ENC_ADD(5, 5, 7));
	emit(g, ENC_ADDI(6, 0, 1));
	emit(g, ENC_SB(5, 6, 0));
	emit(g, ENC_JALR(0, 1, 0));
	p->code[jump] = ENC_JAL(0, (p->num_insns - jump) * 4);
}

/*
 * A random word that cannot jump, or reach other memory than scratch memory,
 * or read a clock, should it be an instruction.
 */
static uint32_t random_word(struct gen *g)
{
	static const uint8_t ops[] = {
		0x03, 0x07, 0x0f, 0x13, 0x1b, 0x23, 0x27, 0x2f, 0x33, 0x3b, 0x43, 0x47, 0x4b,
		0x4f, 0x53, 0x53, 0x53, 0x53, 0x73, 0x2f, 0x33,
	};
	uint32_t v = tap_random(&g->rng), op = ops[pick(g, sizeof(ops))];

	/* The stack pointer, x30 and x31 stay; few values of funct7 are in use. */
	v = (v & ~(0x1fu << 7 | 0x7fu)) | (3 + pick(g, 25)) << 7 | op;
	if (pick(g, 2))
		v &= ~(0x5cu << 25);
	switch (op) {
	case 0x03:
	case 0x07:
	case 0x2f:
		v = (v & ~(0x1fu << 15)) | R_SCRATCH << 15;
		if (op != 0x2f)
			v &= 0x00ffffff;
		break;
	case 0x23:
	case 0x27:
		v = (v & 0x01ffffff & ~(0x1fu << 15)) | R_SCRATCH << 15;
		break;
	case 0x73:
		/* No calls; of the registers, those that always read the same. */
		if (!(v >> 12 & 3) || v >> 30 == 3)
			v = (v & 0x3fffffff) | 0x1000;
		if (v >> 20 < 4)
			v |= 0x00500000;
		break;
	case 0x53:
		if (pick(g, 2))
			v &= ~(0x1cu << 20);
		break;
	}
	return v;
}

struct isa_program *isa_generate_encodings(uint64_t seed, unsigned int words)
{
	struct isa_program *p = new_program(1, (words + 1000 + 7) & ~7u);
	struct gen g = { .rng = seed, .p = p };

	if (!p)
		return NULL;
	gen_handler(&g);
	emit_li(&g, R_SCRATCH, ISA_SCRATCH);
	while (words--)
		emit(&g, random_word(&g));
	gen_tail(&g);
	return p;
}

void isa_free(struct isa_program *p)
{
	free(p->code);
	free(p->data);
	free(p->block_pc);
	free(p);
}
