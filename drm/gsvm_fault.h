/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_FAULT_H
#define GSVM_FAULT_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/mempool.h>
#include <linux/workqueue.h>

#include "gsvm_hw.h"

struct gsvm_device;
struct gsvm_fault_batch;
struct gsvm_request;
struct gsvm_vm;

/* Records per batch. */
#define GSVM_FAULT_BATCH	64

/* Resume commands per service. */
#define GSVM_FAULT_RESUMES	16

/**
 * struct gsvm_fault_unit - the fault ring of one device
 * @ring: records, written by the device
 * @ring_dma: its bus address
 * @log2: log2 of its entries
 * @by_block: the device keeps faults back, see FAULT_REPORT
 * @head: records taken out; the interrupt's thread alone touches it
 * @batches: pool of &gsvm_fault_batch
 */
struct gsvm_fault_unit {
	struct gsvm_fault *ring;
	dma_addr_t ring_dma;
	unsigned int log2;
	bool by_block;
	u32 head;
	mempool_t batches;
};

/**
 * struct gsvm_fault_slice - records of one batch that concern one block
 * @work: serves it
 * @batch: batch, with a reference
 * @vm: address space, with a reference
 * @first: first record
 * @nr: records
 * @patient: all are for one page that was put aside before
 * @replays: services that ended without an answer
 * @begin: when the service began, in nanoseconds
 */
struct gsvm_fault_slice {
	struct work_struct work;
	struct gsvm_fault_batch *batch;
	struct gsvm_vm *vm;
	unsigned int first;
	unsigned int nr;
	bool patient;
	unsigned int replays;
	u64 begin;
};

/**
 * struct gsvm_fault_batch - records under service
 * @ref: one per slice, one for the drain
 * @gdev: device
 * @rec: the records, sorted
 * @drained: when the records were taken out of the ring, by ktime_get_ns()
 * @nr_slices: slices in use
 * @slice: at most one per record, and one more when its page is put aside
 */
struct gsvm_fault_batch {
	struct kref ref;
	struct gsvm_device *gdev;
	struct gsvm_fault rec[GSVM_FAULT_BATCH];
	u64 drained;
	atomic_t nr_slices;
	struct gsvm_fault_slice slice[2 * GSVM_FAULT_BATCH];
};

int gsvm_fault_init(struct gsvm_device *gdev);
void gsvm_fault_irq(struct gsvm_device *gdev);

#if IS_ENABLED(CONFIG_KUNIT)
void gsvm_fault_start(struct gsvm_fault_batch *batch, struct gsvm_vm *vm,
		      unsigned int first, unsigned int nr, bool patient);
bool gsvm_fault_request(struct gsvm_fault_slice *slice, struct gsvm_request *req);
u32 gsvm_fault_verdict(const struct gsvm_fault *rec, const struct gsvm_request *req);
void gsvm_fault_resume(struct gsvm_fault_slice *slice, const struct gsvm_request *req);
void gsvm_fault_put_aside(struct gsvm_fault_slice *slice, const struct gsvm_request *req);
#endif

#endif
