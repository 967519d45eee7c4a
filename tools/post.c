/* post -- `chanserv post ADDR SERVICE [BODY | -]`: asks, and prints what comes, as it comes.
 *
 * The client has a thread of its own, which answers keepalives while this one waits for whoever
 * reads our output (a pager, say): then frames are not taken, and their producers stop. */
#include "tools/post__in.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_BUFFER = 64 << 10, AGAIN_MS = 100, AGAIN_MAX_MS = 5000, SOURCES_MAX = 16384 };

/* ---- The events ----------------------------------------------------------------------------- */

/* Another post is needed, when it is one that can go on; said once until one goes well. */
static bool breaks(struct post *p, cs_err why, const char *errmsg)
{
    if (!p->follows || !follow_goes_on(why) || interrupt_which(&p->interrupt))
        return false;
    if (p->again_ms == 0)
        tool_complain(NULL, "%s: trying again", errmsg);
    p->broke = true;
    return true;
}

static void goes_well(struct post *p)
{
    if (p->again_ms > 0)
        tool_complain("post", "it goes on");
    p->again_ms = 0;
}

/* A server that announces without end costs no more than those that are open. */
static void wait_for_ends(struct post *p)
{
    if (++p->sources != p->sources_max)
        return;
    chanserv_set_remove_feed(p->set, p->feed);
    p->waits = true;
    if (!p->told)
        tool_complain(NULL,
                      "post %s: %llu sources are open: the next one when one ends (--sources-max)",
                      p->service, (unsigned long long)p->sources);
    p->told = true;
}

static cs_err goes_on(struct post *p)
{
    p->sources--;
    if (!p->waits)
        return CS_OK;
    p->waits = false;
    return chanserv_set_add_feed(p->set, p->feed);
}

static cs_err new_source(struct post *p, chanserv_source *source)
{
    cs_err err;

    goes_well(p);
    if (p->only && !cs_glob(cs_str(p->only), chanserv_source_header(source))) {
        chanserv_source_close(source);
        return CS_OK;
    }
    print_announce(&p->print, source);
    err = chanserv_set_add_source(p->set, source);
    if (err == CS_OK)
        wait_for_ends(p);
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
    if (!interrupt_which(&p->interrupt) && !cs_failed(p->feed_why))
        tool_complain(NULL, "%s", chanserv_source_errmsg(source));
}

static cs_err frame(struct post *p, chanserv_source *source, cs_bytes bytes)
{
    cs_bytes header = chanserv_source_header(source);
    cs_err err = p->follows ? follow_take(&p->follow, source, bytes) : CS_OK;

    print_gap(&p->print, source);
    if (err == CS_EDATALOSS)
        tool_complain("post",
                      "%.*s: what was read last is gone: from the beginning of what is there",
                      CS_FMT(header));
    if (err == CS_DONE || err == CS_EDATALOSS)
        return CS_OK;
    if (err == CS_ENOTSUP)
        tool_complain("post", "--follow: %s is no service of the kind tail", p->service);
    if (err != CS_OK)
        return err;
    print_frame(&p->print, source, bytes);
    p->frames++;
    return p->frames == p->count ? CS_DONE : CS_OK;
}

static cs_err happened(struct post *p, const struct chanserv_event *ev)
{
    switch (ev->kind) {
    case CHANSERV_SOURCE:
        return new_source(p, ev->source);
    case CHANSERV_FRAME:
        return frame(p, ev->source, ev->frame);
    case CHANSERV_SOURCE_END:
        if (breaks(p, ev->why, chanserv_source_errmsg(ev->source)))
            return CS_DONE;
        source_end(p, ev->source, ev->why);
        return goes_on(p);
    case CHANSERV_FEED_END:
        if (breaks(p, ev->why, chanserv_feed_errmsg(p->feed)))
            return CS_DONE;
        p->feed_why = ev->why;
        if (cs_failed(ev->why) && !interrupt_which(&p->interrupt))
            tool_complain(NULL, "%s", chanserv_feed_errmsg(p->feed));
        return CS_OK;
    default:
        return CS_OK;
    }
}

/* Until all is over (CS_DONE), enough is taken (CS_DONE), or output fails (CS_OK).  Output waits in
 * the buffer while more is at hand and goes out before we wait. */
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
    int which = interrupt_which(&p->interrupt);

    if (which)
        return TOOL_SIGNAL + which;
    if (cs_failed(err))
        return tool_exit_of(err);
    if (p->count > 0 && p->frames == p->count)
        return 0;
    return tool_exit_of(cs_failed(p->feed_why) ? p->feed_why : p->source_why);
}

static void cancel(void *user)
{
    struct post *p = user;

    pthread_mutex_lock(&p->lock);
    if (p->feed)
        chanserv_feed_cancel(p->feed);
    pthread_mutex_unlock(&p->lock);
    sem_post(&p->awake);
}

static void leave(struct post *p)
{
    pthread_mutex_lock(&p->lock);
    p->feed = NULL;
    pthread_mutex_unlock(&p->lock);
    if (p->set)
        chanserv_set_free(p->set);
    if (p->client)
        chanserv_client_free(p->client);
    p->set = NULL;
    p->client = NULL;
}

/* Answers an exit code. */
static int ask(struct post *p)
{
    cs_bytes body = p->body;
    chanserv_feed *feed;
    cs_err err = p->follows ? follow_body(&p->follow, p->body, &body) : CS_OK;
    int code = err == CS_OK ? connect_client(&p->connect, NULL, &p->client) : 0;

    if (err == CS_OK && code == 0)
        code = connect_post(&p->connect, p->client, p->service, body, &feed);
    if (code != 0)
        return code;
    if (err == CS_OK) {
        pthread_mutex_lock(&p->lock);
        p->feed = feed;
        if (interrupt_which(&p->interrupt))
            chanserv_feed_cancel(feed);
        pthread_mutex_unlock(&p->lock);
        err = chanserv_set_new(p->client, &p->set);
    }
    if (err == CS_OK)
        err = chanserv_set_add_feed(p->set, p->feed);
    return err == CS_OK ? 0 : tool_failed("post", err);
}

/* Twice as long each time; false: we were interrupted. */
static bool wait_a_while(struct post *p)
{
    struct timespec until;

    p->again_ms = p->again_ms == 0                 ? AGAIN_MS
                  : p->again_ms < AGAIN_MAX_MS / 2 ? 2 * p->again_ms
                                                   : AGAIN_MAX_MS;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += p->again_ms % 1000 * 1000000L;
    until.tv_sec += p->again_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!interrupt_which(&p->interrupt)) {
        if (sem_timedwait(&p->awake, &until) != 0 && errno == ETIMEDOUT)
            return true;
    }
    return false;
}

static int take_feed(struct post *p)
{
    cs_err err, end;

    p->feed_why = CS_AGAIN;
    p->source_why = CS_OK;
    p->broke = p->waits = false;
    p->sources = 0;
    err = take_all(p);
    if (p->broke)
        return 0;
    if (cs_failed(err))
        tool_complain("post", "%s", cs_strerror(err));
    end = p->feed_why == CS_AGAIN ? CS_ECANCELED : p->feed_why;
    print_end(&p->print, end, p->feed_why == CS_AGAIN ? "" : chanserv_feed_errmsg(p->feed));
    return exit_code(p, err);
}

static int start(struct post *p)
{
    int code;

    sem_init(&p->awake, 0, 0);
    pthread_mutex_init(&p->lock, NULL);
    p->interrupt.fn = cancel;
    p->interrupt.user = p;
    if ((code = interrupt_listen(&p->interrupt, "post")) != 0)
        return code;
    do {
        leave(p);
        if ((code = ask(p)) == 0)
            code = take_feed(p);
    } while (code == 0 && p->broke && wait_a_while(p));
    interrupt_end(&p->interrupt);
    if (p->broke && interrupt_which(&p->interrupt))
        code = TOOL_SIGNAL + interrupt_which(&p->interrupt);
    return code;
}

static int run(int argc, char **argv)
{
    struct post p = {.connect = {.command = &tool_post, .own = post_options},
                     .sources_max = SOURCES_MAX,
                     .print = {.to = stdout}};
    int code = post_parse(&p, argc, argv);
    bool go = code == CONNECT_GO;

    if (go) {
        p.print.chatty = p.connect.verbose || isatty(STDOUT_FILENO);
        setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER);
        interrupt_block();
        code = start(&p);
    }
    if (go)
        leave(&p);
    connect_free(&p.connect);
    follow_free(&p.follow);
    free(p.body_owned);
    return go ? tool_close_stdout("post", code) : code;
}

const struct tool_command tool_post = {.name = "post",
                                       .line = "post to a service and print what comes",
                                       .help = post_help,
                                       .run = run,
                                       .client = true};
