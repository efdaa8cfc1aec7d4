// SPDX-License-Identifier: MIT
/*
 * The GPU's part of opencl: the Mandelbrot set, one work-item per pixel, in
 * fixed point with 28 bits of fraction, so that the CPU can check every bit.
 */
kernel void mandelbrot(global uchar *pixels, uint width, uint height, uint limit)
{
	uint column = get_global_id(0), row = get_global_id(1);
	long cx = ((long)column * 3 - 2 * (long)width) * (1l << 28) / (long)width;
	long cy = ((long)row * 2 - (long)height) * (1l << 28) / (long)height * 5 / 4;
	long x = 0, y = 0, next;
	uint n;

	for (n = 0; n < limit && x * x + y * y < 4l << 56; n++) {
		next = ((x * x - y * y) >> 28) + cx;
		y = ((x * y) >> 27) + cy;
		x = next;
	}
	pixels[row * width + column] = n == limit ? 0 : 255 - n * 255 / limit;
}
