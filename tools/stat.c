/* stat -- `chanserv stat [ADDR]`: what runs on a server and what it waits for, once. */
#include "tools/json.h"
#include "tools/stat_ask.h"
#include "tools/stat_cell.h"

#include <inttypes.h>

struct stat_command {
    struct stat_ask ask;
    bool json;
    int code;
};

static const char help[] =
    "Usage: chanserv stat [OPTION]... [ADDR]\n"
    "Print what runs on the server at ADDR: its connections, sessions, posts and sources, how old\n"
    "they are, how long nothing moved, what is queued, and what each of them waits for.\n"
    "\n"
    "      --max N               so many of each of the server's loops (1000; at most 10000)\n"
    "      --json                one JSON object: entries and counters as GET /v1/stat has\n"
    "\n"
    "An answer that takes longer than --timeout (5s) has failed.\n";

enum { MAX = 256, JSON };
static const struct option options[] = {
    {"max", required_argument, NULL, MAX}, {"json", no_argument, NULL, JSON}, {NULL, 0, NULL, 0}};

static int set_option(void *command, int option)
{
    struct stat_command *stat = command;

    if (option == MAX)
        return stat_ask_set_max(&stat->ask);
    stat->json = true;
    return 0;
}

/* ---- As a table ----------------------------------------------------------------------------- */

struct column {
    enum stat_column what;
    const char *title; /* NULL: it was the last */
    int width;
};

static const struct table {
    const char *title;
    struct column columns[9];
} tables[] = {[CHANSERV_STAT_CONNECTION] = {"connections",
                                            {{STAT_NUMBER, "NUMBER", 7},
                                             {STAT_AGE, "AGE", 5},
                                             {STAT_STILL, "STILL", 5},
                                             {STAT_PARTS, "STREAMS", 7},
                                             {STAT_IN, "IN", 5},
                                             {STAT_OUT, "OUT", 5},
                                             {STAT_QUEUED, "QUEUED", 6},
                                             {STAT_WAITS, "WAITS FOR", -10}}},
              [CHANSERV_STAT_SESSION] = {"sessions",
                                         {{STAT_NUMBER, "NUMBER", 20},
                                          {STAT_OF, "OF", 5},
                                          {STAT_AGE, "AGE", 5},
                                          {STAT_PARTS, "CHANNELS", 8},
                                          {STAT_KEPT, "KEPT", 5},
                                          {STAT_WAITS, "WAITS FOR", -10}}},
              [CHANSERV_STAT_POST] = {"posts",
                                      {{STAT_NUMBER, "NUMBER", 7},
                                       {STAT_OF, "OF", 5},
                                       {STAT_AGE, "AGE", 5},
                                       {STAT_STILL, "STILL", 5},
                                       {STAT_PARTS, "SOURCES", 7},
                                       {STAT_QUEUED, "QUEUED", 6},
                                       {STAT_KEPT, "KEPT", 5},
                                       {STAT_WAITS, "WAITS FOR", -10}}},
              [CHANSERV_STAT_SOURCE] = {"sources",
                                        {{STAT_OF, "POST", 7},
                                         {STAT_NUMBER, "PLACE", 5},
                                         {STAT_AGE, "AGE", 5},
                                         {STAT_STILL, "STILL", 5},
                                         {STAT_MESSAGES, "FRAMES", 6},
                                         {STAT_CREDIT, "CREDIT", 6},
                                         {STAT_QUEUED, "QUEUED", 6},
                                         {STAT_KEPT, "KEPT", 5},
                                         {STAT_WAITS, "WAITS FOR", -10}}}};
enum { COLUMNS = sizeof tables->columns / sizeof *tables->columns };

static void put_titles(const struct table *table)
{
    for (size_t i = 0; i < COLUMNS && table->columns[i].title; i++)
        printf("%*s  ", table->columns[i].width, table->columns[i].title);
    puts("WHO");
}

static void put_entry(const struct table *table, const struct stat_entry *entry)
{
    char cell[STAT_CELL_MAX];

    for (size_t i = 0; i < COLUMNS && table->columns[i].title; i++) {
        stat_cell(cell, table->columns[i].what, entry);
        printf("%*s  ", table->columns[i].width, cell);
    }
    stat_put_name(stdout, entry, SIZE_MAX);
    putchar('\n');
}

static size_t count_of(const struct stat_list *list, enum chanserv_stat_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < list->entries_len; i++)
        n += list->entries[i].stat.kind == kind;
    return n;
}

static void put_tables(const struct stat_list *list)
{
    for (size_t kind = 0; kind < sizeof tables / sizeof *tables; kind++) {
        const size_t n = count_of(list, (enum chanserv_stat_kind)kind);

        printf("%s%s: %zu\n", kind > 0 ? "\n" : "", tables[kind].title, n);
        if (n > 0)
            put_titles(&tables[kind]);
        for (size_t i = 0; i < list->entries_len; i++) {
            if (list->entries[i].stat.kind == kind)
                put_entry(&tables[kind], &list->entries[i]);
        }
    }
    if (list->left > 0)
        printf("\nleft out: %" PRIu64 "\n", list->left);
}

/* ---- As JSON -------------------------------------------------------------------------------- */

static void put_json(const struct stat_list *list)
{
    fputs("{\"entries\":[", stdout);
    for (size_t i = 0; i < list->entries_len; i++) {
        if (i > 0)
            putchar(',');
        gateway_json_stat(json_put, stdout, &list->entries[i].stat, list->entries[i].waits);
    }
    printf("],\"left\":%" PRIu64 ",\"counters\":{", list->left);
    for (size_t i = 0; i < list->counters_len; i++) {
        if (i > 0)
            putchar(',');
        gateway_json_string(json_put, stdout, list->counters[i].name);
        printf(":%" PRIu64, list->counters[i].value);
    }
    puts("}}");
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void answered(struct stat_list *list, void *user)
{
    struct stat_command *stat = user;

    if (stat->json)
        put_json(list);
    else
        put_tables(list);
    cs_loop_stop(stat->ask.loop);
}

static void failed(cs_err why, const char *words, void *user)
{
    struct stat_command *stat = user;

    tool_complain("stat", "%s", words);
    stat->code = tool_exit_of(why);
    cs_loop_stop(stat->ask.loop);
}

static int run(int argc, char **argv)
{
    struct stat_command stat = {.ask = {.connect = {.command = &tool_stat, .own = options},
                                        .answered = answered,
                                        .failed = failed,
                                        .user = &stat}};
    int code = stat_ask_parse(&stat.ask, argc, argv, set_option);

    if (code == CONNECT_GO) {
        interrupt_block();
        code = stat_ask_start(&stat.ask);
        if (code == 0)
            code = stat_ask_run(&stat.ask);
        code = tool_close_stdout("stat", code ? code : stat.code);
    }
    stat_ask_free(&stat.ask);
    return code;
}

const struct tool_command tool_stat = {.name = "stat",
                                       .line = "what runs on a server, and what it waits for",
                                       .help = help,
                                       .run = run,
                                       .client = true};
