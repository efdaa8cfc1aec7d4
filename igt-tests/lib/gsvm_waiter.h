/* SPDX-License-Identifier: MIT */
#ifndef GSVM_WAITER_H
#define GSVM_WAITER_H

#include "gsvm_igt.h"
#include "gsvm_proc.h"

/**
 * struct waiter - a thread in WAIT, until a signal's value is 0
 * @q: whose VM
 * @signal: the signal
 * @queue_id: the queue whose error ends WAIT, or 0
 * @deadline: when it gives up, as of gsvm_deadline(); 0: by gsvm_patience_ms()
 * @begun: 1 when it is about to call WAIT
 * @done: 1 when WAIT has returned
 * @ret: what it gave: 0 or an errno
 *
 * The caller fills in the first four.
 */
struct waiter {
	struct queue *q;
	struct gsvm_signal *signal;
	uint32_t queue_id;
	int64_t deadline;
	uint64_t begun, done;
	int ret;
	struct thread thread;
};

void waiter_start(struct waiter *w);	/* returns when it has begun */
int waiter_end(struct waiter *w);	/* when WAIT has returned: what it gave */

#endif
