/* SPDX-License-Identifier: MIT */
/*
 * Scenario: a 2 MiB leaf that cannot stay, since the CPU's entries became
 * unequal: what is taken outside of an invalidation.
 */
#define START_HUGE	/* is mapped when it begins */
#define NRAM	2
#define NC	2
#define NACC	1
#define TRIES	1
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define ACTORS	run protect_other(0)

#include "../system.pml"
#include "../protect_other.pml"
