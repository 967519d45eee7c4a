/* served -- see served.h. */
#include "test/fuzz/served.h"

#include "chanserv/server__in.h"
#include "test/fuzz/fuzz.h"

#include <string.h>

enum { WAITING = 16, NARROW = 4 };

/* What was taken and has not ended; and who waits to be woken. */
static int outlets, posts;
static chanserv_outlet *sleepy[WAITING];
static chanserv_post *staying[WAITING];

/* ---- Sources ---------------------------------------------------------------------------------- */

struct produce {
    int said;
    char echo[64];
    size_t echo_len;
};

static cs_err next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    static const char large[3000] = "in parts";
    struct produce *p = state;

    if (p->said == 2)
        chanserv_outlet_skip(outlet, 3, CHANSERV_GAP_EXPIRED);
    if (p->said == 4)
        return CS_DONE;
    *frame = p->said == 1 ? cs_bytes_of(large, sizeof large) : cs_str("one");
    p->said++;
    return CS_OK;
}

static cs_err slow_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct produce *p = state;

    if (p->said == 40)
        return chanserv_outlet_fail(outlet, CS_EDATALOSS, "that was %d", p->said);
    if (p->said++ % 2 == 0) {
        sleepy[p->said % WAITING] = outlet;
        return CS_AGAIN;
    }
    *frame = cs_str("woken");
    return CS_OK;
}

static cs_err echo_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct produce *p = state;
    cs_bytes heard;
    cs_err err = chanserv_outlet_recv(outlet, &heard);

    if (err != CS_OK)
        return err;
    p->echo_len = heard.len < sizeof p->echo ? heard.len : sizeof p->echo;
    if (p->echo_len > 0)
        memcpy(p->echo, heard.base, p->echo_len);
    (void)chanserv_outlet_seq(outlet);
    (void)chanserv_outlet_gap(outlet);
    *frame = cs_bytes_of(p->echo, p->echo_len);
    return CS_OK;
}

static void heard(chanserv_outlet *outlet, void *state)
{
    (void)state;
    chanserv_outlet_wake(outlet);
}

static void ended(chanserv_outlet *outlet, cs_err why, void *state)
{
    (void)state;
    fuzz_must(why != CS_OK && why != CS_AGAIN);
    fuzz_must(chanserv_outlet_reason(outlet)[0] != '\0');
    for (int i = 0; i < WAITING; i++)
        if (sleepy[i] == outlet)
            sleepy[i] = NULL;
    fuzz_must(outlets-- > 0);
}

static cs_err any_open(chanserv_outlet *outlet, uint64_t from, void *state)
{
    (void)state;
    return from < 1000 ? chanserv_outlet_number(outlet, from) : CS_ERANGE;
}

static const struct chanserv_outlet_ops lazy = {
    .state_bytes = sizeof(struct produce), .next = next, .end = ended};
static const struct chanserv_outlet_ops eager = {
    .state_bytes = sizeof(struct produce), .next = next, .end = ended, .eager = true};
static const struct chanserv_outlet_ops echo = {.state_bytes = sizeof(struct produce),
                                                .next = echo_next,
                                                .end = ended,
                                                .readable = heard,
                                                .uplink = true};
static const struct chanserv_outlet_ops slow = {
    .state_bytes = sizeof(struct produce), .next = slow_next, .open = any_open, .end = ended};

static cs_err announce(chanserv_post *post, const struct chanserv_outlet_ops *ops)
{
    struct produce p = {.said = 0};
    cs_err err = chanserv_announce(post, cs_str("head"), ops, &p, NULL);

    outlets += err == CS_OK;
    return err;
}

/* ---- Services --------------------------------------------------------------------------------- */

static cs_err serve_all(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops *const ops[] = {&lazy, &eager, &echo};
    cs_err err = CS_OK;

    (void)body, (void)user;
    for (size_t i = 0; i < sizeof ops / sizeof *ops && err == CS_OK; i++)
        err = announce(post, ops[i]);
    return err == CS_OK ? CS_DONE : err;
}

static cs_err stay_next(chanserv_post *post, void *state)
{
    int *said = state;
    cs_err err;

    if (*said == 20)
        return CS_DONE;
    err = announce(post, *said % 2 ? &slow : &echo);
    *said += err == CS_OK;
    return err == CS_OK ? CS_AGAIN : err;
}

static void closed(chanserv_post *post, cs_err why, void *state)
{
    (void)state;
    fuzz_must(why != CS_OK && why != CS_AGAIN);
    for (int i = 0; i < WAITING; i++)
        if (staying[i] == post)
            staying[i] = NULL;
}

static void over(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)why, (void)state;
    fuzz_must(posts-- > 0);
}

static cs_err serve_stay(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {
        .state_bytes = sizeof(int), .next = stay_next, .closed = closed, .end = over};
    cs_err err = chanserv_post_keep(post, &ops, NULL);

    (void)user;
    if (err != CS_OK)
        return err;
    posts++;
    for (int i = 0; i < WAITING; i++) {
        if (!staying[i]) {
            staying[i] = post;
            break;
        }
    }
    if (body.len > 0)
        chanserv_post_linger(post, *(const uint8_t *)body.base * 100);
    return CS_OK;
}

static cs_err serve_chan(chanserv_post *post, cs_bytes body, void *user)
{
    cs_chan *chan;
    cs_err err = cs_chan_new(0, &chan);

    (void)user;
    if (err != CS_OK)
        return err;
    err = cs_chan_send(chan, body, CS_NOW);
    cs_chan_close(chan, err == CS_OK ? CS_DONE : err);
    err = chanserv_announce_chan(post, body, chan);
    cs_chan_free(chan);
    return err == CS_OK ? CS_DONE : err;
}

static cs_err serve_failure(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    (void)chanserv_post_set_header(post, "kind", chanserv_post_metadata(post, "who"));
    (void)chanserv_post_set_trailer(post, "why-bin", chanserv_post_bucket(post));
    return chanserv_post_fail(post, CS_EEXIST, "%.*s", CS_FMT(chanserv_post_body(post)));
}

static cs_err judge(const struct chanserv_request *request, void *user)
{
    (void)user;
    return cs_same(request->service, cs_str("n")) ? CS_EPERM : CS_OK;
}

/* ---- The server ------------------------------------------------------------------------------- */

static struct chanserv_server_options options_of(unsigned how)
{
    struct chanserv_server_options o = {.part_bytes = 1000,
                                        .authorise = judge,
                                        .memory_max_percent = CS_OFF,
                                        .net = {.gzip = how & SERVED_GZIP}};

    if (how & SERVED_NO_LINGER)
        o.linger_ms = CS_OFF;
    if (!(how & SERVED_NARROW))
        return o;
    o.posts_max = o.posts_peer_max = o.sources_max = o.opens_peer_max = o.sessions_max = NARROW;
    o.channels_max = o.lingering_max = o.lingering_peer_max = NARROW;
    o.keep_bytes = o.lingering_bytes = o.attached_bytes = 1500;
    o.frame_max_bytes = o.assembly_bytes = 100;
    o.serving_timeout_ms = o.sourcing_timeout_ms = o.write_timeout_ms = 5000;
    o.net.streams_max = 6;
    o.net.resets_max = o.net.faults_max = o.net.settings_max = o.net.pings_max = NARROW;
    o.net.empty_data_max = o.net.priorities_max = o.net.unknown_max = NARROW;
    o.net.window_updates_max = o.net.continuations_max = o.net.control_max = NARROW;
    o.net.header_max_bytes = 600;
    o.net.message_max_bytes = 400;
    o.net.calls_max = 10;
    return o;
}

void served_begin(struct served *s, unsigned how)
{
    s->options = options_of(how);
    fuzz_must(cs_loop_new_virtual(&s->loop) == CS_OK);
    fuzz_must(chanserv_server_new(s->loop, &s->options, &s->server) == CS_OK);
    fuzz_must(chanserv_serve(s->server, "a", serve_all, NULL) == CS_OK);
    fuzz_must(chanserv_serve(s->server, "s", serve_stay, NULL) == CS_OK);
    fuzz_must(chanserv_serve(s->server, "c", serve_chan, NULL) == CS_OK);
    fuzz_must(chanserv_serve(s->server, "f", serve_failure, NULL) == CS_OK);
    s->handlers = chanserv__server_handlers(s->server);
}

void served_wake(void)
{
    chanserv_outlet *outlet;

    for (int i = 0; i < WAITING; i++) {
        outlet = sleepy[i];
        sleepy[i] = NULL;
        if (outlet)
            chanserv_outlet_wake(outlet);
        if (staying[i])
            chanserv_post_wake(staying[i]);
    }
}

void served_end(struct served *s)
{
    chanserv_server_free(s->server);
    cs_loop_free(s->loop);
    fuzz_must(outlets == 0 && posts == 0);
}
