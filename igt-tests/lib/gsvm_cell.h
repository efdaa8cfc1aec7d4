/* SPDX-License-Identifier: MIT */
/*
 * A cell is a slot of kernels/stress.h as its thread knows it: the page, what
 * has to be in it, and how many of the GPU's increments earlier pages took
 * with them. So that "wrong" can be decided at any moment:
 *
 *	taken + PAGE_COUNT of the page == slot->writes
 *
 * exactly while the GPU may not write, and up to the one increment that is
 * under way while it may.
 */
#ifndef GSVM_CELL_H
#define GSVM_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "stress.h"

#define PAGE_WORDS	512

/**
 * struct cell - one page, known to its thread alone
 * @stress: the job
 * @slot: what the GPU knows of it
 * @page: where it is
 * @gen: its generation
 * @epoch: the generation it came into being with
 * @cpu: the thread's own count
 * @taken: increments in pages that are gone
 * @born_after: increments up to this one went to earlier pages
 * @born_by: increments from here on go to this page; between: to either
 */
struct cell {
	struct stress *stress;
	struct slot *slot;
	uint64_t *page;
	uint64_t gen, epoch, cpu;
	uint64_t taken;
	uint64_t born_after, born_by;
};

/* A page that was taken away under the GPU's hands, and what was in it then. */
struct taken {
	uint64_t words[PAGE_WORDS];
	uint64_t addr;
	bool there;
};

void cell_init(struct cell *c, struct stress *stress, unsigned int number, void *page);

/* What the GPU may do from now on; returns when it does no more than that. */
void cell_allow(struct cell *c, uint64_t mode);
/* It has come by @n times since this call. */
void cell_await_visits(struct cell *c, uint64_t n);

/* Announce a new generation; it is visible; the older ones cannot be any more. */
void cell_next(struct cell *c);
void cell_next_through_zero(struct cell *c);
void cell_settled(struct cell *c);

/*
 * Make a page: prepared in memory that the GPU does not see, or in place where
 * it finds zeroes and may be at work. Its generation is the announced one.
 */
void cell_prepare(const struct cell *c, uint64_t *words);
void cell_fill(struct cell *c);

/*
 * The page that was is one with @words now, in a state that does not change
 * any more, and another one is in its place. @before: slot->writes before the
 * change began. cell_take_quiet() is for a GPU that could not write meanwhile.
 */
void cell_take(struct cell *c, const uint64_t *words, uint64_t before);
void cell_take_quiet(struct cell *c);

/* Another generation in the page that there is, by the CPU's plain stores. */
void cell_rewrite(struct cell *c);

/* Check all words. @quiet: the GPU may not write. cell_check_words(): the CPU's alone. */
void cell_check_words(struct cell *c, const uint64_t *words, const char *what);
void cell_check(struct cell *c, bool quiet, const char *what);
void cell_check_at(struct cell *c, const uint64_t *words, bool quiet, const char *what);

/* Keep what was in a page when it was taken away; it must stay so. */
void taken_keep(struct taken *t, const uint64_t *words, uint64_t addr);
void taken_check(struct taken *t, const uint64_t *words, const char *what);

/* Fail with the GPU's finding if there is one. */
void stress_check(const struct stress *stress);

#endif
