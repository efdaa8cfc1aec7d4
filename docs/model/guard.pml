/* SPDX-License-Identifier: MIT */
/*
 * The guard: a 2 MiB page leaves VRAM in one piece only while nobody can unmap it.
 * Else it is split, and what leaves is small.
 */
#define GUARD_TRIES	2	/* GSVM_GUARD_TRIES */
#define GUARDS		(NS + _pid)	/* who guards, as a reader of the sequence */

/* Inside an atomic sequence: the reader goes. */
inline read_end(s)
{
	rd[s].on = 0;
	rd[s].stale = 0;
	rd[s].asleep = 0;
	rd[s].looks = 0
}

/* Inside an atomic sequence, block locked: is it guarded by somebody else now? */
inline guard_set(k)
{
	if
	:: blk[k].guard -> try_g_ = GUARD_TRIES
	:: else -> blk[k].guard = _pid; whole_ = 1
	fi
}

/*
 * @drm gsvm_guard_begin, gsvm_guard_mark: mmap_lock held, no page's lock. The child has
 * no notifiers, and so no block. whole_ says whether the guard is taken.
 */
inline guard_begin(m, b)
{
	do
	:: m == PARENT && !whole_ && try_g_ < GUARD_TRIES ->
		try_g_++;
#ifndef BREAK_GUARD_NO_RETRY
		read_begin(GUARDS, K(0, b));
#endif
		atomic { !blk[K(0, b)].lock -> guard_set(K(0, b)) }
		/* The process unmaps already: its notifier did not meet the mark. */
		if
		:: atomic { whole_ && rd[GUARDS].stale && !blk[K(0, b)].lock ->
			blk[K(0, b)].guard = 0;
			whole_ = 0 }
		:: atomic { !whole_ || !rd[GUARDS].stale -> skip }
		fi
	:: else -> break
	od;
	try_g_ = 0
}

/* @drm gsvm_guard_drop */
inline guard_drop(b)
{
	atomic {
		if
#ifndef BREAK_GUARD_FOREVER
		:: whole_ && !blk[K(0, b)].lock -> blk[K(0, b)].guard = 0
#else
		:: whole_
#endif
		:: !whole_
		fi;
		whole_ = 0;
		read_end(GUARDS)
	}
}

/* @drm gsvm_guard_is_alone: one entry has it, and nobody else's. */
#ifndef BREAK_GUARD_SHARED
#define ALONE(f)	(!fr[f].small && MAPCOUNT(f) == 1)
#else
#define ALONE(f)	(!fr[f].small)
#endif

/* @drm gsvm_guard_take, gsvm_guard_finds_page: without a reference to the page. */
inline guard_take(m, b)
{
	guard_begin(m, b);
	if
	:: atomic { whole_ && !rd[GUARDS].stale && pte[m * NB + b].kind == DEV &&
		ALONE(pte[m * NB + b].at) -> skip }
	:: atomic { !(whole_ && !rd[GUARDS].stale && pte[m * NB + b].kind == DEV &&
		ALONE(pte[m * NB + b].at)) -> skip }
		guard_drop(b)
	fi
}

/* @drm gsvm_guard_take_folio: a fault of the CPU, which has locked the page. */
inline guard_take_folio(m, b, home)
{
#ifndef BREAK_GUARD_KEEPS_PAGE
	/* Who unmaps in this block may want it before he is through. */
	frame_unlock(home);
#endif
	guard_begin(m, b);
#ifndef BREAK_GUARD_KEEPS_PAGE
#ifdef BREAK_GUARD_LOCKS_PAGE
	atomic { !fr[home].lock -> fr[home].lock = 1 }
#else
	/* Who has it now may wait for the end of the guard. */
	if
	:: atomic { !fr[home].lock -> fr[home].lock = 1 }
	:: atomic { fr[home].lock -> skip }
		guard_drop(b);
		atomic { !fr[home].lock -> fr[home].lock = 1 }
	fi;
#endif
#endif
	if
	:: atomic { ALONE(home) -> skip }
	:: atomic { !ALONE(home) -> skip }
		guard_drop(b)
	fi
}

/* @drm gsvm_move_out: a prefetch, or an eviction through the owner; mmap_lock held. */
inline move_out(m, b)
{
	guard_take(m, b);
	migrate_vma_setup(m, b, 0, NOFRAME);
	if
	:: src_ != NOFRAME ->
		frame_alloc(dst_, 0, NRAM, 1);
		assert(dst_ != NOFRAME);
		copy(dst_, src_);
		migrate_pages(m, b, 0);
		atomic { bounce(b) }
		migrate_finalize(0)
	:: else
	fi;
	guard_drop(b)
}

byte order;	/* 1 + the process in which a page is to be split */

/* @drm gsvm_split_later */
inline split_later(m)
{
	order = (order -> order : 1 + m)
}

/* @drm gsvm_split_work, gsvm_split_do */
proctype splitter()
{
	MM_LOCALS;
	MIGRATE_LOCALS;

end:	do
	:: order ->
		if
		:: order == 1 + PARENT ->
			mmap_read_lock(PARENT);
			if
			:: vma[0] -> move_out(PARENT, 0)
			:: else
			fi;
			mmap_read_unlock(PARENT)
		:: order == 1 + CHILD -> move_out(CHILD, 0)
		fi;
		order = 0
	od
}
