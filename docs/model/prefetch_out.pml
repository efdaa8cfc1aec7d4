/* SPDX-License-Identifier: MIT */
/* A prefetch to system memory. */
proctype prefetch_out(byte b)
{
	MM_LOCALS;
	MIGRATE_LOCALS;

	mmap_read_lock(PARENT);
	if
	:: vma[b] -> move_out(PARENT, b)
	:: else
	fi;
	mmap_read_unlock(PARENT)
}
