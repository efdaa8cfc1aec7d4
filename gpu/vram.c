// SPDX-License-Identifier: MIT
/*
 * DOC: VRAM
 *
 * A memory file that the client maps too: guest CPUs reach BAR2 without a
 * message. It is sealed against resizing, so that nobody who holds the
 * descriptor can take pages away from under the GPU, and its pages are taken
 * at the start: the first touch of such a page costs 20 times a later one, and
 * a machine without enough memory is told at once instead of by a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vram.h"

/* Linux 5.14; older kernels take the pages in vram_scrub(). */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

int vram_init(struct gpu *gpu)
{
	uint64_t size = gpu->cfg.vram_size;
	int ret;

	gpu->vram_fd = memfd_create("gsvm-vram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (gpu->vram_fd < 0)
		return -errno;
	/* Reserves: fails here rather than with SIGBUS later. */
	if (ftruncate(gpu->vram_fd, size) || fallocate(gpu->vram_fd, 0, 0, size)) {
		ret = -errno;
		goto err_close;
	}
	if (fcntl(gpu->vram_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		ret = -errno;
		goto err_close;
	}
	gpu->vram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->vram_fd, 0);
	if (gpu->vram == MAP_FAILED) {
		ret = -errno;
		goto err_close;
	}
	if (madvise(gpu->vram, size, MADV_POPULATE_WRITE))
		vram_scrub(gpu);
	return 0;

err_close:
	close(gpu->vram_fd);
	gpu->vram = NULL;
	gpu->vram_fd = -1;
	return ret;
}

void vram_exit(struct gpu *gpu)
{
	munmap(gpu->vram, gpu->cfg.vram_size);
	close(gpu->vram_fd);
	gpu->vram = NULL;
	gpu->vram_fd = -1;
}

/*
 * Agents work on the same memory: aligned accesses of a register's size are
 * single ones, as they are through a mapping.
 */
void vram_read(struct gpu *gpu, uint64_t offset, void *buf, size_t len)
{
	uint8_t *out = buf, *at = gpu->vram + offset;

	if (len == 4 && !((uintptr_t)at & 3)) {
		uint32_t word = __atomic_load_n((uint32_t *)at, __ATOMIC_RELAXED);

		memcpy(out, &word, 4);
		return;
	}
	for (; len && ((uintptr_t)at & 7); len--)
		*out++ = __atomic_load_n(at++, __ATOMIC_RELAXED);
	for (; len >= 8; len -= 8, at += 8, out += 8) {
		uint64_t word = __atomic_load_n((uint64_t *)at, __ATOMIC_RELAXED);

		memcpy(out, &word, 8);
	}
	while (len--)
		*out++ = __atomic_load_n(at++, __ATOMIC_RELAXED);
}

void vram_write(struct gpu *gpu, uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *in = buf;
	uint8_t *at = gpu->vram + offset;

	if (len == 4 && !((uintptr_t)at & 3)) {
		uint32_t word;

		memcpy(&word, in, 4);
		__atomic_store_n((uint32_t *)at, word, __ATOMIC_RELAXED);
		return;
	}
	while (len && ((uintptr_t)at & 7)) {
		__atomic_store_n(at++, *in++, __ATOMIC_RELAXED);
		len--;
	}
	for (; len >= 8; len -= 8, at += 8, in += 8) {
		uint64_t word;

		memcpy(&word, in, 8);
		__atomic_store_n((uint64_t *)at, word, __ATOMIC_RELAXED);
	}
	while (len--)
		__atomic_store_n(at++, *in++, __ATOMIC_RELAXED);
}

void vram_scrub(struct gpu *gpu)
{
	memset(gpu->vram, 0, gpu->cfg.vram_size);
}
