// SPDX-License-Identifier: MIT
/* See fake.h. */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "cmd.h"
#include "dma.h"
#include "fake.h"
#include "queue.h"
#include "trace.h"

#define WEAK	__attribute__((weak))

static struct fake *fake_of(const struct gpu *gpu)
{
	return (struct fake *)((char *)gpu - offsetof(struct fake, gpu));
}

/* ---- The units around ---- */

WEAK void dma_add_agent(struct gpu *gpu, struct agent *a)
{
	(void)gpu;
	(void)a;
}

WEAK void dma_remove_agent(struct gpu *gpu, struct agent *a)
{
	(void)gpu;
	(void)a;
}

WEAK void *dma_ptr(struct gpu *gpu, uint64_t bus, size_t len, bool write)
{
	struct fake *f = fake_of(gpu);

	if (!atomic_load(&f->window) || (write && atomic_load(&f->read_only)))
		return NULL;
	if (bus < FAKE_BUS || bus - FAKE_BUS > FAKE_SIZE || len > FAKE_SIZE - (bus - FAKE_BUS))
		return NULL;
	if (atomic_load(&f->pages) && bus / 4096 != (bus + len - 1) / 4096)
		return NULL;
	return f->bus + (bus - FAKE_BUS);
}

WEAK uint64_t dma_generation(struct gpu *gpu)
{
	return atomic_load(&fake_of(gpu)->generation);
}

WEAK void *gpu_ptr(struct gpu *gpu, bool vram, uint64_t addr, size_t len, bool write)
{
	if (write && fake_of(gpu)->ptr_hook)
		fake_of(gpu)->ptr_hook(fake_of(gpu));
	if (!vram)
		return dma_ptr(gpu, addr, len, write);
	if (addr > gpu->cfg.vram_size || len > gpu->cfg.vram_size - addr)
		return NULL;
	return gpu->vram + addr;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

WEAK uint64_t gpu_time_ns(const struct gpu *gpu)
{
	(void)gpu;
	return now_ns();
}

static void note_error(struct gpu *gpu, uint32_t err, uint64_t info, bool fatal)
{
	struct fake *f = fake_of(gpu);
	unsigned int n = atomic_load(&f->errors);

	/* One writer at a time in all tests that look at the list. */
	if (n < sizeof(f->error) / sizeof(f->error[0]))
		f->error[n] = (struct fake_error){ err, info, fatal };
	atomic_store(&f->errors, n + 1);
}

WEAK void gpu_error(struct gpu *gpu, uint32_t err, uint64_t info)
{
	note_error(gpu, err, info, false);
}

WEAK void gpu_fatal(struct gpu *gpu, uint32_t err, uint64_t info)
{
	note_error(gpu, err, info, true);
}

WEAK void irq_raise(struct gpu *gpu, unsigned int vector)
{
	atomic_fetch_add(&fake_of(gpu)->irq[vector], 1);
}

WEAK void trace_write(struct gpu *gpu, const char *event, uint32_t asid, uint32_t queue,
		      uint64_t a, uint64_t b)
{
	(void)gpu, (void)event, (void)asid, (void)queue, (void)a, (void)b;
}

WEAK void cmd_poke(struct gpu *gpu)
{
	atomic_fetch_add(&fake_of(gpu)->pokes, 1);
}

static int note_call(struct gpu *gpu, enum fake_queue_op op, uint32_t queue, uint32_t reason)
{
	struct fake *f = fake_of(gpu);
	unsigned int n = atomic_load(&f->calls);

	if (n < sizeof(f->call) / sizeof(f->call[0]))
		f->call[n] = (struct fake_queue_call){
			op, queue, reason, __atomic_load_n(&f->status->cmd_head, __ATOMIC_ACQUIRE)
		};
	atomic_store(&f->calls, n + 1);
	if (f->queue_hook)
		f->queue_hook(gpu, queue);
	return f->queue_ret;
}

WEAK int queue_start(struct gpu *gpu, uint32_t queue)
{
	return note_call(gpu, FAKE_QUEUE_START, queue, 0);
}

WEAK int queue_stop(struct gpu *gpu, uint32_t queue)
{
	return note_call(gpu, FAKE_QUEUE_STOP, queue, 0);
}

WEAK int queue_cancel(struct gpu *gpu, uint32_t queue, uint32_t reason)
{
	return note_call(gpu, FAKE_QUEUE_CANCEL, queue, reason);
}

/* ---- Memory and tables ---- */

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

uint64_t fake_alloc(struct fake *f, bool vram, size_t size)
{
	uint64_t *used = vram ? &f->vram_used : &f->bus_used;
	uint64_t at = *used;

	*used += (size + 0xfff) & ~0xfffull;
	if (*used > (vram ? FAKE_VRAM : FAKE_SIZE))
		abort();
	at += vram ? 0 : FAKE_BUS;
	return at;
}

void *fake_host(struct fake *f, bool vram, uint64_t addr)
{
	return vram ? f->gpu.vram + addr : f->bus + (addr - FAKE_BUS);
}

static uint64_t *table_slot(struct fake *f, bool vram, uint64_t table, uint64_t va,
			    unsigned int level)
{
	uint64_t *entries = fake_host(f, vram, table);

	return &entries[va >> GSVM_PT_SHIFT(level) & (GSVM_PT_ENTRIES - 1)];
}

uint64_t *fake_pte(struct fake *f, uint32_t asid, uint64_t va, unsigned int level, bool vram)
{
	uint64_t root = __atomic_load_n(&f->ctx[asid].root, __ATOMIC_RELAXED);
	uint64_t table;
	bool in_vram;

	if (!(root & GSVM_CTX_VALID)) {
		root = fake_alloc(f, vram, 4096) | GSVM_CTX_VALID | (vram ? GSVM_CTX_VRAM : 0);
		__atomic_store_n(&f->ctx[asid].root, root, __ATOMIC_RELEASE);
	}
	table = root & GSVM_CTX_ADDR;
	in_vram = root & GSVM_CTX_VRAM;
	for (unsigned int l = GSVM_PT_LEVELS - 1; l > level; l--) {
		uint64_t *slot = table_slot(f, in_vram, table, va, l);
		uint64_t pte = __atomic_load_n(slot, __ATOMIC_RELAXED);

		if (!(pte & GSVM_PTE_V) || pte & GSVM_PTE_LEAF) {
			pte = fake_alloc(f, vram, 4096) | GSVM_PTE_V |
			      (vram ? GSVM_PTE_KIND_VRAM : GSVM_PTE_KIND_BUS);
			__atomic_store_n(slot, pte, __ATOMIC_RELEASE);
		}
		table = pte & GSVM_PTE_ADDR;
		in_vram = pte & GSVM_PTE_KIND_VRAM;
	}
	return table_slot(f, in_vram, table, va, level);
}

static void *map_zeroed(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static void *ring_alloc(struct fake *f, uint64_t *base, size_t size)
{
	*base = fake_alloc(f, false, size);
	return fake_host(f, false, *base);
}

struct fake *fake_create(unsigned int cores)
{
	struct fake *f = must(calloc(1, sizeof(*f)));
	struct gpu *gpu = &f->gpu;

	f->bus = map_zeroed(FAKE_SIZE);
	gpu->vram = map_zeroed(FAKE_VRAM);
	gpu->cfg.vram_size = FAKE_VRAM;
	gpu->cfg.num_cores = cores;
	for (unsigned int i = 0; i < cores; i++) {
		gpu->core[i] = must(calloc(1, sizeof(struct core)));
		gpu->core[i]->gpu = gpu;
		gpu->core[i]->id = i;
		agent_init(&gpu->core[i]->agent);
	}
	atomic_store(&f->window, true);
	atomic_store(&f->generation, 1);
	f->status = ring_alloc(f, &gpu->reg.status_base, sizeof(*f->status));
	f->ctx = ring_alloc(f, &gpu->reg.ctx_base, GSVM_MAX_ASIDS * sizeof(*f->ctx));
	gpu->reg.cmd_log2 = 4;
	f->cmd = ring_alloc(f, &gpu->reg.cmd_base, sizeof(*f->cmd) << 4);
	gpu->reg.fault_log2 = 4;
	f->fault = ring_alloc(f, &gpu->reg.fault_base, sizeof(*f->fault) << 4);
	atomic_store(&gpu->enabled, true);
	return f;
}

void fake_destroy(struct fake *f)
{
	for (unsigned int i = 0; i < f->gpu.cfg.num_cores; i++) {
		agent_destroy(&f->gpu.core[i]->agent);
		free(f->gpu.core[i]);
	}
	munmap(f->gpu.vram, FAKE_VRAM);
	munmap(f->bus, FAKE_SIZE);
	free(f);
}

void fake_nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
}

bool fake_wait(const uint32_t *word, uint32_t value)
{
	uint64_t end = now_ns() + 10000000000ull;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
		if (now_ns() > end)
			return false;
		fake_nap();
	}
	return true;
}
