/* The server.  A source counts its frames and gives the one of the number; with BENCH_CORRUPT its first
 * is wrong, or its header where there are no frames to spoil. */
#include "bench/kit.h"

enum { BURST = 256, LARGE = 4096 };

struct flow {
    uint64_t at, len; /* len frames; UINT64_MAX: without end */
    size_t size;
};

static cs_err flow_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out;
    struct flow *f = state;
    if (f->at == f->len)
        return CS_DONE;
    *frame = kit_frame(f->at, f->size);
    if (f->at == 0 && f->size > 0 && kit_corrupts())
        *frame = kit_spoiled(*frame);
    f->at++;
    return CS_OK;
}

/* Large frames go by reference: they stay where they are. */
static cs_err flow_next_ref(chanserv_outlet *out, cs_ref *frame, void *state)
{
    cs_err err = flow_next(out, &frame->bytes, state);
    frame->block = NULL;
    if (err == CS_OK)
        err = cs_ref_wrap(frame->bytes, NULL, NULL, frame);
    return err;
}

static cs_err idle_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops flow_ops = {.state_bytes = sizeof(struct flow),
                                                    .next = flow_next};
static const struct chanserv_outlet_ops eager_ops = {
    .state_bytes = sizeof(struct flow), .next = flow_next, .eager = true};
static const struct chanserv_outlet_ops large_ops = {.state_bytes = sizeof(struct flow),
                                                     .next_ref = flow_next_ref};
static const struct chanserv_outlet_ops idle_ops = {.next = idle_next};

struct series {
    uint64_t left;
    const struct chanserv_outlet_ops *ops;
    struct flow flow;
};

static cs_bytes header_of(const struct series *s)
{
    cs_bytes header = kit_frame(0, HDR);
    return kit_corrupts() && s->flow.size == 0 ? kit_spoiled(header) : header;
}

static cs_err series_next(chanserv_post *post, void *state)
{
    struct series *s = state;
    for (int i = 0; i < BURST; i++) {
        if (s->left == 0)
            return CS_DONE;
        cs_err err = chanserv_announce(post, header_of(s), s->ops,
                                       s->ops->state_bytes ? &s->flow : NULL, NULL);
        if (err != CS_OK)
            return err;
        s->left--;
    }
    return CS_OK;
}
static const struct chanserv_post_ops series_ops = {.state_bytes = sizeof(struct series),
                                                    .next = series_next};

static uint64_t number(cs_bytes body, size_t word)
{
    char text[64];
    char *at = text;
    size_t n = body.len < sizeof text - 1 ? body.len : sizeof text - 1;
    memcpy(text, body.base, n);
    text[n] = 0;
    for (; word > 0; word--)
        (void)strtoull(at, &at, 10);
    return strtoull(at, NULL, 10);
}

static uint64_t or_endless(uint64_t n)
{
    return n ? n : UINT64_MAX;
}

static cs_err flows(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    struct series s = {.left = or_endless(number(body, 0)),
                       .flow = {.len = or_endless(number(body, 1)), .size = number(body, 2)}};
    if (s.flow.size > KIT_LARGEST)
        return CS_EINVAL;
    s.ops = number(body, 3) ? &eager_ops : s.flow.size > LARGE ? &large_ops : &flow_ops;
    return chanserv_post_keep(post, &series_ops, &s);
}

static cs_err idles(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    struct series s = {.left = number(body, 0), .ops = &idle_ops};
    return chanserv_post_keep(post, &series_ops, &s);
}

static cs_err ping(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    struct flow f = {.len = 1, .size = SMALL};
    cs_err err = chanserv_announce(post, kit_frame(0, HDR), &eager_ops, &f, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* The only service there is, so that sessions stay where they are. */
static void serve_hashes(chanserv_server *s)
{
    kit_hash_init();
    (void)kit_corrupts(); /* before there are several threads */
    chanserv_serve_parallel(s, "hashes", kit_hashes, NULL);
}

static void serve_flows(chanserv_server *s)
{
    chanserv_serve(s, "flows", flows, NULL);
    chanserv_serve(s, "idles", idles, NULL);
    chanserv_serve(s, "ping", ping, NULL);
    chanserv_serve(s, "echo", kit_echo, NULL);
    chanserv_serve(s, "stamps", kit_stamps, NULL);
}

int kit_serve(const char *port, const char *workload)
{
    char addr[64], cert[256], key[256];
    const char *tls = getenv("BENCH_TLS");
    const struct mux_tls files = {.cert_file = cert, .key_file = key};
    struct chanserv_server_options options = {.signals = true,
                                              .grace_ms = CS_OFF,
                                              .loops = (int)env_d("BENCH_LOOPS", 1),
                                              .busy_poll_us = (int)env_d("BENCH_BUSY_POLL", 0)};
    chanserv_server *s;
    if (tls) {
        snprintf(cert, sizeof cert, "%s/cert.pem", tls);
        snprintf(key, sizeof key, "%s/key.pem", tls);
        options.net.tls = &files;
    }
    snprintf(addr, sizeof addr, "127.0.0.1:%s", port);
    if (chanserv_server_new(NULL, &options, &s) != CS_OK)
        DIE("no server");
    if (!strcmp(workload, "loops"))
        serve_hashes(s);
    else
        serve_flows(s);
    if (chanserv_listen(s, addr) != CS_OK)
        DIE("%s", chanserv_server_errmsg(s));
    ready();
    cs_err err = chanserv_server_run(s);
    chanserv_server_free(s);
    return cs_failed(err);
}
