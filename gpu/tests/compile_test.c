// SPDX-License-Identifier: MIT
/* gsvm-cc says what is wrong, leaves no output behind, and needs no tree. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"

static char dir[] = "/tmp/gsvm-compile-XXXXXX";

/* Exit status of a shell command in the directory. */
static int shell(const char *fmt, ...)
{
	char command[2048], all[2200];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(all, sizeof(all), "cd %s && { %s ; }", dir, command);
	status = system(all);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void source(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	tap_need(f && fputs(text, f) >= 0 && !fclose(f), "source written");
}

#define INCLUDE	"#include <gsvm_device.h>\n"

static const struct {
	const char *name, *file, *text, *args;
	const char *says;	/* in the message; NULL: compiles */
} cases[] = {
	{ "a kernel in C", "a.c", INCLUDE "GSVM_KERNEL(k)(int *p) { *p = 1; }\n", "a.c", NULL },
	{ "a kernel in OpenCL C", "b.cl", "kernel void k(global int *p) { *p = 1; }\n", "b.cl", NULL },
	{ "a kernel without arguments", "b0.cl", "kernel void k(void) { }\n", "b0.cl", NULL },
	{ "both in one program", "c.c", INCLUDE "GSVM_KERNEL(other)(int *p) { *p = 2; }\n", "c.c b.cl",
	  NULL },
	{ "without optimisation", "d.cl", "kernel void k(global int *p) { p[get_global_id(0)] ="
	  " atomic_inc(p) + max(1, 2); }\n", "-O0 d.cl", NULL },
	{ "with debug information", "d.cl", NULL, "-g d.cl", NULL },
	{ "the device header in OpenCL C", "d2.cl", INCLUDE
	  "kernel void k(global ulong *p) { p[gsvm_global_id(0)] = gsvm_time(); }\n", "d2.cl", NULL },
	{ "no kernel", "e.c", "int x;\n", "e.c", "no kernel" },
	{ "a syntax error", "f.c", INCLUDE "GSVM_KERNEL(k)(int *p) { oops }\n", "f.c", "oops" },
	{ "an undefined function", "g.c", INCLUDE "int printf(const char *, ...);\n"
	  "GSVM_KERNEL(k)(int *p) { *p = printf(\"\"); }\n", "g.c", "undefined symbol: printf" },
	{ "an undefined built-in function", "h.cl",
	  "kernel void k(global float *p) { *p = sin(*p); }\n", "h.cl", "undefined symbol: sin(float)" },
	{ "two kernels of one name", "i.c", INCLUDE "GSVM_KERNEL(k)(int *p) { *p = 2; }\n", "i.c b.cl",
	  "duplicate symbol" },
	{ "a group variable with a value", "j.c", INCLUDE
	  "GSVM_GROUP int v = 5; GSVM_KERNEL(k)(int *p) { *p = v++; }\n", "j.c", "initial value" },
	{ "too much group memory", "k.c", INCLUDE
	  "GSVM_GROUP char v[65552]; GSVM_KERNEL(k)(char *p) { *p = v[0]++; }\n", "k.c", "64 KiB" },
	{ "a structure as argument", "l.cl", "struct s { int a, b; };\n"
	  "kernel void k(struct s s, global int *p) { *p = s.a; }\n", "l.cl", "argument 1" },
	{ "a vector as argument", "m.cl", "kernel void k(global float4 *p, float4 v) { *p = v; }\n",
	  "m.cl", "argument 2" },
	{ "an unknown option", "a.c", NULL, "-march=rv64gc a.c", "unknown option -march" },
	{ "a bad stack size", "a.c", NULL, "--private-size=100 a.c", "multiple of 16" },
	{ "a file that is not there", "a.c", NULL, "nothing.c", "no such file" },
	{ "a file of another kind", "n.txt", "text", "n.txt", "not a .c" },
	{ "no file", "a.c", NULL, "", "usage" },
	{ "an option without its value", "a.c", NULL, "a.c -o", "needs a value" },
};

/* gsvm-cc with @args; the program, if any, is there afterwards. */
static void test_case(unsigned int i, const char *cc)
{
	int status, exists, said = 0;

	if (cases[i].text)
		source(cases[i].file, cases[i].text);
	shell("rm -f out.gsvm");
	status = shell("'%s' %s > log 2>&1", cc, cases[i].args);
	exists = !shell("test -e out.gsvm");
	if (cases[i].says)
		said = !shell("grep -qF -e '%s' log", cases[i].says);
	if (!tap_ok(cases[i].says ? status == 1 && !exists && said : !status && exists, "%s",
		    cases[i].name)) {
		tap_note("status %d", status);
		shell("sed 's/^/# /' log");
	}
}

/* As installed: bin/gsvm-cc and share/gsvm/, reached through a link. */
static void test_installed(const char *cc)
{
	int status;

	status = shell("mkdir -p inst/bin inst/share/gsvm && cp '%s' inst/bin/ && s=$(dirname '%s') && "
		       "cp -r $s/gsvm.ld $s/gsvm_device.h $s/device inst/share/gsvm/ && "
		       "ln -s inst/bin/gsvm-cc link && rm -f out.gsvm && ./link a.c && test -e out.gsvm",
		       cc, cc);
	tap_eq(status, 0, "works as installed");
	status = shell("rm inst/share/gsvm/gsvm.ld && ./link a.c 2>&1 | grep -q 'incomplete installation'");
	tap_eq(status, 0, "an incomplete installation is reported");
	status = shell("GSVM_GCC=no-such-gcc '%s' a.c 2> log; test $? = 3 && "
		       "grep -q 'install the package gcc-riscv64-unknown-elf' log", cc);
	tap_eq(status, 0, "a missing compiler is named with its package");
	status = shell("'%s' -MD -MF a.d -o a.gsvm a.c && grep -q gsvm_device.h a.d", cc);
	tap_eq(status, 0, "dependencies for make");
	status = shell("mkdir t && TMPDIR=$PWD/t '%s' a.c && ! TMPDIR=$PWD/t '%s' f.c 2> log && "
		       "rmdir t", cc, cc);
	tap_eq(status, 0, "no temporary files stay");
}

int main(void)
{
	const char *cc = getenv("GSVM_CC");
	unsigned int i;
	int status;

	tap_need(mkdtemp(dir), "temporary directory");
	source("a.c", cases[0].text);
	source("b.cl", cases[1].text);
	status = !cc || access(cc, X_OK) ? 3 : shell("'%s' a.c b.cl > log 2>&1", cc);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (status == 3)
			tap_skip("a compiler for GPU programs is missing", cases[i].name);
		else
			test_case(i, cc);
	}
	if (status != 3)
		test_installed(cc);
	shell("rm -rf %s", dir);
	return tap_done();
}
