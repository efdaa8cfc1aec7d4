/* SPDX-License-Identifier: MIT */
/* What all benchmarks share: the GPU, memory to measure with, the table. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gsvm.h"

#define KIB	1024ul
#define MIB	(1024ul * KIB)
#define PAGE	(4 * KIB)
#define HUGE	(2 * MIB)

/* Each figure is the median of so many rounds. */
#define ROUNDS	5

struct bench {
	const char *path;	/* of the GPU program */
	struct gsvm_device *device;
	struct gsvm_vm *vm;
	struct gsvm_queue *queue;
	struct gsvm_program *program;
	const struct gsvm_kernel *touch;
	const struct gsvm_kernel *scatter;
	double cpu_fault;	/* us, 4 KiB minor fault of the CPU: the unit of all ratios */
	double cpu_huge;	/* us, first touch of 2 MiB by the CPU */
	double copy_in;		/* us, 2 MiB to VRAM by the GPU's own copy: the limit */
	double copy_out;	/* us, 2 MiB from VRAM likewise */
};

/* What one GPU job did, from the GPU's clock and the driver's counters. */
struct job {
	double us;		/* start to end of the job */
	double driver_us;	/* of that, in the driver's fault services, summed */
	uint64_t faults;	/* fault records */
	uint64_t services;	/* block services */
	uint64_t mapped;	/* 4 KiB pages mapped */
	uint64_t huge;		/* 2 MiB entries made */
	uint64_t left;		/* times that a block stayed in system memory */
};

/* bench.c */
double now_us(void);
double median(double *v, unsigned int n);
void die(const char *what, int err) __attribute__((noreturn));
void row(const char *what, double us, double per, const char *unit, const char *remark, ...)
	__attribute__((format(printf, 5, 6)));
void section(const char *title);

/* memory.c: private anonymous memory, aligned to 2 MiB, with or without THP. */
void *memory_get(size_t size, bool huge, bool populate);
void memory_put(void *p, size_t size);
/* Free memory, in bytes. */
size_t memory_available(void);
/*
 * Touch what there is of memory and VRAM once. A machine that is emulated gets each
 * page of it from the host at its first touch, which would be counted as anybody's
 * work who happens to be the first.
 */
void memory_warm(struct bench *b);

/* gpu.c */
void gpu_open(struct bench *b, const char *path);
void gpu_close(struct bench *b);
struct job gpu_touch(struct bench *b, void *base, uint64_t stride, uint64_t count,
		     uint32_t items, bool write);
struct job gpu_scatter(struct bench *b, void *base, uint64_t pages, uint64_t count,
		       uint32_t items);
uint64_t gpu_metadata(struct bench *b);

/* hmm.c: the peer; a negative @fd: there is none. us for @pages to its device or back. */
int hmm_open(void);
double hmm_move(int fd, bool to_device, void *p, void *mirror, size_t pages, bool huge);

/* migrate.c */
void bench_limits(struct bench *b);
void fill(void *p, size_t size);
void prefetch(struct bench *b, void *p, size_t size, enum gsvm_region region);
void must_be(struct bench *b, void *p, size_t size, uint32_t where, const char *what);

/* One file per question. */
void bench_cpu(struct bench *b);
void bench_fault(struct bench *b);
void bench_hmm(struct bench *b);
void bench_rate(struct bench *b);
void bench_change(struct bench *b);
void bench_metadata(struct bench *b);
void bench_migrate(struct bench *b);
void bench_threads(struct bench *b);
void bench_pressure(struct bench *b);

#endif
