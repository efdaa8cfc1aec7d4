/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_STREAM_H
#define GSVM_STREAM_H

#include <linux/spinlock.h>
#include <linux/types.h>

#define GSVM_STREAM_LOG2	6

/**
 * struct gsvm_stream - what one thread fetched back last
 * @pid: thread; 0: nobody
 * @next: address behind it
 * @pages: how much
 */
struct gsvm_stream {
	pid_t pid;
	unsigned long next;
	unsigned int pages;
};

/**
 * struct gsvm_stream_table - threads that fetch memory back from VRAM
 * @lock: protects @stream; a leaf
 * @stream: by a hash of the thread; a newer one takes the place of an older one
 */
struct gsvm_stream_table {
	spinlock_t lock;	/* stream */
	struct gsvm_stream stream[1 << GSVM_STREAM_LOG2];
};

void gsvm_stream_init(struct gsvm_stream_table *table);
unsigned int gsvm_stream_window(struct gsvm_stream_table *table, pid_t pid, unsigned long addr);
void gsvm_stream_fetched(struct gsvm_stream_table *table, pid_t pid, unsigned long end,
			 unsigned int pages);

#endif
