/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a 2 MiB page in VRAM has two owners, of whom one, the child, unmaps it
 * without telling anybody.
 */
#define WHOLE
#define START_VRAM
#define NRAM	4
#define NVRAM	1
#define NACC	0
#define BOUNCES	0	/* what has left stays away */
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run fork(0, 5); run cpu(PARENT, 1, 4); run child_unmap(0)

#include "../system.pml"
#include "../cpu.pml"
#include "../fork.pml"
#include "../child_unmap.pml"
