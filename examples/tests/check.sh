#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The examples, with CPU threads for a GPU, on texts with traps in them.

set -u
out=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

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

count() { "$out/tests/wordcount_mock" "$1" > "$tmp/log" 2>&1; }
# What it says about the number of words, all and different.
said() { grep -q "every count is the same ($1 words, $2 different)" "$tmp/log"; }

count "$out/text.txt"
result $? "wordcount: real text"
lines=$(tr -cs 'A-Za-z' '\n' < "$out/text.txt" | grep -c .)
kinds=$(tr -cs 'A-Za-z' '\n' < "$out/text.txt" | grep . | tr A-Z a-z | LC_ALL=C sort -u | wc -l)
said "$lines" "$kinds"
result $? "wordcount: $lines words, $kinds different, by other tools too"

# Words at, over and between the borders of the parts of 512 bytes.
awk 'BEGIN { for (i = 0; i < 511; i++) printf "x"; printf " the";
	for (i = 0; i < 509; i++) printf "."; printf "THE";
	for (i = 0; i < 2000; i++) printf "long"; printf " end" }' > "$tmp/borders"
count "$tmp/borders" && said 4 4
result $? "wordcount: words over borders"

printf 'A' > "$tmp/one"
count "$tmp/one" && said 1 1
result $? "wordcount: one letter"

printf '1234 \377\301\341 ..' > "$tmp/none"
count "$tmp/none" && said 0 0
result $? "wordcount: no word at all"

: > "$tmp/empty"
count "$tmp/empty"
[ $? = 1 ]
result $? "wordcount: an empty file is refused"

"$out/tests/graph_mock" > "$tmp/log" 2>&1 && grep -q "found the same distances" "$tmp/log"
result $? "graph"

echo "1..$n"
exit $failed
