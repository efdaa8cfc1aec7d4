// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Peers
 *
 * A copy engine can read the VRAM of another GPU through that one's BAR, if the way
 * between the two carries it. Whether it does is found out in two steps, for each
 * pair and direction:
 *
 * - pci_p2pdma_distance() says whether the two are below one PCIe switch, or below
 *   host bridges that are known to forward such accesses. If it says no, nothing is
 *   tried: an access that a host bridge swallows may be a machine check.
 * - The first time that it is wanted, the engine reads the other's cookie
 *   (gsvm_vram.c), and the CPU looks whether that is what has arrived. An IOMMU or a
 *   hypervisor in between may have its own idea of the way.
 *
 * The answer is kept under a number that the other's VRAM has got from a counter, as
 * a GPU that is bound again is another one. The module parameter peer_copy switches
 * all of it off, at any time.
 *
 * The address comes from dma_map_resource(): the bus address, or an IOVA where an
 * IOMMU translates. An IOVA means nothing to a switch; the access goes up to the host
 * bridge and would have to come back, for which the distance of two devices below one
 * switch does not speak. Such a pair is not tried. (On QEMU with a virtio-iommu it
 * fails.) Bus addresses, which might do, would have to pass by the IOMMU: whether the
 * switch's access control lets them is not told to modules.
 *
 * *Lifetime.* All that is done to the other's VRAM here is done while pages of it are
 * locked by the caller. They keep it from going: gsvm_vram_fini() waits for them,
 * and the BAR is unmapped after that. Only &gsvm_peers.id outlives it.
 *
 * *Coherence.* Nobody writes to pages that are on their way (gsvm_vram.c), but what
 * the CPU wrote through the BAR earlier may not have arrived. The CPU's own read of
 * the cookie, before each copy (gsvm_xfer.c), pushes it.
 *
 * *Death.* A device that has gone from the bus answers reads with all ones, and an
 * engine takes that for data. The cookie is read again after the copy.
 *
 * Locks: &gsvm_peers.lock, under the mmap lock and the pages' locks, over a copy of
 * 64 bytes; copies are bounded (gsvm_copy.c).
 */

#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/seq_file.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "gsvm_copy.h"
#include "gsvm_device.h"
#include "gsvm_hw.h"
#include "gsvm_peer.h"
#include "gsvm_vram.h"

static bool gsvm_peer_copy = true;
module_param_named(peer_copy, gsvm_peer_copy, bool, 0644);
MODULE_PARM_DESC(peer_copy,
		 "Copy between the VRAMs of two GPUs without system memory, where that is possible (default Y)");

static atomic_long_t gsvm_peer_last_id;

/**
 * gsvm_peer_init() - begin without any knowledge
 * @peers: of a new VRAM
 */
void gsvm_peer_init(struct gsvm_peers *peers)
{
	peers->id = atomic_long_inc_return(&gsvm_peer_last_id);
	mutex_init(&peers->lock);
	xa_init(&peers->known);
}

/**
 * gsvm_peer_fini() - forget everything
 * @peers: nobody uses it any more
 */
void gsvm_peer_fini(struct gsvm_peers *peers)
{
	xa_destroy(&peers->known);
	mutex_destroy(&peers->lock);
}

/**
 * gsvm_peer_map() - make part of a GPU's VRAM known to another one
 * @vram: VRAM of the GPU that is going to read
 * @from: VRAM that it is going to read; gsvm_peer_usable()
 * @offset: offset there
 * @size: bytes
 *
 * Return: the address, for gsvm_peer_unmap(), or DMA_MAPPING_ERROR.
 */
dma_addr_t gsvm_peer_map(struct gsvm_vram *vram, struct gsvm_vram *from, u64 offset, size_t size)
{
	struct device *dev = vram->gdev->drm.dev;
	dma_addr_t addr;

	addr = dma_map_resource(dev, pci_resource_start(from->gdev->pdev, GSVM_BAR_VRAM) + offset,
				size, DMA_TO_DEVICE, 0);
	return dma_mapping_error(dev, addr) ? DMA_MAPPING_ERROR : addr;
}

/**
 * gsvm_peer_unmap() - take it back
 * @vram: as for gsvm_peer_map()
 * @addr: what that returned
 * @size: bytes
 */
void gsvm_peer_unmap(struct gsvm_vram *vram, dma_addr_t addr, size_t size)
{
	dma_unmap_resource(vram->gdev->drm.dev, addr, size, DMA_TO_DEVICE, 0);
}

/* Does an IOMMU translate a device's accesses, and is it below one bridge with another? */
static bool gsvm_peer_goes_up(struct pci_dev *reader, struct pci_dev *other)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&reader->dev);
	struct pci_dev *a, *b;

	if (!domain || !(domain->type & __IOMMU_DOMAIN_PAGING))
		return false;
	for (a = pci_upstream_bridge(reader); a; a = pci_upstream_bridge(a))
		for (b = pci_upstream_bridge(other); b; b = pci_upstream_bridge(b))
			if (a == b)
				return true;
	return false;
}

/* Does what engine 0 reads from @from arrive; it takes the page of the engines' self-test. */
static bool gsvm_peer_read_cookie(struct gsvm_vram *vram, struct gsvm_vram *from)
{
	struct gsvm_copy desc = {
		.op = GSVM_COPY_COPY | GSVM_COPY_DST_VRAM,
		.len = sizeof(from->cookie),
		.dst = gsvm_vram_cookie_offset(vram) + PAGE_SIZE,
	};
	struct gsvm_copy_fence fence = {};
	void *here = vram->bar + desc.dst;
	dma_addr_t addr;
	int ret;

	addr = gsvm_peer_map(vram, from, gsvm_vram_cookie_offset(from), PAGE_SIZE);
	if (addr == DMA_MAPPING_ERROR)
		return false;
	memset(here, 0, desc.len);
	/* Out of write-combining buffers, before the engine writes there. */
	wmb();
	desc.src = addr;
	ret = gsvm_copy_submit(vram->gdev, &fence, &desc, 1);
	if (!ret)
		ret = gsvm_copy_wait(vram->gdev, &fence);
	gsvm_peer_unmap(vram, addr, PAGE_SIZE);
	return !ret && !memcmp(here, from->cookie, desc.len);
}

/* Find out whether @vram's GPU can read @from. */
static bool gsvm_peer_try(struct gsvm_vram *vram, struct gsvm_vram *from)
{
	int distance = pci_p2pdma_distance(from->gdev->pdev, vram->gdev->drm.dev, false);
	bool usable = false;
	int idx;

	if (distance >= 0 && !gsvm_peer_goes_up(vram->gdev->pdev, from->gdev->pdev) &&
	    drm_dev_enter(&vram->gdev->drm, &idx)) {
		usable = gsvm_peer_read_cookie(vram, from);
		drm_dev_exit(idx);
	}
	drm_info(&vram->gdev->drm, "VRAM of %s: %s (distance %d)\n", pci_name(from->gdev->pdev),
		 usable ? "copied from directly" : "by way of system memory", distance);
	return usable;
}

/**
 * gsvm_peer_usable() - can pages be copied from another GPU's VRAM directly
 * @vram: VRAM that they go to
 * @from: VRAM that they are in; the caller has locked one of them
 *
 * Context: process, sleeps, allocates; under the mmap lock and locks of pages.
 * Return: whether it can.
 */
bool gsvm_peer_usable(struct gsvm_vram *vram, struct gsvm_vram *from)
{
	struct gsvm_peers *peers = &vram->peers;
	unsigned long id = from->peers.id;
	bool usable;
	void *known;

	if (!READ_ONCE(gsvm_peer_copy))
		return false;
	known = xa_load(&peers->known, id);
	if (known)
		return xa_to_value(known);
	mutex_lock(&peers->lock);
	known = xa_load(&peers->known, id);
	if (known) {
		usable = xa_to_value(known);
	} else {
		usable = gsvm_peer_try(vram, from);
		/* Without memory to remember it, it is tried again. */
		xa_store(&peers->known, id, xa_mk_value(usable), GFP_KERNEL);
	}
	mutex_unlock(&peers->lock);
	return usable;
}

/**
 * gsvm_peer_show() - print how pages came from other GPUs
 * @gdev: GPU
 * @m: debugfs file
 */
void gsvm_peer_show(struct gsvm_device *gdev, struct seq_file *m)
{
	if (!gdev->vram)
		return;
	seq_printf(m, "direct_pages %lld\nbounced_pages %lld\n",
		   atomic64_read(&gdev->vram->peers.direct),
		   atomic64_read(&gdev->vram->peers.bounced));
}
