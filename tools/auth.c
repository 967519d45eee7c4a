/* auth -- see auth.h.  How a call is judged; how rules are read is in auth_rules.c. */
#include "tools/auth__in.h"

#include <stdio.h>
#include <strings.h>

/* ---- What a rule knows ---------------------------------------------------------------------- */

/* All bytes are looked at whatever they are: the time does not tell how many were right. */
static bool same_token(const struct auth_token *a, const struct auth_token *b)
{
    volatile unsigned char differ = 0;

    for (size_t i = 0; i < sizeof a->bytes; i++)
        differ = differ | (unsigned char)(a->bytes[i] ^ b->bytes[i]);
    return differ == 0;
}

static bool admits(const struct auth_rule *rule, cs_bytes service)
{
    const char *at = rule->services;

    for (;;) {
        size_t len = strcspn(at, ",");

        if (cs_glob(cs_bytes_of(at, len), service))
            return true;
        if (at[len] == '\0')
            return false;
        at += len + 1;
    }
}

static bool knows_peer(const struct auth_rule *rule, const struct mux_peer *peer)
{
    if (rule->kind == AUTH_UID)
        return peer->uid >= 0 && peer->uid == rule->uid;
    for (size_t i = 0; i < peer->tls_sans_len; i++) {
        if (cs_glob(cs_str(rule->san), peer->tls_sans[i]))
            return true;
    }
    return false;
}

/* ---- A call --------------------------------------------------------------------------------- */

struct call {
    bool has_token, known, allowed;
    struct auth_token token; /* what came in its place and can be none is all zeroes */
};

/* The scheme is of any case (RFC 9110, 11.1).  One token a call: with two, nobody knows which. */
static void read_token(const struct chanserv_request *request, struct call *call)
{
    static const char scheme[] = "bearer ";
    enum { SCHEME = sizeof scheme - 1 };
    size_t found = 0;

    for (size_t i = 0; i < request->metadata_len; i++) {
        const cs_pair *pair = &request->metadata[i];
        const char *value = pair->value.base;
        size_t len = pair->value.len;

        if (!cs_same(pair->name, cs_str("authorization")))
            continue;
        call->has_token = true;
        memset(&call->token, 0, sizeof call->token);
        if (found++ > 0 || len <= SCHEME || strncasecmp(value, scheme, SCHEME) != 0)
            continue;
        for (value += SCHEME, len -= SCHEME; len > 0 && *value == ' '; value++)
            len--;
        if (len <= sizeof call->token.bytes)
            memcpy(call->token.bytes, value, len);
    }
}

/* Every token is compared, also behind one that is right. */
static void ask_rules(const struct auth *auth, const struct chanserv_request *request,
                      struct call *call)
{
    for (size_t i = 0; i < auth->rules_len; i++) {
        const struct auth_rule *rule = &auth->rules[i];
        bool knows = rule->kind == AUTH_TOKEN ? same_token(&rule->token, &call->token)
                                              : knows_peer(rule, request->peer);

        call->known = call->known || knows;
        call->allowed = call->allowed || (knows && admits(rule, request->service));
    }
}

/* ---- Refusing ------------------------------------------------------------------------------- */

static cs_err say(const struct chanserv_request *request, cs_err err, const char *words)
{
    snprintf(request->why, CHANSERV_WHY_MAX, "%s", words);
    return err;
}

static bool has(const struct auth *auth, enum auth_kind kind)
{
    return auth->count[kind] > 0 || (kind == AUTH_TOKEN && auth->has_file);
}

/* What would do, of what there are rules for. */
static cs_err who_are_you(const struct auth *auth, const struct chanserv_request *request)
{
    static const char *const words[AUTH_KINDS] = {
        [AUTH_TOKEN] = "send a token (authorization: Bearer TOKEN)",
        [AUTH_SAN] = "show a client certificate",
        [AUTH_UID] = "connect by the unix socket",
    };
    size_t at = (size_t)snprintf(request->why, CHANSERV_WHY_MAX, "who are you? ");
    const char *between = "";

    for (int kind = 0; kind < AUTH_KINDS; kind++) {
        if (!has(auth, (enum auth_kind)kind))
            continue;
        at += (size_t)snprintf(request->why + at, CHANSERV_WHY_MAX - at, "%s%s", between,
                               words[kind]);
        between = ", or ";
    }
    return CS_EAUTH;
}

static cs_err refuse_unknown(const struct auth *auth, const struct chanserv_request *request,
                             const struct call *call)
{
    const struct mux_peer *peer = request->peer;

    if (call->has_token && has(auth, AUTH_TOKEN))
        return say(request, CS_EAUTH, "the token is not known here");
    /* He has shown who he is; but when a token would do he is asked for that. */
    if (!has(auth, AUTH_TOKEN) && has(auth, AUTH_SAN) && peer->tls_subject.len > 0)
        return say(request, CS_EPERM, "no name of your certificate is allowed here");
    if (!has(auth, AUTH_TOKEN) && has(auth, AUTH_UID) && peer->uid >= 0) {
        snprintf(request->why, CHANSERV_WHY_MAX, "user %lld is not allowed here",
                 (long long)peer->uid);
        return CS_EPERM;
    }
    return who_are_you(auth, request);
}

cs_err auth_judge(const struct chanserv_request *request, void *user)
{
    const struct auth *auth = user;
    struct call call = {.known = false};

    if (!auth_has_rules(auth))
        return CS_OK;
    read_token(request, &call);
    ask_rules(auth, request, &call);
    if (call.allowed)
        return CS_OK;
    if (!call.known)
        return refuse_unknown(auth, request, &call);
    snprintf(request->why, CHANSERV_WHY_MAX, "you are known, but not allowed to use %.*s",
             CS_FMT(request->service));
    return CS_EPERM;
}
