/* SPDX-License-Identifier: MIT */
/*
 * TAP from C: one ok() per fact, skip() for what cannot be tested here, and
 * `return tap_done();' at the end of main().
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused))
static bool tap_ok(bool good, const char *format, ...)
{
	va_list args;

	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	tap_failed += !good;
	return good;
}

/* Is @got what is expected? Both are printed when not. */
__attribute__((unused))
static bool tap_is(long long got, long long expected, const char *name)
{
	bool good = tap_ok(got == expected, "%s", name);

	if (!good)
		printf("# got %lld, expected %lld\n", got, expected);
	return good;
}

__attribute__((unused))
static void tap_skip(const char *name, const char *reason)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, name, reason);
}

#define ok(good, ...)		tap_ok(good, __VA_ARGS__)
#define is(got, expected, name)	tap_is((long long)(got), (long long)(expected), name)
#define skip(name, reason)	tap_skip(name, reason)

static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif
