/* Open: the checks in the order of docs/WIRE, each with its status, and tickets. */
#include "raw.h"

static cs_err letters_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *n = state;

    (void)o;
    *frame = cs_str("f");
    return (*n)++ == 0 ? CS_OK : CS_AGAIN;
}

static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = letters_next};

static chanserv_outlet *the_outlet;

static cs_err two(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    cr_assert_eq(chanserv_announce(post, body, &ops, NULL, &the_outlet), CS_OK);
    cr_assert_eq(chanserv_announce(post, body, &ops, NULL, NULL), CS_OK);
    return CS_DONE;
}

static cs_err verdict = CS_OK;

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    bool me = false;

    cr_assert_eq(user, &verdict);
    for (size_t i = 0; i < request->metadata_len; i++)
        me = me || (cs_same(request->metadata[i].name, cs_str("who")) &&
                    cs_same(request->metadata[i].value, cs_str("me")));
    cr_assert(me, "the metadata of the request are there");
    cr_assert_not_null(request->peer);
    raw_say("%d %.*s; ", (int)request->verb, CS_FMT(request->service));
    return verdict;
}

static void up(void)
{
    struct chanserv_server_options o = {.authorise = authorise, .authorise_user = &verdict};

    raw_up(&o);
    cr_assert_eq(chanserv_serve(raw.server, "two", two, NULL), CS_OK);
}

static struct raw_call *open_ticket(const void *ticket, size_t len)
{
    struct wire_open open = {.ticket = cs_bytes_of(ticket, len)};
    struct raw_call *c = raw_open_with(&open, 0);

    cs_loop_settle(raw.loop);
    return c;
}

TestSuite(open, .init = up, .fini = raw_down);

Test(open, claims_at_once_and_answers_with_headers)
{
    struct raw_call *c = raw_open(raw_post("two", "h"), 0, 0);

    raw_heard(c, "f|");
    raw_runs(c);
    cr_assert(c->headers);
    cr_assert_eq(raw_counters().sources_open, 1);
    cr_assert_eq(raw_counters().sources_waiting, 1);
    raw_said("0 two; 1 two; ");
}

Test(open, that_is_no_message_is_refused)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Open", RAW_FRAMES, 0);

    raw_send(c, "\xff\xff\xff", 3, true);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EINVAL, "bad-request", "INVALID_ARGUMENT");
    cr_assert_eq(raw_counters().posts_refused_bad, 1);
}

Test(open, with_a_ticket_of_another_length_is_refused)
{
    raw_ended(open_ticket("short", 5), CS_EINVAL, "bad-request", "32 bytes");
    raw_ended(open_ticket("", 0), CS_EINVAL, "bad-request", "32 bytes");
}

Test(open, of_a_session_is_refused_because_there_is_none)
{
    struct raw_call *post = raw_post("two", "h"), *c;
    uint8_t session[16] = {1};
    struct wire_open open = {.ticket = {post->tickets[0], 32},
                             .channel = {true, {session, sizeof session}, 1, 1}};

    c = raw_open_with(&open, 0);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EPRECOND, "no-session", "FAILED_PRECONDITION");
    cr_assert_eq(raw_counters().sources_waiting, 2);
}

Test(open, with_the_ticket_of_another_process_names_the_remedy)
{
    struct raw_call *post = raw_post("two", "h");

    post->tickets[0][3] ^= 1;
    raw_ended(raw_open(post, 0, 0), CS_EPRECOND, "other-instance", "pick_first");
    cr_assert_eq(raw_counters().opens_refused_ticket, 1);
}

Test(open, with_a_wrong_home_index_or_secret_is_unknown)
{
    static const int at[] = {8, 9, 15, 16, 31};
    struct raw_call *post = raw_post("two", "h");

    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        post->tickets[0][at[i]] ^= 0x40;
        raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "NOT_FOUND");
        post->tickets[0][at[i]] ^= 0x40;
    }
    cr_assert_eq(raw_counters().opens_refused_ticket, 5);
    raw_heard(raw_open(post, 0, 0), "f|");
}

Test(open, is_claimed_once)
{
    struct raw_call *post = raw_post("two", "h"), *first = raw_open(post, 0, 0);

    raw_ended(raw_open(post, 0, 0), CS_ECLAIMED, "claimed", "ALREADY_EXISTS");
    raw_runs(first);
    raw_leave(first);
    raw_ended(raw_open(post, 0, 0), CS_ECLAIMED, "claimed", "ALREADY_EXISTS");
    cr_assert_eq(raw_counters().opens_refused_claimed, 2);
}

Test(open, two_in_one_turn_have_one_winner)
{
    struct raw_call *post = raw_post("two", "h"), *a, *b;
    struct wire_open open = {.ticket = {post->tickets[0], 32}};

    a = raw_open_with(&open, 0);
    b = raw_open_with(&open, 0);
    cs_loop_settle(raw.loop);
    raw_heard(a, "f|");
    raw_ended(b, CS_ECLAIMED, "claimed", "ALREADY_EXISTS");
}

Test(open, after_the_accept_timeout_is_told_so)
{
    struct raw_call *post = raw_post("two", "h");

    cs_loop_advance(raw.loop, 30001);
    raw_ended(raw_open(post, 0, 0), CS_EEXPIRED, "expired", "NOT_FOUND");
    cr_assert_eq(raw_counters().accept_timeouts, 2);
    cr_assert_eq(raw_counters().opens_refused_ticket, 1);
}

Test(open, from_a_number_that_is_not_kept_is_told_the_oldest)
{
    struct raw_call *c = raw_open(raw_post("two", "h"), 0, 3);

    raw_ended(c, CS_ERANGE, "not-kept", "OUT_OF_RANGE");
    cr_assert_str_eq(c->oldest, "0");
    cr_assert_eq(raw_counters().sources_waiting, 2, "it can still be opened");
}

Test(open, is_asked_of_the_hook)
{
    struct raw_call *post = raw_post("two", "h");

    verdict = CS_EPERM;
    raw_ended(raw_open(post, 0, 0), CS_EPERM, "denied", "PERMISSION_DENIED");
    verdict = CS_EAUTH;
    raw_ended(raw_open(post, 0, 0), CS_EAUTH, "denied", "UNAUTHENTICATED");
    raw_ended(raw_post("two", "h"), CS_EAUTH, "denied", "UNAUTHENTICATED");
    verdict = CS_EPERM;
    raw_ended(raw_post("two", "h"), CS_EPERM, "denied", "PERMISSION_DENIED");
    cr_assert_eq(raw_counters().posts_refused_denied, 4);
    cr_assert_eq(raw_counters().posts_total, 1);
    verdict = CS_OK;
    raw_heard(raw_open(post, 0, 0), "f|");
}

Test(open, the_hook_is_not_asked_about_tickets_that_are_none)
{
    struct raw_call *post = raw_post("two", "h");

    post->tickets[0][31] ^= 1;
    raw_said("0 two; ");
    verdict = CS_EPERM;
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "NOT_FOUND");
    raw_said("");
    verdict = CS_OK;
}
