# Sourced by run (bash): what Prometheus' own promtool says of /metrics, once all kinds of things went well
# and wrong.

promtool=$tree/.build/promtool

# linted NAME: $scratch/metrics is a good exposition, and not a word is to be said of it.
linted() {
    if "$promtool" check metrics < "$scratch/metrics" > "$scratch/lint" 2>&1 && [ ! -s "$scratch/lint" ]; then
        passed "$1"
    else
        failed "$1" "$(< "$scratch/lint")"
    fi
}

# above NAME COUNTER LEAST
above() {
    local value
    value=$(awk -v name="$2" '$1 == name { n = $2 } END { print n + 0 }' "$scratch/metrics")
    if awk -v value="$value" -v least="$3" 'BEGIN { exit !(value >= least) }'; then
        passed "metrics: $1"
    else
        failed "metrics: $1" "$2 is $value"
    fi
}

# What goes well, and what does not.
busy() {
    local i source
    as() { curl -s -m 20 "$@" > "$scratch/got"; }
    for i in 1 2 3; do
        as "$1/v1/post/gen" -d 'sources=2&frames=20&size=2000'
        tool post "$address" gen 'sources=2&frames=20&size=2000'
    done
    as "$1/event?event=e&actor=a&mates=0"
    as "$1/v1/post/gen?mode=announce" -d 'sources=1&frames=1&size=4'
    source=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$scratch/got")
    as "$1$source"
    tool post "$address" nobody
    as "$1/v1/post/nobody" -d ''
    as "$1/nothing"
    as "$1/v1/source/00"
    as "$1/v1/services" -X DELETE
    as "$1/v1/services" -H 'Host: evil.example'
    as "$1/v1/services" -H "x: $(printf '%070000d' 0)"
    as "$1/" --http2-prior-knowledge
    exec 9<> "/dev/tcp/${address%:*}/${address##*:}" # neither of them
    printf '\n\nNOTHING\r\n\r\n' >&9
    cat <&9 > "$scratch/got"
    exec 9>&-
}

run_metrics() {
    local url=
    [ -x "$promtool" ] || { failed "metrics: promtool is there" "test/deps"; return; }
    serve measured "$build/tools/chanserv" serve --listen 127.0.0.1:0 --rendezvous --service gen=gen || return
    url=http://$address
    curl -s -m 20 "$url/metrics" > "$scratch/metrics"
    linted "metrics: promtool has nothing to say of a server that has just begun"
    busy "$url"
    curl -s -m 20 "$url/metrics" > "$scratch/metrics"
    linted "metrics: promtool has nothing to say of one that was busy"
    above "posts" chanserv_posts_total 7
    above "posts that nobody serves" chanserv_posts_refused_no_service_total 2
    above "bytes" chanserv_bytes_out_total 100000
    above "answers to posts, by time" chanserv_post_answer_seconds_count 7
    above "and all of them" 'chanserv_post_answer_seconds_bucket{le="+Inf"}' 7
    above "claims" chanserv_claim_seconds_count 7
    above "posts, by time" chanserv_post_seconds_sum 0.000001
    above "requests that made no sense" chanserv_http_refused_bad_total 1
    above "requests of strangers" chanserv_http_refused_origin_total 1
    above "requests for what is not there" chanserv_http_refused_path_total 2
    above "heads too large" chanserv_http_heads_refused_total 1
    sed -i '/^# HELP chanserv_posts_total/d' "$scratch/metrics"
    if "$promtool" check metrics < "$scratch/metrics" > "$scratch/lint" 2>&1; then
        failed "metrics: promtool misses a help that is not there"
    else
        passed "metrics: promtool misses a help that is not there"
    fi
    stop measured
}
