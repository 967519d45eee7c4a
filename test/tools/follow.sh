#!/bin/bash
# `chanserv post --follow` with the real program, and servers that are killed (TAP).
. "$(dirname "$0")/kit.sh"

# serve: on the same socket as ever, until it said where it listens.
serve() {
    rm -f ready
    mkfifo ready
    "$tool" serve --listen "unix:$scratch/socket" --service "t=tail:$scratch/files" \
        --service echo=echo < /dev/null > ready 2> server 5>&- &
    server=$!
    exec 3< ready
    read -r -t 30 _ addr <&3
}

# again SIGNAL: this server goes, and after a while another comes.
again() {
    kill "-$1" "$server"
    { wait "$server"; } 2> /dev/null
    exec 3<&-
    sleep 0.05
    serve
}

# follow OPTION...: in the background; what it says is in `said`, and the end of it in `lines`.
follow() {
    : > lines
    : > said
    "$tool" post --follow "$@" > lines 2> said &
    follower=$!
    servers=("$follower")
}

# Waits until `lines` has so many.
lines() {
    local i
    for ((i = 0; i < 600; i++)); do
        [ "$(grep -c '' lines)" -ge "$1" ] && return
        sleep 0.05
    done
    return 1
}

# Waits until it has said TEXT so often.
says() {
    local i
    for ((i = 0; i < 600; i++)); do
        [ "$(grep -cF "$1" said)" -ge "$2" ] && return
        sleep 0.05
    done
    return 1
}

# left CODE NAME: it ends so.
left() {
    local got
    wait "$follower"
    got=$?
    servers=()
    [ $got -eq "$1" ] || echo "exit code $got, not $1" >> said
    [ $got -eq "$1" ]
    verdict $? said "$2"
}

# all NAME LAST: of this file each line from 1 to LAST, once and in order.
all() {
    cmp <(sed -n "s/^$1: //p" lines) <(seq "$2") > err 2>&1
    verdict $? err "$1: each line to $2, once and in order"
}

mkdir files

# Nobody is there yet; then servers come and go, and so do files.
follow "unix:$scratch/socket" t '*.log'
says 'trying again' 1
serve
{
    for n in $(seq 4000); do
        echo "$n" >> files/quiet.log
        echo "$n" >> files/turned.log
        echo "$n" >> 'files/odd &@%?:=.log'
        [ $((n % 1000)) -ne 0 ] || mv files/turned.log "files/turned.$n"
        [ $((n % 50)) -ne 0 ] || sleep 0.03
    done
} &
writer=$!
n=1
for signal in KILL KILL TERM KILL KILL KILL; do
    says 'it goes on' $n
    sleep 0.2
    again $signal
    n=$((n + 1))
done
says 'it goes on' 7
wait $writer
lines 12000
kill -INT "$follower"
left 130 "it goes on until it is interrupted"
all quiet.log 4000
all turned.log 4000
all 'odd &@%?:=.log' 4000
[ "$(grep -c 'trying again' said)" -eq 7 ] && [ "$(grep -c 'it goes on' said)" -eq 7 ]
verdict $? said "what breaks is said, and that it goes on"
has said "no such file or directory" "also that nobody was there at first"

# The name goes to another file and to a third while nobody serves, and what was read is gone.
follow "$addr" t 'x'
seq 3 > files/x
lines 3
kill -KILL "$server"
{ wait "$server"; } 2> /dev/null
exec 3<&-
seq 4 5 >> files/x
mv files/x files/x.2
seq 6 6 > files/x
mv files/x files/x.1
seq 7 7 > files/x
serve
lines 7
all x 7
kill -KILL "$server"
{ wait "$server"; } 2> /dev/null
exec 3<&-
rm files/x files/x.1 files/x.2
seq 8 9 > files/x
serve
lines 9
all x 9
has said "x: what was read last is gone: from the beginning of what is there" "what may be lost is said"
kill "$follower"
left 143 "SIGTERM ends it too"

# The rest of what it does is as without.
seq 100 > files/y
runs 0 "--raw has the bytes and nothing else" post --follow --raw "$addr" t 'y?follow=0'
cmp out files/y > err 2>&1
verdict $? err "of the files, to their ends"
runs 0 "--count" post --follow --count 2 --json "$addr" t y
[ "$(grep -c '"frame"' out)" -eq 2 ] && [ "$(grep -c mark out)" -eq 0 ]
verdict $? out "counts frames, of which a mark is none"
runs 21 "what no server can change is the end" post --follow "$addr" nobody
runs 28 "another kind has no places" post --follow "$addr" echo hello
has err "--follow: echo is no service of the kind tail" "and it is said"

# While it waits for a server, too, it can be interrupted.
stop
follow "$addr" t
says 'trying again' 1
kill -INT "$follower"
left 130 "it is interrupted while it waits"
tap_end
