/* SPDX-License-Identifier: MIT */
/*
 * Scenario: VRAM is taken away while the owner faults, the CPU faults, and the
 * process unmaps.
 */
#define NRAM	3
#define NVRAM	1
#define EVICT
#define BOUNCES	1
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run cpu(PARENT, 1, 4); run evict(NRAM); run munmap(0, 0, 0)

#include "../system.pml"
#include "../cpu.pml"
#include "../pressure.pml"
#include "../munmap.pml"
