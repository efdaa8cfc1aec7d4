// SPDX-License-Identifier: MIT
/* GPU programs of the library's tests. */
#include <gsvm_device.h>

#include "kernels.h"

/* A variable of the program, which CPU and GPU share. */
uint64_t shared_counter = 5;

GSVM_KERNEL(add, 0)(struct add *add)
{
	__atomic_fetch_add(add->target, add->amount, __ATOMIC_RELAXED);
	__atomic_fetch_add(&shared_counter, 1, __ATOMIC_RELAXED);
}

/* The same with its arguments in registers. */
GSVM_KERNEL(add3, 3)(uint64_t *target, int64_t a, int64_t b)
{
	__atomic_fetch_add(target, (uint64_t)(a * b), __ATOMIC_RELAXED);
}

GSVM_KERNEL(place, 0)(struct place *place)
{
	uint64_t x = gsvm_global_id(0), y = gsvm_global_id(1), z = gsvm_global_id(2);
	uint64_t linear = (z * place->height + y) * place->width + x;

	if (x != gsvm_group_id(0) * gsvm_local_size(0) + gsvm_local_id(0) ||
	    y != gsvm_group_id(1) * gsvm_local_size(1) + gsvm_local_id(1) ||
	    z != gsvm_group_id(2) * gsvm_local_size(2) + gsvm_local_id(2))
		__atomic_fetch_add(&place->wrong, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&place->visits[linear], 1, __ATOMIC_RELAXED);
}

/* Work-groups add up their values in the memory they share. */
GSVM_GROUP static uint64_t partial[64];

GSVM_KERNEL(sums, 0)(struct sums *sums)
{
	uint64_t local = gsvm_local_id(0), step;

	partial[local] = sums->values[gsvm_global_id(0)];
	gsvm_barrier();
	for (step = 32; step; step /= 2) {
		if (local < step)
			partial[local] += partial[local + step];
		gsvm_barrier();
	}
	if (!local)
		sums->sum[gsvm_group_id(0)] = partial[0];
}

GSVM_KERNEL(spin, 0)(struct spin *spin)
{
	__atomic_fetch_add(&spin->started, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&spin->stop, __ATOMIC_ACQUIRE))
		;
}

GSVM_KERNEL(walk, 0)(struct walk *walk)
{
	struct list *item;

	for (item = walk->head; item; item = item->next) {
		walk->count++;
		walk->sum += item->value;
	}
}

/* Work-item 17 writes where it should not. */
GSVM_KERNEL(wild, 0)(uint64_t *where)
{
	if (gsvm_global_id(0) == 17)
		*where = 1;
}

GSVM_KERNEL(illegal, 0)(void *arg)
{
	(void)arg;
	__asm__ volatile(".word 0");
}

GSVM_KERNEL(trap, 0)(void *arg)
{
	(void)arg;
	__asm__ volatile("ebreak");
}

GSVM_KERNEL(forever, 0)(void *arg)
{
	for (;;)
		__asm__ volatile("" : : "r"(arg) : "memory");
}
