/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_COPY_H
#define GSVM_COPY_H

#include <linux/sizes.h>
#include <linux/types.h>

struct gsvm_copy;
struct gsvm_copy_engine;
struct gsvm_device;
struct seq_file;

/* Descriptors that one gsvm_copy_submit() may carry. */
#define GSVM_COPY_BATCH		64

/* Bytes of one descriptor. Larger ones would look like a dead engine, gsvm_copy.c. */
#define GSVM_COPY_MAX_LEN	SZ_2M

/**
 * struct gsvm_copy_fence - copies under way, on the submitter's stack or in his object
 * @engine: copy engine they were given to
 * @errors: the engine's count of failed descriptors before the first of them
 * @seq: completion number of the last of them on that engine; 0: nothing submitted
 */
struct gsvm_copy_fence {
	unsigned int engine;
	u32 errors;
	u64 seq;
};

int gsvm_copy_init(struct gsvm_device *gdev);
unsigned int gsvm_copy_engine_pick(struct gsvm_device *gdev);
int gsvm_copy_submit(struct gsvm_device *gdev, struct gsvm_copy_fence *fence,
		     const struct gsvm_copy *desc, unsigned int n);
int gsvm_copy_wait(struct gsvm_device *gdev, const struct gsvm_copy_fence *fence);
struct gsvm_copy_engine *gsvm_copy_engine(struct gsvm_device *gdev, unsigned int id);
void gsvm_copy_irq(struct gsvm_copy_engine *engine);
void gsvm_copy_wake(struct gsvm_device *gdev);
void gsvm_copy_close(struct gsvm_device *gdev);
void gsvm_copy_stop(struct gsvm_device *gdev);
void gsvm_copy_show(struct gsvm_device *gdev, struct seq_file *m);

/* gsvm_copy_selftest.c */
int gsvm_copy_self_test(struct gsvm_device *gdev);

#endif
