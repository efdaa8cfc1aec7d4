// SPDX-License-Identifier: MIT
/*
 * wordcount FILE: the GPU counts the words of a file.
 *
 * The file is mapped, the hash table is malloc'ed, its nodes point to each
 * other and into the file. The GPU gets one pointer and follows it: nothing is
 * copied, nothing is registered, nothing is converted. Then the CPU walks the
 * table that the GPU built.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "example.h"
#include "wordcount.h"

#define BUCKETS	(1u << 15)
#define CHUNK	512		/* bytes of text per work-item */
#define TOP	8

static const char *map_file(const char *path, uint64_t *size)
{
	struct stat st;
	void *text;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		check(-errno, path);
	if (!st.st_size)
		check(-ENODATA, path);
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		check(-errno, path);
	close(fd);
	*size = (uint64_t)st.st_size;
	return text;
}

static void *allocate(uint64_t number, uint64_t size)
{
	/* Memory that nobody has touched yet: the GPU may be the first. */
	void *memory = calloc(number, size);

	if (!memory)
		check(-ENOMEM, "memory");
	return memory;
}

/* The CPU's own count, in a table of its own, to check the GPU's. */
struct entry {
	const char *word;
	uint32_t length, count;
};

static struct entry *cpu_find(struct entry *table, uint64_t mask, const char *word, uint32_t length)
{
	uint64_t hash = HASH_START, i;

	for (i = 0; i < length; i++)
		hash = hash_letter(hash, word[i]);
	i = hash * 0x9e3779b97f4a7c15ull >> 20 & mask;
	while (table[i].word &&
	       (table[i].length != length || !same_word(table[i].word, word, length)))
		i = (i + 1) & mask;
	return &table[i];
}

static struct entry *cpu_count(const struct job *job, uint64_t *mask, uint64_t *words,
			       uint64_t *different)
{
	struct entry *table, *entry;
	uint64_t start, i = 0;

	for (*mask = 1; *mask < job->size; *mask *= 2)
		;
	table = allocate(*mask, sizeof(*table));
	--*mask;
	for (*words = *different = 0; i < job->size; i++) {
		for (start = i; i < job->size && is_letter(job->text[i]); i++)
			;
		if (i == start)
			continue;
		entry = cpu_find(table, *mask, job->text + start, (uint32_t)(i - start));
		if (!entry->word) {
			entry->word = job->text + start;
			entry->length = (uint32_t)(i - start);
			++*different;
		}
		entry->count++;
		++*words;
	}
	return table;
}

/* Walk the GPU's table: every word must be in the CPU's, as often, and once. */
static bool same_counts(const struct job *job, struct entry *table, uint64_t mask,
			uint64_t different)
{
	const struct node *node;
	struct entry *entry;
	uint64_t i, found = 0;

	for (i = 0; i < job->buckets; i++) {
		for (node = job->table[i]; node; node = node->next) {
			entry = cpu_find(table, mask, node->word, node->length);
			if (!entry->word || entry->count != node->count) {
				fprintf(stderr, "\"%.*s\": %u by the GPU, %u by the CPU\n",
					(int)node->length, node->word, node->count, entry->count);
				return false;
			}
			entry->count = 0;	/* a second node of this word would differ */
			found++;
		}
	}
	if (found != different)
		fprintf(stderr, "%" PRIu64 " words by the GPU, %" PRIu64 " by the CPU\n", found,
			different);
	return found == different;
}

/* The most frequent words, by walking the lists that the GPU linked. */
static void print_top(const struct job *job)
{
	const struct node *top[TOP + 1] = { 0 }, *node;
	uint64_t i;
	int n;

	for (i = 0; i < job->buckets; i++) {
		for (node = job->table[i]; node; node = node->next) {
			for (n = TOP; n && (!top[n - 1] || top[n - 1]->count < node->count); n--)
				top[n] = top[n - 1];
			top[n] = node;
		}
	}
	for (n = 0; n < TOP && top[n]; n++) {
		printf("%12u  ", top[n]->count);
		for (i = 0; i < top[n]->length; i++)
			putchar(top[n]->word[i] | 32);
		putchar('\n');
	}
}

static void print_stats(struct gpu *gpu, uint64_t items, uint64_t different)
{
	struct gsvm_vm_stats stats = { .size = sizeof(stats) };

	check(gsvm_vm_query(gpu->vm, &stats), "statistics");
	printf("%12" PRIu64 "  work-items, %u bytes of text each\n", items, CHUNK);
	printf("%12" PRIu64 "  malloc'ed nodes linked by compare-and-swap\n", different);
	printf("%12" PRIu64 "  GPU page faults, served in %" PRIu64 " batches\n", stats.faults,
	       stats.fault_services);
	printf("%12" PRIu64 "  pages mirrored\n", stats.pages_mapped);
	printf("%12" PRIu64 "  pages moved to the GPU's memory, %" PRIu64 " came back\n",
	       stats.pages_to_vram, stats.pages_to_system);
}

int main(int argc, char **argv)
{
	struct job job = { .chunk = CHUNK, .buckets = BUCKETS };
	uint64_t items, mask, words, different;
	struct entry *table;
	struct gpu gpu;
	double start = seconds(), setup_time, gpu_time, cpu_time;
	bool same;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	job.text = map_file(argv[1], &job.size);
	job.table = allocate(job.buckets, sizeof(*job.table));
	job.nodes = job.size / 2 + 1;	/* more words cannot be */
	job.pool = allocate(job.nodes, sizeof(*job.pool));
	items = (job.size + job.chunk - 1) / job.chunk;
	if (items > UINT32_MAX)
		check(-EFBIG, argv[1]);

	printf("The GPU counts the words of %s, %.1f MB.\n", argv[1], (double)job.size / 1e6);
	printf("It gets one pointer: to a struct on the stack, which points to the mapped\n"
	       "file, to a malloc'ed hash table, and to malloc'ed nodes nobody touched.\n\n");
	open_gpu(&gpu, "wordcount.gpu");
	setup_time = seconds() - start;
	start = seconds();
	run(&gpu, "wordcount", (uint32_t)items, &job);
	gpu_time = seconds() - start;
	if (job.used > job.nodes)
		check(-ENOSPC, "node pool");

	print_top(&job);
	start = seconds();
	table = cpu_count(&job, &mask, &words, &different);
	same = same_counts(&job, table, mask, different);
	cpu_time = seconds() - start;
	printf("\nThe CPU counted too: %s (%" PRIu64 " words, %" PRIu64 " different).\n\n",
	       same ? "every count is the same" : "THE COUNTS DIFFER", words, different);
	print_stats(&gpu, items, different);
	printf("\nTime: set-up %.2f s; GPU %.2f s, page faults included; CPU check %.2f s.\n",
	       setup_time, gpu_time, cpu_time);

	close_gpu(&gpu);
	free(table);
	free(job.pool);
	free(job.table);
	munmap((void *)(uintptr_t)job.text, job.size);
	return same ? 0 : 1;
}
