// SPDX-License-Identifier: MIT
/*
 * The kernel itself reads and writes memory that is in VRAM: I/O without
 * copies, other processes, a debugger, a core dump.
 */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "gsvm_igt.h"
#include "gsvm_place.h"
#include "gsvm_proc.h"
#include "shared.h"

#define SIZE	HUGE

/* Small pages and a huge page, both in VRAM; each case runs with either. */
static char *in_vram_kind(struct queue *q, bool huge, uint32_t seed)
{
	return huge ? map_thp_in_vram(q, SIZE, seed) : map_in_vram(q, SIZE, seed);
}

static int disk_file(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", disk_dir(), name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
	gsvm_require(fd >= 0, "%s: %s\n", path, strerror(errno));
	return fd;
}

/* The disk reads VRAM's pages, and writes to them. */
static void direct(bool huge)
{
	struct queue *q = queue_open();
	char *p = in_vram_kind(q, huge, 1), *check = map_shared(SIZE);
	int fd = disk_file("direct", O_DIRECT | O_TRUNC);

	gsvm_assert_eq(pwrite(fd, p, SIZE, 0), SIZE, "bytes written from VRAM");
	gsvm_assert_eq(pread(fd, check, SIZE, 0), SIZE, "bytes read");
	cpu_verify(check, SIZE, 1, WHOLE, "what was written from VRAM");
	cpu_fill(check, SIZE, 2, WHOLE);
	gsvm_assert_eq(pwrite(fd, check, SIZE, 0), SIZE, "bytes written");
	gpu_pattern(q, p, SIZE, 3, SPARSE);
	expect_vram(q, p, SIZE, "written by the GPU");
	gsvm_assert_eq(pread(fd, p, SIZE, 0), SIZE, "bytes read to VRAM");
	gpu_verify(q, p, SIZE, 2, WHOLE, "what was read to VRAM");
	cpu_verify(p, SIZE, 2, WHOLE, "what was read to VRAM");
	close(fd);
	queue_close(q);
}

static void direct_small(void)
{
	direct(false);
}

static void direct_huge(void)
{
	direct(true);
}

/* Reads from the disk while the GPU pulls the same memory to itself. */
static void direct_during_job(void)
{
	struct queue *q = queue_open();
	struct ctl *ctl = map_shared(PAGE);
	char *p = map_in_vram(q, SIZE, 1), *content = map_shared(SIZE);
	size_t half = SIZE / 2, pages = half / PAGE, i;
	int fd = disk_file("during-job", O_DIRECT | O_TRUNC), round;
	struct gsvm_signal *job;

	cpu_fill(content, SIZE, 2, WHOLE);
	gsvm_assert_eq(pwrite(fd, content, half, 0), half, "bytes written");
	gpu_set(q, p, PAGE, pages, 0, 0);
	/* The first half is the GPU's to count in, the second the disk's. */
	job = gpu_launch(q, "sweep", CTL_ITEMS, U(ctl), U(p), pages, CTL_ITEMS, 0);
	for (round = 0; round < 20; round++) {
		prefetch_async(q, p, SIZE, DRM_GSVM_REGION_VRAM, make_signal(1));
		gsvm_assert_eq(pread(fd, p + half, half, 0), half, "bytes read to VRAM");
		cpu_verify(p + half, half, 2, SPARSE, "what was read");
	}
	gsvm_poke(&ctl->stop, 1);
	gpu_wait(q, job);
	for (i = 0; i < pages; i++)
		gsvm_assert_eq(*(uint64_t *)(p + i * PAGE), ctl->rounds[i % CTL_ITEMS],
			       "increments in a page beside I/O");
	gpu_verify(q, p + half, half, 2, WHOLE, "what was read");
	close(fd);
	queue_close(q);
}

static void buffered(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1), *h = map_thp_in_vram(q, SIZE, 2);
	int fd = disk_file("buffered", O_TRUNC);

	gsvm_assert_eq(pwrite(fd, p, SIZE, 0), SIZE, "bytes written from VRAM");
	gsvm_assert_eq(pwrite(fd, h, SIZE, SIZE), SIZE, "bytes written from VRAM");
	to_vram(q, p, SIZE);
	to_vram(q, h, SIZE);
	gsvm_assert_eq(pread(fd, p, SIZE, SIZE), SIZE, "bytes read to VRAM");
	gsvm_assert_eq(pread(fd, h, SIZE, 0), SIZE, "bytes read to VRAM");
	gpu_verify(q, p, SIZE, 2, WHOLE, "what was read to VRAM");
	gpu_verify(q, h, SIZE, 1, WHOLE, "what was read to VRAM");
	close(fd);
	queue_close(q);
}

static void splice_out(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1), *got = map_shared(16 * PAGE);
	size_t at, done;
	int ends[2];

	gsvm_sys(pipe(ends));
	for (at = 0; at < SIZE; at += 16 * PAGE) {
		struct iovec iov = { p + at, 16 * PAGE };

		gsvm_assert_eq(vmsplice(ends[1], &iov, 1, 0), 16 * PAGE, "bytes spliced");
		for (done = 0; done < 16 * PAGE;)
			done += gsvm_sys(read(ends[0], got + done, 16 * PAGE - done));
		cpu_verify_part(got, at, 16 * PAGE, 1, WHOLE, "what came out of the pipe");
	}
	gpu_verify(q, p, SIZE, 1, WHOLE, "afterwards");
	close(ends[0]);
	close(ends[1]);
	queue_close(q);
}

/* Another process, which was there before the pages were, reads and writes them. */
static void process_vm(bool huge)
{
	char *buf = map_shared(SIZE);
	struct { void *where; } *share = map_shared(PAGE);
	struct child *c = gsvm_fork();
	struct queue *q;

	if (!c->pid) {
		struct iovec local = { buf, SIZE }, remote = { .iov_len = SIZE };

		gsvm_hear(c);
		remote.iov_base = share->where;
		gsvm_assert_eq(process_vm_readv(getppid(), &local, 1, &remote, 1, 0), SIZE,
			       "bytes read");
		cpu_verify(buf, SIZE, 1, WHOLE, "read from another process's VRAM");
		gsvm_tell(c);
		gsvm_hear(c);
		cpu_fill(buf, SIZE, 2, WHOLE);
		gsvm_assert_eq(process_vm_writev(getppid(), &local, 1, &remote, 1, 0), SIZE,
			       "bytes written");
		gsvm_exit();
	}
	q = queue_open();
	share->where = in_vram_kind(q, huge, 1);
	gsvm_tell(c);
	gsvm_hear(c);
	gpu_verify(q, share->where, SIZE, 1, WHOLE, "after another process's reads");
	to_vram(q, share->where, SIZE);
	gsvm_tell(c);
	gsvm_join(c);
	gpu_verify(q, share->where, SIZE, 2, WHOLE, "after another process's writes");
	cpu_verify(share->where, SIZE, 2, WHOLE, "after another process's writes");
	queue_close(q);
}

static void process_vm_small(void)
{
	process_vm(false);
}

static void process_vm_huge(void)
{
	process_vm(true);
}

static void proc_mem(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1), *h = map_thp_in_vram(q, SIZE, 2);
	char *buf = map_shared(SIZE);
	int fd = gsvm_sys(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
	uint32_t seed;
	ssize_t n;

	gsvm_assert_eq(pread(fd, buf, SIZE, U(p)), SIZE, "bytes read");
	cpu_verify(buf, SIZE, 1, WHOLE, "/proc/self/mem of VRAM");
	gsvm_assert_eq(pwrite(fd, buf, SIZE, U(h)), SIZE, "bytes written");
	gpu_verify(q, h, SIZE, 1, WHOLE, "written through /proc/self/mem");
	/* It writes to what is read-only too, where the kernel lets it. */
	gsvm_sys(mprotect(p, SIZE, PROT_READ));
	to_vram(q, p, SIZE);
	cpu_fill(buf, SIZE, 3, WHOLE);
	errno = 0;
	n = pwrite(fd, buf, SIZE, U(p));
	gsvm_assert(n == (ssize_t)SIZE || (n == -1 && errno == EIO),
		    "a write to read-only memory gave %zd, %s\n", n, strerror(errno));
	seed = n == -1 ? 1 : 3;
	gpu_verify(q, p, SIZE, seed, WHOLE, "read-only, after a write through /proc/self/mem");
	cpu_verify(p, SIZE, seed, WHOLE, "read-only, after a write through /proc/self/mem");
	close(fd);
	queue_close(q);
}

/* A debugger looks into VRAM and changes it. */
static void debugger(void)
{
	struct { char *small, *huge; } *share = map_shared(PAGE);
	struct child *c = gsvm_fork();
	size_t at;
	int status;

	if (!c->pid) {
		struct queue *q = queue_open();

		share->small = map_in_vram(q, SIZE, 1);
		share->huge = map_thp_in_vram(q, SIZE, 2);
		gsvm_sys(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		gsvm_assert_eq(gpu_read(q, share->small + 5 * PAGE), 1234, "poked word");
		gsvm_assert_eq(gpu_read(q, share->huge + 5 * PAGE), 5678, "poked word");
		gpu_write(q, share->small + 5 * PAGE, pattern_word(1, 5 * PAGE));
		gpu_write(q, share->huge + 5 * PAGE, pattern_word(2, 5 * PAGE));
		gpu_verify(q, share->small, SIZE, 1, WHOLE, "all else");
		gpu_verify(q, share->huge, SIZE, 2, WHOLE, "all else");
		gsvm_exit();
	}
	gsvm_sys(waitpid(c->pid, &status, WUNTRACED));
	/* It ended before: with a message. */
	if (!WIFSTOPPED(status)) {
		gsvm_assert(WIFEXITED(status) && !WEXITSTATUS(status), "child: %s\n", c->message);
		gsvm_assert(false, "the child did not stop\n");
	}
	for (at = 0; at < SIZE; at += 37 * PAGE) {
		errno = 0;
		gsvm_assert_eq(ptrace(PTRACE_PEEKDATA, c->pid, share->small + at, NULL),
			       pattern_word(1, at), "peeked word");
		gsvm_assert_eq(ptrace(PTRACE_PEEKDATA, c->pid, share->huge + at, NULL),
			       pattern_word(2, at), "peeked word");
	}
	gsvm_sys(ptrace(PTRACE_POKEDATA, c->pid, share->small + 5 * PAGE, 1234));
	gsvm_sys(ptrace(PTRACE_POKEDATA, c->pid, share->huge + 5 * PAGE, 5678));
	gsvm_sys(ptrace(PTRACE_CONT, c->pid, NULL, NULL));
	gsvm_join(c);
}

/* Content of the dumped memory from @addr on; false: the dump does not have it. */
static bool from_core(int fd, uint64_t addr, void *to, size_t size)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;
	unsigned int i;

	gsvm_assert_eq(pread(fd, &head, sizeof(head), 0), sizeof(head), "bytes of the header");
	gsvm_assert(!memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_type == ET_CORE,
		    "the dump is no core file\n");
	for (i = 0; i < head.e_phnum; i++) {
		gsvm_assert_eq(pread(fd, &part, sizeof(part), head.e_phoff + i * sizeof(part)),
			       sizeof(part), "bytes of a program header");
		if (part.p_type == PT_LOAD && addr >= part.p_vaddr &&
		    addr + size <= part.p_vaddr + part.p_filesz)
			return pread(fd, to, size, part.p_offset + addr - part.p_vaddr) ==
			       (ssize_t)size;
	}
	return false;
}

/* The content of SIZE bytes that were in VRAM, as the dump of their process has it. */
static char *dumped(bool huge)
{
	char **share = map_shared(PAGE);
	struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	char dir[] = "/tmp/gsvm-core-XXXXXX", path[64], old[128] = "", *buf = map_shared(SIZE);
	siginfo_t info = { 0 };
	struct child *c;
	int fd;

	gsvm_assert(mkdtemp(dir), "mkdtemp: %s\n", strerror(errno));
	snprintf(path, sizeof(path), "%s/core", dir);
	fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	gsvm_require(fd >= 0, "this kernel dumps no core\n");
	gsvm_assert(read(fd, old, sizeof(old) - 1) > 0, "core_pattern\n");
	close(fd);
	gsvm_assert(write_text("/proc/sys/kernel/core_pattern", path), "core_pattern\n");
	write_text("/proc/sys/kernel/core_uses_pid", "0");
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *q = queue_open();

		*share = huge ? map_thp_in_vram(q, SIZE, 1) : map_in_vram(q, SIZE, 1);
		gsvm_sys(setrlimit(RLIMIT_CORE, &any));
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	gsvm_sys(waitid(P_PID, c->pid, &info, WEXITED | WNOWAIT));
	write_text("/proc/sys/kernel/core_pattern", old);
	gsvm_assert(info.si_code != CLD_EXITED, "child: %s\n", c->message);
	gsvm_assert(info.si_code == CLD_DUMPED, "no core was dumped: code %d, status %d\n",
		    info.si_code, info.si_status);
	gsvm_kill(c);
	fd = gsvm_sys(open(path, O_RDONLY | O_CLOEXEC));
	gsvm_assert(from_core(fd, U(*share), buf, SIZE), "the dump lacks the memory\n");
	close(fd);
	unlink(path);
	rmdir(dir);
	return buf;
}

static void core_dump(void)
{
	cpu_verify(dumped(false), SIZE, 1, WHOLE, "dumped VRAM");
}

/*
 * Linux takes a 2 MiB page that is not present for one that nobody has touched when
 * it dumps core (no_page_table() of mm/gup.c, seen in 7.2), and no driver is asked.
 */
static void core_dump_huge(void)
{
	const char *buf = dumped(true);
	size_t i;

	for (i = 0; i < SIZE && !buf[i]; i++)
		;
	gsvm_require(i < SIZE, "this kernel's core dumps pass over huge pages that are not present\n");
	cpu_verify(buf, SIZE, 1, WHOLE, "dumped VRAM, huge");
}

/* System calls that copy to and from the user's memory, byte by byte. */
static void system_calls(void)
{
	struct queue *q = queue_open();
	char *p = map_in_vram(q, SIZE, 1);
	int ends[2];

	/* Across a page boundary, in and out. */
	gsvm_sys(pipe(ends));
	gsvm_assert_eq(write(ends[1], p + 3 * PAGE - 16, 32), 32, "bytes written");
	to_vram(q, p, SIZE);
	gsvm_assert_eq(read(ends[0], p + 9 * PAGE - 16, 32), 32, "bytes read");
	gsvm_assert_eq(gpu_read(q, p + 9 * PAGE - 16), pattern_word(1, 3 * PAGE - 16), "word");
	gsvm_assert_eq(gpu_read(q, p + 9 * PAGE + 8), pattern_word(1, 3 * PAGE + 8), "word");
	to_vram(q, p, SIZE);
	gsvm_assert(getcwd(p + 20 * PAGE - 1, PAGE), "getcwd: %s\n", strerror(errno));
	gsvm_assert(p[20 * PAGE - 1] == '/', "getcwd wrote %#x\n", p[20 * PAGE - 1]);
	close(ends[0]);
	close(ends[1]);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "direct", direct_small, "O_DIRECT reads and writes" },
	{ "direct-huge", direct_huge, "likewise of a huge page" },
	{ "direct-during-job", direct_during_job, "O_DIRECT beside a job that writes" },
	{ "buffered", buffered, "read and write" },
	{ "splice", splice_out, "vmsplice" },
	{ "process-vm", process_vm_small, "process_vm_readv and _writev" },
	{ "process-vm-huge", process_vm_huge, "likewise of a huge page" },
	{ "proc-mem", proc_mem, "/proc/self/mem" },
	{ "debugger", debugger, "PTRACE_PEEKDATA and _POKEDATA" },
	{ "core-dump", core_dump, "a core dump has what was in VRAM" },
	{ "core-dump-huge", core_dump_huge, "likewise huge pages" },
	{ "system-calls", system_calls, "copies by system calls" },
};

GSVM_MAIN(tests)
