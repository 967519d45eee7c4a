/* serve_config -- see serve_config.h.  The table, its units, and the command line; the file is read
 * in serve_file.c, and looked through as a whole in serve_check.c. */
#include "tools/serve_config.h"
#include "tools/serve_config__in.h"
#include "tools/tool.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

/* ---- The table ------------------------------------------------------------------------------ */

#define AT(field) offsetof(struct serve_config, field)
#define LIMIT(field) offsetof(struct serve_config, options.field)
#define HTTP(field) offsetof(struct serve_config, http.field)
#define MEETS(field) offsetof(struct serve_config, meets.field)
#define CONFIG_MS CONFIG_DURATION

/* A limit has the name of its field in server.h, mux.h or, with "http" or that before it, gateway.h and
 * rendezvous.h, without the unit at the end. */
static const struct config_option table[] = {
    {"listen", CONFIG_LIST, AT(listen)},
    {"service", CONFIG_LIST, AT(service)},
    {"cert", CONFIG_TEXT, AT(cert)},
    {"key", CONFIG_TEXT, AT(key)},
    {"client-ca", CONFIG_TEXT, AT(client_ca)},
    {"token-file", CONFIG_TEXT, AT(token_file)},
    {"client-san", CONFIG_LIST, AT(client_san)},
    {"allow-uid", CONFIG_LIST, AT(allow_uid)},
    {"insecure", CONFIG_FLAG, AT(insecure)},
    {"gzip", CONFIG_FLAG, AT(gzip)},
    {"node", CONFIG_TEXT, AT(node)},
    {"name-space", CONFIG_TEXT, AT(name_space)},
    {"loops", CONFIG_LOOPS, LIMIT(loops)},
    {"busy-poll", CONFIG_MICROS, LIMIT(busy_poll_us)},
    {"no-gateway", CONFIG_FLAG, AT(no_gateway)},
    {"no-page", CONFIG_FLAG, AT(no_page)},
    {"rendezvous", CONFIG_FLAG, AT(rendezvous)},
    {"hosts", CONFIG_TEXT, AT(hosts)},
    {"cors", CONFIG_TEXT, AT(cors)},
    {"log", CONFIG_TEXT, AT(log)},
    {"log-format", CONFIG_TEXT, AT(log_format)},
    {"verbose", CONFIG_FLAG, AT(verbose)},
    {"serving-timeout", CONFIG_DURATION, LIMIT(serving_timeout_ms)},
    {"sourcing-timeout", CONFIG_DURATION, LIMIT(sourcing_timeout_ms)},
    {"write-timeout", CONFIG_DURATION, LIMIT(write_timeout_ms)},
    {"linger", CONFIG_DURATION, LIMIT(linger_ms)},
    {"grace", CONFIG_DURATION, LIMIT(grace_ms)},
    {"connection-age", CONFIG_DURATION, LIMIT(net.connection_age_ms)},
    {"inline-max", CONFIG_BYTES, LIMIT(inline_max_bytes)},
    {"part", CONFIG_BYTES, LIMIT(part_bytes)},
    {"body-max", CONFIG_BYTES, LIMIT(body_max_bytes)},
    {"header-max", CONFIG_BYTES, LIMIT(header_max_bytes)},
    {"window", CONFIG_BYTES, LIMIT(net.window_bytes)},
    {"window-max", CONFIG_BYTES, LIMIT(net.window_max_bytes)},
    {"ping-interval", CONFIG_DURATION, LIMIT(net.ping_interval_ms)},
    {"ping-timeout", CONFIG_DURATION, LIMIT(net.ping_timeout_ms)},
    {"rendezvous-waiters-max", CONFIG_COUNT, MEETS(waiters_max)},
    {"rendezvous-waiting-max", CONFIG_BYTES, MEETS(waiting_max_bytes)},
#define ROW(X, option, unit, standard, name, ...) {name, CONFIG_##unit, LIMIT(option)},
    CHANSERV_LIMITS(ROW, )
#undef ROW
#define ROW(X, option, unit, standard, name, ...) {name, CONFIG_##unit, LIMIT(net.option)},
        MUX_LIMITS(ROW, )
#undef ROW
#define ROW(X, option, unit, standard, name, ...) {name, CONFIG_##unit, HTTP(option)},
            GATEWAY_LIMITS(ROW, )
#undef ROW
};
enum { OPTIONS = sizeof table / sizeof *table };
_Static_assert((int)OPTIONS <= (int)CONFIG_OPTIONS_MAX, "line_of has room for every option");

const char *config_name(size_t i)
{
    return i < OPTIONS ? table[i].name : NULL;
}

const struct config_option *config__find(cs_bytes name, size_t *ret_i)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (cs_same(name, cs_str(table[i].name))) {
            *ret_i = i;
            return &table[i];
        }
    }
    return NULL;
}

/* ---- Wrong ---------------------------------------------------------------------------------- */

const char *config_dashes(unsigned line)
{
    return line ? "" : "--";
}

int config_wrong(const struct serve_config *config, unsigned line, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (line)
        tool_complain("serve", "%s:%u: %s", config->file, line, text ? text : "out of memory");
    else
        tool_usage("serve", "%s", text ? text : "out of memory");
    free(text);
    return TOOL_USAGE;
}

/* ---- Values --------------------------------------------------------------------------------- */

static bool read_count(const char *text, int64_t *ret)
{
    uint64_t n;

    if (!tool_number(cs_str(text), INT64_MAX, &n) || n == 0)
        return false;
    *ret = (int64_t)n;
    return true;
}

static bool read_loops(const char *text, int *ret)
{
    uint64_t n;

    if (!tool_number(cs_str(text), 255, &n) || n == 0)
        return false;
    *ret = (int)n;
    return true;
}

static bool read_micros(const char *text, int *ret)
{
    const size_t digits = strspn(text, "0123456789");
    const bool ms = strcmp(text + digits, "ms") == 0;
    const int64_t max = ms ? CS_BUSY_POLL_MAX_US / 1000 : CS_BUSY_POLL_MAX_US;
    uint64_t n;

    if ((!ms && strcmp(text + digits, "us") != 0) ||
        !tool_number(cs_bytes_of(text, digits), (uint64_t)max, &n) || n == 0)
        return false;
    *ret = (int)n * (ms ? 1000 : 1);
    return true;
}

static bool read_bytes(const char *text, int64_t *ret)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    size_t digits = strspn(text, "0123456789");
    uint64_t n;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        if (!tool_number(cs_bytes_of(text, digits), INT64_MAX >> units[i].shift, &n) || n == 0)
            return false;
        *ret = (int64_t)(n << units[i].shift);
        return true;
    }
    return false;
}

/* What an option of this unit wants; the value is in `into` when it is right. */
static const char *read_value(enum config_unit unit, const char *text, void *into)
{
    bool off = strcmp(text, "off") == 0;

    switch (unit) {
    case CONFIG_DURATION:
        if (off)
            *(int *)into = CS_OFF;
        return off || tool_duration_ms(text, into) ? NULL
                                                   : "a duration (5, 1.5s, 250ms, 2m, 1h) or off";
    case CONFIG_BYTES:
        if (off)
            *(int64_t *)into = CS_OFF;
        return off || read_bytes(text, into) ? NULL : "a size (65536, 64KiB, 1MiB, 1GiB) or off";
    case CONFIG_COUNT:
        if (off)
            *(int64_t *)into = CS_OFF;
        return off || read_count(text, into) ? NULL : "a number from 1 up, or off";
    case CONFIG_MICROS:
        if (off)
            *(int *)into = CS_OFF;
        return off || read_micros(text, into) ? NULL : "a time (50us, 1ms, at most 10ms) or off";
    case CONFIG_LOOPS:
        return read_loops(text, into) ? NULL : "a number from 1 to 255";
    default: /* CONFIG_FLAG, in a file */
        *(bool *)into = strcmp(text, "yes") == 0;
        return *(bool *)into || strcmp(text, "no") == 0 ? NULL : "yes or no";
    }
}

static int add_to_list(const struct serve_config *config, const struct config_option *option,
                       struct config_list *list, struct config_text text)
{
    if (list->len == CONFIG_LIST_MAX)
        return config_wrong(config, text.line, "%s%s: more than %d of them",
                            config_dashes(text.line), option->name, CONFIG_LIST_MAX);
    list->items[list->len++] = text;
    return 0;
}

int config__set(struct serve_config *config, const struct config_option *option, const char *text,
                unsigned line)
{
    struct config_text value = {text, line};
    void *into = (char *)config + option->offset;
    const char *wanted;

    if (text && !text[0])
        return config_wrong(config, line, "%s%s has no value", config_dashes(line), option->name);
    if (option->unit == CONFIG_LIST)
        return add_to_list(config, option, into, value);
    if (option->unit == CONFIG_TEXT) {
        *(struct config_text *)into = value;
        return 0;
    }
    if (!text) { /* a flag of the command line */
        *(bool *)into = true;
        return 0;
    }
    wanted = read_value(option->unit, text, into);
    if (wanted)
        return config_wrong(config, line, "%s%s wants %s, not '%s'", config_dashes(line),
                            option->name, wanted, text);
    return 0;
}

/* ---- The command line ----------------------------------------------------------------------- */

enum { FIRST = 256, CONFIG = FIRST + OPTIONS, CHECK };

static void fill_getopt(struct option *to)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        to[i].name = table[i].name;
        to[i].has_arg = table[i].unit == CONFIG_FLAG ? no_argument : required_argument;
        to[i].val = FIRST + (int)i;
    }
    to[OPTIONS] = (struct option){"config", required_argument, NULL, CONFIG};
    to[OPTIONS + 1] = (struct option){"check-config", no_argument, NULL, CHECK};
    to[OPTIONS + 2] = (struct option){"help", no_argument, NULL, 'h'};
    to[OPTIONS + 3] = (struct option){NULL, 0, NULL, 0};
}

/* What is said about the file itself; the file is read before any other option is used. */
static int set_file(struct serve_config *config, int option)
{
    if (option == CHECK) {
        config->check = true;
        return 0;
    }
    if (config->file)
        return tool_usage("serve", "--config is given twice");
    config->file = optarg;
    return 0;
}

static int set_option(struct serve_config *config, int option)
{
    size_t i;

    if (option == 'v')
        return config__set(config, config__find(cs_str("verbose"), &i), NULL, 0);
    i = (size_t)(option - FIRST);
    return config__set(config, &table[i], table[i].unit == CONFIG_FLAG ? NULL : optarg, 0);
}

/* Twice: first only for what is said about the file, then for all the rest. */
static int read_line(struct serve_config *config, int argc, char **argv, bool first, bool *ret_help)
{
    struct option options[OPTIONS + 4] = {{NULL, 0, NULL, 0}};
    int option, code = 0;

    fill_getopt(options);
    optind = 0; /* glibc: begin anew */
    while (code == 0 && (option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        if (option == 'h') {
            *ret_help = true;
            return 0;
        }
        if (option == '?') { /* getopt has said what is wrong */
            fputs("Try 'chanserv serve --help'.\n", stderr);
            return TOOL_USAGE;
        }
        if (option == CONFIG || option == CHECK)
            code = first ? set_file(config, option) : 0;
        else if (!first)
            code = set_option(config, option);
    }
    if (code == 0 && optind < argc)
        return tool_usage("serve", "'%s' is no option", argv[optind]);
    return code;
}

int config_parse(struct serve_config *config, int argc, char **argv, bool *ret_help)
{
    int code, of_file = 0;

    *ret_help = false;
    argv[0] = (char[]){"chanserv serve"};
    code = read_line(config, argc, argv, true, ret_help);
    if (code != 0 || *ret_help)
        return code;
    if (config->file)
        of_file = config__read_file(config);
    code = read_line(config, argc, argv, false, ret_help);
    return code ? code : of_file;
}

void config_fini(struct serve_config *config)
{
    free(config->content);
    config->content = NULL;
}
