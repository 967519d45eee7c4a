/* A server of three loops, which here are one: calls come to each, and are answered where they belong. */
#include "raw.h"

#include "chanserv/loops__in.h"
#include "mux/foreign.h"
#include "mux/roll.h"
#include "test/support/failing.h"
#include "test/support/stranger.h"

enum { LOOPS = 3, TICKET_LOOP = 8 };

static const char ID[] = "0123456789abcdef";

static struct {
    mux_conn *conns[LOOPS]; /* [0] is raw.conn at first */
    chanserv_outlet *outlet;
    chanserv_server *ran_on;
    int handled, asked;
    bool denies;
    int64_t uid;
    char peer[32];
} it;

/* ---- Services: "N" frames of a byte, and "ears", which say what they hear --------------------- */

struct count {
    int left;
    bool is_large;
};

static cs_err count_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char large[1000];
    struct count *c = state;

    (void)o;
    if (c->left == 0)
        return CS_DONE;
    c->left--;
    it.asked++;
    *frame = c->is_large ? cs_bytes_of(large, sizeof large) : cs_str("x");
    return CS_OK;
}

static void count_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)why, (void)state;
    raw_say("%s; ", chanserv_outlet_reason(o));
}

static cs_err count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(struct count), .next = count_next, .end = count_end};
    struct count c = {.left = *(const char *)body.base - '0'};

    (void)user;
    if (c.left == 0)
        c = (struct count){1000000, true};
    it.ran_on = post->server;
    it.uid = chanserv_post_peer(post)->uid;
    snprintf(it.peer, sizeof it.peer, "%.*s %.*s", CS_FMT(chanserv_post_peer(post)->addr),
             CS_FMT(chanserv_post_metadata(post, "who")));
    return chanserv_announce(post, cs_str("h"), &ops, &c, &it.outlet) == CS_OK ? CS_DONE
                                                                               : CS_ENOMEM;
}

static void ear_readable(chanserv_outlet *o, void *state)
{
    cs_bytes frame;
    cs_err err;

    (void)state;
    while ((err = chanserv_outlet_recv(o, &frame)) == CS_OK)
        raw_say("%.*s; ", CS_FMT(frame));
    if (err == CS_DONE)
        chanserv_outlet_finish(o, CS_DONE);
}

static cs_err ear(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .readable = ear_readable, .end = count_end, .uplink = true};

    (void)body, (void)user;
    it.ran_on = post->server;
    return chanserv_announce(post, cs_str("h"), &ops, NULL, &it.outlet) == CS_OK ? CS_DONE
                                                                                 : CS_ENOMEM;
}

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    (void)user;
    raw_say("%d %.*s %.*s; ", (int)request->verb, CS_FMT(request->service),
            CS_FMT(request->peer->addr));
    return it.denies ? CS_EPERM : CS_OK;
}

static void handled_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

static void handled(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.end = handled_end};

    (void)user;
    it.handled++;
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
    mux_stream_finish(stream, CS_EABORTED, "handled");
}

/* ---- Loops ------------------------------------------------------------------------------------- */

static struct chanserv__loops *loops(void)
{
    return raw.server->loops;
}

static void at(int loop)
{
    chanserv_server *first = raw.server;

    raw.conn = it.conns[loop];
    if (raw.conn)
        return;
    raw.server = loops()->all[loop];
    raw_join();
    raw.server = first;
    it.conns[loop] = raw.conn;
}

static void lose(int loop)
{
    mux_conn_break(it.conns[loop]);
    cs_loop_settle(raw.loop);
    mux_conn_free(it.conns[loop]);
    cs_loop_settle(raw.loop);
    it.conns[loop] = raw.conn = NULL;
}

static bool serial_too = true;

static void up_with(const struct chanserv_server_options *options)
{
    memset(&it, 0, sizeof it);
    raw_up(options);
    it.conns[0] = raw.conn;
    cr_assert_eq(chanserv__loops_new(raw.server, options, raw.loop, LOOPS), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "p", count, NULL), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "p.ear", ear, NULL), CS_OK);
    if (serial_too) {
        cr_assert_eq(chanserv_serve(raw.server, "s", count, NULL), CS_OK);
        cr_assert_eq(chanserv_serve(raw.server, "s.ear", ear, NULL), CS_OK);
    }
    cr_assert_eq(chanserv_handle(raw.server, "/a.B/C", handled, NULL), CS_OK);
    cr_assert_eq(chanserv__loops_begin(raw.server), CS_OK);
}

static void up(void)
{
    static const struct chanserv_server_options none;

    up_with(&none);
}

static void up_parallel(void)
{
    serial_too = false;
    up();
}

static void up_strict(void)
{
    up_with(&(struct chanserv_server_options){.authorise = authorise});
}

static void down(void)
{
    for (int i = 0; i < LOOPS; i++)
        if (it.conns[i] && it.conns[i] != raw.conn)
            mux_conn_free(it.conns[i]);
    raw_down();
}

TestSuite(loops, .init = up, .fini = down);
TestSuite(loops_parallel, .init = up_parallel, .fini = down);
TestSuite(loops_strict, .init = up_strict, .fini = down);

/* ---- Options ----------------------------------------------------------------------------------- */

Test(loops_options, are_at_most_as_many_as_a_ticket_can_name)
{
    const int good[] = {0, 1, 2, 255}, bad[] = {-1, 256};
    struct chanserv_server_options options = {.loops = 2};
    chanserv_server *server;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_expect_eq(chanserv_server_new(loop, &options, &server), CS_EINVAL);
    cs_loop_free(loop);
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    cr_expect_eq(chanserv_server_new(loop, &options, &server), CS_OK);
    chanserv_server_free(server);
    cs_loop_free(loop);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.loops = bad[i];
        cr_expect_eq(chanserv_server_new(NULL, &options, &server), CS_EINVAL, "%d", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        options.loops = good[i];
        cr_assert_eq(chanserv_server_new(NULL, &options, &server), CS_OK, "%d", good[i]);
        cr_expect_eq(server->loops ? (int)server->loops->len : 1, good[i] ? good[i] : 1);
        chanserv_server_free(server);
    }
}

Test(loops, services_are_settled_when_they_run)
{
    cr_expect_eq(chanserv_unserve(raw.server, "p"), CS_EMISUSE);
    cr_expect_eq(chanserv_unserve(raw.server, "s"), CS_OK);
    cr_expect_eq(chanserv_serve(raw.server, "s", count, NULL), CS_OK);
    cr_expect_eq(chanserv_serve_parallel(raw.server, "q", count, NULL), CS_EMISUSE);
    cr_expect_eq(chanserv_handle(raw.server, "/a.B/D", handled, NULL), CS_EMISUSE);
    cr_expect_eq(chanserv_server_run(raw.server), CS_EMISUSE, "the first failure sticks");
}

Test(loops_parallel, no_other_can_be_added_where_all_are_parallel)
{
    cr_expect_eq(chanserv_serve(raw.server, "s", count, NULL), CS_EMISUSE);
}

/* ---- Posts and openings ------------------------------------------------------------------------ */

Test(loops, a_parallel_service_runs_where_its_client_is_any_other_on_the_first)
{
    for (int i = 0; i < LOOPS; i++) {
        at(i);
        struct raw_call *p = raw_post("p", "3"), *s = raw_post("s", "3");

        raw_heard(p, "#0 h;");
        raw_ended(p, CS_DONE, "", "");
        raw_heard(s, "#0 h;");
        raw_ended(s, CS_DONE, "", "");
        cr_expect_str_eq(s->instance, raw.server->instance_hex);
        cr_expect_str_eq(p->instance, s->instance);
        cr_expect_eq(p->tickets[0][TICKET_LOOP], i);
        cr_expect_eq(s->tickets[0][TICKET_LOOP], 0);
        cr_expect_eq(it.ran_on, raw.server);
        cr_expect_str_eq(it.peer, "local me");
    }
    cr_expect_eq(raw_counters().posts_total, 2 * LOOPS);
    cr_expect_eq(raw_counters().connections, LOOPS);
}

Test(loops, a_ticket_is_opened_on_any_loop_once)
{
    for (int home = 0; home < LOOPS; home++)
        for (int i = 0; i < LOOPS; i++) {
            struct raw_call *post, *open, *again;

            at(home);
            post = raw_post("p", "3");
            at(i);
            open = raw_open(post, 0, 0);
            raw_heard(open, "x|x|x|");
            raw_ended(open, CS_DONE, "", "");
            again = raw_open(post, 0, 0);
            raw_ended(again, CS_ECLAIMED, "claimed", "");
            cr_expect_not(again->headers, "a refusal is a status alone");
            raw_said("done; ");
        }
    cr_expect_eq(raw_counters().opens_refused_claimed, LOOPS * LOOPS);
}

Test(loops, a_ticket_that_names_no_loop_or_another_server_is_refused_as_ever)
{
    struct raw_call *post;

    at(1);
    post = raw_post("p", "3");
    post->tickets[0][TICKET_LOOP] = LOOPS;
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "");
    post->tickets[0][TICKET_LOOP] = 2;
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "");
    post->tickets[0][TICKET_LOOP] = 1;
    post->tickets[0][31] ^= 1;
    at(2);
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "");
    post->tickets[0][31] ^= 1;
    post->tickets[0][0] ^= 1;
    raw_ended(raw_open(post, 0, 0), CS_EPRECOND, "other-instance", "");
    post->tickets[0][0] ^= 1;
    raw_heard(raw_open(post, 0, 0), "x|x|x|");
}

Test(loops, who_may_not_learns_it_in_the_same_words)
{
    at(1);
    raw_ended(raw_post("none", "1"), CS_ENOENT, "no-service", "NOT_FOUND");
    raw_ended(raw_post("", "1"), CS_EINVAL, "bad-request", "");
    cr_expect_eq(raw_counters().posts_refused_no_service, 1);
}

static void say(struct raw_call *c, const void *msg, size_t len, bool last)
{
    raw_send(c, msg, len, last);
    cs_loop_settle(raw.loop);
}

static struct raw_call *talk_to(const struct raw_call *post)
{
    const struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32)};
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 0);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    say(c, msg, len, false);
    cs_free(msg);
    return c;
}

static void say_word(struct raw_call *c, const char *word, bool last)
{
    uint8_t msg[WIRE_UP_HEAD + 100];
    size_t n = wire_up_head(msg, strlen(word), false);

    memcpy(msg + n, word, strlen(word));
    say(c, msg, n + strlen(word), last);
}

Test(loops, a_conversation_goes_over_loops)
{
    struct raw_call *post, *c;

    at(1);
    post = raw_post("p.ear", "");
    at(2);
    c = talk_to(post);
    say_word(c, "one", false);
    say_word(c, "two", true);
    raw_said("one; two; done; ");
    raw_ended(c, CS_DONE, "", "");
    c = talk_to(raw_post("s.ear", ""));
    say_word(c, "three", false);
    raw_said("three; ");
    raw_leave(c);
    raw_said("client-left; ");
}

static struct raw_call *open_paused(const struct raw_call *post, int timeout_ms)
{
    const struct wire_open asked = {.ticket = cs_bytes_of(post->tickets[0], 32)};
    struct raw_call *open = raw_open_with(&asked, timeout_ms);

    raw_pause(open);
    cs_loop_settle(raw.loop);
    return open;
}

Test(loops, a_reader_that_leaves_is_known_there)
{
    struct raw_call *open;

    at(2);
    open = open_paused(raw_post("s", "0"), 0);
    raw_leave(open);
    raw_said("client-left; ");
    open = open_paused(raw_post("s", "0"), 0);
    raw_runs(open);
    lose(2);
    raw_said("client-left; ");
    cr_expect_eq(raw_counters().sources_open, 0);
}

Test(loops, a_producer_that_gives_up_is_heard_here_before_what_waits)
{
    struct raw_call *open;

    at(1);
    open = open_paused(raw_post("s", "0"), 0);
    chanserv_outlet_cancel(it.outlet, CS_EABORTED);
    cs_loop_settle(raw.loop);
    raw_said("failed; ");
    raw_resume(open);
    raw_ended(open, CS_EABORTED, "", "");
}

Test(loops, a_reader_that_stalls_stops_its_own_producer)
{
    struct raw_call *slow;
    int asked_for;

    at(1);
    slow = open_paused(raw_post("s", "0"), 0);
    asked_for = it.asked;
    cr_expect_lt(asked_for, 400, "%d", asked_for); /* two windows, and what is queued */
    raw_heard(raw_open(raw_post("s", "9"), 0, 0), "x|x|x|x|x|x|x|x|x|");
    cr_expect_eq(it.asked, asked_for + 9);
    raw_leave(slow);
}

Test(loops, a_deadline_goes_along)
{
    struct raw_call *call;

    at(1);
    call = open_paused(raw_post("s", "0"), 70);
    cs_loop_advance(raw.loop, 100);
    raw_said("deadline; ");
    raw_resume(call);
    raw_ended(call, CS_ETIMEOUT, "", ""); /* its own clock said so first */
}

/* ---- What the first loop answers ----------------------------------------------------------------- */

Test(loops, there_is_one_list_of_services)
{
    struct raw_call *watch;

    at(2);
    watch = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);
    raw_send(watch, NULL, 0, true);
    cs_loop_settle(raw.loop);
    cr_assert(strstr(watch->heard, "s.ear,"), "%s", watch->heard);
    cr_assert(strstr(watch->heard, "p,"), "%s", watch->heard);
    cr_assert_eq(chanserv_unserve(raw.server, "s.ear"), CS_OK);
    cs_loop_settle(raw.loop);
    cr_assert_not(strstr(strchr(watch->heard, ')'), "s.ear,"), "%s", watch->heard);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 30);
    cr_assert(strstr(watch->heard, ")draining"), "%s", watch->heard);
}

Test(loops, who_watches_services_is_told_to_ask_again_when_his_connection_goes)
{
    struct raw_call *watch;

    at(2);
    watch = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);
    raw_send(watch, NULL, 0, true);
    cs_loop_settle(raw.loop);
    mux_handlers_each_local(loops()->all[2]->handlers, (mux_conn_fn *)(void (*)(void))mux_conn_roll,
                            NULL);
    cs_loop_settle(raw.loop);
    raw_ended(watch, CS_DONE, "", "");
    cr_expect_eq(loops()->all[0]->calls, 0);
    cr_expect_eq(loops()->all[2]->calls, 0);
}

Test(loops, methods_of_the_servers_own_are_answered_on_the_first)
{
    for (int i = 0; i < LOOPS; i++) {
        at(i);
        struct raw_call *c = raw_begin("/a.B/C", RAW_FRAMES, 0);

        raw_send(c, NULL, 0, true);
        cs_loop_settle(raw.loop);
        raw_ended(c, CS_EABORTED, "", "handled");
        cr_expect_eq(it.handled, i + 1);
    }
}

Test(loops_strict, the_hook_sees_who_it_is)
{
    struct mux_peer *peer;

    at(1);
    peer = (struct mux_peer *)(uintptr_t)mux_conn_peer(it.conns[1]);
    cr_assert_not_null(peer);
    raw_post("s", "1");
    raw_said("0 s local; ");
    raw_open(raw_post("p", "1"), 0, 0);
    raw_said("0 p local; 1 p local; done; ");
    it.denies = true;
    raw_ended(raw_post("s", "1"), CS_EPERM, "denied", "");
    cr_expect_eq(raw_counters().posts_refused_denied, 1);
}

/* ---- Sessions ------------------------------------------------------------------------------------ */

static struct raw_call *session(uint32_t attempt)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Session", RAW_SESSION, 0);
    uint8_t msg[WIRE_SESSION_MAX];

    say(c, msg, wire_session_up_put(msg, cs_str(ID), attempt), false);
    return c;
}

static struct raw_call *post_as(uint32_t attempt, const char *service, const char *body)
{
    struct wire_post post = {.service = cs_str(service),
                             .body = cs_str(body),
                             .channel = {true, cs_str(ID), attempt, 1}};
    struct raw_call *c = raw_post_with(&post, 0);

    cs_loop_settle(raw.loop);
    return c;
}

static struct raw_call *open_as(uint32_t attempt, const struct raw_call *post, uint64_t from)
{
    struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32),
                             .from = from,
                             .channel = {true, cs_str(ID), attempt, 2}};
    struct raw_call *c = raw_open_with(&open, 0);

    cs_loop_settle(raw.loop);
    return c;
}

/* It begins on one loop and is taken up on the next. */
static void goes_on_elsewhere(const char *service, int home)
{
    struct raw_call *s, *post, *open;

    at(1);
    s = session(1);
    raw_heard(s, "linger 30000;");
    cr_assert_eq(loops()->all[home]->counters.sessions, 1);
    post = post_as(1, service, "3");
    raw_heard(post, "#0 h;");
    cr_assert_eq(it.ran_on, loops()->all[home]);
    open = open_as(1, post, 0);
    raw_heard(open, "x|x|x|");
    raw_ended(session(1), CS_EEXIST, "session-exists", "");
    lose(1);
    cr_assert_eq(raw_counters().sessions_lingering, 1);
    at(2);
    s = session(2);
    raw_heard(s, "linger 30000;");
    open = open_as(2, post, 1);
    raw_heard(open, "x|x|");
    raw_ended(open, CS_DONE, "", "");
    at(0);
    s = session(3);
    raw_heard(s, "linger 30000;");
    cr_assert_eq(raw_counters().sessions_resumed, 2);
    cr_assert_eq(raw_counters().sessions, 1);
    mux_stream_finish(s->stream, CS_OK, NULL); /* bye */
    cs_loop_settle(raw.loop);
    raw_ended(s, CS_DONE, "", "");
    cr_assert_eq(raw_counters().sessions, 0);
    cr_assert_eq(loops()->sessions.len, 0);
    at(2);
    raw_ended(session(4), CS_ELOST, "lost", "");
}

Test(loops, a_session_lives_on_the_first_loop)
{
    goes_on_elsewhere("s", 0);
}

Test(loops, a_session_takes_posts_of_parallel_services_along)
{
    goes_on_elsewhere("p", 0);
}

Test(loops_parallel, a_session_lives_where_it_began)
{
    goes_on_elsewhere("p", 1);
}

Test(loops_parallel, a_session_of_no_loop_begins_here_and_one_that_is_unknown_is_lost)
{
    at(2);
    raw_ended(session(2), CS_ELOST, "lost", "");
    raw_heard(session(1), "linger 30000;");
    cr_assert_eq(loops()->all[2]->counters.sessions, 1);
    at(0);
    raw_ended(session(1), CS_EEXIST, "session-exists", "");
    lose(2);
    cs_loop_advance(raw.loop, 30001);
    cr_assert_eq(loops()->sessions.len, 0);
    at(0);
    raw_ended(session(2), CS_ELOST, "lost", "");
}

Test(loops_parallel, a_session_of_somebody_else_is_not_his_on_any_loop)
{
    at(1);
    raw.token = "alice";
    raw_heard(session(1), "linger 30000;");
    at(2);
    raw.token = "bob";
    raw_ended(session(2), CS_ELOST, "lost", "");
    raw.token = "alice";
    raw_heard(session(2), "linger 30000;");
}

Test(loops, a_session_moves_when_its_connection_goes)
{
    struct raw_call *s;

    at(1);
    s = session(1);
    mux_handlers_each_local(loops()->all[1]->handlers, (mux_conn_fn *)(void (*)(void))mux_conn_roll,
                            NULL);
    cs_loop_settle(raw.loop);
    raw_ended(s, CS_EDRAIN, "draining", "");
    cr_assert_eq(raw_counters().sessions_lingering, 1);
    at(2);
    raw_heard(session(2), "linger 30000;");
}

/* ---- Going ---------------------------------------------------------------------------------------- */

Test(loops, a_drain_waits_for_what_other_loops_hold)
{
    struct raw_call *post, *open;

    at(1);
    post = raw_post("s", "3");
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 300);
    raw_ended(raw_post("p", "1"), CS_EDRAIN, "draining", "");
    raw_ended(raw_post("s", "1"), CS_EDRAIN, "draining", "");
    cr_assert_eq(raw_counters().connections_rolled, 1, "the one at the first loop alone");
    open = raw_open(post, 0, 0);
    raw_heard(open, "x|x|x|");
    cs_loop_advance(raw.loop, 100);
    cr_assert_eq(raw.server->drain.stage, CHANSERV__DRAINED);
    cr_assert_eq(raw_counters().connections, 0);
}

Test(loops, a_drain_ends_all_when_its_time_is_over)
{
    struct raw_call *open, *session_call;

    at(1);
    open = open_paused(raw_post("s", "0"), 0);
    at(2);
    session_call = session(1);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 990);
    raw_runs(open);
    cs_loop_advance(raw.loop, 30);
    raw_said("shutdown; ");
    raw_resume(open);
    raw_ended(open, CS_EDRAIN, "draining", "");
    cr_assert_neq(session_call->why, CS_AGAIN);
    cs_loop_advance(raw.loop, 600);
    cr_assert_eq(raw.server->drain.stage, CHANSERV__DRAINED);
}

Test(loops, a_session_without_a_channel_does_not_hold_up_a_drain)
{
    at(1);
    session(1);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 300);
    cr_assert_eq(raw.server->drain.stage, CHANSERV__DRAINED);
}

/* ---- Without memory -------------------------------------------------------------------------------- */

static struct {
    cs_loop *loop;
    chanserv_server *server;
    mux_conn *conn;
    int ends, begun;
    uint8_t ticket[32];
    bool has_ticket;
} m;

static cs_err m_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *said = state;

    (void)o;
    *frame = cs_str("x");
    return (*said)++ < 3 ? CS_OK : CS_DONE;
}

static cs_err m_count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = m_next};

    (void)body, (void)user;
    return chanserv_announce(post, cs_str("h"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static void m_readable(mux_stream *stream, void *state)
{
    struct wire_announcement a;
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK)
        if (state && wire_announcement_unpack(msg, &a) == CS_OK) {
            if ((m.has_ticket = a.ticket.len == 32))
                memcpy(m.ticket, a.ticket.base, 32);
            wire_announcement_clear(&a);
        }
}

static void m_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    /* A list of services ends with the connection. */
    cr_assert(why == CS_DONE || why == CS_ECANCELED || failing_failed(), "%s", cs_strerror(why));
    m.ends++;
}

static void m_call(const char *method, bool is_post, uint8_t *msg, size_t len)
{
    static const struct mux_stream_ops ops = {.readable = m_readable, .end = m_end};
    mux_stream *stream;

    if (msg && mux_stream_open(m.conn, method, NULL, &ops, is_post ? &m : NULL, &stream) == CS_OK) {
        m.begun++;
        if (mux_stream_send(stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)) == CS_OK)
            mux_stream_finish(stream, CS_OK, NULL);
        else
            mux_stream_cancel(stream, CS_ENOMEM);
    }
    cs_free(msg);
    cs_loop_settle(m.loop);
}

static void m_calls(void)
{
    const struct wire_post post = {.service = cs_str("s")};
    struct wire_open open = {.ticket = cs_bytes_of(m.ticket, 32)};
    uint8_t *msg = NULL;
    size_t len = 0;

    (void)wire_post_pack(&post, &msg, &len);
    m_call("/chanserv.v1.Chanserv/Post", true, msg, len);
    msg = NULL;
    if (m.has_ticket)
        (void)wire_open_pack(&open, &msg, &len);
    m_call("/chanserv.v1.Chanserv/Open", false, msg, len);
    m_call("/chanserv.v1.Chanserv/Services", false, cs_zalloc(1), 0);
}

static bool m_up(void)
{
    static const struct chanserv_server_options none;

    return chanserv_server_new(m.loop, NULL, &m.server) == CS_OK &&
           chanserv__loops_new(m.server, &none, m.loop, 2) == CS_OK &&
           chanserv_serve(m.server, "s", m_count, NULL) == CS_OK &&
           chanserv_serve_parallel(m.server, "p", m_count, NULL) == CS_OK &&
           chanserv_handle(m.server, "/a.B/C", handled, NULL) == CS_OK &&
           chanserv__loops_begin(m.server) == CS_OK &&
           mux_dial_local(m.loop, NULL, NULL, m.server->loops->all[1]->handlers, &m.conn) == CS_OK;
}

static void story(void)
{
    memset(&m, 0, sizeof m);
    if (cs_loop_new_virtual(&m.loop) != CS_OK)
        return;
    if (m_up()) {
        m_calls();
        if (!failing_failed())
            cr_assert(m.has_ticket);
    }
    mux_conn_free(m.conn);
    cs_loop_settle(m.loop);
    chanserv_server_free(m.server);
    cs_loop_settle(m.loop);
    cr_assert_eq(m.ends, m.begun);
    cs_loop_free(m.loop);
}

Test(loops_memory, survives_every_failed_allocation)
{
    cr_assert_geq(failing_story(story), 200);
}

/* ---- What is not gRPC -------------------------------------------------------------------------- */

static void plain_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    it.handled += why == CS_DONE;
}

static void plain_here(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.end = plain_end};
    cs_bytes path;

    it.ran_on = user;
    cr_assert_eq(mux_stream_header(stream, ":path", &path), CS_OK);
    cr_assert(cs_same(path, cs_str("/page")));
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
    cr_assert_eq(mux_stream_respond(stream, 204), CS_OK);
    mux_stream_finish(stream, CS_OK, NULL);
}

/* The preface, SETTINGS, and GET http://a/page. */
static const char page[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                           "\0\0\0\4\0\0\0\0\0"
                           "\0\0\14\1\5\0\0\0\1\x82\x86\4\5/page\1\1a";

Test(loops, a_plain_request_is_answered_on_the_first)
{
    mux_handlers_set_plain(raw.server->handlers, plain_here, raw.server);
    for (size_t i = 1; i < LOOPS; i++)
        mux_handlers_set_plain(loops()->all[i]->handlers, chanserv__route_plain, loops()->all[i]);
    stranger_says(raw.loop, loops()->all[1]->handlers, cs_bytes_of(page, sizeof page - 1));
    cr_assert_eq(it.ran_on, raw.server);
    cr_assert_eq(it.handled, 1, "and its answer was good");
    cr_assert_eq(loops()->all[1]->calls, 0);
}
