// SPDX-License-Identifier: MIT
/**
 * DOC: Allocations that are not the driver's
 *
 * What debugging features allocate for themselves inside of a site does not count,
 * nor do pages that the slab allocator fetches: to fail those would not fail the
 * driver's allocation, or not as a machine without memory does. They are told by
 * the functions on the stack, whose text is looked up once: a kprobe that is not
 * armed knows the address of any symbol.
 */

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/string.h>

#include "gsvm_inject.h"

/**
 * struct text_range - text of a function
 * @name: its symbol; one that this kernel lacks is left out
 * @start: its first byte
 * @end: behind the last
 */
struct text_range {
	const char *name;
	unsigned long start;
	unsigned long end;
};

/*
 * Debugging features' own memory; and /proc/irq, about which genirq says nothing
 * when it cannot be made, and procfs warns when it is removed.
 */
static struct text_range debug_range[] = {
	{ "__proc_create" },
	{ "kmemleak_alloc" }, { "kmemleak_alloc_percpu" }, { "kmemleak_vmalloc" },
	{ "kmemleak_alloc_phys" }, { "kmemleak_scan_area" }, { "stack_depot_save_flags" },
	{ "__debug_object_init" }, { "debug_object_init" }, { "debug_object_activate" },
	{ "debug_object_assert_init" }, { "debug_objects_fill_pool" }, { "fill_pool" },
	{ "debug_dma_map_phys" }, { "debug_dma_map_page" }, { "debug_dma_alloc_coherent" },
	{ "__set_page_owner" }, { "kasan_populate_vmalloc" }, { "__kasan_populate_vmalloc" },
	{ "dump_stack_lvl" }, { "fail_dump" }, { "lock_acquire" },
};

/* Slab allocations; another one inside of them is the allocator's own. */
static struct text_range slab_range[] = {
	{ "kmem_cache_alloc_noprof" }, { "kmem_cache_alloc_lru_noprof" },
	{ "kmem_cache_alloc_node_noprof" }, { "kmem_cache_alloc_bulk_noprof" },
	{ "__kmalloc_noprof" }, { "__kmalloc_node_noprof" },
	{ "__kmalloc_node_track_caller_noprof" }, { "__kmalloc_cache_noprof" },
	{ "__kmalloc_cache_node_noprof" }, { "__kmalloc_flags_noprof" },
};

static struct text_range large_range[] = {
	{ "__kmalloc_large_noprof" }, { "__kmalloc_large_node_noprof" },
	{ "___kmalloc_large_node" },
};

static void range_resolve(struct text_range *range, unsigned int n)
{
	char text[KSYM_SYMBOL_LEN];
	unsigned long size;
	unsigned int i;
	char *slash;

	for (i = 0; i < n; i++) {
		struct kprobe probe = {
			.symbol_name = range[i].name,
			.flags = KPROBE_FLAG_DISABLED,
		};

		if (register_kprobe(&probe))
			continue;
		sprint_symbol(text, (unsigned long)probe.addr);
		slash = strrchr(text, '/');
		if (slash && !kstrtoul(slash + 1, 16, &size)) {
			range[i].start = (unsigned long)probe.addr;
			range[i].end = range[i].start + size;
		}
		unregister_kprobe(&probe);
	}
}

/* How many of @entries lie in one of the functions? */
static unsigned int range_count(const struct text_range *range, unsigned int n,
				const unsigned long *entries, unsigned int nr)
{
	unsigned int i, j, count = 0;

	for (i = 0; i < nr; i++)
		for (j = 0; j < n; j++)
			if (entries[i] > range[j].start && entries[i] <= range[j].end) {
				count++;
				break;
			}
	return count;
}

#define RANGE_COUNT(range, entries, nr) range_count(range, ARRAY_SIZE(range), entries, nr)

/**
 * inject_alloc_is_noise() - does an allocation belong to somebody else
 * @page: of pages, not of the slab allocator
 * @entries: return addresses
 * @nr: how many
 *
 * Return: whether it does.
 */
bool inject_alloc_is_noise(bool page, const unsigned long *entries, unsigned int nr)
{
	unsigned int slabs;

	if (RANGE_COUNT(debug_range, entries, nr))
		return true;
	slabs = RANGE_COUNT(slab_range, entries, nr);
	if (page)
		return slabs && !RANGE_COUNT(large_range, entries, nr);
	return slabs > 1;
}

/**
 * inject_noise_init() - look all functions up
 *
 * Context: process.
 */
void inject_noise_init(void)
{
	range_resolve(debug_range, ARRAY_SIZE(debug_range));
	range_resolve(slab_range, ARRAY_SIZE(slab_range));
	range_resolve(large_range, ARRAY_SIZE(large_range));
}
