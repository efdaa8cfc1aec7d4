// SPDX-License-Identifier: MIT
/*
 * Programs: a small ELF file is built here, loaded, looked at; then broken in
 * every way we can think of, and in many that we cannot.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../image.h"
#include "../private.h"
#include "tap.h"

/*
 * The file's layout, also its addresses as linked (at 0):
 *	0x0000 headers, dynamic section, relocations
 *	0x1000 R: two kernel descriptors
 *	0x2000 RX: text
 *	0x3000 RW: data, one pointer to relocate
 *	0x4000 RW, not in the file: group memory window
 */
enum { TEXT = 0x2000, DATA = 0x3000, GROUP = 0x4000, KERNEL = 0x1000, FILE_SIZE = 0x3800 };
enum { PHDRS = 0x40, DYNAMIC = 0x300, RELA = 0x400, SHDRS = 0x500, SYMTAB = 0x3100,
       STRTAB = 0x3400 };

struct elf {
	unsigned char b[FILE_SIZE];
};

static Elf64_Ehdr *ehdr(struct elf *elf)
{
	return (void *)elf->b;
}

static Elf64_Phdr *phdr(struct elf *elf, int i)
{
	return (Elf64_Phdr *)(elf->b + PHDRS) + i;
}

static Elf64_Dyn *dyn(struct elf *elf, int i)
{
	return (Elf64_Dyn *)(elf->b + DYNAMIC) + i;
}

static Elf64_Rela *rela(struct elf *elf, int i)
{
	return (Elf64_Rela *)(elf->b + RELA) + i;
}

static Elf64_Shdr *shdr(struct elf *elf, int i)
{
	return (Elf64_Shdr *)(elf->b + SHDRS) + i;
}

static Elf64_Sym *sym(struct elf *elf, int i)
{
	return (Elf64_Sym *)(elf->b + SYMTAB) + i;
}

static struct gsvm_kernel *descriptor(struct elf *elf, int i)
{
	return (struct gsvm_kernel *)(elf->b + KERNEL) + i;
}

static void add_symbol(struct elf *elf, int i, const char *name, uint64_t value, uint64_t size,
		       int type)
{
	static size_t used;

	used = i == 1 ? 1 : used;
	strcpy((char *)elf->b + STRTAB + used, name);
	*sym(elf, i) = (Elf64_Sym){ .st_name = (Elf64_Word)used, .st_value = value,
				    .st_size = size, .st_info = ELF64_ST_INFO(STB_GLOBAL, type),
				    .st_shndx = 1 };
	used += strlen(name) + 1;
}

static void build(struct elf *elf)
{
	int i;

	memset(elf, 0, sizeof(*elf));
	*ehdr(elf) = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN, .e_machine = 243, .e_version = 1, .e_flags = 4,
		.e_phoff = PHDRS, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 5,
		.e_shoff = SHDRS, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3,
	};
#define LOAD(flags, at, file, mem) (Elf64_Phdr){ PT_LOAD, flags, at, at, at, file, mem, 0x1000 }
	*phdr(elf, 0) = LOAD(PF_R, 0, 0x1080, 0x1080);
	*phdr(elf, 1) = LOAD(PF_R | PF_X, TEXT, 0x100, 0x100);
	*phdr(elf, 2) = LOAD(PF_R | PF_W, DATA, 0x100, 0x800);
	*phdr(elf, 3) = LOAD(PF_R | PF_W, GROUP, 0, 0x400);
	phdr(elf, 3)->p_offset = 0;
	*phdr(elf, 4) = (Elf64_Phdr){ PT_DYNAMIC, PF_R, DYNAMIC, DYNAMIC, DYNAMIC, 0x80, 0x80, 8 };
	*dyn(elf, 0) = (Elf64_Dyn){ DT_RELA, { RELA } };
	*dyn(elf, 1) = (Elf64_Dyn){ DT_RELASZ, { 2 * sizeof(Elf64_Rela) } };
	*dyn(elf, 2) = (Elf64_Dyn){ DT_RELAENT, { sizeof(Elf64_Rela) } };
	*rela(elf, 0) = (Elf64_Rela){ DATA + 8, ELF64_R_INFO(0, 3), TEXT + 16 };
	*rela(elf, 1) = (Elf64_Rela){ 0, ELF64_R_INFO(0, 0), 0 };
	*shdr(elf, 1) = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = SYMTAB, .sh_link = 2,
				      .sh_size = 6 * sizeof(Elf64_Sym),
				      .sh_entsize = sizeof(Elf64_Sym) };
	*shdr(elf, 2) = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = STRTAB,
				      .sh_size = 0x100 };
	add_symbol(elf, 1, "__gsvm_kernel_second", KERNEL + 64, 64, STT_OBJECT);
	add_symbol(elf, 2, "__gsvm_kernel_first", KERNEL, 64, STT_OBJECT);
	add_symbol(elf, 3, "function", TEXT + 16, 32, STT_FUNC);
	add_symbol(elf, 4, "label", TEXT + 48, 0, STT_NOTYPE);
	add_symbol(elf, 5, "counter", DATA + 8, 8, STT_OBJECT);
	for (i = 0; i < 2; i++)
		*descriptor(elf, i) = (struct gsvm_kernel){
			.magic = GSVM_KERNEL_MAGIC, .flags = (uint32_t)i * 3,
			.entry = TEXT + 16 - (KERNEL + 64 * i),
			.group_base = GROUP - (KERNEL + 64 * i),
			.private_size = 512, .group_size = 0x400,
		};
	memset(elf->b + TEXT, 0x13, 0x100);
	elf->b[DATA] = 42;
}

/* The second kernel, good as it is, to another place. */
static void move_kernel(struct elf *elf, uint64_t where)
{
	struct gsvm_kernel *kernel = (void *)(elf->b + where);

	*kernel = *descriptor(elf, 1);
	kernel->entry = (int64_t)(TEXT + 16 - where);
	kernel->group_base = (int64_t)(GROUP - where);
	sym(elf, 1)->st_value = where;
}

static int load(const struct elf *elf)
{
	struct gsvm_program *program = NULL;
	int ret = gsvm_program_load_memory(elf, sizeof(*elf), &program);

	if (!ret)
		gsvm_program_destroy(program);
	return ret;
}

/* The rights of the page at @address, as /proc/self/maps has them. */
static const char *rights(const void *address)
{
	static char found[5];
	unsigned long start, end;
	char line[512], flags[5];
	FILE *maps = fopen("/proc/self/maps", "re");

	strcpy(found, "none");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) == 3 &&
		    (unsigned long)address >= start && (unsigned long)address < end)
			strcpy(found, flags);
	}
	if (maps)
		fclose(maps);
	return found;
}

static void test_good(void)
{
	struct gsvm_kernel_info info = { .size = sizeof(info) };
	const struct gsvm_kernel *first = NULL, *second = NULL;
	struct gsvm_program *program = NULL;
	struct elf elf;
	const char *name = NULL;
	void *counter = NULL, *function = NULL;
	uint64_t offset = 0;
	size_t size = 0;

	build(&elf);
	is(gsvm_program_load_memory(&elf, sizeof(elf), &program), 0, "load");
	is(gsvm_program_kernel(program, "first", &first), 0, "kernel: first");
	is(gsvm_program_kernel(program, "second", &second), 0, "kernel: second");
	ok(second == first + 1 && !((uintptr_t)first % 64), "kernels lie as in the file");
	is(gsvm_program_kernel(program, "third", &first), -ENOENT, "kernel: not there");
	is(gsvm_program_kernel(program, "", &first), -ENOENT, "kernel: no name");
	is(gsvm_program_kernel(program, NULL, &first), -EINVAL, "kernel: NULL");
	name = gsvm_program_kernel_name(program, 0);
	ok(name && !strcmp(name, "first"), "name of kernel 0");
	name = gsvm_program_kernel_name(program, 1);
	ok(name && !strcmp(name, "second"), "name of kernel 1");
	ok(!gsvm_program_kernel_name(program, 2) && !gsvm_program_kernel_name(NULL, 0),
	   "no more names");
	is(gsvm_kernel_query(second, &info), 0, "query");
	ok(info.num_args == 3 && info.private_memory == 512 && info.group_memory == 0x400 &&
	   info.dynamic_memory == GSVM_GROUP_WINDOW - 0x400, "properties");
	is(gsvm_kernel_query(NULL, &info), -EINVAL, "query: no kernel");
	is(gsvm_kernel_query(second, NULL), -EINVAL, "query: nowhere to put it");

	is(gsvm_program_symbol(program, "counter", &counter, &size), 0, "symbol");
	is(gsvm_program_symbol(program, "function", &function, NULL), 0, "symbol: no size asked");
	ok(size == 8 && (uintptr_t)counter % 4096 == 8, "symbol: where and how large");
	ok(*(void **)counter == function, "the pointer in the data was relocated");
	is(gsvm_program_symbol(program, "nothing", &counter, &size), -ENOENT, "symbol: not there");
	is(gsvm_program_symbol(program, "counter", NULL, &size), -EINVAL, "symbol: no place");
	ok(!memcmp(function, elf.b + TEXT + 16, 32), "text is loaded");
	ok(((unsigned char *)counter)[-8] == 42 && !((unsigned char *)counter)[0x400],
	   "data is loaded, the rest is zero");
	ok(!strcmp(rights(function), "r-xp") && !strcmp(rights(first), "r--p") &&
	   !strcmp(rights(counter), "rw-p"), "rights of text, descriptors and data");
	ok(!strcmp(rights((char *)function - 16 + GROUP - TEXT + 0x1000), "---p") &&
	   !strcmp(rights((char *)function - 16 + GROUP - TEXT + GSVM_GROUP_WINDOW - 1), "---p"),
	   "the window of group memory is reserved");

	is(gsvm_program_find(program, (uintptr_t)function + 8, &name, &offset), 0, "find");
	ok(!strcmp(name, "function") && offset == 8, "find: function + 8");
	is(gsvm_program_find(program, (uintptr_t)function + 36, &name, NULL), 0, "find: a label");
	ok(!strcmp(name, "label"), "find: it reaches up to the next symbol");
	is(gsvm_program_find(program, (uintptr_t)function - 4, &name, &offset), -ENOENT,
	   "find: before all");
	is(gsvm_program_find(program, 0, &name, &offset), -ENOENT, "find: elsewhere");
	is(gsvm_program_find(NULL, 0, &name, &offset), -EINVAL, "find: no program");
	gsvm_program_destroy(program);
	gsvm_program_destroy(NULL);
	ok(!strcmp(rights(function), "none"), "destroyed: the memory is given back");

	ehdr(&elf)->e_type = ET_EXEC;
	is(load(&elf), 0, "a program that is linked at a fixed address");
	shdr(&elf, 1)->sh_type = SHT_DYNSYM;
	is(load(&elf), 0, "a program with dynamic symbols only");
	build(&elf);
	move_kernel(&elf, TEXT + 0x80);
	is(load(&elf), 0, "a kernel descriptor in the text");
}

/* Each line breaks one thing. */
#define BAD(name, change) do {			\
	build(&elf);				\
	change;					\
	is(load(&elf), -ENOEXEC, name);		\
} while (0)

static void test_bad_segments(void)
{
	struct elf elf;

	BAD("magic", elf.b[1] = 'e');
	BAD("32 bits", elf.b[EI_CLASS] = ELFCLASS32);
	BAD("big-endian", elf.b[EI_DATA] = ELFDATA2MSB);
	BAD("another machine", ehdr(&elf)->e_machine = EM_X86_64);
	BAD("an object file", ehdr(&elf)->e_type = ET_REL);
	BAD("compressed instructions", ehdr(&elf)->e_flags |= 1);
	BAD("16 registers", ehdr(&elf)->e_flags |= 8);
	BAD("program headers of another size", ehdr(&elf)->e_phentsize = 32);
	BAD("program headers outside", ehdr(&elf)->e_phoff = FILE_SIZE - 8);
	BAD("program headers far outside", ehdr(&elf)->e_phoff = UINT64_MAX - 8);
	BAD("no program headers", ehdr(&elf)->e_phnum = 0);
	BAD("too many program headers", ehdr(&elf)->e_phnum = PN_XNUM);
	BAD("segment outside of the file", phdr(&elf, 2)->p_offset = FILE_SIZE);
	BAD("segment longer than the file", phdr(&elf, 2)->p_filesz = UINT64_MAX);
	BAD("segment larger in the file", phdr(&elf, 2)->p_memsz = 0x80);
	BAD("segment empty, but not in the file", phdr(&elf, 2)->p_memsz = 0);
	BAD("segment too large", phdr(&elf, 3)->p_memsz = 1ull << 40);
	BAD("segment that wraps", phdr(&elf, 3)->p_vaddr = UINT64_MAX - 0x100);
	BAD("segments far apart", phdr(&elf, 3)->p_vaddr = 1ull << 40);
	BAD("segments out of order", phdr(&elf, 2)->p_vaddr = 0x100);
	BAD("segments that overlap", phdr(&elf, 1)->p_memsz = 0x1001);
	BAD("writable text", phdr(&elf, 1)->p_flags |= PF_W);
	BAD("text and data in one page", (phdr(&elf, 2)->p_vaddr = TEXT + 0x200,
					  rela(&elf, 0)->r_offset = TEXT + 0x208));
	BAD("odd alignment", phdr(&elf, 1)->p_align = 0x3000);
	BAD("huge alignment", phdr(&elf, 1)->p_align = 1ull << 40);
}

static void test_bad_contents(void)
{
	struct gsvm_program *program = NULL;
	struct elf elf;

	BAD("an interpreter", phdr(&elf, 4)->p_type = PT_INTERP);
	BAD("thread-local data", phdr(&elf, 4)->p_type = PT_TLS);
	BAD("dynamic section outside", phdr(&elf, 4)->p_offset = FILE_SIZE);
	BAD("needs a library", dyn(&elf, 3)->d_tag = DT_NEEDED);
	BAD("relocations without addends", dyn(&elf, 3)->d_tag = DT_REL);
	BAD("calls to be bound", *dyn(&elf, 3) = ((Elf64_Dyn){ DT_PLTRELSZ, { 24 } }));
	BAD("relocations of another size", dyn(&elf, 2)->d_un.d_val = 16);
	BAD("half a relocation", dyn(&elf, 1)->d_un.d_val = 25);
	BAD("relocations outside", dyn(&elf, 0)->d_un.d_ptr = 0x107f);
	BAD("relocations where nothing is filled", dyn(&elf, 0)->d_un.d_ptr = DATA + 0x400);
	BAD("too many relocations", dyn(&elf, 1)->d_un.d_val = 24ull << 50);
	BAD("relocation of another type", rela(&elf, 0)->r_info = ELF64_R_INFO(1, 2));
	BAD("relocation outside", rela(&elf, 0)->r_offset = GROUP + 0x3f9);
	BAD("section headers of another size", ehdr(&elf)->e_shentsize = 40);
	BAD("section headers outside", ehdr(&elf)->e_shoff = UINT64_MAX);
	BAD("no symbols", ehdr(&elf)->e_shnum = 0);
	BAD("symbols outside", shdr(&elf, 1)->sh_offset = FILE_SIZE);
	BAD("symbols of another size", shdr(&elf, 1)->sh_entsize = 16);
	BAD("half a symbol", shdr(&elf, 1)->sh_size--);
	BAD("no names", shdr(&elf, 1)->sh_link = 9);
	BAD("names of another kind", shdr(&elf, 2)->sh_type = SHT_PROGBITS);
	BAD("names outside", shdr(&elf, 2)->sh_size = FILE_SIZE);
	BAD("names without an end", elf.b[STRTAB + 0xff] = 'x');
	BAD("no kernel", (sym(&elf, 1)->st_name = 0, sym(&elf, 2)->st_name = 0));
	BAD("kernels not defined", (sym(&elf, 1)->st_shndx = 0, sym(&elf, 2)->st_shndx = 0));
	BAD("kernel not aligned", sym(&elf, 2)->st_value += 8);
	BAD("kernel in writable data", move_kernel(&elf, DATA + 0x40));
	BAD("kernel over the end", (sym(&elf, 1)->st_value = KERNEL + 128,
				    sym(&elf, 1)->st_size = 0));
	BAD("kernel: magic", descriptor(&elf, 0)->magic++);
	BAD("kernel: flags", descriptor(&elf, 0)->flags = 1 << 4);
	BAD("kernel: more arguments than registers", descriptor(&elf, 0)->flags = 9);
	BAD("kernel: reserved word", descriptor(&elf, 0)->rsvd[3] = 1);
	BAD("kernel: odd private memory", descriptor(&elf, 0)->private_size = 8);
	BAD("kernel: too much group memory", descriptor(&elf, 0)->group_size = 2 << 20);
	BAD("kernel: entry not aligned", descriptor(&elf, 0)->entry += 2);
	BAD("kernel: entry in data", descriptor(&elf, 0)->entry = DATA - KERNEL);
	BAD("kernel: entry nowhere", descriptor(&elf, 0)->entry = INT64_MIN);
	BAD("kernel: window not aligned", descriptor(&elf, 0)->group_base += 8);
	BAD("kernel: window elsewhere", descriptor(&elf, 0)->group_base = 1ll << 33);
	BAD("kernel: window before", descriptor(&elf, 0)->group_base = -(1ll << 33));
	is(gsvm_program_load_memory(NULL, 1, &program), -EINVAL, "no memory");
	is(gsvm_program_load_memory(&elf, sizeof(elf), NULL), -EINVAL, "nowhere to put it");
	is(gsvm_program_load_memory(&elf, 10, &program), -ENOEXEC, "ten bytes");
	is(gsvm_program_load_memory(&elf, 0, &program), -ENOEXEC, "no bytes");
	ok(!program, "untouched on failure");
}

/* A file cut anywhere is refused, or it is one that does not need the rest. */
static void test_cut(void)
{
	struct gsvm_program *program;
	struct elf elf;
	unsigned char *copy;
	size_t size, refused = 0;
	int ret;

	build(&elf);
	for (size = 0; size < sizeof(elf); size += size < 0x600 ? 1 : 61) {
		copy = malloc(size + 1);	/* as large as said: sanitizers see the rest */
		memcpy(copy, &elf, size);
		ret = gsvm_program_load_memory(copy, size, &program);
		refused += ret == -ENOEXEC;
		if (!ret)
			gsvm_program_destroy(program);
		free(copy);
		if (ret && ret != -ENOEXEC)
			is(ret, -ENOEXEC, "cut file");
	}
	ok(refused > 1500, "cut files: %zu refused", refused);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Random damage where it hurts most. What still loads must be usable: every
 * kernel and every address can be looked up, the descriptors can be read.
 */
static void test_damage(void)
{
	static const uint16_t place[] = { 0, PHDRS, PHDRS + 56, DYNAMIC, RELA, SHDRS + 64, SYMTAB,
					  STRTAB, KERNEL };
	uint64_t state = 0x9e3779b97f4a7c15ull, r, offset;
	unsigned int i, j, loaded = 0, refused = 0, other = 0;
	struct gsvm_kernel_info info = { .size = sizeof(info) };
	const struct gsvm_kernel *kernel;
	struct gsvm_program *program;
	struct elf *elf = malloc(sizeof(*elf));
	const char *name;
	int ret;

	for (i = 0; i < 20000; i++) {
		build(elf);
		for (j = next_random(&state) % 4 + 1; j; j--) {
			r = next_random(&state);
			elf->b[place[r % ARRAY_SIZE(place)] + (r >> 8) % 128] =
				r >> 32 & 1 ? (unsigned char)(r >> 40) :
				(unsigned char)(1u << (r >> 40 & 7));
		}
		ret = gsvm_program_load_memory(elf, sizeof(*elf), &program);
		refused += ret == -ENOEXEC;
		other += ret && ret != -ENOEXEC;
		if (ret)
			continue;
		loaded++;
		for (j = 0; (name = gsvm_program_kernel_name(program, j)); j++) {
			if (gsvm_program_kernel(program, name, &kernel) ||
			    gsvm_kernel_query(kernel, &info))
				other++;
			else if (!gsvm_program_find(program,
						    (uintptr_t)kernel + (uint64_t)kernel->entry,
						    &name, &offset))
				offset = strlen(name);
		}
		gsvm_program_destroy(program);
	}
	free(elf);
	ok(loaded > 100 && refused > 100, "damage: %u loaded, %u refused", loaded, refused);
	is(other, 0, "damage: nothing else");
}

static void test_files(void)
{
	char directory[] = "/tmp/gsvm-program-XXXXXX", path[64], fifo[64];
	struct gsvm_program *program = NULL;
	struct elf elf;
	FILE *file;

	build(&elf);
	if (!mkdtemp(directory))
		abort();
	snprintf(path, sizeof(path), "%s/program", directory);
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	file = fopen(path, "we");
	ok(file && fwrite(&elf, sizeof(elf), 1, file) == 1 && !fclose(file), "write a file");
	is(gsvm_program_load(path, &program), 0, "load it");
	gsvm_program_destroy(program);
	program = NULL;
	is(truncate(path, 100), 0, "cut it");
	is(gsvm_program_load(path, &program), -ENOEXEC, "load it cut");
	is(truncate(path, 0), 0, "empty it");
	is(gsvm_program_load(path, &program), -ENOEXEC, "load it empty");
	is(truncate(path, 1ll << 30), 0, "make it huge");
	is(gsvm_program_load(path, &program), -EFBIG, "load it huge");
	unlink(path);
	is(gsvm_program_load(path, &program), -ENOENT, "load what is not there");
	is(mkfifo(fifo, 0600), 0, "make a FIFO");
	is(gsvm_program_load(fifo, &program), -ENOEXEC, "load a FIFO: refused, not waited for");
	unlink(fifo);
	is(gsvm_program_load(directory, &program), -ENOEXEC, "load a directory");
	rmdir(directory);
	is(gsvm_program_load(NULL, &program), -EINVAL, "load nothing");
	is(gsvm_program_load("/dev/null", NULL), -EINVAL, "nowhere to put it");
	ok(!program, "untouched on failure");
}

int main(void)
{
	test_good();
	test_bad_segments();
	test_bad_contents();
	test_cut();
	test_damage();
	test_files();
	return tap_done();
}
