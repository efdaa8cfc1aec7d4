// SPDX-License-Identifier: MIT
/*
 * DOC: Configuration space
 *
 * Three images of 4 KiB: the values, which bits software may write, and the
 * defaults. Whatever is written goes through the mask; then the registers that
 * do something are looked at: the command register, the power state, MSI-X
 * control, and the function level reset, which is a bit that reads as zero.
 *
 * What the guest may expect after its write has been answered: with bus master
 * clear or in D3hot no DMA and no message leaves the device, also none that was
 * under way; after a function level reset the same (its bus master bit is 0
 * again), and the rest of the reset goes on by itself.
 *
 * All of it runs on the message thread, so there is no lock here.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "dma.h"
#include "irq.h"
#include "pci.h"
#include "reset.h"

#define PM_CAP		0x40
#define MSIX_CAP	0x50
#define EXP_CAP		0x60

/* "PCI Express capability, version 2" is this long. */
#define EXP_CAP_LEN	0x3c

#define MSIX_ENABLE	PCI_MSIX_FLAGS_ENABLE
#define MSIX_MASKALL	PCI_MSIX_FLAGS_MASKALL

struct pci {
	uint8_t value[PCI_CONFIG_SIZE];
	uint8_t mask[PCI_CONFIG_SIZE];		/* bits that software can write */
	uint8_t initial[PCI_CONFIG_SIZE];
	bool used;				/* memory space was on: see pci_take_used() */
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "images are in the host's byte order");

static void put16(uint8_t *image, unsigned int at, uint16_t v)
{
	memcpy(image + at, &v, sizeof(v));
}

static void put32(uint8_t *image, unsigned int at, uint32_t v)
{
	memcpy(image + at, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *image, unsigned int at)
{
	uint16_t v;

	memcpy(&v, image + at, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *image, unsigned int at)
{
	uint64_t v;

	memcpy(&v, image + at, sizeof(v));
	return v;
}

/* Memory BAR number @n of @size bytes (a power of two). */
static void pci_add_bar(struct pci *pci, unsigned int n, uint64_t size, uint32_t type)
{
	unsigned int at = PCI_BASE_ADDRESS_0 + 4 * n;
	uint64_t mask = ~(size - 1);

	put32(pci->initial, at, type);
	put32(pci->mask, at, (uint32_t)mask);
	if (type & PCI_BASE_ADDRESS_MEM_TYPE_64)
		put32(pci->mask, at + 4, mask >> 32);
}

static void pci_add_header(struct pci *pci, uint64_t vram_size)
{
	uint8_t *v = pci->initial;

	put16(v, PCI_VENDOR_ID, GSVM_PCI_VENDOR_ID);
	put16(v, PCI_DEVICE_ID, GSVM_PCI_DEVICE_ID);
	put16(v, PCI_SUBSYSTEM_VENDOR_ID, GSVM_PCI_VENDOR_ID);
	put16(v, PCI_SUBSYSTEM_ID, GSVM_PCI_DEVICE_ID);
	put32(v, PCI_CLASS_REVISION, GSVM_PCI_CLASS << 8 | GSVM_PCI_REVISION);
	put16(v, PCI_STATUS, PCI_STATUS_CAP_LIST);
	v[PCI_CAPABILITY_LIST] = PM_CAP;
	put16(pci->mask, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
	      PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	pci->mask[PCI_CACHE_LINE_SIZE] = 0xff;
	pci->mask[PCI_INTERRUPT_LINE] = 0xff;	/* no pin: software's scratch byte */

	pci_add_bar(pci, GSVM_BAR_REGS, GSVM_REGS_SIZE, 0);
	pci_add_bar(pci, GSVM_BAR_VRAM, vram_size,
		    PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	pci_add_bar(pci, GSVM_BAR_DOORBELL, DOORBELL_BAR_SIZE, PCI_BASE_ADDRESS_MEM_TYPE_64);
}

static void pci_add_caps(struct pci *pci)
{
	uint8_t *v = pci->initial;

	v[PM_CAP] = PCI_CAP_ID_PM;
	v[PM_CAP + 1] = MSIX_CAP;
	put16(v, PM_CAP + PCI_PM_PMC, 3);	/* version 3: D0 and D3hot, no PME */
	put16(v, PM_CAP + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	/* The power state is written by hand, see pci_write_power(). */

	v[MSIX_CAP] = PCI_CAP_ID_MSIX;
	v[MSIX_CAP + 1] = EXP_CAP;
	put16(v, MSIX_CAP + PCI_MSIX_FLAGS, GSVM_NUM_VECTORS - 1);
	put32(v, MSIX_CAP + PCI_MSIX_TABLE, GSVM_MSIX_TABLE_OFFSET | GSVM_BAR_REGS);
	put32(v, MSIX_CAP + PCI_MSIX_PBA, GSVM_MSIX_PBA_OFFSET | GSVM_BAR_REGS);
	put16(pci->mask, MSIX_CAP + PCI_MSIX_FLAGS, MSIX_ENABLE | MSIX_MASKALL);

	v[EXP_CAP] = PCI_CAP_ID_EXP;
	put16(v, EXP_CAP + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	/* 256 byte payloads, role-based error reports, function level reset. */
	put32(v, EXP_CAP + PCI_EXP_DEVCAP, 1 | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER |
	      PCI_EXP_DEVCAP_FLR);
	put16(v, EXP_CAP + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
	      2 << 12);
	put16(pci->mask, EXP_CAP + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE |
	      PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN |
	      PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_EXT_TAG | PCI_EXP_DEVCTL_NOSNOOP_EN |
	      PCI_EXP_DEVCTL_READRQ);
	/* 16 GT/s x16, up and trained: what lspci shows of a plain link. */
	put32(v, EXP_CAP + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_16_0GB | 16 << 4);
	put16(v, EXP_CAP + PCI_EXP_LNKSTA, PCI_EXP_LNKCAP_SLS_16_0GB | 16 << 4);
	put16(pci->mask, EXP_CAP + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_RCB);
	put32(v, EXP_CAP + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS);
	put16(pci->mask, EXP_CAP + PCI_EXP_DEVCTL2, PCI_EXP_DEVCTL2_COMP_TMOUT_DIS |
	      PCI_EXP_DEVCTL2_ATOMIC_REQ);
	put32(v, EXP_CAP + PCI_EXP_LNKCAP2, 0x1e);	/* 2.5 to 16 GT/s */
	put16(v, EXP_CAP + PCI_EXP_LNKCTL2, PCI_EXP_LNKCAP_SLS_16_0GB);
	_Static_assert(EXP_CAP + EXP_CAP_LEN <= 0x100, "capabilities fit");
}

int pci_init(struct gpu *gpu)
{
	struct pci *pci = calloc(1, sizeof(*pci));

	if (!pci)
		return -ENOMEM;
	pci_add_header(pci, gpu->cfg.vram_size);
	pci_add_caps(pci);
	gpu->pci = pci;
	pci_reset(gpu);
	return 0;
}

void pci_exit(struct gpu *gpu)
{
	free(gpu->pci);
	gpu->pci = NULL;
}

static bool pci_in_d0(const struct pci *pci)
{
	return !(get16(pci->value, PM_CAP + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
}

/* Pass on what command, power and MSI-X control say together. */
static void pci_apply(struct gpu *gpu)
{
	struct pci *pci = gpu->pci;
	bool master = get16(pci->value, PCI_COMMAND) & PCI_COMMAND_MASTER;
	uint16_t msix = get16(pci->value, MSIX_CAP + PCI_MSIX_FLAGS);
	bool d0 = pci_in_d0(pci);

	pci->used |= pci_memory_enabled(gpu);
	irq_configure(gpu, msix & MSIX_ENABLE, !(msix & MSIX_MASKALL) && master && d0);
	if (master && d0)
		dma_unblock(gpu, DMA_OFF_MASTER);
	else
		dma_block(gpu, DMA_OFF_MASTER);
}

void pci_reset(struct gpu *gpu)
{
	memcpy(gpu->pci->value, gpu->pci->initial, PCI_CONFIG_SIZE);
	pci_apply(gpu);
}

void pci_config_read(struct gpu *gpu, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, gpu->pci->value + offset, len);
}

/* Does the write of @len bytes at @offset cover byte @at, and with what? */
static bool write_covers(uint32_t offset, const uint8_t *in, uint32_t len, uint32_t at,
			 uint8_t *byte)
{
	if (at < offset || at - offset >= len)
		return false;
	*byte = in[at - offset];
	return true;
}

/* Only D0 and D3hot exist; a request for another state is dropped, as PCI PM says. */
static void pci_write_power(struct pci *pci, uint8_t byte)
{
	uint8_t state = byte & PCI_PM_CTRL_STATE_MASK;
	uint8_t *reg = &pci->value[PM_CAP + PCI_PM_CTRL];

	if (state == 0 || state == 3)
		*reg = (*reg & ~PCI_PM_CTRL_STATE_MASK) | state;
}

void pci_config_write(struct gpu *gpu, uint32_t offset, const void *buf, uint32_t len)
{
	struct pci *pci = gpu->pci;
	const uint8_t *in = buf;
	uint8_t byte;

	for (uint32_t i = 0; i < len; i++) {
		uint8_t *v = &pci->value[offset + i], mask = pci->mask[offset + i];

		*v = (*v & ~mask) | (in[i] & mask);
	}
	if (write_covers(offset, in, len, PM_CAP + PCI_PM_CTRL, &byte))
		pci_write_power(pci, byte);
	if (write_covers(offset, in, len, EXP_CAP + PCI_EXP_DEVCTL + 1, &byte) &&
	    (byte & (PCI_EXP_DEVCTL_BCR_FLR >> 8))) {
		reset_function(gpu);
		return;
	}
	pci_apply(gpu);
}

bool pci_memory_enabled(struct gpu *gpu)
{
	return (get16(gpu->pci->value, PCI_COMMAND) & PCI_COMMAND_MEMORY) && pci_in_d0(gpu->pci);
}

bool pci_take_used(struct gpu *gpu)
{
	bool used = gpu->pci->used;

	gpu->pci->used = pci_memory_enabled(gpu);
	return used;
}

bool pci_own_vram(struct gpu *gpu, uint64_t addr, uint64_t size, uint64_t *offset)
{
	uint64_t base = get64(gpu->pci->value, PCI_BASE_ADDRESS_0 + 4 * GSVM_BAR_VRAM) &
			PCI_BASE_ADDRESS_MEM_MASK;

	if (!pci_memory_enabled(gpu) || !base || addr < base ||
	    addr - base >= gpu->cfg.vram_size || size > gpu->cfg.vram_size - (addr - base))
		return false;
	*offset = addr - base;
	return true;
}
