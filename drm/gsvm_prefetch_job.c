// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Prefetch in the background
 *
 * An asynchronous prefetch is a work item that moves a range (gsvm_prefetch_range())
 * and then decrements a signal in the process's memory, as a packet's end does. It holds
 * a reference to the VM, not to the process's memory: it takes that for a pair of
 * windows at a time, and ends when there is none any more. The signal comes in any case,
 * if there is still somebody who has it.
 *
 * Locks: none while it moves, but those of gsvm_prefetch.c; mmap_lock (read) for the
 * signal.
 */

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <drm/gsvm_drm.h>

#include "gsvm_hw.h"
#include "gsvm_prefetch.h"
#include "gsvm_prefetch_job.h"
#include "gsvm_vm.h"

/* A signal that cannot be reached for want of memory: tries, milliseconds between. */
#define GSVM_PREFETCH_JOB_TRIES	256
#define GSVM_PREFETCH_JOB_PAUSE	64

/**
 * struct gsvm_prefetch_job - an asynchronous prefetch
 * @work: does it
 * @vm: address space, with a reference
 * @start: first byte
 * @end: byte behind the last
 * @to_vram: direction
 * @signal: address of the signal, or 0
 */
struct gsvm_prefetch_job {
	struct work_struct work;
	struct gsvm_vm *vm;
	unsigned long start;
	unsigned long end;
	bool to_vram;
	u64 signal;
};

/* Decrement the word at @at. -ENOMEM: later, perhaps; another errno: never. */
static int gsvm_prefetch_job_decrement(struct gsvm_vm *vm, u64 at)
{
	struct page *page;
	void *map;
	long ret;

	if (!mmget_not_zero(vm->mm))
		return -ENOENT;
	mmap_read_lock(vm->mm);
	ret = pin_user_pages_remote(vm->mm, at, 1, FOLL_WRITE, &page, NULL);
	if (ret == 1) {
		map = kmap_local_page(page);
		/* All that was done before is visible before. */
		smp_mb__before_atomic();
		atomic64_dec((atomic64_t *)(map + offset_in_page(at)));
		kunmap_local(map);
		unpin_user_pages_dirty_lock(&page, 1, true);
	}
	mmap_read_unlock(vm->mm);
	mmput(vm->mm);
	return ret == 1 ? 0 : ret;
}

/*
 * Decrement the value of a signal in the process's memory, as a packet's end
 * does. Somebody may wait for it without end: while memory is short, that is no
 * reason to give up.
 */
static void gsvm_prefetch_job_signal(struct gsvm_vm *vm, u64 addr)
{
	u64 at = addr + offsetof(struct gsvm_signal, value);
	unsigned int try;

	for (try = 0; try < GSVM_PREFETCH_JOB_TRIES; try++) {
		if (gsvm_prefetch_job_decrement(vm, at) != -ENOMEM)
			break;
		if (wait_event_timeout(vm->event_wq, READ_ONCE(vm->dead),
				       msecs_to_jiffies(GSVM_PREFETCH_JOB_PAUSE)))
			break;
	}
	gsvm_vm_event(vm);
}

static void gsvm_prefetch_job_work(struct work_struct *work)
{
	struct gsvm_prefetch_job *job = container_of(work, struct gsvm_prefetch_job, work);

	gsvm_prefetch_range(job->vm, job->start, job->end, job->to_vram);
	if (job->signal)
		gsvm_prefetch_job_signal(job->vm, job->signal);
	gsvm_vm_put(job->vm);
	kfree(job);
}

/**
 * gsvm_prefetch_job_start() - have a range moved in the background
 * @vm: VM, mirror of the caller's memory
 * @args: validated; with DRM_GSVM_PREFETCH_ASYNC
 *
 * Context: process, sleeps.
 * Return: 0; -EFAULT if the signal cannot be written, -ENOMEM.
 */
int gsvm_prefetch_job_start(struct gsvm_vm *vm, const struct drm_gsvm_prefetch *args)
{
	struct gsvm_signal __user *sig = u64_to_user_ptr(args->signal);
	struct gsvm_prefetch_job *job;

	if (args->signal && put_user(1, &sig->irq))
		return -EFAULT;
	job = kzalloc_obj(*job, GFP_KERNEL_ACCOUNT);
	if (!job)
		return -ENOMEM;
	job->vm = gsvm_vm_get(vm);
	job->start = args->start;
	job->end = args->start + args->length;
	job->to_vram = args->region == DRM_GSVM_REGION_VRAM;
	job->signal = args->signal;
	INIT_WORK(&job->work, gsvm_prefetch_job_work);
	queue_work(gsvm_patient_wq, &job->work);
	return 0;
}
