/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef GSVM_POLICY_H
#define GSVM_POLICY_H

#include <linux/atomic.h>
#include <linux/types.h>

struct gsvm_block;
struct gsvm_vm;

/**
 * struct gsvm_block_policy - what a block's past tells about where it should be
 * @moved_in: when it last went to VRAM, in jiffies
 * @hold_until: it stays where it is until then, in jiffies
 * @retry_at: no use in trying to move it before then, in jiffies
 * @evicted_at: &gsvm_vram.turns when it last lost its chunk; 0: since then it was asked for
 * @services: &gsvm_vm_stats.fault_services when it began to be watched
 * @faults: faults of the device that have asked
 * @comebacks: how often it came back soon after it had gone, in a row
 * @refaults: how often it was wanted soon after it had been evicted, in a row
 * @level: how often it has been held, in a row
 * @stuck: attempts that moved nothing, in a row
 * @away: it has been to VRAM since it last came back
 * @held: @hold_until counts
 * @watched: it is held to see what the device uses of it, and mapped by small entries
 * @worth: what was seen says that it is worth moving
 *
 * Guesses, read and written without a lock: only speed depends on them.
 */
struct gsvm_block_policy {
	unsigned long moved_in;
	unsigned long hold_until;
	unsigned long retry_at;
	u64 evicted_at;
	u64 services;
	u8 faults;
	u8 comebacks;
	u8 refaults;
	u8 level;
	u8 stuck;
	bool away;
	bool held;
	bool watched;
	bool worth;
};

/**
 * struct gsvm_vm_policy - what an address space's past tells about its blocks
 * @turn: blocks that would have moved for the price of an eviction
 * @sparse: the last verdicts, the newest in bit 0; 1: not worth moving
 *
 * Guesses, too: @sparse may lose a verdict when two come at once.
 */
struct gsvm_vm_policy {
	atomic_t turn;
	u8 sparse;
};

bool gsvm_policy_memcg_enter(struct gsvm_vm *vm, unsigned int pages);
void gsvm_policy_memcg_exit(struct gsvm_vm *vm, unsigned int pages);
bool gsvm_policy_wants_vram(struct gsvm_vm *vm, struct gsvm_block *block);
bool gsvm_policy_watches(struct gsvm_vm *vm, struct gsvm_block *block, unsigned int movable);
void gsvm_policy_watched(struct gsvm_vm *vm, struct gsvm_block *block, unsigned int used);
void gsvm_policy_moved_in(struct gsvm_block *block, unsigned int pages);
void gsvm_policy_evicted(struct gsvm_block *block, u64 turn);
void gsvm_policy_came_back(struct gsvm_vm *vm, struct gsvm_block *block);

#endif
