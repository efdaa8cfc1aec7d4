// SPDX-License-Identifier: MIT
/* A GPU program in OpenCL C: arguments of all kinds, local memory, built-ins. */

/* Pointers and words: the hardware loads the registers. */
kernel void plain(global ulong *out, long a, int b, uint c)
{
	size_t i = get_global_id(0);

	out[i] = a + b + c + i * get_global_size(0) + get_num_groups(0);
}

/* Everything else: through a stub, and on the stack. */
kernel void mixed(global double *out, char a, uchar b, short c, ushort d, float e, double f,
		  int g, uint h, long i, ulong j, float k, int l, double m, long n)
{
	double v[] = { a, b, c, d, e, f, g, h, i, j, k, l, m, n };

	for (int at = 0; at < 14; at++)
		out[at] = v[at];
}

/* More floating-point arguments than registers for them. */
kernel void floats(global float *out, float a, float b, float c, float d, float e, float f,
		   float g, float h, float i, float j, int k)
{
	float v[] = { a, b, c, d, e, f, g, h, i, j, k };

	for (int at = 0; at < 11; at++)
		out[at] = v[at];
}

/*
 * One word of local memory written by one work-item and read by the others:
 * wrong as soon as it is taken for private to a work-item.
 */
kernel void share(global uint *out, uint seed)
{
	local uint word, table[32];
	size_t i = get_local_id(0);

	if (i == 0)
		word = seed + (uint)get_group_id(0);
	table[i] = i * i;
	barrier(CLK_LOCAL_MEM_FENCE);
	out[get_global_id(0)] = word + table[get_local_size(0) - 1 - i];
}

kernel void reduce_local(global const uint *in, global uint *out, local uint *sum)
{
	size_t i = get_local_id(0);

	sum[i] = in[get_global_id(0)];
	for (size_t step = get_local_size(0) / 2; step; step /= 2) {
		work_group_barrier(CLK_LOCAL_MEM_FENCE);
		if (i < step)
			sum[i] += sum[i + step];
	}
	if (i == 0)
		out[get_group_id(0)] = sum[0];
}

kernel void atomics_cl(global int *w, global long *l, global uint *u)
{
	local int shared_word;
	int expected, id = get_global_id(0);

	if (get_local_id(0) == 0)
		shared_word = 0;
	barrier(CLK_LOCAL_MEM_FENCE);
	atomic_add(&w[0], id);
	atomic_sub(&w[1], id);
	atomic_inc(&w[2]);
	atomic_dec(&w[3]);
	atomic_min(&w[4], -id);
	atomic_max(&w[5], id);
	atomic_or(&w[6], 1 << id);
	atomic_xor(&w[7], 1 << id);
	atomic_and(&w[8], ~(1 << id));
	atomic_cmpxchg(&w[9], id, id + 1);
	atomic_inc(&shared_word);
	atom_add(&l[0], 1l << 33);
	atomic_min(&u[0], 100u + id);
	atomic_max(&u[1], 0x80000000u + id);
	atomic_fetch_add_explicit((global atomic_int *)&w[10], id, memory_order_relaxed,
				  memory_scope_device);
	atomic_fetch_sub((global atomic_int *)&w[11], 2);
	atomic_fetch_max_explicit((global atomic_long *)&l[1], (long)id << 40, memory_order_acq_rel);
	expected = atomic_load_explicit((global atomic_int *)&w[12], memory_order_acquire);
	while (!atomic_compare_exchange_weak_explicit((global atomic_int *)&w[12], &expected,
						      expected * 2, memory_order_acq_rel,
						      memory_order_relaxed))
		;
	atomic_store_explicit((global atomic_uint *)&u[2 + id], 7u + id, memory_order_release);
	atomic_work_item_fence(CLK_GLOBAL_MEM_FENCE, memory_order_seq_cst, memory_scope_device);
	barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
	if (get_local_id(0) == 0)
		w[13] = shared_word;
}

/* Results with known answers, each as a double. */
kernel void numbers(global double *out, float f, double d, int i, long l, uint u)
{
	int n = 0;
	float4 v = (float4)(f, 2, 3, 4);
	int4 w;

	out[n++] = max(i, 3) + min(i, -100) + clamp(i, -2, 2);
	out[n++] = abs(i) + abs_diff(i, 10);
	out[n++] = clz(u) + popcount(u) + ctz(u);
	out[n++] = rotate(u, 8u);
	out[n++] = mul_hi(l, l) + mad24(3, 4, 5) + mul24(6, 7);
	out[n++] = add_sat((char)100, (char)100) + sub_sat((uchar)3, (uchar)5);
	out[n++] = hadd(7, 10) + rhadd(7, 10);
	out[n++] = fabs(-f) + sqrt(d) + rsqrt(4.0f);
	out[n++] = floor(d) + ceil(d) * 10 + trunc(-d) * 100 + rint(d) * 1000 + round(d) * 10000;
	out[n++] = fma(d, d, -1.0) + mad(f, f, 1.0f);
	out[n++] = fmin(f, 1.0f) + fmax(d, 100.0) + clamp(f, 0.0f, 1.5f) + mix(1.0f, 3.0f, 0.5f);
	out[n++] = copysign(3.0f, -f) + sign(-d) + step(1.0f, f) + smoothstep(0.0f, 4.0f, 2.0f);
	out[n++] = isnan(f) + isinf(d / 0.0) * 2 + isfinite(f) * 4 + signbit(-f) * 8;
	out[n++] = dot(v, v) + length((float2)(3, 4)) + cross((float3)(1, 0, 0), (float3)(0, 1, 0)).z;
	w = convert_int4(v) + (int4)(1, 2, 3, 4);
	out[n++] = w.x + w.y * 10 + w.z * 100 + w.w * 1000;
	out[n++] = (double)convert_int_sat(1e20) + convert_uchar_sat(300) + convert_char_sat(-1000.0f);
	out[n++] = as_int(1.0f) + select(1, 2, 1) + select((int2)(1, 2), (int2)(3, 4), (int2)(-1, 0)).x;
	out[n++] = max(v, 3.0f).x + min((int4)(1, 2, 3, 4), 2).w;
}
