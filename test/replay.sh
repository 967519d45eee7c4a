#!/bin/bash
# Gives each fuzzer its corpus: test/fuzz/NAME_fuzz gets every file of test/fuzz/corpus/NAME (TAP:
# one result each).  A fuzzer without a corpus is a failure, as it would test nothing.
set -u
source=${CHANSERV_SOURCE:?make check sets it}
. "$source/test/tap.sh"
scratch=$(mktemp) || exit 1
trap 'rm -f "$scratch"' EXIT
for program in ${FUZZ_PROGRAMS:-}; do
    name=$(basename "$program" _fuzz)
    files=$(find "$source/test/fuzz/corpus/$name" -type f 2>/dev/null | sort)
    count=$(printf '%s' "$files" | grep -c '')
    if [ "$count" -eq 0 ]; then
        not_ok "$program: test/fuzz/corpus/$name is empty" < /dev/null
        continue
    fi
    printf '%s\n' "$files" | tr '\n' '\0' |
        timeout 300 xargs -0 "${CHANSERV_BUILD:?}/$program" > "$scratch" 2>&1
    verdict $? "$scratch" "$program replays its $count files"
done
tap_end
