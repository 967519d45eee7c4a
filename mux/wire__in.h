/* wire -- a wire, as its two files share it: wire_begin.c, how it comes to be one, and wire.c. */
#ifndef MUX_WIRE_IN_H
#define MUX_WIRE_IN_H

#include "mux/mux__in.h"

struct mux_wire {
    mux_conn *conn;
    const struct mux_wire_ops *ops;
    void *state;
    cs_task call;
    struct cs_buf early; /* what was read to find out, from `at` on */
    size_t at;
    cs_timer *linger; /* NULL before mux_wire_finish() */
    int64_t finished_ms;
    cs_err why;
    bool accepted, owns_state, is_tls;
    bool reading;   /* wanted */
    bool heard_end; /* the peer's last word was taken */
    bool can_read;  /* as far as we know */
    bool can_write; /* to be told */
    bool waits;     /* for room to write */
    bool roll_due;  /* to be told */
    bool finishing;
    bool out; /* our last word has gone, and our half is closed */
    bool over;
};

/* It has something to tell. */
static inline void mux__wire_post(mux_wire *wire)
{
    cs_task_post(wire->conn->loop, CS_CALL, &wire->call);
}
void mux__wire_call(cs_task *task);        /* tells it */
void mux__wire_ready(int can, void *wire); /* what the link is listened to with */
void mux__wire_move(mux_wire *wire);       /* to handlers->wires_to; the connection is lost */

#endif
