// SPDX-License-Identifier: MIT
/*
 * Cells: pages under stress, and what must be true of them.
 */
#include "gsvm_cell.h"
#include "gsvm_igt.h"
#include "gsvm_proc.h"

typedef unsigned long long ull;

void stress_check(const struct stress *st)
{
	static const char *const kinds[] = {
		[STRESS_GEN] = "generation", [STRESS_SELF] = "name of the page",
		[STRESS_PATTERN] = "word that the CPU wrote",
		[STRESS_TRAIL] = "word that the GPU wrote",
	};

	if (!gsvm_peek(&st->bad))
		return;
	/* The finder writes the kind last. */
	gsvm_await(&st->kind, 1, "the GPU's report");
	gsvm_assert(false, "GPU saw %llu wrong words; first a %s: slot %llu, %#llx: %#llx, %#llx .. %#llx\n",
		    (ull)st->bad, kinds[st->kind], (ull)st->number, (ull)st->addr,
		    (ull)st->value, (ull)st->low, (ull)st->high);
}

static unsigned int cell_number(const struct cell *c)
{
	return c->slot - c->stress->slot;
}

/*
 * Poll the GPU's side of the slot until it is as wanted. It may be parked on a
 * fault, whose service needs the processor more than we do.
 */
#define cell_poll(c, cond, what)						\
	do {									\
		int64_t end = gsvm_deadline(gsvm_patience_ms());				\
										\
		while (!(cond)) {						\
			stress_check((c)->stress);				\
			gsvm_assert(gsvm_deadline(0) < end,			\
				    "slot %u (%p, mode %llu): no %s: in %llu, "	\
				    "visits %llu, writes %llu\n",			\
				    cell_number(c), (void *)(c)->page, (ull)(c)->slot->mode, what, \
				    (ull)(c)->slot->in, (ull)(c)->slot->visits,	\
				    (ull)(c)->slot->writes);			\
			gsvm_pace();						\
		}								\
	} while (0)

void cell_init(struct cell *c, struct stress *stress, unsigned int number, void *page)
{
	*c = (struct cell){
		.stress = stress, .slot = &stress->slot[number], .page = page, .gen = 1,
		.epoch = 1,
	};
	c->slot->addr = U(page);
	c->slot->self = U(page) << 8 | number % 256;
	c->slot->floor = c->slot->ceiling = 1;
}

void cell_allow(struct cell *c, uint64_t mode)
{
	uint64_t before = c->slot->mode;

	__atomic_store_n(&c->slot->mode, mode, __ATOMIC_SEQ_CST);
	if (mode >= before)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	cell_poll(c, !gsvm_peek(&c->slot->in), "leave");
}

void cell_await_visits(struct cell *c, uint64_t n)
{
	uint64_t before = gsvm_peek(&c->slot->visits);

	/* The visit that is under way may have begun before the call. */
	cell_poll(c, gsvm_peek(&c->slot->visits) > before + n, "visit");
}

void cell_next(struct cell *c)
{
	c->gen++;
	__atomic_store_n(&c->slot->ceiling, c->gen, __ATOMIC_SEQ_CST);
}

void cell_next_through_zero(struct cell *c)
{
	gsvm_poke(&c->slot->zero, c->gen + 1);
	cell_next(c);
}

void cell_settled(struct cell *c)
{
	__atomic_store_n(&c->slot->floor, c->gen, __ATOMIC_SEQ_CST);
}

void cell_prepare(const struct cell *c, uint64_t *words)
{
	unsigned int k;

	memset(words, 0, PAGE);
	words[PAGE_SELF] = c->slot->self;
	words[PAGE_EPOCH] = words[PAGE_GEN] = c->gen;
	words[PAGE_CPU] = c->cpu;
	for (k = 0; k < PATTERN_WORDS; k++)
		words[PAGE_PATTERN + k] = stress_pattern(c->slot->self, c->gen, k);
}

void cell_fill(struct cell *c)
{
	unsigned int k;

	gsvm_poke(&c->page[PAGE_SELF], c->slot->self);
	gsvm_poke(&c->page[PAGE_CPU], c->cpu);
	for (k = 0; k < PATTERN_WORDS; k++)
		gsvm_poke(&c->page[PAGE_PATTERN + k], stress_pattern(c->slot->self, c->gen, k));
	/* The GPU believes the others when it sees this one. */
	gsvm_poke(&c->page[PAGE_EPOCH], c->gen);
	gsvm_poke(&c->page[PAGE_GEN], c->gen);
	c->epoch = c->gen;
}

void cell_take(struct cell *c, const uint64_t *words, uint64_t before)
{
	c->taken += words[PAGE_COUNT];
	c->epoch = c->gen;
	c->born_after = before;
	/* One increment may have begun before the change and end after it. */
	c->born_by = gsvm_peek(&c->slot->writes) + 2;
}

void cell_take_quiet(struct cell *c)
{
	c->taken = gsvm_peek(&c->slot->writes);
	c->epoch = c->gen;
	c->born_after = c->taken;
	c->born_by = c->taken + 1;
}

void cell_rewrite(struct cell *c)
{
	cell_next(c);
	gsvm_poke(&c->page[PAGE_GEN], c->gen);
	gsvm_poke(&c->page[PAGE_CPU], ++c->cpu);
	cell_settled(c);
}

static void check_word(struct cell *c, const uint64_t *words, unsigned int k, uint64_t want,
		       const char *what)
{
	gsvm_assert(gsvm_peek(&words[k]) == want,
		    "%s: slot %u at %p: word %u is %#llx, expected %#llx (generation %llu, epoch %llu)\n",
		    what, cell_number(c), (void *)c->page, k, (ull)gsvm_peek(&words[k]),
		    (ull)want, (ull)c->gen, (ull)c->epoch);
}

/* Word @k of the trail when the GPU has made @writes increments and rests. */
static void check_trail(struct cell *c, const uint64_t *words, unsigned int k, uint64_t writes,
			const char *what)
{
	uint64_t value = words[PAGE_TRAIL + k];
	uint64_t last = writes - (writes - k) % TRAIL_WORDS;	/* the newest for this word */
	uint64_t want = stress_trail(c->slot->self, last);

	if (writes < k || !last || last <= c->born_after)
		want = 0;
	else if (last < c->born_by && !value)
		return;		/* begun before the page was there */
	gsvm_assert(value == want,
		    "%s: slot %u at %p: word %u of the GPU's trail is %#llx, expected %#llx: increment %llu of %llu, the page is there since %llu .. %llu\n",
		    what, cell_number(c), (void *)c->page, k, (ull)value, (ull)want, (ull)last,
		    (ull)writes, (ull)c->born_after, (ull)c->born_by);
}

void cell_check_words(struct cell *c, const uint64_t *words, const char *what)
{
	unsigned int k;

	stress_check(c->stress);
	check_word(c, words, PAGE_SELF, c->slot->self, what);
	check_word(c, words, PAGE_EPOCH, c->epoch, what);
	check_word(c, words, PAGE_GEN, c->gen, what);
	check_word(c, words, PAGE_CPU, c->cpu, what);
	for (k = 0; k < PATTERN_WORDS; k++)
		check_word(c, words, PAGE_PATTERN + k,
			   stress_pattern(c->slot->self, c->epoch, k), what);
}

void cell_check_at(struct cell *c, const uint64_t *words, bool quiet, const char *what)
{
	uint64_t before = gsvm_peek(&c->slot->writes), after, count;
	unsigned int k;

	cell_check_words(c, words, what);
	count = c->taken + gsvm_peek(&words[PAGE_COUNT]);
	after = gsvm_peek(&c->slot->writes);
	gsvm_assert(count >= before && count <= after + !quiet,
		    "%s: slot %u at %p: %llu increments are found, %llu of them in pages that went; the GPU made %llu .. %llu\n",
		    what, cell_number(c), (void *)c->page, (ull)count, (ull)c->taken,
		    (ull)before, (ull)after);
	for (k = 0; quiet && k < TRAIL_WORDS; k++)
		check_trail(c, words, k, after, what);
}

void cell_check(struct cell *c, bool quiet, const char *what)
{
	cell_check_at(c, c->page, quiet, what);
}

void taken_keep(struct taken *t, const uint64_t *words, uint64_t addr)
{
	memcpy(t->words, words, sizeof(t->words));
	t->addr = addr;
	t->there = true;
}

void taken_check(struct taken *t, const uint64_t *words, const char *what)
{
	unsigned int k;

	for (k = 0; t->there && k < PAGE_WORDS; k++)
		gsvm_assert(words[k] == t->words[k],
			    "%s: word %u of a page taken from %#llx changed afterwards: %#llx, then %#llx\n",
			    what, k, (ull)t->addr, (ull)t->words[k], (ull)words[k]);
	t->there = false;
}
