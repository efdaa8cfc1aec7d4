/* SPDX-License-Identifier: MIT */
/*
 * Scenario: an access of the CPU brings a 2 MiB page back from VRAM, while the device
 * uses it and the process drops it.
 */
#define WHOLE
#define START_VRAM
#define NRAM	3
#define NVRAM	1
#define NACC	1
#define BOUNCES	0	/* what has left stays away */
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define CPU_PROGRAM(m, n, b, wr)	wr = 1
#define ACTORS	run cpu(PARENT, 1, 4); run dontneed(0)

#include "../system.pml"
#include "../cpu.pml"
#include "../dontneed.pml"
