// SPDX-License-Identifier: MIT
/*
 * DOC: extensible structures
 *
 * Every structure that may grow starts with its size as the caller compiled
 * it, so that old programs run with new libraries and new programs with old
 * libraries, as far as they ask for nothing the library does not know.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

#define MAX_STRUCT 4096		/* a size beyond this is not a structure of ours */

int gsvm_copy_in(void *known, size_t known_size, const void *given, size_t given_size)
{
	const unsigned char *tail = given;
	size_t i;

	if (given_size < sizeof(size_t))
		return -EINVAL;
	if (given_size > MAX_STRUCT)
		return -E2BIG;
	for (i = known_size; i < given_size; i++) {
		if (tail[i])
			return -E2BIG;
	}
	memset(known, 0, known_size);
	memcpy(known, given, given_size < known_size ? given_size : known_size);
	return 0;
}

int gsvm_copy_out(void *given, size_t given_size, const void *known, size_t known_size)
{
	size_t head = sizeof(size_t);
	size_t both = given_size < known_size ? given_size : known_size;

	if (given_size < head)
		return -EINVAL;
	if (given_size > MAX_STRUCT)
		return -E2BIG;
	memcpy((char *)given + head, (const char *)known + head, both - head);
	memset((char *)given + both, 0, given_size - both);
	return 0;
}
