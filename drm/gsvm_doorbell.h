/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_DOORBELL_H
#define GSVM_DOORBELL_H

#include <linux/types.h>

struct file;
struct gsvm_doorbell;
struct gsvm_vm;
struct vm_area_struct;

struct gsvm_doorbell *gsvm_doorbell_create(struct gsvm_vm *vm);
struct gsvm_doorbell *gsvm_doorbell_get(struct gsvm_doorbell *db);
void gsvm_doorbell_put(struct gsvm_doorbell *db);
void gsvm_doorbell_revoke(struct gsvm_doorbell *db);
u64 gsvm_doorbell_offset(u32 vm_id);
int gsvm_doorbell_mmap(struct file *filp, struct vm_area_struct *vma);

#endif
