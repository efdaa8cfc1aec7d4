// SPDX-License-Identifier: MIT
/*
 * Programs and packets that are wrong end their queue with a record that says
 * how; everybody else goes on.
 */
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

/* The device and the VM must be as well as before. */
static void still_works(struct queue *bad)
{
	struct queue *other = queue_open_vm(bad->fd, bad->vm);
	uint64_t word = 1;

	gpu_run(other, "add", 100, U(&word), 0, 1, 1);
	gsvm_assert_eq(word, 101, "work of another queue afterwards");
	queue_close(other);
	queue_close(bad);
}

static void program(const char *kernel, uint32_t error, uint64_t addr)
{
	struct queue *q = queue_open();
	struct drm_gsvm_queue_query r;
	uint64_t out = 0;

	gpu_expect(q, gpu_launch(q, kernel, 100, U(&out)),
		   (struct gpu_error){ error, (uint32_t)ANY, (uint32_t)ANY, addr, ANY });
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.pc, "no pc in the record\n");
	gsvm_assert(r.work_item < 100, "work-item %llu of 100\n",
		    (unsigned long long)r.work_item);
	gsvm_assert(r.time_ns && r.time_ns <= igt_gsvm_query(q->fd, DRM_GSVM_PARAM_TIMESTAMP, 0),
		    "time %llu is not in the past\n", (unsigned long long)r.time_ns);
	still_works(q);
}

static void illegal(void)
{
	program("illegal", DRM_GSVM_ERROR_ILLEGAL, 0xffffffff);
}

static void ecall(void)
{
	program("ecall", DRM_GSVM_ERROR_TRAP, 0x00000073);
}

static void ebreak(void)
{
	program("ebreak", DRM_GSVM_ERROR_TRAP, 0x00100073);
}

/* Below private memory lies an address that no process can have. */
static void stack_overflow(void)
{
	struct queue *q = queue_open();
	struct drm_gsvm_queue_query r;
	uint64_t out = 0;

	gpu_expect(q, gpu_launch(q, "overflow", 1, U(&out)),
		   (struct gpu_error){ DRM_GSVM_ERROR_FAULT, DRM_GSVM_REASON_NOT_MAPPED,
				       DRM_GSVM_ACCESS_WRITE, ANY, 0 });
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.addr < GSVM_PRIVATE_BASE && r.addr >= GSVM_PRIVATE_BASE - PAGE,
		    "address %#llx is not just below private memory\n",
		    (unsigned long long)r.addr);
	still_works(q);
}

static void misaligned_atomic(void)
{
	struct queue *q = queue_open();
	uint64_t word[2] = { 0, 0 };

	gpu_expect(q, gpu_launch(q, "touch", 10, U(word) + 4, TOUCH_ATOMIC, 7),
		   (struct gpu_error){ DRM_GSVM_ERROR_MISALIGNED, (uint32_t)ANY, (uint32_t)ANY,
				       U(word) + 4, 7 });
	gsvm_assert(!word[0] && !word[1], "a misaligned atomic wrote\n");
	still_works(q);
}

static void misaligned_jump(void)
{
	struct queue *q = queue_open();

	/* Odd addresses lose their last bit by jalr; 2 remains. */
	gpu_expect(q, gpu_launch(q, "touch", 1, 0x1002, TOUCH_EXEC, 0),
		   (struct gpu_error){ DRM_GSVM_ERROR_MISALIGNED, (uint32_t)ANY, (uint32_t)ANY,
				       0x1002, 0 });
	still_works(q);
}

static void wild_aperture(void)
{
	struct queue *q = queue_open();
	uint64_t addr = GSVM_PRIVATE_BASE + (1ull << 30);

	gpu_expect(q, gpu_launch(q, "touch", 1, addr, TOUCH_WRITE, 0),
		   (struct gpu_error){ DRM_GSVM_ERROR_APERTURE, (uint32_t)ANY, (uint32_t)ANY,
				       addr, 0 });
	still_works(q);
}

static void hart_limit(void)
{
	int fd = gpu_open(0);
	struct queue *q = queue_open_limit(fd, igt_gsvm_vm_create(fd, 0), 2);
	uint64_t word = 0;

	/* Work below the limit is not touched by it. */
	gpu_run(q, "add", 64, U(&word), 0, 1000, 1);
	gsvm_assert_eq(word, 64000, "work below the limit");
	gpu_expect(q, gpu_launch(q, "forever", 1, 0),
		   (struct gpu_error){ DRM_GSVM_ERROR_LIMIT, (uint32_t)ANY, (uint32_t)ANY, ANY,
				       0 });
	still_works(q);
	close(fd);
}

/* Without a limit only destroying ends it, and others get their share. */
static void endless(void)
{
	struct queue *q = queue_open(), *other = queue_open_vm(q->fd, q->vm);
	uint64_t word = 0;

	gpu_launch(q, "forever", 256, 0);
	gpu_run(other, "add", 64, U(&word), 0, 100, 1);
	gsvm_assert_eq(word, 6400, "work beside an endless job");
	queue_close(other);
	still_works(q);
}

static void bad_packet(struct gsvm_pkt_kernel packet, uint32_t error)
{
	struct queue *q = queue_open();
	uint64_t where = U(q->share->ring[0]);
	struct gsvm_signal *s;

	if (error == DRM_GSVM_ERROR_KERNEL)
		where = packet.kernel;
	s = gpu_submit(q, &packet, offsetof(struct gsvm_pkt_kernel, signal));
	gpu_expect(q, s, (struct gpu_error){ error, (uint32_t)ANY, (uint32_t)ANY, where, ANY });
	still_works(q);
}

static struct gsvm_pkt_kernel good_packet(void)
{
	return (struct gsvm_pkt_kernel){
		.header = GSVM_PKT_KERNEL, .setup = 1,
		.group_x = 1, .group_y = 1, .group_z = 1,
		.grid_x = 1, .grid_y = 1, .grid_z = 1,
		.kernel = gpu_kernel("add"),
	};
}

#define BAD_PACKET(name, change, err)					\
	static void name(void)						\
	{								\
		struct gsvm_pkt_kernel packet = good_packet();		\
									\
		change;							\
		bad_packet(packet, DRM_GSVM_ERROR_##err);		\
	}

BAD_PACKET(packet_type, packet.header = 7, PACKET)
BAD_PACKET(packet_header, packet.header |= 1 << 15, PACKET)
BAD_PACKET(packet_reserved, packet.rsvd0 = 1, PACKET)
BAD_PACKET(packet_reserved_late, packet.rsvd1 = 1ull << 40, PACKET)
BAD_PACKET(packet_dims_none, packet.setup = 0, PACKET)
BAD_PACKET(packet_grid_empty, packet.grid_x = 0, PACKET)
BAD_PACKET(packet_group_empty, packet.group_y = 0, PACKET)
BAD_PACKET(packet_group_huge, packet.group_x = packet.group_y = 0xffff, PACKET)
BAD_PACKET(packet_group_memory, packet.group_size = 1u << 31, PACKET)
BAD_PACKET(kernel_unaligned, packet.kernel += 8, PACKET)

static struct gsvm_kernel *copied_kernel(void)
{
	struct gsvm_kernel *k = map_shared(PAGE);

	memcpy(k, (void *)(uintptr_t)gpu_kernel("add"), sizeof(*k));
	return k;
}

#define BAD_KERNEL(name, change)					\
	static void name(void)						\
	{								\
		struct gsvm_pkt_kernel packet = good_packet();		\
		struct gsvm_kernel *k = copied_kernel();		\
									\
		change;							\
		packet.kernel = U(k);					\
		bad_packet(packet, DRM_GSVM_ERROR_KERNEL);		\
	}

BAD_KERNEL(kernel_magic, k->magic++)
BAD_KERNEL(kernel_flags, k->flags |= 1u << 20)
BAD_KERNEL(kernel_private_memory, k->private_size = 1u << 31)
BAD_KERNEL(kernel_reserved, k->rsvd[2] = 1)

/* A deterministic mess; the reserved fields alone make each packet wrong. */
static void garbage(void)
{
	static const uint8_t types[] = { GSVM_PKT_VENDOR, GSVM_PKT_KERNEL, GSVM_PKT_BARRIER_AND,
					 GSVM_PKT_BARRIER_OR, 4, 255 };
	struct queue *first = queue_open();
	uint64_t seed = 0x853c49e6748fea9bull, packet[8];
	struct gsvm_signal *s = map_shared(PAGE);
	int round, i;

	s->value = 1;
	for (round = 0; round < 100; round++) {
		struct queue *q = queue_open_vm(first->fd, first->vm);

		for (i = 0; i < 8; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			packet[i] = seed;
		}
		packet[0] = (packet[0] & ~0xffull) | types[round % sizeof(types)];
		gpu_publish(q, packet);
		gpu_expect(q, s, (struct gpu_error){ DRM_GSVM_ERROR_PACKET, (uint32_t)ANY,
						     (uint32_t)ANY, U(q->share->ring), ANY });
		queue_close(q);
	}
	still_works(first);
}

static void ring_not_mapped(void)
{
	struct queue *q = queue_open();
	char *p = reserve(HUGE);
	struct drm_gsvm_queue_create args = {
		.vm_id = q->vm, .ring_packets = 64, .ring = U(p),
		.read_index = U(&q->share->signal[0]),
	};
	struct queue wild = *q;

	munmap(p, HUGE);
	q->share->signal[0].value = 0;
	igt_gsvm_queue_create(q->fd, &args, 0);
	wild.id = args.queue_id;
	*(volatile uint64_t *)((char *)q->doorbell_page + args.doorbell_offset) = 1;
	/* A signal that nobody counts down, to wait for the end. */
	q->share->signal[1].value = 1;
	gpu_expect_fault(&wild, &q->share->signal[1], DRM_GSVM_REASON_NOT_MAPPED,
			 DRM_GSVM_ACCESS_READ, p, ANY);
	still_works(q);
}

static void ring_unmapped_while_running(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	uint64_t *out = map_shared(PAGE);
	struct queue_memory *m = q->share;
	struct gsvm_signal *s = map_shared(PAGE);

	gpu_launch(q, "hold", 1, U(ctl), U(out), 8);
	gsvm_await(&ctl->rounds[0], 1, "the job's start");
	s->value = 1;
	gsvm_sys(munmap(m->ring, sizeof(m->ring)));
	*q->doorbell = 2;
	gpu_expect(q, s, (struct gpu_error){ DRM_GSVM_ERROR_FAULT, DRM_GSVM_REASON_NOT_MAPPED,
					     DRM_GSVM_ACCESS_READ, ANY, ANY });
	gsvm_poke(&ctl->stop, 1);
	still_works(q);
}

static void read_index_read_only(void)
{
	struct queue *q = queue_open();
	uint64_t *index = map_anon(PAGE);
	struct drm_gsvm_queue_create args = {
		.vm_id = q->vm, .ring_packets = 64, .ring = U(map_shared(PAGE)),
		.read_index = U(index),
	};
	struct gsvm_pkt_barrier *ring = (void *)(uintptr_t)args.ring;
	struct queue other = *q;
	struct gsvm_signal *s = map_shared(PAGE);

	*index = 0;
	gsvm_sys(mprotect(index, PAGE, PROT_READ));
	igt_gsvm_queue_create(q->fd, &args, 0);
	other.id = args.queue_id;
	ring->header = GSVM_PKT_BARRIER_AND;
	s->value = 1;
	*(volatile uint64_t *)((char *)q->doorbell_page + args.doorbell_offset) = 1;
	gpu_expect(&other, s, (struct gpu_error){ DRM_GSVM_ERROR_FAULT,
		   DRM_GSVM_REASON_PERMISSION, DRM_GSVM_ACCESS_WRITE, U(index), ANY });
	gsvm_assert_eq(*index, 0, "read-only read index");
	still_works(q);
}

static const struct gsvm_subtest tests[] = {
	{ "illegal-instruction", illegal, "an instruction that does not exist" },
	{ "ecall", ecall, "ecall" },
	{ "ebreak", ebreak, "ebreak" },
	{ "stack-overflow", stack_overflow, "recursion beyond private memory" },
	{ "misaligned-atomic", misaligned_atomic, "an atomic across two words" },
	{ "misaligned-jump", misaligned_jump, "a jump to half an instruction" },
	{ "wild-aperture", wild_aperture, "private memory that the work-item does not have" },
	{ "hart-limit", hart_limit, "an endless loop with a limit" },
	{ "endless", endless, "an endless loop without one, and others beside it" },
	{ "packet-type", packet_type, "an unknown packet" },
	{ "packet-header", packet_header, "a reserved bit in the header" },
	{ "packet-reserved", packet_reserved, "a reserved field" },
	{ "packet-reserved-late", packet_reserved_late, "another one" },
	{ "packet-dims-none", packet_dims_none, "no dimensions" },
	{ "packet-grid-empty", packet_grid_empty, "no work-items" },
	{ "packet-group-empty", packet_group_empty, "empty work-groups" },
	{ "packet-group-huge", packet_group_huge, "work-groups that are too large" },
	{ "packet-group-memory", packet_group_memory, "more group memory than there is" },
	{ "kernel-unaligned", kernel_unaligned, "a descriptor that is not aligned" },
	{ "kernel-magic", kernel_magic, "a descriptor without magic" },
	{ "kernel-flags", kernel_flags, "a descriptor with unknown flags" },
	{ "kernel-private-memory", kernel_private_memory, "more private memory than there is" },
	{ "kernel-reserved", kernel_reserved, "a reserved field of the descriptor" },
	{ "garbage", garbage, "random packets" },
	{ "ring-not-mapped", ring_not_mapped, "a ring where nothing is mapped" },
	{ "ring-unmapped-while-running", ring_unmapped_while_running, "a ring that goes away" },
	{ "read-index-read-only", read_index_read_only, "a read index that cannot be written" },
};

GSVM_MAIN(tests)
