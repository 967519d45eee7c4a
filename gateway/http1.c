/* http1 -- the reader of requests as a state machine: lines, and who looks at them. */
#include "gateway/http1__in.h"

void gateway__http1_init(struct gateway__http1 *http1, size_t head_max, int64_t body_max)
{
    *http1 = (struct gateway__http1){.head_max = head_max, .body_max = body_max};
}

void gateway__http1_fini(struct gateway__http1 *http1)
{
    cs_buf_fini(&http1->head);
    cs_buf_fini(&http1->aside);
    cs_free(http1->fields);
    http1->fields = NULL;
}

cs_err gateway__http1_refuse(struct gateway__http1 *http1, int status, const char *words)
{
    http1->state = GATEWAY__REFUSED;
    http1->status = status;
    http1->words = words;
    return status == 503 ? CS_ENOMEM : CS_EPROTO;
}

bool gateway__http1_is_between(const struct gateway__http1 *http1)
{
    return http1->state == GATEWAY__BETWEEN && (http1->ended || http1->head.len == 0);
}

/* ---- Lines ------------------------------------------------------------------------------------ */

cs_err gateway__http1_line(struct gateway__http1 *http1, cs_bytes *in, struct cs_buf *buf,
                           size_t max, size_t *ret)
{
    size_t room = max - buf->len, len = in->len < room ? in->len : room;
    const uint8_t *from = in->base, *end;

    if (len == 0)
        return room == 0 ? CS_ETOOBIG : CS_AGAIN;
    end = memchr(from, '\n', len);
    if (end)
        len = (size_t)(end - from) + 1;
    if (cs_buf_add(buf, cs_bytes_of(from, len)) != CS_OK)
        return gateway__http1_refuse(http1, 503, "no memory");
    *in = cs_bytes_of(from + len, in->len - len);
    if (!end)
        return len == room ? CS_ETOOBIG : CS_AGAIN;

    /* RFC 9112, 2.2 would let us take a bare LF; who stands before us may not. */
    const uint8_t *line = buf->base + http1->line;
    size_t whole = buf->len - http1->line;
    const uint8_t *cr = memchr(line, '\r', whole);
    if (!cr || cr != line + whole - 2)
        return gateway__http1_refuse(http1, 400, "a line ends with CR LF, and has neither inside");
    *ret = whole - 2;
    return CS_OK;
}

/* ---- Events ----------------------------------------------------------------------------------- */

static cs_bytes view(const struct gateway__http1 *http1, struct gateway__span span)
{
    return cs_bytes_of(http1->head.base + span.at, span.len);
}

cs_pair gateway__http1_field(const struct gateway__http1 *http1, size_t i)
{
    return (cs_pair){view(http1, http1->fields[i].name), view(http1, http1->fields[i].value)};
}

static void say_head(const struct gateway__http1 *http1, struct gateway__http1_event *ret)
{
    *ret = (struct gateway__http1_event){
        .kind = GATEWAY__HTTP1_HEAD,
        .head = {.method = view(http1, http1->method),
                 .target = view(http1, http1->target),
                 .fields_len = http1->fields_len,
                 .length = http1->chunked ? -1 : (int64_t)http1->left,
                 .minor = http1->minor,
                 .keeps = !http1->close && (http1->minor > 0 || http1->keep_alive)}};
    if (http1->authority.len > 0 || http1->hosts > 0)
        ret->head.authority =
            view(http1, http1->authority.len > 0 ? http1->authority : http1->host);
    /* RFC 9110, 10.1.1: of HTTP/1.0 it is ignored. */
    ret->head.expects =
        http1->expectations > 0 && http1->minor > 0 && (http1->chunked || http1->left > 0);
}

/* ---- The machine ------------------------------------------------------------------------------ */

/* A request was read to its end: nothing of it is left, nor is memory that few need. */
static void begin(struct gateway__http1 *http1)
{
    enum { KEPT = 2048 };
    struct gateway__http1 fresh = {.head_max = http1->head_max, .body_max = http1->body_max};

    if (http1->head.cap > KEPT)
        cs_buf_fini(&http1->head);
    cs_buf_fini(&http1->aside);
    fresh.head = http1->head;
    fresh.head.len = 0;
    fresh.fields = http1->fields;
    fresh.fields_cap = http1->fields_cap;
    *http1 = fresh;
}

/* Of a line with such a piece the end may never come, and if it does the line is none all the same. */
static bool is_binary(const struct cs_buf *line, size_t from)
{
    for (size_t i = from; i < line->len; i++) {
        const uint8_t c = line->base[i];
        if ((c < ' ' && c != '\r' && c != '\n') || c >= 0x7f)
            return true;
    }
    return false;
}

static cs_err request_line(struct gateway__http1 *http1, cs_bytes *in)
{
    enum { AROUND = GATEWAY__METHOD_MAX + sizeof "  HTTP/1.1\r\n" - 1 };
    const size_t max = GATEWAY__TARGET_MAX + AROUND;
    size_t len, had;
    cs_err err;

    if (http1->ended)
        begin(http1);
    had = http1->head.len;
    err = gateway__http1_line(http1, in, &http1->head,
                              max < http1->head_max ? max : http1->head_max, &len);
    if (http1->status == 0 && is_binary(&http1->head, had))
        return gateway__http1_refuse(http1, 400, "this is no request of HTTP");
    if (err == CS_ETOOBIG)
        return memchr(http1->head.base, ' ', http1->head.len)
                   ? gateway__http1_refuse(http1, 414, "the target is too long")
                   : gateway__http1_refuse(http1, 400, "this is no request line");
    if (err != CS_OK)
        return err;
    if (len == 0 && http1->blank)
        return gateway__http1_refuse(http1, 400, "a second empty line before a request");
    if (len == 0) {
        http1->head.len = 0;
        http1->blank = true;
        return CS_OK;
    }
    err = gateway__http1_request_line(http1, len);
    if (err == CS_OK)
        http1->state = GATEWAY__FIELDS;
    http1->line = http1->head.len;
    return err;
}

/* CS_DONE: the head is complete. */
static cs_err field_line(struct gateway__http1 *http1, cs_bytes *in)
{
    size_t len;
    cs_err err = gateway__http1_line(http1, in, &http1->head, http1->head_max, &len);

    if (err == CS_ETOOBIG)
        return gateway__http1_refuse(http1, 431, "the head is too long");
    if (err != CS_OK)
        return err;
    err = len > 0 ? gateway__http1_take_field(http1, len) : gateway__http1_judge(http1);
    http1->line = http1->head.len;
    return err == CS_OK && len == 0 ? CS_DONE : err;
}

cs_err gateway__http1_next(struct gateway__http1 *http1, cs_bytes *in,
                           struct gateway__http1_event *ret)
{
    cs_err err = CS_OK;

    while (err == CS_OK) {
        if (http1->state == GATEWAY__REFUSED)
            return http1->status == 503 ? CS_ENOMEM : CS_EPROTO;
        else if (http1->state == GATEWAY__BETWEEN)
            err = request_line(http1, in);
        else if (http1->state == GATEWAY__FIELDS)
            err = field_line(http1, in);
        else
            return gateway__http1_body(http1, in, ret);
    }
    if (err != CS_DONE)
        return err;
    http1->state = http1->chunked ? GATEWAY__CHUNK_SIZE : GATEWAY__LENGTH;
    http1->line = 0;
    say_head(http1, ret);
    return CS_OK;
}
