#include "test/gateway/transcript.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct row {
    const char *name;
    cs_bytes in;
    const char *out; /* how its transcript begins; of a refusal the status is enough */
};

#define ROW(name, text, out)                                                                       \
    {                                                                                              \
        name, {text, sizeof text - 1}, out                                                         \
    }

static void check(const char *name, cs_bytes in, const char *out, bool whole)
{
    for (size_t step = 1; step <= in.len; step = step < 3 ? step + 1 : in.len + (step == in.len)) {
        struct cs_buf said = {0};
        transcript(in, step, &said);
        cr_expect(cs_same(cs_bytes_of(said.base,
                                      whole || said.len < strlen(out) ? said.len : strlen(out)),
                          cs_str(out)),
                  "%s, %zu at a time:\n%.*s\nwanted\n%s", name, step,
                  CS_FMT(cs_bytes_of(said.base, said.len)), out);
        cs_buf_fini(&said);
    }
}

static void check_rows(const struct row *rows, size_t len, bool whole)
{
    for (size_t i = 0; i < len; i++)
        check(rows[i].name, rows[i].in, rows[i].out, whole);
}

#define H "Host: h\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SAID "POST / of=h 1.1 "

Test(http1, requests_are_read)
{
    static const struct row rows[] = {
        ROW("nothing", "\r\n", ""),
        ROW("the least", GET H "\r\n", "GET / of=h 1.1 keep | host: h | ."),
        ROW("the least of 1.0", "GET / HTTP/1.0\r\n\r\n", "GET / of= 1.0 close | ."),
        ROW("1.9 is 1.1", "GET / HTTP/1.9\r\n" H "\r\n", "GET / of=h 1.9 keep | host: h | ."),
        ROW("an empty line before it", "\r\n" GET H "\r\n", "GET / of=h 1.1 keep | host: h | ."),
        ROW("values are trimmed", GET "HOST:\t h:80 \t\r\nA:\r\nb: \xc3\xa9  c\r\n\r\n",
            "GET / of=h:80 1.1 keep | host: h:80 | a:  | b: \xc3\xa9  c | ."),
        ROW("a query", "GET /a%20b?c=d&e?/ HTTP/1.1\r\n" H "\r\n",
            "GET /a%20b?c=d&e?/ of=h 1.1 keep | host: h | ."),
        ROW("an empty query", "GET /? HTTP/1.1\r\n" H "\r\n", "GET /? of=h 1.1 keep | host: h | ."),
        ROW("the URL counts, not Host", "GET http://a.b:1/c?d HTTP/1.1\r\n" H "\r\n",
            "GET /c?d of=a.b:1 1.1 keep | host: h | ."),
        ROW("a URL without path", "GET HTTPS://[::1]?d HTTP/1.1\r\n" H "\r\n",
            "GET /?d of=[::1] 1.1 keep | host: h | ."),
        ROW("a URL without anything", "GET http://a HTTP/1.1\r\n" H "\r\n",
            "GET / of=a 1.1 keep | host: h | ."),
        ROW("OPTIONS of everything", "OPTIONS * HTTP/1.1\r\n" H "\r\n",
            "OPTIONS * of=h 1.1 keep | host: h | ."),
        ROW("a body", POST "Content-Length: 5\r\n\r\nhello",
            SAID "len=5 keep | host: h | content-length: 5 | \"hello\" ."),
        ROW("a body without bytes", POST "Content-Length: 000\r\n\r\n",
            SAID "keep | host: h | content-length: 000 | ."),
        ROW("half a body", POST "Content-Length: 5\r\n\r\nhel",
            SAID "len=5 keep | host: h | content-length: 5 | \"hel~"),
        ROW("pipelined", POST "Content-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\n" H "\r\nGE",
            SAID "len=1 keep | host: h | content-length: 1 | \"x\" .\n"
                 "GET /2 of=h 1.1 keep | host: h | .~"),
        ROW("an empty line between two", GET H "\r\n\r\n" GET H "\r\n\r\n",
            "GET / of=h 1.1 keep | host: h | .\nGET / of=h 1.1 keep | host: h | ."),
        ROW("chunks",
            CHUNKED "4\r\nWiki\r\n6;a=\"b;\"\r\npedia \r\n000000000000000D\r\n"
                    "in \r\n\r\nchunks\r\n0\r\n\r\n",
            SAID "len=-1 keep | host: h | transfer-encoding: chunked | "
                 "\"Wikipedia in \r\n\r\nchunks\" ."),
        ROW("trailers are dropped", CHUNKED "1\r\nx\r\n0;y\r\nHost: i\r\nX: y\r\n\r\n" GET H "\r\n",
            SAID "len=-1 keep | host: h | transfer-encoding: chunked | \"x\" .\n"
                 "GET / of=h 1.1 keep | host: h | ."),
        ROW("codings have no case", POST "TRANSFER-ENCODING:CHUNKED\r\n\r\n0\r\n\r\n",
            SAID "len=-1 keep | host: h | transfer-encoding: CHUNKED | ."),
        ROW("no more, says it", GET H "Connection: x, Close ,\r\n\r\n",
            "GET / of=h 1.1 close | host: h | connection: x, Close , | ."),
        ROW("1.0 stays if it asks", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET / of= 1.0 keep | connection: keep-alive | ."),
        ROW("close wins", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection:close\r\n\r\n",
            "GET / of= 1.0 close | connection: keep-alive | connection: close | ."),
        ROW("100, please", POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
            SAID "len=1 keep expects | host: h | expect: 100-Continue | content-length: 1 |~"),
        ROW("100 for no body", POST "Expect: 100-continue\r\n\r\n",
            SAID "keep | host: h | expect: 100-continue | ."),
        ROW("100 of 1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            "POST / of= 1.0 len=1 close | expect: 100-continue | content-length: 1 |~"),
        ROW("as much as may be", POST "Content-Length: 100000\r\n\r\n",
            SAID "len=100000 keep | host: h | content-length: 100000 |~"),
    };
    check_rows(rows, sizeof rows / sizeof rows[0], true);
}

Test(http1, request_lines_that_are_none_are_refused)
{
    static const struct row rows[] = {
        ROW("two empty lines", "\r\n\r\n" GET, "!400"),
        ROW("bare LF before it", "\n" GET, "!400"),
        ROW("HTTP/0.9", "GET /\r\n", "!400"),
        ROW("two spaces", "GET  / HTTP/1.1\r\n", "!400"),
        ROW("a space behind", "GET / HTTP/1.1 \r\n", "!400"),
        ROW("a space before", " GET / HTTP/1.1\r\n", "!400"),
        ROW("a tab between", "GET\t/ HTTP/1.1\r\n", "!400"),
        ROW("a space in the target", "GET /a b HTTP/1.1\r\n", "!400"),
        ROW("a method that is no token", "G:T / HTTP/1.1\r\n", "!400"),
        ROW("a method with a NUL", "G\0T / HTTP/1.1\r\n", "!400"),
        ROW("no method", " / HTTP/1.1\r\n", "!400"),
        ROW("no target", "GET  HTTP/1.1\r\n", "!400"),
        ROW("a method without end", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", "!501"),
        ROW("CONNECT", "CONNECT h:1 HTTP/1.1\r\n" H "\r\n", "!501"),
        ROW("HTTP/2", "GET / HTTP/2.0\r\n", "!505"),
        ROW("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!505"),
        ROW("HTTP/0.9 by name", "GET / HTTP/0.9\r\n", "!505"),
        ROW("http in small letters", "GET / http/1.1\r\n", "!400"),
        ROW("a long version", "GET / HTTP/1.10\r\n", "!400"),
        ROW("a short version", "GET / HTTP/1\r\n", "!400"),
        ROW("another protocol", "GET / HTCPCP/1.0\r\n", "!400"),
        ROW("* of GET", "GET * HTTP/1.1\r\n", "!400"),
        ROW("* of options", "options * HTTP/1.1\r\n", "!400"),
        ROW("a path without slash", "GET a HTTP/1.1\r\n", "!400"),
        ROW("another scheme", "GET ftp://h/ HTTP/1.1\r\n", "!400"),
        ROW("a URL without host", "GET http:///a HTTP/1.1\r\n", "!400"),
        ROW("a URL with a user", "GET http://u@h/ HTTP/1.1\r\n", "!400"),
        ROW("a fragment", "GET /#a HTTP/1.1\r\n", "!400"),
        ROW("a backslash", "GET /\\a HTTP/1.1\r\n", "!400"),
        ROW("a control in the target", "GET /\x01 HTTP/1.1\r\n", "!400"),
        ROW("a NUL in the target", "GET /\0 HTTP/1.1\r\n", "!400"),
        ROW("bytes in the target", "GET /\xc3\xa9 HTTP/1.1\r\n", "!400"),
        ROW("TLS", "\x16\x03\x01\x02\n", "!400"),
        ROW("zeros, and no line", "\0\0\0\0\0\0\0\0", "!400"),
        ROW("a beginning of HTTP/2, and a control", "PRI * HTTP/2.0\1", "!400"),
        ROW("bytes, and no line", "GET /\xc3", "!400"),
    };
    check_rows(rows, sizeof rows / sizeof rows[0], false);
}

Test(http1, fields_that_are_none_are_refused)
{
    static const struct row rows[] = {
        ROW("bare LF", GET "Host: h\n\r\n", "!400"),
        ROW("bare LF at the end", GET H "\n", "!400"),
        ROW("bare LF of the request line", "GET / HTTP/1.1\nHost: h\n\n", "!400"),
        ROW("bare CR", GET "Host: h\rX: y\r\n\r\n", "!400"),
        ROW("CR CR LF", GET "Host: h\r\r\n\r\n", "!400"),
        ROW("CR CR LF at the end", GET H "\r\r\n", "!400"),
        ROW("folded by a space", GET H "A: b\r\n c\r\n\r\n", "!400"),
        ROW("folded by a tab", GET H "A: b\r\n\tc\r\n\r\n", "!400"),
        ROW("a space before the first", GET " Host: h\r\n\r\n", "!400"),
        ROW("a line of a space", GET H " \r\n\r\n", "!400"),
        ROW("a space before the colon", GET "Host : h\r\n\r\n", "!400"),
        ROW("a tab before the colon", GET H "Content-Length\t: 5\r\n\r\n", "!400"),
        ROW("no colon", GET H "Content-Length 5\r\n\r\n", "!400"),
        ROW("no name", GET H ": a\r\n\r\n", "!400"),
        ROW("a name with a space", GET H "a b: c\r\n\r\n", "!400"),
        ROW("a name with bytes", GET H "\xc3\xa9: c\r\n\r\n", "!400"),
        ROW("a name with a NUL", GET H "a\0: c\r\n\r\n", "!400"),
        ROW("a NUL", GET H "A: \0\r\n\r\n", "!400"),
        ROW("a vertical tab", GET H "A: b\vc\r\n\r\n", "!400"),
        ROW("DEL", GET H "A: \x7f\r\n\r\n", "!400"),
        ROW("no Host", GET "\r\n", "!400"),
        ROW("two Hosts", GET H H "\r\n", "!400"),
        ROW("two Hosts of 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", "!400"),
        ROW("an empty Host", GET "Host:\r\n\r\n", "!400"),
        ROW("a bad Host", GET "Host: a/b\r\n\r\n", "!400"),
        ROW("a bad Host beside a URL", "GET http://h/ HTTP/1.1\r\nHost: a,b\r\n\r\n", "!400"),
        ROW("a URL and no Host", "GET http://h/ HTTP/1.1\r\n\r\n", "!400"),
        ROW("a port too many", GET "Host: h:65536\r\n\r\n", "!400"),
        ROW("another expectation", POST "Expect: 200-ok\r\n\r\n", "!417"),
        ROW("two expectations", POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n",
            "!417"),
    };
    check_rows(rows, sizeof rows / sizeof rows[0], false);
}

#define LENGTH(value) POST "Content-Length: " value "\r\n\r\n"
#define CODING(value) POST "Transfer-Encoding: " value "\r\n\r\n0\r\n\r\n"

/* Each of them was read in two ways by two servers somewhere. */
Test(http1, nothing_is_smuggled)
{
    static const struct row rows[] = {
        ROW("two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "!400"),
        ROW("two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "!400"),
        ROW("a list of lengths", LENGTH("5, 5"), "!400"),
        ROW("CL.TE", POST "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
            "!400"),
        ROW("TE.CL", POST "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
            "!400"),
        ROW("TE.TE", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", "!400"),
        ROW("TE.TE, equal", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "!400"),
        ROW("chunked twice", CODING("chunked, chunked"), "!400"),
        ROW("chunked of 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"),
        ROW("no coding", CODING(""), "!400"),
        ROW("identity", CODING("identity"), "!501"),
        ROW("gzip before it", CODING("gzip, chunked"), "!501"),
        ROW("gzip behind it", CODING("chunked, gzip"), "!501"),
        ROW("xchunked", CODING("xchunked"), "!501"),
        ROW("in quotes", CODING("\"chunked\""), "!501"),
        ROW("with a comma", CODING("chunked,"), "!501"),
        ROW("with a parameter", CODING("chunked;a=b"), "!501"),
        ROW("behind a vertical tab", CODING("\vchunked"), "!400"),
        ROW("behind a fold", POST "Transfer-Encoding:\r\n chunked\r\n\r\n", "!400"),
        ROW("behind a NUL", CODING("chunked\0"), "!400"),
        ROW("a space before the colon", POST "Transfer-Encoding : chunked\r\n\r\n", "!400"),
        ROW("a bare CR hides it", POST "X: y\rTransfer-Encoding: chunked\r\n\r\n", "!400"),
        ROW("a bare LF hides it", POST "X: y\nTransfer-Encoding: chunked\r\n\r\n", "!400"),
        ROW("+", LENGTH("+5"), "!400"),
        ROW("-", LENGTH("-5"), "!400"),
        ROW("0x", LENGTH("0x5"), "!400"),
        ROW("a fraction", LENGTH("5.0"), "!400"),
        ROW("a space inside", LENGTH("5 5"), "!400"),
        ROW("no digits", LENGTH(""), "!400"),
        ROW("an exponent", LENGTH("1e1"), "!400"),
        ROW("bytes that look like digits", LENGTH("\xef\xbc\x95"), "!400"),
        ROW("over 64 bits", LENGTH("18446744073709551621"), "!413"),
        ROW("over 63 bits", LENGTH("9223372036854775813"), "!413"),
        ROW("too long", LENGTH("100001"), "!413"),
        ROW("too long, with a coding",
            POST "Content-Length: 100001\r\nTransfer-Encoding: chunked"
                 "\r\n\r\n",
            "!400"),
    };
    check_rows(rows, sizeof rows / sizeof rows[0], false);
}

/* What comes behind the head. */
#define CHUNK(name, text, status)                                                                  \
    {                                                                                              \
        name, {CHUNKED text, sizeof CHUNKED text - 1}, status                                      \
    }

Test(http1, odd_chunks_are_refused)
{
#define BEFORE "POST / of=h 1.1 len=-1 keep | host: h | transfer-encoding: chunked |"
    static const struct row rows[] = {
        CHUNK("+", "+1\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("-", "-1\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("0x", "0x1\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("a space before", " 1\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("a space behind", "1 \r\nx\r\n", BEFORE "\n!400"),
        CHUNK("a space before the extension", "1 ;a\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("a tab behind", "1\t\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("no size", "\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("an extension alone", ";a\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("no digit", "g\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("an underscore", "1_0\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("seventeen digits", "00000000000000001\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("overflow", "10000000000000001\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("all 64 bits", "ffffffffffffffff\r\nx\r\n", BEFORE "\n!413"),
        CHUNK("too long", "186a1\r\n", BEFORE "\n!413"),
        CHUNK("too long together", "1\r\nx\r\n186a0\r\n", BEFORE " \"x\n!413"),
        CHUNK("together over 64 bits", "1\r\nx\r\nffffffffffffffff\r\n", BEFORE " \"x\n!413"),
        CHUNK("bare LF behind the size", "1\nx\r\n", BEFORE "\n!400"),
        CHUNK("bare CR behind the size", "1\rx\r\n", BEFORE "\n!400"),
        CHUNK("bare LF in the extension", "1;a\nx\r\n", BEFORE "\n!400"),
        CHUNK("bare CR in the extension", "1;a\rb\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("a NUL in the extension", "1;\0\r\nx\r\n", BEFORE "\n!400"),
        CHUNK("bare LF behind the chunk", "1\r\nx\n", BEFORE " \"x\n!400"),
        CHUNK("two bytes behind the chunk", "1\r\nxyz", BEFORE " \"x\n!400"),
        CHUNK("a chunk too long", "1\r\nxy\n", BEFORE " \"x\n!400"),
        CHUNK("a chunk too short", "2\r\nx\r\n0\r\n", BEFORE " \"x\r\n!400"),
        CHUNK("bare LF at the end", "0\r\n\n", BEFORE "\n!400"),
        CHUNK("trailers without colon", "0\r\nG\r\n\r\n", BEFORE "\n!400"),
        CHUNK("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", BEFORE "\n!400"),
        CHUNK("a trailer with a NUL", "0\r\nA: \0\r\n\r\n", BEFORE "\n!400"),
    };
    check_rows(rows, sizeof rows / sizeof rows[0], false);
}

/* ---- Limits ----------------------------------------------------------------------------------- */

/* `before`, `times` times the `part`, `after`. */
static void check_long(const char *name, const char *before, const char *part, size_t times,
                       const char *after, const char *out)
{
    struct cs_buf in = {0};

    cr_assert_eq(cs_buf_add(&in, cs_str(before)), CS_OK);
    for (size_t i = 0; i < times; i++)
        cr_assert_eq(cs_buf_add(&in, cs_str(part)), CS_OK);
    cr_assert_eq(cs_buf_add(&in, cs_str(after)), CS_OK);
    check(name, cs_bytes_of(in.base, in.len), out, false);
    cs_buf_fini(&in);
}

Test(http1, heads_are_bounded)
{
    check_long("the longest target", "GET /", "a", 16383, " HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a");
    check_long("a longer one", "GET /", "a", 16384, " HTTP/1.1\r\nHost: h\r\n\r\n", "!414");
    check_long("a target without end", "GET /", "a", 70000, "", "!414");
    check_long("a method without end", "", "G", 70000, "", "!400");
    check_long("a NUL in a target without end", "GET /\r", "a", 70000, "", "!414");
    check_long("the most fields", GET H, "a:b\r\n", 255, "\r\n", "GET / of=h 1.1 keep | host: h |");
    check_long("one more", GET H, "a:b\r\n", 256, "\r\n", "!431");
    check_long("the longest head", GET H "a:", "b", 65536 - 16 - 9 - 2 - 4, "\r\n\r\n", "GET /");
    check_long("a longer one", GET H "a:", "b", 65536 - 16 - 9 - 2 - 3, "\r\n\r\n", "!431");
    check_long("a full head", GET H "a:", "b", 65536 - 16 - 9 - 2 - 2, "\r\n\r\n", "!431");
    check_long("a head without end", GET H "a:", "b", 70000, "", "!431");
    check_long(
        "long fields", GET H,
        "a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        255, "\r\n", "!431");
}

Test(http1, what_rides_along_with_chunks_is_bounded)
{
    static const char said[] =
        "POST / of=h 1.1 len=-1 keep | host: h | transfer-encoding: chunked |";
    char all[sizeof said + 8];

    cr_assert_gt(snprintf(all, sizeof all, "%s .", said), 0);
    check_long("an extension", CHUNKED "0;", "a", 4095, "\r\n\r\n", all);
    check_long("trailers", CHUNKED "0\r\n", "a:b\r\n", 8190 / 5, "\r\n", all);
    cr_assert_gt(snprintf(all, sizeof all, "%s\n!400", said), 0);
    check_long("a longer extension", CHUNKED "0;", "a", 4096, "\r\n\r\n", all);
    check_long("one without end", CHUNKED "1;", "a", 70000, "", all);
    cr_assert_gt(snprintf(all, sizeof all, "%s\n!431", said), 0);
    check_long("more trailers", CHUNKED "0\r\n", "a:b\r\n", 8190 / 5 + 1, "\r\n", all);
    check_long("trailers without end", CHUNKED "0\r\na: ", "b", 70000, "", all);
    check_long("many small ones", CHUNKED, "1;aaaaaaaaa\r\nx\r\n", 410, "", said);
}

/* 410 extensions of 10 bytes are more than 4096. */
Test(http1, extensions_are_counted_together)
{
    struct cs_buf in = {0}, said = {0};

    cr_assert_eq(cs_buf_add(&in, cs_str(CHUNKED)), CS_OK);
    for (int i = 0; i < 410; i++)
        cr_assert_eq(cs_buf_add(&in, cs_str("1;aaaaaaaaa\r\nx\r\n")), CS_OK);
    transcript(cs_bytes_of(in.base, in.len), in.len, &said);
    cr_assert(memmem(said.base, said.len, "!400", 4));
    said.len = 0;
    transcript(cs_bytes_of(in.base, in.len - sizeof "1;aaaaaaaaa\r\nx\r\n" + 1), in.len, &said);
    cr_assert(!memmem(said.base, said.len, "!400", 4));
    cs_buf_fini(&in);
    cs_buf_fini(&said);
}

/* ---- Answers ---------------------------------------------------------------------------------- */

Test(http1, heads_of_answers_are_written)
{
    static const cs_pair fields[] = {{{"a", 1}, {"b c", 3}}, {{"d", 1}, {NULL, 0}}};
    static const struct gateway__http1_answer answers[] = {
        {.status = 200, .fields = fields, .fields_len = 2, .length = 12},
        {.status = 404, .length = -1, .chunked = true, .closes = true},
        {.status = 299, .length = 0, .old = true},
        {.status = 304, .length = -1, .closes = true, .old = true}};
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\na: b c\r\nd: \r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "content-length: 12\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 299 \r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "content-length: 0\r\nconnection: keep-alive\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "connection: close\r\n\r\n"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cs_buf said = {0};
        cr_assert_eq(gateway__http1_say(&said, &answers[i], 784111777), CS_OK);
        cr_assert(cs_same(cs_bytes_of(said.base, said.len), cs_str(texts[i])), "%.*s",
                  CS_FMT(cs_bytes_of(said.base, said.len)));
        cs_buf_fini(&said);
    }
}

static void saying(void)
{
    const struct gateway__http1_answer answer = {.status = 200, .length = -1, .chunked = true};
    static const char piece[300];
    struct cs_buf said = {0};
    size_t len;

    if (gateway__http1_say(&said, &answer, 0) != CS_OK)
        cr_assert(failing_failed() && said.len == 0);
    len = said.len;
    if (gateway__http1_say_piece(&said, cs_bytes_of(piece, sizeof piece), true) != CS_OK)
        cr_assert(failing_failed() && said.len == len);
    else {
        cr_assert(memcmp(said.base + len, "12c\r\n", 5) == 0 && said.len == len + 307);
        cr_assert_geq(said.cap - said.len, sizeof GATEWAY__LAST_CHUNK - 1);
    }
    cs_buf_fini(&said);
}

Test(http1, saying_survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(saying), 2);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static void reading(void)
{
    struct gateway__http1 http1;
    struct gateway__http1_event event;
    cs_bytes in = cs_str(CHUNKED "1;a\r\nx\r\n0\r\na: b\r\n\r\n" POST
                                 "a:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\n"
                                 "a:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\n\r\n");
    size_t ends = 0;
    cs_err err;

    gateway__http1_init(&http1, 65536, 100);
    while ((err = gateway__http1_next(&http1, &in, &event)) == CS_OK)
        ends += event.kind == GATEWAY__HTTP1_END;
    if (err == CS_ENOMEM) {
        cr_assert(failing_failed());
        cr_assert_eq(http1.status, 503);
        cr_assert_eq(gateway__http1_next(&http1, &in, &event), CS_ENOMEM);
    } else
        cr_assert(err == CS_AGAIN && ends == 2);
    gateway__http1_fini(&http1);
}

Test(http1, reading_survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(reading), 3);
}

/* A connection that idles should not keep what one request needed. */
Test(http1, a_long_head_is_given_back)
{
    struct gateway__http1 http1;
    struct gateway__http1_event event;
    char head[30000] = GET H "a:";
    size_t len = strlen(head);
    cs_bytes in = cs_bytes_of(head, sizeof head), nothing = cs_bytes_of(NULL, 0);

    memset(head + len, 'b', sizeof head - len - 4);
    memcpy(head + sizeof head - 4, "\r\n\r\n", 4);
    gateway__http1_init(&http1, 65536, 100);
    cr_assert_eq(gateway__http1_next(&http1, &in, &event), CS_OK);
    cr_assert_eq(gateway__http1_next(&http1, &in, &event), CS_OK);
    cr_assert_eq(event.kind, GATEWAY__HTTP1_END);
    cr_assert(http1.head.cap >= 30000 && gateway__http1_is_between(&http1));
    cr_assert_eq(gateway__http1_next(&http1, &nothing, &event), CS_AGAIN);
    cr_assert(http1.head.cap <= 2048 && gateway__http1_is_between(&http1));
    gateway__http1_fini(&http1);
}
