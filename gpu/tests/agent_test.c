// SPDX-License-Identifier: MIT
/* Agents: exclusion, no starvation of stoppers, overlapping stoppers. */
#include <sched.h>

#include "agent.h"
#include "tap.h"

#define STOPPERS	4
#define ROUNDS		2000

static struct agent agent;
static uint64_t shared[2];	/* plain memory that only the lock protects */
static atomic_bool end;
static atomic_int torn;
static atomic_ullong passages;

/* Leaves and enters again at once, for ever: the greediest agent. */
static void *agent_thread(void *arg)
{
	(void)arg;
	while (!atomic_load(&end)) {
		agent_enter(&agent);
		while (!agent_kicked(&agent) && !atomic_load(&end)) {
			if (shared[0] != shared[1])
				atomic_fetch_add(&torn, 1);
			shared[0]++;
			shared[1]++;
		}
		agent_leave(&agent);
		atomic_fetch_add(&passages, 1);
	}
	return NULL;
}

static void *stopper_thread(void *arg)
{
	uint64_t *own = arg;

	for (int i = 0; i < ROUNDS; i++) {
		agent_stop(&agent);
		uint64_t before = shared[0];

		if (shared[0] != shared[1])
			atomic_fetch_add(&torn, 1);
		shared[0] += 1000;
		shared[1] += 1000;
		if (shared[0] != before + 1000)
			atomic_fetch_add(&torn, 1);
		(*own)++;
		agent_continue(&agent);
	}
	return NULL;
}

/*
 * An agent that leaves because it was kicked, and enters again at once: the
 * stopper comes first, every time.
 */
static atomic_uint asked, served;

static void *asker_thread(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		agent_stop(&agent);
		atomic_fetch_add(&served, 1);
		agent_continue(&agent);
		while (atomic_load(&asked) == i)
			sched_yield();
	}
	return NULL;
}

static void test_order(void)
{
	unsigned int late = 0;
	pthread_t asker;

	agent_enter(&agent);
	tap_need(!pthread_create(&asker, NULL, asker_thread, NULL), "thread");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		while (!agent_kicked(&agent))
			sched_yield();
		agent_leave(&agent);
		agent_enter(&agent);
		late += atomic_load(&served) != i + 1;
		atomic_store(&asked, i + 1);
	}
	agent_leave(&agent);
	pthread_join(asker, NULL);
	tap_eq(late, 0, "a waiting stopper comes before the agent");
}

int main(void)
{
	pthread_t owner, stopper[STOPPERS];
	uint64_t done[STOPPERS] = {0};

	agent_init(&agent);
	tap_ok(!agent_kicked(&agent), "a new agent is not kicked");

	agent_stop(&agent);
	tap_ok(agent_kicked(&agent), "a stopped agent is kicked");
	agent_continue(&agent);
	tap_ok(!agent_kicked(&agent), "continue takes the kick back");

	test_order();

	tap_need(!pthread_create(&owner, NULL, agent_thread, NULL), "thread");
	for (int i = 0; i < STOPPERS; i++)
		tap_need(!pthread_create(&stopper[i], NULL, stopper_thread, &done[i]), "thread");
	for (int i = 0; i < STOPPERS; i++)
		pthread_join(stopper[i], NULL);
	for (int i = 0; i < STOPPERS; i++)
		tap_ok(done[i] == ROUNDS, "stopper %d was served every time", i);

	/* The agent lives on after the last stopper. */
	agent_stop(&agent);
	uint64_t seen = shared[0];
	agent_continue(&agent);
	for (;;) {
		agent_stop(&agent);
		bool moved = shared[0] != seen;
		agent_continue(&agent);
		if (moved)
			break;
		sched_yield();
	}
	tap_ok(true, "the agent goes on after the last stopper");

	atomic_store(&end, true);
	pthread_join(owner, NULL);
	tap_eq(atomic_load(&torn), 0, "agent and stoppers excluded each other");
	tap_ok(atomic_load(&passages) > 0, "the agent came back");
	agent_destroy(&agent);
	return tap_done();
}
