/* The life of an outlet: pulling, parts, gaps, and each of its ends. */
#include "raw.h"

/* A producer that follows a script: letters are frames of themselves, and
 *   .  CS_AGAIN     _  an empty frame       !  a failure, with words
 *   3  skip 3 numbers (overflow)            L  a frame of 100 bytes
 *   M  a frame of 4,000 bytes               H  a frame of 60,000
 *   C  cancel from inside                   F  finish from inside, then a frame
 *   8  skip more numbers than there are */
struct script {
    const char *at;
    bool by_ref;
};

static char large[100], huge[60000];

static cs_err script_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct script *s = state;

    for (;;) {
        char c = *s->at;

        if (c == '\0')
            return CS_DONE;
        s->at++;
        *frame = cs_bytes_of(s->at - 1, 1);
        switch (c) {
        case '.':
            return CS_AGAIN;
        case '_':
            *frame = cs_bytes_of(NULL, 0);
            return CS_OK;
        case '!':
            return chanserv_outlet_fail(o, CS_EDATALOSS, "the %s is torn", "tape");
        case '3':
            chanserv_outlet_skip(o, 3, CHANSERV_GAP_OVERFLOW);
            break;
        case '8':
            chanserv_outlet_skip(o, UINT64_MAX, CHANSERV_GAP_OVERFLOW);
            break;
        case 'L':
            *frame = cs_bytes_of(large, sizeof large);
            return CS_OK;
        case 'M':
        case 'H':
            *frame = cs_bytes_of(huge, c == 'M' ? 4000 : sizeof huge);
            return CS_OK;
        case 'C':
            chanserv_outlet_cancel(o, CS_EABORTED);
            return CS_OK;
        case 'F':
            chanserv_outlet_finish(o, CS_DONE);
            return CS_OK;
        default:
            return CS_OK;
        }
    }
}

static cs_err script_next_ref(chanserv_outlet *o, cs_ref *frame, void *state)
{
    cs_bytes bytes = {NULL, 0};
    cs_err err = script_next(o, &bytes, state);

    return err == CS_OK ? cs_ref_copy(bytes, frame) : err;
}

static cs_err script_open(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)state;
    if (from == 13)
        return chanserv_outlet_fail(o, CS_EPRECOND, "not thirteen");
    if (from == 5) {
        cr_assert_eq(chanserv_outlet_number(o, 4), CS_EMISUSE, "before what is wanted");
        cr_assert_eq(chanserv_outlet_number(o, 7), CS_OK);
    }
    raw_say("open %u; ", (unsigned)from);
    return CS_OK;
}

static void say_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state;
    raw_say("%s: %s; ", chanserv_outlet_reason(o), cs_strerror(why));
}

static const struct chanserv_outlet_ops ops = {
    .state_bytes = sizeof(struct script), .next = script_next, .end = say_end};
static const struct chanserv_outlet_ops ref_ops = {
    .state_bytes = sizeof(struct script), .next_ref = script_next_ref, .end = say_end};
static const struct chanserv_outlet_ops open_ops = {
    .state_bytes = sizeof(struct script), .next = script_next, .open = script_open, .end = say_end};

static chanserv_outlet *the_outlet;
static const char *the_script;

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    struct script s = {.at = the_script};
    cs_err err = chanserv_announce(post, body, user, &s, &the_outlet);

    memset(&s, 0, sizeof s); /* it was copied */
    cr_assert_eq(err, CS_OK);
    return CS_DONE;
}

static void up_with(const struct chanserv_server_options *options)
{
    memset(large, 'x', sizeof large);
    raw_up(options);
    cr_assert_eq(chanserv_serve(raw.server, "run", announce, (void *)(uintptr_t)&ops), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "ref", announce, (void *)(uintptr_t)&ref_ops), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "open", announce, (void *)(uintptr_t)&open_ops), CS_OK);
}

static void up(void)
{
    up_with(NULL);
}

static struct raw_call *run_on(const char *service, const char *script, uint64_t from)
{
    the_script = script;
    return raw_open(raw_post(service, "h"), 0, from);
}

static struct raw_call *run(const char *script)
{
    return run_on("run", script, 0);
}

TestSuite(outlet, .init = up, .fini = raw_down);

Test(outlet, gives_its_frames_in_order_and_ends_well)
{
    struct raw_call *c = run("abc");

    raw_heard(c, "a|b|c|");
    raw_ended(c, CS_DONE, "", "");
    raw_said("done: ended in good order; ");
    cr_assert_eq(raw_counters().frames_out, 3);
    cr_assert_eq(raw_counters().frame_bytes_out, 3);
    cr_assert_eq(raw_counters().sources_open, 0);
    cr_assert_eq(raw_counters().sources_total, 1);
}

Test(outlet, gives_frames_by_reference_too)
{
    raw_heard(run_on("ref", "ab_", 0), "a|b||");
    raw_said("done: ended in good order; ");
}

Test(outlet, an_empty_frame_is_a_frame)
{
    raw_heard(run("a_b"), "a||b|");
}

Test(outlet, without_a_frame_ends_with_its_status)
{
    struct raw_call *c = run("");

    raw_heard(c, "");
    raw_ended(c, CS_DONE, "", "");
}

Test(outlet, sleeps_until_it_is_woken)
{
    struct raw_call *c = run("a.b");

    raw_heard(c, "a|");
    raw_runs(c);
    cr_assert(chanserv_outlet_is_open(the_outlet));
    cr_assert_eq(raw_counters().sources_open, 1);
    chanserv_outlet_wake(the_outlet);
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|b|");
    raw_ended(c, CS_DONE, "", "");
}

Test(outlet, a_failure_is_the_applications_and_comes_after_the_frames)
{
    struct raw_call *c = run("a!");

    raw_heard(c, "a|");
    raw_ended(c, CS_EDATALOSS, "", "DATA_LOSS: the tape is torn");
    raw_said("failed: the data are damaged; ");
}

Test(outlet, a_gap_goes_before_the_next_frame)
{
    raw_heard(run("a3b"), "a|<3:1>b|");
    cr_assert_eq(raw_counters().gaps, 1);
}

Test(outlet, gaps_that_follow_each_other_are_one)
{
    raw_heard(run("33a"), "<6:1>a|");
}

Test(outlet, a_gap_goes_out_while_the_producer_sleeps)
{
    struct raw_call *c = run("a3.b");

    raw_heard(c, "a|<3:1>");
    chanserv_outlet_skip(the_outlet, 2, CHANSERV_GAP_REPLACED);
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|<3:1><2:3>");
    chanserv_outlet_wake(the_outlet);
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|<3:1><2:3>b|");
}

Test(outlet, a_gap_larger_than_numbers_are_is_a_bug_of_its_own_source)
{
    struct raw_call *c = run("a38");

    raw_heard(c, "a|<3:1>");
    raw_ended(c, CS_EINTERNAL, "", "INTERNAL: it left out more frames than have numbers");
}

Test(outlet, a_gap_goes_before_the_end)
{
    struct raw_call *c = run("a3");

    raw_heard(c, "a|<3:1>");
    raw_ended(c, CS_DONE, "", "");
}

Test(outlet, a_gap_goes_before_a_failure)
{
    struct raw_call *c = run("3!");

    raw_heard(c, "<3:1>");
    raw_ended(c, CS_EDATALOSS, "", "torn");
}

Test(outlet, finished_from_outside_ends_after_what_was_given)
{
    struct raw_call *c = run("a.b");

    chanserv_outlet_skip(the_outlet, 1, CHANSERV_GAP_EXPIRED);
    chanserv_outlet_finish(the_outlet, CS_EABORTED);
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|<1:2>");
    raw_ended(c, CS_EABORTED, "", "ABORTED");
    raw_said("failed: lost a race; ");
}

Test(outlet, finished_inside_next_still_gives_that_frame)
{
    struct raw_call *c = run("aF");

    raw_heard(c, "a|F|");
    raw_ended(c, CS_DONE, "", "");
}

Test(outlet, finished_before_it_is_said_is_announced_with_its_end)
{
    struct raw_call *c;

    the_script = "";
    c = raw_post("run", "h");
    raw_heard(c, "#0 h;");
    chanserv_outlet_finish(the_outlet, CS_EABORTED);
    raw_ended(raw_open(c, 0, 0), CS_EABORTED, "", "ABORTED");
}

Test(outlet, cancelled_drops_what_is_under_way)
{
    struct raw_call *c;

    the_script = "abc.d";
    c = raw_post("run", "h");
    c = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0); /* another stream lives on */
    raw_pause(c);
    c = run("a.b");
    chanserv_outlet_cancel(the_outlet, CS_EPERM);
    chanserv_outlet_cancel(the_outlet, CS_EABORTED);
    chanserv_outlet_finish(the_outlet, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|");
    raw_ended(c, CS_EPERM, "", "PERMISSION_DENIED");
    raw_said("failed: not allowed; ");
}

Test(outlet, cancelled_inside_next_gives_nothing_more)
{
    struct raw_call *c = run("aC");

    raw_ended(c, CS_EABORTED, "", "ABORTED");
    raw_said("failed: lost a race; ");
}

Test(outlet, cancelled_before_anybody_opens_tells_who_comes_later)
{
    struct raw_call *c;

    the_script = "a";
    c = raw_post("run", "h");
    chanserv_outlet_cancel(the_outlet, CS_EABORTED);
    cs_loop_settle(raw.loop);
    raw_said("failed: lost a race; ");
    raw_ended(raw_open(c, 0, 0), CS_EABORTED, "", "ABORTED");
    cr_assert_eq(raw_counters().sources_waiting, 0);
}

Test(outlet, whose_reader_leaves_ends_so)
{
    struct raw_call *c = run("a.b");

    raw_leave(c);
    raw_said("client-left: the peer vanished; ");
    cr_assert_eq(raw_counters().readers_left, 1);
}

Test(outlet, whose_readers_connection_breaks_ends_so)
{
    run("a.b");
    mux_conn_break(raw.conn);
    cs_loop_settle(raw.loop);
    raw_said("client-left: the peer vanished; ");
}

Test(outlet, nobody_opens_is_ended_by_the_accept_timeout)
{
    the_script = "a";
    raw_post("run", "h");
    cs_loop_advance(raw.loop, 29999);
    raw_said("");
    cs_loop_advance(raw.loop, 2);
    raw_said("accept-timeout: the ticket was not used in time; ");
    cr_assert_eq(raw_counters().accept_timeouts, 1);
}

Test(outlet, each_that_nobody_opens_has_its_own_time)
{
    the_script = "a";
    raw_post("run", "h");
    cs_loop_advance(raw.loop, 10000);
    raw_post("run", "h");
    cs_loop_advance(raw.loop, 20001);
    raw_said("accept-timeout: the ticket was not used in time; ");
    cs_loop_advance(raw.loop, 9998);
    raw_said("");
    cs_loop_advance(raw.loop, 2);
    raw_said("accept-timeout: the ticket was not used in time; ");
}

Test(outlet, the_deadline_of_its_opening_ends_it)
{
    struct raw_call *post, *c;
    struct wire_open open = {.from = 0};

    the_script = "a.b";
    post = raw_post("run", "h");
    open.ticket = cs_bytes_of(post->tickets[0], 32);
    c = raw_open_with(&open, 100);
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|");
    cs_loop_advance(raw.loop, 101);
    cr_assert_eq(c->why, CS_ETIMEOUT);
    raw_said("deadline: deadline passed; ");
}

Test(outlet, a_reader_that_stops_stops_the_producer)
{
    static char many[4000];
    struct raw_call *post, *c;
    struct wire_open open = {.from = 0};
    uint64_t given;

    memset(many, 'L', sizeof many - 1);
    the_script = many;
    post = raw_post("run", "h");
    open.ticket = cs_bytes_of(post->tickets[0], 32);
    c = raw_open_with(&open, 0);
    raw_pause(c);
    cs_loop_settle(raw.loop);
    given = raw_counters().frames_out;
    cr_assert_lt(given, 1000, "a window and a queue hold less than %u", (unsigned)given);
    cr_assert_gt(given, 300);
    raw_resume(c);
    cr_assert_eq(raw_counters().frames_out, sizeof many - 1);
    raw_ended(c, CS_DONE, "", "");
}

/* ---- open() --------------------------------------------------------------------------------- */

Test(outlet, open_is_told_from_where)
{
    raw_heard(run_on("open", "ab", 4), "a|b|");
    raw_said("open 4; done: ended in good order; ");
}

Test(outlet, open_can_say_that_the_oldest_is_younger)
{
    raw_heard(run_on("open", "ab", 5), "<2:2>a|b|");
}

Test(outlet, open_can_refuse)
{
    struct raw_call *c = run_on("open", "ab", 13);

    raw_ended(c, CS_EPRECOND, "", "FAILED_PRECONDITION: not thirteen");
    cr_assert_not(c->headers, "a refusal is Trailers-Only");
    raw_said("failed: not in this state; ");
}

Test(outlet, a_number_can_be_given_in_open_only)
{
    run_on("open", "a.", 0);
    cr_assert_eq(chanserv_outlet_number(the_outlet, 9), CS_EMISUSE);
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

static void up_small(void)
{
    struct chanserv_server_options o = {.part_bytes = 40, .frame_max_bytes = 100};

    up_with(&o);
}

TestSuite(parts, .init = up_small, .fini = raw_down);

#define X40 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X20 "xxxxxxxxxxxxxxxxxxxx"

Test(parts, a_large_frame_travels_in_parts_that_count_singly)
{
    raw_heard(run("aLb"), "a|" X40 "+" X40 "+" X20 "|b|");
    cr_assert_eq(raw_counters().frames_out, 3);
    cr_assert_eq(raw_counters().frame_bytes_out, 102);
}

Test(parts, so_does_one_by_reference)
{
    raw_heard(run_on("ref", "L", 0), X40 "+" X40 "+" X20 "|");
}

Test(parts, a_gap_goes_before_the_first_part)
{
    raw_heard(run("3L"), "<3:1>" X40 "+" X40 "+" X20 "|");
}

Test(parts, the_next_number_counts_what_is_held_and_left_out)
{
    static char many[2000];
    uint64_t given = 0, asked = 0, held = 0;

    memset(many, 'L', sizeof many - 1);
    for (int i = 0; i < 4; i++) { /* one of them stops in the middle of a frame */
        struct raw_call *post, *c;
        struct wire_open open = {.from = 0};
        const struct script *s;

        memset(many, 'a', (size_t)i);
        the_script = many;
        post = raw_post("run", "h");
        cr_assert_eq(chanserv_outlet_next_number(the_outlet), 0);
        open.ticket = cs_bytes_of(post->tickets[0], 32);
        c = raw_open_with(&open, 0);
        raw_pause(c);
        cs_loop_settle(raw.loop);
        s = chanserv_outlet_state(the_outlet);
        asked = (uint64_t)(s->at - many);
        held += asked - (raw_counters().frames_out - given);
        cr_assert_eq(chanserv_outlet_next_number(the_outlet), 3 * asked - 2 * (uint64_t)i);
        chanserv_outlet_skip(the_outlet, 5, CHANSERV_GAP_OVERFLOW);
        cr_assert_eq(chanserv_outlet_next_number(the_outlet), 3 * asked - 2 * (uint64_t)i + 5);
        raw_leave(c);
        given = raw_counters().frames_out;
    }
    cr_assert_gt(held, 0);
}

static void up_tiny(void)
{
    struct chanserv_server_options o = {.frame_max_bytes = 99};

    up_with(&o);
}

TestSuite(too_large, .init = up_tiny, .fini = raw_down);

Test(too_large, a_frame_over_the_limit_fails_on_the_sender)
{
    struct raw_call *c = run("aLb");

    raw_heard(c, "a|");
    raw_ended(c, CS_ETOOBIG, "too-large", "RESOURCE_EXHAUSTED: a frame of 100 bytes");
    raw_said("failed: too big; ");
    cr_assert_eq(raw_counters().frames_too_large, 1);
}

Test(too_large, by_reference_too)
{
    raw_ended(run_on("ref", "L", 0), CS_ETOOBIG, "too-large", "RESOURCE_EXHAUSTED");
}

/* ---- Clocks --------------------------------------------------------------------------------- */

static void up_clocks(void)
{
    struct chanserv_server_options o = {.serving_timeout_ms = 5000, .write_timeout_ms = 1000};

    up_with(&o);
}

TestSuite(clocks, .init = up_clocks, .fini = raw_down);

Test(clocks, serving_timeout_ends_an_open_source)
{
    struct raw_call *c = run("a.b");

    cs_loop_advance(raw.loop, 4999);
    raw_runs(c);
    cs_loop_advance(raw.loop, 2);
    raw_ended(c, CS_ETIMEOUT, "deadline", "DEADLINE_EXCEEDED");
    raw_said("deadline: deadline passed; ");
}

Test(clocks, write_timeout_ends_a_source_whose_reader_takes_nothing)
{
    static char many[4000];
    struct raw_call *post, *c;
    struct wire_open open = {.from = 0};

    memset(many, 'L', sizeof many - 1);
    the_script = many;
    post = raw_post("run", "h");
    open.ticket = cs_bytes_of(post->tickets[0], 32);
    c = raw_open_with(&open, 0);
    raw_pause(c);
    cs_loop_settle(raw.loop);
    cs_loop_advance(raw.loop, 999);
    raw_said("");
    cs_loop_advance(raw.loop, 1002);
    raw_said("stalled: the reader took nothing and memory ran short; ");
    raw_resume(c);
    raw_ended(c, CS_ESTALLED, "stalled", "RESOURCE_EXHAUSTED");
}

/* It takes a window each time, which is less than the frame that waits: so the producer is not
 * asked meanwhile. */
Test(clocks, write_timeout_leaves_a_slow_reader_alone)
{
    const struct mux_options narrow = {.window_bytes = 1, .window_max_bytes = CS_OFF};
    struct wire_open open = {.from = 0};
    struct raw_call *c;
    cs_bytes msg;

    mux_conn_free(raw.conn);
    raw_join_with(&narrow); /* 16 KiB are the least */
    the_script = "MMMMMH";
    open.ticket = cs_bytes_of(raw_post("run", "h")->tickets[0], 32);
    c = raw_open_with(&open, 0);
    raw_pause(c);
    cs_loop_settle(raw.loop);
    for (int i = 0; i < 3; i++) {
        cs_loop_advance(raw.loop, 900);
        while (mux_stream_recv(c->stream, &msg) == CS_OK)
            ;
        cs_loop_settle(raw.loop);
    }
    raw_said("");
    cs_loop_advance(raw.loop, 1200);
    raw_said("stalled: the reader took nothing and memory ran short; ");
}

Test(clocks, a_quiet_source_is_not_stalled)
{
    struct raw_call *c = run("a.b");

    cs_loop_advance(raw.loop, 4000);
    raw_runs(c);
    chanserv_outlet_wake(the_outlet);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_DONE, "", "");
}
