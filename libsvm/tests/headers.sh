#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gsvm.h compiles alone, twice, in C and C++, with all warnings, and together
# with the headers of the hardware and the driver.
#
# usage: headers.sh SOURCE OUTPUT

set -u
here=$1
out=$2
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

cat > "$tmp/alone.c" <<EOF
#include <gsvm.h>
#include <gsvm.h>
int main(void)
{
	struct gsvm_grid grid = { { 1, 0, 0 }, { 0, 0, 0 }, 0, 0 };
	struct gsvm_error error;
	error.size = sizeof(error);
	return grid.items[0] + (int)error.size == 0 || gsvm_device_close(0);
}
EOF
cp "$tmp/alone.c" "$tmp/alone.cc"
cat > "$tmp/all.c" <<EOF
#include <gsvm_hw.h>
#include <gsvm_drm.h>
#include <gsvm.h>
int main(void) { return sizeof(struct gsvm_signal) != GSVM_SIGNAL_SIZE; }
EOF

warnings="-Wall -Wextra -Werror -pedantic -fsyntax-only -I$here"
for standard in c11 c17 gnu11; do
	$CC -std=$standard $warnings -Wstrict-prototypes "$tmp/alone.c"
	result $? "gsvm.h: $standard"
done
for standard in c++11 c++17 c++20; do
	$CXX -std=$standard $warnings "$tmp/alone.cc"
	result $? "gsvm.h: $standard"
done
# The kernel's headers are not pedantic.
# shellcheck disable=SC2046 # flags are words
$CC -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -I"$here" -I"$here/../hw" \
	-I"$here/../uapi/drm" -I"$out/include" $(pkg-config --cflags libdrm) "$tmp/all.c"
result $? "gsvm.h beside gsvm_hw.h and gsvm_drm.h"

# What pkg-config says is enough to build a program.
if [ -z "${SANITIZE:-}" ]; then
	# shellcheck disable=SC2046 # flags are words
	$CC -o "$tmp/program" "$tmp/alone.c" \
		$(PKG_CONFIG_PATH=$out pkg-config --define-variable=includedir="$here" \
		  --define-variable=libdir="$out" --cflags --libs libdrm_gsvm) &&
		LD_LIBRARY_PATH=$out "$tmp/program"
	result $? "a program built with pkg-config"
else
	n=$((n + 1))
	echo "ok $n - a program built with pkg-config # SKIP sanitized library"
fi

echo "1..$n"
exit $failed
