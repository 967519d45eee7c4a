/* h2_head -- what nghttp2 lets pass in the head of a request, and RFC 9113, 8.3.1, does not: paths that
 * are none, users in an authority, and a host that is another one than the authority. */
#include "mux/h2__in.h"

#include <strings.h>

void mux__h2_head_begins(mux_conn *conn)
{
    if (conn->head.authority)
        nghttp2_rcbuf_decref(conn->head.authority);
    conn->head = (struct mux__h2_head){0};
}

/* RFC 3986, 6.2.3: the port that the scheme means anyhow, or none behind the colon. */
static cs_bytes without_port(cs_bytes host, bool is_https)
{
    const char *port = is_https ? ":443" : ":80";
    size_t len = strlen(port);

    if (host.len >= len && memcmp((const char *)host.base + host.len - len, port, len) == 0)
        host.len -= len;
    else if (host.len > 0 && ((const char *)host.base)[host.len - 1] == ':')
        host.len--;
    return host;
}

static bool is_authority(const mux_conn *conn, cs_bytes host)
{
    cs_bytes authority;

    if (!conn->head.authority)
        return true;
    authority = without_port(mux__h2_text(conn->head.authority), conn->head.is_https);
    host = without_port(host, conn->head.is_https);
    return host.len == authority.len && strncasecmp(host.base, authority.base, host.len) == 0;
}

static bool is_path(mux_conn *conn, cs_bytes path)
{
    conn->head.is_star = cs_same(path, cs_str("*"));
    return conn->head.is_star || (path.len > 0 && *(const char *)path.base == '/');
}

bool mux__h2_head_field(mux_conn *conn, cs_bytes name, nghttp2_rcbuf *value)
{
    cs_bytes text = mux__h2_text(value);

    if (cs_same(name, cs_str(":path")))
        return is_path(conn, text);
    if (cs_same(name, cs_str(":method")))
        conn->head.is_options = cs_same(text, cs_str("OPTIONS"));
    else if (cs_same(name, cs_str(":scheme")))
        conn->head.is_https = cs_same(text, cs_str("https"));
    else if (cs_same(name, cs_str("host")))
        return !memchr(text.base, '@', text.len) && is_authority(conn, text);
    else if (cs_same(name, cs_str(":authority"))) {
        nghttp2_rcbuf_incref(value);
        conn->head.authority = value;
        return !memchr(text.base, '@', text.len);
    }
    return true;
}

bool mux__h2_head_ends(mux_conn *conn)
{
    bool fine = !conn->head.is_star || conn->head.is_options;

    mux__h2_head_begins(conn);
    return fine;
}
