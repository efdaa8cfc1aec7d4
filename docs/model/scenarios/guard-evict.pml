/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a 2 MiB page is taken out of VRAM by its frame, which is not guarded,
 * while an access of the CPU would bring it back. Nobody unmaps it.
 */
#define WHOLE
#define START_VRAM
#define NRAM	3
#define NVRAM	1
#define EVICT
#define NACC	0
#define BOUNCES	0	/* what has left stays away */
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run cpu(PARENT, 1, 4); run evict(NRAM)

#include "../system.pml"
#include "../cpu.pml"
#include "../pressure.pml"
