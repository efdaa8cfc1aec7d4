// SPDX-License-Identifier: MIT
/*
 * Packets and kernel descriptors that are refused: each field with each value
 * that it must not have, one at a time, and the error that must come.
 */
#include "queue_fake.h"

enum { COUNT };

static script_fn *script[] = { [COUNT] = run_count };

#define Q	7
#define ASID	3

#define PKT	0	/* expected addr: the packet */
#define KERN	1	/* the kernel descriptor */
#define ODD	2	/* the misaligned signal */

struct bad {
	const char *name;
	unsigned int offset, size;	/* in the packet (or descriptor) */
	uint64_t value;
	uint32_t error;
	int addr;
};

#define FIELD(type, field)	offsetof(struct type, field), sizeof(((struct type *)0)->field)
#define K(field)		FIELD(gsvm_pkt_kernel, field)
#define B(field)		FIELD(gsvm_pkt_barrier, field)
#define V(field)		FIELD(gsvm_pkt_vendor, field)
#define D(field)		FIELD(gsvm_kernel, field)

static const struct bad bad_kernel[] = {
	{ "unknown type", K(header), 4, GSVM_QERR_PACKET, PKT },
	{ "type 255", K(header), 255, GSVM_QERR_PACKET, PKT },
	{ "reserved header bit 13", K(header), 0x2002, GSVM_QERR_PACKET, PKT },
	{ "reserved header bit 15", K(header), 0x8002, GSVM_QERR_PACKET, PKT },
	{ "acquire scope 3", K(header), 0x0602, GSVM_QERR_PACKET, PKT },
	{ "release scope 3", K(header), 0x1802, GSVM_QERR_PACKET, PKT },
	{ "no dimension", K(setup), 0, GSVM_QERR_PACKET, PKT },
	{ "reserved setup bit", K(setup), 5, GSVM_QERR_PACKET, PKT },
	{ "group_x 0", K(group_x), 0, GSVM_QERR_PACKET, PKT },
	{ "group_y 0", K(group_y), 0, GSVM_QERR_PACKET, PKT },
	{ "group_z 0", K(group_z), 0, GSVM_QERR_PACKET, PKT },
	{ "group too large", K(group_x), QUEUE_MAX_GROUP + 1, GSVM_QERR_PACKET, PKT },
	{ "group_y in 1D", K(group_y), 2, GSVM_QERR_PACKET, PKT },
	{ "group_z in 1D", K(group_z), 2, GSVM_QERR_PACKET, PKT },
	{ "rsvd0", K(rsvd0), 1, GSVM_QERR_PACKET, PKT },
	{ "grid_x 0", K(grid_x), 0, GSVM_QERR_PACKET, PKT },
	{ "grid_y 0", K(grid_y), 0, GSVM_QERR_PACKET, PKT },
	{ "grid_z 0", K(grid_z), 0, GSVM_QERR_PACKET, PKT },
	{ "grid_y in 1D", K(grid_y), 2, GSVM_QERR_PACKET, PKT },
	{ "grid_z in 1D", K(grid_z), 2, GSVM_QERR_PACKET, PKT },
	{ "private size", K(private_size), QUEUE_PRIVATE_MEM + 1, GSVM_QERR_PACKET, PKT },
	{ "group size", K(group_size), QUEUE_GROUP_MEM + 1, GSVM_QERR_PACKET, PKT },
	{ "group size with the kernel's", K(group_size), QUEUE_GROUP_MEM - 8, GSVM_QERR_PACKET, PKT },
	{ "misaligned kernel", K(kernel), ARENA_VA + 32, GSVM_QERR_PACKET, PKT },
	{ "rsvd1", K(rsvd1), 1, GSVM_QERR_PACKET, PKT },
	{ "misaligned signal", K(signal), ARENA_VA + 8, GSVM_QERR_MISALIGNED, ODD },
};

static const struct bad bad_barrier[] = {
	{ "reserved header bit", B(header), 0x4003, GSVM_QERR_PACKET, PKT },
	{ "rsvd0", B(rsvd0), 1, GSVM_QERR_PACKET, PKT },
	{ "rsvd1", B(rsvd1), 1, GSVM_QERR_PACKET, PKT },
	{ "rsvd2", B(rsvd2), 1, GSVM_QERR_PACKET, PKT },
	{ "or of nothing", B(header), GSVM_PKT_BARRIER_OR, GSVM_QERR_PACKET, PKT },
	{ "misaligned dep 0", B(dep[0]), ARENA_VA + 8, GSVM_QERR_MISALIGNED, ODD },
	{ "misaligned dep 4", B(dep[4]), ARENA_VA + 8, GSVM_QERR_MISALIGNED, ODD },
	{ "misaligned signal", B(signal), ARENA_VA + 8, GSVM_QERR_MISALIGNED, ODD },
};

static const struct bad bad_vendor[] = {
	{ "op 0", V(op), 0, GSVM_QERR_PACKET, PKT },
	{ "op 3", V(op), 3, GSVM_QERR_PACKET, PKT },
	{ "rsvd0", V(rsvd0), 1, GSVM_QERR_PACKET, PKT },
	{ "rsvd1[0]", V(rsvd1[0]), 1, GSVM_QERR_PACKET, PKT },
	{ "rsvd1[2]", V(rsvd1[2]), 1, GSVM_QERR_PACKET, PKT },
	{ "len 0", V(len), 0, GSVM_QERR_PACKET, PKT },
	{ "len above 2^40", V(len), (1ull << 40) + 8, GSVM_QERR_PACKET, PKT },
	{ "fill: misaligned dst", V(dst), ARENA_VA + 4, GSVM_QERR_PACKET, PKT },
	{ "fill: misaligned len", V(len), 12, GSVM_QERR_PACKET, PKT },
	{ "misaligned signal", V(signal), ARENA_VA + 8, GSVM_QERR_MISALIGNED, ODD },
};

static const struct bad bad_desc[] = {
	{ "magic", D(magic), 1, GSVM_QERR_KERNEL, KERN },
	{ "reserved flag", D(flags), 16, GSVM_QERR_KERNEL, KERN },
	{ "preload of 9", D(flags), 9, GSVM_QERR_KERNEL, KERN },
	{ "odd private size", D(private_size), 24, GSVM_QERR_KERNEL, KERN },
	{ "large private size", D(private_size), QUEUE_PRIVATE_MEM + 16, GSVM_QERR_KERNEL, KERN },
	{ "large group size", D(group_size), QUEUE_GROUP_MEM + 1, GSVM_QERR_KERNEL, KERN },
	{ "misaligned group base", D(group_base), 64, GSVM_QERR_KERNEL, KERN },
	{ "group base in the private aperture", D(group_base), GSVM_PRIVATE_BASE - ARENA_VA,
	  GSVM_QERR_KERNEL, KERN },
	{ "rsvd", D(rsvd[3]), 1, GSVM_QERR_KERNEL, KERN },
};

static void put(void *base, const struct bad *b)
{
	memcpy((uint8_t *)base + b->offset, &b->value, b->size);
}

/* One good packet, then the bad one, which must change nothing but the queue. */
static void refuse(const char *kind, const struct bad *b, void *packet, bool desc)
{
	struct user_queue u = alone(Q, ASID, 3);
	uint64_t ok = user_signal(1), dst = fake_alloc(4096, 4096), kernel = user_kernel(COUNT);
	struct gsvm_pkt_vendor good = pkt_vendor(GSVM_VOP_FILL, 1, dst, 8, ok);
	struct gsvm_pkt_kernel *k = packet;
	struct gsvm_queue_desc *d = &fake.desc[Q];
	uint8_t bytes[64];
	uint64_t want, sig = user_signal(1);
	unsigned int irq = fake.irq[GSVM_VEC_ERROR];

	memcpy(bytes, packet, 64);
	k = (void *)bytes;
	if ((k->header & 0xff) == GSVM_PKT_KERNEL) {
		k->kernel = kernel;
		k->kernarg = dst;
		((struct gsvm_kernel *)host(kernel))->group_size = 16;
	}
	k->signal = sig;
	put(desc ? host(kernel) : bytes, b);
	want = b->addr == PKT ? u.ring + 64 : b->addr == KERN ? kernel : ARENA_VA + 8;
	atomic_exchange((_Atomic uint64_t *)&fake.status->qerror[0], 0);
	user_write(&u, &good);
	user_write(&u, bytes);
	user_ring(&u);
	/* The interrupt comes last. */
	if (!wait_until(fake.irq[GSVM_VEC_ERROR] == irq + 1) ||
	    user_state(&u) != GSVM_QUEUE_ERROR || d->error != b->error || d->addr != want ||
	    d->packet != 1 || d->reason || d->work_item || d->pc || signal_value(ok) ||
	    signal_value(sig) != 1 || fake.status->qerror[0] != 1ull << Q)
		tap_ok(false, "%s: %s: state %u error %u addr %llx packet %llu", kind, b->name,
		       user_state(&u), d->error, (unsigned long long)d->addr,
		       (unsigned long long)d->packet);
	else
		tap_ok(true, "%s: %s", kind, b->name);
}

static void test_refused(void)
{
	struct gsvm_pkt_kernel k = pkt_kernel(0, 1, 1, 0, 0);
	struct gsvm_pkt_barrier b = pkt_barrier(GSVM_PKT_BARRIER_AND, 0);
	struct gsvm_pkt_vendor v = pkt_vendor(GSVM_VOP_FILL, 0, ARENA_VA + (1 << 20), 8, 0);
	unsigned int i;

	for (i = 0; i < sizeof(bad_kernel) / sizeof(bad_kernel[0]); i++)
		refuse("kernel packet", &bad_kernel[i], &k, false);
	for (i = 0; i < sizeof(bad_barrier) / sizeof(bad_barrier[0]); i++)
		refuse("barrier packet", &bad_barrier[i], &b, false);
	for (i = 0; i < sizeof(bad_vendor) / sizeof(bad_vendor[0]); i++)
		refuse("vendor packet", &bad_vendor[i], &v, false);
	for (i = 0; i < sizeof(bad_desc) / sizeof(bad_desc[0]); i++)
		refuse("kernel descriptor", &bad_desc[i], &k, true);
}

int main(void)
{
	fake_open(2, 4096);
	test_refused();
	tap_eq(fake.fatals + fake.errors, 0, "no device error");
	fake_close();
	return tap_done();
}
