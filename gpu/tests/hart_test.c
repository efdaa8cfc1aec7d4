// SPDX-License-Identifier: MIT
/*
 * What isa_test cannot see: traps, faults that leave nothing behind, apertures,
 * the registers of the grid, limits, and several harts on one word.
 */
#include <time.h>

#include "tests/hart_env.h"
#include "tests/rv_enc.h"
#include "tests/tap.h"

#define CODE	0x10000ull
#define DATA	0x20000ull	/* four pages */
#define GROUP	0x40000ull
#define PRIV	GSVM_PRIVATE_BASE

#define NUM(a)	(sizeof(a) / sizeof((a)[0]))

static struct hart_stop_info stop;

/* A hart in front of @n instructions; x5 = DATA, x6 = 0x1122334455667788. */
static void load(const uint32_t *code, unsigned int n)
{
	env_reset(CODE);
	env_write(CODE, code, n * 4);
	env_protect(CODE, 0x1000, ENV_R | ENV_X);
	env_protect(DATA, 0x4000, ENV_RW);
	env.hart.x[5] = DATA;
	env.hart.x[6] = 0x1122334455667788;
	memset(&stop, 0, sizeof(stop));
}

#define LOAD(...) do {							\
	const uint32_t code_[] = { __VA_ARGS__ };			\
	load(code_, NUM(code_));					\
} while (0)

static enum hart_stop run(unsigned int budget)
{
	return hart_run(&env.core, &env.hart, budget, &stop);
}

/* With group memory: 0x180 bytes, the last 0x80 of them dynamic. */
static void with_group(void)
{
	env.group.group_base = GROUP;
	env.group.group_len = 0x180;
	env.group.group_dyn = 0x100;
	env.group.group_mem = env.group_mem;
}

/* Stops in front of the next instruction with this, and nothing has changed. */
static void stops(const char *name, enum hart_stop why, uint32_t qerr, uint64_t addr)
{
	static uint8_t mem[0x4000];
	struct hart before = env.hart;
	enum hart_stop got;
	bool same;

	env_read(DATA, mem, sizeof(mem));
	got = run(10);
	before.x[0] = env.hart.x[0];
	same = !memcmp(&before, &env.hart, sizeof(before));
	for (unsigned int i = 0; i < sizeof(mem); i++)
		same &= *env_ptr(DATA + i) == mem[i];
	if (!tap_ok(got == why && same && (why == HART_FAULT ? stop.fault.addr == addr :
					   stop.qerr == qerr && stop.addr == addr), "%s", name))
		tap_note("stop %d, error %u, addr 0x%llx, fault at 0x%llx, state %s", got, stop.qerr,
			 (unsigned long long)stop.addr, (unsigned long long)stop.fault.addr,
			 same ? "kept" : "changed");
}

static void test_start(void)
{
	static const uint64_t words[] = { 11, 12, 13 };
	static const uint32_t local[] = { 1, 2, 3 };
	unsigned int i, other = 0;

	env_reset(CODE);
	hart_init(&env.hart, &env.group, local, CODE, 0x1234, NULL, 0);
	tap_eq(env.hart.x[10], 0x1234, "a0 is the kernarg address");
	tap_eq(env.hart.x[2], PRIV + 0x1000, "sp is the end of private memory");
	tap_eq(env.hart.x[1], GSVM_RETURN_PC, "ra is the return address");
	for (i = 0; i < 32; i++)
		other += (i != 1 && i != 2 && i != 10 && env.hart.x[i]) || env.hart.f[i];
	tap_eq(other, 0, "all other registers are zero");
	hart_init(&env.hart, &env.group, local, CODE, 0x1234, words, 3);
	tap_ok(env.hart.x[10] == 11 && env.hart.x[11] == 12 && env.hart.x[12] == 13 &&
	       !env.hart.x[13], "preloaded arguments");
}

static void test_ends(void)
{
	LOAD(ENC_ADDI(1, 1, 0), ENC_JALR(0, 1, 0));
	tap_eq(run(100), HART_DONE, "return ends the hart");
	tap_eq(env.hart.insns, 2, "return: instructions counted");

	LOAD(ENC_ADDI(7, 0, 1), GSVM_INSN_EXIT, ENC_ADDI(7, 0, 2));
	tap_eq(run(100), HART_DONE, "EXIT ends the hart");
	tap_ok(env.hart.x[7] == 1 && env.hart.insns == 2, "EXIT: nothing behind it runs");

	LOAD(GSVM_INSN_BARRIER, ENC_ADDI(7, 7, 1), GSVM_INSN_EXIT);
	tap_eq(run(100), HART_BARRIER, "BARRIER parks");
	tap_ok(env.hart.pc == CODE + 4 && env.hart.x[7] == 0, "BARRIER: pc is behind it");
	tap_eq(run(100), HART_DONE, "BARRIER: goes on");

	LOAD(ENC_JAL(0, 0));
	tap_eq(run(1000), HART_BUDGET, "budget ends a run");
	tap_eq(env.hart.insns, 1000, "budget is exact");
	env.core.agent.kick = 1;
	tap_eq(run(1000), HART_BUDGET, "a kicked agent ends a run");
	tap_ok(env.hart.insns <= 1256, "within 256 instructions");

	LOAD(ENC_JAL(0, 0));
	env.group.insn_limit = 777;
	tap_eq(run(10000), HART_ERROR, "instruction limit");
	tap_ok(stop.qerr == GSVM_QERR_LIMIT && env.hart.insns == 777 && env.hart.pc == CODE,
	       "limit is exact");

	LOAD(ENC_ADDI(7, 0, 1), ENC_JALR(0, 1, 0));
	env.group.insn_limit = 2;
	tap_eq(run(100), HART_DONE, "a hart may use its limit up");
}

static void test_illegal(void)
{
	const struct {
		const char *name;
		uint32_t insn;
	} bad[] = {
		{ "all zeros", 0 },
		{ "all ones", 0xffffffff },
		{ "compressed", 0x4501 },
		{ "longer than 32 bits", 0x0000001f },
		{ "OP funct7 2", enc_r(0x33, 0, 2, 7, 5, 6) },
		{ "OP funct7 0x20, funct3 1", enc_r(0x33, 1, 0x20, 7, 5, 6) },
		{ "OP funct7 0x21", enc_r(0x33, 0, 0x21, 7, 5, 6) },
		{ "OP-32 mulh", enc_r(0x3b, 1, 1, 7, 5, 6) },
		{ "OP-32 funct3 2", enc_r(0x3b, 2, 0, 7, 5, 6) },
		{ "slli with bit 26", enc_i(0x13, 1, 7, 5, 0x40) },
		{ "srai with bit 31", enc_i(0x13, 5, 7, 5, -0x400) },
		{ "slliw by 32", enc_i(0x1b, 1, 7, 5, 32) },
		{ "sraiw by 32", enc_i(0x1b, 5, 7, 5, 0x420) },
		{ "OP-IMM-32 funct3 2", enc_i(0x1b, 2, 7, 5, 0) },
		{ "load funct3 7", ENC_LOAD(7, 7, 5, 0) },
		{ "store funct3 4", ENC_STORE(4, 5, 6, 0) },
		{ "flh", enc_i(0x07, 1, 7, 5, 0) },
		{ "flq", enc_i(0x07, 4, 7, 5, 0) },
		{ "fsh", enc_s(0x27, 1, 5, 6, 0) },
		{ "branch funct3 2", enc_b(2, 0, 0, 8) },
		{ "branch funct3 3", enc_b(3, 0, 0, 8) },
		{ "jalr funct3 1", enc_i(0x67, 1, 7, 5, 0) },
		{ "misc-mem funct3 2", enc_i(0x0f, 2, 0, 5, 0) },
		{ "amo byte", ENC_AMOADD(0, 7, 5, 6) },
		{ "amo quad", ENC_AMOADD(4, 7, 5, 6) },
		{ "amo funct5 5", ENC_AMO(5, 2, 7, 5, 6) },
		{ "amo funct5 0x1d", ENC_AMO(0x1d, 3, 7, 5, 6) },
		{ "lr with rs2", ENC_AMO(2, 2, 7, 5, 6) },
		{ "half precision add", ENC_FOP(0, 2, 0, 1, 2, 3) },
		{ "quad precision add", ENC_FOP(0, 3, 0, 1, 2, 3) },
		{ "rounding mode 5", ENC_FOP(0, 1, 5, 1, 2, 3) },
		{ "rounding mode 6", ENC_FOP(2, 0, 6, 1, 2, 3) },
		{ "fmadd rounding mode 5", ENC_FMADD(1, 5, 1, 2, 3, 4) },
		{ "fmadd half", ENC_FMADD(2, 0, 1, 2, 3, 4) },
		{ "fsqrt with rs2", ENC_FOP(0x0b, 1, 0, 1, 2, 3) },
		{ "fsgnj funct3 3", ENC_FOP(4, 1, 3, 1, 2, 3) },
		{ "fmin funct3 2", ENC_FOP(5, 1, 2, 1, 2, 3) },
		{ "feq funct3 3", ENC_FOP(0x14, 1, 3, 1, 2, 3) },
		{ "fclass funct3 2", ENC_FOP(0x1c, 1, 2, 1, 2, 0) },
		{ "fmv.x.d with rs2", ENC_FOP(0x1c, 1, 0, 1, 2, 1) },
		{ "fmv.d.x funct3 1", ENC_FOP(0x1e, 1, 1, 1, 2, 0) },
		{ "fcvt to type 4", ENC_FOP(0x18, 1, 0, 1, 2, 4) },
		{ "fcvt from type 4", ENC_FOP(0x1a, 1, 0, 1, 2, 4) },
		{ "fcvt.d.d", ENC_FOP(8, 1, 0, 1, 2, 1) },
		{ "fcvt.s.s", ENC_FOP(8, 0, 0, 1, 2, 0) },
		{ "OP-FP funct5 6", ENC_FOP(6, 1, 0, 1, 2, 3) },
		{ "mret", 0x30200073 },
		{ "sret", 0x10200073 },
		{ "wfi", 0x10500073 },
		{ "sfence.vma", 0x12000073 },
		{ "ecall with rd", 0x000000f3 },
		{ "system funct3 4", 0x00104073 },
		{ "unknown CSR", ENC_CSRRS(7, 0x004, 0) },
		{ "mstatus", ENC_CSRRS(7, 0x300, 0) },
		{ "hpmcounter3", ENC_CSRRS(7, 0xc03, 0) },
		{ "write to cycle", ENC_CSRRW(7, 0xc00, 0) },
		{ "set in instret", ENC_CSRRS(7, 0xc02, 6) },
		{ "clear in a grid CSR", ENC_CSRRCI(7, GSVM_CSR_GLOBAL_ID(0), 1) },
		{ "CSR behind the last", ENC_CSRRS(7, 0xcd8, 0) },
		{ "custom-0 funct3 1", 0x0000100b },
		{ "EXIT with rd", GSVM_INSN_EXIT | 1 << 7 },
		{ "BARRIER with rs1", GSVM_INSN_BARRIER | 1 << 15 },
		{ "custom-1", 0x0000002b },
		{ "vector load", 0x02000007 },
	};
	unsigned int i;

	for (i = 0; i < NUM(bad); i++) {
		LOAD(bad[i].insn);
		stops(bad[i].name, HART_ERROR, GSVM_QERR_INSN, bad[i].insn);
	}
	for (i = 5; i < 8; i++) {
		LOAD(ENC_FOP(0, 1, 7, 1, 2, 3));
		env.hart.fcsr = i << 5;
		stops("dynamic rounding with reserved frm", HART_ERROR, GSVM_QERR_INSN,
		      ENC_FOP(0, 1, 7, 1, 2, 3));
	}
	LOAD(ENC_ECALL);
	stops("ecall", HART_ERROR, GSVM_QERR_TRAP, ENC_ECALL);
	LOAD(ENC_EBREAK);
	stops("ebreak", HART_ERROR, GSVM_QERR_TRAP, ENC_EBREAK);
}

static void test_misaligned(void)
{
	LOAD(ENC_JALR(7, 5, 2));
	stops("jalr to a multiple of 2", HART_ERROR, GSVM_QERR_MISALIGNED, DATA + 2);
	LOAD(ENC_JAL(7, 6));
	stops("jal to a multiple of 2", HART_ERROR, GSVM_QERR_MISALIGNED, CODE + 6);
	LOAD(ENC_BEQ(0, 0, 10));
	stops("taken branch to a multiple of 2", HART_ERROR, GSVM_QERR_MISALIGNED, CODE + 10);
	LOAD(ENC_BNE(0, 0, 10), GSVM_INSN_EXIT);
	tap_eq(run(10), HART_DONE, "branch not taken to a multiple of 2");
	LOAD(ENC_ADDI(7, 0, 1));
	env.hart.pc = CODE + 2;
	stops("entry at a multiple of 2", HART_ERROR, GSVM_QERR_MISALIGNED, CODE + 2);
	LOAD(ENC_ADDI(7, 0, 1));
	env.hart.pc = 1;
	stops("entry at 1", HART_ERROR, GSVM_QERR_MISALIGNED, 1);

	LOAD(ENC_AMOADD(3, 7, 5, 6));
	env.hart.x[5] += 4;
	stops("amoadd.d on a multiple of 4", HART_ERROR, GSVM_QERR_MISALIGNED, DATA + 4);
	LOAD(ENC_LR(2, 7, 5));
	env.hart.x[5] += 2;
	stops("lr.w on a multiple of 2", HART_ERROR, GSVM_QERR_MISALIGNED, DATA + 2);
	LOAD(ENC_SC(2, 7, 5, 6));
	env.hart.x[5] += 1;
	stops("sc.w on an odd address", HART_ERROR, GSVM_QERR_MISALIGNED, DATA + 1);
	LOAD(ENC_AMOADD(3, 7, 5, 6));
	env.hart.x[5] = PRIV + 4;
	stops("misaligned amo in private memory", HART_ERROR, GSVM_QERR_MISALIGNED, PRIV + 4);
	LOAD(ENC_AMOADD(2, 7, 5, 6));
	with_group();
	env.hart.x[5] = GROUP + 2;
	stops("misaligned amo in group memory", HART_ERROR, GSVM_QERR_MISALIGNED, GROUP + 2);
}

/* One access on a page without the right: it parks, and completes later. */
static void test_fault(const char *name, uint32_t insn, unsigned int access, unsigned int less)
{
	char text[80];

	LOAD(insn, GSVM_INSN_EXIT);
	env_put(DATA, 0x42);
	env.hart.lr_addr = DATA;	/* for SC */
	env.hart.lr_value = 0x42;
	env.hart.lr_size = 8;
	env_protect(DATA, 0x1000, 0);
	snprintf(text, sizeof(text), "%s: page not there", name);
	stops(text, HART_FAULT, 0, DATA);
	tap_ok(stop.fault.access == access && stop.fault.reason == GSVM_FAULT_NOT_PRESENT,
	       "%s: recorded", name);
	env_protect(DATA, 0x1000, less);
	snprintf(text, sizeof(text), "%s: no right", name);
	stops(text, HART_FAULT, 0, DATA);
	tap_ok(stop.fault.access == access && stop.fault.reason == GSVM_FAULT_PERMISSION,
	       "%s: right recorded", name);
	env_protect(DATA, 0x1000, ENV_RW);
	tap_ok(run(10) == HART_DONE && env.hart.insns == 2, "%s: goes on", name);
}

static void test_faults(void)
{
	test_fault("ld", ENC_LD(7, 5, 0), GSVM_ACCESS_READ, ENV_W);
	test_fault("lb", ENC_LB(7, 5, 0), GSVM_ACCESS_READ, ENV_X);
	test_fault("fld", ENC_FLD(7, 5, 0), GSVM_ACCESS_READ, ENV_W);
	test_fault("sd", ENC_SD(5, 6, 0), GSVM_ACCESS_WRITE, ENV_R);
	tap_eq(env_get(DATA), 0x1122334455667788, "sd: stored");
	test_fault("fsw", ENC_FSW(5, 6, 0), GSVM_ACCESS_WRITE, ENV_R);
	test_fault("amoadd.d", ENC_AMOADD(3, 7, 5, 6), GSVM_ACCESS_ATOMIC, ENV_R | ENV_W);
	tap_ok(env_get(DATA) == 0x11223344556677ca && env.hart.x[7] == 0x42, "amoadd.d: added once");
	test_fault("lr.d", ENC_LR(3, 7, 5), GSVM_ACCESS_READ, ENV_W);
	test_fault("sc.d", ENC_SC(3, 7, 5, 6), GSVM_ACCESS_ATOMIC, ENV_R | ENV_W);
	tap_ok(env_get(DATA) == 0x1122334455667788 && env.hart.x[7] == 0,
	       "sc.d: succeeds after its fault was served");

	LOAD(ENC_JAL(0, 0));
	env_protect(CODE, 0x1000, ENV_RW);
	stops("fetch without the right", HART_FAULT, 0, CODE);
	tap_eq(stop.fault.access, GSVM_ACCESS_EXEC, "fetch: access kind");
	LOAD(ENC_LD(7, 5, 0));
	env.hart.x[5] = 1ull << 48;
	stops("load from 2^48", HART_FAULT, 0, 1ull << 48);
	tap_eq(stop.fault.reason, GSVM_FAULT_ADDRESS, "load from 2^48: reason");
	LOAD(ENC_SD(5, 6, 0));
	env.hart.x[5] = -4ull;
	stops("store across the end of all addresses", HART_FAULT, 0, -4ull);
	LOAD(ENC_ADDI(7, 0, 1));
	env.hart.pc = 1ull << 48;
	stops("fetch from 2^48", HART_FAULT, 0, 1ull << 48);

	/* The last instruction of a page, and the first of the next. */
	LOAD(0);
	env_put(CODE + 0xff8, (uint64_t)ENC_ADDI(7, 7, 1) << 32 | ENC_ADDI(7, 7, 1));
	env.hart.pc = CODE + 0xff8;
	tap_ok(run(10) == HART_FAULT && env.hart.x[7] == 2 && env.hart.pc == CODE + 0x1000 &&
	       stop.fault.addr == CODE + 0x1000, "running off a page faults on the next");
}

static void test_page_cross(void)
{
	unsigned int size, k;

	for (size = 1; size < 4; size++) {
		for (k = 1; k < 1u << size; k++) {
			uint64_t at = DATA + 0x1000 - k, mask = ~0ull >> (64 - (8 << size));

			LOAD(ENC_STORE(size, 5, 6, 0), ENC_LOAD(size, 7, 5, 0), GSVM_INSN_EXIT);
			env.hart.x[5] = at;
			env_protect(DATA + 0x1000, 0x1000, ENV_R);
			stops("store across pages: second page is read-only", HART_FAULT, 0,
			      DATA + 0x1000);
			env_protect(DATA, 0x1000, 0);
			env_protect(DATA + 0x1000, 0x1000, ENV_RW);
			stops("store across pages: first page missing", HART_FAULT, 0, at);
			env_protect(DATA, 0x1000, ENV_RW);
			tap_ok(run(10) == HART_DONE && (env_get(at) & mask) == (env.hart.x[6] & mask) &&
			       (env.hart.x[7] & mask) == (env.hart.x[6] & mask) &&
			       !*env_ptr(at - 1) && !*env_ptr(at + (1u << size)),
			       "%u bytes, %u of them before the edge", 1u << size, k);
		}
	}
	LOAD(ENC_LD(7, 5, 0));
	env.hart.x[5] = DATA + 0xffc;
	env_protect(DATA + 0x1000, 0x1000, 0);
	stops("load across pages: second page missing", HART_FAULT, 0, DATA + 0x1000);
}

static void test_private(void)
{
	LOAD(ENC_SD(2, 6, -8), ENC_LD(7, 2, -8), ENC_AMOADD(3, 8, 9, 6), GSVM_INSN_EXIT);
	env.hart.x[9] = PRIV + 0xff8;
	tap_eq(run(10), HART_DONE, "stack access");
	tap_ok(env.hart.x[7] == env.hart.x[6] && env.hart.x[8] == env.hart.x[6] &&
	       ((uint64_t *)env.private_mem)[0xff8 / 8] == 2 * env.hart.x[6], "stack and amo data");
	LOAD(ENC_SW(5, 6, 0), ENC_LW(7, 5, 0), GSVM_INSN_EXIT);
	env.hart.x[5] = PRIV + 0x101;
	tap_ok(run(10) == HART_DONE && env.hart.x[7] == 0x55667788, "misaligned private access");

	LOAD(ENC_SB(2, 6, 0));
	stops("store just above the stack", HART_ERROR, GSVM_QERR_APERTURE, PRIV + 0x1000);
	tap_eq(stop.access, GSVM_ACCESS_WRITE, "aperture error: access kind");
	LOAD(ENC_LD(7, 2, -4));
	stops("load across the end of private memory", HART_ERROR, GSVM_QERR_APERTURE, PRIV + 0xffc);
	LOAD(ENC_LD(7, 5, 0));
	env.hart.x[5] = PRIV - 4;
	stops("load across the start of the aperture", HART_ERROR, GSVM_QERR_APERTURE, PRIV - 4);
	LOAD(ENC_LD(7, 5, 0));
	env.hart.x[5] = (1ull << 48) - 4;
	stops("load across the end of the aperture", HART_ERROR, GSVM_QERR_APERTURE,
	      (1ull << 48) - 4);
	LOAD(ENC_AMOADD(3, 7, 5, 6));
	env.hart.x[5] = PRIV + 0x2000;
	stops("amo outside private memory", HART_ERROR, GSVM_QERR_APERTURE, PRIV + 0x2000);
	LOAD(ENC_JALR(0, 2, -16));
	tap_ok(run(10) == HART_ERROR && stop.qerr == GSVM_QERR_APERTURE &&
	       env.hart.pc == PRIV + 0xff0, "private memory is not executable");
}

static void test_group(void)
{
	LOAD(ENC_SD(5, 6, 0), ENC_LD(7, 5, 0), ENC_AMOADD(2, 8, 5, 6), ENC_LR(3, 9, 5),
	     ENC_SC(3, 10, 5, 0), GSVM_INSN_EXIT);
	with_group();
	env.hart.x[5] = GROUP + 0x178;
	tap_eq(run(10), HART_DONE, "group memory access");
	tap_ok(env.hart.x[7] == env.hart.x[6] && env.hart.x[8] == 0x55667788 &&
	       env.hart.x[10] == 0 && ((uint64_t *)env.group_mem)[0x178 / 8] == 0,
	       "group memory data");
	LOAD(ENC_SW(5, 6, 0), ENC_LW(7, 5, 0), GSVM_INSN_EXIT);
	with_group();
	env.hart.x[5] = GROUP + 0x11;
	tap_ok(run(10) == HART_DONE && env.hart.x[7] == 0x55667788, "misaligned group access");

	LOAD(ENC_LD(7, 5, 0), GSVM_INSN_EXIT);
	env_protect(GROUP, 0x2000, ENV_RW);
	env_put(GROUP, 0x77);
	env.hart.x[5] = GROUP;
	tap_ok(run(10) == HART_DONE && env.hart.x[7] == 0x77, "no window: the page table counts");
	with_group();
	env.hart.pc = CODE;
	tap_ok(run(10) == HART_DONE && env.hart.x[7] == 0, "the window hides a page in the TLB");
	env.hart.pc = CODE;
	env.hart.x[5] = GROUP + 0x1000;
	tap_eq(run(10), HART_DONE, "the page behind the window is not hidden");

	LOAD(ENC_LB(7, 5, 0));
	with_group();
	env.hart.x[5] = GROUP + 0x180;
	stops("behind group memory, in its page", HART_ERROR, GSVM_QERR_APERTURE, GROUP + 0x180);
	LOAD(ENC_SD(5, 6, 0));
	with_group();
	env.hart.x[5] = GROUP + 0x17c;
	stops("across the end of group memory", HART_ERROR, GSVM_QERR_APERTURE, GROUP + 0x17c);
	LOAD(ENC_LD(7, 5, 0));
	with_group();
	env_protect(GROUP - 0x1000, 0x1000, ENV_RW);
	env.hart.x[5] = GROUP - 1;
	stops("across the start of group memory", HART_ERROR, GSVM_QERR_APERTURE, GROUP - 1);
	LOAD(ENC_JALR(0, 5, 0));
	with_group();
	env.hart.x[5] = GROUP;
	tap_ok(run(10) == HART_ERROR && stop.qerr == GSVM_QERR_APERTURE && env.hart.pc == GROUP,
	       "group memory is not executable");
}

static uint64_t read_csr(unsigned int csr)
{
	const uint32_t code[] = { ENC_CSRRS(7, csr, 0) };

	env_write(CODE, code, sizeof(code));
	env.hart.pc = CODE;
	tap_ok(run(1) == HART_BUDGET, "CSR 0x%x is readable", csr);
	return env.hart.x[7];
}

static void test_csrs(void)
{
	static const uint32_t local[] = { 3, 1, 2 };
	uint64_t before;
	unsigned int d;

	LOAD(0);
	with_group();
	env.group.dims = 3;
	env.group.packet = 99;
	env.core.id = 5;
	env.time = 123456;
	for (d = 0; d < 3; d++) {
		env.group.group_id[d] = 10 + d;
		env.group.local_size[d] = 4 + d;
		env.group.group_size[d] = 4;
		env.group.grid_size[d] = 1000 + d;
	}
	hart_init(&env.hart, &env.group, local, CODE, 0, NULL, 0);
	for (d = 0; d < 3; d++) {
		tap_eq(read_csr(GSVM_CSR_GLOBAL_ID(d)), (10 + d) * (4 + d) + local[d], "global id");
		tap_eq(read_csr(GSVM_CSR_LOCAL_ID(d)), local[d], "local id");
		tap_eq(read_csr(GSVM_CSR_GROUP_ID(d)), 10 + d, "group id");
		tap_eq(read_csr(GSVM_CSR_GRID_SIZE(d)), 1000 + d, "grid size");
		tap_eq(read_csr(GSVM_CSR_GROUP_SIZE(d)), 4, "size of this group");
		tap_eq(read_csr(GSVM_CSR_LOCAL_SIZE(d)), 4 + d, "size of a group");
	}
	tap_eq(read_csr(GSVM_CSR_DIMS), 3, "dimensions");
	tap_eq(read_csr(GSVM_CSR_GLOBAL_LINEAR), (74ull * 1001 + 56) * 1000 + 43, "linear id");
	tap_eq(hart_global_linear(&env.hart), (74ull * 1001 + 56) * 1000 + 43, "the same outside");
	tap_eq(read_csr(GSVM_CSR_GROUP_DYN), GROUP + 0x100, "dynamic group memory");
	tap_eq(read_csr(GSVM_CSR_GROUP_DYN_SIZE), 0x80, "its size");
	tap_eq(read_csr(GSVM_CSR_CORE), 5, "core");
	tap_eq(read_csr(GSVM_CSR_PACKET), 99, "packet");
	tap_eq(read_csr(0xc01), 123456, "time");
	before = env.hart.insns;
	tap_eq(read_csr(0xc02), before, "instret does not count its own reader");
	tap_eq(read_csr(0xc00), before + 1, "cycle counts instructions");
}

static void test_fcsr(void)
{
	const struct {
		const char *name;
		uint32_t insn;
		uint32_t before, after, read;
	} t[] = {
		{ "fcsr written", ENC_CSRRW(7, 3, 6), 0x21, 0x88, 0x21 },
		{ "frm written", ENC_CSRRWI(7, 2, 5), 0x21, 0xa1, 1 },
		{ "fflags written", ENC_CSRRWI(7, 1, 0x1e), 0x21, 0x3e, 1 },
		{ "fflags set", ENC_CSRRSI(7, 1, 0x18), 0x21, 0x39, 1 },
		{ "fflags cleared", ENC_CSRRCI(7, 1, 1), 0x21, 0x20, 1 },
		{ "fcsr cleared", ENC_CSRRC(7, 3, 6), 0xff, 0x77, 0xff },
		{ "fcsr read", ENC_CSRRS(7, 3, 0), 0xe5, 0xe5, 0xe5 },
	};
	unsigned int i;

	for (i = 0; i < NUM(t); i++) {
		LOAD(t[i].insn);
		env.hart.fcsr = t[i].before;
		tap_ok(run(1) == HART_BUDGET && env.hart.fcsr == t[i].after &&
		       env.hart.x[7] == t[i].read, "%s", t[i].name);
	}
}

#define BOX(s)	(0xffffffff00000000ull | (s))

/* By hand, from the standard: one operation on f1, f2 (f3), all rounding modes. */
static void test_float(void)
{
	const struct {
		const char *name;
		uint32_t insn;
		uint64_t a, b;
		uint32_t fcsr;
		uint64_t result;
		uint32_t flags;
	} t[] = {
		{ "1 + 2^-24, nearest even", ENC_FOP(0, 0, 0, 4, 1, 2), BOX(0x3f800000),
		  BOX(0x33800000), 0, BOX(0x3f800000), 1 },
		{ "1 + 2^-24, zero", ENC_FOP(0, 0, 1, 4, 1, 2), BOX(0x3f800000),
		  BOX(0x33800000), 0, BOX(0x3f800000), 1 },
		{ "1 + 2^-24, down", ENC_FOP(0, 0, 2, 4, 1, 2), BOX(0x3f800000),
		  BOX(0x33800000), 0, BOX(0x3f800000), 1 },
		{ "1 + 2^-24, up", ENC_FOP(0, 0, 3, 4, 1, 2), BOX(0x3f800000),
		  BOX(0x33800000), 0, BOX(0x3f800001), 1 },
		{ "1 + 2^-24, ties away", ENC_FOP(0, 0, 4, 4, 1, 2), BOX(0x3f800000),
		  BOX(0x33800000), 0, BOX(0x3f800001), 1 },
		{ "1 + 2^-24, dynamic up", ENC_FOP(0, 0, 7, 4, 1, 2), BOX(0x3f800000),
		  BOX(0x33800000), 3 << 5, BOX(0x3f800001), 1 },
		{ "1 - 1, down", ENC_FOP(1, 1, 2, 4, 1, 2), 0x3ff0000000000000,
		  0x3ff0000000000000, 0, 1ull << 63, 0 },
		{ "not boxed is a quiet NaN", ENC_FOP(0, 0, 0, 4, 1, 2), 0x3f800000,
		  BOX(0x3f800000), 0, BOX(0x7fc00000), 0 },
		{ "signalling NaN", ENC_FOP(0, 0, 0, 4, 1, 2), BOX(0x7f800001),
		  BOX(0x3f800000), 0, BOX(0x7fc00000), 0x10 },
		{ "infinity - infinity", ENC_FOP(1, 1, 0, 4, 1, 2), 0x7ff0000000000000,
		  0x7ff0000000000000, 0, 0x7ff8000000000000, 0x10 },
		{ "1 / 0", ENC_FOP(3, 1, 0, 4, 1, 2), 0x3ff0000000000000, 0, 0,
		  0x7ff0000000000000, 8 },
		{ "max * 2, to zero", ENC_FOP(2, 1, 1, 4, 1, 2), 0x7fefffffffffffff,
		  0x4000000000000000, 0, 0x7fefffffffffffff, 5 },
		{ "max * 2, nearest", ENC_FOP(2, 1, 0, 4, 1, 2), 0x7fefffffffffffff,
		  0x4000000000000000, 0, 0x7ff0000000000000, 5 },
		{ "least / 2", ENC_FOP(2, 1, 0, 4, 1, 2), 1, 0x3fe0000000000000, 0, 0, 3 },
		{ "least normal from below: not tiny after rounding", ENC_FOP(2, 0, 0, 4, 1, 2),
		  BOX(0x00800001), BOX(0x3f7ffffe), 0, BOX(0x00800000), 1 },
		{ "exact subnormal: no underflow", ENC_FOP(2, 0, 0, 4, 1, 2),
		  BOX(0x00800000), BOX(0x3f000000), 0, BOX(0x00400000), 0 },
		{ "sqrt(2)", ENC_FOP(0x0b, 1, 0, 4, 1, 0), 0x4000000000000000, 0, 0,
		  0x3ff6a09e667f3bcd, 1 },
		{ "sqrt(-0)", ENC_FOP(0x0b, 1, 0, 4, 1, 0), 1ull << 63, 0, 0, 1ull << 63, 0 },
		{ "sqrt(-1)", ENC_FOP(0x0b, 1, 0, 4, 1, 0), 0xbff0000000000000, 0, 0,
		  0x7ff8000000000000, 0x10 },
		{ "min(-0, +0)", ENC_FOP(5, 1, 0, 4, 2, 1), 1ull << 63, 0, 0, 1ull << 63, 0 },
		{ "max(NaN, 1)", ENC_FOP(5, 1, 1, 4, 1, 2), 0x7ff8000000000001,
		  0x3ff0000000000000, 0, 0x3ff0000000000000, 0 },
		{ "0 * infinity + NaN is invalid", ENC_FMADD(1, 0, 4, 1, 2, 3), 0,
		  0x7ff0000000000000, 0, 0x7ff8000000000000, 0x10 },
		{ "double to single is boxed", ENC_FOP(8, 0, 0, 4, 1, 1), 0x3ff0000000000000, 0,
		  0, BOX(0x3f800000), 0 },
	};
	unsigned int i;

	for (i = 0; i < NUM(t); i++) {
		LOAD(t[i].insn);
		env.hart.f[1] = t[i].a;
		env.hart.f[2] = t[i].b;
		env.hart.f[3] = 0x7ff8000000000000;
		env.hart.fcsr = t[i].fcsr;
		if (!tap_ok(run(1) == HART_BUDGET && env.hart.f[4] == t[i].result &&
			    env.hart.fcsr == (t[i].fcsr | t[i].flags), "%s", t[i].name))
			tap_note("0x%llx, fcsr 0x%x", (unsigned long long)env.hart.f[4],
				 env.hart.fcsr);
	}
}

static void test_code_changes(void)
{
	uint32_t insn = ENC_ADDI(7, 7, 0x100);

	LOAD(ENC_SW(5, 6, 0), ENC_FENCE_I, ENC_ADDI(7, 7, 1), GSVM_INSN_EXIT);
	env_protect(CODE, 0x1000, ENV_RW | ENV_X);
	env.hart.x[5] = CODE + 8;
	env.hart.x[6] = insn;
	tap_ok(run(10) == HART_DONE && env.hart.x[7] == 0x100, "a hart changes its own code");
	LOAD(ENC_ADDI(7, 7, 1), ENC_JAL(0, -4));
	run(10);
	env_write(CODE, &insn, 4);
	run(2);
	tap_eq(env.hart.x[7], 0x105, "code changed from outside is seen");
}

#define RACERS	3
#define ROUNDS	20000

/* Each hart: ROUNDS times amoadd on one word, LR/SC increment on another. */
static void *racer(void *arg)
{
	struct hart_stop_info info;
	static struct core cores[RACERS];
	static struct hart harts[RACERS];
	static const uint32_t local[3];
	struct core *core = &cores[(uintptr_t)arg];
	struct hart *h = &harts[(uintptr_t)arg];
	enum hart_stop why;

	core->gpu = &env.gpu;
	hart_init(h, &env.group, local, CODE, 0, NULL, 0);
	h->x[5] = DATA;
	h->x[6] = DATA + 8;
	h->x[7] = ROUNDS;
	h->x[8] = 1;
	do {
		why = hart_run(core, h, 1000, &info);
	} while (why == HART_BUDGET);
	return (void *)(uintptr_t)(why == HART_DONE);
}

static void test_race(void)
{
	pthread_t thread[RACERS];
	uintptr_t i, done = 0;
	void *ret;

	LOAD(ENC_AMOADD(3, 0, 5, 8),
	     ENC_LR(3, 9, 6), ENC_ADDI(9, 9, 1), ENC_SC(3, 10, 6, 9), ENC_BNE(10, 0, -12),
	     ENC_ADDI(7, 7, -1), ENC_BNE(7, 0, -24), GSVM_INSN_EXIT);
	for (i = 0; i < RACERS; i++)
		tap_need(!pthread_create(&thread[i], NULL, racer, (void *)i), "thread");
	/* The CPU works on the same words. */
	for (i = 0; i < ROUNDS; i++) {
		__atomic_fetch_add((uint64_t *)env_ptr(DATA), 1, __ATOMIC_RELAXED);
		__atomic_fetch_add((uint64_t *)env_ptr(DATA + 8), 1, __ATOMIC_RELAXED);
	}
	for (i = 0; i < RACERS; i++) {
		pthread_join(thread[i], &ret);
		done += (uintptr_t)ret;
	}
	tap_eq(done, RACERS, "racing harts end");
	tap_eq(env_get(DATA), (RACERS + 1) * ROUNDS, "amoadd against the CPU: no update lost");
	tap_eq(env_get(DATA + 8), (RACERS + 1) * ROUNDS, "LR and SC against the CPU");
}

static void speed(const char *name, unsigned int insns)
{
	struct timespec a, b;
	double s;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	while (insns) {
		unsigned int n = insns < 10000 ? insns : 10000;

		run(n);
		insns -= n;
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	s = (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) * 1e-9;
	tap_note("%s: %.0f million instructions/s", name, env.hart.insns / s * 1e-6);
}

static void report_speed(void)
{
	LOAD(ENC_ADDI(7, 7, 1), ENC_ADD(8, 8, 7), ENC_XOR(9, 9, 8), ENC_SLLI(10, 8, 3),
	     ENC_ANDI(11, 10, 0xff), ENC_BNE(7, 0, -20));
	speed("computation", 20000000);
	LOAD(ENC_LD(7, 5, 0), ENC_ADD(8, 8, 7), ENC_SD(5, 8, 8), ENC_LW(9, 5, 16),
	     ENC_ADDI(10, 9, 1), ENC_SW(5, 10, 16), ENC_JAL(0, -24));
	speed("two loads and two stores in seven", 20000000);
	LOAD(ENC_FOP(0, 1, 7, 1, 2, 3), ENC_FOP(2, 1, 7, 4, 1, 3), ENC_JAL(0, -8));
	env.hart.f[2] = 0x3ff0000000000001;
	env.hart.f[3] = 0x3fb999999999999a;
	speed("two of three double precision", 10000000);
	LOAD(ENC_AMOADD(3, 7, 5, 6), ENC_JAL(0, -4));
	speed("every other one an atomic", 5000000);
}

int main(void)
{
	test_start();
	test_ends();
	test_illegal();
	test_misaligned();
	test_faults();
	test_page_cross();
	test_private();
	test_group();
	test_csrs();
	test_fcsr();
	test_float();
	test_code_changes();
	test_race();
	report_speed();
	return tap_done();
}
