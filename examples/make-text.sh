#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Print some megabytes of real text that this machine has: licences, then the
# texts of Perl's library, then C headers until it is enough.

set -eu
export LC_ALL=C

limit=${1:-6000000}

texts() {
	find -L /usr/share/common-licenses -type f 2>/dev/null | sort
	find -L /usr/share/perl/5* -type f -name '*.pod' 2>/dev/null | sort
	find -L /usr/share/perl/5* -type f -name '*.pm' 2>/dev/null | sort
	find -L /usr/include -type f -name '*.h' 2>/dev/null | sort
}

# head ends the pipe early: cat's complaint about that is not of interest.
texts | tr '\n' '\0' | xargs -0 cat 2>/dev/null | head -c "$limit"
