/* SPDX-License-Identifier: MIT */
/*
 * TAP output for the GPU's tests: one program, one list of checks.
 *
 *	int main(void)
 *	{
 *		tap_ok(2 + 2 == 4, "addition");
 *		tap_eq(inb, 5, "inb after reset");
 *		tap_skip("no big machine", "the 1 TiB case");
 *		return tap_done();
 *	}
 *
 * Checks may come from several threads. A failed one says where it stands and
 * what it saw; tap_need() is for what makes everything after it meaningless:
 * it ends the program.
 */
#ifndef GPU_TESTS_TAP_H
#define GPU_TESTS_TAP_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t tap_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int tap_count, tap_failed;

__attribute__((unused, format(printf, 4, 5)))
static bool tap_report(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&tap_lock);
	tap_count++;
	tap_failed += !good;
	printf("%s %u - ", good ? "ok" : "not ok", tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!good)
		printf("# at %s:%d\n", file, line);
	fflush(stdout);
	pthread_mutex_unlock(&tap_lock);
	return good;
}

__attribute__((unused, format(printf, 1, 2)))
static void tap_note(const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&tap_lock);
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	pthread_mutex_unlock(&tap_lock);
}

/* Prints the plan; the program's exit status. */
__attribute__((unused))
static int tap_done(void)
{
	printf("1..%u\n", tap_count);
	fflush(stdout);
	return tap_failed || !tap_count;
}

__attribute__((unused))
static bool tap_compare(uint64_t got, uint64_t want, const char *file, int line, const char *name)
{
	bool good = got == want;

	tap_report(good, file, line, "%s", name);
	if (!good)
		tap_note("got 0x%llx (%lld), expected 0x%llx (%lld)", (unsigned long long)got,
			 (long long)got, (unsigned long long)want, (long long)want);
	return good;
}

/* A condition; format and arguments name the check. True when it holds. */
#define tap_ok(cond, ...)	tap_report(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
/* Two integers are equal. */
#define tap_eq(got, want, name)	\
	tap_compare((uint64_t)(got), (uint64_t)(want), __FILE__, __LINE__, name)
#define tap_skip(reason, name)	\
	tap_report(true, __FILE__, __LINE__, "%s # SKIP %s", name, reason)
/* A condition without which the rest makes no sense; silent when it holds. */
#define tap_need(cond, ...) do {						\
	if (!(cond)) {								\
		tap_report(false, __FILE__, __LINE__, __VA_ARGS__);		\
		printf("Bail out! %s\n", #cond);				\
		fflush(stdout);							\
		exit(1);							\
	}									\
} while (0)

/* Small deterministic generator (splitmix64) for random tests. */
__attribute__((unused))
static uint64_t tap_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
