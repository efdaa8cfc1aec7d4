// SPDX-License-Identifier: MIT
/*
 * A extension and fences. The CPU, the other cores and this hart work on the
 * same memory at the same time, so every operation is one host atomic, always
 * sequentially consistent: that satisfies any combination of aq and rl.
 *
 * LR remembers address and value; SC is a compare-and-swap against that value.
 * It can succeed although the location changed and changed back in between,
 * which differs from a reservation set only for programs that count writes.
 */
#include "rv_mem.h"

#define AMO_ADD		0x00
#define AMO_SWAP	0x01
#define AMO_LR		0x02
#define AMO_SC		0x03
#define AMO_XOR		0x04
#define AMO_OR		0x08
#define AMO_AND		0x0c
#define AMO_MIN		0x10
#define AMO_MAX		0x14
#define AMO_MINU	0x18
#define AMO_MAXU	0x1c

/* What min and max store: all four compare in 64 bits after extension. */
static uint64_t amo_pick(unsigned int op, uint64_t old, uint64_t b)
{
	switch (op) {
	case AMO_MIN:
		return (int64_t)old < (int64_t)b ? old : b;
	case AMO_MAX:
		return (int64_t)old > (int64_t)b ? old : b;
	case AMO_MINU:
		return old < b ? old : b;
	default:
		return old > b ? old : b;
	}
}

static bool amo_is_unsigned(unsigned int op)
{
	return op == AMO_MINU || op == AMO_MAXU;
}

static uint64_t amo_minmax32(unsigned int op, uint32_t *p, uint32_t b)
{
	uint32_t old = __atomic_load_n(p, __ATOMIC_RELAXED), val;

	do {
		if (amo_is_unsigned(op))
			val = amo_pick(op, old, b);
		else
			val = amo_pick(op, rv_sext32(old), rv_sext32(b));
	} while (!__atomic_compare_exchange_n(p, &old, val, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return old;
}

static uint64_t amo_minmax64(unsigned int op, uint64_t *p, uint64_t b)
{
	uint64_t old = __atomic_load_n(p, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(p, &old, amo_pick(op, old, b), true,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old;
}

static uint64_t amo32(unsigned int op, uint32_t *p, uint32_t b)
{
	switch (op) {
	case AMO_ADD:
		return __atomic_fetch_add(p, b, __ATOMIC_SEQ_CST);
	case AMO_SWAP:
		return __atomic_exchange_n(p, b, __ATOMIC_SEQ_CST);
	case AMO_XOR:
		return __atomic_fetch_xor(p, b, __ATOMIC_SEQ_CST);
	case AMO_OR:
		return __atomic_fetch_or(p, b, __ATOMIC_SEQ_CST);
	case AMO_AND:
		return __atomic_fetch_and(p, b, __ATOMIC_SEQ_CST);
	default:
		return amo_minmax32(op, p, b);
	}
}

static uint64_t amo64(unsigned int op, uint64_t *p, uint64_t b)
{
	switch (op) {
	case AMO_ADD:
		return __atomic_fetch_add(p, b, __ATOMIC_SEQ_CST);
	case AMO_SWAP:
		return __atomic_exchange_n(p, b, __ATOMIC_SEQ_CST);
	case AMO_XOR:
		return __atomic_fetch_xor(p, b, __ATOMIC_SEQ_CST);
	case AMO_OR:
		return __atomic_fetch_or(p, b, __ATOMIC_SEQ_CST);
	case AMO_AND:
		return __atomic_fetch_and(p, b, __ATOMIC_SEQ_CST);
	default:
		return amo_minmax64(op, p, b);
	}
}

static bool rv_lr(struct rv_run *r, uint64_t va, unsigned int size, uint64_t *val)
{
	struct hart *h = r->h;
	void *p = rv_ptr_slow(r, va, size, GSVM_ACCESS_READ);

	if (!p)
		return false;
	if (size == 4)
		h->lr_value = __atomic_load_n((uint32_t *)p, __ATOMIC_SEQ_CST);
	else
		h->lr_value = __atomic_load_n((uint64_t *)p, __ATOMIC_SEQ_CST);
	h->lr_addr = va;
	h->lr_size = size;
	*val = h->lr_value;
	return true;
}

/* A reservation is for one address and size; any SC that retires drops it. */
static bool rv_sc(struct rv_run *r, uint64_t va, unsigned int size, uint64_t b, uint64_t *val)
{
	struct hart *h = r->h;
	uint32_t old32 = h->lr_value;
	uint64_t old64 = h->lr_value;
	bool done = false;
	void *p;

	if (h->lr_addr == va && h->lr_size == size) {
		p = rv_ptr_slow(r, va, size, GSVM_ACCESS_ATOMIC);
		if (!p)
			return false;
		if (size == 4)
			done = __atomic_compare_exchange_n((uint32_t *)p, &old32, (uint32_t)b,
							   false, __ATOMIC_SEQ_CST,
							   __ATOMIC_SEQ_CST);
		else
			done = __atomic_compare_exchange_n((uint64_t *)p, &old64, b, false,
							   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	h->lr_addr = ~0ull;
	*val = !done;
	return true;
}

static bool amo_valid(unsigned int op, uint32_t insn)
{
	if (op == AMO_LR)
		return rv_rs2(insn) == 0;
	return op == AMO_SWAP || op == AMO_SC || !(op & 3);
}

bool rv_amo(struct rv_run *r, uint32_t insn)
{
	struct hart *h = r->h;
	unsigned int op = insn >> 27;
	unsigned int size = 1u << rv_funct3(insn);
	uint64_t va = h->x[rv_rs1(insn)];
	uint64_t b = h->x[rv_rs2(insn)];
	unsigned int access = op == AMO_LR ? GSVM_ACCESS_READ : GSVM_ACCESS_ATOMIC;
	uint64_t val;
	void *p;

	if ((size != 4 && size != 8) || !amo_valid(op, insn))
		return rv_illegal(r, insn);
	if (va & (size - 1))
		return rv_error(r, GSVM_QERR_MISALIGNED, va, access);

	if (op == AMO_LR) {
		if (!rv_lr(r, va, size, &val))
			return false;
	} else if (op == AMO_SC) {
		if (!rv_sc(r, va, size, b, &val))
			return false;
	} else {
		p = rv_ptr_slow(r, va, size, access);
		if (!p)
			return false;
		val = size == 4 ? amo32(op, p, b) : amo64(op, p, b);
	}
	rv_set_x(h, rv_rd(insn), size == 4 ? rv_sext32(val) : val);
	return true;
}

#if defined(__GNUC__) && !defined(__clang__)
/* TSan does not model fences; the data itself is accessed with atomics. */
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wtsan"
#endif

/*
 * FENCE orders predecessors (bits 27:24) before successors (23:20), each
 * I, O, R, W. Only store-to-load needs the full fence. Reserved forms are to
 * be executed as plain fences; rd and rs1 are ignored.
 */
bool rv_fence(struct rv_run *r, uint32_t insn)
{
	bool tso = insn >> 28 == 8;

	(void)r;
	if (!tso && (insn >> 24 & 5) && (insn >> 20 & 10))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		__atomic_thread_fence(__ATOMIC_ACQ_REL);
	return true;
}
