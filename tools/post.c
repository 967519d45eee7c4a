/* post -- `chanserv post ADDR SERVICE [BODY | -]`: asks, and prints what comes, as it comes.
 *
 * The client has a thread of its own, which answers keepalives while this one waits for whoever
 * reads our output (a pager, say): then frames are not taken, and their producers stop. */
#include "tools/tool.h"
#include "tools/print.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { METADATA_MAX = 64, BODY_MAX = 64 << 20, OUTPUT_BUFFER = 64 << 10 };

struct post {
    const char *addr, *service, *only;
    cs_bytes body;
    void *body_owned;
    cs_pair metadata[METADATA_MAX];
    size_t metadata_len;
    int timeout_ms;
    uint64_t count; /* frames; 0: all */
    bool verbose;
    struct print print;

    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
    pthread_t listener;   /* to signals */
    atomic_int signalled; /* which one came, 0 none */
    uint64_t frames;
    cs_err feed_why;   /* CS_AGAIN: not over yet */
    cs_err source_why; /* the first source that failed; CS_OK: none did */
};

static const char help[] =
    "Usage: chanserv post [OPTION]... ADDR SERVICE [BODY | -]\n"
    "Post BODY (with -: what standard input has; without: nothing) to SERVICE of the server at\n"
    "ADDR, open every source it announces, and print their frames as they come.\n"
    "\n"
    "ADDR is host:port, [v6]:port or unix:/path.\n"
    "\n"
    "      --only GLOB           open only the sources whose header matches GLOB\n"
    "      --count N             take N frames in all, then cancel\n"
    "      --timeout DURATION    end with DEADLINE_EXCEEDED after that: 5, 1.5s, 250ms, 2m, 1h\n"
    "      --json                one JSON object a line\n"
    "      --raw                 the bytes of the frames and nothing else\n"
    "      --metadata NAME=VALUE metadata for the service; may be repeated\n"
    "  -v, --verbose             announcements and ends too (as on a terminal), and log lines\n"
    "  -h, --help                this text\n"
    "\n"
    "Without --json and --raw each frame is a line \"HEADER: FRAME\"; on a terminal \"+ HEADER\" "
    "is\n"
    "an announcement and \"- HEADER\" an end.  Errors go to standard error; exit codes: see\n"
    "'chanserv help exit'.\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { ONLY = 256, COUNT, TIMEOUT, JSON, RAW, METADATA };
static const struct option options[] = {{"only", required_argument, NULL, ONLY},
                                        {"count", required_argument, NULL, COUNT},
                                        {"timeout", required_argument, NULL, TIMEOUT},
                                        {"json", no_argument, NULL, JSON},
                                        {"raw", no_argument, NULL, RAW},
                                        {"verbose", no_argument, NULL, 'v'},
                                        {"metadata", required_argument, NULL, METADATA},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static int set_format(struct post *p, enum print_format format)
{
    if (p->print.format != PRINT_TEXT && p->print.format != format)
        return tool_usage("post", "--json and --raw exclude each other");
    p->print.format = format;
    return 0;
}

static int add_metadata(struct post *p, const char *text)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return tool_usage("post", "--metadata wants NAME=VALUE, not '%s'", text);
    if (p->metadata_len == METADATA_MAX)
        return tool_usage("post", "more than %d of --metadata", METADATA_MAX);
    p->metadata[p->metadata_len].name = cs_bytes_of(text, (size_t)(equals - text));
    p->metadata[p->metadata_len++].value = cs_str(equals + 1);
    return 0;
}

static int set_option(struct post *p, int option)
{
    switch (option) {
    case ONLY:
        p->only = optarg;
        return 0;
    case COUNT:
        if (tool_number(cs_str(optarg), UINT64_MAX, &p->count) && p->count > 0)
            return 0;
        return tool_usage("post", "--count wants a number of frames, 1 or more, not '%s'", optarg);
    case TIMEOUT:
        if (tool_duration_ms(optarg, &p->timeout_ms))
            return 0;
        return tool_usage("post", "--timeout wants a time like 5s or 250ms, not '%s'", optarg);
    case JSON:
        return set_format(p, PRINT_JSON);
    case RAW:
        return set_format(p, PRINT_RAW);
    case METADATA:
        return add_metadata(p, optarg);
    case 'v':
        p->verbose = true;
        return 0;
    default: /* getopt has said what is wrong */
        fputs("Try 'chanserv post --help'.\n", stderr);
        return TOOL_USAGE;
    }
}

static int read_stdin(struct post *p)
{
    size_t len = 0, cap = 0;
    char *body = NULL;
    ssize_t n;

    for (;;) {
        if (len == cap) {
            char *more = cap < BODY_MAX ? realloc(body, cap = cap ? 2 * cap : 65536) : NULL;
            if (!more) {
                free(body);
                tool_complain("post", "the body on standard input is too large");
                return tool_exit_of(CS_ETOOBIG);
            }
            body = more;
        }
        n = read(STDIN_FILENO, body + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    p->body_owned = body;
    p->body = cs_bytes_of(body, len);
    if (n == 0)
        return 0;
    tool_complain("post", "read standard input: %s", strerror(errno));
    return TOOL_IO;
}

/* 0: go on.  *done: there is nothing (more) to do, and that is the exit code. */
static int parse(struct post *p, int argc, char **argv, bool *done)
{
    int option, code = 0;

    *done = true;
    argv[0] = (char[]){"chanserv post"};
    while ((option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        if (option == 'h')
            return tool_help(&tool_post);
        if ((code = set_option(p, option)) != 0)
            return code;
    }
    if (argc - optind < 2)
        return tool_usage("post", "an address and a service are wanted");
    if (argc - optind > 3)
        return tool_usage("post", "one body, not %d (quote it)", argc - optind - 2);
    p->addr = argv[optind];
    p->service = argv[optind + 1];
    if (argc - optind == 3 && strcmp(argv[optind + 2], "-") == 0)
        code = read_stdin(p);
    else if (argc - optind == 3)
        p->body = cs_str(argv[optind + 2]);
    *done = code != 0;
    return code;
}

/* ---- Signals: one thread waits for them, since only a wait can be interrupted safely --------- */

static void interrupt_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

static void *listen_to_signals(void *user)
{
    struct post *p = user;
    sigset_t set;
    int which, before;

    interrupt_set(&set);
    if (sigwait(&set, &which) != 0)
        return NULL;
    atomic_store(&p->signalled, which);
    /* Cancelled in a write() in there it would leave the client locked. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    chanserv_feed_cancel(p->feed);
    pthread_setcancelstate(before, NULL);
    /* Who interrupts twice does not want to wait for whoever reads our output. */
    if (sigwait(&set, &which) == 0)
        _exit(TOOL_SIGNAL + which);
    return NULL;
}

/* ---- The events ----------------------------------------------------------------------------- */

static cs_err new_source(struct post *p, chanserv_source *source)
{
    cs_err err;

    if (p->only && !cs_glob(cs_str(p->only), chanserv_source_header(source))) {
        chanserv_source_close(source);
        return CS_OK;
    }
    print_announce(&p->print, source);
    err = chanserv_set_add_source(p->set, source);
    return err;
}

static void source_end(struct post *p, chanserv_source *source, cs_err why)
{
    print_gap(&p->print, source);
    print_source_end(&p->print, source, why);
    if (!cs_failed(why))
        return;
    if (p->source_why == CS_OK)
        p->source_why = why;
    if (!atomic_load(&p->signalled) && !cs_failed(p->feed_why))
        tool_complain(NULL, "%s", chanserv_source_errmsg(source));
}

static cs_err happened(struct post *p, const struct chanserv_event *ev)
{
    switch (ev->kind) {
    case CHANSERV_SOURCE:
        return new_source(p, ev->source);
    case CHANSERV_FRAME:
        print_gap(&p->print, ev->source);
        print_frame(&p->print, ev->source, ev->frame);
        p->frames++;
        return p->frames == p->count ? CS_DONE : CS_OK;
    case CHANSERV_SOURCE_END:
        source_end(p, ev->source, ev->why);
        return CS_OK;
    case CHANSERV_FEED_END:
        p->feed_why = ev->why;
        if (cs_failed(ev->why) && !atomic_load(&p->signalled))
            tool_complain(NULL, "%s", chanserv_feed_errmsg(p->feed));
        return CS_OK;
    default:
        return CS_OK;
    }
}

/* Until all is over (CS_DONE), enough is taken (CS_DONE), or output fails (CS_OK).  Output waits in the buffer while
 * more is at hand and goes out before we wait. */
static cs_err take_all(struct post *p)
{
    struct chanserv_event ev;
    cs_err err = CS_OK;

    while (err == CS_OK && !ferror(p->print.to)) {
        err = chanserv_select(p->set, CS_NOW, &ev);
        if (err == CS_AGAIN) {
            if (fflush(p->print.to) != 0)
                return CS_OK;
            err = chanserv_select(p->set, CS_FOREVER, &ev);
        }
        if (err == CS_OK)
            err = happened(p, &ev);
    }
    return err;
}

/* ---- The post ------------------------------------------------------------------------------- */

static int exit_code(struct post *p, cs_err err)
{
    int which = atomic_load(&p->signalled);

    if (which)
        return TOOL_SIGNAL + which;
    if (cs_failed(err))
        return tool_exit_of(err);
    if (p->count > 0 && p->frames == p->count)
        return 0;
    return tool_exit_of(cs_failed(p->feed_why) ? p->feed_why : p->source_why);
}

static int run_feed(struct post *p)
{
    cs_err err, end;

    if (pthread_create(&p->listener, NULL, listen_to_signals, p) != 0) {
        tool_complain("post", "no thread for signals");
        return tool_exit_of(CS_ESYS);
    }
    p->feed_why = CS_AGAIN;
    err = take_all(p);
    pthread_cancel(p->listener);
    pthread_join(p->listener, NULL);
    if (cs_failed(err))
        tool_complain("post", "%s", cs_strerror(err));
    end = p->feed_why == CS_AGAIN ? CS_ECANCELED : p->feed_why;
    print_end(&p->print, end, p->feed_why == CS_AGAIN ? "" : chanserv_feed_errmsg(p->feed));
    return exit_code(p, err);
}

static int start(struct post *p)
{
    struct chanserv_post_options asked = {
        .timeout_ms = p->timeout_ms, .metadata = p->metadata, .metadata_len = p->metadata_len};
    cs_err err = chanserv_client_new(NULL, NULL, &p->client);

    if (err == CS_OK)
        err = chanserv_join(p->client, p->addr);
    if (err == CS_EINVAL)
        return tool_usage("post", "'%s' is no address: host:port, [v6]:port, unix:/path", p->addr);
    if (err == CS_OK)
        err = chanserv_lookup_and_post(p->client, p->service, p->body, &asked, &p->feed);
    if (err == CS_EMISUSE)
        return tool_usage("post",
                          "'%s' is no name of a service, or a --metadata has a bad name or value",
                          p->service);
    if (err == CS_OK)
        err = chanserv_set_new(p->client, &p->set);
    if (err == CS_OK)
        err = chanserv_set_add_feed(p->set, p->feed);
    if (err == CS_OK)
        return run_feed(p);
    tool_complain("post", "%s", cs_strerror(err));
    return tool_exit_of(err);
}

static int run(int argc, char **argv)
{
    struct post p = {.print = {.to = stdout}};
    sigset_t set;
    bool done;
    int code = parse(&p, argc, argv, &done);

    if (done) {
        free(p.body_owned);
        return code;
    }
    tool_log_to_stderr(p.verbose ? CS_DEBUG : CS_WARN);
    p.print.chatty = p.verbose || isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER);
    interrupt_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before there are threads, so that none gets them */
    code = start(&p);
    if (p.set)
        chanserv_set_free(p.set);
    if (p.client)
        chanserv_client_free(p.client);
    free(p.body_owned);
    return tool_close_stdout("post", code);
}

const struct tool_command tool_post = {
    .name = "post", .line = "post to a service and print what comes", .help = help, .run = run};
