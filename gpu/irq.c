// SPDX-License-Identifier: MIT
/*
 * DOC: MSI-X
 *
 * A vfio-user device does not write messages to memory: the client hands over
 * one eventfd per vector and turns what comes out of it into the guest's
 * message. The vector table in BAR0 is the client's for the same reason; it
 * says with SET_IRQS what of it concerns us.
 *
 * An interrupt is delivered at once when MSI-X is enabled, messages may leave
 * the function, the vector is not masked and has an eventfd. While one of the
 * last three is missing, it stays pending and is delivered (once) when that
 * changes: clients take all eventfds away for a moment when a vector is added.
 * While MSI-X is off, interrupts are dropped, as PCI says.
 *
 * One lock over all of it; nothing below it blocks, so irq_raise() may be
 * called with any other lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "irq.h"

struct irq {
	pthread_mutex_t lock;	/* everything here */
	bool enabled;		/* MSI-X enable */
	bool open;		/* no function mask, bus master on, D0 */
	uint64_t pending;	/* bit per vector */
	uint64_t masked;	/* bit per vector, by the client */
	int fd[GSVM_NUM_VECTORS];
};

int irq_init(struct gpu *gpu)
{
	struct irq *irq = calloc(1, sizeof(*irq));

	if (!irq)
		return -ENOMEM;
	pthread_mutex_init(&irq->lock, NULL);
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++)
		irq->fd[i] = -1;
	gpu->irq = irq;
	return 0;
}

void irq_exit(struct gpu *gpu)
{
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++)
		if (gpu->irq->fd[i] >= 0)
			close(gpu->irq->fd[i]);
	pthread_mutex_destroy(&gpu->irq->lock);
	free(gpu->irq);
	gpu->irq = NULL;
}

/*
 * A full counter means that the client has not looked for 2^64 interrupts:
 * one more says nothing new. A blocking eventfd must not stop us there.
 */
static void irq_send(int fd)
{
	uint64_t one = 1;
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	if (poll(&pfd, 1, 0) == 1 && write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

static void irq_deliver_locked(struct irq *irq)
{
	uint64_t now = irq->pending & ~irq->masked;

	if (!irq->enabled || !irq->open)
		return;
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++) {
		if (!(now >> i & 1) || irq->fd[i] < 0)
			continue;
		irq->pending &= ~(1ull << i);
		irq_send(irq->fd[i]);
	}
}

void irq_raise(struct gpu *gpu, unsigned int vector)
{
	struct irq *irq = gpu->irq;

	pthread_mutex_lock(&irq->lock);
	if (irq->enabled) {
		irq->pending |= 1ull << vector;
		irq_deliver_locked(irq);
	}
	pthread_mutex_unlock(&irq->lock);
}

void irq_reset(struct gpu *gpu)
{
	pthread_mutex_lock(&gpu->irq->lock);
	gpu->irq->pending = 0;
	pthread_mutex_unlock(&gpu->irq->lock);
}

void irq_configure(struct gpu *gpu, bool enabled, bool open)
{
	struct irq *irq = gpu->irq;

	pthread_mutex_lock(&irq->lock);
	irq->enabled = enabled;
	irq->open = open;
	if (!enabled)
		irq->pending = 0;
	irq_deliver_locked(irq);
	pthread_mutex_unlock(&irq->lock);
}

/* Any other file could block us, or be somebody's data. */
static bool irq_is_eventfd(int fd)
{
	char path[40], name[40];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, name, sizeof(name) - 1);
	if (len < 0)
		return true;	/* no /proc: take the client's word */
	name[len] = '\0';
	return !strcmp(name, "anon_inode:[eventfd]");
}

int irq_set_eventfd(struct gpu *gpu, unsigned int vector, int fd)
{
	struct irq *irq = gpu->irq;
	int old;

	if (fd >= 0 && !irq_is_eventfd(fd)) {
		close(fd);
		return -EINVAL;
	}
	pthread_mutex_lock(&irq->lock);
	old = irq->fd[vector];
	irq->fd[vector] = fd;
	irq_deliver_locked(irq);
	pthread_mutex_unlock(&irq->lock);
	if (old >= 0)
		close(old);
	return 0;
}

void irq_set_mask(struct gpu *gpu, unsigned int vector, bool masked)
{
	struct irq *irq = gpu->irq;

	pthread_mutex_lock(&irq->lock);
	if (masked)
		irq->masked |= 1ull << vector;
	else
		irq->masked &= ~(1ull << vector);
	irq_deliver_locked(irq);
	pthread_mutex_unlock(&irq->lock);
}

uint64_t irq_pending(struct gpu *gpu)
{
	uint64_t pending;

	pthread_mutex_lock(&gpu->irq->lock);
	pending = gpu->irq->pending;
	pthread_mutex_unlock(&gpu->irq->lock);
	return pending;
}
