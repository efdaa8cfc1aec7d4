/* SPDX-License-Identifier: MIT */
/* Somebody else needs VRAM. */
proctype evict(byte v)
{
	MM_LOCALS;
	MIGRATE_LOCALS;

	evict_block(v)
}
