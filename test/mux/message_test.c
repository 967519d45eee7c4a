#include "mux/rx.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include "mux/stats.h"

#include <criterion/criterion.h>

static struct talk t;

static void wake_it(struct side *s)
{
    mux_stream_wake(s->stream);
}

/* ---- Sending -------------------------------------------------------------------------------- */

Test(message, a_full_queue_refuses_and_tells_of_room)
{
    const struct mux_call_options options = {.send_max_bytes = 1000};
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open_with(&t, 0, &options);
    cr_assert_eq(mux_stream_room(c->stream), 1000);
    side_send_bytes(c, 994);
    cr_assert_eq(mux_stream_room(c->stream), 1);
    side_send_bytes(c, 5000); /* while there is room, whatever its size */
    cr_assert_eq(mux_stream_room(c->stream), 0);
    cr_assert_eq(mux_stream_send(c->stream, cs_str("x"), cs_str("")), CS_AGAIN);
    cr_assert_eq(mux_stream_queued(c->stream), 994 + 5000 + 10);
    talk_settle(&t);
    cr_assert_eq(c->writables, 1);
    cr_assert_eq(mux_stream_queued(c->stream), 0);
    cr_assert_eq(t.server[0].messages, 2);
    cr_assert_eq(t.server[0].bytes, 5994);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

Test(message, nothing_can_be_sent_after_the_last_word_or_the_end)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    mux_stream *stream = c->stream;
    cs_ref ref;
    cr_assert_eq(cs_ref_copy(cs_str("x"), &ref), CS_OK);
    mux_stream_finish(stream, CS_OK, NULL);
    cr_assert_eq(mux_stream_send_ref(stream, cs_str(""), &ref), CS_EMISUSE);
    mux_stream_cancel(stream, CS_ELIMIT);
    cr_assert_eq(mux_stream_send_ref(stream, cs_str(""), &ref), CS_ELIMIT);
    cr_assert_eq(mux_stream_room(stream), 0);
    cr_assert(ref.block, "what was refused was not taken");
    cs_ref_drop(&ref);
    talk_settle(&t);
    talk_end(&t);
}

static void fill(struct side *s)
{
    while (s->pull_left > 0 && mux_stream_room(s->stream) > 0) {
        side_send_bytes(s, s->pulls_of);
        s->pull_left--;
    }
    if (s->pull_left == 0)
        side_finish(s, CS_DONE);
    else
        cr_assert_eq(mux_stream_send(s->stream, cs_str("x"), cs_str("")), CS_AGAIN);
}

Test(message, pushing_with_writable_loses_no_wake_up)
{
    for (size_t len = 1; len < 100000; len = len * 3 + 1) {
        static const struct talk none;
        t = none;
        talk_begin(&t, NULL, NULL);
        t.server[0] = (struct side){.pulls_of = len, .pull_left = 500};
        t.server[0].on_accept = fill;
        t.server[0].on_writable = fill;
        struct side *c = talk_open(&t, 0);
        talk_settle(&t);
        cr_assert_eq(c->messages, 500, "%d of messages of %zu", c->messages, len);
        cr_assert_eq(c->bytes, 500 * len);
        cr_assert_eq(c->why, CS_DONE);
        talk_end(&t);
    }
}

static void wake_in_vain(struct side *s)
{
    if (s->pulls < 5) {
        mux_stream_wake(s->stream);
        return;
    }
    side_send(s, "at last");
    side_finish(s, CS_DONE);
}

Test(message, a_pull_that_wakes_itself_with_nothing_to_say_is_asked_again_a_turn_later)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_accept = wake_it;
    t.server[0].on_pull = wake_in_vain;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_str_eq(c->text, "at last|");
    cr_assert_eq(t.server[0].pulls, 5);
    talk_end(&t);
}

static void one_a_wake(struct side *s)
{
    if (s->pull_left > 0)
        side_send(s, "x");
    s->pull_left = 0;
}

Test(message, a_producer_with_nothing_is_asked_again_when_woken)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_pull = one_a_wake;
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    talk_settle(&t);
    cr_assert_eq(s->pulls, 0, "not before the first wake");
    for (int i = 1; i <= 10; i++) {
        s->pull_left = 1;
        mux_stream_wake(s->stream);
        talk_settle(&t);
        cr_assert_eq(c->messages, i);
        int before = s->pulls;
        mux_stream_wake(s->stream);
        mux_stream_wake(s->stream);
        talk_settle(&t);
        cr_assert_eq(s->pulls, before + 1);
    }
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

/* ---- Credit --------------------------------------------------------------------------------- */

/* DATA ends where a message does: what is left of one would hold a chunk until the stream's next turn, of each of
 * a thousand streams. */
Test(message, a_pulled_stream_that_waits_for_window_holds_no_more_than_a_message)
{
    enum { ALL = 65 + 5 }; /* with its prefix */
    talk_begin(&t, NULL, NULL);
    t.server[0] = (struct side){.pulls_of = ALL - 5, .pull_left = -1, .on_accept = wake_it};
    t.client[0].paused = true;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_leq(mux_stream_queued(t.server[0].stream), ALL);
    cr_assert_eq(mux_stream_waiting(c->stream), 65535, "and the window is used");
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

static void one_a_pull(struct side *s)
{
    side_send_bytes(s, s->pulls_of);
}

Test(message, a_producer_is_asked_for_no_more_than_the_window_takes)
{
    const struct mux_options options = {.window_bytes = 50000, .window_max_bytes = CS_OFF};
    talk_begin(&t, &options, NULL);
    t.server[0] = (struct side){.pulls_of = 1000, .on_pull = one_a_pull, .on_accept = wake_it};
    struct side *c = talk_open(&t, 0);
    c->paused = true;
    talk_settle(&t);
    cr_assert_eq(t.server[0].pulls, 50000 / 1005 + 1);
    cr_assert_lt(mux_stream_queued(t.server[0].stream), 1005, "none but the one that is cut");
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

Test(message, a_stream_nobody_reads_stops_its_own_sender_and_no_other)
{
    const struct mux_options fixed = {.window_max_bytes = CS_OFF};
    failing_count();
    talk_begin(&t, &fixed, NULL);
    for (int i = 0; i < 4; i++) {
        t.server[i] =
            (struct side){.pulls_of = 1000, .pull_left = i == 2 ? -1 : 20000, .finishes = true};
        t.server[i].on_accept = wake_it;
    }
    /* Two that are read first, so that what the link itself keeps is known. */
    talk_open(&t, 0);
    talk_open(&t, 1);
    talk_settle(&t);
    size_t usual = failing_live_bytes();
    t.client[2].paused = true;
    talk_open(&t, 2);
    talk_open(&t, 3);
    talk_settle(&t);
    cr_assert_eq(t.client[3].messages, 20000);
    cr_assert_eq(t.client[3].ends, 1);
    int pulls = t.server[2].pulls;
    /* A window, which may pin blocks of which it is three quarters (rx.c), and a queue. */
    size_t more = failing_live_bytes() - usual;
    cr_assert_leq(more, 65535 * 4 / 3 + 3 * 16384, "%zu bytes", more);
    cs_loop_advance(t.loop, 20000);
    cr_assert_eq(t.server[2].pulls, pulls, "asked although nobody reads");
    /* And it flows again when somebody does. */
    side_take(&t.client[2]);
    talk_settle(&t);
    cr_assert_gt(t.server[2].pulls, pulls);
    mux_stream_cancel(t.client[2].stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

Test(message, messages_may_be_longer_than_the_window)
{
    const struct mux_options narrow = {.window_bytes = 16 * 1024, .window_max_bytes = CS_OFF};
    static const size_t lens[] = {2000, 2100,  3000,  5000,  6000,   7000,
                                  8100, 16379, 16380, 70000, 3000000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        static const struct talk none;
        t = none;
        talk_begin(&t, &narrow, &narrow);
        t.server[0] = (struct side){.pulls_of = lens[i], .pull_left = 20, .finishes = true};
        t.server[0].on_accept = wake_it;
        t.client[0] = (struct side){.pulls_of = lens[i], .pull_left = 20, .finishes = true};
        struct side *c = talk_open(&t, 0);
        mux_stream_wake(c->stream);
        talk_settle(&t);
        cr_assert_eq(c->messages, 20, "%d of %zu", c->messages, lens[i]);
        cr_assert_eq(c->bytes, 20 * lens[i]);
        cr_assert_eq(c->why, CS_DONE);
        talk_end(&t);
    }
}

/* The first three fill 16 KiB so that the least credit has been told and the most is missing. */
static void any_length(struct side *s)
{
    static const size_t worst[] = {8000, 3000, 7000};
    for (; s->pull_left > 0 && mux_stream_room(s->stream) > 0; s->pull_left--)
        side_send_bytes(s, s->pull_left > 5000 ? worst[s->pull_left - 5001]
                                               : (size_t)(s->pull_left * 2617 % 8190));
    if (s->pull_left == 0)
        side_finish(s, CS_DONE);
}

Test(message, credit_that_is_not_told_yet_is_never_what_a_message_waits_for)
{
    const struct mux_options narrow = {.window_bytes = 1, .window_max_bytes = CS_OFF};
    talk_begin(&t, &narrow, NULL); /* 16 KiB are the least */
    t.server[0].pull_left = 5003;
    t.server[0].on_pull = any_length;
    t.server[0].on_accept = wake_it;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_eq(c->messages, 5003);
    cr_assert_eq(c->why, CS_DONE);
    talk_end(&t);
}

Test(message, a_window_grows_while_it_pays_and_the_budget_comes_back)
{
    const struct mux_options options = {
        .window_max_bytes = 256 * 1024, .window_grow_bytes = 256 * 1024, .window_bytes = 64 * 1024};
    talk_begin(&t, &options, NULL);
    for (uint64_t i = 1; i <= 5; i++) {
        t.accepted = 0;
        t.client[0] = (struct side){.why = CS_OK};
        t.server[0] = (struct side){.pulls_of = 10000, .pull_left = 500, .finishes = true};
        t.server[0].on_accept = wake_it;
        struct side *c = talk_open(&t, 0);
        talk_settle(&t);
        cr_assert_eq(c->messages, 500);
        cr_assert_eq(c->ends, 1);
        cr_assert_eq(mux_conn_stats(t.conn)->windows_grown, 2 * i);
    }
    talk_end(&t);
}

Test(message, a_window_grows_no_further_than_the_budget_of_its_connection)
{
    const struct mux_options options = {.window_max_bytes = 1024 * 1024,
                                        .window_grow_bytes = 100 * 1024,
                                        .window_bytes = 64 * 1024};
    talk_begin(&t, &options, NULL);
    t.server[0] = (struct side){.pulls_of = 10000, .pull_left = 500, .finishes = true};
    t.server[0].on_accept = wake_it;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_eq(c->messages, 500);
    cr_assert_eq(mux_conn_stats(t.conn)->windows_grown, 1, "64 KiB more, and not 128 again");
    talk_end(&t);
}

/* One message a turn, and many more lie there. */
static void take_one(struct side *s)
{
    cs_bytes m;
    if (mux_stream_recv(s->stream, &m) == CS_OK) {
        s->messages++;
        mux_stream_resume(s->stream);
    }
}

Test(message, a_window_of_a_reader_who_never_waits_stays_as_it_is)
{
    const struct mux_options options = {.window_bytes = 64 * 1024};
    talk_begin(&t, &options, NULL);
    t.server[0] = (struct side){.pulls_of = 1000, .pull_left = 1000, .finishes = true};
    t.server[0].on_accept = wake_it;
    t.client[0].on_readable = take_one;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_eq(c->messages, 1000);
    cr_assert_leq(mux_conn_stats(t.conn)->windows_grown, 1, "the first bytes found him waiting");
    talk_end(&t);
}

Test(message, credit_goes_back_when_the_message_is_taken_and_on_arrival_for_the_connection)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    fake_peer *peer = fake_server(t.loop, NULL, &t.conn);
    static char text[4000];
    memset(text, 'x', sizeof text - 1);
    t.client[0].paused = true;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    fake_answer(peer, 1);
    fake_forget(peer);
    for (int i = 0; i < 16; i++)
        fake_message(peer, 1, text, false);
    talk_settle(&t);
    cr_assert(!strstr(fake_said(peer), "WINDOW 1"), "%s", fake_said(peer));
    side_take(c);
    talk_settle(&t);
    cr_assert_eq(c->messages, 16);
    cr_assert(strstr(fake_said(peer), "WINDOW 1 "), "%s", fake_said(peer));
    fake_forget(peer);
    /* Other streams of the same connection get what nobody takes: more than 8 MiB in all. */
    bool given_back = false;
    for (int32_t id = 0; id < 140; id++) {
        struct side *d = &t.client[1];
        *d = (struct side){.paused = true, .talk = &t};
        cr_assert_eq(mux_stream_open(t.conn, TALK_METHOD, NULL, &talk_ops, d, &d->stream), CS_OK);
        talk_settle(&t);
        fake_answer(peer, 3 + 2 * id);
        for (int i = 0; i < 16; i++)
            fake_message(peer, 3 + 2 * id, text, false);
        talk_settle(&t);
        mux_stream_cancel(d->stream, CS_ECANCELED);
        talk_settle(&t);
        given_back = given_back || strstr(fake_said(peer), "WINDOW 0 ");
        fake_forget(peer);
    }
    cr_assert(given_back);
    mux_conn_free(t.conn);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}

Test(message, ten_thousand_cancelled_streams_leave_the_connection_its_credit)
{
    talk_begin(&t, NULL, NULL);
    for (int i = 0; i < 10000; i++) {
        t.accepted = 0;
        t.client[0] = (struct side){.paused = true};
        t.server[0] = (struct side){.pulls_of = 5000, .pull_left = -1};
        t.server[0].on_accept = wake_it;
        struct side *c = talk_open(&t, 0);
        /* Cancelled after more and more turns: on the way, arrived, half-way. */
        for (int turn = 0; turn < i % 7; turn++)
            cs_loop_call(t.loop, (void (*)(void *))(void (*)(void))talk_settle, &t);
        if (i % 3)
            talk_settle(&t);
        mux_stream_cancel(c->stream, CS_ECANCELED);
        if (i % 2)
            talk_settle(&t);
        talk_settle(&t);
        cr_assert_eq(c->ends, 1);
        cr_assert_eq(t.server[0].ends, t.accepted);
    }
    t.accepted = 0;
    t.client[0] = (struct side){.why = CS_OK};
    t.server[0] = (struct side){.pulls_of = 100000, .pull_left = 400, .finishes = true};
    t.server[0].on_accept = wake_it;
    talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_eq(t.client[0].bytes, 40000000);
    cr_assert_eq(mux_conn_stats(t.conn)->connections_total, 1);
    talk_end(&t);
}

/* ---- Whole runs of bytes -------------------------------------------------------------------- */

static struct mux_rx mine;

static void take_run(struct side *s)
{
    (void)mux_stream_take(s->stream, &mine);
}

static void credit_back(struct side *s)
{
    cs_bytes m;
    while (mux_rx_next(&mine, &m) == CS_OK)
        s->messages++;
    mux_stream_credit(s->stream, mux_rx_credit(&mine));
}

Test(message, runs_of_bytes_are_taken_out_of_a_stream_and_count_until_they_are_credited)
{
    talk_begin(&t, NULL, NULL);
    mux_rx_init(&mine, 1 << 20);
    t.client[0].on_readable = take_run;
    t.server[0] = (struct side){.pulls_of = 3000, .pull_left = 1000, .finishes = true};
    t.server[0].on_accept = wake_it;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_leq(mine.bytes, 65535);
    cr_assert_gt(mine.bytes, 60000);
    cr_assert_eq(c->ends, 0);
    for (int i = 0; i < 1000 && c->ends == 0; i++) {
        credit_back(c);
        talk_settle(&t);
    }
    cr_assert_eq(c->why, CS_DONE);
    cs_bytes m;
    while (mux_rx_next(&mine, &m) == CS_OK)
        c->messages++;
    cr_assert_eq(c->messages, 1000);
    mux_rx_fini(&mine);
    talk_end(&t);
}
