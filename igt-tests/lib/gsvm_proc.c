// SPDX-License-Identifier: MIT
/*
 * Children, threads and polling.
 *
 * A child is a plain fork(): its pid and the moment of its end matter to the
 * tests. It must not reach libigt, which would go on with the parent's list of
 * subtests; gsvm_fail() sends it to gsvm_child_fail() instead.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

#define MESSAGE_SIZE	512

static struct child *children;		/* of this process, newest first */
static struct child *self_child;	/* set in a child */
static __thread struct thread *self_thread;

struct child *gsvm_fork(void)
{
	struct child *c = calloc(1, sizeof(*c));

	gsvm_assert(c, "no memory\n");
	gsvm_sys(pipe(c->to_child));
	gsvm_sys(pipe(c->to_parent));
	c->message = mmap(NULL, MESSAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	gsvm_assert(c->message != MAP_FAILED, "mmap: %s\n", strerror(errno));
	fflush(NULL);
	c->pid = gsvm_sys(fork());
	if (c->pid) {
		close(c->to_child[0]);
		close(c->to_parent[1]);
		c->list = children;
		children = c;
		return c;
	}
	/* The ends of elder siblings would hide their death from the parent. */
	for (; children; children = children->list) {
		close(children->to_child[1]);
		close(children->to_parent[0]);
	}
	close(c->to_child[1]);
	close(c->to_parent[0]);
	self_child = c;
	return c;
}

bool gsvm_child_fail(const char *message)
{
	if (!self_child)
		return false;
	snprintf(self_child->message, MESSAGE_SIZE, "%s", message);
	_exit(1);
}

void gsvm_exit(void)
{
	_exit(0);
}

void gsvm_tell(struct child *c)
{
	int fd = c->pid ? c->to_child[1] : c->to_parent[1];

	/* A dead reader shows in the next gsvm_hear() or gsvm_join(). */
	signal(SIGPIPE, SIG_IGN);
	if (write(fd, "!", 1) != 1)
		gsvm_assert(errno == EPIPE, "write to a pipe: %s\n", strerror(errno));
}

void gsvm_hear(struct child *c)
{
	struct pollfd p = {
		.fd = c->pid ? c->to_parent[0] : c->to_child[0],
		.events = POLLIN,
	};
	char byte;
	int ret;

	do {
		ret = poll(&p, 1, gsvm_patience_ms());
	} while (ret < 0 && errno == EINTR);
	gsvm_assert(ret == 1, "%s did not answer within %u s\n",
		    c->pid ? "the child" : "the parent", gsvm_patience_ms() / 1000);
	if (read(p.fd, &byte, 1) == 1)
		return;
	if (!c->pid)
		_exit(1);
	gsvm_join(c);
	gsvm_assert(false, "the child ended early, content\n");
}

static void forget(struct child *c)
{
	struct child **p;

	for (p = &children; *p && *p != c; p = &(*p)->list)
		;
	if (*p)
		*p = c->list;
	close(c->to_child[1]);
	close(c->to_parent[0]);
	munmap(c->message, MESSAGE_SIZE);
	free(c);
}

void gsvm_child_gone(void)
{
	struct child *c = gsvm_fork();

	if (!c->pid)
		gsvm_exit();
	gsvm_join(c);
}

void gsvm_join(struct child *c)
{
	char message[MESSAGE_SIZE];
	int status;

	gsvm_sys(waitpid(c->pid, &status, 0));
	memcpy(message, c->message, sizeof(message));
	forget(c);
	gsvm_assert(!WIFSIGNALED(status), "the child was killed by signal %d\n",
		    WTERMSIG(status));
	gsvm_assert(!WEXITSTATUS(status), "child: %s\n", message);
}

int gsvm_reap(struct child *c)
{
	int status;

	gsvm_sys(waitpid(c->pid, &status, 0));
	forget(c);
	return status;
}

void gsvm_kill(struct child *c)
{
	int status;

	kill(c->pid, SIGKILL);
	/* One that we trace stays stopped, dying or not, until we let it go. */
	ptrace(PTRACE_DETACH, c->pid, 0, 0);
	while (gsvm_sys(waitpid(c->pid, &status, 0)) == c->pid && WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, c->pid, 0, 0);
	forget(c);
}

void gsvm_children_end(void)
{
	while (children)
		gsvm_kill(children);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	self_thread = t;
	t->run(t->arg);
	return NULL;
}

void gsvm_thread(struct thread *t, void (*run)(void *), void *arg)
{
	t->run = run;
	t->arg = arg;
	t->message[0] = 0;
	gsvm_assert(!pthread_create(&t->id, NULL, thread_main, t), "no thread\n");
}

bool gsvm_thread_fail(const char *message)
{
	if (!self_thread)
		return false;
	snprintf(self_thread->message, sizeof(self_thread->message), "%s", message);
	pthread_exit(NULL);
}

void gsvm_thread_join(struct thread *t)
{
	pthread_join(t->id, NULL);
	gsvm_assert(!t->message[0], "thread: %s\n", t->message);
}

void gsvm_threads_join(struct thread *t, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
	for (i = 0; i < n; i++)
		gsvm_assert(!t[i].message[0], "thread %u: %s\n", i, t[i].message);
}

uint64_t gsvm_peek(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void gsvm_poke(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void gsvm_pace(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

void gsvm_await(const uint64_t *word, uint64_t value, const char *what)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	unsigned int i;

	for (i = 0; gsvm_peek(word) < value; i++) {
		if (i < 100) {
			sched_yield();
			continue;
		}
		gsvm_pace();
		gsvm_assert(gsvm_deadline(0) < end, "%s: %#llx after %u s, expected %#llx\n",
			    what, (unsigned long long)gsvm_peek(word), gsvm_patience_ms() / 1000,
			    (unsigned long long)value);
	}
}
