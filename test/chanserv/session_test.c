/* Sessions as any gRPC client makes them: what the server keeps, what it sends again, and when it gives up. */
#include "raw.h"

#include "chanserv/server__in.h"
#include "mux/lasting.h"

static const char OTHER[] = "0123456789ABCDEF";
enum { MASTER = 1, SOURCE = 2 };

/* ---- A service: "N LEN" announces one source of N frames, the numbers; 0: without end -------------- */

static struct {
    int byes, runs;
    chanserv_outlet *outlet;
    int linger_ms;
    bool gaps; /* every third number is left out */
} it;

struct count {
    unsigned at, len;
    char text[16];
};

static cs_err count_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct count *c = state;
    int n;

    if (c->len > 0 && c->at == c->len)
        return CS_DONE;
    if (c->len == 0 && c->at >= 3)
        return CS_AGAIN;
    if (it.gaps && c->at % 3 == 1) {
        chanserv_outlet_skip(o, 1, CHANSERV_GAP_OVERFLOW);
        c->at++;
    }
    n = snprintf(c->text, sizeof c->text, "%u", c->at++);
    *frame = cs_bytes_of(c->text, (size_t)n);
    return CS_OK;
}

static void count_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state;
    raw_say("end %s %s %s; ", cs_strerror(why), chanserv_outlet_reason(o),
            chanserv_outlet_words(o));
}

static void count_detached(chanserv_outlet *o, void *state)
{
    (void)o, (void)state;
    raw_say("detached; ");
}

static void count_attached(chanserv_outlet *o, void *state)
{
    (void)o, (void)state;
    raw_say("attached; ");
}

static const struct chanserv_outlet_ops count_ops = {.state_bytes = sizeof(struct count),
                                                     .next = count_next,
                                                     .end = count_end,
                                                     .detached = count_detached,
                                                     .attached = count_attached};

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    raw_say("closed %s; ", cs_strerror(why));
}

static const struct chanserv_post_ops post_ops = {.closed = post_closed};

static cs_err count(chanserv_post *post, cs_bytes body, void *user)
{
    char text[16] = "";
    struct count c = {.len = 0};

    (void)user;
    if (body.len > 0)
        memcpy(text, body.base, body.len);
    c.len = (unsigned)atoi(text);
    it.runs++;
    chanserv_post_linger(post, it.linger_ms);
    if (chanserv_post_keep(post, &post_ops, NULL) != CS_OK ||
        chanserv_announce(post, cs_str("numbers"), &count_ops, &c, &it.outlet) != CS_OK)
        return CS_ENOMEM;
    return c.len > 0 ? CS_DONE : CS_AGAIN; /* an endless one stays */
}

static void up_with(const struct chanserv_server_options *options)
{
    memset(&it, 0, sizeof it);
    raw_up(options);
    cr_assert_eq(chanserv_serve(raw.server, "count", count, NULL), CS_OK);
}

static void up(void)
{
    up_with(NULL);
}

/* ---- What a client says ----------------------------------------------------------------------- */

static struct raw_call *session(uint32_t attempt)
{
    return raw_session(RAW_ID, attempt);
}

static struct raw_call *post_as(uint32_t attempt, uint32_t number, uint64_t from, const char *body)
{
    return raw_post_as(attempt, number, "count", body, from);
}

static void lose_connection(void)
{
    mux_conn_break(raw.conn);
    cs_loop_settle(raw.loop);
    mux_conn_free(raw.conn);
    cs_loop_settle(raw.loop);
    raw_join();
}

static void again_with(const struct chanserv_server_options *options)
{
    raw_down();
    raw.calls_len = 0;
    raw.conn = NULL;
    raw.story = NULL;
    up_with(options);
}

TestSuite(session, .init = up, .fini = raw_down);

/* ---- Rule 1 ----------------------------------------------------------------------------------- */

Test(session, is_made_and_says_how_long_it_lingers)
{
    struct raw_call *s = session(1);

    raw_heard(s, "linger 30000;");
    raw_runs(s);
    cr_assert(s->headers);
    cr_assert_eq(raw_counters().sessions, 1);
}

Test(session, cannot_be_made_twice)
{
    struct raw_call *first = session(1);

    raw_ended(session(1), CS_EEXIST, "session-exists", "");
    raw_runs(first);
}

Test(session, unknown_is_lost)
{
    struct raw_call *s = session(2);

    raw_ended(s, CS_ELOST, "lost", "NOT_FOUND");
    cr_assert_not(s->headers);
}

Test(session, is_taken_up_by_a_higher_attempt_only)
{
    struct raw_call *first = session(1), *third = session(3);

    raw_heard(third, "linger 30000;");
    raw_ended(first, CS_EABORTED, "superseded", "");
    raw_ended(session(3), CS_EABORTED, "superseded", "");
    raw_ended(session(2), CS_EABORTED, "superseded", "");
    raw_runs(third);
    cr_assert_eq(raw_counters().sessions_resumed, 1);
}

Test(session, of_another_principal_is_unknown)
{
    raw.token = "Bearer mine";
    struct raw_call *s = session(1);
    raw.token = "Bearer another's";
    raw_ended(session(2), CS_ELOST, "lost", "");
    raw_ended(post_as(1, MASTER, 0, "3"), CS_EPRECOND, "no-session", "");
    raw.token = NULL;
    raw_ended(session(2), CS_ELOST, "lost", "");
    raw_runs(s);
    cr_assert_eq(it.runs, 0);
}

Test(session, with_a_wrong_secret_is_unknown)
{
    session(1);
    raw_ended(raw_session("01234567wrongone", 2), CS_ELOST, "lost", "");
    raw_ended(raw_session("short", 1), CS_EINVAL, "bad-request", "");
}

Test(session, with_the_secret_of_another_is_unknown)
{
    struct raw_call *s = session(1);

    raw_heard(post_as(1, MASTER, 0, "3"), "#0 numbers;");
    raw_ended(raw_session("7654321089abcdef", 2), CS_ELOST, "lost", "");
    raw_runs(s);
    raw_heard(post_as(1, SOURCE, 0, "3"), "#0 numbers;");
}

/* ---- Rule 2 ----------------------------------------------------------------------------------- */

Test(session, must_be_there_before_a_post_runs)
{
    raw_ended(post_as(1, MASTER, 0, "3"), CS_EPRECOND, "no-session", "");
    session(1);
    raw_ended(post_as(2, MASTER, 0, "3"), CS_EPRECOND, "no-session", "");
    raw_ended(post_as(0, MASTER, 0, "3"), CS_EINVAL, "bad-request", "");
    raw_ended(post_as(1, 0, 0, "3"), CS_EINVAL, "bad-request", "");
    session(2);
    raw_ended(post_as(1, MASTER, 0, "3"), CS_EABORTED, "superseded", "");
    cr_assert_eq(it.runs, 0);
    raw_heard(post_as(2, MASTER, 0, "3"), "#0 numbers;");
    cr_assert_eq(it.runs, 1);
}

/* ---- Rule 3 ----------------------------------------------------------------------------------- */

Test(session, a_post_and_its_source_go_on_after_the_connection)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_heard(o, "0|1|2|");
    lose_connection();
    raw_said("detached; ");
    struct raw_call *s = session(2);
    struct raw_call *p2 = post_as(2, MASTER, 1, ""), *o2 = raw_open_as(2, SOURCE, p, 2);
    raw_said("attached; ");
    raw_heard(p2, "");
    raw_runs(p2);
    raw_heard(o2, "2|");
    raw_runs(o2);
    raw_runs(s);
    cr_assert_eq(it.runs, 1);
    cr_assert_eq(raw_counters().channels_resumed, 2);
}

Test(session, a_stream_that_broke_alone_goes_on_in_the_same_attempt)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_leave(o);
    raw_leave(p);
    raw_said("detached; ");
    raw_heard(post_as(1, MASTER, 0, ""), "#0 numbers;");
    raw_heard(raw_open_as(1, SOURCE, p, 0), "0|1|2|");
    raw_said("attached; ");
}

Test(session, a_newer_stream_takes_over_from_an_older)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_heard(raw_open_as(1, SOURCE, p, 1), "1|2|");
    raw_ended(o, CS_EABORTED, "superseded", "");
    raw_heard(o, "0|1|2|");
}

/* On its way it met a proxy that held it up. */
Test(session, what_comes_late_on_the_old_connection_takes_nothing)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    mux_conn *old = raw.conn, *live;
    raw_heard(o, "0|1|2|");
    raw_join();
    live = raw.conn;
    session(2);
    struct raw_call *o2 = raw_open_as(2, SOURCE, p, 2);
    raw_heard(o2, "2|");
    raw.conn = old;
    raw_ended(raw_open_as(1, SOURCE, p, 0), CS_EABORTED, "superseded", "");
    raw_ended(post_as(1, MASTER, 0, ""), CS_EABORTED, "superseded", "");
    raw_ended(post_as(1, 7, 0, ""), CS_EABORTED, "superseded", "");
    raw_heard(o2, "2|");
    raw_runs(o2);
    cr_assert_eq(it.runs, 1);
    mux_conn_free(old);
    raw.conn = live;
}

Test(session, what_was_not_received_goes_out_again_with_its_status)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "4"), *o = raw_open_as(1, SOURCE, p, 0);
    raw_heard(o, "0|1|2|3|");
    raw_ended(o, CS_DONE, "", "");
    raw_said("closed ended in good order; end ended in good order done ; ");
    raw_heard(raw_open_as(1, SOURCE, p, 2), "2|3|");
    struct raw_call *again = raw_open_as(1, SOURCE, p, 4);
    raw_heard(again, "");
    raw_ended(again, CS_DONE, "", "");
    cr_assert_not(again->headers, "nothing is left but the status");
    raw_ack(s, SOURCE, 3, false, "");
    struct raw_call *old = raw_open_as(1, SOURCE, p, 2);
    raw_ended(old, CS_ERANGE, "not-kept", "");
    cr_assert_str_eq(old->oldest, "3");
    raw_ended(raw_open_as(1, SOURCE, p, 5), CS_EINVAL, "bad-request", "");
    raw_heard(raw_open_as(1, SOURCE, p, 3), "3|");
}

Test(session, gaps_take_their_numbers)
{
    it.gaps = true;
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "7"), *o = raw_open_as(1, SOURCE, p, 0);
    raw_heard(o, "0|<1:1>2|3|<1:1>5|6|");
    raw_heard(raw_open_as(1, SOURCE, p, 1), "<1:1>2|3|<1:1>5|6|");
    raw_heard(raw_open_as(1, SOURCE, p, 3), "3|<1:1>5|6|");
    raw_heard(raw_open_as(1, SOURCE, p, 6), "6|");
}

Test(session, a_number_that_cannot_be_new_is_lost)
{
    session(1);
    raw_ended(post_as(1, MASTER, 1, "3"), CS_ELOST, "lost", "");
    cr_assert_eq(it.runs, 0);
}

Test(session, a_source_is_no_post)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "3");
    raw_ended(post_as(1, SOURCE, 0, "3"), CS_DONE, "", "");
    raw_ended(raw_open_as(1, MASTER, p, 0), CS_EINVAL, "bad-request", "");
}

Test(session, a_deadline_that_was_cut_off_is_said_again)
{
    session(1);
    struct wire_post post = {.service = cs_str("count"),
                             .channel = {true, cs_str(RAW_ID), 1, MASTER}};
    struct raw_call *p = raw_post_with(&post, 1000);
    cs_loop_settle(raw.loop);
    lose_connection();
    cs_loop_advance(raw.loop, 2000);
    raw_said("closed deadline passed; end deadline passed deadline ; ");
    session(2);
    struct raw_call *again = post_as(2, MASTER, 1, "");
    raw_ended(again, CS_ETIMEOUT, "deadline", "");
    cr_assert_eq(it.runs, 1);
    (void)p;
}

/* ---- Rule 4 ----------------------------------------------------------------------------------- */

Test(session, an_ack_of_what_was_not_sent_ends_it)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_ack(s, SOURCE, 3, false, "");
    raw_runs(s);
    raw_ack(s, SOURCE, 4, false, "");
    raw_ended(s, CS_EINVAL, "bad-request", "");
    cr_assert_neq(o->why, CS_AGAIN);
    cr_assert_eq(raw_counters().sessions, 0);
}

Test(session, producers_wait_for_acks_at_the_bound)
{
    again_with(&(struct chanserv_server_options){.keep_bytes = 1000});
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "100000"), *o = raw_open_as(1, SOURCE, p, 0);
    size_t before = strlen(o->heard);
    cr_assert_lt(before, 1000);
    raw_ack(s, SOURCE, 50, false, "");
    cr_assert_gt(strlen(o->heard), before);
    raw_runs(o);
}

/* ---- Rule 5 ----------------------------------------------------------------------------------- */

Test(session, done_cancels_what_lives_with_its_reason)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_ack(s, SOURCE, 3, true, "seen enough");
    raw_said("end canceled cancelled seen enough; ");
    raw_ack(s, MASTER, 1, true, "");
    raw_said("closed canceled; ");
    cr_assert_neq(o->why, CS_AGAIN);
    cr_assert_eq(raw_counters().posts, 0);
    cr_assert_eq(raw_counters().sources_open, 0);
}

Test(session, done_forgets_what_is_over)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "2"), *o = raw_open_as(1, SOURCE, p, 0);
    raw_heard(o, "0|1|");
    raw_ack(s, SOURCE, 2, true, "");
    raw_ended(raw_open_as(1, SOURCE, p, 2), CS_ECLAIMED, "claimed", "");
    cr_assert_eq(raw_counters().streams, 2, "its own and the master's");
}

Test(session, done_with_a_master_ends_what_nobody_opened)
{
    struct raw_call *s = session(1);
    post_as(1, MASTER, 0, "2");
    raw_said("closed ended in good order; ");
    raw_ack(s, MASTER, 1, true, "");
    raw_said("end canceled post-cancelled ; ");
}

Test(session, a_source_can_be_skipped)
{
    struct raw_call *s = session(1);
    uint8_t msg[WIRE_SKIP_MAX];

    post_as(1, MASTER, 0, "2");
    raw_send(s, msg, wire_skip_put(msg, MASTER, 7), false);
    raw_send(s, msg, wire_skip_put(msg, MASTER, 0), false);
    cs_loop_settle(raw.loop);
    raw_said("closed ended in good order; end canceled skipped ; ");
}

Test(session, a_source_that_was_opened_is_not_skipped)
{
    struct raw_call *s = session(1), *p = post_as(1, MASTER, 0, ""),
                    *o = raw_open_as(1, SOURCE, p, 0);
    uint8_t msg[WIRE_SKIP_MAX];

    raw_send(s, msg, wire_skip_put(msg, MASTER, 0), false);
    cs_loop_settle(raw.loop);
    raw_runs(o);
    raw_said("");
}

Test(session, an_unopened_source_does_not_expire)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "2");
    cs_loop_advance(raw.loop, 3600 * 1000);
    raw_heard(raw_open_as(1, SOURCE, p, 0), "0|1|");
}

/* ---- Rule 6 ----------------------------------------------------------------------------------- */

Test(session, a_good_bye_ends_everything)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    mux_stream_finish(s->stream, CS_OK, NULL);
    cs_loop_settle(raw.loop);
    raw_ended(s, CS_DONE, "", "");
    raw_said("closed the peer vanished; end the peer vanished client-left ; ");
    cr_assert_eq(raw_counters().sessions, 0);
    cr_assert_eq(raw_counters().posts, 0);
    cr_assert_null(raw.server->found);
    (void)o;
}

Test(session, is_lost_after_its_linger)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    (void)o;
    lose_connection();
    cs_loop_advance(raw.loop, 29999);
    raw_said("detached; ");
    cr_assert_eq(raw_counters().sessions_lingering, 1);
    cs_loop_advance(raw.loop, 1);
    cr_assert_eq(raw_counters().sessions, 0);
    cr_assert_eq(raw_counters().sessions_lingering, 0);
    cr_assert_eq(raw_counters().sessions_lost, 1);
    raw_ended(session(2), CS_ELOST, "lost", "");
    cr_assert_eq(raw_counters().posts, 0);
}

Test(session, producers_hear_that_it_is_lost)
{
    session(1);
    struct raw_call *p = post_as(1, MASTER, 0, "");
    raw_open_as(1, SOURCE, p, 0);
    lose_connection();
    raw_said("detached; ");
    cs_loop_advance(raw.loop, 30000);
    cr_assert(strstr(raw.story, "end cut, and too late"), "%s", raw.story);
    cr_assert(strstr(raw.story, " lost ; "));
    cr_assert(strstr(raw.story, "closed cut, and too late"));
}

Test(session, attached_channels_go_on_without_it)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_leave(s);
    raw_runs(o);
    raw_said("");
    session(2);
    raw_runs(o);
    raw_runs(p);
}

Test(session, a_service_may_not_linger)
{
    it.linger_ms = CS_OFF;
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    raw_leave(o);
    raw_said("detached; ");
    o = raw_open_as(1, SOURCE, p, 0);
    raw_said("attached; ");
    raw_leave(s);
    raw_said("");
    raw_runs(o);
    lose_connection();
    cr_assert(strstr(raw.story, " lost ; "), "at once: %s", raw.story);
    cr_assert_eq(raw_counters().posts, 0);
    cr_assert_eq(raw_counters().sessions, 1, "the session itself lingers");
    session(2);
    raw_ended(post_as(2, MASTER, 1, ""), CS_ELOST, "lost", "");
}

Test(session, a_service_may_linger_less)
{
    it.linger_ms = 1000;
    session(1);
    post_as(1, MASTER, 0, "");
    lose_connection();
    cs_loop_advance(raw.loop, 999);
    cr_assert_eq(raw_counters().posts, 1);
    cs_loop_advance(raw.loop, 1);
    cr_assert_eq(raw_counters().posts, 0);
    cr_assert_eq(raw_counters().sessions, 1);
}

Test(session, a_service_may_linger_less_than_its_session_did_when_it_broke)
{
    it.linger_ms = 1000;
    struct raw_call *s = session(1), *p = post_as(1, MASTER, 0, "");
    raw_leave(s);
    cs_loop_advance(raw.loop, 5000);
    cr_assert_eq(raw_counters().posts, 1, "it is attached");
    raw_leave(p);
    cs_loop_advance(raw.loop, 999);
    cr_assert_eq(raw_counters().posts, 1);
    cs_loop_advance(raw.loop, 1);
    cr_assert_eq(raw_counters().posts, 0);
    cr_assert_eq(raw_counters().sessions, 1);
}

/* ---- Limits ----------------------------------------------------------------------------------- */

/* Somebody who never is done with anything. */
Test(session, its_channels_are_counted_until_they_are_forgotten)
{
    again_with(&(struct chanserv_server_options){.channels_max = 3});
    struct raw_call *s = session(1), *p = post_as(1, 1, 0, "2");
    raw_ended(post_as(1, 2, 0, "2"), CS_DONE, "", "");
    raw_ended(raw_open_as(1, 3, p, 0), CS_DONE, "", "");
    raw_ended(post_as(1, 4, 0, "2"), CS_ELIMIT, "limit", "");
    cr_assert_eq(it.runs, 2);
    cr_assert_eq(raw_counters().channels, 3);
    cr_assert_eq(raw_counters().channels_refused, 1);
    raw_ack(s, 3, 2, true, "");
    raw_ended(post_as(1, 4, 0, "2"), CS_DONE, "", "");
    mux_stream_finish(s->stream, CS_OK, NULL);
    cs_loop_settle(raw.loop);
    cr_assert_eq(raw_counters().channels, 0);
}

Test(session, its_words_are_not_measured_by_what_a_body_may_be)
{
    again_with(&(struct chanserv_server_options){.body_max_bytes = 200});
    struct raw_call *s = session(1);
    uint8_t msg[100 * WIRE_ACK_MAX];
    size_t n = 0;

    for (uint32_t i = 1; i <= 100; i++)
        n += wire_ack_put(msg + n, i, 0, true, cs_str(""));
    raw_send(s, msg, n, false);
    cs_loop_settle(raw.loop);
    raw_runs(s);
}

Test(session, too_many_are_refused)
{
    again_with(&(struct chanserv_server_options){.sessions_max = 1});
    session(1);
    raw_ended(raw_session(OTHER, 1), CS_EEXIST, "session-exists", "");
    raw_ended(raw_session("another session!", 1), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().sessions_refused, 2);
}

Test(session, the_oldest_of_too_many_that_linger_are_lost)
{
    again_with(&(struct chanserv_server_options){.lingering_max = 2});
    char id[17];
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "%016d", i * 1000 + i);
        memcpy(id, &i, sizeof i);
        struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Session", RAW_SESSION, 0);
        uint8_t msg[WIRE_SESSION_MAX];
        raw_send(c, msg, wire_session_up_put(msg, cs_bytes_of(id, 16), 1), false);
        cs_loop_settle(raw.loop);
        raw_leave(c);
    }
    cr_assert_eq(raw_counters().sessions, 2);
    cr_assert_eq(raw_counters().sessions_lost, 3);
}

Test(session, off_there_are_none)
{
    again_with(&(struct chanserv_server_options){.linger_ms = CS_OFF});
    struct raw_call *s = session(1);
    cs_loop_advance(raw.loop, 1000);
    raw_ended(s, CS_ENOTSUP, "", "");
    raw_ended(post_as(1, MASTER, 0, "3"), CS_EPRECOND, "no-session", "");
}

/* ---- Uplinks ----------------------------------------------------------------------------------- */

static void hear_readable(chanserv_outlet *o, void *state)
{
    cs_bytes frame;

    (void)state;
    while (chanserv_outlet_recv(o, &frame) == CS_OK)
        raw_say("%u: %.*s; ", (unsigned)chanserv_outlet_seq(o), CS_FMT(frame));
}

static const struct chanserv_outlet_ops hear_ops = {.uplink = true, .readable = hear_readable};

static cs_err hear(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    return chanserv_announce(post, body, &hear_ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static struct raw_call *talk_as(uint32_t attempt, const struct raw_call *post)
{
    struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32),
                             .channel = {true, cs_str(RAW_ID), attempt, SOURCE}};
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 0);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    raw_send(c, msg, len, false);
    cs_free(msg);
    cs_loop_settle(raw.loop);
    return c;
}

static void say(struct raw_call *c, const char *text)
{
    uint8_t msg[64];
    size_t n = wire_up_head(msg, strlen(text), false);

    memcpy(msg + n, text, strlen(text));
    raw_send(c, msg, n + strlen(text), false);
    cs_loop_settle(raw.loop);
}

Test(session, an_uplink_goes_on_where_the_producer_is)
{
    cr_assert_eq(chanserv_serve(raw.server, "hear", hear, NULL), CS_OK);
    struct raw_call *s = session(1);
    struct wire_post post = {.service = cs_str("hear"),
                             .channel = {true, cs_str(RAW_ID), 1, MASTER}};
    struct raw_call *p = raw_post_with(&post, 0);
    cs_loop_settle(raw.loop);
    struct raw_call *t = talk_as(1, p);
    say(t, "one");
    say(t, "two");
    raw_said("0: one; 1: two; ");
    raw_heard(s, "linger 30000;2 next 1;2 next 2;");
    lose_connection();
    s = session(2);
    raw_heard(s, "linger 30000;2 next 2;");
    t = talk_as(2, p);
    cr_assert_str_eq(t->next, "2");
    say(t, "three");
    raw_said("2: three; ");
}

static cs_err bye_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)state;
    *frame = cs_str("bye");
    return it.byes > 0 ? (it.byes--, CS_OK) : CS_AGAIN;
}

static const struct chanserv_outlet_ops bye_ops = {
    .uplink = true, .readable = hear_readable, .next = bye_next};

static cs_err bye(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    return chanserv_announce(post, body, &bye_ops, NULL, &it.outlet) == CS_OK ? CS_DONE : CS_ENOMEM;
}

/* Of one that listens no more it must not say what it said before. */
Test(session, an_uplink_says_what_it_wants_as_long_as_it_listens)
{
    cr_assert_eq(chanserv_serve(raw.server, "bye", bye, NULL), CS_OK);
    session(1);
    struct wire_post post = {.service = cs_str("bye"),
                             .channel = {true, cs_str(RAW_ID), 1, MASTER}};
    struct raw_call *p = raw_post_with(&post, 0);
    cs_loop_settle(raw.loop);
    struct raw_call *t = talk_as(1, p);
    say(t, "one");
    cr_assert_str_eq(t->next, "0", "it was not heard of before");
    raw_said("0: one; ");
    it.byes = 1;
    chanserv_outlet_wake(it.outlet);
    cs_loop_settle(raw.loop);
    chanserv_outlet_finish(it.outlet, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_heard(t, "bye|");
    raw_ended(t, CS_DONE, "", "");
    lose_connection();
    session(2);
    t = talk_as(2, p);
    raw_heard(t, "bye|");
    raw_ended(t, CS_DONE, "", "");
    cr_assert_str_eq(t->next, "");
}

/* ---- Memory ------------------------------------------------------------------------------------ */

Test(session, a_server_that_goes_takes_its_sessions_along)
{
    struct raw_call *s = session(1);
    struct raw_call *p = post_as(1, MASTER, 0, ""), *o = raw_open_as(1, SOURCE, p, 0);
    post_as(1, 3, 0, "2");
    (void)s, (void)o;
    lose_connection();
    session(2);
}
