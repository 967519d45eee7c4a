/* fake_peer -- the other end of a connection, that says what a test wants it to say.
 *
 * Frames are written by hand, right or wrong; what the other side says is written down, a line a
 * frame.  It answers SETTINGS and PING by itself (until told not to) and never opens a window.
 */
#ifndef TEST_SUPPORT_FAKE_PEER_H
#define TEST_SUPPORT_FAKE_PEER_H

#include "base/base.h"
#include "base/loop.h"
#include "mux/mux.h"

enum {
    FAKE_DATA,
    FAKE_HEADERS,
    FAKE_RST = 3,
    FAKE_SETTINGS,
    FAKE_PING = 6,
    FAKE_GOAWAY,
    FAKE_WINDOW,
    FAKE_END = 1, /* flags */
    FAKE_END_HEADERS = 4
};

typedef struct fake_peer fake_peer;

/* A client of ours whose server is the fake; or a server with `handlers` whose client it is. */
fake_peer *fake_server(cs_loop *loop, const struct mux_options *options, mux_conn **ret);
fake_peer *fake_client(cs_loop *loop, const struct mux_options *options, mux_handlers *handlers);
/* From now on new ones speak TLS with ours, until both are NULL.  They are made with these, of a server and of a
 * client that dials localhost. */
void fake_tls(const struct mux_tls *server, const struct mux_tls *client);
/* One that has said nothing at all. */
fake_peer *fake_client_mute(cs_loop *loop, const struct mux_options *options,
                            mux_handlers *handlers);
void fake_free(fake_peer *peer); /* the link ends */

/* What a client of ours meets when it dials: a new fake each time, or nobody. */
struct fake_net {
    int refuses;     /* so many dials from now on meet nobody; -1: all do */
    bool holds;      /* a dial is not answered before fake_net_answer() */
    bool silent;     /* new fakes say no SETTINGS before fake_settings() */
    int streams_max; /* what their SETTINGS say; 0: nothing of it */
    int dials;       /* seen */
    fake_peer *peers[16];
    int peers_len;
    mux_conn *held;
};
void fake_net_dial(struct fake_net *net, cs_loop *loop, const struct mux_options *options,
                   mux_conn **ret); /* as mux_dial() does */
void fake_net_answer(struct fake_net *net);
void fake_net_free(struct fake_net *net); /* after the client */

/* The client's connection has one stream id left. */
void fake_spend_ids(mux_conn *conn);

/* A line a frame: "HEADERS 1 end :status=200 ...", "DATA 1 end 12", "RST_STREAM 1 8", ...  Since
 * the last fake_forget(). */
const char *fake_said(const fake_peer *peer);
void fake_forget(fake_peer *peer);
bool fake_hung_up(const fake_peer *peer);     /* the other side closed the link */
size_t fake_heard(const fake_peer *peer);     /* bytes of DATA, in all */
const char *fake_text(const fake_peer *peer); /* the first of them, since the last fake_forget() */
void fake_deaf(fake_peer *peer, bool deaf);   /* takes nothing that is said to it */
void fake_mute(fake_peer *peer);              /* answers no PING any more */

void fake_settings(fake_peer *peer, unsigned id, uint32_t value); /* instead of the usual none */
void fake_bytes(fake_peer *peer, cs_bytes bytes);                 /* as they are */
void fake_frame(fake_peer *peer, int type, int flags, int32_t id, cs_bytes payload);
void fake_word(fake_peer *peer, int type, int32_t id,
               uint32_t word); /* RST_STREAM, WINDOW_UPDATE */
/* Names and values in turn, NULL at the end. */
void fake_headers(fake_peer *peer, int32_t id, int end, ...);
void fake_request(fake_peer *peer, int32_t id, bool end, const char *method); /* a good one */
void fake_answer(fake_peer *peer, int32_t id);                                /* 200, gRPC */
void fake_message(fake_peer *peer, int32_t id, const char *text, bool end);   /* with its prefix */
void fake_goaway(fake_peer *peer, int32_t last_id, uint32_t error);

#endif
