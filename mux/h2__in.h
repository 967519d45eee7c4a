/* h2 -- all that is spoken with nghttp2, in four files: h2.c has the session, h2_in.c hears what nghttp2
 * says, h2_head.c looks at heads that nghttp2 lets pass, h2_out.c answers what it asks and says what
 * streams have to say.
 *
 * nghttp2 has no socket: bytes go in by feed, and come out by fill into the connection's output.
 * Two things it leaves to us: it does not tell of open streams when it is deleted (conn.c keeps
 * a list); and send and receive must not be called from inside its callbacks (nobody else calls
 * them). */
#ifndef MUX_H2_IN_H
#define MUX_H2_IN_H

#include "mux/mux__in.h"

#include <nghttp2/nghttp2.h>

/* What a PING of roll.c has: it tells it from those of alive.c. */
#define MUX__ROLL_PING "rollover"

static inline mux_stream *mux__h2_stream(nghttp2_session *h2, int32_t id) /* or NULL */
{
    return nghttp2_session_get_stream_user_data(h2, id);
}

static inline cs_bytes mux__h2_text(nghttp2_rcbuf *buf)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(buf);
    return cs_bytes_of(v.base, v.len);
}

void mux__h2_hears(nghttp2_session_callbacks *cb);
void mux__h2_speaks(nghttp2_session_callbacks *cb);

/* A head begins, or nothing more comes; a field of a request, and all of them: well-formed? */
void mux__h2_head_begins(mux_conn *conn);
bool mux__h2_head_field(mux_conn *conn, cs_bytes name, nghttp2_rcbuf *value);
bool mux__h2_head_ends(mux_conn *conn);

/* For what the peer or a stream would wait for without end if it were not said.  Not here and now:
 * nghttp2 may be on the stack. */
void mux__h2_must(mux_conn *conn, int rv);

#endif
