/* Streams that break alone or with their session, again and again, of those who read and of those who only
 * speak: who is given up, who waits, and who goes first. */
#include "chanserv/session__in.h"
#include "mux/local.h"
#include "test/chanserv/breaks.h"

#include <criterion/criterion.h>

static struct chanserv__session *session(void)
{
    return CS_CONTAINER(cs_list_first(&breaks.server->attached), struct chanserv__session, link);
}

/* As a proxy does which has lost the server: one stream after the other, and the session's last. */
static void reset_all(bool session_too)
{
    for (int i = 0; i < SOURCES; i++)
        if (breaks.outlets[i] && chanserv_outlet_is_open(breaks.outlets[i]))
            mux_stream_detach(breaks.outlets[i]->u.open.stream);
    if (session_too)
        mux_stream_cancel(session()->stream, CS_EPEER);
    cs_loop_advance(breaks.loop, 8000);
}

Test(resume, what_breaks_with_its_session_is_never_given_up)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    for (int i = 0; i < 12; i++)
        reset_all(true);
    cr_assert_eq(breaks_counters().sessions_resumed, 12, "%d",
                 (int)breaks_counters().sessions_resumed);
    for (int i = 0; i < 1000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "%zu", breaks.frames);
    breaks_end();
}

Test(resume, what_breaks_alone_is_given_up_after_the_third_time)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    for (int i = 0; i < 3; i++)
        reset_all(false);
    cr_assert_eq(breaks.unwanted + breaks.ends, 1, "the conversation: %d", breaks.ends);
    reset_all(false);
    cr_assert_eq(breaks_counters().sources_open, 0);
    cr_assert_eq(breaks.ends, SOURCES + 1, "%d", breaks.ends);
    breaks_end();
}

/* ---- Who only speaks --------------------------------------------------------------------------- */

static void hear_all(chanserv_outlet *o, void *state)
{
    cs_bytes frame;

    (void)state;
    while (chanserv_outlet_recv(o, &frame) == CS_OK)
        breaks.heard++;
    while (breaks.forgets && cs_list_pop(&session()->acks)) {
    }
}

static cs_err ear(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .uplink = true, .readable = hear_all, .end = breaks_outlet_end};

    (void)user;
    breaks.runs++;
    return chanserv_announce(post, body, &ops, NULL, &breaks.outlets[0]) == CS_OK ? CS_DONE
                                                                                  : CS_ENOMEM;
}

static void speak_to_ear(void)
{
    static const struct chanserv_feed_ops keeps = {.readable = breaks_feed_kept,
                                                   .end = breaks_feed_end};
    static const struct chanserv_source_ops mute = {.end = breaks_frames_end};

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(breaks.server, "ear", ear, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "ear", cs_str(""), NULL, &breaks.talk),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.talk, &keeps, &breaks.talk_why), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    cr_assert_eq(breaks.sources_len, 1);
    cr_assert_eq(chanserv_source_start(breaks.sources[0], &mute, NULL), CS_OK);
}

static void speak(void)
{
    cr_assert_eq(chanserv_source_send(breaks.sources[0], cs_str("word"), CS_NOW), CS_OK);
    breaks.said++;
    cs_loop_advance(breaks.loop, 10);
}

Test(resume, who_only_speaks_and_is_heard_does_not_wait_longer_and_longer)
{
    speak_to_ear();
    for (unsigned i = 0; i < 20; i++) {
        speak();
        mux_conn_break(chanserv__nodes_first(breaks.client)->conn);
        cs_loop_advance(breaks.loop, 20);
        cr_assert_eq(breaks_counters().sessions_resumed, i + 1, "%u", i);
    }
    cr_assert_eq(breaks.heard, breaks.said);
    breaks_end();
}

Test(resume, who_only_speaks_and_is_heard_is_not_given_up)
{
    speak_to_ear();
    for (int i = 0; i < 10; i++) {
        speak();
        mux_stream_detach(breaks.outlets[0]->u.open.stream);
        cs_loop_advance(breaks.loop, 200);
        cr_assert_eq(breaks_counters().sources_open, 1, "%d", i);
    }
    cr_assert_eq(breaks.heard, breaks.said);
    breaks_end();
}

/* All that may be kept was heard, and what the server said of it is lost. */
static void fill_up(void)
{
    cs_err err;

    speak_to_ear();
    breaks.forgets = true;
    while ((err = chanserv_source_send(breaks.sources[0], breaks_frame(100, breaks.said),
                                       CS_NOW)) == CS_OK) {
        breaks.said++;
        cs_loop_settle(breaks.loop);
    }
    cr_assert_eq(err, CS_AGAIN);
    cs_loop_advance(breaks.loop, 1000);
    cr_assert_eq(breaks.heard, breaks.said);
    cr_assert_eq(chanserv_source_send(breaks.sources[0], cs_str("more"), CS_NOW), CS_AGAIN);
    breaks.forgets = false;
}

Test(resume, who_keeps_all_that_he_may_is_told_again_what_was_heard)
{
    fill_up();
    mux_conn_break(chanserv__nodes_first(breaks.client)->conn);
    cs_loop_advance(breaks.loop, 1000);
    cr_assert_eq(chanserv_source_send(breaks.sources[0], cs_str("more"), CS_NOW), CS_OK);
    breaks_end();
}

Test(resume, who_keeps_all_that_he_may_is_told_again_although_only_the_session_broke)
{
    fill_up();
    mux_stream_cancel(session()->stream, CS_EPEER);
    cs_loop_advance(breaks.loop, 1000);
    cr_assert_eq(breaks_counters().sessions_resumed, 1);
    cr_assert_eq(chanserv_source_send(breaks.sources[0], cs_str("more"), CS_NOW), CS_OK);
    breaks_end();
}

/* Or where connections are short those at the end never would. */
Test(resume, who_got_on_lets_the_others_go_first)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &breaks_feed_ops, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    for (int i = 0; i < SOURCES; i++) {
        breaks.allow = 2;
        chanserv_outlet_wake(breaks.outlets[i]);
        cs_loop_advance(breaks.loop, 50);
        mux_conn_break(chanserv__nodes_first(breaks.client)->conn);
        cs_loop_advance(breaks.loop, 50);
        cr_assert_eq(breaks.attached, (i + 1) * SOURCES);
        cr_assert_eq(breaks.attached_last, (uint64_t)i, "%d", i);
    }
    breaks_end();
}
