#!/bin/bash
# The README is true: its programs compile as they stand there, run, and print what it says; what
# it points at is there (TAP).  make check runs it.
set -u
source=${CHANSERV_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${CHANSERV_BUILD:-$PWD}
cc=${CC:-cc}
. "$source/test/tap.sh"
scratch=$(mktemp -d) || exit 1
. "$source/test/docs/page.sh"
readme=$source/README.md
socket=unix:$scratch/socket

[ "$(blocks "$readme" c)" -eq 2 ] && [ "$(blocks "$readme" text)" -eq 2 ]
verdict $? /dev/null "the README has two programs, and two outputs"

# The programs as they are, but for the address.
n=0
for program in server client; do
    n=$((n + 1))
    block "$readme" c $n | sed "s|\"localhost:5555\"|\"$socket\"|" > "$scratch/$program.c"
    [ "$(grep -cF "\"$socket\"" "$scratch/$program.c")" -eq 1 ]
    verdict $? /dev/null "the $program of the README is at localhost:5555"
    # shellcheck disable=SC2086
    (cd "$scratch" && "$build/libtool" --quiet --tag=CC --mode=link $cc -std=c11 -Wall -Wextra \
        -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror \
        ${SANITIZERS:-} -I"$source" "$program.c" -o $program "$build/libchanserv.la") \
        > "$scratch/said" 2>&1
    verdict $? "$scratch/said" "the $program of the README compiles without a warning"
done

block "$readme" text 1 > "$scratch/expected"
block "$readme" text 2 | sed "s|localhost:5555|$socket|" > "$scratch/refused"
[ -s "$scratch/expected" ] && [ -s "$scratch/refused" ]
verdict $? /dev/null "the README says what they print"

"$scratch/server" > "$scratch/server.said" 2>&1 &
server=$!
pids+=($server)
# It does not say when it is ready: until then the client is refused, at once.
status=1
until [ $status -eq 0 ] || [ $SECONDS -gt 60 ]; do
    timeout 60 "$scratch/client" > "$scratch/printed" 2> "$scratch/said"
    status=$?
    kill -0 $server 2> /dev/null || break
done
cat "$scratch/server.said" >> "$scratch/said"
verdict $status "$scratch/said" "the client of the README ends well"
diff "$scratch/expected" "$scratch/printed" > "$scratch/said"
verdict $? "$scratch/said" "the client of the README prints what it says"

kill $server
wait $server 2> /dev/null
timeout 60 "$scratch/client" > "$scratch/printed" 2>&1
status=$?
diff "$scratch/refused" "$scratch/printed" > "$scratch/said"
verdict $? "$scratch/said" "with nobody there it says what the README says"
[ $status -eq 1 ]
verdict $? /dev/null "with nobody there it exits 1"

# [name](path) of this tree, in any page.
for page in README.md docs/ARCHITECTURE docs/WIRE docs/OPERATIONS docs/RENDEZVOUS; do
    grep -o '](\([^)]*\))' "$source/$page" | sed 's/^](//; s/)$//' | grep -v '^http' |
        while read -r path; do
            [ -e "$(dirname "$source/$page")/$path" ] || echo "$page points at $path"
        done > "$scratch/said"
    [ -f "$source/$page" ] && [ ! -s "$scratch/said" ]
    verdict $? "$scratch/said" "what $page points at is there"
done
for command in examples/quickstart test/run; do
    [ -x "$source/$command" ] && grep -q "^    $command " "$readme"
    verdict $? /dev/null "the README's $command is a program"
done
cmp "$source/README" "$readme" > "$scratch/said" 2>&1
verdict $? "$scratch/said" "README is README.md"
tap_end
