/* meet -- `chanserv meet [ADDR] EVENT --actor A`: waits until all are there, and prints what each brought.
 *
 * Each round is a post to rendezvous; of a --count of them each has its number as generation, so that who
 * is quick does not meet in the next round who is slow in this one. */
#include "tools/connect.h"
#include "tools/interrupt.h"
#include "tools/json.h"

#include <stdlib.h>

enum { WORDS_MAX = 8 };

struct meet {
    struct connect connect;
    const char *event, *service;
    struct {
        const char *name, *value;
    } words[WORDS_MAX];
    size_t words_len;
    uint64_t count;
    bool watch;

    chanserv_client *client;
    struct interrupt interrupt;
};

static const char help[] =
    "Usage: chanserv meet [OPTION]... [ADDR] EVENT --actor NAME\n"
    "Wait at EVENT until as many others are there as each wants, all of whom accept each other, "
    "and\n"
    "print what each has brought: {\"payloads\":{\"NAME\":\"...\",...}}.  Nobody passes alone: all "
    "of\n"
    "a group meet or none.  The server has to serve rendezvous: chanserv serve --rendezvous.\n"
    "\n"
    "      --actor NAME          who we are\n"
    "      --mates N             how many others, at least (1)\n"
    "      --payload TEXT        for the others\n"
    "      --labels K=V,...      what we are (actor=NAME)\n"
    "      --selector SELECTOR   whom we accept (actor!=NAME): \"zone in (a,b),!old,size>3\"\n"
    "      --form map|list       a payload an actor; or all, in order of arrival, with labels\n"
    "      --key KEY             called again with it, we go on in our place\n"
    "      --count N             so many rounds, one behind the other: a barrier\n"
    "      --watch               who is there while we wait, on standard error\n"
    "      --service NAME        where it is served (rendezvous)\n"
    "With --timeout we give up after that, and are told who was there and who was missing.\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { ACTOR = 256, MATES, PAYLOAD, LABELS, SELECTOR, FORM, KEY, COUNT, WATCH, SERVICE };
static const struct option options[] = {{"actor", required_argument, NULL, ACTOR},
                                        {"mates", required_argument, NULL, MATES},
                                        {"payload", required_argument, NULL, PAYLOAD},
                                        {"labels", required_argument, NULL, LABELS},
                                        {"selector", required_argument, NULL, SELECTOR},
                                        {"form", required_argument, NULL, FORM},
                                        {"key", required_argument, NULL, KEY},
                                        {"count", required_argument, NULL, COUNT},
                                        {"watch", no_argument, NULL, WATCH},
                                        {"service", required_argument, NULL, SERVICE},
                                        {NULL, 0, NULL, 0}};

/* The last one counts. */
static void set_word(struct meet *m, const char *name, const char *value)
{
    size_t i = 0;

    while (i < m->words_len && strcmp(m->words[i].name, name) != 0)
        i++;
    if (i == m->words_len)
        m->words_len++;
    m->words[i].name = name;
    m->words[i].value = value;
}

static int set_option(void *command, int option)
{
    struct meet *m = command;

    if (option == COUNT) {
        if (!tool_number(cs_str(optarg), UINT32_MAX, &m->count) || m->count == 0)
            return tool_usage("meet", "--count wants a number, 1 or more, not '%s'", optarg);
    } else if (option == WATCH) {
        m->watch = true;
    } else if (option == SERVICE) {
        m->service = optarg;
    } else {
        set_word(m, options[option - ACTOR].name, optarg);
    }
    return 0;
}

static int parse(struct meet *m, int argc, char **argv)
{
    int first, code = connect_parse(&m->connect, argc, argv, set_option, m, &first);

    if (code != CONNECT_GO)
        return code;
    if (argc - first != 1)
        return tool_usage("meet", argc == first ? "at which EVENT?" : "one EVENT, not several");
    m->event = argv[first];
    set_word(m, "event", m->event);
    for (size_t i = 0; i < m->words_len; i++)
        if (!gateway_is_utf8(cs_str(m->words[i].value)))
            return tool_usage("meet", "%s: it is not UTF-8", m->words[i].name);
        else if (strcmp(m->words[i].name, "actor") == 0)
            return CONNECT_GO;
    return tool_usage("meet", "--actor is wanted");
}

/* ---- A round -------------------------------------------------------------------------------- */

/* What is asked, for the caller to free; NULL: no memory. */
static char *body_of(const struct meet *m, uint64_t round)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        return NULL;
    fprintf(to, "{\"roster\":%s", m->watch ? "true" : "false");
    if (m->connect.timeout_ms > 0)
        fprintf(to, ",\"timeout\":%d", m->connect.timeout_ms);
    if (m->count > 1)
        fprintf(to, ",\"generation\":\"%llu\"", (unsigned long long)round);
    for (size_t i = 0; i < m->words_len; i++) {
        fprintf(to, ",\"%s\":", m->words[i].name);
        gateway_json_string(json_put, to, cs_str(m->words[i].value));
    }
    fputc('}', to);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static bool is_roster(cs_bytes frame)
{
    return frame.len > 10 && memcmp(frame.base, "{\"waiting\"", 10) == 0;
}

static void put_frame(cs_bytes frame)
{
    FILE *to = is_roster(frame) ? stderr : stdout;

    fwrite(frame.base, 1, frame.len, to);
    fputc('\n', to);
    fflush(to);
}

/* Answers an exit code. */
static int wait_for(struct meet *m, chanserv_feed *feed)
{
    chanserv_source *meeting;
    cs_bytes frame;
    cs_err err;

    if (chanserv_range_source(feed, &meeting))
        while (chanserv_range_frame(meeting, &frame))
            put_frame(frame);
    while (chanserv_range_source(feed, &meeting))
        chanserv_source_close(meeting);
    err = chanserv_feed_status(feed);
    if (interrupt_which(&m->interrupt))
        return TOOL_SIGNAL + interrupt_which(&m->interrupt);
    if (cs_failed(err))
        tool_complain(NULL, "%s", chanserv_feed_errmsg(feed));
    return tool_exit_of(err);
}

static int meet(struct meet *m, uint64_t round)
{
    char *body = body_of(m, round);
    struct connect asked = m->connect;
    chanserv_feed *feed;
    int code;

    if (!body)
        return tool_failed("meet", CS_ENOMEM);
    asked.timeout_ms = 0; /* the service keeps it, and says who was there */
    code = connect_post(&asked, m->client, m->service, cs_str(body), &feed);
    free(body);
    if (code != 0)
        return code;
    code = wait_for(m, feed);
    chanserv_feed_close(feed);
    return code;
}

static void cancel(void *user)
{
    chanserv_client_cancel(user);
}

static int start(struct meet *m)
{
    int code = connect_client(&m->connect, NULL, &m->client);

    if (code != 0)
        return code;
    m->interrupt.fn = cancel;
    m->interrupt.user = m->client;
    if ((code = interrupt_listen(&m->interrupt, "meet")) != 0)
        return code;
    for (uint64_t round = 1; code == 0 && round <= m->count; round++)
        code = meet(m, round);
    interrupt_end(&m->interrupt);
    return code;
}

static int run(int argc, char **argv)
{
    struct meet m = {
        .connect = {.command = &tool_meet, .own = options}, .service = "rendezvous", .count = 1};
    int code = parse(&m, argc, argv);
    bool go = code == CONNECT_GO;

    if (go) {
        interrupt_block();
        code = start(&m);
    }
    if (m.client)
        chanserv_client_free(m.client);
    connect_free(&m.connect);
    return go ? tool_close_stdout("meet", code) : code;
}

const struct tool_command tool_meet = {.name = "meet",
                                       .line = "wait until all are there: a barrier, a rendezvous",
                                       .help = help,
                                       .run = run,
                                       .client = true};
