// SPDX-License-Identifier: MIT
/*
 * Bad arguments of PREFETCH, RESIDENCY and VM_SET: each call would be good but
 * for one thing, and each thing has its errno.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"

#define SIZE	(4 * PAGE)

static struct drm_gsvm_prefetch good_prefetch(struct queue *q, void *p)
{
	return (struct drm_gsvm_prefetch){
		.vm_id = q->vm, .start = U(p), .length = SIZE, .region = DRM_GSVM_REGION_VRAM,
	};
}

static struct drm_gsvm_residency good_residency(struct queue *q, void *p)
{
	return (struct drm_gsvm_residency){
		.vm_id = q->vm, .start = U(p), .length = SIZE, .pages = U(map_shared(PAGE)),
	};
}

/* The call fails as it should, does nothing, and without the mistake it works. */
#define BAD_PREFETCH(name, change, err)						\
	static void name(void)							\
	{									\
		struct queue *q = queue_open();					\
		char *p = map_block(HUGE);					\
		struct drm_gsvm_prefetch args = good_prefetch(q, p);		\
										\
		cpu_fill(p, SIZE, 1, WHOLE);					\
		change;								\
		igt_gsvm_prefetch(q->fd, &args, err);				\
		expect_system(q, p, SIZE, "after a call that failed");		\
		args = good_prefetch(q, p);					\
		igt_gsvm_prefetch(q->fd, &args, 0);				\
		expect_vram(q, p, SIZE, "after the good call");			\
		cpu_verify(p, SIZE, 1, WHOLE, "after both calls");		\
		queue_close(q);							\
	}

BAD_PREFETCH(prefetch_flags, args.flags = 1 << 1, EINVAL)
BAD_PREFETCH(prefetch_flags_high, args.flags = 1u << 31, EINVAL)
BAD_PREFETCH(prefetch_pad, args.pad = 1, EINVAL)
BAD_PREFETCH(prefetch_region, args.region = 2, EINVAL)
BAD_PREFETCH(prefetch_region_high, args.region = 1u << 31, EINVAL)
BAD_PREFETCH(prefetch_start_unaligned, args.start += 8, EINVAL)
BAD_PREFETCH(prefetch_length_unaligned, args.length -= 1, EINVAL)
BAD_PREFETCH(prefetch_length_zero, args.length = 0, EINVAL)
BAD_PREFETCH(prefetch_wraps, args.length = -PAGE, EINVAL)
BAD_PREFETCH(prefetch_kernel_address, args.start = 0xffff888000000000ull, EINVAL)
BAD_PREFETCH(prefetch_ends_in_kernel, args.length = (1ull << 63) - PAGE, EINVAL)
BAD_PREFETCH(prefetch_vm_zero, args.vm_id = 0, ENOENT)
BAD_PREFETCH(prefetch_vm_unknown, args.vm_id += 1000, ENOENT)
BAD_PREFETCH(prefetch_signal_without_async, args.signal = U(make_signal(1)), EINVAL)
BAD_PREFETCH(prefetch_signal_unaligned,
	     (args.flags = DRM_GSVM_PREFETCH_ASYNC, args.signal = U(make_signal(1)) + 8), EINVAL)

/* A signal that nobody could decrement is found out before anything starts. */
static void bad_signal(uint64_t address)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	struct drm_gsvm_prefetch args = good_prefetch(q, p);

	cpu_fill(p, SIZE, 1, WHOLE);
	args.flags = DRM_GSVM_PREFETCH_ASYNC;
	args.signal = address;
	igt_gsvm_prefetch(q->fd, &args, EFAULT);
	expect_system(q, p, SIZE, "after a call that failed");
	queue_close(q);
}

static void prefetch_signal_not_mapped(void)
{
	bad_signal(U(reserve(HUGE)));
}

static void prefetch_signal_read_only(void)
{
	void *page = map_shared(PAGE);

	gsvm_sys(mprotect(page, PAGE, PROT_READ));
	bad_signal(U(page));
}

/* What is not mapped is passed over, even all of it. */
static void prefetch_nothing_mapped(void)
{
	struct queue *q = queue_open();
	char *p = reserve(HUGE);

	gsvm_assert_eq(prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM), 0, "pages moved of PROT_NONE");
	gsvm_sys(munmap(p, HUGE));
	gsvm_assert_eq(prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM), 0, "pages moved of nothing");
	gsvm_assert_eq(prefetch(q, p, HUGE, DRM_GSVM_REGION_SYSTEM), 0, "and back");
	queue_close(q);
}

#define BAD_RESIDENCY(name, change, err)					\
	static void name(void)							\
	{									\
		struct queue *q = queue_open();					\
		char *p = map_block(HUGE);					\
		struct drm_gsvm_residency args = good_residency(q, p);		\
		uint64_t words = args.pages;					\
										\
		memset((void *)(uintptr_t)words, 0x5a, PAGE);			\
		change;								\
		igt_gsvm_residency(q->fd, &args, err);				\
		cpu_check((void *)(uintptr_t)words, 8, PAGE / 8,		\
			  0x5a5a5a5a5a5a5a5aull, 0, "words after a call that failed"); \
		args = good_residency(q, p);					\
		igt_gsvm_residency(q->fd, &args, 0);				\
		queue_close(q);							\
	}

BAD_RESIDENCY(residency_flags, args.flags = 1, EINVAL)
BAD_RESIDENCY(residency_start_unaligned, args.start += 8, EINVAL)
BAD_RESIDENCY(residency_length_unaligned, args.length += 1, EINVAL)
BAD_RESIDENCY(residency_length_zero, args.length = 0, EINVAL)
BAD_RESIDENCY(residency_too_long, args.length = (1ull << 30) + PAGE, EINVAL)
BAD_RESIDENCY(residency_wraps, args.length = -PAGE, EINVAL)
BAD_RESIDENCY(residency_kernel_address, args.start = 0xffff888000000000ull, EINVAL)
BAD_RESIDENCY(residency_vm_zero, args.vm_id = 0, ENOENT)
BAD_RESIDENCY(residency_vm_unknown, args.vm_id += 1000, ENOENT)
BAD_RESIDENCY(residency_words_null, args.pages = 0, EFAULT)
BAD_RESIDENCY(residency_words_not_mapped, args.pages = U(reserve(HUGE)), EFAULT)

/* One word per page, and none behind. */
static void residency_exact(void)
{
	struct queue *q = queue_open();
	char *p = map_block(2 * HUGE);
	struct drm_gsvm_residency args = {
		.vm_id = q->vm, .start = U(p + HUGE - 3 * PAGE), .length = 7 * PAGE,
	};
	uint32_t *words = map_shared(PAGE);
	int i;

	memset(words, 0x5a, PAGE);
	cpu_fill(p + HUGE - 2 * PAGE, 4 * PAGE, 1, WHOLE);
	gsvm_sys(mprotect(p + HUGE - 2 * PAGE, PAGE, PROT_READ));
	prefetch(q, p + HUGE, PAGE, DRM_GSVM_REGION_VRAM);
	args.pages = U(&words[5]);
	igt_gsvm_residency(q->fd, &args, 0);
	for (i = 0; i < 1024; i++) {
		static const uint32_t want[7] = {
			DRM_GSVM_RESIDENCY_ABSENT,
			DRM_GSVM_RESIDENCY_SYSTEM,
			DRM_GSVM_RESIDENCY_SYSTEM | DRM_GSVM_RESIDENCY_WRITE,
			DRM_GSVM_RESIDENCY_VRAM,
			DRM_GSVM_RESIDENCY_SYSTEM | DRM_GSVM_RESIDENCY_WRITE,
			DRM_GSVM_RESIDENCY_ABSENT,
			DRM_GSVM_RESIDENCY_ABSENT,
		};
		uint32_t expect = i < 5 || i >= 12 ? 0x5a5a5a5a : want[i - 5];

		/* Whether a page may be written once it is back is not asked for here. */
		if (i == 8) {
			words[i] &= ~DRM_GSVM_RESIDENCY_WRITE;
			expect |= (uint32_t)igt_gsvm_query(q->fd, DRM_GSVM_PARAM_GPU_ID, 0)
				  << DRM_GSVM_RESIDENCY_GPU_SHIFT;
		}
		gsvm_assert_eq(words[i], expect, "residency word");
	}
	queue_close(q);
}

/* A look brings nothing in. */
static void residency_no_effect(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE), *v = map_in_vram(q, HUGE, 1);
	struct drm_gsvm_vm_query before = vm_counters(q), after;
	int i;

	for (i = 0; i < 10; i++) {
		expect_absent(q, p, HUGE, "memory that was only looked at");
		expect_vram(q, v, HUGE, "memory that was only looked at");
	}
	after = vm_counters(q);
	gsvm_assert_eq(after.bytes_migrated, before.bytes_migrated, "bytes migrated");
	gsvm_assert_eq(after.pages_to_system, before.pages_to_system, "pages to system");
	for (i = 0; i < (int)(HUGE / PAGE); i++)
		gsvm_assert(!pagemap(p + i * PAGE) ||
			    !(pagemap(p + i * PAGE) & (PM_PRESENT | PM_SWAP)),
			    "page %d came to be\n", i);
	queue_close(q);
}

static void residency_whole_gib(void)
{
	struct queue *q = queue_open();
	char *p = reserve(1ul << 30);

	expect_absent(q, p, 1ul << 30, "1 GiB of nothing");
	queue_close(q);
}

static void vm_set(void)
{
	struct queue *q = queue_open();

	igt_gsvm_vm_set(q->fd, q->vm, 1, 0, EINVAL);
	igt_gsvm_vm_set(q->fd, q->vm, ~0u, 0, EINVAL);
	igt_gsvm_vm_set(q->fd, q->vm, DRM_GSVM_VM_PARAM_MIGRATE, 3, EINVAL);
	igt_gsvm_vm_set(q->fd, q->vm, DRM_GSVM_VM_PARAM_MIGRATE, 1ull << 32, EINVAL);
	igt_gsvm_vm_set(q->fd, 0, DRM_GSVM_VM_PARAM_MIGRATE, DRM_GSVM_MIGRATE_NEVER, ENOENT);
	igt_gsvm_vm_set(q->fd, q->vm + 1000, DRM_GSVM_VM_PARAM_MIGRATE, DRM_GSVM_MIGRATE_NEVER,
			ENOENT);
	queue_close(q);
}

/* Of a VM, only the process whose memory it is may ask or move. */
static void other_process(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, HUGE, 1);
	struct drm_gsvm_prefetch pre = good_prefetch(q, p);
	struct drm_gsvm_residency res = good_residency(q, p);
	struct child *c = gsvm_fork();

	if (!c->pid) {
		pre.region = DRM_GSVM_REGION_SYSTEM;
		igt_gsvm_prefetch(q->fd, &pre, EPERM);
		igt_gsvm_residency(q->fd, &res, EPERM);
		igt_gsvm_vm_set(q->fd, q->vm, DRM_GSVM_VM_PARAM_MIGRATE, DRM_GSVM_MIGRATE_NEVER,
				EPERM);
		gsvm_exit();
	}
	gsvm_join(c);
	gpu_verify(q, p, HUGE, 1, SPARSE, "after the child's attempts");
	queue_close(q);
}

static void other_file(void)
{
	struct queue *q = queue_open();
	char *p = map_block(HUGE);
	struct drm_gsvm_prefetch pre = good_prefetch(q, p);
	struct drm_gsvm_residency res = good_residency(q, p);
	int fd = gpu_open(0);

	igt_gsvm_prefetch(fd, &pre, ENOENT);
	igt_gsvm_residency(fd, &res, ENOENT);
	igt_gsvm_vm_set(fd, q->vm, DRM_GSVM_VM_PARAM_MIGRATE, DRM_GSVM_MIGRATE_NEVER, ENOENT);
	close(fd);
	queue_close(q);
}

static void queries(void)
{
	struct queue *q = queue_open();
	uint64_t size = vram_size(q), unused = vram_free(q), evicted = vram_evicted(q);

	gsvm_assert(unused && unused <= size, "%llu of %llu bytes are free\n",
		    (unsigned long long)unused, (unsigned long long)size);
	gsvm_assert(unused % PAGE == 0, "%llu bytes are no pages\n", (unsigned long long)unused);
	map_in_vram(q, 4 * MIB, 1);
	gsvm_assert(vram_free(q) + 4 * MIB <= unused, "4 MiB more in use, %llu bytes less free\n",
		    (unsigned long long)(unused - vram_free(q)));
	gsvm_assert_eq(vram_evicted(q), evicted, "pages evicted without want");
	gsvm_assert(igt_gsvm_query(q->fd, DRM_GSVM_PARAM_GPU_ID, 0) <= 0xffff,
		    "the GPU's id does not fit into a residency word\n");
	igt_gsvm_query(q->fd, DRM_GSVM_PARAM_GPU_ID + 1, EINVAL);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "prefetch-flags", prefetch_flags, "unknown flag" },
	{ "prefetch-flags-high", prefetch_flags_high, "unknown flag" },
	{ "prefetch-pad", prefetch_pad, "padding is not zero" },
	{ "prefetch-region", prefetch_region, "unknown region" },
	{ "prefetch-region-high", prefetch_region_high, "unknown region" },
	{ "prefetch-start-unaligned", prefetch_start_unaligned, "start within a page" },
	{ "prefetch-length-unaligned", prefetch_length_unaligned, "end within a page" },
	{ "prefetch-length-zero", prefetch_length_zero, "no page" },
	{ "prefetch-wraps", prefetch_wraps, "the end wraps around" },
	{ "prefetch-kernel-address", prefetch_kernel_address, "not a user address" },
	{ "prefetch-ends-in-kernel", prefetch_ends_in_kernel, "not a user range" },
	{ "prefetch-vm-zero", prefetch_vm_zero, "no VM" },
	{ "prefetch-vm-unknown", prefetch_vm_unknown, "unknown VM" },
	{ "prefetch-signal-without-async", prefetch_signal_without_async, "signal, no ASYNC" },
	{ "prefetch-signal-unaligned", prefetch_signal_unaligned, "signal not aligned" },
	{ "prefetch-signal-not-mapped", prefetch_signal_not_mapped, "signal nowhere" },
	{ "prefetch-signal-read-only", prefetch_signal_read_only, "signal read-only" },
	{ "prefetch-nothing-mapped", prefetch_nothing_mapped, "holes are passed over" },
	{ "residency-flags", residency_flags, "unknown flag" },
	{ "residency-start-unaligned", residency_start_unaligned, "start within a page" },
	{ "residency-length-unaligned", residency_length_unaligned, "end within a page" },
	{ "residency-length-zero", residency_length_zero, "no page" },
	{ "residency-too-long", residency_too_long, "more than 1 GiB" },
	{ "residency-wraps", residency_wraps, "the end wraps around" },
	{ "residency-kernel-address", residency_kernel_address, "not a user address" },
	{ "residency-vm-zero", residency_vm_zero, "no VM" },
	{ "residency-vm-unknown", residency_vm_unknown, "unknown VM" },
	{ "residency-words-null", residency_words_null, "words nowhere" },
	{ "residency-words-not-mapped", residency_words_not_mapped, "words nowhere" },
	{ "residency-exact", residency_exact, "every bit of every word, across blocks" },
	{ "residency-no-effect", residency_no_effect, "a look moves nothing" },
	{ "residency-whole-gib", residency_whole_gib, "the longest range" },
	{ "vm-set", vm_set, "unknown parameters, values, VMs" },
	{ "other-process", other_process, "a child's calls on its parent's VM" },
	{ "other-file", other_file, "another file's VM" },
	{ "queries", queries, "size, use and id of VRAM" },
};

GSVM_MAIN(tests)
