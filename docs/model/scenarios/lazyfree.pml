/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a clean page without a copy worth keeping (MADV_FREE) moves to VRAM,
 * is written there, comes back, and is reclaimed.
 */
#define NRAM	3
#define NVRAM	1
#define BOUNCES	1
#define MAY_MIGRATE
#define CORE_PROGRAM(c, n, b, wr)	ANY_ACCESS(b, wr)
#define CPU_PROGRAM(m, n, b, wr)	wr = 0
#define ACTORS	run cpu(PARENT, 1, 4); run reclaim(0)

#include "../system.pml"
#include "../cpu.pml"
#include "../writeout.pml"
#include "../reclaim.pml"
