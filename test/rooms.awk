# The reading part of test/rooms.sh: prints "file:line: what is wrong".

BEGIN {
    split("base proto mux chanserv gateway services tools examples bench", order, " ")
    for (i in order)
        rank[order[i]] = i + 0
    rank["examples"] = rank["bench"] = rank["tools"] # side by side: none knows another
    split("cs base wire proto mux mux chanserv chanserv gateway gateway rendezvous services", pairs, " ")
    for (i = 1; i in pairs; i += 2)
        owner[pairs[i]] = pairs[i + 1]
    # -v installed="base/base.h ...": what users get.
    split(installed, list, " ")
    for (i in list)
        public[list[i]] = 1
}

function wrong(what)
{
    printf "%s:%d: %s\n", FILENAME, FNR, what
}

# A foreign library and the one place that speaks it.  Tests play its other end and are free.
# An example may have a loop of its own, as users do, and the tool watches descriptors in one file.
function foreign(name, place, pattern)
{
    if (!is_test && FILENAME !~ pattern)
        wrong(name " is for " place)
}

function check_include(path,    of)
{
    if (path ~ /^nghttp2\//)
        foreign(path, "mux/h2*", "^mux/h2")
    if (path ~ /^openssl\//)
        foreign(path, "mux/tls*", "^mux/tls")
    if (path == "zlib.h")
        foreign(path, "mux/gzip*", "^mux/gzip")
    if (path ~ /^event2\//)
        foreign(path, "base/loop*", "^(base/loop|tools/loop|examples/)")
    if (path ~ /^protobuf-c\// || path ~ /\.pb-c\.h$/) {
        foreign(path, "proto/", "^proto/")
        return
    }
    of = path
    sub(/\/.*/, "", of)
    if (!(of in rank)) {
        if (is_quoted && !(is_test && (of == "test" || path !~ /\//)))
            wrong("no room has " path)
        return
    }
    if (room == "")
        return
    if (rank[of] > rank[room] || (rank[of] == rank[room] && of != room))
        wrong(room " must not know " of ": " path)
    else if (of != room && path ~ /__/)
        wrong(path " is private to " of)
    if ((room == "tools" || room == "examples" || room == "services") &&
        !(of == room && room != "examples") && !(path in public))
        wrong(path " is not a public header")
}

function check_name(name,    prefix)
{
    if (name ~ /^[a-z]+__[a-z]/) {
        prefix = name
        sub(/__.*/, "", prefix)
        if (prefix in owner) {
            # What protoc-c makes of package chanserv.v1 belongs to proto.
            prefix = name ~ /^chanserv__v1__/ ? "proto" : owner[prefix]
            if (room != "" && room != prefix)
                wrong(name " is private to " prefix)
        }
    } else if (name ~ /^nghttp2_/)
        foreign(name, "mux/h2*", "^mux/h2")
    else if (name ~ /^SSL_/)
        foreign(name, "mux/tls*", "^mux/tls")
    else if (name ~ /^(protobuf_c_|ProtobufC)/)
        foreign(name, "proto/", "^proto/")
    else if (name ~ /^(evbuffer|bufferevent|evutil|evtimer|evsignal|evconnlistener)_/ ||
             name ~ /^event_(new|free|add|del|active|assign|pending|once|initialized|enable_debug)$/ ||
             name ~ /^event_(get|set|config|reinit|priority|remove|global|debug)(_|$)/ ||
             name ~ /^event_base_/)
        foreign(name, "base/loop*", "^(base/loop|tools/loop|examples/)")
}

FNR == 1 {
    in_comment = 0
    is_test = FILENAME ~ /^test\//
    room = FILENAME
    if (is_test)
        sub(/^test\//, "", room)
    sub(/\/.*/, "", room)
    if (!(room in rank))
        room = "" # the rest of test/ may know everything
}

{
    line = $0
    if (!in_comment && match(line, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]+[>"]/)) {
        is_quoted = line ~ /"/
        path = substr(line, RSTART, RLENGTH)
        gsub(/^[^<"]*[<"]|[>"]$/, "", path)
        check_include(path)
        next
    }
    # What is left when comments and strings are taken out.
    code = ""
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/")
            if (!at)
                break
            line = substr(line, at + 2)
            in_comment = 0
            code = code " "
        } else if (substr(line, 1, 2) == "/*") {
            in_comment = 1
            line = substr(line, 3)
        } else if (substr(line, 1, 2) == "//") {
            break
        } else if (match(line, /^"([^"\\]|\\.)*"/) || match(line, /^'([^'\\]|\\.)*'/)) {
            line = substr(line, RLENGTH + 1)
            code = code " "
        } else {
            code = code substr(line, 1, 1)
            line = substr(line, 2)
        }
    }
    while (match(code, /[A-Za-z_][A-Za-z0-9_]*/)) {
        check_name(substr(code, RSTART, RLENGTH))
        code = substr(code, RSTART + RLENGTH)
    }
}
