// SPDX-License-Identifier: MIT
/* A bare connection to the server: see link.h. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"
#include "tap.h"
#include "vfio.h"

uint8_t answer[VU_MAX_BODY];
size_t answer_len;
int answer_fd = -1;

static void *serve(void *arg)
{
	struct link *l = arg;

	l->ret = vfio_serve(l->gpu, l->server_sock, -1);
	return NULL;
}

void link_open(struct link *l)
{
	int pair[2];

	tap_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	l->sock = pair[0];
	l->server_sock = pair[1];
	tap_need(!pthread_create(&l->thread, NULL, serve, l), "thread");
}

int link_close(struct link *l)
{
	close(l->sock);
	pthread_join(l->thread, NULL);
	return l->ret;
}

void send_raw(struct link *l, const void *data, size_t len, const int *fds, unsigned int n)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = {0};
	struct iovec iov = { (void *)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	ssize_t done;

	if (n) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	done = sendmsg(l->sock, &mh, MSG_NOSIGNAL);
	while (done > 0 && (size_t)done < len) {
		ssize_t more = send(l->sock, (const char *)data + done, len - done, MSG_NOSIGNAL);

		if (more <= 0)
			break;
		done += more;
	}
}

void send_message(struct link *l, uint16_t command, uint32_t flags, const void *body,
		  size_t len, const int *fds, unsigned int n)
{
	static uint8_t buf[sizeof(struct vu_header) + VU_MAX_BODY];
	struct vu_header h = { 7, command, sizeof(h) + len, flags, 0 };

	memcpy(buf, &h, sizeof(h));
	if (len)
		memcpy(buf + sizeof(h), body, len);
	send_raw(l, buf, sizeof(h) + len, fds, n);
}

/* The next @len bytes; false: closed. Ends the test when nothing comes. */
static bool receive(struct link *l, void *buf, size_t len)
{
	while (len) {
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = { buf, len };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = sizeof(control) };
		struct pollfd pfd = { .fd = l->sock, .events = POLLIN };
		struct cmsghdr *c;
		ssize_t n;

		tap_need(poll(&pfd, 1, 20000) == 1, "the server answers");
		n = recvmsg(l->sock, &mh, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&mh);
		if (c)
			memcpy(&answer_fd, CMSG_DATA(c), sizeof(int));
		buf = (char *)buf + n;
		len -= n;
	}
	return true;
}

/* A reply to @command: 0 or its error, negative; its body in answer. */
int receive_reply(struct link *l, uint16_t command)
{
	struct vu_header h;

	if (answer_fd >= 0)
		close(answer_fd);
	answer_fd = -1;
	answer_len = 0;
	if (!receive(l, &h, sizeof(h)))
		return -EPIPE;
	tap_need(h.id == 7 && h.command == command && h.size >= sizeof(h) &&
		 h.size - sizeof(h) <= sizeof(answer) && (h.flags & VU_TYPE) == VU_TYPE_REPLY,
		 "a reply to command %u", command);
	answer_len = h.size - sizeof(h);
	if (!receive(l, answer, answer_len))
		return -EPIPE;
	if (!(h.flags & VU_ERROR))
		return 0;
	tap_need(!answer_len && h.error > 0 && h.error < 4096, "an error reply is only a header");
	return -(int)h.error;
}

int call_fds(struct link *l, uint16_t command, const void *body, size_t len,
	     const int *fds, unsigned int n)
{
	send_message(l, command, 0, body, len, fds, n);
	return receive_reply(l, command);
}

int call(struct link *l, uint16_t command, const void *body, size_t len)
{
	return call_fds(l, command, body, len, NULL, 0);
}

int say_version(struct link *l, uint16_t major, uint16_t minor, const char *json, size_t len)
{
	uint8_t body[512];
	struct vu_version v = { major, minor };

	memcpy(body, &v, sizeof(v));
	if (len)
		memcpy(body + sizeof(v), json, len);
	return call(l, VU_VERSION, body, sizeof(v) + len);
}

void link_ready(struct link *l)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true}}";

	link_open(l);
	tap_need(!say_version(l, 0, 0, json, sizeof(json)), "version");
}

unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	tap_need(dir, "/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
