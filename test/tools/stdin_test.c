/* The kind "stdin", with a pipe in place of standard input. */
#include "tools/kind.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Only a test that fails waits so long. */
enum { PATIENCE_MS = 20000 };

struct input {
    cs_loop *loop;
    void *service;
    chanserv_server *server;
    chanserv_client *client;
    int to; /* what is written here is standard input */
};

struct reader {
    chanserv_feed *feed;
    chanserv_source *source;
};

static cs_err open_kind(struct input *in, const char *args, char *why)
{
    return tool_kind_stdin.open(in->loop, args, &in->service, why, 256);
}

static void input_serve(struct input *in, const char *args)
{
    char why[256] = "";

    cr_assert_eq(cs_loop_new(NULL, &in->loop), CS_OK);
    cr_assert_eq(open_kind(in, args, why), CS_OK, "%s", why);
    cr_assert_eq(chanserv_server_new(in->loop, NULL, &in->server), CS_OK);
    cr_assert_eq(chanserv_serve(in->server, "in", tool_kind_stdin.post, in->service), CS_OK);
    cr_assert_eq(chanserv_client_new(in->loop, NULL, &in->client), CS_OK);
    cr_assert_eq(chanserv_join_local(in->client, in->server), CS_OK);
}

static void input_new(struct input *in, const char *args)
{
    int ends[2];

    memset(in, 0, sizeof *in);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    in->to = ends[1];
    input_serve(in, args);
}

static void input_end(struct input *in)
{
    close(in->to);
    in->to = -1;
}

static void input_free(struct input *in)
{
    if (in->to >= 0)
        input_end(in);
    chanserv_client_free(in->client);
    chanserv_server_free(in->server);
    tool_kind_stdin.close(in->service);
    cs_loop_free(in->loop);
}

static void write_text(struct input *in, const char *text)
{
    cr_assert_eq(write(in->to, text, strlen(text)), (ssize_t)strlen(text));
}

/* Turns the loop for a moment. */
static void turn(struct input *in)
{
    struct chanserv_event ev;
    chanserv_set *set;
    cs_chan *never;

    cr_assert_eq(cs_chan_new(1, &never), CS_OK);
    cr_assert_eq(chanserv_set_new(in->client, &set), CS_OK);
    cr_assert_eq(chanserv_set_add_chan(set, never), CS_OK);
    cr_assert_eq(chanserv_select(set, 1, &ev), CS_AGAIN);
    chanserv_set_free(set);
    cs_chan_free(never);
}

static uint64_t not_opened(struct input *in)
{
    struct chanserv_counters counters;

    chanserv_server_counters(in->server, &counters);
    return counters.sources_waiting;
}

/* It has its place when this returns. */
static struct reader reader_new(struct input *in)
{
    int64_t until = cs_loop_now_ms(in->loop) + PATIENCE_MS;
    struct reader r;

    cr_assert_eq(chanserv_lookup_and_post(in->client, "in", cs_str(""), NULL, &r.feed), CS_OK);
    cr_assert(chanserv_range_source(r.feed, &r.source));
    cr_assert(cs_same(chanserv_source_header(r.source), cs_str("stdin")));
    cr_assert_eq(chanserv_source_open(r.source, 0), CS_OK);
    while (not_opened(in) > 0) {
        cr_assert_lt(cs_loop_now_ms(in->loop), until);
        turn(in);
    }
    return r;
}

static void reads(struct reader *r, const char *line)
{
    cs_bytes frame;

    cr_assert(chanserv_range_frame(r->source, &frame), "no '%s'", line);
    cr_assert(cs_same(frame, cs_str(line)), "'%.*s' is not '%s'", CS_FMT(frame), line);
}

static void ends(struct reader *r, cs_err why)
{
    cs_bytes frame;

    cr_assert_not(chanserv_range_frame(r->source, &frame));
    cr_assert_eq(chanserv_source_status(r->source), why);
    chanserv_feed_close(r->feed);
}

/* ---- Lines ---------------------------------------------------------------------------------- */

Test(stdin, each_reader_gets_each_line)
{
    struct input in;
    struct reader r[3];

    input_new(&in, NULL);
    for (int i = 0; i < 3; i++)
        r[i] = reader_new(&in);
    write_text(&in, "one\ntwo\nthr");
    for (int i = 0; i < 3; i++) {
        reads(&r[i], "one\n");
        reads(&r[i], "two\n");
    }
    write_text(&in, "ee\n\nrest");
    input_end(&in);
    for (int i = 0; i < 3; i++) {
        reads(&r[i], "three\n");
        reads(&r[i], "\n");
        cr_assert_eq(chanserv_source_seq(r[i].source), 3);
        reads(&r[i], "rest");
        ends(&r[i], CS_DONE);
    }
    input_free(&in);
}

Test(stdin, who_comes_late_begins_with_the_next_line)
{
    struct input in;
    struct reader early, late;

    input_new(&in, "");
    early = reader_new(&in);
    write_text(&in, "one\ntwo\n");
    reads(&early, "one\n");
    reads(&early, "two\n");
    late = reader_new(&in);
    write_text(&in, "three\n");
    reads(&late, "three\n");
    cr_assert_eq(chanserv_source_seq(late.source), 2);
    cr_assert_eq(chanserv_source_gap(late.source), 2);
    reads(&early, "three\n");
    input_end(&in);
    ends(&early, CS_DONE);
    ends(&late, CS_DONE);
    input_free(&in);
}

Test(stdin, or_as_many_lines_back_as_it_was_told)
{
    struct input in;
    struct reader early, late;

    input_new(&in, "history=2");
    early = reader_new(&in);
    write_text(&in, "one\ntwo\nthree\n");
    reads(&early, "one\n");
    reads(&early, "two\n");
    reads(&early, "three\n");
    late = reader_new(&in);
    reads(&late, "two\n");
    cr_assert_eq(chanserv_source_gap(late.source), 1);
    reads(&late, "three\n");
    input_end(&in);
    ends(&early, CS_DONE);
    ends(&late, CS_DONE);
    late = reader_new(&in); /* behind the end of input */
    reads(&late, "two\n");
    reads(&late, "three\n");
    ends(&late, CS_DONE);
    input_free(&in);
}

enum { MANY = 50000 };

/* Its own writer, for a pipe holds 64 KiB: a child of the test. */
static void write_many(struct input *in)
{
    FILE *f;

    if (fork() != 0) {
        input_end(in);
        return;
    }
    close(STDIN_FILENO); /* when the test has failed, the pipe is broken */
    f = fdopen(in->to, "w");
    for (int i = 0; i < MANY; i++)
        fprintf(f, "line %d\n", i);
    fclose(f);
    _exit(0);
}

Test(stdin, who_is_slow_gets_gaps_and_stops_nobody)
{
    struct input in;
    struct reader fast, slow;
    uint64_t lines = 0, left_out = 0;
    char line[32];
    cs_bytes frame;

    input_new(&in, NULL);
    fast = reader_new(&in);
    slow = reader_new(&in);
    write_many(&in);
    for (uint64_t i = 0; i < MANY; i++) { /* in turn with what is read, it loses nothing */
        cr_assert(chanserv_range_frame(fast.source, &frame));
        snprintf(line, sizeof line, "line %llu\n", (unsigned long long)i);
        cr_assert(cs_same(frame, cs_str(line)), "'%.*s' is not '%s'", CS_FMT(frame), line);
    }
    ends(&fast, CS_DONE);
    while (chanserv_range_frame(slow.source, &frame)) {
        left_out += chanserv_source_gap(slow.source);
        snprintf(line, sizeof line, "line %llu\n", (unsigned long long)(lines + left_out));
        cr_assert(cs_same(frame, cs_str(line)), "'%.*s' is not '%s'", CS_FMT(frame), line);
        cr_assert_eq(chanserv_source_seq(slow.source), lines + left_out);
        lines++;
    }
    cr_assert_eq(lines + left_out, MANY);
    cr_assert_gt(left_out, 0);
    cr_assert_geq(lines, 10000);
    ends(&slow, CS_DONE);
    input_free(&in);
}

/* ---- Other inputs than pipes ---------------------------------------------------------------- */

Test(stdin, may_be_a_file)
{
    FILE *f = tmpfile();
    struct input in = {.to = -1};
    struct reader r;

    cr_assert_not_null(f);
    fputs("one\ntwo", f);
    rewind(f);
    cr_assert_eq(dup2(fileno(f), STDIN_FILENO), STDIN_FILENO);
    input_serve(&in, "history=10");
    r = reader_new(&in);
    reads(&r, "one\n");
    reads(&r, "two");
    ends(&r, CS_DONE);
    input_free(&in);
    fclose(f);
}

Test(stdin, that_cannot_be_read_fails_its_readers)
{
    struct input in = {.to = -1};
    struct reader r;

    cr_assert_eq(dup2(open("/", O_RDONLY), STDIN_FILENO), STDIN_FILENO);
    input_serve(&in, NULL);
    r = reader_new(&in);
    ends(&r, CS_EINTERNAL);
    input_free(&in);
}

Test(stdin, may_end_before_anybody_reads)
{
    struct input in;

    input_new(&in, NULL);
    write_text(&in, "one\n");
    input_free(&in);
}

/* ---- Its arguments -------------------------------------------------------------------------- */

Test(stdin, is_one_service_at_a_time)
{
    struct input in;
    struct input other;
    char why[256] = "";

    input_new(&in, NULL);
    other = in;
    cr_assert_eq(open_kind(&other, NULL, why), CS_EINVAL);
    cr_assert_str_eq(why, "standard input can be only one service");
    tool_kind_stdin.close(in.service);
    cr_assert_eq(open_kind(&in, NULL, why), CS_OK);
    input_free(&in);
}

Test(stdin, takes_a_number_of_lines)
{
    static const char *const bad[] = {"history",   "history=", "history=10001",
                                      "history=x", "x=1",      "history=1&x"};
    struct input in = {.to = -1};
    char why[256];

    cr_assert_eq(dup2(open("/dev/null", O_RDONLY), STDIN_FILENO), STDIN_FILENO);
    cr_assert_eq(cs_loop_new(NULL, &in.loop), CS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(open_kind(&in, bad[i], why), CS_EINVAL, "%s", bad[i]);
        cr_assert_str_neq(why, "");
    }
    cr_assert_eq(open_kind(&in, "history=10000", why), CS_OK);
    tool_kind_stdin.close(in.service);
    cs_loop_free(in.loop);
}

Test(stdin, must_be_open)
{
    struct input in = {.to = -1};
    char why[256] = "";

    cr_assert_eq(dup2(open("/dev/null", O_WRONLY), STDIN_FILENO), STDIN_FILENO);
    cr_assert_eq(open_kind(&in, NULL, why), CS_EINVAL);
    cr_assert_str_eq(why, "standard input is closed");
}
