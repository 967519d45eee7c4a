#include "mux/link__in.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static cs_err parse_unix(const char *path, struct mux__addr *addr)
{
    size_t len = strlen(path);

    /* The kernel wants the NUL of a path inside sun_path; "@name" has its own, at the front. */
    if (len == 0 || len >= sizeof addr->path || strcmp(path, "@") == 0)
        return CS_EINVAL;
    addr->is_unix = true;
    memcpy(addr->path, path, len + 1);
    return CS_OK;
}

static cs_err parse_fd(const char *number, struct mux__addr *addr)
{
    size_t len = strlen(number);

    if (len == 0 || len > 6 || strspn(number, "0123456789") != len)
        return CS_EINVAL;
    addr->is_fd = true;
    addr->fd = atoi(number);
    return CS_OK;
}

static cs_err parse_port(const char *text, uint16_t *ret)
{
    unsigned port = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return CS_EINVAL;
    for (; *text; text++)
        port = port * 10 + (unsigned)(*text - '0');
    if (port > 65535)
        return CS_EINVAL;
    *ret = (uint16_t)port;
    return CS_OK;
}

/* "fe80::1%eth0": the part behind % names the interface, by name or number. */
static bool parse_v6(const char *host, struct sockaddr_in6 *ret)
{
    char number[INET6_ADDRSTRLEN];
    const char *scope = strchr(host, '%');
    size_t len = scope ? (size_t)(scope - host) : strlen(host);
    char *end;

    if (len >= sizeof number)
        return false;
    memcpy(number, host, len);
    number[len] = '\0';
    memset(ret, 0, sizeof *ret);
    ret->sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, number, &ret->sin6_addr) != 1)
        return false;
    if (!scope)
        return true;
    ret->sin6_scope_id = if_nametoindex(scope + 1);
    if (ret->sin6_scope_id == 0 && scope[1] >= '1' && scope[1] <= '9') {
        unsigned long index = strtoul(scope + 1, &end, 10);
        if (*end == '\0' && index <= UINT32_MAX)
            ret->sin6_scope_id = (uint32_t)index;
    }
    return ret->sin6_scope_id != 0;
}

/* A name we would hand to the resolver: no blanks, slashes or control characters get through to it,
 * nor into a line of the log. */
static bool is_name(const char *host)
{
    for (; *host; host++) {
        unsigned char c = (unsigned char)*host;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_' || c >= 0x80))
            return false;
    }
    return true;
}

cs_err mux__addr_parse(const char *text, struct mux__addr *ret)
{
    struct mux__addr addr = {0};
    struct sockaddr_in6 v6;
    const char *host = text, *end;
    size_t len;

    if (!text)
        return CS_EINVAL;
    if (strncmp(text, "unix:", 5) == 0) {
        if (parse_unix(text + 5, &addr) != CS_OK)
            return CS_EINVAL;
        *ret = addr;
        return CS_OK;
    }
    if (strncmp(text, "fd:", 3) == 0) {
        if (parse_fd(text + 3, &addr) != CS_OK)
            return CS_EINVAL;
        *ret = addr;
        return CS_OK;
    }
    if (text[0] == '[') {
        host = text + 1;
        end = strchr(host, ']');
        if (!end || end[1] != ':')
            return CS_EINVAL;
    } else {
        end = strchr(text, ':');
        if (!end)
            return CS_EINVAL;
    }
    len = (size_t)(end - host);
    if (len >= sizeof addr.host)
        return CS_EINVAL;
    memcpy(addr.host, host, len);
    addr.host[len] = '\0';
    if (host != text ? !parse_v6(addr.host, &v6) : !is_name(addr.host))
        return CS_EINVAL;
    /* A second colon without brackets is found here: the port would have it. */
    if (parse_port(host != text ? end + 2 : end + 1, &addr.port) != CS_OK)
        return CS_EINVAL;
    *ret = addr;
    return CS_OK;
}

static struct mux__sockaddr of_v4(struct in_addr in, uint16_t port)
{
    struct mux__sockaddr sa = {.len = sizeof sa.u.v4};

    sa.u.v4.sin_family = AF_INET;
    sa.u.v4.sin_addr = in;
    sa.u.v4.sin_port = htons(port);
    return sa;
}

static struct mux__sockaddr of_v6(struct sockaddr_in6 v6, uint16_t port)
{
    struct mux__sockaddr sa = {.len = sizeof sa.u.v6};

    sa.u.v6 = v6;
    sa.u.v6.sin6_family = AF_INET6;
    sa.u.v6.sin6_port = htons(port);
    return sa;
}

static struct mux__sockaddr of_path(const char *path)
{
    struct mux__sockaddr sa = {0};
    size_t len = strlen(path);

    sa.u.un.sun_family = AF_UNIX;
    memcpy(sa.u.un.sun_path, path, len);
    sa.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (path[0] == '@')
        sa.u.un.sun_path[0] = '\0'; /* abstract: the length is what ends it */
    else
        sa.len++;
    return sa;
}

cs_err mux__addr_expand(const struct mux__addr *addr, struct mux__sockaddr *ret, size_t *ret_len)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct in_addr v4 = {0};

    *ret_len = 1;
    if (addr->is_unix) {
        ret[0] = of_path(addr->path);
    } else if (addr->host[0] == '\0') {
        ret[0] = of_v6(v6, addr->port); /* :: first, because it can hear both families */
        ret[1] = of_v4(v4, addr->port);
        *ret_len = 2;
    } else if (strcasecmp(addr->host, "localhost") == 0) {
        /* 127.0.0.1 first: it is where a port on "localhost" listens, and so nobody else of this
         * machine can put himself before it on [::1]. */
        v4.s_addr = htonl(INADDR_LOOPBACK);
        v6.sin6_addr = in6addr_loopback;
        ret[0] = of_v4(v4, addr->port);
        ret[1] = of_v6(v6, addr->port);
        *ret_len = 2;
    } else if (inet_pton(AF_INET, addr->host, &v4) == 1) {
        ret[0] = of_v4(v4, addr->port);
    } else if (parse_v6(addr->host, &v6)) {
        ret[0] = of_v6(v6, addr->port);
    } else {
        return CS_AGAIN;
    }
    return CS_OK;
}

/* The IPv4 address in ::ffff:a.b.c.d, as which IPv4 peers come to a socket that hears both. */
static bool is_mapped(const struct mux__sockaddr *sa, struct in_addr *ret)
{
    if (sa->u.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&sa->u.v6.sin6_addr))
        return false;
    memcpy(ret, &sa->u.v6.sin6_addr.s6_addr[12], sizeof *ret);
    return true;
}

bool mux__sockaddr_is_local(const struct mux__sockaddr *sa)
{
    struct in_addr v4 = {0};

    if (sa->u.any.sa_family == AF_UNIX)
        return true;
    if (sa->u.any.sa_family == AF_INET)
        v4 = sa->u.v4.sin_addr;
    else if (sa->u.any.sa_family != AF_INET6)
        return false;
    else if (!is_mapped(sa, &v4))
        return IN6_IS_ADDR_LOOPBACK(&sa->u.v6.sin6_addr);
    return ntohl(v4.s_addr) >> 24 == 127;
}

cs_err mux_addr_check(const char *text, bool *ret_far)
{
    struct mux__sockaddr all[MUX__ADDRS_MAX];
    struct mux__addr addr;
    cs_err err = mux__addr_parse(text, &addr);
    size_t n = 0;

    *ret_far = false;
    if (err != CS_OK || addr.is_fd || mux__addr_expand(&addr, all, &n) != CS_OK)
        return err; /* or it is a name, which only its resolver knows */
    for (size_t i = 0; i < n; i++)
        *ret_far = *ret_far || !mux__sockaddr_is_local(&all[i]);
    return CS_OK;
}

static void format_unix(const struct mux__sockaddr *sa, char *to, size_t len)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t path_len = sa->len > head ? sa->len - head : 0;
    const char *path = sa->u.un.sun_path;

    /* A client's end has no name at all; an abstract one is as long as the address says. */
    if (path_len > 0 && path[0] == '\0')
        snprintf(to, len, "unix:@%.*s", (int)(path_len - 1), path + 1);
    else
        snprintf(to, len, "unix:%.*s", (int)path_len, path);
}

void mux__sockaddr_format(const struct mux__sockaddr *sa, char *to, size_t len)
{
    char number[INET6_ADDRSTRLEN] = "", scope[16] = "";
    struct in_addr v4;

    if (sa->u.any.sa_family == AF_UNIX) {
        format_unix(sa, to, len);
    } else if (sa->u.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &sa->u.v4.sin_addr, number, sizeof number);
        snprintf(to, len, "%s:%u", number, (unsigned)ntohs(sa->u.v4.sin_port));
    } else if (is_mapped(sa, &v4)) {
        inet_ntop(AF_INET, &v4, number, sizeof number);
        snprintf(to, len, "%s:%u", number, (unsigned)ntohs(sa->u.v6.sin6_port));
    } else if (sa->u.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &sa->u.v6.sin6_addr, number, sizeof number);
        if (sa->u.v6.sin6_scope_id != 0)
            snprintf(scope, sizeof scope, "%%%u", (unsigned)sa->u.v6.sin6_scope_id);
        snprintf(to, len, "[%s%s]:%u", number, scope, (unsigned)ntohs(sa->u.v6.sin6_port));
    } else {
        snprintf(to, len, "?");
    }
}
