/* SPDX-License-Identifier: MIT */
/*
 * Fault services: from a record to its answer. Each core's records are served
 * one after the other, those of different cores at the same time.
 *
 * A service that found no answer is repeated. The driver does that a bounded
 * number of times, with a back-off; here there is no bound, and the process's
 * changes are finite: so it must end by itself.
 */
proctype service(byte c)
{
	MM_LOCALS;
	MIGRATE_LOCALS;
	POPULATE_LOCALS;
	byte b, t, k;
	bit wr;
#ifdef BREAK_MAP_EARLY
	bit mret_;
#endif

	/* @drm gsvm_fault_drain, gsvm_fault_dispatch */
end:	do
	:: atomic { faults[c]?b,wr,t -> k = K(c % NG, b) }
#if NVRAM
		/*
		 * @drm gsvm_policy_wants_vram: one attempt per record, and not for a
		 * block that comes and goes.
		 */
		if
		:: MIGRATES(c) && GPU_OF(k) == 0 && bounces[b] < BOUNCES && pte[b].kind != DEV ->
			migrate_to_vram(b)
#ifdef MAY_MIGRATE
		:: skip
#else
		:: else
#endif
		fi;
#endif
		/* @drm gsvm_fault_serve, gsvm_fault_serve_block */
		do
		:: verdict_ == AGAIN ->
			populate(c, k, b, wr);
#ifdef BREAK_NO_REPLAY
			break
#endif
		/* @drm gsvm_fault_replay */
		:: else -> break
		od;
		atomic {
			if
			/* @drm gsvm_fault_answer, gsvm_queue_cancel */
			:: verdict_ == DENIED -> cmd_submit(GPU_OF(k), CANCEL, c, t)
			/* @drm gsvm_fault_resume */
			:: verdict_ == MAPPED -> cmd_submit(GPU_OF(k), RESUME, b, 0)
			:: else
			fi;
			verdict_ = AGAIN;
			b = 0; t = 0; k = 0; wr = 0
		}
	od
}
