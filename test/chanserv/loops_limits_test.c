/* Limits of a server of several loops are those of all together. */
#include "looped.h"

static const char OTHER[] = "another one's id", THIRD[] = "a third one's id";

Test(loops_limits, posts)
{
    struct raw_call *first;

    looped_up_stay(&(struct chanserv_server_options){.posts_max = 2});
    first = raw_post("p.stay", "");
    raw_runs(first);
    looped_at(1);
    raw_runs(raw_post("p.stay", ""));
    looped_at(2);
    raw_ended(raw_post("p.stay", ""), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().posts_refused_limit, 1);
    raw_leave(first);
    raw_runs(raw_post("p.stay", ""));
    looped_down();
}

Test(loops_limits, sources)
{
    looped_up_stay(&(struct chanserv_server_options){.sources_max = 2});
    raw_runs(raw_post("p.stay", ""));
    looped_at(1);
    raw_runs(raw_post("p.stay", ""));
    looped_at(2);
    raw_ended(raw_post("p.stay", ""), CS_ELIMIT, "", "");
    cr_assert_eq(raw_counters().announce_refused_limit, 1);
    looped_down();
}

Test(loops_limits, sessions)
{
    looped_up_stay(&(struct chanserv_server_options){.sessions_max = 1});
    raw_runs(raw_session(RAW_ID, 1));
    looped_at(1);
    raw_ended(raw_session(OTHER, 1), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().sessions_refused_limit, 1);
    looped_down();
}

Test(loops_limits, channels)
{
    const struct wire_post other = {.service = cs_str("p.stay"),
                                    .channel = {true, cs_str(OTHER), 1, 1}};
    struct raw_call *c;

    looped_up_stay(&(struct chanserv_server_options){.channels_max = 1});
    raw_runs(raw_session(RAW_ID, 1));
    raw_runs(raw_post_as(1, 1, "p.stay", "", 0));
    looped_at(1);
    raw_runs(raw_session(OTHER, 1));
    c = raw_post_with(&other, 0);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().channels_refused, 1);
    looped_down();
}

/* The oldest of its own loop is lost: no other thread may touch it. */
Test(loops_limits, lingering_sessions)
{
    looped_up_stay(&(struct chanserv_server_options){.lingering_max = 2});
    raw_runs(raw_session(RAW_ID, 1));
    looped_lose(0);
    looped_at(1);
    raw_runs(raw_session(OTHER, 1));
    raw_runs(raw_session(THIRD, 1));
    cr_assert_eq(raw_counters().lingering_lost, 0);
    looped_lose(1);
    cr_assert_eq(raw_counters().lingering_lost, 1);
    cr_assert_eq(raw_counters().sessions_lingering, 2);
    looped_at(0);
    looped_down();
}

Test(loops_limits, what_sessions_keep)
{
    const struct chanserv_server_options options = {.attached_bytes = 3000, .lingering_bytes = 300};

    looped_up_stay(&options);
    for (int i = 0; i < LOOPED; i++) {
        cr_expect_eq(looped_loops()->all[i]->kept_attached.bytes_max, 1000);
        cr_expect_eq(looped_loops()->all[i]->kept_lingering.bytes_max, 100);
    }
    looped_down();
}

Test(loops_limits, what_sessions_keep_where_all_of_them_are)
{
    looped_up_with(&(struct chanserv_server_options){.attached_bytes = 3000});
    cr_expect_eq(looped_loops()->all[0]->kept_attached.bytes_max, 3000);
    looped_down();
}
