/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a prefetch and an access of the CPU want the same 2 MiB page.
 */
#define WHOLE
#define START_VRAM
#define NRAM	3
#define NVRAM	1
#define NACC	0
#define BOUNCES	0	/* what has left stays away */
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run cpu(PARENT, 1, 4); run prefetch_out(0)

#include "../system.pml"
#include "../prefetch_out.pml"
#include "../cpu.pml"
