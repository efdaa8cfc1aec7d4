/* SPDX-License-Identifier: MIT */
/*
 * Eviction: by frame, through the reverse map, without any lock of a process.
 */

/* @drm gsvm_policy_evicted: in an atomic sequence, it counts for the block that has it. */
inline evict_bounce(v)
{
	j_ = 0;
	do
	:: j_ < NB ->
		if
		:: pte[j_].kind == MIG && pte[j_].at == v -> bounce(j_)
		:: else
		fi;
		j_++
	:: else -> break
	od;
	j_ = 0
}

/* @drm gsvm_evict_reserve, gsvm_evict_chunk: no lock held. */
inline evict_block(v)
{
	/* @mm migrate_device_pfns */
	atomic {
		if
		:: fr[v].ref && !fr[v].lock ->
			fr[v].lock = 1;
			fr[v].ref++;
			src_ = v
		:: else -> src_ = NOFRAME
		fi
	}
	if
	:: src_ != NOFRAME ->
#ifdef BREAK_EVICT_COPY_FIRST
		frame_alloc(dst_, 0, NRAM, 1);
		copy(dst_, src_);
#endif
		migrate_device_unmap(0);
		if
		:: src_ != NOFRAME ->
#ifdef BREAK_EVICT_MMAP_LOCK
			mmap_read_lock(PARENT);
			mmap_read_unlock(PARENT);
#endif
#ifndef BREAK_EVICT_COPY_FIRST
			frame_alloc(dst_, 0, NRAM, 1);
			assert(dst_ != NOFRAME);
			copy(dst_, src_);
#endif
			migrate_pages(PARENT, 0, 0);
			atomic { evict_bounce(src_) }
			migrate_finalize(0)
		:: else
		fi;
#ifdef BREAK_EVICT_COPY_FIRST
		atomic {
			if
			:: dst_ != NOFRAME -> frame_put(dst_); dst_ = NOFRAME
			:: else
			fi
		}
#endif
		skip
	:: else
	fi
}
