// SPDX-License-Identifier: MIT
/*
 * DOC: program files
 *
 * Reads the ELF file of a GPU program: 64-bit little-endian RISC-V, linked
 * completely, either at a fixed address without absolute addresses in it, or
 * position-independent with relative relocations only. Pure: memory in, facts
 * out. Every offset of the file is untrusted and checked before use; structures
 * are copied out, since nothing in a file need be aligned.
 */
#include <errno.h>
#include <string.h>

#include "image.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "programs and packets are little-endian; a big-endian host needs conversion"
#endif

#define PAGE 4096ull

#ifndef EM_RISCV
#define EM_RISCV 243
#endif
#define RISCV_RVC	0x1	/* e_flags: compressed instructions */
#define RISCV_RVE	0x8	/* e_flags: 16 registers */
#define RISCV_NONE	0	/* relocation types */
#define RISCV_RELATIVE	3

/* The @size bytes at @offset of the file, NULL when they are not all there. */
static const unsigned char *at(const struct image *image, uint64_t offset, uint64_t size)
{
	if (offset > image->size || size > image->size - offset)
		return NULL;
	return image->file + offset;
}

static int parse_header(struct image *image)
{
	const Elf64_Ehdr *h = &image->header;
	const unsigned char *bytes = at(image, 0, sizeof(*h));

	if (!bytes)
		return -ENOEXEC;
	memcpy(&image->header, bytes, sizeof(*h));
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_ident[EI_VERSION] != EV_CURRENT)
		return -ENOEXEC;
	if (h->e_machine != EM_RISCV || (h->e_type != ET_EXEC && h->e_type != ET_DYN))
		return -ENOEXEC;
	/* The harts are RV64IMAFD. */
	if (h->e_flags & (RISCV_RVC | RISCV_RVE))
		return -ENOEXEC;
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == PN_XNUM)
		return -ENOEXEC;
	return 0;
}

static int add_segment(struct image *image, const Elf64_Phdr *p)
{
	struct image_segment *s = &image->segment[image->segments];
	uint64_t last = image->segments ? s[-1].end : 0;

	if (!p->p_memsz)
		return p->p_filesz ? -ENOEXEC : 0;
	if (image->segments == IMAGE_MAX_SEGMENTS || p->p_filesz > p->p_memsz)
		return -ENOEXEC;
	if (p->p_memsz > IMAGE_MAX_SPAN || p->p_vaddr > UINT64_MAX - IMAGE_MAX_SPAN - PAGE)
		return -ENOEXEC;
	/* In ascending order, as the ELF specification demands. */
	if (p->p_vaddr < last)
		return -ENOEXEC;
	if ((p->p_flags & PF_W) && (p->p_flags & PF_X))
		return -ENOEXEC;
	if (p->p_align > IMAGE_MAX_ALIGN || (p->p_align & (p->p_align - 1)))
		return -ENOEXEC;
	s->data = at(image, p->p_offset, p->p_filesz);
	if (!s->data)
		return -ENOEXEC;
	s->start = p->p_vaddr;
	s->end = p->p_vaddr + p->p_memsz;
	s->filled = p->p_filesz;
	s->flags = p->p_flags;
	if (!image->segments++)
		image->start = s->start & ~(PAGE - 1);
	image->end = (s->end + PAGE - 1) & ~(PAGE - 1);
	if (p->p_align > image->align)
		image->align = p->p_align;
	return image->end - image->start > IMAGE_MAX_SPAN ? -ENOEXEC : 0;
}

const struct image_segment *image_find(const struct image *image, uint64_t address, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < image->segments; i++) {
		const struct image_segment *s = &image->segment[i];

		if (address >= s->start && address <= s->end && size <= s->end - address)
			return s;
	}
	return NULL;
}

/* The bytes of the file that are loaded at @address, NULL when they are not all there. */
static const unsigned char *file_at(const struct image *image, uint64_t address, uint64_t size)
{
	const struct image_segment *s = image_find(image, address, size);
	uint64_t offset;

	if (!s)
		return NULL;
	offset = address - s->start;
	if (offset > s->filled || size > s->filled - offset)
		return NULL;
	return (const unsigned char *)s->data + offset;
}

static int check_rela(const struct image *image, uint64_t index)
{
	Elf64_Rela rela;

	memcpy(&rela, image->rela + index * sizeof(rela), sizeof(rela));
	switch (ELF64_R_TYPE(rela.r_info)) {
	case RISCV_NONE:
		return 0;
	case RISCV_RELATIVE:
		return image_find(image, rela.r_offset, 8) ? 0 : -ENOEXEC;
	default:
		/* It names a symbol of somebody else, and there is nobody else. */
		return -ENOEXEC;
	}
}

static int parse_dynamic(struct image *image, const Elf64_Phdr *p)
{
	const unsigned char *bytes = at(image, p->p_offset, p->p_filesz);
	uint64_t rela = 0, size = 0, entry = sizeof(Elf64_Rela), i;
	Elf64_Dyn dyn;
	int ret = 0;

	if (!bytes)
		return -ENOEXEC;
	for (i = 0; i < p->p_filesz / sizeof(dyn); i++) {
		memcpy(&dyn, bytes + i * sizeof(dyn), sizeof(dyn));
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_RELA)
			rela = dyn.d_un.d_ptr;
		else if (dyn.d_tag == DT_RELASZ)
			size = dyn.d_un.d_val;
		else if (dyn.d_tag == DT_RELAENT)
			entry = dyn.d_un.d_val;
		else if (dyn.d_tag == DT_NEEDED || dyn.d_tag == DT_REL || dyn.d_tag == DT_RELR ||
			 (dyn.d_tag == DT_PLTRELSZ && dyn.d_un.d_val))
			return -ENOEXEC;
	}
	if (!size)
		return 0;
	if (entry != sizeof(Elf64_Rela) || size % entry)
		return -ENOEXEC;
	image->rela = file_at(image, rela, size);
	if (!image->rela)
		return -ENOEXEC;
	image->relas = size / entry;
	for (i = 0; i < image->relas && !ret; i++)
		ret = check_rela(image, i);
	return ret;
}

static int parse_segments(struct image *image)
{
	const Elf64_Ehdr *h = &image->header;
	const unsigned char *table = at(image, h->e_phoff, (uint64_t)h->e_phnum * h->e_phentsize);
	Elf64_Phdr p, dynamic = { 0 };
	unsigned int i;
	int ret = 0;

	if (!table)
		return -ENOEXEC;
	image->align = PAGE;
	for (i = 0; i < h->e_phnum && !ret; i++) {
		memcpy(&p, table + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD)
			ret = add_segment(image, &p);
		else if (p.p_type == PT_DYNAMIC)
			dynamic = p;
		else if (p.p_type == PT_INTERP || (p.p_type == PT_TLS && p.p_memsz))
			ret = -ENOEXEC;
	}
	if (!ret && !image->segments)
		ret = -ENOEXEC;
	if (!ret && dynamic.p_filesz)
		ret = parse_dynamic(image, &dynamic);
	return ret;
}

static bool get_section(const struct image *image, uint32_t index, Elf64_Shdr *section)
{
	const Elf64_Ehdr *h = &image->header;
	const unsigned char *table = at(image, h->e_shoff, (uint64_t)h->e_shnum * sizeof(*section));

	if (!table || index >= h->e_shnum)
		return false;
	memcpy(section, table + index * sizeof(*section), sizeof(*section));
	return true;
}

static int use_symbols(struct image *image, const Elf64_Shdr *table)
{
	Elf64_Shdr names;

	if (table->sh_entsize != sizeof(Elf64_Sym) || table->sh_size % sizeof(Elf64_Sym) ||
	    !get_section(image, table->sh_link, &names) || names.sh_type != SHT_STRTAB)
		return -ENOEXEC;
	image->symbols = at(image, table->sh_offset, table->sh_size);
	image->names = (const char *)at(image, names.sh_offset, names.sh_size);
	if (!image->symbols || !image->names || !names.sh_size ||
	    image->names[names.sh_size - 1])
		return -ENOEXEC;
	image->num_symbols = table->sh_size / sizeof(Elf64_Sym);
	image->names_size = names.sh_size;
	return 0;
}

/* The full symbol table if there is one, else the dynamic one. */
static int parse_symbols(struct image *image)
{
	Elf64_Shdr section, dynamic = { 0 };
	uint32_t i;

	if (image->header.e_shnum && image->header.e_shentsize != sizeof(section))
		return -ENOEXEC;
	for (i = 0; i < image->header.e_shnum; i++) {
		if (!get_section(image, i, &section))
			return -ENOEXEC;
		if (section.sh_type == SHT_SYMTAB)
			return use_symbols(image, &section);
		if (section.sh_type == SHT_DYNSYM)
			dynamic = section;
	}
	return dynamic.sh_type == SHT_DYNSYM ? use_symbols(image, &dynamic) : 0;
}

int image_parse(struct image *image, const void *file, size_t size)
{
	int ret;

	memset(image, 0, sizeof(*image));
	image->file = file;
	image->size = size;
	ret = parse_header(image);
	if (!ret)
		ret = parse_segments(image);
	if (!ret)
		ret = parse_symbols(image);
	return ret;
}

bool image_rela(const struct image *image, uint64_t index, uint64_t *address, uint64_t *addend)
{
	Elf64_Rela rela;

	memcpy(&rela, image->rela + index * sizeof(rela), sizeof(rela));
	*address = rela.r_offset;
	*addend = (uint64_t)rela.r_addend;
	return ELF64_R_TYPE(rela.r_info) == RISCV_RELATIVE;
}

bool image_symbol(const struct image *image, uint64_t index, Elf64_Sym *symbol, const char **name)
{
	memcpy(symbol, image->symbols + index * sizeof(*symbol), sizeof(*symbol));
	if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS ||
	    symbol->st_name >= image->names_size || !image->names[symbol->st_name])
		return false;
	switch (ELF64_ST_TYPE(symbol->st_info)) {
	case STT_NOTYPE:
	case STT_OBJECT:
	case STT_FUNC:
		break;
	default:
		return false;
	}
	*name = image->names + symbol->st_name;
	return image_find(image, symbol->st_value, symbol->st_size);
}
