# SPDX-License-Identifier: MIT
# program_test compiles GPU programs; it skips what has no compiler here.
export GSVM_CC ?= $(top)/libsvm/gsvm-cc
export GSVM_PROGRAMS := $(here)/tests/programs
