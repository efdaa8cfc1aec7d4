// SPDX-License-Identifier: MIT
/*
 * DOC: Enable, disable, reset
 *
 * States (lock):
 *
 *	OFF -- ENABLE=1, not FATAL --> ON
 *	ON -- ENABLE=0, or a fatal error --> STOPPING -- units idle --> OFF
 *	any -- CONTROL.RESET, FLR, DEVICE_RESET --> RESETTING -- all done --> OFF
 *
 * The message thread must answer within the client's patience and must not
 * wait for a unit that waits for a message. So it does only what is bounded:
 * it sets the state, and for a reset closes the way to system memory
 * (dma_block(): every agent passes one boundary, every pending message fails).
 * From then on the device makes no access. All that can take long is done by
 * the reset thread, in this order:
 *
 *  1. the doorbells are shut: a ring that the message thread had begun is over
 *  2. cmd_reset(): no command starts or stops a queue any more
 *  3. queue_reset(): no hart and no packet runs, all queues are gone
 *  4. copy_reset(): no descriptor is under way
 *  5. fault_reset(): nobody is left who could park or wait
 *  6. reset only: registers and statistics to their defaults, VRAM zeroed
 *
 * A reset asked for while one is under way starts over: VRAM may have been
 * written meanwhile. VRAM that nobody could reach since it was zeroed is not
 * zeroed again (memory space was off since the last function reset).
 *
 * Locks: @lock (state, wishes) is taken by anybody, agents and unit locks
 * included, held shortly, and nothing is taken inside it. @door is held by the
 * message thread while it rings and by the reset thread while it shuts; unit
 * locks are taken inside it, so a unit never takes it.
 *
 * The first enable also checks that the client's memory is really shared with
 * us: a guest whose memory was given to QEMU with share=off hands us the file
 * but keeps private copies of its pages, and all DMA would silently go astray.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "copy.h"
#include "dma.h"
#include "fault.h"
#include "irq.h"
#include "pci.h"
#include "queue.h"
#include "regs.h"
#include "reset.h"
#include "vram.h"

/* Somewhere in the status page that no unit writes and software leaves alone. */
#define CHECK_OFFSET	(sizeof(struct gsvm_status) - 8)

struct reset {
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* a wish */
	pthread_cond_t idle;		/* OFF or ON */
	enum reset_state state;
	bool want_stop, want_reset, want_check, want_exit;
	bool scrub;			/* the reset wanted has to zero VRAM */
	bool checked;			/* memory is shared */
	uint64_t check_at;
	pthread_mutex_t door;
	pthread_t thread;
};

/* Nothing of the device is at work on return. */
static void reset_stop_units(struct gpu *gpu)
{
	pthread_mutex_lock(&gpu->reset->door);
	atomic_store(&gpu->enabled, false);
	pthread_mutex_unlock(&gpu->reset->door);
	cmd_reset(gpu);
	queue_reset(gpu);
	copy_reset(gpu);
	fault_reset(gpu);
}

static void reset_do_stop(struct gpu *gpu)
{
	struct reset *r = gpu->reset;

	dma_block(gpu, DMA_OFF_STOP);
	reset_stop_units(gpu);
	dma_unblock(gpu, DMA_OFF_STOP);

	pthread_mutex_lock(&r->lock);
	if (r->state == RESET_STOPPING)
		r->state = RESET_OFF;
	pthread_cond_broadcast(&r->idle);
	pthread_mutex_unlock(&r->lock);
}

static void reset_do_reset(struct gpu *gpu, bool scrub)
{
	struct reset *r = gpu->reset;

	dma_block(gpu, DMA_OFF_RESET);
	reset_stop_units(gpu);
	regs_reset(gpu);
	if (scrub)
		vram_scrub(gpu);
	irq_reset(gpu);
	dma_unblock(gpu, DMA_OFF_RESET);

	pthread_mutex_lock(&r->lock);
	if (!r->want_reset)
		r->state = RESET_OFF;
	pthread_cond_broadcast(&r->idle);
	pthread_mutex_unlock(&r->lock);
}

static void reset_do_check(struct gpu *gpu, uint64_t at)
{
	struct reset *r = gpu->reset;
	bool shared = false;

	/* Software may be writing there once, clearing the page late. */
	for (int i = 0; i < 3 && !shared; i++)
		shared = dma_shared(gpu, at);
	if (!shared) {
		fprintf(stderr, "gsvm-gpu: the guest's memory is not shared with this process: "
			"give QEMU's memory backend share=on\n");
		gpu_fatal(gpu, GSVM_ERR_BUS, at);
	}
	pthread_mutex_lock(&r->lock);
	r->checked = shared;
	pthread_mutex_unlock(&r->lock);
}

static void *reset_thread(void *arg)
{
	struct gpu *gpu = arg;
	struct reset *r = gpu->reset;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		bool reset = r->want_reset, stop = r->want_stop, check = r->want_check;
		bool scrub = r->scrub;
		uint64_t at = r->check_at;

		if (reset) {
			r->want_reset = r->want_stop = r->want_check = r->scrub = false;
			pthread_mutex_unlock(&r->lock);
			reset_do_reset(gpu, scrub);
		} else if (stop) {
			r->want_stop = r->want_check = false;
			pthread_mutex_unlock(&r->lock);
			reset_do_stop(gpu);
		} else if (r->want_exit) {
			break;
		} else if (check) {
			r->want_check = false;
			pthread_mutex_unlock(&r->lock);
			reset_do_check(gpu, at);
		} else {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int reset_init(struct gpu *gpu)
{
	struct reset *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->door, NULL);
	pthread_cond_init(&r->wake, NULL);
	pthread_cond_init(&r->idle, NULL);
	gpu->reset = r;
	ret = pthread_create(&r->thread, NULL, reset_thread, gpu);
	if (ret) {
		gpu->reset = NULL;
		free(r);
	}
	return -ret;
}

/* Everything is stopped afterwards; the units can go. */
void reset_exit(struct gpu *gpu)
{
	struct reset *r = gpu->reset;

	pthread_mutex_lock(&r->lock);
	atomic_store(&gpu->enabled, false);
	r->want_stop = r->want_exit = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->idle);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->door);
	pthread_mutex_destroy(&r->lock);
	free(r);
	gpu->reset = NULL;
}

enum reset_state reset_state(struct gpu *gpu)
{
	enum reset_state state;

	pthread_mutex_lock(&gpu->reset->lock);
	state = gpu->reset->state;
	pthread_mutex_unlock(&gpu->reset->lock);
	return state;
}

bool reset_enable(struct gpu *gpu)
{
	struct reset *r = gpu->reset;
	bool good = !regs_fatal(gpu);

	pthread_mutex_lock(&r->lock);
	good = good && r->state == RESET_OFF;
	if (good) {
		r->state = RESET_ON;
		atomic_store(&gpu->enabled, true);
		r->check_at = gpu->reg.status_base + CHECK_OFFSET;
		r->want_check = !r->checked;
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
	return good;
}

static void reset_begin_stop(struct gpu *gpu)
{
	struct reset *r = gpu->reset;

	pthread_mutex_lock(&r->lock);
	if (r->state == RESET_ON) {
		r->state = RESET_STOPPING;
		atomic_store(&gpu->enabled, false);
		r->want_stop = true;
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
}

void reset_disable(struct gpu *gpu)
{
	reset_begin_stop(gpu);
}

void reset_fatal(struct gpu *gpu)
{
	reset_begin_stop(gpu);
}

static void reset_begin(struct gpu *gpu, bool function)
{
	struct reset *r = gpu->reset;
	bool scrub = true;

	pthread_mutex_lock(&r->lock);
	r->state = RESET_RESETTING;
	atomic_store(&gpu->enabled, false);
	pthread_mutex_unlock(&r->lock);

	dma_block(gpu, DMA_OFF_RESET);
	irq_reset(gpu);
	if (function) {
		pci_reset(gpu);
		scrub = pci_take_used(gpu);
	}

	pthread_mutex_lock(&r->lock);
	/* Again: a reset that was under way may have ended since. */
	r->state = RESET_RESETTING;
	r->want_reset = true;
	r->scrub |= scrub;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void reset_device(struct gpu *gpu)
{
	reset_begin(gpu, false);
}

void reset_function(struct gpu *gpu)
{
	reset_begin(gpu, true);
}

bool reset_ring(struct gpu *gpu, void (*ring)(struct gpu *gpu, void *arg), void *arg)
{
	struct reset *r = gpu->reset;
	bool on;

	pthread_mutex_lock(&r->door);
	on = atomic_load(&gpu->enabled);
	if (on)
		ring(gpu, arg);
	pthread_mutex_unlock(&r->door);
	return on;
}

void reset_wait(struct gpu *gpu)
{
	struct reset *r = gpu->reset;

	pthread_mutex_lock(&r->lock);
	while (r->state == RESET_STOPPING || r->state == RESET_RESETTING)
		pthread_cond_wait(&r->idle, &r->lock);
	pthread_mutex_unlock(&r->lock);
}
