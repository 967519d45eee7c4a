# Sourced by run (bash): our own client, chanserv(1), in each cell of the matrix (cells.sh).

# tool COMMAND ARGUMENT...: its exit status is $code, what it said is in $scratch/out and $scratch/err.
tool() {
    code=0
    sane "$build/tools/chanserv" "$@" > "$scratch/out" 2> "$scratch/err" || code=$?
}

# told NAME CODE TEXT: how the last one ended, and that TEXT is among its words.
told() {
    if [ $code -eq "$2" ] && cat "$scratch/out" "$scratch/err" | grep -qF -- "$3"; then
        passed "$1"
    else
        failed "$1" "exit status $code, not $2 with '$3': $(head -c 1000 "$scratch/out" "$scratch/err")"
    fi
}

# wrote NAME TEXT: the last one ended well, and this is all that it wrote.
wrote() {
    if [ $code -eq 0 ] && [ "$(< "$scratch/out")" = "$2" ]; then
        passed "$1"
    else
        failed "$1" "exit status $code: $(head -c 1000 "$scratch/out" "$scratch/err")"
    fi
}

# counted NAME: the number that the witness has for it.
counted() {
    tool post "${way[@]}" "$witness" seen
    awk -v name="$1" '$2 == name { n = $3 } END { print n + 0 }' "$scratch/out"
}

# grown NAME COUNTER FROM LEAST: it is at least so much more than it was.  The server learns of some
# things a little later than we: it is asked until it has.
grown() {
    local now
    for _ in $(seq 100); do
        now=$(counted "$2")
        [ $((now - $3)) -ge "$4" ] && passed "$1" && return
    done
    failed "$1" "$2 was $3 and is $now"
}

# in_cell CELL: the way there is in $way.
in_cell() {
    local certs=$CHANSERV_CERTS
    case $1 in
    h2c) way=(--token-file "$certs/token") ;;
    unix) way=() ;;
    tls) way=(--ca "$certs/ca.pem" --server-name 127.0.0.1 --token-file "$certs/token") ;;
    mtls) way=(--ca "$certs/ca.pem" --cert "$certs/client.pem" --key "$certs/client.key") ;;
    esac
}

# stranger CELL: one whom no rule knows.  (Another user of the unix socket: test/tools/serve.sh.)
stranger() {
    local certs=$CHANSERV_CERTS name="chanserv, $1: who may do nothing here is told what would do"
    case $1 in
    h2c)
        tool post "$gen" gen
        told "$name" 32 'UNAUTHENTICATED: who are you? send a token'
        ;;
    tls)
        tool post --ca "$certs/ca.pem" "$gen" gen
        told "$name" 32 'UNAUTHENTICATED: who are you? send a token'
        ;;
    mtls)
        tool post --ca "$certs/ca.pem" --cert "$certs/visitor.pem" --key "$certs/visitor.key" "$gen" gen
        told "$name" 23 'PERMISSION_DENIED: no name of your certificate is allowed here'
        ;;
    esac
}

one_cell() {
    local cell=$1 gen=$2 witness=$3 way before
    in_cell "$cell"
    tool services "${way[@]}" "$gen"
    wrote "chanserv, $cell: the list has what we may use, and nothing else" gen
    tool post "${way[@]}" "$gen" secret
    told "chanserv, $cell: what we may not use is refused, in words" 23 'not allowed to use secret'
    stranger "$cell"
    tool bench --posts 3 --sources 5 --frames 3 --size 5000 "${way[@]}" "$gen"
    told "chanserv, $cell: five sources a post, and every byte of them" 0 \
        '3 posts, 15 sources, 45 frames, 225000 bytes'
    tool bench --posts 1 --sources 2 --frames 1 --size $((2 << 20)) "${way[@]}" "$gen"
    told "chanserv, $cell: frames of 2 MiB" 0 '2 frames, 4194304 bytes'
    tool post "${way[@]}" "$gen" gen 'sources=1&frames=1&size=4&status=9'
    told "chanserv, $cell: an error comes with its words" 25 \
        'FAILED_PRECONDITION: source @0 ends as asked: schön, 好的 ✓'
    before=$(counted end.client-left)
    tool post --count 5 "${way[@]}" "$witness" well '1 100'
    grown "chanserv, $cell: a producer hears that we left" end.client-left "$before" 1
    tool talk "${way[@]}" "$witness" talk <<< $'eins\nzwei'
    wrote "chanserv, $cell: a conversation, to the last words of both" $'0:eins\n1:zwei\nbye'
    [ "$cell" = tls ] || return 0
    before=$(counted messages_gzipped)
    tool post --gzip --count 20 "${way[@]}" "$witness" well '1 20000'
    grown "chanserv, $cell: compressed" messages_gzipped "$before" 20
}

run_tool() {
    local cell gen witness
    cells || return
    while read -r -u 4 cell gen witness; do
        one_cell "$cell" "$gen" "$witness"
    done 4<<< "$CHANSERV_CELLS"
}
