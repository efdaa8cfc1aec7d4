/* SPDX-License-Identifier: MIT */
/*
 * The ELF file of a GPU program, read with distrust: whatever these functions
 * return lies inside the file, whatever the file says.
 */
#ifndef GSVM_IMAGE_H
#define GSVM_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAX_SEGMENTS	32
#define IMAGE_MAX_SPAN		(1ull << 30)	/* bytes of address space */
#define IMAGE_MAX_ALIGN		(1ull << 21)

struct image_segment {
	uint64_t start;		/* address as linked */
	uint64_t end;		/* behind the last byte in memory */
	const void *data;	/* in the file */
	uint64_t filled;	/* bytes of it; the rest is zero */
	uint32_t flags;		/* PF_* */
};

struct image {
	const unsigned char *file;
	uint64_t size;
	Elf64_Ehdr header;
	struct image_segment segment[IMAGE_MAX_SEGMENTS];	/* ascending, apart */
	unsigned int segments;
	uint64_t start, end;	/* of all segments, whole 4 KiB pages */
	uint64_t align;
	/* PT_DYNAMIC's table of relocations; all bytes lie in the file */
	const unsigned char *rela;
	uint64_t relas;
	/* symbol table, and its names, which end with a zero byte */
	const unsigned char *symbols;
	uint64_t num_symbols;
	const char *names;
	uint64_t names_size;
};

/* -ENOEXEC: not a GPU program, or damaged. Keeps pointers into @file. */
int image_parse(struct image *image, const void *file, size_t size);

/* The segment that holds [address, address + size), or NULL. */
const struct image_segment *image_find(const struct image *image, uint64_t address, uint64_t size);

/* Number @index < relas: where to store the load address + *addend; false: nowhere. */
bool image_rela(const struct image *image, uint64_t index, uint64_t *address, uint64_t *addend);

/* Symbol @index < num_symbols if it names a place in a segment. */
bool image_symbol(const struct image *image, uint64_t index, Elf64_Sym *symbol, const char **name);

#endif
