#!/bin/bash
# Runs one Criterion program for the driver of make check: its results as TAP, and what else it
# and the sanitizers have to say as comments.
#
# Criterion has four habits that this file is about.  A test that hangs may hang for ever.  A test
# that leaks passes, unless the sanitizer aborts; its report goes nowhere then, so it is sent to a
# file.  A program without tests is a success.  What tests print is mixed with the results when both
# go to standard output.
set -u
program=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

export ASAN_OPTIONS="abort_on_error=1:detect_leaks=1:${ASAN_OPTIONS:-}:log_path=$scratch/report"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}:log_path=$scratch/report"
timeout --kill-after=10 "${CHANSERV_TEST_SECONDS:-600}" \
    "$program" --timeout 60 --verbose "--tap=$scratch/tap" > "$scratch/said" 2>&1
status=$?

cat "$scratch/said" "$scratch"/report* 2>/dev/null | sed 's/^/# /'
cat "$scratch/tap" 2>/dev/null
if [ $status -eq 124 ]; then
    echo "Bail out! $program did not end"
    exit 1
fi
if ! grep -q '^1\.\.[1-9]' "$scratch/tap" 2>/dev/null; then
    echo "Bail out! $program has run no test"
    exit 1
fi
exit $status
