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

int hmm_open(void)
{
	return -1;
}

double hmm_move(int fd, bool to_device, void *p, void *mirror, size_t pages, bool huge)
{
	(void)fd;
	(void)to_device;
	(void)p;
	(void)mirror;
	(void)pages;
	(void)huge;
	return 0;
}
