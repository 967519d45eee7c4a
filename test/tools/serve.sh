#!/bin/bash
# `chanserv serve` as people and service managers run it (TAP): who may do what, its configuration,
# sockets and messages of systemd.
. "$(dirname "$0")/kit.sh"

# serve ARGUMENT...: in the background, until it said where it listens ($tcp, $unix).
serve() {
    rm -f ready
    mkfifo ready
    "$tool" serve --listen 127.0.0.1:0 --listen "unix:$scratch/socket" "$@" > ready 2> server &
    server=$!
    exec 3< ready
    read -r -t 30 _ tcp <&3 && read -r -t 30 _ unix <&3
}

# as TOKEN: the metadata of somebody who has it.
as() { printf 'authorization=Bearer %s' "$1"; }

# ---- Tokens ------------------------------------------------------------------------------------

printf '# two teams\nred echo,gen-*\nblue *\n' > tokens
chmod 600 tokens
serve --service echo=echo --service gen-a=gen --service secret=echo --token-file tokens
[ ! -s server ]
verdict $? server "a file of tokens that only its owner can read is nothing to talk about"
runs 0 "a right token" post --metadata "$(as red)" "$tcp" echo hi
runs 0 "its glob" post --metadata "$(as red)" "$tcp" gen-a
runs 23 "the token is of other services" post --metadata "$(as red)" "$tcp" secret x
has err "PERMISSION_DENIED: you are known, but not allowed to use secret" "and it says so"
runs 0 "another token for all" post --metadata "$(as blue)" "$tcp" secret x
runs 0 "a list of services" services --token red "$tcp"
printf 'echo\ngen-a\n' | diff - out > diff
verdict $? diff "shows what the caller may use, and nothing else"
runs 32 "a list of services without a token" services "$tcp"
runs 32 "a wrong token" post --metadata "$(as green)" "$tcp" echo hi
has err "UNAUTHENTICATED: the token is not known here" "and it says so"
runs 32 "no token" post "$tcp" echo hi
has err "UNAUTHENTICATED: who are you? send a token (authorization: Bearer TOKEN)" "what would do"
runs 32 "no token by unix socket" post "$unix" echo hi
printf 'green echo\n' > tokens
kill -HUP "$server"
for _ in $(seq 100); do
    chanserv post --metadata "$(as green)" "$tcp" echo hi && break
done
has out "echo: hi" "SIGHUP: a new token is known"
runs 32 "and an old one is not" post --metadata "$(as red)" "$tcp" echo hi
kill -USR1 "$server"
for _ in $(seq 100); do
    grep -q counters: server && break
    sleep 0.05
done
grep -qE 'counters: connections=[0-9]+ .* posts_total=[1-9][0-9]* .* posts_refused_denied=[1-9]' server
verdict $? server "SIGUSR1: counters on one line of standard error"
: > server
printf 'broken\n' > tokens
kill -HUP "$server"
for _ in $(seq 100); do
    chanserv post --metadata "$(as green)" "$tcp" echo hi
    grep -q "from before stay" server && break
done
has server "tokens:1: a line is TOKEN GLOB[,GLOB...]; * is every service; the tokens from before stay" \
    "SIGHUP: a file that makes no sense is told"
runs 0 "and what was there stays" post --metadata "$(as green)" "$tcp" echo hi
: > server
printf '# nobody any more\n' > tokens
kill -HUP "$server"
for _ in $(seq 100); do
    chanserv post --metadata "$(as green)" "$tcp" echo hi || break
done
has err "the token is not known here" "SIGHUP: a file without tokens takes all away"
has server "tokens: there is no token in it: nobody is admitted by one" "and that is told"
stop
runs 64 "a file without tokens lets nobody in, which is no way to begin" serve --service e=echo --token-file tokens
has err "--token-file: tokens: there is no token in it, so nobody could do anything: a line is TOKEN GLOB" \
    "and it is said what would be right"
serve --service echo=echo --token-file tokens --allow-uid "$(id -u)"
has server "tokens: there is no token in it: nobody is admitted by one" "beside another rule it is only told"
runs 0 "and who is admitted by that is served" post "$unix" echo hi
stop
printf 'red *\n' > tokens
runs 23 "tokens in plain text beyond this machine are refused" serve --service e=echo --token-file tokens \
    --listen 0.0.0.0:0
has err "Give --cert and --key for TLS" "and it is said what to do"
chmod 644 tokens
serve --service echo=echo --token-file tokens
has server "tokens: others than its owner may read it (mode 0644): chmod 600 tokens" "a file for all is told"
stop

# ---- Users of the unix socket ------------------------------------------------------------------

me=$(id -u)
serve --service echo=echo --service secret=echo --allow-uid "$me=echo"
runs 0 "a user of the unix socket" post "$unix" echo hi
runs 23 "for his services" post "$unix" secret hi
runs 32 "by TCP nobody is a user" post "$tcp" echo hi
has err "who are you? connect by the unix socket" "what would do"
stop
serve --service echo=echo --allow-uid 4294967294
runs 23 "another user" post "$unix" echo hi
has err "user $me is not allowed here" "who he is"
stop

# ---- TLS ----------------------------------------------------------------------------------------

bash "$here/support/certs.sh" certs > diff 2>&1
verdict $? diff "certificates for these tests"
serve --service echo=echo --cert certs/server.pem --key certs/server.key --listen 0.0.0.0:0
runs 0 "TLS" post --ca certs/ca.pem "$tcp" echo hi
has out "echo: hi" "and what was asked is answered"
runs 30 "a client that does not believe the authority" post --ca certs/other-ca.pem "$tcp" echo hi
runs 30 "a client in plain text" post "$tcp" echo hi
read -r -t 30 _ far <&3
case $far in 0.0.0.0:*) ok "with TLS it listens beyond this machine: $far" ;; *) not_ok "$far" ;; esac
stop
printf 'red echo\n' > tokens
chmod 600 tokens
serve --service echo=echo --service secret=echo --cert certs/server.pem --key certs/server.key \
    --client-ca certs/ca.pem --client-san 'URI:spiffe://example/*=echo' --client-san DNS:web.example
mutual=(--ca certs/ca.pem --cert certs/client.pem --key certs/client.key)
runs 0 "a name of the client's certificate" post "${mutual[@]}" "$tcp" echo hi
runs 23 "for its services" post "${mutual[@]}" "$tcp" secret hi
has err "you are known, but not allowed to use secret" "and it says so"
runs 30 "a client without a certificate" post --ca certs/ca.pem "$tcp" echo hi
stop
serve --service echo=echo --cert certs/server.pem --key certs/server.key --client-ca certs/ca.pem \
    --client-san DNS:web.example
runs 23 "another name" post "${mutual[@]}" "$tcp" echo hi
has err "no name of your certificate is allowed here" "and it says so"
stop
serve --service echo=echo --service secret=echo --cert certs/server.pem --key certs/server.key --token-file tokens
runs 0 "a token over TLS" post --ca certs/ca.pem --token red "$tcp" echo hi
runs 23 "is of its services" post --ca certs/ca.pem --token red "$tcp" secret hi
runs 32 "no token over TLS" post --ca certs/ca.pem "$tcp" echo hi
stop

# ---- The configuration ----------------------------------------------------------------------------

# wrong TEXT WORDS: the file with this text is refused with these words, and nothing else.
wrong() {
    printf '%b' "$1" > wrong.conf
    chanserv serve --config wrong.conf --check-config
    local got=$?
    printf 'chanserv serve: %s\n' "$2" | diff - err > diff && [ $got -eq 64 ] && [ ! -s out ]
    verdict $? diff "refused: $1"
}
wrong 'service = e=echo\nlisten = x\n' \
    "wrong.conf:2: listen: 'x' is no address: host:port, [v6]:port, :port, unix:/path, fd:N"
wrong 'service = e=echo\nlisten = :1\n' \
    "wrong.conf:2: listen :1 is beyond this machine: it wants cert and key for TLS, or insecure for plain text"
wrong 'listen = :1\ninsecure = yes\n' \
    'wrong.conf: at least one service is wanted: service = NAME=KIND[:ARGS], or rendezvous = yes'
wrong 'service = e=echo\nhosts = mq.example https://mq.example\n' \
    "wrong.conf:2: hosts wants names without scheme and port, with spaces between, not 'https://mq.example'"
wrong 'service = e=echo\nhosts = mq.example:5555\n' \
    "wrong.conf:2: hosts wants names without scheme and port, with spaces between, not 'mq.example:5555'"
for cors in app.example https:// https://app.example/; do
    wrong "service = e=echo\ncors = * http://a:1 $cors\n" \
        "wrong.conf:2: cors wants origins (https://app.example) or *, with spaces between, not '$cors'"
done
runs 64 "two that are called rendezvous" serve --rendezvous --service rendezvous=echo --check-config
has err "--rendezvous serves the name rendezvous, and so does a --service" "and it says which"
wrong 'service = e\n' "wrong.conf:1: service wants NAME=KIND[:ARGS], not 'e'"
wrong 'service = e=echo:x\n' "wrong.conf:1: e=echo:x: takes no arguments, but got 'x'"
wrong 'service = e=echo\n\nservice = e=gen\n' 'wrong.conf:3: serve: served already: e'
wrong 'service = e!=echo\n' 'wrong.conf:1: serve: not the name of a service: e!'
wrong 'service = e=echo\ntoken-file = none\n' 'wrong.conf:2: token-file: none: No such file or directory'
printf 'a\n' > broken
chmod 600 broken
wrong 'service = e=echo\ntoken-file = broken\n' \
    'wrong.conf:2: token-file: broken:1: a line is TOKEN GLOB[,GLOB...]; * is every service'
printf '\n# soon\n' > empty
chmod 600 empty
wrong 'service = e=echo\n\ntoken-file = empty\n' \
    'wrong.conf:3: token-file: empty: there is no token in it, so nobody could do anything: a line is TOKEN GLOB[,GLOB...]; * is every service'
wrong 'service = e=echo\nallow-uid = no-such-user\n' \
    "wrong.conf:2: allow-uid: 'no-such-user' is no user of this machine, and no uid"
wrong 'service = e=echo\nfoo = bar\n' \
    "wrong.conf:2: there is no option 'foo': see chanserv.conf(5), or chanserv help serve"
runs 64 "a file that is not there" serve --config none --check-config
has err "none: No such file or directory" "and it is said"
runs 64 "without --check-config the same" serve --config wrong.conf
printf 'listen = 127.0.0.1:0\nservice = e=echo\nposts-max = 1\n' > right.conf
runs 0 "a file that makes sense" serve --config right.conf --check-config
[ ! -s out ] && [ ! -s err ]
verdict $? err "needs no words, and does not listen"
serve --config right.conf --service f=echo
read -r -t 30 _ third <&3
runs 0 "a service of the file" post "$tcp" e hi
runs 0 "and one of the command line" post "$third" f hi
stop
serve --service 'sleep=exec:echo; sleep 600' --posts-max 1
mkfifo runs
"$tool" post "$tcp" sleep > runs 2> hangs &
first=$!
exec 4< runs
read -r -t 30 _ <&4
runs 24 "--posts-max is kept" post "$unix" sleep
exec 4<&-
kill $first
stop

# In the manual: all that --help has.
chanserv serve --help
grep -oE -- '--[a-z][a-z-]+' out | sort -u | sed 's/^--//' > names
while read -r name; do
    case $name in
        config | check-config | help) page=chanserv.1.scd words="\\*--$name\\*" ;;
        *) page=chanserv.conf.5.scd words="\\*$name\\*" ;;
    esac
    [ "$name" = help ] || grep -q -- "$words" "$here/../docs/man/$page" || echo "$page has no $name"
done < names > diff
[ "$(wc -l < names)" -gt 35 ] && [ ! -s diff ]
verdict $? diff "every option of --help is in the manual"

# ---- Draining ------------------------------------------------------------------------------------

# follows SERVICE BODY: a post in the background ($follower), which has its first frame.
follows() {
    : > followed
    timeout 60 "$tool" post "${with[@]}" "$tcp" "$1" "$2" > followed 2> follower &
    follower=$!
    for _ in $(seq 500); do
        [ -s followed ] && break
        sleep 0.02
    done
}
# ends CODE NAME: the follower does.
ends() {
    local got
    wait "$follower"
    got=$?
    [ $got -eq "$1" ] || echo "exit code $got, not $1" >> follower
    [ $got -eq "$1" ]
    verdict $? follower "$2"
}
now() { date +%s%3N; }
with=()

mkdir logs
echo line > logs/a
serve --service logs=tail:logs --service echo=echo --grace 2s
follows logs ''
before=$(now)
kill -TERM "$server"
for _ in $(seq 100); do
    chanserv post "$tcp" echo hi || break
done
has err "UNAVAILABLE: the server is going away" "a new post is refused in a drain"
wait "$server"
verdict $? server "a drain ends with 0"
after=$(($(now) - before))
server=
[ $after -ge 2000 ] && [ $after -lt 3000 ] || echo "$after ms" > diff
[ $after -ge 2000 ] && [ $after -lt 3000 ]
verdict $? diff "within its grace and a second"
ends 30 "what still runs then ends"
has follower "UNAVAILABLE: the server is going away" "and it is told why"

serve --service gen=gen --grace 1m
follows gen 'sources=1&frames=60&delay_ms=10'
stop
ends 0 "what ends within the grace ends well, and the server with it"
serve --service gen=gen --grace 1m
follows gen 'sources=1&frames=1000000&delay_ms=10'
kill -TERM "$server"
sleep 0.3
stop INT
ends 30 "the second signal ends what runs"
serve --service gen=gen --grace off
follows gen 'sources=1&frames=1000000&delay_ms=10'
stop
ends 30 "so does the first without a grace"

# A client that reads on is told which of the two it was.
serve --service gen=gen
tcp=$unix
follows gen 'sources=1&frames=1000000&delay_ms=10'
kill -KILL "$server"
wait "$server" 2> diff
serve --service gen=gen
ends 31 "of a server that was killed what ran is lost, as soon as it is there again"
has follower "no such session here any more" "and it is told why"
stop

# ---- A new certificate ---------------------------------------------------------------------------

# signed CN: by this authority is the certificate that is shown now.
signed() {
    openssl s_client -connect "$tcp" -alpn h2 < /dev/null 2> /dev/null |
        openssl x509 -noout -issuer 2> /dev/null | grep -q "CN = $1"
}
cat certs/ca.pem certs/other-ca.pem > both.pem
cp certs/server.pem certs/host.pem
cp certs/server.key certs/host.key
serve --service gen=gen --cert certs/host.pem --key certs/host.key --grace 1m
with=(--ca both.pem)
follows gen 'sources=1&frames=150&delay_ms=10'
signed "chanserv test CA"
verdict $? follower "a certificate is shown"
cp certs/stranger.pem certs/host.pem # and not the key to it
kill -HUP "$server"
for _ in $(seq 500); do
    grep -q "from before stays" server && break
    sleep 0.02
done
has server "the certificate from before stays" "SIGHUP: a certificate that makes no sense is told"
signed "chanserv test CA"
verdict $? follower "and the old one is shown"
cp certs/stranger.key certs/host.key
kill -HUP "$server"
for _ in $(seq 500); do
    signed "other CA" && break
    sleep 0.02
done
signed "other CA"
verdict $? follower "SIGHUP: new connections meet the new certificate"
ends 0 "and what runs on the old one ends well"
stop
with=()

# ---- systemd ----------------------------------------------------------------------------------------

# Passes a socket as systemd does, plays its notify socket, and tells what was said there.
cat > systemd.py << 'END'
import os, signal, socket, subprocess, sys
tool, use = sys.argv[1], sys.argv[2]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind("\0chanserv-test-%d" % os.getpid() if use == "abstract" else os.path.abspath("notify"))
notify.settimeout(30)
name = notify.getsockname()
env = dict(os.environ, NOTIFY_SOCKET=name if isinstance(name, str) else "@" + name[1:].decode())
args = [tool, "serve", "--service", "echo=echo", "--service", "env=exec:env"]
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
pass_fds = []
if use == "pass":
    # The shell knows the pid that the program will have.
    args = ["/bin/sh", "-c", 'exec 3<&%d; export LISTEN_PID=$$; exec "$@"' % listener.fileno(), "sh"] + args
    env.update(LISTEN_FDS="1", LISTEN_FDNAMES="main")
    pass_fds = [listener.fileno()]
else:
    args += ["--listen", "127.0.0.1:0"]
    env.update(LISTEN_FDS="1", LISTEN_PID="1", WATCHDOG_USEC="20000")
server = subprocess.Popen(args, env=env, pass_fds=pass_fds, stdout=subprocess.PIPE, text=True)
line = server.stdout.readline().strip()
where = line.split(" ")[1]
port = where.rsplit(":", 1)[1]
ready = notify.recv(4096).decode().replace(port, "PORT")
print("READY " + ready.replace("\n", " "))
if use == "pass":
    print("SAME" if port == str(listener.getsockname()[1]) else "OTHER " + line)
    listener.close()
    print(subprocess.run([tool, "post", where, "echo", "hi"], capture_output=True, text=True).stdout.strip())
    text = subprocess.run([tool, "post", "--raw", where, "env"], capture_output=True, text=True).stdout
    print("CHILD", [l for l in text.split("\n") if l.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))])
    server.send_signal(signal.SIGHUP)
else:
    print(notify.recv(4096).decode())
    print(notify.recv(4096).decode())
server.terminate()
said = "WATCHDOG=1"
while said == "WATCHDOG=1":
    said = notify.recv(4096).decode()
print(said)
print("EXIT", server.wait())
END
timeout 60 python3 systemd.py "$tool" pass > out 2> err
diff - out > diff << 'END'
READY READY=1 STATUS=2 services at 127.0.0.1:PORT
SAME
echo: hi
CHILD []
STOPPING=1
EXIT 0
END
verdict $? diff "a socket of systemd is served, told as ready and as stopping, and its variables end here"
timeout 60 python3 systemd.py "$tool" abstract > out 2> err
diff - out > diff << 'END'
READY READY=1 STATUS=2 services at 127.0.0.1:PORT
WATCHDOG=1
WATCHDOG=1
STOPPING=1
EXIT 0
END
verdict $? diff "a watchdog is fed; sockets of another process are none of ours"
# ---- The log -----------------------------------------------------------------------------------

runs 64 "a level that is none" serve --service e=echo --log loud
has err "--log wants LEVEL or ROOM=LEVEL" "and it is said what it may be"
runs 64 "a room that is none" serve --service e=echo --log warn,attic=debug
runs 64 "a format that is none" serve --service e=echo --log-format xml
has err "--log-format wants text, logfmt or json, not 'xml'" "and it is said what it may be"
printf 'service = e=echo\nlog = mux\nlog-format = yaml\n' > conf
runs 64 "both in a file" serve --config conf --check-config
has err "conf:2: log wants" "one is told with its line"
has err "conf:3: log-format wants" "and so is the other"
chanserv serve --help
grep -rhoE 'cs_log\(CS_[A-Z]+, "[a-z]+"' "$here"/../{base,proto,mux,chanserv,gateway}/*.c | sed 's/.* //; s/"//g' |
    sort -u | while read -r room; do grep -qE "rooms: .*\b$room\b" out || echo "$room"; done > diff
[ ! -s diff ]
verdict $? diff "every room that has something to say is in the help"

# page STATUS NAME ARGUMENT...: how GET / is answered, and that other routes are there.
page() {
    local status=$1 name=$2 path
    shift 2
    serve --service e=echo "$@"
    for path in / /v1/services; do
        exec 5<> "/dev/tcp/${tcp%:*}/${tcp##*:}"
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&5
        head -n 1 <&5
        exec 5>&-
    done | tr -d '\r' > answer
    printf 'HTTP/1.1 %s\nHTTP/1.1 200 OK\n' "$status" | diff - answer > diff
    verdict $? diff "$name"
    stop
}
page '200 OK' "a page is at /"
page '404 Not Found' "--no-page: and now it is not" --no-page

# What is neither HTTP/2 nor HTTP/1.1 hears so, and does not have to end a line for it.
serve --service e=echo
for bytes in '\0\0\0\0\0\0\0\0' '\377\376' 'SSH-2.0-x\r\n' 'PRI * HTTP/2.0\1'; do
    exec 5<> "/dev/tcp/${tcp%:*}/${tcp##*:}"
    # shellcheck disable=SC2059  # it is a format
    printf "$bytes" >&5
    head -n 1 <&5
    exec 5>&-
done | tr -d '\r' | sort -u > answer
stop
echo 'HTTP/1.1 400 Bad Request' | diff - answer > diff
verdict $? diff "whatever else its first bytes are, the answer is 400"

# silent ARGUMENT...: somebody says nothing to a server, which logs it in its file "server".
silent() {
    serve --service e=echo --no-gateway --preface-timeout 100ms "$@"
    exec 5<> "/dev/tcp/${tcp%:*}/${tcp##*:}"
    cat <&5 > answer # until it hangs up
    exec 5>&-
    stop
}
silent --log error,mux=info
grep -qxE 'chanserv: mux: connection of 127\.0\.0\.1:[0-9]+: nothing of HTTP/2 came within 100 ms' server
verdict $? server "a line of text, of one room"
silent --log info,mux=error
[ ! -s server ]
verdict $? server "a room of which less is wanted"
silent --log info --log-format logfmt
grep -qxE 'ts=20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z level=info room=mux msg="connection of 127[^"]*ms"' server
verdict $? server "a line of logfmt"
: > server
JOURNAL_STREAM=$(stat -c %d:%i server) silent --log info --log-format json
sed -n 's/^<6>//p' server | /usr/bin/python3 -c 'import json, sys
for line in sys.stdin: it = json.loads(line)
assert list(it) == ["ts", "level", "room", "msg"] and it["room"] == "mux", it' > diff 2>&1
verdict $? diff "a line of JSON, with its priority where the journal reads"
JOURNAL_STREAM=1:2 silent --log info
grep -q '^chanserv: mux: ' server
verdict $? server "and without it where something else reads"
tap_end
