// SPDX-License-Identifier: MIT
/*
 * Changes that put another page, or nothing, in a page's place.
 */
#include <fcntl.h>
#include <stdio.h>

#include "gsvm_stress.h"
#include "shared.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

uint64_t worker_random(struct worker *w, uint64_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 11) % n;
}

void *map_at(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *p = mmap(at, size, prot, flags | MAP_FIXED, fd, offset);

	gsvm_assert(p == at, "mmap at %p: %s\n", at, strerror(errno));
	return p;
}

void *move_to(void *from, void *to, int flags)
{
	void *p = mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to);

	gsvm_assert(p == to, "mremap from %p to %p: %s\n", from, to, strerror(errno));
	return p;
}

void reserve_aside(void *at)
{
	map_at(at, PAGE, PROT_NONE, ANON, -1, 0);
}

struct spot *worker_pick(struct worker *w)
{
	return &w->place[worker_random(w, MIXED)];
}

/* ---- replacements: pages of the thread's file ------------------------------ */

static off_t place_offset(const struct worker *w, const struct spot *p, unsigned int turn)
{
	return ((p - w->place) * TURNS + turn % TURNS) * PAGE;
}

/* The page that the file has for the cell's next turn, ready to be mapped. */
static off_t prepare_file(struct worker *w, struct spot *p)
{
	off_t offset = place_offset(w, p, ++p->turn);
	uint64_t words[PAGE_WORDS];

	cell_prepare(&p->cell, words);
	gsvm_assert(pwrite(w->fd, words, PAGE, offset) == PAGE, "pwrite: %s\n", strerror(errno));
	return offset;
}

static void check_old(struct worker *w, struct spot *p)
{
	uint64_t words[PAGE_WORDS];

	if (!p->old.there)
		return;
	gsvm_assert(pread(w->fd, words, PAGE, p->old_offset) == PAGE, "pread\n");
	taken_check(&p->old, words, "page of a file, replaced by mmap");
}

/* A mapping of the next page of the file over one of this page, in one step. */
static void replace_file(struct worker *w, struct spot *p)
{
	struct cell *c = &p->cell, was = *c;
	uint64_t before = gsvm_peek(&c->slot->writes), words[PAGE_WORDS];
	off_t old = place_offset(w, p, p->turn), offset;

	check_old(w, p);
	cell_next(c);
	offset = prepare_file(w, p);
	map_at(c->page, PAGE, RW, MAP_SHARED, w->fd, offset);
	cell_settled(c);
	gsvm_assert(pread(w->fd, words, PAGE, old) == PAGE, "pread\n");
	cell_check_words(&was, words, "page of a file, right after mmap");
	cell_take(c, words, before);
	p->old_offset = old;
	taken_keep(&p->old, words, U(c->page));
}

/* Likewise when the GPU only reads. */
static void become_file(struct worker *w, struct spot *p)
{
	struct cell *c = &p->cell;
	off_t offset;

	check_old(w, p);
	cell_next(c);
	offset = prepare_file(w, p);
	map_at(c->page, PAGE, RW, MAP_SHARED, w->fd, offset);
	cell_settled(c);
	cell_take_quiet(c);
	p->file = true;
}

/*
 * Changes come in bursts: the second one meets the GPU's fault that the first
 * one has caused, at any point of its service.
 */
static unsigned int burst(struct worker *w)
{
	return 1 + worker_random(w, 8);
}

/* A cell in anonymous memory, alone in its mapping or among many; or NULL. */
static struct cell *pick_anon(struct worker *w)
{
	struct spot *p = worker_pick(w);

	if (worker_random(w, 2))
		return &w->large[worker_random(w, LARGE)];
	return p->file ? NULL : &p->cell;
}

bool change_map_over(struct worker *w)
{
	struct spot *p = worker_pick(w);
	struct cell *c = &p->cell;
	unsigned int n;

	if (p->file) {
		for (n = burst(w); n; n--)
			replace_file(w, p);
		cell_check(c, false, "after mmap over a shared page");
		return true;
	}
	cell_allow(c, SLOT_READ);
	cell_check(c, true, "before mmap over a private page");
	become_file(w, p);
	cell_check(c, true, "after mmap over a private page");
	cell_allow(c, SLOT_WRITE);
	return true;
}

/* A page that was filled aside is moved over the old one. */
bool change_mremap_over(struct worker *w)
{
	struct spot *p = worker_pick(w);
	struct cell *c = &p->cell;
	char *aside = w->aside + PAGE;
	unsigned int n;

	cell_allow(c, SLOT_READ);
	cell_check(c, true, "before mremap over it");
	for (n = burst(w); n; n--) {
		cell_next(c);
		map_at(aside, PAGE, RW, ANON, -1, 0);
		cell_prepare(c, (uint64_t *)aside);
		move_to(aside, c->page, 0);
		cell_settled(c);
	}
	reserve_aside(aside);
	cell_take_quiet(c);
	p->file = false;
	cell_check(c, true, "after mremap over it");
	cell_allow(c, SLOT_WRITE);
	return true;
}

static void check_moved(struct worker *w)
{
	taken_check(&w->moved, (uint64_t *)w->aside, "page moved away by MREMAP_DONTUNMAP");
}

/* The page goes elsewhere under the GPU's hands; an empty one stays. */
static void move_and_fill(struct worker *w, struct cell *c)
{
	uint64_t *aside = (uint64_t *)w->aside, before;
	struct cell was = *c;

	check_moved(w);
	before = gsvm_peek(&c->slot->writes);
	cell_next_through_zero(c);
	move_to(c->page, aside, MREMAP_DONTUNMAP);
	taken_keep(&w->moved, aside, U(c->page));
	cell_check_words(&was, aside, "page moved away by MREMAP_DONTUNMAP");
	cell_take(c, w->moved.words, before);
	cell_fill(c);
	cell_settled(c);
}

bool change_mremap_dontunmap(struct worker *w)
{
	struct cell *c = pick_anon(w);
	unsigned int n;

	if (!c)
		return false;
	for (n = burst(w); n; n--)
		move_and_fill(w, c);
	cell_check(c, false, "after MREMAP_DONTUNMAP");
	return true;
}

bool change_dontneed(struct worker *w)
{
	struct cell *c = pick_anon(w);
	unsigned int n;

	if (!c)
		return false;
	cell_allow(c, SLOT_READ);
	cell_check(c, true, "before MADV_DONTNEED");
	for (n = burst(w); n; n--) {
		cell_next_through_zero(c);
		gsvm_sys(madvise(c->page, PAGE, MADV_DONTNEED));
		cell_take_quiet(c);
		if (n == 1 && worker_random(w, 2)) {
			/* The GPU writes before the CPU does. */
			cell_allow(c, SLOT_WRITE);
			cell_await_visits(c, 1);
		}
		cell_fill(c);
		cell_settled(c);
	}
	cell_allow(c, SLOT_WRITE);
	return true;
}

bool change_punch_hole(struct worker *w)
{
	struct spot *p = worker_pick(w);
	struct cell *c = &p->cell;

	if (!p->file)
		return false;
	cell_allow(c, SLOT_READ);
	cell_check(c, true, "before the hole");
	cell_next_through_zero(c);
	gsvm_sys(fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   place_offset(w, p, p->turn), PAGE));
	cell_take_quiet(c);
	if (worker_random(w, 2)) {
		cell_allow(c, SLOT_WRITE);
		cell_await_visits(c, 1);
	}
	cell_fill(c);
	cell_settled(c);
	cell_allow(c, SLOT_WRITE);
	return true;
}

/* ---- removals -------------------------------------------------------------- */

bool change_unmap(struct worker *w)
{
	struct spot *p = worker_pick(w);
	struct cell *c = &p->cell;

	cell_allow(c, SLOT_NONE);
	cell_check(c, true, "before munmap");
	gsvm_sys(munmap(c->page, PAGE));
	if (worker_random(w, 2)) {
		become_file(w, p);
	} else {
		cell_next_through_zero(c);
		map_at(c->page, PAGE, RW, ANON, -1, 0);
		cell_take_quiet(c);
		p->file = false;
		/* Who touches it first? */
		cell_allow(c, SLOT_WRITE);
		cell_fill(c);
		cell_settled(c);
	}
	cell_allow(c, SLOT_WRITE);
	return true;
}

bool change_protect_none(struct worker *w)
{
	struct cell *c = &worker_pick(w)->cell;

	cell_allow(c, SLOT_NONE);
	gsvm_sys(mprotect(c->page, PAGE, PROT_NONE));
	gsvm_sys(mprotect(c->page, PAGE, worker_random(w, 2) ? RW : PROT_READ));
	cell_check(c, true, "after PROT_NONE");
	cell_allow(c, SLOT_READ);
	gsvm_sys(mprotect(c->page, PAGE, RW));
	cell_allow(c, SLOT_WRITE);
	return true;
}

bool change_protect_read(struct worker *w)
{
	struct cell *c = &worker_pick(w)->cell;

	cell_allow(c, SLOT_READ);
	gsvm_sys(mprotect(c->page, PAGE, PROT_READ));
	if (worker_random(w, 2))
		cell_await_visits(c, 1);
	cell_check(c, true, "read-only");
	gsvm_sys(mprotect(c->page, PAGE, RW));
	cell_allow(c, SLOT_WRITE);
	cell_rewrite(c);
	return true;
}

bool change_move_away(struct worker *w)
{
	struct cell *c = &worker_pick(w)->cell;
	char *aside = w->aside + PAGE;

	cell_allow(c, SLOT_NONE);
	move_to(c->page, aside, 0);
	cell_check_at(c, (uint64_t *)aside, true, "at another address");
	move_to(aside, c->page, 0);
	reserve_aside(aside);
	cell_allow(c, SLOT_WRITE);
	cell_check(c, false, "after moving back");
	return true;
}

/* ---- the wild job ---------------------------------------------------------- */

#define WILD_ITEMS	4

static void wild_words(struct worker *w, uint64_t *words)
{
	gsvm_assert(pread(w->wild_fd, words, WILD_ITEMS * 8, 0) == WILD_ITEMS * 8, "pread\n");
}

/* Takes the page away under the writer. Returns the reason that its end must have. */
static uint32_t wild_lose(struct worker *w)
{
	switch (worker_random(w, 5)) {
	case 0:
		gsvm_sys(munmap(w->wild, PAGE));
		return DRM_GSVM_REASON_NOT_MAPPED;
	case 1:
		gsvm_sys(mprotect(w->wild, PAGE, PROT_NONE));
		return DRM_GSVM_REASON_PERMISSION;
	case 2:
		gsvm_sys(mprotect(w->wild, PAGE, PROT_READ));
		return DRM_GSVM_REASON_PERMISSION;
	case 3:
		move_to(w->wild, w->aside + 2 * PAGE, 0);
		return DRM_GSVM_REASON_NOT_MAPPED;
	default:
		map_at(w->wild, PAGE, PROT_NONE, ANON, -1, 0);
		return DRM_GSVM_REASON_PERMISSION;
	}
}

bool change_wild(struct worker *w)
{
	uint64_t zero[WILD_ITEMS] = { 0 }, then[WILD_ITEMS], now[WILD_ITEMS];
	struct queue *q = queue_open_vm(w->queue->fd, w->queue->vm);
	struct ctl *ctl = w->wild_ctl;
	struct drm_gsvm_queue_query r;
	struct gsvm_signal *job;
	uint32_t reason;
	int i;

	gsvm_assert(pwrite(w->wild_fd, zero, sizeof(zero), 0) == sizeof(zero), "pwrite\n");
	map_at(w->wild, PAGE, RW, MAP_SHARED, w->wild_fd, 0);
	memset(ctl, 0, sizeof(*ctl));
	job = gpu_launch(q, "count", WILD_ITEMS, U(ctl), U(w->wild), 8);
	for (i = 0; i < WILD_ITEMS; i++)
		gsvm_await(&ctl->rounds[i], 2, "a wild work-item's start");
	reason = wild_lose(w);
	wild_words(w, then);
	gpu_expect(q, job, (struct gpu_error){ DRM_GSVM_ERROR_FAULT, reason,
					       DRM_GSVM_ACCESS_ATOMIC, ANY, ANY });
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.addr >= U(w->wild) && r.addr < U(w->wild + WILD_ITEMS),
		    "a wild job's record: address %#llx, page %p\n", (unsigned long long)r.addr,
		    (void *)w->wild);
	wild_words(w, now);
	for (i = 0; i < WILD_ITEMS; i++) {
		gsvm_assert_eq(now[i], then[i], "word of a page that was taken away");
		gsvm_assert(now[i] == ctl->rounds[i] || now[i] == ctl->rounds[i] + 1,
			    "wild word %d is %llu, the work-item counted %llu\n", i,
			    (unsigned long long)now[i], (unsigned long long)ctl->rounds[i]);
	}
	reserve_aside(w->aside + 2 * PAGE);
	queue_close(q);
	return true;
}

void worker_check_taken(struct worker *w)
{
	unsigned int i;

	check_moved(w);
	for (i = 0; i < MIXED; i++)
		check_old(w, &w->place[i]);
}
