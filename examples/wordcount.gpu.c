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

/* The next node of the pool; NULL when it is empty, which the CPU sees by job->used. */
static struct node *take(struct job *job)
{
	uint64_t place = __atomic_fetch_add(&job->used, 1, __ATOMIC_RELAXED);

	return place < job->nodes ? &job->pool[place] : 0;
}

/*
 * Count a word: in its node, or in a new one put in front of the list. A node
 * taken in vain, because another work-item was faster, is @spare for later.
 */
static void count(struct job *job, const char *word, uint32_t length, uint64_t hash,
		  struct node **spare)
{
	struct node **bucket = &job->table[(hash ^ hash >> 32) & (job->buckets - 1)];
	struct node *first = __atomic_load_n(bucket, __ATOMIC_ACQUIRE), *seen = 0, *old;

	for (;;) {
		old = find(first, seen, word, length);
		if (old) {
			__atomic_fetch_add(&old->count, 1, __ATOMIC_RELAXED);
			return;
		}
		if (!*spare && !(*spare = take(job)))
			return;
		**spare = (struct node){ .next = first, .word = word, .length = length, .count = 1 };
		seen = first;
		/* Publish it, unless another work-item was faster: then look at his. */
		if (__atomic_compare_exchange_n(bucket, &first, *spare, 0, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			*spare = 0;
			return;
		}
	}
}

/* Each work-item counts the words that begin in its part of the text. */
GSVM_KERNEL(wordcount, 0)(struct job *job)
{
	const char *end = job->text + job->size;
	const char *c = job->text + gsvm_global_id(0) * job->chunk;
	const char *stop = (uint64_t)(end - c) > job->chunk ? c + job->chunk : end;
	struct node *spare = 0;
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
		count(job, word, (uint32_t)(c - word), hash, &spare);
	}
}
