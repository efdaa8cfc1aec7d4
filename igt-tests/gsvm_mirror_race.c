// SPDX-License-Identifier: MIT
/*
 * The CPU changes the address space while the GPU uses it.
 *
 * Reading jobs: every page carries a generation. The CPU raises the ceiling
 * before it makes a newer generation visible and the floor after the call that
 * removed the older ones has returned; the GPU loads the floor, then the page,
 * then the ceiling. A value outside is a stale or a torn view.
 *
 * Writing jobs: the GPU counts in the page and keeps a count of its own. What
 * is taken away from it must not change afterwards, and nothing may get lost.
 */
#include <fcntl.h>
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define ITEMS		8
#define PAGES		16
#define SIZE		(PAGES * PAGE)
#define GENERATIONS	24

/**
 * struct watcher - a job that reads generations
 * @stride: distance of its pages, so that several can share one 2 MiB block
 * @last: newest generation to come
 */
struct watcher {
	struct queue *q;
	struct ctl *ctl;
	struct gsvm_signal *job;
	char *base;
	size_t stride;
	uint64_t last;
};

static void watch_start(struct watcher *w, struct queue *q, void *base, size_t stride)
{
	*w = (struct watcher){ .q = q, .base = base, .stride = stride,
				.last = GENERATIONS };
	w->ctl = map_shared(PAGE);
	w->ctl->floor = w->ctl->ceiling = 1;
	w->job = gpu_launch(q, "watch", ITEMS, U(w->ctl), U(base), stride, PAGES, ITEMS);
}

/* Every work-item has looked at every page since this call. */
static void watch_rounds(struct watcher *w)
{
	uint64_t before[ITEMS];
	int i;

	for (i = 0; i < ITEMS; i++)
		before[i] = gsvm_peek(&w->ctl->rounds[i]);
	for (i = 0; i < ITEMS; i++)
		gsvm_await(&w->ctl->rounds[i], before[i] + 2, "rounds of a watching work-item");
}

static void watch_end(struct watcher *w)
{
	watch_rounds(w);
	gsvm_poke(&w->ctl->stop, 1);
	gpu_wait(w->q, w->job);
	gsvm_assert(!w->ctl->bad,
		    "GPU saw %llu illegal values; first at %#llx (page %llu): generation %llu with floor %llu and ceiling %llu\n",
		    (unsigned long long)w->ctl->bad, (unsigned long long)w->ctl->bad_addr,
		    (unsigned long long)((w->ctl->bad_addr - U(w->base)) / w->stride),
		    (unsigned long long)w->ctl->bad_value,
		    (unsigned long long)w->ctl->bad_floor,
		    (unsigned long long)w->ctl->bad_ceiling);
	munmap(w->ctl, PAGE);
}

/* Let the GPU see a generation before it goes, but not every one. */
static void watch_some(struct watcher *w, int generation)
{
	if (generation % 4 == 0)
		watch_rounds(w);
}

/* Page i of the watcher gets the pages of a file, generation by generation. */
static void map_fixed_loop(struct watcher *w)
{
	int fd = make_memfd((w->last + 1) * PAGE);
	uint64_t g;
	int i;

	for (g = 1; g <= w->last; g++)
		gsvm_assert(pwrite(fd, &g, 8, g * PAGE) == 8, "pwrite\n");
	for (g = 2; g <= w->last; g++) {
		gsvm_poke(&w->ctl->ceiling, g);
		for (i = 0; i < PAGES; i++)
			gsvm_assert(mmap(w->base + i * w->stride, PAGE, PROT_READ,
					 MAP_SHARED | MAP_FIXED, fd, g * PAGE) != MAP_FAILED,
				    "mmap: %s\n", strerror(errno));
		gsvm_poke(&w->ctl->floor, g);
		watch_some(w, g);
	}
	close(fd);
}

/* Fresh anonymous pages, filled aside, are moved over the old ones. */
static void mremap_loop(struct watcher *w)
{
	uint64_t g;
	int i;

	for (g = 2; g <= w->last; g++) {
		gsvm_poke(&w->ctl->ceiling, g);
		for (i = 0; i < PAGES; i++) {
			char *fresh = map_anon(PAGE);

			*(uint64_t *)fresh = g;
			gsvm_assert(mremap(fresh, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					   w->base + i * w->stride) != MAP_FAILED,
				    "mremap: %s\n", strerror(errno));
		}
		gsvm_poke(&w->ctl->floor, g);
		watch_some(w, g);
	}
}

static void dontneed_loop(struct watcher *w)
{
	uint64_t g;
	int i;

	gsvm_poke(&w->ctl->zero_ok, 1);
	for (g = 2; g <= w->last; g++) {
		for (i = 0; i < PAGES; i++)
			gsvm_sys(madvise(w->base + i * w->stride, PAGE, MADV_DONTNEED));
		gsvm_poke(&w->ctl->floor, g);
		gsvm_poke(&w->ctl->ceiling, g);
		cpu_set(w->base, w->stride, PAGES, g, 0);
		watch_some(w, g);
	}
	gsvm_poke(&w->ctl->zero_ok, 0);
}

/* The permission changes under a reader, and the CPU writes in between. */
static void mprotect_loop(struct watcher *w)
{
	uint64_t g;
	int i;

	for (g = 2; g <= w->last; g++) {
		for (i = 0; i < PAGES; i++)
			gsvm_sys(mprotect(w->base + i * w->stride, PAGE, PROT_READ));
		watch_some(w, g);
		for (i = 0; i < PAGES; i++)
			gsvm_sys(mprotect(w->base + i * w->stride, PAGE,
					  PROT_READ | PROT_WRITE));
		gsvm_poke(&w->ctl->ceiling, g);
		cpu_set(w->base, w->stride, PAGES, g, 0);
		gsvm_poke(&w->ctl->floor, g);
		watch_some(w, g);
	}
}

static void with_watcher(void (*loop)(struct watcher *))
{
	struct queue *q = queue_open();
	char *base = map_anon(SIZE);
	struct watcher w;

	cpu_set(base, PAGE, PAGES, 1, 0);
	watch_start(&w, q, base, PAGE);
	watch_rounds(&w);
	loop(&w);
	watch_end(&w);
	queue_close(q);
}

static void map_fixed(void)
{
	with_watcher(map_fixed_loop);
}

static void mremap_over(void)
{
	with_watcher(mremap_loop);
}

static void dontneed(void)
{
	with_watcher(dontneed_loop);
}

static void mprotect_toggle(void)
{
	with_watcher(mprotect_loop);
}

/* One file page after another is punched out of a shared mapping. */
static void hole_punch(void)
{
	struct queue *q = queue_open();
	int fd = make_memfd(SIZE), i;
	char *base = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct watcher w;
	uint64_t g;

	gsvm_assert(base != MAP_FAILED, "mmap\n");
	cpu_set(base, PAGE, PAGES, 1, 0);
	watch_start(&w, q, base, PAGE);
	watch_rounds(&w);
	gsvm_poke(&w.ctl->zero_ok, 1);
	for (g = 2; g <= GENERATIONS; g++) {
		for (i = 0; i < PAGES; i += 4)
			gsvm_sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   i * PAGE, 4 * PAGE));
		gsvm_poke(&w.ctl->floor, g);
		gsvm_poke(&w.ctl->ceiling, g);
		for (i = 0; i < PAGES; i++)
			gsvm_assert(pwrite(fd, &g, 8, i * PAGE) == 8, "pwrite\n");
		watch_some(&w, g);
	}
	watch_end(&w);
	munmap(base, SIZE);
	close(fd);
	queue_close(q);
}

static void loop_thread(void *arg)
{
	struct { struct watcher w; void (*loop)(struct watcher *); } *job = arg;

	job->loop(&job->w);
	watch_end(&job->w);
}

/* Four kinds of change at once, page by page through the same 2 MiB blocks. */
static void all_at_once(void)
{
	static void (*const loops[4])(struct watcher *) = {
		map_fixed_loop, mremap_loop, dontneed_loop, mprotect_loop,
	};
	struct { struct watcher w; void (*loop)(struct watcher *); } job[4];
	struct queue *q = queue_open();
	char *base = map_huge_aligned(HUGE);
	struct thread thread[4];
	int i;

	cpu_set(base, PAGE, 512, 1, 0);
	for (i = 0; i < 4; i++) {
		/* Threads share the VM, but not a ring. */
		watch_start(&job[i].w, queue_open_vm(q->fd, q->vm), base + i * PAGE, 4 * PAGE);
		job[i].w.last = 5;
		job[i].loop = loops[i];
	}
	for (i = 0; i < 4; i++)
		gsvm_thread(&thread[i], loop_thread, &job[i]);
	for (i = 0; i < 4; i++)
		gsvm_thread_join(&thread[i]);
	cpu_check(base + 4 * PAGES * PAGE, PAGE, 512 - 4 * PAGES, 1, 0, "pages nobody changed");
	for (i = 0; i < 4; i++)
		queue_close(job[i].w.q);
	queue_close(q);
}

/* The neighbours come and go; the pages in use must not suffer. */
static void neighbours(void)
{
	struct counter c;
	char *base = map_huge_aligned(HUGE);
	int round, i;

	cpu_set(base, 8 * PAGE, CTL_ITEMS, 0, 0);
	counter_start(&c, "pump", base, 8 * PAGE, CTL_ITEMS);
	for (round = 0; round < 20; round++)
		for (i = 0; i < CTL_ITEMS; i++) {
			char *p = base + i * 8 * PAGE + PAGE;

			gsvm_sys(mprotect(p, PAGE, PROT_NONE));
			gsvm_sys(munmap(p + PAGE, 2 * PAGE));
			gsvm_sys(madvise(p + 3 * PAGE, 2 * PAGE, MADV_DONTNEED));
			gsvm_assert(mmap(p + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
					 0) != MAP_FAILED, "mmap\n");
			gsvm_sys(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
			*(volatile uint64_t *)p = round;
		}
	counter_end(&c);
}

/*
 * Each generation is a page of its own in the file, mapped at the same
 * address. After the replacement the old one must not change any more.
 */
static void replace_under_writer(void)
{
	struct queue *q = queue_open();
	int fd = make_memfd(GENERATIONS * PAGE), g;
	uint64_t *file = mmap(NULL, GENERATIONS * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t kept[GENERATIONS], sum[ITEMS] = { 0 };
	struct ctl *ctl = map_shared(PAGE);
	struct gsvm_signal *job;
	uint64_t *page;
	int i;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	gsvm_assert(page != MAP_FAILED && file != MAP_FAILED, "mmap\n");
	job = gpu_launch(q, "count", ITEMS, U(ctl), U(page), 8);
	for (g = 0; g < GENERATIONS; g++) {
		uint64_t seen = gsvm_peek(&ctl->rounds[g % ITEMS]);

		gsvm_await(&ctl->rounds[g % ITEMS], seen + 3, "progress of a counting work-item");
		if (g + 1 < GENERATIONS)
			gsvm_assert(mmap(page, PAGE, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_FIXED, fd,
					 (g + 1) * PAGE) != MAP_FAILED, "mmap\n");
		kept[g] = 0;
		for (i = 0; g + 1 < GENERATIONS && i < ITEMS; i++)
			kept[g] += gsvm_peek(&file[g * PAGE / 8 + i]);
	}
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	for (g = 0; g < GENERATIONS; g++) {
		uint64_t now = 0;

		for (i = 0; i < ITEMS; i++) {
			now += file[g * PAGE / 8 + i];
			sum[i] += file[g * PAGE / 8 + i];
		}
		gsvm_assert(g + 1 == GENERATIONS || now == kept[g],
			    "generation %d was written after its replacement: %llu, then %llu\n",
			    g, (unsigned long long)kept[g], (unsigned long long)now);
	}
	for (i = 0; i < ITEMS; i++)
		gsvm_assert_eq(sum[i], ctl->rounds[i], "increments found in all generations");
	close(fd);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "map-fixed", map_fixed, "MAP_FIXED under a reader" },
	{ "mremap-over", mremap_over, "mremap over what the GPU reads" },
	{ "dontneed", dontneed, "MADV_DONTNEED under a reader" },
	{ "mprotect-toggle", mprotect_toggle, "mprotect under a reader" },
	{ "hole-punch", hole_punch, "holes punched into the file that the GPU reads" },
	{ "all-at-once", all_at_once, "all of these by four threads in the same blocks" },
	{ "neighbours", neighbours, "neighbour pages change under a writer" },
	{ "replace-under-writer", replace_under_writer,
	  "MAP_FIXED under a writer: old pages are left alone, no increment is lost" },
};

GSVM_MAIN(tests)
