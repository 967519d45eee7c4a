/* The object: setting up, the list of services, running, and being freed at any time. */
#include "raw.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static cs_err nothing(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body, (void)user;
    return CS_DONE;
}

static void up(void)
{
    raw_up(NULL);
}

/* ---- Setting up ----------------------------------------------------------------------------- */

Test(server, serving_is_by_name)
{
    static const char *const bad[] = {"", "no spaces", "n\xc3\xb6", "a:b"};
    chanserv_server *server;
    char name[258];

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_serve(server, "a.B/9_-", nothing, NULL), CS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(chanserv_serve(server, bad[i], nothing, NULL), CS_EINVAL);
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    cr_assert_eq(chanserv_serve(server, name, nothing, NULL), CS_EINVAL);
    name[255] = '\0';
    cr_assert_eq(chanserv_serve(server, name, nothing, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(server, name, nothing, NULL), CS_EEXIST);
    cr_assert_eq(chanserv_unserve(server, name), CS_OK);
    cr_assert_eq(chanserv_unserve(server, name), CS_ENOENT);
    chanserv_server_free(server);
}

Test(server, the_first_failure_of_setting_up_is_what_run_answers)
{
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_str_eq(chanserv_server_errmsg(server), "");
    cr_assert_eq(chanserv_serve(server, "a b", nothing, NULL), CS_EINVAL);
    cr_assert_eq(chanserv_listen(server, "nowhere"), CS_EINVAL);
    cr_assert_eq(chanserv_server_run(server), CS_EINVAL);
    cr_assert(strstr(chanserv_server_errmsg(server), "serve: not the name of a service: a b"));
    chanserv_server_free(server);
}

Test(server, what_cannot_be_listened_on_has_words)
{
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, "unix:/no/such/directory/socket"), CS_ESYS);
    cr_assert(strstr(chanserv_server_errmsg(server), "listen unix:/no/such/directory/socket: "));
    cr_assert_eq(chanserv_server_run(server), CS_ESYS);
    chanserv_server_free(server);
}

Test(server, strangers_are_not_listened_to_by_accident)
{
    struct chanserv_server_options o = {.insecure = true};
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, ":0"), CS_EPERM);
    cr_assert(strstr(chanserv_server_errmsg(server), "options.insecure"));
    cr_assert_null(chanserv_server_addr(server, 0));
    cr_assert_eq(chanserv_server_run(server), CS_EPERM);
    chanserv_server_free(server);
    cr_assert_eq(chanserv_server_new(NULL, &o, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, ":0"), CS_OK);
    chanserv_server_free(server);
}

Test(server, an_address_has_its_real_port)
{
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(strncmp(chanserv_server_addr(server, 0), "127.0.0.1:", 10), 0);
    cr_assert_neq(atoi(chanserv_server_addr(server, 0) + 10), 0);
    cr_assert_str_neq(chanserv_server_addr(server, 0), chanserv_server_addr(server, 1));
    cr_assert_null(chanserv_server_addr(server, 2));
    chanserv_server_free(server);
}

Test(server, options_with_reserved_set_are_misuse)
{
    struct chanserv_server_options o = {.reserved = {[2] = 1}}, net = {.net.reserved = {[7] = 1}};
    chanserv_server *server = NULL;

    cr_assert_eq(chanserv_server_new(NULL, &o, &server), CS_EMISUSE);
    cr_assert_eq(chanserv_server_new(NULL, &net, &server), CS_EMISUSE);
    cr_assert_null(server);
}

/* ---- Running -------------------------------------------------------------------------------- */

static void stop(void *server)
{
    chanserv_server_stop(server);
}
static void terminate(void *user)
{
    (void)user;
    raise(SIGTERM);
}
static void free_it(void *server)
{
    chanserv_server_free(server);
}

Test(server, runs_until_it_is_stopped)
{
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(cs_loop_call(chanserv_server_loop(server), stop, server), CS_OK);
    cr_assert_eq(chanserv_server_run(server), CS_OK);
    cr_assert_eq(cs_loop_call(chanserv_server_loop(server), stop, server), CS_OK);
    cr_assert_eq(chanserv_server_run(server), CS_OK, "and again");
    chanserv_server_free(server);
}

/* Until it was there for a moment, or, `found`, once in time to see that it was over. */
static struct chanserv_counters run_a_moment(const struct chanserv_server_options *o, bool found)
{
    struct chanserv_counters seen;
    chanserv_server *server;
    cs_timer *timer;

    cr_assert_eq(chanserv_server_new(NULL, o, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(cs_timer_new(chanserv_server_loop(server), stop, server, &timer), CS_OK);
    do {
        cs_timer_set(timer, 1);
        cr_assert_eq(chanserv_server_run(server), CS_OK);
        chanserv_server_counters(server, &seen);
    } while (found && seen.busy_poll_hits == 0);
    cs_timer_free(timer);
    chanserv_server_free(server);
    return seen;
}

Test(server, looks_for_news_before_it_sleeps_and_counts_it, .timeout = 60)
{
    struct chanserv_server_options o = {.busy_poll_us = CS_BUSY_POLL_MAX_US};
    struct chanserv_counters seen = run_a_moment(&o, true);
    chanserv_server *server;

    cr_assert_geq(seen.busy_polls, seen.busy_poll_hits);
    o.busy_poll_us = CS_OFF;
    o.loops = 3;
    seen = run_a_moment(&o, false);
    cr_assert_eq(seen.busy_polls, 0);
    o.busy_poll_us = CS_BUSY_POLL_MAX_US + 1;
    cr_assert_eq(chanserv_server_new(NULL, &o, &server), CS_EINVAL);
}

Test(server, with_signals_is_stopped_by_sigterm_and_puts_back_what_was_there)
{
    struct chanserv_server_options o = {.signals = true};
    struct sigaction now;
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, &o, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(cs_loop_call(chanserv_server_loop(server), terminate, NULL), CS_OK);
    cr_assert_eq(chanserv_server_run(server), CS_OK);
    cr_assert_eq(sigaction(SIGTERM, NULL, &now), 0);
    cr_assert_eq(now.sa_handler, SIG_DFL);
    chanserv_server_free(server);
}

Test(server, with_its_own_loop_can_be_freed_while_it_runs)
{
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(cs_loop_call(chanserv_server_loop(server), free_it, server), CS_OK);
    cr_assert_eq(chanserv_server_run(server), CS_OK);
}

/* ---- The list of services ------------------------------------------------------------------- */

static cs_err only_a(const struct chanserv_request *request, void *user)
{
    (void)user;
    cr_assert_eq(request->verb, CHANSERV_LIST);
    return cs_same(request->service, cs_str("a")) ? CS_OK : CS_EPERM;
}

static struct raw_call *list_services(void)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);

    raw_send(c, "", 0, true);
    cs_loop_settle(raw.loop);
    return c;
}

TestSuite(services, .init = up, .fini = raw_down);

Test(services, are_listed_at_once_and_when_they_change)
{
    struct raw_call *c = list_services();

    raw_heard(c, "()");
    cr_assert_eq(chanserv_serve(raw.server, "a", nothing, NULL), CS_OK);
    cs_loop_settle(raw.loop);
    raw_heard(c, "()(a,)");
    cr_assert_eq(chanserv_unserve(raw.server, "a"), CS_OK);
    cs_loop_settle(raw.loop);
    raw_heard(c, "()(a,)()");
    raw_runs(c);
    raw_leave(c);
}

Test(services, end_when_the_server_does)
{
    struct raw_call *c = list_services();

    chanserv_server_free(raw.server);
    raw.server = NULL;
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
}

static void up_only_a(void)
{
    struct chanserv_server_options o = {.authorise = only_a};

    raw_up(&o);
}

TestSuite(services_hook, .init = up_only_a, .fini = raw_down);

Test(services_hook, are_those_that_the_caller_may_post_to)
{
    cr_assert_eq(chanserv_serve(raw.server, "a", nothing, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "b", nothing, NULL), CS_OK);
    raw_heard(list_services(), "(a,)");
}

/* Takes away the service that it is asked about, and serves many others. */
static cs_err restless(const struct chanserv_request *request, void *user)
{
    static int served;
    char name[32];

    (void)user;
    snprintf(name, sizeof name, "%.*s", CS_FMT(request->service));
    if (chanserv_unserve(raw.server, name) != CS_OK || served > 0)
        return CS_OK;
    for (; served < 40; served++) {
        snprintf(name, sizeof name, "new%d", served);
        cr_assert_eq(chanserv_serve(raw.server, name, nothing, NULL), CS_OK);
    }
    return CS_OK;
}

static void up_restless(void)
{
    struct chanserv_server_options o = {.authorise = restless};

    raw_up(&o);
}

TestSuite(services_restless, .init = up_restless, .fini = raw_down);

Test(services_restless, may_change_while_the_hook_is_asked_for_the_list)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "a", nothing, NULL), CS_OK);
    c = list_services();
    cr_assert_eq(strncmp(c->heard, "(a,)(", 5), 0, "what changed meanwhile is told: %s", c->heard);
    raw_runs(c);
}

Test(services_restless, a_post_whose_service_the_hook_takes_away_is_refused)
{
    cr_assert_eq(chanserv_serve(raw.server, "a", nothing, NULL), CS_OK);
    raw_ended(raw_post("a", ""), CS_ENOENT, "no-service", "NOT_FOUND");
    cr_assert_eq(raw_counters().posts_refused_no_service, 1);
    cr_assert_eq(raw_counters().posts_total, 0);
}

/* Everything on this side says NAME, and the wire NAME.a.b. */
static cs_err say_and_allow(const struct chanserv_request *request, void *user)
{
    (void)user;
    raw_say("may %.*s? ", CS_FMT(request->service));
    return CS_OK;
}

static cs_err say_name(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    raw_say("%.*s runs. ", CS_FMT(chanserv_post_service(post)));
    return CS_DONE;
}

static void up_in_a_name_space(void)
{
    char space[] = "a.b", node[] = "n1";
    struct chanserv_server_options o = {
        .name_space = space, .node = node, .authorise = say_and_allow};

    raw_up(&o);
    memset(space, 'x', 3); /* they were copied */
    memset(node, 'x', 2);
}

TestSuite(name_space, .init = up_in_a_name_space, .fini = raw_down);

Test(name_space, is_on_the_wire_and_nowhere_else)
{
    cr_assert_eq(chanserv_serve(raw.server, "x", say_name, NULL), CS_OK);
    raw_heard(list_services(), "(x.a.b,)");
    raw_said("may x? ");
    raw_ended(raw_post("x.a.b", ""), CS_DONE, "", "");
    raw_said("may x? x runs. ");
    raw_ended(raw_post("x", ""), CS_ENOENT, "no-service", "NOT_FOUND");
    raw_said("");
    cr_assert_eq(chanserv_unserve(raw.server, "x.a.b"), CS_ENOENT);
    cr_assert_eq(chanserv_unserve(raw.server, "x"), CS_OK);
    cs_loop_settle(raw.loop);
    raw_ended(raw_post("x.a.b", ""), CS_ENOENT, "no-service", "NOT_FOUND");
}

Test(name_space, counts_for_the_length_of_a_name)
{
    char name[253];

    memset(name, 'n', sizeof name);
    name[252] = '\0';
    cr_assert_eq(chanserv_serve(raw.server, name, nothing, NULL), CS_EINVAL);
    name[251] = '\0';
    cr_assert_eq(chanserv_serve(raw.server, name, nothing, NULL), CS_OK);
}

Test(server, name_space_and_node_are_names)
{
    static const struct chanserv_server_options bad[] = {
        {.name_space = ""}, {.name_space = "a b"}, {.node = ""}, {.node = "two words"}};
    chanserv_server *server;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(chanserv_server_new(NULL, &bad[i], &server), CS_EINVAL);
}

/* ---- Being freed ---------------------------------------------------------------------------- */

enum { NOWHERE, IN_FUNCTION, IN_POST_NEXT, IN_CLOSED, IN_END, IN_OPEN, IN_NEXT, IN_OUTLET_END };
static int where;

static void perhaps_free(int here)
{
    if (here == where) {
        where = NOWHERE;
        raw_say("[free] ");
        chanserv_server_free(raw.server);
        raw.server = NULL;
    }
}

static cs_err f_open(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)o, (void)from, (void)state;
    perhaps_free(IN_OPEN);
    return CS_OK;
}

static cs_err f_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *n = state;

    (void)o;
    perhaps_free(IN_NEXT);
    *frame = cs_str("f");
    return (*n)++ == 0 ? CS_OK : CS_AGAIN;
}

static void f_outlet_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)why, (void)state;
    perhaps_free(IN_OUTLET_END);
    raw_say("%s; ", chanserv_outlet_reason(o));
}

static const struct chanserv_outlet_ops f_ops = {
    .state_bytes = sizeof(int), .open = f_open, .next = f_next, .end = f_outlet_end};

static chanserv_post *f_post;

static cs_err f_post_next(chanserv_post *post, void *state)
{
    (void)post, (void)state;
    perhaps_free(IN_POST_NEXT);
    return CS_AGAIN;
}

static void f_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    perhaps_free(IN_CLOSED);
    raw_say("closed %s; ", cs_strerror(why));
}

static void f_end(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    perhaps_free(IN_END);
    raw_say("end %s; ", cs_strerror(why));
}

static cs_err f_function(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {
        .next = f_post_next, .closed = f_closed, .end = f_end};

    (void)user;
    f_post = post;
    cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    cr_assert_eq(chanserv_announce(post, body, &f_ops, NULL, NULL), CS_OK);
    cr_assert_eq(chanserv_announce(post, body, &f_ops, NULL, NULL), CS_OK);
    perhaps_free(IN_FUNCTION);
    return CS_OK;
}

static struct raw_call *f_run(int in)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "f", f_function, NULL), CS_OK);
    where = in;
    c = raw_post("f", "h");
    return c;
}

#define SHUT "the server is going away; "

TestSuite(freed, .init = up, .fini = raw_down);

Test(freed, from_outside_every_end_has_come_when_it_returns)
{
    struct raw_call *c = f_run(NOWHERE), *source = raw_open(c, 0, 0);

    raw_heard(source, "f|");
    chanserv_server_free(raw.server);
    raw.server = NULL;
    raw_said("shutdown; closed " SHUT "shutdown; end " SHUT);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_ended(source, CS_EDRAIN, "draining", "UNAVAILABLE");
}

Test(freed, in_the_source_function)
{
    struct raw_call *c = f_run(IN_FUNCTION);

    raw_said("[free] shutdown; shutdown; closed " SHUT "end " SHUT);
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
}

Test(freed, in_next_of_a_post)
{
    struct raw_call *c = f_run(IN_POST_NEXT);

    raw_said("[free] shutdown; shutdown; closed " SHUT "end " SHUT);
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
}

Test(freed, in_closed)
{
    struct raw_call *c = f_run(IN_CLOSED);

    raw_open(c, 0, 0);
    chanserv_post_finish(f_post, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_said("[free] closed ended in good order; shutdown; shutdown; end ended in good order; ");
    raw_ended(c, CS_DONE, "", "");
}

Test(freed, in_end_of_a_post)
{
    struct raw_call *c = f_run(IN_END);

    raw_leave(c);
    raw_said("closed the peer vanished; post-cancelled; post-cancelled; "
             "[free] end the peer vanished; ");
}

Test(freed, in_open)
{
    struct raw_call *c = f_run(IN_OPEN), *source = raw_open(c, 0, 0);

    raw_ended(source, CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_said("[free] shutdown; closed " SHUT "shutdown; end " SHUT);
}

Test(freed, in_next_of_an_outlet)
{
    struct raw_call *c = f_run(IN_NEXT), *source = raw_open(c, 0, 0);

    raw_ended(source, CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_said("[free] shutdown; closed " SHUT "shutdown; end " SHUT);
}

Test(freed, in_end_of_an_outlet)
{
    struct raw_call *c = f_run(IN_OUTLET_END);

    raw_leave(raw_open(c, 0, 0));
    raw_ended(c, CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_said("[free] client-left; shutdown; closed " SHUT "end " SHUT);
}

Test(freed, while_the_request_is_not_complete)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Post", RAW_ANNOUNCEMENTS, 0);

    cs_loop_settle(raw.loop);
    chanserv_server_free(raw.server);
    raw.server = NULL;
    cs_loop_settle(raw.loop);
    cr_assert_neq(c->why, CS_AGAIN);
}

Test(freed, with_a_peer_that_is_dead)
{
    f_run(NOWHERE);
    mux_conn_swallow(raw.conn);
    chanserv_server_free(raw.server);
    raw.server = NULL;
    raw_said("shutdown; shutdown; closed " SHUT "end " SHUT);
}
