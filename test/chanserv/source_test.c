#include "test/chanserv/fake_server.h"

#include "chanserv/client__in.h"
#include "mux/local.h"

static struct fake f;
static chanserv_feed *feed;

static chanserv_source *announced(const struct chanserv_client_options *options)
{
    fake_begin(&f, options);
    feed = fake_post(&f, "ticker");
    return fake_source(&f, feed, 0);
}

static chanserv_source *opened(const struct chanserv_client_options *options)
{
    chanserv_source *source = announced(options);
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cs_loop_settle(f.loop);
    return source;
}

static cs_err recv_err(chanserv_source *source)
{
    cs_bytes frame;
    return chanserv_source_recv(source, &frame);
}

Test(source, says_what_was_announced)
{
    chanserv_source *source = announced(NULL);
    cr_expect(cs_same(chanserv_source_header(source), cs_str("h0")));
    cr_expect(cs_same(chanserv_source_ticket(source), cs_str("t0")));
    cr_expect_eq(chanserv_source_index(source), 0);
    cr_expect_eq(chanserv_source_index(fake_source(&f, feed, 1)), 1);
    cr_expect_eq(chanserv_source_feed(source), feed);
    cr_expect_eq(chanserv_source_status(source), CS_AGAIN);
    cr_expect_str_eq(chanserv_source_errmsg(source), "");
    fake_end(&f);
}

Test(source, that_nobody_asks_is_not_opened)
{
    chanserv_source *source = announced(NULL);
    cs_loop_settle(f.loop);
    chanserv_source_close(source);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.opens_len, 0);
    fake_end(&f);
}

Test(source, is_opened_by_its_ticket_when_first_asked)
{
    chanserv_source *source = announced(NULL);
    cr_expect_eq(recv_err(source), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.opens_len, 1);
    cr_expect_str_eq(f.opens[0].text, "t0");
    cr_expect_eq(f.opens[0].from, 0);
    cr_expect_eq(f.opens[0].timeout_ms, CS_FOREVER);
    cr_expect_eq(recv_err(source), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.opens_len, 1, "once");
    cr_expect_eq(chanserv_source_open(source, 0), CS_EMISUSE);
    fake_end(&f);
}

Test(source, can_be_opened_from_a_number)
{
    chanserv_source *source = announced(NULL);
    cr_expect_eq(chanserv_source_open(source, 7), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.opens[0].from, 7);
    fake_frame(&f, 0, "h");
    fake_expect(source, "h", 7, 0);
    fake_end(&f);
}

Test(source, ends_with_the_status_of_its_producer_after_its_frames)
{
    chanserv_source *source = opened(NULL);
    fake_frame(&f, 0, "a");
    fake_finish(&f, 0, CS_EDATALOSS, "sector 7 is gone");
    fake_expect(source, "a", 0, 0);
    cs_loop_settle(f.loop);
    cr_expect_eq(recv_err(source), CS_EDATALOSS);
    cr_expect_eq(chanserv_source_status(source), CS_EDATALOSS);
    cr_expect_str_eq(chanserv_source_errmsg(source), "source 0 (h0): DATA_LOSS: sector 7 is gone");
    cr_expect_eq(chanserv_feed_status(feed), CS_EDATALOSS, "the feed's, too");
    cr_expect_str_eq(chanserv_feed_errmsg(feed),
                     "post ticker: source 0 (h0): DATA_LOSS: sector 7 is gone");
    fake_end(&f);
}

Test(source, whose_header_cannot_be_shown_is_named_in_dots)
{
    const struct wire_announcement a = {
        .ticket = cs_str("t"),
        .header = cs_str("\x01\xff 567890123456789012345678901234567890 cut here")};
    const char *story;
    chanserv_source *source;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    fake_announce_full(&f, &a);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cs_loop_settle(f.loop);
    fake_finish(&f, 0, CS_ENOENT, "x");
    cr_expect_eq(recv_err(source), CS_ENOENT);
    story = chanserv_source_errmsg(source);
    cr_expect_str_eq(story, "source 0 (.. 567890123456789012345678901234567890 ): NOT_FOUND: x");
    fake_end(&f);
}

Test(source, whose_connection_breaks_ends_after_what_arrived)
{
    chanserv_source *source = opened(NULL);
    fake_frame(&f, 0, "a");
    mux_conn_break(chanserv__nodes_first(f.client)->conn);
    cs_loop_settle(f.loop);
    fake_expect(source, "a", 0, 0);
    cs_loop_settle(f.loop);
    cr_expect_eq(recv_err(source), CS_EPEER);
    cr_expect_eq(chanserv_feed_status(feed), CS_EPEER);
    fake_end(&f);
}

Test(source, nobody_reads_stops_its_sender_and_no_other)
{
    chanserv_source *busy = opened(NULL), *lazy = fake_source(&f, feed, 1);
    size_t sent[2] = {0, 0}, got = 0;
    static char text[1025];
    cs_bytes frame;

    cr_assert_eq(chanserv_source_open(lazy, 0), CS_OK);
    cs_loop_settle(f.loop);
    memset(text, 'x', 1024);
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < 2; i++)
            if (mux_stream_room(f.opens[i].stream) > 0) {
                fake_frame(&f, i, text);
                sent[i]++;
            }
        while (chanserv_source_recv(busy, &frame) == CS_OK)
            got++;
    }
    cr_expect_gt(sent[0], 1900);
    cr_expect_eq(sent[0], got);
    cr_expect_lt(sent[1], 100, "64 KiB of window, 16 KiB queued: %zu", sent[1]);
    cr_expect_gt(sent[1], 60);
    got = 0;
    while (chanserv_source_recv(lazy, &frame) == CS_OK || cs_loop_settle(f.loop) > 0)
        got++;
    cr_expect_geq(got, sent[1]);
    fake_end(&f);
}

Test(source, gives_credit_back_while_a_batch_is_used_up)
{
    chanserv_source *source = opened(NULL);
    static char text[1025];
    size_t room = 0;

    memset(text, 'x', 1024);
    while (mux_stream_room(f.opens[0].stream) > 0)
        fake_frame(&f, 0, text); /* the window is full, and the queue */
    cr_assert_eq(mux_stream_room(f.opens[0].stream), 0);
    for (int i = 0; i < 40; i++) { /* of the 63 that came in one batch */
        fake_expect(source, text, (uint64_t)i, 0);
        cs_loop_settle(f.loop);
        room = mux_stream_room(f.opens[0].stream);
    }
    cr_expect_gt(room, 0, "nghttp2 says nothing below half a window");
    fake_end(&f);
}

Test(source, that_is_cancelled_ends_at_once_and_tells_the_server)
{
    chanserv_source *source = opened(NULL);
    fake_frame(&f, 0, "never seen");
    chanserv_source_cancel(source);
    cr_expect_eq(recv_err(source), CS_ECANCELED);
    cr_expect_eq(chanserv_source_status(source), CS_ECANCELED);
    cs_loop_settle(f.loop);
    cr_expect_null(f.opens[0].stream);
    cr_expect(cs_failed(f.opens[0].why));
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN, "that was no failure");
    fake_end(&f);
}

Test(source, that_is_closed_half_way_tells_the_server)
{
    chanserv_source *source = opened(NULL);
    fake_frame(&f, 0, "a");
    fake_expect(source, "a", 0, 0);
    chanserv_source_close(source);
    cs_loop_settle(f.loop);
    cr_expect_null(f.opens[0].stream);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
    fake_end(&f);
}

Test(source, carries_what_is_left_of_the_deadline)
{
    const struct chanserv_post_options options = {.timeout_ms = 1000};
    chanserv_source *a, *b, *late;

    fake_begin(&f, NULL);
    cr_assert_eq(chanserv_lookup_and_post(f.client, "slow", cs_str(""), &options, &feed), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.posts[0].timeout_ms, 1000);
    a = fake_source(&f, feed, 0);
    b = chanserv_source_keep(fake_source(&f, feed, 1));
    late = chanserv_source_keep(fake_source(&f, feed, 2));
    fake_finish_post(&f, CS_DONE, NULL);
    cs_loop_advance(f.loop, 300);
    cr_expect_eq(recv_err(a), CS_AGAIN);
    cr_expect_eq(recv_err(b), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.opens_len, 2);
    cr_expect_eq(f.opens[0].timeout_ms, 700);
    cr_expect_eq(f.opens[1].timeout_ms, 700);
    cs_loop_advance(f.loop, 701);
    cr_expect_eq(recv_err(a), CS_ETIMEOUT);
    cr_expect_eq(recv_err(b), CS_ETIMEOUT);
    cr_expect_eq(recv_err(late), CS_ETIMEOUT, "it is too late to open it");
    cs_loop_settle(f.loop);
    cr_expect_eq(f.opens_len, 2);
    cr_expect_eq(chanserv_feed_status(feed), CS_ETIMEOUT);
    chanserv_source_close(b);
    chanserv_source_close(late);
    fake_end(&f);
}

Test(source, that_is_silent_for_too_long_ends)
{
    const struct chanserv_client_options options = {.frame_timeout_ms = 100};
    chanserv_source *source = opened(&options);

    cs_loop_advance(f.loop, 90);
    fake_frame(&f, 0, "a");
    cs_loop_advance(f.loop, 1000); /* the application's silence does not count */
    fake_expect(source, "a", 0, 0);
    cr_expect_eq(recv_err(source), CS_AGAIN);
    cs_loop_advance(f.loop, 90);
    fake_frame(&f, 0, "b");
    fake_expect(source, "b", 1, 0);
    cr_expect_eq(recv_err(source), CS_AGAIN);
    cs_loop_advance(f.loop, 101);
    cr_expect_eq(recv_err(source), CS_ETIMEOUT);
    cr_expect_str_eq(chanserv_source_errmsg(source), "source 0 (h0): no frame for too long");
    cs_loop_settle(f.loop);
    cr_expect_null(f.opens[0].stream);
    fake_end(&f);
}

Test(source, that_is_kept_outlives_its_feed)
{
    chanserv_source *source = opened(NULL);
    cr_expect_eq(chanserv_source_keep(source), source);
    cr_expect_null(chanserv_source_feed(source));
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
    cs_loop_settle(f.loop);
    fake_frame(&f, 0, "still here");
    fake_expect(source, "still here", 0, 0);
    chanserv_source_close(source);
    fake_end(&f);
}

Test(source, that_is_kept_outlives_its_client_and_its_loop)
{
    const struct chanserv_client_options options = {.frame_timeout_ms = 100};
    chanserv_source *source = chanserv_source_keep(opened(&options));
    cr_expect_eq(recv_err(source), CS_AGAIN);
    fake_end(&f);
    cr_expect_eq(chanserv_source_status(source), CS_ECANCELED);
    cr_expect_eq(recv_err(source), CS_ECANCELED);
    cr_expect(cs_same(chanserv_source_header(source), cs_str("h0")));
    chanserv_source_close(source);
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

enum what { READ, LEAVE, CLOSE, CLOSE_FEED, FREE_CLIENT };
struct log {
    int readable, end;
    cs_err why;
    enum what what;
    char text[64];
};

static void take_all(chanserv_source *source, struct log *log)
{
    cs_bytes frame;
    while (chanserv_source_recv(source, &frame) == CS_OK)
        strncat(log->text, frame.base, frame.len);
}

static void act(chanserv_source *source, struct log *log)
{
    switch (log->what) {
    case READ:
        take_all(source, log);
        break;
    case LEAVE:
        break;
    case CLOSE:
        chanserv_source_close(source);
        break;
    case CLOSE_FEED:
        chanserv_feed_close(feed);
        break;
    case FREE_CLIENT:
        chanserv_client_free(f.client);
        f.client = NULL;
        break;
    }
}

static void on_readable(chanserv_source *source, void *state)
{
    struct log *log = state;
    log->readable++;
    act(source, log);
    log->text[0] |= 0; /* the state is there until the end of the turn, whatever was freed */
}

static void on_end(chanserv_source *source, cs_err why, void *state)
{
    struct log *log = state;
    (void)source;
    log->end++;
    log->why = why;
}

static const struct chanserv_source_ops ops = {.readable = on_readable, .end = on_end};

static chanserv_source *started(struct log *log)
{
    chanserv_source *source = announced(NULL);
    cr_assert_eq(chanserv_source_start(source, &ops, log), CS_OK);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.opens_len, 1);
    return source;
}

Test(source, that_is_started_is_opened_and_told_what_comes)
{
    struct log log = {0};
    chanserv_source *source = started(&log);
    cr_expect_eq(log.readable, 0, "nothing has come");
    cr_expect_eq(chanserv_source_state(source), &log);
    cr_expect_eq(chanserv_source_start(source, &ops, &log), CS_EMISUSE);
    fake_frame(&f, 0, "a");
    fake_frame(&f, 0, "b");
    cr_expect_str_eq(log.text, "ab");
    cr_expect_eq(log.readable, 2);
    fake_finish(&f, 0, CS_DONE, NULL);
    cr_expect_eq(log.end, 1);
    cr_expect_eq(log.why, CS_DONE);
    fake_end(&f);
    cr_expect_eq(log.end, 1, "exactly once");
}

Test(source, that_is_left_unread_is_not_told_again_before_it_resumes)
{
    struct log log = {.what = LEAVE};
    chanserv_source *source = started(&log);
    fake_frame(&f, 0, "a");
    cr_expect_eq(log.readable, 1);
    fake_frame(&f, 0, "b");
    fake_finish(&f, 0, CS_DONE, NULL);
    cr_expect_eq(log.readable, 1);
    cr_expect_eq(log.end, 0, "not before its frames were received");
    log.what = READ;
    chanserv_source_resume(source);
    cr_expect_eq(log.readable, 1, "not within the call");
    cs_loop_settle(f.loop);
    cr_expect_str_eq(log.text, "ab");
    cr_expect_eq(log.end, 1);
    fake_end(&f);
}

Test(source, that_is_closed_by_its_reader_ends_once)
{
    static const enum what all[] = {CLOSE, CLOSE_FEED, FREE_CLIENT};
    for (size_t i = 0; i < 3; i++) {
        struct log log = {.what = all[i]};
        started(&log);
        fake_frame(&f, 0, "a");
        cr_expect_eq(log.readable, 1);
        cr_expect_eq(log.end, 1);
        cr_expect_eq(log.why, CS_ECANCELED);
        fake_end(&f);
        cr_expect_eq(log.end, 1);
    }
}

Test(source, that_is_cancelled_is_told_its_end)
{
    struct log log = {.what = LEAVE};
    chanserv_source *source = started(&log);
    fake_frame(&f, 0, "a");
    chanserv_source_cancel(source);
    cr_expect_eq(log.end, 0, "not within the call");
    cs_loop_settle(f.loop);
    cr_expect_eq(log.end, 1);
    cr_expect_eq(log.why, CS_ECANCELED);
    fake_end(&f);
}

Test(source, started_with_inline_frames_is_told_of_them)
{
    struct wire_frame frame = {.kind = WIRE_PAYLOAD, .payload = cs_str("inline")};
    const struct wire_announcement a = {
        .frames = &frame, .frames_len = 1, .end = {.present = true, .code = 8}};
    struct log log = {0};
    chanserv_source *source;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "eager");
    fake_announce_full(&f, &a);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
    cr_assert_eq(chanserv_source_start(source, &ops, &log), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_str_eq(log.text, "inline");
    cr_expect_eq(log.end, 1);
    cr_expect_eq(log.why, CS_ELIMIT);
    fake_end(&f);
}

Test(source, that_was_whole_in_its_announcement_has_no_frame_beyond)
{
    struct wire_frame frame = {.kind = WIRE_PAYLOAD, .payload = cs_str("inline")};
    const struct wire_announcement a = {
        .frames = &frame, .frames_len = 1, .end = {.present = true, .code = 0}};
    const cs_err want[] = {CS_DONE, CS_ERANGE};

    for (uint64_t i = 0; i < 2; i++) {
        chanserv_source *source;

        fake_begin(&f, NULL);
        feed = fake_post(&f, "eager");
        fake_announce_full(&f, &a);
        cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
        cr_expect_eq(chanserv_source_open(source, 1 + i), CS_OK);
        cr_expect_eq(recv_err(source), want[i]);
        cr_expect_eq(chanserv_source_status(source), want[i]);
        cr_expect_eq(f.opens_len, 0);
        fake_end(&f);
    }
}

Test(source, that_is_kept_and_left_unread_is_told_its_end_when_the_client_is_freed)
{
    struct log log = {.what = LEAVE};
    chanserv_source *source = chanserv_source_keep(started(&log)), *idle;
    fake_frame(&f, 0, "a");
    cr_expect_eq(log.readable, 1);
    idle = chanserv_source_keep(fake_source(&f, feed, 1));
    fake_end(&f);
    cr_expect_eq(log.end, 1, "when client_free() returns");
    cr_expect_eq(log.why, CS_ECANCELED);
    cr_expect_eq(recv_err(source), CS_ECANCELED);
    cr_expect_eq(chanserv_source_start(idle, &ops, &log), CS_EMISUSE, "nobody would call it");
    chanserv_source_close(source);
    chanserv_source_close(idle);
    cr_expect_eq(log.end, 1, "exactly once");
}

Test(source, copies_its_state)
{
    static const struct chanserv_source_ops copied = {
        .state_bytes = sizeof(struct log), .readable = on_readable, .end = on_end};
    struct log log = {.what = CLOSE, .readable = 5};
    chanserv_source *source = announced(NULL);
    struct log *state;

    cr_assert_eq(chanserv_source_start(source, &copied, &log), CS_OK);
    log.readable = 0;
    state = chanserv_source_state(source);
    cr_expect_neq(state, &log);
    cr_expect_eq(state->readable, 5);
    cs_loop_settle(f.loop);
    fake_frame(&f, 0, "a"); /* closes it, and looks at its state after that */
    fake_end(&f);
}

Test(source, is_small)
{
    cr_expect_leq(sizeof(chanserv_source), 328, "%zu", sizeof(chanserv_source));
}
