/* conform -- a peer that says one thing wrong, and what it gets for it.
 *
 * Frames are written as lines: kind, flags and stream, and what it holds, as pairs of hex digits, and
 * behind them header fields or zeros:
 *
 *     DATA 1 3 68 69
 *     HEADERS 4 1 {:method=POST|:path=/test.Talk/Call}
 *     DATA 0 1 *16384          16 KiB
 *     DATA/9 0 1 00            of a length that is not so; the rest never comes
 *     ! 00 01                  bytes that are no frame
 *
 * A request of a peer of ours is CONFORM_REQUEST, an answer CONFORM_ANSWER. */
#ifndef TEST_MUX_CONFORM_H
#define TEST_MUX_CONFORM_H

#include "test/mux/talk.h"
#include "test/support/fake_peer.h"

#define CONFORM_HEAD ":method=POST|:scheme=http|:path=" TALK_METHOD
#define CONFORM_REST "te=trailers|content-type=application/grpc"
#define CONFORM_REQUEST "{" CONFORM_HEAD "|:authority=fake|" CONFORM_REST "}"
#define CONFORM_ANSWER "{:status=200|content-type=application/grpc}"

extern struct talk conform;
extern fake_peer *conform_peer;

void conform_server(void); /* of ours: the peer has said its preface and SETTINGS */
void conform_client(void); /* of ours: its first call is on stream 1, and it has said END_STREAM, */
void conform_client_open(void); /* or not */
void conform_end(void);

/* Says the lines, all at once or each byte by itself, and answers what came for it: "" when the
 * connection goes on as if nothing had been, or the first of
 *
 *     "GOAWAY 1"        the connection was ended with this code, and hung up
 *     "RST_STREAM 3 5"  stream 3, by this code; the connection goes on
 *     "hung up"         without a word */
const char *conform_say(const char *lines, bool bytewise);

/* What they are on the wire, until the next lines. */
cs_bytes conform_bytes(const char *lines);

/* At once, byte by byte, and over TLS: each on a connection of `begin`, behind `before`. */
struct conform_row {
    const char *what, *before, *wrong, *gets;
};
void conform_rows(void (*begin)(void), const struct conform_row *rows, size_t n);
#define CONFORM_ROWS(begin, rows) conform_rows(begin, rows, sizeof(rows) / sizeof *(rows))

#endif
