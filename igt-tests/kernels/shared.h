/* SPDX-License-Identifier: MIT */
/*
 * What the GPU programs of the tests and the tests share in memory.
 */
#ifndef GSVM_TESTS_SHARED_H
#define GSVM_TESTS_SHARED_H

#include <stdint.h>

#define CTL_ITEMS	64

/**
 * struct ctl - how the CPU steers a job that runs until it is told to stop
 * @stop: the CPU writes 1, every work-item ends
 * @floor: smallest generation that may still be seen: raised by the CPU
 *	*after* the call that removed the older ones has returned
 * @ceiling: largest generation that may be seen: raised by the CPU *before*
 *	it makes a newer one visible
 * @zero_ok: a zero (memory without content) is legal besides
 * @rounds: per work-item: complete rounds so far
 * @bad: number of illegal values seen; the first one in @bad_*
 */
struct ctl {
	uint64_t stop;
	uint64_t floor;
	uint64_t ceiling;
	uint64_t zero_ok;
	uint64_t bad;
	uint64_t bad_addr;
	uint64_t bad_value;
	uint64_t bad_floor;
	uint64_t bad_ceiling;
	uint64_t rsvd[7];
	uint64_t rounds[CTL_ITEMS];
};

/**
 * struct node - linked list of all kinds of memory
 */
struct node {
	struct node *next;
	uint64_t value;
};

/* kernel "touch": how it touches. Values of DRM_GSVM_ACCESS_*. */
#define TOUCH_READ	0
#define TOUCH_WRITE	1
#define TOUCH_EXEC	2
#define TOUCH_ATOMIC	3

#endif
