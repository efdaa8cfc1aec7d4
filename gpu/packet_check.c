// SPDX-License-Identifier: MIT
/* What makes a packet or a kernel descriptor malformed. No memory is touched. */
#include "packet.h"

_Static_assert(sizeof(struct gsvm_pkt_kernel) == GSVM_PACKET_SIZE &&
	       sizeof(struct gsvm_pkt_barrier) == GSVM_PACKET_SIZE &&
	       sizeof(struct gsvm_pkt_vendor) == GSVM_PACKET_SIZE &&
	       sizeof(struct gsvm_kernel) == 64, "one packet, one slot");
_Static_assert(offsetof(struct gsvm_pkt_kernel, signal) ==
	       offsetof(struct gsvm_pkt_vendor, signal) &&
	       offsetof(struct gsvm_pkt_barrier, signal) ==
	       offsetof(struct gsvm_pkt_vendor, signal), "packet.c relies on it");

#define HEADER_RSVD	0xe000u
#define SIGNAL_ALIGN	64
#define PRIVATE_ALIGN	16
#define GROUP_ALIGN	16	/* of the dynamic part */

static bool header_good(uint16_t header)
{
	return !(header & HEADER_RSVD) && (header >> GSVM_PKT_ACQUIRE_SHIFT & 3) != 3 &&
	       (header >> GSVM_PKT_RELEASE_SHIFT & 3) != 3;
}

static bool kernel_good(const struct gsvm_pkt_kernel *k)
{
	uint64_t group = (uint64_t)k->group_x * k->group_y * k->group_z;

	if (k->setup < 1 || k->setup > 3 || k->rsvd0 || k->rsvd1)
		return false;
	if (!group || group > QUEUE_MAX_GROUP || !k->grid_x || !k->grid_y || !k->grid_z)
		return false;
	if (k->setup < 2 && (k->group_y != 1 || k->grid_y != 1))
		return false;
	if (k->setup < 3 && (k->group_z != 1 || k->grid_z != 1))
		return false;
	return k->private_size <= QUEUE_PRIVATE_MEM && k->group_size <= QUEUE_GROUP_MEM &&
	       k->kernel % sizeof(struct gsvm_kernel) == 0;
}

static bool barrier_good(const struct gsvm_pkt_barrier *b)
{
	bool any = b->dep[0] || b->dep[1] || b->dep[2] || b->dep[3] || b->dep[4];

	if (b->rsvd0 || b->rsvd1 || b->rsvd2)
		return false;
	return any || (b->header & GSVM_PKT_TYPE) == GSVM_PKT_BARRIER_AND;
}

static bool vendor_good(const struct gsvm_pkt_vendor *v)
{
	if (v->rsvd0 || v->rsvd1[0] || v->rsvd1[1] || v->rsvd1[2])
		return false;
	if (!v->len || v->len > 1ull << 40)
		return false;
	if (v->op == GSVM_VOP_FILL)
		return v->dst % 8 == 0 && v->len % 8 == 0;
	return v->op == GSVM_VOP_COPY;
}

uint32_t packet_check(const struct queue *q, struct packet *pkt, uint64_t *addr)
{
	uint32_t type = pkt->p.header & GSVM_PKT_TYPE;
	bool good = header_good(pkt->p.header);
	unsigned int i;

	*addr = packet_va(q, pkt->index);
	if (type == GSVM_PKT_KERNEL)
		good = good && kernel_good(&pkt->p.kernel);
	else if (type == GSVM_PKT_BARRIER_AND || type == GSVM_PKT_BARRIER_OR)
		good = good && barrier_good(&pkt->p.barrier);
	else if (type == GSVM_PKT_VENDOR)
		good = good && vendor_good(&pkt->p.vendor);
	else
		good = false;
	if (!good)
		return GSVM_QERR_PACKET;
	for (i = 0; i < SIGNAL_DEPS && type != GSVM_PKT_KERNEL && type != GSVM_PKT_VENDOR; i++) {
		if (pkt->p.barrier.dep[i] % SIGNAL_ALIGN) {
			*addr = pkt->p.barrier.dep[i];
			return GSVM_QERR_MISALIGNED;
		}
	}
	if (pkt->p.vendor.signal % SIGNAL_ALIGN) {
		*addr = pkt->p.vendor.signal;
		return GSVM_QERR_MISALIGNED;
	}
	return GSVM_QERR_NONE;
}

static bool desc_good(const struct gsvm_kernel *k)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		if (k->rsvd[i])
			return false;
	return k->magic == GSVM_KERNEL_MAGIC && !(k->flags & ~GSVM_KERNEL_PRELOAD) &&
	       (k->flags & GSVM_KERNEL_PRELOAD) <= 8 && k->private_size % PRIVATE_ALIGN == 0 &&
	       k->private_size <= QUEUE_PRIVATE_MEM && k->group_size <= QUEUE_GROUP_MEM;
}

/* The group memory of kernel and packet together. */
static uint32_t group_memory(struct hart_group *g, const struct gsvm_pkt_kernel *p,
			     const struct gsvm_kernel *k)
{
	uint64_t base = p->kernel + (uint64_t)k->group_base;
	uint64_t dyn = (k->group_size + GROUP_ALIGN - 1) & ~(GROUP_ALIGN - 1ull);
	uint64_t len = p->group_size ? dyn + p->group_size : k->group_size;

	if (!len)
		return GSVM_QERR_NONE;
	if (base % 4096 || base > GSVM_PRIVATE_BASE - QUEUE_GROUP_MEM)
		return GSVM_QERR_KERNEL;
	if (len > QUEUE_GROUP_MEM)
		return GSVM_QERR_PACKET;
	g->group_base = base;
	g->group_len = len;
	g->group_dyn = p->group_size ? dyn : k->group_size;
	return GSVM_QERR_NONE;
}

/* Also prepares the dispatch. */
uint32_t kernel_check(struct packet *pkt, const struct gsvm_kernel *k, uint64_t *addr)
{
	const struct gsvm_pkt_kernel *p = &pkt->p.kernel;
	const uint32_t grid[3] = { p->grid_x, p->grid_y, p->grid_z };
	const uint32_t local[3] = { p->group_x, p->group_y, p->group_z };
	struct dispatch *d = &pkt->d;
	struct hart_group *g = &d->proto;
	uint32_t error, size;
	unsigned int i;

	*addr = p->kernel;
	if (!desc_good(k))
		return GSVM_QERR_KERNEL;
	error = group_memory(g, p, k);
	if (error) {
		if (error == GSVM_QERR_PACKET)
			*addr = packet_va(pkt->q, pkt->index);
		return error;
	}
	g->asid = pkt->q->asid;
	g->dims = p->setup;
	g->packet = pkt->index;
	g->insn_limit = pkt->q->insn_limit;
	size = p->private_size > k->private_size ? p->private_size : k->private_size;
	g->private_len = (size + PRIVATE_ALIGN - 1) & ~(PRIVATE_ALIGN - 1u);
	for (i = 0; i < 3; i++) {
		g->grid_size[i] = grid[i];
		g->local_size[i] = local[i];
		d->ngroups[i] = (grid[i] - 1) / local[i] + 1;
	}
	d->harts = local[0] * local[1] * local[2];
	d->entry = p->kernel + (uint64_t)k->entry;
	d->npreload = k->flags & GSVM_KERNEL_PRELOAD;
	return GSVM_QERR_NONE;
}
