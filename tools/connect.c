/* connect -- see connect.h. */
#include "tools/connect.h"

#include <errno.h>
#include <stdlib.h>

enum { TOKEN_MAX = 4096, WHY = 512 };
enum {
    TIMEOUT = 512,
    WAIT,
    METADATA,
    NAME_SPACE,
    GZIP,
    TOKEN,
    TOKEN_FILE,
    TLS,
    CA,
    CERT,
    KEY,
    SERVER_NAME,
    NO_VERIFY
};

static const struct option common[] = {{"timeout", required_argument, NULL, TIMEOUT},
                                       {"wait", required_argument, NULL, WAIT},
                                       {"metadata", required_argument, NULL, METADATA},
                                       {"gzip", no_argument, NULL, GZIP},
                                       {"name-space", required_argument, NULL, NAME_SPACE},
                                       {"token", required_argument, NULL, TOKEN},
                                       {"token-file", required_argument, NULL, TOKEN_FILE},
                                       {"tls", no_argument, NULL, TLS},
                                       {"ca", required_argument, NULL, CA},
                                       {"cert", required_argument, NULL, CERT},
                                       {"key", required_argument, NULL, KEY},
                                       {"server-name", required_argument, NULL, SERVER_NAME},
                                       {"no-verify", no_argument, NULL, NO_VERIFY},
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
    "      --name-space NS       every name NAME means NAME.NS\n"
    "      --token TOKEN         who we are: CHANSERV_TOKEN, or better --token-file FILE, for\n"
    "                            others see our command line\n"
    "      --tls                 TLS; so do the following\n"
    "      --ca FILE             whom to believe, PEM (without: whom the system believes)\n"
    "      --cert FILE --key FILE  our certificate, PEM, if the server asks for one\n"
    "      --server-name NAME    the name that the server's certificate must have (without: "
    "ADDR's)\n"
    "      --no-verify           believe anybody: for tests\n"
    "  -v, --verbose             log lines on standard error (CHANSERV_LOG=error, warn, info or\n"
    "                            debug says how many without it)\n"
    "  -h, --help                this text\n"
    "\n"
    "Errors go to standard error; exit codes: see 'chanserv help exit'.\n";

/* ---- The command line ----------------------------------------------------------------------- */

static int complain(const struct connect *c, cs_err err)
{
    tool_complain(c->command->name, "%s", cs_strerror(err));
    return tool_exit_of(err);
}

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

/* Copied, and wiped where others see it. */
static int set_token(struct connect *c)
{
    free(c->token);
    c->token = strdup(optarg);
    memset(optarg, '*', strlen(optarg));
    if (c->token)
        return 0;
    return complain(c, CS_ENOMEM);
}

static int set_tls(struct connect *c, int option)
{
    c->tls_asked = true;
    if (option == CA)
        c->tls.ca_file = optarg;
    else if (option == CERT)
        c->tls.cert_file = optarg;
    else if (option == KEY)
        c->tls.key_file = optarg;
    else if (option == SERVER_NAME)
        c->tls.server_name = optarg;
    else if (option == NO_VERIFY)
        c->tls.no_verify = true;
    return 0;
}

static int set_common(struct connect *c, int option)
{
    if (option >= TLS)
        return set_tls(c, option);
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
    case NAME_SPACE:
        c->with.name_space = optarg;
        return 0;
    case TOKEN:
        return set_token(c);
    case TOKEN_FILE:
        c->token_file = optarg;
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
    if (!c->addrs)
        return complain(c, CS_ENOMEM);
    c->addrs_len = strlen(addr) + 1;
    for (char *p = c->addrs; (p = strchr(p, ',')); p++)
        *p = '\0';
    return 0;
}

/* ---- Who we are ----------------------------------------------------------------------------- */

/* The first line. */
static int read_token(struct connect *c)
{
    FILE *file = fopen(c->token_file, "re");
    size_t cap = 0;
    ssize_t n;

    if (!file || (n = getline(&c->token, &cap, file)) < 0) {
        int code = tool_usage(c->command->name, "--token-file %s: %s", c->token_file,
                              file && !ferror(file) ? "is empty" : strerror(errno));
        if (file)
            fclose(file);
        return code;
    }
    fclose(file);
    while (n > 0 && (c->token[n - 1] == '\n' || c->token[n - 1] == '\r'))
        c->token[--n] = '\0';
    return 0;
}

static int take_token(struct connect *c)
{
    const char *name = c->token_file ? "--token-file" : "--token", *given = NULL;
    int code;

    if (c->token && c->token_file)
        return tool_usage(c->command->name, "--token and --token-file exclude each other");
    if (!c->token && !c->token_file)
        given = getenv("CHANSERV_TOKEN");
    if (given && given[0] && !(c->token = strdup(given)))
        return complain(c, CS_ENOMEM);
    if (given && given[0])
        name = "CHANSERV_TOKEN";
    if (c->token_file && (code = read_token(c)) != 0)
        return code;
    if (!c->token)
        return 0;
    c->with.token = cs_str(c->token);
    for (const char *p = c->token; *p; p++) {
        if (*p < '!' || *p > '~')
            return tool_usage(c->command->name, "%s: a token is printable ASCII without spaces",
                              name);
    }
    if (c->with.token.len > 0 && c->with.token.len <= TOKEN_MAX)
        return 0;
    return tool_usage(c->command->name, "%s: a token has 1 to %d characters", name, TOKEN_MAX);
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

    if (code == 0)
        code = take_token(c);
    if (code != 0)
        return code;
    take_traceparent(c);
    *first = optind;
    return 0;
}

/* ---- The client ----------------------------------------------------------------------------- */

int connect_prepare(struct connect *c)
{
    int code = tool_log(c->command->name, c->verbose, CS_WARN);
    char why[WHY] = "";
    cs_err err;

    if (code != 0 || !c->tls_asked)
        return code;
    if (c->tls.key_file && !c->tls.cert_file)
        return tool_usage(c->command->name, "--key wants --cert");
    c->with.net.tls = &c->tls;
    err = mux_tls_check(&c->tls, false, why, sizeof why);
    if (err == CS_OK)
        return 0;
    tool_complain(c->command->name, "%s", why[0] ? why : cs_strerror(err));
    return err == CS_ENOMEM ? tool_exit_of(err) : TOOL_USAGE;
}

int connect_bad_addr(const struct connect *c, const char *addr)
{
    return tool_usage(c->command->name, "'%s' is no address: host:port, [v6]:port, unix:/path",
                      addr);
}

cs_err connect_add_bearer(struct connect *c)
{
    if (!c->token)
        return CS_OK;
    if (c->metadata_len == CONNECT_METADATA_MAX)
        return CS_ELIMIT;
    if (asprintf(&c->bearer, "Bearer %s", c->token) < 0) {
        c->bearer = NULL;
        return CS_ENOMEM;
    }
    c->metadata[c->metadata_len].name = cs_str("authorization");
    c->metadata[c->metadata_len++].value = cs_str(c->bearer);
    return CS_OK;
}

int connect_client(struct connect *c, cs_loop *loop, chanserv_client **ret)
{
    chanserv_client *client;
    int code = connect_prepare(c);
    cs_err err;

    if (code != 0)
        return code;
    if (c->with.lookup_timeout_ms == 0)
        c->with.lookup_timeout_ms = CS_OFF; /* a name that nobody serves is an error at once */
    err = chanserv_client_new(loop, &c->with, &client);
    if (err == CS_EINVAL)
        return tool_usage(c->command->name, "--name-space: '%s' is no name", c->with.name_space);
    if (err != CS_OK)
        return complain(c, err);
    for (const char *a = NULL; err == CS_OK && (a = connect_addr(c, a));) {
        err = chanserv_join(client, a);
        if (err == CS_EINVAL)
            code = connect_bad_addr(c, a);
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
    free(c->bearer);
}
