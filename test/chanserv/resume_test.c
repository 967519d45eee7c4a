/* Our client and our server, and connections that break at any moment: every frame of every source arrives once,
 * in order, both ways; every source function runs once; every end is told. */
#include "chanserv/chanserv.h"
#include "chanserv/client__in.h"
#include "chanserv/session__in.h"
#include "mux/lasting.h"
#include "mux/local.h"
#include "mux/roll.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SOURCES = 8, FRAMES = 120, SAID = 60, WHYS = 256 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed, *talk;
    int runs, ends, cuts, unwanted, lost, gone, detached, attached;
    cs_err feed_why, talk_why;
    size_t frames, gaps, heard, said, echoed;
    chanserv_source *mouth, *sources[SOURCES];
    int sources_len;
    chanserv_outlet *outlets[SOURCES];
    cs_err whys[WHYS];
    int whys_len;
    uint64_t attached_last;
    int allow;         /* frames that are given before the next tick */
    bool strict;       /* every source ends well */
    bool forgets;      /* the server's acknowledgements get lost */
    bool cuts_itself;  /* while the first post runs its connection breaks */
    unsigned len, say; /* frames of a source, and of the conversation */
    unsigned dice;
} w;

static uint32_t roll(uint32_t n)
{
    w.dice = w.dice * 1103515245u + 12345u;
    return (w.dice >> 8) % n;
}

static uint32_t len_of(uint64_t source, uint64_t number)
{
    static const uint32_t lens[] = {0, 1, 40, 100, 900, 5000, 20000, 70000};
    return (uint32_t)(2 * sizeof number) + lens[((source + number) * 2654435761u >> 9) % 8];
}

static cs_bytes frame_of(uint64_t source, uint64_t number)
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

    if (w.allow == 0)
        return CS_AGAIN;
    w.allow--;

    if (c->at % 7 == 3) {
        chanserv_outlet_skip(o, 2, CHANSERV_GAP_OVERFLOW);
        c->at += 2;
    }
    if (c->at >= w.len)
        return CS_DONE;
    err = cs_ref_copy(frame_of(c->source, c->at), frame);
    c->at += err == CS_OK;
    return err;
}

static void on_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state, (void)why;
    w.ends++;
    w.unwanted += strcmp(chanserv_outlet_words(o), "no longer wanted") == 0;
    for (int i = 0; i < SOURCES; i++)
        if (w.outlets[i] == o)
            w.outlets[i] = NULL;
}

static void tick(int allow, int ms)
{
    w.allow = allow;
    for (int i = 0; i < SOURCES; i++)
        if (w.outlets[i])
            chanserv_outlet_wake(w.outlets[i]);
    cs_loop_advance(w.loop, ms);
}

static const struct chanserv_outlet_ops count_ops = {
    .state_bytes = sizeof(struct count), .next_ref = count_next, .end = on_end};

static cs_err numbers(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    if (++w.runs == 1 && w.cuts_itself)
        mux_conn_break(chanserv__nodes_first(w.client)->conn);
    for (uint64_t i = 0; i < SOURCES; i++) {
        struct count c = {.source = i};
        cs_err err = chanserv_announce(post, cs_str("numbers"), &count_ops, &c, &w.outlets[i]);
        if (err != CS_OK)
            return err;
    }
    return CS_DONE;
}

static cs_err none(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body, (void)user;
    w.runs++;
    return CS_DONE;
}

static cs_err echo_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)state;
    cs_err err = chanserv_outlet_recv(o, frame);
    if (err == CS_OK) {
        cr_assert(cs_same(*frame, frame_of(100, w.heard)), "%zu bytes, %u, not %zu", frame->len,
                  frame->len > 8 ? ((const unsigned *)frame->base)[2] : 0, w.heard);
        w.heard++;
    }
    return err;
}

static void echo_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static const struct chanserv_outlet_ops echo_ops = {
    .uplink = true, .next = echo_next, .readable = echo_readable, .end = on_end};

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    w.runs++;
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
        w.gaps += chanserv_source_gap(source);
        cr_assert_eq(seq, *at + chanserv_source_gap(source), "#%u: %u after %u",
                     (unsigned)chanserv_source_index(source), (unsigned)seq, (unsigned)*at);
        cr_assert(cs_same(frame, frame_of(chanserv_source_index(source), seq)));
        *at = seq + 1;
        w.frames++;
    }
}

static void frames_detached(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    cr_assert(cs_failed(why));
    cr_assert(chanserv_source_is_detached(source));
    w.detached++;
}

static void frames_attached(chanserv_source *source, void *state)
{
    (void)state;
    cr_assert_not(chanserv_source_is_detached(source));
    w.attached++;
    w.attached_last = chanserv_source_index(source);
}

static void frames_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    w.gone += why == CS_ELOST && strstr(chanserv_source_errmsg(source), "session") != NULL;
    w.lost += why == CS_ELOST && strstr(chanserv_source_errmsg(source), "in time") != NULL;
    if (w.strict)
        cr_assert_eq(why, CS_DONE, "%s", chanserv_source_errmsg(source));
}

static const struct chanserv_source_ops frames_ops = {.state_bytes = sizeof(uint64_t),
                                                      .readable = frames_readable,
                                                      .end = frames_end,
                                                      .detached = frames_detached,
                                                      .attached = frames_attached};

static void feed_readable(chanserv_feed *feed, void *state)
{
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK)
        (void)chanserv_source_start(source, &frames_ops, NULL);
}

static void feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)feed;
    *(cs_err *)state = why;
}

static const struct chanserv_feed_ops feed_ops = {.readable = feed_readable, .end = feed_end};

static void say_some(chanserv_source *source, void *state)
{
    (void)state;
    while (w.said < w.say && chanserv_source_send(source, frame_of(100, w.said), CS_NOW) == CS_OK)
        w.said++;
    if (w.said == w.say)
        chanserv_source_finish(source);
}

static void hear_echo(chanserv_source *source, void *state)
{
    cs_bytes frame;

    while (chanserv_source_recv(source, &frame) == CS_OK)
        cr_assert(cs_same(frame, frame_of(100, w.echoed++)));
    say_some(source, state);
}

static const struct chanserv_source_ops mouth_ops = {.readable = hear_echo,
                                                     .writable = say_some,
                                                     .end = frames_end,
                                                     .detached = frames_detached,
                                                     .attached = frames_attached};

static void talk_readable(chanserv_feed *feed, void *state)
{
    (void)state;
    while (chanserv_feed_recv(feed, &w.mouth) == CS_OK)
        if (chanserv_source_start(w.mouth, &mouth_ops, NULL) == CS_OK)
            say_some(w.mouth, NULL);
}

static const struct chanserv_feed_ops talk_ops = {.readable = talk_readable, .end = feed_end};

/* ---- The stage ---------------------------------------------------------------------------------- */

static int64_t calls_max; /* of a connection; 0: as ever */
static int age_ms;

static cs_err begin(unsigned seed, const struct chanserv_server_options *options)
{
    const struct chanserv_client_options resuming = {.resume_ms = 20000,
                                                     .net = {.ping_interval_ms = 50,
                                                             .ping_timeout_ms = 50,
                                                             .calls_max = calls_max,
                                                             .connection_age_ms = age_ms}};
    static const struct chanserv_server_options slow = {.keep_bytes = 16 * 1024};
    cs_err err;

    memset(&w, 0, sizeof w);
    w.dice = seed;
    w.feed_why = w.talk_why = CS_AGAIN;
    w.len = FRAMES;
    w.say = SAID;
    err = cs_loop_new_virtual(&w.loop);
    if (err == CS_OK)
        err = chanserv_server_new(w.loop, options ? options : &slow, &w.server);
    if (err == CS_OK)
        err = chanserv_serve(w.server, "numbers", numbers, NULL);
    if (err == CS_OK)
        err = chanserv_serve(w.server, "echo", echo, NULL);
    if (err == CS_OK)
        err = chanserv_client_new(w.loop, &resuming, &w.client);
    if (err == CS_OK)
        err = chanserv_join_local(w.client, w.server);
    return err;
}

static cs_err post_both(void)
{
    cs_err err = chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed);

    if (err == CS_OK)
        err = chanserv_feed_start(w.feed, &feed_ops, &w.feed_why);
    if (err == CS_OK)
        err = chanserv_lookup_and_post(w.client, "echo", cs_str(""), NULL, &w.talk);
    if (err == CS_OK)
        err = chanserv_feed_start(w.talk, &talk_ops, &w.talk_why);
    return err;
}

static void end(void)
{
    chanserv_client_free(w.client);
    chanserv_server_free(w.server);
    if (w.loop)
        cs_loop_free(w.loop);
}

static void cut(void)
{
    mux_conn *conn = chanserv__nodes_first(w.client)->conn;

    w.cuts++;
    if (roll(4))
        mux_conn_break(conn);
    else
        mux_conn_swallow(conn); /* noticed by its keepalive, and not by the server */
}

static bool all_over(void)
{
    return w.ends == SOURCES + 1 && w.feed_why != CS_AGAIN && w.talk_why != CS_AGAIN;
}

static struct chanserv_counters counters(void)
{
    struct chanserv_counters c;
    chanserv_server_counters(w.server, &c);
    return c;
}

Test(resume, nothing_is_lost_and_nothing_twice_whatever_breaks)
{
    int cuts = 0;

    for (unsigned seed = 1; seed <= 40; seed++) {
        cr_assert_eq(begin(seed, NULL), CS_OK);
        w.strict = true;
        cr_assert_eq(post_both(), CS_OK);
        for (int i = 0; i < 20000 && !all_over(); i++) {
            if (i < 2000 && roll(25) == 0)
                cut();
            tick((int)roll(12), (int)roll(4));
        }
        cs_loop_advance(w.loop, 100);
        cr_assert_eq(w.runs, 2, "seed %u", seed);
        cr_assert_eq(w.feed_why, CS_DONE, "seed %u: %s", seed, cs_strerror(w.feed_why));
        cr_assert_eq(w.talk_why, CS_DONE, "seed %u: %s", seed, cs_strerror(w.talk_why));
        cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "seed %u: %zu + %zu", seed, w.frames,
                     w.gaps);
        cr_assert_eq(w.said, SAID);
        cr_assert_eq(w.heard, SAID);
        cr_assert_eq(w.echoed, SAID);
        cr_assert_eq(counters().sessions, 1);
        cr_assert_eq(counters().sources_open, 0);
        cr_assert_gt(w.attached, 0);
        cr_assert_leq(w.attached, w.detached);
        cuts += w.cuts;
        end();
    }
    cr_assert_gt(cuts, 300, "only %d", cuts);
}

static void roll_over(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

static void roll_all(void)
{
    const mux_handlers *handlers = chanserv__nodes_first(w.client)->handlers;

    mux_handlers_each_local((mux_handlers *)(uintptr_t)handlers, roll_over, NULL);
}

static void expect_all(unsigned seed)
{
    cr_assert_eq(w.runs, 2 + w.whys_len, "seed %u", seed);
    cr_assert_eq(w.feed_why, CS_DONE, "seed %u: %s", seed, cs_strerror(w.feed_why));
    cr_assert_eq(w.talk_why, CS_DONE, "seed %u: %s", seed, cs_strerror(w.talk_why));
    for (int i = 0; i < w.whys_len && i < WHYS; i++)
        cr_assert_eq(w.whys[i], CS_DONE, "seed %u: %s", seed, cs_strerror(w.whys[i]));
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "seed %u: %zu + %zu", seed, w.frames, w.gaps);
    cr_assert_eq(w.said, SAID);
    cr_assert_eq(w.heard, SAID);
    cr_assert_eq(w.echoed, SAID);
}

static void post_one(void)
{
    cs_err *why = &w.whys[w.whys_len++ % WHYS];
    static const struct chanserv_feed_ops ops = {.end = feed_end};
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(w.client, "none", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(feed, &ops, why), CS_OK);
}

/* The server tells connection after connection to go, with all that runs on it. */
Test(resume, a_connection_that_goes_takes_nothing_along_and_nobody_notices)
{
    int rolls = 0;
    uint64_t moves = 0;

    for (unsigned seed = 1; seed <= 20; seed++) {
        cr_assert_eq(begin(seed, NULL), CS_OK);
        w.strict = true;
        cr_assert_eq(chanserv_serve(w.server, "none", none, NULL), CS_OK);
        cr_assert_eq(post_both(), CS_OK);
        for (int i = 0; i < 20000 && !all_over(); i++) {
            if (i < 2000 && roll(12) == 0) {
                roll_all();
                post_one();
                rolls++;
            }
            tick((int)roll(12), (int)roll(4));
        }
        cs_loop_advance(w.loop, 10000); /* a session that moves too often rests */
        expect_all(seed);
        cr_assert_eq(w.detached, 0, "seed %u: %d", seed, w.detached);
        cr_assert_eq(counters().sessions_total, 1);
        moves += counters().sessions_resumed;
        cr_assert_eq(counters().sources_open, 0);
        cs_loop_advance(w.loop, 5000);
        cr_assert_leq(counters().connections, 1, "seed %u: what went is gone", seed);
        end();
    }
    cr_assert_gt(rolls, 60, "only %d", rolls);
    cr_assert_gt(moves, 20, "only %u", (unsigned)moves);
}

Test(resume, a_connection_that_is_used_up_is_followed_by_another)
{
    calls_max = 3;
    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(chanserv_serve(w.server, "none", none, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 20000 && !all_over(); i++) {
        if (i % 20 == 0)
            post_one();
        tick((int)roll(12), (int)roll(4));
    }
    cs_loop_advance(w.loop, 20000);
    expect_all(1);
    cr_assert_eq(w.detached, 0);
    cr_assert_eq(counters().sessions_total, 1);
    cr_assert_gt(counters().connections_total, 3);
    cr_assert_leq(counters().connections, 1);
    end();
}

Test(resume, a_session_of_nothing_goes_with_its_connection)
{
    age_ms = 10000;
    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(counters().sessions, 1);
    cs_loop_advance(w.loop, 11000);
    cr_assert_eq(counters().sessions, 0);
    cr_assert_eq(counters().connections, 0);
    cr_assert_eq(counters().connections_total, 1, "nobody was dialed for it");
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_ready(w.feed), CS_OK);
    cr_assert_eq(counters().sessions_total, 2);
    end();
}

/* Behind the address there is another process now; the old one still serves what it has. */
Test(resume, a_post_under_another_name_is_none_of_the_session)
{
    const cs_pair other = {cs_str("authorization"), cs_str("Bearer other")};
    const struct chanserv_post_options options = {.metadata = &other, .metadata_len = 1};

    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 5);
    cr_assert_eq(counters().sessions, 1);
    chanserv_feed_close(w.feed);
    w.runs = w.sources_len = 0;
    w.frames = w.gaps = 0;
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), &options, &w.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &feed_ops, &w.feed_why), CS_OK);
    for (int i = 0; i < 1000 && w.frames + w.gaps < SOURCES * FRAMES; i++)
        tick(100, 1);
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES);
    cr_assert_eq(w.runs, 1);
    cr_assert_eq(counters().sessions, 1);
    end();
}

Test(resume, where_another_process_is_dialed_the_old_one_is_left_in_peace)
{
    struct chanserv__bond *bond;
    chanserv_feed *feed;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 10; i++)
        tick(2, 1);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->elsewhere = true; /* as its answer to the next attempt says */
    cr_assert_eq(chanserv_serve(w.server, "none", none, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "none", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_ready(feed), CS_OK);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    cs_loop_advance(w.loop, 100);
    w.runs--;
    expect_all(1);
    cr_assert_not(bond->elsewhere, "what is new has a session again");
    cr_assert_eq(counters().sessions, 0);
    end();
}

Test(resume, a_post_that_ran_and_was_not_answered_is_not_run_again)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = w.cuts_itself = true;
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    cr_assert_eq(w.runs, 2);
    cr_assert_eq(counters().sessions_resumed, 1);
    cr_assert_eq(w.feed_why, CS_DONE, "%s", cs_strerror(w.feed_why));
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "%zu", w.frames);
    end();
}

Test(resume, a_client_that_is_freed_leaves_nothing_behind)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 5);
    cr_assert_eq(counters().sessions, 1);
    chanserv_client_free(w.client);
    w.client = NULL;
    cs_loop_advance(w.loop, 10);
    cr_assert_eq(counters().sessions, 0, "it said good-bye");
    cr_assert_eq(counters().posts, 0);
    cr_assert_eq(counters().sources_open + counters().sources_waiting, 0);
    end();
}

Test(resume, what_is_over_is_forgotten_by_the_server)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(counters().streams, 1, "%u: only the session is left",
                 (unsigned)counters().streams);
    end();
}

Test(resume, without_sessions_on_the_server_it_goes_on_plainly)
{
    cr_assert_eq(begin(1, &(struct chanserv_server_options){.linger_ms = CS_OFF}), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    cr_assert_eq(w.feed_why, CS_DONE, "%s", cs_strerror(w.feed_why));
    cr_assert_eq(w.talk_why, CS_DONE, "%s", cs_strerror(w.talk_why));
    cr_assert_eq(w.runs, 2);
    cr_assert_eq(counters().sessions_total, 0);
    end();
}

Test(resume, a_break_of_more_than_resume_ms_means_lost_in_words)
{
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.say = 100000;
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 5);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->rests = true; /* nobody is there */
    mux_conn_break(bond->node->conn);
    cs_loop_advance(w.loop, 19999);
    cr_assert_eq(w.lost, 0);
    cs_loop_advance(w.loop, 2);
    cr_assert_eq(w.lost, SOURCES + 1, "%d", w.lost);
    cs_loop_advance(w.loop, 10000);
    cr_assert_eq(counters().sources_open, 0);
    cr_assert_eq(w.ends, SOURCES + 1);
    end();
}

Test(resume, what_is_cancelled_in_a_break_is_heard_with_its_reason)
{
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 5);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->rests = true; /* it is a long one */
    mux_conn_break(bond->node->conn);
    cs_loop_settle(w.loop);
    chanserv_feed_cancel(w.feed);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(w.unwanted, 0);
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(w.unwanted, SOURCES);
    end();
}

static void feed_kept(chanserv_feed *feed, void *state)
{
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK)
        w.sources[w.sources_len++] = source;
}

/* Nothing comes back before heal(). */
static struct chanserv__bond *hurt(void)
{
    struct chanserv__bond *bond = chanserv__nodes_first(w.client)->bond;

    bond->rests = true;
    mux_conn_break(bond->node->conn);
    cs_loop_settle(w.loop);
    return bond;
}

static void heal(struct chanserv__bond *bond)
{
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(w.loop, 100);
}

static cs_err stay(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops nothing;

    (void)body, (void)user;
    return chanserv_post_keep(post, &nothing, NULL) == CS_OK ? CS_AGAIN : CS_ENOMEM;
}

static void feed_detached(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    cr_assert_eq(why, CS_EPEER);
    cr_assert(chanserv_feed_is_detached(feed));
    w.detached++;
}

static void feed_attached(chanserv_feed *feed, void *state)
{
    (void)state;
    cr_assert_not(chanserv_feed_is_detached(feed));
    w.attached++;
}

Test(resume, a_break_is_told_and_its_end_too)
{
    static const struct chanserv_feed_ops ops = {
        .end = feed_end, .detached = feed_detached, .attached = feed_attached};
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.say = 100000;
    cr_assert_eq(chanserv_serve(w.server, "stay", stay, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "stay", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &ops, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 5);
    cr_assert_eq(w.detached, 0, "a channel that begins is not one that broke");
    for (int i = 1; i <= 3; i++) {
        bond = hurt();
        cr_assert_eq(w.detached, i * (SOURCES + 2), "%d", w.detached);
        cr_assert(chanserv_feed_is_detached(w.feed));
        cr_assert(chanserv_source_is_detached(w.mouth));
        cs_loop_advance(w.loop, 1000);
        cr_assert_eq(w.attached, (i - 1) * (SOURCES + 2), "%d", w.attached);
        heal(bond);
        cr_assert_eq(w.attached, i * (SOURCES + 2), "%d", w.attached);
        cr_assert_not(chanserv_feed_is_detached(w.feed));
        cr_assert_not(chanserv_source_is_detached(w.mouth));
    }
    end();
}

/* Killed, and another process takes its place: the old one says nothing to anybody. */
static void restart(void)
{
    struct chanserv__node *node = chanserv__nodes_first(w.client);
    chanserv_server *old = w.server;

    cr_assert_eq(chanserv_server_new(w.loop, NULL, &w.server), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "numbers", numbers, NULL), CS_OK);
    mux_conn_break(node->conn);
    cs_loop_settle(w.loop);
    node->handlers = chanserv__server_handlers(w.server);
    mux_conn_redirect(node->conn, chanserv__server_handlers(w.server));
    chanserv_server_free(old);
}

Test(resume, a_server_that_was_killed_and_started_again_means_lost_at_once)
{
    static const struct chanserv_feed_ops ops = {.end = feed_end};
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.say = 100000;
    cr_assert_eq(chanserv_serve(w.server, "stay", stay, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "stay", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &ops, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 5);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->rests = true;
    restart();
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(w.loop, 10);
    cr_assert_eq(w.gone, SOURCES + 1, "each source is told: %d", w.gone);
    cr_assert_eq(w.feed_why, CS_ELOST);
    cr_assert(strstr(chanserv_feed_errmsg(w.feed), "session"), "%s", chanserv_feed_errmsg(w.feed));
    chanserv_feed_close(w.feed);
    w.runs = 0;
    w.frames = w.gaps = 0;
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &feed_ops, &w.feed_why), CS_OK);
    for (int i = 0; i < 1000 && w.frames + w.gaps < SOURCES * FRAMES; i++)
        tick(100, 1);
    cr_assert_eq(w.runs, 1, "and what is posted next runs there");
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES);
    end();
}

Test(resume, a_dial_that_is_refused_is_no_end)
{
    struct chanserv__node *node;
    chanserv_server *nobody;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(post_both(), CS_OK);
    for (int i = 0; i < 10; i++)
        tick(2, 1);
    cr_assert_eq(chanserv_server_new(w.loop, NULL, &nobody), CS_OK);
    mux_handlers_end_local(chanserv__server_handlers(nobody));
    node = chanserv__nodes_first(w.client);
    mux_conn_redirect(node->conn, chanserv__server_handlers(nobody));
    mux_conn_break(node->conn);
    cs_loop_advance(w.loop, 10000);
    cr_assert_gt(w.detached, 0);
    cr_assert_eq(w.attached, 0);
    mux_conn_redirect(node->conn, chanserv__server_handlers(w.server));
    for (int i = 0; i < 20000 && !all_over(); i++)
        tick(12, 1);
    cs_loop_advance(w.loop, 100);
    expect_all(1);
    cr_assert_eq(w.attached, w.detached);
    chanserv_server_free(nobody);
    end();
}

Test(resume, of_a_client_that_was_killed_the_posts_end_within_the_linger)
{
    static const struct chanserv_server_options patient = {.linger_ms = 10000};
    chanserv_client *killed;

    cr_assert_eq(begin(1, &patient), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &feed_ops, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 5);
    hurt(); /* it does not come back, */
    killed = w.client;
    cr_assert_eq(chanserv_client_new(w.loop, NULL, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "stay", stay, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "stay", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_ready(w.feed), CS_OK); /* and its successor is served meanwhile */
    cs_loop_advance(w.loop, 9900);
    cr_assert_eq(w.ends, 0, "%d", w.ends);
    cs_loop_advance(w.loop, 200);
    cr_assert_eq(w.ends, SOURCES, "%d", w.ends);
    cr_assert_eq(counters().sessions, 0);
    cr_assert_eq(chanserv_feed_status(w.feed), CS_AGAIN);
    chanserv_client_free(killed);
    end();
}

static void close_it(chanserv_source *source, cs_err why, void *state)
{
    (void)why, (void)state;
    chanserv_source_close(source);
    w.detached++;
}

static void free_client(chanserv_source *source, cs_err why, void *state)
{
    (void)source, (void)why, (void)state;
    chanserv_client_free(w.client);
    w.client = NULL;
    w.detached++;
}

Test(resume, who_is_told_of_a_break_may_close_and_free)
{
    static const struct chanserv_feed_ops keeps = {.readable = feed_kept, .end = feed_end};
    const struct chanserv_source_ops ops[] = {{.detached = close_it}, {.detached = free_client}};

    for (int all = 0; all < 2; all++) {
        cr_assert_eq(begin(1, NULL), CS_OK);
        cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed),
                     CS_OK);
        cr_assert_eq(chanserv_feed_start(w.feed, &keeps, &w.feed_why), CS_OK);
        cs_loop_advance(w.loop, 50);
        for (int i = 0; i < SOURCES; i++)
            cr_assert_eq(chanserv_source_start(w.sources[i], &ops[all], NULL), CS_OK);
        cs_loop_advance(w.loop, 50);
        struct chanserv__bond *bond = hurt();
        cr_assert_eq(w.detached, all ? 1 : SOURCES);
        if (!all)
            heal(bond);
        cs_loop_advance(w.loop, 31000);
        cr_assert_eq(w.ends, SOURCES, "the producers are told");
        end();
    }
}

/* The post is over, and what is opened now the server does not hear of before the session stands again. */
Test(resume, what_is_opened_in_a_break_is_still_there_although_its_feed_has_ended)
{
    static const struct chanserv_feed_ops keeps = {.readable = feed_kept, .end = feed_end};
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &keeps, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 50);
    cr_assert_eq(w.feed_why, CS_DONE);
    cr_assert_eq(w.sources_len, SOURCES);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->rests = true;
    mux_conn_break(bond->node->conn);
    cs_loop_settle(w.loop);
    for (int i = 0; i < SOURCES; i++)
        cr_assert_eq(chanserv_source_start(w.sources[i], &frames_ops, NULL), CS_OK);
    cs_loop_advance(w.loop, 100);
    bond->rests = false;
    chanserv__bond_changed(bond);
    for (int i = 0; i < 1000 && w.ends < SOURCES; i++)
        tick(100, 1);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "%zu", w.frames);
    cr_assert_eq(counters().channels, 0, "and the post is forgotten at last");
    end();
}

/* The same, but nobody wants it any more before the Open went out. */
Test(resume, what_is_opened_and_closed_in_a_break_is_over_on_the_server)
{
    static const struct chanserv_feed_ops keeps = {.readable = feed_kept, .end = feed_end};
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &keeps, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 50);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->rests = true;
    mux_conn_break(bond->node->conn);
    cs_loop_settle(w.loop);
    cr_assert_eq(chanserv_source_open(w.sources[2], 0), CS_OK);
    chanserv_feed_close(w.feed);
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(counters().sources_waiting + counters().sources_open, 0);
    cr_assert_eq(w.ends, SOURCES);
    end();
}

/* The server never heard of the Open, nor of what was said behind it. */
Test(resume, what_was_said_behind_an_open_that_was_lost_is_said_again)
{
    static const struct chanserv_feed_ops keeps = {.readable = feed_kept, .end = feed_end};

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(chanserv_lookup_and_post(w.client, "echo", cs_str(""), NULL, &w.talk), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.talk, &keeps, &w.talk_why), CS_OK);
    cs_loop_advance(w.loop, 50);
    cr_assert_eq(w.sources_len, 1);
    mux_conn_swallow(chanserv__nodes_first(w.client)->conn);
    cr_assert_eq(chanserv_source_start(w.sources[0], &mouth_ops, NULL), CS_OK);
    say_some(w.sources[0], NULL);
    cr_assert_gt(w.said, 0);
    for (int i = 0; i < 1000 && w.ends < 1; i++)
        tick(100, 1);
    cr_assert_eq(w.said, SAID, "%zu", w.said);
    cr_assert_eq(w.heard, SAID, "%zu", w.heard);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(w.echoed, SAID);
    end();
}

static struct chanserv__session *session(void)
{
    return CS_CONTAINER(cs_list_first(&w.server->attached), struct chanserv__session, link);
}

/* As a proxy does which has lost the server: one stream after the other, and the session's last. */
static void reset_all(bool session_too)
{
    for (int i = 0; i < SOURCES; i++)
        if (w.outlets[i] && chanserv_outlet_is_open(w.outlets[i]))
            mux_stream_detach(w.outlets[i]->u.open.stream);
    if (session_too)
        mux_stream_cancel(session()->stream, CS_EPEER);
    cs_loop_advance(w.loop, 8000);
}

Test(resume, what_breaks_with_its_session_is_never_given_up)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 50);
    for (int i = 0; i < 12; i++)
        reset_all(true);
    cr_assert_eq(counters().sessions_resumed, 12, "%d", (int)counters().sessions_resumed);
    for (int i = 0; i < 1000 && !all_over(); i++)
        tick(100, 1);
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "%zu", w.frames);
    end();
}

Test(resume, what_breaks_alone_is_given_up_after_the_third_time)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 50);
    for (int i = 0; i < 3; i++)
        reset_all(false);
    cr_assert_eq(w.unwanted + w.ends, 1, "the conversation: %d", w.ends);
    reset_all(false);
    cr_assert_eq(counters().sources_open, 0);
    cr_assert_eq(w.ends, SOURCES + 1, "%d", w.ends);
    end();
}

/* ---- Who only speaks --------------------------------------------------------------------------- */

static void hear_all(chanserv_outlet *o, void *state)
{
    cs_bytes frame;

    (void)state;
    while (chanserv_outlet_recv(o, &frame) == CS_OK)
        w.heard++;
    while (w.forgets && cs_list_pop(&session()->acks)) {
    }
}

static cs_err ear(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .uplink = true, .readable = hear_all, .end = on_end};

    (void)user;
    w.runs++;
    return chanserv_announce(post, body, &ops, NULL, &w.outlets[0]) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static void speak_to_ear(void)
{
    static const struct chanserv_feed_ops keeps = {.readable = feed_kept, .end = feed_end};
    static const struct chanserv_source_ops mute = {.end = frames_end};

    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "ear", ear, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "ear", cs_str(""), NULL, &w.talk), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.talk, &keeps, &w.talk_why), CS_OK);
    cs_loop_advance(w.loop, 50);
    cr_assert_eq(w.sources_len, 1);
    cr_assert_eq(chanserv_source_start(w.sources[0], &mute, NULL), CS_OK);
}

static void speak(void)
{
    cr_assert_eq(chanserv_source_send(w.sources[0], cs_str("word"), CS_NOW), CS_OK);
    w.said++;
    cs_loop_advance(w.loop, 10);
}

Test(resume, who_only_speaks_and_is_heard_does_not_wait_longer_and_longer)
{
    speak_to_ear();
    for (unsigned i = 0; i < 20; i++) {
        speak();
        mux_conn_break(chanserv__nodes_first(w.client)->conn);
        cs_loop_advance(w.loop, 20);
        cr_assert_eq(counters().sessions_resumed, i + 1, "%u", i);
    }
    cr_assert_eq(w.heard, w.said);
    end();
}

Test(resume, who_only_speaks_and_is_heard_is_not_given_up)
{
    speak_to_ear();
    for (int i = 0; i < 10; i++) {
        speak();
        mux_stream_detach(w.outlets[0]->u.open.stream);
        cs_loop_advance(w.loop, 200);
        cr_assert_eq(counters().sources_open, 1, "%d", i);
    }
    cr_assert_eq(w.heard, w.said);
    end();
}

/* All that may be kept was heard, and what the server said of it is lost. */
static void fill_up(void)
{
    cs_err err;

    speak_to_ear();
    w.forgets = true;
    while ((err = chanserv_source_send(w.sources[0], frame_of(100, w.said), CS_NOW)) == CS_OK) {
        w.said++;
        cs_loop_settle(w.loop);
    }
    cr_assert_eq(err, CS_AGAIN);
    cs_loop_advance(w.loop, 1000);
    cr_assert_eq(w.heard, w.said);
    cr_assert_eq(chanserv_source_send(w.sources[0], cs_str("more"), CS_NOW), CS_AGAIN);
    w.forgets = false;
}

Test(resume, who_keeps_all_that_he_may_is_told_again_what_was_heard)
{
    fill_up();
    mux_conn_break(chanserv__nodes_first(w.client)->conn);
    cs_loop_advance(w.loop, 1000);
    cr_assert_eq(chanserv_source_send(w.sources[0], cs_str("more"), CS_NOW), CS_OK);
    end();
}

Test(resume, who_keeps_all_that_he_may_is_told_again_although_only_the_session_broke)
{
    fill_up();
    mux_stream_cancel(session()->stream, CS_EPEER);
    cs_loop_advance(w.loop, 1000);
    cr_assert_eq(counters().sessions_resumed, 1);
    cr_assert_eq(chanserv_source_send(w.sources[0], cs_str("more"), CS_NOW), CS_OK);
    end();
}

/* Or where connections are short those at the end never would. */
Test(resume, who_got_on_lets_the_others_go_first)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &feed_ops, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 50);
    for (int i = 0; i < SOURCES; i++) {
        w.allow = 2;
        chanserv_outlet_wake(w.outlets[i]);
        cs_loop_advance(w.loop, 50);
        mux_conn_break(chanserv__nodes_first(w.client)->conn);
        cs_loop_advance(w.loop, 50);
        cr_assert_eq(w.attached, (i + 1) * SOURCES);
        cr_assert_eq(w.attached_last, (uint64_t)i, "%d", i);
    }
    end();
}

Test(resume, a_node_that_was_left_is_let_go_when_all_is_over)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 5);
    chanserv__enter(w.client);
    chanserv__node_leave(chanserv__nodes_first(w.client));
    chanserv__nodes_changed(w.client);
    chanserv__leave(w.client);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    chanserv_feed_close(w.feed);
    chanserv_feed_close(w.talk);
    cs_loop_advance(w.loop, 1000);
    cr_assert_eq(counters().sessions, 0);
    cr_assert_eq(counters().connections, 0);
    end();
}

/* It was made while nothing could go out, so that it certainly never ran. */
Test(resume, a_post_that_never_went_out_goes_with_the_next_session)
{
    struct chanserv__bond *bond;
    cs_err why = CS_AGAIN;
    chanserv_feed *late;

    cr_assert_eq(begin(1, NULL), CS_OK);
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 5);
    cr_assert_eq(w.runs, 2);
    bond = chanserv__nodes_first(w.client)->bond;
    bond->rests = true; /* it is a long break */
    chanserv__sessions_end(w.server);
    mux_conn_break(bond->node->conn);
    cs_loop_settle(w.loop);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &late), CS_OK);
    cr_assert_eq(chanserv_feed_start(late, &feed_ops, &why), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.runs, 2);
    bond->rests = false;
    chanserv__bond_changed(bond);
    for (int i = 0; i < 100 && why == CS_AGAIN; i++)
        tick(100, 10);
    cr_assert_eq(why, CS_DONE, "%s", chanserv_feed_errmsg(late));
    cr_assert_eq(w.runs, 3);
    chanserv_client_free(w.client);
    w.client = NULL;
    end();
}

/* As where the session has just moved, and the post met the server before that was known there. */
Test(resume, a_post_whose_session_is_not_there_yet_is_asked_again)
{
    struct chanserv__bond *bond;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cs_loop_settle(w.loop);
    bond = chanserv__nodes_first(w.client)->bond;
    cr_assert_eq(bond->standing, CHANSERV__BOND_STANDS, "it was begun by the join");
    bond->id[15] ^= 1;
    cr_assert_eq(post_both(), CS_OK);
    bond->id[15] ^= 1;
    cs_loop_settle(w.loop);
    cr_assert_eq(bond->standing, CHANSERV__BOND_STANDS);
    cr_assert_eq(w.runs, 2);
    cr_assert_eq(counters().sessions, 1);
    mux_conn_break(bond->node->conn);
    for (int i = 0; i < 1000 && !all_over(); i++)
        tick(100, 1);
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "%zu", w.frames);
    cr_assert_eq(w.echoed, SAID);
    end();
}

Test(resume, a_post_whose_session_is_never_there_is_told_so)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    cs_loop_settle(w.loop);
    chanserv__nodes_first(w.client)->bond->id[15] ^= 1;
    cr_assert_eq(post_both(), CS_OK);
    cs_loop_advance(w.loop, 2000);
    cr_assert_eq(w.feed_why, CS_EPRECOND, "%s", chanserv_feed_errmsg(w.feed));
    cr_assert_eq(w.talk_why, CS_EPRECOND);
    cr_assert_eq(w.runs, 0);
    end();
}

/* It goes out right behind the break, and hears of the dial before the session does. */
Test(resume, what_is_opened_in_a_break_outlives_a_dial_that_is_refused)
{
    static const struct chanserv_feed_ops keeps = {.readable = feed_kept, .end = feed_end};
    struct chanserv__node *node;
    chanserv_server *nobody;

    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(chanserv_lookup_and_post(w.client, "numbers", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &keeps, &w.feed_why), CS_OK);
    cs_loop_advance(w.loop, 50);
    cr_assert_eq(w.sources_len, SOURCES);
    cr_assert_eq(chanserv_server_new(w.loop, NULL, &nobody), CS_OK);
    mux_handlers_end_local(chanserv__server_handlers(nobody));
    node = chanserv__nodes_first(w.client);
    mux_conn_redirect(node->conn, chanserv__server_handlers(nobody));
    mux_conn_lose(node->conn);
    for (int i = 0; i < SOURCES; i++)
        cr_assert_eq(chanserv_source_start(w.sources[i], &frames_ops, NULL), CS_OK);
    cs_loop_advance(w.loop, 1000);
    mux_conn_redirect(node->conn, chanserv__server_handlers(w.server));
    for (int i = 0; i < 20000 && w.ends < SOURCES; i++)
        tick(12, 1);
    cs_loop_advance(w.loop, 100);
    cr_assert_eq(w.frames + w.gaps, SOURCES * FRAMES, "%zu", w.frames);
    chanserv_server_free(nobody);
    end();
}

/* It has not gone out: the same post beside its session could not be told from one that ran on a server
 * which is no more. */
Test(resume, a_post_whose_session_was_never_heard_of_goes_with_another)
{
    cr_assert_eq(begin(1, NULL), CS_OK);
    w.strict = true;
    cr_assert_eq(post_both(), CS_OK);
    mux_conn_swallow(chanserv__nodes_first(w.client)->conn);
    cs_loop_advance(w.loop, 99);
    cr_assert_eq(w.runs, 0);
    for (int i = 0; i < 5000 && !all_over(); i++)
        tick(100, 1);
    cs_loop_advance(w.loop, 100);
    expect_all(1);
    cr_assert_eq(w.detached, 0, "it has only begun late");
    cr_assert_eq(counters().sessions_total, 1);
    cr_assert_eq(counters().sessions_resumed, 0);
    end();
}

static cs_err begin_short(void)
{
    cs_err err = begin(3, NULL);

    w.len = 4;
    w.say = 3;
    return err == CS_OK ? post_both() : err;
}

static void story(void)
{
    if (begin_short() == CS_OK)
        for (int i = 0; i < 12 && !all_over(); i++) {
            if (i == 2 || i == 5)
                mux_conn_break(chanserv__nodes_first(w.client)->conn);
            tick(8, 10);
        }
    end();
}

Test(resume, survives_every_failed_allocation)
{
    failing_story(story);
}

static void story_of_moves(void)
{
    if (begin_short() == CS_OK)
        for (int i = 0; i < 12 && !all_over(); i++) {
            if (i == 2 || i == 5)
                roll_all();
            tick(8, 10);
        }
    end();
}

Test(resume, moves_survive_every_failed_allocation)
{
    failing_story(story_of_moves);
}
