/* connect -- see connect.h. */
#include "tools/connect.h"

#include <errno.h>
#include <stdlib.h>

enum { TOKEN_MAX = 4096 };
enum { TIMEOUT = 512, WAIT, METADATA, NAME_SPACE, GZIP };

static const struct option common[] = {{"timeout", required_argument, NULL, TIMEOUT},
                                       {"wait", required_argument, NULL, WAIT},
                                       {"metadata", required_argument, NULL, METADATA},
                                       {"gzip", no_argument, NULL, GZIP},
                                       {"verbose", no_argument, NULL, 'v'},
                                       {"help", no_argument, NULL, 'h'},
                                       {NULL, 0, NULL, 0}};

const char connect_help[] =
    "\n"
    "ADDR is host:port, [v6]:port or unix:/path; several nodes with a comma between.  Without it\n"
    "the environment's CHANSERV_ADDR is meant.\n"
    "\n"
    "      --timeout DURATION    end with DEADLINE_EXCEEDED after that: 5, 1.5s, 250ms, 2m, 1h\n"
    "      --wait DURATION       how long to wait for somebody to serve the name (not at all)\n"
    "      --metadata NAME=VALUE metadata for the service; may be repeated\n"
    "      --gzip                compress what is sent, and ask for compressed answers\n"
    "  -v, --verbose             log lines on standard error (CHANSERV_LOG=error, warn, info or\n"
    "                            debug says how many without it)\n"
    "  -h, --help                this text\n"
    "\n"
    "Errors go to standard error; exit codes: see 'chanserv help exit'.\n";

/* ---- The command line ----------------------------------------------------------------------- */

static int add_metadata(struct connect *c, const char *text)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return tool_usage(c->command->name, "--metadata wants NAME=VALUE, not '%s'", text);
    if (c->metadata_len == CONNECT_METADATA_MAX)
        return tool_usage(c->command->name, "more than %d of --metadata", CONNECT_METADATA_MAX);
    c->metadata[c->metadata_len].name = cs_bytes_of(text, (size_t)(equals - text));
    c->metadata[c->metadata_len++].value = cs_str(equals + 1);
    return 0;
}

static int set_duration(struct connect *c, const char *name, int *ret)
{
    if (tool_duration_ms(optarg, ret))
        return 0;
    return tool_usage(c->command->name, "--%s wants a time like 5s or 250ms, not '%s'", name,
                      optarg);
}

static int set_common(struct connect *c, int option)
{
    switch (option) {
    case TIMEOUT:
        return set_duration(c, "timeout", &c->timeout_ms);
    case WAIT:
        return set_duration(c, "wait", &c->with.lookup_timeout_ms);
    case METADATA:
        return add_metadata(c, optarg);
    case GZIP:
        c->with.net.gzip = true;
        return 0;
    case 'v':
        c->verbose = true;
        return 0;
    default: /* getopt has said what is wrong */
        fprintf(stderr, "Try 'chanserv %s --help'.\n", c->command->name);
        return TOOL_USAGE;
    }
}

static void make_table(struct connect *c)
{
    size_t n = 0;

    for (size_t i = 0; c->own[i].name && n < CONNECT_OPTIONS_MAX - 1; i++)
        c->table[n++] = c->own[i];
    for (size_t i = 0; common[i].name && n < CONNECT_OPTIONS_MAX - 1; i++)
        c->table[n++] = common[i];
}

int connect_option(struct connect *c, int argc, char **argv, int *code)
{
    static char name[32];
    int option;

    if (!c->table[0].name) {
        snprintf(name, sizeof name, "chanserv %s", c->command->name);
        argv[0] = name; /* what getopt calls us */
        make_table(c);
    }
    while ((option = getopt_long(argc, argv, "hv", c->table, NULL)) != -1) {
        if (option >= 256 && option < TIMEOUT)
            return option;
        *code = option == 'h' ? tool_help(c->command) : set_common(c, option);
        if (option == 'h' || *code != 0)
            return CONNECT_OVER;
    }
    return CONNECT_END;
}

/* ---- Where the server is -------------------------------------------------------------------- */

const char *connect_addr(const struct connect *c, const char *addr)
{
    const char *next = addr ? addr + strlen(addr) + 1 : c->addrs;

    return next < c->addrs + c->addrs_len ? next : NULL;
}

static int take_addr(struct connect *c, int argc, char **argv)
{
    const char *addr = optind < argc ? argv[optind] : NULL;

    if (addr && strchr(addr, ':')) {
        optind++;
    } else {
        addr = getenv("CHANSERV_ADDR");
        if (!addr || !addr[0])
            return tool_usage(c->command->name,
                              "an address is wanted (host:port, [v6]:port, unix:/path), on the "
                              "command line or in CHANSERV_ADDR");
    }
    c->addrs = strdup(addr);
    if (!c->addrs) {
        tool_complain(c->command->name, "%s", cs_strerror(CS_ENOMEM));
        return tool_exit_of(CS_ENOMEM);
    }
    c->addrs_len = strlen(addr) + 1;
    for (char *p = c->addrs; (p = strchr(p, ',')); p++)
        *p = '\0';
    return 0;
}

/* A trace that began before us goes on behind us, if whoever called us did not say another. */
static void take_traceparent(struct connect *c)
{
    const char *parent = getenv("TRACEPARENT");
    cs_bytes name = cs_str("traceparent");

    for (size_t i = 0; i < c->metadata_len; i++) {
        if (cs_same(c->metadata[i].name, name))
            return;
    }
    if (!parent || !tool_is_traceparent(cs_str(parent)) || c->metadata_len == CONNECT_METADATA_MAX)
        return;
    c->metadata[c->metadata_len].name = name;
    c->metadata[c->metadata_len++].value = cs_str(parent);
}

int connect_operands(struct connect *c, int argc, char **argv, int *first)
{
    int code = take_addr(c, argc, argv);

    if (code != 0)
        return code;
    take_traceparent(c);
    *first = optind;
    return 0;
}

/* ---- The client ----------------------------------------------------------------------------- */

static int complain(const struct connect *c, cs_err err)
{
    tool_complain(c->command->name, "%s", cs_strerror(err));
    return tool_exit_of(err);
}

int connect_client(struct connect *c, cs_loop *loop, chanserv_client **ret)
{
    chanserv_client *client;
    int code = tool_log(c->command->name, c->verbose, CS_WARN);
    cs_err err;

    if (code != 0)
        return code;
    if (c->with.lookup_timeout_ms == 0)
        c->with.lookup_timeout_ms = CS_OFF; /* a name that nobody serves is an error at once */
    err = chanserv_client_new(loop, &c->with, &client);
    if (err != CS_OK)
        return complain(c, err);
    for (const char *a = NULL; err == CS_OK && (a = connect_addr(c, a));) {
        err = chanserv_join(client, a);
        if (err == CS_EINVAL)
            code = tool_usage(c->command->name,
                              "'%s' is no address: host:port, [v6]:port, unix:/path", a);
        else if (err == CS_EEXIST)
            code = tool_usage(c->command->name, "'%s' is there twice", a);
        else if (err != CS_OK)
            code = complain(c, err);
    }
    if (code == 0)
        *ret = client;
    else
        chanserv_client_free(client);
    return code;
}

struct chanserv_post_options connect_asked(const struct connect *c)
{
    return (struct chanserv_post_options){
        .timeout_ms = c->timeout_ms, .metadata = c->metadata, .metadata_len = c->metadata_len};
}

int connect_post_failed(const struct connect *c, const char *service, cs_err err)
{
    if (err == CS_EMISUSE)
        return tool_usage(c->command->name,
                          "'%s' is no name of a service, or a --metadata has a bad name or value",
                          service);
    return complain(c, err);
}

int connect_post(const struct connect *c, chanserv_client *client, const char *service,
                 cs_bytes body, chanserv_feed **ret)
{
    struct chanserv_post_options asked = connect_asked(c);
    cs_err err = chanserv_lookup_and_post(client, service, body, &asked, ret);

    return err == CS_OK ? 0 : connect_post_failed(c, service, err);
}

void connect_free(struct connect *c)
{
    free(c->addrs);
    free(c->token);
}
