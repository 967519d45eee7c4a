/* calls -- our gRPC client against servers of stock grpc-js (js/server.js):
 *
 *   calls PLAIN,NARROW,LEAVING,REFUSING
 */
#include "mux/stats.h"
#include "test/interop/kit.h"

static mux_conn *plain, *narrow, *leaving, *refusing;

#define CALLS "/interop.Calls/"

static const cs_pair pairs[] = {{{"x-word", 6}, {"hello", 5}},
                                {{"x-raw-bin", 9}, {"\0\xff\x80,", 4}}};
static const struct mux_call_options with_pairs = {.metadata = pairs, .metadata_len = 2};

/* A number of what the server says it saw; -1: it said no such thing. */
static int seen(mux_conn *conn, const char *name)
{
    struct answer a;
    kit_ask(conn, CALLS "Seen", cs_str(""), NULL, &a);
    const char *at = strstr(a.text, name);
    return at ? atoi(at + strlen(name)) : -1;
}

/* ---- One call -------------------------------------------------------------------------------- */

static void unary(void)
{
    struct answer a;
    kit_ask(plain, CALLS "Echo", cs_str("hello"), &with_pairs, &a);
    WANT(a.err == CS_OK && strcmp(a.text, "hello") == 0, "%s: %s", a.text, a.errmsg);
    WANT(strcmp(a.header, "hello") == 0, "headers: %s", a.header);
    WANT(strcmp(a.trailer, "hello") == 0, "trailers: %s", a.trailer);
    WANT(a.raw_len == 4 && memcmp(a.raw, "\0\xff\x80,", 4) == 0, "%zu raw bytes", a.raw_len);
    kit_ask(plain, CALLS "Echo", cs_str(""), NULL, &a);
    WANT(a.err == CS_OK && a.len == 0, "%zu bytes: %s", a.len, a.errmsg);
}

/* Of what we send only the text gets smaller; what grpc-js answers is for it to say. */
static void packed(void)
{
    const struct mux_options options = {.gzip = true};
    static char said[2][3000];
    char addr[64];
    mux_conn *conn;
    uint32_t dice = 1;
    for (size_t i = 0; i < sizeof said[0]; i++) {
        dice = dice * 1664525 + 1013904223;
        said[0][i] = "packed "[i % 7];
        said[1][i] = (char)(dice >> 24);
    }
    kit_keep(addr, sizeof addr, mux_conn_peer(plain)->addr);
    WANT(mux_dial(loop, addr, &options, &conn) == CS_OK, "-");
    for (int i = 0; i < 2; i++) {
        struct answer a;
        kit_ask(conn, CALLS "Echo", cs_bytes_of(said[i], sizeof said[i]), NULL, &a);
        WANT(a.err == CS_OK, "%s", a.errmsg);
        WANT(a.len == sizeof said[i] && memcmp(a.text, said[i], a.len) == 0, "%zu bytes", a.len);
        WANT(mux_conn_stats(conn)->messages_gzipped == 1, "which were compressed?");
    }
    mux_conn_free(conn);
}

static void statuses(void)
{
    struct answer a;
    kit_ask(plain, CALLS "Fail", cs_str(""), &with_pairs, &a);
    WANT(a.err == CS_EPRECOND, "%s", cs_strerror(a.err));
    WANT(strcmp(a.errmsg, "FAILED_PRECONDITION: Gr\xc3\xb6\xc3\x9f"
                          "e: 5 % \xe2\x9c\x93") == 0,
         "%s", a.errmsg);
    WANT(strcmp(a.trailer, "hello") == 0, "trailers: %s", a.trailer);
    kit_ask(plain, CALLS "Nothing", cs_str(""), NULL, &a);
    WANT(a.err == CS_ENOTSUP, "%s", a.errmsg);
}

static void deadline(void)
{
    struct answer a;
    int before = seen(plain, "cancelled ");
    kit_ask(plain, CALLS "Slow", cs_str(""), &(struct mux_call_options){.timeout_ms = 1000}, &a);
    WANT(a.err == CS_ETIMEOUT, "%s", a.errmsg);
    int left = seen(plain, "left ");
    WANT(left > 0 && left <= 1000, "the server saw %d ms", left);
    while (seen(plain, "cancelled ") == before)
        ;
}

static void given_up(void)
{
    struct answer a = {.done = false};
    int before = seen(plain, "cancelled ");
    WANT(mux_unary(plain, CALLS "Slow", cs_str(""), NULL, kit_on_reply, &a, &a.call) == CS_OK, "-");
    (void)seen(plain, ""); /* by now it is out */
    mux_call_cancel(a.call);
    kit_wait(&a.done);
    WANT(a.err == CS_ECANCELED, "%s", a.errmsg);
    while (seen(plain, "cancelled ") == before)
        ;
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void server_streaming(void)
{
    struct stream s = {.done = false};
    WANT(mux_stream_open(plain, CALLS "Count", &with_pairs, &kit_ops, &s, &s.stream) == CS_OK, "-");
    WANT(kit_send(&s, cs_str("2000 1000")), "not sent");
    mux_stream_finish(s.stream, CS_OK, NULL);
    kit_wait(&s.done);
    WANT(s.why == CS_DONE, "%s", s.errmsg);
    WANT(s.messages == 2000 && s.bytes == 2000 * 1000, "%zu, %zu bytes", s.messages, s.bytes);
    WANT(strncmp(s.last, "1999:...", 8) == 0, "%.10s", s.last);
    WANT(strcmp(s.trailer, "hello") == 0, "trailers: %s", s.trailer);
}

static size_t to_send;

static void pour(struct stream *s)
{
    static char text[3000];
    while (to_send > 0 && kit_send(s, cs_bytes_of(text, to_send % sizeof text)))
        to_send--;
    if (to_send == 0 && s->stream)
        mux_stream_finish(s->stream, CS_OK, NULL);
}

static void client_streaming(void)
{
    struct stream s = {.on_writable = pour};
    size_t bytes = 0;
    to_send = 2500;
    for (size_t i = 1; i <= to_send; i++)
        bytes += i;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "2500 %zu", bytes);
    WANT(mux_stream_open(plain, CALLS "Sum", &with_pairs, &kit_ops, &s, &s.stream) == CS_OK, "-");
    pour(&s);
    kit_wait(&s.done);
    WANT(s.why == CS_DONE && s.messages == 1, "%zu: %s", s.messages, s.errmsg);
    WANT(strcmp(s.last, wanted) == 0, "%s", s.last);
    WANT(strcmp(s.trailer, "hello") == 0, "trailers: %s", s.trailer);
}

enum { TURNS = 1000 };

static void reply_in_turn(struct stream *s)
{
    char text[16];
    snprintf(text, sizeof text, "%zu", s->messages - 1);
    if (strcmp(text, s->last) != 0)
        kit_fail(__LINE__, "%s in place of %s", s->last, text);
    snprintf(text, sizeof text, "%zu", s->messages);
    if (s->messages == TURNS)
        mux_stream_finish(s->stream, CS_OK, NULL);
    else if (!kit_send(s, cs_str(text)))
        kit_fail(__LINE__, "message %s was not sent", text);
}

static void bidi(void)
{
    struct stream s = {.on_message = reply_in_turn};
    WANT(mux_stream_open(plain, CALLS "Chat", &with_pairs, &kit_ops, &s, &s.stream) == CS_OK, "-");
    WANT(kit_send(&s, cs_str("0")), "not sent");
    kit_wait(&s.done);
    WANT(s.why == CS_DONE && s.messages == TURNS, "%zu: %s", s.messages, s.errmsg);
    WANT(strcmp(s.header, "hello") == 0, "headers: %s", s.header);
    WANT(strcmp(s.trailer, "hello") == 0, "trailers: %s", s.trailer);
}

static void bidi_failing(void)
{
    struct stream s = {.done = false};
    WANT(mux_stream_open(plain, CALLS "Chat", NULL, &kit_ops, &s, &s.stream) == CS_OK, "-");
    WANT(kit_send(&s, cs_str("one")), "not sent");
    kit_next(&s);
    WANT(strcmp(s.last, "one") == 0, "%s", s.last);
    WANT(kit_send(&s, cs_str("fail")), "not sent");
    kit_wait(&s.done);
    WANT(s.why == CS_EABORTED && strstr(s.errmsg, "as you wish"), "%s", s.errmsg);
}

/* ---- A hundred at once ----------------------------------------------------------------------- */

enum { MANY = 100 };

static int many_left;
static bool many_done;

struct one {
    cs_err err;
    char text[8], errmsg[120];
};

static void on_one(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    struct one *one = user;
    one->err = err;
    kit_keep(one->text, sizeof one->text, reply);
    snprintf(one->errmsg, sizeof one->errmsg, "%s", errmsg);
    if (--many_left == 0)
        kit_done(&many_done);
}

static void limited(void)
{
    static struct one ones[MANY];
    char text[16];
    many_left = MANY;
    many_done = false;
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "%d", i);
        WANT(mux_unary(narrow, CALLS "Pace", cs_str(text), NULL, on_one, &ones[i], NULL) == CS_OK,
             "call %d", i);
    }
    kit_wait(&many_done);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "%d", i);
        WANT(ones[i].err == CS_OK, "call %d: %s", i, ones[i].errmsg);
        WANT(strcmp(ones[i].text, text) == 0, "call %d: %s", i, ones[i].text);
    }
    WANT(seen(narrow, "calls ") == MANY, "%d calls ran", seen(narrow, "calls "));
    WANT(seen(narrow, "twice ") == 0, "%d ran twice", seen(narrow, "twice "));
    int most = seen(narrow, "most "), peers = seen(narrow, "peers ");
    WANT(peers >= 2 && peers <= 4, "%d connections", peers);
    WANT(most > 10 && most <= 40, "%d at once", most);
}

/* Streams that nobody ends: what finds no place is told so. */
static void full(void)
{
    enum { ALL = 15 };
    static struct stream streams[ALL];
    const struct mux_options options = {.connections_max = 1, .dial_timeout_ms = 1000};
    char addr[64];
    mux_conn *conn;
    kit_keep(addr, sizeof addr, mux_conn_peer(narrow)->addr);
    WANT(mux_dial(loop, addr, &options, &conn) == CS_OK, "-");
    (void)seen(conn, ""); /* the server's SETTINGS are there */
    for (int i = 0; i < ALL; i++)
        WANT(mux_stream_open(conn, CALLS "Chat", NULL, &kit_ops, &streams[i], &streams[i].stream) ==
                 CS_OK,
             "stream %d", i);
    for (int i = 10; i < ALL; i++) {
        kit_wait(&streams[i].done);
        WANT(streams[i].why == CS_ELIMIT, "%s", streams[i].errmsg);
        WANT(strcmp(streams[i].errmsg,
                    "the server allows 10 streams a connection, and 1 connection is full") == 0,
             "%s", streams[i].errmsg);
    }
    for (int i = 0; i < 10; i++)
        WANT(!streams[i].done, "stream %d: %s", i, streams[i].errmsg);
    mux_conn_free(conn);
    for (int i = 0; i < 10; i++)
        kit_wait(&streams[i].done);
}

/* ---- Going away ------------------------------------------------------------------------------- */

enum { LOAD = 600, AT_ONCE = 30 };

static struct one load[LOAD];
static int load_next;
static const struct mux_call_options patient = {.wait_for_ready = true, .timeout_ms = 20000};

static void load_more(void);

static void on_load(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    on_one(err, reply, errmsg, user);
    load_more();
}

static void load_more(void)
{
    char text[16];
    if (load_next == LOAD)
        return;
    snprintf(text, sizeof text, "%d", load_next);
    cs_err err =
        mux_unary(leaving, CALLS "Pace", cs_str(text), &patient, on_load, &load[load_next], NULL);
    if (err != CS_OK)
        kit_fail(__LINE__, "call %d: %s", load_next, cs_strerror(err));
    load_next++;
    /* The server leaves several times meanwhile; each time another takes over. */
    if (load_next % 100 == 50)
        (void)mux_unary(leaving, CALLS "Leave", cs_str(""), &patient, on_one, &load[LOAD - 1],
                        NULL);
}

static void graceful(void)
{
    many_left = LOAD + LOAD / 100;
    many_done = false;
    for (int i = 0; i < AT_ONCE; i++)
        load_more();
    kit_wait(&many_done);
    for (int i = 0; i < LOAD; i++)
        WANT(load[i].err == CS_OK, "call %d: %s", i, load[i].errmsg);
    WANT(seen(leaving, "calls ") == LOAD, "%d calls ran", seen(leaving, "calls "));
    WANT(seen(leaving, "twice ") == 0, "%d ran twice", seen(leaving, "twice "));
    WANT(seen(leaving, "peers ") >= LOAD / 100, "%d connections", seen(leaving, "peers "));
}

static void refused(void)
{
    struct answer a;
    struct stream s = {.done = false};
    kit_ask(refusing, CALLS "Third", cs_str("x"), NULL, &a);
    WANT(a.err == CS_OK && strcmp(a.text, "3") == 0, "%s %s", a.text, a.errmsg);
    kit_ask(refusing, CALLS "Never", cs_str("x"), NULL, &a);
    WANT(a.err == CS_EUNAVAIL && strstr(a.errmsg, "REFUSED_STREAM"), "%s", a.errmsg);
    WANT(mux_stream_open(refusing, CALLS "Stream", NULL, &kit_ops, &s, &s.stream) == CS_OK, "-");
    kit_wait(&s.done);
    WANT(s.why == CS_EUNAVAIL, "%s", s.errmsg);
}

int main(int argc, char **argv)
{
    static char addrs[4][64];
    mux_conn **conns[] = {&plain, &narrow, &leaving, &refusing};
    if (argc != 2 || sscanf(argv[1], "%63[^,],%63[^,],%63[^,],%63s", addrs[0], addrs[1], addrs[2],
                            addrs[3]) != 4)
        return 2;
    if (cs_loop_new(NULL, &loop) != CS_OK)
        return 1;
    for (int i = 0; i < 4; i++)
        if (mux_dial(loop, addrs[i], NULL, conns[i]) != CS_OK)
            return 1;
    kit_suite = "client";
    kit_run("a unary call, with metadata both ways", unary);
    kit_run("compressed requests", packed);
    kit_run("a status with a message in UTF-8 and trailers; an unknown method", statuses);
    kit_run("a deadline is met on both sides", deadline);
    kit_run("a call is given up, and the server hears of it", given_up);
    kit_run("server streaming", server_streaming);
    kit_run("client streaming", client_streaming);
    kit_run("a thousand messages to and fro", bidi);
    kit_run("a server's failure in the middle", bidi_failing);
    kit_run("a hundred calls where ten streams are allowed take further connections", limited);
    kit_run("who finds no place is told", full);
    kit_run("a server that leaves under load, six times, loses no call and runs none twice",
            graceful);
    kit_run("a refused stream is tried again", refused);
    for (int i = 0; i < 4; i++)
        mux_conn_free(*conns[i]);
    cs_loop_run(loop);
    cs_loop_free(loop);
    return kit_failed ? 3 : 0;
}
