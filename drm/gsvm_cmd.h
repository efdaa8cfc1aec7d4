/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_CMD_H
#define GSVM_CMD_H

#include <linux/bits.h>
#include <linux/limits.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct gsvm_cmd;
struct gsvm_device;
struct seq_file;

/* Commands that one gsvm_cmd_submit() may carry. */
#define GSVM_CMD_BATCH		64

#define GSVM_CMD_LOG2		12
#define GSVM_CMD_ENTRIES	BIT(GSVM_CMD_LOG2)
#define GSVM_CMD_IRQ_STRIDE	(GSVM_CMD_ENTRIES / 4)

/* Completion number of what is not submitted: done only when the ring is stopped. */
#define GSVM_CMD_NEVER		U64_MAX

/**
 * struct gsvm_cmdq - the command ring
 * @lock: protects all that follows, but for @wq, and the order of writes to
 *	the tail register
 * @ring: GSVM_CMD_ENTRIES slots, shared with the device
 * @ring_dma: its bus address
 * @tail: commands ever submitted
 * @head: commands known to be complete, at most @tail
 * @head_changed: when @head last moved, or the ring was last empty, in jiffies
 * @closing: no new commands
 * @stopped: no access to @ring, status page and registers any more
 * @full: submissions that met a full ring
 * @wq: waiters for completion and for room
 */
struct gsvm_cmdq {
	spinlock_t lock;	/* everything below but @wq */
	struct gsvm_cmd *ring;
	dma_addr_t ring_dma;
	u64 tail;
	u64 head;
	unsigned long head_changed;
	bool closing;
	bool stopped;
	u64 full;
	wait_queue_head_t wq;
};

int gsvm_cmd_init(struct gsvm_device *gdev);
u64 gsvm_cmd_submit(struct gsvm_device *gdev, const struct gsvm_cmd *cmds, unsigned int n);
int gsvm_cmd_wait(struct gsvm_device *gdev, u64 seq);
bool gsvm_cmd_done(struct gsvm_device *gdev, u64 seq);
void gsvm_cmd_irq(struct gsvm_device *gdev);
void gsvm_cmd_wake(struct gsvm_device *gdev);
void gsvm_cmd_close(struct gsvm_device *gdev);
void gsvm_cmd_stop(struct gsvm_device *gdev);
void gsvm_cmd_show(struct gsvm_device *gdev, struct seq_file *m);

#endif
