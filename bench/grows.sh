#!/bin/bash
# Does a frame cost more when there are more streams?  Instructions by callgrind, which nothing around
# can disturb, and time without it.
#
#     bench/grows.sh [BUILD] [STREAMS...]    BUILD: a build with bench/grows, else .build/bench
#
# Fails when instructions a frame differ by more than a tenth.
set -eu -o pipefail
build=${1:-$(dirname "$0")/../.build/bench}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 10 1000 100000
program=$build/bench/grows
frames=${BENCH_UNITS:-20000}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C

printf '| streams | instructions a frame | ns a frame |\n|---|---|---|\n'
for streams; do
    ns=$("$program" "$streams" | sed 's/.*"ns_a_frame":\([^,}]*\).*/\1/')
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" --collect-atstart=no \
        --toggle-collect=measured "$program" "$streams" "$frames" > "$scratch/said" 2>&1 ||
        { cat "$scratch/said" >&2; exit 1; }
    instructions=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/out" | tail -n 1)
    counted=$(sed -n 's/.*"frames":\([0-9]*\).*/\1/p' "$scratch/said")
    awk "BEGIN { printf \"| %d | %.0f | %.0f |\n\", $streams, $instructions / $counted, $ns }"
done | tee "$scratch/table"
awk -F'|' '{ n = $3 + 0; if (!least || n < least) least = n; if (n > most) most = n }
    END { printf "instructions: most / least = %.2f\n", most / least; exit most > 1.1 * least }' "$scratch/table"
