// SPDX-License-Identifier: MIT
/*
 * DOC: DMA by message
 *
 * Memory without a file behind it (another device's BAR, a ROM) is reached by
 * asking the client. The asking thread sleeps until the message thread has
 * found the reply; so it must not be the message thread itself, and nobody the
 * message thread may wait for may be asleep here. The second is what the gate
 * is for: who is about to wait closes it, and everybody here goes home with
 * -ECANCELED at once. The reply, should it come after all, finds nobody with
 * its number and is dropped; numbers are not used again while one waits.
 */
#include <errno.h>
#include <string.h>

#include "vfio_xfer.h"

enum xfer_state { XFER_WAITING, XFER_DONE };

struct xfer {
	struct xfer *next;
	uint16_t id;
	enum xfer_state state;
	int ret;
	bool write;
	uint64_t addr;
	uint64_t len;
	void *buf;		/* of the asking thread, until it is off the list */
	pthread_cond_t done;
};

void xfers_init(struct xfers *x)
{
	memset(x, 0, sizeof(*x));
	pthread_mutex_init(&x->lock, NULL);
}

void xfers_exit(struct xfers *x)
{
	pthread_mutex_destroy(&x->lock);
}

static void xfer_finish_locked(struct xfer *t, int ret)
{
	t->ret = ret;
	t->state = XFER_DONE;
	pthread_cond_signal(&t->done);
}

static void xfers_cancel_locked(struct xfers *x)
{
	for (struct xfer *t = x->list; t; t = t->next)
		if (t->state == XFER_WAITING)
			xfer_finish_locked(t, -ECANCELED);
}

void xfers_connect(struct xfers *x, struct stream *stream, uint64_t max_data)
{
	pthread_mutex_lock(&x->lock);
	x->stream = stream;
	x->max_data = max_data;
	if (!stream)
		xfers_cancel_locked(x);
	pthread_mutex_unlock(&x->lock);
}

void xfers_gate(struct xfers *x, bool open)
{
	pthread_mutex_lock(&x->lock);
	x->open = open;
	if (!open)
		xfers_cancel_locked(x);
	pthread_mutex_unlock(&x->lock);
}

static bool xfers_id_used_locked(struct xfers *x, uint16_t id)
{
	for (struct xfer *t = x->list; t; t = t->next)
		if (t->id == id)
			return true;
	return false;
}

static void xfers_remove_locked(struct xfers *x, struct xfer *gone)
{
	struct xfer **p;

	for (p = &x->list; *p != gone; p = &(*p)->next)
		;
	*p = gone->next;
}

static int xfer_send(struct stream *stream, struct xfer *t)
{
	struct vu_header header = {
		.id = t->id,
		.command = t->write ? VU_DMA_WRITE : VU_DMA_READ,
		.flags = VU_TYPE_COMMAND,
	};
	struct vu_dma dma = { .addr = t->addr, .count = t->len };

	return stream_send(stream, &header, &dma, sizeof(dma), t->buf, t->write ? t->len : 0, -1);
}

/* One message's worth. */
static int xfer_run(struct xfers *x, struct xfer *t)
{
	struct stream *stream;
	int ret;

	pthread_mutex_lock(&x->lock);
	stream = x->stream;
	if (!stream || !x->open) {
		pthread_mutex_unlock(&x->lock);
		return -ECANCELED;
	}
	if (t->len > x->max_data)
		t->len = x->max_data;
	do {
		t->id = x->next_id++;
	} while (xfers_id_used_locked(x, t->id));
	t->state = XFER_WAITING;
	t->next = x->list;
	x->list = t;
	pthread_mutex_unlock(&x->lock);

	/*
	 * Without the lock: the reply may come, and the gate close, while we
	 * send. The stream itself outlives all of us (vfio_exit()).
	 */
	ret = xfer_send(stream, t);

	pthread_mutex_lock(&x->lock);
	if (ret && t->state == XFER_WAITING)
		xfer_finish_locked(t, ret);
	while (t->state == XFER_WAITING)
		pthread_cond_wait(&t->done, &x->lock);
	xfers_remove_locked(x, t);
	pthread_mutex_unlock(&x->lock);
	return t->ret;
}

int xfers_copy(struct xfers *x, bool write, uint64_t addr, void *buf, size_t len)
{
	struct xfer t = { .write = write };
	int ret = 0;

	pthread_cond_init(&t.done, NULL);
	while (len && !ret) {
		t.addr = addr;
		t.buf = buf;
		t.len = len;
		ret = xfer_run(x, &t);
		addr += t.len;
		buf = (char *)buf + t.len;
		len -= t.len;
	}
	pthread_cond_destroy(&t.done);
	return ret;
}

/* What a reply says about @t; copies the data of a read. */
static int xfer_check_reply(const struct xfer *t, const struct message *m)
{
	/* The count of a write's reply is 4 or 8 bytes long, by whom one asks. */
	size_t need = t->write ? 12 : sizeof(struct vu_dma) + t->len;
	struct vu_dma dma = {0};

	if (m->header.flags & VU_ERROR)
		return -EFAULT;
	if (m->header.command != (t->write ? VU_DMA_WRITE : VU_DMA_READ) || m->len < need)
		return -EPROTO;
	memcpy(&dma, m->body, m->len < sizeof(dma) ? m->len : sizeof(dma));
	if (dma.addr != t->addr || dma.count != t->len)
		return -EPROTO;
	if (!t->write)
		memcpy(t->buf, m->body + sizeof(dma), t->len);
	return 0;
}

void xfers_reply(struct xfers *x, const struct message *m)
{
	pthread_mutex_lock(&x->lock);
	for (struct xfer *t = x->list; t; t = t->next) {
		if (t->id != m->header.id || t->state != XFER_WAITING)
			continue;
		xfer_finish_locked(t, xfer_check_reply(t, m));
		break;
	}
	pthread_mutex_unlock(&x->lock);
}
