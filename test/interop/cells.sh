# Sourced by run (bash): the servers of the matrix.  Each client comes to them in plain text (h2c),
# by a unix socket, over TLS, and over TLS with a certificate of its own.  Its environment:
#
#   CHANSERV_CELLS     a line a cell: NAME, the address of `chanserv serve`, that of witness.c
#   CHANSERV_EXPIRED   the address of one whose certificate has expired
#   CHANSERV_ROLLED    the address of one whose connections grow 200 ms old
#   CHANSERV_CERTS     a directory with what test/support/certs.sh makes, and with the file `token`
#
# The first address serves gen and secret.  Whoever comes by the unix socket as this user, or shows
# client.pem (mtls), or has the token (all others), may use gen, and ask for nobody; secret is for
# nobody at all.  The witness asks nobody who he is, except by TLS; that of the cell tls compresses.
cells() {
    [ -z "${CHANSERV_CELLS:-}" ] || return 0
    local certs=$scratch/certs plain tls witness tool=$build/tools/chanserv kinds
    "$tree/test/support/certs.sh" "$certs" > "$scratch/certs.said" 2>&1 || {
        failed "there are certificates" "$(cat "$scratch/certs.said")"
        return 1
    }
    (umask 077 && echo sesame > "$certs/token" && echo 'sesame gen,nobody' > "$certs/tokens")
    plain=(--token-file "$certs/tokens" --allow-uid "$(id -u)=gen,nobody")
    tls=(--cert "$certs/server.pem" --key "$certs/server.key")
    witness=("$build/test/interop/witness" cert="$certs/server.pem" key="$certs/server.key")
    kinds=(-v --listen 127.0.0.1:0 --service gen=gen --service secret=echo)

    serve cells-plain "$tool" serve "${kinds[@]}" "${plain[@]}" \
        --listen "unix:$scratch/gen.sock" || return
    CHANSERV_CELLS="h2c localhost:${address##*:} localhost:${CHANSERV_WITNESS##*:}
unix unix:$scratch/gen.sock unix:$scratch/witness.sock"
    serve cells-tls "$tool" serve "${kinds[@]}" "${tls[@]}" --token-file "$certs/tokens" || return
    CHANSERV_CELLS+=$'\n'"tls localhost:${address##*:}"
    serve witness-tls "${witness[@]}" gzip || return
    CHANSERV_CELLS+=" localhost:${address##*:}"
    serve cells-mtls "$tool" serve "${kinds[@]}" "${tls[@]}" --client-ca "$certs/ca.pem" \
        --client-san 'URI:spiffe://example/*=gen,nobody' || return
    CHANSERV_CELLS+=$'\n'"mtls localhost:${address##*:}"
    serve witness-mtls "${witness[@]}" ca="$certs/ca.pem" || return
    CHANSERV_CELLS+=" localhost:${address##*:}"
    serve cells-expired "$tool" serve "${kinds[@]}" --cert "$certs/expired.pem" \
        --key "$certs/expired.key" || return
    CHANSERV_EXPIRED=localhost:${address##*:}
    serve rolled "$tool" serve --listen 127.0.0.1:0 --service gen=gen --connection-age 200ms || return
    export CHANSERV_EXPIRED CHANSERV_ROLLED=$address
    export CHANSERV_CELLS CHANSERV_CERTS=$certs
}
