#!/bin/bash
# How the clients of chanserv(1) reach a server: TLS, tokens, several nodes; `services` (TAP).
. "$(dirname "$0")/kit.sh"

# says NAME: the lines on standard input are what was said, whole.
says() {
    diff -u - out > diff
    verdict $? diff "$1"
}

# serve ARGUMENT...: in the background, until it said where it listens ($addr, $server).
serve() {
    mkfifo ready
    "$tool" serve "$@" > ready 2>> server &
    server=$!
    servers+=("$server")
    read -r -t 30 _ addr < ready
    rm ready
}

# line FD TEXT NAME: the next line there is TEXT.
line() {
    local got=
    read -r -t 30 got <&"$1"
    [ "$got" = "$2" ] || echo "'$got', not '$2'" > diff
    [ "$got" = "$2" ]
    verdict $? diff "$3"
}

# ---- TLS ---------------------------------------------------------------------------------------

"$here/support/certs.sh" certs > certs.said 2>&1
verdict $? certs.said "there are certificates"
export CHANSERV_LOG=info
serve --listen localhost:0 --service echo=echo --service gen=gen --cert certs/server.pem --key certs/server.key
unset CHANSERV_LOG
localhost=localhost:${addr##*:}
runs 0 "post over TLS" post --raw --ca certs/ca.pem "$localhost" echo secret
says "goes as in plain text" < <(printf secret)
CHANSERV_ADDR=$localhost runs 0 "bench over TLS" bench --ca certs/ca.pem --posts 3 --size 100000
grep -q '3 posts, 300 sources, 3000 frames, 300000000 bytes .*; 0 wrong' out
verdict $? out "and every byte is right"
runs 0 "rtt over TLS" rtt --ca certs/ca.pem --count 1 --interval 1ms "$localhost"
runs 0 "services over TLS" services --ca certs/ca.pem "$localhost"
says "are the same" <<< $'echo\ngen'
runs 0 "--no-verify" post --raw --no-verify "$localhost" echo x
runs 30 "an authority that the system does not know" post --tls "$localhost" echo x
has err "certificate" "is told"
runs 30 "--server-name" post --ca certs/ca.pem --server-name other.example "$localhost" echo x
has err "other.example" "is the name that is verified"
runs 30 "plain text to a server with TLS" post "$localhost" echo x
cp server err
has err "chanserv: mux: connection of " "CHANSERV_LOG=info has the server say who failed"
runs 30 "another authority" post --ca certs/other-ca.pem "$localhost" echo x
runs 64 "a file that is not there" post --ca certs/none.pem "$localhost" echo x
has err "certs/none.pem" "is named"
runs 64 "a key of another certificate" post --cert certs/client.pem --key certs/server.key "$localhost" echo x
kill "$server"

serve --listen localhost:0 --service echo=echo --cert certs/server.pem --key certs/server.key \
    --client-ca certs/ca.pem
localhost=localhost:${addr##*:}
runs 0 "with a certificate of ours" post --raw --ca certs/ca.pem --cert certs/client.pem \
    --key certs/client.key "$localhost" echo me
says "we are let in" < <(printf me)
runs 30 "without" post --ca certs/ca.pem "$localhost" echo me
has err "certificate" "we are not, and told why"
runs 30 "rtt without" rtt --ca certs/ca.pem "$localhost"
has err "certificate" "is told, too"
kill "$server"

# ---- Tokens ------------------------------------------------------------------------------------

printf 'sesame echo\nmaster *\n' > tokens
chmod 600 tokens
printf 'sesame\n' > token
serve --listen 127.0.0.1:0 --service echo=echo --service gen=gen --token-file tokens
runs 32 "without a token: UNAUTHENTICATED" post "$addr" echo x
runs 0 "--token" post --raw --token sesame "$addr" echo x
runs 0 "--token-file" post --raw --token-file token "$addr" echo x
CHANSERV_TOKEN=sesame runs 0 "CHANSERV_TOKEN" post --raw "$addr" echo x
CHANSERV_TOKEN=wrong runs 0 "--token is stronger" post --raw --token sesame "$addr" echo x
CHANSERV_TOKEN=sesame runs 23 "for another service: PERMISSION_DENIED" post "$addr" gen
runs 32 "a token that nobody knows" post --token open "$addr" echo x
! grep -qF open err
verdict $? err "is not told to anybody"
runs 0 "services with a token" services --token sesame "$addr"
says "are those it is for" <<< echo
runs 0 "rtt with a token" rtt --token-file token --count 1 --interval 1ms "$addr"
runs 0 "bench with a token" bench --token master --posts 1 "$addr"
runs 32 "services without" services "$addr"
runs 64 "a file without a token" post --token-file certs "$addr" echo x
"$tool" post --token sesame --timeout 20s "$addr" echo x --wait 20s > out 2> err &
poster=$!
wait $poster
verdict $? err "options may stand behind"
"$tool" rtt --token sesame --interval 1h "$addr" > out 2> err &
asker=$!
until grep -q seq=0 out; do kill -0 $asker || break; done
! tr '\0' ' ' < /proc/$asker/cmdline | grep -q sesame
verdict $? /dev/null "a token does not stay on the command line for others to see"
kill $asker
wait $asker
kill "$server"

# ---- Several nodes -----------------------------------------------------------------------------

serve --listen 127.0.0.1:0 --service echo=echo --service b.x=gen --service a.x=gen --node one
one=$addr one_pid=$server
serve --listen 127.0.0.1:0 --service gen=gen --service echo=echo --node two
two=$addr two_pid=$server
runs 0 "services of one node" services "$one"
says "are names, sorted" <<< $'a.x\nb.x\necho'
runs 0 "services of two nodes" services "$one,$two"
says "have the nodes behind them" <<< $'a.x one\nb.x one\necho one two\ngen two'
runs 0 "services --json" services --json --only '*e*' "$two,$one"
says "is an object a line" <<< '{"service":{"name":"echo","nodes":["two","one"]}}
{"service":{"name":"gen","nodes":["two"]}}'
runs 0 "services in a name space" services --name-space x "$one"
says "are those in it, by their names there" <<< $'a\nb'
runs 30 "services, when a node does not answer" services "unix:$scratch/none,$two"
says "are those of the others" <<< $'echo two\ngen two'
has err "unix:$scratch/none: dial unix:" "and he is told"
runs 0 "post to the node that serves the name" post --raw "$one,$two" gen 'sources=1&frames=1&size=4'
says "wherever it is" < <(printf 0:0:)
runs 0 "bench over two nodes" bench --posts 2 --sources 3 "$two,$one"
runs 0 "--name-space" post --raw --name-space x "$one" a 'sources=1&frames=1&size=4'
runs 64 "a name space that is none" post --name-space 'x y' "$one" a
runs 21 "a name that no node serves" post "$one,$two" nobody
runs 20 "--watch with a deadline" services --watch --timeout 1s "$one"
says "says what there was" <<< $'+ a.x\n+ b.x\n+ echo\n- a.x\n- b.x\n- echo'

mkfifo changes
env --default-signal=INT "$tool" services --watch --only '[eg]*' "$one,$two" > changes 2> err &
watcher=$!
exec 4< changes
for _ in 1 2 3; do read -r -t 30 said <&4 && echo "$said"; done | sort > out
says "services --watch begins with what there is" <<< $'+ echo one\n+ echo two\n+ gen two'
kill $two_pid
wait $two_pid
line 4 "- echo two" "says who goes"
line 4 "- gen two" "with all that he had"
serve --listen "$two" --service gen=gen --node two
two_pid=$server
line 4 "+ gen two" "and that he is back"
kill -INT $watcher
wait $watcher
[ $? -eq 130 ]
verdict $? err "--watch ends with 130 on SIGINT"
exec 4<&-

# Somebody who comes later.
kill $two_pid
wait $two_pid
"$tool" post --raw --wait 30s "$one,$two" late 'sources=1&frames=1&size=4' > out 2> err &
waiter=$!
serve --listen "$two" --service late=gen --node two
two_pid=$server
wait $waiter
verdict $? err "--wait waits for who serves the name"
says "and posts to him" < <(printf 0:0:)
kill $one_pid $two_pid

# ---- A connection that breaks all the time --------------------------------------------------------

serve --listen unix:cut.sock --service gen=gen
mkfifo ready
python3 "$here/tools/cutter.py" cut.sock 300000 > ready &
cutter=$!
exec 5< ready
rm ready
read -r -t 30 port <&5
runs 0 "bench over a connection that breaks" bench --resume 20s --posts 4 --parallel 4 --sources 25 \
    --frames 40 --size 5000 "127.0.0.1:$port"
grep -q '4 posts, 100 sources, 4000 frames, 20000000 bytes .*; 0 wrong' out
verdict $? out "every byte is right, and there once"
runs 0 "post over it" post -v --json "127.0.0.1:$port" gen 'sources=4&frames=100&size=5000'
has err ": waits for the connection to come back: " "-v says that it broke"
has err ": the connection is back" "and that it goes on"
[ "$(grep -c '"frame"' out)" -eq 400 ]
verdict $? out "what it prints is as if it had not"
runs 30 "with --resume off it ends" bench --resume off --posts 1 --sources 25 --frames 40 --size 5000 "127.0.0.1:$port"
kill -TERM $cutter
read -r -t 30 cuts <&5
echo "$cuts cuts" > out
[ "${cuts:-0}" -ge 40 ]
verdict $? out "it was cut at least 40 times"
kill "$server"
servers=()
tap_end
