/* SPDX-License-Identifier: MIT */
/*
 * The GPU programs of the tests. Each work-item is one hart; `i' is its place
 * in the grid. Addresses are those of the CPU program.
 */
#include <gsvm_device.h>

#include "shared.h"

typedef uint64_t u64;

/* A kernel gets the address of its arguments, one 64-bit word each. */
#define KERNEL(name)	GSVM_KERNEL(name, 0)(const u64 *arg)

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
KERNEL(load)
{
	u64 base = arg[0];
	u64 stride = arg[1];
	u64 *out = (u64 *)arg[2];
	u64 i = gsvm_global_id(0);

	out[i] = *at(base, stride, i);
}

/* The word at base + i * stride becomes first + i * step. */
KERNEL(store)
{
	u64 base = arg[0];
	u64 stride = arg[1];
	u64 first = arg[2];
	u64 step = arg[3];
	u64 i = gsvm_global_id(0);

	*at(base, stride, i) = first + i * step;
}

/* out = { how many words differ from first + i * step, one place, its value } */
KERNEL(compare)
{
	u64 base = arg[0];
	u64 stride = arg[1];
	u64 first = arg[2];
	u64 step = arg[3];
	u64 *out = (u64 *)arg[4];
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
KERNEL(add)
{
	u64 base = arg[0];
	u64 stride = arg[1];
	u64 count = arg[2];
	u64 amount = arg[3];
	u64 *p = at(base, stride, gsvm_global_id(0));

	while (count--)
		__atomic_fetch_add(p, amount, __ATOMIC_RELAXED);
}

/* Each work-item takes the lock, changes *word without atomics, count times. */
KERNEL(locked_add)
{
	u64 *lock = (u64 *)arg[0];
	u64 *word = (u64 *)arg[1];
	u64 count = arg[2];
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
KERNEL(walk)
{
	struct node *head = (struct node *)arg[0];
	u64 *out = (u64 *)arg[1];
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
KERNEL(touch)
{
	u64 addr = arg[0];
	u64 how = arg[1];
	u64 who = arg[2];
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
KERNEL(call)
{
	u64 (*function)(u64) = (u64 (*)(u64))arg[0];
	u64 *out = (u64 *)arg[1];
	u64 i = gsvm_global_id(0);

	out[i] = function(i);
}

/*
 * Until told to stop, every work-item goes over its pages (i, i + items, ...)
 * and reads the word at the start of each, whose value must be a generation
 * between the floor before the load and the ceiling after it.
 */
KERNEL(watch)
{
	struct ctl *ctl = (struct ctl *)arg[0];
	u64 base = arg[1];
	u64 stride = arg[2];
	u64 pages = arg[3];
	u64 items = arg[4];
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
KERNEL(count)
{
	struct ctl *ctl = (struct ctl *)arg[0];
	u64 base = arg[1];
	u64 stride = arg[2];
	u64 i = gsvm_global_id(0);
	u64 n = 0;

	while (!get(&ctl->stop)) {
		__atomic_fetch_add(at(base, stride, i), 1, __ATOMIC_RELAXED);
		put(&ctl->rounds[i], ++n);
	}
}

/* Likewise with plain loads and stores. */
KERNEL(pump)
{
	struct ctl *ctl = (struct ctl *)arg[0];
	u64 base = arg[1];
	u64 stride = arg[2];
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
KERNEL(pingpong)
{
	u64 *turn = (u64 *)arg[0];
	volatile u64 *word = (volatile u64 *)arg[1];
	u64 steps = arg[2];
	while (steps--) {
		while (!(get(turn) & 1))
			;
		*word = *word + 1;
		put(turn, get(turn) + 1);
	}
}

/* Do nothing until the CPU says so; then write the item's number plus one. */
KERNEL(hold)
{
	struct ctl *ctl = (struct ctl *)arg[0];
	u64 base = arg[1];
	u64 stride = arg[2];
	u64 i = gsvm_global_id(0);

	put(&ctl->rounds[i % CTL_ITEMS], 1);
	while (!get(&ctl->stop))
		;
	*at(base, stride, i) = i + 1;
}

/* Endless, without touching memory. */
KERNEL(forever)
{
	(void)arg;
	for (;;)
		__asm__ volatile("");
}

KERNEL(illegal)
{
	(void)arg;
	__asm__ volatile(".word 0xffffffff");
}

KERNEL(ecall)
{
	(void)arg;
	__asm__ volatile("ecall");
}

KERNEL(ebreak)
{
	(void)arg;
	__asm__ volatile(".option push; .option norvc; ebreak; .option pop");
}

/* Recursion that runs out of private memory. */
static u64 __attribute__((noinline)) deep(volatile u64 *p, u64 n)
{
	volatile u64 frame[64];

	frame[n % 64] = *p;
	return n ? deep(frame, n - 1) + frame[(n + 1) % 64] : 0;
}

KERNEL(overflow)
{
	u64 *out = (u64 *)arg[0];
	u64 seed = 1;

	*out = deep(&seed, 1000000);
}
