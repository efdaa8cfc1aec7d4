/* SPDX-License-Identifier: MIT */
/*
 * Reclaim of block b's page: unmapped, written back only if dirty, freed.
 * A clean page has a copy that is as good, disk[]: its swap slot, its file, or,
 * after MADV_FREE, nothing.
 */

proctype reclaim(byte b)
{
	MM_LOCALS;
	byte f, m;

	atomic {
		isolate(b, f);
		laundry[b] = laundry[b] || f != NOFRAME
	}
	if
	:: f != NOFRAME ->
		do
		:: m < 2 ->
			if
			:: MAPS(m, b, f) ->
				/* @mm try_to_unmap_one */
				mn_start(m, b, b, ZAP);
				atomic {
					if
					:: MAPS(m, b, f) ->
						fr[f].dirty = fr[f].dirty | pte[m * NB + b].dirt;
						pte_set(m, b, SWAP, 0, 0, 0);
						frame_put(f)
					:: else
					fi
				}
				mn_end(m)
			:: else
			fi;
			m++
		:: else -> break
		od;
		atomic {
			write_and_put(b, f);
			laundry[b] = 0
		}
	:: else
	fi
}
