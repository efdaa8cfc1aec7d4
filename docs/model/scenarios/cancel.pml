/* SPDX-License-Identifier: MIT */
/*
 * Scenario: two queues fault on a page that is unmapped, and mapped again.
 */
#define NAMES	/* records name the access */
#define NRAM	2
#define NC	2
#define NACC	1
#define TRIES	1
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define ACTORS	run munmap(0, 0, 1)

#include "../system.pml"
#include "../munmap.pml"
