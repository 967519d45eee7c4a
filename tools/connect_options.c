/* connect_options -- the options that every client subcommand has, beside its own. */
#include "tools/connect.h"

#include <stdlib.h>

enum {
    TIMEOUT = 512,
    WAIT,
    RESUME,
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
                                       {"resume", required_argument, NULL, RESUME},
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
    "ADDR is host:port, [v6]:port or unix:/path; several nodes with a comma between (of stat,\n"
    "top and rtt one).  Without it the environment's CHANSERV_ADDR is meant.\n"
    "\n"
    "      --timeout DURATION    end with DEADLINE_EXCEEDED after that: 5, 1.5s, 250ms, 2m, 1h\n"
    "      --wait DURATION       how long to wait for somebody to serve the name (not at all)\n"
    "      --resume DURATION     go on when the connection breaks, if it is back by then (30s);\n"
    "                            off: what it carried ends with it\n"
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

static int add_metadata(struct connect *c, const char *text)
{
    const char *equals = strchr(text, '=');
    cs_pair pair;

    if (!equals || equals == text)
        return tool_usage(c->command->name, "--metadata wants NAME=VALUE, not '%s'", text);
    if (c->metadata_len == CONNECT_METADATA_MAX)
        return tool_usage(c->command->name, "more than %d of --metadata", CONNECT_METADATA_MAX);
    pair = (cs_pair){cs_bytes_of(text, (size_t)(equals - text)), cs_str(equals + 1)};
    if (!mux_metadata_ok(pair.name, pair.value))
        return tool_usage(
            c->command->name,
            "--metadata '%s': a name is a-z, 0-9, \"-_.\" and none of HTTP's or gRPC's, "
            "a value printable ASCII",
            text);
    c->metadata[c->metadata_len++] = pair;
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
    return tool_failed(c->command->name, CS_ENOMEM);
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
    case RESUME:
        if (strcmp(optarg, "off") != 0)
            return set_duration(c, "resume", &c->with.resume_ms);
        c->with.resume_ms = CS_OFF;
        return 0;
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

/* The next option of the command's own; END behind the last one; OVER: *code is the exit code. */
enum { OVER = 0, END = -1 };
static int next_option(struct connect *c, int argc, char **argv, int *code)
{
    int option;

    while ((option = getopt_long(argc, argv, "hv", c->table, NULL)) != -1) {
        if (option >= 256 && option < TIMEOUT)
            return option;
        *code = option == 'h' ? tool_help(c->command) : set_common(c, option);
        if (option == 'h' || *code != 0)
            return OVER;
    }
    return END;
}

int connect_parse(struct connect *c, int argc, char **argv, connect_set_fn *set, void *command,
                  int *first)
{
    static char name[32]; /* argv has it from now on */
    int option, code = 0;

    snprintf(name, sizeof name, "chanserv %s", c->command->name);
    argv[0] = name; /* what getopt calls us */
    make_table(c);
    while ((option = next_option(c, argc, argv, &code)) > 0) {
        if ((code = set(command, option)) != 0)
            return code;
    }
    if (option == OVER || (code = connect_surroundings(c, argc, argv)) != 0)
        return code;
    if (first)
        *first = optind;
    else if (optind < argc)
        return tool_usage(c->command->name, "'%s' is no option, and no address", argv[optind]);
    return CONNECT_GO;
}

int connect_parse_post(struct connect *c, int argc, char **argv, connect_set_fn *set, void *command,
                       const char **service, const char **body)
{
    int first, code = connect_parse(c, argc, argv, set, command, &first);

    if (code != CONNECT_GO)
        return code;
    if (argc - first < 1)
        return tool_usage(c->command->name, "a service is wanted");
    if (argc - first > 2)
        return tool_usage(c->command->name, "one body, not %d (quote it)", argc - first - 1);
    *service = argv[first];
    *body = argc - first == 2 ? argv[first + 1] : NULL;
    return CONNECT_GO;
}
