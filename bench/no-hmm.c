/* SPDX-License-Identifier: MIT */
/* In place of hmm.c where the kernel's source is not at hand. */
#include <stdio.h>

#include "bench.h"

void bench_hmm(struct bench *b)
{
	(void)b;
	section("The peer: lib/test_hmm");
	printf("  left out: built without the kernel's source (LINUX_SOURCE)\n");
}

bool hmm_migrate(size_t size, bool huge, double us[2])
{
	(void)size;
	(void)huge;
	(void)us;
	return false;
}
