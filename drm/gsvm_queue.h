/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_QUEUE_H
#define GSVM_QUEUE_H

#include <linux/types.h>

struct gsvm_device;
struct gsvm_queue;
struct gsvm_vm;

/**
 * struct gsvm_queue_error - why a queue ended, as QUEUE_QUERY returns it
 * @error: DRM_GSVM_ERROR_*
 * @reason: DRM_GSVM_REASON_*
 * @access: DRM_GSVM_ACCESS_*
 * @addr: by @error
 * @pc: VA of the instruction or 0
 * @packet: index of the packet
 * @work_item: linear global id
 * @time_ns: device clock
 */
struct gsvm_queue_error {
	u32 error;
	u32 reason;
	u32 access;
	u64 addr;
	u64 pc;
	u64 packet;
	u64 work_item;
	u64 time_ns;
};

int gsvm_queue_table_init(struct gsvm_device *gdev);
void gsvm_queue_fault(struct gsvm_device *gdev, u32 hwq, u32 asid,
		      const struct gsvm_queue_error *err);
void gsvm_queue_error_irq(struct gsvm_device *gdev);
void gsvm_queue_kill_vm(struct gsvm_vm *vm, u32 error);
void gsvm_queue_table_unplug(struct gsvm_device *gdev);

#endif
