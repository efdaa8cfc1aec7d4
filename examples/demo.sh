#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run all examples on the GPU of this (virtual) machine. The exit status is not
# 0 when any of them fails or computes anything else than the CPU.
#
# usage: examples/demo.sh [TEXT]
#
# OUT is the output directory of the build.

top=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-$top/build/out}
text=${1:-${out#"$PWD"/}/examples/text.txt}
LD_LIBRARY_PATH=$out/libsvm${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

failed=
run() {
	title=$1
	shift
	printf '\n=== %s\n\n' "$title"
	"$@" || failed="$failed $(basename "$1")"
}

run "wordcount: the GPU fills a malloc'ed hash table from a mapped file" \
	"$out/examples/wordcount" "$text"
run "graph: the GPU searches through heap, stack and global variables" \
	"$out/examples/graph"
run "opencl: an OpenCL C kernel writes a mapped file" \
	"$out/examples/opencl"

echo
if [ -n "$failed" ]; then
	echo "demo: FAILED:$failed" >&2
	exit 1
fi
