// SPDX-License-Identifier: MIT
/*
 * Memory is short: processes whose memory the GPU works on are killed for it,
 * and reaped while they are still there.
 *
 * The kernel reaps a victim that is slow to die without waiting for anything:
 * notifiers are asked not to block, and a part of the memory whose notifier
 * would have to is left alone. A victim is made slow by tracing it: it stops at
 * its own exit (PTRACE_EVENT_EXIT), killed already, with its memory, its files
 * and its GPU jobs, for as long as the test needs.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define PAGES		1024
#define SIZE		(PAGES * PAGE)
#define SIZE_KB		((long)(SIZE >> 10))

/* What the kernel says when it kills for want of memory. */
#define OOM_MESSAGES								\
	"oom-killer|oom_reaper|[Oo]ut of memory|oom-kill|Memory cgroup|memory: usage|"	\
	"swap: usage|Tasks state|\\[ *[0-9]+\\] +[0-9]+ +[0-9]+|Call Trace|</?TASK>|"	\
	"CPU: [0-9]+ |Tainted: |Hardware name|Workqueue: gsvm|"				\
	"[a-zA-Z_0-9.]+\\+0x[0-9a-f]+/0x|R[A-Z0-9]+: |Code: "

/**
 * struct victim - a child that the GPU works for
 * @c: the child, traced
 * @ctl: of its job
 */
struct victim {
	struct child *c;
	struct ctl *ctl;
};

/* Memory that does not merge with what lies beside it. */
static char *map_alone(void)
{
	char *p = reserve(SIZE + 2 * HUGE) + HUGE;

	gsvm_sys(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	gsvm_sys(madvise(p, SIZE, MADV_NOHUGEPAGE));
	return p;
}

/*
 * In the child: @mirrored is in the GPU's hands and stays there, @returned was
 * and is not any more, @untouched never was.
 */
static void victim_work(struct victim *v)
{
	char *mirrored = map_alone(), *returned = map_alone(), *untouched = map_alone();
	struct queue *q = queue_open(), *second = queue_open_vm(q->fd, q->vm);
	int i;

	cpu_set(untouched, PAGE, PAGES, 1, 1);
	gpu_set(second, mirrored, PAGE, PAGES, 0, 0);
	/*
	 * One fault for each block. Of many, the last ones may be served when the
	 * job is over, and give the GPU what is meant to be returned.
	 */
	cpu_set(returned, PAGE, PAGES, 1, 1);
	for (i = 0; i < PAGES; i += HUGE / PAGE)
		gsvm_assert_eq(gpu_read(second, (uint64_t *)(returned + i * PAGE)), 1u + i,
			       "page of memory that will be returned");
	gsvm_sys(madvise(returned, SIZE, MADV_DONTNEED));
	cpu_set(returned, PAGE, PAGES, 1, 1);
	gpu_launch(q, "count", CTL_ITEMS, U(v->ctl), U(mirrored), PAGE);
	for (i = 0; i < CTL_ITEMS; i++)
		gsvm_await(&v->ctl->rounds[i], 2, "a counting work-item");
}

static void victim_start(struct victim *v, void (*then)(struct child *))
{
	v->ctl = map_shared(PAGE);
	v->c = gsvm_fork();
	if (!v->c->pid) {
		gsvm_hear(v->c);
		victim_work(v);
		gsvm_tell(v->c);
		gsvm_hear(v->c);
		then(v->c);
		gsvm_exit();
	}
	gsvm_assert(!ptrace(PTRACE_SEIZE, v->c->pid, 0, PTRACE_O_TRACEEXIT),
		    "PTRACE_SEIZE: %s\n", strerror(errno));
}

/* It has been killed, and is on its way out: this far, and no further. */
static void victim_await_exit(struct victim *v)
{
	int status;

	gsvm_sys(waitpid(v->c->pid, &status, 0));
	gsvm_assert(status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8),
		    "the victim has status %#x instead of stopping at its exit\n", status);
}

static long victim_rss_kb(struct victim *v)
{
	char path[64], line[128];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", v->c->pid);
	f = fopen(path, "re");
	gsvm_assert(f, "%s: %s\n", path, strerror(errno));
	while (kb < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "RssAnon: %ld kB", &kb);
	fclose(f);
	gsvm_assert(kb >= 0, "%s has no RssAnon\n", path);
	return kb;
}

/* What the GPU has in its hands stayed, with its job; the rest is gone. */
static void victim_check_reaped(struct victim *v, long before_kb)
{
	uint64_t rounds[CTL_ITEMS];
	long kb = victim_rss_kb(v);
	int i;

	gsvm_assert(kb <= before_kb - 2 * SIZE_KB,
		    "%ld KiB are left of %ld: memory that the GPU does not use was not reaped\n",
		    kb, before_kb);
	gsvm_assert(kb >= SIZE_KB, "%ld KiB are left: the GPU's pages were reaped\n", kb);
	for (i = 0; i < CTL_ITEMS; i++)
		rounds[i] = gsvm_peek(&v->ctl->rounds[i]);
	for (i = 0; i < CTL_ITEMS; i++)
		gsvm_await(&v->ctl->rounds[i], rounds[i] + 2, "the victim's job, after the reaper");
}

/* Let it go; then its job must be over, and the GPU free for others. */
static void victim_end(struct victim *v)
{
	uint64_t rounds[CTL_ITEMS];
	struct queue *q;
	int status, i;

	gsvm_sys(ptrace(PTRACE_DETACH, v->c->pid, 0, 0));
	status = gsvm_reap(v->c);
	gsvm_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		    "the victim ended with status %#x\n", status);
	for (i = 0; i < CTL_ITEMS; i++)
		rounds[i] = gsvm_peek(&v->ctl->rounds[i]);
	q = queue_open();
	for (i = 0; i < 20; i++)
		gsvm_assert_eq(gpu_read(q, &v->ctl->rounds[i]), rounds[i],
			       "count of a victim's work-item, later");
	queue_close(q);
}

/* ---- process_mrelease ------------------------------------------------------------ */

static void end_never(struct child *c)
{
	gsvm_hear(c);
}

static void reap_in_vain(int pidfd)
{
	long ret = syscall(SYS_process_mrelease, pidfd, 0);

	gsvm_assert(ret == -1 && errno == EAGAIN,
		    "process_mrelease gave %ld, %s; the GPU uses some of the memory\n", ret,
		    strerror(errno));
}

/*
 * The reaper's own function, called by hand, as often as one likes. A call can meet
 * somebody who holds a lock for a moment, and leave more than it has to; the
 * kernel's reaper comes back as well.
 */
static void mrelease(void)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct victim v;
	long before;
	int pidfd, i;

	victim_start(&v, end_never);
	gsvm_tell(v.c);
	gsvm_hear(v.c);
	before = victim_rss_kb(&v);
	pidfd = gsvm_sys(syscall(SYS_pidfd_open, v.c->pid, 0));
	gsvm_sys(kill(v.c->pid, SIGKILL));
	victim_await_exit(&v);
	do
		reap_in_vain(pidfd);
	while (victim_rss_kb(&v) > before - 2 * SIZE_KB && gsvm_deadline(0) < end);
	for (i = 0; i < 20; i++) {
		reap_in_vain(pidfd);
		victim_check_reaped(&v, before);
	}
	close(pidfd);
	victim_end(&v);
}

/* ---- the OOM reaper ----------------------------------------------------------------- */

#define CGROUP		"/sys/fs/cgroup/gsvm-oom"
#define LIMIT_MB	64

static void cgroup_make(void)
{
	char text[32];

	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	rmdir(CGROUP);
	gsvm_require(!mkdir(CGROUP, 0755), "no cgroup can be made: %s\n", strerror(errno));
	snprintf(text, sizeof(text), "%d", LIMIT_MB << 20);
	if (!write_text(CGROUP "/memory.max", text)) {
		rmdir(CGROUP);
		gsvm_skip("there is no memory controller\n");
	}
	write_text(CGROUP "/memory.swap.max", "0");
	igt_emit_ignore_dmesg_regex(OOM_MESSAGES);
}

static void cgroup_add(pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", pid);
	gsvm_assert(write_text(CGROUP "/cgroup.procs", text), "%d cannot join: %s\n", pid,
		    strerror(errno));
}

static long cgroup_event(const char *name)
{
	return read_key(CGROUP "/memory.events", name);
}

/*
 * Empty, and nothing of its memory is left but what the kernel caches; who has
 * ended may be on his way out for another moment.
 */
static void cgroup_end(void)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	long left;

	do {
		left = read_number(CGROUP "/memory.current");
		write_text(CGROUP "/memory.reclaim", "64M");
	} while (left > 8 << 20 && gsvm_deadline(0) < end);
	gsvm_assert(left <= 8 << 20, "%ld bytes are still charged to nobody\n", left);
	gsvm_sys(rmdir(CGROUP));
}

static const char *const reaper_events[] = {
	"oom/start_task_reaping", "oom/finish_task_reaping", NULL
};

/* How often the reaper did @event to @pid. */
static unsigned int trace_count(const char *event, pid_t pid)
{
	FILE *f = trace_open();
	char line[512], want[64];
	unsigned int n = 0;
	size_t len;

	len = snprintf(want, sizeof(want), "%s: pid=%d", event, pid);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, want);

		n += at && (at[len] < '0' || at[len] > '9');
	}
	fclose(f);
	return n;
}

static void end_eat(struct child *c)
{
	(void)c;
	for (;;)
		memset(map_anon(1 << 20), 1, 1 << 20);
}

static void reaper(void)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct victim v;
	long before;

	cgroup_make();
	trace_start(reaper_events);
	victim_start(&v, end_eat);
	cgroup_add(v.c->pid);
	gsvm_tell(v.c);
	gsvm_hear(v.c);
	gsvm_tell(v.c);
	victim_await_exit(&v);
	before = victim_rss_kb(&v);
	/* It comes two seconds after the kill, if the victim is still there then. */
	while (!trace_count("finish_task_reaping", v.c->pid)) {
		gsvm_assert(gsvm_deadline(0) < end, "the reaper did not come\n");
		gsvm_pace();
	}
	gsvm_assert(trace_count("start_task_reaping", v.c->pid), "finished without a start\n");
	victim_check_reaped(&v, before);
	victim_end(&v);
	gsvm_assert(cgroup_event("oom_kill") == 1, "%ld processes were killed\n",
		    cgroup_event("oom_kill"));
	trace_stop();
	cgroup_end();
}

/* ---- the GPU asks for too much ---------------------------------------------------------- */

#define TOO_MANY	(2u * LIMIT_MB << (20 - 12))	/* pages */

static void too_much(struct queue *q, char *p, uint32_t reason)
{
	struct gsvm_signal *job = gpu_launch(q, "store", TOO_MANY, U(p), PAGE, 1, 1);

	gpu_expect(q, job, (struct gpu_error){ DRM_GSVM_ERROR_FAULT, reason,
					       DRM_GSVM_ACCESS_WRITE, ANY, ANY });
}

/* Nobody may be killed: the job ends, its process goes on. */
static void no_memory(void)
{
	struct child *c;

	cgroup_make();
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *q = queue_open(), *other = queue_open_vm(q->fd, q->vm);
		struct drm_gsvm_queue_query r;
		char *p = map_anon(TOO_MANY * PAGE);

		gsvm_assert(write_text("/proc/self/oom_score_adj", "-1000"), "oom_score_adj\n");
		cgroup_add(getpid());
		too_much(q, p, DRM_GSVM_REASON_NO_MEMORY);
		igt_gsvm_queue_query(q->fd, q->id, &r, 0);
		gsvm_assert(r.addr >= U(p) && r.addr < U(p) + TOO_MANY * PAGE,
			    "the record's address is %#llx\n", (unsigned long long)r.addr);
		/* With memory again, all is well. */
		gsvm_sys(munmap(p, TOO_MANY * PAGE));
		p = map_anon(SIZE);
		gpu_set(other, p, PAGE, PAGES, 5, 1);
		cpu_check(p, PAGE, PAGES, 5, 1, "after the shortage");
		gsvm_exit();
	}
	gsvm_join(c);
	gsvm_assert_eq(cgroup_event("oom_kill"), 0, "processes killed");
	cgroup_end();
}

/* The one that asks is killed, once, and nobody beside it. */
static void killed(void)
{
	struct child *c, *bystander;
	int status;

	cgroup_make();
	bystander = gsvm_fork();
	if (!bystander->pid) {
		char *p = map_anon(SIZE);

		cgroup_add(getpid());
		cpu_set(p, PAGE, PAGES, 9, 1);
		gsvm_tell(bystander);
		gsvm_hear(bystander);
		cpu_check(p, PAGE, PAGES, 9, 1, "memory of a bystander");
		gsvm_exit();
	}
	gsvm_hear(bystander);
	c = gsvm_fork();
	if (!c->pid) {
		struct queue *q = queue_open();

		cgroup_add(getpid());
		too_much(q, map_anon(TOO_MANY * PAGE), (uint32_t)ANY);
		gsvm_assert(false, "the process has survived, its job has not\n");
	}
	status = gsvm_reap(c);
	gsvm_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		    "the process ended with status %#x\n", status);
	gsvm_tell(bystander);
	gsvm_join(bystander);
	gsvm_assert_eq(cgroup_event("oom_kill"), 1, "processes killed");
	cgroup_end();
}

static const struct gsvm_subtest tests[] = {
	{ "mrelease", mrelease, "process_mrelease beside a running job" },
	{ "reaper", reaper, "the OOM reaper comes while a killed process's job runs" },
	{ "no-memory", no_memory, "a job that wants too much, where nobody can be killed" },
	{ "killed", killed, "a job that wants too much: its process is killed" },
};

GSVM_MAIN(tests)
