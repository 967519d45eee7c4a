/* Any bytes to a client, as its server's, over links in memory.
 *
 * The first byte chooses whether the client has sessions, whether calls that it may make are
 * answered before the rest, whether it dials again, whether it asks for two posts, whether time
 * passes; the second how the bytes are cut.  It posts, opens every source that is announced, sends
 * to those that listen, reads all.  Whatever comes, each feed and source that it started ends once. */
#include "chanserv/client__in.h"
#include "mux/mux__in.h"
#include "test/fuzz/fuzz.h"

enum {
    CHOICES = 2,
    NO_SESSION = 1,
    GREETED = 2,
    TWO = 4,
    DIALS_AGAIN = 8,
    TIME = 16,
    LOOKS_UP = 32,
    HANGS_UP = 64,
    NARROW = 128,
    DIALS = 4,
    SOURCES = 32
};

FUZZ_FRAMES(CHOICES);

static struct {
    uint8_t how;
    cs_loop *loop;
    chanserv_client *client;
    struct fuzz_far fars[DIALS];
    int dials, feeds, sources, taken;
} t;

/* ---- What the client does --------------------------------------------------------------------- */

static void source_readable(chanserv_source *source, void *state)
{
    cs_bytes frame;
    int *n = state;

    while (chanserv_source_recv(source, &frame) == CS_OK) {
        (void)chanserv_source_seq(source);
        (void)chanserv_source_gap(source);
        if (++*n == 5)
            chanserv_source_finish(source);
    }
}

static void source_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    fuzz_must(why != CS_OK && why != CS_AGAIN);
    (void)chanserv_source_errmsg(source);
    fuzz_must(t.sources-- > 0);
}

static void feed_readable(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {
        .state_bytes = sizeof(int), .readable = source_readable, .end = source_end};
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        if (t.taken++ >= SOURCES) {
            chanserv_source_close(source);
            continue;
        }
        fuzz_must(chanserv_source_start(source, &ops, NULL) == CS_OK);
        t.sources++;
        if (!chanserv_source_has_uplink(source))
            continue;
        for (int i = 0; i < 3; i++)
            if (chanserv_source_send(source, cs_str("up"), CS_NOW) != CS_OK)
                break;
    }
}

static void feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    fuzz_must(why != CS_OK && why != CS_AGAIN);
    (void)chanserv_feed_errmsg(feed);
    (void)chanserv_feed_header(feed, "kind");
    (void)chanserv_feed_trailer(feed, "kind");
    fuzz_must(t.feeds-- > 0);
}

static void start(chanserv_feed *feed)
{
    static const struct chanserv_feed_ops ops = {.readable = feed_readable, .end = feed_end};

    fuzz_must(chanserv_feed_start(feed, &ops, NULL) == CS_OK);
    t.feeds++;
}

static void post(void)
{
    const struct chanserv_post_options options = {.bucket = cs_str("b")};
    chanserv_feed *feed;

    fuzz_must(chanserv_lookup_and_post(t.client, "x", cs_str("body"), &options, &feed) == CS_OK);
    start(feed);
}

static void look_up(void)
{
    chanserv_feed *feed;

    fuzz_must(chanserv_lookup(t.client, "*", &feed) == CS_OK);
    start(feed);
}

/* ---- What it meets ---------------------------------------------------------------------------- */

static cs_err dial(mux_conn *conn)
{
    mux__link *ends[2];

    if (t.dials >= (t.how & DIALS_AGAIN ? DIALS : 1)) {
        mux__conn_dialed(conn, NULL, "dial fuzz: nobody is there");
        return CS_OK;
    }
    fuzz_must(mux__link_pair(t.loop, ends) == CS_OK);
    mux__conn_dialed(conn, ends[0], NULL);
    fuzz_far_begin(&t.fars[t.dials++], ends[1], false);
    return CS_OK;
}

/* SETTINGS, and HEADERS of an answer for the first three calls. */
static void greet(struct fuzz_far *far)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0\0\0\4\1\0\0\0\0";
    static const char answer[] = "\0\0\42\1\4\0\0\0\1\210\0\14content-type\20application/grpc\0\0";
    char headers[FUZZ_FRAME_HEAD + 1 + 2 + 12 + 1 + 16];

    fuzz_far_say(far, cs_bytes_of(settings, sizeof settings));
    cs_loop_settle(t.loop);
    memcpy(headers, answer, sizeof headers);
    headers[2] = sizeof headers - FUZZ_FRAME_HEAD;
    for (char id = 1; id <= 5; id = (char)(id + 2)) {
        headers[8] = id;
        fuzz_far_say(far, cs_bytes_of(headers, sizeof headers));
        cs_loop_settle(t.loop);
    }
}

static void say_all(struct fuzz_in *in)
{
    const size_t piece = fuzz_byte(in);
    struct fuzz_far *far = NULL;

    while (in->left > 0 && t.dials > 0) {
        if (far != &t.fars[t.dials - 1]) {
            far = &t.fars[t.dials - 1];
            if (t.how & GREETED)
                greet(far);
        }
        if (far->hung_up)
            break;
        fuzz_far_say(far, fuzz_piece(in, piece));
        cs_loop_settle(t.loop);
        if (t.how & TIME)
            cs_loop_advance(t.loop, 300);
        if (t.how & HANGS_UP && in->left % 8 == 0) {
            fuzz_far_end(far);
            cs_loop_advance(t.loop, 1000);
        }
    }
    if (t.how & TIME)
        cs_loop_advance(t.loop, 15000);
}

/* ---- A run ------------------------------------------------------------------------------------ */

static void join(void)
{
    struct chanserv__node *node;
    mux_conn *conn;

    fuzz_must(mux__conn_new(t.loop, &t.client->options.net, false, &conn) == CS_OK);
    fuzz_must((conn->authority = cs_strdup("fuzz")) != NULL);
    conn->front->dial = dial;
    fuzz_must(mux__conn_dial(conn) == CS_OK);
    fuzz_must(chanserv__nodes_add(t.client, NULL, conn, &node) == CS_OK);
}

static void begin(uint8_t how)
{
    struct chanserv_client_options options = {.resume_ms = how & NO_SESSION ? CS_OFF : 30000};

    if (how & NARROW) {
        options.frame_max_bytes = options.assembly_bytes = 100;
        options.announce_timeout_ms = options.frame_timeout_ms = 1000;
        options.net.message_max_bytes = 300;
        options.net.settings_max = options.net.pings_max = options.net.unknown_max = 4;
        options.net.header_max_bytes = 400;
        options.net.gzip = true;
    }
    t.how = how;
    t.dials = t.taken = 0;
    fuzz_must(cs_loop_new_virtual(&t.loop) == CS_OK);
    fuzz_must(chanserv_client_new(t.loop, &options, &t.client) == CS_OK);
    join();
    post();
    if (how & TWO)
        post();
    if (how & LOOKS_UP)
        look_up();
    cs_loop_settle(t.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_in in = {bytes, len};

    fuzz_begin();
    begin(fuzz_byte(&in));
    say_all(&in);
    chanserv_client_free(t.client);
    cs_loop_settle(t.loop);
    fuzz_must(t.feeds == 0 && t.sources == 0);
    for (int i = 0; i < t.dials; i++)
        fuzz_far_end(&t.fars[i]);
    cs_loop_free(t.loop);
    fuzz_end();
    return 0;
}
