// SPDX-License-Identifier: MIT
/*
 * Running a table of subtests, failing, and the ioctl wrappers.
 */
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

/* After which the runner takes a subtest for hung, if it does not tell. */
#define LIMIT_SECONDS	300

static const struct gsvm_subtest *running;

/* GSVM_TEST_LIMIT, which is longer for kernels on which everything takes longer. */
static unsigned int limit_seconds(void)
{
	const char *limit = getenv("GSVM_TEST_LIMIT");
	int seconds = limit ? atoi(limit) : 0;

	return seconds > 0 ? seconds : LIMIT_SECONDS;
}

unsigned int gsvm_patience_ms(void)
{
	return limit_seconds() * 1000 / 5 * 2;
}

static void clean_up(void)
{
	gsvm_children_end();
	gpu_close_all();
}

/*
 * The GPU can check itself (gsvm-gpu --check): an access through a page-table
 * entry after its invalidation was complete counts as a violation. There must
 * never be one, whatever a subtest did.
 */
static void check_violations(void)
{
	unsigned long long n;
	char line[128];
	glob_t files;
	size_t i;
	FILE *f;

	if (glob("/sys/kernel/debug/dri/*/stats", 0, NULL, &files))
		return;
	for (i = 0; i < files.gl_pathc; i++) {
		f = fopen(files.gl_pathv[i], "re");
		while (f && fgets(line, sizeof(line), f))
			gsvm_assert(sscanf(line, "violations: %llu", &n) != 1 || !n,
				    "%s: the GPU made %llu accesses after an invalidation\n",
				    files.gl_pathv[i], n);
		if (f)
			fclose(f);
	}
	globfree(&files);
}

static void run_one(const struct gsvm_subtest *test)
{
	gpu_revive_all();
	igt_set_timeout(limit_seconds() / 5 * 4, test->name);
	test->run();
	clean_up();
	check_violations();
	igt_reset_timeout();
}

int gsvm_run_subtests(int argc, char **argv, const struct gsvm_subtest *tests, size_t n)
{
	volatile size_t i;

	igt_subtest_init_parse_opts(&argc, argv, NULL, NULL, NULL, NULL, NULL);
	for (i = 0; i < n; i++) {
		igt_describe_f("%s", tests[i].describe);
		if (!__igt_run_subtest(tests[i].name, __FILE__, __LINE__))
			continue;
		if (sigsetjmp(igt_subtest_jmpbuf, 1)) {
			/* Passed, failed or skipped: libigt has noted which. */
			igt_reset_timeout();
			clean_up();
			continue;
		}
		running = &tests[i];
		run_one(running);
		igt_success();
	}
	igt_exit();
}

void gsvm_fail(const char *file, int line, const char *func, const char *expr,
	       const char *fmt, ...)
{
	char text[400], message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(message, sizeof(message), "%s:%d: %s: %s", func, line, expr, text);
	if (!gsvm_thread_fail(message) && !gsvm_child_fail(message))
		__igt_fail_assert(NULL, file, line, func, expr, "%s", text);
	abort();
}

int gsvm_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret == -1 && (errno == EINTR || errno == EAGAIN));
	return ret == -1 ? errno : 0;
}

void gsvm_ioctl_check(int fd, unsigned long request, void *arg, int err, const char *name)
{
	int ret = gsvm_ioctl(fd, request, arg);

	gsvm_assert(ret == err, "%s gave %d (%s), expected %d (%s)\n", name, ret,
		    strerror(ret), err, strerror(err));
}

#define check_ioctl(fd, NAME, arg, err) \
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_##NAME, arg, err, #NAME)

uint64_t igt_gsvm_query(int fd, uint32_t param, int err)
{
	struct drm_gsvm_device_query args = { .param = param };

	check_ioctl(fd, DEVICE_QUERY, &args, err);
	return args.value;
}

uint32_t igt_gsvm_vm_create(int fd, int err)
{
	struct drm_gsvm_vm_create args = { 0 };

	check_ioctl(fd, VM_CREATE, &args, err);
	gsvm_assert(err || args.vm_id, "VM_CREATE returned handle 0\n");
	return args.vm_id;
}

void igt_gsvm_vm_destroy(int fd, uint32_t vm, int err)
{
	struct drm_gsvm_vm_destroy args = { .vm_id = vm };

	check_ioctl(fd, VM_DESTROY, &args, err);
}

void igt_gsvm_vm_query(int fd, uint32_t vm, struct drm_gsvm_vm_query *out, int err)
{
	memset(out, 0, sizeof(*out));
	out->vm_id = vm;
	check_ioctl(fd, VM_QUERY, out, err);
}

void igt_gsvm_queue_create(int fd, struct drm_gsvm_queue_create *args, int err)
{
	check_ioctl(fd, QUEUE_CREATE, args, err);
	gsvm_assert(err || args->queue_id, "QUEUE_CREATE returned handle 0\n");
}

void igt_gsvm_queue_destroy(int fd, uint32_t queue, int err)
{
	struct drm_gsvm_queue_destroy args = { .queue_id = queue };

	check_ioctl(fd, QUEUE_DESTROY, &args, err);
}

void igt_gsvm_queue_query(int fd, uint32_t queue, struct drm_gsvm_queue_query *out, int err)
{
	memset(out, 0, sizeof(*out));
	out->queue_id = queue;
	check_ioctl(fd, QUEUE_QUERY, out, err);
}

void igt_gsvm_wait(int fd, struct drm_gsvm_wait *args, int err)
{
	check_ioctl(fd, WAIT, args, err);
}

int64_t gsvm_deadline(unsigned int ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec + ms * 1000000ll;
}
