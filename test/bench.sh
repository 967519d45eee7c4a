#!/bin/bash
# The programs of bench/: each workload for a short fixed count is right, and with one wrong byte it is
# not; and bench/run makes its tables and plots of what they say.  No figure is held to anything (TAP).
set -u
export LC_ALL=C.UTF-8
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/test/tap.sh"
build=${CHANSERV_BUILD:-$top}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
unset "${!BENCH_@}"

# The plainest of the peers; the others need libraries that only bench/run --peers asks for.
mkdir "$scratch/build" "$scratch/build/peers"
ln -s "$(cd "$build" && pwd)/bench" "$scratch/build/bench"
make -s -C "$top/bench/peers" BIN="$scratch/build/peers" "$scratch/build/peers/raw" > "$scratch/said" 2>&1
verdict $? "$scratch/said" "a peer is made"

bench() { "$top/bench/run" --build "$scratch/build" -p chanserv,raw "$@"; }

# Its lines are ours.
while IFS= read -r line; do
    case $line in
    'ok '*) ok "${line#ok * - }" ;;
    'not ok '*) sed -n "/^${line%% - *} - /q; /^#/p" "$scratch/check" | tail -n 20 | not_ok "${line#not ok * - }" ;;
    esac
done < <(bench --check -w w1-64,w2-1048576,w3,w4,w5,w6,w7,connect,heavy,flood,beside,loops,meet 2>&1 | tee "$scratch/check")
grep -q '^1\.\.[1-9]' "$scratch/check"
verdict $? "$scratch/check" "all of them were asked"

for corrupt in '' 1; do
    BENCH_CORRUPT=$corrupt
    [ -z "$corrupt" ] && unset BENCH_CORRUPT || export BENCH_CORRUPT
    "$build/bench/grows" 20 200 > "$scratch/said" 2>&1
    [ $? -eq "${corrupt:-0}" ]
    verdict $? "$scratch/said" "grows ${corrupt:+notices a wrong byte}${corrupt:-is right}"
done
unset BENCH_CORRUPT
for shape in barrier pairs refusals; do
    "$build/bench/rendezvous" crowd $shape 100 10 > "$scratch/said" 2>&1
    verdict $? "$scratch/said" "a crowd of $shape is right"
done
BENCH_CORRUPT=1 "$build/bench/rendezvous" crowd pairs 100 10 > "$scratch/said" 2>&1
[ $? -eq 1 ]
verdict $? "$scratch/said" "a crowd notices a wrong byte"

bench -w w7 -r 2 -s 0.05 --free -o "$scratch/lines" --plots "$scratch/plots" > "$scratch/tables" 2> "$scratch/said"
verdict $? "$scratch/said" "rounds are run"
[ "$(wc -l < "$scratch/lines")" -eq 14 ]
verdict $? "$scratch/lines" "a line a program and round is kept"
grep -q '^| chanserv | [0-9.]* ([0-9.]* / - / 1.0) |' "$scratch/tables"
verdict $? "$scratch/tables" "a table has the medians and ratios"
python3 -c 'import sys, xml.etree.ElementTree as t; [t.parse(f) for f in sys.argv[1:]]' "$scratch"/plots/w7-*.svg \
    > "$scratch/said" 2>&1 && [ -s "$scratch/plots/w7-free-latency.svg" ]
verdict $? "$scratch/said" "the plots are SVG"
"$top/bench/run" --report "$scratch/lines" | cmp - <(sed '/\.svg$/d' "$scratch/tables") > "$scratch/said" 2>&1
verdict $? "$scratch/said" "the tables can be had again from the lines"
tap_end
