/* SPDX-License-Identifier: MIT */
/*
 * The GPU programs of the tests about VRAM. Arguments are 64-bit words;
 * addresses are those of the CPU program.
 */
#include <gsvm_device.h>

#include "shared.h"

typedef uint64_t u64;

#define PAGE_WORDS	512

static u64 get(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void put(u64 *p, u64 value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* Every step-th word of page i becomes seed + its index from base on + 1. */
GSVM_KERNEL(pattern_fill, 3)(u64 base, u64 seed, u64 step)
{
	u64 first = gsvm_global_id(0) * PAGE_WORDS, w;
	volatile u64 *p = (u64 *)base + first;

	for (w = 0; w < PAGE_WORDS; w += step)
		p[w] = seed + first + w + 1;
}

/* out = { wrong words, the place of one, its value } */
GSVM_KERNEL(pattern_verify, 4)(u64 base, u64 seed, u64 step, u64 *out)
{
	u64 first = gsvm_global_id(0) * PAGE_WORDS, w, value;
	volatile u64 *p = (u64 *)base + first;

	for (w = 0; w < PAGE_WORDS; w += step) {
		value = p[w];
		if (value == seed + first + w + 1)
			continue;
		if (!__atomic_fetch_add(&out[0], 1, __ATOMIC_RELAXED)) {
			out[1] = (u64)&p[w];
			out[2] = value;
		}
	}
}

/*
 * Until told to stop, every work-item goes over its pages (i, i + items, ...)
 * and adds 1 to the first word of each, plainly if @atomic is 0: nobody else
 * writes that word. rounds[i] counts complete passes.
 */
GSVM_KERNEL(sweep, 5)(struct ctl *ctl, u64 base, u64 pages, u64 items, u64 atomic)
{
	u64 i = gsvm_global_id(0), page;

	while (!get(&ctl->stop)) {
		for (page = i; page < pages; page += items) {
			volatile u64 *p = (u64 *)base + page * PAGE_WORDS;

			if (atomic)
				__atomic_fetch_add((u64 *)p, 1, __ATOMIC_RELAXED);
			else
				*p = *p + 1;
		}
		put(&ctl->rounds[i], ctl->rounds[i] + 1);
	}
}

/*
 * Work-item i visits count pages of the range in an order of its own that goes
 * all over it (a linear congruential generator, every page as likely), and adds
 * 1 to the word of page p that belongs to it, word i % 511 + 1.
 */
GSVM_KERNEL(scatter, 4)(u64 base, u64 pages, u64 count, u64 seed)
{
	u64 i = gsvm_global_id(0), x = seed + i * 0x9e3779b97f4a7c15ull;

	while (count--) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		__atomic_fetch_add((u64 *)base + (x >> 33) % pages * PAGE_WORDS + i % 511 + 1, 1,
				   __ATOMIC_RELAXED);
	}
}
