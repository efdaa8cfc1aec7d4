// SPDX-License-Identifier: MIT
/*
 * DOC: TLB
 *
 * One per core, direct mapped, filled by the walk (mmu.c). An entry stays usable
 * until it is invalidated or its slot is needed for another page; a right that
 * it lacks costs a walk that replaces it, so upgrades need no invalidation.
 * Nothing here is locked: a TLB is touched by its owner inside agent_enter(),
 * or by the command thread that has stopped the owner.
 *
 * An invalidation drops every entry whose leaf has a byte in the range, not
 * only those whose page has: the hardware may keep a 2 MiB leaf as one entry,
 * and software must not come to rely on anything else. A short range looks into
 * its pages' slots; a long one, or one that meets a TLB which may hold larger
 * leaves, goes over all slots, 64 KiB of memory in order.
 *
 * Checking mode keeps, per TLB, an account of invalidations beside what is
 * done to the entries, and judges every use by it. Invalidations are numbered
 * as the command unit reads them (tlb_check_read()) and complete in that order
 * (tlb_check_done()). An entry remembers how many had been read when its walk
 * began. One with a lower number than that cannot make the entry wrong: its
 * sender had changed the table before, and the walk saw it. So a use is a
 * violation if and only if an invalidation that covers the entry's leaf has
 * completed whose number is not below the entry's. It does not matter why the
 * entry survived: skipped, wrong range, wrong core, or a walk that was not
 * waited for. A use of an entry that no longer equals the table in memory,
 * without a violation, is a legal stale use (mmu_check_hit()).
 *
 * The account is a ring. The command thread writes it while the owner runs; the
 * release of @done publishes a record, and the owner reads only records from
 * its entry's number to @done. No entry's number is further behind than half of
 * the ring, because a sweep with the owner stopped judges all entries that
 * often; one found guilty is marked CHECK_GUILTY and every later use of it
 * counts. So a record is never read once it may be overwritten.
 */
#include <string.h>

#include "mmu.h"

#define CHECK_GUILTY	(~0ull)
#define CHECK_SWEEP	(TLB_CHECK_LOG / 2)

/* Looking into so many single slots costs about as much as going over all. */
#define PROBE_MAX	(TLB_SETS / 4)

static bool entry_covered(const struct tlb_entry *e, uint32_t asid, uint64_t start, uint64_t end)
{
	return e->tag && (asid == TLB_ANY_ASID || e->asid == asid) &&
	       e->leaf_start < end && e->leaf_end > start;
}

void tlb_invalidate_range(struct tlb *tlb, uint32_t asid, uint64_t start, uint64_t end)
{
	bool large = false;

	if (tlb->inject_lost)
		return;
	if (!tlb->large && end - start <= (uint64_t)PROBE_MAX << 12) {
		for (uint64_t va = start & ~0xfffull; va < end; va += 0x1000) {
			struct tlb_entry *e = tlb_slot(tlb, asid, va);

			if (entry_covered(e, asid, start, end))
				e->tag = 0;
		}
		return;
	}
	for (struct tlb_entry *e = tlb->e; e < tlb->e + TLB_SETS; e++) {
		if (entry_covered(e, asid, start, end))
			e->tag = 0;
		large |= e->tag && e->leaf_end - e->leaf_start > 0x1000;
	}
	tlb->large = large;
}

void tlb_invalidate_asid(struct tlb *tlb, uint32_t asid)
{
	if (tlb->inject_lost)
		return;
	for (struct tlb_entry *e = tlb->e; e < tlb->e + TLB_SETS; e++)
		if (e->asid == asid)
			e->tag = 0;
}

void tlb_invalidate_all(struct tlb *tlb)
{
	if (tlb->inject_lost)
		return;
	for (struct tlb_entry *e = tlb->e; e < tlb->e + TLB_SETS; e++)
		e->tag = 0;
	tlb->large = false;
}

void tlb_reset(struct tlb *tlb)
{
	uint64_t read = atomic_load_explicit(&tlb->check.read, memory_order_relaxed);

	memset(tlb->e, 0, sizeof(tlb->e));
	tlb->large = false;
	/* Read but never completed: forgotten, the numbering goes on. */
	atomic_store_explicit(&tlb->check.done, read, memory_order_release);
}

void tlb_check_read(struct tlb *tlb)
{
	/* Pairs with the acquire in mmu_walk(): who sees it sees the changed table. */
	atomic_fetch_add_explicit(&tlb->check.read, 1, memory_order_release);
}

bool tlb_check_done(struct tlb *tlb, uint32_t asid, uint64_t start, uint64_t end)
{
	uint64_t n = atomic_load_explicit(&tlb->check.done, memory_order_relaxed);

	tlb->check.rec[n % TLB_CHECK_LOG].asid = asid;
	tlb->check.rec[n % TLB_CHECK_LOG].start = start;
	tlb->check.rec[n % TLB_CHECK_LOG].end = end;
	atomic_store_explicit(&tlb->check.done, n + 1, memory_order_release);
	return (n + 1) % CHECK_SWEEP == 0;
}

void tlb_check_sweep(struct tlb *tlb)
{
	for (struct tlb_entry *e = tlb->e; e < tlb->e + TLB_SETS; e++)
		if (e->tag)
			tlb_check_guilty(tlb, e);
}

/* Judge @e by what has completed since it was last judged. */
bool tlb_check_guilty(struct tlb *tlb, struct tlb_entry *e)
{
	uint64_t done = atomic_load_explicit(&tlb->check.done, memory_order_acquire);

	if (e->fill_seq == CHECK_GUILTY)
		return true;
	for (uint64_t n = e->fill_seq; n < done; n++) {
		uint32_t asid = tlb->check.rec[n % TLB_CHECK_LOG].asid;

		if ((asid == TLB_ANY_ASID || asid == e->asid) &&
		    tlb->check.rec[n % TLB_CHECK_LOG].start < e->leaf_end &&
		    tlb->check.rec[n % TLB_CHECK_LOG].end > e->leaf_start) {
			e->fill_seq = CHECK_GUILTY;
			return true;
		}
	}
	if (e->fill_seq < done)
		e->fill_seq = done;
	return false;
}

