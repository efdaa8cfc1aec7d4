/* SPDX-License-Identifier: MIT */
/* MSI-X: pending bits, masks, and the eventfds that carry the messages. */
#ifndef GPU_IRQ_H
#define GPU_IRQ_H

#include "gpu.h"

int irq_init(struct gpu *gpu);
void irq_exit(struct gpu *gpu);
void irq_reset(struct gpu *gpu);	/* pending bits fall; eventfds and masks stay */

/*
 * What configuration space says: MSI-X enabled at all (false drops what is
 * pending), and whether messages may leave (function mask, bus master, power
 * state). Message thread.
 */
void irq_configure(struct gpu *gpu, bool enabled, bool open);

/* The client's side; @vector is in range. Takes @fd (-1: none). -EINVAL: no eventfd. */
int irq_set_eventfd(struct gpu *gpu, unsigned int vector, int fd);
void irq_set_mask(struct gpu *gpu, unsigned int vector, bool masked);
uint64_t irq_pending(struct gpu *gpu);	/* the PBA */

#endif
