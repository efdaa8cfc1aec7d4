// SPDX-License-Identifier: MIT
/*
 * DOC: signals
 *
 * A signal is 64 bytes of memory, struct gsvm_signal of gsvm_hw.h: the GPU
 * counts it down when a packet completes. There is no object behind it and
 * nothing to register; the VM comes in only when somebody sleeps.
 *
 * The GPU's decrement is a release and pairs with the acquire loads here: who
 * has seen the value sees what the packet wrote.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "private.h"

_Static_assert(sizeof(struct gsvm_signal) == GSVM_SIGNAL_SIZE, "a signal is one cache line");
_Static_assert((int)GSVM_EQUAL == DRM_GSVM_WAIT_EQ && (int)GSVM_NOT_EQUAL == DRM_GSVM_WAIT_NE &&
	       (int)GSVM_LESS == DRM_GSVM_WAIT_LT && (int)GSVM_GREATER_EQUAL == DRM_GSVM_WAIT_GE,
	       "conditions are the driver's");

/*
 * Looks at a value before sleeping: about as long as a system call takes, so
 * that work which is nearly complete costs none. No longer: the GPU of a
 * virtual machine needs the very CPU that would spin here.
 */
#define SPINS 64

gsvm_public int gsvm_signal_init(void *memory, int64_t value, struct gsvm_signal **signal)
{
	struct gsvm_signal *new = memory;

	if (!memory || !signal || (uintptr_t)memory % GSVM_SIGNAL_SIZE)
		return -EINVAL;
	memset(new, 0, sizeof(*new));
	__atomic_store_n(&new->value, value, __ATOMIC_RELEASE);
	*signal = new;
	return 0;
}

gsvm_public int gsvm_signal_create(int64_t value, struct gsvm_signal **signal)
{
	void *memory;
	int ret;

	if (!signal)
		return -EINVAL;
	memory = aligned_alloc(GSVM_SIGNAL_SIZE, GSVM_SIGNAL_SIZE);
	if (!memory)
		return -ENOMEM;
	ret = gsvm_signal_init(memory, value, signal);
	if (ret)
		free(memory);
	return ret;
}

gsvm_public void gsvm_signal_destroy(struct gsvm_signal *signal)
{
	free(signal);
}

gsvm_public int64_t gsvm_signal_value(const struct gsvm_signal *signal)
{
	return __atomic_load_n(&signal->value, __ATOMIC_ACQUIRE);
}

gsvm_public void gsvm_signal_set(struct gsvm_signal *signal, int64_t value)
{
	__atomic_store_n(&signal->value, value, __ATOMIC_RELEASE);
}

gsvm_public void gsvm_signal_times(const struct gsvm_signal *signal, uint64_t *start_ns,
				   uint64_t *end_ns)
{
	if (start_ns)
		*start_ns = __atomic_load_n(&signal->start, __ATOMIC_RELAXED);
	if (end_ns)
		*end_ns = __atomic_load_n(&signal->end, __ATOMIC_RELAXED);
}

static bool condition_met(int64_t observed, uint32_t op, int64_t value)
{
	switch (op) {
	case GSVM_EQUAL:
		return observed == value;
	case GSVM_NOT_EQUAL:
		return observed != value;
	case GSVM_LESS:
		return observed < value;
	default:
		return observed >= value;
	}
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* CLOCK_MONOTONIC time of the end; INT64_MAX: none. */
int64_t gsvm_deadline(int64_t timeout_ns)
{
	struct timespec now;
	int64_t deadline;

	if (timeout_ns < 0)
		return INT64_MAX;
	if (!timeout_ns)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (__builtin_add_overflow(now.tv_sec * 1000000000LL + now.tv_nsec, timeout_ns, &deadline))
		return INT64_MAX;
	return deadline;
}

int gsvm_wait(const struct gsvm_vm *vm, uint32_t queue_id, struct gsvm_signal *signal, uint32_t op,
	      int64_t value, int64_t deadline_ns)
{
	struct drm_gsvm_wait arg = {
		.vm_id = vm->id,
		.addr = (uintptr_t)signal,
		.value = value,
		.timeout_ns = deadline_ns,
		.op = op,
		.queue_id = queue_id,
	};
	int i, ret;

	for (i = 0; i < SPINS; i++) {
		if (condition_met(gsvm_signal_value(signal), op, value))
			return 0;
		cpu_relax();
	}
	ret = gsvm_device_ioctl(vm->device, DRM_IOCTL_GSVM_WAIT, &arg);
	/* The driver saw the value, but only a look of our own is an acquire. */
	if (!ret)
		(void)gsvm_signal_value(signal);
	return ret;
}

static int check_and_wait(const struct gsvm_vm *vm, uint32_t queue_id, struct gsvm_signal *signal,
			  enum gsvm_condition condition, int64_t value, int64_t timeout_ns)
{
	if (!signal || (uintptr_t)signal % GSVM_SIGNAL_SIZE)
		return -EINVAL;
	if ((unsigned int)condition > GSVM_GREATER_EQUAL)
		return -EINVAL;
	if (!gsvm_vm_owned(vm))
		return -EPERM;
	return gsvm_wait(vm, queue_id, signal, condition, value, gsvm_deadline(timeout_ns));
}

gsvm_public int gsvm_signal_wait(struct gsvm_signal *signal, struct gsvm_queue *queue,
				 enum gsvm_condition condition, int64_t value, int64_t timeout_ns)
{
	if (!queue)
		return -EINVAL;
	return check_and_wait(queue->vm, queue->id, signal, condition, value, timeout_ns);
}

gsvm_public int gsvm_vm_wait(struct gsvm_vm *vm, struct gsvm_signal *signal,
			     enum gsvm_condition condition, int64_t value, int64_t timeout_ns)
{
	if (!vm)
		return -EINVAL;
	return check_and_wait(vm, 0, signal, condition, value, timeout_ns);
}
