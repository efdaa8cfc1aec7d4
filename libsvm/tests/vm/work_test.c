// SPDX-License-Identifier: MIT
/* The library on a GPU: work that goes well. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "vm.h"

static void test_device(void)
{
	struct gsvm_device_info info = { .size = sizeof(info) };
	struct gsvm_device *device = NULL, *again = NULL;
	char path[64] = "";
	uint64_t before = 0, after = 0;

	ok(gsvm_device_count() >= 1, "%d GPUs", gsvm_device_count());
	is(gsvm_device_path(0, path, sizeof(path)), 0, "path of the first");
	is(gsvm_device_path(0, path, 4), -ENAMETOOLONG, "path: buffer too small");
	is(gsvm_device_open(path, &device), 0, "open by path");
	is(gsvm_device_open_fd(gsvm_device_fd(device), &again), 0, "open by descriptor");
	ok(gsvm_device_fd(device) != gsvm_device_fd(again) &&
	   fcntl(gsvm_device_fd(again), F_GETFD) == FD_CLOEXEC, "a descriptor of its own");
	is(gsvm_device_close(device), 0, "close the first");
	is(gsvm_device_query(again, &info), 0, "query the second");
	ok(info.va_bits == 48 && info.num_cores >= 1 && info.max_group >= 64 &&
	   info.group_memory >= 4096 && info.private_memory >= 1024 && info.vram_size >= 64 << 20,
	   "%u cores, %llu MiB", info.num_cores, (unsigned long long)info.vram_size >> 20);
	is(gsvm_device_time(again, &before), 0, "time");
	gsvm_device_time(again, &after);
	ok(after > before, "time goes on");
	is(gsvm_device_close(again), 0, "close the second");
}

static void test_arguments(struct gpu *gpu)
{
	struct gsvm_grid grid = { .items = { 1000 } };
	uint64_t on_stack = 7, *on_heap = calloc(1, sizeof(*on_heap)), *counter = NULL, before;
	struct add add = { .target = &on_stack, .amount = 3 };
	struct gsvm_args args = { 0 };
	void *address = NULL;

	is(gsvm_program_symbol(gpu->program, "shared_counter", &address, NULL), 0,
	   "find a variable");
	counter = address;
	before = counter ? *counter : 0;
	is(before, 5, "its initial value");
	is(dispatch(gpu, "add", &grid, &add, NULL), 0, "dispatch");
	is(gsvm_queue_finish(gpu->queue, LONG), 0, "finish");
	is(on_stack, 3007, "the GPU wrote to the stack");
	is(counter ? *counter : 0, before + 1000, "and to its program's variable");
	gsvm_args_pointer(&args, on_heap);
	gsvm_args_int(&args, -3);
	gsvm_args_long(&args, 1ll << 33);
	is(dispatch(gpu, "add3", &grid, args.word, NULL), 0,
	   "dispatch with arguments in registers");
	is(gsvm_queue_finish(gpu->queue, LONG), 0, "finish");
	is((int64_t)*on_heap, -3000 * (1ll << 33), "the GPU wrote to the heap");
	free(on_heap);
}

static void test_grid(struct gpu *gpu, struct gsvm_grid grid)
{
	uint64_t n = 1, i, wrong = 0;
	struct place place = { .width = grid.items[0], .height = grid.items[1] ?: 1 };

	for (i = 0; i < 3; i++)
		n *= grid.items[i] ?: 1;
	place.visits = calloc(n, sizeof(*place.visits));
	is(dispatch(gpu, "place", &grid, &place, NULL), 0, "dispatch a grid");
	is(gsvm_queue_finish(gpu->queue, LONG), 0, "finish");
	for (i = 0; i < n; i++)
		wrong += place.visits[i] != 1;
	ok(!wrong && !place.wrong, "%llu work-items, each once, at its place",
	   (unsigned long long)n);
	free(place.visits);
}

static void test_groups(struct gpu *gpu)
{
	struct gsvm_grid grid = { .items = { 6400 }, .group = { 64 } };
	struct sums sums = { 0 };
	uint64_t *values = malloc(6400 * sizeof(*values)), wrong = 0, i;

	for (i = 0; i < 6400; i++)
		values[i] = i * i;
	sums.values = values;
	sums.sum = calloc(100, sizeof(*sums.sum));
	is(dispatch(gpu, "sums", &grid, &sums, NULL), 0, "dispatch work-groups");
	is(gsvm_queue_finish(gpu->queue, LONG), 0, "finish");
	for (i = 0; i < 6400; i++)
		sums.sum[i / 64] -= values[i];
	for (i = 0; i < 100; i++)
		wrong += sums.sum[i] != 0;
	is(wrong, 0, "100 groups, each with memory of its own");
	free(values);
	free(sums.sum);
}

static void test_list(struct gpu *gpu)
{
	struct gsvm_grid grid = { .items = { 1 } };
	struct walk walk = { 0 };
	struct list *item;
	uint64_t i;

	for (i = 0; i < 3000; i++) {
		item = malloc(sizeof(*item) + i % 200);
		item->next = walk.head;
		item->value = i;
		walk.head = item;
	}
	is(dispatch(gpu, "walk", &grid, &walk, NULL), 0, "dispatch a walk along a list");
	is(gsvm_queue_finish(gpu->queue, LONG), 0, "finish");
	ok(walk.count == 3000 && walk.sum == 2999ull * 3000 / 2, "every item");
	while ((item = walk.head)) {
		walk.head = item->next;
		free(item);
	}
}

static void test_copy_fill(struct gpu *gpu)
{
	const size_t size = 5000000;
	unsigned char *source = malloc(size), *target = malloc(size);
	struct gsvm_signal *signal = NULL;
	uint64_t start = 0, end = 0, i, wrong = 0;

	for (i = 0; i < size; i++)
		source[i] = (unsigned char)(i * 7 + (i >> 12));
	gsvm_signal_create(2, &signal);
	is(gsvm_queue_fill(gpu->queue, target, 0x1122334455667788, size, signal,
			   GSVM_SUBMIT_MORE), 0, "fill");
	is(gsvm_queue_copy(gpu->queue, target + 13, source + 5, size - 100, signal,
			   GSVM_SUBMIT_BARRIER), 0, "copy");
	is(gsvm_signal_wait(signal, gpu->queue, GSVM_EQUAL, 0, LONG), 0, "wait for both");
	ok(!memcmp(target + 13, source + 5, size - 100), "the copied bytes");
	for (i = size - 87; i < size; i++)
		wrong += target[i] != 0x88 - 0x11 * (i % 8);
	is(wrong, 0, "the filled bytes");
	gsvm_signal_times(signal, &start, &end);
	ok(start && end > start, "it took %llu us", (unsigned long long)(end - start) / 1000);
	gsvm_signal_destroy(signal);
	free(source);
	free(target);
}

/* A small ring, thousands of packets: room is waited for again and again. */
static void test_wrap(struct gpu *gpu)
{
	struct gsvm_queue_options options = { .size = sizeof(options), .ring_packets = 16 };
	struct gsvm_queue *queue = NULL;
	uint64_t word = 0, i, failed = 0;

	is(gsvm_queue_create(gpu->vm, &options, &queue), 0, "a small ring");
	for (i = 0; i < 3000; i++)
		failed += gsvm_queue_fill(queue, &word, i, 8, NULL, GSVM_SUBMIT_BARRIER |
					  (i % 5 ? GSVM_SUBMIT_MORE : 0)) != 0;
	is(failed, 0, "3000 packets");
	is(gsvm_queue_finish(queue, LONG), 0, "finish");
	is(word, 2999, "in order");
	is(gsvm_queue_destroy(queue), 0, "destroy");
}

/* A barrier that the CPU opens holds the ring up. */
static void test_full(struct gpu *gpu)
{
	struct gsvm_queue_options options = { .size = sizeof(options), .ring_packets = 64 };
	struct gsvm_signal *gate = NULL, *other = NULL, *deps[2];
	struct gsvm_queue *queue = NULL;
	uint64_t word = 0;
	unsigned int n = 0;
	int ret;

	gsvm_signal_create(1, &gate);
	gsvm_signal_create(1, &other);
	deps[0] = gate;
	deps[1] = other;
	is(gsvm_queue_create(gpu->vm, &options, &queue), 0, "another queue");
	is(gsvm_queue_barrier(queue, deps, 2, NULL, GSVM_SUBMIT_ANY), 0, "either of two gates");
	do {
		ret = gsvm_queue_fill(queue, &word, ++n, 8, NULL,
				      GSVM_SUBMIT_NONBLOCK | GSVM_SUBMIT_BARRIER);
	} while (!ret && n < 1000);
	is(ret, -EAGAIN, "full at last");
	ok(n >= 58 && n <= 64, "after %u packets", n);
	is(gsvm_queue_finish(queue, SECOND / 50), -ETIME, "not finished");
	is(word, 0, "nothing ran");
	gsvm_signal_set(gate, 0);
	is(gsvm_queue_finish(queue, LONG), 0, "the gate is open");
	is(word, n - 1, "everything ran");
	gsvm_signal_set(gate, 1);
	is(gsvm_queue_barrier(queue, deps, 2, NULL, 0), 0, "both gates");
	gsvm_signal_set(gate, 0);
	is(gsvm_queue_finish(queue, SECOND / 50), -ETIME, "one is not enough");
	/* The GPU opens the other one. */
	is(gsvm_queue_fill(gpu->queue, &word, 77, 8, other, 0), 0, "another queue opens it");
	is(gsvm_queue_finish(queue, LONG), 0, "both are");
	is(gsvm_queue_destroy(queue), 0, "destroy");
	gsvm_signal_destroy(gate);
	gsvm_signal_destroy(other);
}

struct producer {
	struct gpu *gpu;
	uint64_t count;
	int failed;
};

static void *produce(void *arg)
{
	struct gsvm_grid grid = { .items = { 10 } };
	struct producer *p = arg;
	struct add add = { .target = &p->count, .amount = 1 };
	struct gsvm_signal *signal = NULL;
	int i;

	gsvm_signal_create(200, &signal);
	for (i = 0; i < 200; i++)
		p->failed += dispatch(p->gpu, "add", &grid, &add, signal) != 0;
	p->failed += gsvm_signal_wait(signal, p->gpu->queue, GSVM_EQUAL, 0, LONG) != 0;
	gsvm_signal_destroy(signal);
	return NULL;
}

static void test_threads(struct gpu *gpu)
{
	struct producer p[4];
	pthread_t thread[4];
	int i;

	for (i = 0; i < 4; i++) {
		p[i] = (struct producer){ .gpu = gpu };
		pthread_create(&thread[i], NULL, produce, &p[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		ok(!p[i].failed && p[i].count == 2000, "thread %d: 200 dispatches", i);
	}
}

/* The child may not use the queue; the parent may, before, during and after. */
static void test_fork(struct gpu *gpu)
{
	struct gsvm_grid grid = { .items = { 100 } };
	uint64_t word = 0;
	struct add add = { .target = &word, .amount = 1 };
	int status = -1;
	pid_t pid;

	dispatch(gpu, "add", &grid, &add, NULL);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(dispatch(gpu, "add", &grid, &add, NULL) != -EPERM ||
		      gsvm_queue_destroy(gpu->queue) || gsvm_vm_destroy(gpu->vm) ||
		      gsvm_device_close(gpu->device));
	is(dispatch(gpu, "add", &grid, &add, NULL), 0, "fork: the parent goes on");
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && !WEXITSTATUS(status), "fork: the child may not");
	is(dispatch(gpu, "add", &grid, &add, NULL), 0, "fork: and after the child's end");
	is(gsvm_queue_finish(gpu->queue, LONG), 0, "fork: finish");
	is(word, 300, "fork: the parent's memory");
}

static void test_stats(struct gpu *gpu)
{
	struct gsvm_vm_stats stats = { .size = sizeof(stats) };

	is(gsvm_vm_query(gpu->vm, &stats), 0, "statistics");
	ok(stats.faults && stats.fault_services && stats.pages_mapped >= stats.pages_now &&
	   stats.pages_now && stats.metadata_bytes && !stats.faults_failed,
	   "%llu faults, %llu pages", (unsigned long long)stats.faults,
	   (unsigned long long)stats.pages_mapped);
	ok(stats.bytes_migrated && stats.bytes_migrated % 4096 == 0,
	   "%llu bytes went to VRAM or came back", (unsigned long long)stats.bytes_migrated);
}

int main(void)
{
	struct gpu gpu;

	test_device();
	if (!gpu_open(&gpu, NULL))
		return tap_done();
	test_arguments(&gpu);
	test_grid(&gpu, (struct gsvm_grid){ .items = { 100003 } });
	test_grid(&gpu, (struct gsvm_grid){ .items = { 101, 67 }, .group = { 16, 8 } });
	test_grid(&gpu, (struct gsvm_grid){ .items = { 19, 17, 13 }, .group = { 4, 5, 3 } });
	test_groups(&gpu);
	test_list(&gpu);
	test_copy_fill(&gpu);
	test_wrap(&gpu);
	test_full(&gpu);
	test_threads(&gpu);
	test_fork(&gpu);
	test_stats(&gpu);
	gpu_close(&gpu);
	return tap_done();
}
