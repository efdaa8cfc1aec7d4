// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Doorbells
 *
 * The page of the doorbell BAR that belongs to a VM's ASID, mapped into the
 * mirrored process. The offset for mmap() names the VM by its handle; inside
 * the kernel the mapping stands at an offset made from the ASID, so that one
 * VM's mappings can be found and taken away.
 *
 * Pages are inserted on touch and taken away when the VM is destroyed or the
 * device unplugged. A page touched later is an ordinary zeroed page of the
 * mapping's own: writes go nowhere, and no process gets SIGBUS because the
 * device went.
 *
 * The page of an ASID must be out of the old process's reach before the ASID
 * is given to another VM. &gsvm_device.doorbell_lock sees to that: a page
 * fault looks at &gsvm_doorbell.revoked and inserts the page under it, shared;
 * gsvm_doorbell_revoke() sets the flag under it, exclusively, and zaps
 * afterwards. So a fault is either over before the zap, or sees the flag.
 */

#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "gsvm_device.h"
#include "gsvm_doorbell.h"
#include "gsvm_file.h"
#include "gsvm_vm.h"

/*
 * Offsets that user space sees, and those inside; the first keep far away from
 * what GEM objects of a later version would use.
 */
#define GSVM_DOORBELL_OFFSET	BIT_ULL(56)

/**
 * struct gsvm_doorbell - the doorbell page of one VM
 * @ref: the handle of the VM, and every mapping
 * @gdev: the GPU, kept by the files, as mappings keep their file
 * @mm: the mirrored memory, for comparison only
 * @asid: whose page
 * @revoked: the page is not ours any more; under &gsvm_device.doorbell_lock
 * @dummy: what stands in its place then
 */
struct gsvm_doorbell {
	struct kref ref;
	struct gsvm_device *gdev;
	const struct mm_struct *mm;
	u32 asid;
	bool revoked;
	struct page *dummy;
};

/**
 * gsvm_doorbell_create - make a VM's doorbell page available
 * @vm: the VM
 *
 * Return: the doorbell, to be given up with gsvm_doorbell_revoke() and
 * gsvm_doorbell_put(), or -ENOMEM.
 */
struct gsvm_doorbell *gsvm_doorbell_create(struct gsvm_vm *vm)
{
	struct gsvm_doorbell *db;

	db = kzalloc_obj(*db, GFP_KERNEL_ACCOUNT);
	if (!db)
		return ERR_PTR(-ENOMEM);

	db->dummy = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!db->dummy) {
		kfree(db);
		return ERR_PTR(-ENOMEM);
	}

	kref_init(&db->ref);
	db->gdev = vm->gdev;
	db->mm = vm->mm;
	db->asid = vm->asid;
	return db;
}

static void gsvm_doorbell_release(struct kref *ref)
{
	struct gsvm_doorbell *db = container_of(ref, struct gsvm_doorbell, ref);

	__free_page(db->dummy);
	kfree(db);
}

/**
 * gsvm_doorbell_get - take a reference
 * @db: the doorbell
 *
 * Return: @db.
 */
struct gsvm_doorbell *gsvm_doorbell_get(struct gsvm_doorbell *db)
{
	kref_get(&db->ref);
	return db;
}

/**
 * gsvm_doorbell_put - drop a reference
 * @db: the doorbell
 */
void gsvm_doorbell_put(struct gsvm_doorbell *db)
{
	kref_put(&db->ref, gsvm_doorbell_release);
}

static pgoff_t gsvm_doorbell_pgoff(const struct gsvm_doorbell *db)
{
	return (GSVM_DOORBELL_OFFSET >> PAGE_SHIFT) + db->asid;
}

/**
 * gsvm_doorbell_revoke - take the page away from all mappings
 * @db: the doorbell, before its ASID can be reused
 *
 * Context: process context, sleeps, takes page-table locks of the mirrored
 * process. Not with a lock of the mirror held.
 */
void gsvm_doorbell_revoke(struct gsvm_doorbell *db)
{
	struct gsvm_device *gdev = db->gdev;

	down_write(&gdev->doorbell_lock);
	db->revoked = true;
	up_write(&gdev->doorbell_lock);

	unmap_mapping_range(gdev->drm.anon_inode->i_mapping,
			    (loff_t)gsvm_doorbell_pgoff(db) << PAGE_SHIFT, PAGE_SIZE, 1);
}

static vm_fault_t gsvm_doorbell_fault(struct vm_fault *vmf)
{
	struct gsvm_doorbell *db = vmf->vma->vm_private_data;
	struct gsvm_device *gdev = db->gdev;
	unsigned long pfn;
	vm_fault_t ret;
	int idx;

	/* Unplug zaps everything after it has waited for those who entered. */
	if (!drm_dev_enter(&gdev->drm, &idx))
		return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(db->dummy));

	down_read(&gdev->doorbell_lock);
	if (db->revoked)
		pfn = page_to_pfn(db->dummy);
	else
		pfn = PHYS_PFN(pci_resource_start(gdev->pdev, GSVM_BAR_DOORBELL)) + db->asid;
	ret = vmf_insert_pfn(vmf->vma, vmf->address, pfn);
	up_read(&gdev->doorbell_lock);
	drm_dev_exit(idx);

	return ret;
}

/* mremap() makes a second mapping for a moment. */
static void gsvm_doorbell_vma_open(struct vm_area_struct *vma)
{
	gsvm_doorbell_get(vma->vm_private_data);
}

static void gsvm_doorbell_vma_close(struct vm_area_struct *vma)
{
	gsvm_doorbell_put(vma->vm_private_data);
}

static const struct vm_operations_struct gsvm_doorbell_vm_ops = {
	.open = gsvm_doorbell_vma_open,
	.close = gsvm_doorbell_vma_close,
	.fault = gsvm_doorbell_fault,
};

/**
 * gsvm_doorbell_offset - what to hand to mmap()
 * @vm_id: handle of the VM
 *
 * Return: the offset, in bytes.
 */
u64 gsvm_doorbell_offset(u32 vm_id)
{
	return GSVM_DOORBELL_OFFSET + ((u64)vm_id << PAGE_SHIFT);
}

static int gsvm_doorbell_check_vma(const struct gsvm_doorbell *db,
				   const struct vm_area_struct *vma)
{
	if (db->mm != vma->vm_mm)
		return -EPERM;
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC ||
	    vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;

	return 0;
}

/**
 * gsvm_doorbell_mmap - map a VM's doorbell page
 * @filp: the file the VM belongs to
 * @vma: the mapping, one page, shared
 *
 * Context: the mmap lock is held for writing.
 *
 * Return: 0, -EINVAL for an offset, size or protection that is not a
 * doorbell's, -ENOENT for an unknown VM, -EPERM when the VM mirrors other
 * memory, -ENODEV when the device is gone.
 */
int gsvm_doorbell_mmap(struct file *filp, struct vm_area_struct *vma)
{
	const pgoff_t first = GSVM_DOORBELL_OFFSET >> PAGE_SHIFT;
	struct drm_file *file = filp->private_data;
	struct gsvm_doorbell *db;
	int ret;

	BUILD_BUG_ON(PAGE_SIZE != GSVM_DOORBELL_PAGE);

	if (drm_dev_is_unplugged(file->minor->dev))
		return -ENODEV;
	if (vma->vm_pgoff < first || vma->vm_pgoff - first > U32_MAX)
		return -EINVAL;

	db = gsvm_file_doorbell(file->driver_priv, vma->vm_pgoff - first);
	if (!db)
		return -ENOENT;

	ret = gsvm_doorbell_check_vma(db, vma);
	if (ret) {
		gsvm_doorbell_put(db);
		return ret;
	}

	/* Nor may mprotect() make it executable later. */
	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP,
		     VM_MAYEXEC);
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_pgoff = gsvm_doorbell_pgoff(db);
	vma->vm_private_data = db;
	vma->vm_ops = &gsvm_doorbell_vm_ops;
	return 0;
}
