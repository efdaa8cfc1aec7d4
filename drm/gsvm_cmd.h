/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_CMD_H
#define GSVM_CMD_H

#include <linux/types.h>

struct gsvm_cmd;
struct gsvm_device;

int gsvm_cmd_init(struct gsvm_device *gdev);
u64 gsvm_cmd_submit(struct gsvm_device *gdev, const struct gsvm_cmd *cmds, unsigned int n);
int gsvm_cmd_wait(struct gsvm_device *gdev, u64 seq);
bool gsvm_cmd_done(struct gsvm_device *gdev, u64 seq);
void gsvm_cmd_irq(struct gsvm_device *gdev);

#endif
