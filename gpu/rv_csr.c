// SPDX-License-Identifier: MIT
/*
 * SYSTEM instructions: control and status registers, ecall and ebreak.
 *
 * There is no privileged state. Registers are the floating-point ones, the
 * three unprivileged counters and the work-item's place in the grid; all
 * others, and writes to the read-only ones (numbers 0xc00 up), are illegal.
 */
#include "rv.h"

#define CSR_FFLAGS	0x001
#define CSR_FRM		0x002
#define CSR_FCSR	0x003
#define CSR_CYCLE	0xc00
#define CSR_TIME	0xc01
#define CSR_INSTRET	0xc02

#define INSN_ECALL	0x00000073u
#define INSN_EBREAK	0x00100073u

static uint32_t hart_global_id(const struct hart *h, unsigned int d)
{
	const struct hart_group *g = h->group;

	return g->group_id[d] * g->local_size[d] + h->local_id[d];
}

uint64_t hart_global_linear(const struct hart *h)
{
	const struct hart_group *g = h->group;

	return ((uint64_t)hart_global_id(h, 2) * g->grid_size[1] + hart_global_id(h, 1)) *
	       g->grid_size[0] + hart_global_id(h, 0);
}

/* Registers that have one value per dimension. */
static bool csr_read_grid(const struct hart *h, unsigned int csr, uint64_t *val)
{
	const struct hart_group *g = h->group;
	unsigned int i = csr - GSVM_CSR_GLOBAL_ID(0);

	if (csr >= GSVM_CSR_LOCAL_SIZE(0) && csr <= GSVM_CSR_LOCAL_SIZE(2)) {
		*val = g->local_size[csr - GSVM_CSR_LOCAL_SIZE(0)];
		return true;
	}
	if (csr < GSVM_CSR_GLOBAL_ID(0) || csr > GSVM_CSR_GROUP_SIZE(2))
		return false;
	switch (i / 3) {
	case 0:
		*val = hart_global_id(h, i % 3);
		break;
	case 1:
		*val = h->local_id[i % 3];
		break;
	case 2:
		*val = g->group_id[i % 3];
		break;
	case 3:
		*val = g->grid_size[i % 3];
		break;
	default:
		*val = g->group_size[i % 3];
		break;
	}
	return true;
}

static bool csr_read(const struct rv_run *r, unsigned int csr, uint64_t *val)
{
	const struct hart *h = r->h;
	const struct hart_group *g = h->group;

	switch (csr) {
	case CSR_FFLAGS:
		*val = h->fcsr & 0x1f;
		return true;
	case CSR_FRM:
		*val = h->fcsr >> 5;
		return true;
	case CSR_FCSR:
		*val = h->fcsr;
		return true;
	case CSR_CYCLE:		/* one instruction, one cycle */
	case CSR_INSTRET:
		*val = h->insns;
		return true;
	case CSR_TIME:
		*val = gpu_time_ns(r->core->gpu);
		return true;
	case GSVM_CSR_DIMS:
		*val = g->dims;
		return true;
	case GSVM_CSR_GLOBAL_LINEAR:
		*val = hart_global_linear(h);
		return true;
	case GSVM_CSR_GROUP_DYN:
		*val = g->group_base + g->group_dyn;
		return true;
	case GSVM_CSR_GROUP_DYN_SIZE:
		*val = g->group_len - g->group_dyn;
		return true;
	case GSVM_CSR_CORE:
		*val = r->core->id;
		return true;
	case GSVM_CSR_PACKET:
		*val = g->packet;
		return true;
	default:
		return csr_read_grid(h, csr, val);
	}
}

static bool csr_write(struct hart *h, unsigned int csr, uint64_t val)
{
	switch (csr) {
	case CSR_FFLAGS:
		h->fcsr = (h->fcsr & 0xe0) | (val & 0x1f);
		return true;
	case CSR_FRM:
		h->fcsr = (h->fcsr & 0x1f) | (val & 7) << 5;
		return true;
	case CSR_FCSR:
		h->fcsr = val & 0xff;
		return true;
	default:
		return false;
	}
}

bool rv_system(struct rv_run *r, uint32_t insn)
{
	struct hart *h = r->h;
	unsigned int csr = insn >> 20;
	unsigned int src = rv_rs1(insn);	/* register or immediate */
	uint64_t arg = insn >> 14 & 1 ? src : h->x[src];
	uint64_t old;

	if (insn == INSN_ECALL || insn == INSN_EBREAK)
		return rv_error(r, GSVM_QERR_TRAP, insn, 0);
	if (!(rv_funct3(insn) & 3) || !csr_read(r, csr, &old))
		return rv_illegal(r, insn);

	switch (rv_funct3(insn) & 3) {
	case 1:
		if (!csr_write(h, csr, arg))
			return rv_illegal(r, insn);
		break;
	case 2:
		if (src && !csr_write(h, csr, old | arg))
			return rv_illegal(r, insn);
		break;
	case 3:
		if (src && !csr_write(h, csr, old & ~arg))
			return rv_illegal(r, insn);
		break;
	}
	rv_set_x(h, rv_rd(insn), old);
	return true;
}
