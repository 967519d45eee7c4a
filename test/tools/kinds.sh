#!/bin/bash
# The kinds exec, exec-uplink and stdin of `chanserv serve`, with the real program (TAP).
. "$(dirname "$0")/kit.sh"

# is TEXT NAME: what was written is TEXT.
is() {
    [ "$(cat out)" = "$1" ]
    verdict $? out "$2"
}

# serve ARGUMENT...: in the background, until it said where it listens ($addr).
serve() {
    rm -f ready
    mkfifo ready
    "$tool" serve --listen "unix:$scratch/socket" "$@" < "${input:-/dev/null}" > ready 2> server 5>&- &
    server=$!
    exec 3< ready
    read -r -t 30 _ addr <&3
}

# A zombie is gone: its parent has not looked yet.
lives() {
    local state
    state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [ "$state" != Z ]
}

# goes PID NAME: it does not live, soon.
goes() {
    local i
    for ((i = 0; i < 200; i++)); do
        lives "$1" || break
        sleep 0.05
    done
    ! lives "$1"
    verdict $? "/proc/$1/status" "$2"
}

# Waits until FILE has so many lines.
lines_in() {
    local i
    for ((i = 0; i < 600; i++)); do
        [ "$(grep -c '' "$1" 2>/dev/null)" -ge "$2" ] && return
        sleep 0.05
    done
    return 1
}

# How many children of the server nobody has waited for.
zombies() {
    cat /proc/[0-9]*/status 2>/dev/null |
        awk -v parent="$server" '/^State:/ { dead = /Z/ } /^PPid:/ && $2 == parent { n += dead }
            END { print n + 0 }'
}

peak_kb() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$server/status"; }
descriptors() { find "/proc/$server/fd" -mindepth 1 | wc -l; }

# ---- exec --------------------------------------------------------------------------------------

for kind in exec exec: exec-uplink exec-uplink: stdin:history=many stdin:nonsense; do
    runs 64 "a usage error: $kind" serve --service "x=$kind"
done
runs 64 "standard input is one service" serve --service a=stdin: --service b=stdin:
has err "standard input can be only one service" "and it is said why"

family='echo $$; sh -c "sleep 1000 & echo \$!; wait" & sleep 1000 & echo $!; wait'
serve --body-max 16MiB --service cat=exec:cat --service sum=exec:sha256sum \
    --service 'both=exec:echo out; echo err >&2' \
    --service 'chatty=exec:head -c 1000000 /dev/zero >&2 && echo out' --service 'three=exec:exit 3' \
    --service 'killed=exec:kill -9 $$' --service unknown=exec:nonesuch --service "family=exec:$family" \
    --service 'big=exec:head -c 104857600 /dev/zero' --service 'deaf=exec:exec <&-; echo done' \
    --service 'fds=exec:ls -l /proc/self/fd' --service 'env=exec:echo "$CHANSERV_SERVICE $CHANSERV_PEER"' \
    --service talk=exec-uplink:cat --service 'count=exec-uplink:exec wc -c >&2'
runs 0 "the body is standard input" post --raw "$addr" cat 'a body'
is 'a body' "and comes back"
runs 0 "both outputs" post --json "$addr" both
has out '"announce":{"source":0,"header":"stdout"}' "standard output is announced"
has out '"announce":{"source":1,"header":"stderr"}' "so is standard error"
has out '"frame":{"source":0,"seq":0,"text":"out\n"}' "what is written is a frame"
has out '"frame":{"source":1,"seq":0,"text":"err\n"}' "apart from errors"
runs 0 "--only" post --raw --only stdout "$addr" both
is out "takes one of them"
runs 0 "what is not taken is thrown away" post --raw --only stdout "$addr" chatty
is out "and stops no command"
runs 18 "an exit status that is not 0 is UNKNOWN" post "$addr" three
has err "post three: UNKNOWN: exit status 3" "and told"
runs 18 "so is a signal" post "$addr" killed
has err "killed by signal 9 (Killed)" "and its name is told"
runs 18 "a command that is not there" post "$addr" unknown
has err "exit status 127" "is 127, as in a shell"
has out "not found" "with the words of the shell"
runs 0 "a command that closed its input" post --raw "$addr" deaf x
is done "is no trouble"
runs 0 "the environment" post --raw "$addr" env
is "env $addr" "says what was asked, and by whom"
runs 0 "descriptors" post --raw "$addr" fds
! grep -q 'socket:\|anon_inode' out
verdict $? out "are not those of the server"
head -c 10485760 /dev/urandom > body
input=body runs 0 "a body of 10 MiB" post --raw "$addr" sum -
is "$(sha256sum < body)" "arrives whole"

# A slow reader: nothing is kept for him but what is in pipes and windows.
before=$(peak_kb)
mkfifo slow
"$tool" post --raw "$addr" big > slow 2> err &
reader=$!
exec 4< slow
head -c 1000000 <&4 | wc -c > out
sleep 1
after=$(peak_kb)
rest=$(wc -c <&4)
wait $reader
got=$?
exec 4<&-
[ $got -eq 0 ] && [ $((rest + $(cat out))) -eq 104857600 ]
verdict $? err "a slow reader gets 100 MiB, whole ($got, $rest)"
[ $((after - before)) -lt 32768 ]
verdict $? err "and costs the server $((after - before)) KiB"

# Whoever leaves takes the whole group with him.
descriptors_before=$(descriptors)
for how in INT TERM; do
    rm -f pids
    env --default-signal=INT "$tool" post --raw "$addr" family > pids 2> err &
    reader=$!
    lines_in pids 3
    kill -$how $reader
    wait $reader
    while read -r pid; do goes "$pid" "SIG$how to a client ends a process of its group"; done < pids
done
runs 20 "a deadline" post --raw --timeout 1s "$addr" family
lines_in out 3
while read -r pid; do goes "$pid" "which ends a process of the group, too"; done < out
for ((i = 0; i < 100; i++)); do
    [ "$(descriptors)" -le "$descriptors_before" ] && break
    sleep 0.1
done
[ "$(descriptors)" -le "$descriptors_before" ]
verdict $? server "no descriptor is left ($descriptors_before, $(descriptors))"
[ "$(zombies)" -eq 0 ]
verdict $? server "nor a zombie"

# ---- exec-uplink -------------------------------------------------------------------------------

printf 'one\ntwo\n' > lines
input=lines runs 0 "a conversation" talk "$addr" talk
[ "$(sed 's/^stdio: //' out)" = "$(cat lines)" ]
verdict $? out "what is said comes back"
head -c 104857600 /dev/zero | timeout 60 "$tool" talk --raw "$addr" talk 2> err | wc -c > out
is 104857600 "100 MiB go up and come down"

# ---- The server's end --------------------------------------------------------------------------

rm -f pids
"$tool" post --raw "$addr" family > pids 2> err &
reader=$!
lines_in pids 3
stop
while read -r pid; do
    ! lives "$pid"
    verdict $? server "and no process of a post is left"
done < pids
wait $reader
[ $? -eq 30 ]
verdict $? err "its reader is told UNAVAILABLE"

# ---- stdin -------------------------------------------------------------------------------------

# reader NAME OPTION...: in the background, to the file of that name; nobody but us holds the input.
reader() {
    local name=$1
    shift
    timeout 60 "$tool" post "$@" "$addr" in > "$name" 2>> err 5>&- &
    readers+=($!)
}

# ended NAME: all readers have, with 0.
ended() {
    local pid got=0
    for pid in "${readers[@]}"; do wait "$pid" || got=$?; done
    readers=()
    [ $got -eq 0 ]
    verdict $? err "$1"
}

# adds_up FILE: frames and gaps of that JSON are as many as lines were written.
adds_up() {
    awk -v want="$lines" -F'"count":' '/^{"frame"/ { n++ } /^{"gap"/ { n += $2 + 0; gaps++ }
        END { print n + 0, gaps + 0; exit n != want }' "$1"
}

mkfifo lines-in
readers=()
: > err
exec 5<> lines-in
input=lines-in serve --service in=stdin:history=3
printf 'one\ntwo\nthree\n' >&5
reader a --raw
reader b --raw
lines_in a 3 && lines_in b 3
verdict $? err "two readers have what was written"
echo four >&5
lines_in a 4 && lines_in b 4
verdict $? err "and what is written then"
reader c --raw
lines_in c 3
[ "$(cat c)" = $'two\nthree\nfour' ]
verdict $? c "who comes late begins three lines back"

mkfifo slow-in
reader slow-in --json
exec 6< slow-in
read -r -t 30 -u 6 line
reader fast --json
lines_in fast 4
timeout 60 seq 300000 >&5
verdict $? err "a reader that does not read stops nobody"
exec 5>&-
cat <&6 > rest
ended "at the end of input they all end well"
exec 6<&-
[ "$(tail -n 1 a)" = 300000 ] && [ "$(tail -n 1 c)" = 300000 ]
verdict $? a "with the last line"
lines=300004
{ echo "$line"; cat rest; } > slow-all
adds_up slow-all > out
verdict $? out "frames and gaps of the slow one are all that was written ($(cat out))"
[ "$(cut -d ' ' -f 2 out)" -gt 1 ] # the first is what was before history
verdict $? out "and there are gaps"
adds_up fast > out
verdict $? out "so are those of another ($(cat out))"
runs 0 "behind the end" post --raw "$addr" in
is $'299998\n299999\n300000' "there is what history is left"
stop
input=lines serve --service in=stdin:history=9
runs 0 "a file is standard input too" post --raw "$addr" in
is $'one\ntwo' "and has an end"
stop
tap_end
