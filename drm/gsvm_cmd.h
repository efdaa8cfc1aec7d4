/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_CMD_H
#define GSVM_CMD_H

#include <linux/types.h>

struct gsvm_cmd;
struct gsvm_cmdq;
struct gsvm_device;
struct seq_file;

/* Commands that one gsvm_cmd_submit() may carry. */
#define GSVM_CMD_BATCH	64

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
