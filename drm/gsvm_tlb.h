/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_TLB_H
#define GSVM_TLB_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct gsvm_vm;

#define GSVM_TLB_RANGES	8

/**
 * struct gsvm_tlb_range - a VA range, half open
 * @start: first byte
 * @end: byte behind the last
 */
struct gsvm_tlb_range {
	u64 start;
	u64 end;
};

/**
 * struct gsvm_tlb - invalidations of one address space that wait to be sent
 * @vm: the address space
 * @lock: protects all that follows; taken under block locks, no allocation
 *	under it
 * @range: what the open batch covers
 * @nr: ranges in use; 0: the open batch is empty
 * @open: number of the open batch, from 1
 * @sent: number of the last batch that was sent
 * @seq: command sequence that completes all sent batches
 * @link: in the list of address spaces with an open batch
 */
struct gsvm_tlb {
	struct gsvm_vm *vm;
	struct mutex lock;	/* the open batch and what was sent */
	struct gsvm_tlb_range range[GSVM_TLB_RANGES];
	unsigned int nr;
	u64 open;
	u64 sent;
	u64 seq;
	struct list_head link;
};

void gsvm_tlb_init(struct gsvm_tlb *tlb, struct gsvm_vm *vm);
void gsvm_tlb_fini(struct gsvm_tlb *tlb);
u64 gsvm_tlb_add(struct gsvm_tlb *tlb, u64 start, u64 end);
void gsvm_tlb_send(struct gsvm_tlb *tlb, u64 ticket);
void gsvm_tlb_wait(struct gsvm_tlb *tlb, u64 ticket);
unsigned int gsvm_tlb_merge(struct gsvm_tlb_range *range, unsigned int nr, u64 start, u64 end);

#endif
