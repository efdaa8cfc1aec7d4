// SPDX-License-Identifier: MIT
/* The TLB: what it keeps, for how long, and what checking mode says of it. */
#include "fake.h"
#include "mmu.h"
#include "tap.h"

#define V	GSVM_PTE_V
#define R	GSVM_PTE_R
#define W	GSVM_PTE_W
#define AT	GSVM_PTE_AT
#define A	GSVM_PTE_A
#define D	GSVM_PTE_D
#define L	GSVM_PTE_LEAF
#define BIT_RESERVED	(1ull << 11)

#define VA	0x400000000ull
#define ASID	3u

#define READ	GSVM_ACCESS_READ
#define WRITE	GSVM_ACCESS_WRITE
#define ATOMIC	GSVM_ACCESS_ATOMIC

static struct fake *f;
static struct gpu *gpu;
static struct tlb *tlb;
static struct mmu_fault fault;

static void begin(void)
{
	f = fake_create(1);
	gpu = &f->gpu;
	tlb = &gpu->core[0]->tlb;
	mmu_enter(gpu, tlb);
}

static void end(void)
{
	fake_destroy(f);
}

static void *use(uint64_t va, unsigned int access)
{
	return mmu_ptr(gpu, tlb, ASID, va, access, &fault);
}

static uint64_t stat(unsigned int which)
{
	return atomic_load(&gpu->stat[which]);
}

/* Walks that @va costs; ~0 when it faults. */
static uint64_t walks(uint64_t va, unsigned int access)
{
	uint64_t before = stat(GSVM_STAT_TLB_MISSES);

	if (!use(va, access))
		return ~0ull;
	return stat(GSVM_STAT_TLB_MISSES) - before;
}

static uint64_t *map(uint32_t asid, uint64_t va, unsigned int level, uint64_t bits)
{
	uint64_t *pte = fake_pte(f, asid, va, level, false);

	*pte = V | L | bits;
	return pte;
}

/* ---- Rights ---- */

static void test_rights(void)
{
	uint64_t *pte, page;

	begin();
	page = fake_alloc(f, false, 4096);
	pte = map(ASID, VA, 0, R | page);
	tap_eq(walks(VA, READ), 1, "first read walks");
	tap_eq(walks(VA + 0xfff, READ), 0, "next read of the page does not");
	tap_ok(!use(VA, WRITE) && fault.reason == GSVM_FAULT_PERMISSION, "write is not allowed");
	tap_eq(walks(VA, READ), 0, "the refused write has not cost the entry");
	*pte |= W | AT;
	tap_eq(walks(VA, WRITE), 1, "upgrade works without an invalidation");
	tap_ok(*pte & D, "... and sets D");
	tap_eq(walks(VA, WRITE) + walks(VA, READ) + walks(VA, ATOMIC), 0,
	       "then all rights are there");

	tlb_reset(tlb);
	*pte &= ~(A | D);
	tap_eq(walks(VA, READ), 1, "read of a clean page");
	tap_ok((*pte & (A | D)) == A, "... sets A alone");
	tap_eq(walks(VA, ATOMIC), 1, "an atomic after it walks, for D");
	tap_ok(*pte & D, "... and sets it");

	tlb_reset(tlb);
	tap_eq(walks(VA, READ), 1, "read of a dirty page");
	tap_eq(walks(VA, WRITE), 0, "... brings the write right at once");

	tlb_reset(tlb);
	*pte = V | L | R | page;
	use(VA, READ);
	*pte = V | L | GSVM_PTE_X | page;
	tap_eq(walks(VA, GSVM_ACCESS_EXEC), 1, "a walk for another right replaces the entry");
	tap_ok(!use(VA, READ) && fault.reason == GSVM_FAULT_PERMISSION, "... with its rights only");
	end();
}

/* ---- Lifetime ---- */

static void test_stale(void)
{
	uint64_t *pte, page, other;
	void *old;

	begin();
	page = fake_alloc(f, false, 4096);
	other = fake_alloc(f, false, 4096);
	pte = map(ASID, VA, 0, R | W | page);
	old = use(VA, WRITE);
	*pte = V | L | R | W | other;
	tap_ok(use(VA, WRITE) == old, "a changed entry: the TLB's stays usable");
	*pte = 0;
	tap_ok(use(VA, WRITE) == old, "a cleared entry: the TLB's stays usable");
	tlb_invalidate_range(tlb, ASID, VA + 4096, VA + 8192);
	tlb_invalidate_range(tlb, ASID, VA - 4096, VA);
	tlb_invalidate_range(tlb, ASID + 1, VA, VA + 4096);
	tlb_invalidate_asid(tlb, ASID + 1);
	tap_ok(use(VA, WRITE) == old, "... also after invalidations of others");
	tlb_invalidate_range(tlb, ASID, VA, VA + 4096);
	tap_ok(!use(VA, READ) && fault.reason == GSVM_FAULT_NOT_PRESENT,
	       "... until its own invalidation");

	*pte = V | L | R | W | other;
	tap_ok(use(VA, WRITE) == fake_host(f, false, other), "the new entry after that");
	*pte = 0;
	tlb_invalidate_asid(tlb, ASID);
	tap_ok(!use(VA, READ), "invalidation of the ASID");
	*pte = V | L | R | W | other;
	use(VA, READ);
	*pte = 0;
	tlb_invalidate_all(tlb);
	tap_ok(!use(VA, READ), "invalidation of all");

	/* Two pages of one slot: the later takes it. */
	uint64_t rival = VA;

	*pte = V | L | R | page;
	do
		rival += 4096;
	while (tlb_slot(tlb, ASID, rival) != tlb_slot(tlb, ASID, VA));
	map(ASID, rival, 0, R | other);
	use(VA, READ);
	tap_eq(walks(rival, READ), 1, "a page with the same slot");
	tap_eq(walks(VA, READ), 1, "... takes it, and gives it back");
	/* The same page of two address spaces. */
	map(ASID + 1, VA, 0, R | other);
	use(VA, READ);
	tap_ok(mmu_ptr(gpu, tlb, ASID + 1, VA, READ, &fault) == fake_host(f, false, other) &&
	       use(VA, READ) == fake_host(f, false, page), "address spaces do not mix");
	end();
}

static void test_extent(void)
{
	static const struct {
		const char *name;
		unsigned int level;
		uint64_t flags, page, start, end;
		bool gone;
	} cases[] = {
		{ "2 MiB: its first page", 1, 0, 0x123000, 0, 0x1000, true },
		{ "2 MiB: its last page", 1, 0, 0x123000, 0x1ff000, 0x200000, true },
		{ "2 MiB: the page before", 1, 0, 0x123000, -0x1000, 0, false },
		{ "2 MiB: the page behind", 1, 0, 0x123000, 0x200000, 0x201000, false },
		{ "64 KiB: its first page", 0, GSVM_PTE_CONT, 0x25000, 0x20000, 0x21000, true },
		{ "64 KiB: its last page", 0, GSVM_PTE_CONT, 0x25000, 0x2f000, 0x30000, true },
		{ "64 KiB: the page before", 0, GSVM_PTE_CONT, 0x25000, 0x1f000, 0x20000, false },
		{ "64 KiB: the page behind", 0, GSVM_PTE_CONT, 0x25000, 0x30000, 0x31000, false },
		{ "4 KiB: itself", 0, 0, 0x25000, 0x25000, 0x26000, true },
		{ "4 KiB: the page before", 0, 0, 0x25000, 0x24000, 0x25000, false },
		{ "4 KiB: the page behind", 0, 0, 0x25000, 0x26000, 0x27000, false },
		{ "4 KiB: everything", 0, 0, 0x25000, -VA, (1ull << 48) - VA, true },
		{ "4 KiB: 1 GiB around it", 0, 0, 0x25000, -0x10000000, 0x30000000, true },
	};
	uint64_t data, *pte;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		data = (fake_alloc(f, false, 0x400000) + 0x1fffff) & ~0x1fffffull;
		pte = map(ASID, VA + cases[i].page, cases[i].level,
			  R | cases[i].flags | (cases[i].level ? data : data + cases[i].page));
		use(VA + cases[i].page, READ);
		*pte = 0;
		tlb_invalidate_range(tlb, ASID, VA + cases[i].start, VA + cases[i].end);
		tap_ok(!use(VA + cases[i].page, READ) == cases[i].gone, "%s: %s", cases[i].name,
		       cases[i].gone ? "drops the entry" : "leaves the entry");
		end();
	}
}

static bool overlaps(const struct tlb_entry *e, uint32_t asid, uint64_t start, uint64_t end)
{
	return e->asid == asid && e->leaf_start < end && start < e->leaf_end;
}

/* Random contents, random ranges: exactly what overlaps goes. */
static void test_random(void)
{
	static struct tlb_entry before[TLB_SETS];
	unsigned int kept = 0, gone = 0, wrong = 0;
	uint64_t seed = 1, data;

	begin();
	data = (fake_alloc(f, false, 0x400000) + 0x1fffff) & ~0x1fffffull;
	/* Blocks of 2 MiB: even ones mapped whole, odd ones by 4 KiB, in two ASIDs. */
	for (unsigned int block = 0; block < 16; block++)
		for (unsigned int page = 0; page < (block & 1 ? 512 : 1); page++)
			for (uint32_t asid = ASID; asid <= ASID + 1; asid++)
				map(asid, VA + block * 0x200000ull + page * 0x1000ull, !(block & 1),
				    R | data);
	for (unsigned int round = 0; round < 3000; round++) {
		/* Half of the rounds without large leaves, the way of single slots. */
		bool small = round & 1;
		uint32_t asid = ASID + (tap_random(&seed) & 1);
		uint64_t start = VA + (tap_random(&seed) % 8192) * 0x1000;
		uint64_t end = start + ((1 + tap_random(&seed) % (round & 2 ? 600 : 8)) * 0x1000);

		if (small && !(round & 15))
			tlb_invalidate_all(tlb);
		for (unsigned int i = 0; i < 300; i++) {
			uint64_t page = tap_random(&seed) % 8192;

			if (small)
				page |= 512;
			mmu_ptr(gpu, tlb, ASID + (i & 1), VA + page * 0x1000, READ, &fault);
		}
		memcpy(before, tlb->e, sizeof(before));
		tlb_invalidate_range(tlb, asid, start, end);
		for (unsigned int i = 0; i < TLB_SETS; i++) {
			bool want = before[i].tag && !overlaps(&before[i], asid, start, end);

			wrong += !!tlb->e[i].tag != want;
			kept += want;
			gone += before[i].tag && !want;
		}
	}
	tap_note("%u entries kept, %u dropped", kept, gone);
	tap_ok(kept && gone, "random ranges hit and miss");
	tap_eq(wrong, 0, "... and drop exactly the entries whose leaves they touch");
	end();
}

/* ---- Bus windows that come and go ---- */

static void test_generation(void)
{
	uint64_t page, *pte;
	void *host;

	begin();
	page = fake_alloc(f, false, 4096);
	pte = map(ASID, VA, 0, R | W | page);
	host = use(VA, WRITE);
	atomic_store(&f->generation, 2);
	mmu_enter(gpu, tlb);
	*pte = 0;
	tap_eq(walks(VA, WRITE), 0, "windows changed: the pointer is found again without a walk");
	tap_ok(use(VA, READ) == host, "... and the stale translation is still one");

	*pte = V | L | R | W | A | D | page;
	atomic_store(&f->read_only, true);
	atomic_store(&f->generation, 3);
	mmu_enter(gpu, tlb);
	tap_ok(use(VA, READ) == host, "the window became read-only: reads go on");
	tap_ok(!use(VA, WRITE) && fault.reason == GSVM_FAULT_BUS, "... writes do not");
	tap_ok(use(VA, READ) == host, "... and take nothing with them");
	atomic_store(&f->read_only, false);

	tlb_reset(tlb);
	use(VA, WRITE);
	atomic_store(&f->window, false);
	atomic_store(&f->generation, 4);
	mmu_enter(gpu, tlb);
	tap_ok(!use(VA, WRITE), "the window is gone: no access");
	atomic_store(&f->window, true);
	atomic_store(&f->generation, 5);
	mmu_enter(gpu, tlb);
	tap_ok(use(VA, WRITE) == host, "it is back: access");

	*pte = V | L | R | GSVM_PTE_KIND_VRAM | 0x3000;
	tlb_reset(tlb);
	use(VA, READ);
	atomic_store(&f->generation, 6);
	mmu_enter(gpu, tlb);
	*pte = 0;
	tap_ok(use(VA, READ) == gpu->vram + 0x3000, "VRAM does not depend on windows");
	end();
}

/* ---- Checking mode ---- */

static bool counts(uint64_t stale, uint64_t violations)
{
	bool same = stat(GSVM_STAT_STALE_USES) == stale &&
		    stat(GSVM_STAT_VIOLATIONS) == violations;

	if (!same)
		tap_note("stale uses %llu, violations %llu",
			 (unsigned long long)stat(GSVM_STAT_STALE_USES),
			 (unsigned long long)stat(GSVM_STAT_VIOLATIONS));
	return same;
}

static void inval(uint64_t start, uint64_t end)
{
	tlb_check_read(tlb);
	tlb_invalidate_range(tlb, ASID, start, end);
	if (tlb_check_done(tlb, ASID, start, end))
		tlb_check_sweep(tlb);
}

static void test_check_stale(void)
{
	uint64_t *pte, page, other;

	begin();
	gpu->cfg.check = true;
	page = fake_alloc(f, false, 4096);
	other = fake_alloc(f, false, 4096);
	pte = map(ASID, VA, 0, R | W | page);
	use(VA, READ);
	use(VA, READ);
	use(VA, WRITE);
	use(VA, WRITE);
	tap_ok(counts(0, 0), "fresh entries are neither stale nor forbidden");
	*pte = V | L | R | W | A | D | other;
	use(VA, READ);
	tap_ok(counts(1, 0), "stale use: another page");
	*pte = V | L | R | A | D | page;
	use(VA, READ);
	tap_ok(counts(1, 0), "a right less: not for a read");
	use(VA, WRITE);
	tap_ok(counts(2, 0), "stale use: a write without the right");
	*pte = V | L | R | W | A | page;
	use(VA, WRITE);
	tap_ok(counts(3, 0), "stale use: a write with D clear");
	*pte = 0;
	use(VA, READ);
	tap_ok(counts(4, 0), "stale use: not valid");
	*pte = V | L | R | W | A | D | BIT_RESERVED | page;
	use(VA, READ);
	tap_ok(counts(5, 0), "stale use: malformed");
	*pte = V | L | R | W | A | D | page;
	use(VA, WRITE);
	tap_ok(counts(5, 0), "back to what it was: not stale");
	*pte = 0;
	inval(VA, VA + 4096);
	tap_ok(!use(VA, READ) && counts(5, 0), "after the invalidation there is nothing to use");
	end();
}

static void test_check_violation(void)
{
	uint64_t *pte, page;

	begin();
	gpu->cfg.check = true;
	page = fake_alloc(f, false, 4096);
	pte = map(ASID, VA, 0, R | W | page);
	use(VA, WRITE);
	*pte = 0;
	tlb->inject_lost = true;
	inval(VA + 4096, VA + 8192);
	use(VA, WRITE);
	tap_ok(counts(1, 0), "a lost invalidation of another page forbids nothing");
	tlb_check_read(tlb);
	use(VA, WRITE);
	tap_ok(counts(2, 0), "an invalidation under way: uses are stale, and legal");
	tlb_check_done(tlb, ASID, VA, VA + 4096);
	use(VA, WRITE);
	use(VA, READ);
	tap_ok(counts(2, 2), "after its completion each use is a violation");
	tlb->inject_lost = false;
	inval(VA, VA + 4096);
	tap_ok(!use(VA, READ) && counts(2, 2), "a real invalidation ends that");

	/* An invalidation of the wrong range, ASID, and a lost one of all. */
	*pte = V | L | R | W | page;
	use(VA, READ);
	tlb_check_read(tlb);
	tlb_invalidate_range(tlb, ASID, VA + 4096, VA + 8192);
	tlb_check_done(tlb, ASID, VA, VA + 8192);
	use(VA, READ);
	tap_ok(counts(2, 3), "too small a range is found");
	inval(VA, VA + 4096);
	use(VA, READ);
	tlb_check_read(tlb);
	tlb_invalidate_asid(tlb, ASID + 1);
	tlb_check_done(tlb, ASID, 0, 1ull << 48);
	use(VA, READ);
	tap_ok(counts(2, 4), "the wrong ASID is found");
	inval(VA, VA + 4096);
	use(VA, READ);
	tlb_check_read(tlb);
	tlb_check_done(tlb, TLB_ANY_ASID, 0, 1ull << 48);
	use(VA, READ);
	tap_ok(counts(2, 5), "a forgotten invalidation of all is found");
	tlb_reset(tlb);

	/* What was walked after the command was read has seen the new table. */
	use(VA, READ);
	tlb_check_read(tlb);
	tlb_invalidate_range(tlb, ASID, VA, VA + 4096);
	use(VA, READ);
	tlb_check_done(tlb, ASID, VA, VA + 4096);
	use(VA, READ);
	tap_ok(counts(2, 5), "an entry filled between invalidation and completion is fine");
	end();
}

/* Far more invalidations than the account holds, the guilty entry unused meanwhile. */
static void test_check_long(void)
{
	uint64_t *pte, *innocent, page;

	begin();
	gpu->cfg.check = true;
	page = fake_alloc(f, false, 4096);
	pte = map(ASID, VA, 0, R | page);
	innocent = map(ASID, VA + 0x1000, 0, R | page);
	use(VA, READ);
	use(VA + 0x1000, READ);
	*pte = 0;
	*innocent = 0;
	tlb->inject_lost = true;
	inval(VA, VA + 4096);
	for (unsigned int i = 0; i < 10 * TLB_CHECK_LOG + 17; i++)
		inval(VA + 0x2000, VA + 0x3000);
	use(VA + 0x1000, READ);
	tap_ok(counts(1, 0), "long after: the innocent entry is still only stale");
	use(VA, READ);
	tap_ok(counts(1, 1), "long after: the guilty one is not forgotten");

	/* Commands that were read and never completed (reset). */
	for (unsigned int i = 0; i < 5; i++)
		tlb_check_read(tlb);
	tlb_reset(tlb);
	*pte = V | L | R | page;
	use(VA, READ);
	inval(VA, VA + 4096);
	use(VA, READ);
	tap_ok(counts(1, 2), "the account goes on after a reset");
	end();
}

int main(void)
{
	test_rights();
	test_stale();
	test_extent();
	test_random();
	test_generation();
	test_check_stale();
	test_check_violation();
	test_check_long();
	return tap_done();
}
