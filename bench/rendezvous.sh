#!/bin/bash
# What does one more who comes cost where many wait at the same event?  Instructions by callgrind, which
# nothing around can disturb, and how many times those where few wait: more than 3 times is a failure.
#
#     bench/rendezvous.sh [BUILD] [WAITERS...]    BUILD: a build with bench/rendezvous, else .build/bench
#
# Needs valgrind.
set -eu -o pipefail
build=${1:-$(dirname "$0")/../.build/bench}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 100 10000
program=$build/bench/rendezvous
steps=200
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C BENCH_MAX=600

# cost SHAPE WAITERS: instructions an arrival.
cost() {
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" --collect-atstart=no \
        --toggle-collect=measured "$program" crowd "$1" "$2" $steps > "$scratch/said" 2>&1 ||
        { cat "$scratch/said" >&2; exit 1; }
    local arrivals instructions
    arrivals=$(sed -n 's/.*"arrivals":\([0-9]*\).*/\1/p' "$scratch/said")
    instructions=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/out" | tail -n 1)
    awk "BEGIN { printf \"%.0f\", $instructions / $arrivals }"
}

echo '| shape | waiters | instructions an arrival | times the first |'
echo '|---|---|---|---|'
status=0
for shape in barrier pairs refusals; do
    first=
    for waiters; do
        now=$(cost $shape "$waiters")
        first=${first:-$now}
        echo "| $shape | $waiters | $now | $(awk "BEGIN { printf \"%.2f\", $now / $first }") |"
        [ "$now" -le $((3 * first)) ] || status=1
    done
done
exit $status
