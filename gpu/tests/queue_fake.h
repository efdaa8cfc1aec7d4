/* SPDX-License-Identifier: MIT */
/*
 * What queues need around them, as doubles: an MMU over one flat arena whose
 * pages can be missing, a fault unit that resumes by itself or on request,
 * harts that run scripts in C, interrupts and errors that are counted.
 * Included by one test program each; it defines the functions of the real
 * units, so none of those is linked.
 *
 * cmd_lock stands for the command thread: resumes and queue commands hold it.
 */
#ifndef GPU_TESTS_QUEUE_FAKE_H
#define GPU_TESTS_QUEUE_FAKE_H

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"
#include "dma.h"
#include "fault.h"
#include "hart.h"
#include "list.h"
#include "queue.h"
#include "tap.h"
#include "trace.h"

#define ARENA_VA	0x100000000ull
#define ARENA_SIZE	(512ull << 20)
#define ARENA_PAGES	(ARENA_SIZE >> 12)
#define SCRIPT_VA	0x40000000ull		/* entry of script n: + 16 * n */
#define STATUS_BUS	0x1000
#define DESC_BUS	0x10000
#define BUS_SIZE	(1u << 20)
#define WAIT_NS		20000000000ull		/* for what must happen */

enum page_state { PAGE_THERE, PAGE_ABSENT, PAGE_NEVER, PAGE_READONLY };

typedef enum hart_stop script_fn(struct core *core, struct hart *h, unsigned int budget,
				 struct hart_stop_info *stop);

static struct fake {
	struct gpu gpu;
	uint8_t *arena, *bus;
	uint64_t used;
	_Atomic uint8_t *page;
	struct gsvm_status *status;
	struct gsvm_queue_desc *desc;

	_Atomic bool forbidden[GSVM_MAX_ASIDS];	/* no access with this ASID */
	_Atomic unsigned int violations;
	_Atomic long fault_in;			/* the n-th access from now faults once */
	_Atomic uint64_t fault_seed;		/* or one in 16, at random */

	pthread_mutex_t cmd_lock;
	pthread_mutex_t fault_lock;
	pthread_cond_t fault_work;
	struct list parked;
	_Atomic unsigned int nparked;
	bool hold;				/* do not resume by yourself */
	bool exit;
	pthread_t resumer;

	_Atomic unsigned int irq[GSVM_NUM_VECTORS], errors, fatals;
} fake;

static script_fn *script[];

/* ---- Clock, errors, interrupts, bus ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint64_t gpu_time_ns(const struct gpu *gpu)
{
	(void)gpu;
	return now_ns();
}

void gpu_error(struct gpu *gpu, uint32_t err, uint64_t info)
{
	(void)gpu;
	(void)err;
	(void)info;
	fake.errors++;
}

void gpu_fatal(struct gpu *gpu, uint32_t err, uint64_t info)
{
	(void)gpu;
	(void)err;
	(void)info;
	fake.fatals++;
}

void irq_raise(struct gpu *gpu, unsigned int vector)
{
	(void)gpu;
	fake.irq[vector]++;
}

void *gpu_ptr(struct gpu *gpu, bool vram, uint64_t addr, size_t len, bool write)
{
	(void)gpu;
	(void)write;
	return vram || addr >= BUS_SIZE || len > BUS_SIZE - addr ? NULL : fake.bus + addr;
}

void dma_add_agent(struct gpu *gpu, struct agent *a)
{
	(void)gpu;
	(void)a;
}

void dma_remove_agent(struct gpu *gpu, struct agent *a)
{
	(void)gpu;
	(void)a;
}

/* ---- MMU ---- */

static void *host(uint64_t va)
{
	return fake.arena + (va - ARENA_VA);
}

static bool inject(void)
{
	uint64_t seed;

	if (fake.fault_in > 0 && fake.fault_in-- == 1)
		return true;
	seed = fake.fault_seed;
	if (!seed)
		return false;
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	fake.fault_seed = seed | 1;
	return seed >> 60 == 0;
}

void *mmu_walk(struct gpu *gpu, struct tlb *tlb, uint32_t asid, uint64_t va, unsigned int access,
	       struct mmu_fault *fault)
{
	enum page_state page = PAGE_NEVER;

	(void)gpu;
	(void)tlb;
	if (fake.forbidden[asid])
		fake.violations++;
	fault->addr = va;
	fault->access = access;
	fault->reason = GSVM_FAULT_NOT_PRESENT;
	if (va >= ARENA_VA && va < ARENA_VA + ARENA_SIZE)
		page = fake.page[(va - ARENA_VA) >> 12];
	if (inject() || page == PAGE_ABSENT || page == PAGE_NEVER)
		return NULL;
	if (page == PAGE_READONLY && (access == GSVM_ACCESS_WRITE || access == GSVM_ACCESS_ATOMIC)) {
		fault->reason = GSVM_FAULT_PERMISSION;
		return NULL;
	}
	return host(va);
}

void mmu_check_hit(struct gpu *gpu, struct tlb *tlb, struct tlb_entry *e, uint64_t va,
		   unsigned int access)
{
	(void)gpu;
	(void)tlb;
	(void)e;
	(void)va;
	(void)access;
}

void mmu_enter(struct gpu *gpu, struct tlb *tlb)
{
	(void)gpu;
	(void)tlb;
}

/* ---- Faults ---- */

void fault_park(struct gpu *gpu, struct fault_wait *w)
{
	(void)gpu;
	pthread_mutex_lock(&fake.fault_lock);
	w->rec.time = now_ns();
	list_add_tail(&fake.parked, &w->queue);
	fake.nparked++;
	pthread_cond_broadcast(&fake.fault_work);
	pthread_mutex_unlock(&fake.fault_lock);
}

bool fault_drop_queue(struct gpu *gpu, uint32_t queue, struct gsvm_fault *first)
{
	struct list *l, *next;
	struct fault_wait *w;
	bool found = false;

	(void)gpu;
	pthread_mutex_lock(&fake.fault_lock);
	for (l = fake.parked.next; l != &fake.parked; l = next) {
		next = l->next;
		w = list_of(l, struct fault_wait, queue);
		if (w->rec.queue != queue)
			continue;
		if (!found)
			*first = w->rec;
		found = true;
		list_del(l);
		fake.nparked--;
	}
	pthread_mutex_unlock(&fake.fault_lock);
	return found;
}

/* With cmd_lock held: all parked but those that wait for PAGE_NEVER. */
static void fake_resume(void)
{
	struct list woken, *l, *next;
	struct fault_wait *w;
	uint64_t n;

	list_init(&woken);
	pthread_mutex_lock(&fake.fault_lock);
	for (l = fake.parked.next; l != &fake.parked; l = next) {
		next = l->next;
		w = list_of(l, struct fault_wait, queue);
		n = (w->rec.addr - ARENA_VA) >> 12;
		if (w->rec.addr < ARENA_VA || n >= ARENA_PAGES || fake.page[n] == PAGE_NEVER)
			continue;
		if (fake.page[n] != PAGE_READONLY || w->rec.reason == GSVM_FAULT_PERMISSION)
			fake.page[n] = PAGE_THERE;
		list_del(l);
		fake.nparked--;
		list_add_tail(&woken, l);
	}
	pthread_mutex_unlock(&fake.fault_lock);
	while ((l = list_pop(&woken))) {
		w = list_of(l, struct fault_wait, queue);
		w->wake(w);
	}
}

static void *resumer_main(void *arg)
{
	struct timespec ts;

	(void)arg;
	pthread_mutex_lock(&fake.fault_lock);
	while (!fake.exit) {
		if (list_empty(&fake.parked) || fake.hold) {
			pthread_cond_wait(&fake.fault_work, &fake.fault_lock);
			continue;
		}
		pthread_mutex_unlock(&fake.fault_lock);
		pthread_mutex_lock(&fake.cmd_lock);
		fake_resume();
		pthread_mutex_unlock(&fake.cmd_lock);
		pthread_mutex_lock(&fake.fault_lock);
		if (list_empty(&fake.parked))
			continue;
		/* What is left waits for PAGE_NEVER, or has just come. */
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 1000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_sec++;
			ts.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&fake.fault_work, &fake.fault_lock, &ts);
	}
	pthread_mutex_unlock(&fake.fault_lock);
	return NULL;
}

__attribute__((unused))
static void fake_hold(bool hold)
{
	pthread_mutex_lock(&fake.fault_lock);
	fake.hold = hold;
	pthread_cond_broadcast(&fake.fault_work);
	pthread_mutex_unlock(&fake.fault_lock);
}

/* ---- Harts ---- */

void hart_init(struct hart *h, struct hart_group *g, const uint32_t local_id[3],
	       uint64_t entry, uint64_t kernarg, const uint64_t *preload, unsigned int npreload)
{
	uint8_t *mem = h->private_mem;
	unsigned int i;

	memset(h, 0, sizeof(*h));
	h->private_mem = mem;
	h->group = g;
	h->pc = entry;
	h->x[10] = kernarg;
	for (i = 0; i < npreload; i++)
		h->x[10 + i] = preload[i];
	memcpy(h->local_id, local_id, sizeof(h->local_id));
}

static uint64_t global_id(const struct hart *h, unsigned int d)
{
	return (uint64_t)h->group->group_id[d] * h->group->local_size[d] + h->local_id[d];
}

uint64_t hart_global_linear(const struct hart *h)
{
	return (global_id(h, 2) * h->group->grid_size[1] + global_id(h, 1)) *
	       h->group->grid_size[0] + global_id(h, 0);
}

enum hart_stop hart_run(struct core *core, struct hart *h, unsigned int budget,
			struct hart_stop_info *stop)
{
	return script[(h->pc - SCRIPT_VA) / 16](core, h, budget, stop);
}

__attribute__((unused))
static void *hart_at(struct core *core, struct hart *h, uint64_t va, unsigned int access,
		     struct hart_stop_info *stop)
{
	return mmu_ptr(core->gpu, &core->tlb, h->group->asid, va, access, &stop->fault);
}

/* ---- Set-up ---- */

static void fake_open(unsigned int cores, unsigned int harts)
{
	memset(&fake, 0, sizeof(fake));
	fake.arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	tap_need(fake.arena != MAP_FAILED, "arena");
	fake.bus = aligned_alloc(4096, BUS_SIZE);
	fake.page = calloc(ARENA_PAGES, 1);
	tap_need(fake.bus && fake.page, "memory");
	memset(fake.bus, 0, BUS_SIZE);
	fake.status = (void *)(fake.bus + STATUS_BUS);
	fake.desc = (void *)(fake.bus + DESC_BUS);
	list_init(&fake.parked);
	pthread_mutex_init(&fake.cmd_lock, NULL);
	pthread_mutex_init(&fake.fault_lock, NULL);
	pthread_cond_init(&fake.fault_work, NULL);
	fake.gpu.cfg.num_cores = cores;
	fake.gpu.cfg.max_harts = harts;
	fake.gpu.reg.status_base = STATUS_BUS;
	fake.gpu.reg.queue_base = DESC_BUS;
	tap_need(!pthread_create(&fake.resumer, NULL, resumer_main, NULL), "thread");
	tap_need(!queue_init(&fake.gpu), "queue_init");
}

static void fake_close(void)
{
	pthread_mutex_lock(&fake.cmd_lock);
	queue_reset(&fake.gpu);
	pthread_mutex_unlock(&fake.cmd_lock);
	pthread_mutex_lock(&fake.fault_lock);
	fake.exit = true;
	pthread_cond_broadcast(&fake.fault_work);
	pthread_mutex_unlock(&fake.fault_lock);
	pthread_join(fake.resumer, NULL);
	queue_exit(&fake.gpu);
	munmap(fake.arena, ARENA_SIZE);
	free(fake.bus);
	free((void *)fake.page);
}

/* Zeroed arena memory, @align at most a page. */
static uint64_t fake_alloc(uint64_t size, uint64_t align)
{
	uint64_t at = (fake.used + align - 1) & ~(align - 1);

	tap_need(size <= ARENA_SIZE && at <= ARENA_SIZE - size, "arena full");
	fake.used = at + size;
	return ARENA_VA + at;
}

__attribute__((unused))
static void fake_page(uint64_t va, enum page_state state)
{
	fake.page[(va - ARENA_VA) >> 12] = state;
}

/* Until @cond holds; false after WAIT_NS. */
#define wait_until(cond) ({						\
	uint64_t end_ = now_ns() + WAIT_NS;				\
	while (!(cond) && now_ns() < end_)				\
		sched_yield();						\
	(cond);								\
})

/* ---- A queue and its producer ---- */

struct user_queue {
	uint32_t id, asid, slot, log2;
	uint64_t ring, read_index, write;
};

static struct user_queue user_queue(uint32_t id, uint32_t asid, uint32_t slot, uint32_t log2)
{
	struct user_queue u = { .id = id, .asid = asid, .slot = slot, .log2 = log2 };
	uint64_t i;

	u.ring = fake_alloc(64ull << log2, 4096);
	u.read_index = fake_alloc(8, 4096);
	for (i = 0; i < 1ull << log2; i++)
		*(uint16_t *)host(u.ring + 64 * i) = GSVM_PKT_INVALID;
	return u;
}

static void user_desc(const struct user_queue *u)
{
	struct gsvm_queue_desc *d = &fake.desc[u->id];

	memset(d, 0, sizeof(*d));
	d->asid = u->asid;
	d->ring = u->ring;
	d->ring_log2 = u->log2;
	d->doorbell = u->slot;
	d->read_index = u->read_index;
}

static int user_start(const struct user_queue *u)
{
	int ret;

	user_desc(u);
	pthread_mutex_lock(&fake.cmd_lock);
	ret = queue_start(&fake.gpu, u->id);
	pthread_mutex_unlock(&fake.cmd_lock);
	return ret;
}

static int user_stop(const struct user_queue *u)
{
	int ret;

	pthread_mutex_lock(&fake.cmd_lock);
	ret = queue_stop(&fake.gpu, u->id);
	pthread_mutex_unlock(&fake.cmd_lock);
	return ret;
}

__attribute__((unused))
static int user_cancel(const struct user_queue *u, uint32_t reason)
{
	int ret;

	pthread_mutex_lock(&fake.cmd_lock);
	ret = queue_cancel(&fake.gpu, u->id, reason);
	pthread_mutex_unlock(&fake.cmd_lock);
	return ret;
}

static uint64_t user_consumed(const struct user_queue *u)
{
	return atomic_load((_Atomic uint64_t *)host(u->read_index));
}

__attribute__((unused))
static uint32_t user_state(const struct user_queue *u)
{
	return atomic_load_explicit((_Atomic uint32_t *)&fake.desc[u->id].state,
				    memory_order_acquire);
}

/* Write a packet, its header last; waits while the ring is full. */
static void user_write(struct user_queue *u, const void *packet)
{
	uint64_t va = u->ring + (u->write & ((1u << u->log2) - 1)) * 64;

	tap_need(wait_until(u->write - user_consumed(u) < 1u << u->log2), "ring has room");
	memcpy((uint8_t *)host(va) + 2, (const uint8_t *)packet + 2, 62);
	atomic_store_explicit((_Atomic uint16_t *)host(va), *(const uint16_t *)packet,
			      memory_order_release);
	u->write++;
}

static void user_ring(const struct user_queue *u)
{
	queue_doorbell(&fake.gpu, u->asid, u->slot, u->write);
}

static void user_push(struct user_queue *u, const void *packet)
{
	user_write(u, packet);
	user_ring(u);
}

static uint64_t user_signal(int64_t value)
{
	uint64_t va = fake_alloc(64, 64);

	*(int64_t *)host(va) = value;
	return va;
}

static int64_t signal_value(uint64_t va)
{
	return atomic_load((_Atomic int64_t *)host(va));
}

/* A kernel descriptor for script @n. */
__attribute__((unused))
static uint64_t user_kernel(unsigned int n)
{
	uint64_t va = fake_alloc(sizeof(struct gsvm_kernel), 4096);
	struct gsvm_kernel *k = host(va);

	memset(k, 0, sizeof(*k));
	k->magic = GSVM_KERNEL_MAGIC;
	k->entry = (int64_t)(SCRIPT_VA + 16 * n - va);
	return va;
}

static struct gsvm_pkt_kernel pkt_kernel(uint64_t kernel, uint32_t group, uint32_t grid,
					 uint64_t kernarg, uint64_t signal)
{
	return (struct gsvm_pkt_kernel){
		.header = GSVM_PKT_KERNEL, .setup = 1, .group_x = group, .group_y = 1,
		.group_z = 1, .grid_x = grid, .grid_y = 1, .grid_z = 1, .kernel = kernel,
		.kernarg = kernarg, .signal = signal,
	};
}

__attribute__((unused))
static struct gsvm_pkt_vendor pkt_vendor(uint16_t op, uint64_t src, uint64_t dst, uint64_t len,
					 uint64_t signal)
{
	return (struct gsvm_pkt_vendor){
		.header = GSVM_PKT_VENDOR, .op = op, .src = src, .dst = dst, .len = len,
		.signal = signal,
	};
}

/* ---- What most tests begin and end with ---- */

/* Instructions of a step of a script. */
#define COST	10

/* The simplest script: every work-item adds 1 to the word at kernarg. */
__attribute__((unused))
static enum hart_stop run_count(struct core *core, struct hart *h, unsigned int budget,
				struct hart_stop_info *stop)
{
	_Atomic uint32_t *count = hart_at(core, h, h->x[10], GSVM_ACCESS_ATOMIC, stop);

	(void)budget;
	if (!count)
		return HART_FAULT;
	atomic_fetch_add(count, 1);
	h->insns += COST;
	return HART_DONE;
}

/* Queue @id in address space @id, at its first doorbell, running. */
__attribute__((unused))
static struct user_queue started(uint32_t id, uint32_t log2)
{
	struct user_queue u = user_queue(id, id, 0, log2);

	tap_need(!user_start(&u), "queue %u starts", id);
	return u;
}

__attribute__((unused))
static uint32_t word(uint64_t va)
{
	return atomic_load((_Atomic uint32_t *)host(va));
}

__attribute__((unused))
static bool idle_signal(uint64_t signal)
{
	return wait_until(signal_value(signal) == 0);
}

/* A fresh queue does a job of @kernel, which is run_count(): the device is well. */
__attribute__((unused))
static void works(uint64_t kernel, uint32_t id, const char *name)
{
	struct user_queue u = started(id, 3);
	uint64_t sig = user_signal(1), arg = fake_alloc(4, 4096);
	struct gsvm_pkt_kernel p = pkt_kernel(kernel, 64, 1000, arg, sig);

	user_push(&u, &p);
	tap_ok(idle_signal(sig) && word(arg) == 1000, "%s", name);
	user_stop(&u);
}

/* Queue @id in an arena that is empty but for its ring; nothing of before is left. */
__attribute__((unused))
static struct user_queue alone(uint32_t id, uint32_t asid, uint32_t log2)
{
	struct user_queue u;

	user_stop(&(struct user_queue){ .id = id });
	memset(fake.arena, 0, fake.used);
	memset((void *)fake.page, PAGE_THERE, ARENA_PAGES);
	fake.used = 0;
	u = user_queue(id, asid, 5, log2);
	tap_need(!user_start(&u), "queue starts");
	return u;
}

__attribute__((unused))
static struct gsvm_pkt_barrier pkt_barrier(uint16_t type, uint64_t signal)
{
	return (struct gsvm_pkt_barrier){ .header = type, .signal = signal };
}

#endif
