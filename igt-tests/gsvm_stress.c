// SPDX-License-Identifier: MIT
/*
 * One process changes its address space as fast as it can, from four threads,
 * while the GPU reads and writes all of it through the same pointers.
 *
 * Every page is a cell (lib/gsvm_cell.h): it says whose it is, which generation
 * it has and what the GPU did to it, so that every wrong word is known as one.
 * The changes are of three kinds:
 *
 * - *Transparent*: what the kernel may do to a page without anybody noticing
 *   (migration, also to VRAM and back, swap, compaction, copy-on-write, huge
 *   pages made and split).
 *   The GPU goes on reading and writing, and no increment may get lost.
 * - *Replacements*: another page comes to the same address in one step. The GPU
 *   goes on; what is taken away must not change any more, what is new must be
 *   seen, and every increment is in exactly one of the two.
 * - *Removals*: nothing is there for a while. The GPU has left the cell before,
 *   and comes back after. The other cells of the block, which belong to other
 *   threads, are in use all the time.
 *
 * So no access of the large job can fail, and a fault that ends its queue is a
 * failure of the test. The "wild" change is the exception: a small job of its
 * own loses its page while it writes, and must end with the right record.
 *
 * The cells of the four threads are dealt out page by page across boundaries
 * of 2 MiB. What is freed goes back to the kernel, and comes back to others.
 *
 * GSVM_STRESS_SECONDS is how long the subtest "all" goes on (default 600; the
 * others take at most 10), GSVM_STRESS_SEED chooses the changes.
 */
#include <fcntl.h>
#include <glob.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "gsvm_stress.h"

static struct stress *stress;
static struct queue *queue;
static struct worker worker[THREADS];
static struct thread thread[THREADS];
static uint64_t ending;
static sem_t ended;
static const struct change *changes[32];

/* ---- the threads ----------------------------------------------------------- */

static const struct change all_changes[] = {
	{ "rewrite", change_rewrite, 16, NULL },
	{ "map-over", change_map_over, 40, NULL },
	{ "mremap-over", change_mremap_over, 24, NULL },
	{ "mremap-dontunmap", change_mremap_dontunmap, 40, NULL },
	{ "dontneed", change_dontneed, 40, NULL },
	{ "punch-hole", change_punch_hole, 24, NULL },
	{ "unmap", change_unmap, 32, NULL },
	{ "protect-none", change_protect_none, 24, NULL },
	{ "protect-read", change_protect_read, 24, NULL },
	{ "move-away", change_move_away, 24, NULL },
	{ "pageout", change_page_out, 24, swap_available },
	{ "move-pages", change_move_pages, 3, two_nodes },
	{ "migrate-pages", change_migrate_pages, 1, two_nodes },
	{ "compact", change_compact, 1, NULL },
	{ "soft-dirty", change_soft_dirty, 2, has_soft_dirty },
	{ "prefetch", change_prefetch, 12, NULL },
	{ "policy", change_policy, 2, NULL },
	{ "collapse", change_collapse, 3, NULL },
	{ "split", change_split, 6, NULL },
	{ "fork", change_fork, 4, NULL },
	{ "ksm", change_ksm, 3, ksm_start },
	{ "wild", change_wild, 2, NULL },
};

#define N_CHANGES	(sizeof(all_changes) / sizeof(all_changes[0]))

static unsigned int choose(struct worker *w)
{
	unsigned int i, sum = 0, at;

	for (i = 0; changes[i]; i++)
		sum += changes[i]->weight;
	at = worker_random(w, sum);
	for (i = 0; at >= changes[i]->weight; i++)
		at -= changes[i]->weight;
	return i;
}

static void worker_ended(void *unused)
{
	(void)unused;
	sem_post(&ended);
}

static void each_cell(struct worker *w, void (*f)(struct cell *))
{
	unsigned int i;

	for (i = 0; i < MIXED; i++)
		f(&w->place[i].cell);
	for (i = 0; i < LARGE; i++)
		f(&w->large[i]);
	for (i = 0; i < TWINS; i++)
		f(&w->twin[i]);
}

static void rest(struct cell *c)
{
	cell_allow(c, SLOT_READ);
	cell_check(c, true, "at rest");
}

static void worker_loop(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	pthread_cleanup_push(worker_ended, NULL);
	while (!gsvm_peek(&ending)) {
		int64_t start = gsvm_deadline(0);

		i = choose(w);
		w->tried[i]++;
		w->done[i] += changes[i]->run(w);
		w->time_ns[i] += gsvm_deadline(0) - start;
		stress_check(stress);
	}
	worker_check_taken(w);
	each_cell(w, rest);
	pthread_cleanup_pop(1);
}

/* ---- setting up ------------------------------------------------------------ */

static void init_worker(struct worker *w, unsigned int number, uint64_t seed)
{
	unsigned int slot = number * CELLS, i, k;
	char *twins = (char *)ZONE_TWINS + number * HUGE;

	*w = (struct worker){
		.queue = queue, .number = number, .random = stress_mix(seed + number) | 1,
	};
	w->fd = make_memfd(MIXED * TURNS * PAGE);
	w->wild_fd = make_memfd(PAGE);
	w->wild_ctl = map_shared(PAGE);
	w->wild = (uint64_t *)(ZONE_WILD + number * HUGE);
	w->block = (char *)ZONE_LARGE + number * HUGE;
	w->aside = (char *)ZONE_ASIDE + number * HUGE;
	map_at(w->aside, ASIDE * PAGE, PROT_NONE, ANON, -1, 0);
	map_at(w->block, HUGE, RW, ANON, -1, 0);
	gsvm_sys(madvise(w->block, HUGE, MADV_HUGEPAGE));
	map_at(twins, TWINS * PAGE, RW, ANON, -1, 0);

	for (i = 0; i < MIXED; i++) {
		/* Page by page to the threads, around each boundary of 2 MiB. */
		unsigned int n = i * THREADS + number, run = n / RUN_PAGES;
		char *page = (char *)ZONE + (run + 1) * HUGE +
			     ((long)(n % RUN_PAGES) - RUN_PAGES / 2) * (long)PAGE;

		cell_init(&w->place[i].cell, stress, slot++, page);
	}
	for (i = 0; i < LARGE; i++)
		cell_init(&w->large[i], stress, slot++, w->block + i * (HUGE / LARGE));
	for (i = 0; i < TWINS; i++) {
		cell_init(&w->twin[i], stress, slot++, twins + i * PAGE);
		w->twin[i].slot->self = U(twins);
	}
	for (i = 0; i < MIXED; i++)
		cell_fill(&w->place[i].cell);
	for (i = 0; i < LARGE; i++)
		cell_fill(&w->large[i]);
	for (k = 0; k < TWINS; k++)
		cell_fill(&w->twin[k]);
	/* Has no effect where there is no KSM. */
	madvise(twins, TWINS * PAGE, MADV_MERGEABLE);
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

static void set_up(uint64_t seed)
{
	unsigned int i;

	stress = map_shared(sizeof(*stress) + THREADS * CELLS * sizeof(struct slot));
	ending = 0;
	gsvm_sys(sem_init(&ended, 0, 0));
	munmap((void *)ZONE, ZONE_SIZE);	/* of a subtest that failed */
	map_at((void *)ZONE, (RUNS + 1) * HUGE, RW, ANON, -1, 0);
	gsvm_sys(madvise((void *)ZONE, (RUNS + 1) * HUGE, MADV_HUGEPAGE));
	for (i = 0; i < THREADS; i++)
		init_worker(&worker[i], i, seed);
}

static void put_to_work(struct cell *c)
{
	/* The twins are at work when their change says so. */
	if (c->slot->self >> 8 == U(c->page))
		cell_allow(c, SLOT_WRITE);
	else
		cell_allow(c, SLOT_READ);
}

/* ---- what the GPU says of itself ------------------------------------------- */

/**
 * struct counts - of the device and the VM
 */
struct counts {
	unsigned long long violations, stale_uses;
	uint64_t visits, writes;
	struct drm_gsvm_vm_query vm;
};

static void read_counts(struct counts *n)
{
	bool violations = false, stale = false;
	unsigned int i;
	char line[128];
	glob_t files;
	FILE *f;

	memset(n, 0, sizeof(*n));
	gsvm_assert(!glob("/sys/kernel/debug/dri/*/stats", 0, NULL, &files),
		    "no statistics in debugfs\n");
	f = fopen(files.gl_pathv[0], "re");
	while (f && fgets(line, sizeof(line), f)) {
		violations |= sscanf(line, "violations: %llu", &n->violations) == 1;
		stale |= sscanf(line, "stale_uses: %llu", &n->stale_uses) == 1;
	}
	if (f)
		fclose(f);
	globfree(&files);
	gsvm_assert(violations && stale, "the statistics lack violations or stale uses\n");
	for (i = 0; i < THREADS * CELLS; i++) {
		n->visits += gsvm_peek(&stress->slot[i].visits);
		n->writes += gsvm_peek(&stress->slot[i].writes);
	}
	igt_gsvm_vm_query(queue->fd, queue->vm, &n->vm, 0);
}

typedef unsigned long long ull;

static void print_progress(unsigned int seconds, struct counts *last)
{
	unsigned int done = 0, wild_jobs = 0, i, k;
	struct counts n;

	read_counts(&n);
	for (i = 0; i < THREADS; i++)
		for (k = 0; changes[k]; k++) {
			done += worker[i].done[k];
			if (changes[k]->run == change_wild)
				wild_jobs += worker[i].done[k];
		}
	printf("%4u s: %u changes, %llu visits, %llu increments, %llu faults, %llu invalidations, %u jobs ended by force, %llu uses of old entries, %llu violations\n",
	       seconds, done, (ull)n.visits, (ull)n.writes, (ull)n.vm.faults,
	       (ull)n.vm.invalidations, wild_jobs, n.stale_uses, n.violations);
	fflush(stdout);
	gsvm_assert(!n.violations, "the GPU made %llu accesses after an invalidation\n",
		    n.violations);
	gsvm_assert(n.visits > last->visits, "the GPU stands still: %llu visits\n",
		    (ull)n.visits);
	*last = n;
}

static void print_changes(void)
{
	unsigned int done, tried, i, k;
	int64_t ns;

	for (k = 0; changes[k]; k++) {
		for (done = tried = ns = 0, i = 0; i < THREADS; i++) {
			done += worker[i].done[k];
			tried += worker[i].tried[k];
			ns += worker[i].time_ns[k];
		}
		printf("      %-16s %7u, %7u without effect, %6.1f ms each\n", changes[k]->name,
		       done, tried - done, tried ? ns / 1e6 / tried : 0);
		/* One that never takes effect tests nothing. */
		gsvm_assert(done || tried < 32, "%s never had an effect in %u attempts\n",
			    changes[k]->name, tried);
	}
}

/*
 * Nothing changes any more, so every entry in use must be what the page table
 * says. An invalidation that was never sent shows here.
 */
static void check_quiet(void)
{
	struct counts before, after;
	unsigned int i, k;

	ksm_stop();
	for (i = 0; i < THREADS; i++)
		each_cell(&worker[i], put_to_work);
	for (i = 0; i < THREADS; i++) {
		cell_await_visits(&worker[i].place[0].cell, 1);
		for (k = 0; k < LARGE; k++)
			cell_await_visits(&worker[i].large[k], 1);
	}
	read_counts(&before);
	for (i = 0; i < THREADS; i++)
		for (k = 0; k < MIXED; k++)
			cell_await_visits(&worker[i].place[k].cell, 2);
	read_counts(&after);
	/* The kernel may still change something by itself; then it says so. */
	gsvm_assert(after.stale_uses == before.stale_uses ||
		    after.vm.invalidations != before.vm.invalidations,
		    "the GPU used %llu old entries while nothing changed\n",
		    after.stale_uses - before.stale_uses);
	for (i = 0; i < THREADS; i++)
		each_cell(&worker[i], rest);
}

/* ---- subtests -------------------------------------------------------------- */

#define PROGRESS	30	/* seconds from one line to the next */

static void go_on(unsigned int seconds)
{
	int64_t start = gsvm_deadline(0), now;
	struct counts last = { 0 };
	struct timespec until;
	unsigned int at = 0;

	while (at < seconds) {
		at = at + PROGRESS < seconds ? at + PROGRESS : seconds;
		now = gsvm_deadline(0);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += start / 1000000000 + at - now / 1000000000;
		/* Only a thread that failed ends before it is told to. */
		if (!sem_timedwait(&ended, &until))
			break;
		print_progress(at, &last);
	}
}

static void run_changes(struct queue *q, unsigned int seconds, uint64_t seed)
{
	uint64_t args[] = { 0, THREADS * CELLS, ITEMS };
	struct gsvm_signal *job;
	unsigned int i;

	queue = q;
	set_up(seed);
	args[0] = U(stress);
	/* In groups that are few enough for every core to have some. */
	job = gpu_launch_grid(queue, "stress", ITEMS, ITEMS / 8, args, 3);
	for (i = 0; i < THREADS; i++)
		each_cell(&worker[i], put_to_work);
	for (i = 0; i < THREADS; i++)
		gsvm_thread(&thread[i], worker_loop, &worker[i]);
	go_on(seconds);
	gsvm_poke(&ending, 1);
	gsvm_threads_join(thread, THREADS);
	check_quiet();
	gsvm_poke(&stress->stop, 1);
	gpu_wait(queue, job);
	stress_check(stress);
	print_changes();
	for (i = 0; i < THREADS; i++) {
		close(worker[i].fd);
		close(worker[i].wild_fd);
	}
	munmap((void *)ZONE, ZONE_SIZE);
	queue_close(queue);
}

/* @open: makes the queue; @names: of the changes, NULL at the end; all: "all". */
static void stress_with(struct queue *(*open)(void), const char *const *names,
			unsigned int seconds)
{
	uint64_t seed;
	unsigned int i, n = 0;

	gsvm_assert(getrandom(&seed, sizeof(seed), 0) == sizeof(seed), "getrandom\n");
	seed = number("GSVM_STRESS_SEED", seed % 1000000);
	igt_set_timeout(seconds + 240, "stress");
	for (i = 0; i < N_CHANGES; i++) {
		const struct change *c = &all_changes[i];
		unsigned int k;

		for (k = 0; names && names[k] && strcmp(names[k], c->name); k++)
			;
		if (names && !names[k])
			continue;
		if (c->possible && !c->possible()) {
			gsvm_require(!names || k, "%s: this kernel or machine cannot\n", c->name);
			printf("without %s: this kernel or machine cannot\n", c->name);
			continue;
		}
		changes[n++] = c;
	}
	changes[n] = NULL;
	printf("%u s, GSVM_STRESS_SEED=%llu\n", seconds, (ull)seed);
	run_changes(open(), seconds, seed);
}

#define SHORT_SECONDS	10

#define STRESS(function, open, ...)							\
	static void function(void)						\
	{									\
		static const char *const names[] = { __VA_ARGS__, NULL };	\
		unsigned int limit = number("GSVM_STRESS_SECONDS", SHORT_SECONDS);	\
										\
		stress_with(open, names, limit < SHORT_SECONDS ? limit : SHORT_SECONDS);	\
	}

/* What moves pages of system memory must find some there. */
STRESS(stress_replace, queue_open, "map-over", "mremap-over", "mremap-dontunmap")
STRESS(stress_discard, queue_open, "dontneed", "punch-hole", "map-over", "mremap-over")
STRESS(stress_unmap, queue_open, "unmap", "move-away", "map-over")
STRESS(stress_protect, queue_open, "protect-none", "protect-read", "unmap")
STRESS(stress_fork, queue_open, "fork", "rewrite", "unmap")
STRESS(stress_pageout, queue_open_system, "pageout", "rewrite", "map-over")
STRESS(stress_migrate, queue_open_system, "move-pages", "migrate-pages", "rewrite")
STRESS(stress_compact, queue_open_system, "compact", "unmap", "rewrite")
STRESS(stress_huge, queue_open, "collapse", "split", "pageout")
STRESS(stress_ksm, queue_open_system, "ksm", "rewrite")
STRESS(stress_soft_dirty, queue_open, "soft-dirty", "rewrite", "map-over")
STRESS(stress_vram, queue_open, "prefetch", "policy", "rewrite", "map-over", "fork", "split")
STRESS(stress_wild, queue_open, "wild", "unmap")

static void stress_all(void)
{
	stress_with(queue_open, NULL, number("GSVM_STRESS_SECONDS", 600));
}

static const struct gsvm_subtest tests[] = {
	{ "replace", stress_replace, "mmap and mremap over pages in use" },
	{ "discard", stress_discard, "MADV_DONTNEED, holes in a file" },
	{ "unmap", stress_unmap, "munmap, mremap away and back" },
	{ "protect", stress_protect, "mprotect" },
	{ "fork", stress_fork, "fork and exit" },
	{ "pageout", stress_pageout, "swap" },
	{ "migrate", stress_migrate, "pages move between NUMA nodes" },
	{ "compact", stress_compact, "compaction" },
	{ "huge", stress_huge, "huge pages are made and split" },
	{ "ksm", stress_ksm, "equal pages are merged" },
	{ "soft-dirty", stress_soft_dirty, "soft-dirty tracking" },
	{ "vram", stress_vram, "pages move to VRAM and back" },
	{ "wild", stress_wild, "jobs that lose their page while they write" },
	{ "all", stress_all, "all of these, for a long time" },
};

GSVM_MAIN(tests)
