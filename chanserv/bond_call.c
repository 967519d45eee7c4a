/* bond_call -- the Session call of a bond: asked, answered, broken, and moved to the next connection.
 *
 * A session moves before it must: while the connection of its stream goes, the next
 * attempt is asked beside it, and takes its place once it is answered. */
#include "chanserv/client__in.h"

#include "mux/lasting.h"

enum { CALM_MS = 60000 }; /* without a roll-over: the next one does not wait */

/* The next stream is the one. */
static void follow(struct chanserv__bond *bond)
{
    CS_TRACE("client > session moves");
    bond->stream = bond->next;
    bond->next = NULL;
    bond->attempt = bond->asked;
    bond->leaves = false;
    bond->standing = CHANSERV__BOND_ASKED;
}

/* CS_OK, or CS_EPROTO: its acks are none. */
static cs_err hear(struct chanserv__bond *bond, const struct wire_session_down *down)
{
    cs_bytes acks = down->acks;
    struct wire_ack ack;
    cs_err err;

    if (bond->standing == CHANSERV__BOND_ASKED) {
        CS_TRACE("client > session stands, attempt %u", (unsigned)bond->attempt);
        chanserv__bond_stands(bond);
        bond->linger_ms = down->linger_ms < INT32_MAX ? (int)down->linger_ms : INT32_MAX;
        if (bond->attempt > 1)
            chanserv__bond_say_again(bond);
        chanserv__bond_changed(bond);
    }
    while ((err = wire_ack_next(&acks, &ack)) == CS_OK) {
        struct chanserv__line *line = cs_map_get(&bond->talks, ack.number);

        if (line && line->tie)
            chanserv__tie_heard(line->tie, ack.next);
    }
    return err == CS_DONE ? CS_OK : err;
}

static void on_readable(mux_stream *stream, void *state)
{
    struct chanserv__bond *bond = state;
    struct wire_session_down down;
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK) {
        if ((bond->stream != stream && bond->next != stream) ||
            bond->standing == CHANSERV__BOND_OFF)
            continue;
        if (wire_session_down_parse(msg, &down) != CS_OK) {
            mux_stream_cancel(stream, CS_EPROTO);
            continue;
        }
        if (bond->next == stream) {
            chanserv__bond_drop(&bond->stream);
            follow(bond);
        }
        if (hear(bond, &down) != CS_OK)
            mux_stream_cancel(stream, CS_EPROTO);
    }
}

static void on_writable(mux_stream *stream, void *state)
{
    (void)stream;
    chanserv__bond_flush(state);
}

static void on_rolled(mux_stream *stream, void *state)
{
    struct chanserv__bond *bond = state;
    const int64_t now = cs_loop_now_ms(bond->node->client->loop);

    if (bond->next == stream)
        chanserv__bond_drop(&bond->next); /* and on to the one after that */
    else if (bond->stream != stream || bond->freed)
        return;
    bond->leaves = true;
    if (now - bond->rolled_ms > CALM_MS)
        bond->delay_ms = 0;
    bond->rolled_ms = now;
    chanserv__bond_rest(bond);
}

/* The session stays where it is, as long as it can. */
static void not_moved(struct chanserv__bond *bond, cs_err why, const char *words)
{
    CS_TRACE("client > session has not moved: %s", words);
    bond->next = NULL;
    bond->elsewhere = why == CS_ELOST || why == CS_EEXIST;
    if (bond->elsewhere)
        chanserv__bond_changed(bond);
    else
        chanserv__bond_rest(bond);
}

/* The first attempt at it has ended, and was not answered by what begins one. */
static void refused(struct chanserv__bond *bond, mux_stream *stream, cs_err why)
{
    const bool answered = mux_stream_was_answered(stream);

    if (answered && why != CS_EEXIST && why != CS_EDRAIN && why != CS_EUNAVAIL &&
        why != CS_ECANCELED)
        chanserv__bond_off(bond);
    else if (answered || mux_stream_never_ran(stream))
        chanserv__bond_unheard(bond, why == CS_EEXIST ? CS_EPEER : why, mux_stream_errmsg(stream));
    else /* however it was cut off */
        chanserv__bond_unheard(bond, CS_EPEER, mux_stream_errmsg(stream));
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct chanserv__bond *bond = state;
    chanserv_client *client = bond->node->client;
    const bool first = bond->standing == CHANSERV__BOND_ASKED && bond->attempt == 1;

    client->streams--;
    if (bond->stream == stream && !bond->freed && bond->standing != CHANSERV__BOND_OFF) {
        bond->stream = NULL;
        if (bond->next) { /* perhaps it superseded this one */
            follow(bond);
            chanserv__bond_doom(bond, mux_stream_errmsg(stream));
        } else if (first)
            refused(bond, stream, why);
        else if (why == CS_ELOST || why == CS_EEXIST) {
            chanserv__bond_lose(bond, CS_ELOST, mux_stream_errmsg(stream), true);
            chanserv__bond_begin(bond); /* whoever said so is there */
        } else if (bond->standing != CHANSERV__BOND_NONE)
            chanserv__bond_broke(bond, mux_stream_errmsg(stream));
        chanserv__bond_changed(bond);
    }
    if (bond->stream == stream)
        bond->stream = NULL;
    if (bond->next == stream)
        not_moved(bond, why, mux_stream_errmsg(stream));
    chanserv__node_release(bond->node);
}

static const struct mux_stream_ops session_ops = {
    .readable = on_readable, .writable = on_writable, .end = on_end, .rolled = on_rolled};

static cs_err open_at(struct chanserv__bond *bond, uint32_t attempt, mux_stream **ret)
{
    chanserv_client *client = bond->node->client;
    struct mux_call_options options = {0};
    uint8_t msg[WIRE_SESSION_MAX];
    size_t n = wire_session_up_put(msg, cs_bytes_of(bond->id, sizeof bond->id), attempt);
    cs_err err;

    if (client->bearer) {
        options.metadata = client->bearer->pairs;
        options.metadata_len = client->bearer->len;
    }
    err = mux_stream_open(bond->node->conn, "/chanserv.v1.Chanserv/Session", &options, &session_ops,
                          bond, ret);
    if (err != CS_OK)
        return err;
    chanserv__node_hold(bond->node);
    client->streams++;
    if (mux_stream_send(*ret, cs_bytes_of(msg, n), cs_bytes_of(NULL, 0)) != CS_OK)
        mux_stream_cancel(*ret, CS_ENOMEM);
    return CS_OK;
}

void chanserv__bond_call(struct chanserv__bond *bond)
{
    cs_err err;

    bond->standing = CHANSERV__BOND_ASKED;
    bond->attempt = ++bond->asked;
    err = open_at(bond, bond->attempt, &bond->stream);
    if (err != CS_OK && bond->attempt == 1)
        chanserv__bond_unheard(bond, err, cs_strerror(err));
    else if (err != CS_OK)
        chanserv__bond_broke(bond, cs_strerror(err));
}

/* Open channels stay on the connection that goes.  It stands until they are over, so
 * the old stream is good until the new one is answered; without channels there is no need of one. */
void chanserv__bond_leave(struct chanserv__bond *bond)
{
    cs_err err;

    if (cs_list_empty(&bond->ties)) {
        chanserv__bond_flush(bond);
        mux_stream_finish(bond->stream, CS_OK, NULL);
        bond->stream = NULL;
        chanserv__bond_drop(&bond->next);
        chanserv__bond_anew(bond);
    } else if (!bond->elsewhere && !bond->next && !bond->rests &&
               (err = open_at(bond, ++bond->asked, &bond->next)) != CS_OK)
        not_moved(bond, err, cs_strerror(err));
}
