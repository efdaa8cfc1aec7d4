// SPDX-License-Identifier: MIT
/*
 * Soft-dirty tracking of memory that is, or was, in VRAM.
 *
 * The kernel makes entries read-only when it clears the soft-dirty bits, so that a
 * write faults. An entry of a page in VRAM it leaves writable, and so it stays when
 * the page comes back: that the GPU's writes are noted is up to the driver. Small
 * pages tell exactly: those that were written are soft-dirty, no others.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "shared.h"

#define SIZE	(64 * PAGE)
#define PAGES	(SIZE / PAGE)

static bool soft_dirty(const char *p)
{
	return pagemap(p) & PM_SOFT_DIRTY;
}

static void clear_soft_dirty(char *p)
{
	gsvm_assert(write_text("/proc/self/clear_refs", "4"), "cannot write clear_refs\n");
	gsvm_require(!soft_dirty(p), "the kernel has no soft-dirty tracking\n");
}

static void expect_none(char *p, const char *what)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		gsvm_assert(!soft_dirty(p + i * PAGE), "%s: page %zu is soft-dirty\n", what, i);
}

/* The odd ones were written. */
static void expect_odd(char *p, const char *what)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		gsvm_assert(soft_dirty(p + i * PAGE) == (i & 1), "%s: page %zu is %ssoft-dirty\n",
			    what, i, i & 1 ? "not " : "");
}

static void write_odd(struct queue *q, char *p, uint64_t value)
{
	gpu_set(q, p + PAGE, 2 * PAGE, PAGES / 2, value, 1);
}

static void written(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 0);
	int round;

	for (round = 0; round < 4; round++) {
		to_vram(q, p, SIZE);
		clear_soft_dirty(p);
		expect_none(p, "after the clear");
		write_odd(q, p, round);
		expect_odd(p, "where they are");
		to_system(q, p, SIZE);
		expect_odd(p, "back in system memory");
		gpu_check(q, p + PAGE, 2 * PAGE, PAGES / 2, round, 1);
	}
	queue_close(q);
}

/* Pages that are not asked for are mapped along with one that is: not for writing. */
static void one_by_one(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 0);
	size_t i;

	clear_soft_dirty(p);
	gpu_verify(q, p, SIZE, 0, SPARSE, "read in VRAM");
	expect_none(p, "read");
	for (i = 1; i < PAGES; i += 2) {
		gpu_set(q, p + i * PAGE, PAGE, 1, i, 0);
		gsvm_assert(soft_dirty(p + i * PAGE), "page %zu was written and is not soft-dirty\n",
			    i);
	}
	expect_odd(p, "written one by one");
	queue_close(q);
}

/* Cleared in VRAM and read by the CPU, a page is writable and not soft-dirty. */
static void came_back(uint64_t policy)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);

	set_policy(q, policy);
	clear_soft_dirty(p);
	cpu_verify(p, SIZE, 1, WHOLE, "back");
	expect_system(q, p, SIZE, "what the CPU has read");
	expect_none(p, "back");
	gpu_verify(q, p, SIZE, 1, WHOLE, "read by the GPU");
	expect_none(p, "read by the GPU");
	write_odd(q, p, 5);
	expect_odd(p, "written after they came back");
	queue_close(q);
}

static void came_back_stays(void)
{
	came_back(DRM_GSVM_MIGRATE_NEVER);
}

static void came_back_moves(void)
{
	came_back(DRM_GSVM_MIGRATE_FIRST);
}

/* Another VM of the process has seen nothing of the clear. */
static void other_vm(void)
{
	struct queue *q = queue_open(), *other;
	char *p = map_in_vram(q, SIZE, 0);

	clear_soft_dirty(p);
	other = queue_open();
	write_odd(other, p, 5);
	expect_odd(p, "written through a younger VM");
	queue_close(other);
	queue_close(q);
}

/* Memory that the GPU makes is written, too, the first time and after it was dropped. */
static void made(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	size_t i;
	int round;

	clear_soft_dirty(p);
	for (round = 0; round < 4; round++) {
		write_odd(q, p, round);
		for (i = 1; i < PAGES; i += 2)
			gsvm_assert(soft_dirty(p + i * PAGE),
				    "round %d: page %zu was made by a write, and is not soft-dirty\n",
				    round, i);
		gpu_check(q, p + PAGE, 2 * PAGE, PAGES / 2, round, 1);
		gsvm_sys(madvise(p, SIZE, MADV_DONTNEED));
		gpu_check(q, p, PAGE, PAGES, 0, 0);
		expect_none(p, "dropped");
	}
	queue_close(q);
}

/* Of a 2 MiB page the kernel keeps one bit: with the first write it is set for all. */
static void huge(void)
{
	struct queue *q = queue_open();
	char *p = map_thp_in_vram(q, HUGE, 1);
	uint64_t back;

	gsvm_assert(write_text("/proc/self/clear_refs", "4"), "cannot write clear_refs\n");
	back = vm_counters(q).pages_to_system;
	gpu_set(q, p + 7 * PAGE, PAGE, 1, 0, 0);
	gsvm_assert(soft_dirty(p + 7 * PAGE), "a written 2 MiB page is not soft-dirty\n");
	prefetch(q, p, HUGE, DRM_GSVM_REGION_VRAM);
	gpu_pattern(q, p, HUGE, 2, WHOLE);
	gsvm_assert(soft_dirty(p + HUGE - PAGE), "a written 2 MiB page is not soft-dirty\n");
	back = vm_counters(q).pages_to_system - back;
	gsvm_assert(back < HUGE / PAGE * (HUGE / PAGE),
		    "%llu pages came back for 512 pages to be written: as a whole each time\n",
		    (unsigned long long)back);
	cpu_verify(p, HUGE, 2, WHOLE, "written");
	queue_close(q);
}

/* Moving writes nothing, and forgets nothing. */
static void moved(void)
{
	struct queue *q = queue_open();
	char *p = map_block(SIZE);
	size_t i;

	cpu_fill(p, SIZE, 1, SPARSE);
	clear_soft_dirty(p);
	for (i = 1; i < PAGES; i += 2)
		gsvm_poke((void *)(p + i * PAGE), pattern_word(1, i * PAGE));
	to_vram(q, p, SIZE);
	expect_odd(p, "moved to VRAM");
	gpu_verify(q, p, SIZE, 1, SPARSE, "in VRAM");
	expect_odd(p, "read in VRAM");
	to_system(q, p, SIZE);
	expect_odd(p, "moved back");
	cpu_verify(p, SIZE, 1, SPARSE, "back");
	expect_odd(p, "read by the CPU");
	queue_close(q);
}

/* A 2 MiB page that the kernel has split is soft-dirty by that, if it was ever written. */
static void expect_first(struct queue *q, const char *p, const char *what)
{
	const char *last = p + HUGE - PAGE;

	gsvm_assert(soft_dirty(p) && soft_dirty(last), "%s: what was written is not soft-dirty\n",
		    what);
	if (place_of(q, p + HUGE, HUGE).huge)
		gsvm_assert(!soft_dirty(p + HUGE) && !soft_dirty(last + HUGE),
			    "%s: what was not written is soft-dirty\n", what);
}

/*
 * Two 2 MiB pages, of which the first one is soft-dirty, and both are read-only since
 * fork() and not exclusive to this process, though it alone has them. A kernel that
 * checks itself takes the first one's entry for a writable one when it goes to VRAM,
 * or is put back there, and stops (DOC: Splitting).
 */
static void once_shared(bool in_vram)
{
	struct queue *q = queue_open();
	char *p = map_thp(q, 2 * HUGE, 1);

	clear_soft_dirty(p);
	cpu_fill(p, HUGE, 1, SPARSE);
	if (in_vram)
		to_vram(q, p, 2 * HUGE);
	gsvm_child_gone();
	expect_first(q, p, "after fork");
	to_vram(q, p, 2 * HUGE);
	expect_first(q, p, "in VRAM");
	gpu_verify(q, p, 2 * HUGE, 1, WHOLE, "in VRAM");
	expect_first(q, p, "read in VRAM");
	gsvm_child_gone();
	to_system(q, p, 2 * HUGE);
	expect_first(q, p, "back in system memory");
	cpu_verify(p, 2 * HUGE, 1, WHOLE, "back");
	to_vram(q, p, 2 * HUGE);
	gpu_pattern(q, p, 2 * HUGE, 2, WHOLE);
	gsvm_assert(soft_dirty(p) && soft_dirty(p + HUGE) && soft_dirty(p + 2 * HUGE - PAGE),
		    "what the GPU wrote is not soft-dirty\n");
	cpu_verify(p, 2 * HUGE, 2, WHOLE, "written by the GPU");
	queue_close(q);
}

static void once_shared_before(void)
{
	once_shared(false);
}

static void once_shared_there(void)
{
	once_shared(true);
}

static const struct gsvm_subtest tests[] = {
	{ "written", written, "pages that the GPU writes in VRAM, and no others" },
	{ "one-by-one", one_by_one, "neighbours are not writable unnoticed" },
	{ "came-back-stays", came_back_stays, "written by the GPU after the CPU had them back" },
	{ "came-back-moves", came_back_moves, "likewise, in VRAM again" },
	{ "other-vm", other_vm, "written through a VM that is younger than the clear" },
	{ "made", made, "memory that the GPU makes" },
	{ "huge", huge, "2 MiB pages" },
	{ "once-shared-before", once_shared_before, "2 MiB pages that a child has had" },
	{ "once-shared-there", once_shared_there, "likewise, and it had them in VRAM" },
	{ "moved", moved, "moving sets and forgets no bit" },
};

GSVM_MAIN(tests)
