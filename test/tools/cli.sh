#!/bin/bash
# chanserv(1) as people and scripts run it (TAP): help, exit codes, the shapes of its output.
. "$(dirname "$0")/kit.sh"

# says FILE NAME: the lines on standard input are what FILE has, whole.
says() {
    diff -u - "$scratch/$1" > "$scratch/diff"
    verdict $? "$scratch/diff" "$2"
}

# serve ARGUMENT...: in the background, until it said where it listens ($tcp, $unix).
serve() {
    mkfifo "$scratch/ready"
    # A shell starts what is in the background with SIGINT ignored; env gives it back.
    env --default-signal=INT "$tool" serve "$@" > "$scratch/ready" 2> "$scratch/server" &
    server=$!
    exec 3< "$scratch/ready"
    read -r -t 30 _ tcp <&3 && read -r -t 30 _ unix <&3
    rm "$scratch/ready"
}

# ---- Without a server --------------------------------------------------------------------------

runs 0 "--version" --version
has out "chanserv " "--version names the program"
for words in --help help 'help post' 'help serve' 'help exit' 'help --help' 'post --help' \
    'serve --help' 'bench --help' 'talk --help' 'rtt --help' 'services --help' 'stat --help' 'top --help' 'post -h' 'serve -h'; do
    # shellcheck disable=SC2086
    runs 0 "chanserv $words" $words
    [ -s "$scratch/out" ] && [ ! -s "$scratch/err" ]
    verdict $? "$scratch/err" "chanserv $words writes to standard output only"
done
for words in '' nonsense --nonsense 'help nonsense' 'help a b' serve 'serve --nonsense' \
    'serve surplus' 'serve --service nonsense' 'serve --service =echo' 'serve --service a=nonsense' \
    'serve --service a=echo:x' 'serve --service a=tail' 'serve --service a=echo --service a=gen' \
    'serve --service a!b=echo' 'serve --service a=echo --listen nonsense' \
    post 'post a:1' 'post a:1 b c d' 'post b c' 'post a:1, b' 'post a:1,a:1 b' 'post --wait x a:1 b' bench 'bench a:1 b' services 'services a:1 b' 'services --nonsense' stat 'stat a:1 b' 'stat a:1,b:1' 'stat --max 0 a:1' \
    'stat --max 10001 a:1' top 'top --sort x a:1' 'top --interval 0 a:1' 'top a:1,b:1' rtt 'rtt a:1 b' 'rtt a:1,b:1' \
    'rtt --count 0 a:1' 'rtt --interval x a:1' 'post --token x --token-file y a:1 b' 'post --key x a:1 b' \
    'post --token-file /dev/null a:1 b' 'post --token schön a:1 b' talk 'talk a:1' 'talk a:1 b c d' \
    'talk --raw --no-newline a:1 b' \
    'bench --sources x a:1' 'bench --posts 0 a:1' 'bench --duration 0 a:1' 'bench --service a!b a:1' 'post --json --raw a:1 b' 'post --count 0 a:1 b' \
    'post --sources-max 0 a:1 b' 'post --sources-max x a:1 b' \
    'post --count x a:1 b' 'post --timeout 0 a:1 b' 'post --metadata x a:1 b' 'post nonsense b' \
    'post --metadata X=1 a:1 b' 'post --metadata grpc-x=1 a:1 b' 'post --metadata x=ö a:1 b' 'stat a:1,b:1' \
    'post a:1 b!c'; do
    # shellcheck disable=SC2086
    runs 64 "a usage error: chanserv $words" $words
    [ -s "$scratch/err" ] && [ ! -s "$scratch/out" ]
    verdict $? "$scratch/out" "chanserv $words writes to standard error only"
done
has err "'b!c' is no name of a service" "the last one says what is wrong"
runs 64 "metadata that cannot be" post --metadata Name=1 a:1 b
has err "--metadata 'Name=1': a name is a-z" "says so, and not of the service"
runs 64 "a path that is too long" post "unix:/$(printf %0108d 0)" b
has err "unix:/path (107 bytes at most)" "says how long it may be"
runs 23 "a listener for strangers is refused" serve --service e=echo --listen 0.0.0.0:0
has err "give --insecure" "and it is said what to do"
has err "Give --cert and --key for TLS" "and how to have TLS"
runs 21 "a directory that does not exist is refused" serve --service "t=tail:$scratch/none"
runs 30 "nobody is there: UNAVAILABLE" post "unix:$scratch/none" ticker
has err "chanserv: post ticker: dial unix:" "and the story is one line"

# ---- The environment ---------------------------------------------------------------------------

CHANSERV_ADDR=unix:$scratch/none runs 30 "CHANSERV_ADDR is the address when none is given" post ticker
has err "chanserv: post ticker: dial unix:" "and is dialed"
CHANSERV_ADDR=nonsense runs 64 "CHANSERV_ADDR is looked at" post ticker
CHANSERV_LOG=loud runs 64 "CHANSERV_LOG is looked at" post a:1 b
has err "CHANSERV_LOG is error, warn, info or debug, not 'loud'" "and it is said what it may be"
runs 64 "a service without an address" post ticker
has err "an address is wanted" "is a usage error that says so"

# In the manual: all that --help of the clients has.
for words in post talk services stat top rtt bench; do
    chanserv $words --help
    for option in $(grep -oE -- '--[a-z][a-z-]+' "$scratch/out" | sort -u); do
        [ "$option" = --help ] || grep -q -- "\*$option\*" "$here/../docs/man/chanserv.1.scd" ||
            echo "$words $option"
    done
done > "$scratch/diff"
[ ! -s "$scratch/diff" ]
verdict $? "$scratch/diff" "every option of the clients is in the manual"

# ---- echo, gen ---------------------------------------------------------------------------------

mkdir "$scratch/logs"
printf 'one\ntwo\n' > "$scratch/logs/syslog"
serve --gzip --listen 127.0.0.1:0 --listen "unix:$scratch/socket" --service echo=echo --service gen=gen \
    --service "logs=tail:$scratch/logs" --service 'trace=exec:printf "($TRACEPARENT)"' \
    --service cat=exec-uplink:cat --service 'newlines=exec-uplink:wc -l' \
    --service 'fails=exec-uplink:read x; echo heard $x; exit 3' \
    --service 'deaf=exec-uplink:exec sleep 1000' \
    --service 'sums=exec-uplink:while read n; do echo $((n + n)); done'
case $tcp in 127.0.0.1:[1-9]*) ok "port 0 is told as what it became: $tcp" ;; *) not_ok "$tcp" ;; esac
runs 0 "echo over TCP" post "$tcp" echo $'hello\n\nworld'
says out "frames are lines behind their header, and nothing else when piped" << 'END'
echo: hello
echo: 
echo: world
END
CHANSERV_ADDR=$tcp runs 0 "and a body with a colon is a body" post --raw echo a:b
[ "$(cat "$scratch/out")" = a:b ]
verdict $? "$scratch/out" "as it is"
runs 0 "verbose" post -v "$unix" echo hi
says out "with --verbose announcements and ends are told" << 'END'
+ echo
echo: hi
- echo
END
runs 0 "--gzip" post --gzip --raw "$tcp" echo "$(printf '%2000s' long)"
[ "$(cat "$scratch/out")" = "$(printf '%2000s' long)" ]
verdict $? "$scratch/out" "what was compressed comes back as it was"
printf 'from\nstdin\n' > "$scratch/in"
input=$scratch/in runs 0 "the body from standard input" post --raw "$unix" echo -
printf 'fromstdin' > "$scratch/want"
cmp "$scratch/want" "$scratch/out" > "$scratch/diff" 2>&1
verdict $? "$scratch/diff" "--raw is the payload and nothing else"
runs 0 "--json" post --json "$unix" echo $'one\n"\xff'
says out "--json is an object a line, base64 for what is no text" << 'END'
{"announce":{"source":0,"header":"echo"}}
{"frame":{"source":0,"seq":0,"text":"one"}}
{"frame":{"source":0,"seq":1,"base64":"Iv8="}}
{"end":{"source":0,"code":"OK"}}
{"end":{"code":"OK"}}
END
runs 21 "a source's failure is the exit code" post --json "$tcp" gen 'sources=1&frames=1&size=4&status=5'
says out "and is told, UTF-8 and all" << 'END'
{"announce":{"source":0,"header":"source @0"}}
{"frame":{"source":0,"seq":0,"text":"0:0:"}}
{"end":{"source":0,"code":"NOT_FOUND","message":"source 0 (source @0): NOT_FOUND: source @0 ends as asked: schön, 好的 ✓"}}
{"end":{"code":"OK"}}
END
has err "source @0 ends as asked" "and stands on standard error"
runs 19 "a bad body is INVALID_ARGUMENT" post "$tcp" gen size=many
has err "size is a number from 0 to 104857600, not 'many'" "which says what would be right"
runs 21 "an unknown service is NOT_FOUND, at once" post --json "$tcp" nobody
has out '{"end":{"code":"NOT_FOUND","message":' "also in JSON"
runs 0 "--only" post --raw --only '*@[13]' "$tcp" gen 'size=4&frames=1'
[ "$(fold -w 4 "$scratch/out" | sort | tr '\n' ' ')" = "1:0: 3:0: " ]
verdict $? "$scratch/out" "only what matches is opened"
for most in 1 3 off; do
    runs 0 "--sources-max $most" post --raw --sources-max "$most" "$tcp" gen 'sources=7&size=4&frames=1'
    [ "$(fold -w 4 "$scratch/out" | sort | tr '\n' ' ')" = "0:0: 1:0: 2:0: 3:0: 4:0: 5:0: 6:0: " ]
    verdict $? "$scratch/out" "all of them come"
done
runs 0 "--count" post --raw --count 3 "$tcp" gen 'sources=1&frames=100000000&size=4'
[ "$(cat "$scratch/out")" = "0:0:0:1:0:2:" ]
verdict $? "$scratch/out" "so many frames, then no more"
runs 20 "--timeout" post --timeout 100ms "$tcp" gen 'sources=1&delay_ms=60000'
runs 0 "a frame of 10 MiB" post --raw "$tcp" gen 'sources=1&frames=1&size=10485760'
[ "$(wc -c < "$scratch/out")" -eq 10485760 ]
verdict $? /dev/null "is whole"
runs 0 "--metadata" post --metadata a=b --metadata c-d=e "$tcp" echo x
timeout 30 "$tool" post "$tcp" gen 'sources=3&frames=100000000' 2> "$scratch/err" | head -n 2 > "$scratch/out"
codes=${PIPESTATUS[*]}
[ "$codes" = "0 0" ] && [ ! -s "$scratch/err" ]
verdict $? "$scratch/err" "a reader that has seen enough ends it quietly ($codes)"
input=$scratch runs 74 "a body that cannot be read" post "$tcp" echo -
has err "read standard input: " "and it is said why"
"$tool" post "$unix" echo x <&- >&- 2> "$scratch/err"
[ $? -eq 74 ]
verdict $? "$scratch/err" "without standard input and output nothing goes to a socket of ours"
has err "write standard output: Bad file descriptor" "and it is said why"
runs 19 "words of a stranger with control characters" post "$tcp" gen $'a\e[2J\nb'
has err "gen: 'a\\x1b[2J\\x0ab' is none" "are one line that moves no cursor"
runs 19 "an eager source of gen is small" post "$tcp" gen 'size=4097&eager=1'
"$tool" post "$tcp" echo x > /dev/full 2> "$scratch/err"
[ $? -eq 74 ]
verdict $? "$scratch/err" "output that cannot be written is 74"

# ---- bench -------------------------------------------------------------------------------------

runs 0 "bench" bench --posts 6 --sources 7 --frames 8 --size 999 --parallel 3 "$tcp"
has out "6 posts, 42 sources, 336 frames, 335664 bytes in " "says what it did"
has out "; 0 wrong" "and that nothing was wrong"
has out "post to first frame:  min/avg/p50/p90/p99/max " "and how long it took"
runs 0 "bench --json" bench --json --duration 100ms --sources 2 "$unix"
python3 - "$scratch/out" > "$scratch/diff" 2>&1 << 'END'
import json, sys
b = json.load(open(sys.argv[1]))["bench"]
assert b["code"] == "OK" and b["wrong"] == 0, b
assert b["posts"] > 0 and b["sources"] == 2 * b["posts"] and b["frames"] == 10 * b["sources"], b
assert b["bytes"] == 1000 * b["frames"] and b["source_ms"]["count"] == b["sources"], b
assert abs(b["frames_per_s"] - b["frames"] / b["seconds"]) <= 0.02 * b["frames_per_s"], b
ms = b["first_frame_ms"]
assert 0 < ms["min"] <= ms["p50"] <= ms["p90"] <= ms["p99"] <= ms["max"], b
END
verdict $? "$scratch/diff" "is an object whose numbers agree"
runs 31 "bench of a service that says something else is DATA_LOSS" bench --service echo --posts 1 "$tcp"
has err "chanserv bench: post 0, source @0 is called 'echo'" "and says what is wrong"
runs 21 "bench of a service that does not exist" bench --service none "$tcp"
runs 20 "bench with a deadline" bench --service logs --timeout 100ms "$tcp"
env --default-signal=INT timeout --foreground -s INT 2 "$tool" bench --json "$tcp" > "$scratch/out" 2> "$scratch/err"
got=$?
[ $got -eq 124 ] && [ ! -s "$scratch/err" ] && grep -q '"code":"CANCELLED".*"wrong":0,' "$scratch/out"
verdict $? "$scratch/out" "bench ends on SIGINT, and says what it has ($got)"

"$tool" bench --duration 5500ms --parallel 1 --sources 1 "$tcp" > "$scratch/long.out" 2> "$scratch/long" &
long=$!
cat > "$scratch/terminal" << 'END'
import os, pty, sys
# Standard error is a terminal; what is written there goes to our output.
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
try:
    while got := os.read(fd, 4096):
        sys.stdout.buffer.write(got)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
timeout 30 python3 "$scratch/terminal" "$tool" bench --duration 1200ms --sources 1 "$tcp" > "$scratch/out" 2> "$scratch/err"
# Each time from the first column, and at the end nothing of it is left.
grep -aqP '^(\r[0-9.]+ s: [^\n]* frames/s, [^\n]* MB/s\x1b\[K)+\r\x1b\[K[0-9]+ posts, ' "$scratch/out"
verdict $? "$scratch/out" "bench on a terminal rewrites one line"

# ---- rtt ---------------------------------------------------------------------------------------

runs 0 "rtt" rtt --count 3 --interval 1ms "$tcp"
[ "$(sed 's/[0-9]*\.[0-9]\{3\}/N/g' "$scratch/out")" = "$tcp: connected, time=N ms
$tcp: seq=0 time=N ms
$tcp: seq=1 time=N ms
$tcp: seq=2 time=N ms
3 asked, 3 answered; min/avg/p50/p90/p99/max N/N/N/N/N/N ms" ]
verdict $? "$scratch/out" "says how long each took, and all"
CHANSERV_ADDR=$unix runs 0 "rtt --json" rtt --json --count 2 --interval 1ms
python3 - "$scratch/out" > "$scratch/diff" 2>&1 << 'END'
import json, sys
connected, one, two, end = [json.loads(line) for line in open(sys.argv[1])]
ms = end["summary"]["ms"]
assert connected["connected"]["ms"] > 0 and one["rtt"]["seq"] == 0 and two["rtt"]["seq"] == 1
assert end["summary"]["code"] == "OK" and end["summary"]["asked"] == end["summary"]["answered"] == 2
assert 0 < ms["min"] == min(one["rtt"]["ms"], two["rtt"]["ms"]) <= ms["avg"] <= ms["max"]
END
verdict $? "$scratch/diff" "is an object a line"
runs 30 "rtt to nobody" rtt "unix:$scratch/none"
has err "chanserv rtt: dial unix:" "says what is wrong"
: > "$scratch/lines.rtt"
env --default-signal=INT "$tool" rtt --interval 10ms "$tcp" > "$scratch/lines.rtt" 2> "$scratch/err" &
asker=$!
until grep -q seq=3 "$scratch/lines.rtt"; do kill -0 $asker || break; done
kill -INT $asker
wait $asker
got=$?
[ $got -eq 0 ] && tail -n 1 "$scratch/lines.rtt" | grep -q ' asked, .* answered; min'
verdict $? "$scratch/lines.rtt" "rtt ends with 0 on SIGINT, and sums up ($got)"

# ---- talk, and what goes into the environment of exec ------------------------------------------

trace=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
TRACEPARENT=$trace runs 0 "a trace goes on" post --raw "$tcp" trace
[ "$(cat "$scratch/out")" = "($trace)" ]
verdict $? "$scratch/out" "behind the service"
TRACEPARENT=nonsense runs 0 "what is no trace" post --raw "$tcp" trace
[ "$(cat "$scratch/out")" = "()" ]
verdict $? "$scratch/out" "goes nowhere"
TRACEPARENT=$trace runs 0 "--metadata is stronger" post --raw --metadata "traceparent=${trace/%01/00}" "$tcp" trace
[ "$(cat "$scratch/out")" = "(${trace/%01/00})" ]
verdict $? "$scratch/out" "than the environment"
printf 'one\n\n\001three' > "$scratch/in"
input=$scratch/in runs 0 "talk: lines go up, the last one without its newline too" talk "$tcp" cat
says out "and lines come down, that move no cursor" << 'END'
one

\x01three
END
input=$scratch/in runs 0 "talk: newlines" talk "$tcp" newlines
says out "go up" <<< 2
input=$scratch/in runs 0 "talk --no-newline" talk --no-newline "$tcp" newlines
says out "leaves them out" <<< 0
input=$scratch/in runs 0 "talk --raw" talk --raw "$unix" cat
cmp "$scratch/in" "$scratch/out" > "$scratch/diff" 2>&1
verdict $? "$scratch/diff" "is the bytes and nothing else"
CHANSERV_ADDR=$unix runs 0 "talk with a verbose mouth" talk -v cat
says out "tells the source's end" << 'END'
+ stdio
- stdio
END
head -c 20000000 /dev/urandom > "$scratch/in"
input=$scratch/in runs 0 "talk: 20 MB both ways" talk --raw "$tcp" cat
cmp "$scratch/in" "$scratch/out" > "$scratch/diff" 2>&1
verdict $? "$scratch/diff" "are the same bytes"
printf 'x\n' > "$scratch/in"
input=$scratch/in runs 18 "talk ends as the post does" talk "$tcp" fails
has out "heard x" "behind the last frame"
has err "exit status 3" "and it is said how"
runs 28 "talk wants a source that listens" talk "$tcp" echo x
has err "chanserv talk: echo: none of its sources listens" "and says so"
runs 28 "talk --only of one that does not listen" talk --only stderr "$tcp" cat
has err "no source of that name listens" "says so too"
runs 0 "talk --only of one that does" talk --only 'std?o' "$tcp" cat
runs 21 "talk with an unknown service" talk "$tcp" nobody
input=$scratch runs 74 "talk whose standard input cannot be read" talk "$tcp" cat
has err "read standard input: " "says why"
runs 20 "talk with a deadline" talk --timeout 100ms "$tcp" deaf
[ "$(wc -l < "$scratch/err")" -eq 1 ]
verdict $? "$scratch/err" "and it is said once"
yes | timeout 30 "$tool" talk "$tcp" cat 2> "$scratch/err" | head -n 3 > "$scratch/out"
codes=${PIPESTATUS[*]}
[ "${codes#* }" = "0 0" ] && [ ! -s "$scratch/err" ]
verdict $? "$scratch/err" "a reader that has seen enough ends talk quietly ($codes)"
says out "with what it has seen" << 'END'
y
y
y
END
# Of a gigabyte that nobody reads on the other side, only what fits on the way is read here.
cat > "$scratch/offer" << 'END'
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
block, taken = bytes(65536), 0
try:
    while taken < 1 << 30:
        taken += os.write(1, block)
except BrokenPipeError:
    pass
print(taken >> 20, file=sys.stderr)
END
python3 "$scratch/offer" 2> "$scratch/taken" |
    timeout 30 "$tool" talk --raw --timeout 2s "$tcp" deaf > "$scratch/out" 2> "$scratch/err"
[ "$(cat "$scratch/taken")" -lt 24 ]
verdict $? "$scratch/taken" "talk: a process that does not listen stops our reading ($(cat "$scratch/taken") MiB)"
# A conversation: what is said depends on what was answered.  Then the signal, in the middle.
mkfifo "$scratch/up" "$scratch/down"
env --default-signal=INT "$tool" talk "$tcp" sums < "$scratch/up" > "$scratch/down" 2> "$scratch/err" &
talker=$!
exec 5> "$scratch/up" 4< "$scratch/down"
n=1
for _ in 1 2 3 4 5 6 7 8 9 10; do
    echo "$n" >&5
    read -r -t 30 n <&4 || break
done
[ "$n" = 1024 ]
verdict $? "$scratch/err" "talk: ten questions, each the answer to the one before ($n)"
kill -INT $talker
wait $talker
got=$?
exec 4<&- 5>&-
[ $got -eq 130 ] && [ ! -s "$scratch/err" ]
verdict $? "$scratch/err" "talk ends with 130 on SIGINT, though it waits for input ($got)"

wait $long
verdict $? "$scratch/long" "bench with a duration"
grep -qE '^[5-9]\.[0-9] s: [0-9]+ posts, [0-9]+ sources, [0-9]+ frames/s, [0-9.]+ MB/s$' "$scratch/long" &&
    [ "$(wc -l < "$scratch/long")" -eq 1 ]
verdict $? "$scratch/long" "says every five seconds how it goes"

# ---- tail, and signals -------------------------------------------------------------------------

runs 0 "tail without following" post --json "$unix" logs '*?follow=0'
has out '{"frame":{"source":0,"seq":1,"text":"two\n"}}' "a line has its newline"
mkfifo "$scratch/lines"
timeout 60 "$tool" post "$unix" logs > "$scratch/lines" 2> "$scratch/err" &
follower=$!
exec 4< "$scratch/lines"
read -r -t 30 line <&4 && read -r -t 30 line <&4
echo three >> "$scratch/logs/syslog"
read -r -t 30 line <&4
[ "$line" = "syslog: three" ]
verdict $? "$scratch/err" "appended lines come"
# timeout(1) passes it on and then answers with the code of the program.
kill -TERM $follower
wait $follower
got=$?
[ $got -eq 143 ] && [ ! -s "$scratch/err" ]
verdict $? "$scratch/err" "post ends with 143 on SIGTERM, and says nothing ($got)"
exec 4<&-
env --default-signal=INT "$tool" post "$unix" logs > "$scratch/lines" 2> "$scratch/err" &
follower=$!
exec 4< "$scratch/lines"
read -r -t 30 line <&4
kill -INT $follower
wait $follower
got=$?
[ $got -eq 130 ] && [ ! -s "$scratch/err" ]
verdict $? "$scratch/err" "post ends with 130 on SIGINT, and says nothing ($got)"
exec 4<&-
stop TERM
serve --listen 127.0.0.1:0 --listen "unix:$scratch/socket" --service echo=echo
stop INT
tap_end
