#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The benchmarks, in a VM with a GPU: what `make bench` runs. Arguments go to
# gsvm-bench.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
out=${BENCH_O:-$top/build/out/bench}

echo "kernel $(uname -r), CPUs $(nproc), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo "Emulated CPU and GPU: only ratios within one run mean anything."

# The peer. It needs DEVICE_PRIVATE memory and a module that fits this kernel.
if [ -e "$out/test_hmm.ko" ] && ! [ -e /dev/hmm_dmirror0 ]; then
	insmod "$out/test_hmm.ko" || echo "test_hmm.ko does not load; it is left out"
fi

LD_LIBRARY_PATH=$top/build/out/libsvm${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
	exec "$out/gsvm-bench" "$@"
