// SPDX-License-Identifier: MIT
/* Devices and VMs: opening, properties, order of destruction, fork. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "tap.h"

/* Without a GPU these have only one right answer; with one, another. */
static void test_search(void)
{
	struct gsvm_device *device = NULL;
	int count = gsvm_device_count();
	char path[64] = "unchanged";
	int ret;

	ok(count >= 0, "count: %d", count);
	is(gsvm_device_path((unsigned int)count, path, sizeof(path)), -ENODEV, "path: none behind");
	ok(!strcmp(path, "unchanged"), "path: the buffer stays as it was");
	is(gsvm_device_path(0, NULL, 0), -EINVAL, "path: no buffer");
	ret = gsvm_device_open(NULL, &device);
	is(ret, count ? 0 : -ENODEV, "open the first one");
	is(gsvm_device_close(device), 0, "close");
	is(gsvm_device_open("/dev/null", &device), -ENODEV, "open: not a gsvm device");
	is(gsvm_device_open("/nonexistent/x", &device), -ENOENT, "open: no such file");
	is(gsvm_device_open(NULL, NULL), -EINVAL, "open: nowhere to put it");
	is(gsvm_device_open_fd(-1, &device), -EBADF, "open_fd: bad descriptor");
	is(gsvm_device_open_fd(0, NULL), -EINVAL, "open_fd: nowhere to put it");
	ret = open("/dev/null", O_RDWR | O_CLOEXEC);
	is(gsvm_device_open_fd(ret, &device), -ENODEV, "open_fd: not a gsvm device");
	is(fcntl(ret, F_GETFD), FD_CLOEXEC, "open_fd: the descriptor stays the caller's");
	close(ret);
	is(gsvm_device_close(NULL), 0, "close: nothing");
}

static void test_properties(void)
{
	struct gsvm_device_info info = { .size = sizeof(info) };
	struct fake *fake = fake_create();
	struct gsvm_device *device = fake_open(fake);
	uint64_t now = 0;

	is(gsvm_device_query(device, &info), 0, "query");
	ok(info.vram_size == 1ull << 33 && info.hw_version == 0x10000 && info.va_bits == 48 &&
	   info.num_cores == 2 && info.max_work_items == 1024 && info.max_group == 256 &&
	   info.group_memory == 65536 && info.private_memory == 16384 &&
	   info.max_queues == FAKE_QUEUES && info.gpu_id == 3 && !info.reserved &&
	   info.size == sizeof(info), "all properties");
	is(gsvm_device_query(device, NULL), -EINVAL, "query: nowhere to put it");
	is(gsvm_device_query(NULL, &info), -EINVAL, "query: no device");
	info.size = 0;
	is(gsvm_device_query(device, &info), -EINVAL, "query: no size");
	is(gsvm_device_time(device, &now), 0, "time");
	is(now, 123456789, "time: as the device says");
	is(gsvm_device_time(device, NULL), -EINVAL, "time: nowhere to put it");
	fake_fail(fake, DRM_IOCTL_GSVM_DEVICE_QUERY, -ENODEV, 1);
	is(gsvm_device_time(device, &now), -ENODEV, "time: device gone");
	is(gsvm_device_fd(device), -1, "fd");
	is(gsvm_device_close(device), 0, "close");

	fake_fail(fake, DRM_IOCTL_GSVM_DEVICE_QUERY, -EIO, 1);
	ok(!fake_open(fake), "open: a device that does not answer");
	fake_no_format(fake);
	ok(!fake_open(fake), "open: a device with other packets only");
	ok(fake_destroy(fake), "nothing left behind");
}

static void test_vm(void)
{
	struct gsvm_vm_stats stats = { .size = sizeof(stats) };
	struct fake *fake = fake_create();
	struct gsvm_device *device = fake_open(fake);
	struct gsvm_vm *vm = NULL, *other = NULL;
	struct gsvm_queue *queue = NULL;

	is(gsvm_vm_create(NULL, &vm), -EINVAL, "vm: no device");
	is(gsvm_vm_create(device, NULL), -EINVAL, "vm: nowhere to put it");
	fake_fail(fake, DRM_IOCTL_GSVM_VM_CREATE, -ENOSPC, 1);
	is(gsvm_vm_create(device, &vm), -ENOSPC, "vm: the device has none left");
	ok(!vm, "vm: untouched on failure");
	is(gsvm_vm_create(device, &vm), 0, "vm: create");
	is(gsvm_vm_create(device, &other), 0, "vm: another one");
	ok(gsvm_vm_handle(vm) && gsvm_vm_handle(vm) != gsvm_vm_handle(other), "vm: handles");
	is(gsvm_device_close(device), -EBUSY, "close: VMs exist");

	is(gsvm_vm_query(vm, &stats), 0, "vm: statistics");
	ok(stats.faults == 100 && stats.faults_failed == 101 && stats.fault_services == 102 &&
	   stats.fault_retries == 103 && stats.fault_ns == 104 && stats.pages_mapped == 105 &&
	   stats.pages_now == 106 && stats.huge_mapped == 107 && stats.invalidations == 108 &&
	   stats.pages_invalidated == 109 && stats.pages_dirtied == 110 &&
	   stats.metadata_bytes == 111 && stats.bytes_migrated == 112 &&
	   stats.pages_to_vram == 113 && stats.pages_to_system == 114 && stats.bounces == 115,
	   "vm: every counter");
	is(gsvm_vm_query(vm, NULL), -EINVAL, "vm: nowhere to put them");
	is(gsvm_vm_query(NULL, &stats), -EINVAL, "vm: statistics of nothing");
	fake_fail(fake, DRM_IOCTL_GSVM_VM_QUERY, -ENODEV, 1);
	is(gsvm_vm_query(vm, &stats), -ENODEV, "vm: statistics of a device that is gone");

	is(gsvm_queue_create(vm, NULL, &queue), 0, "queue");
	is(gsvm_vm_destroy(vm), -EBUSY, "vm: destroy with a queue");
	is(gsvm_queue_destroy(queue), 0, "queue: destroy");
	is(gsvm_vm_destroy(vm), 0, "vm: destroy");
	is(gsvm_vm_destroy(other), 0, "vm: destroy the other");
	is(gsvm_vm_destroy(NULL), 0, "vm: destroy nothing");
	is(gsvm_device_close(device), 0, "close");
	ok(fake_destroy(fake), "nothing left behind");
}

static bool is_mapped(void *page)
{
	return !msync(page, GSVM_PAGE, MS_ASYNC);
}

/* In the child: every call is refused, and destroying leaves the parent alone. */
static int child(struct fake *fake, struct gsvm_device *device, struct gsvm_vm *vm, struct gsvm_queue *queue,
		 struct gsvm_signal *signal)
{
	struct gsvm_vm_stats stats = { .size = sizeof(stats) };
	struct gsvm_error error = { .size = sizeof(error) };
	struct gsvm_queue *new;
	uint64_t word = 0;
	uint32_t page;
	int failed = 0;
	/* Of calls that are not made again below, when the VM is gone. */
	int refused = gsvm_vm_set_migration(vm, GSVM_MIGRATE_FIRST) != -EPERM ||
		      gsvm_vm_prefetch(vm, &word, 8, GSVM_REGION_VRAM, NULL, NULL) != -EPERM ||
		      gsvm_vm_residency(vm, &word, 8, &page) != -EPERM ||
		      gsvm_vm_wait(vm, signal, GSVM_EQUAL, 1, 0) != -EPERM;

	failed |= (gsvm_vm_query(vm, &stats) != -EPERM) << 0;
	failed |= (gsvm_queue_create(vm, NULL, &new) != -EPERM) << 1;
	failed |= (gsvm_queue_fill(queue, &word, 0, 8, NULL, 0) != -EPERM) << 2;
	failed |= (gsvm_queue_flush(queue) != -EPERM) << 3;
	failed |= (gsvm_queue_error(queue, &error) != -EPERM) << 4;
	failed |= (gsvm_signal_wait(signal, queue, GSVM_EQUAL, 0, 0) != -EPERM ||
		   gsvm_queue_finish(queue, 0) != -EPERM) << 5;
	/* Neither does it reach the parent's ring, nor unmap what lies there now. */
	failed |= is_mapped(queue->shared) << 8;
	failed |= (gsvm_queue_destroy(queue) || gsvm_vm_destroy(vm)) << 6;
	failed |= (fake_calls(fake, DRM_IOCTL_GSVM_QUEUE_DESTROY) ||
		   fake_calls(fake, DRM_IOCTL_GSVM_VM_DESTROY)) << 9;
	failed |= (gsvm_device_close(device) != 0) << 7;
	failed |= refused << 10;
	if (failed)
		printf("# failed in the child: 0x%x\n", failed);
	fflush(stdout);
	return failed != 0;
}

static void test_fork(void)
{
	struct fake *fake = fake_create();
	struct gsvm_device *device = fake_open(fake);
	struct gsvm_signal *signal = NULL;
	struct gsvm_queue *queue = NULL;
	struct gsvm_vm *vm = NULL;
	uint64_t word = 1;
	int status = -1;
	void *ring;
	pid_t pid;

	gsvm_vm_create(device, &vm);
	gsvm_queue_create(vm, NULL, &queue);
	gsvm_signal_create(0, &signal);
	fflush(stdout);
	pid = fake_fork(fake);
	if (!pid)
		_exit(child(fake, device, vm, queue, signal));
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status), "fork: the child ended by itself");
	is(WEXITSTATUS(status), 0, "fork: -EPERM for all calls of the child");
	is(gsvm_queue_fill(queue, &word, 7, 8, NULL, 0), 0, "fork: the parent goes on");
	is(gsvm_queue_finish(queue, GSVM_WAIT_FOREVER), 0, "fork: its work is done");
	is(word, 7, "fork: rightly");
	gsvm_signal_destroy(signal);
	ring = queue->shared;
	ok(is_mapped(ring), "the ring is mapped");
	gsvm_queue_destroy(queue);
	ok(!is_mapped(ring), "and unmapped with the queue");
	gsvm_vm_destroy(vm);
	gsvm_device_close(device);
	ok(fake_destroy(fake), "nothing left behind");
}

/* When the device is gone, everything can still be given back. */
static void test_unplug(void)
{
	struct fake *fake = fake_create();
	struct gsvm_device *device = fake_open(fake);
	struct gsvm_vm *vm = NULL;

	gsvm_vm_create(device, &vm);
	fake_fail(fake, DRM_IOCTL_GSVM_VM_DESTROY, -EIO, 1);
	is(gsvm_vm_destroy(vm), -EIO, "unplug: a failure leaves the VM");
	fake_fail(fake, DRM_IOCTL_GSVM_VM_DESTROY, -ENODEV, 1);
	is(gsvm_vm_destroy(vm), 0, "unplug: the VM is gone with the device");
	is(gsvm_device_close(device), 0, "unplug: close");
	ok(fake_destroy(fake), "nothing left behind");
}

int main(void)
{
	test_search();
	test_properties();
	test_vm();
	test_fork();
	test_unplug();
	return tap_done();
}
