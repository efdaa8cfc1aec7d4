/* SPDX-License-Identifier: MIT */
/*
 * A bare connection to the server in this process, for messages that no proper
 * client would send. One at a time; for everything else there is client.h.
 */
#ifndef GPU_TESTS_LINK_H
#define GPU_TESTS_LINK_H

#include <pthread.h>

#include "gpu.h"
#include "vfio_proto.h"

/* The GPU is made once; each connection gets a server thread of its own. */
struct link {
	struct gpu *gpu;
	int sock;
	int server_sock;
	int ret;		/* of vfio_serve() */
	pthread_t thread;
};

/* The last reply's body, and the descriptor that came with it (-1: none). */
extern uint8_t answer[VU_MAX_BODY];
extern size_t answer_len;
extern int answer_fd;

void link_open(struct link *l);
void link_ready(struct link *l);	/* and say the version */
int link_close(struct link *l);		/* what vfio_serve() returned */
unsigned int count_fds(void);		/* of this process */

/* @len bytes as they are, with @n descriptors. */
void send_raw(struct link *l, const void *data, size_t len, const int *fds, unsigned int n);
/* A message; its id is 7. */
void send_message(struct link *l, uint16_t command, uint32_t flags, const void *body,
		  size_t len, const int *fds, unsigned int n);
/* 0, the error it says (negative), or -EPIPE: closed. */
int receive_reply(struct link *l, uint16_t command);
/* Both. */
int call_fds(struct link *l, uint16_t command, const void *body, size_t len,
	     const int *fds, unsigned int n);
int call(struct link *l, uint16_t command, const void *body, size_t len);
int say_version(struct link *l, uint16_t major, uint16_t minor, const char *json, size_t len);

#endif
