// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Driver
 *
 * The module, the PCI function, the table of ioctls and of file operations.
 * What a device is made of stands in gsvm_device.c.
 */

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/gsvm_drm.h>

#include "gsvm_debugfs.h"
#include "gsvm_device.h"
#include "gsvm_doorbell.h"
#include "gsvm_drv.h"
#include "gsvm_file.h"
#include "gsvm_ioctl.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

#define CREATE_TRACE_POINTS
#include "gsvm_trace.h"

/* An external module cannot select what it needs: say so instead of failing later. */
#if !IS_ENABLED(CONFIG_64BIT)
#error "gsvm needs a 64-bit kernel."
#endif
#if !IS_ENABLED(CONFIG_MMU_NOTIFIER)
#error "gsvm needs a kernel with CONFIG_MMU_NOTIFIER."
#endif
#if !IS_ENABLED(CONFIG_HMM_MIRROR)
#error "gsvm needs a kernel with CONFIG_HMM_MIRROR."
#endif
#if !IS_ENABLED(CONFIG_DEVICE_PRIVATE)
#error "gsvm needs a kernel with CONFIG_DEVICE_PRIVATE."
#endif
#if !IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE)
#error "gsvm needs a kernel with CONFIG_TRANSPARENT_HUGEPAGE."
#endif
#if !IS_ENABLED(CONFIG_GPU_BUDDY)
#error "gsvm needs a kernel with CONFIG_GPU_BUDDY."
#endif
#if !IS_ENABLED(CONFIG_MEMORY_FAILURE)
#error "gsvm needs a kernel with CONFIG_MEMORY_FAILURE."
#endif
#if !IS_ENABLED(CONFIG_DRM)
#error "gsvm needs a kernel with CONFIG_DRM."
#endif
#if !IS_ENABLED(CONFIG_PCI_MSI)
#error "gsvm needs a kernel with CONFIG_PCI_MSI."
#endif

#define GSVM_IOCTL(id, func) \
	DRM_IOCTL_DEF_DRV(GSVM_##id, gsvm_ioctl_##func, DRM_RENDER_ALLOW)

static const struct drm_ioctl_desc gsvm_drm_ioctls[] = {
	GSVM_IOCTL(DEVICE_QUERY, device_query),
	GSVM_IOCTL(VM_CREATE, vm_create),
	GSVM_IOCTL(VM_DESTROY, vm_destroy),
	GSVM_IOCTL(VM_QUERY, vm_query),
	GSVM_IOCTL(QUEUE_CREATE, queue_create),
	GSVM_IOCTL(QUEUE_DESTROY, queue_destroy),
	GSVM_IOCTL(QUEUE_QUERY, queue_query),
	GSVM_IOCTL(WAIT, wait),
	GSVM_IOCTL(PREFETCH, prefetch),
	GSVM_IOCTL(RESIDENCY, residency),
	GSVM_IOCTL(VM_SET, vm_set),
};

static const struct file_operations gsvm_drm_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = gsvm_doorbell_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver gsvm_drm_driver = {
	.driver_features = DRIVER_RENDER,
	.open = gsvm_file_open,
	.postclose = gsvm_file_close,
	.show_fdinfo = gsvm_file_show_fdinfo,
	.ioctls = gsvm_drm_ioctls,
	.num_ioctls = ARRAY_SIZE(gsvm_drm_ioctls),
	.fops = &gsvm_drm_fops,
	.name = DRM_GSVM_NAME,
	.desc = "Shared virtual memory GPU",
	.major = GSVM_DRV_MAJOR,
	.minor = GSVM_DRV_MINOR,
};

static int gsvm_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct gsvm_device *gdev;
	int ret;

	gdev = devm_drm_dev_alloc(&pdev->dev, &gsvm_drm_driver, struct gsvm_device, drm);
	if (IS_ERR(gdev))
		return PTR_ERR(gdev);

	gdev->pdev = pdev;
	pci_set_drvdata(pdev, gdev);

	ret = gsvm_device_init(gdev);
	if (ret)
		return ret;

	gsvm_debugfs_init(gdev);

	ret = drm_dev_register(&gdev->drm, 0);
	if (ret) {
		gsvm_device_unplug(gdev);
		return ret;
	}

	pci_info(pdev, "%llu MiB of VRAM, %u cores, %u address spaces, %u queues\n",
		 gdev->limits.vram_size >> 20, gdev->limits.num_cores,
		 gdev->limits.num_asids, gdev->limits.num_queues);
	return 0;
}

static void gsvm_pci_remove(struct pci_dev *pdev)
{
	struct gsvm_device *gdev = pci_get_drvdata(pdev);

	gsvm_vram_fini(gdev);
	drm_dev_unplug(&gdev->drm);
	gsvm_device_unplug(gdev);
}

/*
 * The next kernel (kexec) must not find a device that writes to its memory. This
 * one does not go on for long: what is in VRAM may stay there, the CPU can read
 * it.
 */
static void gsvm_pci_shutdown(struct pci_dev *pdev)
{
	struct gsvm_device *gdev = pci_get_drvdata(pdev);

	drm_dev_unplug(&gdev->drm);
	gsvm_device_unplug(gdev);
}

/*
 * A reset of the function takes with it what the device knows and has. What the
 * processes have there is saved before; their queues end, as for a dead device.
 * The driver has to be bound anew.
 */
static void gsvm_pci_reset_prepare(struct pci_dev *pdev)
{
	struct gsvm_device *gdev = pci_get_drvdata(pdev);

	if (!gdev)
		return;
	gsvm_vram_fini(gdev);
	gsvm_device_wedge(gdev, "the function is being reset");
}

static const struct pci_error_handlers gsvm_pci_err_handler = {
	.reset_prepare = gsvm_pci_reset_prepare,
};

static const struct pci_device_id gsvm_pci_ids[] = {
	{ PCI_DEVICE(GSVM_PCI_VENDOR_ID, GSVM_PCI_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, gsvm_pci_ids);

static struct pci_driver gsvm_pci_driver = {
	.name = DRM_GSVM_NAME,
	.id_table = gsvm_pci_ids,
	.probe = gsvm_pci_probe,
	.remove = gsvm_pci_remove,
	.shutdown = gsvm_pci_shutdown,
	.err_handler = &gsvm_pci_err_handler,
};

static int __init gsvm_module_init(void)
{
	int ret;

	ret = gsvm_vm_module_init();
	if (ret)
		return ret;

	ret = pci_register_driver(&gsvm_pci_driver);
	if (ret)
		gsvm_vm_module_exit();

	return ret;
}
module_init(gsvm_module_init);

static void __exit gsvm_module_exit(void)
{
	pci_unregister_driver(&gsvm_pci_driver);
	gsvm_vm_module_exit();
}
module_exit(gsvm_module_exit);

MODULE_DESCRIPTION("gsvm: GPU with shared virtual memory");
MODULE_AUTHOR("The gsvm authors");
MODULE_LICENSE("Dual MIT/GPL");
