/* What all sessions together may keep, and how many may be gone: whoever vanishes again and again costs his
 * own sessions, and a reader that acknowledges nothing costs the others their speed, not their order. */
#include "raw.h"

enum { FRAMES = 40, FRAME = 1000, CHANNELS = 24 };

/* ---- A service: a source of FRAMES frames of FRAME bytes ----------------------------------------- */

struct flood {
    int at;
    char text[FRAME];
};

static cs_err flood_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct flood *flood = state;

    (void)o;
    if (flood->at == FRAMES)
        return CS_DONE;
    memset(flood->text, 'a' + flood->at++ % 26, FRAME);
    *frame = cs_bytes_of(flood->text, FRAME);
    return CS_OK;
}

static const struct chanserv_outlet_ops flood_ops = {.state_bytes = sizeof(struct flood),
                                                     .next = flood_next};

static cs_err flood(chanserv_post *post, cs_bytes body, void *user)
{
    static struct flood none;

    (void)user;
    return chanserv_announce(post, body, &flood_ops, &none, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static void up(const struct chanserv_server_options *options)
{
    memset(&raw, 0, sizeof raw);
    raw_up(options);
    cr_assert_eq(chanserv_serve(raw.server, "flood", flood, NULL), CS_OK);
}

TestSuite(bound, .fini = raw_down);

/* ---- Several sessions ------------------------------------------------------------------------------ */

struct party {
    char id[17];
    struct raw_call *session;
    struct raw_call *sources[CHANNELS];
    uint64_t acked[CHANNELS];
    uint32_t channels;
};

static struct party party(const char *id)
{
    struct party p = {.session = raw_begin("/chanserv.v1.Chanserv/Session", RAW_SESSION, 0)};
    uint8_t msg[WIRE_SESSION_MAX];

    memcpy(p.id, id, 16);
    raw_send(p.session, msg, wire_session_up_put(msg, cs_bytes_of(p.id, 16), 1), false);
    cs_loop_settle(raw.loop);
    raw_runs(p.session);
    return p;
}

static struct wire_channel channel_of(const struct party *p, uint32_t number)
{
    return (struct wire_channel){true, cs_bytes_of(p->id, 16), 1, number};
}

static void ack(const struct party *p, uint32_t number, uint64_t next, bool done)
{
    uint8_t msg[WIRE_ACK_MAX];

    raw_send(p->session, msg, wire_ack_put(msg, number, next, done, cs_str("")), false);
    cs_loop_settle(raw.loop);
}

/* Posts, acknowledges the announcement, and opens. */
static struct raw_call *flooded(struct party *p)
{
    uint32_t number = 2 * p->channels + 1;
    struct wire_post post = {.service = cs_str("flood"), .channel = channel_of(p, number)};
    struct raw_call *master = raw_post_with(&post, 0), *source;

    cs_loop_settle(raw.loop);
    ack(p, number, 1, false);
    struct wire_open open = {.ticket = cs_bytes_of(master->tickets[0], 32),
                             .channel = channel_of(p, number + 1)};
    source = raw_open_with(&open, 0);
    cs_loop_settle(raw.loop);
    p->sources[p->channels++] = source;
    return source;
}

static uint64_t frames(const struct raw_call *call)
{
    uint64_t n = 0;

    for (const char *at = call->heard; at && (at = strchr(at, '|')) != NULL; at++)
        n++;
    return n;
}

static void ack_source(struct party *p, uint32_t i, bool done)
{
    ack(p, 2 * i + 2, frames(p->sources[i]), done);
}

/* ---- Attached ------------------------------------------------------------------------------------- */

Test(bound, attached_sessions_have_one_message_each_beyond_it)
{
    up(&(struct chanserv_server_options){.attached_bytes = 10 * FRAME});
    struct party a = party("aaaaaaaaaaaaaaaa"), b = party("bbbbbbbbbbbbbbbb");
    struct raw_call *hog = flooded(&a), *other = flooded(&b), *third = flooded(&b);

    cr_assert_eq(frames(hog), 10);
    cr_assert_eq(frames(other), 1);
    cr_assert_eq(frames(third), 1);
    cr_assert_gt(raw_counters().sessions_kept, 12 * FRAME);
    cr_assert_lt(raw_counters().sessions_kept, 13 * FRAME);
    cr_assert_geq(raw_counters().sessions_waits, 3);

    ack_source(&b, 0, false);
    cr_assert_eq(frames(other), 2, "one message can always go");
    cr_assert_eq(frames(third), 1);
    cr_assert_eq(frames(raw_open(raw_post("flood", ""), 0, 0)), FRAMES,
                 "who keeps nothing goes on");

    ack_source(&a, 0, true);
    cr_assert_eq(frames(third), 9, "there is room again, and it has waited for longest");
    cr_assert_eq(frames(other), 2);
    for (int i = 0; i < 100; i++) {
        ack_source(&b, 0, false);
        ack_source(&b, 1, false);
    }
    raw_ended(other, CS_DONE, "", "");
    raw_ended(third, CS_DONE, "", "");
    cr_assert_eq(frames(third), FRAMES);
    cr_assert_eq(raw_counters().sessions_kept, 0);
}

/* Once each time, however often it is looked at; and what all keep together is not asked about. */
Test(bound, a_channel_that_keeps_enough_is_counted_each_time)
{
    up(&(struct chanserv_server_options){.keep_bytes = 5 * FRAME});
    struct party a = party("aaaaaaaaaaaaaaaa");
    struct raw_call *hog = flooded(&a);
    const uint64_t first = frames(hog);

    cr_assert_eq(first, 5);
    cr_assert_eq(raw_counters().keep_waits, 1);
    ack(&a, 2, 0, false);
    cr_assert_eq(raw_counters().keep_waits, 1, "nothing was acknowledged");
    ack_source(&a, 0, false);
    cr_assert_eq(frames(hog), 10);
    cr_assert_eq(raw_counters().keep_waits, 2);
    flooded(&a);
    cr_assert_eq(raw_counters().keep_waits, 3, "each of them keeps so much");
    cr_assert_eq(raw_counters().sessions_waits, 0);
    for (int i = 0; i < 100; i++)
        ack_source(&a, 0, false);
    raw_ended(hog, CS_DONE, "", "");
    cr_assert_leq(raw_counters().keep_waits, 10);
}

/* More of them than are woken in one turn. */
Test(bound, all_that_wait_for_it_go_on)
{
    up(&(struct chanserv_server_options){.attached_bytes = CHANNELS * (FRAME + 10)});
    struct party a = party("aaaaaaaaaaaaaaaa"), b = party("bbbbbbbbbbbbbbbb");

    flooded(&a);
    for (int i = 0; i < CHANNELS; i++)
        cr_assert_eq(frames(flooded(&b)), 1);
    for (int i = 0; i < CHANNELS; i++)
        ack_source(&b, (uint32_t)i, false);
    ack_source(&a, 0, true);
    for (int i = 0; i < CHANNELS; i++)
        cr_assert_geq(frames(b.sources[i]), 2, "source %d has %d", i, (int)frames(b.sources[i]));
}

Test(bound, what_vanishes_leaves_room_for_the_attached)
{
    up(&(struct chanserv_server_options){.attached_bytes = 10 * FRAME});
    struct party a = party("aaaaaaaaaaaaaaaa"), b = party("bbbbbbbbbbbbbbbb");
    struct raw_call *hog = flooded(&a), *other = flooded(&b);

    cr_assert_eq(frames(hog), 10);
    cr_assert_eq(frames(other), 1);
    raw_leave(a.session);
    cr_assert_gt(frames(other), 1);
    cr_assert_gt(raw_counters().sessions_kept, 19 * FRAME, "it is kept nevertheless");
}

/* ---- Gone ------------------------------------------------------------------------------------------ */

Test(bound, a_gone_session_keeps_no_more_than_those_may)
{
    up(&(struct chanserv_server_options){.lingering_bytes = 4 * FRAME,
                                         .attached_bytes = 3 * FRAME});
    struct party a = party("aaaaaaaaaaaaaaaa");
    struct raw_call *source = flooded(&a);

    cr_assert_eq(frames(source), 3);
    raw_leave(a.session);
    cs_loop_settle(raw.loop);
    cr_assert_eq(raw_counters().sessions, 1);
    cr_assert_leq(raw_counters().sessions_kept, 5 * FRAME);
    struct party b = party("bbbbbbbbbbbbbbbb");
    flooded(&b);
    raw_leave(b.session);
    cr_assert_eq(raw_counters().sessions, 1, "the oldest is lost");
    cr_assert_eq(raw_counters().sessions_lost, 1);
    raw_runs(b.sources[0]);
}

static void vanish(const char *token, const char *id)
{
    raw.token = token;
    raw_leave(party(id).session);
}

Test(bound, who_vanishes_often_loses_his_own)
{
    up(&(struct chanserv_server_options){.lingering_peer_max = 2});
    vanish("Bearer one", "1111111111111111");
    vanish(NULL, "2222222222222222");
    vanish("Bearer two", "3333333333333333");
    vanish("Bearer two", "4444444444444444");
    cr_assert_eq(raw_counters().sessions_lost, 0);
    vanish("Bearer two", "5555555555555555");
    vanish("Bearer two", "6666666666666666");
    cr_assert_eq(raw_counters().sessions_lost, 2);
    cr_assert_eq(raw_counters().sessions_lingering, 4);
    vanish(NULL, "7777777777777777");
    vanish(NULL, "8888888888888888");
    cr_assert_eq(raw_counters().sessions_lost, 3, "without an identity it is the address");
    raw.token = "Bearer one";
    struct raw_call *s = raw_begin("/chanserv.v1.Chanserv/Session", RAW_SESSION, 0);
    uint8_t msg[WIRE_SESSION_MAX];
    raw_send(s, msg, wire_session_up_put(msg, cs_str("1111111111111111"), 2), false);
    cs_loop_settle(raw.loop);
    raw_runs(s);
    cr_assert_eq(raw_counters().sessions_lingering, 4);
}

/* ---- Very many (docs/CONFORMANCE, 21) --------------------------------------------------------------- */

enum { VANISHED = 100000, AT_ONCE = 1000, LINGER_MAX = 4096 };

static void quiet_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

/* Each of somebody else: none costs more than the others. */
static void begin_one(uint32_t i)
{
    static const struct mux_stream_ops ops = {.end = quiet_end};
    uint8_t msg[WIRE_SESSION_MAX];
    char id[17], token[32];
    cs_pair metadata = {cs_str("authorization"), cs_bytes_of(token, 0)};
    struct mux_call_options options = {.metadata = &metadata, .metadata_len = 1};
    mux_stream *stream;

    snprintf(id, sizeof id, "%08x%08x", (unsigned)i, (unsigned)~i);
    metadata.value.len = (size_t)snprintf(token, sizeof token, "Bearer %u", (unsigned)i);
    cr_assert_eq(
        mux_stream_open(raw.conn, "/chanserv.v1.Chanserv/Session", &options, &ops, NULL, &stream),
        CS_OK);
    cr_assert_eq(mux_stream_send(stream, cs_bytes_of(msg, wire_session_up_put(msg, cs_str(id), 1)),
                                 cs_bytes_of(NULL, 0)),
                 CS_OK);
}

Test(bound, a_hundred_thousand_that_vanished_cost_what_four_thousand_do)
{
    up(NULL);
    for (uint32_t i = 0; i < VANISHED; i++) {
        begin_one(i);
        if (i % AT_ONCE != AT_ONCE - 1)
            continue;
        cs_loop_settle(raw.loop);
        cr_assert_leq(raw_counters().sessions, LINGER_MAX + AT_ONCE);
        mux_conn_free(raw.conn);
        cs_loop_settle(raw.loop);
        cr_assert_leq(raw_counters().sessions, LINGER_MAX);
        raw_join();
    }
    cr_assert_eq(raw_counters().sessions_total, VANISHED);
    cr_assert_eq(raw_counters().sessions_lost, VANISHED - LINGER_MAX);
    cs_loop_advance(raw.loop, 30000);
    cr_assert_eq(raw_counters().sessions, 0);
}
