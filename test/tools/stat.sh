#!/bin/bash
# chanserv stat and top, with a server that does something (TAP).
. "$(dirname "$0")/kit.sh"

: > said
"$tool" serve --listen 127.0.0.1:0 --service gen=gen > said 2> server &
server=$!
exec 3< <(tail -n +1 -f --pid=$server said)
read -r -t 30 _ addr <&3
"$tool" post "$addr" gen 'sources=2&frames=2&size=64&delay_ms=3600000' > frames 2>&1 &
servers=($!)
until [ "$(wc -l < frames)" -ge 2 ]; do kill -0 "${servers[0]}" || break; sleep 0.05; done

runs 0 "stat" stat "$addr"
has out "posts: 1" "there is one post"
has out "sources: 2" "and its sources"
grep -qE '^ +1 +1 .* producer +gen 127\.0\.0\.1:[0-9]+$' out
verdict $? out "a source has its post and place, what it waits for, its service and peer"
grep -qE '^ +1 +[0-9]+ .* sources +gen 127\.0\.0\.1:[0-9]+$' out
verdict $? out "a post waits for its sources"
runs 0 "stat --max" stat --max 1 "$addr"
grep -qxE 'left out: [1-9][0-9]*' out
verdict $? out "what was left out is counted"
runs 0 "stat --json" stat --json "$addr"
mv out ours
exec 4<> "/dev/tcp/${addr%:*}/${addr##*:}"
printf 'GET /v1/stat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&4
sed '1,/^\r$/d' <&4 > theirs
exec 4<&-
/usr/bin/python3 - ours theirs > diff 2>&1 << 'END'
import json, sys
ours, theirs = (json.load(open(name)) for name in sys.argv[1:])
assert list(ours) == list(theirs)[:3], (list(ours), list(theirs))
assert list(ours["counters"]) == list(theirs["counters"])
sources = [[{k: one.get(k) for k in ("kind", "loop", "number", "of", "service", "peer", "waits")}
            for one in both["entries"] if one["kind"] == "source"] for both in (ours, theirs)]
assert len(sources[0]) == 2 and sources[0] == sources[1], sources
assert ours["counters"]["posts_total"] == 1 and ours["left"] == 0
END
verdict $? diff "is what GET /v1/stat answers"
runs 30 "nobody is there" stat "unix:$scratch/none"
has err "chanserv stat: dial unix:" "and the story is one line"
[ ! -s out ]
verdict $? out "and nothing is printed"

# ---- top ---------------------------------------------------------------------------------------

"$tool" post "$addr" gen 'sources=1&frames=1000000&size=64&delay_ms=10' > frames 2>&1 &
servers+=($!)
until [ "$(wc -l < frames)" -ge 2 ]; do kill -0 "${servers[1]}" || break; sleep 0.05; done
runs 0 "top, into a file" top --interval 500ms --sort frames "$addr"
sed -n 2p out | grep -qE '^KIND +BYTES/s +FRAMES/s +QUEUED +STILL +WAITS FOR +OF +NUMBER +WHO$'
verdict $? out "is one table"
sed -n 3p out | grep -qE '^source +0 +[1-9][0-9]* .* 2 +0  gen 127\.0\.0\.1:[0-9]+$'
verdict $? out "and first is the source that moves, with its rate"
[ "$(grep -c '^KIND' out)" -eq 1 ] && ! grep -q $'\e' out
verdict $? out "once, and without escapes"
runs 0 "top --once" top --once --interval 100ms "$addr"
sed -n 3p out | grep -qE '^connection +[0-9.]+k? '
verdict $? out "is sorted by bytes: connections"
runs 30 "nobody is there" top "unix:$scratch/none"
has err "chanserv top: dial unix:" "and the story is one line"
timeout 120 /usr/bin/python3 "$here/tools/terminal.py" "$tool" "$addr" > diff 2>&1
verdict $? diff "on a terminal: keys, its size, and it is left as it was"
kill "${servers[@]}"
wait "${servers[@]}" 2> /dev/null
servers=()
kill "$server"
wait "$server"
verdict $? server "the server ends well"
server=

echo 'sesame gen' > tokens
: > told
"$tool" serve --listen 127.0.0.1:0 --service gen=gen --no-gateway --token-file tokens > told 2> server &
server=$!
exec 3< <(tail -n +1 -f --pid=$server told)
read -r -t 30 _ addr <&3
runs 32 "with rules nobody else may look" stat "$addr"
kill "$server"
wait "$server"
server=
tap_end
