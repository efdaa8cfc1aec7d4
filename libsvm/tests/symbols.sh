#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library exports what gsvm.h declares, no more and no less, and each
# function has a manual page and is called by a native test.
#
# usage: symbols.sh SOURCE OUTPUT

# A condition's status is what result() is to report.
# shellcheck disable=SC2319
set -u
here=$1
out=$2
n=0
failed=0

result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

# Comments out, then every name before a parenthesis.
declared=$(awk '{ gsub(/\/\*.*\*\//, "") } /\/\*/ { c = 1 } !c { print } /\*\// { c = 0 }' \
	"$here/gsvm.h" | grep -oE '\bgsvm_[a-z_]+\(' | tr -d '(' | sort -u)
mapped=$(grep -oE '^	gsvm_[a-z_]+;' "$here/gsvm.map" | tr -d '\t;' | sort -u)
exported=$(nm -D --defined-only --no-weak "$out/libdrm_gsvm.so" | awk '$2 != "A" { print $3 }' |
	sed 's/@.*//' | sort -u)

[ "$(echo "$declared" | wc -l)" -ge 40 ]
result $? "gsvm.h: $(echo "$declared" | wc -l) functions"
[ "$declared" = "$mapped" ]
result $? "gsvm.map names what gsvm.h declares"
[ "$declared" = "$exported" ]
result $? "the library exports what gsvm.h declares"
nm -D --defined-only "$out/libdrm_gsvm.so" | grep -q '@@LIBDRM_GSVM_1.0$'
result $? "symbols carry their version"
readelf -d "$out/libdrm_gsvm.so" | grep -q 'SONAME.*\[libdrm_gsvm.so.1\]'
result $? "soname"
# Sanitizers keep variables of their own.
if [ -z "${SANITIZE:-}" ]; then
	[ -z "$(size -A "$out/libdrm_gsvm.a" |
		awk '$1 ~ /^\.(data|bss|tdata|tbss)($|\.)/ && $1 !~ /rel\.ro/ && $2' | tee /dev/stderr)" ]
	result $? "no global state"
else
	n=$((n + 1))
	echo "ok $n - no global state # SKIP sanitized library"
fi

for f in $declared; do
	[ -f "$here/man/$f.3" ]
	result $? "$f: manual page"
	grep -qE "\b$f\(" "$here"/tests/*_test.c
	result $? "$f: called by a test"
done

echo "1..$n"
exit $failed
