/* SPDX-License-Identifier: MIT */
/*
 * Scenario: the page becomes read-only while the device writes.
 */
#define NAMES	/* records name the access */
#define NRAM	2
#define CORE_PROGRAM(c, n, b, wr)	ANY_ACCESS(b, wr)
#define ACTORS	run protect(0); run dontneed(0)

#include "../system.pml"
#include "../protect.pml"
#include "../dontneed.pml"
