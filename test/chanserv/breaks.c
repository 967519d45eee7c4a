#include "test/chanserv/breaks.h"

#include "mux/local.h"
#include "mux/roll.h"

#include <criterion/criterion.h>

struct breaks breaks;

uint32_t breaks_roll(uint32_t n)
{
    breaks.dice = breaks.dice * 1103515245u + 12345u;
    return (breaks.dice >> 8) % n;
}

static uint32_t len_of(uint64_t source, uint64_t number)
{
    static const uint32_t lens[] = {0, 1, 40, 100, 900, 5000, 20000, 70000};
    return (uint32_t)(2 * sizeof number) + lens[((source + number) * 2654435761u >> 9) % 8];
}

cs_bytes breaks_frame(uint64_t source, uint64_t number)
{
    static uint8_t bytes[100000];
    size_t len = len_of(source, number);

    memset(bytes, (int)((source + number) & 0xff), len);
    memcpy(bytes, &source, sizeof source);
    memcpy(bytes + sizeof source, &number, sizeof number);
    return cs_bytes_of(bytes, len);
}

/* ---- The server: numbers, of which every 7th is left out, and an echo ---------------------------- */

struct count {
    uint64_t source, at;
};

static cs_err count_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    struct count *c = state;
    cs_err err;

    if (breaks.allow == 0)
        return CS_AGAIN;
    breaks.allow--;

    if (c->at % 7 == 3) {
        chanserv_outlet_skip(o, 2, CHANSERV_GAP_OVERFLOW);
        c->at += 2;
    }
    if (c->at >= breaks.len)
        return CS_DONE;
    err = cs_ref_copy(breaks_frame(c->source, c->at), frame);
    c->at += err == CS_OK;
    return err;
}

void breaks_outlet_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state, (void)why;
    breaks.ends++;
    breaks.unwanted += strcmp(chanserv_outlet_words(o), "no longer wanted") == 0;
    for (int i = 0; i < SOURCES; i++)
        if (breaks.outlets[i] == o)
            breaks.outlets[i] = NULL;
}

void breaks_tick(int allow, int ms)
{
    breaks.allow = allow;
    for (int i = 0; i < SOURCES; i++)
        if (breaks.outlets[i])
            chanserv_outlet_wake(breaks.outlets[i]);
    cs_loop_advance(breaks.loop, ms);
}

static const struct chanserv_outlet_ops count_ops = {
    .state_bytes = sizeof(struct count), .next_ref = count_next, .end = breaks_outlet_end};

cs_err breaks_numbers(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    if (++breaks.runs == 1 && breaks.cuts_itself)
        mux_conn_break(chanserv__nodes_first(breaks.client)->conn);
    for (uint64_t i = 0; i < SOURCES; i++) {
        struct count c = {.source = i};
        cs_err err = chanserv_announce(post, cs_str("numbers"), &count_ops, &c, &breaks.outlets[i]);
        if (err != CS_OK)
            return err;
    }
    return CS_DONE;
}

cs_err breaks_none(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body, (void)user;
    breaks.runs++;
    return CS_DONE;
}

static cs_err echo_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)state;
    cs_err err = chanserv_outlet_recv(o, frame);
    if (err == CS_OK) {
        cr_assert(cs_same(*frame, breaks_frame(100, breaks.heard)), "%zu bytes, %u, not %zu",
                  frame->len, frame->len > 8 ? ((const unsigned *)frame->base)[2] : 0,
                  breaks.heard);
        breaks.heard++;
    }
    return err;
}

static void echo_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static const struct chanserv_outlet_ops echo_ops = {
    .uplink = true, .next = echo_next, .readable = echo_readable, .end = breaks_outlet_end};

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    breaks.runs++;
    return chanserv_announce(post, cs_str("echo"), &echo_ops, NULL, NULL) == CS_OK ? CS_DONE
                                                                                   : CS_ENOMEM;
}

/* ---- The client --------------------------------------------------------------------------------- */

static void frames_readable(chanserv_source *source, void *state)
{
    uint64_t *at = state;
    cs_bytes frame;

    while (chanserv_source_recv(source, &frame) == CS_OK) {
        uint64_t seq = chanserv_source_seq(source);
        breaks.gaps += chanserv_source_gap(source);
        cr_assert_eq(seq, *at + chanserv_source_gap(source), "#%u: %u after %u",
                     (unsigned)chanserv_source_index(source), (unsigned)seq, (unsigned)*at);
        cr_assert(cs_same(frame, breaks_frame(chanserv_source_index(source), seq)));
        *at = seq + 1;
        breaks.frames++;
    }
}

static void frames_detached(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    cr_assert(cs_failed(why));
    cr_assert(chanserv_source_is_detached(source));
    breaks.detached++;
}

static void frames_attached(chanserv_source *source, void *state)
{
    (void)state;
    cr_assert_not(chanserv_source_is_detached(source));
    breaks.attached++;
    breaks.attached_last = chanserv_source_index(source);
}

void breaks_frames_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    breaks.gone += why == CS_ELOST && strstr(chanserv_source_errmsg(source), "session") != NULL;
    breaks.lost += why == CS_ELOST && strstr(chanserv_source_errmsg(source), "in time") != NULL;
    if (breaks.strict)
        cr_assert_eq(why, CS_DONE, "%s", chanserv_source_errmsg(source));
}

const struct chanserv_source_ops breaks_frames_ops = {.state_bytes = sizeof(uint64_t),
                                                      .readable = frames_readable,
                                                      .end = breaks_frames_end,
                                                      .detached = frames_detached,
                                                      .attached = frames_attached};

static void feed_readable(chanserv_feed *feed, void *state)
{
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK)
        (void)chanserv_source_start(source, &breaks_frames_ops, NULL);
}

void breaks_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)feed;
    *(cs_err *)state = why;
}

const struct chanserv_feed_ops breaks_feed_ops = {.readable = feed_readable,
                                                  .end = breaks_feed_end};

void breaks_say(chanserv_source *source, void *state)
{
    (void)state;
    while (breaks.said < breaks.say &&
           chanserv_source_send(source, breaks_frame(100, breaks.said), CS_NOW) == CS_OK)
        breaks.said++;
    if (breaks.said == breaks.say)
        chanserv_source_finish(source);
}

static void hear_echo(chanserv_source *source, void *state)
{
    cs_bytes frame;

    while (chanserv_source_recv(source, &frame) == CS_OK)
        cr_assert(cs_same(frame, breaks_frame(100, breaks.echoed++)));
    breaks_say(source, state);
}

const struct chanserv_source_ops breaks_mouth_ops = {.readable = hear_echo,
                                                     .writable = breaks_say,
                                                     .end = breaks_frames_end,
                                                     .detached = frames_detached,
                                                     .attached = frames_attached};

static void talk_readable(chanserv_feed *feed, void *state)
{
    (void)state;
    while (chanserv_feed_recv(feed, &breaks.mouth) == CS_OK)
        if (chanserv_source_start(breaks.mouth, &breaks_mouth_ops, NULL) == CS_OK)
            breaks_say(breaks.mouth, NULL);
}

static const struct chanserv_feed_ops talk_ops = {.readable = talk_readable,
                                                  .end = breaks_feed_end};

/* ---- The stage ---------------------------------------------------------------------------------- */

int64_t breaks_calls_max;
int breaks_age_ms;

cs_err breaks_begin(unsigned seed, const struct chanserv_server_options *options)
{
    const struct chanserv_client_options resuming = {.resume_ms = 20000,
                                                     .net = {.ping_interval_ms = 50,
                                                             .ping_timeout_ms = 50,
                                                             .calls_max = breaks_calls_max,
                                                             .connection_age_ms = breaks_age_ms}};
    static const struct chanserv_server_options slow = {.keep_bytes = 16 * 1024};
    cs_err err;

    memset(&breaks, 0, sizeof breaks);
    breaks.dice = seed;
    breaks.feed_why = breaks.talk_why = CS_AGAIN;
    breaks.len = FRAMES;
    breaks.say = SAID;
    err = cs_loop_new_virtual(&breaks.loop);
    if (err == CS_OK)
        err = chanserv_server_new(breaks.loop, options ? options : &slow, &breaks.server);
    if (err == CS_OK)
        err = chanserv_serve(breaks.server, "numbers", breaks_numbers, NULL);
    if (err == CS_OK)
        err = chanserv_serve(breaks.server, "echo", echo, NULL);
    if (err == CS_OK)
        err = chanserv_client_new(breaks.loop, &resuming, &breaks.client);
    if (err == CS_OK)
        err = chanserv_join_local(breaks.client, breaks.server);
    return err;
}

cs_err breaks_post(void)
{
    cs_err err = chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed);

    if (err == CS_OK)
        err = chanserv_feed_start(breaks.feed, &breaks_feed_ops, &breaks.feed_why);
    if (err == CS_OK)
        err = chanserv_lookup_and_post(breaks.client, "echo", cs_str(""), NULL, &breaks.talk);
    if (err == CS_OK)
        err = chanserv_feed_start(breaks.talk, &talk_ops, &breaks.talk_why);
    return err;
}

void breaks_end(void)
{
    chanserv_client_free(breaks.client);
    chanserv_server_free(breaks.server);
    if (breaks.loop)
        cs_loop_free(breaks.loop);
}

bool breaks_over(void)
{
    return breaks.ends == SOURCES + 1 && breaks.feed_why != CS_AGAIN && breaks.talk_why != CS_AGAIN;
}

struct chanserv_counters breaks_counters(void)
{
    struct chanserv_counters c;
    chanserv_server_counters(breaks.server, &c);
    return c;
}

static void roll_over(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

void breaks_roll_over(void)
{
    const mux_handlers *handlers = chanserv__nodes_first(breaks.client)->handlers;

    mux_handlers_each_local((mux_handlers *)(uintptr_t)handlers, roll_over, NULL);
}

void breaks_expect_all(unsigned seed)
{
    cr_assert_eq(breaks.runs, 2 + breaks.whys_len, "seed %u", seed);
    cr_assert_eq(breaks.feed_why, CS_DONE, "seed %u: %s", seed, cs_strerror(breaks.feed_why));
    cr_assert_eq(breaks.talk_why, CS_DONE, "seed %u: %s", seed, cs_strerror(breaks.talk_why));
    for (int i = 0; i < breaks.whys_len && i < WHYS; i++)
        cr_assert_eq(breaks.whys[i], CS_DONE, "seed %u: %s", seed, cs_strerror(breaks.whys[i]));
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "seed %u: %zu + %zu", seed,
                 breaks.frames, breaks.gaps);
    cr_assert_eq(breaks.said, SAID);
    cr_assert_eq(breaks.heard, SAID);
    cr_assert_eq(breaks.echoed, SAID);
}

void breaks_feed_kept(chanserv_feed *feed, void *state)
{
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK)
        breaks.sources[breaks.sources_len++] = source;
}

/* Nothing comes back before breaks_heal(). */
struct chanserv__bond *breaks_hurt(void)
{
    struct chanserv__bond *bond = chanserv__nodes_first(breaks.client)->bond;

    bond->rests = true;
    mux_conn_break(bond->node->conn);
    cs_loop_settle(breaks.loop);
    return bond;
}

void breaks_heal(struct chanserv__bond *bond)
{
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(breaks.loop, 100);
}

cs_err breaks_stay(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops nothing;

    (void)body, (void)user;
    return chanserv_post_keep(post, &nothing, NULL) == CS_OK ? CS_AGAIN : CS_ENOMEM;
}

cs_err breaks_begin_short(void)
{
    cs_err err = breaks_begin(3, NULL);

    breaks.len = 4;
    breaks.say = 3;
    return err == CS_OK ? breaks_post() : err;
}
