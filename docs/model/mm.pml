/* SPDX-License-Identifier: MIT */
/*
 * The process: CPU page table of the parent, whom the GPUs mirror, and of a
 * forked child; mmap lock; page faults of the kernel.
 *
 * One step is what the kernel does under the page table lock.
 */
mtype:kind = { NONE, RAM, DEV, MIG, SWAP };	/* MIG: migration entry */

typedef cpu_entry {
	mtype:kind kind;
	bit write;
	bit dirt;
	byte at;
};
cpu_entry pte[2 * NB];

bit vma[NB];		/* the parent has a mapping there */
bit read_only[NB];	/* it was made read-only, mprotect() has returned */

/* What the data should be. */
byte now_data[NB];	/* the parent's */
byte child_data[NB];	/* the child's */
byte disk[NB];		/* what is read back when the page was dropped */
bit laundry[NB];	/* the page is locked, to be written out */

#define MAPS(m, b, fr_) \
	((pte[(m) * NB + (b)].kind == RAM || pte[(m) * NB + (b)].kind == DEV) && \
	 pte[(m) * NB + (b)].at == (fr_))

/* How many entries have a 2 MiB page; there is one block then. */
#define MAPCOUNT(fr_)	(MAPS(PARENT, 0, fr_) + MAPS(CHILD, 0, fr_))

/* The same, or it moves just now. */
#define SHARES(m, b, fr_) \
	(pte[(m) * NB + (b)].kind != NONE && pte[(m) * NB + (b)].kind != SWAP && \
	 pte[(m) * NB + (b)].at == (fr_))

/* The parent's mmap_lock; a writer who waits keeps new readers out. */
byte readers;
bit writer, writer_waits;

/* @mm mmap_read_lock */
inline mmap_read_lock(m)
{
	atomic {
		if
		:: m == PARENT && !writer && !writer_waits -> readers++
		:: m != PARENT
		fi
	}
}

/* @mm mmap_read_unlock */
inline mmap_read_unlock(m)
{
	atomic {
		if
		:: m == PARENT -> readers--
		:: else
		fi
	}
}

/* @mm mmap_write_lock */
inline mmap_write_lock()
{
	atomic { !writer && !writer_waits -> writer_waits = 1 }
	atomic { readers == 0 -> writer = 1; writer_waits = 0 }
}

/* @mm mmap_write_unlock */
inline mmap_write_unlock()
{
	writer = 0
}

/* Inside an atomic sequence: page b of m now is in frame f. */
#define pte_set(m, b, k, f, w, d) \
	pte[(m) * NB + (b)].kind = k; \
	pte[(m) * NB + (b)].at = f; \
	pte[(m) * NB + (b)].write = w; \
	pte[(m) * NB + (b)].dirt = d

/* @mm do_wp_page: a write to a page that may be shared. */
inline do_wp_page(m, b)
{
	atomic {
		pf_ = pte[m * NB + b].at;
		if
		:: pte[m * NB + b].kind == RAM && !SHARES(1 - m, b, pf_) ->
			pte[m * NB + b].write = 1
		:: pte[m * NB + b].kind == RAM && SHARES(1 - m, b, pf_) ->
			frame_alloc(nf_, 0, NRAM, 0);
			assert(nf_ != NOFRAME);
			fr[nf_].data = fr[pf_].data;
			fr[pf_].ref++
		:: else	/* changed meanwhile */
		fi
	}
	if
	:: atomic { nf_ == NOFRAME -> pf_ = NOFRAME }
	:: else ->
		mn_start(m, b, b, ZAP);
		atomic {
			/* The entry has to be what it was. */
			if
			:: pte[m * NB + b].kind == RAM && pte[m * NB + b].at == pf_ &&
			   !pte[m * NB + b].write ->
				pte_set(m, b, RAM, nf_, 1, 1);
				frame_put(pf_)
			:: else -> frame_put(nf_)
			fi;
			frame_put(pf_);
			pf_ = NOFRAME;
			nf_ = NOFRAME
		}
		mn_end(m)
	fi
}

/* @mm handle_mm_fault: mmap_lock held for reading. Does one step of the way. */
inline handle_mm_fault(m, b, wr)
{
	if
	/* @mm do_anonymous_page, do_swap_page: what is being written out is waited for */
	:: atomic { pte[m * NB + b].kind == NONE || pte[m * NB + b].kind == SWAP && !laundry[b] ->
		frame_alloc(nf_, 0, NRAM, 0);
		assert(nf_ != NOFRAME);
		/* A new page, or one read in: clean, and writable even for a read. */
		fr[nf_].data = (pte[m * NB + b].kind == SWAP -> disk[b] : 0);
		pte_set(m, b, RAM, nf_, !(m == PARENT && read_only[b]), 0);
		nf_ = NOFRAME }
	:: atomic { pte[m * NB + b].kind == SWAP && laundry[b] -> skip }
		!laundry[b]
	:: atomic { pte[m * NB + b].kind == MIG ->
		pf_ = pte[m * NB + b].at }
		/* @mm migration_entry_wait */
		atomic { pte[m * NB + b].kind != MIG || pte[m * NB + b].at != pf_ -> pf_ = NOFRAME }
#if NVRAM
	:: atomic { pte[m * NB + b].kind == DEV && !fr[pte[m * NB + b].at].lock ->
		/* @mm do_swap_page */
		pf_ = pte[m * NB + b].at;
		fr[pf_].lock = 1;
		fr[pf_].ref++ }
		migrate_to_ram(m, b, pf_);
		atomic { frame_unlock(pf_); frame_put(pf_); pf_ = NOFRAME }
	:: atomic { pte[m * NB + b].kind == DEV && fr[pte[m * NB + b].at].lock ->
		pf_ = pte[m * NB + b].at }
		/*
		 * @mm softleaf_entry_wait_on_locked: for one unlock, without a
		 * reference. The frame may be in use, and locked, again.
		 */
		atomic { !fr[pf_].lock || !MAPS(m, b, pf_) -> pf_ = NOFRAME }
#endif
	:: atomic { pte[m * NB + b].kind == RAM && wr && !pte[m * NB + b].write -> skip }
		!laundry[b];	/* a page's writer waits for its lock */
		do_wp_page(m, b)
	:: atomic { pte[m * NB + b].kind == RAM && (!wr || pte[m * NB + b].write) -> skip }
	fi
}

/* What every process that can end up in an invalidation has. */
#define MM_LOCALS \
	byte k_, fin_, tk_, sq_, zf_, own_; \
	bit zd_, took_; \
	byte pf_ = NOFRAME, nf_ = NOFRAME


/* Inside an atomic sequence: whoever is parked on b, the process did not allow it. */
inline excuse_parked(b)
{
	i_ = 0;
	do
	:: i_ < NC ->
		if
		:: co[i_].parked && co[i_].where == b -> co[i_].excuse = 1
		:: else
		fi;
		i_++
	:: else -> break
	od;
	i_ = 0
}

/* Inside an atomic sequence: @mm zap_pte_range */
inline zap_page(m, b)
{
	if
	:: pte[m * NB + b].kind == RAM || pte[m * NB + b].kind == DEV ->
		f_ = pte[m * NB + b].at;
		pte_set(m, b, NONE, 0, 0, 0);
		frame_put(f_);
		f_ = 0
#ifdef WHOLE
	/* @mm zap_huge_pmd: takes an entry of a page in VRAM for one that maps it. */
	:: pte[m * NB + b].kind == MIG && !IS_RAM(pte[m * NB + b].at) &&
	   !fr[pte[m * NB + b].at].small ->
		f_ = pte[m * NB + b].at;
		pte_set(m, b, NONE, 0, 0, 0);
		frame_put(f_);
		f_ = 0
#endif
	/* A migration entry goes like that; nobody tells who migrates. */
	:: else -> pte_set(m, b, NONE, 0, 0, 0)
	fi;
	if
	:: m == PARENT -> now_data[b] = 0; disk[b] = 0
	:: else -> child_data[b] = 0
	fi
}
