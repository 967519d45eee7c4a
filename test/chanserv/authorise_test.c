/* The authorise hook: asked before Post, Open, Talk, each name of Services and each raw method, and
 * before anything of theirs runs. */
#include "raw.h"
#include "test/support/failing.h"

static cs_err verdict;         /* about everything but a post */
static cs_err post_verdict;    /* about a post */
static const char *words = ""; /* what the hook writes */
static enum chanserv_verb asked_verb;
static char asked_service[64];
static int asked;
static bool frees;

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    (void)user;
    cr_assert_not_null(request->peer);
    asked++;
    asked_verb = request->verb;
    snprintf(asked_service, sizeof asked_service, "%.*s", CS_FMT(request->service));
    snprintf(request->why, CHANSERV_WHY_MAX, "%s", words);
    if (frees) {
        chanserv_server_free(raw.server);
        raw.server = NULL;
    }
    return request->verb == CHANSERV_POST ? post_verdict : verdict;
}

static cs_err never(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    raw_say("asked for a frame; ");
    return CS_DONE;
}

static cs_err opened(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)o, (void)from, (void)state;
    raw_say("opened; ");
    return CS_OK;
}

static const struct chanserv_outlet_ops ops = {.next = never, .open = opened, .uplink = true};

static cs_err one(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    raw_say("ran; ");
    return chanserv_announce(post, cs_str("h"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

/* ---- A method of the server's own: says back what it is told --------------------------------- */

static void echo_readable(mux_stream *stream, void *state)
{
    cs_bytes msg;
    cs_err err;

    (void)state;
    while ((err = mux_stream_recv(stream, &msg)) == CS_OK)
        (void)!mux_stream_send(stream, msg, cs_bytes_of(NULL, 0));
    if (err == CS_DONE)
        mux_stream_finish(stream, CS_OK, NULL);
}

static void echo_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    raw_say("method: %s; ", cs_strerror(why));
}

static const struct mux_stream_ops echo_ops = {.readable = echo_readable, .end = echo_end};

static void echo(mux_stream *stream, void *user)
{
    cr_assert_eq(user, &verdict);
    raw_say("accepted; ");
    cr_assert_eq(mux_stream_accept(stream, &echo_ops, NULL), CS_OK);
}

static const char path[] = "/test.Echo/Say";

static void up(void)
{
    struct chanserv_server_options o = {.authorise = authorise};

    raw_up(&o);
    cr_assert_eq(chanserv_serve(raw.server, "one", one, NULL), CS_OK);
    cr_assert_eq(chanserv_handle(raw.server, path, echo, &verdict), CS_OK);
}

static struct raw_call *talk(const struct raw_call *post)
{
    const struct wire_open open = {.ticket = cs_bytes_of(post->tickets[0], 32)};
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 0);
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    raw_send(c, msg, len, false);
    cs_free(msg);
    cs_loop_settle(raw.loop);
    return c;
}

static struct raw_call *list(void)
{
    struct raw_call *c = raw_begin("/chanserv.v1.Chanserv/Services", RAW_SERVICES, 0);

    raw_send(c, "", 0, true);
    cs_loop_settle(raw.loop);
    return c;
}

static struct raw_call *say(void)
{
    /* What it says back is read as a frame: a payload, field 1, "hi". */
    struct raw_call *c = raw_begin(path, RAW_FRAMES, 0);

    raw_send(c, "\x0a\x02hi", 4, true);
    cs_loop_settle(raw.loop);
    return c;
}

TestSuite(authorise, .init = up, .fini = raw_down);

Test(authorise, a_talk_is_asked_for_as_an_open_is)
{
    struct raw_call *post = raw_post("one", ""), *c;

    raw_said("ran; ");
    verdict = CS_EPERM;
    c = talk(post);
    raw_ended(c, CS_EPERM, "denied", "PERMISSION_DENIED");
    cr_assert_eq(asked_verb, CHANSERV_OPEN);
    cr_assert_str_eq(asked_service, "one");
    verdict = CS_EAUTH;
    raw_ended(talk(post), CS_EAUTH, "denied", "UNAUTHENTICATED");
    raw_said("");
    cr_assert_eq(raw_counters().posts_refused_denied, 2);
    cr_assert_eq(raw_counters().talks, 0);
    verdict = CS_OK;
    raw_ended(talk(post), CS_DONE, "", "");
    raw_said("opened; asked for a frame; ");
}

Test(authorise, what_the_hook_says_is_what_the_caller_reads)
{
    struct raw_call *post = raw_post("one", "");

    words = "show a badge";
    verdict = post_verdict = CS_EAUTH;
    raw_ended(raw_post("one", ""), CS_EAUTH, "denied", "show a badge");
    raw_ended(raw_open(post, 0, 0), CS_EAUTH, "denied", "show a badge");
    raw_ended(talk(post), CS_EAUTH, "denied", "show a badge");
    raw_ended(list(), CS_EAUTH, "denied", "show a badge");
    raw_ended(say(), CS_EAUTH, "denied", "show a badge");
    raw_said("ran; ");
    cr_assert_eq(raw_counters().posts_refused_denied, 5);
}

Test(authorise, a_name_that_nobody_serves_is_no_secret_told_to_strangers)
{
    raw_ended(raw_post("none", ""), CS_ENOENT, "no-service", "NOT_FOUND");
    cr_assert_str_eq(asked_service, "none");
    post_verdict = CS_EPERM;
    raw_ended(raw_post("none", ""), CS_EPERM, "denied", "PERMISSION_DENIED");
    post_verdict = CS_EAUTH;
    raw_ended(raw_post("none", ""), CS_EAUTH, "denied", "UNAUTHENTICATED");
    cr_assert_eq(raw_counters().posts_refused_denied, 2);
    cr_assert_eq(raw_counters().posts_refused_no_service, 1);
}

Test(authorise, words_beside_a_yes_are_not_said)
{
    words = "welcome";
    cr_assert_eq(chanserv_unserve(raw.server, "one"), CS_OK);
    raw_ended(raw_post("one", ""), CS_ENOENT, "no-service", "no such service");
}

Test(authorise, a_raw_method_runs_when_the_hook_says_so)
{
    struct raw_call *c = say();

    raw_ended(c, CS_DONE, "", "");
    raw_heard(c, "hi|");
    cr_assert_eq(asked, 1);
    cr_assert_eq(asked_verb, CHANSERV_RAW);
    cr_assert_str_eq(asked_service, path);
    raw_said("accepted; method: ended in good order; ");
}

Test(authorise, a_raw_method_does_not_hear_of_what_is_refused)
{
    verdict = CS_EPERM;
    raw_ended(say(), CS_EPERM, "denied", "PERMISSION_DENIED");
    verdict = CS_EAUTH;
    raw_ended(say(), CS_EAUTH, "denied", "UNAUTHENTICATED");
    raw_said("");
    cr_assert_eq(raw_counters().posts_refused_denied, 2);
}

Test(authorise, a_hook_that_frees_the_server_refuses_a_raw_method)
{
    frees = true;
    raw_ended(say(), CS_EDRAIN, "draining", "UNAVAILABLE");
    raw_said("");
}

Test(authorise, a_raw_method_ends_when_the_server_goes)
{
    struct raw_call *c = raw_begin(path, RAW_FRAMES, 0);

    cs_loop_settle(raw.loop);
    chanserv_server_free(raw.server);
    raw.server = NULL;
    cs_loop_settle(raw.loop);
    cr_assert(cs_failed(c->why));
    raw_said("accepted; method: the server is going away; ");
}

Test(authorise, the_paths_of_raw_methods_are_looked_at)
{
    static const char *const bad[] = {"", "/", "a/b", "/a", "/a/", "//b", "/a/b/c"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(chanserv_handle(raw.server, bad[i], echo, NULL), CS_EINVAL, "%s", bad[i]);
    cr_assert_eq(chanserv_handle(raw.server, "/a/b", NULL, NULL), CS_EINVAL);
    cr_assert_eq(chanserv_handle(raw.server, path, echo, NULL), CS_EEXIST);
    cr_assert_eq(chanserv_handle(raw.server, "/chanserv.v1.Chanserv/Post", echo, NULL), CS_EEXIST);
    cr_assert_eq(chanserv_server_run(raw.server), CS_EINVAL, "the first failure sticks");
    cr_assert_str_eq(chanserv_server_errmsg(raw.server), "handle: not the path of a method: ");
}

Test(authorise, a_list_of_what_is_known_and_forbidden_is_empty)
{
    struct raw_call *c;

    verdict = CS_EPERM;
    c = list();
    raw_heard(c, "()");
    raw_runs(c);
    cr_assert_eq(asked_verb, CHANSERV_LIST);
}

Test(authorise, a_watcher_who_is_forgotten_gets_no_further_list)
{
    struct raw_call *c = list();

    raw_heard(c, "(one,)");
    verdict = CS_EAUTH;
    cr_assert_eq(chanserv_serve(raw.server, "two", one, NULL), CS_OK);
    cr_assert_eq(chanserv_unserve(raw.server, "two"), CS_OK);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_EAUTH, "denied", "UNAUTHENTICATED");
    raw_heard(c, "(one,)");
}

Test(authorise, a_list_of_nothing_is_nobodys_secret)
{
    verdict = CS_EAUTH;
    cr_assert_eq(chanserv_unserve(raw.server, "one"), CS_OK);
    raw_heard(list(), "()");
}

/* ---- The peer of a post ---------------------------------------------------------------------- */

static struct mux_peer *of_conn;
static char *subject, *san;
static chanserv_post *kept;

static cs_err lend_names(const struct chanserv_request *request, void *user)
{
    static cs_bytes sans[2];

    (void)user;
    of_conn = (struct mux_peer *)(uintptr_t)request->peer;
    subject = cs_strdup("CN=alice");
    san = cs_strdup("DNS:a.example");
    sans[0] = sans[1] = cs_str(san);
    of_conn->tls_subject = cs_str(subject);
    of_conn->tls_sans = sans;
    of_conn->tls_sans_len = 2;
    return CS_OK;
}

/* As if the connection had gone. */
static void take_names_back(void)
{
    of_conn->tls_subject = cs_bytes_of(NULL, 0);
    of_conn->tls_sans = NULL;
    of_conn->tls_sans_len = 0;
    cs_free(subject);
    cs_free(san);
}

static cs_err keeps(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops none = {.state_bytes = 0};

    (void)body, (void)user;
    kept = post;
    cr_assert_eq(chanserv_post_keep(post, &none, NULL), CS_OK);
    take_names_back();
    return CS_AGAIN;
}

Test(authorise_peer, a_post_knows_who_asked_also_without_the_connection)
{
    struct chanserv_server_options o = {.authorise = lend_names};
    const struct mux_peer *peer;

    raw_up(&o);
    cr_assert_eq(chanserv_serve(raw.server, "keeps", keeps, NULL), CS_OK);
    raw_runs(raw_post("keeps", ""));
    peer = chanserv_post_peer(kept);
    cr_assert(cs_same(peer->tls_subject, cs_str("CN=alice")));
    cr_assert_eq(peer->tls_sans_len, 2);
    cr_assert(cs_same(peer->tls_sans[0], cs_str("DNS:a.example")));
    cr_assert(cs_same(peer->tls_sans[1], cs_str("DNS:a.example")));
    cr_assert(cs_same(peer->addr, cs_str("local")));
    raw_down();
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void set_up_a_method(void)
{
    chanserv_server *server;
    cs_loop *loop;
    cs_err err;

    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (chanserv_server_new(loop, NULL, &server) == CS_OK) {
        for (char name[] = "/a/a"; name[3] <= 'p'; name[3]++) {
            err = chanserv_handle(server, name, echo, NULL);
            cr_assert(err == CS_OK || (err == CS_ENOMEM && failing_failed()));
        }
        chanserv_server_free(server);
    }
    cs_loop_free(loop);
}

Test(authorise_memory, a_raw_method_survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(set_up_a_method), 16);
}
