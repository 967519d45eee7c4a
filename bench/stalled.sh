#!/bin/bash
# Does one stalled source among 1,000 slow the others?  Paired runs, in turns: with and without one
# more source that is open, full and never read.
#
#     bench/stalled.sh PEER [PAIRS]        PEER: the built bench/peer
set -eu
peer=${1:?usage: bench/stalled.sh PEER [PAIRS]}
pairs=${2:-15}

one() {
    local port=$((20000 + RANDOM % 20000)) server
    coproc server_out { exec "$peer" server "$port" w3; }
    server=$server_out_PID
    read -r _ <&"${server_out[0]}"
    "$peer" client "$port" w3 "$1" | sed 's/.*"figure":\([^,]*\),.*/\1/'
    kill "$server"
    wait "$server" 2> /dev/null || true
}

for ((i = 0; i < pairs; i++)); do
    echo "$(one "") $(one stalled)"
done | awk '
    { ratio[NR] = $2 / $1; printf "%12.0f msgs/s alone  %12.0f beside a stalled one  %.3f\n", $1, $2, ratio[NR] }
    END {
        for (i = 1; i <= NR; i++) for (j = i + 1; j <= NR; j++)
            if (ratio[j] < ratio[i]) { t = ratio[i]; ratio[i] = ratio[j]; ratio[j] = t }
        printf "median ratio %.3f of %d pairs\n", ratio[int((NR + 1) / 2)], NR
    }'
