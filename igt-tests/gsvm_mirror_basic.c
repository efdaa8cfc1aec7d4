// SPDX-License-Identifier: MIT
/*
 * The GPU uses the process's memory as it is: every kind of it, touched first
 * by either side, in every size of page.
 */
#include <malloc.h>
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES	64

static uint64_t data_words[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static uint64_t bss_words[8];
static const uint64_t rodata_words[8] = { 11, 12, 13, 14, 15, 16, 17, 18 };
static __thread uint64_t tls_words[8];

static void first_touch_read(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(PAGES * PAGE);
	int i;

	gpu_check(q, p, PAGE, PAGES, 0, 0);
	for (i = 0; i < PAGES; i++)
		gsvm_assert(!page_pfn(p + i * PAGE) || is_zero_page(p + i * PAGE),
			    "a GPU read gave page %d of its own, pagemap %#llx\n", i,
			    (unsigned long long)pagemap(p + i * PAGE));
	gsvm_assert_eq(smaps_kb(p, "Anonymous"), 0, "anonymous memory after GPU reads, kB");
	/* And the zero page has stayed a shared one. */
	gpu_set(q, p, PAGE, PAGES, 7, 1);
	gpu_check(q, p, PAGE, PAGES, 7, 1);
	cpu_check(p, PAGE, PAGES, 7, 1, "after the GPU wrote");
	cpu_check(map_anon(PAGES * PAGE), PAGE, PAGES, 0, 0, "fresh memory");
	queue_close(q);
}

static void first_touch_write(void)
{
	struct queue *q = queue_open_system();
	char *p = map_anon(PAGES * PAGE);
	int i;

	/* Every second page only: the others must stay as they are. */
	gpu_set(q, p + PAGE, 2 * PAGE, PAGES / 2, 100, 3);
	cpu_check(p + PAGE, 2 * PAGE, PAGES / 2, 100, 3, "GPU was first to write");
	for (i = 0; i < PAGES; i += 2)
		gsvm_assert(!page_pfn(p + i * PAGE) || is_zero_page(p + i * PAGE),
			    "page %d that nobody touched is populated\n", i);
	for (i = 1; i < PAGES; i += 2)
		gsvm_assert(page_pfn(p + i * PAGE) && !is_zero_page(p + i * PAGE),
			    "page %d that the GPU wrote is not populated\n", i);
	queue_close(q);
}

static void first_touch_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(2 * HUGE);

	gpu_check(q, p, PAGE, HUGE / PAGE, 0, 0);
	gsvm_assert_eq(smaps_kb(p, "Anonymous"), 0, "anonymous memory after GPU reads, kB");
	gpu_set(q, p, PAGE, 2 * HUGE / PAGE, 5, 1);
	cpu_check(p, PAGE, 2 * HUGE / PAGE, 5, 1, "GPU was first to write");
	queue_close(q);
}

static void check_words(struct queue *q, uint64_t *words, uint64_t first, uint64_t step,
			const char *what)
{
	gpu_check(q, words, 8, 8, first, step);
	gpu_set(q, words, 8, 8, 1000, 7);
	cpu_check(words, 8, 8, 1000, 7, what);
	cpu_set(words, 8, 8, 5000, 9);
	gpu_check(q, words, 8, 8, 5000, 9);
}

static void heap(void)
{
	struct queue *q = queue_open();
	size_t size;

	/* From one malloc arena, from its own mapping, and in between. */
	for (size = 64; size <= 4 << 20; size *= 4) {
		uint64_t *p = malloc(size);

		gsvm_assert(p, "malloc\n");
		cpu_set(p, 8, 8, 1, 1);
		check_words(q, p, 1, 1, "heap");
		gpu_set(q, p, 8, size / 8 < 65536 ? size / 8 : 65536, 3, 1);
		cpu_check(p, 8, size / 8 < 65536 ? size / 8 : 65536, 3, 1, "heap block");
		free(p);
	}
	queue_close(q);
}

static void stack(void)
{
	struct queue *q = queue_open();
	uint64_t words[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	check_words(q, words, 1, 1, "stack");
	queue_close(q);
}

static void globals(void)
{
	struct queue *q = queue_open();

	check_words(q, data_words, 1, 1, ".data");
	check_words(q, bss_words, 0, 0, ".bss");
	check_words(q, tls_words, 0, 0, "thread-local");
	gpu_check(q, rodata_words, 8, 8, 11, 1);
	queue_close(q);
}

static void shared_anonymous(void)
{
	struct queue *q = queue_open();
	char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	gsvm_assert(p != MAP_FAILED, "mmap\n");
	gpu_check(q, p, PAGE, PAGES, 0, 0);
	gpu_set(q, p, PAGE, PAGES, 1, 2);
	cpu_check(p, PAGE, PAGES, 1, 2, "shared anonymous");
	cpu_set(p, PAGE, PAGES, 4, 5);
	gpu_check(q, p, PAGE, PAGES, 4, 5);
	queue_close(q);
}

static void hugetlb(void)
{
	struct queue *q;
	char *p;

	write_text("/proc/sys/vm/nr_hugepages", "4");
	gsvm_require(read_number("/proc/sys/vm/nr_hugepages") >= 2, "no huge pages to be had\n");
	q = queue_open();
	p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	gpu_check(q, p, PAGE, HUGE / PAGE, 0, 0);
	gpu_set(q, p, PAGE, 2 * HUGE / PAGE, 9, 1);
	cpu_check(p, PAGE, 2 * HUGE / PAGE, 9, 1, "hugetlb");
	munmap(p + HUGE, HUGE);
	gpu_check(q, p, PAGE, HUGE / PAGE, 9, 1);
	munmap(p, HUGE);
	queue_close(q);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

static void huge_entry(void)
{
	struct drm_gsvm_vm_query stats;
	struct queue *q = queue_open();
	char *p = map_huge_aligned(2 * HUGE);

	cpu_set(p, PAGE, 2 * HUGE / PAGE, 1, 1);
	gsvm_require(page_has_flag(p, KPF_THP) && page_has_flag(p + HUGE, KPF_THP),
		     "the kernel gave no transparent huge page\n");
	gpu_check(q, p, PAGE, 2 * HUGE / PAGE, 1, 1);
	gpu_set(q, p, PAGE, 2 * HUGE / PAGE, 2, 1);
	cpu_check(p, PAGE, 2 * HUGE / PAGE, 2, 1, "huge page");
	igt_gsvm_vm_query(q->fd, q->vm, &stats, 0);
	gsvm_assert(stats.huge_mapped >= 2, "2 huge pages gave %llu 2 MiB entries\n",
		    (unsigned long long)stats.huge_mapped);
	queue_close(q);
}

/* One part changes: the huge page is split, the rest must stay as it was. */
static void huge_split(void)
{
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);

	cpu_set(p, PAGE, 512, 1, 1);
	gsvm_require(page_has_flag(p, KPF_THP), "the kernel gave no transparent huge page\n");
	gpu_set(q, p, PAGE, 512, 10, 1);
	gsvm_sys(mprotect(p + 100 * PAGE, PAGE, PROT_READ));
	gpu_check(q, p, PAGE, 512, 10, 1);
	gpu_set(q, p, PAGE, 100, 20, 1);
	gpu_set(q, p + 101 * PAGE, PAGE, 411, 20, 1);
	gsvm_sys(munmap(p + 200 * PAGE, 56 * PAGE));
	gsvm_sys(madvise(p + 300 * PAGE, PAGE, MADV_DONTNEED));
	gpu_check(q, p, PAGE, 100, 20, 1);
	gpu_check(q, p + 100 * PAGE, PAGE, 1, 110, 0);
	gpu_check(q, p + 101 * PAGE, PAGE, 99, 20, 1);
	gpu_check(q, p + 256 * PAGE, PAGE, 44, 175, 1);
	gpu_check(q, p + 300 * PAGE, PAGE, 1, 0, 0);
	gpu_check(q, p + 301 * PAGE, PAGE, 211, 220, 1);
	cpu_check(p + 256 * PAGE, PAGE, 44, 175, 1, "behind the hole");
	queue_close(q);
}

/* Nodes in all kinds of memory, one list through them. */
static void list_everywhere(void)
{
	static struct node in_data = { .value = 1 };
	struct node in_stack = { .value = 2 };
	struct queue *q = queue_open();
	struct node *node[7];
	uint64_t out[2] = { 0 };
	int fd, i;

	node[0] = &in_data;
	node[1] = &in_stack;
	node[2] = malloc(sizeof(struct node));
	node[3] = map_anon(PAGE);
	node[4] = map_shared(PAGE);
	fd = make_memfd(PAGE);
	node[5] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	node[6] = malloc(1 << 20);
	in_data.value = 1;
	for (i = 0; i < 7; i++) {
		node[i]->value = i + 1;
		node[i]->next = i < 6 ? node[i + 1] : NULL;
	}
	gpu_run(q, "walk", 1, U(&in_data), U(out));
	gsvm_assert_eq(out[1], 7, "nodes walked");
	gsvm_assert_eq(out[0], 28, "sum of the nodes");
	for (i = 0; i < 7; i++)
		gsvm_assert_eq(node[i]->value, i + 2, "value that the GPU counted up");
	close(fd);
	free(node[2]);
	free(node[6]);
	queue_close(q);
}

/* The GPU fetches instructions from memory that the CPU wrote as data. */
static void code(void)
{
	/* addi a0, a0, N; ret */
	uint32_t insn[2] = { 0x00050513, 0x00008067 };
	struct queue *q = queue_open();
	uint64_t out[4];
	uint32_t *p;
	int round, i;

	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	gsvm_assert(p != MAP_FAILED, "mmap: %s\n", strerror(errno));
	for (round = 1; round < 20; round++) {
		p[0] = insn[0] | round << 20;
		p[1] = insn[1];
		gpu_run(q, "call", 4, U(p), U(out));
		for (i = 0; i < 4; i++)
			gsvm_assert(out[i] == (uint64_t)(i + round),
				    "round %d: item %d computed %llu: old code was run\n", round,
				    i, (unsigned long long)out[i]);
	}
	queue_close(q);
}

/* One page goes back and forth, each side adds. */
static void ping_pong(void)
{
	struct queue *q = queue_open();
	uint64_t *p = map_anon(PAGE);
	int i;

	for (i = 0; i < 128; i++) {
		gsvm_assert_eq(*p, 2 * i, "value at the start of a round");
		gpu_run(q, "add", 1, U(p), 0, 1, 1);
		gsvm_assert_eq(gsvm_peek(p), 2 * i + 1, "value after the GPU");
		gsvm_poke(p, 2 * i + 2);
	}
	queue_close(q);
}

static void read_then_write(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(PAGES * PAGE);

	cpu_set(p, PAGE, PAGES, 3, 1);
	/* Read faults map for reading; each write must upgrade. */
	gpu_check(q, p, PAGE, PAGES, 3, 1);
	gpu_run(q, "add", PAGES, U(p), PAGE, 1, 10);
	cpu_check(p, PAGE, PAGES, 13, 1, "after the upgrade");
	queue_close(q);
}

/* Blocks of 1.5 MiB, none of whole 2 MiB. */
static void odd_sizes(void)
{
	struct queue *q = queue_open();
	char *base = reserve(9 * HUGE), *p;
	int i;

	for (i = 0; i < 9; i++) {
		p = mmap(base + i * HUGE, HUGE * 3 / 4, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		gsvm_assert(p != MAP_FAILED, "mmap\n");
		gpu_set(q, p, PAGE, 384, i * 1000, 1);
	}
	for (i = 0; i < 9; i++) {
		cpu_check(base + i * HUGE, PAGE, 384, i * 1000, 1, "odd block");
		gpu_check(q, base + i * HUGE, PAGE, 384, i * 1000, 1);
	}
	queue_close(q);
}

static void copy_and_fill(void)
{
	struct queue *q = queue_open();
	char *from = map_anon(PAGES * PAGE), *to = map_anon(PAGES * PAGE);
	uint64_t i, n = PAGES * PAGE / 8;

	cpu_set(from, 8, n, 1, 3);
	gpu_wait(q, gpu_copy(q, to, from, PAGES * PAGE));
	cpu_check(to, 8, n, 1, 3, "copied");
	/* Unaligned, across pages, the bytes around untouched. */
	memset(to, 0xee, 4 * PAGE);
	gpu_wait(q, gpu_copy(q, to + 5, from + 3, 2 * PAGE + 9));
	gsvm_assert(!memcmp(to + 5, from + 3, 2 * PAGE + 9), "an unaligned copy is wrong\n");
	for (i = 0; i < 5; i++)
		gsvm_assert_eq((uint8_t)to[i], 0xee, "byte before the copy");
	gsvm_assert_eq((uint8_t)to[5 + 2 * PAGE + 9], 0xee, "byte behind the copy");
	gpu_wait(q, gpu_fill(q, from + 8, 0x1122334455667788, 3 * PAGE));
	cpu_check(from + 8, 8, 3 * PAGE / 8, 0x1122334455667788, 0, "filled");
	gsvm_assert_eq(*(uint64_t *)from, 1, "word before the fill");
	gsvm_assert_eq(((uint64_t *)from)[1 + 3 * PAGE / 8], 1 + 3 * (1 + 3 * PAGE / 8),
		       "word behind the fill");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "first-touch-read", first_touch_read,
	  "GPU reads of untouched memory give zeros and populate nothing" },
	{ "first-touch-write", first_touch_write,
	  "GPU writes populate the pages written and no others" },
	{ "first-touch-huge", first_touch_huge, "likewise where huge pages are wanted" },
	{ "heap", heap, "malloc'ed memory of all sizes" },
	{ "stack", stack, "variables on the stack" },
	{ "globals", globals, ".data, .bss, .rodata and thread-local variables" },
	{ "shared-anonymous", shared_anonymous, "MAP_SHARED anonymous memory, GPU first" },
	{ "hugetlb", hugetlb, "MAP_HUGETLB memory, unmapped one by one" },
	{ "huge-entry", huge_entry, "transparent huge pages become 2 MiB entries" },
	{ "huge-split", huge_split, "a mirrored huge page is split by changes inside it" },
	{ "list-everywhere", list_everywhere, "a list through all kinds of memory" },
	{ "code", code, "instructions that the CPU rewrites between jobs" },
	{ "ping-pong", ping_pong, "CPU and GPU in turn write one page" },
	{ "read-then-write", read_then_write, "a page mapped for reading is upgraded" },
	{ "odd-sizes", odd_sizes, "mappings that fill no whole 2 MiB block" },
	{ "copy-and-fill", copy_and_fill, "copy and fill packets, aligned or not" },
};

GSVM_MAIN(tests)
