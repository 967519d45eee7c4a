/* A server of several loops: calls come to each, and are answered where they belong. */
#include "looped.h"

#include "mux/foreign.h"
#include "test/support/stranger.h"

enum { TICKET_LOOP = 8 };

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    (void)user;
    raw_say("%d %.*s %.*s; ", (int)request->verb, CS_FMT(request->service),
            CS_FMT(request->peer->addr));
    return looped.denies ? CS_EPERM : CS_OK;
}

static void up_strict(void)
{
    looped_up_with(&(struct chanserv_server_options){.authorise = authorise});
}

TestSuite(loops, .init = looped_up, .fini = looped_down);
TestSuite(loops_parallel, .init = looped_up_parallel, .fini = looped_down);
TestSuite(loops_strict, .init = up_strict, .fini = looped_down);

/* ---- Options ----------------------------------------------------------------------------------- */

Test(loops_options, are_at_most_as_many_as_a_ticket_can_name)
{
    const int good[] = {0, 1, 2, 255}, bad[] = {-1, 256};
    struct chanserv_server_options options = {.loops = 2};
    chanserv_server *server;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_expect_eq(chanserv_server_new(loop, &options, &server), CS_EINVAL);
    cs_loop_free(loop);
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    cr_expect_eq(chanserv_server_new(loop, &options, &server), CS_OK);
    chanserv_server_free(server);
    cs_loop_free(loop);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.loops = bad[i];
        cr_expect_eq(chanserv_server_new(NULL, &options, &server), CS_EINVAL, "%d", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        options.loops = good[i];
        cr_assert_eq(chanserv_server_new(NULL, &options, &server), CS_OK, "%d", good[i]);
        cr_expect_eq(server->loops ? (int)server->loops->len : 1, good[i] ? good[i] : 1);
        chanserv_server_free(server);
    }
}

Test(loops, services_are_settled_when_they_run)
{
    cr_expect_eq(chanserv_unserve(raw.server, "p"), CS_EMISUSE);
    cr_expect_eq(chanserv_unserve(raw.server, "s"), CS_OK);
    cr_expect_eq(chanserv_serve(raw.server, "s", looped_count, NULL), CS_OK);
    cr_expect_eq(chanserv_serve_parallel(raw.server, "q", looped_count, NULL), CS_EMISUSE);
    cr_expect_eq(chanserv_handle(raw.server, "/a.B/D", looped_handled, NULL), CS_EMISUSE);
    cr_expect_eq(chanserv_server_run(raw.server), CS_EMISUSE, "the first failure sticks");
}

Test(loops_parallel, no_other_can_be_added_where_all_are_parallel)
{
    cr_expect_eq(chanserv_serve(raw.server, "s", looped_count, NULL), CS_EMISUSE);
}

/* ---- Posts and openings ------------------------------------------------------------------------ */

Test(loops, a_parallel_service_runs_where_its_client_is_any_other_on_the_first)
{
    for (int i = 0; i < LOOPED; i++) {
        looped_at(i);
        struct raw_call *p = raw_post("p", "3"), *s = raw_post("s", "3");

        raw_heard(p, "#0 h;");
        raw_ended(p, CS_DONE, "", "");
        raw_heard(s, "#0 h;");
        raw_ended(s, CS_DONE, "", "");
        cr_expect_str_eq(s->instance, raw.server->instance_hex);
        cr_expect_str_eq(p->instance, s->instance);
        cr_expect_eq(p->tickets[0][TICKET_LOOP], i);
        cr_expect_eq(s->tickets[0][TICKET_LOOP], 0);
        cr_expect_eq(looped.ran_on, raw.server);
        cr_expect_str_eq(looped.peer, "local me");
    }
    cr_expect_eq(raw_counters().posts_total, 2 * LOOPED);
    cr_expect_eq(raw_counters().connections, LOOPED);
}

Test(loops, a_ticket_is_opened_on_any_loop_once)
{
    for (int home = 0; home < LOOPED; home++)
        for (int i = 0; i < LOOPED; i++) {
            struct raw_call *post, *open, *again;

            looped_at(home);
            post = raw_post("p", "3");
            looped_at(i);
            open = raw_open(post, 0, 0);
            raw_heard(open, "x|x|x|");
            raw_ended(open, CS_DONE, "", "");
            again = raw_open(post, 0, 0);
            raw_ended(again, CS_ECLAIMED, "claimed", "");
            cr_expect_not(again->headers, "a refusal is a status alone");
            raw_said("done; ");
        }
    cr_expect_eq(raw_counters().opens_refused_claimed, LOOPED * LOOPED);
}

Test(loops, a_ticket_that_names_no_loop_or_another_server_is_refused_as_ever)
{
    struct raw_call *post;

    looped_at(1);
    post = raw_post("p", "3");
    post->tickets[0][TICKET_LOOP] = LOOPED;
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "");
    post->tickets[0][TICKET_LOOP] = 2;
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "");
    post->tickets[0][TICKET_LOOP] = 1;
    post->tickets[0][31] ^= 1;
    looped_at(2);
    raw_ended(raw_open(post, 0, 0), CS_ENOENT, "unknown-ticket", "");
    post->tickets[0][31] ^= 1;
    post->tickets[0][0] ^= 1;
    raw_ended(raw_open(post, 0, 0), CS_EPRECOND, "other-instance", "");
    post->tickets[0][0] ^= 1;
    raw_heard(raw_open(post, 0, 0), "x|x|x|");
}

Test(loops, who_may_not_learns_it_in_the_same_words)
{
    looped_at(1);
    raw_ended(raw_post("none", "1"), CS_ENOENT, "no-service", "NOT_FOUND");
    raw_ended(raw_post("", "1"), CS_EINVAL, "bad-request", "");
    cr_expect_eq(raw_counters().posts_refused_no_service, 1);
}

static struct raw_call *talk_to(const struct raw_call *post)
{
    const struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32)};
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 0);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    looped_say(c, msg, len, false);
    cs_free(msg);
    return c;
}

static void say_word(struct raw_call *c, const char *word, bool last)
{
    uint8_t msg[WIRE_UP_HEAD + 100];
    size_t n = wire_up_head(msg, strlen(word), false);

    memcpy(msg + n, word, strlen(word));
    looped_say(c, msg, n + strlen(word), last);
}

Test(loops, a_conversation_goes_over_loops)
{
    struct raw_call *post, *c;

    looped_at(1);
    post = raw_post("p.ear", "");
    looped_at(2);
    c = talk_to(post);
    say_word(c, "one", false);
    say_word(c, "two", true);
    raw_said("one; two; done; ");
    raw_ended(c, CS_DONE, "", "");
    c = talk_to(raw_post("s.ear", ""));
    say_word(c, "three", false);
    raw_said("three; ");
    raw_leave(c);
    raw_said("client-left; ");
}

Test(loops, a_reader_that_leaves_is_known_there)
{
    struct raw_call *open;

    looped_at(2);
    open = looped_open_paused(raw_post("s", "0"), 0);
    raw_leave(open);
    raw_said("client-left; ");
    open = looped_open_paused(raw_post("s", "0"), 0);
    raw_runs(open);
    looped_lose(2);
    raw_said("client-left; ");
    cr_expect_eq(raw_counters().sources_open, 0);
}

Test(loops, a_producer_that_gives_up_is_heard_here_before_what_waits)
{
    struct raw_call *open;

    looped_at(1);
    open = looped_open_paused(raw_post("s", "0"), 0);
    chanserv_outlet_cancel(looped.outlet, CS_EABORTED);
    cs_loop_settle(raw.loop);
    raw_said("failed; ");
    raw_resume(open);
    raw_ended(open, CS_EABORTED, "", "");
}

Test(loops, a_reader_that_stalls_stops_its_own_producer)
{
    struct raw_call *slow;
    int asked_for;

    looped_at(1);
    slow = looped_open_paused(raw_post("s", "0"), 0);
    asked_for = looped.asked;
    cr_expect_lt(asked_for, 400, "%d", asked_for); /* two windows, and what is queued */
    raw_heard(raw_open(raw_post("s", "9"), 0, 0), "x|x|x|x|x|x|x|x|x|");
    cr_expect_eq(looped.asked, asked_for + 9);
    raw_leave(slow);
}

Test(loops, a_deadline_goes_along)
{
    struct raw_call *call;

    looped_at(1);
    call = looped_open_paused(raw_post("s", "0"), 70);
    cs_loop_advance(raw.loop, 100);
    raw_said("deadline; ");
    raw_resume(call);
    raw_ended(call, CS_ETIMEOUT, "", ""); /* its own clock said so first */
}

/* ---- What the first loop answers ----------------------------------------------------------------- */

Test(loops, there_is_one_list_of_services)
{
    struct raw_call *watch;

    looped_at(2);
    watch = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);
    raw_send(watch, NULL, 0, true);
    cs_loop_settle(raw.loop);
    cr_assert(strstr(watch->heard, "s.ear,"), "%s", watch->heard);
    cr_assert(strstr(watch->heard, "p,"), "%s", watch->heard);
    cr_assert_eq(chanserv_unserve(raw.server, "s.ear"), CS_OK);
    cs_loop_settle(raw.loop);
    cr_assert_not(strstr(strchr(watch->heard, ')'), "s.ear,"), "%s", watch->heard);
    chanserv_server_drain(raw.server, 1000);
    cs_loop_advance(raw.loop, 30);
    cr_assert(strstr(watch->heard, ")draining"), "%s", watch->heard);
}

Test(loops, who_watches_services_is_told_to_ask_again_when_his_connection_goes)
{
    struct raw_call *watch;

    looped_at(2);
    watch = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);
    raw_send(watch, NULL, 0, true);
    cs_loop_settle(raw.loop);
    looped_roll(2);
    cs_loop_settle(raw.loop);
    raw_ended(watch, CS_DONE, "", "");
    cr_expect_eq(looped_loops()->all[0]->calls, 0);
    cr_expect_eq(looped_loops()->all[2]->calls, 0);
}

Test(loops, methods_of_the_servers_own_are_answered_on_the_first)
{
    for (int i = 0; i < LOOPED; i++) {
        looped_at(i);
        struct raw_call *c = raw_begin("/a.B/C", RAW_FRAMES, 0);

        raw_send(c, NULL, 0, true);
        cs_loop_settle(raw.loop);
        raw_ended(c, CS_EABORTED, "", "handled");
        cr_expect_eq(looped.handled, i + 1);
    }
}

Test(loops_strict, the_hook_sees_who_it_is)
{
    struct mux_peer *peer;

    looped_at(1);
    peer = (struct mux_peer *)(uintptr_t)mux_conn_peer(looped.conns[1]);
    cr_assert_not_null(peer);
    raw_post("s", "1");
    raw_said("0 s local; ");
    raw_open(raw_post("p", "1"), 0, 0);
    raw_said("0 p local; 1 p local; done; ");
    looped.denies = true;
    raw_ended(raw_post("s", "1"), CS_EPERM, "denied", "");
    cr_expect_eq(raw_counters().posts_refused_denied, 1);
}

/* ---- What is not gRPC -------------------------------------------------------------------------- */

static void plain_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    looped.handled += why == CS_DONE;
}

static void plain_here(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.end = plain_end};
    cs_bytes path;

    looped.ran_on = user;
    cr_assert_eq(mux_stream_header(stream, ":path", &path), CS_OK);
    cr_assert(cs_same(path, cs_str("/page")));
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
    cr_assert_eq(mux_stream_respond(stream, 204), CS_OK);
    mux_stream_finish(stream, CS_OK, NULL);
}

/* The preface, SETTINGS, and GET http://a/page. */
static const char page[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                           "\0\0\0\4\0\0\0\0\0"
                           "\0\0\14\1\5\0\0\0\1\x82\x86\4\5/page\1\1a";

Test(loops, a_plain_request_is_answered_on_the_first)
{
    mux_handlers_set_plain(raw.server->handlers, plain_here, raw.server);
    for (size_t i = 1; i < LOOPED; i++)
        mux_handlers_set_plain(looped_loops()->all[i]->handlers, chanserv__route_plain,
                               looped_loops()->all[i]);
    stranger_says(raw.loop, looped_loops()->all[1]->handlers, cs_bytes_of(page, sizeof page - 1));
    cr_assert_eq(looped.ran_on, raw.server);
    cr_assert_eq(looped.handled, 1, "and its answer was good");
    cr_assert_eq(looped_loops()->all[1]->calls, 0);
}
