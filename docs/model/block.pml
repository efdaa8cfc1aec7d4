/* SPDX-License-Identifier: MIT */
/*
 * A block: its lock, its entry, what an invalidation does to them.
 *
 * The page's entry and the block's leaf are one here. That it is a 2 MiB leaf
 * is a flag: such a leaf cannot stay when the CPU's entries have become unequal
 * (mixed).
 */
#define NEED_UNMAP(f)	IS_RAM(f)	/* dma_need_unmap(): assume the harder case */

bit mixed[NB];		/* the rights of the block's CPU entries are not equal */

/* @drm gsvm_block_mark_dirty */
inline block_mark_dirty(f)
{
	fr[f].dirty = 1
}

/*
 * Inside an atomic sequence, block locked: take the entry, or the right to
 * write, and with it the final word on D.
 */
inline block_take(k, event)
{
	if
	/* @drm gsvm_pte_zap */
	:: event != PROTECT && ent[k].valid ->
		took_ = 1;
#ifdef BREAK_DIRTY_RACE
		/* Read earlier, not exchanged; see invalidate_start(). */
		zd_ = zd_ && ent[k].written;
#else
		zd_ = ent[k].written;
#endif
		zf_ = ent[k].at;
		ent[k].valid = 0;
		ent[k].write = 0;
		ent[k].written = 0;
		ent[k].huge = 0;
#ifdef BREAK_UNMAP_EARLY
		fr[zf_].dma = fr[zf_].dma - NEED_UNMAP(zf_);
		ent[k].at = 0
#else
		ent[k].zombie = NEED_UNMAP(zf_);
		ent[k].at = (NEED_UNMAP(zf_) -> zf_ : 0)
#endif
	/* @drm gsvm_pte_write_protect */
#ifdef BREAK_PROTECT_KEEPS_VRAM
	:: event == PROTECT && ent[k].valid && ent[k].write && IS_RAM(ent[k].at) ->
#else
	:: event == PROTECT && ent[k].valid && ent[k].write ->
#endif
#ifndef BREAK_PROTECT_NO_FLUSH
		took_ = 1;
#endif
#ifndef BREAK_PROTECT_DROPS_DIRTY
		zd_ = ent[k].written;
#endif
		zf_ = ent[k].at;
		ent[k].write = 0;
		ent[k].written = 0
	:: else
	fi
}

/* Inside an atomic sequence, block locked: what follows from it. */
inline block_account(k)
{
	if
	:: took_ ->
#if !defined(BREAK_NO_DIRTY) && !defined(BREAK_DIRTY_LATE)
		if
#ifdef BREAK_NO_DIRTY_VRAM
		:: zd_ && IS_RAM(zf_) -> block_mark_dirty(zf_)
#else
		:: zd_ -> block_mark_dirty(zf_)
#endif
		:: else
		fi;
#endif
#ifndef BREAK_FLUSH_FIRST
		tlb_add(k);
#endif
		took_ = 0
	:: else
	fi;
#ifndef BREAK_DIRTY_LATE
	zd_ = 0;
	zf_ = 0
#endif
}

/* @drm gsvm_block_zap, gsvm_block_write_protect: block locked. */
inline block_zap(k)
{
	atomic { block_take(k, ZAP) }
	atomic { block_account(k) }
}

/* @drm gsvm_block_bury: block locked, its flush complete. */
inline block_bury(k)
{
	if
	:: ent[k].zombie ->
		fr[ent[k].at].dma--;
		ent[k].zombie = 0;
		ent[k].at = 0
	:: else
	fi
}

/* @drm gsvm_block_settle */
inline block_settle(k)
{
	do
	:: atomic { !blk[k].lock && blk[k].flush == 0 -> break }
	:: atomic { !blk[k].lock && blk[k].flush ->
		tk_ = blk[k].flush;
		tb[GPU_OF(k)].waiters++ }
		tlb_wait(GPU_OF(k), tk_);
		atomic { !blk[k].lock ->
			if
			:: blk[k].flush == tk_ ->
				block_bury(k);
				blk[k].flush = 0
			:: else
			fi;
			tk_ = 0;
			sq_ = 0;
			tb[GPU_OF(k)].waiters--;
			tlb_normalise(GPU_OF(k)) }
	od
}

/* @drm gsvm_mirror_invalidate_start, gsvm_block_invalidate_locked */
inline invalidate_start(k, event)
{
	atomic {
#if defined(WHOLE) && !defined(BREAK_GUARD_NO_WAIT)
		/* @drm gsvm_guard_wait: it lets go of the lock and looks again. */
		!blk[k].lock && !(event == ZAP && blk[k].guard && blk[k].guard != _pid) ->
#else
		!blk[k].lock ->
#endif
		blk[k].lock = 1;
#ifdef BREAK_FINISH_OWN_ONLY
		own_ = blk[k].flush;
#endif
		set_seq(k);
#if defined(BREAK_FLUSH_FIRST) || defined(BREAK_DIRTY_RACE)
	}
	atomic {
#ifdef BREAK_DIRTY_RACE
		zd_ = ent[k].written
#else
		if
		:: ent[k].valid && event != PROTECT -> tlb_add(k)
		:: else
		fi;
		tk_ = blk[k].flush;
		tb[GPU_OF(k)].waiters++
	}
	tlb_wait(GPU_OF(k), tk_);
	atomic {
		blk[k].flush = 0;
		tk_ = 0;
		sq_ = 0;
		tb[GPU_OF(k)].waiters--;
		tlb_normalise(GPU_OF(k))
#endif
	}
	atomic {
#endif
		block_take(k, event)
	}
	atomic {
		block_account(k);
#ifdef BREAK_FINISH_OWN_ONLY
		/* Waits for what it took itself only. */
		fin_ = fin_ | ((blk[k].flush != own_) << k);
		own_ = 0;
#else
		fin_ = fin_ | ((blk[k].flush != 0) << k);
#endif
		blk[k].lock = 0
	}
}

/* @drm gsvm_mirror_invalidate_finish */
inline invalidate_finish(k)
{
	block_settle(k);
#ifdef BREAK_DIRTY_LATE
	if
	:: atomic { zd_ -> block_mark_dirty(zf_); zd_ = 0; zf_ = 0 }
	:: atomic { else -> zd_ = 0; zf_ = 0 }
	fi
#endif
}

/*
 * @drm gsvm_block_map: block locked, nothing invalidated since f and w were
 * read. ret: 0, or 1 for -EAGAIN.
 */
inline block_map(k, f, w, ret)
{
	if
	:: ent[k].valid && (ent[k].at != f || (ent[k].huge && mixed[BLOCK_OF(k)])) ->
		block_zap(k);
		ret = 1
	:: atomic { ent[k].valid && ent[k].at == f && !(ent[k].huge && mixed[BLOCK_OF(k)]) ->
		/* @drm gsvm_pte_upgrade */
		ent[k].write = ent[k].write | w }
	:: atomic { !ent[k].valid ->
		/* @drm gsvm_block_map_page, gsvm_block_map_huge, gsvm_block_dma_map */
		fr[f].dma = fr[f].dma + NEED_UNMAP(f);
		ent[k].valid = 1;
		ent[k].write = w;
		ent[k].written = 0;
		ent[k].zombie = 0;
		ent[k].huge = !mixed[BLOCK_OF(k)];
		ent[k].at = f }
	fi
}
