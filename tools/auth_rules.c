/* auth_rules -- how the rules of auth.h are read. */
#include "tools/auth__in.h"
#include "tools/tool.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

struct auth *auth_new(void)
{
    return calloc(1, sizeof(struct auth));
}

static void rule_fini(struct auth_rule *rule)
{
    free(rule->san);
    free(rule->services);
}

static void rules_clear(struct auth *auth)
{
    for (size_t i = 0; i < auth->rules_len; i++)
        rule_fini(&auth->rules[i]);
    free(auth->rules);
    *auth = (struct auth){.rules = NULL};
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    rules_clear(auth);
    free(auth);
}

bool auth_has_rules(const struct auth *auth)
{
    return auth->rules_len > 0 || auth->has_file;
}

/* ---- One rule ------------------------------------------------------------------------------- */

/* "a,b*": none of them empty.  NULL is all. */
static bool services_ok(const char *globs)
{
    return globs[0] && globs[0] != ',' && !strstr(globs, ",,") && globs[strlen(globs) - 1] != ',';
}

/* Takes what `rule` has, also when it fails. */
static cs_err add(struct auth *auth, struct auth_rule *rule, const char *services, char *why,
                  size_t why_len)
{
    struct auth_rule *more = auth->rules;

    if (services && !services_ok(services)) {
        snprintf(why, why_len, "'%s' is no list of services: GLOB[,GLOB...]", services);
        rule_fini(rule);
        return CS_EINVAL;
    }
    if (auth->rules_len == AUTH_RULES_MAX) {
        snprintf(why, why_len, "more than %d rules", AUTH_RULES_MAX);
        rule_fini(rule);
        return CS_ELIMIT;
    }
    if (auth->rules_len == auth->rules_cap) {
        auth->rules_cap = auth->rules_cap ? 2 * auth->rules_cap : 16;
        more = realloc(auth->rules, auth->rules_cap * sizeof *more);
    }
    rule->services = strdup(services ? services : "*");
    if (!more || !rule->services || (rule->kind == AUTH_SAN && !rule->san)) {
        if (more)
            auth->rules = more;
        else
            auth->rules_cap = auth->rules_len;
        snprintf(why, why_len, "out of memory");
        rule_fini(rule);
        return CS_ENOMEM;
    }
    auth->rules = more;
    auth->rules[auth->rules_len++] = *rule;
    auth->count[rule->kind]++;
    return CS_OK;
}

cs_err auth_add_san(struct auth *auth, const char *text, char *why, size_t why_len)
{
    static const char *const types[] = {"DNS:", "URI:", "IP:", "email:", "*"};
    const char *equals = strrchr(text, '=');
    struct auth_rule rule = {.kind = AUTH_SAN};
    bool ok = false;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        ok = ok || strncmp(text, types[i], strlen(types[i])) == 0;
    if (!ok) {
        snprintf(why, why_len,
                 "'%s' is no name of a certificate: it begins with DNS:, URI:, IP:, email: or *",
                 text);
        return CS_EINVAL;
    }
    rule.san = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
    return add(auth, &rule, equals ? equals + 1 : NULL, why, why_len);
}

cs_err auth_add_uid(struct auth *auth, const char *text, char *why, size_t why_len)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    struct auth_rule rule = {.kind = AUTH_UID};
    const struct passwd *user;
    uint64_t uid;
    char name[256];

    if (tool_number(cs_bytes_of(text, len), UINT32_MAX - 1, &uid)) {
        rule.uid = (int64_t)uid;
        return add(auth, &rule, equals ? equals + 1 : NULL, why, why_len);
    }
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    user = len > 0 && len < sizeof name ? getpwnam(name) : NULL;
    if (!user) {
        snprintf(why, why_len, "'%s' is no user of this machine, and no uid", name);
        return CS_EINVAL;
    }
    rule.uid = (int64_t)user->pw_uid;
    return add(auth, &rule, equals ? equals + 1 : NULL, why, why_len);
}

bool auth_has_tokens(const struct auth *auth)
{
    return auth->count[AUTH_TOKEN] > 0;
}

/* ---- A file of tokens ----------------------------------------------------------------------- */

static const char blanks[] = " \t\r";

/* "TOKEN GLOB[,GLOB...]"; RFC 6750, 2.1 says what a token is.  The token is in no message. */
static cs_err add_line(struct auth *auth, char *line, char *why, size_t why_len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-._~+/=";
    struct auth_rule rule = {.kind = AUTH_TOKEN};
    char *token = line + strspn(line, blanks), *services, *end;
    size_t len = strcspn(token, blanks);

    if (*token == '\0' || *token == '#')
        return CS_OK;
    if (strspn(token, letters) < len || len > sizeof rule.token.bytes) {
        snprintf(why, why_len, "a token is 1 to %d letters, digits and -._~+/=", AUTH_TOKEN_MAX);
        return CS_EINVAL;
    }
    memcpy(rule.token.bytes, token, len);
    services = token + len + strspn(token + len, blanks);
    end = services + strcspn(services, blanks);
    if (end == services || end[strspn(end, blanks)] != '\0') {
        snprintf(why, why_len, "a line is TOKEN GLOB[,GLOB...]; * is every service");
        return CS_EINVAL;
    }
    *end = '\0';
    return add(auth, &rule, services, why, why_len);
}

static cs_err read_lines(struct auth *auth, FILE *in, const char *file, char *why, size_t why_len)
{
    char *line = NULL, words[256] = "";
    size_t cap = 0, number = 0;
    cs_err err = CS_OK;
    ssize_t len;

    while (err == CS_OK && (len = getline(&line, &cap, in)) >= 0) {
        number++;
        if (len > 0 && line[len - 1] == '\n')
            line[--len] = '\0';
        if (strlen(line) != (size_t)len) {
            snprintf(words, sizeof words, "there is a NUL in it");
            err = CS_EINVAL;
        } else {
            err = add_line(auth, line, words, sizeof words);
        }
    }
    if (err != CS_OK)
        snprintf(why, why_len, "%s:%zu: %s", file, number, words);
    else if (ferror(in)) {
        snprintf(why, why_len, "%s: %s", file, strerror(errno));
        err = CS_ESYS;
    }
    if (line)
        memset(line, 0, cap);
    free(line);
    return err;
}

static void warn_of_mode(FILE *in, const char *file)
{
    struct stat st;

    if (fstat(fileno(in), &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH)))
        tool_complain("serve", "%s: others than its owner may read it (mode %04o): chmod 600 %s",
                      file, (unsigned)st.st_mode & 07777, file);
}

/* The rules of other kinds move over to `fresh`; those of the file do not. */
static cs_err keep_others(struct auth *fresh, const struct auth *auth, char *why, size_t why_len)
{
    cs_err err = CS_OK;

    for (size_t i = 0; i < auth->rules_len && err == CS_OK; i++) {
        const struct auth_rule *old = &auth->rules[i];
        struct auth_rule rule = {.kind = old->kind, .uid = old->uid};

        if (old->kind == AUTH_TOKEN)
            continue;
        rule.san = old->san ? strdup(old->san) : NULL;
        err = add(fresh, &rule, old->services, why, why_len);
    }
    return err;
}

cs_err auth_read_tokens(struct auth *auth, const char *file, char *why, size_t why_len)
{
    struct auth fresh = {.has_file = true};
    FILE *in = fopen(file, "re");
    cs_err err;

    if (!in) {
        snprintf(why, why_len, "%s: %s", file, strerror(errno));
        return CS_ESYS;
    }
    warn_of_mode(in, file);
    err = keep_others(&fresh, auth, why, why_len);
    if (err == CS_OK)
        err = read_lines(&fresh, in, file, why, why_len);
    fclose(in);
    if (err != CS_OK) {
        rules_clear(&fresh);
        return err;
    }
    rules_clear(auth);
    *auth = fresh;
    return CS_OK;
}
