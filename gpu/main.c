// SPDX-License-Identifier: MIT
/*
 * DOC: gsvm-gpu
 *
 * Serves one GPU to one client: listens, accepts once, takes the socket away,
 * and ends with the client. Exit status 0: the client closed, or a signal
 * (TERM, INT, HUP) asked us to end; 1: something went wrong, said in one line
 * on standard error; 2: usage.
 *
 * The socket appears under its name when it can be connected to, not earlier,
 * so that a script may wait for the name.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gpu.h"
#include "reset.h"
#include "vfio.h"

#define VERSION		"1.0"

struct options {
	const char *socket;
	struct gpu_config cfg;
	bool stats;
};

static const char help[] =
"usage: gsvm-gpu --socket PATH [OPTION]...\n"
"Serve a gsvm GPU to one vfio-user client, for example QEMU's vfio-user-pci.\n"
"\n"
"  --socket PATH       UNIX socket to listen on; removed when the client is there\n"
"  --vram SIZE         video memory, a power of two from 64M (default 256M)\n"
"  --cores N           compute cores, a thread each, 1 to 16 (default: CPUs, up to 4)\n"
"  --harts N           work-items in flight, 1024 to 65536 (default 8192)\n"
"  --copy-engines N    1 to 4 (default 2)\n"
"  --check             prove every use of a TLB entry (slow)\n"
"  --trace FILE        write what happens to FILE\n"
"  --stats             print statistics over all resets at the end\n"
"  --help, --version\n"
"\n"
"SIZE may end in K, M or G. Exit status: 0 when the client has closed or on\n"
"SIGTERM, 1 on errors, 2 on wrong usage.\n";

enum { OPT_SOCKET = 256, OPT_VRAM, OPT_CORES, OPT_HARTS, OPT_COPY, OPT_CHECK, OPT_TRACE,
       OPT_STATS, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "vram", required_argument, NULL, OPT_VRAM },
	{ "cores", required_argument, NULL, OPT_CORES },
	{ "harts", required_argument, NULL, OPT_HARTS },
	{ "copy-engines", required_argument, NULL, OPT_COPY },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "stats", no_argument, NULL, OPT_STATS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char * const stat_names[GSVM_NUM_STATS] = {
	[GSVM_STAT_INSNS] = "instructions",
	[GSVM_STAT_PACKETS] = "packets",
	[GSVM_STAT_WORK_ITEMS] = "work-items",
	[GSVM_STAT_TLB_MISSES] = "tlb-misses",
	[GSVM_STAT_FAULTS] = "faults",
	[GSVM_STAT_FAULTS_MERGED] = "faults-merged",
	[GSVM_STAT_FAULT_NS] = "fault-ns",
	[GSVM_STAT_FAULT_FULL] = "faults-held-back",
	[GSVM_STAT_INVALS] = "invalidations",
	[GSVM_STAT_INVAL_NS] = "invalidation-ns",
	[GSVM_STAT_STALE_USES] = "stale-uses",
	[GSVM_STAT_VIOLATIONS] = "violations",
	[GSVM_STAT_COPY_BYTES] = "copy-bytes",
	[GSVM_STAT_BAD_DOORBELLS] = "bad-doorbells",
	[GSVM_STAT_FAULTS_DEFERRED] = "faults-deferred",
};

static void usage(const char *what, const char *value)
{
	fprintf(stderr, "gsvm-gpu: %s%s (see gsvm-gpu --help)\n", what, value);
	exit(2);
}

/* A positive number, with a suffix when @suffix. */
static uint64_t parse_number(const char *text, bool suffix)
{
	unsigned int shift = 0;
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		usage("not a number: ", text);
	if (suffix && *end) {
		static const char suffixes[] = "kKmMgG";
		const char *at = strchr(suffixes, *end);

		if (at) {
			shift = 10 * (1 + (at - suffixes) / 2);
			end++;
		}
	}
	if (*end || !value || value << shift >> shift != value)
		usage("not a usable number: ", text);
	return value << shift;
}

static unsigned int parse_count(const char *text)
{
	uint64_t value = parse_number(text, false);

	if (value > 1u << 20)
		usage("too large: ", text);
	return value;
}

static void parse_options(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_SOCKET:
			o->socket = optarg;
			break;
		case OPT_VRAM:
			o->cfg.vram_size = parse_number(optarg, true);
			break;
		case OPT_CORES:
			o->cfg.num_cores = parse_count(optarg);
			break;
		case OPT_HARTS:
			o->cfg.max_harts = parse_count(optarg);
			break;
		case OPT_COPY:
			o->cfg.num_copy = parse_count(optarg);
			break;
		case OPT_CHECK:
			o->cfg.check = true;
			break;
		case OPT_TRACE:
			o->cfg.trace_path = optarg;
			break;
		case OPT_STATS:
			o->stats = true;
			break;
		case OPT_HELP:
			fputs(help, stdout);
			exit(0);
		case OPT_VERSION:
			puts("gsvm-gpu " VERSION);
			exit(0);
		default:
			exit(2);	/* getopt has said what */
		}
	}
	if (optind < argc)
		usage("unexpected argument: ", argv[optind]);
	if (!o->socket)
		usage("--socket is missing", "");
}

/* A socket of that name that nobody listens on is left over: remove it. */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int probe, ret;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	ret = connect(probe, (const struct sockaddr *)addr, sizeof(*addr));
	close(probe);
	if (!ret)
		return -EADDRINUSE;
	return unlink(addr->sun_path) && errno != ENOENT ? -errno : 0;
}

static int bind_and_listen(int sock, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX }, temp = addr;
	mode_t mask;
	int ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (snprintf(temp.sun_path, sizeof(temp.sun_path), "%s.%u", path,
		     (unsigned int)getpid()) >= (int)sizeof(temp.sun_path))
		return -ENAMETOOLONG;
	ret = remove_stale(&addr);
	if (ret)
		return ret;
	mask = umask(0177);	/* who can connect owns the GPU */
	ret = bind(sock, (struct sockaddr *)&temp, sizeof(temp));
	umask(mask);
	if (ret)
		return -errno;
	if (listen(sock, 1) || rename(temp.sun_path, path)) {
		ret = -errno;
		unlink(temp.sun_path);
		return ret;
	}
	return 0;
}

/* The client's connection; -ECANCELED: a signal came first. */
static int wait_for_client(const char *path, int stop)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd pfd[2];
	int ret;

	if (sock < 0)
		return -errno;
	ret = bind_and_listen(sock, path);
	if (ret) {
		close(sock);
		return ret;
	}
	pfd[0] = (struct pollfd){ .fd = sock, .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = stop, .events = POLLIN };
	do {
		ret = poll(pfd, 2, -1) < 0 ? -errno : 0;
		if (!ret && pfd[1].revents)
			ret = -ECANCELED;
		if (!ret) {
			ret = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
			if (ret < 0)
				ret = -errno;
		}
	} while (ret == -EINTR || ret == -EAGAIN || ret == -ECONNABORTED);
	unlink(path);
	close(sock);
	return ret;
}

static const char *describe(int error)
{
	switch (error) {
	case -EPROTO:
		return "went away inside a message";
	case -EMSGSIZE:
		return "sent a message of impossible size";
	default:
		return strerror(-error);
	}
}

/* TERM, INT and HUP as a descriptor, before any thread is started. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void print_stats(struct gpu *gpu)
{
	for (unsigned int i = 0; i < GSVM_NUM_STATS; i++)
		printf("%-17s %llu\n", stat_names[i],
		       (unsigned long long)(gpu->stat[i] + gpu->stat_before[i]));
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct gpu *gpu;
	int stop, sock, ret;

	parse_options(argc, argv, &o);
	stop = block_signals();
	if (stop < 0) {
		perror("gsvm-gpu: signalfd");
		return 1;
	}
	ret = gpu_create(&o.cfg, &gpu);
	if (ret)
		return 1;
	sock = wait_for_client(o.socket, stop);
	ret = sock;
	if (sock >= 0) {
		ret = vfio_serve(gpu, sock, stop);
		if (ret && ret != -ECANCELED)
			fprintf(stderr, "gsvm-gpu: the client %s\n", describe(ret));
	} else if (sock != -ECANCELED) {
		fprintf(stderr, "gsvm-gpu: %s: %s\n", o.socket, strerror(-sock));
	}
	reset_wait(gpu);
	if (o.stats)
		print_stats(gpu);
	gpu_destroy(gpu);
	return ret && ret != -ECANCELED;
}
