/* SPDX-License-Identifier: MIT */
/*
 * What the library's files share, and nobody else sees.
 *
 * Lifetime: a queue holds its VM, a VM holds its device; the counters vm->queues
 * and device->vms make destroying in the wrong order an -EBUSY instead of a
 * use after free.
 *
 * Locks: gsvm_vm.lock (the doorbell mapping) and gsvm_queue.lock (the ring's
 * producer side). Neither is taken while the other is held.
 */
#ifndef GSVM_PRIVATE_H
#define GSVM_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gsvm.h"
#include "gsvm_hw.h"
#include "gsvm_drm.h"

/* Everything is hidden but what carries this. */
#define gsvm_public __attribute__((visibility("default")))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * The kernel as the library sees it. The tests put a device of their own
 * behind it; @ctx is theirs.
 */
struct gsvm_sys {
	/* 0 or a negative errno; restarts interrupted calls. */
	int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
	/* The same for calls that a signal handler is to end: they are not restarted. */
	int (*ioctl_once)(void *ctx, int fd, unsigned long request, void *arg);
	/* Map one doorbell page; NULL and errno. */
	void *(*map)(void *ctx, int fd, uint64_t offset);
	void (*unmap)(void *ctx, void *page);
	void *ctx;
};

#define GSVM_PAGE 4096

/* A device and what it said about itself; constant after opening. */
struct gsvm_device {
	int fd;			/* our own duplicate; -1: the tests' device */
	struct gsvm_sys sys;
	struct gsvm_device_info info;
	atomic_uint vms;
};

struct gsvm_vm {
	struct gsvm_device *device;
	uint32_t id;
	atomic_uint queues;
	/*
	 * One page that the kernel gives to children as zeroes: not 0 in the
	 * process that made the VM (and in its vfork() children, which share
	 * its memory), 0 in one that fork() made. It costs no system call.
	 */
	uint32_t *owner;
	pthread_mutex_t lock;	/* protects doorbell: made once, by the first queue */
	void *doorbell;		/* page of all the VM's queues, NULL: not mapped yet */
};

/*
 * What queue and device share besides the ring, in front of it. Each has a
 * cache line of its own. Both signals count down from 0, one per packet.
 */
struct gsvm_queue_shared {
	_Alignas(64) uint64_t read_index;	/* packets consumed, the device's */
	_Alignas(64) struct gsvm_signal room;	/* markers passed, see submit.c */
	_Alignas(64) struct gsvm_signal idle;	/* gsvm_queue_finish() */
};

struct gsvm_packet {
	uint32_t word[GSVM_PACKET_SIZE / 4];
};

struct gsvm_queue {
	struct gsvm_vm *vm;
	uint32_t id;
	uint32_t packets;	/* in the ring, a power of two */
	struct gsvm_queue_shared *shared;
	struct gsvm_packet *ring;
	size_t mapped;		/* bytes from shared on */
	volatile uint64_t *doorbell;

	/* Protects all below, and makes doorbell values only ever grow. */
	pthread_mutex_t lock;
	uint64_t write;		/* packets published */
	uint64_t rung;		/* the last doorbell value */
	uint64_t finishes;	/* packets of gsvm_queue_finish() */
	bool dead;		/* once known: nothing is submitted any more */
};

/* device.c */
int gsvm_device_init(const struct gsvm_sys *sys, int fd, struct gsvm_device **out);
int gsvm_device_ioctl(const struct gsvm_device *device, unsigned long request, void *arg);
int gsvm_device_ioctl_once(const struct gsvm_device *device, unsigned long request, void *arg);

/* vm.c */
static inline bool gsvm_vm_owned(const struct gsvm_vm *vm)
{
	return __atomic_load_n(vm->owner, __ATOMIC_RELAXED) != 0;
}

int gsvm_vm_doorbell(struct gsvm_vm *vm, uint64_t offset, void **page);

/* queue.c: 0, or -EIO when the queue is dead, or why that is not known */
int gsvm_queue_check(struct gsvm_queue *queue);

/* signal.c: wait without spinning, absolute time; queue_id 0: for no queue's work */
int gsvm_wait(const struct gsvm_vm *vm, uint32_t queue_id, struct gsvm_signal *signal, uint32_t op,
	      int64_t value, int64_t deadline_ns);
int64_t gsvm_deadline(int64_t timeout_ns);

/* program.c */
/* Address space after each kernel's group_base that only work-groups reach. */
#define GSVM_GROUP_WINDOW (1u << 20)
int gsvm_kernel_check(const struct gsvm_kernel *kernel);

/*
 * Structures that the caller fills: his may be older (shorter; the rest is
 * zero) or newer (longer; what this library does not know must be zero).
 */
int gsvm_copy_in(void *known, size_t known_size, const void *given, size_t given_size);
/* Structures that the caller receives: the size field stays, surplus is zeroed. */
int gsvm_copy_out(void *given, size_t given_size, const void *known, size_t known_size);

#endif
