// SPDX-License-Identifier: MIT
/*
 * PREFETCH: both ways, at once and in the background, interrupted, in the
 * middle of everything else.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

static void both_ways(void)
{
	struct queue *q = queue_open();
	size_t size = 5 * HUGE + 5 * PAGE, pages = size / PAGE;
	char *p = map_block(size);
	int round;

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	cpu_fill(p, size, 0, WHOLE);
	for (round = 0; round < 4; round++) {
		gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_VRAM), pages, "pages moved");
		expect_vram(q, p, size, "prefetched");
		gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_VRAM), 0, "moved again");
		gpu_verify(q, p, size, round, WHOLE, "in VRAM");
		gpu_pattern(q, p, size, round + 1, WHOLE);
		gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_SYSTEM), pages,
			       "pages moved back");
		expect_system(q, p, size, "prefetched back");
		gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_SYSTEM), 0,
			       "moved back again");
		cpu_verify(p, size, round + 1, WHOLE, "back");
	}
	queue_close(q);
}

static void huge_pages(void)
{
	struct queue *q = queue_open();
	size_t size = 4 * HUGE;
	char *p = map_thp(q, size, 1);
	struct place at;

	gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_VRAM), size / PAGE, "pages moved");
	expect_huge_vram(q, p, size, "prefetched");
	gpu_verify(q, p, size, 1, WHOLE, "in VRAM");
	expect_huge_vram(q, p, size, "used by the GPU");
	gpu_pattern(q, p, size, 2, WHOLE);
	gsvm_assert_eq(prefetch(q, p, size, DRM_GSVM_REGION_SYSTEM), size / PAGE, "moved back");
	expect_system(q, p, size, "prefetched back");
	at = place_of(q, p, size);
	gsvm_assert(at.huge == size / PAGE, "%zu of %zu pages are huge again\n", at.huge,
		    size / PAGE);
	cpu_verify(p, size, 2, WHOLE, "back");
	queue_close(q);
}

/* A part of a huge page moves; the whole keeps its content. */
static void part_of_huge(void)
{
	struct queue *q = queue_open();
	char *p = map_thp(q, HUGE, 1);

	prefetch(q, p + 100 * PAGE, 7 * PAGE, DRM_GSVM_REGION_VRAM);
	expect_vram(q, p + 100 * PAGE, 7 * PAGE, "the prefetched part");
	gpu_verify(q, p, HUGE, 1, WHOLE, "all of it");
	to_vram(q, p, HUGE);
	prefetch(q, p + 200 * PAGE, PAGE, DRM_GSVM_REGION_SYSTEM);
	expect_system(q, p + 200 * PAGE, PAGE, "the page that came back");
	gpu_pattern(q, p, HUGE, 2, WHOLE);
	cpu_verify(p, HUGE, 2, WHOLE, "all of it");
	queue_close(q);
}

/* Memory that nobody has touched is made in VRAM. */
static void untouched(void)
{
	struct queue *q = queue_open();
	char *p = map_block(2 * HUGE), *h = map_huge_aligned(HUGE);
	size_t at;

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	to_vram(q, p, 2 * HUGE);
	prefetch(q, h, HUGE, DRM_GSVM_REGION_VRAM);
	expect_huge_vram(q, h, HUGE, "huge memory");
	for (at = 0; at < 2 * HUGE; at += PAGE)
		gsvm_assert(!(pagemap(p + at) & PM_PRESENT), "page %zu is in memory\n",
			    at / PAGE);
	gpu_check(q, p, 64, 2 * HUGE / 64, 0, 0);
	gpu_check(q, h, 64, HUGE / 64, 0, 0);
	expect_vram(q, p, 2 * HUGE, "read by the GPU");
	cpu_check(p, 64, 2 * HUGE / 64, 0, 0, "memory that was made in VRAM");
	cpu_check(h, 64, HUGE / 64, 0, 0, "huge memory that was made in VRAM");
	queue_close(q);
}

/* Over mappings of all kinds and the gaps between them. */
static void over_gaps(void)
{
	struct queue *q = queue_open();
	size_t size = 4 * HUGE, pages;
	char *p = map_block(size), *file;
	int fd = make_memfd(16 * PAGE);

	cpu_fill(p, size, 1, SPARSE);
	gsvm_sys(munmap(p + 10 * PAGE, 3 * PAGE));
	gsvm_sys(munmap(p + HUGE - 2 * PAGE, 4 * PAGE));
	gsvm_sys(mprotect(p + 2 * HUGE, 10 * PAGE, PROT_NONE));
	gsvm_sys(mprotect(p + 2 * HUGE + 10 * PAGE, 10 * PAGE, PROT_READ));
	file = mmap(p + 3 * HUGE, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    fd, 0);
	gsvm_assert(file != MAP_FAILED, "mmap: %s\n", strerror(errno));
	cpu_fill(file, 16 * PAGE, 2, SPARSE);
	pages = prefetch(q, p, size, DRM_GSVM_REGION_VRAM);
	gsvm_assert(pages >= size / PAGE - 3 - 4 - 10 - 16 && pages <= size / PAGE - 3 - 4 - 16,
		    "%zu pages moved\n", pages);
	expect_vram(q, p, 10 * PAGE, "before the first gap");
	expect_vram(q, p + 13 * PAGE, HUGE - 15 * PAGE, "behind the first gap");
	expect_vram(q, p + HUGE + 2 * PAGE, HUGE - 2 * PAGE, "behind the second gap");
	expect_vram(q, p + 2 * HUGE + 10 * PAGE, HUGE - 10 * PAGE, "read-only and behind");
	expect_system(q, file, 16 * PAGE, "the file");
	expect_vram(q, file + 16 * PAGE, HUGE - 16 * PAGE, "behind the file");
	gsvm_sys(mprotect(p + 2 * HUGE, 10 * PAGE, PROT_READ));
	gpu_verify(q, p, 10 * PAGE, 1, SPARSE, "before the first gap");
	cpu_verify_part(p + 2 * HUGE, 2 * HUGE, HUGE, 1, SPARSE, "PROT_NONE, then not");
	cpu_verify(file, 16 * PAGE, 2, SPARSE, "the file");
	cpu_verify_part(p + HUGE + 2 * PAGE, HUGE + 2 * PAGE, HUGE - 2 * PAGE, 1, SPARSE,
			"behind the second gap");
	queue_close(q);
}

static void async(void)
{
	struct queue *q = queue_open();
	size_t size = 8 * HUGE;
	char *p = map_block(size);
	struct gsvm_signal *signal = make_signal(1);

	cpu_fill(p, size, 1, SPARSE);
	prefetch_async(q, p, size, DRM_GSVM_REGION_VRAM, signal);
	wait_done(q, signal, "prefetch to VRAM");
	expect_vram(q, p, size, "when the signal came");
	gpu_verify(q, p, size, 1, SPARSE, "in VRAM");
	signal->value = 1;
	prefetch_async(q, p, size, DRM_GSVM_REGION_SYSTEM, signal);
	wait_done(q, signal, "prefetch to system memory");
	expect_system(q, p, size, "when the signal came");
	cpu_verify(p, size, 1, SPARSE, "back");
	queue_close(q);
}

/* One signal counts many; they may overlap, and nothing gets lost. */
static void async_many(void)
{
	struct queue *q = queue_open();
	size_t n = 16, i;
	char *p = map_block(n * HUGE / 2);
	struct gsvm_signal *signal = make_signal(3 * n);

	cpu_fill(p, n * HUGE / 2, 1, SPARSE);
	for (i = 0; i < n; i++)
		prefetch_async(q, p + i * HUGE / 2, HUGE / 2, DRM_GSVM_REGION_VRAM, signal);
	for (i = 0; i < n; i++)
		prefetch_async(q, p + i * HUGE / 2, HUGE / 2, DRM_GSVM_REGION_SYSTEM, signal);
	for (i = 0; i < n; i++)
		prefetch_async(q, p, n * HUGE / 2, i % 2 ? DRM_GSVM_REGION_SYSTEM :
			       DRM_GSVM_REGION_VRAM, signal);
	wait_done(q, signal, "48 prefetches");
	gpu_verify(q, p, n * HUGE / 2, 1, SPARSE, "after all of them");
	cpu_verify(p, n * HUGE / 2, 1, SPARSE, "after all of them");
	queue_close(q);
}

/* A packet can wait for a prefetch: the GPU's barrier sees the signal. */
static void async_barrier(void)
{
	struct queue *q = queue_open();
	size_t size = 8 * HUGE;
	char *p = map_block(size);
	struct gsvm_signal *signal = make_signal(1), *job;
	struct { uint64_t bad, where, value; } *out = map_shared(PAGE);
	struct gsvm_pkt_barrier packet = {
		.header = GSVM_PKT_BARRIER_AND | 2u << GSVM_PKT_ACQUIRE_SHIFT |
			  2u << GSVM_PKT_RELEASE_SHIFT,
		.dep = { U(signal) },
	};

	cpu_fill(p, size, 1, SPARSE);
	job = gpu_submit(q, &packet, offsetof(struct gsvm_pkt_barrier, signal));
	prefetch_async(q, p, size, DRM_GSVM_REGION_VRAM, signal);
	gpu_wait(q, job);
	expect_vram(q, p, size, "when the barrier opened");
	gpu_run(q, "pattern_verify", size / PAGE, U(p), pattern_word(1, 0) - 1, SPARSE, U(out));
	gsvm_assert_eq(out->bad, 0, "wrong words behind the barrier");
	queue_close(q);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/*
 * A signal ends the call: at once, with what has moved left where it is. Faster
 * machines need a shorter time, so it is halved and doubled until one is hit.
 */
static void interrupted(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct queue *q = queue_open();
	size_t size = 24 * MIB;
	char *p = map_block(size);
	struct drm_gsvm_prefetch args = { .vm_id = q->vm, .start = U(p), .length = size };
	unsigned int usec = 2000, hits = 0, round;

	set_policy(q, DRM_GSVM_MIGRATE_NEVER);
	cpu_fill(p, size, 1, SPARSE);
	sigaction(SIGALRM, &action, NULL);
	for (round = 0; round < 60 && hits < 6; round++) {
		struct itimerval timer = { .it_value = { 0, usec } };
		int ret;

		args.region = round % 2 ? DRM_GSVM_REGION_SYSTEM : DRM_GSVM_REGION_VRAM;
		gsvm_sys(setitimer(ITIMER_REAL, &timer, NULL));
		ret = ioctl(q->fd, DRM_IOCTL_GSVM_PREFETCH, &args) ? errno : 0;
		timer.it_value.tv_usec = 0;
		gsvm_sys(setitimer(ITIMER_REAL, &timer, NULL));
		gsvm_assert(!ret || ret == EINTR, "PREFETCH: %s\n", strerror(ret));
		hits += ret == EINTR;
		/* Not hit: it was too late. Hit: do not always hit the beginning. */
		usec = ret ? (usec < 20000 ? usec * 3 / 2 : usec) : usec > 100 ? usec / 2 : 100;
		gpu_verify(q, p, size, 1, SPARSE, "after an interrupted prefetch");
	}
	gsvm_assert(hits, "no signal came in the middle of a prefetch in %u attempts\n", round);
	to_vram(q, p, size);
	cpu_verify(p, size, 1, SPARSE, "at the end");
	queue_close(q);
}

/* SIGKILL in the middle, of a call and of work in the background. */
static void killed(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	int round;

	for (round = 0; round < 6; round++) {
		struct child *c = gsvm_fork();

		if (!c->pid) {
			struct queue *own = queue_open();
			size_t size = 16 * MIB;
			char *p = map_block(size);
			struct gsvm_signal *signal = make_signal(1000);

			cpu_fill(p, size, 1, SPARSE);
			gsvm_tell(c);
			for (;;) {
				if (round % 2)
					prefetch_async(own, p, size, DRM_GSVM_REGION_SYSTEM,
						       signal);
				prefetch(own, p, size, DRM_GSVM_REGION_VRAM);
				prefetch(own, p, size, DRM_GSVM_REGION_SYSTEM);
			}
		}
		gsvm_hear(c);
		usleep(round * 3000);
		gsvm_kill(c);
	}
	expect_vram_free(q, unused, "after the death of all processes");
	queue_close(q);
}

/* The VM is destroyed: the work ends early, and the signal still comes. */
static void vm_destroyed(void)
{
	int round;

	for (round = 0; round < 8; round++) {
		int fd = gpu_open(0);
		uint32_t vm = igt_gsvm_vm_create(fd, 0);
		struct gsvm_signal *signal = make_signal(4);
		size_t size = 8 * HUGE;
		char *p = map_block(size);
		struct drm_gsvm_prefetch args = {
			.vm_id = vm, .flags = DRM_GSVM_PREFETCH_ASYNC, .start = U(p),
			.length = size, .signal = U(signal),
		};
		int64_t end;
		int i;

		cpu_fill(p, size, round, SPARSE);
		for (i = 0; i < 4; i++) {
			args.region = i % 2 ? DRM_GSVM_REGION_SYSTEM : DRM_GSVM_REGION_VRAM;
			igt_gsvm_prefetch(fd, &args, 0);
		}
		igt_gsvm_vm_destroy(fd, vm, 0);
		end = gsvm_deadline(gsvm_patience_ms());
		while (gsvm_peek((uint64_t *)&signal->value))
			gsvm_assert(gsvm_deadline(0) < end, "the signal stays %lld\n",
				    (long long)signal->value);
		cpu_verify(p, size, round, SPARSE, "after the VM is gone");
		if (round % 2)
			close(fd);
		gsvm_sys(munmap(p, size));
	}
}

/* munmap while a prefetch works on the memory. */
static void unmapped_meanwhile(void)
{
	struct queue *q = queue_open();
	uint64_t unused = vram_free(q);
	int round;

	for (round = 0; round < 12; round++) {
		size_t size = 6 * HUGE, i;
		char *p = map_block(size);
		struct gsvm_signal *signal = make_signal(1);

		cpu_fill(p, size, 1, SPARSE);
		prefetch_async(q, p, size, DRM_GSVM_REGION_VRAM, signal);
		for (i = 0; i < 6; i++)
			gsvm_sys(munmap(p + i * HUGE, HUGE - (round % 2) * PAGE));
		wait_done(q, signal, "prefetch of memory that goes away");
		if (round % 2)
			for (i = 0; i < 6; i++) {
				cpu_verify_part(p + (i + 1) * HUGE - PAGE, (i + 1) * HUGE - PAGE,
						PAGE, 1, SPARSE, "the page that was left");
				gsvm_sys(munmap(p + (i + 1) * HUGE - PAGE, PAGE));
			}
	}
	expect_vram_free(q, unused, "after munmap");
	queue_close(q);
}

struct mover {
	struct queue *q;
	char *p;
	size_t size;
	uint32_t region;
	unsigned int rounds;
	struct thread thread;
};

static void mover_loop(void *arg)
{
	struct mover *m = arg;
	unsigned int i;

	for (i = 0; i < m->rounds; i++)
		prefetch(m->q, m->p, m->size, m->region);
}

struct writer {
	char *p;
	size_t size;
	unsigned int word;
	uint64_t rounds;
	struct thread thread;
	uint64_t *stop;
};

/* Counts in a word of its own of each page. */
static void writer_loop(void *arg)
{
	struct writer *w = arg;
	size_t at;

	while (!gsvm_peek(w->stop)) {
		for (at = w->word * 8; at < w->size; at += PAGE)
			++*(volatile uint64_t *)(w->p + at);
		w->rounds++;
	}
}

/* Threads move the same memory in opposite directions, others write to it. */
static void opposite(void)
{
	struct queue *q = queue_open();
	size_t size = 2 * HUGE, at;
	char *p = map_block(size);
	struct mover mover[4];
	struct writer writer[2];
	uint64_t stop = 0;
	int i;

	memset(p, 0, size);
	for (i = 0; i < 2; i++) {
		writer[i] = (struct writer){ .p = p, .size = size, .word = 10 + i,
					     .stop = &stop };
		gsvm_thread(&writer[i].thread, writer_loop, &writer[i]);
	}
	for (i = 0; i < 4; i++) {
		mover[i] = (struct mover){ .q = q, .p = p, .size = size, .rounds = 12,
					   .region = i % 2 };
		gsvm_thread(&mover[i].thread, mover_loop, &mover[i]);
	}
	for (i = 0; i < 4; i++)
		gsvm_thread_join(&mover[i].thread);
	gsvm_poke(&stop, 1);
	for (i = 0; i < 2; i++)
		gsvm_thread_join(&writer[i].thread);
	for (i = 0; i < 2; i++)
		for (at = 0; at < size; at += PAGE)
			gsvm_assert_eq(*(uint64_t *)(p + at + 8 * (10 + i)), writer[i].rounds,
				       "increments of a thread in a page that moved");
	queue_close(q);
}

/* The GPU writes all the while; each increment counts. */
static void under_job(void)
{
	struct queue *q = queue_open(), *mover = queue_open_vm(q->fd, q->vm);
	size_t size = 2 * HUGE, pages = size / PAGE, i;
	struct ctl *ctl = map_shared(PAGE);
	char *p = map_block(size);
	struct gsvm_signal *job;

	memset(p, 0, size);
	job = gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(p), pages, CTL_ITEMS, 0);
	for (i = 0; i < 20; i++) {
		prefetch(mover, p, size, DRM_GSVM_REGION_SYSTEM);
		prefetch(mover, p, size, DRM_GSVM_REGION_VRAM);
	}
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	for (i = 0; i < pages; i++)
		gsvm_assert_eq(*(uint64_t *)(p + i * PAGE), ctl->rounds[i % CTL_ITEMS],
			       "increments in a page that moved under a job");
	queue_close(mover);
	queue_close(q);
}

/* More than there is: what fits is there, the rest stays, nothing fails. */
static void more_than_there_is(void)
{
	struct queue *q = queue_open();
	size_t size = vram_size(q) + 16 * MIB;
	struct place at;
	char *p;

	gsvm_require(size <= 160 * MIB, "this is for a GPU with little VRAM\n");
	p = map_block(size);
	cpu_fill(p, size, 1, SPARSE);
	prefetch(q, p, size, DRM_GSVM_REGION_VRAM);
	at = place_of(q, p, size);
	gsvm_assert(at.vram * PAGE >= vram_size(q) / 2, "only %zu of %zu pages are in VRAM\n",
		    at.vram, size / PAGE);
	gsvm_assert_eq(at.vram + at.system, size / PAGE, "pages that are somewhere");
	gpu_verify(q, p, size, 1, SPARSE, "all of it");
	cpu_verify(p, size, 1, SPARSE, "all of it");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "both-ways", both_ways, "there and back, every page counted" },
	{ "huge-pages", huge_pages, "huge pages stay huge both ways" },
	{ "part-of-huge", part_of_huge, "a part of a huge page" },
	{ "untouched", untouched, "memory that nobody has touched" },
	{ "over-gaps", over_gaps, "mappings of all kinds and gaps" },
	{ "async", async, "in the background, with a signal" },
	{ "async-many", async_many, "48 at once, one signal" },
	{ "async-barrier", async_barrier, "a barrier packet waits for a prefetch" },
	{ "interrupted", interrupted, "a signal ends the call" },
	{ "killed", killed, "SIGKILL in the middle" },
	{ "vm-destroyed", vm_destroyed, "the signal comes when the VM is destroyed" },
	{ "unmapped-meanwhile", unmapped_meanwhile, "munmap in the middle" },
	{ "opposite", opposite, "both ways at once, and writers" },
	{ "under-job", under_job, "moved under a job that writes" },
	{ "more-than-there-is", more_than_there_is, "a range larger than VRAM" },
};

GSVM_MAIN(tests)
