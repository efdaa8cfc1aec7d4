// SPDX-License-Identifier: MIT
/*
 * DOC: Registers
 *
 * Decoding only: values are latched here and doorbells handed to their units;
 * what a change of state takes is in reset.c.
 *
 * Base registers and ring sizes are in gpu->reg, where the units read them
 * without a lock: they are written only while the device is off (RESET_OFF),
 * by the message thread or, on reset, by the reset thread.
 *
 * Errors can come from any thread, also with locks of its unit held or inside
 * agent_enter(). error_lock protects the error registers and is taken last.
 *
 * The MSI-X table is storage only: the client keeps the real one. A vector's
 * message leaves through an eventfd (irq.c).
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "copy.h"
#include "irq.h"
#include "queue.h"
#include "regs.h"
#include "reset.h"

#define MSIX_TABLE_SIZE	(16 * GSVM_NUM_VECTORS)

/* What a base register keeps. */
#define BASE_BUS	GSVM_BASE_ADDR
#define BASE_ANY	(GSVM_BASE_ADDR | GSVM_BASE_VRAM)

struct regs {
	_Atomic uint64_t time_base;	/* CLOCK_MONOTONIC of the last reset */
	pthread_mutex_t error_lock;	/* the next three */
	uint32_t error;
	uint64_t error_info;
	bool fatal;
	uint8_t msix_table[MSIX_TABLE_SIZE];	/* message thread, or reset thread */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

int regs_init(struct gpu *gpu)
{
	struct regs *regs = calloc(1, sizeof(*regs));

	if (!regs)
		return -ENOMEM;
	pthread_mutex_init(&regs->error_lock, NULL);
	gpu->regs = regs;
	regs_reset(gpu);
	return 0;
}

void regs_exit(struct gpu *gpu)
{
	pthread_mutex_destroy(&gpu->regs->error_lock);
	free(gpu->regs);
	gpu->regs = NULL;
}

void regs_reset(struct gpu *gpu)
{
	struct regs *regs = gpu->regs;

	memset(&gpu->reg, 0, sizeof(gpu->reg));
	gpu->reg.cmd_log2 = gpu->reg.fault_log2 = 4;
	for (unsigned int i = 0; i < GSVM_MAX_COPY_ENGINES; i++)
		gpu->reg.copy_log2[i] = 4;
	for (unsigned int i = 0; i < GSVM_NUM_STATS; i++)
		gpu->stat_before[i] += atomic_exchange(&gpu->stat[i], 0);
	memset(regs->msix_table, 0, sizeof(regs->msix_table));
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++)
		regs->msix_table[16 * i + 12] = 1;	/* masked */
	pthread_mutex_lock(&regs->error_lock);
	regs->error = GSVM_ERR_NONE;
	regs->error_info = 0;
	regs->fatal = false;
	pthread_mutex_unlock(&regs->error_lock);
	atomic_store(&regs->time_base, now_ns());
}

uint64_t gpu_time_ns(const struct gpu *gpu)
{
	return now_ns() - atomic_load_explicit(&gpu->regs->time_base, memory_order_relaxed);
}

/* ---- Errors ----------------------------------------------------------------- */

static void regs_error(struct gpu *gpu, uint32_t err, uint64_t info, bool fatal)
{
	struct regs *regs = gpu->regs;
	bool first;

	pthread_mutex_lock(&regs->error_lock);
	first = regs->error == GSVM_ERR_NONE;
	if (first) {
		regs->error = err;
		regs->error_info = info;
	}
	if (fatal && !regs->fatal)
		first = regs->fatal = true;
	pthread_mutex_unlock(&regs->error_lock);
	if (first)
		irq_raise(gpu, GSVM_VEC_ERROR);
}

void gpu_error(struct gpu *gpu, uint32_t err, uint64_t info)
{
	regs_error(gpu, err, info, false);
}

void gpu_fatal(struct gpu *gpu, uint32_t err, uint64_t info)
{
	/*
	 * A unit that is being stopped may find memory out of reach because we
	 * took it away: no error of the driver's. One that was stopped by an
	 * earlier fatal error has nothing to add.
	 */
	if (!atomic_load(&gpu->enabled))
		return;
	regs_error(gpu, err, info, true);
	reset_fatal(gpu);
}

bool regs_fatal(struct gpu *gpu)
{
	bool fatal;

	pthread_mutex_lock(&gpu->regs->error_lock);
	fatal = gpu->regs->fatal;
	pthread_mutex_unlock(&gpu->regs->error_lock);
	return fatal;
}

/* ---- Reads ------------------------------------------------------------------ */

static uint64_t pair(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

static uint64_t regs_control_status(struct gpu *gpu)
{
	enum reset_state state = reset_state(gpu);
	uint32_t status = 0;

	if (state == RESET_ON || state == RESET_STOPPING)
		status |= GSVM_STATUS_ENABLED;
	if (state == RESET_RESETTING)
		status |= GSVM_STATUS_RESETTING;
	if (regs_fatal(gpu))
		status |= GSVM_STATUS_FATAL;
	return pair(state == RESET_ON ? GSVM_CONTROL_ENABLE : 0, status);
}

/* The error registers belong together: this is the only place that reads them. */
static uint64_t regs_read_error(struct gpu *gpu, bool info)
{
	struct regs *regs = gpu->regs;
	uint64_t value;

	pthread_mutex_lock(&regs->error_lock);
	value = info ? regs->error_info : regs->error;
	pthread_mutex_unlock(&regs->error_lock);
	return value;
}

static uint64_t regs_read_copy(struct gpu *gpu, uint64_t offset)
{
	unsigned int n = (offset - GSVM_REG_COPY_BASE(0)) / 0x20;

	if (n >= gpu->cfg.num_copy)
		return 0;
	if (offset == GSVM_REG_COPY_BASE(n))
		return gpu->reg.copy_base[n];
	return offset == GSVM_REG_COPY_LOG2(n) ? gpu->reg.copy_log2[n] : 0;
}

/* The 8 bytes at @offset, a multiple of 8. */
static uint64_t regs_read_quad(struct gpu *gpu, uint64_t offset)
{
	switch (offset) {
	case GSVM_REG_ID:
		return pair(GSVM_ID_MAGIC, GSVM_HW_VERSION);
	case GSVM_REG_VRAM_SIZE:
		return gpu->cfg.vram_size;
	case GSVM_REG_NUM_ASIDS:
		return pair(GPU_NUM_ASIDS, GPU_NUM_QUEUES);
	case GSVM_REG_NUM_CORES:
		return pair(gpu->cfg.num_cores, gpu->cfg.max_harts);
	case GSVM_REG_NUM_COPY:
		return pair(gpu->cfg.num_copy, QUEUE_GROUP_MEM);
	case GSVM_REG_PRIVATE_MEM:
		return pair(QUEUE_PRIVATE_MEM, QUEUE_MAX_GROUP);
	case GSVM_REG_VA_BITS:
		return GSVM_VA_BITS;
	case GSVM_REG_CONTROL:
		return regs_control_status(gpu);
	case GSVM_REG_ERROR:
		return regs_read_error(gpu, false);
	case GSVM_REG_ERROR_INFO:
		return regs_read_error(gpu, true);
	case GSVM_REG_TIME:
		return gpu_time_ns(gpu);
	case GSVM_REG_CTX_BASE:
		return gpu->reg.ctx_base;
	case GSVM_REG_QUEUE_BASE:
		return gpu->reg.queue_base;
	case GSVM_REG_STATUS_BASE:
		return gpu->reg.status_base;
	case GSVM_REG_CMD_BASE:
		return gpu->reg.cmd_base;
	case GSVM_REG_CMD_LOG2:
		return gpu->reg.cmd_log2;
	case GSVM_REG_FAULT_BASE:
		return gpu->reg.fault_base;
	case GSVM_REG_FAULT_LOG2:
		return pair(gpu->reg.fault_log2, gpu->reg.fault_control);
	case GSVM_MSIX_PBA_OFFSET:
		return irq_pending(gpu);
	}
	if (offset >= GSVM_REG_COPY_BASE(0) && offset < GSVM_REG_COPY_BASE(GSVM_MAX_COPY_ENGINES))
		return regs_read_copy(gpu, offset);
	if (offset >= GSVM_REG_STAT && offset < GSVM_REG_STAT + 8 * GSVM_NUM_STATS)
		return atomic_load(&gpu->stat[(offset - GSVM_REG_STAT) / 8]);
	if (offset >= GSVM_MSIX_TABLE_OFFSET && offset < GSVM_MSIX_TABLE_OFFSET + MSIX_TABLE_SIZE) {
		uint64_t quad;

		memcpy(&quad, gpu->regs->msix_table + (offset - GSVM_MSIX_TABLE_OFFSET), 8);
		return quad;
	}
	return 0;
}

static bool regs_aligned(uint64_t offset, uint32_t len)
{
	return (len == 4 || len == 8) && !(offset & (len - 1));
}

/* During a reset only what never changes, and STATUS, can be read. */
static bool regs_readable(struct gpu *gpu, uint64_t quad)
{
	return quad < GSVM_REG_ERROR || reset_state(gpu) != RESET_RESETTING;
}

void regs_read(struct gpu *gpu, uint64_t offset, void *buf, uint32_t len)
{
	uint64_t quad;

	if (!regs_aligned(offset, len)) {
		memset(buf, 0xff, len);
		return;
	}
	quad = regs_readable(gpu, offset & ~7ull) ? regs_read_quad(gpu, offset & ~7ull) : 0;
	if (offset & 4)
		quad >>= 32;
	memcpy(buf, &quad, len);
}

/* ---- Writes ----------------------------------------------------------------- */

/* Base registers and ring sizes are for the time when the device is off. */
static bool regs_unlocked(struct gpu *gpu, uint64_t offset)
{
	if (reset_state(gpu) == RESET_OFF)
		return true;
	gpu_error(gpu, GSVM_ERR_REGISTER, offset);
	return false;
}

static void regs_write_base(struct gpu *gpu, uint64_t *base, uint64_t mask, uint64_t offset,
			    uint32_t value)
{
	if (!regs_unlocked(gpu, offset))
		return;
	if (offset & 4)
		*base = pair(*base, value) & mask;
	else
		*base = pair(value, *base >> 32) & mask;
}

static void regs_write_log2(struct gpu *gpu, uint32_t *log2, uint64_t offset, uint32_t value)
{
	if (!regs_unlocked(gpu, offset))
		return;
	if (value < 4 || value > 16)
		gpu_error(gpu, GSVM_ERR_REGISTER, offset);
	else
		*log2 = value;
}

static void regs_write_control(struct gpu *gpu, uint32_t value)
{
	bool on = reset_state(gpu) == RESET_ON;

	if (value & GSVM_CONTROL_RESET)
		reset_device(gpu);
	else if (!(value & GSVM_CONTROL_ENABLE))
		reset_disable(gpu);
	else if (!on && !reset_enable(gpu))
		gpu_error(gpu, GSVM_ERR_REGISTER, GSVM_REG_CONTROL);
}

static void regs_clear_error(struct gpu *gpu)
{
	pthread_mutex_lock(&gpu->regs->error_lock);
	gpu->regs->error = GSVM_ERR_NONE;
	gpu->regs->error_info = 0;
	pthread_mutex_unlock(&gpu->regs->error_lock);
}

struct tail {
	unsigned int engine;
	uint32_t value;
};

static void ring_cmd(struct gpu *gpu, void *arg)
{
	cmd_doorbell(gpu, ((struct tail *)arg)->value);
}

static void ring_copy(struct gpu *gpu, void *arg)
{
	copy_doorbell(gpu, ((struct tail *)arg)->engine, ((struct tail *)arg)->value);
}

static void regs_write_copy(struct gpu *gpu, uint64_t offset, uint32_t value)
{
	unsigned int n = (offset - GSVM_REG_COPY_BASE(0)) / 0x20;
	struct tail tail = { n, value };

	if (n >= gpu->cfg.num_copy)
		return;
	if ((offset & ~4ull) == GSVM_REG_COPY_BASE(n))
		regs_write_base(gpu, &gpu->reg.copy_base[n], BASE_ANY, offset, value);
	else if (offset == GSVM_REG_COPY_LOG2(n))
		regs_write_log2(gpu, &gpu->reg.copy_log2[n], offset, value);
	else if (offset == GSVM_REG_COPY_TAIL(n) && !reset_ring(gpu, ring_copy, &tail))
		gpu_error(gpu, GSVM_ERR_REGISTER, offset);
}

static void regs_write_word(struct gpu *gpu, uint64_t offset, uint32_t value)
{
	struct tail tail = { 0, value };

	switch (offset & ~4ull) {
	case GSVM_REG_CTX_BASE:
		return regs_write_base(gpu, &gpu->reg.ctx_base, BASE_ANY, offset, value);
	case GSVM_REG_QUEUE_BASE:
		return regs_write_base(gpu, &gpu->reg.queue_base, BASE_ANY, offset, value);
	case GSVM_REG_STATUS_BASE:
		return regs_write_base(gpu, &gpu->reg.status_base, BASE_BUS, offset, value);
	case GSVM_REG_CMD_BASE:
		return regs_write_base(gpu, &gpu->reg.cmd_base, BASE_ANY, offset, value);
	case GSVM_REG_FAULT_BASE:
		return regs_write_base(gpu, &gpu->reg.fault_base, BASE_BUS, offset, value);
	}
	switch (offset) {
	case GSVM_REG_CONTROL:
		return regs_write_control(gpu, value);
	case GSVM_REG_ERROR:
		if (!value)
			regs_clear_error(gpu);
		return;
	case GSVM_REG_CMD_LOG2:
		return regs_write_log2(gpu, &gpu->reg.cmd_log2, offset, value);
	case GSVM_REG_FAULT_LOG2:
		return regs_write_log2(gpu, &gpu->reg.fault_log2, offset, value);
	case GSVM_REG_FAULT_CONTROL:
		if (regs_unlocked(gpu, offset))
			gpu->reg.fault_control = value & GSVM_FAULT_BY_BLOCK;
		return;
	case GSVM_REG_CMD_TAIL:
		if (!reset_ring(gpu, ring_cmd, &tail))
			gpu_error(gpu, GSVM_ERR_REGISTER, offset);
		return;
	}
	if (offset >= GSVM_REG_COPY_BASE(0) && offset < GSVM_REG_COPY_BASE(GSVM_MAX_COPY_ENGINES))
		regs_write_copy(gpu, offset, value);
	else if (offset >= GSVM_MSIX_TABLE_OFFSET &&
		 offset < GSVM_MSIX_TABLE_OFFSET + MSIX_TABLE_SIZE)
		memcpy(gpu->regs->msix_table + (offset - GSVM_MSIX_TABLE_OFFSET), &value, 4);
}

void regs_write(struct gpu *gpu, uint64_t offset, const void *buf, uint32_t len)
{
	uint32_t word[2] = {0};

	if (!regs_aligned(offset, len))
		return;
	memcpy(word, buf, len);
	for (uint32_t i = 0; i < len / 4; i++) {
		/* Also after each half: the first may have started a reset. */
		if (reset_state(gpu) == RESET_RESETTING)
			return;
		regs_write_word(gpu, offset + 4 * i, word[i]);
	}
}

/* ---- Doorbells --------------------------------------------------------------- */

struct doorbell {
	uint64_t offset;
	uint64_t value;
};

static void ring_queue(struct gpu *gpu, void *arg)
{
	struct doorbell *d = arg;

	queue_doorbell(gpu, d->offset / GSVM_DOORBELL_PAGE,
		       d->offset % GSVM_DOORBELL_PAGE / 8, d->value);
}

void regs_doorbell(struct gpu *gpu, uint64_t offset, const void *buf, uint32_t len)
{
	struct doorbell d = { .offset = offset };

	if (len == 8 && !(offset & 7)) {
		memcpy(&d.value, buf, 8);
		if (reset_ring(gpu, ring_queue, &d))
			return;
	}
	gpu_stat_add(gpu, GSVM_STAT_BAD_DOORBELLS, 1);
}
