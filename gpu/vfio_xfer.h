/* SPDX-License-Identifier: MIT */
/* DMA by message: requests of ours to the client, and their replies. */
#ifndef GPU_VFIO_XFER_H
#define GPU_VFIO_XFER_H

#include "vfio_stream.h"

struct xfer;

struct xfers {
	pthread_mutex_t lock;	/* everything here, and every xfer on the list */
	struct xfer *list;	/* waiting for a reply */
	struct stream *stream;	/* NULL: no client */
	uint64_t max_data;	/* bytes per message, the smaller of the two sides' */
	uint16_t next_id;
	bool open;		/* not gated by dma.c */
};

void xfers_init(struct xfers *x);
void xfers_exit(struct xfers *x);
/* The client is there (@stream) or gone (NULL: all fail). */
void xfers_connect(struct xfers *x, struct stream *stream, uint64_t max_data);
void xfers_gate(struct xfers *x, bool open);

/* 0, -EFAULT (the client says no), -ECANCELED (gated, or no client), -errno. */
int xfers_copy(struct xfers *x, bool write, uint64_t addr, void *buf, size_t len);

/* A reply has come; message thread. An unknown one is dropped. */
void xfers_reply(struct xfers *x, const struct message *m);

#endif
