/* SPDX-License-Identifier: MIT */
/*
 * Generator of random RISC-V programs whose whole effect can be compared
 * between two implementations.
 *
 * A program is blocks of random instructions. Each block starts by reloading
 * some registers from a pool of special and random values, and ends by storing
 * all x and f registers and fcsr in a log. After the last block the program
 * asks Linux to write the data area (pool, scratch memory, log) to file
 * descriptor 1, and exits; an implementation without Linux stops at that first
 * ecall and its data area is compared with what was written.
 */
#ifndef GPU_TESTS_ISA_GEN_H
#define GPU_TESTS_ISA_GEN_H

#include <stdint.h>

#define ISA_CODE_BASE	0x00100000u
#define ISA_CODE_MAX	0x00200000u
#define ISA_DATA_BASE	0x00400000u
#define ISA_SCRATCH	(ISA_DATA_BASE + 0x1000)	/* x30: a page boundary */
#define ISA_LOG		(ISA_DATA_BASE + 0x2000)
#define ISA_LOG_ENTRY	528	/* x0..x31, f0..f31, fcsr, zero */

/* What a program is made of; a mask. */
#define ISA_INT		(1u << 0)	/* computation, loads, stores, branches */
#define ISA_MUL		(1u << 1)
#define ISA_ATOMIC	(1u << 2)
#define ISA_SINGLE	(1u << 3)
#define ISA_DOUBLE	(1u << 4)
#define ISA_CSR		(1u << 5)	/* fcsr and its parts */

struct isa_program {
	uint32_t *code;			/* at ISA_CODE_BASE */
	uint32_t num_insns;
	uint8_t *data;			/* at ISA_DATA_BASE */
	uint32_t data_len;
	uint32_t num_blocks;
	uint32_t *block_pc;		/* index into code of each block's start */
};

/* NULL: out of memory. */
struct isa_program *isa_generate(uint64_t seed, unsigned int kinds, unsigned int num_blocks);
/*
 * Words of which many are no instructions. A handler of SIGILL sets the word's
 * byte in a map at ISA_LOG and goes on behind it; an implementation without
 * Linux skips the first ecall (which installs the handler) and does the same.
 */
struct isa_program *isa_generate_encodings(uint64_t seed, unsigned int words);
void isa_free(struct isa_program *p);

#endif
