/* SPDX-License-Identifier: MIT */
/* MADV_DONTNEED of block b: mmap_lock for reading only. */
proctype dontneed(byte b)
{
	MM_LOCALS;

	mmap_read_lock(PARENT);
	if
	:: vma[b] ->
		mn_start(PARENT, b, b, ZAP);
		atomic { zap_page(PARENT, b) }
		mn_end(PARENT)
	:: else
	fi;
	mmap_read_unlock(PARENT)
}
