/* environment -- see environment.h. */
#include "tools/environment.h"

#include <stdlib.h>
#include <unistd.h>

static bool is_named(const char *variable, cs_bytes name)
{
    return strncmp(variable, name.base, name.len) == 0 && variable[name.len] == '=';
}

static bool is_kept(const char *variable, const cs_pair *pairs, size_t len)
{
    static const char *const ours[] = {"NOTIFY_SOCKET",  "LISTEN_PID",   "LISTEN_FDS",
                                       "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (is_named(variable, cs_str(ours[i])))
            return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (is_named(variable, pairs[i].name))
            return false;
    }
    return true;
}

static char *put(char *at, cs_bytes bytes)
{
    memcpy(at, bytes.base, bytes.len);
    return at + bytes.len;
}

char **tool_environment(const cs_pair *pairs, size_t len)
{
    size_t count = 0, bytes = 0, n = 0;
    char **env, *at;

    while (environ[count])
        count++;
    for (size_t i = 0; i < len; i++)
        bytes += pairs[i].name.len + 1 + pairs[i].value.len + 1;
    env = malloc((count + len + 1) * sizeof *env + bytes);
    if (!env)
        return NULL;
    at = (char *)(env + count + len + 1);
    for (size_t i = 0; i < count; i++) {
        if (is_kept(environ[i], pairs, len))
            env[n++] = environ[i];
    }
    for (size_t i = 0; i < len; i++) {
        if (pairs[i].value.len == 0)
            continue;
        env[n++] = at;
        at = put(put(put(at, pairs[i].name), cs_str("=")), pairs[i].value);
        *at++ = '\0';
    }
    env[n] = NULL;
    return env;
}
