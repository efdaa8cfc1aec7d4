// SPDX-License-Identifier: MIT
/*
 * userfaultfd: a thread of the process serves the GPU's faults like the CPU's.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "gsvm_waiter.h"
#include "shared.h"

#define PAGES	16
#define SIZE	(PAGES * PAGE)

/**
 * struct handler - a userfaultfd and the thread that reads it
 * @base: registered range
 * @stop: a pipe that ends the thread
 * @served: faults answered, by page
 * @hold: while set, faults are only counted in @held
 */
struct handler {
	struct thread thread;
	int fd, stop[2];
	char *base;
	uint64_t served[PAGES];
	uint64_t hold, held;
	pthread_mutex_t lock;	/* held while a fault is answered */
	uint64_t first_value;
};

static void uffd_open_size(struct handler *h, char *base, size_t size, uint64_t mode,
			   uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { U(base), size }, .mode = mode,
	};

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->base = base;
	h->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	gsvm_require(h->fd >= 0, "no userfaultfd: %s\n", strerror(errno));
	gsvm_require(!ioctl(h->fd, UFFDIO_API, &api), "userfaultfd features %#llx: %s\n",
		     (unsigned long long)features, strerror(errno));
	gsvm_sys(ioctl(h->fd, UFFDIO_REGISTER, &reg));
	gsvm_sys(pipe(h->stop));
}

static void uffd_open(struct handler *h, char *base, uint64_t mode, uint64_t features)
{
	uffd_open_size(h, base, SIZE, mode, features);
}

static void answer_missing(struct handler *h, unsigned int page)
{
	uint64_t *content = aligned_alloc(PAGE, PAGE);
	struct uffdio_copy copy = {
		.dst = U(h->base) + page * PAGE,
		.src = U(content),
		.len = PAGE,
	};

	cpu_set(content, 8, PAGE / 8, h->first_value + page, 0);
	/* EEXIST: two faults on one page were reported. */
	gsvm_assert(!ioctl(h->fd, UFFDIO_COPY, &copy) || errno == EEXIST,
		    "UFFDIO_COPY: %s\n", strerror(errno));
	free(content);
}

static void write_protect(struct handler *h, char *at, size_t size, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { U(at), size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	gsvm_sys(ioctl(h->fd, UFFDIO_WRITEPROTECT, &wp));
}

static void handle(struct handler *h, const struct uffd_msg *msg)
{
	unsigned int page = (msg->arg.pagefault.address - U(h->base)) / PAGE;

	gsvm_assert(msg->event == UFFD_EVENT_PAGEFAULT && page < PAGES,
		    "event %#x at %#llx\n", msg->event,
		    (unsigned long long)msg->arg.pagefault.address);
	if (gsvm_peek(&h->hold)) {
		__atomic_fetch_add(&h->held, 1, __ATOMIC_RELEASE);
		return;
	}
	__atomic_fetch_add(&h->served[page], 1, __ATOMIC_RELEASE);
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
		write_protect(h, h->base + page * PAGE, PAGE, false);
	else
		answer_missing(h, page);
}

static void handler_loop(void *arg)
{
	struct handler *h = arg;
	struct pollfd p[2] = {
		{ .fd = h->fd, .events = POLLIN }, { .fd = h->stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	while (poll(p, 2, -1) > 0 && !p[1].revents)
		if (read(h->fd, &msg, sizeof(msg)) == sizeof(msg)) {
			pthread_mutex_lock(&h->lock);
			handle(h, &msg);
			pthread_mutex_unlock(&h->lock);
		}
}

static void handler_start(struct handler *h, uint64_t first_value)
{
	h->first_value = first_value;
	gsvm_thread(&h->thread, handler_loop, h);
}

static void handler_end(struct handler *h)
{
	gsvm_assert(write(h->stop[1], "!", 1) == 1, "write\n");
	gsvm_thread_join(&h->thread);
	close(h->fd);
	close(h->stop[0]);
	close(h->stop[1]);
}

static void missing_with(const char *kernel)
{
	bool writes = !strcmp(kernel, "add");
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	struct handler h;
	int i;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	handler_start(&h, 50);
	if (writes)
		gpu_run(q, "add", PAGES, U(p), PAGE, 1, 1000);
	else
		gpu_check(q, p, PAGE, PAGES, 50, 1);
	cpu_check(p, PAGE, PAGES, writes ? 1050 : 50, 1, "page from the handler");
	for (i = 0; i < PAGES; i++)
		gsvm_assert(h.served[i] >= 1, "page %d was not asked for\n", i);
	handler_end(&h);
	queue_close(q);
}

static void missing_read(void)
{
	missing_with("compare");
}

static void missing_write(void)
{
	missing_with("add");
}

/* Nothing but the touched pages is asked for: no silent prefetch. */
static void missing_exact(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	struct handler h;
	int i;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	handler_start(&h, 9);
	gsvm_assert_eq(gpu_read(q, p + 5 * PAGE), 14, "page 5");
	gsvm_assert_eq(gpu_read(q, p + 5 * PAGE + 8), 14, "page 5 again");
	for (i = 0; i < PAGES; i++)
		gsvm_assert((h.served[i] > 0) == (i == 5), "page %d was asked for %llu times\n",
			    i, (unsigned long long)h.served[i]);
	handler_end(&h);
	queue_close(q);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * A page that has to be waited for is one fault, and takes two services: one
 * that does not wait, and one that does and takes what it has waited for.
 * Whatever else the kernel takes from the GPU meanwhile comes on top of it, so
 * the least counts.
 */
static void missing_counted(void)
{
	uint64_t faults = ANY, services = ANY;
	struct drm_gsvm_vm_query before, after;
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	struct handler h;
	int i;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	handler_start(&h, 20);
	for (i = 0; i < PAGES; i++) {
		igt_gsvm_vm_query(q->fd, q->vm, &before, 0);
		gsvm_assert_eq(gpu_read(q, p + i * PAGE), 20 + i, "page from the handler");
		igt_gsvm_vm_query(q->fd, q->vm, &after, 0);
		faults = least(faults, after.faults - before.faults);
		services = least(services, after.fault_services - before.fault_services);
	}
	gsvm_assert_eq(faults, 1, "faults for a page");
	gsvm_assert_eq(services, 2, "services for a page");
	handler_end(&h);
	queue_close(q);
}

/* A fault that waits for its handler must not hold up others. */
static void others_go_on(void)
{
	struct queue *q = queue_open(), *other = queue_open_vm(q->fd, q->vm);
	char *p = map_anon(SIZE), *far = map_anon(64 * PAGE), *block = map_huge_aligned(HUGE);
	struct gsvm_signal *job;
	struct handler h;
	uint64_t out = 0;
	int i;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	h.hold = 1;
	handler_start(&h, 30);
	job = gpu_launch(q, "load", 1, U(p), 0, U(&out));
	gsvm_await(&h.held, 1, "the held fault");
	for (i = 0; i < 10; i++) {
		gpu_set(other, far, PAGE, 64, i, 1);
		gpu_set(other, block, PAGE, 512, i, 1);
		cpu_check(far, PAGE, 64, i, 1, "work of the other queue");
		gsvm_sys(madvise(far, 64 * PAGE, MADV_DONTNEED));
	}
	gsvm_assert(!gpu_done(job), "the held job is done\n");
	gsvm_poke(&h.hold, 0);
	answer_missing(&h, 0);
	gpu_wait(q, job);
	gsvm_assert_eq(out, 30, "value read by the held job");
	handler_end(&h);
	queue_close(other);
	queue_close(q);
}

/*
 * Nor those of its own block, which come in one batch with it. Several times,
 * because the device may report the held one alone.
 */
static void block_goes_on(void)
{
	struct queue *q = queue_open();
	struct gsvm_signal *job;
	struct handler h;
	unsigned int i, round;

	for (round = 0; round < 8; round++) {
		char *p = map_huge_aligned(HUGE), *held = p + (PAGES - 1) * PAGE;

		gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
		uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
		h.hold = 1;
		handler_start(&h, 30);
		job = gpu_launch(q, "store", 64, U(held), PAGE, 7, 0);
		gsvm_await(&h.held, 1, "the held fault");
		for (i = 1; i < 64; i++)
			gsvm_await((const uint64_t *)(held + i * PAGE), 7, "a neighbour's word");
		gsvm_assert(!gpu_done(job), "the held job is done\n");
		gsvm_poke(&h.hold, 0);
		answer_missing(&h, PAGES - 1);
		gpu_wait(q, job);
		gsvm_assert_eq(gsvm_peek((const uint64_t *)held), 7, "word in the held page");
		handler_end(&h);
		gsvm_sys(munmap(p, HUGE));
	}
	queue_close(q);
}

/* More than a workqueue has workers, and fewer than one queue can have in flight. */
#define MANY	3072u

/* A process whose handler leaves thousands of faults waiting is alone with that. */
static void many_held(void)
{
	struct queue *q = queue_open(), *other = queue_open();
	char *p = map_anon(MANY * PAGE), *content = map_anon(MANY * PAGE);
	char *far = map_anon(64 * PAGE);
	struct uffdio_copy copy = {
		.dst = U(p), .src = U(content), .len = MANY * PAGE,
	};
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct drm_gsvm_vm_query v;
	unsigned int round = 0;
	struct gsvm_signal *job;
	struct handler h;

	cpu_set(content, PAGE, MANY, 1, 0);
	uffd_open_size(&h, p, MANY * PAGE, UFFDIO_REGISTER_MODE_MISSING, 0);
	job = gpu_launch(q, "store", MANY, U(p), PAGE, 5, 1);
	/* Until all have come, and for some time after. */
	do {
		gpu_set(other, far, PAGE, 64, round, 1);
		cpu_check(far, PAGE, 64, round, 1, "work of the other queue");
		gsvm_sys(madvise(far, 64 * PAGE, MADV_DONTNEED));
		igt_gsvm_vm_query(q->fd, q->vm, &v, 0);
		gsvm_assert(v.faults >= MANY || gsvm_deadline(0) < end, "only %llu faults came\n",
			    (unsigned long long)v.faults);
		if (v.faults >= MANY)
			round++;
	} while (round < 20);
	gsvm_assert(!gpu_done(job), "the held job is done\n");
	gsvm_sys(ioctl(h.fd, UFFDIO_COPY, &copy));
	gpu_wait(q, job);
	cpu_check(p, PAGE, MANY, 5, 1, "word in a held page");
	close(h.fd);
	queue_close(other);
	queue_close(q);
}

/* Whether the waiter was inside of its look when its time ran out. */
static bool wait_late_try(struct queue *q, unsigned int ms)
{
	char *p = map_anon(SIZE);
	struct waiter w = { .q = q, .signal = (void *)p, .deadline = gsvm_deadline(ms) };
	struct handler h;
	bool inside;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	h.hold = 1;
	handler_start(&h, 30);
	waiter_start(&w);
	gsvm_await(&h.held, 1, "the request for an interrupt");
	answer_missing(&h, 0);
	while (__atomic_load_n(&w.signal->irq, __ATOMIC_ACQUIRE) != 1)
		gsvm_pace();
	/* It looks at least once a second, each time before it sleeps. */
	while (gsvm_peek(&h.held) < 2 && !gsvm_peek(&w.done)) {
		gsvm_sys(madvise(p, PAGE, MADV_DONTNEED));
		gsvm_pace();
	}
	inside = !gsvm_peek(&w.done);
	while (gsvm_deadline(0) <= w.deadline)
		gsvm_pace();
	answer_missing(&h, 0);
	gsvm_await(&w.done, 1, "the end of WAIT");
	gsvm_assert_eq(waiter_end(&w), ETIME, "WAIT");
	handler_end(&h);
	gsvm_sys(munmap(p, SIZE));
	return inside;
}

/* WAIT's time runs out while it reads the value, which may itself have to wait. */
static void wait_late(void)
{
	struct queue *q = queue_open();
	unsigned int ms = 2000;

	/* A machine may be too slow for that: give it more. */
	while (!wait_late_try(q, ms)) {
		ms *= 2;
		gsvm_assert(ms <= 32000, "WAIT ended before it looked again\n");
	}
	queue_close(q);
}

static void destroy_while_held(void)
{
	struct queue *q = queue_open(), *other = queue_open();
	char *p = map_anon(SIZE);
	struct handler h;
	uint64_t out = 0;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	h.hold = 1;
	handler_start(&h, 30);
	gpu_launch(q, "load", 1, U(p), 0, U(&out));
	gsvm_await(&h.held, 1, "the held fault");
	igt_gsvm_queue_destroy(q->fd, q->id, 0);
	gsvm_poke(&h.hold, 0);
	answer_missing(&h, 0);
	/* The memory is in order for the next one. */
	gsvm_assert_eq(gpu_read(other, p), 30, "page after the queue's end");
	gsvm_assert_eq(out, 0, "result of the dropped job");
	handler_end(&h);
	queue_close(other);
}

/* kill -9 of a process whose GPU waits for a handler that never answers. */
static void kill_while_held(void)
{
	uint64_t *held = map_shared(PAGE);
	struct child *c = gsvm_fork();
	struct queue *q;

	if (!c->pid) {
		struct handler h;
		char *p = map_anon(SIZE);

		q = queue_open();
		uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
		h.hold = 1;
		handler_start(&h, 30);
		gpu_launch(q, "touch", 64, U(p), TOUCH_WRITE, 3);
		gsvm_await(&h.held, 1, "the held fault");
		gsvm_poke(held, 1);
		gsvm_thread_join(&h.thread);
		gsvm_exit();
	}
	gsvm_await(held, 1, "the child's held fault");
	gsvm_kill(c);
	q = queue_open();
	gsvm_assert_eq(gpu_read(q, held), 1, "GPU read after the kill");
	queue_close(q);
}

/* The range is write-protected while the GPU has it for writing. */
static void write_protect_mirrored(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	struct handler h;
	int i;

	gpu_set(q, p, PAGE, PAGES, 1, 1);
	uffd_open(&h, p, UFFDIO_REGISTER_MODE_WP, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	write_protect(&h, p, SIZE, true);
	handler_start(&h, 0);
	gpu_check(q, p, PAGE, PAGES, 1, 1);
	for (i = 0; i < PAGES; i++)
		gsvm_assert_eq(h.served[i], 0, "write-protect faults by reads");
	gpu_run(q, "add", PAGES / 2, U(p), 2 * PAGE, 1, 100);
	for (i = 0; i < PAGES; i++)
		gsvm_assert((h.served[i] > 0) == !(i & 1),
			    "page %d: %llu write-protect faults\n", i,
			    (unsigned long long)h.served[i]);
	cpu_check(p, 2 * PAGE, PAGES / 2, 101, 2, "written pages");
	cpu_check(p + PAGE, 2 * PAGE, PAGES / 2, 2, 2, "protected pages");
	handler_end(&h);
	queue_close(q);
}

/* Protect, snapshot, write: what was saved is what was there before. */
static void write_protect_during_job(void)
{
	struct counter c;
	char *p = map_anon(SIZE);
	struct handler h;
	int round, i;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_WP, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	cpu_set(p, PAGE, PAGES, 0, 0);
	counter_start(&c, "pump", p, PAGE, PAGES);
	h.hold = 1;
	handler_start(&h, 0);
	for (round = 0; round < 8; round++) {
		uint64_t saved[PAGES];

		/* Or an answer to the round before would set a page free in this one. */
		pthread_mutex_lock(&h.lock);
		gsvm_poke(&h.held, 0);
		gsvm_poke(&h.hold, 1);
		write_protect(&h, p, SIZE, true);
		pthread_mutex_unlock(&h.lock);
		for (i = 0; i < PAGES; i++)
			saved[i] = gsvm_peek((void *)(p + i * PAGE));
		/* One work-item at least has run into it, and none got by. */
		gsvm_await(&h.held, 1, "a write-protect fault");
		for (i = 0; i < PAGES; i++)
			gsvm_assert_eq(gsvm_peek((void *)(p + i * PAGE)), saved[i],
				       "word of a write-protected page");
		gsvm_poke(&h.hold, 0);
		write_protect(&h, p, SIZE, false);
		for (i = 0; i < PAGES; i++)
			gsvm_await((void *)(p + i * PAGE), saved[i] + 1, "word set free");
	}
	counter_end(&c);
	handler_end(&h);
}

/* The handler goes away: the memory is ordinary again, and so is the fault. */
static void handler_closes(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	struct gsvm_signal *job;
	struct handler h;
	uint64_t out = 7;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, 0);
	h.hold = 1;
	handler_start(&h, 30);
	job = gpu_launch(q, "load", 1, U(p), 0, U(&out));
	gsvm_await(&h.held, 1, "the held fault");
	handler_end(&h);
	gpu_wait(q, job);
	gsvm_assert_eq(out, 0, "value read after the handler closed its descriptor");
	queue_close(q);
}

static void sigbus_mode(void)
{
	struct queue *q = queue_open();
	char *p = map_anon(SIZE);
	struct handler h;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, UFFD_FEATURE_SIGBUS);
	gpu_expect_fault(q, gpu_launch(q, "touch", 8, U(p + PAGE), TOUCH_READ, 5),
			 DRM_GSVM_REASON_BUS, DRM_GSVM_ACCESS_READ, p + PAGE, 5);
	close(h.fd);
	queue_close(q);
}

static void poison(void)
{
#ifdef UFFDIO_POISON
	struct queue *q = queue_open(), *other = queue_open_vm(q->fd, q->vm);
	char *p = map_anon(SIZE);
	struct uffdio_poison args = { .range = { U(p) + PAGE, PAGE } };
	struct handler h;

	uffd_open(&h, p, UFFDIO_REGISTER_MODE_MISSING, UFFD_FEATURE_POISON);
	handler_start(&h, 3);
	gsvm_sys(ioctl(h.fd, UFFDIO_POISON, &args));
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p + PAGE), TOUCH_READ, 0),
			 DRM_GSVM_REASON_POISON, DRM_GSVM_ACCESS_READ, p + PAGE, 0);
	/* The neighbours are well. */
	gsvm_assert_eq(gpu_read(other, p), 3, "page before the poisoned one");
	gsvm_assert_eq(gpu_read(other, p + 2 * PAGE), 5, "page behind the poisoned one");
	handler_end(&h);
	queue_close(other);
	queue_close(q);
#else
	gsvm_skip("the headers do not know UFFDIO_POISON\n");
#endif
}

static const struct gsvm_subtest tests[] = {
	{ "missing-read", missing_read, "the handler's pages reach GPU reads" },
	{ "missing-write", missing_write, "and GPU atomics" },
	{ "missing-exact", missing_exact, "only the touched page is asked for" },
	{ "missing-counted", missing_counted, "one fault, two services for each page" },
	{ "others-go-on", others_go_on, "a waiting fault holds up nobody else" },
	{ "block-goes-on", block_goes_on, "not even in its own block" },
	{ "many-held", many_held, "3,072 waiting faults hold up nobody else either" },
	{ "wait-late", wait_late, "WAIT's time runs out while its own look is held" },
	{ "destroy-while-held", destroy_while_held, "QUEUE_DESTROY with a waiting fault" },
	{ "kill-while-held", kill_while_held, "kill -9 with a waiting fault" },
	{ "write-protect", write_protect_mirrored, "protection of pages the GPU has for writing" },
	{ "write-protect-during-job", write_protect_during_job, "likewise under a writer" },
	{ "handler-closes", handler_closes, "the handler closes: the memory is ordinary again" },
	{ "sigbus", sigbus_mode, "UFFD_FEATURE_SIGBUS ends the queue" },
	{ "poison", poison, "UFFDIO_POISON ends the queue, neighbours are well" },
};

GSVM_MAIN(tests)
