// SPDX-License-Identifier: MIT
/*
 * Memory is taken away from a running job: when the call has returned, the
 * page does not change any more, and the queue ends with the right record.
 */
#include <fcntl.h>
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define ITEMS	4

/**
 * struct writer - a job that counts in one page of a memfd
 * @page: the GPU's mapping of it, which the test takes away
 * @alias: the CPU's view, which stays
 */
struct writer {
	struct queue *q;
	struct ctl *ctl;
	struct gsvm_signal *job;
	uint64_t *page, *alias;
	int fd;
};

static void start(struct writer *w, const char *kernel)
{
	int i;

	w->q = queue_open();
	w->ctl = map_shared(PAGE);
	w->fd = make_memfd(PAGE);
	w->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	w->alias = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w->fd, 0);
	gsvm_assert(w->page != MAP_FAILED && w->alias != MAP_FAILED, "mmap\n");
	w->job = gpu_launch(w->q, kernel, ITEMS, U(w->ctl), U(w->page), 8);
	for (i = 0; i < ITEMS; i++)
		gsvm_await(&w->ctl->rounds[i], 2, "a counting work-item's start");
}

/*
 * Called right after the page was taken away. The access that failed may be
 * any work-item's.
 */
static void finish(struct writer *w, const uint64_t *words, uint32_t reason, uint32_t access)
{
	uint64_t at_return[ITEMS];
	struct drm_gsvm_queue_query r;
	int i;

	for (i = 0; i < ITEMS; i++)
		at_return[i] = gsvm_peek(&words[i]);
	gpu_expect(w->q, w->job, (struct gpu_error){
		DRM_GSVM_ERROR_FAULT, reason, access, ANY, ANY });
	igt_gsvm_queue_query(w->q->fd, w->q->id, &r, 0);
	gsvm_assert(r.addr >= U(w->page) && r.addr < U(w->page + ITEMS) && !(r.addr % 8),
		    "the record's address %#llx is not one of the page's words at %p\n",
		    (unsigned long long)r.addr, (void *)w->page);
	gsvm_assert_eq(r.work_item, (r.addr - U(w->page)) / 8, "work-item of that address");
	for (i = 0; i < ITEMS; i++) {
		uint64_t now = gsvm_peek(&words[i]), own = w->ctl->rounds[i];

		gsvm_assert(now == at_return[i],
			    "word %d changed from %llu to %llu after it was taken away\n", i,
			    (unsigned long long)at_return[i], (unsigned long long)now);
		/* The last increment may not have been counted any more. */
		gsvm_assert(now == own || now == own + 1,
			    "word %d is %llu, the work-item counted %llu\n", i,
			    (unsigned long long)now, (unsigned long long)own);
	}
	munmap(w->alias, PAGE);
	close(w->fd);
	queue_close(w->q);
}

static void munmap_writer(void)
{
	struct writer w;

	start(&w, "count");
	gsvm_sys(munmap(w.page, PAGE));
	finish(&w, w.alias, DRM_GSVM_REASON_NOT_MAPPED, DRM_GSVM_ACCESS_ATOMIC);
}

static void mprotect_read_writer(void)
{
	struct writer w;

	start(&w, "pump");
	gsvm_sys(mprotect(w.page, PAGE, PROT_READ));
	finish(&w, w.alias, DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE);
}

static void mprotect_none_writer(void)
{
	struct writer w;

	start(&w, "count");
	gsvm_sys(mprotect(w.page, PAGE, PROT_NONE));
	finish(&w, w.alias, DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_ATOMIC);
}

static void mremap_writer(void)
{
	struct writer w;
	uint64_t *to;

	start(&w, "count");
	to = mremap(w.page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, reserve(HUGE));
	gsvm_assert(to != MAP_FAILED, "mremap: %s\n", strerror(errno));
	finish(&w, to, DRM_GSVM_REASON_NOT_MAPPED, DRM_GSVM_ACCESS_ATOMIC);
}

/* The file ends in front of the page. */
static void truncate_writer(void)
{
	struct drm_gsvm_queue_query r;
	uint64_t word = 1;
	struct writer w;

	start(&w, "count");
	gsvm_sys(ftruncate(w.fd, 0));
	gpu_expect(w.q, w.job, (struct gpu_error){ DRM_GSVM_ERROR_FAULT, DRM_GSVM_REASON_BUS,
						   DRM_GSVM_ACCESS_ATOMIC, ANY, ANY });
	igt_gsvm_queue_query(w.q->fd, w.q->id, &r, 0);
	gsvm_assert(r.addr >= U(w.page) && r.addr < U(w.page + ITEMS),
		    "the record's address %#llx is not in the page at %p\n",
		    (unsigned long long)r.addr, (void *)w.page);
	/* Nothing that the GPU did after the end may show up again. */
	gsvm_sys(ftruncate(w.fd, PAGE));
	gsvm_assert(pread(w.fd, &word, 8, 0) == 8, "pread\n");
	gsvm_assert_eq(word, 0, "first word of the file made longer again");
	munmap(w.page, PAGE);
	munmap(w.alias, PAGE);
	close(w.fd);
	queue_close(w.q);
}

/* The queue is destroyed: it is the device itself that is taken away. */
static void queue_destroy_writer(void)
{
	struct queue *other;
	uint64_t value[ITEMS];
	struct writer w;
	int round, i;

	start(&w, "count");
	other = queue_open_vm(w.q->fd, w.q->vm);
	igt_gsvm_queue_destroy(w.q->fd, w.q->id, 0);
	for (i = 0; i < ITEMS; i++)
		value[i] = gsvm_peek(&w.alias[i]);
	/* Jobs that come and go show that the device is at work meanwhile. */
	for (round = 0; round < 20; round++)
		gpu_check(other, w.alias, 8, ITEMS / 2, value[0], value[1] - value[0]);
	for (i = 0; i < ITEMS; i++)
		gsvm_assert_eq(gsvm_peek(&w.alias[i]), value[i], "word after the queue's end");
	gsvm_assert_eq(w.job->value, 1, "signal of the dropped job");
	igt_gsvm_queue_destroy(w.q->fd, w.q->id, ENOENT);
}

/* Many times, with many writers: a stop that is not waited for is over soon as well. */
static void queue_destroy_many(void)
{
	uint64_t *words = map_shared(PAGE), value[CTL_ITEMS];
	struct ctl *ctl = map_shared(PAGE);
	struct queue *other = queue_open();
	int round, i;

	for (round = 0; round < 100; round++) {
		struct queue *q = queue_open_vm(other->fd, other->vm);

		gsvm_poke(&ctl->rounds[0], 0);
		gpu_launch(q, "count", CTL_ITEMS, U(ctl), U(words), 8);
		gsvm_await(&ctl->rounds[0], 2, "a counting work-item's start");
		igt_gsvm_queue_destroy(q->fd, q->id, 0);
		for (i = 0; i < CTL_ITEMS; i++)
			value[i] = gsvm_peek(&words[i]);
		gpu_check(other, words, 8, 2, value[0], value[1] - value[0]);
		for (i = 0; i < CTL_ITEMS; i++)
			gsvm_assert_eq(gsvm_peek(&words[i]), value[i], "word after the queue's end");
	}
}

static void vm_destroy_writer(void)
{
	struct queue *other = queue_open();
	uint64_t value[ITEMS];
	struct writer w;
	int round, i;

	start(&w, "count");
	igt_gsvm_vm_destroy(w.q->fd, w.q->vm, 0);
	for (i = 0; i < ITEMS; i++)
		value[i] = gsvm_peek(&w.alias[i]);
	for (round = 0; round < 20; round++)
		gpu_check(other, w.alias, 8, ITEMS / 2, value[0], value[1] - value[0]);
	for (i = 0; i < ITEMS; i++)
		gsvm_assert_eq(gsvm_peek(&w.alias[i]), value[i], "word after the VM's end");
	igt_gsvm_queue_destroy(w.q->fd, w.q->id, ENOENT);
	igt_gsvm_vm_destroy(w.q->fd, w.q->vm, ENOENT);
}

static void close_writer(void)
{
	struct queue *other = queue_open();
	uint64_t value[ITEMS];
	struct writer w;
	int round, i;

	start(&w, "count");
	/* The mapping of the doorbells holds the file too. */
	gsvm_sys(munmap(w.q->doorbell_page, PAGE));
	gsvm_sys(close(w.q->fd));
	w.q->doorbell_page = map_anon(PAGE);
	w.q->own_fd = false;
	for (i = 0; i < ITEMS; i++)
		value[i] = gsvm_peek(&w.alias[i]);
	for (round = 0; round < 20; round++)
		gpu_check(other, w.alias, 8, ITEMS / 2, value[0], value[1] - value[0]);
	for (i = 0; i < ITEMS; i++)
		gsvm_assert_eq(gsvm_peek(&w.alias[i]), value[i], "word after close");
}

/* The whole program goes away under its own feet. */
static void code_unmapped(void)
{
	uint32_t insn[] = { 0x0000006f };	/* j . */
	struct queue *q = queue_open();
	struct gsvm_signal *job;
	uint64_t out = 0, *hold;
	struct ctl *ctl = map_shared(PAGE);
	uint32_t *p;

	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	gsvm_assert(p != MAP_FAILED, "mmap\n");
	memcpy(p, insn, sizeof(insn));
	hold = map_shared(PAGE);
	/* A job that is known to run stands in front of the endless one. */
	gpu_wait(q, gpu_launch(q, "add", 1, U(hold), 0, 1, 1));
	job = gpu_launch(q, "call", 1, U(p), U(&out));
	gpu_run(queue_open_vm(q->fd, q->vm), "add", 1, U(hold), 0, 1, 1);
	gsvm_sys(munmap(p, PAGE));
	gpu_expect_fault(q, job, DRM_GSVM_REASON_NOT_MAPPED, DRM_GSVM_ACCESS_EXEC, p, 0);
	gsvm_assert_eq(out, 0, "result of a function that never returned");
	munmap(ctl, PAGE);
}

static const struct gsvm_subtest tests[] = {
	{ "munmap", munmap_writer, "munmap under a writer" },
	{ "mprotect-read", mprotect_read_writer, "mprotect(PROT_READ) under a writer" },
	{ "mprotect-none", mprotect_none_writer, "mprotect(PROT_NONE) under a writer" },
	{ "mremap", mremap_writer, "mremap moves the page away from a writer" },
	{ "truncate", truncate_writer, "the file is truncated under a writer" },
	{ "queue-destroy", queue_destroy_writer, "no access after QUEUE_DESTROY has returned" },
	{ "queue-destroy-many", queue_destroy_many, "likewise, a hundred times" },
	{ "vm-destroy", vm_destroy_writer, "no access after VM_DESTROY has returned" },
	{ "close", close_writer, "no access after the file is closed" },
	{ "code-unmapped", code_unmapped, "the code of a running job is unmapped" },
};

GSVM_MAIN(tests)
