/* SPDX-License-Identifier: MIT */
/*
 * Scenario: two cores want two pages, and there is VRAM for one.
 */
#define NB	2
#define NC	2
#define NRAM	4
#define NVRAM	1
#define NACC	1
#define EVICT
#define EVICT_TO_FIT
#define BOUNCES	1
#define CORE_PROGRAM(c, n, b, wr)	wr = 1; b = c

#include "../system.pml"
