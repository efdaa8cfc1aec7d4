// SPDX-License-Identifier: MIT
/*
 * DOC: programs
 *
 * Loads a GPU program into memory of this process, where the GPU finds it like
 * any other memory: text readable and executable, data as the file says, all of
 * it relocated to where it came to lie. image.c has checked the file; here its
 * kernels are checked for everything that the GPU would reject.
 *
 * A kernel is a descriptor (struct gsvm_kernel of gsvm_hw.h) that the symbol
 * __gsvm_kernel_NAME names; the library's handle for it is its address.
 *
 * The reservation is larger than the segments: work-group memory appears to
 * work-items in a window of addresses, and nothing else of the process may
 * come to lie there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "private.h"

#define KERNEL_PREFIX	"__gsvm_kernel_"
#define MAX_FILE	(256u << 20)
#define MAX_PRELOAD	8	/* argument registers a0..a7 */

struct symbol {
	const char *name;	/* in gsvm_program.names */
	uint64_t address;	/* as loaded */
	uint64_t size;
	bool function;
};

struct gsvm_program {
	void *memory;		/* the reservation */
	size_t mapped;
	uint64_t bias;		/* added to linked addresses, modulo 2^64 */
	char *names;
	struct symbol *symbols;	/* by address */
	size_t num_symbols;
	struct symbol *kernels;	/* by name, without KERNEL_PREFIX */
	size_t num_kernels;
};

_Static_assert(sizeof(struct gsvm_kernel) == 64, "kernel descriptors are 64 bytes");

/* Where the linked address @address came to lie. */
static void *loaded(const struct gsvm_program *program, uint64_t address)
{
	return (void *)(uintptr_t)(address + program->bias);
}

static uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static uint64_t round_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1);
}

/* Reserve, without access, the segments and a window of group memory behind. */
static int reserve(struct gsvm_program *program, const struct image *image)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t align = image->align > page ? image->align : page;
	uint64_t start = round_down(image->start, align);
	void *memory;

	program->mapped = round_up(image->end - start + GSVM_GROUP_WINDOW, page) + align;
	memory = mmap(NULL, program->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		      -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	program->memory = memory;
	program->bias = round_up((uintptr_t)memory, align) - start;
	return 0;
}

static int protection(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_READ | PROT_EXEC : 0);
}

/*
 * Protect the pages of segment @index. A page that it shares with segments
 * before it gets the rights of all, as long as that is not write and execute.
 */
static int protect_segment(const struct gsvm_program *program, const struct image *image,
			   unsigned int index, uint64_t *shared_page, int *shared_rights)
{
	const struct image_segment *s = &image->segment[index];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = round_down(s->start + program->bias, page);
	uint64_t end = round_up(s->end + program->bias, page);
	int rights = protection(s->flags), first = rights;

	if (start == *shared_page)
		first |= *shared_rights;
	if ((first & PROT_WRITE) && (first & PROT_EXEC))
		return -ENOEXEC;
	*shared_rights = end - page == start ? first : rights;
	*shared_page = end - page;
	if (mprotect((void *)(uintptr_t)start, page, first))
		return -errno;
	if (end - page > start &&
	    mprotect((void *)(uintptr_t)(start + page), end - start - page, rights))
		return -errno;
	return 0;
}

static int fill_segments(const struct gsvm_program *program, const struct image *image)
{
	uint64_t i, address, addend, value, shared_page = 0;
	int ret = 0, shared_rights = 0;

	if (mprotect(loaded(program, image->start), image->end - image->start,
		     PROT_READ | PROT_WRITE))
		return -errno;
	for (i = 0; i < image->segments; i++)
		memcpy(loaded(program, image->segment[i].start), image->segment[i].data,
		       image->segment[i].filled);
	for (i = 0; i < image->relas; i++) {
		if (!image_rela(image, i, &address, &addend))
			continue;
		value = addend + program->bias;
		memcpy(loaded(program, address), &value, sizeof(value));
	}
	/* Holes between segments are nobody's. */
	if (mprotect(loaded(program, image->start), image->end - image->start, PROT_NONE))
		return -errno;
	for (i = 0; i < image->segments && !ret; i++)
		ret = protect_segment(program, image, (unsigned int)i, &shared_page,
				      &shared_rights);
	return ret;
}

static int compare_addresses(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static int compare_names(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int read_symbols(struct gsvm_program *program, const struct image *image)
{
	const size_t prefix = strlen(KERNEL_PREFIX);
	const char *name;
	struct symbol s;
	Elf64_Sym elf;
	uint64_t i;

	if (!image->num_symbols)
		return -ENOEXEC;
	program->names = malloc(image->names_size);
	program->symbols = calloc(image->num_symbols, sizeof(*program->symbols));
	program->kernels = calloc(image->num_symbols, sizeof(*program->kernels));
	if (!program->names || !program->symbols || !program->kernels)
		return -ENOMEM;
	memcpy(program->names, image->names, image->names_size);
	for (i = 0; i < image->num_symbols; i++) {
		if (!image_symbol(image, i, &elf, &name))
			continue;
		s.name = program->names + (name - image->names);
		s.address = elf.st_value + program->bias;
		s.size = elf.st_size;
		s.function = image_find(image, elf.st_value, elf.st_size)->flags & PF_X;
		program->symbols[program->num_symbols++] = s;
		if (strncmp(s.name, KERNEL_PREFIX, prefix) || !s.name[prefix])
			continue;
		s.name += prefix;
		program->kernels[program->num_kernels++] = s;
	}
	qsort(program->symbols, program->num_symbols, sizeof(s), compare_addresses);
	qsort(program->kernels, program->num_kernels, sizeof(s), compare_names);
	/* Nothing to run, or stripped. */
	return program->num_kernels ? 0 : -ENOEXEC;
}

/* The whole of a descriptor, as the GPU will see it; @address as linked. */
static int check_kernel(const struct gsvm_program *program, const struct image *image,
			uint64_t address)
{
	const struct image_segment *s = image_find(image, address, sizeof(struct gsvm_kernel));
	const struct gsvm_kernel *kernel;
	uint64_t entry, group;
	unsigned int i;

	/* A descriptor that the program could change would be checked for nothing. */
	if (!s || (s->flags & PF_W) || !(protection(s->flags) & PROT_READ))
		return -ENOEXEC;
	kernel = loaded(program, address);
	if (gsvm_kernel_check(kernel))
		return -ENOEXEC;
	for (i = 0; i < ARRAY_SIZE(kernel->rsvd); i++) {
		if (kernel->rsvd[i])
			return -ENOEXEC;
	}
	entry = address + (uint64_t)kernel->entry;
	s = image_find(image, entry, 4);
	if (entry % 4 || !s || !(s->flags & PF_X))
		return -ENOEXEC;
	group = address + (uint64_t)kernel->group_base;
	if ((group + program->bias) % GSVM_PAGE || group < image->start || group > image->end)
		return -ENOEXEC;
	return 0;
}

static int check_kernels(const struct gsvm_program *program, const struct image *image)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < program->num_kernels && !ret; i++)
		ret = check_kernel(program, image, program->kernels[i].address - program->bias);
	return ret;
}

int gsvm_kernel_check(const struct gsvm_kernel *kernel)
{
	if (!kernel || (uintptr_t)kernel % 64)
		return -EINVAL;
	if (kernel->magic != GSVM_KERNEL_MAGIC || kernel->flags > MAX_PRELOAD ||
	    kernel->private_size % 16 || kernel->group_size > GSVM_GROUP_WINDOW)
		return -EINVAL;
	return 0;
}

gsvm_public int gsvm_program_load_memory(const void *file, size_t size,
					 struct gsvm_program **out)
{
	struct gsvm_program *program;
	struct image *image;
	int ret;

	if (!file || !out)
		return -EINVAL;
	image = malloc(sizeof(*image));
	program = calloc(1, sizeof(*program));
	ret = image && program ? image_parse(image, file, size) : -ENOMEM;
	if (!ret)
		ret = reserve(program, image);
	if (!ret)
		ret = fill_segments(program, image);
	if (!ret)
		ret = read_symbols(program, image);
	if (!ret)
		ret = check_kernels(program, image);
	free(image);
	if (ret)
		gsvm_program_destroy(program);
	else
		*out = program;
	return ret;
}

static int read_all(int fd, unsigned char *buffer, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = read(fd, buffer + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;	/* truncated while it was read */
		done += (size_t)n;
	}
	return 0;
}

/* By reading, not mapping: a file that shrinks must not end in SIGBUS. */
static int read_file(int fd, unsigned char **buffer, size_t *size)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	if (st.st_size > MAX_FILE)
		return -EFBIG;
	*size = (size_t)st.st_size;
	*buffer = malloc(*size + 1);
	if (!*buffer)
		return -ENOMEM;
	ret = read_all(fd, *buffer, *size);
	if (ret)
		free(*buffer);
	return ret;
}

gsvm_public int gsvm_program_load(const char *path, struct gsvm_program **program)
{
	unsigned char *buffer = NULL;
	size_t size = 0;
	int fd, ret;

	if (!path || !program)
		return -EINVAL;
	/* NONBLOCK: a FIFO must be refused, not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = read_file(fd, &buffer, &size);
	close(fd);
	if (ret)
		return ret;
	ret = gsvm_program_load_memory(buffer, size, program);
	free(buffer);
	return ret;
}

gsvm_public void gsvm_program_destroy(struct gsvm_program *program)
{
	if (!program)
		return;
	if (program->memory)
		munmap(program->memory, program->mapped);
	free(program->names);
	free(program->symbols);
	free(program->kernels);
	free(program);
}

gsvm_public int gsvm_program_kernel(const struct gsvm_program *program, const char *name,
				    const struct gsvm_kernel **kernel)
{
	const struct symbol key = { .name = name }, *found;

	if (!program || !name || !kernel)
		return -EINVAL;
	found = bsearch(&key, program->kernels, program->num_kernels, sizeof(key), compare_names);
	if (!found)
		return -ENOENT;
	*kernel = (const void *)(uintptr_t)found->address;
	return 0;
}

gsvm_public const char *gsvm_program_kernel_name(const struct gsvm_program *program,
						 unsigned int index)
{
	return program && index < program->num_kernels ? program->kernels[index].name : NULL;
}

gsvm_public int gsvm_program_symbol(const struct gsvm_program *program, const char *name,
				    void **address, size_t *size)
{
	size_t i;

	if (!program || !name || !address)
		return -EINVAL;
	for (i = 0; i < program->num_symbols; i++) {
		if (strcmp(program->symbols[i].name, name))
			continue;
		*address = (void *)(uintptr_t)program->symbols[i].address;
		if (size)
			*size = (size_t)program->symbols[i].size;
		return 0;
	}
	return -ENOENT;
}

/* Assembler labels have no size; they reach up to the next symbol. */
static bool covers(const struct symbol *s, const struct symbol *next, uint64_t address)
{
	if (s->size)
		return address - s->address < s->size;
	return s->function && next && address < next->address;
}

gsvm_public int gsvm_program_find(const struct gsvm_program *program, uint64_t address,
				  const char **name, uint64_t *offset)
{
	const struct symbol *s, *end;

	if (!program || !name)
		return -EINVAL;
	end = program->symbols + program->num_symbols;
	for (s = end; s-- > program->symbols;) {
		if (s->address > address || !covers(s, s + 1 < end ? s + 1 : NULL, address))
			continue;
		*name = s->name;
		if (offset)
			*offset = address - s->address;
		return 0;
	}
	return -ENOENT;
}

gsvm_public int gsvm_kernel_query(const struct gsvm_kernel *kernel, struct gsvm_kernel_info *info)
{
	struct gsvm_kernel_info known = { .size = sizeof(known) };
	int ret = gsvm_kernel_check(kernel);

	if (ret || !info)
		return -EINVAL;
	known.num_args = kernel->flags & GSVM_KERNEL_PRELOAD;
	known.private_memory = kernel->private_size;
	known.group_memory = kernel->group_size;
	known.dynamic_memory = GSVM_GROUP_WINDOW - kernel->group_size;
	return gsvm_copy_out(info, info->size, &known, sizeof(known));
}
