/* SPDX-License-Identifier: MIT */
/*
 * Scenario: VRAM is taken away while the process forks.
 */
#define NRAM	5
#define NVRAM	1
#define EVICT
#define NACC	1
#define BOUNCES	1
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run fork(1, 5); run evict(NRAM)

#include "../system.pml"
#include "../cpu.pml"
#include "../fork.pml"
#include "../pressure.pml"
