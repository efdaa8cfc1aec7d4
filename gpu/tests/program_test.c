// SPDX-License-Identifier: MIT
/*
 * GPU programs from the compilers to the hart: gsvm-cc compiles C (with GCC and
 * with clang) and OpenCL C, a loader as the file format asks for puts them into
 * memory, and their kernels run on grids.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hart_env.h"
#include "tests/programs/program.h"
#include "tests/tap.h"

#define BASE		0x00234000ull	/* not where it was linked */
#define ARGS		0x00800000ull
#define OUT		0x00900000ull
#define MAX_ITEMS	64		/* per work-group */
#define PRIVATE_MAX	0x10000

#define R_RISCV_RELATIVE	3

static char work_dir[] = "/tmp/gsvm-program-XXXXXX";
static char program_path[64];

static uint8_t *image;		/* the file */
static size_t image_len;
static uint64_t bias;

static struct hart harts[MAX_ITEMS];
static bool done[MAX_ITEMS];
static _Alignas(16) uint8_t private_mem[MAX_ITEMS][PRIVATE_MAX];
static _Alignas(16) uint8_t group_mem[0x10000];

/* ---- compile and load ----------------------------------------------------- */

/* Exit status of the compiler; its messages go to standard error. */
static int compile(const char *source, const char *option)
{
	const char *dir = getenv("GSVM_PROGRAMS"), *cc = getenv("GSVM_CC");
	char path[512];
	int status;
	pid_t pid;

	if (!dir || !cc || access(cc, X_OK))
		return 3;
	snprintf(path, sizeof(path), "%s/%s", dir, source);
	pid = fork();
	tap_need(pid >= 0, "fork");
	if (!pid) {
		execl(cc, cc, "-O2", "-Wall", "-Wextra", "-Werror", option, "-o", program_path, path,
		      (char *)NULL);
		_exit(3);
	}
	while (waitpid(pid, &status, 0) < 0)
		tap_need(errno == EINTR, "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void read_file(void)
{
	struct stat st;
	int fd = open(program_path, O_RDONLY | O_CLOEXEC);

	tap_need(fd >= 0 && !fstat(fd, &st), "program is there");
	free(image);
	image_len = st.st_size;
	image = malloc(image_len);
	tap_need(image && read(fd, image, image_len) == (ssize_t)image_len, "program read");
	close(fd);
}

static void relocate(const Elf64_Phdr *p)
{
	const Elf64_Dyn *dyn = (const Elf64_Dyn *)(image + p->p_offset);
	uint64_t rela = 0, size = 0, off, word;
	Elf64_Rela r;

	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_RELA)
			rela = dyn->d_un.d_ptr;
		if (dyn->d_tag == DT_RELASZ)
			size = dyn->d_un.d_val;
		tap_need(dyn->d_tag != DT_NEEDED && dyn->d_tag != DT_JMPREL, "static program");
	}
	for (off = 0; off < size; off += sizeof(r)) {
		env_read(bias + rela + off, &r, sizeof(r));
		tap_need(ELF64_R_TYPE(r.r_info) == R_RISCV_RELATIVE, "relative relocation");
		word = bias + r.r_addend;
		env_write(bias + r.r_offset, &word, sizeof(word));
	}
}

static void load_program(void)
{
	const Elf64_Ehdr *eh;
	const Elf64_Phdr *ph;
	unsigned int i;

	read_file();
	eh = (const Elf64_Ehdr *)image;
	ph = (const Elf64_Phdr *)(image + eh->e_phoff);
	tap_need(eh->e_type == ET_DYN && eh->e_machine == EM_RISCV && !(eh->e_flags & 1),
		 "position-independent, no compressed instructions");
	env_reset(BASE);
	bias = BASE - 0x10000;
	for (i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD)
			continue;
		env_write(bias + ph[i].p_vaddr, image + ph[i].p_offset, ph[i].p_filesz);
		env_protect(bias + ph[i].p_vaddr, ph[i].p_memsz,
			    ph[i].p_flags & PF_W ? ENV_RW : ENV_R | ENV_X);
	}
	for (i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			relocate(&ph[i]);
	env_protect(ARGS, 0x1000, ENV_RW);
	env_protect(OUT, 0x10000, ENV_RW);
}

/* Address of a kernel's descriptor, 0 if there is none. */
static uint64_t find_kernel(const char *name)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(image + eh->e_shoff);
	const Elf64_Sym *sym;
	char symbol[80];
	unsigned int i;

	snprintf(symbol, sizeof(symbol), "__gsvm_kernel_%s", name);
	for (i = 0; i < eh->e_shnum && sh[i].sh_type != SHT_SYMTAB; i++)
		;
	if (i == eh->e_shnum)
		return 0;
	for (sym = (const Elf64_Sym *)(image + sh[i].sh_offset);
	     (const uint8_t *)sym < image + sh[i].sh_offset + sh[i].sh_size; sym++)
		if (!strcmp((const char *)image + sh[sh[i].sh_link].sh_offset + sym->st_name, symbol))
			return ELF64_ST_TYPE(sym->st_info) == STT_OBJECT && sym->st_size == 64 ?
			       bias + sym->st_value : 0;
	return 0;
}

/* ---- run ------------------------------------------------------------------ */

struct dispatch {
	struct gsvm_kernel k;
	uint64_t addr;		/* of the descriptor */
	uint32_t dims, grid[3], local[3];
	uint32_t dynamic;	/* bytes of group memory */
	uint64_t preload[8];
};

/* All harts of a group until each has ended; barriers stop all that are left. */
static bool run_group(struct hart_group *g, const struct dispatch *d)
{
	unsigned int n = g->group_size[0] * g->group_size[1] * g->group_size[2], i, left = n;
	struct hart_stop_info stop;
	enum hart_stop why;

	tap_need(n <= MAX_ITEMS, "group fits");
	for (i = 0; i < n; i++) {
		uint32_t local[] = { i % g->group_size[0],
				     i / g->group_size[0] % g->group_size[1],
				     i / g->group_size[0] / g->group_size[1] };

		hart_init(&harts[i], g, local, d->addr + d->k.entry, ARGS, d->preload,
			  d->k.flags & GSVM_KERNEL_PRELOAD);
		memset(private_mem[i], 0xcc, PRIVATE_MAX);
		harts[i].private_mem = private_mem[i];
		done[i] = false;
	}
	memset(group_mem, 0xcc, sizeof(group_mem));
	while (left) {
		for (i = 0; i < n; i++) {
			if (done[i])
				continue;
			do {
				why = hart_run(&env.core, &harts[i], 100000, &stop);
			} while (why == HART_BUDGET);
			if (why == HART_DONE) {
				done[i] = true;
				left--;
			} else if (why != HART_BARRIER) {
				tap_note("stop %d, error %u, pc 0x%llx, addr 0x%llx, fault at 0x%llx",
					 why, stop.qerr, (unsigned long long)(harts[i].pc - bias),
					 (unsigned long long)stop.addr,
					 (unsigned long long)stop.fault.addr);
				return false;
			}
		}
	}
	return true;
}

static bool descriptor_good(const struct dispatch *d)
{
	static const struct gsvm_kernel zero;

	return d->k.magic == GSVM_KERNEL_MAGIC && !(d->addr & 63) && d->k.flags <= 8 &&
	       !((d->addr + d->k.group_base) & 0xfff) && !(d->k.private_size & 15) &&
	       !memcmp(d->k.rsvd, zero.rsvd, sizeof(zero.rsvd));
}

/* Run a kernel on a grid with these argument words. */
static bool run_kernel(const char *name, struct dispatch *d, const uint64_t *args, unsigned int nargs)
{
	struct hart_group g = { .asid = ENV_ASID, .dims = d->dims, .packet = 3,
				.group_mem = group_mem };
	unsigned int i, x, y, z;

	d->addr = find_kernel(name);
	if (!d->addr) {
		tap_note("no kernel %s", name);
		return false;
	}
	env_read(d->addr, &d->k, sizeof(d->k));
	if (!descriptor_good(d)) {
		tap_note("bad descriptor of %s", name);
		return false;
	}
	for (i = 0; i < nargs; i++) {
		env_put(ARGS + 8 * i, args[i]);
		if (i < 8)
			d->preload[i] = args[i];
	}
	g.private_len = d->k.private_size;
	g.group_base = d->addr + d->k.group_base;
	g.group_dyn = (d->k.group_size + 15) & ~15u;
	g.group_len = g.group_dyn + d->dynamic;
	memcpy(g.grid_size, d->grid, sizeof(g.grid_size));
	memcpy(g.local_size, d->local, sizeof(g.local_size));
	for (z = 0; z < d->grid[2]; z += d->local[2])
		for (y = 0; y < d->grid[1]; y += d->local[1])
			for (x = 0; x < d->grid[0]; x += d->local[0]) {
				const uint32_t at[] = { x, y, z };

				for (i = 0; i < 3; i++) {
					g.group_id[i] = at[i] / d->local[i];
					g.group_size[i] = d->grid[i] - at[i] < d->local[i] ?
							  d->grid[i] - at[i] : d->local[i];
				}
				if (!run_group(&g, d))
					return false;
			}
	return true;
}

/* One dimension, and results start as zero. */
static bool run1(const char *name, uint32_t grid, uint32_t local, const uint64_t *args,
		 unsigned int nargs)
{
	struct dispatch d = { .dims = 1, .grid = { grid, 1, 1 }, .local = { local, 1, 1 } };
	unsigned int i;

	for (i = 0; i < 0x10000; i += 8)
		env_put(OUT + i, 0);
	return run_kernel(name, &d, args, nargs);
}

#define RUN1(name, grid, local, ...) run1(name, grid, local, (const uint64_t[]){ __VA_ARGS__ }, \
	sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

/* A kernel in C that takes its argument from a0, the kernarg pointer. */
static bool run_at(const char *name, uint64_t kernarg, struct dispatch *d)
{
	bool ok;

	/* What the hardware does with PRELOAD 0 and kernarg = the pointer. */
	d->preload[0] = kernarg;
	d->addr = find_kernel(name);
	if (!d->addr)
		return false;
	env_read(d->addr, &d->k, sizeof(d->k));
	if (d->k.flags)
		return false;
	d->k.flags = 1;
	env_write(d->addr, &d->k, sizeof(d->k));
	ok = run_kernel(name, d, &kernarg, 1);
	d->k.flags = 0;
	env_write(d->addr, &d->k, sizeof(d->k));
	return ok;
}

static bool run1_at(const char *name, uint32_t grid, uint32_t local)
{
	struct dispatch d = { .dims = 1, .grid = { grid, 1, 1 }, .local = { local, 1, 1 } };
	unsigned int i;

	for (i = 0; i < 0x10000; i += 8)
		env_put(OUT + i, 0);
	return run_at(name, OUT, &d);
}

/* ---- C -------------------------------------------------------------------- */

static void test_ids(const char *cc)
{
	struct dispatch d = { .dims = 3, .grid = { 7, 5, 3 }, .local = { 4, 2, 2 } };
	unsigned int bad = 0, i, x, y, z;
	bool ran;

	env.core.id = 2;
	ran = run_at("ids", OUT, &d);
	for (z = 0; z < 3; z++)
		for (y = 0; y < 5; y++)
			for (x = 0; x < 7; x++) {
				const uint64_t at[] = { x, y, z };
				uint64_t p = OUT + ((z * 5 + y) * 7 + x) * IDS_WORDS * 8, w[IDS_WORDS];
				uint64_t size[3];

				env_read(p, w, sizeof(w));
				for (i = 0; i < 3; i++) {
					uint64_t l = d.local[i], g = d.grid[i], start = at[i] / l * l;

					size[i] = g - start < l ? g - start : l;
					bad += w[i] != at[i] || w[3 + i] != at[i] % l ||
					       w[6 + i] != at[i] / l || w[9 + i] != g ||
					       w[12 + i] != size[i] || w[15 + i] != l ||
					       w[18 + i] != (g + l - 1) / l;
				}
				bad += w[21] != 3 || w[23] != (3ull << 32 | 2) ||
				       w[22] != ((z % 2) * size[1] + y % 2) * size[0] + x % 4;
			}
	tap_ok(ran && !bad, "%s: each work-item knows its place", cc);
}

static void test_tables(const char *cc)
{
	static const uint64_t want[] = { 14, 't' << 8 | 'w', 49, 's' << 8 | 'q', 41, 0 };
	uint64_t got[6];
	bool ran = run1_at("tables", 1, 1);

	env_read(OUT, got, sizeof(got));
	tap_ok(ran && !memcmp(got, want, sizeof(got)), "%s: addresses in data are relocated", cc);
	ran = run1_at("tables", 1, 1);
	tap_ok(ran && env_get(OUT + 32) == 42 && env_get(OUT + 40) == 1, "%s: data is kept", cc);
}

static void test_reduce(const char *cc)
{
	struct dispatch d = { .dims = 1, .grid = { 150, 1, 1 }, .local = { 64, 1, 1 } };
	uint64_t sum[3] = { 0 }, i, dynamic;
	bool good;

	for (dynamic = 0; dynamic < 2; dynamic++) {
		memset(sum, 0, sizeof(sum));
		for (i = 0; i < 150; i++) {
			env_put(OUT + 0x4000 + i * 8, i * i + 1);
			sum[i / 64] += i * i + 1;
		}
		d.dynamic = dynamic ? 512 : 0;
		good = run_kernel("reduce", &d, (const uint64_t[]){ OUT + 0x4000, OUT, dynamic }, 3);
		for (i = 0; i < 3; i++)
			good &= env_get(OUT + i * 8) == sum[i] + ((uint64_t)d.dynamic << 32);
		tap_ok(good, "%s: sums in %s group memory", cc, dynamic ? "dynamic" : "static");
	}
}

static void test_atomics(const char *cc)
{
	static const struct {
		const char *name;
		uint64_t old, now;
	} want[A_NUM] = {
		[A_ADD] = { "add", 0xf0f0, 0xf0ff }, [A_SUB] = { "sub", 0xf0ff, 0xf0fe },
		[A_AND] = { "and", 0xf0fe, 0xfe }, [A_OR] = { "or", 0xfe, 0x1fe },
		[A_XOR] = { "xor", 0x1fe, 0x1ef }, [A_EXCHANGE] = { "exchange", 0x1ef, 77 },
		[A_CAS_OK] = { "compare and exchange", 1, 78 },
		[A_CAS_BAD] = { "failing compare and exchange", 0, 78 },
		[A_MIN_S32] = { "signed min", -5, -9 }, [A_MAX_S32] = { "signed max", -9, 3 },
		[A_MIN_U32] = { "unsigned min", 5, 5 }, [A_MAX_U32] = { "unsigned max", 5, 0xffffffff },
		[A_MIN_S64] = { "signed min", -5, -9 }, [A_MAX_S64] = { "signed max", -9, 3 },
		[A_MIN_U64] = { "unsigned min", 5, 5 }, [A_MAX_U64] = { "unsigned max", 5, -1 },
	};
	bool ran = run1_at("atomics", 1, 1);
	unsigned int i;

	for (i = 0; i < A_NUM; i++)
		tap_ok(ran && env_get(OUT + i * 16) == want[i].old &&
		       env_get(OUT + i * 16 + 8) == want[i].now, "%s: atomic %s", cc, want[i].name);
	ran = run1_at("contend", 200, 64);
	tap_ok(ran && env_get(OUT) == 199 * 100 && env_get(OUT + 8) == 199,
	       "%s: all work-items on one word", cc);
}

static uint64_t moved(uint64_t c)
{
	uint8_t b[300], t[300];
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < 300; i++)
		b[i] = i * c;
	memcpy(t, b, 290);
	memcpy(b + 5, t, 290);
	memcpy(t, b + 9, 200);
	memcpy(b + 1, t, 200);
	for (i = 0; i < 300; i++)
		sum = sum * 31 + b[i];
	return sum;
}

static void test_helpers(const char *cc)
{
	const uint64_t a = 0x0000123456789abc, b = 0x0011223344556600, c = 0xfedcba9876543;
	unsigned __int128 wide = (unsigned __int128)a << 64 | b;
	const uint64_t want[H_NUM] = {
		[H_CLZ] = __builtin_clzll(a) + __builtin_clz((uint32_t)a),
		[H_CTZ] = __builtin_ctzll(a) + __builtin_ctz((uint32_t)b),
		[H_POPCOUNT] = __builtin_popcountll(a) + __builtin_popcount((uint32_t)b),
		[H_FFS] = __builtin_ffsll(b),
		[H_UDIV128] = wide / c,
		[H_UMOD128] = wide % c,
		[H_MUL128] = (unsigned __int128)a * b >> 64,
		[H_MOVE] = moved(c),
		[H_COMPARE] = 1,
		/* Plain char is unsigned on RISC-V. */
		[H_STRUCT] = (uint8_t)(299 * c),
		[H_FLOAT] = (int64_t)((float)a * 0.5f),
		[H_DOUBLE] = (int64_t)((double)b / 3),
		[H_U64_TO_F32] = (uint64_t)((float)a + 1),
		[H_F64_TO_U64] = (uint64_t)((double)b * 1.5),
		[H_STRLEN] = strlen((const char *)&a),
	};
	unsigned int i;
	bool ran;

	env_put(ARGS + 0x100, a);
	env_put(ARGS + 0x108, b);
	env_put(ARGS + 0x110, c);
	ran = RUN1("helpers", 1, 1, ARGS + 0x100, OUT);
	for (i = 0; i < H_NUM; i++)
		if (!tap_ok(ran && env_get(OUT + i * 8) == want[i], "%s: helper function %u", cc, i))
			tap_note("0x%llx, should be 0x%llx", (unsigned long long)env_get(OUT + i * 8),
				 (unsigned long long)want[i]);
}

static void test_c(const char *cc, const char *option)
{
	int status = compile("kernels.c", option);
	bool ran;

	if (status == 3) {
		tap_skip("a compiler is missing", cc);
		return;
	}
	if (!tap_ok(!status, "%s: compiles", cc))
		return;
	load_program();
	test_ids(cc);
	test_tables(cc);
	test_reduce(cc);
	test_atomics(cc);
	test_helpers(cc);
	env.time = 5;
	ran = run1_at("early", 1, 1);
	tap_ok(ran && env_get(OUT) == 1 && env_get(OUT + 8) == 0, "%s: exit from a function", cc);
	ran = run1_at("stack", 2, 2);
	tap_ok(ran && env_get(OUT) == 2 * 4999ull * 2500, "%s: a stack of its own size", cc);
	tap_eq(find_kernel("nothing"), 0, "no kernel of another name");
}

/* ---- OpenCL C ------------------------------------------------------------- */

static uint64_t bits64(double d)
{
	uint64_t v;

	memcpy(&v, &d, 8);
	return v;
}

static double out64(unsigned int i)
{
	uint64_t v = env_get(OUT + i * 8);
	double d;

	memcpy(&d, &v, 8);
	return d;
}

/* In a kernarg word, with rubbish above. */
static uint64_t bits32(float f)
{
	uint32_t v;

	memcpy(&v, &f, 4);
	return v | 0xdeadbeefull << 32;
}

static uint32_t out32(unsigned int i)
{
	uint32_t v;

	env_read(OUT + i * 4, &v, 4);
	return v;
}

static void test_cl_arguments(void)
{
	static const double want[] = { -3, 200, -300, 60000, 1.5, 2.25, -7, 4000000000.0, -5e10, 6e10,
				       0.5, -8, 1e100, 9 };
	struct dispatch d = { .dims = 1, .grid = { 70, 1, 1 }, .local = { 64, 1, 1 } };
	unsigned int i, bad = 0;
	float f;
	bool ran;

	ran = run_kernel("plain", &d, (const uint64_t[]){ OUT, -1000ull, -5ull, 4000000000u }, 4);
	for (i = 0; i < 70; i++)
		bad += env_get(OUT + i * 8) != -1005ull + 4000000000u + i * 70 + 2;
	tap_ok(ran && !bad && d.k.flags == 4, "OpenCL: words in registers, by PRELOAD");

	ran = RUN1("mixed", 1, 1, OUT, -3ull, 200, -300ull, 60000, bits32(1.5), bits64(2.25), -7ull,
		   4000000000u, -50000000000ull, 60000000000, bits32(0.5), -8ull, bits64(1e100), 9);
	for (i = bad = 0; i < 14; i++)
		bad += out64(i) != want[i];
	tap_ok(ran && !bad, "OpenCL: arguments of all kinds, some on the stack");

	ran = RUN1("floats", 1, 1, OUT, bits32(0), bits32(1), bits32(2), bits32(3), bits32(4),
		   bits32(5), bits32(6), bits32(7), bits32(8), bits32(9), 10);
	for (i = bad = 0; i < 11; i++) {
		env_read(OUT + i * 4, &f, 4);
		bad += f != i;
	}
	tap_ok(ran && !bad, "OpenCL: floats beyond the registers for them");
}

static void test_cl_local(void)
{
	struct dispatch d = { .dims = 1, .grid = { 128, 1, 1 }, .local = { 32, 1, 1 },
			      .dynamic = 128 };
	unsigned int i, bad = 0;
	uint32_t sum[4] = { 0 }, v;
	uint64_t dyn;
	bool ran;

	ran = RUN1("share", 128, 32, OUT, 1000);
	for (i = 0; i < 128; i++)
		bad += out32(i) != 1000 + i / 32 + (31 - i % 32) * (31 - i % 32);
	tap_ok(ran && !bad, "OpenCL: local variables are the group's, not the work-item's");

	for (i = bad = 0; i < 128; i++) {
		v = i * 3 + 1;
		sum[i / 32] += v;
		env_write(OUT + 0x4000 + i * 4, &v, 4);
	}
	d.addr = find_kernel("reduce_local");
	tap_need(d.addr, "kernel reduce_local");
	env_read(d.addr, &d.k, sizeof(d.k));
	dyn = d.addr + d.k.group_base + ((d.k.group_size + 15) & ~15u);
	ran = run_kernel("reduce_local", &d, (const uint64_t[]){ OUT + 0x4000, OUT, dyn }, 3);
	for (i = 0; i < 4; i++)
		bad += out32(i) != sum[i];
	tap_ok(ran && !bad, "OpenCL: local memory as an argument");
}

static void test_cl_atomics(void)
{
	static const int32_t start[] = { 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 1 };
	static const int32_t want[] = { 120, -120, 16, -16, -15, 15, 0xffff, 0xffff, -1 - 0xffff, 16,
					120, -32, 1 << 16, 16 };
	struct dispatch d = { .dims = 1, .grid = { 16, 1, 1 }, .local = { 16, 1, 1 } };
	unsigned int i, bad = 0;
	uint32_t big = -1u;
	bool ran;

	for (i = 0; i < 0x1000; i += 8)
		env_put(OUT + i, 0);
	env_write(OUT, start, sizeof(start));
	env_write(OUT + 0x200, &big, 4);
	ran = run_kernel("atomics_cl", &d, (const uint64_t[]){ OUT, OUT + 0x100, OUT + 0x200 }, 3);
	for (i = 0; i < 14; i++)
		if ((int32_t)out32(i) != want[i]) {
			tap_note("word %u: %d, should be %d", i, (int32_t)out32(i), want[i]);
			bad++;
		}
	tap_ok(ran && !bad, "OpenCL: atomics on int");
	tap_eq(env_get(OUT + 0x100), 16ull << 33, "OpenCL: atomics on long");
	tap_eq(env_get(OUT + 0x108), 15ull << 40, "OpenCL: atomic_fetch_max_explicit on long");
	tap_ok(out32(0x80) == 100 && out32(0x81) == 0x8000000fu, "OpenCL: atomics on uint");
	for (i = bad = 0; i < 16; i++)
		bad += out32(0x82 + i) != 7 + i;
	tap_eq(bad, 0, "OpenCL: atomic stores");
}

static void test_cl_numbers(void)
{
	const double f = 2.5, d = 6.25;
	const int64_t l = 5000000000;
	const uint32_t u = 0x00f00100;
	/* By hand, for f = 2.5, d = 6.25, i = -7, l = 5e9, u = 0x00f00100. */
	const double want[] = {
		3 - 100 - 2,
		7 + 17,
		8 + 5 + 8,
		0xf0010000,
		(int64_t)((__int128)l * l >> 64) + 17 + 42,
		127 + 0,
		8 + 9,
		2.5 + 2.5 + 0.5,
		6 + 70 - 600 + 6000 + 60000,
		(d * d - 1) + (f * f + 1),
		1 + 100 + 1.5 + 2,
		-3 - 1 + 1 + 0.5,
		0 + 2 + 4 + 8,
		(f * f + 4 + 9 + 16) + 5 + 1,
		3 + 40 + 600 + 8000,
		255 - 128 + 2147483647.0,
		0x3f800000 + 2 + 3,
		3 + 2,
	};
	bool ran = RUN1("numbers", 1, 1, OUT, bits32(f), bits64(d), -7ull, l, u);
	unsigned int i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!tap_ok(ran && fabs(out64(i) - want[i]) <= fabs(want[i]) * 1e-6,
			    "OpenCL: built-in functions, line %u", i))
			tap_note("%.9g, should be %.9g", out64(i), want[i]);
}

static void test_cl(void)
{
	int status = compile("kernels.cl", "-cl-std=CL2.0");

	if (status == 3) {
		tap_skip("clang 18 or lld is missing", "OpenCL C");
		return;
	}
	if (!tap_ok(!status, "OpenCL: compiles"))
		return;
	load_program();
	test_cl_arguments();
	test_cl_local();
	test_cl_atomics();
	test_cl_numbers();
}

int main(void)
{
	tap_need(mkdtemp(work_dir), "temporary directory");
	snprintf(program_path, sizeof(program_path), "%s/program", work_dir);
	test_c("C by GCC", "-Wshadow");
	test_c("C by clang", "--clang");
	test_cl();
	free(image);
	unlink(program_path);
	rmdir(work_dir);
	return tap_done();
}
