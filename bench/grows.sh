#!/bin/bash
# Does a frame cost more when there are more streams?  Instructions by callgrind, which nothing around
# can disturb, and time without it; each with sessions, which is the default, and without.
#
#     bench/grows.sh [BUILD] [STREAMS...]    BUILD: a build with bench/grows, else .build/bench
#
# Needs valgrind.
set -eu -o pipefail
build=${1:-$(dirname "$0")/../.build/bench}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 10 1000 100000
program=$build/bench/grows
frames=20000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C

# cost STREAMS: " instructions | nanoseconds |", a frame.
cost() {
    local ns counted instructions
    ns=$("$program" "$1" | sed 's/.*"ns_a_frame":\([^,}]*\).*/\1/')
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" --collect-atstart=no \
        --toggle-collect=measured "$program" "$1" "$frames" > "$scratch/said" 2>&1 ||
        { cat "$scratch/said" >&2; exit 1; }
    counted=$(sed -n 's/.*"frames":\([0-9]*\).*/\1/p' "$scratch/said")
    instructions=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/out" | tail -n 1)
    awk "BEGIN { printf \" %.0f | %.0f |\", $instructions / $counted, $ns }"
}

echo '| streams | instructions a frame | ns a frame | instructions, no session | ns, no session |'
echo '|---|---|---|---|---|'
for streams; do
    echo "| $streams |$(cost "$streams")$(BENCH_RESUME=-1 cost "$streams")"
done
