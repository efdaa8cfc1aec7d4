// SPDX-License-Identifier: MIT
/**
 * DOC: The list of sites
 *
 * Two kprobes for each, which come and go with the driver: this module hears of it
 * before kprobes does, which takes the probes from a module that goes, and before
 * the first of the driver's functions runs.
 */

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "gsvm_inject.h"

static DEFINE_MUTEX(sites_mutex);	/* the following, and registration */
static struct site *sites;
static unsigned int nr_sites;
static bool target_here;

static void site_register(struct site *site)
{
	char name[80];

	lockdep_assert_held(&sites_mutex);
	snprintf(name, sizeof(name), INJECT_TARGET ":%s", site->symbol);
	memset(&site->in, 0, sizeof(site->in));
	memset(&site->out, 0, sizeof(site->out));
	site->in.symbol_name = name;
	site->in.offset = site->offset;
	site->in.pre_handler = inject_site_enter;
	site->in.post_handler = inject_site_post;
	site->out.symbol_name = name;
	site->out.offset = site->offset + site->length;
	site->out.pre_handler = inject_site_leave;

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

/**
 * inject_sites_add() - put a site on the list
 * @line: as written to the file "sites"
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL; -ENOSPC.
 */
int inject_sites_add(const char *line)
{
	struct site *site;
	int ret = -ENOSPC;

	mutex_lock(&sites_mutex);
	if (nr_sites < MAX_SITES) {
		site = &sites[nr_sites];
		ret = site_parse(site, line);
		if (!ret) {
			nr_sites++;
			if (target_here)
				site_register(site);
		}
	}
	mutex_unlock(&sites_mutex);
	return ret;
}

/**
 * inject_sites_clear() - forget all sites
 *
 * Context: process, sleeps.
 */
void inject_sites_clear(void)
{
	mutex_lock(&sites_mutex);
	sites_unregister();
	nr_sites = 0;
	mutex_unlock(&sites_mutex);
}

/**
 * inject_sites_each() - call a function for each site
 * @m: its first argument
 * @fn: what to call
 *
 * Context: process, sleeps.
 */
void inject_sites_each(struct seq_file *m, void (*fn)(struct seq_file *m, struct site *site))
{
	unsigned int i;

	mutex_lock(&sites_mutex);
	for (i = 0; i < nr_sites; i++)
		fn(m, &sites[i]);
	mutex_unlock(&sites_mutex);
}

/**
 * inject_sites_init() - begin with no site
 *
 * The driver, if it is there already, is not seen: it is to be loaded afterwards.
 *
 * Context: process, sleeps, allocates.
 * Return: 0; -ENOMEM, or what the notifier chain says.
 */
int inject_sites_init(void)
{
	int ret;

	sites = kvcalloc(MAX_SITES, sizeof(*sites), GFP_KERNEL);
	if (!sites)
		return -ENOMEM;
	ret = register_module_notifier(&module_nb);
	if (ret)
		kvfree(sites);
	return ret;
}

/**
 * inject_sites_exit() - take all probes from the driver
 *
 * Context: process, sleeps.
 */
void inject_sites_exit(void)
{
	unregister_module_notifier(&module_nb);
	inject_sites_clear();
	kvfree(sites);
}
