/* SPDX-License-Identifier: MIT */
/* fork(): @mm copy_page_range; then the child lives, with n accesses. */
proctype fork(byte n; byte first)
{
	MM_LOCALS;
	byte b;

	mmap_write_lock();
	mn_start(PARENT, 0, NB - 1, PROTECT);
	atomic {
		do
		:: b < NB ->
			pte[PARENT * NB + b].write = 0;
			pte_set(CHILD, b, pte[PARENT * NB + b].kind, pte[PARENT * NB + b].at, 0,
				pte[PARENT * NB + b].dirt);
			if
			:: pte[b].kind == RAM || pte[b].kind == DEV -> fr[pte[b].at].ref++
			:: else
			fi;
			child_data[b] = now_data[b];
			b++
		:: else -> break
		od;
		b = 0
	}
	mn_end(PARENT);
	mmap_write_unlock();
	run cpu(CHILD, n, first)
}
