/* serve_parts -- the services of `chanserv serve`, and the rules for who may use them. */
#include "tools/serve__in.h"
#include "tools/tool.h"

#include <stdlib.h>

enum { WHY = 512 };

/* ---- Services ------------------------------------------------------------------------------- */

static const struct tool_kind *kind_of(const struct serve *s, cs_bytes name)
{
    for (size_t i = 0; i < s->kinds_len; i++) {
        if (cs_same(name, cs_str(s->kinds[i]->name)))
            return s->kinds[i];
    }
    return NULL;
}

static int complain_of_kind(const struct serve *s, unsigned line, cs_bytes kind)
{
    char names[WHY] = "";
    size_t at = 0;

    for (size_t i = 0; i < s->kinds_len && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                               s->kinds[i]->name);
    return config_wrong(&s->config, line, "no kind of service is called '%.*s': %s", CS_FMT(kind),
                        names);
}

/* NAME=KIND[:ARGS]. */
static int add_service(struct serve *s, struct config_text what)
{
    const char *text = what.text, *equals = strchr(text, '=');
    const char *colon = equals ? strchr(equals, ':') : NULL;
    struct serve_service *service = &s->services[s->services_len];
    char why[WHY] = "";
    cs_bytes kind;
    cs_err err;

    if (!equals || equals == text)
        return config_wrong(&s->config, what.line, "%sservice wants NAME=KIND[:ARGS], not '%s'",
                            config_dashes(what.line), text);
    kind = colon ? cs_bytes_of(equals + 1, (size_t)(colon - equals - 1)) : cs_str(equals + 1);
    service->kind = kind_of(s, kind);
    if (!service->kind)
        return complain_of_kind(s, what.line, kind);
    err = service->kind->open(s->loop, colon ? colon + 1 : NULL, &service->state, why, sizeof why);
    if (err == CS_OK && !(service->name = strndup(text, (size_t)(equals - text)))) {
        service->kind->close(service->state);
        err = CS_ENOMEM;
    }
    if (err != CS_OK) {
        config_wrong(&s->config, what.line, "%s: %s", text, why[0] ? why : cs_strerror(err));
        return err == CS_EINVAL ? TOOL_USAGE : tool_exit_of(err);
    }
    s->services_len++;
    return 0;
}

/* All of them when we only look: what is wrong with the second shall be told beside the first. */
int serve__services(struct serve *s)
{
    int code = 0;

    for (size_t i = 0; i < s->config.service.len && (code == 0 || s->config.check); i++) {
        int one = add_service(s, s->config.service.items[i]);

        code = code ? code : one;
    }
    return code;
}

/* ---- Who may do what ------------------------------------------------------------------------ */

typedef cs_err add_rule_fn(struct auth *auth, const char *text, char *why, size_t why_len);

static int add_rules(struct serve *s, const struct config_list *list, const char *name,
                     add_rule_fn *add)
{
    char why[WHY];
    int code = 0;

    for (size_t i = 0; i < list->len; i++) {
        struct config_text rule = list->items[i];

        if (add(s->auth, rule.text, why, sizeof why) != CS_OK)
            code = config_wrong(&s->config, rule.line, "%s%s: %s", config_dashes(rule.line), name,
                                why);
    }
    return code;
}

void serve__no_tokens(const struct serve *s)
{
    tool_complain("serve", "%s: there is no token in it: nobody is admitted by one",
                  s->config.token_file.text);
}

/* Whoever begins with nobody to let in has the wrong file, or wants to know. */
static int check_tokens(const struct serve *s)
{
    const struct config_text tokens = s->config.token_file;

    if (s->config.client_san.len == 0 && s->config.allow_uid.len == 0)
        return config_wrong(
            &s->config, tokens.line,
            "%stoken-file: %s: there is no token in it, so nobody could do anything: "
            "a line is TOKEN GLOB[,GLOB...]; * is every service",
            config_dashes(tokens.line), tokens.text);
    serve__no_tokens(s);
    return 0;
}

int serve__rules(struct serve *s)
{
    struct config_text tokens = s->config.token_file;
    char why[WHY];
    int code;

    s->auth = auth_new();
    if (!s->auth) {
        tool_complain("serve", "%s", cs_strerror(CS_ENOMEM));
        return tool_exit_of(CS_ENOMEM);
    }
    code = add_rules(s, &s->config.client_san, "client-san", auth_add_san);
    code |= add_rules(s, &s->config.allow_uid, "allow-uid", auth_add_uid);
    if (tokens.text && auth_read_tokens(s->auth, tokens.text, why, sizeof why) != CS_OK)
        code = config_wrong(&s->config, tokens.line, "%stoken-file: %s", config_dashes(tokens.line),
                            why);
    else if (tokens.text && !auth_has_tokens(s->auth))
        code |= check_tokens(s);
    return code;
}
