/* SPDX-License-Identifier: MIT */
/* Configuration space: header, BARs, power management, MSI-X, PCI Express. */
#ifndef GPU_PCI_H
#define GPU_PCI_H

#include "gpu.h"

#define PCI_CONFIG_SIZE		4096
#define DOORBELL_BAR_SIZE	((uint64_t)GPU_NUM_ASIDS * GSVM_DOORBELL_PAGE)

int pci_init(struct gpu *gpu);
void pci_exit(struct gpu *gpu);

/* Message thread; the caller has checked offset + len <= PCI_CONFIG_SIZE. */
void pci_config_read(struct gpu *gpu, uint32_t offset, void *buf, uint32_t len);
/* Effects (DMA stopped, function reset begun) have happened on return. */
void pci_config_write(struct gpu *gpu, uint32_t offset, const void *buf, uint32_t len);

void pci_reset(struct gpu *gpu);		/* registers back to their defaults */
bool pci_memory_enabled(struct gpu *gpu);	/* BARs answer: memory space on, in D0 */
/* Has memory space been on since the last call? */
bool pci_take_used(struct gpu *gpu);
/* Is bus range [@addr, @addr + @size) inside the VRAM BAR as it is programmed? */
bool pci_own_vram(struct gpu *gpu, uint64_t addr, uint64_t size, uint64_t *offset);

#endif
