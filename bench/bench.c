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
#include <unistd.h>

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

/* The sections, in the order in which they are measured; each needs the units before it. */
static const struct {
	const char *name;
	void (*run)(struct bench *b);
} sections[] = {
	{ "fault", bench_fault },
	{ "hmm", bench_hmm },
	{ "rate", bench_rate },
	{ "change", bench_change },
	{ "metadata", bench_metadata },
	{ "migrate", bench_migrate },
	{ "threads", bench_threads },
	{ "pressure", bench_pressure },
};

#define SECTIONS	(sizeof(sections) / sizeof(sections[0]))

static int usage(void)
{
	fprintf(stderr, "usage: gsvm-bench [-p PROGRAM] [SECTION...]\nsections:");
	for (unsigned int i = 0; i < SECTIONS; i++)
		fprintf(stderr, " %s", sections[i].name);
	fputc('\n', stderr);
	return 2;
}

static bool known(const char *name)
{
	for (unsigned int i = 0; i < SECTIONS; i++)
		if (!strcmp(name, sections[i].name))
			return true;
	return false;
}

/* Without any name, all are meant. */
static bool chosen(const char *name, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return !n;
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	const char *program = NULL;
	char path[4096];
	char *slash;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "p:")) != -1) {
		if (opt != 'p')
			return usage();
		program = optarg;
	}
	for (int i = optind; i < argc; i++)
		if (!known(argv[i]))
			return usage();
	snprintf(path, sizeof(path), "%s", argv[0]);
	slash = strrchr(path, '/');
	snprintf(slash ? slash + 1 : path, sizeof(path) - (slash ? slash + 1 - path : 0),
		 "bench.gpu");

	gpu_open(&b, program ? program : path);
	memory_warm(&b);
	bench_cpu(&b);
	for (unsigned int i = 0; i < SECTIONS; i++)
		if (chosen(sections[i].name, argv + optind, argc - optind))
			sections[i].run(&b);
	gpu_close(&b);
	return 0;
}
