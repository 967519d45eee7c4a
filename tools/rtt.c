/* rtt -- `chanserv rtt [ADDR]`: how long a question and its answer take, again and again, as ping.
 *
 * The question is Services, the one that every server answers at once and without running anything
 * of a user's; its call is given up when the first list is there.  The first question, which waits
 * for the connection too, is told apart. */
#include "tools/connect.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/latency.h"
#include "tools/print.h"

#include <inttypes.h>
#include <stdlib.h>

enum { INTERVAL_MS = 1000, TIMEOUT_MS = 5000 };

struct rtt {
    struct connect connect;
    uint64_t count; /* 0: until a signal comes */
    int interval_ms;
    bool json;
    const char *addr;
    struct interrupt interrupt;
    cs_loop *loop;
    mux_conn *conn;
    cs_timer *next;

    bool connected; /* the first question was answered; what follows is of those behind it */
    bool waiting, answered;
    uint64_t begun_us, asked;
    struct latency answered_us;
    cs_err why; /* the first failure */
};

static const char help[] =
    "Usage: chanserv rtt [OPTION]... [ADDR]\n"
    "Ask the server at ADDR again and again for the list of its services, and say how long each\n"
    "answer took; at the end (SIGINT is one) how long they took in all.\n"
    "\n"
    "      --count N             so many questions, then end (without: for ever)\n"
    "      --interval DURATION   from one question to the next (1s)\n"
    "      --json                one JSON object a line\n"
    "\n"
    "An answer that takes longer than --timeout (5s) has failed.  The exit code is that of the "
    "first\n"
    "failure.\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { COUNT = 256, INTERVAL, JSON };
static const struct option options[] = {{"count", required_argument, NULL, COUNT},
                                        {"interval", required_argument, NULL, INTERVAL},
                                        {"json", no_argument, NULL, JSON},
                                        {NULL, 0, NULL, 0}};

static int set_option(void *command, int option)
{
    struct rtt *r = command;

    switch (option) {
    case COUNT:
        if (tool_number(cs_str(optarg), UINT64_MAX, &r->count) && r->count > 0)
            return 0;
        return tool_usage("rtt", "--count wants a number, 1 or more, not '%s'", optarg);
    case INTERVAL:
        if (tool_duration_ms(optarg, &r->interval_ms))
            return 0;
        return tool_usage("rtt", "--interval wants a time like 5s or 250ms, not '%s'", optarg);
    default:
        r->json = true;
        return 0;
    }
}

/* CONNECT_GO, or an exit code. */
static int parse(struct rtt *r, int argc, char **argv)
{
    int code = connect_parse(&r->connect, argc, argv, set_option, r, NULL);

    if (code != CONNECT_GO)
        return code;
    r->addr = connect_addr(&r->connect, NULL);
    if (connect_addr(&r->connect, r->addr))
        return tool_usage("rtt", "one address, not several");
    if (r->connect.timeout_ms == 0)
        r->connect.timeout_ms = TIMEOUT_MS;
    return CONNECT_GO;
}

/* ---- What is said --------------------------------------------------------------------------- */

static void put_answer(const struct rtt *r, uint64_t us)
{
    if (r->json && r->connected)
        printf("{\"rtt\":{\"seq\":%" PRIu64 ",\"ms\":%.3f}}\n", r->asked - 1, (double)us / 1e3);
    else if (r->json)
        printf("{\"connected\":{\"ms\":%.3f}}\n", (double)us / 1e3);
    else if (r->connected)
        printf("%s: seq=%" PRIu64 " time=%.3f ms\n", r->addr, r->asked - 1, (double)us / 1e3);
    else
        printf("%s: connected, time=%.3f ms\n", r->addr, (double)us / 1e3);
}

static void put_failure(const struct rtt *r, cs_err why, const char *words)
{
    if (!r->connected) {
        tool_complain("rtt", "%s", words);
    } else if (r->json) {
        printf("{\"rtt\":{\"seq\":%" PRIu64 ",\"code\":\"%s\",\"message\":", r->asked - 1,
               tool_code_name(why));
        gateway_json_string(json_put, stdout, cs_str(words));
        fputs("}}\n", stdout);
    } else {
        printf("%s: seq=%" PRIu64 " %s: ", r->addr, r->asked - 1, tool_code_name(why));
        print_line(stdout, cs_str(words));
        putchar('\n');
    }
}

static void put_summary(const struct rtt *r)
{
    const struct latency *l = &r->answered_us;

    if (r->json) {
        printf("{\"summary\":{\"code\":\"%s\",\"asked\":%" PRIu64 ",\"answered\":%" PRIu64
               ",\"ms\":",
               tool_code_name(r->why), r->asked, l->count);
        latency_put_json(stdout, l);
        fputs("}}\n", stdout);
        return;
    }
    printf("%" PRIu64 " asked, %" PRIu64 " answered", r->asked, l->count);
    if (l->count > 0) {
        fputs("; ", stdout);
        latency_put_text(stdout, l);
    }
    putchar('\n');
}

/* ---- A question ----------------------------------------------------------------------------- */

static void over(struct rtt *r)
{
    bool enough = !r->connected || (r->count > 0 && r->asked == r->count);
    uint64_t took_ms = (latency_now_us() - r->begun_us) / 1000;

    if (enough || fflush(stdout) != 0)
        cs_loop_stop(r->loop);
    else if (r->asked == 0 || took_ms >= (uint64_t)r->interval_ms)
        cs_timer_set(r->next, 0);
    else
        cs_timer_set(r->next, r->interval_ms - (int)took_ms);
}

static void on_readable(mux_stream *stream, void *state)
{
    uint64_t us = latency_now_us();
    struct rtt *r = state;
    cs_bytes list;

    if (r->answered || mux_stream_recv(stream, &list) != CS_OK)
        return;
    us -= r->begun_us;
    put_answer(r, us);
    if (r->connected)
        latency_add(&r->answered_us, us);
    r->answered = r->connected = true;
    mux_stream_cancel(stream, CS_ECANCELED);
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct rtt *r = state;

    if (!r->waiting)
        return;
    r->waiting = false;
    if (!r->answered) {
        why = cs_failed(why) ? why : CS_EPROTO; /* it has to answer before it ends */
        put_failure(r, why, mux_stream_errmsg(stream));
        if (r->why == CS_OK)
            r->why = why;
    }
    over(r);
}

static const struct mux_stream_ops ops = {.readable = on_readable, .end = on_end};

static void fail(struct rtt *r, cs_err why)
{
    tool_complain("rtt", "%s", cs_strerror(why));
    r->why = why;
    cs_loop_stop(r->loop);
}

static void ask(void *user)
{
    struct rtt *r = user;
    struct mux_call_options call = {.timeout_ms = r->connect.timeout_ms,
                                    .metadata = r->connect.metadata,
                                    .metadata_len = r->connect.metadata_len};
    cs_bytes nothing = {NULL, 0};
    mux_stream *stream;
    cs_err err;

    r->asked += r->connected;
    r->begun_us = latency_now_us();
    err = mux_stream_open(r->conn, "/chanserv.v1.Chanserv/Services", &call, &ops, r, &stream);
    if (err != CS_OK) {
        fail(r, err);
        return;
    }
    r->waiting = true;
    r->answered = false;
    err = mux_stream_send(stream, nothing, nothing);
    if (err == CS_OK)
        mux_stream_finish(stream, CS_OK, NULL);
    else
        mux_stream_cancel(stream, err);
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void stop(void *user)
{
    struct rtt *r = user;

    cs_loop_stop(r->loop);
}

static void interrupted(void *user)
{
    struct rtt *r = user;

    if (cs_loop_call(r->loop, stop, r) != CS_OK)
        stop(r);
}

static int ask_all(struct rtt *r)
{
    int code = interrupt_listen(&r->interrupt, "rtt");
    cs_err err;

    if (code != 0)
        return code;
    cs_timer_set(r->next, 0);
    err = cs_loop_run(r->loop);
    interrupt_end(&r->interrupt);
    if (r->connected && r->waiting && !r->answered)
        r->asked--; /* nobody knows */
    r->waiting = false;
    if (r->connected)
        put_summary(r);
    if (!r->connected && interrupt_which(&r->interrupt))
        return TOOL_SIGNAL + interrupt_which(&r->interrupt);
    return tool_exit_of(err == CS_OK ? r->why : err);
}

static int start(struct rtt *r)
{
    cs_err err;
    int code = connect_prepare(&r->connect);

    if (code != 0)
        return code;
    err = cs_loop_new(NULL, &r->loop);
    if (err == CS_OK)
        err = cs_timer_new(r->loop, ask, r, &r->next);
    if (err == CS_OK)
        err = connect_add_bearer(&r->connect);
    if (err == CS_OK)
        err = mux_dial(r->loop, r->addr, &r->connect.with.net, &r->conn);
    if (err == CS_EINVAL)
        return connect_bad_addr(&r->connect, r->addr);
    if (err == CS_OK)
        return ask_all(r);
    return tool_failed("rtt", err);
}

static int run(int argc, char **argv)
{
    struct rtt r = {.connect = {.command = &tool_rtt, .own = options},
                    .interval_ms = INTERVAL_MS,
                    .interrupt = {.fn = interrupted, .user = &r}};
    int code = parse(&r, argc, argv);

    if (code == CONNECT_GO) {
        interrupt_block();
        code = start(&r);
        if (r.conn)
            mux_conn_free(r.conn);
        if (r.next)
            cs_timer_free(r.next);
        if (r.loop)
            cs_loop_free(r.loop);
        code = tool_close_stdout("rtt", code);
    }
    connect_free(&r.connect);
    return code;
}

const struct tool_command tool_rtt = {.name = "rtt",
                                      .line = "how long a question and its answer take",
                                      .help = help,
                                      .run = run,
                                      .client = true};
