/* SPDX-License-Identifier: MIT */
/*
 * The sizes of a scenario. A scenario defines what it needs to be different
 * before it includes this file.
 *
 * Frames 0..NRAM-1 are system memory, the NVRAM after them the memory of GPU 0.
 * A block has one page here: what the pages of a block share (lock, sequence,
 * ticket) is there, and pages do not interact otherwise.
 */
#ifndef NG
#define NG	1	/* GPUs, each mirrors the parent */
#endif
#ifndef NB
#define NB	1	/* blocks of the parent's address space */
#endif
#ifndef NC
#define NC	1	/* cores, core c is of GPU c % NG; one queue each */
#endif
#define NS	NC	/* fault services at a time */
#ifndef NRAM
#define NRAM	2
#endif
#ifndef NVRAM
#define NVRAM	0
#endif
#ifndef NACC
#define NACC	2	/* accesses per core */
#endif
#ifndef TRIES
#define TRIES	2	/* GSVM_POPULATE_TRIES */
#endif
#ifndef BOUNCES
#define BOUNCES	2	/* moves out of VRAM after which faults do not move in */
#endif

#ifndef MIGRATES
#define MIGRATES(c)	true	/* faults of this core move pages to VRAM */
#endif

/*
 * WHOLE, if a scenario defines it: the pages of VRAM are 2 MiB pages, with all that
 * keeps them from being unmapped on their way out. They are small ones else.
 */

#define NF	(NRAM + NVRAM)
#define NK	(NG * NB)		/* mirrored blocks, k = g * NB + b */
#define K(g, b)	((g) * NB + (b))
#define GPU_OF(k)	((k) / NB)
#define BLOCK_OF(k)	((k) % NB)
#define IS_RAM(f)	((f) < NRAM)

#define NOFRAME	254
#define HOLE	253
#define POISON	255

#define PARENT	0
#define CHILD	1

/*
 * What must never be. Each is set just before it is asserted not to be, so that
 * a counterexample names what was violated.
 */
bit lost_update;	/* an access, or the end, did not find the last data */
bit freed_use;		/* a freed frame was reached, or can be reached */
bit iommu_use;		/* a device access without DMA mapping, or one that is left */
bit protected_write;	/* a write to what is shared or read-only */
bit wrong_cancel;	/* a queue ended for an access that was allowed */

/* Scratch of atomic sequences, 0 outside of them. */
byte i_, j_, f_;

#define CHECK(flag, good) \
	flag = !(good); assert(!flag); flag = 0
