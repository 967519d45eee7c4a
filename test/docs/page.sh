# Sourced by the tests of pages (bash): blocks of a page, and a server to try them on.
# Needs $scratch; what it starts ends with the script.

# block FILE WORD N: what stands in the Nth block "```WORD".
block() {
    awk -v open="\`\`\`$2" -v n="$3" '
        $0 == "```" { inside = 0; next }
        inside == 2 { print }
        inside == 0 && /^```./ { inside = $0 == open && ++seen == n ? 2 : 1 }' "$1"
}

# blocks FILE WORD: how many there are.
blocks() {
    grep -cxF "\`\`\`$2" "$1"
}

pids=()
end_all() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null; done
    rm -rf "$scratch"
}
trap end_all EXIT

# serve PROGRAM...: starts what prints "listening ADDR" and sets $addr.
serve() {
    local word=
    addr=
    exec {served}< <(exec "$@" 2>&1)
    pids+=($!)
    read -t 60 -r word addr <&"$served"
    [ "$word" = listening ]
}
