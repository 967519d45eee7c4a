/* guard -- what a page of the web may not do.
 *
 * Any page can make a browser send requests to localhost, or to whatever its user can reach.  It cannot
 * lie about two things: its origin, and the name that it reached us by.  So a strange origin is
 * refused, and a name that is not ours: that is a page whose name was made to point here (rebinding).
 * An address in place of a name is nobody's trick. */
#include "gateway/gateway__in.h"
#include "gateway/url__in.h"

#include <arpa/inet.h>

enum { NAME_MAX_LEN = 255 };

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Of a list with spaces between; NULL: there is none. */
static const char *next_word(const char *at, cs_bytes *ret)
{
    size_t n;

    at += strspn(at, " ");
    n = strcspn(at, " ");
    *ret = cs_bytes_of(at, n);
    return n > 0 ? at + n : NULL;
}

static bool is_address(cs_bytes host)
{
    const char *p = host.base;
    char text[INET6_ADDRSTRLEN];
    struct in_addr four;

    if (host.len > 0 && p[0] == '[')
        return true; /* url_host() has looked inside */
    if (host.len >= sizeof text)
        return false;
    memcpy(text, p, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &four) == 1;
}

static bool ends_in(cs_bytes name, const char *tail)
{
    const size_t n = strlen(tail);

    return name.len > n && memcmp((const char *)name.base + name.len - n, tail, n) == 0;
}

static bool host_ok(const gateway *gw, cs_bytes authority)
{
    uint8_t text[NAME_MAX_LEN];
    cs_bytes host, word;
    int port;

    if (!gateway__url_host(authority, &host, &port) || host.len > sizeof text)
        return false;
    if (is_address(host))
        return true;
    for (size_t i = 0; i < host.len; i++)
        text[i] = lower(((const uint8_t *)host.base)[i]);
    host.base = text;
    if (cs_same(host, cs_str("localhost")) || ends_in(host, ".localhost"))
        return true;
    for (const char *at = gw->hosts; at && (at = next_word(at, &word));)
        if (cs_glob(word, host))
            return true;
    return false;
}

/* Scheme, "://", and the authority that it asks. */
static bool is_own_origin(const struct gateway__asks *asks)
{
    const cs_bytes scheme = cs_str(asks->is_tls ? "https://" : "http://");
    const uint8_t *p = asks->origin.base, *host = asks->authority.base;

    if (asks->origin.len != scheme.len + asks->authority.len ||
        memcmp(p, scheme.base, scheme.len) != 0)
        return false;
    for (size_t i = 0; i < asks->authority.len; i++)
        if (lower(p[scheme.len + i]) != lower(host[i]))
            return false;
    return true;
}

static bool origin_ok(const gateway *gw, cs_bytes origin)
{
    cs_bytes word;

    for (const char *at = gw->origins; at && (at = next_word(at, &word));)
        if (cs_same(word, cs_str("*")) || cs_same(word, origin))
            return true;
    return false;
}

/* What a browser sends for a page that does not mean to read the answer has no Origin, and this. */
static bool is_blind(const struct gateway__asks *asks)
{
    return cs_same(asks->fetch_site, cs_str("cross-site")) &&
           !cs_same(asks->fetch_mode, cs_str("navigate"));
}

const char *gateway__guard(const gateway *gw, const struct gateway__asks *asks, bool *cross)
{
    *cross = false;
    if (asks->authority.len > 0 && !host_ok(gw, asks->authority))
        return "this Host is not one of ours: see the option hosts";
    if (asks->origin.len == 0)
        return is_blind(asks) && !origin_ok(gw, cs_str("*"))
                   ? "pages of another site may not ask here: see the option cors"
                   : NULL;
    if (is_own_origin(asks))
        return NULL;
    *cross = origin_ok(gw, asks->origin);
    return *cross ? NULL : "pages of this origin may not ask here: see the option cors";
}
