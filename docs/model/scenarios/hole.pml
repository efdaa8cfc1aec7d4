/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a page that is not there yet is made in VRAM; another service finds
 * it while that goes on.
 */
#define START_HOLE
#define NRAM	2
#define NVRAM	1
#define NC	2
#define NACC	1
#define TRIES	1
#define BOUNCES	1
#define MIGRATES(c)	(c == 0)
#define CORE_PROGRAM(c, n, b, wr) \
	wr = 0; (c == 0 || pte[0].kind == DEV)	/* the other one comes later */

#include "../system.pml"
