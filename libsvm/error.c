// SPDX-License-Identifier: MIT
/*
 * DOC: error texts
 *
 * Turns the record of a dead queue into one line for people. Pure: what comes
 * out depends on the record alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "private.h"

_Static_assert((int)GSVM_ERROR_NONE == DRM_GSVM_ERROR_NONE &&
	       (int)GSVM_ERROR_FAULT == DRM_GSVM_ERROR_FAULT &&
	       (int)GSVM_ERROR_PACKET == DRM_GSVM_ERROR_PACKET &&
	       (int)GSVM_ERROR_KERNEL == DRM_GSVM_ERROR_KERNEL &&
	       (int)GSVM_ERROR_ILLEGAL == DRM_GSVM_ERROR_ILLEGAL &&
	       (int)GSVM_ERROR_MISALIGNED == DRM_GSVM_ERROR_MISALIGNED &&
	       (int)GSVM_ERROR_TRAP == DRM_GSVM_ERROR_TRAP &&
	       (int)GSVM_ERROR_LIMIT == DRM_GSVM_ERROR_LIMIT &&
	       (int)GSVM_ERROR_APERTURE == DRM_GSVM_ERROR_APERTURE &&
	       (int)GSVM_ERROR_DEVICE == DRM_GSVM_ERROR_DEVICE, "codes are the driver's");
_Static_assert((int)GSVM_REASON_NONE == DRM_GSVM_REASON_NONE &&
	       (int)GSVM_REASON_NOT_MAPPED == DRM_GSVM_REASON_NOT_MAPPED &&
	       (int)GSVM_REASON_PERMISSION == DRM_GSVM_REASON_PERMISSION &&
	       (int)GSVM_REASON_BUS == DRM_GSVM_REASON_BUS &&
	       (int)GSVM_REASON_POISON == DRM_GSVM_REASON_POISON &&
	       (int)GSVM_REASON_NO_MEMORY == DRM_GSVM_REASON_NO_MEMORY &&
	       (int)GSVM_REASON_GONE == DRM_GSVM_REASON_GONE &&
	       (int)GSVM_REASON_UNSUPPORTED == DRM_GSVM_REASON_UNSUPPORTED &&
	       (int)GSVM_REASON_HARDWARE == DRM_GSVM_REASON_HARDWARE &&
	       (int)GSVM_REASON_BUSY == DRM_GSVM_REASON_BUSY, "reasons are the driver's");
_Static_assert((int)GSVM_ERROR_READ == DRM_GSVM_ACCESS_READ &&
	       (int)GSVM_ERROR_WRITE == DRM_GSVM_ACCESS_WRITE &&
	       (int)GSVM_ERROR_EXEC == DRM_GSVM_ACCESS_EXEC &&
	       (int)GSVM_ERROR_ATOMIC == DRM_GSVM_ACCESS_ATOMIC, "accesses are the driver's");

static const char *access_text(uint32_t access)
{
	static const char *const text[] = {
		[GSVM_ERROR_READ] = "read of",
		[GSVM_ERROR_WRITE] = "write to",
		[GSVM_ERROR_EXEC] = "instruction fetch from",
		[GSVM_ERROR_ATOMIC] = "atomic operation on",
	};

	return access < ARRAY_SIZE(text) ? text[access] : "unknown access to";
}

static const char *reason_text(uint32_t reason)
{
	static const char *const text[] = {
		[GSVM_REASON_NONE] = "no reason given",
		[GSVM_REASON_NOT_MAPPED] = "nothing is mapped there",
		[GSVM_REASON_PERMISSION] = "the mapping does not allow it",
		[GSVM_REASON_BUS] = "past the end of the mapped file, or an I/O error",
		[GSVM_REASON_POISON] = "the memory is broken",
		[GSVM_REASON_NO_MEMORY] = "no memory could be had for the page",
		[GSVM_REASON_GONE] = "the process's memory is gone",
		[GSVM_REASON_UNSUPPORTED] = "memory of a kind that the GPU cannot reach",
		[GSVM_REASON_HARDWARE] = "the GPU could not use its own page table or bus",
		[GSVM_REASON_BUSY] = "the process did not stop changing the memory there",
	};

	return reason < ARRAY_SIZE(text) ? text[reason] : "unknown reason";
}

/* What the GPU was doing, up to the place. */
static void what_text(const struct gsvm_error *error, char *text, size_t size)
{
	switch (error->code) {
	case GSVM_ERROR_FAULT:
		snprintf(text, size, "%s 0x%" PRIx64, access_text(error->access), error->address);
		break;
	case GSVM_ERROR_PACKET:
		snprintf(text, size, "malformed packet at 0x%" PRIx64, error->address);
		break;
	case GSVM_ERROR_KERNEL:
		snprintf(text, size, "malformed kernel descriptor at 0x%" PRIx64, error->address);
		break;
	case GSVM_ERROR_ILLEGAL:
		snprintf(text, size, "illegal instruction 0x%08" PRIx64, error->address);
		break;
	case GSVM_ERROR_MISALIGNED:
		snprintf(text, size, "misaligned access to 0x%" PRIx64, error->address);
		break;
	case GSVM_ERROR_TRAP:
		snprintf(text, size, "trap instruction 0x%08" PRIx64, error->address);
		break;
	case GSVM_ERROR_LIMIT:
		snprintf(text, size, "more instructions than the queue allows");
		break;
	case GSVM_ERROR_APERTURE:
		snprintf(text, size, "access to 0x%" PRIx64
			 " outside of private and work-group memory", error->address);
		break;
	default:
		snprintf(text, size, "unknown error %u", error->code);
	}
}

gsvm_public int gsvm_error_describe(const struct gsvm_error *error, char *text, size_t size)
{
	struct gsvm_error known;
	char what[128], where[96];
	int ret;

	if (!error || (size && !text))
		return -EINVAL;
	ret = gsvm_copy_in(&known, sizeof(known), error, error->size);
	if (ret)
		return ret;
	if (known.code == GSVM_ERROR_NONE)
		return snprintf(text, size, "no error");
	if (known.code == GSVM_ERROR_DEVICE)
		return snprintf(text, size, "the GPU failed or was reset");
	what_text(&known, what, sizeof(what));
	if (known.pc)
		snprintf(where, sizeof(where), "by work-item %" PRIu64 " at pc 0x%" PRIx64,
			 known.work_item, known.pc);
	else
		snprintf(where, sizeof(where), "by the packet processor");
	return snprintf(text, size, "%s %s, packet %" PRIu64 "%s%s", what, where, known.packet,
			known.code == GSVM_ERROR_FAULT ? ": " : "",
			known.code == GSVM_ERROR_FAULT ? reason_text(known.reason) : "");
}
