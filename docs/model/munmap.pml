/* SPDX-License-Identifier: MIT */
byte u;	/* scratch of munmap()'s atomic sequences */

/* munmap() of blocks [b0, b1], then, if wanted, mmap() at the same place. */
proctype munmap(byte b0; byte b1; bit again)
{
	MM_LOCALS;

	mmap_write_lock();
	atomic {
		u = b0;
		do
		:: u <= b1 -> vma[u] = 0; excuse_parked(u); u++
		:: else -> break
		od;
		u = 0
	}
	mn_start(PARENT, b0, b1, ZAP);
	atomic {
		u = b0;
		do
		:: u <= b1 -> zap_page(PARENT, u); mixed[u] = 0; u++
		:: else -> break
		od;
		u = 0
	}
	mn_end(PARENT);
	mmap_write_unlock();
	if
	:: again ->
		mmap_write_lock();
		d_step {
			u = b0;
			do
			:: u <= b1 -> vma[u] = 1; read_only[u] = 0; u++
			:: else -> break
			od;
			u = 0
		}
		mmap_write_unlock()
	:: else
	fi
}
