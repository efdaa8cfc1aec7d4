/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a core and a thread of the process want the same page for ever, and
 * each gets it: no cycle without progress.
 */
#define NRAM	2
#define NVRAM	1
#define NACC	1
#define BOUNCES	2
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run cpu(PARENT, 1, 4)

#include "../system.pml"
#include "../cpu.pml"
