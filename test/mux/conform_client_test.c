/* A server that says one thing wrong, and what our client does about it: see docs/CONFORMANCE.  Each at
 * once, byte by byte and over TLS. */
#include "test/mux/conform.h"
#include "test/mux/conform_states.h"

#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ANSWER "HEADERS 4 1 " CONFORM_ANSWER
#define DONE "HEADERS 5 1 {:status=200|content-type=application/grpc|grpc-status=0}"
#define MALFORMED "RST_STREAM 1 1"

/* ---- Frames and states ---------------------------------------------------------------------- */

/* Its second call, stream 3, is cancelled before it was written. */
static void passed_over(void)
{
    conform_client();
    talk_open(&conform, 1);
    mux_stream_cancel(conform.client[1].stream, CS_ECANCELED);
    talk_open(&conform, 2);
    talk_settle(&conform);
    cr_assert(strstr(fake_said(conform_peer), "HEADERS 5 "));
    cr_assert(!strstr(fake_said(conform_peer), "HEADERS 3 "));
}

static void cancelled(void)
{
    conform_client_open();
    mux_stream_cancel(conform.client[0].stream, CS_ECANCELED);
    talk_settle(&conform);
}

static const struct {
    void (*begin)(void);
    const char *before;
    int id;
} states[CONFORM_STATES] = {
    {conform_client, NULL, 0},
    {conform_client, NULL, 7},
    {passed_over, NULL, 3},
    {conform_client, NULL, 2},
    {conform_client_open, ANSWER, 1},
    {conform_client, ANSWER, 1},
    {conform_client, DONE, 1},
    {conform_client, "RST_STREAM 0 1 00 00 00 08", 1},
    {cancelled, NULL, 1},
};

Test(conform_client, every_frame_in_every_state_of_a_stream)
{
    for (size_t f = 0; f < CONFORM_FRAMES; f++)
        for (int s = 0; s < CONFORM_STATES; s++) {
            const struct conform_frame *frame = &conform_frames[f];
            char line[256];
            const struct conform_row row = {frame->name, states[s].before, line,
                                            frame->client[s] == 'P'   ? "GOAWAY 1"
                                            : frame->client[s] == 'e' ? "RST_STREAM 1 8"
                                                                      : ""};

            snprintf(line, sizeof line, frame->of_server ? frame->of_server : frame->line,
                     states[s].id);
            conform_rows(states[s].begin, &row, 1);
        }
}

Test(conform_client, what_connections_end_by)
{
    static const struct conform_row rows[] = {
        {"4.2", NULL, "DATA/16385 0 1", "GOAWAY 6"},
        {"6.5, of no whole setting", NULL, "SETTINGS 0 0 00 01 00 00 00", "GOAWAY 6"},
        {"6.5.2, push", NULL, "SETTINGS 0 0 00 02 00 00 00 01", "GOAWAY 1"},
        {"6.5.2, no push", NULL, "SETTINGS 0 0 00 02 00 00 00 00", ""},
        {"6.5.2, window", NULL, "SETTINGS 0 0 00 04 80 00 00 00", "GOAWAY 3"},
        {"6.8, more than before", "GOAWAY 0 0 00 00 00 01 00 00 00 00",
         "GOAWAY 0 0 00 00 00 03 00 00 00 00", "GOAWAY 1"},
        {"6.8, of the server's own", NULL, "GOAWAY 0 0 00 00 00 02 00 00 00 00", "GOAWAY 1"},
        {"6.9.1", NULL, "WINDOW_UPDATE 0 0 7f ff ff ff", "GOAWAY 3"},
        {"6.9.2", "WINDOW_UPDATE 0 1 7f ff 00 00", "SETTINGS 0 0 00 04 00 02 00 00", "GOAWAY 3"},
        {"6.10", "HEADERS 0 1 88", "DATA 0 1 00", "GOAWAY 1"},
        {"8.1, no HEADERS first", NULL, "DATA 0 1 00 00 00 00 00", "GOAWAY 1"},
        {"RFC 7541, 6.1", NULL, "HEADERS 5 1 80", "GOAWAY 9"},
        {"RFC 7541, 6.3", NULL, "HEADERS 5 1 3f e2 1f", "GOAWAY 9"},
    };
    CONFORM_ROWS(conform_client_open, rows);
}

/* 3.4: its SETTINGS come first. */
static void silent(void)
{
    static struct fake_net net;

    talk_handlers(&conform);
    net = (struct fake_net){.silent = true};
    fake_net_dial(&net, conform.loop, NULL, &conform.conn);
    conform_peer = net.peers[0];
    talk_settle(&conform);
}

Test(conform_client, the_servers_preface)
{
    static const struct conform_row rows[] = {
        {"3.4", NULL, "PING 0 0 00 00 00 00 00 00 00 00", "GOAWAY 1"},
        {"3.4", NULL, "SETTINGS 1 0", "GOAWAY 1"},
        {"3.4, HTTP/1.1", NULL, "! 48 54 54 50 2f 31 2e 31 20 34 30 30 0d 0a", "GOAWAY 1"},
        {"3.4", NULL, "SETTINGS 0 0", ""},
    };
    CONFORM_ROWS(silent, rows);
}

/* ---- Answers -------------------------------------------------------------------------------- */

#define FIRST(fields) "HEADERS 4 1 {" fields "}"
#define ONLY(fields) "HEADERS 5 1 {" fields "}"

static const struct conform_row answers[] = {
    {"8.2, upper case", NULL, FIRST(":status=200|X-Case=1"), MALFORMED},
    {"8.2.1, a space", NULL, FIRST(":status=200|a b=1"), MALFORMED},
    {"8.2.1, CR", NULL, FIRST(":status=200|x=a\rb"), MALFORMED},
    {"8.2.1, NUL", NULL, "HEADERS 4 1 88 00 01 78 03 61 00 62", MALFORMED},
    {"8.2.1, LF in trailers", ANSWER, "HEADERS 5 1 00 01 78 03 61 0a 62", MALFORMED},
    {"8.2.2", NULL, FIRST(":status=200|connection=close"), MALFORMED},
    {"8.2.2", NULL, FIRST(":status=200|transfer-encoding=chunked"), MALFORMED},
    {"8.2.2", NULL, FIRST(":status=200|upgrade=h2"), MALFORMED},
    {"8.3", NULL, FIRST(":status=200|:path=/"), MALFORMED},
    {"8.3", NULL, FIRST("x=1|:status=200"), MALFORMED},
    {"8.3", NULL, FIRST(":status=200|:status=200"), MALFORMED},
    {"8.3", ANSWER, ONLY(":status=200"), MALFORMED},
    {"8.3.2", NULL, FIRST("x=1"), MALFORMED},
    {"8.3.2", NULL, FIRST(":status=20"), MALFORMED},
    {"8.3.2", NULL, FIRST(":status=2000"), MALFORMED},
    {"8.3.2", NULL, FIRST(":status=2xx"), MALFORMED},
    {"8.6", NULL, FIRST(":status=101"), MALFORMED},
    {"8.1", NULL, ONLY(":status=100"), MALFORMED},
    {"8.1", FIRST(":status=100"), "DATA 1 1", MALFORMED},
    {"8.1, trailers go on", ANSWER, FIRST("x=1"), MALFORMED},
    {"8.1.1", NULL, ONLY(":status=200|content-length=1"), MALFORMED},
    {"8.1.1", FIRST(":status=200|content-length=2"), "DATA 0 1 00 00 00", MALFORMED},
    {"8.1.1", FIRST(":status=200|content-length=2"), "DATA 0 1 00\nHEADERS 5 1 {x=1}", MALFORMED},
};

/* 8.1.1: it is not taken for an answer. */
static void end_call(void)
{
    cr_expect_eq(conform.client[0].ends, 1);
    cr_expect_str_eq(conform.client[0].errmsg, "the server broke the rules of HTTP/2");
    cr_expect_eq(conform.client[0].why, CS_EPROTO, "%s", conform.client[0].errmsg);
}

Test(conform_client, malformed_answers)
{
    CONFORM_ROWS(conform_client, answers);
}

Test(conform_client, a_malformed_answer_is_the_end_of_the_call_and_no_good_one)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        conform_client();
        if (answers[i].before)
            conform_say(answers[i].before, false);
        conform_say(answers[i].wrong, false);
        end_call();
        conform_end();
    }
}

/* 8.1: a RST_STREAM of NO_ERROR behind a whole answer takes nothing away. */
Test(conform_client, an_answer_that_came_before_a_reset_is_kept)
{
    conform_client_open();
    cr_assert_str_eq(conform_say(ANSWER
                                 "\nDATA 0 1 00 00 00 00 02 68 69\nHEADERS 5 1 {grpc-status=0}\n"
                                 "RST_STREAM 0 1 00 00 00 00",
                                 false),
                     "RST_STREAM 1 8"); /* our half: the call is over */
    cr_assert_str_eq(conform.client[0].text, "hi|");
    cr_assert_eq(conform.client[0].why, CS_DONE);
    conform_end();
}

/* 8.2.1 against gRPC, whose servers send texts as they are. */
Test(conform_client, a_status_whose_text_ends_in_a_space_is_that_status)
{
    conform_client();
    cr_assert_str_eq(
        conform_say("HEADERS 5 1 {:status=200|content-type=application/grpc|grpc-status=5|"
                    "grpc-message=no such: }",
                    false),
        "");
    cr_assert_eq(conform.client[0].why, CS_ENOENT);
    cr_assert(strstr(conform.client[0].errmsg, "no such:"), "%s", conform.client[0].errmsg);
    conform_end();
}

/* 6.8: no new streams behind a GOAWAY; 8.7: what is above its last id may be sent again. */
Test(conform_client, behind_a_goaway_nothing_is_opened)
{
    conform_client();
    conform_say("GOAWAY 0 0 00 00 00 01 00 00 00 00", false);
    talk_open(&conform, 1);
    talk_settle(&conform);
    cr_assert(!strstr(fake_said(conform_peer), "HEADERS 3"));
    conform_end();
}
