#!/bin/bash
# curl as what it is: the gateway's routes, by any version of HTTP.
#
#   gateway.sh NAME URL [curl's options]...    URL is that of a server with gen; the options say how
#
# NAME stands before each case.  Exit status 3: a case failed, and a line says which.
set -u
who=$1 url=$2
shift 2
way=("$@")
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
status=0

# ask PATH [curl's options]: $head has the headers as they came, $got the body.
ask() {
    local path=$1
    shift
    curl -sS -m 20 "${way[@]}" -D "$scratch/head" "$@" "$url$path" > "$scratch/got" 2> "$scratch/error"
    code=$?
    head=$(sed 's/[[:space:]]*$//' "$scratch/head")
    got=$(cat "$scratch/got")
}
# holds NAME TEST...: the line of this case.
holds() {
    local name=$1
    shift
    if [ "$code" -eq 0 ] && "$@"; then
        echo "ok $who: $name"
    else
        status=3
        echo "FAIL $who: $name: exit $code $(cat "$scratch/error")"
        printf '%s\n%s\n' "$head" "$got" | sed 's/^/    /'
    fi
}
answered() { # STATUS [HEADER]...
    grep -q "^HTTP/[0-9.]* $1\b" <<< "$head" || return 1
    shift
    local line
    for line in "$@"; do grep -qixF "$line" <<< "$head" || return 1; done
}
body() {
    local body=$1
    shift
    [ "$got" = "$body" ] && answered "$@"
}
lines() { # COUNT TEXT: so many lines have it
    [ "$(grep -cF "$2" <<< "$got")" -eq "$1" ]
}

ask /v1/services
services() { [[ $got == '{"services":['*'"gen"'*']}' ]] && answered 200 'content-type: application/json'; }
holds 'the list of services' services

ask /readyz
holds 'ready' body ok 200 'content-type: text/plain' 'cache-control: no-store'

ask /v1/post/gen -d 'sources=1&frames=2&size=4'
holds 'a post, a line each' body '{"announce":{"source":0,"header":"source @0"}}
{"frame":{"source":0,"seq":0,"text":"0:0:"}}
{"frame":{"source":0,"seq":1,"text":"0:1:"}}
{"end":{"source":0,"code":"OK"}}
{"end":{"code":"OK"}}' 200 'content-type: application/x-ndjson'

ask /v1/post/gen -d 'sources=1&frames=1&size=4' -H 'Accept: text/event-stream'
holds 'a post, an event each' body 'retry: 500

data: {"announce":{"source":0,"header":"source @0"}}

data: {"frame":{"source":0,"seq":0,"text":"0:0:"}}

data: {"end":{"source":0,"code":"OK"}}

event: end
data: {"end":{"code":"OK"}}' 200 'content-type: text/event-stream' 'cache-control: no-store'

ask '/v1/post/gen?open=*2' -d 'sources=4&frames=3&size=4'
holds 'those sources that are wanted' lines 3 '{"frame":{"source":2,'

ask /v1/post/gen -d 'sources=20&frames=50&size=2000'
holds 'twenty sources of fifty frames' lines 1000 '{"frame":'

ask '/v1/post/gen?mode=announce' -d 'sources=1&frames=3&size=4'
holds 'sources as URLs' lines 1 '"url":"/v1/source/'
source=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' <<< "$got")
ask "$source"
holds 'a source as it is' body '0:0:0:1:0:2:' 200 'content-type: application/octet-stream'
ask "$source" -H 'Accept: text/event-stream' -H 'Last-Event-ID: 1'
holds 'and again from where one was' body 'retry: 500

id: 2
data: {"frame":{"seq":2,"text":"0:2:"}}

event: end
data: {"end":{"code":"OK"}}' 200 'referrer-policy: no-referrer'
ask "$source" -H 'Accept: text/event-stream' -H 'Last-Event-ID: 2'
holds 'at the end 204' body '' 204

ask /v1/post/nobody -d ''
holds 'nobody serves it' body \
    '{"error":{"code":"NOT_FOUND","message":"post nobody: NOT_FOUND: no such service"}}' 404
# gRPC-Web, in base64: 0a 06 "nobody"; 0a 03 "gen" 12 09 "sources=1".
web=(-H 'Content-Type: application/grpc-web-text' -H 'X-Grpc-Web: 1')
ask /chanserv.v1.Chanserv/Post "${web[@]}" -d AAAAAAgKBm5vYm9keQ==
holds 'gRPC-Web: nobody serves it' body \
    gAAAAExncnBjLXN0YXR1czogNQ0KZ3JwYy1tZXNzYWdlOiBubyBzdWNoIHNlcnZpY2UNCmNoYW5zZXJ2LXJlYXNvbjogbm8tc2VydmljZQ0K \
    200 'content-type: application/grpc-web-text+proto'
ask /chanserv.v1.Chanserv/Post "${web[@]}" -d AAAAABAKA2dlbhIJc291cmNlcz0x
posted() { [[ $got == AAAAA*gAAAABBncnBjLXN0YXR1czogMA0K ]] && answered 200; }
holds 'gRPC-Web: an announcement, and the status behind it' posted
ask /chanserv.v1.Chanserv/Post "${web[@]}" -d AAAAAAgKBm5vYm9keQ== -H 'Origin: http://evil.example'
holds 'gRPC-Web: a page from elsewhere' answered 403 'content-type: application/json'

ask /nothing
holds 'there is nothing' body '{"error":{"code":"NOT_FOUND","message":"there is nothing at this path"}}' 404
ask /v1/services -X DELETE
holds 'another method' answered 405 'allow: GET, HEAD, OPTIONS'
ask /v1/services -I
holds 'HEAD' answered 200 'content-type: application/json'
ask /v1/services -H 'Origin: http://evil.example'
holds 'a page from elsewhere' answered 403
ask /v1/services -H 'Host: evil.example'
holds 'a name that is not ours' answered 403
exit $status
