// SPDX-License-Identifier: MIT
/*
 * DOC: arguments
 *
 * Builds the words that an OpenCL C kernel's arguments are made of, as the
 * RISC-V calling convention wants them: 32-bit values extended by their sign,
 * unsigned ones too.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

static int push(struct gsvm_args *args, uint64_t word)
{
	if (!args)
		return -EINVAL;
	if (args->count >= GSVM_MAX_ARGS)
		return -ENOSPC;
	args->word[args->count++] = word;
	return 0;
}

gsvm_public int gsvm_args_pointer(struct gsvm_args *args, const void *value)
{
	return push(args, (uintptr_t)value);
}

gsvm_public int gsvm_args_int(struct gsvm_args *args, int32_t value)
{
	return push(args, (uint64_t)(int64_t)value);
}

gsvm_public int gsvm_args_uint(struct gsvm_args *args, uint32_t value)
{
	return push(args, (uint64_t)(int64_t)(int32_t)value);
}

gsvm_public int gsvm_args_long(struct gsvm_args *args, int64_t value)
{
	return push(args, (uint64_t)value);
}

gsvm_public int gsvm_args_float(struct gsvm_args *args, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return push(args, bits);
}

gsvm_public int gsvm_args_double(struct gsvm_args *args, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return push(args, bits);
}
