/* SPDX-License-Identifier: MIT */
/*
 * gsvm_stress: its threads, their cells, and the changes they make.
 */
#ifndef GSVM_STRESS_H
#define GSVM_STRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "gsvm_cell.h"
#include "gsvm_igt.h"
#include "gsvm_proc.h"

#define THREADS		4
#define RUNS		3	/* stretches of 64 pages around a boundary of 2 MiB */
#define RUN_PAGES	64
#define MIXED		(RUNS * RUN_PAGES / THREADS)	/* cells per thread */
#define LARGE		16	/* cells in the thread's huge page */
#define TWINS		4	/* cells that the kernel may merge */
#define CELLS		(MIXED + LARGE + TWINS)
#define ITEMS		32	/* work-items; few, so that they come around fast */
#define TURNS		4	/* pages of a file that a cell goes through */
#define ASIDE		4	/* pages of a thread's own scratch space */

/*
 * Far below where mmap() puts what may lie anywhere: holes stay holes until
 * the thread fills them.
 */
#define ZONE		0x100000000000ul
#define ZONE_LARGE	(ZONE + (16ul << 20))
#define ZONE_TWINS	(ZONE + (32ul << 20))
#define ZONE_ASIDE	(ZONE + (48ul << 20))
#define ZONE_WILD	(ZONE + (64ul << 20))
#define ZONE_SIZE	(80ul << 20)

/**
 * struct spot - a cell among those of all threads
 * @file: mapped from the thread's file, else anonymous
 * @turn: which of its TURNS pages of the file
 * @old: the page of the file that was replaced last, at @old_offset
 */
struct spot {
	struct cell cell;
	bool file;
	unsigned int turn;
	off_t old_offset;
	struct taken old;
};

/**
 * struct worker - one thread and what belongs to it
 * @number: 0 to THREADS - 1
 * @random: state of its own generator
 * @fd: its file
 * @place: cells between those of the others
 * @large: cells in @block
 * @twin: cells in pages that are equal
 * @aside: scratch pages; the first one holds @moved
 * @moved: what was moved away under the GPU's hands
 * @wild: page of the job that loses it
 * @queue: of the large job
 * @done: changes that took effect, @tried: all, @time_ns: how long they took; by
 *	index of the table
 */
struct worker {
	struct queue *queue;
	unsigned int number;
	uint64_t random;
	int fd, wild_fd;
	struct spot place[MIXED];
	struct cell large[LARGE];
	struct cell twin[TWINS];
	char *block, *aside;
	struct taken moved;
	uint64_t *wild;
	struct ctl *wild_ctl;
	unsigned int done[32], tried[32];
	int64_t time_ns[32];
};

struct change {
	const char *name;
	bool (*run)(struct worker *w);	/* false: had no effect this time */
	unsigned int weight;
	bool (*possible)(void);
};

/* Changes, by file; each returns whether it had an effect. */
bool change_map_over(struct worker *w);
bool change_mremap_over(struct worker *w);
bool change_mremap_dontunmap(struct worker *w);
bool change_dontneed(struct worker *w);
bool change_punch_hole(struct worker *w);
bool change_unmap(struct worker *w);
bool change_protect_none(struct worker *w);
bool change_protect_read(struct worker *w);
bool change_move_away(struct worker *w);
bool change_wild(struct worker *w);

bool change_rewrite(struct worker *w);
bool change_page_out(struct worker *w);
bool change_move_pages(struct worker *w);
bool change_migrate_pages(struct worker *w);
bool change_compact(struct worker *w);
bool change_soft_dirty(struct worker *w);
bool change_prefetch(struct worker *w);
bool change_policy(struct worker *w);
bool change_collapse(struct worker *w);
bool change_split(struct worker *w);
bool change_fork(struct worker *w);
bool change_ksm(struct worker *w);

/* Can they be made on this machine? */
bool two_nodes(void);
bool has_soft_dirty(void);
bool ksm_start(void);
void ksm_stop(void);

/* What was taken away must not have changed since, to the very end. */
void worker_check_taken(struct worker *w);

uint64_t worker_random(struct worker *w, uint64_t n);
struct spot *worker_pick(struct worker *w);	/* one of the mixed ones */
void *map_at(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *move_to(void *from, void *to, int flags);
void reserve_aside(void *at);

#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

#endif
