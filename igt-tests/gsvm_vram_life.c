// SPDX-License-Identifier: MIT
/*
 * The driver goes while memory is in VRAM: it has to bring it back first.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "gsvm_device.h"
#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

/* Memory of all kinds, in VRAM. */
struct memory {
	char *small, *huge, *part;
};

static struct memory fill_vram(struct queue *q, uint32_t seed)
{
	struct memory m = {
		.small = map_in_vram(q, 4 * MIB, seed),
		.huge = map_thp_in_vram(q, 4 * HUGE, seed),
		.part = map_in_vram(q, HUGE, seed),
	};

	gsvm_peek((void *)(m.part + 9 * PAGE));
	return m;
}

static void check(struct memory *m, uint32_t seed, const char *what)
{
	cpu_verify(m->small, 4 * MIB, seed, WHOLE, what);
	cpu_verify(m->huge, 4 * HUGE, seed, WHOLE, what);
	cpu_verify(m->part, HUGE, seed, WHOLE, what);
}

static void gpu_check_all(struct queue *q, struct memory *m, uint32_t seed, const char *what)
{
	gpu_verify(q, m->small, 4 * MIB, seed, WHOLE, what);
	gpu_verify(q, m->huge, 4 * HUGE, seed, WHOLE, what);
	gpu_verify(q, m->part, HUGE, seed, WHOLE, what);
}

/* Unbound with pages in VRAM; bound again, the GPU has them again. */
static void unbind(void)
{
	int round;

	for (round = 0; round < 3; round++) {
		struct queue *q = queue_open(), *fresh;
		struct device d = device_of(q->fd);
		struct memory m = fill_vram(q, round);

		device_unbind(&d);
		check(&m, round, "after unbind");
		device_bind(&d);
		fresh = queue_open();
		gpu_check_all(fresh, &m, round, "after bind");
		check(&m, round, "after bind");
		queue_close(fresh);
		gpu_close_all();
		munmap(m.small, 4 * MIB);
		munmap(m.huge, 4 * HUGE);
		munmap(m.part, HUGE);
	}
}

/* Likewise under a job that writes all the while. */
static void unbind_running(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	size_t pages = 4 * MIB / PAGE, i;
	struct device d = device_of(q->fd);
	char *p = map_in_vram(q, 4 * MIB, 0);
	uint64_t low, word;

	gpu_set(q, p, PAGE, pages, 0, 0);
	gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(p), pages, CTL_ITEMS, 0);
	gsvm_await(&ctl->rounds[CTL_ITEMS - 1], 2, "the job's rounds");
	device_unbind(&d);
	low = gsvm_peek(&ctl->rounds[0]);
	/* Every increment that was counted is there, and at most one more. */
	for (i = 0; i < pages; i++) {
		word = gsvm_peek((void *)(p + i * PAGE));
		low = gsvm_peek(&ctl->rounds[i % CTL_ITEMS]);
		gsvm_assert(word == low || word == low + 1, "page %zu: %llu, of %llu rounds\n", i,
			    (unsigned long long)word, (unsigned long long)low);
	}
	device_bind(&d);
	gsvm_assert_eq(gpu_read(queue_open(), p), gsvm_peek((void *)p), "after bind");
}

/* Another process's memory, and a stopped one's. */
static void unbind_other(void)
{
	struct queue *q = queue_open();
	struct device d = device_of(q->fd);
	struct child *c = gsvm_fork();

	if (!c->pid) {
		struct queue *own = queue_open();
		struct memory m = fill_vram(own, 5);

		gsvm_tell(c);
		gsvm_hear(c);
		check(&m, 5, "another process's memory after unbind");
		gsvm_exit();
	}
	gsvm_hear(c);
	gsvm_sys(kill(c->pid, SIGSTOP));
	device_unbind(&d);
	gsvm_sys(kill(c->pid, SIGCONT));
	gsvm_tell(c);
	gsvm_join(c);
	device_bind(&d);
}

/* While pages move in both directions. */
static void unbind_moving(void)
{
	int round, i;

	for (round = 0; round < 4; round++) {
		struct queue *q = queue_open();
		struct gsvm_signal *signal = make_signal(1000);
		struct device d = device_of(q->fd);
		char *p = map_block(16 * MIB);

		cpu_fill(p, 16 * MIB, round, SPARSE);
		for (i = 0; i < 6; i++)
			prefetch_async(q, p + i % 2 * 8 * MIB, 8 * MIB, (i / 2) % 2 ?
				       DRM_GSVM_REGION_SYSTEM : DRM_GSVM_REGION_VRAM, signal);
		usleep(round * 4000);
		device_unbind(&d);
		cpu_verify(p, 16 * MIB, round, SPARSE, "after unbind amid moves");
		device_bind(&d);
		gpu_close_all();
		munmap(p, 16 * MIB);
	}
}

/* The VM goes, its file is closed: the pages stay in VRAM, and stay right. */
static void vm_gone(void)
{
	struct queue *q = queue_open(), *other;
	uint64_t unused = vram_free(q);
	struct memory m = fill_vram(q, 1);

	queue_close(q);
	other = queue_open();
	gpu_check_all(other, &m, 1, "through another VM");
	queue_close(other);
	check(&m, 1, "after the VM is gone");
	munmap(m.small, 4 * MIB);
	munmap(m.huge, 4 * HUGE);
	munmap(m.part, HUGE);
	other = queue_open();
	expect_vram_free(other, unused, "after munmap");
	queue_close(other);
}

/* The module that fits: named by the environment, or beside the tests. */
static int open_module(void)
{
	const char *path = getenv("GSVM_MODULE");
	char beside[PATH_MAX], *slash;
	ssize_t n;

	if (!path || !*path) {
		n = gsvm_sys(readlink("/proc/self/exe", beside, sizeof(beside) - 32));
		beside[n] = 0;
		slash = strrchr(beside, '/');
		strcpy(slash + 1, "../drm/gsvm.ko");
		path = beside;
	}
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Nobody has the device open, but memory is in VRAM: the module can still go. */
static void unload(void)
{
	int fd = open_module();
	struct queue *q;
	struct memory m;
	int round;

	gsvm_require(fd >= 0, "no gsvm.ko to load again: set GSVM_MODULE\n");
	for (round = 0; round < 3; round++) {
		q = queue_open();
		m = fill_vram(q, round);
		queue_close(q);
		gsvm_sys(syscall(SYS_delete_module, "gsvm", O_NONBLOCK));
		check(&m, round, "after the module is gone");
		gsvm_sys(syscall(SYS_finit_module, fd, "", 0));
		q = queue_open();
		gpu_check_all(q, &m, round, "with the module loaded again");
		check(&m, round, "with the module loaded again");
		queue_close(q);
	}
	close(fd);
}

static const struct gsvm_subtest tests[] = {
	{ "unbind", unbind, "unbind and bind" },
	{ "unbind-running", unbind_running, "likewise under a job" },
	{ "unbind-other", unbind_other, "likewise with a stopped process's memory" },
	{ "unbind-moving", unbind_moving, "likewise while pages move" },
	{ "vm-gone", vm_gone, "the VM that moved the pages is gone" },
	{ "unload", unload, "the module is unloaded and loaded again" },
};

GSVM_MAIN(tests)
