// SPDX-License-Identifier: MIT
/*
 * The GPU dies with memory in its VRAM. What can still be read is saved, the
 * machine lives on, and a new GPU in its place starts afresh.
 *
 * "declared" has the driver declare the death, through debugfs; it needs no
 * help. "killed" asks the host to kill the GPU, which gsvm-vm --gpu-may-die
 * does. The kernel logs both, which is not to be held against them.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	(4 * MIB)

/* Memory of this process and of a child, small and huge, and a job under way. */
struct scene {
	struct queue *q;
	struct ctl *ctl;
	char *small, *huge, *words;
	struct gsvm_signal *job;
	struct child *child;
};

static struct scene prepare(void)
{
	struct scene s = { .ctl = map_shared(PAGE) };

	s.child = gsvm_fork();
	s.q = queue_open();
	s.small = map_in_vram(s.q, SIZE, 1);
	s.huge = map_thp_in_vram(s.q, SIZE, 2);
	if (!s.child->pid) {
		gsvm_tell(s.child);
		gsvm_hear(s.child);
		cpu_verify(s.small, SIZE, 1, WHOLE, "another process's memory");
		cpu_verify(s.huge, SIZE, 2, WHOLE, "another process's huge pages");
		gsvm_exit();
	}
	gsvm_hear(s.child);
	s.words = map_block(HUGE);
	s.job = gpu_launch(s.q, "sweep", CTL_ITEMS, U(s.ctl), U(s.words), CTL_ITEMS, CTL_ITEMS, 0);
	gsvm_await(&s.ctl->rounds[0], 10, "the job's rounds");
	return s;
}

/* Nothing is lost, and whoever waits is told. */
static void aftermath(struct scene *s)
{
	struct drm_gsvm_wait wait = {
		.vm_id = s->q->vm, .addr = U(s->job), .op = DRM_GSVM_WAIT_EQ,
		.timeout_ns = gsvm_deadline(30000), .queue_id = s->q->id,
	};
	struct drm_gsvm_prefetch pre = {
		.vm_id = s->q->vm, .start = U(s->small), .length = SIZE,
		.region = DRM_GSVM_REGION_VRAM,
	};
	int ret = gsvm_ioctl(s->q->fd, DRM_IOCTL_GSVM_WAIT, &wait);
	size_t i;

	gsvm_assert(ret == EIO || ret == ENODEV, "the waiter got %s\n", strerror(ret));
	ret = gsvm_ioctl(s->q->fd, DRM_IOCTL_GSVM_PREFETCH, &pre);
	gsvm_assert(ret == EIO || ret == ENODEV, "PREFETCH gave %s\n", strerror(ret));
	cpu_verify(s->small, SIZE, 1, WHOLE, "small pages of a dead GPU");
	cpu_verify(s->huge, SIZE, 2, WHOLE, "huge pages of a dead GPU");
	for (i = 0; i < CTL_ITEMS; i++) {
		uint64_t word = gsvm_peek((void *)(s->words + i * PAGE));
		uint64_t rounds = gsvm_peek(&s->ctl->rounds[i]);

		gsvm_assert(word == rounds || word == rounds + 1, "word %zu: %llu of %llu rounds\n",
			    i, (unsigned long long)word, (unsigned long long)rounds);
	}
	gsvm_tell(s->child);
	gsvm_join(s->child);
	/* Memory is memory: written, shared, freed. */
	cpu_fill(s->small, SIZE, 3, WHOLE);
	cpu_verify(s->small, SIZE, 3, WHOLE, "written afterwards");
	gsvm_sys(munmap(s->huge, SIZE));
}

static char pci[64];

static void find_device(int fd)
{
	char path[PATH_MAX], link[PATH_MAX];
	struct stat st;
	ssize_t n;

	gsvm_sys(fstat(fd, &st));
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device", major(st.st_rdev),
		 minor(st.st_rdev));
	n = gsvm_sys(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	snprintf(pci, sizeof(pci), "%.60s", strrchr(link, '/') + 1);
}

static void driver_write(const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/gsvm/%s", file);
	gsvm_assert(write_text(path, pci), "%s of %s: %s\n", file, pci, strerror(errno));
}

static void declared(void)
{
	struct scene s = prepare();
	char path[PATH_MAX];
	struct queue *fresh;

	igt_emit_ignore_dmesg_regex("device is wedged: debugfs");
	find_device(s.q->fd);
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/wedge", pci);
	gsvm_require(!access(path, W_OK), "there is no %s\n", path);
	gsvm_assert(write_text(path, "1"), "%s: %s\n", path, strerror(errno));
	aftermath(&s);
	/* Bound anew, it is a GPU again. */
	driver_write("unbind");
	cpu_verify(s.small, SIZE, 3, WHOLE, "after unbind");
	driver_write("bind");
	fresh = queue_open();
	gpu_verify(fresh, s.small, SIZE, 3, WHOLE, "by the new GPU");
	to_vram(fresh, s.small, SIZE);
	cpu_verify(s.small, SIZE, 3, WHOLE, "back from the new GPU");
	queue_close(fresh);
}

#define HOST	"/run/gsvm-vm/"		/* where the host looks for requests */

/* The host kills the GPU, as a GPU dies that is pulled out. */
static void killed(void)
{
	int64_t end = gsvm_deadline(60000);
	struct scene s;
	int fd;

	gsvm_require(getenv("GSVM_GPU_MAY_DIE"), "nobody is there to kill the GPU\n");
	igt_emit_ignore_dmesg_regex("device is wedged: ");
	s = prepare();
	find_device(s.q->fd);
	fd = gsvm_sys(open(HOST "kill-gpu.request", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	close(fd);
	while (access(HOST "kill-gpu", F_OK)) {
		gsvm_assert(gsvm_deadline(0) < end, "the GPU was not killed within a minute\n");
		gsvm_pace();
	}
	aftermath(&s);
	driver_write("unbind");
	cpu_verify(s.small, SIZE, 3, WHOLE, "after unbind");
}

static const struct gsvm_subtest tests[] = {
	{ "declared", declared, "the driver is told that the GPU is dead" },
	{ "killed", killed, "the GPU is killed" },
};

GSVM_MAIN(tests)
