/* http1_head -- request lines and fields, and what they say about the message itself. */
#include "gateway/http1__in.h"
#include "gateway/url__in.h"

#include <strings.h>

/* ---- Characters ------------------------------------------------------------------------------- */

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 9110, 5.6.2; not even one byte is no token. */
static bool is_token(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(p[i]) && (p[i] == 0 || !strchr("!#$%&'*+-.^_`|~", p[i])))
            return false;
    return len > 0;
}

/* What RFC 3986 allows, and []^`{|} too, which browsers and shells send as they are.  A fragment is
 * for clients, and "\" is a slash to some. */
static bool is_target(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f || strchr("\"#<>\\", p[i]))
            return false;
    return len > 0;
}

/* RFC 9110, 5.5; bytes from 0x80 on are nobody's business here. */
static bool is_value(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
            return false;
    return true;
}

static bool is_word(const uint8_t *p, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp((const char *)p, word, len) == 0;
}

static bool span_is(const struct gateway__http1 *http1, struct gateway__span span, const char *word)
{
    return is_word(http1->head.base + span.at, span.len, word);
}

/* ---- The request line ------------------------------------------------------------------------- */

static struct gateway__span span_of(size_t at, size_t end)
{
    return (struct gateway__span){(uint32_t)at, (uint32_t)(end - at)};
}

/* "HTTP/1.1" and its like: RFC 9112, 2.3. */
static cs_err version(struct gateway__http1 *http1, const uint8_t *p, size_t len)
{
    if (len != 8 || memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' ||
        p[7] < '0' || p[7] > '9')
        return gateway__http1_refuse(http1, 400, "this is no request line of HTTP/1.1");
    if (p[5] != '1')
        return gateway__http1_refuse(http1, 505, "HTTP/1.0 and HTTP/1.1 are spoken here");
    http1->minor = p[7] - '0';
    return CS_OK;
}

/* "http://authority/path?query" (RFC 9112, 3.2.2) is cut in two.  Without a path there is room for
 * its "/" (RFC 9110, 4.2.3): the authority moves over those of the scheme. */
static cs_err absolute(struct gateway__http1 *http1)
{
    uint8_t *p = http1->head.base;
    size_t at = http1->target.at, end = at + http1->target.len, stop;
    cs_bytes host;
    int port;

    if (http1->target.len > 7 && is_word(p + at, 7, "http://"))
        at += 7;
    else if (http1->target.len > 8 && is_word(p + at, 8, "https://"))
        at += 8;
    else
        return gateway__http1_refuse(http1, 400, "the target is neither a path nor a URL");
    for (stop = at; stop < end && p[stop] != '/' && p[stop] != '?';)
        stop++;
    if (!gateway__url_host(cs_bytes_of(p + at, stop - at), &host, &port))
        return gateway__http1_refuse(http1, 400, "the host of the target makes no sense");
    if (stop == end || p[stop] == '?') {
        memmove(p + at - 1, p + at, stop - at);
        at--;
        p[--stop] = '/';
    }
    http1->authority = span_of(at, stop);
    http1->target = span_of(stop, end);
    return CS_OK;
}

static cs_err target(struct gateway__http1 *http1)
{
    const uint8_t *p = http1->head.base + http1->target.at;

    if (!is_target(p, http1->target.len))
        return gateway__http1_refuse(http1, 400, "a byte of the target does not belong there");
    if (span_is(http1, http1->method, "CONNECT"))
        return gateway__http1_refuse(http1, 501, "no proxy: CONNECT is not done here");
    if (p[0] == '/')
        return CS_OK;
    if (!span_is(http1, http1->target, "*"))
        return absolute(http1);
    if (!cs_same(cs_bytes_of(http1->head.base + http1->method.at, http1->method.len),
                 cs_str("OPTIONS")))
        return gateway__http1_refuse(http1, 400, "the target * is for OPTIONS");
    return CS_OK;
}

cs_err gateway__http1_request_line(struct gateway__http1 *http1, size_t len)
{
    const uint8_t *p = http1->head.base + http1->line, *one = memchr(p, ' ', len), *two;
    cs_err err;

    two = one ? memchr(one + 1, ' ', len - (size_t)(one + 1 - p)) : NULL;
    if (!two || !is_token(p, (size_t)(one - p)))
        return gateway__http1_refuse(http1, 400, "this is no request line of HTTP/1.1");
    if (one - p > GATEWAY__METHOD_MAX)
        return gateway__http1_refuse(http1, 501, "there is no method with such a name");
    if (two - one - 1 > GATEWAY__TARGET_MAX)
        return gateway__http1_refuse(http1, 414, "the target is too long");
    http1->method = span_of(http1->line, http1->line + (size_t)(one - p));
    http1->target = span_of(http1->line + (size_t)(one + 1 - p), http1->line + (size_t)(two - p));
    err = version(http1, two + 1, len - (size_t)(two + 1 - p));
    return err == CS_OK ? target(http1) : err;
}

/* ---- Fields ----------------------------------------------------------------------------------- */

cs_err gateway__http1_split(struct gateway__http1 *http1, const uint8_t *line, size_t len,
                            size_t *ret_name, struct gateway__span *ret_value)
{
    const uint8_t *colon = memchr(line, ':', len);
    size_t at, end = len;

    if (line[0] == ' ' || line[0] == '\t') /* RFC 9112, 5.2 and 2.2 */
        return gateway__http1_refuse(http1, 400, "a field is folded, or begins with a space");
    if (!colon)
        return gateway__http1_refuse(http1, 400, "a field has no colon");
    if (!is_token(line, (size_t)(colon - line))) /* a space before the colon too: RFC 9112, 5.1 */
        return gateway__http1_refuse(http1, 400, "the name of a field is none");
    at = (size_t)(colon - line) + 1;
    if (!is_value(line + at, len - at))
        return gateway__http1_refuse(http1, 400, "a control character in a field");
    while (at < end && (line[at] == ' ' || line[at] == '\t'))
        at++;
    while (end > at && (line[end - 1] == ' ' || line[end - 1] == '\t'))
        end--;
    *ret_name = (size_t)(colon - line);
    *ret_value = span_of(at, end);
    return CS_OK;
}

/* A list of words (RFC 9110, 5.6.1), of which two matter. */
static void connection(struct gateway__http1 *http1, struct gateway__span value)
{
    const uint8_t *p = http1->head.base + value.at, *end = p + value.len, *stop;

    for (; p < end; p = stop + 1) {
        const uint8_t *comma = memchr(p, ',', (size_t)(end - p));
        stop = comma ? comma : end;
        const uint8_t *last = stop;
        while (p < last && (*p == ' ' || *p == '\t'))
            p++;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        http1->close = http1->close || is_word(p, (size_t)(last - p), "close");
        http1->keep_alive = http1->keep_alive || is_word(p, (size_t)(last - p), "keep-alive");
    }
}

static void note(struct gateway__http1 *http1, const struct gateway__http1_field *field)
{
    const struct {
        const char *name;
        int *times;
        struct gateway__span *value;
    } known[] = {{"host", &http1->hosts, &http1->host},
                 {"content-length", &http1->lengths, &http1->length},
                 {"transfer-encoding", &http1->codings, &http1->coding},
                 {"expect", &http1->expectations, &http1->expectation}};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!span_is(http1, field->name, known[i].name))
            continue;
        ++*known[i].times;
        *known[i].value = field->value;
    }
    if (span_is(http1, field->name, "connection"))
        connection(http1, field->value);
}

static struct gateway__http1_field *field_new(struct gateway__http1 *http1)
{
    size_t cap = http1->fields_cap > 0 ? http1->fields_cap * 2 : 16;
    struct gateway__http1_field *fields;

    if (http1->fields_len == http1->fields_cap) {
        if (!(fields = cs_realloc(http1->fields, cap * sizeof *fields)))
            return NULL;
        http1->fields = fields;
        http1->fields_cap = cap;
    }
    return &http1->fields[http1->fields_len++];
}

cs_err gateway__http1_take_field(struct gateway__http1 *http1, size_t len)
{
    uint8_t *line = http1->head.base + http1->line;
    struct gateway__http1_field *field;
    struct gateway__span value;
    size_t name;
    cs_err err = gateway__http1_split(http1, line, len, &name, &value);

    if (err != CS_OK)
        return err;
    if (http1->fields_len == GATEWAY__FIELDS_MAX)
        return gateway__http1_refuse(http1, 431, "too many fields");
    if (!(field = field_new(http1)))
        return gateway__http1_refuse(http1, 503, "no memory");
    for (size_t i = 0; i < name; i++)
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] = (uint8_t)(line[i] | 0x20);
    field->name = span_of(http1->line, http1->line + name);
    field->value = value;
    field->value.at += (uint32_t)http1->line;
    note(http1, field);
    return CS_OK;
}

/* ---- The head as a whole ---------------------------------------------------------------------- */

/* RFC 9112, 3.2 */
static cs_err judge_host(struct gateway__http1 *http1)
{
    cs_bytes host;
    int port;

    if (http1->hosts > 1)
        return gateway__http1_refuse(http1, 400, "two Host fields");
    if (http1->hosts == 0)
        return http1->minor == 0 ? CS_OK : gateway__http1_refuse(http1, 400, "no Host field");
    if (!gateway__url_host(cs_bytes_of(http1->head.base + http1->host.at, http1->host.len), &host,
                           &port))
        return gateway__http1_refuse(http1, 400, "the Host makes no sense");
    return CS_OK;
}

/* RFC 9112, 6.1: it is chunked, and nothing else. */
static cs_err judge_coding(struct gateway__http1 *http1)
{
    const uint8_t *p = http1->head.base + http1->coding.at;

    if (http1->codings > 1 || http1->lengths > 0 || http1->minor == 0)
        return gateway__http1_refuse(http1, 400, "two words on how long the body is");
    if (http1->coding.len == 0 || is_word(p, http1->coding.len, "chunked, chunked"))
        return gateway__http1_refuse(http1, 400, "the transfer-encoding makes no sense");
    if (!is_word(p, http1->coding.len, "chunked"))
        return gateway__http1_refuse(http1, 501, "the one transfer-encoding here is chunked");
    http1->chunked = true;
    return CS_OK;
}

/* RFC 9110, 8.6: a list of equal ones might be taken for one; it is not. */
static cs_err judge_length(struct gateway__http1 *http1)
{
    const uint8_t *p = http1->head.base + http1->length.at;
    uint64_t n = 0;

    if (http1->lengths > 1)
        return gateway__http1_refuse(http1, 400, "two content-lengths");
    for (size_t i = 0; i < http1->length.len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return gateway__http1_refuse(http1, 400, "the content-length is no number");
        n = n > (UINT64_MAX - 9) / 10 ? UINT64_MAX : n * 10 + (uint64_t)(p[i] - '0');
    }
    if (http1->length.len == 0)
        return gateway__http1_refuse(http1, 400, "the content-length is no number");
    if (n > (uint64_t)http1->body_max)
        return gateway__http1_refuse(http1, 413, "the body is too long");
    http1->left = n;
    return CS_OK;
}

cs_err gateway__http1_judge(struct gateway__http1 *http1)
{
    cs_err err = judge_host(http1);

    if (err == CS_OK && http1->codings > 0)
        err = judge_coding(http1);
    else if (err == CS_OK && http1->lengths > 0)
        err = judge_length(http1);
    if (err != CS_OK || http1->expectations == 0)
        return err;
    if (http1->expectations > 1 || !span_is(http1, http1->expectation, "100-continue"))
        return gateway__http1_refuse(http1, 417, "100-continue is what can be expected here");
    return CS_OK;
}
