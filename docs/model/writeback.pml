/* SPDX-License-Identifier: MIT */
/* Write-back without reclaim: the page becomes clean and read-only. */
proctype writeback(byte b)
{
	MM_LOCALS;
	byte f;

	atomic {
		isolate(b, f);
		laundry[b] = laundry[b] || f != NOFRAME
	}
	if
	:: f != NOFRAME ->
		/* @mm page_vma_mkclean_one */
		mn_start(PARENT, b, b, PROTECT);
		atomic {
			if
			:: MAPS(PARENT, b, f) ->
				fr[f].dirty = fr[f].dirty | pte[b].dirt;
				pte[b].dirt = 0;
				pte[b].write = 0
			:: else
			fi
		}
		mn_end(PARENT);
		atomic {
			write_and_put(b, f);
			laundry[b] = 0
		}
	:: else
	fi
}
