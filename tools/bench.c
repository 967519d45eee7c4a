/* bench -- `chanserv bench [ADDR]`: how fast, and is every byte right? */
#include "tools/bench.h"
#include "tools/connect.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/print.h"

#include <inttypes.h>
#include <unistd.h>

enum { DURATION_MS = 10000, PROGRESS_MS = 5000, PROGRESS_TTY_MS = 500 };

struct run {
    struct connect connect;
    struct bench bench;
    struct interrupt interrupt;
    bool json, tty;
    int duration_ms; /* 0: as many posts as asked for */
    cs_loop *loop;
    chanserv_client *client;
    cs_timer *progress, *enough;
    uint64_t begun_us, told_us, told_frames, told_bytes;
};

static const char help[] =
    "Usage: chanserv bench [OPTION]... [ADDR]\n"
    "Post to a service of the kind \"gen\" again and again, read everything, and check each byte.\n"
    "Says how it goes on standard error, and at the end how fast it was.\n"
    "\n"
    "      --service NAME        which service (gen)\n"
    "      --sources N           sources of a post (100)\n"
    "      --frames N            frames of a source (10)\n"
    "      --size N              bytes of a frame (1000)\n"
    "      --parallel N          posts at once (4)\n"
    "      --posts N             so many posts, however long it takes\n"
    "      --duration DURATION   no post begins after that (10s)\n"
    "      --json                the result as one JSON object\n"
    "\n"
    "A frame that is lost, doubled or changed is told, and the exit code is 31 (DATA_LOSS).\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { SERVICE = 256, SOURCES, FRAMES, SIZE, PARALLEL, POSTS, DURATION, JSON };
static const struct option options[] = {{"service", required_argument, NULL, SERVICE},
                                        {"sources", required_argument, NULL, SOURCES},
                                        {"frames", required_argument, NULL, FRAMES},
                                        {"size", required_argument, NULL, SIZE},
                                        {"parallel", required_argument, NULL, PARALLEL},
                                        {"posts", required_argument, NULL, POSTS},
                                        {"duration", required_argument, NULL, DURATION},
                                        {"json", no_argument, NULL, JSON},
                                        {NULL, 0, NULL, 0}};

static int set_number(const char *name, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (tool_number(cs_str(optarg), max, ret) && *ret >= min)
        return 0;
    return tool_usage("bench", "--%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
                      name, min, max, optarg);
}

static int set_option(void *command, int option)
{
    struct run *r = command;

    switch (option) {
    case SERVICE:
        r->bench.service = optarg;
        return 0;
    case SOURCES:
        return set_number("sources", 0, 1000000, &r->bench.sources);
    case FRAMES:
        return set_number("frames", 0, UINT32_MAX, &r->bench.frames);
    case SIZE:
        return set_number("size", 0, 100 << 20, &r->bench.size);
    case PARALLEL:
        return set_number("parallel", 1, 100000, &r->bench.parallel);
    case POSTS:
        return set_number("posts", 1, UINT64_MAX, &r->bench.posts);
    case DURATION:
        if (tool_duration_ms(optarg, &r->duration_ms))
            return 0;
        return tool_usage("bench", "--duration wants a time like 5s or 250ms, not '%s'", optarg);
    default:
        r->json = true;
        return 0;
    }
}

/* CONNECT_GO, or an exit code. */
static int parse(struct run *r, int argc, char **argv)
{
    int code = connect_parse(&r->connect, argc, argv, set_option, r, NULL);

    if (code != CONNECT_GO)
        return code;
    if (r->duration_ms == 0 && r->bench.posts == 0)
        r->duration_ms = DURATION_MS;
    return CONNECT_GO;
}

/* ---- How it goes ---------------------------------------------------------------------------- */

static double seconds(uint64_t us)
{
    return us > 0 ? (double)us / 1e6 : 1e-6;
}

static void tell_progress(void *user)
{
    struct run *r = user;
    const struct bench *b = &r->bench;
    uint64_t now = latency_now_us();
    double passed = seconds(now - r->told_us);

    fprintf(stderr, "%s%.1f s: %" PRIu64 " posts, %" PRIu64 " sources, %.0f frames/s, %.1f MB/s%s",
            r->tty ? "\r" : "", seconds(now - r->begun_us), b->posts_done, b->sources_done,
            (double)(b->frames_done - r->told_frames) / passed,
            (double)(b->bytes_done - r->told_bytes) / passed / 1e6, r->tty ? "\033[K" : "\n");
    r->told_us = now;
    r->told_frames = b->frames_done;
    r->told_bytes = b->bytes_done;
    cs_timer_set(r->progress, r->tty ? PROGRESS_TTY_MS : PROGRESS_MS);
}

static void clear_progress(const struct run *r)
{
    if (r->tty)
        fputs("\r\033[K", stderr);
}

static void tell(const char *line, void *user)
{
    clear_progress(user);
    tool_complain("bench", "%s", line);
}

static void enough(void *user)
{
    struct run *r = user;

    bench_stop(&r->bench);
}

static void over(void *user)
{
    struct run *r = user;

    cs_loop_stop(r->loop);
}

static void cancel(void *user)
{
    struct run *r = user;

    bench_cancel(&r->bench);
}

static void interrupted(void *user)
{
    struct run *r = user;

    if (cs_loop_call(r->loop, cancel, r) != CS_OK)
        cs_loop_stop(r->loop);
}

/* ---- What came of it ------------------------------------------------------------------------ */

static void put_latency(const char *what, const struct latency *latency)
{
    if (latency->count == 0)
        return;
    fputs(what, stdout);
    latency_put_text(stdout, latency);
    putchar('\n');
}

static void put_text(const struct bench *b, double time)
{
    printf("%" PRIu64 " posts, %" PRIu64 " sources, %" PRIu64 " frames, %" PRIu64 " bytes "
           "in %.3f s; %" PRIu64 " wrong\n",
           b->posts_done, b->sources_done, b->frames_done, b->bytes_done, time, b->wrong);
    printf("%.0f sources/s, %.0f frames/s, %.1f MB/s\n", (double)b->sources_done / time,
           (double)b->frames_done / time, (double)b->bytes_done / time / 1e6);
    put_latency("source, open to end:  ", &b->source_us);
    put_latency("post to first frame:  ", &b->first_us);
}

static void put_json(const struct bench *b, double time)
{
    printf("{\"bench\":{\"code\":\"%s\",\"seconds\":%.3f,\"posts\":%" PRIu64 ",\"sources\":%" PRIu64
           ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"wrong\":%" PRIu64,
           tool_code_name(b->why), time, b->posts_done, b->sources_done, b->frames_done,
           b->bytes_done, b->wrong);
    printf(",\"sources_per_s\":%.1f,\"frames_per_s\":%.1f,\"mb_per_s\":%.3f",
           (double)b->sources_done / time, (double)b->frames_done / time,
           (double)b->bytes_done / time / 1e6);
    fputs(",\"source_ms\":", stdout);
    latency_put_json(stdout, &b->source_us);
    fputs(",\"first_frame_ms\":", stdout);
    latency_put_json(stdout, &b->first_us);
    fputs("}}\n", stdout);
}

/* ---- The run -------------------------------------------------------------------------------- */

static int measure(struct run *r)
{
    double time;
    cs_err err;
    int code;

    cs_timer_set(r->progress, r->tty ? PROGRESS_TTY_MS : PROGRESS_MS);
    if (r->duration_ms > 0)
        cs_timer_set(r->enough, r->duration_ms);
    r->begun_us = r->told_us = latency_now_us();
    err = bench_begin(&r->bench, r->client);
    if (err != CS_OK)
        return connect_post_failed(&r->connect, r->bench.service, err);
    if ((code = interrupt_listen(&r->interrupt, "bench")) != 0)
        return code;
    err = cs_loop_run(r->loop);
    time = seconds(latency_now_us() - r->begun_us);
    interrupt_end(&r->interrupt);
    clear_progress(r);
    if (err != CS_OK && r->bench.why == CS_OK)
        r->bench.why = err;
    if (r->json)
        put_json(&r->bench, time);
    else
        put_text(&r->bench, time);
    if (interrupt_which(&r->interrupt) && r->bench.wrong == 0)
        return TOOL_SIGNAL + interrupt_which(&r->interrupt);
    return tool_exit_of(r->bench.why);
}

static int start(struct run *r)
{
    cs_err err = cs_loop_new(NULL, &r->loop);
    int code;

    if (err == CS_OK)
        err = cs_timer_new(r->loop, tell_progress, r, &r->progress);
    if (err == CS_OK)
        err = cs_timer_new(r->loop, enough, r, &r->enough);
    if (err != CS_OK)
        return tool_failed("bench", err);
    code = connect_client(&r->connect, r->loop, &r->client);
    return code != 0 ? code : measure(r);
}

static void stop(struct run *r)
{
    if (r->client)
        chanserv_client_free(r->client);
    if (r->progress)
        cs_timer_free(r->progress);
    if (r->enough)
        cs_timer_free(r->enough);
    if (r->loop)
        cs_loop_free(r->loop);
}

static int run(int argc, char **argv)
{
    struct run r = {
        .connect = {.command = &tool_bench, .own = options},
        .bench = {.service = "gen", .sources = 100, .frames = 10, .size = 1000, .parallel = 4}};
    int code = parse(&r, argc, argv);

    if (code == CONNECT_GO) {
        r.bench.with = connect_asked(&r.connect);
        r.bench.tell = tell;
        r.bench.over = over;
        r.bench.user = &r;
        r.interrupt.fn = interrupted;
        r.interrupt.user = &r;
        r.tty = isatty(STDERR_FILENO);
        interrupt_block();
        code = start(&r);
        stop(&r);
        code = tool_close_stdout("bench", code);
    }
    connect_free(&r.connect);
    return code;
}

const struct tool_command tool_bench = {.name = "bench",
                                        .line = "how fast a server is, and is every byte right",
                                        .help = help,
                                        .run = run,
                                        .client = true};
