// SPDX-License-Identifier: MIT
/*
 * opencl [FILE]: an OpenCL C kernel draws into a mapped file.
 *
 * No OpenCL run time, no buffers, no mapping calls of a GPU interface: the
 * kernel gets the address that mmap() returned. What it stores there is in the
 * file when it is done, as if the CPU had stored it.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "example.h"

#define WIDTH	384
#define HEIGHT	256
#define LIMIT	64
#define HEADER	"P5 384 256 255\n"

/* The same arithmetic, to check with. */
static unsigned char pixel(int64_t column, int64_t row)
{
	int64_t cx = (column * 3 - 2 * WIDTH) * (1ll << 28) / WIDTH;
	int64_t cy = (row * 2 - HEIGHT) * (1ll << 28) / HEIGHT * 5 / 4;
	int64_t x = 0, y = 0, next;
	uint32_t n;

	for (n = 0; n < LIMIT && x * x + y * y < 4ll << 56; n++) {
		next = ((x * x - y * y) >> 28) + cx;
		y = ((x * y) >> 27) + cy;
		x = next;
	}
	return n == LIMIT ? 0 : 255 - n * 255 / LIMIT;
}

static void draw(struct gpu *gpu, unsigned char *pixels)
{
	struct gsvm_grid grid = { .items = { WIDTH, HEIGHT }, .group = { 64, 1 } };
	const struct gsvm_kernel *kernel;
	struct gsvm_args args = { 0 };
	int ret;

	/* The kernel's parameters, in order. */
	check(gsvm_args_pointer(&args, pixels), "argument");
	check(gsvm_args_uint(&args, WIDTH), "argument");
	check(gsvm_args_uint(&args, HEIGHT), "argument");
	check(gsvm_args_uint(&args, LIMIT), "argument");
	check(gsvm_program_kernel(gpu->program, "mandelbrot", &kernel), "mandelbrot");
	ret = gsvm_queue_dispatch(gpu->queue, kernel, &grid, args.word, NULL, 0);
	if (!ret)
		ret = gsvm_queue_finish(gpu->queue, 120 * 1000000000LL);
	if (ret == -EIO)
		explain(gpu);
	check(ret, "mandelbrot");
}

/* A small picture of the picture. */
static void print_picture(const unsigned char *pixels)
{
	static const char shade[] = "@%#*+=-:. ";
	int row, column;

	for (row = 0; row < HEIGHT; row += 16) {
		printf("    ");
		for (column = 0; column < WIDTH; column += 6)
			putchar(shade[pixels[row * WIDTH + column] * 9 / 255]);
		putchar('\n');
	}
}

/* Read the file back, not the mapping: is everything in it, bit by bit? */
static bool file_is_right(int fd)
{
	static unsigned char file[sizeof(HEADER) - 1 + WIDTH * HEIGHT];
	const unsigned char *pixels = file + strlen(HEADER);
	int row, column;

	if (pread(fd, file, sizeof(file), 0) != (ssize_t)sizeof(file) ||
	    memcmp(file, HEADER, strlen(HEADER)))
		return false;
	for (row = 0; row < HEIGHT; row++) {
		for (column = 0; column < WIDTH; column++) {
			if (pixels[row * WIDTH + column] != pixel(column, row)) {
				fprintf(stderr, "pixel %d, %d: %u instead of %u\n", column, row,
					pixels[row * WIDTH + column], pixel(column, row));
				return false;
			}
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/tmp/mandelbrot.pgm";
	const size_t size = strlen(HEADER) + WIDTH * HEIGHT;
	unsigned char *file;
	struct gpu gpu;
	bool right;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		check(-errno, path);
	file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		check(-errno, path);
	memcpy(file, HEADER, strlen(HEADER));

	printf("An OpenCL C kernel draws into the mapped file %s.\n\n", path);
	open_gpu(&gpu, "opencl.gpu");
	draw(&gpu, file + strlen(HEADER));
	print_picture(file + strlen(HEADER));
	close_gpu(&gpu);
	munmap(file, size);

	right = file_is_right(fd);
	close(fd);
	printf("\nThe file, read back: %s.\n",
	       right ? "every pixel is what the CPU computes" : "WRONG");
	return right ? 0 : 1;
}
