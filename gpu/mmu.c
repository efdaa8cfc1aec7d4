// SPDX-License-Identifier: MIT
/*
 * DOC: MMU
 *
 * Walks the page tables of hw/gsvm_hw.h and keeps what it found in a TLB per
 * core (tlb.c). Which thread stops whom for an invalidation is not decided here (cmd.c,
 * agent.c), nor who waits for a fault (fault.c).
 *
 * The walk. It reads the context entry and up to four table entries, each with
 * one 64-bit load, so that an entry is seen before or after a change but never
 * in between. Nothing but leaves is cached. The table pages may be freed once
 * an invalidation sent after their unlinking has completed: it waits for this
 * core to be outside agent_enter(), and a walk does not outlive that.
 *
 * What a well-formed entry is:
 *
 * - context: VALID, VRAM, ADDR; anything else set is GSVM_FAULT_CONTEXT;
 * - table (levels 3, 2, and 1 without LEAF): V, KIND bus or VRAM, ADDR, SW;
 * - 2 MiB leaf (level 1, LEAF): bits 20:12 clear, no CONT;
 * - 4 KiB leaf (level 0, LEAF);
 * - 64 KiB leaf (level 0, LEAF and CONT): one of 16 entries, each with its own
 *   page's address. The walk uses the page's own entry for translation and
 *   marks, so a group may be made and broken entry by entry.
 * - No leaf has W without R.
 *
 * Accessed and dirty. A is set before any right is granted, D before a write
 * or atomic right is, by compare-exchange of the very value that granted the
 * right: an entry that has changed meanwhile, in whatever way, is not touched,
 * and the walk starts again from the context entry. So whoever exchanges an
 * entry and finds D clear knows that no write went through it and none will;
 * who finds D set needs an invalidation to know that there will be no more. A
 * write right is put into the TLB only when D was seen set.
 *
 * Progress: a failed compare-exchange means that somebody else succeeded. For
 * other walkers that is twice per entry (A, D) until software clears the bits
 * again; software that rewrites the entry all the time could go on for ever,
 * so after WALK_RESTARTS rounds the access faults with GSVM_FAULT_NOT_PRESENT,
 * as if it had met one of the states between: the fault is answered and the
 * access retried like any other.
 *
 * A host pointer that belongs to an older set of bus windows does not make the
 * translation stale: the pointer is looked up again from the address, without a
 * walk, and only when the window is gone for good does a walk decide. A
 * read-only window takes the write rights away, and A and D cannot be set in a
 * table inside one; both are GSVM_FAULT_BUS.
 */
#include "dma.h"
#include "mmu.h"

#define WALK_RESTARTS	64
#define VRAM_GENERATION	(~0ull)

#define RIGHT(access)	(1u << GSVM_ACCESS_##access)
#define RIGHTS_WRITE	(RIGHT(WRITE) | RIGHT(ATOMIC))

/* 59..63, 11, and the upper half of KIND. */
#define PTE_RESERVED	((0x1full << 59) | (1ull << 11) | (1ull << 10))
#define PTE_LEAF_ONLY	(GSVM_PTE_R | GSVM_PTE_W | GSVM_PTE_X | GSVM_PTE_AT | GSVM_PTE_A | \
			 GSVM_PTE_D | GSVM_PTE_CONT)

struct leaf {
	uint64_t pte;		/* as last seen or written */
	bool vram;		/* where the entry stands */
	uint64_t addr;
	unsigned int level;
};

static uint64_t table_index(uint64_t va, unsigned int level)
{
	return (va >> GSVM_PT_SHIFT(level)) & (GSVM_PT_ENTRIES - 1);
}

/* The context entry's root; GSVM_FAULT_* or -1. */
static int walk_context(struct gpu *gpu, uint32_t asid, bool *vram, uint64_t *addr)
{
	uint64_t base = gpu->reg.ctx_base & GSVM_BASE_ADDR;
	uint64_t root, rsvd;
	struct gsvm_ctx *ctx;

	if (asid >= GPU_NUM_ASIDS)
		return GSVM_FAULT_CONTEXT;
	base += (uint64_t)asid * sizeof(*ctx);
	ctx = gpu_ptr(gpu, gpu->reg.ctx_base & GSVM_BASE_VRAM, base, sizeof(*ctx), false);
	if (!ctx) {
		gpu_fatal(gpu, GSVM_ERR_BUS, base);
		return GSVM_FAULT_BUS;
	}
	root = __atomic_load_n(&ctx->root, __ATOMIC_ACQUIRE);
	rsvd = __atomic_load_n(&ctx->rsvd, __ATOMIC_RELAXED);
	if (!(root & GSVM_CTX_VALID) || rsvd ||
	    (root & ~(GSVM_CTX_VALID | GSVM_CTX_VRAM | GSVM_CTX_ADDR)))
		return GSVM_FAULT_CONTEXT;
	*vram = root & GSVM_CTX_VRAM;
	*addr = root & GSVM_CTX_ADDR;
	return -1;
}

static bool entry_malformed(uint64_t pte, unsigned int level)
{
	if (pte & PTE_RESERVED)
		return true;
	if (!(pte & GSVM_PTE_LEAF))
		return level == 0 || (pte & PTE_LEAF_ONLY);
	if ((pte & (GSVM_PTE_R | GSVM_PTE_W)) == GSVM_PTE_W)
		return true;
	return level > 1 || (level == 1 && (pte & (GSVM_PTE_CONT | 0x1ff000)));
}

/* Down the tables to a well-formed leaf; GSVM_FAULT_* or -1. */
static int walk_tables(struct gpu *gpu, uint32_t asid, uint64_t va, struct leaf *leaf)
{
	int reason = walk_context(gpu, asid, &leaf->vram, &leaf->addr);
	uint64_t *slot;

	if (reason >= 0)
		return reason;
	for (leaf->level = GSVM_PT_LEVELS - 1; ; leaf->level--) {
		leaf->addr += table_index(va, leaf->level) * sizeof(*slot);
		slot = gpu_ptr(gpu, leaf->vram, leaf->addr, sizeof(*slot), false);
		if (!slot)
			return GSVM_FAULT_BUS;
		leaf->pte = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		if (!(leaf->pte & GSVM_PTE_V))
			return GSVM_FAULT_NOT_PRESENT;
		if (entry_malformed(leaf->pte, leaf->level))
			return GSVM_FAULT_RESERVED;
		if (leaf->pte & GSVM_PTE_LEAF)
			return -1;
		leaf->vram = leaf->pte & GSVM_PTE_KIND_VRAM;
		leaf->addr = leaf->pte & GSVM_PTE_ADDR;
	}
}

/* What the leaf allows, D or not. */
static uint32_t leaf_rights(uint64_t pte)
{
	uint64_t atomic = GSVM_PTE_R | GSVM_PTE_W | GSVM_PTE_AT;
	uint32_t rights = 0;

	if (pte & GSVM_PTE_R)
		rights |= RIGHT(READ);
	if (pte & GSVM_PTE_W)
		rights |= RIGHT(WRITE);
	if (pte & GSVM_PTE_X)
		rights |= RIGHT(EXEC);
	if ((pte & atomic) == atomic)
		rights |= RIGHT(ATOMIC);
	return rights;
}

static uint64_t leaf_marks(unsigned int access)
{
	return GSVM_PTE_A | ((1u << access) & RIGHTS_WRITE ? GSVM_PTE_D : 0);
}

static uint64_t leaf_size(uint64_t pte, unsigned int level)
{
	if (level)
		return 1ull << GSVM_PT_SHIFT(1);
	return pte & GSVM_PTE_CONT ? 0x10000 : 0x1000;
}

/* Address of the page at @va and its kind, as struct tlb_entry.pa has them. */
static uint64_t leaf_page(uint64_t pte, unsigned int level, uint64_t va)
{
	return (pte & GSVM_PTE_ADDR) | (level ? va & 0x1ff000 : 0) | (pte & GSVM_PTE_KIND);
}

/* A walk with its marks set; GSVM_FAULT_* or -1. */
static int walk(struct gpu *gpu, uint32_t asid, uint64_t va, unsigned int access,
		struct leaf *leaf)
{
	uint64_t marks = leaf_marks(access);

	for (unsigned int i = 0; i < WALK_RESTARTS; i++) {
		int reason = walk_tables(gpu, asid, va, leaf);
		uint64_t *slot;

		if (reason >= 0)
			return reason;
		if (!(leaf_rights(leaf->pte) & 1u << access))
			return GSVM_FAULT_PERMISSION;
		if ((leaf->pte & marks) == marks)
			return -1;
		slot = gpu_ptr(gpu, leaf->vram, leaf->addr, sizeof(*slot), true);
		if (!slot)
			return GSVM_FAULT_BUS;
		/* Sequentially consistent: no access is ordered before its mark. */
		if (__atomic_compare_exchange_n(slot, &leaf->pte, leaf->pte | marks, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
			leaf->pte |= marks;
			return -1;
		}
	}
	return GSVM_FAULT_NOT_PRESENT;
}

/*
 * Find the host pointer for @e->pa. Rights that the window does not give are
 * taken away. False when @access is not reachable; the entry is gone then.
 */
static bool entry_resolve(struct gpu *gpu, struct tlb *tlb, struct tlb_entry *e,
			  unsigned int access)
{
	bool vram = e->pa & GSVM_PTE_KIND_VRAM;
	uint64_t addr = e->pa & GSVM_PTE_ADDR;
	void *host = NULL;

	if (e->rights & RIGHTS_WRITE)
		host = gpu_ptr(gpu, vram, addr, 0x1000, true);
	if (!host) {
		e->rights &= ~RIGHTS_WRITE;
		if (e->rights & 1u << access)
			host = gpu_ptr(gpu, vram, addr, 0x1000, false);
	}
	e->host = host;
	e->generation = vram ? VRAM_GENERATION : tlb->generation;
	if (!host)
		e->tag = 0;
	return host;
}

static void entry_fill(struct tlb *tlb, struct tlb_entry *e, uint32_t asid, uint64_t va,
		       const struct leaf *leaf, uint64_t fill_seq)
{
	uint64_t size = leaf_size(leaf->pte, leaf->level);

	e->tag = (va & ~0xfffull) | 1;
	e->asid = asid;
	e->rights = leaf_rights(leaf->pte);
	if (!(leaf->pte & GSVM_PTE_D))
		e->rights &= ~RIGHTS_WRITE;
	e->pa = leaf_page(leaf->pte, leaf->level, va);
	e->leaf_start = va & ~(size - 1);
	e->leaf_end = e->leaf_start + size;
	e->fill_seq = fill_seq;
	tlb->large |= size > 0x1000;
}

static bool entry_matches(const struct tlb_entry *e, uint32_t asid, uint64_t va)
{
	return e->tag == ((va & ~0xfffull) | 1) && e->asid == asid;
}

static bool check_stale(struct gpu *gpu, const struct tlb_entry *e, uint64_t va,
			unsigned int access)
{
	struct leaf leaf;

	return walk_tables(gpu, e->asid, va, &leaf) >= 0 ||
	       leaf_page(leaf.pte, leaf.level, va) != e->pa ||
	       !(leaf_rights(leaf.pte) & 1u << access) ||
	       (leaf.pte & leaf_marks(access)) != leaf_marks(access);
}

void mmu_check_hit(struct gpu *gpu, struct tlb *tlb, struct tlb_entry *e, uint64_t va,
		   unsigned int access)
{
	if (tlb_check_guilty(tlb, e))
		gpu_stat_add(gpu, GSVM_STAT_VIOLATIONS, 1);
	else if (check_stale(gpu, e, va, access))
		gpu_stat_add(gpu, GSVM_STAT_STALE_USES, 1);
}

static void *walk_fault(struct mmu_fault *fault, uint64_t va, unsigned int access, int reason)
{
	fault->addr = va;
	fault->access = access;
	fault->reason = (uint32_t)reason;
	return NULL;
}

void *mmu_walk(struct gpu *gpu, struct tlb *tlb, uint32_t asid, uint64_t va,
	       unsigned int access, struct mmu_fault *fault)
{
	struct tlb_entry *e = tlb_slot(tlb, asid, va);
	uint64_t seq = atomic_load_explicit(&tlb->check.read, memory_order_acquire);
	struct leaf leaf;
	int reason;

	if (va >> GSVM_VA_BITS)
		return walk_fault(fault, va, access, GSVM_FAULT_ADDRESS);

	/* A hit whose host pointer is out of date. */
	if (entry_matches(e, asid, va) && (e->rights & 1u << access) &&
	    entry_resolve(gpu, tlb, e, access)) {
		if (gpu->cfg.check)
			mmu_check_hit(gpu, tlb, e, va, access);
		return e->host + (va & 0xfff);
	}

	gpu_stat_add(gpu, GSVM_STAT_TLB_MISSES, 1);
	reason = walk(gpu, asid, va, access, &leaf);
	/* Whatever else the slot holds stays usable. */
	if (reason >= 0)
		return walk_fault(fault, va, access, reason);
	entry_fill(tlb, e, asid, va, &leaf, seq);
	if (!entry_resolve(gpu, tlb, e, access))
		return walk_fault(fault, va, access, GSVM_FAULT_BUS);
	if (gpu->cfg.check && tlb_check_guilty(tlb, e))
		gpu_stat_add(gpu, GSVM_STAT_VIOLATIONS, 1);
	return e->host + (va & 0xfff);
}

void mmu_enter(struct gpu *gpu, struct tlb *tlb)
{
	tlb->generation = dma_generation(gpu);
}
