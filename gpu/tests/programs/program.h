/* SPDX-License-Identifier: MIT */
/* What the programs of program_test and the test share. */
#ifndef GPU_TESTS_PROGRAM_H
#define GPU_TESTS_PROGRAM_H

/* Words that kernel "ids" writes per work-item. */
#define IDS_WORDS	24

/* Results of kernel "helpers", by index. */
enum {
	H_CLZ, H_CTZ, H_POPCOUNT, H_FFS, H_UDIV128, H_UMOD128, H_MUL128, H_MOVE, H_COMPARE,
	H_STRUCT, H_FLOAT, H_DOUBLE, H_U64_TO_F32, H_F64_TO_U64, H_STRLEN, H_NUM,
};

/* Results of kernel "atomics": old value and what is in memory after it. */
enum {
	A_ADD, A_SUB, A_AND, A_OR, A_XOR, A_EXCHANGE, A_CAS_OK, A_CAS_BAD, A_MIN_S32, A_MAX_S32,
	A_MIN_U32, A_MAX_U32, A_MIN_S64, A_MAX_S64, A_MIN_U64, A_MAX_U64, A_NUM,
};

#endif
