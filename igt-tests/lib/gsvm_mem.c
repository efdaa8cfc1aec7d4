// SPDX-License-Identifier: MIT
/*
 * Mappings, what /proc tells about a page, reclaim, and a file system with a
 * disk under it.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "gsvm_igt.h"
#include "gsvm_proc.h"

/* More than anybody has, and less than the kernel's own kinds of entries. */
#define MAX_SWAP_AREAS	8

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

static void *map(void *at, size_t size, int prot, int flags, int fd)
{
	void *p = mmap(at, size, prot, flags, fd, 0);

	gsvm_assert(p != MAP_FAILED, "mmap of %zu bytes: %s\n", size, strerror(errno));
	return p;
}

void *map_anon(size_t size)
{
	void *p = map(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	gsvm_sys(madvise(p, size, MADV_NOHUGEPAGE));
	return p;
}

void *map_shared(size_t size)
{
	return map(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1);
}

void *reserve(size_t size)
{
	char *p = map(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *start = (char *)((U(p) + HUGE - 1) & ~(HUGE - 1));

	if (start > p)
		munmap(p, start - p);
	if (p + HUGE > start)
		munmap(start + size, p + HUGE - start);
	return start;
}

static char *map_wanting_huge(size_t size)
{
	void *p = map(reserve(size), size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);

	gsvm_sys(madvise(p, size, MADV_HUGEPAGE));
	return p;
}

/* Is the 2 MiB at @p one page? */
static bool is_huge(const char *p)
{
	struct page_region region = { 0 };
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = U(p), .end = U(p) + HUGE, .vec = U(&region),
		.vec_len = 1, .category_mask = PAGE_IS_HUGE, .return_mask = PAGE_IS_HUGE,
	};
	int fd = gsvm_sys(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	int n = gsvm_sys(ioctl(fd, PAGEMAP_SCAN, &arg));

	close(fd);
	return n == 1 && region.end - region.start == HUGE;
}

/* Does the kernel give huge pages for @size? */
static bool gives_huge(size_t size)
{
	char *p = map_wanting_huge(size);
	bool huge = true;
	size_t at;

	for (at = 0; at < size && huge; at += HUGE) {
		p[at] = 1;
		huge = is_huge(p + at);
	}
	munmap(p, size);
	return huge;
}

/*
 * Without huge pages, a test of them would pass and tell nothing. Memory that
 * other tests used is in pieces; what was just given back is not.
 */
void *map_huge_aligned(size_t size)
{
	int tries;

	for (tries = 0; tries < 8; tries++) {
		if (gives_huge(size))
			return map_wanting_huge(size);
		write_text("/proc/sys/vm/compact_memory", "1");
	}
	gsvm_skip("the kernel has no huge pages to give\n");
}

int make_memfd(size_t size)
{
	int fd = gsvm_sys(memfd_create("gsvm-test", MFD_CLOEXEC));

	gsvm_sys(ftruncate(fd, size));
	return fd;
}

uint64_t pagemap(const void *addr)
{
	int fd = gsvm_sys(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	uint64_t entry = 0;
	ssize_t n = pread(fd, &entry, sizeof(entry), U(addr) / PAGE * sizeof(entry));

	close(fd);
	gsvm_assert(n == sizeof(entry), "cannot read pagemap\n");
	return entry;
}

uint64_t page_pfn(const void *addr)
{
	uint64_t entry = pagemap(addr);

	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

/*
 * All that is not present looks swapped, pages in VRAM and on their way, too. The
 * kernel's own kinds are the highest types; those of swap areas begin at 0.
 */
bool is_swapped(const void *addr)
{
	uint64_t entry = pagemap(addr);

	return entry & PM_SWAP && (entry & PM_SWAP_TYPE) < MAX_SWAP_AREAS;
}

bool page_has_flag(const void *addr, int kpf)
{
	uint64_t flags = 0, pfn = page_pfn(addr);
	int fd;

	if (!pfn)
		return false;
	fd = gsvm_sys(open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
	gsvm_assert(pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) == sizeof(flags),
		    "cannot read kpageflags\n");
	close(fd);
	return flags & 1ull << kpf;
}

bool is_zero_page(const void *addr)
{
	return page_has_flag(addr, KPF_ZERO_PAGE);
}

struct mapping mapping_at(const void *addr)
{
	FILE *f = fopen("/proc/self/maps", "re");
	struct mapping m = { 0, 0 };
	char line[512];

	gsvm_assert(f, "cannot read maps\n");
	while (m.end <= U(addr) && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx ", &m.start, &m.end) != 2)
			break;
	fclose(f);
	gsvm_assert(m.start <= U(addr) && U(addr) < m.end, "nothing is mapped at %p\n", addr);
	return m;
}

long smaps_kb(const void *addr, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end, want = U(addr);
	bool inside = false;
	char line[512];
	long kb = -1;

	gsvm_assert(f, "cannot read smaps\n");
	while (kb < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = want >= start && want < end;
		else if (inside && !strncmp(line, field, strlen(field)) &&
			 line[strlen(field)] == ':')
			kb = strtol(line + strlen(field) + 1, NULL, 10);
	}
	fclose(f);
	gsvm_assert(kb >= 0, "smaps has no %s for %p\n", field, addr);
	return kb;
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

long read_key(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char name[64];
	long n, found = -1;

	if (!f)
		return -1;
	while (fscanf(f, "%63s %ld", name, &n) == 2)
		if (!strcmp(name, key))
			found = n;
	fclose(f);
	return found;
}

bool swap_available(void)
{
	char line[256];
	FILE *f = fopen("/proc/swaps", "re");
	int lines = 0;

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1;
}

bool pageout(void *addr, size_t size)
{
	int tries;
	size_t at;

	for (tries = 0; tries < 20; tries++) {
		gsvm_sys(madvise(addr, size, MADV_PAGEOUT));
		for (at = 0; at < size; at += PAGE)
			if (pagemap((char *)addr + at) & PM_PRESENT)
				break;
		if (at >= size)
			return true;
		/* Takes pages out of the per-CPU lists that reclaim cannot see. */
		write_text("/proc/sys/vm/compact_memory", "1");
	}
	return false;
}

static char disk_path[64];
static pid_t disk_owner;

static bool run(const char *command)
{
	return system(command) == 0;
}

static void disk_remove(void)
{
	char command[256];

	if (getpid() != disk_owner)
		return;
	snprintf(command, sizeof(command), "umount -l %s/mnt; rm -rf %s", disk_path, disk_path);
	run(command);
}

const char *disk_dir(void)
{
	static char dir[80];
	char command[512];

	if (dir[0])
		return dir;
	snprintf(disk_path, sizeof(disk_path), "/tmp/gsvm-disk-XXXXXX");
	gsvm_assert(mkdtemp(disk_path), "mkdtemp: %s\n", strerror(errno));
	run("modprobe -q loop; modprobe -q ext4");
	snprintf(command, sizeof(command),
		 "cd %s && mkdir mnt && truncate -s 64M image && "
		 "mkfs.ext4 -q -O ^has_journal image && mount -o loop image mnt",
		 disk_path);
	disk_owner = getpid();
	atexit(disk_remove);
	gsvm_require(run(command), "cannot mount ext4 from a loop device\n");
	snprintf(dir, sizeof(dir), "%s/mnt", disk_path);
	return dir;
}

void disk_drop_caches(void)
{
	sync();
	gsvm_assert(write_text("/proc/sys/vm/drop_caches", "3"), "cannot drop caches\n");
}
