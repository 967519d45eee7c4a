/* Announcing: the queue, its limits, and frames that ride along. */
#include "raw.h"

static cs_err one_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *n = state;

    (void)o;
    *frame = cs_str("f");
    return (*n)++ == 0 ? CS_OK : CS_DONE;
}

static void say_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state;
    raw_say("%s: %s; ", chanserv_outlet_reason(o), cs_strerror(why));
}

static const struct chanserv_outlet_ops one = {
    .state_bytes = sizeof(int), .next = one_next, .end = say_end};

static cs_err sleepy_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops sleepy = {.next = sleepy_next, .end = say_end};

static chanserv_post *the_post;
static chanserv_outlet *the_outlet;

/* The body is a list: each letter announces a source of that header, and
 *   A  expects CS_AGAIN instead      L  expects CS_ELIMIT       B  expects CS_ETOOBIG
 *   .  answers CS_AGAIN (kept)       E  expects CS_EMISUSE
 *   s  is a source that sleeps */
static cs_err list_next(chanserv_post *post, void *state)
{
    const char **at = state;

    the_post = post;
    for (; **at; ++*at) {
        char c = **at, big[70000];
        cs_bytes header = cs_bytes_of(&c, 1);
        const struct chanserv_outlet_ops none = {0};

        if (c == '.') {
            ++*at;
            return CS_AGAIN;
        }
        memset(big, c, sizeof big);
        if (c == 'B')
            header = cs_bytes_of(big, sizeof big);
        cr_assert_eq(chanserv_announce(post, header,
                                       c == 'E'   ? &none
                                       : c == 's' ? &sleepy
                                                  : &one,
                                       NULL, &the_outlet),
                     c == 'A'   ? CS_AGAIN
                     : c == 'L' ? CS_ELIMIT
                     : c == 'B' ? CS_ETOOBIG
                     : c == 'E' ? CS_EMISUSE
                                : CS_OK);
    }
    return CS_DONE;
}

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    raw_say("closed %s; ", cs_strerror(why));
}

static const struct chanserv_post_ops list_ops = {
    .state_bytes = sizeof(char *), .next = list_next, .closed = post_closed};

static cs_err list(chanserv_post *post, cs_bytes body, void *user)
{
    const char *at = user;

    (void)body;
    cr_assert_eq(chanserv_post_keep(post, &list_ops, &at), CS_OK);
    return CS_OK;
}

static cs_err list_at_once(chanserv_post *post, cs_bytes body, void *user)
{
    const char *at = user;

    (void)body;
    return list_next(post, &at);
}

static void up(void)
{
    raw_up(NULL);
}

static struct raw_call *post_list(const char *text)
{
    cr_assert_eq(chanserv_serve(raw.server, "list", list, (void *)(uintptr_t)text), CS_OK);
    return raw_post("list", "");
}

static struct raw_call *post_at_once(const char *text)
{
    cr_assert_eq(chanserv_serve(raw.server, "once", list_at_once, (void *)(uintptr_t)text), CS_OK);
    return raw_post("once", "");
}

TestSuite(announce, .init = up, .fini = raw_down);

Test(announce, a_header_over_the_limit_is_refused_and_not_forgotten)
{
    struct raw_call *c = post_at_once("aBb");

    raw_heard(c, "#0 a;#1 b;");
    raw_ended(c, CS_ETOOBIG, "too-large", "announcement lost");
}

Test(announce, ops_without_next_are_refused_and_not_forgotten)
{
    raw_ended(post_at_once("aE"), CS_EINTERNAL, "", "announcement lost");
}

Test(announce, ops_with_reserved_set_or_two_kinds_of_next_are_refused)
{
    struct chanserv_outlet_ops odd = one;
    chanserv_outlet *o;

    post_list("a.");
    odd.reserved[0] = (void (*)(void))raw_down;
    cr_assert_eq(chanserv_announce(the_post, cs_str("x"), &odd, NULL, &o), CS_EMISUSE);
    odd = one;
    odd.next_ref = (cs_err(*)(chanserv_outlet *, cs_ref *, void *))(void (*)(void))one_next;
    cr_assert_eq(chanserv_announce(the_post, cs_str("x"), &odd, NULL, &o), CS_EMISUSE);
}

Test(announce, from_outside_a_callback_is_said_in_the_next_turn)
{
    struct raw_call *c = post_list("a.");

    cr_assert_eq(chanserv_announce(the_post, cs_str("x"), &one, NULL, NULL), CS_OK);
    raw_heard(c, "#0 a;");
    cs_loop_settle(raw.loop);
    raw_heard(c, "#0 a;#1 x;");
}

Test(announce, to_a_post_that_is_over_is_refused)
{
    struct raw_call *c = post_list("a.");
    chanserv_post *post = the_post;

    chanserv_post_finish(post, CS_DONE);
    cr_assert_eq(chanserv_announce(post, cs_str("x"), &one, NULL, NULL), CS_ECANCELED);
    cs_loop_settle(raw.loop);
    cr_assert_eq(chanserv_announce(post, cs_str("x"), &one, NULL, NULL), CS_ECANCELED);
    raw_ended(c, CS_DONE, "", "");
}

/* ---- Limits --------------------------------------------------------------------------------- */

static void up_limits(void)
{
    struct chanserv_server_options o = {.post_sources_max = 2, .sources_max = 3, .posts_max = 1};

    raw_up(&o);
}

TestSuite(limits, .init = up_limits, .fini = raw_down);

Test(limits, too_many_unopened_sources_are_told_to_wait_and_come_when_there_is_room)
{
    struct raw_call *c = post_list("ab.");

    cr_assert_eq(chanserv_announce(the_post, cs_str("c"), &one, NULL, NULL), CS_AGAIN);
    cr_assert_eq(raw_counters().announce_unopened, 1);
    raw_heard(raw_open(c, 0, 0), "f|");
    cr_assert_eq(chanserv_announce(the_post, cs_str("c"), &one, NULL, NULL), CS_OK);
    cs_loop_settle(raw.loop);
    raw_heard(c, "#0 a;#1 b;#2 c;");
    chanserv_post_finish(the_post, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_DONE, "", "");
}

static cs_err three_and_no_next(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.closed = post_closed};

    (void)body, (void)user;
    the_post = post;
    cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(chanserv_announce(post, cs_str("a"), &one, NULL, NULL), CS_OK);
    return chanserv_announce(post, cs_str("a"), &one, NULL, NULL);
}

Test(limits, who_was_told_to_wait_and_has_no_next_is_not_asked_for_more)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "three", three_and_no_next, NULL), CS_OK);
    c = raw_post("three", "");
    raw_heard(raw_open(c, 0, 0), "f|");
    raw_heard(raw_open(c, 1, 0), "f|");
    chanserv_post_finish(the_post, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_ELIMIT, "limit", "announcement lost");
}

static cs_err retry_next(chanserv_post *post, void *state)
{
    int *n = state;
    char header[16];
    cs_err err;

    snprintf(header, sizeof header, "%d", *n);
    err = chanserv_announce(post, cs_str(header), &one, NULL, NULL);
    raw_say("%d %s; ", *n, cs_strerror(err));
    if (err != CS_OK)
        return err;
    return ++*n == 4 ? CS_DONE : CS_OK;
}

static cs_err retry(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.state_bytes = sizeof(int), .next = retry_next};

    (void)body, (void)user;
    cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    return CS_OK;
}

Test(limits, next_that_was_told_to_wait_comes_again_by_itself)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "retry", retry, NULL), CS_OK);
    c = raw_post("retry", "");
    raw_said("0 ok; 1 ok; 2 not now; ");
    raw_heard(raw_open(c, 0, 0), "f|");
    raw_heard(raw_open(c, 1, 0), "f|");
    raw_heard(c, "#0 0;#1 1;#2 2;#3 3;");
    raw_ended(c, CS_DONE, "", "");
    raw_said("2 ok; 3 not now; done: ended in good order; 3 ok; done: ended in good order; ");
}

Test(limits, told_to_wait_and_then_forgotten_is_a_failure)
{
    struct raw_call *c = post_at_once("abAA");

    raw_heard(c, "#0 a;#1 b;");
    raw_ended(c, CS_ELIMIT, "limit", "announcement lost");
}

Test(limits, too_many_sources_of_the_server_are_refused_and_not_forgotten)
{
    struct raw_call *c = post_list("ss.s.L");

    raw_open(c, 0, 0);
    chanserv_post_wake(the_post);
    cs_loop_settle(raw.loop);
    raw_heard(c, "#0 s;#1 s;#2 s;");
    raw_open(c, 1, 0);
    chanserv_post_wake(the_post);
    cs_loop_settle(raw.loop);
    cr_assert_eq(raw_counters().announce_refused_limit, 1);
    raw_ended(c, CS_ELIMIT, "limit", "announcement lost");
}

Test(limits, too_many_posts_are_refused)
{
    struct raw_call *c = post_list("a.");

    raw_ended(raw_post("list", ""), CS_ELIMIT, "limit", "RESOURCE_EXHAUSTED");
    cr_assert_eq(raw_counters().posts_refused_limit, 1);
    cr_assert_eq(raw_counters().posts, 1);
    raw_leave(c);
    cr_assert_eq(raw_counters().posts, 0);
    raw_runs(raw_post("list", ""));
}

static void up_queue(void)
{
    struct chanserv_server_options o = {.post_queue_bytes = 200, .sourcing_timeout_ms = 1000};

    raw_up(&o);
}

TestSuite(queue, .init = up_queue, .fini = raw_down);

Test(queue, that_is_full_says_again_to_all_until_there_is_room)
{
    struct raw_call *c = post_list("a.");
    char longer[60] = "";

    cr_assert_eq(chanserv_announce(the_post, cs_str("b"), &one, NULL, NULL), CS_OK);
    cr_assert_eq(chanserv_announce(the_post, cs_bytes_of(longer, sizeof longer), &one, NULL, NULL),
                 CS_OK);
    cr_assert_eq(chanserv_announce(the_post, cs_bytes_of(longer, sizeof longer), &one, NULL, NULL),
                 CS_AGAIN);
    cr_assert_eq(chanserv_announce(the_post, cs_str(""), &one, NULL, NULL), CS_AGAIN);
    cs_loop_settle(raw.loop);
    cr_assert_eq(chanserv_announce(the_post, cs_str("c"), &one, NULL, NULL), CS_OK);
    cs_loop_settle(raw.loop);
    cr_assert_eq(c->tickets_len, 4);
}

Test(queue, a_short_one_does_not_pass_a_long_one_that_was_told_to_wait)
{
    struct raw_call *c = post_list("a.");
    char longer[100] = "";

    cr_assert_eq(chanserv_announce(the_post, cs_str("b"), &one, NULL, NULL), CS_OK);
    cr_assert_eq(chanserv_announce(the_post, cs_bytes_of(longer, sizeof longer), &one, NULL, NULL),
                 CS_AGAIN);
    cr_assert_eq(chanserv_announce(the_post, cs_str("c"), &one, NULL, NULL), CS_AGAIN,
                 "though there is room for it");
    cs_loop_settle(raw.loop);
    cr_assert_eq(chanserv_announce(the_post, cs_bytes_of(longer, sizeof longer), &one, NULL, NULL),
                 CS_OK);
    cs_loop_settle(raw.loop);
    cr_assert_eq(c->tickets_len, 3);
}

Test(queue, one_larger_than_the_queue_is_taken_when_it_is_alone)
{
    char large[1000] = "";
    struct raw_call *c = post_list("a.");

    cr_assert_eq(chanserv_announce(the_post, cs_bytes_of(large, sizeof large), &one, NULL, NULL),
                 CS_OK);
    cs_loop_settle(raw.loop);
    cr_assert_eq(c->tickets_len, 2);
}

Test(queue, silence_between_announcements_ends_the_post)
{
    struct raw_call *c = post_list("a.b.c");

    cs_loop_advance(raw.loop, 900);
    chanserv_post_wake(the_post);
    cs_loop_advance(raw.loop, 900);
    raw_heard(c, "#0 a;#1 b;");
    raw_runs(c);
    cs_loop_advance(raw.loop, 101);
    raw_ended(c, CS_ETIMEOUT, "deadline", "DEADLINE_EXCEEDED");
    raw_said("closed deadline passed; deadline: deadline passed; deadline: deadline passed; ");
}

/* ---- Frames that ride along ----------------------------------------------------------------- */

struct eager {
    const char *at; /* as in outlet_test.c, and S: free the server */
};

static cs_err eager_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct eager *e = state;

    for (;;) {
        char c = *e->at;

        if (c == '\0')
            return CS_DONE;
        *frame = cs_bytes_of(e->at++, 1);
        if (c == '.')
            return CS_AGAIN;
        if (c == '!')
            return chanserv_outlet_fail(o, CS_EDATALOSS, "torn");
        if (c == 'C')
            chanserv_outlet_cancel(o, CS_EABORTED);
        if (c == 'S')
            chanserv_server_free(raw.server);
        if (c != '3')
            return CS_OK;
        chanserv_outlet_skip(o, 3, CHANSERV_GAP_OVERFLOW);
    }
}

static cs_err eager_open(chanserv_outlet *o, uint64_t from, void *state)
{
    struct eager *e = state;

    raw_say("open %u; ", (unsigned)from);
    if (*e->at == 'R')
        return chanserv_outlet_fail(o, CS_EPRECOND, "not today");
    if (*e->at == '7') {
        e->at++;
        return chanserv_outlet_number(o, 7);
    }
    return CS_OK;
}

static const struct chanserv_outlet_ops eager_ops = {.state_bytes = sizeof(struct eager),
                                                     .next = eager_next,
                                                     .open = eager_open,
                                                     .end = say_end,
                                                     .eager = true};

static cs_err eager(chanserv_post *post, cs_bytes body, void *user)
{
    struct eager e = {.at = user};

    (void)body;
    cr_assert_eq(chanserv_announce(post, cs_str("h"), &eager_ops, &e, &the_outlet), CS_OK);
    return CS_DONE;
}

static struct raw_call *post_eager(const char *text, uint32_t bytes)
{
    cr_assert_eq(chanserv_serve(raw.server, "eager", eager, (void *)(uintptr_t)text), CS_OK);
    return raw_post_inline("eager", bytes);
}

TestSuite(inlined, .init = up, .fini = raw_down);

Test(inlined, small_eager_source_rides_whole_with_its_end)
{
    raw_heard(post_eager("ab", 4096), "#0 h [a|b|] end 0;");
    raw_said("open 0; done: ended in good order; ");
    cr_assert_eq(raw_counters().sources_inline, 1);
    cr_assert_eq(raw_counters().sources_waiting, 0);
}

Test(inlined, only_when_the_request_asks)
{
    raw_heard(post_eager("ab", 0), "#0 h;");
    raw_said("");
}

Test(inlined, only_a_source_that_is_eager)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "once", list_at_once, (void *)(uintptr_t) "a"), CS_OK);
    c = raw_post_inline("once", 4096);
    raw_heard(c, "#0 a;");
    cr_assert_eq(raw_counters().frames_out, 0);
    raw_heard(raw_open(c, 0, 0), "f|");
}

Test(inlined, a_source_that_fails_says_so)
{
    raw_heard(post_eager("a!", 4096), "#0 h [a|] end 15 : torn;");
    raw_said("open 0; failed: the data are damaged; ");
}

Test(inlined, a_source_that_refuses_says_so)
{
    raw_heard(post_eager("R", 4096), "#0 h end 9 : not today;");
    raw_said("open 0; failed: not in this state; ");
}

Test(inlined, a_source_that_cancels_inside_says_so)
{
    raw_heard(post_eager("aC", 4096), "#0 h [a|] end 10 : lost a race;");
    raw_said("open 0; failed: lost a race; ");
}

Test(inlined, a_gap_rides_along_before_its_frame_and_before_the_end)
{
    raw_heard(post_eager("a3b3", 4096), "#0 h [a|<3:1>b|<3:1>] end 0;");
}

Test(inlined, what_begins_later_begins_with_a_gap)
{
    struct raw_call *c = post_eager("7a.b", 4096);

    raw_heard(c, "#0 h [<7:2>a|];");
    raw_heard(raw_open(c, 0, 8), "b|");
}

Test(inlined, a_frame_that_does_not_fit_whole_is_the_first_after_the_opening)
{
    struct raw_call *c = post_eager("abcd", 20), *source;

    raw_heard(c, "#0 h [a|b|];");
    source = raw_open(c, 0, 1);
    raw_ended(source, CS_ERANGE, "not-kept", "OUT_OF_RANGE");
    cr_assert_str_eq(source->oldest, "2");
    source = raw_open(c, 0, 2);
    raw_heard(source, "c|d|");
    raw_said("open 0; done: ended in good order; ");
}

Test(inlined, a_source_that_sleeps_is_opened_from_where_it_stopped)
{
    struct raw_call *c = post_eager("a.b", 4096), *source;

    raw_heard(c, "#0 h [a|];");
    source = raw_open(c, 0, 1);
    raw_heard(source, "b|");
    raw_said("open 0; done: ended in good order; ");
}

Test(inlined, the_server_may_be_freed_in_its_next)
{
    struct raw_call *c = post_eager("aS", 4096);

    raw_said("open 0; shutdown: the server is going away; ");
    cr_assert_eq(c->why, CS_EDRAIN);
    raw.server = NULL;
}

enum { LONG = 450 }; /* frames, which take more than what is kept for the next announcement */
static char long_text[LONG + 1];

static cs_err three(chanserv_post *post, cs_bytes body, void *user)
{
    const char *texts[] = {"ab", long_text, "c"};

    (void)body, (void)user;
    for (int i = 0; i < 3; i++) {
        struct eager e = {.at = texts[i]};

        cr_assert_eq(chanserv_announce(post, cs_str("h"), &eager_ops, &e, NULL), CS_OK);
    }
    return CS_DONE;
}

Test(inlined, each_source_rides_with_its_own_frames)
{
    char wanted[2 * LONG + 100], *at = wanted;

    memset(long_text, 'x', LONG);
    cr_assert_eq(chanserv_serve(raw.server, "three", three, NULL), CS_OK);
    at += sprintf(at, "#0 h [a|b|] end 0;#1 h [");
    for (int i = 0; i < LONG; i++)
        at += sprintf(at, "x|");
    (void)sprintf(at, "] end 0;#2 h [c|] end 0;");
    raw_heard(raw_post_inline("three", 65536), wanted);
}

static void up_bound(void)
{
    struct chanserv_server_options o = {.inline_max_bytes = 10, .frame_max_bytes = 0};

    raw_up(&o);
}

TestSuite(inline_bound, .init = up_bound, .fini = raw_down);

Test(inline_bound, of_the_server_is_the_lower)
{
    raw_heard(post_eager("abcd", 4096), "#0 h [a|];");
}
