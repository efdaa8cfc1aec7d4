// SPDX-License-Identifier: MIT
/*
 * DOC: The socket
 *
 * Messages come whole or not at all to those above: this file deals with reads
 * that end anywhere, descriptors that arrive with any part of a message, a peer
 * that goes away inside one, and a peer that does not read. Nothing blocks for
 * good: every wait also watches the descriptor that says stop.
 *
 * A message whose size cannot be true ends the connection: where the next one
 * would begin is not known.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vfio_stream.h"

/* The kernel passes at most this many at once (SCM_MAX_FD): none is cut off. */
#define MAX_ANCILLARY	253

/* Until the socket is ready for @events; 0, -ECANCELED. */
static int stream_wait(struct stream *s, short events)
{
	struct pollfd pfd[2] = {
		{ .fd = s->sock, .events = events },
		{ .fd = s->stop, .events = POLLIN },
	};

	while (poll(pfd, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return s->stop >= 0 && pfd[1].revents ? -ECANCELED : 0;
}

static void message_add_fd(struct message *m, int fd)
{
	if (m->fds < VU_MAX_FDS) {
		m->fd[m->fds++] = fd;
	} else {
		m->too_many = true;
		close(fd);
	}
}

static void message_take_fds(struct message *m, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			message_add_fd(m, fd);
		}
	}
	if (mh->msg_flags & MSG_CTRUNC)
		m->too_many = true;
}

void message_close(struct message *m)
{
	for (unsigned int i = 0; i < m->fds; i++)
		if (m->fd[i] >= 0)
			close(m->fd[i]);
	m->fds = 0;
}

/* Exactly @len bytes. 1; 0: closed before the first; -errno. */
static int stream_read(struct stream *s, struct message *m, void *buf, size_t len)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MAX_ANCILLARY * sizeof(int))];
	} control;
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr mh = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = &control, .msg_controllen = sizeof(control),
		};
		ssize_t n;
		int ret = stream_wait(s, POLLIN);

		if (ret)
			return ret;
		n = recvmsg(s->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0 && errno != ECONNRESET)
			return -errno;
		if (n > 0)
			message_take_fds(m, &mh);
		if (n <= 0)
			return done ? -EPROTO : 0;
		done += n;
	}
	return 1;
}

int stream_receive(struct stream *s, struct message *m)
{
	int ret;

	m->fds = 0;
	m->too_many = false;
	m->len = 0;
	ret = stream_read(s, m, &m->header, sizeof(m->header));
	if (ret <= 0)
		return ret;
	if (m->header.size < sizeof(m->header) ||
	    m->header.size - sizeof(m->header) > VU_MAX_BODY)
		return -EMSGSIZE;
	m->len = m->header.size - sizeof(m->header);
	if (!m->len)
		return 1;
	ret = stream_read(s, m, m->body, m->len);
	return ret ? ret : -EPROTO;
}

/* Drop the first @n bytes of @mh's pieces. */
static void advance(struct msghdr *mh, size_t n)
{
	while (mh->msg_iovlen && n >= mh->msg_iov->iov_len) {
		n -= mh->msg_iov->iov_len;
		mh->msg_iov++;
		mh->msg_iovlen--;
	}
	if (mh->msg_iovlen) {
		mh->msg_iov->iov_base = (char *)mh->msg_iov->iov_base + n;
		mh->msg_iov->iov_len -= n;
	}
}

static int stream_write_locked(struct stream *s, struct msghdr *mh)
{
	while (mh->msg_iovlen) {
		ssize_t n = sendmsg(s->sock, mh, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			int ret = stream_wait(s, POLLOUT);

			if (ret)
				return ret;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (n > 0) {
			/* The descriptors went with the first byte. */
			mh->msg_control = NULL;
			mh->msg_controllen = 0;
			advance(mh, n);
		}
	}
	return 0;
}

void stream_close(struct stream *s)
{
	/* Wakes whoever waits to send, so that the lock is free soon. */
	shutdown(s->sock, SHUT_RDWR);
	pthread_mutex_lock(&s->send_lock);
	close(s->sock);
	s->sock = -1;
	pthread_mutex_unlock(&s->send_lock);
}

int stream_send(struct stream *s, struct vu_header *header, const void *a, size_t a_len,
		const void *b, size_t b_len, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[3] = {
		{ header, sizeof(*header) }, { (void *)a, a_len }, { (void *)b, b_len },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 3 };
	int ret;

	header->size = sizeof(*header) + a_len + b_len;
	if (fd >= 0) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	pthread_mutex_lock(&s->send_lock);
	ret = s->sock < 0 ? -EPIPE : stream_write_locked(s, &mh);
	pthread_mutex_unlock(&s->send_lock);
	return ret;
}
