/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_DEVICE_H
#define GSVM_DEVICE_H

#include <drm/drm_device.h>
#include <drm/gsvm_drm.h>
#include <linux/hashtable.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "gsvm_hw.h"

/* Buckets of &gsvm_device.mms. */
#define GSVM_DEVICE_MMS_LOG2	6

struct gsvm_cmdq;
struct gsvm_copy_unit;
struct gsvm_fault_unit;
struct gsvm_queue_table;
struct gsvm_vm;
struct gsvm_vram;

/**
 * struct gsvm_limits - what the hardware offers, checked against sane bounds
 * @hw_version: major << 16 | minor
 * @num_asids: address spaces
 * @num_queues: hardware queues
 * @num_cores: compute cores
 * @num_copy: copy engines
 * @max_harts: work-items in flight
 * @max_group: work-items per work-group
 * @group_mem: bytes of group memory per work-group
 * @private_mem: bytes of private memory per work-item
 * @va_bits: bits of a virtual address
 * @vram_size: bytes of VRAM
 */
struct gsvm_limits {
	u32 hw_version;
	u32 num_asids;
	u32 num_queues;
	u32 num_cores;
	u32 num_copy;
	u32 max_harts;
	u32 max_group;
	u32 group_mem;
	u32 private_mem;
	u32 va_bits;
	u64 vram_size;
};

/**
 * struct gsvm_device - one GPU
 * @drm: the DRM device; &gsvm_device is allocated with devm_drm_dev_alloc()
 * @pdev: the PCI function
 * @regs: BAR0
 * @limits: read at probe, constant
 * @status: the status page, written by the device
 * @status_dma: its bus address
 * @ctx: context table, one entry per ASID; an entry is written by the VM that
 *	owns the ASID
 * @ctx_dma: its bus address
 * @vms: ASID to &gsvm_vm of all live VMs. xa_lock protects the entries; a
 *	reader takes a reference under it with gsvm_vm_get_unless_zero()
 * @mms: the same VMs by &gsvm_vm.mm, read inside RCU, changed under the xa_lock
 *	of @vms
 * @doorbell_lock: orders doorbell page faults (read) against revocation
 *	(write), gsvm_doorbell.c
 * @cmdq: command ring, gsvm_cmd.c
 * @copy: copy engines, gsvm_copy.c
 * @fault: fault ring, gsvm_fault.c
 * @queues: hardware queues, gsvm_queue.c
 * @vram: VRAM as memory of processes, gsvm_vram.c; NULL if it cannot be used so
 * @state: bits of &enum gsvm_device_state
 * @checked: when somebody last looked whether the device is still there, in
 *	jiffies
 * @wedge_work: tells the users of a wedged device
 * @wedge_reason: why, for the log and debugfs; written once
 */
struct gsvm_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *regs;
	struct gsvm_limits limits;
	struct gsvm_status *status;
	dma_addr_t status_dma;
	struct gsvm_ctx *ctx;
	dma_addr_t ctx_dma;
	struct xarray vms;
	DECLARE_HASHTABLE(mms, GSVM_DEVICE_MMS_LOG2);
	struct rw_semaphore doorbell_lock;
	struct gsvm_cmdq *cmdq;
	struct gsvm_copy_unit *copy;
	struct gsvm_fault_unit *fault;
	struct gsvm_queue_table *queues;
	struct gsvm_vram *vram;
	unsigned long state;
	unsigned long checked;
	struct work_struct wedge_work;
	const char *wedge_reason;
};

/**
 * enum gsvm_device_state - bits of &gsvm_device.state, set once
 * @GSVM_DEVICE_WEDGING: somebody is cutting the device off
 * @GSVM_DEVICE_WEDGED: the device is dead until the driver is bound anew; bus
 *	mastering is off, so it reaches no memory
 */
enum gsvm_device_state {
	GSVM_DEVICE_WEDGING,
	GSVM_DEVICE_WEDGED,
};

static inline struct gsvm_device *to_gsvm_device(struct drm_device *drm)
{
	return container_of(drm, struct gsvm_device, drm);
}

int gsvm_device_init(struct gsvm_device *gdev);
void gsvm_device_unplug(struct gsvm_device *gdev);
void gsvm_device_wedge(struct gsvm_device *gdev, const char *why);
void gsvm_device_check(struct gsvm_device *gdev);

/* Pairs with the release in gsvm_device_wedge(): true means that DMA has stopped. */
static inline bool gsvm_device_is_wedged(struct gsvm_device *gdev)
{
	return test_bit_acquire(GSVM_DEVICE_WEDGED, &gdev->state);
}

#endif
