// SPDX-License-Identifier: MIT
/* gsvm_error_describe(), the structures that grow, arguments. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../private.h"
#include "tap.h"

static void text_is(const struct gsvm_error *error, const char *expected)
{
	char text[256];
	int length = gsvm_error_describe(error, text, sizeof(text));

	if (!ok(length == (int)strlen(expected) && !strcmp(text, expected), "text: %s", expected))
		printf("# got %d: %s\n", length, text);
}

static void test_texts(void)
{
	struct gsvm_error e = { .size = sizeof(e) };

	text_is(&e, "no error");
	e.code = GSVM_ERROR_FAULT;
	e.access = GSVM_ERROR_WRITE;
	e.reason = GSVM_REASON_NOT_MAPPED;
	e.address = 0x7f0000001000;
	e.pc = 0x7f2000000040;
	e.work_item = 17;
	e.packet = 3;
	text_is(&e, "write to 0x7f0000001000 by work-item 17 at pc 0x7f2000000040, packet 3: "
		"nothing is mapped there");
	e.access = GSVM_ERROR_READ;
	e.reason = GSVM_REASON_PERMISSION;
	e.pc = 0;
	text_is(&e, "read of 0x7f0000001000 by the packet processor, packet 3: "
		"the mapping does not allow it");
	e.access = 77;
	e.reason = 99;
	text_is(&e, "unknown access to 0x7f0000001000 by the packet processor, packet 3: "
		"unknown reason");
	e.code = GSVM_ERROR_PACKET;
	text_is(&e, "malformed packet at 0x7f0000001000 by the packet processor, packet 3");
	e.code = GSVM_ERROR_KERNEL;
	text_is(&e, "malformed kernel descriptor at 0x7f0000001000 by the packet processor, "
		"packet 3");
	e.pc = 0x40;
	e.address = 0xffff;
	e.code = GSVM_ERROR_ILLEGAL;
	text_is(&e, "illegal instruction 0x0000ffff by work-item 17 at pc 0x40, packet 3");
	e.code = GSVM_ERROR_TRAP;
	text_is(&e, "trap instruction 0x0000ffff by work-item 17 at pc 0x40, packet 3");
	e.code = GSVM_ERROR_MISALIGNED;
	text_is(&e, "misaligned access to 0xffff by work-item 17 at pc 0x40, packet 3");
	e.code = GSVM_ERROR_LIMIT;
	text_is(&e, "more instructions than the queue allows by work-item 17 at pc 0x40, packet 3");
	e.code = GSVM_ERROR_APERTURE;
	text_is(&e, "access to 0xffff outside of private and work-group memory "
		"by work-item 17 at pc 0x40, packet 3");
	e.code = GSVM_ERROR_DEVICE;
	text_is(&e, "the GPU failed or was reset");
	e.code = 1234;
	text_is(&e, "unknown error 1234 by work-item 17 at pc 0x40, packet 3");
}

/* Each reason and access has words of its own. */
static void test_all_words(void)
{
	struct gsvm_error e = { .size = sizeof(e), .code = GSVM_ERROR_FAULT };
	char text[16][256];
	int i, j, n = 0;

	for (i = GSVM_REASON_NONE; i <= GSVM_REASON_BUSY; i++) {
		e.reason = (uint32_t)i;
		gsvm_error_describe(&e, text[n++], 256);
	}
	e.reason = 0;
	for (i = GSVM_ERROR_WRITE; i <= GSVM_ERROR_ATOMIC; i++) {
		e.access = (uint32_t)i;
		gsvm_error_describe(&e, text[n++], 256);
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < i && strcmp(text[i], text[j]); j++)
			;
		ok(j == i && !strstr(text[i], "unknown"), "words: %s", text[i]);
	}
}

static void test_buffer(void)
{
	struct gsvm_error e = { .size = sizeof(e) };
	char text[8] = "1234567";

	is(gsvm_error_describe(&e, text, 4), 8, "cut: length of the whole text");
	ok(!strcmp(text, "no ") && text[4] == '5', "cut: ends with zero inside the buffer");
	is(gsvm_error_describe(&e, NULL, 0), 8, "no buffer: only the length");
	is(gsvm_error_describe(&e, NULL, 5), -EINVAL, "no buffer, but a size");
	is(gsvm_error_describe(NULL, text, sizeof(text)), -EINVAL, "no record");
	e.size = 0;
	is(gsvm_error_describe(&e, text, sizeof(text)), -EINVAL, "record without a size");
}

static void test_structs(void)
{
	struct { size_t size; uint32_t a, b; } known = { 16, 7, 8 };
	struct { size_t size; uint32_t a, b; uint64_t more; } newer = { 24, 1, 2, 0 };
	struct { size_t size; uint32_t a; } older = { 12, 5 };

	is(gsvm_copy_in(&known, 16, &newer, newer.size), 0, "in: newer caller, zero tail");
	ok(known.a == 1 && known.b == 2, "in: newer caller's fields");
	newer.more = 1;
	is(gsvm_copy_in(&known, 16, &newer, newer.size), -E2BIG, "in: newer caller, unknown field");
	is(gsvm_copy_in(&known, 16, &older, 12), 0, "in: older caller");
	ok(known.a == 5 && known.b == 0, "in: the rest is zero");
	is(gsvm_copy_in(&known, 16, &older, 7), -EINVAL, "in: too short for a size");
	is(gsvm_copy_in(&known, 16, &newer, 5000), -E2BIG, "in: absurd size");
	known.a = 3;
	known.b = 4;
	is(gsvm_copy_out(&newer, newer.size, &known, 16), 0, "out: newer caller");
	ok(newer.size == 24 && newer.a == 3 && newer.b == 4 && !newer.more,
	   "out: the size stays, the unknown is zero");
	is(gsvm_copy_out(&older, 12, &known, 16), 0, "out: older caller");
	ok(older.size == 12 && older.a == 3, "out: older caller's fields");
	is(gsvm_copy_out(&older, 0, &known, 16), -EINVAL, "out: no size");
	is(gsvm_copy_out(&newer, 1u << 20, &known, 16), -E2BIG, "out: absurd size");
}

static void test_args(void)
{
	struct gsvm_args args = { 0 };
	uint64_t here = 0;
	int i;

	is(gsvm_args_pointer(&args, &here), 0, "pointer");
	is(gsvm_args_int(&args, -2), 0, "int");
	is(gsvm_args_uint(&args, 0x80000001u), 0, "uint");
	is(gsvm_args_long(&args, INT64_MIN), 0, "long");
	is(gsvm_args_float(&args, 1.5f), 0, "float");
	is(gsvm_args_double(&args, -2.0), 0, "double");
	ok(args.count == 6 && args.word[0] == (uintptr_t)&here && args.word[1] == (uint64_t)-2 &&
	   args.word[2] == 0xffffffff80000001ull && args.word[3] == 1ull << 63 &&
	   args.word[4] == 0x3fc00000 && args.word[5] == 0xc000000000000000ull,
	   "words as the calling convention wants them");
	for (i = 6; i < GSVM_MAX_ARGS; i++)
		gsvm_args_int(&args, i);
	is(args.word[GSVM_MAX_ARGS - 1], GSVM_MAX_ARGS - 1, "room for all");
	is(gsvm_args_int(&args, 0), -ENOSPC, "one too many");
	is(args.count, GSVM_MAX_ARGS, "and nothing changed");
	is(gsvm_args_long(NULL, 0), -EINVAL, "no structure");
}

int main(void)
{
	test_texts();
	test_all_words();
	test_buffer();
	test_structs();
	test_args();
	return tap_done();
}
