/* A server that drains, as any gRPC client sees it: what is still served, when connections go, and
 * when it is over. */
#include "raw.h"

#include "chanserv/server__in.h"
#include "mux/roll.h"
#include "test/support/failing.h"

#include <signal.h>
#include <stdlib.h>

enum { MASTER = 1, SOURCE = 2, GRACE = 10000 };

/* ---- Services: "once" announces one source of two frames, "long" one without end, and stays -------- */

struct count {
    int at, of;
};

static cs_err count_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char *const frames[] = {"0", "1"};
    struct count *c = state;

    (void)o;
    if (c->at == 2)
        return c->of ? CS_DONE : CS_AGAIN;
    *frame = cs_str(frames[c->at++]);
    return CS_OK;
}

static void count_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state;
    raw_say("end %s %s; ", cs_strerror(why), chanserv_outlet_reason(o));
}

static const struct chanserv_outlet_ops count_ops = {
    .state_bytes = sizeof(struct count), .next = count_next, .end = count_end};

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    raw_say("closed %s; ", cs_strerror(why));
}

static const struct chanserv_post_ops post_ops = {.closed = post_closed};

static cs_err once(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_announce(post, cs_str("s"), &count_ops, &(struct count){.of = 2}, NULL) == CS_OK
               ? CS_DONE
               : CS_ENOMEM;
}

static cs_err lasts(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    if (chanserv_post_keep(post, &post_ops, NULL) != CS_OK)
        return CS_ENOMEM;
    return chanserv_announce(post, cs_str("s"), &count_ops, &(struct count){.of = 0}, NULL) == CS_OK
               ? CS_AGAIN
               : CS_ENOMEM;
}

static int begun, over;
static int64_t began_ms, over_ms;
static bool frees;

static void drains(bool is_over, void *user)
{
    cr_assert_eq(user, &raw);
    (is_over ? over++ : begun++);
    *(is_over ? &over_ms : &began_ms) = cs_loop_now_ms(raw.loop);
    if (frees) {
        chanserv_server_free(raw.server);
        raw.server = NULL;
    }
}

static void up_with(struct chanserv_server_options o)
{
    o.drains = drains;
    o.drains_user = &raw;
    raw_up(&o);
    cr_assert_eq(chanserv_serve(raw.server, "once", once, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "long", lasts, NULL), CS_OK);
}

static void up(void)
{
    up_with((struct chanserv_server_options){.linger_ms = 0});
}

TestSuite(drain, .init = up, .fini = raw_down);

/* Looks are 20 ms apart. */
static void drain(void)
{
    chanserv_server_drain(raw.server, GRACE);
    cs_loop_advance(raw.loop, 25);
    cr_assert_eq(begun, 1);
}

static bool goes(void)
{
    return raw_counters().connections_rolled > 0;
}

static struct raw_call *watch(void)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);

    raw_send(c, "", 0, true);
    cs_loop_settle(raw.loop);
    return c;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

/* ---- New posts, and tickets ------------------------------------------------------------------- */

Test(drain, refuses_new_posts_and_says_so)
{
    struct raw_call *long_one = raw_post("long", ""), *w = watch();
    drain();
    cr_assert(ends_with(w->heard, ",)draining"), "%s", w->heard);
    struct raw_call *p = raw_post("once", "");
    raw_ended(p, CS_EDRAIN, "draining", "");
    cr_assert_not(p->headers, "Trailers-Only: it never ran");
    cr_assert_eq(raw_counters().posts_total, 1);
    cr_assert_eq(raw_counters().posts_refused_draining, 1);
    raw_runs(long_one);
    raw_runs(w);
}

/* docs/CONFORMANCE, 12. */
Test(drain, with_unopened_tickets_opens_them)
{
    struct raw_call *p = raw_post("once", ""), *o;
    raw_ended(p, CS_DONE, "", "");
    drain();
    cs_loop_advance(raw.loop, 2000);
    cr_assert_not(goes());
    o = raw_open(p, 0, 0);
    raw_heard(o, "0|1|");
    raw_ended(o, CS_DONE, "", "");
    cs_loop_advance(raw.loop, 100);
    cr_assert(goes());
    cr_assert_eq(over, 1, "nothing runs any more");
    raw_said("end ended in good order done; ");
}

Test(drain, another_connection_opens_them_when_theirs_broke)
{
    struct raw_call *p = raw_post("once", ""), *o;
    drain();
    mux_conn_break(raw.conn);
    cs_loop_settle(raw.loop);
    mux_conn_free(raw.conn);
    cs_loop_advance(raw.loop, 1000);
    raw_join();
    cs_loop_advance(raw.loop, 1000);
    cr_assert_not(goes(), "it came to open tickets");
    o = raw_open(p, 0, 0);
    raw_heard(o, "0|1|");
    cs_loop_advance(raw.loop, 100);
    cr_assert_eq(over, 1);
}

Test(drain, a_connection_goes_alone_when_nothing_can_come_of_it)
{
    mux_conn *first = raw.conn, *second;
    struct raw_call *p = raw_post("once", ""), *o = raw_open(p, 0, 0), *kept;
    raw_ended(o, CS_DONE, "", "");
    raw_join();
    second = raw.conn;
    kept = raw_post("once", "");
    drain();
    cr_assert_eq(raw_counters().connections_rolled, 1);
    cr_assert_eq(raw_counters().connections, 1);
    raw.conn = second;
    raw_heard(raw_open(kept, 0, 0), "0|1|");
    mux_conn_free(first);
}

/* ---- Half the grace, and its end -------------------------------------------------------------- */

Test(drain, at_half_the_grace_connections_go_and_their_streams_do_not)
{
    struct raw_call *p = raw_post("long", ""), *o = raw_open(p, 0, 0);
    drain();
    cs_loop_advance(raw.loop, GRACE / 2 - 50);
    cr_assert_not(goes());
    cs_loop_advance(raw.loop, 50);
    cr_assert(goes());
    raw_runs(p);
    raw_runs(o);
    cs_loop_advance(raw.loop, GRACE / 2 - 100);
    raw_runs(p);
    raw_runs(o);
    cr_assert_eq(over, 0);
    raw_said("");
    cs_loop_advance(raw.loop, 100);
    raw_heard(o, "0|1|");
    raw_ended(o, CS_EDRAIN, "draining", "");
    raw_ended(p, CS_EDRAIN, "draining", "");
    cs_loop_advance(raw.loop, 500);
    cr_assert_eq(over, 1);
    cr_assert_leq(over_ms - began_ms, GRACE + 500);
    raw_said("closed the server is going away; end the server is going away shutdown; ");
}

Test(drain, a_peer_that_takes_nothing_does_not_hold_it_longer)
{
    struct raw_call *p = raw_post("long", "");
    drain();
    mux_conn_swallow(raw.conn);
    cs_loop_advance(raw.loop, GRACE + 400);
    cr_assert_eq(over, 0);
    cs_loop_advance(raw.loop, 125);
    cr_assert_eq(over, 1);
    raw_runs(p);
}

Test(drain, of_no_grace_ends_all_at_once)
{
    struct raw_call *p = raw_post("long", "");
    chanserv_server_drain(raw.server, CS_OFF);
    cs_loop_advance(raw.loop, 50);
    raw_ended(p, CS_EDRAIN, "draining", "");
    cr_assert_eq(over, 1);
}

Test(drain, called_again_is_only_shorter)
{
    struct raw_call *p = raw_post("long", "");
    drain();
    chanserv_server_drain(raw.server, 100 * GRACE);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 900);
    raw_runs(p);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 125);
    raw_ended(p, CS_EDRAIN, "draining", "");
    cs_loop_advance(raw.loop, 500);
    cr_assert_eq(over, 1);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 5000);
    cr_assert_eq(over, 1);
    cr_assert_eq(begun, 1);
}

Test(drain, without_a_word_takes_the_grace_of_the_options)
{
    struct raw_call *p = raw_post("long", "");
    chanserv_server_drain(raw.server, 0);
    cs_loop_advance(raw.loop, 4990);
    raw_runs(p);
    cs_loop_advance(raw.loop, 50);
    raw_ended(p, CS_EDRAIN, "draining", "");
}

/* ---- What does not hold it -------------------------------------------------------------------- */

static struct raw_call *session(uint32_t attempt)
{
    return raw_session(RAW_ID, attempt);
}

static struct raw_call *post_as(uint32_t attempt, uint64_t from, const char *service)
{
    return raw_post_as(attempt, MASTER, service, "", from);
}

static struct raw_call *open_as(uint32_t attempt, const struct raw_call *post, uint64_t from)
{
    return raw_open_as(attempt, SOURCE, post, from);
}

Test(drain, watchers_and_a_session_without_channels_do_not_hold_it)
{
    struct raw_call *w = watch(), *s = session(1);
    drain();
    cs_loop_advance(raw.loop, 100);
    raw_ended(w, CS_EDRAIN, "draining", "");
    raw_ended(s, CS_EDRAIN, "draining", "");
    cr_assert(ends_with(w->heard, ",)draining"), "%s", w->heard);
    cr_assert_eq(over, 1);
    cr_assert_eq(raw_counters().sessions, 0);
}

Test(drain, an_idle_server_is_over_at_once)
{
    drain();
    cs_loop_advance(raw.loop, 50);
    cr_assert_eq(over, 1);
    cr_assert_eq(raw_counters().connections, 0);
}

Test(drain, a_session_that_waits_for_done_alone_does_not_hold_it)
{
    struct raw_call *s = session(1), *p = post_as(1, 0, "once"), *o = open_as(1, p, 0);
    raw_ended(o, CS_DONE, "", "");
    drain();
    cs_loop_advance(raw.loop, 1000);
    raw_runs(s);
    cr_assert_eq(over, 0, "what was sent may not have arrived");
    raw_ack(s, MASTER, 1, false, "");
    raw_ack(s, SOURCE, 2, false, "");
    cs_loop_advance(raw.loop, 100);
    raw_ended(s, CS_EDRAIN, "draining", "");
    cr_assert_eq(over, 1);
}

Test(drain, a_session_that_has_channels_keeps_its_call)
{
    struct raw_call *s = session(1), *p = post_as(1, 0, "long"), *o = open_as(1, p, 0);
    drain();
    cs_loop_advance(raw.loop, GRACE - 100);
    cr_assert(goes());
    raw_runs(s);
    raw_runs(o);
    raw_ack(s, SOURCE, 2, false, "");
    cr_assert_eq(raw_counters().sessions_lingering, 0);
    cs_loop_advance(raw.loop, 100);
    raw_ended(o, CS_EDRAIN, "draining", "");
    raw_ended(p, CS_EDRAIN, "draining", "");
    cs_loop_advance(raw.loop, 500);
    cr_assert_eq(over, 1);
}

Test(drain, a_session_can_be_taken_up_meanwhile)
{
    struct raw_call *s = session(1), *p = post_as(1, 0, "long"), *o = open_as(1, p, 0);
    raw_heard(o, "0|1|");
    drain();
    mux_conn_break(raw.conn);
    cs_loop_settle(raw.loop);
    mux_conn_free(raw.conn);
    cs_loop_advance(raw.loop, 1000);
    cr_assert_eq(over, 0, "it may come back");
    raw_join();
    cs_loop_advance(raw.loop, 100);
    cr_assert_not(goes());
    s = session(2);
    raw_heard(s, "linger 30000;");
    raw_runs(post_as(2, 1, "long"));
    raw_heard(open_as(2, p, 1), "1|");
    cs_loop_advance(raw.loop, 1000);
    cr_assert_not(goes(), "now it is the connection of the post");
    cs_loop_advance(raw.loop, GRACE / 2);
    cr_assert(goes());
}

Test(drain, what_does_not_come_back_ends_with_the_grace)
{
    session(1);
    open_as(1, post_as(1, 0, "long"), 0);
    drain();
    mux_conn_break(raw.conn);
    cs_loop_advance(raw.loop, GRACE);
    cs_loop_advance(raw.loop, 500);
    cr_assert_eq(over, 1);
    raw_said("closed the server is going away; end the server is going away shutdown; ");
}

/* ---- Rolled over without a drain -------------------------------------------------------------- */

static void roll(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

Test(drain, a_session_moves_when_its_connection_is_rolled_over)
{
    struct raw_call *s = session(1), *p = post_as(1, 0, "long"), *o = open_as(1, p, 0),
                    *w = watch();
    mux_conn *old = raw.conn;
    mux_handlers_each_local(chanserv__server_handlers(raw.server), roll, NULL);
    cs_loop_settle(raw.loop);
    raw_ended(s, CS_EDRAIN, "draining", "");
    raw_ended(w, CS_DONE, "", "");
    raw_runs(p);
    raw_runs(o);
    raw_join();
    raw_heard(session(2), "linger 30000;");
    cr_assert(ends_with(watch()->heard, ",)"));
    cs_loop_advance(raw.loop, 60000);
    raw_runs(p);
    raw_runs(o);
    raw_heard(raw_post("once", ""), "#0 s;");
    raw_said("");
    mux_conn_free(old);
    cs_loop_settle(raw.loop);
}

static struct raw_call *talker;
static int words;

static void talk(cs_task *task)
{
    uint8_t msg[WIRE_ACK_MAX];

    size_t n = wire_ack_put(msg, SOURCE, 1, false, cs_str(""));

    if (talker->stream && ++words < 50 &&
        mux_stream_send(talker->stream, cs_bytes_of(msg, n), cs_bytes_of(NULL, 0)) == CS_OK)
        cs_task_post(raw.loop, CS_CALL, task);
}

/* What the client says meanwhile is no nonsense. */
Test(drain, a_session_moves_in_the_middle_of_a_word)
{
    struct raw_call *p, *o;
    mux_conn *old = raw.conn;
    cs_task task;
    talker = session(1);
    p = post_as(1, 0, "long");
    o = open_as(1, p, 0);
    mux_handlers_each_local(chanserv__server_handlers(raw.server), roll, NULL);
    cs_task_init(&task, talk);
    cs_task_post(raw.loop, CS_CALL, &task);
    cs_loop_settle(raw.loop);
    cr_assert_lt(words, 50);
    raw_ended(talker, CS_EDRAIN, "draining", "");
    raw_join();
    raw_heard(session(2), "linger 30000;");
    raw_runs(p);
    raw_runs(o);
    mux_conn_free(old);
    cs_loop_settle(raw.loop);
}

/* ---- Freed meanwhile, and without memory ------------------------------------------------------ */

Test(drain, can_be_freed_meanwhile)
{
    struct raw_call *p = raw_post("long", "");
    drain();
    chanserv_server_free(raw.server);
    raw.server = NULL;
    cs_loop_advance(raw.loop, GRACE);
    raw_ended(p, CS_EDRAIN, "draining", "");
    cr_assert_eq(over, 0);
}

Test(drain, can_be_freed_when_it_is_told)
{
    frees = true;
    raw_post("long", "");
    chanserv_server_drain(raw.server, GRACE);
    cs_loop_advance(raw.loop, 100);
    cr_assert_eq(begun, 1);
    cr_assert_null(raw.server);
}

Test(drain, can_be_freed_when_it_is_over)
{
    chanserv_server_drain(raw.server, GRACE);
    cs_loop_advance(raw.loop, 0);
    frees = true;
    cs_loop_advance(raw.loop, 100);
    cr_assert_eq(over, 1);
    cr_assert_null(raw.server);
}

static struct {
    int opened, ended;
} starving;

static void starving_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
    starving.ended++;
}

static void starving_readable(mux_stream *stream, void *state)
{
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK)
        ;
}

static const struct mux_stream_ops starving_ops = {.readable = starving_readable,
                                                   .end = starving_end};

static void starving_call(mux_conn *conn, const char *method, const void *msg, size_t len,
                          bool last)
{
    mux_stream *stream;

    if (mux_stream_open(conn, method, NULL, &starving_ops, &starving, &stream) != CS_OK)
        return;
    starving.opened++;
    if (mux_stream_send(stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)) != CS_OK)
        mux_stream_cancel(stream, CS_ENOMEM);
    else if (last)
        mux_stream_finish(stream, CS_OK, NULL);
}

static void (*on_post)(void *server);

static cs_err still(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops none;

    (void)body, (void)user;
    if (on_post)
        cr_assert_eq(cs_loop_call(raw.loop, on_post, raw.server), CS_OK);
    return chanserv_post_keep(post, &none, NULL) == CS_OK ? CS_AGAIN : CS_ENOMEM;
}

static bool starving_over;

static void starving_drains(bool is_over, void *user)
{
    (void)user;
    starving_over = is_over;
}

static void calls(mux_conn *conn)
{
    static const uint8_t post[] = {0x0a, 5, 's', 't', 'i', 'l', 'l'};
    uint8_t up_msg[WIRE_SESSION_MAX];
    size_t len = wire_session_up_put(up_msg, cs_str(RAW_ID), 1);

    starving_call(conn, "/chanserv.v1.Chanserv/Services", "", 0, true);
    starving_call(conn, "/chanserv.v1.Chanserv/Session", up_msg, len, false);
    starving_call(conn, "/chanserv.v1.Chanserv/Post", post, sizeof post, true);
}

static void story(void)
{
    const struct chanserv_server_options o = {.drains = starving_drains};
    chanserv_server *server;
    cs_loop *loop;
    mux_conn *conn;

    starving.opened = starving.ended = 0;
    starving_over = false;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (chanserv_server_new(loop, &o, &server) == CS_OK) {
        if (chanserv_serve(server, "still", still, NULL) == CS_OK &&
            mux_dial_local(loop, NULL, NULL, chanserv__server_handlers(server), &conn) == CS_OK) {
            calls(conn);
            cs_loop_settle(loop);
            chanserv_server_drain(server, 1000);
            cs_loop_advance(loop, 600);
            calls(conn);
            cs_loop_advance(loop, 1600);
            cr_assert(starving_over);
            cr_assert_eq(starving.ended, starving.opened, "%d of %d", starving.ended,
                         starving.opened);
            mux_conn_free(conn);
            cs_loop_settle(loop);
        }
        chanserv_server_free(server);
    }
    cr_assert_lt(cs_loop_settle(loop), 100000);
    cs_loop_free(loop);
}

Test(drain_memory, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 50);
}

/* ---- Run, and signals ------------------------------------------------------------------------- */

static void begin(void *server)
{
    chanserv_server_drain(server, 0);
}

static void send_signal(void *user)
{
    (void)user;
    raise(SIGTERM);
}

/* Runs, with a post that stays or nothing, until after `first`; there is a signal `second_ms` behind
 * that. */
static cs_timer *second;
static int second_after_ms;
static int64_t first_ms;
static void (*first_call)(void *server);

static void first(void *server)
{
    first_ms = cs_loop_now_ms(raw.loop);
    cs_timer_set(second, second_after_ms);
    first_call(server);
}

static int64_t ran_ms(bool with_post, int grace_ms, void (*call)(void *), int second_ms)
{
    struct chanserv_server_options o = {.signals = true, .grace_ms = grace_ms};
    mux_conn *conn = NULL;
    int64_t ms;

    first_call = call;
    second_after_ms = second_ms;
    cr_assert_eq(chanserv_server_new(NULL, &o, &raw.server), CS_OK);
    raw.loop = chanserv_server_loop(raw.server);
    cr_assert_eq(cs_timer_new(raw.loop, send_signal, NULL, &second), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "still", still, NULL), CS_OK);
    cr_assert_eq(chanserv_listen(raw.server, "127.0.0.1:0"), CS_OK);
    if (with_post) {
        on_post = first;
        cr_assert_eq(mux_dial(raw.loop, chanserv_server_addr(raw.server, 0), NULL, &conn), CS_OK);
        calls(conn);
    } else {
        cr_assert_eq(cs_loop_call(raw.loop, first, raw.server), CS_OK);
    }
    cr_assert_eq(chanserv_server_run(raw.server), CS_OK);
    ms = cs_loop_now_ms(raw.loop) - first_ms;
    cs_timer_free(second);
    mux_conn_free(conn);
    cs_loop_last_turn(raw.loop);
    chanserv_server_free(raw.server);
    return ms;
}

Test(drain_run, answers_when_nothing_runs)
{
    cr_assert_lt(ran_ms(false, 60000, begin, CS_OFF), 30000);
}

Test(drain_run, a_signal_drains)
{
    int64_t ms = ran_ms(true, 400, send_signal, CS_OFF);
    cr_assert_geq(ms, 400);
    cr_assert_lt(ms, 1400);
}

Test(drain_run, the_second_signal_ends_it_at_once)
{
    int64_t ms = ran_ms(true, 8000, send_signal, 300);
    cr_assert_geq(ms, 300);
    cr_assert_lt(ms, 4000);
}

Test(drain_run, a_signal_that_comes_twice_is_one)
{
    cr_assert_geq(ran_ms(true, 400, send_signal, 5), 400);
}
