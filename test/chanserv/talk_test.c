/* The method Talk as any client makes it: the server's side of an uplink. */
#include "raw.h"

#include "chanserv/server__in.h"

/* A producer that listens: says "hello", then what it hears. */
static struct {
    chanserv_outlet *outlet;
    bool deaf; /* readable() takes nothing */
    bool by_ref;
    unsigned told; /* calls of readable() */
} ear;

static void listen_to(chanserv_outlet *o)
{
    cs_bytes frame;
    cs_ref ref;
    cs_err err;

    while ((err = ear.by_ref ? chanserv_outlet_recv_ref(o, &ref)
                             : chanserv_outlet_recv(o, &frame)) == CS_OK) {
        if (ear.by_ref)
            frame = ref.bytes;
        if (chanserv_outlet_gap(o))
            raw_say("<%u>", (unsigned)chanserv_outlet_gap(o));
        if (frame.len > 64)
            raw_say("%u: %zu bytes; ", (unsigned)chanserv_outlet_seq(o), frame.len);
        else
            raw_say("%u: %.*s; ", (unsigned)chanserv_outlet_seq(o), CS_FMT(frame));
        if (cs_same(frame, cs_str("finish")))
            chanserv_outlet_finish(o, CS_DONE);
        if (cs_same(frame, cs_str("cancel")))
            chanserv_outlet_cancel(o, CS_EABORTED);
        if (ear.by_ref)
            cs_ref_drop(&ref);
    }
    if (err != CS_AGAIN)
        raw_say("(%s) ", cs_strerror(err));
}

static void on_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    ear.told++;
    ear.outlet = o;
    if (!ear.deaf)
        listen_to(o);
}

static cs_err greet(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    bool *greeted = state;

    (void)o;
    if (*greeted)
        return CS_AGAIN;
    *greeted = true;
    *frame = cs_str("hello");
    return CS_OK;
}

static void on_end(chanserv_outlet *o, cs_err why, void *state)
{
    cs_bytes frame;

    (void)state;
    raw_say("%s: %s", chanserv_outlet_reason(o), cs_strerror(why));
    if (o->ops->uplink)
        cr_assert_eq(chanserv_outlet_recv(o, &frame), why);
}

static const struct chanserv_outlet_ops both_ops = {.state_bytes = sizeof(bool),
                                                    .next = greet,
                                                    .readable = on_readable,
                                                    .end = on_end,
                                                    .uplink = true};
static const struct chanserv_outlet_ops ear_ops = {
    .readable = on_readable, .end = on_end, .uplink = true};
static const struct chanserv_outlet_ops mute_ops = {
    .state_bytes = sizeof(bool), .next = greet, .end = on_end};

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    cr_assert_eq(chanserv_announce(post, cs_str("h"), user, NULL, &ear.outlet), CS_OK);
    return CS_DONE;
}

static void up_with(const struct chanserv_server_options *options)
{
    memset(&ear, 0, sizeof ear);
    raw_up(options);
    chanserv_serve(raw.server, "both", announce, (void *)(uintptr_t)&both_ops);
    chanserv_serve(raw.server, "ear", announce, (void *)(uintptr_t)&ear_ops);
    chanserv_serve(raw.server, "mute", announce, (void *)(uintptr_t)&mute_ops);
}

static void up(void)
{
    up_with(NULL);
}

/* ---- What a reader says --------------------------------------------------------------------- */

static void say_bytes(struct raw_call *c, const void *msg, size_t len)
{
    raw_send(c, msg, len, false);
    cs_loop_settle(raw.loop);
}

static void say_open(struct raw_call *c, const struct raw_call *post, uint64_t from)
{
    const struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32), .from = from};
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    say_bytes(c, msg, len);
    cs_free(msg);
}

static struct raw_call *begin(void)
{
    return raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 0);
}

static struct raw_call *talk(const char *service)
{
    struct raw_call *post = raw_post(service, ""), *c = begin();

    say_open(c, post, 0);
    return c;
}

static void say_part(struct raw_call *c, const char *text, bool more)
{
    uint8_t msg[WIRE_UP_HEAD + 100];
    size_t n = wire_up_head(msg, strlen(text), more);

    memcpy(msg + n, text, strlen(text));
    say_bytes(c, msg, n + strlen(text));
}

static void say(struct raw_call *c, const char *text)
{
    say_part(c, text, false);
}

static void finish(struct raw_call *c)
{
    mux_stream_finish(c->stream, CS_OK, NULL);
    cs_loop_settle(raw.loop);
}

TestSuite(talk, .init = up, .fini = raw_down);

Test(talk, is_an_open_that_claims_at_its_first_message)
{
    struct raw_call *c = talk("both");

    raw_heard(c, "hello|");
    raw_runs(c);
    cr_assert_eq(ear.told, 1, "told %u times", ear.told);
    cr_assert_eq(raw_counters().sources_open, 1);
    cr_assert_eq(raw_counters().talks, 1);
    raw_leave(c);
    raw_said("client-left: the peer vanished");
}

Test(talk, frames_reach_the_producer_in_order_with_their_numbers)
{
    struct raw_call *c = talk("both");

    say(c, "a");
    say(c, "");
    say(c, "b");
    raw_said("0: a; 1: ; 2: b; ");
    cr_assert_eq(raw_counters().frames_in, 3);
    cr_assert_eq(raw_counters().frame_bytes_in, 2);
    raw_leave(c);
    raw_said("client-left: the peer vanished");
}

Test(talk, a_half_close_is_the_readers_last_word_and_frames_to_it_go_on)
{
    struct raw_call *c = talk("ear");

    say(c, "a");
    finish(c);
    raw_said("0: a; (ended in good order) ");
    raw_runs(c);
    chanserv_outlet_finish(ear.outlet, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_DONE, "", "");
    raw_said("done: ended in good order");
}

Test(talk, the_servers_last_word_ends_both_ways)
{
    struct raw_call *c = talk("both");

    say(c, "finish");
    raw_ended(c, CS_DONE, "", "");
    raw_said("0: finish; (ended in good order) done: ended in good order");
    cr_assert_eq(raw_counters().streams, 0);
}

Test(talk, a_producers_cancel_reaches_the_reader_and_nothing_is_heard_after_it)
{
    struct raw_call *c = talk("both");

    say(c, "cancel");
    raw_ended(c, CS_EABORTED, "", "");
    raw_said("0: cancel; (lost a race) failed: lost a race");
}

Test(talk, an_open_on_an_uplink_source_is_a_reader_that_says_nothing)
{
    struct raw_call *post = raw_post("both", ""), *c = raw_open(post, 0, 0);

    raw_heard(c, "hello|");
    raw_said("(ended in good order) ");
    cr_assert_eq(raw_counters().talks, 0);
    raw_runs(c);
}

Test(talk, an_uplink_has_nothing_before_it_is_opened_and_a_source_without_has_none)
{
    cs_bytes frame;

    raw_post("both", "");
    cr_assert_eq(chanserv_outlet_recv(ear.outlet, &frame), CS_AGAIN);
    raw_post("mute", "");
    cr_assert_eq(chanserv_outlet_recv(ear.outlet, &frame), CS_ENOTSUP);
}

Test(talk, a_frame_is_taken_by_reference_too)
{
    struct raw_call *c = talk("both");

    ear.by_ref = true;
    say(c, "a");
    say_part(c, "b", true);
    say_part(c, "c", false);
    raw_said("0: a; 2: bc; ");
    raw_leave(c);
    raw_said("client-left: the peer vanished");
}

Test(talk, parts_are_put_together_and_count_singly)
{
    struct raw_call *c = talk("both");

    say_part(c, "part", true);
    say_part(c, "ed", true);
    raw_said("");
    say_part(c, "!", false);
    say(c, "x");
    raw_said("2: parted!; 3: x; ");
}

Test(talk, gaps_and_heartbeats_are_passed_over_and_gaps_are_counted)
{
    struct raw_call *c = talk("both");
    uint8_t gap[] = {0x12, 0x04, 0x12, 0x02, 0x08, 0x03};

    say_bytes(c, "", 0);
    say_bytes(c, "\x12\x00", 2);
    say_bytes(c, gap, sizeof gap);
    say_bytes(c, gap, sizeof gap);
    say(c, "x");
    say(c, "y");
    raw_said("<6>6: x; 7: y; ");
}

/* ---- Refusals ------------------------------------------------------------------------------- */

Test(talk, a_source_without_an_uplink_refuses_it_and_stays_there_to_be_opened)
{
    struct raw_call *post = raw_post("mute", ""), *c = begin();

    say_open(c, post, 0);
    raw_ended(c, CS_EINVAL, "bad-request", "no uplink");
    raw_heard(raw_open(post, 0, 0), "hello|");
}

Test(talk, the_first_message_must_be_the_opening)
{
    struct raw_call *c = begin();

    say(c, "a");
    raw_ended(c, CS_EINVAL, "bad-request", "first message");
    c = begin();
    finish(c);
    raw_ended(c, CS_EINVAL, "bad-request", "first message");
    c = begin();
    say_bytes(c, "\x0a\x05x", 3);
    raw_ended(c, CS_EINVAL, "bad-request", "");
    c = begin();
    say_bytes(c, "\x0a\x02\x0a\x05", 4);
    raw_ended(c, CS_EINVAL, "bad-request", "");
    cr_assert_eq(raw_counters().posts_refused_bad, 4);
}

Test(talk, a_heartbeat_may_come_before_the_opening)
{
    struct raw_call *post = raw_post("both", ""), *c = begin();

    say_bytes(c, "", 0);
    say_open(c, post, 0);
    raw_heard(c, "hello|");
}

Test(talk, the_checks_are_those_of_open)
{
    const struct wire_open strange = {.ticket = cs_str("t")};
    struct raw_call *post = raw_post("both", ""), *c;
    uint8_t *msg;
    size_t len;

    c = begin();
    cr_assert_eq(wire_up_open_pack(&strange, &msg, &len), CS_OK);
    say_bytes(c, msg, len);
    cs_free(msg);
    raw_ended(c, CS_EINVAL, "bad-request", "32 bytes");
    c = begin();
    say_open(c, post, 7);
    raw_ended(c, CS_ERANGE, "not-kept", "");
    cr_assert_str_eq(c->oldest, "0");
    say_open(begin(), post, 0);
    c = begin();
    say_open(c, post, 0);
    raw_ended(c, CS_ECLAIMED, "claimed", "");
    cr_assert_eq(raw_counters().talks, 1);
}

Test(talk, what_makes_no_sense_ends_the_source)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x0a\x00", 2}, {"\x12\x05x", 3}, {"\x12\x02\x0a\x09", 4}, {"\xff", 1}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct raw_call *c = talk("both");
        say_bytes(c, bad[i].bytes, bad[i].len);
        raw_ended(c, CS_EPROTO, "protocol", "");
        raw_said("(the peer broke the wire format) failed: the peer broke the wire format");
    }
    cr_assert_eq(raw_counters().frames_in_refused, sizeof bad / sizeof *bad);
}

Test(talk, a_half_close_or_a_gap_in_the_middle_of_a_frame_is_no_good_end)
{
    struct raw_call *c = talk("both");

    say_part(c, "half", true);
    finish(c);
    raw_ended(c, CS_EPROTO, "protocol", "");
    raw_said("(the peer broke the wire format) failed: the peer broke the wire format");
    c = talk("both");
    say_part(c, "half", true);
    say_bytes(c, "\x12\x04\x12\x02\x08\x03", 6);
    raw_ended(c, CS_EPROTO, "protocol", "");
}

TestSuite(talk_limits, .fini = raw_down);

Test(talk_limits, a_frame_or_all_of_them_over_the_limit_end_the_source)
{
    const struct chanserv_server_options options = {.frame_max_bytes = 5, .assembly_bytes = 12};
    struct raw_call *c[3];

    up_with(&options);
    c[0] = talk("both");
    say(c[0], "123456");
    raw_ended(c[0], CS_ETOOBIG, "too-large", "");
    c[0] = talk("both");
    say_part(c[0], "1234", true);
    say(c[0], "56");
    raw_ended(c[0], CS_ETOOBIG, "too-large", "");
    for (int i = 0; i < 3; i++) {
        c[i] = talk("both");
        say_part(c[i], "12345", true);
    }
    raw_runs(c[0]);
    raw_runs(c[1]);
    raw_ended(c[2], CS_ELIMIT, "limit", "");
    raw_leave(c[0]); /* and gives back what it had */
    c[2] = talk("both");
    say_part(c[2], "12345", true);
    raw_runs(c[2]);
    cr_assert_eq(raw_counters().frames_in_refused, 3);
}

Test(talk, a_producer_that_does_not_ask_stops_its_reader_and_no_other)
{
    struct raw_call *deaf, *other;
    char block[8000];
    size_t sent = 0;

    memset(block, 'x', sizeof block);
    deaf = talk("both");
    ear.deaf = true;
    for (cs_err err = CS_OK; err == CS_OK; sent += err == CS_OK) {
        uint8_t head[WIRE_UP_HEAD];
        size_t n = wire_up_head(head, sizeof block, false);
        err = mux_stream_send(deaf->stream, cs_bytes_of(head, n), cs_bytes_of(block, sizeof block));
        cs_loop_settle(raw.loop);
        cr_assert_lt(sent, 100);
    }
    cr_assert_gt(sent, 8, "%zu frames", sent);
    cr_assert_lt(sent, 14, "%zu frames: the window and the queue", sent);
    cr_assert_eq(raw_counters().frames_in, 0);
    chanserv_outlet *stalled = ear.outlet;
    ear.deaf = false;
    other = talk("both");
    say(other, "x");
    raw_said("0: x; ");
    listen_to(stalled);
    cs_loop_settle(raw.loop);
    cr_assert_eq(raw_counters().frames_in, sent + 1);
    cr_assert_eq(mux_stream_queued(deaf->stream), 0);
}

static void ask_late(void *user)
{
    cs_bytes frame;

    *(cs_err *)user = chanserv_outlet_recv(ear.outlet, &frame);
}

Test(talk, a_deadline_ends_it_both_ways_and_is_no_last_word_of_the_readers)
{
    struct raw_call *post = raw_post("both", "");
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 1000);
    cs_err late = CS_OK;
    cs_timer *timer;

    say_open(c, post, 0);
    raw_runs(c);
    cr_assert_eq(cs_timer_new(raw.loop, ask_late, &late, &timer), CS_OK);
    cs_timer_set(timer, 1000);
    cs_loop_advance(raw.loop, 1000);
    raw_ended(c, CS_ETIMEOUT, "", "");
    cs_loop_settle(raw.loop);
    raw_said("deadline: deadline passed");
    cr_assert_eq(late, CS_ETIMEOUT, "%s", cs_strerror(late));
    cs_timer_free(timer);
}

Test(talk, what_listens_needs_no_next_and_what_does_not_listen_needs_one)
{
    static const struct chanserv_outlet_ops none = {.end = on_end};
    static const struct chanserv_outlet_ops hears = {.next = greet, .readable = on_readable};
    struct raw_call *c = talk("ear");

    say(c, "a");
    raw_said("0: a; ");
    raw_heard(c, "");
    cr_assert_eq(
        chanserv_announce(chanserv_outlet_post(ear.outlet), cs_str("h"), &none, NULL, NULL),
        CS_EMISUSE);
    cr_assert_eq(
        chanserv_announce(chanserv_outlet_post(ear.outlet), cs_str("h"), &hears, NULL, NULL),
        CS_EMISUSE);
}
