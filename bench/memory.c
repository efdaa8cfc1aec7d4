/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

/*
 * A few pages in front keep regions from lying whole 2 MiB apart from each
 * other in the emulated CPU's own TLB, where they would evict one another.
 */
void *memory_get(size_t size, bool huge, bool populate)
{
	size_t room = size + 2 * HUGE;
	uint8_t *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *start;

	if (p == MAP_FAILED)
		die("mmap", errno);
	start = (uint8_t *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	if (start > p)
		munmap(p, start - p);
	munmap(start + size, p + room - (start + size));
	if (madvise(start, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise", errno);
	if (populate)
		for (size_t i = 0; i < size; i += PAGE)
			start[i] = 1;
	return start;
}

void memory_put(void *p, size_t size)
{
	if (munmap(p, size))
		die("munmap", errno);
}

size_t memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * KIB;
}

void memory_warm(struct bench *b)
{
	size_t size = memory_available() / 8 * 7 / HUGE * HUGE;
	struct gsvm_vram_stats vram = { .size = sizeof(vram) };
	void *p = memory_get(size, true, true);
	int ret = gsvm_device_vram(b->device, &vram);

	memory_put(p, size);
	if (ret)
		die("gsvm_device_vram", ret);
	if (vram.total > size)
		return;
	p = memory_get(vram.total, true, true);
	prefetch(b, p, vram.total, GSVM_REGION_VRAM);
	prefetch(b, p, vram.total, GSVM_REGION_SYSTEM);
	memory_put(p, vram.total);
}
