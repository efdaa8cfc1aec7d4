// SPDX-License-Identifier: MIT
/*
 * The hart's run loop: instruction fetch and dispatch.
 *
 * DOC: how a hart runs
 *
 * hart_run() executes straight from guest memory, with no decoded copy that
 * could go stale: code that the CPU changes is seen by the next fetch of it.
 * What is cached is the host pointer of the page that the pc is in. It comes
 * from the TLB like any other translation and lives within one hart_run(),
 * that is, within one agent_enter(): an invalidation stops the agent first.
 *
 * Instructions run in slices of at most SLICE. Between slices the loop looks
 * at the agent, the budget and the instruction limit, so none of the three
 * costs anything per instruction, and the limit is exact because the last
 * slice is cut to it.
 *
 * An instruction retires as a whole or not at all. A handler that cannot
 * complete returns false before it has changed a register, memory or the pc;
 * the access that parked is made again from the start when the hart goes on.
 *
 * x0 is written like the others and cleared at the head of each instruction.
 */
#include <string.h>

#include "rv_int.h"
#include "rv_mem.h"

#define SLICE	256

/* Dispatch on opcode (bits 6:2) and funct3 at once. */
#define KEY(op, funct3)	((op) << 3 | (funct3))
#define ALL(op)		KEY(op, 0) ... KEY(op, 7)

void hart_init(struct hart *h, struct hart_group *g, const uint32_t local_id[3],
	       uint64_t entry, uint64_t kernarg, const uint64_t *preload, unsigned int npreload)
{
	unsigned int i;

	memset(h->x, 0, sizeof(h->x));
	memset(h->f, 0, sizeof(h->f));
	h->pc = entry;
	h->fcsr = 0;
	memcpy(h->local_id, local_id, sizeof(h->local_id));
	h->insns = 0;
	h->lr_addr = ~0ull;
	h->lr_value = 0;
	h->lr_size = 0;
	h->group = g;

	h->x[1] = GSVM_RETURN_PC;
	h->x[2] = GSVM_PRIVATE_BASE + g->private_len;
	if (!npreload)
		h->x[10] = kernarg;
	for (i = 0; i < npreload && i < 8; i++)
		h->x[10 + i] = preload[i];
}

bool rv_error(struct rv_run *r, uint32_t qerr, uint64_t addr, uint32_t access)
{
	r->why = HART_ERROR;
	r->stop->qerr = qerr;
	r->stop->addr = addr;
	r->stop->access = access;
	return false;
}

/*
 * The pc is in another page than the last instruction, or misaligned (an entry
 * point; jumps check their target themselves), or the return address.
 */
static bool rv_fetch_page(struct rv_run *r, uint64_t pc)
{
	uint64_t page = pc & ~0xfffull;
	void *p;

	if (pc == GSVM_RETURN_PC) {
		r->why = HART_DONE;
		return false;
	}
	if (pc & 3)
		return rv_error(r, GSVM_QERR_MISALIGNED, pc, GSVM_ACCESS_EXEC);
	if (pc - r->group_base < r->group_span ||
	    (pc >= GSVM_PRIVATE_BASE && pc < 1ull << GSVM_VA_BITS))
		return rv_error(r, GSVM_QERR_APERTURE, pc, GSVM_ACCESS_EXEC);

	p = mmu_ptr(r->core->gpu, &r->core->tlb, r->h->group->asid, pc, GSVM_ACCESS_EXEC,
		    &r->stop->fault);
	if (!p) {
		r->why = HART_FAULT;
		return false;
	}
	r->fetch = (const uint8_t *)p - (pc - page);
	r->fetch_va = page;
	return true;
}

static bool rv_custom(struct rv_run *r, uint32_t insn)
{
	if (insn == GSVM_INSN_EXIT)
		r->why = HART_DONE;
	else if (insn == GSVM_INSN_BARRIER)
		r->why = HART_BARRIER;
	else
		return rv_illegal(r, insn);
	return true;
}

/* A jump or a taken branch; the pc stays when the target is misaligned. */
static inline bool rv_jump(struct rv_run *r, uint64_t target, uint64_t *next)
{
	if (unlikely(target & 3))
		return rv_error(r, GSVM_QERR_MISALIGNED, target, GSVM_ACCESS_EXEC);
	*next = target;
	return true;
}

static inline bool rv_load_x(struct rv_run *r, uint32_t insn, unsigned int size, bool sign)
{
	struct hart *h = r->h;
	unsigned int unused = 64 - 8 * size;
	uint64_t val;

	if (unlikely(!rv_load(r, h->x[rv_rs1(insn)] + rv_imm_i(insn), size, &val)))
		return false;
	if (sign)
		val = (int64_t)(val << unused) >> unused;
	rv_set_x(h, rv_rd(insn), val);
	return true;
}

static inline bool rv_store_x(struct rv_run *r, uint32_t insn, unsigned int size)
{
	struct hart *h = r->h;

	return rv_store(r, h->x[rv_rs1(insn)] + rv_imm_s(insn), size, h->x[rv_rs2(insn)]);
}

static inline bool rv_load_f(struct rv_run *r, uint32_t insn, unsigned int size)
{
	struct hart *h = r->h;
	uint64_t val;

	if (unlikely(!rv_load(r, h->x[rv_rs1(insn)] + rv_imm_i(insn), size, &val)))
		return false;
	h->f[rv_rd(insn)] = size == 4 ? val | ~0ull << 32 : val;
	return true;
}

static inline bool rv_store_f(struct rv_run *r, uint32_t insn, unsigned int size)
{
	struct hart *h = r->h;

	return rv_store(r, h->x[rv_rs1(insn)] + rv_imm_s(insn), size, h->f[rv_rs2(insn)]);
}

/* The forms that a case of the dispatch takes. A, B: operands; I: immediate. */
#define A		(x[rv_rs1(insn)])
#define B		(x[rv_rs2(insn)])
#define I		rv_imm_i(insn)
#define SET(v)		{ rv_set_x(h, rv_rd(insn), (v)); break; }
#define TRY(call)	{ if (unlikely(!(call))) goto stop; break; }
#define BRANCH(cond)	{								\
	if ((cond) && unlikely(!rv_jump(r, pc + rv_imm_b(insn), &next)))		\
		goto stop;								\
	break;										\
}
#define LINK(target)	{								\
	if (unlikely(!rv_jump(r, (target), &next)))					\
		goto stop;								\
	rv_set_x(h, rv_rd(insn), pc + 4);						\
	break;										\
}
/* A computation that may turn out not to be assigned. */
#define ALU(call)	{								\
	uint64_t v;									\
											\
	if (unlikely(!(call)))								\
		goto illegal;								\
	rv_set_x(h, rv_rd(insn), v);							\
	break;										\
}

/*
 * Run @n instructions; false when the hart stopped before. A macro per form
 * keeps the whole instruction set on one page.
 */
static bool run_slice(struct rv_run *r, unsigned int n)
{
	struct hart *h = r->h;
	uint64_t *x = h->x;
	uint64_t pc = h->pc, next;
	uint64_t end = h->insns + n;
	uint32_t insn;

	for (; n; n--, pc = next) {
		x[0] = 0;
		if (unlikely((pc ^ r->fetch_va) & ~0xffcull) && !rv_fetch_page(r, pc))
			goto stop;
		insn = rv_host_load(r->fetch + (pc & 0xffc), 4);
		if (unlikely((insn & 3) != 3))
			goto illegal;
		next = pc + 4;

		switch (KEY(insn >> 2 & 0x1f, rv_funct3(insn))) {
		case ALL(RV_LUI):		SET(rv_imm_u(insn));
		case ALL(RV_AUIPC):		SET(pc + rv_imm_u(insn));
		case ALL(RV_JAL):		LINK(pc + rv_imm_j(insn));
		case KEY(RV_JALR, 0):		LINK((A + I) & ~1ull);

		case KEY(RV_BRANCH, 0):		BRANCH(A == B);
		case KEY(RV_BRANCH, 1):		BRANCH(A != B);
		case KEY(RV_BRANCH, 4):		BRANCH((int64_t)A < (int64_t)B);
		case KEY(RV_BRANCH, 5):		BRANCH((int64_t)A >= (int64_t)B);
		case KEY(RV_BRANCH, 6):		BRANCH(A < B);
		case KEY(RV_BRANCH, 7):		BRANCH(A >= B);

		case KEY(RV_LOAD, 0):		TRY(rv_load_x(r, insn, 1, true));
		case KEY(RV_LOAD, 1):		TRY(rv_load_x(r, insn, 2, true));
		case KEY(RV_LOAD, 2):		TRY(rv_load_x(r, insn, 4, true));
		case KEY(RV_LOAD, 3):		TRY(rv_load_x(r, insn, 8, false));
		case KEY(RV_LOAD, 4):		TRY(rv_load_x(r, insn, 1, false));
		case KEY(RV_LOAD, 5):		TRY(rv_load_x(r, insn, 2, false));
		case KEY(RV_LOAD, 6):		TRY(rv_load_x(r, insn, 4, false));
		case KEY(RV_STORE, 0):		TRY(rv_store_x(r, insn, 1));
		case KEY(RV_STORE, 1):		TRY(rv_store_x(r, insn, 2));
		case KEY(RV_STORE, 2):		TRY(rv_store_x(r, insn, 4));
		case KEY(RV_STORE, 3):		TRY(rv_store_x(r, insn, 8));
		case KEY(RV_LOAD_FP, 2):	TRY(rv_load_f(r, insn, 4));
		case KEY(RV_LOAD_FP, 3):	TRY(rv_load_f(r, insn, 8));
		case KEY(RV_STORE_FP, 2):	TRY(rv_store_f(r, insn, 4));
		case KEY(RV_STORE_FP, 3):	TRY(rv_store_f(r, insn, 8));

		case KEY(RV_OP_IMM, 0):		SET(A + I);
		case KEY(RV_OP_IMM, 1):		ALU(rv_slli(insn, A, &v));
		case KEY(RV_OP_IMM, 2):		SET((int64_t)A < (int64_t)I);
		case KEY(RV_OP_IMM, 3):		SET(A < I);
		case KEY(RV_OP_IMM, 4):		SET(A ^ I);
		case KEY(RV_OP_IMM, 5):		ALU(rv_srxi(insn, A, &v));
		case KEY(RV_OP_IMM, 6):		SET(A | I);
		case KEY(RV_OP_IMM, 7):		SET(A & I);
		case ALL(RV_OP_IMM_32):		ALU(rv_op_imm_32(insn, A, &v));

		case KEY(RV_OP, 0):		ALU(rv_op(insn, 0, A, B, &v));
		case KEY(RV_OP, 1):		ALU(rv_op(insn, 1, A, B, &v));
		case KEY(RV_OP, 2):		ALU(rv_op(insn, 2, A, B, &v));
		case KEY(RV_OP, 3):		ALU(rv_op(insn, 3, A, B, &v));
		case KEY(RV_OP, 4):		ALU(rv_op(insn, 4, A, B, &v));
		case KEY(RV_OP, 5):		ALU(rv_op(insn, 5, A, B, &v));
		case KEY(RV_OP, 6):		ALU(rv_op(insn, 6, A, B, &v));
		case KEY(RV_OP, 7):		ALU(rv_op(insn, 7, A, B, &v));
		case ALL(RV_OP_32):		ALU(rv_op_32(insn, A, B, &v));

		case ALL(RV_AMO):		TRY(rv_amo(r, insn));
		case ALL(RV_OP_FP):		TRY(rv_fp_op(r, insn));
		case ALL(RV_MADD):
		case ALL(RV_MSUB):
		case ALL(RV_NMSUB):
		case ALL(RV_NMADD):		TRY(rv_fp_fma(r, insn));
		case KEY(RV_MISC_MEM, 0):	TRY(rv_fence(r, insn));
		case KEY(RV_MISC_MEM, 1):	{ r->fetch_va = ~next; break; }
		case ALL(RV_SYSTEM):
			h->insns = end - n;
			TRY(rv_system(r, insn));
		case ALL(RV_CUSTOM_0):
			if (!rv_custom(r, insn))
				goto stop;
			n--;
			pc = next;
			goto stop;
		default:
			goto illegal;
		}
	}
	h->pc = pc;
	h->insns = end;
	return true;

illegal:
	rv_illegal(r, insn);
stop:
	x[0] = 0;
	h->pc = pc;
	h->insns = end - n;
	return false;
}

enum hart_stop hart_run(struct core *core, struct hart *h, unsigned int budget,
			struct hart_stop_info *stop)
{
	const struct hart_group *g = h->group;
	struct rv_run r = {
		.core = core,
		.h = h,
		.stop = stop,
		.fetch_va = ~h->pc,
		.group_base = g->group_base,
		.group_span = (g->group_len + 0xfffull) & ~0xfffull,
		.private_len = g->private_len & ~15ull,
	};
	unsigned int n;

	while (budget && !agent_kicked(&core->agent)) {
		n = budget < SLICE ? budget : SLICE;
		if (g->insn_limit && g->insn_limit - h->insns < n)
			n = g->insn_limit - h->insns;
		if (!n) {
			if (h->pc == GSVM_RETURN_PC)
				return HART_DONE;
			rv_error(&r, GSVM_QERR_LIMIT, h->pc, 0);
			return HART_ERROR;
		}
		if (!run_slice(&r, n))
			return r.why;
		budget -= n;
	}
	return HART_BUDGET;
}
