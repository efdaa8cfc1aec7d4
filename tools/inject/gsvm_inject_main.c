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
 * - *control*: write "off", "count" (from zero), "fail ID CHAIN SKIP NTH TIMES
 *   ALL"
 *   or "random PERCENT SEED", which fails one of the first three allocations in
 *   so many calls. NTH 0 fails the call itself, ALL 1 all allocations in
 *   it from the n-th on (many callers try again with other flags); CHAIN 0 is any.
 * - *hits*: what was counted: ID, chain, calls, most allocations in one.
 * - *fired*: how many failures there were, and where.
 * - *strays*: allocations of the driver outside of all sites, since "count".
 */

#include <linux/debugfs.h>
#include <linux/bit_spinlock.h>
#include <linux/jhash.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/uaccess.h>

#include <drm/drm.h>

#define INJECT_TARGET	"gsvm"
#define MAX_SITES	384
#define MAX_CHAINS	16	/* per site */
#define MAX_FRAMES	128	/* tasks inside sites, nested ones counted */
#define MAX_STRAYS	32
#define MAX_DEPTH	48
#define SHOWN		10	/* stack entries kept of a failure */
#define IOCTL_SITES	32	/* drm_ioctl() of driver ioctl 0..31 */

/**
 * struct chain - one way to a site
 * @hash: of the driver's return addresses, 0: unused
 * @hits: calls
 * @allocs: most allocations inside one call
 */
struct chain {
	u32 hash;
	u32 hits;
	u32 allocs;
};

/**
 * struct site - a call
 * @id: as run-inject counts
 * @symbol: function it lies in
 * @offset: of the call in it
 * @length: of the call instruction
 * @reg: what a failure sets: 'a', 'c' or 0
 * @value: to this
 * @keep: never to fail at random
 * @in: on the call
 * @out: on the instruction behind it
 * @probed: both are registered
 * @error: why not
 * @chain: ways to it
 */
struct site {
	unsigned int id;
	char symbol[64];
	unsigned int offset;
	unsigned int length;
	char reg;
	s64 value;
	bool keep;
	struct kprobe in;
	struct kprobe out;
	bool probed;
	int error;
	struct chain chain[MAX_CHAINS];
};

/**
 * struct frame - a task inside a site
 * @task: NULL: free
 * @sp: stack pointer before the call and after it
 * @site: site
 * @chain: the way to it
 * @allocs: allocations so far
 * @fail_at: the one to fail, 0: none
 * @fail_all: and all after it
 */
struct frame {
	struct task_struct *task;
	unsigned long sp;
	struct site *site;
	struct chain *chain;
	u32 allocs;
	u32 fail_at;
	bool fail_all;
};

enum mode { OFF, COUNT, FAIL, RANDOM };

static struct {
	unsigned long lock;		/* bit 0 */
	enum mode mode;
	/* the one to fail */
	unsigned int id;
	u32 chain;
	unsigned int skip, nth, times, all, percent;
	struct rnd_state random;
	/* what came of it */
	unsigned int fired;
	unsigned int missed;		/* no room in @frame or in a site */
	unsigned long shown[SHOWN];
	unsigned int nr_shown;
	char what[64];
	struct site *fired_in;
	long result;
	bool result_due;
	/* the driver's text */
	unsigned long text, text_end, init, init_end;
	unsigned int nr_frames;
	struct frame frame[MAX_FRAMES];
	unsigned long stray[MAX_STRAYS];
	unsigned int nr_strays;
} inject;

/* On the functions that every allocation and every copy asks. */
#define NR_ALLOC_PROBES	3
static struct kprobe alloc_probe[NR_ALLOC_PROBES];

static DEFINE_MUTEX(sites_mutex);	/* @sites, @nr_sites, registration */
static struct site *sites;
static struct site ioctl_site[IOCTL_SITES];
static unsigned int nr_sites;
static bool target_here;

static unsigned long inject_lock(void)
{
	unsigned long flags;

	local_irq_save(flags);
	bit_spin_lock(0, &inject.lock);
	return flags;
}

static void inject_unlock(unsigned long flags)
{
	bit_spin_unlock(0, &inject.lock);
	local_irq_restore(flags);
}

/* ---- functions whose allocations are not the driver's --------------------- */

/**
 * struct text_range - text of a function
 * @name: its symbol; one that this kernel lacks is left out
 * @start: its first byte
 * @end: behind the last
 */
struct text_range {
	const char *name;
	unsigned long start;
	unsigned long end;
};

/*
 * Debugging features' own memory; and /proc/irq, about which genirq says nothing
 * when it cannot be made, and procfs warns when it is removed.
 */
static struct text_range debug_range[] = {
	{ "__proc_create" },
	{ "kmemleak_alloc" }, { "kmemleak_alloc_percpu" }, { "kmemleak_vmalloc" },
	{ "kmemleak_alloc_phys" }, { "kmemleak_scan_area" }, { "stack_depot_save_flags" },
	{ "__debug_object_init" }, { "debug_object_init" }, { "debug_object_activate" },
	{ "debug_object_assert_init" }, { "debug_objects_fill_pool" }, { "fill_pool" },
	{ "debug_dma_map_phys" }, { "debug_dma_map_page" }, { "debug_dma_alloc_coherent" },
	{ "__set_page_owner" }, { "kasan_populate_vmalloc" }, { "__kasan_populate_vmalloc" },
	{ "dump_stack_lvl" }, { "fail_dump" }, { "lock_acquire" },
};

/* Slab allocations; another one inside of them is the allocator's own. */
static struct text_range slab_range[] = {
	{ "kmem_cache_alloc_noprof" }, { "kmem_cache_alloc_lru_noprof" },
	{ "kmem_cache_alloc_node_noprof" }, { "kmem_cache_alloc_bulk_noprof" },
	{ "__kmalloc_noprof" }, { "__kmalloc_node_noprof" },
	{ "__kmalloc_node_track_caller_noprof" }, { "__kmalloc_cache_noprof" },
	{ "__kmalloc_cache_node_noprof" }, { "__kmalloc_flags_noprof" },
};

static struct text_range large_range[] = {
	{ "__kmalloc_large_noprof" }, { "__kmalloc_large_node_noprof" },
	{ "___kmalloc_large_node" },
};

static void range_resolve(struct text_range *range, unsigned int n)
{
	char text[KSYM_SYMBOL_LEN];
	unsigned long size;
	unsigned int i;
	char *slash;

	for (i = 0; i < n; i++) {
		struct kprobe probe = {
			.symbol_name = range[i].name,
			.flags = KPROBE_FLAG_DISABLED,
		};

		if (register_kprobe(&probe))
			continue;
		sprint_symbol(text, (unsigned long)probe.addr);
		slash = strrchr(text, '/');
		if (slash && !kstrtoul(slash + 1, 16, &size)) {
			range[i].start = (unsigned long)probe.addr;
			range[i].end = range[i].start + size;
		}
		unregister_kprobe(&probe);
	}
}

/* How many of @entries lie in one of the functions? */
static unsigned int range_count(const struct text_range *range, unsigned int n,
				const unsigned long *entries, unsigned int nr)
{
	unsigned int i, j, count = 0;

	for (i = 0; i < nr; i++)
		for (j = 0; j < n; j++)
			if (entries[i] > range[j].start && entries[i] <= range[j].end) {
				count++;
				break;
			}
	return count;
}

#define RANGE_COUNT(range, entries, nr) range_count(range, ARRAY_SIZE(range), entries, nr)

static bool alloc_is_noise(bool page, const unsigned long *entries, unsigned int nr)
{
	unsigned int slabs;

	if (RANGE_COUNT(debug_range, entries, nr))
		return true;
	slabs = RANGE_COUNT(slab_range, entries, nr);
	if (page)
		return slabs && !RANGE_COUNT(large_range, entries, nr);
	return slabs > 1;
}

/* ---- the driver's stack ---------------------------------------------------- */

static bool in_target(unsigned long addr)
{
	return (addr >= inject.text && addr < inject.text_end) ||
	       (addr >= inject.init && addr < inject.init_end);
}

/* The breakpoint itself counts as one NMI and one hard interrupt. */
static bool was_in_task(void)
{
	return (preempt_count() & HARDIRQ_MASK) == HARDIRQ_OFFSET && !in_serving_softirq();
}

static u32 chain_hash(unsigned long *entries, unsigned int nr)
{
	u32 hash = 1;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (entries[i] >= inject.text && entries[i] < inject.text_end)
			hash = jhash_1word(entries[i] - inject.text, hash);
		else if (in_target(entries[i]))
			hash = jhash_1word(entries[i] - inject.init, hash + 1);
	}
	return hash ?: 1;
}

static struct chain *chain_find(struct site *site, u32 hash)
{
	unsigned int i;

	for (i = 0; i < MAX_CHAINS; i++) {
		if (site->chain[i].hash == hash)
			return &site->chain[i];
		if (!site->chain[i].hash) {
			site->chain[i].hash = hash;
			return &site->chain[i];
		}
	}
	return NULL;
}

/* ---- inside and outside ---------------------------------------------------- */

static struct frame *frame_innermost(void)
{
	struct frame *frame, *best = NULL;

	if (!inject.nr_frames)
		return NULL;
	for (frame = inject.frame; frame < inject.frame + MAX_FRAMES; frame++)
		if (frame->task == current && (!best || frame->sp < best->sp))
			best = frame;
	return best;
}

static struct frame *frame_push(struct site *site, struct chain *chain, unsigned long sp)
{
	struct frame *frame;

	for (frame = inject.frame; frame < inject.frame + MAX_FRAMES; frame++) {
		if (frame->task)
			continue;
		*frame = (struct frame){ .task = current, .sp = sp, .site = site, .chain = chain };
		inject.nr_frames++;
		return frame;
	}
	inject.missed++;
	return NULL;
}

static void frame_drop(struct frame *frame)
{
	frame->task = NULL;
	inject.nr_frames--;
}

/* The task has left @site, and with it whatever was deeper in its stack. */
static struct frame *frame_find_exit(struct site *site, unsigned long sp)
{
	struct frame *frame, *found = NULL;

	if (!inject.nr_frames)
		return NULL;
	for (frame = inject.frame; frame < inject.frame + MAX_FRAMES; frame++) {
		if (frame->task != current)
			continue;
		if (frame->sp < sp)
			frame_drop(frame);
		else if (frame->sp == sp && frame->site == site)
			found = frame;
	}
	return found;
}

/* How many of @entries are the breakpoint's own: up to the function it is in. */
static unsigned int probe_depth(const unsigned long *entries, unsigned int nr)
{
	unsigned int i, j;

	for (i = 0; i < nr; i++)
		for (j = 0; j < NR_ALLOC_PROBES; j++)
			if (entries[i] - (unsigned long)alloc_probe[j].addr <= 1)
				return i + 1;
	return 0;
}

static void note_fired(struct site *site, const char *what, const unsigned long *entries,
		       unsigned int nr)
{
	unsigned int i;

	inject.fired++;
	if (inject.fired > 1)
		return;
	inject.fired_in = site;
	strscpy(inject.what, what);
	/* What lies between the function that asked and the driver. */
	inject.nr_shown = 0;
	for (i = probe_depth(entries, nr); i < nr && inject.nr_shown < SHOWN; i++) {
		inject.shown[inject.nr_shown++] = entries[i];
		if (in_target(entries[i]))
			break;
	}
}

/* Is this call to fail, and how? Returns whether something is to fail. */
static bool site_is_chosen(struct site *site, struct chain *chain, unsigned int *nth)
{
	switch (inject.mode) {
	case FAIL:
		if (site->id != inject.id || (inject.chain && chain->hash != inject.chain) ||
		    inject.fired >= inject.times)
			return false;
		if (inject.skip) {
			inject.skip--;
			return false;
		}
		*nth = inject.nth;
		return true;
	case RANDOM:
		if (site->keep || prandom_u32_state(&inject.random) % 100 >= inject.percent)
			return false;
		*nth = 1 + prandom_u32_state(&inject.random) % 3;
		return true;
	default:
		return false;
	}
}

static int site_enter_locked(struct site *site, struct pt_regs *regs)
{
	unsigned long entries[MAX_DEPTH];
	struct chain *chain;
	struct frame *frame;
	unsigned int nr, nth = 0;
	bool chosen;

	nr = stack_trace_save(entries, MAX_DEPTH, 0);
	chain = chain_find(site, chain_hash(entries, nr));
	if (!chain) {
		inject.missed++;
		return 0;
	}
	chain->hits++;
	chosen = site_is_chosen(site, chain, &nth);
	if (chosen && !nth) {
		note_fired(site, "call not made", entries, 0);
		inject.result = site->value;
		if (site->reg == 'c')
			regs->cx = site->value;
		else
			regs->ax = site->value;
		regs->dx = 0;
		regs->ip = (unsigned long)site->in.addr + site->length;
		return 1;
	}
	if (was_in_task()) {
		frame = frame_push(site, chain, regs->sp);
		if (frame && chosen) {
			frame->fail_at = nth;
			frame->fail_all = inject.mode == FAIL && inject.all;
		}
	}
	return 0;
}

/*
 * Is there nothing to do about a call of @site? While one site is to fail, the others
 * matter inside of it only, where allocations are theirs; a look at the stack for each
 * of their calls would take longer than the calls.
 */
static bool site_is_idle(const struct site *site)
{
	switch (READ_ONCE(inject.mode)) {
	case OFF:
		return true;
	case FAIL:
		return !READ_ONCE(inject.nr_frames) &&
		       (site->id != READ_ONCE(inject.id) ||
			READ_ONCE(inject.fired) >= READ_ONCE(inject.times));
	default:
		return false;
	}
}

static int site_enter(struct kprobe *probe, struct pt_regs *regs)
{
	struct site *site = container_of(probe, struct site, in);
	unsigned long flags;
	int ret = 0;

	if (site_is_idle(site))
		return 0;
	flags = inject_lock();
	if (inject.mode != OFF)
		ret = site_enter_locked(site, regs);
	inject_unlock(flags);
	return ret;
}

static void site_leave_locked(struct site *site, unsigned long sp, long result)
{
	struct frame *frame = frame_find_exit(site, sp);

	if (!frame)
		return;
	if (inject.result_due && inject.fired_in == site) {
		inject.result = result;
		inject.result_due = false;
	}
	frame->chain->allocs = max(frame->chain->allocs, frame->allocs);
	frame_drop(frame);
}

static int site_leave(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long flags;

	if (!READ_ONCE(inject.nr_frames))
		return 0;
	flags = inject_lock();
	site_leave_locked(container_of(probe, struct site, out), regs->sp, regs->ax);
	inject_unlock(flags);
	return 0;
}

/* A probe with a post handler is not optimised, so that the handler may set ip. */
static void site_post(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/* ---- allocations ----------------------------------------------------------- */

/* An allocation without a site around it; the driver's all the same? */
static void alloc_stray(const unsigned long *entries, unsigned int nr)
{
	unsigned int i, j;

	for (i = 0; i < nr; i++)
		if (in_target(entries[i]))
			break;
	if (i == nr)
		return;
	for (j = 0; j < inject.nr_strays; j++)
		if (inject.stray[j] == entries[i])
			return;
	if (inject.nr_strays < MAX_STRAYS)
		inject.stray[inject.nr_strays++] = entries[i];
}

static bool alloc_fails_locked(bool page, const char *what, gfp_t gfp, unsigned int order)
{
	struct frame *frame = frame_innermost();
	unsigned long entries[MAX_DEPTH];
	unsigned int nr;
	char text[64];

	if (!frame && inject.mode != COUNT)
		return false;
	if (frame && frame->site >= ioctl_site && frame->site < ioctl_site + IOCTL_SITES)
		return false;
	nr = stack_trace_save(entries, MAX_DEPTH, 0);
	if (alloc_is_noise(page, entries, nr))
		return false;
	if (!frame) {
		alloc_stray(entries, nr);
		return false;
	}
	frame->allocs++;
	if (!frame->fail_at || frame->allocs < frame->fail_at)
		return false;
	/* One failure, however many allocations it takes. */
	if (frame->allocs > frame->fail_at)
		return frame->fail_all;
	if (inject.mode == FAIL && inject.fired >= inject.times)
		return false;
	snprintf(text, sizeof(text), "%s order %u gfp %#x", what, order, (__force u32)gfp);
	note_fired(frame->site, text, entries, nr);
	inject.result_due = inject.fired == 1;
	return true;
}

static bool alloc_fails(bool page, const char *what, gfp_t gfp, unsigned int order)
{
	unsigned long flags;
	bool fails;

	if (READ_ONCE(inject.mode) == OFF || gfp & __GFP_NOFAIL || !was_in_task())
		return false;
	/* Only who counts wants to know of allocations outside of all sites. */
	if (!READ_ONCE(inject.nr_frames) && READ_ONCE(inject.mode) != COUNT)
		return false;
	flags = inject_lock();
	fails = inject.mode != OFF && alloc_fails_locked(page, what, gfp, order);
	inject_unlock(flags);
	return fails;
}

/* Return from the probed function, at whose entry we are, with @value. */
static int return_now(struct pt_regs *regs, long value)
{
	regs->ax = value;
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
	return 1;
}

static int on_failslab(struct kprobe *probe, struct pt_regs *regs)
{
	bool fails = alloc_fails(false, "slab", (__force gfp_t)regs->si, 0);

	return return_now(regs, fails ? -ENOMEM : 0);
}

static int on_fail_page(struct kprobe *probe, struct pt_regs *regs)
{
	return return_now(regs, alloc_fails(true, "page", (__force gfp_t)regs->di, regs->si));
}

static int on_fail_usercopy(struct kprobe *probe, struct pt_regs *regs)
{
	struct frame *frame;
	unsigned long flags;
	bool fails = false;

	if (READ_ONCE(inject.mode) == OFF || !was_in_task())
		return return_now(regs, 0);
	flags = inject_lock();
	frame = frame_innermost();
	if (frame && frame->site >= ioctl_site && frame->site < ioctl_site + IOCTL_SITES &&
	    ++frame->allocs == frame->fail_at && inject.fired < inject.times) {
		note_fired(frame->site, frame->allocs == 1 ? "copy from user" : "copy to user",
			   NULL, 0);
		inject.result_due = inject.fired == 1;
		fails = true;
	}
	inject_unlock(flags);
	return return_now(regs, fails);
}

static struct kprobe alloc_probe[NR_ALLOC_PROBES] = {
	{ .symbol_name = "should_failslab", .pre_handler = on_failslab,
	  .post_handler = site_post },
	{ .symbol_name = "should_fail_alloc_page", .pre_handler = on_fail_page,
	  .post_handler = site_post },
	{ .symbol_name = "should_fail_usercopy", .pre_handler = on_fail_usercopy,
	  .post_handler = site_post },
};

/* ---- ioctls ------------------------------------------------------------------ */

static struct site *ioctl_to_site(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd) - DRM_COMMAND_BASE;

	if (_IOC_TYPE(cmd) != DRM_IOCTL_BASE || nr >= IOCTL_SITES)
		return NULL;
	return &ioctl_site[nr];
}

static int ioctl_enter(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct site *site = ioctl_to_site(regs->si);
	struct frame *frame;
	struct chain *chain;
	unsigned long flags;
	unsigned int nth = 0;

	if (!site || site_is_idle(site))
		return 1;
	*(struct site **)instance->data = site;
	flags = inject_lock();
	chain = chain_find(site, 1);
	chain->hits++;
	/* As it will be when the function has returned. */
	frame = frame_push(site, chain, regs->sp + sizeof(unsigned long));
	if (frame && inject.mode == FAIL && site_is_chosen(site, chain, &nth))
		frame->fail_at = nth;
	inject_unlock(flags);
	return 0;
}

static struct frame *frame_of_site(struct site *site)
{
	struct frame *frame;

	for (frame = inject.frame; frame < inject.frame + MAX_FRAMES; frame++)
		if (frame->task == current && frame->site == site)
			return frame;
	return NULL;
}

static int ioctl_leave(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct site *site = *(struct site **)instance->data;
	struct frame *frame;
	unsigned long flags;

	flags = inject_lock();
	frame = frame_of_site(site);
	if (frame)
		site_leave_locked(site, frame->sp, regs->ax);
	inject_unlock(flags);
	return 0;
}

static struct kretprobe ioctl_probe = {
	.kp.symbol_name = "drm_ioctl",
	.entry_handler = ioctl_enter,
	.handler = ioctl_leave,
	.data_size = sizeof(struct site *),
	.maxactive = 32,
};

/* ---- sites -------------------------------------------------------------------- */

static void site_register(struct site *site)
{
	char name[80];

	lockdep_assert_held(&sites_mutex);
	snprintf(name, sizeof(name), INJECT_TARGET ":%s", site->symbol);
	memset(&site->in, 0, sizeof(site->in));
	memset(&site->out, 0, sizeof(site->out));
	site->in.symbol_name = name;
	site->in.offset = site->offset;
	site->in.pre_handler = site_enter;
	site->in.post_handler = site_post;
	site->out.symbol_name = name;
	site->out.offset = site->offset + site->length;
	site->out.pre_handler = site_leave;

	/* The exit first: an entry without one would never end. */
	site->error = register_kprobe(&site->out);
	if (!site->error) {
		site->error = register_kprobe(&site->in);
		if (site->error)
			unregister_kprobe(&site->out);
	}
	site->in.symbol_name = NULL;
	site->out.symbol_name = NULL;
	site->probed = !site->error;
}

static void sites_register(void)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++)
		if (!sites[i].probed)
			site_register(&sites[i]);
}

/* Nobody is inside a site of a module that goes. */
static void frames_forget(void)
{
	unsigned long flags = inject_lock();

	memset(inject.frame, 0, sizeof(inject.frame));
	inject.nr_frames = 0;
	inject_unlock(flags);
}

static void sites_unregister(void)
{
	struct kprobe **list;
	unsigned int i, n = 0;

	lockdep_assert_held(&sites_mutex);
	/* All in one go: each by itself would wait for RCU. */
	list = kcalloc(2 * MAX_SITES, sizeof(*list), GFP_KERNEL | __GFP_NOFAIL);
	for (i = 0; i < nr_sites; i++) {
		if (!sites[i].probed)
			continue;
		list[n++] = &sites[i].in;
		list[n++] = &sites[i].out;
		sites[i].probed = false;
	}
	if (n)
		unregister_kprobes(list, n);
	kfree(list);
	frames_forget();
}

static void target_came(struct module *mod)
{
	unsigned long flags = inject_lock();

	inject.text = (unsigned long)mod->mem[MOD_TEXT].base;
	inject.text_end = inject.text + mod->mem[MOD_TEXT].size;
	inject.init = (unsigned long)mod->mem[MOD_INIT_TEXT].base;
	inject.init_end = inject.init + mod->mem[MOD_INIT_TEXT].size;
	inject_unlock(flags);
	target_here = true;
	sites_register();
}

static int on_module(struct notifier_block *nb, unsigned long event, void *data)
{
	struct module *mod = data;

	if (strcmp(mod->name, INJECT_TARGET))
		return NOTIFY_DONE;
	mutex_lock(&sites_mutex);
	if (event == MODULE_STATE_COMING) {
		target_came(mod);
	} else if (event == MODULE_STATE_LIVE) {
		unsigned long flags = inject_lock();

		inject.init = 0;
		inject.init_end = 0;
		inject_unlock(flags);
	} else if (event == MODULE_STATE_GOING) {
		target_here = false;
		sites_unregister();
	}
	mutex_unlock(&sites_mutex);
	return NOTIFY_DONE;
}

/* Before kprobes' own, which takes probes from a module that goes. */
static struct notifier_block module_nb = { .notifier_call = on_module, .priority = 1 };

/* ---- debugfs ------------------------------------------------------------------ */

static int site_parse(struct site *site, const char *line)
{
	char word[32] = "", *failure = word;

	memset(site, 0, sizeof(*site));
	if (sscanf(line, "%u %63s %x %u %31s", &site->id, site->symbol, &site->offset,
		   &site->length, word) != 5)
		return -EINVAL;
	site->keep = !strcmp(word, "keep");
	if (site->keep || !strcmp(word, "-"))
		return 0;
	if (word[0] == '!') {
		site->keep = true;
		failure++;
	}
	if (strncmp(failure, "ax=", 3) && strncmp(failure, "cx=", 3))
		return -EINVAL;
	site->reg = failure[0];
	return kstrtoll(failure + 3, 0, &site->value);
}

static ssize_t sites_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	char line[160];
	int ret = 0;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, user, size))
		return -EFAULT;
	line[size] = 0;
	mutex_lock(&sites_mutex);
	if (!strncmp(line, "clear", 5)) {
		sites_unregister();
		nr_sites = 0;
	} else if (nr_sites == MAX_SITES) {
		ret = -ENOSPC;
	} else {
		ret = site_parse(&sites[nr_sites], line);
		if (!ret) {
			nr_sites++;
			if (target_here)
				site_register(&sites[nr_sites - 1]);
		}
	}
	mutex_unlock(&sites_mutex);
	return ret ?: size;
}

static int sites_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	mutex_lock(&sites_mutex);
	for (i = 0; i < nr_sites; i++)
		seq_printf(m, "%u %s %#x %d\n", sites[i].id, sites[i].symbol, sites[i].offset,
			   sites[i].probed ? 0 : sites[i].error ?: -ENODEV);
	mutex_unlock(&sites_mutex);
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

static void counts_clear(void)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++)
		memset(sites[i].chain, 0, sizeof(sites[i].chain));
	for (i = 0; i < IOCTL_SITES; i++)
		memset(ioctl_site[i].chain, 0, sizeof(ioctl_site[i].chain));
	inject.nr_strays = 0;
	inject.missed = 0;
}

static int control_parse(const char *line)
{
	unsigned int id, chain, skip, nth, times, all, seed;
	unsigned long flags;
	int ret = 0;

	flags = inject_lock();
	inject.mode = OFF;
	if (!strncmp(line, "count", 5)) {
		counts_clear();
		inject.mode = COUNT;
	} else if (sscanf(line, "fail %u %x %u %u %u %u", &id, &chain, &skip, &nth, &times,
			  &all) == 6) {
		inject.id = id;
		inject.chain = chain;
		inject.skip = skip;
		inject.nth = nth;
		inject.times = times;
		inject.all = all;
		inject.mode = FAIL;
	} else if (sscanf(line, "random %u %u", &inject.percent, &seed) == 2) {
		prandom_seed_state(&inject.random, seed);
		inject.times = UINT_MAX;
		inject.mode = RANDOM;
	} else if (strncmp(line, "off", 3)) {
		ret = -EINVAL;
	}
	if (inject.mode != OFF) {
		inject.fired = 0;
		inject.fired_in = NULL;
		inject.result = 0;
		inject.result_due = false;
		inject.nr_shown = 0;
		inject.what[0] = 0;
	}
	/* Who is inside a site stays there, but does not fail any more. */
	if (inject.mode == OFF) {
		unsigned int i;

		for (i = 0; i < MAX_FRAMES; i++)
			inject.frame[i].fail_at = 0;
	}
	inject_unlock(flags);
	return ret;
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

	mutex_lock(&sites_mutex);
	for (i = 0; i < nr_sites; i++)
		hits_show_site(m, &sites[i]);
	for (i = 0; i < IOCTL_SITES; i++)
		hits_show_site(m, &ioctl_site[i]);
	mutex_unlock(&sites_mutex);
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

/* ---- module --------------------------------------------------------------------- */

static struct dentry *dir;

static int probes_register(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(alloc_probe); i++) {
		ret = register_kprobe(&alloc_probe[i]);
		if (ret) {
			pr_err("gsvm_inject: no probe on %s: %d; the kernel lacks fault injection\n",
			       alloc_probe[i].symbol_name, ret);
			goto err;
		}
	}
	ret = register_kretprobe(&ioctl_probe);
	if (!ret)
		return 0;
err:
	while (i--)
		unregister_kprobe(&alloc_probe[i]);
	return ret;
}

static void probes_unregister(void)
{
	unsigned int i;

	unregister_kretprobe(&ioctl_probe);
	for (i = 0; i < ARRAY_SIZE(alloc_probe); i++)
		unregister_kprobe(&alloc_probe[i]);
}

static int __init inject_init(void)
{
	unsigned int i;
	int ret;

	sites = kvcalloc(MAX_SITES, sizeof(*sites), GFP_KERNEL);
	if (!sites)
		return -ENOMEM;
	for (i = 0; i < IOCTL_SITES; i++)
		ioctl_site[i].id = 1000 + i;
	range_resolve(debug_range, ARRAY_SIZE(debug_range));
	range_resolve(slab_range, ARRAY_SIZE(slab_range));
	range_resolve(large_range, ARRAY_SIZE(large_range));
	ret = probes_register();
	if (ret)
		goto err_sites;
	/* The driver, if it is there already, is not seen: load it afterwards. */
	ret = register_module_notifier(&module_nb);
	if (ret)
		goto err_probes;
	dir = debugfs_create_dir("gsvm_inject", NULL);
	debugfs_create_file("sites", 0600, dir, NULL, &sites_fops);
	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("hits", 0400, dir, NULL, &hits_fops);
	debugfs_create_file("fired", 0400, dir, NULL, &fired_fops);
	debugfs_create_file("strays", 0400, dir, NULL, &strays_fops);
	return 0;

err_probes:
	probes_unregister();
err_sites:
	kvfree(sites);
	return ret;
}
module_init(inject_init);

static void __exit inject_exit(void)
{
	debugfs_remove_recursive(dir);
	unregister_module_notifier(&module_nb);
	control_parse("off");
	mutex_lock(&sites_mutex);
	sites_unregister();
	mutex_unlock(&sites_mutex);
	probes_unregister();
	kvfree(sites);
}
module_exit(inject_exit);

MODULE_DESCRIPTION("Makes chosen calls of gsvm.ko fail, for tests");
MODULE_AUTHOR("The gsvm authors");
MODULE_LICENSE("Dual MIT/GPL");
