/* Floods of every kind: what is below a limit passes, the next one ends the connection, and what pays
 * for itself may go on for ever. */
#include "test/mux/talk.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { PRIORITY = 2, CONTINUATION = 9, PADDED = 8, UNKNOWN = 0x50 };

#define NOWHERE "/test/Nowhere"

static struct talk t;
static fake_peer *peer;
static int32_t next_id;

/* ---- A frame of each kind ------------------------------------------------------------------- */

static void settings(void)
{
    fake_frame(peer, FAKE_SETTINGS, 0, 0, cs_bytes_of(NULL, 0));
}
static void goaway(void)
{
    fake_goaway(peer, 0, 0);
}
static void ping(void)
{
    fake_frame(peer, FAKE_PING, 0, 0, cs_str("12345678"));
}
static void pong(void)
{
    fake_frame(peer, FAKE_PING, 1, 0, cs_str("12345678"));
}
static void empty_data(void)
{
    fake_frame(peer, FAKE_DATA, 0, 1, cs_bytes_of(NULL, 0));
}
static void padded_data(void)
{
    fake_frame(peer, FAKE_DATA, PADDED, 1, cs_bytes_of("\3\0\0\0", 4));
}
static void priority(void)
{
    fake_frame(peer, PRIORITY, 0, 1, cs_bytes_of("\0\0\0\0\20", 5));
}
static void priority_update(void)
{
    fake_frame(peer, 16, 0, 0, cs_bytes_of("\0\0\0\1u=1", 7));
}
static void window_update(void)
{
    fake_word(peer, FAKE_WINDOW, 0, 1);
}
static void window_of_a_closed_one(void)
{
    fake_word(peer, FAKE_WINDOW, 3, 1);
}
static void unknown(void)
{
    fake_frame(peer, UNKNOWN, 0, 0, cs_str("?"));
}
static void reset_of_a_closed_one(void)
{
    fake_word(peer, FAKE_RST, 3, 8);
}
static void reset(void)
{
    fake_request(peer, next_id, false, NOWHERE);
    fake_word(peer, FAKE_RST, next_id, 8);
    next_id += 2;
}
static void fault(void) /* a window that overflows: nghttp2 resets the stream */
{
    fake_request(peer, next_id, false, NOWHERE);
    fake_word(peer, FAKE_WINDOW, next_id, INT32_MAX);
    next_id += 2;
}
static void long_headers(void)
{
    char value[1000];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = 0;
    fake_headers(peer, next_id, true, ":method", "POST", ":scheme", "http", ":path", NOWHERE,
                 ":authority", "fake", "x-long", value, NULL);
    next_id += 2;
}

#define ROW(option, counter)                                                                       \
    offsetof(struct mux_options, option), offsetof(struct mux_stats, counter), #option
static const struct flood {
    void (*one)(void);
    int before; /* so many have come by themselves */
    size_t option, counter;
    const char *text;
} floods[] = {
    {settings, 2, ROW(settings_max, cut_settings)}, /* the first one, and its acknowledgement */
    {goaway, 2, ROW(settings_max, cut_settings)},
    {ping, 0, offsetof(struct mux_options, pings_max), offsetof(struct mux_stats, cut_pings),
     "too_many_pings"},
    {pong, 0, offsetof(struct mux_options, pings_max), offsetof(struct mux_stats, cut_pings),
     "too_many_pings"},
    {empty_data, 0, ROW(empty_data_max, cut_empty_data)},
    {padded_data, 0, ROW(empty_data_max, cut_empty_data)},
    {priority, 0, ROW(priorities_max, cut_priorities)},
    {priority_update, 0, ROW(priorities_max, cut_priorities)},
    {window_update, 0, ROW(window_updates_max, cut_window_updates)},
    {window_of_a_closed_one, 0, ROW(window_updates_max, cut_window_updates)},
    {unknown, 0, ROW(unknown_max, cut_unknown)},
    {reset_of_a_closed_one, 1, ROW(unknown_max, cut_unknown)}, /* the first one was for it */
    {reset, 0, ROW(resets_max, cut_resets)},
    {fault, 0, ROW(faults_max, cut_faults)},
    {long_headers, 0, ROW(faults_max, cut_faults)},
};
enum { FLOODS = sizeof floods / sizeof *floods };

/* A client with a stream that goes on, 1, and one that it has reset, 3. */
static void begin(const struct mux_options *options)
{
    talk_handlers(&t);
    peer = fake_client(t.loop, options, t.handlers);
    fake_request(peer, 1, false, TALK_METHOD);
    fake_request(peer, 3, false, TALK_METHOD);
    talk_settle(&t);
    mux_stream_send_headers(t.server[1].stream);
    fake_word(peer, FAKE_RST, 3, 8);
    talk_settle(&t);
    cr_assert_eq(t.server[1].ends, 1);
    cs_loop_advance(t.loop, 1000);
    next_id = 5;
}

static void end(void)
{
    mux_handlers_free(t.handlers);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
    memset(&t, 0, sizeof t);
}

static struct mux_options only(const struct flood *flood, int64_t max)
{
    struct mux_options options = {.resets_max = CS_OFF,
                                  .faults_max = CS_OFF,
                                  .settings_max = CS_OFF,
                                  .pings_max = CS_OFF,
                                  .empty_data_max = CS_OFF,
                                  .priorities_max = CS_OFF,
                                  .window_updates_max = CS_OFF,
                                  .unknown_max = CS_OFF,
                                  .continuations_max = CS_OFF,
                                  .header_max_bytes = 800};
    *(int64_t *)((char *)&options + flood->option) = max;
    return options;
}

static uint64_t counted(const struct flood *flood)
{
    return *(const uint64_t *)((const char *)mux_handlers_stats(t.handlers) + flood->counter);
}

static bool was_cut(const struct flood *flood)
{
    char line[64];
    talk_settle(&t);
    snprintf(line, sizeof line, " 11 %s\n", flood->text);
    bool cut = strstr(fake_said(peer), line);
    cr_assert_eq(counted(flood), cut, "%s", flood->text);
    return cut;
}

Test(calm, what_is_below_a_limit_passes_and_the_next_one_ends_the_connection)
{
    for (size_t i = 0; i < FLOODS; i++) {
        const struct flood *f = &floods[i];
        const struct mux_options options = only(f, 100);
        begin(&options);
        f->one(); /* this one takes what has been paid so far: a bucket is never more than full */
        cs_loop_advance(t.loop, 10000);
        for (int n = 0; n < 100; n++)
            f->one();
        cr_assert(!was_cut(f), "%zu: %s", i, f->text);
        cr_assert_eq(t.server[0].ends, 0);
        f->one();
        cr_assert(was_cut(f), "%zu: %s: %s", i, f->text, fake_said(peer));
        cr_assert(!fake_hung_up(peer), "he is to read why");
        cs_loop_advance(t.loop, 999);
        cr_assert_eq(t.server[0].ends, 0);
        cs_loop_advance(t.loop, 1);
        cr_assert(fake_hung_up(peer));
        cr_assert_eq(t.server[0].ends, 1);
        cr_assert_eq(t.server[0].why, CS_EPROTO);
        end();
    }
}

Test(calm, a_tenth_comes_back_each_second)
{
    for (size_t i = 0; i < FLOODS; i++) {
        const struct flood *f = &floods[i];
        const struct mux_options options = only(f, 100);
        begin(&options);
        f->one();
        cs_loop_advance(t.loop, 10000);
        for (int n = 0; n < 100; n++)
            f->one();
        cs_loop_advance(t.loop, 1000);
        for (int n = 0; n < 10; n++)
            f->one();
        cr_assert(!was_cut(f), "%zu: %s", i, f->text);
        f->one();
        cr_assert(was_cut(f), "%zu: %s", i, f->text);
        end();
    }
}

Test(calm, each_can_be_switched_off)
{
    for (size_t i = 0; i < FLOODS; i++) {
        const struct flood *f = &floods[i];
        const struct mux_options options = only(f, CS_OFF);
        begin(&options);
        for (int n = 0; n < 1000; n++)
            f->one();
        cr_assert(!was_cut(f), "%zu: %s", i, f->text);
        cr_assert_eq(t.server[0].ends, 0);
        end();
    }
}

Test(calm, frames_count_in_whatever_pieces_they_come)
{
    static const char frames[] = "\0\0\0\4\0\0\0\0\0"            /* SETTINGS */
                                 "\0\0\5\0\10\0\0\0\1\4\0\0\0\0" /* DATA, all of it padding */
                                 "\0\0\2\0\10\0\0\0\1\0x"        /* DATA with a byte */
                                 "\0\0\0\0\0\0\0\0\1";           /* DATA */
    const struct mux_options options = {.empty_data_max = 4, .settings_max = 1000};
    for (size_t piece = 1; piece < sizeof frames; piece++) {
        begin(&options);
        for (int twice = 0; twice < 2; twice++)
            for (size_t at = 0; at < sizeof frames - 1; at += piece) {
                size_t n = sizeof frames - 1 - at < piece ? sizeof frames - 1 - at : piece;
                fake_bytes(peer, cs_bytes_of(frames + at, n));
                talk_settle(&t);
            }
        cr_assert(!strstr(fake_said(peer), "GOAWAY"), "%zu", piece);
        empty_data();
        talk_settle(&t);
        cr_assert(strstr(fake_said(peer), " 11 empty_data_max\n"), "%zu", piece);
        end();
    }
}

/* ---- Header blocks -------------------------------------------------------------------------- */

static void block_begins(void)
{
    fake_frame(peer, FAKE_HEADERS, 0, next_id, cs_bytes_of("\x83\x86", 2)); /* POST, http */
}

Test(calm, a_header_block_may_have_so_many_continuations)
{
    begin(&(struct mux_options){.continuations_max = 3});
    block_begins();
    for (int n = 0; n < 2; n++)
        fake_frame(peer, CONTINUATION, 0, next_id, cs_bytes_of(NULL, 0));
    fake_frame(peer, CONTINUATION, FAKE_END_HEADERS, next_id, cs_bytes_of("\x84", 1));
    talk_settle(&t);
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    next_id += 2;
    block_begins();
    for (int n = 0; n < 4; n++)
        fake_frame(peer, CONTINUATION, 0, next_id, cs_bytes_of(NULL, 0));
    talk_settle(&t);
    cr_assert(strstr(fake_said(peer), " 11 continuations_max\n"));
    cr_assert_eq(mux_handlers_stats(t.handlers)->cut_continuations, 1);
    end();
}

Test(calm, continuations_without_a_limit_are_bounded_by_the_time)
{
    begin(&(struct mux_options){.continuations_max = CS_OFF});
    block_begins();
    for (int n = 0; n < 1000; n++)
        fake_frame(peer, CONTINUATION, 0, next_id, cs_bytes_of(NULL, 0));
    talk_settle(&t);
    cs_loop_advance(t.loop, 9999);
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    cs_loop_advance(t.loop, 1);
    cr_assert(strstr(fake_said(peer), " 11 header_timeout_ms\n"));
    cr_assert_eq(mux_handlers_stats(t.handlers)->header_timeouts, 1);
    cs_loop_advance(t.loop, 1000);
    cr_assert(fake_hung_up(peer));
    end();
}

Test(calm, a_block_that_ends_in_time_is_no_matter_how_long_ago_it_began)
{
    begin(&(struct mux_options){.header_timeout_ms = 100});
    for (int n = 0; n < 5; n++) {
        block_begins();
        cs_loop_advance(t.loop, 99);
        fake_frame(peer, CONTINUATION, FAKE_END_HEADERS, next_id, cs_bytes_of("\x84", 1));
        next_id += 2;
        cs_loop_advance(t.loop, 99);
    }
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    end();
    begin(&(struct mux_options){.header_timeout_ms = CS_OFF, .ping_interval_ms = CS_OFF});
    block_begins();
    cs_loop_advance(t.loop, 1000 * 1000);
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    end();
}

/* ---- Those who work ------------------------------------------------------------------------- */

Test(calm, what_we_send_pays_for_pings_and_windows)
{
    begin(&(struct mux_options){.pings_max = 10, .window_updates_max = 10});
    fake_word(peer, FAKE_WINDOW, 0, 1 << 29);
    fake_word(peer, FAKE_WINDOW, 1, 1 << 29);
    for (int n = 0; n < 1000; n++) {
        side_send_bytes(&t.server[0], 2 * 1024);
        ping();
        window_update();
        window_update();
        talk_settle(&t);
    }
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    end();
}

Test(calm, a_window_that_opens_by_a_byte_pays_for_nothing)
{
    begin(&(struct mux_options){.window_updates_max = 100});
    fake_settings(peer, 4, 0);
    talk_settle(&t);
    side_send_bytes(&t.server[0], 10000);
    for (int n = 0; n < 120; n++) {
        fake_word(peer, FAKE_WINDOW, 1, 1);
        talk_settle(&t);
    }
    cr_assert(strstr(fake_said(peer), " 11 window_updates_max\n"));
    end();
}

static void reset_and_settle(int n)
{
    reset();
    if (n % 100 == 0)
        talk_settle(&t);
}

static void answer(mux_stream *stream, void *user);
static const struct mux_stream_ops quiet_ops;

Test(calm, ten_thousand_calls_that_are_cancelled_in_a_row_are_no_attack)
{
    begin(NULL);
    cr_assert_eq(mux_handle(t.handlers, "/test/Quiet", answer, &t), CS_OK);
    for (int batch = 0; batch < 100; batch++) {
        for (int n = 0; n < 100; n++, next_id += 2)
            fake_request(peer, next_id, true, "/test/Quiet");
        talk_settle(&t);
    }
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams, 10001);
    for (int32_t id = next_id - 20000; id < next_id; id += 2) {
        fake_word(peer, FAKE_RST, id, 8);
        if (id % 100 == 1)
            talk_settle(&t);
    }
    for (int n = 0; n < 10000; n++) /* and not even before they were answered */
        reset_and_settle(n);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams, 1);
    cr_assert_eq(mux_handlers_stats(t.handlers)->cut_resets, 0);
    for (int n = 0; n < 10000; n++)
        reset_and_settle(n);
    cr_assert_eq(mux_handlers_stats(t.handlers)->cut_resets, 0);
    reset_and_settle(0);
    cr_assert_eq(mux_handlers_stats(t.handlers)->cut_resets, 1);
    end();
}

static void quiet_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
}
static const struct mux_stream_ops quiet_ops = {.end = quiet_end};

static void answer(mux_stream *stream, void *user)
{
    cr_assert_eq(mux_stream_accept(stream, &quiet_ops, user), CS_OK);
    mux_stream_send_headers(stream);
}

/* Who has not heard of the limit is refused a stream; who has is ended with it.  Both are counted. */
Test(calm, a_stream_too_many_is_counted_whether_its_connection_goes_or_not)
{
    talk_handlers(&t);
    peer = fake_client(t.loop, &(struct mux_options){.streams_max = 1}, t.handlers);
    for (int32_t id = 1; id < 7; id += 2)
        fake_request(peer, id, false, TALK_METHOD);
    talk_settle(&t);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams_refused, 2);
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections, 1);
    fake_request(peer, 7, false, TALK_METHOD);
    talk_settle(&t);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams_refused, 3);
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections, 0);
    end();
}

/* ---- The beginning, and nothing to do -------------------------------------------------------- */

Test(calm, a_client_that_says_nothing_is_closed_after_ten_seconds)
{
    talk_handlers(&t);
    peer = fake_client_mute(t.loop, NULL, t.handlers);
    fake_bytes(peer, cs_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    cs_loop_advance(t.loop, 9999);
    cr_assert(!fake_hung_up(peer));
    cs_loop_advance(t.loop, 1);
    cr_assert(fake_hung_up(peer));
    cr_assert_eq(mux_handlers_stats(t.handlers)->preface_timeouts, 1);
    end();
    talk_handlers(&t);
    peer = fake_client_mute(t.loop,
                            &(struct mux_options){.preface_timeout_ms = CS_OFF,
                                                  .ping_interval_ms = CS_OFF,
                                                  .idle_timeout_ms = CS_OFF},
                            t.handlers);
    cs_loop_advance(t.loop, 1000 * 1000);
    cr_assert(!fake_hung_up(peer));
    end();
}

Test(calm, a_connection_without_a_stream_is_told_to_go)
{
    begin(&(struct mux_options){.idle_timeout_ms = 60000, .ping_interval_ms = CS_OFF});
    cs_loop_advance(t.loop, 3600 * 1000);
    cr_assert(!strstr(fake_said(peer), "GOAWAY"), "it has a stream");
    fake_word(peer, FAKE_RST, 1, 8);
    talk_settle(&t);
    cs_loop_advance(t.loop, 59999);
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    cs_loop_advance(t.loop, 60001);
    cr_assert(strstr(fake_said(peer), "GOAWAY"));
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections_idle, 1);
    cs_loop_advance(t.loop, 2000);
    cr_assert(fake_hung_up(peer));
    end();
}

Test(calm, a_connection_may_have_nothing_to_do_for_ever)
{
    begin(&(struct mux_options){.idle_timeout_ms = CS_OFF});
    fake_word(peer, FAKE_RST, 1, 8);
    cs_loop_advance(t.loop, 24 * 3600 * 1000);
    cr_assert(!strstr(fake_said(peer), "GOAWAY"));
    end();
}

/* ---- Answers that nobody takes --------------------------------------------------------------- */

static int pings_without_reading(int most)
{
    int n = 0;
    fake_deaf(peer, true);
    for (; n < most && mux_handlers_stats(t.handlers)->reads_paused == 0; n++) {
        ping();
        if (n % 100 == 0)
            talk_settle(&t);
    }
    talk_settle(&t);
    return n;
}

Test(calm, who_leaves_answers_unread_is_not_read_until_he_takes_them)
{
    enum { RING = 256 * 1024, PING = 17, MOST = 100000 };
    begin(&(struct mux_options){.pings_max = CS_OFF, .ping_interval_ms = CS_OFF});
    int n = pings_without_reading(MOST);
    cr_assert_lt(n, MOST);
    cr_assert_geq(n, RING / PING, "before that all of them went out");
    uint64_t taken = mux_handlers_stats(t.handlers)->bytes_in;
    for (int i = 0; i < 1000; i++)
        ping();
    talk_settle(&t);
    cr_assert_eq(mux_handlers_stats(t.handlers)->bytes_in, taken);
    fake_deaf(peer, false);
    talk_settle(&t);
    cr_assert_geq(mux_handlers_stats(t.handlers)->bytes_in, taken + 1000 * PING);
    cr_assert_eq(mux_handlers_stats(t.handlers)->reads_paused, 1);
    cr_assert_eq(t.server[0].ends, 0);
    side_send(&t.server[0], "goes on");
    talk_settle(&t);
    cr_assert_eq(fake_heard(peer), 12);
    end();
}

Test(calm, answers_that_nobody_takes_may_be_any_number)
{
    begin(&(struct mux_options){
        .pings_max = CS_OFF, .control_max = CS_OFF, .ping_interval_ms = CS_OFF});
    cr_assert_eq(pings_without_reading(20000), 20000);
    cr_assert_eq(mux_handlers_stats(t.handlers)->reads_paused, 0);
    fake_deaf(peer, false);
    talk_settle(&t);
    cr_assert_eq(t.server[0].ends, 0);
    end();
}

Test(calm, data_that_nobody_takes_never_stops_reading)
{
    begin(&(struct mux_options){.ping_interval_ms = CS_OFF});
    fake_word(peer, FAKE_WINDOW, 0, 1 << 29);
    fake_word(peer, FAKE_WINDOW, 1, 1 << 29);
    fake_deaf(peer, true);
    for (int i = 0; i < 5; i++) {
        side_send_bytes(&t.server[0], 1 << 20);
        talk_settle(&t);
        if (mux_stream_room(t.server[0].stream) == 0)
            break;
    }
    fake_message(peer, 1, "heard", false);
    talk_settle(&t);
    cr_assert_str_eq(t.server[0].text, "heard|");
    cr_assert_eq(mux_handlers_stats(t.handlers)->reads_paused, 0);
    fake_deaf(peer, false);
    talk_settle(&t);
    end();
}

/* ---- A client of ours, and a server that floods ----------------------------------------------- */

Test(calm, a_server_that_floods_loses_its_client_who_knows_why)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    peer = fake_server(t.loop, &(struct mux_options){.settings_max = 50}, &t.conn);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    for (int n = 0; n < 48; n++) /* and the two that there were */
        settings();
    talk_settle(&t);
    cr_assert_eq(c->ends, 0);
    settings();
    cs_loop_advance(t.loop, 1);
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(c->why, CS_EPROTO);
    cr_assert(strstr(c->errmsg, "the peer went beyond settings_max"), "%s", c->errmsg);
    cr_assert(strstr(fake_said(peer), " 11 settings_max\n"));
    cr_assert(fake_hung_up(peer));
    cr_assert_eq(mux_conn_stats(t.conn)->cut_settings, 1);
    mux_conn_free(t.conn);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}

/* ---- Without memory --------------------------------------------------------------------------- */

/* The fake asserts that it has memory; this is the link alone. */
static void flood_by_hand(cs_loop *loop, mux_handlers *handlers, mux__link *ends[2])
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char setting[] = "\0\0\0\4\0\0\0\0\0";
    struct iovec v = {(char *)(uintptr_t)hello, sizeof hello - 1};
    const struct mux_options options = {.settings_max = 5};
    mux_conn *conn;
    size_t n;
    if (mux__conn_accept(loop, ends[1], &options, handlers, &handlers->local_conns, &conn) !=
        CS_OK) {
        mux__link_free(ends[1]);
        return;
    }
    (void)mux__link_write(ends[0], &v, 1, &n);
    for (int i = 0; i < 10; i++) {
        v = (struct iovec){(char *)(uintptr_t)setting, sizeof setting - 1};
        (void)mux__link_write(ends[0], &v, 1, &n);
    }
    cs_loop_advance(loop, 1000);
    if (!failing_failed())
        cr_assert_eq(handlers->stats.cut_settings, 1);
    cr_assert_eq(handlers->stats.connections, 0, "whatever failed, it is gone");
    cs_loop_settle(loop);
}

static void flooded(void)
{
    mux_handlers *handlers;
    cs_loop *loop;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        mux__link *ends[2];
        if (mux__link_pair(loop, ends) == CS_OK) {
            flood_by_hand(loop, handlers, ends);
            mux__link_free(ends[0]);
        }
        mux_handlers_free(handlers);
        cs_loop_settle(loop);
    }
    cs_loop_free(loop);
}

Test(calm, survives_every_failed_allocation)
{
    failing_story(flooded);
}
