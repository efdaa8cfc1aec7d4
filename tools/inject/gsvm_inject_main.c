// SPDX-License-Identifier: MIT
/**
 * DOC: Failing one call of a driver
 *
 * A test module. It makes a chosen call site of gsvm.ko fail, once or a few
 * times, and counts what each site does otherwise. tools/vm/run-inject drives
 * it through debugfs; gsvm.ko knows nothing of it and is the same as always.
 *
 * A *site* is a call instruction in the driver's text that calls a function of
 * the kernel. run-inject finds them in the relocations of gsvm.ko, so that none
 * is missed, and writes their list here. Each one gets two kprobes: on the
 * call, and on the instruction that it returns to. Between them, the task is
 * *inside* the site. A site that several of the driver's functions come through
 * (an allocator of its own, say) is told apart by the *chain*: a hash of all
 * return addresses in the driver's text that are on the stack.
 *
 * There are two ways to fail:
 *
 * - The n-th allocation inside a site. Each one asks should_failslab() or
 *   should_fail_alloc_page(); kprobes on those answer in place of the function.
 *   Everything above runs for real, so what the driver gets is what it would
 *   get from a machine without memory, be it an error or a fallback. Allocations
 *   that debugging features make for themselves, and pages that the slab
 *   allocator fetches, do not count.
 * - The call itself. It is not made, and the registers are set to a failure.
 *   That is for functions that fail for other reasons than memory.
 *
 * Copies to and from user space are made by drm_ioctl() on the driver's behalf,
 * and fail there, the n-th of an ioctl, through should_fail_usercopy().
 *
 * Why not the kernel's own filter (require-start, require-end, fail-nth)? It
 * knows nothing of the n-th allocation of a worker, nor of calls that fail
 * without an allocation, and tells nobody which site it was.
 *
 * The handlers run in the context of a breakpoint, which counts as NMI: no
 * locks that lockdep knows. All state is under a bit lock, with interrupts off.
 *
 * Files in /sys/kernel/debug/gsvm_inject/:
 *
 * - *sites*: write lines "ID SYMBOL OFFSET LENGTH FAILURE", before gsvm.ko is
 *   loaded or after; FAILURE is what an unmade call leaves, "ax=VALUE" or
 *   "cx=VALUE", or '-' if only allocations inside can fail, or "keep" if nothing
 *   is to; with a '!' in front, no allocation inside fails at random. "clear"
 *   forgets them. Read: what could be probed.
 * - *control*: write "off", "count" (from zero), "fail ID CHAIN SKIP NTH TIMES ALL"
 *   or "random PERCENT SEED", which fails one of the first three allocations in
 *   so many calls. NTH 0 fails the call itself, ALL 1 all allocations in it from
 *   the n-th on (many callers try again with other flags); CHAIN 0 is any.
 * - *hits*: what was counted: ID, chain, calls, most allocations in one.
 * - *fired*: how many failures there were, and where.
 * - *strays*: allocations of the driver outside of all sites, since "count".
 *
 * gsvm_inject_site.c has the list of sites, gsvm_inject_call.c what happens at one,
 * gsvm_inject_noise.c says which allocations are not the driver's; here are the files.
 */

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "gsvm_inject.h"

static ssize_t sites_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	char line[160];
	int ret = 0;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, user, size))
		return -EFAULT;
	line[size] = 0;
	if (!strncmp(line, "clear", 5))
		inject_sites_clear();
	else
		ret = inject_sites_add(line);
	return ret ?: size;
}

static void sites_show_site(struct seq_file *m, struct site *site)
{
	seq_printf(m, "%u %s %#x %d\n", site->id, site->symbol, site->offset,
		   site->probed ? 0 : site->error ?: -ENODEV);
}

static int sites_show(struct seq_file *m, void *unused)
{
	inject_sites_each(m, sites_show_site);
	return 0;
}

static int sites_open(struct inode *inode, struct file *file)
{
	return single_open(file, sites_show, NULL);
}

static const struct file_operations sites_fops = {
	.owner = THIS_MODULE,
	.open = sites_open,
	.read = seq_read,
	.write = sites_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static void counts_clear_site(struct seq_file *m, struct site *site)
{
	unsigned long flags = inject_lock();

	memset(site->chain, 0, sizeof(site->chain));
	inject_unlock(flags);
}

static void counts_clear(void)
{
	unsigned int i;

	inject_sites_each(NULL, counts_clear_site);
	for (i = 0; i < IOCTL_SITES; i++)
		counts_clear_site(NULL, &inject_ioctl_site[i]);
}

/* Who is inside a site stays there, but does not fail any more. */
static void control_off(void)
{
	unsigned long flags = inject_lock();
	unsigned int i;

	inject.mode = OFF;
	for (i = 0; i < MAX_FRAMES; i++)
		inject.frame[i].fail_at = 0;
	inject_unlock(flags);
}

static void control_begin(enum inject_mode mode)
{
	unsigned long flags = inject_lock();

	inject.fired = 0;
	inject.fired_in = NULL;
	inject.result = 0;
	inject.result_due = false;
	inject.nr_shown = 0;
	inject.what[0] = 0;
	if (mode == COUNT) {
		inject.nr_strays = 0;
		inject.missed = 0;
	}
	inject.mode = mode;
	inject_unlock(flags);
}

/* Nobody looks at what is to fail while that is being said. */
static int control_parse(const char *line)
{
	unsigned int seed;

	control_off();
	if (!strncmp(line, "off", 3))
		return 0;
	if (!strncmp(line, "count", 5)) {
		counts_clear();
		control_begin(COUNT);
	} else if (sscanf(line, "fail %u %x %u %u %u %u", &inject.id, &inject.chain, &inject.skip,
			  &inject.nth, &inject.times, &inject.all) == 6) {
		control_begin(FAIL);
	} else if (sscanf(line, "random %u %u", &inject.percent, &seed) == 2) {
		prandom_seed_state(&inject.random, seed);
		inject.times = UINT_MAX;
		control_begin(RANDOM);
	} else {
		return -EINVAL;
	}
	return 0;
}

static ssize_t control_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	char line[80];
	int ret;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, user, size))
		return -EFAULT;
	line[size] = 0;
	ret = control_parse(line);
	return ret ?: size;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = control_write,
};

static void hits_show_site(struct seq_file *m, struct site *site)
{
	unsigned int i;

	for (i = 0; i < MAX_CHAINS && site->chain[i].hash; i++)
		seq_printf(m, "%u %x %u %u\n", site->id, site->chain[i].hash,
			   site->chain[i].hits, site->chain[i].allocs);
}

static int hits_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	inject_sites_each(m, hits_show_site);
	for (i = 0; i < IOCTL_SITES; i++)
		hits_show_site(m, &inject_ioctl_site[i]);
	seq_printf(m, "missed %u\n", inject.missed);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(hits);

static int fired_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_printf(m, "fired %u result %ld what %s\n", inject.fired,
		   inject.result, inject.what[0] ? inject.what : "-");
	for (i = 0; i < inject.nr_shown; i++)
		seq_printf(m, "%ps\n", (void *)inject.shown[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(fired);

static int strays_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < inject.nr_strays; i++)
		seq_printf(m, "%pS\n", (void *)inject.stray[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(strays);

static struct dentry *dir;

static int __init inject_init(void)
{
	int ret;

	inject_noise_init();
	ret = inject_calls_register();
	if (ret)
		return ret;
	ret = inject_sites_init();
	if (ret) {
		inject_calls_unregister();
		return ret;
	}
	dir = debugfs_create_dir("gsvm_inject", NULL);
	debugfs_create_file("sites", 0600, dir, NULL, &sites_fops);
	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("hits", 0400, dir, NULL, &hits_fops);
	debugfs_create_file("fired", 0400, dir, NULL, &fired_fops);
	debugfs_create_file("strays", 0400, dir, NULL, &strays_fops);
	return 0;
}
module_init(inject_init);

static void __exit inject_exit(void)
{
	debugfs_remove_recursive(dir);
	control_off();
	inject_sites_exit();
	inject_calls_unregister();
}
module_exit(inject_exit);

MODULE_DESCRIPTION("Makes chosen calls of gsvm.ko fail, for tests");
MODULE_AUTHOR("The gsvm authors");
MODULE_LICENSE("Dual MIT/GPL");
