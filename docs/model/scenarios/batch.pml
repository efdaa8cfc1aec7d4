/* SPDX-License-Identifier: MIT */
/*
 * Scenario: one unmap takes two blocks with one ticket, another one takes one of
 * them at the same time.
 */
#define NB	2
#define NRAM	4
#define CORE_PROGRAM(c, n, b, wr)	ANY_ACCESS(b, wr); if :: b = 0 :: b = 1 fi
#define ACTORS	run munmap(0, 1, 0); run dontneed(1)

#include "../system.pml"
#include "../munmap.pml"
#include "../dontneed.pml"
