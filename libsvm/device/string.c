// SPDX-License-Identifier: MIT
/*
 * Functions that compilers call without being asked, for GPU programs: memory,
 * and bit counts (the base instruction set has none). Weak, so that a program
 * can bring its own.
 *
 * Compiled with -fno-builtin -fno-tree-loop-distribute-patterns: otherwise the
 * loops here would become calls to themselves.
 */
#include <stddef.h>
#include <stdint.h>

#define WEAK	__attribute__((weak, used))

typedef uint64_t __attribute__((may_alias)) word;

/* Both pointers are at the same offset in a word, so whole words can move. */
static int together(const void *a, const void *b, size_t n)
{
	return n >= 16 && !(((uintptr_t)a ^ (uintptr_t)b) & 7);
}

WEAK void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	unsigned char *d = to;
	const unsigned char *s = from;

	if (together(d, s, n)) {
		for (; (uintptr_t)d & 7; n--)
			*d++ = *s++;
		for (; n >= 8; n -= 8, d += 8, s += 8)
			*(word *)d = *(const word *)s;
	}
	while (n--)
		*d++ = *s++;
	return to;
}

WEAK void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *d = to;
	const unsigned char *s = from;

	if ((uintptr_t)d - (uintptr_t)s >= n)
		return memcpy(to, from, n);
	d += n;
	s += n;
	if (together(d, s, n)) {
		for (; (uintptr_t)d & 7; n--)
			*--d = *--s;
		for (; n >= 8; n -= 8) {
			d -= 8;
			s -= 8;
			*(word *)d = *(const word *)s;
		}
	}
	while (n--)
		*--d = *--s;
	return to;
}

WEAK void *memset(void *to, int c, size_t n)
{
	uint64_t fill = (unsigned char)c * 0x0101010101010101ull;
	unsigned char *d = to;

	if (n >= 16) {
		for (; (uintptr_t)d & 7; n--)
			*d++ = (unsigned char)c;
		for (; n >= 8; n -= 8, d += 8)
			*(word *)d = fill;
	}
	while (n--)
		*d++ = (unsigned char)c;
	return to;
}

WEAK int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n; n--, p++, q++) {
		if (*p != *q)
			return *p - *q;
	}
	return 0;
}

WEAK size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

WEAK int __clzdi2(uint64_t v)
{
	int n = 0, k;

	for (k = 32; k; k >>= 1) {
		if (!(v >> (64 - k))) {
			v <<= k;
			n += k;
		}
	}
	return n;
}

WEAK int __clzsi2(uint32_t v)
{
	return __clzdi2(v) - 32;
}

/* Zero is not a valid argument. */
WEAK int __ctzdi2(uint64_t v)
{
	return 63 - __clzdi2(v & -v);
}

WEAK int __ctzsi2(uint32_t v)
{
	return __ctzdi2(v);
}

WEAK int __ffsdi2(uint64_t v)
{
	return v ? __ctzdi2(v) + 1 : 0;
}

WEAK int __ffssi2(uint32_t v)
{
	return __ffsdi2(v);
}

WEAK int __popcountdi2(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return v * 0x0101010101010101ull >> 56;
}

WEAK int __popcountsi2(uint32_t v)
{
	return __popcountdi2(v);
}

WEAK int __paritydi2(uint64_t v)
{
	return __popcountdi2(v) & 1;
}

WEAK int __paritysi2(uint32_t v)
{
	return __popcountdi2(v) & 1;
}
