/* SPDX-License-Identifier: MIT */
/*
 * Scenario: the same with a prefetch, which does not hold the page.
 */
#define WHOLE
#define START_VRAM
#define NRAM	3
#define NVRAM	1
#define NACC	1
#define BOUNCES	0	/* what has left stays away */
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run prefetch_out(0); run dontneed(0)

#include "../system.pml"
#include "../prefetch_out.pml"
#include "../dontneed.pml"
