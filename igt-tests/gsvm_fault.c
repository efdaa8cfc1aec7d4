// SPDX-License-Identifier: MIT
/*
 * Faults that cannot be served end their queue, with the right record, and
 * nothing else. Faults that come by the thousand are all served.
 */
#include <fcntl.h>
#include <stdio.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"
#include "shared.h"

#define R	DRM_GSVM_ACCESS_READ
#define W	DRM_GSVM_ACCESS_WRITE
#define X	DRM_GSVM_ACCESS_EXEC
#define A	DRM_GSVM_ACCESS_ATOMIC

/* The values that kernel "touch" takes are those of the record. */
_Static_assert(TOUCH_READ == R && TOUCH_WRITE == W && TOUCH_EXEC == X && TOUCH_ATOMIC == A,
	       "access kinds");

/*
 * One of many work-items does the wrong thing. Another queue of the same VM
 * works before and after.
 */
static void bad_access(void *addr, uint32_t access, uint32_t reason)
{
	struct queue *q = queue_open(), *other = queue_open_vm(q->fd, q->vm);
	struct drm_gsvm_vm_query before, after;
	struct drm_gsvm_queue_query r;
	uint64_t word = 0, index;

	gpu_write(other, &word, 1);
	/* So that it is not the first packet that fails. */
	gpu_run(q, "add", 1, U(&word), 0, 1, 1);
	index = q->next;
	igt_gsvm_vm_query(q->fd, q->vm, &before, 0);
	gpu_expect_fault(q, gpu_launch(q, "touch", 300, U(addr), access, 123), reason, access,
			 addr, 123);
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.pc || access == X, "the record has no pc\n");
	gsvm_assert(access != X || r.pc == U(addr), "pc %#llx of a fetch at %p\n",
		    (unsigned long long)r.pc, addr);
	gsvm_assert_eq(r.packet, index, "packet index");
	igt_gsvm_vm_query(q->fd, q->vm, &after, 0);
	gsvm_assert(after.faults_failed > before.faults_failed,
		    "faults_failed went from %llu to %llu\n",
		    (unsigned long long)before.faults_failed,
		    (unsigned long long)after.faults_failed);
	gpu_run(other, "add", 1, U(&word), 0, 1, 1);
	gsvm_assert_eq(word, 3, "work of the other queue");
	queue_close(other);
	queue_close(q);
}

static void nothing(uint32_t access)
{
	char *p = reserve(HUGE);

	munmap(p, HUGE);
	bad_access(p + 0x128, access, DRM_GSVM_REASON_NOT_MAPPED);
}

static void nothing_read(void)
{
	nothing(R);
}

static void nothing_write(void)
{
	nothing(W);
}

static void nothing_exec(void)
{
	nothing(X);
}

static void nothing_atomic(void)
{
	nothing(A);
}

static void null_pointer(void)
{
	bad_access(NULL, R, DRM_GSVM_REASON_NOT_MAPPED);
}

static void kernel_address(void)
{
	bad_access((void *)0x0000800000001000, R, DRM_GSVM_REASON_NOT_MAPPED);
}

static void beyond_va_bits(void)
{
	bad_access((void *)0xffff888000001000, W, DRM_GSVM_REASON_NOT_MAPPED);
}

static void below_stack(void)
{
	/* Only the CPU's own pushes make the stack grow. */
	bad_access((char *)__builtin_frame_address(0) - 4 * HUGE, W, DRM_GSVM_REASON_NOT_MAPPED);
}

static void prot_none(uint32_t access)
{
	char *p = reserve(HUGE);

	bad_access(p + 3 * PAGE + 8, access, DRM_GSVM_REASON_PERMISSION);
	munmap(p, HUGE);
}

static void prot_none_read(void)
{
	prot_none(R);
}

static void prot_none_write(void)
{
	prot_none(W);
}

static void read_only(uint32_t access)
{
	char *p = map_anon(4 * PAGE);
	struct queue *q;

	cpu_set(p, PAGE, 4, 70, 1);
	gsvm_sys(mprotect(p, 4 * PAGE, PROT_READ));
	bad_access(p + PAGE, access, DRM_GSVM_REASON_PERMISSION);
	cpu_check(p, PAGE, 4, 70, 1, "read-only memory");
	q = queue_open();
	gpu_check(q, p, PAGE, 4, 70, 1);
	queue_close(q);
}

static void read_only_write(void)
{
	read_only(W);
}

static void read_only_atomic(void)
{
	read_only(A);
}

static void not_executable(void)
{
	uint32_t *p = map_anon(PAGE);

	p[0] = 0x00008067;	/* ret */
	bad_access(p, X, DRM_GSVM_REASON_PERMISSION);
}

/* That the GPU may read a page, and has it mapped, gives no right to execute it. */
static void read_not_executable(void)
{
	struct queue *q = queue_open(), *other = queue_open_vm(q->fd, q->vm);
	uint32_t *p = map_anon(PAGE);

	p[0] = 0x00008067;	/* ret */
	gpu_check(other, p, 0, 1, p[0], 0);
	gpu_expect_fault(q, gpu_launch(q, "touch", 1, U(p), X, 0), DRM_GSVM_REASON_PERMISSION, X,
			 p, 0);
	queue_close(other);
	queue_close(q);
}

/* The file's last page is there, the one behind it is not. */
static void past_end(uint32_t access)
{
	int fd = make_memfd(PAGE + 100);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct queue *q = queue_open();

	gsvm_assert(p != MAP_FAILED, "mmap\n");
	gpu_set(q, p, PAGE, 2, 40, 1);
	cpu_check(p, PAGE, 2, 40, 1, "pages inside the file");
	bad_access(p + 2 * PAGE, access, DRM_GSVM_REASON_BUS);
	bad_access(p + 3 * PAGE + 16, access, DRM_GSVM_REASON_BUS);
	close(fd);
	munmap(p, 4 * PAGE);
	queue_close(q);
}

static void past_end_read(void)
{
	past_end(R);
}

static void past_end_write(void)
{
	past_end(W);
}

/* A device's registers are no memory that the GPU could mirror. */
static void doorbell_page(void)
{
	struct queue *q = queue_open();

	/* The mapping is for writing only, which alone is a reason as well. */
	bad_access((void *)(uintptr_t)q->doorbell, W, (uint32_t)ANY);
	queue_close(q);
}

/* Registers: readable if the CPU asks for it, but without a struct page behind them. */
static void special_mapping(void)
{
	struct queue *q = queue_open();

	gsvm_sys(mprotect(q->doorbell_page, PAGE, PROT_READ | PROT_WRITE));
	bad_access(q->doorbell_page, R, DRM_GSVM_REASON_UNSUPPORTED);
	queue_close(q);
}

/* All work-items fault on nothing at once: one record, and no hang. */
static void all_items(void)
{
	struct queue *q = queue_open(), *other = queue_open();
	char *p = reserve(HUGE);
	struct drm_gsvm_queue_query r;

	gpu_expect(q, gpu_launch(q, "store", 4096, U(p), 8, 1, 1),
		   (struct gpu_error){ DRM_GSVM_ERROR_FAULT, DRM_GSVM_REASON_PERMISSION, W,
				       ANY, ANY });
	igt_gsvm_queue_query(q->fd, q->id, &r, 0);
	gsvm_assert(r.addr >= U(p) && r.addr < U(p) + 4096 * 8, "address %#llx\n",
		    (unsigned long long)r.addr);
	gsvm_assert_eq(r.work_item, (r.addr - U(p)) / 8, "work-item of that address");
	gsvm_assert_eq(gpu_read(other, &(uint64_t){ 5 }), 5, "another VM afterwards");
	queue_close(other);
	queue_close(q);
}

/* A good page between bad ones. */
static void bad_neighbours(void)
{
	struct queue *q = queue_open();
	char *p = reserve(HUGE);
	int fd = make_memfd(PAGE), i;

	for (i = 0; i < 64; i += 4) {
		gsvm_sys(mprotect(p + i * PAGE, PAGE, PROT_READ | PROT_WRITE));
		gsvm_sys(munmap(p + (i + 1) * PAGE, PAGE));
		/* Behind the end of this file. */
		gsvm_assert(mmap(p + (i + 2) * PAGE, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, fd, 4 * PAGE) != MAP_FAILED, "mmap\n");
	}
	gpu_check(q, p, 4 * PAGE, 16, 0, 0);
	gpu_set(q, p, 4 * PAGE, 16, 8, 1);
	cpu_check(p, 4 * PAGE, 16, 8, 1, "good pages");
	close(fd);
	queue_close(q);
}

/* More faults at once than the ring can hold, each in a block of its own. */
static void storm_blocks(void)
{
	struct queue *q = queue_open();
	uint32_t n = 3000, i;
	char *p = mmap(NULL, n * HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	gsvm_assert(p != MAP_FAILED, "mmap\n");
	gsvm_sys(madvise(p, n * HUGE, MADV_NOHUGEPAGE));
	gpu_run(q, "store", n, U(p), HUGE, 1, 1);
	for (i = 0; i < n; i++)
		gsvm_assert_eq(*(uint64_t *)(p + i * HUGE), 1 + i, "word of a block");
	munmap(p, n * HUGE);
	queue_close(q);
}

static void storm_pages(void)
{
	struct queue *q = queue_open();
	uint32_t n = 8192;
	char *p = map_anon(n * PAGE);

	gpu_run(q, "add", n, U(p), PAGE, 1, 3);
	cpu_check(p, PAGE, n, 3, 0, "page of a fault storm");
	queue_close(q);
}

/*
 * What the CPU has filled is mapped all at once, and so the device has reported but one
 * of 512 faults, and no other is left waiting. Whatever the kernel takes from the GPU
 * meanwhile comes on top of it, so the least counts.
 */
static void one_record(void)
{
	FILE *by_block = fopen("/sys/module/gsvm/parameters/fault_by_block", "re");
	struct drm_gsvm_vm_query before, after;
	struct queue *q = queue_open();
	char *p = map_huge_aligned(HUGE);
	uint64_t least = UINT64_MAX;
	int i;

	gsvm_assert(by_block, "no parameter fault_by_block\n");
	gsvm_require(fgetc(by_block) == 'Y', "gsvm was loaded with fault_by_block=0\n");
	fclose(by_block);
	gsvm_sys(madvise(p, HUGE, MADV_NOHUGEPAGE));
	for (i = 0; i < 16; i++) {
		cpu_set(p, PAGE, 512, i, 0);
		igt_gsvm_vm_query(q->fd, q->vm, &before, 0);
		gpu_run(q, "add", 512, U(p), PAGE, 1, 3);
		igt_gsvm_vm_query(q->fd, q->vm, &after, 0);
		cpu_check(p, PAGE, 512, i + 3, 0, "page of the block");
		if (after.faults - before.faults < least)
			least = after.faults - before.faults;
		gsvm_sys(madvise(p, HUGE, MADV_DONTNEED));
	}
	gsvm_assert_eq(least, 1, "faults for a block");
	queue_close(q);
}

/* Thousands of harts, one page: one fault served, all go on. */
static void storm_one_page(void)
{
	struct queue *q = queue_open();
	uint64_t *p = map_anon(PAGE);
	int i;

	for (i = 0; i < 10; i++) {
		gpu_run(q, "add", 4096, U(p), 0, 1, 1);
		gsvm_assert_eq(*p, 4096, "increments");
		gsvm_sys(madvise(p, PAGE, MADV_DONTNEED));
	}
	queue_close(q);
}

/* What the packet processor reads and writes itself can fault too. */
static void packet_kernarg(void)
{
	struct queue *q = queue_open();
	char *p = reserve(HUGE);
	struct gsvm_pkt_kernel packet = {
		.header = GSVM_PKT_KERNEL, .setup = 1, .group_x = 1, .group_y = 1, .group_z = 1,
		.grid_x = 1, .grid_y = 1, .grid_z = 1, .kernel = gpu_kernel("load"),
		.kernarg = U(p),
	};

	gpu_expect_fault(q, gpu_submit(q, &packet, offsetof(struct gsvm_pkt_kernel, signal)),
			 DRM_GSVM_REASON_PERMISSION, R, p, 0);
	queue_close(q);
}

static void packet_kernel(void)
{
	struct queue *q = queue_open();
	char *p = reserve(HUGE);
	struct gsvm_pkt_kernel packet = {
		.header = GSVM_PKT_KERNEL, .setup = 1, .group_x = 1, .group_y = 1, .group_z = 1,
		.grid_x = 1, .grid_y = 1, .grid_z = 1, .kernel = U(p),
	};

	munmap(p, HUGE);
	gpu_expect_fault(q, gpu_submit(q, &packet, offsetof(struct gsvm_pkt_kernel, signal)),
			 DRM_GSVM_REASON_NOT_MAPPED, R, p, ANY);
	queue_close(q);
}

static void packet_copy(void)
{
	struct queue *q = queue_open(), *second = queue_open_vm(q->fd, q->vm);
	char *p = map_anon(3 * PAGE), *to = map_anon(3 * PAGE);

	gsvm_sys(mprotect(p + PAGE, PAGE, PROT_NONE));
	gpu_expect_fault(q, gpu_copy(q, to, p, 3 * PAGE), DRM_GSVM_REASON_PERMISSION, R,
			 p + PAGE, ANY);
	gsvm_sys(mprotect(p + PAGE, PAGE, PROT_READ));
	gpu_expect_fault(second, gpu_fill(second, p, 1, 3 * PAGE), DRM_GSVM_REASON_PERMISSION, W,
			 p + PAGE, ANY);
	gsvm_assert_eq(*(uint64_t *)(p + PAGE), 0, "protected page behind a fill");
	queue_close(second);
	queue_close(q);
}

static const struct gsvm_subtest tests[] = {
	{ "nothing-read", nothing_read, "read where nothing is mapped" },
	{ "nothing-write", nothing_write, "write where nothing is mapped" },
	{ "nothing-exec", nothing_exec, "instruction fetch where nothing is mapped" },
	{ "nothing-atomic", nothing_atomic, "atomic where nothing is mapped" },
	{ "null-pointer", null_pointer, "the null pointer" },
	{ "kernel-address", kernel_address, "the first address that user space cannot have" },
	{ "beyond-va-bits", beyond_va_bits, "an address of more than 48 bits" },
	{ "below-stack", below_stack, "far below the stack" },
	{ "prot-none-read", prot_none_read, "read of PROT_NONE memory" },
	{ "prot-none-write", prot_none_write, "write to PROT_NONE memory" },
	{ "read-only-write", read_only_write, "write to PROT_READ memory changes nothing" },
	{ "read-only-atomic", read_only_atomic, "atomic on PROT_READ memory changes nothing" },
	{ "not-executable", not_executable, "instruction fetch from data" },
	{ "read-not-executable", read_not_executable, "likewise, after it was read" },
	{ "past-end-read", past_end_read, "read past the end of a file" },
	{ "past-end-write", past_end_write, "write past the end of a file" },
	{ "doorbell-page", doorbell_page, "the GPU's own doorbells as memory" },
	{ "special-mapping", special_mapping, "pages that have no struct page" },
	{ "all-items", all_items, "thousands of work-items fault on nothing" },
	{ "bad-neighbours", bad_neighbours, "good pages between bad ones" },
	{ "storm-blocks", storm_blocks, "3,000 faults at once, each in its own 2 MiB" },
	{ "storm-pages", storm_pages, "8,192 pages faulted by as many work-items" },
	{ "one-record", one_record, "512 work-items fault on a block that is there" },
	{ "storm-one-page", storm_one_page, "4,096 work-items fault on one page" },
	{ "packet-kernarg", packet_kernarg, "kernel arguments that cannot be read" },
	{ "packet-kernel", packet_kernel, "a kernel descriptor that is not there" },
	{ "packet-copy", packet_copy, "copies and fills into protected memory" },
};

GSVM_MAIN(tests)
