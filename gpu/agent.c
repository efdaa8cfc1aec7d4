// SPDX-License-Identifier: MIT
/*
 * DOC: Agents
 *
 * An agent is in one of three states: outside, inside (it holds its lock and
 * may use pointers), or stopped (a stopper holds its lock). The lock alone
 * would do for exclusion, but an agent that leaves and enters again at once
 * could win it for ever: mutexes are not fair. So a stopper first raises
 * @kick, and agent_enter() gives the lock back and sleeps while @kick is up.
 * The stopper is then the only other customer of the lock, and gets it after
 * at most one passage of the agent.
 *
 * Several stoppers: each counts in @kick, the lock serves them one after the
 * other, and the agent goes on when the last one has left. Only the owner's
 * thread waits on @quiet. @kick is raised without the lock, because the agent
 * holds it for as long as it has not seen the kick; it is lowered with the
 * lock held, so that the agent's check and its sleep cannot miss it.
 *
 * Lock order: an agent's own thread takes its lock before any other lock of
 * the GPU; it must be outside when it stops other agents, or calls anything
 * that may wait for another agent. Who stops several agents at once takes them
 * in the order of their registration (dma_add_agent()): cores by number, and
 * nothing between two of them is taken twice. Who needs each agent only for a
 * moment stops them one by one and needs no order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

/* These calls fail only on misuse, after which nothing can be trusted. */
static void agent_must(int ret, const char *what)
{
	if (ret) {
		fprintf(stderr, "gsvm-gpu: agent: %s: %s\n", what, strerror(ret));
		abort();
	}
}

void agent_init(struct agent *a)
{
	agent_must(pthread_mutex_init(&a->lock, NULL), "mutex");
	agent_must(pthread_cond_init(&a->quiet, NULL), "condition");
	atomic_init(&a->kick, 0);
}

void agent_destroy(struct agent *a)
{
	agent_must(pthread_cond_destroy(&a->quiet), "condition");
	agent_must(pthread_mutex_destroy(&a->lock), "mutex in use");
}

void agent_enter(struct agent *a)
{
	agent_must(pthread_mutex_lock(&a->lock), "lock");
	while (agent_kicked(a))
		agent_must(pthread_cond_wait(&a->quiet, &a->lock), "wait");
}

void agent_leave(struct agent *a)
{
	agent_must(pthread_mutex_unlock(&a->lock), "unlock");
}

void agent_stop(struct agent *a)
{
	atomic_fetch_add_explicit(&a->kick, 1, memory_order_relaxed);
	agent_must(pthread_mutex_lock(&a->lock), "lock");
}

void agent_continue(struct agent *a)
{
	/* Still under the lock: see the top comment. */
	if (atomic_fetch_sub_explicit(&a->kick, 1, memory_order_relaxed) == 1)
		agent_must(pthread_cond_signal(&a->quiet), "signal");
	agent_must(pthread_mutex_unlock(&a->lock), "unlock");
}
