/* SPDX-License-Identifier: MIT */
/*
 * MMU interval notifiers: one per block and GPU, on the parent's memory.
 *
 * Sequence numbers are compared for equality only, so a reader's number is
 * modelled by two flags: stale says that the block's number has changed since
 * it was read, asleep that it was the number of an invalidation under way. That
 * is exact: nested invalidations have the same number.
 */
/* enum mmu_notifier_event, as far as the driver makes a difference. */
#define ZAP	0	/* MMU_NOTIFY_UNMAP, _CLEAR, _RELEASE */
#define PROTECT	1	/* MMU_NOTIFY_PROTECTION_PAGE, _SOFT_DIRTY */
#define REPLACE	2	/* MMU_NOTIFY_MIGRATE, _PROTECTION_VMA: nothing is unmapped */

byte invalidating;			/* invalidations under way */
bit in_seq[NK];			/* the block has the number of those */

typedef reader {
	byte looks;	/* block it looks at */
	bit on;
	bit stale;
	bit asleep;
};
#ifdef WHOLE
#define NR	(NS + 10)	/* who guards a block reads as well, by its number */
#else
#define NR	NS
#endif
reader rd[NR];

/* @mm mmu_interval_read_begin */
inline read_begin(s, k)
{
	atomic {
		rd[s].on = 1;
		rd[s].looks = k;
		rd[s].stale = 0;
		rd[s].asleep = in_seq[k]
	}
	!rd[s].asleep
}

/* @mm mmu_interval_set_seq: block locked, in an atomic sequence. */
inline set_seq(k)
{
#ifndef BREAK_NO_SEQ
	in_seq[k] = 1;
	i_ = 0;
	do
	:: i_ < NR ->
		if
		:: rd[i_].on && rd[i_].looks == k && !rd[i_].asleep -> rd[i_].stale = 1
		:: else
		fi;
		i_++
	:: else -> break
	od;
	i_ = 0
#else
	skip
#endif
}

/*
 * @mm mmu_notifier_invalidate_range_start: blocks [b0, b1] of address space m,
 * first passes of all, then second passes of those that asked for one.
 */
inline mn_start(m, b0, b1, event)
{
	if
#if NG * NB == 1
	:: atomic { m == PARENT -> invalidating++ }
		invalidate_start(0, event);
		if
		:: fin_ -> invalidate_finish(0); fin_ = 0
		:: else
		fi
#else
	:: m == PARENT ->
		invalidating++;
		k_ = 0;
		do
		:: k_ < NK ->
			if
			:: BLOCK_OF(k_) >= b0 && BLOCK_OF(k_) <= b1 ->
				invalidate_start(k_, event)
			:: else
			fi;
			k_++
		:: else -> break
		od;
#ifdef BREAK_FINISH_FIRST
		/* The batches of all GPUs are sent together: wait for one only. */
		fin_ = fin_ & -fin_;
#endif
		k_ = 0;
		do
		:: k_ < NK ->
			if
			:: (fin_ >> k_) & 1 -> invalidate_finish(k_)
			:: else
			fi;
			k_++
		:: else -> break
		od;
		atomic { k_ = 0; fin_ = 0 }
#endif
	:: else
	fi
}

/* @mm mmu_notifier_invalidate_range_end */
inline mn_end(m)
{
	d_step {
		if
		:: m == PARENT ->
			invalidating--;
			if
			:: invalidating == 0 ->
				i_ = 0;
				do
				:: i_ < NK -> in_seq[i_] = 0; i_++
				:: else -> break
				od;
				i_ = 0;
				do
				:: i_ < NR -> rd[i_].asleep = 0; i_++
				:: else -> break
				od;
				i_ = 0
			:: else
			fi
		:: else
		fi
	}
}
