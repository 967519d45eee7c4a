# Sourced by run (bash): TLS that must not come about.  chanserv(1) says why, each time in words of
# its own, and so does the log of the server, which serves on.  The servers are those of cells.sh, and
# openssl-s_server(1) for what ours never do.

# lines SERVER: how long its log is.
lines() { wc -l < "$scratch/$1.said"; }

# logged NAME SERVER FROM TEXT: behind so many lines its log has TEXT, or will have it in a moment.
logged() {
    for _ in $(seq 200); do
        tail -n "+$(($3 + 1))" "$scratch/$2.said" | grep -qF -- "$4" && passed "$1" && return
        sleep 0.05
    done
    failed "$1" "the log has no '$4': $(tail -n 3 "$scratch/$2.said")"
}

# refuses WHAT SERVER CLIENT'S-WORDS SERVER'S-WORDS ARGUMENT...: of a post with these arguments;
# SERVER is "-" when it is none of ours.
refuses() {
    local what=$1 server=$2 here=$3 there=$4 from=0
    shift 4
    [ "$server" = - ] || from=$(lines "$server")
    tool post "$@" gen
    told "tls, $what: chanserv post says so" 30 "$here"
    [ "$server" = - ] || logged "tls, $what: chanserv serve says so" "$server" "$from" "$there"
}

# refused WHAT SERVER'S-WORDS ADDRESS OPTION...: a client of openssl(1).
refused() {
    local what=$1 there=$2 address=$3 from
    shift 3
    from=$(lines cells-tls)
    if timeout 20 openssl s_client -connect "$address" "$@" < /dev/null > "$scratch/out" 2>&1; then
        failed "tls, $what: openssl hears of it" "$(grep -E 'New|Protocol|Verif' "$scratch/out")"
    else
        passed "tls, $what: openssl hears of it"
    fi
    logged "tls, $what: chanserv serve says so" cells-tls "$from" "$there"
}

# other WHAT CLIENT'S-WORDS OPTION...: a server of openssl(1), which has our certificate.
other() {
    local what=$1 here=$2 certs=$CHANSERV_CERTS
    shift 2
    serve theirs openssl s_server -accept 127.0.0.1:0 -www -cert "$certs/server.pem" \
        -key "$certs/server.key" "$@" || return
    refuses "$what" - "$here" - --ca "$certs/ca.pem" "$address"
    end theirs
}

run_tls() {
    local cell tls mtls plain ca none
    cells || return
    ca=(--ca "$CHANSERV_CERTS/ca.pem")
    none=(-cipher 'ALL:@SECLEVEL=0')
    { read -r _ plain _; read -r _ _ _; read -r _ tls _; read -r _ mtls _; } <<< "$CHANSERV_CELLS"

    refuses 'a certificate for somebody else' cells-tls \
        'tls: certificate is for localhost, 127.0.0.1, ::1, not for wrong.example' \
        'tls: the client does not accept our certificate (bad certificate)' \
        "${ca[@]}" --server-name wrong.example "$tls"
    refuses 'an unknown authority' cells-tls \
        'tls: certificate is not signed by anybody we believe (issuer CN=chanserv test CA)' \
        'tls: the client does not accept our certificate (unknown CA)' \
        --ca "$CHANSERV_CERTS/other-ca.pem" "$tls"
    refuses 'no certificate of the client' cells-mtls 'tls: the server demands a client certificate' \
        'tls: the client showed no certificate' "${ca[@]}" "$mtls"
    refuses "an unknown authority of the client's" cells-mtls \
        'tls: the server does not accept our certificate (unknown CA)' \
        "tls: the client's certificate is not signed by anybody we believe (issuer CN=other CA)" \
        "${ca[@]}" --cert "$CHANSERV_CERTS/stranger.pem" --key "$CHANSERV_CERTS/stranger.key" "$mtls"
    refuses 'plain text to a port with TLS' cells-tls 'want TLS?' \
        'tls: the client does not speak TLS' "$tls"
    refuses 'TLS to a port in plain text' cells-plain 'does it speak TLS?' \
        'the client speaks TLS, and this port is plain text' "${ca[@]}" "$plain"
    refuses 'a certificate that expired' cells-expired 'tls: certificate expired on 2' \
        'tls: the client does not accept our certificate (certificate expired)' \
        "${ca[@]}" "$CHANSERV_EXPIRED"

    other 'a server of TLS 1.1' 'tls: the server speaks neither TLS 1.2 nor 1.3' \
        -tls1_1 "${none[@]}" -alpn h2
    other 'a server without ALPN' 'tls: the server does not speak HTTP/2 (ALPN h2)'
    other 'a server of HTTP/1.1' 'tls: the server does not speak HTTP/2 (ALPN h2)' -alpn http/1.1
    other 'a server without good ciphers' 'tls: the server refuses: it likes none of our ciphers' \
        -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA -alpn h2
    refused 'a client of TLS 1.1' 'tls: the client speaks neither TLS 1.2 nor 1.3' "$tls" \
        -tls1_1 "${none[@]}" -alpn h2
    # He may want HTTP/1.1, and gets it.
    if curl -sS -m 20 --no-alpn --cacert "$CHANSERV_CERTS/ca.pem" "https://localhost:${tls##*:}/healthz" \
        > "$scratch/out" 2>&1; then
        passed 'tls, a client without ALPN: is answered by HTTP/1.1'
    else
        failed 'tls, a client without ALPN: is answered by HTTP/1.1' "$(cat "$scratch/out")"
    fi

    while read -r -u 4 cell plain _; do
        in_cell "$cell"
        tool post "${way[@]}" "$plain" gen 'sources=1&frames=1&size=4'
        wrote "tls, $cell: after all this it is served" 'source @0: 0:0:'
    done 4<<< "$CHANSERV_CELLS"
}
