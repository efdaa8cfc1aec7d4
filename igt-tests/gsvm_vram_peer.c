// SPDX-License-Identifier: MIT
/*
 * Pages go from the VRAM of one GPU to that of another: "direct" by one engine that
 * reads the other's BAR, "bounced" by way of memory in between. The driver takes the
 * first way where it can, and counts what went by each; the tests for the second one
 * forbid it the first. What is below one PCIe switch can read each other, unless an
 * IOMMU translates, so there it has to; where the GPUs are not, there is nothing to test.
 */
#include <stdio.h>

#include "gsvm_device.h"
#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PEER_COPY	"/sys/module/gsvm/parameters/peer_copy"

/* The program is memory, too, and both GPUs want it. */
#define PROGRAM_PAGES	16

struct copies {
	long direct, bounced;
};

static bool direct_now;

/* ---- two GPUs ------------------------------------------------------------------- */

/* Is there a bridge that both are below? A common path ends in one, or in the root bus. */
static bool share_switch(struct queue *q[2])
{
	char path[2][PATH_MAX];
	size_t i, same = 0;

	for (i = 0; i < 2; i++)
		device_path(q[i]->fd, path[i]);
	for (i = 0; path[0][i] && path[0][i] == path[1][i]; i++)
		if (path[0][i] == '/')
			same = i;
	path[0][same] = 0;
	return strncmp(strrchr(path[0], '/') + 1, "pci", 3);
}

static bool translated(struct queue *q)
{
	char path[PATH_MAX + 32], type[16] = "";
	FILE *f;

	device_path(q->fd, path);
	strcat(path, "/iommu_group/type");
	f = fopen(path, "re");
	if (!f)
		return false;
	gsvm_assert(fgets(type, sizeof(type), f), "%s is empty\n", path);
	fclose(f);
	return !strncmp(type, "DMA", 3);
}

static struct copies copies_to(struct queue *q)
{
	char file[PATH_MAX];
	struct copies n;

	snprintf(file, sizeof(file), "/sys/kernel/debug/dri/%s/peers", device_of(q->fd).pci);
	n.direct = read_key(file, "direct_pages");
	n.bounced = read_key(file, "bounced_pages");
	gsvm_assert(n.direct >= 0 && n.bounced >= 0, "%s does not tell\n", file);
	return n;
}

static void allow_direct(void)
{
	write_text(PEER_COPY, "Y");
}

static void open_two(struct queue *q[2], bool direct)
{
	static bool once;

	gsvm_require(gpu_count() >= 2, "needs two GPUs, there are %u\n", gpu_count());
	q[0] = queue_open_gpu(0);
	q[1] = queue_open_gpu(1);
	gsvm_require(!direct || share_switch(q), "the GPUs are not below one PCIe switch\n");
	gsvm_require(!direct || !translated(q[1]), "an IOMMU translates the GPUs' accesses\n");
	if (!once)
		atexit(allow_direct);
	once = true;
	gsvm_assert(write_text(PEER_COPY, direct ? "Y" : "N"), "%s: %s\n", PEER_COPY,
		    strerror(errno));
	direct_now = direct;
}

static void close_two(struct queue *q[2])
{
	queue_close(q[1]);
	queue_close(q[0]);
	allow_direct();
}

/* At least so many pages have come to @q's VRAM since @before, and in the right way. */
static void expect_copied(struct queue *q, struct copies before, size_t pages)
{
	struct copies now = copies_to(q);
	long direct = now.direct - before.direct, bounced = now.bounced - before.bounced;

	gsvm_assert((direct_now ? direct : bounced) >= (long)pages &&
		    !(direct_now ? bounced : direct),
		    "%ld pages were copied directly, %ld bounced; expected %zu %s\n", direct,
		    bounced, pages, direct_now ? "directly" : "bounced");
}

static char *fill(struct queue *q, bool huge, size_t size, uint32_t seed)
{
	return huge ? map_thp_in_vram(q, size, seed) : map_in_vram(q, size, seed);
}

/* ---- where pages go -------------------------------------------------------------- */

/* One fault in each block: it takes all that the other GPU has of the block. */
static void touch_blocks(struct queue *q, char *p, size_t size, const char *what)
{
	struct copies before = copies_to(q);
	size_t at;

	for (at = 0; at < size; at += HUGE)
		gpu_read(q, p + at);
	expect_vram(q, p, size, what);
	expect_copied(q, before, size / PAGE);
}

/* A GPU reads, and then the other one writes: each time they go where they are used. */
static void fault(bool huge, bool direct)
{
	size_t size = 2 * HUGE;
	struct queue *q[2];
	char *p;

	open_two(q, direct);
	p = fill(q[0], huge, size, 1);
	touch_blocks(q[1], p, size, "after faults of this GPU");
	gpu_verify(q[1], p, size, 1, WHOLE, "what was in the other GPU's VRAM");
	touch_blocks(q[0], p, size, "after faults of the other GPU");
	gpu_pattern(q[0], p, size, 2, WHOLE);
	gpu_verify(q[1], p, size, 2, WHOLE, "what the other GPU wrote");
	cpu_verify(p, size, 2, WHOLE, "back");
	close_two(q);
}

/* Nothing comes to the process's system memory on the way. */
static void prefetch_to_other(bool huge, bool direct)
{
	size_t size = 6 * HUGE;
	struct copies before;
	struct queue *q[2];
	uint64_t out;
	uint32_t round;
	char *p;

	open_two(q, direct);
	p = fill(q[0], huge, size, 0);
	for (round = 0; round < 4; round++) {
		struct queue *from = q[round % 2], *to = q[~round % 2];

		before = copies_to(to);
		out = vm_counters(from).pages_to_system;
		to_vram(to, p, size);
		if (huge)
			expect_huge_vram(to, p, size, "from the other GPU's VRAM");
		expect_copied(to, before, size / PAGE);
		out = vm_counters(from).pages_to_system - out;
		gsvm_assert(out <= PROGRAM_PAGES, "%llu pages came to system memory\n",
			    (unsigned long long)out);
		gpu_verify(to, p, size, round, WHOLE, "from the other GPU's VRAM");
		gpu_pattern(to, p, size, round + 1, WHOLE);
		expect_vram(to, p, size, "written there");
	}
	cpu_verify(p, size, round, WHOLE, "back");
	close_two(q);
}

/* A block in four places: both VRAMs, page by page, system memory, nowhere. */
static void pieces(bool direct)
{
	const size_t quarter = HUGE / 4;
	struct copies before;
	struct queue *q[2];
	size_t at;
	char *p;

	open_two(q, direct);
	p = map_block(HUGE);
	cpu_fill(p, 3 * quarter, 1, WHOLE);
	for (at = 0; at < 2 * quarter; at += PAGE)
		to_vram(q[at / PAGE % 2], p + at, PAGE);
	before = copies_to(q[1]);
	to_vram(q[1], p, HUGE);
	expect_copied(q[1], before, quarter / PAGE);
	gpu_verify(q[1], p, 3 * quarter, 1, WHOLE, "out of pieces");
	gpu_check(q[1], p + 3 * quarter, PAGE, quarter / PAGE, 0, 0);
	cpu_verify(p, 3 * quarter, 1, WHOLE, "out of pieces");
	close_two(q);
}

/* What a child shares comes to where everybody reaches it, and stays apart. */
static void shared(bool huge, bool direct)
{
	size_t size = 2 * HUGE;
	struct queue *q[2];
	struct child *c;
	char *p;

	open_two(q, direct);
	p = fill(q[0], huge, size, 1);
	c = gsvm_fork();
	if (!c->pid) {
		gsvm_tell(c);
		gsvm_hear(c);
		cpu_verify(p, size, 1, WHOLE, "what the parent has written since");
		gsvm_exit();
	}
	gsvm_hear(c);
	prefetch(q[1], p, size, DRM_GSVM_REGION_VRAM);
	gpu_verify(q[1], p, size, 1, WHOLE, "shared with a child");
	gpu_pattern(q[1], p, size, 2, WHOLE);
	gpu_verify(q[0], p, size, 2, WHOLE, "shared with a child no more");
	gsvm_tell(c);
	gsvm_join(c);
	cpu_verify(p, size, 2, WHOLE, "shared with a child no more");
	close_two(q);
}

/* Read-only and not exclusive since fork(), though the child has gone (DOC: Splitting). */
static void once_shared(bool direct)
{
	size_t size = 2 * HUGE;
	struct queue *q[2];
	char *p;

	open_two(q, direct);
	p = map_thp_in_vram(q[0], size, 1);
	gsvm_child_gone();
	to_vram(q[1], p, size);
	gpu_verify(q[1], p, size, 1, WHOLE, "not exclusive, from the other GPU's VRAM");
	gpu_pattern(q[1], p, size, 2, WHOLE);
	gpu_verify(q[0], p, size, 2, WHOLE, "written there");
	cpu_verify(p, size, 2, WHOLE, "back");
	close_two(q);
}

/* ---- both at once ------------------------------------------------------------------ */

/* Each in turn, a word of its own: left where both reach it after a while. */
static void turns(bool direct)
{
	struct drm_gsvm_vm_query start[2], now[2];
	struct queue *q[2];
	uint64_t rounds;
	int64_t end;
	char *p;
	int g;

	open_two(q, direct);
	bounce_slowly();
	p = map_in_vram(q[0], HUGE, 0);
	gpu_set(q[0], p, 8, 2, 0, 0);
	for (g = 0; g < 2; g++)
		start[g] = vm_counters(q[g]);
	for (rounds = 1; rounds <= 400; rounds++) {
		for (g = 0; g < 2; g++) {
			gpu_run(q[g], "add", 1, U(p + 8 * g), 0, 1, 1);
			now[g] = vm_counters(q[g]);
		}
		if (now[0].bounces > start[0].bounces && now[1].bounces > start[1].bounces)
			break;
	}
	gsvm_assert(rounds <= 400, "nobody called it bouncing\n");
	for (g = 0; g < 2; g++)
		gsvm_assert_eq(gsvm_peek((void *)(p + 8 * g)), rounds, "a GPU's counter");
	bounce_as_usual();
	/* Used by one of them only, the block is its own again some time. */
	end = gsvm_deadline(gsvm_patience_ms());
	while (!in_vram(q[1], p)) {
		gsvm_assert(gsvm_deadline(0) < end, "the block never moved again\n");
		gsvm_sys(mprotect(p, HUGE, PROT_NONE));
		gsvm_sys(mprotect(p, HUGE, PROT_READ | PROT_WRITE));
		gpu_run(q[1], "add", 1, U(p + 8), 0, 1, 0);
		gsvm_pace();
	}
	close_two(q);
}

/* Both write to the same pages without a pause, while these are sent to and fro. */
static void together(bool huge, bool direct)
{
	struct ctl *ctl[2] = { map_shared(PAGE), map_shared(PAGE) };
	size_t size = 2 * HUGE, pages = size / PAGE;
	struct gsvm_signal *job[2];
	struct queue *q[2];
	int g, round;
	char *p;

	open_two(q, direct);
	p = huge ? map_thp(q[0], size, 0) : map_block(size);
	memset(p, 0, size);
	for (g = 0; g < 2; g++)
		job[g] = gpu_launch(q[g], "sweep", CTL_ITEMS, U(ctl[g]), U(p) + 8 * g, pages,
				    CTL_ITEMS, 0);
	for (round = 0; round < 20; round++)
		prefetch(q[round % 2], p, size, DRM_GSVM_REGION_VRAM);
	for (g = 0; g < 2; g++)
		gsvm_await(&ctl[g]->rounds[0], 2, "a GPU's rounds against the other");
	for (g = 0; g < 2; g++)
		gsvm_poke(&ctl[g]->stop, 1);
	for (g = 0; g < 2; g++)
		gpu_wait(q[g], job[g]);
	for (g = 0; g < 2; g++)
		sweep_check(ctl[g], p + 8 * g, pages);
	close_two(q);
}

/* Pages of one munmap() in both VRAMs: both GPUs are told before the first is waited for. */
static void flush_together(void)
{
	struct queue *q[2];
	char order[16], *p;
	int g;

	open_two(q, false);
	p = map_block(2 * HUGE);
	for (g = 0; g < 2; g++) {
		to_vram(q[g], p + g * HUGE, HUGE);
		gpu_set(q[g], p + g * HUGE, PAGE, HUGE / PAGE, 1, 1);
		expect_vram(q[g], p + g * HUGE, HUGE, "mapped there");
	}
	munmap_order(p, 2 * HUGE, order, sizeof(order));
	gsvm_assert(!strncmp(order, "ssw", 3),
		    "munmap sent (s) and waited (w) in this order: %s\n", order);
	close_two(q);
}

/* ---- one of them goes ---------------------------------------------------------------- */

#define MOVED_BYTES	(8 * MIB)

/* Pages that go to and fro all the time. */
struct mover {
	struct thread thread;
	struct queue *q[2];
	char *p;
	uint64_t stop;
};

/* A GPU that has gone, or goes just now, takes nothing; the other one does. */
static void mover_loop(void *arg)
{
	struct mover *m = arg;
	int g, ret;

	for (g = 0; !gsvm_peek(&m->stop); g = !g) {
		struct drm_gsvm_prefetch args = {
			.vm_id = m->q[g]->vm, .start = U(m->p), .length = MOVED_BYTES,
			.region = DRM_GSVM_REGION_VRAM,
		};

		ret = gsvm_ioctl(m->q[g]->fd, DRM_IOCTL_GSVM_PREFETCH, &args);
		gsvm_assert(!ret || ret == ENODEV || ret == EIO || ret == ENOENT, "PREFETCH: %s\n",
			    strerror(ret));
	}
}

/* They are on their way when this returns, at another moment each round. */
static void mover_start(struct mover *m, struct queue *q[2], char *p, int round)
{
	struct copies start = copies_to(q[1]), now;
	int64_t end = gsvm_deadline(gsvm_patience_ms());

	*m = (struct mover) { .q = { q[0], q[1] }, .p = p };
	gsvm_thread(&m->thread, mover_loop, m);
	do {
		gsvm_assert(gsvm_deadline(0) < end, "nothing is copied\n");
		now = copies_to(q[1]);
	} while ((direct_now ? now.direct - start.direct : now.bounced - start.bounced) <
		 100 + 1700 * round);
}

static void mover_end(struct mover *m)
{
	gsvm_poke(&m->stop, 1);
	gsvm_thread_join(&m->thread);
}

/* GPU @which goes amid copies, dead or alive; what moved is where it was, or elsewhere. */
static void goes(int which, bool dead, bool direct)
{
	struct queue *q[2];
	struct device d;
	struct mover m;
	char *p;
	int round;

	if (dead)
		igt_emit_ignore_dmesg_regex("device is wedged: debugfs");
	for (round = 0; round < 3; round++) {
		open_two(q, direct);
		d = device_of(q[which]->fd);
		p = map_block(MOVED_BYTES);
		cpu_fill(p, MOVED_BYTES, round, WHOLE);
		to_vram(q[0], p, MOVED_BYTES);
		mover_start(&m, q, p, round);
		if (dead) {
			device_wedge(&d);
			/* The one that lives gets what it wants of the dead one's VRAM. */
			gpu_verify(q[!which], p, MOVED_BYTES, round, WHOLE, "a dead GPU's memory");
		}
		device_unbind(&d);
		mover_end(&m);
		cpu_verify(p, MOVED_BYTES, round, WHOLE, "after the end of a GPU");
		gpu_verify(q[!which], p, MOVED_BYTES, round, WHOLE, "after the end of the other");
		device_bind(&d);
		gpu_close_all();
		allow_direct();
		munmap(p, MOVED_BYTES);
	}
}

/*
 * The host kills the first GPU. Its VRAM outlives it: the other one gets all of it, and is a
 * GPU as before. Nothing is under way just then: QEMU 11.1 stops with an assertion
 * (error_setv()) when it waits for whoever is killed.
 */
static void killed(void)
{
	struct queue *q[2];
	struct device d;
	char *p, *huge;

	device_kill_needed();
	igt_emit_ignore_dmesg_regex("device is wedged: ");
	open_two(q, true);
	d = device_of(q[0]->fd);
	p = map_in_vram(q[0], MOVED_BYTES, 1);
	huge = map_thp_in_vram(q[0], MOVED_BYTES, 2);
	device_kill_first();
	gpu_verify(q[1], p, MOVED_BYTES, 1, WHOLE, "a killed GPU's memory");
	to_vram(q[1], huge, MOVED_BYTES);
	gpu_verify(q[1], huge, MOVED_BYTES, 2, WHOLE, "a killed GPU's huge pages");
	device_unbind(&d);
	cpu_verify(p, MOVED_BYTES, 1, WHOLE, "after the end of a GPU");
	gpu_pattern(q[1], p, MOVED_BYTES, 3, WHOLE);
	to_vram(q[1], p, MOVED_BYTES);
	cpu_verify(p, MOVED_BYTES, 3, WHOLE, "from the GPU that lives");
	queue_close(q[1]);
}

/*
 * What of this process is in VRAM, the program to begin with, comes back and stays in
 * system memory; what it maps from now on does not.
 */
static void keep_out_of_vram(void)
{
	gsvm_sys(mlockall(MCL_CURRENT));
}

/* What does not read is not taken for data: no page of it arrives. */
static void lost(bool direct)
{
	size_t size = HUGE, all = size / PAGE;
	struct queue *q[2];
	struct device d;
	struct place at;
	char *p, *other;

	igt_emit_ignore_dmesg_regex("device is wedged: debugfs|VRAM cannot be read|"
				    "Memory failure: |MCE: Killing");
	open_two(q, direct);
	gpu_kernel("touch");
	keep_out_of_vram();
	d = device_of(q[0]->fd);
	/* The two have been tried out before. */
	other = map_in_vram(q[0], HUGE, 1);
	to_vram(q[1], other, HUGE);
	p = map_in_vram(q[0], size, 2);
	device_wedge(&d);
	device_bars_off(&d);
	prefetch(q[1], p, size, DRM_GSVM_REGION_VRAM);
	at = place_of(q[1], p, size);
	gsvm_assert(at.other == all, "%zu pages came to VRAM, %zu to memory\n", at.vram, at.system);
	gpu_expect_fault(q[1], gpu_launch(q[1], "touch", 1, U(p), TOUCH_READ, 0),
			 DRM_GSVM_REASON_POISON, DRM_GSVM_ACCESS_READ, p, 0);
	device_unbind(&d);
	gsvm_sys(munmap(p, size));
	cpu_verify(other, HUGE, 1, WHOLE, "what had left before");
	device_bind(&d);
	gpu_close_all();
	gsvm_sys(munlockall());
	allow_direct();
}

/* ---- the table ------------------------------------------------------------------------ */

static void fault_direct(void) { fault(false, true); }
static void fault_bounced(void) { fault(false, false); }
static void fault_huge_direct(void) { fault(true, true); }
static void fault_huge_bounced(void) { fault(true, false); }
static void prefetch_direct(void) { prefetch_to_other(false, true); }
static void prefetch_bounced(void) { prefetch_to_other(false, false); }
static void prefetch_huge_direct(void) { prefetch_to_other(true, true); }
static void prefetch_huge_bounced(void) { prefetch_to_other(true, false); }
static void pieces_direct(void) { pieces(true); }
static void pieces_bounced(void) { pieces(false); }
static void shared_small(void) { shared(false, true); }
static void shared_huge(void) { shared(true, true); }
static void shared_bounced(void) { shared(false, false); }
static void once_shared_direct(void) { once_shared(true); }
static void once_shared_bounced(void) { once_shared(false); }
static void turns_direct(void) { turns(true); }
static void turns_bounced(void) { turns(false); }
static void together_direct(void) { together(false, true); }
static void together_bounced(void) { together(false, false); }
static void together_huge_direct(void) { together(true, true); }
static void together_huge_bounced(void) { together(true, false); }
static void unbind_source_direct(void) { goes(0, false, true); }
static void unbind_source_bounced(void) { goes(0, false, false); }
static void unbind_target_direct(void) { goes(1, false, true); }
static void dead_source_direct(void) { goes(0, true, true); }
static void dead_source_bounced(void) { goes(0, true, false); }
static void dead_target_direct(void) { goes(1, true, true); }
static void lost_direct(void) { lost(true); }
static void lost_bounced(void) { lost(false); }

static const struct gsvm_subtest tests[] = {
	{ "fault-direct", fault_direct, "to the GPU that faults" },
	{ "fault-bounced", fault_bounced, "likewise by way of memory" },
	{ "fault-huge-direct", fault_huge_direct, "huge pages to the GPU that faults" },
	{ "fault-huge-bounced", fault_huge_bounced, "likewise by way of memory" },
	{ "prefetch-direct", prefetch_direct, "to the GPU that is told to have them" },
	{ "prefetch-bounced", prefetch_bounced, "likewise by way of memory" },
	{ "prefetch-huge-direct", prefetch_huge_direct, "huge pages, to the GPU told" },
	{ "prefetch-huge-bounced", prefetch_huge_bounced, "likewise by way of memory" },
	{ "pieces-direct", pieces_direct, "out of a block that is in many places" },
	{ "pieces-bounced", pieces_bounced, "likewise by way of memory" },
	{ "shared", shared_small, "what a child shares is not lost" },
	{ "shared-huge", shared_huge, "likewise huge pages" },
	{ "shared-bounced", shared_bounced, "likewise by way of memory" },
	{ "once-shared-direct", once_shared_direct, "huge pages that a child has had" },
	{ "once-shared-bounced", once_shared_bounced, "likewise by way of memory" },
	{ "turns-direct", turns_direct, "two in turn: the block is left alone" },
	{ "turns-bounced", turns_bounced, "likewise by way of memory" },
	{ "together-direct", together_direct, "both write, and the pages move" },
	{ "together-bounced", together_bounced, "likewise by way of memory" },
	{ "together-huge-direct", together_huge_direct, "likewise huge pages" },
	{ "together-huge-bounced", together_huge_bounced, "likewise by way of memory" },
	{ "flush-together", flush_together, "both flush at the same time" },
	{ "unbind-source-direct", unbind_source_direct, "the one that has them is unbound" },
	{ "unbind-source-bounced", unbind_source_bounced, "likewise by way of memory" },
	{ "unbind-target-direct", unbind_target_direct, "the one that gets them is unbound" },
	{ "dead-source-direct", dead_source_direct, "the one that has them dies" },
	{ "dead-source-bounced", dead_source_bounced, "likewise by way of memory" },
	{ "dead-target-direct", dead_target_direct, "the one that gets them dies" },
	{ "killed", killed, "the one that has them is killed by the host" },
	{ "lost-direct", lost_direct, "nothing comes out of VRAM that does not read" },
	{ "lost-bounced", lost_bounced, "likewise by way of memory" },
};

GSVM_MAIN(tests)
