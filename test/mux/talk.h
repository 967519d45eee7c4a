/* talk -- a client and a server of ours on one virtual loop, and what each side of each call saw.
 *
 * Every callback checks that end() has not come yet; so each test of this folder proves that it
 * comes once and last. */
#ifndef TEST_MUX_TALK_H
#define TEST_MUX_TALK_H

#include "mux/local.h"
#include "mux/mux.h"

#define TALK_METHOD "/test.Talk/Call"

struct talk;

/* One side of one call.  What the test sets comes first, then what was seen. */
struct side {
    bool paused;                        /* readable() takes nothing */
    size_t pulls_of;                    /* each pull() sends messages of so many bytes ... */
    int64_t pull_left;                  /* ... so many in all; -1: without end */
    bool finishes;                      /* finish(CS_DONE) when they are all sent */
    void (*on_readable)(struct side *); /* instead of taking all; and so on */
    void (*on_writable)(struct side *);
    void (*on_pull)(struct side *);
    void (*on_end)(struct side *);
    void (*on_accept)(struct side *);
    void (*on_rolled)(struct side *);

    struct talk *talk;
    mux_stream *stream; /* NULL once it has ended */
    int readables, writables, pulls, rolls, ends, messages;
    size_t bytes;   /* of the messages taken */
    char text[256]; /* the messages: "one|two|" */
    cs_err last;    /* what recv() answered last */
    cs_err why;     /* of end() */
    bool never_ran; /* as end() saw it */
    char errmsg[256];
    int64_t ended_ms;
};

struct talk {
    cs_loop *loop;
    mux_handlers *handlers;
    mux_conn *conn;
    struct side client[4], server[4];
    int accepted;
};

extern const struct mux_stream_ops talk_ops;

void talk_begin(struct talk *t, const struct mux_options *client, const struct mux_options *server);
void talk_handlers(struct talk *t); /* the loop and the handlers alone */
void talk_end(struct talk *t);
struct side *talk_open(struct talk *t, int i); /* client[i], not yet sent: settle */
struct side *talk_open_with(struct talk *t, int i, const struct mux_call_options *options);
void talk_settle(struct talk *t); /* and it must come to rest */

void side_take(struct side *s); /* all messages there are */
void side_send(struct side *s, const char *text);
void side_send_bytes(struct side *s, size_t len);
void side_finish(struct side *s, cs_err status);

#endif
