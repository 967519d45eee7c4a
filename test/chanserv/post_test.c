/* The life of a post: checks, function, next(), closed() and end(). */
#include "raw.h"

static cs_err once_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *n = state;

    (void)o;
    if ((*n)++ > 0)
        return CS_DONE;
    *frame = cs_str("f");
    return CS_OK;
}

static void outlet_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state;
    raw_say("outlet end %s (%s); ", chanserv_outlet_reason(o), cs_strerror(why));
}

static const struct chanserv_outlet_ops once = {
    .state_bytes = sizeof(int), .next = once_next, .end = outlet_end};

static void closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    raw_say("closed %s; ", cs_strerror(why));
}

static void post_end(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    raw_say("end %s; ", cs_strerror(why));
}

static const struct chanserv_post_ops kept = {.closed = closed, .end = post_end};

static chanserv_post *the_post;

/* Three sources, and then what the body says. */
static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chanserv_announce(post, body, &once, NULL, NULL), CS_OK);
    return CS_DONE;
}

static cs_err keeper(chanserv_post *post, cs_bytes body, void *user)
{
    the_post = post;
    cr_assert_eq(chanserv_post_keep(post, &kept, user), CS_OK);
    cr_assert_eq(chanserv_announce(post, body, &once, NULL, NULL), CS_OK);
    return CS_AGAIN;
}

static cs_err refuser(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_post_fail(post, CS_EPRECOND, "not on %s", "Sundays");
}

static cs_err quiet(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    cr_assert_eq(chanserv_post_keep(post, &kept, user), CS_OK);
    return CS_AGAIN;
}

static cs_err misuser(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body;
    return *(cs_err *)user;
}

static void up(void)
{
    static cs_err again = CS_AGAIN, ok = CS_OK;

    raw_up(NULL);
    cr_assert_eq(chanserv_serve(raw.server, "echo", echo, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "keeper", keeper, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "refuser", refuser, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "quiet", quiet, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "again", misuser, &again), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "ok", misuser, &ok), CS_OK);
}

TestSuite(post, .init = up, .fini = raw_down);

Test(post, announces_in_order_and_ends_well)
{
    struct raw_call *c = raw_post("echo", "hi");

    raw_heard(c, "#0 hi;#1 hi;#2 hi;");
    raw_ended(c, CS_DONE, "", "");
    cr_assert(c->headers);
}

Test(post, the_instance_is_in_the_headers_and_in_every_ticket)
{
    struct raw_call *c = raw_post("echo", "hi");
    char hex[17];

    for (int i = 0; i < 8; i++)
        snprintf(hex + 2 * i, 3, "%02x", c->tickets[0][i]);
    cr_assert_str_eq(c->instance, hex);
}

Test(post, for_an_unknown_service_is_refused)
{
    struct raw_call *c = raw_post("nobody", "");

    raw_ended(c, CS_ENOENT, "no-service", "NOT_FOUND: no such service");
    cr_assert_eq(raw_counters().posts_refused_no_service, 1);
    cr_assert_eq(raw_counters().posts_total, 0);
}

Test(post, with_a_name_that_is_none_is_refused)
{
    raw_ended(raw_post("no body", ""), CS_EINVAL, "bad-request", "INVALID_ARGUMENT");
    raw_ended(raw_post("", ""), CS_EINVAL, "bad-request", "INVALID_ARGUMENT");
    cr_assert_eq(raw_counters().posts_refused_bad, 2);
}

Test(post, that_is_no_message_is_refused)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Post", RAW_ANNOUNCEMENTS, 0);

    raw_send(c, "\xff\xff\xff", 3, true);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EINVAL, "bad-request", "INVALID_ARGUMENT");
}

Test(post, without_a_message_is_refused)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Post", RAW_ANNOUNCEMENTS, 0);

    mux_stream_finish(c->stream, CS_OK, NULL);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EINVAL, "bad-request", "one message");
}

Test(post, with_two_messages_is_refused)
{
    struct wire_post post = {.service = cs_str("echo")};
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Post", RAW_ANNOUNCEMENTS, 0);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_post_pack(&post, &msg, &len), CS_OK);
    raw_send(c, msg, len, false);
    cs_loop_settle(raw.loop);
    raw_runs(c);
    raw_send(c, msg, len, true);
    cs_free(msg);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EINVAL, "bad-request", "one message");
    cr_assert_eq(raw_counters().posts_total, 0);
}

Test(post, runs_only_when_the_client_has_said_its_last_word)
{
    struct wire_post post = {.service = cs_str("echo")};
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Post", RAW_ANNOUNCEMENTS, 0);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_post_pack(&post, &msg, &len), CS_OK);
    raw_send(c, msg, len, false);
    cs_free(msg);
    cs_loop_settle(raw.loop);
    cr_assert_eq(raw_counters().posts_total, 0);
    mux_stream_finish(c->stream, CS_OK, NULL);
    cs_loop_settle(raw.loop);
    cr_assert_eq(raw_counters().posts_total, 1);
}

Test(post, of_a_session_is_refused_because_there_is_none)
{
    uint8_t session[16] = {1};
    struct wire_post from = {.service = cs_str("echo"), .from = 1};
    struct wire_post channel = {.service = cs_str("echo"),
                                .channel = {true, {session, sizeof session}, 1, 1}};
    struct raw_call *a = raw_post_with(&from, 0), *b = raw_post_with(&channel, 0);

    cs_loop_settle(raw.loop);
    raw_ended(a, CS_EINVAL, "bad-request", "INVALID_ARGUMENT"); /* `from` goes with a channel */
    raw_ended(b, CS_EPRECOND, "no-session", "FAILED_PRECONDITION");
    cr_assert_eq(raw_counters().posts_total, 0);
}

Test(post, a_refusal_of_the_function_is_the_applications_and_comes_after_headers)
{
    struct raw_call *c = raw_post("refuser", "");

    raw_ended(c, CS_EPRECOND, "", "FAILED_PRECONDITION: not on Sundays");
    cr_assert(c->headers, "it ran, so it must not be Trailers-Only");
}

Test(post, that_is_taken_is_confirmed_before_anything_is_announced)
{
    struct raw_call *c = raw_post("quiet", "");

    raw_runs(c);
    cr_assert(c->headers, "who posts waits for the first announcement");
    raw_leave(c);
    raw_said("closed the peer vanished; end the peer vanished; ");
}

Test(post, a_function_that_goes_on_without_keeping_is_a_bug)
{
    raw_ended(raw_post("again", ""), CS_EINTERNAL, "", "chanserv_post_keep");
    raw_ended(raw_post("ok", ""), CS_EINTERNAL, "", "chanserv_post_keep");
}

Test(post, tells_closed_and_then_end_when_its_outlets_are_gone)
{
    struct raw_call *c = raw_post("keeper", "x"), *source;

    raw_heard(c, "#0 x;");
    raw_runs(c);
    chanserv_post_finish(the_post, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_DONE, "", "");
    raw_said("closed ended in good order; ");
    source = raw_open(c, 0, 0);
    raw_heard(source, "f|");
    raw_said("outlet end done (ended in good order); end ended in good order; ");
}

Test(post, a_client_that_leaves_ends_what_nobody_opened_and_nothing_else)
{
    struct raw_call *c = raw_post("keeper", "x"), *source;

    cr_assert_eq(chanserv_announce(the_post, cs_str("y"), &once, NULL, NULL), CS_OK);
    cs_loop_settle(raw.loop);
    raw_heard(c, "#0 x;#1 y;");
    source = raw_begin("/chanserv.v1.Chanserv/Open", RAW_FRAMES, 0);
    raw_leave(c);
    raw_said("closed the peer vanished; outlet end post-cancelled (canceled); "
             "outlet end post-cancelled (canceled); end the peer vanished; ");
    raw_leave(source);
    raw_ended(raw_open(c, 0, 0), CS_EEXPIRED, "expired", "NOT_FOUND");
}

Test(post, what_was_asked_stays_as_long_as_it_is_kept)
{
    struct raw_call *c = raw_post("keeper", "the body");
    cs_bytes who;

    cr_assert(cs_same(chanserv_post_body(the_post), cs_str("the body")));
    cr_assert(cs_same(chanserv_post_service(the_post), cs_str("keeper")));
    cr_assert_eq(chanserv_post_bucket(the_post).len, 0);
    who = chanserv_post_metadata(the_post, "who");
    cr_assert(cs_same(who, cs_str("me")));
    cr_assert_eq(chanserv_post_metadata(the_post, "what").len, 0);
    cr_assert_eq(chanserv_post_peer(the_post)->uid, -1);
    cr_assert_eq(chanserv_post_loop(the_post), raw.loop);
    cr_assert_eq(chanserv_post_time_left_ms(the_post), CS_FOREVER);
    cr_assert_eq(chanserv_post_keep(the_post, &kept, NULL), CS_EMISUSE);
    raw_leave(c);
}

Test(post, its_deadline_ends_it_and_what_nobody_opened)
{
    struct wire_post post = {.service = cs_str("keeper")};
    struct raw_call *c = raw_post_with(&post, 500);

    cs_loop_settle(raw.loop);
    cr_assert_eq(chanserv_post_time_left_ms(the_post), 500);
    cs_loop_advance(raw.loop, 501);
    cr_assert_eq(c->why, CS_ETIMEOUT);
    raw_said("closed deadline passed; outlet end deadline (deadline passed); "
             "end deadline passed; ");
    cr_assert_eq(raw_counters().deadlines, 2);
}

/* ---- next() --------------------------------------------------------------------------------- */

struct counting {
    int left;
    bool sleepy; /* AGAIN before each */
    bool slept;
};

static cs_err counting_next(chanserv_post *post, void *state)
{
    struct counting *c = state;
    char header[16];
    cs_err err;

    the_post = post;
    if (c->left == 0)
        return CS_DONE;
    if (c->sleepy && !c->slept) {
        c->slept = true;
        return CS_AGAIN;
    }
    snprintf(header, sizeof header, "%d", c->left);
    err = chanserv_announce(post, cs_str(header), &once, NULL, NULL);
    if (err != CS_OK)
        return err;
    c->slept = false;
    c->left--;
    return CS_OK;
}

static cs_err counting(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {
        .state_bytes = sizeof(struct counting), .next = counting_next, .end = post_end};
    struct counting local = *(struct counting *)user;

    (void)body;
    cr_assert_eq(chanserv_post_keep(post, &ops, &local), CS_OK);
    memset(&local, 0xff, sizeof local); /* the copy counts */
    return CS_OK;
}

Test(post, next_is_asked_until_it_is_done)
{
    struct counting three = {.left = 3};
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "count", counting, &three), CS_OK);
    c = raw_post("count", "");
    raw_heard(c, "#0 3;#1 2;#2 1;");
    raw_ended(c, CS_DONE, "", "");
}

static int asked;

static cs_err endless_next(chanserv_post *post, void *state)
{
    (void)state;
    asked++;
    return chanserv_announce(post, cs_str("one more"), &once, NULL, NULL);
}

static cs_err endless(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = endless_next};

    (void)body, (void)user;
    return chanserv_post_keep(post, &ops, NULL);
}

Test(post, next_is_asked_for_what_the_stream_takes_and_little_more)
{
    enum { WINDOW = 65535, QUEUE = 16 * 1024, AHEAD = 16 * 1024 };
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "endless", endless, NULL), CS_OK);
    c = raw_post_with(&(struct wire_post){.service = cs_str("endless")}, 0);
    raw_pause(c);
    cs_loop_settle(raw.loop);
    /* On the wire one weighs 51 bytes and more, waiting 72. */
    cr_assert_leq(asked, (WINDOW + QUEUE) / 51 + AHEAD / 72 + 2, "%d", asked);
    cr_assert_geq(asked, WINDOW / 60 + AHEAD / 80, "%d", asked);
    cr_assert_eq(raw_counters().announce_again, 0);
}

Test(post, next_that_says_again_is_asked_after_wake)
{
    struct counting two = {.left = 2, .sleepy = true};
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "count", counting, &two), CS_OK);
    c = raw_post("count", "");
    raw_heard(c, "");
    chanserv_post_wake(the_post);
    cs_loop_settle(raw.loop);
    raw_heard(c, "#0 2;");
    chanserv_post_wake(the_post);
    cs_loop_settle(raw.loop);
    raw_heard(c, "#0 2;#1 1;");
    raw_ended(c, CS_DONE, "", "");
}

/* ---- Metadata of the answer ----------------------------------------------------------------- */

static cs_err labeled(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    cr_assert_eq(chanserv_announce(post, body, &once, NULL, NULL), CS_OK);
    cr_assert_eq(chanserv_post_set_header(post, "own", cs_str("mine")), CS_OK);
    cr_assert_eq(chanserv_post_set_header(post, "Own", cs_str("mine")), CS_EMISUSE);
    cr_assert_eq(chanserv_post_set_header(post, "grpc-own", cs_str("mine")), CS_EMISUSE);
    cr_assert_eq(chanserv_post_set_trailer(post, "chanserv-own", cs_str("x")), CS_EMISUSE);
    the_post = post;
    cr_assert_eq(chanserv_post_keep(post, &kept, NULL), CS_OK);
    return CS_AGAIN;
}

Test(post, a_header_can_be_set_while_the_function_runs_also_after_announcing)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "labeled", labeled, NULL), CS_OK);
    c = raw_post("labeled", "x");
    cr_assert_eq(chanserv_post_set_header(the_post, "own", cs_str("late")), CS_EMISUSE);
    chanserv_post_finish(the_post, CS_DONE);
    cs_loop_settle(raw.loop);
    cr_assert_str_eq(c->own, "mine");
    cr_assert_eq(chanserv_post_set_trailer(the_post, "own", cs_str("late")), CS_EMISUSE);
}

Test(post, a_trailer_can_be_set_until_it_is_over)
{
    struct raw_call *c = raw_post("keeper", "x");

    cr_assert_eq(chanserv_post_set_trailer(the_post, "own", cs_str("last")), CS_OK);
    chanserv_post_finish(the_post, CS_EABORTED);
    cs_loop_settle(raw.loop);
    cr_assert_str_eq(c->own, "last");
    raw_ended(c, CS_EABORTED, "", "ABORTED");
}

Test(post, the_end_of_the_master_leaves_the_sources_alone)
{
    struct raw_call *c = raw_post("keeper", "x");

    chanserv_post_finish(the_post, CS_EABORTED);
    cs_loop_settle(raw.loop);
    raw_said("closed lost a race; ");
    raw_heard(raw_open(c, 0, 0), "f|");
    raw_said("outlet end done (ended in good order); end lost a race; ");
}
