// SPDX-License-Identifier: MIT
/*
 * DOC: Commands
 *
 * One thread reads the command ring, checks every field, has the other units
 * do what the commands say, in order, and publishes how far it has come. What
 * the commands mean stands in hw/gsvm_hw.h; what they do, in tlb.c, fault.c and
 * queue.c.
 *
 * The thread sleeps on a semaphore. A doorbell checks the new tail, stores it
 * and posts; the thread takes all posts at once, then looks at the tail, so a
 * tail stored later has a post of its own. It copies up to BATCH commands out of
 * the ring in one go: what the driver's memory holds afterwards makes no
 * difference to a command that was checked.
 *
 * Consecutive invalidations are one batch: each core is stopped once, for all
 * of them. The core is then outside agent_enter(), so it holds no pointer and
 * has no walk under way; what it finds later it finds without the old entries.
 * Cores are stopped one after the other, because no core depends on another's
 * TLB, and the batch completes when the last one has been done.
 *
 * Completion: the head goes out after each batch of invalidations, around each
 * queue command (these can take long, and others wait for what came before),
 * and at the end of what was read. Command interrupts are raised once per
 * publication. A bad command is reported, skipped, and completes like any other,
 * interrupt included: whoever waits for it is not left alone.
 *
 * The tail is bad when it goes backwards or is more than a ring ahead of the
 * completed head; the write is refused with GSVM_ERR_REGISTER. @done is stored
 * before the head is published, so that a driver that has seen the head and
 * fills the ring up to it is never refused.
 *
 * An unreachable ring or status page is fatal: the thread does nothing more
 * until the reset. A reset raises @halt, which the thread looks at between
 * commands, waits until it is not busy, and starts over; @lock protects @busy
 * and everything that reset and thread share, and is not held while working.
 * The TLBs are emptied before the first command after a reset rather than in
 * it, because cores may still run then; without a command no queue runs.
 *
 * Locks: the command unit's agent is held to copy commands, to publish, and for
 * what writes the fault ring, never while a core is stopped or a unit called
 * that might do so. All fields without a comment belong to the thread.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "agent.h"
#include "cmd.h"
#include "core.h"
#include "dma.h"
#include "fault.h"
#include "queue.h"
#include "trace.h"

#define BATCH	64u

struct cmd_unit {
	struct gpu *gpu;
	pthread_t thread;
	struct agent agent;
	sem_t bell;
	_Atomic uint32_t tail;		/* last one accepted; message thread */
	_Atomic uint32_t done;		/* head as published, or about to be */
	atomic_bool poked;		/* fault_report() is due; any thread */
	atomic_bool halt, quit;

	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool busy;			/* lock; idle is signalled when it falls */

	/* The thread's while busy, reset's otherwise. */
	bool dead;			/* fatal error, do nothing until reset */
	bool fresh;			/* TLBs are to be emptied before the next command */
	bool irq;			/* raise GSVM_VEC_CMD with the next publication */
	uint32_t head;			/* commands carried out */
	unsigned int count;		/* commands in @cmd */
	uint64_t read_ns;		/* when they were read */
	struct gsvm_cmd cmd[BATCH];
};

/* Which fields a command uses; the others are zero. */
#define USES_ASID	(1u << 0)
#define USES_QUEUE	(1u << 1)
#define USES_RANGE	(1u << 2)
#define USES_ARG	(1u << 3)	/* 32 bits */
#define USES_RECORD	(1u << 4)	/* start and end, any value */

static const uint8_t cmd_uses[] = {
	[GSVM_CMD_NOP] = 0,
	[GSVM_CMD_INVAL_RANGE] = USES_ASID | USES_RANGE,
	[GSVM_CMD_INVAL_ASID] = USES_ASID,
	[GSVM_CMD_INVAL_ALL] = 0,
	[GSVM_CMD_FAULT_ACK] = USES_ARG,
	[GSVM_CMD_RESUME] = USES_ASID | USES_RANGE,
	[GSVM_CMD_QUEUE_START] = USES_QUEUE,
	[GSVM_CMD_QUEUE_STOP] = USES_QUEUE,
	[GSVM_CMD_QUEUE_CANCEL] = USES_QUEUE | USES_ARG | USES_RECORD,
	[GSVM_CMD_FAULT_REPORT] = USES_ASID | USES_RANGE,
};

static uint32_t cmd_op(const struct gsvm_cmd *cmd)
{
	return cmd->op & GSVM_CMD_OP;
}

static bool range_valid(uint64_t start, uint64_t end)
{
	return !((start | end) & 0xfff) && start < end && end <= 1ull << GSVM_VA_BITS;
}

static bool cmd_valid(const struct gsvm_cmd *cmd)
{
	uint32_t ids = 1;	/* unused: zero */
	uint8_t uses;

	if (cmd->op & ~(GSVM_CMD_OP | GSVM_CMD_IRQ) || cmd_op(cmd) >= sizeof(cmd_uses))
		return false;
	uses = cmd_uses[cmd_op(cmd)];
	if (uses & USES_ASID)
		ids = GPU_NUM_ASIDS;
	if (uses & USES_QUEUE)
		ids = GPU_NUM_QUEUES;
	if (cmd->id >= ids)
		return false;
	if (uses & USES_RANGE ? !range_valid(cmd->start, cmd->end) :
	    !(uses & USES_RECORD) && (cmd->start || cmd->end))
		return false;
	return cmd->arg <= (uses & USES_ARG ? UINT32_MAX : 0);
}

static bool is_inval(const struct gsvm_cmd *cmd)
{
	return cmd_op(cmd) >= GSVM_CMD_INVAL_RANGE && cmd_op(cmd) <= GSVM_CMD_INVAL_ALL &&
	       cmd_valid(cmd);
}

static bool stopping(struct cmd_unit *c)
{
	return c->dead || atomic_load(&c->halt) || atomic_load(&c->quit) ||
	       !atomic_load(&c->gpu->enabled);
}

static void unreachable(struct cmd_unit *c, uint64_t addr)
{
	c->dead = true;
	gpu_fatal(c->gpu, GSVM_ERR_BUS, addr);
}

static void empty_tlbs(struct gpu *gpu)
{
	for (unsigned int i = 0; i < gpu->cfg.num_cores; i++) {
		agent_stop(&gpu->core[i]->agent);
		tlb_reset(&gpu->core[i]->tlb);
		agent_continue(&gpu->core[i]->agent);
	}
}

/* Copy the next commands out of the ring; false when there is nothing to do. */
static bool fetch(struct cmd_unit *c)
{
	uint32_t n = atomic_load_explicit(&c->tail, memory_order_acquire) - c->head;
	uint64_t base = c->gpu->reg.cmd_base & GSVM_BASE_ADDR;
	uint32_t entries = 1u << c->gpu->reg.cmd_log2;
	const struct gsvm_cmd *slot = NULL;
	struct gpu *gpu = c->gpu;
	uint64_t at = base;

	c->count = n < BATCH ? n : BATCH;
	if (!n)
		return false;
	if (c->fresh)
		empty_tlbs(gpu);
	c->fresh = false;

	/* Slot by slot: an IOMMU may have put the ring together from single pages. */
	agent_enter(&c->agent);
	for (unsigned int i = 0; i < c->count; i++) {
		at = base + ((c->head + i) & (entries - 1)) * sizeof(*slot);
		slot = gpu_ptr(gpu, gpu->reg.cmd_base & GSVM_BASE_VRAM, at, sizeof(*slot), false);
		if (!slot)
			break;
		c->cmd[i] = *slot;
	}
	agent_leave(&c->agent);
	if (!slot) {
		unreachable(c, at);
		return false;
	}

	c->read_ns = gpu_time_ns(gpu);
	for (unsigned int i = 0; gpu->cfg.check && i < c->count; i++)
		for (unsigned int k = 0; is_inval(&c->cmd[i]) && k < gpu->cfg.num_cores; k++)
			tlb_check_read(&gpu->core[k]->tlb);
	return true;
}

/* Let the driver see what has been carried out, unless it wants to hear no more. */
static void publish(struct cmd_unit *c)
{
	uint64_t bus = c->gpu->reg.status_base & GSVM_BASE_ADDR;
	struct gsvm_status *status;

	if (stopping(c) || c->head == atomic_load_explicit(&c->done, memory_order_relaxed))
		return;
	agent_enter(&c->agent);
	status = dma_ptr(c->gpu, bus, sizeof(*status), true);
	if (status) {
		atomic_store(&c->done, c->head);
		/* Pairs with the driver's acquire of the head. */
		__atomic_store_n(&status->cmd_head, c->head, __ATOMIC_SEQ_CST);
	}
	agent_leave(&c->agent);
	if (!status) {
		unreachable(c, bus);
		return;
	}
	if (c->irq)
		irq_raise(c->gpu, GSVM_VEC_CMD);
	c->irq = false;
}

static void complete(struct cmd_unit *c, const struct gsvm_cmd *cmd)
{
	c->irq |= !!(cmd->op & GSVM_CMD_IRQ);
	c->head++;
}

static void inval_one(struct tlb *tlb, const struct gsvm_cmd *cmd)
{
	switch (cmd_op(cmd)) {
	case GSVM_CMD_INVAL_RANGE:
		tlb_invalidate_range(tlb, cmd->id, cmd->start, cmd->end);
		break;
	case GSVM_CMD_INVAL_ASID:
		tlb_invalidate_asid(tlb, cmd->id);
		break;
	default:
		tlb_invalidate_all(tlb);
	}
}

/* Enter a completed invalidation into the account that uses are judged by. */
static void inval_check(struct gpu *gpu, const struct gsvm_cmd *cmd)
{
	bool range = cmd_op(cmd) == GSVM_CMD_INVAL_RANGE;
	uint32_t asid = cmd_op(cmd) == GSVM_CMD_INVAL_ALL ? TLB_ANY_ASID : cmd->id;

	for (unsigned int i = 0; i < gpu->cfg.num_cores; i++) {
		struct core *core = gpu->core[i];

		if (!tlb_check_done(&core->tlb, asid, range ? cmd->start : 0,
				    range ? cmd->end : 1ull << GSVM_VA_BITS))
			continue;
		agent_stop(&core->agent);
		tlb_check_sweep(&core->tlb);
		agent_continue(&core->agent);
	}
}

/* Carry out @n invalidations. */
static void inval_batch(struct cmd_unit *c, const struct gsvm_cmd *cmd, unsigned int n)
{
	struct gpu *gpu = c->gpu;

	for (unsigned int i = 0; i < gpu->cfg.num_cores; i++) {
		agent_stop(&gpu->core[i]->agent);
		for (unsigned int k = 0; k < n; k++)
			inval_one(&gpu->core[i]->tlb, &cmd[k]);
		agent_continue(&gpu->core[i]->agent);
	}
	for (unsigned int k = 0; k < n; k++) {
		if (gpu->cfg.check)
			inval_check(gpu, &cmd[k]);
		complete(c, &cmd[k]);
		trace(gpu, "inval", cmd_op(&cmd[k]) == GSVM_CMD_INVAL_ALL ? TRACE_NONE : cmd[k].id,
		      TRACE_NONE, cmd[k].start, cmd[k].end);
	}
	gpu_stat_add(gpu, GSVM_STAT_INVALS, n);
	gpu_stat_add(gpu, GSVM_STAT_INVAL_NS, n * (gpu_time_ns(gpu) - c->read_ns));
	publish(c);
}

/* A queue command; 0 or what queue.h returned. */
static int queue_command(struct cmd_unit *c, const struct gsvm_cmd *cmd)
{
	publish(c);
	if (stopping(c))
		return 0;
	switch (cmd_op(cmd)) {
	case GSVM_CMD_QUEUE_START:
		return queue_start(c->gpu, cmd->id);
	case GSVM_CMD_QUEUE_STOP:
		return queue_stop(c->gpu, cmd->id);
	default:
		/* A record that was resumed since it was written concerns nobody. */
		if (!fault_choose(c->gpu, cmd->id, cmd->start, cmd->end))
			return 0;
		return queue_cancel(c->gpu, cmd->id, (uint32_t)cmd->arg);
	}
}

static void report_faults(struct cmd_unit *c)
{
	agent_enter(&c->agent);
	fault_report(c->gpu);
	agent_leave(&c->agent);
}

/* Anything but a valid invalidation. */
static void other(struct cmd_unit *c, const struct gsvm_cmd *cmd)
{
	bool bad = !cmd_valid(cmd), queue = false, report = false;

	switch (bad ? GSVM_CMD_NOP : cmd_op(cmd)) {
	case GSVM_CMD_FAULT_ACK:
		agent_enter(&c->agent);
		fault_ack(c->gpu, (uint32_t)cmd->arg);
		agent_leave(&c->agent);
		break;
	case GSVM_CMD_RESUME:
		report = fault_resume(c->gpu, cmd->id, cmd->start, cmd->end);
		break;
	case GSVM_CMD_FAULT_REPORT:
		report = fault_undefer(c->gpu, cmd->id, cmd->start, cmd->end);
		break;
	case GSVM_CMD_QUEUE_START:
	case GSVM_CMD_QUEUE_STOP:
	case GSVM_CMD_QUEUE_CANCEL:
		queue = true;
		bad = queue_command(c, cmd) < 0;
		break;
	}
	if (report)
		report_faults(c);
	if (bad)
		gpu_error(c->gpu, GSVM_ERR_COMMAND, c->head);
	complete(c, cmd);
	if (queue)
		publish(c);
}

static void execute(struct cmd_unit *c)
{
	unsigned int i = 0, n;

	while (i < c->count && !stopping(c)) {
		for (n = 0; i + n < c->count && is_inval(&c->cmd[i + n]); n++)
			;
		if (n)
			inval_batch(c, &c->cmd[i], n);
		else
			other(c, &c->cmd[i]);
		i += n ? n : 1;
	}
	publish(c);
}

static void work(struct cmd_unit *c)
{
	while (!stopping(c)) {
		if (atomic_exchange(&c->poked, false))
			report_faults(c);
		if (!fetch(c))
			break;
		execute(c);
	}
}

static void bell_wait(struct cmd_unit *c)
{
	while (sem_wait(&c->bell) && errno == EINTR)
		;
	while (!sem_trywait(&c->bell))
		;
}

static void *cmd_thread(void *arg)
{
	struct cmd_unit *c = arg;

	while (!atomic_load(&c->quit)) {
		bell_wait(c);
		pthread_mutex_lock(&c->lock);
		c->busy = true;
		pthread_mutex_unlock(&c->lock);

		work(c);

		pthread_mutex_lock(&c->lock);
		c->busy = false;
		pthread_cond_broadcast(&c->idle);
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

void cmd_doorbell(struct gpu *gpu, uint32_t tail)
{
	struct cmd_unit *c = gpu->cmd;
	uint32_t entries = 1u << gpu->reg.cmd_log2;
	uint32_t last = atomic_load_explicit(&c->tail, memory_order_relaxed);
	uint32_t limit = atomic_load(&c->done) + entries;

	if (!atomic_load(&gpu->enabled))
		return;
	if (tail - last > limit - last) {
		gpu_error(gpu, GSVM_ERR_REGISTER, GSVM_REG_CMD_TAIL);
		return;
	}
	atomic_store_explicit(&c->tail, tail, memory_order_release);
	sem_post(&c->bell);
}

void cmd_poke(struct gpu *gpu)
{
	atomic_store(&gpu->cmd->poked, true);
	sem_post(&gpu->cmd->bell);
}

void cmd_reset(struct gpu *gpu)
{
	struct cmd_unit *c = gpu->cmd;

	atomic_store(&c->halt, true);
	pthread_mutex_lock(&c->lock);
	while (c->busy)
		pthread_cond_wait(&c->idle, &c->lock);
	c->head = 0;
	atomic_store(&c->tail, 0);
	atomic_store(&c->done, 0);
	atomic_store(&c->poked, false);
	c->dead = false;
	c->fresh = true;
	c->irq = false;
	atomic_store(&c->halt, false);
	pthread_mutex_unlock(&c->lock);
}

int cmd_init(struct gpu *gpu)
{
	struct cmd_unit *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return -ENOMEM;
	c->gpu = gpu;
	c->fresh = true;
	agent_init(&c->agent);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	sem_init(&c->bell, 0, 0);
	gpu->cmd = c;
	dma_add_agent(gpu, &c->agent);
	ret = pthread_create(&c->thread, NULL, cmd_thread, c);
	if (!ret)
		return 0;

	dma_remove_agent(gpu, &c->agent);
	gpu->cmd = NULL;
	sem_destroy(&c->bell);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	agent_destroy(&c->agent);
	free(c);
	return -ret;
}

void cmd_exit(struct gpu *gpu)
{
	struct cmd_unit *c = gpu->cmd;

	if (!c)
		return;
	atomic_store(&c->quit, true);
	sem_post(&c->bell);
	pthread_join(c->thread, NULL);
	dma_remove_agent(gpu, &c->agent);
	gpu->cmd = NULL;
	sem_destroy(&c->bell);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	agent_destroy(&c->agent);
	free(c);
}
