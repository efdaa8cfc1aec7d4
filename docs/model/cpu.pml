/* SPDX-License-Identifier: MIT */
/*
 * Threads: accesses of the CPU.
 */
#define ACCESSIBLE(m, b, wr) \
	(pte[m * NB + b].kind == RAM && (!wr || pte[m * NB + b].write))
#define FORBIDDEN(m, b, wr) \
	(m == PARENT && (!vma[b] || wr && read_only[b]))

/* n accesses of a thread of m; writes leave the bits from `first` on. */
proctype cpu(byte m; byte n; byte first)
{
	MM_LOCALS;
	MIGRATE_LOCALS;
	byte b;
	bit wr;

	do
	:: n ->
		CPU_PROGRAM(m, n, b, wr);
		do
		/* SIGSEGV */
		:: atomic { FORBIDDEN(m, b, wr) -> break }
		:: atomic { !FORBIDDEN(m, b, wr) && ACCESSIBLE(m, b, wr) ->
			f_ = pte[m * NB + b].at;
			if
			:: m == PARENT -> CHECK(lost_update, fr[f_].data == now_data[b])
			:: else -> CHECK(lost_update, fr[f_].data == child_data[b])
			fi;
			if
			:: wr ->
				fr[f_].data = fr[f_].data | (1 << first);
				pte[m * NB + b].dirt = 1;
				if
				:: m == PARENT -> now_data[b] = now_data[b] | (1 << first)
				:: else -> child_data[b] = child_data[b] | (1 << first)
				fi
			:: else
			fi;
			f_ = 0;
			break }
		:: atomic { !FORBIDDEN(m, b, wr) && !ACCESSIBLE(m, b, wr) -> skip }
			mmap_read_lock(m);
			if
			:: FORBIDDEN(m, b, wr)
			:: else -> handle_mm_fault(m, b, wr)
			fi;
			mmap_read_unlock(m)
		od;
progress:	first++;
		n--
	:: else -> break
	od
}
