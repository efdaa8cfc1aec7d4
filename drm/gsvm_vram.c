// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: VRAM
 *
 * The GPU's memory as memory of the processes: one GPU's VRAM, from its driver's
 * beginning to its end, and what becomes of a page of a process meanwhile. The
 * struct pages are gsvm_vram_page.c's, room for them is gsvm_vram_chunk.c's.
 *
 * A page of a process is in one of these states. The CPU's page table entry
 * decides; everything else follows it:
 *
 * - *absent*: no entry, or one to swap. A fault of the GPU makes it *system*, or
 *   *in VRAM* at once (a hole is filled with zeroes there).
 * - *system*: an ordinary page. The GPU maps its bus address.
 * - *moving in*: a migration entry to the system page, which is locked and
 *   unmapped everywhere; the VRAM page is locked, too, and being written.
 *   Whoever wants the page waits for its lock. The GPU has no entry.
 * - *in VRAM*: a device-private entry. The GPU maps the VRAM offset.
 * - *moving out*: a migration entry to the VRAM page, locked and unmapped
 *   everywhere; the system page is locked and being written. No entry in the GPU.
 * - *moving across*: likewise, but what is being written is a VRAM page of another
 *   GPU, locked as well.
 *
 * ============  =============================  ==================================
 * from, to      by whom                        holding
 * ============  =============================  ==================================
 * system to     gsvm_move_in_begin()           mmap_lock (read) to the end of
 * moving in                                    *moving in*; the page's lock
 * moving in to  gsvm_move_in_end(); back to    the same
 * in VRAM       system for what did not work
 * in VRAM to    gsvm_move_out() (CPU access,   mmap_lock (read), the page's lock;
 * moving out    prefetch),                     for eviction the page's lock only
 *               gsvm_evict_chunk()
 * moving out    the same                       the same
 * to system
 * in VRAM to    gsvm_move_across(), called by  mmap_lock (read), the page's lock
 * moving        a GPU's fault or a prefetch    and its successor's
 * across, to
 * in VRAM of
 * another GPU;
 * or back
 * any to        the process: munmap, exit,     its own locks; the page is freed
 * absent        madvise                        with the last reference
 * ============  =============================  ==================================
 *
 * Before a page goes from *system* or *in VRAM* to *moving*, the notifiers of
 * all who mirror it have been called and have returned: no GPU reads or writes
 * it. After it has left *moving*, a service may look at it and map it, against
 * the notifier's sequence as ever. So nobody maps a page that moves, and no
 * write is lost. Nothing of the driver's is locked over a copy but the two
 * pages: an unrelated fault never waits for it.
 *
 * Two that want the same page in different places can go on for ever only if
 * each undoes the other's work before it was used. The access that faulted is
 * made by its maker before the page leaves again in all but the worst timing,
 * and gsvm_policy.c leaves a block alone that goes to and fro.
 *
 * The last two pages are the driver's: one for the copy engines' tests, and
 * one with a cookie. If the device dies, the cookie tells whether VRAM still
 * reads, or the BAR answers with something else; and another GPU that is to read
 * VRAM through the BAR shows by it that it can (gsvm_peer.c).
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/seq_file.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "gsvm_device.h"
#include "gsvm_evict.h"
#include "gsvm_move.h"
#include "gsvm_vram.h"
#include "gsvm_vram_chunk.h"
#include "gsvm_vram_page.h"

/* GPUs with VRAM that pages can be in. */
static atomic_t gsvm_vram_count;

/**
 * gsvm_vram_gpus() - how many GPUs can have pages in their VRAM
 *
 * Return: their number, at this moment.
 */
unsigned int gsvm_vram_gpus(void)
{
	return atomic_read(&gsvm_vram_count);
}

/**
 * gsvm_vram_readable() - does VRAM still read through the BAR
 * @vram: VRAM
 *
 * Return: false if what the CPU would read is not what was written.
 */
bool gsvm_vram_readable(struct gsvm_vram *vram)
{
	u64 found[ARRAY_SIZE(vram->cookie)];

	memcpy(found, vram->bar + gsvm_vram_cookie_offset(vram), sizeof(found));
	return !memcmp(found, vram->cookie, sizeof(found));
}

/**
 * gsvm_vram_show() - print VRAM's state
 * @gdev: GPU
 * @m: debugfs file
 */
void gsvm_vram_show(struct gsvm_device *gdev, struct seq_file *m)
{
	struct gsvm_vram *vram = gdev->vram;
	unsigned int use[3] = {}, evicting = 0, i;

	if (!vram) {
		seq_puts(m, "vram: not used\n");
		return;
	}
	for (i = 0; i < vram->nr_chunks; i++) {
		use[vram->chunk[i].use]++;
		evicting += vram->chunk[i].evicting;
	}
	seq_printf(m, "vram: chunks %u free %u owned %u mixed %u evicting %u\n", vram->nr_chunks,
		   use[GSVM_CHUNK_FREE], use[GSVM_CHUNK_OWNED], use[GSVM_CHUNK_MIXED], evicting);
	seq_printf(m, "vram: free_bytes %llu evicted_pages %lld lost_pages %lld\n",
		   gsvm_vram_free_bytes(vram), atomic64_read(&vram->evicted),
		   atomic64_read(&vram->lost));
}

static int gsvm_vram_bar_init(struct gsvm_vram *vram)
{
	struct pci_dev *pdev = vram->gdev->pdev;
	u64 size = (u64)vram->nr_pages << PAGE_SHIFT;

	vram->bar = devm_memremap(&pdev->dev, pci_resource_start(pdev, GSVM_BAR_VRAM), size,
				  MEMREMAP_WC);
	if (IS_ERR(vram->bar))
		return PTR_ERR(vram->bar);
	get_random_bytes(vram->cookie, sizeof(vram->cookie));
	memcpy(vram->bar + gsvm_vram_cookie_offset(vram), vram->cookie, sizeof(vram->cookie));
	return 0;
}

/* With the last reference to the device: fault services may outlive its driver's hold on it. */
static void gsvm_vram_free_moves(struct drm_device *drm, void *data)
{
	struct gsvm_vram *vram = data;

	gsvm_move_cache_fini(&vram->moves);
	gsvm_peer_fini(&vram->peers);
}

/**
 * gsvm_vram_init() - make VRAM usable for the processes' memory
 * @gdev: GPU, its registers read
 *
 * A GPU whose VRAM cannot get struct pages still works: its users' memory stays
 * where it is.
 *
 * Return: 0, also without VRAM; or -ENOMEM.
 */
int gsvm_vram_init(struct gsvm_device *gdev)
{
	unsigned int nr = gdev->limits.vram_size / GSVM_BLOCK_SIZE;
	struct gsvm_vram *vram;
	int ret;

	if (nr < 2)
		return 0;
	vram = drmm_kzalloc(&gdev->drm, struct_size(vram, chunk, nr), GFP_KERNEL);
	if (!vram)
		return -ENOMEM;
	vram->gdev = gdev;
	vram->nr_chunks = nr;
	vram->nr_pages = (unsigned long)nr * GSVM_CHUNK_PAGES;
	INIT_WORK(&vram->evict_work, gsvm_evict_work);
	gsvm_stream_init(&vram->stream);
	gsvm_move_cache_init(&vram->moves);
	gsvm_split_init(&vram->split);
	gsvm_peer_init(&vram->peers);
	ret = drmm_add_action_or_reset(&gdev->drm, gsvm_vram_free_moves, vram);
	if (ret)
		return ret;

	ret = gsvm_vram_chunks_init(vram);
	if (ret)
		return ret;
	ret = gsvm_vram_bar_init(vram);
	if (!ret)
		ret = gsvm_vram_pages_init(vram);
	if (ret) {
		drm_warn(&gdev->drm, "VRAM is not used: no struct pages for it (error %d)\n", ret);
		return 0;
	}
	gdev->vram = vram;
	atomic_inc(&gsvm_vram_count);
	return 0;
}

/**
 * gsvm_vram_fini() - bring everything back to system memory
 * @gdev: GPU, still working or dead; before drm_dev_unplug()
 *
 * When it returns, no page of VRAM is anybody's, and none will be.
 *
 * Context: process, sleeps; for as long as somebody holds a page.
 */
void gsvm_vram_fini(struct gsvm_device *gdev)
{
	struct gsvm_vram *vram = gdev->vram;
	unsigned long flags;
	bool again;

	if (!vram)
		return;
	spin_lock_irqsave(&vram->lock, flags);
	again = vram->closing;
	vram->closing = true;
	spin_unlock_irqrestore(&vram->lock, flags);
	cancel_work_sync(&vram->evict_work);
	gsvm_evict_all(vram);
	/* No page, no access to one, no new order. */
	gsvm_split_flush(&vram->split);
	if (!again)
		atomic_dec(&gsvm_vram_count);
	/* Whoever found a page of it in a page table is through with its struct page. */
	synchronize_rcu();
}
