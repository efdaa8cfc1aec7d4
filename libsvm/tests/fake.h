/* SPDX-License-Identifier: MIT */
/*
 * A device behind the library's struct gsvm_sys: it answers the ioctls as the
 * driver does, and one thread per queue consumes the ring, moves memory and
 * counts signals down as the GPU does. See fake.c.
 */
#ifndef FAKE_H
#define FAKE_H

#include <sys/types.h>

#include "../private.h"

#define FAKE_QUEUES	8
#define FAKE_LOG	16384
#define FAKE_HELD	16

struct fake;

struct fake *fake_create(void);
/* Also checks that nothing was left behind: VMs, queues, mappings. */
bool fake_destroy(struct fake *fake);
struct gsvm_device *fake_open(struct fake *fake);
/* fork(), after which the child has the device too, but no GPU that works for it. */
pid_t fake_fork(struct fake *fake);

/* The next ioctl @request fails with @err (negative errno), @count times. */
void fake_fail(struct fake *fake, unsigned long request, int err, int count);
/* Mapping the doorbell fails with this errno while not 0. */
void fake_fail_map(struct fake *fake, int err);
/* The GPU stops and goes on taking packets, and moving memory in the background. */
void fake_pause(struct fake *fake, bool pause);
/* The read index is written when nothing is left to do only. */
void fake_lag(struct fake *fake, bool lag);
/* The queue dies with this record. */
void fake_kill(struct fake *fake, uint32_t queue, const struct drm_gsvm_queue_query *record);
/* The device does not offer the ring format. */
void fake_no_format(struct fake *fake);
/* The driver is of the time before memory could move. */
void fake_old(struct fake *fake, bool old);
/* A queue is given this doorbell offset instead of a good one. */
void fake_doorbell_offset(struct fake *fake, uint32_t offset);

/* What happened. */
unsigned int fake_calls(struct fake *fake, unsigned long request);
unsigned int fake_doorbells(struct fake *fake, uint32_t queue);	/* values seen */
uint64_t fake_consumed(struct fake *fake, uint32_t queue);
/* Packet @index that was consumed, markers included; false: none. */
bool fake_packet(struct fake *fake, uint32_t queue, uint64_t index, struct gsvm_packet *packet);
struct drm_gsvm_queue_create fake_create_args(struct fake *fake, uint32_t queue);
struct drm_gsvm_wait fake_last_wait(struct fake *fake);
struct drm_gsvm_prefetch fake_last_prefetch(struct fake *fake);
struct drm_gsvm_vm_set fake_last_set(struct fake *fake);
unsigned int fake_once(struct fake *fake);	/* calls not to be restarted */
/* Broken rules: packets that the doorbell covered too early and the like. */
unsigned int fake_errors(struct fake *fake);

#endif
