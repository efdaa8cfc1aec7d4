// SPDX-License-Identifier: MIT
/* Bus windows: look-up, files, many of them, readers beside a writer, messages. */
#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "dma.h"
#include "tap.h"

#define PAGE	4096ull

static int make_file(uint64_t size)
{
	int fd = memfd_create("dma-test", MFD_CLOEXEC);

	tap_need(fd >= 0 && !ftruncate(fd, size), "memfd");
	return fd;
}

/* How often the test's file is mapped in this process. */
static int count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	tap_need(f, "/proc/self/maps");
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:dma-test") != NULL;
	fclose(f);
	return n;
}

static void test_windows(struct gpu *gpu)
{
	int fd = make_file(16 * PAGE), empty = make_file(0), event = eventfd(0, EFD_CLOEXEC);
	uint64_t top = -(uint64_t)PAGE;
	char *p, *q;

	tap_eq(dma_map(gpu, 0x1000, 0, true, true, fd, 0), (uint64_t)-EINVAL, "empty window");
	tap_eq(dma_map(gpu, top, 2 * PAGE, true, true, fd, 0), (uint64_t)-EINVAL, "wraps");
	tap_eq(dma_map(gpu, 0, 17 * PAGE, true, true, fd, 0), (uint64_t)-EINVAL, "leaves the file");
	tap_eq(dma_map(gpu, 0, PAGE, true, true, fd, 16 * PAGE), (uint64_t)-EINVAL,
	       "begins at the file's end");
	tap_eq(dma_map(gpu, 0, PAGE, true, true, fd, -PAGE), (uint64_t)-EINVAL, "offset wraps");
	tap_eq(dma_map(gpu, 0, PAGE, true, true, empty, 0), (uint64_t)-EINVAL, "empty file");
	tap_ok(dma_map(gpu, 0, PAGE, true, true, event, 0) < 0, "an eventfd is no memory");
	tap_eq(count_mappings(), 0, "nothing stays mapped after errors");

	tap_eq(dma_map(gpu, 0x10000, 4 * PAGE, true, true, fd, PAGE), 0, "map");
	tap_eq(dma_map(gpu, 0x20000, 4 * PAGE, true, false, fd, 8 * PAGE), 0, "map read-only");
	tap_eq(dma_map(gpu, top, PAGE, true, true, fd, 0), 0, "map the last page");
	tap_eq(dma_map(gpu, 0x30000, PAGE, true, true, -1, 0), 0, "map without a file");
	tap_eq(count_mappings(), 1, "one file is mapped once");
	static const struct { uint64_t at, size; } over[] = {
		{ 0x10000, PAGE }, { 0x0f000, 2 * PAGE }, { 0x13000, 2 * PAGE },
		{ 0x0f000, 0x10000 }, { 0, -1 }, { 0x30fff, 1 },
	};
	for (unsigned int i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		tap_ok(dma_map(gpu, over[i].at, over[i].size, true, true, -1, 0) == -EEXIST,
		       "overlap %u", i);

	p = dma_ptr(gpu, 0x10000, 4 * PAGE, true);
	tap_ok(p != NULL, "look-up of a whole window");
	tap_ok(dma_ptr(gpu, 0x10000, 4 * PAGE + 1, false) == NULL, "one byte too long");
	tap_ok(dma_ptr(gpu, 0xffff, 1, false) == NULL, "one byte before");
	tap_ok(dma_ptr(gpu, 0x14000, 1, false) == NULL, "one byte behind");
	tap_ok(dma_ptr(gpu, 0x13fff, 1, false) == p + 0x3fff, "the last byte");
	tap_ok(dma_ptr(gpu, 0x10000, 0, false) == NULL, "nothing");
	tap_ok(dma_ptr(gpu, 0x20000, 1, false) != NULL, "read-only: read");
	tap_ok(dma_ptr(gpu, 0x20000, 1, true) == NULL, "read-only: write");
	tap_ok(dma_ptr(gpu, ~0ull, 1, false) != NULL, "the very last byte");
	tap_ok(dma_ptr(gpu, 0x30000, 1, false) == NULL, "no file, no pointer");
	strcpy(p, "hello");
	q = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	tap_need(q != MAP_FAILED, "mmap");
	tap_ok(!strcmp(q + PAGE, "hello"), "the window leads to its offset in the file");
	munmap(q, 16 * PAGE);

	uint64_t gen = dma_generation(gpu);
	tap_eq(dma_unmap(gpu, 0x11000, PAGE), (uint64_t)-EINVAL, "unmapping a middle");
	tap_eq(dma_unmap(gpu, 0x0f000, 2 * PAGE), (uint64_t)-EINVAL, "a head");
	tap_eq(dma_unmap(gpu, 0x13000, 8 * PAGE), (uint64_t)-EINVAL, "a tail");
	tap_eq(dma_unmap(gpu, 0x10000, 0), (uint64_t)-EINVAL, "nothing");
	tap_eq(dma_unmap(gpu, top, 2 * PAGE), (uint64_t)-EINVAL, "beyond the end");
	tap_eq(dma_unmap(gpu, 0x40000, PAGE), 0, "an unknown range is fine");
	tap_eq(dma_unmap(gpu, 0x40000, 1ull << 62), 0, "a huge one too");
	tap_eq(dma_generation(gpu), gen, "no window went away so far");
	tap_eq(dma_unmap(gpu, 0x10000, 4 * PAGE), 0, "unmap");
	tap_ok(dma_generation(gpu) != gen, "the generation tells");
	tap_ok(dma_ptr(gpu, 0x10000, 1, false) == NULL, "it is gone");
	tap_ok(dma_ptr(gpu, 0x20000, 1, false) != NULL, "the others stay");
	tap_eq(dma_unmap(gpu, 0, 1ull << 63), 0, "the lower half of everything");
	tap_ok(dma_ptr(gpu, 0x20000, 1, false) == NULL, "gone");
	tap_eq(count_mappings(), 1, "the last page still needs the file");
	tap_eq(dma_unmap(gpu, 1ull << 63, 1ull << 63), 0, "the upper half of everything");
	tap_eq(count_mappings(), 0, "nobody needs the file any more");
	close(fd);
	close(empty);
	close(event);
}

/* Blocking: no pointer, several reasons, and the generation tells. */
static void test_block(struct gpu *gpu)
{
	char memory[64];
	uint64_t gen = dma_generation(gpu);
	uint64_t word = 1;

	dma_map_host(gpu, 0x1000, sizeof(memory), true, true, memory);
	dma_block(gpu, DMA_OFF_MASTER);
	tap_ok(dma_generation(gpu) != gen, "blocking changes the generation");
	dma_block(gpu, DMA_OFF_RESET);
	tap_ok(dma_ptr(gpu, 0x1000, 1, false) == NULL, "blocked: no pointer");
	tap_eq(dma_write(gpu, 0x1000, &word, 8), (uint64_t)-EFAULT, "blocked: no write");
	dma_unblock(gpu, DMA_OFF_MASTER);
	tap_ok(dma_ptr(gpu, 0x1000, 1, false) == NULL, "another reason still stands");
	dma_unblock(gpu, DMA_OFF_RESET);
	tap_ok(dma_ptr(gpu, 0x1000, 1, false) == memory, "unblocked");
	dma_unmap_all(gpu);
}

/* ---- Many windows ------------------------------------------------------------ */

#define MANY	100000u

/* A permutation of 0 .. MANY - 1: odd multiplier without common factor. */
static uint64_t scatter(uint64_t i)
{
	return i * 61681 % MANY;
}

static void test_many(struct gpu *gpu)
{
	int fd = make_file(MANY * PAGE);
	unsigned int wrong = 0;

	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t n = scatter(i);

		wrong += dma_map(gpu, 2 * n * PAGE, PAGE, true, true, fd, n * PAGE) != 0;
	}
	tap_eq(wrong, 0, "100000 windows, in no order");
	char *base = dma_ptr(gpu, 0, 1, false);
	for (uint64_t n = 0; n < MANY; n++) {
		wrong += dma_ptr(gpu, 2 * n * PAGE + 5, 1, true) != base + n * PAGE + 5;
		wrong += dma_ptr(gpu, (2 * n + 1) * PAGE, 1, true) != NULL;
	}
	tap_eq(wrong, 0, "each is found, each gap is not");
	tap_eq(count_mappings(), 1, "the file is mapped once");
	tap_eq(dma_unmap(gpu, MANY * PAGE, MANY * PAGE), 0, "half of them in one go");
	for (uint64_t n = 0; n < MANY; n++)
		wrong += (dma_ptr(gpu, 2 * n * PAGE, 1, true) != NULL) != (n < MANY / 2);
	tap_eq(wrong, 0, "exactly those");
	for (uint64_t i = 0; i < MANY; i++)
		if (scatter(i) < MANY / 2)
			wrong += dma_unmap(gpu, 2 * scatter(i) * PAGE, PAGE) != 0;
	tap_eq(wrong, 0, "the others one by one");
	tap_eq(count_mappings(), 0, "and the file with the last");
	close(fd);
}

/* ---- Readers beside a writer --------------------------------------------------- */

#define SLOTS	64u

struct slot {
	_Atomic uint64_t tag;	/* the bus address it is mapped at; 0: none */
	char pad[PAGE - 8];
};

static struct slot slots[SLOTS];
static atomic_bool end;
static atomic_uint stale, hits;

struct reader {
	struct gpu *gpu;
	struct agent agent;
	pthread_t thread;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	uint64_t random = (uintptr_t)r;

	while (!atomic_load(&end)) {
		agent_enter(&r->agent);
		uint64_t gen = dma_generation(r->gpu);

		for (int i = 0; i < 200 && !agent_kicked(&r->agent); i++) {
			uint64_t bus = (1 + tap_random(&random) % SLOTS) * PAGE;
			_Atomic uint64_t *tag = dma_ptr(r->gpu, bus, 8, true);

			if (!tag)
				continue;
			if (atomic_load_explicit(tag, memory_order_relaxed) != bus)
				atomic_fetch_add(&stale, 1);
			atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
		}
		if (dma_generation(r->gpu) != gen)
			atomic_fetch_add(&stale, 1);
		agent_leave(&r->agent);
	}
	return NULL;
}

static void test_readers(struct gpu *gpu)
{
	struct reader reader[3];
	bool mapped[SLOTS] = {0};
	uint64_t random = 7;

	for (int i = 0; i < 3; i++) {
		reader[i].gpu = gpu;
		agent_init(&reader[i].agent);
		dma_add_agent(gpu, &reader[i].agent);
		tap_need(!pthread_create(&reader[i].thread, NULL, reader_thread, &reader[i]),
			 "thread");
	}
	for (int i = 0; i < 20000 || (!atomic_load(&hits) && i < 1000000); i++) {
		unsigned int n = tap_random(&random) % SLOTS;
		uint64_t bus = (1 + n) * PAGE;

		if (i % 16 == 15) {
			dma_block(gpu, DMA_OFF_MASTER);
			for (unsigned int k = 0; k < SLOTS; k++)
				atomic_store_explicit(&slots[k].tag, 0, memory_order_relaxed);
			for (unsigned int k = 0; k < SLOTS; k++)
				atomic_store_explicit(&slots[k].tag, mapped[k] ? (1 + k) * PAGE : 0,
						      memory_order_relaxed);
			dma_unblock(gpu, DMA_OFF_MASTER);
		} else if (mapped[n]) {
			dma_unmap(gpu, bus, PAGE);
			/* Nobody may see this any more. */
			atomic_store_explicit(&slots[n].tag, 0, memory_order_relaxed);
			mapped[n] = false;
		} else {
			atomic_store_explicit(&slots[n].tag, bus, memory_order_relaxed);
			dma_map_host(gpu, bus, PAGE, true, true, &slots[n]);
			mapped[n] = true;
		}
	}
	atomic_store(&end, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(reader[i].thread, NULL);
		dma_remove_agent(gpu, &reader[i].agent);
		agent_destroy(&reader[i].agent);
	}
	dma_unmap_all(gpu);
	tap_eq(atomic_load(&stale), 0, "no reader saw a window after it was unmapped or blocked");
	tap_ok(atomic_load(&hits) > 0, "readers did read");
}

/* ---- Messages ------------------------------------------------------------------ */

#define FAR	0x900000000ull	/* where the client has no memory */

struct asker {
	struct client *c;
	int ret;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	uint64_t word;

	a->ret = dma_read(a->c->gpu, CLIENT_BUS, &word, sizeof(word));
	return NULL;
}

static void set_flag(struct client *c, bool *flag, bool value)
{
	pthread_mutex_lock(&c->lock);
	*flag = value;
	pthread_mutex_unlock(&c->lock);
}

static unsigned int requests(struct client *c)
{
	unsigned int n;

	pthread_mutex_lock(&c->lock);
	n = c->dma_requests;
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* One thread waits for an answer that never comes; @wake must free it. */
static void test_waiting(struct client *c, const char *name, void (*wake)(struct client *c))
{
	struct asker asker = { .c = c };
	unsigned int before = requests(c);
	pthread_t thread;

	set_flag(c, &c->ignore_dma, true);
	tap_need(!pthread_create(&thread, NULL, ask, &asker), "thread");
	while (requests(c) == before)
		sched_yield();
	wake(c);
	pthread_join(thread, NULL);
	tap_ok(asker.ret == -EFAULT, "%s ends the wait for an answer", name);
	set_flag(c, &c->ignore_dma, false);
}

static void wake_by_master(struct client *c)
{
	client_config_write(c, 4, 2, 2);
	client_config_write(c, 4, 6, 2);
}

static void wake_by_reset(struct client *c)
{
	client_reset(c);
}

static void wake_by_hangup(struct client *c)
{
	tap_eq(client_stop(c), 0, "the server ends");
}

/* client_stop() frees the client, so the last one does without the flag. */
static void test_hangup(struct client *c)
{
	struct asker asker = { .c = c };
	unsigned int before = requests(c);
	pthread_t thread;

	set_flag(c, &c->ignore_dma, true);
	tap_need(!pthread_create(&thread, NULL, ask, &asker), "thread");
	while (requests(c) == before)
		sched_yield();
	shutdown(c->sock, SHUT_RDWR);
	pthread_join(thread, NULL);
	tap_ok(asker.ret == -EFAULT, "a client that closes ends the wait for an answer");
	wake_by_hangup(c);
}

static void test_messages(void)
{
	struct client *c = client_start(NULL);
	static uint8_t out[3 << 20], in[3 << 20];
	uint64_t random = 3;

	for (size_t i = 0; i < sizeof(out); i += 8) {
		uint64_t word = tap_random(&random);

		memcpy(out + i, &word, 8);
	}
	tap_eq(dma_write(c->gpu, CLIENT_BUS + 123, out, 1000), 0, "mapped write");
	tap_eq(dma_read(c->gpu, CLIENT_BUS + 123, in, 1000), 0, "mapped read");
	tap_ok(!memcmp(in, out, 1000) && !memcmp(c->mem + 123, out, 1000), "the same data");
	tap_eq(requests(c), 0, "no message was needed");

	/* The same memory once more, now without a descriptor. */
	tap_eq(client_unmap(c, CLIENT_BUS, CLIENT_MEM), 0, "unmap");
	tap_eq(client_map(c, CLIENT_BUS, CLIENT_MEM, VU_DMA_MAP_READ | VU_DMA_MAP_WRITE, -1, 0),
	       0, "map without a descriptor");
	tap_eq(dma_write(c->gpu, CLIENT_BUS + 4097, out, sizeof(out)), 0, "write 3 MiB by message");
	tap_ok(!memcmp(c->mem + 4097, out, sizeof(out)), "the data came over");
	tap_eq(dma_read(c->gpu, CLIENT_BUS + 4097, in, sizeof(in)), 0, "read it back");
	tap_ok(!memcmp(in, out, sizeof(in)), "the same data");
	tap_ok(requests(c) >= 6, "in pieces of at most 1 MiB");
	tap_eq(dma_read(c->gpu, CLIENT_BUS + CLIENT_MEM - 4, in, 8), (uint64_t)-EFAULT,
	       "beyond the window");
	tap_eq(dma_read(c->gpu, FAR, in, 8), (uint64_t)-EFAULT, "no window");
	client_map(c, FAR, PAGE, VU_DMA_MAP_READ, -1, 0);
	tap_eq(dma_read(c->gpu, FAR, in, 8), (uint64_t)-EFAULT, "the client says no");
	tap_eq(dma_write(c->gpu, FAR, in, 8), (uint64_t)-EFAULT, "a read-only window");
	set_flag(c, &c->refuse_dma, true);
	tap_eq(dma_read(c->gpu, CLIENT_BUS, in, 8), (uint64_t)-EFAULT, "refused");
	set_flag(c, &c->refuse_dma, false);

	test_waiting(c, "bus master off", wake_by_master);
	test_waiting(c, "reset", wake_by_reset);
	tap_eq(dma_read(c->gpu, CLIENT_BUS, in, 8), 0, "messages work again");
	test_hangup(c);
}

/* A window over the device's own VRAM leads there directly. */
static void test_own_vram(void)
{
	struct client *c = client_start(NULL);
	uint64_t bar = 0x800000000ull, word = 42;

	client_config_write(c, 0x18, (uint32_t)bar, 4);
	client_config_write(c, 0x1c, bar >> 32, 4);
	tap_eq(client_map(c, bar, c->vram_size, VU_DMA_MAP_READ | VU_DMA_MAP_WRITE, -1, 0), 0,
	       "map the own BAR");
	tap_eq(dma_write(c->gpu, bar + 0x12340, &word, 8), 0, "write");
	tap_ok(!memcmp(c->vram + 0x12340, &word, 8), "VRAM has it");
	tap_eq(requests(c), 0, "without a message");
	client_stop(c);
}

int main(void)
{
	struct gpu gpu = {0};

	tap_need(!dma_init(&gpu), "dma_init");
	test_windows(&gpu);
	test_block(&gpu);
	test_many(&gpu);
	test_readers(&gpu);
	dma_exit(&gpu);
	test_messages();
	test_own_vram();
	return tap_done();
}
