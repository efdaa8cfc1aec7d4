// SPDX-License-Identifier: MIT
/* gsvm-gpu as a process: what a script that starts it relies on. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "tap.h"

static char dir[] = "/tmp/gsvm-process-XXXXXX";
static char path[64], out_path[64];

static int start(const char *const *args)
{
	const char *argv[16] = { getenv("GSVM_GPU") };
	unsigned int n = 1;
	int pid;

	for (; *args; args++)
		argv[n++] = *args;
	pid = fork();
	tap_need(pid >= 0, "fork");
	if (!pid) {
		int out = open(out_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

		dup2(out, 1);
		dup2(out, 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

/* Exit status, or 128 + signal; what it printed is in @text. */
static int finish(int pid, char *text, size_t size)
{
	int status, fd;
	ssize_t n;

	tap_need(waitpid(pid, &status, 0) == pid, "waitpid");
	fd = open(out_path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	tap_need(sock >= 0, "socket");
	strcpy(addr.sun_path, path);
	if (!connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
		return sock;
	close(sock);
	return -1;
}

/* The name appears when it can be connected to, not earlier. */
static void wait_for_name(int pid)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	struct stat st;

	while (stat(path, &st)) {
		tap_need(waitpid(pid, NULL, WNOHANG) == 0, "the GPU started");
		nanosleep(&pause, NULL);
	}
}

static void test_usage(void)
{
	static const struct { const char *args[6]; int status; } wrong[] = {
		{ { NULL }, 2 },
		{ { "--socket", path, "--vram", "lots" }, 2 },
		{ { "--socket", path, "--vram", "0" }, 2 },
		{ { "--socket", path, "--vram", "-64M" }, 2 },
		{ { "--socket", path, "--vram", "64MB" }, 2 },
		{ { "--socket", path, "--vram", "99999999999999G" }, 2 },
		{ { "--socket", path, "--cores", "1K" }, 2 },
		{ { "--socket", path, "--cores" }, 2 },
		{ { "--socket", path, "--bogus" }, 2 },
		{ { "--socket", path, "more" }, 2 },
		{ { "--socket", path, "--vram", "65M" }, 1 },
		{ { "--socket", path, "--vram", "32M" }, 1 },
		{ { "--socket", path, "--vram", "1024G" }, 1 },
		{ { "--socket", path, "--cores", "17" }, 1 },
		{ { "--socket", path, "--harts", "1" }, 1 },
		{ { "--socket", path, "--copy-engines", "5" }, 1 },
		{ { "--socket", "/nonexistent/directory/socket" }, 1 },
		{ { "--socket", path, "--trace", "/nonexistent/directory/trace" }, 1 },
	};
	char text[4096];

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int status = finish(start(wrong[i].args), text, sizeof(text));

		tap_ok(status == wrong[i].status && count_lines(text) == 1 &&
		       strstr(text, "gsvm-gpu"), "bad arguments %u: status %d, a line", i, status);
	}
	const char *help[] = { "--help", NULL }, *version[] = { "--version", NULL };
	tap_ok(finish(start(help), text, sizeof(text)) == 0 && strstr(text, "--socket") &&
	       strstr(text, "--stats"), "--help");
	tap_ok(finish(start(version), text, sizeof(text)) == 0 && !strncmp(text, "gsvm-gpu ", 9),
	       "--version");
}

static void test_life(void)
{
	const char *args[] = { "--socket", path, "--vram", "64M", "--stats", NULL };
	struct pollfd pfd = { .events = POLLIN };
	char text[4096], byte;
	struct stat st;
	int pid, sock;

	pid = start(args);
	wait_for_name(pid);
	tap_ok(!stat(path, &st) && (st.st_mode & 0777) == 0600, "the socket is its owner's");
	sock = dial();
	tap_ok(sock >= 0, "connects as soon as the name is there");
	while (!stat(path, &st))
		;
	tap_ok(dial() < 0, "a second client finds nothing to connect to");
	close(sock);
	tap_eq(finish(pid, text, sizeof(text)), 0, "ends well with its client");
	tap_ok(count_lines(text) == GSVM_NUM_STATS && strstr(text, "violations"), "--stats");

	pid = start(args);
	wait_for_name(pid);
	kill(pid, SIGTERM);
	tap_eq(finish(pid, text, sizeof(text)), 0, "SIGTERM while waiting for a client");
	tap_ok(stat(path, &st) && errno == ENOENT, "the socket is removed");

	pid = start(args);
	wait_for_name(pid);
	sock = dial();
	kill(pid, SIGTERM);
	pfd.fd = sock;
	tap_ok(poll(&pfd, 1, CLIENT_TIMEOUT_MS) == 1 && read(sock, &byte, 1) <= 0,
	       "SIGTERM closes the connection");
	close(sock);
	tap_eq(finish(pid, text, sizeof(text)), 0, "SIGTERM with a client");

	pid = start(args);
	wait_for_name(pid);
	sock = dial();
	tap_need(write(sock, "abc", 3) == 3, "write");
	close(sock);
	tap_eq(finish(pid, text, sizeof(text)), 1, "a client that goes inside a message");
	tap_ok(strstr(text, "gsvm-gpu: ") != NULL, "is told");
}

static void test_names(void)
{
	const char *args[] = { "--socket", path, "--vram", "64M", NULL };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock, pid;
	char text[4096];

	/* Left over by somebody who was killed. */
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	tap_need(sock >= 0 && !bind(sock, (struct sockaddr *)&addr, sizeof(addr)), "bind");
	close(sock);
	pid = start(args);
	while ((sock = dial()) < 0)
		tap_need(waitpid(pid, NULL, WNOHANG) == 0, "the GPU started");
	tap_ok(true, "a stale socket is replaced");
	close(sock);
	tap_eq(finish(pid, text, sizeof(text)), 0, "and works");

	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	tap_need(!bind(sock, (struct sockaddr *)&addr, sizeof(addr)) && !listen(sock, 5), "listen");
	tap_eq(finish(start(args), text, sizeof(text)), 1, "a socket in use is left alone");
	close(sock);
	unlink(path);
	sock = open(path, O_CREAT | O_WRONLY, 0600);
	close(sock);
	tap_eq(finish(start(args), text, sizeof(text)), 1, "a file of that name too");
	unlink(path);
}

static void test_client(void)
{
	static const char *const args[] = { "--vram", "128M", "--cores", "1", "--check", NULL };
	struct client *c = client_spawn(args);

	client_setup(c);
	tap_eq(client_read32(c, GSVM_REG_ID), GSVM_ID_MAGIC, "a whole client on a process");
	tap_eq(client_read64(c, GSVM_REG_VRAM_SIZE), 128 << 20, "--vram");
	tap_eq(client_read32(c, GSVM_REG_NUM_CORES), 1, "--cores");
	client_reset(c);
	tap_eq(client_stop(c), 0, "ends with it");
}

int main(void)
{
	if (!getenv("GSVM_GPU")) {
		tap_skip("GSVM_GPU is not set", "gsvm-gpu as a process");
		return tap_done();
	}
	tap_need(mkdtemp(dir), "mkdtemp");
	snprintf(path, sizeof(path), "%s/gpu", dir);
	snprintf(out_path, sizeof(out_path), "%s/out", dir);
	test_usage();
	test_life();
	test_names();
	test_client();
	unlink(out_path);
	rmdir(dir);
	return tap_done();
}
