// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Streams
 *
 * How much a CPU's access to a page in VRAM brings back. A thread that looks
 * at one word here and one there wants single pages, and the device wants to
 * keep the others; a thread that reads on wants much at once. The thread
 * itself tells: one whose access begins where the last fetch ended goes on, and
 * gets four times as much as last time, up to a block. Any other access is a
 * new beginning, with one page.
 *
 * A fault service of a GPU is no such thread (gsvm_migrate_to_ram()): it knows which
 * pages it needs back, because they cannot be written in VRAM, and wants no others.
 *
 * The table is a guess and may be wrong: threads that share a slot forget each
 * other. Only speed depends on it.
 */

#include <linux/hash.h>
#include <linux/minmax.h>

#include <kunit/visibility.h>

#include "gsvm_pt.h"
#include "gsvm_stream.h"

#define GSVM_STREAM_GROWTH	4

/**
 * gsvm_stream_init() - start with an empty table
 * @table: table
 */
void gsvm_stream_init(struct gsvm_stream_table *table)
{
	spin_lock_init(&table->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_stream_init);

static struct gsvm_stream *gsvm_stream_slot(struct gsvm_stream_table *table, pid_t pid)
{
	return &table->stream[hash_32(pid, GSVM_STREAM_LOG2)];
}

/**
 * gsvm_stream_window() - how many pages to bring back
 * @table: table
 * @pid: thread that needs a page
 * @addr: address of the page
 *
 * Return: pages from @addr on, 1..GSVM_BLOCK_PAGES.
 */
unsigned int gsvm_stream_window(struct gsvm_stream_table *table, pid_t pid, unsigned long addr)
{
	struct gsvm_stream *stream = gsvm_stream_slot(table, pid);
	unsigned int pages = 1;

	spin_lock(&table->lock);
	if (stream->pid == pid && stream->next == addr)
		pages = min(stream->pages * GSVM_STREAM_GROWTH, GSVM_BLOCK_PAGES);
	spin_unlock(&table->lock);
	return pages;
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_stream_window);

/**
 * gsvm_stream_fetched() - note what was brought back
 * @table: table
 * @pid: thread
 * @end: address behind it
 * @pages: pages that were asked for
 */
void gsvm_stream_fetched(struct gsvm_stream_table *table, pid_t pid, unsigned long end,
			 unsigned int pages)
{
	struct gsvm_stream *stream = gsvm_stream_slot(table, pid);

	spin_lock(&table->lock);
	stream->pid = pid;
	stream->next = end;
	stream->pages = max(pages, 1u);
	spin_unlock(&table->lock);
}
EXPORT_SYMBOL_IF_KUNIT(gsvm_stream_fetched);
