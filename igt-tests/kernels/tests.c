/* SPDX-License-Identifier: MIT */
/*
 * The GPU programs of the tests. Each work-item is one hart; `i' is its place
 * in the grid. Arguments are 64-bit words; addresses are those of the CPU
 * program.
 */
#include <gsvm_device.h>

#include "shared.h"
#include "stress.h"

typedef uint64_t u64;

static u64 get(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void put(u64 *p, u64 value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static u64 *at(u64 base, u64 stride, u64 i)
{
	return (u64 *)(base + stride * i);
}

/* out[i] = the word at base + i * stride */
GSVM_KERNEL(load, 3)(u64 base, u64 stride, u64 *out)
{
	u64 i = gsvm_global_id(0);

	out[i] = *at(base, stride, i);
}

/* The word at base + i * stride becomes first + i * step. */
GSVM_KERNEL(store, 4)(u64 base, u64 stride, u64 first, u64 step)
{
	u64 i = gsvm_global_id(0);

	*at(base, stride, i) = first + i * step;
}

/* out = { how many words differ from first + i * step, one place, its value } */
GSVM_KERNEL(compare, 5)(u64 base, u64 stride, u64 first, u64 step, u64 *out)
{
	u64 i = gsvm_global_id(0);
	u64 *p = at(base, stride, i);
	u64 value = *p;

	if (value == first + i * step)
		return;
	if (!__atomic_fetch_add(&out[0], 1, __ATOMIC_RELAXED)) {
		out[1] = (u64)p;
		out[2] = value;
	}
}

/* Every work-item adds 1 to the word, count times. */
GSVM_KERNEL(add, 4)(u64 base, u64 stride, u64 count, u64 amount)
{
	u64 *p = at(base, stride, gsvm_global_id(0));

	while (count--)
		__atomic_fetch_add(p, amount, __ATOMIC_RELAXED);
}

/* Each work-item takes the lock, changes *word without atomics, count times. */
GSVM_KERNEL(locked_add, 3)(u64 *lock, u64 *word, u64 count)
{
	u64 expect;

	while (count--) {
		do {
			expect = 0;
		} while (!__atomic_compare_exchange_n(lock, &expect, 1, 0, __ATOMIC_ACQUIRE,
						      __ATOMIC_RELAXED));
		*(volatile u64 *)word = *(volatile u64 *)word + 1;
		__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
	}
}

/* One work-item walks a list, adds the values up and adds 1 to each. */
GSVM_KERNEL(walk, 2)(struct node *head, u64 *out)
{
	u64 sum = 0, n = 0;

	for (; head; head = head->next) {
		sum += head->value;
		head->value++;
		n++;
	}
	out[0] = sum;
	out[1] = n;
}

/* Only work-item `who' touches the address; the others end at once. */
GSVM_KERNEL(touch, 3)(u64 addr, u64 how, u64 who)
{
	if (gsvm_global_id(0) != who)
		return;
	if (how == TOUCH_READ)
		*(volatile u64 *)addr;
	else if (how == TOUCH_WRITE)
		*(volatile u64 *)addr = 0x5a5a5a5a5a5a5a5aull;
	else if (how == TOUCH_ATOMIC)
		/* Written out, for the compiler may assume alignment. */
		__asm__ volatile("amoadd.d zero, %0, (%1)" : : "r"(1ull), "r"(addr) : "memory");
	else
		((void (*)(void))addr)();
}

/* Run a function that the CPU made: out[i] = function(i) */
GSVM_KERNEL(call, 2)(u64 (*function)(u64), u64 *out)
{
	u64 i = gsvm_global_id(0);

	out[i] = function(i);
}

/*
 * Until told to stop, every work-item goes over its pages (i, i + items, ...)
 * and reads the word at the start of each, whose value must be a generation
 * between the floor before the load and the ceiling after it.
 */
GSVM_KERNEL(watch, 5)(struct ctl *ctl, u64 base, u64 stride, u64 pages, u64 items)
{
	u64 i = gsvm_global_id(0);
	u64 at_page, value, floor, ceiling;

	while (!get(&ctl->stop)) {
		for (at_page = i; at_page < pages; at_page += items) {
			floor = get(&ctl->floor);
			value = get(at(base, stride, at_page));
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			ceiling = get(&ctl->ceiling);
			if ((!value && get(&ctl->zero_ok)) ||
			    (value >= floor && value <= ceiling))
				continue;
			if (__atomic_fetch_add(&ctl->bad, 1, __ATOMIC_RELAXED))
				continue;
			ctl->bad_addr = base + stride * at_page;
			ctl->bad_value = value;
			ctl->bad_floor = floor;
			ctl->bad_ceiling = ceiling;
		}
		put(&ctl->rounds[i], ctl->rounds[i] + 1);
	}
}

/*
 * Until told to stop, every work-item adds 1 to its word, atomically, and
 * counts how often it did.
 */
GSVM_KERNEL(count, 3)(struct ctl *ctl, u64 base, u64 stride)
{
	u64 i = gsvm_global_id(0);
	u64 n = 0;

	while (!get(&ctl->stop)) {
		__atomic_fetch_add(at(base, stride, i), 1, __ATOMIC_RELAXED);
		put(&ctl->rounds[i], ++n);
	}
}

/* Likewise with plain loads and stores. */
GSVM_KERNEL(pump, 3)(struct ctl *ctl, u64 base, u64 stride)
{
	u64 i = gsvm_global_id(0);
	volatile u64 *p = at(base, stride, i);
	u64 n = 0;

	while (!get(&ctl->stop)) {
		*p = *p + 1;
		put(&ctl->rounds[i], ++n);
	}
}

/*
 * One step per word from the CPU: whenever *turn becomes odd, work-item 0 adds
 * 1 to *word and makes it even again, steps times.
 */
GSVM_KERNEL(pingpong, 3)(u64 *turn, volatile u64 *word, u64 steps)
{
	while (steps--) {
		while (!(get(turn) & 1))
			;
		*word = *word + 1;
		put(turn, get(turn) + 1);
	}
}

static void stress_found(struct stress *st, u64 number, u64 kind, u64 addr, u64 value, u64 low,
			 u64 high)
{
	if (__atomic_fetch_add(&st->bad, 1, __ATOMIC_RELAXED))
		return;
	st->number = number;
	st->addr = addr;
	st->value = value;
	st->low = low;
	st->high = high;
	put(&st->kind, kind);
}

/* Is the page what it may be at this moment? */
static void stress_look(struct stress *st, u64 number, const u64 *page)
{
	struct slot *slot = &st->slot[number];
	u64 k = slot->visits * 7 % PATTERN_WORDS;
	u64 floor, ceiling, gen, epoch, self, word;

	floor = get(&slot->floor);
	gen = get(&page[PAGE_GEN]);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ceiling = get(&slot->ceiling);
	if ((gen < floor || gen > ceiling) && (gen || get(&slot->zero) <= floor))
		stress_found(st, number, STRESS_GEN, (u64)&page[PAGE_GEN], gen, floor, ceiling);

	/* Equal epochs, before and after: what lies between is from one page. */
	epoch = get(&page[PAGE_EPOCH]);
	self = get(&page[PAGE_SELF]);
	word = get(&page[PAGE_PATTERN + k]);
	if (!epoch || get(&page[PAGE_EPOCH]) != epoch)
		return;
	if (self != slot->self)
		stress_found(st, number, STRESS_SELF, (u64)&page[PAGE_SELF], self, slot->self,
			     epoch);
	else if (word != stress_pattern(self, epoch, k))
		stress_found(st, number, STRESS_PATTERN, (u64)&page[PAGE_PATTERN + k], word,
			     stress_pattern(self, epoch, k), epoch);
}

/* One more increment, and its word of the trail in the place of an older one. */
static void stress_write(struct stress *st, u64 number, u64 *page)
{
	struct slot *slot = &st->slot[number];
	u64 count = slot->writes + 1;
	u64 *trail = &page[PAGE_TRAIL + count % TRAIL_WORDS];
	u64 old = get(trail);

	if (old && old != stress_trail(slot->self, count - TRAIL_WORDS))
		stress_found(st, number, STRESS_TRAIL, (u64)trail, old,
			     stress_trail(slot->self, count - TRAIL_WORDS), count);
	__atomic_fetch_add(&page[PAGE_COUNT], 1, __ATOMIC_RELAXED);
	put(trail, stress_trail(slot->self, count));
	put(&slot->writes, count);
}

/* Until told to stop, every work-item goes over its slots. */
GSVM_KERNEL(stress, 3)(struct stress *st, u64 slots, u64 items)
{
	u64 number, mode;

	while (!get(&st->stop))
		for (number = gsvm_global_id(0); number < slots; number += items) {
			struct slot *slot = &st->slot[number];

			put(&slot->in, 1);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			mode = get(&slot->mode);
			if (mode != SLOT_NONE)
				stress_look(st, number, (u64 *)slot->addr);
			if (mode == SLOT_WRITE)
				stress_write(st, number, (u64 *)slot->addr);
			put(&slot->in, 0);
			put(&slot->visits, slot->visits + 1);
		}
}

/* Do nothing until the CPU says so; then write the item's number plus one. */
GSVM_KERNEL(hold, 3)(struct ctl *ctl, u64 base, u64 stride)
{
	u64 i = gsvm_global_id(0);

	put(&ctl->rounds[i % CTL_ITEMS], 1);
	while (!get(&ctl->stop))
		;
	*at(base, stride, i) = i + 1;
}

/* Endless, without touching memory. */
GSVM_KERNEL(forever)(void)
{
	for (;;)
		__asm__ volatile("");
}

GSVM_KERNEL(illegal)(void)
{
	__asm__ volatile(".word 0xffffffff");
}

GSVM_KERNEL(ecall)(void)
{
	__asm__ volatile("ecall");
}

GSVM_KERNEL(ebreak)(void)
{
	__asm__ volatile(".option push; .option norvc; ebreak; .option pop");
}

/* Recursion that runs out of private memory. */
static u64 __attribute__((noinline)) deep(volatile u64 *p, u64 n)
{
	volatile u64 frame[64];

	frame[n % 64] = *p;
	return n ? deep(frame, n - 1) + frame[(n + 1) % 64] : 0;
}

GSVM_KERNEL(overflow, 1)(u64 *out)
{
	u64 seed = 1;

	*out = deep(&seed, 1000000);
}
