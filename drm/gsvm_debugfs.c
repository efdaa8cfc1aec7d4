// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Debugfs
 *
 * Files below /sys/kernel/debug/dri/<device>/, for people and tests, without
 * any promise of stability:
 *
 * - *device*: limits, state, command ring, copy engines, VRAM
 * - *stats*: the device's statistics registers
 * - *vms*: address spaces with their counters
 * - *queues*: hardware queues with their error records
 * - *peers*: pages that were copied from other GPUs' VRAM, directly and by way of
 *   system memory
 * - *wedge*: write 1 to declare the device dead, as its silence would
 */

#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "gsvm_cmd.h"
#include "gsvm_copy.h"
#include "gsvm_debugfs.h"
#include "gsvm_device.h"
#include "gsvm_hw.h"
#include "gsvm_peer.h"
#include "gsvm_queue.h"
#include "gsvm_vm.h"
#include "gsvm_vram.h"

static const char * const gsvm_debugfs_stats[GSVM_NUM_STATS] = {
	[GSVM_STAT_INSNS] = "insns",
	[GSVM_STAT_PACKETS] = "packets",
	[GSVM_STAT_WORK_ITEMS] = "work_items",
	[GSVM_STAT_TLB_MISSES] = "tlb_misses",
	[GSVM_STAT_FAULTS] = "faults",
	[GSVM_STAT_FAULTS_MERGED] = "faults_merged",
	[GSVM_STAT_FAULT_NS] = "fault_ns",
	[GSVM_STAT_FAULT_FULL] = "fault_full",
	[GSVM_STAT_INVALS] = "invals",
	[GSVM_STAT_INVAL_NS] = "inval_ns",
	[GSVM_STAT_STALE_USES] = "stale_uses",
	[GSVM_STAT_VIOLATIONS] = "violations",
	[GSVM_STAT_COPY_BYTES] = "copy_bytes",
	[GSVM_STAT_BAD_DOORBELLS] = "bad_doorbells",
	[GSVM_STAT_FAULTS_DEFERRED] = "faults_deferred",
};

static struct gsvm_device *gsvm_debugfs_device(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return to_gsvm_device(entry->dev);
}

static int gsvm_debugfs_show_device(struct seq_file *m, void *unused)
{
	struct gsvm_device *gdev = gsvm_debugfs_device(m);
	const struct gsvm_limits *l = &gdev->limits;
	int idx;

	seq_printf(m, "version: %u.%u\n", l->hw_version >> 16, l->hw_version & 0xffff);
	seq_printf(m, "vram: %llu\n", l->vram_size);
	seq_printf(m, "asids: %u\nqueues: %u\n", l->num_asids, l->num_queues);
	seq_printf(m, "cores: %u\nharts: %u\n", l->num_cores, l->max_harts);
	seq_printf(m, "max_group: %u\ngroup_mem: %u\nprivate_mem: %u\n",
		   l->max_group, l->group_mem, l->private_mem);
	seq_printf(m, "copy_engines: %u\n", l->num_copy);
	if (gsvm_device_is_wedged(gdev))
		seq_printf(m, "wedged: %s\n", READ_ONCE(gdev->wedge_reason));
	gsvm_cmd_show(gdev, m);
	gsvm_copy_show(gdev, m);
	gsvm_vram_show(gdev, m);

	if (!drm_dev_enter(&gdev->drm, &idx))
		return -ENODEV;
	seq_printf(m, "status: %#x\n", gsvm_hw_read32(gdev, GSVM_REG_STATUS));
	seq_printf(m, "time: %llu\n", gsvm_hw_read64(gdev, GSVM_REG_TIME));
	drm_dev_exit(idx);
	return 0;
}

static int gsvm_debugfs_show_stats(struct seq_file *m, void *unused)
{
	struct gsvm_device *gdev = gsvm_debugfs_device(m);
	unsigned int i;
	int idx;

	if (!drm_dev_enter(&gdev->drm, &idx))
		return -ENODEV;
	for (i = 0; i < GSVM_NUM_STATS; i++)
		seq_printf(m, "%s: %llu\n", gsvm_debugfs_stats[i],
			   gsvm_hw_read64(gdev, GSVM_REG_STAT + 8 * i));
	drm_dev_exit(idx);
	return 0;
}

static void gsvm_debugfs_show_vm(struct seq_file *m, struct gsvm_vm *vm)
{
	struct gsvm_vm_stats *s = &vm->stats;

	seq_printf(m, "asid %u%s events %lld faults %lld failed %lld services %lld retries %lld fault_ns %lld mapped %lld now %lld huge %lld invalidations %lld invalidated %lld dirtied %lld metadata %lld left %lld sparse %#x\n",
		   vm->asid, READ_ONCE(vm->dead) ? " dead" : "",
		   atomic64_read(&vm->event_seq), atomic64_read(&s->faults),
		   atomic64_read(&s->faults_failed), atomic64_read(&s->fault_services),
		   atomic64_read(&s->fault_retries), atomic64_read(&s->fault_ns),
		   atomic64_read(&s->pages_mapped), atomic64_read(&s->pages_now),
		   atomic64_read(&s->huge_mapped), atomic64_read(&s->invalidations),
		   atomic64_read(&s->pages_invalidated), atomic64_read(&s->pages_dirtied),
		   atomic64_read(&s->metadata_bytes), atomic64_read(&s->bounces),
		   READ_ONCE(vm->policy.sparse));
}

static int gsvm_debugfs_show_vms(struct seq_file *m, void *unused)
{
	struct gsvm_device *gdev = gsvm_debugfs_device(m);
	u32 asid;

	for (asid = 0; asid < gdev->limits.num_asids; asid++) {
		struct gsvm_vm *vm = gsvm_vm_lookup_asid(gdev, asid);

		if (!vm)
			continue;
		gsvm_debugfs_show_vm(m, vm);
		gsvm_vm_put(vm);
	}

	return 0;
}

static int gsvm_debugfs_show_queues(struct seq_file *m, void *unused)
{
	gsvm_queue_show(gsvm_debugfs_device(m), m);
	return 0;
}

static int gsvm_debugfs_show_peers(struct seq_file *m, void *unused)
{
	gsvm_peer_show(gsvm_debugfs_device(m), m);
	return 0;
}

static const struct drm_debugfs_info gsvm_debugfs_files[] = {
	{ "device", gsvm_debugfs_show_device },
	{ "stats", gsvm_debugfs_show_stats },
	{ "vms", gsvm_debugfs_show_vms },
	{ "queues", gsvm_debugfs_show_queues },
	{ "peers", gsvm_debugfs_show_peers },
};

static int gsvm_debugfs_wedge(void *data, u64 value)
{
	if (value != 1)
		return -EINVAL;

	gsvm_device_wedge(data, "debugfs says so");
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(gsvm_debugfs_wedge_fops, NULL, gsvm_debugfs_wedge, "%llu\n");

/**
 * gsvm_debugfs_init - announce the debugfs files
 * @gdev: the GPU, before drm_dev_register()
 */
void gsvm_debugfs_init(struct gsvm_device *gdev)
{
	drm_debugfs_add_files(&gdev->drm, gsvm_debugfs_files, ARRAY_SIZE(gsvm_debugfs_files));
	debugfs_create_file("wedge", 0200, gdev->drm.debugfs_root, gdev,
			    &gsvm_debugfs_wedge_fops);
}
