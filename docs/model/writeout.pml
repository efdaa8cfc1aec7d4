/* SPDX-License-Identifier: MIT */
/*
 * What reclaim and write-back have in common.
 */
/* Inside an atomic sequence: @mm folio_trylock, with a reference. */
inline isolate(b, f)
{
	if
	:: pte[b].kind == RAM && !fr[pte[b].at].lock ->
		f = pte[b].at;
		fr[f].lock = 1;
		fr[f].ref++
	:: else -> f = NOFRAME
	fi
}

/* Inside an atomic sequence: @mm shrink_folio_list */
inline write_and_put(b, f)
{
	if
	:: fr[f].dirty -> disk[b] = fr[f].data; fr[f].dirty = 0
	:: else
	fi;
	frame_unlock(f);
	frame_put(f)
}
