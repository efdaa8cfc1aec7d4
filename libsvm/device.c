// SPDX-License-Identifier: MIT
/*
 * DOC: devices
 *
 * Finds and opens render nodes of the gsvm driver and asks them what they can
 * do. Knows nothing of address spaces and queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "private.h"

#define MAX_NODES 256

static int sys_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	(void)ctx;
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

static int sys_ioctl_once(void *ctx, int fd, unsigned long request, void *arg)
{
	(void)ctx;
	return ioctl(fd, request, arg) ? -errno : 0;
}

static void *sys_map(void *ctx, int fd, uint64_t offset)
{
	void *page = mmap(NULL, GSVM_PAGE, PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	(void)ctx;
	return page == MAP_FAILED ? NULL : page;
}

static void sys_unmap(void *ctx, void *page)
{
	(void)ctx;
	munmap(page, GSVM_PAGE);
}

static const struct gsvm_sys sys_kernel = {
	.ioctl = sys_ioctl,
	.ioctl_once = sys_ioctl_once,
	.map = sys_map,
	.unmap = sys_unmap,
};

int gsvm_device_ioctl(const struct gsvm_device *device, unsigned long request, void *arg)
{
	return device->sys.ioctl(device->sys.ctx, device->fd, request, arg);
}

int gsvm_device_ioctl_once(const struct gsvm_device *device, unsigned long request, void *arg)
{
	return device->sys.ioctl_once(device->sys.ctx, device->fd, request, arg);
}

static bool is_gsvm(int fd)
{
	drmVersionPtr version = drmGetVersion(fd);
	bool ours = version && version->name && !strcmp(version->name, DRM_GSVM_NAME);

	if (version)
		drmFreeVersion(version);
	return ours;
}

/* A new descriptor of @path, or -ENODEV when another driver owns it. */
static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!is_gsvm(fd)) {
		close(fd);
		return -ENODEV;
	}
	return fd;
}

static int compare_nodes(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t nx = strlen(x), ny = strlen(y);

	/* renderD99 before renderD128 */
	if (nx != ny)
		return nx < ny ? -1 : 1;
	return strcmp(x, y);
}

/*
 * Call @visit for each gsvm render node, by name, until it returns not 0.
 * Nodes that cannot be opened are passed over: they are of no use here.
 */
static int for_each_node(int (*visit)(const char *path, int fd, void *arg), void *arg)
{
	drmDevicePtr devices[MAX_NODES];
	const char *nodes[MAX_NODES];
	int i, fd, found, count = 0, ret = 0;

	found = drmGetDevices2(0, devices, MAX_NODES);
	if (found < 0)
		return found == -ENOENT ? 0 : found;	/* no /dev/dri at all */
	for (i = 0; i < found; i++) {
		if (devices[i]->available_nodes & (1 << DRM_NODE_RENDER))
			nodes[count++] = devices[i]->nodes[DRM_NODE_RENDER];
	}
	qsort(nodes, count, sizeof(nodes[0]), compare_nodes);
	for (i = 0; i < count && !ret; i++) {
		fd = open_node(nodes[i]);
		if (fd < 0)
			continue;
		ret = visit(nodes[i], fd, arg);
		close(fd);
	}
	drmFreeDevices(devices, found);
	return ret;
}

static int visit_count(const char *path, int fd, void *arg)
{
	(void)path;
	(void)fd;
	++*(int *)arg;
	return 0;
}

gsvm_public int gsvm_device_count(void)
{
	int count = 0, ret = for_each_node(visit_count, &count);

	return ret < 0 ? ret : count;
}

struct path_search {
	unsigned int index;
	char *path;
	size_t size;
};

static int visit_path(const char *path, int fd, void *arg)
{
	struct path_search *search = arg;
	size_t length = strlen(path) + 1;

	(void)fd;
	if (search->index--)
		return 0;
	if (length > search->size)
		return -ENAMETOOLONG;
	memcpy(search->path, path, length);
	return 1;
}

gsvm_public int gsvm_device_path(unsigned int index, char *path, size_t size)
{
	struct path_search search = { .index = index, .path = path, .size = size };
	int ret;

	if (!path)
		return -EINVAL;
	ret = for_each_node(visit_path, &search);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ENODEV;
}

static int query(const struct gsvm_device *device, uint32_t param, uint64_t *value)
{
	struct drm_gsvm_device_query arg = { .param = param };
	int ret = gsvm_device_ioctl(device, DRM_IOCTL_GSVM_DEVICE_QUERY, &arg);

	if (!ret)
		*value = arg.value;
	return ret;
}

/* A driver from before memory could move has no GPU_ID, and needs none. */
static int query_gpu_id(struct gsvm_device *device)
{
	uint64_t id = 0;
	int ret = query(device, DRM_GSVM_PARAM_GPU_ID, &id);

	if (ret == -EINVAL)
		ret = 0;
	if (!ret)
		device->info.gpu_id = (uint32_t)id;
	return ret;
}

static int query_info(struct gsvm_device *device)
{
	struct gsvm_device_info *info = &device->info;
	struct {
		uint32_t param;
		uint32_t *value;
	} params[] = {
		{ DRM_GSVM_PARAM_HW_VERSION, &info->hw_version },
		{ DRM_GSVM_PARAM_VA_BITS, &info->va_bits },
		{ DRM_GSVM_PARAM_NUM_CORES, &info->num_cores },
		{ DRM_GSVM_PARAM_MAX_HARTS, &info->max_work_items },
		{ DRM_GSVM_PARAM_MAX_GROUP, &info->max_group },
		{ DRM_GSVM_PARAM_GROUP_MEM, &info->group_memory },
		{ DRM_GSVM_PARAM_PRIVATE_MEM, &info->private_memory },
		{ DRM_GSVM_PARAM_MAX_QUEUES, &info->max_queues },
	};
	uint64_t value, formats;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		ret = query(device, params[i].param, &value);
		if (ret)
			return ret;
		*params[i].value = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
	}
	ret = query(device, DRM_GSVM_PARAM_VRAM_SIZE, &info->vram_size);
	if (!ret)
		ret = query(device, DRM_GSVM_PARAM_QUEUE_FORMATS, &formats);
	if (!ret)
		ret = query_gpu_id(device);
	if (ret)
		return ret;
	info->size = sizeof(*info);
	/* A later generation may speak other packets only. */
	return formats & (1u << DRM_GSVM_QUEUE_FORMAT_AQL64) ? 0 : -EOPNOTSUPP;
}

/* Takes over @fd on success. */
int gsvm_device_init(const struct gsvm_sys *sys, int fd, struct gsvm_device **out)
{
	struct gsvm_device *device = calloc(1, sizeof(*device));
	int ret;

	if (!device)
		return -ENOMEM;
	device->fd = fd;
	device->sys = *sys;
	atomic_init(&device->vms, 0);
	ret = query_info(device);
	if (ret) {
		free(device);
		return ret;
	}
	*out = device;
	return 0;
}

static int init_or_close(int fd, struct gsvm_device **device)
{
	int ret = gsvm_device_init(&sys_kernel, fd, device);

	if (ret)
		close(fd);
	return ret;
}

static int visit_open(const char *path, int fd, void *arg)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)path;
	if (own < 0)
		return -errno;
	*(int *)arg = own;
	return 1;
}

gsvm_public int gsvm_device_open(const char *path, struct gsvm_device **device)
{
	int fd, ret;

	if (!device)
		return -EINVAL;
	if (path) {
		fd = open_node(path);
		return fd < 0 ? fd : init_or_close(fd, device);
	}
	ret = for_each_node(visit_open, &fd);
	if (ret < 0)
		return ret;
	return ret ? init_or_close(fd, device) : -ENODEV;
}

gsvm_public int gsvm_device_open_fd(int fd, struct gsvm_device **device)
{
	int own;

	if (!device)
		return -EINVAL;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return -errno;
	if (!is_gsvm(own)) {
		close(own);
		return -ENODEV;
	}
	return init_or_close(own, device);
}

gsvm_public int gsvm_device_close(struct gsvm_device *device)
{
	if (!device)
		return 0;
	if (atomic_load(&device->vms))
		return -EBUSY;
	if (device->fd >= 0)
		close(device->fd);
	free(device);
	return 0;
}

gsvm_public int gsvm_device_fd(const struct gsvm_device *device)
{
	return device->fd;
}

gsvm_public int gsvm_device_query(struct gsvm_device *device, struct gsvm_device_info *info)
{
	if (!device || !info)
		return -EINVAL;
	return gsvm_copy_out(info, info->size, &device->info, sizeof(device->info));
}

gsvm_public int gsvm_device_time(struct gsvm_device *device, uint64_t *time_ns)
{
	if (!device || !time_ns)
		return -EINVAL;
	return query(device, DRM_GSVM_PARAM_TIMESTAMP, time_ns);
}

gsvm_public int gsvm_device_vram(struct gsvm_device *device, struct gsvm_vram_stats *stats)
{
	struct gsvm_vram_stats known = { .size = sizeof(known) };
	int ret;

	if (!device || !stats)
		return -EINVAL;
	known.total = device->info.vram_size;
	ret = query(device, DRM_GSVM_PARAM_VRAM_FREE, &known.free);
	if (!ret)
		ret = query(device, DRM_GSVM_PARAM_VRAM_EVICTED, &known.pages_evicted);
	/* What this driver cannot say is not the caller's mistake. */
	if (ret == -EINVAL)
		return -EOPNOTSUPP;
	return ret ? ret : gsvm_copy_out(stats, stats->size, &known, sizeof(known));
}
