/* SPDX-License-Identifier: MIT */
/*
 * The peer: lib/test_hmm.c of the kernel, the smallest complete HMM device. It
 * faults by ioctl, in the caller's context, without hardware, interrupt or TLB:
 * what it takes is the floor for hmm_range_fault() and the bookkeeping around.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/types.h>
#include "test_hmm_uapi.h"

#include "bench.h"

static void write_pages(int fd, void *addr, void *from, size_t pages)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)addr, .ptr = (uintptr_t)from, .npages = pages,
	};

	while (ioctl(fd, HMM_DMIRROR_WRITE, &cmd))
		if (errno != EINTR)
			die("HMM_DMIRROR_WRITE", errno);
	if (cmd.cpages != pages)
		die("HMM_DMIRROR_WRITE copied less than all", EIO);
}

static double device_write(int fd, size_t step, unsigned int n, bool huge, bool populate)
{
	static uint8_t from[HUGE];
	uint8_t *p = memory_get(n * step, huge, populate);
	double start, us;

	memset(from, 1, sizeof(from));
	start = now_us();
	for (unsigned int i = 0; i < n; i++)
		write_pages(fd, p + i * step, from, step / PAGE);
	us = (now_us() - start) / n;
	memory_put(p, n * step);
	return us;
}

static void measure(struct bench *b, int fd, const char *name, bool huge, bool populate)
{
	double us[ROUNDS], unit = huge ? b->cpu_huge : b->cpu_fault;

	for (unsigned int i = 0; i < ROUNDS; i++)
		us[i] = device_write(fd, huge ? HUGE : PAGE, huge ? 16 : 256, huge, populate);
	row(name, median(us, ROUNDS), unit, huge ? "CPU 2 MiB" : "CPU fault", NULL);
}

void bench_hmm(struct bench *b)
{
	int fd = hmm_open();

	section("The peer: lib/test_hmm, device write by ioctl (fault and copy)");
	if (fd < 0) {
		printf("  left out: /dev/hmm_dmirror0: %s\n", strerror(errno));
		return;
	}
	measure(b, fd, "4 KiB, nobody was there", false, false);
	measure(b, fd, "4 KiB, the CPU was there", false, true);
	measure(b, fd, "2 MiB, nobody was there", true, false);
	measure(b, fd, "2 MiB, the CPU was there", true, true);
	close(fd);
}

int hmm_open(void)
{
	return open("/dev/hmm_dmirror0", O_RDWR);
}

/*
 * What is moved comes along into @mirror besides: that is how its ioctl is made. With
 * several threads it may have lost a page again by then, which is ENOENT. On the way
 * back, it counts a 2 MiB page as one.
 */
double hmm_move(int fd, bool to_device, void *p, void *mirror, size_t pages, bool huge)
{
	size_t least = huge ? pages / (HUGE / PAGE) : pages;
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)p, .ptr = (uintptr_t)mirror, .npages = pages,
	};
	double start = now_us();

	while (ioctl(fd, to_device ? HMM_DMIRROR_MIGRATE_TO_DEV : HMM_DMIRROR_MIGRATE_TO_SYS, &cmd))
		if (errno == ENOENT)
			break;
		else if (errno != EINTR)
			die("HMM_DMIRROR_MIGRATE", errno);
	/* Best effort, as ours. */
	if (cmd.cpages < least - least / 50)
		fprintf(stderr, "gsvm-bench: test_hmm moved %llu of %zu pages\n",
			(unsigned long long)cmd.cpages, pages);
	return now_us() - start;
}
