// SPDX-License-Identifier: MIT
/*
 * DOC: Faults
 *
 * Keeps the accesses that could not be made until the driver has answered, and
 * tells the driver of them through the fault ring. It does not know what is
 * parked (a hart, a packet processor), nor how a page is found (mmu.c).
 *
 * A wait is in one of these states:
 *
 *	out ----park----> leader, deferred waits on a head's list, for the head
 *	    ----park----> leader, held     waits on f->held for room in the ring
 *	    ----park----> leader, reported its record is in the ring
 *	    ----park----> merged           rides on a leader's record
 *	leader, deferred --head gone, or none any more--> leader, held
 *	leader, held ----room-----> leader, reported
 *	merged ----leader dropped-> leader or merged, as if parked now
 *	any    ----resume, drop---> out
 *
 * A wait merges with a leader of the same ASID and page whose access includes
 * its own: what lets a write through lets a read through, too. That is a guess,
 * and nothing depends on it: a resume wakes all waits of the pages, each tries
 * its access again, and parks again as a new fault if it still cannot go on.
 * Because merging asks for inclusion, a page has few leaders, and finding one
 * costs the same for one wait as for a hundred thousand. Which records the
 * driver has acknowledged makes no difference to the waits: only resume and
 * drop take them off.
 *
 * By block. Where the driver wants it (GSVM_FAULT_BY_BLOCK), the first leader of
 * an ASID's 2 MiB block is its *head*, and those that come after it are deferred: the
 * answer to one record is often a mapping for the whole block, and then five hundred
 * records have cost nothing. That is a guess again. A deferred leader is one like any
 * other: its page is found by a resume, others merge with it; it is held back
 * once, and for one head only. When the head is taken off, or the driver has said that
 * it is through with the block (fault_undefer()), all its deferred leaders are
 * held, that is, reported, and the head, if still there, is none any more: nobody waits
 * for what the driver has put aside. The next leader of the block is a head again.
 *
 * The ring. @tail counts records written, @acked what the driver has given
 * back; the ring is full when they are @entries apart. Leaders that meet a full
 * ring are held in order, as are all that come after them, and written when
 * there is room. Records go out in batches: all that fit, then the tail with
 * release semantics, then at most one interrupt.
 *
 * The interrupt. GSVM_VEC_FAULT is raised when records are written while
 * @acked == @tail, and when an acknowledgement leaves @acked != @tail. Nobody
 * sleeps through a record: the driver may sleep once it has sent FAULT_ACK for
 * all it has read, up to T. A later record is written, under the lock, either
 * before that FAULT_ACK is carried out: then the FAULT_ACK finds tail != T and
 * raises; or after it: then the writer finds acked == tail and raises. Until
 * the driver has sent such a FAULT_ACK it is awake by the earlier interrupt.
 *
 * A driver that answers nonsense hurts itself: an acknowledgement of records
 * never written is refused; one of records it has not looked at loses it those
 * records; a resume without a mapping makes the accesses fault again.
 *
 * One lock, f->lock, protects all of it. It is a leaf: nothing else is locked
 * under it, and neither wakes nor interrupts nor errors are sent under it.
 * Whoever writes the ring is inside its own agent (fault_park(), fault_ack(),
 * fault_report()), so that the ring's pointer holds. A drop has no agent and
 * therefore asks the command thread, by cmd_poke(), to write what it made due; a resume
 * and fault_undefer() tell their caller, which is that thread.
 *
 * A resume takes its waits off under the lock and wakes them afterwards; from
 * its taking off on a wait belongs to its owner again, except that the wake is
 * still to come. Nobody may free it in between: an owner that drops its waits
 * on another thread than the command thread keeps them until the command
 * thread comes by (queue.c).
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "cmd.h"
#include "dma.h"
#include "fault.h"
#include "trace.h"

#define BUCKETS		4096u
#define PAGE_SHIFT	12
#define BLOCK_SHIFT	21

#define wait_of(link, member)	list_of(link, struct fault_wait, member)

struct fault_unit {
	pthread_mutex_t lock;
	struct list page[BUCKETS];		/* leaders */
	struct list block[BUCKETS];		/* heads */
	struct list queue[GSVM_MAX_QUEUES];	/* all waits */
	struct list held;			/* leaders to be reported */
	size_t leaders;
	uint32_t tail, acked;
};

/* What became of an access that was parked: how it is counted and called. */
enum fate { REPORTED, HELD, DEFERRED, MERGED };

static const struct {
	const char *name;
	unsigned int stat;
} fates[] = {
	[REPORTED] = { "fault", GSVM_STAT_FAULTS },	/* counted with its record */
	[HELD] = { "fault-held", GSVM_STAT_FAULT_FULL },
	[DEFERRED] = { "fault-deferred", GSVM_STAT_FAULTS_DEFERRED },
	[MERGED] = { "fault-merged", GSVM_STAT_FAULTS_MERGED },
};

/* What is to be done once the lock is given back. */
struct after {
	bool irq;
	bool dead;		/* the ring or the status page is not reachable ... */
	uint64_t bus;		/* ... at this address */
};

/* Number @n, of a page or a block. */
static struct list *hash(struct list *table, uint32_t asid, uint64_t n)
{
	return &table[((n ^ (uint64_t)asid << 40) * 0x9e3779b97f4a7c15ull) >> 52];
}

static struct list *bucket_of(struct fault_unit *f, uint32_t asid, uint64_t addr)
{
	return hash(f->page, asid, addr >> PAGE_SHIFT);
}

static bool same_page(const struct gsvm_fault *a, uint32_t asid, uint64_t addr)
{
	return a->asid == asid && a->addr >> PAGE_SHIFT == addr >> PAGE_SHIFT;
}

/* Serving @big serves @small. */
static bool access_includes(uint32_t big, uint32_t small)
{
	static const uint8_t includes[] = {
		[GSVM_ACCESS_READ] = 1u << GSVM_ACCESS_READ,
		[GSVM_ACCESS_WRITE] = 1u << GSVM_ACCESS_READ | 1u << GSVM_ACCESS_WRITE,
		[GSVM_ACCESS_EXEC] = 1u << GSVM_ACCESS_EXEC,
		[GSVM_ACCESS_ATOMIC] = 1u << GSVM_ACCESS_READ | 1u << GSVM_ACCESS_WRITE |
				       1u << GSVM_ACCESS_ATOMIC,
	};

	return big < sizeof(includes) && small < 8 && includes[big] & 1u << small;
}

static struct fault_wait *find_leader(struct fault_unit *f, const struct gsvm_fault *rec)
{
	struct list *bucket = bucket_of(f, rec->asid, rec->addr);

	for (struct list *l = bucket->next; l != bucket; l = l->next) {
		struct fault_wait *w = wait_of(l, page);

		if (same_page(&w->rec, rec->asid, rec->addr) &&
		    access_includes(w->rec.access, rec->access))
			return w;
	}
	return NULL;
}

static struct fault_wait *find_head(struct fault_unit *f, uint32_t asid, uint64_t addr)
{
	struct list *heads = hash(f->block, asid, addr >> BLOCK_SHIFT);

	for (struct list *l = heads->next; l != heads; l = l->next) {
		struct fault_wait *w = wait_of(l, block);

		if (w->rec.asid == asid && w->rec.addr >> BLOCK_SHIFT == addr >> BLOCK_SHIFT)
			return w;
	}
	return NULL;
}

/* A new leader. */
static enum fate place_leader(struct gpu *gpu, struct fault_wait *w)
{
	struct fault_unit *f = gpu->fault;
	struct fault_wait *head = NULL;

	list_add_tail(bucket_of(f, w->rec.asid, w->rec.addr), &w->page);
	f->leaders++;
	if (gpu->reg.fault_control & GSVM_FAULT_BY_BLOCK) {
		head = find_head(f, w->rec.asid, w->rec.addr);
		if (!head)
			list_add_tail(hash(f->block, w->rec.asid, w->rec.addr >> BLOCK_SHIFT),
				      &w->block);
	}
	list_add_tail(head ? &head->deferred : &f->held, &w->report);
	return head ? DEFERRED : HELD;
}

/* Merge @w or make it a leader. */
static enum fate place(struct gpu *gpu, struct fault_wait *w)
{
	struct fault_wait *leader = find_leader(gpu->fault, &w->rec);

	w->reported = false;
	w->leader = !leader;
	if (!leader)
		return place_leader(gpu, w);
	list_add_tail(&leader->merged, &w->page);
	return MERGED;
}

/* @w is no head any more, if it was one; what was held back for it is due. */
static void behead(struct fault_unit *f, struct fault_wait *w)
{
	list_del(&w->block);
	list_splice(&f->held, &w->deferred);
}

/* Take @w off, but for its queue; the waits that rode on it stay on @w->merged. */
static void unplace(struct fault_unit *f, struct fault_wait *w)
{
	behead(f, w);
	list_del(&w->page);
	list_del(&w->report);
	f->leaders -= w->leader;
}

static uint32_t ring_entries(const struct gpu *gpu)
{
	return 1u << gpu->reg.fault_log2;
}

static bool ring_full(const struct gpu *gpu)
{
	return gpu->fault->tail - gpu->fault->acked >= ring_entries(gpu);
}

/* Is there something to write, and room for it? */
static bool report_due(const struct gpu *gpu)
{
	return !list_empty(&gpu->fault->held) && !ring_full(gpu);
}

/* Write what is held and fits. */
static void report_locked(struct gpu *gpu, struct after *after)
{
	uint64_t ring_bus = gpu->reg.fault_base & GSVM_BASE_ADDR;
	uint64_t status_bus = gpu->reg.status_base & GSVM_BASE_ADDR;
	struct fault_unit *f = gpu->fault;
	uint32_t first = f->tail;
	struct gsvm_status *status;

	if (!report_due(gpu) || !atomic_load(&gpu->enabled))
		return;
	status = dma_ptr(gpu, status_bus, sizeof(*status), true);
	if (!status) {
		after->dead = true;
		after->bus = status_bus;
		return;
	}
	while (!list_empty(&f->held) && !ring_full(gpu)) {
		struct fault_wait *w = wait_of(f->held.next, report);
		uint64_t at = ring_bus + (f->tail & (ring_entries(gpu) - 1)) * sizeof(w->rec);
		/* Slot by slot: an IOMMU may have put the ring together from single pages. */
		struct gsvm_fault *slot = dma_ptr(gpu, at, sizeof(*slot), true);

		if (!slot) {
			after->dead = true;
			after->bus = at;
			return;
		}
		list_del(&w->report);
		w->reported = true;
		*slot = w->rec;
		f->tail++;
	}
	/* Pairs with the driver's acquire: it sees the records that it counts. */
	__atomic_store_n(&status->fault_tail, f->tail, __ATOMIC_RELEASE);
	gpu_stat_add(gpu, GSVM_STAT_FAULTS, f->tail - first);
	after->irq |= first == f->acked;
}

static void after_unlock(struct gpu *gpu, const struct after *after)
{
	if (after->irq)
		irq_raise(gpu, GSVM_VEC_FAULT);
	if (after->dead)
		gpu_fatal(gpu, GSVM_ERR_BUS, after->bus);
}

void fault_park(struct gpu *gpu, struct fault_wait *w)
{
	struct fault_unit *f = gpu->fault;
	struct gsvm_fault rec;
	struct after after = {0};
	enum fate fate;

	w->rec.time = gpu_time_ns(gpu);
	w->rec.rsvd = 0;
	rec = w->rec;
	list_init(&w->page);
	list_init(&w->report);
	list_init(&w->merged);
	list_init(&w->block);
	list_init(&w->deferred);

	pthread_mutex_lock(&f->lock);
	list_add_tail(&f->queue[rec.queue % GSVM_MAX_QUEUES], &w->queue);
	fate = place(gpu, w);
	report_locked(gpu, &after);
	if (fate == HELD && w->reported)
		fate = REPORTED;
	pthread_mutex_unlock(&f->lock);
	/* @w may be awake, and gone, from here on. */

	if (fate != REPORTED)
		gpu_stat_add(gpu, fates[fate].stat, 1);
	trace(gpu, fates[fate].name, rec.asid, rec.queue, rec.addr, rec.access);
	after_unlock(gpu, &after);
}

void fault_report(struct gpu *gpu)
{
	struct after after = {0};

	pthread_mutex_lock(&gpu->fault->lock);
	report_locked(gpu, &after);
	pthread_mutex_unlock(&gpu->fault->lock);
	after_unlock(gpu, &after);
}

void fault_ack(struct gpu *gpu, uint32_t index)
{
	struct fault_unit *f = gpu->fault;
	struct after after = {0};
	bool bad;

	pthread_mutex_lock(&f->lock);
	bad = index - f->acked > f->tail - f->acked;
	if (!bad) {
		f->acked = index;
		after.irq = f->tail != index;
		report_locked(gpu, &after);
	}
	pthread_mutex_unlock(&f->lock);

	if (bad)
		gpu_error(gpu, GSVM_ERR_FAULT_ACK, index);
	after_unlock(gpu, &after);
}

/* Move a leader and all that ride on it to @woken. */
static void take(struct gpu *gpu, struct fault_wait *w, struct list *woken, uint64_t now)
{
	if (w->reported && now > w->rec.time)
		gpu_stat_add(gpu, GSVM_STAT_FAULT_NS, now - w->rec.time);
	unplace(gpu->fault, w);
	list_del(&w->queue);
	list_add_tail(woken, &w->page);
	while (!list_empty(&w->merged)) {
		struct fault_wait *rider = wait_of(w->merged.next, page);

		list_del(&rider->page);
		list_del(&rider->queue);
		list_add_tail(woken, &rider->page);
	}
}

/* Take from one bucket what lies in [start, end). */
static void take_bucket(struct gpu *gpu, struct list *bucket, uint32_t asid, uint64_t start,
			uint64_t end, struct list *woken, uint64_t now)
{
	struct list *next;

	for (struct list *l = bucket->next; l != bucket; l = next) {
		struct fault_wait *w = wait_of(l, page);

		next = l->next;
		if (w->rec.asid == asid && w->rec.addr >= start && w->rec.addr < end)
			take(gpu, w, woken, now);
	}
}

bool fault_resume(struct gpu *gpu, uint32_t asid, uint64_t start, uint64_t end)
{
	struct fault_unit *f = gpu->fault;
	uint64_t now = gpu_time_ns(gpu);
	struct list woken;
	uint64_t count = 0;
	bool due;

	list_init(&woken);
	start &= ~0xfffull;
	pthread_mutex_lock(&f->lock);
	if (!f->leaders) {
		/* Nobody waits. */
	} else if ((end - start) >> 12 < BUCKETS) {
		for (uint64_t va = start; va < end && f->leaders; va += 0x1000)
			take_bucket(gpu, bucket_of(f, asid, va), asid, va, va + 0x1000, &woken,
				    now);
	} else {
		for (unsigned int i = 0; i < BUCKETS && f->leaders; i++)
			take_bucket(gpu, &f->page[i], asid, start, end, &woken, now);
	}
	due = report_due(gpu);
	pthread_mutex_unlock(&f->lock);

	while (!list_empty(&woken)) {
		struct fault_wait *w = wait_of(woken.next, page);

		/* Its owner may park it again, or free it, as soon as it is awake. */
		list_del(&w->page);
		w->wake(w);
		count++;
	}
	trace(gpu, "resume", asid, TRACE_NONE, start, count);
	return due;
}

/* The same for the heads in one bucket. */
static void behead_bucket(struct fault_unit *f, struct list *heads, uint32_t asid,
			  uint64_t start, uint64_t end)
{
	struct list *next;

	for (struct list *l = heads->next; l != heads; l = next) {
		struct fault_wait *w = wait_of(l, block);
		uint64_t n = w->rec.addr >> BLOCK_SHIFT;

		next = l->next;
		if (w->rec.asid == asid && n >= start >> BLOCK_SHIFT &&
		    n <= (end - 1) >> BLOCK_SHIFT)
			behead(f, w);
	}
}

bool fault_undefer(struct gpu *gpu, uint32_t asid, uint64_t start, uint64_t end)
{
	struct fault_unit *f = gpu->fault;
	struct fault_wait *head;
	bool due;

	pthread_mutex_lock(&f->lock);
	/* A range has at most 2^27 blocks; with as many as there are buckets, by these. */
	if ((end - start) >> BLOCK_SHIFT < BUCKETS) {
		for (uint64_t n = start >> BLOCK_SHIFT; n << BLOCK_SHIFT < end; n++) {
			head = find_head(f, asid, n << BLOCK_SHIFT);
			if (head)
				behead(f, head);
		}
	} else {
		for (unsigned int i = 0; i < BUCKETS; i++)
			behead_bucket(f, &f->block[i], asid, start, end);
	}
	due = report_due(gpu);
	pthread_mutex_unlock(&f->lock);
	trace(gpu, "fault-report", asid, TRACE_NONE, start, end);
	return due;
}

bool fault_drop_queue(struct gpu *gpu, uint32_t queue, struct gsvm_fault *first)
{
	struct fault_unit *f = gpu->fault;
	struct list *head = &f->queue[queue % GSVM_MAX_QUEUES];
	struct list orphans;
	bool found = false, due;

	list_init(&orphans);
	pthread_mutex_lock(&f->lock);
	while (!list_empty(head)) {
		struct fault_wait *w = wait_of(head->next, queue);

		if (!found && first)
			*first = w->rec;
		found = true;
		list_del(&w->queue);
		unplace(f, w);
		/* Riders of this queue find themselves unplaced from there. */
		while (!list_empty(&w->merged)) {
			struct list *l = w->merged.next;

			list_del(l);
			list_add_tail(&orphans, l);
		}
	}
	/* Their first report was lost with the record; @merged is counted once. */
	while (!list_empty(&orphans)) {
		struct fault_wait *w = wait_of(orphans.next, page);

		list_del(&w->page);
		place(gpu, w);
	}
	due = report_due(gpu);
	pthread_mutex_unlock(&f->lock);

	if (due)
		cmd_poke(gpu);
	return found;
}

bool fault_choose(struct gpu *gpu, uint32_t queue, uint64_t addr, uint64_t time)
{
	struct fault_unit *f = gpu->fault;
	struct list *head = &f->queue[queue % GSVM_MAX_QUEUES];
	bool found = false;

	pthread_mutex_lock(&f->lock);
	for (struct list *l = head->next; l != head && !found; l = l->next) {
		struct fault_wait *w = wait_of(l, queue);

		if (!w->reported || w->rec.addr != addr || w->rec.time != time)
			continue;
		list_del(&w->queue);
		list_add_tail(head->next, &w->queue);
		found = true;
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

static void fault_empty(struct fault_unit *f)
{
	for (unsigned int i = 0; i < BUCKETS; i++) {
		list_init(&f->page[i]);
		list_init(&f->block[i]);
	}
	for (unsigned int i = 0; i < GSVM_MAX_QUEUES; i++)
		list_init(&f->queue[i]);
	list_init(&f->held);
	f->leaders = 0;
	f->tail = 0;
	f->acked = 0;
}

void fault_reset(struct gpu *gpu)
{
	pthread_mutex_lock(&gpu->fault->lock);
	fault_empty(gpu->fault);
	pthread_mutex_unlock(&gpu->fault->lock);
}

int fault_init(struct gpu *gpu)
{
	struct fault_unit *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return -ENOMEM;
	ret = pthread_mutex_init(&f->lock, NULL);
	if (ret) {
		free(f);
		return -ret;
	}
	fault_empty(f);
	gpu->fault = f;
	return 0;
}

void fault_exit(struct gpu *gpu)
{
	if (!gpu->fault)
		return;
	pthread_mutex_destroy(&gpu->fault->lock);
	free(gpu->fault);
	gpu->fault = NULL;
}
