/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_POPULATE_H
#define GSVM_POPULATE_H

#include <linux/bitmap.h>

#include "gsvm_block.h"

struct gsvm_vm;

/**
 * struct gsvm_request - what is wanted of one block, and what became of it
 * @read: in, pages that somebody wants to read
 * @write: in, pages that somebody wants to write; out, less the denied ones
 * @exec: in, pages that somebody wants to execute; out, less the denied ones
 * @patient: in, wait for as long as bringing a page in takes (I/O, locks,
 *	userfaultfd); else such pages are put into @later
 * @since: in, the wishes are not younger than that, by ktime_get_ns()
 * @later: out, pages that would have had to be waited for, not mapped
 * @denied_write: out, pages whose mapping does not allow writing
 * @denied_exec: out, pages whose mapping does not allow execution
 * @mapped: out, pages of the block that are mapped, wanted or not
 * @resume: out, those of them whose parked accesses go on, see gsvm_fault.c
 * @reason: out, per page: DRM_GSVM_REASON_* why it cannot be mapped at all,
 *	whatever the access; DRM_GSVM_REASON_NONE if it is mapped or not wanted
 */
struct gsvm_request {
	DECLARE_BITMAP(read, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(write, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(exec, GSVM_BLOCK_PAGES);
	bool patient;
	u64 since;
	DECLARE_BITMAP(later, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(denied_write, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(denied_exec, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(mapped, GSVM_BLOCK_PAGES);
	DECLARE_BITMAP(resume, GSVM_BLOCK_PAGES);
	u8 reason[GSVM_BLOCK_PAGES];
};

bool gsvm_populate_stale(struct gsvm_block *block, const struct gsvm_request *req);
void gsvm_populate_note(struct gsvm_block *block, const struct gsvm_request *req);
bool gsvm_populate_served(struct gsvm_block *block, struct gsvm_request *req);
int gsvm_populate(struct gsvm_vm *vm, struct gsvm_block *block, struct gsvm_request *req);

#endif
