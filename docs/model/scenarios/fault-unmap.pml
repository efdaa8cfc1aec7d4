/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a core reads and writes while the process drops the page, and while
 * it is unmapped and mapped again.
 */
#define NAMES	/* records name the access */
#define NRAM	3
#define CORE_PROGRAM(c, n, b, wr)	ANY_ACCESS(b, wr)
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run dontneed(0); run munmap(0, 0, 1); run cpu(PARENT, 1, 4)

#include "../system.pml"
#include "../dontneed.pml"
#include "../munmap.pml"
#include "../cpu.pml"
