/* auth__in -- the rules, for auth.c which asks them and auth_rules.c which reads them. */
#ifndef TOOLS_AUTH__IN_H
#define TOOLS_AUTH__IN_H

#include "tools/auth.h"

enum auth_kind { AUTH_TOKEN, AUTH_SAN, AUTH_UID, AUTH_KINDS };

struct auth_token { /* zeroes behind its end, so that all have one length */
    char bytes[AUTH_TOKEN_MAX];
};

struct auth_rule {
    enum auth_kind kind;
    struct auth_token token;
    int64_t uid;
    char *san;      /* a glob */
    char *services; /* globs, with commas between */
};

struct auth {
    struct auth_rule *rules;
    size_t rules_len, rules_cap;
    size_t count[AUTH_KINDS];
    bool has_file; /* a file of tokens was read: with none in it nobody has one */
};

#endif
