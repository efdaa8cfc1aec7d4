/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores of a hart: which memory an address belongs to, and the
 * access itself. Aligned accesses are single-copy atomic, as the ISA asks.
 */
#ifndef GPU_RV_MEM_H
#define GPU_RV_MEM_H

#include "rv.h"

/*
 * Slow paths: group memory, edges of apertures, misaligned accesses, also
 * across two pages. Nothing is accessed unless every byte can be.
 */
bool rv_load_slow(struct rv_run *r, uint64_t va, unsigned int size, uint64_t *val);
bool rv_store_slow(struct rv_run *r, uint64_t va, unsigned int size, uint64_t val);

/*
 * Host pointer of an aligned access of any kind, or NULL with the run's stop
 * set. Complete, but out of line.
 */
void *rv_ptr_slow(struct rv_run *r, uint64_t va, unsigned int size, unsigned int access);

/* A miss that is no error: the slow path knows what to do. */
#define RV_PTR_SLOW	((void *)1)

/*
 * The common cases in line: page-table memory and private memory, aligned.
 * The window of group memory lies anywhere in the address space and hides what
 * the page table has there, so it is looked at before the TLB.
 */
static inline void *rv_ptr_fast(struct rv_run *r, uint64_t va, unsigned int size,
				unsigned int access)
{
	void *p;

	if (unlikely((va & (size - 1)) || va - r->group_base < r->group_span))
		return RV_PTR_SLOW;
	if (va >= GSVM_PRIVATE_BASE) {
		if (unlikely(va - GSVM_PRIVATE_BASE >= r->private_len))
			return RV_PTR_SLOW;
		return r->h->private_mem + (va - GSVM_PRIVATE_BASE);
	}
	p = mmu_ptr(r->core->gpu, &r->core->tlb, r->h->group->asid, va, access, &r->stop->fault);
	if (unlikely(!p))
		r->why = HART_FAULT;
	return p;
}

/* Aligned host accesses; @size is a constant wherever these are inlined. */
static inline uint64_t rv_host_load(const void *p, unsigned int size)
{
	switch (size) {
	case 1:
		return __atomic_load_n((const uint8_t *)p, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
	default:
		return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
	}
}

static inline void rv_host_store(void *p, unsigned int size, uint64_t val)
{
	switch (size) {
	case 1:
		__atomic_store_n((uint8_t *)p, val, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)p, val, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)p, val, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)p, val, __ATOMIC_RELAXED);
		break;
	}
}

/* @size bytes at @va, zero-extended. */
static inline bool rv_load(struct rv_run *r, uint64_t va, unsigned int size, uint64_t *val)
{
	void *p = rv_ptr_fast(r, va, size, GSVM_ACCESS_READ);

	if (unlikely(p == RV_PTR_SLOW))
		return rv_load_slow(r, va, size, val);
	if (unlikely(!p))
		return false;
	*val = rv_host_load(p, size);
	return true;
}

static inline bool rv_store(struct rv_run *r, uint64_t va, unsigned int size, uint64_t val)
{
	void *p = rv_ptr_fast(r, va, size, GSVM_ACCESS_WRITE);

	if (unlikely(p == RV_PTR_SLOW))
		return rv_store_slow(r, va, size, val);
	if (unlikely(!p))
		return false;
	rv_host_store(p, size, val);
	return true;
}

#endif
