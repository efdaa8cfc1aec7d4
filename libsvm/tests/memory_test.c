// SPDX-License-Identifier: MIT
/* Where memory is: policy, prefetch, residency, VRAM, waiting without a queue. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bed.h"
#include "tap.h"

static void test_policy(struct bed *bed)
{
	struct drm_gsvm_vm_set set;
	unsigned int calls;
	int i;

	for (i = GSVM_MIGRATE_NEVER; i <= GSVM_MIGRATE_SECOND; i++) {
		is(gsvm_vm_set_migration(bed->vm, i), 0, "set the policy");
		set = fake_last_set(bed->fake);
		ok(set.vm_id == gsvm_vm_handle(bed->vm) &&
		   set.param == DRM_GSVM_VM_PARAM_MIGRATE && set.value == (uint64_t)i,
		   "as the driver sees it: %d", i);
	}
	calls = fake_calls(bed->fake, DRM_IOCTL_GSVM_VM_SET);
	is(gsvm_vm_set_migration(bed->vm, 3), -EINVAL, "unknown policy");
	is(gsvm_vm_set_migration(bed->vm, (enum gsvm_migration)-1), -EINVAL, "unknown policy, -1");
	is(gsvm_vm_set_migration(NULL, GSVM_MIGRATE_FIRST), -EINVAL, "policy of nothing");
	is(fake_calls(bed->fake, DRM_IOCTL_GSVM_VM_SET), calls, "the driver was not asked");
	fake_fail(bed->fake, DRM_IOCTL_GSVM_VM_SET, -ENODEV, 1);
	is(gsvm_vm_set_migration(bed->vm, GSVM_MIGRATE_FIRST), -ENODEV, "device gone");
}

/* Bytes become the whole pages that they lie in. */
static void test_prefetch_pages(struct bed *bed)
{
	static const struct {
		size_t offset, bytes, first, pages;
	} table[] = {
		{ 0, 1, 0, 1 }, { 0, 4096, 0, 1 }, { 0, 4097, 0, 2 }, { 1, 4096, 0, 2 },
		{ 4095, 1, 0, 1 }, { 4095, 2, 0, 2 }, { 4096, 4096, 1, 1 }, { 100, 16000, 0, 4 },
	};
	char *base = mmap(NULL, 8 * GSVM_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct drm_gsvm_prefetch last;
	uint64_t moved;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		moved = 99;
		is(gsvm_vm_prefetch(bed->vm, base + table[i].offset, table[i].bytes,
				    i % 2 ? GSVM_REGION_VRAM : GSVM_REGION_SYSTEM, NULL, &moved), 0,
		   "prefetch");
		last = fake_last_prefetch(bed->fake);
		ok(last.start == (uintptr_t)base + table[i].first * GSVM_PAGE &&
		   last.length == table[i].pages * GSVM_PAGE && last.region == i % 2 &&
		   !last.flags && !last.pad && !last.signal &&
		   last.vm_id == gsvm_vm_handle(bed->vm), "%zu bytes from %zu on: %zu pages",
		   table[i].bytes, table[i].offset, table[i].pages);
		is(moved, table[i].pages, "pages moved");
		is(GSVM_PAGES(base + table[i].offset, table[i].bytes), table[i].pages,
		   "GSVM_PAGES()");
	}
	munmap(base, 8 * GSVM_PAGE);
}

static void test_prefetch_errors(struct bed *bed)
{
	unsigned int calls = fake_calls(bed->fake, DRM_IOCTL_GSVM_PREFETCH), once;
	struct gsvm_signal *signal = NULL;
	uint64_t word = 0, moved = 99;

	gsvm_signal_create(1, &signal);
	is(gsvm_vm_prefetch(NULL, &word, 8, GSVM_REGION_VRAM, NULL, NULL), -EINVAL, "no VM");
	is(gsvm_vm_prefetch(bed->vm, &word, 0, GSVM_REGION_VRAM, NULL, NULL), -EINVAL, "no bytes");
	is(gsvm_vm_prefetch(bed->vm, &word, SIZE_MAX, GSVM_REGION_VRAM, NULL, NULL), -EINVAL,
	   "more bytes than there are");
	is(gsvm_vm_prefetch(bed->vm, (void *)-4095l, 2, GSVM_REGION_VRAM, NULL, NULL), -EINVAL,
	   "the last page");
	is(gsvm_vm_prefetch(bed->vm, &word, 8, 2, NULL, NULL), -EINVAL, "unknown region");
	is(gsvm_vm_prefetch(bed->vm, &word, 8, GSVM_REGION_VRAM,
			    (void *)((char *)signal + 8), NULL), -EINVAL, "signal not aligned");
	is(gsvm_vm_prefetch(bed->vm, &word, 8, GSVM_REGION_VRAM, signal, &moved), -EINVAL,
	   "what will have moved is not known yet");
	is(fake_calls(bed->fake, DRM_IOCTL_GSVM_PREFETCH), calls, "the driver was not asked");
	once = fake_once(bed->fake);
	fake_fail(bed->fake, DRM_IOCTL_GSVM_PREFETCH, -EINTR, 1);
	is(gsvm_vm_prefetch(bed->vm, &word, 8, GSVM_REGION_VRAM, NULL, &moved), -EINTR,
	   "a signal handler ends it");
	is(moved, 99, "moved: untouched on failure");
	is(fake_calls(bed->fake, DRM_IOCTL_GSVM_PREFETCH), calls + 1, "it was not begun again");
	is(fake_once(bed->fake), once + 1, "nor does the system call layer do that");
	is(gsvm_signal_value(signal), 1, "the signal did not change");
	gsvm_signal_destroy(signal);
}

/* Asynchronous: the signal tells, and waiting needs no queue. */
static void test_prefetch_signal(struct bed *bed)
{
	struct gsvm_signal *signal = NULL;
	struct drm_gsvm_prefetch last;
	struct drm_gsvm_wait wait;
	char bytes[20000];

	gsvm_signal_create(2, &signal);
	fake_pause(bed->fake, true);
	is(gsvm_vm_prefetch(bed->vm, bytes, sizeof(bytes), GSVM_REGION_VRAM, signal, NULL), 0,
	   "prefetch with a signal");
	last = fake_last_prefetch(bed->fake);
	ok(last.flags == DRM_GSVM_PREFETCH_ASYNC && last.signal == (uintptr_t)signal,
	   "asynchronous for the driver");
	is(gsvm_vm_prefetch(bed->vm, bytes, sizeof(bytes), GSVM_REGION_SYSTEM, signal, NULL), 0,
	   "and back");
	is(gsvm_vm_wait(bed->vm, signal, GSVM_LESS, 2, 1000000), -ETIME, "nothing is done yet");
	wait = fake_last_wait(bed->fake);
	ok(!wait.queue_id && wait.vm_id == gsvm_vm_handle(bed->vm) &&
	   wait.addr == (uintptr_t)signal && wait.op == DRM_GSVM_WAIT_LT && wait.value == 2,
	   "a wait for no queue");
	fake_pause(bed->fake, false);
	is(gsvm_vm_wait(bed->vm, signal, GSVM_EQUAL, 0, GSVM_WAIT_FOREVER), 0, "both are");
	is(gsvm_vm_wait(NULL, signal, GSVM_EQUAL, 0, 0), -EINVAL, "wait: no VM");
	is(gsvm_vm_wait(bed->vm, NULL, GSVM_EQUAL, 0, 0), -EINVAL, "wait: no signal");
	is(gsvm_vm_wait(bed->vm, (void *)((char *)signal + 8), GSVM_EQUAL, 0, 0), -EINVAL,
	   "wait: signal not aligned");
	is(gsvm_vm_wait(bed->vm, signal, 4, 0, 0), -EINVAL, "wait: unknown condition");
	fake_fail(bed->fake, DRM_IOCTL_GSVM_WAIT, -ENOENT, 1);
	is(gsvm_vm_wait(bed->vm, signal, GSVM_EQUAL, 1, 0), -ENOENT, "wait: VM destroyed");
	gsvm_signal_destroy(signal);
}

/* A range of more than 1 GiB takes several calls. */
static void test_residency(struct bed *bed)
{
	const uint64_t first = 0x7000000000ull, pages = (5ull << 28) / GSVM_PAGE;
	uint32_t *words = malloc((pages + 1) * sizeof(*words));
	unsigned int calls = fake_calls(bed->fake, DRM_IOCTL_GSVM_RESIDENCY);
	uint64_t i, wrong = 0;
	uint32_t word = 5;

	words[pages] = 12345;
	is(gsvm_vm_residency(bed->vm, (void *)(first + 77), pages * GSVM_PAGE - 77, words), 0,
	   "1.25 GiB");
	is(fake_calls(bed->fake, DRM_IOCTL_GSVM_RESIDENCY), calls + 2, "in two calls");
	for (i = 0; i < pages; i++)
		wrong += words[i] != (uint32_t)(first / GSVM_PAGE + i);
	is(wrong, 0, "each word at its place");
	is(words[pages], 12345, "and none behind");
	is(gsvm_vm_residency(bed->vm, (void *)(first + 4095), 2, words), 0, "two bytes");
	ok(words[0] == (uint32_t)(first / GSVM_PAGE) && words[1] == words[0] + 1,
	   "that lie in two pages");
	is(gsvm_vm_residency(NULL, words, 8, &word), -EINVAL, "no VM");
	is(gsvm_vm_residency(bed->vm, words, 8, NULL), -EINVAL, "nowhere to put it");
	is(gsvm_vm_residency(bed->vm, words, 0, &word), -EINVAL, "no bytes");
	is(gsvm_vm_residency(bed->vm, words, SIZE_MAX - 4096, &word), -EINVAL, "impossible bytes");
	fake_fail(bed->fake, DRM_IOCTL_GSVM_RESIDENCY, -EAGAIN, 1);
	calls = fake_calls(bed->fake, DRM_IOCTL_GSVM_RESIDENCY);
	is(gsvm_vm_residency(bed->vm, words, 8, &word), -EAGAIN, "memory that changes all the time");
	is(fake_calls(bed->fake, DRM_IOCTL_GSVM_RESIDENCY), calls + 1, "is the caller's to ask again");
	is(word, 5, "untouched on failure");
	is(GSVM_PAGE_GPU(0x00070302), 7, "GSVM_PAGE_GPU()");
	free(words);
}

static void test_vram(struct bed *bed)
{
	struct gsvm_vram_stats stats = { .size = sizeof(stats) };
	struct gsvm_device_info info = { .size = sizeof(info) };
	struct gsvm_device *device;

	is(gsvm_device_vram(bed->device, &stats), 0, "vram");
	ok(stats.total == 1ull << 33 && stats.free == 1ull << 32 && stats.pages_evicted == 777 &&
	   stats.size == sizeof(stats), "every figure");
	is(gsvm_device_vram(NULL, &stats), -EINVAL, "vram of nothing");
	is(gsvm_device_vram(bed->device, NULL), -EINVAL, "nowhere to put it");
	stats.size = 0;
	is(gsvm_device_vram(bed->device, &stats), -EINVAL, "no size");
	stats.size = sizeof(stats);
	fake_fail(bed->fake, DRM_IOCTL_GSVM_DEVICE_QUERY, -ENODEV, 1);
	is(gsvm_device_vram(bed->device, &stats), -ENODEV, "device gone");
	/* With the driver of before, all that was there works. */
	fake_old(bed->fake, true);
	device = fake_open(bed->fake);
	ok(device, "old driver: opens");
	is(gsvm_device_query(device, &info), 0, "old driver: query");
	is(info.gpu_id, 0, "old driver: no GPU id");
	is(gsvm_device_vram(device, &stats), -EOPNOTSUPP, "old driver: cannot say");
	is(gsvm_device_close(device), 0, "close");
	fake_old(bed->fake, false);
	fake_fail(bed->fake, DRM_IOCTL_GSVM_DEVICE_QUERY, -EIO, 1);
	ok(!fake_open(bed->fake), "a device that fails to answer does not open");
}

int main(void)
{
	struct bed bed;

	bed_make(&bed, 64);
	test_policy(&bed);
	test_prefetch_pages(&bed);
	test_prefetch_errors(&bed);
	test_prefetch_signal(&bed);
	test_residency(&bed);
	test_vram(&bed);
	ok(bed_clear(&bed), "nothing left behind");
	return tap_done();
}
