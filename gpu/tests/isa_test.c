// SPDX-License-Identifier: MIT
/*
 * The hart against an independent implementation: random programs run here and
 * under qemu-user, and every register, flag and byte of memory must agree.
 *
 * Arguments: number of programs per kind, first seed. A failure names the seed
 * and the block, so `isa_test 1 SEED` runs it alone.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hart_env.h"
#include "tests/isa_gen.h"
#include "tests/tap.h"

#define BLOCKS		200
#define PROGRAMS	12

static char work_dir[] = "/tmp/gsvm-isa-XXXXXX";
static char elf_path[64], out_path[64];
static const char *cpu = "rv64";
static int qemu_status;

static bool write_all(int fd, const void *buf, size_t len, off_t off)
{
	return pwrite(fd, buf, len, off) == (ssize_t)len;
}

/* A static Linux program: one segment of code, one of data. */
static bool write_elf(const struct isa_program *p)
{
	const uint32_t code_off = 0x1000, code_len = p->num_insns * 4;
	const uint32_t data_off = code_off + ((code_len + 0xfff) & ~0xfffu);
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[2];
	} h = {
		.eh = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_RISCV,
			.e_version = EV_CURRENT,
			.e_entry = ISA_CODE_BASE,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_flags = 4,	/* double-float ABI */
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.ph = {
			{ PT_LOAD, PF_R | PF_X, code_off, ISA_CODE_BASE, ISA_CODE_BASE,
			  code_len, code_len, 0x1000 },
			{ PT_LOAD, PF_R | PF_W, data_off, ISA_DATA_BASE, ISA_DATA_BASE,
			  p->data_len, p->data_len, 0x1000 },
		},
	};
	int fd = open(elf_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	bool ok;

	if (fd < 0)
		return false;
	ok = write_all(fd, &h, sizeof(h), 0) && write_all(fd, p->code, code_len, code_off) &&
	     write_all(fd, p->data, p->data_len, data_off);
	return !close(fd) && ok;
}

/* Exit status of a command with its output in @out_path; -1: could not run. */
static int run_command(const char *const argv[])
{
	pid_t pid = fork();
	int status, fd;

	if (pid < 0)
		return -1;
	if (!pid) {
		fd = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || dup2(fd, 1) < 0)
			_exit(127);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *find_qemu(void)
{
	static const char *const names[] = { "qemu-riscv64", "qemu-riscv64-static" };
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (!run_command((const char *const[]){ names[i], "--version", NULL }))
			return names[i];
	return NULL;
}

/* No extension beyond the hart's own. */
#define CPU	"rv64i,m=true,a=true,f=true,d=true,zicsr=true,zifencei=true"

/* The data area after the program ran under qemu; NULL: it failed. */
static uint8_t *run_qemu(const char *qemu, const struct isa_program *p)
{
	uint8_t *data = malloc(p->data_len);
	bool ok;
	int fd;

	tap_need(data && write_elf(p), "program written");
	qemu_status = run_command((const char *const[]){ qemu, "-cpu", cpu, elf_path, NULL });
	fd = open(out_path, O_RDONLY | O_CLOEXEC);
	ok = !qemu_status && fd >= 0 && pread(fd, data, p->data_len, 0) == (ssize_t)p->data_len;
	if (fd >= 0)
		close(fd);
	if (ok)
		return data;
	tap_note("%s ended with status %d", qemu, qemu_status);
	free(data);
	return NULL;
}

/* What Linux does for a program of isa_generate_encodings(). */
static bool go_on(enum hart_stop why, const struct hart_stop_info *stop)
{
	struct hart *h = &env.hart;

	if (why == HART_ERROR && stop->qerr == GSVM_QERR_TRAP && h->x[17] == 134)
		h->x[10] = 0;
	else if (why == HART_ERROR && stop->qerr == GSVM_QERR_INSN)
		*env_ptr(ISA_LOG + (h->pc - ISA_CODE_BASE) / 4) = 1;
	else
		return false;
	h->pc += 4;
	return true;
}

/* The same on the hart, in odd budgets; NULL: it did not reach the ecall. */
static uint8_t *run_hart(const struct isa_program *p)
{
	struct hart_stop_info stop = { 0 };
	unsigned int budget = 1;
	enum hart_stop why;
	uint8_t *data;

	env_reset(ISA_CODE_BASE);
	env_write(ISA_CODE_BASE, p->code, p->num_insns * 4);
	env_write(ISA_DATA_BASE, p->data, p->data_len);
	env_protect(ISA_CODE_BASE, p->num_insns * 4, ENV_R | ENV_X);
	env_protect(ISA_DATA_BASE, p->data_len, ENV_RW);
	do {
		why = hart_run(&env.core, &env.hart, budget, &stop);
		budget = budget * 5 % 4093 + 1;
	} while (why == HART_BUDGET || go_on(why, &stop));
	if (why == HART_ERROR && stop.qerr == GSVM_QERR_TRAP && env.hart.x[17] == 64) {
		data = malloc(p->data_len);
		tap_need(data, "memory for the result");
		env_read(ISA_DATA_BASE, data, p->data_len);
		return data;
	}
	tap_note("hart stopped with %d, error %u, at pc 0x%llx (0x%llx)", why, stop.qerr,
		 (unsigned long long)env.hart.pc, (unsigned long long)stop.addr);
	return NULL;
}

static void explain(const struct isa_program *p, const uint8_t *ours, const uint8_t *theirs)
{
	uint32_t log = ISA_LOG - ISA_DATA_BASE, i, at, block;
	uint64_t a, b;

	for (i = 0; i + 8 <= p->data_len - log; i += 8) {
		memcpy(&a, ours + log + i, 8);
		memcpy(&b, theirs + log + i, 8);
		if (a == b)
			continue;
		block = i / ISA_LOG_ENTRY;
		at = i % ISA_LOG_ENTRY / 8;
		tap_note("block %u, pc 0x%x: %s%u is 0x%016llx, should be 0x%016llx", block,
			 ISA_CODE_BASE + p->block_pc[block] * 4,
			 at < 32 ? "x" : at < 64 ? "f" : "fcsr ", at < 64 ? at % 32 : 0,
			 (unsigned long long)a, (unsigned long long)b);
		return;
	}
	tap_note("registers agree, scratch memory does not");
}

static bool compare(const char *qemu, uint64_t seed, unsigned int kinds)
{
	struct isa_program *p = isa_generate(seed, kinds, BLOCKS);
	uint8_t *ours, *theirs;
	bool same = false;

	tap_need(p, "memory for a program");
	theirs = run_qemu(qemu, p);
	ours = theirs ? run_hart(p) : NULL;
	if (ours) {
		same = !memcmp(ours, theirs, p->data_len);
		if (!same)
			explain(p, ours, theirs);
	}
	if (!same)
		tap_note("seed %llu", (unsigned long long)seed);
	free(ours);
	free(theirs);
	isa_free(p);
	return same;
}

/* The same words are instructions for both. */
static void test_encodings(const char *qemu, uint64_t seed, unsigned int words)
{
	struct isa_program *p = isa_generate_encodings(seed, words);
	unsigned int i, differ = 0, illegal = 0, log = ISA_LOG - ISA_DATA_BASE;
	uint8_t *ours, *theirs;

	tap_need(p, "memory for a program");
	cpu = CPU;
	theirs = run_qemu(qemu, p);
	cpu = "rv64";
	if (!theirs && qemu_status == 1) {
		tap_skip("this qemu-riscv64 has no bare CPU model", "encodings");
		isa_free(p);
		return;
	}
	ours = theirs ? run_hart(p) : NULL;
	for (i = 0; ours && i < p->num_insns; i++) {
		illegal += theirs[log + i];
		if (theirs[log + i] == ours[log + i])
			continue;
		if (differ++ < 20)
			tap_note("0x%08x: %s for us", p->code[i], ours[log + i] ? "illegal" : "legal");
	}
	tap_ok(ours && !differ && illegal > words / 10 && illegal < words * 9 / 10,
	       "encodings: of %u random words, the same %u are illegal", words, illegal);
	free(ours);
	free(theirs);
	isa_free(p);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned int kinds;
	} suites[] = {
		{ "RV64I", ISA_INT },
		{ "M", ISA_INT | ISA_MUL },
		{ "A", ISA_INT | ISA_ATOMIC },
		{ "F", ISA_SINGLE | ISA_CSR },
		{ "D", ISA_DOUBLE | ISA_CSR },
		{ "F and D mixed", ISA_SINGLE | ISA_DOUBLE | ISA_CSR },
		{ "everything", ISA_INT | ISA_MUL | ISA_ATOMIC | ISA_SINGLE | ISA_DOUBLE | ISA_CSR },
	};
	unsigned int programs = argc > 1 ? strtoul(argv[1], NULL, 0) : PROGRAMS;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	unsigned int i, n, good;
	const char *qemu;

	tap_need(mkdtemp(work_dir), "temporary directory");
	snprintf(elf_path, sizeof(elf_path), "%s/program", work_dir);
	snprintf(out_path, sizeof(out_path), "%s/output", work_dir);
	qemu = find_qemu();
	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (!qemu) {
			tap_skip("no qemu-riscv64 to compare with", suites[i].name);
			continue;
		}
		for (n = good = 0; n < programs; n++)
			good += compare(qemu, first + n, suites[i].kinds);
		tap_ok(good == programs, "%s: %u random programs as under %s", suites[i].name,
		       programs, qemu);
	}
	if (qemu)
		test_encodings(qemu, first, 20000);
	else
		tap_skip("no qemu-riscv64 to compare with", "encodings");
	unlink(elf_path);
	unlink(out_path);
	rmdir(work_dir);
	return tap_done();
}
