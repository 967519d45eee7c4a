#!/bin/bash
# curl as a client: gRPC by hand, every byte of it in this file (docs/WIRE has them explained).
#
#   curl.sh NAME URL [curl's options]...    URL is that of a server with gen; the options say how
#
# NAME stands before each case.  Exit status 3: a case failed, and a line says which.
set -u
who=$1 url=$2
shift 2
way=("$@")
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
status=0

# unhex HEX...: the bytes.
unhex() {
    local hex=${*// /}
    printf '%b' "$(printf '%s' "${hex// /}" | sed 's/../\\x&/g')"
}

# ask METHOD [curl's options]: the body in $scratch/request goes out; $said has the headers and the
# trailers as they came, $got the message bytes in hex.
ask() {
    request "$@" --data-binary "@$scratch/request"
}

# The same without a body, for what is refused because of its headers.  The answer to those comes at
# once, and curl 7 fails (exit 92) or hangs when an answer is over before its upload is.
request() {
    local method=$1
    shift
    curl -sS -m 20 "${way[@]}" -D "$scratch/said" -o "$scratch/got" -X POST \
        -H 'te: trailers' -H 'content-type: application/grpc' "$@" \
        "$url/chanserv.v1.Chanserv/$method" 2> "$scratch/error"
    code=$?
    said=$(sed 's/[[:space:]]*$//' "$scratch/said")
    got=$(od -An -v -tx1 "$scratch/got" 2>/dev/null | tr -d ' \n')
}

# holds NAME TEST...: the line of this case.
holds() {
    local name=$1
    shift
    if "$@"; then
        echo "ok $who: $name"
    else
        status=3
        echo "FAIL $who: $name: exit $code $(cat "$scratch/error")"
        printf '%s\nmessages: %s\n' "$said" "$got" | sed 's/^/    /'
    fi
}
says() {
    local line
    for line in "$@"; do
        grep -qixF "$line" <<< "$said" || return 1
    done
}
and() {
    [ "$got" = "$1" ] && shift && says "$@"
}

# PostRequest{service: "gen", body: "sources=1&frames=1&size=4"}, behind flag 0 and length 32.
unhex 00 00000020 0a 03 67656e 12 19 736f75726365733d31266672616d65733d312673697a653d34 > "$scratch/request"
ask Post
# One message of 46 bytes: the ticket (32 bytes, new each time), and the header "source @0".
answered() {
    [[ $got =~ ^000000002d1220([0-9a-f]{64})1a09736f75726365204030$ ]] && ticket=${BASH_REMATCH[1]} &&
        says 'HTTP/2 200' 'content-type: application/grpc' 'grpc-status: 0'
}
holds 'a post is answered with a framed announcement and trailers' answered

# OpenRequest{ticket}
unhex 00 00000022 0a 20 "${ticket:-}" > "$scratch/request"
ask Open
# Frame{payload: "0:0:"}
holds 'its source gives a framed frame and trailers' and 00000000060a04303a303a 'HTTP/2 200' 'grpc-status: 0'
ask Open
holds 'the same ticket again is ALREADY_EXISTS' and '' 'grpc-status: 6' 'chanserv-reason: claimed'

# status=5: the message has umlauts and more, percent-encoded.
unhex 00 00000029 0a 03 67656e 12 22 736f75726365733d31266672616d65733d302673697a653d34267374617475733d35 \
    > "$scratch/request"
ask Post
unhex 00 00000022 0a 20 "${got:14:64}" > "$scratch/request"
ask Open
holds "a producer's message is percent-encoded" and '' 'grpc-status: 5' \
    'grpc-message: source @0 ends as asked: sch%C3%B6n, %E5%A5%BD%E7%9A%84 %E2%9C%93'

# PostRequest{service: "nobody"}
unhex 00 00000008 0a 06 6e6f626f6479 > "$scratch/request"
ask Post
holds 'an unknown service is NOT_FOUND' and '' 'HTTP/2 200' 'content-type: application/grpc' \
    'grpc-status: 5' 'chanserv-reason: no-service'
request Nothing
holds 'an unknown method is UNIMPLEMENTED' and '' 'HTTP/2 200' 'grpc-status: 12'
request Post -H 'content-type: text/plain'
holds 'text/plain is not for gRPC: the gateway has nothing there' says 'HTTP/2 404' 'content-type: application/json'
request Post -X GET
holds 'a GET is answered 405' says 'HTTP/2 405'
request Post -H 'grpc-timeout: soon'
holds 'a timeout that is none is refused' says 'HTTP/2 200' 'grpc-status: 3' \
    'chanserv-reason: bad-request'
exit $status
