/* SPDX-License-Identifier: MIT */
/*
 * A hart without a GPU: memory with rights per page in place of the page
 * tables, so that any access can be made to fault. Pages that are neighbours
 * for the hart are not neighbours in the host. For one test program, which takes
 * this instead of mmu.c and regs.c.
 */
#ifndef GPU_TESTS_HART_ENV_H
#define GPU_TESTS_HART_ENV_H

#include <string.h>

#include "hart.h"

#define ENV_SIZE	(16u << 20)
#define ENV_PAGES	(ENV_SIZE >> 12)
#define ENV_ASID	7

#define ENV_R		(1u << GSVM_ACCESS_READ)
#define ENV_W		(1u << GSVM_ACCESS_WRITE)
#define ENV_X		(1u << GSVM_ACCESS_EXEC)
#define ENV_A		(1u << GSVM_ACCESS_ATOMIC)
#define ENV_RW		(ENV_R | ENV_W | ENV_A)

static struct {
	_Alignas(4096) uint8_t mem[ENV_SIZE];
	uint8_t rights[ENV_PAGES];
	uint64_t time;
	struct gpu gpu;
	struct core core;
	struct hart hart;
	struct hart_group group;
	_Alignas(16) uint8_t private_mem[0x4000];
	_Alignas(16) uint8_t group_mem[0x4000];
} env;

/* The byte at @va, good to the end of its page. */
static inline uint8_t *env_ptr(uint64_t va)
{
	return env.mem + (va ^ 0x1000);
}

static inline void env_write(uint64_t va, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	while (len--)
		*env_ptr(va++) = *from++;
}

static inline void env_read(uint64_t va, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len--)
		*to++ = *env_ptr(va++);
}

static inline uint64_t env_get(uint64_t va)
{
	uint64_t v;

	env_read(va, &v, sizeof(v));
	return v;
}

static inline void env_put(uint64_t va, uint64_t v)
{
	env_write(va, &v, sizeof(v));
}

uint64_t gpu_time_ns(const struct gpu *gpu)
{
	(void)gpu;
	return env.time;
}

void mmu_check_hit(struct gpu *gpu, struct tlb *tlb, struct tlb_entry *e, uint64_t va,
		   unsigned int access)
{
	(void)gpu, (void)tlb, (void)e, (void)va, (void)access;
}

void *mmu_walk(struct gpu *gpu, struct tlb *tlb, uint32_t asid, uint64_t va,
	       unsigned int access, struct mmu_fault *fault)
{
	struct tlb_entry *e = tlb_slot(tlb, asid, va);
	unsigned int rights = va < ENV_SIZE ? env.rights[va >> 12] : 0;

	(void)gpu;
	if (!(rights & 1u << access)) {
		fault->addr = va;
		fault->access = access;
		fault->reason = rights ? GSVM_FAULT_PERMISSION : GSVM_FAULT_NOT_PRESENT;
		if (va >> GSVM_VA_BITS)
			fault->reason = GSVM_FAULT_ADDRESS;
		return NULL;
	}
	*e = (struct tlb_entry){
		.tag = (va & ~0xfffull) | 1,
		.asid = asid,
		.rights = rights,
		.host = env_ptr(va & ~0xfffull),
		.generation = ~0ull,
	};
	return env_ptr(va);
}

/* Rights of the pages that [start, start + len) touches. */
static inline void env_protect(uint64_t start, uint64_t len, unsigned int rights)
{
	uint64_t p;

	for (p = start >> 12; p <= (start + len - 1) >> 12; p++)
		env.rights[p] = rights;
	memset(&env.core.tlb, 0, sizeof(env.core.tlb));
}

/* All memory zero and without rights; a hart of a one-item grid at @entry. */
static inline void env_reset(uint64_t entry)
{
	static const uint32_t local[3];

	memset(env.mem, 0, sizeof(env.mem));
	memset(env.rights, 0, sizeof(env.rights));
	memset(env.private_mem, 0, sizeof(env.private_mem));
	memset(env.group_mem, 0, sizeof(env.group_mem));
	memset(&env.core, 0, sizeof(env.core));
	env.core.gpu = &env.gpu;
	env.group = (struct hart_group){
		.asid = ENV_ASID,
		.dims = 1,
		.local_size = { 1, 1, 1 },
		.group_size = { 1, 1, 1 },
		.grid_size = { 1, 1, 1 },
		.private_len = 0x1000,
	};
	hart_init(&env.hart, &env.group, local, entry, 0, NULL, 0);
	env.hart.private_mem = env.private_mem;
}

#endif
