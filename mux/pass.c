/* pass -- a call that came to this loop and is made at another one: two streams and what they say.
 *
 *     near (a server's: who called)             far (ours: where the call is answered)
 *       messages, half-close    ──── pull of far ───▶
 *       ◀─── pull of near ────   headers, messages, status and trailers
 *       reset, lost             ──── cancel ────────▶
 *
 * Each is pulled by the other's room, so nothing waits here: windows hold up who sends.  The first message
 * of far says who called and with which metadata; nobody but mux_dial_across() leads to a server that
 * reads it so.  A status that overtakes its messages there overtakes them here: the trailer CUT, which
 * goes no further, says so. */
#include "mux/across.h"
#include "mux/behalf.h"
#include "mux/mux__in.h"

#include "base/ref.h"

static const char CUT[] = "chanserv-cut";

enum { BY_REF = 4096 }; /* from here on a message is not copied */

struct pass {
    mux_stream *near, *far; /* NULL: it has ended */
    void (*rolled)(mux_stream *stream, void *user);
    void (*end)(void *user);
    void *user;
    bool headed; /* near has said its headers */
    bool is_cut;
};

/* ---- Who called -------------------------------------------------------------------------------- */

/* The peer, and names and values of metadata, lengths first; NULL: no memory. */
static uint8_t *pack(const mux_stream *near, size_t *len)
{
    const struct mux_peer *peer = mux_stream_peer(near);
    size_t n, bytes = mux_peer_packed_len(peer);
    const cs_pair *pairs = mux_stream_headers(near, &n);
    uint8_t *packed, *to;

    for (size_t i = 0; i < n; i++)
        bytes += mux__packed_len(pairs[i].name) + mux__packed_len(pairs[i].value);
    if (!(packed = to = cs_alloc(bytes)))
        return NULL;
    mux_peer_pack(peer, &to);
    for (size_t i = 0; i < n; i++) {
        mux__pack(&to, pairs[i].name);
        mux__pack(&to, pairs[i].value);
    }
    *len = bytes;
    return packed;
}

/* What is packed here was packed in this process. */
static cs_err unpack(mux_stream *stream, cs_bytes packed)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    const uint8_t *at = packed.base, *end = at + packed.len;
    cs_err err = CS_OK;

    if (!extra || !(extra->peer = mux_peer_unpack(&at)))
        return CS_ENOMEM;
    mux_stream_drop_headers(stream); /* ours */
    if (at < end)
        err = mux__meta_make(&extra->headers);
    while (at < end && err == CS_OK) {
        const cs_bytes name = mux__unpack(&at);

        err = mux__meta_add(extra->headers, name, mux__unpack(&at));
    }
    return err;
}

bool mux__pass_waits(mux_stream *stream)
{
    cs_bytes first;
    cs_err err;

    if (stream->over)
        return false;
    err = mux_stream_recv(stream, &first);
    if (err == CS_AGAIN)
        return true;
    if (err == CS_OK && unpack(stream, first) != CS_OK)
        mux_stream_cancel(stream, CS_ENOMEM);
    return false;
}

void mux__pass_cut(const mux_stream *stream, struct mux__fields *fields)
{
    if (stream->conn->is_across && stream->aborted)
        mux__fields_add(fields, cs_str(CUT), cs_str("1"), true);
}

/* ---- Messages ---------------------------------------------------------------------------------- */

static cs_err send_on(mux_stream *from, mux_stream *to, cs_bytes msg)
{
    static const cs_bytes nothing;
    cs_ref ref;

    if (msg.len < BY_REF || mux_stream_keep(from, msg, &ref) != CS_OK)
        return mux_stream_send(to, msg, nothing);
    cs_err err = mux_stream_send_ref(to, nothing, &ref);
    cs_ref_drop(&ref);
    return err;
}

/* As many as `to` has room for; then what recv() said last, or CS_OK. */
static cs_err pump(mux_stream *from, mux_stream *to)
{
    cs_err err = CS_OK;
    cs_bytes msg;

    while (err == CS_OK && mux_stream_room(to) > 0) {
        err = mux_stream_recv(from, &msg);
        if (err == CS_OK && (err = send_on(from, to, msg)) != CS_OK) {
            mux_stream_cancel(to, err); /* and what it is told ends the other */
            return err;
        }
    }
    return err;
}

static void up(struct pass *p)
{
    if (p->near && p->far && pump(p->near, p->far) == CS_DONE)
        mux_stream_finish(p->far, CS_OK, NULL);
}

static void let_go(struct pass *p)
{
    if (!p->near && !p->far)
        cs_free(p);
}

/* ---- What is said around them ------------------------------------------------------------------- */

static bool is_ours(cs_bytes name)
{
    return cs_same(name, cs_str(CUT));
}

static void head(struct pass *p)
{
    size_t n;
    const cs_pair *pairs = mux_stream_headers(p->far, &n);

    if (p->headed)
        return;
    p->headed = true;
    for (size_t i = 0; i < n; i++)
        if ((p->near->plain
                 ? mux__plain_unwrap(p->near, &pairs[i])
                 : mux_stream_set_header(p->near, pairs[i].name.base, pairs[i].value)) == CS_ENOMEM)
            mux_stream_cancel(p->near, CS_ENOMEM);
    mux_stream_drop_headers(p->far);
    mux_stream_send_headers(p->near);
}

/* Without what mux__call_ended() put before it. */
static const char *words_of(const mux_stream *far)
{
    const char *words = mux_stream_errmsg(far), *code = wire_code_name(far->peer_status);
    size_t len = strlen(code);

    return strncmp(words, code, len) == 0 && strncmp(words + len, ": ", 2) == 0 ? words + len + 2
                                                                                : words;
}

/* What was answered there is answered here. */
static void tail(struct pass *p)
{
    mux_stream *near = p->near, *far = p->far;
    size_t n;
    const cs_pair *pairs = mux_stream_trailers(far, &n);
    const bool well = far->peer_status == 0;
    const unsigned code = far->peer_status <= 16 ? far->peer_status : 2;

    if (!far->has_status || (well && far->why != CS_DONE)) {
        mux_stream_cancel(near, far->why);
        return;
    }
    if (!far->bare)
        head(p);
    for (size_t i = 0; i < n; i++)
        if (!is_ours(pairs[i].name) &&
            mux_stream_set_trailer(near, pairs[i].name.base, pairs[i].value) == CS_ENOMEM)
            mux_stream_cancel(near, CS_ENOMEM);
    if (p->is_cut)
        mux_stream_abort(near, (cs_err)(CS_ECANCELED - 1 + code), words_of(far));
    else
        mux_stream_finish(near, well ? CS_DONE : (cs_err)(CS_ECANCELED - 1 + code),
                          well ? NULL : words_of(far));
}

/* ---- The two streams ---------------------------------------------------------------------------- */

static void near_readable(mux_stream *near, void *state)
{
    struct pass *p = state;

    (void)near;
    if (p->far)
        mux_stream_wake(p->far);
}

static void near_pull(mux_stream *near, void *state)
{
    struct pass *p = state;

    if (p->far)
        (void)pump(p->far, near);
}

/* What he said before he was gone, he has said, where it is to be heard out. */
static void near_end(mux_stream *near, cs_err why, void *state)
{
    struct pass *p = state;
    bool said_all = false;

    (void)why;
    if (p->far && near->hears_out) {
        up(p);
        said_all = p->far->finished;
        mux__conn_flush(&p->far->conn->flush);
    }
    p->near = NULL;
    if (p->far && !said_all)
        mux_stream_cancel(p->far, CS_ECANCELED);
    if (p->end)
        p->end(p->user);
    let_go(p);
}

static void near_rolled(mux_stream *near, void *state)
{
    struct pass *p = state;

    if (p->rolled)
        p->rolled(near, p->user);
}

static void far_readable(mux_stream *far, void *state)
{
    struct pass *p = state;
    cs_bytes one;

    if (!p->near)
        return;
    if (far->over && mux_stream_trailer(far, CUT, &one) == CS_OK) {
        p->is_cut = true;
        mux_stream_cancel(far, far->why); /* what has arrived is given up */
        return;
    }
    if (!far->bare && mux_stream_has_headers(far))
        head(p);
    mux_stream_wake(p->near);
}

static void far_pull(mux_stream *far, void *state)
{
    (void)far;
    up(state);
}

static void far_end(mux_stream *far, cs_err why, void *state)
{
    struct pass *p = state;
    cs_bytes one;

    (void)why;
    p->is_cut = p->is_cut || mux_stream_trailer(far, CUT, &one) == CS_OK;
    if (p->near)
        tail(p);
    p->far = NULL;
    let_go(p);
}

static const struct mux_stream_ops near_ops = {
    .readable = near_readable, .pull = near_pull, .end = near_end, .rolled = near_rolled};
static const struct mux_stream_ops far_ops = {
    .readable = far_readable, .pull = far_pull, .end = far_end};

/* Both ends would keep the deadline, and who is first would say it in his words: the other end does. */
static void leave_deadline(mux_stream *stream)
{
    struct mux__extra *extra = mux__extra_of(stream);

    if (extra && extra->deadline)
        cs_timer_set(extra->deadline, CS_OFF);
}

static cs_err begin(struct pass *p, mux_stream *near, const struct mux_pass *pass)
{
    static const cs_bytes nothing;
    const int left = mux_stream_time_left_ms(near);
    const struct mux_call_options options = {.timeout_ms = left == CS_FOREVER ? 0
                                                           : left > 0         ? left
                                                                              : 1,
                                             .send_max_bytes = 64 * 1024};
    const char *method = near->plain ? mux__plain_method : near->what.handler->method.base;
    size_t len;
    uint8_t *packed = pack(near, &len);
    cs_err err = packed ? CS_OK : CS_ENOMEM;

    if (err == CS_OK)
        err = mux_stream_open(pass->to, method, &options, &far_ops, p, &p->far);
    if (err == CS_OK) {
        p->far->passes = true;
        err = mux_stream_send(p->far, cs_bytes_of(packed, len), nothing);
    }
    cs_free(packed);
    if (err == CS_OK && pass->first.base)
        err = mux_stream_send(p->far, pass->first, nothing);
    if (err == CS_OK && !near->accepted)
        err = mux_stream_accept(near, &near_ops, p);
    return err;
}

cs_err mux_stream_pass(mux_stream *near, const struct mux_pass *pass)
{
    struct pass *p = cs_zalloc(sizeof *p);
    cs_err err;

    if (!p)
        return CS_ENOMEM;
    err = begin(p, near, pass);
    if (err != CS_OK) {
        if (p->far) /* its end() lets go of it */
            mux_stream_cancel(p->far, CS_ECANCELED);
        else
            cs_free(p);
        return err;
    }
    mux_stream_hand_over(near, &near_ops, p);
    p->near = near;
    p->rolled = pass->rolled;
    p->end = pass->end;
    p->user = pass->user;
    leave_deadline(near);
    leave_deadline(p->far);
    mux_stream_drop_headers(near);
    if (pass->whole)
        mux_stream_finish(p->far, CS_OK, NULL);
    else
        mux_stream_wake(p->far);
    return CS_OK;
}
