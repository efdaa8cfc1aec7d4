/* SPDX-License-Identifier: MIT */
/*
 * MMU: page-table walks, and one TLB per core that keeps a translation until
 * it is invalidated or replaced.
 */
#ifndef GPU_MMU_H
#define GPU_MMU_H

#include "gpu.h"

#define TLB_SETS_LOG2	10
#define TLB_SETS	(1u << TLB_SETS_LOG2)

/*
 * One translation of a 4 KiB page (larger leaves are cached page by page but
 * remember their leaf's extent: an invalidation that touches any byte of the
 * leaf drops them). Rights not in @rights were not granted or need a walk to
 * set the accessed or dirty bit; a miss on rights walks again.
 */
struct tlb_entry {
	uint64_t tag;		/* VA page number << 12 | asid-independent valid bit; 0: empty */
	uint32_t asid;
	uint32_t rights;	/* 1 << GSVM_ACCESS_*; WRITE and ATOMIC only once D is set */
	uint8_t *host;		/* page's host pointer, see @generation */
	uint64_t generation;	/* dma_generation() that @host belongs to; VRAM: ~0 */
	uint64_t pa;		/* bus address or VRAM offset of the page, GSVM_PTE_KIND in bits 10:9 */
	uint64_t leaf_start;	/* VA extent of the leaf this came from */
	uint64_t leaf_end;
	uint64_t fill_seq;	/* checking mode: see struct tlb_check */
};

#define TLB_CHECK_LOG	256

/*
 * Checking mode's own account of invalidations, apart from what was done to
 * the entries. They are numbered as the command unit reads them.
 */
struct tlb_check {
	_Atomic uint64_t read;	/* invalidations read so far */
	_Atomic uint64_t done;	/* completed so far; number n is in rec[n % TLB_CHECK_LOG] */
	struct {
		uint64_t start, end;
		uint32_t asid;		/* TLB_ANY_ASID: every one */
	} rec[TLB_CHECK_LOG];
};

#define TLB_ANY_ASID	(~0u)

/* All zero is an empty TLB. */
struct tlb {
	struct tlb_entry e[TLB_SETS];
	uint64_t generation;	/* dma_generation() as of the last mmu_enter() */
	bool large;		/* may hold entries of leaves above 4 KiB */
	bool inject_lost;	/* injection: invalidations do nothing (checking mode must see it) */
	struct tlb_check check;
};

struct mmu_fault {
	uint64_t addr;
	uint32_t access;	/* GSVM_ACCESS_* */
	uint32_t reason;	/* GSVM_FAULT_* */
};

static inline struct tlb_entry *tlb_slot(struct tlb *tlb, uint32_t asid, uint64_t va)
{
	uint64_t vpn = va >> 12;

	return &tlb->e[(vpn ^ (vpn >> TLB_SETS_LOG2) ^ (uint64_t)asid * 0x9e5) & (TLB_SETS - 1)];
}

/* Slow path of mmu_ptr(): walk, fill, or report the fault and return NULL. */
void *mmu_walk(struct gpu *gpu, struct tlb *tlb, uint32_t asid, uint64_t va,
	       unsigned int access, struct mmu_fault *fault);
/* Checking mode: called on every hit. */
void mmu_check_hit(struct gpu *gpu, struct tlb *tlb, struct tlb_entry *e, uint64_t va,
		   unsigned int access);

/*
 * Host pointer for the byte at @va with @access right, good to the end of its
 * 4 KiB page and until the agent leaves; NULL and *fault when the access must
 * park. The owner of @tlb is an agent inside agent_enter() that has called
 * mmu_enter() since.
 */
static inline void *mmu_ptr(struct gpu *gpu, struct tlb *tlb, uint32_t asid, uint64_t va,
			    unsigned int access, struct mmu_fault *fault)
{
	struct tlb_entry *e = tlb_slot(tlb, asid, va);

	if (__builtin_expect(e->tag == (va >> 12 << 12 | 1) && e->asid == asid &&
			     (e->rights & 1u << access) &&
			     (e->generation == tlb->generation || e->generation == ~0ull), 1)) {
		if (__builtin_expect(gpu->cfg.check, 0))
			mmu_check_hit(gpu, tlb, e, va, access);
		return e->host + (va & 0xfff);
	}
	return mmu_walk(gpu, tlb, asid, va, access, fault);
}

/* By the TLB's owner, right after agent_enter(). */
void mmu_enter(struct gpu *gpu, struct tlb *tlb);

/* With the TLB's owner stopped (agent_stop()) or by the owner itself. */
void tlb_invalidate_range(struct tlb *tlb, uint32_t asid, uint64_t start, uint64_t end);
void tlb_invalidate_asid(struct tlb *tlb, uint32_t asid);
void tlb_invalidate_all(struct tlb *tlb);
/* The same as after power-on: empty, and checking mode's history forgotten. */
void tlb_reset(struct tlb *tlb);

/*
 * Checking mode, command thread. For every invalidation, in order: read before
 * anything is done about it, done (with what the command says) before its
 * completion can be seen. When done returns true, tlb_check_sweep() is due
 * before the next done, with the TLB's owner stopped.
 */
void tlb_check_read(struct tlb *tlb);
bool tlb_check_done(struct tlb *tlb, uint32_t asid, uint64_t start, uint64_t end);
void tlb_check_sweep(struct tlb *tlb);
/* Checking mode, by the owner: a completed invalidation covers @e. */
bool tlb_check_guilty(struct tlb *tlb, struct tlb_entry *e);

#endif
