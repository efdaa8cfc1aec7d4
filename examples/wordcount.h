/* SPDX-License-Identifier: MIT */
/* What the CPU and the GPU share: the very same structures, the same pointers. */
#ifndef WORDCOUNT_H
#define WORDCOUNT_H

#include <stddef.h>
#include <stdint.h>

struct node {
	struct node *next;
	const char *word;	/* points into the mapped file */
	uint32_t length;
	uint32_t count;
};

struct job {
	const char *text;	/* the mapped file */
	uint64_t size;
	uint64_t chunk;		/* bytes of text per work-item */
	struct node **table;	/* hash table: lists of nodes */
	uint64_t buckets;	/* a power of two */
	struct node *pool;	/* nodes to take, one after the other */
	uint64_t nodes;		/* in the pool */
	uint64_t used;		/* taken from it */
};

/* A word is a run of ASCII letters; upper and lower case are the same. */
static inline int is_letter(char c)
{
	return (unsigned char)((c | 32) - 'a') < 26;
}

static inline uint64_t hash_letter(uint64_t hash, char c)
{
	return (hash ^ (unsigned char)(c | 32)) * 0x100000001b3ull;
}

#define HASH_START 0xcbf29ce484222325ull

static inline int same_word(const char *a, const char *b, uint32_t length)
{
	uint32_t i;

	for (i = 0; i < length; i++) {
		if ((a[i] ^ b[i]) & ~32)
			return 0;
	}
	return 1;
}

#endif
