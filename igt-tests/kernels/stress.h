/* SPDX-License-Identifier: MIT */
/*
 * What the GPU program "stress" and gsvm_stress share in memory.
 *
 * A slot is a page at work: its words say what they have to be, the slot says
 * what the GPU may do. Each slot belongs to one thread of the CPU and is
 * visited by one work-item of the GPU.
 *
 * Who is where is decided by two words, in the way of Dekker: the work-item
 * sets &slot.in and then reads &slot.mode; the thread takes rights from
 * &slot.mode and then waits until &slot.in is 0. After that the GPU does not
 * use the rights any more.
 */
#ifndef GSVM_TESTS_STRESS_H
#define GSVM_TESTS_STRESS_H

#include <stdint.h>

/* &slot.mode */
#define SLOT_NONE	0
#define SLOT_READ	1
#define SLOT_WRITE	2

/**
 * struct slot - one page, between its thread and its work-item
 * @mode: SLOT_*; the thread's, like all up to @self
 * @addr: where the page is
 * @floor: smallest generation that may be seen: raised *after* the call that
 *	removed the older ones has returned
 * @ceiling: largest generation that may be seen: raised *before* a newer one
 *	can be
 * @zero: the newest generation that came about through a page of zeroes
 * @self: word PAGE_SELF of the page
 * @in: the work-item is looking at the page; its own, like all that follow
 * @visits: how often it was here
 * @writes: increments of the page's PAGE_COUNT that are complete
 */
struct slot {
	uint64_t mode;
	uint64_t addr;
	uint64_t floor;
	uint64_t ceiling;
	uint64_t zero;
	uint64_t self;
	uint64_t rsvd[2];
	uint64_t in;
	uint64_t visits;
	uint64_t writes;
	uint64_t rsvd2[5];
};

/* Words of a page. Written by the CPU when the page comes into being: */
#define PAGE_SELF	0	/* whose page it is: address and writer */
#define PAGE_EPOCH	1	/* the generation it came into being with; last */
/* by the CPU at any time: */
#define PAGE_GEN	2	/* generation */
#define PAGE_CPU	3	/* the thread's own count */
/* by the GPU alone: */
#define PAGE_COUNT	4	/* its increments, atomic */
/* the CPU's pattern, with the epoch, and the GPU's, one word per increment: */
#define PAGE_PATTERN	8
#define PATTERN_WORDS	248
#define PAGE_TRAIL	256
#define TRAIL_WORDS	256

/* What the GPU found wrong. */
#define STRESS_GEN	1	/* a generation beyond its bounds */
#define STRESS_SELF	2	/* another page */
#define STRESS_PATTERN	3	/* a wrong word of the CPU */
#define STRESS_TRAIL	4	/* a wrong word of its own */

/**
 * struct stress - the job
 * @stop: every work-item ends
 * @bad: what was wrong, in numbers; the rest is the first finding
 * @slot: all of them
 */
struct stress {
	uint64_t stop;
	uint64_t bad;
	uint64_t kind;
	uint64_t number;
	uint64_t addr;
	uint64_t value;
	uint64_t low;
	uint64_t high;
	struct slot slot[];
};

static inline uint64_t stress_mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	return x;
}

/* Word @k of the pattern of a page that came into being with @epoch. */
static inline uint64_t stress_pattern(uint64_t self, uint64_t epoch, uint64_t k)
{
	return stress_mix(self ^ epoch << 32 ^ k << 56 ^ k);
}

/* What increment @count leaves in word @count % TRAIL_WORDS of the trail. */
static inline uint64_t stress_trail(uint64_t self, uint64_t count)
{
	return stress_mix(self) + count;
}

#endif
