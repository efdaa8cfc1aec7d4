// SPDX-License-Identifier: MIT
/*
 * Changes that a process does not notice: what the kernel does to pages, for
 * its own reasons or when asked, and fork.
 */
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "gsvm_place.h"
#include "gsvm_stress.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* ---- transparent changes --------------------------------------------------- */

bool change_rewrite(struct worker *w)
{
	struct cell *c = &worker_pick(w)->cell;

	cell_check(c, false, "before the CPU writes");
	cell_rewrite(c);
	return true;
}

bool change_page_out(struct worker *w)
{
	struct cell *c = worker_random(w, 4) ? &worker_pick(w)->cell :
					       &w->large[worker_random(w, LARGE)];
	bool out;

	gsvm_sys(madvise(c->page, PAGE, MADV_PAGEOUT));
	out = !(pagemap(c->page) & PM_PRESENT);
	/* A read brings it back clean, so that the GPU's next write is its only one. */
	cell_check(c, false, "after MADV_PAGEOUT");
	return out;
}

bool two_nodes(void)
{
	return access("/sys/devices/system/node/node1", F_OK) == 0;
}

bool change_move_pages(struct worker *w)
{
	int nodes[CELLS], status[CELLS], node = worker_random(w, 2), i;
	void *pages[CELLS];
	bool moved = false;

	for (i = 0; i < CELLS; i++) {
		pages[i] = i < MIXED ? w->place[i].cell.page :
			   i < MIXED + LARGE ? w->large[i - MIXED].page :
					       w->twin[i - MIXED - LARGE].page;
		nodes[i] = node;
		status[i] = -1;
	}
	/* Pages that are busy stay, and are counted in the result. */
	gsvm_assert(syscall(SYS_move_pages, 0, (long)CELLS, pages, nodes, status,
			    MPOL_MF_MOVE_ALL) >= 0, "move_pages: %s\n", strerror(errno));
	for (i = 0; i < CELLS; i++)
		moved |= status[i] == node;
	for (i = 0; i < 4; i++)
		cell_check(&worker_pick(w)->cell, false, "after move_pages");
	return moved;
}

bool change_migrate_pages(struct worker *w)
{
	unsigned long from = 1ul << worker_random(w, 2), to = 3 & ~from;

	gsvm_assert(syscall(SYS_migrate_pages, 0, 8ul, &from, &to) >= 0, "migrate_pages: %s\n",
		    strerror(errno));
	cell_check(&worker_pick(w)->cell, false, "after migrate_pages");
	return true;
}

bool change_compact(struct worker *w)
{
	gsvm_assert(write_text("/proc/sys/vm/compact_memory", "1"), "compact_memory: %s\n",
		    strerror(errno));
	cell_check(&worker_pick(w)->cell, false, "after compaction");
	return true;
}

bool has_soft_dirty(void)
{
	return write_text("/proc/self/clear_refs", "4");
}

bool change_soft_dirty(struct worker *w)
{
	gsvm_assert(write_text("/proc/self/clear_refs", "4"), "clear_refs: %s\n",
		    strerror(errno));
	cell_check(&worker_pick(w)->cell, false, "after clear_refs");
	return true;
}

/* ---- VRAM ------------------------------------------------------------------ */

/* One page, a huge page, or what all threads have around a boundary. */
bool change_prefetch(struct worker *w)
{
	struct cell *c = &worker_pick(w)->cell;
	struct drm_gsvm_prefetch args = {
		.vm_id = w->queue->vm, .start = U(c->page), .length = PAGE,
		.region = worker_random(w, 2) ? DRM_GSVM_REGION_VRAM : DRM_GSVM_REGION_SYSTEM,
	};

	switch (worker_random(w, 4)) {
	case 0:
		c = &w->large[worker_random(w, LARGE)];
		args.start = U(w->block);
		args.length = HUGE;
		break;
	case 1:
		args.start = (args.start + HUGE / 2) / HUGE * HUGE - RUN_PAGES / 2 * PAGE;
		args.length = RUN_PAGES * PAGE;
		break;
	}
	igt_gsvm_prefetch(w->queue->fd, &args, 0);
	if (!worker_random(w, 4))
		cell_check(c, false, "after a prefetch");
	return args.moved;
}

/* What is mapped stays so; what faults from now on is the other way. */
bool change_policy(struct worker *w)
{
	static const uint64_t policies[] = {
		DRM_GSVM_MIGRATE_NEVER, DRM_GSVM_MIGRATE_FIRST,
		DRM_GSVM_MIGRATE_NEVER, DRM_GSVM_MIGRATE_SECOND,
	};

	set_policy(w->queue, policies[worker_random(w, 4)]);
	cell_check(&worker_pick(w)->cell, false, "after another policy");
	return true;
}

/* ---- huge pages ------------------------------------------------------------ */

bool change_collapse(struct worker *w)
{
	bool done = !madvise(w->block, HUGE, MADV_COLLAPSE);

	cell_check(&w->large[worker_random(w, LARGE)], false, "after MADV_COLLAPSE");
	return done;
}

bool change_split(struct worker *w)
{
	/* A page that is no cell: those are multiples of HUGE / LARGE. */
	char *p = w->block + worker_random(w, LARGE) * (HUGE / LARGE) +
		  (1 + worker_random(w, 31)) * PAGE;
	struct cell *c = &w->large[worker_random(w, LARGE)];

	switch (worker_random(w, 4)) {
	case 0:
		gsvm_sys(madvise(p, PAGE, MADV_DONTNEED));
		break;
	case 1:
		gsvm_sys(mprotect(p, PAGE, PROT_NONE));
		gsvm_sys(mprotect(p, PAGE, RW));
		break;
	case 2:
		gsvm_sys(munmap(p, PAGE));
		map_at(p, PAGE, RW, ANON, -1, 0);
		gsvm_sys(madvise(p, PAGE, MADV_HUGEPAGE));
		break;
	default:
		cell_allow(c, SLOT_READ);
		gsvm_sys(mprotect(c->page, PAGE, PROT_READ));
		cell_check(c, true, "read-only part of a huge page");
		gsvm_sys(mprotect(c->page, PAGE, RW));
		cell_allow(c, SLOT_WRITE);
	}
	cell_check(c, false, "after the split");
	cell_rewrite(c);
	return true;
}

/* ---- fork ------------------------------------------------------------------ */

/**
 * struct verdict - what a child found in its copy of private cells
 * @bad: 1 + the place that changed under its eyes
 * @went_on: cells that the parent's GPU has written since
 */
struct verdict {
	uint64_t bad, went_on;
	uint64_t word, was, is;
};

#define SNAPSHOT	8

/* In the child, which must not use the parent's locks: no allocation, no libigt. */
static void child(struct worker *w, struct verdict *v)
{
	static uint64_t copy[MIXED][PAGE_WORDS];
	uint64_t writes[MIXED];
	int64_t end = gsvm_deadline(2000);
	unsigned int i, k, first = worker_random(w, MIXED);

#define each_cell(i)								\
	for (i = first; i < first + SNAPSHOT && i < MIXED; i++)			\
		if (!w->place[i].file)

	each_cell(i) {
		memcpy(copy[i], w->place[i].cell.page, PAGE);
		writes[i] = gsvm_peek(&w->place[i].cell.slot->writes);
	}
	/* Time for the parent's GPU, which may be busy elsewhere. */
	each_cell(i)
		while (gsvm_peek(&w->place[i].cell.slot->writes) < writes[i] + 2 &&
		       gsvm_deadline(0) < end)
			sched_yield();
	each_cell(i) {
		v->went_on += gsvm_peek(&w->place[i].cell.slot->writes) > writes[i];
		for (k = 0; k < PAGE_WORDS; k++) {
			uint64_t now = gsvm_peek(&w->place[i].cell.page[k]);

			if (now == copy[i][k] || v->bad)
				continue;
			v->word = k;
			v->was = copy[i][k];
			v->is = now;
			v->bad = i + 1;
		}
	}
#undef each_cell
}

bool change_fork(struct worker *w)
{
	struct verdict *v = map_shared(PAGE);
	bool watch = worker_random(w, 2), effect;
	int status;
	pid_t pid;

	pid = gsvm_sys(fork());
	if (!pid) {
		if (watch)
			child(w, v);
		_exit(0);
	}
	/* Copy-on-write by the CPU here, by the GPU all the time. */
	cell_rewrite(&worker_pick(w)->cell);
	cell_check(&worker_pick(w)->cell, false, "after fork");
	cell_rewrite(&w->large[worker_random(w, LARGE)]);
	gsvm_sys(waitpid(pid, &status, 0));
	gsvm_assert(!status, "the child ended with status %#x\n", status);
	gsvm_assert(!v->bad, "the child's copy of %p changed: word %llu was %#llx, is %#llx\n",
		    (void *)w->place[v->bad - 1].cell.page, (unsigned long long)v->word,
		    (unsigned long long)v->was, (unsigned long long)v->is);
	effect = !watch || v->went_on;
	munmap(v, PAGE);
	return effect;
}

/* ---- merged pages ---------------------------------------------------------- */

#define KSM	"/sys/kernel/mm/ksm/"

bool ksm_start(void)
{
	/* Pages that did not merge at once are looked at again all the same. */
	write_text(KSM "smart_scan", "0");
	write_text(KSM "sleep_millisecs", "5");
	return write_text(KSM "run", "1");
}

void ksm_stop(void)
{
	write_text(KSM "run", "0");
}

/*
 * The twins are equal as long as the GPU only reads. One is written by the GPU,
 * the others must not be; then it becomes equal again.
 */
bool change_ksm(struct worker *w)
{
	struct cell *c = &w->twin[worker_random(w, TWINS)];
	bool merged = page_has_flag(c->page, KPF_KSM);
	unsigned int i;

	cell_allow(c, SLOT_WRITE);
	cell_await_visits(c, 2);
	cell_allow(c, SLOT_READ);
	for (i = 0; i < TWINS; i++)
		cell_check(&w->twin[i], true, "twin");
	for (i = 0; i < TRAIL_WORDS; i++)
		c->page[PAGE_TRAIL + i] = 0;
	c->page[PAGE_COUNT] = 0;
	cell_take_quiet(c);
	return merged;
}
