// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: What unit tests stand on
 *
 * A GPU without hardware: a device of KUnit's, through which memory can be
 * mapped for DMA, with a DRM device on it, and registers and a status page in
 * ordinary memory. On request it has an address space that mirrors memory of the
 * test's own.
 *
 * Static stubs take the commands that the driver sends: they are written down,
 * and whoever waits for them goes on at once, or when the test says so. Stubs
 * hold for the thread of the test and those of gsvm_test_start(), and not for
 * workqueues. The collector of blocks is therefore kept from running; tests call
 * it.
 *
 * Other stubs may take the DMA API's place, and then know every mapping.
 */

#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/hmm.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <drm/drm_drv.h>

#include "gsvm_cmd.h"
#include "gsvm_test.h"

/* Longer than anything takes on a slow machine; only a failure waits for it. */
#define GSVM_TEST_TIMEOUT	(60 * HZ)

/* Bus addresses of the stubbed DMA API: page frames, moved far away. */
#define GSVM_TEST_IOVA		BIT_ULL(44)

static const struct drm_driver gsvm_test_driver = {
	.name = "gsvm-test",
};

/* ---- The command layer ---------------------------------------------------- */

static void gsvm_test_log(struct gsvm_test *t, bool wait, const struct gsvm_cmd *cmd, u64 seq)
{
	if (t->nr_log == GSVM_TEST_LOG) {
		KUNIT_FAIL(t->test, "the log of commands is full");
		return;
	}
	t->log[t->nr_log].wait = wait;
	t->log[t->nr_log].seq = seq;
	if (cmd)
		t->log[t->nr_log].cmd = *cmd;
	t->nr_log++;
}

static u64 gsvm_test_cmd_submit(struct gsvm_device *gdev, const struct gsvm_cmd *cmds,
				unsigned int n)
{
	struct gsvm_test *t = kunit_get_current_test()->priv;
	unsigned int i;
	u64 seq;

	mutex_lock(&t->lock);
	for (i = 0; i < n; i++)
		gsvm_test_log(t, false, &cmds[i], ++t->seq);
	seq = t->seq;
	mutex_unlock(&t->lock);
	return seq;
}

static int gsvm_test_cmd_wait(struct gsvm_device *gdev, u64 seq)
{
	struct gsvm_test *t = kunit_get_current_test()->priv;

	mutex_lock(&t->lock);
	gsvm_test_log(t, true, NULL, seq);
	mutex_unlock(&t->lock);
	if (t->on_wait)
		t->on_wait(t);
	return t->wedged ? -EIO : 0;
}

static void gsvm_test_wedge(struct gsvm_device *gdev, const char *why)
{
	struct gsvm_test *t = kunit_get_current_test()->priv;

	t->wedged = why;
	set_bit(GSVM_DEVICE_WEDGED, &gdev->state);
}

/**
 * gsvm_test_log_clear() - forget what was asked of the device
 * @t: fixture
 */
void gsvm_test_log_clear(struct gsvm_test *t)
{
	t->nr_log = 0;
}

/**
 * gsvm_test_count() - count events of the log
 * @t: fixture
 * @wait: waits; else commands
 *
 * Return: how many.
 */
unsigned int gsvm_test_count(struct gsvm_test *t, bool wait)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->nr_log; i++)
		n += t->log[i].wait == wait;
	return n;
}

/* ---- The DMA API ---------------------------------------------------------- */

static dma_addr_t gsvm_test_dma_map(struct gsvm_block *block, unsigned long pfn, size_t size)
{
	struct gsvm_test *t = kunit_get_current_test()->priv;

	if (t->bad_pfn && t->bad_pfn >= pfn && t->bad_pfn < pfn + PHYS_PFN(size))
		return DMA_MAPPING_ERROR;
	if (xa_insert(&t->mappings, pfn, xa_mk_value(size), GFP_ATOMIC))
		KUNIT_FAIL(t->test, "frame %#lx is mapped twice", pfn);
	return GSVM_TEST_IOVA + PFN_PHYS(pfn);
}

static void gsvm_test_dma_unmap(struct gsvm_block *block, u64 pte, size_t size)
{
	struct gsvm_test *t = kunit_get_current_test()->priv;

	if (xa_erase(&t->mappings, PHYS_PFN((pte & GSVM_PTE_ADDR) - GSVM_TEST_IOVA)) !=
	    xa_mk_value(size))
		t->bad_unmaps++;
}

static void gsvm_test_iommu_fini(void *data)
{
	struct gsvm_test *t = data;

	/* What is still mapped has to end here, not in the real DMA API. */
	gsvm_vm_shutdown(t->vm);
	xa_destroy(&t->mappings);
}

/**
 * gsvm_test_iommu_init() - stand in for the DMA API, which has to be told of
 *	every mapping's end from now on
 * @t: fixture with an address space
 */
void gsvm_test_iommu_init(struct gsvm_test *t)
{
	xa_init(&t->mappings);
	kunit_activate_static_stub(t->test, gsvm_block_dma_map, gsvm_test_dma_map);
	kunit_activate_static_stub(t->test, gsvm_block_dma_unmap, gsvm_test_dma_unmap);
	t->vm->mirror->need_unmap = true;
	/* Last, to be run first. */
	KUNIT_ASSERT_EQ(t->test, 0, kunit_add_action_or_reset(t->test, gsvm_test_iommu_fini, t));
}

/* ---- The device ----------------------------------------------------------- */

static void gsvm_test_device_init(struct gsvm_test *t)
{
	struct kunit *test = t->test;
	struct gsvm_device *gdev;
	struct device *dev;
	void *regs;

	dev = kunit_device_register(test, "gpu");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64)));
	gdev = devm_drm_dev_alloc(dev, &gsvm_test_driver, struct gsvm_device, drm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gdev);

	regs = devm_kzalloc(dev, GSVM_REGS_SIZE, GFP_KERNEL);
	gdev->status = devm_kzalloc(dev, sizeof(*gdev->status), GFP_KERNEL);
	gdev->ctx = devm_kcalloc(dev, GSVM_TEST_ASIDS, sizeof(*gdev->ctx), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, regs && gdev->status && gdev->ctx);
	gdev->regs = (void __iomem __force *)regs;
	gsvm_hw_write32(gdev, GSVM_REG_ID, GSVM_ID_MAGIC);
	gdev->limits.num_asids = GSVM_TEST_ASIDS;
	gdev->limits.num_queues = 16;
	init_rwsem(&gdev->doorbell_lock);
	xa_init_flags(&gdev->vms, XA_FLAGS_ALLOC);
	t->gdev = gdev;
}

/**
 * gsvm_test_init() - a suite's init: a device, and no commands reach it
 * @test: test
 *
 * Return: 0; failures end the test.
 */
int gsvm_test_init(struct kunit *test)
{
	struct gsvm_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->test = test;
	mutex_init(&t->lock);
	test->priv = t;
	gsvm_test_device_init(t);
	kunit_activate_static_stub(test, gsvm_cmd_submit, gsvm_test_cmd_submit);
	kunit_activate_static_stub(test, gsvm_cmd_wait, gsvm_test_cmd_wait);
	kunit_activate_static_stub(test, gsvm_device_wedge, gsvm_test_wedge);
	return 0;
}

/* ---- Address spaces, blocks, pages ---------------------------------------- */

static void gsvm_test_vm_destroy(void *data)
{
	struct gsvm_vm *vm = data;
	struct mm_struct *mm = vm->mm;

	gsvm_vm_shutdown(vm);
	gsvm_vm_put(vm);
	/* The last reference frees on a workqueue. */
	flush_workqueue(gsvm_wq);
	mmput(mm);
}

/**
 * gsvm_test_vm_create() - an address space that mirrors the test's memory
 * @t: fixture
 *
 * Return: the address space; it ends with the test.
 */
struct gsvm_vm *gsvm_test_vm_create(struct gsvm_test *t)
{
	struct gsvm_vm *vm;

	KUNIT_ASSERT_EQ(t->test, 0, kunit_attach_mm());
	vm = gsvm_vm_create(t->gdev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(t->test, vm);
	disable_delayed_work(&vm->mirror->gc_work);
	/* As if not, whatever the kernel's debugging wants: see gsvm_test_iommu_init(). */
	vm->mirror->need_unmap = false;
	/*
	 * The test's thread lets go of the memory while it ends, which may be before
	 * or after the clean-up in another thread: have it always be after.
	 */
	mmget(vm->mm);
	KUNIT_ASSERT_EQ(t->test, 0,
			kunit_add_action_or_reset(t->test, gsvm_test_vm_destroy, vm));
	return vm;
}

/**
 * gsvm_test_vm_init() - a suite's init: gsvm_test_init() and an address space
 * @test: test
 *
 * Return: 0; failures end the test.
 */
int gsvm_test_vm_init(struct kunit *test)
{
	struct gsvm_test *t;

	gsvm_test_init(test);
	t = test->priv;
	t->vm = gsvm_test_vm_create(t);
	gsvm_test_log_clear(t);
	return 0;
}

static void gsvm_test_block_put(void *data)
{
	gsvm_block_put(data);
}

/**
 * gsvm_test_block() - a block with a table
 * @t: fixture with an address space
 * @addr: where
 *
 * Return: the block, empty, with a reference that ends with the test.
 */
struct gsvm_block *gsvm_test_block(struct gsvm_test *t, u64 addr)
{
	struct gsvm_block *block = gsvm_mirror_block_get(t->vm->mirror, addr);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(t->test, block);
	KUNIT_ASSERT_EQ(t->test, 0,
			kunit_add_action_or_reset(t->test, gsvm_test_block_put, block));
	if (!block->table)
		block->table = gsvm_block_table_alloc(t->vm->mirror);
	KUNIT_ASSERT_NOT_NULL(t->test, block->table);
	return block;
}

/**
 * gsvm_test_block_release() - give the test's reference to a block back early
 * @t: fixture
 * @block: from gsvm_test_block()
 */
void gsvm_test_block_release(struct gsvm_test *t, struct gsvm_block *block)
{
	kunit_release_action(t->test, gsvm_test_block_put, block);
}

static void gsvm_test_pages_free(void *data)
{
	struct page *page = data;
	unsigned int i;

	for (i = 0; i < GSVM_BLOCK_PAGES; i++)
		__free_page(page + i);
}

static void gsvm_test_folio_free(void *data)
{
	folio_put(data);
}

/**
 * gsvm_test_pages() - memory for one block, aligned and contiguous
 * @t: fixture
 * @folio: as one folio; else each page can be dirty by itself
 *
 * Return: the first page frame; the memory goes with the test.
 */
unsigned long gsvm_test_pages(struct gsvm_test *t, bool folio)
{
	const unsigned int order = ilog2(GSVM_BLOCK_PAGES);
	struct page *page;
	int ret;

	page = alloc_pages(GFP_KERNEL | (folio ? __GFP_COMP : 0), order);
	KUNIT_ASSERT_NOT_NULL(t->test, page);
	if (folio) {
		ret = kunit_add_action_or_reset(t->test, gsvm_test_folio_free, page_folio(page));
	} else {
		split_page(page, order);
		ret = kunit_add_action_or_reset(t->test, gsvm_test_pages_free, page);
	}
	KUNIT_ASSERT_EQ(t->test, 0, ret);
	return page_to_pfn(page);
}

/**
 * gsvm_test_fill() - what a service would have found
 * @pages: filled in
 * @pfn: frame of the block's first page
 * @first: first page that is there
 * @last: last page, inclusive
 * @how: RO, EXEC, SHIFTED, HOLE
 */
void gsvm_test_fill(struct gsvm_block_pages *pages, unsigned long pfn, int first, int last,
		    unsigned int how)
{
	unsigned long frame = pfn + (how & SHIFTED ? 1 : 0);
	int i;

	memset(pages, 0, sizeof(*pages));
	for (i = first; i <= last; i++) {
		pages->pfn[i] = HMM_PFN_VALID | (how & RO ? 0 : HMM_PFN_WRITE) | (frame + i);
		if (how & EXEC)
			__set_bit(i, pages->exec);
	}
	if (how & HOLE)
		pages->pfn[300] = 0;
}

/**
 * gsvm_test_device_writes() - the device writes pages whose entries let it
 * @block: block
 * @first: first page
 * @last: last page, inclusive
 */
void gsvm_test_device_writes(struct gsvm_block *block, int first, int last)
{
	int i;

	for (i = first; i <= last; i++) {
		u64 *pte = block->state == GSVM_BLOCK_HUGE ? block->slot :
							     &block->table->pt.entry[i];

		if ((*pte & (GSVM_PTE_V | GSVM_PTE_W)) == (GSVM_PTE_V | GSVM_PTE_W))
			*pte |= GSVM_PTE_A | GSVM_PTE_D;
	}
}

/**
 * gsvm_test_pfn_dirty() - was a page marked dirty
 * @pfn: its frame
 *
 * Return: whether its folio was.
 */
bool gsvm_test_pfn_dirty(unsigned long pfn)
{
	return folio_test_dirty(pfn_folio(pfn));
}

/**
 * gsvm_test_pfn_clean() - make a page clean
 * @pfn: its frame
 */
void gsvm_test_pfn_clean(unsigned long pfn)
{
	folio_clear_dirty(pfn_folio(pfn));
}

/**
 * gsvm_test_table() - a page table as the device finds it
 * @t: fixture
 * @dma: its bus address
 *
 * Return: its entries.
 */
u64 *gsvm_test_table(struct gsvm_test *t, u64 dma)
{
	return phys_to_virt(dma_to_phys(t->gdev->drm.dev, dma));
}

/* ---- Threads -------------------------------------------------------------- */

static int gsvm_test_thread_main(void *data)
{
	struct gsvm_test_thread *thread = data;

	current->kunit_test = thread->test;
	thread->fn(thread);
	current->kunit_test = NULL;
	complete_all(&thread->done);
	return 0;
}

static void gsvm_test_thread_end(void *data)
{
	struct gsvm_test_thread *thread = data;

	/* For a test that ended halfway. */
	complete_all(&thread->go_on);
	wait_for_completion(&thread->done);
	put_task_struct(thread->task);
}

/**
 * gsvm_test_start() - start a second actor
 * @t: fixture
 * @thread: filled in; not on the stack
 * @fn: what it does
 * @data: for @fn
 *
 * It is let go on and waited for at the end of the test at the latest.
 */
void gsvm_test_start(struct gsvm_test *t, struct gsvm_test_thread *thread,
		     void (*fn)(struct gsvm_test_thread *thread), void *data)
{
	struct task_struct *task;

	thread->test = t->test;
	thread->fn = fn;
	thread->data = data;
	init_completion(&thread->at);
	init_completion(&thread->go_on);
	init_completion(&thread->done);
	task = kthread_create(gsvm_test_thread_main, thread, "gsvm-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(t->test, task);
	thread->task = get_task_struct(task);
	wake_up_process(task);
	KUNIT_ASSERT_EQ(t->test, 0,
			kunit_add_action_or_reset(t->test, gsvm_test_thread_end, thread));
}

/**
 * gsvm_test_reached() - wait for a thread
 * @done: what it completes
 *
 * Return: false if that does not come.
 */
bool gsvm_test_reached(struct completion *done)
{
	return wait_for_completion_timeout(done, GSVM_TEST_TIMEOUT);
}

MODULE_DESCRIPTION("KUnit tests of the gsvm driver");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
