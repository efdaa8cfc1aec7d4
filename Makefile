# SPDX-License-Identifier: MIT
#
# gsvm: a GPU stack for shared virtual memory.
#
#   make              build what this machine's compilers can, into build/native
#   make modules      build the driver for KDIR (default: the running kernel)
#   make install      user space under $(DESTDIR)$(PREFIX)
#   make modules_install  the driver under $(DESTDIR)/lib/modules
#
#   make demo         set everything up, boot a VM with a GPU, run the demo
#   make check        set everything up, run all tests
#   make check-native        the tests that need no VM
#   make check-vm TESTS=RE   the tests in VMs, of those the ones that match
#   make check-debug         the tests on the debug kernel, and the model
#   make bench        the benchmarks, in a VM
#   make lint         every linter
#   make root         only the build root (tools/mkroot)
#   make build        build everything inside the root, into build/out
#   make debug-kernel a kernel that tells what is wrong (KASAN, lockdep, KUnit
#                     and more), and the driver for it
#   make clean        remove what was built; make distclean: the root as well
#
# V=1 shows the commands. CC, CFLAGS, LDFLAGS, PREFIX and DESTDIR are honoured.
# demo, check, bench, lint and build compile inside build/root, so that no
# result depends on this machine's compilers.
#
# The contract with the directories below: gpu, libsvm, igt-tests, bench and
# examples each have a Makefile that works alone, with
#
#   O          absolute output directory, by default $(top)/build/out/DIRECTORY
#   LIBSVM_O   where libsvm was built, by default $(top)/build/out/libsvm
#   CC CFLAGS LDFLAGS PREFIX DESTDIR V
#   SANITIZE   "address,undefined" or "thread"; comes with an O of its own
#   all check install clean
#
# check prints TAP ("ok N - name", "not ok N - name", "ok N - name # SKIP why",
# and a plan "1..N" per program) and fails if a test did. drm has a Kbuild.
# tools/check has the table of all test suites.

top := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))

in_root := $(wildcard /etc/gsvm-root)

OUT    ?= $(top)/build/$(if $(in_root),out,native)
PREFIX ?= /usr/local
KDIR   ?= /lib/modules/$(if $(in_root),$(shell cat /etc/gsvm-kernel),$(shell uname -r))/build
MOUT   ?= $(OUT)/drm

# In the order in which they need each other.
dirs := gpu libsvm igt-tests examples bench

Q := $(if $(filter 1,$(V)),,@)
MAKEFLAGS += --no-print-directory
export V PREFIX DESTDIR

.PHONY: all modules modules_install install uninstall root build demo check \
	check-native check-vm check-debug debug-kernel debug-modules bench lint clean distclean help
.DELETE_ON_ERROR:

all:

help:
	@sed -n '3,/^$$/{s/^# \{0,1\}//;p}' $(top)/Makefile | sed '/^The contract/,$$d'

# --- what this machine can build ------------------------------------------

# A directory needs tools that a machine may lack. The root has them all: there
# nothing is ever left out.
missing_libsvm    = $(if $(shell pkg-config --exists libdrm && echo y),,libdrm-dev and pkg-config)
missing_gpucc     = $(if $(shell command -v riscv64-unknown-elf-gcc),,gcc-riscv64-unknown-elf)
missing_clang     = $(if $(shell command -v clang-21 clang-20 clang-19 clang-18),,clang-19)
missing_igt       = $(if $(shell ldconfig -p 2>/dev/null | grep libigt.so.0),,intel-gpu-tools)
missing_igt-tests = $(or $(missing_libsvm),$(missing_gpucc),$(missing_igt))
missing_examples  = $(or $(missing_libsvm),$(missing_gpucc),$(missing_clang))
missing_bench     = $(or $(missing_libsvm),$(missing_gpucc))

# sub DIRECTORY, TARGET: do it there, or say why not.
sub = $(Q)$(if $(if $(in_root),,$(missing_$(1))),echo "skip $(1): install $(missing_$(1)) first",$\
	$(MAKE) -C $(top)/$(1) O=$(OUT)/$(1) LIBSVM_O=$(OUT)/libsvm $(2))

$(dirs:%=all-%): all-%:
	$(call sub,$*,all)
$(dirs:%=install-%): install-%: all-%
	$(call sub,$*,install)
all-igt-tests all-examples all-bench: all-libsvm

.PHONY: $(dirs:%=all-%) $(dirs:%=install-%)

all: $(dirs:%=all-%)

# Tests are not installed unless asked for: make -C igt-tests install.
install: install-gpu install-libsvm

# --- the driver -------------------------------------------------------------

# The symbol is the one of Kconfig; nothing but this sets it outside a kernel
# tree. MO= came with Linux 6.13, and every kernel that the driver builds on is
# newer.
kbuild = $(MAKE) -C $(KDIR) M=$(top)/drm MO=$(MOUT) CONFIG_DRM_GSVM=m $(if $(W),W=$(W)) $(if $(C),C=$(C))

modules:
	$(Q)[ -e $(KDIR)/Makefile ] || { \
		echo "modules: no kernel headers in $(KDIR): install linux-headers for this kernel or set KDIR=" >&2; exit 1; }
	$(Q)mkdir -p $(MOUT)
	$(Q)$(kbuild) modules

modules_install: modules
	$(Q)$(kbuild) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) modules_install

# --- everything, inside the root --------------------------------------------

root:
	$(Q)$(top)/tools/mkroot

# Inside the root this is the whole build; outside, it goes there first.
ifneq ($(in_root),)
build: all modules
	$(Q)$(MAKE) -C $(top)/libsvm O=$(OUT)/libsvm vm-tests
else
build: root
	$(Q)cd $(top) && tools/inroot make -j$(shell nproc) build W=1
endif

# The driver and its unit tests for the debug kernel.
DEBUG_KDIR := $(top)/build/kernel-debug

ifneq ($(in_root),)
debug-modules:
	$(Q)$(MAKE) modules KDIR=$(DEBUG_KDIR) MOUT=$(top)/build/out-debug/drm W=1
debug-kernel: debug-modules
else
debug-kernel: root
	$(Q)$(top)/tools/mkkernel debug
	$(Q)cd $(top) && tools/inroot make debug-modules
debug-modules: debug-kernel
endif

demo: build
	$(Q)cd $(top) && tools/gsvm-vm --gpus 1 -- examples/demo.sh

bench: build
	$(Q)cd $(top) && tools/gsvm-vm --gpus 1 --mem 4G -- bench/run.sh

check check-native check-vm check-debug:
	$(Q)TESTS='$(TESTS)' $(top)/tools/check $(patsubst check-%,%,$(patsubst check,all,$@))

lint: root
	$(Q)cd $(top) && tools/inroot tools/lint

clean:
	$(Q)rm -rf $(top)/build/out $(top)/build/out-* $(top)/build/native \
		$(top)/build/results $(top)/build/vm

# Some files of the root and its cache belong to mapped users, if an ordinary
# user made them.
distclean: clean
	$(Q)[ "$$(id -u)" = 0 ] || [ ! -e $(top)/build/root ] || \
		unshare --user --map-root-user --map-auto \
		rm -rf --one-file-system $(top)/build/root $(top)/build/cache
	$(Q)rm -rf --one-file-system $(top)/build
