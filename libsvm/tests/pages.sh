#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages are well-formed, and say what gsvm.h says: each prototype
# appears in the page of its function.
#
# usage: pages.sh SOURCE OUTPUT

# A condition's status is what result() is to report.
# shellcheck disable=SC2319
set -u
here=$1
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

# The page itself, or the one that it refers to.
page() {
	target=$(sed -n 's,^\.so man3/,,p' "$here/man/$1")
	echo "$here/man/${target:-$1}"
}

# Prototypes without line breaks and doubled blanks.
squeeze() { tr '\n\t' '  ' | sed 's/  */ /g; s/( /(/g'; }

header=$(awk '{ gsub(/\/\*.*\*\//, "") } /\/\*/ { c = 1 } !c { print } /\*\// { c = 0 }' \
	"$here/gsvm.h" | squeeze)

for file in "$here"/man/*.3; do
	name=$(basename "$file")
	if grep -q '^\.so ' "$file"; then
		[ -f "$(page "$name")" ]
		result $? "$name: refers to a page"
		continue
	fi
	if command -v mandoc >/dev/null; then
		mandoc -T lint -W warning "$file" >&2
		result $? "$name: mandoc -T lint"
	elif command -v man >/dev/null; then
		[ -z "$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z \
			"$file" 2>&1 >/dev/null)" ]
		result $? "$name: man --warnings"
	else
		n=$((n + 1))
		echo "ok $n - $name: form # SKIP neither mandoc nor man"
	fi
done

for f in $(grep -oE '^	gsvm_[a-z_]+;' "$here/gsvm.map" | tr -d '\t;'); do
	prototype=$(echo "$header" | grep -oE "[a-z][a-z0-9_]*( [a-z][a-z0-9_]*)* \**$f\([^;]*;" | tail -1)
	text=$(sed 's/^\.[A-Z]* //; s/"//g; s/\\-/-/g' "$(page "$f.3")" 2>/dev/null | squeeze)
	case $text in
	*"${prototype:-no prototype}"*) result 0 "$f: prototype" ;;
	*)
		result 1 "$f: prototype"
		echo "# $prototype"
		;;
	esac
done

echo "1..$n"
exit $failed
