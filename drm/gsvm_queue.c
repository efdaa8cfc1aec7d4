// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Queues
 *
 * A queue is a hardware queue (its index in the device's queue table), a slot
 * in its VM's doorbell page, and a record of how it ended. Work never passes
 * through here: user space writes packets and rings the doorbell.
 *
 * States, of the hardware queue and of the record:
 *
 * - *running*: started on the device. Left by an error that the device
 *   reports, by gsvm_queue_kill_vm(), or by destruction. The error may come
 *   before whoever started the queue runs again.
 * - *dead*: has an error record, which never changes again. The device reports
 *   an error only when it makes no access for the queue any more, so a dead
 *   queue writes no memory. It still occupies its hardware queue.
 * - *stopped*: GSVM_CMD_QUEUE_STOP has completed. The index goes back to the
 *   pool with the last reference after that, so neither work nor an error
 *   report of an old queue can meet a new one.
 *
 * A fault that cannot be served is answered by gsvm_queue_cancel(), which names
 * the fault record. The device ends the queue if that very access is still
 * parked, and then reports as with any other error. So a record that is served
 * late, when its access or its queue has gone, or when the index belongs to
 * another queue, harms nobody.
 *
 * Error bits of the status page are hints only: what counts is the state in
 * the queue's descriptor, which software clears before a queue starts. A bit
 * for a queue that does not exist, or that has not ended, is counted and
 * ignored.
 *
 * Locks: &gsvm_vm.queue_lock is held across start and stop, so that the
 * queues of a VM that shuts down are exactly those on its list.
 * &gsvm_queue_table.lock protects the records. Fault services and error reports
 * never take queue_lock: whoever holds it waits for the device, and the device
 * may wait for them.
 */

#include <linux/dma-mapping.h>
#include <linux/kref.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/gsvm_drm.h>

#include "gsvm_cmd.h"
#include "gsvm_device.h"
#include "gsvm_hw.h"
#include "gsvm_queue.h"
#include "gsvm_trace.h"
#include "gsvm_vm.h"

#define GSVM_QUEUE_STOP_BATCH	16

/**
 * struct gsvm_queue_table - all hardware queues of a GPU
 * @lock: protects the records of all queues and @bogus
 * @desc: descriptors, shared with the device; software's half is written by
 *	the owner of the index, the device's half is read by the error handler
 * @desc_dma: their bus address
 * @queues: hardware queue to &gsvm_queue. The entry holds no reference; a
 *	reader takes one under xa_lock, unless the last one has gone already
 * @bogus: error bits that meant nothing
 */
struct gsvm_queue_table {
	spinlock_t lock;	/* records, @bogus */
	struct gsvm_queue_desc *desc;
	dma_addr_t desc_dma;
	struct xarray queues;
	u64 bogus;
};

/**
 * struct gsvm_queue - one user-mode queue
 * @ref: the file's handle table and every user of the pointer
 * @gdev: the GPU
 * @vm: its address space, referenced
 * @config: what it was made from
 * @hwq: index of the hardware queue, owned as long as the queue lives
 * @slot: doorbell in the VM's doorbell page, owned until @stopped
 * @link: in &gsvm_vm.queues while not stopped; under &gsvm_vm.queue_lock
 * @stopped: the device has forgotten the queue; under &gsvm_vm.queue_lock
 * @dead: @record is valid and constant; set under &gsvm_queue_table.lock, read
 *	without it by gsvm_queue_is_dead()
 * @record: how the queue ended
 */
struct gsvm_queue {
	struct kref ref;
	struct gsvm_device *gdev;
	struct gsvm_vm *vm;
	struct gsvm_queue_config config;
	u32 hwq;
	u32 slot;
	struct list_head link;
	bool stopped;
	bool dead;
	struct gsvm_queue_error record;
};

static void gsvm_queue_table_fini(struct drm_device *drm, void *data)
{
	struct gsvm_queue_table *table = data;

	drm_WARN_ON(drm, !xa_empty(&table->queues));
	xa_destroy(&table->queues);
}

/**
 * gsvm_queue_table_init - set the queue table up
 * @gdev: the GPU, reset and not yet enabled
 *
 * Return: 0 or -ENOMEM.
 */
int gsvm_queue_table_init(struct gsvm_device *gdev)
{
	struct gsvm_queue_table *table;

	BUILD_BUG_ON(sizeof(struct gsvm_queue_desc) != 128);

	table = drmm_kzalloc(&gdev->drm, sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	table->desc = dmam_alloc_coherent(&gdev->pdev->dev,
					  array_size(gdev->limits.num_queues,
						     sizeof(*table->desc)),
					  &table->desc_dma, GFP_KERNEL);
	if (!table->desc)
		return -ENOMEM;

	spin_lock_init(&table->lock);
	xa_init_flags(&table->queues, XA_FLAGS_ALLOC);
	gdev->queues = table;

	gsvm_hw_write64(gdev, GSVM_REG_QUEUE_BASE, table->desc_dma);
	return drmm_add_action_or_reset(&gdev->drm, gsvm_queue_table_fini, table);
}

static void gsvm_queue_release(struct kref *ref)
{
	struct gsvm_queue *queue = container_of(ref, struct gsvm_queue, ref);

	drm_WARN_ON(&queue->gdev->drm, !queue->stopped);
	xa_erase(&queue->gdev->queues->queues, queue->hwq);
	gsvm_vm_put(queue->vm);
	kfree(queue);
}

/**
 * gsvm_queue_get - take a reference
 * @queue: the queue
 *
 * Return: @queue.
 */
struct gsvm_queue *gsvm_queue_get(struct gsvm_queue *queue)
{
	kref_get(&queue->ref);
	return queue;
}

/**
 * gsvm_queue_put - drop a reference
 * @queue: the queue; the last reference goes after gsvm_queue_destroy()
 *
 * Context: process context, sleeps.
 */
void gsvm_queue_put(struct gsvm_queue *queue)
{
	kref_put(&queue->ref, gsvm_queue_release);
}

static struct gsvm_queue *gsvm_queue_lookup(struct gsvm_device *gdev, u32 hwq)
{
	struct gsvm_queue_table *table = gdev->queues;
	struct gsvm_queue *queue;

	xa_lock(&table->queues);
	queue = xa_load(&table->queues, hwq);
	if (queue && !kref_get_unless_zero(&queue->ref))
		queue = NULL;
	xa_unlock(&table->queues);

	return queue;
}

/**
 * gsvm_queue_vm - the address space of a queue
 * @queue: the queue
 *
 * Return: the VM, valid as long as the queue is.
 */
struct gsvm_vm *gsvm_queue_vm(struct gsvm_queue *queue)
{
	return queue->vm;
}

/**
 * gsvm_queue_doorbell - the doorbell of a queue
 * @queue: the queue
 *
 * Return: its slot in the VM's doorbell page.
 */
u32 gsvm_queue_doorbell(struct gsvm_queue *queue)
{
	return queue->slot;
}

/**
 * gsvm_queue_is_dead - ask whether a queue has ended
 * @queue: the queue
 *
 * Return: true when it has; everything it ever wrote to memory is visible.
 */
bool gsvm_queue_is_dead(struct gsvm_queue *queue)
{
	/* Pairs with gsvm_queue_die_locked(). */
	return smp_load_acquire(&queue->dead);
}

/* The first record stays. Returns false when there was one. */
static bool gsvm_queue_die_locked(struct gsvm_queue *queue, const struct gsvm_queue_error *record)
{
	lockdep_assert_held(&queue->gdev->queues->lock);

	if (queue->dead)
		return false;

	queue->record = *record;
	/* Pairs with gsvm_queue_is_dead(): the record before the flag. */
	smp_store_release(&queue->dead, true);
	if (record->error != DRM_GSVM_ERROR_NONE)
		trace_gsvm_queue_error(queue->gdev, queue->vm->asid, queue->hwq, record);
	return true;
}

static void gsvm_queue_die(struct gsvm_queue *queue, const struct gsvm_queue_error *record)
{
	struct gsvm_queue_table *table = queue->gdev->queues;
	bool first;

	spin_lock(&table->lock);
	first = gsvm_queue_die_locked(queue, record);
	spin_unlock(&table->lock);

	if (first)
		gsvm_vm_event(queue->vm);
}

/**
 * gsvm_queue_read_record - fill a query in
 * @queue: the queue
 * @args: where to; the out fields are written
 */
void gsvm_queue_read_record(struct gsvm_queue *queue, struct drm_gsvm_queue_query *args)
{
	const struct gsvm_queue_error none = {};
	const struct gsvm_queue_error *record = &none;

	args->state = DRM_GSVM_QUEUE_RUNNING;
	if (gsvm_queue_is_dead(queue)) {
		args->state = DRM_GSVM_QUEUE_DEAD;
		record = &queue->record;
	}

	args->error = record->error;
	args->reason = record->reason;
	args->access = record->access;
	args->addr = record->addr;
	args->pc = record->pc;
	args->packet = record->packet;
	args->work_item = record->work_item;
	args->time_ns = record->time_ns;
}

/* ---- Start and stop ------------------------------------------------------ */

static void gsvm_queue_write_desc(struct gsvm_queue *queue)
{
	struct gsvm_queue_desc *desc = &queue->gdev->queues->desc[queue->hwq];
	const struct gsvm_queue_desc init = {
		.asid = queue->vm->asid,
		.ring = queue->config.ring,
		.ring_log2 = queue->config.ring_log2,
		.doorbell = queue->slot,
		.read_index = queue->config.read_index,
		.hart_limit = queue->config.hart_limit,
	};

	/* The device reads it on GSVM_CMD_QUEUE_START, which orders this before itself. */
	*desc = init;
}

/*
 * After GSVM_CMD_QUEUE_START. A queue can have ended by now: its first access to
 * memory finds nothing there, and this thread was not the first to run. That is
 * the queue's error, not one of starting it.
 */
static bool gsvm_queue_has_started(struct gsvm_queue *queue)
{
	const struct gsvm_queue_desc *desc = &queue->gdev->queues->desc[queue->hwq];

	switch (READ_ONCE(desc->state)) {
	case GSVM_QUEUE_RUNNING:
		return true;
	case GSVM_QUEUE_ERROR:
		/* Written before the state, see gsvm_queue_read_error(). */
		dma_rmb();
		return READ_ONCE(desc->error) != GSVM_QERR_DESC;
	default:
		return false;
	}
}

static int gsvm_queue_start_locked(struct gsvm_queue *queue)
{
	struct gsvm_device *gdev = queue->gdev;
	const struct gsvm_cmd cmd = {
		.op = GSVM_CMD_QUEUE_START | GSVM_CMD_IRQ,
		.id = queue->hwq,
	};
	int ret;

	lockdep_assert_held(&queue->vm->queue_lock);

	gsvm_queue_write_desc(queue);
	ret = gsvm_cmd_wait(gdev, gsvm_cmd_submit(gdev, &cmd, 1));
	if (ret)
		return ret;

	if (!gsvm_queue_has_started(queue)) {
		drm_err_ratelimited(&gdev->drm, "queue %u did not start, error %u\n", queue->hwq,
				    READ_ONCE(gdev->queues->desc[queue->hwq].error));
		return -EIO;
	}

	return 0;
}

/*
 * Stop @n queues of one VM in one batch. On return the device makes no access
 * for them: it said so, or it is cut off memory.
 */
static void gsvm_queue_stop_locked(struct gsvm_vm *vm, struct gsvm_queue **queues, unsigned int n)
{
	struct gsvm_cmd cmds[GSVM_QUEUE_STOP_BATCH] = {};
	struct gsvm_device *gdev = vm->gdev;
	unsigned int i;

	lockdep_assert_held(&vm->queue_lock);

	for (i = 0; i < n; i++) {
		cmds[i].op = GSVM_CMD_QUEUE_STOP;
		cmds[i].id = queues[i]->hwq;
	}
	cmds[n - 1].op |= GSVM_CMD_IRQ;
	gsvm_cmd_wait(gdev, gsvm_cmd_submit(gdev, cmds, n));

	for (i = 0; i < n; i++) {
		queues[i]->stopped = true;
		list_del_init(&queues[i]->link);
		clear_bit(queues[i]->slot, vm->doorbells);
		trace_gsvm_queue_destroy(gdev, vm->asid, queues[i]->hwq);
	}
}

static struct gsvm_queue *gsvm_queue_alloc(struct gsvm_vm *vm,
					   const struct gsvm_queue_config *config)
{
	struct gsvm_device *gdev = vm->gdev;
	struct gsvm_queue *queue;
	int ret;

	queue = kzalloc_obj(*queue, GFP_KERNEL_ACCOUNT);
	if (!queue)
		return ERR_PTR(-ENOMEM);

	kref_init(&queue->ref);
	INIT_LIST_HEAD(&queue->link);
	queue->gdev = gdev;
	queue->config = *config;
	queue->stopped = true;
	queue->vm = vm;

	ret = xa_alloc(&gdev->queues->queues, &queue->hwq, queue,
		       XA_LIMIT(0, gdev->limits.num_queues - 1), GFP_KERNEL);
	if (ret) {
		kfree(queue);
		return ERR_PTR(ret == -EBUSY ? -ENOSPC : ret);
	}

	gsvm_vm_get(vm);
	return queue;
}

static int gsvm_queue_attach_locked(struct gsvm_vm *vm, struct gsvm_queue *queue)
{
	int ret;

	lockdep_assert_held(&vm->queue_lock);

	if (vm->dead)
		return -ENOENT;
	if (gsvm_device_is_wedged(vm->gdev))
		return -EIO;

	queue->slot = find_first_zero_bit(vm->doorbells, GSVM_DOORBELLS_PER_PAGE);
	if (queue->slot >= GSVM_DOORBELLS_PER_PAGE)
		return -ENOSPC;

	set_bit(queue->slot, vm->doorbells);
	list_add_tail(&queue->link, &vm->queues);
	queue->stopped = false;

	ret = gsvm_queue_start_locked(queue);
	if (ret)
		gsvm_queue_stop_locked(vm, &queue, 1);

	return ret;
}

/**
 * gsvm_queue_create - make a queue and start it
 * @vm: its address space
 * @config: validated
 *
 * Context: process context inside drm_dev_enter().
 *
 * Return: the queue, to be ended with gsvm_queue_destroy() and
 * gsvm_queue_put(), or -ENOMEM, -ENOSPC when the VM or the device has no queue
 * left, -EIO when the device did not take it, -ENOENT when the VM is shutting
 * down.
 */
struct gsvm_queue *gsvm_queue_create(struct gsvm_vm *vm, const struct gsvm_queue_config *config)
{
	struct gsvm_queue *queue;
	int ret;

	queue = gsvm_queue_alloc(vm, config);
	if (IS_ERR(queue))
		return queue;

	mutex_lock(&vm->queue_lock);
	ret = gsvm_queue_attach_locked(vm, queue);
	mutex_unlock(&vm->queue_lock);

	if (ret) {
		gsvm_queue_put(queue);
		return ERR_PTR(ret);
	}

	trace_gsvm_queue_create(vm->gdev, vm->asid, queue->hwq);
	return queue;
}

/**
 * gsvm_queue_destroy - end a queue
 * @queue: the queue, unknown to user space already; called once per queue
 *
 * On return the device makes no access for it any more. Its hardware queue is
 * free for others with the last reference. Who sleeps in WAIT on its behalf is
 * woken.
 *
 * Context: process context, sleeps; also when the device is wedged or gone.
 */
void gsvm_queue_destroy(struct gsvm_queue *queue)
{
	const struct gsvm_queue_error none = {};
	struct gsvm_vm *vm = queue->vm;

	mutex_lock(&vm->queue_lock);
	if (!queue->stopped)
		gsvm_queue_stop_locked(vm, &queue, 1);
	mutex_unlock(&vm->queue_lock);

	gsvm_queue_die(queue, &none);
}

/**
 * gsvm_queue_kill_vm - end all queues of a VM
 * @vm: the VM; to keep new ones away, set &gsvm_vm.dead under
 *	&gsvm_vm.queue_lock before the call
 * @error: DRM_GSVM_ERROR_* for the record of those that still run;
 *	DRM_GSVM_ERROR_FAULT says that the process's memory is gone
 *
 * On return the device makes no access for any of them. The queues themselves
 * stay, dead, until their handles are destroyed.
 *
 * Context: process context, sleeps; also when the device is wedged or gone.
 */
void gsvm_queue_kill_vm(struct gsvm_vm *vm, u32 error)
{
	const struct gsvm_queue_error record = {
		.error = error,
		.reason = error == DRM_GSVM_ERROR_FAULT ? DRM_GSVM_REASON_GONE :
							  DRM_GSVM_REASON_NONE,
	};
	struct gsvm_queue *batch[GSVM_QUEUE_STOP_BATCH], *queue;
	unsigned int i, n;

	mutex_lock(&vm->queue_lock);
	do {
		n = 0;
		list_for_each_entry(queue, &vm->queues, link) {
			batch[n++] = queue;
			if (n == GSVM_QUEUE_STOP_BATCH)
				break;
		}
		if (n)
			gsvm_queue_stop_locked(vm, batch, n);
		for (i = 0; i < n; i++)
			gsvm_queue_die(batch[i], &record);
	} while (n);
	mutex_unlock(&vm->queue_lock);
}

/**
 * gsvm_queue_kill_all - end all queues of a dead device
 * @gdev: the GPU, wedged or stopped
 *
 * Everybody who sleeps in WAIT looks again, with or without a queue.
 *
 * Context: process context, sleeps.
 */
void gsvm_queue_kill_all(struct gsvm_device *gdev)
{
	u32 asid;

	for (asid = 0; asid < gdev->limits.num_asids; asid++) {
		struct gsvm_vm *vm = gsvm_vm_lookup_asid(gdev, asid);

		if (!vm)
			continue;
		gsvm_queue_kill_vm(vm, DRM_GSVM_ERROR_DEVICE);
		gsvm_vm_event(vm);
		gsvm_vm_put(vm);
	}
}

/**
 * gsvm_queue_table_unplug - end all queues because the device goes
 * @gdev: the GPU, after gsvm_cmd_stop()
 *
 * Context: process context, sleeps.
 */
void gsvm_queue_table_unplug(struct gsvm_device *gdev)
{
	gsvm_queue_kill_all(gdev);
}

/* ---- Errors -------------------------------------------------------------- */

/**
 * gsvm_queue_cancel - end a queue because a fault of it cannot be served
 * @vm: the address space that the record names
 * @rec: the fault record
 * @reason: DRM_GSVM_REASON_*, why not
 *
 * The device ends the queue a little later, if the access of that record is
 * still parked, and only then it counts as dead.
 *
 * Context: process context; sleeps only while the command ring is full.
 */
void gsvm_queue_cancel(struct gsvm_vm *vm, const struct gsvm_fault *rec, u32 reason)
{
	const struct gsvm_cmd cmd = {
		.op = GSVM_CMD_QUEUE_CANCEL,
		.id = rec->queue,
		.start = rec->addr,
		.end = rec->time,
		.arg = reason,
	};

	/* The command would be refused, and the device invented the record. */
	if (rec->queue >= vm->gdev->limits.num_queues)
		return;
	gsvm_cmd_submit(vm->gdev, &cmd, 1);
}

static u32 gsvm_queue_error_code(u32 qerr)
{
	switch (qerr) {
	case GSVM_QERR_PACKET:
		return DRM_GSVM_ERROR_PACKET;
	case GSVM_QERR_KERNEL:
		return DRM_GSVM_ERROR_KERNEL;
	case GSVM_QERR_INSN:
		return DRM_GSVM_ERROR_ILLEGAL;
	case GSVM_QERR_MISALIGNED:
		return DRM_GSVM_ERROR_MISALIGNED;
	case GSVM_QERR_TRAP:
		return DRM_GSVM_ERROR_TRAP;
	case GSVM_QERR_LIMIT:
		return DRM_GSVM_ERROR_LIMIT;
	case GSVM_QERR_FAULT:
		return DRM_GSVM_ERROR_FAULT;
	case GSVM_QERR_APERTURE:
		return DRM_GSVM_ERROR_APERTURE;
	default:
		/* Our own descriptor refused after the start, or nonsense. */
		return DRM_GSVM_ERROR_DEVICE;
	}
}

/*
 * Read the device's half of a descriptor, believing nothing: enumerations that
 * user space sees are brought into their bounds. Returns false when the queue
 * has not ended.
 */
static bool gsvm_queue_read_error(struct gsvm_device *gdev, u32 hwq,
				  struct gsvm_queue_error *err)
{
	const struct gsvm_queue_desc *desc = &gdev->queues->desc[hwq];
	u32 access, reason;

	if (READ_ONCE(desc->state) != GSVM_QUEUE_ERROR)
		return false;

	/* The device writes the state last. */
	dma_rmb();
	access = READ_ONCE(desc->access);
	reason = READ_ONCE(desc->reason);

	err->error = gsvm_queue_error_code(READ_ONCE(desc->error));
	err->reason = DRM_GSVM_REASON_NONE;
	if (err->error == DRM_GSVM_ERROR_FAULT)
		err->reason = reason <= DRM_GSVM_REASON_BUSY ? reason :
								   DRM_GSVM_REASON_HARDWARE;
	err->access = access <= DRM_GSVM_ACCESS_ATOMIC ? access : DRM_GSVM_ACCESS_READ;
	err->addr = READ_ONCE(desc->addr);
	err->pc = READ_ONCE(desc->pc);
	err->packet = READ_ONCE(desc->packet);
	err->work_item = READ_ONCE(desc->work_item);
	err->time_ns = READ_ONCE(desc->time);
	return true;
}

static void gsvm_queue_error_bit(struct gsvm_device *gdev, u32 hwq)
{
	struct gsvm_queue_table *table = gdev->queues;
	struct gsvm_queue_error err;
	struct gsvm_queue *queue;
	bool first = false;

	/* Bounds @hwq as well: the table holds no index beyond the hardware's. */
	queue = gsvm_queue_lookup(gdev, hwq);

	spin_lock(&table->lock);
	if (queue && gsvm_queue_read_error(gdev, hwq, &err))
		first = gsvm_queue_die_locked(queue, &err);
	else
		table->bogus++;
	spin_unlock(&table->lock);

	if (first) {
		if (err.error == DRM_GSVM_ERROR_FAULT)
			atomic64_inc(&queue->vm->stats.faults_failed);
		gsvm_vm_event(queue->vm);
	}
	if (queue)
		gsvm_queue_put(queue);
}

/**
 * gsvm_queue_error_irq - GSVM_VEC_ERROR: take the queues that have ended
 * @gdev: the GPU
 *
 * Context: process context (interrupt thread), sleeps.
 */
void gsvm_queue_error_irq(struct gsvm_device *gdev)
{
	unsigned int word, bit;

	for (word = 0; word < ARRAY_SIZE(gdev->status->qerror); word++) {
		unsigned long bits;

		if (!READ_ONCE(gdev->status->qerror[word]))
			continue;

		/* A bit set after this comes with an interrupt of its own. */
		bits = xchg(&gdev->status->qerror[word], 0);
		for_each_set_bit(bit, &bits, 64)
			gsvm_queue_error_bit(gdev, word * 64 + bit);
	}
}

/**
 * gsvm_queue_show - print all queues
 * @gdev: the GPU
 * @m: debugfs file
 */
void gsvm_queue_show(struct gsvm_device *gdev, struct seq_file *m)
{
	struct gsvm_queue_table *table = gdev->queues;
	u32 hwq;

	spin_lock(&table->lock);
	seq_printf(m, "bogus reports: %llu\n", table->bogus);
	spin_unlock(&table->lock);
	seq_puts(m, "hwq asid slot state error reason ring packets read_index\n");

	for (hwq = 0; hwq < gdev->limits.num_queues; hwq++) {
		struct gsvm_queue *queue = gsvm_queue_lookup(gdev, hwq);
		bool dead;

		if (!queue)
			continue;
		dead = gsvm_queue_is_dead(queue);
		seq_printf(m, "%u %u %u %s %u %u %#llx %u %#llx\n", hwq, queue->vm->asid,
			   queue->slot, dead ? "dead" : "running",
			   dead ? queue->record.error : 0, dead ? queue->record.reason : 0,
			   queue->config.ring, 1u << queue->config.ring_log2,
			   queue->config.read_index);
		gsvm_queue_put(queue);
	}
}
