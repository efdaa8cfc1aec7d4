// SPDX-License-Identifier: MIT
/* A GPU program in C that uses everything gsvm_device.h and gsvm-cc offer. */
#include <gsvm_device.h>

#include "program.h"

GSVM_KERNEL(ids)(uint64_t *out)
{
	uint64_t *p = out + gsvm_global_linear() * IDS_WORDS;
	unsigned int d;

	for (d = 0; d < 3; d++) {
		p[d] = gsvm_global_id(d);
		p[3 + d] = gsvm_local_id(d);
		p[6 + d] = gsvm_group_id(d);
		p[9 + d] = gsvm_global_size(d);
		p[12 + d] = gsvm_group_size(d);
		p[15 + d] = gsvm_local_size(d);
		p[18 + d] = gsvm_num_groups(d);
	}
	p[21] = gsvm_dims();
	p[22] = gsvm_local_linear();
	p[23] = gsvm_packet() << 32 | gsvm_core();
}

/* Addresses in data: functions, strings, a list linked at build time. */
static int twice(int x)
{
	return 2 * x;
}

static int square(int x)
{
	return x * x;
}

struct link {
	struct link *next;
	int (*const function)(int);
	const char *name;
};

static struct link second = { 0, square, "square" };
static struct link first = { &second, twice, "twice" };
struct link *volatile head = &first;
static int counter = 40, zeroed[3000];

GSVM_KERNEL(tables, 0)(uint64_t *out)
{
	struct link *l;

	for (l = head; l; l = l->next) {
		*out++ = l->function(7);
		*out++ = l->name[0] << 8 | l->name[1];
	}
	*out++ = ++counter;
	*out++ = zeroed[2999]++;
}

/* Sums of the work-group, in its own memory; @dynamic: in what was asked for. */
GSVM_GROUP uint64_t partial[64];

GSVM_KERNEL(reduce, 3)(const uint64_t *in, uint64_t *out, uint64_t dynamic)
{
	uint64_t *sum = dynamic ? gsvm_group_dyn() : partial;
	uint64_t i = gsvm_local_linear(), n = gsvm_group_size(0), step;

	sum[i] = in[gsvm_global_id(0)];
	gsvm_barrier();
	for (step = 64; step >>= 1;) {
		if (i < step && i + step < n)
			sum[i] += sum[i + step];
		gsvm_barrier();
	}
	if (i == 0)
		out[gsvm_group_id(0)] = sum[0] + (gsvm_group_dyn_size() << 32);
}

GSVM_KERNEL(atomics)(uint64_t *out)
{
	uint64_t w = 0xf0f0, e;
	int32_t s = -5;
	uint32_t u = 5;
	int64_t sd = -5;
	uint64_t ud = 5;

#define RECORD(i, old, now)	(out[2 * (i)] = (old), out[2 * (i) + 1] = (now))
	RECORD(A_ADD, gsvm_fetch_add(&w, 0x0f, GSVM_RELAXED), gsvm_load(&w, GSVM_ACQUIRE));
	RECORD(A_SUB, gsvm_fetch_sub(&w, 1, GSVM_ACQ_REL), w);
	RECORD(A_AND, gsvm_fetch_and(&w, 0xff, GSVM_SEQ_CST), w);
	RECORD(A_OR, gsvm_fetch_or(&w, 0x100, GSVM_RELEASE), w);
	RECORD(A_XOR, gsvm_fetch_xor(&w, 0x11, GSVM_RELAXED), w);
	RECORD(A_EXCHANGE, gsvm_exchange(&w, 77, GSVM_ACQ_REL), w);
	e = 77;
	RECORD(A_CAS_OK, gsvm_compare_exchange(&w, &e, 78, GSVM_ACQ_REL), w);
	RECORD(A_CAS_BAD, gsvm_compare_exchange(&w, &e, 79, GSVM_SEQ_CST), e);
	RECORD(A_MIN_S32, gsvm_fetch_min_s32(&s, -9), s);
	RECORD(A_MAX_S32, gsvm_fetch_max_s32(&s, 3), s);
	RECORD(A_MIN_U32, gsvm_fetch_min_u32(&u, -1), u);
	RECORD(A_MAX_U32, gsvm_fetch_max_u32(&u, -1), u);
	RECORD(A_MIN_S64, gsvm_fetch_min_s64(&sd, -9), sd);
	RECORD(A_MAX_S64, gsvm_fetch_max_s64(&sd, 3), sd);
	RECORD(A_MIN_U64, gsvm_fetch_min_u64(&ud, -1), ud);
	RECORD(A_MAX_U64, gsvm_fetch_max_u64(&ud, -1), ud);
	gsvm_fence(GSVM_SEQ_CST);
}

/* All work-items on the same words. */
GSVM_KERNEL(contend)(uint64_t *word)
{
	gsvm_fetch_add(&word[0], gsvm_global_id(0), GSVM_RELAXED);
	gsvm_fetch_max_u64(&word[1], gsvm_global_id(0));
}

struct big {
	char bytes[300];
};

/* What compilers call on their own. @in: three words. */
GSVM_KERNEL(helpers, 2)(volatile uint64_t *in, uint64_t *out)
{
	uint64_t a = in[0], b = in[1], c = in[2];
	unsigned __int128 wide = (unsigned __int128)a << 64 | b;
	struct big big, copy;
	float f = a;
	double d = b;
	unsigned int i;

	for (i = 0; i < sizeof(big.bytes); i++)
		big.bytes[i] = i * c;
	copy = big;
	out[H_CLZ] = __builtin_clzll(a) + __builtin_clz((uint32_t)a);
	out[H_CTZ] = __builtin_ctzll(a) + __builtin_ctz((uint32_t)b);
	out[H_POPCOUNT] = __builtin_popcountll(a) + __builtin_popcount((uint32_t)b);
	out[H_FFS] = __builtin_ffsll(b);
	out[H_UDIV128] = wide / c;
	out[H_UMOD128] = wide % c;
	out[H_MUL128] = (unsigned __int128)a * b >> 64;
	out[H_COMPARE] = __builtin_memcmp(&big, &copy, sizeof(big)) == 0;
	out[H_STRUCT] = copy.bytes[299];
	__builtin_memmove(copy.bytes + 5, copy.bytes, 290);
	__builtin_memmove(copy.bytes + 1, copy.bytes + 9, 200);
	out[H_MOVE] = 0;
	for (i = 0; i < sizeof(copy.bytes); i++)
		out[H_MOVE] = out[H_MOVE] * 31 + (uint8_t)copy.bytes[i];
	out[H_FLOAT] = (int64_t)(f * 0.5f);
	out[H_DOUBLE] = (int64_t)(d / 3);
	out[H_U64_TO_F32] = (uint64_t)(f + 1);
	out[H_F64_TO_U64] = (uint64_t)(d * 1.5);
	out[H_STRLEN] = __builtin_strlen((const char *)in);
}

static __attribute__((noinline)) void leave(uint64_t *out)
{
	out[0] = 1;
	gsvm_exit();
}

GSVM_KERNEL(early)(uint64_t *out)
{
	uint64_t before = gsvm_instructions();

	if (gsvm_time() && gsvm_instructions() > before)
		leave(out);
	out[1] = 1;
}

/* More stack than the default. */
GSVM_KERNEL(stack, 0, 49152)(volatile uint64_t *out)
{
	volatile uint64_t deep[5000];
	unsigned int i;

	for (i = 0; i < 5000; i++)
		deep[i] = i;
	for (i = 0; i < 5000; i++)
		out[0] += deep[i];
}
