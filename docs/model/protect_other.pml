/* SPDX-License-Identifier: MIT */
/* A change of protection of another page of the block. */
proctype protect_other(byte b)
{
	MM_LOCALS;

	mmap_read_lock(PARENT);
	mn_start(PARENT, b, b, PROTECT);
	mixed[b] = 1;
	mn_end(PARENT);
	mmap_read_unlock(PARENT)
}
