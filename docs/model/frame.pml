/* SPDX-License-Identifier: MIT */
/*
 * Page frames: data, references, page lock, dirty flag, DMA mappings.
 *
 * Data is a set of bits, one per write that was ever made; a write adds its
 * bit. POISON is what is in a frame that is free.
 */
typedef frame {
	byte data;
	byte ref;	/* page tables and others; 0: free */
	bit lock;	/* folio lock */
	bit dirty;	/* folio flag */
	byte dma;	/* IOMMU mappings made for GPU entries */
#ifdef WHOLE
	bit small;	/* was a 2 MiB page, and has been split */
#endif
};
frame fr[NF];

/* @mm folio_alloc: lowest free frame of [lo, hi), or NOFRAME; locked if asked for. */
inline frame_alloc(f, lo, hi, locked)
{
	d_step {
		f = lo;
		do
		:: f < hi && fr[f].ref -> f++
		:: else -> break
		od;
		if
		:: f < hi ->
			fr[f].ref = 1;
			fr[f].lock = locked;
#ifdef WHOLE
			fr[f].small = 0;
#endif
			fr[f].dirty = 0
		:: else -> f = NOFRAME
		fi
	}
}

/* @mm folio_put: inside an atomic sequence. */
inline frame_put(f)
{
	CHECK(freed_use, fr[f].ref);
	fr[f].ref--;
	if
	:: fr[f].ref == 0 ->
		fr[f].data = POISON;
		fr[f].dirty = 0;
		fr[f].lock = 0;
		tlb_check_unreachable(f)
	:: else
	fi
}

/* @mm folio_unlock */
inline frame_unlock(f)
{
	fr[f].lock = 0
}
