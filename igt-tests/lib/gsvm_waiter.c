// SPDX-License-Identifier: MIT
/*
 * A thread in WAIT, for the tests that take away what it waits for.
 */
#include "gsvm_waiter.h"

static void waiter_run(void *arg)
{
	struct waiter *w = arg;
	struct drm_gsvm_wait args = {
		.vm_id = w->q->vm, .addr = U(w->signal), .value = 0, .op = DRM_GSVM_WAIT_EQ,
		.timeout_ns = w->deadline ? w->deadline : gsvm_deadline(gsvm_patience_ms()),
		.queue_id = w->queue_id,
	};

	gsvm_poke(&w->begun, 1);
	w->ret = gsvm_ioctl(w->q->fd, DRM_IOCTL_GSVM_WAIT, &args);
	gsvm_poke(&w->done, 1);
}

void waiter_start(struct waiter *w)
{
	gsvm_thread(&w->thread, waiter_run, w);
	gsvm_await(&w->begun, 1, "the waiter's start");
}

int waiter_end(struct waiter *w)
{
	gsvm_thread_join(&w->thread);
	return w->ret;
}
