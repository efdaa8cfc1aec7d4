/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user client for tests: drives a whole GPU without a VM.
 *
 *	struct client *c = client_start(NULL);		// GPU in this process
 *	uint64_t ring = client_alloc(c, 4096);		// guest memory, by bus address
 *	struct gsvm_cmd *cmd = client_ptr(c, ring);
 *
 *	client_write64(c, GSVM_REG_CMD_BASE, ring);
 *	...
 *	client_enable(c);
 *	cmd[0] = (struct gsvm_cmd){ .op = GSVM_CMD_NOP | GSVM_CMD_IRQ };
 *	client_write32(c, GSVM_REG_CMD_TAIL, 1);
 *	tap_ok(client_wait_irq(c, GSVM_VEC_CMD), "the command raised its interrupt");
 *	client_stop(c);
 *
 * After client_start() the device is as a driver finds it after pci_set_master()
 * and pci_alloc_irq_vectors(): reset, memory space and bus master on, MSI-X on,
 * one eventfd per vector, c->mem mapped for DMA at CLIENT_BUS. What the test
 * does wrong, or waits for longer than CLIENT_TIMEOUT_MS, ends it ("Bail out!").
 * Calls may come from several threads.
 */
#ifndef GPU_TESTS_CLIENT_H
#define GPU_TESTS_CLIENT_H

#include <pthread.h>

#include "gpu.h"
#include "vfio_proto.h"

#define CLIENT_BUS		0x100000000ull	/* bus address of c->mem */
#define CLIENT_MEM		(64ull << 20)
#define CLIENT_TIMEOUT_MS	20000

struct client {
	struct gpu *gpu;	/* in this process; NULL: gsvm-gpu as a process */
	uint8_t *mem;		/* guest memory */
	int mem_fd;
	uint8_t *vram;		/* BAR2 as the client maps it */
	uint64_t vram_size;
	int irq[GSVM_NUM_VECTORS];

	/* client.c's */
	int sock;
	int gpu_ret;			/* of vfio_serve() */
	int pid;
	char dir[32];			/* of the socket, with a process */
	pthread_t server, reader;
	pthread_mutex_t call_lock;	/* one call at a time */
	pthread_mutex_t lock;		/* the rest */
	pthread_cond_t replied;
	struct client_reply *waiting;
	uint16_t next_id;
	uint64_t next_alloc;
	bool closed;			/* the server has gone */
	bool refuse_dma;		/* answer DMA requests with an error */
	bool ignore_dma;		/* and not at all */
	unsigned int dma_requests;	/* seen so far */
};

/* In this process. @cfg NULL: 64 MiB of VRAM, the defaults otherwise. */
struct client *client_start(const struct gpu_config *cfg);
/* $GSVM_GPU as a process; @args: more arguments, NULL-terminated, or NULL. */
struct client *client_spawn(const char *const *args);
/* Only connected: no version said, nothing mapped. */
struct client *client_connect(const struct gpu_config *cfg);
void client_setup(struct client *c);	/* what client_start() adds to that */
/* Close and wait for the GPU; the return value of vfio_serve(), or the exit status. */
int client_stop(struct client *c);

/* Guest memory, zeroed, aligned to 4 KiB (or to its size, when a larger power of two). */
uint64_t client_alloc(struct client *c, uint64_t size);
void *client_ptr(struct client *c, uint64_t bus);

uint32_t client_read32(struct client *c, uint64_t reg);
uint64_t client_read64(struct client *c, uint64_t reg);
void client_write32(struct client *c, uint64_t reg, uint32_t value);
void client_write64(struct client *c, uint64_t reg, uint64_t value);
void client_doorbell(struct client *c, uint32_t asid, uint32_t slot, uint64_t value);
void client_config_read(struct client *c, uint32_t offset, void *buf, uint32_t len);
void client_config_write(struct client *c, uint32_t offset, uint32_t value, uint32_t len);

void client_enable(struct client *c);		/* and wait for STATUS */
void client_disable(struct client *c);
void client_reset(struct client *c);		/* CONTROL.RESET, and wait */
void client_wait_idle(struct client *c);	/* while STATUS.RESETTING */
void client_wait_status(struct client *c, uint32_t mask, uint32_t want);

/* Interrupts: wait for one (true) and take all there are; or just take them. */
bool client_wait_irq(struct client *c, unsigned int vector);
uint64_t client_take_irqs(struct client *c, unsigned int vector);
/* Until the GPU has written @want to memory. False: timeout. */
bool client_wait_u32(const void *p, uint32_t want);
bool client_wait_u64(const void *p, uint64_t want);

/* DMA windows: 0 or the error that the server answered (negative). */
int client_map(struct client *c, uint64_t bus, uint64_t size, uint32_t flags, int fd,
	       uint64_t offset);
int client_unmap(struct client *c, uint64_t bus, uint64_t size);

/*
 * Any command. The reply's body goes to @reply, its length to *@reply_len and
 * descriptors in it to @reply_fd (each may be NULL). 0, or the reply's error;
 * -EPIPE: the server has gone.
 */
int client_call(struct client *c, uint16_t command, const void *body, size_t len,
		const int *fds, unsigned int num_fds, void *reply, size_t *reply_len,
		int *reply_fd);
/* The same in pieces: send only (flags as on the wire), no reply is awaited. */
void client_send(struct client *c, uint16_t command, uint32_t flags, const void *body,
		 size_t len, const int *fds, unsigned int num_fds);

#endif
