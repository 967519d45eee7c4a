/* meet -- `chanserv meet [ADDR] EVENT --actor A`: waits until all are there, and prints what each brought.
 *
 * Each round is a post to rendezvous; of a --count of them each has its number as generation, so that who
 * is quick does not meet in the next round who is slow in this one. */
#include "tools/connect.h"
#include "tools/interrupt.h"

#include "gateway/json.h"
#include "services/rendezvous/rendezvous.h"

#include <stdlib.h>

struct meet {
    struct connect connect;
    struct rendezvous_ask ask;
    const char *mates, *form;
    uint64_t count;

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

/* An option that is a text of what we ask; NULL: it is another. */
static cs_bytes *text_of(struct meet *m, int option)
{
    switch (option) {
    case ACTOR:
        return &m->ask.actor;
    case PAYLOAD:
        return &m->ask.payload;
    case LABELS:
        return &m->ask.labels;
    case SELECTOR:
        return &m->ask.selector;
    case KEY:
        return &m->ask.key;
    default:
        return NULL;
    }
}

static int set_text(cs_bytes *to, const char *name)
{
    *to = cs_str(optarg);
    return gateway_is_utf8(*to) ? 0 : tool_usage("meet", "%s: it is not UTF-8", name);
}

static int set_number(uint64_t *to, const char *name, uint64_t least)
{
    if (tool_number(cs_str(optarg), UINT32_MAX, to) && *to >= least)
        return 0;
    return tool_usage("meet", "--%s wants a number, %u or more, not '%s'", name, (unsigned)least,
                      optarg);
}

static int set_mates(struct meet *m)
{
    uint64_t mates;
    int code = set_number(&mates, "mates", 0);

    if (code == 0)
        m->ask.mates = mates == 0 ? CS_OFF : (int64_t)mates;
    return code;
}

static int set_form(struct meet *m)
{
    m->ask.list = strcmp(optarg, "list") == 0;
    return m->ask.list || strcmp(optarg, "map") == 0
               ? 0
               : tool_usage("meet", "--form is map or list, not '%s'", optarg);
}

static int set_option(void *command, int option)
{
    struct meet *m = command;
    cs_bytes *text = text_of(m, option);

    if (text)
        return set_text(text, options[option - ACTOR].name);
    switch (option) {
    case MATES:
        return set_mates(m);
    case FORM:
        return set_form(m);
    case COUNT:
        return set_number(&m->count, "count", 1);
    case WATCH:
        m->ask.roster = true;
        return 0;
    default:
        m->ask.service = optarg;
        return 0;
    }
}

static int parse(struct meet *m, int argc, char **argv)
{
    int first, code = connect_parse(&m->connect, argc, argv, set_option, m, &first);

    if (code != CONNECT_GO)
        return code;
    if (argc - first != 1)
        return tool_usage("meet", argc == first ? "at which EVENT?" : "one EVENT, not several");
    m->ask.event = cs_str(argv[first]);
    if (m->ask.event.len == 0 || !gateway_is_utf8(m->ask.event))
        return tool_usage("meet", "EVENT is a text of UTF-8, and not empty");
    return m->ask.actor.len > 0 ? code : tool_usage("meet", "--actor is wanted");
}

/* ---- A round -------------------------------------------------------------------------------- */

static void put_line(FILE *to, cs_bytes line)
{
    fwrite(line.base, 1, line.len, to);
    fputc('\n', to);
    fflush(to);
}

/* Answers an exit code. */
static int wait_for(struct meet *m, rendezvous_meeting *meeting)
{
    cs_bytes roster;
    cs_err err;

    while (rendezvous_range_roster(meeting, &roster))
        put_line(stderr, roster);
    err = rendezvous_meet(meeting);
    if (err == CS_OK)
        put_line(stdout, rendezvous_match(meeting));
    if (interrupt_which(&m->interrupt))
        return TOOL_SIGNAL + interrupt_which(&m->interrupt);
    if (err != CS_OK)
        tool_complain(NULL, "%s", rendezvous_errmsg(meeting));
    return tool_exit_of(err);
}

static int meet(struct meet *m, uint64_t round)
{
    struct chanserv_post_options post = connect_asked(&m->connect);
    rendezvous_meeting *meeting;
    char generation[24];
    cs_err err;
    int code;

    snprintf(generation, sizeof generation, "%llu", (unsigned long long)round);
    if (m->count > 1)
        m->ask.generation = cs_str(generation);
    m->ask.timeout_ms = m->connect.timeout_ms;
    post.timeout_ms = 0; /* the service keeps it, and says who was there */
    m->ask.post = &post;
    if ((err = rendezvous_come(m->client, &m->ask, NULL, NULL, &meeting)) != CS_OK)
        return connect_post_failed(&m->connect, m->ask.service, err);
    code = wait_for(m, meeting);
    rendezvous_close(meeting);
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
    struct meet m = {.connect = {.command = &tool_meet, .own = options},
                     .ask = {.service = "rendezvous"},
                     .count = 1};
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
