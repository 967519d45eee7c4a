/* reply -- the answer: its head, then its body as the connection has room for it. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"
#include "gateway/web__in.h"
#include "proto/status.h"

#include <stdio.h>

int gateway_status_of(cs_err err)
{
    static const int statuses[] = {200, 499, 500, 400, 504, 404, 409, 403, 429,
                                   400, 409, 400, 501, 500, 503, 500, 401};

    if (err == CS_ETOOBIG)
        return 413;
    return statuses[cs_failed(err) ? wire_code_of(err) : 0];
}

/* ---- Headers --------------------------------------------------------------------------------------- */

static bool header_ok(const char *name, cs_bytes value)
{
    const uint8_t *v = value.base;

    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("-_.", *c)))
            return false;
    for (size_t i = 0; i < value.len; i++)
        if ((v[i] < 0x20 && v[i] != '\t') || v[i] == 0x7f)
            return false;
    return name[0] != '\0';
}

static cs_err add_header(gateway_request *request, const char *name, cs_bytes value)
{
    const size_t name_len = strlen(name);
    cs_pair *pair;
    char *to;

    if (request->headers_len == request->headers_cap) {
        const size_t cap = request->headers_cap ? 2 * request->headers_cap : 8;
        cs_pair *all = cs_realloc(request->headers, cap * sizeof *all);

        if (!all)
            return CS_ENOMEM;
        request->headers = all;
        request->headers_cap = cap;
    }
    if (!(to = cs_alloc(name_len + 1 + value.len + 1)))
        return CS_ENOMEM;
    pair = &request->headers[request->headers_len++];
    pair->name = cs_bytes_put(&to, cs_bytes_of(name, name_len + 1));
    pair->name.len = name_len;
    pair->value = cs_bytes_put(&to, value);
    return CS_OK;
}

cs_err gateway_set_header(gateway_request *request, const char *name, cs_bytes value)
{
    cs_err err;

    if (request->stage >= GATEWAY__ANSWERS || !header_ok(name, value))
        return CS_EMISUSE;
    err = add_header(request, name, value);
    request->broken = request->broken || err != CS_OK;
    return err;
}

static void drop_headers(gateway_request *request)
{
    while (request->headers_len > 0)
        cs_free((void *)(uintptr_t)request->headers[--request->headers_len].name.base);
}

void gateway__reply_fini(gateway_request *request)
{
    drop_headers(request);
    cs_free(request->headers);
    cs_free(request->words);
    cs_buf_fini(&request->rest);
}

/* For every answer: what it is, is said by us and not guessed; and to whose page it may be shown. */
static void add_usual(gateway_request *request, const char *type)
{
    if (type) {
        (void)gateway_set_header(request, "content-type", cs_str(type));
        (void)gateway_set_header(request, "x-content-type-options", cs_str("nosniff"));
    }
    if (request->cross)
        (void)gateway_set_header(request, "access-control-allow-origin", request->origin);
    if (request->cross && request->web.is) /* the names first for who does not know the star */
        (void)gateway_set_header(request, "access-control-expose-headers",
                                 cs_str("grpc-status, grpc-message, grpc-status-details-bin, *"));
    if (request->gateway->origins)
        (void)gateway_set_header(request, "vary", cs_str("origin"));
}

/* ---- The head --------------------------------------------------------------------------------------- */

static bool has_body(const gateway_request *request, int status)
{
    return !request->is_head && status != 204 && status != 304;
}

/* False: parted. */
static bool begin(gateway_request *request, int status, const char *type, int64_t length)
{
    struct gateway__answer answer = {.status = status, .bare = !has_body(request, status)};
    cs_err err;

    add_usual(request, type);
    if (request->broken) {
        gateway__request_abort(request, CS_ENOMEM);
        return false;
    }
    answer.headers = request->headers;
    answer.headers_len = request->headers_len;
    answer.length = status == 204 || status == 304 ? 0 : length;
    cs_timer_free(request->timer);
    request->timer = NULL;
    request->stage = GATEWAY__ANSWERS;
    err = request->transport->begin(request->carrier, &answer);
    drop_headers(request);
    if (err != CS_OK)
        gateway__request_abort(request, err);
    return err == CS_OK;
}

static void finish(gateway_request *request, cs_err why)
{
    request->transport->finish(request->carrier);
    gateway__request_over(request, why);
}

/* ---- The body --------------------------------------------------------------------------------------- */

/* CS_OK: there is a piece. */
static cs_err more(gateway_request *request)
{
    cs_err err;

    if (request->piece.len > 0)
        return CS_OK;
    if (request->stage == GATEWAY__LAST)
        return CS_DONE;
    err = request->ops && request->ops->next
              ? request->ops->next(request, &request->piece, request->state)
              : CS_DONE;
    if (request->stage == GATEWAY__OVER)
        return CS_AGAIN;
    return err == CS_OK && request->piece.len == 0 ? CS_EMISUSE : err;
}

static cs_err write_piece(gateway_request *request)
{
    const size_t n = request->piece.len < GATEWAY__PIECE ? request->piece.len : GATEWAY__PIECE;
    cs_err err = request->transport->write(request->carrier, cs_bytes_of(request->piece.base, n));

    if (err == CS_OK)
        request->piece = cs_bytes_of((const char *)request->piece.base + n, request->piece.len - n);
    return err;
}

void gateway__request_pump(gateway_request *request)
{
    cs_err err = CS_OK;

    if (request->in_pump || request->in_handler ||
        (request->stage != GATEWAY__ANSWERS && request->stage != GATEWAY__LAST))
        return;
    request->in_pump = true;
    while (err == CS_OK) {
        err = more(request);
        if (err == CS_OK && (err = write_piece(request)) == CS_DONE)
            err = CS_EMISUSE;
    }
    request->in_pump = false;
    if (request->stage == GATEWAY__OVER || err == CS_AGAIN)
        return;
    if (err == CS_DONE)
        finish(request, request->why == CS_OK ? CS_DONE : request->why);
    else
        gateway__request_abort(request, err);
}

void gateway__request_room(gateway_request *request)
{
    gateway__request_pump(request);
}

void gateway_wake(gateway_request *request)
{
    if (request->stage == GATEWAY__ANSWERS)
        cs_task_post(request->gateway->loop, CS_CALL, &request->task);
}

void gateway_begin(gateway_request *request, int status, const char *content_type)
{
    if (request->stage != GATEWAY__ASKED || !request->ops)
        return;
    if (!begin(request, status, content_type, -1))
        return;
    if (has_body(request, status))
        gateway_wake(request);
    else
        finish(request, CS_DONE);
}

/* Copied only if the connection has no room for all of it. */
static void send(gateway_request *request, int status, const char *type, cs_bytes body, cs_err why)
{
    cs_err err = CS_OK;

    if (!begin(request, status, type, (int64_t)body.len))
        return;
    request->stage = GATEWAY__LAST;
    request->why = why;
    if (!has_body(request, status))
        body.len = 0;
    request->piece = body;
    while (err == CS_OK && request->piece.len > 0)
        err = write_piece(request);
    if (err == CS_AGAIN && (err = cs_buf_add(&request->rest, request->piece)) == CS_OK) {
        request->piece = cs_bytes_of(request->rest.base, request->rest.len);
        return;
    }
    if (err == CS_OK)
        finish(request, why);
    else
        gateway__request_abort(request, err);
}

void gateway__reply(gateway_request *request, int status, const char *type, cs_bytes body)
{
    send(request, status, type, body, CS_DONE);
}

void gateway_reply(gateway_request *request, int status, const char *content_type, cs_bytes body)
{
    if (request->stage == GATEWAY__ASKED)
        send(request, status, content_type, body, CS_DONE);
}

/* ---- Errors ------------------------------------------------------------------------------------------ */

void gateway__text_put(void *to, const void *bytes, size_t len)
{
    struct gateway__text *text = to;

    if (text->err == CS_OK)
        text->err = cs_buf_add(&text->buf, cs_bytes_of(bytes, len));
}

void gateway__text_words(struct gateway__text *to, const char *words)
{
    gateway__text_put(to, words, strlen(words));
}

static void add_error(struct gateway__text *to, cs_err err, const char *words)
{
    gateway__text_words(to, "{\"error\":{\"code\":\"");
    gateway__text_words(to, wire_code_name(wire_code_of(err)));
    gateway__text_words(to, "\",\"message\":");
    gateway_json_string(gateway__text_put, to, cs_str(words));
    gateway__text_words(to, "}}\n");
}

void gateway__request_error(gateway_request *request, int status, cs_err err, const char *words)
{
    struct gateway__text text = {.err = CS_OK};
    const struct gateway__web web = request->web;

    if (request->stage >= GATEWAY__ANSWERS) {
        gateway__request_abort(request, err);
        return;
    }
    if (!words)
        words = cs_strerror(err);
    if (web.is)
        gateway__web_add_error(&text, web, err, words);
    else
        add_error(&text, err, words);
    if (status == 401 && !web.is)
        (void)gateway_set_header(request, "www-authenticate", cs_str("Bearer"));
    if (text.err != CS_OK)
        gateway__request_abort(request, CS_ENOMEM);
    else
        send(request, web.is ? 200 : status, web.is ? gateway__web_type(web) : "application/json",
             cs_bytes_of(text.buf.base, text.buf.len), err);
    cs_buf_fini(&text.buf);
}

static void count(struct chanserv_foreign_counters *counters, int status)
{
    if (status == 400 || status == 417 || status == 501 || status == 505)
        counters->http_refused_bad++;
    else if (status == 403)
        counters->http_refused_origin++;
    else if (status == 404 || status == 405)
        counters->http_refused_path++;
    else if (status == 414 || status == 431)
        counters->http_heads_refused++;
    else if (status == 413)
        counters->http_bodies_refused++;
    else if (status == 408)
        counters->http_timeouts++;
}

void gateway__request_reject(gateway_request *request, int status, cs_err err, const char *words)
{
    count(chanserv_server_foreign(request->gateway->server), status);
    gateway__request_error(request, status, err, words);
}

cs_err gateway_fail(gateway_request *request, cs_err err, const char *format, ...)
{
    va_list args;

    if (request->stage == GATEWAY__OVER)
        return err;
    cs_free(request->words);
    va_start(args, format);
    request->words = cs_vprintf(format, args);
    va_end(args);
    if (!request->in_handler && !request->in_pump)
        gateway__request_error(request, gateway_status_of(err), err, request->words);
    return err;
}
