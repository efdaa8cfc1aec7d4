// SPDX-License-Identifier: MIT
/*
 * The page of doorbells: who may have it, and that it is out of reach before
 * its place on the device belongs to somebody else.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

/* Queue after queue has work that was not rung for: does it run? */
static bool anything_runs(struct queue **q, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (gsvm_peek(&q[i]->share->read_index))
			return true;
	return false;
}

/*
 * A VM goes and its page stays mapped. Whoever gets its place must not hear of
 * what is written there. The places are given out from the lowest on, so the
 * next VM has it, and its queues have the same doorbells.
 */
static void check_revoked(bool touched)
{
	enum { QUEUES = 4 };
	struct queue *old = queue_open(), *q[QUEUES], *other;
	volatile uint64_t *page = old->doorbell_page;
	uint64_t *word = map_shared(PAGE);
	int i, round;

	if (touched)
		gpu_run(old, "add", 1, U(word), 0, 1, 1);
	igt_gsvm_vm_destroy(old->fd, old->vm, 0);

	q[0] = queue_open_vm(old->fd, igt_gsvm_vm_create(old->fd, 0));
	for (i = 1; i < QUEUES; i++)
		q[i] = queue_open_vm(old->fd, q[0]->vm);
	other = queue_open();
	for (i = 0; i < QUEUES; i++) {
		volatile uint64_t *doorbell = q[i]->doorbell;
		uint64_t nowhere;

		q[i]->doorbell = &nowhere;
		gpu_launch(q[i], "add", 1, U(word), 0, 1, 100);
		q[i]->doorbell = doorbell;
	}
	for (i = 0; i < GSVM_DOORBELLS_PER_PAGE; i++)
		page[i] = 1;
	/* Jobs that come and go show that the device is at work meanwhile. */
	for (round = 0; round < 20; round++)
		gpu_read(other, word);
	gsvm_assert(!anything_runs(q, QUEUES),
		    "the doorbells of a VM that is gone have started another VM's work\n");
	for (i = 0; i < QUEUES; i++) {
		*q[i]->doorbell = 1;
		gpu_wait(q[i], &q[i]->share->signal[0]);
	}
	gsvm_assert_eq(*word, touched + 100 * QUEUES, "jobs that were rung for");
}

static void revoked(void)
{
	check_revoked(true);
}

static void revoked_untouched(void)
{
	check_revoked(false);
}

/* Moved to another address it still is a doorbell; where it was, nothing is. */
static void moved(void)
{
	struct queue *q = queue_open();
	uint64_t *word = map_shared(PAGE);
	char *old = q->doorbell_page, *to = reserve(HUGE);
	int i;

	for (i = 0; i < 20; i++) {
		char *at = mremap(old, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + i * PAGE);

		gsvm_assert(at == to + i * PAGE, "mremap: %s\n", strerror(errno));
		q->doorbell = (void *)(at + ((char *)q->doorbell - old));
		q->doorbell_page = old = at;
		gpu_run(q, "add", 1, U(word), 0, 1, 1);
	}
	gsvm_assert_eq(*word, 20, "jobs rung for at twenty addresses");
	/* The VM's last mapping but one is gone: the page is still there. */
	igt_gsvm_queue_destroy(q->fd, q->id, 0);
	igt_gsvm_vm_destroy(q->fd, q->vm, 0);
	*q->doorbell = 7;
	munmap(q->doorbell_page, PAGE);
	q->doorbell_page = map_anon(PAGE);
}

static void grown(void)
{
	struct queue *q = queue_open();
	void *p = mremap(q->doorbell_page, PAGE, 2 * PAGE, MREMAP_MAYMOVE);

	gsvm_assert(p == MAP_FAILED && errno == EFAULT, "mremap to two pages: %p, %s\n", p,
		    strerror(errno));
	gsvm_assert_eq(gpu_read(q, &(uint64_t){ 4 }), 4, "queue afterwards");
	queue_close(q);
}

/* A child does not find its parent's doorbells in its memory. */
static void not_inherited(void)
{
	struct queue *q = queue_open();
	unsigned char there;
	struct child *c;

	gpu_read(q, &(uint64_t){ 4 });
	c = gsvm_fork();
	if (!c->pid) {
		gsvm_assert(mincore(q->doorbell_page, PAGE, &there) == -1 && errno == ENOMEM,
			    "the doorbells are mapped in a child\n");
		gsvm_exit();
	}
	gsvm_join(c);
	gsvm_assert_eq(gpu_read(q, &(uint64_t){ 5 }), 5, "queue of the parent");
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "revoked", revoked, "doorbells of a VM that is gone ring nobody's" },
	{ "revoked-untouched", revoked_untouched, "likewise when the page is touched only then" },
	{ "moved", moved, "mremap of the page" },
	{ "grown", grown, "mremap to more than the page" },
	{ "not-inherited", not_inherited, "fork" },
};

GSVM_MAIN(tests)
