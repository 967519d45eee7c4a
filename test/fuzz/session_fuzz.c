/* What clients with sessions say to a server, each message right by itself, in any order.
 *
 * The first byte chooses how the server serves (served.h), the rest are steps: sessions begun, taken
 * up and acknowledged, posts and opens on channels of theirs, frames up, connections that break, time
 * that passes.  Whatever the order, the server ends all that it took, once, and keeps nothing. */
#include "chanserv/server__in.h"
#include "mux/local.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/served.h"

enum { CALLS = 24, STEPS = 48, CONNS = 2, PLACES = 8, NAMES = 3 };

struct call {
    mux_stream *stream; /* NULL: over */
    bool paused;
};

static struct {
    struct served served;
    mux_conn *conns[CONNS];
    struct call calls[CALLS];
    size_t next;
} t;

/* ---- Calls ------------------------------------------------------------------------------------ */

static void readable(mux_stream *stream, void *state)
{
    const struct call *call = state;
    cs_bytes message;

    while (!call->paused && mux_stream_recv(stream, &message) == CS_OK)
        ;
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct call *call = state;

    (void)stream;
    fuzz_must(why != CS_AGAIN && call->stream == stream);
    call->stream = NULL;
}

/* Most inputs do with one. */
static mux_conn *conn_of(uint8_t how)
{
    mux_conn **conn = &t.conns[how % CONNS];

    if (!*conn)
        fuzz_must(mux_dial_local(t.served.loop, NULL, chanserv__server_net(t.served.server),
                                 t.served.handlers, conn) == CS_OK);
    return *conn;
}

static struct call *call_begin(struct fuzz_in *in, const char *method)
{
    static const struct mux_stream_ops ops = {.readable = readable, .end = end};
    struct call *call = &t.calls[t.next++ % CALLS];
    const uint8_t how = fuzz_byte(in);
    const struct mux_call_options options = {.timeout_ms = how & 64 ? 2000 : 0};

    if (call->stream)
        mux_stream_cancel(call->stream, CS_ECANCELED);
    cs_loop_settle(t.served.loop);
    *call = (struct call){NULL, how & 128};
    fuzz_must(mux_stream_open(conn_of(how), method, &options, &ops, call, &call->stream) == CS_OK);
    return call;
}

static struct call *call_of(struct fuzz_in *in)
{
    struct call *call = &t.calls[fuzz_byte(in) % CALLS];

    return call->stream ? call : NULL;
}

static void say(struct call *call, const void *message, size_t len, bool last)
{
    if (call &&
        mux_stream_send(call->stream, cs_bytes_of(message, len), cs_bytes_of(NULL, 0)) != CS_OK)
        return;
    if (call && last)
        mux_stream_finish(call->stream, CS_OK, NULL);
}

/* ---- What is said ----------------------------------------------------------------------------- */

static cs_bytes session_of(uint8_t which)
{
    static const char names[NAMES][17] = {"0123456789abcdef", "0123456789ABCDEF",
                                          "1123456789abcdef"};

    return cs_bytes_of(names[which % NAMES], 16);
}

static struct wire_channel channel_of(struct fuzz_in *in)
{
    const uint8_t how = fuzz_byte(in), number = fuzz_byte(in);

    return (struct wire_channel){.present = !(how & 128),
                                 .session = session_of(how & 3),
                                 .attempt = how >> 2 & 7,
                                 .number = number < 250 ? number % 12 : UINT32_MAX - number};
}

static void session_begin(struct fuzz_in *in)
{
    uint8_t message[WIRE_SESSION_MAX];
    struct call *call = call_begin(in, "/chanserv.v1.Chanserv/Session");
    const uint8_t how = fuzz_byte(in);

    say(call, message, wire_session_up_put(message, session_of(how & 3), how >> 2 & 7), how & 128);
}

static void acknowledge(struct fuzz_in *in)
{
    uint8_t message[8 * (WIRE_ACK_MAX + WIRE_SKIP_MAX)];
    struct call *call = call_of(in);
    size_t len = 0;
    uint8_t how;

    for (int i = 0; i < 8; i++) {
        how = fuzz_byte(in);
        len += wire_ack_put(message + len, how & 15, fuzz_byte(in), how & 16,
                            fuzz_take(in, how & 32 ? 8 : 0));
        if (how & 64)
            len += wire_skip_put(message + len, how & 15, fuzz_byte(in));
        if (!(how & 128))
            break;
    }
    say(call, message, len, false);
}

static void post(struct fuzz_in *in)
{
    static const char *const services[] = {"a", "s", "c", "f", "none"};
    struct call *call = call_begin(in, "/chanserv.v1.Chanserv/Post");
    const uint8_t how = fuzz_byte(in);
    const struct wire_post message = {.service = cs_str(services[how % 5]),
                                      .body = fuzz_take(in, how >> 5),
                                      .inline_bytes = how & 16 ? 4096 : 0,
                                      .from = how & 8 ? fuzz_byte(in) : 0,
                                      .channel = channel_of(in)};
    uint8_t *bytes;
    size_t len;

    fuzz_must(wire_post_pack(&message, &bytes, &len) == CS_OK);
    say(call, bytes, len, true);
    cs_free(bytes);
}

static void open(struct fuzz_in *in, bool talks)
{
    uint8_t ticket[32], *bytes;
    struct call *call =
        call_begin(in, talks ? "/chanserv.v1.Chanserv/Talk" : "/chanserv.v1.Chanserv/Open");
    const uint8_t place = fuzz_byte(in), from = fuzz_byte(in);
    const struct wire_open message = {.ticket = cs_bytes_of(ticket, sizeof ticket),
                                      .from = from & 128 ? from & 127 : 0,
                                      .channel = channel_of(in)};
    size_t len;

    memset(ticket, FUZZ_RANDOM, sizeof ticket);
    memset(ticket + 8, 0, 8);
    ticket[15] = (uint8_t)(place % PLACES + 1 + (place >> 5));
    ticket[12] = (uint8_t)(place % PLACES << 4);
    fuzz_must((talks ? wire_up_open_pack : wire_open_pack)(&message, &bytes, &len) == CS_OK);
    say(call, bytes, len, !talks);
    cs_free(bytes);
}

static void say_up(struct fuzz_in *in)
{
    uint8_t message[WIRE_UP_HEAD + 64];
    struct call *call = call_of(in);
    const uint8_t how = fuzz_byte(in);
    const cs_bytes words = fuzz_take(in, how & 63);
    size_t len = wire_up_head(message, words.len, how & 64);

    if (words.len > 0)
        memcpy(message + len, words.base, words.len);
    say(call, message, len + words.len, how & 128);
}

static void say_anything(struct fuzz_in *in)
{
    struct call *call = call_of(in);
    const cs_bytes message = fuzz_take(in, fuzz_byte(in));

    say(call, message.base, message.len, false);
}

/* ---- What happens ----------------------------------------------------------------------------- */

static void leave(struct fuzz_in *in)
{
    struct call *call = call_of(in);

    if (call)
        mux_stream_cancel(call->stream, CS_ECANCELED);
}

static void turn_page(struct fuzz_in *in)
{
    struct call *call = call_of(in);

    if (!call)
        return;
    call->paused = !call->paused;
    if (!call->paused)
        mux_stream_resume(call->stream);
}

static void lose(struct fuzz_in *in)
{
    const uint8_t how = fuzz_byte(in);

    if (how & 8)
        mux_conn_lose(conn_of(how));
    else
        mux_conn_break(conn_of(how));
}

static void step(struct fuzz_in *in)
{
    const uint8_t what = fuzz_byte(in);

    switch (what & 15) {
    case 0:
    case 1:
        session_begin(in);
        break;
    case 2:
    case 3:
        acknowledge(in);
        break;
    case 4:
    case 5:
        post(in);
        break;
    case 6:
    case 7:
        open(in, what & 1);
        break;
    case 8:
        say_up(in);
        break;
    case 9:
        say_anything(in);
        break;
    case 10:
        leave(in);
        break;
    case 11:
        turn_page(in);
        break;
    case 12:
        lose(in);
        break;
    case 13:
        cs_loop_advance(t.served.loop, 200 * fuzz_byte(in));
        break;
    default:
        served_wake();
        break;
    }
    if (!(what & 128))
        cs_loop_settle(t.served.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_in in = {bytes, len};

    fuzz_begin();
    memset(&t, 0, sizeof t);
    served_begin(&t.served, fuzz_byte(&in));
    for (int i = 0; i < STEPS && in.left > 0; i++)
        step(&in);
    for (int i = 0; i < CONNS; i++)
        mux_conn_free(t.conns[i]);
    cs_loop_settle(t.served.loop);
    for (int i = 0; i < CALLS; i++)
        fuzz_must(!t.calls[i].stream);
    served_end(&t.served);
    fuzz_end();
    return 0;
}
