/* SPDX-License-Identifier: MIT */
/* A change of protection that takes the GPU's entry and changes nothing else. */
proctype disturb(byte b)
{
	MM_LOCALS;

	mmap_read_lock(PARENT);
	mn_start(PARENT, b, b, REPLACE);	/* MMU_NOTIFY_PROTECTION_VMA */
	mn_end(PARENT);
	mmap_read_unlock(PARENT)
}
