/* SPDX-License-Identifier: MIT */
/* What the CPU pays for changing memory that the GPU has mapped. */
#include <errno.h>
#include <sys/mman.h>

#include "bench.h"

#define SIZE	(64 * MIB)

enum change { UNMAP, PROTECT };

static double change(struct bench *b, enum change what, bool huge, bool mirrored)
{
	uint8_t *p = memory_get(SIZE, huge, true);
	double start, us;
	int ret;

	if (mirrored)
		gpu_touch(b, p, HUGE, SIZE / HUGE, 1, true);
	start = now_us();
	ret = what == UNMAP ? munmap(p, SIZE) : mprotect(p, SIZE, PROT_READ);
	us = now_us() - start;
	if (ret)
		die(what == UNMAP ? "munmap" : "mprotect", errno);
	if (what == PROTECT)
		memory_put(p, SIZE);
	return us;
}

void bench_change(struct bench *b)
{
	static const char *const name[2][2] = {
		{ "munmap 64 MiB of 4 KiB pages", "munmap 64 MiB of huge pages" },
		{ "mprotect 64 MiB of 4 KiB pages", "mprotect 64 MiB of huge pages" },
	};

	section("Changing memory: mirrored, against the same without a mirror");
	for (int what = UNMAP; what <= PROTECT; what++) {
		for (int huge = 0; huge <= 1; huge++) {
			double plain[ROUNDS], mirrored[ROUNDS], p;

			for (unsigned int i = 0; i < ROUNDS; i++) {
				plain[i] = change(b, what, huge, false);
				mirrored[i] = change(b, what, huge, true);
			}
			p = median(plain, ROUNDS);
			row(name[what][huge], median(mirrored, ROUNDS), p, "unmirrored",
			    "(unmirrored %.1f us)", p);
		}
	}
}
