/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_MIGRATE_H
#define GSVM_MIGRATE_H

#include <linux/mm_types.h>

struct gsvm_block;
struct gsvm_request;
struct gsvm_vm;

bool gsvm_migrate_movable(struct vm_area_struct *vma);
void gsvm_migrate_fault(struct gsvm_vm *vm, struct gsvm_block *block, struct gsvm_request *req);
vm_fault_t gsvm_migrate_to_ram(struct vm_fault *vmf);
const void *gsvm_migrate_in_mark(void);

#endif
