/* http1_say -- the head of an answer, written: RFC 9112, 4 to 6. */
#include "gateway/http1__in.h"

#include <inttypes.h>
#include <stdio.h>

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *words;
    } known[] = {{100, "Continue"},
                 {200, "OK"},
                 {201, "Created"},
                 {202, "Accepted"},
                 {204, "No Content"},
                 {206, "Partial Content"},
                 {301, "Moved Permanently"},
                 {302, "Found"},
                 {303, "See Other"},
                 {304, "Not Modified"},
                 {307, "Temporary Redirect"},
                 {308, "Permanent Redirect"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {406, "Not Acceptable"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {410, "Gone"},
                 {411, "Length Required"},
                 {412, "Precondition Failed"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {416, "Range Not Satisfiable"},
                 {417, "Expectation Failed"},
                 {422, "Unprocessable Content"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {499, "Client Closed Request"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].words;
    return ""; /* RFC 9112, 4: it may be empty */
}

static cs_err add(struct cs_buf *to, const char *format, ...) CS_PRINTF(2, 3);
static cs_err add(struct cs_buf *to, const char *format, ...)
{
    char text[96];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cs_buf_add(to, cs_bytes_of(text, (size_t)n));
}

/* RFC 9110, 5.6.7, in English wherever we run. */
static cs_err add_date(struct cs_buf *to, time_t now)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;

    if (!gmtime_r(&now, &tm))
        return CS_OK; /* RFC 9110, 6.6.1: without a clock there is no Date */
    return add(to, "date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static cs_err add_pair(struct cs_buf *to, cs_pair field)
{
    cs_err err = cs_buf_add(to, field.name);

    if (err == CS_OK)
        err = cs_buf_add(to, cs_str(": "));
    if (err == CS_OK)
        err = cs_buf_add(to, field.value);
    return err == CS_OK ? cs_buf_add(to, cs_str("\r\n")) : err;
}

static cs_err say(struct cs_buf *to, const struct gateway__http1_answer *answer, time_t now)
{
    cs_err err = add(to, "HTTP/1.1 %d %s\r\n", answer->status, reason(answer->status));

    for (size_t i = 0; i < answer->fields_len && err == CS_OK; i++)
        err = add_pair(to, answer->fields[i]);
    if (err == CS_OK)
        err = add_date(to, now);
    if (err == CS_OK && answer->chunked)
        err = add(to, "transfer-encoding: chunked\r\n");
    else if (err == CS_OK && answer->length >= 0)
        err = add(to, "content-length: %" PRId64 "\r\n", answer->length);
    if (err == CS_OK && answer->closes)
        err = add(to, "connection: close\r\n");
    else if (err == CS_OK && answer->old)
        err = add(to, "connection: keep-alive\r\n");
    return err == CS_OK ? add(to, "\r\n") : err;
}

cs_err gateway__http1_say(struct cs_buf *to, const struct gateway__http1_answer *answer, time_t now)
{
    const size_t before = to->len;
    cs_err err = say(to, answer, now);

    if (err != CS_OK)
        to->len = before;
    return err;
}

cs_err gateway__http1_say_piece(struct cs_buf *to, cs_bytes piece, bool chunked)
{
    enum { AROUND = sizeof "ffffffffffffffff\r\n\r\n" + sizeof GATEWAY__LAST_CHUNK };
    const size_t before = to->len;
    cs_err err = cs_buf_reserve(to, piece.len + AROUND);

    if (err == CS_OK && chunked)
        err = add(to, "%zx\r\n", piece.len);
    if (err == CS_OK)
        err = cs_buf_add(to, piece);
    if (err == CS_OK && chunked)
        err = cs_buf_add(to, cs_str("\r\n"));
    if (err != CS_OK)
        to->len = before;
    return err;
}
