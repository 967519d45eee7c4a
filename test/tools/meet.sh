#!/bin/bash
# chanserv meet and curl at a real server's rendezvous (TAP).
. "$(dirname "$0")/kit.sh"

if ! curl --version 2> /dev/null | grep -qw HTTP2; then
    skip "there is no curl that speaks HTTP/2"
    tap_end
fi
# serve OPTION...: in the background; its address is $addr.
serve() {
    : > said
    "$tool" serve --listen 127.0.0.1:0 --rendezvous "$@" > said 2> server &
    server=$!
    exec 3< <(tail -n +1 -f --pid=$server said)
    read -r -t 30 _ addr <&3
}
serve

# ask FILE PATH [curl's options]...: the body is in FILE; prints the status.
ask() {
    local file=$1 path=$2
    shift 2
    curl -sS -m 60 -o "$file" -w '%{http_code}\n' "$@" "http://$addr$path" 2>> curl.said
}

# waiting TEXT: until GET /stats has it.  That comes true, or the suite hangs no longer than this.
waiting() {
    local end=$((SECONDS + 60))
    until ask stats /stats > status && grep -qF -- "$1" stats; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# same FILE TEXT NAME: FILE is this line.
same() {
    [ "$(cat "$1")" = "$2" ]
    verdict $? "$1" "$3"
}

# ---- Two, as the first of these programs had it: the README's own lines ---------------------------

# curl_of N: its Nth curl of who comes or who waits, but for the address, by $version.
curl_of() {
    local line
    line=$(grep -E "^curl 'http://localhost:5555/(event|stats)" "$here/../README.md" | sed -n "$1s/ *#.*//p")
    eval "curl -sS -m 60 $version ${line#curl }" 2>> curl.said
}
[ "$(grep -cE "^curl 'http://localhost:5555/(event|stats)" "$here/../README.md")" -eq 3 ]
verdict $? /dev/null "the README has three lines of curl"
for version in --http1.1 --http2-prior-knowledge; do
    version="$version --connect-to localhost:5555:$addr"
    curl_of 1 > vm &
    servers=($!)
    waiting '"actor":"VM"'
    curl_of 2 > stats
    has stats '{"waiting":[{"event":"VM-is-up","actor":"VM","labels":{"actor":"VM"},"selector":"actor!=VM","mates":1,"payload_bytes":11,"age_ms":' \
        "curl ${version%% *}: who came first waits, and GET /stats says for whom"
    has stats '"missing":1}]' "curl ${version%% *}: and how many are missing"
    curl_of 3 > cust
    wait "${servers[@]}"
    servers=()
    same vm '{"payloads":{"CUST":"hello","VM":"192.168.1.1"}}' "curl ${version%% *}: VM hears what both brought"
    cmp vm cust > diff 2>&1
    verdict $? diff "curl ${version%% *}: and CUST the same"
    ask got '/event?event=alone&actor=a&mates=0' $version > got.status
    same got.status 200 "curl ${version%% *}: with 200"
done

ask vm /event -d 'event=form&actor=VM&payload=a%20b' > vm.status &
servers=($!)
waiting '"event":"form"'
runs 0 "meet meets a form of curl's" meet "$addr" form --actor CUST --payload 'say "c"'
wait "${servers[@]}"
servers=()
same out '{"payloads":{"CUST":"say \"c\"","VM":"a b"}}' "meet prints what both brought"
cmp vm out > diff 2>&1
verdict $? diff "and curl had the same"

for actor in c a b; do
    ask "three.$actor" "/event?event=three&actor=$actor&mates=2&payload=p$actor" > three.status &
    servers+=($!)
done
wait "${servers[@]}"
servers=()
same three.a '{"payloads":{"a":"pa","b":"pb","c":"pc"}}' "three meet by curl"
cmp three.a three.b > diff 2>&1 && cmp three.a three.c >> diff 2>&1
verdict $? diff "and all three hear the same"
ask twice.1 '/event?event=twice&actor=a&timeout=300' > twice.status &
servers=($!)
[ "$(ask twice.2 '/event?event=twice&actor=a&timeout=300')" = 408 ]
verdict $? twice.2 "the same actor twice does not meet itself by curl"
wait "${servers[@]}"
servers=()
same twice.status 408 "neither time"

# Labels and selectors come as curl makes a query of them.
curl -sS -m 60 -G -d event=pick -d actor=CUST-1 -d selector=actor=VM \
    --data-urlencode 'labels=is=cust,zone=b' "http://$addr/event" > elsewhere 2>&1 &
servers=($!)
waiting '"actor":"CUST-1"'
ask cust /event -G -d event=pick -d actor=CUST-2 -d selector=actor=VM \
    --data-urlencode 'labels=is=cust,zone=a' > got &
servers+=($!)
waiting '"actor":"CUST-2"'
ask vm /event -G -d event=pick -d actor=VM --data-urlencode 'selector=is=cust, zone notin (b, c)' > vm.status
wait "${servers[1]}"
same vm '{"payloads":{"CUST-2":"","VM":""}}' "a selector passes over who came first"
cmp vm cust > diff 2>&1
verdict $? diff "and whom it takes hears the same"
waiting '"waiting":[{"event":"pick","actor":"CUST-1","labels":{"is":"cust","zone":"b"}'
verdict $? stats "and who was passed over waits"
kill "${servers[0]}"
wait "${servers[0]}" 2> /dev/null
servers=()

# ---- What is wrong ------------------------------------------------------------------------------

# refused PATH MESSAGE NAME
refused() {
    local status
    status=$(ask got "$1")
    [ "$status" = 400 ] && [ "$(cat got)" = "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"$2\"}}" ]
    verdict $? got "$3"
}
refused '/event?event=e&actor=a&mates=-1' 'mates: an integer from 0 to 1000000 is wanted' \
    "HTTP: mates that make no sense are named"
refused '/event?event=e' 'actor: it is required' "HTTP: an actor is required"
runs 64 "meet without an actor" meet "$addr" e
has err "chanserv meet: --actor is wanted" "and it says so"
runs 64 "meet without an event" meet "$addr" --actor a
runs 64 "meet --count 0" meet "$addr" e --actor a --count 0
runs 19 "meet with a selector that is none" meet "$addr" e --actor a --selector 'zone=('
has err 'selector: column 6: found "("' "and it points at the column"
[ ! -s out ]
verdict $? out "and nothing is printed"

# ---- Who does not come, and who leaves ----------------------------------------------------------

"$tool" meet "$addr" few --actor a --mates 2 --timeout 60s > first 2> first.said &
servers=($!)
waiting '"event":"few"'
runs 20 "meet --timeout" meet "$addr" few --actor b --mates 2 --timeout 300ms
has err 'missing: 1; here: a, b' "says who was there, and how many were missing"
waiting '"event":"few","actor":"a"' && ! grep -qF '"actor":"b"' stats
verdict $? stats "and his place is free, and that of the other is not"
[ "$(ask got '/event?event=late&actor=a&timeout=100')" = 408 ]
verdict $? got "HTTP: a timeout is 408"
has got 'missing: 1; here: a' "and says the same"
kill "${servers[@]}"
wait "${servers[@]}"
[ $? -eq 143 ]
verdict $? first.said "SIGTERM ends meet"
waiting '"waiting":[]'
verdict $? stats "and frees its place"
env --default-signal=INT "$tool" meet --watch "$addr" left --actor a > first 2> first.said &
servers=($!)
waiting '"event":"left"'
kill -INT "${servers[@]}"
wait "${servers[@]}"
[ $? -eq 130 ]
verdict $? first.said "SIGINT ends meet"
has first.said '{"waiting":{"here":["a"],"missing":1}}' "--watch had said who was there"
waiting '"waiting":[]'
verdict $? stats "and its place is free at once"
curl -sS -m 60 "http://$addr/event?event=hung&actor=a" > hung 2> hung.said &
servers=($!)
waiting '"event":"hung"'
kill "${servers[@]}"
wait "${servers[@]}" 2> /dev/null
servers=()
waiting '"waiting":[]'
verdict $? stats "and that of a curl that hangs up"

# ---- A barrier ----------------------------------------------------------------------------------

for actor in a b c; do
    "$tool" meet "$addr" barrier --actor $actor --mates 2 --count 3 --payload "$actor" \
        --timeout 60s > barrier.$actor 2> barrier.$actor.said &
    servers+=($!)
done
worst=0
for one in "${servers[@]}"; do wait "$one" || worst=$?; done
servers=()
verdict $worst <(cat barrier.*.said) "three pass a barrier three times"
round='{"payloads":{"a":"a","b":"b","c":"c"}}'
for actor in a b c; do
    same barrier.$actor "$round"$'\n'"$round"$'\n'"$round" "and $actor met all of them each time"
done
waiting '"waiting":[]'
verdict $? stats "and nobody waits"
has stats '"timeouts":4,' "all timeouts were counted"
has stats '"greedy":0,' "and every search was exact"
stop

# ---- More than there is room for ----------------------------------------------------------------

serve --rendezvous-waiters-max 2 --rendezvous-waiting-max 8KiB
[ "$(ask got "/event?event=long&actor=a&timeout=1&labels=$(seq -s=, 30)=")" = 429 ]
verdict $? got "HTTP: labels that take more than --rendezvous-waiting-max are 429"
runs 24 "and by meet it is RESOURCE_EXHAUSTED" meet "$addr" long --actor a --labels "$(seq -s=, 30)="
has err 'who waits would take more than 8192 bytes of memory' "and it says of what"
for actor in a b; do
    ask crowd.$actor "/event?event=crowd&actor=$actor&mates=5" > crowd.status &
    servers+=($!)
done
waiting '"waiting":2'
[ "$(ask got '/event?event=crowd&actor=c&mates=5')" = 429 ]
verdict $? got "one more than --rendezvous-waiters-max is 429"
has stats '"refused_bytes":2' "what was refused for its memory was counted"
kill "${servers[@]}"
wait "${servers[@]}" 2> /dev/null
servers=()
stop
tap_end
