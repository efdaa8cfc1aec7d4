/* SPDX-License-Identifier: MIT */
/*
 * All of it, in the order in which the parts need each other, and the start and
 * the end of a run. A scenario defines its sizes, CORE_PROGRAM, CPU_PROGRAM, and
 * ACTORS: what is run beside cores, devices and services.
 */
/* Some access to some block. */
#define ANY_ACCESS(b, wr) \
	if :: wr = 0 :: wr = 1 fi

#include "config.pml"
#ifndef RING
#define RING	6
#endif
#include "frame.pml"
#include "notifier.pml"
#include "mm.pml"
#include "tlb.pml"
#include "device.pml"
#include "block.pml"
#include "migrate_vma.pml"
#if NVRAM
#include "migrate.pml"
#ifdef WHOLE
#include "guard.pml"
#define NWORKERS	1
#define WORKING	order
#else
#define NWORKERS	0
#define WORKING	0
#endif
#ifdef EVICT
#include "evict.pml"
#endif
#else
#define NWORKERS	0
#define WORKING	0
#endif
#include "populate.pml"
#include "fault.pml"

bit over;	/* everybody who ends has ended */

init {
	byte b;

	atomic {
		b = 0;
		do
		:: b < NF -> fr[b].data = POISON; b++
		:: else -> break
		od;
		b = 0;
		do
		:: b < 2 * NB -> pte[b].kind = NONE; b++
		:: else -> break
		od;
		b = 0;
		do
		:: b < NB ->
			vma[b] = 1;
#ifndef START_HOLE
			/* A clean page, read in; writable. */
#ifdef START_VRAM
			frame_alloc(f_, NRAM, NF, 0);
			pte_set(PARENT, b, DEV, f_, 1, 0);
#else
			frame_alloc(f_, 0, NRAM, 0);
			pte_set(PARENT, b, RAM, f_, 1, 0);
#endif
			fr[f_].data = 0;
#ifdef START_HUGE
			fr[f_].dma = 1;
			ent[b].valid = 1;
			ent[b].write = 1;
			ent[b].huge = 1;
			ent[b].at = f_;
#endif
			f_ = 0;
#endif
			b++
		:: else -> break
		od;
		b = 0;
		do
		:: b < NG -> tb[b].open = 1; run device(b); b++
		:: else -> break
		od;
		b = 0;
		do
		:: b < NS -> run service(b); b++
		:: else -> break
		od;
#ifdef WHOLE
		run splitter();
#endif
		b = 0;
		do
		:: b < NC -> run core(b); b++
		:: else -> break
		od;
		b = 0;
#ifdef ACTORS
		ACTORS
#endif
		skip
	}
	/* All but init, devices, services and the worker. */
	atomic { _nr_pr == 1 + NG + NS + NWORKERS && !WORKING ->
		do
		:: b < 2 * NB ->
			if
			:: pte[b].kind == RAM || pte[b].kind == DEV -> f_ = fr[pte[b].at].data
			:: pte[b].kind == SWAP -> f_ = disk[b % NB]
			:: pte[b].kind == NONE -> f_ = 0
			fi;
			CHECK(lost_update, f_ == (b < NB -> now_data[b] : child_data[b - NB]));
			f_ = 0;
			b++
		:: else -> break
		od;
		/* Every DMA mapping is an entry's. */
		b = 0;
		do
		:: b < NF ->
			i_ = 0;
			j_ = 0;
			do
			:: i_ < NK -> j_ = j_ + (IS_RAM(b) && ent[i_].valid && ent[i_].at == b); i_++
			:: else -> break
			od;
			CHECK(iommu_use, fr[b].dma == j_);
			i_ = 0;
			j_ = 0;
			b++
		:: else -> break
		od;
		b = 0;
		over = 1 }
}
