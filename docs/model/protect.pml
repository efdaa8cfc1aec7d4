/* SPDX-License-Identifier: MIT */
/* mprotect(PROT_READ) */
proctype protect(byte b)
{
	MM_LOCALS;

	mmap_write_lock();
	mn_start(PARENT, b, b, REPLACE);	/* MMU_NOTIFY_PROTECTION_VMA */
	atomic {
		read_only[b] = 1;
		excuse_parked(b);
		pte[PARENT * NB + b].write = 0
	}
	mn_end(PARENT);
	mmap_write_unlock()
}
