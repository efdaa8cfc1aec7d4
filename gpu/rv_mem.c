// SPDX-License-Identifier: MIT
/*
 * Accesses of a hart that are not an aligned access to page-table or private
 * memory.
 *
 * An access belongs to one memory as a whole: one that touches a byte of the
 * group window or of the private aperture must lie inside that memory, or it
 * ends the queue with GSVM_QERR_APERTURE. In page-table memory it may cross a
 * page; then both pages are translated before the first byte moves, so that a
 * fault on either leaves nothing half done. (The translation of the first page
 * stays good while the second is walked: pointers live until the agent leaves.)
 */
#include "rv_mem.h"

/* The host memory of one access: one piece, or two when it crosses a page. */
struct rv_span {
	uint8_t *p[2];
	unsigned int len[2];
};

static bool rv_aperture(struct rv_run *r, uint64_t va, unsigned int access)
{
	return rv_error(r, GSVM_QERR_APERTURE, va, access);
}

static bool rv_span_pages(struct rv_run *r, uint64_t va, unsigned int size,
			  unsigned int access, struct rv_span *s)
{
	struct core *core = r->core;
	uint32_t asid = r->h->group->asid;
	unsigned int room = 0x1000 - (va & 0xfff);
	unsigned int i;

	s->len[0] = size < room ? size : room;
	s->len[1] = size - s->len[0];
	for (i = 0; i < 2 && s->len[i]; i++) {
		s->p[i] = mmu_ptr(core->gpu, &core->tlb, asid, i ? va + room : va, access,
				  &r->stop->fault);
		if (!s->p[i]) {
			r->why = HART_FAULT;
			return false;
		}
	}
	return true;
}

static bool rv_span_map(struct rv_run *r, uint64_t va, unsigned int size,
			unsigned int access, struct rv_span *s)
{
	const struct hart_group *g = r->h->group;
	uint64_t off = va - r->group_base;

	s->len[0] = size;
	s->len[1] = 0;
	if (off < r->group_span) {
		if (off + size > g->group_len)
			return rv_aperture(r, va, access);
		s->p[0] = g->group_mem + off;
		return true;
	}
	/* Begins before the window and reaches into it. */
	if (r->group_span && r->group_base - va < size)
		return rv_aperture(r, va, access);

	off = va - GSVM_PRIVATE_BASE;
	if (va >= GSVM_PRIVATE_BASE && va < 1ull << GSVM_VA_BITS) {
		if (off + size > g->private_len)
			return rv_aperture(r, va, access);
		s->p[0] = r->h->private_mem + off;
		return true;
	}
	if (GSVM_PRIVATE_BASE - va < size)
		return rv_aperture(r, va, access);

	return rv_span_pages(r, va, size, access, s);
}

bool rv_load_slow(struct rv_run *r, uint64_t va, unsigned int size, uint64_t *val)
{
	struct rv_span s;
	uint64_t v = 0;
	unsigned int i;

	if (!rv_span_map(r, va, size, GSVM_ACCESS_READ, &s))
		return false;
	if (!(va & (size - 1))) {
		*val = rv_host_load(s.p[0], size);
		return true;
	}
	for (i = 0; i < size; i++) {
		const uint8_t *p = i < s.len[0] ? s.p[0] + i : s.p[1] + (i - s.len[0]);

		v |= rv_host_load(p, 1) << 8 * i;
	}
	*val = v;
	return true;
}

bool rv_store_slow(struct rv_run *r, uint64_t va, unsigned int size, uint64_t val)
{
	struct rv_span s;
	unsigned int i;

	if (!rv_span_map(r, va, size, GSVM_ACCESS_WRITE, &s))
		return false;
	if (!(va & (size - 1))) {
		rv_host_store(s.p[0], size, val);
		return true;
	}
	for (i = 0; i < size; i++) {
		uint8_t *p = i < s.len[0] ? s.p[0] + i : s.p[1] + (i - s.len[0]);

		rv_host_store(p, 1, val >> 8 * i);
	}
	return true;
}

void *rv_ptr_slow(struct rv_run *r, uint64_t va, unsigned int size, unsigned int access)
{
	struct rv_span s;

	return rv_span_map(r, va, size, access, &s) ? s.p[0] : NULL;
}
