// SPDX-License-Identifier: GPL-2.0-only OR MIT
/**
 * DOC: Self-test of the copy engines
 *
 * Before memory is trusted to them, every engine moves a page to VRAM and back.
 * It is a user of gsvm_copy.c like any other, with nothing of an engine in its hands.
 *
 * The page at the end of VRAM is used, which is kept back from the processes
 * (gsvm_vram.h); nobody uses VRAM yet.
 */

#include <linux/dma-mapping.h>
#include <linux/string.h>

#include "gsvm_copy.h"
#include "gsvm_device.h"

/* One copy, alone: descriptors of one fence have no order. */
static int gsvm_copy_self_test_one(struct gsvm_device *gdev, unsigned int id,
				   const struct gsvm_copy *desc)
{
	struct gsvm_copy_fence fence = { .engine = id };
	int ret;

	ret = gsvm_copy_submit(gdev, &fence, desc, 1);
	if (ret)
		return ret;

	return gsvm_copy_wait(gdev, &fence);
}

/*
 * From the first half of @data to VRAM, from there to the second half. The
 * pattern is this engine's own, so that nothing that an earlier one left in
 * VRAM passes for it.
 */
static int gsvm_copy_self_test_engine(struct gsvm_device *gdev, unsigned int id, u64 *data,
				      dma_addr_t dma)
{
	const size_t words = SZ_4K / sizeof(*data);
	const struct gsvm_copy to_vram = {
		.op = GSVM_COPY_COPY | GSVM_COPY_DST_VRAM,
		.len = SZ_4K,
		.src = dma,
		.dst = gdev->limits.vram_size - SZ_4K,
	};
	const struct gsvm_copy from_vram = {
		.op = GSVM_COPY_COPY | GSVM_COPY_SRC_VRAM,
		.len = SZ_4K,
		.src = to_vram.dst,
		.dst = dma + SZ_4K,
	};
	size_t i;
	int ret;

	for (i = 0; i < words; i++)
		data[i] = (u64)(id + 1) << 32 | i;
	memset(data + words, 0, SZ_4K);

	ret = gsvm_copy_self_test_one(gdev, id, &to_vram);
	if (!ret)
		ret = gsvm_copy_self_test_one(gdev, id, &from_vram);
	if (!ret && memcmp(data, data + words, SZ_4K))
		ret = -EIO;

	return ret;
}

/**
 * gsvm_copy_self_test - see whether every engine moves data
 * @gdev: the GPU, enabled, its VRAM not yet in use
 *
 * A page goes to the end of VRAM and comes back. Leaves that page with a test
 * pattern.
 *
 * Context: process context.
 *
 * Return: 0, -EIO, said in the log, or -ENOMEM.
 */
int gsvm_copy_self_test(struct gsvm_device *gdev)
{
	struct device *dev = &gdev->pdev->dev;
	unsigned int id;
	dma_addr_t dma;
	u64 *data;
	int ret = 0;

	data = dma_alloc_coherent(dev, 2 * SZ_4K, &dma, GFP_KERNEL);
	if (!data)
		return -ENOMEM;

	for (id = 0; !ret && id < gdev->limits.num_copy; id++) {
		ret = gsvm_copy_self_test_engine(gdev, id, data, dma);
		if (ret)
			dev_err_probe(dev, ret, "copy engine %u does not move data\n", id);
	}

	dma_free_coherent(dev, 2 * SZ_4K, data, dma);
	return ret;
}
