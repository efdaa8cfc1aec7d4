// SPDX-License-Identifier: MIT
/* Page-table walks: entries, rights, reserved bits, accessed and dirty bits. */
#include "fake.h"
#include "mmu.h"
#include "tap.h"

#define ASID	7u
#define VA	0x7654321a5000ull	/* index differs at each level; page 5 of its 64 KiB */
#define OK	-1

#define V	GSVM_PTE_V
#define R	GSVM_PTE_R
#define W	GSVM_PTE_W
#define X	GSVM_PTE_X
#define AT	GSVM_PTE_AT
#define A	GSVM_PTE_A
#define D	GSVM_PTE_D
#define L	GSVM_PTE_LEAF
#define CONT	GSVM_PTE_CONT
#define BIT(n)	(1ull << (n))

static struct fake *f;
static struct gpu *gpu;
static struct tlb *tlb;
static struct mmu_fault fault;

/* A GPU of its own for each group of checks. */
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

/* GSVM_FAULT_* or OK, in an empty TLB. */
static int try_access(uint64_t va, unsigned int access, void **host)
{
	void *p;

	tlb_reset(tlb);
	fault = (struct mmu_fault){ ~0ull, ~0u, ~0u };
	p = mmu_ptr(gpu, tlb, ASID, va, access, &fault);
	if (host)
		*host = p;
	if (p)
		return OK;
	if (fault.addr != va || fault.access != access)
		return 99;
	return (int)fault.reason;
}

static uint64_t load(uint64_t *pte)
{
	return __atomic_load_n(pte, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *pte, uint64_t value)
{
	__atomic_store_n(pte, value, __ATOMIC_RELEASE);
}

/* ---- Leaves: where they lead, and what they allow ---- */

static const struct {
	const char *name;
	unsigned int level;
	uint64_t flags;
	uint64_t size;
} leaf_kinds[] = {
	{ "4 KiB", 0, 0, 0x1000 },
	{ "64 KiB", 0, CONT, 0x10000 },
	{ "2 MiB", 1, 0, 0x200000 },
};

static const struct {
	uint64_t bits;
	const char *allowed;	/* of "rwxa" */
} rights[] = {
	{ 0, "" },		{ R, "r" },		{ R | W, "rw" },
	{ X, "x" },		{ R | X, "rx" },	{ R | W | X, "rwx" },
	{ AT, "" },		{ R | AT, "r" },	{ R | W | AT, "rwa" },
	{ X | AT, "x" },	{ R | X | AT, "rx" },	{ R | W | X | AT, "rwxa" },
};

/* Address of a block of memory of @kind that is aligned for every leaf. */
static uint64_t aligned_block(bool vram)
{
	uint64_t at = fake_alloc(f, vram, 0x400000);

	return (at + 0x1fffff) & ~0x1fffffull;
}

static void test_leaf(unsigned int kind, bool tables_vram, bool data_vram)
{
	static const char letters[] = "rwxa";
	bool placed = true, allowed = true, clean = true;
	uint64_t *pte, data, at, base;
	void *host;

	begin();
	data = aligned_block(data_vram);
	pte = fake_pte(f, ASID, VA, leaf_kinds[kind].level, tables_vram);
	/* A leaf's own address: all but the bits that the VA gives. */
	at = leaf_kinds[kind].level ? data : data + (VA & (leaf_kinds[kind].size - 1));
	base = V | L | leaf_kinds[kind].flags | at |
	       (data_vram ? GSVM_PTE_KIND_VRAM : GSVM_PTE_KIND_BUS);

	for (unsigned int i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		for (unsigned int a = 0; a < 4; a++) {
			bool want = strchr(rights[i].allowed, letters[a]);
			uint64_t marks = want ? letters[a] == 'w' || letters[a] == 'a' ? A | D : A
					      : 0;

			store(pte, base | rights[i].bits);
			if (try_access(VA + 0x123, a, &host) != (want ? OK : GSVM_FAULT_PERMISSION))
				allowed = false;
			if (want && host != (uint8_t *)fake_host(f, data_vram, data) +
					    ((VA + 0x123) & (leaf_kinds[kind].size - 1)))
				placed = false;
			if (load(pte) != (base | rights[i].bits | marks))
				clean = false;
		}
	}
	tap_ok(allowed, "%s leaf, tables in %s, data in %s: 12 sets of rights, 4 accesses each",
	       leaf_kinds[kind].name, tables_vram ? "VRAM" : "memory",
	       data_vram ? "VRAM" : "memory");
	tap_ok(placed, "... lead to the right byte");
	tap_ok(clean, "... set A, and D for writes and atomics, and nothing without a right");
	end();
}

/* ---- Malformed entries ---- */

static const struct {
	const char *name;
	unsigned int level;
	uint64_t clear, set;
	int reason;
} entry_cases[] = {
	{ "4 KiB leaf as it should be", 0, 0, 0, OK },
	{ "4 KiB leaf with software's bits", 0, 0, GSVM_PTE_SW, OK },
	{ "4 KiB leaf, V clear, all else set", 0, V, ~V, GSVM_FAULT_NOT_PRESENT },
	{ "4 KiB leaf, bit 11", 0, 0, BIT(11), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, KIND 2", 0, GSVM_PTE_KIND, BIT(10), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, KIND 3", 0, 0, BIT(9) | BIT(10), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, bit 59", 0, 0, BIT(59), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, bit 60", 0, 0, BIT(60), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, bit 61", 0, 0, BIT(61), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, bit 62", 0, 0, BIT(62), GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, bit 63", 0, 0, BIT(63), GSVM_FAULT_RESERVED },
	{ "level 0 without LEAF", 0, L, 0, GSVM_FAULT_RESERVED },
	{ "level 0, like a table", 0, L | R | A, 0, GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, W without R", 0, R, W, GSVM_FAULT_RESERVED },
	{ "4 KiB leaf, W, X and AT without R", 0, R, W | X | AT, GSVM_FAULT_RESERVED },
	{ "64 KiB leaf as it should be", 0, 0xf000, CONT | (VA & 0xf000), OK },
	{ "64 KiB leaf, W without R", 0, 0xf000 | R, W | CONT | (VA & 0xf000),
	  GSVM_FAULT_RESERVED },
	{ "64 KiB leaf, bit 62", 0, 0xf000, CONT | (VA & 0xf000) | BIT(62), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf as it should be", 1, 0x1ff000, L | R, OK },
	{ "2 MiB leaf with software's bits", 1, 0x1ff000, L | R | GSVM_PTE_SW, OK },
	{ "2 MiB leaf, V clear, all else set", 1, V, ~V, GSVM_FAULT_NOT_PRESENT },
	{ "2 MiB leaf, W without R", 1, 0x1ff000, L | W, GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, CONT", 1, 0x1ff000, L | R | CONT, GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, bit 11", 1, 0x1ff000, L | R | BIT(11), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, KIND 2", 1, 0x1ff000 | GSVM_PTE_KIND, L | R | BIT(10),
	  GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, KIND 3", 1, 0x1ff000, L | R | BIT(9) | BIT(10), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, bit 59", 1, 0x1ff000, L | R | BIT(59), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, bit 63", 1, 0x1ff000, L | R | BIT(63), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, address bit 12", 1, 0x1ff000, L | R | BIT(12), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, address bit 16", 1, 0x1ff000, L | R | BIT(16), GSVM_FAULT_RESERVED },
	{ "2 MiB leaf, address bit 20", 1, 0x1ff000, L | R | BIT(20), GSVM_FAULT_RESERVED },
	{ "level 2 with LEAF", 2, 0x3fffffff, V | L | R | A, GSVM_FAULT_RESERVED },
	{ "level 3 with LEAF", 3, 0x3fffffff, V | L | R | A, GSVM_FAULT_RESERVED },
};

/* The same for tables of levels 1 to 3. */
static const struct {
	const char *name;
	uint64_t clear, set;
	int reason;
} table_cases[] = {
	{ "as it should be", 0, 0, OK },
	{ "with software's bits", 0, GSVM_PTE_SW, OK },
	{ "V clear, all else set", V, ~V, GSVM_FAULT_NOT_PRESENT },
	{ "V clear", V, 0, GSVM_FAULT_NOT_PRESENT },
	{ "R", 0, R, GSVM_FAULT_RESERVED },
	{ "W", 0, W, GSVM_FAULT_RESERVED },
	{ "X", 0, X, GSVM_FAULT_RESERVED },
	{ "AT", 0, AT, GSVM_FAULT_RESERVED },
	{ "A", 0, A, GSVM_FAULT_RESERVED },
	{ "D", 0, D, GSVM_FAULT_RESERVED },
	{ "CONT", 0, CONT, GSVM_FAULT_RESERVED },
	{ "KIND 2", GSVM_PTE_KIND, BIT(10), GSVM_FAULT_RESERVED },
	{ "KIND 3", 0, GSVM_PTE_KIND, GSVM_FAULT_RESERVED },
	{ "bit 11", 0, BIT(11), GSVM_FAULT_RESERVED },
	{ "bit 59", 0, BIT(59), GSVM_FAULT_RESERVED },
	{ "bit 60", 0, BIT(60), GSVM_FAULT_RESERVED },
	{ "bit 61", 0, BIT(61), GSVM_FAULT_RESERVED },
	{ "bit 62", 0, BIT(62), GSVM_FAULT_RESERVED },
	{ "bit 63", 0, BIT(63), GSVM_FAULT_RESERVED },
	{ "address out of reach", 0, BIT(51), GSVM_FAULT_BUS },
};

/* A read through an otherwise good path; the entry must change by A at most. */
static bool entry_case(unsigned int level, uint64_t clear, uint64_t set, int reason)
{
	uint64_t *pte, *entry, bad;
	bool good;

	begin();
	pte = fake_pte(f, ASID, VA, 0, false);
	store(pte, V | L | R | A | aligned_block(false));
	entry = fake_pte(f, ASID, VA, level, false);
	bad = level == 1 && set & L ? V | A | aligned_block(false) : *entry;
	bad = (bad & ~clear) | set;
	store(entry, bad);
	good = try_access(VA, GSVM_ACCESS_READ, NULL) == reason;
	good = good && load(entry) == bad;
	good = good && !!tlb_slot(tlb, ASID, VA)->tag == (reason == OK);
	good = good && !atomic_load(&f->errors);
	end();
	return good;
}

static void test_entries(void)
{
	for (unsigned int i = 0; i < sizeof(entry_cases) / sizeof(entry_cases[0]); i++)
		tap_ok(entry_case(entry_cases[i].level, entry_cases[i].clear, entry_cases[i].set,
				  entry_cases[i].reason), "%s", entry_cases[i].name);
	for (unsigned int level = 1; level <= 3; level++)
		for (unsigned int i = 0; i < sizeof(table_cases) / sizeof(table_cases[0]); i++)
			tap_ok(entry_case(level, table_cases[i].clear, table_cases[i].set,
					  table_cases[i].reason),
			       "level %u table: %s", level, table_cases[i].name);
}

/* ---- Context entries, addresses, reach ---- */

static void test_context(void)
{
	static const struct {
		const char *name;
		uint64_t clear, set, rsvd;
		int reason;
	} cases[] = {
		{ "as it should be", 0, 0, 0, OK },
		{ "not valid", GSVM_CTX_VALID, 0, 0, GSVM_FAULT_CONTEXT },
		{ "bit 2", 0, BIT(2), 0, GSVM_FAULT_CONTEXT },
		{ "bit 11", 0, BIT(11), 0, GSVM_FAULT_CONTEXT },
		{ "bit 52", 0, BIT(52), 0, GSVM_FAULT_CONTEXT },
		{ "bit 63", 0, BIT(63), 0, GSVM_FAULT_CONTEXT },
		{ "reserved word", 0, 0, 1, GSVM_FAULT_CONTEXT },
		{ "root out of reach", 0, BIT(51), 0, GSVM_FAULT_BUS },
		{ "root in VRAM, out of reach", 0, GSVM_CTX_VRAM, 0, GSVM_FAULT_BUS },
	};
	uint64_t root;

	begin();
	store(fake_pte(f, ASID, VA, 0, false), V | L | R | fake_alloc(f, false, 4096));
	root = f->ctx[ASID].root;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->ctx[ASID].root = (root & ~cases[i].clear) | cases[i].set;
		f->ctx[ASID].rsvd = cases[i].rsvd;
		tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), cases[i].reason, cases[i].name);
	}
	f->ctx[ASID].root = root;
	f->ctx[ASID].rsvd = 0;
	f->ctx[GSVM_MAX_ASIDS].root = root;	/* what lies behind the table */
	tap_ok(!mmu_ptr(gpu, tlb, GSVM_MAX_ASIDS, VA, GSVM_ACCESS_READ, &fault) &&
	       fault.reason == GSVM_FAULT_CONTEXT, "ASID out of range");
	tap_eq(atomic_load(&f->errors), 0, "none of this is a device error");
	gpu->reg.ctx_base = 0x1000;
	tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), GSVM_FAULT_BUS,
	       "context table out of reach");
	tap_ok(f->errors == 1 && f->error[0].fatal && f->error[0].err == GSVM_ERR_BUS &&
	       f->error[0].info == 0x1000 + ASID * sizeof(struct gsvm_ctx), "... is fatal");
	end();
}

static void test_reach(void)
{
	uint64_t *pte, page;
	void *host;

	begin();
	pte = fake_pte(f, ASID, VA, 0, false);
	page = fake_alloc(f, false, 4096);
	store(pte, V | L | R | W | page);
	tap_eq(try_access(1ull << 48, GSVM_ACCESS_READ, NULL), GSVM_FAULT_ADDRESS, "VA 2^48");
	tap_eq(try_access(~0ull, GSVM_ACCESS_WRITE, NULL), GSVM_FAULT_ADDRESS, "VA 2^64 - 1");
	tap_eq(try_access(VA | 1ull << 48, GSVM_ACCESS_READ, NULL), GSVM_FAULT_ADDRESS,
	       "a good VA plus 2^48");
	tap_eq(try_access((1ull << 48) - 1, GSVM_ACCESS_READ, NULL), GSVM_FAULT_NOT_PRESENT,
	       "VA 2^48 - 1 is one like others");

	store(pte, V | L | R | 0x5000);
	tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), GSVM_FAULT_BUS,
	       "page outside of all windows");
	store(pte, V | L | R | (FAKE_BUS + FAKE_SIZE));
	tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), GSVM_FAULT_BUS, "page behind the window");
	store(pte, V | L | R | GSVM_PTE_KIND_VRAM | FAKE_VRAM);
	tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), GSVM_FAULT_BUS, "page behind VRAM");
	store(pte, V | L | R | GSVM_PTE_KIND_VRAM | (FAKE_VRAM - 4096));
	tap_ok(try_access(VA, GSVM_ACCESS_READ, &host) == OK &&
	       host == gpu->vram + FAKE_VRAM - 4096, "last page of VRAM");

	/* Read-only: marks cannot be set, reads of marked pages work, writes do not. */
	store(pte, V | L | R | W | page);
	atomic_store(&f->read_only, true);
	tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), GSVM_FAULT_BUS,
	       "table in a read-only window");
	tap_eq(load(pte), V | L | R | W | page, "... stays unmarked");
	store(pte, V | L | R | W | A | D | page);
	tap_eq(try_access(VA, GSVM_ACCESS_READ, NULL), OK, "read from a read-only window");
	tap_ok(!mmu_ptr(gpu, tlb, ASID, VA, GSVM_ACCESS_WRITE, &fault) &&
	       fault.reason == GSVM_FAULT_BUS, "write to a read-only window, also after the read");
	end();
}

/* ---- Races for an entry ---- */

/* Software gets in between the walk's look at the entry and its marking it. */
static struct {
	uint64_t *pte;
	uint64_t value;		/* what it stores */
	uint64_t flip;		/* or what it changes */
	unsigned int times;
} rival;

static void rival_hook(struct fake *fake)
{
	(void)fake;
	if (!rival.times)
		return;
	rival.times--;
	store(rival.pte, rival.flip ? load(rival.pte) ^ rival.flip : rival.value);
}

static void test_between(void)
{
	static const struct {
		const char *name;
		unsigned int access;
		uint64_t value;		/* 0x1000 and 0x2000 stand for the two pages */
		int reason;
		uint64_t left;		/* what is in the entry afterwards */
	} cases[] = {
		{ "cleared", GSVM_ACCESS_WRITE, 0, GSVM_FAULT_NOT_PRESENT, 0 },
		{ "cleared, address kept", GSVM_ACCESS_WRITE, L | R | W | 0x1000,
		  GSVM_FAULT_NOT_PRESENT, L | R | W | 0x1000 },
		{ "write-protected", GSVM_ACCESS_WRITE, V | L | R | 0x1000, GSVM_FAULT_PERMISSION,
		  V | L | R | 0x1000 },
		{ "write-protected, read", GSVM_ACCESS_READ, V | L | R | 0x1000, OK,
		  V | L | R | A | 0x1000 },
		{ "moved", GSVM_ACCESS_WRITE, V | L | R | W | 0x2000, OK,
		  V | L | R | W | A | D | 0x2000 },
		{ "marked by another", GSVM_ACCESS_WRITE, V | L | R | W | A | D | 0x1000, OK,
		  V | L | R | W | A | D | 0x1000 },
		{ "malformed", GSVM_ACCESS_READ, V | L | R | BIT(11) | 0x1000, GSVM_FAULT_RESERVED,
		  V | L | R | BIT(11) | 0x1000 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t pages;
		void *host;
		int reason;

		begin();
		pages = fake_alloc(f, false, 0x2000) - 0x1000;
		rival.pte = fake_pte(f, ASID, VA, 0, false);
		store(rival.pte, V | L | R | W | (pages + 0x1000));
		rival.value = cases[i].value ? cases[i].value + pages : 0;
		rival.flip = 0;
		rival.times = 1;
		f->ptr_hook = rival_hook;
		reason = try_access(VA, cases[i].access, &host);
		tap_ok(reason == cases[i].reason && !rival.times &&
		       load(rival.pte) == (cases[i].left ? cases[i].left + pages : 0) &&
		       (reason != OK ||
			host == fake_host(f, false, load(rival.pte) & GSVM_PTE_ADDR)),
		       "between look and mark: %s", cases[i].name);
		end();
	}

	begin();
	rival.pte = fake_pte(f, ASID, VA, 0, false);
	store(rival.pte, V | L | R | W | fake_alloc(f, false, 4096));
	rival.flip = BIT(52);
	rival.times = 5;
	f->ptr_hook = rival_hook;
	tap_eq(try_access(VA, GSVM_ACCESS_WRITE, NULL), OK,
	       "an entry that changes five times: done");
	store(rival.pte, load(rival.pte) & ~(A | D));
	rival.times = ~0u;
	tap_eq(try_access(VA, GSVM_ACCESS_WRITE, NULL), GSVM_FAULT_NOT_PRESENT,
	       "one that never stops: a fault, not a hang");
	tap_ok(!(load(rival.pte) & (A | D)), "... and no mark");
	end();
}

/*
 * A core writes to the page whenever the entry lets it. Software maps it,
 * exchanges the entry for zero, and holds the page to what D said: clear means
 * that nothing was written since the mapping, nor is later, without an
 * invalidation; only after a D does it invalidate.
 */
struct race {
	struct core *core;
	uint64_t *page;		/* word 0: writes so far */
	atomic_bool end;
	atomic_ullong writes, faults;
};

static void *race_writer(void *arg)
{
	struct race *r = arg;
	struct mmu_fault local;

	while (!atomic_load(&r->end)) {
		agent_enter(&r->core->agent);
		mmu_enter(gpu, &r->core->tlb);
		for (int i = 0; i < 64 && !agent_kicked(&r->core->agent); i++) {
			uint64_t *p;

			/* A read first puts a translation without the write right there. */
			if (i & 1)
				mmu_ptr(gpu, &r->core->tlb, ASID, VA, GSVM_ACCESS_READ, &local);
			p = mmu_ptr(gpu, &r->core->tlb, ASID, VA, GSVM_ACCESS_WRITE, &local);
			if (!p) {
				atomic_fetch_add(&r->faults, 1);
				continue;
			}
			__atomic_fetch_add(p, 1, __ATOMIC_RELAXED);
			atomic_fetch_add(&r->writes, 1);
		}
		agent_leave(&r->core->agent);
	}
	return NULL;
}

/* The writer has tried a few more times. */
static void race_turn(struct race *r)
{
	uint64_t seen = atomic_load(&r->writes) + atomic_load(&r->faults);

	while (atomic_load(&r->writes) + atomic_load(&r->faults) < seen + 3)
		fake_nap();
}

static void test_race(void)
{
	unsigned int clean = 0, dirty = 0, wrong = 0, touched = 0;
	struct race r = {0};
	pthread_t writer;
	uint64_t page, *pte, fresh;

	begin();
	pte = fake_pte(f, ASID, VA, 0, false);
	page = fake_alloc(f, false, 4096);
	fresh = V | L | R | W | page;
	r.core = gpu->core[0];
	r.page = fake_host(f, false, page);
	tap_need(!pthread_create(&writer, NULL, race_writer, &r), "thread");

	for (unsigned int i = 0; i < 1000000 && (clean < 1000 || dirty < 1000); i++) {
		uint64_t before = __atomic_load_n(r.page, __ATOMIC_RELAXED), old;

		store(pte, fresh);
		for (unsigned int k = 0; k < i % 97; k++)
			__asm__ volatile("" ::: "memory");
		/* Mostly a race; now and then the writer is waited for. */
		if (i % 32 == 0)
			race_turn(&r);
		old = __atomic_exchange_n(pte, 0, __ATOMIC_SEQ_CST);
		if (old & D) {
			dirty++;
			agent_stop(&r.core->agent);
			tlb_invalidate_range(&r.core->tlb, ASID, VA, VA + 4096);
			agent_continue(&r.core->agent);
			before = __atomic_load_n(r.page, __ATOMIC_RELAXED);
		} else {
			clean++;
		}
		if (i % 32 == 1)
			race_turn(&r);
		wrong += __atomic_load_n(r.page, __ATOMIC_RELAXED) != before;
		touched += load(pte) != 0;
	}
	atomic_store(&r.end, true);
	pthread_join(writer, NULL);
	tap_note("%u mappings ended clean, %u dirty, %llu writes, %llu faults", clean, dirty,
		 (unsigned long long)r.writes, (unsigned long long)r.faults);
	tap_ok(clean >= 1000 && dirty >= 1000, "both outcomes were met often");
	tap_eq(wrong, 0, "no write after D was seen clear, or after the invalidation");
	tap_eq(touched, 0, "no mark in an entry that is not valid");
	tap_eq(*r.page, r.writes, "every write is in the page");
	end();
}

/*
 * Software bits that change all the time make compare-exchanges fail; no mark
 * is lost, and no walk goes on for ever.
 */
struct flip {
	uint64_t *pte;
	atomic_bool end;
};

static void *flipper(void *arg)
{
	struct flip *x = arg;

	while (!atomic_load(&x->end))
		__atomic_fetch_xor(x->pte, BIT(52), __ATOMIC_SEQ_CST);
	return NULL;
}

static void test_flips(void)
{
	unsigned int lost = 0, spurious = 0, other = 0;
	struct flip x = {0};
	pthread_t thread;

	begin();
	x.pte = fake_pte(f, ASID, VA, 0, false);
	store(x.pte, V | L | R | W | fake_alloc(f, false, 4096));
	tap_need(!pthread_create(&thread, NULL, flipper, &x), "thread");
	for (unsigned int i = 0; i < 100000; i++) {
		int reason = try_access(VA, GSVM_ACCESS_WRITE, NULL);

		if (reason == OK)
			lost += (load(x.pte) & (A | D)) != (A | D);
		else if (reason == GSVM_FAULT_NOT_PRESENT)
			spurious++;
		else
			other++;
		__atomic_fetch_and(x.pte, ~(A | D), __ATOMIC_SEQ_CST);
	}
	atomic_store(&x.end, true);
	pthread_join(thread, NULL);
	tap_note("%u of 100000 writes were told to try again", spurious);
	tap_eq(lost, 0, "no mark is lost to changes of other bits");
	tap_eq(other, 0, "nothing but a retry comes of it");
	tap_ok(load(x.pte) & V && (load(x.pte) & ~(BIT(52) | GSVM_PTE_ADDR)) == (V | L | R | W),
	       "the entry is whole");
	end();
}

int main(void)
{
	for (unsigned int kind = 0; kind < 3; kind++)
		for (unsigned int where = 0; where < 4; where++)
			test_leaf(kind, where & 1, where & 2);
	test_entries();
	test_context();
	test_reach();
	test_between();
	test_race();
	test_flips();
	return tap_done();
}
