#!/bin/bash
# The recipe for curl in docs/WIRE, run as it stands there but for the address (TAP).
set -u
source=${CHANSERV_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${CHANSERV_BUILD:-$PWD}
. "$source/test/tap.sh"
scratch=$(mktemp -d) || exit 1
. "$source/test/docs/page.sh"
page=$source/docs/WIRE

if ! curl --version 2> /dev/null | grep -qw HTTP2; then
    skip "there is no curl that speaks HTTP/2"
    tap_end
fi
serve "$build/tools/chanserv" serve --listen 127.0.0.1:0 --service gen=gen
verdict $? /dev/null "chanserv serves gen"

block "$page" bash 1 | sed "s|127\.0\.0\.1:5555|$addr|" > "$scratch/recipe"
block "$page" text 1 > "$scratch/expected"
(cd "$scratch" && timeout 60 bash -eu recipe) > "$scratch/printed" 2> "$scratch/said"
verdict $? "$scratch/said" "the recipe works"

# ".." is a byte that differs each time; then so do the characters behind.
same() {
    local want got
    while IFS= read -r want <&3; do
        IFS= read -r got <&4 || { echo "missing: $want"; return 1; }
        got=${got%$'\r'}
        if [[ ${want%%  >*} == *..* ]]; then
            want=${want%%  >*}
            got=${got%%  >*}
            [[ $got == ${want//../[0-9a-f][0-9a-f]} ]] || { echo "$want: $got"; return 1; }
        elif [ "$want" != "$got" ]; then
            echo "$want: $got"
            return 1
        fi
    done 3< "$scratch/expected" 4< "$scratch/printed"
    [ "$(wc -l < "$scratch/expected")" -eq "$(wc -l < "$scratch/printed")" ]
}
[ -s "$scratch/expected" ] && same > "$scratch/said"
verdict $? "$scratch/said" "and prints what the page says"
tap_end
