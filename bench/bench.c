/* SPDX-License-Identifier: MIT */
/*
 * gsvm-bench: how long faults and changes of memory take, as ratios within one
 * run. docs/benchmarks.rst explains each figure.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void die(const char *what, int err)
{
	fprintf(stderr, "gsvm-bench: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* @us with its ratio to @per, which is one @unit. */
void row(const char *what, double us, double per, const char *unit, const char *remark, ...)
{
	va_list args;

	printf("  %-44s %10.1f us", what, us);
	if (per > 0)
		printf("  %8.2f x %s", us / per, unit);
	if (remark) {
		printf("   ");
		va_start(args, remark);
		vprintf(remark, args);
		va_end(args);
	}
	putchar('\n');
}

void section(const char *title)
{
	printf("\n%s\n", title);
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	char path[4096];
	char *slash;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: gsvm-bench [PROGRAM]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s", argv[0]);
	slash = strrchr(path, '/');
	snprintf(slash ? slash + 1 : path, sizeof(path) - (slash ? slash + 1 - path : 0),
		 "bench.gpu");

	gpu_open(&b, argc == 2 ? argv[1] : path);
	bench_cpu(&b);
	bench_fault(&b);
	bench_hmm(&b);
	bench_rate(&b);
	bench_change(&b);
	bench_metadata(&b);
	bench_migrate(&b);
	bench_pressure(&b);
	gpu_close(&b);
	return 0;
}
