// SPDX-License-Identifier: MIT
/**
 * DOC: A call, and whether it fails
 *
 * What happens at the probes: a task comes into a site and leaves it, by which chain,
 * and allocates inside. All of it in the context of a breakpoint, under the bit lock.
 */

#include <linux/bit_spinlock.h>
#include <linux/jhash.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>

#include <drm/drm.h>

#include "gsvm_inject.h"

struct inject_state inject;
struct site inject_ioctl_site[IOCTL_SITES];

/* On the functions that every allocation and every copy asks. */
#define NR_ALLOC_PROBES	3
static struct kprobe alloc_probe[NR_ALLOC_PROBES];

/**
 * inject_lock() - take the lock of &struct inject_state
 *
 * No lock that lockdep knows: a breakpoint counts as NMI.
 *
 * Context: any; until inject_unlock(), with interrupts off.
 * Return: what inject_unlock() wants.
 */
unsigned long inject_lock(void)
{
	unsigned long flags;

	local_irq_save(flags);
	bit_spin_lock(0, &inject.lock);
	return flags;
}

/**
 * inject_unlock() - give the lock back
 * @flags: from inject_lock()
 */
void inject_unlock(unsigned long flags)
{
	bit_spin_unlock(0, &inject.lock);
	local_irq_restore(flags);
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

/**
 * inject_site_enter() - a task is about to make a site's call
 * @probe: &struct site.in
 * @regs: its registers
 *
 * Return: 1 if the call is not made, and the registers say what came of it.
 */
int inject_site_enter(struct kprobe *probe, struct pt_regs *regs)
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

/**
 * inject_site_leave() - a task has returned from a site's call
 * @probe: &struct site.out
 * @regs: its registers
 *
 * Return: 0.
 */
int inject_site_leave(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long flags;

	if (!READ_ONCE(inject.nr_frames))
		return 0;
	flags = inject_lock();
	site_leave_locked(container_of(probe, struct site, out), regs->sp, regs->ax);
	inject_unlock(flags);
	return 0;
}

/**
 * inject_site_post() - nothing
 * @probe: a probe whose handler may set ip: one with a post handler is not optimised
 * @regs: registers
 * @flags: none
 */
void inject_site_post(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
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
	if (frame && frame->site >= inject_ioctl_site && frame->site < inject_ioctl_site + IOCTL_SITES)
		return false;
	nr = stack_trace_save(entries, MAX_DEPTH, 0);
	if (inject_alloc_is_noise(page, entries, nr))
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
	if (frame && frame->site >= inject_ioctl_site && frame->site < inject_ioctl_site + IOCTL_SITES &&
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
	  .post_handler = inject_site_post },
	{ .symbol_name = "should_fail_alloc_page", .pre_handler = on_fail_page,
	  .post_handler = inject_site_post },
	{ .symbol_name = "should_fail_usercopy", .pre_handler = on_fail_usercopy,
	  .post_handler = inject_site_post },
};

/* ---- ioctls ------------------------------------------------------------------ */

static struct site *ioctl_to_site(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd) - DRM_COMMAND_BASE;

	if (_IOC_TYPE(cmd) != DRM_IOCTL_BASE || nr >= IOCTL_SITES)
		return NULL;
	return &inject_ioctl_site[nr];
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

/* ---- the probes that do not depend on sites --------------------------------------- */

/**
 * inject_calls_register() - probe what every allocation, every copy and every ioctl asks
 *
 * Context: process, sleeps.
 * Return: 0, or an errno, and none is probed.
 */
int inject_calls_register(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < IOCTL_SITES; i++)
		inject_ioctl_site[i].id = FIRST_IOCTL + i;

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

/**
 * inject_calls_unregister() - take these probes away
 *
 * Context: process, sleeps.
 */
void inject_calls_unregister(void)
{
	unsigned int i;

	unregister_kretprobe(&ioctl_probe);
	for (i = 0; i < ARRAY_SIZE(alloc_probe); i++)
		unregister_kprobe(&alloc_probe[i]);
}
