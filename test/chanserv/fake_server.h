/* fake_server -- a server made of raw mux streams, on a virtual loop, that says exactly what a test
 * wants the client to hear.  All calls settle the loop. */
#ifndef TEST_CHANSERV_FAKE_SERVER_H
#define TEST_CHANSERV_FAKE_SERVER_H

#include "chanserv/client.h"
#include "proto/wire.h"

#include <criterion/criterion.h>

struct fake_call {      /* one that arrived: a post or an open */
    mux_stream *stream; /* NULL: it ended */
    cs_err why;
    int timeout_ms;
    uint64_t from;
    uint32_t inline_bytes;
    char text[64]; /* the ticket, or the body */
    char service[64];
};
enum { FAKE_CALLS = 64 };
struct fake {
    cs_loop *loop;
    mux_handlers *handlers;
    chanserv_client *client;
    struct fake_call posts[FAKE_CALLS], opens[FAKE_CALLS];
    size_t posts_len, opens_len;
};

void fake_begin(struct fake *f, const struct chanserv_client_options *options); /* joined */
void fake_end(struct fake *f); /* frees the client, unless the test did */
chanserv_feed *fake_post(struct fake *f, const char *service);

/* Announces on the last post, with ticket "t<seq>" and header "h<seq>". */
void fake_announce(struct fake *f, uint64_t seq);
void fake_announce_full(struct fake *f, const struct wire_announcement *a);
chanserv_source *fake_source(struct fake *f, chanserv_feed *feed, uint64_t seq); /* and takes it */
void fake_finish_post(struct fake *f, cs_err status, const char *message);

/* On the open numbered `i`. */
void fake_frame(struct fake *f, size_t i, const char *text);
void fake_part(struct fake *f, size_t i, const char *text); /* continued in the next */
void fake_gap(struct fake *f, size_t i, uint64_t count);
void fake_message(struct fake *f, size_t i, cs_bytes message);
void fake_finish(struct fake *f, size_t i, cs_err status, const char *message);

/* recv must yield this text with this number and gap. */
void fake_expect(chanserv_source *source, const char *text, uint64_t seq, uint64_t gap);

#endif
