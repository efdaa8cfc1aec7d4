/* SPDX-License-Identifier: MIT */
/* A fake device with one VM and one queue, as most tests want them. */
#ifndef BED_H
#define BED_H

#include <stdlib.h>

#include "fake.h"

struct bed {
	struct fake *fake;
	struct gsvm_device *device;
	struct gsvm_vm *vm;
	struct gsvm_queue *queue;
	uint32_t id;		/* of the queue */
};

__attribute__((unused))
static void bed_make(struct bed *bed, uint32_t packets)
{
	struct gsvm_queue_options options = { .size = sizeof(options), .ring_packets = packets };

	bed->fake = fake_create();
	bed->device = fake_open(bed->fake);
	if (!bed->device || gsvm_vm_create(bed->device, &bed->vm) ||
	    gsvm_queue_create(bed->vm, &options, &bed->queue))
		abort();
	bed->id = gsvm_queue_handle(bed->queue);
}

/* Everything destroyed, nothing left, no rule broken? */
__attribute__((unused))
static bool bed_clear(struct bed *bed)
{
	return !gsvm_queue_destroy(bed->queue) && !gsvm_vm_destroy(bed->vm) &&
	       !gsvm_device_close(bed->device) && fake_destroy(bed->fake);
}

#endif
