/* SPDX-License-Identifier: MIT */
/* The vfio-user server: one client, over a connected UNIX socket. */
#ifndef GPU_VFIO_H
#define GPU_VFIO_H

#include "gpu.h"

int vfio_init(struct gpu *gpu);
void vfio_exit(struct gpu *gpu);

/*
 * Serve the client on @sock, which is closed in the end. The calling thread is
 * the message thread. Returns 0 when the client has closed, -ECANCELED when
 * @stop (-1: none) became readable, -EPROTO when the client went away inside a
 * message, -EMSGSIZE when it sent one whose size cannot be true, or another
 * -errno. Windows and eventfds are gone then, and nothing reaches system
 * memory any more; the rest of the device's state stays, should another client
 * be served.
 */
int vfio_serve(struct gpu *gpu, int sock, int stop);

#endif
