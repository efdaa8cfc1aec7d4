// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Registers and interrupts
 *
 * This file knows BAR0, the enable and reset sequence and the interrupt
 * vectors; what an interrupt means is the business of the unit that it calls.
 *
 * The device is not trusted: what its read-only registers say is compared with
 * the bounds of the hardware document and with the size of its BARs before
 * anybody uses it. All-ones from a register that cannot be all-ones means that
 * the device is no longer there.
 *
 * Registers may be touched from probe until gsvm_device_unplug() returns; users
 * of files stay inside drm_dev_enter().
 */

#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/ratelimit.h>

#include <kunit/visibility.h>

#include <drm/drm_print.h>

#include "gsvm_cmd.h"
#include "gsvm_copy.h"
#include "gsvm_device.h"
#include "gsvm_fault.h"
#include "gsvm_hw.h"
#include "gsvm_queue.h"
#include "gsvm_vm.h"

/* Generous: a reset drains work-items, and a reference GPU may be a busy process. */
#define GSVM_HW_TIMEOUT_US	(5 * USEC_PER_SEC)
#define GSVM_HW_POLL_US		100

/**
 * gsvm_hw_read32 - read a 32-bit register
 * @gdev: the GPU
 * @reg: GSVM_REG_*
 *
 * Return: the value, all-ones when the device is gone.
 */
u32 gsvm_hw_read32(struct gsvm_device *gdev, u32 reg)
{
	return readl(gdev->regs + reg);
}

/**
 * gsvm_hw_read64 - read a 64-bit register
 * @gdev: the GPU
 * @reg: GSVM_REG_*
 *
 * Return: the value, all-ones when the device is gone.
 */
u64 gsvm_hw_read64(struct gsvm_device *gdev, u32 reg)
{
	return readq(gdev->regs + reg);
}

/**
 * gsvm_hw_write32 - write a 32-bit register
 * @gdev: the GPU
 * @reg: GSVM_REG_*
 * @value: what to write
 *
 * Writes to coherent memory before the call are visible to the device first.
 */
void gsvm_hw_write32(struct gsvm_device *gdev, u32 reg, u32 value)
{
	writel(value, gdev->regs + reg);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_hw_write32);

/**
 * gsvm_hw_write64 - write a 64-bit register
 * @gdev: the GPU
 * @reg: GSVM_REG_*
 * @value: what to write
 *
 * Writes to coherent memory before the call are visible to the device first.
 */
void gsvm_hw_write64(struct gsvm_device *gdev, u32 reg, u64 value)
{
	writeq(value, gdev->regs + reg);
}

/**
 * gsvm_hw_gone - ask whether the device has been pulled
 * @gdev: the GPU
 *
 * Return: true when its registers do not answer any more.
 */
bool gsvm_hw_gone(struct gsvm_device *gdev)
{
	return gsvm_hw_read32(gdev, GSVM_REG_ID) != GSVM_ID_MAGIC;
}

static int gsvm_hw_wait_status(struct gsvm_device *gdev, u32 mask, u32 value)
{
	u32 status;
	int ret;

	ret = read_poll_timeout(gsvm_hw_read32, status,
				status == U32_MAX || (status & mask) == value,
				GSVM_HW_POLL_US, GSVM_HW_TIMEOUT_US, false,
				gdev, GSVM_REG_STATUS);
	if (status == U32_MAX)
		return -ENODEV;

	return ret;
}

static int gsvm_hw_map(struct gsvm_device *gdev)
{
	struct pci_dev *pdev = gdev->pdev;
	int ret;

	if (pci_resource_len(pdev, GSVM_BAR_REGS) < GSVM_REGS_SIZE)
		return dev_err_probe(&pdev->dev, -ENODEV, "register BAR is too small\n");

	gdev->regs = pcim_iomap_region(pdev, GSVM_BAR_REGS, DRM_GSVM_NAME);
	if (IS_ERR(gdev->regs))
		return dev_err_probe(&pdev->dev, PTR_ERR(gdev->regs), "no register BAR\n");

	ret = pcim_request_region(pdev, GSVM_BAR_VRAM, DRM_GSVM_NAME);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "no VRAM BAR\n");

	ret = pcim_request_region(pdev, GSVM_BAR_DOORBELL, DRM_GSVM_NAME);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "no doorbell BAR\n");

	return 0;
}

static int gsvm_hw_identify(struct gsvm_device *gdev)
{
	struct device *dev = &gdev->pdev->dev;
	u32 id = gsvm_hw_read32(gdev, GSVM_REG_ID);
	u32 version;

	if (id != GSVM_ID_MAGIC)
		return dev_err_probe(dev, -ENODEV, "not a gsvm GPU, id %#x\n", id);

	/* A minor version adds only what an older driver need not know. */
	version = gsvm_hw_read32(gdev, GSVM_REG_VERSION);
	if (version >> 16 != GSVM_HW_VERSION >> 16)
		return dev_err_probe(dev, -ENODEV, "hardware version %u.%u is not supported\n",
				     version >> 16, version & 0xffff);

	gdev->limits.hw_version = version;
	return 0;
}

/* Whatever a previous owner (firmware, a crashed kernel) left running ends here. */
static int gsvm_hw_reset(struct gsvm_device *gdev)
{
	int ret;

	gsvm_hw_write32(gdev, GSVM_REG_CONTROL, GSVM_CONTROL_RESET);
	ret = gsvm_hw_wait_status(gdev, GSVM_STATUS_RESETTING | GSVM_STATUS_ENABLED |
				  GSVM_STATUS_FATAL, 0);
	if (ret)
		return dev_err_probe(&gdev->pdev->dev, ret, "reset does not complete\n");

	return 0;
}

static bool gsvm_hw_limits_sane(struct gsvm_device *gdev)
{
	const struct gsvm_limits *l = &gdev->limits;

	return l->num_asids >= 256 && l->num_asids <= GSVM_MAX_ASIDS &&
	       l->num_queues >= 1024 && l->num_queues <= GSVM_MAX_QUEUES &&
	       l->num_cores >= 1 && l->num_cores <= SZ_64K &&
	       l->max_harts >= 1 && l->max_harts <= SZ_16M &&
	       l->max_group >= 1 && l->max_group <= l->max_harts &&
	       l->num_copy >= 1 && l->num_copy <= GSVM_MAX_COPY_ENGINES &&
	       l->group_mem <= SZ_1G && l->private_mem <= SZ_1G &&
	       l->va_bits == GSVM_VA_BITS &&
	       l->vram_size && IS_ALIGNED(l->vram_size, SZ_4K);
}

static int gsvm_hw_read_limits(struct gsvm_device *gdev)
{
	struct device *dev = &gdev->pdev->dev;
	struct gsvm_limits *l = &gdev->limits;

	l->num_asids = gsvm_hw_read32(gdev, GSVM_REG_NUM_ASIDS);
	l->num_queues = gsvm_hw_read32(gdev, GSVM_REG_NUM_QUEUES);
	l->num_cores = gsvm_hw_read32(gdev, GSVM_REG_NUM_CORES);
	l->max_harts = gsvm_hw_read32(gdev, GSVM_REG_MAX_HARTS);
	l->max_group = gsvm_hw_read32(gdev, GSVM_REG_MAX_GROUP);
	l->num_copy = gsvm_hw_read32(gdev, GSVM_REG_NUM_COPY);
	l->group_mem = gsvm_hw_read32(gdev, GSVM_REG_GROUP_MEM);
	l->private_mem = gsvm_hw_read32(gdev, GSVM_REG_PRIVATE_MEM);
	l->va_bits = gsvm_hw_read32(gdev, GSVM_REG_VA_BITS);
	l->vram_size = gsvm_hw_read64(gdev, GSVM_REG_VRAM_SIZE);

	if (!gsvm_hw_limits_sane(gdev))
		return dev_err_probe(dev, -ENODEV,
				     "limits out of bounds: %u ASIDs, %u queues, %u cores, %u harts, group of %u, %u copy engines, %u VA bits, %llu bytes of VRAM\n",
				     l->num_asids, l->num_queues, l->num_cores, l->max_harts,
				     l->max_group, l->num_copy, l->va_bits, l->vram_size);

	if (pci_resource_len(gdev->pdev, GSVM_BAR_VRAM) < l->vram_size ||
	    pci_resource_len(gdev->pdev, GSVM_BAR_DOORBELL) <
	    (u64)l->num_asids * GSVM_DOORBELL_PAGE)
		return dev_err_probe(dev, -ENODEV, "VRAM or doorbell BAR is too small\n");

	return 0;
}

/**
 * gsvm_hw_init - map the device, bring it into reset state, learn its limits
 * @gdev: the GPU; &gsvm_device.pdev is set
 *
 * Return: 0, -ENODEV when the device is not one that this driver can drive,
 * -ETIMEDOUT when it does not react, or the error of the PCI core.
 */
int gsvm_hw_init(struct gsvm_device *gdev)
{
	struct pci_dev *pdev = gdev->pdev;
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "PCI function cannot be enabled\n");

	ret = gsvm_hw_map(gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_identify(gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_reset(gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_read_limits(gdev);
	if (ret)
		return ret;

	/* Page-table entries and base registers hold addresses below 2^52. */
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "no DMA\n");

	return 0;
}

static void gsvm_hw_disable_action(void *data)
{
	gsvm_hw_disable(data);
}

/**
 * gsvm_hw_enable - let the device use its rings and tables
 * @gdev: the GPU; all base registers are written
 *
 * Disabled again when the driver is unbound, at the latest.
 *
 * Return: 0, -ENODEV, -EIO when the device refuses, -ETIMEDOUT, -ENOMEM.
 */
int gsvm_hw_enable(struct gsvm_device *gdev)
{
	struct device *dev = &gdev->pdev->dev;
	u32 status;
	int ret;

	ret = devm_add_action(dev, gsvm_hw_disable_action, gdev);
	if (ret)
		return ret;

	pci_set_master(gdev->pdev);
	gsvm_hw_write32(gdev, GSVM_REG_CONTROL, GSVM_CONTROL_ENABLE);
	ret = gsvm_hw_wait_status(gdev, GSVM_STATUS_ENABLED, GSVM_STATUS_ENABLED);
	status = gsvm_hw_read32(gdev, GSVM_REG_STATUS);
	if (!ret && status & GSVM_STATUS_FATAL)
		ret = -EIO;
	if (ret)
		return dev_err_probe(dev, ret,
				     "cannot be enabled, status %#x error %u info %#llx\n",
				     status, gsvm_hw_read32(gdev, GSVM_REG_ERROR),
				     gsvm_hw_read64(gdev, GSVM_REG_ERROR_INFO));

	return 0;
}

/**
 * gsvm_hw_disable - take the device off memory, for good
 * @gdev: the GPU
 *
 * When the call returns the device makes no access to memory: either it said
 * so, or the bus does not take any from it. May be repeated.
 *
 * Context: process context, sleeps.
 */
void gsvm_hw_disable(struct gsvm_device *gdev)
{
	if (!gdev->pdev->is_busmaster)
		return;

	gsvm_hw_write32(gdev, GSVM_REG_CONTROL, 0);
	if (gsvm_hw_wait_status(gdev, GSVM_STATUS_ENABLED, 0) == -ETIMEDOUT)
		drm_err(&gdev->drm, "device does not stop, bus mastering is cut off\n");
	pci_clear_master(gdev->pdev);
}

static irqreturn_t gsvm_hw_irq_fault(int irq, void *data)
{
	gsvm_fault_irq(data);
	return IRQ_HANDLED;
}

/* This one and the next are in hard interrupt context: a wake-up is all that is to do. */
static irqreturn_t gsvm_hw_irq_cmd(int irq, void *data)
{
	gsvm_cmd_irq(data);
	return IRQ_HANDLED;
}

static irqreturn_t gsvm_hw_irq_copy(int irq, void *data)
{
	gsvm_copy_irq(data);
	return IRQ_HANDLED;
}

/*
 * The device sets a bit and then raises the vector, so a bit set after its
 * word was taken comes with an interrupt of its own. xchg() is a full barrier:
 * who is woken sees the signal that was written before the bit.
 */
static irqreturn_t gsvm_hw_irq_event(int irq, void *data)
{
	struct gsvm_device *gdev = data;
	unsigned int word, bit;

	for (word = 0; word < ARRAY_SIZE(gdev->status->event); word++) {
		unsigned long bits;

		if (!READ_ONCE(gdev->status->event[word]))
			continue;

		bits = xchg(&gdev->status->event[word], 0);
		for_each_set_bit(bit, &bits, 64) {
			/* NULL for an ASID that the device made up or that has just gone. */
			struct gsvm_vm *vm = gsvm_vm_lookup_asid(gdev, word * 64 + bit);

			if (!vm)
				continue;
			gsvm_vm_event(vm);
			gsvm_vm_put(vm);
		}
	}

	return IRQ_HANDLED;
}

static void gsvm_hw_report_error(struct gsvm_device *gdev)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	u32 error = gsvm_hw_read32(gdev, GSVM_REG_ERROR);
	u64 info;

	if (error == GSVM_ERR_NONE)
		return;

	info = gsvm_hw_read64(gdev, GSVM_REG_ERROR_INFO);
	gsvm_hw_write32(gdev, GSVM_REG_ERROR, 0);
	if (__ratelimit(&limit))
		drm_err(&gdev->drm, "device reports error %u info %#llx\n", error, info);

	/*
	 * A bad register write, acknowledgment or copy is a bug to report, yet
	 * the device goes on. A command that was skipped may have been an
	 * invalidation that somebody now believes in, and a lost structure is
	 * never found again.
	 */
	if (error == U32_MAX)
		gsvm_device_wedge(gdev, "registers do not answer");
	else if (error == GSVM_ERR_COMMAND)
		gsvm_device_wedge(gdev, "a command was refused");
	else if (error == GSVM_ERR_BUS ||
		 gsvm_hw_read32(gdev, GSVM_REG_STATUS) & GSVM_STATUS_FATAL)
		gsvm_device_wedge(gdev, "fatal device error");
}

static irqreturn_t gsvm_hw_irq_error(int irq, void *data)
{
	struct gsvm_device *gdev = data;

	gsvm_queue_error_irq(gdev);
	gsvm_hw_report_error(gdev);
	return IRQ_HANDLED;
}

static int gsvm_hw_request_irq(struct gsvm_device *gdev, unsigned int vec, const char *name,
			       irq_handler_t handler, irq_handler_t thread, void *data)
{
	struct device *dev = &gdev->pdev->dev;
	int irq = pci_irq_vector(gdev->pdev, vec);
	const char *label;
	int ret;

	if (irq < 0)
		return dev_err_probe(dev, irq, "no vector %u\n", vec);

	label = devm_kasprintf(dev, GFP_KERNEL, DRM_GSVM_NAME "-%s:%s", name, dev_name(dev));
	if (!label)
		return -ENOMEM;

	ret = devm_request_threaded_irq(dev, irq, handler, thread,
					handler ? 0 : IRQF_ONESHOT, label, data);
	if (ret)
		return dev_err_probe(dev, ret, "vector %u cannot be used\n", vec);

	return 0;
}

static int gsvm_hw_irq_copy_init(struct gsvm_device *gdev)
{
	unsigned int id;
	char name[sizeof("copy4294967295")];
	int ret;

	for (id = 0; id < gdev->limits.num_copy; id++) {
		snprintf(name, sizeof(name), "copy%u", id);
		ret = gsvm_hw_request_irq(gdev, GSVM_VEC_COPY(id), name, gsvm_hw_irq_copy, NULL,
					  gsvm_copy_engine(gdev, id));
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * gsvm_hw_irq_init - start to listen to the device
 * @gdev: the GPU, its rings set up
 *
 * Return: 0, -ENODEV when the device or the platform offers too few MSI-X
 * vectors, -ENOMEM, or the error of the interrupt core.
 */
int gsvm_hw_irq_init(struct gsvm_device *gdev)
{
	unsigned int num = GSVM_VEC_COPY(gdev->limits.num_copy);
	struct pci_dev *pdev = gdev->pdev;
	int ret;

	ret = pci_alloc_irq_vectors(pdev, num, num, PCI_IRQ_MSIX);
	if (ret < 0)
		return dev_err_probe(&pdev->dev, ret, "fewer than %u MSI-X vectors\n", num);

	ret = gsvm_hw_request_irq(gdev, GSVM_VEC_FAULT, "fault", NULL, gsvm_hw_irq_fault, gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_request_irq(gdev, GSVM_VEC_CMD, "cmd", gsvm_hw_irq_cmd, NULL, gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_request_irq(gdev, GSVM_VEC_EVENT, "event", NULL, gsvm_hw_irq_event, gdev);
	if (ret)
		return ret;

	ret = gsvm_hw_request_irq(gdev, GSVM_VEC_ERROR, "error", NULL, gsvm_hw_irq_error, gdev);
	if (ret)
		return ret;

	return gsvm_hw_irq_copy_init(gdev);
}

/**
 * gsvm_hw_irq_fini - stop to listen to the device
 * @gdev: the GPU
 *
 * When the call returns no handler runs and none will.
 *
 * Context: process context, sleeps.
 */
void gsvm_hw_irq_fini(struct gsvm_device *gdev)
{
	struct device *dev = &gdev->pdev->dev;
	unsigned int vec, id;

	for (vec = 0; vec < GSVM_VEC_COPY(0); vec++)
		devm_free_irq(dev, pci_irq_vector(gdev->pdev, vec), gdev);
	for (id = 0; id < gdev->limits.num_copy; id++)
		devm_free_irq(dev, pci_irq_vector(gdev->pdev, GSVM_VEC_COPY(id)),
			      gsvm_copy_engine(gdev, id));
}
