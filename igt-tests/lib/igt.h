/* SPDX-License-Identifier: MIT */
/*
 * What these tests use of libigt.
 *
 * Debian ships the library without headers, so the few exported functions are
 * declared here, with macros of our own around them. A test is a table of
 * subtests; each runs between sigsetjmp() and igt_success(), and a failure
 * inside jumps back into the library.
 */
#ifndef GSVM_TESTS_IGT_H
#define GSVM_TESTS_IGT_H

#include <getopt.h>
#include <setjmp.h>
#include <stdbool.h>

typedef int (*igt_opt_handler_t)(int opt, int index, void *data);

extern sigjmp_buf igt_subtest_jmpbuf;

int igt_subtest_init_parse_opts(int *argc, char **argv, const char *short_opts,
				const struct option *long_opts, const char *help,
				igt_opt_handler_t handler, void *data);
bool __igt_fixture(void);
void __igt_fixture_complete(void) __attribute__((noreturn));
bool __igt_run_subtest(const char *name, const char *file, int line);
void igt_describe_f(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void igt_success(void);
void igt_exit(void) __attribute__((noreturn));
void __igt_fail_assert(const char *domain, const char *file, int line, const char *func,
		       const char *assertion, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 6, 7)));
void __igt_skip_check(const char *file, int line, const char *func, const char *check,
		      const char *fmt, ...)
	__attribute__((noreturn, format(printf, 5, 6)));
void igt_emit_ignore_dmesg_regex(const char *regex);
void igt_set_timeout(unsigned int seconds, const char *op);
void igt_reset_timeout(void);

#endif
