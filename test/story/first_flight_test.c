/* The first flight of a client (session, post, opens) is cut behind each of its bytes, and of those that answer
 * it: on a process that lives the source function runs once and every frame arrives, and beside one that
 * took its place it never runs twice.  And how long it takes, to the millisecond. */
#include "chanserv/chanserv.h"
#include "chanserv/client__in.h"
#include "test/support/cable.h"

#include <criterion/criterion.h>

enum { FRAMES = 3, SOURCES = 3, TWO = 2 };

static struct {
    cs_loop *loop;
    chanserv_server *servers[TWO];
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *sources[SOURCES];
    struct cable cable;
    int runs[TWO], len, frames, gone, lost;
    cs_err why;
    int64_t first_ms; /* the first frame came; -1 */
} t;

/* ---- The server ------------------------------------------------------------------------------- */

static cs_err next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char *const texts[FRAMES] = {"one", "", "three"};
    int *at = state;

    (void)o;
    if (*at == FRAMES)
        return CS_DONE;
    *frame = cs_str(texts[(*at)++]);
    return CS_OK;
}

static const struct chanserv_outlet_ops lazy = {.state_bytes = sizeof(int), .next = next};
static const struct chanserv_outlet_ops eager = {
    .state_bytes = sizeof(int), .next = next, .eager = true};

/* The first rides in its announcement, where that is wanted. */
static cs_err run(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = CS_OK;

    cr_assert(cs_same(body, cs_str("go")));
    ++*(int *)user;
    for (int i = 0; i < SOURCES && err == CS_OK; i++)
        err = chanserv_announce(post, cs_str("head"), i == 0 ? &eager : &lazy, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* ---- The client ------------------------------------------------------------------------------- */

static void readable(chanserv_source *source, void *state)
{
    static const char *const texts[FRAMES] = {"one", "", "three"};
    int *at = state;
    cs_bytes frame;

    while (chanserv_source_recv(source, &frame) == CS_OK) {
        cr_assert_lt(*at, FRAMES);
        cr_assert_eq(chanserv_source_seq(source), (uint64_t)*at);
        cr_assert(cs_same(frame, cs_str(texts[*at])));
        ++*at;
        t.frames++;
        if (t.first_ms < 0)
            t.first_ms = cs_loop_now_ms(t.loop);
    }
}

static void source_end(chanserv_source *source, cs_err why, void *state)
{
    cr_assert(why == CS_DONE || why == CS_ELOST, "%s", chanserv_source_errmsg(source));
    if (why == CS_DONE)
        cr_assert_eq(*(int *)state, FRAMES);
    t.lost += why == CS_ELOST;
    t.gone++;
}

static void announced(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {
        .state_bytes = sizeof(int), .readable = readable, .end = source_end};
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        cr_assert_eq(chanserv_source_index(source), (uint64_t)t.len);
        cr_assert_lt(t.len, SOURCES);
        t.sources[t.len++] = source;
        cr_assert_eq(chanserv_source_start(source, &ops, NULL), CS_OK);
    }
}

static void feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)feed, (void)state;
    t.why = why;
}

/* ---- The stage -------------------------------------------------------------------------------- */

static void begin(int delay_ms, int resume_ms, int64_t inline_bytes)
{
    const struct chanserv_client_options options = {.resume_ms = resume_ms,
                                                    .inline_bytes = inline_bytes};
    struct chanserv__node *node;
    mux_conn *conn;

    memset(&t, 0, sizeof t);
    t.why = CS_AGAIN;
    t.first_ms = -1;
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    for (int i = 0; i < TWO; i++) {
        cr_assert_eq(chanserv_server_new(t.loop, NULL, &t.servers[i]), CS_OK);
        cr_assert_eq(chanserv_serve(t.servers[i], "run", run, &t.runs[i]), CS_OK);
    }
    cr_assert_eq(chanserv_client_new(t.loop, &options, &t.client), CS_OK);
    cable_init(&t.cable, t.loop, chanserv__server_handlers(t.servers[0]));
    t.cable.delay_ms = delay_ms;
    cable_dial(&t.cable, &t.client->options.net, &conn);
    cr_assert_eq(chanserv__nodes_add(t.client, NULL, conn, &node), CS_OK);
}

static void post(void)
{
    static const struct chanserv_feed_ops ops = {.readable = announced, .end = feed_end};

    cr_assert_eq(chanserv_lookup_and_post(t.client, "run", cs_str("go"), NULL, &t.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(t.feed, &ops, NULL), CS_OK);
}

static void end(void)
{
    chanserv_client_free(t.client);
    for (int i = 0; i < TWO; i++)
        chanserv_server_free(t.servers[i]);
    cs_loop_settle(t.loop);
    cable_fini(&t.cable);
    cs_loop_free(t.loop);
}

static bool is_over(void)
{
    return t.why != CS_AGAIN && t.gone == t.len;
}

static bool stands(void)
{
    const struct chanserv__bond *bond = chanserv__nodes_first(t.client)->bond;

    return bond && bond->standing == CHANSERV__BOND_STANDS;
}

/* ---- Cut behind each byte ---------------------------------------------------------------------- */

/* What passes when nothing is cut; and `ret_session`, what has when the session stands. */
static int64_t whole_flight(enum cable_way way, int64_t *ret_session)
{
    int64_t passed;

    begin(1, 30000, 0);
    post();
    for (*ret_session = -1; !is_over(); cs_loop_advance(t.loop, 1))
        if (*ret_session < 0 && stands())
            *ret_session = t.cable.passed[way];
    cr_assert_eq(t.frames, SOURCES * FRAMES);
    passed = t.cable.passed[way];
    end();
    cr_assert_gt(*ret_session, 0);
    cr_assert_gt(passed, *ret_session);
    return passed;
}

static void flight(enum cable_way way, int64_t cut_at, bool restarted)
{
    begin(1, 30000, 0);
    t.cable.cut_at[way] = cut_at;
    post();
    for (int i = 0; i < 60000 && !is_over(); i++) {
        cs_loop_advance(t.loop, 1);
        if (t.cable.cut && restarted)
            t.cable.handlers = chanserv__server_handlers(t.servers[1]);
    }
    cr_assert(is_over(), "cut behind %d", (int)cut_at);
    cr_assert(t.cable.cut);
}

static void each_byte(enum cable_way way)
{
    enum { SLACK = 16 };
    int64_t session, bytes = whole_flight(way, &session);

    for (int64_t n = 0; n < bytes; n++) {
        flight(way, n, false);
        cr_assert_eq(t.runs[0], 1, "cut behind %d: %d", (int)n, t.runs[0]);
        cr_assert_eq(t.why, CS_DONE, "cut behind %d: %s", (int)n, chanserv_feed_errmsg(t.feed));
        cr_assert_eq(t.lost, 0, "cut behind %d", (int)n);
        cr_assert_eq(t.frames, SOURCES * FRAMES, "cut behind %d: %d", (int)n, t.frames);
        /* The id of a server packs to more or fewer bytes: behind the last all may be over. */
        cr_assert(t.cable.dials == 2 || n > bytes - SLACK, "cut behind %d", (int)n);
        end();
    }
}

/* Whoever ran it before the cut is no more, with all that he had to say. */
static void each_byte_restarted(enum cable_way way)
{
    int64_t session, bytes = whole_flight(way, &session);
    int well = 0, lost = 0;

    for (int64_t n = 0; n < bytes; n++) {
        flight(way, n, true);
        cr_assert_leq(t.runs[0] + t.runs[1], 1, "cut behind %d", (int)n);
        cr_assert(t.why == CS_DONE || t.why == CS_ELOST, "cut behind %d: %s", (int)n,
                  chanserv_feed_errmsg(t.feed));
        if (t.runs[1] == 1 || n < session) {
            cr_assert_eq(t.runs[1], 1, "nothing of it was out, cut behind %d", (int)n);
            cr_assert_eq(t.why, CS_DONE, "cut behind %d: %s", (int)n, chanserv_feed_errmsg(t.feed));
            cr_assert_eq(t.frames, SOURCES * FRAMES);
            cr_assert_eq(t.lost, 0);
            well++;
        } else if (t.frames < SOURCES * FRAMES) {
            cr_assert(t.why == CS_ELOST || t.lost > 0, "cut behind %d: it is told", (int)n);
            lost++;
        }
        end();
    }
    cr_assert_gt(well, 100, "%d", well);
    cr_assert_gt(lost, 100, "%d", lost);
}

Test(first_flight, cut_behind_each_byte_that_is_sent_it_runs_once)
{
    each_byte(CABLE_UP);
}

Test(first_flight, cut_behind_each_byte_that_answers_it_runs_once)
{
    each_byte(CABLE_DOWN);
}

Test(first_flight, cut_behind_each_byte_that_is_sent_it_does_not_run_again_in_another_process)
{
    each_byte_restarted(CABLE_UP);
}

Test(first_flight, cut_behind_each_byte_that_answers_it_does_not_run_again_in_another_process)
{
    each_byte_restarted(CABLE_DOWN);
}

/* ---- To the millisecond ------------------------------------------------------------------------- */

/* A client says nothing before the server's SETTINGS are there: two trips after it began to dial. */
enum { DELAY = 50, TRIP = 2 * DELAY, DIALED = 2 * TRIP };

static int64_t after_the_post(void)
{
    const int64_t posted_ms = cs_loop_now_ms(t.loop);

    post();
    cs_loop_advance(t.loop, 10 * TRIP);
    cr_assert_geq(t.first_ms, posted_ms);
    return t.first_ms - posted_ms;
}

Test(first_flight, an_eager_source_is_there_one_round_trip_after_its_post)
{
    begin(DELAY, 30000, 0);
    cs_loop_advance(t.loop, DIALED + TRIP - 1);
    cr_assert_not(stands());
    cs_loop_advance(t.loop, 1);
    cr_assert(stands());
    cr_assert_eq(after_the_post(), TRIP, "%d", (int)t.first_ms);
    cr_assert_eq(t.cable.dials, 1);
    end();
}

Test(first_flight, one_that_is_opened_ahead_takes_two)
{
    begin(DELAY, 30000, CS_OFF);
    cs_loop_advance(t.loop, DIALED + TRIP);
    cr_assert_eq(after_the_post(), 2 * TRIP, "%d", (int)t.first_ms);
    end();
}

Test(first_flight, a_post_with_the_join_takes_one_more_for_the_session)
{
    begin(DELAY, CS_OFF, 0);
    cr_assert_eq(after_the_post(), DIALED + TRIP, "%d", (int)t.first_ms);
    end();
    begin(DELAY, 30000, 0);
    cr_assert_eq(after_the_post(), DIALED + 2 * TRIP, "%d", (int)t.first_ms);
    end();
}
