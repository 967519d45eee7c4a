#include "raw.h"

#include "chanserv/loops__in.h"

#include <stdarg.h>

struct raw raw;

static void vappend(char **text, const char *format, va_list args)
{
    char *more = cs_vprintf(format, args);
    char *both = cs_printf("%s%s", *text ? *text : "", more);

    cs_free(more);
    cs_free(*text);
    *text = both;
}

static void append(char **text, const char *format, ...) CS_PRINTF(2, 3);
static void append(char **text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vappend(text, format, args);
    va_end(args);
}

void raw_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vappend(&raw.story, format, args);
    va_end(args);
}

void raw_said(const char *story)
{
    cr_assert_str_eq(raw.story ? raw.story : "", story);
    cs_free(raw.story);
    raw.story = NULL;
}

/* ---- What a call hears ---------------------------------------------------------------------- */

static void hear_frame(struct raw_call *call, const struct wire_frame *f)
{
    const char *after = f->more ? "+" : "|";

    if (f->kind == WIRE_GAP)
        append(&call->heard, "<%u:%u>", (unsigned)f->gap_count, (unsigned)f->gap_reason);
    else if (f->kind == WIRE_PAYLOAD && f->payload.len > 64)
        append(&call->heard, "%zu bytes%s", f->payload.len, after);
    else if (f->kind == WIRE_PAYLOAD)
        append(&call->heard, "%.*s%s", CS_FMT(f->payload), after);
}

static void hear_announcement(struct raw_call *call, cs_bytes msg)
{
    struct wire_announcement a;
    void *tickets = cs_realloc(call->tickets, (call->tickets_len + 1) * 32);

    cr_assert_eq(wire_announcement_unpack(msg, &a), CS_OK);
    call->tickets = tickets;
    memset(call->tickets[call->tickets_len], 0, 32);
    cr_assert(a.ticket.len == 32 || (a.ticket.len == 0 && a.end.present));
    if (a.ticket.len)
        memcpy(call->tickets[call->tickets_len], a.ticket.base, 32);
    call->tickets_len++;
    append(&call->heard, "#%u %.*s", (unsigned)a.seq, CS_FMT(a.header));
    if (a.frames_len > 0) {
        append(&call->heard, " [");
        for (size_t i = 0; i < a.frames_len; i++)
            hear_frame(call, &a.frames[i]);
        append(&call->heard, "]");
    }
    if (a.end.present) {
        append(&call->heard, " end %u", (unsigned)a.end.code);
        if (a.end.code)
            append(&call->heard, " %.*s: %.*s", CS_FMT(a.end.reason), CS_FMT(a.end.message));
    }
    append(&call->heard, ";");
    wire_announcement_clear(&a);
}

static void hear_services(struct raw_call *call, cs_bytes msg)
{
    struct wire_services s;

    cr_assert_eq(wire_services_unpack(msg, &s), CS_OK);
    cr_assert_eq(s.instance.len, 8);
    cr_assert_gt(s.node.len, 0);
    append(&call->heard, "(");
    for (size_t i = 0; i < s.names_len; i++)
        append(&call->heard, "%.*s,", CS_FMT(s.names[i]));
    append(&call->heard, s.draining ? ")draining" : ")");
    wire_services_clear(&s);
}

static void hear_session(struct raw_call *call, cs_bytes msg)
{
    struct wire_session_down down;
    struct wire_ack ack;

    cr_assert_eq(wire_session_down_parse(msg, &down), CS_OK);
    if (down.instance.len > 0)
        append(&call->heard, "linger %u;", (unsigned)down.linger_ms);
    while (wire_ack_next(&down.acks, &ack) == CS_OK)
        append(&call->heard, "%u next %u;", (unsigned)ack.number, (unsigned)ack.next);
}

static void keep(char *to, size_t len, cs_bytes from)
{
    snprintf(to, len, "%.*s", CS_FMT(from));
}

static void readable(mux_stream *stream, void *state)
{
    struct raw_call *call = state;
    cs_bytes msg;

    call->headers = call->headers || mux_stream_has_headers(stream);
    if (mux_stream_header(stream, "chanserv-instance", &msg) == CS_OK)
        keep(call->instance, sizeof call->instance, msg);
    if (mux_stream_header(stream, "chanserv-next", &msg) == CS_OK)
        keep(call->next, sizeof call->next, msg);
    while (!call->paused && mux_stream_recv(stream, &msg) == CS_OK) {
        struct wire_frame frame;

        if (call->kind == RAW_ANNOUNCEMENTS) {
            hear_announcement(call, msg);
        } else if (call->kind == RAW_SERVICES) {
            hear_services(call, msg);
        } else if (call->kind == RAW_SESSION) {
            hear_session(call, msg);
        } else {
            cr_assert_eq(wire_frame_parse(msg, &frame), CS_OK);
            hear_frame(call, &frame);
        }
    }
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct raw_call *call = state;
    cs_bytes value;
    size_t n;

    call->why = why;
    (void)mux_stream_headers(stream, &n);
    call->headers = call->headers || n > 0;
    if (mux_stream_trailer(stream, "chanserv-reason", &value) == CS_OK)
        keep(call->reason, sizeof call->reason, value);
    if (mux_stream_trailer(stream, "chanserv-oldest", &value) == CS_OK)
        keep(call->oldest, sizeof call->oldest, value);
    if (mux_stream_header(stream, "chanserv-instance", &value) == CS_OK)
        keep(call->instance, sizeof call->instance, value);
    if (mux_stream_header(stream, "own", &value) == CS_OK ||
        mux_stream_trailer(stream, "own", &value) == CS_OK)
        keep(call->own, sizeof call->own, value);
    snprintf(call->errmsg, sizeof call->errmsg, "%s", mux_stream_errmsg(stream));
    call->stream = NULL;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

struct raw_call *raw_begin(const char *method, enum raw_kind kind, int timeout_ms)
{
    static const struct mux_stream_ops ops = {.readable = readable, .end = end};
    const cs_pair metadata[] = {{cs_str("who"), cs_str("me")},
                                {cs_str("authorization"), cs_str(raw.token ? raw.token : "")}};
    struct mux_call_options options = {
        .timeout_ms = timeout_ms, .metadata = metadata, .metadata_len = raw.token ? 2 : 1};
    struct raw_call *call = &raw.calls[raw.calls_len++];

    cr_assert_leq(raw.calls_len, sizeof raw.calls / sizeof *raw.calls);
    call->kind = kind;
    call->why = CS_AGAIN;
    cr_assert_eq(mux_stream_open(raw.conn, method, &options, &ops, call, &call->stream), CS_OK);
    return call;
}

void raw_send(struct raw_call *call, const void *msg, size_t len, bool last)
{
    cr_assert_eq(mux_stream_send(call->stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)), CS_OK);
    if (last)
        mux_stream_finish(call->stream, CS_OK, NULL);
}

struct raw_call *raw_post_with(const struct wire_post *post, int timeout_ms)
{
    struct raw_call *call = raw_begin("/chanserv.v1.Chanserv/Post", RAW_ANNOUNCEMENTS, timeout_ms);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_post_pack(post, &msg, &len), CS_OK);
    raw_send(call, msg, len, true);
    cs_free(msg);
    return call;
}

struct raw_call *raw_post(const char *service, const char *body)
{
    struct wire_post post = {.service = cs_str(service), .body = cs_str(body)};
    struct raw_call *call = raw_post_with(&post, 0);

    cs_loop_settle(raw.loop);
    return call;
}

struct raw_call *raw_post_inline(const char *service, uint32_t bytes)
{
    struct wire_post post = {.service = cs_str(service), .inline_bytes = bytes};
    struct raw_call *call = raw_post_with(&post, 0);

    cs_loop_settle(raw.loop);
    return call;
}

struct raw_call *raw_open_with(const struct wire_open *open, int timeout_ms)
{
    struct raw_call *call = raw_begin("/chanserv.v1.Chanserv/Open", RAW_FRAMES, timeout_ms);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_open_pack(open, &msg, &len), CS_OK);
    raw_send(call, msg, len, true);
    cs_free(msg);
    return call;
}

struct raw_call *raw_open(const struct raw_call *post, size_t i, uint64_t from)
{
    struct wire_open open = {.from = from};
    struct raw_call *call;

    cr_assert_lt(i, post->tickets_len);
    open.ticket = cs_bytes_of(post->tickets[i], 32);
    call = raw_open_with(&open, 0);
    cs_loop_settle(raw.loop);
    return call;
}

struct raw_call *raw_session(const char *id, uint32_t attempt)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Session", RAW_SESSION, 0);
    uint8_t msg[WIRE_SESSION_MAX];

    raw_send(c, msg, wire_session_up_put(msg, cs_str(id), attempt), false);
    cs_loop_settle(raw.loop);
    return c;
}

void raw_ack(struct raw_call *session, uint32_t number, uint64_t next, bool done,
             const char *reason)
{
    uint8_t msg[WIRE_ACK_MAX];

    raw_send(session, msg, wire_ack_put(msg, number, next, done, cs_str(reason)), false);
    cs_loop_settle(raw.loop);
}

struct raw_call *raw_post_as(uint32_t attempt, uint32_t number, const char *service,
                             const char *body, uint64_t from)
{
    struct wire_post post = {.service = cs_str(service),
                             .body = cs_str(body),
                             .from = from,
                             .channel = {true, cs_str(RAW_ID), attempt, number}};
    struct raw_call *c = raw_post_with(&post, 0);

    cs_loop_settle(raw.loop);
    return c;
}

struct raw_call *raw_open_as(uint32_t attempt, uint32_t number, const struct raw_call *post,
                             uint64_t from)
{
    struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32),
                             .from = from,
                             .channel = {true, cs_str(RAW_ID), attempt, number}};
    struct raw_call *c = raw_open_with(&open, 0);

    cs_loop_settle(raw.loop);
    return c;
}

void raw_pause(struct raw_call *call)
{
    call->paused = true;
}

void raw_resume(struct raw_call *call)
{
    call->paused = false;
    if (call->stream)
        mux_stream_resume(call->stream);
    cs_loop_settle(raw.loop);
}

void raw_leave(struct raw_call *call)
{
    mux_stream_cancel(call->stream, CS_ECANCELED);
    cs_loop_settle(raw.loop);
}

/* ---- The server ----------------------------------------------------------------------------- */

void raw_join_with(const struct mux_options *client)
{
    cr_assert_eq(mux_dial_local(raw.loop, client, chanserv__server_net(raw.server),
                                chanserv__server_handlers(raw.server), &raw.conn),
                 CS_OK);
    cs_loop_settle(raw.loop);
}

void raw_join(void)
{
    raw_join_with(NULL);
}

void raw_move(size_t loop)
{
    mux_conn_free(raw.conn);
    cr_assert_eq(
        mux_dial_local(raw.loop, NULL, NULL, raw.server->loops->all[loop]->handlers, &raw.conn),
        CS_OK);
}

void raw_up(const struct chanserv_server_options *options)
{
    cr_assert_eq(cs_loop_new_virtual(&raw.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(raw.loop, options, &raw.server), CS_OK);
    raw_join();
}

void raw_down(void)
{
    mux_conn_free(raw.conn);
    cs_loop_settle(raw.loop);
    chanserv_server_free(raw.server);
    cs_loop_settle(raw.loop);
    cs_loop_free(raw.loop);
    for (size_t i = 0; i < raw.calls_len; i++) {
        cs_free(raw.calls[i].heard);
        cs_free(raw.calls[i].tickets);
    }
    cs_free(raw.story);
}

struct chanserv_counters raw_counters(void)
{
    struct chanserv_counters counters;

    chanserv_server_counters(raw.server, &counters);
    return counters;
}
