/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a page moves to VRAM and back while it is dropped.
 */
#define NRAM	3
#define NVRAM	1
#define BOUNCES	1
#define MAY_MIGRATE
#define CORE_PROGRAM(c, n, b, wr)	ANY_ACCESS(b, wr)
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run cpu(PARENT, 1, 4); run dontneed(0)

#include "../system.pml"
#include "../cpu.pml"
#include "../dontneed.pml"
