/* SPDX-License-Identifier: MIT */
/*
 * Gathered TLB invalidations: an open batch per GPU, tickets.
 *
 * Each inline is one critical section of gsvm_tlb.lock. Numbers are set back
 * when nobody holds any, so that a run that goes round is seen to do so; it
 * changes nothing, they are only compared with each other.
 */
typedef batch {
	byte set;	/* blocks in the open batch */
	byte open;
	byte sent;
	byte seq;
	byte waiters;	/* who has read a ticket */
};
batch tb[NG];

typedef block {
	bit lock;
	byte flush;	/* ticket */
#ifdef WHOLE
	byte guard;	/* who takes a 2 MiB page out of VRAM here; 0: nobody */
#endif
};
block blk[NK];

inline tlb_normalise(g)
{
	j_ = K(g, 0);
	do
	:: j_ < K(g, NB) && blk[j_].flush == 0 -> j_++
	:: else -> break
	od;
	if
	:: j_ == K(g, NB) && tb[g].waiters == 0 && tb[g].set == 0 && len(ring[g]) == 0 ->
		tb[g].open = 1;
		tb[g].sent = 0;
		tb[g].seq = 0;
		tail[g] = 0;
		head[g] = 0
	:: else
	fi;
	j_ = 0
}

/* @drm gsvm_tlb_add: block k joins the open batch, and has its ticket. */
inline tlb_add(k)
{
	tb[GPU_OF(k)].set = tb[GPU_OF(k)].set | (1 << BLOCK_OF(k));
	blk[k].flush = tb[GPU_OF(k)].open
}

/* @drm gsvm_tlb_send */
inline tlb_send(g, ticket)
{
	if
	:: tb[g].sent < ticket && tb[g].set ->
#ifndef BREAK_BATCH_FIRST
		cmd_submit(g, INVAL, tb[g].set, 0);
#else
		cmd_submit(g, INVAL, tb[g].set & (1 + ((tb[g].set & 1) == 0)), 0);
#endif
		tb[g].seq = tail[g];
		tb[g].sent = tb[g].open;
		tb[g].open++;
		tb[g].set = 0
	:: else
	fi
}

/* @drm gsvm_tlb_send_all: what every GPU has gathered, at best. */
inline tlb_send_all()
{
	i_ = 0;
	do
	:: i_ < NG -> tlb_send(i_, 255); i_++
	:: else -> break
	od;
	i_ = 0
}

/* @drm gsvm_tlb_wait */
inline tlb_wait(g, ticket)
{
	atomic {
		if
		:: tb[g].sent < ticket ->
			tlb_send_all();
			tlb_send(g, ticket)
		:: else
		fi;
		sq_ = tb[g].seq
	}
#ifndef BREAK_NO_WAIT
	cmd_wait(g, sq_);
#endif
}
