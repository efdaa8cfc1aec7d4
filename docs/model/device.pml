/* SPDX-License-Identifier: MIT */
/*
 * The device: cores with a TLB, parked accesses, commands in order.
 *
 * hardware.rst has the rules. A translation stays usable until an invalidation
 * of it completes; D is set, by compare-exchange, before a write is granted; a
 * miss, or a right that is missing, means a walk; an access that the entry does
 * not allow parks and is reported.
 */
typedef entry {
	bit valid;
	bit write;	/* the right to */
	bit written;	/* D */
	bit zombie;	/* not valid, DMA mapping not undone */
	bit huge;	/* 2 MiB leaf */
	byte at;	/* frame */
};
entry ent[NK];

typedef translation {
	bit valid;
	bit write;
	byte at;
};
translation tl[NC * NB];

typedef access {
	bit parked;
	bit dead;	/* the queue was cancelled */
	bit excuse;	/* the process did not allow it at some time since it parked */
	byte where;
	bit wants;	/* to write */
	byte time;	/* names the access in its record */
};
access co[NC];

mtype = { INVAL, RESUME, CANCEL };
chan ring[NG] = [RING] of { mtype, byte, byte };
chan faults[NC] = [2] of { byte, bit, byte };	/* block, write, time */
byte tail[NG], head[NG];	/* commands submitted and complete */

/* In frame_put(): nothing that is free may be in a TLB or mapped for DMA. */
inline tlb_check_unreachable(f)
{
	i_ = 0;
	do
	:: i_ < NC * NB ->
		CHECK(freed_use, !(tl[i_].valid && tl[i_].at == f));
		i_++
	:: else -> break
	od;
	i_ = 0;
	do
	:: i_ < NK ->
		CHECK(freed_use, !(ent[i_].valid && ent[i_].at == f));
		i_++
	:: else -> break
	od;
	i_ = 0;
	CHECK(iommu_use, fr[f].dma == 0)
}

/* @hw an access through a translation */
inline core_access(c, b, wr, bits)
{
	f_ = tl[c * NB + b].at;
	CHECK(freed_use, fr[f_].ref);
	CHECK(iommu_use, !IS_RAM(f_) || fr[f_].dma);
	CHECK(lost_update, fr[f_].data == now_data[b]);
	if
	:: wr ->
		CHECK(protected_write, !read_only[b] && !SHARES(CHILD, b, f_));
		fr[f_].data = fr[f_].data | bits;
		now_data[b] = now_data[b] | bits
	:: else
	fi;
	f_ = 0
}

/* @hw a walk: fill the TLB, set D before a write is granted */
inline core_walk(c, b, wr)
{
	tl[c * NB + b].valid = 1;
	tl[c * NB + b].write = wr;
	tl[c * NB + b].at = ent[K(c % NG, b)].at;
	ent[K(c % NG, b)].written = ent[K(c % NG, b)].written | wr
}

#define HIT(c, b, wr)	(tl[c * NB + b].valid && (!wr || tl[c * NB + b].write))
#define WALKS(c, b, wr)	(ent[K(c % NG, b)].valid && (!wr || ent[K(c % NG, b)].write))

proctype core(byte c)
{
	byte n, b;
	bit wr;

	do
	:: n < NACC && !co[c].dead ->
		/* Any program. */
		CORE_PROGRAM(c, n, b, wr);
		do
		:: atomic { co[c].dead -> break }
		:: atomic { !co[c].dead && HIT(c, b, wr) ->
			core_access(c, b, wr, 1 << (c * NACC + n));
			break }
		:: atomic { !co[c].dead && !HIT(c, b, wr) && WALKS(c, b, wr) ->
			core_walk(c, b, wr) }
		:: atomic { !co[c].dead && !HIT(c, b, wr) && !WALKS(c, b, wr) ->
			co[c].parked = 1;
			co[c].where = b;
			co[c].wants = wr;
			co[c].excuse = !vma[b] || (wr && read_only[b]);
#ifdef NAMES
			co[c].time = (co[c].time + 1) % 4;
#endif
			faults[c]!b,wr,co[c].time }
			!co[c].parked
		od;
progress:	n++
	:: else -> break
	od
}

/* @hw commands complete in order */
proctype device(byte g)
{
	byte x, y;

end:	do
	:: atomic { ring[g]?INVAL,x,_ ->
		i_ = 0;
		do
		:: i_ < NC * NB ->
			if
			:: (i_ / NB) % NG == g && (x >> (i_ % NB)) & 1 ->
				tl[i_].valid = 0; tl[i_].write = 0; tl[i_].at = 0
			:: else
			fi;
			i_++
		:: else -> break
		od;
		i_ = 0; x = 0;
		head[g]++; tlb_normalise(g) }
	:: atomic { ring[g]?RESUME,x,_ ->
		i_ = g;
		do
		:: i_ < NC ->
			if
			:: co[i_].parked && co[i_].where == x -> co[i_].parked = 0
			:: else
			fi;
			i_ = i_ + NG
		:: else -> break
		od;
		i_ = 0; x = 0;
		head[g]++; tlb_normalise(g) }
	:: atomic { ring[g]?CANCEL,x,y ->
		if
#ifndef BREAK_CANCEL_PAGE
		:: co[x].parked && co[x].time == y ->
#else
		:: co[x].parked ->
#endif
			CHECK(wrong_cancel, co[x].excuse);
			co[x].parked = 0;
			co[x].dead = 1
		:: else
		fi;
		x = 0; y = 0;
		head[g]++; tlb_normalise(g) }
	od
}

/* @drm gsvm_cmd_submit: inside an atomic sequence; the ring has room. */
inline cmd_submit(g, op, x, y)
{
	ring[g]!op,x,y;
	tail[g]++
}

/* @drm gsvm_cmd_wait */
inline cmd_wait(g, seq)
{
	head[g] >= seq
}
