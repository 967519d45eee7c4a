/* A server looked into: what runs, what it waits for, and who wants to know what changes. */
#include "raw.h"

#include "chanserv/loops__in.h"
#include "test/support/failing.h"

static char told[2048];

static void tell(const struct chanserv_stat *s, void *user)
{
    static const char *const kinds[] = {"conn", "session", "post", "source"};
    size_t at = strlen(told);

    (void)user;
    if (s->kind == CHANSERV_STAT_CONNECTION) {
        cr_assert(cs_same(s->peer, cs_str("local")));
        cr_assert_gt(s->bytes_in, 0);
        cr_assert_gt(s->bytes_out, 0);
        cr_assert_eq(s->of, s->number);
    }
    snprintf(told + at, sizeof told - at, "%s%s%.*s %u: %s;", kinds[s->kind],
             s->service.len ? " " : "", CS_FMT(s->service), (unsigned)s->parts,
             chanserv_waits_word(s->waits));
}

static const char *look(size_t max, uint64_t *left)
{
    told[0] = '\0';
    chanserv_server_stat(raw.server, max, tell, NULL, left);
    return told;
}

/* ---- What runs ------------------------------------------------------------------------------ */

static cs_err some(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char large[20000];

    (void)o, (void)state;
    *frame = cs_bytes_of(large, sizeof large);
    return CS_OK;
}

static cs_err silent(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}

static cs_err two(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops well = {.next = some}, quiet = {.next = silent};

    (void)body, (void)user;
    cr_assert_eq(chanserv_announce(post, cs_str("well"), &well, NULL, NULL), CS_OK);
    cr_assert_eq(chanserv_announce(post, cs_str("quiet"), &quiet, NULL, NULL), CS_OK);
    return CS_DONE;
}

static cs_err wait(chanserv_post *post, void *state)
{
    (void)post, (void)state;
    return CS_AGAIN;
}

static cs_err kept(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = wait};

    (void)body, (void)user;
    return chanserv_post_keep(post, &ops, NULL) == CS_OK ? CS_AGAIN : CS_ENOMEM;
}

static void up(void)
{
    raw_up(NULL);
    cr_assert_eq(chanserv_serve(raw.server, "two", two, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "kept", kept, NULL), CS_OK);
}

/* Nothing of an endless source is taken. */
static struct raw_call *open_paused(const struct raw_call *post, size_t i)
{
    const struct wire_open open = {.ticket = cs_bytes_of(post->tickets[i], 32)};
    struct raw_call *c = raw_open_with(&open, 0);

    raw_pause(c);
    cs_loop_settle(raw.loop);
    return c;
}

Test(stat, all_that_runs_says_what_it_waits_for)
{
    struct raw_call *post, *well;

    up();
    raw_post("kept", "");
    cr_assert_str_eq(look(100, NULL), "conn 1: ;post kept 0: producer;");
    post = raw_post("two", "");
    cr_assert_str_eq(look(100, NULL), "conn 1: ;post kept 0: producer;post two 2: sources;"
                                      "source two 0: claim;source two 0: claim;");
    well = open_paused(post, 0);
    raw_open(post, 1, 0);
    cs_loop_settle(raw.loop);
    look(100, NULL);
    cr_assert_str_eq(told, "conn 3: ;post kept 0: producer;post two 2: sources;"
                           "source two 0: window;source two 0: producer;");
    raw_leave(well);
    cr_assert_str_eq(look(100, NULL), "conn 2: ;post kept 0: producer;post two 1: sources;"
                                      "source two 0: producer;");
    raw_down();
}

static struct chanserv_stat last;

static void remember(const struct chanserv_stat *s, void *user)
{
    (void)user;
    last = *s;
}

Test(stat, a_source_has_its_age_its_frames_and_what_is_queued)
{
    struct raw_call *post;

    up();
    cs_loop_advance(raw.loop, 1000000);
    post = raw_post("two", "");
    cs_loop_advance(raw.loop, 3000);
    chanserv_server_stat(raw.server, 4, remember, NULL, NULL);
    cr_assert_eq(last.kind, CHANSERV_STAT_SOURCE);
    cr_assert_eq(last.number, 1);
    cr_assert_eq(last.age_ms, 3000);
    cr_assert_eq(last.still_ms, 3000);
    cr_assert_eq(last.messages, 0);
    chanserv_server_stat(raw.server, 2, remember, NULL, NULL);
    cr_assert_eq(last.kind, CHANSERV_STAT_POST);
    cr_assert_eq(last.age_ms, 3000);
    cr_assert_eq(last.messages, 2);
    open_paused(post, 0);
    cs_loop_advance(raw.loop, 1000);
    chanserv_server_stat(raw.server, 3, remember, NULL, NULL);
    cr_assert_eq(last.number, 0);
    cr_assert_eq(last.age_ms, 4000);
    cr_assert_geq(last.still_ms, 900);
    cr_assert_gt(last.messages, 1);
    cr_assert_gt(last.queued, 10000);
    cr_assert_eq(last.credit, 0);
    cr_assert_eq(last.of, 1);
    raw_down();
}

Test(stat, no_more_than_wanted_is_told_and_the_rest_counted)
{
    uint64_t left;

    up();
    raw_post("two", "");
    cr_assert_str_eq(look(2, &left), "conn 0: ;post two 2: sources;");
    cr_assert_eq(left, 2);
    cr_assert_str_eq(look(0, &left), "");
    cr_assert_eq(left, 4);
    look(4, &left);
    cr_assert_eq(left, 0);
    raw_down();
}

Test(stat, a_session_is_seen_with_its_channels_also_when_its_client_is_away)
{
    static const char up_message[] = "\x0a\x10"
                                     "0123456789abcdef\x10\x01";
    const struct wire_post asked = {.service = cs_str("kept"),
                                    .channel = {true, cs_str("0123456789abcdef"), 1, 1}};
    struct raw_call *session;

    up();
    session = raw_begin("/chanserv.v1.Chanserv/Session", RAW_SESSION, 0);
    raw_send(session, up_message, sizeof up_message - 1, false);
    cs_loop_settle(raw.loop);
    raw_post_with(&asked, 0);
    cs_loop_settle(raw.loop);
    cr_assert_str_eq(look(100, NULL), "conn 2: ;session 1: ;post kept 0: producer;");
    mux_conn_break(raw.conn);
    cs_loop_settle(raw.loop);
    cr_assert_str_eq(look(100, NULL), "session 1: reader;post kept 0: reader;");
    raw_down();
}

/* ---- Several loops -------------------------------------------------------------------------- */

Test(stat, every_loop_tells)
{
    const struct chanserv_server_options o = {.loops = 1};
    uint64_t left;

    failing_count();
    raw_up(NULL);
    cr_assert_eq(chanserv__loops_new(raw.server, &o, raw.loop, 3), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "two", two, NULL), CS_OK);
    cr_assert_eq(chanserv__loops_begin(raw.server), CS_OK);
    for (size_t i = 0; i < 3; i++) {
        raw_move(i);
        raw_post("two", "");
    }
    cr_assert_str_eq(look(100, &left),
                     "post two 2: sources;source two 0: claim;source two 0: claim;"
                     "post two 2: sources;source two 0: claim;source two 0: claim;"
                     "conn 0: ;post two 2: sources;source two 0: claim;source two 0: claim;");
    cr_assert_eq(left, 0);
    look(1, &left);
    cr_assert_eq(left, 7);
    failing_arm(1); /* one of another loop cannot be said */
    look(100, &left);
    cr_assert(failing_failed());
    cr_assert_eq(left, 1);
    failing_arm(0);
    raw_down();
}

/* ---- Who wants to know ---------------------------------------------------------------------- */

static int changes, goings;

static void changed(void *user)
{
    cr_assert_eq(user, &changes);
    changes++;
}

static void gone(void *user)
{
    cr_assert_eq(user, &changes);
    goings++;
}

Test(stat, what_is_served_and_a_drain_are_told_from_the_loop)
{
    up();
    cs_loop_settle(raw.loop);
    changes = goings = 0;
    cr_assert_eq(chanserv_server_watch(raw.server, changed, gone, &changes), CS_OK);
    cr_assert_eq(chanserv_server_watch(raw.server, NULL, NULL, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "a", two, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "b", two, NULL), CS_OK);
    cr_assert_eq(changes, 0, "not inside a call");
    cs_loop_settle(raw.loop);
    cr_assert_eq(changes, 1);
    cr_assert_eq(chanserv_unserve(raw.server, "a"), CS_OK);
    cs_loop_settle(raw.loop);
    cr_assert_eq(changes, 2);
    cr_assert(chanserv_server_shows(raw.server, cs_str("b"), NULL));
    cr_assert_not(chanserv_server_shows(raw.server, cs_str("a"), NULL));
    cr_assert_not(chanserv_server_is_going(raw.server));
    chanserv_server_drain(raw.server, 0);
    cr_assert(chanserv_server_is_going(raw.server));
    cs_loop_settle(raw.loop);
    cr_assert_eq(changes, 3);
    cr_assert_eq(goings, 0);
    raw_down();
    cr_assert_eq(goings, 1);
}

static void accept(mux_stream *stream, void *user)
{
    (void)stream, (void)user;
}

Test(stat, grpc_services_are_told_each_once)
{
    static const char *const methods[] = {"/a.A/One", "/b.B/One", "/a.A/Two",
                                          "/chanserv.v1.Chanserv/More"};
    char all[100] = "";
    cs_bytes name;

    up();
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(chanserv_handle(raw.server, methods[i], accept, NULL), CS_OK);
    for (size_t at = 0; chanserv_server_grpc_service(raw.server, &at, &name);)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%.*s ", CS_FMT(name));
    cr_assert_str_eq(all, "chanserv.v1.Chanserv a.A b.B ");
    raw_down();
}
