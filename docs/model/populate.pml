/* SPDX-License-Identifier: MIT */
/*
 * Populating a block: look at the process, bring in, map, all against the
 * notifier's sequence.
 */
mtype:verdict = { MAPPED, DENIED, AGAIN };

/* @drm gsvm_page_satisfied; GPU 0 alone can use its VRAM. */
#define SATISFIED(g, b, wr) \
	((pte[b].kind == RAM || pte[b].kind == DEV && g == 0) && (!wr || pte[b].write))
/* @drm gsvm_vma_check */
#define ALLOWED(b, wr)	(vma[b] && !(wr && read_only[b]))

#define POPULATE_LOCALS \
	byte try_, round_, sf_ = NOFRAME; \
	bit sw_, ret_; \
	mtype:verdict verdict_ = AGAIN

/* @drm gsvm_populate_look, gsvm_populate_vma, gsvm_fault_in */
inline populate_look(s, k, b, wr)
{
	mmap_read_lock(PARENT);
	do
	:: atomic { !ALLOWED(b, wr) -> verdict_ = DENIED; break }
	/* @mm hmm_range_fault: busy */
	:: atomic { ALLOWED(b, wr) && rd[s].stale -> break }
	:: atomic { ALLOWED(b, wr) && !rd[s].stale && SATISFIED(GPU_OF(k), b, wr) ->
		sf_ = pte[b].at;
		sw_ = pte[b].write;
#ifdef BREAK_MAP_WRITABLE
		sw_ = 1;
#endif
		break }
	:: atomic { ALLOWED(b, wr) && !rd[s].stale && !SATISFIED(GPU_OF(k), b, wr) &&
		round_ < 3 ->	/* GSVM_POPULATE_ROUNDS */
		round_++ }
		handle_mm_fault(PARENT, b, wr)
	:: atomic { ALLOWED(b, wr) && !rd[s].stale && !SATISFIED(GPU_OF(k), b, wr) &&
		round_ == 3 -> break }
	od;
	atomic {
		mmap_read_unlock(PARENT);
		round_ = 0
	}
}

/* @drm gsvm_populate_commit */
inline populate_commit(s, k)
{
#ifdef BREAK_RETRY_UNLOCKED
	atomic {
		ret_ = rd[s].stale
	}
#endif
	atomic {
		!blk[k].lock ->
		blk[k].lock = 1;
#ifndef BREAK_RETRY_UNLOCKED
		ret_ = rd[s].stale
#endif
	}
#ifdef BREAK_NO_RETRY
	ret_ = 0;
#endif
	if
	:: atomic { ret_ -> blk[k].lock = 0; ret_ = 0 }
#ifndef BREAK_MAP_OVER_ZOMBIE
	:: atomic { !ret_ && ent[k].zombie -> blk[k].lock = 0; ret_ = 0 }
		block_settle(k)
	:: !ret_ && !ent[k].zombie ->
#else
	:: !ret_ ->
#endif
		block_map(k, sf_, sw_, ret_);
		if
		:: atomic { ret_ -> blk[k].lock = 0; ret_ = 0 }
			block_settle(k)
		:: atomic { !ret_ -> blk[k].lock = 0; verdict_ = MAPPED }
		fi
	fi;
	atomic { sf_ = NOFRAME; sw_ = 0 }
}

/* @drm gsvm_populate */
inline populate(s, k, b, wr)
{
	do
	:: verdict_ == AGAIN && try_ < TRIES ->
		try_++;
#ifndef BREAK_BEGIN_LATE
		read_begin(s, k);
#else
		rd[s].stale = 0;
#endif
#ifdef BREAK_MIGRATE_MUTEX
		atomic { !mutex -> mutex = 1 }
#endif
#ifdef BREAK_LOCK_ACROSS_FAULT
		atomic { !blk[k].lock -> blk[k].lock = 1 }
#endif
		populate_look(s, k, b, wr);
#ifdef BREAK_LOCK_ACROSS_FAULT
		blk[k].lock = 0;
#endif
#ifdef BREAK_MIGRATE_MUTEX
		mutex = 0;
#endif
#ifdef BREAK_BEGIN_LATE
		read_begin(s, k);
#endif
		if
		:: sf_ != NOFRAME -> populate_commit(s, k)
		:: else
		fi
	:: else -> break
	od;
	atomic {
		try_ = 0;
		rd[s].on = 0;
		rd[s].stale = 0;
		rd[s].asleep = 0;
		rd[s].looks = 0
	}
}
