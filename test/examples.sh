#!/bin/bash
# The tutorial, run as its comments say: each program's output is what test/examples has (TAP).
# make check runs it; CHANSERV_BUILD is where the programs are.
set -u
source=${CHANSERV_SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
build=${CHANSERV_BUILD:-$PWD}
. "$source/test/tap.sh"
scratch=$(mktemp -d) || exit 1
server_pid=
trap '[ -z "$server_pid" ] || kill "$server_pid" 2> /dev/null; rm -rf "$scratch"' EXIT

# says PROGRAM [ARGUMENT]...: ends well and prints what is expected.
says() {
    local name=$1 status=0
    shift
    timeout 60 "$build/examples/$name" "$@" > "$scratch/$name" 2>&1 || status=$?
    diff "$source/test/examples/$name.expected" "$scratch/$name" > "$scratch/diff" 2>&1 || status=1
    verdict $status "$scratch/diff" "$name prints what it should"
}

coproc server { exec "$build/examples/step1_serve" 127.0.0.1:0 2>&1; }
server_pid=$server_PID
addr=
read -t 60 -r word addr <&"${server[0]}"
if [ "$word" = listening ] && [ -n "$addr" ]; then
    ok "step1_serve says where it listens"
else
    not_ok "step1_serve says where it listens" <<< "it said: $word $addr"
fi
says step2_range "$addr"
says step3_choose
says step4_slow
says step5_callbacks "$addr"
says step6_select
says step7_goroutines
says watch
says work_queue
says fan_out
says rendezvous

kill -TERM "$server_pid"
wait "$server_pid"
status=$?
server_pid=
[ $status -eq 0 ]
verdict $? /dev/null "step1_serve ends with 0 when it is told to"

# starts PROGRAM ARGUMENT...: a server, behind $addr; stops: it ends with 0.
starts() {
    coproc server { exec "$build/examples/$1" "${@:2}" 2>&1; }
    server_pid=$server_PID
    read -t 60 -r word addr <&"${server[0]}"
}
stops() {
    kill -TERM "$server_pid"
    wait "$server_pid"
    status=$?
    server_pid=
    [ $status -eq 0 ]
    verdict $? /dev/null "$1 ends with 0 when it is told to"
}
post() { timeout 60 "$build/tools/chanserv" post "$@"; }

# tail: what is there, what is added to it (a line in halves, and a new file), and no more.
mkdir "$scratch/logs"
printf 'one\ntwo\n' > "$scratch/logs/a"
printf 'three\nno newline' > "$scratch/logs/b"
starts tail "$scratch/logs" 127.0.0.1:0
post "$addr" tail '?follow=0' > "$scratch/out" 2>&1
status=$?
sort "$scratch/out" | diff - <(printf '%s\n' 'a: one' 'a: two' 'b: no newline' 'b: three') > "$scratch/diff" &&
    [ $status -eq 0 ]
verdict $? "$scratch/diff" "tail gives what is there"
mkfifo "$scratch/lines"
post --count 5 "$addr" tail '' > "$scratch/lines" &
reader_pid=$!
exec 4< "$scratch/lines"
for _ in 1 2 3; do read -t 60 -r line <&4 && echo "$line"; done > "$scratch/out"
printf ' there was, now' >> "$scratch/logs/b"
printf ' there is\n' >> "$scratch/logs/b"
echo new > "$scratch/logs/c"
for _ in 1 2; do read -t 60 -r line <&4 && echo "$line"; done >> "$scratch/out"
exec 4<&-
wait "$reader_pid"
sort "$scratch/out" | diff - <(printf '%s\n' 'a: one' 'a: two' 'b: no newline there was, now there is' \
    'b: three' 'c: new') > "$scratch/diff"
verdict $? "$scratch/diff" "tail follows: a line that comes in halves, and a new file"
stops tail

# exec: output, how it exited, and that nothing of it is left when the reader leaves.
starts exec 'seq 3; exit 3' 127.0.0.1:0
post --raw "$addr" exec > "$scratch/out" 2> "$scratch/err"
[ $? -ne 0 ] && grep -q 'exit status 3' "$scratch/err" && seq 3 | cmp -s - "$scratch/out"
verdict $? "$scratch/err" "exec gives the output, and the exit status as the post's"
stops exec
mkfifo "$scratch/alive"
starts exec "exec 5> '$scratch/alive'; sleep 1000 & yes" 127.0.0.1:0
timeout 60 cat "$scratch/alive" & # until the last of the group is gone
alive=$!
post --raw --count 1 "$addr" exec > "$scratch/out" 2> "$scratch/err"
wait "$alive"
verdict $? "$scratch/err" "exec: when the reader leaves, the whole group of processes goes"
stops exec

# Nobody there: a status, a line about it, and not a minute of waiting.
timeout 60 "$build/examples/step2_range" "unix:$scratch/nobody" > "$scratch/out" 2> "$scratch/err"
[ $? -eq 1 ] && [ ! -s "$scratch/out" ] && [ "$(wc -l < "$scratch/err")" -eq 1 ]
verdict $? "$scratch/err" "step2_range says in one line that nobody is there"

# quick_check, which the quick start trusts: it sees a byte that differs, and one that is missing.
mkdir "$scratch/served" "$scratch/differs" "$scratch/shorter"
seq 1000 | tee "$scratch/served/a" | sed 's/^777$/778/' > "$scratch/differs/a"
head -c 1000 "$scratch/served/a" > "$scratch/shorter/a"
coproc server { exec "$build/tools/chanserv" serve --listen 127.0.0.1:0 \
    --service "a=tail:$scratch/served" --service "b=tail:$scratch/shorter" 2>&1; }
server_pid=$server_PID
read -t 60 -r word addr <&"${server[0]}"
# checks STATUS SERVICE DIRECTORY NAME
checks() {
    timeout 60 "$build/examples/quick_check" "$addr" "$2" "$scratch/$3" > "$scratch/out" 2>&1
    [ $? -eq "$1" ]
    verdict $? "$scratch/out" "$4"
}
checks 0 a served "quick_check: the same bytes are the same"
checks 1 a differs "quick_check sees a byte that differs"
checks 1 b served "quick_check sees bytes that did not come"
checks 1 a shorter "quick_check sees bytes that are not on disk"
checks 1 nobody served "quick_check sees that there is no service"
kill -TERM "$server_pid"
wait "$server_pid"
server_pid=

# A newcomer reads each in one go.
wc -l "$source"/examples/step*.c | awk '$2 != "total" && $1 > 60' > "$scratch/long"
[ ! -s "$scratch/long" ]
verdict $? "$scratch/long" "no step is longer than 60 lines"
tap_end
