/* Sessions and drains of a server of several loops. */
#include "looped.h"

TestSuite(loops_session, .init = looped_up, .fini = looped_down);
TestSuite(loops_session_parallel, .init = looped_up_parallel, .fini = looped_down);

/* ---- Sessions ------------------------------------------------------------------------------------ */

static struct raw_call *session(uint32_t attempt)
{
    return raw_session(RAW_ID, attempt);
}

static struct raw_call *post_as(uint32_t attempt, const char *service, const char *body)
{
    return raw_post_as(attempt, 1, service, body, 0);
}

static struct raw_call *open_as(uint32_t attempt, const struct raw_call *post, uint64_t from)
{
    return raw_open_as(attempt, 2, post, from);
}

/* It begins on one loop and is taken up on the next. */
static void goes_on_elsewhere(const char *service, int home)
{
    struct raw_call *s, *post, *open;

    looped_at(1);
    s = session(1);
    raw_heard(s, "linger 30000;");
    cr_assert_eq(looped_loops()->all[home]->counters.sessions, 1);
    post = post_as(1, service, "3");
    raw_heard(post, "#0 h;");
    cr_assert_eq(looped.ran_on, looped_loops()->all[home]);
    open = open_as(1, post, 0);
    raw_heard(open, "x|x|x|");
    raw_ended(session(1), CS_EEXIST, "session-exists", "");
    looped_lose(1);
    cr_assert_eq(raw_counters().sessions_lingering, 1);
    looped_at(2);
    s = session(2);
    raw_heard(s, "linger 30000;");
    open = open_as(2, post, 1);
    raw_heard(open, "x|x|");
    raw_ended(open, CS_DONE, "", "");
    looped_at(0);
    s = session(3);
    raw_heard(s, "linger 30000;");
    cr_assert_eq(raw_counters().sessions_resumed, 2);
    cr_assert_eq(raw_counters().sessions, 1);
    mux_stream_finish(s->stream, CS_OK, NULL); /* bye */
    cs_loop_settle(raw.loop);
    raw_ended(s, CS_DONE, "", "");
    cr_assert_eq(raw_counters().sessions, 0);
    cr_assert_eq(looped_loops()->sessions.len, 0);
    looped_at(2);
    raw_ended(session(4), CS_ELOST, "lost", "");
}

Test(loops_session, a_session_lives_on_the_first_loop)
{
    goes_on_elsewhere("s", 0);
}

Test(loops_session, a_session_takes_posts_of_parallel_services_along)
{
    goes_on_elsewhere("p", 0);
}

Test(loops_session_parallel, a_session_lives_where_it_began)
{
    goes_on_elsewhere("p", 1);
}

Test(loops_session_parallel, a_session_of_no_loop_begins_here_and_one_that_is_unknown_is_lost)
{
    looped_at(2);
    raw_ended(session(2), CS_ELOST, "lost", "");
    raw_heard(session(1), "linger 30000;");
    cr_assert_eq(looped_loops()->all[2]->counters.sessions, 1);
    looped_at(0);
    raw_ended(session(1), CS_EEXIST, "session-exists", "");
    looped_lose(2);
    cs_loop_advance(raw.loop, 30001);
    cr_assert_eq(looped_loops()->sessions.len, 0);
    looped_at(0);
    raw_ended(session(2), CS_ELOST, "lost", "");
}

Test(loops_session_parallel, a_session_of_somebody_else_is_not_his_on_any_loop)
{
    looped_at(1);
    raw.token = "alice";
    raw_heard(session(1), "linger 30000;");
    looped_at(2);
    raw.token = "bob";
    raw_ended(session(2), CS_ELOST, "lost", "");
    raw.token = "alice";
    raw_heard(session(2), "linger 30000;");
}

Test(loops_session, a_session_moves_when_its_connection_goes)
{
    struct raw_call *s;

    looped_at(1);
    s = session(1);
    looped_roll(1);
    cs_loop_settle(raw.loop);
    raw_ended(s, CS_EDRAIN, "draining", "");
    cr_assert_eq(raw_counters().sessions_lingering, 1);
    looped_at(2);
    raw_heard(session(2), "linger 30000;");
}

/* ---- Going ---------------------------------------------------------------------------------------- */

Test(loops_session, a_drain_waits_for_what_other_loops_hold)
{
    struct raw_call *post, *open;

    looped_at(1);
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

Test(loops_session, a_drain_ends_all_when_its_time_is_over)
{
    struct raw_call *open, *session_call;

    looped_at(1);
    open = looped_open_paused(raw_post("s", "0"), 0);
    looped_at(2);
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

Test(loops_session, a_session_without_a_channel_does_not_hold_up_a_drain)
{
    looped_at(1);
    session(1);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 300);
    cr_assert_eq(raw.server->drain.stage, CHANSERV__DRAINED);
}
