/* SPDX-License-Identifier: MIT */
/* The socket as a stream of whole messages with their file descriptors. */
#ifndef GPU_VFIO_STREAM_H
#define GPU_VFIO_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "vfio_proto.h"

struct stream {
	int sock;			/* changes under send_lock; -1: closed */
	int stop;			/* readable: give up; -1: none */
	pthread_mutex_t send_lock;	/* one message at a time on the wire */
};

struct message {
	struct vu_header header;
	uint8_t *body;			/* VU_MAX_BODY bytes */
	size_t len;			/* of the body */
	int fd[VU_MAX_FDS];
	unsigned int fds;
	bool too_many;			/* more descriptors than that came, and were closed */
};

/*
 * Next message, whole. 1: there is one; 0: the peer has closed between two
 * messages; -ECANCELED: stop; -EPROTO: the stream ended inside a message;
 * -EMSGSIZE: it makes no sense any more; other -errno. Whatever is returned, message_close() is due.
 */
int stream_receive(struct stream *s, struct message *m);
/* The descriptors that nobody took (took: set to -1). */
void message_close(struct message *m);

/*
 * Send a header and up to two pieces of body; header->size is set here. @fd
 * (-1: none) stays the caller's. Any thread. -ECANCELED, -EPIPE, -errno.
 */
int stream_send(struct stream *s, struct vu_header *header, const void *a, size_t a_len,
		const void *b, size_t b_len, int fd);

/* End the connection; by the thread that receives. Sending fails from now on. */
void stream_close(struct stream *s);

#endif
