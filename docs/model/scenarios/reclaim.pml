/* SPDX-License-Identifier: MIT */
/*
 * Scenario: the device writes a clean page while it is reclaimed, written back, and
 * taken from the device for another reason.
 */
#define NRAM	3
#define CORE_PROGRAM(c, n, b, wr)	wr = 1
#define ACTORS	run disturb(0); run writeback(0); run reclaim(0)

#include "../system.pml"
#include "../disturb.pml"
#include "../writeout.pml"
#include "../writeback.pml"
#include "../reclaim.pml"
