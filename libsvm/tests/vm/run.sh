#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run the library's tests that need a GPU; the build puts this script beside
# them. Each program's TAP goes to standard output, with the program's name
# before each test. The exit status is not 0 when anything failed.
#
# usage: run.sh [PROGRAM...]

set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- "$here"/*_test
total=0
failed=0

for program in "$@"; do
	name=$(basename "$program" _test)
	log=$(mktemp) || exit 1
	timeout 300 "$program" > "$log" 2>&1
	status=$?
	awk -v name="$name" -v n="$total" '
		/^(not )?ok [0-9]+/ { n++; sub(/ok [0-9]+ - /, "ok " n " - " name ": ") }
		/^1\.\./ { next }
		{ print }' "$log"
	count=$(grep -cE '^(not )?ok ' "$log")
	plan=$(sed -n 's/^1\.\.//p' "$log")
	total=$((total + count))
	# Did it come to its end, and find all good?
	total=$((total + 1))
	if [ $status = 0 ] && [ "$plan" = "$count" ]; then
		echo "ok $total - $name: complete"
	else
		echo "not ok $total - $name: complete (status $status, $count of ${plan:-?} tests)"
		failed=1
	fi
	rm -f "$log"
done
echo "1..$total"
exit $failed
