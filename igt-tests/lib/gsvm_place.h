/* SPDX-License-Identifier: MIT */
/*
 * Where pages are, moving them, and content that says where it belongs.
 */
#ifndef GSVM_PLACE_H
#define GSVM_PLACE_H

#include "gsvm_igt.h"
#include "gsvm_proc.h"

struct ctl;

#define MIB	(1ul << 20)

/* ---- the ioctls; err is the errno that must come, 0: success ------------------ */

void igt_gsvm_prefetch(int fd, struct drm_gsvm_prefetch *args, int err);
void igt_gsvm_residency(int fd, struct drm_gsvm_residency *args, int err);
void igt_gsvm_vm_set(int fd, uint32_t vm, uint32_t param, uint64_t value, int err);

/* ---- where pages are ------------------------------------------------------------ */

/**
 * struct place - how many of some pages are where
 * @absent: nowhere
 * @system: in system memory
 * @vram: in the VRAM of the asking queue's GPU
 * @other: in the VRAM of another GPU
 * @huge: of all these, part of a 2 MiB page
 * @write: of all these, writable without a fault
 */
struct place {
	size_t absent, system, vram, other, huge, write;
};

/* Waits until nothing of it is on the way any more. */
struct place place_of(struct queue *q, const void *addr, size_t size);
uint32_t place_word(struct queue *q, const void *addr);	/* one page, as it is now */
bool in_vram(struct queue *q, const void *addr);
bool in_system(struct queue *q, const void *addr);
bool is_absent(struct queue *q, const void *addr);

/* Each and every page is there; @what says who expects it. */
void expect_vram(struct queue *q, const void *addr, size_t size, const char *what);
void expect_system(struct queue *q, const void *addr, size_t size, const char *what);
void expect_absent(struct queue *q, const void *addr, size_t size, const char *what);
void expect_huge_vram(struct queue *q, const void *addr, size_t size, const char *what);

/* ---- moving them ---------------------------------------------------------------- */

uint64_t prefetch(struct queue *q, const void *addr, size_t size, uint32_t region);
struct gsvm_signal *prefetch_async(struct queue *q, const void *addr, size_t size,
				   uint32_t region, struct gsvm_signal *signal);
/* Prefetch, and they must be there afterwards. */
void to_vram(struct queue *q, const void *addr, size_t size);
void to_system(struct queue *q, const void *addr, size_t size);
void set_policy(struct queue *q, uint64_t policy);
/*
 * Memory bounces that comes back within a few seconds, by what no machine is too slow,
 * and stays out for as long; and as it was before.
 */
void bounce_slowly(void);
void bounce_as_usual(void);

/* A signal in shared memory, at value 1, and waiting until it is 0. */
struct gsvm_signal *make_signal(int64_t value);
void wait_done(struct queue *q, struct gsvm_signal *signal, const char *what);

struct drm_gsvm_vm_query vm_counters(struct queue *q);
uint64_t vram_size(struct queue *q);
uint64_t vram_free(struct queue *q);
uint64_t vram_evicted(struct queue *q);
/* Freeing goes on after the last user has gone: wait until so much is free. */
void expect_vram_free(struct queue *q, uint64_t bytes, const char *what);

/* ---- content -------------------------------------------------------------------- */

/*
 * Each word holds the seed and its own place: a word that is stale, lost or of
 * another page tells so. @step: fill every so many words of a page only, from
 * its first on (WHOLE: each, SPARSE: a few).
 */
#define WHOLE	1u
#define SPARSE	73u

uint64_t pattern_word(uint32_t seed, size_t offset);
void cpu_fill(void *addr, size_t size, uint32_t seed, unsigned int step);
void cpu_verify(const void *addr, size_t size, uint32_t seed, unsigned int step,
		const char *what);
/* The same for a part that begins at @offset of what was filled. */
void cpu_verify_part(const void *addr, size_t offset, size_t size, uint32_t seed,
		     unsigned int step, const char *what);
void gpu_pattern(struct queue *q, void *addr, size_t size, uint32_t seed, unsigned int step);
void gpu_verify(struct queue *q, const void *addr, size_t size, uint32_t seed,
		unsigned int step, const char *what);
void gpu_verify_part(struct queue *q, const void *addr, size_t offset, size_t size,
		     uint32_t seed, unsigned int step, const char *what);

/*
 * What the kernel "sweep" has added to the first word of each page from @p on is what its
 * work-items have counted.
 */
void sweep_check(const struct ctl *ctl, const char *p, size_t pages);

/* ---- memory --------------------------------------------------------------------- */

/* Private, 2 MiB aligned, 4 KiB pages. */
void *map_block(size_t size);
/* Private, 2 MiB aligned, filled, really of 2 MiB pages (skips when there are none). */
void *map_thp(struct queue *q, size_t size, uint32_t seed);
/* map_block() filled and moved to VRAM; map_thp() likewise. */
void *map_in_vram(struct queue *q, size_t size, uint32_t seed);
void *map_thp_in_vram(struct queue *q, size_t size, uint32_t seed);

#endif
