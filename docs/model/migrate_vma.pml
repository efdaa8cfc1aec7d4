/* SPDX-License-Identifier: MIT */
/*
 * The kernel's part of migration, mm/migrate_device.c, for one page: src_ is
 * the frame that moves (HOLE: there is none, NOFRAME: nothing moves), dst_ the
 * new one, ok_ whether MIGRATE_PFN_MIGRATE is still set after *_pages().
 */
#ifdef WHOLE
#define MIGRATE_LOCALS \
	byte src_ = NOFRAME, dst_ = NOFRAME, u_, cp_, try_g_, sp_ = NOFRAME; \
	bit ok_, whole_
#define MOVES(f)	(whole_ || fr[f].small)
#else
#define MIGRATE_LOCALS \
	byte src_ = NOFRAME, dst_ = NOFRAME, u_, cp_; \
	bit ok_
#define MOVES(f)	true
#endif

/* Inside an atomic sequence: @mm remove_migration_ptes */
inline remove_migration_ptes(from, to)
{
	j_ = 0;
	do
	:: j_ < 2 * NB ->
		if
		:: pte[j_].kind == MIG && pte[j_].at == from ->
			pte[j_].kind = (IS_RAM(to) -> RAM : DEV);
			pte[j_].at = to;
			fr[to].ref++
		:: else
		fi;
		j_++
	:: else -> break
	od;
	j_ = 0
}

/* @mm migrate_device_unmap: src_ is locked and has a reference of ours. */
inline migrate_device_unmap(extra)
{
	u_ = 0;
	do
	:: u_ < 2 * NB ->
		if
		:: MAPS(u_ / NB, u_ % NB, src_) ->
			/* @mm try_to_migrate_one: the notifier's event is CLEAR */
			mn_start(u_ / NB, u_ % NB, u_ % NB, ZAP);
			atomic {
				if
				:: MAPS(u_ / NB, u_ % NB, src_) ->
					fr[src_].dirty = fr[src_].dirty | pte[u_].dirt;
					pte[u_].kind = MIG;
					pte[u_].dirt = 0;
					frame_put(src_)
				:: else
				fi
			}
			mn_end(u_ / NB)
		:: else
		fi;
		u_++
	:: else -> break
	od;
	atomic {
		u_ = 0;
		/* @mm migrate_vma_check_page */
		if
		:: fr[src_].ref != 1 + extra ->
			remove_migration_ptes(src_, src_);
			if
			:: !extra -> frame_unlock(src_)
			:: else
			fi;
			frame_put(src_);
			src_ = NOFRAME
		:: else
		fi
	}
}

#ifdef WHOLE
/*
 * @mm split_folio, migrate_vma_split_folio: inside an invalidation, and only if the
 * page has no references but those of page tables. What is unmapped is announced
 * as such, and is mapped again by small entries; here it stays mapped.
 */
inline split_folio(m, b, fault_page)
{
	atomic {
		if
		:: pte[m * NB + b].kind == DEV && !fr[pte[m * NB + b].at].small &&
		   pte[m * NB + b].at != fault_page ->
			sp_ = pte[m * NB + b].at;
			fr[sp_].ref++
		:: else
		fi
	}
	if
	:: sp_ != NOFRAME ->
		atomic { !fr[sp_].lock -> fr[sp_].lock = 1 }
		if
		:: fr[sp_].ref == 1 + MAPCOUNT(sp_) && !fr[sp_].small ->
			u_ = 0;
			do
			:: u_ < 2 * NB ->
				if
				:: MAPS(u_ / NB, u_ % NB, sp_) ->
					mn_start(u_ / NB, u_ % NB, u_ % NB, ZAP);
					mn_end(u_ / NB)
				:: else
				fi;
				u_++
			:: else -> break
			od
		:: else
		fi;
		atomic {
			if
			:: fr[sp_].ref == 1 + MAPCOUNT(sp_) -> fr[sp_].small = 1
			:: else
			fi;
			frame_unlock(sp_);
			frame_put(sp_);
			sp_ = NOFRAME;
			u_ = 0
		}
	:: else
	fi
}
#endif

/*
 * @mm migrate_vma_setup: mmap_lock held for reading; system says which pages
 * are selected. fault_page is locked already.
 */
inline migrate_vma_setup(m, b, system, fault_page)
{
#ifndef BREAK_SKIP_OWN
	mn_start(m, b, b, REPLACE);
#endif
#ifdef WHOLE
	/* @mm migrate_vma_collect_huge_pmd: without MIGRATE_VMA_SELECT_COMPOUND */
	if
	:: !system && !whole_ -> split_folio(m, b, fault_page)
	:: else
	fi;
#endif
	atomic {
		if
		:: system && pte[m * NB + b].kind == NONE -> src_ = HOLE
		:: (system && pte[m * NB + b].kind == RAM ||
		    !system && pte[m * NB + b].kind == DEV && MOVES(pte[m * NB + b].at)) &&
		   (pte[m * NB + b].at == fault_page || !fr[pte[m * NB + b].at].lock) ->
			/* @mm migrate_vma_collect_pmd */
			src_ = pte[m * NB + b].at;
			fr[src_].lock = 1;
			fr[src_].dirty = fr[src_].dirty | pte[m * NB + b].dirt;
			pte[m * NB + b].kind = MIG;
			pte[m * NB + b].dirt = 0
		:: else -> src_ = NOFRAME
		fi
	}
#ifndef BREAK_SKIP_OWN
	mn_end(m);
#endif
	if
	:: src_ != NOFRAME && src_ != HOLE -> migrate_device_unmap(src_ == fault_page)
	:: else
	fi
}

/* @mm migrate_vma_pages, migrate_device_pages */
inline migrate_pages(m, b, extra)
{
	if
	:: atomic { dst_ == NOFRAME -> ok_ = 0 }
	:: dst_ != NOFRAME && src_ == HOLE ->
		/* @mm migrate_vma_insert_page, in a second MIGRATE range */
		mn_start(m, b, b, REPLACE);
		atomic {
			if
			:: pte[m * NB + b].kind == NONE ->
				pte_set(m, b, DEV, dst_, 1, 0);
				fr[dst_].ref++;
				ok_ = 1
			:: else -> ok_ = 0
			fi
		}
		mn_end(m)
	:: atomic { dst_ != NOFRAME && src_ != HOLE ->
		/* @mm folio_migrate_mapping, folio_migrate_flags */
		ok_ = fr[src_].ref == 1 + extra;
		fr[dst_].dirty = fr[dst_].dirty | (ok_ && fr[src_].dirty) }
	fi
}

/* @mm migrate_vma_finalize, migrate_device_finalize */
inline migrate_finalize(extra)
{
	atomic {
		if
		:: src_ != HOLE ->
			if
			:: ok_ -> remove_migration_ptes(src_, dst_)
			:: else -> remove_migration_ptes(src_, src_)
			fi;
			if
			:: !extra -> frame_unlock(src_)
			:: else
			fi;
			frame_put(src_)
		:: else
		fi;
		if
		:: dst_ != NOFRAME ->
			frame_unlock(dst_);
			frame_put(dst_)
		:: else
		fi;
		src_ = NOFRAME;
		dst_ = NOFRAME;
		ok_ = 0
	}
}
