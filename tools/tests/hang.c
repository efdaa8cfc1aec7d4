// SPDX-License-Identifier: MIT
/*
 * A test that hangs on purpose: it waits for a job that never ends. What the
 * runner keeps of it has to show this program's wait and the GPU's job.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <gsvm.h>

/* What the GPU looks at, and what nobody ever sets. */
static volatile uint64_t stop;

static int failed(const char *what, int ret)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	return 1;
}

int main(int argc, char **argv)
{
	const struct gsvm_kernel *kernel;
	struct gsvm_program *program;
	struct gsvm_device *device;
	struct gsvm_queue *queue;
	struct gsvm_vm *vm;
	char path[4096];
	int ret;

	/* --list-subtests, by which igt_runner asks: this one has none. */
	if (argc > 1)
		return 79;
	snprintf(path, sizeof(path), "%s.gpu", argv[0]);
	ret = gsvm_device_open(NULL, &device);
	if (ret)
		return failed("device", ret);
	ret = gsvm_vm_create(device, &vm);
	if (ret)
		return failed("VM", ret);
	ret = gsvm_queue_create(vm, NULL, &queue);
	if (ret)
		return failed("queue", ret);
	ret = gsvm_program_load(path, &program);
	if (ret)
		return failed(path, ret);
	ret = gsvm_program_kernel(program, "wait_for_word", &kernel);
	if (ret)
		return failed("kernel", ret);
	ret = gsvm_queue_dispatch(queue, kernel, &(struct gsvm_grid){ .items = { 1 } },
				  (void *)&stop, NULL, 0);
	if (ret)
		return failed("dispatch", ret);
	puts("the job was started");
	fflush(stdout);
	ret = gsvm_queue_finish(queue, INT64_MAX);
	return failed("the job ended", ret);
}
