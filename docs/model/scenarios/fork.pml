/* SPDX-License-Identifier: MIT */
/*
 * Scenario: fork() while the device writes; parent and child write, too.
 */
#define NRAM	4
#define CORE_PROGRAM(c, n, b, wr)	ANY_ACCESS(b, wr)
#define CPU_PROGRAM(m, n, b, wr)	ANY_ACCESS(b, wr)
#define ACTORS	run fork(1, 5); run cpu(PARENT, 1, 4)

#include "../system.pml"
#include "../fork.pml"
#include "../cpu.pml"
