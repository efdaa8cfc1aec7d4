// SPDX-License-Identifier: MIT
/*
 * The GPU's part of wordcount: thousands of work-items fill one hash table,
 * with nothing but the pointers that the CPU uses.
 */
#include <gsvm_device.h>

#include "wordcount.h"

/* The node of a word, among those from @node up to @end. */
static struct node *find(struct node *node, const struct node *end, const char *word,
			 uint32_t length)
{
	for (; node != end; node = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE)) {
		if (node->length == length && same_word(node->word, word, length))
			return node;
	}
	return 0;
}

/* Count a word: in its node, or in a new one put in front of the list. */
static void count(struct job *job, const char *word, uint32_t length, uint64_t hash)
{
	struct node **bucket = &job->table[(hash ^ hash >> 32) & (job->buckets - 1)];
	struct node *first = __atomic_load_n(bucket, __ATOMIC_ACQUIRE), *seen = 0, *new = 0, *old;
	uint64_t place;

	for (;;) {
		old = find(first, seen, word, length);
		if (old) {
			/* A node taken in vain just stays unused. */
			__atomic_fetch_add(&old->count, 1, __ATOMIC_RELAXED);
			return;
		}
		if (!new) {
			place = __atomic_fetch_add(&job->used, 1, __ATOMIC_RELAXED);
			if (place >= job->nodes)
				return;		/* the CPU sees it by job->used */
			new = &job->pool[place];
			new->word = word;
			new->length = length;
			new->count = 1;
		}
		new->next = first;
		seen = first;
		/* Publish it, unless another work-item was faster: then look at his. */
		if (__atomic_compare_exchange_n(bucket, &first, new, 0, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return;
	}
}

/* Each work-item counts the words that begin in its part of the text. */
GSVM_KERNEL(wordcount, 0)(struct job *job)
{
	const char *end = job->text + job->size;
	const char *c = job->text + gsvm_global_id(0) * job->chunk;
	const char *stop = (uint64_t)(end - c) > job->chunk ? c + job->chunk : end;
	const char *word;
	uint64_t hash;

	/* The word that reaches over from the part before is counted there. */
	if (c > job->text && is_letter(c[-1])) {
		while (c < stop && is_letter(*c))
			c++;
	}
	while (c < stop) {
		if (!is_letter(*c)) {
			c++;
			continue;
		}
		word = c;
		hash = HASH_START;
		for (; c < end && is_letter(*c); c++)
			hash = hash_letter(hash, *c);
		count(job, word, (uint32_t)(c - word), hash);
	}
}
