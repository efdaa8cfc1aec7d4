/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_VM_H
#define GSVM_VM_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "gsvm_policy.h"

struct gsvm_device;
struct gsvm_mirror;

/* Counters behind DRM_IOCTL_GSVM_VM_QUERY; struct drm_gsvm_vm_query explains each. */
struct gsvm_vm_stats {
	atomic64_t faults;
	atomic64_t faults_failed;
	atomic64_t fault_services;
	atomic64_t fault_retries;
	atomic64_t fault_ns;
	atomic64_t pages_mapped;
	atomic64_t pages_now;
	atomic64_t huge_mapped;
	atomic64_t invalidations;
	atomic64_t pages_invalidated;
	atomic64_t pages_dirtied;
	atomic64_t metadata_bytes;
	atomic64_t bytes_migrated;
	atomic64_t pages_to_vram;
	atomic64_t pages_to_system;
	atomic64_t bounces;
};

/**
 * struct gsvm_vm - one GPU address space, mirror of one process's memory
 * @ref: the file's handle table, every queue, every fault service and every
 *	running ioctl hold one
 * @gdev: the GPU; the DRM device is kept alive by the files
 * @mm: the mirrored memory, held by mmgrab(); its users are taken with
 *	mmget_not_zero() for the time of a service
 * @asid: hardware address space, valid until gsvm_vm_shutdown()
 * @mirror: page table, blocks and notifiers, gsvm_mirror.c
 * @queue_lock: protects @queues, @doorbells, @dead against creation, destruction
 *	and shutdown of queues; taken outside of everything but mmap_lock
 * @queues: all queues of this VM, gsvm_queue.c
 * @doorbells: bitmap of doorbell slots in use
 * @dead: no queue may be made any more
 * @event_wq: where WAIT sleeps
 * @event_seq: counts events, so that a waiter that looked at its signal before
 *	the event does not miss it
 * @stats: counters
 * @entering: pages that may be on their way to VRAM, gsvm_policy.c
 * @policy: what gsvm_policy.c remembers
 * @migrate: DRM_GSVM_MIGRATE_*, when a fault moves memory to VRAM
 * @shutdown_lock: serialises gsvm_vm_shutdown(), so that a second caller returns
 *	when the first is through
 * @down: shut down; protected by @shutdown_lock
 * @mm_link: on &gsvm_device.mms, from creation to shutdown
 * @free_work: frees the address space, where sleeping is allowed
 * @rcu: frees it when nobody can find it by @mm_link any more
 */
struct gsvm_vm {
	struct kref ref;
	struct gsvm_device *gdev;
	struct mm_struct *mm;
	u32 asid;
	struct gsvm_mirror *mirror;
	struct mutex queue_lock;	/* queues, doorbells, dead */
	struct list_head queues;
	unsigned long *doorbells;
	bool dead;
	wait_queue_head_t event_wq;
	atomic64_t event_seq;
	struct gsvm_vm_stats stats;
	atomic_t entering;
	struct gsvm_vm_policy policy;
	u32 migrate;
	struct mutex shutdown_lock;	/* down */
	bool down;
	struct hlist_node mm_link;
	struct work_struct free_work;
	struct rcu_head rcu;
};

extern struct workqueue_struct *gsvm_wq;
extern struct workqueue_struct *gsvm_patient_wq;
extern struct workqueue_struct *gsvm_split_wq;

int gsvm_vm_module_init(void);
void gsvm_vm_module_exit(void);

struct gsvm_vm *gsvm_vm_create(struct gsvm_device *gdev);
void gsvm_vm_shutdown(struct gsvm_vm *vm);
struct gsvm_vm *gsvm_vm_get(struct gsvm_vm *vm);
struct gsvm_vm *gsvm_vm_get_unless_zero(struct gsvm_vm *vm);
struct gsvm_vm *gsvm_vm_lookup_asid(struct gsvm_device *gdev, u32 asid);
struct gsvm_vm *gsvm_vm_lookup_mm(struct gsvm_device *gdev, const struct mm_struct *mm);
void gsvm_vm_age_all(struct gsvm_device *gdev);
void gsvm_vm_put(struct gsvm_vm *vm);
void gsvm_vm_event(struct gsvm_vm *vm);

#endif
