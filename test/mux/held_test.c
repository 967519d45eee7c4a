/* What a client of one connection makes its server hold: each part has its bound, comes back, and is not
 * taken from by the others. */
#include "mux/held.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define METHOD "/test.Held/Call"
#define NOWHERE "/test/Nowhere"

enum { PART = 20000, ALL = 4 * PART };

static struct talk t;
static fake_peer *peer;
static int messages, ends;
static size_t bytes;
static mux_stream *newest;

static void readable(mux_stream *stream, void *state)
{
    cs_bytes message;

    (void)state;
    while (mux_stream_recv(stream, &message) == CS_OK) {
        messages++;
        bytes += message.len;
    }
}

static void ended(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
    ends++;
}

static void take(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.readable = readable, .end = ended};

    cr_assert_eq(mux_stream_accept(stream, &ops, user), CS_OK);
    newest = stream;
}

static void begin(int64_t max)
{
    const struct mux_options options = {.connection_memory_bytes = max,
                                        .header_max_bytes = 1 << 20,
                                        .ping_interval_ms = CS_OFF,
                                        .stall_timeout_ms = CS_OFF};

    talk_handlers(&t);
    cr_assert_eq(mux_handle(t.handlers, METHOD, take, NULL), CS_OK);
    peer = fake_client(t.loop, &options, t.handlers);
    talk_settle(&t);
    messages = ends = 0;
    bytes = 0;
}

static void end(void)
{
    mux_handlers_free(t.handlers);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
    memset(&t, 0, sizeof t);
}

static uint64_t counted(void)
{
    return mux_handlers_stats(t.handlers)->memory_refused;
}

static const mux_conn *conn(void)
{
    return CS_CONTAINER(cs_list_first(&t.handlers->local_conns), mux_conn, link_in);
}

static bool said(const char *format, int id)
{
    char line[64];

    snprintf(line, sizeof line, format, id);
    return strstr(fake_said(peer), line);
}

static void request_with(int id, size_t len)
{
    char value[4096];

    memset(value, 'x', len);
    value[len] = 0;
    fake_headers(peer, id, false, ":method", "POST", ":scheme", "http", ":path", METHOD,
                 ":authority", "fake", "te", "trailers", "content-type", "application/grpc",
                 "x-held", value, NULL);
    talk_settle(&t);
}

/* A prefix that promises `len` bytes, or none, and `n` bytes. */
static void piece(int id, uint32_t len, size_t n)
{
    static uint8_t some[5 + 65536];

    some[3] = (uint8_t)(len >> 8);
    some[2] = (uint8_t)(len >> 16);
    some[4] = (uint8_t)len;
    for (size_t at = len > 0 ? 0 : 5; at < 5 + n;) {
        size_t m = 5 + n - at < 16384 ? 5 + n - at : 16384;
        fake_frame(peer, FAKE_DATA, 0, id, cs_bytes_of(some + at, m));
        at += m;
    }
    talk_settle(&t);
}

/* ---- Header lists ------------------------------------------------------------------------------ */

Test(held, header_lists_beyond_it_are_refused_until_one_goes)
{
    int id = 1;

    begin(ALL);
    for (; counted() == 0 && id < 200; id += 2)
        request_with(id, 1000);
    cr_assert_geq((id - 1) / 2, PART / 1100);
    cr_assert_leq((id - 1) / 2, PART / 1000 + 2);
    cr_assert(said("RST_STREAM %d 11\n", id - 2), "%s", fake_said(peer));
    cr_assert_eq(ends, 0, "who is there stays");
    fake_word(peer, FAKE_RST, 1, 8);
    talk_settle(&t);
    request_with(id, 10);
    cr_assert_eq(counted(), 1);
    mux_stream_drop_headers(newest);
    fake_word(peer, FAKE_RST, 3, 8);
    talk_settle(&t);
    for (int other = 5; other < id + 2; other += 2)
        fake_word(peer, FAKE_RST, other, 8);
    talk_settle(&t);
    cr_assert_eq(conn()->held.lists, 0);
    end();
}

Test(held, without_a_bound_there_is_none)
{
    begin(CS_OFF);
    for (int id = 1; id < 400; id += 2)
        request_with(id, 1000);
    cr_assert_eq(counted(), 0);
    end();
}

Test(held, who_goes_on_after_that_is_cut)
{
    const struct mux_options options = {.connection_memory_bytes = 4, .resets_max = 10};

    talk_handlers(&t);
    cr_assert_eq(mux_handle(t.handlers, METHOD, take, NULL), CS_OK);
    peer = fake_client(t.loop, &options, t.handlers);
    for (int id = 1; id < 26; id += 2)
        request_with(id, 10);
    cr_assert(strstr(fake_said(peer), " 11 resets_max\n"));
    cr_assert_eq(mux_handlers_stats(t.handlers)->cut_faults, 0);
    end();
}

/* A refusal waits for the rest of its request: no longer when there are very many. */
Test(held, refusals_that_wait_count_too)
{
    int id = 1;

    begin(ALL);
    for (; id < 2 * 100; id += 2) {
        fake_request(peer, id, false, NOWHERE);
        talk_settle(&t);
    }
    cr_assert(!said("HEADERS %d end", 1));
    cr_assert(counted() > 0);
    cr_assert_leq(mux_handlers_stats(t.handlers)->streams, PART / 1024 + 1);
    cs_loop_advance(t.loop, 1000);
    cr_assert(said("HEADERS %d end", 1));
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams, 0);
    cr_assert_eq(conn()->held.lists, 0);
    end();
}

/* ---- Messages ---------------------------------------------------------------------------------- */

Test(held, pieces_of_short_messages_count_until_they_are_whole)
{
    int id = 1;

    begin(ALL);
    for (; counted() == 0 && id < 200; id += 2) {
        fake_request(peer, id, false, METHOD);
        piece(id, 2000, 1000);
    }
    cr_assert_geq((id - 1) / 2, PART / 1005);
    cr_assert_leq((id - 1) / 2, PART / 1005 + 1);
    cr_assert(said("grpc-status=%d", 8), "%s", fake_said(peer));
    cr_assert_eq(ends, 1);
    for (int other = 1; other < id - 2; other += 2)
        piece(other, 0, 1000);
    cr_assert_eq(messages, (id - 3) / 2);
    cr_assert_eq(conn()->held.lists, 0);
    end();
}

/* Two that fit together, and three. */
Test(held, a_long_message_waits_until_there_is_room)
{
    begin(ALL);
    for (int id = 1; id < 8; id += 2) {
        fake_request(peer, id, false, METHOD);
        piece(id, 10000, id < 6 ? 4000 : 100);
    }
    cr_assert_eq(conn()->held.room.used, PART);
    piece(5, 0, 5000);
    cr_assert_eq(conn()->held.room.used, PART);
    cr_assert_eq(conn()->held.lists, 4005 + 5000 + 105, "they wait where they are");
    piece(1, 0, 6000);
    cr_assert_eq(messages, 1);
    cr_assert_eq(conn()->held.lists, 105, "the next one got its place");
    fake_word(peer, FAKE_RST, 3, 8);
    talk_settle(&t);
    cr_assert_eq(conn()->held.lists, 0);
    piece(5, 0, 1000);
    piece(7, 0, 9900);
    cr_assert_eq(messages, 3);
    cr_assert_eq(bytes, 30000);
    cr_assert_eq(conn()->held.room.used, 0);
    cr_assert_eq(counted(), 0);
    end();
}

Test(held, what_waits_too_long_for_its_window_ends)
{
    begin(ALL);
    fake_request(peer, 1, false, METHOD);
    piece(1, 60000, 100);
    fake_request(peer, 3, false, METHOD);
    piece(3, 30000, 15000);
    cr_assert_eq(ends, 0);
    fake_request(peer, 5, false, METHOD);
    piece(5, 30000, 5000);
    cr_assert_eq(ends, 1);
    cr_assert_eq(counted(), 1);
    cr_assert(said("HEADERS %d end", 5));
    piece(1, 0, 59900);
    piece(3, 0, 15000);
    cr_assert_eq(messages, 2, "one alone may be of any length");
    end();
}

/* It lies whole in the window, so it need not wait. */
Test(held, a_message_that_is_whole_waits_for_nobody)
{
    begin(ALL);
    fake_request(peer, 1, false, METHOD);
    piece(1, 60000, 100);
    fake_request(peer, 3, false, METHOD);
    piece(3, 10000, 4000);
    cr_assert_eq(messages, 0);
    piece(3, 0, 6000);
    cr_assert_eq(messages, 1);
    end();
}

/* ---- What waits for the client ------------------------------------------------------------------ */

static void ask_for_nothing(int *id, int n)
{
    for (; n > 0; n--, *id += 2) {
        fake_request(peer, *id, true, NOWHERE);
        if (n % 100 == 0)
            talk_settle(&t);
    }
    talk_settle(&t);
}

Test(held, who_leaves_answers_unread_is_heard_no_more_until_he_reads)
{
    int id = 1;

    begin(1 << 20);
    fake_deaf(peer, true);
    for (int i = 0; i < 600 && mux_handlers_stats(t.handlers)->reads_paused == 0; i++)
        ask_for_nothing(&id, 100);
    cr_assert_eq(mux_handlers_stats(t.handlers)->reads_paused, 1);
    cr_assert_leq(mux__h2_waiting(conn()), (1 << 18) + 300 * 1000);
    uint64_t total = mux_handlers_stats(t.handlers)->streams_total;
    ask_for_nothing(&id, 300);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams_total, total);
    fake_deaf(peer, false);
    talk_settle(&t);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams_total, (unsigned)id / 2);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams, 0);
    cr_assert_eq(conn()->held.said, 0);
    end();
}

Test(held, answers_of_streams_that_were_reset_meanwhile_count_until_they_are_dropped)
{
    int id = 1;

    begin(CS_OFF);
    fake_deaf(peer, true);
    while (id < 100000 && conn()->held.said == 0)
        ask_for_nothing(&id, 100);
    cr_assert_gt(conn()->held.said, 0);
    for (int other = 1; other < id; other += 2)
        fake_word(peer, FAKE_RST, other, 8);
    talk_settle(&t);
    cr_assert_eq(mux_handlers_stats(t.handlers)->streams, 0);
    cr_assert_gt(conn()->held.said, 0);
    cr_assert_eq(mux_handlers_stats(t.handlers)->reads_paused, 0);
    fake_deaf(peer, false);
    talk_settle(&t);
    cr_assert_eq(conn()->held.said, 0);
    end();
}

Test(held, what_owners_queue_is_of_one_connection)
{
    begin(ALL);
    fake_request(peer, 1, false, METHOD);
    talk_settle(&t);
    mux_stream *first = newest;
    fake_request(peer, 3, false, METHOD);
    talk_settle(&t);
    mux_stream_hold(first, PART);
    cr_assert(!mux_stream_is_crowded(newest));
    mux_stream_hold(newest, 1);
    cr_assert(mux_stream_is_crowded(first));
    mux_stream_hold(first, PART - 1);
    cr_assert(!mux_stream_is_crowded(first));
    mux_stream_hold(first, 2 * PART);
    fake_word(peer, FAKE_RST, 1, 8);
    talk_settle(&t);
    cr_assert_eq(conn()->held.ahead, 1);
    cr_assert(!mux_stream_is_crowded(newest));
    end();
}

/* ---- Without memory ----------------------------------------------------------------------------- */

static void at_the_client(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
}

/* Two messages that have no room beside each other. */
static void two_uploads(void)
{
    static const struct mux_stream_ops ops = {.end = at_the_client};
    static const uint8_t some[200 * 1024];
    const struct mux_options options = {.connection_memory_bytes = 4 * 100 * 1000};
    mux_handlers *handlers;
    mux_conn *client;
    mux_stream *stream;
    cs_loop *loop;

    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    messages = 0;
    if (mux_handlers_new(&handlers) == CS_OK) {
        bool all = mux_handle(handlers, METHOD, take, NULL) == CS_OK;
        if (mux_dial_local(loop, NULL, &options, handlers, &client) == CS_OK) {
            for (int i = 0; i < 2; i++) {
                all = mux_stream_open(client, METHOD, NULL, &ops, NULL, &stream) == CS_OK && all;
                if (all && mux_stream_send(stream, cs_bytes_of(some, sizeof some),
                                           cs_bytes_of(NULL, 0)) == CS_OK)
                    mux_stream_finish(stream, CS_OK, NULL);
            }
            cs_loop_settle(loop);
            if (!failing_failed())
                cr_assert_eq(messages, 2);
            mux_conn_free(client);
            cs_loop_settle(loop);
        }
        mux_handlers_free(handlers);
        cs_loop_settle(loop);
    }
    cs_loop_free(loop);
}

Test(held, survives_every_failed_allocation)
{
    failing_story(two_uploads);
}
