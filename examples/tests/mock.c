// SPDX-License-Identifier: MIT
/*
 * The library as the examples need it, with CPU threads for a GPU: kernels are
 * functions of the executable, found by name. What is tested is the examples'
 * own logic, their atomics above all; the real thing is tested on a GPU.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <gsvm.h>

#include "gsvm_device.h"

#define THREADS 4

_Thread_local uint64_t mock_global_id;

struct dispatch {
	void (*kernel)(const void *arg);
	const void *arg;
	uint32_t items;
	atomic_uint next;
};

int gsvm_device_open(const char *path, struct gsvm_device **device)
{
	*device = NULL;
	return path ? -EINVAL : 0;
}

int gsvm_device_close(struct gsvm_device *device)
{
	return device ? -EINVAL : 0;
}

int gsvm_vm_create(struct gsvm_device *device, struct gsvm_vm **vm)
{
	*vm = NULL;
	return device ? -EINVAL : 0;
}

int gsvm_vm_destroy(struct gsvm_vm *vm)
{
	return vm ? -EINVAL : 0;
}

int gsvm_vm_query(struct gsvm_vm *vm, struct gsvm_vm_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	return vm ? -EINVAL : 0;
}

int gsvm_queue_create(struct gsvm_vm *vm, const struct gsvm_queue_options *options,
		      struct gsvm_queue **queue)
{
	*queue = NULL;
	return vm || options ? -EINVAL : 0;
}

int gsvm_queue_destroy(struct gsvm_queue *queue)
{
	return queue ? -EINVAL : 0;
}

int gsvm_queue_error(struct gsvm_queue *queue, struct gsvm_error *error)
{
	error->code = GSVM_ERROR_NONE;
	return queue ? -EINVAL : 0;
}

int gsvm_error_describe(const struct gsvm_error *error, char *text, size_t size)
{
	if (size)
		*text = 0;
	return error->code ? -EINVAL : 0;
}

int gsvm_program_load(const char *path, struct gsvm_program **program)
{
	*program = NULL;
	return path ? 0 : -EINVAL;
}

void gsvm_program_destroy(struct gsvm_program *program)
{
	(void)program;
}

int gsvm_program_kernel(const struct gsvm_program *program, const char *name,
			const struct gsvm_kernel **kernel)
{
	*kernel = dlsym(RTLD_DEFAULT, name);
	return !program && *kernel ? 0 : -ENOENT;
}

int gsvm_program_find(const struct gsvm_program *program, uint64_t address, const char **name,
		      uint64_t *offset)
{
	(void)program;
	(void)address;
	(void)name;
	(void)offset;
	return -ENOENT;
}

static void *worker(void *arg)
{
	struct dispatch *dispatch = arg;

	while ((mock_global_id = atomic_fetch_add(&dispatch->next, 1)) < dispatch->items)
		dispatch->kernel(dispatch->arg);
	return NULL;
}

int gsvm_queue_dispatch(struct gsvm_queue *queue, const struct gsvm_kernel *kernel,
			const struct gsvm_grid *grid, const void *arg,
			struct gsvm_signal *signal, uint32_t flags)
{
	struct dispatch dispatch = { .arg = arg, .items = grid->items[0] };
	pthread_t threads[THREADS];
	int i, ret = 0, started;

	if (queue || signal || flags || grid->items[1] || !grid->items[0])
		return -EINVAL;
	memcpy(&dispatch.kernel, &kernel, sizeof(kernel));
	for (started = 0; started < THREADS && !ret; started++)
		ret = pthread_create(&threads[started], NULL, worker, &dispatch);
	if (ret)
		started--;
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return -ret;
}

int gsvm_queue_finish(struct gsvm_queue *queue, int64_t timeout_ns)
{
	return queue || timeout_ns < 0 ? -EINVAL : 0;
}
