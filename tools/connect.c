/* connect -- see connect.h. */
#include "tools/connect.h"

#include <errno.h>
#include <stdlib.h>

enum { TOKEN_MAX = 4096, WHY = 512 };

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
        return tool_failed(c->command->name, CS_ENOMEM);
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
        return tool_failed(c->command->name, CS_ENOMEM);
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

int connect_surroundings(struct connect *c, int argc, char **argv)
{
    int code = take_addr(c, argc, argv);

    if (code == 0)
        code = take_token(c);
    if (code == 0)
        take_traceparent(c);
    return code;
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
    return tool_usage(c->command->name, "'%s' is no address: host:port, [v6]:port, unix:/path%s",
                      addr, strncmp(addr, "unix:", 5) == 0 ? " (107 bytes at most)" : "");
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
        return tool_failed(c->command->name, err);
    for (const char *a = NULL; err == CS_OK && (a = connect_addr(c, a));) {
        err = chanserv_join(client, a);
        if (err == CS_EINVAL)
            code = connect_bad_addr(c, a);
        else if (err == CS_EEXIST)
            code = tool_usage(c->command->name, "'%s' is there twice", a);
        else if (err != CS_OK)
            code = tool_failed(c->command->name, err);
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
                          "'%s' is no name of a service: letters, digits and ._/-, with the name "
                          "space at most 255",
                          service);
    return tool_failed(c->command->name, err);
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
