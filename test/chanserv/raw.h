/* raw -- a server on a virtual loop, and calls to it as any gRPC client makes them: one mux stream
 * each, so that these tests know nothing of our client.
 *
 * What a call heard is text, so that a test compares transcripts:
 *
 *   announcements   "#0 head [a|b|];"  "#1 head end 0;"  "#2 head end 5 reason: words;"
 *   frames          "a|"  "part+rest|"  "<3:1>" (a gap: count, reason)  "70000 bytes|"
 *   a session       "linger 30000;"  "3 next 7;" */
#ifndef TEST_CHANSERV_RAW_H
#define TEST_CHANSERV_RAW_H

#include "base/mem.h"
#include "base/turn.h"
#include "chanserv/server.h"
#include "mux/local.h"
#include "proto/status.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define RAW_ID "0123456789abcdef"

enum raw_kind { RAW_ANNOUNCEMENTS, RAW_FRAMES, RAW_SERVICES, RAW_SESSION };

struct raw_call {
    mux_stream *stream; /* NULL: over */
    enum raw_kind kind;
    bool paused;            /* takes nothing */
    bool headers;           /* the answer had HEADERS of its own: it was not Trailers-Only */
    char *heard;            /* see above */
    uint8_t (*tickets)[32]; /* of the announcements, in order; zeroes: none */
    size_t tickets_len;
    cs_err why; /* CS_AGAIN: not over */
    char reason[32], oldest[24], errmsg[160], instance[24], own[64], next[24];
};

extern struct raw {
    cs_loop *loop;
    chanserv_server *server;
    mux_conn *conn;
    struct raw_call calls[64];
    size_t calls_len;
    char *story;       /* what the server's side says with raw_say() */
    const char *token; /* "authorization" of the calls to come; or NULL */
} raw;

void raw_up(const struct chanserv_server_options *options); /* a server, and a connection */
void raw_down(void);
void raw_join(void); /* another connection: raw.conn */
void raw_join_with(const struct mux_options *client);
void raw_move(size_t loop); /* one to that loop of several, in its place */
void raw_say(const char *format, ...) CS_PRINTF(1, 2);
void raw_said(const char *story); /* all of it so far is this; then forgotten */

struct raw_call *raw_begin(const char *method, enum raw_kind kind, int timeout_ms);
void raw_send(struct raw_call *call, const void *msg, size_t len, bool last);
struct raw_call *raw_post_with(const struct wire_post *post, int timeout_ms);
struct raw_call *raw_post(const char *service, const char *body);      /* settled */
struct raw_call *raw_post_inline(const char *service, uint32_t bytes); /* settled */
struct raw_call *raw_open_with(const struct wire_open *open, int timeout_ms);
struct raw_call *raw_open(const struct raw_call *post, size_t i, uint64_t from); /* settled */
/* In the session RAW_ID: what names one of its channels, and its own call.  Settled. */
struct raw_call *raw_session(const char *id, uint32_t attempt);
void raw_ack(struct raw_call *session, uint32_t number, uint64_t next, bool done,
             const char *reason);
struct raw_call *raw_post_as(uint32_t attempt, uint32_t number, const char *service,
                             const char *body, uint64_t from);
struct raw_call *raw_open_as(uint32_t attempt, uint32_t number, const struct raw_call *post,
                             uint64_t from);
void raw_pause(struct raw_call *call);
void raw_resume(struct raw_call *call);
void raw_leave(struct raw_call *call); /* RST; settled */

/* What it heard so far; and how it ended. */
#define raw_heard(call, text)                                                                      \
    do {                                                                                           \
        const struct raw_call *c_ = (call);                                                        \
        cr_assert_str_eq(c_->heard ? c_->heard : "", text);                                        \
    } while (0)
#define raw_ended(call, err, token, words)                                                         \
    do {                                                                                           \
        const struct raw_call *c_ = (call);                                                        \
        cr_assert_eq(c_->why, err, "ended with %s: %s", cs_strerror(c_->why), c_->errmsg);         \
        cr_assert_str_eq(c_->reason, token);                                                       \
        cr_assert(strstr(c_->errmsg, words), "\"%s\" has no \"%s\"", c_->errmsg, words);           \
    } while (0)
#define raw_runs(call) cr_assert_eq((call)->why, CS_AGAIN, "over: %s", (call)->errmsg)

struct chanserv_counters raw_counters(void);

#endif
