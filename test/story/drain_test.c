/* A server that drains, or rolls its connections over, and our client: what was announced is opened,
 * what runs is finished or told, and nothing of a session is lost. */
#include "test/story/many.h"
#include "test/story/story.h"

#include "chanserv/server__in.h"

static int over;

static void drains(bool is_over, void *user)
{
    (void)user;
    over += is_over;
}

static struct story *up(int connection_age_ms, int resume_ms)
{
    const struct chanserv_server_options server = {.drains = drains,
                                                   .net.connection_age_ms = connection_age_ms};
    const struct chanserv_client_options client = {.resume_ms = resume_ms, .inline_bytes = CS_OFF};

    over = 0;
    return story_new(&server, &client);
}

/* A client without a session, and one with. */
static const int resumes[] = {CS_OFF, 30000};
#define EACH(i) for (size_t i = 0; i < sizeof resumes / sizeof *resumes; i++)

Test(drains, with_unopened_tickets_opens_them)
{
    EACH(i)
    {
        struct story *s = up(0, resumes[i]);
        chanserv_feed *feed;
        for (int n = 0; n < 3; n++)
            story_plan(s, (struct plan){.frames = 4, .bytes = 100});
        feed = story_post(s);
        story_take(s, feed);
        cr_assert_eq(s->sources_len, 3);
        chanserv_server_drain(s->server, 10000);
        for (size_t n = 0; n < 3; n++) {
            cs_loop_advance(s->loop, 1000);
            cr_assert_eq(over, 0);
            story_wants(story_drain(s, s->sources[n]), CS_DONE);
            chanserv_source_close(s->sources[n]);
        }
        (void)chanserv_feed_close(feed);
        cs_loop_advance(s->loop, 200);
        cr_assert_eq(over, 1, "nothing runs any more");
        story_free(s);
    }
}

Test(drains, what_runs_ends_behind_what_was_sent)
{
    EACH(i)
    {
        struct story *s = up(0, resumes[i]);
        struct plan *plan = story_plan(s, (struct plan){.frames = 8, .bytes = 1000, .waits_at = 5});
        chanserv_feed *feed;
        chanserv_source *source;
        cs_err err;
        s->answer = CS_AGAIN;
        feed = story_post(s);
        story_take(s, feed);
        source = s->sources[0];
        cr_assert_eq(story_read(s, source, 2, &err), 2);
        cs_loop_settle(s->loop);
        chanserv_server_drain(s->server, 2000);
        cs_loop_advance(s->loop, 1990);
        cr_assert_eq(plan->ends, 0);
        cs_loop_advance(s->loop, 50);
        story_ended(plan, CS_EDRAIN, "shutdown");
        cr_assert_eq(s->closed_why, CS_EDRAIN);
        cr_assert_eq(story_read(s, source, 8, &err), 3, "all that was given has come");
        story_wants(err, CS_EDRAIN);
        cr_assert(strstr(chanserv_source_errmsg(source), "going away"), "%s",
                  chanserv_source_errmsg(source));
        story_take(s, feed);
        story_wants(s->feed_end, CS_EDRAIN);
        chanserv_source_close(source);
        (void)chanserv_feed_close(feed);
        cs_loop_advance(s->loop, 500);
        cr_assert_eq(over, 1);
        story_free(s);
    }
}

Test(drains, what_ends_within_the_grace_ends_well_and_it_is_over)
{
    EACH(i)
    {
        struct story *s = up(0, resumes[i]);
        chanserv_feed *feed;
        struct plan *plan =
            story_plan(s, (struct plan){.frames = 20, .bytes = 30000, .waits_at = 5});
        chanserv_source *source;
        cs_err err;
        feed = story_post(s);
        story_take(s, feed);
        source = s->sources[0];
        cr_assert_eq(story_read(s, source, 5, &err), 5);
        chanserv_server_drain(s->server, 60000);
        cs_loop_advance(s->loop, 40000);
        cr_assert_eq(over, 0);
        story_go(s, plan);
        story_wants(story_drain(s, source), CS_DONE);
        chanserv_source_close(source);
        (void)chanserv_feed_close(feed);
        cs_loop_advance(s->loop, 200);
        cr_assert_eq(over, 1);
        story_free(s);
    }
}

Test(drains, a_post_meanwhile_goes_to_another_node)
{
    struct chanserv_counters counters;
    many_up();
    many_servers(2);
    while (many_ran("x") != 'b')
        ;
    chanserv_server_drain(many.servers[0], 10000);
    many.runs[0] = many.runs[1] = 0;
    for (int i = 0; i < 4; i++)
        cr_assert_eq(many_ran("x"), 'b');
    cr_assert_eq(many.runs[0], 0);
    cr_assert_eq(many.runs[1], 4);
    chanserv_server_counters(many.servers[0], &counters);
    cr_assert_eq(counters.posts_refused_draining, 1, "then it was known");
    many_down();
}

/* ---- Rolled over ------------------------------------------------------------------------------ */

Test(rolls, sources_stay_where_they_are_and_new_ones_are_opened_elsewhere)
{
    EACH(i)
    {
        struct story *s = up(5000, resumes[i]);
        struct plan *first =
            story_plan(s, (struct plan){.frames = 50, .bytes = 20000, .waits_at = 3});
        struct chanserv_counters c;
        chanserv_feed *feed;
        s->answer = CS_AGAIN;
        feed = story_post(s);
        story_take(s, feed);
        story_read(s, s->sources[0], 3, &s->feed_end);
        for (size_t n = 0; n < 4; n++) {
            cs_loop_advance(s->loop, 6000);
            story_plan(s, (struct plan){.frames = 4, .bytes = 100});
            chanserv_post_wake(s->post);
            cs_loop_settle(s->loop);
            story_take(s, feed);
            cr_assert_eq(s->sources_len, n + 2);
            cs_err end = story_drain(s, s->sources[n + 1]);
            if (end == CS_AGAIN) { /* just rolled over: so soon again the session rests first */
                cs_loop_advance(s->loop, 1000);
                end = story_drain(s, s->sources[n + 1]);
            }
            story_wants(end, CS_DONE);
            chanserv_source_close(s->sources[n + 1]);
        }
        story_go(s, first);
        story_wants(story_drain(s, s->sources[0]), CS_DONE);
        cr_assert_eq(first->opens, 1);
        c = story_counters(s);
        cr_assert_geq(c.connections_rolled, 3);
        cr_assert_eq(c.sessions_lost, 0);
        cr_assert_eq(c.channels_resumed, 0, "nothing had to be taken up");
        cr_assert(resumes[i] == CS_OFF || c.sessions_resumed >= 3, "%d", (int)c.sessions_resumed);
        chanserv_source_close(s->sources[0]);
        (void)chanserv_feed_close(feed);
        cs_loop_settle(s->loop);
        story_free(s);
    }
}
