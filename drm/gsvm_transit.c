// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Pages in transit
 *
 * While a page moves, its place in the process's page table holds an entry that
 * hmm_range_fault() does not tell from nothing at all. So each move says which blocks
 * it takes pages of, from before it takes the first one until it has put back the last
 * one. RESIDENCY asks here what a place that looks empty means.
 *
 * A block is a process and an address here, not a &struct gsvm_block: any VM of the
 * process may ask, and a CPU's access has no VM. Blocks are counted by a hash, and two
 * of them may share a counter; eviction by physical address does not know whose
 * pages it has and counts for all blocks. The answer may thus be yes for a place that
 * is empty, but never no for one that is not: who asks begins a look with
 * mmu_interval_read_begin(), asks, and then looks. A move that takes a page after
 * that begin calls the notifier, and the look is made again; one that had taken it
 * before, and still has it at the look, is counted all the time.
 *
 * The kernel's own migration (compaction, NUMA) is not counted.
 *
 * Locks: none.
 */

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/mm_types.h>

#include "gsvm_pt.h"
#include "gsvm_transit.h"

#define GSVM_TRANSIT_LOG2	10

static atomic_t gsvm_transit[1 << GSVM_TRANSIT_LOG2];
static atomic_t gsvm_transit_any;

static atomic_t *gsvm_transit_of(const struct mm_struct *mm, unsigned long addr)
{
	u64 block = (uintptr_t)mm + (addr >> GSVM_BLOCK_SHIFT);

	return &gsvm_transit[hash_64(block, GSVM_TRANSIT_LOG2)];
}

/**
 * gsvm_transit_begin() - a move is about to take pages
 * @mm: process; compared only
 * @start: first byte of the range that it may take pages of
 * @end: byte behind the last
 */
void gsvm_transit_begin(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long addr;

	for (addr = round_down(start, GSVM_BLOCK_SIZE); addr < end; addr += GSVM_BLOCK_SIZE)
		atomic_inc(gsvm_transit_of(mm, addr));
}

/**
 * gsvm_transit_end() - a move has put all its pages back, somewhere
 * @mm: as told to gsvm_transit_begin()
 * @start: likewise
 * @end: likewise
 */
void gsvm_transit_end(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long addr;

	for (addr = round_down(start, GSVM_BLOCK_SIZE); addr < end; addr += GSVM_BLOCK_SIZE)
		atomic_dec(gsvm_transit_of(mm, addr));
}

/**
 * gsvm_transit_begin_any() - pages are about to be taken, of whom is not known
 */
void gsvm_transit_begin_any(void)
{
	atomic_inc(&gsvm_transit_any);
}

/**
 * gsvm_transit_end_any() - they are back
 */
void gsvm_transit_end_any(void)
{
	atomic_dec(&gsvm_transit_any);
}

/**
 * gsvm_transit_may_have() - may a page that seems to be nowhere be on its way
 * @mm: process; compared only
 * @addr: address in the block
 *
 * Return: false if no move had pages of the block at the time of the call.
 */
bool gsvm_transit_may_have(const struct mm_struct *mm, unsigned long addr)
{
	return atomic_read(gsvm_transit_of(mm, addr)) || atomic_read(&gsvm_transit_any);
}
