/* SPDX-License-Identifier: MIT */
/*
 * Scenario: two GPUs mirror the process; whoever flushes sends for both.
 */
#define NG	2
#define NC	2
#define NACC	1
#define NAMES	/* records name the access */
#define NRAM	2
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define ACTORS	run munmap(0, 0, 0)

#include "../system.pml"
#include "../munmap.pml"
