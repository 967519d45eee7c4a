#!/bin/bash
# Runs the plain programs of test/tsan (TAP: one result each).  In a build with ThreadSanitizer a
# race makes them fail; in any other build they are tests of what they do.
set -u
. "${CHANSERV_SOURCE:?make check sets it}/test/tap.sh"
scratch=$(mktemp) || exit 1
trap 'rm -f "$scratch"' EXIT
for program in ${THREAD_PROGRAMS:-}; do
    timeout 300 "${CHANSERV_BUILD:?}/$program" > "$scratch" 2>&1
    verdict $? "$scratch" "$program"
done
tap_end
