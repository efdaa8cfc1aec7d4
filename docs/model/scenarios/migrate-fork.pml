/* SPDX-License-Identifier: MIT */
/*
 * Scenario: fork() while a page is in VRAM or on its way.
 */
#define NRAM	5
#define NVRAM	1
#define BOUNCES	1
#define MAY_MIGRATE
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run fork(1, 5)

#include "../system.pml"
#include "../fork.pml"
#include "../cpu.pml"
