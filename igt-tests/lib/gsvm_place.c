// SPDX-License-Identifier: MIT
/*
 * Where pages are, moving them, and content that says where it belongs.
 *
 * Placement is always asked for, never assumed. MOVING is a state that ends:
 * who wants to know where pages come to rest asks again until they do.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>

#include "gsvm_place.h"
#include "shared.h"

#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define BOUNCE_MS	"/sys/module/gsvm/parameters/bounce_ms"

static void balancing_back(void)
{
	write_text(BALANCING, "1");
}

/*
 * NUMA balancing takes the CPU's access to pages away now and then, to see who
 * wants it back. RESIDENCY cannot tell these from pages that are not there, so
 * it is off in tests that ask where pages are. gsvm_vram_mm has a test with it.
 */
static void steady(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	if (read_number(BALANCING) > 0 && write_text(BALANCING, "0"))
		atexit(balancing_back);
}

void igt_gsvm_prefetch(int fd, struct drm_gsvm_prefetch *args, int err)
{
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_PREFETCH, args, err, "PREFETCH");
}

void igt_gsvm_residency(int fd, struct drm_gsvm_residency *args, int err)
{
	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_RESIDENCY, args, err, "RESIDENCY");
}

void igt_gsvm_vm_set(int fd, uint32_t vm, uint32_t param, uint64_t value, int err)
{
	struct drm_gsvm_vm_set args = { .vm_id = vm, .param = param, .value = value };

	gsvm_ioctl_check(fd, DRM_IOCTL_GSVM_VM_SET, &args, err, "VM_SET");
}

/* ---- where pages are ------------------------------------------------------------ */

/* Words outside of the process's heap: looking must not change what is looked at. */
static uint32_t *residency(struct queue *q, const void *addr, size_t size, size_t *bytes)
{
	struct drm_gsvm_residency args = { .vm_id = q->vm, .start = U(addr), .length = size };

	*bytes = (size / PAGE * sizeof(uint32_t) + PAGE - 1) & ~(PAGE - 1);
	args.pages = U(map_shared(*bytes));
	igt_gsvm_residency(q->fd, &args, 0);
	return (uint32_t *)(uintptr_t)args.pages;
}

uint32_t place_word(struct queue *q, const void *addr)
{
	size_t bytes;
	uint32_t *words = residency(q, (const void *)(U(addr) & ~(PAGE - 1)), PAGE, &bytes);
	uint32_t word = words[0];

	munmap(words, bytes);
	return word;
}

/* False: something is on the way. */
static bool look(struct queue *q, const void *addr, size_t size, struct place *place)
{
	uint32_t gpu = (uint32_t)igt_gsvm_query(q->fd, DRM_GSVM_PARAM_GPU_ID, 0);
	size_t bytes, i, moving = 0;
	uint32_t *words;

	steady();
	words = residency(q, addr, size, &bytes);
	*place = (struct place){ 0 };
	for (i = 0; i < size / PAGE; i++) {
		uint32_t where = words[i] & DRM_GSVM_RESIDENCY_WHERE;

		gsvm_assert(where <= DRM_GSVM_RESIDENCY_MOVING, "residency word %#x of page %zu\n",
			    words[i], i);
		place->absent += where == DRM_GSVM_RESIDENCY_ABSENT;
		place->system += where == DRM_GSVM_RESIDENCY_SYSTEM;
		moving += where == DRM_GSVM_RESIDENCY_MOVING;
		if (where == DRM_GSVM_RESIDENCY_VRAM) {
			bool own = words[i] >> DRM_GSVM_RESIDENCY_GPU_SHIFT == gpu;

			place->vram += own;
			place->other += !own;
		}
		place->huge += !!(words[i] & DRM_GSVM_RESIDENCY_HUGE);
		place->write += !!(words[i] & DRM_GSVM_RESIDENCY_WRITE);
	}
	munmap(words, bytes);
	return !moving;
}

struct place place_of(struct queue *q, const void *addr, size_t size)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	struct place place;

	while (!look(q, addr, size, &place)) {
		gsvm_assert(gsvm_deadline(0) < end, "pages at %p are MOVING for %u s\n", addr,
			    gsvm_patience_ms() / 1000);
		sched_yield();
	}
	return place;
}

static uint32_t where(struct queue *q, const void *addr)
{
	struct place place = place_of(q, (const void *)(U(addr) & ~(PAGE - 1)), PAGE);

	return place.vram ? DRM_GSVM_RESIDENCY_VRAM :
	       place.system ? DRM_GSVM_RESIDENCY_SYSTEM : DRM_GSVM_RESIDENCY_ABSENT;
}

bool in_vram(struct queue *q, const void *addr)
{
	return where(q, addr) == DRM_GSVM_RESIDENCY_VRAM;
}

bool in_system(struct queue *q, const void *addr)
{
	return where(q, addr) == DRM_GSVM_RESIDENCY_SYSTEM;
}

bool is_absent(struct queue *q, const void *addr)
{
	struct place place = place_of(q, (const void *)(U(addr) & ~(PAGE - 1)), PAGE);

	return place.absent;
}

/* Stretches of pages with one answer: where they begin, and where they are. */
static void stretches(struct queue *q, const void *addr, size_t size, char *text, size_t room)
{
	size_t bytes, i, len = 0;
	uint32_t *words = residency(q, addr, size, &bytes);

	text[0] = 0;
	for (i = 0; i < size / PAGE && len < room - 16; i++) {
		uint32_t where = words[i] & DRM_GSVM_RESIDENCY_WHERE;

		if (!i || where != (words[i - 1] & DRM_GSVM_RESIDENCY_WHERE))
			len += snprintf(text + len, room - len, " %zu%c", i, "ASVM"[where & 3]);
	}
	munmap(words, bytes);
}

#define EXPECT(q, addr, size, field, what)						\
	do {										\
		struct place at = place_of(q, addr, size);				\
		char text[128];								\
											\
		if (at.field == (size) / PAGE)						\
			break;								\
		stretches(q, addr, size, text, sizeof(text));				\
		gsvm_assert(at.field == (size) / PAGE,					\
			    "%s: of %zu pages at %p, %zu absent, %zu system, %zu VRAM, "		\
			    "%zu other VRAM, %zu huge; now%s\n",			\
			    what, (size_t)(size) / PAGE, addr, at.absent, at.system, at.vram,	\
			    at.other, at.huge, text);					\
	} while (0)

void expect_vram(struct queue *q, const void *addr, size_t size, const char *what)
{
	EXPECT(q, addr, size, vram, what);
}

void expect_system(struct queue *q, const void *addr, size_t size, const char *what)
{
	EXPECT(q, addr, size, system, what);
}

void expect_absent(struct queue *q, const void *addr, size_t size, const char *what)
{
	EXPECT(q, addr, size, absent, what);
}

void expect_huge_vram(struct queue *q, const void *addr, size_t size, const char *what)
{
	EXPECT(q, addr, size, vram, what);
	EXPECT(q, addr, size, huge, what);
}

/* ---- moving them ---------------------------------------------------------------- */

uint64_t prefetch(struct queue *q, const void *addr, size_t size, uint32_t region)
{
	struct drm_gsvm_prefetch args = {
		.vm_id = q->vm, .start = U(addr), .length = size, .region = region,
	};

	steady();
	igt_gsvm_prefetch(q->fd, &args, 0);
	return args.moved;
}

struct gsvm_signal *prefetch_async(struct queue *q, const void *addr, size_t size,
				   uint32_t region, struct gsvm_signal *signal)
{
	struct drm_gsvm_prefetch args = {
		.vm_id = q->vm, .flags = DRM_GSVM_PREFETCH_ASYNC, .start = U(addr),
		.length = size, .region = region, .signal = U(signal),
	};

	igt_gsvm_prefetch(q->fd, &args, 0);
	gsvm_assert(!args.moved, "an asynchronous prefetch reports %llu pages\n",
		    (unsigned long long)args.moved);
	return signal;
}

/* Calls until the kernel has let go of a page; each waits for it, too. */
#define TRIES	50

/*
 * What nobody else has a hand on moves at the first call. The kernel may have one on a
 * page for a moment, for reclaim or on its way to a list, and that is as long as the
 * host does not run the processor that has it. How much one call moves is for
 * gsvm_vram_prefetch to say.
 */
static void move_all(struct queue *q, const void *addr, size_t size, uint32_t region)
{
	struct place at;
	int i;

	for (i = 0; i < TRIES; i++) {
		prefetch(q, addr, size, region);
		at = place_of(q, addr, size);
		if ((region == DRM_GSVM_REGION_VRAM ? at.vram : at.system) == size / PAGE)
			break;
	}
}

void to_vram(struct queue *q, const void *addr, size_t size)
{
	move_all(q, addr, size, DRM_GSVM_REGION_VRAM);
	expect_vram(q, addr, size, "after a prefetch to VRAM");
}

void to_system(struct queue *q, const void *addr, size_t size)
{
	move_all(q, addr, size, DRM_GSVM_REGION_SYSTEM);
	expect_system(q, addr, size, "after a prefetch to system memory");
}

void set_policy(struct queue *q, uint64_t policy)
{
	igt_gsvm_vm_set(q->fd, q->vm, DRM_GSVM_VM_PARAM_MIGRATE, policy, 0);
}

static long usual_bounce_ms;

void bounce_as_usual(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%ld", usual_bounce_ms);
	write_text(BOUNCE_MS, text);
}

void bounce_slowly(void)
{
	if (!usual_bounce_ms) {
		usual_bounce_ms = read_number(BOUNCE_MS);
		atexit(bounce_as_usual);
	}
	gsvm_assert(usual_bounce_ms > 0 && write_text(BOUNCE_MS, "2000"), "%s: %s\n", BOUNCE_MS,
		    strerror(errno));
}

struct gsvm_signal *make_signal(int64_t value)
{
	struct gsvm_signal *signal = map_shared(PAGE);

	signal->value = value;
	return signal;
}

void wait_done(struct queue *q, struct gsvm_signal *signal, const char *what)
{
	struct drm_gsvm_wait wait = {
		.vm_id = q->vm, .addr = U(signal), .op = DRM_GSVM_WAIT_EQ,
		.timeout_ns = gsvm_deadline(gsvm_patience_ms()),
	};
	int ret = gsvm_ioctl(q->fd, DRM_IOCTL_GSVM_WAIT, &wait);

	gsvm_assert(!ret, "%s: waiting for its signal: %s, value %lld\n", what, strerror(ret),
		    (long long)signal->value);
}

struct drm_gsvm_vm_query vm_counters(struct queue *q)
{
	struct drm_gsvm_vm_query counters;

	igt_gsvm_vm_query(q->fd, q->vm, &counters, 0);
	return counters;
}

uint64_t vram_size(struct queue *q)
{
	return igt_gsvm_query(q->fd, DRM_GSVM_PARAM_VRAM_SIZE, 0);
}

/*
 * The GPU program is memory, too, and would go to VRAM and come back at any time:
 * figures from before and after would not compare. Locked, it stays in system memory.
 */
static void lock_program(void)
{
	static pid_t locked;
	struct mapping text, data;

	if (locked == getpid())
		return;
	locked = getpid();
	text = mapping_at((void *)(uintptr_t)gpu_kernel("touch"));
	gsvm_sys(mlock((void *)text.start, text.end - text.start));
	/* The linker puts the program's data right behind. */
	data = mapping_at((void *)text.end);
	gsvm_sys(mlock((void *)data.start, data.end - data.start));
}

uint64_t vram_free(struct queue *q)
{
	lock_program();
	return igt_gsvm_query(q->fd, DRM_GSVM_PARAM_VRAM_FREE, 0);
}

uint64_t vram_evicted(struct queue *q)
{
	return igt_gsvm_query(q->fd, DRM_GSVM_PARAM_VRAM_EVICTED, 0);
}

void expect_vram_free(struct queue *q, uint64_t bytes, const char *what)
{
	int64_t end = gsvm_deadline(gsvm_patience_ms());
	uint64_t now;

	while ((now = vram_free(q)) < bytes) {
		gsvm_assert(gsvm_deadline(0) < end, "%s: %llu KiB of VRAM are free, not %llu\n",
			    what, (unsigned long long)now >> 10, (unsigned long long)bytes >> 10);
		gsvm_pace();
	}
}

/* ---- content -------------------------------------------------------------------- */

uint64_t pattern_word(uint32_t seed, size_t offset)
{
	return ((uint64_t)seed << 36) + offset / 8 + 1;
}

void cpu_fill(void *addr, size_t size, uint32_t seed, unsigned int step)
{
	size_t page, word;

	for (page = 0; page < size; page += PAGE) {
		for (word = 0; word < PAGE / 8; word += step) {
			size_t at = page + word * 8;

			gsvm_poke((void *)((char *)addr + at), pattern_word(seed, at));
		}
	}
}

static void wrong_word(const char *who, const char *what, const void *at, uint64_t value,
		       uint64_t want) __attribute__((noreturn));
static void wrong_word(const char *who, const char *what, const void *at, uint64_t value,
		       uint64_t want)
{
	const uint64_t place = (1ull << 36) - 1;

	gsvm_assert(false,
		    "%s: %s saw at %p seed %llu, offset %#llx; expected seed %llu, offset %#llx (%#llx, expected %#llx)\n",
		    what, who, at, (unsigned long long)(value >> 36),
		    (unsigned long long)((value & place) - 1) * 8,
		    (unsigned long long)(want >> 36), (unsigned long long)((want & place) - 1) * 8,
		    (unsigned long long)value, (unsigned long long)want);
	abort();
}

void cpu_verify_part(const void *addr, size_t offset, size_t size, uint32_t seed,
		     unsigned int step, const char *what)
{
	size_t page, word;

	for (page = 0; page < size; page += PAGE) {
		for (word = 0; word < PAGE / 8; word += step) {
			size_t at = page + word * 8;
			const uint64_t *p = (const void *)((const char *)addr + at);
			uint64_t want = pattern_word(seed, offset + at), value = gsvm_peek(p);

			if (value != want)
				wrong_word("CPU", what, p, value, want);
		}
	}
}

void cpu_verify(const void *addr, size_t size, uint32_t seed, unsigned int step,
		const char *what)
{
	cpu_verify_part(addr, 0, size, seed, step, what);
}

void gpu_pattern(struct queue *q, void *addr, size_t size, uint32_t seed, unsigned int step)
{
	gpu_run(q, "pattern_fill", size / PAGE, U(addr), (uint64_t)seed << 36, step);
}

void gpu_verify_part(struct queue *q, const void *addr, size_t offset, size_t size,
		     uint32_t seed, unsigned int step, const char *what)
{
	struct { uint64_t bad, where, value; } *out = map_shared(PAGE), got;

	gpu_run(q, "pattern_verify", size / PAGE, U(addr), pattern_word(seed, offset) - 1, step,
		U(out));
	memcpy(&got, out, sizeof(got));
	munmap(out, PAGE);
	if (got.bad)
		wrong_word("GPU", what, (void *)(uintptr_t)got.where, got.value,
			   pattern_word(seed, offset + (got.where - U(addr))));
}

void gpu_verify(struct queue *q, const void *addr, size_t size, uint32_t seed,
		unsigned int step, const char *what)
{
	gpu_verify_part(q, addr, 0, size, seed, step, what);
}

/* Tells where what is wrong is, not only what. */
void sweep_check(const struct ctl *ctl, const char *p, size_t pages)
{
	size_t i, first = pages, last = 0, wrong = 0;

	for (i = 0; i < pages; i++) {
		if (*(uint64_t *)(p + i * PAGE) == ctl->rounds[i % CTL_ITEMS])
			continue;
		if (!wrong++)
			first = i;
		last = i;
	}
	gsvm_assert(!wrong, "%zu of %zu pages, %zu to %zu, are wrong; the first has %llu of %llu\n",
		    wrong, pages, first, last, *(unsigned long long *)(p + first * PAGE),
		    (unsigned long long)ctl->rounds[first % CTL_ITEMS]);
}

/* ---- memory --------------------------------------------------------------------- */

void *map_block(size_t size)
{
	void *p = mmap(reserve((size + HUGE - 1) & ~(HUGE - 1)), size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	steady();
	gsvm_assert(p != MAP_FAILED, "mmap of %zu bytes: %s\n", size, strerror(errno));
	gsvm_sys(madvise(p, size, MADV_NOHUGEPAGE));
	return p;
}

static bool no_thp(void)
{
	char text[64] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	bool never = fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || strstr(text, "[never]");

	if (fd >= 0)
		close(fd);
	return never;
}

/* A kernel that has them may be short of them for a moment. */
void *map_thp(struct queue *q, size_t size, uint32_t seed)
{
	struct place at;
	int tries;
	void *p;

	gsvm_require(!no_thp(), "there are no transparent huge pages\n");
	for (tries = 0; tries < 5; tries++) {
		p = map_huge_aligned(size);
		cpu_fill(p, size, seed, WHOLE);
		at = place_of(q, p, size);
		if (at.huge == size / PAGE)
			return p;
		munmap(p, size);
		write_text("/proc/sys/vm/compact_memory", "1");
	}
	gsvm_assert(false, "only %zu of %zu pages became huge\n", at.huge, size / PAGE);
	abort();
}

void *map_in_vram(struct queue *q, size_t size, uint32_t seed)
{
	void *p = map_block(size);

	cpu_fill(p, size, seed, WHOLE);
	to_vram(q, p, size);
	return p;
}

void *map_thp_in_vram(struct queue *q, size_t size, uint32_t seed)
{
	void *p = map_thp(q, size, seed);

	prefetch(q, p, size, DRM_GSVM_REGION_VRAM);
	expect_huge_vram(q, p, size, "huge pages after a prefetch");
	return p;
}
