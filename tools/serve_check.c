/* serve_check -- options of `chanserv serve` looked at together, and what a server is made with. */
#include "tools/log.h"
#include "tools/serve_config.h"
#include "tools/tool.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static int check_addrs(const struct serve_config *config)
{
    int code = 0;
    bool far;

    for (size_t i = 0; i < config->listen.len; i++) {
        struct config_text at = config->listen.items[i];

        if (mux_addr_check(at.text, &far) != CS_OK)
            code = config_wrong(config, at.line,
                                "%slisten: '%s' is no address: host:port, [v6]:port, :port, "
                                "unix:/path, fd:N",
                                config_dashes(at.line), at.text);
        else if (config->check && far && !config->insecure && !config->cert.text)
            code = config_wrong(config, at.line,
                                "%slisten %s is beyond this machine: it wants cert and key for "
                                "TLS, or insecure for plain text",
                                config_dashes(at.line), at.text);
    }
    return code;
}

/* ---- All of it ------------------------------------------------------------------------------ */

/* `option` is of no use without `other`. */
static int needs(const struct serve_config *config, struct config_text option, const char *name,
                 struct config_text other, const char *other_name)
{
    if (!option.text || other.text)
        return 0;
    return config_wrong(config, option.line, "%s%s is given, but no %s%s",
                        config_dashes(option.line), name, config_dashes(option.line), other_name);
}

/* The rules of server.h, by name. */
static int check_names(const struct serve_config *config)
{
    struct config_text space = config->name_space, node = config->node;
    int code = 0;

    if (space.text) {
        size_t len = strlen(space.text);

        for (size_t i = 0; i < len; i++)
            len = strchr(letters, space.text[i]) || strchr("._/-", space.text[i]) ? len : 0;
        if (len == 0 || len > 255)
            code = config_wrong(config, space.line,
                                "%sname-space is 1 to 255 letters, digits and ._/-, not '%s'",
                                config_dashes(space.line), space.text);
    }
    if (node.text) {
        size_t len = strlen(node.text);

        for (size_t i = 0; i < len; i++)
            len = node.text[i] > ' ' && node.text[i] < 127 ? len : 0;
        if (len == 0 || len > 255)
            code = config_wrong(config, node.line,
                                "%snode is 1 to 255 characters of ASCII without blanks, not '%s'",
                                config_dashes(node.line), node.text);
    }
    return code;
}

/* A word of what no browser sends would be there in vain: Host has no scheme here and no port, an
 * origin has no path. */
static bool host_ok(const char *word, size_t len)
{
    return !memchr(word, '/', len) && !memchr(word, ':', len);
}

static bool origin_ok(const char *word, size_t len)
{
    size_t scheme;

    if (len == 1 && *word == '*')
        return true;
    scheme = strncmp(word, "https://", 8) == 0 ? 8 : strncmp(word, "http://", 7) == 0 ? 7 : 0;
    return scheme > 0 && len > scheme && !memchr(word + scheme, '/', len - scheme);
}

static int check_words(const struct serve_config *config, struct config_text text, const char *name,
                       bool (*ok)(const char *word, size_t len), const char *wanted)
{
    size_t len;

    for (const char *at = text.text; at && *(at += strspn(at, " ")); at += len) {
        len = strcspn(at, " ");
        if (!ok(at, len))
            return config_wrong(config, text.line, "%s%s wants %s, with spaces between, not '%.*s'",
                                config_dashes(text.line), name, wanted, (int)len, at);
    }
    return 0;
}

/* The files, before anybody depends on them. */
static int check_tls(const struct serve_config *config)
{
    const struct mux_tls tls = {.cert_file = config->cert.text,
                                .key_file = config->key.text,
                                .ca_file = config->client_ca.text};
    char why[512] = "";

    if (!config->cert.text || mux_tls_check(&tls, true, why, sizeof why) == CS_OK)
        return 0;
    return config_wrong(config, config->cert.line, "%s", why);
}

int config_log(const struct serve_config *config, struct log_rules *ret)
{
    struct log_rules rules = {.level = CS_ERROR, .journal = log_to_journal()};
    const struct config_text log = config->log, format = config->log_format;
    int code = tool_log_level("serve", config->verbose, &rules.level);

    if (log.text && !log_parse_levels(&rules, log.text))
        code =
            config_wrong(config, log.line,
                         "%slog wants LEVEL or ROOM=LEVEL, with commas between (error, warn, info, "
                         "debug; loop, mux, chanserv, server, client), not '%s'",
                         config_dashes(log.line), log.text);
    if (format.text && !log_parse_format(&rules, format.text))
        code =
            config_wrong(config, format.line, "%slog-format wants text, logfmt or json, not '%s'",
                         config_dashes(format.line), format.text);
    *ret = rules;
    return code;
}

int config_check(const struct serve_config *config)
{
    const struct config_text none = {NULL, 0};
    struct config_text san = config->client_san.len ? config->client_san.items[0] : none;
    int code = check_addrs(config) | check_names(config) | check_tls(config);

    code |= check_words(config, config->hosts, "hosts", host_ok, "names without scheme and port");
    code |=
        check_words(config, config->cors, "cors", origin_ok, "origins (https://app.example) or *");
    if (config->service.len == 0 && !config->rendezvous) {
        if (config->file)
            tool_complain("serve",
                          "%s: at least one service is wanted: service = NAME=KIND[:ARGS], or "
                          "rendezvous = yes",
                          config->file);
        else
            tool_usage("serve", "at least one --service is wanted, or --rendezvous");
        code = TOOL_USAGE;
    }
    code |= needs(config, config->key, "key", config->cert, "cert");
    code |= needs(config, config->client_ca, "client-ca", config->cert, "cert");
    code |= needs(config, san, "client-san", config->client_ca, "client-ca");
    return code;
}

struct chanserv_server_options config_options(struct serve_config *config)
{
    struct chanserv_server_options with = config->options;

    with.insecure = config->insecure;
    with.node = config->node.text;
    with.name_space = config->name_space.text;
    with.net.gzip = config->gzip;
    if (config->cert.text) {
        config->tls.cert_file = config->cert.text;
        config->tls.key_file = config->key.text;
        config->tls.ca_file = config->client_ca.text;
        with.net.tls = &config->tls;
    }
    return with;
}
