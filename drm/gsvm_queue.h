/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_QUEUE_H
#define GSVM_QUEUE_H

#include <linux/types.h>

struct drm_gsvm_queue_query;
struct gsvm_device;
struct gsvm_fault;
struct gsvm_queue;
struct gsvm_queue_table;
struct gsvm_vm;
struct seq_file;

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

/**
 * struct gsvm_queue_config - what a queue is made from, validated
 * @ring: VA of the packet ring
 * @ring_log2: log2 of its packets
 * @read_index: VA of the read index
 * @hart_limit: instructions per work-item, in units of 2^20, or 0
 */
struct gsvm_queue_config {
	u64 ring;
	u32 ring_log2;
	u64 read_index;
	u32 hart_limit;
};

int gsvm_queue_table_init(struct gsvm_device *gdev);
void gsvm_queue_table_unplug(struct gsvm_device *gdev);

struct gsvm_queue *gsvm_queue_create(struct gsvm_vm *vm, const struct gsvm_queue_config *config);
void gsvm_queue_destroy(struct gsvm_queue *queue);
struct gsvm_queue *gsvm_queue_get(struct gsvm_queue *queue);
void gsvm_queue_put(struct gsvm_queue *queue);
struct gsvm_vm *gsvm_queue_vm(struct gsvm_queue *queue);
u32 gsvm_queue_doorbell(struct gsvm_queue *queue);
bool gsvm_queue_is_dead(struct gsvm_queue *queue);
void gsvm_queue_read_record(struct gsvm_queue *queue, struct drm_gsvm_queue_query *args);

void gsvm_queue_cancel(struct gsvm_vm *vm, const struct gsvm_fault *rec, u32 reason);
void gsvm_queue_error_irq(struct gsvm_device *gdev);
void gsvm_queue_kill_vm(struct gsvm_vm *vm, u32 error);
void gsvm_queue_kill_all(struct gsvm_device *gdev);
void gsvm_queue_show(struct gsvm_device *gdev, struct seq_file *m);

#endif
