/* Stories on real loops and sockets, told again and again, each time with another call failing.
 *
 *   torture [CERTS [STEP]]
 *
 * With CERTS, what test/support/certs.sh made, over TLS as well, where each takes long: there every STEPth call
 * fails (1), and of OpenSSL's allocations, of which there are thousands, every 71st of these.
 *
 * Whatever fails, and by whichever of its ways: nobody crashes or waits, what was taken ends once and
 * with a status that fits, what was read is right, and no memory and no descriptor stays. */
#include "chanserv/chanserv.h"
#include "test/torture/calls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 5, BYTES = 30000, PATIENCE_MS = 20000, ALARM_S = 60, TLS_STEP = 71 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    int outlets, sources, feeds; /* begun and not ended */
    int frames, echoes, done;    /* seen; sources that ended well */
    cs_err why;                  /* how the story ended; CS_DONE: all of it was told */
    char words[200];
} t;

static char telling[200]; /* for whoever looks at the corpse */

static void die(const char *what)
{
    bool last_way;
    const char *failed = calls_failed(&last_way);

    fprintf(stderr, "%s, %s: not so: %s (%s: %s; %d frames, %d echoes, %d ends)\n", telling,
            failed ? failed : "nothing failed", what, cs_strerror(t.why), t.words, t.frames,
            t.echoes, t.done);
    abort();
}

#define MUST(held)                                                                                 \
    do {                                                                                           \
        if (!(held))                                                                               \
            die(#held);                                                                            \
    } while (0)

/* ---- The server ------------------------------------------------------------------------------- */

static char large[BYTES];

static cs_err next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    int *said = state;

    (void)outlet;
    if (*said == FRAMES)
        return CS_DONE;
    memset(large, 'a' + *said, sizeof large);
    *frame = cs_bytes_of(large, sizeof large);
    ++*said;
    return CS_OK;
}

static cs_err echo(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)state;
    return chanserv_outlet_recv(outlet, frame);
}

static void heard(chanserv_outlet *outlet, void *state)
{
    (void)state;
    chanserv_outlet_wake(outlet);
}

static void ended(chanserv_outlet *outlet, cs_err why, void *state)
{
    (void)outlet, (void)state;
    MUST(why != CS_OK && why != CS_AGAIN);
    MUST(t.outlets-- > 0);
}

static cs_err serve(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops large_ops = {
        .state_bytes = sizeof(int), .next = next, .end = ended};
    static const struct chanserv_outlet_ops echo_ops = {
        .next = echo, .end = ended, .readable = heard, .uplink = true};
    int nothing = 0;
    cs_err err = chanserv_announce(post, cs_str("large"), &large_ops, &nothing, NULL);

    (void)body, (void)user;
    t.outlets += err == CS_OK;
    if (err == CS_OK)
        err = chanserv_announce(post, cs_str("echo"), &echo_ops, NULL, NULL);
    t.outlets += err == CS_OK && t.outlets > 0;
    return err == CS_OK ? CS_DONE : err;
}

/* ---- The client ------------------------------------------------------------------------------- */

static void over(cs_err why, const char *words)
{
    if (t.why == CS_AGAIN || (cs_failed(why) && !cs_failed(t.why))) {
        t.why = why;
        snprintf(t.words, sizeof t.words, "%s", words);
    }
    if (t.sources == 0 && t.feeds == 0)
        cs_loop_stop(t.loop);
}

static void source_readable(chanserv_source *source, void *state)
{
    cs_bytes frame;
    int *n = state;

    while (chanserv_source_recv(source, &frame) == CS_OK) {
        if (chanserv_source_has_uplink(source)) {
            MUST(cs_same(frame, cs_str("hello")));
            t.echoes++;
            continue;
        }
        MUST(frame.len == BYTES && chanserv_source_seq(source) == (uint64_t)*n);
        for (size_t i = 0; i < frame.len; i++)
            MUST(((const char *)frame.base)[i] == 'a' + *n);
        ++*n;
        t.frames++;
    }
}

static void source_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    MUST(t.sources-- > 0);
    t.done += why == CS_DONE;
    over(why, chanserv_source_errmsg(source));
}

static void feed_readable(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {
        .state_bytes = sizeof(int), .readable = source_readable, .end = source_end};
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        cs_err err = chanserv_source_start(source, &ops, NULL);

        if (err != CS_OK) {
            over(err, "start");
            chanserv_source_close(source);
            continue;
        }
        t.sources++;
        if (!chanserv_source_has_uplink(source))
            continue;
        if ((err = chanserv_source_send(source, cs_str("hello"), CS_NOW)) != CS_OK) {
            over(cs_failed(err) ? err : CS_ENOMEM, "send");
            chanserv_source_cancel(source);
        } else {
            chanserv_source_finish(source);
        }
    }
}

static void feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    MUST(t.feeds-- > 0);
    over(why, chanserv_feed_errmsg(feed));
}

/* ---- A telling -------------------------------------------------------------------------------- */

struct story {
    const char *name, *listen, *join; /* join: what stands before the port; NULL: as it listens */
    int resume_ms;
    bool tls;
};
static const struct story stories[] = {
    {"tcp", "127.0.0.1:0", NULL, CS_OFF, false},
    {"a name, and a session", "127.0.0.1:0", "torture.test", 4000, false},
    {"unix, and a session", "unix:@torture", NULL, 4000, false},
    {"TLS on both sides", "127.0.0.1:0", NULL, CS_OFF, true},
    {"TLS, and a session", "127.0.0.1:0", NULL, 4000, true},
};

static struct { /* files */
    char ca[300], server[300], server_key[300], client[300], client_key[300];
    bool there;
} certs;

static cs_err begin(const struct story *s)
{
    const struct mux_tls server_tls = {
        .cert_file = certs.server, .key_file = certs.server_key, .ca_file = certs.ca};
    const struct mux_tls client_tls = {
        .cert_file = certs.client, .key_file = certs.client_key, .ca_file = certs.ca};
    const struct chanserv_server_options server = {.net.tls = s->tls ? &server_tls : NULL};
    const struct chanserv_client_options client = {.resume_ms = s->resume_ms,
                                                   .net.tls = s->tls ? &client_tls : NULL};
    cs_err err = cs_loop_new(NULL, &t.loop);

    if (err == CS_OK && (err = chanserv_server_new(t.loop, &server, &t.server)) == CS_OK &&
        (err = chanserv_serve(t.server, "work", serve, NULL)) == CS_OK)
        err = chanserv_client_new(t.loop, &client, &t.client);
    return err;
}

static cs_err meet(const struct story *s)
{
    char listen[100], addr[200];
    const bool is_unix = strncmp(s->listen, "unix:", 5) == 0;
    const char *at;
    cs_err err;

    snprintf(listen, sizeof listen, "%s", s->listen);
    if (is_unix) /* of this process alone */
        snprintf(listen, sizeof listen, "%s-%d", s->listen, (int)getpid());
    if ((err = chanserv_listen(t.server, listen)) != CS_OK)
        return err;
    at = chanserv_server_addr(t.server, 0);
    if (s->join)
        snprintf(addr, sizeof addr, "%s%s", s->join, strrchr(at, ':'));
    else
        snprintf(addr, sizeof addr, "%s", at);
    return chanserv_join(t.client, addr);
}

static cs_err ask(void)
{
    static const struct chanserv_feed_ops ops = {.readable = feed_readable, .end = feed_end};
    const struct chanserv_post_options options = {.timeout_ms = PATIENCE_MS};
    chanserv_feed *feed;
    cs_err err = chanserv_lookup_and_post(t.client, "work", cs_str("body"), &options, &feed);

    if (err == CS_OK && (err = chanserv_feed_start(feed, &ops, NULL)) == CS_OK)
        t.feeds++;
    return err;
}

static void finish(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    if (t.loop)
        cs_loop_free(t.loop);
    MUST(t.feeds == 0 && t.sources == 0 && t.outlets == 0);
    calls_rest();
}

/* Of a call that failed once; never a protocol error, nor a deadline: that would be a hang.  Who has no
 * memory for an answer resets its stream, says RESOURCE_EXHAUSTED, or goes, and refuses what comes meanwhile. */
static bool fits(cs_err why, enum calls_kind kind)
{
    switch (why) {
    case CS_DONE:
    case CS_EPEER:
    case CS_EREFUSED:
    case CS_ESYS:
    case CS_ENOMEM:
    case CS_ELOST:
    case CS_ELIMIT:
        return true;
    case CS_ECANCELED:
    case CS_EDRAIN:
    case CS_EINTERNAL:
    case CS_EUNAVAIL:
    case CS_EEXPIRED:
        return kind == CALLS_OURS;
    case CS_EINVAL: /* OpenSSL may only say that there is no key in the file */
        return kind == CALLS_TLS;
    default:
        return false;
    }
}

static void tell(const struct story *s, enum calls_kind kind)
{
    cs_err err;

    memset(&t, 0, sizeof t);
    t.why = CS_AGAIN;
    alarm(ALARM_S);
    err = begin(s);
    if (err == CS_OK)
        err = meet(s);
    if (err == CS_OK)
        err = ask();
    if (err == CS_OK)
        err = cs_loop_run(t.loop);
    if (err != CS_OK) {
        t.why = err;
        snprintf(t.words, sizeof t.words, "before it began, or the loop");
    }
    MUST(fits(t.why, kind));
    MUST(t.why != CS_DONE || (t.frames == FRAMES && t.echoes == 1 && t.done == 2));
    finish();
}

/* ---- All of them ------------------------------------------------------------------------------ */

static const char *const kinds[CALLS_KINDS] = {"the system", "libevent's memory",
                                               "the library's memory", "OpenSSL's memory"};

static size_t torture(const struct story *s, enum calls_kind kind, size_t step)
{
    const size_t allocations = calls_allocations(), descriptors = calls_descriptors(),
                 tls_allocations = calls_tls_allocations();
    const char *failed = "";
    size_t told = 0, ended_well = 0;
    bool last_way;

    for (size_t nth = 1; failed; nth += step) {
        last_way = false;
        for (int way = 0; failed && !last_way; way++) {
            snprintf(telling, sizeof telling, "%s: kind %d, call %zu, way %d", s->name, (int)kind,
                     nth, way);
            calls_arm(kind, nth, way);
            tell(s, kind);
            failed = calls_failed(&last_way);
            calls_arm(kind, 0, 0);
            MUST(failed || t.why == CS_DONE);
            MUST(calls_allocations() == allocations);
            MUST(calls_descriptors() == descriptors);
            told += failed != NULL;
            ended_well += failed && t.why == CS_DONE;
        }
    }
    MUST(calls_tls_allocations() <= tls_allocations + told);
    printf("%s: %zu failures of %s, %zu of them not to be noticed\n", s->name, told, kinds[kind],
           ended_well);
    return told;
}

static void on_signal(int number)
{
    static const char text[] = "\nit hung, or broke, here: ";

    (void)!write(2, text, sizeof text - 1);
    (void)!write(2, telling, strlen(telling));
    signal(number, SIG_DFL);
    raise(number == SIGALRM ? SIGABRT : number);
}

static void find(const char *dir)
{
    certs.there = true;
    snprintf(certs.ca, sizeof certs.ca, "%s/ca.pem", dir);
    snprintf(certs.server, sizeof certs.server, "%s/server.pem", dir);
    snprintf(certs.server_key, sizeof certs.server_key, "%s/server.key", dir);
    snprintf(certs.client, sizeof certs.client, "%s/client.pem", dir);
    snprintf(certs.client_key, sizeof certs.client_key, "%s/client.key", dir);
}

int main(int argc, char **argv)
{
    const size_t step = argc > 2 ? (size_t)atoi(argv[2]) : 1;
    size_t told = 0;

    if (argc > 1)
        find(argv[1]);
    calls_begin();
    signal(SIGALRM, on_signal);
    signal(SIGSEGV, on_signal);
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        const bool tls = stories[i].tls;

        if (tls && !certs.there)
            continue;
        tell(&stories[i], CALLS_SYSTEM); /* what is made once in a process is made */
        for (int kind = CALLS_SYSTEM; kind <= CALLS_OURS; kind++)
            told += torture(&stories[i], (enum calls_kind)kind, tls ? step : 1);
        if (tls)
            told += torture(&stories[i], CALLS_TLS, step * TLS_STEP);
    }
    printf("%zu failures\n", told);
    return told < 100;
}
