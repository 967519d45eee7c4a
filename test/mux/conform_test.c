/* A client that says one thing wrong, and what our server does about it: see docs/CONFORMANCE.  Each at
 * once, byte by byte and over TLS. */
#include "test/mux/conform.h"
#include "test/mux/conform_states.h"
#include "test/mux/secure.h"
#include "test/support/failing.h"

#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define OPEN "HEADERS 4 1 " CONFORM_REQUEST
#define HALF "HEADERS 5 1 " CONFORM_REQUEST
#define MALFORMED "RST_STREAM 1 1"

/* ---- Frames and states ---------------------------------------------------------------------- */

static const struct {
    const char *before;
    int id;
} states[CONFORM_STATES] = {
    {OPEN, 0},
    {OPEN, 7},
    {"HEADERS 4 5 " CONFORM_REQUEST, 3},
    {OPEN, 2},
    {OPEN, 1},
    {HALF, 1},
    {"HEADERS 5 1 {:method=POST|:scheme=http|:path=/no/where|:authority=fake|" CONFORM_REST "}", 1},
    {OPEN "\nRST_STREAM 0 1 00 00 00 08", 1},
    {"HEADERS 4 1 {X=1}", 1},
};

Test(conform, every_frame_in_every_state_of_a_stream)
{
    for (size_t f = 0; f < CONFORM_FRAMES; f++)
        for (int s = 0; s < CONFORM_STATES; s++) {
            const struct conform_frame *frame = &conform_frames[f];
            const bool opens = frame->line[0] == 'H' && s < 4;
            char line[256];
            struct conform_row row = {frame->name, states[s].before, line,
                                      frame->server[s] == 'P'   ? "GOAWAY 1"
                                      : frame->server[s] == 'S' ? "GOAWAY 5"
                                                                : ""};

            if (opens)
                snprintf(line, sizeof line, "HEADERS 5 %d " CONFORM_REQUEST, states[s].id);
            else
                snprintf(line, sizeof line, frame->line, states[s].id);
            conform_rows(conform_server, &row, 1);
        }
}

Test(conform, frames_of_a_wrong_size)
{
    static const struct conform_row rows[] = {
        {"4.2", OPEN, "DATA/16385 0 1", "GOAWAY 6"},
        {"4.2", OPEN, "HEADERS/16385 4 3", "GOAWAY 6"},
        {"4.2", OPEN, "UNKNOWN/16385 0 0", "GOAWAY 6"},
        {"6.2", NULL, "HEADERS 37 1 00 00 00 00", "GOAWAY 6"},
        {"6.3", OPEN, "PRIORITY 0 1 00 00 00 00", "GOAWAY 6"},
        {"6.3", OPEN, "PRIORITY 0 1 00 00 00 00 00 00", "GOAWAY 6"},
        {"6.4", OPEN, "RST_STREAM 0 1 00 00 00", "GOAWAY 6"},
        {"6.4", OPEN, "RST_STREAM 0 1 00 00 00 00 00", "GOAWAY 6"},
        {"6.5", NULL, "SETTINGS 0 0 00 01 00 00 00", "GOAWAY 6"},
        {"6.5", NULL, "SETTINGS 1 0 00 01 00 00 10 00", "GOAWAY 6"},
        {"6.7", NULL, "PING 0 0 00 00 00 00 00 00 00", "GOAWAY 6"},
        {"6.7", NULL, "PING 0 0 00 00 00 00 00 00 00 00 00", "GOAWAY 6"},
        {"6.8", NULL, "GOAWAY 0 0 00 00 00 00 00 00 00", "GOAWAY 6"},
        {"6.9", OPEN, "WINDOW_UPDATE 0 1 00 00 01", "GOAWAY 6"},
        {"6.9", OPEN, "WINDOW_UPDATE 0 0 00 00 00 00 01", "GOAWAY 6"},
    };
    CONFORM_ROWS(conform_server, rows);
}

Test(conform, padding)
{
    static const struct conform_row rows[] = {
        {"6.1", OPEN, "DATA 8 1 02 00", "GOAWAY 1"},
        {"6.1", OPEN, "DATA 8 1", "GOAWAY 1"},
        {"6.1", OPEN, "DATA 8 1 01 00", ""},
        {"6.2", NULL, "HEADERS 12 1 02 82", "GOAWAY 1"},
        {"6.2", NULL, "HEADERS 12 1", "GOAWAY 1"},
        {"6.2", NULL, "HEADERS 13 1 00 " CONFORM_REQUEST, ""},
    };
    CONFORM_ROWS(conform_server, rows);
}

Test(conform, settings)
{
    static const struct conform_row rows[] = {
        {"6.5.2, push", NULL, "SETTINGS 0 0 00 02 00 00 00 02", "GOAWAY 1"},
        {"6.5.2, window", NULL, "SETTINGS 0 0 00 04 80 00 00 00", "GOAWAY 3"},
        {"6.5.2, frames", NULL, "SETTINGS 0 0 00 05 00 00 3f ff", "GOAWAY 1"},
        {"6.5.2, frames", NULL, "SETTINGS 0 0 00 05 01 00 00 00", "GOAWAY 1"},
        {"6.5.2, unknown", NULL, "SETTINGS 0 0 7f 7f ff ff ff ff", ""},
        {"6.5.3, one too many", NULL, "SETTINGS 1 0", "GOAWAY 1"},
        {"6.9.2, of an open stream", OPEN "\nWINDOW_UPDATE 0 1 7f ff 00 00",
         "SETTINGS 0 0 00 04 00 02 00 00", "GOAWAY 3"},
    };
    CONFORM_ROWS(conform_server, rows);
}

static void pausing(void)
{
    talk_handlers(&conform);
    conform_peer =
        fake_client(conform.loop, &(struct mux_options){.window_bytes = 16384}, conform.handlers);
    talk_settle(&conform);
    conform.server[0].paused = true;
}

#define KIB16 "DATA 0 1 *16384\n"
Test(conform, windows)
{
    static const struct conform_row rows[] = {
        {"6.9", OPEN, "WINDOW_UPDATE 0 1 00 00 00 00", "GOAWAY 1"},
        {"6.9", OPEN, "WINDOW_UPDATE 0 0 00 00 00 00", "GOAWAY 1"},
        {"6.9.1", OPEN, "WINDOW_UPDATE 0 1 7f ff ff ff", "RST_STREAM 1 3"},
        {"6.9.1", OPEN, "WINDOW_UPDATE 0 0 7f ff ff ff", "GOAWAY 3"},
        {"6.9.1, all of it", OPEN, KIB16, ""},
        {"6.9.1, a byte more", OPEN, KIB16 "DATA 0 1 00", "RST_STREAM 1 3"},
    };
    CONFORM_ROWS(pausing, rows);
}

/* 5.1: it counts, and what nobody reads is credited at once. */
Test(conform, data_on_a_stream_that_is_over_gives_the_connection_its_credit_back)
{
    bool credited = false;

    conform_server();
    cr_assert_str_eq(conform_say(OPEN "\nRST_STREAM 0 1 00 00 00 08", false), "");
    for (int i = 0; i < 200; i++) { /* 12 MiB of 16 */
        cr_assert_str_eq(conform_say(KIB16 KIB16 KIB16 KIB16, false), "");
        credited = credited || strstr(fake_said(conform_peer), "WINDOW 0 ");
    }
    cr_assert(credited);
    conform_end();
}

/* Below it what is wrong with the stream alone costs the stream. */
Test(conform, settings_that_came_before_make_no_overflow_theirs)
{
    conform_server();
    cr_assert_str_eq(conform_say("SETTINGS 0 0 00 04 00 00 10 00\n" OPEN, false), "");
    cr_assert_str_eq(conform_say("WINDOW_UPDATE 0 1 7f ff ff ff", false), "RST_STREAM 1 3");
    conform_end();
}

/* Those that move no window of a stream are none of its business, though all comes in one go. */
Test(conform, settings_that_move_no_window_make_no_overflow_theirs)
{
    conform_server();
    cr_assert_str_eq(conform_say("SETTINGS 0 0 00 04 00 00 10 00\n" OPEN
                                 "\nSETTINGS 0 0\nWINDOW_UPDATE 0 1 7f ff ff ff",
                                 false),
                     "RST_STREAM 1 3");
    conform_end();
}

Test(conform, header_blocks)
{
    static const struct conform_row rows[] = {
        {"6.10", "HEADERS 1 1 82", "DATA 0 1 00", "GOAWAY 1"},
        {"6.10", "HEADERS 1 1 82", "CONTINUATION 4 3 86", "GOAWAY 1"},
        {"6.10", "HEADERS 1 1 82", "HEADERS 5 3 " CONFORM_REQUEST, "GOAWAY 1"},
        {"6.10", "HEADERS 1 1 82", "UNKNOWN 0 1 00", "GOAWAY 1"},
        {"6.10", "HEADERS 1 1 82", "PING 0 0 00 00 00 00 00 00 00 00", "GOAWAY 1"},
        {"4.3", "HEADERS 1 1", "CONTINUATION 0 1\nCONTINUATION 4 1 " CONFORM_REQUEST, ""},
    };
    CONFORM_ROWS(conform_server, rows);
}

/* The sections of RFC 7541. */
Test(conform, compression)
{
    static const struct conform_row rows[] = {
        {"6.1, no index", NULL, "HEADERS 5 1 80", "GOAWAY 9"},
        {"2.3.3, beyond both tables", NULL, "HEADERS 5 1 be", "GOAWAY 9"},
        {"2.3.3, a name beyond both", NULL, "HEADERS 5 1 7e 01 61", "GOAWAY 9"},
        {"5.1, too great a number", NULL, "HEADERS 5 1 ff ff ff ff ff ff ff 7f", "GOAWAY 9"},
        {"5.2, the rest does not come", NULL, "HEADERS 5 1 40 05 61", "GOAWAY 9"},
        {"5.2, the end within", NULL, "HEADERS 5 1 40 84 ff ff ff ff 01 61", "GOAWAY 9"},
        {"5.2, padding of a byte", NULL, "HEADERS 5 1 40 82 1f ff 01 61", "GOAWAY 9"},
        {"5.2, padding of zeros", NULL, "HEADERS 5 1 40 81 18 01 61", "GOAWAY 9"},
        {"6.3, more than was allowed", NULL, "HEADERS 5 1 3f e2 1f", "GOAWAY 9"},
        {"4.2, behind a field", NULL, "HEADERS 5 1 82 20", "GOAWAY 9"},
        {"4.2, in front", NULL, "HEADERS 5 1 20 3f e1 1f " CONFORM_REQUEST, ""},
    };
    CONFORM_ROWS(conform_server, rows);
}

/* ---- Requests ------------------------------------------------------------------------------- */

#define REQUEST(fields) "HEADERS 5 1 {" fields "}"
#define FIELD(field) REQUEST(CONFORM_HEAD "|:authority=fake|" field "|" CONFORM_REST)
#define PATH(method, path)                                                                         \
    REQUEST(":method=" method "|:scheme=http|:path=" path "|:authority=fake|" CONFORM_REST)
#define LENGTH(length)                                                                             \
    "HEADERS 4 1 {" CONFORM_HEAD "|:authority=fake|content-length=" length "|" CONFORM_REST "}"
#define HOSTS(authority, host) REQUEST(CONFORM_HEAD "|:authority=" authority "|host=" host)

Test(conform, malformed_fields)
{
    static const struct conform_row rows[] = {
        {"8.2, upper case", NULL, FIELD("X-Case=1"), MALFORMED},
        {"8.2.1, a space", NULL, FIELD("a b=1"), MALFORMED},
        {"8.2.1, no ASCII", NULL, FIELD("a\x80=1"), MALFORMED},
        {"8.2.1, a colon", NULL, FIELD("a:b=1"), MALFORMED},
        {"8.2.1, CR", NULL, FIELD("x=a\rb"), MALFORMED},
        {"8.2.1, LF", NULL, "HEADERS 5 1 00 01 78 03 61 0a 62 " CONFORM_REQUEST, MALFORMED},
        {"8.2.1, NUL", NULL, "HEADERS 5 1 00 01 78 03 61 00 62 " CONFORM_REQUEST, MALFORMED},
        {"8.2.2", NULL, FIELD("connection=close"), MALFORMED},
        {"8.2.2", NULL, FIELD("keep-alive=1"), MALFORMED},
        {"8.2.2", NULL, FIELD("proxy-connection=close"), MALFORMED},
        {"8.2.2", NULL, FIELD("transfer-encoding=chunked"), MALFORMED},
        {"8.2.2", NULL, FIELD("upgrade=websocket"), MALFORMED},
        {"8.2.2", NULL, FIELD("te=gzip"), MALFORMED},
    };
    CONFORM_ROWS(conform_server, rows);
}

Test(conform, malformed_requests)
{
    static const struct conform_row rows[] = {
        {"no method", NULL, REQUEST(":scheme=http|:path=/a/b|:authority=fake"), MALFORMED},
        {"no scheme", NULL, REQUEST(":method=POST|:path=/a/b|:authority=fake"), MALFORMED},
        {"no path", NULL, REQUEST(":method=POST|:scheme=http|:authority=fake"), MALFORMED},
        {"nobody asked", NULL, REQUEST(CONFORM_HEAD), MALFORMED},
        {"two paths", NULL, REQUEST(CONFORM_HEAD "|:path=/a/b|:authority=fake"), MALFORMED},
        {"two methods", NULL, REQUEST(CONFORM_HEAD "|:method=GET|:authority=fake"), MALFORMED},
        {"two schemes", NULL, REQUEST(CONFORM_HEAD "|:scheme=http|:authority=fake"), MALFORMED},
        {"two authorities", NULL, REQUEST(CONFORM_HEAD "|:authority=fake|:authority=fake"),
         MALFORMED},
        {"late", NULL, REQUEST(CONFORM_HEAD "|x=1|:authority=fake"), MALFORMED},
        {"unknown", NULL, FIELD(":x=1"), MALFORMED},
        {"unknown", NULL, REQUEST(CONFORM_HEAD "|:x=1|:authority=fake"), MALFORMED},
        {"an answer's", NULL, REQUEST(CONFORM_HEAD "|:status=200|:authority=fake"), MALFORMED},
        {"RFC 8441", NULL, REQUEST(CONFORM_HEAD "|:protocol=x|:authority=fake"), MALFORMED},
        {"no token", NULL, PATH("PO ST", "/a/b"), MALFORMED},
        {"no method", NULL, PATH("", "/a/b"), MALFORMED},
        {"CONNECT", NULL, REQUEST(":method=CONNECT|:path=/a/b|:authority=fake"), MALFORMED},
        {"CONNECT", NULL, REQUEST(":method=CONNECT|:scheme=http|:authority=fake"), MALFORMED},
        {"CONNECT", NULL, REQUEST(":method=CONNECT|host=fake"), MALFORMED},
        {"in trailers", OPEN, "HEADERS 5 1 {:path=/a/b}", MALFORMED},
        {"trailers go on", OPEN, "HEADERS 4 1 {x=1}", MALFORMED},
        {"length", NULL, FIELD("content-length=1"), MALFORMED},
        {"length", NULL, FIELD("content-length=x"), MALFORMED},
        {"length", NULL, FIELD("content-length=-1"), MALFORMED},
        {"length", NULL, FIELD("content-length=0|content-length=0"), MALFORMED},
        {"length", LENGTH("2"), "DATA 1 1 00", MALFORMED},
        {"length", LENGTH("2"), "DATA 0 1 00 00 00", MALFORMED},
        {"length", LENGTH("2"), "DATA 0 1 00\nHEADERS 5 1 {x=1}", MALFORMED},
    };
    CONFORM_ROWS(conform_server, rows);
}

Test(conform, a_path_is_absolute_or_a_star)
{
    static const struct conform_row rows[] = {
        {"empty", NULL, PATH("POST", ""), MALFORMED},
        {"relative", NULL, PATH("POST", "test.Talk/Call"), MALFORMED},
        {"a space", NULL, PATH("POST", "/a b"), MALFORMED},
        {"a space behind", NULL, PATH("POST", "/a/b "), MALFORMED},
        {"a control", NULL, PATH("POST", "/a\tb"), MALFORMED},
        {"a control", NULL, PATH("POST", "/a\x7f"), MALFORMED},
        {"a star", NULL, PATH("POST", "*"), MALFORMED},
        {"stars", NULL, PATH("OPTIONS", "**"), MALFORMED},
        {"another scheme", NULL, REQUEST(":method=POST|:scheme=x|:path=a|:authority=fake"),
         MALFORMED},
        {"another scheme", NULL, REQUEST(":method=POST|:scheme=x|:path=*|:authority=fake"),
         MALFORMED},
        {"OPTIONS", NULL, PATH("OPTIONS", "*"), ""},
        {"late OPTIONS", NULL, REQUEST(":path=*|:method=OPTIONS|:scheme=x|:authority=fake"), ""},
        {"the one before had a star",
         "HEADERS 5 1 {:method=OPTIONS|:scheme=http|:path=*|:authority=fake}",
         "HEADERS 5 3 " CONFORM_REQUEST, ""},
    };
    CONFORM_ROWS(conform_server, rows);
}

Test(conform, a_host_is_the_authority)
{
    static const struct conform_row rows[] = {
        {"another", NULL, HOSTS("fake", "mock"), MALFORMED},
        {"longer", NULL, HOSTS("fake", "faked"), MALFORMED},
        {"another port", NULL, HOSTS("fake:81", "fake"), MALFORMED},
        {"of the other scheme", NULL, HOSTS("fake:443", "fake"), MALFORMED},
        {"empty", NULL, HOSTS("fake", ""), MALFORMED},
        {"two", NULL, HOSTS("fake", "fake|host=fake"), MALFORMED},
        {"a user", NULL, HOSTS("me@fake", "fake"), MALFORMED},
        {"a user", NULL, REQUEST(CONFORM_HEAD "|host=me@fake"), MALFORMED},
        {"a space", NULL, HOSTS("fa ke", "fa ke"), MALFORMED},
        {"the same", NULL, HOSTS("fake", "fake"), ""},
        {"other case", NULL, HOSTS("Fake", "fAke"), ""},
        {"the usual port", NULL, HOSTS("fake", "fake:80"), ""},
        {"the usual port", NULL, HOSTS("fake:80", "fake:"), ""},
        {"https", NULL,
         REQUEST(":method=POST|:scheme=https|:path=/a/b|:authority=fake:443|host=fake"), ""},
        {"alone", NULL, REQUEST(CONFORM_HEAD "|host=fake"), ""},
        {"the authority was of the one before", HALF,
         "HEADERS 5 3 {" CONFORM_HEAD "|host=mock|" CONFORM_REST "}", ""},
        {"in trailers", OPEN, "HEADERS 5 1 {host=mock}", ""},
    };
    CONFORM_ROWS(conform_server, rows);
}

/* What is unusual, and not against the rules. */
Test(conform, what_is_well_formed_is_answered)
{
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {PATH("GET", "/a/b"), "HEADERS 1 end :status=405\n"},
        {PATH("BREW!", "/a/b"), "HEADERS 1 end :status=405\n"},
        {PATH("OPTIONS", "*"), "HEADERS 1 end :status=405\n"},
        {REQUEST(":method=CONNECT|:authority=fake"), "HEADERS 1 end :status=405\n"},
        {REQUEST(CONFORM_HEAD "|:authority=fake|content-type=text/html"),
         "HEADERS 1 end :status=415\n"},
        {PATH("POST", "/no/where"), "grpc-status=12"},
        {FIELD("content-length=0"), ""},
        {FIELD("te=Trailers"), ""},
        {FIELD("x=\x80\xff"), ""},
        {FIELD("x="), ""},
        {LENGTH("5") "\nDATA 1 1 00 00 00 00 00", ""},
        {OPEN "\nHEADERS 5 1 {x=1}", ""},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        conform_server();
        cr_expect_str_eq(conform_say(rows[i / 2].request, i % 2), "", "%s", rows[i / 2].request);
        cr_expect(strstr(fake_said(conform_peer), rows[i / 2].answer), "%s: %s",
                  rows[i / 2].request, fake_said(conform_peer));
        cr_expect_eq(conform.accepted, !*rows[i / 2].answer, "%s", rows[i / 2].request);
        conform_end();
    }
}

/* 8.2.1 against gRPC, which sends texts as they are. */
Test(conform, space_around_a_value_is_taken_away)
{
    cs_bytes value;

    conform_server();
    cr_assert_str_eq(conform_say(FIELD("x= \ta b\t |y= "), false), "");
    cr_assert_eq(mux_stream_header(conform.server[0].stream, "x", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("a b")), "<%.*s>", CS_FMT(value));
    cr_assert_eq(mux_stream_header(conform.server[0].stream, "y", &value), CS_OK);
    cr_assert_eq(value.len, 0);
    conform_end();
}

/* ---- The beginning -------------------------------------------------------------------------- */

static void mute(void)
{
    talk_handlers(&conform);
    conform_peer = fake_client_mute(conform.loop, NULL, conform.handlers);
    talk_settle(&conform);
}

#define PREFACE "! 50 52 49 20 2a 20 48 54 54 50 2f 32 2e 30 0d 0a 0d 0a 53 4d 0d 0a 0d 0a\n"
Test(conform, the_preface)
{
    static const struct conform_row rows[] = {
        {"3.4", NULL, "! 50 52 49 20 2a 20 48 54 54 50 2f 32 2e 30 0d 0a 0d 0a 53 4d 0d 0a 0d 0d",
         "hung up"},
        {"3.4, HTTP/1.1", NULL, "! 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a", "hung up"},
        {"3.4", NULL, PREFACE "PING 0 0 00 00 00 00 00 00 00 00", "GOAWAY 1"},
        {"3.4", NULL, PREFACE OPEN, "GOAWAY 1"},
        {"3.4", NULL, PREFACE "SETTINGS 1 0", "GOAWAY 1"},
        {"3.4", NULL, PREFACE "SETTINGS 0 0", ""},
    };
    CONFORM_ROWS(mute, rows);
}

Test(conform, more_streams_than_were_allowed)
{
    talk_handlers(&conform);
    conform_peer =
        fake_client(conform.loop, &(struct mux_options){.streams_max = 1}, conform.handlers);
    talk_settle(&conform);
    cr_assert_str_eq(conform_say(OPEN, false), "");
    cr_assert_str_eq(conform_say("HEADERS 4 3 " CONFORM_REQUEST, false), "GOAWAY 1");
    conform_end();
}

/* ---- The same over TLS ---------------------------------------------------------------------- */

/* The code of the GOAWAY among the frames; -1: there is none. */
static int goaway_of(const char *got, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)got;

    for (size_t at = 0; at + 17 <= len;
         at += 9 + ((size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2]))
        if (bytes[at + 3] == FAKE_GOAWAY)
            return bytes[at + 16];
    return -1;
}

static void over_tls(const char *lines)
{
    static const uint8_t alpn[] = {2, 'h', '2'};
    const struct mux_tls server = secure_server("server");
    SSL_CTX *ctx = foreign_ctx(false, NULL);
    static struct foreign client;
    mux__link *ends[2];
    cs_bytes bytes;

    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn);
    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_accept(ends[1], &server);
    foreign_begin(&client, ends[0], ctx, false);
    talk_settle(&secure);
    bytes = conform_bytes(lines);
    foreign_send(&client, bytes.base, (int)bytes.len);
    talk_settle(&secure);
    cr_assert_eq(goaway_of(client.got, client.got_len), 1, "%s", lines);
    cr_assert_eq(mux_handlers_stats(secure.handlers)->connections, 0);
    foreign_end(&client);
}

Test(conform_tls, what_connections_end_by, .init = secure_begin, .fini = secure_end)
{
    over_tls(PREFACE "SETTINGS 0 0\nHEADERS 4 5 " CONFORM_REQUEST "\nDATA 0 3 00");
    over_tls(PREFACE "SETTINGS 0 0\nPUSH_PROMISE 4 1 00 00 00 02 82");
    over_tls(PREFACE "SETTINGS 0 0\nPRIORITY 0 0 00 00 00 00 10");
    over_tls(PREFACE OPEN);
}

/* ---- Ids that were passed over -------------------------------------------------------------- */

Test(conform, an_id_passed_over_is_known_while_there_are_few)
{
    struct mux__ids ids = {0};

    mux__ids_opened(&ids, 1);
    mux__ids_opened(&ids, 3);
    cr_assert_eq(ids.len, 0);
    for (uint32_t id = 9; ids.len < MUX__HOLES; id += 6) { /* 5 7, 11 13, ... */
        mux__ids_opened(&ids, id);
        cr_assert(mux__ids_passed_over(&ids, id - 4) && mux__ids_passed_over(&ids, id - 2));
        cr_assert(!mux__ids_passed_over(&ids, id) && !mux__ids_passed_over(&ids, id - 6));
        cr_assert(!mux__ids_passed_over(&ids, id - 3) && !mux__ids_passed_over(&ids, id + 2));
    }
    mux__ids_opened(&ids, 5); /* late: nothing is opened by it */
    mux__ids_opened(&ids, 200000000);
    cr_assert(mux__ids_passed_over(&ids, 5) && mux__ids_passed_over(&ids, 7));
    mux__ids_opened(&ids, INT32_MAX);
    cr_assert_eq(ids.len, MUX__HOLES);
    cr_assert(!mux__ids_passed_over(&ids, 5), "the first is forgotten");
    cr_assert(mux__ids_passed_over(&ids, 11) && mux__ids_passed_over(&ids, INT32_MAX - 2));
}

Test(conform, a_client_that_leaves_ids_out_is_a_good_client)
{
    conform_server();
    for (int id = 3; id < 400; id += 4) {
        char line[256];

        snprintf(line, sizeof line, "HEADERS 5 %d {:method=GET|:scheme=http|:path=/|:authority=a}",
                 id);
        cr_assert_str_eq(conform_say(line, false), "");
    }
    cr_assert_str_eq(conform_say("WINDOW_UPDATE 0 397 00 00 00 01", false), "GOAWAY 1");
    conform_end();
}

/* ---- Without memory ------------------------------------------------------------------------- */

/* Each to a server of its own; the fake asserts that it has memory, so this is the link alone. */
static void say_by_hand(cs_loop *loop, mux_handlers *handlers, mux__link *ends[2],
                        const char *lines)
{
    cs_bytes bytes = conform_bytes(lines);
    struct iovec v = {(void *)(uintptr_t)bytes.base, bytes.len};
    mux_conn *conn;
    size_t n;

    if (mux__conn_accept(loop, ends[1], NULL, handlers, &handlers->local_conns, &conn) != CS_OK) {
        mux__link_free(ends[1]);
        return;
    }
    cs_loop_settle(loop);
    (void)mux__link_write(ends[0], &v, 1, &n);
    cs_loop_settle(loop);
    if (!failing_failed())
        cr_assert_eq(handlers->stats.streams, 0);
}

static void meet(const char *lines)
{
    mux_handlers *handlers;
    mux__link *ends[2];
    cs_loop *loop;

    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        if (mux__link_pair(loop, ends) == CS_OK) {
            say_by_hand(loop, handlers, ends, lines);
            mux__link_free(ends[0]);
        }
        mux_handlers_free(handlers);
        cs_loop_settle(loop);
    }
    cs_loop_free(loop);
}

static void story(void)
{
    meet(PREFACE "SETTINGS 0 0\n" HOSTS("fake", "fake"));
    meet(PREFACE "SETTINGS 0 0\n" HOSTS("fake", "mock"));
    meet(PREFACE "SETTINGS 0 0\n" FIELD("x=a\rb"));
    meet(PREFACE "SETTINGS 0 0\n" REQUEST(":method=POST|:scheme=x|:path=*|:authority=fake"));
    meet(PREFACE "SETTINGS 0 0\nHEADERS 5 3 " CONFORM_REQUEST "\nRST_STREAM 0 1 00 00 00 08");
    meet(PREFACE "SETTINGS 0 0\n" OPEN
                 "\nWINDOW_UPDATE 0 1 7f ff 00 00\nSETTINGS 0 0 00 04 00 02 00 00");
}

Test(conform, survives_every_failed_allocation)
{
    failing_story(story);
}
