/* talk -- `chanserv talk [ADDR] SERVICE [BODY]`: what we read goes up, what comes down is printed.
 *
 *     standard input ──▶ speaker ──▶ source ──▶ main thread ──▶ standard output
 *
 * Each of the two threads waits for nobody but its two neighbours: a producer that does not listen
 * stops our reading of standard input, and nothing else. */
#include "tools/connect.h"
#include "tools/interrupt.h"
#include "tools/latency.h"
#include "tools/lines.h"
#include "tools/print.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long a post may take to say how it ended, when its source has. */
enum { LAST_WORD_MS = 1000 };

struct talk {
    struct connect connect;
    const char *service, *only;
    cs_bytes body;
    bool raw, no_newline;
    struct print print;

    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
    chanserv_source *source; /* NULL: none that listens was announced yet */
    struct interrupt interrupt;
    cs_err feed_why, source_why; /* CS_AGAIN: not over yet */
    uint64_t enough_us;          /* when the source is over: how long to wait for the feed */

    pthread_t speaker; /* while `speaking`; what follows is the speaker's until it is joined */
    bool speaking;
    int enough; /* an eventfd: when it is readable, the speaker waits for no more input */
    int unread; /* the errno of a read that failed */
    cs_err unsent;
};

static const char help[] =
    "Usage: chanserv talk [OPTION]... [ADDR] SERVICE [BODY]\n"
    "Post BODY to SERVICE and open the first source that listens: the lines of standard input go\n"
    "up as frames, with their newlines; the frames that come down are printed, each with a "
    "newline\n"
    "at its end.  The end of standard input is our last word; the source's end ends it all.\n"
    "\n"
    "      --only GLOB           the first source whose header matches GLOB\n"
    "      --no-newline          lines go up without their newlines\n"
    "      --raw                 bytes both ways: up what a read gives, down nothing but frames\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { ONLY = 256, NO_NEWLINE, RAW };
static const struct option options[] = {{"only", required_argument, NULL, ONLY},
                                        {"no-newline", no_argument, NULL, NO_NEWLINE},
                                        {"raw", no_argument, NULL, RAW},
                                        {NULL, 0, NULL, 0}};

static int set_option(void *command, int option)
{
    struct talk *t = command;

    if (option == ONLY)
        t->only = optarg;
    else if (option == NO_NEWLINE)
        t->no_newline = true;
    else
        t->raw = true;
    return 0;
}

/* CONNECT_GO, or an exit code. */
static int parse(struct talk *t, int argc, char **argv)
{
    const char *body;
    int code = connect_parse_post(&t->connect, argc, argv, set_option, t, &t->service, &body);

    if (code != CONNECT_GO)
        return code;
    if (t->raw && t->no_newline)
        return tool_usage("talk", "--raw and --no-newline exclude each other");
    if (body)
        t->body = cs_str(body);
    return CONNECT_GO;
}

/* ---- Up: the speaker's thread --------------------------------------------------------------- */

/* False: enough was said.  Whatever else poll() has to say of standard input, read() says, too. */
static bool await_input(const struct talk *t)
{
    struct pollfd on[] = {{.fd = t->enough, .events = POLLIN},
                          {.fd = STDIN_FILENO, .events = POLLIN}};

    while (poll(on, 2, -1) < 0 && errno == EINTR)
        continue;
    return on[0].revents == 0;
}

static ssize_t read_input(void *to, size_t len)
{
    ssize_t n;

    do
        n = read(STDIN_FILENO, to, len);
    while (n < 0 && errno == EINTR);
    return n;
}

static cs_err send_line(struct talk *t, cs_bytes line)
{
    if (t->no_newline && line.len > 0 && ((const char *)line.base)[line.len - 1] == '\n')
        line.len--;
    return chanserv_source_send(t->source, line, CS_FOREVER);
}

/* What is whole of what was read; behind the last read also what is not. */
static cs_err send_lines(struct talk *t, struct lines *lines, bool last)
{
    cs_err err = CS_OK;
    cs_bytes line;

    while (err == CS_OK && lines_next(lines, &line))
        err = send_line(t, line);
    if (last && err == CS_OK && lines_rest(lines, &line))
        err = send_line(t, line);
    return err;
}

/* Until the end of standard input, or of the source; CS_ECANCELED: until it was told to end. */
static cs_err send_all(struct talk *t, struct lines *lines)
{
    uint8_t *to;
    size_t len;
    ssize_t n;
    cs_err err;

    do {
        if (!await_input(t))
            return CS_ECANCELED;
        to = lines_room(lines, &len);
        n = read_input(to, len);
        if (n < 0)
            t->unread = errno;
        if (t->raw && n > 0) {
            err = chanserv_source_send(t->source, cs_bytes_of(to, (size_t)n), CS_FOREVER);
        } else {
            lines_added(lines, n > 0 ? (size_t)n : 0);
            err = send_lines(t, lines, n <= 0);
        }
    } while (n > 0 && err == CS_OK);
    return err;
}

static void *speak(void *user)
{
    struct lines lines = {.base = NULL};
    struct talk *t = user;
    size_t len;

    t->unsent = lines_room(&lines, &len) ? send_all(t, &lines) : CS_ENOMEM;
    /* What we could not say was not the end of our words: the producer must not take it so. */
    if (t->unread || t->unsent == CS_ENOMEM || t->unsent == CS_ETOOBIG)
        chanserv_source_cancel(t->source);
    else if (t->unsent != CS_ECANCELED)
        chanserv_source_finish(t->source);
    lines_clear(&lines);
    return NULL;
}

static cs_err begin_speaker(struct talk *t)
{
    t->enough = eventfd(0, EFD_CLOEXEC);
    if (t->enough < 0)
        return CS_ESYS;
    t->speaking = pthread_create(&t->speaker, NULL, speak, t) == 0;
    if (!t->speaking)
        close(t->enough);
    return t->speaking ? CS_OK : CS_ESYS;
}

static void end_speaker(struct talk *t)
{
    if (!t->speaking)
        return;
    t->speaking = false;
    (void)eventfd_write(t->enough, 1);
    pthread_join(t->speaker, NULL);
    close(t->enough);
    if (t->unread)
        tool_complain("talk", "read standard input: %s", strerror(t->unread));
    else if (t->unsent == CS_ENOMEM || t->unsent == CS_ETOOBIG)
        tool_complain("talk", "%s", cs_strerror(t->unsent));
}

/* ---- Down: this thread ---------------------------------------------------------------------- */

static bool is_wanted(const struct talk *t, const chanserv_source *source)
{
    if (t->source)
        return false;
    return t->only ? cs_glob(cs_str(t->only), chanserv_source_header(source))
                   : chanserv_source_has_uplink(source);
}

static cs_err new_source(struct talk *t, chanserv_source *source)
{
    cs_err err;

    if (!is_wanted(t, source)) {
        chanserv_source_close(source);
        return CS_OK;
    }
    if (!chanserv_source_has_uplink(source))
        return CS_ENOTSUP;
    print_announce(&t->print, source);
    t->source = source;
    err = chanserv_set_add_source(t->set, source);
    return err == CS_OK ? begin_speaker(t) : err;
}

/* The source is there until the set is asked again, and the speaker must not be longer. */
static void source_end(struct talk *t, cs_err why)
{
    t->source_why = why;
    t->enough_us = latency_now_us() + UINT64_C(1000) * LAST_WORD_MS;
    end_speaker(t);
    print_gap(&t->print, t->source);
    print_source_end(&t->print, t->source, why);
    if (cs_failed(why) && !interrupt_which(&t->interrupt) && !t->unread && !cs_failed(t->feed_why))
        tool_complain(NULL, "%s", chanserv_source_errmsg(t->source));
}

/* A frame of several lines is several lines: there is but one source, and nothing to confuse. */
static void print_lines(FILE *to, cs_bytes frame)
{
    const char *p = frame.base, *end = p + frame.len, *newline;

    do {
        newline = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        print_line(to, cs_bytes_of(p, (size_t)((newline ? newline : end) - p)));
        putc('\n', to);
        p = newline ? newline + 1 : end;
    } while (p < end);
}

static cs_err happened(struct talk *t, const struct chanserv_event *ev)
{
    switch (ev->kind) {
    case CHANSERV_SOURCE:
        return new_source(t, ev->source);
    case CHANSERV_FRAME:
        print_gap(&t->print, ev->source);
        if (t->raw)
            print_frame(&t->print, ev->source, ev->frame);
        else
            print_lines(t->print.to, ev->frame);
        return CS_OK;
    case CHANSERV_SOURCE_END:
        source_end(t, ev->why);
        return CS_OK;
    case CHANSERV_FEED_END:
        t->feed_why = ev->why;
        if (cs_failed(ev->why) && ev->why != t->source_why && !interrupt_which(&t->interrupt))
            tool_complain(NULL, "%s", chanserv_feed_errmsg(t->feed));
        return CS_OK;
    default:
        return CS_OK;
    }
}

static int patience_ms(const struct talk *t)
{
    uint64_t now = latency_now_us();

    if (t->source_why == CS_AGAIN)
        return CS_FOREVER;
    return now < t->enough_us ? (int)((t->enough_us - now) / 1000) : CS_NOW;
}

/* CS_DONE: all is over; CS_OK: output fails; CS_ENOTSUP: the source that is wanted does not
 * listen.  A post that goes on behind its source is given a second, for the sake of its status. */
static cs_err take_all(struct talk *t)
{
    struct chanserv_event ev;
    cs_err err = CS_OK;

    while (err == CS_OK && !ferror(t->print.to)) {
        err = chanserv_select(t->set, CS_NOW, &ev);
        if (err == CS_AGAIN) {
            if (fflush(t->print.to) != 0)
                return CS_OK;
            err = chanserv_select(t->set, patience_ms(t), &ev);
            if (err == CS_AGAIN)
                return CS_DONE;
        }
        if (err == CS_OK)
            err = happened(t, &ev);
    }
    return err;
}

/* ---- The conversation ----------------------------------------------------------------------- */

static int exit_code(struct talk *t, cs_err err)
{
    if (interrupt_which(&t->interrupt))
        return TOOL_SIGNAL + interrupt_which(&t->interrupt);
    if (t->unread)
        return TOOL_IO;
    if (cs_failed(err))
        return tool_exit_of(err);
    return tool_exit_of(cs_failed(t->feed_why) ? t->feed_why : t->source_why);
}

static void cancel(void *user)
{
    chanserv_client_cancel(user);
}

static int run_feed(struct talk *t)
{
    cs_err err;
    int code;

    t->interrupt.fn = cancel;
    t->interrupt.user = t->client;
    if ((code = interrupt_listen(&t->interrupt, "talk")) != 0)
        return code;
    t->feed_why = t->source_why = CS_AGAIN;
    err = take_all(t);
    chanserv_client_cancel(t->client); /* so that the speaker does not wait in it */
    end_speaker(t);
    interrupt_end(&t->interrupt);
    if (err == CS_DONE && !t->source && !cs_failed(t->feed_why))
        err = CS_ENOTSUP;
    if (err == CS_ENOTSUP)
        tool_complain("talk", "%s: %s", t->service,
                      t->only ? "no source of that name listens" : "none of its sources listens");
    else if (cs_failed(err))
        tool_complain("talk", "%s", cs_strerror(err));
    return exit_code(t, err);
}

static int start(struct talk *t)
{
    int code = connect_client(&t->connect, NULL, &t->client);
    cs_err err;

    if (code == 0)
        code = connect_post(&t->connect, t->client, t->service, t->body, &t->feed);
    if (code != 0)
        return code;
    err = chanserv_set_new(t->client, &t->set);
    if (err == CS_OK)
        err = chanserv_set_add_feed(t->set, t->feed);
    if (err == CS_OK)
        return run_feed(t);
    return tool_failed("talk", err);
}

static int run(int argc, char **argv)
{
    struct talk t = {.connect = {.command = &tool_talk, .own = options}, .print = {.to = stdout}};
    int code = parse(&t, argc, argv);
    bool go = code == CONNECT_GO;

    if (go) {
        t.print.format = t.raw ? PRINT_RAW : PRINT_TEXT;
        t.print.chatty = t.connect.verbose || isatty(STDOUT_FILENO);
        interrupt_block();
        code = start(&t);
    }
    if (t.set)
        chanserv_set_free(t.set);
    if (t.client)
        chanserv_client_free(t.client);
    connect_free(&t.connect);
    return go ? tool_close_stdout("talk", code) : code;
}

const struct tool_command tool_talk = {.name = "talk",
                                       .line = "talk to a source that listens",
                                       .help = help,
                                       .run = run,
                                       .client = true};
