// SPDX-License-Identifier: MIT
/*
 * Queues that work, fail, are stopped, cancelled and reset at random and at the
 * same time. Once a queue has ended its memory is made unreachable, and nobody
 * may have a pointer into it any more.
 */
#include <sched.h>

#include "queue_fake.h"

enum { MARK, STORM };

/* Random work at kernarg, a page; some harts fail, some never end. */
static enum hart_stop run_storm(struct core *core, struct hart *h, unsigned int budget,
				struct hart_stop_info *stop)
{
	_Atomic uint32_t *word;
	uint64_t r, n;

	for (n = 0; n < 20; n++) {
		h->x[6] += h->insns + h->pc + hart_global_linear(h) * 77 + h->x[11];
		r = tap_random(&h->x[6]);
		word = hart_at(core, h, h->x[10] + r % 1024 * 4, GSVM_ACCESS_ATOMIC, stop);
		if (!word)
			return HART_FAULT;
		atomic_fetch_add(word, 1);
		h->insns += budget / 20 + 1;
	}
	r >>= 32;
	if (r % 1024 == 0) {
		stop->qerr = GSVM_QERR_TRAP;
		return HART_ERROR;
	}
	if (r % 16 == 1)
		return HART_BARRIER;
	return r % 3 ? HART_DONE : HART_BUDGET;
}

static script_fn *script[] = { [MARK] = run_count, [STORM] = run_storm };

static uint64_t kernel[8];

#define STORMERS	12
#define REGION		(64 * 4096ull)

struct stormer {
	struct user_queue u;
	uint64_t region, signal, data;
	bool up;
};

static void storm_protect(struct stormer *s, bool off)
{
	if (off)
		atomic_store(&fake.forbidden[s->u.asid], true);
	tap_need(!mprotect(host(s->region), REGION, off ? PROT_NONE : PROT_READ | PROT_WRITE),
		 "mprotect");
	if (!off)
		atomic_store(&fake.forbidden[s->u.asid], false);
}

static void storm_start(struct stormer *s)
{
	uint64_t i;

	storm_protect(s, false);
	memset(host(s->region), 0, REGION);
	for (i = 0; i < 1ull << s->u.log2; i++)
		*(uint16_t *)host(s->u.ring + 64 * i) = GSVM_PKT_INVALID;
	s->u.write = 0;
	memcpy(host(s->region + REGION - 4096), host(kernel[STORM]), 64);
	((struct gsvm_kernel *)host(s->region + REGION - 4096))->entry =
		(int64_t)(SCRIPT_VA + 16 * STORM - (s->region + REGION - 4096));
	((struct gsvm_kernel *)host(s->region + REGION - 4096))->flags = 2;
	*(uint64_t *)host(s->signal + 64) = s->data;
	*(uint64_t *)host(s->signal + 72) = 1;
	user_start(&s->u);
	s->up = true;
}

/* Whatever there is room for; never waits. */
static void storm_push(struct stormer *s, uint64_t *seed)
{
	uint64_t r = tap_random(seed), args = s->signal + 64;
	struct gsvm_pkt_kernel k = pkt_kernel(s->region + REGION - 4096, 1 + r % 64,
					      1 + (r >> 8) % 500, args, s->signal);
	struct gsvm_pkt_vendor c = pkt_vendor(GSVM_VOP_COPY, s->data + 4096 + 100,
					      s->data + 40960 + 7, 20000, s->signal);
	struct gsvm_pkt_barrier b = { .header = GSVM_PKT_BARRIER_OR, .signal = s->signal };

	if (s->u.write - user_consumed(&s->u) >= 1ull << s->u.log2)
		return;
	if (r >> 58 == 0)
		k.rsvd1 = 1;
	b.dep[r >> 40 & 1] = s->signal + 128;
	if (r >> 41 & 1)
		b.dep[3] = s->signal + 192;
	atomic_store((_Atomic int64_t *)host(s->signal + 128), r >> 42 & 1);
	switch (r >> 50 & 3) {
	case 0:
		user_write(&s->u, &c);
		break;
	case 1:
		user_write(&s->u, &b);
		break;
	default:
		k.header |= (r >> 49 & 1) << 8;
		user_write(&s->u, &k);
	}
	user_ring(&s->u);
}

static void storm_end(struct stormer *s, unsigned int how)
{
	if (how == 0)
		user_cancel(&s->u, 1);
	else
		user_stop(&s->u);
	s->up = false;
	storm_protect(s, true);
}

static void storm_reset(struct stormer *s)
{
	unsigned int i;

	pthread_mutex_lock(&fake.cmd_lock);
	queue_reset(&fake.gpu);
	for (i = 0; i < STORMERS; i++) {
		s[i].up = false;
		storm_protect(&s[i], true);
	}
	pthread_mutex_unlock(&fake.cmd_lock);
}

static void test_storm(void)
{
	static struct stormer s[STORMERS];
	uint64_t seed = 42, r, deaths = 0, ends = 0, last = now_ns() + WAIT_NS;
	unsigned int i, n;

	for (i = 0; i < STORMERS; i++) {
		s[i].u = (struct user_queue){ .id = 200 + i, .asid = 300 + i, .log2 = 4 };
		s[i].region = fake_alloc(REGION, 4096);
		s[i].u.ring = s[i].region;
		s[i].u.read_index = s[i].region + 4096;
		s[i].signal = s[i].region + 8192;
		s[i].data = s[i].region + 12288;
		storm_protect(&s[i], true);
	}
	atomic_store(&fake.fault_seed, 99);
	for (n = 0; n < 40000 || (deaths < 25 && now_ns() < last); n++) {
		r = tap_random(&seed);
		i = r % STORMERS;
		if (!s[i].up) {
			storm_start(&s[i]);
		} else if (user_state(&s[i].u) == GSVM_QUEUE_ERROR) {
			/* By itself: from the moment it can be seen, silence. */
			deaths++;
			s[i].up = false;
			storm_protect(&s[i], true);
		} else if ((r >> 20) % 64 == 0) {
			ends++;
			storm_end(&s[i], r >> 30 & 1);
		} else if ((r >> 20) % 2048 == 1) {
			storm_reset(s);
		} else {
			storm_push(&s[i], &seed);
		}
	}
	storm_reset(s);
	atomic_store(&fake.fault_seed, 0);
	tap_note("%llu errors, %llu stops and cancels", (unsigned long long)deaths,
		 (unsigned long long)ends);
	tap_ok(deaths > 20 && ends > 100, "storm: queues ended in all ways");
	tap_eq(fake.violations, 0, "none made an access after its end");
	tap_eq(fake.nparked, 0, "no wait is left");
	works(kernel[MARK], 40, "the device is well");
}

int main(void)
{
	unsigned int i;

	fake_open(2, 4096);
	for (i = 0; i < 2; i++)
		kernel[i] = user_kernel(i);
	test_storm();
	tap_eq(fake.fatals + fake.errors, 0, "no device error");
	fake_close();
	return tap_done();
}
