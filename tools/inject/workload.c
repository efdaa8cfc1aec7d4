// SPDX-License-Identifier: MIT
/*
 * workload: uses the GPU in every way that needs the driver, while
 * tools/vm/run-inject lets calls of the driver fail.
 *
 * Reads lines "PHASE BUDGET ERRNO" from standard input. Each one runs in a child
 * of its own, with memory of its own, and may meet BUDGET failures, ERRNO and no
 * other. A step that fails is made again, as its user would; everything after it
 * has to go as if nothing had happened, and all data has to be right. Writes
 * "note STEP ERRNO" for each failure, "fail WHY" for what must not be, and "end"
 * or "end STATUS" when the child is gone.
 *
 *   use      all of it
 *   move     memory moves to VRAM and back on request
 *   press    more memory moves to VRAM than there is
 *   little   a VM, a queue, one job
 *   wedge    the device is declared dead under a VM
 *   unplug   says "ready", goes on with the next line: the driver is unbound
 *            under a VM
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm/gsvm_drm.h>
#include <gsvm.h>
#include "session.h"

#define SMALL	(48 * PAGE)
/*
 * Of a block of 2 MiB that moves in small pages: each of them takes a millisecond on
 * the debug kernel, and one is like the other. So many that the block gets VRAM of its
 * own (GSVM_MOVE_SPARSE), and groups of 64 KiB.
 */
#define PART	(32 * PAGE)
/* Each in a GiB of its own, so that the page table gets directories of its own. */
#define AT(n)	((void *)(0x100000000000ul + ((n) << 33)))

static uint64_t store_kernel;

static void *map_at(int n, size_t size, int flags, int fd)
{
	void *p = mmap(AT((unsigned long)n), size, PROT_READ | PROT_WRITE,
		       MAP_FIXED_NOREPLACE | flags, fd, 0);

	SYS(p);
	return p;
}

static void *map_small(int n)
{
	void *p = map_at(n, SMALL, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	SYS(madvise(p, SMALL, MADV_NOHUGEPAGE));
	return p;
}

static uint64_t pattern(size_t i)
{
	return i * 0x9e3779b97f4a7c15ul + 1;
}

static void check_fill(const char *what, const uint64_t *words, size_t size, uint64_t value)
{
	for (size_t i = 0; i < size / 8; i++)
		if (words[i] != value)
			fail("%s: word %zu is %#lx, not %#lx", what, i, words[i], value);
}

/* Single pages; the GPU is the first to touch where it copies to. */
static void use_small(struct session *s)
{
	uint64_t *src = map_small(0), *dst = map_small(1);

	for (size_t i = 0; i < SMALL / 8; i++)
		src[i] = pattern(i);
	session_copy(s, dst, src, SMALL);
	for (size_t i = 0; i < SMALL / 8; i++)
		if (src[i] != pattern(i) || dst[i] != pattern(i))
			fail("copy: word %zu is %#lx, from %#lx", i, dst[i], src[i]);
}

/* Changes of what the GPU has mapped. */
static void use_changes(struct session *s)
{
	char *dst = AT(1ul), *src = AT(0ul);

	SYS(madvise(dst, SMALL, MADV_DONTNEED));
	session_copy(s, src, dst, SMALL);
	check_fill("after MADV_DONTNEED", (uint64_t *)src, SMALL, 0);

	SYS(mprotect(dst, SMALL, PROT_READ));
	SYS(mprotect(dst, SMALL, PROT_READ | PROT_WRITE));
	session_fill(s, dst, 7, SMALL);
	check_fill("after mprotect", (uint64_t *)dst, SMALL, 7);
	SYS(munmap(dst, SMALL));
}

struct child {
	pid_t pid;
	int go;
};

/* One that looks at memory when its parent is through with it: it is as it was. */
static struct child child_begin(const uint64_t *words, size_t size, uint64_t value)
{
	struct child c;
	int go[2], byte;

	SYS(pipe(go));
	c.pid = SYS(fork());
	if (!c.pid) {
		close(go[1]);
		while (read(go[0], &byte, 1) > 0)
			;
		for (size_t i = 0; i < size / 8; i++)
			if (words[i] != value)
				_exit(1);
		_exit(0);
	}
	close(go[0]);
	c.go = go[1];
	return c;
}

static void child_end(const struct child *c, const char *what)
{
	int status;

	close(c->go);
	SYS(waitpid(c->pid, &status, 0));
	if (status)
		fail("%s: the child does not see what was there at fork()", what);
}

/* What the GPU writes after fork() is the parent's alone. */
static void use_fork(struct session *s)
{
	uint64_t *words = AT(0ul);
	struct child c;

	session_fill(s, words, 1, SMALL);
	c = child_begin(words, SMALL, 1);
	session_fill(s, words, 2, SMALL);
	child_end(&c, "fork");
	check_fill("after fork", words, SMALL, 2);
	SYS(munmap(words, SMALL));
}

static uint64_t huge_mapped(struct session *s)
{
	struct drm_gsvm_vm_query q = { .vm_id = s->vm };

	MUST("VM_QUERY", session_ioctl(s->fd, DRM_IOCTL_GSVM_VM_QUERY, &q));
	return q.huge_mapped;
}

/* 2 MiB by one entry; then, around a hole, by groups of 64 KiB and single pages. */
static void use_huge(struct session *s)
{
	const size_t hole = 100 * PAGE, from = hole - PART / 2;
	int clean = budget;
	char *p = map_at(2, HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint64_t before = huge_mapped(s);

	SYS(madvise(p, HUGE, MADV_HUGEPAGE));
	memset(p, 1, HUGE);
	session_fill(s, p, 3, HUGE);
	check_fill("huge", (uint64_t *)p, HUGE, 3);
	if (!clean && huge_mapped(s) == before)
		fail("no 2 MiB entry was made");

	SYS(munmap(p + hole, PAGE));
	session_fill(s, p + from, 4, hole - from);
	session_fill(s, p + hole + PAGE, 5, PART / 2);
	check_fill("below the hole", (uint64_t *)(p + from), hole - from, 4);
	check_fill("above the hole", (uint64_t *)(p + hole + PAGE), PART / 2, 5);
	SYS(munmap(p, HUGE));
}

static void use_file(struct session *s)
{
	int fd = SYS(memfd_create("inject", MFD_CLOEXEC));
	uint64_t back[SMALL / 8];
	void *p;

	SYS(ftruncate(fd, SMALL));
	p = map_at(3, SMALL, MAP_SHARED, fd);
	session_fill(s, p, 6, SMALL);
	SYS(munmap(p, SMALL));
	if (SYS(pread(fd, back, SMALL, 0)) != SMALL)
		fail("the file is short");
	check_fill("file", back, SMALL, 6);
	close(fd);
}

static void use_kernel(struct session *s)
{
	uint64_t *words = map_at(4, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint64_t args[4] = { (uintptr_t)words, 8, 1000, 3 };

	session_kernel(s, store_kernel, PAGE / 8, args, 4);
	for (size_t i = 0; i < PAGE / 8; i++)
		if (words[i] != 1000 + 3 * i)
			fail("kernel: word %zu is %lu", i, words[i]);
	SYS(munmap(words, PAGE));
}

static void use_queries(struct session *s)
{
	struct drm_gsvm_queue_query queue = { .queue_id = s->queue };
	struct drm_gsvm_device_query device = { .param = DRM_GSVM_PARAM_VA_BITS };
	char path[64], text[4096];
	int fd;

	MUST("QUEUE_QUERY", session_ioctl(s->fd, DRM_IOCTL_GSVM_QUEUE_QUERY, &queue));
	if (queue.state != DRM_GSVM_QUEUE_RUNNING)
		fail("the queue does not run");
	MUST("DEVICE_QUERY", session_ioctl(s->fd, DRM_IOCTL_GSVM_DEVICE_QUERY, &device));
	if (device.value != 48)
		fail("an address has %llu bits", (unsigned long long)device.value);

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->fd);
	fd = SYS(open(path, O_RDONLY));
	if (SYS(read(fd, text, sizeof(text))) == 0)
		fail("fdinfo is empty");
	close(fd);
}

static void phase_use(void)
{
	struct session s;

	session_open(&s);
	use_small(&s);
	use_changes(&s);
	use_fork(&s);
	use_huge(&s);
	use_file(&s);
	use_kernel(&s);
	use_queries(&s);
	session_close(&s);
}

/* Each page says which one it is; whoever touches it finds it where it is. */
static void name_pages(char *p, size_t size, uint64_t round)
{
	for (size_t i = 0; i < size; i += PAGE)
		*(uint64_t *)(p + i) = pattern(i + round);
}

static void check_pages(const char *what, char *p, size_t size, uint64_t round)
{
	for (size_t i = 0; i < size; i += PAGE)
		if (*(uint64_t *)(p + i) != pattern(i + round))
			fail("%s: page %zu says %#lx, not %#lx", what, i / PAGE,
			     *(uint64_t *)(p + i), pattern(i + round));
}

static size_t pages_in_vram(struct session *s, char *p, size_t size)
{
	uint32_t *word = calloc(size / PAGE, sizeof(*word));
	struct drm_gsvm_residency args = {
		.vm_id = s->vm,
		.start = (uintptr_t)p,
		.length = size,
		.pages = (uintptr_t)word,
	};
	size_t i, n = 0;

	if (!word)
		fail("no memory");
	MUST("RESIDENCY", session_ioctl(s->fd, DRM_IOCTL_GSVM_RESIDENCY, &args));
	for (i = 0; i < size / PAGE; i++)
		n += (word[i] & DRM_GSVM_RESIDENCY_WHERE) == DRM_GSVM_RESIDENCY_VRAM;
	free(word);
	return n;
}

static uint64_t vram_size(struct session *s)
{
	struct drm_gsvm_device_query q = { .param = DRM_GSVM_PARAM_VRAM_SIZE };

	MUST("DEVICE_QUERY", session_ioctl(s->fd, DRM_IOCTL_GSVM_DEVICE_QUERY, &q));
	return q.value;
}

/* On request: there and back, small pages and large, at once and in the background. */
static void move_on_request(struct session *s)
{
	bool clean = !budget, went, stayed;
	char *small = map_at(5, PART, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *huge = map_at(6, 2 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	SYS(madvise(small, PART, MADV_NOHUGEPAGE));
	SYS(madvise(huge, 2 * HUGE, MADV_HUGEPAGE));
	name_pages(small, PART, 1);
	name_pages(huge, 2 * HUGE, 2);
	session_move(s, small, PART, DRM_GSVM_REGION_VRAM);
	session_move_begin(s, huge, 2 * HUGE, DRM_GSVM_REGION_VRAM);
	session_move_end(s);
	went = pages_in_vram(s, small, PART) && pages_in_vram(s, huge, 2 * HUGE);
	if (clean && !went)
		fail("nothing went to VRAM");
	/* The GPU reaches some there, a CPU fetches some, the rest comes by request. */
	session_copy(s, small + PART / 2, small, PAGE);
	check_pages("small, fetched", small, PART / 4, 1);
	check_pages("huge, fetched", huge, PAGE, 2);
	session_move_begin(s, small, PART, DRM_GSVM_REGION_SYSTEM);
	session_move_end(s);
	session_move(s, huge, 2 * HUGE, DRM_GSVM_REGION_SYSTEM);
	stayed = pages_in_vram(s, small, PART) || pages_in_vram(s, huge, 2 * HUGE);
	if (clean && stayed)
		fail("something stayed in VRAM");
	if (*(uint64_t *)(small + PART / 2) != pattern(1))
		fail("what the GPU copied in VRAM is %#lx", *(uint64_t *)(small + PART / 2));
	check_pages("huge", huge, 2 * HUGE, 2);
	SYS(munmap(small, PART));
	SYS(munmap(huge, 2 * HUGE));
}

/* A 2 MiB page that a child has, too, cannot come back as it is. */
static void move_shared(struct session *s)
{
	uint64_t *words = map_at(9, HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct child c;

	SYS(madvise(words, HUGE, MADV_HUGEPAGE));
	for (size_t i = 0; i < HUGE / 8; i++)
		words[i] = 1;
	session_move(s, words, HUGE, DRM_GSVM_REGION_VRAM);
	c = child_begin(words, HUGE, 1);
	words[0] = 2;
	child_end(&c, "shared in VRAM");
	if (words[0] != 2)
		fail("shared in VRAM: the first word is %#lx", words[0]);
	check_fill("shared in VRAM", words + 1, HUGE - 8, 1);
	SYS(munmap(words, HUGE));
}

static void move_little(struct session *s)
{
	move_on_request(s);
	move_shared(s);
}

/* Every other block is one of a few small pages, the others are one page. */
static void map_mixed(char *p, size_t size)
{
	for (; size; size -= 2 * HUGE, p += 2 * HUGE) {
		SYS(munmap(p + PART, HUGE - PART));
		SYS(madvise(p, PART, MADV_NOHUGEPAGE));
		SYS(madvise(p + HUGE, HUGE, MADV_HUGEPAGE));
	}
}

static void name_mixed(char *p, size_t size)
{
	for (; size; size -= 2 * HUGE, p += 2 * HUGE) {
		name_pages(p, PART, 3);
		name_pages(p + HUGE, HUGE, 4);
	}
}

static void check_mixed(char *p, size_t size)
{
	for (; size; size -= 2 * HUGE, p += 2 * HUGE) {
		check_pages("small, evicted and fetched", p, PART, 3);
		check_pages("huge, evicted and fetched", p + HUGE, HUGE, 4);
	}
}

/* Memory that nobody has touched, by faults, while a PREFETCH takes all room there is. */
static void fill_mixed(struct session *s, char *p, size_t size, char *other, size_t other_size)
{
	session_move_begin(s, other, other_size, DRM_GSVM_REGION_VRAM);
	for (; size; size -= 2 * HUGE, p += 2 * HUGE) {
		session_fill(s, p, pattern(6), PART);
		session_fill(s, p + HUGE, pattern(7), HUGE);
		check_fill("small, filled in VRAM", (uint64_t *)p, PART, pattern(6));
		check_fill("huge, filled in VRAM", (uint64_t *)(p + HUGE), HUGE, pattern(7));
	}
	session_move_end(s);
}

/*
 * More than there is: what was used least goes. It begins with small and large pages
 * in turns, so that whoever evicts meets both: the worker that does so ahead of need,
 * PREFETCH, which takes room for 16 blocks at once, and faults meanwhile.
 */
static void move_too_much(struct session *s)
{
	const size_t mixed = 8 * HUGE, fresh = 4 * HUGE, more = 8 * HUGE;
	size_t size = vram_size(s) + more;
	char *p = map_at(7, size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *new = map_at(8, fresh, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	map_mixed(p, mixed);
	map_mixed(new, fresh);
	SYS(madvise(p + mixed, size - mixed, MADV_HUGEPAGE));
	name_mixed(p, mixed);
	name_pages(p + mixed, size - mixed, 5);
	session_move(s, p, size, DRM_GSVM_REGION_VRAM);
	session_migration(s, DRM_GSVM_MIGRATE_SECOND);
	session_migration(s, DRM_GSVM_MIGRATE_FIRST);
	/* What was evicted comes again. */
	fill_mixed(s, new, fresh, p, mixed);
	check_mixed(p, mixed);
	check_pages("evicted and fetched", p + mixed, size - mixed, 5);
	SYS(munmap(p, size));
	SYS(munmap(new, fresh));
}

static void phase_move(void (*move)(struct session *s))
{
	struct session s;

	session_open(&s);
	session_migration(&s, DRM_GSVM_MIGRATE_NEVER);
	move(&s);
	session_close(&s);
}

static void phase_little(void)
{
	struct session s;

	session_open(&s);
	use_small(&s);
	session_close(&s);
}

static void read_line(char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(0, &line[n], 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
}

static void phase_unplug(void)
{
	struct session s;
	char line[32];
	int err;

	session_open(&s);
	use_small(&s);
	puts("ready");
	fflush(stdout);
	read_line(line, sizeof(line));
	/* Into nothing, and no signal. */
	*s.doorbell = s.next;
	do {
		err = session_wait_forever(&s);
	} while (err != ENODEV && again("WAIT", err));
	if (err != ENODEV)
		fail("WAIT after unplug: %s", strerror(err));
	close(s.fd);
}

static int wedge(const char *path)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, "1", 1) != 1)
		err = errno;
	close(fd);
	return err;
}

static void phase_wedge(const char *path)
{
	struct session s;
	int err;

	session_open(&s);
	use_small(&s);
	MUST("wedge", wedge(path));
	do {
		err = session_wait_forever(&s);
	} while (err != EIO && again("WAIT", err));
	if (err != EIO)
		fail("WAIT on a dead device: %s", strerror(err));
	close(s.fd);
}

static void run_phase(const char *phase, const char *path)
{
	if (!strcmp(phase, "use"))
		phase_use();
	else if (!strcmp(phase, "move"))
		phase_move(move_little);
	else if (!strcmp(phase, "press"))
		phase_move(move_too_much);
	else if (!strcmp(phase, "little"))
		phase_little();
	else if (!strcmp(phase, "unplug"))
		phase_unplug();
	else if (!strcmp(phase, "wedge"))
		phase_wedge(path);
	else
		fail("no phase %s", phase);
}

static uint64_t load_kernel(const char *path)
{
	const struct gsvm_kernel *kernel;
	struct gsvm_program *program;
	int ret = gsvm_program_load(path, &program);

	if (!ret)
		ret = gsvm_program_kernel(program, "store", &kernel);
	if (ret)
		fail("%s: %s", path, strerror(-ret));
	return (uintptr_t)kernel;
}

int main(int argc, char **argv)
{
	char line[256], phase[16], path[128];
	int status;
	pid_t pid;

	if (argc != 2) {
		fprintf(stderr, "usage: workload PROGRAM\n");
		return 2;
	}
	store_kernel = load_kernel(argv[1]);
	for (;;) {
		path[0] = 0;
		read_line(line, sizeof(line));
		if (sscanf(line, "%15s %d %d %127s", phase, &budget, &expected, path) < 3)
			return 0;
		pid = SYS(fork());
		if (!pid) {
			alarm(100);
			run_phase(phase, path);
			_exit(0);
		}
		SYS(waitpid(pid, &status, 0));
		if (status)
			printf("end %d\n", status);
		else
			puts("end");
		fflush(stdout);
	}
}
