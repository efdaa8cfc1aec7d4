/* SPDX-License-Identifier: MIT */
/*
 * Migration by the driver: to VRAM by a fault service, to system memory by a
 * fault of the CPU.
 */
byte bounces[NB];	/* how often a block was taken out of VRAM */

#ifdef BREAK_MIGRATE_MUTEX
bit mutex;	/* taken by a service that looks, and by migrate_to_ram() */
#endif

/*
 * @drm gsvm_xfer_add, gsvm_xfer_go, gsvm_xfer_wait, gsvm_copy_submit,
 * gsvm_copy_wait: the source may change meanwhile.
 */
inline copy(to, from)
{
	atomic {
		if
		:: from == HOLE -> cp_ = 0
		:: else ->
			CHECK(freed_use, fr[from].ref);
			cp_ = fr[from].data
		fi
	}
	atomic {
		fr[to].data = cp_;
		cp_ = 0
	}
}

/* @drm gsvm_policy_came_back: in an atomic sequence, one more move out of VRAM. */
inline bounce(b)
{
#ifndef BREAK_NO_BOUNCE_LIMIT
	bounces[b] = bounces[b] + (bounces[b] < BOUNCES)
#else
	skip
#endif
}

/*
 * @drm gsvm_migrate_fault, gsvm_move_reserve, gsvm_move_in_begin,
 * gsvm_move_in_end: no lock held that others need.
 */
inline migrate_to_vram(b)
{
	frame_alloc(dst_, NRAM, NF, 1);
#ifdef EVICT_TO_FIT
	if
	:: dst_ == NOFRAME ->
		evict_block(NRAM);
		frame_alloc(dst_, NRAM, NF, 1)
	:: else
	fi;
#endif
	if
	:: dst_ != NOFRAME ->
		mmap_read_lock(PARENT);
		if
		:: vma[b] ->
			migrate_vma_setup(PARENT, b, 1, NOFRAME);
			if
			:: src_ != NOFRAME ->
#ifndef BREAK_COPY_AFTER_PAGES
				copy(dst_, src_);
#endif
				migrate_pages(PARENT, b, 0);
#ifdef BREAK_COPY_AFTER_PAGES
				copy(dst_, src_);
#endif
#ifdef BREAK_MAP_EARLY
				/* Mapped from the arrays, without a look at the sequence. */
				if
				:: atomic { ok_ && !blk[K(0, b)].lock -> blk[K(0, b)].lock = 1 }
					block_map(K(0, b), dst_, 1, mret_);
					atomic { blk[K(0, b)].lock = 0; mret_ = 0 }
				:: !ok_
				fi;
#endif
				migrate_finalize(0)
			:: else
			fi
		:: else
		fi;
		mmap_read_unlock(PARENT);
		/* What was not needed goes back. */
		atomic {
			if
			:: dst_ != NOFRAME -> frame_put(dst_); dst_ = NOFRAME
			:: else
			fi
		}
	:: else
	fi
}

/*
 * @drm gsvm_migrate_to_ram, gsvm_move_out: by do_swap_page(); mmap_lock, page lock,
 * reference held.
 */
inline migrate_to_ram(m, b, home)
{
#ifdef BREAK_MIGRATE_MUTEX
	atomic { !mutex -> mutex = 1 }
#endif
#ifdef BREAK_COPY_BEFORE_ZAP
	frame_alloc(dst_, 0, NRAM, 1);
	copy(dst_, home);
#endif
#ifdef WHOLE
	/* @drm gsvm_move_out_access: what was a 2 MiB page when it was found. */
	if
	:: atomic { !fr[home].small -> skip }
		guard_take_folio(m, b, home);
		if
		:: whole_
		:: else -> split_later(m)
		fi
	:: atomic { fr[home].small -> skip }
	fi;
#ifdef BREAK_GUARD_LATE
	/* Guarded when there is a migration entry already. */
	guard_drop(b);
	whole_ = 1;
#endif
	if
	:: whole_ || fr[home].small ->
#endif
	migrate_vma_setup(m, b, 0, home);
#if defined(WHOLE) && defined(BREAK_GUARD_LATE)
	whole_ = 0;
	guard_begin(m, b);
#endif
	if
	:: src_ != NOFRAME ->
#ifndef BREAK_COPY_BEFORE_ZAP
		frame_alloc(dst_, 0, NRAM, 1);
		assert(dst_ != NOFRAME);
		copy(dst_, src_);
#endif
		migrate_pages(m, b, 1);
		atomic { bounce(b) }
		migrate_finalize(1)
	:: else
	fi;
#ifdef WHOLE
		guard_drop(b)
	:: else
	fi;
#endif
#ifdef BREAK_MIGRATE_MUTEX
	mutex = 0;
#endif
#ifdef BREAK_COPY_BEFORE_ZAP
	atomic {
		if
		:: dst_ != NOFRAME -> frame_put(dst_); dst_ = NOFRAME
		:: else
		fi
	}
#endif
	skip
}
