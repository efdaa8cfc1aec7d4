/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_GUARD_H
#define GSVM_GUARD_H

#include <linux/types.h>

struct folio;
struct gsvm_block;
struct gsvm_vm;
struct gsvm_vram;
struct mm_struct;
struct mmu_notifier_range;
struct vm_area_struct;

/**
 * struct gsvm_guard - a block whose 2 MiB page leaves VRAM in one piece
 * @vm: its address space, with a reference
 * @block: the block, with a reference; NULL: nothing is guarded
 * @seq: sequence of its notifier when the guard began
 */
struct gsvm_guard {
	struct gsvm_vm *vm;
	struct gsvm_block *block;
	unsigned long seq;
};

bool gsvm_guard_take(struct gsvm_guard *guard, struct gsvm_vram *vram, struct mm_struct *mm,
		     unsigned long addr);
bool gsvm_guard_take_folio(struct gsvm_guard *guard, struct gsvm_vram *vram, struct mm_struct *mm,
			   unsigned long addr, struct folio *folio);
void gsvm_guard_drop(struct gsvm_guard *guard);
bool gsvm_guard_wait(struct gsvm_block *block, const struct mmu_notifier_range *range);

#endif
