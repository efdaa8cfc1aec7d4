/* SPDX-License-Identifier: MIT */
#ifndef GSVM_INJECT_H
#define GSVM_INJECT_H

#include <linux/kprobes.h>
#include <linux/prandom.h>
#include <linux/types.h>

struct module;
struct seq_file;
struct task_struct;

#define INJECT_TARGET	"gsvm"
#define MAX_SITES	384
#define MAX_CHAINS	16	/* per site */
#define MAX_FRAMES	128	/* tasks inside sites, nested ones counted */
#define MAX_STRAYS	32
#define MAX_DEPTH	48
#define SHOWN		10	/* stack entries kept of a failure */
#define IOCTL_SITES	32	/* drm_ioctl() of driver ioctl 0..31 */
#define FIRST_IOCTL	1000	/* ID of the first of them */

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

enum inject_mode { OFF, COUNT, FAIL, RANDOM };

/**
 * struct inject_state - what is to fail, what came of it, and who is inside of a site
 * @lock: bit 0 of it guards the rest, see inject_lock()
 * @mode: what happens at a site
 * @id: FAIL: the site to fail
 * @chain: the way to it, 0: any
 * @skip: calls that are let through before
 * @nth: which allocation, 0: the call itself
 * @times: how often
 * @all: and all allocations behind the @nth
 * @percent: RANDOM: of all calls
 * @random: state of its generator
 * @fired: failures so far
 * @missed: calls for which there was no room in @frame or in their site
 * @shown: from what failed to the driver, return addresses
 * @nr_shown: how many of them
 * @what: what failed, in words
 * @fired_in: the site
 * @result: what its call returned
 * @result_due: it has not yet
 * @text: the driver's text
 * @text_end: behind it
 * @init: text of its initialisation, while there is one
 * @init_end: behind it
 * @nr_frames: how many of @frame are in use
 * @frame: who is inside of a site
 * @stray: COUNT: allocations of the driver outside of all sites
 * @nr_strays: how many of them
 */
struct inject_state {
	unsigned long lock;
	enum inject_mode mode;
	unsigned int id;
	u32 chain;
	unsigned int skip, nth, times, all, percent;
	struct rnd_state random;
	unsigned int fired;
	unsigned int missed;
	unsigned long shown[SHOWN];
	unsigned int nr_shown;
	char what[64];
	struct site *fired_in;
	long result;
	bool result_due;
	unsigned long text, text_end, init, init_end;
	unsigned int nr_frames;
	struct frame frame[MAX_FRAMES];
	unsigned long stray[MAX_STRAYS];
	unsigned int nr_strays;
};

/* gsvm_inject_call.c */
extern struct inject_state inject;
extern struct site inject_ioctl_site[IOCTL_SITES];

unsigned long inject_lock(void);
void inject_unlock(unsigned long flags);
int inject_site_enter(struct kprobe *probe, struct pt_regs *regs);
int inject_site_leave(struct kprobe *probe, struct pt_regs *regs);
void inject_site_post(struct kprobe *probe, struct pt_regs *regs, unsigned long flags);
int inject_calls_register(void);
void inject_calls_unregister(void);

/* gsvm_inject_noise.c */
void inject_noise_init(void);
bool inject_alloc_is_noise(bool page, const unsigned long *entries, unsigned int nr);

/* gsvm_inject_site.c */
int inject_sites_init(void);
void inject_sites_exit(void);
int inject_sites_add(const char *line);
void inject_sites_clear(void);
void inject_sites_each(struct seq_file *m, void (*fn)(struct seq_file *m, struct site *site));

#endif
